-- ---------------------------------------------------------------------------------------------
-- Alerts: an outbox of what somebody must be told. A row is written in the transaction of its cause, once per cause, handed
-- out to one worker at a time until one reports that it was delivered, and given up after the eighth attempt.
-- ---------------------------------------------------------------------------------------------

-- @since 1.1
CREATE TABLE @extschema@.integration_alerts (
  alert_id         uuid NOT NULL,
  kind             text NOT NULL,
  org_id           uuid,
  integration_type text COLLATE pg_catalog."C",
  incident_id      uuid,
  payload          jsonb NOT NULL,
  created_at       timestamptz NOT NULL,
  due_at           timestamptz NOT NULL,
  attempt          integer NOT NULL,
  claimed_at       timestamptz,
  lease_until      timestamptz,
  delivered_at     timestamptz,
  died_at          timestamptz,
  error            text,
  PRIMARY KEY (alert_id),
  CONSTRAINT kind_is_known CHECK (kind IN (
    'incident_opened', 'incident_reminded', 'incident_resolved', 'sync_late', 'sync_missed', 'type_passive', 'type_active',
    'monitor_silent', 'credential_expires')),
  CONSTRAINT attempt_is_not_negative CHECK (attempt >= 0)
) WITH (fillfactor = 70);
CREATE INDEX integration_alerts_due ON @extschema@.integration_alerts (due_at) WHERE delivered_at IS NULL AND died_at IS NULL;
CREATE INDEX integration_alerts_dead ON @extschema@.integration_alerts (died_at) WHERE died_at IS NOT NULL;
CREATE INDEX integration_alerts_incident ON @extschema@.integration_alerts (incident_id);
CREATE INDEX integration_alerts_pair ON @extschema@.integration_alerts (org_id, integration_type);
CREATE INDEX integration_alerts_created ON @extschema@.integration_alerts (created_at);
ALTER TABLE @extschema@.integration_alerts ENABLE ROW LEVEL SECURITY;
CREATE VIEW integration_health_private.alerts WITH (security_invoker = true) AS
  SELECT a.alert_id, a.kind, a.org_id, a.integration_type, a.incident_id, a.payload, a.created_at, a.due_at, a.attempt,
         a.claimed_at, a.lease_until, a.delivered_at, a.died_at, a.error
    FROM @extschema@.integration_alerts a;
-- @end
COMMENT ON TABLE @extschema@.integration_alerts IS
  'What somebody must be told, and whether it was delivered. Written by the extension, and read by the writer.';
COMMENT ON COLUMN @extschema@.integration_alerts.alert_id IS
  'Key, derived from the cause of the alert, so that a cause makes one alert. The same for every attempt.';
COMMENT ON COLUMN @extschema@.integration_alerts.kind IS 'What has happened: see docs/alerts.md.';
COMMENT ON COLUMN @extschema@.integration_alerts.org_id IS 'Organisation; null for an alert of a type, or of all.';
COMMENT ON COLUMN @extschema@.integration_alerts.integration_type IS 'External system; null for an alert of all.';
COMMENT ON COLUMN @extschema@.integration_alerts.incident_id IS 'Incident that the alert is about; null when it is about none.';
COMMENT ON COLUMN @extschema@.integration_alerts.payload IS 'The message, a JSON object.';
COMMENT ON COLUMN @extschema@.integration_alerts.created_at IS 'When the cause happened.';
COMMENT ON COLUMN @extschema@.integration_alerts.due_at IS
  'When the alert may be handed out next; infinity while it waits for an earlier alert of the same incident.';
COMMENT ON COLUMN @extschema@.integration_alerts.attempt IS 'How often it was handed out.';
COMMENT ON COLUMN @extschema@.integration_alerts.claimed_at IS 'When it was last handed out; null if it never was.';
COMMENT ON COLUMN @extschema@.integration_alerts.lease_until IS
  'Until when a worker has it to deliver; null when none has, or it has reported.';
