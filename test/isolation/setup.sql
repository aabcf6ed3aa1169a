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
