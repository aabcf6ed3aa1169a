# The extension's own life: created by another than the site's role, as on Supabase; dropped and
# created again, renamed under sessions that hold plans, in schemas with difficult names.
use strict;
use warnings;
use IntegrationHealth;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('lifecycle');
my ($org, $other) = (org(1), org(2));

# all_work(SCHEMA) is SQL that uses everything for which a session can hold a plan.
sub all_work
{
	my ($schema) = @_;
	my $last = "$schema.integration_sync_last_period(s.every, s.anchor, s.time_zone, pg_catalog.now())";
	return <<"SQL";
SET ROLE service_role;
SELECT check_no FROM $schema.record_health_check('$org', 'xledger', 'healthy');
SELECT check_no FROM $schema.record_health_check('$org', 'xledger', 'unhealthy');
SELECT $schema.record_health_checks('[{"org_id": "$other", "integration_type": "xledger", "status": "healthy", "checked_at": "2020-01-01Z"}]');
SELECT $schema.mark_stale_health(), $schema.integration_health_cleanup(), $schema.integration_health_compact() IS NOT NULL;
SELECT check_no FROM $schema.record_health_check('$other', 'dynamics', 'unhealthy', http_status => 429);
SELECT 'after HTTP 429', monitoring_mode FROM $schema.integration_types WHERE integration_type = 'dynamics';
DELETE FROM $schema.integration_health_status WHERE org_id = '$other';
SELECT 'resumed', monitoring_mode FROM $schema.resume_active_monitoring('dynamics');

SET client_min_messages = error;
SELECT FROM $schema.set_monitor('$org', 'xledger');
SELECT FROM $schema.set_sync_schedule('$org', 'xledger', '1 day', now() - interval '3 days 1 hour', warm_up_url => 'https://worker.example.com/', retry_backoff => '0');
RESET ROLE;
UPDATE $schema.integration_monitors SET due_at = now();
UPDATE $schema.integration_sync_schedules SET due_at = anchor, planned_since = anchor;
UPDATE $schema.integration_types SET monitoring_mode = 'passive' WHERE integration_type = 'dynamics';
SET ROLE service_role;
SELECT 'checks', count(*) FROM $schema.claim_due_health_checks();
SELECT 'due', count(*) FROM $schema.get_due_syncs();
SELECT 'claimed', c.claimed, c.attempt FROM $schema.integration_sync_schedules s, generate_series(1, 2) n, $schema.claim_sync_run(s.org_id, s.integration_type, $last, n > 1) c;
UPDATE $schema.integration_types SET monitoring_mode = 'passive' WHERE integration_type = 'xledger';
SELECT 'ended', r.outcome FROM $schema.integration_sync_schedules s, $schema.finish_sync_run(s.org_id, s.integration_type, $last, 1, 'failed') r;
SELECT 'again', c.claimed, c.attempt FROM $schema.integration_sync_schedules s, $schema.claim_sync_run(s.org_id, s.integration_type, $last, true) c;
SELECT 'ended', r.outcome FROM $schema.integration_sync_schedules s, $schema.finish_sync_run(s.org_id, s.integration_type, $last, 2, 'succeeded') r;
SELECT check_no FROM $schema.record_health_check('$org', 'xledger', 'unhealthy', checked_at => clock_timestamp());
SELECT 'resumed', monitoring_mode FROM $schema.resume_active_monitoring('xledger');
SELECT 'warm-ups', $schema.dispatch_sync_warm_ups('1 day'), $schema.integration_health_cleanup();
SELECT 'watched', $schema.integration_health_watch() >= 0, $schema.end_maintenance($schema.set_maintenance(NULL, NULL, now() - interval '1 hour', now() + interval '1 hour', 'x'));
SELECT 'alerts', count(*) > 0, bool_and($schema.finish_alert(alert_id, attempt, true)) FROM $schema.claim_alerts();
SELECT 'acknowledged', count($schema.acknowledge_incident(incident_id)) FROM $schema.integration_incidents;
INSERT INTO $schema.integration_types (integration_type, display_name, created_at) VALUES ('dynamics', 'Restored', '2020-01-01Z');
SET request.jwt.claims = '{"org_id": "$org", "user_role": "global_admin"}';
SET ROLE authenticated;
SELECT 'org', count(*) FROM $schema.get_org_health_status('$org');
SELECT 'trend', count(*) FROM $schema.get_health_trend('$org', 'xledger');
SELECT 'uptime', (SELECT count(*) FROM $schema.get_org_uptime('$org')), (SELECT count(*) FROM $schema.get_uptime_days('$org', 'xledger', 7)), (SELECT count(*) FROM $schema.get_latency_days('$org', 'xledger', 7));
SELECT 'incidents', (SELECT count(*) FROM $schema.get_org_incidents('$org')), (SELECT count(*) FROM $schema.get_maintenance('$org'));
SELECT 'all', (SELECT count(*) FROM $schema.get_global_uptime()), (SELECT count(*) FROM $schema.get_global_incidents()), (SELECT count(*) FROM $schema.get_global_maintenance()), (SELECT count(*) FROM $schema.get_alert_backlog());
SELECT 'summary', sum(total) FROM $schema.get_global_health_summary();
SELECT 'problems', count(*) FROM $schema.get_global_health_problems();
SELECT 'late, cold, missed', (SELECT count(*) FROM $schema.get_sync_drift('$org')), (SELECT count(*) FROM $schema.get_cold_starts('$org')), (SELECT count(*) FROM $schema.get_missed_syncs('$org', 48));
SELECT 'syncs', sum(schedules), sum(succeeded) FROM $schema.get_global_sync_summary();
RESET ROLE;
SQL
}
my $result = join("\n", 1, 2, 1, '1|2|t', 1, 'after HTTP 429|passive', 'resumed|active', 'checks|1', 'due|1', 'claimed|t|1', 'claimed|f|1',
	'ended|failed', 'again|t|2', 'ended|succeeded', 5, 'resumed|active', 'warm-ups|1|0',
	'watched|t|t', 'alerts|t|t', 'acknowledged|1', 'org|2', 'trend|5', 'uptime|2|7|7', 'incidents|1|1', 'all|2|1|1|0', 'summary|1', 'problems|1', 'late, cold, missed|1|1|1', 'syncs|1|1');

