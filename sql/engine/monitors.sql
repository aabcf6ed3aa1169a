-- The PL/pgSQL engine: when each pair is checked.

-- @before integration_monitor_first_due
CREATE FUNCTION integration_health_private.share_of(length bigint, org_id uuid, integration_type text, seed bigint)
RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT (pg_catalog.uuid_hash_extended(org_id, pg_catalog.hashtextextended(integration_type COLLATE pg_catalog."C", seed))
          & 9223372036854775807) % (length + 1);
END;
COMMENT ON FUNCTION integration_health_private.share_of(bigint, uuid, text, bigint) IS
  'Returns a part of length, 0 to length: always the same for a given pair and seed, and different for different '
  'pairs.';

-- @integration_monitor_first_due
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT since + interval '1 microsecond' * integration_health_private.share_of(
           GREATEST(integration_health_private.micros(check_interval) - 1, 0), org_id, integration_type, 0);
END;

-- @integration_monitor_ready_at
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  shortest bigint := integration_health_private.micros(check_interval);
  limit_of_wait bigint := integration_health_private.micros(max_backoff);
  wait bigint;
  longest bigint;
BEGIN
  IF org_id IS NULL OR integration_type IS NULL OR shortest IS NULL OR limit_of_wait IS NULL OR failures IS NULL THEN
    RETURN NULL;
  ELSIF claimed_at IS NULL OR NOT isfinite(claimed_at) THEN
    RETURN COALESCE(claimed_at, '-infinity');
  END IF;
  wait := integration_health_private.micros(integration_health_private.backoff(check_interval, max_backoff, failures));
  longest := CASE WHEN wait > limit_of_wait - wait / 10 THEN limit_of_wait ELSE wait + wait / 10 END;
  shortest := GREATEST(longest - wait / 10, shortest);
  RETURN claimed_at + interval '1 microsecond' * (
    shortest + CASE WHEN longest > shortest
                    THEN integration_health_private.share_of(longest - shortest, org_id, integration_type,
                                                             (extract(epoch FROM claimed_at) * 1000000)::bigint)
                    ELSE 0 END);
END
$$;

-- @backoff
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT interval '1 microsecond' * GREATEST(
    integration_health_private.micros(check_interval)::float8,
    LEAST(integration_health_private.micros(check_interval) * pg_catalog.power(2, LEAST(GREATEST(failures - 1, 0), 60)),
          integration_health_private.micros(max_backoff)::float8));
END;

-- @latest_monitor
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  monitor @extschema@.integration_monitors;
BEGIN
  SELECT m.* INTO monitor FROM @extschema@.integration_monitors AS m
   WHERE m.org_id = latest_monitor.org_id AND m.integration_type = latest_monitor.integration_type;
  RETURN monitor;
END
$$;

-- @lock_monitor
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  monitor @extschema@.integration_monitors;
BEGIN
  SELECT m.* INTO monitor FROM @extschema@.integration_monitors AS m
   WHERE m.org_id = lock_monitor.org_id AND m.integration_type = lock_monitor.integration_type
     FOR NO KEY UPDATE SKIP LOCKED;
  RETURN monitor;
END
$$;

-- @lock_due_monitors
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY
  SELECT m.* FROM @extschema@.integration_monitors AS m
   WHERE m.integration_type = of_type AND m.enabled AND m.due_at <= moment
   ORDER BY m.due_at LIMIT max_rows FOR NO KEY UPDATE SKIP LOCKED;
END
$$;

-- @store_monitors
LANGUAGE plpgsql VOLATILE STRICT
SET enable_hashjoin = off SET enable_mergejoin = off SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_monitors'::regclass]);
  -- LIMIT keeps the planner from joining the other way round, which would read the whole table: that is what it does with
  -- statistics from when the table was empty.
  RETURN QUERY
  UPDATE @extschema@.integration_monitors AS m SET claimed_at = n.claimed_at, due_at = n.due_at
    FROM unnest(org_ids, store_monitors.claimed_at, store_monitors.due_at) AS n (org_id, claimed_at, due_at)
   CROSS JOIN LATERAL (SELECT x.tableoid, x.ctid FROM @extschema@.integration_monitors AS x
                        WHERE x.org_id = n.org_id AND x.integration_type = of_type LIMIT 1) AS p (part, place)
   WHERE m.tableoid = p.part AND m.ctid = p.place
  RETURNING m.*;
END
$$;

-- @mark_probe
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  marked @extschema@.integration_health_status;
BEGIN
  PERFORM FROM @extschema@.integration_health_status AS s
    WHERE s.org_id = mark_probe.org_id AND s.integration_type = mark_probe.integration_type FOR NO KEY UPDATE SKIP LOCKED;
  IF FOUND THEN
    PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_health_status'::regclass]);
    UPDATE @extschema@.integration_health_status AS s SET is_probe = true
     WHERE s.org_id = mark_probe.org_id AND s.integration_type = mark_probe.integration_type
    RETURNING s.* INTO marked;
  END IF;
  RETURN marked;
END
$$;
