-- ---------------------------------------------------------------------------------------------
-- The ledger of sync runs: who runs which period, and how it ended
-- ---------------------------------------------------------------------------------------------

-- No foreign key, because the ledger outlives schedules. No column that changes is indexed.
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
SELECT integration_health_private.partition_table('@extschema@.integration_sync_runs');
CREATE INDEX integration_sync_runs_time ON @extschema@.integration_sync_runs (scheduled_for);
COMMENT ON TABLE @extschema@.integration_sync_runs IS
  'The ledger of scheduled syncs: one row for each period that somebody ran, written only by claim_sync_run and '
  'finish_sync_run, and deleted by the cleanup and forget_organisation.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.org_id IS 'Organisation.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.integration_type IS 'External system.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.scheduled_for IS 'The period: a time of the schedule.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.attempt IS
  'Number of the current attempt: how often the period has been claimed. Reports of an earlier attempt are refused.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.outcome IS
  'running until the current attempt ends, then succeeded or failed.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.started_at IS
  'When the current attempt was claimed.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.finished_at IS
  'When the current attempt ended; null while it runs.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.lease_until IS
  'When somebody else may claim the run if it has not ended by then; null once it has.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.drift IS
  'How long after its time the current attempt was claimed; negative if before.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.cold_start IS
  'Whether the worker had to be started for the current attempt.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.error IS
  'What went wrong, at most 2000 characters; null when nothing did.';
COMMENT ON COLUMN @extschema@.integration_sync_runs.idempotency_key IS
  'Key for the external system, the same for all attempts: org_id:integration_type:period.';
COMMENT ON INDEX @extschema@.integration_sync_runs_time IS 'Serves the cleanup, and reports on a window of time.';

ALTER TABLE @extschema@.integration_sync_runs ENABLE ROW LEVEL SECURITY;

CREATE POLICY integration_sync_runs_read ON @extschema@.integration_sync_runs
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_sync_runs_read ON @extschema@.integration_sync_runs IS
  'Callers see the organisations that their claims name.';

CREATE FUNCTION integration_health_private.retry_at(finished_at timestamptz, retry_backoff interval, attempts integer)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT finished_at + integration_health_private.backoff(retry_backoff, GREATEST(retry_backoff, interval '1 hour'), attempts);
END;
COMMENT ON FUNCTION integration_health_private.retry_at(timestamptz, interval, integer) IS
  'Returns when a run that failed at finished_at may be claimed again, after that many attempts: after retry_backoff, '
  'doubled with each further attempt, up to an hour, or up to retry_backoff if that is longer.';

-- A time that only a clock which was ahead can have set counts as past.
CREATE FUNCTION integration_health_private.may_lease(
  outcome @extschema@.integration_sync_outcome, attempt integer, finished_at timestamptz, lease_until timestamptz,
  max_attempts integer, retry_backoff interval, moment timestamptz)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT attempt < max_attempts
     AND CASE outcome
           WHEN 'failed' THEN finished_at > moment
                              OR integration_health_private.retry_at(finished_at, retry_backoff, attempt) <= moment
           WHEN 'running' THEN lease_until < moment OR lease_until > moment + interval '24 hours'
           ELSE false END;
END;
COMMENT ON FUNCTION integration_health_private.may_lease(
  @extschema@.integration_sync_outcome, integer, timestamptz, timestamptz, integer, interval, timestamptz) IS
  'Returns whether a run may be claimed once more at moment: attempts are left, and either it failed and has waited, '
  'or its lease ran out before it ended.';

CREATE FUNCTION integration_health_private.require_period(
  schedule @extschema@.integration_sync_schedules, scheduled_for timestamptz)
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  nearest timestamptz := COALESCE(
    integration_health_private.last_period(schedule.every, schedule.anchor, schedule.time_zone, scheduled_for), schedule.anchor);
  later timestamptz;
