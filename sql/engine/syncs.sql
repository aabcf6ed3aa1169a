-- The PL/pgSQL engine: periods of schedules, and the ledger of their runs. Times beyond 73,069 years from 2000 are no
-- times, as in the C edition: they leave room for any sum of two.

-- @before ih_every_is_valid
CREATE TABLE integration_health_private.time_zones (
  name text COLLATE pg_catalog."C" PRIMARY KEY
);
COMMENT ON TABLE integration_health_private.time_zones IS
  'The names in pg_timezone_names, which takes a tenth of a second to read: for reports on many schedules.';
COMMENT ON COLUMN integration_health_private.time_zones.name IS 'Name of a time zone.';
ALTER TABLE integration_health_private.time_zones ENABLE ROW LEVEL SECURITY;

CREATE FUNCTION integration_health_private.refresh_time_zones()
RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  DELETE FROM integration_health_private.time_zones z
   WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_timezone_names n WHERE n.name = z.name);
  INSERT INTO integration_health_private.time_zones (name)
  SELECT n.name FROM pg_catalog.pg_timezone_names n ON CONFLICT DO NOTHING;
END;
COMMENT ON FUNCTION integration_health_private.refresh_time_zones() IS
  'Reads the names of time zones anew. For the owner, after an update of the server''s time zones that has removed one.';
SELECT integration_health_private.refresh_time_zones();

CREATE FUNCTION integration_health_private.instant(at timestamptz)
RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE WHEN at = 'infinity' THEN 2305843009213693951
              WHEN at = '-infinity' THEN -2305843009213693951
              ELSE LEAST((extract(epoch FROM at) - 946684800) * 1000000, 2305843009213693951)::bigint END;
END;
COMMENT ON FUNCTION integration_health_private.instant(timestamptz) IS
  'A time in microseconds since 2000-01-01 00:00 UTC; the farthest that counts as a time where it is farther away.';

CREATE FUNCTION integration_health_private.time_of(instant bigint)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  -- Days and seconds, for a floating-point number holds the microseconds of 285 years.
  SELECT pg_catalog.timezone('UTC', timestamp '2000-01-01'
           + pg_catalog.make_interval(days => (instant / 86400000000)::integer,
                                      secs => (instant % 86400000000)::float8 / 1000000));
END;
COMMENT ON FUNCTION integration_health_private.time_of(bigint) IS 'The inverse of instant.';

CREATE FUNCTION integration_health_private.utc_text(at timestamptz)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT pg_catalog.to_char(u.at, 'YYYY-MM-DD"T"HH24:MI:SS')
         || CASE WHEN extract(microseconds FROM u.at) % 1000000 <> 0 THEN pg_catalog.to_char(u.at, '.US') ELSE '' END || 'Z'
    FROM (SELECT pg_catalog.timezone('UTC', utc_text.at) AS at) AS u;
END;
COMMENT ON FUNCTION integration_health_private.utc_text(timestamptz) IS
  'A time as ISO 8601 in UTC, with a fraction only where there is one.';

-- @ih_every_is_valid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE WHEN e.months < 0 OR e.days < 0 OR e.micros < 0 THEN false
              WHEN e.months = 0 AND e.days = 0 THEN e.micros BETWEEN 60000000 AND 3660 * 86400000000
              ELSE e.micros = 0 AND e.months <= 120 AND e.days <= 3660 END
    FROM (SELECT extract(year FROM every) * 12 + extract(month FROM every) AS months,
                 extract(day FROM every) AS days,
                 extract(hour FROM every) * 3600000000 + extract(minute FROM every) * 60000000
                   + extract(microseconds FROM every) AS micros) AS e;
END;

-- @ih_time_zone_is_valid
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN EXISTS (SELECT FROM integration_health_private.time_zones AS z WHERE z.name = time_zone)
         OR EXISTS (SELECT FROM pg_timezone_names AS n WHERE n.name = time_zone);
END
$$;

-- @ih_sync_key
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT org_id::text || ':' || integration_type || ':' || integration_health_private.utc_text(scheduled_for);
END;

