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
  passive_until    timestamptz,
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
COMMENT ON COLUMN @extschema@.integration_types.passive_until IS
  'The external system asked not to be probed before (Retry-After); null when it did not. Claims wait for it in active mode, too.';
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

-- Each claim moves due_at, which the claims look for: these rows are written again and again, and
-- never in place. The status table, which knows of failures, is only read.
CREATE TABLE @extschema@.integration_monitors (
  org_id           uuid NOT NULL,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  enabled          boolean NOT NULL DEFAULT true,
  due_at           timestamptz NOT NULL,
  claimed_at       timestamptz,
  PRIMARY KEY (org_id, integration_type),
  FOREIGN KEY (integration_type) REFERENCES @extschema@.integration_types (integration_type)
) WITH (fillfactor = 70);
CREATE INDEX integration_monitors_due ON @extschema@.integration_monitors
  (integration_type, due_at) WHERE enabled;
COMMENT ON TABLE @extschema@.integration_monitors IS
  'The pairs that are to be checked, handed out by claim_due_health_checks.';
COMMENT ON COLUMN @extschema@.integration_monitors.org_id IS 'Organisation.';
COMMENT ON COLUMN @extschema@.integration_monitors.integration_type IS 'External system.';
COMMENT ON COLUMN @extschema@.integration_monitors.enabled IS 'Whether the pair is handed out.';
COMMENT ON COLUMN @extschema@.integration_monitors.due_at IS
  'When a claim looks at the pair next: then it is handed out, or waits longer because it is failing. Filled by a trigger, moved by claims.';
COMMENT ON COLUMN @extschema@.integration_monitors.claimed_at IS
  'When the pair was handed out last; null when it never was. Kept by claims.';
COMMENT ON INDEX @extschema@.integration_monitors_due IS
  'What claim_due_health_checks looks for. By type, so that passive types are not passed over one by one.';

CREATE FUNCTION @extschema@.integration_sync_every_is_valid(every interval)
RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ih_every_is_valid';
COMMENT ON FUNCTION @extschema@.integration_sync_every_is_valid(interval) IS
  'Whether a schedule may have the interval every: days and months (at most 3660 and 120), or a time from 1 minute to 3660 days, not both.';

CREATE FUNCTION @extschema@.integration_sync_time_zone_is_valid(time_zone text)
RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ih_time_zone_is_valid';
COMMENT ON FUNCTION @extschema@.integration_sync_time_zone_is_valid(text) IS
  'Whether time_zone is the name of a time zone, spelt as in pg_timezone_names.';

CREATE FUNCTION @extschema@.integration_sync_key(
  org_id uuid, integration_type text, scheduled_for timestamptz)
RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ih_sync_key';
COMMENT ON FUNCTION @extschema@.integration_sync_key(uuid, text, timestamptz) IS
  'The idempotency key of a period: org_id:integration_type:period, the period in UTC as ISO 8601.';

CREATE TABLE @extschema@.integration_sync_schedules (
  org_id           uuid NOT NULL,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  every            interval NOT NULL,
  anchor           timestamptz NOT NULL,
  time_zone        text NOT NULL DEFAULT 'UTC',
  enabled          boolean NOT NULL DEFAULT true,
  warm_up_url      text,
  planned_since    timestamptz NOT NULL,
  due_at           timestamptz NOT NULL,
  warm_up_for      timestamptz NOT NULL,
  pruned_until     timestamptz,
  PRIMARY KEY (org_id, integration_type),
  FOREIGN KEY (integration_type) REFERENCES @extschema@.integration_types (integration_type),
  CONSTRAINT every_is_days_and_months_or_a_time_of_at_least_1_minute
    CHECK (@extschema@.integration_sync_every_is_valid(every)),
  CONSTRAINT anchor_is_finite CHECK (pg_catalog.isfinite(anchor)),
  CONSTRAINT time_zone_is_known CHECK (@extschema@.integration_sync_time_zone_is_valid(time_zone)),
  CONSTRAINT warm_up_url_is_http
    CHECK (warm_up_url ~ '^https?://[!-~]+$' AND pg_catalog.length(warm_up_url) <= 2000)
) WITH (fillfactor = 70);
CREATE INDEX integration_sync_schedules_due ON @extschema@.integration_sync_schedules (due_at)
  WHERE enabled;
