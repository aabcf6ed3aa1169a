# shellcheck shell=bash
# lib.sh: what run and the files of tests share.

passed=0 failed=0
# same WHAT EXPECTED FOUND: compares two texts.
same() {
  if [ "$3" = "$2" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    say "not ok: $1: expected \"$2\", found \"$3\""
  fi
}
# check NODE WHAT EXPECTED STATEMENT...: compares what the last statement prints, without the numbers of shards.
check() { same "node $1: $2" "$3" "$(sql "$1" "${@:4}" 2>&1 | tail -n 1 | sed -E 's/_[0-9]{6}//g')"; }

# claims ROLE CLAIMS: begins a request as PostgREST does.
claims() { echo "SELECT set_config('role', '$1', true), set_config('request.jwt.claims', '$2', true); SELECT pre_request()"; }
member() { claims authenticated "{\"app_metadata\": {\"org_id\": \"$1\"}}"; }
# shellcheck disable=SC2034
admin=$(claims authenticated '{"app_metadata": {"role": "global_admin"}}')
# shellcheck disable=SC2034
writer=$(claims service_role '{"role": "service_role"}')
member_org() { printf '00000000-0000-4000-8000-0000000001%02d' "$1"; }
# request NODE WHAT EXPECTED CLAIMS STATEMENT...: a check in a transaction with these claims.
request() { check "$1" "$2" "$3" -U authenticator -c "BEGIN; $4" "${@:5}"; }

# consistent WHEN: checks that no row is lost, doubled or misplaced.
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
  for of_table in $(sql 0 -c 'SELECT name FROM integration_health_citus.tables() WHERE NOT is_reference'); do
    check 0 "rows of $of_table in their shards ($1)" 0 -c "SELECT sum(result::bigint) FROM run_command_on_shards('$of_table', \$\$SELECT count(*) FROM %s AS t
      WHERE get_shard_id_for_distribution_column('$of_table', t.org_id) <> substring(t.tableoid::regclass::text, '[0-9]+\$')::bigint\$\$)"
  done
}

# Makes all pairs due.
due="UPDATE integration_monitors SET due_at = now() - interval '1 minute', claimed_at = NULL"

# start_writers SECONDS NODE...: lets clients of these nodes record checks; their outputs are $work/bench.NODE.
start_writers() {
  local node
  writers=()
  recorded_before=$(sql 0 -c 'SELECT sum(check_no) FROM integration_health_status')
  rm -f "$work"/bench.*
  for node in "${@:2}"; do
    pgbench -n -c 2 -T "$1" -h 127.0.0.1 -U postgres -p "$(port "$node")" -f "$work/flip.sql" -f "$work/call.sql" h >"$work/bench.$node" 2>&1 &
    writers+=($!)
  done
}
# check_writers WHEN: waits for them, and checks that none has failed and that all they have recorded is there.
check_writers() {
  local written
  wait "${writers[@]}" || true
  same "writers do not fail ($1)" '' "$(grep -h 'aborted\|ERROR' "$work"/bench.* | head -n 1)"
  written=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$work"/bench.* | paste -sd +)
  check 0 "every check is recorded once ($1)" "$((recorded_before + written))" -c 'SELECT sum(check_no) FROM integration_health_status'
}
# check_claims WHEN: checks that none of the claims in $work/claims.* has failed, and that each pair is in them once.
check_claims() {
  local claimed
  same "claims do not fail ($1)" '' "$(grep -h ERROR "$work"/claims.* | head -n 1)"
  claimed=$(cat "$work"/claims.* | grep -vc ERROR || true)
  same "no pair is handed out twice ($1)" '' "$(grep -hv ERROR "$work"/claims.* | sort | uniq -d | head -n 3 | paste -sd ,)"
  check 0 "every pair is handed out ($1)" "$claimed" -c 'SELECT count(*) FROM integration_monitors'
}
cat >"$work/flip.sql" <<'P'
\set o random(1, 60)
\set s random(1, 2)
INSERT INTO integration_health_status (org_id, integration_type, status)
VALUES (md5('org' || :o)::uuid, 'xledger', (CASE WHEN :s = 1 THEN 'healthy' ELSE 'unhealthy' END)::integration_health_state)
ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status;
P
cat >"$work/call.sql" <<'P'
\set o random(1, 60)
\set s random(1, 2)
SELECT check_no FROM record_health_check(
  md5('org' || :o)::uuid, 'xledger', (CASE WHEN :s = 1 THEN 'healthy' ELSE 'unhealthy' END)::integration_health_state);
P

# until_true WHAT COMMAND...: waits until a command succeeds, at most 20 seconds.
until_true() {
  local _
  for _ in {1..400}; do
    if "${@:2}" >/dev/null 2>&1; then return; fi
    sleep 0.05
  done
  same "$1" '' 'not within 20 seconds'
}
# clean_up: waits until Citus has dropped what moves have left behind: before that it may refuse to move a shard back.
clean_up() { until_true 'nothing is left of moves' is_clean; }
is_clean() {
  [ "$(sql 0 -c 'SET client_min_messages = error' -c 'CALL citus_cleanup_orphaned_resources()' -c 'SELECT count(*) FROM pg_dist_cleanup')" = 0 ]
}

# under_load WHAT STATEMENT...: runs statements on the coordinator while the nodes 0, 1 and 2 write and claim, until they end;
# checks that nothing of it fails, that nothing is lost, doubled or misplaced, and that each due pair is handed out once.
under_load() {
  local node claimers=()
  sql 0 -c 'UPDATE integration_monitors SET enabled = true' -c "$due"
  start_writers 55 0 1 2
  rm -f "$work/ended" "$work"/claims.*
  for node in 0 1 2; do
    while [ ! -e "$work/ended" ]; do sql $node -F ' ' -c 'SELECT org_id, integration_type FROM claim_due_health_checks(3)' || true; sleep 0.3; done \
      >"$work/claims.$node" 2>&1 &
    claimers+=($!)
  done
  sleep 0.5
  check 0 "$1" '' -o /dev/null -c 'SET client_min_messages = warning' "${@:2}"
  kill -s ALRM "${writers[@]}" || true
  : >"$work/ended"
  wait "${claimers[@]}"
  sql 0 -F ' ' -c 'SELECT org_id, integration_type FROM claim_due_health_checks(1000)' >"$work/claims.0.last"
  check_writers "$1"
  check_claims "$1"
  consistent "$1"
}

# move N PORT [MODE [FROM]]: moves the shards beside the Nth of the status table (on the node with the port FROM) to another node.
move() {
  sql 0 -o /dev/null -c 'SET statement_timeout = 0' -c "SELECT citus_move_shard_placement(shardid, '127.0.0.1', nodeport, '127.0.0.1', $2, '${3:-force_logical}')
    FROM (SELECT shardid, nodeport FROM pg_dist_shard_placement JOIN pg_dist_shard USING (shardid)
           WHERE logicalrelid = 'integration_health_status'::regclass AND nodeport IN (${4:-nodeport}) ORDER BY shardid LIMIT 1 OFFSET $1) AS s" >>"$work/moves" 2>&1 || true
}
# check_moves: checks that none has failed.
check_moves() { same 'moves do not fail' '' "$(grep ERROR "$work/moves" | head -n 1)"; }
: >"$work/moves"
