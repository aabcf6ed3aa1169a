# Clients that record checks as fast as they can and note each that the server has acknowledged:
# psql prints the rows of a statement when its commit is confirmed, and not before.
package Load;
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Utils;

use constant { BATCH => 20, ORGS => 200, STATEMENTS => 3000 };

# Load->new(CLIENTS) makes what the clients run.  All checks are of one time: none is late, and RETURNING
# shows what was recorded.
sub new
{
	my ($class, $clients) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $self = bless { dir => $dir, clients => $clients, round => 0, files => [], running => [] }, $class;
	for my $client (1 .. $clients)
	{
		my $sql = "SET ROLE service_role;\n";
		for my $n (1 .. STATEMENTS)
		{
			my $from = 1 + int(rand(ORGS - BATCH));
			my $to = $from + BATCH - 1;
			$sql .= "INSERT INTO integration_health_status AS s (org_id, integration_type, status, latency_ms, checked_at) "
			  . "SELECT lpad(o::text, 32, '0')::uuid, 'xledger', (enum_range(NULL::integration_health_state))[1 + (o + $n) % 4], "
			  . "(random() * 1000000000)::int, '2026-01-01Z' FROM generate_series($from, $to) o "
			  . 'ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms, '
			  . "checked_at = EXCLUDED.checked_at RETURNING right(s.org_id::text, 4), s.check_no, s.latency_ms;\n";
			$sql .= "SELECT FROM integration_health_compact();\n" if $n % 50 == 0;
		}
		append_to_file("$dir/client_$client.sql", $sql);
	}
	return $self;
}

# start(CONNSTR) starts the clients.
sub start
{
	my ($self, $connstr) = @_;
	$self->{round}++;
	for my $client (1 .. $self->{clients})
	{
		my $file = "$self->{dir}/acknowledged_$self->{round}_$client";
		append_to_file($file, '');
		push @{ $self->{files} }, $file;
		push @{ $self->{running} },
		  IPC::Run::start([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $connstr, '-f', "$self->{dir}/client_$client.sql" ],
			'>', $file, '2>', '/dev/null');
	}
	return;
}

# wait_for(BYTES) waits until each client of this round has noted that much, or has ended.
sub wait_for
{
	my ($self, $bytes) = @_;
	my $last = $#{ $self->{files} };
	for (1 .. 3000)
	{
		my @slow = grep { -s $self->{files}[$_] < $bytes } $last - $self->{clients} + 1 .. $last;
		return if !@slow || !grep { $_->pumpable } @{ $self->{running} };
		select(undef, undef, undef, 0.02);
	}
	die 'the clients do not get on';
}

# finish() waits for the clients, who may have lost their server.
sub finish
{
	my ($self) = @_;
	$_->finish for @{ $self->{running} };
	$self->{running} = [];
	return;
}

# acknowledged() returns a reference to {org}{check_no} => latency_ms of all that was acknowledged,
# the number of it, and a reference to the list of what was acknowledged twice.
sub acknowledged
{
	my ($self) = @_;
	my (%seen, @twice);
	my $n = 0;
	for my $file (@{ $self->{files} })
	{
		open(my $in, '<', $file) or die "$file: $!";
		while (<$in>)
		{
			next unless /^(\d+)\|(\d+)\|(\d+)\n/;
			push @twice, "$1 $2" if exists $seen{$1}{$2};
			$seen{$1}{$2} = $3;
			$n++;
		}
		close $in;
	}
	return (\%seen, $n, \@twice);
}

# missing(ROWS) compares what was acknowledged with the history, as rows of "org|check_no|latency_ms",
# and returns a list of what is not there, and the number of acknowledged checks.
sub missing
{
	my ($self, @rows) = @_;
	my ($seen, $n, $twice) = $self->acknowledged;
	my (%kept, %newest, @missing);
	for (@rows)
	{
		my ($org, $check_no, $latency) = split /\|/;
		$kept{$org}{$check_no} = $latency;
		$newest{$org} = $check_no if $check_no > ($newest{$org} // 0);
	}
	for my $org (sort keys %$seen)
	{
		for my $check_no (keys %{ $seen->{$org} })
		{
			next if $check_no <= ($newest{$org} // 0) - 96;
			my $latency = $kept{$org}{$check_no} // 'nothing';
			push @missing, "org $org check $check_no: $latency" if $latency ne $seen->{$org}{$check_no};
		}
	}
	return ([ @missing, map { "$_ twice" } @$twice ], $n);
}

sub history_query { return 'SELECT right(org_id::text, 4), check_no, latency_ms FROM integration_health_history' }

1;
