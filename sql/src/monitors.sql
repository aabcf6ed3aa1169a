-- ---------------------------------------------------------------------------------------------
-- Active monitoring: when each pair is checked
-- ---------------------------------------------------------------------------------------------

-- Each claim changes due_at, the column by which claims find pairs, so these rows are updated often, and never as HOT
-- updates. The failures come from the status table, which claims only read, except to mark a probe.
CREATE TABLE @extschema@.integration_monitors (
  org_id           uuid NOT NULL,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  enabled          boolean NOT NULL DEFAULT true,
  due_at           timestamptz NOT NULL,
  claimed_at       timestamptz,
  planned_since    timestamptz,
  credential_expires_at timestamptz,
  PRIMARY KEY (org_id, integration_type),
  FOREIGN KEY (integration_type) REFERENCES @extschema@.integration_types (integration_type)
) WITH (fillfactor = 70);
SELECT integration_health_private.partition_table('@extschema@.integration_monitors');
-- @since 1.1
CREATE INDEX integration_monitors_credential ON @extschema@.integration_monitors (credential_expires_at)
  WHERE credential_expires_at IS NOT NULL;
-- @end
CREATE INDEX integration_monitors_due ON @extschema@.integration_monitors
  (integration_type, due_at) WHERE enabled;
COMMENT ON TABLE @extschema@.integration_monitors IS
  'The pairs to be checked, which claim_due_health_checks hands out.';
COMMENT ON COLUMN @extschema@.integration_monitors.org_id IS 'Organisation.';
COMMENT ON COLUMN @extschema@.integration_monitors.integration_type IS 'External system.';
COMMENT ON COLUMN @extschema@.integration_monitors.enabled IS 'Whether the pair is handed out.';
COMMENT ON COLUMN @extschema@.integration_monitors.due_at IS
  'When the pair may be handed out next. Filled by a trigger; changed by claims, and by checks that fail or end a '
  'series of failures.';
COMMENT ON COLUMN @extschema@.integration_monitors.claimed_at IS
  'When the pair was last handed out; null if it never was. Maintained by claims.';
COMMENT ON COLUMN @extschema@.integration_monitors.planned_since IS
  'When the monitor was last enabled again; null if it never was. No check is expected before this time. Maintained '
  'by a trigger.';
COMMENT ON COLUMN @extschema@.integration_monitors.credential_expires_at IS
  'When the credential of the pair expires; null when that is not known. Alerts say so 14, 7 and 1 days before.';
COMMENT ON INDEX @extschema@.integration_monitors_credential IS 'Finds the credentials that expire soon.';
COMMENT ON INDEX @extschema@.integration_monitors_due IS
  'Serves claim_due_health_checks. Begins with the type, so that a claim does not have to skip the pairs of passive '
  'types one by one.';

CREATE FUNCTION @extschema@.integration_monitor_first_due(
  org_id uuid, integration_type text, check_interval interval, since timestamptz)
RETURNS timestamptz
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_monitor_first_due';
COMMENT ON FUNCTION @extschema@.integration_monitor_first_due(uuid, text, interval, timestamptz) IS
  'Internal. Returns a time within check_interval after since, always the same for a given pair, and different for '
  'different pairs.';

CREATE FUNCTION @extschema@.integration_monitor_ready_at(
  org_id uuid, integration_type text, claimed_at timestamptz, check_interval interval,
  max_backoff interval, failures integer)
RETURNS timestamptz
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_monitor_ready_at';
COMMENT ON FUNCTION @extschema@.integration_monitor_ready_at(uuid, text, timestamptz, interval, interval, integer) IS
  'Internal. Returns when a pair that was handed out at claimed_at may be handed out again after that many '
  'consecutive failures: after check_interval * 2^(failures - 1), at most max_backoff, with up to a tenth of jitter, '
  'and never less than check_interval. -infinity when claimed_at is null.';

CREATE FUNCTION integration_health_private.backoff(
  check_interval interval, max_backoff interval, failures integer)
RETURNS interval
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'backoff';
COMMENT ON FUNCTION integration_health_private.backoff(interval, interval, integer) IS
  'Returns the wait after that many consecutive failures: check_interval * 2^(failures - 1), at least check_interval, '
  'at most max_backoff.';

