# shellcheck shell=bash
# cluster.sh: what tests and measures on Citus share: builds and installs the extension into the PostgreSQL that CITUS_PG_CONFIG
# names, which must have Citus, and starts throw-away servers of it on loopback, in $work. Source it after scripts/common.sh.

[ -n "${CITUS_PG_CONFIG:-}" ] || die "set CITUS_PG_CONFIG to the pg_config of a PostgreSQL that has Citus"
export PG_CONFIG=$CITUS_PG_CONFIG
bin=$("$PG_CONFIG" --bindir)
export PATH=$bin:$PATH
# shellcheck disable=SC2034  # build prints it
pg_major=$("$PG_CONFIG" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
work=$(mktemp -d)
chmod 755 "$work"
trap 'for node in "$work"/node*; do stop_cluster "$node"; done; rm -rf "$work"' EXIT
build with_llvm=no

# port N: the port of a node, 0 to 5; 0 is the coordinator.
first=20000
taken() {
  local n
  for n in {0..5}; do
    if : <>"/dev/tcp/127.0.0.1/$((first + n))"; then return; fi
  done
  false
} 2>/dev/null
while taken; do first=$((first + 10)); done
port() { echo $((first + $1)); }

# sql N OPTION...: runs psql on a node, in $database.
database=h
sql() {
  psql -X -q -A -t -v ON_ERROR_STOP=1 -v VERBOSITY=terse -h 127.0.0.1 -U postgres -d "$database" -p "$(port "$1")" "${@:2}"
}

# start_server N [SETTING=VALUE...]: starts a node with the roles of Supabase, without a database.
start_server() {
  start_cluster "$work/node$1" "port=$(port "$1")" listen_addresses=127.0.0.1 shared_preload_libraries=citus,integration_health \
    wal_level=logical citus.max_cached_conns_per_worker=16 max_connections=200 max_prepared_transactions=200 \
    max_worker_processes=24 shared_buffers=64MB statement_timeout=60s jit=off output_plugin_libraries=citus,pgoutput "${@:2}"
  sql "$1" -d postgres -c 'CREATE ROLE anon LOGIN; CREATE ROLE authenticated LOGIN; CREATE ROLE service_role LOGIN BYPASSRLS' \
    -c 'CREATE ROLE authenticator LOGIN NOINHERIT; GRANT anon, authenticated, service_role TO authenticator'
}

# create_database N: creates $database on a node, with the pre-request that docs/citus.md has.
create_database() {
  sql "$1" -d postgres -c "CREATE DATABASE $database"
  sql "$1" -c 'GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role' \
    -c "$(sed -n '/^CREATE FUNCTION pre_request/,/^\$\$;/p' "$root/docs/citus.md")"
}

# start_node N: starts a node with $database and Citus, but adds it to no other.
start_node() {
  start_server "$1"
  create_database "$1"
  sql "$1" -c 'CREATE EXTENSION citus'
}

# add_nodes N...: makes node 0 the coordinator, in $database, and adds nodes to it.
add_nodes() {
  local node
  sql 0 -o /dev/null -c "SELECT citus_set_coordinator_host('127.0.0.1', $(port 0))"
  for node; do sql 0 -o /dev/null -c "SELECT citus_add_node('127.0.0.1', $(port "$node"))"; done
}
