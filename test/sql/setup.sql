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
\set ECHO none
\i test/fixtures/owner.sql
\i test/fixtures/extension.sql
\set ECHO all
RESET ROLE;
GRANT USAGE ON SCHEMA :"schema" TO anon, authenticated, service_role;
SELECT current_database() AS db \gset
ALTER DATABASE :"db" SET search_path = :"schema";
SET search_path = :"schema";
CREATE SCHEMA t;
GRANT USAGE ON SCHEMA t TO PUBLIC;
-- t.of_tables: a text that names tables, and keys, where it names those of partitions.
CREATE FUNCTION t.of_tables(text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN regexp_replace($1, '(integration_[a-z_]+)_p[0-9]+', '\1', 'g');
-- t.table_stats: what this transaction has done in each table, with its partitions; how many tables that is.
CREATE VIEW t.table_stats AS
SELECT t.of_tables(relname) AS relname, GREATEST(count(*) - 1, 1) AS tables, sum(seq_scan) AS seq_scan, sum(idx_scan) AS idx_scan, sum(seq_tup_read) AS seq_tup_read,
       sum(idx_tup_fetch) AS idx_tup_fetch, sum(n_tup_ins) AS n_tup_ins, sum(n_tup_upd) AS n_tup_upd, sum(n_tup_hot_upd) AS n_tup_hot_upd
  FROM pg_stat_xact_user_tables GROUP BY 1;
-- t.error: the SQLSTATE, message and hint of the error that a command raises.
CREATE FUNCTION t.error(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  hint text;
BEGIN
  EXECUTE command;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  RETURN SQLSTATE || ': ' || t.of_tables(SQLERRM) || CASE WHEN hint <> '' THEN ' (' || hint || ')' ELSE '' END;
END
$$;
-- t.violations: what is wrong with the stored rows; no rows mean that nothing is.
\set violations `cat test/fixtures/violations.sql`
CREATE FUNCTION t.violations(cleaned boolean DEFAULT false) RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS :'violations';
-- t.claims: request.jwt.claims of a member of an organisation, or of none.
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
    RETURN NEXT regexp_replace(regexp_replace(t.of_tables(line), ' \(returns .*\)', ''), '\(?\$\d+\)?|\(?\(InitPlan \d+\)\.col1\)?', '<initplan>', 'g');
  END LOOP;
END
$$;
SELECT extname, extversion = integration_health_private.version() AS knows_its_version, extrelocatable
  FROM pg_extension WHERE extname = 'integration_health';
