# shellcheck shell=bash
# checks.sh: what run tests on its three nodes; check compares, and fails by telling.

a=00000000-0000-4000-8000-00000000000a b=00000000-0000-4000-8000-00000000000b
# As PostgREST does it.
claims() { echo "SELECT set_config('role', '$1', true), set_config('request.jwt.claims', '$2', true); SELECT pre_request()"; }
member() { claims authenticated "{\"app_metadata\": {\"org_id\": \"$1\"}}"; }
admin=$(claims authenticated '{"app_metadata": {"role": "global_admin"}}')

# --- a filled installation
check 0 'wrong number of shards' 'ERROR:  shards must be between 1 and 64000' -c 'SELECT integration_health_distribute(0)'
check 1 'distributed from a worker' 'ERROR:  this node is not the coordinator' -c 'SELECT integration_health_distribute(8)'
check 0 'distributed' 17 -c 'SELECT integration_health_distribute(8)'
check 0 'distributed twice' 0 -c 'SELECT integration_health_distribute(8)'
check 0 'every table is what it was' 0 -c 'SELECT count(*) FROM before AS b FULL JOIN digest() AS a USING (name, n, rows) WHERE a IS NULL OR b IS NULL'
check 0 'nothing stays behind' 0 -c "SELECT sum(pg_relation_size(t.name)) FROM integration_health_citus.tables() AS t"
check 0 'numbers go on' 102,102 -c "UPDATE integration_health_status SET status = 'healthy'" -c "SELECT min(check_no) || ',' || max(check_no) FROM integration_health_status"

consistent() {
  check 0 "history without gaps ($1)" 0 -c "SELECT count(*) FROM (SELECT s.check_no, (SELECT count(*) FROM integration_health_history AS h
      WHERE h.org_id = s.org_id AND h.integration_type = s.integration_type AND h.check_no BETWEEN s.check_no - 95 AND s.check_no) AS n
      FROM integration_health_status AS s) AS x WHERE n <> least(check_no, 96)"
  check 0 "counts ($1)" 0 -c "SELECT count(*) FROM (SELECT integration_type, status, count(*)::bigint AS n FROM integration_health_status GROUP BY 1, 2) AS s
      FULL JOIN (SELECT integration_type, status, sum(delta)::bigint AS n FROM integration_health_counts GROUP BY 1, 2 HAVING sum(delta) <> 0) AS c
      USING (integration_type, status, n) WHERE s IS NULL OR c IS NULL"
  check 0 "transitions chain ($1)" 0 -c "SELECT count(*) FROM (SELECT from_status, lag(to_status) OVER (PARTITION BY org_id, integration_type ORDER BY check_no) AS was,
      row_number() OVER (PARTITION BY org_id, integration_type ORDER BY check_no) AS n FROM integration_health_transitions) AS t WHERE n > 1 AND was IS DISTINCT FROM from_status"
  local of_table
  for of_table in integration_health_status integration_health_history integration_health_counts integration_incidents; do
    check 0 "rows of $of_table in their shards ($1)" 0 -c "SELECT sum(result::bigint) FROM run_command_on_shards('$of_table', \$\$SELECT count(*) FROM %s AS t
      WHERE get_shard_id_for_distribution_column('$of_table', t.org_id) <> substring(t.tableoid::regclass::text, '[0-9]+\$')::bigint\$\$)"
  done
}
consistent distributed

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
sql 0 -c "UPDATE integration_monitors SET due_at = now() - interval '1 minute', claimed_at = NULL"
for node in 0 1 2; do
  for _ in 1 2 3 4 5; do sql $node -F ' ' -c 'SELECT org_id, integration_type FROM claim_due_health_checks(10)'; done >"$work/claims.$node" 2>&1 &
  claimers[node]=$!
done
wait "${claimers[@]}"
check 0 'each due pair handed out once' "$(cat "$work"/claims.* | wc -l)" -c "SELECT $(sort -u "$work"/claims.* | wc -l)"
check 0 'all of them' 120 -c "SELECT $(cat "$work"/claims.* | wc -l)"
check 1 'no more than asked for' 7 -c "UPDATE integration_monitors SET due_at = now() - interval '1 minute', claimed_at = NULL" -c 'SELECT count(*) FROM claim_due_health_checks(7)'

# --- a rate limit, and its probe
check 0 'a limited check' active -c "SELECT record_health_check('$a', 'xledger', 'unhealthy', http_status => 429, retry_after => 600)" \
  -c "SELECT monitoring_mode FROM integration_types WHERE integration_type = 'xledger'"
check 1 'nothing is handed out' 0 -c "UPDATE integration_monitors SET due_at = now() - interval '1 minute', claimed_at = NULL" -c "SELECT count(*) FROM claim_due_health_checks(1000) WHERE integration_type = 'xledger'"
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

# --- moves under writers
cat >"$work/flip.sql" <<'P'
\set o random(1, 60)
\set s random(1, 2)
INSERT INTO integration_health_status (org_id, integration_type, status)
VALUES (md5('org' || :o)::uuid, 'xledger', (CASE WHEN :s = 1 THEN 'healthy' ELSE 'unhealthy' END)::integration_health_state)
ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status;
P
for node in 0 1 2; do
  pgbench -n -c 2 -T 12 -h 127.0.0.1 -U postgres -p "$(port $node)" -f "$work/flip.sql" h >"$work/bench.$node" 2>&1 &
  writers[node]=$!
done
for which in 0 1 2; do
  sql 0 -o /dev/null -c 'SET statement_timeout = 0' -c "SELECT citus_move_shard_placement(shardid, '127.0.0.1', nodeport, '127.0.0.1', CASE nodeport WHEN $(port 1) THEN $(port 2) ELSE $(port 1) END, 'force_logical')
    FROM (SELECT shardid, nodeport FROM pg_dist_shard_placement JOIN pg_dist_shard USING (shardid)
           WHERE logicalrelid = 'integration_health_status'::regclass ORDER BY shardid LIMIT 1 OFFSET $which) AS s" 2>"$work/move.$which" || true
done
wait "${writers[@]}" || true
check 0 'shards have moved' 't' -c "SELECT $(cat "$work"/move.* | grep -c ERROR || true) = 0"
check 0 'no writer failed' 't' -c "SELECT $(cat "$work"/bench.* | grep -c 'aborted\|ERROR' || true) = 0"
consistent moved
