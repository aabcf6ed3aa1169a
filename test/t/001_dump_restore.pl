# Dump and restore: every row of every table survives pg_dump in each of its formats, with what a
# site has made of the data, and monitoring goes on afterwards as if nothing had happened.
use strict;
use warnings;
use IntegrationHealth;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('dump');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $port = $node->port;
my $host = $node->host;
$node->safe_psql('postgres', 'CREATE ROLE site_reader; CREATE ROLE site_writer BYPASSRLS');

# The dumps by name: options of pg_dump, and how to restore.
my %dumps = (
	'plain' => { dump => ['-Fp'] },
	'plain in one transaction' => { dump => ['-Fp'], restore => ['-1'] },
	'plain, as INSERTs' => { dump => [ '-Fp', '--inserts' ] },
	'plain, as INSERTs with columns' => { dump => [ '-Fp', '--column-inserts' ] },
	'plain, data only' => { dump => [ '-Fp', '--data-only' ], data_only => 1 },
	'custom' => { dump => ['-Fc'], restore => [] },
	'custom, data only' => { dump => [ '-Fc', '--data-only' ], restore => [], data_only => 1 },
	'directory, restored by two jobs' => { dump => [ '-Fd', '-j2' ], restore => ['-j2'] },
	'directory, data only, as INSERTs' =>
	  { dump => [ '-Fd', '--data-only', '--inserts' ], restore => [], data_only => 1 },
	'directory, restored by four jobs' => { dump => [ '-Fd', '-j2' ], restore => ['-j4'] },
	'custom, the types last' => { dump => ['-Fc'], restore => [], last => 'integration_types' },
	'custom, data only, the types last' =>
	  { dump => [ '-Fc', '--data-only' ], restore => [], data_only => 1, last => 'integration_types' },
	'tar' => { dump => ['-Ft'], restore => [] },
);

# fill(DB) makes a site's data, most of it as the role that makes it in production.
sub fill
{
	my ($db, $schema) = @_;
	fill_schedules($db);
	$node->safe_psql($db, as_role('service_role') . <<"SQL");
INSERT INTO integration_types (integration_type, display_name, check_interval)
VALUES ('fortnox', 'Fortnox "AB"', '1 hour'), ('visma', E'Visma\\twith a tab', '20 minutes');
UPDATE integration_types SET display_name = 'Xledger (site)', check_interval = '45 minutes',
       max_backoff = '2 days' WHERE integration_type = 'xledger';
UPDATE integration_types SET monitoring_mode = 'passive', passive_since = now(),
       passive_reason = 'rate limit' WHERE integration_type = 'visma';
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', '${\org(1)}',
         'integration_type', 'xledger', 'status', (enum_range(NULL::integration_health_state))[n % 4 + 1],
         'latency_ms', n, 'http_status', 200, 'error', E'line\\nof \\\\N ' || n,
         'checked_at', '2026-01-01Z'::timestamptz + n * interval '15 minutes')))
  FROM generate_series(1, 250) n;
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id',
         lpad(org::text, 32, '0')::uuid, 'integration_type', 'fortnox', 'status', 'healthy')))
  FROM generate_series(2, 400) org, generate_series(1, 3) n;
${\ record(3, 'visma', 'unhealthy', '2026-02-01Z')}
${\ record(4, 'visma', 'unhealthy')}
DELETE FROM integration_health_status WHERE org_id = '${\org(40)}';
SQL
	$node->safe_psql($db, "SELECT grant_integration_health('site_reader', 'site_writer');
		SELECT grant_integration_health('authenticated', 'service_role');
		GRANT USAGE ON SCHEMA $schema TO site_reader, site_writer");
	# A parallel restore begins with the largest table, whose size is known after ANALYZE.
	$node->safe_psql($db, 'VACUUM ANALYZE');
	return;
}