CREATE FUNCTION integration_health_private.refuse_null_interval()
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = '55000',
    MESSAGE = 'column "check_interval" or "max_backoff" of table "integration_types" is null',
    HINT = 'Set a value, and restore the NOT NULL constraint of the column.';
END
$$;
COMMENT ON FUNCTION integration_health_private.refuse_null_interval() IS
  'Refuses a type with a null interval, after a site has altered integration_types: nothing tells when a pair is due. '
  'Errors: 55000, always.';

CREATE FUNCTION integration_health_private.first_due_of(org_id uuid, integration_type text)
RETURNS timestamptz
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT GREATEST(
           @extschema@.integration_monitor_first_due(
             first_due_of.org_id, first_due_of.integration_type, COALESCE(t.check_interval, interval '15 minutes'), w.now),
           CASE WHEN s.checked_at IS NOT NULL
                THEN LEAST(s.checked_at, w.now)
                     + interval '1 microsecond' * integration_health_private.micros(t.check_interval) END)
    FROM (SELECT pg_catalog.clock_timestamp() OFFSET 0) AS w (now)
    LEFT JOIN @extschema@.integration_types t ON t.integration_type = first_due_of.integration_type
    LEFT JOIN @extschema@.integration_health_status s
      ON s.org_id = first_due_of.org_id AND s.integration_type = t.integration_type
   WHERE CASE WHEN t.integration_type IS NOT NULL AND t.check_interval IS NULL
              THEN integration_health_private.refuse_null_interval() IS NOT NULL ELSE true END;
END;
COMMENT ON FUNCTION integration_health_private.first_due_of(uuid, text) IS
  'Returns when a new or re-enabled monitor of a pair is due: within the check_interval of its type, and not before '
  'one has passed since the last recorded check. Errors: 55000 as refuse_null_interval.';

CREATE FUNCTION @extschema@.integration_monitors_trigger()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
-- @engine shard
  PERFORM integration_health_private.enter_shard(TG_RELID);
-- @end
  PERFORM integration_health_private.require_trigger(
    'integration_monitors_trigger', 'integration_monitors', 'monitors', TG_RELID, TG_NARGS,
    TG_WHEN = 'BEFORE' AND TG_LEVEL = 'ROW' AND TG_OP <> 'DELETE');
  IF TG_OP = 'UPDATE' THEN
    -- No check was expected while the monitor was disabled. Many may be enabled at once, so those that have become due
    -- meanwhile are spread.
    NEW.planned_since := clock_timestamp();
    IF NEW.due_at <= NEW.planned_since THEN
      NEW.due_at := integration_health_private.first_due_of(NEW.org_id, NEW.integration_type);
    END IF;
  ELSIF NEW.org_id IS NULL OR NEW.integration_type IS NULL THEN
    NULL;
  ELSIF NEW.due_at IS NOT NULL THEN
    PERFORM integration_health_private.hold_type(NEW.integration_type);
  ELSE
    NEW.due_at := integration_health_private.first_due_of(NEW.org_id, NEW.integration_type);
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION @extschema@.integration_monitors_trigger() IS
  'Trigger function of integration_monitors: spreads the first checks of new and re-enabled pairs over the interval '
  'of their type. Errors: 39P01 when not called by its trigger, 42809 when called for another table, 55000 as '
  'first_due_of.';

CREATE TRIGGER zz_integration_monitors_stamp
  BEFORE INSERT ON @extschema@.integration_monitors
  FOR EACH ROW EXECUTE FUNCTION @extschema@.integration_monitors_trigger();
COMMENT ON TRIGGER zz_integration_monitors_stamp ON @extschema@.integration_monitors IS
  'Sets when a new pair is due; a row inserted with due_at is a restored one.';
CREATE TRIGGER zz_integration_monitors_enable
  BEFORE UPDATE ON @extschema@.integration_monitors
  FOR EACH ROW WHEN (NEW.enabled AND NOT OLD.enabled)
  EXECUTE FUNCTION @extschema@.integration_monitors_trigger();
COMMENT ON TRIGGER zz_integration_monitors_enable ON @extschema@.integration_monitors IS
  'Sets since when a re-enabled pair is checked again, and when it is due.';