-- @ih_schedules_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_RELID <> '@extschema@.integration_sync_schedules'::regclass THEN
    RAISE EXCEPTION USING ERRCODE = '42809', MESSAGE = format('table "%s" does not hold schedules', TG_TABLE_NAME);
  ELSIF TG_WHEN <> 'BEFORE' OR TG_LEVEL <> 'ROW' OR TG_OP = 'DELETE' OR TG_NARGS <> 0 THEN
    RAISE EXCEPTION USING ERRCODE = '39P01',
      MESSAGE = 'function "integration_sync_schedules_trigger" was called for an event it does not serve',
      HINT = 'It is attached by CREATE EXTENSION, and by nobody else.';
  END IF;
  IF TG_OP = 'UPDATE' THEN
    -- As text, for a day is not 24 hours here.
    IF (NEW.every::text, NEW.anchor, NEW.time_zone, NEW.enabled)
       IS NOT DISTINCT FROM (OLD.every::text, OLD.anchor, OLD.time_zone, OLD.enabled) THEN
      RETURN NEW;
    END IF;
  ELSIF NEW.planned_since IS NOT NULL THEN
    IF NEW.integration_type IS NOT NULL THEN
      PERFORM integration_health_private.hold_type(NEW.integration_type);
    END IF;
    RETURN NEW;
  END IF;

  -- No constraint: the zone of a row that is restored, or as it was, may have left the system's list.
  IF NOT @extschema@.integration_sync_time_zone_is_valid(NEW.time_zone) THEN
    RAISE EXCEPTION USING ERRCODE = '23514', TABLE = TG_TABLE_NAME,
      MESSAGE = format('unknown time zone "%s"', integration_health_private.echo(NEW.time_zone)),
      HINT = 'Use a name as pg_timezone_names has it.';
  END IF;
  INSERT INTO integration_health_private.time_zones (name) SELECT NEW.time_zone WHERE NEW.time_zone IS NOT NULL
      ON CONFLICT DO NOTHING;
  NEW.planned_since := clock_timestamp();
  NEW.due_at := 'infinity';
  -- A plan that the constraints of the table will refuse has no period.
  IF @extschema@.integration_sync_every_is_valid(NEW.every) AND isfinite(NEW.anchor) AND NEW.time_zone IS NOT NULL THEN
    NEW.due_at := COALESCE(integration_health_private.period_at(
      NEW.every, NEW.anchor, NEW.time_zone,
      integration_health_private.last_period_no(
        NEW.every, NEW.anchor, NEW.time_zone, NEW.planned_since - interval '1 microsecond') + 1), 'infinity');
  END IF;
  NEW.warm_up_for := NEW.due_at;
  RETURN NEW;
END
$$;

-- @before ih_usable_time_zone
-- Under another key the periods of a schedule could be run again.
CREATE TRIGGER zz_integration_sync_schedules_key
  BEFORE UPDATE ON @extschema@.integration_sync_schedules
  FOR EACH ROW WHEN ((NEW.org_id, NEW.integration_type) IS DISTINCT FROM (OLD.org_id, OLD.integration_type))
  EXECUTE FUNCTION integration_health_private.refuse_new_key();
COMMENT ON TRIGGER zz_integration_sync_schedules_key ON @extschema@.integration_sync_schedules IS
  'The key of a row never changes.';

-- @ih_usable_time_zone
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF @extschema@.integration_sync_every_is_valid(every) AND isfinite(anchor)
     AND EXISTS (SELECT FROM integration_health_private.time_zones AS z WHERE z.name = time_zone) THEN
    RETURN time_zone;
  END IF;
  RAISE WARNING USING
    MESSAGE = format('the schedule of organisation %s and type "%s" has no periods',
                     COALESCE(org_id::text, 'null'), COALESCE(integration_health_private.echo(integration_type), '')),
    DETAIL = format('It is left out: its interval, its anchor or its time zone "%s" is none.',
                    COALESCE(integration_health_private.echo(time_zone), '')),
    HINT = 'Correct it with set_sync_schedule.';
  RETURN NULL;
END
$$;

