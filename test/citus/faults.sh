# shellcheck shell=bash
# faults.sh: nodes that crash, deadlocks, cancelled statements and storms, while all nodes write. What a client was told is there,
# once; nothing is half done.

# crash NODE, start NODE: stops a node without a checkpoint, and starts it with the same settings.
crash() { as_postgres pg_ctl -s -w -m immediate -D "$work/node$1/data" stop; }
start() {
  as_postgres pg_ctl -s -w -D "$work/node$1/data" -l "$work/node$1/log" restart 2>"$work/start" \
    || { cat "$work/start" >&2; false; }
}

# session NAME NODE: a session, which prints to $work/said.NAME, errors as their codes.
declare -A inputs sessions
asked=0
session() {
  local input
  mkfifo "$work/session.$1"
  sql "$2" -v ON_ERROR_STOP=0 -v VERBOSITY=sqlstate <"$work/session.$1" >>"$work/said.$1" 2>&1 &
  sessions[$1]=$!
  exec {input}>"$work/session.$1"
  inputs[$1]=$input
}
# tell NAME TEXT: sends a text. ask NAME TEXT: sends it, and waits until it has run.
tell() { echo "$2" >&"${inputs[$1]}"; }
ask() {
  asked=$((asked + 1))
  tell "$1" "$2"
  tell "$1" "\\echo end $asked"
  until_true "session $1 runs: $2" grep -qx "end $asked" "$work/said.$1"
}
# said NAME: prints what the session has printed since the last call, as one line. Call it after ask.
said() {
  grep -v '^end ' "$work/said.$1" | paste -sd ' '
  : >"$work/said.$1"
}
leave() {
  local input=${inputs[$1]}
  tell "$1" '\q'
  exec {input}>&-
  wait "${sessions[$1]}" || true
  rm "$work/session.$1" "$work/said.$1"
}

# statement KIND CLIENT N [ORGANISATIONS]: prints a statement that records the Nth check of a client, or one for each of several
# organisations, all with the same label, and returns that. A client has 20 organisations, or sets of them, so that the history
# has 1,900 labels of it.
statement() {
  local status=healthy place="$2 $(($3 % 20))" label="fault $2 $3 of ${4:-1}"
  [ $(($3 / 20 % 4)) -gt 1 ] || status=unhealthy
  case $1 in
    upsert) echo "INSERT INTO integration_health_status AS s (org_id, integration_type, status, error)
      VALUES (md5('$place')::uuid, 'xledger', '$status', '$label')
      ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status, error = EXCLUDED.error RETURNING s.error;" ;;
    call) echo "SELECT error FROM record_health_check(md5('$place')::uuid, 'xledger', '$status', error => '$label');" ;;
    batch) echo "SELECT '$label' WHERE record_health_checks((
      SELECT jsonb_agg(jsonb_build_object('org_id', md5('$place ' || o)::uuid, 'integration_type', 'xledger', 'status', '$status',
                                          'error', '$label')) FROM generate_series(1, $4) AS o)) = $4;" ;;
  esac
}
# client NODE KIND [ORGANISATIONS]: records one after the other until $work/halt is there. The labels that it was told go to
# $work/told.KINDNODE, errors to $work/refused.KINDNODE.
client() {
  local name="$2$1" n=0 i
  while [ ! -e "$work/halt" ] && [ $n -lt 1900 ]; do
    for ((i = n; i < n + 20; i++)); do statement "$2" "$name" $i "${@:3}"; done \
      | sql "$1" -v ON_ERROR_STOP=0 >>"$work/told.$name" 2>>"$work/refused.$name" || sleep 0.1
    n=$((n + 20))
  done
}
# start_clients: makes ready for clients, which the caller starts.
start_clients() {
  rm -f "$work/halt" "$work"/told.* "$work"/refused.*
  clients=()
}
# note_progress NAME...: notes how much these clients were told so far.
note_progress() {
  local name
  for name; do
    until_true "client $name writes" test -s "$work/told.$name"
    echo "$name $(wc -l <"$work/told.$name")"
  done >"$work/progress"
}
# halt_clients WHEN: checks that clients have met errors and gone on since note_progress, that what they were told is there, once,
# and that the rest is there or not, as a whole.
halt_clients() {
  local node name lines stuck=''
  : >"$work/halt"
  wait "${clients[@]}" || true
  while read -r name lines; do [ "$(wc -l <"$work/told.$name")" -gt "$lines" ] || stuck+=" $name"; done <"$work/progress"
  same "every client goes on ($1)" '' "$stuck"
  check 0 "clients meet errors ($1)" t -c "SELECT $(cat "$work"/refused.* | wc -l) > 0"
  for node in 0 1 2; do sql $node -o /dev/null -c 'SELECT recover_prepared_transactions()'; done
  for node in 0 1 2; do check $node "nothing stays prepared ($1)" 0 -c 'SELECT count(*) FROM pg_prepared_xacts'; done
  cat "$work"/told.* >"$work/told"
  sql 0 -c 'SET client_min_messages = error' -c 'DROP TABLE IF EXISTS told, recorded' -c 'CREATE TABLE told (label text)' \
    -c "\\copy told FROM '$work/told'" -c "CREATE TABLE recorded AS SELECT error AS label, count(*) AS n
      FROM integration_health_history WHERE error LIKE 'fault %' GROUP BY error"
  check 0 "clients are told of some ($1)" t -c 'SELECT count(*) > 30 FROM told'
  check 0 "what they were told is there ($1)" 0 -c 'SELECT count(*) FROM told LEFT JOIN recorded USING (label) WHERE n IS NULL'
  check 0 "as a whole, and once ($1)" 0 -c "SELECT count(*) FROM recorded WHERE n <> substring(label, '\d+\$')::integer"
  check 0 "the status is the last check ($1)" 0 -c "SELECT count(*)
    FROM integration_health_status AS s LEFT JOIN integration_health_history AS h USING (org_id, integration_type, check_no)
    WHERE s.error LIKE 'fault %' AND (s.error, s.status) IS DISTINCT FROM (h.error, h.status)"
  consistent "$1"
}

