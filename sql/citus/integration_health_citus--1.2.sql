-- integration_health on Citus: on every node, this extension changes what Citus cannot distribute as it is, and puts functions
-- that reach the shards in the place of those that read or write the tables of pairs. The functions of integration_health do
-- the work, unchanged, on one shard at a time: see docs/citus.md.
\echo Use "CREATE EXTENSION integration_health_citus" to load this file. \quit

-- ---------------------------------------------------------------------------------------------
-- Tables
-- ---------------------------------------------------------------------------------------------

-- A row that belongs to no organisation lies with one of its shard.
CREATE TABLE @extschema@.anchors (
  org_id uuid NOT NULL,
  PRIMARY KEY (org_id)
);
COMMENT ON TABLE @extschema@.anchors IS 'An organisation of each shard, whether it exists or not: see fill_anchors().';
COMMENT ON COLUMN @extschema@.anchors.org_id IS 'Organisation.';

CREATE TABLE @extschema@.mode_notes (
  org_id           uuid NOT NULL,
  note_id          uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  asked_until      timestamptz,
  by_probe         boolean NOT NULL,
  answered         boolean NOT NULL,
  PRIMARY KEY (org_id, note_id)
);
COMMENT ON TABLE @extschema@.mode_notes IS
  'What checks have found out about the mode of a type and what is not done yet, since no shard may write integration_types.';
COMMENT ON COLUMN @extschema@.mode_notes.org_id IS 'An organisation of the shard.';
COMMENT ON COLUMN @extschema@.mode_notes.note_id IS 'Key.';
COMMENT ON COLUMN @extschema@.mode_notes.integration_type IS 'External system.';
COMMENT ON COLUMN @extschema@.mode_notes.asked_until IS 'Until when it asked to be left alone; null when it gave no time.';
COMMENT ON COLUMN @extschema@.mode_notes.by_probe IS 'Whether the check answered a probe.';
COMMENT ON COLUMN @extschema@.mode_notes.answered IS 'Whether the probe was answered; otherwise the check was rate limited.';

CREATE TABLE @extschema@.type_incidents (LIKE @extschema:integration_health@.integration_incidents INCLUDING CONSTRAINTS);
ALTER TABLE @extschema@.type_incidents ADD PRIMARY KEY (incident_id);
CREATE UNIQUE INDEX type_incidents_open ON @extschema@.type_incidents (integration_type) WHERE resolved_at IS NULL;
COMMENT ON TABLE @extschema@.type_incidents IS
  'The incidents of types, which integration_incidents cannot hold here: its rows are distributed by org_id.';
CREATE TABLE @extschema@.type_alerts (LIKE @extschema:integration_health@.integration_alerts INCLUDING CONSTRAINTS);
ALTER TABLE @extschema@.type_alerts ADD PRIMARY KEY (alert_id);
COMMENT ON TABLE @extschema@.type_alerts IS
  'The alerts of types and of all, which integration_alerts cannot hold here: its rows are distributed by org_id.';

WITH moved AS (DELETE FROM @extschema:integration_health@.integration_incidents WHERE org_id IS NULL RETURNING *)
INSERT INTO @extschema@.type_incidents SELECT * FROM moved;
WITH moved AS (DELETE FROM @extschema:integration_health@.integration_alerts WHERE org_id IS NULL RETURNING *)
INSERT INTO @extschema@.type_alerts SELECT * FROM moved;

DROP INDEX @extschema:integration_health@.integration_incidents_open_of_type;
ALTER TABLE @extschema:integration_health@.integration_incidents
  DROP CONSTRAINT integration_incidents_pkey,
  ADD CONSTRAINT integration_incidents_pkey PRIMARY KEY (org_id, incident_id);
CREATE INDEX integration_incidents_id ON @extschema:integration_health@.integration_incidents (incident_id);
ALTER TABLE @extschema:integration_health@.integration_alerts
  DROP CONSTRAINT integration_alerts_pkey,
  ADD CONSTRAINT integration_alerts_pkey PRIMARY KEY (org_id, alert_id);
CREATE INDEX integration_alerts_id ON @extschema:integration_health@.integration_alerts (alert_id);

-- Citus does not distribute a table with a policy that has a sub-select.
DO $$
DECLARE
  policy record;
  schema text := '@extschema:integration_health@';