-- @before ih_periods
CREATE FUNCTION integration_health_private.zone_offset(zone text, at timestamp)
RETURNS interval
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT pg_catalog.timezone(zone, pg_catalog.timezone('UTC', at)) - at;
END;
COMMENT ON FUNCTION integration_health_private.zone_offset(text, timestamp) IS
  'What the clocks of a time zone are ahead of UTC at a time in UTC.';

CREATE FUNCTION integration_health_private.period_at(every interval, anchor timestamptz, zone text, n bigint)
RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  farthest constant numeric := 2305843009213693951;
  months integer := extract(year FROM every) * 12 + extract(month FROM every);
  days integer := extract(day FROM every);
  distance numeric;
  local timestamp;
  before interval;
  after interval;
BEGIN
  IF months = 0 AND days = 0 THEN
    distance := n * integration_health_private.micros(every)::numeric;
  ELSE
    distance := n::numeric * (months * 2629746000000 + days * 86400000000);
  END IF;
  IF n < 0 OR distance > farthest OR integration_health_private.instant(anchor) > farthest - distance THEN
    RETURN NULL;
  ELSIF n = 0 THEN
    RETURN anchor;
  ELSIF months = 0 AND days = 0 THEN
    RETURN integration_health_private.time_of(integration_health_private.instant(anchor) + distance::bigint);
  END IF;

  -- Of two times at which the clocks show local, where they are put back, it is the first. Where there is none, because
  -- they are put forward over it, the time is as much later as they are put forward.
  local := timezone(zone, anchor) + make_interval(months => (n * months)::integer, days => (n * days)::integer);
  before := integration_health_private.zone_offset(zone, local - interval '1 day');
  after := integration_health_private.zone_offset(zone, local + interval '1 day');
  IF integration_health_private.zone_offset(zone, local - before) = before
     OR integration_health_private.zone_offset(zone, local - after) <> after THEN
    RETURN timezone('UTC', local - before);
  END IF;
  RETURN timezone('UTC', local - after);
END
$$;
COMMENT ON FUNCTION integration_health_private.period_at(interval, timestamptz, text, bigint) IS
  'Period number n, 0 or more, of a valid schedule; null when it is too far away. Period 0 is the anchor; a later period is never before an earlier one.';

CREATE FUNCTION integration_health_private.last_period_no(every interval, anchor timestamptz, zone text, at timestamptz)
RETURNS bigint
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  months integer := extract(year FROM every) * 12 + extract(month FROM every);
  days integer := extract(day FROM every);
  passed bigint := integration_health_private.instant(at) - integration_health_private.instant(anchor);
  latest timestamptz;
  n bigint;
BEGIN
  IF passed < 0 OR integration_health_private.period_at(every, anchor, zone, 0) IS NULL THEN
    RETURN -1;
  ELSIF months = 0 AND days = 0 THEN
    RETURN passed / integration_health_private.micros(every);
  END IF;
  latest := integration_health_private.time_of(integration_health_private.instant(at));
  -- By the average length of a month this is off by a few periods at the most.
  n := passed / (months * 2629746000000 + days * 86400000000);
  WHILE n > 0 AND COALESCE(integration_health_private.period_at(every, anchor, zone, n) > latest, true) LOOP
    n := n - 1;
  END LOOP;
  WHILE integration_health_private.period_at(every, anchor, zone, n + 1) <= latest LOOP
    n := n + 1;
  END LOOP;
  RETURN n;
END
$$;
COMMENT ON FUNCTION integration_health_private.last_period_no(interval, timestamptz, text, timestamptz) IS
  'The number of the last period of a valid schedule that is not after a time; -1 when there is none.';

CREATE FUNCTION integration_health_private.require_plan(every interval, anchor timestamptz, time_zone text)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT @extschema@.integration_sync_every_is_valid(every) THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'a schedule cannot have this interval',
      HINT = 'Use days and months, or a time of a minute or more.';
  ELSIF NOT isfinite(anchor) THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'the anchor of a schedule must be finite';
  ELSIF NOT @extschema@.integration_sync_time_zone_is_valid(time_zone) THEN
    RAISE EXCEPTION USING ERRCODE = '22023',
      MESSAGE = format('unknown time zone "%s"', integration_health_private.echo(time_zone)),
      HINT = 'Use a name as pg_timezone_names has it.';
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_plan(interval, timestamptz, text) IS
  'Errors: 22023 a part of a schedule is no valid one.';

