# shellcheck shell=bash
# shards.sh: organisations are isolated, shards split and rebalanced, while all nodes write and claim.

shard_of() { sql 0 -c "SELECT get_shard_id_for_distribution_column('integration_health_status', '$1'::uuid)"; }
shards() { sql 0 -c "SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'integration_health_status'::regclass"; }
anchors="count(*) || ' in ' || count(DISTINCT get_shard_id_for_distribution_column('integration_health_status', org_id)) FROM integration_health_citus.anchors"
isolate() { echo "SELECT isolate_tenant_to_new_shard('integration_health_status', '$1'::uuid, 'CASCADE', 'block_writes')"; }

# exact WHEN: checks that each node sums up what there is, and that each shard has one anchor.
exact() {
  local node there
  there=$(sql 0 -F ' ' -c "SELECT integration_type, count(*), count(*) FILTER (WHERE status = 'healthy'), count(*) FILTER (WHERE status = 'unhealthy')
    FROM integration_health_status GROUP BY 1 ORDER BY 1" | paste -sd ,)
  for node in 0 1 2; do
    request $node "summary ($1)" "$there" "$admin" -c "SELECT string_agg(concat_ws(' ', integration_type, total, healthy, unhealthy), ','
      ORDER BY integration_type COLLATE \"C\") FROM get_global_health_summary() WHERE total > 0"
  done
  check 0 "anchors ($1)" "$(shards) in $(shards)" -c "SELECT $anchors"
}

# works ORG TYPE WHEN: checks that each node writes and reads an organisation, and reads no other with its claims.
works() {
  local node last
  last=$(sql 0 -c "SELECT COALESCE(max(check_no), 0) FROM integration_health_status WHERE org_id = '$1' AND integration_type = '$2'")
  for node in 0 1 2; do
    request $node "a check ($3)" $((last + 1)) "$writer" -c "SELECT check_no FROM record_health_check('$1', '$2', 'healthy')" -c COMMIT
    request $node "an upsert ($3)" $((last + 2)) "$writer" -c "INSERT INTO integration_health_status AS s (org_id, integration_type, status)
      VALUES ('$1', '$2', 'unhealthy') ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status RETURNING s.check_no" -c COMMIT
    request $node "a batch ($3)" 2 "$writer" -c "SELECT record_health_checks('[{\"org_id\": \"$1\", \"integration_type\": \"$2\", \"status\": \"degraded\"},
      {\"org_id\": \"$(member_org 6)\", \"integration_type\": \"$2\", \"status\": \"healthy\"}]')" -c COMMIT
    last=$((last + 3))
    request $node "a member reads it ($3)" degraded "$(member "$1")" -c "SELECT status FROM get_org_health_status('$1') WHERE integration_type = '$2'"
    request $node "and its history ($3)" "$last" "$(member "$1")" -c "SELECT max(check_no) FROM integration_health_history WHERE integration_type = '$2'"
    request $node "and no other ($3)" "$1" "$(member "$1")" -c 'SELECT DISTINCT org_id FROM integration_health_status'
  done
}

# --- an organisation is isolated
a=$(sql 0 -c "SELECT md5('org1')::uuid")
under_load 'an organisation is isolated' -c "$(isolate "$a")"
check 0 'it is alone in its shard' "$a" -c "SELECT string_agg(DISTINCT org_id::text, ' ') FROM integration_health_status
  WHERE get_shard_id_for_distribution_column('integration_health_status', org_id) = $(shard_of "$a")"
works "$a" dynamics isolated
exact isolated

# --- shards are split, the emptiest in three, of which that in the middle has no organisation
# split MODE: prints a statement that splits it, and takes it to the other node if MODE is force_logical.
split() {
  sql 0 -c "WITH hashes AS (SELECT worker_hash(s.org_id) AS h FROM integration_health_status AS s GROUP BY s.org_id),
      gaps AS (SELECT p.shardid, h, lead(h) OVER (PARTITION BY p.shardid ORDER BY h) - 1 AS until FROM hashes
                 JOIN pg_dist_shard AS p ON p.logicalrelid = 'integration_health_status'::regclass AND h BETWEEN p.shardminvalue::integer AND p.shardmaxvalue::integer)
    SELECT format('SELECT citus_split_shard_by_split_points(%s, %L, array_fill(%s, ARRAY[3]), %L)', g.shardid, ARRAY[g.h, g.until]::text[], n.nodeid, '$1')
      FROM gaps AS g JOIN pg_dist_placement AS p USING (shardid) JOIN pg_dist_node AS n ON n.groupid <> 0 AND (n.groupid <> p.groupid) = ('$1' = 'force_logical')
     WHERE g.until > g.h ORDER BY g.until::bigint - g.h DESC LIMIT 1"
}
# --- a node is told of the new shards later than another: Citus commits on one after the other
group="SELECT s.* FROM pg_dist_shard AS s JOIN pg_dist_shard AS of USING (shardminvalue) JOIN pg_dist_partition AS p ON p.logicalrelid = s.logicalrelid
  WHERE of.shardid = $(shard_of "$a") AND p.colocationid = (SELECT colocationid FROM pg_dist_partition WHERE logicalrelid = 'integration_health_status'::regclass)"
at=$(sql 0 -c "SELECT CASE nodeport WHEN $(port 1) THEN 1 ELSE 2 END FROM pg_dist_shard_placement WHERE shardid = $(shard_of "$a")")
sql "$at" -c "CREATE TABLE told AS $group" -c 'DELETE FROM pg_dist_shard WHERE shardid IN (SELECT shardid FROM told)' \
  -c BEGIN -c 'INSERT INTO pg_dist_shard SELECT * FROM told' -c "PREPARE TRANSACTION 'told'"
sql 0 -c "SELECT (record_health_check('$a', 'dynamics', 'unhealthy')).status" >"$work/later" 2>&1 &
later=$!
until [ "$(sql "$at" -c "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted")" = 1 ]; do
  kill -0 $later || break
  sleep 0.1
done 2>/dev/null
sql "$at" -c "COMMIT PREPARED 'told'" -c 'DROP TABLE told'
wait $later || true
same 'a check waits until the node knows its shard' unhealthy "$(head -n 1 "$work/later")"

under_load 'a shard is split' -c "$(split force_logical)"
exact split
works "$(sql 0 -c "SELECT md5('org2')::uuid")" dynamics split

sql 0 -c "$due"
sql 0 -o /dev/null -c BEGIN -c "$(split block_writes)" -c 'SELECT pg_sleep(2)' -c COMMIT &
splitter=$!
until [ "$(sql 0 -c "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(2)'")" = 1 ]; do kill -0 $splitter || break; sleep 0.1; done 2>/dev/null
claimers=()
for node in 0 1 2; do
  sql $node -F ' ' -c 'SELECT org_id, integration_type FROM claim_due_health_checks(1000)' >"$work/claims.$node" 2>&1 &
  claimers+=($!)
done
wait $splitter "${claimers[@]}"
check 0 'claims that wait for a split leave nothing out' "$(cat "$work"/claims.[012] | sort -u | wc -l)" -c 'SELECT count(*) FROM integration_monitors'
exact 'split while they wait'

# --- an organisation is isolated before it has a status
c=$(member_org 50)
sql 0 -o /dev/null -c "$(isolate "$c")"
before=$(shards)
check 2 'what goes to every shard goes to those that have an organisation' "$((before - 1)) in $((before - 1))" -c 'SELECT integration_health_compact()' -c "SELECT $anchors"
for node in 0 1 2; do
  request $node 'the first check' 1 "$writer" -c "SELECT check_no FROM record_health_check('$c', 'xledger', 'healthy')"
  request $node 'the first upsert' 1 "$writer" -c "INSERT INTO integration_health_status AS s (org_id, integration_type, status)
    VALUES ('$c', 'xledger', 'healthy') ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status RETURNING s.check_no"
  request $node 'the first batch' 1 "$writer" -c "SELECT record_health_checks('[{\"org_id\": \"$c\", \"integration_type\": \"xledger\", \"status\": \"healthy\"}]')"
  request $node 'its monitor' t "$writer" -c "SELECT enabled FROM set_monitor('$c', 'xledger')"
done
works "$c" xledger 'isolated first'
check 0 'forgotten before anything went to every shard' 0 -c "SELECT forget_organisation('$c')" -c "SELECT count(*) FROM integration_health_history WHERE org_id = '$c'"
works "$c" xledger 'isolated and forgotten'
request 1 'its monitor' t "$writer" -c "SELECT enabled FROM set_monitor('$c', 'xledger')" -c COMMIT
sql 0 -c "$due"
check 1 'its pair is claimed' 1 -c "SELECT count(*) FROM claim_due_health_checks(1000) WHERE org_id = '$c'"
request 2 'a problem of all' degraded "$admin" -c "SELECT status FROM get_global_health_problems(1000) WHERE org_id = '$c'"
check 2 'marked as stale' unknown -c "SELECT record_health_check('$c', 'dynamics', 'healthy', checked_at => now() - interval '1 day')" \
  -c 'SELECT mark_stale_health()' -c "SELECT status FROM integration_health_status WHERE org_id = '$c' AND integration_type = 'dynamics'"
exact 'isolated first'

# --- shards are rebalanced
# rebalance WHAT STATEMENT...: moves two shards from the first worker to the second, and checks that they are balanced again.
rebalance() {
  move 0 "$(port 2)" block_writes "$(port 1)"
  move 1 "$(port 2)" block_writes "$(port 1)"
  clean_up
  under_load "$@"
  check 0 "$1" t -c "SELECT max(n) - min(n) <= 1 FROM (SELECT count(*) FROM pg_dist_shard_placement JOIN pg_dist_shard USING (shardid)
    WHERE logicalrelid = 'integration_health_status'::regclass GROUP BY nodeport) AS p (n)"
  exact "$1"
}
rebalance 'a rebalance' -c "SELECT rebalance_table_shards('integration_health_status', shard_transfer_mode => 'block_writes')"
rebalance 'a rebalance in the background' -c 'SELECT citus_rebalance_start()' -c 'SELECT citus_rebalance_wait()'
check_moves