BEGIN
  FOR policy IN
    SELECT p.polname AS name, p.polrelid::regclass AS of_table,
           pg_get_expr(p.polqual, p.polrelid) ~ 'org_id IS NULL' AS also_all
      FROM pg_policy AS p JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = p.polrelid AND d.deptype = 'e'
      JOIN pg_extension AS e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
     WHERE e.extname = 'integration_health' AND pg_get_expr(p.polqual, p.polrelid) ~ 'org_ids'
  LOOP
    EXECUTE format(
      'ALTER POLICY %I ON %s USING (%s org_id = ANY (%4$s.integration_health_org_ids())'
      ' AND %4$s.integration_health_uncounted(org_id))',
      policy.name, policy.of_table, CASE WHEN policy.also_all THEN 'org_id IS NULL OR' ELSE '' END, schema);
  END LOOP;
END
$$;

-- ---------------------------------------------------------------------------------------------
-- Reaching the shards
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.is_on_shard()
RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT COALESCE(pg_catalog.current_setting('integration_health_private.shard', true), '') NOT IN ('', '0');
END;
COMMENT ON FUNCTION @extschema@.is_on_shard() IS
  'Returns whether statements that name the tables of integration_health now mean one shard.';

CREATE FUNCTION @extschema@.on_shard(part oid, query text, args jsonb)
RETURNS SETOF jsonb
LANGUAGE plpgsql VOLATILE SET intervalstyle = 'postgres' SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF part IS NULL OR NOT integration_health_private.enter_shard(part) THEN
    RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = 'a shard was not found on the node that should have it',
      HINT = 'Repeat the call: the shard may have been moved.';
  END IF;
  RETURN QUERY EXECUTE query USING args;
END
$$;
COMMENT ON FUNCTION @extschema@.on_shard(oid, text, jsonb) IS
  'Runs a query, with args as $1, on a shard of this node, with the rights of the caller. Errors: 55000 when there is no such '
  'shard on this node, or as the query.';

CREATE FUNCTION @extschema@.shard_of(org_id uuid)
RETURNS oid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN to_regclass(format('%I.%I', '@extschema@', 'anchors_' || pg_catalog.get_shard_id_for_distribution_column(
    '@extschema@.anchors'::regclass, org_id)))::oid;
END
$$;
COMMENT ON FUNCTION @extschema@.shard_of(uuid) IS
  'Returns the shard of anchors, on this node, to which an organisation belongs; null when it is on another node.';

CREATE FUNCTION @extschema@.on_shard_of(org_id uuid, query text, args jsonb)
RETURNS SETOF jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT * FROM @extschema@.on_shard(@extschema@.shard_of($1), $2, $3);
END
$$;
COMMENT ON FUNCTION @extschema@.on_shard_of(uuid, text, jsonb) IS
  'Calls on_shard for the shard of an organisation. Errors: as on_shard.';

-- The count gives one row, whatever the organisation has, and tells Citus on which node the function is to be called.
CREATE FUNCTION @extschema@.for_organisation(org_id uuid, query text, args jsonb)
RETURNS SETOF jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- Without an organisation any shard will do: the query says what is wrong with that.
  place uuid := COALESCE($1, '00000000-0000-0000-0000-000000000000');
BEGIN
  RETURN QUERY
    SELECT r.*
      FROM (SELECT count(*) FROM @extschema@.anchors AS a WHERE a.org_id = place) AS one
     CROSS JOIN LATERAL @extschema@.on_shard_of(place, $2, $3) AS r;
END
$$;
COMMENT ON FUNCTION @extschema@.for_organisation(uuid, text, jsonb) IS
  'Runs a query, with args as $1, on the shard of an organisation, with the rights of the caller, and returns its rows. '
  'Errors: as on_shard.';

CREATE FUNCTION @extschema@.on_every_shard(query text, args jsonb)
RETURNS SETOF jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM @extschema@.hold_shards();
  RETURN QUERY
    SELECT r.*
      FROM @extschema@.anchors AS a
     CROSS JOIN LATERAL @extschema@.on_shard(a.tableoid, $1, $2 || jsonb_build_object('place', a.org_id)) AS r;
END
$$;
COMMENT ON FUNCTION @extschema@.on_every_shard(text, jsonb) IS
  'Runs a query, with args as $1, on each shard, and returns the rows of all. The argument place is an organisation of the '
  'shard. Errors: as on_shard and hold_shards.';

