# shellcheck shell=bash
# checks.sh: recording, reading, claims and jobs, through each node.

a=00000000-0000-4000-8000-00000000000a b=00000000-0000-4000-8000-00000000000b

# --- recording and reading, by each node
for node in 0 1; do
  check $node 'an organisation' 3 -c "SELECT forget_organisation('$a')" \
    -c "SELECT record_health_check('$a', 'xledger', 'healthy'); SELECT record_health_check('$a', 'xledger', 'unhealthy', error => 'x')" \
    -c "SELECT (record_health_check('$a', 'xledger', 'unhealthy')).check_no"
  check $node 'an incident' 1,2 -c "SELECT count(*) || ',' || max(failures) FROM integration_incidents WHERE org_id = '$a' AND resolved_at IS NULL"
  check $node 'many at once' 2 -c "SELECT record_health_checks('[{\"org_id\": \"$a\", \"integration_type\": \"xledger\", \"status\": \"healthy\"},
    {\"org_id\": \"$b\", \"integration_type\": \"xledger\", \"status\": \"degraded\"}]')"
  check $node 'resolved' 0 -c "SELECT count(*) FROM integration_incidents WHERE org_id = '$a' AND resolved_at IS NULL"
  check $node 'an unknown type' \
    'ERROR:  checks[0]: insert or update on table "integration_health_status" violates foreign key constraint "integration_health_status_integration_type_fkey"' -c "SELECT record_health_checks('[{\"org_id\": \"$a\", \"integration_type\": \"none\", \"status\": \"healthy\"}]')"
  check $node 'a member reads' 'xledger healthy' -c "BEGIN; $(member $a)" -c "SELECT integration_type || ' ' || status FROM get_org_health_status('$a') WHERE checked_at IS NOT NULL"
  check $node 'not the others' 0 -c "BEGIN; $(member $a)" -c "SELECT count(*) FROM get_org_health_status('$b') WHERE checked_at IS NOT NULL"
  check $node 'nor their rows' $a -c "BEGIN; $(member $a)" -c 'SELECT DISTINCT org_id FROM integration_health_status'
  check $node 'nor their trend' 4,0 -c "BEGIN; $(member $a)" -c "SELECT (SELECT count(*) FROM get_health_trend('$a', 'xledger')) || ',' || (SELECT count(*) FROM get_health_trend('$b', 'xledger'))"
  check $node 'overview' 1 -c "BEGIN; $(member $a)" -c "SELECT count(*) FROM get_org_overview('$a') WHERE status = 'healthy' AND display_name = 'Xledger'"
  check $node 'malformed claims' 0 -c "BEGIN; $(claims authenticated '{')" -c 'SELECT count(*) FROM integration_health_status'
  check $node 'no claims' 0 -c 'BEGIN; SET LOCAL ROLE authenticated' -c 'SELECT count(*) FROM integration_health_status'
  check $node 'a member is no admin' 'ERROR:  permission denied: role global_admin is required' -c "BEGIN; $(member $a)" -c 'SELECT * FROM get_global_health_summary()'
  check $node 'the summary is exact' 122 -c "BEGIN; $admin" -c 'SELECT sum(total) FROM get_global_health_summary()'
  check $node 'a member writes nothing' 'ERROR:  permission denied for function record_health_check' -c "BEGIN; $(member $a)" -c "SELECT record_health_check('$a', 'xledger', 'healthy')"
  check $node 'a schedule' "$b" -c "SELECT (set_sync_schedule('$b', 'xledger', '1 hour', date_trunc('hour', now()))).org_id"
  check $node 'a run, once' 1 -c "SELECT claim_sync_run('$b', 'xledger', date_trunc('hour', now()))" -c "SELECT finish_sync_run('$b', 'xledger', date_trunc('hour', now()), 1, 'succeeded')" \
    -c "SELECT count(*) FROM integration_sync_runs WHERE org_id = '$b' AND outcome = 'succeeded'"
done
consistent recorded

# --- claims, by all nodes at once
sql 0 -c "$due"
for node in 0 1 2; do
  for _ in 1 2 3 4 5; do sql $node -F ' ' -c 'SELECT org_id, integration_type FROM claim_due_health_checks(10)'; done >"$work/claims.$node" 2>&1 &
  claimers[node]=$!
done
wait "${claimers[@]}"
same 'each due pair handed out once' "$(cat "$work"/claims.* | wc -l)" "$(sort -u "$work"/claims.* | wc -l)"
same 'all of them' 120 "$(cat "$work"/claims.* | wc -l)"
check 1 'no more than asked for' 7 -c "$due" -c 'SELECT count(*) FROM claim_due_health_checks(7)'

# --- a rate limit, and its probe
check 0 'a limited check' active -c "SELECT record_health_check('$a', 'xledger', 'unhealthy', http_status => 429, retry_after => 600)" \
  -c "SELECT monitoring_mode FROM integration_types WHERE integration_type = 'xledger'"
check 1 'nothing is handed out' 0 -c "$due" -c "SELECT count(*) FROM claim_due_health_checks(1000) WHERE integration_type = 'xledger'"
check 0 'the type is passive on each node' 3 -c "SELECT count(*) FROM run_command_on_all_nodes(\$\$SELECT monitoring_mode FROM integration_types WHERE integration_type = 'xledger'\$\$) WHERE result = 'passive'"
check 0 'one probe' 1 -c "UPDATE integration_types SET passive_until = now() WHERE integration_type = 'xledger'" -c "SELECT count(*) FROM claim_due_health_checks(1000) WHERE integration_type = 'xledger'"
check 1 'answered' active -c "UPDATE integration_health_status SET status = 'healthy', http_status = 200 WHERE is_probe" \
  -c 'SELECT count(*) FROM claim_due_health_checks(1)' -c "SELECT monitoring_mode FROM integration_types WHERE integration_type = 'xledger'"

# --- an incident of a type, and its alert
fail() { sql 0 -c "UPDATE integration_health_status SET status = '$1', http_status = NULL, checked_at = now() WHERE integration_type = 'dynamics'"; }
fail unhealthy
fail unhealthy
check 0 'opened' 't' -c 'SELECT integration_health_watch() IS NOT NULL'
check 1 'alert of the type' 1 -c "SELECT count(*) FROM claim_alerts(100) WHERE kind = 'incident_opened' AND org_id IS NULL AND integration_type = 'dynamics'"
check 0 'none of its pairs' 0 -c "SELECT count(*) FROM integration_alerts WHERE kind = 'incident_opened' AND integration_type = 'dynamics' AND claimed_at IS NULL"
fail healthy
check 0 'resolved' 0 -c 'SELECT integration_health_watch()' -c 'SELECT count(*) FROM integration_health_citus.type_incidents WHERE resolved_at IS NULL'

# --- jobs
check 0 'intervals of a type' 't' -c "UPDATE integration_types SET check_interval = '20 minutes' WHERE integration_type = 'dynamics'" -c "SELECT check_interval = '20 minutes' FROM integration_types WHERE integration_type = 'dynamics'"
check 1 'cleanup' 0 -c 'SELECT integration_health_cleanup()'
check 1 'folded' 't' -c 'SELECT integration_health_compact() > 0'
check 0 'stale' 0 -c 'SELECT mark_stale_health()'
check 1 'forgotten' 0 -c "SELECT forget_organisation('$a')" -c "SELECT count(*) FROM integration_health_history WHERE org_id = '$a'"
consistent worked

# --- in sessions that keep generic plans, of which Citus has none for some queries
export PGOPTIONS='-c plan_cache_mode=force_generic_plan'
for node in 0 1; do
  check $node 'generic: recorded' t -c "SELECT check_no > 0 FROM record_health_check('$b', 'xledger', 'healthy')"
  check $node 'generic: many' 1 -c "SELECT record_health_checks('[{\"org_id\": \"$b\", \"integration_type\": \"xledger\", \"status\": \"healthy\"}]')"
  check $node 'generic: read' xledger -c "BEGIN; $(member $b)" -c "SELECT integration_type FROM get_org_health_status('$b') WHERE checked_at IS NOT NULL"
  check $node 'generic: claimed' 5 -c "$due" -c 'SELECT count(*) FROM claim_due_health_checks(5)'
  check $node 'generic: read of all' t -c "BEGIN; $admin" -c 'SELECT sum(total) > 0 FROM get_global_health_summary()'
  for job in integration_health_watch mark_stale_health integration_health_cleanup integration_health_compact; do
    check $node "generic: $job" t -c "SELECT $job() >= 0"
  done
done
unset PGOPTIONS
