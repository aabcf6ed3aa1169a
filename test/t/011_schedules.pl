# Schedules: 8 monitors and 8 sync workers at once for 20 seconds, some of which roll back, fail, give
# up or are killed; then a crash of the server, with a prepared transaction. No pair is handed out
# twice within its interval, and no period succeeds twice.
use strict;
use warnings;
use IntegrationHealth;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = 20;
my $node = new_cluster('schedules', 'autovacuum = on', 'max_prepared_transactions = 10');
my $db = 'schedules';
new_database($node, $db);
my $dir = PostgreSQL::Test::Utils::tempdir();
my $service = as_role('service_role') . "SET client_min_messages = error;\n";

# log_n is assigned while the logged row is locked, so the order of log_n is the order of the locks.
$node->safe_psql($db, <<'SQL');
INSERT INTO integration_monitors (org_id, integration_type, due_at)
SELECT lpad(n::text, 32, '0')::uuid, t, now() - random() * interval '1 hour'
  FROM generate_series(1, 2000) n, unnest(ARRAY['xledger', 'dynamics']) t;
-- every tenth organisation fails, some of them more often
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', org_id, 'integration_type', integration_type, 'status', 'unhealthy')))
  FROM integration_monitors, generate_series(1, 4) k
 WHERE right(org_id::text, 1) = '0' AND k <= 2 + ('x' || substr(md5(org_id::text), 1, 1))::bit(4)::int % 3;

CREATE TABLE monitor_log (log_n bigserial, org_id uuid, integration_type text, what text);
CREATE TABLE sync_log (log_n bigserial, scheduled_for timestamptz, attempt integer, what text, started_at timestamptz, lease_until timestamptz);
GRANT ALL ON monitor_log, monitor_log_log_n_seq, sync_log, sync_log_log_n_seq TO service_role;

CREATE PROCEDURE report(run record) LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO sync_log (scheduled_for, attempt, what)
  SELECT run.scheduled_for, f.attempt, f.outcome
    FROM finish_sync_run(run.org_id, run.integration_type, run.scheduled_for, run.attempt,
                         CASE WHEN random() < 0.4 THEN 'succeeded' ELSE 'failed' END::integration_sync_outcome) f;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  INSERT INTO sync_log (scheduled_for, attempt, what) VALUES (run.scheduled_for, run.attempt, 'refused');
END $$;

-- A worker of syncs. All take the same 90 periods, which move on by 30 a second. It gives up some, and
-- keeps one for a while, with a lease that runs out.
CREATE PROCEDURE work(since timestamptz, until timestamptz, anchor timestamptz) LANGUAGE plpgsql AS $$
DECLARE
  run record;
  kept record;
  report_at timestamptz = 'infinity';
  chance float;
BEGIN
  WHILE clock_timestamp() < until LOOP
    IF report_at < clock_timestamp() THEN
      CALL report(kept);
      report_at = 'infinity';
      COMMIT;
    END IF;
    SELECT * INTO run FROM claim_sync_run('00000000-0000-0000-0000-000000000001', 'xledger', lease => '1 second',
      scheduled_for => anchor + interval '1 minute' * floor(extract(epoch FROM clock_timestamp() - since) * 30 + random() * 90));
    IF run.claimed THEN
      INSERT INTO sync_log (scheduled_for, attempt, what, started_at, lease_until)
      VALUES (run.scheduled_for, run.attempt, 'claimed', run.started_at, run.lease_until);
    END IF;
    COMMIT;
    chance = random();
    CONTINUE WHEN NOT run.claimed OR chance < 0.1;
    IF chance < 0.3 AND report_at = 'infinity' THEN
      kept = run;
      report_at = clock_timestamp() + interval '1.2 seconds';
      CONTINUE;
    END IF;
    PERFORM pg_sleep(0.01);
    CALL report(run);
    COMMIT;
  END LOOP;
END $$;

CREATE TABLE kills (pid integer);
CREATE PROCEDURE kill_workers(until timestamptz) LANGUAGE plpgsql AS $$
BEGIN
  WHILE clock_timestamp() < until LOOP
    PERFORM pg_sleep(0.3);
    INSERT INTO kills SELECT pid FROM (SELECT pid FROM pg_stat_activity WHERE application_name = 'worker' ORDER BY random() LIMIT 1) w
     WHERE pg_terminate_backend(pid);
    COMMIT;
  END LOOP;
