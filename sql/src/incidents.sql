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

CREATE FUNCTION integration_health_private.alert_incidents(
  incidents integration_health_private.incidents[], kind text, occasion text, due_at timestamptz)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  moment timestamptz := clock_timestamp();
  display_name text := integration_health_private.display_name(incidents[1].integration_type);
  written bigint;
BEGIN
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_alerts'));
  INSERT INTO integration_health_private.alerts AS a (
    alert_id, kind, org_id, integration_type, incident_id, payload, created_at, due_at, attempt)
  SELECT e.alert_id, $2, i.org_id, i.integration_type, i.incident_id,
         integration_health_private.alert_payload(
           $2, e.alert_id, moment, i.org_id, i.integration_type, display_name,
           jsonb_build_object(
             'incident_id', i.incident_id, 'cause', i.cause, 'failures', i.failures,
             'started_at', integration_health_private.utc_text(i.started_at),
             'confirmed_at', integration_health_private.utc_text(i.confirmed_at),
             'resolved_at', integration_health_private.utc_text(i.resolved_at))),
         moment, $4, 0
    FROM unnest($1) AS i
   CROSS JOIN LATERAL integration_health_private.alert_id($2 || ':' || i.incident_id::text || $3) AS e (alert_id)
      ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS written = ROW_COUNT;
  RETURN written;
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_incidents(
  integration_health_private.incidents[], text, text, timestamptz) IS
  'Writes the alerts of incidents of one type, one of each for each occasion, and returns how many were not there yet. '
  'Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.failing_types()
