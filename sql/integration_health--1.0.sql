-- integration_health 1.0: types, tables, triggers, row-level security, functions and rights.
-- Every name is qualified; a body between BEGIN ATOMIC and END is parsed here, once, and does
-- not look at search_path when it runs.
\echo Use "CREATE EXTENSION integration_health" to load this file. \quit

-- ---------------------------------------------------------------------------------------------
-- Types
-- ---------------------------------------------------------------------------------------------

CREATE TYPE @extschema@.integration_health_state AS ENUM ('healthy', 'degraded', 'unhealthy', 'unknown');
COMMENT ON TYPE @extschema@.integration_health_state IS
  'Result of a health check: healthy, degraded (works, but slowly or in part), unhealthy, unknown (nobody could tell).';

CREATE TYPE @extschema@.integration_monitoring_mode AS ENUM ('active', 'passive');
COMMENT ON TYPE @extschema@.integration_monitoring_mode IS
  'active: the monitor probes the external system; passive: it does not, only scheduled syncs tell.';

CREATE TYPE @extschema@.integration_sync_outcome AS ENUM ('running', 'succeeded', 'failed');
COMMENT ON TYPE @extschema@.integration_sync_outcome IS
  'State of one run of a scheduled sync.';

-- ---------------------------------------------------------------------------------------------
-- Tables. In those written at every check, the columns that most checks change stand together at
-- the end: WAL holds the stretch from the first changed byte to the last. What a check may say is
-- said by the constraints of the status table, once; late results are held against them, too.
-- ---------------------------------------------------------------------------------------------

CREATE TABLE @extschema@.integration_types (
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  display_name     text NOT NULL,
  check_interval   interval NOT NULL DEFAULT '15 minutes',
  max_backoff      interval NOT NULL DEFAULT '24 hours',
  monitoring_mode  @extschema@.integration_monitoring_mode NOT NULL DEFAULT 'active',
  passive_since    timestamptz,
  passive_reason   text,
  created_at       timestamptz NOT NULL,
  PRIMARY KEY (integration_type),
  CONSTRAINT integration_type_is_an_identifier
    CHECK (integration_type ~ '^[a-z][a-z0-9_]{0,62}$'),
  CONSTRAINT display_name_is_not_empty CHECK (display_name <> ''),
  CONSTRAINT check_interval_is_at_least_15_minutes CHECK (check_interval >= interval '15 minutes'),
  CONSTRAINT max_backoff_is_at_least_check_interval CHECK (max_backoff >= check_interval)
);
COMMENT ON TABLE @extschema@.integration_types IS
  'The kinds of external system. Seeded with xledger and dynamics; sites add and edit rows.';
COMMENT ON COLUMN @extschema@.integration_types.integration_type IS
  'Key: a lower-case identifier of at most 63 characters.';
COMMENT ON COLUMN @extschema@.integration_types.display_name IS 'Name to show to people.';
COMMENT ON COLUMN @extschema@.integration_types.check_interval IS
  'Time between two active checks of a pair; 15 minutes or more.';
COMMENT ON COLUMN @extschema@.integration_types.max_backoff IS
  'Longest wait between two active checks of a failing pair; not below check_interval.';
COMMENT ON COLUMN @extschema@.integration_types.monitoring_mode IS
  'active: probed every check_interval; passive: never probed.';
COMMENT ON COLUMN @extschema@.integration_types.passive_since IS
  'When the type went passive; null in active mode.';
COMMENT ON COLUMN @extschema@.integration_types.passive_reason IS
  'Why the type went passive; null in active mode.';
COMMENT ON COLUMN @extschema@.integration_types.created_at IS
  'When the row was made. Filled by a trigger: a row that brings it along is a restored one and replaces the seed of the same key.';

