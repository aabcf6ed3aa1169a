# Transactions in all their forms: two-phase commit over a crash, deep nesting, time-outs and
# cancels inside the trigger, a full disk. A check is recorded whole or not at all.
use strict;
use warnings;
use IntegrationHealth;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('transactions', 'max_prepared_transactions = 10');
my $db = 'transactions';
new_database($node, $db);

sub summary_of
{
	my ($org) = @_;
	return value($node, $db, "SELECT status || ' ' || check_no || ' ' || (SELECT count(*) FROM integration_health_history h
		WHERE h.org_id = s.org_id) FROM integration_health_status s WHERE org_id = '${\org($org)}'");
}

note('Two-phase commit');
$node->safe_psql($db, as_role('service_role') . record(1, 'xledger', 'healthy') . record(2, 'xledger', 'healthy'));
$node->safe_psql($db, as_role('service_role') . "BEGIN; $_") for
  record(1, 'xledger', 'unhealthy') . record(3, 'xledger', 'degraded') . "PREPARE TRANSACTION 'goes on';",
  record(2, 'xledger', 'unhealthy') . record(4, 'xledger', 'degraded') . "PREPARE TRANSACTION 'is taken back';",
  "DELETE FROM integration_health_status WHERE org_id = '${\org(5)}'; PREPARE TRANSACTION 'nothing';";
is(summary_of(1), 'healthy 1 1', 'a prepared check is not seen');
crash_and_restart($node);
is(value($node, $db, 'SELECT count(*) FROM pg_prepared_xacts'), 3, 'prepared checks survive a crash');
is(sqlstate($node, $db, as_role('service_role') . "SET lock_timeout = '50ms';" . record(1, 'xledger', 'healthy')), '55P03',
	'and keep the pair to themselves');
is(sqlstate($node, $db, as_role('service_role') . "SET lock_timeout = '50ms';" . record(3, 'xledger', 'healthy')), '55P03',
	'also one that is not there yet');
$node->safe_psql($db, "COMMIT PREPARED 'goes on'");
$node->safe_psql($db, "ROLLBACK PREPARED 'is taken back'");
$node->safe_psql($db, "COMMIT PREPARED 'nothing'");
is(summary_of(1), 'unhealthy 2 2', 'COMMIT PREPARED records');
is(summary_of(2), 'healthy 1 1', 'ROLLBACK PREPARED does not');
is(summary_of(4), '', 'nor does it leave a pair behind');
invariants_hold($node, $db, 'two-phase commit leaves the invariants true');

