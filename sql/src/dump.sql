-- ---------------------------------------------------------------------------------------------
-- Dump: pg_dump includes the rows of these tables
-- ---------------------------------------------------------------------------------------------

-- One statement per table: two calls in one SELECT fail with "tuple already updated by self".
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_types', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_health_status', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_health_history', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_health_counts', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_monitors', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_sync_schedules', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_sync_runs', '');
SELECT pg_catalog.pg_extension_config_dump('integration_health_private.sync_plans', '');
-- @since 1.1
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_health_transitions', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_health_days', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_incidents', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_maintenance', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_alerts', '');
-- @end
-- @engine dump
-- @end
