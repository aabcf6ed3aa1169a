# shellcheck shell=bash
# citus.sh: the part citus of scripts/bench, which sources it. Node 0 is the coordinator, 1 to 4 are workers, and 5 is a server
# without Citus; all have the same settings. An installation is a database, and each of those on Citus has its own number of
# workers.
# shellcheck source=test/citus/cluster.sh
source "$root/test/citus/cluster.sh"

organisations=4000 monitors=10000
declare -A workers=([plain]=0 [one_worker]=1 [two_workers]=2 [four_workers]=4)
clusters="one_worker two_workers four_workers"

# Where the statements of the first table are sent: to which node, and to which database there.
declare -A node_of=([plain]=5 [partitions]=5 [coordinator]=0 [worker]=1)
declare -A database_of=([plain]=plain [partitions]=partitions [coordinator]=two_workers [worker]=two_workers)

# statement NAME USER TIMES LABEL...: defines a statement, which pgbench reads from stdin as $work/NAME.sql. A session runs it
# TIMES times after a first call, which makes the plans and does not count; LABELs tell in turn what the calls are.
names=()
declare -A user_of times_of labels_of
statement() {
  names+=("$1")
  user_of[$1]=$2 times_of[$1]=$3 labels_of[$1]=$(IFS='|'; echo "${*:4}")
  cat >"$work/$1.sql"
}

# request CLAIMS QUERY: a query by a user, in a transaction as PostgREST makes it, with the pre-request only on Citus.
request() {
  cat <<SQL
\set n random(1, $organisations)
BEGIN;
SELECT set_config('role', 'authenticated', true),
       set_config('request.jwt.claims', format('$1', lpad((:n)::text, 32, '0')::uuid), true);
\if :citus
SELECT pre_request();
\endif
$2;
COMMIT;
SQL
}

# upsert SETTINGS VALUES: an upsert of one pair, after settings of pgbench.
upsert() {
  cat <<SQL
$1
\set ms random(1, 500)
INSERT INTO integration_health_status (org_id, integration_type, status, latency_ms, http_status)
VALUES (lpad((:n)::text, 32, '0')::uuid, 'xledger', $2, :ms, 200)
ON CONFLICT (org_id, integration_type) DO UPDATE
SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms, http_status = EXCLUDED.http_status;
SQL
}

# define_statements: all that is measured, in this order.
define_statements() {
  local member='{"app_metadata": {"org_id": "%s"}}' batch='record_health_checks of 2,000 pairs'
  statement healthy postgres 200 'upsert of a pair, healthy' < <(upsert "\\set n random(1, $organisations)" "'healthy'")
  # 101 pairs become unhealthy, and then healthy again
  statement change postgres 201 'upsert of a pair, a change of status each time' < <(
    upsert $'\\set k :k + 1\n\\set n 1 + :k % 101' \
      "(CASE WHEN :k < 101 THEN 'unhealthy' ELSE 'healthy' END)::integration_health_state")
  statement record postgres 200 'record_health_check' <<SQL
\set n random(1, $organisations)
SELECT record_health_check(lpad((:n)::text, 32, '0')::uuid, 'xledger', 'healthy', 100, 200);
SQL
  statement org_status authenticator 150 'get_org_health_status, a member' < <(
    request "$member" "SELECT count(*) FROM get_org_health_status(lpad((:n)::text, 32, '0')::uuid)")
  statement trend authenticator 150 'get_health_trend, a member' < <(
    request "$member" "SELECT count(*) FROM get_health_trend(lpad((:n)::text, 32, '0')::uuid, 'xledger')")
  statement summary authenticator 10 'get_global_health_summary, an admin' < <(
    request '{"app_metadata": {"role": "global_admin"}}' 'SELECT sum(total) FROM get_global_health_summary()')
  statement batch postgres 3 "$batch, healthy" <<SQL
SELECT record_health_checks(checks) FROM batch WHERE half = :half AND status = 'healthy';
SQL
  statement outage postgres 3 "$batch, all fail" "$batch, all fail again" "$batch, all recover" <<SQL
\set k :k + 1
\if :k = 1 OR :k = 2
SELECT record_health_checks(checks) FROM batch WHERE half = :half AND status = 'unhealthy';
\else
SELECT record_health_checks(checks) FROM batch WHERE half = :half AND status = 'healthy';
\endif
SQL
  statement insert_select postgres 3 'INSERT ... SELECT, upsert of 2,000 pairs' <<SQL
INSERT INTO integration_health_status (org_id, integration_type, status, latency_ms, http_status)
SELECT lpad(n::text, 32, '0')::uuid, 'xledger', 'healthy', 100, 200 FROM generate_series(1, $organisations / 2) AS n ORDER BY 1
ON CONFLICT (org_id, integration_type) DO UPDATE
SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms, http_status = EXCLUDED.http_status;
SQL
  statement claim postgres 10 'claim_due_health_checks(100)' <<<'SELECT count(*) FROM claim_due_health_checks(100);'
}

