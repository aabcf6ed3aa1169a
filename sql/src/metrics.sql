-- ---------------------------------------------------------------------------------------------
-- Metrics, for a monitoring system: by type, never by organisation. A scrape reads a few rows of each type; what would take
-- longer the watch measures, and keeps (samples.sql).
-- ---------------------------------------------------------------------------------------------

-- PostgREST answers with the media type that the name of a function's result gives (media type handlers, version 12).
-- @since 1.2
CREATE DOMAIN @extschema@."application/openmetrics-text" AS text;
-- @end
COMMENT ON DOMAIN @extschema@."application/openmetrics-text" IS
  'A text in the exposition format of OpenMetrics, and its media type.';

-- @engine edition
CREATE FUNCTION integration_health_private.edition()
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT 'c'::text;
END;
-- @end
COMMENT ON FUNCTION integration_health_private.edition() IS 'The edition that is installed: c or trusted.';

CREATE FUNCTION integration_health_private.measured_incidents()
RETURNS TABLE (metric text, labels jsonb, value double precision)
LANGUAGE sql STABLE ROWS 20
BEGIN ATOMIC
  SELECT 'integration_health_incidents_open',
         pg_catalog.jsonb_build_object(
           'integration_type', i.integration_type, 'scope', CASE WHEN i.org_id IS NULL THEN 'type' ELSE 'pair' END,
           'cause', COALESCE(i.cause::text, 'unknown')),
         pg_catalog.count(*)::double precision
    FROM @extschema@.integration_incidents i
   WHERE i.resolved_at IS NULL
   GROUP BY i.integration_type, i.org_id IS NULL, i.cause;
END;
COMMENT ON FUNCTION integration_health_private.measured_incidents() IS
  'Returns how many incidents are open, by type, scope and cause. Reads all open incidents.';

CREATE FUNCTION integration_health_private.measured_alerts()
RETURNS TABLE (metric text, labels jsonb, value double precision)
LANGUAGE sql STABLE ROWS 3
BEGIN ATOMIC
  WITH pending AS MATERIALIZED (
    SELECT pg_catalog.count(*) AS alerts, pg_catalog.min(a.created_at) AS oldest
      FROM @extschema@.integration_alerts a WHERE a.delivered_at IS NULL AND a.died_at IS NULL
  )
  SELECT 'integration_health_alerts', '{"state": "pending"}'::jsonb, p.alerts::double precision FROM pending p
  UNION ALL
  SELECT 'integration_health_alerts', '{"state": "dead"}', (
         SELECT pg_catalog.count(*) FROM @extschema@.integration_alerts d
          WHERE d.died_at IS NOT NULL AND d.delivered_at IS NULL)
  UNION ALL
  SELECT 'integration_health_alert_oldest_pending_timestamp_seconds', '{}',
         COALESCE(extract(epoch FROM p.oldest)::double precision, 0)
    FROM pending p;
END;
COMMENT ON FUNCTION integration_health_private.measured_alerts() IS
  'Returns how many alerts are not delivered, and since when the oldest of those that may still be is waiting (0: there is '
  'none). Reads all of them.';

-- A period that a worker has begun late, and is running, is no longer overdue. No wait after a failed attempt, which due_at
-- includes, is longer than a day.
CREATE FUNCTION integration_health_private.overdue_syncs()
RETURNS TABLE (integration_type text, overdue bigint)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT s.integration_type, pg_catalog.count(*)
    FROM @extschema@.integration_sync_schedules s
   WHERE s.enabled AND s.due_at <= pg_catalog.now() AND @extschema@.integration_sync_is_late(pg_catalog.now() - s.due_at)
     AND NOT EXISTS (
         SELECT FROM @extschema@.integration_sync_runs r
          WHERE r.org_id = s.org_id AND r.integration_type = s.integration_type AND r.outcome = 'running'
            AND r.lease_until >= pg_catalog.now() AND r.scheduled_for >= s.due_at - interval '1 day')
   GROUP BY s.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.overdue_syncs() IS
  'Returns how many enabled schedules of a type have been due for longer than integration_health.max_drift while nobody runs '
  'a period of them. Reads those that are due.';

