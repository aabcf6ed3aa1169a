# pg_cron: the jobs that a site schedules do their work, once each, and neither scheduling nor a
# restore touches the site's own jobs.
use strict;
use warnings;
use IntegrationHealth;
use PostgreSQL::Test::Utils;
use Test::More;

my @settings = (
	"shared_preload_libraries = 'pg_cron'",
	"cron.database_name = 'postgres'",
	'cron.use_background_workers = on');
my $node = new_cluster('cron', @settings);
my $jobs = 'SELECT jobname, schedule, command FROM cron.job ORDER BY jobid';

new_database($node, 'no_cron');
for my $role ('service_role', 'postgres')
{
	is(sqlstate($node, 'no_cron', as_role($role) . 'SELECT schedule_integration_health_jobs()'), '0A000',
		"without pg_cron scheduling is a clean error for $role");
	is(value($node, 'no_cron', as_role($role) . 'SELECT unschedule_integration_health_jobs()'), 0, 'there is nothing to unschedule');
	is(value($node, 'no_cron', as_role($role) . q{SELECT count(*), count(owner), string_agg(DISTINCT problem, ',') FROM get_health_jobs()}),
		'5|0|pg_cron is not installed in this database', 'and the list of jobs says so');
}
# Code in a schema cron that does not belong to pg_cron is not run.
$node->safe_psql('no_cron', q{CREATE SCHEMA cron; CREATE VIEW cron.job AS SELECT 1 / 0 AS jobid, 'integration_health_cleanup' AS jobname;
	CREATE VIEW cron.job_run_details AS SELECT 1 / 0 AS jobid; GRANT USAGE ON SCHEMA cron TO PUBLIC; GRANT SELECT ON cron.job, cron.job_run_details TO PUBLIC});
is(value($node, 'no_cron', as_role('service_role') . 'SELECT (SELECT count(*) FROM get_health_jobs()), unschedule_integration_health_jobs()'), '5|0', 'a look-alike of pg_cron is not looked at');
like(error_of($node, 'no_cron', 'SELECT schedule_integration_health_jobs()'),
	qr/HINT:.*CREATE EXTENSION pg_cron/s, 'which says what to do');

$node->safe_psql('postgres', "CREATE EXTENSION pg_cron; CREATE EXTENSION integration_health");
is(value($node, 'postgres', 'SELECT count(*) FROM cron.job'), 0,
	'CREATE EXTENSION makes no job: it would take the jobid of a restored one');

$node->safe_psql('postgres', q{SELECT cron.schedule('site job', '0 5 * * 1', 'SELECT 1')});
$node->safe_psql('postgres', 'SELECT * FROM schedule_integration_health_jobs()');
my @once = rows($node, 'postgres', $jobs);
is(scalar @once, 6, 'five jobs come to the one of the site');

