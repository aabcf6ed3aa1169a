# Fuzzed claims: whatever is in request.jwt.claims, the answer is the rows of the orgs that it names
# where the settings say, or a clean error; never another org's row, never the global reports.
use strict;
use warnings;
use IntegrationHealth;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{IH_SEED} // (time() ^ ($$ << 8)) & 0x7fffffff;
my $documents = full_run() ? 100_000 : is_trusted() ? 5_000 : 20_000;
srand($seed);
note("IH_SEED=$seed");

my $node = new_cluster('claims');
my $db = 'claims';
new_database($node, $db);
my ($own, $foreign) = ('a1b2c3d4-0000-4000-8000-00000000000a', 'f0e1d2c3-0000-4000-8000-00000000000f');
$node->safe_psql($db, as_role('service_role')
	  . join('', map { "SELECT record_health_check('$_', 'xledger', 'unhealthy'); SELECT record_health_check('$_', 'dynamics', 'unhealthy');" } $own, $foreign));

sub pick { return $_[ int(rand(scalar @_)) ] }
sub chance { return rand() < $_[0] }

# Values that look like the foreign org or the admin role, and are neither.
my @near = ("{$foreign", "$foreign,", " $foreign\n", uc($foreign) . '0', substr($foreign, 0, 35), "'$foreign'",
	"%", '*', '', 'null', 'ALL', 'global_admin ', 'Global_Admin', 'global_admin%', "global_admin\\", 'global', "global_admin\0x",
	"x' OR true --", "\x{202e}", "\x{10ffff}", 'a' x 3000, '00000000-0000-0000-0000-000000000000', $own . ' ');

# noise(DEPTH) is any value in which the foreign org and the role occur only where nothing reads them.
sub noise
{
	my ($depth) = @_;
	my $kind = int(rand($depth > 3 ? 6 : 9));
	return pick(@near) if $kind < 3;
	return pick(JSON::PP::true, JSON::PP::false, undef, 0, -1, 1e308, 12345678901234567890) if $kind == 3;
	return $own if $kind == 4;
	return { pick($foreign, 'global_admin') => JSON::PP::true } if $kind == 5;
	return [ map { noise($depth + 1) } 1 .. int(rand(4)) ] if $kind == 6;
	return { map { pick(qw(x y z sub aud email org org_ids roles), 'app_metadata.org_id', 'org_id ', "\0") => noise($depth + 1) } 1 .. int(rand(4)) };
}

# The part of the claims that users can edit: it claims everything that a user might want.
sub user_metadata
{
	return { org_id => $foreign, role => 'global_admin', user_role => ['global_admin'],
		app_metadata => { org_id => [$foreign], role => 'global_admin' } };
}

sub claims
{
	my %claims;
	$claims{user_metadata} = user_metadata() if chance(0.7);
	$claims{raw_user_meta_data} = user_metadata() if chance(0.3);
	$claims{ pick('App_Metadata', 'app_meta', 'app_metadata.org_id', ' org_id', 'ORG_ID', 'org_ids', 'organisation') } = $foreign if chance(0.3);
	$claims{ pick('ROLE', 'roles', 'app_role', 'user_roles', 'admin') } = 'global_admin' if chance(0.3);
	$claims{role} = pick('authenticated', 'service_role', [ 'authenticated', 'admin' ], noise(0)) if chance(0.6);
	$claims{user_role} = pick('editor', noise(0)) if chance(0.3);
	$claims{org_id} = pick($own, [$own], [ $own, $own ], noise(0)) if chance(0.5);
	$claims{app_metadata} = pick({ org_id => $own }, { org_id => [$own], role => 'editor' }, { org_id => noise(1), role => noise(1) },
		{ user_metadata => user_metadata() }, { x => { org_id => $foreign } }, noise(1)) if chance(0.6);
	$claims{ pick(qw(sub iat exp session_id)) } = noise(1) if chance(0.5);
	return \%claims;
}

# Text that is mostly, but not always, JSON.
my $json = JSON::PP->new->allow_nonref->ascii;
sub document
{
	my $kind = rand();
	return $json->encode(noise(0)) if $kind < 0.05;
	return pick('[' x 20_000, '{"org_id":' x 5_000, '{', '{}', '[]', 'null', '""', '{"org_id": "\u0000"}', '{"org_id": "\ud800"}',
		'{"app_metadata": {"org_id": null}}', '{"org_id": {}}', '{"org_id": []}', "{\"org_id\": \"$own\", \"org_id\": []}", "\xef\xbb\xbf{}", ' ',
		"{\"user_metadata\": {\"org_id\": \"$foreign\"}") if $kind < 0.1;
	my $text = $json->encode(claims());
	return $text if $kind < 0.7;

	# Damaged: cut, or with marks inserted in the wrong place. Nothing that is inserted names the foreign org,
	# and the strict reading below detects what a lucky brace moves out of user_metadata.
	for (1 .. 1 + int(rand(3)))
	{
		my $at = int(rand(length $text));
		my $how = int(rand(3));
		substr($text, $at) = '' if $how == 0;
		substr($text, $at, 1) = '' if $how == 1 && $at < length $text;
		substr($text, $at, 0) = pick('{', '}', '[', ']', '"', ':', ',', '\\', 'null', '0', '\u0000', "\n") if $how == 2;
		last if $text eq '';
	}
	return $text;
}

