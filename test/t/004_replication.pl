# Replication: a synchronous standby has every acknowledged check when it is promoted and goes on
# from there; logical replication carries the tables without recording anything twice.  What was
# handed out or has succeeded on one server is not handed out by the other.
use strict;
use warnings;
use IntegrationHealth;
use Load;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'replicated';
my $admin = as_role('authenticated', '{"org_id": "' . org(1) . '", "user_role": "global_admin"}');

my @tables = grep { !/types|counts/ } TABLES;

# Two monitors that are due, and two syncs a day, of org 1.
my $schedules = <<"SQL";
SET ROLE service_role;
SELECT set_monitor('${\org(1)}', t), set_sync_schedule('${\org(1)}', t, '1 day', now() - interval '3 days 1 hour', warm_up_url => 'https://worker.example.com/')
  FROM unnest('{xledger,dynamics}'::text[]) t;
RESET ROLE;
UPDATE integration_monitors SET due_at = now() - interval '1 minute';
UPDATE integration_sync_schedules SET due_at = anchor, planned_since = anchor;
SQL
my $last = 'integration_sync_last_period(s.every, s.anchor, s.time_zone, now())';
my $claim = "SET ROLE service_role; SET client_min_messages = error;
	SELECT count(*) FROM claim_due_health_checks(1);
	SELECT claimed, attempt FROM integration_sync_schedules s, claim_sync_run(s.org_id, s.integration_type, $last) WHERE s.integration_type = 'xledger';";
my $finish = "SELECT f.outcome FROM integration_sync_schedules s, finish_sync_run(s.org_id, s.integration_type, $last, 1, 'succeeded') f WHERE s.integration_type = 'xledger';";

