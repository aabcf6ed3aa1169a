# The extension against the reference in PL/pgSQL (test/reference): the same random transactions,
# and the same tables after each of them. IH_SEED repeats a run.
use strict;
use warnings;
use IntegrationHealth;
use RandomOperations;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{IH_SEED} // (time() ^ ($$ << 8)) & 0x7fffffff;
my $operations = $ENV{IH_OPERATIONS} // (full_run() ? 100_000 : 10_000);
my $dir = PostgreSQL::Test::Utils::tempdir();
my $reference = $ENV{TESTDIR} . '/test/reference';

# Commits are not synchronous: the test compares tables, not what is on the disk.
my $node = new_cluster('differential', 'synchronous_commit = off');
new_database($node, 'extension');
new_database($node, 'reference', '');
$node->safe_psql('postgres', 'ALTER DATABASE reference SET search_path = reference, public');
$node->safe_psql('reference', slurp_file("$reference/reference.sql"));
$node->safe_psql($_, slurp_file("$reference/state.sql") . preamble()) for 'extension', 'reference';
$node->safe_psql('postgres', "CREATE DATABASE ${_}_model TEMPLATE $_") for 'extension', 'reference';
my $now = time();

# start(DB, SCRIPT) starts psql on a script, and returns its handle. Its output goes to a file: writing to a pipe that
# nobody reads, it would wait within a transaction, and make serializable ones of the other session fail.
sub start
{
	my ($db, $script) = @_;
	return IPC::Run::start([ 'psql', '-XqAtd', $node->connstr($db), '-f', $script ],
		'>', "$dir/$db.out", '2>', '/dev/null');
}

# outcome(TRANSACTIONS) runs them from the start in both databases, and returns the number of the first
# transaction after which they differ (from 0; undef when none does) and the outputs of it.
sub outcome
{
	my @transactions = @_;
	my $script = "$dir/script.sql";
	my $text = "SET ROLE service_role;\n";
	$text .= "$_\\set ON_ERROR_ROLLBACK off\nSELECT digest();\n\\echo ----\n" for @transactions;
	open(my $file, '>', $script) or die "$script: $!";
	print $file $text;
	close $file;

	my @handles;
	for my $db ('extension', 'reference')
	{
		$node->safe_psql('postgres', "DROP DATABASE $db");
		$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE ${db}_model");
		$node->safe_psql('postgres', 'ALTER DATABASE reference SET search_path = reference, public') if $db eq 'reference';
		push @handles, start($db, $script);
	}
	$_->finish for @handles;
	my @outs = map { slurp_file("$dir/$_.out") } 'extension', 'reference';
	my @got = map { [ split(/^----\n/m, $_) ] } @outs;
	for my $i (0 .. $#transactions)
	{
		my ($extension, $reference) = map { $_->[$i] // 'nothing: the server has gone' } @got;
		return ($i, $extension, $reference) if $extension ne $reference;
	}
	return (undef, @outs);
}

# shrunk(TRANSACTIONS) leaves out transactions that the difference at the end does not need, as far as it
# gets in a minute.
sub shrunk
{
	my @needed = @_;
	my $until = time() + 60;
	for (my $size = int(@needed / 2) || 1; $size >= 1 && time() < $until; $size = int($size / 2))
	{
		for (my $at = 0; $at + $size < @needed && time() < $until;)
		{
			my @fewer = @needed;
			splice(@fewer, $at, $size);
			my ($differs) = outcome(@fewer);
			if (defined $differs) { @needed = @fewer[ 0 .. $differs ] }
			else { $at += $size }
		}
	}
	return @needed;
}

note("IH_SEED=$seed");
my @transactions = random_transactions($seed, $operations, $now);
my ($failed, $extension, $reference_out) = outcome(@transactions);
ok(!defined $failed, "the extension does what the reference does, $operations operations, seed $seed");
if (defined $failed)
{
	diag("IH_SEED=$seed IH_OPERATIONS=$operations: they differ after transaction $failed of $#transactions");
	my @needed = shrunk(@transactions[ 0 .. $failed ]);
	($failed, $extension, $reference_out) = outcome(@needed);
	diag("these do:\n", @needed, "the extension:\n$extension", "the reference:\n$reference_out");
	my @states = map { [ rows($node, $_, 'SELECT line FROM state() ORDER BY line COLLATE "C"') ] } 'extension', 'reference';
	my %count;
	$count{$_}++ for @{ $states[0] };
	$count{$_}-- for @{ $states[1] };
	diag(map { $count{$_} > 0 ? "only in the extension: $_\n" : $count{$_} < 0 ? "only in the reference: $_\n" : () } sort keys %count);
}
else
{
	# The run was long enough: rings went round, and errors occurred.
	my ($longest) = sort { $b <=> $a } $extension =~ /^\S{32} \d+ (\d+)$/mg;
	cmp_ok($longest, '>', 192, 'rings have gone round') if $operations >= 10_000;
	my %codes;
	$codes{$1}++ while $extension =~ /^([0-9A-Z]{5}) \d+$/mg;
	note(join(', ', map { "$_: $codes{$_}" } sort keys %codes));
	ok(!(grep { /^(?:XX|40|42|58|57)/ } keys %codes), 'no error but those of wrong data');
}
invariants_hold($node, 'extension', 'the invariants hold', cleaned => 1);

$node->stop;
done_testing();