-- @ih_periods
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE ROWS 10 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  n bigint;
  period timestamptz;
  last timestamptz := '-infinity';
  found_so_far integer := 0;
BEGIN
  PERFORM integration_health_private.require_plan(every, anchor, time_zone);
  n := integration_health_private.last_period_no(every, anchor, time_zone, since - interval '1 microsecond') + 1;
  LOOP
    period := integration_health_private.period_at(every, anchor, time_zone, n);
    EXIT WHEN period IS NULL OR period > until;
    -- Two days are one where a zone has left one out.
    IF period <> last THEN
      IF found_so_far >= 100000 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'there are more than 100000 periods', HINT = 'Ask for a shorter time.';
      END IF;
      found_so_far := found_so_far + 1;
      last := period;
      RETURN NEXT period;
    END IF;
    n := n + 1;
  END LOOP;
END
$$;

-- @ih_last_period
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_plan(every, anchor, time_zone);
  RETURN integration_health_private.period_at(
    every, anchor, time_zone, integration_health_private.last_period_no(every, anchor, time_zone, at));
END
$$;

-- @ih_next_period
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_plan(every, anchor, time_zone);
  RETURN integration_health_private.period_at(
    every, anchor, time_zone, integration_health_private.last_period_no(every, anchor, time_zone, after) + 1);
END
$$;

-- @ih_sync_is_late
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN drift > integration_health_private.max_drift();
END
$$;

-- @before ih_claim_sync
CREATE FUNCTION integration_health_private.require_arguments(names text[], are_null boolean[])
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF array_position(are_null, true) IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023',
      MESSAGE = format('%s must not be null', names[array_position(are_null, true)]);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_arguments(text[], boolean[]) IS
  'Errors: 22023 names the first of the arguments that is null.';

CREATE FUNCTION integration_health_private.retry_at(finished_at timestamptz, retry_backoff interval, attempts integer)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT finished_at + integration_health_private.backoff(retry_backoff, GREATEST(retry_backoff, interval '1 hour'), attempts);
END;
COMMENT ON FUNCTION integration_health_private.retry_at(timestamptz, interval, integer) IS
  'When a run that failed at finished_at may be claimed again, after so many attempts: retry_backoff, doubled with each further attempt, at most an hour or retry_backoff.';

CREATE FUNCTION integration_health_private.may_claim(
  run @extschema@.integration_sync_runs, max_attempts integer, retry_backoff interval, moment timestamptz)
RETURNS boolean
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- A time that no clock can have set but one that was ahead counts as past.
  RETURN run.attempt < max_attempts
     AND CASE run.outcome
           WHEN 'failed' THEN run.finished_at > moment
                              OR integration_health_private.retry_at(run.finished_at, retry_backoff, run.attempt) <= moment
           WHEN 'running' THEN run.lease_until < moment OR run.lease_until > moment + interval '24 hours'
           ELSE false END;
END
$$;
COMMENT ON FUNCTION integration_health_private.may_claim(@extschema@.integration_sync_runs, integer, interval, timestamptz) IS
  'Whether a run may be claimed once more: attempts are left, and it failed and has waited, or its lease ran out before it ended.';

CREATE FUNCTION integration_health_private.require_period(
  schedule @extschema@.integration_sync_schedules, scheduled_for timestamptz)
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  n bigint;
  nearest timestamptz;
  later timestamptz;
