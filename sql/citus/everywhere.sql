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
    '%s LANGUAGE sql SECURITY DEFINER SET intervalstyle = ''postgres'' AS $f$ '
    'WITH r AS (SELECT %s FROM @extschema@.everywhere(%s) AS j%s) %s $f$',
    @extschema@.head_of(function), CASE WHEN columns IS NULL THEN 'j #>> ''{}'' AS value' ELSE 'f.*' END,
    @extschema@.call_of(function),
    CASE WHEN columns IS NULL THEN '' ELSE format(' CROSS JOIN LATERAL jsonb_to_record(j) AS f (%s)', columns) END, merge));
END
$$;
COMMENT ON FUNCTION @extschema@.replace_by_merge(regprocedure, text) IS
  'Replaces a function by one that calls it on every shard and merges the rows by a query, in which r are the rows of all '
  'shards, or single values of type text.';

-- What is of types lies outside the shards.
CREATE FUNCTION @extschema@.copy_for_types(function regprocedure)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- The setting keeps the function from being inlined into a query for which Citus has not planned.
  EXECUTE replace(replace(replace(regexp_replace(
            pg_get_functiondef(function), 'FUNCTION [^(]*\.(\w+)\((.*?\n) LANGUAGE',
            E'FUNCTION @extschema@.\\1_of_types(\\2 SET search_path = pg_catalog, pg_temp LANGUAGE'),
            '@extschema:integration_health@.integration_incidents ', '@extschema@.type_incidents '),
            '@extschema:integration_health@.integration_alerts ', '@extschema@.type_alerts '),
            p.proname || '.', p.proname || '_of_types.')
     FROM pg_proc AS p WHERE p.oid = function;
  EXECUTE format('COMMENT ON FUNCTION @extschema@.%I(%s) IS %L', p.proname || '_of_types',
                 pg_get_function_identity_arguments(p.oid), format('As %s, for the incidents and alerts of types.', p.proname))
     FROM pg_proc AS p WHERE p.oid = function;
END
$$;
COMMENT ON FUNCTION @extschema@.copy_for_types(regprocedure) IS
  'Makes a copy of a function, with _of_types after its name, that reads type_incidents and type_alerts.';

DO $$
BEGIN
  PERFORM @extschema@.copy_for_types(('integration_health_private.' || f)::regprocedure)
     FROM unnest(ARRAY['global_incidents(timestamptz, integer)', 'alert_backlog(integer)', 'measured_incidents()',
                       'measured_alerts()']) AS f;
END
$$;

DO $$
DECLARE
  merged record;
