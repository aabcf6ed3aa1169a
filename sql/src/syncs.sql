-- ---------------------------------------------------------------------------------------------
-- Schedules of syncs, and their periods
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.integration_sync_every_is_valid(every interval)
RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_sync_every_is_valid';
COMMENT ON FUNCTION @extschema@.integration_sync_every_is_valid(interval) IS
  'Returns whether a schedule may have the interval every: days and months (at most 3660 and 120), or a time from 1 '
  'minute to 3660 days, but not both.';

CREATE FUNCTION @extschema@.integration_sync_time_zone_is_valid(time_zone text)
RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_sync_time_zone_is_valid';
COMMENT ON FUNCTION @extschema@.integration_sync_time_zone_is_valid(text) IS
  'Returns whether time_zone is the name of a time zone, spelt as in pg_timezone_names.';

CREATE FUNCTION @extschema@.integration_sync_key(
  org_id uuid, integration_type text, scheduled_for timestamptz)
RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN org_id::text || ':' || integration_type || ':' || integration_health_private.utc_text(scheduled_for);
END
$$;
COMMENT ON FUNCTION @extschema@.integration_sync_key(uuid, text, timestamptz) IS
  'Returns the idempotency key of a period: org_id:integration_type:period, with the period in UTC as ISO 8601.';

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
SELECT integration_health_private.partition_table('@extschema@.integration_sync_schedules');
CREATE INDEX integration_sync_schedules_due ON @extschema@.integration_sync_schedules (due_at)
  WHERE enabled;
CREATE INDEX integration_sync_schedules_warm_up ON @extschema@.integration_sync_schedules
  (warm_up_for) WHERE enabled AND warm_up_url IS NOT NULL;
COMMENT ON INDEX @extschema@.integration_sync_schedules_due IS 'Serves get_due_syncs.';
COMMENT ON INDEX @extschema@.integration_sync_schedules_warm_up IS 'Serves dispatch_sync_warm_ups.';
COMMENT ON TABLE @extschema@.integration_sync_schedules IS
  'When the sync of each (org_id, integration_type) is to run: at anchor, and from then on at intervals of every.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.org_id IS 'Organisation.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.integration_type IS 'External system.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.every IS
  'Time between two periods: days and months, counted on the clocks of time_zone, or an elapsed time of 1 minute or '
  'more.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.anchor IS 'The first period.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.time_zone IS
  'Where days and months are counted: a name from pg_timezone_names. Looked up by a trigger when somebody sets it, '
  'but not in a restored row: a schedule whose time zone this system does not have is skipped with a warning.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.enabled IS
  'Whether periods may be claimed, and count as missed when nobody runs them.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.warm_up_url IS
  'URL to POST to shortly before each period, to wake the worker; http or https, at most 2000 ASCII characters, no '
  'secrets. Null: no warm-up.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.max_attempts IS
  'How often a period may be claimed before it is given up, 1 to 100.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.retry_backoff IS
  'How long a period waits after its first attempt failed, 0 to 1 day; doubled with each further attempt, up to an '
  'hour, or up to retry_backoff if that is longer.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.planned_since IS
  'When every, anchor, time_zone or enabled last changed. Maintained by a trigger; earlier plans are in sync_plans.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.due_at IS
  'When a period can be claimed next: the first period of the current plan, or the first after the last one that '
  'succeeded or was given up, or the time when the last one that failed may be tried again; infinity: none. '
  'Maintained by a trigger and finish_sync_run.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.warm_up_for IS
  'The next period to send a warm-up for. Maintained by a trigger and dispatch_sync_warm_ups.';
COMMENT ON COLUMN @extschema@.integration_sync_schedules.pruned_until IS
  'Runs up to this period have been deleted, so these periods can no longer be claimed. Maintained by '
  'integration_health_cleanup.';

CREATE FUNCTION @extschema@.integration_sync_schedules_trigger()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
-- @engine shard
  PERFORM integration_health_private.enter_shard(TG_RELID);