note('Dropped and created again');
new_database($node, 'again');
{
	my ($out, $err, $sql) = ('', '', '');
	for my $schema ('public', 'public', 'ih', 'public', 'ih')
	{
		$sql .= "SET client_min_messages = error; DROP EXTENSION integration_health CASCADE; CREATE SCHEMA IF NOT EXISTS ih;
			GRANT USAGE ON SCHEMA ih TO authenticated, service_role; CREATE EXTENSION integration_health SCHEMA $schema;\n"
		  . all_work($schema) . "\\echo ----\n";
	}
	$node->psql('again', all_work('public') . "\\echo ----\n$sql", stdout => \$out, stderr => \$err, on_error_stop => 1);
	is($err, '', 'six times in one session, without an error');
	is_deeply([ split(/\n----\n?/, $out) ], [ ($result) x 6 ], 'with the same results each time');
	is(sqlstate($node, 'again', 'CREATE EXTENSION integration_health'), '42710', 'not twice at a time');

	$node->safe_psql('again', 'CREATE VIEW site_view AS SELECT * FROM ih.integration_health_status');
	is(sqlstate($node, 'again', 'DROP EXTENSION integration_health'), '2BP01', "a site's view is not dropped unasked");
	is(sqlstate($node, 'again', 'DROP TABLE ih.integration_health_history'), '2BP01', 'nor is a part of the extension');
	$node->safe_psql('again', 'SET client_min_messages = error; DROP EXTENSION integration_health CASCADE');
	is(join(' ', rows($node, 'again', q{SELECT relname FROM pg_class WHERE relname ~ 'integration|health'
		UNION ALL SELECT proname FROM pg_proc WHERE proname ~ 'integration|health' AND proname !~ '^pg_'
		UNION ALL SELECT typname FROM pg_type WHERE typname ~ 'integration|health'})), '', 'DROP EXTENSION leaves nothing behind');
}