# on_node NODE KEY: a condition for organisations of which the node has the shard.
on_node() {
  echo "(SELECT nodeport FROM pg_dist_shard_placement
    WHERE shardid = get_shard_id_for_distribution_column('integration_health_status', $2)) = $(port "$1")"
}

# --- workers crash while clients write through all nodes
start_clients
client 0 upsert & clients+=($!)
client 0 call & clients+=($!)
client 0 batch 6 & clients+=($!)
client 1 upsert & clients+=($!)
client 1 call & clients+=($!)
client 2 batch 6 & clients+=($!)
for node in 1 2 1 2; do
  sleep 0.7
  crash $node
  start $node
done
note_progress upsert0 call0 batch0 upsert1 call1 batch2
sleep 1
halt_clients 'workers crashed'

# --- a worker crashes before a client commits what it has written there through another node
for kind in upsert call batch; do
  key=' 0'
  [ $kind != batch ] || key=' 0 1'
  name=$(sql 0 -c "SELECT '$kind' || k FROM generate_series(100, 200) AS k
    WHERE $(on_node 1 "md5('$kind' || k || '$key')::uuid") LIMIT 1")
  session $kind 0
  ask $kind "BEGIN; $(statement $kind "$name" 0 6)"
done
crash 1
for kind in upsert call batch; do ask $kind 'COMMIT;'; done
start 1
for kind in upsert call batch; do
  same "no commit is told when the node has gone ($kind)" 1 "$(grep -c ERROR "$work/said.$kind")"
  leave $kind
done

# --- the coordinator crashes while batches are recorded through all nodes
start_clients
for node in 0 1 2; do client $node batch 12 & clients+=($!); done
for _ in 1 2; do
  sleep 1
  crash 0
  start 0
done
note_progress batch0 batch1 batch2
sleep 1
halt_clients 'the coordinator crashed'

# --- two sessions write two organisations in opposite order
for node in 1 2; do
  org[node]=$(sql 0 -c "SELECT md5('org' || o)::uuid FROM generate_series(1, 60) AS o
    WHERE $(on_node $node "md5('org' || o)::uuid") LIMIT 1")
  session s$node $node
done
for node in 1 2; do
  ask s$node "PREPARE write AS UPDATE integration_health_status SET status = 'healthy', error = 'deadlock of s$node'
    WHERE org_id = \$1 AND integration_type = 'xledger'; BEGIN; EXECUTE write('${org[node]}');"
done
for node in 1 2; do tell s$node "EXECUTE write('${org[3 - node]}'); COMMIT;"; done
for node in 1 2; do ask s$node ''; done
same 'one of two sessions ends a deadlock' 'ERROR:  40P01' "$({ said s1; said s2; } | grep .)"
check 0 'and the other has written both' '2 1' -c "SELECT count(*) || ' ' || count(DISTINCT error) FROM integration_health_history
  WHERE error LIKE 'deadlock of %'"
for node in 1 2; do leave s$node; done

# --- batches of the same pairs in opposite order, through all nodes at once
for sign in '' -; do
  cat >"$work/batch$sign.sql" <<P
SELECT record_health_checks((
  SELECT jsonb_agg(jsonb_build_object('org_id', md5('org' || o)::uuid, 'integration_type', 'xledger', 'status',
                                      CASE WHEN random() < 0.5 THEN 'healthy' ELSE 'unhealthy' END) ORDER BY $sign o)
    FROM generate_series(1, 30) AS o));
P
done
before=$(sql 0 -c 'SELECT sum(check_no) FROM integration_health_status')
clients=()
for node in 0 1 2; do
  for sign in '' -; do
    pgbench -n -c 1 -T 3 -h 127.0.0.1 -U postgres -p "$(port $node)" -f "$work/batch$sign.sql" h \
      >"$work/batches.$node$sign" 2>&1 &
    clients+=($!)
  done
done
wait "${clients[@]}" || true
same 'no batch fails' '' "$(grep -h 'ERROR\|aborted\|failed transactions: [1-9]' "$work"/batches.* | head -n 1)"
batches=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$work"/batches.* | paste -sd +)
check 0 'each is recorded once' "$((before + 30 * (batches)))" -c 'SELECT sum(check_no) FROM integration_health_status'
consistent 'batches at once'

# --- the organisations of the clients leave
sql 0 -c "DELETE FROM integration_health_status WHERE error LIKE 'fault %'"
check 0 'nothing of them is left' 0 -c "SELECT count(*) FROM integration_health_history WHERE error LIKE 'fault %'"
consistent 'clients have left'

# --- statements that are cancelled while they wait for one shard and have been to others
shard=$(sql 0 -c "SELECT shardid FROM pg_dist_shard_placement JOIN pg_dist_shard USING (shardid)
  WHERE logicalrelid = 'integration_monitors'::regclass AND nodeport = $(port 1) ORDER BY shardid DESC LIMIT 1")
monitors=integration_monitors_$shard
transitions=integration_health_transitions_$(sql 0 -c "SELECT t.shardid
  FROM pg_dist_shard AS m JOIN pg_dist_shard AS t USING (shardminvalue)
  WHERE m.shardid = $shard AND t.logicalrelid = 'integration_health_transitions'::regclass")
# Every check is another status, so that each shard writes transitions.
flip="SELECT record_health_checks((
  SELECT jsonb_agg(jsonb_build_object('org_id', org_id, 'integration_type', integration_type, 'status',
                                      CASE status WHEN 'healthy' THEN 'degraded' ELSE 'healthy' END))
    FROM (SELECT * FROM integration_health_status WHERE integration_type = 'xledger' OFFSET 0) AS s));"
# Whether a shard is entered, in the session and in its connections to the workers; how many pairs it sees, claimed ones, checks.
view="SELECT integration_health_citus.is_on_shard(),
  (SELECT string_agg(DISTINCT current_setting('integration_health_private.shard' || left(org_id::text, 0), true), ' ')
     FROM integration_health_status),
  (SELECT count(*) FROM integration_health_status), (SELECT count(*) FROM integration_monitors WHERE claimed_at IS NOT NULL),
  (SELECT sum(check_no) FROM integration_health_status);"
# hold SHARD, release: lets writers of a shard on node 1 wait, but no readers.
hold() {
  session holder 1
  ask holder "SET citus.enable_manual_changes_to_shards = on; BEGIN; LOCK TABLE $1 IN EXCLUSIVE MODE;"
}
release() {
  ask holder 'ROLLBACK;'
  same 'the lock was held' '' "$(said holder)"
  leave holder
}
is_waited_for() { [ "$(sql 1 -c "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '$1'::regclass")" != 0 ]; }
for node in 0 1 2; do
  sql 0 -c "$due"
  session client $node
  ask client 'SELECT pg_backend_pid();'
  pid=$(said client)
  ask client "$view"
  before=$(said client)
  for what in "$monitors SELECT * FROM claim_due_health_checks(1000);" "$transitions $flip"; do
    hold "${what%% *}"
    tell client "${what#* }"
    until_true 'a statement waits' is_waited_for "${what%% *}"
    sql $node -o /dev/null -c "SELECT pg_cancel_backend($pid)"
    ask client ''
    same "cancelled through node $node: ${what%% *}" 'ERROR:  57014' "$(said client)"
    ask client "$view"
    same "nothing is done through node $node: ${what%% *}" "$before" "$(said client)"
    release
  done
  hold "$transitions"
  ask client "BEGIN; SAVEPOINT a; SET LOCAL statement_timeout = '1s'; $flip ROLLBACK TO a; $view COMMIT;"
  same "nothing is done before a savepoint through node $node" "ERROR:  57014 $before" "$(said client)"
  release
  ask client "SELECT count(*) FROM claim_due_health_checks(7); $flip"
  same "the session goes on through node $node" \
    "7 $(sql 0 -c "SELECT count(*) FROM integration_health_status WHERE integration_type = 'xledger'")" "$(said client)"
  leave client
done
consistent cancelled

# --- all pairs of a type fail at once
# at_once STATEMENT: runs it through all nodes at the same time, while the coordinator watches, and prints errors and what was
# returned, sorted.
at_once() {
  local node running=()
  for node in 0 1 2; do
    sql $node -F ' ' -c "$1" >"$work/answer.$node" 2>&1 &
    running+=($!)
  done
  sql 0 -c 'SELECT integration_health_watch()' >"$work/watched" 2>&1 &
  running+=($!)
  wait "${running[@]}" || true
  grep -h ERROR "$work/watched" || true
  sort "$work"/answer.*
}
# all_are TYPE STATUS [MORE]: records the same of all pairs of a type through all nodes at once, and prints errors.
all_are() {
  at_once "SELECT record_health_checks((
    SELECT jsonb_agg(jsonb_build_object('org_id', md5('org' || o)::uuid, 'integration_type', '$1', 'status', '$2' ${3:-}))
      FROM generate_series(1, 60) AS o))" | grep -vx 60
}
# alerts_of TYPE: claims alerts through all nodes at once, twice, and prints their kinds and organisations.
alerts_of() {
  local _
  for _ in 1 2; do at_once "SELECT kind, org_id FROM claim_alerts(1000) WHERE integration_type = '$1'"; done
}
same_everywhere() {
  check 0 "reference tables are the same on each node ($1)" 1 -c "SELECT count(DISTINCT result)
    FROM run_command_on_all_nodes(\$q\$ SELECT md5(
         (SELECT string_agg(i::text, ',' ORDER BY incident_id) FROM integration_health_citus.type_incidents AS i)
      || (SELECT string_agg(a::text, ',' ORDER BY alert_id) FROM integration_health_citus.type_alerts AS a)
      || (SELECT string_agg(concat_ws(' ', integration_type, monitoring_mode, passive_since, passive_until, probes), ','
                            ORDER BY integration_type) FROM integration_types))\$q\$)"
}
# incidents CONDITION: counts incidents of the type.
incidents() { echo "SELECT count(*) FROM integration_health_citus.type_incidents WHERE integration_type = 'dynamics' AND $1"; }
sql 0 -o /dev/null -c "UPDATE integration_health_status SET status = 'healthy', http_status = NULL" \
  -c 'SELECT integration_health_watch()'
