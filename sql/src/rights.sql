-- ---------------------------------------------------------------------------------------------
-- Rights
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.grant_integration_health(reader regrole, writer regrole)
RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_grant';
COMMENT ON FUNCTION @extschema@.grant_integration_health(regrole, regrole) IS
  'Takes every right on the extension''s tables and functions from PUBLIC, anon, reader and writer, then grants reader what authenticated has on Supabase, and writer what service_role has. Either may be null. For the owner of the extension. Warns when the writer lacks BYPASSRLS: row-level security will keep it from recording. Errors: 42704 no such role, 42501 the caller does not own the extension''s tables.';

SELECT @extschema@.grant_integration_health(
  pg_catalog.to_regrole('authenticated'), pg_catalog.to_regrole('service_role'));