note('Subtransactions');
{
	my $sql = 'BEGIN;';
	$sql .= "SAVEPOINT s$_;" . record(10, 'xledger', $_ % 2 ? 'healthy' : 'unhealthy') for 1 .. 200;
	$sql .= 'ROLLBACK TO s150;' . record(10, 'xledger', 'degraded') . 'RELEASE s100;' . 'ROLLBACK TO s60;';
	$sql .= record(10, 'xledger', 'unknown') . 'COMMIT;';
	$node->safe_psql($db, as_role('service_role') . $sql);
	is(summary_of(10), 'unknown 60 60', '200 nested savepoints: what was rolled back left no number and no row');

	$node->safe_psql($db, as_role('service_role') . <<"SQL");
CREATE FUNCTION pg_temp.nest(depth int) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
  PERFORM record_health_check('${\org(11)}', 'xledger', 'degraded');
  IF depth > 0 THEN
    BEGIN
      PERFORM pg_temp.nest(depth - 1);
      IF depth % 2 = 0 THEN RAISE division_by_zero; END IF;
    EXCEPTION WHEN division_by_zero THEN
      PERFORM record_health_checks('[{"org_id": "${\org(11)}", "integration_type": "xledger", "status": "unhealthy"}]');
    END;
  END IF;
END \$\$;
SELECT pg_temp.nest(199);
SQL
	is(summary_of(11), 'unhealthy 3 3', '200 nested blocks with exceptions: as if those that failed had never been');

	$node->psql($db, as_role('service_role') . 'BEGIN;' . record(12, 'xledger', 'healthy') . 'SAVEPOINT a;
		SELECT record_health_checks($$[{"org_id": "' . org(12) . '", "integration_type": "xledger", "status": "healthy"}, {"org_id": "x"}]$$);
		ROLLBACK TO a;' . record(12, 'xledger', 'degraded') . 'COMMIT;', on_error_stop => 0);
	is(summary_of(12), 'degraded 2 2', 'a batch that failed in a savepoint recorded none of its entries');
	invariants_hold($node, $db, 'subtransactions leave the invariants true');
}

note('Time-outs and cancels inside the trigger');
{
	$node->safe_psql($db, as_role('service_role') . record(20, 'xledger', 'healthy'));
	my $blocker = $node->background_psql($db, timeout => 60);
	$blocker->query_safe('BEGIN; LOCK TABLE integration_health_history IN SHARE MODE;');
	my $row = record(20, 'xledger', 'unhealthy');
	my $new = record(21, 'xledger', 'unhealthy');
	is(sqlstate($node, $db, as_role('service_role') . "SET statement_timeout = '50ms'; $_"), '57014',
		'statement_timeout inside the trigger')
	  for $row, $new;
	is(sqlstate($node, $db, as_role('service_role') . "SET lock_timeout = '50ms'; $row"), '55P03', 'lock_timeout inside the trigger');

	# The owner's identity, which the copy borrows, must not stay behind in the session.
	my ($stdout, $stderr);
	$node->psql($db, as_role('service_role') . "SET statement_timeout = '50ms'; $row SET statement_timeout = 0;
		SELECT current_user; DELETE FROM integration_health_counts;", stdout => \$stdout, stderr => \$stderr, on_error_stop => 0);
	like($stdout, qr/service_role/, 'after a time-out the session is the writer, not the owner');
	like($stderr, qr/permission denied for table integration_health_counts/, "and has the writer's rights");

	my $waiting = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%record_health_check%' AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()";
	for my $signal ('pg_cancel_backend', 'pg_terminate_backend')
	{
		my ($out, $err) = ('', '');
		my $session = IPC::Run::start([ 'psql', '-XqAt', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr($db),
				'-c', as_role('service_role'), '-c', $row ], '>', \$out, '2>', \$err);
		$node->poll_query_until($db, "SELECT EXISTS ($waiting)");
		$node->safe_psql($db, "SELECT $signal(pid) FROM ($waiting) AS w");
		IPC::Run::finish($session);
		like($err, $signal eq 'pg_cancel_backend' ? qr/57014/ : qr/57P01|terminating/, "$signal inside the trigger");
	}
	$blocker->query_safe('COMMIT');
	$blocker->quit;
	is(summary_of(20), 'healthy 1 1', 'none of them recorded anything');
	is(value($node, $db, as_role('service_role') . $row), 2, 'and the next check gets the next number');
	invariants_hold($node, $db, 'time-outs and cancels leave the invariants true');
}

SKIP:
{
	note('A full disk');
	my $disk = $ENV{IH_SMALL_DISK};
	skip 'no small file system: test/t/run makes one for root', 6 unless $disk;
	mkdir "$disk/space" or die "$disk: $!";
	append_to_file("$disk/ballast", 'x' x 4_000_000);
	$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$disk/space'");
	$node->safe_psql('postgres', 'CREATE DATABASE small TABLESPACE small');
	$node->safe_psql('postgres', 'ALTER DATABASE small SET temp_tablespaces = pg_default');
	$node->safe_psql('small', 'CREATE EXTENSION integration_health');
	my $batch = sub {
		return as_role('service_role') . "SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', gen_random_uuid(),
			'integration_type', 'xledger', 'status', 'degraded', 'error', repeat('x', 500)))) FROM generate_series(1, 500);";
	};
	my $again = as_role('service_role') . "UPDATE integration_health_status SET status = 'unhealthy', checked_at = now();";
	my ($acknowledged, $state) = (0, '00000');
	for (1 .. 1000)
	{
		$state = sqlstate($node, 'small', $batch->());
		last if $state ne '00000';
		$acknowledged += 500;
	}
	is($state, '53100', 'a full disk is a clean error');
	is(value($node, 'small', 'SELECT count(*) FROM integration_health_status'), $acknowledged, 'every acknowledged check is there and no other');
	is(sqlstate($node, 'small', $again), '53100', 'and so it is for updates');
	invariants_hold($node, 'small', 'a full disk leaves the invariants true');
	unlink "$disk/ballast" or die "$disk/ballast: $!";
	is(sqlstate($node, 'small', as_role('service_role') . record(1, 'xledger', 'healthy')), '00000', 'where there is room again it goes on');
	invariants_hold($node, 'small', 'and the invariants are true');
	$node->safe_psql('postgres', 'DROP DATABASE small');
	$node->safe_psql('postgres', 'DROP TABLESPACE small');
}

$node->stop;
done_testing();
