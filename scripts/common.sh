# shellcheck shell=bash
# common.sh: what the scripts share. Source it; it ends the script on any error.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
pg_major=${PG_MAJOR:-15}
bindir=/usr/lib/postgresql/$pg_major/bin
export PG_CONFIG=$bindir/pg_config
# puts psql of that server before any other in PATH
export PATH=$bindir:$PATH

# If make has called a script, its options and variables must not affect the script's own builds.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL

# Exit on a signal, so that the EXIT trap of a script ends what the script has started.
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# EDITION=trusted: the trusted edition, installed by a role that is no superuser, which test/fixtures/owner.sql makes.
if [ "${EDITION:-}" = trusted ]; then export IH_OWNER=ih_owner; fi

say() { printf '%s\n' "$*" >&2; }
die() { say "$0: $*"; exit 1; }

# need PACKAGE...: installs missing packages with apt.
need() {
  local p missing=()
  for p; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "run as root once, to install: ${missing[*]}"
  say "installing with apt: ${missing[*]}"
  local log
  log=$(mktemp)
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    "${missing[@]}"; } >"$log" 2>&1 || { tail -n 20 "$log" >&2; rm -f "$log"; die "apt failed"; }
  rm -f "$log"
}

# need_server: installs the server, its headers, pg_cron, make and a compiler.
need_server() {
  need "postgresql-$pg_major" "postgresql-server-dev-$pg_major" "postgresql-$pg_major-cron" \
    make gcc libc6-dev
}

# need_node: installs Node.js and npm, unless they are there, from Debian or elsewhere.
need_node() {
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then need nodejs npm; fi
}

# build [ARG...]: builds the extension in a copy of the sources and installs it into the server; with EDITION=trusted,
# installs the trusted edition in its place. ARGs are passed to make.
build() {
  local dir
  dir=$(mktemp -d)
  cp -r "$root"/{Makefile,integration_health.control,sql,src,test} "$dir"
  rm -f "$dir"/src/*/*.{o,bc}
  touch "$dir"/sql/src/* "$dir"/sql/citus/*
  say "building and installing into PostgreSQL $pg_major"
  make -s -C "$dir" "$@" "install${EDITION:+-$EDITION}" >"$dir/log" 2>&1 || { cat "$dir/log" >&2; rm -rf "$dir"; die "the build failed"; }
  rm -rf "$dir"
}

# make_migrations DIR SCHEMA...: makes the trusted edition's migrations for each schema, DIR/SCHEMA.sql and, from the last
# release, DIR/SCHEMA--OLD--NEW.sql; and those for pg_tle, DIR/tle*.sql. Exports MIGRATIONS.
make_migrations() {
  local dir=$1 schema file
  export MIGRATIONS=$dir
  mkdir -p "$dir"
  shift
  for schema; do
    make -s -C "$root" trusted SCHEMA="$schema" TRUSTED="$dir/build"
    for file in "$dir"/build/migration*.sql; do mv "$file" "$dir/$schema${file##*/migration}"; done
  done
  mv "$dir"/build/tle*.sql "$dir"
  rm -r "$dir/build"
}

# last_release: the version that this one updates; nothing if there is none.
last_release() {
  find "$root/sql/trusted" -name 'migration--*.sql' 2>/dev/null | sed -n 's/.*--\([0-9.]*\)\.sql$/\1/p' | grep -vxF "$(version)" | sort -V | tail -n 1
}
version() { sed -n "s/^default_version = '\(.*\)'/\1/p" "$root/integration_health.control"; }

# differ DIR SCHEMA [LIST]: patches the expected outputs in DIR, a copy of the tree, with the differences in LIST, by
# default those of the trusted edition.
differ() {
  local list=${3:-test/trusted/differences}
  need patch
  sed "s/SCHEMA_OF_THE_API/$2/g" "$root/$list" | patch -s -F0 -p1 -d "$1" >&2 || die "$list does not apply"
}