# pg_cron 1.4 has no schedules in seconds: warm-ups are sent every minute, not every half minute.
my ($cron_major, $cron_minor) = split(/\./, value($node, 'postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'pg_cron'}));
my $knows_seconds = $cron_major > 1 || $cron_minor >= 5;
my $warm_up_schedule = $knows_seconds ? '30 seconds' : '* * * * *';
is_deeply([ sort grep { !/^site job/ } @once ], [
		'integration_health_cleanup|17 3 * * *|SELECT integration_health_private.cleanup_job()',
		'integration_health_counts|* * * * *|SELECT integration_health_private.run_counts()',
		'integration_health_stale|*/5 * * * *|SELECT integration_health_private.run_stale()',
		"integration_health_warm_up|$warm_up_schedule|SELECT integration_health_private.run_warm_up()",
		'integration_health_watch|* * * * *|SELECT integration_health_private.run_watch()'
	], 'named, at their default times');
$node->safe_psql('postgres', 'SELECT * FROM schedule_integration_health_jobs()');
is_deeply([ rows($node, 'postgres', $jobs) ], \@once, 'scheduling again changes nothing');
is(sqlstate($node, 'postgres', q{SELECT schedule_integration_health_jobs('no schedule')}), '22023',
	'a schedule that pg_cron cannot read is an error');
is_deeply([ rows($node, 'postgres', $jobs) ], \@once, 'that changes nothing');

# No job calls a function of the same name in another schema, whatever defaults it has.
my @look_alikes = map {
	my $name = $_;
	map { "CREATE FUNCTION public.$name($_) RETURNS bigint LANGUAGE plpgsql AS \$\$BEGIN RAISE 'look-alike'; END\$\$;" }
	  ($name eq 'integration_health_compact' ? () : ('')), "a text DEFAULT ''", "a interval DEFAULT '1 day', b int DEFAULT 1, c int DEFAULT 1", 'VARIADIC a text[]'
} qw(integration_health_cleanup integration_health_compact mark_stale_health dispatch_sync_warm_ups integration_health_watch);
for my $job (rows($node, 'postgres', q{SELECT jobname || '|' || command FROM cron.job WHERE jobname LIKE 'integration_health%' ORDER BY 1}))
{
	my ($name, $command) = split(/\|/, $job);
	is(error_of($node, 'postgres', "BEGIN; @look_alikes $command; ROLLBACK"), '', "$name calls its own function among look-alikes");
}

# If another role scheduled the jobs too, everything would be done twice. A superuser takes the jobs over.
$node->safe_psql('postgres', 'CREATE ROLE other_dba LOGIN; GRANT service_role TO other_dba; GRANT USAGE ON SCHEMA cron TO other_dba');
is(sqlstate($node, 'postgres', as_role('other_dba') . 'SELECT schedule_integration_health_jobs()'), '55000', 'another role is refused while the jobs are scheduled');
is(value($node, 'postgres', as_role('other_dba') . 'SELECT unschedule_integration_health_jobs()'), 0, 'and unschedules only its own');
is(value($node, 'postgres', 'SELECT unschedule_integration_health_jobs()'), 5, 'whose owner gives them up');
is(value($node, 'postgres', as_role('other_dba') . 'SELECT count(*) FROM schedule_integration_health_jobs()'), 5, 'so that the other schedules them');
is(value($node, 'postgres', q{SELECT string_agg(DISTINCT owner, ','), count(problem) FROM get_health_jobs()}), 'other_dba|0', 'they are seen, with their owner');
$node->safe_psql('postgres', 'SELECT * FROM schedule_integration_health_jobs()');
is(value($node, 'postgres', q{SELECT string_agg(DISTINCT owner, ','), count(*) FROM get_health_jobs()}), 'postgres|5', 'a superuser takes them over');
is(sqlstate($node, 'postgres', as_role('authenticated') . 'SELECT * FROM get_health_jobs()'), '42501', 'a reader needs the role of an admin to see them');
is(value($node, 'postgres', as_role('authenticated') . q{SET request.jwt.claims = '{"user_role": "global_admin"}'; SELECT count(*) FROM get_health_jobs()}), 5, 'and sees them with it');
is(value($node, 'postgres', q{BEGIN; SELECT cron.unschedule('integration_health_stale'); UPDATE cron.job SET active = false WHERE jobname = 'integration_health_counts';
	SELECT string_agg(job_name || ': ' || problem, ', ') FROM get_health_jobs() WHERE problem IS NOT NULL}) =~ s/^t\n//r,
	'integration_health_counts: switched off, integration_health_stale: not scheduled', 'what is wrong is said');
$node->safe_psql('postgres', 'DROP OWNED BY other_dba; DROP ROLE other_dba');

# The default schedule for other versions of pg_cron, as this version accepts it, or names it in its error.
for my $version ('1.4', '1.4-1', '1.5', '1.10', '2.0', 'unknown')
{
	my $set = "BEGIN; UPDATE pg_extension SET extversion = '$version' WHERE extname = 'pg_cron';";
	my $wanted = $version =~ /^(?:1\.4|unknown)/ ? '* * * * *' : '30 seconds';
	my $err = error_of($node, 'postgres', "$set SELECT schedule_integration_health_jobs()");
	my $got = $err =~ /ERROR:.*schedule: (.*)/ ? $1
	  : value($node, 'postgres', "$set SELECT schedule FROM schedule_integration_health_jobs() WHERE job_name = 'integration_health_warm_up'");
	is($got, $wanted, "the schedule of warm-ups with pg_cron $version");
}
is(value($node, 'postgres', q{BEGIN; SELECT schedule FROM schedule_integration_health_jobs(warm_up_schedule => '*/2 * * * *') WHERE job_name = 'integration_health_warm_up'}),
	'*/2 * * * *', 'and a schedule that a site wants');

# Org 1 has checks of both ages and a current one; org 2 only old ones; org 3 fell silent; org 4
# is of a passive type.
$node->safe_psql('postgres', as_role('service_role') . <<"SQL");
INSERT INTO integration_types (integration_type, display_name, monitoring_mode)
VALUES ('quiet', 'Quiet', 'passive');
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', '${\org(1)}',
         'integration_type', 'xledger', 'status', 'healthy', 'checked_at', at)))
  FROM (SELECT now() - interval '31 days' + n * interval '1 minute' FROM generate_series(1, 20) n
        UNION ALL
        SELECT now() - interval '29 days' + n * interval '1 minute' FROM generate_series(1, 30) n
        UNION ALL SELECT now()) AS t (at);
${\ record(2, 'quiet', 'unhealthy', '2020-01-01Z')}
SELECT record_health_check('${\org(3)}', 'xledger', 'healthy', checked_at => now() - interval '3 hours');
${\ record(4, 'quiet', 'healthy', '2026-01-01Z')}
SELECT record_health_check('${\org(5)}', 'xledger', (enum_range(NULL::integration_health_state))[n % 4 + 1])
  FROM generate_series(1, 50) n;