BEGIN
  IF nearest <> scheduled_for THEN
    IF nearest < scheduled_for AND isfinite(scheduled_for) THEN
      later := integration_health_private.next_period(schedule.every, schedule.anchor, schedule.time_zone, scheduled_for);
      nearest := CASE WHEN later - scheduled_for < scheduled_for - nearest THEN later ELSE nearest END;
    END IF;
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'scheduled_for is not a period of the schedule',
      HINT = format('The nearest period is %s.', integration_health_private.utc_text(nearest));
  ELSIF scheduled_for > clock_timestamp() + interval '1 minute' THEN
    -- The clock of a worker may be that much ahead of the database's.
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'scheduled_for is in the future',
      HINT = format('Claim it when it is %s.', integration_health_private.utc_text(scheduled_for));
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_period(@extschema@.integration_sync_schedules, timestamptz) IS
  'Checks that a period may be claimed. Errors: 22023 when the schedule has no such period, or it lies more than a '
  'minute ahead.';

CREATE FUNCTION integration_health_private.alert_run(run @extschema@.integration_sync_runs, kind text, facts jsonb)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.enqueue_alert(
    kind, integration_health_private.sync_key(run.org_id, run.integration_type, run.scheduled_for), run.org_id,
    run.integration_type,
    jsonb_build_object('scheduled_for', integration_health_private.utc_text(run.scheduled_for), 'attempt', run.attempt)
    || facts);
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_run(@extschema@.integration_sync_runs, text, jsonb) IS
  'Writes an alert of a period of a schedule, once. Errors: as enqueue_alert.';

CREATE FUNCTION integration_health_private.report_drift(run @extschema@.integration_sync_runs)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  seconds bigint := trunc(extract(epoch FROM run.started_at) - extract(epoch FROM run.scheduled_for));
BEGIN
  IF integration_health_private.is_late(run.drift) THEN
    RAISE WARNING USING MESSAGE = format('a sync of type "%s" starts late', run.integration_type),
      DETAIL = format('It was scheduled for %s, %s seconds ago.',
                      integration_health_private.utc_text(run.scheduled_for), seconds);
    PERFORM integration_health_private.send_event(format(
      '{"event": "drift", "org_id": "%s", "integration_type": %s, "scheduled_for": "%s", "attempt": %s, '
      '"drift_seconds": %s, "cold_start": %s}',
      run.org_id, to_json(run.integration_type), integration_health_private.utc_text(run.scheduled_for), run.attempt, seconds,
      to_json(run.cold_start)));
    PERFORM integration_health_private.alert_run(
      run, 'sync_late', jsonb_build_object('drift_seconds', seconds, 'cold_start', run.cold_start));
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.report_drift(@extschema@.integration_sync_runs) IS
  'Warns of a run that starts later than integration_health.max_drift allows, sends an event, and writes an alert.';

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
  'Checks that no column of a schedule is null, since a site may have replaced it. Errors: 23502 when one is.';

-- The engine's access to rows of runs: in the C edition always the latest version, whatever the isolation level.
CREATE FUNCTION integration_health_private.insert_run(
  org_id uuid, integration_type text, scheduled_for timestamptz, started_at timestamptz, lease_until timestamptz,
  cold_start boolean)
RETURNS @extschema@.integration_sync_runs
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'insert_run';
COMMENT ON FUNCTION integration_health_private.insert_run(
  uuid, text, timestamptz, timestamptz, timestamptz, boolean) IS
  'Inserts the first attempt of a period and returns its run; null when the period has a run. Waits for whoever is '
  'inserting it. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.lock_run(org_id uuid, integration_type text, scheduled_for timestamptz)
RETURNS @extschema@.integration_sync_runs
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lock_run';
COMMENT ON FUNCTION integration_health_private.lock_run(uuid, text, timestamptz) IS
  'Locks the run of a period and returns it; null when there is none. Waits for whoever has locked it.';

