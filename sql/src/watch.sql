-- ---------------------------------------------------------------------------------------------
-- The watch, a job of every minute: finds what no check tells of
-- ---------------------------------------------------------------------------------------------

-- A type fails when at least 10 of its pairs do, and a fifth of them; less than half of that ends it. Failures that are not
-- confirmed count, since the checks of a type are spread over its check_interval: when the first pair has failed twice, most
-- of the others have failed once.
CREATE FUNCTION integration_health_private.failing_limit(pairs numeric)
RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT GREATEST(10, 0.2 * pairs);
END;
COMMENT ON FUNCTION integration_health_private.failing_limit(numeric) IS
  'Returns from how many failing pairs on a type of so many fails.';

CREATE FUNCTION integration_health_private.type_failures()
RETURNS TABLE (integration_type text, failing bigint, fails boolean, recovered boolean, incident_id uuid)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT t.integration_type, c.failing, c.failing >= integration_health_private.failing_limit(c.total),
         c.failing < integration_health_private.failing_limit(c.total) / 2, i.incident_id
    FROM @extschema@.integration_types t
    LEFT JOIN (SELECT d.integration_type, pg_catalog.sum(d.delta)::bigint AS total,
                      COALESCE(pg_catalog.sum(d.delta) FILTER (WHERE d.status = 'unhealthy'), 0)::bigint AS failing
                 FROM @extschema@.integration_health_counts d GROUP BY d.integration_type) AS n
      ON n.integration_type = t.integration_type
   CROSS JOIN LATERAL (SELECT COALESCE(n.total, 0), COALESCE(n.failing, 0)) AS c (total, failing)
    LEFT JOIN @extschema@.integration_incidents i
      ON i.integration_type = t.integration_type AND i.org_id IS NULL AND i.resolved_at IS NULL
   WHERE i.incident_id IS NOT NULL OR c.failing >= integration_health_private.failing_limit(c.total)
   ORDER BY t.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.type_failures() IS
  'Returns the types of which so many pairs fail that it is an incident of the type, and those that have one (incident_id), '
  'in byte order, so that two who open incidents of types cannot deadlock.';

CREATE FUNCTION integration_health_private.is_muted(incident integration_health_private.incidents)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN cardinality(integration_health_private.muted(ARRAY[incident.org_id], incident.integration_type)) > 0;
END
$$;
COMMENT ON FUNCTION integration_health_private.is_muted(integration_health_private.incidents) IS
  'Returns whether no alert is made of an incident now.';

CREATE FUNCTION integration_health_private.tell_of(incident integration_health_private.incidents)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF integration_health_private.is_muted(incident) THEN
    RETURN 0;
  END IF;
  UPDATE integration_health_private.incidents AS i SET alerted_at = clock_timestamp()
   WHERE i.incident_id = incident.incident_id;
  RETURN integration_health_private.alert_opened(ARRAY[incident]);
END
$$;
COMMENT ON FUNCTION integration_health_private.tell_of(integration_health_private.incidents) IS
  'Writes the alert of an open incident, whose row must be locked, unless it is muted, and returns how many it wrote. Errors: '
  'as alert_incidents.';

CREATE FUNCTION integration_health_private.open_type_incident(of_type text, failing bigint)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  incident integration_health_private.incidents;
BEGIN
  -- The first of its pairs that has a confirmed incident; without one, a single bad round of checks is none.
  SELECT i.* INTO incident FROM integration_health_private.incidents AS i
   WHERE i.integration_type = of_type AND i.org_id IS NOT NULL AND i.resolved_at IS NULL
   ORDER BY i.started_at LIMIT 1;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  INSERT INTO integration_health_private.incidents (
    incident_id, org_id, integration_type, cause, started_at, confirmed_at, failures)
  VALUES (gen_random_uuid(), NULL, of_type, incident.cause, incident.started_at,
          GREATEST(clock_timestamp(), incident.started_at), failing)
      ON CONFLICT DO NOTHING
  RETURNING * INTO incident;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  PERFORM integration_health_private.send_incident(incident, 'opened');
  RETURN integration_health_private.tell_of(incident);