RETURNS text[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN ARRAY(SELECT i.integration_type FROM integration_health_private.incidents AS i
                WHERE i.org_id IS NULL AND i.resolved_at IS NULL);
END
$$;
COMMENT ON FUNCTION integration_health_private.failing_types() IS 'Returns the types that have an open incident.';

-- Whatever tells of an incident waits for these to end; the watch then tells of what is still open.
CREATE FUNCTION integration_health_private.muted(org_ids uuid[], of_type text)
RETURNS uuid[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  type_fails boolean := of_type = ANY (integration_health_private.failing_types());
BEGIN
  RETURN ARRAY(
    SELECT o.org_id FROM unnest(org_ids) AS o (org_id)
     WHERE EXISTS (SELECT FROM integration_health_private.maintenance AS m
                    WHERE m.ends_at > moment AND m.starts_at <= moment AND (m.org_id IS NULL OR m.org_id = o.org_id)
                      AND (m.integration_type IS NULL OR m.integration_type = of_type))
        OR o.org_id IS NOT NULL AND type_fails);
END
$$;
COMMENT ON FUNCTION integration_health_private.muted(uuid[], text) IS
  'Returns those of the organisations of whose incidents of a type no alert is made now: all pairs of the type or those of '
  'the organisation are under maintenance, or the type has an incident. Null stands for the incident of the type.';

CREATE FUNCTION integration_health_private.alert_opened(incidents integration_health_private.incidents[])
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN integration_health_private.alert_incidents(
    incidents, 'incident_opened', '',
    clock_timestamp() + CASE WHEN incidents[1].org_id IS NULL THEN interval '0' ELSE interval '60 seconds' END);
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_opened(integration_health_private.incidents[]) IS
  'Writes the alerts that incidents of pairs of one type, or one of a type, were opened. Those of pairs are not handed out '
  'for 60 seconds, in which it may turn out that all of the type fail. Errors: as alert_incidents.';

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

CREATE FUNCTION integration_health_private.open_incidents(
  type @extschema@.integration_types, org_ids uuid[], failures integer[], checked_at timestamptz[],
  causes @extschema@.integration_failure_cause[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  mutes uuid[];
  opened integration_health_private.incidents[];
  told integration_health_private.incidents[];
  written bigint;
BEGIN
  mutes := integration_health_private.muted(org_ids, type.integration_type);
  opened := ARRAY(
    SELECT ROW(gen_random_uuid(), f.org_id, type.integration_type, f.cause,
               LEAST(CASE WHEN f.failures > 1
                          THEN integration_health_private.first_failure(f.org_id, type.integration_type) END, f.checked_at),
               f.checked_at, NULL, f.failures, CASE WHEN f.org_id = ANY (mutes) THEN NULL ELSE moment END, NULL, NULL,
               NULL)::integration_health_private.incidents
      FROM unnest($2, $3, $4, $5) AS f (org_id, failures, checked_at, cause)
        -- A credential that was refused once is refused again.
     WHERE f.failures >= CASE f.cause WHEN 'auth' THEN 1 ELSE type.failure_threshold END
       AND (SELECT i.incident_id FROM integration_health_private.incidents AS i
             WHERE i.org_id = f.org_id AND i.integration_type = type.integration_type AND i.resolved_at IS NULL
             LIMIT 1) IS NULL);
  IF cardinality(opened) = 0 THEN
    RETURN;
  END IF;
  INSERT INTO integration_health_private.incidents SELECT o.* FROM unnest(opened) AS o;
  GET DIAGNOSTICS written = ROW_COUNT;
  IF written < cardinality(opened) THEN
    PERFORM integration_health_private.refuse_intrusion('integration_incidents');
  END IF;
  told := ARRAY(SELECT o FROM unnest(opened) AS o WHERE o.alerted_at IS NOT NULL);
  IF cardinality(told) > 0 THEN
    PERFORM integration_health_private.alert_opened(told);
  END IF;
  PERFORM integration_health_private.send_incident(o, 'opened') FROM unnest(opened) AS o;
END
$$;
COMMENT ON FUNCTION integration_health_private.open_incidents(
  @extschema@.integration_types, uuid[], integer[], timestamptz[], @extschema@.integration_failure_cause[]) IS
  'Opens an incident of each pair of a type whose failures in a row have reached failure_threshold, 1 for cause auth, and '
  'that has none open, and writes the alert of each unless it is muted. Errors: as follow_failures.';

CREATE FUNCTION integration_health_private.follow_failures(
  org_ids uuid[], integration_types text[], failures integer[], checked_at timestamptz[],
  causes @extschema@.integration_failure_cause[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  found_one record;
BEGIN
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_incidents'));
  -- By LATERAL and LIMIT, here and below, because a join could be planned to begin with the incidents while there are none.
  FOR found_one IN
    SELECT o.incident_id, f.cause
      FROM unnest($1, $2, $5) AS f (org_id, integration_type, cause)
     CROSS JOIN LATERAL (SELECT i.incident_id FROM integration_health_private.incidents AS i
                          WHERE i.org_id = f.org_id AND i.integration_type = f.integration_type AND i.resolved_at IS NULL
                          LIMIT 1) AS o
  LOOP
    UPDATE integration_health_private.incidents AS i
       SET failures = i.failures + 1, cause = COALESCE(i.cause, found_one.cause)
     WHERE i.incident_id = found_one.incident_id AND i.resolved_at IS NULL;
  END LOOP;
  PERFORM integration_health_private.open_incidents(
            integration_health_private.latest_type(f.integration_type), f.org_ids, f.failures, f.checked_at, f.causes)
     FROM (SELECT n.integration_type, array_agg(n.org_id) AS org_ids, array_agg(n.failures) AS failures,
                  array_agg(n.checked_at) AS checked_at, array_agg(n.cause) AS causes
             FROM unnest($1, $2, $3, $4, $5) AS n (org_id, integration_type, failures, checked_at, cause)
            GROUP BY n.integration_type) AS f;
END
$$;
COMMENT ON FUNCTION integration_health_private.follow_failures(
  uuid[], text[], integer[], timestamptz[], @extschema@.integration_failure_cause[]) IS
  'Called after failing checks that left their pairs with that many failures in a row: counts each in the open incident of '
  'the pair, or calls open_incidents. Errors: 55000 when a trigger or rule of the site is in the way.';

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
    PERFORM integration_health_private.alert_incidents(
      ARRAY[incident], 'incident_resolved', '', CASE WHEN is_told THEN 'infinity' ELSE clock_timestamp() END);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.resolve_incident(integration_health_private.incidents, timestamptz) IS
  'Resolves an open incident, and writes the alert of it if anybody was told that it was opened: an alert that no worker has '
  'seen is withdrawn instead, and one that is being delivered comes first. Errors: as alert_incidents.';

CREATE FUNCTION integration_health_private.follow_recoveries(
  org_ids uuid[], integration_types text[], checked_at timestamptz[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  recovered record;
BEGIN
  FOR recovered IN
    SELECT o.incident, r.checked_at
      FROM unnest($1, $2, $3) AS r (org_id, integration_type, checked_at)
     CROSS JOIN LATERAL (SELECT i AS incident FROM integration_health_private.incidents AS i
                          WHERE i.org_id = r.org_id AND i.integration_type = r.integration_type AND i.resolved_at IS NULL
                          LIMIT 1) AS o
     WHERE (integration_health_private.latest_type(r.integration_type)).success_threshold = 1
  LOOP
    PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_incidents'));
    PERFORM integration_health_private.resolve_incident(recovered.incident, recovered.checked_at);
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.follow_recoveries(uuid[], text[], timestamptz[]) IS
  'Called after checks that ended a series of failures: resolves the incidents of their pairs where one such check is enough '
  'for the type; elsewhere the watch does, when there were enough. Errors: 55000 when a trigger or rule of the site is in '
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
