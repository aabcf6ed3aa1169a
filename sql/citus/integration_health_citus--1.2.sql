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

ALTER TABLE @extschema@.anchors ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.mode_notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.type_incidents ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.type_alerts ENABLE ROW LEVEL SECURITY;

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
  SELECT COALESCE(pg_catalog.current_setting('integration_health_private.shard', true), '') <> '';
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
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
      FROM (SELECT count(*) FROM @extschema:integration_health@.integration_health_status AS s WHERE s.org_id = place) AS one
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
CREATE FUNCTION @extschema@.lock_shards()
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  shards bigint[];
BEGIN
  shards := ARRAY(SELECT s.shardid FROM pg_catalog.pg_dist_shard AS s
                   WHERE s.logicalrelid = '@extschema@.anchors'::regclass ORDER BY s.shardid);
  PERFORM pg_catalog.lock_shard_metadata(5, shards);
  RETURN cardinality(shards);
END
$$;
COMMENT ON FUNCTION @extschema@.lock_shards() IS
  'Makes the moves of shards wait for the end of the transaction, and returns how many shards there are.';

CREATE FUNCTION @extschema@.hold_shards()
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- A statement of its own: what Citus plans before it has the lock may look for a shard where it no longer is.
  shards bigint := @extschema@.lock_shards();
BEGIN
  -- A shard that was split since has no anchor in one of its halves.
  IF shards <> (SELECT count(*) FROM @extschema@.anchors) THEN
    PERFORM @extschema@.fill_anchors();
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.hold_shards() IS
  'Calls lock_shards, and makes sure that each shard has an anchor. Errors: as fill_anchors.';

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
       AND s.shardid NOT IN (SELECT pg_catalog.get_shard_id_for_distribution_column(anchors, a.org_id)
                               FROM @extschema@.anchors AS a)
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
-- Functions in the place of others: those move to this schema, where they work on a shard
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.put_aside(function regprocedure)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('ALTER FUNCTION %s SET SCHEMA @extschema@', function);
END
$$;
COMMENT ON FUNCTION @extschema@.put_aside(regprocedure) IS 'Moves a function to this schema.';

