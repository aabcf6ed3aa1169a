-- ---------------------------------------------------------------------------------------------
-- Scheduled syncs: the schedules, and the ledger of their runs
-- ---------------------------------------------------------------------------------------------

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

CREATE FUNCTION @extschema@.integration_sync_schedules_trigger()
RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'ih_schedules_trigger';
COMMENT ON FUNCTION @extschema@.integration_sync_schedules_trigger() IS
  'Trigger of integration_sync_schedules: stamps planned_since, and the first period, when the plan changes, keeps the key as it is. Errors: 39P01 not called by its trigger, 42809 another table, 22023 a key was changed.';

CREATE TRIGGER zz_integration_sync_schedules_stamp
  BEFORE INSERT OR UPDATE ON @extschema@.integration_sync_schedules
  FOR EACH ROW EXECUTE FUNCTION @extschema@.integration_sync_schedules_trigger();
COMMENT ON TRIGGER zz_integration_sync_schedules_stamp ON @extschema@.integration_sync_schedules IS
  'Says since when a plan holds; a new row that brings planned_since along is a restored one.';

ALTER TABLE @extschema@.integration_sync_schedules ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.integration_sync_runs ENABLE ROW LEVEL SECURITY;

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