SQL

# Count changes to fold, which add up to zero.
$node->safe_psql('postgres', "INSERT INTO integration_health_counts SELECT 'xledger', 'healthy', 1 - 2 * (n % 2) FROM generate_series(1, 100) n");

# Daily syncs: two old ones that ended, an old one that was given up, an old one whose lease still
# runs, and one of yesterday.
$node->safe_psql('postgres', <<"SQL");
SELECT set_sync_schedule('${\org(1)}', 'xledger', '1 day', date_trunc('day', now()) - interval '40 days');
INSERT INTO integration_sync_runs (org_id, integration_type, scheduled_for, attempt, outcome, started_at, finished_at, lease_until, cold_start)
SELECT org_id, integration_type, period, 1, outcome, period, CASE WHEN outcome <> 'running' THEN period + ended END,
       CASE WHEN outcome = 'running' THEN period + ended END, false
  FROM integration_sync_schedules, (VALUES (0, 'succeeded'::integration_sync_outcome, interval '1 minute'), (1, 'failed', '1 minute'),
       (2, 'running', '10 minutes'), (3, 'running', '40 days'), (39, 'succeeded', '1 minute')) AS r (n, outcome, ended),
       LATERAL (SELECT anchor + n * every) AS p (period);
SQL

# A stand-in for pg_net that writes to a table, and a sync every minute whose worker is to be woken.
$node->safe_psql('postgres', <<"SQL");
CREATE SCHEMA net;
CREATE TABLE net.sent (url text, body jsonb, sent_at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION net.http_post(url text, body jsonb DEFAULT '{}', params jsonb DEFAULT '{}', headers jsonb DEFAULT '{}', timeout_milliseconds int DEFAULT 1000)
RETURNS bigint LANGUAGE sql BEGIN ATOMIC INSERT INTO net.sent (url, body) VALUES (url, body) RETURNING 1::bigint; END;
SELECT set_sync_schedule('${\org(2)}', 'xledger', '1 minute', date_trunc('minute', now()), warm_up_url => 'https://worker.example.com/');
SQL

# Scheduled every minute, the jobs run when the next minute begins.
$node->safe_psql('postgres',
	"SELECT * FROM schedule_integration_health_jobs('* * * * *', '* * * * *', '* * * * *')");
is(value($node, 'postgres', 'SELECT count(*) FROM cron.job'), 6, 'a new schedule makes no new job');
ok($node->poll_query_until('postgres', <<'SQL'), 'pg_cron ran each job');
SELECT count(DISTINCT jobname) = 5 FROM cron.job JOIN cron.job_run_details USING (jobid)
 WHERE jobname LIKE 'integration_health%' AND job_run_details.status = 'succeeded'
SQL
is(value($node, 'postgres', q{SELECT count(*) FROM cron.job_run_details WHERE status = 'failed'}), 0,
	'none failed');
is(value($node, 'postgres', q{SELECT count(*) FROM get_health_jobs() WHERE last_status = 'succeeded' AND last_started_at > now() - interval '5 minutes' AND problem IS NULL}), 5,
	'which the list of jobs says, too');
# What pg_cron notes of these jobs is deleted after a week; what it notes of others stays.
$node->safe_psql('postgres', q{UPDATE cron.job_run_details SET end_time = now() - interval '8 days';
	INSERT INTO cron.job_run_details (jobid, runid, database, username, command, status, end_time)
	SELECT jobid, 1000000, 'postgres', 'postgres', 'SELECT 1', 'succeeded', now() - interval '8 days' FROM cron.job WHERE jobname = 'site job';
	SELECT integration_health_private.cleanup_job()});
is(value($node, 'postgres', q{SELECT string_agg(DISTINCT jobname, ',') FROM cron.job JOIN cron.job_run_details USING (jobid) WHERE end_time < now() - interval '7 days'}), 'site job', 'old notes of the jobs are deleted, and no others');
# A job whose last run failed is reported as such, with a warning when it is scheduled again.
$node->safe_psql('postgres', q{INSERT INTO cron.job_run_details (jobid, runid, database, username, command, status, return_message, start_time, end_time)
	SELECT jobid, 2000000, 'postgres', 'postgres', command, 'failed', 'connection failed', now(), now() FROM cron.job WHERE jobname = 'integration_health_stale'});
is(value($node, 'postgres', 'SELECT job_name, last_message, problem FROM get_health_jobs() WHERE problem IS NOT NULL'), 'integration_health_stale|connection failed|the last run failed', 'a run that failed is shown');
like(error_of($node, 'postgres', q{SELECT schedule_integration_health_jobs('* * * * *', '* * * * *', '* * * * *')}), qr/WARNING:.*integration_health_stale failed.*connection failed.*use_background_workers/s, 'and warned of');
$node->safe_psql('postgres', 'DELETE FROM cron.job_run_details WHERE runid = 2000000');

my $ages = q{SELECT count(*) FILTER (WHERE checked_at < now() - interval '30 days'),
	count(*) FILTER (WHERE checked_at BETWEEN now() - interval '30 days' AND now() - interval '28 days')
	FROM integration_health_history};
is(value($node, 'postgres', $ages), '0|30',
	"pg_cron's cleanup deletes rows older than 30 days and no recent one");
is(join(' ', rows($node, 'postgres', 'SELECT scheduled_for::date - anchor::date FROM integration_sync_runs JOIN integration_sync_schedules USING (org_id, integration_type) ORDER BY 1')),
	'3 39', 'and sync runs with a period and an end as old, and no other');
is(value($node, 'postgres', "SELECT pruned_until::date - anchor::date FROM integration_sync_schedules WHERE org_id = '${\org(1)}'"), 2,
	'until when is noted');
is(sqlstate($node, 'postgres', as_role('service_role') . "SELECT claim_sync_run(org_id, integration_type, anchor + interval '1 day') FROM integration_sync_schedules WHERE org_id = '${\org(1)}'"),
	'22023', 'so that a period whose run is deleted is not run again');
ok($node->poll_query_until('postgres', 'SELECT EXISTS (SELECT FROM net.sent)'), 'a worker was called');
is(value($node, 'postgres', <<"SQL"), 't|t|t|0', 'shortly before the time of its sync, once for each, and that is no health check');
SELECT bool_and(scheduled_for > sent_at AND scheduled_for <= sent_at + interval '1 minute'), count(*) = count(DISTINCT scheduled_for),
       bool_and(url = 'https://worker.example.com/' AND body ->> 'org_id' = '${\org(2)}'),
       (SELECT count(*) FROM integration_health_status WHERE org_id = '${\org(2)}' AND integration_type = 'xledger')
  FROM net.sent, LATERAL (SELECT (body ->> 'scheduled_for')::timestamptz) AS p (scheduled_for)
SQL
is(value($node, 'postgres', "SELECT max(check_no) FROM integration_health_history WHERE org_id = '${\org(1)}'"),
	51, 'the newest check stays');
cmp_ok(value($node, 'postgres', 'SELECT count(*) FROM integration_health_counts'), '<', 50, 'the counts are folded');
is(value($node, 'postgres', "SELECT status, error LIKE 'no check since %', check_no FROM integration_health_status WHERE org_id = '${\org(3)}'"),
	'unknown|t|2', 'silence is shown as unknown');
is(join(' ', rows($node, 'postgres', "SELECT status FROM integration_health_status WHERE integration_type = 'quiet' ORDER BY org_id")),
	'unhealthy healthy', 'of passive types silence is no news');
invariants_hold($node, 'postgres', 'all of it leaves the invariants true', cleaned => 1);

# The dump includes the jobs.
my $file = PostgreSQL::Test::Utils::tempdir() . '/dump';
$node->safe_psql('postgres', q{SELECT cron.unschedule('site job');
	SELECT cron.schedule('late site job', '0 6 * * 1', 'SELECT 2')});
my @before = rows($node, 'postgres', "SELECT jobid, jobname, schedule, command, username FROM cron.job ORDER BY 1");
$node->command_ok([ 'pg_dump', '-Fp', '-f', $file, $node->connstr('postgres') ], 'pg_dump');
my $restored = new_cluster('cron_restored', @settings);
my ($out, $err);
IPC::Run::run([ 'psql', '-qX', '-d', $restored->connstr('postgres'), '-f', $file ], '>', \$out, '2>', \$err);
is($err, '', 'restored into another server without an error');
is_deeply([ rows($restored, 'postgres', "SELECT jobid, jobname, schedule, command, username FROM cron.job ORDER BY 1") ],
	\@before, "with every job, the site's own and the extension's");
$restored->safe_psql('postgres',
	"SELECT * FROM schedule_integration_health_jobs('* * * * *', '* * * * *', '* * * * *')");
is_deeply([ rows($restored, 'postgres', "SELECT jobid, jobname, schedule, command, username FROM cron.job ORDER BY 1") ],
	\@before, 'where scheduling once more changes nothing');

is(value($node, 'postgres', 'SELECT unschedule_integration_health_jobs()'), 5, 'unscheduling removes five jobs');
is(value($node, 'postgres', 'SELECT string_agg(jobname, $$,$$) FROM cron.job'), 'late site job', "and leaves the site's");
is(value($node, 'postgres', 'SELECT unschedule_integration_health_jobs()'), 0, 'and can be done again');

$restored->stop;
$node->stop;
done_testing();
