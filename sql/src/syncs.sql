-- ---------------------------------------------------------------------------------------------
-- Schedules of syncs, and their periods
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.integration_sync_every_is_valid(every interval)
RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_sync_every_is_valid';
COMMENT ON FUNCTION @extschema@.integration_sync_every_is_valid(interval) IS
  'Whether a schedule may have the interval every: days and months (at most 3660 and 120), or a time from 1 minute '
  'to 3660 days, not both.';

CREATE FUNCTION @extschema@.integration_sync_time_zone_is_valid(time_zone text)
RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_sync_time_zone_is_valid';
COMMENT ON FUNCTION @extschema@.integration_sync_time_zone_is_valid(text) IS
  'Whether time_zone is the name of a time zone, spelt as in pg_timezone_names.';

CREATE FUNCTION @extschema@.integration_sync_key(
  org_id uuid, integration_type text, scheduled_for timestamptz)
RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN org_id::text || ':' || integration_type || ':' || integration_health_private.utc_text(scheduled_for);
END
$$;
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
  'Time between two periods: days and months, counted on the clocks of time_zone, or an elapsed time of 1 minute or '
  'more.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.anchor IS 'The first period.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.time_zone IS
  'Where days and months are counted, a name of pg_timezone_names. Looked up by a trigger when somebody sets it: '
  'what a dump brings may have left the time zones of this system, and is skipped with a warning then.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.enabled IS
  'Whether the sync may be claimed, and is missed when nobody runs it.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.warm_up_url IS
  'Where to POST shortly before each period, to wake the worker; http or https, at most 2000 ASCII characters, no '
  'secrets. Null: no warm-up.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.max_attempts IS
  'How often a period may be claimed, 1 to 100; then it is given up.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.retry_backoff IS
  'How long a period waits after its first attempt failed, doubled with each further one, at most an hour or '
  'retry_backoff; 0 to 1 day.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.planned_since IS
  'Since when every, anchor, time_zone and enabled are as they are. Kept by a trigger; what was before is in '
  'sync_plans.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.due_at IS
  'When a period can be claimed next: the first one after the last that succeeded or was given up, or of the present '
  'plan, or when the last that failed may be tried again; infinity: none. Kept by a trigger and finish_sync_run.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.warm_up_for IS
  'The next period to send a warm-up for. Kept by a trigger and dispatch_sync_warm_ups.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.pruned_until IS
  'Runs up to this period are deleted, so that it cannot be claimed any more. Kept by integration_health_cleanup.';

CREATE FUNCTION @extschema@.integration_sync_schedules_trigger()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_NARGS <> 0 THEN
    RAISE EXCEPTION USING ERRCODE = '39P01', MESSAGE = 'function "integration_sync_schedules_trigger" takes no trigger arguments';
  ELSIF TG_RELID <> integration_health_private.relation('integration_sync_schedules') THEN
    RAISE EXCEPTION USING ERRCODE = '42809', MESSAGE = format('table "%s" does not hold schedules', TG_TABLE_NAME);
  ELSIF TG_WHEN <> 'BEFORE' OR TG_LEVEL <> 'ROW' OR TG_OP = 'DELETE' THEN
    RAISE EXCEPTION USING ERRCODE = '39P01',
      MESSAGE = 'function "integration_sync_schedules_trigger" was called for an event it does not serve',
      HINT = 'It is attached by CREATE EXTENSION, and by nobody else.';
  END IF;
  IF TG_OP = 'INSERT' AND NEW.planned_since IS NOT NULL THEN
    IF NEW.integration_type IS NOT NULL THEN
      PERFORM integration_health_private.hold_type(NEW.integration_type);
    END IF;
    RETURN NEW;
  END IF;

  -- No constraint: the zone of a row that is restored, or as it was, may have left the system's list.
  IF NOT integration_health_private.is_time_zone(NEW.time_zone) THEN
    RAISE EXCEPTION USING ERRCODE = '23514', TABLE = TG_TABLE_NAME,
      MESSAGE = format('unknown time zone "%s"', integration_health_private.echo(NEW.time_zone)),
      HINT = 'Use a name as pg_timezone_names has it.';
  END IF;
  NEW.planned_since := clock_timestamp();
  NEW.due_at := 'infinity';
  -- A plan that the constraints of the table will refuse has no period.
  IF integration_health_private.is_every(NEW.every) AND isfinite(NEW.anchor) AND NEW.time_zone IS NOT NULL THEN
    NEW.due_at := COALESCE(integration_health_private.next_period(
      NEW.every, NEW.anchor, NEW.time_zone, NEW.planned_since - interval '1 microsecond'), 'infinity');
  END IF;
  NEW.warm_up_for := NEW.due_at;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION @extschema@.integration_sync_schedules_trigger() IS
  'Trigger of integration_sync_schedules: stamps planned_since, and the first period, when the plan changes, keeps '
  'the key as it is. Errors: 39P01 not called by its trigger, 42809 another table, 22023 a key was changed.';

CREATE TRIGGER zz_integration_sync_schedules_stamp
  BEFORE INSERT ON @extschema@.integration_sync_schedules
  FOR EACH ROW EXECUTE FUNCTION @extschema@.integration_sync_schedules_trigger();
COMMENT ON TRIGGER zz_integration_sync_schedules_stamp ON @extschema@.integration_sync_schedules IS
  'Says since when a plan holds; a new row that brings planned_since along is a restored one.';
-- As text, for a day is not 24 hours.
CREATE TRIGGER zz_integration_sync_schedules_replan
  BEFORE UPDATE ON @extschema@.integration_sync_schedules
  FOR EACH ROW WHEN ((NEW.every::text, NEW.anchor, NEW.time_zone, NEW.enabled)
                     IS DISTINCT FROM (OLD.every::text, OLD.anchor, OLD.time_zone, OLD.enabled))
  EXECUTE FUNCTION @extschema@.integration_sync_schedules_trigger();
