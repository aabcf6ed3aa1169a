# Replication: a synchronous standby has every acknowledged check when it is promoted and goes on
# from there; logical replication carries both tables without recording anything twice.
use strict;
use warnings;
use IntegrationHealth;
use Load;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'replicated';
my $admin = as_role('authenticated', '{"org_id": "' . org(1) . '", "user_role": "global_admin"}');

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
	is(value($standby, $db, $admin . "SELECT status FROM get_org_health_status('${\org(1)}') WHERE integration_type = 'dynamics'"),
		'unhealthy', 'the dashboard reads from the standby');
	is(value($standby, $db, $admin . "SELECT count(*) FROM get_health_trend('${\org(1)}', 'dynamics')"), 1, 'and the trend');
	is(value($standby, $db, $admin . "SELECT sum(unhealthy) FROM get_global_health_summary()"), 1, 'and the summary');
	is(value($standby, $db, $admin . "SELECT count(*) FROM get_global_health_problems()"), 1, 'and the problems');
	is(sqlstate($standby, $db, as_role('service_role') . $_), '25006', "it writes nothing: $_")
	  for record(1, 'dynamics', 'healthy'), 'SELECT mark_stale_health()', 'SELECT integration_health_cleanup()', 'SELECT integration_health_compact()';

	my $load = Load->new(2);
	$load->start($primary->connstr($db));
	$load->wait_for(20_000);
	$primary->kill9;
	$load->finish;
	$standby->promote;
	my ($missing, $n) = $load->missing(rows($standby, $db, Load::history_query()));
	cmp_ok($n, '>', 1000, "$n acknowledged checks when the primary died");
	is(join("\n", @$missing), '', 'the promoted standby has every one');
	invariants_hold($standby, $db, 'and its invariants are true');
	$load->start($standby->connstr($db));
	$load->wait_for(20_000);
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
	$publisher->safe_psql($db, 'CREATE PUBLICATION health FOR TABLE integration_health_status, integration_health_history');
	$subscriber->safe_psql($db, "CREATE SUBSCRIPTION health CONNECTION '" . $publisher->connstr($db) =~ s/'/''/gr . "' PUBLICATION health");
	$subscriber->wait_for_subscription_sync($publisher, 'health', $db);
	my $same = sub {
		my ($name) = @_;
		$publisher->wait_for_catchup('health');
		for my $table ('integration_health_status', 'integration_health_history')
		{
			is(join("\n", table_rows($subscriber, $db, 'public', $table)), join("\n", table_rows($publisher, $db, 'public', $table)), "$name: the same $table");
		}
		is(value($subscriber, $db, 'SELECT count(*) FROM integration_health_counts'), 0, "$name: nothing was counted over there");
	};
	$same->('copied');
	$publisher->safe_psql($db, as_role('service_role') . join('', map { record(1, 'xledger', 'degraded') . record(3, 'dynamics', 'healthy') } 1 .. 120)
		  . "DELETE FROM integration_health_status WHERE org_id = '${\org(2)}'; SELECT integration_health_cleanup('1 day');");
	$same->('applied');
	$publisher->safe_psql($db, 'TRUNCATE integration_health_status');
	$same->('truncated');

	# A publication of all tables, as Supabase's Realtime can make it, wants replica identities.
	$publisher->safe_psql($db, 'CREATE PUBLICATION everything FOR ALL TABLES');
	is(sqlstate($publisher, $db, as_role('service_role') . $_), '00000', "with all tables published: $_")
	  for record(1, 'xledger', 'healthy') . record(1, 'xledger', 'unhealthy') . record(1, 'xledger', 'healthy'),
	  'SELECT integration_health_compact()', 'SELECT integration_health_cleanup()', 'SELECT mark_stale_health()',
	  "DELETE FROM integration_health_status WHERE org_id = '${\org(1)}'";
	$subscriber->safe_psql($db, 'DROP SUBSCRIPTION health');
	$_->stop for $subscriber, $publisher;
}

done_testing();
