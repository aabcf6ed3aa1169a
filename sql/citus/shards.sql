-- Reaching the shards

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
RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Without an organisation any shard will do: the query says what is wrong with that.
  RETURN pg_catalog.get_shard_id_for_distribution_column(
    '@extschema@.anchors'::regclass, COALESCE(org_id, '00000000-0000-0000-0000-000000000000'));
END
$$;
COMMENT ON FUNCTION @extschema@.shard_of(uuid) IS 'Returns the number of the shard of anchors to which an organisation belongs.';

CREATE FUNCTION @extschema@.on_shard_no(shard bigint, query text, args jsonb)
RETURNS SETOF jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY
    SELECT * FROM @extschema@.on_shard(to_regclass(format('%I.%I', '@extschema@', 'anchors_' || shard))::oid, $2, $3);
END
$$;
COMMENT ON FUNCTION @extschema@.on_shard_no(bigint, text, jsonb) IS
  'Calls on_shard for the shard of anchors with this number. Errors: as on_shard.';

-- The count gives one row, whatever the organisation has, and tells Citus on which node the function is to be called. That node
-- is not asked for the shard: it may be told of a split a moment later than this one. Citus has no generic plan for this.
CREATE FUNCTION @extschema@.read_organisation(org_id uuid, query text, args jsonb)
RETURNS SETOF jsonb
LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_custom_plan SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  place uuid := COALESCE($1, '00000000-0000-0000-0000-000000000000');
  shard bigint := @extschema@.shard_of($1);
BEGIN
  RETURN QUERY
    SELECT r.*
      FROM (SELECT count(*) FROM @extschema:integration_health@.integration_health_status AS s WHERE s.org_id = place) AS one
     CROSS JOIN LATERAL @extschema@.on_shard_no(shard, $2, $3) AS r;
END
$$;
COMMENT ON FUNCTION @extschema@.read_organisation(uuid, text, jsonb) IS
  'Runs a query that writes nothing, with args as $1, on the shard of an organisation, with the rights of the caller, and '
  'returns its rows. Errors: as on_shard.';

-- Citus does not know that a query may write. Without this lock the shard could be moved meanwhile, and what was written to it be
-- left behind: the moves of Citus wait for the lock. It is taken again after a wait, which may have been for a split.
CREATE FUNCTION @extschema@.lock_shard_of(org_id uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  shard bigint;
  held bigint := 0;
BEGIN
  LOOP
    shard := @extschema@.shard_of(org_id);
    EXIT WHEN shard = held;
    PERFORM pg_catalog.lock_shard_metadata(5, ARRAY[shard]);
    held := shard;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.lock_shard_of(uuid) IS
  'Makes the moves of the shard of an organisation wait for the end of the transaction.';

-- Citus would take the query for a read: if the node of the organisation went before COMMIT, what it wrote would be lost without an
-- error. After a DELETE, which finds no row, it knows better.
CREATE FUNCTION @extschema@.for_organisation(org_id uuid, query text, args jsonb)
RETURNS SETOF jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- A statement of its own: what Citus plans before it has the lock may look for the shard where it no longer is.
  PERFORM @extschema@.lock_shard_of($1);
  DELETE FROM @extschema:integration_health@.integration_monitors AS m WHERE m.org_id = $1 AND m.integration_type IS NULL;
  RETURN QUERY SELECT * FROM @extschema@.read_organisation($1, $2, $3);
END
$$;
COMMENT ON FUNCTION @extschema@.for_organisation(uuid, text, jsonb) IS
  'Runs a query that writes, as read_organisation does; COMMIT fails if the node of the organisation has gone by then. For writers. '
  'Errors: as on_shard.';

CREATE FUNCTION @extschema@.on_every_shard(query text, args jsonb)
RETURNS SETOF jsonb
LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_custom_plan SET search_path = pg_catalog, pg_temp AS $$
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

-- As lock_shard_of.
CREATE FUNCTION @extschema@.lock_shards()
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  shards bigint[];
  held bigint[] := '{}';
BEGIN
  LOOP
    shards := ARRAY(SELECT s.shardid FROM pg_catalog.pg_dist_shard AS s
                     WHERE s.logicalrelid = '@extschema@.anchors'::regclass ORDER BY s.shardid);
    EXIT WHEN shards = held;
    PERFORM pg_catalog.lock_shard_metadata(5, shards);
    held := shards;
  END LOOP;
  RETURN cardinality(shards);
END
$$;
COMMENT ON FUNCTION @extschema@.lock_shards() IS
  'Makes the moves of shards wait for the end of the transaction, and returns how many shards there are.';

CREATE FUNCTION @extschema@.hold_shards()
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- A statement of its own, as in for_organisation.
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
  first uuid;
BEGIN
  FOR shard IN
    SELECT s.shardid FROM pg_catalog.pg_dist_shard AS s
     WHERE s.logicalrelid = anchors
       AND s.shardid NOT IN (SELECT pg_catalog.get_shard_id_for_distribution_column(anchors, a.org_id)
                               FROM @extschema@.anchors AS a)
  LOOP
    anchor := @extschema@.anchor_for(shard.shardid);
    CONTINUE WHEN anchor IS NULL;
    -- One session at a time, whatever its node: on_every_shard would call a shard that has two anchors twice.
    SELECT a.org_id INTO first FROM @extschema@.anchors AS a ORDER BY a.org_id LIMIT 1;
    PERFORM FROM @extschema@.anchors AS a WHERE a.org_id = first FOR UPDATE;
    IF NOT EXISTS (SELECT 1 FROM @extschema@.anchors AS a
                    WHERE pg_catalog.get_shard_id_for_distribution_column(anchors, a.org_id) = shard.shardid) THEN
      INSERT INTO @extschema@.anchors (org_id) VALUES (anchor);
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.fill_anchors() IS
  'Gives an anchor to each shard that has none. An organisation that was isolated before it had any status is left out until it '
  'has one.';

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