# allowed(TEXT) says by an independent reading whether the foreign org, and the role, are named where
# they count: damage can do that.
sub named
{
	my ($value, $wanted) = @_;
	return 0 unless defined $value;
	return scalar grep { defined $_ && !ref $_ && lc(s/[-{}]//gr) eq lc($wanted =~ s/-//gr) } ref $value eq 'ARRAY' ? @$value : $value;
}

sub allowed
{
	my $claims = eval { $json->decode($_[0]) };
	return (0, 0) unless ref $claims eq 'HASH';
	my $app = ref $claims->{app_metadata} eq 'HASH' ? $claims->{app_metadata} : {};
	my $org = defined $app->{org_id} ? $app->{org_id} : $claims->{org_id};
	my $admin = grep { named($_, 'global_admin') } $app->{role}, $claims->{user_role}, $claims->{role};
	return (named($org, $foreign) ? 1 : 0, $admin ? 1 : 0);
}

my $file = PostgreSQL::Test::Utils::tempdir() . '/documents';
open(my $out, '>:raw', $file) or die $!;
for (1 .. $documents)
{
	my $text = document();
	my ($org, $admin) = allowed($text);
	$text =~ s/([\\\n\r\t])/{ "\\" => "\\\\", "\n" => "\\n", "\r" => "\\r", "\t" => "\\t" }->{$1}/ge;
	print $out "$_\t$text\t$org\t$admin\n";
}
close $out;

$node->safe_psql($db, <<"SQL");
CREATE TABLE document (id int, claims text, names_foreign int, names_admin int);
CREATE TABLE finding (id int, question text, answer text);
GRANT SELECT ON document TO authenticated;
GRANT INSERT ON finding TO authenticated;
\\copy document FROM '$file'
-- ask() notes the answer, a SQLSTATE or a number of rows, to one question of a session.
CREATE FUNCTION ask(document int, question text) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
  answer bigint;
BEGIN
  EXECUTE question INTO answer;
  IF answer <> 0 THEN INSERT INTO finding VALUES (document, question, 'rows'); END IF;
EXCEPTION WHEN OTHERS THEN
  INSERT INTO finding VALUES (document, question, SQLSTATE);
END \$\$;
SQL
my @foreign = ("SELECT count(*) FROM integration_health_status WHERE org_id = '$foreign'",
	"SELECT count(*) FROM integration_health_history WHERE org_id <> '$own'",
	"SELECT count(*) FROM get_org_health_status('$foreign')", "SELECT count(*) FROM get_health_trend('$foreign', 'xledger')",
	"SELECT integration_health_can_read('$foreign')::int");
my @global = ('SELECT count(*) FROM get_global_health_summary()', 'SELECT count(*) FROM get_global_health_problems()');
my @own = ("SELECT count(*) FROM get_org_health_status('$own')", "SELECT count(*) FROM integration_health_status");
my $questions = join(', ', map { "'" . s/'/''/gr . "'" } @foreign, @global, @own);
my ($stdout, $err);
$node->psql($db, <<"SQL", stdout => \$stdout, stderr => \$err, on_error_stop => 1, timeout => 600);
SET ROLE authenticated;
DO \$\$
DECLARE
  d record;
  q text;
BEGIN
  FOR d IN SELECT id, claims FROM document LOOP
    PERFORM set_config('request.jwt.claims', d.claims, true);
    FOREACH q IN ARRAY ARRAY[$questions] LOOP
      PERFORM ask(d.id, q);
    END LOOP;
  END LOOP;
END \$\$;
SQL
is($err, '', "$documents documents are read without a crash");
is(value($node, $db, 'SELECT count(*) FROM document'), $documents, 'all of them');

sub findings
{
	my ($questions, $where) = @_;
	my $list = join(', ', map { "'" . s/'/''/gr . "'" } @$questions);
	return join("\n", rows($node, $db, "SELECT question, answer, left(claims, 300) FROM finding JOIN document USING (id)
		WHERE question IN ($list) AND $where ORDER BY id LIMIT 5"));
}
is(findings(\@foreign, "answer = 'rows' AND names_foreign = 0"), '', 'no row of an org that the claims do not name');
is(findings(\@global, "answer = 'rows' AND names_admin = 0"), '', 'no global report without the role');
is(findings([ @foreign, @global, @own ], "answer NOT IN ('rows', '22023', '42501')"), '', 'clean errors only');
is(findings(\@global, "answer NOT IN ('rows', '22023', '42501')"), '', 'also from the global reports');
is(findings([ grep { /FROM integration_health_/ } @foreign, @own ], "answer <> 'rows'"), '', 'and none from a table');
is(value($node, $db, "SELECT count(*) FROM document d WHERE NOT EXISTS (SELECT FROM finding f WHERE f.id = d.id AND question LIKE '%summary%')"), 0,
	'every document without the role is refused by the global reports');
cmp_ok(value($node, $db, "SELECT count(*) FROM finding WHERE answer = 'rows' AND question LIKE '%get_org_health_status(''$own%'"), '>',
	$documents / 10, 'many documents name the own org, and it is shown');
cmp_ok(value($node, $db, "SELECT count(DISTINCT id) FROM finding WHERE answer = '22023'"), '>', $documents / 10, 'many are malformed');
note(join(' ', rows($node, $db, 'SELECT answer, count(*) FROM finding GROUP BY 1 ORDER BY 1')));

$node->stop;
done_testing();
