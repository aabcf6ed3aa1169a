# Transactions in all their forms: two-phase commit over a crash, deep nesting, time-outs and
# cancels inside the trigger, a full disk. A check is recorded, and work is handed out, whole or not
# at all.
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
$node->safe_psql($db, as_role('service_role') . prepares() . "BEGIN; $_") for
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

note('Two-phase commit of claims, and of a switch to passive mode');
$node->safe_psql($db, "INSERT INTO integration_types (integration_type, display_name) VALUES ('limited', 'Limited')");
$node->safe_psql($db, as_role('service_role') . "SELECT set_monitor('${\org($_)}', 'xledger'), set_sync_schedule('${\org($_)}', 'xledger', '1 day', now() - interval '3 days 1 hour')") for 1, 2;
$node->safe_psql($db, "UPDATE integration_monitors SET due_at = now() - right(org_id::text, 1)::int * interval '1 minute'");

# sync(ORG) is SQL that claims the last period of an organisation.
sub sync
{
	my ($org) = @_;
	return "SET client_min_messages = error; SELECT claimed, attempt FROM integration_sync_schedules s,
		claim_sync_run(s.org_id, s.integration_type, integration_sync_last_period(s.every, s.anchor, s.time_zone, now())) WHERE s.org_id = '${\org($org)}';";
}
my $check = 'SELECT ltrim(right(org_id::text, 12), $$0$$) FROM claim_due_health_checks(1);';
is(value($node, $db, as_role('service_role') . prepares() . "BEGIN; ${\sync(2)} $check PREPARE TRANSACTION 'handed out';"), 2, 'a check is handed out');
is(value($node, $db, as_role('service_role') . prepares() . "BEGIN; ${\sync(1)} $check PREPARE TRANSACTION 'handed out in vain';"), 1, 'to each another');
$node->safe_psql($db, as_role('service_role') . prepares() . "BEGIN; SELECT record_health_check('${\org(6)}', 'limited', 'unhealthy', http_status => 429); PREPARE TRANSACTION 'limited';");
crash_and_restart($node);
my $mode = "SELECT monitoring_mode, passive_reason FROM integration_types WHERE integration_type = 'limited'";
is(value($node, $db, as_role('service_role') . $check), '', 'the crash does not hand them out again');
is(sqlstate($node, $db, as_role('service_role') . "SET lock_timeout = '50ms';" . sync($_)), '55P03', 'nor a sync') for 1, 2;
is(value($node, $db, $mode), 'active|', 'a prepared switch is not seen');
is(sqlstate($node, $db, as_role('service_role') . "SET lock_timeout = '50ms'; SELECT resume_active_monitoring('limited')"), '55P03', 'but waited for');
$node->safe_psql($db, "COMMIT PREPARED 'handed out'");
$node->safe_psql($db, "ROLLBACK PREPARED 'handed out in vain'");
$node->safe_psql($db, "COMMIT PREPARED 'limited'");
is(join(' ', rows($node, $db, as_role('service_role') . $check . $check . sync(1) . sync(2))), '1 t|1 f|1',
	'COMMIT PREPARED hands out, ROLLBACK PREPARED does not');
is(value($node, $db, $mode), 'passive|HTTP 429', 'and the type is switched');

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

# Fifty checks, of a pair each.
my $batch = "SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', lpad(o::text, 32, '0')::uuid, 'integration_type', 'xledger', 'status', 'healthy')))
	FROM generate_series(1, 50) o;";
note('A truncation between two checks of a transaction');
{
	new_database($node, 'truncated');
	my $upsert = "INSERT INTO integration_health_status (org_id, integration_type, status) SELECT lpad(o::text, 32, '0')::uuid, 'xledger', 'healthy' FROM generate_series(1, 50) o
		ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status;";
	$node->safe_psql('truncated', as_role('service_role') . $batch x 97);
	for my $all ($batch, $upsert)
	{
		for my $then ('', "SAVEPOINT s; $all ROLLBACK TO s;", "$all TRUNCATE integration_health_status;",
			"SAVEPOINT s; TRUNCATE integration_health_status; $all ROLLBACK TO s;")
		{
			is(sqlstate($node, 'truncated', "BEGIN; $all TRUNCATE integration_health_status; $then" . $all x 3 . 'COMMIT;'), '00000', 'the place of the last check is no place any more');
			invariants_hold($node, 'truncated', 'and the invariants hold');
			$node->safe_psql('truncated', as_role('service_role') . $batch x 97);
		}
	}
}

