-- What the isolation specs share: short names for organisations, and verdict(), which every spec
-- prints after each permutation: each pair with its history, and whether every invariant holds.
CREATE FUNCTION org(number integer) RETURNS uuid LANGUAGE sql IMMUTABLE
  RETURN pg_catalog.lpad(number::text, 32, '0')::uuid;

CREATE FUNCTION verdict() RETURNS TABLE (line text) LANGUAGE sql STABLE
BEGIN ATOMIC
  WITH kept AS (
    SELECT h.org_id, h.integration_type, count(*) AS n, min(h.check_no) AS oldest,
           max(h.check_no) AS newest,
           string_agg(h.check_no || ' ' || h.status, ', ' ORDER BY h.check_no) AS list
      FROM integration_health_history h GROUP BY h.org_id, h.integration_type
  ), pair AS (
    SELECT COALESCE(s.org_id, k.org_id) AS org_id,
           COALESCE(s.integration_type, k.integration_type) AS integration_type,
           s.status, s.check_no, s.consecutive_failures, k.n, k.oldest, k.newest, k.list
      FROM integration_health_status s
      FULL JOIN kept k USING (org_id, integration_type)
  ), counted AS (
    SELECT integration_type, status, sum(n) AS n
      FROM (SELECT integration_type, status, count(*) FROM integration_health_status
             GROUP BY integration_type, status
            UNION ALL
            SELECT integration_type, status, -sum(delta) FROM integration_health_counts
             GROUP BY integration_type, status) AS both_sides (integration_type, status, n)
     GROUP BY integration_type, status
  )
  SELECT format('org %s %s: %s, check_no %s, failures %s; history: %s%s',
                ltrim(replace(org_id::text, '-', ''), '0'), integration_type,
                COALESCE(status::text, 'NO STATUS ROW'), check_no, consecutive_failures,
                CASE WHEN n IS NULL THEN 'empty'
                     WHEN n <= 6 THEN list
                     ELSE format('%s checks, %s to %s', n, oldest, newest) END,
                CASE WHEN status IS NULL THEN '; ORPHANED'
                     WHEN newest IS DISTINCT FROM check_no THEN '; newest missing'
                     WHEN n > 96 THEN '; MORE THAN 96'
                     WHEN n < LEAST(newest, 96) THEN '; with gaps' END)
    FROM pair
  UNION ALL
  SELECT CASE WHEN COALESCE(bool_and(n = 0), true) THEN 'counts: exact'
              ELSE 'counts: WRONG ' || string_agg(format('%s %s %s', integration_type, status, n),
                                                  ', ') END
    FROM counted
  ORDER BY 1;
END;

-- What the specs of the schedules print: types with the switches of their mode, and runs.
CREATE TABLE switches (n serial, integration_type text, monitoring_mode integration_monitoring_mode);
CREATE FUNCTION note_switch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  INSERT INTO public.switches (integration_type, monitoring_mode) VALUES (NEW.integration_type, NEW.monitoring_mode);
  RETURN NULL;
END $$;
CREATE TRIGGER note_switch AFTER UPDATE ON integration_types FOR EACH ROW
  WHEN (OLD.monitoring_mode <> NEW.monitoring_mode) EXECUTE FUNCTION note_switch();

CREATE FUNCTION schedules() RETURNS TABLE (line text) LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT format('%s: %s%s%s', t.integration_type, t.monitoring_mode,
                CASE WHEN (t.monitoring_mode = 'passive') <> (t.passive_since IS NOT NULL) THEN '; since WRONG' END,
                '; switched to ' || (SELECT string_agg(s.monitoring_mode::text, ', ' ORDER BY s.n)
                                       FROM switches s WHERE s.integration_type = t.integration_type))
    FROM integration_types t
  UNION ALL
  SELECT format('org %s %s: %s attempt %s%s', ltrim(replace(org_id::text, '-', ''), '0'), integration_type,
                outcome, attempt, ', ' || error)
    FROM integration_sync_runs
  ORDER BY 1;
END;

-- What the specs of incidents and alerts print: each incident with what was made of it, and what is wrong: an alert that is
-- held for nothing is never handed out, and of an open incident somebody was told exactly when it says so.
CREATE FUNCTION incidents() RETURNS TABLE (line text) LANGUAGE sql STABLE
BEGIN ATOMIC
  WITH told AS (
    SELECT a.incident_id, a.kind, a.payload ->> 'org_id' AS org_id,
           CASE WHEN a.delivered_at IS NOT NULL THEN 'delivered'
                WHEN a.died_at IS NOT NULL THEN 'dead'
                WHEN a.due_at = 'infinity' AND EXISTS (
                     SELECT FROM integration_alerts e
                      WHERE e.incident_id = a.incident_id AND e.alert_id <> a.alert_id AND e.delivered_at IS NULL
                        AND e.died_at IS NULL) THEN 'held'
                WHEN a.due_at = 'infinity' THEN 'HELD FOR NOTHING'
                WHEN a.claimed_at IS NOT NULL THEN 'claimed'
                ELSE 'waiting' END AS state
      FROM integration_alerts a
  )
  SELECT COALESCE('org ' || lpad(ltrim(replace(i.org_id::text, '-', ''), '0'), 2), 'type') || ' ' || i.integration_type || ': '
         || CASE WHEN i.resolved_at IS NULL THEN 'open' ELSE 'resolved' END || ', failures ' || i.failures
         || COALESCE(', ' || i.cause, '') || COALESCE('; ' || k.list, '')
         || CASE WHEN i.resolved_at IS NULL AND (i.alerted_at IS NULL) <> (k.list IS NULL) THEN '; told WRONG' ELSE '' END
    FROM integration_incidents i
    LEFT JOIN (SELECT t.incident_id, string_agg(t.kind || ' ' || t.state, ', ' ORDER BY t.kind) AS list
                 FROM told t GROUP BY t.incident_id) k ON k.incident_id = i.incident_id
  UNION ALL
  SELECT 'ORPHANED ' || t.kind FROM told t
   WHERE NOT EXISTS (SELECT FROM integration_incidents i WHERE i.incident_id = t.incident_id)
  ORDER BY 1;
END;

-- forget(): what the specs of incidents begin with.
CREATE PROCEDURE forget() LANGUAGE sql
BEGIN ATOMIC
  DELETE FROM integration_health_status;
  DELETE FROM integration_health_counts;
  DELETE FROM integration_incidents;
  DELETE FROM integration_alerts;
  DELETE FROM integration_maintenance;
  DELETE FROM integration_monitors;
  DELETE FROM integration_sync_schedules;
END;

-- fail(...): records failing checks of a type, one round after another, for each of some organisations.
CREATE PROCEDURE fail(first integer, last integer, rounds integer, type text DEFAULT 'xledger') LANGUAGE plpgsql AS $$
BEGIN
  FOR round IN 1 .. rounds LOOP
    PERFORM public.record_health_checks(jsonb_agg(jsonb_build_object(
              'org_id', public.org(o), 'integration_type', type, 'status', 'unhealthy', 'http_status', 503,
              'checked_at', clock_timestamp())))
      FROM generate_series(first, last) AS o;
  END LOOP;
END $$;
