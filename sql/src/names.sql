-- ---------------------------------------------------------------------------------------------
-- Names. A PL/pgSQL body stores the names of objects, a body of standard SQL refers to the objects themselves. PL/pgSQL
-- therefore reaches the schema of the API through these functions, so that ALTER SCHEMA ... RENAME breaks nothing. Tables
-- that it reads and writes have a view in this schema, with the rights of whoever uses it, beside the table itself: a
-- statement on it is planned once a session, but an SQL function, which could name the table, at every call.
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.relation(name text)
RETURNS regclass
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT CASE relation.name
           WHEN 'integration_types' THEN '@extschema@.integration_types'::regclass
           WHEN 'integration_health_status' THEN '@extschema@.integration_health_status'::regclass
           WHEN 'integration_health_history' THEN '@extschema@.integration_health_history'::regclass
           WHEN 'integration_health_counts' THEN '@extschema@.integration_health_counts'::regclass
           WHEN 'integration_health_transitions' THEN '@extschema@.integration_health_transitions'::regclass
           WHEN 'integration_health_days' THEN '@extschema@.integration_health_days'::regclass
           WHEN 'integration_incidents' THEN '@extschema@.integration_incidents'::regclass
           WHEN 'integration_maintenance' THEN '@extschema@.integration_maintenance'::regclass
           WHEN 'integration_alerts' THEN '@extschema@.integration_alerts'::regclass
           WHEN 'integration_monitors' THEN '@extschema@.integration_monitors'::regclass
           WHEN 'integration_sync_schedules' THEN '@extschema@.integration_sync_schedules'::regclass
           WHEN 'integration_sync_runs' THEN '@extschema@.integration_sync_runs'::regclass
         END;
END;
COMMENT ON FUNCTION integration_health_private.relation(text) IS
  'Returns the table of the extension that was created under a name.';

CREATE FUNCTION integration_health_private.guard(VARIADIC names text[])
RETURNS void
LANGUAGE sql VOLATILE STRICT
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY(
    SELECT integration_health_private.relation(n) FROM pg_catalog.unnest(guard.names) AS n));
END;
COMMENT ON FUNCTION integration_health_private.guard(text[]) IS 'Calls require_own_triggers for tables given by name.';

CREATE FUNCTION integration_health_private.ready_at(
  org_id uuid, integration_type text, claimed_at timestamptz, check_interval interval, max_backoff interval,
  failures integer)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT @extschema@.integration_monitor_ready_at($1, $2, $3, $4, $5, $6);
END;
COMMENT ON FUNCTION integration_health_private.ready_at(uuid, text, timestamptz, interval, interval, integer) IS
  'Calls integration_monitor_ready_at.';

CREATE FUNCTION integration_health_private.last_period(
  every interval, anchor timestamptz, time_zone text, at timestamptz)
RETURNS timestamptz
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT @extschema@.integration_sync_last_period($1, $2, $3, $4);
END;
COMMENT ON FUNCTION integration_health_private.last_period(interval, timestamptz, text, timestamptz) IS
  'Calls integration_sync_last_period.';

CREATE FUNCTION integration_health_private.next_period(
  every interval, anchor timestamptz, time_zone text, after timestamptz)
RETURNS timestamptz
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT @extschema@.integration_sync_next_period($1, $2, $3, $4);
END;
COMMENT ON FUNCTION integration_health_private.next_period(interval, timestamptz, text, timestamptz) IS
  'Calls integration_sync_next_period.';

CREATE FUNCTION integration_health_private.is_late(drift interval)
RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT @extschema@.integration_sync_is_late($1);
END;
COMMENT ON FUNCTION integration_health_private.is_late(interval) IS 'Calls integration_sync_is_late.';

CREATE FUNCTION integration_health_private.is_every(every interval)
RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT @extschema@.integration_sync_every_is_valid($1);
END;
COMMENT ON FUNCTION integration_health_private.is_every(interval) IS 'Calls integration_sync_every_is_valid.';

CREATE FUNCTION integration_health_private.is_time_zone(time_zone text)
RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT @extschema@.integration_sync_time_zone_is_valid($1);
END;
COMMENT ON FUNCTION integration_health_private.is_time_zone(text) IS 'Calls integration_sync_time_zone_is_valid.';

CREATE FUNCTION integration_health_private.sync_key(org_id uuid, integration_type text, scheduled_for timestamptz)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT @extschema@.integration_sync_key($1, $2, $3);
END;
COMMENT ON FUNCTION integration_health_private.sync_key(uuid, text, timestamptz) IS 'Calls integration_sync_key.';

CREATE FUNCTION integration_health_private.org_ids()
RETURNS uuid[]
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT @extschema@.integration_health_org_ids();
END;
COMMENT ON FUNCTION integration_health_private.org_ids() IS 'Calls integration_health_org_ids.';