END
$$;
COMMENT ON FUNCTION integration_health_private.open_type_incident(text, bigint) IS
  'Opens an incident of a type of which so many pairs fail, unless it has one or none of its pairs has, and returns the '
  'number of alerts written. Errors: as alert_incidents.';

CREATE FUNCTION integration_health_private.withdraw_alerts(of_type text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Incidents are locked before alerts, here as in a check that resolves one.
  WITH picked AS MATERIALIZED (
    SELECT i.incident_id FROM integration_health_private.incidents AS i
     WHERE i.integration_type = of_type AND i.org_id IS NOT NULL AND i.resolved_at IS NULL AND i.alerted_at IS NOT NULL
       AND EXISTS (SELECT FROM integration_health_private.alerts AS a
                    WHERE a.incident_id = i.incident_id AND a.kind = 'incident_opened' AND a.claimed_at IS NULL)
       FOR UPDATE SKIP LOCKED
  ), gone AS (
    DELETE FROM integration_health_private.alerts AS a USING picked AS p
     WHERE a.incident_id = p.incident_id AND a.kind = 'incident_opened' AND a.claimed_at IS NULL
    RETURNING a.incident_id
  )
  UPDATE integration_health_private.incidents AS i SET alerted_at = NULL FROM gone AS g WHERE i.incident_id = g.incident_id;
END
$$;
COMMENT ON FUNCTION integration_health_private.withdraw_alerts(text) IS
  'Withdraws the alerts of incidents of a type''s pairs that nobody has claimed yet.';

CREATE FUNCTION integration_health_private.watch_types()
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  type record;
  incident integration_health_private.incidents;
  alerts bigint := 0;
BEGIN
  FOR type IN SELECT f.* FROM integration_health_private.type_failures() AS f LOOP
    PERFORM integration_health_private.guard('integration_incidents', 'integration_alerts');
    IF type.incident_id IS NULL THEN
      alerts := alerts + integration_health_private.open_type_incident(type.integration_type, type.failing);
      PERFORM integration_health_private.withdraw_alerts(type.integration_type);
      CONTINUE;
    END IF;
    SELECT i.* INTO incident FROM integration_health_private.incidents AS i
     WHERE i.incident_id = type.incident_id AND i.resolved_at IS NULL FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      CONTINUE;
    ELSIF type.recovered THEN
      PERFORM integration_health_private.resolve_incident(incident, clock_timestamp());
      CONTINUE;
    ELSIF type.failing > incident.failures THEN
      UPDATE integration_health_private.incidents AS i SET failures = type.failing WHERE i.incident_id = incident.incident_id;
    END IF;
    PERFORM integration_health_private.withdraw_alerts(type.integration_type);
  END LOOP;
  RETURN alerts;
END
$$;
COMMENT ON FUNCTION integration_health_private.watch_types() IS
  'Opens and resolves the incidents of types, and withdraws the alerts of pairs whose type has one; returns the number of '
  'alerts written. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.tell_of_open(max_rows integer)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  incident integration_health_private.incidents;
  failing_types text[] := integration_health_private.failing_types();
  alerts bigint := 0;
BEGIN
  -- What was muted and is no longer.
  FOR incident IN
    SELECT i.* FROM integration_health_private.incidents AS i
     WHERE i.resolved_at IS NULL AND i.alerted_at IS NULL
       AND (i.org_id IS NULL OR i.integration_type <> ALL (failing_types))
     ORDER BY i.started_at LIMIT max_rows FOR UPDATE OF i SKIP LOCKED
  LOOP
    alerts := alerts + integration_health_private.tell_of(incident);
  END LOOP;
  FOR incident IN
    SELECT i.* FROM integration_health_private.incidents AS i
     WHERE i.resolved_at IS NULL AND i.acknowledged_at IS NULL AND i.alerted_at < clock_timestamp() - interval '24 hours'
     ORDER BY i.alerted_at LIMIT max_rows FOR UPDATE SKIP LOCKED
  LOOP
    IF NOT integration_health_private.is_muted(incident) THEN
      alerts := alerts + integration_health_private.alert_incidents(
        ARRAY[incident], 'incident_reminded', ':' || integration_health_private.utc_text(incident.alerted_at),
        clock_timestamp());
      UPDATE integration_health_private.incidents AS i SET alerted_at = clock_timestamp()
       WHERE i.incident_id = incident.incident_id;
    END IF;
  END LOOP;
  RETURN alerts;
END
$$;
COMMENT ON FUNCTION integration_health_private.tell_of_open(integer) IS
  'Writes the alerts of open incidents that were muted and no longer are, and every 24 hours a reminder of those that nobody '
  'has acknowledged, at most max_rows of each, and returns how many. Errors: as alert_incidents.';

-- Late checks are not in a row with the others, and unknown ones neither count nor break the row.
CREATE FUNCTION integration_health_private.recovered_incidents()
RETURNS TABLE (incident_id uuid, recovered_at timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT i.incident_id, g.checked_at
    FROM @extschema@.integration_incidents i
    JOIN @extschema@.integration_types t ON t.integration_type = i.integration_type
    JOIN @extschema@.integration_health_status s ON s.org_id = i.org_id AND s.integration_type = i.integration_type
   CROSS JOIN LATERAL (
         SELECT h.checked_at
           FROM @extschema@.integration_health_history h
          WHERE h.org_id = i.org_id AND h.integration_type = i.integration_type AND h.is_late IS NULL AND h.status <= 'degraded'
            AND h.check_no > COALESCE((
                  SELECT pg_catalog.max(f.check_no) FROM @extschema@.integration_health_history f
                   WHERE f.org_id = i.org_id AND f.integration_type = i.integration_type AND f.is_late IS NULL
                     AND f.status = 'unhealthy'), 0)
          ORDER BY h.check_no LIMIT 1 OFFSET t.success_threshold - 1) g
   WHERE i.resolved_at IS NULL AND i.org_id IS NOT NULL AND s.consecutive_failures = 0;
END;
COMMENT ON FUNCTION integration_health_private.recovered_incidents() IS
  'Returns the open incidents of pairs that have had success_threshold healthy or degraded checks since their last failure, '
  'and when the last of these was made.';

CREATE FUNCTION integration_health_private.resolve_recovered()
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  found_one record;
  incident integration_health_private.incidents;
BEGIN
  FOR found_one IN SELECT r.* FROM integration_health_private.recovered_incidents() AS r LOOP
    SELECT i.* INTO incident FROM integration_health_private.incidents AS i
     WHERE i.incident_id = found_one.incident_id AND i.resolved_at IS NULL FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
      PERFORM integration_health_private.resolve_incident(incident, found_one.recovered_at);
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.resolve_recovered() IS
  'Resolves what recovered_incidents returns. Errors: as resolve_incident.';

CREATE FUNCTION integration_health_private.oldest_due()
RETURNS TABLE (integration_type text, check_interval interval, due_at timestamptz)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT t.integration_type, t.check_interval, (
         SELECT GREATEST(m.due_at, '2000-01-01 00:00:00+00'::timestamptz) FROM @extschema@.integration_monitors m
          WHERE m.integration_type = t.integration_type AND m.enabled ORDER BY m.due_at LIMIT 1)
    FROM @extschema@.integration_types t
   WHERE t.monitoring_mode = 'active'
     AND integration_health_private.has_waited(t.passive_until, t.max_backoff, pg_catalog.now());
END;
COMMENT ON FUNCTION integration_health_private.oldest_due() IS
  'Returns for each type that is checked when the pair is due that is claimed next (from 2000 on); null when the type has no '
  'enabled monitor.';

CREATE FUNCTION integration_health_private.silent_since()
RETURNS TABLE (since timestamptz, types jsonb)
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
  SELECT pg_catalog.min(d.due_at), pg_catalog.jsonb_agg(d.integration_type ORDER BY d.integration_type)
    FROM integration_health_private.oldest_due() d
   WHERE d.due_at < pg_catalog.now() - d.check_interval;
END;
COMMENT ON FUNCTION integration_health_private.silent_since() IS
  'Returns since when a pair is due that nobody has claimed for a check_interval (from 2000 on), and the types of such '
  'pairs; null when there is none. The longest due are claimed first, so nobody claims any, or not enough.';

CREATE FUNCTION integration_health_private.watch_monitor()
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  silent record;
BEGIN
  SELECT * INTO silent FROM integration_health_private.silent_since();
  IF silent.since IS NULL THEN
    RETURN 0;
  END IF;
  RETURN integration_health_private.enqueue_alert(
    'monitor_silent', integration_health_private.utc_text(silent.since), NULL, NULL,
    jsonb_build_object('since', integration_health_private.utc_text(silent.since), 'types', silent.types))::integer;
END
$$;
COMMENT ON FUNCTION integration_health_private.watch_monitor() IS
  'Writes an alert when the health monitor has claimed nothing for a check_interval, and returns the number of alerts '
  'written. Errors: as enqueue_alert.';

CREATE FUNCTION integration_health_private.credential_cause(
  org_id uuid, integration_type text, expires_at timestamptz, days integer)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT pg_catalog.format('%s:%s:%s:%s', org_id, integration_type, integration_health_private.utc_text(expires_at), days);
END;
COMMENT ON FUNCTION integration_health_private.credential_cause(uuid, text, timestamptz, integer) IS
  'Returns what tells the alert that a credential of a pair expires within so many days from every other.';

CREATE FUNCTION integration_health_private.expiring_credentials(max_rows integer)
RETURNS TABLE (org_id uuid, integration_type text, expires_at timestamptz, days integer)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT m.org_id, m.integration_type, m.credential_expires_at, b.days
    FROM @extschema@.integration_monitors m
   CROSS JOIN LATERAL (
         SELECT CASE WHEN m.credential_expires_at <= pg_catalog.now() + interval '24 hours' THEN 1
                     WHEN m.credential_expires_at <= pg_catalog.now() + interval '168 hours' THEN 7 ELSE 14 END) AS b (days)
   WHERE m.credential_expires_at > pg_catalog.now() AND m.credential_expires_at <= pg_catalog.now() + interval '336 hours'
     AND NOT EXISTS (
         SELECT FROM @extschema@.integration_alerts a
          WHERE a.alert_id = integration_health_private.alert_id('credential_expires:'
                || integration_health_private.credential_cause(m.org_id, m.integration_type, m.credential_expires_at, b.days)))
   ORDER BY m.credential_expires_at LIMIT expiring_credentials.max_rows;
END;
COMMENT ON FUNCTION integration_health_private.expiring_credentials(integer) IS
  'Returns at most max_rows pairs whose credential expires within 14, 7 or 1 days and of which no alert says so.';

CREATE FUNCTION integration_health_private.watch_credentials(max_rows integer)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  credential record;
  alerts bigint := 0;
BEGIN
  FOR credential IN SELECT e.* FROM integration_health_private.expiring_credentials(max_rows) AS e LOOP
    alerts := alerts + integration_health_private.enqueue_alert(
      'credential_expires', integration_health_private.credential_cause(
        credential.org_id, credential.integration_type, credential.expires_at, credential.days),
      credential.org_id, credential.integration_type,
      jsonb_build_object('expires_at', integration_health_private.utc_text(credential.expires_at),
                         'within_days', credential.days))::integer;
  END LOOP;
  RETURN alerts;
END
$$;
COMMENT ON FUNCTION integration_health_private.watch_credentials(integer) IS
  'Writes the alerts of credentials that expire soon, at most max_rows, and returns how many. Errors: as enqueue_alert.';

-- due_at stays where it is until a period ends, so a schedule that nobody runs makes one alert, however many periods it
-- misses. One that has been given up is told of when its last attempt ends.
CREATE FUNCTION integration_health_private.unrun_schedules(max_rows integer)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, scheduled_for timestamptz, missed bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT s.org_id, s.integration_type, s.due_at, n.scheduled_for, n.missed
    FROM (SELECT c.org_id, c.integration_type, c.due_at
            FROM @extschema@.integration_sync_schedules c
           WHERE c.enabled AND c.due_at <= pg_catalog.now()
             AND @extschema@.integration_sync_is_late(pg_catalog.now() - c.due_at)
             AND NOT EXISTS (
                 SELECT FROM @extschema@.integration_alerts a
                  WHERE a.alert_id = integration_health_private.alert_id('sync_missed:'
                        || @extschema@.integration_sync_key(c.org_id, c.integration_type, c.due_at)))
           ORDER BY c.due_at DESC LIMIT unrun_schedules.max_rows) s
   CROSS JOIN LATERAL (
         SELECT pg_catalog.min(m.scheduled_for), pg_catalog.count(*)
           FROM integration_health_private.missed_syncs(
                  s.org_id, GREATEST(s.due_at, pg_catalog.now() - interval '24 hours')) m
          WHERE m.integration_type = s.integration_type) AS n (scheduled_for, missed)
   WHERE n.missed > 0;
END;
COMMENT ON FUNCTION integration_health_private.unrun_schedules(integer) IS
  'Returns at most max_rows schedules that have missed periods within 24 hours, the first of these and their number, and of '
  'which no alert says so.';

CREATE FUNCTION integration_health_private.watch_syncs(max_rows integer)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  schedule record;
  alerts bigint := 0;
BEGIN
  FOR schedule IN
    SELECT u.*, count(*) OVER (PARTITION BY u.integration_type) AS schedules
      FROM integration_health_private.unrun_schedules(max_rows) AS u
  LOOP
    -- When no worker runs, one alert of the type an hour says so.
    alerts := alerts + CASE WHEN schedule.schedules < 20 THEN
      integration_health_private.enqueue_alert(
        'sync_missed',
        integration_health_private.sync_key(schedule.org_id, schedule.integration_type, schedule.due_at),
        schedule.org_id, schedule.integration_type,
        jsonb_build_object('scheduled_for', integration_health_private.utc_text(schedule.scheduled_for),
                           'missed', schedule.missed))
    ELSE
      integration_health_private.enqueue_alert(
        'sync_missed',
        schedule.integration_type || ':' || integration_health_private.utc_text(date_trunc('hour', now(), 'UTC')),
        NULL, schedule.integration_type,
        jsonb_build_object('schedules', schedule.schedules))
    END::integer;
  END LOOP;
  RETURN alerts;
END
$$;
COMMENT ON FUNCTION integration_health_private.watch_syncs(integer) IS
  'Writes the alerts of schedules that have missed periods, at most max_rows, and returns how many: one of each, or, when '
  'there are 20 or more of a type, one of the type. Errors: as enqueue_alert.';

CREATE FUNCTION @extschema@.integration_health_watch(max_rows integer DEFAULT 1000)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET enable_seqscan = off SET jit = off SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  alerts bigint;
BEGIN
  PERFORM integration_health_private.require_max_rows(max_rows);
  PERFORM integration_health_private.guard('integration_incidents', 'integration_alerts');
  PERFORM integration_health_private.resolve_recovered();
  alerts := integration_health_private.watch_types()
            + integration_health_private.tell_of_open(max_rows)
            + integration_health_private.watch_monitor()
            + integration_health_private.watch_credentials(max_rows)
            + integration_health_private.watch_syncs(max_rows);
  IF integration_health_private.note_job('integration_health_watch') THEN
    PERFORM integration_health_private.keep_samples();
  END IF;
  RETURN alerts;
END
$$;
COMMENT ON FUNCTION @extschema@.integration_health_watch(integer) IS
  'For a job of every minute: opens and resolves the incidents of types, resolves incidents of pairs whose '
  'success_threshold is above 1, and writes the alerts that no check makes, at most max_rows of each kind: of open incidents '
  'whose maintenance has ended, reminders, a silent monitor, credentials that expire soon, and missed syncs. Measures what '
  'get_health_metrics reports of incidents, alerts and syncs. Returns how many alerts it wrote. Errors: 22023 when max_rows '
  'is null or below 1, 55000 when somebody else has a trigger or rule on the tables.';
