# Random transactions of health checks, as psql scripts that mean the same to the extension and to
# the reference.  Times lie half an hour away from every limit that is counted from now().
package RandomOperations;
use strict;
use warnings;
use Exporter qw(import);

our @EXPORT = qw(random_transactions preamble);

my @types = qw(xledger fortnox visma);
my @statuses = qw(healthy healthy degraded unhealthy unhealthy unknown);
my $columns = 'org_id, integration_type, status, latency_ms, http_status, error, checked_at, cause';
my $key = 'org_id, integration_type';
my ($start, $serial);

# preamble() is SQL that both databases run first, as the superuser.
sub preamble
{
	return <<'SQL';
INSERT INTO integration_types (integration_type, display_name, check_interval, monitoring_mode)
VALUES ('fortnox', 'Fortnox', '5 hours', 'active'), ('visma', 'Visma', '1 hour', 'passive');
UPDATE integration_types SET check_interval = '1 hour' WHERE integration_type = 'xledger';
SQL
}

sub pick { return $_[ int(rand(scalar @_)) ] }
sub chance { return rand() < $_[0] }

# A number of an organisation: the low ones live long.
sub org { return sprintf('00000000-0000-0000-0000-%012d', 1 + int(6 * rand() * rand())) }
sub mortal_org { return sprintf('00000000-0000-0000-0000-%012d', 3 + int(rand(4))) }
sub type { return pick(@types) }

# A time, mostly increasing over the run, at times late, rarely now or to come.
sub time_literal
{
	return 'now()' if chance(0.02);
	my $hours = chance(0.97) ? -2 - int(rand(chance(0.9) ? 300 : 45 * 24)) : 2 + int(rand(40));
	return 'to_timestamp(' . ($start + 1800 + 3600 * $hours) . ')';
}

# The application's columns of a check, some of them wrong.
sub values_list
{
	my ($org, $type) = @_;
	my $status = "'" . pick(@statuses) . "'";
	my $latency = pick('NULL', int(rand(5000)));
	my $http = chance(0.03) ? 429 : pick('NULL', 200, 401, 404, 503);
	my $error = pick('NULL', "'timeout " . int(rand(100)) . "'");
	if (chance(0.03))
	{
		my $wrong = int(rand(6));
		$status = 'NULL' if $wrong == 0;
		$latency = -1 if $wrong == 1;
		$http = pick(99, 600) if $wrong == 2;
		$error = "repeat('x', 2001)" if $wrong == 3;
		$type = 'nonesuch' if $wrong == 4;
		$org = undef if $wrong == 5;
	}
	return (defined $org ? "'$org'::uuid" : 'NULL::uuid', "'$type'", "$status\::integration_health_state",
		"$latency\::integer", "$http\::integer", "$error\::text", time_literal(),
		(chance(0.2) ? "'" . pick(qw(auth timeout dns)) . "'" : 'NULL') . '::integration_failure_cause');
}

sub insert_of
{
	my $rows = join(",\n  ", map { '(' . join(', ', values_list(@$_)) . ')' } @_);
	return "INSERT INTO integration_health_status AS s ($columns) VALUES\n  $rows";
}

my $take_all = "ON CONFLICT ($key) DO UPDATE SET org_id = EXCLUDED.org_id, "
  . 'integration_type = EXCLUDED.integration_type, status = EXCLUDED.status, '
  . 'latency_ms = EXCLUDED.latency_ms, http_status = EXCLUDED.http_status, error = EXCLUDED.error, '
  . 'checked_at = EXCLUDED.checked_at, cause = EXCLUDED.cause';
my $returned = 'RETURNING s.status, s.check_no, s.consecutive_failures';

# Several pairs, in any order, at times one of them twice.
sub some_pairs
{
	my @pairs = map { [ org(), type() ] } 1 .. 1 + int(rand(6));
	return @pairs if chance(0.1);
	my %seen;
	return grep { !$seen{"@$_"}++ } @pairs;
}

