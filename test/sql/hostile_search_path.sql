-- Look-alike tables, operators and functions ahead on the search_path change nothing.
\i test/fixtures/preamble.sql
SELECT current_schema() AS home \gset
CREATE SCHEMA evil;
GRANT USAGE, CREATE ON SCHEMA evil TO authenticated, service_role;
CREATE TABLE evil.integration_types (LIKE integration_types);
CREATE TABLE evil.integration_health_status (LIKE integration_health_status);
CREATE TABLE evil.integration_health_history (LIKE integration_health_history);
CREATE TABLE evil.integration_health_counts (LIKE integration_health_counts);
CREATE TABLE evil.integration_health_transitions (LIKE integration_health_transitions);
CREATE TYPE evil.uuid AS ENUM ('x');
CREATE TYPE evil.timestamptz AS ENUM ('x');
CREATE FUNCTION evil.never(uuid, uuid) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'evil operator'; END$$;
CREATE FUNCTION evil.never(text, text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'evil operator'; END$$;
CREATE FUNCTION evil.never(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'evil operator'; END$$;
CREATE FUNCTION evil.never(timestamp with time zone, timestamp with time zone) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'evil operator'; END$$;
CREATE OPERATOR evil.= (LEFTARG = pg_catalog.uuid, RIGHTARG = pg_catalog.uuid, FUNCTION = evil.never);
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.never);
CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.never);
CREATE OPERATOR evil.< (LEFTARG = timestamp with time zone, RIGHTARG = timestamp with time zone, FUNCTION = evil.never);
CREATE FUNCTION evil.now() RETURNS timestamp with time zone LANGUAGE sql RETURN '2000-01-01'::timestamp with time zone;
CREATE FUNCTION evil.jsonb_to_recordset(jsonb) RETURNS SETOF record LANGUAGE plpgsql AS $$BEGIN RAISE 'evil function'; END$$;
CREATE FUNCTION evil.length(text) RETURNS integer LANGUAGE sql RETURN 0;
GRANT ALL ON ALL TABLES IN SCHEMA evil TO authenticated, service_role;
\set ECHO none
SELECT format('CREATE FUNCTION t.try() RETURNS SETOF text LANGUAGE plpgsql AS $f$
BEGIN
  RETURN NEXT (SELECT count(*) FROM %1$s.record_health_check(''00000000-0000-0000-0000-00000000000a'', ''xledger'', ''healthy''));
  RETURN NEXT %1$s.record_health_checks(''[{"org_id": "00000000-0000-0000-0000-00000000000a", "integration_type": "xledger", "status": "unhealthy", "checked_at": "2026-01-01"}, {"org_id": "00000000-0000-0000-0000-00000000000b", "integration_type": "xledger", "status": "unhealthy", "checked_at": "2026-01-01"}]'');
  UPDATE %1$s.integration_health_status SET status = ''unhealthy'';
  RETURN NEXT (SELECT pg_catalog.count(*) FROM %1$s.integration_health_history);
  RETURN NEXT (SELECT pg_catalog.count(*) FROM %1$s.get_org_health_status(''00000000-0000-0000-0000-00000000000a''));
  RETURN NEXT (SELECT pg_catalog.count(*) FROM %1$s.get_health_trend(''00000000-0000-0000-0000-00000000000a'', ''xledger''));
  RETURN NEXT %1$s.mark_stale_health();
  PERFORM %1$s.integration_health_compact();
  RETURN NEXT (SELECT pg_catalog.count(*) FROM (SELECT FROM %1$s.integration_health_counts AS c GROUP BY c.integration_type, c.status
    HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1) AS unfolded);
  RETURN NEXT (SELECT s.unhealthy FROM %1$s.get_global_health_summary() AS s OFFSET 1);
  RETURN NEXT (SELECT pg_catalog.count(*) FROM %1$s.get_global_health_problems());
  RETURN NEXT %1$s.integration_health_cleanup(''100 years'');
  DELETE FROM %1$s.integration_health_status WHERE org_id OPERATOR(pg_catalog.=) ''00000000-0000-0000-0000-00000000000b'';
  RETURN NEXT (SELECT pg_catalog.count(*) FROM %1$s.integration_health_history);
END $f$', :'home') \gexec
\set ECHO all
SELECT set_config('request.jwt.claims', t.claims(:'org_a', 'global_admin'), false) IS NOT NULL AS signed_in;
SET ROLE service_role;
SET search_path = evil, pg_catalog;
SELECT * FROM t.try();
CREATE TEMP TABLE integration_health_history (LIKE evil.integration_health_history);
CREATE TEMP TABLE integration_health_status (LIKE evil.integration_health_status);
CREATE TEMP TABLE integration_health_counts (LIKE evil.integration_health_counts);
CREATE TEMP TABLE integration_health_transitions (LIKE evil.integration_health_transitions);
CREATE TEMP TABLE integration_types (LIKE evil.integration_types);
SET search_path = pg_temp, evil, pg_catalog;
DELETE FROM integration_health_history WHERE true;
SELECT * FROM t.try();
SELECT (SELECT pg_catalog.count(*) FROM pg_temp.integration_health_history) AS temp_history, (SELECT pg_catalog.count(*) FROM evil.integration_health_history) AS evil_history,
       (SELECT pg_catalog.count(*) FROM pg_temp.integration_health_counts) AS temp_counts, (SELECT pg_catalog.count(*) FROM evil.integration_health_counts) AS evil_counts,
       (SELECT pg_catalog.count(*) FROM pg_temp.integration_health_transitions) AS temp_log, (SELECT pg_catalog.count(*) FROM evil.integration_health_transitions) AS evil_log;
SET ROLE authenticated;
SELECT t.error(pg_catalog.format('SELECT * FROM %s.get_org_health_status(''00000000-0000-0000-0000-00000000000a'')', :'home'));
RESET ROLE;
RESET search_path;
-- t.violations would look at these instead
DROP TABLE pg_temp.integration_health_status, pg_temp.integration_health_history, pg_temp.integration_health_counts, pg_temp.integration_health_transitions, pg_temp.integration_types;
SELECT * FROM t.violations();
DROP FUNCTION t.try;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA evil CASCADE;