CREATE TABLE @extschema@.integration_health_status (
  org_id               uuid NOT NULL,
  integration_type     text COLLATE pg_catalog."C" NOT NULL,
  status               @extschema@.integration_health_state NOT NULL,
  http_status          integer,
  error                text,
  status_since         timestamptz NOT NULL,
  consecutive_failures integer NOT NULL,
  latency_ms           integer,
  checked_at           timestamptz NOT NULL DEFAULT pg_catalog.now(),
  last_healthy_at      timestamptz,
  recorded_at          timestamptz NOT NULL,
  check_no             bigint NOT NULL,
  PRIMARY KEY (org_id, integration_type),
  FOREIGN KEY (integration_type) REFERENCES @extschema@.integration_types (integration_type),
  CONSTRAINT latency_ms_is_not_negative CHECK (latency_ms >= 0),
  CONSTRAINT http_status_is_between_100_and_599 CHECK (http_status >= 100 AND http_status <= 599),
  CONSTRAINT error_is_at_most_2000_characters CHECK (pg_catalog.length(error) <= 2000),
  CONSTRAINT checked_at_is_finite CHECK (pg_catalog.isfinite(checked_at)),
  CONSTRAINT consecutive_failures_is_not_negative CHECK (consecutive_failures >= 0),
  CONSTRAINT check_no_is_positive CHECK (check_no >= 1::bigint)
) WITH (fillfactor = 50);
COMMENT ON TABLE @extschema@.integration_health_status IS
  'The latest status of each (org_id, integration_type). Writing a row records a check.';
COMMENT ON COLUMN @extschema@.integration_health_status.org_id IS
  'Organisation. Never changes.';
COMMENT ON COLUMN @extschema@.integration_health_status.integration_type IS
  'External system, a row of integration_types. Never changes.';
COMMENT ON COLUMN @extschema@.integration_health_status.status IS 'Result of the check.';
COMMENT ON COLUMN @extschema@.integration_health_status.latency_ms IS
  'Response time in milliseconds, 0 or more; null when there was no response.';
COMMENT ON COLUMN @extschema@.integration_health_status.http_status IS
  'HTTP status code, 100 to 599; null when there was no HTTP response.';
COMMENT ON COLUMN @extschema@.integration_health_status.error IS
  'What went wrong, at most 2000 characters; null when nothing did.';
COMMENT ON COLUMN @extschema@.integration_health_status.checked_at IS
  'When the check was made. Defaults to now(), also in an UPDATE that does not set it.';
COMMENT ON COLUMN @extschema@.integration_health_status.status_since IS
  'checked_at of the first check of the present run of equal statuses. Kept by the trigger.';
COMMENT ON COLUMN @extschema@.integration_health_status.last_healthy_at IS
  'checked_at of the last healthy check; null when there was none. Kept by the trigger.';
COMMENT ON COLUMN @extschema@.integration_health_status.consecutive_failures IS
  'unhealthy adds one, healthy and degraded reset to 0, unknown leaves it. Kept by the trigger.';
COMMENT ON COLUMN @extschema@.integration_health_status.check_no IS
  'Running number of the recorded checks of the pair, from 1, without a gap. Kept by the trigger.';
COMMENT ON COLUMN @extschema@.integration_health_status.recorded_at IS
  'When the check was recorded. Kept by the trigger.';

CREATE TABLE @extschema@.integration_health_history (
  org_id           uuid NOT NULL,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  slot             smallint NOT NULL,
  status           @extschema@.integration_health_state NOT NULL,
  http_status      integer,
  error            text,
  latency_ms       integer,
  checked_at       timestamptz NOT NULL,
  check_no         bigint NOT NULL,
  PRIMARY KEY (org_id, integration_type, slot),
  CONSTRAINT slot_is_check_no_mod_96 CHECK (slot = check_no % 96::bigint AND check_no >= 1::bigint)
) WITH (fillfactor = 50);
COMMENT ON TABLE @extschema@.integration_health_history IS
  'The last 96 checks of each (org_id, integration_type): a ring of slots, written by the trigger of integration_health_status and by the cleanup alone.';
COMMENT ON COLUMN @extschema@.integration_health_history.org_id IS 'Organisation.';
COMMENT ON COLUMN @extschema@.integration_health_history.integration_type IS 'External system.';
COMMENT ON COLUMN @extschema@.integration_health_history.slot IS
  'Place in the ring, check_no modulo 96.';
COMMENT ON COLUMN @extschema@.integration_health_history.check_no IS
  'Running number of the check, as in integration_health_status when it was recorded.';
