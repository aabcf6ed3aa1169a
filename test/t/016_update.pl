# An update from each release leaves what a new installation has, column for column and right for right, and every row of
# the site's; the extension by ALTER EXTENSION, the trusted edition by further migrations.
use strict;
use warnings;
use IntegrationHealth;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('update');
my $catalog = slurp_file("$ENV{TESTDIR}/test/update/catalog.sql");
my $become_owner = "\\set schema public\n" . slurp_file("$ENV{TESTDIR}/test/fixtures/owner.sql");

# The releases that are updated, the last one last, and the migrations that a site of the trusted edition has run, by release.
my ($new) = slurp_file("$ENV{TESTDIR}/migrations/control") =~ /^default_version = '(.*)'/m;
my ($last) = map { /public--(.*)--\Q$new\E\.sql$/ } glob "$ENV{TESTDIR}/migrations/public--*.sql";
my %released = map { m{/migration--([\d.]+)\.sql$} ? ($1 => $_) : () } glob "$ENV{TESTDIR}/migrations/released/*.sql";
my @releases = sort { version->parse("v$a") <=> version->parse("v$b") } grep { $_ ne $new } keys %released;
is($releases[-1], $last, "the releases are @releases");

# migrations_from(RELEASE) are those that a site of the trusted edition runs after that of the release.
sub migrations_from
{
	my ($old) = @_;
	return ("$ENV{TESTDIR}/migrations/public--$old--$new.sql") if $old eq $last;
	my ($step) = glob "$ENV{TESTDIR}/migrations/released/migration--$old--*.sql";
	my ($next) = $step =~ /--([\d.]+)\.sql$/;
	return ($step, migrations_from($next));
}

# installation(DB) is all that the installation in a database consists of.
sub installation { return rows($node, $_[0], "\\set schema public\n$catalog") }

# all_rows(DB, COLUMNS) is every row of every table: of the columns in COLUMNS, a hash by table, or of all, which are left there.
sub all_rows
{
	my ($db, $columns) = @_;
	my @lines;
	for my $table ((map { "public.$_" } TABLES), 'integration_health_private.sync_plans')
	{
		# a table that is new has no rows of the site's to compare
		next if !defined $columns->{$table} && value($node, $db, "SELECT to_regclass('$table') IS NULL") eq 't';
		next if !defined $columns->{$table} && $columns->{done};
		$columns->{$table} //= value($node, $db, "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
			WHERE attrelid = '$table'::regclass AND attnum > 0 AND NOT attisdropped");
		push @lines, map { "$table $_" } rows($node, $db, "SELECT r FROM (SELECT $columns->{$table} FROM $table) AS r ORDER BY r::text COLLATE \"C\"");
	}
	$columns->{done} = 1;
	return join("\n", @lines);
}

# site_rights(DB) is what a role of the site's own may do.
sub site_rights
{
	return join("\n", rows($node, $_[0], <<'SQL'));
SELECT c.oid::regclass::text, a.privilege_type, NULL FROM pg_class AS c, aclexplode(c.relacl) AS a WHERE a.grantee = 'site_reader'::regrole
UNION ALL
SELECT t.attrelid::regclass::text, a.privilege_type, t.attname FROM pg_attribute AS t, aclexplode(t.attacl) AS a WHERE a.grantee = 'site_reader'::regrole
UNION ALL
SELECT p.oid::regprocedure::text, a.privilege_type, NULL FROM pg_proc AS p, aclexplode(p.proacl) AS a WHERE a.grantee = 'site_reader'::regrole
ORDER BY 1, 2, 3
SQL
}