-- Citus does not know that the query may write. Without this lock a shard could be moved meanwhile, and what was written to it
-- be left behind: the moves of Citus wait for the lock.
CREATE FUNCTION @extschema@.hold_shards()
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  shards bigint[];
BEGIN
  shards := ARRAY(SELECT s.shardid FROM pg_catalog.pg_dist_shard AS s
                   WHERE s.logicalrelid = '@extschema@.anchors'::regclass ORDER BY s.shardid);
  PERFORM pg_catalog.lock_shard_metadata(5, shards);
  -- A shard that was split since has no anchor in one of its halves.
  IF cardinality(shards) <> (SELECT count(*) FROM @extschema@.anchors) THEN
    PERFORM @extschema@.fill_anchors();
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.hold_shards() IS
  'Makes the moves of shards wait for the end of the transaction, and makes sure that each shard has an anchor. Errors: as '
  'fill_anchors.';

CREATE FUNCTION @extschema@.anchor_for(shard bigint)
RETURNS uuid
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  anchors constant regclass := '@extschema@.anchors';
  candidate uuid;
BEGIN
  -- The shard of an isolated organisation has no other.
  SELECT s.org_id INTO candidate FROM @extschema:integration_health@.integration_health_status AS s
   WHERE pg_catalog.get_shard_id_for_distribution_column(anchors, s.org_id) = shard LIMIT 1;
  FOR try IN 1 .. (SELECT CASE WHEN p.shardminvalue = p.shardmaxvalue THEN 0 ELSE 100000 END
                     FROM pg_catalog.pg_dist_shard AS p WHERE p.shardid = shard) LOOP
    EXIT WHEN candidate IS NOT NULL;
    candidate := gen_random_uuid();
    IF pg_catalog.get_shard_id_for_distribution_column(anchors, candidate) <> shard THEN
      candidate := NULL;
    END IF;
  END LOOP;
  RETURN candidate;
END
$$;
COMMENT ON FUNCTION @extschema@.anchor_for(bigint) IS
  'Returns an organisation that belongs to a shard of anchors; null when none was found, because the shard is too small a part '
  'of all and has no status yet.';

CREATE FUNCTION @extschema@.fill_anchors()
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  anchors constant regclass := '@extschema@.anchors';
  shard record;
  anchor uuid;
BEGIN
  FOR shard IN
    SELECT s.shardid FROM pg_catalog.pg_dist_shard AS s
     WHERE s.logicalrelid = anchors
       AND s.shardid NOT IN (SELECT pg_catalog.get_shard_id_for_distribution_column(anchors, a.org_id) FROM @extschema@.anchors AS a)
  LOOP
    anchor := @extschema@.anchor_for(shard.shardid);
    IF anchor IS NOT NULL THEN
      INSERT INTO @extschema@.anchors (org_id) VALUES (anchor) ON CONFLICT DO NOTHING;
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.fill_anchors() IS
  'Gives an anchor to each shard that has none. An organisation that was isolated before it had any status is left out until it '
  'has one.';

-- ---------------------------------------------------------------------------------------------
-- The functions of one organisation: each moves to this schema, where it works on a shard, and a function with its name and
-- arguments takes its place, which finds that shard.
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.put_aside(moved regprocedure)
RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('ALTER FUNCTION %s SET SCHEMA @extschema@', moved);
  RETURN format('@extschema@.%I', (SELECT p.proname FROM pg_proc AS p WHERE p.oid = moved));
END
$$;
COMMENT ON FUNCTION @extschema@.put_aside(regprocedure) IS
  'Moves a function to this schema, and returns its name there.';

CREATE FUNCTION @extschema@.columns_of(function regprocedure)
RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT pg_catalog.string_agg(pg_catalog.format('%I %s', a.name, pg_catalog.format_type(a.type, NULL)), ', ' ORDER BY a.place)
    FROM pg_catalog.pg_proc p
   CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(p.proallargtypes), pg_catalog.unnest(p.proargmodes),
                                 pg_catalog.unnest(p.proargnames)) WITH ORDINALITY AS a (type, mode, name, place)
   WHERE p.oid = function AND a.mode IN ('t', 'o');
END;
COMMENT ON FUNCTION @extschema@.columns_of(regprocedure) IS
  'Returns the columns of the rows that a function returns, as a column definition list; null when it returns a type.';

CREATE FUNCTION @extschema@.replace_by_route(function regprocedure)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  api constant text := '@extschema:integration_health@';
  columns text := @extschema@.columns_of(function);
  about text := obj_description(function, 'pg_proc');
  definition text;
