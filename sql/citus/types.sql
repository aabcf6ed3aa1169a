-- Incidents and alerts of types, in tables of their own

CREATE FUNCTION integration_health_private.enqueue_alert(
  kind text, cause text, org_id uuid, integration_type text, facts jsonb)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF $3 IS NULL THEN
    RETURN @extschema@.enqueue_type_alert($1, $2, NULL, $4, $5, clock_timestamp());
  ELSIF @extschema@.is_on_shard() THEN
    RETURN @extschema@.enqueue_alert($1, $2, $3, $4, $5);
  END IF;
  RETURN (
    SELECT j::boolean
      FROM @extschema@.for_organisation(
             $3,
             'SELECT to_jsonb(@extschema@.enqueue_alert($1 ->> ''kind'', $1 ->> ''cause'', ($1 ->> ''org_id'')::uuid, '
             '$1 ->> ''type'', $1 -> ''facts''))',
             jsonb_build_object('kind', $1, 'cause', $2, 'org_id', $3, 'type', $4, 'facts', $5)) AS j);
END
$$;
COMMENT ON FUNCTION integration_health_private.enqueue_alert(text, text, uuid, text, jsonb) IS
  'Writes the alert of a kind that a cause makes, unless it is there, and returns whether it was not. Errors: 55000 as '
  'require_own_triggers.';

CREATE FUNCTION @extschema@.enqueue_type_alert(
  kind text, cause text, of_incident uuid, integration_type text, facts jsonb, due_at timestamptz)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  id uuid := integration_health_private.alert_id($1 || ':' || $2);
  moment timestamptz := clock_timestamp();
  message jsonb := integration_health_private.alert_payload(
    $1, id, moment, NULL, $4, integration_health_private.display_name($4), $5);
  written bigint;
BEGIN
  INSERT INTO @extschema@.type_alerts AS a (alert_id, kind, integration_type, incident_id, payload, created_at, due_at, attempt)
  VALUES (id, $1, $4, $3, message, moment, $6, 0)
      ON CONFLICT (alert_id) DO NOTHING;
  GET DIAGNOSTICS written = ROW_COUNT;
  RETURN written > 0;
END
$$;
COMMENT ON FUNCTION @extschema@.enqueue_type_alert(text, text, uuid, text, jsonb, timestamptz) IS
  'Writes the alert of a kind that a cause makes about a type, or about all, unless it is there, and returns whether it was not.';