END $$;
SQL
my $anchor = value($node, $db, "SELECT date_trunc('minute', now()) - interval '1 day'");
$node->safe_psql($db, $service . "SELECT set_sync_schedule('${\org(1)}', 'xledger', '1 minute', '$anchor', max_attempts => 100, retry_backoff => '0')");

# For some pairs 17 minutes pass, more than an interval with its jitter; others become due too early. Time stands still for
# pairs that are overdue: one that is two intervals late gets a new phase, and then may wait for up to an interval more.
append_to_file("$dir/time.sql", <<'SQL');
WITH picked AS MATERIALIZED (
  SELECT org_id, integration_type, random() < 0.7 AS passes FROM integration_monitors
   WHERE claimed_at IS NOT NULL AND due_at > now() - interval '10 minutes'
   ORDER BY random() LIMIT 200 FOR UPDATE SKIP LOCKED
), later AS (
  UPDATE integration_monitors m
     SET claimed_at = m.claimed_at - CASE WHEN passes THEN interval '17 minutes' ELSE '0' END,
         due_at = CASE WHEN passes THEN m.due_at - interval '17 minutes' ELSE m.claimed_at END
    FROM picked p WHERE (m.org_id, m.integration_type) = (p.org_id, p.integration_type)
  RETURNING m.org_id, m.integration_type, passes
) INSERT INTO monitor_log (org_id, integration_type, what) SELECT org_id, integration_type, 'time' FROM later WHERE passes;
\sleep 20 ms
SQL
my $claim = "\\set n random(1, 100)\nBEGIN;\n"
  . "INSERT INTO monitor_log (org_id, integration_type, what) SELECT org_id, integration_type, 'handed out' FROM claim_due_health_checks(:n);\n";
append_to_file("$dir/claim.sql", $claim . "COMMIT;\n");
append_to_file("$dir/die.sql", $claim . "\\sleep 5 ms\nROLLBACK;\n");

note("Monitors and workers for $seconds seconds");
my ($out, $err) = ('', '');
my ($since, $until) = split(/\|/, value($node, $db, "SELECT now(), now() + interval '$seconds s'"));
my $call = "CALL work('$since', '$until', '$anchor')";
my @psql = ('psql', '-XqAt', '-d', $node->connstr($db) . ' application_name=worker');
my @sessions = (
	[ 'pgbench', '-nc1', "-T$seconds", "-f$dir/time.sql", $node->connstr($db) ],
	[ 'psql', '-XqAt', '-d', $node->connstr($db), '-c', "CALL kill_workers('$until')" ],
	map { [ 'sh', '-c', 'while [ "$(date +%s)" -lt "$0" ]; do "$@" 2>/dev/null; done', time + $seconds, @psql, '-c', $service, '-c', $call ] } 1 .. 8);
my @running = map { IPC::Run::start($_, '>', \$out, '2>', \$err) } @sessions;
{
	local $ENV{PGOPTIONS} = '-c role=service_role';
	$node->command_checks_all([ 'pgbench', '-nc8', '-j2', "-T$seconds", "-f$dir/claim.sql\@9", "-f$dir/die.sql\@1", $node->connstr($db) ],
		0, [qr/number of failed transactions: 0/], [qr/^(?!.*(ERROR|aborted))/s], '8 monitors claim without an error');
}
IPC::Run::finish($_) for @running;
unlike($err, qr/ERROR|FATAL/, 'nor has time an error');
note($out);

# Now everything that is due is handed out, to a worker that no longer fails.
$node->safe_psql($db, $service . "INSERT INTO monitor_log (org_id, integration_type, what) SELECT org_id, integration_type, 'handed out' FROM claim_due_health_checks(10000);");
$node->safe_psql($db, $service . <<"SQL");
SELECT pg_sleep(1.1);
WITH claims AS (
  INSERT INTO sync_log (scheduled_for, attempt, what, started_at, lease_until)
  SELECT r.scheduled_for, r.attempt, 'claimed', r.started_at, r.lease_until
    FROM (SELECT DISTINCT scheduled_for FROM sync_log) l, claim_sync_run('${\org(1)}', 'xledger', l.scheduled_for) r WHERE r.claimed
  RETURNING scheduled_for, attempt)
SELECT * INTO TEMP last_claims FROM claims;
INSERT INTO sync_log (scheduled_for, attempt, what)
SELECT f.scheduled_for, f.attempt, f.outcome FROM last_claims l, finish_sync_run('${\org(1)}', 'xledger', l.scheduled_for, l.attempt, 'succeeded') f;
SQL