BEGIN
  PERFORM integration_health_private.require_plan(schedule.every, schedule.anchor, schedule.time_zone);
  n := integration_health_private.last_period_no(schedule.every, schedule.anchor, schedule.time_zone, scheduled_for);
  nearest := COALESCE(integration_health_private.period_at(schedule.every, schedule.anchor, schedule.time_zone, n), schedule.anchor);
  IF nearest <> scheduled_for THEN
    later := integration_health_private.period_at(schedule.every, schedule.anchor, schedule.time_zone, n + 1);
    IF n >= 0 AND integration_health_private.instant(scheduled_for) - integration_health_private.instant(nearest)
                  > integration_health_private.instant(later) - integration_health_private.instant(scheduled_for) THEN
      nearest := later;
    END IF;
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'scheduled_for is not a period of the schedule',
      HINT = format('The nearest period is %s.', integration_health_private.utc_text(nearest));
  ELSIF scheduled_for > clock_timestamp() + interval '1 minute' THEN
    -- A worker's clock may be that much ahead of the database's.
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'scheduled_for is still to come',
      HINT = format('Claim it when it is %s.', integration_health_private.utc_text(scheduled_for));
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_period(@extschema@.integration_sync_schedules, timestamptz) IS
  'Errors: 22023 the schedule has no such period, or it lies more than a minute ahead.';

CREATE FUNCTION integration_health_private.report_drift(run @extschema@.integration_sync_runs)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  seconds bigint := trunc(extract(epoch FROM run.started_at) - extract(epoch FROM run.scheduled_for));
BEGIN
  IF run.started_at - run.scheduled_for > integration_health_private.max_drift() THEN
    RAISE WARNING USING MESSAGE = format('a sync of type "%s" starts late', run.integration_type),
      DETAIL = format('It was scheduled for %s, %s seconds ago.', integration_health_private.utc_text(run.scheduled_for), seconds);
    PERFORM integration_health_private.send_event(format(
      '{"event": "drift", "org_id": "%s", "integration_type": %s, "scheduled_for": "%s", "attempt": %s, "drift_seconds": %s, "cold_start": %s}',
      run.org_id, to_json(run.integration_type), integration_health_private.utc_text(run.scheduled_for), run.attempt, seconds,
      to_json(run.cold_start)));
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.report_drift(@extschema@.integration_sync_runs) IS
  'Warns of a run that starts later than integration_health.max_drift allows, and sends an event.';

CREATE FUNCTION integration_health_private.require_whole(schedule @extschema@.integration_sync_schedules)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  missing text := CASE WHEN schedule.enabled IS NULL THEN 'enabled' WHEN schedule.every IS NULL THEN 'every'
                       WHEN schedule.anchor IS NULL THEN 'anchor' WHEN schedule.time_zone IS NULL THEN 'time_zone'
                       WHEN schedule.max_attempts IS NULL THEN 'max_attempts'
                       WHEN schedule.retry_backoff IS NULL THEN 'retry_backoff' END;
BEGIN
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '23502',
      MESSAGE = format('column "%s" of a row of table "integration_sync_schedules" is null', missing);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_whole(@extschema@.integration_sync_schedules) IS
  'Errors: 23502 a column, which a site may have replaced, is null.';

-- PL/pgSQL takes no name twice among its arguments: the key and the result of claim_sync_run have the same names.
CREATE FUNCTION integration_health_private.claim_run(uuid, text, timestamptz, boolean, interval)
RETURNS TABLE (run @extschema@.integration_sync_runs, claimed boolean)
LANGUAGE plpgsql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  schedule @extschema@.integration_sync_schedules;
  moment timestamptz;
