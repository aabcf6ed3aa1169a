-- The PL/pgSQL engine: rights on its helpers, and the parts that only a migration, or only an extension, has.

-- @rights
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.claimed_orgs()'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.raise_problem(text, text)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.setting()'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.max_drift()'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.sends_events()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.refuse_key_change(text, text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.time_of_check(%1$s.integration_health_state, '
                          'timestamptz, timestamptz)'),

-- @header
-- integration_health @version@, the trusted edition, assembled by make from sql/src and sql/engine: one migration for
-- supabase/migrations, or for psql. It needs neither an extension nor a superuser: its owner is a role that may create
-- schemas in the database and objects in the schema of the API, and that has BYPASSRLS, like postgres on Supabase.

-- @objects
CREATE FUNCTION integration_health_private.objects()
RETURNS SETOF text
LANGUAGE sql STABLE
BEGIN ATOMIC
  VALUES @objects@
  UNION ALL
  SELECT 'TABLE ' || o.identity
    FROM integration_health_private.partitions() AS p (part)
   CROSS JOIN LATERAL pg_catalog.pg_identify_object('pg_catalog.pg_class'::regclass, p.part, 0) AS o;
END;
COMMENT ON FUNCTION integration_health_private.objects() IS
  'Returns the schema, tables, views and functions of integration_health, as GRANT names them.';

-- @dump
SELECT pg_catalog.pg_extension_config_dump('integration_health_private.settings', '');
