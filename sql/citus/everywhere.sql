-- The functions of all organisations: the one in its place calls it on every shard, with the rights of the owner, and merges the
-- results. Functions of integration_health that have checked the caller call it.

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