COMMENT ON COLUMN @extschema@.integration_health_history.status IS 'Result of the check.';
COMMENT ON COLUMN @extschema@.integration_health_history.latency_ms IS
  'Response time in milliseconds; null when there was no response.';
COMMENT ON COLUMN @extschema@.integration_health_history.http_status IS
  'HTTP status code; null when there was no HTTP response.';
COMMENT ON COLUMN @extschema@.integration_health_history.error IS 'What went wrong.';
COMMENT ON COLUMN @extschema@.integration_health_history.checked_at IS 'When the check was made.';

CREATE TABLE @extschema@.integration_health_counts (
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  status           @extschema@.integration_health_state NOT NULL,
  delta            bigint NOT NULL
);
-- It has no key; where all tables are published, its folding must be, too.
ALTER TABLE @extschema@.integration_health_counts REPLICA IDENTITY FULL;
COMMENT ON TABLE @extschema@.integration_health_counts IS
  'Internal. Changes of the number of pairs by type and status: the sum of delta is the number of rows of integration_health_status.';
COMMENT ON COLUMN @extschema@.integration_health_counts.integration_type IS 'External system.';
COMMENT ON COLUMN @extschema@.integration_health_counts.status IS 'Status that is counted.';
COMMENT ON COLUMN @extschema@.integration_health_counts.delta IS
  'Pairs that came to this status, less those that left it.';

-- One statement each: two in one SELECT fail with "tuple already updated by self".
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_types', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_health_status', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_health_history', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_health_counts', '');

-- ---------------------------------------------------------------------------------------------
-- Triggers. Their names sort last, so that they see what a site's own BEFORE triggers made.
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.integration_health_status_trigger()
RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'ih_status_trigger';
COMMENT ON FUNCTION @extschema@.integration_health_status_trigger() IS
  'Trigger of integration_health_status: stamps the columns it keeps, copies each check into the history ring, keeps the counts. Errors: 39P01 not called by its trigger, 42809 another table, 22023 a key was changed, 23502 status or checked_at is null, 42703 or 42804 the table was altered, 55000 the check could not be copied.';

CREATE TRIGGER zz_integration_health_stamp
  BEFORE INSERT OR UPDATE ON @extschema@.integration_health_status
  FOR EACH ROW EXECUTE FUNCTION @extschema@.integration_health_status_trigger();
COMMENT ON TRIGGER zz_integration_health_stamp ON @extschema@.integration_health_status IS
  'Stamps the columns that the extension keeps; copies an updated row to the history.';

CREATE TRIGGER zz_integration_health_copy
  AFTER INSERT OR DELETE ON @extschema@.integration_health_status
  FOR EACH ROW EXECUTE FUNCTION @extschema@.integration_health_status_trigger();
COMMENT ON TRIGGER zz_integration_health_copy ON @extschema@.integration_health_status IS
  'Copies the first check of a pair to the history; removes the history of a pair that goes.';

CREATE TRIGGER zz_integration_health_truncate
  AFTER TRUNCATE ON @extschema@.integration_health_status
  FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.integration_health_status_trigger();
COMMENT ON TRIGGER zz_integration_health_truncate ON @extschema@.integration_health_status IS
  'Empties the history and the counts with the table.';

CREATE FUNCTION @extschema@.integration_types_trigger()
RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'ih_types_trigger';
COMMENT ON FUNCTION @extschema@.integration_types_trigger() IS
  'Trigger of integration_types: stamps created_at; a row that brings it along is restored and replaces the seed of its key. Errors: 39P01 not called by its trigger, 42809 another table.';

CREATE TRIGGER zz_integration_types_stamp
  BEFORE INSERT ON @extschema@.integration_types
  FOR EACH ROW EXECUTE FUNCTION @extschema@.integration_types_trigger();
COMMENT ON TRIGGER zz_integration_types_stamp ON @extschema@.integration_types IS
  'Stamps created_at; lets a restored row replace the seed of its key.';

INSERT INTO @extschema@.integration_types (integration_type, display_name)
VALUES ('xledger', 'Xledger'), ('dynamics', 'Microsoft Dynamics 365');

