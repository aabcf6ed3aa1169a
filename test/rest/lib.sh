# shellcheck shell=bash
# lib.sh: what test/rest/run and scripts/demo share: installing npm packages, and starting a server like
# Supabase's. Source it after scripts/common.sh.

# need_packages DIR: runs npm ci in DIR, unless what is installed is newer than package-lock.json.
need_packages() {
  [ ! "$1/node_modules/.package-lock.json" -ot "$1/package-lock.json" ] || {
    say "installing with npm: $(realpath --relative-to="$root" "$1")"
    local log
    log=$(mktemp)
    (cd "$1" && npm ci --no-audit --no-fund) >"$log" 2>&1 \
      || { tail -n 20 "$log" >&2; rm -f "$log"; die "npm ci failed"; }
    rm -f "$log"
    touch "$1/node_modules/.package-lock.json"
  }
}

# start_supabase DIR [SETTING=VALUE...]: starts a throw-away server whose databases have Supabase's roles and rights,
# owned by supabase_admin as there. Exports PGHOST and PGUSER. Lines of its log begin with SQLSTATE:DATABASE:. Stop it
# with stop_cluster DIR.
start_supabase() {
  export PGHOST=$1 PGUSER=supabase_admin PG_SUPERUSER=supabase_admin
  start_cluster "$1" log_line_prefix=%e:%d: max_connections=200 "${@:2}"
  psql -Xq -v ON_ERROR_STOP=1 -d template1 -f "$root/test/fixtures/supabase.sql"
}
