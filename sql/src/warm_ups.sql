-- ---------------------------------------------------------------------------------------------
-- Warm-ups: the worker of a sync is woken once, shortly before its time. The result of the call is not a health check.
-- ---------------------------------------------------------------------------------------------

-- A schedule whose period passed without a call, because no job ran, is moved on to the next period.
CREATE FUNCTION integration_health_private.move_warm_ups(moment timestamptz, horizon timestamptz)
RETURNS TABLE (org_id uuid, integration_type text, scheduled_for timestamptz, warm_up_url text)
LANGUAGE sql VOLATILE SET enable_hashjoin = off SET enable_mergejoin = off
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_sync_schedules'::regclass]);
  WITH due AS MATERIALIZED (
    SELECT d.org_id, d.integration_type,
           CASE WHEN d.warm_up_for > move_warm_ups.moment THEN d.warm_up_for
                ELSE @extschema@.integration_sync_next_period(d.every, d.anchor, d.time_zone, move_warm_ups.moment) END AS period
      FROM @extschema@.integration_sync_schedules d
     WHERE d.enabled AND d.warm_up_url IS NOT NULL AND d.warm_up_for <= move_warm_ups.horizon
       AND CASE WHEN d.warm_up_for <= move_warm_ups.horizon
                THEN integration_health_private.usable_time_zone(
                       d.org_id, d.integration_type, d.every, d.anchor, d.time_zone) IS NOT NULL END
       FOR NO KEY UPDATE SKIP LOCKED
  ), moved AS (
    UPDATE @extschema@.integration_sync_schedules s
       SET warm_up_for = COALESCE(CASE WHEN d.period <= move_warm_ups.horizon
                                       THEN @extschema@.integration_sync_next_period(s.every, s.anchor, s.time_zone, d.period)
                                       ELSE d.period END, 'infinity')
      FROM due d WHERE s.org_id = d.org_id AND s.integration_type = d.integration_type
    RETURNING s.org_id, s.integration_type, d.period, s.warm_up_url
  )
  SELECT m.org_id, m.integration_type, m.period, m.warm_up_url FROM moved m WHERE m.period <= move_warm_ups.horizon;
END;
COMMENT ON FUNCTION integration_health_private.move_warm_ups(timestamptz, timestamptz) IS
  'Returns the schedules with a period after moment, and not after horizon, for which the worker has not been called, '
  'and notes that it has. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.take_warm_ups(moment timestamptz, horizon timestamptz)
RETURNS TABLE (org_id uuid, integration_type text, scheduled_for timestamptz, warm_up_url text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT integration_health_private.note_job('integration_health_warm_up');
  SELECT * FROM integration_health_private.move_warm_ups(take_warm_ups.moment, take_warm_ups.horizon);
END;
COMMENT ON FUNCTION integration_health_private.take_warm_ups(timestamptz, timestamptz) IS
  'Calls move_warm_ups, with the rights of the owner, and notes that the job was done. Errors: as move_warm_ups.';

CREATE FUNCTION integration_health_private.has_http_post()
RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT COALESCE(has_schema_privilege(to_regnamespace('net'), 'USAGE'), false) THEN
    RETURN false;
  END IF;
  -- A look-alike that somebody else has made does not count.
  RETURN EXISTS (
    SELECT FROM pg_proc AS p JOIN pg_roles AS o ON o.oid = p.proowner
     WHERE p.oid = to_regprocedure('net.http_post(text, jsonb, jsonb, jsonb, integer)')
       AND p.prorettype = 'bigint'::regtype AND NOT p.proretset AND o.rolsuper AND has_function_privilege(p.oid, 'EXECUTE'));
END
$$;
COMMENT ON FUNCTION integration_health_private.has_http_post() IS
  'Returns whether pg_net is available to the caller: net.http_post with its arguments and result, owned by a '
  'superuser.';

CREATE FUNCTION @extschema@.dispatch_sync_warm_ups(ahead interval DEFAULT '1 minute')
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  has_http_post boolean := integration_health_private.has_http_post();
  called bigint := 0;
  warm_up record;
  body text;
BEGIN
  IF ahead IS NULL OR ahead < interval '1 second' OR ahead > interval '1 day' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'ahead must be between 1 second and 1 day',
      HINT = 'Leave the argument out for 1 minute.';
  END IF;
  FOR warm_up IN
    SELECT * FROM integration_health_private.take_warm_ups(
      moment, moment + interval '1 microsecond' * integration_health_private.micros(ahead))
  LOOP
    body := format('{"event": "warm_up", "org_id": "%s", "integration_type": %s, "scheduled_for": "%s"', warm_up.org_id,
                   to_json(warm_up.integration_type), integration_health_private.utc_text(warm_up.scheduled_for));
    IF NOT has_http_post THEN
      PERFORM integration_health_private.send_event(format('%s, "url": %s}', body, to_json(warm_up.warm_up_url)));
      called := called + 1;
    ELSE
      BEGIN
        -- The timeout is 10 seconds, because the worker may have to start first.
        EXECUTE 'SELECT net.http_post($1, $2, ''{}'', ''{"Content-Type": "application/json"}'', 10000)'
          USING warm_up.warm_up_url, (body || '}')::jsonb;
        called := called + 1;
      EXCEPTION WHEN OTHERS THEN
        -- The other workers are still called.
        RAISE WARNING USING MESSAGE = 'a worker could not be called for its warm-up',
          DETAIL = format('%s}: %s', body, SQLERRM), HINT = 'Correct warm_up_url in integration_sync_schedules.';
      END;
    END IF;
  END LOOP;
  RETURN called;
END
$$;
COMMENT ON FUNCTION @extschema@.dispatch_sync_warm_ups(interval) IS
  'Calls the warm_up_url of each schedule with a period within ahead (1 second to 1 day), once per period, and '
  'returns how many. Uses net.http_post of pg_net if the caller may, otherwise an event on the channel '
  'integration_health. Warns of a URL that pg_net refuses. Errors: 22023 when ahead is null or out of range, '
  '55000 when somebody else has a trigger or rule on the tables.';
