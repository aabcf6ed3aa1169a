# Races on the first check of a pair: four clients record the same new pairs in the same order, by
# different statements; no error, each check once. 10,000 races.
use strict;
use warnings;
use IntegrationHealth;
use PostgreSQL::Test::Utils;
use Test::More;

my $pairs = 2500;
my $node = new_cluster('races');
my $db = 'races';
new_database($node, $db);

my $columns = '(org_id, integration_type, status)';
my $dir = PostgreSQL::Test::Utils::tempdir();
my @statements = (
	sub { "SELECT FROM record_health_check('$_[0]', 'xledger', 'healthy');" },
	sub { "SELECT record_health_checks('[{\"org_id\": \"$_[0]\", \"integration_type\": \"xledger\", \"status\": \"degraded\"}]');" },
	sub { "INSERT INTO integration_health_status $columns VALUES ('$_[0]', 'xledger', 'unhealthy') ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status;" },
	sub { "INSERT INTO integration_health_status $columns VALUES ('$_[0]', 'xledger', 'unknown') ON CONFLICT DO NOTHING;" });
my (@clients, @errors);
for my $client (0 .. 3)
{
	append_to_file("$dir/$client.sql", as_role('service_role')
		  . join("\n", map { $statements[ ($client + $_) % 4 ]->(org($_)) } 1 .. $pairs));
	$errors[$client] = '';
	push @clients, IPC::Run::start([ 'psql', '-Xqo', '/dev/null', '-d', $node->connstr($db), '-f', "$dir/$client.sql" ],
		'2>', \$errors[$client]);
}
$_->finish for @clients;
is(join('', @errors), '', 4 * $pairs . ' races on first inserts, without an error');
is(join(' ', rows($node, $db, 'SELECT DISTINCT check_no IN (3, 4) FROM integration_health_status')), 't',
	'three or four checks of each pair: DO NOTHING records if it is the first');
is(value($node, $db, 'SELECT count(*) FROM integration_health_status'), $pairs, 'every pair is there');
is(value($node, $db, "SELECT count(*) FROM integration_health_history WHERE status = 'unknown' AND check_no > 1"), 0,
	'DO NOTHING on a pair that is there leaves no history row');
invariants_hold($node, $db, 'the invariants are true');

$node->stop;
done_testing();