-- Under another key, a pair would be handed out again within its interval.
CREATE TRIGGER zz_integration_monitors_key
  BEFORE UPDATE ON @extschema@.integration_monitors
  FOR EACH ROW WHEN ((NEW.org_id, NEW.integration_type) IS DISTINCT FROM (OLD.org_id, OLD.integration_type))
  EXECUTE FUNCTION integration_health_private.refuse_new_key();
COMMENT ON TRIGGER zz_integration_monitors_key ON @extschema@.integration_monitors IS 'Refuses a change of the key.';

ALTER TABLE @extschema@.integration_monitors ENABLE ROW LEVEL SECURITY;

CREATE POLICY integration_monitors_read ON @extschema@.integration_monitors
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_monitors_read ON @extschema@.integration_monitors IS
  'Callers see the organisations that their claims name.';

-- A single expression, so that it is inlined: reports and jobs evaluate it for up to a million pairs.
CREATE FUNCTION integration_health_private.stale_at(
  checked_at timestamptz, failures integer,
  monitoring_mode @extschema@.integration_monitoring_mode, check_interval interval, max_backoff interval,
  type_since timestamptz, enabled boolean, claimed_at timestamptz, due_at timestamptz, enabled_since timestamptz)
RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT CASE WHEN monitoring_mode = 'active' AND enabled IS NOT FALSE THEN
    LEAST(GREATEST(GREATEST(checked_at, type_since, enabled_since)
                   + CASE WHEN enabled THEN integration_health_private.backoff(check_interval, max_backoff, failures)
                          ELSE check_interval END,
                   CASE WHEN claimed_at <= checked_at OR claimed_at IS NULL THEN due_at END),
          GREATEST(checked_at, type_since, enabled_since)
          + 2 * CASE WHEN enabled THEN integration_health_private.backoff(check_interval, max_backoff, failures)
                     ELSE check_interval END)
    + CASE WHEN enabled THEN integration_health_private.backoff(check_interval, max_backoff, failures)
           ELSE check_interval END
  END;
END;
COMMENT ON FUNCTION integration_health_private.stale_at(
  timestamptz, integer, @extschema@.integration_monitoring_mode, interval, interval, timestamptz, boolean,
  timestamptz, timestamptz, timestamptz) IS
  'Returns the time after which a pair that was last checked at checked_at, and has that many consecutive failures, '
  'is stale. A check is expected within check_interval, or within the backoff if a monitor waits for that, or when '
  'the monitor is due if that is later; the pair is stale when as much time again has passed. Nothing is expected '
  'before type_since (planned_since or passive_until of the type) or enabled_since (planned_since of the monitor). '
  'Null when nothing is expected: the type is passive, or the monitor disabled. enabled is null when the pair has no '
  'monitor.';

-- due_at depends on the intervals of the type, and is computed again when they change. Monitors that somebody has
-- locked are skipped, not waited for: a claim in flight may want the row of the type next.
CREATE FUNCTION integration_health_private.plan_monitors(integration_type text)
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_monitors'::regclass]);
  UPDATE @extschema@.integration_monitors m
     SET due_at = n.due_at
    FROM (SELECT o.org_id, o.integration_type, CASE
                   WHEN r.ready_at > pg_catalog.now() THEN r.ready_at
                   ELSE LEAST(o.due_at, @extschema@.integration_monitor_first_due(
                          o.org_id, o.integration_type, t.check_interval, pg_catalog.now())) END AS due_at
            FROM @extschema@.integration_monitors o
            JOIN @extschema@.integration_types t ON t.integration_type = o.integration_type
            LEFT JOIN @extschema@.integration_health_status s
              ON s.org_id = o.org_id AND s.integration_type = o.integration_type
           CROSS JOIN LATERAL @extschema@.integration_monitor_ready_at(
                   o.org_id, o.integration_type, o.claimed_at, t.check_interval, t.max_backoff,
                   COALESCE(s.consecutive_failures, 0)) AS r (ready_at)
           WHERE o.integration_type = plan_monitors.integration_type AND o.due_at > pg_catalog.now()
             FOR NO KEY UPDATE OF o SKIP LOCKED) n
   WHERE m.org_id = n.org_id AND m.integration_type = n.integration_type AND m.due_at <> n.due_at;
