# Moving a site between the extension and the migration of the trusted edition: pg_dump --data-only of the shared tables
# carries every row there and back, and monitoring goes on.
use strict;
use warnings;
use IntegrationHealth;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('moving');
my $dir = PostgreSQL::Test::Utils::tempdir();
my @tables = ('public.integration_*', 'integration_health_private.sync_plans');
my $become_owner = "\\set schema public\n" . slurp_file("$ENV{TESTDIR}/test/fixtures/owner.sql");

# move(FROM, TO) carries the data of one database to another, as its owner would.
sub move
{
	my ($from, $to) = @_;
	command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '--data-only', (map { ('-t', $_) } @tables), '-f', "$dir/$from.sql", $from ],
		"$from is dumped");
	my $owner = value($node, $to, "SELECT tableowner FROM pg_tables WHERE tablename = 'integration_types'");
	my $err = error_of($node, $to, "BEGIN; SET ROLE $owner;\n" . slurp_file("$dir/$from.sql") . "\nCOMMIT;");
	is($err, '', "and restored into $to by $owner");
	return;
}

# same(A, B, NAME) is a test: all tables of two databases hold the same rows.
sub same
{
	my ($one, $other, $name) = @_;
	same_tables($node, $one, $node, $other, 'public', $name);
	is(join("\n", table_rows($node, $other, 'integration_health_private', 'sync_plans')),
		join("\n", table_rows($node, $one, 'integration_health_private', 'sync_plans')), "$name: what schedules were before");
	return;
}

