-- ---------------------------------------------------------------------------------------------
-- Passive mode: a rate-limited type is left alone, and becomes active again by itself
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.lock_mode(integration_type text, may_wait boolean)
RETURNS @extschema@.integration_types
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  waits boolean := may_wait AND COALESCE(current_setting('integration_health_private.holds_mode', true), '') <> 'on';
BEGIN
  -- A transaction that holds such a lock waits for no other, so that two transactions which find several types limited,
  -- in different orders, do not deadlock. What is skipped here, the next rate-limited check does.
  IF waits THEN
    PERFORM set_config('integration_health_private.holds_mode', 'on', true);
  END IF;
  RETURN integration_health_private.lock_type(integration_type, NOT waits);
END
$$;
COMMENT ON FUNCTION integration_health_private.lock_mode(text, boolean) IS
  'Locks the row of a type, to change its mode, and returns it. Does not wait if may_wait is false, or if the '
  'transaction has locked a type for this before: null when somebody else has locked the row.';

CREATE FUNCTION integration_health_private.alert_mode(kind text, of_type text, passive_since timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.enqueue_alert(
    kind, of_type || ':' || COALESCE(integration_health_private.utc_text(passive_since), ''), NULL, of_type,
    jsonb_build_object('passive_since', integration_health_private.utc_text(passive_since)));
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_mode(text, text, timestamptz) IS
  'Writes the alert that a type, passive since then, has gone passive or is active again. Errors: as enqueue_alert.';

CREATE FUNCTION integration_health_private.apply_rate_limit(
  type @extschema@.integration_types, asked_until timestamptz, by_probe boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  waits_until timestamptz;
BEGIN
  -- Decided before the lock, so that most rate-limited checks need not wait for it, and again under it.
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
  -- Readers of all organisations see the reason, so it names none of them.
  type.passive_reason := 'HTTP 429';
  type.probes := 0;
  type.passive_until := GREATEST(COALESCE(waits_until, moment + type.check_interval),
                                 CASE WHEN type.passive_until > moment THEN type.passive_until END);
  type := integration_health_private.store_type(type);
  PERFORM integration_health_private.send_event(format(
    '{"event": "passive", "integration_type": %s, "since": "%s", "until": %s}',
    to_json(type.integration_type), integration_health_private.utc_text(moment),
    COALESCE(to_json(integration_health_private.utc_text(type.passive_until))::text, 'null')));
  PERFORM integration_health_private.alert_mode('type_passive', type.integration_type, type.passive_since);
END
$$;
COMMENT ON FUNCTION integration_health_private.apply_rate_limit(
  @extschema@.integration_types, timestamptz, boolean) IS
  'Puts a type into passive mode. If it is passive already, a later asked_until, or that of a probe, replaces '
  'passive_until. asked_until is null when the external system gave no time. Errors: 55000 as store_type.';

-- The overdue pairs would otherwise all be checked at once. Their number is limited, because this is done on behalf of
-- a single check.
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
  'Spreads the pairs of a type that are due at moment, at most 10000 of them, over the check_interval after it, and '
  'returns how many. Errors: 55000 as store_monitors.';

CREATE FUNCTION integration_health_private.resume_type(type @extschema@.integration_types)
RETURNS @extschema@.integration_types
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  was_active boolean := type.monitoring_mode = 'active';
  since timestamptz := type.passive_since;
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
    PERFORM integration_health_private.alert_mode('type_active', type.integration_type, since);
  END IF;
  RETURN type;
END
$$;
COMMENT ON FUNCTION integration_health_private.resume_type(@extschema@.integration_types) IS
  'Puts a type, whose row must be locked, into active mode, spreads its overdue pairs over the next check_interval if '
  'it was passive, and returns its row. Errors: 55000 as store_type and store_monitors.';

CREATE FUNCTION integration_health_private.has_probe(type @extschema@.integration_types, org_ids uuid[])
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF type.monitoring_mode <> 'active' THEN
    RETURN EXISTS (
      SELECT FROM unnest(org_ids) AS o (org_id)
       WHERE (integration_health_private.latest_monitor(o.org_id, type.integration_type)).claimed_at >= type.passive_since);
  END IF;
  RETURN false;
END
$$;
COMMENT ON FUNCTION integration_health_private.has_probe(@extschema@.integration_types, uuid[]) IS
  'Returns whether the pair of one of the organisations is a probe of the type: the type is passive, and the pair has been '
  'handed out since it went passive.';

CREATE FUNCTION integration_health_private.end_passive_mode(
  type @extschema@.integration_types, org_ids uuid[], may_wait boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF integration_health_private.has_probe(type, org_ids) THEN
    -- Checked again under the lock.
    type := integration_health_private.lock_mode(type.integration_type, may_wait);
    IF integration_health_private.has_probe(type, org_ids) THEN
      PERFORM integration_health_private.resume_type(type);
    END IF;
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.end_passive_mode(@extschema@.integration_types, uuid[], boolean) IS
  'Puts a type into active mode when the pair of one of the organisations is its probe, which has been answered. Leaves that '
  'to the next probe when somebody else has locked the type and may_wait is false. Errors: 55000 as resume_type.';

CREATE FUNCTION integration_health_private.resume_monitoring(of_type text, OUT type @extschema@.integration_types)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_arguments('{integration_type}', ARRAY[of_type IS NULL]);
  type := integration_health_private.lock_type(of_type, false);
  IF type.integration_type IS NULL THEN
    PERFORM integration_health_private.refuse_type(of_type);
  END IF;
  type := integration_health_private.resume_type(type);
END
$$;
COMMENT ON FUNCTION integration_health_private.resume_monitoring(text) IS 'Does the work of resume_active_monitoring.';

CREATE FUNCTION @extschema@.resume_active_monitoring(integration_type text)
RETURNS @extschema@.integration_types
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.resume_monitoring(resume_active_monitoring.integration_type);
END;
COMMENT ON FUNCTION @extschema@.resume_active_monitoring(text) IS
  'Puts a type back into active mode, whatever its passive_until, which is cleared, and returns its row. Overdue '
  'pairs, at most 10000 of them, are spread over the next check_interval. Errors: 22023 when there is no such type, '
  '55000 when somebody else has a trigger or rule on the tables.';