BEGIN
  SELECT format(
           'CREATE FUNCTION %s.%I(%s) RETURNS %s LANGUAGE sql %s SET intervalstyle = ''postgres'' SET search_path = pg_catalog, pg_temp '
           'AS $f$ SELECT r.* FROM @extschema@.for_organisation($1, %L, jsonb_build_array(%s)) AS j CROSS JOIN LATERAL %s $f$',
           api, p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
           CASE p.provolatile WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END,
           format('SELECT to_jsonb(f) FROM @extschema@.%I(%s) AS f', p.proname, (
                    SELECT string_agg(format('($1 ->> %s)::%s', i - 1, format_type(p.proargtypes[i - 1], NULL)), ', ' ORDER BY i)
                      FROM generate_series(1, p.pronargs) AS i)),
           (SELECT string_agg('$' || i, ', ' ORDER BY i) FROM generate_series(1, p.pronargs) AS i),
           CASE WHEN columns IS NULL THEN format('jsonb_populate_record(NULL::%s, j) AS r', format_type(p.prorettype, NULL))
                ELSE format('jsonb_to_record(j) AS r (%s)', columns) END)
    INTO definition
    FROM pg_proc AS p WHERE p.oid = function;
  PERFORM @extschema@.put_aside(function);
  EXECUTE definition;
  EXECUTE format('COMMENT ON FUNCTION %s.%I(%s) IS %L', api, p.proname, pg_get_function_identity_arguments(p.oid), about)
     FROM pg_proc AS p WHERE p.oid = function;
END
$$;
COMMENT ON FUNCTION @extschema@.replace_by_route(regprocedure) IS
  'Moves a function whose first argument is an organisation to this schema, and puts one in its place that calls it on the '
  'shard of that organisation, with the rights of the caller.';

DO $$
BEGIN
  PERFORM @extschema@.replace_by_route(format('@extschema:integration_health@.%s', f)::regprocedure)
     FROM unnest(ARRAY[
       'get_org_health_status(uuid)', 'get_health_trend(uuid, text, integer)', 'get_org_uptime(uuid, integer)',
       'get_uptime_days(uuid, text, integer, text)', 'get_latency_days(uuid, text, integer)', 'get_org_incidents(uuid, integer)',
       'get_org_overview(uuid, text)', 'get_org_syncs(uuid, integer)', 'get_maintenance(uuid, integer)',
       'get_sync_drift(uuid, integer)', 'get_missed_syncs(uuid, integer)', 'get_cold_starts(uuid, integer)',
       'set_monitor(uuid, text, boolean)',
       'set_sync_schedule(uuid, text, interval, timestamptz, text, boolean, text, integer, interval)',
       'claim_sync_run(uuid, text, timestamptz, boolean, interval)',
       'finish_sync_run(uuid, text, timestamptz, integer, @extschema:integration_health@.integration_sync_outcome, text)',
       'record_health_check(uuid, text, @extschema:integration_health@.integration_health_state, integer, integer, text, '
       'timestamptz, integer, @extschema:integration_health@.integration_failure_cause)']) AS f;
END
$$;

-- ---------------------------------------------------------------------------------------------
-- Distribution
-- ---------------------------------------------------------------------------------------------

ALTER TABLE @extschema:integration_health@.integration_health_counts ADD COLUMN org_id uuid;
COMMENT ON COLUMN @extschema:integration_health@.integration_health_counts.org_id IS
  'An organisation of the shard that the row lies in; it says nothing else.';
UPDATE @extschema:integration_health@.integration_health_counts SET org_id = '00000000-0000-0000-0000-000000000000';

CREATE FUNCTION @extschema@.place()
RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT a.org_id FROM @extschema@.anchors AS a LIMIT 1);
END
$$;
COMMENT ON FUNCTION @extschema@.place() IS 'Returns the anchor of the shard that statements mean now.';

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

CREATE FUNCTION @extschema@.require_ready_nodes()
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  unready text;
BEGIN
  SELECT string_agg(format('%s:%s', n.nodename, n.nodeport), ', ') INTO unready
    FROM pg_catalog.run_command_on_all_nodes('SHOW shared_preload_libraries') AS r
    JOIN pg_catalog.pg_dist_node AS n ON n.nodeid = r.nodeid
   WHERE NOT r.success OR r.result !~ '\\mintegration_health\\M';
  IF unready IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '55000',
      MESSAGE = 'a node does not load the library of integration_health at its start', DETAIL = format('These do not: %s.', unready),
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
SET citus.multi_shard_modify_mode = 'sequential' SET search_path = pg_catalog, pg_temp AS $$
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