-- @end
  PERFORM integration_health_private.require_trigger(
    'integration_sync_schedules_trigger', 'integration_sync_schedules', 'schedules', TG_RELID, TG_NARGS,
    TG_WHEN = 'BEFORE' AND TG_LEVEL = 'ROW' AND TG_OP <> 'DELETE');
  IF TG_OP = 'INSERT' AND NEW.planned_since IS NOT NULL THEN
    IF NEW.integration_type IS NOT NULL THEN
      PERFORM integration_health_private.hold_type(NEW.integration_type);
    END IF;
    RETURN NEW;
  END IF;

  -- Not a constraint, because the zone of a restored or unchanged row may no longer be in the system's list.
  IF NOT integration_health_private.is_time_zone(NEW.time_zone) THEN
    RAISE EXCEPTION USING ERRCODE = '23514', TABLE = TG_TABLE_NAME,
      MESSAGE = format('unknown time zone "%s"', integration_health_private.echo(NEW.time_zone)),
      HINT = 'Use a name from pg_timezone_names, spelled as it is there.';
  END IF;
  NEW.planned_since := clock_timestamp();
  NEW.due_at := 'infinity';
  -- A plan that the constraints of the table will refuse has no periods.
  IF integration_health_private.is_every(NEW.every) AND isfinite(NEW.anchor) AND NEW.time_zone IS NOT NULL THEN
    NEW.due_at := COALESCE(integration_health_private.next_period(
      NEW.every, NEW.anchor, NEW.time_zone, NEW.planned_since - interval '1 microsecond'), 'infinity');
  END IF;
  NEW.warm_up_for := NEW.due_at;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION @extschema@.integration_sync_schedules_trigger() IS
  'Trigger function of integration_sync_schedules: stamps planned_since and the first period when the plan changes. '
  'Errors: 39P01 when not called by its trigger, 42809 when called for another table, 23514 for an unknown time zone.';

CREATE TRIGGER zz_integration_sync_schedules_stamp
  BEFORE INSERT ON @extschema@.integration_sync_schedules
  FOR EACH ROW EXECUTE FUNCTION @extschema@.integration_sync_schedules_trigger();
COMMENT ON TRIGGER zz_integration_sync_schedules_stamp ON @extschema@.integration_sync_schedules IS
  'Sets since when the plan of a new schedule applies; a row inserted with planned_since is a restored one.';
-- Compared as text, because the intervals 1 day and 24 hours are equal, but their periods are not.
CREATE TRIGGER zz_integration_sync_schedules_replan
  BEFORE UPDATE ON @extschema@.integration_sync_schedules
  FOR EACH ROW WHEN ((NEW.every::text, NEW.anchor, NEW.time_zone, NEW.enabled)
                     IS DISTINCT FROM (OLD.every::text, OLD.anchor, OLD.time_zone, OLD.enabled))
  EXECUTE FUNCTION @extschema@.integration_sync_schedules_trigger();
COMMENT ON TRIGGER zz_integration_sync_schedules_replan ON @extschema@.integration_sync_schedules IS
  'Sets since when a changed plan applies.';

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
  'What enabled schedules were before they were changed or disabled: periods of those plans may be missed as well.';
COMMENT ON COLUMN integration_health_private.sync_plans.org_id IS 'Organisation.';
COMMENT ON COLUMN integration_health_private.sync_plans.integration_type IS 'External system.';
COMMENT ON COLUMN integration_health_private.sync_plans.every IS 'As in integration_sync_schedules.';
COMMENT ON COLUMN integration_health_private.sync_plans.anchor IS 'As in integration_sync_schedules.';
COMMENT ON COLUMN integration_health_private.sync_plans.time_zone IS 'As in integration_sync_schedules.';
COMMENT ON COLUMN integration_health_private.sync_plans.since IS 'When the plan took effect.';
COMMENT ON COLUMN integration_health_private.sync_plans.until IS 'When the plan ceased to apply (exclusive).';

-- Plans are kept for as long as get_missed_syncs can look back: 720 hours.
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
  'Stores the plan that a schedule had from since to until, and deletes those that ended before the longest window of '
  'a report. Errors: 55000 as require_own_triggers.';

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
  'Deletes the stored plans of a deleted schedule, or all of them if org_id is null. Errors: 55000 as '
  'require_own_triggers.';

CREATE FUNCTION integration_health_private.keep_plans()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
-- @engine shard
  PERFORM integration_health_private.enter_shard(TG_RELID);
-- @end
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
  'Trigger function of integration_sync_schedules, after a change: stores the previous plan, for as long as the '
  'schedule exists. Errors: 55000 as require_own_triggers.';

CREATE TRIGGER zz_integration_sync_schedules_plans
  AFTER UPDATE OR DELETE ON @extschema@.integration_sync_schedules
  FOR EACH ROW EXECUTE FUNCTION integration_health_private.keep_plans();
COMMENT ON TRIGGER zz_integration_sync_schedules_plans ON @extschema@.integration_sync_schedules IS
  'Stores the previous plan, for as long as the schedule exists.';
CREATE TRIGGER zz_integration_sync_schedules_truncate
  AFTER TRUNCATE ON @extschema@.integration_sync_schedules
  FOR EACH STATEMENT EXECUTE FUNCTION integration_health_private.keep_plans();
COMMENT ON TRIGGER zz_integration_sync_schedules_truncate ON @extschema@.integration_sync_schedules IS
  'Deletes all stored plans along with the schedules.';

-- Under another key, periods that have been run could be run again.
CREATE TRIGGER zz_integration_sync_schedules_key
  BEFORE UPDATE ON @extschema@.integration_sync_schedules
  FOR EACH ROW WHEN ((NEW.org_id, NEW.integration_type) IS DISTINCT FROM (OLD.org_id, OLD.integration_type))
  EXECUTE FUNCTION integration_health_private.refuse_new_key();