CREATE FUNCTION @extschema@.replace_by(function regprocedure, definition text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  name text := function::text;
BEGIN
  PERFORM @extschema@.put_aside(function);
  EXECUTE definition;
  EXECUTE format('COMMENT ON FUNCTION %s IS %L', name, obj_description(function, 'pg_proc'));
END
$$;
COMMENT ON FUNCTION @extschema@.replace_by(regprocedure, text) IS
  'Moves a function to this schema, and puts one in its place, with the same comment, that the definition creates.';

CREATE FUNCTION @extschema@.head_of(function regprocedure)
RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT pg_catalog.format('CREATE FUNCTION %s.%I(%s) RETURNS %s %s SET search_path = pg_catalog, pg_temp',
           p.pronamespace::regnamespace, p.proname, pg_catalog.pg_get_function_arguments(p.oid),
           pg_catalog.pg_get_function_result(p.oid), CASE p.provolatile WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END)
    FROM pg_catalog.pg_proc p WHERE p.oid = function;
END;
COMMENT ON FUNCTION @extschema@.head_of(regprocedure) IS
  'Returns the beginning of the definition of a function with the name, arguments, result and volatility of this one.';

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

-- The query has its arguments from the members "0", "1", ... of the object $1.
CREATE FUNCTION @extschema@.call_of(function regprocedure)
RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT pg_catalog.format('%L, jsonb_build_object(%s)',
           pg_catalog.format('SELECT to_jsonb(f) FROM @extschema@.%I(%s) AS f', p.proname, pg_catalog.string_agg(
             pg_catalog.format('($1 ->> %L)::%s', i - 1, pg_catalog.format_type(p.proargtypes[i - 1], NULL)), ', ' ORDER BY i)
             FILTER (WHERE i IS NOT NULL)),
           pg_catalog.string_agg(pg_catalog.format('%L, $%s', i - 1, i), ', ' ORDER BY i) FILTER (WHERE i IS NOT NULL))
    FROM pg_catalog.pg_proc p LEFT JOIN LATERAL pg_catalog.generate_series(1, p.pronargs) AS i ON true
   WHERE p.oid = function GROUP BY p.oid;
END;
COMMENT ON FUNCTION @extschema@.call_of(regprocedure) IS
  'Returns the arguments with which for_organisation and others call a function, moved to this schema, as the body of one with '
  'the same arguments writes them: the query, whose rows are JSON, and its args.';

-- ---------------------------------------------------------------------------------------------
-- The functions of one organisation: the one in its place finds the shard
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.replace_by_route(function regprocedure)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  columns text := @extschema@.columns_of(function);
  result text;
  is_row boolean;
BEGIN
  SELECT format_type(t.oid, NULL), t.typtype = 'c' INTO result, is_row
    FROM pg_proc AS p JOIN pg_type AS t ON t.oid = p.prorettype WHERE p.oid = function;
  PERFORM @extschema@.replace_by(function, format(
    '%s LANGUAGE sql SET intervalstyle = ''postgres'' AS $f$ SELECT %s FROM @extschema@.for_organisation($1, %s) AS j%s $f$',
    @extschema@.head_of(function),
    CASE WHEN columns IS NULL AND NOT is_row THEN format('(j #>> ''{}'')::%s', result) ELSE 'r.*' END,
    @extschema@.call_of(function),
    CASE WHEN columns IS NOT NULL THEN format(' CROSS JOIN LATERAL jsonb_to_record(j) AS r (%s)', columns)
         WHEN is_row THEN format(' CROSS JOIN LATERAL jsonb_populate_record(NULL::%s, j) AS r', result)
         ELSE '' END));
END
$$;
COMMENT ON FUNCTION @extschema@.replace_by_route(regprocedure) IS
  'Replaces a function whose first argument is an organisation by one that calls it on the shard of that organisation, with the '
  'rights of the caller.';

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
  PERFORM @extschema@.replace_by_route('integration_health_private.forget_rows(uuid)');
END
$$;

-- ---------------------------------------------------------------------------------------------
-- The functions of all organisations: the one in its place calls it on every shard, with the rights of the owner, and merges the
-- results. Functions of integration_health that have checked the caller call it.
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.everywhere(query text, args jsonb)
RETURNS SETOF jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET intervalstyle = 'postgres' SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF @extschema@.is_on_shard() THEN
    RETURN QUERY EXECUTE query USING args;
  ELSE
    RETURN QUERY SELECT * FROM @extschema@.on_every_shard(query, args);
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.everywhere(text, jsonb) IS
  'Runs a query, with args as $1, on the shard that statements mean now, or on each if they mean none, with the rights of the '
  'owner. Errors: as on_every_shard.';

CREATE FUNCTION @extschema@.replace_by_merge(function regprocedure, merge text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  columns text := @extschema@.columns_of(function);
BEGIN
  PERFORM @extschema@.replace_by(function, format(
    '%s LANGUAGE sql SECURITY DEFINER SET intervalstyle = ''postgres'' AS $f$ %s FROM @extschema@.everywhere(%s) AS j %s $f$',
    @extschema@.head_of(function), split_part(merge, ' FROM r', 1), @extschema@.call_of(function),
    CASE WHEN columns IS NULL THEN '' ELSE format('CROSS JOIN LATERAL jsonb_to_record(j) AS r (%s)', columns) END
    || split_part(merge, ' FROM r', 2)));
END
$$;
COMMENT ON FUNCTION @extschema@.replace_by_merge(regprocedure, text) IS
  'Replaces a function by one that calls it on every shard and merges the rows by a query SELECT ... FROM r ..., in which r are '
  'the rows of all shards, or j the single values.';

DO $$
BEGIN
  PERFORM @extschema@.replace_by_merge(
            format('%s.%s', CASE WHEN m.is_private THEN 'integration_health_private' ELSE '@extschema:integration_health@' END,
                   m.function)::regprocedure, m.merge)
     FROM (VALUES
       (true, 'delete_history(timestamptz, bigint)', 'SELECT sum(j::bigint)::bigint FROM r'),
       (true, 'delete_runs(timestamptz, bigint)', 'SELECT sum(j::bigint)::bigint FROM r'),
       (true, 'expire_transitions(timestamptz, bigint)', 'SELECT sum(j::bigint)::bigint FROM r'),
       (true, 'expire_incidents(timestamptz, bigint)', 'SELECT sum(j::bigint)::bigint FROM r'),
       (true, 'heal_times()', 'SELECT FROM r'),
       (true, 'tell_of_open(integer)', 'SELECT sum(j::bigint)::bigint FROM r'),
       (true, 'watch_credentials(integer)', 'SELECT sum(j::bigint)::bigint FROM r'),
       (true, 'watch_syncs(integer)', 'SELECT sum(j::bigint)::bigint FROM r'),
       (true, 'resolve_recovered()', 'SELECT FROM r'),
       (true, 'withdraw_alerts(text)', 'SELECT FROM r'),
       (true, 'spread_due_monitors(text, interval, timestamptz)', 'SELECT sum(j::bigint)::bigint FROM r'),
       (true, 'take_warm_ups(timestamptz, timestamptz)', 'SELECT r.* FROM r'),
       (true, 'due_syncs(integer)', 'SELECT r.* FROM r ORDER BY r.scheduled_for, r.org_id LIMIT $1'),
       (true, 'global_health_problems(integer)',
        'SELECT r.* FROM r ORDER BY array_position(''{unhealthy,degraded,unknown}'', r.status::text), r.status_since, r.org_id, '
        'r.integration_type LIMIT $1'),
       (true, 'global_incidents(timestamptz, integer)',
        'SELECT r.* FROM r ORDER BY r.resolved_at IS NOT NULL, r.org_id IS NOT NULL, r.started_at DESC, r.incident_id LIMIT $2'),
       (true, 'alert_backlog(integer)',
        'SELECT r.* FROM r ORDER BY r.state <> ''dead'', r.due_at NULLS LAST, r.created_at, r.alert_id LIMIT $1'),
       (true, 'global_health_summary()',
        'SELECT r.integration_type, r.display_name, r.monitoring_mode, sum(r.total)::bigint, sum(r.healthy)::bigint, '
        'sum(r.degraded)::bigint, sum(r.unhealthy)::bigint, sum(r.unknown)::bigint, '
        'integration_health_private.percentage(sum(r.healthy)::numeric, sum(r.total)::numeric) FROM r '
        'GROUP BY r.integration_type, r.display_name, r.monitoring_mode ORDER BY r.display_name, r.integration_type'),
       (true, 'global_sync_summary(timestamptz)',
        'SELECT r.integration_type, r.display_name, sum(r.schedules)::bigint, sum(r.succeeded)::bigint, sum(r.failed)::bigint, '
        'sum(r.running)::bigint, sum(r.late)::bigint, sum(r.missed)::bigint, sum(r.cold_starts)::bigint, max(r.max_drift), '
        'sum(r.given_up)::bigint FROM r GROUP BY r.integration_type, r.display_name ORDER BY r.display_name, r.integration_type'),
       (false, 'mark_stale_health(integer)', 'SELECT sum(j::bigint)::bigint FROM r'),
       (false, 'integration_health_compact()', 'SELECT sum(j::bigint)::bigint FROM r')
     ) AS m (is_private, function, merge);
END
$$;

-- ---------------------------------------------------------------------------------------------
-- The functions of one alert or incident, of which the caller does not say whose it is
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.replace_by_search(function regprocedure, of_table regclass, key name, of_type text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM @extschema@.replace_by(function, format(
            '%s LANGUAGE plpgsql SECURITY DEFINER AS $f$ '
            'DECLARE owner uuid; BEGIN SELECT t.org_id INTO owner FROM %s AS t WHERE t.%I = $1; '
            'IF owner IS NULL THEN RETURN %s; END IF; '
            'RETURN (SELECT (j #>> ''{}'')::%s FROM @extschema@.for_organisation(owner, %s) AS j); END $f$',
            @extschema@.head_of(function), of_table, key, of_type, format_type(p.prorettype, NULL),
            @extschema@.call_of(function)))
     FROM pg_proc AS p WHERE p.oid = function;
END
$$;
COMMENT ON FUNCTION @extschema@.replace_by_search(regprocedure, regclass, name, text) IS
  'Replaces a function whose first argument is the key of a row by one that finds out whose row it is, and calls it on the shard '
  'of that organisation, or evaluates of_type if the row is nobody''s.';

DO $$
BEGIN
  PERFORM @extschema@.replace_by_search(
    'integration_health_private.end_lease(uuid, integer, boolean, text)', '@extschema:integration_health@.integration_alerts',
    'alert_id', '@extschema@.end_type_lease($1, $2, $3, $4)');
  PERFORM @extschema@.replace_by_search(
    'integration_health_private.revive_alert(uuid)', '@extschema:integration_health@.integration_alerts', 'alert_id',
    '@extschema@.revive_type_alert($1)');
  PERFORM @extschema@.replace_by_search(
    'integration_health_private.acknowledge_any(uuid, text)', '@extschema:integration_health@.integration_incidents',
    'incident_id', '@extschema@.acknowledge_type($1, $2)');
END
$$;

-- ---------------------------------------------------------------------------------------------
-- What Citus does not run as it is written
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.replace_by_copy(function regprocedure)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  definition text := replace(pg_get_functiondef(function), 'integration_health_private.maintenance ',
                             '@extschema:integration_health@.integration_maintenance ');
BEGIN
  PERFORM @extschema@.replace_by(function, replace(definition, '@extschema@.', 'integration_health_private.'));
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
       '@extschema:integration_health@.forget_organisation(uuid)',
       '@extschema:integration_health@.finish_alert(uuid, integer, boolean, text)']) AS f;
END
$$;

-- Both change reference tables after they have been to the shards.
ALTER FUNCTION @extschema:integration_health@.integration_health_cleanup(interval, integer)
  SET citus.multi_shard_modify_mode = 'sequential';
ALTER FUNCTION @extschema:integration_health@.integration_health_watch(integer)
  SET citus.multi_shard_modify_mode = 'sequential';

DO $$
BEGIN
  PERFORM @extschema@.put_aside(p.oid) FROM pg_proc AS p
    WHERE p.pronamespace = 'integration_health_private'::regnamespace
      AND p.proname IN ('record_round', 'apply_rate_limit', 'end_passive_mode', 'lease_probe', 'plan_monitors', 'enqueue_alert',
                        'failing_types', 'watch_types', 'silent_since', 'keep_samples', 'read_samples', 'global_uptime');
END
$$;

CREATE FUNCTION integration_health_private.record_round(
  org_ids uuid[], types text[], statuses @extschema:integration_health@.integration_health_state[], latencies integer[],
  http_statuses integer[], errors text[], retries integer[], times timestamptz[],
  causes @extschema:integration_health@.integration_failure_cause[])
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  recorded bigint;
BEGIN
  INSERT INTO @extschema:integration_health@.integration_health_status AS s
         (org_id, integration_type, status, latency_ms, http_status, error, retry_after, checked_at, cause)
  SELECT * FROM ROWS FROM (unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), unnest($6), unnest($7), unnest($8),
                           unnest($9))
      ON CONFLICT (org_id, integration_type) DO UPDATE
     SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms, http_status = EXCLUDED.http_status,
         error = EXCLUDED.error, retry_after = EXCLUDED.retry_after, checked_at = EXCLUDED.checked_at, cause = EXCLUDED.cause;
  GET DIAGNOSTICS recorded = ROW_COUNT;
  RETURN recorded;