check 0 'no incident yet' 0 -c "$(incidents 'resolved_at IS NULL')"
resolved=$(sql 0 -c "$(incidents true)")
same 'all fail' '' "$(all_are dynamics unhealthy; all_are dynamics unhealthy)"
same 'one alert, of the type' 'incident_opened ' "$(alerts_of dynamics)"
check 0 'one incident of the type' 1 -c "$(incidents 'resolved_at IS NULL')"
check 0 'and one of each pair' '60 60' -c "SELECT count(*) || ' ' || count(DISTINCT org_id) FROM integration_incidents
  WHERE integration_type = 'dynamics' AND resolved_at IS NULL"
check 0 'of which nobody will be told' 0 -c "SELECT count(*) FROM integration_alerts
  WHERE integration_type = 'dynamics' AND kind = 'incident_opened' AND claimed_at IS NULL"
same_everywhere 'all fail'
check 2 'delivered' t -c "SELECT finish_alert(alert_id, attempt, true) FROM integration_health_citus.type_alerts
  WHERE integration_type = 'dynamics' AND kind = 'incident_opened' AND delivered_at IS NULL"

# --- and all recover at once
same 'all recover' '' "$(all_are dynamics healthy)"
same 'one alert that it is over' 'incident_resolved ' "$(alerts_of dynamics)"
check 0 'resolved' 0 -c "$(incidents 'resolved_at IS NULL')"
check 0 'once' $((resolved + 1)) -c "$(incidents true)"
check 0 'no incident of a pair is left' 0 -c "SELECT count(*) FROM integration_incidents
  WHERE integration_type = 'dynamics' AND resolved_at IS NULL"