note('A truncation by another session between two checks of a transaction');
{
	my $session = $node->background_psql('truncated', on_error_stop => 1);
	$session->query_safe('BEGIN; SET LOCAL ROLE service_role; SAVEPOINT s;');
	$session->query_safe($batch);
	$session->query_safe('ROLLBACK TO s');
	$node->safe_psql('truncated', 'TRUNCATE integration_health_history');
	$session->query_safe("$batch COMMIT;");
	is(value($node, 'truncated', 'SELECT count(*) FROM integration_health_history'), 50, 'the place of a check that was rolled back is no place any more');
	$session->quit;
	$node->safe_psql('truncated', 'TRUNCATE integration_health_status; ' . $batch x 3);
	invariants_hold($node, 'truncated', 'and the invariants hold again');
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

	# The session must not keep the owner's identity, which copying to the history uses.
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

note('Time-outs and cancels inside claims, the end of a sync, and a switch to passive mode');
{
	# A trigger of the site makes the second pair of a claim wait, in the middle of the claim.
	$node->safe_psql($db, <<"SQL");
DELETE FROM integration_monitors;
SELECT set_monitor('${\org(30)}', t) FROM unnest('{xledger,dynamics}'::text[]) t;
UPDATE integration_monitors SET due_at = now() - CASE integration_type WHEN 'xledger' THEN interval '2 minutes' ELSE '1 minute' END;
CREATE FUNCTION site_waits() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END \$\$;
CREATE TRIGGER a BEFORE UPDATE ON integration_monitors FOR EACH ROW WHEN (NEW.integration_type = 'dynamics') EXECUTE FUNCTION site_waits();
SELECT set_sync_schedule('${\org(30)}', t, '1 day', now() - interval '3 days 1 hour') FROM unnest('{xledger,limited}'::text[]) t;
UPDATE integration_sync_schedules SET due_at = anchor, planned_since = anchor;
SQL
	my $last = 'integration_sync_last_period(s.every, s.anchor, s.time_zone, now())';
	my $claim = sub { return "SET client_min_messages = error; SELECT c.claimed, c.attempt FROM integration_sync_schedules s, claim_sync_run(s.org_id, s.integration_type, $last) c WHERE s.org_id = '${\org(30)}' AND s.integration_type = '$_[0]';" };
	my $finish = "SELECT f.outcome FROM integration_sync_schedules s, finish_sync_run(s.org_id, s.integration_type, $last, 1, 'succeeded') f WHERE s.org_id = '${\org(30)}' AND s.integration_type = 'limited';";
	my $limited = "SELECT check_no FROM record_health_check('${\org(31)}', 'xledger', 'unhealthy', http_status => 429);";
	$node->safe_psql($db, as_role('service_role') . $claim->('limited'));

	my $blocker = $node->background_psql($db, timeout => 60);
	$blocker->query_safe("BEGIN; SELECT pg_advisory_xact_lock(1); LOCK TABLE integration_health_history IN SHARE MODE; SET ROLE service_role;" . $claim->('xledger'));
	my $state = "SELECT (SELECT string_agg(concat_ws(' ', integration_type, due_at < now(), claimed_at IS NULL), ', ' ORDER BY integration_type) FROM integration_monitors),
		(SELECT string_agg(concat_ws(' ', integration_type, outcome, attempt), ', ') FROM integration_sync_runs WHERE org_id = '${\org(30)}'),
		(SELECT bool_and(due_at < now()) FROM integration_sync_schedules WHERE org_id = '${\org(30)}'),
		(SELECT count(*) FROM integration_health_status WHERE org_id >= '${\org(30)}'), (SELECT string_agg(monitoring_mode::text, ' ') FROM integration_types WHERE integration_type = 'xledger')";
	my $untouched = 'dynamics t t, xledger t t|limited running 1|t|0|active';
	is(value($node, $db, $state), $untouched, 'before');
	my %waits = ('a claim of two checks' => 'SELECT count(*) FROM claim_due_health_checks(2);', 'a claim of a sync' => $claim->('xledger'), 'the end of a sync' => $finish);

	# given_up(NAME, SQL) tests SQL that waits, and ends it in every way.
	my $given_up = sub {
		my ($name, $sql) = @_;
		my ($stdout, $stderr);
		is(sqlstate($node, $db, as_role('service_role') . "SET lock_timeout = '50ms'; $sql"), '55P03', "lock_timeout inside $name");
		$node->psql($db, as_role('service_role') . "SET lock_timeout = '50ms'; $sql SET lock_timeout = 0; SELECT current_user; UPDATE integration_monitors SET due_at = now(); DELETE FROM integration_sync_runs;", stdout => \$stdout, stderr => \$stderr, on_error_stop => 0);
		like($stdout, qr/^service_role$/m, "after $name that was given up the session is the worker, not the owner");
		is(scalar(() = $stderr =~ /permission denied for table/g), 2, "and has the worker's rights");
		for my $signal ('pg_cancel_backend', 'pg_terminate_backend')
		{
			my ($out, $err) = ('', '');
			my $session = IPC::Run::start([ 'psql', '-XqAt', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr($db) . ' application_name=waits', '-c', as_role('service_role'), '-c', $sql ],
				'>', \$out, '2>', \$err);
			my $waiting = "SELECT pid FROM pg_stat_activity WHERE application_name = 'waits' AND wait_event_type = 'Lock'";
			ok($node->poll_query_until($db, "SELECT EXISTS ($waiting)"), "$name waits");
			$node->safe_psql($db, "SELECT $signal(pid) FROM ($waiting) AS w");
			IPC::Run::finish($session);
			like($err, $signal eq 'pg_cancel_backend' ? qr/57014/ : qr/57P01|terminating/, "$signal inside $name");
		}
		is(value($node, $db, $state), $untouched, "$name that was given up has done nothing");
	};
	for my $name (sort keys %waits)
	{
		is(sqlstate($node, $db, as_role('service_role') . "SET statement_timeout = '50ms'; $waits{$name}"), '57014', "statement_timeout inside $name");
		$given_up->($name, $waits{$name});
	}
	$blocker->query_safe('ROLLBACK');

	# The mode of a type changes when its check commits, where statement_timeout does not apply.
	$blocker->query_safe("BEGIN; SELECT resume_active_monitoring('xledger');");
	$given_up->('a switch', $limited);
	my ($stdout, $stderr);
	$node->psql($db, as_role('service_role') . "SET lock_timeout = '50ms'; $limited " . record(20, 'xledger', 'healthy'), stdout => \$stdout, stderr => \$stderr, on_error_stop => 0);
	is($stdout . '|' . scalar(() = $stderr =~ /lock timeout/g), '3|1', 'the next check of the session does not try to make the switch that was given up');
	$blocker->query_safe('ROLLBACK');
	$blocker->quit;
	is(value($node, $db, $state), $untouched, 'all is as it was');
	is(join(' ', rows($node, $db, as_role('service_role') . $waits{'a claim of two checks'} . $claim->('xledger') . $finish)), '2 t|1 succeeded', 'and all of it can be done');
	is(value($node, $db, as_role('service_role') . "SELECT status FROM integration_health_status WHERE org_id = '${\org(30)}' AND integration_type = 'limited'"), 'healthy',
		'the end of a sync of a passive type was a check');
	$node->safe_psql($db, as_role('service_role') . $limited);
	is(value($node, $db, "SELECT monitoring_mode FROM integration_types WHERE integration_type = 'xledger'"), 'passive', 'and the switch was made');
	$node->safe_psql($db, "SELECT resume_active_monitoring('xledger'); DROP TRIGGER a ON integration_monitors");
	invariants_hold($node, $db, 'claims that were given up leave the invariants true');
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