COMMENT ON TRIGGER zz_integration_sync_schedules_replan ON @extschema@.integration_sync_schedules IS
  'Says since when a changed plan holds.';

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
COMMENT ON FUNCTION integration_health_private.keep_plan(
  uuid, text, interval, timestamptz, text, timestamptz, timestamptz) IS
  'Keeps what a schedule was from since until a time, and forgets what it was before the longest window of a report. '
  'Errors: 55000 as require_own_triggers.';

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
  'Deletes what a schedule that is gone once was; all of them where org_id is null. Errors: 55000 as '
  'require_own_triggers.';

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
  'Trigger of integration_sync_schedules, after a change: keeps the plan of before as long as the schedule is there. '
  'Errors: 55000 as require_own_triggers.';

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

-- Under another key the periods of a schedule could be run again.
CREATE TRIGGER zz_integration_sync_schedules_key
  BEFORE UPDATE ON @extschema@.integration_sync_schedules
  FOR EACH ROW WHEN ((NEW.org_id, NEW.integration_type) IS DISTINCT FROM (OLD.org_id, OLD.integration_type))
  EXECUTE FUNCTION integration_health_private.refuse_new_key();
COMMENT ON TRIGGER zz_integration_sync_schedules_key ON @extschema@.integration_sync_schedules IS
  'The key of a row never changes.';

ALTER TABLE @extschema@.integration_sync_schedules ENABLE ROW LEVEL SECURITY;
ALTER TABLE integration_health_private.sync_plans ENABLE ROW LEVEL SECURITY;

CREATE POLICY integration_sync_schedules_read ON @extschema@.integration_sync_schedules
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_sync_schedules_read ON @extschema@.integration_sync_schedules IS
  'A caller sees the organisations that its claims name.';

CREATE POLICY sync_plans_read ON integration_health_private.sync_plans
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
COMMENT ON POLICY sync_plans_read ON integration_health_private.sync_plans IS
  'A caller sees the organisations that its claims name.';

CREATE FUNCTION integration_health_private.usable_time_zone(
  org_id uuid, integration_type text, every interval, anchor timestamptz, time_zone text)
RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'usable_time_zone';
COMMENT ON FUNCTION integration_health_private.usable_time_zone(uuid, text, interval, timestamptz, text) IS
  'time_zone where the schedule has periods; null, with a WARNING that names the schedule, where it has none any '
  'more: so it does not keep a job or report from the others.';

CREATE FUNCTION @extschema@.integration_sync_periods(
  every interval, anchor timestamptz, time_zone text, since timestamptz, until timestamptz)
RETURNS SETOF timestamptz
LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'integration_sync_periods';
COMMENT ON FUNCTION @extschema@.integration_sync_periods(interval, timestamptz, text, timestamptz, timestamptz) IS
  'The periods of a schedule from since to until, both included, in order. Errors: 22023 no valid schedule, or more '
  'than 100000 periods.';

CREATE FUNCTION @extschema@.integration_sync_last_period(
  every interval, anchor timestamptz, time_zone text, at timestamptz)
RETURNS timestamptz
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_sync_last_period';
COMMENT ON FUNCTION @extschema@.integration_sync_last_period(interval, timestamptz, text, timestamptz) IS
  'The last period of a schedule that is not after at; null before its anchor. Errors: 22023 no valid schedule.';

CREATE FUNCTION @extschema@.integration_sync_next_period(
  every interval, anchor timestamptz, time_zone text, after timestamptz)
RETURNS timestamptz
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_sync_next_period';
COMMENT ON FUNCTION @extschema@.integration_sync_next_period(interval, timestamptz, text, timestamptz) IS
  'The first period of a schedule after a time. Errors: 22023 no valid schedule.';

CREATE FUNCTION @extschema@.integration_sync_is_late(drift interval)
RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_sync_is_late';
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
COMMENT ON FUNCTION @extschema@.set_sync_schedule(
  uuid, text, interval, timestamptz, text, boolean, text, integer, interval) IS
  'Makes the schedule of a pair, or changes it, and returns its row: periods at anchor and then every interval, days '
  'and months counted in time_zone. enabled, max_attempts and retry_backoff stay as they are where they are null or '
  'left out; a new schedule has true, 5 and 1 minute. Errors: 23502 another argument than those and warm_up_url is '
  'null, 23503 unknown integration_type, 23514 an argument is not allowed, 42501 the caller is no writer.';

-- Rows of schedules, as they are now under any isolation level.
CREATE FUNCTION integration_health_private.latest_schedule(org_id uuid, integration_type text)
RETURNS @extschema@.integration_sync_schedules
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'latest_schedule';
COMMENT ON FUNCTION integration_health_private.latest_schedule(uuid, text) IS
  'The schedule of a pair as committed now; null where there is none.';

CREATE FUNCTION integration_health_private.lock_schedule(org_id uuid, integration_type text)
RETURNS @extschema@.integration_sync_schedules
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lock_schedule';
COMMENT ON FUNCTION integration_health_private.lock_schedule(uuid, text) IS
  'The schedule of a pair, locked; null where there is none. Waits for who has locked it.';

CREATE FUNCTION integration_health_private.store_schedule(schedule @extschema@.integration_sync_schedules)
RETURNS @extschema@.integration_sync_schedules
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'store_schedule';
COMMENT ON FUNCTION integration_health_private.store_schedule(@extschema@.integration_sync_schedules) IS
  'Writes a schedule, whose row is locked, and returns it as it is stored. Errors: 55000 as require_own_triggers, or '
  'something of the site has kept the row from being written.';
