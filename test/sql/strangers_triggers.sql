-- Triggers of a role that is no owner: it may make none, and one from the time when it could is refused at the write.
\i test/fixtures/preamble.sql
SELECT current_schema() AS home \gset
CREATE ROLE test_stranger;
GRANT USAGE ON SCHEMA :"home", t TO test_stranger;
-- what default privileges left to other roles than the reader and the writer
SELECT c.relname, a.grantee::regrole, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a
 WHERE c.relnamespace = :'home'::regnamespace AND c.relname LIKE 'integration\_%' AND c.relkind = 'r' AND a.grantee <> c.relowner
   AND (a.privilege_type IN ('TRIGGER', 'REFERENCES', 'TRUNCATE')
        OR a.privilege_type <> 'SELECT' AND c.relname IN ('integration_health_history', 'integration_health_counts', 'integration_sync_runs'));
CREATE SCHEMA strangers AUTHORIZATION test_stranger;
SET ROLE test_stranger;
CREATE FUNCTION strangers.pwn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
SELECT relation, t.error(format('CREATE TRIGGER z AFTER INSERT ON %I EXECUTE FUNCTION strangers.pwn()', relation))
  FROM unnest('{integration_types,integration_health_status,integration_health_history,integration_health_counts,integration_monitors,integration_sync_schedules,integration_sync_runs}'::text[]) AS relation;
-- readers and system columns
SET ROLE authenticated;
SELECT relation, attribute, t.error(format('SELECT %I FROM %I', attribute, relation))
  FROM unnest('{integration_types,integration_health_status,integration_health_history,integration_monitors,integration_sync_schedules,integration_sync_runs}'::text[]) AS relation,
       unnest('{ctid,xmin,xmax,cmin,cmax,tableoid}'::text[]) AS attribute;
SELECT relation, t.error(format('SELECT *, count(*) OVER () FROM %I', relation))
  FROM unnest('{integration_types,integration_health_status,integration_health_history,integration_monitors,integration_sync_schedules,integration_sync_runs}'::text[]) AS relation;
RESET ROLE;
-- what was made while the role had the right
SET ROLE service_role;
SELECT count(record_health_check(:'org_a', 'xledger', 'healthy')) AS recorded;
RESET ROLE;
GRANT TRIGGER ON integration_health_history, integration_health_counts TO test_stranger;
SET ROLE test_stranger;
CREATE TRIGGER z AFTER INSERT OR UPDATE ON integration_health_history FOR EACH ROW EXECUTE FUNCTION strangers.pwn();
SET ROLE service_role;
SELECT t.error(format('SELECT record_health_check(%L, ''xledger'', ''healthy'')', :'org_a'));
RESET ROLE;
DROP TRIGGER z ON integration_health_history;
SET ROLE test_stranger;
CREATE TRIGGER z AFTER INSERT ON integration_health_counts FOR EACH ROW EXECUTE FUNCTION strangers.pwn();
SET ROLE service_role;
SELECT t.error(format('SELECT record_health_check(%L, ''xledger'', ''unhealthy'')', :'org_a'));
RESET ROLE;
DROP TRIGGER z ON integration_health_counts;
SET client_min_messages = warning;
DROP SCHEMA strangers CASCADE;
DROP OWNED BY test_stranger;
DROP ROLE test_stranger;