note('Sessions that hold plans while others drop, create and rename');
{
	new_database($node, 'plans', 'ih');
	my $session = $node->background_psql('plans', on_error_stop => 0, timeout => 60);
	my $ask = sub { my $out = $session->query($_[0]); return $out };
	my $expect = $result;
	is($ask->(all_work('ih')), $expect, 'a session has all its plans');

	$node->safe_psql('plans', 'SET client_min_messages = error; DROP EXTENSION integration_health CASCADE; CREATE EXTENSION integration_health SCHEMA ih');
	is($ask->(all_work('ih')), $expect, 'the extension was dropped and created by another session');

	my $limited = "BEGIN; SELECT check_no FROM renamed.record_health_check('$org', 'xledger', 'unhealthy', http_status => 429);";
	my $modes = "string_agg(integration_type || ' ' || monitoring_mode, ', ' ORDER BY integration_type)";
	if (is_trusted())
	{
		# PL/pgSQL looks names up when it uses them: see test/trusted/differences.
		$node->safe_psql('plans', 'ALTER SCHEMA ih RENAME TO renamed');
		is(sqlstate($node, 'plans', "SELECT renamed.record_health_check('$org', 'xledger', 'healthy')"), '42P01', 'the schema was renamed: a clean error');
		$node->safe_psql('plans', 'ALTER SCHEMA renamed RENAME TO ih');
		is(sqlstate($node, 'plans', "SELECT ih.record_health_check('$org', 'xledger', 'healthy')"), '00000', 'and back: it works');
	}
	else
	{
		$node->safe_psql('plans', "TRUNCATE ih.integration_health_status, ih.integration_maintenance, ih.integration_monitors, ih.integration_sync_schedules, ih.integration_sync_runs; UPDATE ih.integration_types SET created_at = now(), planned_since = NULL");
		$node->safe_psql('plans', 'ALTER SCHEMA ih RENAME TO renamed');
		$ask->('SET search_path = renamed');
		is($ask->(all_work('renamed')), $expect, 'the schema was renamed');
		invariants_hold($node, 'plans', 'and every check went where it belongs', schema => 'renamed');

		# Another schema takes the old name: nothing of it may be used.
		$node->safe_psql('plans', "TRUNCATE renamed.integration_health_status, renamed.integration_maintenance, renamed.integration_monitors, renamed.integration_sync_schedules, renamed.integration_sync_runs; UPDATE renamed.integration_types SET created_at = now(), planned_since = NULL;
			CREATE SCHEMA ih; CREATE TABLE ih.integration_health_history (LIKE renamed.integration_health_history INCLUDING ALL);
			CREATE TABLE ih.integration_monitors (LIKE renamed.integration_monitors); CREATE TABLE ih.integration_sync_runs (LIKE renamed.integration_sync_runs)");
		is($ask->(all_work('renamed')), $expect, 'another schema took its name');
		is(value($node, 'plans', 'SELECT (SELECT count(*) FROM ih.integration_health_history) + (SELECT count(*) FROM ih.integration_monitors) + (SELECT count(*) FROM ih.integration_sync_runs)'), 0, 'and was not taken for it');

		# In one transaction.
		$node->safe_psql('plans', "TRUNCATE renamed.integration_health_status, renamed.integration_maintenance, renamed.integration_monitors, renamed.integration_sync_schedules, renamed.integration_sync_runs; UPDATE renamed.integration_types SET created_at = now(), planned_since = NULL");
		is($ask->('BEGIN; ALTER SCHEMA renamed RENAME TO once_more;' . all_work('once_more') . 'ROLLBACK;'), $expect =~ s/429\|passive/429|active/r, 'the session itself renamed it, and no type was switched yet');
		is($ask->(all_work('renamed')), $expect, 'and took that back');

		# A type changes its mode when the transaction commits; by then the schema of the extension is renamed.
		is($ask->("$limited ALTER SCHEMA renamed RENAME TO elsewhere; COMMIT; SELECT $modes FROM elsewhere.integration_types; SELECT FROM elsewhere.resume_active_monitoring('xledger'); ALTER SCHEMA elsewhere RENAME TO renamed"),
			"6\ndynamics active, xledger passive", 'of another name');

		# Another owner of the tables and functions: the owner of the tables calls the functions that claims use.
		$node->safe_psql('plans', "TRUNCATE renamed.integration_health_status, renamed.integration_maintenance, renamed.integration_monitors, renamed.integration_sync_schedules, renamed.integration_sync_runs; UPDATE renamed.integration_types SET created_at = now(), planned_since = NULL;
			CREATE ROLE other_owner; GRANT USAGE ON SCHEMA renamed, integration_health_private TO other_owner; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA integration_health_private TO other_owner; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA integration_health_private TO other_owner;" . join('', map { "ALTER TABLE renamed.$_ OWNER TO other_owner; ALTER TABLE renamed.$_ FORCE ROW LEVEL SECURITY;" } TABLES)
			  . "DO \$\$ DECLARE f regprocedure; BEGIN FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'renamed'::regnamespace LOOP EXECUTE format('ALTER FUNCTION %s OWNER TO other_owner', f); END LOOP; END \$\$");
		is($ask->(all_work('renamed')), $expect =~ s/^(1\|2\|t|warm-ups.*|due.*|watched.*|all.*|summary.*|problems.*)\n//mgr =~ s/\nsyncs.*//r =~ s/incidents\|1\|1/incidents|1|0/r, 'all of it got another owner, and row-level security that binds him: but for what reads as him');
		is(sqlstate($node, 'plans', 'SELECT renamed.mark_stale_health()'), '55000', 'which does not overlook what it hides');
		$node->safe_psql('plans', "ALTER ROLE other_owner BYPASSRLS; TRUNCATE renamed.integration_health_status, renamed.integration_maintenance, renamed.integration_monitors, renamed.integration_sync_schedules, renamed.integration_sync_runs; UPDATE renamed.integration_types SET created_at = now(), planned_since = NULL");
		is($ask->(all_work('renamed')), $expect, 'and do their work where it does not');
	}
	new_database($node, 'plans_dropped', 'renamed');
	is(sqlstate($node, 'plans_dropped', "$limited SET client_min_messages = error; DROP EXTENSION integration_health CASCADE; COMMIT"), '55006', 'it is not dropped while a switch is due');
	is(sqlstate($node, 'plans_dropped', "$limited SET CONSTRAINTS ALL IMMEDIATE; SET client_min_messages = error; DROP EXTENSION integration_health CASCADE; COMMIT"), '00000', 'dropped');
	is(value($node, 'plans_dropped', "CREATE EXTENSION integration_health SCHEMA renamed; $limited SET CONSTRAINTS ALL IMMEDIATE; DROP EXTENSION integration_health; CREATE EXTENSION integration_health SCHEMA renamed; COMMIT;
		SELECT $modes FROM renamed.integration_types"), 'dynamics active, xledger active', 'a new one');
	$session->quit;
	is(sqlstate($node, 'plans', 'ALTER EXTENSION integration_health SET SCHEMA public'), '0A000', 'ALTER EXTENSION SET SCHEMA is refused');
}

note('Schemas with difficult names');
for my $schema ('"My Schema"', '"select"', '"ünïcode-é"', '"a.b"', '"%s%n"', '"x@schema@y"')
{
	$node->safe_psql('postgres', 'CREATE DATABASE names');
	my $state = sqlstate($node, 'names', "CREATE SCHEMA $schema; CREATE EXTENSION integration_health SCHEMA $schema");
	if ($state eq '0A000' || $state eq '22023')
	{
		pass("$schema: refused by PostgreSQL");
	}
	else
	{
		my ($out, $err);
		$node->psql('names', "GRANT USAGE ON SCHEMA $schema TO authenticated, service_role; " . all_work($schema), stdout => \$out, stderr => \$err);
		is("$state$err$out", "00000$result", "$schema: everything works");
	}
	$node->safe_psql('postgres', 'DROP DATABASE names');
}

note("Made by Supabase's superuser; the site's own role owns the database and cannot alter anything");
{
	$node->safe_psql('postgres', 'CREATE ROLE supabase_admin SUPERUSER LOGIN; CREATE ROLE site LOGIN CREATEROLE CREATEDB; CREATE DATABASE supabase OWNER site');
	my $fixtures = slurp_file("$ENV{TESTDIR}/test/fixtures/supabase.sql");
	$node->safe_psql('supabase', "SET SESSION AUTHORIZATION supabase_admin;\n$fixtures
		ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO site;
		ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO PUBLIC");
	is(sqlstate($node, 'supabase', 'SET SESSION AUTHORIZATION site; BEGIN; CREATE EXTENSION integration_health; ROLLBACK'),
		is_trusted() ? '00000' : '42501', 'the site cannot create it itself, but for the edition without C');
	$node->safe_psql('supabase', 'SET SESSION AUTHORIZATION supabase_admin; CREATE EXTENSION integration_health');
	my ($out, $err);
	$node->psql('supabase', all_work('public'), stdout => \$out, stderr => \$err);
	is("$err$out", $result, 'the rights are right as shipped');
	for my $sql ('DROP EXTENSION integration_health', 'ALTER TABLE integration_health_status ADD x int', 'ALTER TABLE integration_health_status DISABLE TRIGGER ALL',
		'DROP POLICY integration_health_status_read ON integration_health_status', 'CREATE POLICY p ON integration_health_status USING (true)', 'ALTER FUNCTION get_global_health_summary() RESET ALL',
		'CREATE OR REPLACE FUNCTION integration_health_org_ids() RETURNS uuid[] LANGUAGE sql RETURN NULL::uuid[]',
		"SELECT grant_integration_health('site', 'site')", 'DROP POLICY integration_sync_runs_read ON integration_sync_runs', 'ALTER TABLE integration_monitors DISABLE TRIGGER ALL', 'CREATE INDEX ON integration_health_status (checked_at)')
	{
		like(sqlstate($node, 'supabase', "SET SESSION AUTHORIZATION site; $sql"), qr/^(?:42501|01007)$/, "the site cannot: $sql");
	}
	$node->safe_psql('supabase', 'SET SESSION AUTHORIZATION site; CREATE SCHEMA own; CREATE FUNCTION own.pwn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$');
	is(sqlstate($node, 'supabase', "SET SESSION AUTHORIZATION site; CREATE TRIGGER pwn AFTER INSERT ON $_ EXECUTE FUNCTION own.pwn()"), '42501', "the site makes no trigger on $_")
	  for qw(integration_types integration_health_status integration_health_history integration_health_counts integration_monitors integration_sync_schedules integration_sync_runs);
	for my $kept (qw(integration_health_history integration_health_counts integration_sync_runs))
	{
		is(value($node, 'supabase', "SELECT string_agg(privilege_type, ' ') FROM pg_class, aclexplode(relacl) WHERE oid = '$kept'::regclass AND grantee = 'site'::regrole"),
			'SELECT', "and reads $kept at most");
	}
	is(join("\n", grep { /\banon=|(?:^| )=/ } extension_acls($node, 'supabase')), '', 'neither anon nor PUBLIC has got a right, whatever the default privileges');
	is(value($node, 'supabase', q{SELECT string_agg(relname, ' ') FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.deptype = 'e'
		JOIN pg_extension e ON e.oid = d.refobjid AND extname = 'integration_health' WHERE relkind = 'r' AND NOT relrowsecurity}), '',
		'every table has row-level security');
	invariants_hold($node, 'supabase', 'the invariants hold');
}

$node->stop;
done_testing();
