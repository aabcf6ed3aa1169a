-- Claims: each shard hands out its share.

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
