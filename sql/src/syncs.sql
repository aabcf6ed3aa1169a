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
  max_attempts     integer NOT NULL DEFAULT 5,
  retry_backoff    interval NOT NULL DEFAULT '1 minute',
  planned_since    timestamptz NOT NULL,
  due_at           timestamptz NOT NULL,
  warm_up_for      timestamptz NOT NULL,
  pruned_until     timestamptz,
  PRIMARY KEY (org_id, integration_type),
  FOREIGN KEY (integration_type) REFERENCES @extschema@.integration_types (integration_type),
  CONSTRAINT every_is_days_and_months_or_a_time_of_at_least_1_minute
    CHECK (@extschema@.integration_sync_every_is_valid(every)),
  CONSTRAINT anchor_is_finite CHECK (pg_catalog.isfinite(anchor)),
  CONSTRAINT max_attempts_is_between_1_and_100 CHECK (max_attempts >= 1 AND max_attempts <= 100),
  CONSTRAINT retry_backoff_is_at_most_a_day
    CHECK (retry_backoff >= interval '0' AND retry_backoff <= interval '1 day'),
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
  'Where days and months are counted, a name of pg_timezone_names. Looked up by a trigger when somebody sets it: what a dump brings may have left the time zones of this system, and is skipped with a warning then.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.enabled IS
  'Whether the sync may be claimed, and is missed when nobody runs it.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.warm_up_url IS
  'Where to POST shortly before each period, to wake the worker; http or https, at most 2000 ASCII characters, no secrets. Null: no warm-up.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.max_attempts IS
  'How often a period may be claimed, 1 to 100; then it is given up.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.retry_backoff IS
  'How long a period waits after its first attempt failed, doubled with each further one, at most an hour or retry_backoff; 0 to 1 day.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.planned_since IS
  'Since when every, anchor, time_zone and enabled are as they are. Kept by a trigger; what was before is in sync_plans.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.due_at IS
  'When a period can be claimed next: the first one after the last that succeeded or was given up, or of the present plan, or when the last that failed may be tried again; infinity: none. Kept by a trigger and finish_sync_run.';
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

CREATE TABLE integration_health_private.sync_plans (
  org_id           uuid NOT NULL,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  every            interval NOT NULL,
  anchor           timestamptz NOT NULL,
  time_zone        text NOT NULL,
  since            timestamptz NOT NULL,
  until            timestamptz NOT NULL,
  PRIMARY KEY (org_id, integration_type, until)
);
COMMENT ON TABLE integration_health_private.sync_plans IS
  'What enabled schedules were before they changed or were disabled: their periods may be missed as well.';
COMMENT ON COLUMN integration_health_private.sync_plans.org_id IS 'Organisation.';
COMMENT ON COLUMN integration_health_private.sync_plans.integration_type IS 'External system.';
COMMENT ON COLUMN integration_health_private.sync_plans.every IS 'As in integration_sync_schedules.';
COMMENT ON COLUMN integration_health_private.sync_plans.anchor IS 'As in integration_sync_schedules.';
COMMENT ON COLUMN integration_health_private.sync_plans.time_zone IS 'As in integration_sync_schedules.';
COMMENT ON COLUMN integration_health_private.sync_plans.since IS 'When the plan began to hold.';
COMMENT ON COLUMN integration_health_private.sync_plans.until IS 'When it ceased to: not included.';

-- It keeps what get_missed_syncs can ask for: 720 hours.
CREATE FUNCTION integration_health_private.keep_plan(
  org_id uuid, integration_type text, every interval, anchor timestamptz, time_zone text, since timestamptz,
  until timestamptz)
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['integration_health_private.sync_plans'::regclass]);
  DELETE FROM integration_health_private.sync_plans p
   WHERE p.org_id = keep_plan.org_id AND p.integration_type = keep_plan.integration_type
     AND p.until < pg_catalog.now() - interval '720 hours';
  INSERT INTO integration_health_private.sync_plans (org_id, integration_type, every, anchor, time_zone, since, until)
  VALUES (keep_plan.org_id, keep_plan.integration_type, keep_plan.every, keep_plan.anchor, keep_plan.time_zone,
          keep_plan.since, keep_plan.until)
  ON CONFLICT DO NOTHING;
