# shellcheck shell=bash
# jobs.sh: what jobs do on every shard, and what is read of all of them.

check 0 'who calls what was put aside runs on shards' record_end -c "SELECT string_agg(DISTINCT f.proname, ' ' ORDER BY f.proname) FROM pg_depend AS d JOIN pg_proc AS f ON f.oid = d.objid
  JOIN pg_proc AS g ON g.oid = d.refobjid WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_proc'::regclass
  AND g.pronamespace = 'integration_health_citus'::regnamespace AND f.pronamespace <> g.pronamespace
  AND g.oid IN (SELECT original FROM integration_health_citus.replaced())"

# orgs TAG FROM TO: numbered organisations, as rows of o (org_id, n).
orgs() { echo "(SELECT md5('$1' || n)::uuid AS org_id, n FROM generate_series($2, $3) AS n) AS o"; }
# old TAG NUMBER AGE: records first checks that are this old.
old() {
  sql 0 -o /dev/null -c "INSERT INTO integration_health_status (org_id, integration_type, status, checked_at)
    SELECT org_id, 'jobs', 'healthy', now() - interval '$3' FROM $(orgs "$1" 1 "$2")"
}

sql 0 -c "INSERT INTO integration_types (integration_type, display_name, planned_since) VALUES ('jobs', 'Jobs', '2026-01-01')"

# --- stale pairs: the limit is shared by all shards
old stale 30 '3 hours'
check 0 'fewer than there are shards' 3 -c 'SELECT mark_stale_health(3)'
check 1 'more' 12 -c 'SELECT mark_stale_health(12)'
check 0 'the job marks the rest' 15 -c 'SELECT integration_health_private.run_stale()'
check 0 'each has one check more' '30 30' -c "SELECT count(*) || ' ' || count(*) FILTER (WHERE status = 'unknown' AND check_no = 2) FROM integration_health_status
  WHERE org_id IN (SELECT org_id FROM $(orgs stale 1 30))"
check 0 'no more than once' 0 -c 'SELECT mark_stale_health()'
check 0 'no limit' 'ERROR:  max_rows must be at least 1' -c 'SELECT mark_stale_health(0)'

# --- cleanup
old cleanup 20 '40 days'
check 1 'some of the old history' 7 -c "SELECT integration_health_cleanup('30 days', 7)"
check 0 'the rest' 13 -c 'SELECT integration_health_cleanup()'
check 0 'none is left' 0 -c "SELECT count(*) FROM integration_health_history WHERE org_id IN (SELECT org_id FROM $(orgs cleanup 1 20))"
check 0 'nothing else is gone' 30 -c "SELECT count(*) FROM integration_health_history WHERE org_id IN (SELECT org_id FROM $(orgs stale 1 30)) AND status = 'healthy'"
check 0 'what types leave behind is there' t -c 'SELECT count(*) > 0 FROM integration_health_citus.type_incidents WHERE resolved_at IS NOT NULL'
check 0 'old incidents of types go' '0 0' -c "UPDATE integration_health_citus.type_incidents SET started_at = now() - interval '100 days', confirmed_at = now() - interval '100 days',
  resolved_at = now() - interval '100 days' WHERE resolved_at IS NOT NULL" -c "UPDATE integration_health_citus.type_alerts SET created_at = now() - interval '100 days'" \
  -c 'SELECT integration_health_cleanup()' -c "SELECT (SELECT count(*) FROM integration_health_citus.type_incidents WHERE resolved_at IS NOT NULL) || ' ' || (SELECT count(*) FROM integration_health_citus.type_alerts)"

# --- syncs: when no worker runs, one alert of the type says so
sql 0 -c "UPDATE integration_sync_schedules SET planned_since = now() - interval '12 hours', due_at = date_trunc('hour', now()) - interval '3 hours' WHERE org_id IN (SELECT md5('org' || n)::uuid FROM generate_series(1, 25) AS n)"
check 1 'the longest due first' 25 -c "BEGIN; $writer" -c 'SELECT count(*) FROM get_due_syncs(25) AS d JOIN integration_sync_schedules AS s USING (org_id, integration_type) WHERE s.due_at < now()'
check 0 'missed by all' '1 0' -c 'SELECT integration_health_watch()' -c "SELECT (SELECT sum(n) FROM (SELECT least(count(*), 1) AS n FROM integration_health_citus.type_alerts WHERE kind = 'sync_missed') AS t) || ' ' ||
  (SELECT count(*) FROM integration_alerts WHERE kind = 'sync_missed')"
check 0 'the backlog has it' 1 -c "BEGIN; $writer" -c "SELECT least(count(*), 1) FROM get_alert_backlog() WHERE kind = 'sync_missed' AND org_id IS NULL"
sql 0 -c "UPDATE integration_sync_schedules SET due_at = now() + interval '1 hour' WHERE org_id NOT IN (md5('org1')::uuid, md5('org2')::uuid, md5('org3')::uuid)"
check 0 'missed by a few' '3 3' -c 'SELECT integration_health_watch()' -c "SELECT count(*) || ' ' || count(DISTINCT org_id) FROM integration_alerts WHERE kind = 'sync_missed'"

# --- warm-ups
for n in 1 2 3 4 5 6; do
  sql $((n % 3)) -o /dev/null -c "SELECT set_sync_schedule(md5('warm$n')::uuid, 'xledger', '1 day', now() + interval '1 hour', warm_up_url => 'https://worker.example/warm')"
done
check 1 'warm-ups' 6 -c "SELECT dispatch_sync_warm_ups('2 hours')"
check 0 'once' 0 -c "SELECT dispatch_sync_warm_ups('2 hours')"

# --- metrics: the same on each node
check 0 'jobs have been done' 4 -c 'SELECT integration_health_private.run_counts()' -c "SELECT count(*) FROM get_health_metric_samples() WHERE metric = 'integration_health_job_last_success_timestamp_seconds'
  AND labels ->> 'job_name' IN ('integration_health_counts', 'integration_health_stale', 'integration_health_cleanup', 'integration_health_watch')"
samples="SELECT md5(string_agg(concat_ws(',', metric, labels, value), ' ' ORDER BY metric, labels)) FROM get_health_metric_samples() WHERE metric NOT LIKE '%\_age\_%' AND metric NOT LIKE '%\_samples\_%'"
check 1 'a worker answers as the coordinator' "$(sql 0 -c "$samples")" -c "BEGIN; $writer" -c "$samples"
check 0 'pairs' "$(sql 0 -c 'SELECT count(*) FROM integration_health_status')" -c "SELECT sum(value) FROM get_health_metric_samples() WHERE metric = 'integration_health_pairs'"
check 0 'syncs that nobody runs' 3 -c "DELETE FROM integration_health_private.kept_samples WHERE metric LIKE '%syncs%'" -c 'SELECT integration_health_watch()' \
  -c "SELECT value FROM get_health_metric_samples() WHERE metric = 'integration_health_syncs_overdue' AND labels ->> 'integration_type' = 'xledger'"
check 1 'as Prometheus reads them' t -c "BEGIN; $admin" -c "SELECT get_health_metrics() ~ E'integration_health_syncs_overdue{integration_type=\"xledger\"} 3\n.*# EOF\n\$'"
check 1 'uptime of all' 'true true' -c "BEGIN; $admin" -c "SELECT (pairs > 60) || ' ' || (uptime_pct < 100) FROM get_global_uptime(90) WHERE integration_type = 'xledger'"
sql 0 -c "DELETE FROM integration_health_status WHERE org_id IN (SELECT org_id FROM $(orgs cleanup 1 20))"
consistent 'after the jobs'