note('A synchronous standby');
{
	my $primary = PostgreSQL::Test::Cluster->new('primary');
	$primary->init(allows_streaming => 1, extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ]);
	$primary->start;
	new_database($primary, $db);
	$primary->backup('base');
	my $standby = PostgreSQL::Test::Cluster->new('standby');
	$standby->init_from_backup($primary, 'base', has_streaming => 1);
	$standby->start;
	$primary->append_conf('postgresql.conf', "synchronous_standby_names = '*'\nsynchronous_commit = remote_apply");
	$primary->reload;
	$primary->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')");

	$primary->safe_psql($db, as_role('service_role') . record(1, 'dynamics', 'unhealthy'));
	$primary->safe_psql($db, $schedules);
	is(join(' ', rows($primary, $db, $claim)), '1 t|1', 'a check is handed out, and a sync');
	is(value($standby, $db, $admin . "SELECT status FROM get_org_health_status('${\org(1)}') WHERE integration_type = 'dynamics'"),
		'unhealthy', 'the dashboard reads from the standby');
	is(value($standby, $db, $admin . "SELECT count(*) FROM get_health_trend('${\org(1)}', 'dynamics')"), 1, 'and the trend');
	is(value($standby, $db, $admin . "SELECT sum(unhealthy) FROM get_global_health_summary()"), 1, 'and the summary');
	is(value($standby, $db, $admin . "SELECT count(*) FROM get_global_health_problems()"), 1, 'and the problems');
	is(value($standby, $db, as_role('service_role') . 'SELECT integration_type, attempts FROM get_due_syncs()'), 'dynamics|0', 'and the syncs that are due');
	is(value($standby, $db, $admin . "SELECT (SELECT count(*) FROM get_sync_drift('${\org(1)}', 48)), (SELECT count(*) FROM get_cold_starts('${\org(1)}', 48)),
		(SELECT count(*) > 0 FROM get_missed_syncs('${\org(1)}', 720)), (SELECT sum(running) FROM get_global_sync_summary(48))"), '1|0|t|1', 'and what is late, cold, missed or running');
	is(sqlstate($standby, $db, as_role('service_role') . $_), '25006', "it writes nothing: $_")
	  for record(1, 'dynamics', 'healthy'), 'SELECT mark_stale_health()', 'SELECT integration_health_cleanup()', 'SELECT integration_health_compact()',
	  'SELECT claim_due_health_checks()', "SELECT set_monitor('${\org(2)}', 'xledger')", "SELECT resume_active_monitoring('xledger')",
	  "SELECT set_sync_schedule('${\org(2)}', 'xledger', '1 day', now())", "SELECT claim_sync_run(org_id, integration_type, $last) FROM integration_sync_schedules s WHERE integration_type = 'dynamics'",
	  "SELECT claim_sync_run(org_id, integration_type, $last) FROM integration_sync_schedules s WHERE integration_type = 'xledger'", $finish, 'SELECT dispatch_sync_warm_ups()';
	is(value($primary, $db, as_role('service_role') . $finish), 'succeeded', 'the sync succeeds');

	my $load = Load->new(2);
	$load->start($primary->connstr($db));
	$load->wait_for(10_000);
	$primary->kill9;
	$load->finish;
	$standby->promote;
	my ($missing, $n) = $load->missing(rows($standby, $db, Load::history_query()));
	cmp_ok($n, '>', 1000, "$n acknowledged checks when the primary died");
	is(join("\n", @$missing), '', 'the promoted standby has every one');
	invariants_hold($standby, $db, 'and its invariants are true');
	is(join(' ', rows($standby, $db, $claim)), '1 f|1', 'it hands out the other check, and the sync that has succeeded to nobody');
	is(value($standby, $db, as_role('service_role') . 'SELECT count(*) FROM claim_due_health_checks()'), 0, 'and no check once more');
	$load->start($standby->connstr($db));
	$load->wait_for(10_000);
	$load->finish;
	($missing) = $load->missing(rows($standby, $db, Load::history_query()));
	is(join("\n", @$missing), '', 'recording goes on there');
	invariants_hold($standby, $db, 'and the invariants stay true');
	$standby->stop;
}

note('Logical replication');
{
	my $publisher = new_cluster('publisher', 'wal_level = logical', 'max_wal_senders = 10', 'max_replication_slots = 10');
	my $subscriber = new_cluster('subscriber');
	new_database($_, $db) for $publisher, $subscriber;
	$publisher->safe_psql($db, as_role('service_role') . join('', map { record(1, 'xledger', $_) . record(2, 'xledger', $_) } qw(healthy unhealthy)));
	$publisher->safe_psql($db, $schedules);
	$publisher->safe_psql($db, "INSERT INTO integration_sync_runs (org_id, integration_type, scheduled_for, attempt, outcome, started_at, finished_at, cold_start)
		VALUES ('${\org(1)}', 'dynamics', now() - interval '40 days', 3, 'failed', now() - interval '40 days', now() - interval '40 days', true)");
	$publisher->safe_psql($db, 'CREATE PUBLICATION health FOR TABLE ' . join(', ', @tables));
	$subscriber->safe_psql($db, "CREATE SUBSCRIPTION health CONNECTION '" . $publisher->connstr($db) =~ s/'/''/gr . "' PUBLICATION health");
	$subscriber->wait_for_subscription_sync($publisher, 'health', $db);
	my $same = sub {
		my ($name) = @_;
		$publisher->wait_for_catchup('health');
		for my $table (@tables)
		{
			is(join("\n", table_rows($subscriber, $db, 'public', $table)), join("\n", table_rows($publisher, $db, 'public', $table)), "$name: the same $table");
		}
		is(value($subscriber, $db, 'SELECT count(*) FROM integration_health_counts'), 0, "$name: nothing was counted over there");
	};
	$same->('copied');
	is(join(' ', rows($publisher, $db, $claim . $finish)), '1 t|1 succeeded', 'a check is handed out, a sync succeeds');
	is(value($publisher, $db, as_role('service_role') . "SELECT dispatch_sync_warm_ups('1 day')"), 2, 'two workers are called');
	$publisher->safe_psql($db, as_role('service_role') . join('', map { record(1, 'xledger', 'degraded') . record(3, 'dynamics', 'healthy') } 1 .. 120)
		  . "DELETE FROM integration_health_status WHERE org_id = '${\org(2)}'; SELECT integration_health_cleanup('1 day');");
	$same->('applied');
	$publisher->safe_psql($db, 'TRUNCATE integration_health_status');
	$same->('truncated');
	is(join(' ', rows($subscriber, $db, $claim)), '1 f|1', 'over there the other check is handed out, and the sync that has succeeded to nobody');
	is(value($subscriber, $db, as_role('service_role') . "SELECT dispatch_sync_warm_ups('1 day')"), 0, 'and no worker is called again');

	# A publication of all tables, as Supabase's Realtime can make it, requires replica identities.
	$publisher->safe_psql($db, 'CREATE PUBLICATION everything FOR ALL TABLES');
	$publisher->safe_psql($db, $schedules);
	is(sqlstate($publisher, $db, as_role('service_role') . $_), '00000', "with all tables published: $_")
	  for record(1, 'xledger', 'healthy') . record(1, 'xledger', 'unhealthy') . record(1, 'xledger', 'healthy'),
	  'SELECT integration_health_compact()', 'SELECT integration_health_cleanup()', 'SELECT mark_stale_health()',
	  $claim, $finish, "SELECT dispatch_sync_warm_ups('1 day')",
	  'UPDATE integration_monitors SET enabled = false', 'DELETE FROM integration_monitors', 'DELETE FROM integration_sync_schedules',
	  "DELETE FROM integration_health_status WHERE org_id = '${\org(1)}'";
	$publisher->wait_for_catchup('health');
	$subscriber->safe_psql($db, 'DROP SUBSCRIPTION health');
	$_->stop for $subscriber, $publisher;
}

done_testing();