END;
COMMENT ON FUNCTION integration_health_private.keep_plan(uuid, text, interval, timestamptz, text, timestamptz, timestamptz) IS
  'Keeps what a schedule was from since until a time, and forgets what it was before the longest window of a report. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.forget_plans(org_id uuid, integration_type text)
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['integration_health_private.sync_plans'::regclass]);
  DELETE FROM integration_health_private.sync_plans p
   WHERE forget_plans.org_id IS NULL
      OR p.org_id = forget_plans.org_id AND p.integration_type = forget_plans.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.forget_plans(uuid, text) IS
  'Deletes what a schedule that is gone once was; all of them where org_id is null. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.keep_plans()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM integration_health_private.forget_plans(NULL, NULL);
  ELSIF TG_OP = 'DELETE' THEN
    PERFORM integration_health_private.forget_plans(OLD.org_id, OLD.integration_type);
  ELSIF OLD.enabled AND NEW.planned_since > OLD.planned_since THEN
    PERFORM integration_health_private.keep_plan(OLD.org_id, OLD.integration_type, OLD.every, OLD.anchor,
      OLD.time_zone, OLD.planned_since, NEW.planned_since);
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.keep_plans() IS
  'Trigger of integration_sync_schedules, after a change: keeps the plan of before as long as the schedule is there. Errors: 55000 as require_own_triggers.';

CREATE TRIGGER zz_integration_sync_schedules_plans
  AFTER UPDATE OR DELETE ON @extschema@.integration_sync_schedules
  FOR EACH ROW EXECUTE FUNCTION integration_health_private.keep_plans();
COMMENT ON TRIGGER zz_integration_sync_schedules_plans ON @extschema@.integration_sync_schedules IS
  'Keeps the plan of before as long as the schedule is there.';
CREATE TRIGGER zz_integration_sync_schedules_truncate
  AFTER TRUNCATE ON @extschema@.integration_sync_schedules
  FOR EACH STATEMENT EXECUTE FUNCTION integration_health_private.keep_plans();
COMMENT ON TRIGGER zz_integration_sync_schedules_truncate ON @extschema@.integration_sync_schedules IS
  'Empties what is kept of plans with the table.';

ALTER TABLE @extschema@.integration_sync_schedules ENABLE ROW LEVEL SECURITY;
ALTER TABLE integration_health_private.sync_plans ENABLE ROW LEVEL SECURITY;
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

CREATE POLICY sync_plans_read ON integration_health_private.sync_plans
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
COMMENT ON POLICY sync_plans_read ON integration_health_private.sync_plans IS
  'A caller sees the organisations that its claims name.';

CREATE FUNCTION integration_health_private.usable_time_zone(
  org_id uuid, integration_type text, every interval, anchor timestamptz, time_zone text)
RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ih_usable_time_zone';
COMMENT ON FUNCTION integration_health_private.usable_time_zone(uuid, text, interval, timestamptz, text) IS
  'time_zone where the schedule has periods; null, with a WARNING that names the schedule, where it has none any more: so it does not keep a job or report from the others.';

CREATE FUNCTION @extschema@.integration_sync_periods(
  every interval, anchor timestamptz, time_zone text, since timestamptz, until timestamptz)
RETURNS SETOF timestamptz
LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'ih_periods';
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
  time_zone text DEFAULT 'UTC', enabled boolean DEFAULT NULL, warm_up_url text DEFAULT NULL,
  max_attempts integer DEFAULT NULL, retry_backoff interval DEFAULT NULL)
RETURNS @extschema@.integration_sync_schedules
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO @extschema@.integration_sync_schedules AS s
         (org_id, integration_type, every, anchor, time_zone, enabled, warm_up_url, max_attempts, retry_backoff)
  VALUES (set_sync_schedule.org_id, set_sync_schedule.integration_type, set_sync_schedule.every,
          set_sync_schedule.anchor, set_sync_schedule.time_zone, COALESCE(set_sync_schedule.enabled, true),
          set_sync_schedule.warm_up_url, COALESCE(set_sync_schedule.max_attempts, 5),
          COALESCE(set_sync_schedule.retry_backoff, interval '1 minute'))
  ON CONFLICT (org_id, integration_type) DO UPDATE
     SET every = EXCLUDED.every, anchor = EXCLUDED.anchor, time_zone = EXCLUDED.time_zone,
         enabled = COALESCE(set_sync_schedule.enabled, s.enabled), warm_up_url = EXCLUDED.warm_up_url,
         max_attempts = COALESCE(set_sync_schedule.max_attempts, s.max_attempts),
         retry_backoff = COALESCE(set_sync_schedule.retry_backoff, s.retry_backoff)
  RETURNING s;
