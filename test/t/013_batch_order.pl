# record_health_checks takes the pairs of a batch in the order of their keys as bytes, as the primary key
# has them, whatever the collation of the database: writers who sort by that take the rows in the same order.
use strict;
use warnings;
use IntegrationHealth;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('batch_order');
$node->safe_psql('postgres',
	"CREATE DATABASE icu TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'");
$node->safe_psql('icu', PostgreSQL::Test::Utils::slurp_file($ENV{TESTDIR} . '/test/fixtures/supabase.sql') . '; CREATE EXTENSION integration_health');
my @types = qw(crm1 crm_x crma dynamics xledger);
isnt(value($node, 'icu', "SELECT string_agg(t, ' ' ORDER BY t) FROM unnest('{@{[ join ',', @types ]}}'::text[]) AS t"), "@types",
	'the collation of the database has another order');

$node->safe_psql('icu', <<'SQL');
INSERT INTO integration_types (integration_type, display_name) VALUES ('crm1', '1'), ('crm_x', '_'), ('crma', 'a');
CREATE TABLE seen (n serial, integration_type text);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO public.seen (integration_type) VALUES (NEW.integration_type); RETURN NEW; END';
CREATE TRIGGER a BEFORE INSERT ON integration_health_status FOR EACH ROW EXECUTE FUNCTION see();
SQL
is(value($node, 'icu', "SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', '${\org(1)}', 'integration_type', t, 'status', 'healthy')))
	FROM unnest('{xledger,crma,crm_x,dynamics,crm1}'::text[]) AS t"), 5, 'a batch in no order');
is(value($node, 'icu', "SELECT string_agg(integration_type, ' ' ORDER BY n) FROM seen"), "@types", 'is taken in the order of the keys');
invariants_hold($node, 'icu', 'the invariants are true');
$node->stop;
done_testing();