END;
COMMENT ON FUNCTION integration_health_private.plan_monitors(text) IS
  'Computes due_at again for those pairs of a type that are not due yet. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.plan_monitors_of_type()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF (NEW.check_interval, NEW.max_backoff) IS DISTINCT FROM (OLD.check_interval, OLD.max_backoff)
     AND NEW.created_at = OLD.created_at THEN
    PERFORM integration_health_private.plan_monitors(NEW.integration_type);
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.plan_monitors_of_type() IS
  'Trigger function of integration_types, after an update: computes due_at again for the pairs of a type whose '
  'intervals have changed. Ignores restored rows. Errors: 55000 as plan_monitors.';

CREATE TRIGGER zz_integration_types_plan_monitors
  AFTER UPDATE ON @extschema@.integration_types
  FOR EACH ROW EXECUTE FUNCTION integration_health_private.plan_monitors_of_type();
COMMENT ON TRIGGER zz_integration_types_plan_monitors ON @extschema@.integration_types IS
  'Computes due_at again for the pairs of a type whose intervals have changed.';

CREATE FUNCTION @extschema@.set_monitor(
  org_id uuid, integration_type text, enabled boolean DEFAULT NULL)
RETURNS @extschema@.integration_monitors
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO @extschema@.integration_monitors AS m (org_id, integration_type, enabled)
  VALUES (set_monitor.org_id, set_monitor.integration_type, COALESCE(set_monitor.enabled, true))
  ON CONFLICT (org_id, integration_type) DO UPDATE
     SET enabled = COALESCE(set_monitor.enabled, m.enabled)
  RETURNING m;
END;
COMMENT ON FUNCTION @extschema@.set_monitor(uuid, text, boolean) IS
  'Sets whether the pair is to be checked, and returns its row. If enabled is null or omitted, it stays as it is; it '
  'is true for a new pair. A new pair is due within the check_interval of its type. Errors: 23502 when org_id or '
  'integration_type is null, 23503 for an unknown integration_type, 42501 when the caller is not a writer.';

-- The engine's access to rows of monitors: in the C edition always the latest version, whatever the isolation level.
-- Rows are locked so that nobody else hands them out.
CREATE FUNCTION integration_health_private.latest_monitor(org_id uuid, integration_type text)
RETURNS @extschema@.integration_monitors
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'latest_monitor';
COMMENT ON FUNCTION integration_health_private.latest_monitor(uuid, text) IS
  'Returns the monitor of a pair as committed now; null when there is none.';

CREATE FUNCTION integration_health_private.lock_monitor(org_id uuid, integration_type text)
RETURNS @extschema@.integration_monitors
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lock_monitor';
COMMENT ON FUNCTION integration_health_private.lock_monitor(uuid, text) IS
  'Locks the monitor of a pair and returns it; null when there is none, or when somebody else has locked it.';

CREATE FUNCTION integration_health_private.lock_due_monitors(of_type text, moment timestamptz, max_rows bigint)
RETURNS SETOF @extschema@.integration_monitors
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lock_due_monitors';
COMMENT ON FUNCTION integration_health_private.lock_due_monitors(text, timestamptz, bigint) IS
  'Locks and returns at most max_rows enabled monitors of a type that are due at moment, the longest overdue first, '
  'and skips those that somebody else has locked.';

-- One plan serves one row as well as thousands, so it must use the primary key in any case.
CREATE FUNCTION integration_health_private.store_monitors(
  of_type text, org_ids uuid[], claimed_at timestamptz[], due_at timestamptz[])
RETURNS SETOF @extschema@.integration_monitors
LANGUAGE c VOLATILE STRICT
SET enable_hashjoin = off SET enable_mergejoin = off SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'store_monitors';
COMMENT ON FUNCTION integration_health_private.store_monitors(text, uuid[], timestamptz[], timestamptz[]) IS
  'Writes claimed_at and due_at of monitors of a type, which must be locked, and returns their rows. Errors: 55000 as '
  'require_own_triggers.';

CREATE FUNCTION integration_health_private.mark_probe(org_id uuid, integration_type text)
RETURNS @extschema@.integration_health_status
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'mark_probe';
COMMENT ON FUNCTION integration_health_private.mark_probe(uuid, text) IS
  'Notes in the status row of a pair that its next check answers a probe, and returns the row; null when there is '
  'none, or when somebody else has locked it. Errors: 55000 as require_own_triggers.';
