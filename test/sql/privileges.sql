-- Every right on every object of the extension, as it is after CREATE EXTENSION in a database whose
-- default privileges give everything away; and grant_integration_health.
\i test/fixtures/preamble.sql
CREATE VIEW t.rights AS
SELECT c.relname::text AS object, coalesce(r.rolname, 'PUBLIC') AS grantee, string_agg(a.privilege_type, ' ' ORDER BY a.privilege_type) AS rights
  FROM pg_depend d JOIN pg_class c ON c.oid = d.objid, aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
 WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'integration_health') AND d.classid = 'pg_class'::regclass AND a.grantee <> c.relowner
 GROUP BY 1, 2
UNION ALL
SELECT c.relname || '.' || string_agg(att.attname, ',' ORDER BY att.attname COLLATE "C"), coalesce(r.rolname, 'PUBLIC'), a.privilege_type
  FROM pg_depend d JOIN pg_class c ON c.oid = d.objid JOIN pg_attribute att ON att.attrelid = c.oid, aclexplode(att.attacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
 WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'integration_health') AND d.classid = 'pg_class'::regclass
 GROUP BY c.relname, r.rolname, a.privilege_type
UNION ALL
SELECT p.proname::text, coalesce(r.rolname, 'PUBLIC'), a.privilege_type
  FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid, aclexplode(p.proacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
 WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'integration_health') AND d.classid = 'pg_proc'::regclass AND a.grantee <> p.proowner;
SELECT * FROM t.rights WHERE grantee <> 'postgres' ORDER BY grantee, object COLLATE "C", rights;

-- tables have row-level security, objects a comment, and SECURITY DEFINER functions no mutable search_path
SELECT c.relname FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
 WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'integration_health') AND d.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity;
SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend d
 WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'integration_health') AND d.deptype = 'e'
   AND NOT EXISTS (SELECT FROM pg_type t WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid AND t.typtype <> 'e')
   AND obj_description(d.objid, d.classid::regclass::name) IS NULL;
SELECT c.relname, a.attname FROM pg_depend d JOIN pg_class c ON c.oid = d.objid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'integration_health') AND d.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND col_description(c.oid, a.attnum) IS NULL;
SELECT p.proname FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
 WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'integration_health') AND d.classid = 'pg_proc'::regclass AND p.prosecdef AND p.proconfig IS NULL;

-- roles of a site's own
CREATE ROLE test_reader;
CREATE ROLE test_writer BYPASSRLS;
SELECT current_schema() AS home \gset
GRANT USAGE ON SCHEMA :"home" TO test_reader, test_writer;
GRANT ALL ON integration_health_history TO test_writer;
SELECT grant_integration_health('test_reader', 'test_writer');
SELECT grant_integration_health('test_reader', 'test_writer');
SELECT r.object, r.rights FROM t.rights r WHERE r.grantee = 'test_reader' EXCEPT SELECT r.object, r.rights FROM t.rights r WHERE r.grantee = 'authenticated';
SELECT r.object, r.rights FROM t.rights r WHERE r.grantee = 'service_role' EXCEPT SELECT r.object, r.rights FROM t.rights r WHERE r.grantee = 'test_writer';
SELECT r.object, r.rights FROM t.rights r WHERE r.grantee = 'test_writer' EXCEPT SELECT r.object, r.rights FROM t.rights r WHERE r.grantee = 'service_role';
SET ROLE test_writer;
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'healthy');
SELECT count(*) FROM integration_health_history;
SELECT t.error('DELETE FROM integration_health_history');
SELECT t.error('SELECT grant_integration_health(''test_reader'', ''test_writer'')');
SET ROLE test_reader;
SELECT count(*) FROM integration_health_status;
SELECT set_config('request.jwt.claims', t.claims(:'org_a'), false) IS NOT NULL AS signed_in;
SELECT count(*) FROM integration_health_status;
RESET ROLE;
SELECT grant_integration_health(NULL, NULL);
SELECT t.error('SELECT grant_integration_health(0::oid::regrole, NULL)');
SELECT t.error('SELECT grant_integration_health(''nobody_at_all'', NULL)');
SELECT grant_integration_health(NULL, 'test_reader');
DROP OWNED BY test_reader, test_writer;
DROP ROLE test_reader, test_writer;