BEGIN
  PERFORM integration_health_private.require_arguments(
    '{org_id,integration_type,scheduled_for,cold_start,lease}', ARRAY[$1 IS NULL, $2 IS NULL, $3 IS NULL, $4 IS NULL, $5 IS NULL]);
  IF $5 < interval '1 second' OR $5 > interval '1 day' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'lease must be between 1 second and 1 day',
      HINT = 'Leave the argument out for 10 minutes.';
  END IF;
  SELECT s.* INTO schedule FROM @extschema@.integration_sync_schedules AS s WHERE s.org_id = $1 AND s.integration_type = $2;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = '22023',
      MESSAGE = format('no sync is scheduled for this organisation and type "%s"', integration_health_private.echo($2)),
      HINT = 'Make a schedule with set_sync_schedule.';
  END IF;
  PERFORM integration_health_private.require_whole(schedule);
  IF NOT schedule.enabled THEN
    RAISE EXCEPTION USING ERRCODE = '55000',
      MESSAGE = format('the schedule of this organisation and type "%s" is disabled', $2),
      HINT = 'Set enabled in its row of integration_sync_schedules.';
  END IF;
  PERFORM integration_health_private.require_period(schedule, $3);
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_sync_runs'::regclass]);

  -- Anew only where a cleanup has taken the row each time: never twice in life.
  FOR try IN 1 .. 10 LOOP
    moment := clock_timestamp();
    INSERT INTO @extschema@.integration_sync_runs AS r
           (org_id, integration_type, scheduled_for, attempt, outcome, started_at, lease_until, cold_start)
    VALUES ($1, $2, $3, 1, 'running', moment, moment + interval '1 microsecond' * integration_health_private.micros($5), $4)
    ON CONFLICT (org_id, integration_type, scheduled_for) DO NOTHING
    RETURNING r.* INTO run;
    claimed := FOUND;
    EXIT WHEN claimed;

    SELECT r.* INTO run FROM @extschema@.integration_sync_runs AS r
     WHERE r.org_id = $1 AND r.integration_type = $2 AND r.scheduled_for = $3 FOR UPDATE;
    CONTINUE WHEN NOT FOUND;
    -- The lock may have been waited for.
    moment := clock_timestamp();
    IF integration_health_private.may_claim(run, schedule.max_attempts, schedule.retry_backoff, moment) THEN
      UPDATE @extschema@.integration_sync_runs AS r
         SET attempt = r.attempt + 1, outcome = 'running', started_at = moment, finished_at = NULL,
             lease_until = moment + interval '1 microsecond' * integration_health_private.micros($5), cold_start = $4, error = NULL
       WHERE r.org_id = $1 AND r.integration_type = $2 AND r.scheduled_for = $3
      RETURNING r.* INTO run;
      IF NOT FOUND THEN
        PERFORM integration_health_private.refuse_intrusion('integration_sync_runs');
      END IF;
      claimed := true;
    END IF;
    EXIT;
  END LOOP;
  IF run.attempt IS NULL THEN
    PERFORM integration_health_private.refuse_intrusion('integration_sync_runs');
  END IF;

  IF claimed THEN
    -- Looked at after the run was inserted, so that a cleanup that ended meanwhile is seen.
    SELECT s.* INTO schedule FROM @extschema@.integration_sync_schedules AS s WHERE s.org_id = $1 AND s.integration_type = $2;
    IF run.attempt = 1 AND $3 <= schedule.pruned_until THEN
      RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'scheduled_for is too long ago',
        DETAIL = format('The runs up to %s are deleted, so it may have been run.',
                        integration_health_private.utc_text(schedule.pruned_until)),
        HINT = 'Claim a later period.';
    END IF;
    PERFORM integration_health_private.report_drift(run);
  END IF;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION integration_health_private.claim_run(uuid, text, timestamptz, boolean, interval) IS
  'What claim_sync_run does.';

-- @ih_claim_sync
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT (c.run).org_id, (c.run).integration_type, (c.run).scheduled_for, (c.run).attempt, (c.run).outcome,
         (c.run).started_at, (c.run).finished_at, (c.run).lease_until, (c.run).drift, (c.run).cold_start,
         (c.run).error, (c.run).idempotency_key, c.claimed
    FROM integration_health_private.claim_run($1, $2, $3, $4, $5) AS c;
END;

-- @ih_finish_sync
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  run @extschema@.integration_sync_runs;
  schedule @extschema@.integration_sync_schedules;
  moment timestamptz;
  due_again timestamptz := 'infinity';
