-- The functions of one organisation: the one in its place finds the shard

CREATE FUNCTION @extschema@.replace_by_route(function regprocedure)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  columns text := @extschema@.columns_of(function);
  result text;
  is_row boolean;
  writes boolean;
BEGIN
  SELECT format_type(t.oid, NULL), t.typtype = 'c', p.provolatile = 'v' INTO result, is_row, writes
    FROM pg_proc AS p JOIN pg_type AS t ON t.oid = p.prorettype WHERE p.oid = function;
  PERFORM @extschema@.replace_by(function, format(
    '%s LANGUAGE sql SET intervalstyle = ''postgres'' AS $f$ SELECT %s FROM @extschema@.%s($1, %s) AS j%s $f$',
    @extschema@.head_of(function),
    CASE WHEN columns IS NULL AND NOT is_row THEN format('(j #>> ''{}'')::%s', result) ELSE 'r.*' END,
    CASE WHEN writes THEN 'write_for_organisation' ELSE 'for_organisation' END, @extschema@.call_of(function),
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
