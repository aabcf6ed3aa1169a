-- ---------------------------------------------------------------------------------------------
-- Incidents: confirmed outages of a pair, or of most pairs of a type. A single failure of a pair is none. At most one
-- incident of a pair, and one of a type, is open.
-- ---------------------------------------------------------------------------------------------

-- A session plans the statements of failing checks when there is no incident yet, and may keep the plans while 100,000 pairs
-- fail. Of an empty table all plans cost the same, so no index but the two that begin with org_id may serve to find the open
-- incident of a pair. The same is true of the alerts of an incident.
-- @since 1.1
CREATE TABLE @extschema@.integration_incidents (
  incident_id      uuid NOT NULL,
  org_id           uuid,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  cause            @extschema@.integration_failure_cause,
  started_at       timestamptz NOT NULL,
  confirmed_at     timestamptz NOT NULL,
  resolved_at      timestamptz,
  failures         integer NOT NULL,
  alerted_at       timestamptz,
  acknowledged_at  timestamptz,
  acknowledged_by  text,
  note             text,
  PRIMARY KEY (incident_id),
  CONSTRAINT confirmed_at_is_not_before_started_at CHECK (confirmed_at >= started_at),
  CONSTRAINT failures_is_not_negative CHECK (failures >= 0),
  CONSTRAINT note_is_at_most_2000_characters CHECK (pg_catalog.length(note) <= 2000)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX integration_incidents_open ON @extschema@.integration_incidents (org_id, integration_type)
  WHERE resolved_at IS NULL AND org_id IS NOT NULL;
CREATE UNIQUE INDEX integration_incidents_open_of_type ON @extschema@.integration_incidents (integration_type)
  WHERE resolved_at IS NULL AND org_id IS NULL;
CREATE INDEX integration_incidents_pair ON @extschema@.integration_incidents (org_id, integration_type, started_at);
CREATE INDEX integration_incidents_resolved ON @extschema@.integration_incidents (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX integration_incidents_unalerted ON @extschema@.integration_incidents (started_at)
  WHERE resolved_at IS NULL AND alerted_at IS NULL;
CREATE INDEX integration_incidents_alerted ON @extschema@.integration_incidents (alerted_at)
  WHERE resolved_at IS NULL AND acknowledged_at IS NULL;
ALTER TABLE @extschema@.integration_incidents ENABLE ROW LEVEL SECURITY;
CREATE POLICY integration_incidents_read ON @extschema@.integration_incidents
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
CREATE VIEW integration_health_private.incidents WITH (security_invoker = true) AS
  SELECT i.incident_id, i.org_id, i.integration_type, i.cause, i.started_at, i.confirmed_at, i.resolved_at, i.failures,
         i.alerted_at, i.acknowledged_at, i.acknowledged_by, i.note
    FROM @extschema@.integration_incidents i;
-- @end
COMMENT ON TABLE @extschema@.integration_incidents IS
  'Confirmed outages of pairs and types. Written by the extension.';
COMMENT ON COLUMN @extschema@.integration_incidents.incident_id IS 'Key.';
COMMENT ON COLUMN @extschema@.integration_incidents.org_id IS 'Organisation; null for an incident of the type.';
COMMENT ON COLUMN @extschema@.integration_incidents.integration_type IS 'External system.';
COMMENT ON COLUMN @extschema@.integration_incidents.cause IS
  'Cause that the first failing check with one gave; null when none gave any.';
COMMENT ON COLUMN @extschema@.integration_incidents.started_at IS 'When the first failing check was made.';
COMMENT ON COLUMN @extschema@.integration_incidents.confirmed_at IS
  'When the check was made that reached failure_threshold; of a type, when the watch found it.';
COMMENT ON COLUMN @extschema@.integration_incidents.resolved_at IS
  'When the check was made that reached success_threshold; null while the incident is open.';
COMMENT ON COLUMN @extschema@.integration_incidents.failures IS
  'Number of failing checks; of a type, the highest number of failing pairs.';
COMMENT ON COLUMN @extschema@.integration_incidents.alerted_at IS
  'When an alert was last made; null while there is none, because of maintenance or an incident of the type.';
COMMENT ON COLUMN @extschema@.integration_incidents.acknowledged_at IS 'When somebody took it on; null if nobody has.';
COMMENT ON COLUMN @extschema@.integration_incidents.acknowledged_by IS 'Who did: sub of the claims; null when they have none.';
COMMENT ON COLUMN @extschema@.integration_incidents.note IS 'What they noted, at most 2000 characters.';
COMMENT ON INDEX @extschema@.integration_incidents_open IS 'At most one incident of a pair is open.';
COMMENT ON INDEX @extschema@.integration_incidents_open_of_type IS 'At most one incident of a type is open.';
COMMENT ON INDEX @extschema@.integration_incidents_pair IS 'Serves get_org_incidents.';
COMMENT ON INDEX @extschema@.integration_incidents_resolved IS 'Serves the reports on all organisations, and the cleanup.';
COMMENT ON INDEX @extschema@.integration_incidents_unalerted IS 'Finds the open incidents that nobody was told of.';
COMMENT ON INDEX @extschema@.integration_incidents_alerted IS 'Finds the open incidents to remind of.';
COMMENT ON POLICY integration_incidents_read ON @extschema@.integration_incidents IS
  'Callers see the organisations that their claims name.';
COMMENT ON VIEW integration_health_private.incidents IS 'integration_incidents, for PL/pgSQL (see names.sql).';

CREATE FUNCTION integration_health_private.send_incident(incident integration_health_private.incidents, happened text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.send_change(format(
    '{"event": "incident", "what": "%s", "incident_id": "%s", "org_id": %s, "integration_type": %s, "started_at": "%s"}',
    happened, incident.incident_id, COALESCE(to_json(incident.org_id)::text, 'null'), to_json(incident.integration_type),
    integration_health_private.utc_text(incident.started_at)));
END
$$;
COMMENT ON FUNCTION integration_health_private.send_incident(integration_health_private.incidents, text) IS
  'Sends the event that an incident was opened, acknowledged or resolved.';

CREATE FUNCTION integration_health_private.alert_incident(
  incident integration_health_private.incidents, kind text, occasion text, due_at timestamptz)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN integration_health_private.enqueue_alert(
    kind, incident.incident_id::text || occasion, incident.org_id, incident.integration_type, incident.incident_id, due_at,
    jsonb_build_object(
      'incident_id', incident.incident_id, 'cause', incident.cause, 'failures', incident.failures,
      'started_at', integration_health_private.utc_text(incident.started_at),
      'confirmed_at', integration_health_private.utc_text(incident.confirmed_at),
      'resolved_at', integration_health_private.utc_text(incident.resolved_at)));
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_incident(
  integration_health_private.incidents, text, text, timestamptz) IS
  'Writes an alert of an incident, once for each occasion. Errors: as enqueue_alert.';

-- Whatever tells of an incident waits for these to end; the watch then tells of what is still open.
CREATE FUNCTION integration_health_private.is_muted(of_org uuid, of_type text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN integration_health_private.is_maintained(of_org, of_type, clock_timestamp())
      OR of_org IS NOT NULL
         AND EXISTS (SELECT FROM integration_health_private.incidents AS i
                      WHERE i.integration_type = of_type AND i.org_id IS NULL AND i.resolved_at IS NULL);
END
$$;
COMMENT ON FUNCTION integration_health_private.is_muted(uuid, text) IS
  'Returns whether no alert is made of an incident of a pair now (of_org null: of a type): it is under maintenance, or its '
  'type has an incident.';

CREATE FUNCTION integration_health_private.open_alert(incident integration_health_private.incidents)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
BEGIN
  IF integration_health_private.is_muted(incident.org_id, incident.integration_type) THEN
    RETURN NULL;
  END IF;
  PERFORM integration_health_private.alert_incident(
    incident, 'incident_opened', '', moment + CASE WHEN incident.org_id IS NULL THEN interval '0' ELSE interval '60 seconds' END);
  RETURN moment;
END
$$;
COMMENT ON FUNCTION integration_health_private.open_alert(integration_health_private.incidents) IS
  'Writes the alert that an incident was opened, unless it is muted, and returns when; null when it is. That of a pair is '
  'not handed out for 60 seconds, in which it may turn out that all of the type fail. Errors: as enqueue_alert.';

CREATE FUNCTION integration_health_private.first_failure(of_org uuid, of_type text)
RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (
    SELECT t.at FROM integration_health_private.transitions AS t
     WHERE t.org_id = of_org AND t.integration_type = of_type AND t.to_status = 'unhealthy'
       AND t.check_no > COALESCE((
             SELECT g.check_no FROM integration_health_private.transitions AS g
              WHERE g.org_id = of_org AND g.integration_type = of_type AND g.to_status <= 'degraded'
              ORDER BY g.check_no DESC LIMIT 1), 0)
     ORDER BY t.check_no LIMIT 1);
END
$$;
COMMENT ON FUNCTION integration_health_private.first_failure(uuid, text) IS
  'Returns when the first of the failures in a row of a pair was; checks that were unknown may lie between them.';

CREATE FUNCTION integration_health_private.confirmed_by(of_type text, cause @extschema@.integration_failure_cause)
RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- A credential that was refused once is refused again.
  RETURN CASE cause WHEN 'auth' THEN 1 ELSE (integration_health_private.latest_type(of_type)).failure_threshold END;
END
$$;
COMMENT ON FUNCTION integration_health_private.confirmed_by(text, @extschema@.integration_failure_cause) IS
  'Returns how many failures in a row make an incident of a pair: failure_threshold of its type, but 1 for cause auth.';

CREATE FUNCTION integration_health_private.follow_failure(
  org_id uuid, integration_type text, failures integer, checked_at timestamptz, cause @extschema@.integration_failure_cause)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  incident integration_health_private.incidents;
BEGIN
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_incidents'));
  UPDATE integration_health_private.incidents AS i SET failures = i.failures + 1, cause = COALESCE(i.cause, $5)
   WHERE i.org_id = $1 AND i.integration_type = $2 AND i.resolved_at IS NULL;
  IF FOUND OR failures < integration_health_private.confirmed_by(integration_type, cause) THEN
    RETURN;
  END IF;
  incident.incident_id := gen_random_uuid();
  incident.org_id := org_id;
  incident.integration_type := integration_type;
  incident.cause := cause;
  incident.started_at := LEAST(
    CASE WHEN failures > 1 THEN integration_health_private.first_failure(org_id, integration_type) END, checked_at);
  incident.confirmed_at := checked_at;
  incident.failures := failures;
  incident.alerted_at := integration_health_private.open_alert(incident);
  INSERT INTO integration_health_private.incidents SELECT (incident).*;
  IF NOT FOUND THEN
    PERFORM integration_health_private.refuse_intrusion('integration_incidents');
  END IF;
  PERFORM integration_health_private.send_incident(incident, 'opened');
END
$$;
COMMENT ON FUNCTION integration_health_private.follow_failure(
  uuid, text, integer, timestamptz, @extschema@.integration_failure_cause) IS
  'Called after a failing check that left its pair with that many failures in a row: opens an incident when they reach '
  'failure_threshold of the type, 1 for cause auth, or counts the failure in the open one. Errors: 55000 when a trigger or '
  'rule of the site is in the way.';

CREATE FUNCTION integration_health_private.resolve_incident(
  incident integration_health_private.incidents, resolved_at timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  is_told boolean;
BEGIN
  UPDATE integration_health_private.incidents AS i SET resolved_at = GREATEST($2, i.confirmed_at)
   WHERE i.incident_id = incident.incident_id AND i.resolved_at IS NULL
  RETURNING i.* INTO incident;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  PERFORM integration_health_private.send_incident(incident, 'resolved');
  IF incident.alerted_at IS NULL THEN
    RETURN;
  END IF;
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_alerts'));
  -- What no worker has seen yet has become pointless. Waits for a claim that is handing it out.
  DELETE FROM integration_health_private.alerts AS a WHERE a.incident_id = incident.incident_id AND a.claimed_at IS NULL;
  -- Writes the rows, although they stay as they are: a report of one in another session, which releases the alert that is
  -- written below, is waited for or waits.
  WITH handed_out AS (
    UPDATE integration_health_private.alerts AS a SET due_at = a.due_at WHERE a.incident_id = incident.incident_id
    RETURNING a.delivered_at IS NULL AND a.died_at IS NULL AS is_under_way
  )
  SELECT bool_or(h.is_under_way) INTO is_told FROM handed_out AS h;
  IF is_told IS NOT NULL THEN
    PERFORM integration_health_private.alert_incident(
      incident, 'incident_resolved', '', CASE WHEN is_told THEN 'infinity' ELSE clock_timestamp() END);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.resolve_incident(integration_health_private.incidents, timestamptz) IS
  'Resolves an open incident, and writes the alert of it if anybody was told that it was opened: an alert that no worker has '
  'seen is withdrawn instead, and one that is being delivered comes first. Errors: as enqueue_alert.';

CREATE FUNCTION integration_health_private.follow_recovery(org_id uuid, integration_type text, checked_at timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  incident integration_health_private.incidents;
BEGIN
  SELECT i.* INTO incident FROM integration_health_private.incidents AS i
   WHERE i.org_id = $1 AND i.integration_type = $2 AND i.resolved_at IS NULL;
  IF FOUND AND (integration_health_private.latest_type(integration_type)).success_threshold = 1 THEN
    PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_incidents'));
    PERFORM integration_health_private.resolve_incident(incident, checked_at);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.follow_recovery(uuid, text, timestamptz) IS
  'Called after the check that ended a series of failures: resolves the incident of the pair, if one such check is enough '
  'for the type; otherwise the watch does, when there were enough. Errors: 55000 when a trigger or rule of the site is in '
  'the way.';

CREATE FUNCTION integration_health_private.acknowledge_any(id uuid, message text)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  incident integration_health_private.incidents;
BEGIN
  PERFORM integration_health_private.require_arguments('{incident_id}', ARRAY[id IS NULL]);
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_incidents'));
  UPDATE integration_health_private.incidents AS i
     SET acknowledged_at = clock_timestamp(), acknowledged_by = integration_health_private.claimed_subject(), note = message
   WHERE i.incident_id = id
  RETURNING i.* INTO incident;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'there is no such incident',
      HINT = 'get_org_incidents() lists the incidents of an organisation.';
  END IF;
  PERFORM integration_health_private.send_incident(incident, 'acknowledged');
  RETURN incident.acknowledged_at;
END
$$;
COMMENT ON FUNCTION integration_health_private.acknowledge_any(uuid, text) IS
  'Does the work of acknowledge_incident, for callers who may.';

CREATE FUNCTION integration_health_private.acknowledge_own(id uuid, message text)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_claims();
  IF NOT EXISTS (SELECT FROM integration_health_private.incidents AS i
                  WHERE i.incident_id = id AND i.org_id = ANY (integration_health_private.org_ids())) THEN
    PERFORM integration_health_private.require_admin_role();
  END IF;
  RETURN integration_health_private.acknowledge_any(id, message);
END
$$;
COMMENT ON FUNCTION integration_health_private.acknowledge_own(uuid, text) IS
  'Calls acknowledge_any for members of the organisation that has the incident, and for global admins. Errors: 42501 for '
  'others, whether there is such an incident or not.';

CREATE FUNCTION @extschema@.acknowledge_incident(incident_id uuid, note text DEFAULT NULL)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF has_function_privilege('integration_health_private.acknowledge_any(uuid, text)', 'EXECUTE') THEN
    RETURN integration_health_private.acknowledge_any(incident_id, note);
  END IF;
  RETURN integration_health_private.acknowledge_own(incident_id, note);
END
$$;
COMMENT ON FUNCTION @extschema@.acknowledge_incident(uuid, text) IS
  'Says that the caller has taken on an incident, with a note of at most 2000 characters, and returns when: nobody is '
  'reminded of it any more. Later calls replace who, when and the note. For members of the organisation, global admins and '
  'the writer. Errors: 42501 for others, whether there is such an incident or not; 22023 when incident_id is null, there is '
  'no such incident, or the claims are malformed; 23514 when the note is too long; 55000 when somebody else has a trigger '
  'or rule on the tables.';

CREATE FUNCTION integration_health_private.org_incidents(org_id uuid, since timestamptz)
RETURNS TABLE (
  incident_id uuid, integration_type text, display_name text, cause @extschema@.integration_failure_cause,
  started_at timestamptz, confirmed_at timestamptz, resolved_at timestamptz, failures integer, acknowledged_at timestamptz,
  acknowledged_by text, note text)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT i.incident_id, i.integration_type, t.display_name, i.cause, i.started_at, i.confirmed_at, i.resolved_at, i.failures,
         i.acknowledged_at, i.acknowledged_by, i.note
    FROM @extschema@.integration_incidents i
    JOIN @extschema@.integration_types t ON t.integration_type = i.integration_type
   WHERE i.org_id = org_incidents.org_id AND (i.resolved_at IS NULL OR i.resolved_at > org_incidents.since)
   ORDER BY i.resolved_at IS NOT NULL, i.started_at DESC, i.incident_id;
END;
COMMENT ON FUNCTION integration_health_private.org_incidents(uuid, timestamptz) IS 'Runs the query of get_org_incidents.';

CREATE FUNCTION @extschema@.get_org_incidents(org_id uuid, days integer DEFAULT 30)
RETURNS TABLE (
  incident_id uuid, integration_type text, display_name text, cause @extschema@.integration_failure_cause,
  started_at timestamptz, confirmed_at timestamptz, resolved_at timestamptz, failures integer, acknowledged_at timestamptz,
  acknowledged_by text, note text)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  since timestamptz := integration_health_private.readable_since_days(days);
BEGIN
  RETURN QUERY SELECT * FROM integration_health_private.org_incidents(get_org_incidents.org_id, since);
END
$$;
COMMENT ON FUNCTION @extschema@.get_org_incidents(uuid, integer) IS
  'Returns the incidents of an organisation that are open (resolved_at is null) or were resolved within the last days (1 to '
  '90), the open ones first, then the latest. No rows for a caller who may not see the organisation. Errors: 22023 when days '
  'is null or outside 1 to 90, or for malformed claims.';

CREATE FUNCTION integration_health_private.global_incidents(since timestamptz, max_rows integer)
RETURNS TABLE (
  incident_id uuid, org_id uuid, integration_type text, display_name text, cause @extschema@.integration_failure_cause,
  started_at timestamptz, confirmed_at timestamptz, resolved_at timestamptz, failures integer, acknowledged_at timestamptz,
  acknowledged_by text, note text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT i.incident_id, i.org_id, i.integration_type, t.display_name, i.cause, i.started_at, i.confirmed_at, i.resolved_at,
         i.failures, i.acknowledged_at, i.acknowledged_by, i.note
    FROM @extschema@.integration_incidents i
    JOIN @extschema@.integration_types t ON t.integration_type = i.integration_type
   WHERE i.resolved_at IS NULL OR i.resolved_at > global_incidents.since
   ORDER BY i.resolved_at IS NOT NULL, i.org_id IS NOT NULL, i.started_at DESC, i.incident_id
   LIMIT global_incidents.max_rows;
END;
COMMENT ON FUNCTION integration_health_private.global_incidents(timestamptz, integer) IS
  'Runs the query of get_global_incidents.';

CREATE FUNCTION @extschema@.get_global_incidents(days integer DEFAULT 30, max_rows integer DEFAULT 100)
RETURNS TABLE (
  incident_id uuid, org_id uuid, integration_type text, display_name text, cause @extschema@.integration_failure_cause,
  started_at timestamptz, confirmed_at timestamptz, resolved_at timestamptz, failures integer, acknowledged_at timestamptz,
  acknowledged_by text, note text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  since timestamptz;
BEGIN
  PERFORM integration_health_private.require_admin_role();
  since := integration_health_private.days_start(days);
  PERFORM integration_health_private.require_max_rows(max_rows);
  PERFORM integration_health_private.require_all_rows(integration_health_private.relation('integration_incidents'));
  RETURN QUERY SELECT * FROM integration_health_private.global_incidents(since, max_rows);
END
$$;
COMMENT ON FUNCTION @extschema@.get_global_incidents(integer, integer) IS
  'Returns at most max_rows incidents of all organisations that are open or were resolved within the last days (1 to 90): the '
  'open ones first, of these the types'' own (org_id is null), then the latest. Errors: 42501 as get_global_health_summary, '
  '22023 when days is null or outside 1 to 90, max_rows is null or below 1, or for malformed claims, 55000 when row-level '
  'security applies to the owner of the function.';