BEGIN
  FOR merged IN
    VALUES
      ('heal_times()', 'SELECT FROM r'), ('resolve_recovered()', 'SELECT FROM r'), ('withdraw_alerts(text)', 'SELECT FROM r'),
      ('spread_due_monitors(text, interval, timestamptz)', 'SELECT sum(r.value::bigint)::bigint FROM r'),
      ('move_warm_ups(timestamptz, timestamptz)', 'SELECT r.* FROM r'),
      ('fold_counts()', 'SELECT sum(r.value::bigint)::bigint FROM r'),
      ('due_periods(integer)', 'SELECT r.* FROM r ORDER BY r.due_at LIMIT $1'),
      ('unrun_schedules(integer)', 'SELECT r.* FROM r ORDER BY r.due_at DESC LIMIT $1'),
      ('global_health_problems(integer)',
       'SELECT r.* FROM r ORDER BY array_position(''{unhealthy,degraded,unknown}'', r.status::text), r.status_since, r.org_id, '
       'r.integration_type LIMIT $1'),
      ('global_incidents(timestamptz, integer)',
       'SELECT u.* FROM (SELECT r.* FROM r UNION ALL SELECT t.* FROM @extschema@.global_incidents_of_types($1, $2) AS t) AS u '
       'ORDER BY u.resolved_at IS NOT NULL, u.org_id IS NOT NULL, u.started_at DESC, u.incident_id LIMIT $2'),
      ('alert_backlog(integer)',
       'SELECT u.* FROM (SELECT r.* FROM r UNION ALL SELECT t.* FROM @extschema@.alert_backlog_of_types($1) AS t) AS u '
       'ORDER BY u.state <> ''dead'', u.due_at NULLS LAST, u.created_at, u.alert_id LIMIT $1'),
      ('global_health_summary()',
       'SELECT r.integration_type, r.display_name, r.monitoring_mode, sum(r.total)::bigint, sum(r.healthy)::bigint, '
       'sum(r.degraded)::bigint, sum(r.unhealthy)::bigint, sum(r.unknown)::bigint, '
       'integration_health_private.percentage(sum(r.healthy)::numeric, sum(r.total)::numeric) FROM r '
       'GROUP BY r.integration_type, r.display_name, r.monitoring_mode ORDER BY r.display_name, r.integration_type'),
      ('global_sync_summary(timestamptz)',
       'SELECT r.integration_type, r.display_name, sum(r.schedules)::bigint, sum(r.succeeded)::bigint, sum(r.failed)::bigint, '
       'sum(r.running)::bigint, sum(r.late)::bigint, sum(r.missed)::bigint, sum(r.cold_starts)::bigint, max(r.max_drift), '
       'sum(r.given_up)::bigint FROM r GROUP BY r.integration_type, r.display_name ORDER BY r.display_name, r.integration_type'),
      ('uptime_sums(timestamptz, timestamptz)',
       'SELECT r.integration_type, r.display_name, sum(r.healthy), sum(r.degraded), sum(r.unhealthy), sum(r.unknown), '
       'sum(r.planned), sum(r.incidents)::bigint, sum(r.resolved)::bigint, sum(r.took), sum(r.pairs) FROM r '
       'GROUP BY r.integration_type, r.display_name'),
      ('silent_since()',
       'SELECT min(r.since), jsonb_agg(DISTINCT t.type ORDER BY t.type) FROM r '
       'CROSS JOIN LATERAL jsonb_array_elements(r.types) AS t (type) WHERE r.since IS NOT NULL'),
      ('measured_syncs()',
       'SELECT r.metric, r.labels, CASE WHEN r.metric LIKE ''%_max_seconds'' THEN max(r.value) ELSE sum(r.value) END FROM r '
       'GROUP BY r.metric, r.labels'),
      ('measured_incidents()',
       'SELECT u.metric, u.labels, sum(u.value) FROM (SELECT r.* FROM r UNION ALL '
       'SELECT t.* FROM @extschema@.measured_incidents_of_types() AS t) AS u GROUP BY u.metric, u.labels'),
      ('measured_alerts()',
       'SELECT u.metric, u.labels, CASE WHEN u.metric LIKE ''%_timestamp_seconds'' '
       'THEN COALESCE(min(u.value) FILTER (WHERE u.value > 0), 0) ELSE sum(u.value) END FROM (SELECT r.* FROM r UNION ALL '
       'SELECT t.* FROM @extschema@.measured_alerts_of_types() AS t) AS u GROUP BY u.metric, u.labels'),
      ('read_samples()',
       'SELECT r.metric, r.labels, CASE r.metric WHEN ''integration_health_pairs'' THEN sum(r.value) ELSE max(r.value) END '
       'FROM r GROUP BY r.metric, r.labels')
  LOOP
    PERFORM @extschema@.replace_by_merge(('integration_health_private.' || merged.column1)::regprocedure, merged.column2);
  END LOOP;
END
$$;

CREATE FUNCTION @extschema@.expire_types(cutoff timestamptz)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  incidents bigint;
  alerts bigint;
BEGIN
  DELETE FROM @extschema@.type_incidents AS i WHERE i.resolved_at < cutoff;
  GET DIAGNOSTICS incidents = ROW_COUNT;
  DELETE FROM @extschema@.type_alerts AS a
   WHERE a.created_at < cutoff
     AND NOT EXISTS (SELECT 1 FROM @extschema@.type_incidents AS i WHERE i.incident_id = a.incident_id AND i.resolved_at IS NULL);
  GET DIAGNOSTICS alerts = ROW_COUNT;
  RETURN incidents + alerts;
END
$$;
COMMENT ON FUNCTION @extschema@.expire_types(timestamptz) IS 'As expire_incidents, for the incidents and alerts of types.';

DO $$
BEGIN
  PERFORM @extschema@.replace_by_share(('integration_health_private.' || f)::regprocedure, also)
     FROM (VALUES ('delete_history(timestamptz, bigint)', ''), ('delete_runs(timestamptz, bigint)', ''),
                  ('expire_transitions(timestamptz, bigint)', ''),
                  ('expire_incidents(timestamptz, bigint)', '+ @extschema@.expire_types($1)'),
                  ('mark_stale(integer)', ''), ('tell_of_open(integer)', ''), ('watch_credentials(integer)', '')) AS c (f, also);
END
$$;