-- ---------------------------------------------------------------------------------------------
-- Claims and row-level security
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.integration_health_org_ids()
RETURNS uuid[]
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ih_org_ids';
COMMENT ON FUNCTION @extschema@.integration_health_org_ids() IS
  'The organisations that the claims in request.jwt.claims name: the first of the paths in integration_health.org_claims that is there, a string or an array of strings. Empty without claims. Errors: 22023 malformed claims, or a value that is no uuid.';

CREATE FUNCTION @extschema@.integration_health_can_read(org_id uuid)
RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ih_can_read';
COMMENT ON FUNCTION @extschema@.integration_health_can_read(uuid) IS
  'Whether the caller may see the organisation org_id: its claims name it, or row-level security does not apply to the caller. Null: false. Errors: 22023 malformed claims.';

ALTER TABLE @extschema@.integration_types ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.integration_health_status ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.integration_health_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.integration_health_counts ENABLE ROW LEVEL SECURITY;

CREATE POLICY integration_types_read ON @extschema@.integration_types
  FOR SELECT USING (true);
COMMENT ON POLICY integration_types_read ON @extschema@.integration_types IS
  'Types are no secret between organisations.';

CREATE FUNCTION @extschema@.integration_health_uncounted_support(internal)
RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ih_uncounted_support';
COMMENT ON FUNCTION @extschema@.integration_health_uncounted_support(internal) IS
  'Planner support of integration_health_uncounted.';

CREATE FUNCTION @extschema@.integration_health_uncounted(org_id uuid)
RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 0.01 SUPPORT @extschema@.integration_health_uncounted_support
AS 'MODULE_PATHNAME', 'ih_uncounted';
COMMENT ON FUNCTION @extschema@.integration_health_uncounted(uuid) IS
  'True. Stands in the policies, so that the planner''s estimates tell nothing of rows that the caller may not see.';

-- The sub-select makes the planner evaluate the claims once a query, not once a row.
CREATE POLICY integration_health_status_read ON @extschema@.integration_health_status
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_health_status_read ON @extschema@.integration_health_status IS
  'A caller sees the organisations that its claims name.';

CREATE POLICY integration_health_history_read ON @extschema@.integration_health_history
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_health_history_read ON @extschema@.integration_health_history IS
  'A caller sees the organisations that its claims name.';

-- ---------------------------------------------------------------------------------------------
-- Queries of one organisation
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.get_org_health_status(org_id uuid)
RETURNS TABLE (
  integration_type text, display_name text, status @extschema@.integration_health_state,
  latency_ms integer, http_status integer, error text, checked_at timestamptz,
  status_since timestamptz, last_healthy_at timestamptz, consecutive_failures integer,
  is_stale boolean, monitoring_mode @extschema@.integration_monitoring_mode)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT t.integration_type, t.display_name,
         COALESCE(s.status, 'unknown'::@extschema@.integration_health_state),
         s.latency_ms, s.http_status, s.error, s.checked_at, s.status_since, s.last_healthy_at,
         COALESCE(s.consecutive_failures, 0),
         CASE WHEN s.checked_at IS NOT NULL THEN
           t.monitoring_mode = 'active'::@extschema@.integration_monitoring_mode
           AND s.checked_at < pg_catalog.now() - (t.check_interval + t.check_interval)
         END,
         t.monitoring_mode
    FROM @extschema@.integration_types t
    LEFT JOIN @extschema@.integration_health_status s
      ON s.integration_type = t.integration_type AND s.org_id = get_org_health_status.org_id
   WHERE @extschema@.integration_health_can_read(get_org_health_status.org_id)
   ORDER BY t.display_name, t.integration_type;
END;
COMMENT ON FUNCTION @extschema@.get_org_health_status(uuid) IS
  'The health of the organisation org_id: one row for every integration type, by display name; status unknown where never checked, latency in milliseconds, is_stale when an active type was checked longer ago than twice its check_interval (null where never checked). No rows for a caller who may not see the organisation. Errors: 22023 malformed claims.';

