-- state() and digest(): what the two implementations are compared by, made in the database of
-- each. Times that are this run's now(), or a day later (the longest that a type is left alone), or the interval of
-- a type later, are shown as such; recorded_at is left out.
CREATE FUNCTION shown(t timestamptz) RETURNS text LANGUAGE sql STABLE
  RETURN CASE WHEN t BETWEEN now() - interval '1 hour' AND now() + interval '1 hour' THEN 'now'
              WHEN t BETWEEN now() + interval '1 hour' AND now() + interval '2 hours' THEN 'an hour from now'
              WHEN t BETWEEN now() + interval '4 hours 50 minutes' AND now() + interval '5 hours' THEN 'five hours from now'
              WHEN t BETWEEN now() + interval '23 hours' AND now() + interval '25 hours' THEN 'a day from now'
              ELSE extract(epoch FROM t)::bigint::text END;

CREATE FUNCTION state() RETURNS TABLE (line text) LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT concat_ws(' ', 'type', integration_type, display_name, check_interval, monitoring_mode,
                   COALESCE(shown(passive_since), '-'), COALESCE(passive_reason, '-'), COALESCE(shown(passive_until), '-'))
    FROM integration_types
  UNION ALL
  SELECT concat_ws(' ', 'status', org_id, integration_type, status, COALESCE(latency_ms, -1),
                   COALESCE(http_status, -1), COALESCE(md5(error), '-'), shown(checked_at),
                   shown(status_since), COALESCE(shown(last_healthy_at), '-'), consecutive_failures,
                   check_no, COALESCE(cause::text, '-'))
    FROM integration_health_status
  UNION ALL
  SELECT concat_ws(' ', 'history', org_id, integration_type, lpad(check_no::text, 5), slot, status,
                   COALESCE(latency_ms, -1), COALESCE(http_status, -1), COALESCE(md5(error), '-'),
                   shown(checked_at), COALESCE(cause::text, '-'))
    FROM integration_health_history
  UNION ALL
  SELECT concat_ws(' ', 'transition', org_id, integration_type, lpad(check_no::text, 5), shown(at),
                   COALESCE(from_status::text, '-'), to_status, COALESCE(cause::text, '-'))
    FROM integration_health_transitions
  UNION ALL
  SELECT concat_ws(' ', 'incident', org_id, integration_type, shown(started_at), shown(confirmed_at),
                   COALESCE(shown(resolved_at), '-'), failures, COALESCE(cause::text, '-'))
    FROM integration_incidents
  UNION ALL
  SELECT concat_ws(' ', 'count', integration_type, status, sum(delta))
    FROM integration_health_counts GROUP BY integration_type, status HAVING sum(delta) <> 0;
END;

CREATE FUNCTION digest() RETURNS text LANGUAGE sql STABLE
  RETURN (SELECT md5(string_agg(s.line, chr(10) ORDER BY s.line COLLATE "C")) || ' ' || count(*)
          || ' ' || (SELECT COALESCE(max(check_no), 0) FROM integration_health_status) FROM state() s);