CREATE FUNCTION integration_health_private.store_run(run @extschema@.integration_sync_runs)
RETURNS @extschema@.integration_sync_runs
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'store_run';
COMMENT ON FUNCTION integration_health_private.store_run(@extschema@.integration_sync_runs) IS
  'Writes a run, whose row must be locked, and returns the row as stored. Errors: 55000 as require_own_triggers, or '
  'when a rule or trigger of the site kept the row from being written.';

-- claim_sync_run is an SQL function that calls these: its arguments and results share names, which PL/pgSQL does not
-- allow.
CREATE FUNCTION integration_health_private.lease_period(
  schedule @extschema@.integration_sync_schedules, uuid, text, timestamptz, boolean, interval)
RETURNS TABLE (run @extschema@.integration_sync_runs, claimed boolean)
LANGUAGE plpgsql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz;
  length interval := interval '1 microsecond' * integration_health_private.micros($6);
BEGIN
  IF schedule.org_id IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023',
      MESSAGE = format('no sync is scheduled for this organisation and type "%s"', integration_health_private.echo($3)),
      HINT = 'Make a schedule with set_sync_schedule.';
  END IF;
  PERFORM integration_health_private.require_whole(schedule);
  IF NOT schedule.enabled THEN
    RAISE EXCEPTION USING ERRCODE = '55000',
      MESSAGE = format('the schedule of this organisation and type "%s" is disabled', $3),
      HINT = 'Set enabled in its row of integration_sync_schedules.';
  END IF;
  PERFORM integration_health_private.require_period(schedule, $4);

  -- Repeated only if a cleanup deletes the row in between, which in practice never happens twice.
  FOR try IN 1 .. 10 LOOP
    moment := clock_timestamp();
    run := integration_health_private.insert_run($2, $3, $4, moment, moment + length, $5);
    claimed := run.attempt IS NOT NULL;
    EXIT WHEN claimed;

    run := integration_health_private.lock_run($2, $3, $4);
    CONTINUE WHEN run.attempt IS NULL;
    -- Taking the lock may have meant waiting.
    moment := clock_timestamp();
    claimed := integration_health_private.may_lease(
      run.outcome, run.attempt, run.finished_at, run.lease_until, schedule.max_attempts, schedule.retry_backoff, moment);
    IF claimed THEN
      run.attempt := run.attempt + 1;
      run.outcome := 'running';
      run.started_at := moment;
      run.finished_at := NULL;
      run.lease_until := moment + length;
      run.cold_start := $5;
      run.error := NULL;
      run := integration_health_private.store_run(run);
    END IF;
    EXIT;
  END LOOP;
  IF run.attempt IS NULL THEN
    PERFORM integration_health_private.refuse_intrusion('integration_sync_runs');
  END IF;

  IF claimed THEN
    -- Read after the run was inserted, so that a cleanup that ended meanwhile is seen.
    schedule := integration_health_private.latest_schedule($2, $3);
    IF run.attempt = 1 AND $4 <= schedule.pruned_until THEN
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
COMMENT ON FUNCTION integration_health_private.lease_period(
  @extschema@.integration_sync_schedules, uuid, text, timestamptz, boolean, interval) IS
  'Does the work of claim_sync_run for valid arguments and the schedule that they name.';