CREATE FUNCTION integration_health_private.measured_syncs()
RETURNS TABLE (metric text, labels jsonb, value double precision)
LANGUAGE sql STABLE ROWS 40
BEGIN ATOMIC
  SELECT m.metric, pg_catalog.jsonb_build_object('integration_type', s.integration_type), m.value
    FROM integration_health_private.global_sync_summary(pg_catalog.now() - interval '1 hour') s
    LEFT JOIN integration_health_private.overdue_syncs() o ON o.integration_type = s.integration_type
   CROSS JOIN LATERAL (
         VALUES ('integration_health_syncs_overdue', COALESCE(o.overdue, 0)::double precision),
                ('integration_health_syncs_missed', s.missed::double precision),
                ('integration_health_syncs_late', s.late::double precision),
                ('integration_health_sync_drift_max_seconds',
                 GREATEST(0, COALESCE(extract(epoch FROM s.max_drift), 0))::double precision)) AS m (metric, value);
END;
COMMENT ON FUNCTION integration_health_private.measured_syncs() IS
  'Returns the figures of syncs, of periods within the last hour but for the overdue ones, for each type. Reads all enabled '
  'schedules.';

CREATE FUNCTION integration_health_private.forget_samples()
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  DELETE FROM integration_health_private.kept_samples k
   WHERE k.labels ? 'integration_type'
     AND NOT EXISTS (SELECT FROM @extschema@.integration_types t WHERE t.integration_type = k.labels ->> 'integration_type');
END;
COMMENT ON FUNCTION integration_health_private.forget_samples() IS 'Deletes the samples of types that no longer exist.';

-- The syncs take a time that grows with the schedules, so they are measured at most a fiftieth of the time. Unlike the rest of
-- the watch, this reads whole tables.
CREATE FUNCTION integration_health_private.keep_samples()
RETURNS void
LANGUAGE plpgsql VOLATILE SET enable_seqscan = on SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  started double precision := extract(epoch FROM clock_timestamp());
  samples integration_health_private.kept_samples[];
  of_syncs integration_health_private.kept_samples[];
BEGIN
  samples := ARRAY(
    SELECT ROW(m.metric, m.labels, m.value)::integration_health_private.kept_samples
      FROM (SELECT i.* FROM integration_health_private.measured_incidents() AS i
            UNION ALL
            SELECT a.* FROM integration_health_private.measured_alerts() AS a
            UNION ALL
            -- What there was, and is no longer.
            SELECT k.metric, k.labels, 0 FROM integration_health_private.kept_samples AS k
             WHERE k.metric = 'integration_health_incidents_open') AS m);
  IF started >= COALESCE((
       SELECT at.value + 50 * took.value
         FROM integration_health_private.kept_samples AS at, integration_health_private.kept_samples AS took
        WHERE at.metric = 'integration_health_syncs_measured_timestamp_seconds'
          AND took.metric = 'integration_health_syncs_measured_duration_seconds'), 0) THEN
    started := extract(epoch FROM clock_timestamp());
    of_syncs := ARRAY(
      SELECT ROW(m.metric, m.labels, m.value)::integration_health_private.kept_samples
        FROM integration_health_private.measured_syncs() AS m);
    samples := samples || of_syncs
      || ROW('integration_health_syncs_measured_timestamp_seconds', '{}', started)::integration_health_private.kept_samples
      || ROW('integration_health_syncs_measured_duration_seconds', '{}',
             extract(epoch FROM clock_timestamp()) - started)::integration_health_private.kept_samples;
  END IF;
  INSERT INTO integration_health_private.kept_samples AS k (metric, labels, value)
  SELECT s.metric, s.labels, max(s.value) FROM unnest(samples) AS s GROUP BY s.metric, s.labels
      ON CONFLICT (metric, labels) DO UPDATE SET value = EXCLUDED.value WHERE k.value <> EXCLUDED.value;
  PERFORM integration_health_private.forget_samples();
END
$$;
COMMENT ON FUNCTION integration_health_private.keep_samples() IS
  'Measures incidents and alerts, and syncs unless they were measured a moment ago, and keeps the samples. For the session '
  'that note_job has let through.';