# updated(DB, SQL) are tests: SQL updates the site in a database, as its owner.
sub updated
{
	my ($db, $sql, $fresh) = @_;
	$node->safe_psql($db, $become_owner . "GRANT SELECT (integration_type, display_name) ON integration_types TO site_reader;
		GRANT EXECUTE ON FUNCTION get_due_syncs(integer) TO site_reader; ALTER TABLE integration_types ADD COLUMN site_note text DEFAULT 'none'");
	fill_site($node, $db);
	$node->safe_psql($db, as_role('service_role') . join("\n", map { record(500, 'fortnox', @$_) } [ 'healthy', '2026-01-01 00:00Z' ], [ 'healthy', '2026-01-01 00:15Z' ],
		[ 'degraded', '2026-01-01 00:30Z' ], [ 'healthy', '2026-01-01 00:20Z' ], [ 'unhealthy', '2026-01-01 00:45Z' ], [ 'unhealthy', '2026-01-01 01:00Z' ]));
	my %columns;
	my ($rows, $rights) = (all_rows($db, \%columns), site_rights($db));
	cmp_ok(length($rights), '>', 100, "$db: a role of its own has rights");

	is(error_of($node, $db, "BEGIN;\n$become_owner$sql\nCOMMIT;"), '', "$db: is updated to $new");
	is(all_rows($db, \%columns), $rows, "$db: every row is as it was");
	is(site_rights($db), $rights, "$db: so is what the site has granted");
	is(value($node, $db, "SELECT string_agg(format('%s %s>%s at %s', check_no, from_status, to_status, to_char(at AT TIME ZONE 'UTC', 'HH24:MI')), ', ' ORDER BY check_no)
		FROM integration_health_transitions WHERE org_id = '${\org(500)}'"),
		'1 >healthy at 00:00, 3 healthy>degraded at 00:30, 5 degraded>unhealthy at 00:45', "$db: the log has the transitions that the ring knew");
	goes_on($node, $db);
	$node->safe_psql($db, $become_owner . 'REVOKE ALL ON integration_types FROM site_reader; REVOKE EXECUTE ON FUNCTION get_due_syncs(integer) FROM site_reader;
		ALTER TABLE integration_types DROP COLUMN site_note');
	is(join("\n", differing([ installation($fresh) ], [ installation($db) ])), '', "$db: it has become what a new installation of $new is");
	return;
}

# differing(A, B) are the lines that only one of two lists has, marked as diff does.
sub differing
{
	my ($one, $other) = @_;
	my ($in_one, $in_other) = map { { map { $_ => 1 } @$_ } } $one, $other;
	return ((map { "- $_" } grep { !$in_other->{$_} } @$one), map { "+ $_" } grep { !$in_one->{$_} } @$other);
}

$node->safe_psql('postgres', 'CREATE ROLE site_reader');
note('The extension');
new_database($node, 'fresh');
for my $old (@releases)
{
	my $db = "extension_" . $old =~ tr{.}{_}r;
	new_database($node, $db, '');
	$node->safe_psql($db, $become_owner . "CREATE EXTENSION integration_health SCHEMA public VERSION '$old'");
	updated($db, 'ALTER EXTENSION integration_health UPDATE;', 'fresh');
	is(value($node, $db, "SELECT extversion || ' ' || integration_health_private.version() FROM pg_extension WHERE extname = 'integration_health'"),
		"$new $new", "$db: knows its version");
}
cmp_ok(scalar(grep { /^right on / } installation('fresh')), '>', 300, 'the comparison covers rights');

note('The migration');
{
	local $ENV{IH_OWNER} = 'ih_owner';
	new_database($node, 'fresh_migration', '');
	$node->safe_psql('fresh_migration', $become_owner . slurp_file("$ENV{TESTDIR}/migrations/public.sql"));
	for my $old (@releases)
	{
		my $db = "migration_" . $old =~ tr{.}{_}r;
		new_database($node, $db, '');
		$node->safe_psql($db, $become_owner . slurp_file($released{$old}));
		my @updates = map { slurp_file($_) } migrations_from($old);
		updated($db, join("\nCOMMIT;\nBEGIN;\n", @updates), 'fresh_migration');
		# psql would stop reading at the error, so it gets no more than what raises it
		my ($guard) = $updates[0] =~ /^(DO .*?^\$\$;\n)/ms;
		like(error_of($node, $db, "$become_owner$guard"),
			qr/ERROR:  55000: integration_health \Q$new\E is installed, and this migration updates \Q$old\E/, "$db: refuses to update twice");
	}
}

note('The trusted language extension');
$node->safe_psql('postgres', 'CREATE DATABASE tle');
$node->safe_psql('tle', <<'SQL');
CREATE SCHEMA pgtle;
CREATE TABLE pgtle.told (name text, old text, new text, script text);
CREATE FUNCTION pgtle.install_update_path(name text, fromvers text, tovers text, ext text)
RETURNS boolean LANGUAGE sql AS 'INSERT INTO pgtle.told VALUES ($1, $2, $3, $4) RETURNING true';
CREATE FUNCTION pgtle.set_default_version(name text, version text)
RETURNS boolean LANGUAGE sql AS 'INSERT INTO pgtle.told VALUES ($1, NULL, $2) RETURNING true';
SQL
is(join(' ', rows($node, 'tle', slurp_file("$ENV{TESTDIR}/migrations/tle--$last--$new.sql"))), 't t', 'pg_tle takes its update');
is(join(' ', rows($node, 'tle', "SELECT name, old, new, script LIKE '%CREATE OR REPLACE FUNCTION \@extschema\@.record_health_checks(%' AND script !~ '\\\\echo|MODULE_PATHNAME'
	FROM pgtle.told ORDER BY old")), "integration_health|$last.0|$new.0|t integration_health||$new.0|", 'with the versions and the script');

done_testing();