COMMENT ON TRIGGER zz_integration_sync_schedules_key ON @extschema@.integration_sync_schedules IS
  'Refuses a change of the key.';

ALTER TABLE @extschema@.integration_sync_schedules ENABLE ROW LEVEL SECURITY;
ALTER TABLE integration_health_private.sync_plans ENABLE ROW LEVEL SECURITY;

CREATE POLICY integration_sync_schedules_read ON @extschema@.integration_sync_schedules
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_sync_schedules_read ON @extschema@.integration_sync_schedules IS
  'Callers see the organisations that their claims name.';

CREATE POLICY sync_plans_read ON integration_health_private.sync_plans
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
COMMENT ON POLICY sync_plans_read ON integration_health_private.sync_plans IS
  'Callers see the organisations that their claims name.';

CREATE FUNCTION integration_health_private.usable_time_zone(
  org_id uuid, integration_type text, every interval, anchor timestamptz, time_zone text)
RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'usable_time_zone';
COMMENT ON FUNCTION integration_health_private.usable_time_zone(uuid, text, interval, timestamptz, text) IS
  'Returns time_zone if the schedule has periods; otherwise null, with a WARNING that names the schedule, so that a '
  'schedule that no longer has any does not keep a job or report from the others.';

CREATE FUNCTION @extschema@.integration_sync_periods(
  every interval, anchor timestamptz, time_zone text, since timestamptz, until timestamptz)
RETURNS SETOF timestamptz
LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'integration_sync_periods';
COMMENT ON FUNCTION @extschema@.integration_sync_periods(interval, timestamptz, text, timestamptz, timestamptz) IS
  'Returns the periods of a schedule from since to until, both included, in order. Errors: 22023 when the schedule is '
  'not valid, or there are more than 100000 periods.';

CREATE FUNCTION @extschema@.integration_sync_last_period(
  every interval, anchor timestamptz, time_zone text, at timestamptz)
RETURNS timestamptz
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_sync_last_period';
COMMENT ON FUNCTION @extschema@.integration_sync_last_period(interval, timestamptz, text, timestamptz) IS
  'Returns the last period of a schedule that is not after at; null before its anchor. Errors: 22023 when the '
  'schedule is not valid.';

CREATE FUNCTION @extschema@.integration_sync_next_period(
  every interval, anchor timestamptz, time_zone text, after timestamptz)
RETURNS timestamptz
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_sync_next_period';
COMMENT ON FUNCTION @extschema@.integration_sync_next_period(interval, timestamptz, text, timestamptz) IS
  'Returns the first period of a schedule that is after the time after; null when it is too far away. Errors: 22023 '
  'when the schedule is not valid.';

CREATE FUNCTION @extschema@.integration_sync_is_late(drift interval)
RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_sync_is_late';
COMMENT ON FUNCTION @extschema@.integration_sync_is_late(interval) IS
  'Returns whether drift is longer than integration_health.max_drift.';

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
  'Creates or changes the schedule of a pair, and returns its row: periods at anchor and from then on at intervals of '
  'every, with days and months counted in time_zone. enabled, max_attempts and retry_backoff stay as they are if they '
  'are null or omitted; a new schedule has true, 5 and 1 minute. Errors: 23502 when an argument other than those and '
  'warm_up_url is null, 23503 for an unknown integration_type, 23514 when an argument is not allowed, 42501 when the '
  'caller is not a writer.';

-- The engine's access to rows of schedules: in the C edition always the latest version, whatever the isolation level.
CREATE FUNCTION integration_health_private.latest_schedule(org_id uuid, integration_type text)
RETURNS @extschema@.integration_sync_schedules
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'latest_schedule';
COMMENT ON FUNCTION integration_health_private.latest_schedule(uuid, text) IS
  'Returns the schedule of a pair as committed now; null when there is none.';

CREATE FUNCTION integration_health_private.lock_schedule(org_id uuid, integration_type text)
RETURNS @extschema@.integration_sync_schedules
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lock_schedule';
COMMENT ON FUNCTION integration_health_private.lock_schedule(uuid, text) IS
  'Locks the schedule of a pair and returns it; null when there is none. Waits for whoever has locked it.';

CREATE FUNCTION integration_health_private.store_schedule(schedule @extschema@.integration_sync_schedules)
RETURNS @extschema@.integration_sync_schedules
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'store_schedule';
COMMENT ON FUNCTION integration_health_private.store_schedule(@extschema@.integration_sync_schedules) IS
  'Writes a schedule, whose row must be locked, and returns the row as stored. Errors: 55000 as require_own_triggers, '
  'or when a rule or trigger of the site kept the row from being written.';
