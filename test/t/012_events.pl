# Events: a listener hears of each transition once, when it is committed, in order, and of nothing else.
# Each payload is valid JSON and short enough for NOTIFY, at its longest, too.
use strict;
use warnings;
use IntegrationHealth;
use JSON::PP qw(decode_json);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('events', 'max_prepared_transactions = 10');
my $db = 'events';
new_database($node, $db);
my $service = as_role('service_role') . "SET client_min_messages = error;\n";
my $listener = $node->background_psql($db);
$listener->query_safe(as_role('service_role') . 'LISTEN integration_health');

# heard() returns the events since the last call, decoded.  What is committed before our own notification
# is heard before it.
my ($calls, $longest) = (0, 0);
sub heard
{
	my ($done, $text) = ('done ' . ++$calls, '');
	$node->safe_psql($db, "NOTIFY integration_health, '$done'");
	for (1 .. 500)
	{
		$text .= $listener->query('SELECT') . "\n";
		last if $text =~ /payload "\Q$done\E"/;
		select(undef, undef, undef, 0.01);
	}
	my @payloads = $text =~ /^Asynchronous notification "integration_health" with payload "(.*)" received from server process with PID \d+\.$/mg;
	fail("the listener hears '$done'") if (pop @payloads // '') ne $done;
	($longest) = sort { $b <=> $a } $longest, map { length } @payloads;
	return map { decode_json($_) } @payloads;
}

# told() returns what heard() returns, abbreviated.
sub told
{
	return join(', ', map {
		my $e = $_;
		my $org = defined $e->{org_id} ? ' ' . ($e->{org_id} =~ s/^[0-]*//r) : '';
		my $what = $e->{event} eq 'status' ? ' ' . ($e->{from} // 'null') . ">$e->{to} $e->{check_no}" : $e->{event} eq 'incident' ? " $e->{what}" : '';
		"$e->{event}$org $e->{integration_type}$what";
	} heard());
}

sub service { return $node->safe_psql($db, $service . join('', @_)) }

sub batch
{
	my $checks = join(', ', map { my ($n, $status, $more) = @$_; sprintf('{"org_id": "%s", "integration_type": "xledger", "status": "%s"%s}', org($n), $status, $more // '') } @_);
	return "SELECT record_health_checks('[$checks]');";
}

note('Transitions');
service(record(1, 'xledger', 'healthy'));
is(told(), 'status 1 xledger null>healthy 1', 'the first check comes from null');
service(record(1, 'xledger', 'healthy'), record(1, 'xledger', 'unhealthy'));
is(told(), 'status 1 xledger healthy>unhealthy 3', 'a status that stays is no event');
service(record(1, 'xledger', 'healthy', '2026-01-01'));
is(told(), '', 'nor is a late result');
service('BEGIN;', (map { record(1, 'xledger', $_) } 'healthy', 'unhealthy', 'healthy', 'unhealthy'), 'COMMIT;');
is(told(), join(', ', 'status 1 xledger unhealthy>healthy 5', 'status 1 xledger healthy>unhealthy 6', 'status 1 xledger unhealthy>healthy 7', 'status 1 xledger healthy>unhealthy 8'),
	'each of several in one transaction, in order');
service(batch([ 3, 'healthy' ], [ 1, 'unhealthy' ], [ 2, 'unknown' ], [ 2, 'degraded' ]));
is(join(', ', sort { (split ' ', $a)[1] <=> (split ' ', $b)[1] } split(/, /, told())),
	'incident 1 xledger opened, status 2 xledger null>unknown 1, status 2 xledger unknown>degraded 2, status 3 xledger null>healthy 1', 'a batch, each pair in order');
service("INSERT INTO integration_health_status (org_id, integration_type, status) VALUES ('${\org(3)}', 'xledger', 'unhealthy'), ('${\org(4)}', 'xledger', 'unhealthy') ON CONFLICT DO NOTHING;");
is(told(), 'status 4 xledger null>unhealthy 1', 'ON CONFLICT DO NOTHING: only what was inserted');
service("DELETE FROM integration_health_status WHERE org_id = '${\org(4)}';", record(4, 'xledger', 'healthy'));
is(told(), 'status 4 xledger null>healthy 1', 'a pair that went begins anew');
$node->safe_psql($db, "UPDATE integration_types SET check_interval = '15 minutes'; " . record(5, 'dynamics', 'healthy', '2026-01-01') . 'SELECT mark_stale_health()');
is(told(), 'status 5 dynamics null>healthy 1, status 5 dynamics healthy>unknown 2', 'silence is a transition');

note('At commit, and only then');
my $open = $node->background_psql($db);
$open->query_safe($service . 'BEGIN;' . record(1, 'xledger', 'healthy'));
is(told(), '', 'nothing before the commit');
$open->query_safe('COMMIT;');
is(told(), 'status 1 xledger unhealthy>healthy 10, incident 1 xledger resolved', 'and then once');
$open->query_safe('BEGIN;' . record(1, 'xledger', 'unhealthy') . 'ROLLBACK;');
is(told(), '', 'nothing for ROLLBACK');
$open->query_safe('BEGIN;' . record(1, 'xledger', 'unhealthy') . 'SAVEPOINT a;' . record(1, 'xledger', 'unknown') . 'SAVEPOINT b;' . record(1, 'xledger', 'degraded')
	  . 'RELEASE b; ROLLBACK TO a;' . record(1, 'xledger', 'healthy') . 'RELEASE a; COMMIT;');
is(told(), 'status 1 xledger healthy>unhealthy 11, status 1 xledger unhealthy>healthy 12', 'nothing for ROLLBACK TO SAVEPOINT, all that was released');
$open->query_safe('BEGIN;' . record(1, 'xledger', 'degraded'));
$node->safe_psql($db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'");
eval { $open->quit };
is(told(), '', 'nothing for a session that was killed');
is(sqlstate($node, $db, $service . record(1, 'xledger', 'degraded') . batch([ 1, 'healthy' ], [ 2, 'no such status' ])), '22023', 'a batch fails');
is(told(), 'status 1 xledger healthy>degraded 13', 'and tells nothing of itself');
is(sqlstate($node, $db, $service . prepares() . 'BEGIN;' . record(1, 'xledger', 'healthy') . record(6, 'xledger', 'degraded') . "PREPARE TRANSACTION 'p';"), '00000', 'PREPARE TRANSACTION succeeds');
is(told(), '', 'and tells nothing');
$node->safe_psql($db, "COMMIT PREPARED 'p'");
is(told(), '', 'nor does COMMIT PREPARED');
service(record(1, 'xledger', 'unhealthy'));
is(told(), 'status 1 xledger healthy>unhealthy 15', 'the next transition starts from what it committed');

note('Four sessions at once');
{
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my @statuses = ('healthy', 'degraded', 'unhealthy', 'unknown');
	my ($errors, @clients) = ('');
	srand($ENV{IH_SEED} // 1);
	for my $client (1 .. 4)
	{
		my $sql = $service;
		for (1 .. 50)
		{
			my $kind = int(rand(5));
			my ($first, $second) = map { record(101 + int(rand(8)), 'xledger', $statuses[ rand @statuses ]) } 1 .. 2;
			$sql .= $kind == 0 ? "BEGIN; $first ROLLBACK;\n" : $kind == 1 ? "BEGIN; SAVEPOINT a; $first ROLLBACK TO a; $second COMMIT;\n" : "$first\n$second\n";
		}
		append_to_file("$dir/$client.sql", $sql);
		push @clients, IPC::Run::start([ 'psql', '-Xqo', '/dev/null', '-d', $node->connstr($db), '-f', "$dir/$client.sql" ], '2>>', \$errors);
	}
	$_->finish for @clients;
	is($errors, '', 'without an error');
	my @told = map { my $e = $_; [ $e->{org_id}, $e->{check_no}, $e->{from} // 'null', $e->{to} ] } grep { $_->{event} eq 'status' } heard();
	my (%now, %at, @transitions);
	for (rows($node, $db, "SELECT org_id, check_no, status, extract(epoch FROM checked_at) FROM integration_health_history WHERE org_id > '${\org(100)}' ORDER BY check_no"))
	{
		my ($org, $check_no, $status, $checked_at) = split /\|/;
		next if defined $at{$org} && $checked_at < $at{$org};
		push @transitions, [ $org, $check_no, $now{$org} // 'null', $status ] if ($now{$org} // 'null') ne $status;
		($now{$org}, $at{$org}) = ($status, $checked_at);
	}
	cmp_ok(scalar @transitions, '>', 100, scalar(@transitions) . ' transitions');
	for my $org (sort keys %now)
	{
		my $list = sub { join(', ', map { "$$_[1] $$_[2]>$$_[3]" } grep { $$_[0] eq $org } @_) };
		is($list->(@told), $list->(@transitions), "those of one pair are told once, in order");
	}
}

note('Rate limits');
{
	my @sessions = map { $node->background_psql($db) } 1 .. 2;
	$sessions[ $_ - 1 ]->query_safe($service . 'BEGIN;' . batch([ $_, 'degraded', ', "http_status": 429' ])) for 1, 2;
	$_->query_safe('COMMIT;') for @sessions;
	is(told(), 'status 1 xledger unhealthy>degraded 16, passive xledger', 'two sessions with 429: one switch');
	service(batch([ 2, 'degraded', ', "http_status": 429, "retry_after": 600' ]));
	is(told(), '', 'none for one that is passive, however long');
	service("SELECT resume_active_monitoring('xledger'); SELECT resume_active_monitoring('xledger');");
	is(told(), 'active xledger', 'resumed once');
	service('BEGIN; SAVEPOINT a;', batch([ 2, 'degraded', ', "http_status": 429' ]), 'ROLLBACK TO a; COMMIT;');
	is(told(), '', 'none for what was rolled back');
	$node->safe_psql($db, 'UPDATE integration_types SET passive_until = NULL');
	service("SET timezone = 'Asia/Kolkata'; SET datestyle = 'German';", batch([ 2, 'degraded', ', "http_status": 429, "retry_after": 600' ]));
	my @events = heard();
	is(scalar @events, 1, 'the next switch');
	is(join(' ', map { $events[0]{$_} } 'event', 'integration_type', 'since', 'until'),
		value($node, $db, q(SELECT concat_ws(' ', 'passive', 'xledger', to_char(passive_since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
			to_char(passive_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) FROM integration_types WHERE integration_type = 'xledger') =~ s/\s+/ /gr),
		'tells since and until when, in UTC whatever the session shows');
	service("SELECT resume_active_monitoring('xledger')");
	heard();
	$_->quit for @sessions;
}

note('Syncs');
my $anchor = value($node, $db, "SELECT date_trunc('minute', now()) - interval '1 hour'");
my $claim = sub { "SELECT claimed FROM claim_sync_run('${\org(1)}', 'xledger', timestamptz '$anchor' + interval '$_[0] minutes', cold_start => $_[1]);" };
service("SELECT set_sync_schedule('${\org(1)}', 'xledger', '1 minute', '$anchor', max_attempts => 100, retry_backoff => '0');");
service($claim->(0, 'true'));
my @events = heard();
is(join(' ', map { "$_->{event} $_->{org_id} $_->{integration_type} $_->{attempt}" } @events), "drift ${\org(1)} xledger 1", 'a late sync');
is($events[0]{scheduled_for}, value($node, $db, qq(SELECT to_char(timestamptz '$anchor' AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))), 'with its period');
ok($events[0]{cold_start} && $events[0]{drift_seconds} >= 3600 && $events[0]{drift_seconds} < 3900, 'its drift and that it started cold');
service($claim->(0, 'false'));
is(told(), '', 'nothing for a period that somebody else runs');
service($claim->(58, 'false'), 'BEGIN;', $claim->(2, 'false'), 'ROLLBACK;');
is(told(), '', 'nor for one that is in time, or rolled back');
service("SELECT finish_sync_run('${\org(1)}', 'xledger', '$anchor', 1, 'failed'); SET integration_health.max_drift = '2h';", $claim->(0, 'false'));
is(told(), '', 'what is late is a setting');
service("UPDATE integration_types SET monitoring_mode = 'passive' WHERE integration_type = 'xledger';
	SELECT finish_sync_run('${\org(1)}', 'xledger', '$anchor', 2, 'failed', 'secret'); SELECT finish_sync_run('${\org(1)}', 'xledger', '$anchor', 2, 'failed', 'secret');");
is(told(), 'status 1 xledger degraded>unhealthy 17', 'in passive mode the end of a sync is a transition, once');

note('The longest');
my $type = 'x' x 63;
# half of them take two bytes in JSON
for my $url ('https://' . '"' x 1992, 'http://' . 'a\\' x 996)
{
	$node->safe_psql($db, "INSERT INTO integration_types (integration_type, display_name) VALUES ('$type', 'Long') ON CONFLICT DO NOTHING");
	service("SELECT set_sync_schedule('${\org(7)}', '$type', '1 minute', now() + interval '30 seconds' - interval '1 hour', warm_up_url => '$url');",
		"UPDATE integration_sync_schedules SET warm_up_url = '$url';", 'SELECT dispatch_sync_warm_ups(); SELECT dispatch_sync_warm_ups();');
	@events = grep { $_->{integration_type} eq $type } heard();
	is(join(' ', map { "$_->{event} $_->{org_id} $_->{url}" } @events), "warm_up ${\org(7)} $url", 'a warm-up with a long URL, once');
	ok($events[0]{scheduled_for} =~ /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$/, 'and its period');
}
service("SELECT FROM record_health_check('${\org(7)}', '$type', 'degraded', http_status => 429, error => repeat('\"', 2000));");
is(told(), "status 7 $type null>degraded 1, passive $type", 'a check with the longest error, which is not told');
service("SELECT resume_active_monitoring('$type'); SELECT FROM claim_sync_run('${\org(7)}', '$type', (SELECT anchor FROM integration_sync_schedules WHERE integration_type = '$type'));");
is(told(), "active $type, drift 7 $type", 'and the others');
cmp_ok($longest, '>', 4000, "the longest payload has $longest bytes");
cmp_ok($longest, '<', 8000, 'which NOTIFY can send');

note('Very many');
my $many = sub { "SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', lpad(n::text, 32, '0')::uuid, 'integration_type', 'dynamics', 'status', '$_[0]')))
	FROM generate_series(10001, 10000 + $_[1]) n;" };
for my $case ([ 10000, 'healthy', '' ], [ 10002, 'degraded', 'overflow' ])
{
	my ($n, $status, $last) = @$case;
	service($many->($status, $n));
	my @kinds = map { $_->{event} } heard();
	is(scalar(grep { $_ eq 'status' } @kinds), 10000, "10,000 of the events of $n transitions");
	is(join(' ', grep { $_ ne 'status' } @kinds), $last, $last ? 'and one for the rest' : 'and no other');
}
{
	# A pair that fails for want of a credential is an incident at once: two events.
	service($many->("unhealthy', 'cause', 'auth", 6000));
	my %heard;
	$heard{ $_->{event} }++ for heard();
	is_deeply(\%heard, { status => 5000, incident => 5000, overflow => 1 }, 'those of incidents count, too');
	service($many->('healthy', 6000));
	heard();
}
service('BEGIN; SAVEPOINT a;', $many->('healthy', 10002), 'ROLLBACK TO a;', record(1, 'xledger', 'healthy'), 'COMMIT;');
is(told(), 'status 1 xledger unhealthy>healthy 18', 'what was rolled back does not count');

note('None at all');
service('SET integration_health.notify = off;', record(2, 'xledger', 'healthy'), batch([ 2, 'degraded', ', "http_status": 429' ]),
	"SELECT resume_active_monitoring('xledger');", $claim->(1, 'true'),
	"SELECT set_sync_schedule('${\org(7)}', '$type', '1 minute', now() + interval '20 seconds' - interval '1 hour', warm_up_url => 'http://worker'); SELECT dispatch_sync_warm_ups();");
is(told(), '', 'integration_health.notify = off');
is(value($node, $db, "SELECT status FROM integration_health_status WHERE org_id = '${\org(2)}'"), 'degraded', 'but all is recorded');
invariants_hold($node, $db, 'the invariants are true');
# a row alone, as pg_restore writes it before the history and the counts
$node->safe_psql($db, <<"SQL");
INSERT INTO integration_health_status (org_id, integration_type, status, http_status, status_since, consecutive_failures, checked_at, check_no, recorded_at)
VALUES ('${\org(8)}', 'dynamics', 'unhealthy', 429, now(), 1, now(), 5, now());
SQL
is(told(), '', 'a restored row');
is(value($node, $db, "SELECT monitoring_mode FROM integration_types WHERE integration_type = 'dynamics'"), 'active', 'which switches nothing either');
service(record(8, 'dynamics', 'healthy'));
is(told(), 'status 8 dynamics unhealthy>healthy 6', 'and is followed by events as usual');

$listener->quit;
$node->stop;
done_testing();