CREATE FUNCTION @extschema@.integration_health_trend_start(hours integer)
RETURNS timestamptz
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ih_trend_start';
COMMENT ON FUNCTION @extschema@.integration_health_trend_start(integer) IS
  'The time that lies hours before now(). Errors: 22023 when hours is null or outside 1 to 720.';

-- The function in FROM is evaluated before the history is looked at: wrong hours are an error
-- also where there is no row to find.
CREATE FUNCTION @extschema@.get_health_trend(
  org_id uuid, integration_type text, hours integer DEFAULT 24)
RETURNS TABLE (
  checked_at timestamptz, status @extschema@.integration_health_state, latency_ms integer,
  http_status integer, error text, check_no bigint)
LANGUAGE sql STABLE ROWS 96
BEGIN ATOMIC
  SELECT h.checked_at, h.status, h.latency_ms, h.http_status, h.error, h.check_no
    FROM @extschema@.integration_health_trend_start(get_health_trend.hours) AS s (trend_start)
   CROSS JOIN LATERAL (
         SELECT r.checked_at, r.status, r.latency_ms, r.http_status, r.error, r.check_no
           FROM @extschema@.integration_health_history r
          WHERE r.org_id = get_health_trend.org_id
            AND r.integration_type = get_health_trend.integration_type
            AND r.checked_at >= s.trend_start
          ORDER BY r.checked_at DESC, r.check_no DESC
          LIMIT 96) h
   ORDER BY h.checked_at DESC, h.check_no DESC;
END;
COMMENT ON FUNCTION @extschema@.get_health_trend(uuid, text, integer) IS
  'The checks of (org_id, integration_type) within the last hours (1 to 720), newest first, at most 96; latency in milliseconds. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 to 720, or for malformed claims.';

-- ---------------------------------------------------------------------------------------------
-- Queries over all organisations, for global admins
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.get_global_health_summary()
RETURNS TABLE (
  integration_type text, display_name text,
  monitoring_mode @extschema@.integration_monitoring_mode,
  total bigint, healthy bigint, degraded bigint, unhealthy bigint, unknown bigint,
  healthy_pct numeric)
LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 10
AS 'MODULE_PATHNAME', 'ih_global_summary';
COMMENT ON FUNCTION @extschema@.get_global_health_summary() IS
  'For every integration type, by display name, the number of organisations in each status, and the percentage that is healthy (null when there are none). Errors: 42501 unless a claim at one of the paths in integration_health.role_claims names integration_health.admin_role, 22023 malformed claims.';

CREATE FUNCTION @extschema@.get_global_health_problems(max_rows integer DEFAULT 100)
RETURNS TABLE (
  org_id uuid, integration_type text, display_name text,
  status @extschema@.integration_health_state, latency_ms integer, http_status integer,
  error text, checked_at timestamptz, status_since timestamptz, last_healthy_at timestamptz,
  consecutive_failures integer)
LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'ih_global_problems';
COMMENT ON FUNCTION @extschema@.get_global_health_problems(integer) IS
  'At most max_rows pairs that are not healthy: unhealthy before degraded before unknown, the longest-lasting first. Errors: 42501 as get_global_health_summary, 22023 when max_rows is null or below 1, or for malformed claims.';

-- ---------------------------------------------------------------------------------------------
-- Recording
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.record_health_check(
  org_id uuid, integration_type text, status @extschema@.integration_health_state,
  latency_ms integer DEFAULT NULL, http_status integer DEFAULT NULL, error text DEFAULT NULL,
  checked_at timestamptz DEFAULT pg_catalog.now())
RETURNS @extschema@.integration_health_status
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO @extschema@.integration_health_status AS s
         (org_id, integration_type, status, latency_ms, http_status, error, checked_at)
  VALUES (record_health_check.org_id, record_health_check.integration_type,
          record_health_check.status, record_health_check.latency_ms,
          record_health_check.http_status, record_health_check.error,
          COALESCE(record_health_check.checked_at, pg_catalog.now()))
  ON CONFLICT (org_id, integration_type) DO UPDATE
     SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms,
         http_status = EXCLUDED.http_status, error = EXCLUDED.error,
         checked_at = EXCLUDED.checked_at
  RETURNING s;