CREATE INDEX integration_sync_schedules_warm_up ON @extschema@.integration_sync_schedules
  (warm_up_for) WHERE enabled AND warm_up_url IS NOT NULL;
COMMENT ON INDEX @extschema@.integration_sync_schedules_due IS 'What get_due_syncs looks for.';
COMMENT ON INDEX @extschema@.integration_sync_schedules_warm_up IS
  'What dispatch_sync_warm_ups looks for.';
COMMENT ON TABLE @extschema@.integration_sync_schedules IS
  'When the sync of each (org_id, integration_type) is to run: at anchor and then every interval.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.org_id IS 'Organisation.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.integration_type IS 'External system.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.every IS
  'Time between two periods: days and months, counted on the clocks of time_zone, or an elapsed time of 1 minute or more.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.anchor IS 'The first period.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.time_zone IS
  'Where days and months are counted, a name of pg_timezone_names.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.enabled IS
  'Whether the sync may be claimed, and is missed when nobody runs it.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.warm_up_url IS
  'Where to POST shortly before each period, to wake the worker; http or https, at most 2000 ASCII characters, no secrets. Null: no warm-up.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.planned_since IS
  'Since when every, anchor, time_zone and enabled are as they are: earlier periods are not missed. Kept by a trigger.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.due_at IS
  'The first period after the last that succeeded, or of the present plan; infinity: none. Kept by a trigger and finish_sync_run.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.warm_up_for IS
  'The next period to send a warm-up for. Kept by a trigger and dispatch_sync_warm_ups.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.pruned_until IS
  'Runs up to this period are deleted, so that it cannot be claimed any more. Kept by integration_health_cleanup.';

-- No foreign key: the ledger outlives a schedule. Nothing that changes is indexed.
CREATE TABLE @extschema@.integration_sync_runs (
  org_id           uuid NOT NULL,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  scheduled_for    timestamptz NOT NULL,
  attempt          integer NOT NULL,
  outcome          @extschema@.integration_sync_outcome NOT NULL,
  started_at       timestamptz NOT NULL,
  finished_at      timestamptz,
  lease_until      timestamptz,
  drift            interval GENERATED ALWAYS AS (started_at - scheduled_for) STORED,
  cold_start       boolean NOT NULL,
  error            text,
  idempotency_key  text GENERATED ALWAYS AS
    (@extschema@.integration_sync_key(org_id, integration_type, scheduled_for)) STORED,
  PRIMARY KEY (org_id, integration_type, scheduled_for),
  CONSTRAINT attempt_is_positive CHECK (attempt >= 1),
  CONSTRAINT error_is_at_most_2000_characters CHECK (pg_catalog.length(error) <= 2000),
  CONSTRAINT running_has_a_lease_and_the_others_an_end
    CHECK (CASE WHEN outcome = 'running'::@extschema@.integration_sync_outcome
                THEN lease_until IS NOT NULL AND finished_at IS NULL
                ELSE lease_until IS NULL AND finished_at IS NOT NULL END)
) WITH (fillfactor = 70);
CREATE INDEX integration_sync_runs_time ON @extschema@.integration_sync_runs (scheduled_for);
COMMENT ON TABLE @extschema@.integration_sync_runs IS
  'The ledger of scheduled syncs: one row for each period that somebody ran, written by claim_sync_run, finish_sync_run and the cleanup alone.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.org_id IS 'Organisation.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.integration_type IS 'External system.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.scheduled_for IS
  'The period, a time of the schedule.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.attempt IS
  'How often the period was claimed. Reports of an earlier attempt are refused.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.outcome IS
  'running until the current attempt has ended, then succeeded or failed.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.started_at IS
  'When the current attempt was claimed.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.finished_at IS
  'When the current attempt ended; null while it runs.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.lease_until IS
  'When somebody else may claim the run if it has not ended; null when it has.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.drift IS
  'How long after its time the current attempt was claimed; negative: before.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.cold_start IS
  'Whether the worker had to be started for the current attempt.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.error IS
  'What went wrong, at most 2000 characters; null when nothing did.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.idempotency_key IS
  'org_id:integration_type:period, the same for all attempts: for the external system.';