-- The only list of the metrics.
CREATE FUNCTION integration_health_private.metrics()
RETURNS TABLE (number integer, metric text, kind text, unit text, help text)
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
  VALUES
  (1, 'integration_health_build_info', 'info', NULL, 'Version and edition of integration_health.'),
  (2, 'integration_health_samples_timestamp_seconds', 'gauge', 'seconds',
   'When the samples were read, by the clock of the database; an exporter may go on repeating old ones.'),
  (3, 'integration_health_pairs', 'gauge', NULL, 'Pairs of an organisation and the type by their latest status.'),
  (4, 'integration_health_type_passive', 'gauge', NULL, 'Whether the type is in passive mode: its pairs are not checked.'),
  (5, 'integration_health_type_resume_timestamp_seconds', 'gauge', 'seconds',
   'When a passive type is probed next; absent where nothing ends passive mode but a call.'),
  (6, 'integration_health_type_check_interval_seconds', 'gauge', 'seconds', 'How often each pair of the type is checked.'),
  (7, 'integration_health_check_oldest_due_age_seconds', 'gauge', 'seconds',
   'How long the check has been due that is claimed next; 0 when none is due, absent while no pair of the type is checked.'),
  (8, 'integration_health_incidents_open', 'gauge', NULL,
   'Open incidents by scope, a pair or the whole type, and cause. Measured by the watch.'),
  (9, 'integration_health_syncs_overdue', 'gauge', NULL,
   'Schedules that have been due for longer than max_drift, and that nobody runs. Measured by the watch.'),
  (10, 'integration_health_syncs_missed', 'gauge', NULL,
   'Missed periods of syncs among those of the last hour. Measured by the watch.'),
  (11, 'integration_health_syncs_late', 'gauge', NULL,
   'Runs that started later than max_drift, of periods of the last hour. Measured by the watch.'),
  (12, 'integration_health_sync_drift_max_seconds', 'gauge', 'seconds',
   'How late the latest run started, of periods of the last hour. Measured by the watch.'),
  (13, 'integration_health_syncs_measured_timestamp_seconds', 'gauge', 'seconds', 'When the watch last measured the syncs.'),
  (14, 'integration_health_syncs_measured_duration_seconds', 'gauge', 'seconds', 'How long that took.'),
  (15, 'integration_health_alerts', 'gauge', NULL,
   'Alerts that are not delivered: pending ones, and dead ones, which have been given up. Measured by the watch.'),
  (16, 'integration_health_alert_oldest_pending_age_seconds', 'gauge', 'seconds',
   'Age of the oldest pending alert; 0 when there is none. Measured by the watch.'),
  (17, 'integration_health_job_last_success_timestamp_seconds', 'gauge', 'seconds',
   'When the work of a job was last done, whoever called its function; absent where it never was.');
END;
COMMENT ON FUNCTION integration_health_private.metrics() IS
  'Returns the metrics in the order in which they are reported, with type, unit and help as OpenMetrics defines them.';

CREATE FUNCTION integration_health_private.read_samples()
RETURNS TABLE (metric text, labels jsonb, value double precision)
LANGUAGE sql STABLE ROWS 100
BEGIN ATOMIC
  SELECT 'integration_health_build_info',
         pg_catalog.jsonb_build_object('version', integration_health_private.version(),
                                       'edition', integration_health_private.edition()), 1::double precision
  UNION ALL
  SELECT 'integration_health_samples_timestamp_seconds', '{}', extract(epoch FROM pg_catalog.now())::double precision
  UNION ALL
  SELECT 'integration_health_pairs',
         pg_catalog.jsonb_build_object('integration_type', s.integration_type, 'status', c.status), c.pairs
    FROM integration_health_private.global_health_summary() s
   CROSS JOIN LATERAL (VALUES ('healthy', s.healthy), ('degraded', s.degraded), ('unhealthy', s.unhealthy),
                              ('unknown', s.unknown)) AS c (status, pairs)
  UNION ALL
  SELECT m.metric, pg_catalog.jsonb_build_object('integration_type', t.integration_type), m.value
    FROM @extschema@.integration_types t
   CROSS JOIN LATERAL (
         VALUES ('integration_health_type_passive', (t.monitoring_mode = 'passive')::integer::double precision),
                ('integration_health_type_resume_timestamp_seconds',
                 CASE WHEN t.monitoring_mode = 'passive' AND pg_catalog.isfinite(t.passive_until)
                      THEN extract(epoch FROM t.passive_until)::double precision END),
                ('integration_health_type_check_interval_seconds',
                 (integration_health_private.micros(t.check_interval) * 0.000001)::double precision)) AS m (metric, value)
   WHERE m.value IS NOT NULL
  UNION ALL
  SELECT 'integration_health_check_oldest_due_age_seconds',
         pg_catalog.jsonb_build_object('integration_type', d.integration_type),
         GREATEST(0, extract(epoch FROM pg_catalog.now() - d.due_at))::double precision
    FROM integration_health_private.oldest_due() d WHERE d.due_at IS NOT NULL
  UNION ALL
  SELECT CASE k.metric WHEN 'integration_health_alert_oldest_pending_timestamp_seconds'
                       THEN 'integration_health_alert_oldest_pending_age_seconds' ELSE k.metric END,
         k.labels,
         CASE k.metric WHEN 'integration_health_alert_oldest_pending_timestamp_seconds'
                       THEN CASE WHEN k.value > 0 THEN GREATEST(0, extract(epoch FROM pg_catalog.now()) - k.value) ELSE 0 END
                       ELSE k.value END
    FROM integration_health_private.kept_samples k;
