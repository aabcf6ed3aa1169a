-- Work with a limit: each shard gets a share of it.

-- Each shard is asked for what it has, but no more than its share of what is wanted.
CREATE FUNCTION @extschema@.shares(due jsonb, wanted bigint)
RETURNS jsonb
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  WITH RECURSIVE ordered AS (
    SELECT d.key, d.value::bigint AS due, pg_catalog.row_number() OVER (ORDER BY d.value::bigint, pg_catalog.random()) AS place,
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
  'Divides wanted among the members of an object, none of which gets more than its value; which of them get none when there are '
  'more members than that, is left to chance.';

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

CREATE FUNCTION @extschema@.work_here(call text, args jsonb)
RETURNS SETOF jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  share bigint := (args #>> ARRAY['shares', args ->> 'place'])::bigint;
BEGIN
  IF share IS NOT NULL THEN
    RETURN QUERY EXECUTE format('SELECT jsonb_build_object(''place'', $2, ''row'', w) FROM %s AS w', call)
      USING share, args -> 'place';
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.work_here(text, jsonb) IS
  'Calls a function, with the share of this place as $1, if it has one, and returns its rows, or the number of those that it has '
  'dealt with, with the place.';

-- A shard that has used up its share may have more to do, and gets a share of what the others have left.
CREATE FUNCTION @extschema@.share_out(due text, call text, wanted bigint)
RETURNS SETOF jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  due_by_place jsonb;
  shares jsonb;
  done jsonb[];
BEGIN
  SELECT jsonb_object_agg(j ->> 'place', j -> 'due') INTO due_by_place
    FROM @extschema@.on_every_shard(
           format('SELECT @extschema@.due_here(%L, $1)', COALESCE(due, 'SELECT $1')), jsonb_build_object('wanted', wanted)) AS j;
  LOOP
    shares := @extschema@.shares(due_by_place, wanted);
    EXIT WHEN shares = '{}';
    done := ARRAY(SELECT * FROM @extschema@.on_every_shard(
                    format('SELECT * FROM @extschema@.work_here(%L, $1)', call), jsonb_build_object('shares', shares)));
    RETURN QUERY SELECT d -> 'row' FROM unnest(done) AS d;
    SELECT jsonb_object_agg(p.place, p.due - n.rows) FILTER (WHERE n.rows >= COALESCE((shares ->> p.place)::bigint, 0)),
           wanted - sum(n.rows)
      INTO due_by_place, wanted
      FROM (SELECT e.key, e.value::bigint FROM jsonb_each_text(due_by_place) AS e) AS p (place, due)
     CROSS JOIN LATERAL (
           SELECT COALESCE(sum(CASE jsonb_typeof(d -> 'row') WHEN 'number' THEN (d -> 'row')::bigint ELSE 1 END), 0)
             FROM unnest(done) AS d WHERE d ->> 'place' = p.place) AS n (rows);
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.share_out(text, text, bigint) IS
  'Asks each shard, by the query due with wanted as $1, how much it has, or takes it to have enough if due is null; calls a '
  'function with its share of wanted as $1 on those that have any, until all is done or wanted is used up; and returns what it '
  'returns on each. Errors: as on_every_shard.';

CREATE FUNCTION @extschema@.replace_by_share(function regprocedure, also text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  limits integer := pronargs FROM pg_proc WHERE oid = function;
BEGIN
  PERFORM @extschema@.replace_by(function, format(
    '%s LANGUAGE sql SECURITY DEFINER AS $f$ SELECT COALESCE(sum(j::bigint), 0)::bigint %s FROM @extschema@.share_out('
    'NULL, format(%L%s), $%s) AS j $f$',
    @extschema@.head_of(function), also,
    format('@extschema@.%I(%s$1::%s)', p.proname, repeat('%L, ', limits - 1), format_type(p.proargtypes[limits - 1], NULL)),
    (SELECT string_agg(format(', $%s', n), '') FROM generate_series(1, limits - 1) AS n), limits))
     FROM pg_proc AS p WHERE p.oid = function;
END
$$;
COMMENT ON FUNCTION @extschema@.replace_by_share(regprocedure, text) IS
  'Replaces a function whose last argument is the greatest number that it may return by one that calls it on the shards, each of '
  'which has a share of that number, and returns the sum, with also after it.';
