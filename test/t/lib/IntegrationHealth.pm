# What the TAP tests share: servers and databases with the extension, SQL as a role with claims,
# SQLSTATEs, the invariants of the design, comparison of databases.
package IntegrationHealth;
use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(is_trusted prepares org new_server new_cluster new_database create_extension as_role rows value sqlstate error_of
  crash_and_restart wait_until_up invariants_hold same_tables table_rows extension_acls record full_run fill_site goes_on TABLES);

use constant TABLES => qw(integration_types integration_health_status integration_health_history integration_health_transitions
  integration_health_days integration_health_counts integration_incidents integration_maintenance integration_alerts
  integration_monitors integration_sync_schedules integration_sync_runs);

my $fixtures = abs_path(dirname(__FILE__) . '/../../fixtures');

# is_trusted() tells whether the trusted edition is tested.
sub is_trusted { return ($ENV{EDITION} // '') eq 'trusted' }

# prepares() is SQL that lets a session prepare transactions: without C, events would make PREPARE fail.
sub prepares { return is_trusted() ? "SET integration_health.notify = off;\n" : '' }

# Tests that test/trusted/differences names ("tap: /REGEX/") must fail on the trusted edition, so that the list stays
# true, and do not count as failures there.
if (is_trusted())
{
	my @differ = map { qr/$_/ } slurp_file("$fixtures/../trusted/differences") =~ m{^tap: /(.*)/$}gm;
	my $ok = \&Test::Builder::ok;
	no warnings 'redefine';
	*Test::Builder::ok = sub {
		my ($self, $passed, $name) = @_;
		local $Test::Builder::Level = $Test::Builder::Level + 1;
		return $ok->($self, $passed, $name) unless grep { ($name // '') =~ $_ } @differ;
		$ok->($self, !$passed, "$name: differs");
		return 1;
	};
}

# full_run tells whether IH_FULL=1 asks for the long versions of the tests.
sub full_run { return $ENV{IH_FULL} ? 1 : 0 }

# org(N) is the id of the organisation number N.
sub org { return sprintf('00000000-0000-0000-0000-%012d', $_[0]) }

# new_server(NAME, SETTING...) starts a server.
sub new_server
{
	my ($name, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => ['--encoding=UTF8', '--locale=C.UTF-8']);
	push @settings, "integration_health.partitions = $ENV{IH_PARTITIONS}" if $ENV{IH_PARTITIONS};
	$node->append_conf('postgresql.conf', join("\n", 'autovacuum = off', @settings, ''));
	$node->start;
	return $node;
}

# new_cluster(NAME, SETTING...) starts a server that has Supabase's roles.
sub new_cluster
{
	my $node = new_server(@_);
	$node->safe_psql('postgres', slurp_file("$fixtures/supabase.sql"));
	return $node;
}

# new_database(NODE, DB, SCHEMA, SETTINGS) makes a database with the extension in SCHEMA (public if not
# given; none if ''), created by a session that has run SETTINGS.
sub new_database
{
	my ($node, $db, $schema, $settings) = @_;
	$schema = 'public' unless defined $schema;
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, slurp_file("$fixtures/supabase.sql"));
	return if $schema eq '';
	$node->safe_psql($db, ($settings // '') . ";
		CREATE SCHEMA IF NOT EXISTS $schema;
		GRANT USAGE ON SCHEMA $schema TO anon, authenticated, service_role;\n"
		. create_extension($schema) . "
		ALTER DATABASE $db SET search_path = $schema, public");
	return;
}

# create_extension(SCHEMA) is SQL that creates the extension, as the role that owns it where IH_OWNER names one.
sub create_extension
{
	my ($schema) = @_;
	return join("\n", '', "\\set schema $schema", slurp_file("$fixtures/owner.sql"), slurp_file("$fixtures/extension.sql"), '\set QUIET on',
		'RESET ROLE;', '');
}

# as_role(ROLE, CLAIMS) is SQL that sets role and claims in a session as PostgREST does for a request.
sub as_role
{
	my ($role, $claims) = @_;
	my $sql = '';
	if (defined $claims)
	{
		$claims =~ s/'/''/g;
		$sql .= "SET request.jwt.claims = '$claims';\n";
	}
	return $sql . "SET ROLE $role;\n";
}

# rows(NODE, DB, SQL) runs SQL, which must succeed, and returns its rows.
sub rows
{
	my ($node, $db, $sql) = @_;
	return split(/\n/, $node->safe_psql($db, $sql));
}

# value(NODE, DB, SQL) is the single value of a query.
sub value { return (rows(@_))[-1] // '' }

# error_of(NODE, DB, SQL) returns what psql reports of SQL that stops at its first error, with
# its SQLSTATE.
sub error_of
{
	my ($node, $db, $sql) = @_;
	my ($out, $err);
	$node->psql($db, $sql, stdout => \$out, stderr => \$err, on_error_stop => 1,
		extra_params => [ '-v', 'VERBOSITY=verbose', '-v', 'SHOW_CONTEXT=never' ]);
	return $err;
}

# sqlstate(NODE, DB, SQL) is the SQLSTATE of the first error of SQL, 00000 when there is none; a
# lost connection is 'LOST'.
sub sqlstate
{
	my $err = error_of(@_);
	return $1 if $err =~ /(?:ERROR|FATAL|PANIC):\s+([0-9A-Z]{5}):/;
	return 'LOST' if $err =~ /connection|could not|terminat/i;
	return '00000';
}

# record(ORG, TYPE, STATUS, TIME) is SQL that records a check.
sub record
{
	my ($org, $type, $status, $time) = @_;
	$time = defined $time ? ", checked_at => '$time'" : '';
	return "SELECT check_no FROM record_health_check('" . org($org) . "', '$type', '$status'$time);";
}

# invariants_hold(NODE, DB, NAME, %OPTIONS) is a test: nothing is wrong with the stored rows
# (fixtures/violations.sql).  cleaned => 1 allows for history that the cleanup took.
sub invariants_hold
{
	my ($node, $db, $name, %options) = @_;
	my $schema = $options{schema} // 'public';
	my $cleaned = $options{cleaned} ? 'true' : 'false';
	my $query = slurp_file("$fixtures/violations.sql") =~ s/^--.*\n//gmr =~ s/\$1/$cleaned/gr;
	my @wrong = rows($node, $db, "SET search_path = $schema; SELECT * FROM ($query) AS v LIMIT 10");
	is(join("\n", @wrong), '', $name);
	return;
}

# crash_and_restart(NODE) kills the postmaster and starts it again.
sub crash_and_restart
{
	my ($node) = @_;
	$node->kill9;

	# Its children hold the shared memory until they notice.
	for (1 .. 300)
	{
		return if $node->start(fail_ok => 1);
		select(undef, undef, undef, 0.1);
	}
	BAIL_OUT('the server does not start after a crash');
}

# wait_until_up(NODE) waits until a server that recovers by itself takes connections.
sub wait_until_up
{
	my ($node) = @_;
	for (1 .. 300)
	{
		my ($out, $err);
		return if IPC::Run::run([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-c', 'SELECT true' ], '>', \$out, '2>', \$err);
		select(undef, undef, undef, 0.1);
	}
	BAIL_OUT('the server does not come back');
}

# table_rows(NODE, DB, SCHEMA, TABLE) returns the rows of a table as text, in order.
sub table_rows
{
	my ($node, $db, $schema, $table) = @_;
	return rows($node, $db, "SELECT t::text FROM $schema.$table AS t ORDER BY t::text COLLATE \"C\"");
}

# same_tables(NODE, DB, NODE2, DB2, SCHEMA, NAME) is a test: all tables hold the same rows.
sub same_tables
{
	my ($node, $db, $node2, $db2, $schema, $name) = @_;
	my @differ = grep {
		my $table = $_;
		join("\n", table_rows($node, $db, $schema, $table)) ne
		  join("\n", table_rows($node2, $db2, $schema, $table));
	} TABLES;
	is("@differ", '', $name);
	return;
}

# fill_site(NODE, DB) makes a site's data of all kinds, as the roles that make it in production.
sub fill_site
{
	my ($node, $db) = @_;
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

# goes_on(NODE, DB) are tests: monitoring of a site that fill_site made goes on.
sub goes_on
{
	my ($node, $db) = @_;
	invariants_hold($node, $db, "$db: the invariants hold");
	my $before = value($node, $db, "SELECT check_no FROM integration_health_status WHERE org_id = '${\org(1)}' AND integration_type = 'xledger'");
	is(value($node, $db, as_role('service_role') . record(1, 'xledger', 'unhealthy')), $before + 1, "$db: the next check has the next number");
	is(value($node, $db, as_role('service_role') . 'SELECT count(*) FROM claim_due_health_checks(5)'), 5, "$db: the pairs that are due are handed out");
	is(value($node, $db, as_role('service_role') . "SELECT monitoring_mode FROM integration_types WHERE integration_type = 'limited'"),
		'passive', "$db: a type that was passive is");
	invariants_hold($node, $db, "$db: and still do");
	return;
}

# extension_acls(NODE, DB) lists the rights on all members of the extension.
sub extension_acls
{
	my ($node, $db) = @_;
	my @rows = rows($node, $db, <<'SQL');
WITH member AS (
  SELECT classid, objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
   WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = 'integration_health'
), acl AS (
  SELECT objid::regclass::text AS object, relacl AS acl FROM member JOIN pg_class c ON c.oid = objid
   WHERE classid = 'pg_class'::regclass
  UNION ALL
  SELECT objid::regclass || '.' || attname, attacl FROM member JOIN pg_attribute ON attrelid = objid
   WHERE classid = 'pg_class'::regclass AND attacl IS NOT NULL
  UNION ALL
  SELECT objid::regprocedure::text, proacl FROM member JOIN pg_proc p ON p.oid = objid
   WHERE classid = 'pg_proc'::regclass
)
SELECT object || ' ' || COALESCE((SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(acl) a), 'default')
  FROM acl ORDER BY 1
SQL
	# A dump does not tell who owned the extension: whoever restores it does.
	return is_trusted() ? map { s/\b(?:ih_owner|postgres)\b/owner/gr } @rows : @rows;
}

1;
