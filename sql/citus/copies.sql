-- What Citus does not run as it is written

CREATE FUNCTION @extschema@.replace_by_copy(function regprocedure)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  definition text := replace(pg_get_functiondef(function), 'integration_health_private.maintenance ',
                             '@extschema:integration_health@.integration_maintenance ');
  called record;
BEGIN
  FOR called IN
    SELECT DISTINCT o.proname AS name, r.pronamespace::regnamespace AS schema
      FROM @extschema@.replaced() AS p JOIN pg_proc AS o ON o.oid = p.original JOIN pg_proc AS r ON r.oid = p.replacement
  LOOP
    definition := replace(definition, format('@extschema@.%I(', called.name), format('%s.%I(', called.schema, called.name));
  END LOOP;
  PERFORM @extschema@.replace_by(function, definition);
END
$$;
COMMENT ON FUNCTION @extschema@.replace_by_copy(regprocedure) IS
  'Replaces a function by a copy that calls the functions which have been put in the place of others, and names the table '
  'integration_maintenance instead of its view: Citus does not write through views.';

DO $$
BEGIN
  PERFORM @extschema@.replace_by_copy(f::regprocedure)
     FROM unnest(ARRAY[
       'integration_health_private.add_maintenance(uuid, text, timestamptz, timestamptz, text)',
       'integration_health_private.cut_maintenance(uuid)', 'integration_health_private.expire_maintenance(timestamptz)',
       'integration_health_private.global_uptime(timestamptz, timestamptz)',
       '@extschema:integration_health@.integration_health_compact()', 'integration_health_private.run_counts()',
       '@extschema:integration_health@.mark_stale_health(integer)', 'integration_health_private.run_stale()',
       'integration_health_private.take_warm_ups(timestamptz, timestamptz)',
       '@extschema:integration_health@.forget_organisation(uuid)',
       '@extschema:integration_health@.finish_alert(uuid, integer, boolean, text)']) AS f;
END
$$;

-- Both change reference tables after they have been to the shards.
ALTER FUNCTION @extschema:integration_health@.integration_health_cleanup(interval, integer)
  SET citus.multi_shard_modify_mode = 'sequential';
ALTER FUNCTION @extschema:integration_health@.integration_health_watch(integer)
  SET citus.multi_shard_modify_mode = 'sequential';
-- Citus has no generic plan for some of the statements.
ALTER FUNCTION @extschema:integration_health@.integration_health_watch(integer) SET plan_cache_mode = force_custom_plan;