# Each returns the text of one operation.
my %operations = (
	record => sub {
		my @v = values_list(org(), type());
		return 'SELECT status, check_no, consecutive_failures FROM record_health_check('
		  . join(', ', @v[ 0 .. 6 ]) . ", cause => $v[7]);";
	},
	upsert => sub { return insert_of([ org(), type() ]) . " $take_all $returned;" },
	upsert_without_time => sub {
		return insert_of([ org(), type() ])
		  . " ON CONFLICT ($key) DO UPDATE SET status = EXCLUDED.status $returned;";
	},
	upsert_where => sub {
		return insert_of([ org(), type() ])
		  . " $take_all WHERE s.checked_at < EXCLUDED.checked_at $returned;";
	},
	upsert_many => sub { return insert_of(some_pairs()) . " $take_all $returned;" },
	nothing => sub { return insert_of([ org(), type() ]) . ' ON CONFLICT DO NOTHING;' },
	nothing_many => sub { return insert_of(some_pairs()) . " ON CONFLICT ($key) DO NOTHING $returned;" },
	insert => sub { return insert_of([ mortal_org(), type() ]) . ';' },
	update => sub {
		my ($org, $type) = (org(), type());
		my @v = values_list($org, $type);
		return "UPDATE integration_health_status s SET status = $v[2], latency_ms = $v[3], http_status = $v[4], "
		  . "error = $v[5], checked_at = $v[6], cause = $v[7] WHERE org_id = '$org' AND integration_type = '$type' $returned;";
	},
	update_without_time => sub {
		return "UPDATE integration_health_status s SET status = '" . pick(@statuses)
		  . "' WHERE org_id = '" . org() . "' AND integration_type = '" . type() . "' $returned;";
	},
	update_many => sub {
		return "UPDATE integration_health_status SET status = '" . pick(@statuses) . "', checked_at = "
		  . time_literal() . " WHERE integration_type = '" . type() . "';";
	},
	update_to_itself => sub {
		return "UPDATE integration_health_status SET checked_at = checked_at WHERE org_id = '" . org() . "';";
	},
	change_key => sub {
		return "UPDATE integration_health_status SET " . pick("org_id = '" . mortal_org() . "'",
			"integration_type = '" . type() . "'") . ", checked_at = checked_at WHERE org_id = '" . org() . "';";
	},
	merge => sub {
		my $deletes = chance(0.03);
		my @v = values_list($deletes ? mortal_org() : org(), type());
		my $matched = pick(
			'UPDATE SET status = n.status, checked_at = n.checked_at',
			'UPDATE SET status = n.status, error = n.error',
			'DO NOTHING');
		$matched = 'DELETE' if $deletes;
		return "MERGE INTO integration_health_status s USING (VALUES (" . join(', ', @v) . ")) AS n ($columns)\n"
		  . "  ON s.org_id = n.org_id AND s.integration_type = n.integration_type\n  WHEN MATCHED THEN $matched\n"
		  . "  WHEN NOT MATCHED THEN INSERT ($columns) VALUES (n.org_id, n.integration_type, n.status, "
		  . 'n.latency_ms, n.http_status, n.error, n.checked_at, n.cause);';
	},
	batch => sub {
		my @entries = map {
			my @v = values_list(@$_);
			"(" . join(', ', @v) . ")";
		} some_pairs(), (chance(0.5) ? some_pairs() : ());
		return "SELECT record_health_checks((SELECT jsonb_agg(to_jsonb(e)) FROM (VALUES\n  "
		  . join(",\n  ", @entries) . ") AS e ($columns)));";
	},
	copy => sub {
		my $text = "COPY integration_health_status ($key, status, checked_at) FROM stdin;\n";
		my %seen;
		for (1 .. 1 + int(rand(3)))
		{
			my ($org, $type) = (mortal_org(), type());
			next if $seen{"$org$type"}++;
			my $at = $start + 1800 - 3600 * (2 + int(rand(100)));
			my @t = gmtime($at);
			$text .= join("\t", $org, $type, pick(@statuses), sprintf('%d-%02d-%02dT%02d:%02d:%02dZ',
				$t[5] + 1900, $t[4] + 1, @t[ 3, 2, 1, 0 ])) . "\n";
		}
		return "$text\\.";
	},
	# Some checks are rate limited. retry_after counts from their time, which is in the past, or no check of the batch
	# has one, because the reference records the batch in another order.
	batch_limited => sub {
		my $past = sub { return 'to_timestamp(' . ($start + 1800 - 3600 * (2 + int(rand(50)))) . ')' };
		my $says_time = chance(0.7);
		my $entries = join(",\n  ", map { '(' . join(', ', (values_list(@$_))[ 0 .. 5 ], $past->(), 'NULL::integration_failure_cause') . ', ' . pick(429, 429, 503) . ', ' . ($says_time ? 7200 * (1 + int(rand(20))) : 'NULL') . ')' } some_pairs());
		return "SELECT record_health_checks((SELECT jsonb_agg(to_jsonb(e) - 'n' || jsonb_build_object('http_status', n)) FROM (VALUES\n  "
		  . "$entries) AS e ($columns, n, retry_after)));";
	},
	resume => sub { return "SELECT monitoring_mode, passive_since, passive_reason FROM resume_active_monitoring('" . pick(@types, 'nonesuch') . "');" },
	delete => sub {
		return "DELETE FROM integration_health_status WHERE org_id = '" . mortal_org()
		  . "' AND integration_type = '" . type() . "';";
	},
	delete_many => sub { return "DELETE FROM integration_health_status WHERE org_id >= '" . mortal_org() . "';" },
	half_restored => sub {
		return "RESET ROLE;\nINSERT INTO integration_health_status ($key, status, check_no) VALUES ('" . mortal_org()
		  . "', 'xledger', 'healthy', 5) ON CONFLICT DO NOTHING;\nSET ROLE service_role;";
	},
	cleanup => sub {
		return "SELECT integration_health_cleanup('" . pick(5, 10, 30) . " days');";
	},
	stale => sub { return 'SELECT mark_stale_health();' },
	compact => sub { return 'SELECT FROM integration_health_compact();' },
	# A pending deferred change of mode would keep the table from being truncated, so it is made first.
	truncate => sub {
		return "RESET ROLE;\nSET CONSTRAINTS ALL IMMEDIATE;\nSET CONSTRAINTS ALL DEFERRED;\nTRUNCATE integration_health_status"
		  . pick('', ', integration_health_history, integration_health_transitions, integration_incidents, integration_health_counts') . ";\nSET ROLE service_role;";
	},
	touch_type => sub {
		return "INSERT INTO integration_types (integration_type, display_name) VALUES ('" . type() . "', 'Name "
		  . int(rand(9)) . "') ON CONFLICT (integration_type) DO UPDATE SET display_name = EXCLUDED.display_name;";
	},
	# A pair is deleted and put back by hand, as by a restore; at times one that this
	# very transaction has created.
	restore => sub {
		my $fresh = chance(0.4);
		my ($org, $type) = ($fresh ? mortal_org() : org(), type());
		my $where = "WHERE org_id = '$org'" . ($fresh || chance(0.7) ? " AND integration_type = '$type'" : '');
		my $made = $fresh ? "DELETE FROM integration_health_status $where;\n" . insert_of([ $org, $type ]) . ";\n" : '';
		my $conflict = pick('', 'ON CONFLICT DO NOTHING', $take_all);
		$serial++;
		return <<"SQL";
RESET ROLE;
${made}CREATE TEMP TABLE status_$serial ON COMMIT DROP AS SELECT * FROM integration_health_status $where;
CREATE TEMP TABLE history_$serial ON COMMIT DROP AS SELECT * FROM integration_health_history $where;
CREATE TEMP TABLE log_$serial ON COMMIT DROP AS SELECT * FROM integration_health_transitions $where;
CREATE TEMP TABLE incidents_$serial ON COMMIT DROP AS SELECT * FROM integration_incidents $where;
DELETE FROM integration_health_status $where;
INSERT INTO integration_health_history SELECT * FROM history_$serial;
INSERT INTO integration_health_transitions SELECT * FROM log_$serial;
INSERT INTO integration_incidents SELECT * FROM incidents_$serial;
INSERT INTO integration_health_counts SELECT integration_type, status, 1 FROM status_$serial;
INSERT INTO integration_health_status SELECT * FROM status_$serial $conflict;
SET ROLE service_role;
SQL
	},
	# A restored row that meets an existing row is a further check.
	restore_over => sub {
		return "RESET ROLE;\nINSERT INTO integration_health_status SELECT * FROM integration_health_status "
		  . "WHERE org_id = '" . org() . "' " . pick($take_all, 'ON CONFLICT DO NOTHING', '') . ";\nSET ROLE service_role;";
	},
	restore_all => sub {
		$serial++;
		return <<"SQL";
RESET ROLE;
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
CREATE TEMP TABLE status_$serial ON COMMIT DROP AS SELECT * FROM integration_health_status;
CREATE TEMP TABLE history_$serial ON COMMIT DROP AS SELECT * FROM integration_health_history;
CREATE TEMP TABLE log_$serial ON COMMIT DROP AS SELECT * FROM integration_health_transitions;
CREATE TEMP TABLE incidents_$serial ON COMMIT DROP AS SELECT * FROM integration_incidents;
CREATE TEMP TABLE counts_$serial ON COMMIT DROP AS
  SELECT integration_type, status, count(*) AS n FROM integration_health_status GROUP BY 1, 2;
TRUNCATE integration_health_status;
INSERT INTO integration_health_history SELECT * FROM history_$serial;
INSERT INTO integration_health_transitions SELECT * FROM log_$serial;
INSERT INTO integration_incidents SELECT * FROM incidents_$serial;
INSERT INTO integration_health_counts SELECT integration_type, status, n FROM counts_$serial;
INSERT INTO integration_health_status SELECT * FROM status_$serial;
SET ROLE service_role;
SQL
	},
);