COMMENT ON COLUMN @extschema@.integration_alerts.delivered_at IS 'When delivery was reported; null if it was not.';
COMMENT ON COLUMN @extschema@.integration_alerts.died_at IS 'When it was given up; null if it was not.';
COMMENT ON COLUMN @extschema@.integration_alerts.error IS 'What the last failed attempt reported.';
COMMENT ON INDEX @extschema@.integration_alerts_due IS 'Serves claim_alerts.';
COMMENT ON INDEX @extschema@.integration_alerts_dead IS 'Serves get_alert_backlog.';
COMMENT ON INDEX @extschema@.integration_alerts_incident IS 'Finds the alerts of an incident.';
COMMENT ON INDEX @extschema@.integration_alerts_pair IS 'Finds the alerts of a pair.';
COMMENT ON INDEX @extschema@.integration_alerts_created IS 'Serves the cleanup.';
COMMENT ON VIEW integration_health_private.alerts IS 'integration_alerts, for PL/pgSQL (see names.sql).';

CREATE FUNCTION integration_health_private.alert_id(cause text)
RETURNS uuid
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN substr(encode(sha256(convert_to(cause, 'UTF8')), 'hex'), 1, 32)::uuid;
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_id(text) IS
  'Returns the key of the alert that a cause makes: the first 128 bits of its SHA-256.';

CREATE FUNCTION integration_health_private.alert_payload(
  kind text, id uuid, created_at timestamptz, org_id uuid, integration_type text, display_name text, facts jsonb)
RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN jsonb_build_object(
    'kind', kind, 'alert_id', id, 'created_at', integration_health_private.utc_text(created_at), 'org_id', org_id,
    'integration_type', integration_type, 'display_name', display_name) || facts;
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_payload(text, uuid, timestamptz, uuid, text, text, jsonb) IS
  'Returns what an alert says.';

CREATE FUNCTION integration_health_private.enqueue_alert(
  kind text, cause text, org_id uuid, integration_type text, facts jsonb)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  id uuid := integration_health_private.alert_id($1 || ':' || $2);
  moment timestamptz := clock_timestamp();
BEGIN
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_alerts'));
  INSERT INTO integration_health_private.alerts AS a (
    alert_id, kind, org_id, integration_type, payload, created_at, due_at, attempt)
  VALUES (id, $1, $3, $4,
          integration_health_private.alert_payload($1, id, moment, $3, $4, integration_health_private.display_name($4), $5),
          moment, moment, 0)
      ON CONFLICT DO NOTHING;
  RETURN FOUND;
END
$$;
COMMENT ON FUNCTION integration_health_private.enqueue_alert(text, text, uuid, text, jsonb) IS
  'Writes the alert of a kind that a cause makes, unless it is there, and returns whether it was not. Errors: 55000 as '
  'require_own_triggers.';

CREATE FUNCTION integration_health_private.wait_after(attempt integer)
RETURNS interval
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT ('{5 seconds,5 minutes,30 minutes,2 hours,5 hours,10 hours,10 hours}'::interval[])[attempt];
END;
COMMENT ON FUNCTION integration_health_private.wait_after(integer) IS
  'Returns how long an alert waits after that attempt has failed; null: it is given up.';

