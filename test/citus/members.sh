# shellcheck shell=bash
# members.sh: what organisations read and what a backend writes, as PostgREST does it: logged in as authenticator, with the role
# and the claims of the request.

hour="date_trunc('hour', now())"

# --- a backend writes the same through each node; the organisations lie in several shards
for n in 0 1 2 3 4 5; do
  o=$(member_org $n) node=$((n % 3))
  request $node "organisation $n, first check" 'healthy 1' "$writer" \
    -c "SELECT status || ' ' || check_no FROM record_health_check('$o', 'xledger', 'healthy')" -c COMMIT
  request $node "organisation $n, upsert" '2|1' "$writer" -c "INSERT INTO integration_health_status AS s (org_id, integration_type, status, error)
    VALUES ('$o', 'xledger', 'unhealthy', 'down') ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status, error = EXCLUDED.error
    RETURNING s.check_no, s.consecutive_failures" -c COMMIT
  request $node "organisation $n, monitor" 't' "$writer" -c "SELECT enabled FROM set_monitor('$o', 'xledger')" -c COMMIT
  request $node "organisation $n, monitor off" 'f' "$writer" -c "SELECT enabled FROM set_monitor('$o', 'xledger', false)" -c COMMIT
  request $node "organisation $n, schedule" '01:00:00' "$writer" \
    -c "SELECT every FROM set_sync_schedule('$o', 'xledger', '1 hour', $hour)" -c COMMIT
done
all=$(for n in 0 1 2 3 4 5; do member_org $n; echo; done | sed 's/.*/{"org_id": "&", "integration_type": "xledger", "status": "unhealthy"}/' | paste -sd ,)
request 2 'a batch over many shards' 6 "$writer" -c "SELECT record_health_checks('[$all]')" -c COMMIT

for n in 0 1 2 3 4 5; do
  o=$(member_org $n) node=$((n % 3))
  request $node "organisation $n, claimed" '1 true' "$writer" -c "SELECT attempt || ' ' || claimed FROM claim_sync_run('$o', 'xledger', $hour)" -c COMMIT
  request $(((node + 1) % 3)) "organisation $n, claimed by nobody else" 'f' "$writer" -c "SELECT claimed FROM claim_sync_run('$o', 'xledger', $hour)"
  request $(((node + 1) % 3)) "organisation $n, finished" 'succeeded' "$writer" -c "SELECT outcome FROM finish_sync_run('$o', 'xledger', $hour, 1, 'succeeded')" -c COMMIT
done

# --- a member reads its own, and nothing of others
for n in 0 1 2; do
  o=$(member_org $n) other=$(member_org $((n + 1)))
  for node in 0 1 2; do
    while IFS='|' read -r call where own; do
      request $node "$call of member $n" "$own" "$(member "$o")" -c "SELECT count(*) FROM ${call/ORG/\'$o\'} WHERE $where"
      request $node "$call of another" 0 "$(member "$o")" -c "SELECT count(*) FROM ${call/ORG/\'$other\'}"
    done <<C
get_org_health_status(ORG)|status = 'unhealthy' AND consecutive_failures = 2|1
get_health_trend(ORG, 'xledger')|true|3
get_org_uptime(ORG)|integration_type = 'xledger' AND incidents = 1|1
get_org_incidents(ORG)|resolved_at IS NULL AND failures = 2|1
get_org_overview(ORG)|status = 'unhealthy' AND jsonb_array_length(checks) = 3|1
get_org_syncs(ORG)|last_outcome = 'succeeded'|1
C
    for of_table in integration_health_status integration_health_history integration_health_transitions integration_incidents; do
      request $node "$of_table of member $n" "$o" "$(member "$o")" -c "SELECT string_agg(DISTINCT org_id::text, ' ') FROM $of_table"
    done
  done
done
for node in 0 1 2; do
  for broken in '{' '[]' '{"app_metadata": {"org_id": 7}}' '{"app_metadata": {"org_id": "x"}}'; do
    request $node "the claims $broken" 0 "$(claims authenticated "$broken")" -c 'SELECT count(*) FROM integration_health_status'
  done
  request $node 'a member is no writer' 'ERROR:  permission denied for table integration_health_status' "$(member "$(member_org 0)")" \
    -c "INSERT INTO integration_health_status (org_id, integration_type, status) VALUES ('$(member_org 0)', 'xledger', 'healthy')"
  request $node 'the summary equals a count' t "$admin" -c "SELECT (SELECT sum(unhealthy) FROM get_global_health_summary()) =
    $(sql 0 -c "SELECT count(*) FROM integration_health_status WHERE status = 'unhealthy'")"
done
