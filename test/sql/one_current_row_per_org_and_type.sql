-- A pair has one current row, whose key never changes.
\i test/fixtures/preamble.sql
SET ROLE service_role;
INSERT INTO integration_health_status (org_id, integration_type, status) VALUES (:'org_a', 'xledger', 'healthy');
SELECT t.error($$INSERT INTO integration_health_status (org_id, integration_type, status)
  VALUES ('00000000-0000-0000-0000-00000000000a', 'xledger', 'unhealthy')$$);
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', :'org_a', 'integration_type', 'xledger', 'status', 'degraded')))
  FROM generate_series(1, 7);
SELECT count(*), max(check_no) FROM integration_health_status;

SELECT t.error($$UPDATE integration_health_status SET org_id = '00000000-0000-0000-0000-00000000000b'$$);
SELECT t.error($$UPDATE integration_health_status SET integration_type = 'dynamics'$$);
-- setting a key to what it is, as every upsert through PostgREST does, is no change
UPDATE integration_health_status SET org_id = org_id, integration_type = integration_type, status = 'healthy';
SELECT * FROM t.violations();
