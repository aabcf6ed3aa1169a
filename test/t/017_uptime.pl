# Uptime and incidents of random checks, with late ones, deleted pairs and maintenance, are what a count of all minutes
# comes to, minute by minute, from all checks as the test has kept them. IH_SEED repeats a run.
use strict;
use warnings;
use integer;
use IntegrationHealth;
use List::Util qw(max min sum0);
use POSIX qw(strftime tzset);
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{IH_SEED} // (time() ^ ($$ << 8)) & 0x7fffffff;
my $rounds = full_run() ? 60 : 6;
my $db = 'uptime';
srand($seed);
note("IH_SEED=$seed");

my $node = new_cluster('uptime', 'synchronous_commit = off');
new_database($node, $db);
$node->safe_psql($db, "INSERT INTO integration_types (integration_type, display_name) VALUES ('never', 'A type without pairs')");
my @orgs = map { org($_) } 1 .. 5;
my @types = qw(dynamics xledger);
my @statuses = qw(healthy degraded unhealthy unknown);
my @zones = qw(UTC Europe/Oslo America/New_York Asia/Kolkata Australia/Lord_Howe);
my $reader = as_role('authenticated', sprintf('{"org_id": ["%s"], "user_role": "global_admin"}', join('", "', @orgs)));

# The last whole minute; all times are minutes of Unix time, and all checks are made between six days and one minute before it.
my $latest = value($node, $db, 'SELECT floor(extract(epoch FROM now()) / 60)');
my $earliest = $latest - 6 * 1440;

# What the test keeps: $checks{"ORG TYPE"} is a list of [minute, status] of the checks of a pair that is there, in the order of their
# recording; @maintenance is a list of [org, type, first minute, first minute after it], with '' for all.
my (%checks, @maintenance);

sub pick { return $_[ int(rand(@_)) ] }
sub chance { no integer; return rand() < $_[0] }

# timestamp(MINUTE) is SQL.
sub timestamp { return "to_timestamp(60.0 * $_[0])" }

# some_checks(KEY, N) returns N checks that come next in a pair: most of them later than the last, in streaks of a status.
sub some_checks
{
	my ($key, $n) = @_;
	my $known = $checks{$key} // [];
	my $minute = @$known ? max(map { $_->[0] } @$known) : $earliest + int(rand(4 * 1440));
	my $status = @$known ? $known->[-1][1] : 'healthy';
	my @new;
	for (1 .. $n)
	{
		$status = pick(@statuses) if chance(0.35);
		$minute += pick(0, 1, 5, 15, 15, 15, 30, 60, 240) if @new || @$known;
		last if $minute >= $latest;
		push @new, [ chance(0.06) ? max($earliest, $minute - int(rand(700))) : $minute, $status ];
	}
	return @new;
}

# record_some() returns SQL that records checks of a random pair, one by one or in a batch, and keeps them.
sub record_some
{
	my ($org, $type) = (pick(@orgs), pick(@types));
	my @new = some_checks("$org $type", 1 + int(rand(40)));
	return '' if !@new;
	if (chance(0.5))
	{
		push @{ $checks{"$org $type"} }, @new;
		return join('', map { "SELECT FROM record_health_check('$org', '$type', '$_->[1]', checked_at => ${\timestamp($_->[0])});\n" } @new);
	}
	# A batch is recorded in the order of time; checks of the same time in that of the array.
	push @{ $checks{"$org $type"} }, map { $new[$_] } sort { $new[$a][0] <=> $new[$b][0] || $a <=> $b } 0 .. $#new;
	return "SELECT record_health_checks(jsonb_build_array("
	  . join(', ', map { "jsonb_build_object('org_id', '$org', 'integration_type', '$type', 'status', '$_->[1]', 'checked_at', ${\timestamp($_->[0])})" } @new)
	  . "));\n";
}

# delete_some() returns SQL that deletes a random pair, and forgets it.
sub delete_some
{
	my $key = pick(sort keys %checks) // return '';
	my ($org, $type) = split(/ /, $key);
	delete $checks{$key};
	return "DELETE FROM integration_health_status WHERE org_id = '$org' AND integration_type = '$type';\n";
}

# plan_some() returns SQL that plans maintenance of a pair, an organisation, a type or all, and keeps it.
sub plan_some
{
	my ($org, $type) = (pick(@orgs, @orgs, ''), pick(@types, ''));
	my $from = $earliest - 1440 + int(rand(8 * 1440));
	my $to = $from + 1 + int(rand(pick(10, 300, 3000)));
	push @maintenance, [ $org, $type, $from, $to ];
	return sprintf("SELECT set_maintenance(%s, %s, %s, %s, 'planned');\n", (map { $_ eq '' ? 'NULL' : "'$_'" } $org, $type), timestamp($from), timestamp($to));
}

