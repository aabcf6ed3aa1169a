-- The mode of a type: a check notes what it found out, and the next claim, or the watch, acts on it.

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

-- A row lock is on one copy. Two nodes that each had locked theirs would deadlock when they write both.
CREATE FUNCTION integration_health_private.lock_type(integration_type text, skip_locked boolean)
RETURNS @extschema:integration_health@.integration_types
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM FROM @extschema:integration_health@.integration_types AS t WHERE t.integration_type = $1 FOR NO KEY UPDATE;
  RETURN @extschema@.lock_type($1, $2);
END
$$;
COMMENT ON FUNCTION integration_health_private.lock_type(text, boolean) IS
  'Locks the row of a type on all nodes, for which it waits, and returns it; null when there is none.';

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
  -- One at a time: two nodes would delete the notes in different orders.
  PERFORM FROM @extschema:integration_health@.integration_types FOR NO KEY UPDATE;
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
