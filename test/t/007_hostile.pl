# Hostile surroundings: whatever a site does to the tables, and whatever a user puts in the way,
# ends in a correct check or in a clean error; never in XX000, a crash, or a look at another org.
use strict;
use warnings;
use IntegrationHealth;
use PostgreSQL::Test::Utils;
use Test::More;

# A crash fails its own test, and not those that follow.
my $node = new_cluster('hostile', 'restart_after_crash = on', 'max_prepared_transactions = 1');
my $db = 'hostile';
new_database($node, $db);
my ($own, $foreign, $nobody) = (org(1), org(2), org(3));
$node->safe_psql($db, as_role('service_role') . join('', map { record(1, 'xledger', 'healthy') . record(2, 'xledger', 'unhealthy') } 1 .. 3));

# Both orgs have a monitor that is due and daily syncs, of which nobody has run the last; the type of the
# syncs is passive, so that they count as checks.
$node->safe_psql($db, as_role('service_role') . <<"SQL");
INSERT INTO integration_types (integration_type, display_name, monitoring_mode) VALUES ('quiet', 'Quiet', 'passive');
SELECT set_monitor(o, 'xledger'), set_sync_schedule(o, 'quiet', '1 day', now() - interval '3 days 1 hour', warm_up_url => 'https://worker.example.com/', retry_backoff => '0')
  FROM unnest('{$own,$foreign}'::uuid[]) o;
RESET ROLE;
UPDATE integration_monitors SET due_at = now() - interval '1 minute';
UPDATE integration_sync_schedules SET due_at = anchor, planned_since = anchor;
INSERT INTO integration_sync_runs (org_id, integration_type, scheduled_for, attempt, outcome, started_at, finished_at, cold_start)
SELECT org_id, integration_type, anchor, 1, 'failed', anchor, now(), false FROM integration_sync_schedules WHERE org_id = '$foreign';
SQL

