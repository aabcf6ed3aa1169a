# The extension's own life: created by another than the site's role, as on Supabase; dropped and
# created again, renamed under sessions that hold plans, in schemas with difficult names.
use strict;
use warnings;
use IntegrationHealth;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('lifecycle');
my ($org, $other) = (org(1), org(2));

# Everything that a session can have a plan of, for the extension in SCHEMA.
sub all_work
{
	my ($schema) = @_;
	return <<"SQL";
SET ROLE service_role;
SELECT check_no FROM $schema.record_health_check('$org', 'xledger', 'healthy');
SELECT check_no FROM $schema.record_health_check('$org', 'xledger', 'unhealthy');
SELECT $schema.record_health_checks('[{"org_id": "$other", "integration_type": "xledger", "status": "healthy", "checked_at": "2020-01-01Z"}]');
SELECT $schema.mark_stale_health(), $schema.integration_health_cleanup(), $schema.integration_health_compact() IS NOT NULL;
DELETE FROM $schema.integration_health_status WHERE org_id = '$other';
INSERT INTO $schema.integration_types (integration_type, display_name, created_at) VALUES ('dynamics', 'Restored', '2020-01-01Z');
SET request.jwt.claims = '{"org_id": "$org", "user_role": "global_admin"}';
SET ROLE authenticated;
SELECT 'org', count(*) FROM $schema.get_org_health_status('$org');
SELECT 'trend', count(*) FROM $schema.get_health_trend('$org', 'xledger');
SELECT 'summary', sum(total) FROM $schema.get_global_health_summary();
SELECT 'problems', count(*) FROM $schema.get_global_health_problems();
RESET ROLE;
SQL
}
my $result = "1\n2\n1\n1|1|t\norg|2\ntrend|2\nsummary|1\nproblems|1";

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

	$node->safe_psql('plans', "TRUNCATE ih.integration_health_status; DELETE FROM ih.integration_types WHERE integration_type = 'dynamics'");
	$node->safe_psql('plans', 'ALTER SCHEMA ih RENAME TO renamed');
	$ask->('SET search_path = renamed');
	is($ask->(all_work('renamed')), $expect, 'the schema was renamed');
	invariants_hold($node, 'plans', 'and every check went where it belongs', schema => 'renamed');

	# Another schema takes the old name: nothing of it may be used.
	$node->safe_psql('plans', "TRUNCATE renamed.integration_health_status; DELETE FROM renamed.integration_types WHERE integration_type = 'dynamics';
		CREATE SCHEMA ih; CREATE TABLE ih.integration_health_history (LIKE renamed.integration_health_history INCLUDING ALL)");
	is($ask->(all_work('renamed')), $expect, 'another schema took its name');
	is(value($node, 'plans', 'SELECT count(*) FROM ih.integration_health_history'), 0, 'and was not taken for it');

	# In one transaction.
	$node->safe_psql('plans', "TRUNCATE renamed.integration_health_status; DELETE FROM renamed.integration_types WHERE integration_type = 'dynamics'");
	is($ask->('BEGIN; ALTER SCHEMA renamed RENAME TO once_more;' . all_work('once_more') . 'ROLLBACK;'), $expect, 'the session itself renamed it');
	is($ask->(all_work('renamed')), $expect, 'and took that back');

	# Another owner of the tables.
	$node->safe_psql('plans', "TRUNCATE renamed.integration_health_status; DELETE FROM renamed.integration_types WHERE integration_type = 'dynamics';
		CREATE ROLE other_owner; GRANT USAGE ON SCHEMA renamed TO other_owner;" . join('', map { "ALTER TABLE renamed.$_ OWNER TO other_owner; ALTER TABLE renamed.$_ FORCE ROW LEVEL SECURITY;" } TABLES));
	is($ask->(all_work('renamed')), $expect, 'the tables got another owner, and row-level security that binds him');
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
	is(sqlstate($node, 'supabase', 'SET SESSION AUTHORIZATION site; CREATE EXTENSION integration_health'), '42501', 'the site cannot create it itself');
	$node->safe_psql('supabase', 'SET SESSION AUTHORIZATION supabase_admin; CREATE EXTENSION integration_health');
	my ($out, $err);
	$node->psql('supabase', all_work('public'), stdout => \$out, stderr => \$err);
	is("$err$out", $result, 'the rights are right as shipped');
	for my $sql ('DROP EXTENSION integration_health', 'ALTER TABLE integration_health_status ADD x int', 'ALTER TABLE integration_health_status DISABLE TRIGGER ALL',
		'DROP POLICY integration_health_status_read ON integration_health_status', 'CREATE POLICY p ON integration_health_status USING (true)', 'ALTER FUNCTION get_global_health_summary() RESET ALL',
		'CREATE OR REPLACE FUNCTION integration_health_org_ids() RETURNS uuid[] LANGUAGE sql RETURN NULL::uuid[]',
		"SELECT grant_integration_health('site', 'site')", 'CREATE INDEX ON integration_health_status (checked_at)')
	{
		like(sqlstate($node, 'supabase', "SET SESSION AUTHORIZATION site; $sql"), qr/^(?:42501|01007)$/, "the site cannot: $sql");
	}
	is(join("\n", grep { /\banon=|(?:^| )=/ } extension_acls($node, 'supabase')), '', 'neither anon nor PUBLIC has got a right, whatever the default privileges');
	is(value($node, 'supabase', q{SELECT string_agg(relname, ' ') FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.deptype = 'e'
		JOIN pg_extension e ON e.oid = d.refobjid AND extname = 'integration_health' WHERE relkind = 'r' AND NOT relrowsecurity}), '',
		'every table has row-level security');
	invariants_hold($node, 'supabase', 'the invariants hold');
}

$node->stop;
done_testing();