my ($handed_out, $again) = split(/\|/, value($node, $db, <<'SQL'));
SELECT sum(n), count(*) FILTER (WHERE n > 1) FROM (SELECT count(*) AS n FROM monitor_log WHERE what = 'handed out' GROUP BY org_id, integration_type) pairs
SQL
cmp_ok($again, '>', 100, "$handed_out checks handed out, $again pairs more than once");
is(join("\n", rows($node, $db, <<'SQL')), '', 'no pair was handed out before its interval, or its backoff, had passed');
WITH clock AS (
  SELECT *, count(*) FILTER (WHERE what = 'time') OVER (PARTITION BY org_id, integration_type ORDER BY log_n) * interval '17 minutes' AS passed
    FROM monitor_log
), wait AS (
  SELECT *, passed - lag(passed) OVER (PARTITION BY org_id, integration_type ORDER BY log_n) AS waited FROM clock WHERE what = 'handed out'
) SELECT log_n, org_id, integration_type, waited, consecutive_failures FROM wait LEFT JOIN integration_health_status USING (org_id, integration_type)
 WHERE waited + interval '1 minute' < interval '15 minutes' * 2 ^ (GREATEST(consecutive_failures, 1) - 1) LIMIT 10
SQL
is(value($node, $db, 'SELECT count(*) FROM (SELECT org_id, integration_type FROM integration_monitors EXCEPT SELECT org_id, integration_type FROM monitor_log WHERE what = $$handed out$$) m'),
	0, 'every pair was handed out');
is(join("\n", rows($node, $db, <<'SQL')), '', 'and none that is due was left');
SELECT m.* FROM integration_monitors m LEFT JOIN integration_health_status USING (org_id, integration_type)
 WHERE claimed_at IS NULL OR claimed_at + interval '15 minutes' * 1.1 * 2 ^ (GREATEST(consecutive_failures, 1) - 1) < now() LIMIT 10
SQL

my ($claims, $given_up, $refused, $kills) = split(/\|/, value($node, $db, <<'SQL'));
SELECT count(*) FILTER (WHERE what = 'claimed'),
  count(*) FILTER (WHERE what = 'claimed' AND NOT EXISTS (SELECT FROM sync_log e WHERE (e.scheduled_for, e.attempt) = (l.scheduled_for, l.attempt) AND e.what <> 'claimed')),
  count(*) FILTER (WHERE what = 'refused'), (SELECT count(*) FROM kills) FROM sync_log l
SQL
cmp_ok($_, '>', 5, "$claims claims of syncs, of which $given_up were given up; $refused late reports, $kills workers killed") for ($given_up < $refused ? $given_up : $refused), $kills;
is(join("\n", rows($node, $db, <<'SQL')), '', 'one attempt after the other, each when the last has failed or its lease has run out, none after a success');
WITH in_order AS (
  SELECT *, lag(what) OVER before AS last_what, lag(attempt) OVER before AS last_attempt, lag(lease_until) OVER before AS last_lease
    FROM sync_log WHERE what <> 'refused' WINDOW before AS (PARTITION BY scheduled_for ORDER BY log_n)
) SELECT * FROM in_order
 WHERE CASE WHEN what <> 'claimed' THEN last_what IS DISTINCT FROM 'claimed' OR attempt <> last_attempt
            ELSE attempt <> COALESCE(last_attempt, 0) + 1 OR last_what = 'succeeded' OR last_what = 'claimed' AND started_at <= last_lease END
 ORDER BY scheduled_for, log_n LIMIT 10
SQL
is(join("\n", rows($node, $db, <<'SQL')), '', 'a report is refused when there is a later attempt, and only then');
SELECT * FROM sync_log r WHERE what = 'refused' AND NOT EXISTS (SELECT FROM sync_log c WHERE c.scheduled_for = r.scheduled_for AND c.attempt > r.attempt AND c.log_n < r.log_n)
SQL
is(join("\n", rows($node, $db, <<'SQL')), '', 'every period has succeeded, once, and the ledger says so');
SELECT scheduled_for, last.attempt, last.successes, r.attempt, r.outcome FROM integration_sync_runs r FULL JOIN
  (SELECT scheduled_for, max(attempt) AS attempt, count(*) FILTER (WHERE what = 'succeeded') AS successes FROM sync_log GROUP BY 1) last USING (scheduled_for)
 WHERE (last.attempt, last.successes, r.outcome) IS DISTINCT FROM (r.attempt, 1, 'succeeded') LIMIT 10
SQL

