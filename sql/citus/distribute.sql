-- Distribution

ALTER TABLE @extschema:integration_health@.integration_health_counts ADD COLUMN org_id uuid;
COMMENT ON COLUMN @extschema:integration_health@.integration_health_counts.org_id IS
  'An organisation of the shard that the row lies in; it says nothing else.';
UPDATE @extschema:integration_health@.integration_health_counts SET org_id = '00000000-0000-0000-0000-000000000000';

CREATE FUNCTION @extschema@.place()
RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- A shard that was split off has no anchor until hold_shards is called.
  RETURN COALESCE((SELECT a.org_id FROM @extschema@.anchors AS a LIMIT 1),
                  (SELECT s.org_id FROM @extschema:integration_health@.integration_health_status AS s LIMIT 1),
                  (SELECT c.org_id FROM @extschema:integration_health@.integration_health_counts AS c LIMIT 1));
END
$$;
COMMENT ON FUNCTION @extschema@.place() IS
  'Returns an organisation of the shard that statements mean now: its anchor, or while it has none, one that has a status or '
  'had one.';

ALTER TABLE @extschema:integration_health@.integration_health_counts
  ALTER COLUMN org_id SET NOT NULL,
  ALTER COLUMN org_id SET DEFAULT @extschema@.place();

CREATE FUNCTION @extschema@.tables()
RETURNS TABLE (place integer, name regclass, is_reference boolean)
LANGUAGE sql STABLE
BEGIN ATOMIC
  -- Each after those that it refers to, and status, whose triggers write the others, last.
  VALUES (1, '@extschema:integration_health@.integration_types'::regclass, true),
         (2, '@extschema:integration_health@.integration_maintenance', true),
         (3, '@extschema@.type_incidents', true),
         (4, '@extschema@.type_alerts', true),
         (0, 'integration_health_private.kept_samples', true),
         (5, '@extschema@.anchors', false),
         (6, '@extschema@.mode_notes', false),
         (7, '@extschema:integration_health@.integration_health_history', false),
         (8, '@extschema:integration_health@.integration_health_counts', false),
         (9, '@extschema:integration_health@.integration_health_transitions', false),
         (10, '@extschema:integration_health@.integration_health_days', false),
         (11, '@extschema:integration_health@.integration_incidents', false),
         (12, '@extschema:integration_health@.integration_alerts', false),
         (13, '@extschema:integration_health@.integration_monitors', false),
         (14, '@extschema:integration_health@.integration_sync_schedules', false),
         (15, '@extschema:integration_health@.integration_sync_runs', false),
         (16, 'integration_health_private.sync_plans', false),
         (17, '@extschema:integration_health@.integration_health_status', false);
END;
COMMENT ON FUNCTION @extschema@.tables() IS
  'Returns the tables in the order in which they are distributed, and whether each node has all of a table or a part.';

-- The history and the rest would stay; on a worker, Citus would only say that the table was truncated.
CREATE FUNCTION @extschema@.refuse_truncate()
RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF current_setting('integration_health_citus.is_distributing', true) = 'on' THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = format('"%s" cannot be truncated on Citus', TG_TABLE_NAME),
    HINT = 'Use DELETE, or forget_organisation().';
END
$$;
COMMENT ON FUNCTION @extschema@.refuse_truncate() IS
  'Trigger function: refuses TRUNCATE, but not that by which integration_health_distribute removes what it has distributed. '
  'Errors: 0A000.';
CREATE TRIGGER zz_integration_health_refuse_truncate
  BEFORE TRUNCATE ON @extschema:integration_health@.integration_health_status
  FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.refuse_truncate();
COMMENT ON TRIGGER zz_integration_health_refuse_truncate ON @extschema:integration_health@.integration_health_status IS
  'Refuses TRUNCATE, which Citus does not do as a whole.';

CREATE FUNCTION @extschema@.require_ready_nodes()
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  unready text;
BEGIN
  SELECT string_agg(format('%s:%s', n.nodename, n.nodeport), ', ') INTO unready
    FROM pg_catalog.run_command_on_all_nodes('SHOW shared_preload_libraries') AS r
    JOIN pg_catalog.pg_dist_node AS n ON n.nodeid = r.nodeid
   WHERE NOT r.success OR r.result !~ '\mintegration_health\M';
  IF unready IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '55000',
      MESSAGE = 'a node does not load the library of integration_health at its start',
      DETAIL = format('These do not: %s.', unready),
      HINT = 'Set shared_preload_libraries to ''citus, integration_health'' on each node, and restart it.';
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.require_ready_nodes() IS
  'Checks that each node loads the library at its start, since a session that has not loaded it plans statements for the wrong '
  'tables. Errors: 55000 when one does not.';

CREATE FUNCTION @extschema:integration_health@.integration_health_distribute(shards integer DEFAULT NULL)
RETURNS integer
LANGUAGE plpgsql VOLATILE
SET citus.enable_unsafe_triggers = on SET citus.enable_local_reference_table_foreign_keys = off
SET citus.multi_shard_modify_mode = 'sequential' SET client_min_messages = warning
SET integration_health_citus.is_distributing = on SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  next_one record;
  distributed integer := 0;
BEGIN
  IF NOT pg_catalog.citus_is_coordinator() THEN
    RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = 'this node is not the coordinator',
      HINT = 'Call integration_health_distribute on the coordinator.';
  ELSIF shards < 1 OR shards > 64000 THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'shards must be between 1 and 64000',
      HINT = 'Leave the argument out for citus.shard_count.';
  END IF;
  PERFORM @extschema@.require_ready_nodes();
  FOR next_one IN
    SELECT t.* FROM @extschema@.tables() AS t
     WHERE t.name NOT IN (SELECT p.logicalrelid FROM pg_catalog.pg_dist_partition AS p) ORDER BY t.place
  LOOP
    IF next_one.is_reference THEN
      PERFORM pg_catalog.create_reference_table(next_one.name);
    ELSIF next_one.name = '@extschema@.anchors'::regclass THEN
      PERFORM pg_catalog.create_distributed_table(
        next_one.name, 'org_id', colocate_with => 'none',
        shard_count => COALESCE(shards, current_setting('citus.shard_count')::integer));
    ELSE
      PERFORM pg_catalog.create_distributed_table(next_one.name, 'org_id', colocate_with => '@extschema@.anchors');
    END IF;
    distributed := distributed + 1;
  END LOOP;
  PERFORM pg_catalog.truncate_local_data_after_distributing_table(t.name) FROM @extschema@.tables() AS t ORDER BY t.place DESC;
  PERFORM @extschema@.fill_anchors();
  RETURN distributed;
END
$$;
COMMENT ON FUNCTION @extschema:integration_health@.integration_health_distribute(integer) IS
  'Distributes the tables of integration_health, empty or filled, over the nodes of Citus: by org_id into so many shards (by '
  'default citus.shard_count), and integration_types and integration_maintenance to all nodes. Returns how many tables it '
  'distributed; those that are already are left as they are. Writers wait until it ends. Errors: 22023 when shards is not '
  'between 1 and 64000, 55000 when this is not the coordinator or a node does not load the library at its start, 42501 when the '
  'caller does not own the tables.';
