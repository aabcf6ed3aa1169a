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