BEGIN
  PERFORM integration_health_private.require_arguments(
    '{org_id,integration_type,scheduled_for,attempt,outcome}', ARRAY[$1 IS NULL, $2 IS NULL, $3 IS NULL, $4 IS NULL, $5 IS NULL]);
  IF $5::text NOT IN ('running', 'succeeded', 'failed') THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'outcome is none that the extension knows', HINT = 'Use succeeded or failed.';
  ELSIF $5 = 'running' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'a run does not end as running', HINT = 'Use succeeded or failed.';
  END IF;
  SELECT r.* INTO run FROM @extschema@.integration_sync_runs AS r
   WHERE r.org_id = $1 AND r.integration_type = $2 AND r.scheduled_for = $3 FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'nobody has claimed this sync run', HINT = 'Claim it with claim_sync_run.';
  ELSIF run.attempt <> $4 THEN
    RAISE EXCEPTION USING ERRCODE = '55000',
      MESSAGE = format('attempt %s of this sync run is not the current one, which is %s', $4, run.attempt),
      HINT = 'Somebody else has claimed the run since: drop this result.';
  ELSIF run.outcome = $5 THEN
    -- The report is repeated. A lease that ran out is no matter as long as nobody else has claimed the run.
    RETURN run;
  ELSIF run.outcome <> 'running' THEN
    RAISE EXCEPTION USING ERRCODE = '55000',
      MESSAGE = format('attempt %s of this sync run has already ended as %s', $4, run.outcome),
      HINT = 'What has been reported stands; a failed run can be claimed again.';
  END IF;

  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY[
    '@extschema@.integration_sync_runs', '@extschema@.integration_sync_schedules', '@extschema@.integration_health_status']::regclass[]);
  moment := clock_timestamp();
  UPDATE @extschema@.integration_sync_runs AS r SET outcome = $5, finished_at = moment, lease_until = NULL, error = $6
   WHERE r.org_id = $1 AND r.integration_type = $2 AND r.scheduled_for = $3
  RETURNING r.* INTO run;
  IF NOT FOUND THEN
    PERFORM integration_health_private.refuse_intrusion('integration_sync_runs');
  END IF;

  -- No period up to this one is due any more, or, where it failed, not before its wait is over; a schedule that has moved
  -- on, or whose time zone is gone, stays as it is.
  SELECT s.* INTO schedule FROM @extschema@.integration_sync_schedules AS s WHERE s.org_id = $1 AND s.integration_type = $2;
  IF $5 = 'failed' AND $4 < schedule.max_attempts THEN
    due_again := integration_health_private.retry_at(moment, schedule.retry_backoff, $4);
  END IF;
  UPDATE @extschema@.integration_sync_schedules AS s
     SET due_at = LEAST(due_again, COALESCE(n.next, 'infinity'))
    FROM @extschema@.integration_sync_schedules AS o
   CROSS JOIN LATERAL integration_health_private.usable_time_zone(
           o.org_id, o.integration_type, o.every, o.anchor, o.time_zone) AS z (zone)
   CROSS JOIN LATERAL @extschema@.integration_sync_next_period(o.every, o.anchor, z.zone, $3) AS n (next)
   WHERE o.org_id = $1 AND o.integration_type = $2
     AND s.org_id = o.org_id AND s.integration_type = o.integration_type
     AND z.zone IS NOT NULL AND s.due_at < COALESCE(n.next, 'infinity');

  -- In passive mode the end of a sync is a check like any other; in active mode it is none.
  INSERT INTO @extschema@.integration_health_status AS s (org_id, integration_type, status, error, checked_at)
  SELECT $1, t.integration_type,
         CASE WHEN $5 = 'failed' THEN 'unhealthy' ELSE 'healthy' END::@extschema@.integration_health_state, $6, now()
    FROM @extschema@.integration_types AS t WHERE t.integration_type = $2 AND t.monitoring_mode = 'passive'
  ON CONFLICT (org_id, integration_type) DO UPDATE
     SET status = EXCLUDED.status, latency_ms = NULL, http_status = NULL, error = EXCLUDED.error, checked_at = EXCLUDED.checked_at;
  RETURN run;
END
$$;