END;
COMMENT ON FUNCTION @extschema@.set_sync_schedule(uuid, text, interval, timestamptz, text, boolean, text, integer, interval) IS
  'Makes the schedule of a pair, or changes it, and returns its row: periods at anchor and then every interval, days and months counted in time_zone. enabled, max_attempts and retry_backoff stay as they are where they are null or left out; a new schedule has true, 5 and 1 minute. Errors: 23502 another argument than those and warm_up_url is null, 23503 unknown integration_type, 23514 an argument is not allowed, 42501 the caller is no writer.';

CREATE FUNCTION integration_health_private.require_all_syncs()
RETURNS void
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT integration_health_private.require_all_rows(VARIADIC ARRAY[
    '@extschema@.integration_sync_schedules'::regclass, '@extschema@.integration_sync_runs'::regclass,
    'integration_health_private.sync_plans'::regclass]);
END;
COMMENT ON FUNCTION integration_health_private.require_all_syncs() IS
  'require_all_rows for schedules, plans and runs.';

-- Schedules that have a period to be claimed; of each, the last period counts.
CREATE FUNCTION integration_health_private.due_syncs(max_rows integer)
RETURNS TABLE (
  org_id uuid, integration_type text, scheduled_for timestamptz, attempts integer,
  idempotency_key text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT s.org_id, s.integration_type, p.scheduled_for,
         COALESCE((SELECT r.attempt FROM @extschema@.integration_sync_runs r
                    WHERE r.org_id = s.org_id AND r.integration_type = s.integration_type
                      AND r.scheduled_for = p.scheduled_for), 0),
         @extschema@.integration_sync_key(s.org_id, s.integration_type, p.scheduled_for)
    FROM @extschema@.integration_sync_schedules s
   CROSS JOIN LATERAL @extschema@.integration_sync_last_period(
           s.every, s.anchor, integration_health_private.usable_time_zone(
             s.org_id, s.integration_type, s.every, s.anchor, s.time_zone), pg_catalog.now()) AS p (scheduled_for)
   WHERE s.enabled AND s.due_at <= pg_catalog.now() AND p.scheduled_for IS NOT NULL
     AND NOT EXISTS (
         SELECT FROM @extschema@.integration_sync_runs r
          WHERE r.org_id = s.org_id AND r.integration_type = s.integration_type AND r.scheduled_for = p.scheduled_for
            AND (r.outcome = 'succeeded' OR r.attempt >= s.max_attempts
                 OR r.outcome = 'running' AND r.lease_until >= pg_catalog.now()
                    AND r.lease_until <= pg_catalog.now() + interval '1 day'))
   ORDER BY s.due_at LIMIT due_syncs.max_rows;
END;
COMMENT ON FUNCTION integration_health_private.due_syncs(integer) IS 'The query of get_due_syncs.';

-- As claim_due_health_checks: by the index, however many are due.
CREATE FUNCTION @extschema@.get_due_syncs(max_rows integer DEFAULT 1000)
RETURNS TABLE (
  org_id uuid, integration_type text, scheduled_for timestamptz, attempts integer,
  idempotency_key text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET jit = off SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  PERFORM integration_health_private.require_max_rows(get_due_syncs.max_rows);
  PERFORM integration_health_private.require_all_syncs();
  RETURN QUERY SELECT * FROM integration_health_private.due_syncs(get_due_syncs.max_rows);
END
$$;
COMMENT ON FUNCTION @extschema@.get_due_syncs(integer) IS
  'For sync workers: the last period of at most max_rows enabled schedules, where it can be claimed: nobody has run it, or its last attempt failed and its wait is over, or the lease of that ran out, and it is not given up. Those that can be claimed longest come first; attempts is how many there were. Errors: 22023 max_rows is null or below 1.';

CREATE FUNCTION @extschema@.claim_sync_run(
  org_id uuid, integration_type text, scheduled_for timestamptz,
  cold_start boolean DEFAULT false, lease interval DEFAULT '10 minutes',
  OUT org_id uuid, OUT integration_type text, OUT scheduled_for timestamptz, OUT attempt integer,
  OUT outcome @extschema@.integration_sync_outcome, OUT started_at timestamptz,
  OUT finished_at timestamptz, OUT lease_until timestamptz, OUT drift interval,
  OUT cold_start boolean, OUT error text, OUT idempotency_key text, OUT claimed boolean)
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_claim_sync';
COMMENT ON FUNCTION @extschema@.claim_sync_run(uuid, text, timestamptz, boolean, interval) IS
  'Claims a period of a schedule and returns its run; claimed is true for the one caller who is to run it now, until lease (1 second to 1 day) has passed. A run that failed, when its retry_backoff has passed, or whose lease ran out can be claimed again, max_attempts times in all; one that succeeded never. Warns when it starts later than integration_health.max_drift. Errors: 22023 an argument is null or out of range, no schedule, scheduled_for is no period of it, lies more than a minute ahead, or is older than the ledger; 55000 the schedule is disabled.';

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
    FROM integration_health_private.window_start(get_sync_drift.hours) AS w (window_start)
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

-- What "missed" means, for every report. A range of organisations, so that one plan serves one of them as well as all.
CREATE FUNCTION integration_health_private.missed_syncs(of_org uuid, since timestamptz)
RETURNS TABLE (
  org_id uuid, integration_type text, scheduled_for timestamptz, attempts integer, given_up boolean)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT d.org_id, d.integration_type, d.scheduled_for, COALESCE(r.attempt, 0),
         COALESCE(r.attempt >= d.max_attempts, false)
    FROM (SELECT p.org_id, p.integration_type, p.max_attempts,
                 @extschema@.integration_sync_periods(
                   p.every, p.anchor, integration_health_private.usable_time_zone(
                     p.org_id, p.integration_type, p.every, p.anchor, p.time_zone),
                   GREATEST(missed_syncs.since, p.since), p.until) AS scheduled_for
            FROM (SELECT s.org_id, s.integration_type, s.every, s.anchor, s.time_zone,
                         GREATEST(s.planned_since, s.pruned_until + interval '1 microsecond') AS since,
                         pg_catalog.now() AS until, s.max_attempts
                    FROM @extschema@.integration_sync_schedules s
                   WHERE s.enabled
                     AND s.org_id >= COALESCE(missed_syncs.of_org, '00000000-0000-0000-0000-000000000000')
                     AND s.org_id <= COALESCE(missed_syncs.of_org, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                   UNION ALL
                  SELECT c.org_id, c.integration_type, c.every, c.anchor, c.time_zone,
                         GREATEST(c.since, s.pruned_until + interval '1 microsecond'),
                         c.until - interval '1 microsecond', s.max_attempts
                    FROM integration_health_private.sync_plans c
                    JOIN @extschema@.integration_sync_schedules s
                      ON s.org_id = c.org_id AND s.integration_type = c.integration_type
                   WHERE c.until > missed_syncs.since
                     AND c.org_id >= COALESCE(missed_syncs.of_org, '00000000-0000-0000-0000-000000000000')
                     AND c.org_id <= COALESCE(missed_syncs.of_org, 'ffffffff-ffff-ffff-ffff-ffffffffffff')) p) d
    LEFT JOIN @extschema@.integration_sync_runs r
      ON r.org_id = d.org_id AND r.integration_type = d.integration_type
     AND r.scheduled_for = d.scheduled_for AND r.scheduled_for >= missed_syncs.since
   WHERE @extschema@.integration_sync_is_late(pg_catalog.now() - d.scheduled_for)
     AND CASE r.outcome WHEN 'succeeded' THEN false
                        WHEN 'running' THEN r.lease_until < pg_catalog.now()
                        WHEN 'failed' THEN r.attempt >= d.max_attempts
                        ELSE true END;
END;
COMMENT ON FUNCTION integration_health_private.missed_syncs(uuid, timestamptz) IS
  'The periods since a time, of an organisation or, where that is null, of all, that are later than integration_health.max_drift and that nobody ran, or whose last attempt was given up without a word, or that failed max_attempts times. Not those of which the cleanup has deleted the runs.';

CREATE FUNCTION @extschema@.get_missed_syncs(org_id uuid, hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, overdue interval,
  attempts integer, given_up boolean)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT l.integration_type, l.display_name, l.scheduled_for, l.overdue, l.attempts, l.given_up
    FROM integration_health_private.window_start(get_missed_syncs.hours) AS w (window_start)
   CROSS JOIN LATERAL (
         SELECT m.integration_type, t.display_name, m.scheduled_for,
                pg_catalog.now() - m.scheduled_for AS overdue, m.attempts, m.given_up
           FROM integration_health_private.missed_syncs(get_missed_syncs.org_id, w.window_start) m
           JOIN @extschema@.integration_types t ON t.integration_type = m.integration_type
          WHERE get_missed_syncs.org_id IS NOT NULL
         OFFSET 0) l
   ORDER BY l.scheduled_for DESC, l.integration_type;
END;
COMMENT ON FUNCTION @extschema@.get_missed_syncs(uuid, integer) IS
  'The periods of the last hours (1 to 720) that nobody ran (attempts 0), whose lease ran out before an end was reported, or that failed max_attempts times, newest first; overdue is the time since, given_up whether no attempt is left. A period counts when it is later than integration_health.max_drift, by the schedule as it was then, and as far as the cleanup has left the ledger. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 to 720, or for malformed claims.';

CREATE FUNCTION @extschema@.get_cold_starts(org_id uuid, hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, started_at timestamptz,
  drift interval, attempt integer, outcome @extschema@.integration_sync_outcome)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT l.integration_type, l.display_name, l.scheduled_for, l.started_at, l.drift, l.attempt,
         l.outcome
    FROM integration_health_private.window_start(get_cold_starts.hours) AS w (window_start)
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

CREATE FUNCTION integration_health_private.global_sync_summary(since timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, schedules bigint, succeeded bigint, failed bigint,
  running bigint, late bigint, missed bigint, cold_starts bigint, max_drift interval, given_up bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
  WITH run AS (
    SELECT r.integration_type,
           pg_catalog.count(*) FILTER (WHERE r.outcome = 'succeeded') AS succeeded,
           pg_catalog.count(*) FILTER (WHERE r.outcome = 'failed') AS failed,
           pg_catalog.count(*) FILTER (WHERE r.outcome = 'running') AS running,
           pg_catalog.count(*) FILTER (WHERE @extschema@.integration_sync_is_late(r.drift)) AS late,
           pg_catalog.count(*) FILTER (WHERE r.cold_start) AS cold_starts,
           pg_catalog.max(r.drift) AS max_drift
      FROM @extschema@.integration_sync_runs r
     WHERE r.scheduled_for >= global_sync_summary.since GROUP BY r.integration_type
  ), plan AS (
    SELECT s.integration_type, pg_catalog.count(*) AS schedules
      FROM @extschema@.integration_sync_schedules s WHERE s.enabled GROUP BY s.integration_type
  ), missing AS (
    SELECT m.integration_type, pg_catalog.count(*) AS missed,
           pg_catalog.count(*) FILTER (WHERE m.given_up) AS given_up
      FROM integration_health_private.missed_syncs(NULL, global_sync_summary.since) m
     GROUP BY m.integration_type
  )
  SELECT t.integration_type, t.display_name, COALESCE(p.schedules, 0), COALESCE(r.succeeded, 0),
         COALESCE(r.failed, 0), COALESCE(r.running, 0), COALESCE(r.late, 0), COALESCE(m.missed, 0),
         COALESCE(r.cold_starts, 0), r.max_drift, COALESCE(m.given_up, 0)
    FROM @extschema@.integration_types t
    LEFT JOIN run r ON r.integration_type = t.integration_type
    LEFT JOIN plan p ON p.integration_type = t.integration_type
    LEFT JOIN missing m ON m.integration_type = t.integration_type
   ORDER BY t.display_name, t.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.global_sync_summary(timestamptz) IS
  'The query of get_global_sync_summary.';

CREATE FUNCTION @extschema@.get_global_sync_summary(hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, schedules bigint, succeeded bigint, failed bigint,
  running bigint, late bigint, missed bigint, cold_starts bigint, max_drift interval, given_up bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off ROWS 10 AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  PERFORM integration_health_private.require_all_syncs();
  RETURN QUERY SELECT * FROM integration_health_private.global_sync_summary(
    integration_health_private.window_start(get_global_sync_summary.hours));
END
$$;
COMMENT ON FUNCTION @extschema@.get_global_sync_summary(integer) IS
  'For every integration type, by display name, the number of enabled schedules of all organisations and, of the periods of the last hours (1 to 720), how many runs succeeded, failed, are running, started late or cold, how many periods were missed (as get_missed_syncs), the longest drift, and how many of the missed ones have no attempt left. Errors: 42501 as get_global_health_summary, 22023 when hours is null or outside 1 to 720, or for malformed claims.';
