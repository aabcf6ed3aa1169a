# Crashes: backends and the postmaster are killed under load; every acknowledged check is there
# afterwards, once, and every invariant is true. IH_FULL=1: 100 kills, 1,000,000 checks.
use strict;
use warnings;
use IntegrationHealth;
use Load;
use PostgreSQL::Test::Utils;
use Test::More;

my ($kills, $checks) = full_run() ? (100, 1_000_000) : (6, 10_000);
my $node = new_cluster('crash', 'restart_after_crash = on', 'max_wal_size = 256MB', 'autovacuum = on');
my $db = 'crash';
new_database($node, $db);

my $load = Load->new(3);
my ($missing, $acknowledged) = ([], 0);
my ($killed, @unsound) = (0);
while ($killed < $kills || $acknowledged < $checks)
{
	$load->start($node->connstr($db));
	$load->wait_for($kills > 6 ? 80_000 : 20_000 + int(rand(40_000)));
	if ($killed % 2)
	{
		crash_and_restart($node);
	}
	else
	{
		my ($pid) = rows($node, $db, "SELECT pid FROM pg_stat_activity WHERE query LIKE 'INSERT INTO integration%' AND pid <> pg_backend_pid()");
		kill 'KILL', $pid if defined $pid;
		$load->finish;
		wait_until_up($node);
	}
	$killed++;
	$load->finish;
	if ($killed % 10 == 0 || $killed == $kills || $kills <= 6)
	{
		($missing, $acknowledged) = $load->missing(rows($node, $db, Load::history_query()));
		last if @$missing;
	}
}
diag("$killed kills, $acknowledged acknowledged checks, ", scalar @$missing, ' lost or doubled') if full_run();
cmp_ok($acknowledged, '>=', $checks, "$killed kills, $acknowledged acknowledged checks");
is(join("\n", @$missing[ 0 .. ($#$missing < 9 ? $#$missing : 9) ]), '', 'every acknowledged check is there, once');
invariants_hold($node, $db, 'every invariant is true');
is(sqlstate($node, $db, as_role('service_role') . record(1, 'xledger', 'healthy')), '00000', 'and monitoring goes on');

$node->stop;
done_testing();
