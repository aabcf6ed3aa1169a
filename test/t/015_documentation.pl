# The SQL of the documentation: every ```sql block of the README and of docs/ runs in psql, in the order of the page, and
# prints the ```text block that follows it, where one does. Comments in the pages direct the test:
#   <!-- test: database KIND -->  a new database and a new session; KIND is a key of %databases
#   <!-- test: as WHO -->         the blocks from here on run as that caller, a key of %callers
#   <!-- test: skip REASON -->    the next block cannot run in a test
# Blocks in other languages are test/rest/documentation.test.mjs's, or not run. Links are followed, too.
use strict;
use warnings;
use IntegrationHealth;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = $ENV{TESTDIR};
my @pages = ('README.md', 'SECURITY.md', map { s{^\Q$dir\E/}{}r } glob("$dir/docs/*.md $dir/examples/*/README.md"));

# The languages that blocks may have. A block without a language would be hidden from the tests.
my %languages = map { $_ => 1 } qw(sql js ts json text sh dockerfile ini);

# Blocks of SQL that cannot run, on all pages.
my $not_run = 0;

my $org = '11111111-1111-4111-8111-111111111111';

# Who calls, as PostgREST would make it of a request. Each name is what a page says: "as ...".
my %callers = (
	superuser => '',
	owner => 'SET ROLE ih_owner;',
	service_role => as_role('service_role'),
	member => as_role('authenticated', qq({"app_metadata": {"org_id": "$org"}})),
	global_admin => as_role('authenticated', '{"app_metadata": {"role": "global_admin"}}'));

my @cron = ("shared_preload_libraries = 'pg_cron'", 'cron.use_background_workers = on');
my $plain = new_server('plain', @cron);
my $supabase = new_cluster('supabase', @cron);
$supabase->safe_psql('postgres', 'CREATE ROLE supabase_auth_admin');

# The databases that pages begin with: the server, and what fills them.
my %databases = (
	# on a plain PostgreSQL server
	plain => [ $plain, sub { } ],
	# on a server like Supabase's
	supabase => [ $supabase, sub { $supabase->safe_psql($_[0], 'CREATE PUBLICATION supabase_realtime') } ],
	# the same, with the extension in public
	extension => [ $supabase, sub { $supabase->safe_psql($_[0], create_extension('public')) } ],
	# the same, to schedule jobs: the owner may use pg_cron, even if it is not a superuser
	jobs => [ $supabase, sub {
		$supabase->safe_psql($_[0], create_extension('public')
			  . (is_trusted() ? 'CREATE EXTENSION pg_cron; GRANT USAGE ON SCHEMA cron TO ih_owner' : ''));
	} ],
	# the same, with the migration of the trusted edition
	migration => [ $supabase, sub {
		local $ENV{IH_OWNER} = 'ih_owner';
		$supabase->safe_psql($_[0], "\\set schema public\n" . slurp_file("$dir/test/fixtures/owner.sql")
			  . slurp_file("$dir/migrations/public.sql")
			  . 'RESET ROLE; CREATE EXTENSION pg_cron; GRANT USAGE ON SCHEMA cron TO ih_owner; ALTER ROLE ih_owner LOGIN');
	} ]);

# Tests of the last database of a page, of what is true after it has run besides what it shows.
my %afterwards = (
	'docs/hosted.md' => sub {
		my ($node, $db) = @_;
		is(value($node, $db, <<'SQL'), '', 'docs/hosted.md: nothing is left of the migration');
SELECT string_agg(pg_describe_object(d.classid, d.objid, 0), ', ') FROM (
  SELECT 'pg_class'::regclass AS classid, oid AS objid FROM pg_class WHERE relnamespace = 'public'::regnamespace
  UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace
  UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typnamespace = 'public'::regnamespace
  UNION ALL SELECT 'pg_namespace'::regclass, oid FROM pg_namespace WHERE nspname LIKE 'integration%') AS d
SQL
		is(value($node, $db, 'SELECT count(*) FROM cron.job'), 0, 'nor a job');
	},
	'docs/operations.md' => sub {
		my ($node, $db) = @_;
		is(value($node, $db, q{SELECT (SELECT count(*) FROM cron.job), (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'integration%')}),
			'0|0', 'docs/operations.md: uninstalling leaves no job and no schema');
	});

# new_session(KIND, NAME) makes a database, which pg_cron may be installed in.
sub new_session
{
	my ($kind, $name) = @_;
	my ($node, $fill) = @{ $databases{$kind} // BAIL_OUT("$name: no kind of database has the name $kind") };
	$node->append_conf('postgresql.conf', "cron.database_name = '$name'");
	$node->restart;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, slurp_file("$dir/test/fixtures/supabase.sql")) if $node == $supabase;
	$fill->($name);
	return { node => $node, database => $name, script => '', blocks => [] };
}