CREATE FUNCTION integration_health_private.lease_run(uuid, text, timestamptz, boolean, interval)
RETURNS TABLE (run @extschema@.integration_sync_runs, claimed boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_arguments(
    '{org_id,integration_type,scheduled_for,cold_start,lease}',
    ARRAY[$1 IS NULL, $2 IS NULL, $3 IS NULL, $4 IS NULL, $5 IS NULL]);
  IF $5 < interval '1 second' OR $5 > interval '1 day' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'lease must be between 1 second and 1 day',
      HINT = 'Leave the argument out for 10 minutes.';
  END IF;
  RETURN QUERY SELECT * FROM integration_health_private.lease_period(
    integration_health_private.latest_schedule($1, $2), $1, $2, $3, $4, $5);
END
$$;
COMMENT ON FUNCTION integration_health_private.lease_run(uuid, text, timestamptz, boolean, interval) IS
  'Does the work of claim_sync_run.';

-- From now on no period up to this one is due or, if it failed, not before its wait is over. A schedule that has moved
-- on, or whose time zone no longer exists, is left as it is.
CREATE FUNCTION integration_health_private.move_schedule(
  schedule @extschema@.integration_sync_schedules, run @extschema@.integration_sync_runs)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  zone text;
  next_period timestamptz;
BEGIN
  IF schedule.org_id IS NULL THEN
    RETURN;
  END IF;
  zone := integration_health_private.usable_time_zone(
    schedule.org_id, schedule.integration_type, schedule.every, schedule.anchor, schedule.time_zone);
  next_period := COALESCE(
    integration_health_private.next_period(schedule.every, schedule.anchor, zone, run.scheduled_for), 'infinity');
  IF zone IS NOT NULL AND schedule.due_at < next_period THEN
    schedule.due_at := next_period;
    IF run.outcome = 'failed' AND run.attempt < schedule.max_attempts THEN
      schedule.due_at := LEAST(next_period, integration_health_private.retry_at(
        run.finished_at, schedule.retry_backoff, run.attempt));
    END IF;
    PERFORM integration_health_private.store_schedule(schedule);
  END IF;
  IF run.outcome = 'failed' AND run.attempt >= schedule.max_attempts THEN
    PERFORM integration_health_private.alert_run(run, 'sync_missed', '{"missed": 1, "given_up": true}');
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.move_schedule(
  @extschema@.integration_sync_schedules, @extschema@.integration_sync_runs) IS
  'Sets when a schedule, whose row must be locked, can be claimed next, after a run of it has ended, and writes an alert if '
  'that was the last attempt and failed. Errors: 55000 as store_schedule and enqueue_alert.';

-- In passive mode the end of a sync counts as a check; in active mode it does not.
CREATE FUNCTION integration_health_private.record_end(
  org_id uuid, integration_type text, outcome @extschema@.integration_sync_outcome, error text)
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT @extschema@.record_health_check(
           record_end.org_id, t.integration_type,
           CASE WHEN record_end.outcome = 'failed' THEN 'unhealthy' ELSE 'healthy' END::@extschema@.integration_health_state,
           error => record_end.error)
    FROM @extschema@.integration_types t
   WHERE t.integration_type = record_end.integration_type AND t.monitoring_mode = 'passive';
END;
COMMENT ON FUNCTION integration_health_private.record_end(uuid, text, @extschema@.integration_sync_outcome, text) IS
  'Records the end of a run as a check if its type is in passive mode. Errors: those of record_health_check.';

CREATE FUNCTION integration_health_private.finish_run(
  uuid, text, timestamptz, integer, @extschema@.integration_sync_outcome, text, OUT run @extschema@.integration_sync_runs)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_arguments(
    '{org_id,integration_type,scheduled_for,attempt,outcome}', ARRAY[$1 IS NULL, $2 IS NULL, $3 IS NULL, $4 IS NULL, $5 IS NULL]);
  IF $5::text NOT IN ('running', 'succeeded', 'failed') THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'outcome is not one that the extension knows',
      HINT = 'Use succeeded or failed.';
  ELSIF $5 = 'running' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'a run cannot end as running', HINT = 'Use succeeded or failed.';
  END IF;
  run := integration_health_private.lock_run($1, $2, $3);
  IF run.attempt IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'nobody has claimed this sync run', HINT = 'Claim it with claim_sync_run.';
  ELSIF run.attempt <> $4 THEN
    RAISE EXCEPTION USING ERRCODE = '55000',
      MESSAGE = format('attempt %s of this sync run is not the current one, which is %s', $4, run.attempt),
      HINT = 'Another worker has claimed the run since: discard this result.';
  ELSIF run.outcome = $5 THEN
    -- The report is repeated. That the lease ran out does not matter as long as nobody else has claimed the run.
    RETURN;
  ELSIF run.outcome <> 'running' THEN
    RAISE EXCEPTION USING ERRCODE = '55000',
      MESSAGE = format('attempt %s of this sync run has already ended as %s', $4, run.outcome),
      HINT = 'The first report stands; a failed run can be claimed again.';
  END IF;

  run.outcome := $5;
  run.finished_at := clock_timestamp();
  run.lease_until := NULL;
  run.error := $6;
  run := integration_health_private.store_run(run);
  PERFORM integration_health_private.move_schedule(
    integration_health_private.lock_schedule(run.org_id, run.integration_type), run);

  PERFORM integration_health_private.guard('integration_health_status');
  PERFORM integration_health_private.record_end(run.org_id, run.integration_type, run.outcome, run.error);
END
$$;
COMMENT ON FUNCTION integration_health_private.finish_run(
  uuid, text, timestamptz, integer, @extschema@.integration_sync_outcome, text) IS 'Does the work of finish_sync_run.';

CREATE FUNCTION @extschema@.claim_sync_run(
  org_id uuid, integration_type text, scheduled_for timestamptz,
  cold_start boolean DEFAULT false, lease interval DEFAULT '10 minutes',
  OUT org_id uuid, OUT integration_type text, OUT scheduled_for timestamptz, OUT attempt integer,
  OUT outcome @extschema@.integration_sync_outcome, OUT started_at timestamptz,
  OUT finished_at timestamptz, OUT lease_until timestamptz, OUT drift interval,
  OUT cold_start boolean, OUT error text, OUT idempotency_key text, OUT claimed boolean)
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT (l.run).org_id, (l.run).integration_type, (l.run).scheduled_for, (l.run).attempt, (l.run).outcome,
         (l.run).started_at, (l.run).finished_at, (l.run).lease_until, (l.run).drift, (l.run).cold_start,
         (l.run).error, (l.run).idempotency_key, l.claimed
    FROM integration_health_private.lease_run($1, $2, $3, $4, $5) AS l;
END;
COMMENT ON FUNCTION @extschema@.claim_sync_run(uuid, text, timestamptz, boolean, interval) IS
  'Claims a period of a schedule and returns its run; claimed is true for the one caller who is to run it now, until '
  'lease (1 second to 1 day) has passed. A run that failed and whose retry_backoff has passed, or whose lease ran '
  'out, can be claimed again, max_attempts times in all; one that succeeded never. Warns when the run starts later '
  'than integration_health.max_drift. Errors: 22023 when an argument is null or out of range, there is no schedule, '
  'or scheduled_for is not a period of it, lies more than a minute ahead, or is older than the ledger; 55000 when the '
  'schedule is disabled, or somebody else has a trigger or rule on the tables.';

CREATE FUNCTION @extschema@.finish_sync_run(
  org_id uuid, integration_type text, scheduled_for timestamptz, attempt integer,
  outcome @extschema@.integration_sync_outcome, error text DEFAULT NULL)
RETURNS @extschema@.integration_sync_runs
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.finish_run($1, $2, $3, $4, $5, $6);
END;
COMMENT ON FUNCTION @extschema@.finish_sync_run(
  uuid, text, timestamptz, integer, @extschema@.integration_sync_outcome, text) IS
  'Ends an attempt as succeeded or failed and returns its run; repeating the same report changes nothing. If the type '
  'is in passive mode, the end is also recorded as a check, healthy or unhealthy. Errors: 22023 when an argument '
  'other than error is null, nobody has claimed the run, or outcome is running; 23514 when error has more than 2000 '
  'characters; 55000 when another attempt has taken over, this one has ended with the other outcome, or '
  'somebody else has a trigger or rule on the tables.';
