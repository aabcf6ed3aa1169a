# shellcheck shell=bash
# dump.sh: dump and restore, to nodes of Citus and, as docs/citus.md says, to a server without it.

# example LINE: prints the block of code in docs/citus.md that has this line.
example() {
  LINE=$1 perl -0777 -ne 'for (/^```\w+\n(.*?)^```/gms) { if (/^\Q$ENV{LINE}\E/m) { print; exit } } exit 1' "$root/docs/citus.md"
}
# restored NAME: the tables of a database of the coordinator are those that were dumped, and it goes on.
restored() {
  same "$1 is what was dumped" '' "$(diff "$work/dumped" <(database="$1" sql 0 -c 'SELECT * FROM digest() ORDER BY name' 2>&1) | head -n 3)"
  same "and goes on in $1" "$((last + 1))" "$(database="$1" sql 0 -c "SELECT (record_health_check(md5('org1')::uuid, 'xledger', 'healthy')).check_no")"
}

# What checks have noted about types is in their modes after this, and an open incident of a type.
sql 0 -o /dev/null -c "UPDATE integration_health_status SET status = 'unhealthy', http_status = NULL, checked_at = now() WHERE integration_type = 'dynamics'" \
  -c "UPDATE integration_health_status SET status = 'unhealthy', checked_at = now() WHERE integration_type = 'dynamics'" -c 'SELECT integration_health_watch()'
failing=$(sql 0 -c 'SELECT count(*) FROM integration_health_citus.type_incidents WHERE resolved_at IS NULL')
check 0 'a type has an incident' t -c "SELECT $failing > 0"
sql 0 -c 'SELECT * FROM digest() ORDER BY name' >"$work/dumped"
last=$(sql 0 -c "SELECT check_no FROM integration_health_status WHERE (org_id, integration_type) = (md5('org1')::uuid, 'xledger')")

(
  export PGHOST=127.0.0.1 PGUSER=postgres PGPORT
  PGPORT=$(port 0)
  mkdir "$work/dump"
  cd "$work/dump"
  # as the documentation names them
  example 'pg_dump -Fc' | sed 's/monitoring$/h/; s/-d new/-d single/' >script
  createdb single
  { example 'ALTER TABLE integration_health_counts ADD'; } | psql -X -q -v ON_ERROR_STOP=1 single
  bash -e script
  example 'ALTER TABLE integration_health_counts DROP' | psql -X -q -v ON_ERROR_STOP=1 single
  sed -n '/^-- All rows of each table/,/^\$\$;/p' "$root/test/citus/filled.sql" | psql -X -q -v ON_ERROR_STOP=1 single
) >"$work/restored" 2>&1 || cat "$work/restored" >&2
restored single
same 'incidents of types are back in their table' "$failing" \
  "$(database=single sql 0 -c "SELECT count(*) FROM integration_incidents WHERE org_id IS NULL AND resolved_at IS NULL")"

for node in 0 1 2; do
  sql $node -d postgres -c 'CREATE DATABASE again'
  database=again sql $node -c 'CREATE EXTENSION citus'
done
database=again add_nodes 1 2
pg_restore -h 127.0.0.1 -p "$(port 0)" -U postgres -d again --exit-on-error "$work/dump/site.dump" >"$work/restored" 2>&1 || cat "$work/restored" >&2
same 'distributed again, into more shards' 18 "$(database=again sql 0 -c 'SELECT integration_health_distribute(16)')"
restored again
same 'each node hands out' '3 3 3' \
  "$(for node in 0 1 2; do database=again sql $node -c "$due" -c 'SELECT count(*) FROM claim_due_health_checks(3)'; done | paste -sd ' ')"
