-- 2,000 pairs of a type, with IH_FULL 10,000, fail and recover: two alerts are handed out, the type's, and every pair had its incident.
\i test/fixtures/preamble.sql
\set full ''
\getenv full IH_FULL
SELECT CASE :'full' WHEN '' THEN 2000 ELSE 10000 END AS pairs \gset
SET ROLE service_role;
CREATE FUNCTION pg_temp.check(pairs integer, status integration_health_state, http_status integer) RETURNS integer LANGUAGE sql AS $$
  SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', ('00000000-0000-0000-0005-' || lpad(n::text, 12, '0'))::uuid,
           'integration_type', 'xledger', 'status', status, 'http_status', http_status))) FROM generate_series(1, pairs) AS n $$;
CREATE FUNCTION pg_temp.deliver(pairs integer) RETURNS TABLE (kind text, org_id uuid, integration_type text, of_all boolean) LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY SELECT a.kind, a.org_id, a.integration_type, (a.payload ->> 'failures')::integer = pairs FROM claim_alerts(1000) AS a
                WHERE finish_alert(a.alert_id, a.attempt, true);
END $$;
SELECT pg_temp.check(:pairs, 'healthy', 200) = :pairs AS recorded;
SELECT pg_temp.check(:pairs, 'unhealthy', 503) = :pairs AS recorded;
SELECT integration_health_watch(), count(*) FROM claim_alerts();
SELECT pg_temp.check(:pairs, 'unhealthy', 503) = :pairs AS recorded;
SELECT * FROM pg_temp.deliver(:pairs);
SELECT integration_health_watch(), count(*) FROM claim_alerts();
SELECT org_id IS NULL AS of_type, resolved_at IS NULL AS open, count(*) = CASE WHEN org_id IS NULL THEN 1 ELSE :pairs END AS exact, count(alerted_at) AS alerted FROM integration_incidents GROUP BY 1, 2 ORDER BY 1, 2;
-- it goes on
SELECT pg_temp.check(:pairs, 'unhealthy', 503) = :pairs AS recorded;
SELECT * FROM pg_temp.deliver(:pairs);
-- and ends
SELECT pg_temp.check(:pairs, 'healthy', 200) = :pairs AS recorded;
SELECT * FROM pg_temp.deliver(:pairs);
SELECT integration_health_watch(), count(*) FROM claim_alerts();
SELECT org_id IS NULL AS of_type, resolved_at IS NULL AS open, count(*) = CASE WHEN org_id IS NULL THEN 1 ELSE :pairs END AS exact, min(failures) = max(failures) AND
       max(failures) = CASE WHEN org_id IS NULL THEN :pairs ELSE 3 END AS failures, count(DISTINCT cause) AS causes FROM integration_incidents GROUP BY 1, 2 ORDER BY 1, 2;
SELECT kind, count(*) FROM integration_alerts GROUP BY kind ORDER BY kind;
RESET ROLE;
SELECT * FROM t.violations();
TRUNCATE integration_health_status;