# counting(KEY) returns the checks of a pair that were not late, in the order of their recording.
sub counting
{
	my ($key) = @_;
	my ($newest, @counting) = (0);
	for my $check (@{ $checks{$key} // [] })
	{
		next if $check->[0] < $newest;
		push @counting, $check;
		$newest = $check->[0];
	}
	return @counting;
}

# minutes(ORG, TYPE, SINCE, UNTIL, BUCKET) goes through all minutes between two times in microseconds, and returns a hash of what they
# come to, in microseconds by status and 'planned' and 'all', for each name that BUCKET gives to a minute.
sub minutes
{
	my ($org, $type, $since, $until, $bucket) = @_;
	my @windows = grep { ($_->[0] eq '' || $_->[0] eq $org) && ($_->[1] eq '' || $_->[1] eq $type) } @maintenance;
	my %change = map { $_->[0] => $_->[1] } counting("$org $type");
	my $first = $since / 60_000_000;
	my ($status, %sums);
	for my $minute (min($earliest, $first) .. $until / 60_000_000)
	{
		$status = $change{$minute} // $status;
		my $length = min(($minute + 1) * 60_000_000, $until) - max($minute * 60_000_000, $since);
		next if $length <= 0;
		my $sum = $sums{ $bucket->($minute) } //= {};
		$sum->{all} += $length;
		if (grep { $_->[2] <= $minute && $minute < $_->[3] } @windows) { $sum->{planned} += $length }
		elsif (defined $status) { $sum->{$status} += $length }
	}
	return \%sums;
}

# percentage(PART, WHOLE) is the percentage as PostgreSQL prints it, rounded down to two decimals.
sub percentage
{
	my ($part, $whole) = @_;
	return '' if $whole == 0;
	my $hundredths = 10_000 * $part / $whole;
	return sprintf('%d.%02d', $hundredths / 100, $hundredths % 100);
}

# shares(SUM) returns uptime_pct and coverage_pct of what minutes() or a sum of it returned.
sub shares
{
	my %sum = ((map { $_ => 0 } @statuses, 'planned', 'all'), %{ $_[0] });
	my $up = $sum{healthy} + $sum{degraded};
	my $known = $up + $sum{unhealthy};
	return (percentage($up, $known), percentage($known, $sum{all} - $sum{planned}));
}

# seconds(SUM) returns the columns healthy_s to planned_s.
sub seconds { return map { ($_[0]{$_} // 0) / 1_000_000 } @statuses, 'planned' }

# repairs(KEY, SINCE, UNTIL) returns the minutes that each incident of a pair took which started, or was open, between two times; undef
# for one that is open.
sub repairs
{
	my ($key, $since, $until) = @_;
	my ($failures, $started, @incidents) = (0);
	for my $check (counting($key))
	{
		my ($minute, $status) = @$check;
		if ($status eq 'unhealthy')
		{
			$started = $minute if ++$failures == 1;
			push @incidents, [$started] if $failures == 2;
		}
		elsif ($status ne 'unknown')
		{
			$incidents[-1][1] = $minute if $failures > 1;
			$failures = 0;
		}
	}
	return map { defined $_->[1] ? $_->[1] - $_->[0] : undef }
	  grep { !defined $_->[1] || $_->[1] * 60_000_000 > $since } @incidents;
}

# outages(REPAIRS) returns the columns incidents, and mttr in milliseconds.
sub outages
{
	my @took = map { $_ * 60_000 } grep { defined } @_;
	return (scalar @_, @took ? sum0(@took) / @took : '');
}

# verify(ROUND) are tests: the reports say what the minutes come to.
sub verify
{
	my ($round) = @_;
	my $columns = "uptime_pct, coverage_pct, healthy_s, degraded_s, unhealthy_s, unknown_s, planned_s, incidents, trunc(extract(epoch FROM mttr) * 1000)";
	my $days = pick(1, 2, 3, 7, 8, 30);
	my $zone = pick(@zones);
	my $date_count = 1 + int(rand(9));
	# In one transaction, so that all have the same now().
	my @rows = rows($node, $db, "${reader}BEGIN;\nSELECT (extract(epoch FROM now()) * 1000000)::bigint;\n"
		. join('', map { "SELECT 'org', '$_', integration_type, $columns FROM get_org_uptime('$_', $days) WHERE integration_type <> 'never';\n" } @orgs)
		. "SELECT 'global', '', integration_type, $columns, pairs FROM get_global_uptime($days);\n"
		. join('', map { my $org = $_; map { "SELECT 'day', '$org', '$_', day, uptime_pct, coverage_pct, worst FROM get_uptime_days('$org', '$_', $date_count, '$zone');\n" } @types } @orgs)
		. 'COMMIT');
	my $until = shift @rows;
	my $since = $until - $days * 86_400_000_000;
	my %got = (org => [], global => [], day => []);
	push @{ $got{ (split(/\|/))[0] } }, $_ for @rows;
	my $what = "round $round, seed $seed";

	my (@org, @global);
	my %total = map { $_ => {} } @types, 'never';
	my %repairs;
	for my $org (@orgs)
	{
		for my $type (@types)
		{
			my $sum = minutes($org, $type, $since, $until, sub { '' })->{''};
			my @took = repairs("$org $type", $since, $until);
			push @org, join('|', 'org', $org, $type, shares($sum), seconds($sum), outages(@took));
			next if !$checks{"$org $type"};
			$total{$type}{$_} += $sum->{$_} for keys %$sum;
			$total{$type}{pairs}++;
			push @{ $repairs{$type} }, @took;
		}
	}
	is(join("\n", @{ $got{org} }), join("\n", @org), "$what: get_org_uptime, $days days");

	for my $type ('never', @types)
	{
		push @global, join('|', 'global', '', $type, shares($total{$type}), seconds($total{$type}), outages(@{ $repairs{$type} // [] }), $total{$type}{pairs} // 0);
	}
	is(join("\n", @{ $got{global} }), join("\n", @global), "$what: get_global_uptime, $days days");

	# Each organisation's seconds are rounded down.
	for my $type (@types)
	{
		my ($global) = map { [ (split(/\|/))[ 5 .. 9, 12 ] ] } grep { (split(/\|/))[2] eq $type } @{ $got{global} };
		my @orgs_of_type = map { [ split(/\|/) ] } grep { /^org\|(\S+)\|\Q$type\E\|/ && $checks{"$1 $type"} } @{ $got{org} };
		my @off = map { my $n = $_; $global->[$n] - sum0(map { $_->[ $n + 5 ] } @orgs_of_type) } 0 .. 4;
		is(join(' ', grep { $_ < 0 || $_ >= max(1, $global->[5]) } @off), '', "$what: get_global_uptime is the sum of all get_org_uptime of $type");
	}

	local $ENV{TZ} = $zone;
	tzset();
	my %date_of;
	my $date = sub { return $date_of{ $_[0] } //= strftime('%Y-%m-%d', localtime(60 * $_[0])) };
	my $today = $date->($until / 60_000_000);
	my @day;
	for my $org (@orgs)
	{
		for my $type (@types)
		{
			my $sums = minutes($org, $type, ($until / 60_000_000 - ($date_count + 1) * 1440) * 60_000_000, $until, $date);
			my @dates = sort keys %$sums;
			for my $day (@dates[ -$date_count .. -1 ])
			{
				my ($worst) = grep { $sums->{$day}{$_} } qw(unhealthy degraded unknown healthy);
				push @day, join('|', 'day', $org, $type, $day, shares($sums->{$day}), $worst // '');
			}
		}
	}
	is(join("\n", @{ $got{day} }), join("\n", @day), "$what: get_uptime_days, $date_count days to $today in $zone");
	return;
}

verify(0);
for my $round (1 .. $rounds)
{
	my $sql = '';
	$sql .= chance(0.04) ? delete_some() : chance(0.08) ? plan_some() : record_some() for 1 .. 30;
	$node->safe_psql($db, as_role('service_role') . "SET client_min_messages = error;\n$sql");
	# The counts are the same, folded or not, and so is the log, cleaned up or not: it is younger than 90 days.
	$node->safe_psql($db, as_role('service_role') . 'SELECT integration_health_compact(), integration_health_cleanup()') if chance(0.3);
	verify($round);
}
cmp_ok(value($node, $db, 'SELECT max(check_no) FROM integration_health_status'), '>', 96, 'some rings have gone round');
cmp_ok(value($node, $db, 'SELECT count(*) FROM integration_health_transitions'), '>', 100, 'there were transitions');
cmp_ok(value($node, $db, 'SELECT count(*) FROM integration_incidents WHERE resolved_at IS NOT NULL'), '>', 5, 'and incidents');
invariants_hold($node, $db, 'the invariants hold', cleaned => 1);

$node->stop;
done_testing();