my %weights = (
	record => 12, upsert => 12, upsert_without_time => 2, upsert_where => 2, upsert_many => 8,
	nothing => 4, nothing_many => 3, insert => 6, update => 8, update_without_time => 1, update_many => 3,
	update_to_itself => 2, change_key => 1, merge => 8, batch => 8, batch_limited => 0.5, resume => 3, copy => 4, delete => 2.5,
	delete_many => 0.4, half_restored => 0.5, cleanup => 0.4, stale => 0.5, compact => 1, truncate => 0.03,
	touch_type => 0.5, restore => 3, restore_over => 1, restore_all => 0.3);
my @wheel = map { ($_) x int(100 * $weights{$_}) } sort keys %weights;

# random_transactions(SEED, N, START) returns references to the texts of transactions with N
# operations in all; START is the time of the run in seconds.
sub random_transactions
{
	my ($seed, $n, $now) = @_;
	srand($seed);
	($start, $serial) = ($now, 0);
	my @transactions;
	while ($n > 0)
	{
		my @lines = ("\\set ON_ERROR_ROLLBACK " . (chance(0.6) ? 'on' : 'off'),
			'BEGIN' . pick('', '', ' ISOLATION LEVEL REPEATABLE READ', ' ISOLATION LEVEL SERIALIZABLE') . ';');
		my $savepoints = 0;
		for (1 .. 1 + int(rand(5)))
		{
			if (chance(0.15)) { push @lines, 'SAVEPOINT s;'; $savepoints++ }
			push @lines, "-- $_", $operations{$_}->(), '\\echo :SQLSTATE :ROW_COUNT' for pick(@wheel);
			$n--;
			push @lines, pick('ROLLBACK TO s;', 'RELEASE s;') if $savepoints && chance(0.15);
		}
		push @lines, chance(0.85) ? 'COMMIT;' : 'ROLLBACK;';
		push @transactions, join("\n", @lines) . "\n";
	}
	return @transactions;
}

1;
