-- The surroundings of all other tests: Supabase's roles and default privileges, the extension in
-- the schema that IH_SCHEMA names (public if it names none), and a few helpers in schema t.
\getenv schema IH_SCHEMA
\if :{?schema}
\else
  \set schema public
\endif
\set ECHO none
\i test/fixtures/supabase.sql
\set QUIET off
\set ECHO all
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS :"schema";
RESET client_min_messages;
CREATE EXTENSION integration_health SCHEMA :"schema";
GRANT USAGE ON SCHEMA :"schema" TO anon, authenticated, service_role;
SELECT current_database() AS db \gset
ALTER DATABASE :"db" SET search_path = :"schema";
SET search_path = :"schema";
CREATE SCHEMA t;
GRANT USAGE ON SCHEMA t TO PUBLIC;
-- t.error: the SQLSTATE, message and hint of the error that a command raises.
CREATE FUNCTION t.error(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  hint text;
BEGIN
  EXECUTE command;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  RETURN SQLSTATE || ': ' || SQLERRM || CASE WHEN hint <> '' THEN ' (' || hint || ')' ELSE '' END;
END
$$;
-- t.violations: what is wrong with the stored rows, by the guarantees of the design; none is good.
CREATE FUNCTION t.violations() RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER BEGIN ATOMIC
  SELECT format('pair %s %s: %s history rows from %s to %s, check_no %s',
                s.org_id, s.integration_type, count(h.slot), min(h.check_no), max(h.check_no), s.check_no)
    FROM integration_health_status s LEFT JOIN integration_health_history h USING (org_id, integration_type)
   GROUP BY s.org_id, s.integration_type
  HAVING (count(h.slot), min(h.check_no), max(h.check_no))
         IS DISTINCT FROM (least(s.check_no, 96), greatest(s.check_no - 95, 1), s.check_no)
  UNION ALL
  SELECT format('history without a status: %s %s', h.org_id, h.integration_type)
    FROM integration_health_history h LEFT JOIN integration_health_status s USING (org_id, integration_type)
   WHERE s.org_id IS NULL GROUP BY h.org_id, h.integration_type
  UNION ALL
  SELECT format('%s %s: %s counted, %s there', integration_type, status, c.n, s.n)
    FROM (SELECT integration_type, status, sum(delta) AS n FROM integration_health_counts
           GROUP BY 1, 2 HAVING sum(delta) <> 0) c
    FULL JOIN (SELECT integration_type, status, count(*) AS n FROM integration_health_status
                GROUP BY 1, 2) s USING (integration_type, status)
   WHERE c.n IS DISTINCT FROM s.n;
END;
-- t.claims: request.jwt.claims of a member of an organisation, or of nobody's.
CREATE FUNCTION t.claims(org text, role text DEFAULT 'authenticated') RETURNS text LANGUAGE sql
RETURN jsonb_build_object('role', 'authenticated', 'sub', 'a-user',
                          'app_metadata', jsonb_build_object('org_id', org, 'role', role))::text;
-- t.seen: the last digits of the organisations in status and in history that a caller with these
-- claims sees.
CREATE FUNCTION t.seen(claims text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('request.jwt.claims', claims, false);
  RETURN format('%s / %s', (SELECT string_agg(right(org_id::text, 1), '' ORDER BY org_id) FROM integration_health_status),
                (SELECT string_agg(right(org_id::text, 1), '' ORDER BY org_id) FROM integration_health_history));
END
$$;
-- t.plan: the plan of a query, the same for all majors.
CREATE FUNCTION t.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
    RETURN NEXT regexp_replace(regexp_replace(line, ' \(returns .*\)', ''), '\(?\$\d+\)?|\(?\(InitPlan \d+\)\.col1\)?', '<initplan>', 'g');
  END LOOP;
END
$$;
SELECT extname, extversion, extrelocatable FROM pg_extension WHERE extname = 'integration_health';