# run NODE DATABASE NAME TIMES [OPTION...]: runs a statement TIMES times in a session.
run() {
  local is_citus=1 output
  [ "$1" != 5 ] || is_citus=0
  output=$(pgbench -n -M prepared -c 1 -t "$4" -D k=-1 -D half=1 -D citus=$is_citus "${@:5}" -h 127.0.0.1 -p "$(port "$1")" \
    -U "${user_of[$3]}" -f "$work/$3.sql" "$2" 2>&1) || { say "$output"; die "$3 failed in $2 on node $1"; }
}

# measure NAME TARGET ROUND: adds the mean times of a statement to $work/samples: what, target, round, ms.
measure() {
  run "${node_of[$2]}" "${database_of[$2]}" "$1" $((times_of[$1] + 1)) -l --log-prefix="$work/calls"
  awk -v labels="${labels_of[$1]}" -v target="$2" -v r="$3" '
    BEGIN { n = split(labels, label, "|"); OFS = "\t" }
    NR > 1 { i = (NR - 2) % n + 1; us[i] += $3; calls[i]++ }
    END { for (i = 1; i <= n; i++) print label[i], target, r, us[i] / calls[i] / 1000 }' "$work"/calls.* >>"$work/samples"
  rm "$work"/calls.*
}

# cpu NODE: the seconds of CPU of all processes of a node until now. The postmaster has those of its children that have ended.
cpu() {
  local postmaster pid
  postmaster=$(head -n 1 "$work/node$1/data/postmaster.pid")
  {
    sed 's/.*) /ended /' "/proc/$postmaster/stat"
    for pid in $postmaster $(cat "/proc/$postmaster/task/$postmaster/children"); do
      cat "/proc/$pid/schedstat" 2>/dev/null || true
    done
  } | awk -v ticks="$(getconf CLK_TCK)" '/^ended/ { sum += ($15 + $16) / ticks; next } { sum += $1 / 1e9 } END { print sum }'
}

# sessions NAME DATABASE TIMES: runs a statement TIMES times in each of four sessions, two at a time, on the workers in turn.
sessions() {
  local half session node pid pids=()
  for half in 1 2; do
    for session in 0 2; do
      node=5
      [ "$2" = plain ] || node=$((1 + (session + half - 1) % workers[$2]))
      run $node "$2" "$1" "$3" -D half=$half
    done &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
  sleep 0.2   # for the backends to end, also those that they have called on other nodes
}

# load NAME DATABASE ROUND CHECKS TIMES: adds the CPU that sessions of TIMES statements of CHECKS checks each take, beside that
# of their start and first statement, to $work/cpu: statement, database, round, checks, node, seconds.
load() {
  local node nodes=(5) times before=() after=()
  local -A spent
  [ "$2" = plain ] || mapfile -t nodes < <(seq 0 "${workers[$2]}")
  for times in 1 $((1 + $5)); do
    for node in "${nodes[@]}"; do before[node]=$(cpu "$node"); done
    sessions "$1" "$2" $times
    for node in "${nodes[@]}"; do after[node]=$(cpu "$node"); done
    for node in "${nodes[@]}"; do spent[$node]="${after[node]} - ${before[node]} - (${spent[$node]-0})"; done
  done
  for node in "${nodes[@]}"; do
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" $((4 * $4 * $5)) "$node" "$(awk "BEGIN { print ${spent[$node]} }")"
  done >>"$work/cpu"
}

