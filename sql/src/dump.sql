-- ---------------------------------------------------------------------------------------------
-- Dump: pg_dump includes the rows of these tables
-- ---------------------------------------------------------------------------------------------

-- pg_dump copies the rows of partitions, or with --load-via-partition-root those of the table that they are partitions of.
CREATE FUNCTION integration_health_private.dump_partitions()
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  part regclass;
BEGIN
  FOR part IN SELECT integration_health_private.partitions() LOOP
    PERFORM pg_extension_config_dump(part, '');
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.dump_partitions() IS 'Lets pg_dump include the rows of partitions.';

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
SELECT integration_health_private.dump_partitions();
-- @engine dump
-- @end
