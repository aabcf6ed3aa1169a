# An installation whose tables are partitioned by a hash of org_id: what it is made of, who may touch a partition, what is
# refused when the partitions of two tables are not alike, and how a site moves from plain tables to partitions and back.
use strict;
use warnings;
use IntegrationHealth;
use PostgreSQL::Test::Utils;
use Test::More;

delete $ENV{IH_PARTITIONS};
my $node = new_cluster('partitions', 'wal_level = logical', 'max_wal_senders = 10', 'max_replication_slots = 10', 'max_locks_per_transaction = 256');
my $dir = PostgreSQL::Test::Utils::tempdir();
my @pair_tables = qw(integration_health_status integration_health_history integration_health_transitions integration_health_days
  integration_monitors integration_sync_schedules integration_sync_runs);

# new_installation(DB, N) makes a database with the extension and N partitions.
sub new_installation
{
	my ($db, $n) = @_;
	new_database($node, $db, 'public', "SET integration_health.partitions = $n");
	return;
}

# partitions_are(DB, TABLES, N, NAME) is a test: each of the tables has N partitions, in the private schema, with row-level
# security, and with rights for nobody but their owner.
sub partitions_are
{
	my ($db, $tables, $n, $name) = @_;
	my $wanted = join("\n", map { "$_|$n|t|t|t" } sort @$tables);
	is(join("\n", rows($node, $db, <<"SQL")), $wanted, $name);
SELECT p.relname, count(*), bool_and(c.relnamespace = 'integration_health_private'::regnamespace), bool_and(c.relrowsecurity),
       bool_and(NOT EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee <> c.relowner))
  FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid JOIN pg_class AS p ON p.oid = i.inhparent
 WHERE c.relkind = 'r' GROUP BY p.relname ORDER BY p.relname COLLATE "C"
SQL
	return;
}

# fails(SQL, SQLSTATE, NAME, MESSAGE) are tests: the statements end with this error, and record nothing.
sub fails
{
	my ($sql, $state, $name, $message) = @_;
	my $before = value($node, 'parted', 'SELECT sum(check_no) FROM integration_health_status');
	my $err = error_of($node, 'parted', $sql);
	like($err, qr/ERROR:  \Q$state\E: $message/, $name);
	is(value($node, 'parted', 'SELECT sum(check_no) FROM integration_health_status'), $before, "$name: nothing was recorded");
	return;
}