same_everywhere 'all recover'
consistent 'a type failed'

# --- all checks of a type are rate limited at once, and its probe is answered
claim="SELECT count(*) FROM claim_due_health_checks(1000) WHERE integration_type = 'xledger'"
mode_is() {
  check 0 "the type is $1 on each node" "$1" -c "SELECT string_agg(DISTINCT result, ' ') FROM run_command_on_all_nodes(
    \$q\$SELECT monitoring_mode FROM integration_types WHERE integration_type = 'xledger'\$q\$)"
}
sql 0 -c "$due"
same 'all are rate limited' '' "$(all_are xledger unhealthy ", 'http_status', 429, 'retry_after', 600")"
same 'nothing is handed out' '0 0 0' "$(at_once "$claim" | paste -sd ' ')"
mode_is passive
check 0 'for as long as was asked, with no probe' 't 0' -c "SELECT CASE WHEN passive_until BETWEEN now() + interval '9 minutes'
  AND now() + interval '10 minutes' THEN 't' END || ' ' || probes FROM integration_types WHERE integration_type = 'xledger'"
same 'one alert that it is passive' 'type_passive ' "$(alerts_of xledger | grep -v '^incident_')"
sql 0 -c "UPDATE integration_types SET passive_until = now() WHERE integration_type = 'xledger'" -c "$due"
same 'one probe' '0 0 1' "$(at_once "$claim" | paste -sd ' ')"
check 0 'is marked' 1 -c 'SELECT count(*) FROM integration_health_status WHERE is_probe'
same_everywhere 'probed'
sql 0 -c "UPDATE integration_health_status SET status = 'healthy', http_status = 200 WHERE is_probe" -c "$due"
same 'no claim fails' '' "$(at_once "$claim" | grep ERROR)"
mode_is active
same 'one alert that it is active' 'type_active ' "$(alerts_of xledger | grep -v '^incident_')"
same_everywhere 'answered'

# --- as it was
sql 0 -c "UPDATE integration_health_status SET status = 'healthy', http_status = NULL" -c "$due"
same 'no claim of alerts fails' '' "$(alerts_of xledger | grep ERROR)"
check 0 'no type has an incident' 0 -c 'SELECT count(*) FROM integration_health_citus.type_incidents WHERE resolved_at IS NULL'
consistent storms