END
$$;
COMMENT ON FUNCTION integration_health_private.record_round(
  uuid[], text[], @extschema:integration_health@.integration_health_state[], integer[], integer[], text[], integer[],
  timestamptz[], @extschema:integration_health@.integration_failure_cause[]) IS
  'Records a round of entry_rounds by one statement, and returns the number of checks.';

-- ---------------------------------------------------------------------------------------------
-- The mode of a type: a check notes what it found out, and the next claim, or the watch, acts on it.
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.apply_rate_limit(
  type @extschema:integration_health@.integration_types, asked_until timestamptz, by_probe boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO @extschema@.mode_notes (org_id, integration_type, asked_until, by_probe, answered)
  VALUES (@extschema@.place(), type.integration_type, $2, $3, false);
END
$$;
COMMENT ON FUNCTION integration_health_private.apply_rate_limit(
  @extschema:integration_health@.integration_types, timestamptz, boolean) IS
  'Notes that a check of the type was rate limited.';

CREATE FUNCTION integration_health_private.end_passive_mode(
  type @extschema:integration_health@.integration_types, org_ids uuid[], may_wait boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF integration_health_private.has_probe(type, org_ids) THEN
    INSERT INTO @extschema@.mode_notes (org_id, integration_type, by_probe, answered)
    VALUES (@extschema@.place(), type.integration_type, true, true);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.end_passive_mode(
  @extschema:integration_health@.integration_types, uuid[], boolean) IS
  'Notes that the probe of a type was answered, if the pair of one of the organisations is that probe.';

-- What changes reference tables goes first in its transaction, or Citus refuses it.
CREATE FUNCTION @extschema@.apply_notes()
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET citus.multi_shard_modify_mode = 'sequential' SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  note @extschema@.mode_notes;
  type @extschema:integration_health@.integration_types;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM @extschema@.mode_notes) THEN
    RETURN;
  END IF;
  FOR note IN
    WITH gone AS (DELETE FROM @extschema@.mode_notes RETURNING *)
    SELECT * FROM gone ORDER BY integration_type, answered, asked_until
  LOOP
    type := integration_health_private.latest_type(note.integration_type);
    IF NOT note.answered THEN
      PERFORM @extschema@.apply_rate_limit(type, note.asked_until, note.by_probe);
    ELSIF type.monitoring_mode <> 'active' THEN
      PERFORM integration_health_private.resume_type(integration_health_private.lock_type(note.integration_type, false));
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.apply_notes() IS
  'Puts types into passive mode, or back, as checks have noted. Errors: as apply_rate_limit and resume_type.';

CREATE FUNCTION integration_health_private.lease_probe(
  type @extschema:integration_health@.integration_types, moment timestamptz)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN;
END
$$;
COMMENT ON FUNCTION integration_health_private.lease_probe(
  @extschema:integration_health@.integration_types, timestamptz) IS
  'Returns nothing: a shard hands out no probe. lease_probes does, for all shards.';

CREATE FUNCTION @extschema@.due_on_shard(of_types text[], max_rows bigint)
RETURNS TABLE (integration_type text, due bigint)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
BEGIN
  RETURN QUERY
    SELECT t, (SELECT count(*)
                 FROM (SELECT FROM @extschema:integration_health@.integration_monitors AS m
                        WHERE m.integration_type = t AND m.enabled AND m.due_at <= moment LIMIT max_rows) AS d)
      FROM unnest(of_types) AS t;
END
$$;
COMMENT ON FUNCTION @extschema@.due_on_shard(text[], bigint) IS
  'Returns how many pairs of each type are due on the shard, at most max_rows.';

CREATE FUNCTION @extschema@.lease_probes()
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET citus.multi_shard_modify_mode = 'sequential' SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  moment timestamptz := clock_timestamp();
  type @extschema:integration_health@.integration_types;
  name text;
  place uuid;
BEGIN
  FOR name IN
    SELECT t.integration_type FROM @extschema:integration_health@.integration_types AS t
     WHERE t.monitoring_mode = 'passive' AND t.passive_until IS NOT NULL
       AND integration_health_private.has_waited(t.passive_until, t.max_backoff, moment) ORDER BY t.integration_type
  LOOP
    type := integration_health_private.lock_type(name, true);
    CONTINUE WHEN type.integration_type IS NULL OR type.monitoring_mode <> 'passive'
      OR NOT integration_health_private.has_waited(type.passive_until, type.max_backoff, moment);
    SELECT (j ->> 'place')::uuid INTO place
      FROM @extschema@.on_every_shard(
             'SELECT jsonb_build_object(''place'', $1 ->> ''place'') '
             'FROM @extschema@.due_on_shard(ARRAY[$1 ->> ''type''], 1) AS d WHERE d.due > 0',
             jsonb_build_object('type', name)) AS j
     ORDER BY random() LIMIT 1;
    CONTINUE WHEN place IS NULL;
    type.passive_until := moment + integration_health_private.backoff(
      type.check_interval, type.max_backoff, COALESCE(LEAST(type.probes, 1000), 0) + 2);
    type.probes := type.probes + 1;
    PERFORM integration_health_private.store_type(type);
    RETURN QUERY
      SELECT r.* FROM @extschema@.for_organisation(
               place,
               'SELECT to_jsonb(p) FROM @extschema@.probe_on_shard($1 ->> ''type'', ($1 ->> ''moment'')::timestamptz) AS p',
               jsonb_build_object('type', name, 'moment', moment)) AS j
       CROSS JOIN LATERAL jsonb_to_record(j) AS r (org_id uuid, integration_type text, due_at timestamptz,
                                                   check_interval interval);
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.lease_probes() IS
  'Hands out one pair of each passive type that has waited long enough, as its probe. Errors: as lease_pairs and store_type.';

CREATE FUNCTION @extschema@.probe_on_shard(of_type text, moment timestamptz)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  FOR org_id, integration_type, due_at, check_interval IN
    SELECT * FROM integration_health_private.lease_pairs(integration_health_private.latest_type(of_type), moment, 1)
  LOOP
    PERFORM integration_health_private.mark_probe(org_id, integration_type);
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.probe_on_shard(text, timestamptz) IS
  'Hands out one pair of a type on the shard, and marks it as the probe. Errors: as lease_pairs.';

-- Each shard is asked for what it has, but no more than its share of what is wanted.
CREATE FUNCTION @extschema@.shares(due jsonb, wanted bigint)
RETURNS jsonb
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
  WITH RECURSIVE ordered AS (
    SELECT d.key, d.value::bigint AS due, pg_catalog.row_number() OVER (ORDER BY d.value::bigint, d.key) AS place,
           pg_catalog.count(*) OVER () AS shards
      FROM pg_catalog.jsonb_each_text(shares.due) AS d
  ), shared AS (
    SELECT 0::bigint AS place, NULL::text AS key, 0::bigint AS share, shares.wanted AS rest
    UNION ALL
    SELECT o.place, o.key, LEAST(o.due, n.share), h.rest - LEAST(o.due, n.share)
      FROM shared h JOIN ordered o ON o.place = h.place + 1
     CROSS JOIN LATERAL (SELECT pg_catalog.ceil(h.rest::numeric / (o.shards - h.place))::bigint) AS n (share)
  )
  SELECT COALESCE(pg_catalog.jsonb_object_agg(h.key, h.share), '{}') FROM shared h WHERE h.share > 0;
END;
COMMENT ON FUNCTION @extschema@.shares(jsonb, bigint) IS
  'Divides wanted among the members of an object, none of which gets more than its value.';

CREATE FUNCTION @extschema@.due_here(query text, args jsonb)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  due bigint;
BEGIN
  EXECUTE query USING (args ->> 'wanted')::bigint INTO due;
  RETURN jsonb_build_object('place', args -> 'place', 'due', COALESCE(due, 0));
END
$$;
COMMENT ON FUNCTION @extschema@.due_here(text, jsonb) IS
  'Runs a query, with the member wanted of args as $1, and returns its value as due, beside the member place of args.';

CREATE FUNCTION @extschema@.lease_here(call text, args jsonb)
RETURNS SETOF jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  share bigint := (args #>> ARRAY['shares', args ->> 'place'])::bigint;
BEGIN
  IF share IS NOT NULL THEN
    RETURN QUERY EXECUTE format('SELECT to_jsonb(l) FROM %s AS l', call) USING share;
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.lease_here(text, jsonb) IS
  'Calls a function, with the share of this place as $1, if it has one, and returns its rows.';

CREATE FUNCTION @extschema@.share_out(due text, call text, wanted bigint)
RETURNS SETOF jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  due_by_place jsonb;
BEGIN
  SELECT jsonb_object_agg(j ->> 'place', j -> 'due') INTO due_by_place
    FROM @extschema@.on_every_shard(
           format('SELECT @extschema@.due_here(%L, $1)', due), jsonb_build_object('wanted', wanted)) AS j;
  RETURN QUERY
    SELECT j.*
      FROM @extschema@.on_every_shard(
             format('SELECT * FROM @extschema@.lease_here(%L, $1)', call),
             jsonb_build_object('shares', @extschema@.shares(due_by_place, wanted))) AS j;
END
$$;
COMMENT ON FUNCTION @extschema@.share_out(text, text, bigint) IS
  'Asks each shard, by the query due with wanted as $1, how much it has, and calls a function with its share of wanted as $1 on '
  'those that have any; returns the rows of all. Errors: as on_every_shard.';

CREATE FUNCTION @extschema@.lease_checks(max_rows integer)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET intervalstyle = 'postgres' SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  wanted bigint := max_rows;
  leased bigint;
BEGIN
  PERFORM integration_health_private.require_max_rows(max_rows);
  PERFORM @extschema@.apply_notes();
  RETURN QUERY SELECT * FROM @extschema@.lease_probes() LIMIT wanted;
  GET DIAGNOSTICS leased = ROW_COUNT;
  wanted := wanted - leased;
  RETURN QUERY
    SELECT r.*
      FROM @extschema@.share_out(
             'SELECT sum(d.due) FROM @extschema@.due_on_shard(ARRAY(SELECT t.integration_type '
             'FROM @extschema:integration_health@.integration_types AS t WHERE t.monitoring_mode = ''active''), $1) AS d',
             'integration_health_private.lease_checks($1::integer)', wanted) AS j
     CROSS JOIN LATERAL jsonb_to_record(j) AS r (org_id uuid, integration_type text, due_at timestamptz, check_interval interval);
END
$$;
COMMENT ON FUNCTION @extschema@.lease_checks(integer) IS 'Does the work of claim_due_health_checks.';

-- The trigger of integration_types fires on each node, which looks after its own shards.
CREATE FUNCTION integration_health_private.plan_monitors(of_type text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  part oid;
BEGIN
  PERFORM @extschema@.lock_shards();
  FOR part IN SELECT * FROM @extschema@.shards_here() LOOP
    PERFORM @extschema@.on_shard(
      part, 'SELECT to_jsonb(true) FROM @extschema@.plan_monitors($1 #>> ''{}'')', to_jsonb(of_type));
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.plan_monitors(text) IS
  'Computes due_at again for those pairs of a type, in the shards of this node, that are not due yet. Errors: 55000 as '
  'require_own_triggers.';

CREATE FUNCTION @extschema@.shards_here()
RETURNS SETOF oid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY
    SELECT c.part::oid
      FROM pg_catalog.pg_dist_shard AS s
      JOIN pg_catalog.pg_dist_placement AS p ON p.shardid = s.shardid
      JOIN pg_catalog.pg_dist_local_group AS g ON g.groupid = p.groupid
     CROSS JOIN LATERAL to_regclass(format('%I.%I', '@extschema@', 'anchors_' || s.shardid)) AS c (part)
     WHERE s.logicalrelid = '@extschema@.anchors'::regclass AND c.part IS NOT NULL
     ORDER BY s.shardid;
END
$$;
COMMENT ON FUNCTION @extschema@.shards_here() IS 'Returns the shards of anchors on this node.';

CREATE FUNCTION integration_health_private.silent_since()
RETURNS TABLE (since timestamptz, types jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT min(r.since), jsonb_agg(DISTINCT t.type ORDER BY t.type)
    FROM @extschema@.everywhere(
           'SELECT to_jsonb(s) FROM @extschema@.silent_since() AS s WHERE s.since IS NOT NULL', '{}') AS j
   CROSS JOIN LATERAL jsonb_to_record(j) AS r (since timestamptz, types jsonb)
   CROSS JOIN LATERAL jsonb_array_elements(r.types) AS t (type)
$$;
COMMENT ON FUNCTION integration_health_private.silent_since() IS
  'Returns since when a pair is due that nobody has claimed for a check_interval, and the types of such pairs, of all shards.';

-- ---------------------------------------------------------------------------------------------
-- What is not there yet
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.refuse(what text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = format('%s is not available on Citus yet', what),
    HINT = 'docs/citus.md lists what is.';
END
$$;
COMMENT ON FUNCTION @extschema@.refuse(text) IS 'Raises 0A000.';

CREATE FUNCTION integration_health_private.keep_samples()
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN;
END
$$;
COMMENT ON FUNCTION integration_health_private.keep_samples() IS 'Keeps nothing, since nothing can read it: see read_samples.';

CREATE FUNCTION integration_health_private.read_samples()
RETURNS TABLE (metric text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM @extschema@.refuse('get_health_metrics');
END
$$;
COMMENT ON FUNCTION integration_health_private.read_samples() IS 'Raises 0A000: the metrics of the shards are not merged yet.';

CREATE FUNCTION integration_health_private.global_uptime(since timestamptz, until timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, uptime_pct numeric, coverage_pct numeric, healthy_s bigint, degraded_s bigint,
  unhealthy_s bigint, unknown_s bigint, planned_s bigint, incidents bigint, mttr interval, pairs bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM @extschema@.refuse('get_global_uptime');
END
$$;
COMMENT ON FUNCTION integration_health_private.global_uptime(timestamptz, timestamptz) IS
  'Raises 0A000: the uptime of the shards is not merged yet.';

-- ---------------------------------------------------------------------------------------------
-- Incidents and alerts of types, in tables of their own
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.enqueue_alert(
  kind text, cause text, org_id uuid, integration_type text, facts jsonb)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN CASE WHEN $3 IS NULL THEN @extschema@.enqueue_type_alert($1, $2, NULL, $4, $5, clock_timestamp())
              ELSE @extschema@.enqueue_alert($1, $2, $3, $4, $5) END;
END
$$;
COMMENT ON FUNCTION integration_health_private.enqueue_alert(text, text, uuid, text, jsonb) IS
  'Writes the alert of a kind that a cause makes, unless it is there, and returns whether it was not. Errors: 55000 as '
  'require_own_triggers.';

CREATE FUNCTION @extschema@.enqueue_type_alert(
  kind text, cause text, of_incident uuid, integration_type text, facts jsonb, due_at timestamptz)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  id uuid := integration_health_private.alert_id($1 || ':' || $2);
  moment timestamptz := clock_timestamp();
  message jsonb := integration_health_private.alert_payload(
    $1, id, moment, NULL, $4, integration_health_private.display_name($4), $5);
  written bigint;
BEGIN
  INSERT INTO @extschema@.type_alerts AS a (alert_id, kind, integration_type, incident_id, payload, created_at, due_at, attempt)
  VALUES (id, $1, $4, $3, message, moment, $6, 0)
      ON CONFLICT (alert_id) DO NOTHING;
  GET DIAGNOSTICS written = ROW_COUNT;
  RETURN written > 0;
END
$$;
COMMENT ON FUNCTION @extschema@.enqueue_type_alert(text, text, uuid, text, jsonb, timestamptz) IS
  'Writes the alert of a kind that a cause makes about a type, or about all, unless it is there, and returns whether it was not.';

CREATE FUNCTION integration_health_private.failing_types()
RETURNS text[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN ARRAY(SELECT i.integration_type FROM @extschema@.type_incidents AS i WHERE i.resolved_at IS NULL);
END
$$;
COMMENT ON FUNCTION integration_health_private.failing_types() IS 'Returns the types that have an open incident.';

CREATE FUNCTION @extschema@.alert_type_incident(incident @extschema@.type_incidents, kind text, occasion text, due_at timestamptz)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN @extschema@.enqueue_type_alert(
    kind, incident.incident_id::text || occasion, incident.incident_id, incident.integration_type,
    jsonb_build_object(
      'incident_id', incident.incident_id, 'cause', incident.cause, 'failures', incident.failures,
      'started_at', integration_health_private.utc_text(incident.started_at),
      'confirmed_at', integration_health_private.utc_text(incident.confirmed_at),
      'resolved_at', integration_health_private.utc_text(incident.resolved_at)), due_at)::integer;
END
$$;
COMMENT ON FUNCTION @extschema@.alert_type_incident(@extschema@.type_incidents, text, text, timestamptz) IS
  'Writes an alert of an incident of a type, one for each occasion, and returns how many were not there yet.';

CREATE FUNCTION @extschema@.tell_of_type(incident @extschema@.type_incidents)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
BEGIN
  IF incident.alerted_at > moment - interval '24 hours'
     OR incident.alerted_at IS NOT NULL AND incident.acknowledged_at IS NOT NULL
     OR cardinality(integration_health_private.muted(ARRAY[NULL::uuid], incident.integration_type)) > 0 THEN
    RETURN 0;
  END IF;
  UPDATE @extschema@.type_incidents AS i SET alerted_at = moment WHERE i.incident_id = incident.incident_id;
  IF incident.alerted_at IS NULL THEN
    RETURN @extschema@.alert_type_incident(incident, 'incident_opened', '', moment);
  END IF;
  RETURN @extschema@.alert_type_incident(
    incident, 'incident_reminded', ':' || integration_health_private.utc_text(incident.alerted_at), moment);
END
$$;
COMMENT ON FUNCTION @extschema@.tell_of_type(@extschema@.type_incidents) IS
  'Writes the alert of an open incident of a type, or every 24 hours a reminder, unless it is muted, and returns how many.';

CREATE FUNCTION @extschema@.resolve_type_incident(incident @extschema@.type_incidents)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  is_told boolean;
BEGIN
  incident.resolved_at := GREATEST(clock_timestamp(), incident.confirmed_at);
  UPDATE @extschema@.type_incidents AS i SET resolved_at = incident.resolved_at WHERE i.incident_id = incident.incident_id;
  PERFORM integration_health_private.send_incident(ROW(incident.*)::integration_health_private.incidents, 'resolved');
  -- What no worker has seen yet has become pointless.
  DELETE FROM @extschema@.type_alerts AS a WHERE a.incident_id = incident.incident_id AND a.claimed_at IS NULL;
  SELECT bool_or(a.delivered_at IS NULL AND a.died_at IS NULL) INTO is_told
    FROM @extschema@.type_alerts AS a WHERE a.incident_id = incident.incident_id;
  IF is_told IS NOT NULL THEN
    PERFORM @extschema@.alert_type_incident(
      incident, 'incident_resolved', '', CASE WHEN is_told THEN 'infinity' ELSE clock_timestamp() END);
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.resolve_type_incident(@extschema@.type_incidents) IS
  'Resolves an incident of a type, whose row must be locked, and writes the alert if somebody was told of it.';

CREATE FUNCTION @extschema@.open_type_incident(of_type text, failing bigint)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  incident @extschema@.type_incidents;
  moment timestamptz := clock_timestamp();
BEGIN
  SELECT i.cause, i.started_at INTO incident.cause, incident.started_at
    FROM @extschema:integration_health@.integration_incidents AS i
   WHERE i.integration_type = of_type AND i.resolved_at IS NULL ORDER BY i.started_at LIMIT 1;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  incident.incident_id := gen_random_uuid();
  incident.integration_type := of_type;
  incident.confirmed_at := GREATEST(moment, incident.started_at);
  incident.failures := failing;
  INSERT INTO @extschema@.type_incidents (incident_id, integration_type, cause, started_at, confirmed_at, failures)
  VALUES (incident.incident_id, of_type, incident.cause, incident.started_at, incident.confirmed_at, incident.failures)
      ON CONFLICT (integration_type) WHERE resolved_at IS NULL DO NOTHING;
  IF NOT EXISTS (SELECT 1 FROM @extschema@.type_incidents AS i WHERE i.incident_id = incident.incident_id) THEN
    RETURN 0;
  END IF;
  PERFORM integration_health_private.send_incident(ROW(incident.*)::integration_health_private.incidents, 'opened');
  RETURN @extschema@.tell_of_type(incident);
END
$$;
COMMENT ON FUNCTION @extschema@.open_type_incident(text, bigint) IS
  'Opens an incident of a type of which so many pairs fail, unless none of them has a confirmed incident, and returns the number '
  'of alerts written.';

CREATE FUNCTION integration_health_private.watch_types()
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET citus.multi_shard_modify_mode = 'sequential' SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  type record;
  incident @extschema@.type_incidents;
  alerts bigint := 0;
BEGIN
  IF @extschema@.is_on_shard() THEN
    RETURN 0;
  END IF;
  PERFORM @extschema@.apply_notes();
  FOR type IN
    SELECT c.integration_type, sum(c.delta)::bigint AS total,
           COALESCE(sum(c.delta) FILTER (WHERE c.status = 'unhealthy'), 0)::bigint AS failing
      FROM @extschema:integration_health@.integration_health_counts AS c GROUP BY c.integration_type ORDER BY c.integration_type
  LOOP
    SELECT i.* INTO incident FROM @extschema@.type_incidents AS i
     WHERE i.integration_type = type.integration_type AND i.resolved_at IS NULL FOR UPDATE;
    IF incident.incident_id IS NULL THEN
      CONTINUE WHEN type.failing < integration_health_private.failing_limit(type.total);
      alerts := alerts + @extschema@.open_type_incident(type.integration_type, type.failing);
    ELSIF type.failing < integration_health_private.failing_limit(type.total) / 2 THEN
      PERFORM @extschema@.resolve_type_incident(incident);
      CONTINUE;
    ELSE
      alerts := alerts + @extschema@.tell_of_type(incident);
      IF type.failing > incident.failures THEN
        UPDATE @extschema@.type_incidents AS i SET failures = type.failing WHERE i.incident_id = incident.incident_id;
      END IF;
    END IF;
    PERFORM integration_health_private.withdraw_alerts(type.integration_type);
  END LOOP;
  RETURN alerts;
END
$$;
COMMENT ON FUNCTION integration_health_private.watch_types() IS
  'Opens and resolves the incidents of types, tells of them, and withdraws the alerts of pairs whose type has one; returns the '
  'number of alerts written. On a shard it does nothing.';

CREATE FUNCTION @extschema@.lease_type_alerts(max_rows integer, lease interval)
RETURNS TABLE (alert_id uuid, kind text, org_id uuid, integration_type text, attempt integer, payload jsonb)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  moment timestamptz := clock_timestamp();
  until timestamptz := moment + integration_health_private.alert_lease(lease);
  alert @extschema@.type_alerts;
BEGIN
  FOR alert IN
    SELECT a.* FROM @extschema@.type_alerts AS a
     WHERE a.delivered_at IS NULL AND a.died_at IS NULL AND a.due_at <= moment ORDER BY a.due_at LIMIT max_rows FOR UPDATE
  LOOP
    IF alert.attempt > 0 AND integration_health_private.wait_after(alert.attempt) IS NULL THEN
      UPDATE @extschema@.type_alerts AS a
         SET died_at = moment, lease_until = NULL, error = 'the worker of the last attempt reported nothing'
       WHERE a.alert_id = alert.alert_id;
      PERFORM @extschema@.release_type_alert(alert.incident_id);
      CONTINUE;
    END IF;
    UPDATE @extschema@.type_alerts AS a SET attempt = alert.attempt + 1, claimed_at = moment, due_at = until, lease_until = until
     WHERE a.alert_id = alert.alert_id;
    RETURN QUERY SELECT alert.alert_id, alert.kind, NULL::uuid, alert.integration_type, alert.attempt + 1, alert.payload;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.lease_type_alerts(integer, interval) IS 'Hands out alerts of types and of all, as claim_alerts.';

CREATE FUNCTION @extschema@.release_type_alert(of_incident uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
BEGIN
  IF NOT EXISTS (SELECT 1 FROM @extschema@.type_alerts AS e
                  WHERE e.incident_id = of_incident AND isfinite(e.due_at) AND e.delivered_at IS NULL AND e.died_at IS NULL) THEN
    UPDATE @extschema@.type_alerts AS a SET due_at = moment
     WHERE a.incident_id = of_incident AND a.due_at = 'infinity' AND a.delivered_at IS NULL AND a.died_at IS NULL;
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.release_type_alert(uuid) IS 'As release_alert, for an incident of a type.';

CREATE FUNCTION @extschema@.end_type_lease(id uuid, of_attempt integer, is_delivered boolean, message text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  alert @extschema@.type_alerts;
  wait interval;
BEGIN
  SELECT a.* INTO alert FROM @extschema@.type_alerts AS a WHERE a.alert_id = id FOR UPDATE;
  IF alert.alert_id IS NULL OR alert.delivered_at IS NOT NULL OR alert.claimed_at IS NULL
     OR NOT is_delivered AND (alert.died_at IS NOT NULL OR alert.attempt <> of_attempt) THEN
    RETURN false;
  END IF;
  wait := integration_health_private.wait_after(alert.attempt);
  alert.delivered_at := CASE WHEN is_delivered THEN moment END;
  alert.died_at := CASE WHEN NOT is_delivered AND wait IS NULL THEN moment END;
  alert.due_at := CASE WHEN is_delivered THEN alert.due_at ELSE COALESCE(moment + wait, alert.due_at) END;
  alert.error := CASE WHEN NOT is_delivered THEN "left"(COALESCE(message, 'no reason was given'), 2000) END;
  UPDATE @extschema@.type_alerts AS a
     SET lease_until = NULL, delivered_at = alert.delivered_at, died_at = alert.died_at, due_at = alert.due_at,
         error = alert.error
   WHERE a.alert_id = id;
  IF alert.delivered_at IS NOT NULL OR alert.died_at IS NOT NULL THEN
    PERFORM @extschema@.release_type_alert(alert.incident_id);
  END IF;
  RETURN true;
END
$$;
COMMENT ON FUNCTION @extschema@.end_type_lease(uuid, integer, boolean, text) IS 'As end_lease, for an alert of a type or of all.';

CREATE FUNCTION @extschema@.revive_type_alert(id uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  revived bigint;
BEGIN
  PERFORM integration_health_private.require_arguments('{alert_id}', ARRAY[id IS NULL]);
  UPDATE @extschema@.type_alerts AS a SET died_at = NULL, due_at = moment, attempt = 0
   WHERE a.alert_id = id AND a.died_at IS NOT NULL AND a.delivered_at IS NULL;
  GET DIAGNOSTICS revived = ROW_COUNT;
  RETURN revived > 0;
END
$$;
COMMENT ON FUNCTION @extschema@.revive_type_alert(uuid) IS 'As revive_alert, for an alert of a type or of all.';

CREATE FUNCTION @extschema@.acknowledge_type(id uuid, message text)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  who text := integration_health_private.claimed_subject();
  incident @extschema@.type_incidents;
BEGIN
  PERFORM integration_health_private.require_arguments('{incident_id}', ARRAY[id IS NULL]);
  UPDATE @extschema@.type_incidents AS i SET acknowledged_at = moment, acknowledged_by = who, note = message
   WHERE i.incident_id = id
  RETURNING i.* INTO incident;
  IF incident.incident_id IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'there is no such incident',
      HINT = 'get_org_incidents() lists the incidents of an organisation.';
  END IF;
  PERFORM integration_health_private.send_incident(ROW(incident.*)::integration_health_private.incidents, 'acknowledged');
  RETURN moment;
END
$$;
COMMENT ON FUNCTION @extschema@.acknowledge_type(uuid, text) IS
  'As acknowledge_any, for an incident of a type. Errors: 22023 when there is no such incident.';

CREATE FUNCTION @extschema@.lease_alerts(max_rows integer, lease interval)
RETURNS TABLE (alert_id uuid, kind text, org_id uuid, integration_type text, attempt integer, payload jsonb)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET intervalstyle = 'postgres' SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  wanted bigint := max_rows;
  leased bigint;
BEGIN
  PERFORM integration_health_private.require_max_rows(max_rows);
  PERFORM integration_health_private.watch_types();
  RETURN QUERY SELECT * FROM @extschema@.lease_type_alerts(max_rows, lease);
  GET DIAGNOSTICS leased = ROW_COUNT;
  wanted := wanted - leased;
  RETURN QUERY
    SELECT r.*
      FROM @extschema@.share_out(
             'SELECT count(*) FROM (SELECT FROM @extschema:integration_health@.integration_alerts AS a '
             'WHERE a.delivered_at IS NULL AND a.died_at IS NULL AND a.due_at <= clock_timestamp() LIMIT $1) AS d',
             format('integration_health_private.lease_alerts($1::integer, %L)', lease), wanted) AS j
     CROSS JOIN LATERAL jsonb_to_record(j) AS r (alert_id uuid, kind text, org_id uuid, integration_type text, attempt integer,
                                                 payload jsonb);
END
$$;
COMMENT ON FUNCTION @extschema@.lease_alerts(integer, interval) IS 'Does the work of claim_alerts.';

DO $$
BEGIN
  PERFORM @extschema@.replace_by(f::regprocedure, @extschema@.head_of(f::regprocedure) || l)
     FROM (VALUES
       ('@extschema:integration_health@.claim_due_health_checks(integer)',
        ' LANGUAGE sql AS $f$ SELECT * FROM @extschema@.lease_checks($1) $f$'),
       ('@extschema:integration_health@.claim_alerts(integer, interval)',
        ' LANGUAGE sql AS $f$ SELECT * FROM @extschema@.lease_alerts($1, $2) $f$')) AS c (f, l);
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

-- ---------------------------------------------------------------------------------------------
-- Rights: whoever may call a function may call what has taken its place, and the other way round
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.replaced()
RETURNS TABLE (original regprocedure, replacement regprocedure)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT o.oid::regprocedure, r.oid::regprocedure
    FROM pg_catalog.pg_proc o
    JOIN pg_catalog.pg_proc r ON r.proname = o.proname AND r.proargtypes = o.proargtypes AND r.oid <> o.oid
    JOIN pg_catalog.pg_namespace n ON n.oid = r.pronamespace
   WHERE o.pronamespace = '@extschema@'::regnamespace
     AND n.nspname IN ('integration_health_private', '@extschema:integration_health@')
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
                      WHERE d.classid = 'pg_proc'::regclass AND d.objid = o.oid AND d.deptype = 'e'
                        AND e.extname = 'integration_health_citus');
END;
COMMENT ON FUNCTION @extschema@.replaced() IS
  'Returns the functions that were put aside, and those that have taken their places.';

CREATE FUNCTION @extschema@.copy_rights(from_function regprocedure, to_function regprocedure)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  grantee regrole;
BEGIN
  EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', to_function);
  FOR grantee IN
    SELECT a.grantee::regrole FROM pg_proc AS p, aclexplode(p.proacl) AS a
     WHERE p.oid = from_function AND a.grantee NOT IN (0, p.proowner)
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', to_function, grantee);
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.copy_rights(regprocedure, regprocedure) IS
  'Lets those call to_function who may call from_function, and not everybody.';

CREATE FUNCTION @extschema@.grant_helpers()
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  holder record;
BEGIN
  FOR holder IN SELECT h.role, h.is_reader FROM integration_health_private.holders() AS h LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA @extschema@ TO %s', holder.role);
    EXECUTE format(
      'GRANT EXECUTE ON FUNCTION @extschema@.is_on_shard(), @extschema@.shard_of(uuid), @extschema@.on_shard(oid, text, jsonb), '
      '@extschema@.on_shard_of(uuid, text, jsonb), @extschema@.for_organisation(uuid, text, jsonb), '
      'integration_health_private.enter_shard(oid) TO %s', holder.role);
    IF NOT holder.is_reader THEN
      EXECUTE format(
        'GRANT EXECUTE ON FUNCTION @extschema@.lease_checks(integer), @extschema@.lease_alerts(integer, interval) TO %s',
        holder.role);
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.grant_helpers() IS
  'Lets readers and writers call what finds the shard of an organisation. What runs there has their rights.';

DO $$
BEGIN
  PERFORM @extschema@.put_aside('@extschema:integration_health@.grant_integration_health(regrole, regrole)');
END
$$;

CREATE FUNCTION @extschema@.grant_on_node(reader regrole, writer regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  command text;
  roles text := concat_ws(', ', 'PUBLIC', to_regrole('anon')::text, reader::text, writer::text);
BEGIN
  FOR command IN SELECT format('REVOKE ALL ON FUNCTION %s FROM %s', r.replacement, roles) FROM @extschema@.replaced() AS r LOOP
    EXECUTE command;
  END LOOP;
  PERFORM @extschema@.grant_integration_health(reader, writer);
  FOR command IN
    SELECT format('GRANT EXECUTE ON FUNCTION %s, %s TO %s', f.original, f.replacement, h.role)
      FROM integration_health_private.rights() AS r
      JOIN @extschema@.replaced() AS f
        ON f.replacement = integration_health_private.oid_of(format(r.object, integration_health_private.schema_name()))
      JOIN (VALUES (reader, true), (writer, false)) AS h (role, is_reader)
        ON h.role IS NOT NULL AND CASE WHEN h.is_reader THEN r.reader ELSE r.writer END
  LOOP
    EXECUTE command;
  END LOOP;
  PERFORM @extschema@.grant_helpers();
END
$$;
COMMENT ON FUNCTION @extschema@.grant_on_node(regrole, regrole) IS
  'Does on this node what grant_integration_health does. Errors: as that.';

CREATE FUNCTION @extschema@.grant_on_worker(reader regrole, writer regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE SET citus.enable_ddl_propagation = off SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM @extschema@.grant_on_node(reader, writer);
END
$$;
COMMENT ON FUNCTION @extschema@.grant_on_worker(regrole, regrole) IS
  'Does on a worker what grant_integration_health does, and nothing on other nodes. Errors: as that.';

CREATE FUNCTION @extschema:integration_health@.grant_integration_health(reader regrole, writer regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  failed text;
BEGIN
  IF NOT pg_catalog.citus_is_coordinator() THEN
    PERFORM @extschema@.grant_on_worker(reader, writer);
    RETURN;
  END IF;
  -- Citus takes grants on tables to the other nodes, but not those on functions of an extension.
  SELECT string_agg(format('%s:%s: %s', n.nodename, n.nodeport, r.result), '; ') INTO failed
    FROM pg_catalog.run_command_on_workers(format('SELECT @extschema@.grant_on_worker(%L, %L)', reader, writer)) AS r
    JOIN pg_catalog.pg_dist_node AS n ON n.nodename = r.nodename AND n.nodeport = r.nodeport
   WHERE NOT r.success;
  IF failed IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = 'a node did not grant the rights', DETAIL = failed,
      HINT = 'Correct the cause, and call the function again.';
  END IF;
  PERFORM @extschema@.grant_on_node(reader, writer);
END
$$;
COMMENT ON FUNCTION @extschema:integration_health@.grant_integration_health(regrole, regrole) IS
  'Grants the rights of a reader and of a writer, on all nodes when called on the coordinator: see integration_health. To be '
  'called again after citus_add_node. Errors: 42704 when a role does not exist, 42501 when the caller does not own the tables, '
  '55000 when another node reports an error.';

DO $$
DECLARE
  function regprocedure;
BEGIN
  FOR function IN
    SELECT p.oid::regprocedure FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
      JOIN pg_extension AS e ON e.oid = d.refobjid
     WHERE d.deptype = 'e' AND e.extname = 'integration_health_citus'
  LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', function);
  END LOOP;
  PERFORM @extschema@.copy_rights(r.original, r.replacement) FROM @extschema@.replaced() AS r;
  PERFORM @extschema@.grant_helpers();
END
$$;