# fill_schedules(DB) makes monitors and syncs.  Two of their types have no check: in a restore, a monitor or a
# schedule holds the place for them.  The owner moves times into the past, as if time had passed.
sub fill_schedules
{
	my ($db) = @_;
	$node->safe_psql($db, <<"SQL");
SET ROLE service_role;
INSERT INTO integration_types (integration_type, display_name, check_interval)
VALUES ('limited', 'Limited', '20 minutes'), ('only_monitored', 'Only monitored', '1 hour'),
       ('only_scheduled', 'Only scheduled', '2 hours'), ('backing_off', 'Backing off', '15 minutes');
SELECT record_health_checks(jsonb_build_array(jsonb_build_object('org_id', '${\org(1)}', 'integration_type', 'limited',
         'status', 'unhealthy', 'http_status', 429, 'retry_after', 86400)));
SELECT record_health_check('${\org(1)}', 'backing_off', 'unhealthy') FROM generate_series(1, 6);

SELECT set_monitor('${\org(1)}', t) FROM unnest('{limited,backing_off,xledger}'::text[]) t;
SELECT set_monitor(lpad(org::text, 32, '0')::uuid, 'only_monitored', org <> 9) FROM generate_series(1, 400) org;
RESET ROLE;
UPDATE integration_monitors SET due_at = now() + CASE WHEN org_id < '${\org(12)}' AND integration_type <> 'xledger' THEN interval '-5 minutes' ELSE '1 hour' END,
       claimed_at = CASE integration_type WHEN 'backing_off' THEN now() - interval '20 minutes' END;
SET ROLE service_role;
SELECT FROM claim_due_health_checks(4);

SELECT set_sync_schedule(lpad(org::text, 32, '0')::uuid, 'only_scheduled', '1 day', now() - interval '40 days 6 hours',
         'Europe/Oslo', org <> 9, CASE WHEN org > 10 THEN 'https://worker.example.com/wake?org=' || org END, retry_backoff => '0') FROM generate_series(1, 400) org;
SELECT set_sync_schedule('${\org(1)}', 'xledger', '1 mon', '2026-01-31 02:30Z', retry_backoff => '0');
SELECT set_sync_schedule('${\org(1)}', 'dynamics', '2 days', now() + interval '12 hours', warm_up_url => 'https://worker.example.com/');
SELECT dispatch_sync_warm_ups('1 day');
SET client_min_messages = error;
SELECT claim_sync_run(org_id, integration_type, integration_sync_last_period(every, anchor, time_zone, now()), org_id = '${\org(3)}', '1 day')
  FROM integration_sync_schedules WHERE integration_type = 'only_scheduled' AND org_id < '${\org(4)}';
SELECT finish_sync_run(org_id, integration_type, scheduled_for, 1, CASE org_id WHEN '${\org(1)}' THEN 'succeeded' ELSE 'failed' END::integration_sync_outcome, E'HTTP 500\\n\t')
  FROM integration_sync_runs WHERE org_id < '${\org(3)}';
SELECT claim_sync_run(org_id, integration_type, anchor), finish_sync_run(org_id, integration_type, anchor, 1, 'succeeded')
  FROM integration_sync_schedules WHERE integration_type = 'only_scheduled' AND org_id = '${\org(5)}';
RESET ROLE;
UPDATE integration_sync_runs SET finished_at = started_at - interval '35 days' WHERE org_id = '${\org(5)}';
UPDATE integration_sync_schedules SET due_at = anchor, planned_since = anchor WHERE integration_type = 'only_scheduled' AND org_id BETWEEN '${\org(2)}' AND '${\org(4)}';
SET ROLE service_role;
SELECT integration_health_cleanup();
SQL
	return;
}