# make_levels DIR: makes the specs and expected outputs of the other isolation levels from those of READ COMMITTED, in
# DIR, a copy of the tree.
make_levels() {
  at_level "$1" 'READ COMMITTED' 'REPEATABLE READ' '' -rr repeatable_read
  at_level "$1" 'REPEATABLE READ' SERIALIZABLE -rr -serializable serializable
}
# at_level DIR FROM TO OLD NEW LIST: makes the specs with suffix NEW, and their outputs, from those with suffix OLD:
# with the level TO for FROM, and the differences in LIST.
at_level() {
  local name file
  for name in first-insert update-delete update-update; do
    for file in "$1/test/isolation/specs/$name$4.spec" "$1/test/isolation/expected/$name$4.out"; do
      sed "s/BEGIN ISOLATION LEVEL $2;/BEGIN ISOLATION LEVEL $3;/" "$file" >"${file%"$4".*}$5.${file##*.}"
    done
  done
  differ "$1" public "test/isolation/$6"
}

# regress_tree DIR SCHEMA: makes DIR a copy of what make installcheck needs, with the edition's tests and expected
# outputs.
regress_tree() {
  rm -rf "$1"
  mkdir "$1"
  cp -r "$root"/{Makefile,integration_health.control,sql,src,test,expected} "$1"
  if [ "${EDITION:-}" = trusted ]; then
    make_levels "$1"      # the differences cover their outputs, too
    differ "$1" "$2"
    cp "$root"/test/trusted/sql/*.sql "$1/test/sql"
    cp "$root"/test/trusted/expected/*.out "$1/expected"
  fi
}

# as_postgres COMMAND...: runs a command as postgres if the caller is root, since servers do not run as root; and in /
# if postgres cannot enter the current directory, since every program would complain.
as_postgres() {
  if [ "$(id -u)" != 0 ]; then "$@"; return; fi
  (
    runuser -u postgres -- test -x . 2>/dev/null || cd /
    exec runuser -u postgres -- env "PATH=$PATH" "$@"
  )
}

# start_cluster DIR [SETTING=VALUE...]: starts a throw-away server with its socket in DIR, superuser
# postgres (or $PG_SUPERUSER) and no password. Its clock starts at $CLOCK, if that is set. stop_cluster DIR
# stops and removes it.
start_cluster() {
  local dir=$1 options="-k $1 -c listen_addresses= -c fsync=off" setting
  shift
  for setting in "$@" ${IH_PARTITIONS:+"integration_health.partitions=$IH_PARTITIONS"}; do options+=" -c $setting"; done
  mkdir -p "$dir"
  [ "$(id -u)" != 0 ] || chown postgres "$dir"
  as_postgres initdb -D "$dir/data" -U "${PG_SUPERUSER:-postgres}" -A trust -E UTF8 \
    --locale=C.UTF-8 -N >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; die "initdb failed"; }
  local clock=()
  [ -z "${CLOCK:-}" ] || clock=(FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME="+$(($(date -d "$CLOCK" +%s) - $(date +%s)))s"
    LD_PRELOAD="$(dpkg -L libfaketime | grep '/libfaketime\.so')")
  : >"$dir/starting"
  as_postgres env "${clock[@]}" pg_ctl -s -w ${KEEP:+-c} -D "$dir/data" -l "$dir/log" -o "$options" start \
    || { cat "$dir/log" >&2; die "the server did not start"; }
  rm "$dir/starting"
}
stop_cluster() {
  local _
  # A server whose start was interrupted may come up yet.
  [ ! -e "$1/starting" ] || for _ in {1..30}; do [ ! -s "$1/data/postmaster.pid" ] || break; sleep 0.1; done
  [ ! -e "$1/data/postmaster.pid" ] || as_postgres pg_ctl -s -w -m fast -D "$1/data" stop || true
  rm -rf "$1"
}