# create_batches NODE: creates a table with the arguments of record_health_checks: one or the other half of the organisations.
create_batches() {
  sql "$1" -c "CREATE TABLE batch AS
    SELECT half, status, jsonb_agg(jsonb_build_object('org_id', lpad(n::text, 32, '0')::uuid, 'integration_type', 'xledger',
                                                      'status', status, 'latency_ms', 100)) AS checks
      FROM (VALUES ('healthy'), ('unhealthy')) AS s (status), generate_series(1, $organisations) AS n
     CROSS JOIN LATERAL (SELECT 1 + (n - 1) / ($organisations / 2)) AS h (half) GROUP BY half, status"
}

# copy_plain NODE: fills an installation with the rows of plain.
copy_plain() {
  local table
  for table in integration_health_{history,counts,transitions,status} integration_monitors; do
    database=plain sql 5 -c "COPY $table TO STDOUT" | sql "$1" -c "COPY $table FROM STDIN"
  done
}

# make_installations: starts the nodes and makes all installations. The rings are full.
make_installations() {
  local node database=plain settings
  read -ra settings <<<"fsync=on full_page_writes=off wal_init_zero=off shared_buffers=512MB max_wal_size=16GB autovacuum=off \
    checkpoint_timeout=1h ${BENCH_SETTINGS:-}"
  for node in 0 1 2 3 4; do start_server $node "${settings[@]}"; done
  start_server 5 "${settings[@]}" shared_preload_libraries=integration_health
  create_database 5
  create_batches 5
  sql 5 -o /dev/null -c 'CREATE EXTENSION integration_health' -c "DO \$\$
      BEGIN
        FOR i IN 1..100 LOOP
          INSERT INTO integration_health_status (org_id, integration_type, status, latency_ms, http_status)
          SELECT lpad(n::text, 32, '0')::uuid, 'xledger', 'healthy', i, 200 FROM generate_series(1, $organisations) AS n
              ON CONFLICT (org_id, integration_type) DO UPDATE SET latency_ms = EXCLUDED.latency_ms;
          COMMIT;
        END LOOP;
      END \$\$" \
    -c "INSERT INTO integration_monitors (org_id, integration_type)
        SELECT lpad(n::text, 32, '0')::uuid, 'xledger' FROM generate_series(1, $monitors) AS n"
  database=partitions
  create_database 5
  create_batches 5
  sql 5 -c 'SET integration_health.partitions = 32' -c 'CREATE EXTENSION integration_health'
  copy_plain 5
  for database in $clusters; do
    for ((node = 0; node <= workers[$database]; node++)); do
      create_database $node
      create_batches $node
      sql $node -c 'CREATE EXTENSION citus'
    done
    # shellcheck disable=SC2046
    add_nodes $(seq "${workers[$database]}")
    sql 0 -c 'CREATE EXTENSION integration_health'
    copy_plain 0
    sql 0 -o /dev/null -c 'CREATE EXTENSION integration_health_citus' -c 'SELECT integration_health_distribute()'
  done
}

# tidy NODE: as many pairs are due in each round, and the jobs and autovacuum would have been here.
tidy() {
  sql "$1" -o /dev/null -c 'SELECT integration_health_compact()' \
    -c "UPDATE integration_monitors SET due_at = now() - interval '1 hour', claimed_at = now() - interval '1 day'" \
    -c 'VACUUM ANALYZE integration_health_status, integration_health_history, integration_health_counts,
      integration_health_transitions, integration_incidents, integration_alerts, integration_monitors'
}

# median_of EXPRESSION DIGITS [CONDITION]: a median, as a column of a query.
median_of() { echo "round(percentile_cont(0.5) WITHIN GROUP (ORDER BY $1) FILTER (WHERE ${3:-true})::numeric, $2)"; }

