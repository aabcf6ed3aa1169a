-- Functions whose replacements are written out, here and in the parts that follow

DO $$
BEGIN
  PERFORM @extschema@.put_aside(p.oid) FROM pg_proc AS p
    WHERE p.pronamespace = 'integration_health_private'::regnamespace
      AND p.proname IN ('record_round', 'lock_type', 'apply_rate_limit', 'end_passive_mode', 'lease_probe', 'plan_monitors',
                        'enqueue_alert', 'failing_types', 'watch_types', 'note_job');
END
$$;

CREATE FUNCTION integration_health_private.record_round(
  org_ids uuid[], types text[], statuses @extschema:integration_health@.integration_health_state[], latencies integer[],
  http_statuses integer[], errors text[], retries integer[], times timestamptz[],
  causes @extschema:integration_health@.integration_failure_cause[])
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_custom_plan SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  part record;
  written bigint;
  recorded bigint := 0;
BEGIN
  -- In the same order on all nodes: Citus writes the shards of one statement in any order, so that two batches would deadlock.
  FOR part IN
    SELECT array_agg(c.org_id) AS org_ids, array_agg(c.type) AS types, array_agg(c.status) AS statuses,
           array_agg(c.latency) AS latencies, array_agg(c.http_status) AS http_statuses, array_agg(c.error) AS errors,
           array_agg(c.retry) AS retries, array_agg(c.checked_at) AS times, array_agg(c.cause) AS causes
      FROM (SELECT u.*, pg_catalog.get_shard_id_for_distribution_column(
                     '@extschema:integration_health@.integration_health_status', u.org_id) AS shard
              FROM ROWS FROM (unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), unnest($6), unnest($7), unnest($8),
                              unnest($9))
                   WITH ORDINALITY AS u (org_id, type, status, latency, http_status, error, retry, checked_at, cause, place)
             ORDER BY shard, u.place) AS c
     GROUP BY c.shard ORDER BY c.shard
  LOOP
    INSERT INTO @extschema:integration_health@.integration_health_status AS s
           (org_id, integration_type, status, latency_ms, http_status, error, retry_after, checked_at, cause)
    SELECT * FROM ROWS FROM (unnest(part.org_ids), unnest(part.types), unnest(part.statuses), unnest(part.latencies),
                             unnest(part.http_statuses), unnest(part.errors), unnest(part.retries), unnest(part.times),
                             unnest(part.causes))
        ON CONFLICT (org_id, integration_type) DO UPDATE
       SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms, http_status = EXCLUDED.http_status,
           error = EXCLUDED.error, retry_after = EXCLUDED.retry_after, checked_at = EXCLUDED.checked_at, cause = EXCLUDED.cause;
    GET DIAGNOSTICS written = ROW_COUNT;
    recorded := recorded + written;
  END LOOP;
  RETURN recorded;
END
$$;
COMMENT ON FUNCTION integration_health_private.record_round(
  uuid[], text[], @extschema:integration_health@.integration_health_state[], integer[], integer[], text[], integer[],
  timestamptz[], @extschema:integration_health@.integration_failure_cause[]) IS
  'Records a round of entry_rounds, shard by shard, and returns the number of checks.';
