-- A schedule's time zone is a name of pg_timezone_names, and no rule, abbreviation or offset that the server can read.
\i test/fixtures/preamble.sql
SELECT z, integration_sync_time_zone_is_valid(z)
  FROM unnest('{UTC,Europe/Oslo,Etc/GMT+1,+02,5,CET-1,ABC1,Europe/Oslo2,europe/oslo,"<+07>-7",""," UTC"}'::text[]) AS z;
SELECT name FROM pg_timezone_names WHERE name !~ '^(posix|right)/' AND NOT integration_sync_time_zone_is_valid(name) LIMIT 3;
SELECT t.error($$SELECT set_sync_schedule('00000000-0000-0000-0000-00000000000a', 'xledger', '1 day', '2026-01-01', 'CET-1')$$);
-- names that are none leave nothing in the memory of the session
CREATE TEMP TABLE before AS SELECT sum(used_bytes) AS bytes FROM pg_backend_memory_contexts;
SELECT count(*) FROM generate_series(1, 400) AS n WHERE integration_sync_time_zone_is_valid('ABC' || n % 24 || 'DEF' || n);
SELECT sum(m.used_bytes) - max(b.bytes) < 4000000 AS small FROM pg_backend_memory_contexts AS m, before AS b;