COMMENT ON INDEX @extschema@.integration_sync_runs_time IS
  'For the cleanup and the reports of a time.';

-- One statement each: two in one SELECT fail with "tuple already updated by self".
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_types', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_health_status', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_health_history', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_health_counts', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_monitors', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_sync_schedules', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.integration_sync_runs', '');

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

CREATE FUNCTION @extschema@.integration_monitors_trigger()
RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'ih_monitors_trigger';
COMMENT ON FUNCTION @extschema@.integration_monitors_trigger() IS
  'Trigger of integration_monitors: spreads the first check of a new pair over the interval of its type. Errors: 39P01 not called by its trigger, 42809 another table.';

CREATE TRIGGER zz_integration_monitors_stamp
  BEFORE INSERT ON @extschema@.integration_monitors
  FOR EACH ROW EXECUTE FUNCTION @extschema@.integration_monitors_trigger();
COMMENT ON TRIGGER zz_integration_monitors_stamp ON @extschema@.integration_monitors IS
  'Says when a new pair is due; a row that brings due_at along is a restored one.';

CREATE FUNCTION @extschema@.integration_sync_schedules_trigger()
RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'ih_schedules_trigger';
COMMENT ON FUNCTION @extschema@.integration_sync_schedules_trigger() IS
  'Trigger of integration_sync_schedules: stamps planned_since, and the first period, when the plan changes. Errors: 39P01 not called by its trigger, 42809 another table.';

CREATE TRIGGER zz_integration_sync_schedules_stamp
  BEFORE INSERT OR UPDATE ON @extschema@.integration_sync_schedules
  FOR EACH ROW EXECUTE FUNCTION @extschema@.integration_sync_schedules_trigger();
COMMENT ON TRIGGER zz_integration_sync_schedules_stamp ON @extschema@.integration_sync_schedules IS
  'Says since when a plan holds; a new row that brings planned_since along is a restored one.';

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
ALTER TABLE @extschema@.integration_monitors ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.integration_sync_schedules ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.integration_sync_runs ENABLE ROW LEVEL SECURITY;

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

CREATE POLICY integration_monitors_read ON @extschema@.integration_monitors
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_monitors_read ON @extschema@.integration_monitors IS
  'A caller sees the organisations that its claims name.';

CREATE POLICY integration_sync_schedules_read ON @extschema@.integration_sync_schedules
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_sync_schedules_read ON @extschema@.integration_sync_schedules IS
  'A caller sees the organisations that its claims name.';

CREATE POLICY integration_sync_runs_read ON @extschema@.integration_sync_runs
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_sync_runs_read ON @extschema@.integration_sync_runs IS
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
  'Records an array of objects with the keys org_id, integration_type, status and, as wanted, latency_ms, http_status, error, checked_at (as in record_health_check) and, for http_status 429, retry_after (whole seconds, what the external system asked for) in one go and returns how many. Checks of one pair are recorded in the order of checked_at. Errors: 22023 with the position (from 0) of the first bad entry and what is wrong with it, nothing being recorded; 42501 the caller is no writer.';

-- ---------------------------------------------------------------------------------------------
-- Active monitoring
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.integration_monitor_first_due(
  org_id uuid, integration_type text, check_interval interval, since timestamptz)