END;
COMMENT ON FUNCTION @extschema@.record_health_check(uuid, text, @extschema@.integration_health_state, integer, integer, text, timestamptz) IS
  'Records one check and returns the status row of the pair: latency_ms in milliseconds, http_status 100 to 599, error at most 2000 characters, checked_at now() when null. A check older than the current one goes to the history only. Errors: 23502 org_id, integration_type or status is null, 23503 unknown integration_type, 23514 a value out of range, 42501 the caller is no writer.';

CREATE FUNCTION @extschema@.record_health_checks(checks jsonb)
RETURNS integer
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_record_health_checks';
COMMENT ON FUNCTION @extschema@.record_health_checks(jsonb) IS
  'Records an array of objects with the keys org_id, integration_type, status and, as wanted, latency_ms, http_status, error, checked_at (as in record_health_check) in one go and returns how many. Checks of one pair are recorded in the order of checked_at. Errors: 22023 with the position (from 0) of the first bad entry and what is wrong with it, nothing being recorded; 42501 the caller is no writer.';

-- ---------------------------------------------------------------------------------------------
-- Jobs
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.integration_health_cleanup(
  retention interval DEFAULT '30 days', max_rows integer DEFAULT 50000)
RETURNS bigint
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_cleanup';
COMMENT ON FUNCTION @extschema@.integration_health_cleanup(interval, integer) IS
  'Deletes at most max_rows history rows with checked_at longer ago than retention and returns how many; rows that a writer holds wait for the next run. Errors: 22023 retention is null or not positive, or max_rows is null or below 1.';

CREATE FUNCTION @extschema@.mark_stale_health(max_rows integer DEFAULT 10000)
RETURNS bigint
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_mark_stale';
COMMENT ON FUNCTION @extschema@.mark_stale_health(integer) IS
  'Records status unknown for at most max_rows pairs of active types that were not checked for twice their check_interval, and returns how many. Errors: 22023 max_rows is null or below 1.';

CREATE FUNCTION @extschema@.integration_health_compact()
RETURNS bigint
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_compact';
COMMENT ON FUNCTION @extschema@.integration_health_compact() IS
  'Folds the rows of integration_health_counts into one for each type and status, and returns how many rows went. Blocks no writer, changes no count.';

CREATE FUNCTION @extschema@.schedule_integration_health_jobs(
  cleanup_schedule text DEFAULT '17 3 * * *', counts_schedule text DEFAULT '* * * * *',
  stale_schedule text DEFAULT '*/5 * * * *')
RETURNS TABLE (job_id bigint, job_name text, schedule text, command text)
LANGUAGE c VOLATILE ROWS 3 AS 'MODULE_PATHNAME', 'ih_schedule_jobs';
COMMENT ON FUNCTION @extschema@.schedule_integration_health_jobs(text, text, text) IS
  'Registers the pg_cron jobs of the extension, or changes their schedules (crontab syntax), for the caller, who must be a role that can log in. Errors: 0A000 pg_cron is not in this database, 22023 a schedule is null; pg_cron''s own errors for a schedule it cannot read.';

CREATE FUNCTION @extschema@.unschedule_integration_health_jobs()
RETURNS integer
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_unschedule_jobs';
COMMENT ON FUNCTION @extschema@.unschedule_integration_health_jobs() IS
  'Removes the caller''s pg_cron jobs of the extension and returns how many there were. Errors: 0A000 pg_cron is not in this database.';

-- ---------------------------------------------------------------------------------------------
-- Rights
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.grant_integration_health(reader regrole, writer regrole)
RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_grant';
COMMENT ON FUNCTION @extschema@.grant_integration_health(regrole, regrole) IS
  'Takes every right on the extension''s tables and functions from PUBLIC, anon, reader and writer, then grants reader what authenticated has on Supabase, and writer what service_role has. Either may be null. For the owner of the extension. Warns when the writer lacks BYPASSRLS: row-level security will keep it from recording. Errors: 42704 no such role, 42501 the caller does not own the extension''s tables.';

SELECT @extschema@.grant_integration_health(
  pg_catalog.to_regrole('authenticated'), pg_catalog.to_regrole('service_role'));
