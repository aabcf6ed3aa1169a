-- A row of integration_types that brings created_at along replaces the one of its key, with all of its columns; only for
-- a caller who may update any row.
\i test/fixtures/preamble.sql
CREATE ROLE test_inserter;
SELECT current_schema() AS home \gset
GRANT USAGE ON SCHEMA :"home" TO test_inserter;
GRANT SELECT, INSERT ON integration_types TO test_inserter;
CREATE POLICY test_insert ON integration_types FOR INSERT WITH CHECK (true);
SET ROLE test_inserter;
SELECT t.error($$INSERT INTO integration_types (integration_type, display_name, created_at) VALUES ('xledger', 'mine', '2026-01-01')$$);
RESET ROLE;
GRANT UPDATE ON integration_types TO test_inserter;
SET ROLE test_inserter;
SELECT t.error($$INSERT INTO integration_types (integration_type, display_name, created_at) VALUES ('xledger', 'mine', '2026-01-01')$$);
INSERT INTO integration_types (integration_type, display_name, created_at) VALUES ('fresh', 'Fresh', '2026-01-01');
RESET ROLE;
SELECT integration_type, display_name FROM integration_types ORDER BY 1;
DELETE FROM integration_types WHERE integration_type = 'fresh';
DROP POLICY test_insert ON integration_types;
REVOKE ALL ON integration_types FROM test_inserter;
REVOKE ALL ON SCHEMA :"home" FROM test_inserter;
DROP ROLE test_inserter;

BEGIN;
ALTER TABLE integration_types ADD region text, ADD shout text GENERATED ALWAYS AS (upper(display_name)) STORED;
ALTER TABLE integration_types DROP shout;
UPDATE integration_types SET region = 'old';
INSERT INTO integration_types (integration_type, display_name, created_at, region) VALUES ('xledger', 'Restored', '2026-01-01', 'new');
SELECT integration_type, display_name, region FROM integration_types ORDER BY 1;
ROLLBACK;