RETURNS timestamptz
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ih_monitor_first_due';
COMMENT ON FUNCTION @extschema@.integration_monitor_first_due(uuid, text, interval, timestamptz) IS
  'Internal. A time within check_interval after since, always the same one for a pair, different ones for different pairs.';

CREATE FUNCTION @extschema@.integration_monitor_ready_at(
  org_id uuid, integration_type text, claimed_at timestamptz, check_interval interval,
  max_backoff interval, failures integer)
RETURNS timestamptz
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ih_monitor_ready_at';
COMMENT ON FUNCTION @extschema@.integration_monitor_ready_at(uuid, text, timestamptz, interval, interval, integer) IS
  'Internal. When a pair that was handed out at claimed_at may be again, after so many consecutive failures: check_interval * 2^(failures - 1), at most max_backoff, with up to a tenth of jitter, never less than check_interval. -infinity when claimed_at is null.';

CREATE FUNCTION @extschema@.set_monitor(
  org_id uuid, integration_type text, enabled boolean DEFAULT true)
RETURNS @extschema@.integration_monitors
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO @extschema@.integration_monitors AS m (org_id, integration_type, enabled)
  VALUES (set_monitor.org_id, set_monitor.integration_type, set_monitor.enabled)
  ON CONFLICT (org_id, integration_type) DO UPDATE SET enabled = EXCLUDED.enabled
  RETURNING m;
END;
COMMENT ON FUNCTION @extschema@.set_monitor(uuid, text, boolean) IS
  'Says whether the pair is to be checked, and returns its row. A new pair is due within the check_interval of its type. Errors: 23502 an argument is null, 23503 unknown integration_type, 42501 the caller is no writer.';