# attempt(SETUP, ACTION, ROLE) runs both in a transaction that is not kept, the action as ROLE
# (service_role if not given), and returns the SQLSTATE and the message of the first error, and the
# output.
sub attempt
{
	my ($setup, $action, $role) = @_;
	my ($out, $err);
	$node->psql($db, "BEGIN;\n$setup;\nSET ROLE " . ($role // 'service_role') . ";\n$action",
		stdout => \$out, stderr => \$err, on_error_stop => 1,
		extra_params => [ '-q', '-v', 'VERBOSITY=verbose', '-v', 'SHOW_CONTEXT=never' ]);
	my ($state, $text) = $err =~ /(?:ERROR|FATAL|PANIC):\s+([0-9A-Z]{5}): (.*)/ ? ($1, $2)
	  : $err =~ /connection|terminat/ ? ('LOST', $err) : ('00000', '');
	wait_until_up($node) if $state eq 'LOST';
	return ($state, $text, $out);
}

# refused(NAME, SETUP, ACTION, SQLSTATE, TEXT) is a test: the action fails with that SQLSTATE, and a
# message like TEXT.
sub refused
{
	my ($name, $setup, $action, $wanted, $text, $role) = @_;
	my ($state, $message) = attempt($setup, $action, $role);
	is($state, $wanted, "$name: a clean error") or diag($message);
	like($message, $text, "$name: that names what is wrong") if defined $text;
	return;
}

my $check = record(1, 'xledger', 'degraded');
my $newest = "SELECT status, check_no FROM public.integration_health_history WHERE org_id = '$own' ORDER BY check_no DESC LIMIT 1;";

# recorded(NAME, SETUP, ACTION) is a test: the action records check 4 of the pair, with its history.
sub recorded
{
	my ($name, $setup, $action, $role) = @_;
	my ($state, $message, $out) = attempt($setup, ($action // $check) . "\nRESET ROLE;\n$newest", $role);
	like("$state\n$out", qr/^00000\n(?:.*\n)?degraded\|4$/s, "$name: the check is recorded") or diag($message);
	return;
}

# Everything that is done with monitors, schedules and the ledger, and the results.
my $period = "(SELECT public.integration_sync_last_period(s.every, s.anchor, s.time_zone, pg_catalog.now()) FROM public.integration_sync_schedules s WHERE s.org_id OPERATOR(pg_catalog.=) '$own')";
my @work = (
	"SELECT 'a check', pg_catalog.count(*) FROM public.claim_due_health_checks(1);",
	"SELECT 'the other', pg_catalog.count(*) FROM public.claim_due_health_checks(100);",
	"SELECT 'syncs', pg_catalog.count(*) FROM public.get_due_syncs();",
	"SELECT 'a sync', claimed, attempt, (drift OPERATOR(pg_catalog.>) '0') FROM public.claim_sync_run('$own', 'quiet', $period, true);",
	"SELECT 'failed', outcome FROM public.finish_sync_run('$own', 'quiet', $period, 1, 'failed', 'HTTP 500');",
	"SELECT 'again', claimed, attempt FROM public.claim_sync_run('$own', 'quiet', $period);",
	"SELECT 'succeeded', outcome FROM public.finish_sync_run('$own', 'quiet', $period, 2, 'succeeded');",
	"SELECT 'a new monitor', enabled FROM public.set_monitor('$nobody', 'xledger');",
	"SELECT 'a new schedule', enabled FROM public.set_sync_schedule('$nobody', 'xledger', '1 day', pg_catalog.now());",
	"SELECT 'warm-ups', public.dispatch_sync_warm_ups('1 day');",
	"SELECT 'resumed', monitoring_mode FROM public.resume_active_monitoring('quiet');",
	"SELECT 'cleaned', public.integration_health_cleanup();");
my $done = "a check|1\nthe other|1\nsyncs|2\na sync|t|1|t\nfailed|failed\nagain|t|2\nsucceeded|succeeded\na new monitor|t\na new schedule|t\nwarm-ups|2\nresumed|active\ncleaned|0\n"
  . "reports|1|1|1|1|1";
my $quiet = "SET client_min_messages = error;\n";
my $reports = "SET request.jwt.claims = '{\"org_id\": \"$own\", \"user_role\": \"global_admin\"}'; SET ROLE authenticated;
	SELECT 'reports', (SELECT pg_catalog.count(*) FROM public.get_sync_drift('$own')), (SELECT pg_catalog.count(*) FROM public.get_missed_syncs('$own', 48)),
	  (SELECT pg_catalog.count(*) FROM public.integration_sync_runs), (SELECT pg_catalog.sum(succeeded) FROM public.get_global_sync_summary()),
	  (SELECT pg_catalog.count(*) FROM public.get_global_health_problems());";
my $all = $quiet . join("\n", @work, $reports);

# works(NAME, SETUP) is a test: everything in @work works.
sub works
{
	my ($name, $setup) = @_;
	my ($state, $message, $out) = attempt($setup, $all);
	is($out, $done, "$name: monitors and syncs work as ever") or diag("$state $message");
	return;
}

# errors_of(SETUP, SQL...) runs each SQL as the service role after the setup, in transactions that are not kept, and
# returns references to the SQLSTATE, the message, and the SQL of those that end in an error.  What has to
# come before a claim or an end of a sync is run before the setup.
sub errors_of
{
	my ($setup, @sql) = @_;
	my ($out, $err);
	my $script = join('', map { "\\warn ----\nBEGIN; SET ROLE service_role; " . join('', before($_)) . "RESET ROLE;\n$setup;\nSET ROLE service_role;\n$_\nROLLBACK; RESET ROLE;\n" } @sql);
	$node->psql($db, $quiet . $script, stdout => \$out, stderr => \$err, on_error_stop => 0, extra_params => [ '-q', '-v', 'VERBOSITY=verbose', '-v', 'SHOW_CONTEXT=never' ]);
	my (undef, @errors) = split(/^----\n?/m, $err, -1);
	wait_until_up($node) if @errors < @sql;
	return map {
		my $text = $errors[$_] // 'the connection is lost';
		$text =~ /(?:ERROR|FATAL|PANIC):\s+([0-9A-Z]{5}): (.*)/ ? [ $1, $2, $sql[$_] ] : $text =~ /connection|terminat/ ? [ 'LOST', $text, $sql[$_] ] : ()
	} 0 .. $#sql;
}

# bears(NAME, SETUP, SQLSTATES, TEXT, ALL_DONE) is a test: each piece of work is done, or fails with one of
# the SQLSTATEs, a regular expression, and a message like TEXT.  At least one fails, unless SQLSTATES is
# empty; with ALL_DONE, none does.
sub bears
{
	my ($name, $setup, $states, $text, $all_done) = @_;
	my @errors = errors_of($setup, @work, $reports);
	is(join("\n", map { "@$_" } grep { $_->[0] !~ /^(?:$states)$/ || $_->[1] !~ $text } @errors), '', "$name: done, or a clean error that names what is wrong");
	if ($all_done) { is(scalar @errors, 0, "$name: and all is done") }
	elsif ($states ne '') { isnt(scalar @errors, 0, "$name: and not all is done") }
	return;
}

# before(SQL) is the claims and ends of syncs that come before SQL in @work.
sub before
{
	my ($sql) = @_;
	my @before;
	return @before if $sql !~ /_run\(/;
	for (@work) { last if $_ eq $sql; push @before, $_ if /_run\(/ }
	return @before;
}

my $trigger = sub {
	my ($name, $table, $when, $body) = @_;
	return "CREATE FUNCTION site_$name() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN $body END \$\$;"
	  . " CREATE TRIGGER $name $when ON $table FOR EACH ROW EXECUTE FUNCTION site_$name()";
};

note('A site alters the tables');
for my $table ('integration_health_status', 'integration_health_history')
{
	recorded("$table has one more column", "ALTER TABLE $table ADD note text");
	recorded("$table has one more column with a default", "ALTER TABLE $table ADD note text NOT NULL DEFAULT 'x'");
	recorded("$table has lost a column of the site", "ALTER TABLE $table ADD a int, ADD b text; ALTER TABLE $table DROP a");
	recorded("$table has a generated column",
		"ALTER TABLE $table ADD seconds numeric GENERATED ALWAYS AS (latency_ms / 1000.0) STORED");
	recorded("$table has row-level security forced", "ALTER TABLE $table FORCE ROW LEVEL SECURITY");
	refused("$table demands a column that no check has", "ALTER TABLE $table ADD must text; UPDATE $table SET must = 1; ALTER TABLE $table ALTER must SET NOT NULL",
		record(9, 'xledger', 'healthy'), '23502', qr/"must"/);
}
for my $column (qw(org_id integration_type status latency_ms http_status error checked_at status_since
	last_healthy_at consecutive_failures check_no recorded_at))
{
	refused("status without its column $column", "ALTER TABLE integration_health_status RENAME $column TO renamed",
		$check, '42703', qr/"$column"/);
}
for my $column (qw(org_id integration_type slot check_no status latency_ms http_status error checked_at is_late))
{
	refused("history without its column $column", "ALTER TABLE integration_health_history RENAME $column TO renamed",
		$check, '42703', qr/"$column"/);
}
refused("status with another column of the name $_",
	"ALTER TABLE integration_health_status RENAME $_ TO old; ALTER TABLE integration_health_status ADD $_ numeric NOT NULL DEFAULT 1",
	$check, '42804', qr/"$_"/) for qw(org_id status latency_ms error checked_at check_no recorded_at);
refused('history without its key', 'ALTER TABLE integration_health_history DROP CONSTRAINT integration_health_history_pkey',
	$check, '55000', qr/primary key/);
refused('history with a generated error',
	q{ALTER TABLE integration_health_history RENAME error TO old_error;
	  ALTER TABLE integration_health_history ADD error text GENERATED ALWAYS AS ('x' || http_status) STORED},
	$check, '55000', qr/"error"/);
refused('a history table that is gone', 'ALTER TABLE integration_health_history RENAME TO elsewhere', $check, '42P01',
	qr/integration_health_history/);
refused('a label of a status that the extension does not know',
	"ALTER TYPE integration_health_state ADD VALUE 'purple'; COMMIT", record(1, 'xledger', 'purple'), '22023');

# A generated column of the application: its value is there after the trigger only.  Both of these
# are right: an error that names the column, or the value.
{
	my ($state, $message, $out) = attempt(
		q{ALTER TABLE integration_health_status RENAME error TO old_error;
		  ALTER TABLE integration_health_status ADD error text GENERATED ALWAYS AS ('HTTP ' || http_status) STORED},
		"UPDATE integration_health_status SET http_status = 503, checked_at = now() WHERE org_id = '$own';
		 SELECT COALESCE(error, 'lost') FROM integration_health_history WHERE org_id = '$own' ORDER BY check_no DESC LIMIT 1");
	ok(($state ne '00000' && $message =~ /"error"/) || $out eq 'HTTP 503',
		'status with a generated error: the history has the value, or the error names the column')
	  or diag("$state $message $out");
}

note('A site alters the tables of monitors and syncs');
for my $table ('integration_monitors', 'integration_sync_schedules', 'integration_sync_runs')
{
	works("$table has one more column", "ALTER TABLE $table ADD note text");
	works("$table has one more column with a default", "ALTER TABLE $table ADD note text NOT NULL DEFAULT 'x'");
	works("$table has lost a column of the site", "ALTER TABLE $table ADD a int, ADD b text; ALTER TABLE $table DROP a");
	works("$table has a generated column", "ALTER TABLE $table ADD day text GENERATED ALWAYS AS ('x' || integration_type) STORED");
	works("$table has row-level security forced", "ALTER TABLE $table FORCE ROW LEVEL SECURITY");
	works("$table has another trigger", $trigger->('a', $table, 'BEFORE INSERT OR UPDATE', 'RETURN NEW;'));
	bears("$table demands a column that nobody fills", "ALTER TABLE $table ADD must text; UPDATE $table SET must = 1; ALTER TABLE $table ALTER must SET NOT NULL", '23502', qr/"must"/);
	bears("$table is gone", "ALTER TABLE $table RENAME TO elsewhere", '42P01', qr/$table|elsewhere/, $table =~ /monitors/);
}
my %columns = (integration_monitors => [qw(org_id integration_type enabled due_at claimed_at planned_since)],
	integration_sync_schedules => [qw(org_id integration_type every anchor time_zone enabled warm_up_url max_attempts retry_backoff planned_since due_at warm_up_for pruned_until)],
	integration_sync_runs => [qw(org_id integration_type scheduled_for attempt outcome started_at finished_at lease_until cold_start drift error idempotency_key)],
	integration_types => [qw(integration_type check_interval max_backoff monitoring_mode passive_since passive_reason passive_until probes planned_since created_at)]);
# Bodies of standard SQL find a renamed column, and nobody writes generated ones.
my %unnamed = map { $_ => 1 } qw(integration_monitors.planned_since integration_sync_runs.idempotency_key integration_sync_schedules.warm_up_url);
for my $table (sort keys %columns)
{
	for my $column (@{ $columns{$table} })
	{
		bears("$table without its column $column", "ALTER TABLE $table RENAME $column TO renamed", '42703', qr/\b$column\b/, $unnamed{"$table.$column"});
		for my $type ('text', 'integer', 'bytea')
		{
			next if $type eq 'text' && $column =~ /^(?:integration_type|time_zone|warm_up_url|error|idempotency_key|passive_reason)$/ || $type eq 'integer' && $column eq 'attempt';
			my @errors = errors_of("ALTER TABLE $table RENAME $column TO old; ALTER TABLE $table ADD $column $type", @work, $reports, "SELECT set_monitor('$own', 'dynamics');", record(3, 'quiet', 'healthy'),
				"SELECT record_health_checks('[{\"org_id\": \"$own\", \"integration_type\": \"xledger\", \"status\": \"unhealthy\", \"http_status\": 429, \"retry_after\": 9}]'); PREPARE TRANSACTION 'switch'; ROLLBACK PREPARED 'switch';");
			is(join("\n", map { "@$_" } grep { $_->[0] =~ /^(?:LOST|XX|5[78]|22P03)/ } @errors), '', "$table with another column $column, of type $type: done, or a clean error");
		}
	}
}

note('A site adds triggers and rules');
refused('a trigger of the history that returns NULL', $trigger->('a', 'integration_health_history', 'BEFORE INSERT OR UPDATE', 'RETURN NULL;'),
	$check, '55000', qr/history/);
refused('a trigger of the history that changes the number', $trigger->('a', 'integration_health_history', 'BEFORE UPDATE', 'NEW.check_no := 777; RETURN NEW;'),
	$check . "UPDATE integration_health_status SET status = 'healthy', checked_at = now() FROM generate_series(1, 1);" x 100, '55000', qr/history/);
refused('a trigger of the counts that returns NULL', $trigger->('a', 'integration_health_counts', 'BEFORE INSERT', 'RETURN NULL;'),
	$check, '55000', qr/counts/);
refused('a trigger of the history that keeps deleted rows', $trigger->('a', 'integration_health_history', 'BEFORE DELETE', 'RETURN NULL;'),
	"DELETE FROM integration_health_status WHERE org_id = '$own';", '55000', qr/history/);
refused('a trigger of status that runs last', $trigger->('zzz', 'integration_health_status', 'BEFORE INSERT OR UPDATE', 'RETURN NEW;'),
	$check, '55000', qr/"zzz"/);
refused('a trigger of status that changes the key', $trigger->('a', 'integration_health_status', 'BEFORE UPDATE', "NEW.org_id := '$foreign'; RETURN NEW;"),
	$check, '22023', qr/"org_id"/);
refused('a trigger of status that writes the row itself',
	$trigger->('a', 'integration_health_status', 'BEFORE UPDATE',
		"IF pg_trigger_depth() = 1 THEN UPDATE public.integration_health_status SET status = 'unknown'; END IF; RETURN NEW;"),
	$check, '27000', undef, 'postgres');
recorded('a trigger of status that changes what is recorded',
	$trigger->('a', 'integration_health_status', 'BEFORE INSERT OR UPDATE', "NEW.status := 'degraded'; RETURN NEW;"),
	record(1, 'xledger', 'healthy'));
recorded('a trigger of status that meddles with the kept columns',
	$trigger->('a', 'integration_health_status', 'BEFORE UPDATE', "NEW.check_no := 99; NEW.recorded_at := NULL; RETURN NEW;"));
{
	my (undef, undef, $out) = attempt($trigger->('a', 'integration_health_status', 'BEFORE INSERT OR UPDATE', 'RETURN NULL;'),
		record(1, 'xledger', 'unknown') . $newest);
	is($out =~ s/^\n//r, 'healthy|3', 'a trigger of status that returns NULL: nothing is recorded, in no table');
	(undef, undef, $out) = attempt(
		$trigger->('b', 'integration_health_status', 'AFTER UPDATE',
			"IF pg_trigger_depth() = 1 THEN UPDATE public.integration_health_status SET status = 'unknown', checked_at = now() WHERE org_id = NEW.org_id; END IF; RETURN NULL;"),
		$check . "RESET ROLE; SELECT string_agg(check_no || ' ' || status, ', ' ORDER BY check_no) FROM integration_health_history WHERE org_id = '$own'",
		'postgres');
	like($out, qr/4 degraded, 5 unknown$/, 'a trigger of status that records once more: both are in the history');
}
refused('a rule on status', 'CREATE RULE r AS ON INSERT TO integration_health_status DO ALSO SELECT 1', $check, '0A000');
refused('a rule on the history', 'CREATE RULE r AS ON INSERT TO integration_health_history DO INSTEAD NOTHING', $check, '55000');

{
	my $claimed = "SET ROLE service_role; $quiet $work[3] RESET ROLE";
	refused('a trigger of the runs that returns NULL', $trigger->('a', 'integration_sync_runs', 'BEFORE INSERT', 'RETURN NULL;'), $work[3], '55000', qr/runs/);
	refused('a trigger of the runs that returns NULL for an end', "$claimed;" . $trigger->('a', 'integration_sync_runs', 'BEFORE UPDATE', 'RETURN NULL;'), $work[4], '55000', qr/runs/);
	refused('a trigger of the runs that returns NULL for a further attempt', "SET ROLE service_role; $quiet $work[3] $work[4] RESET ROLE;" . $trigger->('a', 'integration_sync_runs', 'BEFORE UPDATE', 'RETURN NULL;'),
		$work[5], '55000', qr/runs/);
	refused('a trigger of the runs that deletes them', $trigger->('a', 'integration_sync_runs', 'BEFORE UPDATE', 'DELETE FROM public.integration_sync_runs; RETURN NEW;') . ";$claimed", $work[4], '27000', undef, 'postgres');
	refused('a trigger of the monitors that keeps them due', $trigger->('a', 'integration_monitors', 'BEFORE UPDATE', 'NEW.due_at := OLD.due_at; RETURN NEW;'), $work[1], '55000', qr/monitors/);
	refused('a trigger of the monitors that takes the time away', $trigger->('a', 'integration_monitors', 'BEFORE UPDATE', 'NEW.due_at := NULL; RETURN NEW;'), $work[1], '23502', qr/"due_at"/);
	refused('a trigger of the types that returns NULL', $trigger->('a', 'integration_types', 'BEFORE UPDATE', 'RETURN NULL;'), $work[10], '55000', qr/types/);
	my (undef, undef, $out) = attempt($trigger->('a', 'integration_monitors', 'BEFORE UPDATE', 'RETURN NULL;'), $work[1]);
	is($out, 'the other|0', 'a trigger of the monitors that returns NULL: nothing is handed out');
	(undef, undef, $out) = attempt($trigger->('a', 'integration_sync_schedules', 'BEFORE UPDATE', 'RETURN NULL;'), $work[9]);
	is($out, 'warm-ups|0', 'a trigger of the schedules that returns NULL: no worker is called');
	for my $table ('integration_monitors', 'integration_sync_schedules', 'integration_sync_runs')
	{
		bears("a rule on $_ of $table", "CREATE RULE r AS ON $_ TO $table DO INSTEAD NOTHING", '0A000|55000', qr/rule|RETURNING|\b$table\b/) for 'INSERT', 'UPDATE';
	}
}

note('A site alters integration_types');
for my $type ('text', 'date', 'bigint')
{
	refused("created_at becomes a $type", 'SELECT 1', "RESET ROLE; ALTER TABLE integration_types ALTER created_at TYPE $type USING NULL", '0A000', qr/cannot alter type of a column used by/);
}
refused('integration_types without created_at', 'SELECT 1', 'RESET ROLE; ALTER TABLE integration_types DROP created_at', '2BP01', qr/column created_at of table integration_types/);

note('Another owner, and row-level security that binds owners too');
{
	my @tables = (TABLES);
	my $owner = join(';', 'CREATE ROLE site_owner; GRANT ALL ON SCHEMA public TO site_owner',
		map { ("ALTER TABLE $_ OWNER TO site_owner", "ALTER TABLE $_ FORCE ROW LEVEL SECURITY") } @tables);
	recorded('tables of another owner', $owner);
	recorded('a table owner who is the writer', "$owner; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO site_owner;"
		. "CREATE POLICY w ON integration_health_status USING (true)", $check, 'site_owner');
	my ($state, $message) = attempt($owner, "SELECT mark_stale_health(), integration_health_cleanup(), integration_health_compact();
		SELECT record_health_checks('[]'); DELETE FROM integration_health_status; RESET ROLE; TRUNCATE integration_health_status");
	is($state, '00000', 'tables of another owner: every job does its work') or diag($message);
	bears('tables of another owner, who may not call the functions', $owner, '42501', qr/permission denied for (?:function|schema integration_health_private)/);
	works('tables and functions of another owner', "$owner; GRANT USAGE ON SCHEMA integration_health_private TO site_owner; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA integration_health_private TO site_owner; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA integration_health_private TO site_owner; ALTER ROLE site_owner BYPASSRLS; DO \$\$ DECLARE f regprocedure; BEGIN FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace LOOP
		EXECUTE format('ALTER FUNCTION %s OWNER TO site_owner', f); END LOOP; END \$\$");
	for my $table (@tables)
	{
		bears("$table alone of another owner", "CREATE ROLE site_owner; GRANT ALL ON SCHEMA public TO site_owner; ALTER TABLE $table OWNER TO site_owner", $table =~ /sync/ ? '42501' : '', qr/permission denied for/)
		  if $table !~ /history|counts/;
		my ($state, $message) = attempt("CREATE ROLE site_owner; GRANT ALL ON SCHEMA public TO site_owner; ALTER TABLE $table OWNER TO site_owner",
			"$check SELECT mark_stale_health(), integration_health_cleanup(), integration_health_compact();");
		like($state, qr/^(?:00000|42501)$/, "$table alone of another owner: done or refused") or diag($message);
	}
}

note("The trigger functions on other people's tables");
$node->safe_psql($db, <<'SQL');
CREATE ROLE mallory;
CREATE SCHEMA mallory AUTHORIZATION mallory;
GRANT EXECUTE ON FUNCTION integration_health_status_trigger(), integration_health_mode_trigger(),
  integration_types_trigger(), integration_monitors_trigger(), integration_sync_schedules_trigger() TO mallory;
SQL
for my $function ('integration_health_status_trigger', 'integration_health_mode_trigger', 'integration_types_trigger', 'integration_monitors_trigger', 'integration_sync_schedules_trigger')
{
	my $mine = 'SET search_path = mallory, public';
	my @shapes = ('CREATE TABLE mallory.integration_health_status (LIKE public.integration_health_status)',
		'CREATE TABLE mallory.integration_health_status (LIKE public.integration_types)',
		'CREATE TABLE mallory.integration_health_status (a int)',
		'CREATE TABLE mallory.integration_health_status ()',
		'CREATE TABLE mallory.integration_health_status (org_id text, integration_type int, status text, check_no text)');
	for my $shape (@shapes)
	{
		for my $event ('BEFORE INSERT', 'AFTER INSERT', 'BEFORE UPDATE', 'AFTER UPDATE', 'BEFORE DELETE', 'AFTER DELETE')
		{
			my ($state, $message) = attempt("$shape; INSERT INTO mallory.integration_health_status SELECT; ALTER TABLE mallory.integration_health_status OWNER TO mallory" =~ s/INSERT INTO mallory.integration_health_status SELECT; //r,
				"ALTER TABLE integration_health_status ADD extra int; INSERT INTO mallory.integration_health_status (extra) SELECT 1 WHERE false;
				 $mine; CREATE TRIGGER t $event ON mallory.integration_health_status FOR EACH ROW EXECUTE FUNCTION public.$function();
				 ALTER TABLE mallory.integration_health_status DISABLE TRIGGER t;" =~ s/.*?;\n//sr
				  . fire($event), 'mallory');
			like($state, qr/^(?:42809|39P01|23502)$/, "$function, $event, on a table of a user: " . substr($shape, 47)) or diag($message);
		}
	}
	for my $how ('BEFORE INSERT', 'AFTER TRUNCATE', 'BEFORE TRUNCATE', 'AFTER INSERT', 'AFTER UPDATE')
	{
		my ($state, $message) = attempt("$shapes[2]; ALTER TABLE mallory.integration_health_status OWNER TO mallory",
			"CREATE TRIGGER t $how ON mallory.integration_health_status EXECUTE FUNCTION public.$function(); "
			  . ($how =~ /TRUNCATE/ ? 'TRUNCATE' : $how =~ /INSERT/ ? 'INSERT INTO' : 'UPDATE') . ' mallory.integration_health_status'
			  . ($how =~ /INSERT/ ? ' DEFAULT VALUES' : $how =~ /UPDATE/ ? ' SET a = 1' : ''), 'mallory');
		like($state, qr/^(?:42809|39P01)$/, "$function, $how for each statement, on a table of a user") or diag($message);
	}
	refused("$function on a view", 'CREATE VIEW mallory.v AS SELECT 1 AS a; ALTER VIEW mallory.v OWNER TO mallory',
		"CREATE TRIGGER t INSTEAD OF INSERT ON mallory.v FOR EACH ROW EXECUTE FUNCTION public.$function(); INSERT INTO mallory.v VALUES (1)",
		'42809', undef, 'mallory');
	refused("$function with an argument", "$shapes[2]; ALTER TABLE mallory.integration_health_status OWNER TO mallory",
		"CREATE TRIGGER t BEFORE INSERT ON mallory.integration_health_status FOR EACH ROW EXECUTE FUNCTION public.$function('x'); INSERT INTO mallory.integration_health_status VALUES (1)",
		'39P01', undef, 'mallory');
	refused("$function called by SELECT", 'SELECT 1', "SELECT public.$function()", $function =~ /status/ ? '39P01' : '0A000', undef, 'mallory');
	for my $table (TABLES)
	{
		my ($state, $message) = attempt("INSERT INTO integration_maintenance VALUES (gen_random_uuid(), NULL, NULL, now(), now() + interval '1 hour', 'x', NULL, now());
			INSERT INTO integration_health_days VALUES ('$own', 'xledger', 0, '2000-01-01', 1);
			CREATE TRIGGER zzzz BEFORE DELETE ON $table FOR EACH ROW EXECUTE FUNCTION $function()",
			"RESET ROLE; DELETE FROM $table");
		like($state, qr/^(?:42809|39P01)$/, "$function on $table, for an event that it does not serve") or diag($message);
	}
}

# fire(EVENT) is SQL that makes a row event happen on mallory's table, whatever its columns.
sub fire
{
	my ($event) = @_;
	my $t = 'mallory.integration_health_status';
	my $row = "DO \$\$ BEGIN INSERT INTO $t DEFAULT VALUES; EXCEPTION WHEN not_null_violation THEN
		IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = '$t'::regclass AND attname = 'display_name') THEN
		  INSERT INTO $t (integration_type, display_name, check_interval, max_backoff, monitoring_mode, created_at)
		  VALUES ('x', 'X', '1 hour', '1 day', 'active', now());
		ELSE
		  INSERT INTO $t (org_id, integration_type, status, checked_at, status_since, consecutive_failures, check_no, recorded_at)
		  VALUES ('$own', 'xledger', 'healthy', now(), now(), 0, 1, now());
		END IF; END \$\$;";
	my $enable = "ALTER TABLE $t ENABLE TRIGGER t;";
	return "$enable $row" if $event =~ /INSERT/;
	return "$row $enable DELETE FROM $t;" if $event =~ /DELETE/;
	return "$row ALTER TABLE $t ADD extra int; $enable UPDATE $t SET extra = 1;";
}

# A copy of the function in another schema works on the tables of that schema, if it can.
for my $case ([ 'no history', 'SELECT 1', '42P01' ],
	[ 'a history of another shape', 'CREATE TABLE other.integration_health_history (a int)', '42703' ],
	[ 'a history that is a view', 'CREATE VIEW other.integration_health_history AS SELECT 1 AS a', '42703' ])
{
	refused("the trigger function in another schema: $case->[0]",
		"CREATE SCHEMA other; CREATE FUNCTION other.f() RETURNS trigger LANGUAGE c AS '\$libdir/integration_health', 'integration_health_status_trigger';
		 CREATE TYPE other.integration_health_state AS ENUM ('healthy', 'degraded', 'unhealthy', 'unknown');
		 CREATE TABLE other.integration_health_status AS SELECT org_id, integration_type, status::text::other.integration_health_state, latency_ms, http_status,
		   error, checked_at, status_since, last_healthy_at, consecutive_failures, check_no, recorded_at FROM integration_health_status;
		 CREATE TRIGGER t BEFORE UPDATE ON other.integration_health_status FOR EACH ROW EXECUTE FUNCTION other.f(); $case->[1]",
		"RESET ROLE; UPDATE other.integration_health_status SET checked_at = now()", $case->[2]);
}

note('Look-alikes on search_path');
$node->safe_psql($db, <<'SQL');
CREATE SCHEMA evil;
GRANT ALL ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.caught() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'caught' USING ERRCODE = 'P0666'; END $$;
CREATE TABLE evil.integration_types (LIKE public.integration_types);
CREATE TABLE evil.integration_health_status (LIKE public.integration_health_status);
CREATE TABLE evil.integration_health_history (LIKE public.integration_health_history INCLUDING INDEXES);
CREATE TABLE evil.integration_health_counts (LIKE public.integration_health_counts);
CREATE TABLE evil.integration_monitors (LIKE public.integration_monitors);
CREATE TABLE evil.integration_sync_schedules (LIKE public.integration_sync_schedules);
CREATE TABLE evil.integration_sync_runs (LIKE public.integration_sync_runs INCLUDING INDEXES);
CREATE TYPE evil.integration_sync_outcome AS ENUM ('purple');
CREATE TYPE evil.integration_health_state AS ENUM ('purple');
CREATE TYPE evil.integration_monitoring_mode AS ENUM ('purple');
CREATE DOMAIN evil.uuid AS text;
CREATE DOMAIN evil.jsonb AS text;
CREATE DOMAIN evil.interval AS text;
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT CASE WHEN evil.caught() THEN NULL::timestamptz END';
CREATE FUNCTION evil.format(text, VARIADIC "any") RETURNS text LANGUAGE internal AS 'text_format';
DO $$
DECLARE
  t text;
  op text;
BEGIN
  FOREACH t IN ARRAY '{uuid,text,int4,int8,numeric,timestamptz,interval,public.integration_health_state,public.integration_monitoring_mode,public.integration_sync_outcome,bool,"\"char\"",tid,oid,name}'::text[]
  LOOP
    EXECUTE format('CREATE FUNCTION evil.op(%1$s, %1$s) RETURNS boolean LANGUAGE sql AS ''SELECT evil.caught()''',
      CASE WHEN t LIKE '%.%' OR t LIKE '"%' THEN t ELSE 'pg_catalog.' || t END);
    FOREACH op IN ARRAY '{=,<>,<,>,<=,>=,+,-,*,/,%}'::text[]
    LOOP
      EXECUTE format('CREATE OPERATOR evil.%1$s (LEFTARG = %2$s, RIGHTARG = %2$s, FUNCTION = evil.op)', op,
        CASE WHEN t LIKE '%.%' OR t LIKE '"%' THEN t ELSE 'pg_catalog.' || t END);
    END LOOP;
  END LOOP;
END $$;
CREATE FUNCTION evil.op(timestamptz, pg_catalog.interval) RETURNS timestamptz LANGUAGE sql AS 'SELECT CASE WHEN evil.caught() THEN $1 END';
CREATE OPERATOR evil.+ (LEFTARG = timestamptz, RIGHTARG = pg_catalog.interval, FUNCTION = evil.op);
CREATE OPERATOR evil.- (LEFTARG = timestamptz, RIGHTARG = pg_catalog.interval, FUNCTION = evil.op);
GRANT ALL ON ALL TABLES IN SCHEMA evil TO PUBLIC;
SQL
for my $path ('evil, pg_catalog, public', 'evil, public, pg_catalog, pg_temp', 'pg_temp, evil, pg_catalog', q{''})
{
	my $evil = "SET search_path = $path;
		CREATE TEMP TABLE integration_health_history (LIKE public.integration_health_history INCLUDING INDEXES);
		CREATE TEMP TABLE integration_health_counts (LIKE public.integration_health_counts);
		CREATE TEMP TABLE integration_types (LIKE public.integration_types);
		CREATE TEMP TABLE integration_monitors (LIKE public.integration_monitors);
		CREATE TEMP TABLE integration_sync_schedules (LIKE public.integration_sync_schedules);
		CREATE TEMP TABLE integration_sync_runs (LIKE public.integration_sync_runs INCLUDING INDEXES);
		GRANT ALL ON ALL TABLES IN SCHEMA pg_temp TO PUBLIC";
	my $call = "SELECT check_no FROM public.record_health_check('$own', 'xledger', 'degraded');";
	recorded("search_path $path", $evil, "$call RESET search_path;");
	my ($state, $message, $out) = attempt($evil, <<"SQL");
SELECT public.record_health_checks('[{"org_id": "$own", "integration_type": "xledger", "status": "degraded"},
  {"org_id": "$nobody", "integration_type": "dynamics", "status": "unhealthy"},
  {"org_id": "$own", "integration_type": "xledger", "status": "healthy"}]');
UPDATE public.integration_health_status SET status = 'unknown', checked_at = pg_catalog.now();
INSERT INTO public.integration_types (integration_type, display_name) VALUES ('new', 'New');
SELECT public.mark_stale_health(), public.integration_health_cleanup(), public.integration_health_compact();
DELETE FROM public.integration_health_status WHERE org_id OPERATOR(pg_catalog.=) '$nobody';
SET request.jwt.claims = '{"org_id": "$own", "user_role": "global_admin"}';
SET ROLE authenticated;
SELECT * FROM public.get_org_health_status('$own');
SELECT * FROM public.get_health_trend('$own', 'xledger');
SELECT * FROM public.get_global_health_summary();
SELECT * FROM public.get_global_health_problems();
SELECT * FROM public.get_org_uptime('$own');
SELECT * FROM public.get_uptime_days('$own', 'xledger');
SELECT * FROM public.get_latency_days('$own', 'xledger');
SELECT * FROM public.get_global_uptime();
SELECT * FROM public.integration_health_status;
RESET ROLE;
TRUNCATE public.integration_health_status;
SELECT 'look-alikes ' || (SELECT pg_catalog.count(*) FROM evil.integration_health_history) || (SELECT pg_catalog.count(*) FROM evil.integration_health_counts);
SQL
	is($state, '00000', "search_path $path: no operator, type or function of another is called") or diag($message);
	like($out, qr/^look-alikes 00$/m, "search_path $path: no table of another is written");
	($state, $message, $out) = attempt($evil, $all . "\nRESET ROLE; SELECT 'look-alikes', " . join(', ', map { my $table = $_; map { "(SELECT pg_catalog.count(*) FROM $_.$table)" } 'evil', 'pg_temp' }
		  'integration_types', 'integration_monitors', 'integration_sync_schedules', 'integration_sync_runs'));
	is($out, "$done\nlook-alikes" . '|0' x 8, "search_path $path: monitors and syncs work as ever") or diag("$state $message");
	($state, $message) = attempt($evil, "RESET ROLE; SELECT public.grant_integration_health('authenticated', 'service_role');");
	is($state, '00000', "search_path $path: grant_integration_health() finds its functions") or diag($message);
}

note('A false pg_net');
{
	my $false = "CREATE FUNCTION net.http_post(url text, body jsonb DEFAULT '{}', params jsonb DEFAULT '{}', headers jsonb DEFAULT '{}', timeout_milliseconds int DEFAULT 1000)
		RETURNS bigint LANGUAGE plpgsql AS \$\$ BEGIN RAISE 'caught' USING ERRCODE = 'P0666'; END \$\$";
	my %false = (
		"of a user" => "CREATE SCHEMA net AUTHORIZATION mallory; GRANT USAGE ON SCHEMA net TO PUBLIC; SET ROLE mallory; $false; RESET ROLE",
		"of a user in the schema of pg_net" => "CREATE SCHEMA net; GRANT ALL ON SCHEMA net TO PUBLIC; SET ROLE mallory; $false; RESET ROLE",
		"of another result" => 'CREATE SCHEMA net; GRANT USAGE ON SCHEMA net TO PUBLIC; ' . $false =~ s/RETURNS bigint/RETURNS text/r,
		"on search_path" => 'SET search_path = mallory, public; ' . $false =~ s/net\.http_post/mallory.http_post/r);
	for my $name (sort keys %false)
	{
		my ($state, $message, $out) = attempt($false{$name}, $work[9]);
		is("$out $message", 'warm-ups|2 ', "net.http_post $name is not called: the events are sent") or diag($state);
	}
}

note('Every function, called by every role');
{
	my @reader = qw(get_global_health_problems get_global_health_summary get_health_trend get_org_health_status
	  integration_health_can_read integration_health_org_ids
	  integration_health_uncounted integration_sync_key integration_sync_periods integration_sync_last_period
	  integration_sync_next_period integration_sync_is_late get_sync_drift get_missed_syncs get_cold_starts
	  get_global_sync_summary
	  integration_health_private.require_claims integration_health_private.window_start integration_health_private.readable_since integration_health_private.org_health_status
	  integration_health_private.health_trend integration_health_private.backoff integration_health_private.stale_at
	  integration_health_private.usable_time_zone integration_health_private.missed_syncs
	  integration_health_private.sync_drift integration_health_private.missed_syncs_of integration_health_private.cold_starts
	  get_health_jobs integration_health_private.health_jobs_for_admin get_health_metrics get_health_metric_samples
	  integration_health_private.health_samples_for_admin);
	my @writer = qw(integration_health_cleanup integration_health_compact mark_stale_health record_health_check
	  record_health_checks schedule_integration_health_jobs unschedule_integration_health_jobs
	  set_monitor claim_due_health_checks resume_active_monitoring integration_sync_every_is_valid
	  integration_sync_time_zone_is_valid set_sync_schedule get_due_syncs claim_sync_run finish_sync_run
	  dispatch_sync_warm_ups forget_organisation claim_alerts finish_alert integration_health_watch);
	push @writer, map { "integration_health_private.$_" } qw(run_cleanup run_counts run_stale run_warm_up run_watch cleanup_job jobs has_cron
	  health_jobs acknowledge_any add_maintenance cut_maintenance lease_alerts end_lease revive_alert alert_backlog_for_writer
	  health_samples);
	push @reader, map { "integration_health_private.$_" } qw(micros utc_text);
	push @reader, qw(get_org_uptime get_uptime_days get_global_uptime get_latency_days get_org_overview get_org_syncs get_org_incidents get_global_incidents
	  acknowledge_incident get_maintenance get_global_maintenance set_maintenance end_maintenance get_alert_backlog retry_alert);
	push @reader, map { "integration_health_private.$_" } qw(planned_time percentage seconds status_spans incident_times org_uptime require_time_zone uptime_days
	  utc_day day_of_ring latency_days days_start readable_since_days org_incidents org_overview org_syncs maintenance_of acknowledge_own
	  add_maintenance_as_admin cut_maintenance_as_admin alert_backlog_for_admin revive_alert_as_admin);
	push @writer, map { "integration_health_private.$_" } qw(echo send_event entry_rounds record_round record_entries require_known_keys refuse_entry clip_values
	  blame_entry type_names lease_checks lease_run finish_run resume_monitoring take_warm_ups has_http_post);
	if (is_trusted())
	{
		push @reader, map { "integration_health_private.$_" } qw(claimed_orgs raise_problem setting max_drift sends_events);
		push @writer, 'integration_health_private.time_of_check', 'integration_health_private.refuse_key_change';
	}
	my %may = (authenticated => { map { $_ => 1 } @reader }, service_role => { map { $_ => 1 } @reader, @writer },
		anon => {}, mallory => { map { ("integration_${_}_trigger" => 1) } qw(health_status health_mode types monitors sync_schedules) });
	my @functions = rows($node, $db, <<'SQL');
SELECT p.oid::regproc, p.oid, (SELECT string_agg('NULL::' || format_type(t, NULL), ', ' ORDER BY n)
         FROM unnest(p.proargtypes) WITH ORDINALITY AS a (t, n)), p.pronargdefaults
  FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'integration_health'
 WHERE NOT 'internal'::regtype = ANY (p.proargtypes) ORDER BY 1
SQL
	cmp_ok(scalar @functions, '>=', 40, 'the extension has functions');
	for my $role (sort keys %may)
	{
		my (@wrong, @unclean);
		# All in one session: each call is undone.
		my $calls = join('', map {
			my ($name, $oid, $nulls) = split /\|/;
			$nulls = "VARIADIC $nulls" if $name =~ /require_own_triggers|require_all_rows|guard/;
			"SELECT '$name', has_function_privilege('$role', $oid, 'EXECUTE'), * FROM pg_temp.tried('$role', 'SELECT $name($nulls)');\n" } @functions);
		my @tried = rows($node, $db, <<"SQL");
CREATE FUNCTION pg_temp.tried(who text, command text, OUT state text, OUT message text) LANGUAGE plpgsql AS \$\$
BEGIN
  EXECUTE format('SET LOCAL ROLE %I', who);
  EXECUTE command;
  RAISE EXCEPTION USING ERRCODE = 'UD000';
EXCEPTION WHEN OTHERS THEN
  state := replace(SQLSTATE, 'UD000', '00000');
  message := SQLERRM;
END \$\$;
$calls
SQL
		is(scalar @tried, scalar @functions, "$role has tried all functions");
		for (@tried)
		{
			my ($name, $may, $state, $message) = split /\|/;
			push @wrong, $name if ($may eq 't') != ($may{$role}{$name} ? 1 : 0) || $may eq 'f' && $state !~ /^(?:42501|00000)$/;
			push @unclean, "$name $state $message" if $state !~ /^(?:00000|42501|22023|0A000|23502|39P01)$/;
		}
		is("@wrong", '', "$role may call its functions and no other");
		is("@unclean", '', "$role gets clean errors for nulls");
	}
}
for my $role (qw(anon authenticated mallory))
{
	my @done = grep { (attempt('SELECT 1', $_, $role))[0] ne '42501' } map {
		("INSERT INTO $_ (integration_type) SELECT integration_type FROM $_", "INSERT INTO $_ DEFAULT VALUES", "UPDATE $_ SET integration_type = integration_type",
			"DELETE FROM $_", "TRUNCATE $_", "LOCK TABLE $_", "CREATE TRIGGER x BEFORE INSERT ON $_ FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()")
	} TABLES;
	is("@done", '', "$role writes to no table");
	is(value($node, $db, join(' OR ', map { "has_any_column_privilege('$role', '$_', 'REFERENCES')" } TABLES) =~ s/^/SELECT /r),
		'f', "$role cannot make a foreign key, which would tell what is there");
}
{
	my @done = grep { (attempt('SELECT 1', $_))[0] ne '42501' } (
		'INSERT INTO integration_health_history SELECT * FROM integration_health_history',
		'UPDATE integration_health_history SET status = status', 'DELETE FROM integration_health_history',
		'TRUNCATE integration_health_history', 'TRUNCATE integration_health_status',
		'DELETE FROM integration_health_counts', 'INSERT INTO integration_health_counts SELECT * FROM integration_health_counts',
		(map { "UPDATE integration_health_status SET $_ = $_" } qw(status_since last_healthy_at consecutive_failures check_no recorded_at)),
		'INSERT INTO integration_health_status SELECT * FROM integration_health_status',
		'INSERT INTO integration_sync_runs (integration_type) SELECT integration_type FROM integration_sync_runs', 'UPDATE integration_sync_runs SET attempt = attempt', 'DELETE FROM integration_sync_runs',
		(map { "TRUNCATE $_" } qw(integration_types integration_monitors integration_sync_schedules integration_sync_runs)),
		(map { ("UPDATE integration_monitors SET $_ = $_", "INSERT INTO integration_monitors (org_id, integration_type, $_) VALUES ('$nobody', 'xledger', now())") } qw(due_at claimed_at)),
		(map { ("UPDATE integration_sync_schedules SET $_ = $_", "INSERT INTO integration_sync_schedules (org_id, integration_type, every, anchor, $_) VALUES ('$nobody', 'xledger', '1 day', now(), now())") }
			  qw(planned_since due_at warm_up_for pruned_until)),
		q{SELECT grant_integration_health('anon', 'anon')});
	is("@done", '', 'service_role writes to no table, and no column, that the extension keeps');
}

note('Settings');
refused("authenticated sets $_", "LOAD 'integration_health'", "SET $_ = 'x'", '42501', undef, 'authenticated')
  for map { "integration_health.$_" } qw(org_claims role_claims admin_role);
refused("a path that is refused: '$_'", "LOAD 'integration_health'", "RESET ROLE; SET integration_health.org_claims = '$_'", '22023')
  for 'user_metadata.org_id', 'org_id, user_metadata.org_id', 'a.user_metadata', 'raw_user_meta_data.x', '';

# A setting of a module that is not loaded yet can be given any value by anyone.
for my $set ("integration_health.org_claims = 'user_metadata.org_id'", "integration_health.org_claims = 'x'")
{
	my (undef, undef, $out) = attempt("SET ROLE authenticated; SET $set",
		qq{SET request.jwt.claims = '{"user_metadata": {"org_id": "$foreign"}, "x": "$foreign"}';
		   SELECT count(*) FROM integration_health_status; SELECT count(*) FROM get_org_health_status('$foreign')}, 'authenticated');
	is($out, "0\n0", "$set before the module is loaded: it has no effect");
}
is((attempt("SET ROLE authenticated; SET integration_health.admin_role = 'x'",
	q{SET request.jwt.claims = '{"role": "x"}'; SELECT * FROM get_global_health_summary()}, 'authenticated'))[0], '42501',
	'admin_role set before the module is loaded: it has no effect');

note('Texts that could tell one org of another');
{
	my $claims = "SET request.jwt.claims = '{\"org_id\": \"$own\"}'";
	my %role = (authenticated => $claims, bound_writer => "$claims; CREATE ROLE bound_writer; GRANT USAGE ON SCHEMA public TO bound_writer;
		SET client_min_messages = error; SELECT grant_integration_health(NULL, 'bound_writer')");
	for my $role (sort keys %role)
	{
		for my $sql ("SELECT * FROM get_org_health_status('ORG')", "SELECT * FROM get_health_trend('ORG', 'xledger')",
			"SELECT * FROM get_org_uptime('ORG')", "SELECT * FROM get_uptime_days('ORG', 'xledger')", "SELECT * FROM get_latency_days('ORG', 'xledger')",
			"SELECT * FROM get_org_overview('ORG')", "SELECT * FROM get_org_syncs('ORG')",
			"SELECT integration_health_can_read('ORG')", "SELECT * FROM integration_health_status WHERE org_id = 'ORG'",
			"SELECT * FROM record_health_check('ORG', 'xledger', 'healthy')",
			"INSERT INTO integration_health_status (org_id, integration_type, status) VALUES ('ORG', 'xledger', 'healthy')",
			"INSERT INTO integration_health_status (org_id, integration_type, status) VALUES ('ORG', 'xledger', 'healthy') ON CONFLICT DO NOTHING",
			"INSERT INTO integration_health_status (org_id, integration_type, status) VALUES ('ORG', 'nonesuch', 'healthy')",
			"UPDATE integration_health_status SET status = 'unknown' WHERE org_id = 'ORG'",
			(map { ("SELECT * FROM $_ WHERE org_id = 'ORG'", "DELETE FROM $_ WHERE org_id = 'ORG'", "UPDATE $_ SET enabled = false WHERE org_id = 'ORG'", "UPDATE $_ SET org_id = 'ORG'") } 'integration_monitors', 'integration_sync_schedules'),
			"SELECT * FROM integration_sync_runs WHERE org_id = 'ORG'",
			(map { ("INSERT INTO integration_monitors (org_id, integration_type) VALUES ('ORG', '$_')", "INSERT INTO integration_sync_schedules (org_id, integration_type, every, anchor) VALUES ('ORG', '$_', '1 day', now())") } 'xledger', 'quiet', 'nonesuch'),
			"INSERT INTO integration_monitors (org_id, integration_type) VALUES ('ORG', 'xledger') ON CONFLICT DO NOTHING",
			"SELECT * FROM set_monitor('ORG', 'xledger')", "SELECT * FROM set_sync_schedule('ORG', 'quiet', '1 day', now())",
			"SELECT * FROM get_sync_drift('ORG', 720)", "SELECT * FROM get_missed_syncs('ORG', 720)", "SELECT * FROM get_cold_starts('ORG', 720)",
			# A writer works for all organisations, so nothing but its right to call is checked.
			($role eq 'authenticated' ? ("SELECT * FROM claim_sync_run('ORG', 'quiet', now())", "SELECT * FROM finish_sync_run('ORG', 'quiet', now(), 1, 'failed')") : ()),
			"UPDATE integration_health_status SET org_id = 'ORG'", "DELETE FROM integration_health_status WHERE org_id = 'ORG'",
			"SELECT record_health_checks('[{\"org_id\": \"ORG\", \"integration_type\": \"xledger\", \"status\": \"healthy\"}]')")
		{
			my ($there, $absent) = map { my $q = $sql; $q =~ s/ORG/$_/g; join('|', map { s/\Q$foreign\E|\Q$nobody\E/ORG/gr } attempt($role{$role}, $q, $role)) } $foreign, $nobody;
			is($there, $absent, "$role cannot tell an org that is there from one that is not: $sql");
		}
	}
	my $err = error_of($node, $db, "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean COST 0.0001 LANGUAGE plpgsql AS \$\$ BEGIN RAISE NOTICE 'saw %', \$1; RETURN true; END \$\$;
		$claims; SET ROLE authenticated; SELECT * FROM integration_health_status WHERE pg_temp.leak(org_id::text); SELECT * FROM integration_health_history WHERE pg_temp.leak(org_id::text);
		SELECT * FROM integration_monitors WHERE pg_temp.leak('monitor of ' || org_id::text); SELECT * FROM integration_sync_schedules WHERE pg_temp.leak('schedule of ' || org_id::text); SELECT * FROM integration_sync_runs WHERE pg_temp.leak('run of ' || org_id::text)");
	like($err, qr/saw \Q$own\E.*saw monitor of \Q$own\E.*saw schedule of \Q$own/s, 'a leaky function sees the own org');
	unlike($err, qr/\Q$foreign/, 'and no other');
}

invariants_hold($node, $db, 'after all of it the invariants hold');
is(join("\n", grep { /XX000|terminated by signal|TRAP:/ } split(/\n/, slurp_file($node->logfile))), '',
	'and the server logged no crash');
$node->stop;
done_testing();