END;
COMMENT ON FUNCTION integration_health_private.read_samples() IS 'Reads the samples of all metrics, in no order.';

CREATE FUNCTION integration_health_private.health_samples()
RETURNS TABLE (metric text, kind text, unit text, help text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET jit = off SET search_path = pg_catalog, pg_temp ROWS 100 AS $$
BEGIN
  PERFORM integration_health_private.require_all_pairs();
  PERFORM integration_health_private.require_all_rows(
    integration_health_private.relation('integration_types'), integration_health_private.relation('integration_monitors'),
    'integration_health_private.kept_samples');
  RETURN QUERY
    SELECT m.metric, m.kind, m.unit, m.help, s.labels, s.value
      FROM integration_health_private.metrics() AS m
      JOIN integration_health_private.read_samples() AS s ON s.metric = m.metric
     ORDER BY m.number, s.labels::text COLLATE "C";
END
$$;
COMMENT ON FUNCTION integration_health_private.health_samples() IS
  'Runs the query of get_health_metric_samples, for callers who may see all of it. Errors: 55000 as require_all_rows.';

CREATE FUNCTION integration_health_private.health_samples_for_admin()
RETURNS TABLE (metric text, kind text, unit text, help text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 100 AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  RETURN QUERY SELECT * FROM integration_health_private.health_samples();
END
$$;
COMMENT ON FUNCTION integration_health_private.health_samples_for_admin() IS
  'Calls health_samples for global admins. Errors: as require_admin_role.';

CREATE FUNCTION @extschema@.get_health_metric_samples()
RETURNS TABLE (metric text, kind text, unit text, help text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp ROWS 100 AS $$
BEGIN
  IF has_function_privilege('integration_health_private.health_samples()', 'EXECUTE') THEN
    RETURN QUERY SELECT * FROM integration_health_private.health_samples();
  ELSE
    RETURN QUERY SELECT * FROM integration_health_private.health_samples_for_admin();
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.get_health_metric_samples() IS
  'Returns the metrics of all organisations together, by type, one row for each sample: the name of the metric, its kind '
  '(gauge or info), unit and help as OpenMetrics defines them, its labels, an object of strings, and the value. Reads a few '
  'rows of each type; what the watch measures is as old as its last run, and absent before the first. For the writer, '
  'global admins, and roles that grant_integration_health_metrics has let. Errors: 42501 as get_global_health_summary for '
  'others, 22023 for malformed claims, 55000 when row-level security applies to the owner of the function.';

CREATE FUNCTION @extschema@.get_health_metrics()
RETURNS @extschema@."application/openmetrics-text"
LANGUAGE sql STABLE
BEGIN ATOMIC
  -- The labels are identifiers, or as harmless: JSON differs from OpenMetrics in the quotes of names and in blanks alone.
  WITH family AS (
    SELECT pg_catalog.min(s.place) AS place, s.kind, s.unit, s.help,
           CASE s.kind WHEN 'info' THEN pg_catalog.regexp_replace(s.metric, '_info$', '') ELSE s.metric END AS name,
           pg_catalog.string_agg(
             s.metric || pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
               s.labels::text, '": "', '="'), '", "', '",'), '{"', '{'), '{}', '') || ' ' || s.value || E'\n',
             '' ORDER BY s.place) AS samples
      FROM @extschema@.get_health_metric_samples() WITH ORDINALITY AS s (metric, kind, unit, help, labels, value, place)
     GROUP BY s.metric, s.kind, s.unit, s.help
  )
  SELECT (pg_catalog.string_agg(
           '# TYPE ' || f.name || ' ' || f.kind || E'\n' || COALESCE('# UNIT ' || f.name || ' ' || f.unit || E'\n', '')
           || '# HELP ' || f.name || ' ' || f.help || E'\n' || f.samples, '' ORDER BY f.place)
         || E'# EOF\n')::@extschema@."application/openmetrics-text"
    FROM family f;
END;
COMMENT ON FUNCTION @extschema@.get_health_metrics() IS
  'Returns what get_health_metric_samples does as a text in the exposition format of OpenMetrics 1.0, for Prometheus: '
  'PostgREST 12 and later answers GET /rpc/get_health_metrics with it where the scraper accepts application/openmetrics-text. '
  'Errors: as get_health_metric_samples.';