new_database($node, 'extension');
new_database($node, 'migration', '');
{
	local $ENV{IH_OWNER} = 'ih_owner';
	$node->safe_psql('migration', $become_owner . slurp_file("$ENV{TESTDIR}/migrations/public.sql"));
}
is(value($node, 'migration', 'SELECT count(*) FROM pg_extension'), 1, 'the migration needs no extension but plpgsql');
is(value($node, 'migration', "SELECT count(*) FROM pg_proc WHERE prolang NOT IN (SELECT oid FROM pg_language WHERE lanname IN ('sql', 'plpgsql'))
	AND pronamespace IN ('public'::regnamespace, 'integration_health_private'::regnamespace)"), 0, 'nor a function in C');
is(value($node, 'migration', "SELECT count(*) FROM integration_health_private.objects() AS o (object)
	LEFT JOIN LATERAL (SELECT to_regclass(substring(o.object, '^TABLE (.*)'))::oid, to_regprocedure(substring(o.object, '^FUNCTION (.*)'))::oid,
	  to_regnamespace(substring(o.object, '^SCHEMA (.*)'))::oid) AS found (a, b, c) ON true WHERE COALESCE(a, b, c) IS NULL"),
	0, 'it knows its own objects');
is(value($node, 'migration', "SELECT count(*) FROM (
	  SELECT format('TABLE %s', c.oid::regclass) FROM pg_class c WHERE c.relkind = 'r' AND c.relname LIKE 'integration\\_%' AND c.relnamespace = 'public'::regnamespace
	  UNION ALL SELECT p.oid::text FROM pg_proc p WHERE p.pronamespace IN ('public'::regnamespace, 'integration_health_private'::regnamespace)
	) AS made") - 0, value($node, 'migration', "SELECT count(*) FROM integration_health_private.objects() AS o (object)
	  WHERE o.object LIKE 'FUNCTION %' OR o.object LIKE 'TABLE public.%'"), 'all of them');

fill_site($node, 'extension');
move('extension', 'migration');
same('extension', 'migration', 'from the extension to the migration every row is the same');
goes_on($node, 'migration');

new_database($node, 'extension_again');
move('migration', 'extension_again');
same('migration', 'extension_again', 'and back');
goes_on($node, 'extension_again');

note('The same schedules have the same periods');
my $count = full_run() ? 10000 : 1000;
my $periods = <<"SQL";
SET timezone = 'UTC';
SET intervalstyle = 'postgres';
CREATE FUNCTION pg_temp.h(n bigint, seed bigint, below bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (hashint8extended(n, seed) & 9223372036854775807) % below;
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS \$\$
DECLARE
  result text;
  hint text;
BEGIN
  EXECUTE command INTO result;
  RETURN result;
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  RETURN SQLSTATE || ' ' || SQLERRM || ' ' || hint;
END \$\$;
WITH plan AS (
  SELECT n, (ARRAY['1 day', '2 days', '7 days', '45 days', '3660 days', '1 mon', '3 mons', '1 mon 1 day', '1 year', '120 mons', '1 minute', '17 minutes', '1 hour',
           '25 hours', '90 minutes', '00:01:00.000001', '-1 day', '0', '1 day 1 hour', '121 mons'])[1 + pg_temp.h(n, 1, 20)]::interval AS every,
         zone, CASE pg_temp.h(n, 2, 3)
           WHEN 0 THEN timestamptz '1850-01-01Z' + pg_temp.h(n, 3, 250 * 365) * interval '1 day' + pg_temp.h(n, 4, 86400000000) * interval '1 microsecond'
           WHEN 1 THEN make_timestamptz(1970 + pg_temp.h(n, 3, 70)::int, (ARRAY[3, 4, 10, 11])[1 + pg_temp.h(n, 4, 4)], 25 + pg_temp.h(n, 5, 6)::int, pg_temp.h(n, 6, 5)::int, 30, 0, CASE WHEN zone LIKE '%/%' AND zone <> 'Mars/Olympus' THEN zone ELSE 'UTC' END)
           ELSE (ARRAY['infinity', '-infinity', '4000-02-29Z', '2011-12-30 12:00Z', '2000-01-31Z', '1999-12-31 23:59:59.999999Z'])[1 + pg_temp.h(n, 3, 6)]::timestamptz END AS anchor
    FROM generate_series(1, $count) AS n,
         LATERAL (SELECT (ARRAY['UTC', 'Europe/Oslo', 'Europe/Dublin', 'America/New_York', 'America/Sao_Paulo', 'Pacific/Apia', 'Australia/Lord_Howe', 'Asia/Kolkata',
           'Africa/Casablanca', 'Antarctica/Troll', 'Asia/Tehran', 'Etc/GMT+12', 'utc', 'CET-1', 'Mars/Olympus'])[1 + pg_temp.h(n, 7, 15)]) AS z (zone)
), question AS (
  SELECT p.*, CASE pg_temp.h(n, 8, 8) WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity'
           ELSE CASE WHEN isfinite(anchor) THEN anchor ELSE '2000-01-01Z' END + (pg_temp.h(n, 9, 60 * 365) - 3650) * interval '1 day'
                + pg_temp.h(n, 10, 86400) * interval '1 second' END AS at
    FROM plan AS p
)
SELECT n, every, anchor, zone, at, integration_sync_every_is_valid(every), integration_sync_time_zone_is_valid(zone),
       pg_temp.try(format('SELECT integration_sync_last_period(%L, %L, %L, %L)', every, anchor, zone, at)),
       pg_temp.try(format('SELECT integration_sync_next_period(%L, %L, %L, %L)', every, anchor, zone, at)),
       pg_temp.try(format('SELECT string_agg(p::text, %L) FROM integration_sync_periods(%L, %L, %L, %L, %L) AS p', ' ', every, anchor, zone, at,
                          at + LEAST(every * 3, interval '9 years')))
  FROM question ORDER BY n;
SELECT integration_sync_key('${\org(1)}', 'xledger', t) FROM unnest('{2026-01-01Z,2026-12-31 23:59:59.999999Z,2026-06-01 12:00:00.5+02,0001-01-01Z,9999-12-31Z,75000-01-01Z}'::timestamptz[]) t;
SQL
{
	my @extension = rows($node, 'extension', $periods);
	my @migration = rows($node, 'migration', $periods);
	is(scalar @extension, $count + 6, scalar(@extension) . ' schedules and keys');
	cmp_ok(scalar(grep { !/22023/ } @extension), '>', $count / 2, 'most of them have periods');
	my @differ = map { "$extension[$_]\n$migration[$_]" } grep { $extension[$_] ne $migration[$_] } 0 .. $#extension;
	is(join("\n", splice(@differ, 0, 5)), '', 'in both editions');
}

note('As a trusted language extension');
$node->safe_psql('postgres', 'CREATE DATABASE tle');
$node->safe_psql('tle', <<'SQL');
CREATE SCHEMA pgtle;
CREATE TABLE pgtle.installed (name text, version text, description text, ext text);
CREATE FUNCTION pgtle.install_extension(name text, version text, description text, ext text, requires text[] DEFAULT NULL, schema text DEFAULT NULL)
RETURNS boolean LANGUAGE sql AS 'INSERT INTO pgtle.installed VALUES ($1, $2, $3, $4) RETURNING true';
SQL
is(value($node, 'tle', slurp_file("$ENV{TESTDIR}/migrations/tle.sql")), 't', 'pg_tle takes it');
like(value($node, 'tle', 'SELECT name, version, description FROM pgtle.installed'), qr/^integration_health\|\d+\.\d+\.\d+\|health of /, 'with its name, version and description');
is(value($node, 'tle', q{SELECT ext LIKE '%CREATE FUNCTION @extschema@.record_health_checks(%' AND ext !~ '\\\\echo|MODULE_PATHNAME' FROM pgtle.installed}),
	't', 'and with the script of the extension, without what is for psql');

done_testing();