# without_padding(TEXT) is what psql prints without the blanks at the end of lines, which editors take away.
sub without_padding { return $_[0] =~ s/[ \t]+$//gmr =~ s/\A\n+|\n+\z//gr }

# run_session(SESSION) tests that each of its blocks runs without an error, or prints what the page shows.
sub run_session
{
	my ($session) = @_;
	return unless $session && @{ $session->{blocks} };
	my $out = '';
	IPC::Run::run([ 'psql', '-Xq', '-d', $session->{node}->connstr($session->{database}) ],
		'<', \$session->{script}, '>&', \$out);
	my @printed = split(/^===\n/m, $out, -1);
	is(scalar @printed, @{ $session->{blocks} } + 1, "$session->{database}: psql came to the end") or diag($out);
	for my $block (@{ $session->{blocks} })
	{
		my $printed = without_padding(shift(@printed) // 'nothing: psql has ended');
		if (defined $block->{shown})
		{
			is($printed, without_padding($block->{shown}), "$block->{name}: prints what is shown");
		}
		else
		{
			unlike($printed, qr/^(ERROR|FATAL|PANIC|psql|invalid command|\\\w+: )|nothing: psql/m, "$block->{name}: runs");
		}
	}
	return;
}

for my $page (@pages)
{
	my $text = slurp_file("$dir/$page");
	my ($session, $skip, $last, $sessions);
	my $name = lc($page =~ s/\W+/_/gr);

	while ($text =~ /^\ *<!-- test: (?<word>\w+) (?<rest>.*?) -->$|^(?<indent>\ *)```(?<language>[^\n]*)\n(?<body>.*?)^\k<indent>```$/gms)
	{
		my %part = %+;
		my $where = "$page:" . (1 + (substr($text, 0, $-[0]) =~ tr/\n//));
		$part{body} =~ s/^$part{indent}//gm if defined $part{body};
		if (defined $part{word})
		{
			if ($part{word} eq 'database')
			{
				run_session($session);
				$session = new_session($part{rest}, $name . ++$sessions);
			}
			elsif ($part{word} eq 'as')
			{
				my $become = $callers{$part{rest}} // BAIL_OUT("$where: nobody has the name $part{rest}");
				$session->{script} .= "RESET ROLE;\nRESET request.jwt.claims;\n$become\n";
			}
			elsif ($part{word} eq 'skip') { $skip = $part{rest} }
			elsif ($part{word} ne 'schema') { BAIL_OUT("$where: no direction has the name $part{word}") }
			next;
		}

		ok($languages{ $part{language} }, "$where: the block says what language it is in");
		if ($part{language} eq 'sql' && defined $skip)
		{
			note("$where: not run: $skip");
			$not_run++;
			$last = undef;
		}
		elsif ($part{language} eq 'sql')
		{
			BAIL_OUT("$where: in no database") unless $session;
			$last = { name => $where };
			push @{ $session->{blocks} }, $last;
			$session->{script} .= "$part{body}\\echo ===\n";
			like($part{body}, qr/;(?:\s*--[^\n]*)?\s*\z|^\\\w[^\n]*\n\z/m, "$where: the last statement is a whole one");
		}
		elsif ($part{language} eq 'text' && $last) { $last->{shown} = $part{body} }
		$last = undef unless $part{language} eq 'sql';
		$skip = undef;
	}
	run_session($session);
	$afterwards{$page}->($session->{node}, $session->{database}) if $afterwards{$page};
}

is($not_run, 17, 'as many blocks of SQL are not run as are known');

note('Links');
{
	my %files = map { ($_ => 1) } split(/\n/, slurp_file("$dir/files"));
	my %prose = map { ($_ => slurp_file("$dir/$_") =~ s/^```.*?^```$//gmrs) } @pages, 'CONTRIBUTING.md', 'CHANGELOG.md';
	my @broken;

	# anchors(PAGE) are the names that GitHub gives the headings of a page.
	my %anchors;
	while (my ($page, $text) = each %prose)
	{
		$anchors{$page} = { map { (lc(s/[^\w\- ]//gr =~ s/ /-/gr) => 1) } $text =~ /^#+ (.*)$/gm };
	}
	for my $page (sort keys %prose)
	{
		for my $link ($prose{$page} =~ /\]\(([^)\s]+)\)/g)
		{
			next if $link =~ /^(https?|mailto):/;
			my ($path, $anchor) = split(/#/, $link);
			my $target = $path eq '' ? $page : ($page =~ s{[^/]+\z}{}r) . $path;
			1 while $target =~ s{(^|/)(?!\.\./)[^/]+/\.\./}{$1};
			push @broken, "$page: $link" unless $files{ $target =~ s{/\z}{}r } && (!defined $anchor || $anchors{$target}{$anchor});
		}
	}
	is(join("\n", @broken), '', 'every link of the documentation leads somewhere');
}

note('The reference');
{
	new_database($supabase, 'reference');
	my @signatures = rows($supabase, 'reference', <<'SQL');
SELECT p.proname || '(' || regexp_replace(replace(replace(replace(pg_get_function_arguments(p.oid),
         'timestamp with time zone', 'timestamptz'), ' DEFAULT ', ' = '), 'NULL', 'null'), '::[a-z_ ]+|,? *OUT .*$', '', 'g') || ')'
  FROM pg_proc AS p
 WHERE p.pronamespace = 'public'::regnamespace AND p.prorettype <> 'trigger'::regtype
   AND (p.proname !~ '^integration_' OR p.proname IN ('integration_health_cleanup', 'integration_health_compact'))
   AND EXISTS (SELECT FROM integration_health_private.objects() AS o (object)
                WHERE to_regprocedure(substring(o.object, '^FUNCTION (.*)')) = p.oid)
 ORDER BY 1
SQL
	cmp_ok(scalar @signatures, '>', 20, 'there are functions that applications call');
	my $reference = slurp_file("$dir/docs/reference.md") =~ s/\s+/ /gr;
	is(join("\n", grep { index($reference, "`$_`") < 0 } @signatures), '', 'the reference has each of them, as it is declared');
	my $readme = slurp_file("$dir/README.md");
	is(join("\n", grep { index($readme, "`$_") < 0 } map { s/\(.*//r } @signatures), '', 'and the README names it');
}

done_testing();
