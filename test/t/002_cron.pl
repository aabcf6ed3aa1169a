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
	is(sqlstate($node, 'no_cron', as_role($role) . "SELECT $_()"), '0A000',
		"without pg_cron $_() is a clean error for $role")
	  for 'schedule_integration_health_jobs', 'unschedule_integration_health_jobs';
}
like(error_of($node, 'no_cron', 'SELECT schedule_integration_health_jobs()'),
	qr/HINT:.*CREATE EXTENSION pg_cron/s, 'which says what to do');

$node->safe_psql('postgres', "CREATE EXTENSION pg_cron; CREATE EXTENSION integration_health");
is(value($node, 'postgres', 'SELECT count(*) FROM cron.job'), 0,
	'CREATE EXTENSION makes no job: it would take the jobid of a restored one');

$node->safe_psql('postgres', q{SELECT cron.schedule('site job', '0 5 * * 1', 'SELECT 1')});
$node->safe_psql('postgres', 'SELECT * FROM schedule_integration_health_jobs()');
my @once = rows($node, 'postgres', $jobs);
is(scalar @once, 4, 'three jobs come to the one of the site');
is_deeply([ sort grep { !/^site job/ } @once ], [
		'integration_health_cleanup|17 3 * * *|SELECT public.integration_health_cleanup()',
		'integration_health_counts|* * * * *|SELECT public.integration_health_compact()',
		'integration_health_stale|*/5 * * * *|SELECT public.mark_stale_health()'
	], 'named, at their default times');
$node->safe_psql('postgres', 'SELECT * FROM schedule_integration_health_jobs()');
is_deeply([ rows($node, 'postgres', $jobs) ], \@once, 'scheduling again changes nothing');
is(sqlstate($node, 'postgres', q{SELECT schedule_integration_health_jobs('no schedule')}), '22023',
	'a schedule that pg_cron cannot read is an error');
is_deeply([ rows($node, 'postgres', $jobs) ], \@once, 'that changes nothing');

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

# Changes to fold, which come to nothing.
$node->safe_psql('postgres', "INSERT INTO integration_health_counts SELECT 'xledger', 'healthy', 1 - 2 * (n % 2) FROM generate_series(1, 100) n");

# pg_cron 1.4 knows no seconds: the jobs run when the next minute begins.
$node->safe_psql('postgres',
	"SELECT * FROM schedule_integration_health_jobs('* * * * *', '* * * * *', '* * * * *')");
is(value($node, 'postgres', 'SELECT count(*) FROM cron.job'), 4, 'a new schedule makes no new job');
ok($node->poll_query_until('postgres', <<'SQL'), 'pg_cron ran each job');
SELECT count(DISTINCT jobname) = 3 FROM cron.job JOIN cron.job_run_details USING (jobid)
 WHERE jobname LIKE 'integration_health%' AND job_run_details.status = 'succeeded'
SQL
is(value($node, 'postgres', q{SELECT count(*) FROM cron.job_run_details WHERE status = 'failed'}), 0,
	'none failed');

my $ages = q{SELECT count(*) FILTER (WHERE checked_at < now() - interval '30 days'),
	count(*) FILTER (WHERE checked_at BETWEEN now() - interval '30 days' AND now() - interval '28 days')
	FROM integration_health_history};
is(value($node, 'postgres', $ages), '0|30',
	"pg_cron's cleanup deletes rows older than 30 days and no recent one");
is(value($node, 'postgres', "SELECT max(check_no) FROM integration_health_history WHERE org_id = '${\org(1)}'"),
	51, 'the newest check stays');
cmp_ok(value($node, 'postgres', 'SELECT count(*) FROM integration_health_counts'), '<', 50, 'the counts are folded');
is(value($node, 'postgres', "SELECT status, error LIKE 'no check since %', check_no FROM integration_health_status WHERE org_id = '${\org(3)}'"),
	'unknown|t|2', 'silence is shown as unknown');
is(join(' ', rows($node, 'postgres', "SELECT status FROM integration_health_status WHERE integration_type = 'quiet' ORDER BY org_id")),
	'unhealthy healthy', 'of passive types silence is no news');
invariants_hold($node, 'postgres', 'all of it leaves the invariants true', cleaned => 1);

# The jobs go with the dump.
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

is(value($node, 'postgres', 'SELECT unschedule_integration_health_jobs()'), 3, 'unscheduling removes three jobs');
is(value($node, 'postgres', 'SELECT string_agg(jobname, $$,$$) FROM cron.job'), 'late site job', "and leaves the site's");
is(value($node, 'postgres', 'SELECT unschedule_integration_health_jobs()'), 0, 'and can be done again');

$restored->stop;
$node->stop;
done_testing();