# schedules_go_on(DB, NAME) tests that work which was handed out or has succeeded stays so, and the rest is done.
sub schedules_go_on
{
	my ($db, $name) = @_;
	my $one = sub { return join(' ', rows($node, $db, as_role('service_role') . "SET client_min_messages = error; $_[0]")) };
	my $org = 'ltrim(right(org_id::text, 12), \'0\')::int';
	my $last = 'integration_sync_last_period(every, anchor, time_zone, now())';
	my $claim = sub {
		return $one->("SELECT claimed, attempt, outcome FROM integration_sync_schedules s, claim_sync_run(s.org_id, s.integration_type, $last) AS c
			WHERE s.integration_type = 'only_scheduled' AND s.org_id = '${\org($_[0])}'");
	};
	is($one->("SELECT integration_type, count(*), sum(length(org_id::text)) / 36 FROM claim_due_health_checks(1000) GROUP BY 1"), 'only_monitored|6|6',
		"$name: checks that were not handed out before are, and no other");
	is($one->("SELECT count(*) FROM claim_due_health_checks(1000)"), 0, "$name: once");
	is($one->("SELECT monitoring_mode, passive_since IS NULL, passive_until > now() + interval '23 hours' FROM integration_types WHERE integration_type = 'limited'"),
		'passive|f|t', "$name: a passive type waits as long as it was asked to");
	is($one->("SELECT monitoring_mode, passive_since IS NULL, passive_until IS NULL FROM resume_active_monitoring('limited')"),
		'active|t|t', "$name: until it is resumed");
	is($one->("SELECT $org, attempts FROM get_due_syncs() WHERE integration_type = 'only_scheduled' ORDER BY 1"), '2|1 4|0',
		"$name: syncs are due that were so before");
	is($claim->(1), 'f|1|succeeded', "$name: a sync that succeeded is not run again");
	is($claim->(2), 't|2|running', "$name: one that failed is, with the next number");
	is($claim->(3), 'f|1|running', "$name: one that is running is not");
	is($claim->(4), 't|1|running', "$name: one that nobody has run is");
	is($one->("SELECT f.outcome, f.attempt, f.cold_start FROM integration_sync_runs r, finish_sync_run(r.org_id, r.integration_type, r.scheduled_for, 1, 'succeeded') AS f WHERE r.org_id = '${\org(3)}'"),
		'succeeded|1|t', "$name: and ends");
	is(sqlstate($node, $db, as_role('service_role') . "SELECT finish_sync_run(org_id, integration_type, scheduled_for, 1, 'succeeded') FROM integration_sync_runs WHERE org_id = '${\org(2)}'"),
		'55000', "$name: an attempt that was superseded does not");
	is(sqlstate($node, $db, as_role('service_role') . "SELECT claim_sync_run(org_id, integration_type, anchor) FROM integration_sync_schedules WHERE integration_type = 'only_scheduled' AND org_id = '${\org(5)}'"),
		'22023', "$name: a period whose run was cleaned up is not run again");
	is($one->("SELECT dispatch_sync_warm_ups('1 day')"), 0, "$name: no worker is called twice");
	return;
}

# monitoring_goes_on(DB, NAME) records a further check of each sort of pair.
sub monitoring_goes_on
{
	my ($db, $schema, $name) = @_;
	my @next = rows($node, $db, as_role('service_role')
		  . record(1, 'xledger', 'healthy')
		  . record(3, 'visma', 'healthy')
		  . record(4, 'visma', 'degraded')
		  . record(5, 'fortnox', 'unhealthy')
		  . record(77, 'dynamics', 'healthy'));
	is("@next", '251 2 2 4 1', "$name: the next check of a restored pair gets the next number");
	invariants_hold($node, $db, "$name: and one history row, and the counts stay exact",
		schema => $schema);
	return;
}

my $number = 0;
for my $schema ('public', 'ih')
{
	my $source = "source_$schema";
	new_database($node, $source, $schema);
	fill($source, $schema);
	invariants_hold($node, $source, "$schema: what is dumped is sound", schema => $schema);

	for my $name (sort keys %dumps)
	{
		my $how = $dumps{$name};
		my $target = 'target_' . ++$number;
		my $file = "$dir/$target";
		my $label = "$schema, $name";
		next if $schema eq 'ih' && $name =~ /tar|columns|one transaction/;

		command_ok([ 'pg_dump', '-h', $host, '-p', $port, @{ $how->{dump} }, '-f', $file, $source ],
			"$label: pg_dump");
		new_database($node, $target, $how->{data_only} ? $schema : '');
		$node->safe_psql('postgres', "ALTER DATABASE $target SET search_path = $schema, public");

		my @restore =
		  $how->{dump}[0] eq '-Fp'
		  ? ('psql', '-qXh', $host, '-p', $port, '-d', $target, '-f', $file, @{ $how->{restore} // [] })
		  : ('pg_restore', '-h', $host, '-p', $port, '-d', $target, @{ $how->{restore} }, $file);
		if (defined $how->{last})
		{
			my @list = map { "$_\n" } split(/\n/, (run_command([ 'pg_restore', '-l', $file ]))[0]);
			my @last = grep { /TABLE DATA \S+ $how->{last} / } @list;
			is(scalar @last, 1, "$label: it has the rows of $how->{last}");
			my %is_last = map { $_ => 1 } @last;
			append_to_file("$file.list", join('', (grep { !$is_last{$_} } @list), @last));
			splice(@restore, 1, 0, '-L', "$file.list");
		}
		my ($out, $err);
		my $done = IPC::Run::run(\@restore, '>', \$out, '2>', \$err);
		ok($done, "$label: restored");
		is($err, '', "$label: without an error");
		same_tables($node, $source, $node, $target, $schema, "$label: every table has the same rows");
		is_deeply([ extension_acls($node, $target) ], [ extension_acls($node, $source) ],
			"$label: the site's grants are there") unless $how->{data_only};
		monitoring_goes_on($target, $schema, $label);
		schedules_go_on($target, $label);
		$node->safe_psql('postgres', "DROP DATABASE $target");
	}
}

# A second dump of a restored database is the same as the first.
{
	new_database($node, 'again', '');
	my $dump = "$dir/first";
	my @options = ('-h', $host, '-p', $port);
	system_or_bail('pg_dump', @options, '-f', $dump, 'source_public');
	system_or_bail('psql', '-qX', @options, '-d', 'again', '-f', $dump);
	system_or_bail('pg_dump', @options, '-f', "$dump-2", 'again');
	my ($first, $second) = map { my $text = slurp_file($_); $text =~ s/^\\(?:un)?restrict.*$//mg; $text =~ s/Owner: \Kih_owner$/postgres/mg if is_trusted(); $text }
	  ($dump, "$dump-2");
	is($second, $first, 'a dump of what was restored is the same dump');
}

$node->stop;
done_testing();