CREATE FUNCTION integration_health_private.failing_types()
RETURNS text[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN ARRAY(SELECT i.integration_type FROM @extschema@.type_incidents AS i WHERE i.resolved_at IS NULL);
END
$$;
COMMENT ON FUNCTION integration_health_private.failing_types() IS 'Returns the types that have an open incident.';

CREATE FUNCTION @extschema@.alert_type_incident(incident @extschema@.type_incidents, kind text, occasion text, due_at timestamptz)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN @extschema@.enqueue_type_alert(
    kind, incident.incident_id::text || occasion, incident.incident_id, incident.integration_type,
    jsonb_build_object(
      'incident_id', incident.incident_id, 'cause', incident.cause, 'failures', incident.failures,
      'started_at', integration_health_private.utc_text(incident.started_at),
      'confirmed_at', integration_health_private.utc_text(incident.confirmed_at),
      'resolved_at', integration_health_private.utc_text(incident.resolved_at)), due_at)::integer;
END
$$;
COMMENT ON FUNCTION @extschema@.alert_type_incident(@extschema@.type_incidents, text, text, timestamptz) IS
  'Writes an alert of an incident of a type, one for each occasion, and returns how many were not there yet.';

CREATE FUNCTION @extschema@.tell_of_type(incident @extschema@.type_incidents)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
BEGIN
  IF incident.alerted_at > moment - interval '24 hours'
     OR incident.alerted_at IS NOT NULL AND incident.acknowledged_at IS NOT NULL
     OR cardinality(integration_health_private.muted(ARRAY[NULL::uuid], incident.integration_type)) > 0 THEN
    RETURN 0;
  END IF;
  UPDATE @extschema@.type_incidents AS i SET alerted_at = moment WHERE i.incident_id = incident.incident_id;
  IF incident.alerted_at IS NULL THEN
    RETURN @extschema@.alert_type_incident(incident, 'incident_opened', '', moment);
  END IF;
  RETURN @extschema@.alert_type_incident(
    incident, 'incident_reminded', ':' || integration_health_private.utc_text(incident.alerted_at), moment);
END
$$;
COMMENT ON FUNCTION @extschema@.tell_of_type(@extschema@.type_incidents) IS
  'Writes the alert of an open incident of a type, or every 24 hours a reminder, unless it is muted, and returns how many.';

CREATE FUNCTION @extschema@.resolve_type_incident(incident @extschema@.type_incidents)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  is_told boolean;
BEGIN
  incident.resolved_at := GREATEST(clock_timestamp(), incident.confirmed_at);
  UPDATE @extschema@.type_incidents AS i SET resolved_at = incident.resolved_at WHERE i.incident_id = incident.incident_id;
  PERFORM integration_health_private.send_incident(ROW(incident.*)::integration_health_private.incidents, 'resolved');
  -- What no worker has seen yet has become pointless.
  DELETE FROM @extschema@.type_alerts AS a WHERE a.incident_id = incident.incident_id AND a.claimed_at IS NULL;
  SELECT bool_or(a.delivered_at IS NULL AND a.died_at IS NULL) INTO is_told
    FROM @extschema@.type_alerts AS a WHERE a.incident_id = incident.incident_id;
  IF is_told IS NOT NULL THEN
    PERFORM @extschema@.alert_type_incident(
      incident, 'incident_resolved', '', CASE WHEN is_told THEN 'infinity' ELSE clock_timestamp() END);
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.resolve_type_incident(@extschema@.type_incidents) IS
  'Resolves an incident of a type, whose row must be locked, and writes the alert if somebody was told of it.';

CREATE FUNCTION @extschema@.open_type_incident(of_type text, failing bigint)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  incident @extschema@.type_incidents;
  moment timestamptz := clock_timestamp();
BEGIN
  SELECT i.cause, i.started_at INTO incident.cause, incident.started_at
    FROM @extschema:integration_health@.integration_incidents AS i
   WHERE i.integration_type = of_type AND i.resolved_at IS NULL ORDER BY i.started_at LIMIT 1;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  incident.incident_id := gen_random_uuid();
  incident.integration_type := of_type;
  incident.confirmed_at := GREATEST(moment, incident.started_at);
  incident.failures := failing;
  INSERT INTO @extschema@.type_incidents (incident_id, integration_type, cause, started_at, confirmed_at, failures)
  VALUES (incident.incident_id, of_type, incident.cause, incident.started_at, incident.confirmed_at, incident.failures)
      ON CONFLICT (integration_type) WHERE resolved_at IS NULL DO NOTHING;
  IF NOT EXISTS (SELECT 1 FROM @extschema@.type_incidents AS i WHERE i.incident_id = incident.incident_id) THEN
    RETURN 0;
  END IF;
  PERFORM integration_health_private.send_incident(ROW(incident.*)::integration_health_private.incidents, 'opened');
  RETURN @extschema@.tell_of_type(incident);
END
$$;
COMMENT ON FUNCTION @extschema@.open_type_incident(text, bigint) IS
  'Opens an incident of a type of which so many pairs fail, unless none of them has a confirmed incident, and returns the number '
  'of alerts written.';

CREATE FUNCTION integration_health_private.watch_types()
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET citus.multi_shard_modify_mode = 'sequential' SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  type record;
  incident @extschema@.type_incidents;
  alerts bigint := 0;
BEGIN
  IF @extschema@.is_on_shard() THEN
    RETURN 0;
  END IF;
  PERFORM @extschema@.apply_notes();
  FOR type IN
    SELECT c.integration_type, sum(c.delta)::bigint AS total,
           COALESCE(sum(c.delta) FILTER (WHERE c.status = 'unhealthy'), 0)::bigint AS failing
      FROM @extschema:integration_health@.integration_health_counts AS c GROUP BY c.integration_type ORDER BY c.integration_type
  LOOP
    SELECT i.* INTO incident FROM @extschema@.type_incidents AS i
     WHERE i.integration_type = type.integration_type AND i.resolved_at IS NULL FOR UPDATE;
    IF incident.incident_id IS NULL THEN
      CONTINUE WHEN type.failing < integration_health_private.failing_limit(type.total);
      alerts := alerts + @extschema@.open_type_incident(type.integration_type, type.failing);
    ELSIF type.failing < integration_health_private.failing_limit(type.total) / 2 THEN
      PERFORM @extschema@.resolve_type_incident(incident);
      CONTINUE;
    ELSE
      alerts := alerts + @extschema@.tell_of_type(incident);
      IF type.failing > incident.failures THEN
        UPDATE @extschema@.type_incidents AS i SET failures = type.failing WHERE i.incident_id = incident.incident_id;
      END IF;
    END IF;
    PERFORM integration_health_private.withdraw_alerts(type.integration_type);
  END LOOP;
  RETURN alerts;
END
$$;
COMMENT ON FUNCTION integration_health_private.watch_types() IS
  'Opens and resolves the incidents of types, tells of them, and withdraws the alerts of pairs whose type has one; returns the '
  'number of alerts written. On a shard it does nothing.';

CREATE FUNCTION @extschema@.lease_type_alerts(max_rows integer, lease interval)
RETURNS TABLE (alert_id uuid, kind text, org_id uuid, integration_type text, attempt integer, payload jsonb)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  moment timestamptz := clock_timestamp();
  until timestamptz := moment + integration_health_private.alert_lease(lease);
  alert @extschema@.type_alerts;
BEGIN
  FOR alert IN
    SELECT a.* FROM @extschema@.type_alerts AS a
     WHERE a.delivered_at IS NULL AND a.died_at IS NULL AND a.due_at <= moment ORDER BY a.due_at LIMIT max_rows FOR UPDATE
  LOOP
    IF alert.attempt > 0 AND integration_health_private.wait_after(alert.attempt) IS NULL THEN
      UPDATE @extschema@.type_alerts AS a
         SET died_at = moment, lease_until = NULL, error = 'the worker of the last attempt reported nothing'
       WHERE a.alert_id = alert.alert_id;
      PERFORM @extschema@.release_type_alert(alert.incident_id);
      CONTINUE;
    END IF;
    UPDATE @extschema@.type_alerts AS a SET attempt = alert.attempt + 1, claimed_at = moment, due_at = until, lease_until = until
     WHERE a.alert_id = alert.alert_id;
    RETURN QUERY SELECT alert.alert_id, alert.kind, NULL::uuid, alert.integration_type, alert.attempt + 1, alert.payload;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.lease_type_alerts(integer, interval) IS 'Hands out alerts of types and of all, as claim_alerts.';

CREATE FUNCTION @extschema@.release_type_alert(of_incident uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
BEGIN
  IF NOT EXISTS (SELECT 1 FROM @extschema@.type_alerts AS e
                  WHERE e.incident_id = of_incident AND isfinite(e.due_at) AND e.delivered_at IS NULL AND e.died_at IS NULL) THEN
    UPDATE @extschema@.type_alerts AS a SET due_at = moment
     WHERE a.incident_id = of_incident AND a.due_at = 'infinity' AND a.delivered_at IS NULL AND a.died_at IS NULL;
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.release_type_alert(uuid) IS 'As release_alert, for an incident of a type.';

CREATE FUNCTION @extschema@.end_type_lease(id uuid, of_attempt integer, is_delivered boolean, message text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  alert @extschema@.type_alerts;
  wait interval;
BEGIN
  SELECT a.* INTO alert FROM @extschema@.type_alerts AS a WHERE a.alert_id = id FOR UPDATE;
  IF alert.alert_id IS NULL OR alert.delivered_at IS NOT NULL OR alert.claimed_at IS NULL
     OR NOT is_delivered AND (alert.died_at IS NOT NULL OR alert.attempt <> of_attempt) THEN
    RETURN false;
  END IF;
  wait := integration_health_private.wait_after(alert.attempt);
  alert.delivered_at := CASE WHEN is_delivered THEN moment END;
  alert.died_at := CASE WHEN NOT is_delivered AND wait IS NULL THEN moment END;
  alert.due_at := CASE WHEN is_delivered THEN alert.due_at ELSE COALESCE(moment + wait, alert.due_at) END;
  alert.error := CASE WHEN NOT is_delivered THEN "left"(COALESCE(message, 'no reason was given'), 2000) END;
  UPDATE @extschema@.type_alerts AS a
     SET lease_until = NULL, delivered_at = alert.delivered_at, died_at = alert.died_at, due_at = alert.due_at,
         error = alert.error
   WHERE a.alert_id = id;
  IF alert.delivered_at IS NOT NULL OR alert.died_at IS NOT NULL THEN
    PERFORM @extschema@.release_type_alert(alert.incident_id);
  END IF;
  RETURN true;
END
$$;
COMMENT ON FUNCTION @extschema@.end_type_lease(uuid, integer, boolean, text) IS 'As end_lease, for an alert of a type or of all.';

CREATE FUNCTION @extschema@.revive_type_alert(id uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  revived bigint;
BEGIN
  PERFORM integration_health_private.require_arguments('{alert_id}', ARRAY[id IS NULL]);
  UPDATE @extschema@.type_alerts AS a SET died_at = NULL, due_at = moment, attempt = 0
   WHERE a.alert_id = id AND a.died_at IS NOT NULL AND a.delivered_at IS NULL;
  GET DIAGNOSTICS revived = ROW_COUNT;
  RETURN revived > 0;
END
$$;
COMMENT ON FUNCTION @extschema@.revive_type_alert(uuid) IS 'As revive_alert, for an alert of a type or of all.';

CREATE FUNCTION @extschema@.acknowledge_type(id uuid, message text)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  who text := integration_health_private.claimed_subject();
  incident @extschema@.type_incidents;
BEGIN
  PERFORM integration_health_private.require_arguments('{incident_id}', ARRAY[id IS NULL]);
  UPDATE @extschema@.type_incidents AS i SET acknowledged_at = moment, acknowledged_by = who, note = message
   WHERE i.incident_id = id
  RETURNING i.* INTO incident;
  IF incident.incident_id IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'there is no such incident',
      HINT = 'get_org_incidents() lists the incidents of an organisation.';
  END IF;
  PERFORM integration_health_private.send_incident(ROW(incident.*)::integration_health_private.incidents, 'acknowledged');
  RETURN moment;
END
$$;
COMMENT ON FUNCTION @extschema@.acknowledge_type(uuid, text) IS
  'As acknowledge_any, for an incident of a type. Errors: 22023 when there is no such incident.';

CREATE FUNCTION @extschema@.lease_alerts(max_rows integer, lease interval)
RETURNS TABLE (alert_id uuid, kind text, org_id uuid, integration_type text, attempt integer, payload jsonb)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET intervalstyle = 'postgres' SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  wanted bigint := max_rows;
  leased bigint;
BEGIN
  PERFORM integration_health_private.require_max_rows(max_rows);
  PERFORM integration_health_private.watch_types();
  RETURN QUERY SELECT * FROM @extschema@.lease_type_alerts(max_rows, lease);
  GET DIAGNOSTICS leased = ROW_COUNT;
  wanted := wanted - leased;
  RETURN QUERY
    SELECT r.*
      FROM @extschema@.share_out(
             'SELECT count(*) FROM (SELECT FROM @extschema:integration_health@.integration_alerts AS a '
             'WHERE a.delivered_at IS NULL AND a.died_at IS NULL AND a.due_at <= clock_timestamp() LIMIT $1) AS d',
             format('integration_health_private.lease_alerts($1::integer, %L)', lease), wanted) AS j
     CROSS JOIN LATERAL jsonb_to_record(j) AS r (alert_id uuid, kind text, org_id uuid, integration_type text, attempt integer,
                                                 payload jsonb);
END
$$;
COMMENT ON FUNCTION @extschema@.lease_alerts(integer, interval) IS 'Does the work of claim_alerts.';

DO $$
BEGIN
  PERFORM @extschema@.replace_by(f::regprocedure, @extschema@.head_of(f::regprocedure) || l)
     FROM (VALUES
       ('@extschema:integration_health@.claim_due_health_checks(integer)',
        ' LANGUAGE sql AS $f$ SELECT * FROM @extschema@.lease_checks($1) $f$'),
       ('@extschema:integration_health@.claim_alerts(integer, interval)',
        ' LANGUAGE sql AS $f$ SELECT * FROM @extschema@.lease_alerts($1, $2) $f$')) AS c (f, l);
END
$$;
