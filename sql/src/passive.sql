-- ---------------------------------------------------------------------------------------------
-- Passive mode: a type that was rate limited is left alone, and comes back by itself
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.lock_mode(integration_type text, may_wait boolean)
RETURNS @extschema@.integration_types
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  waits boolean := may_wait AND COALESCE(current_setting('integration_health_private.holds_mode', true), '') <> 'on';
BEGIN
  -- A transaction that holds one waits for no other, so that two that see several types limited, each in its order, do
  -- not deadlock: what it leaves, the next check that is limited does.
  IF waits THEN
    PERFORM set_config('integration_health_private.holds_mode', 'on', true);
  END IF;
  RETURN integration_health_private.lock_type(integration_type, NOT waits);
END
$$;
COMMENT ON FUNCTION integration_health_private.lock_mode(text, boolean) IS
  'Locks the row of a type, to change its mode, and returns it; null where somebody else has locked it, and not '
  'may_wait, or the transaction has locked one before.';

CREATE FUNCTION integration_health_private.apply_rate_limit(
  type @extschema@.integration_types, asked_until timestamptz, by_probe boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  waits_until timestamptz;
BEGIN
  -- Looked at before the lock, which most limited checks need not wait for, and again under it.
  FOR pass IN 1 .. 2 LOOP
    waits_until := CASE WHEN asked_until IS NOT NULL THEN LEAST(asked_until, moment + type.max_backoff) END;
    IF type.integration_type IS NULL
       OR (type.monitoring_mode = 'active'
           OR by_probe AND type.passive_until <> waits_until
           OR COALESCE(type.passive_until, '-infinity') < waits_until) IS NOT TRUE THEN
      RETURN;
    ELSIF pass = 1 THEN
      type := integration_health_private.lock_mode(type.integration_type, true);
    END IF;
  END LOOP;

  IF type.monitoring_mode <> 'active' THEN
    type.passive_until := waits_until;
    PERFORM integration_health_private.store_type(type);
    RETURN;
  END IF;
  type.monitoring_mode := 'passive';
  type.passive_since := moment;
  -- Readers of all organisations see the reason: it names none.
  type.passive_reason := 'HTTP 429';
  type.probes := 0;
  type.passive_until := GREATEST(COALESCE(waits_until, moment + type.check_interval),
                                 CASE WHEN type.passive_until > moment THEN type.passive_until END);
  type := integration_health_private.store_type(type);
  PERFORM integration_health_private.send_event(format(
    '{"event": "passive", "integration_type": %s, "since": "%s", "until": %s}',
    to_json(type.integration_type), integration_health_private.utc_text(moment),
    COALESCE(to_json(integration_health_private.utc_text(type.passive_until))::text, 'null')));
END
$$;
COMMENT ON FUNCTION integration_health_private.apply_rate_limit(
  @extschema@.integration_types, timestamptz, boolean) IS
  'Puts a type into passive mode; where it is in it, a later asked_until, or that of a probe, replaces the present '
  'one. asked_until is null where the external system gave no time. Errors: 55000 as store_type.';

-- All of them are overdue, and would be checked at once. So many at most: it is done on behalf of a check.
CREATE FUNCTION integration_health_private.spread_due_monitors(
  of_type text, check_interval interval, moment timestamptz)
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT pg_catalog.count(*) FROM (
      SELECT pg_catalog.array_agg(m.org_id) AS org_ids, pg_catalog.array_agg(m.claimed_at) AS claimed_at,
             pg_catalog.array_agg(@extschema@.integration_monitor_first_due(
               m.org_id, m.integration_type, spread_due_monitors.check_interval, spread_due_monitors.moment)) AS due_at
        FROM integration_health_private.lock_due_monitors(
               spread_due_monitors.of_type, spread_due_monitors.moment, 10000) m) d
   CROSS JOIN LATERAL integration_health_private.store_monitors(
           spread_due_monitors.of_type, d.org_ids, d.claimed_at, d.due_at) s;
END;
COMMENT ON FUNCTION integration_health_private.spread_due_monitors(text, interval, timestamptz) IS
  'Spreads the pairs of a type that are due at a moment over the check_interval after it, 10000 of them at most, and '
  'returns how many. Errors: 55000 as store_monitors.';

CREATE FUNCTION integration_health_private.resume_type(type @extschema@.integration_types)
RETURNS @extschema@.integration_types
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  was_active boolean := type.monitoring_mode = 'active';
  moment timestamptz := clock_timestamp();
BEGIN
  PERFORM integration_health_private.guard('integration_monitors');
  type.monitoring_mode := 'active';
  type.passive_until := NULL;
  type := integration_health_private.store_type(type);
  IF NOT was_active THEN
    PERFORM integration_health_private.spread_due_monitors(type.integration_type, type.check_interval, moment);
    PERFORM integration_health_private.send_event(
      format('{"event": "active", "integration_type": %s}', to_json(type.integration_type)));
  END IF;
  RETURN type;
END
$$;
COMMENT ON FUNCTION integration_health_private.resume_type(@extschema@.integration_types) IS
  'Puts a type, whose row is locked, into active mode, spreads its pairs over the next check interval, and returns '
  'its row. Errors: 55000 as store_type and store_monitors.';

CREATE FUNCTION integration_health_private.is_probe(type @extschema@.integration_types, org_id uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN COALESCE(
    type.monitoring_mode <> 'active'
    AND (integration_health_private.latest_monitor(org_id, type.integration_type)).claimed_at >= type.passive_since, false);
END
$$;
COMMENT ON FUNCTION integration_health_private.is_probe(@extschema@.integration_types, uuid) IS
  'Whether the type is passive, and the pair of an organisation was handed out since: as its probe, that is.';

CREATE FUNCTION integration_health_private.end_passive_mode(
  type @extschema@.integration_types, org_id uuid, may_wait boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF integration_health_private.is_probe(type, org_id) THEN
    -- Again, under the lock.
    type := integration_health_private.lock_mode(type.integration_type, may_wait);
    IF integration_health_private.is_probe(type, org_id) THEN
      PERFORM integration_health_private.resume_type(type);
    END IF;
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.end_passive_mode(@extschema@.integration_types, uuid, boolean) IS
  'Puts a type into active mode when the pair of an organisation is its probe, which was answered. Leaves it to the '
  'next probe when somebody else has locked the type, and may_wait is false. Errors: 55000 as resume_type.';

CREATE FUNCTION integration_health_private.resume_monitoring(of_type text, OUT type @extschema@.integration_types)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_arguments('{integration_type}', ARRAY[of_type IS NULL]);
  type := integration_health_private.lock_type(of_type, false);
  IF type.integration_type IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023',
      MESSAGE = format('there is no integration type "%s"', integration_health_private.echo(of_type)),
      HINT = 'The types are the rows of integration_types.';
  END IF;
  type := integration_health_private.resume_type(type);
END
$$;
COMMENT ON FUNCTION integration_health_private.resume_monitoring(text) IS 'What resume_active_monitoring does.';

CREATE FUNCTION @extschema@.resume_active_monitoring(integration_type text)
RETURNS @extschema@.integration_types
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.resume_monitoring(resume_active_monitoring.integration_type);
END;
COMMENT ON FUNCTION @extschema@.resume_active_monitoring(text) IS
  'Puts a type back into active mode and returns its row; pairs that are overdue, 10000 of them at most, are spread '
  'over the next check_interval, whatever passive_until said: that is cleared. Errors: 22023 no such type.';