note('A crash between claim and report');
my $org = org(2);
my @period = map { "'$org', 'xledger', timestamptz '$anchor' + interval '$_ minutes'" } 0 .. 4;
$node->safe_psql($db, $service . "SELECT set_sync_schedule('$org', 'xledger', '1 minute', '$anchor'); SELECT set_monitor('$org', 'xledger');");
$node->safe_psql($db, "UPDATE integration_monitors SET claimed_at = NULL, due_at = now() - interval '1 hour'");
is(value($node, $db, $service . 'SELECT count(*) FROM claim_due_health_checks(4000)'), 4000, 'all pairs are handed out');
is(value($node, $db, $service . "SELECT claimed, attempt FROM claim_sync_run($$_[0], lease => '$$_[1]')"), 't|1', "a claim for $$_[1]")
  for [ $period[0], '10 minutes' ], [ $period[1], '10 minutes' ], [ $period[2], '1 second' ];
my $open = $node->background_psql($db, on_error_stop => 0);
$open->query_safe($service . "BEGIN; SELECT claimed FROM claim_sync_run($period[3]);");
is(sqlstate($node, $db, $service . prepares() . "BEGIN; SELECT FROM record_health_check('$_', 'dynamics', 'degraded', http_status => 429); PREPARE TRANSACTION 'limit of $_'"),
	'00000', 'a check with 429 is prepared')
  for org(1);
crash_and_restart($node);
$open->{run}->kill_kill;
is(value($node, $db, $service . 'SELECT count(*) FROM claim_due_health_checks(4000)'), 0, 'what was handed out stays so');
is(value($node, $db, $service . "SELECT claimed, attempt FROM claim_sync_run($period[0])"), 'f|1', 'a claim outlasts the crash');
is(value($node, $db, $service . "SELECT outcome, attempt FROM finish_sync_run($period[1], 1, 'succeeded')"), 'succeeded|1', 'and its owner can report');
$node->poll_query_until($db, "SELECT bool_or(lease_until < clock_timestamp()) FROM integration_sync_runs WHERE org_id = '$org' AND outcome = 'running'");
is(value($node, $db, $service . "SELECT claimed, attempt FROM claim_sync_run($period[2])"), 't|2', 'where the lease has run out, the next one takes over');
is(sqlstate($node, $db, $service . "SELECT finish_sync_run($period[2], 1, 'succeeded')"), '55000', 'and the report of the first is refused');
is(value($node, $db, $service . "SELECT claimed, attempt FROM claim_sync_run($period[3])"), 't|1', 'a claim that was not committed is none');

note('A prepared transaction that holds the switch to passive mode');
my $mode = "SELECT monitoring_mode, passive_since IS NOT NULL, passive_reason FROM integration_types WHERE integration_type = 'dynamics'";
my $limited = "SELECT check_no FROM record_health_check('$org', 'dynamics', 'degraded', http_status => 429);";
my $count = "SELECT count(*) FROM integration_health_history WHERE org_id = '$org' AND integration_type = 'dynamics'";
my $impatient = "SET lock_timeout = '50ms';";
is(value($node, $db, $mode), 'active|f|', 'it is not switched yet');
is(sqlstate($node, $db, $service . $impatient . $limited), '55P03', 'the next check with 429 waits');
is(sqlstate($node, $db, $service . $impatient . "SELECT resume_active_monitoring('dynamics')"), '55P03', 'and so does a resume');
is(sqlstate($node, $db, $service . $impatient . "SELECT FROM record_health_check('$org', 'xledger', 'healthy')"), '00000', 'other checks do not');
is(value($node, $db, $count), 0, 'the check that gave up is not recorded');
$node->safe_psql($db, "COMMIT PREPARED 'limit of ${\org(1)}'");
is(value($node, $db, $mode), 'passive|t|HTTP 429', 'COMMIT PREPARED switches');
is(value($node, $db, $service . $impatient . $limited), 1, 'now the next check is recorded');
is(value($node, $db, $service . "SELECT monitoring_mode FROM resume_active_monitoring('dynamics')"), 'active', 'and back');
is(value($node, $db, $service . prepares() . "BEGIN; $limited PREPARE TRANSACTION 'taken back'"), 2, 'another one is prepared');
$node->safe_psql($db, "ROLLBACK PREPARED 'taken back'");
is(value($node, $db, $mode), 'active|f|', 'ROLLBACK PREPARED does not switch');
is(value($node, $db, $service . $impatient . $limited), 2, 'nor keep others from it');
is(value($node, $db, $mode), 'passive|t|HTTP 429', 'who do');
invariants_hold($node, $db, 'the invariants are true');

$node->stop;
done_testing();