# report: reads the samples into the server without Citus, and writes the tables.
report() {
  local of="FILTER (WHERE s.target = 'worker')" columns='' target version shards files
  local -A title=([partitions]='32 partitions' [coordinator]=coordinator [worker]=worker)
  export PGHOST=127.0.0.1 PGPORT
  PGPORT=$(port 5)
  q -c 'CREATE TABLE sample (n serial, what text, target text, round integer, ms numeric)' \
    -c 'CREATE TABLE cpu (n serial, load text, database text, round integer, checks integer, node integer, s numeric)' \
    -c "\\copy sample (what, target, round, ms) FROM '$work/samples'" \
    -c "\\copy cpu (load, database, round, checks, node, s) FROM '$work/cpu'"
  version=$(database=two_workers sql 0 -c "SELECT split_part(citus_version(), ' ', 2)")
  shards=$(database=two_workers sql 0 \
    -c "SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'integration_health_status'::regclass")
  files=$(df --output=fstype "$work" | tail -n 1)
  for target in partitions coordinator worker; do
    columns+=", $(median_of s.ms 2 "s.target = '$target'") AS \"${title[$target]}: ms\",
      $(median_of 's.ms / p.ms' 2 "s.target = '$target'") AS \"times plain\""
  done
  cat <<TEXT
\`scripts/bench citus\`${BENCH_SETTINGS:+ with BENCH_SETTINGS=\"$BENCH_SETTINGS\"}, medians of $rounds rounds.
Citus $version, $shards shards on two workers; all servers on one machine, data on $files; one client. Min and max
are of the last ratio.

TEXT
  markdown "SELECT s.what AS statement, $(median_of s.ms 2 "s.target = 'plain'") AS \"plain: ms\"$columns,
      round(min(s.ms / p.ms) $of, 2) AS min, round(max(s.ms / p.ms) $of, 2) AS max
    FROM sample s JOIN sample p ON p.what = s.what AND p.round = s.round AND p.target = 'plain' GROUP BY s.what ORDER BY min(s.n)"
  cat <<TEXT

Checks through the workers in turn, two clients; seconds of CPU, user and system, of all server processes, for 1,000 checks.

TEXT
  markdown "SELECT CASE c.load WHEN 'healthy' THEN 'upserts of a pair' ELSE 'record_health_checks of 2,000 pairs' END AS checks,
      replace(c.database, '_', ' ') AS servers, $(median_of c.s 3) AS \"CPU\", $(median_of 'c.s / p.s' 2) AS \"times plain\",
      $(median_of c.busiest 3) AS \"of the busiest server\", $(median_of 'c.busiest / p.s' 2) AS \"times plain\",
      $(median_of '100 * c.busiest / c.s' 0) AS \"its share, %\"
    FROM (SELECT min(n) AS n, load, database, round, 1000 * sum(s) / checks AS s, 1000 * max(s) / checks AS busiest
            FROM cpu GROUP BY load, database, round, checks) AS c
    JOIN (SELECT load, round, 1000 * s / checks AS s FROM cpu WHERE database = 'plain') AS p USING (load, round)
   GROUP BY c.load, c.database ORDER BY c.load DESC, min(c.n)"
}

# times_plain WHAT: the median of the time through a worker, divided by that of the same round on plain.
times_plain() {
  rows -c "SELECT $(median_of 's.ms / p.ms' 2) FROM sample s JOIN sample p USING (what, round)
    WHERE what = '$1' AND s.target = 'worker' AND p.target = 'plain'"
}

citus() {
  local r name target database what begun=$SECONDS
  say "citus: six servers, five installations"
  define_statements
  make_installations
  for ((r = 1; r <= rounds; r++)); do
    say "citus: round $r of $rounds, after $((SECONDS - begun)) s"
    for database in plain partitions; do tidy 5; done
    for database in $clusters; do tidy 0; done
    for name in "${names[@]}"; do
      for target in plain partitions coordinator worker; do measure "$name" "$target" "$r"; done
    done
    for database in plain $clusters; do
      load healthy "$database" "$r" 1 1000
      load batch "$database" "$r" $((organisations / 2)) 2
    done
  done
  report >"$out/citus.md"
  for what in 'upsert of a pair, healthy' 'upsert of a pair, a change of status each time'; do
    target "through a worker, $what, times plain" "$(times_plain "$what")" 2.5
  done
  for what in 'get_org_health_status, a member' 'get_health_trend, a member'; do
    target "through a worker, $what, times plain" "$(times_plain "$what")" 2
  done
  what='record_health_checks of 2,000 pairs, healthy'
  target "through a worker, $what, times plain" "$(times_plain "$what")" 4.5
}
