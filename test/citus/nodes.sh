# shellcheck shell=bash
# nodes.sh: a node is added and shards move to it and back, while all nodes write and claim: nothing is lost, doubled or misplaced.

start_node 3
check 0 'a node is added' t -c "SELECT citus_add_node('127.0.0.1', $(port 3)) > 0"
check 3 'it has both extensions' 2 -c "SELECT count(*) FROM pg_extension WHERE extname LIKE 'integration\_health%'"
check 0 'and the reference tables' '' -c 'SELECT replicate_reference_tables()'
check 0 'and grants' '' -c "SELECT grant_integration_health('authenticated', 'service_role')"

sql 0 -c 'UPDATE integration_monitors SET enabled = true' -c "$due"
rm -f "$work"/claims.*
start_writers 14 0 1 2 3
for node in 0 1 2 3; do
  for _ in {1..20}; do sql $node -F ' ' -c 'SELECT org_id, integration_type FROM claim_due_health_checks(4)' || true; sleep 0.3; done >"$work/claims.$node" 2>&1 &
  claimers[node]=$!
done
move 3 "$(port 3)"
move 5 "$(port 3)" block_writes
move 3 "$(port 1)"
move 4 "$(port 3)"
wait "${claimers[@]}" || true
check_moves
check_writers 'on four nodes'
check_claims 'on four nodes'
check 0 'two shards are on the new node' 2 -c "SELECT count(*) FROM pg_dist_shard_placement JOIN pg_dist_shard USING (shardid)
  WHERE logicalrelid = 'integration_health_status'::regclass AND nodeport = $(port 3)"
consistent 'on four nodes'

# --- through the new node, and to it
for node in 0 3; do
  for n in 0 1 2 3 4 5; do
    last=$(sql 0 -c "SELECT check_no FROM integration_health_status WHERE org_id = '$(member_org $n)'")
    request $node "organisation $n goes on" $((last + 1)) "$writer" -c "SELECT check_no FROM record_health_check('$(member_org $n)', 'xledger', 'healthy')" -c COMMIT
    request $node "member $n reads" "$(member_org $n) healthy" "$(member "$(member_org $n)")" -c "SELECT org_id || ' ' || status FROM integration_health_status"
  done
done
consistent 'written by the new node'

# --- it is removed again
clean_up
under_load 'a node is drained' -c "SELECT citus_drain_node('127.0.0.1', $(port 3))"
clean_up
check 0 'it is removed' '' -c "SELECT citus_remove_node('127.0.0.1', $(port 3))"
check 0 'nothing is left to be dropped on it' 0 -c 'SELECT count(*) FROM pg_dist_cleanup WHERE node_group_id NOT IN (SELECT groupid FROM pg_dist_node)'
stop_cluster "$work/node3"
check 0 'grants go on' '' -c "SELECT grant_integration_health('authenticated', 'service_role')"
check 0 'types change on the nodes that are left' 3 -c "UPDATE integration_types SET check_interval = '25 minutes' WHERE integration_type = 'xledger'" \
  -c "SELECT count(*) FROM run_command_on_all_nodes(\$\$SELECT check_interval FROM integration_types WHERE integration_type = 'xledger'\$\$) WHERE result = '00:25:00'"
check 1 'and jobs' t -c 'SELECT mark_stale_health() IS NOT NULL'