-- @before ih_dispatch_warm_ups
CREATE FUNCTION integration_health_private.take_warm_ups(moment timestamptz, horizon timestamptz)
RETURNS TABLE (org_id uuid, integration_type text, scheduled_for timestamptz, warm_up_url text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_sync_schedules'::regclass]);
  -- One whose time has passed without a call, because no job ran, is moved on to the next.
  RETURN QUERY
  WITH due AS MATERIALIZED (
    SELECT d.ctid AS place,
           CASE WHEN d.warm_up_for > moment THEN d.warm_up_for
                ELSE @extschema@.integration_sync_next_period(d.every, d.anchor, d.time_zone, moment) END AS period
      FROM @extschema@.integration_sync_schedules AS d
     WHERE d.enabled AND d.warm_up_url IS NOT NULL AND d.warm_up_for <= horizon
       AND CASE WHEN d.warm_up_for <= horizon
                THEN integration_health_private.usable_time_zone(
                       d.org_id, d.integration_type, d.every, d.anchor, d.time_zone) IS NOT NULL END
       FOR NO KEY UPDATE SKIP LOCKED
  ), moved AS (
    UPDATE @extschema@.integration_sync_schedules AS s
       SET warm_up_for = COALESCE(CASE WHEN d.period <= horizon
                                       THEN @extschema@.integration_sync_next_period(s.every, s.anchor, s.time_zone, d.period)
                                       ELSE d.period END, 'infinity')
      FROM due AS d WHERE s.ctid = d.place
    RETURNING s.org_id, s.integration_type, d.period, s.warm_up_url
  )
  SELECT m.org_id, m.integration_type, m.period, m.warm_up_url FROM moved AS m WHERE m.period <= horizon;
END
$$;
COMMENT ON FUNCTION integration_health_private.take_warm_ups(timestamptz, timestamptz) IS
  'The schedules with a period after moment, at horizon at the latest, whose worker was not called for it; from now on it was. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.has_http_post()
RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT COALESCE(has_schema_privilege(to_regnamespace('net'), 'USAGE'), false) THEN
    RETURN false;
  END IF;
  -- A look-alike that somebody else has made does not count.
  RETURN EXISTS (
    SELECT FROM pg_proc AS p JOIN pg_roles AS o ON o.oid = p.proowner
     WHERE p.oid = to_regprocedure('net.http_post(text, jsonb, jsonb, jsonb, integer)')
       AND p.prorettype = 'bigint'::regtype AND NOT p.proretset AND o.rolsuper AND has_function_privilege(p.oid, 'EXECUTE'));
END
$$;
COMMENT ON FUNCTION integration_health_private.has_http_post() IS
  'Whether pg_net is there for the caller: net.http_post with its arguments and result, owned by a superuser.';

-- @ih_dispatch_warm_ups
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  has_http_post boolean := integration_health_private.has_http_post();
  called bigint := 0;
  warm_up record;
  body text;
BEGIN
  IF ahead IS NULL OR ahead < interval '1 second' OR ahead > interval '1 day' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'ahead must be between 1 second and 1 day',
      HINT = 'Leave the argument out for 1 minute.';
  END IF;
  FOR warm_up IN
    SELECT * FROM integration_health_private.take_warm_ups(
      moment, moment + interval '1 microsecond' * integration_health_private.micros(ahead))
  LOOP
    body := format('{"event": "warm_up", "org_id": "%s", "integration_type": %s, "scheduled_for": "%s"', warm_up.org_id,
                   to_json(warm_up.integration_type), integration_health_private.utc_text(warm_up.scheduled_for));
    IF NOT has_http_post THEN
      PERFORM integration_health_private.send_event(format('%s, "url": %s}', body, to_json(warm_up.warm_up_url)));
      called := called + 1;
    ELSE
      BEGIN
        -- The worker may have to start first: 10 seconds.
        EXECUTE 'SELECT net.http_post($1, $2, ''{}'', ''{"Content-Type": "application/json"}'', 10000)'
          USING warm_up.warm_up_url, (body || '}')::jsonb;
        called := called + 1;
      EXCEPTION WHEN OTHERS THEN
        -- The others are called all the same.
        RAISE WARNING USING MESSAGE = 'a worker could not be called for its warm-up',
          DETAIL = format('%s}: %s', body, SQLERRM), HINT = 'Correct warm_up_url in integration_sync_schedules.';
      END;
    END IF;
  END LOOP;
  RETURN called;
END
$$;