note('What the setting makes');
new_installation('parted', 32);
partitions_are('parted', \@pair_tables, 32, '32 partitions of each table of pairs');
new_installation('plain', 0);
partitions_are('plain', [], 0, 'none by default');
for my $wrong ('1025', '-1', 'many', '3.5')
{
	new_database($node, 'wrong', '');
	is(sqlstate($node, 'wrong', "SET integration_health.partitions = '$wrong';" . create_extension('public')), '22023', "partitions = $wrong is refused");
	$node->safe_psql('postgres', 'DROP DATABASE wrong');
}
is(value($node, 'parted', "SELECT count(*) FROM pg_class AS c WHERE c.relispartition AND c.relkind = 'r' AND c.reloptions IS DISTINCT FROM (
	SELECT x.reloptions FROM pg_class AS x WHERE x.relname = regexp_replace(c.relname, '_p\\d+\$', '_p0'))"), 0, 'with the same fillfactor');

note('A site');
fill_site($node, 'parted');
goes_on($node, 'parted');
is(value($node, 'parted', 'SELECT count(DISTINCT tableoid) > 20 FROM integration_health_status'), 't', 'its organisations are spread over the partitions');
is(value($node, 'parted', "SELECT count(*) FROM integration_health_status AS s JOIN integration_health_history AS h USING (org_id, integration_type)
	WHERE substring(s.tableoid::regclass::text, '_p\\d+\$') <> substring(h.tableoid::regclass::text, '_p\\d+\$')"), 0, 'and each has its history in the partition of its status');
is(value($node, 'parted', as_role('authenticated', '{"role": "authenticated", "app_metadata": {"org_id": "' . org(2) . '"}}')
	  . 'SELECT count(*), count(DISTINCT org_id) FROM integration_health_history'), '3|1', 'a member sees the rows of one organisation');
for my $role (qw(anon authenticated service_role))
{
	is(sqlstate($node, 'parted', as_role($role) . "SELECT count(*) FROM integration_health_private.${_}_p1"), '42501', "$role cannot read a partition of $_")
	  for @pair_tables;
}

note('A statement that names a partition');
my $org = value($node, 'parted', 'SELECT org_id FROM integration_health_private.integration_health_status_p3 ORDER BY check_no DESC LIMIT 1');
$node->safe_psql('parted', "UPDATE integration_health_private.integration_health_status_p3 SET status = 'unhealthy' WHERE org_id = '$org'");
is(value($node, 'parted', "SELECT count(*) FROM integration_health_transitions AS t JOIN integration_health_status AS s USING (org_id, integration_type, check_no)
	WHERE org_id = '$org' AND t.to_status = 'unhealthy'"), 1, 'records a check like any other');
invariants_hold($node, 'parted', 'and the invariants hold');

note('The cleanup of one row');
$node->safe_psql('parted', as_role('service_role') . 'SELECT integration_health_cleanup()');
my $rows = value($node, 'parted', 'SELECT count(*) FROM integration_health_history');
$node->safe_psql('parted', "SET session_replication_role = replica;
	UPDATE integration_health_history SET checked_at = now() - interval '40 days' WHERE org_id = '${\org(7)}' AND check_no = 1;
	INSERT INTO integration_sync_runs (org_id, integration_type, scheduled_for, attempt, outcome, started_at, finished_at, cold_start)
	SELECT lpad(n::text, 32, '0')::uuid, 'fortnox', now() - CASE n WHEN 7 THEN interval '40 days' ELSE interval '4 days' END, 1, 'succeeded', now(),
	       now() - CASE n WHEN 7 THEN interval '40 days' ELSE interval '4 days' END, false FROM generate_series(1, 400) AS n;
	UPDATE integration_health_transitions SET at = now() - interval '100 days' WHERE org_id = '${\org(7)}';");
my $runs = value($node, 'parted', 'SELECT count(*) FROM integration_sync_runs');
my $transitions = value($node, 'parted', 'SELECT count(*) FROM integration_health_transitions');
is(value($node, 'parted', as_role('service_role') . 'SELECT integration_health_cleanup()'), 3, 'deletes one row of history, one run and one transition');
is(value($node, 'parted', 'SELECT count(*) FROM integration_health_history'), $rows - 1, 'and no other row of history');
is(value($node, 'parted', 'SELECT count(*) FROM integration_sync_runs'), $runs - 1, 'no other run');
is(value($node, 'parted', 'SELECT count(*) FROM integration_health_transitions'), $transitions - 1, 'and no other transition');

note('Partitions that are not alike');
my $check = as_role('service_role') . "UPDATE integration_health_status SET status = 'degraded' WHERE org_id = '$org'; RESET ROLE;";
my $first = as_role('service_role') . "SELECT record_health_check(gen_random_uuid(), 'xledger', 'healthy') FROM generate_series(1, 200); RESET ROLE;";
my $history = 'integration_health_private.integration_health_history_p3';
my $detach = "ALTER TABLE integration_health_history DETACH PARTITION $history;";
SKIP:
{
	# Without C, rows find their partition as in any INSERT.
	if (is_trusted())
	{
		fails("BEGIN; $detach $check COMMIT;", '23514', 'a detached partition of the history', 'no partition of relation "integration_health_history" found');
		fails("BEGIN; $detach $first COMMIT;", '23514', 'and first checks', 'no partition of relation "integration_health_history" found');
		last SKIP;
	}
	my $unlike = 'table "integration_health_history" is not partitioned like table "integration_health_status"';
	fails("BEGIN; $check $detach $check COMMIT;", '55000', 'a detached partition of the history', $unlike);
	fails("BEGIN; $detach $first COMMIT;", '55000', 'and first checks', $unlike);
	fails("BEGIN; $check $detach CREATE TABLE integration_health_private.half PARTITION OF integration_health_history FOR VALUES WITH (MODULUS 64, REMAINDER 3);
		CREATE TABLE integration_health_private.other_half PARTITION OF integration_health_history FOR VALUES WITH (MODULUS 64, REMAINDER 35); $check COMMIT;",
		'55000', 'unequal moduli', $unlike);
	fails("BEGIN; $check ALTER EXTENSION integration_health DROP TABLE $history; DROP TABLE $history; $check COMMIT;", '55000', 'a missing partition', $unlike);
	is(sqlstate($node, 'parted', "BEGIN; $check $detach ALTER TABLE integration_health_history ATTACH PARTITION $history FOR VALUES WITH (MODULUS 32, REMAINDER 3); $check COMMIT;"),
		'00000', 'one that is attached again is written');
}
fails("BEGIN; ALTER TABLE integration_health_status DETACH PARTITION integration_health_private.integration_health_status_p3; $first COMMIT;",
	is_trusted() ? ('23514', 'a detached partition of the status', 'no partition of relation "integration_health_status" found')
	: ('55000', 'a detached partition of the status', 'table "integration_health_history" is not partitioned like table "integration_health_status"'));
invariants_hold($node, 'parted', 'after all that the invariants hold', cleaned => 1);

note("A stranger's trigger on a partition");
$node->safe_psql('parted', "CREATE ROLE stranger; CREATE SCHEMA strangers AUTHORIZATION stranger;
	GRANT USAGE ON SCHEMA integration_health_private TO stranger;
	GRANT TRIGGER ON $history, integration_health_private.integration_monitors_p3, integration_health_private.integration_health_transitions_p3 TO stranger; SET ROLE stranger;
	CREATE FUNCTION strangers.pwn() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';");
for my $table (qw(integration_health_history integration_health_transitions integration_monitors))
{
	my $failing = $check =~ s/'degraded'/'unhealthy'/r;
	fails("BEGIN; SET ROLE stranger; CREATE TRIGGER z AFTER INSERT OR UPDATE ON integration_health_private.${table}_p3 FOR EACH ROW EXECUTE FUNCTION strangers.pwn(); RESET ROLE;
		${\ as_role('service_role')} SELECT claim_due_health_checks(); $failing $check COMMIT;", '55000', "on one of $table", '.*trigger "z"');
}

note('A partition with another order of columns');
my $monitor = "SELECT (m).org_id, (m).enabled, (m).due_at - now() < interval '1 day', (m).claimed_at IS NOT NULL
	FROM (SELECT integration_health_private.lock_monitor(org_id, integration_type) AS m FROM monitor OFFSET 0) AS l";
is(value($node, 'parted', <<"SQL"), "$org|t|t|t", 'its rows are read as any others');
BEGIN;
CREATE TEMPORARY TABLE monitor AS SELECT '$org'::uuid AS org_id, 'fortnox' AS integration_type;
SELECT set_monitor(org_id, integration_type) FROM monitor;
CREATE TABLE integration_health_private.reordered (claimed_at timestamptz, due_at timestamptz NOT NULL, integration_type text COLLATE "C" NOT NULL,
  credential_expires_at timestamptz, enabled boolean NOT NULL DEFAULT true, planned_since timestamptz, org_id uuid NOT NULL);
DO \$\$ BEGIN EXECUTE format('ALTER TABLE integration_health_private.reordered OWNER TO %I', (SELECT tableowner FROM pg_tables WHERE tablename = 'integration_types')); END \$\$;
ALTER TABLE integration_monitors DETACH PARTITION integration_health_private.integration_monitors_p3;
INSERT INTO integration_health_private.reordered (org_id, integration_type, enabled, due_at, claimed_at, planned_since, credential_expires_at)
SELECT org_id, integration_type, enabled, now(), now(), planned_since, credential_expires_at FROM integration_health_private.integration_monitors_p3;
ALTER TABLE integration_monitors ATTACH PARTITION integration_health_private.reordered FOR VALUES WITH (MODULUS 32, REMAINDER 3);
UPDATE integration_health_status SET status = 'unhealthy' WHERE org_id = '$org';
UPDATE integration_health_status SET status = 'unhealthy' WHERE org_id = '$org';
$monitor;
SQL

note('TRUNCATE');
is(value($node, 'parted', 'BEGIN; TRUNCATE integration_health_status; SELECT (SELECT count(*) FROM integration_health_history) + (SELECT count(*) FROM integration_health_transitions)
	+ (SELECT count(*) FROM integration_health_days) + (SELECT count(*) FROM integration_health_counts); ROLLBACK;'), 0, 'empties what is kept about pairs');

note('From plain tables to partitions');
fill_site($node, 'plain');
new_installation('dumped', 8);

# move(FROM, TO) are tests: the rows of one database are carried to another, however the tables of each are partitioned.
sub move
{
	my ($from, $to) = @_;
	my @server = ('-h', $node->host, '-p', $node->port);
	command_ok([ 'pg_dump', @server, '-Fc', '--load-via-partition-root', '-f', "$dir/$from.dump", $from ], "$from is dumped");
	run_command([ 'sh', '-c', "pg_restore -l $dir/$from.dump | grep -E ' TABLE DATA [a-z_]+ (integration_|sync_plans)' >$dir/$from.list" ]);
	command_ok([ 'pg_restore', @server, '--data-only', '--single-transaction', '-L', "$dir/$from.list", '-d', $to, "$dir/$from.dump" ], "and restored into $to");
	same_tables($node, $from, $node, $to, 'public', "every row of $from is in $to");
	goes_on($node, $to);
	return;
}
move('plain', 'dumped');

note('and back');
new_installation('plain_again', 0);
move('dumped', 'plain_again');

note('By logical replication, while the site goes on');
new_installation('replicated', 16);
my @tables = map { "public.$_" } TABLES;
my $tables = join(', ', @tables, 'integration_health_private.sync_plans');
$node->safe_psql('plain', "CREATE PUBLICATION site FOR TABLE $tables; SELECT pg_create_logical_replication_slot('site', 'pgoutput')");
$node->safe_psql('replicated', 'DELETE FROM integration_types');
$node->safe_psql('replicated', "CREATE SUBSCRIPTION site CONNECTION 'host=${\ $node->host} port=${\ $node->port} dbname=plain'
	PUBLICATION site WITH (create_slot = false, slot_name = site)");
$node->safe_psql('plain', as_role('service_role') . "SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', lpad(org::text, 32, '0')::uuid,
	'integration_type', 'fortnox', 'status', 'degraded'))) FROM generate_series(300, 500) org");
$node->poll_query_until('replicated', "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel") or BAIL_OUT('the tables were not copied');
$node->safe_psql('plain', as_role('service_role') . "SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', lpad(org::text, 32, '0')::uuid,
	'integration_type', 'fortnox', 'status', 'healthy'))) FROM generate_series(300, 500) org; SELECT integration_health_compact();
	DELETE FROM integration_health_status WHERE org_id = '${\org(301)}'");
$node->wait_for_catchup('site');
$node->safe_psql('replicated', 'DROP SUBSCRIPTION site');
same_tables($node, 'plain', $node, 'replicated', 'public', 'every row is in the partitioned installation');
goes_on($node, 'replicated');

note('A dump of all');
$node->safe_psql('postgres', 'ALTER DATABASE parted SET integration_health.partitions = 32');
command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-C', '-f', "$dir/all.sql", 'parted' ], 'an installation with partitions is dumped');
my $other = new_cluster('restored', 'max_locks_per_transaction = 256');
$other->safe_psql('postgres', "CREATE ROLE stranger; CREATE ROLE ih_owner;");
is(error_of($other, 'postgres', slurp_file("$dir/all.sql")), '', 'restored, with the setting of the database');
is(value($other, 'parted', "SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r'"), 32 * @pair_tables, 'it has the same partitions');
same_tables($node, 'parted', $other, 'parted', 'public', 'and every row');
is(value($other, 'parted', as_role('service_role') . record(1, 'xledger', 'healthy')) - value($node, 'parted', "SELECT check_no FROM integration_health_status WHERE org_id = '${\org(1)}' AND integration_type = 'xledger'"),
	1, 'and goes on');
invariants_hold($other, 'parted', 'its invariants hold', cleaned => 1);

done_testing();
