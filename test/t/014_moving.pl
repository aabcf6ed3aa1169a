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

# fill(DB) makes a site's data of all kinds, as the role that makes it in life.
sub fill
{
	my ($db) = @_;
	$node->safe_psql($db, as_role('service_role') . <<"SQL");
INSERT INTO integration_types (integration_type, display_name, check_interval)
VALUES ('fortnox', 'Fortnox "AB"', '1 hour'), ('limited', E'Limited\\twith a tab', '20 minutes'), ('only_scheduled', 'Only scheduled', '2 hours');
UPDATE integration_types SET display_name = 'Xledger (site)', check_interval = '45 minutes', max_backoff = '2 days'
 WHERE integration_type = 'xledger';
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', '${\org(1)}', 'integration_type', 'xledger',
         'status', (enum_range(NULL::integration_health_state))[n % 4 + 1], 'latency_ms', n, 'http_status', 200,
         'error', E'line\\nof \\\\N ' || n, 'checked_at', now() - n * interval '15 minutes')))
  FROM generate_series(1, 250) n;
${\ record(1, 'xledger', 'degraded', '2026-01-01Z')}
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', lpad(org::text, 32, '0')::uuid, 'integration_type', 'fortnox',
         'status', 'healthy')))
  FROM generate_series(2, 400) org, generate_series(1, 3) n;
SELECT record_health_checks(jsonb_build_array(jsonb_build_object('org_id', '${\org(1)}', 'integration_type', 'limited',
         'status', 'unhealthy', 'http_status', 429, 'retry_after', 86400)));
DELETE FROM integration_health_status WHERE org_id = '${\org(40)}';
SELECT set_monitor(lpad(org::text, 32, '0')::uuid, 'fortnox') FROM generate_series(2, 50) org;
SELECT set_monitor('${\org(1)}', 'xledger'), set_monitor('${\org(1)}', 'limited', false);
SELECT set_sync_schedule('${\org(1)}', 'only_scheduled', '1 hour', date_trunc('hour', now()) - interval '10 days', 'Europe/Oslo');
SELECT set_sync_schedule('${\org(1)}', 'only_scheduled', '1 day', date_trunc('hour', now()) - interval '10 days', 'Europe/Oslo');
SELECT set_sync_schedule('${\org(2)}', 'fortnox', '15 minutes', '2026-01-01Z', warm_up_url => 'https://worker.example/run');
SELECT claim_sync_run(org_id, integration_type, scheduled_for) FROM get_due_syncs();
SELECT finish_sync_run(org_id, integration_type, scheduled_for, attempt, 'failed', 'what went wrong') FROM integration_sync_runs;
SQL
	$node->safe_psql($db, "UPDATE integration_monitors SET due_at = now() - interval '1 hour' WHERE integration_type = 'fortnox'");
	$node->safe_psql($db, as_role('service_role') . 'SELECT count(*) FROM claim_due_health_checks(10)');
	return;
}

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

# goes_on(DB) are tests: monitoring goes on.
sub goes_on
{
	my ($db) = @_;
	invariants_hold($node, $db, "$db: the invariants hold");
	my $before = value($node, $db, "SELECT check_no FROM integration_health_status WHERE org_id = '${\org(1)}' AND integration_type = 'xledger'");
	is(value($node, $db, as_role('service_role') . record(1, 'xledger', 'unhealthy')), $before + 1, "$db: the next check has the next number");
	is(value($node, $db, as_role('service_role') . 'SELECT count(*) FROM claim_due_health_checks(5)'), 5, "$db: the pairs that are due are handed out");
	is(value($node, $db, as_role('service_role') . "SELECT monitoring_mode FROM integration_types WHERE integration_type = 'limited'"),
		'passive', "$db: a type that was passive is");
	invariants_hold($node, $db, "$db: and still do");
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

fill('extension');
move('extension', 'migration');
same('extension', 'migration', 'from the extension to the migration every row is the same');
goes_on('migration');

new_database($node, 'extension_again');
move('migration', 'extension_again');
same('migration', 'extension_again', 'and back');
goes_on('extension_again');

note('What docs/hosted.md says');
my @samples = slurp_file("$ENV{TESTDIR}/docs/hosted.md") =~ /^```sql\n(.*?)^```/gms;
my ($set) = grep { /INSERT INTO integration_health_private.settings/ } @samples;
my ($remove) = grep { /DROP SCHEMA/ } @samples;
$node->safe_psql('migration', "SET ROLE ih_owner; $set $set");
is(value($node, 'migration', 'SELECT admin_role FROM integration_health_private.setting()'), 'platform_admin', 'a setting is set');
is(error_of($node, 'migration', "SET ROLE ih_owner; $remove"), '', 'the migration is removed');
is(value($node, 'migration', "SELECT string_agg(pg_describe_object(d.classid, d.objid, 0), ', ') FROM (
	  SELECT 'pg_class'::regclass AS classid, oid AS objid FROM pg_class WHERE relnamespace = 'public'::regnamespace
	  UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace
	  UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typnamespace = 'public'::regnamespace
	  UNION ALL SELECT 'pg_namespace'::regclass, oid FROM pg_namespace WHERE nspname LIKE 'integration%') AS d"), '', 'and nothing is left of it');

done_testing();