CREATE FUNCTION integration_health_private.release_alert(incident_id uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE integration_health_private.alerts AS a SET due_at = clock_timestamp()
   WHERE a.incident_id = $1 AND NOT isfinite(a.due_at) AND COALESCE(a.delivered_at, a.died_at) IS NULL
     AND NOT EXISTS (SELECT FROM integration_health_private.alerts AS e
                      WHERE e.incident_id = $1 AND isfinite(e.due_at) AND COALESCE(e.delivered_at, e.died_at) IS NULL);
END
$$;
COMMENT ON FUNCTION integration_health_private.release_alert(uuid) IS
  'Lets the alert be handed out that waited for earlier ones of the same incident, if none of them is left.';

CREATE FUNCTION integration_health_private.alert_lease(lease interval)
RETURNS interval
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  length interval := interval '1 microsecond' * integration_health_private.micros(lease);
BEGIN
  IF length IS NULL OR length < interval '1 second' OR length > interval '1 day' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'lease must be between 1 second and 1 day',
      HINT = 'Leave the argument out for 1 minute.';
  END IF;
  RETURN length;
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_lease(interval) IS
  'Returns how long a worker has an alert, as a time span. Errors: 22023 when that is null or not 1 second to 1 day.';

CREATE FUNCTION integration_health_private.lease_alerts(max_rows integer, lease interval)
RETURNS TABLE (alert_id uuid, kind text, org_id uuid, integration_type text, attempt integer, payload jsonb)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET enable_seqscan = off SET jit = off SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  moment timestamptz;
  length interval;
  alert record;
BEGIN
  PERFORM integration_health_private.require_max_rows(max_rows);
  length := integration_health_private.alert_lease(lease);
  -- Also where no job runs, the alerts of a type's pairs give way to one alert of the type.
  PERFORM integration_health_private.watch_types();
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_alerts'));
  moment := clock_timestamp();
  FOR alert IN
    WITH picked AS MATERIALIZED (
      SELECT p.alert_id, p.attempt > 0 AND integration_health_private.wait_after(p.attempt) IS NULL AS is_used_up
        FROM integration_health_private.alerts AS p
       WHERE p.delivered_at IS NULL AND p.died_at IS NULL AND p.due_at <= moment
       ORDER BY p.due_at LIMIT max_rows FOR UPDATE SKIP LOCKED
    )
    UPDATE integration_health_private.alerts AS a
       SET attempt = CASE WHEN p.is_used_up THEN a.attempt ELSE a.attempt + 1 END,
           claimed_at = CASE WHEN p.is_used_up THEN a.claimed_at ELSE moment END,
           due_at = moment + length,
           lease_until = CASE WHEN NOT p.is_used_up THEN moment + length END,
           died_at = CASE WHEN p.is_used_up THEN moment END,
           error = CASE WHEN p.is_used_up THEN 'the worker of the last attempt reported nothing' ELSE a.error END
      FROM picked AS p WHERE a.alert_id = p.alert_id
    RETURNING a.alert_id, a.kind, a.org_id, a.integration_type, a.incident_id, a.attempt, a.payload, a.died_at
  LOOP
    IF alert.died_at IS NOT NULL THEN
      PERFORM integration_health_private.release_alert(alert.incident_id);
    ELSE
      alert_id := alert.alert_id;
      kind := alert.kind;
      org_id := alert.org_id;
      integration_type := alert.integration_type;
      attempt := alert.attempt;
      payload := alert.payload;
      RETURN NEXT;
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.lease_alerts(integer, interval) IS 'Does the work of claim_alerts.';

CREATE FUNCTION @extschema@.claim_alerts(max_rows integer DEFAULT 100, lease interval DEFAULT '1 minute')
RETURNS TABLE (alert_id uuid, kind text, org_id uuid, integration_type text, attempt integer, payload jsonb)
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT l.alert_id, l.kind, l.org_id, l.integration_type, l.attempt, l.payload
    FROM integration_health_private.lease_alerts(claim_alerts.max_rows, claim_alerts.lease) AS l;
END;
COMMENT ON FUNCTION @extschema@.claim_alerts(integer, interval) IS
  'Hands out at most max_rows alerts that are due, each to one caller, who delivers it and reports by finish_alert. What is '
  'not reported within lease (1 second to 1 day) is handed out again, so an alert may be delivered twice, with the same '
  'alert_id. The alert that a pair has an incident waits for 60 seconds, in case its whole type fails. Errors: 22023 when '
  'max_rows is null or below 1, or lease is null or out of range; 55000 when somebody else has a trigger or rule on the '
  'tables.';

CREATE FUNCTION integration_health_private.end_lease(id uuid, of_attempt integer, is_delivered boolean, message text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET enable_seqscan = off SET jit = off SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  about uuid;
  is_over boolean;
BEGIN
  PERFORM integration_health_private.require_arguments(
    '{alert_id,attempt,delivered}', ARRAY[id IS NULL, of_attempt IS NULL, is_delivered IS NULL]);
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_alerts'));
  -- A delivery counts whoever made it, a failure only if nobody else has taken over.
  UPDATE integration_health_private.alerts AS a
     SET lease_until = NULL, delivered_at = CASE WHEN is_delivered THEN moment END,
         died_at = CASE WHEN NOT is_delivered AND integration_health_private.wait_after(a.attempt) IS NULL THEN moment END,
         due_at = CASE WHEN is_delivered THEN a.due_at
                       ELSE COALESCE(moment + integration_health_private.wait_after(a.attempt), a.due_at) END,
         error = CASE WHEN is_delivered THEN NULL ELSE "left"(COALESCE(message, 'no reason was given'), 2000) END
   WHERE a.alert_id = id AND a.delivered_at IS NULL AND a.claimed_at IS NOT NULL
     AND (is_delivered OR a.died_at IS NULL AND a.attempt = of_attempt)
  RETURNING a.incident_id, a.delivered_at IS NOT NULL OR a.died_at IS NOT NULL INTO about, is_over;
  IF is_over THEN
    PERFORM integration_health_private.release_alert(about);
  END IF;
  RETURN is_over IS NOT NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.end_lease(uuid, integer, boolean, text) IS 'Does the work of finish_alert.';

CREATE FUNCTION @extschema@.finish_alert(alert_id uuid, attempt integer, delivered boolean, error text DEFAULT NULL)
RETURNS boolean
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.end_lease($1, $2, $3, $4);
END;
COMMENT ON FUNCTION @extschema@.finish_alert(uuid, integer, boolean, text) IS
  'Reports whether an alert was delivered, by the attempt that claim_alerts handed out, and returns true. If it was not, '
  'error says why (the first 2000 characters are kept), and the alert is handed out again after 5 seconds, 5 minutes, 30 '
  'minutes, 2, 5, 10 and 10 hours; then it is given up, and get_alert_backlog shows it. Returns false, and changes nothing, '
  'when the alert was delivered before or no longer exists, or a failure is reported of an attempt that is not the last. '
  'Errors: 22023 when alert_id, attempt or delivered is null, 55000 when somebody else has a trigger or rule on the tables.';

CREATE FUNCTION integration_health_private.revive_alert(id uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_arguments('{alert_id}', ARRAY[id IS NULL]);
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_alerts'));
  UPDATE integration_health_private.alerts AS a SET died_at = NULL, due_at = clock_timestamp(), attempt = 0
   WHERE a.alert_id = id AND a.died_at IS NOT NULL AND a.delivered_at IS NULL;
  RETURN FOUND;
END
$$;
COMMENT ON FUNCTION integration_health_private.revive_alert(uuid) IS 'Does the work of retry_alert, for callers who may.';

CREATE FUNCTION integration_health_private.revive_alert_as_admin(id uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  RETURN integration_health_private.revive_alert(id);
END
$$;
COMMENT ON FUNCTION integration_health_private.revive_alert_as_admin(uuid) IS
  'Calls revive_alert for global admins. Errors: as require_admin_role.';

CREATE FUNCTION @extschema@.retry_alert(alert_id uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF has_function_privilege('integration_health_private.revive_alert(uuid)', 'EXECUTE') THEN
    RETURN integration_health_private.revive_alert(alert_id);
  END IF;
  RETURN integration_health_private.revive_alert_as_admin(alert_id);
END
$$;
COMMENT ON FUNCTION @extschema@.retry_alert(uuid) IS
  'Lets an alert that was given up be handed out again, with all its attempts, and returns true; false when it was not given '
  'up. For the writer and global admins. Errors: 22023 when alert_id is null, 42501 for readers without the admin role.';

CREATE FUNCTION integration_health_private.alert_backlog(max_rows integer)
RETURNS TABLE (
  alert_id uuid, kind text, org_id uuid, integration_type text, state text, created_at timestamptz, due_at timestamptz,
  attempt integer, error text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT b.alert_id, b.kind, b.org_id, b.integration_type, b.state, b.created_at, b.due_at, b.attempt, b.error
    FROM ((SELECT d.alert_id, d.kind, d.org_id, d.integration_type, 'dead'::text AS state, d.created_at,
                  NULL::timestamptz AS due_at, d.attempt, d.error, 1 AS rank
             FROM @extschema@.integration_alerts d
            WHERE d.died_at IS NOT NULL AND d.delivered_at IS NULL ORDER BY d.died_at LIMIT alert_backlog.max_rows)
          UNION ALL
          (SELECT w.alert_id, w.kind, w.org_id, w.integration_type,
                  CASE WHEN w.due_at = 'infinity' THEN 'held'
                       WHEN w.lease_until > pg_catalog.now() THEN 'claimed'
                       ELSE 'waiting' END,
                  w.created_at, NULLIF(w.due_at, 'infinity'), w.attempt, w.error, 2
             FROM @extschema@.integration_alerts w
            WHERE w.delivered_at IS NULL AND w.died_at IS NULL ORDER BY w.due_at LIMIT alert_backlog.max_rows)) b
   ORDER BY b.rank, b.due_at NULLS LAST, b.created_at, b.alert_id LIMIT alert_backlog.max_rows;
END;
COMMENT ON FUNCTION integration_health_private.alert_backlog(integer) IS 'Runs the query of get_alert_backlog.';

CREATE FUNCTION integration_health_private.alert_backlog_for_writer(max_rows integer)
RETURNS TABLE (
  alert_id uuid, kind text, org_id uuid, integration_type text, state text, created_at timestamptz, due_at timestamptz,
  attempt integer, error text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_max_rows(max_rows);
  PERFORM integration_health_private.require_all_rows(integration_health_private.relation('integration_alerts'));
  RETURN QUERY SELECT * FROM integration_health_private.alert_backlog(max_rows);
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_backlog_for_writer(integer) IS
  'Does the work of get_alert_backlog, for callers who may see all of it.';

CREATE FUNCTION integration_health_private.alert_backlog_for_admin(max_rows integer)
RETURNS TABLE (
  alert_id uuid, kind text, org_id uuid, integration_type text, state text, created_at timestamptz, due_at timestamptz,
  attempt integer, error text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  RETURN QUERY SELECT * FROM integration_health_private.alert_backlog_for_writer(max_rows);
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_backlog_for_admin(integer) IS
  'Calls alert_backlog_for_writer for global admins. Errors: as require_admin_role.';

CREATE FUNCTION @extschema@.get_alert_backlog(max_rows integer DEFAULT 100)
RETURNS TABLE (
  alert_id uuid, kind text, org_id uuid, integration_type text, state text, created_at timestamptz, due_at timestamptz,
  attempt integer, error text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF has_function_privilege('integration_health_private.alert_backlog_for_writer(integer)', 'EXECUTE') THEN
    RETURN QUERY SELECT * FROM integration_health_private.alert_backlog_for_writer(max_rows);
  ELSE
    RETURN QUERY SELECT * FROM integration_health_private.alert_backlog_for_admin(max_rows);
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.get_alert_backlog(integer) IS
  'Returns at most max_rows alerts that are not delivered: first those that are dead, given up after the eighth attempt, '
  'then the others by due_at. state is dead, waiting (for its time, or for somebody to claim it), claimed (a worker is '
  'delivering it), or held (an earlier alert of the same incident comes first); error is what the last failed attempt '
  'reported. For the writer and global admins. Errors: 42501 for readers without the admin role, 22023 when max_rows is '
  'null or below 1, or for malformed claims, 55000 when row-level security applies to the owner of the function.';