-- When all monitors are due the planner would rather read and sort them all; a seqscan's penalty in
-- turn would have the plan compiled.
CREATE FUNCTION @extschema@.claim_due_health_checks(max_rows integer DEFAULT 100)
RETURNS TABLE (
  org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE c VOLATILE
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_custom_plan
AS 'MODULE_PATHNAME', 'ih_claim_checks';
COMMENT ON FUNCTION @extschema@.claim_due_health_checks(integer) IS
  'Hands out at most max_rows pairs of active types that are due, each to one caller, and not again before its check_interval has passed: due_at is when it is due next. A failing pair waits check_interval * 2^(failures - 1), at most max_backoff. Errors: 22023 max_rows is null or below 1.';

CREATE FUNCTION @extschema@.resume_active_monitoring(integration_type text)
RETURNS @extschema@.integration_types
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_resume_monitoring';
COMMENT ON FUNCTION @extschema@.resume_active_monitoring(text) IS
  'Puts a type back into active mode and returns its row; its pairs are due within the next check_interval, and not before passive_until. Errors: 22023 no such type.';

-- ---------------------------------------------------------------------------------------------
-- Scheduled syncs
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.integration_sync_periods(
  every interval, anchor timestamptz, time_zone text, since timestamptz, until timestamptz)
RETURNS SETOF timestamptz
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ih_periods';
COMMENT ON FUNCTION @extschema@.integration_sync_periods(interval, timestamptz, text, timestamptz, timestamptz) IS
  'The periods of a schedule from since to until, both included, in order. Errors: 22023 no valid schedule, or more than 100000 periods.';

CREATE FUNCTION @extschema@.integration_sync_last_period(
  every interval, anchor timestamptz, time_zone text, at timestamptz)
RETURNS timestamptz
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ih_last_period';
COMMENT ON FUNCTION @extschema@.integration_sync_last_period(interval, timestamptz, text, timestamptz) IS
  'The last period of a schedule that is not after at; null before its anchor. Errors: 22023 no valid schedule.';

CREATE FUNCTION @extschema@.integration_sync_next_period(
  every interval, anchor timestamptz, time_zone text, after timestamptz)
RETURNS timestamptz
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ih_next_period';
COMMENT ON FUNCTION @extschema@.integration_sync_next_period(interval, timestamptz, text, timestamptz) IS
  'The first period of a schedule after a time. Errors: 22023 no valid schedule.';

CREATE FUNCTION @extschema@.integration_sync_is_late(drift interval)
RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ih_sync_is_late';
COMMENT ON FUNCTION @extschema@.integration_sync_is_late(interval) IS
  'Whether drift is more than integration_health.max_drift.';

CREATE FUNCTION @extschema@.set_sync_schedule(
  org_id uuid, integration_type text, every interval, anchor timestamptz,
  time_zone text DEFAULT 'UTC', enabled boolean DEFAULT true, warm_up_url text DEFAULT NULL)
RETURNS @extschema@.integration_sync_schedules
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO @extschema@.integration_sync_schedules AS s
         (org_id, integration_type, every, anchor, time_zone, enabled, warm_up_url)
  VALUES (set_sync_schedule.org_id, set_sync_schedule.integration_type, set_sync_schedule.every,
          set_sync_schedule.anchor, set_sync_schedule.time_zone, set_sync_schedule.enabled,
          set_sync_schedule.warm_up_url)
  ON CONFLICT (org_id, integration_type) DO UPDATE
     SET every = EXCLUDED.every, anchor = EXCLUDED.anchor, time_zone = EXCLUDED.time_zone,
         enabled = EXCLUDED.enabled, warm_up_url = EXCLUDED.warm_up_url
  RETURNING s;
END;
COMMENT ON FUNCTION @extschema@.set_sync_schedule(uuid, text, interval, timestamptz, text, boolean, text) IS
  'Makes the schedule of a pair, or changes all of it, and returns its row: periods at anchor and then every interval, days and months counted in time_zone. Errors: 23502 an argument other than warm_up_url is null, 23503 unknown integration_type, 23514 every, anchor, time_zone or warm_up_url is not allowed, 42501 the caller is no writer.';

-- As claim_due_health_checks: by the index, however many are due.
CREATE FUNCTION @extschema@.get_due_syncs(max_rows integer DEFAULT 1000)
RETURNS TABLE (
  org_id uuid, integration_type text, scheduled_for timestamptz, attempts integer,
  idempotency_key text)
LANGUAGE c STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET jit = off SET plan_cache_mode = force_custom_plan
AS 'MODULE_PATHNAME', 'ih_due_syncs';
COMMENT ON FUNCTION @extschema@.get_due_syncs(integer) IS
  'For sync workers: the last period of at most max_rows enabled schedules, where it can be claimed: nobody has run it, or its last attempt failed or was given up. Those that wait longest come first; attempts is how many there were. Errors: 22023 max_rows is null or below 1.';

CREATE FUNCTION @extschema@.claim_sync_run(
  org_id uuid, integration_type text, scheduled_for timestamptz,
  cold_start boolean DEFAULT false, lease interval DEFAULT '10 minutes',
  OUT org_id uuid, OUT integration_type text, OUT scheduled_for timestamptz, OUT attempt integer,
  OUT outcome @extschema@.integration_sync_outcome, OUT started_at timestamptz,
  OUT finished_at timestamptz, OUT lease_until timestamptz, OUT drift interval,
  OUT cold_start boolean, OUT error text, OUT idempotency_key text, OUT claimed boolean)
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_claim_sync';
COMMENT ON FUNCTION @extschema@.claim_sync_run(uuid, text, timestamptz, boolean, interval) IS
  'Claims a period of a schedule and returns its run; claimed is true for the one caller who is to run it now, until lease (1 second to 1 day) has passed. A run that failed or whose lease ran out can be claimed again, one that succeeded never. Warns when it starts later than integration_health.max_drift. Errors: 22023 an argument is null or out of range, no schedule, scheduled_for is no period of it, lies more than a minute ahead, or is older than the ledger; 55000 the schedule is disabled.';

CREATE FUNCTION @extschema@.finish_sync_run(
  org_id uuid, integration_type text, scheduled_for timestamptz, attempt integer,
  outcome @extschema@.integration_sync_outcome, error text DEFAULT NULL)
RETURNS @extschema@.integration_sync_runs
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_finish_sync';
COMMENT ON FUNCTION @extschema@.finish_sync_run(uuid, text, timestamptz, integer, @extschema@.integration_sync_outcome, text) IS
  'Ends an attempt as succeeded or failed and returns its run; the same report again changes nothing. Where the type is in passive mode it is also recorded as a check, healthy or unhealthy. Errors: 22023 an argument is null, nobody has claimed the run, or outcome is running; 23514 error has more than 2000 characters; 55000 another attempt has taken its place, or it has ended with the other outcome.';

CREATE FUNCTION @extschema@.dispatch_sync_warm_ups(ahead interval DEFAULT '1 minute')
RETURNS bigint
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_dispatch_warm_ups';
COMMENT ON FUNCTION @extschema@.dispatch_sync_warm_ups(interval) IS
  'Calls the warm_up_url of each schedule with a period within ahead (1 second to 1 day), once a period, with net.http_post of pg_net where the caller may use it, else as an event on the channel integration_health; returns how many. Warns of a URL that pg_net refuses. Errors: 22023 ahead is null or out of range.';

CREATE FUNCTION @extschema@.get_sync_drift(org_id uuid, hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, started_at timestamptz,
  drift interval, attempt integer, outcome @extschema@.integration_sync_outcome,
  cold_start boolean)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT l.integration_type, l.display_name, l.scheduled_for, l.started_at, l.drift, l.attempt,
         l.outcome, l.cold_start
    FROM @extschema@.integration_health_trend_start(get_sync_drift.hours) AS w (window_start)
   CROSS JOIN LATERAL (
         SELECT r.integration_type, t.display_name, r.scheduled_for, r.started_at, r.drift,
                r.attempt, r.outcome, r.cold_start
           FROM @extschema@.integration_sync_runs r
           JOIN @extschema@.integration_types t ON t.integration_type = r.integration_type
          WHERE r.org_id = get_sync_drift.org_id AND r.scheduled_for >= w.window_start
            AND @extschema@.integration_sync_is_late(r.drift)
         OFFSET 0) l
   ORDER BY l.scheduled_for DESC, l.integration_type;
END;
COMMENT ON FUNCTION @extschema@.get_sync_drift(uuid, integer) IS
  'The runs of the last hours (1 to 720), by their period, that started later than integration_health.max_drift, newest first. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 to 720, or for malformed claims.';

CREATE FUNCTION @extschema@.get_missed_syncs(org_id uuid, hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, overdue interval,
  attempts integer)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT l.integration_type, l.display_name, l.scheduled_for, l.overdue, l.attempts
    FROM @extschema@.integration_health_trend_start(get_missed_syncs.hours) AS w (window_start)
   CROSS JOIN LATERAL (
         SELECT s.integration_type, t.display_name, p.scheduled_for,
                pg_catalog.now() - p.scheduled_for AS overdue,
                COALESCE(r.attempt, 0) AS attempts
           FROM @extschema@.integration_sync_schedules s
           JOIN @extschema@.integration_types t ON t.integration_type = s.integration_type
          CROSS JOIN LATERAL @extschema@.integration_sync_periods(
                  s.every, s.anchor, s.time_zone, GREATEST(w.window_start, s.planned_since),
                  pg_catalog.now()) AS p (scheduled_for)
           LEFT JOIN @extschema@.integration_sync_runs r
             ON r.org_id = s.org_id AND r.integration_type = s.integration_type
            AND r.scheduled_for = p.scheduled_for
          WHERE s.org_id = get_missed_syncs.org_id AND s.enabled
            AND @extschema@.integration_sync_is_late(pg_catalog.now() - p.scheduled_for)
            AND (r.org_id IS NULL
                 OR (r.outcome = 'running'::@extschema@.integration_sync_outcome
                     AND r.lease_until < pg_catalog.now()))
         OFFSET 0) l
   ORDER BY l.scheduled_for DESC, l.integration_type;
END;
COMMENT ON FUNCTION @extschema@.get_missed_syncs(uuid, integer) IS
  'The periods of the last hours (1 to 720) that nobody ran (attempts 0), or whose lease ran out before an end was reported, newest first; overdue is the time since. A period counts when it is later than integration_health.max_drift and its schedule was then as it is now. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 to 720, or for malformed claims.';

CREATE FUNCTION @extschema@.get_cold_starts(org_id uuid, hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, started_at timestamptz,
  drift interval, attempt integer, outcome @extschema@.integration_sync_outcome)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT l.integration_type, l.display_name, l.scheduled_for, l.started_at, l.drift, l.attempt,
         l.outcome
    FROM @extschema@.integration_health_trend_start(get_cold_starts.hours) AS w (window_start)
   CROSS JOIN LATERAL (
         SELECT r.integration_type, t.display_name, r.scheduled_for, r.started_at, r.drift,
                r.attempt, r.outcome
           FROM @extschema@.integration_sync_runs r
           JOIN @extschema@.integration_types t ON t.integration_type = r.integration_type
          WHERE r.org_id = get_cold_starts.org_id AND r.scheduled_for >= w.window_start
            AND r.cold_start
         OFFSET 0) l
   ORDER BY l.scheduled_for DESC, l.integration_type;
END;
COMMENT ON FUNCTION @extschema@.get_cold_starts(uuid, integer) IS
  'The runs of the last hours (1 to 720), by their period, whose worker had to be started first, newest first. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 to 720, or for malformed claims.';

CREATE FUNCTION @extschema@.get_global_sync_summary(hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, schedules bigint, succeeded bigint, failed bigint,
  running bigint, late bigint, missed bigint, cold_starts bigint, max_drift interval)
LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 10
AS 'MODULE_PATHNAME', 'ih_global_syncs';
COMMENT ON FUNCTION @extschema@.get_global_sync_summary(integer) IS
  'For every integration type, by display name, the number of enabled schedules of all organisations and, of the periods of the last hours (1 to 720), how many runs succeeded, failed, are running, started late or cold, how many periods were missed, and the longest drift. Errors: 42501 as get_global_health_summary, 22023 when hours is null or outside 1 to 720, or for malformed claims.';

-- ---------------------------------------------------------------------------------------------
-- Jobs
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.integration_health_cleanup(
  retention interval DEFAULT '30 days', max_rows integer DEFAULT 50000)
RETURNS bigint
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_cleanup';
COMMENT ON FUNCTION @extschema@.integration_health_cleanup(interval, integer) IS
  'Deletes at most max_rows rows, of history with checked_at, and of sync runs with their period and their end, longer ago than retention, and returns how many; rows that a writer holds wait for the next run. Errors: 22023 retention is null or not positive, or max_rows is null or below 1.';

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
  stale_schedule text DEFAULT '*/5 * * * *', warm_up_schedule text DEFAULT NULL)
RETURNS TABLE (job_id bigint, job_name text, schedule text, command text)
LANGUAGE c VOLATILE ROWS 4 AS 'MODULE_PATHNAME', 'ih_schedule_jobs';
COMMENT ON FUNCTION @extschema@.schedule_integration_health_jobs(text, text, text, text) IS
  'Registers the pg_cron jobs of the extension, or changes their schedules (crontab syntax), for the caller, who must be a role that can log in. warm_up_schedule null: every 30 seconds where pg_cron knows seconds (1.5), else every minute. Errors: 0A000 pg_cron is not in this database, 22023 another schedule is null; pg_cron''s own errors for a schedule it cannot read.';

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
