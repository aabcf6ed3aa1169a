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
	'tar' => { dump => ['-Ft'], restore => [] },
);

# fill(DB) makes a site's data, most of it as the role that makes it in life.
sub fill
{
	my ($db, $schema) = @_;
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
	# Sizes are known then, and a parallel restore begins with the largest table.
	$node->safe_psql($db, 'VACUUM ANALYZE');
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
		my ($out, $err);
		my $done = IPC::Run::run(\@restore, '>', \$out, '2>', \$err);
		ok($done, "$label: restored");
		is($err, '', "$label: without an error");
		same_tables($node, $source, $node, $target, $schema, "$label: every table has the same rows");
		is_deeply([ extension_acls($node, $target) ], [ extension_acls($node, $source) ],
			"$label: the site's grants are there") unless $how->{data_only};
		monitoring_goes_on($target, $schema, $label);
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
	my ($first, $second) = map { my $text = slurp_file($_); $text =~ s/^\\(?:un)?restrict.*$//mg; $text }
	  ($dump, "$dump-2");
	is($second, $first, 'a dump of what was restored is the same dump');
}

$node->stop;
done_testing();
