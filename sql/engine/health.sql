-- The PL/pgSQL engine: what happens when a check is recorded.
--
-- A row passes these triggers of integration_health_status, in the order of their names:
--   BEFORE INSERT  restore     accepts a restored row as it is
--                  stamp_first stamps a new row
--   BEFORE UPDATE  keep        restores check_no
--                  mark_...    notes in check_no that the statement sets a column to the value that it already has
--                  stamp       refuses a change of the key, makes the row a whole check, and stamps the columns that
--                              only the extension may set; runs with the caller's rights
--                  stamp_rest  does the same when the statement does not set http_status
--                  stamp_why   sets the cause, if the HTTP status tells it; also before an INSERT
--                  store_late  writes a late check into the ring, and leaves the row as it was
--   AFTER INSERT   first       copies the first check of a pair, and counts the pair
--   AFTER UPDATE   change      applies what follows from a new status or number of failures, or a new day
--                  history     copies the checks of a statement into the ring
-- The ring is written after the statement, so that rows are copied as a site's own triggers have left them.

-- @before integration_health_status_trigger
CREATE TABLE integration_health_private.restored_rows (
  org_id           uuid NOT NULL,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  recorded_at      timestamptz NOT NULL
);
COMMENT ON TABLE integration_health_private.restored_rows IS
  'Restored rows that look like the first check of a pair recorded by the current transaction, as when the '
  'transaction that recorded a row deletes it and puts it back. Written by the BEFORE INSERT trigger for the AFTER '
  'INSERT trigger.';
COMMENT ON COLUMN integration_health_private.restored_rows.org_id IS 'Organisation.';
COMMENT ON COLUMN integration_health_private.restored_rows.integration_type IS 'External system.';
COMMENT ON COLUMN integration_health_private.restored_rows.recorded_at IS 'As in the restored row.';
ALTER TABLE integration_health_private.restored_rows REPLICA IDENTITY FULL;
ALTER TABLE integration_health_private.restored_rows ENABLE ROW LEVEL SECURITY;

CREATE FUNCTION integration_health_private.restore_row()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.check_no IS NULL OR NEW.recorded_at IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'check_no and recorded_at must be set together',
      DETAIL = 'A restored row has both; a new check has neither.';
  END IF;
  PERFORM integration_health_private.hold_type(NEW.integration_type);
  IF NEW.check_no = 1 AND NEW.recorded_at >= now() THEN
    -- An INSERT that took ON CONFLICT leaves its row behind, which means nothing to later transactions.
    DELETE FROM integration_health_private.restored_rows AS r WHERE r.recorded_at < now();
    INSERT INTO integration_health_private.restored_rows (org_id, integration_type, recorded_at)
    VALUES (NEW.org_id, NEW.integration_type, NEW.recorded_at);
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION integration_health_private.restore_row() IS
  'Trigger function of integration_health_status, before a restored row is inserted: makes sure that its type exists, '
  'and notes the row if its time does not tell it from a new check. Errors: 22023 when only one of check_no and '
  'recorded_at is given.';

CREATE FUNCTION integration_health_private.time_of_check(
  status @extschema@.integration_health_state, checked_at timestamptz, recorded_at timestamptz)
RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  missing text := CASE WHEN checked_at IS NULL THEN 'checked_at' WHEN status IS NULL THEN 'status' END;
BEGIN
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '23502', TABLE = 'integration_health_status', COLUMN = missing,
      MESSAGE = format('null value in column "%s" of table "integration_health_status"', missing);
  ELSIF status NOT IN ('healthy', 'degraded', 'unhealthy', 'unknown') THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'status is not one that the extension knows',
      HINT = 'Use healthy, degraded, unhealthy or unknown.';
  END IF;
  -- A clock that is ahead must not make all later checks late. Infinity is left to the constraints.
  RETURN CASE WHEN isfinite(checked_at) THEN LEAST(checked_at, recorded_at) ELSE checked_at END;
END
$$;
COMMENT ON FUNCTION integration_health_private.time_of_check(
  @extschema@.integration_health_state, timestamptz, timestamptz) IS
  'Returns when a check was made: at checked_at, but not later than it is recorded. Errors: 23502 when its status or '
  'its time is null, 22023 when the status is not one that the extension knows.';

-- Runs for the first check of a pair, and for any other INSERT before it takes ON CONFLICT. This function and
-- integration_health_status_trigger, which run for every check, have an empty search_path, which takes the least time to
-- set; so they name all relations and types in full.
CREATE FUNCTION integration_health_private.stamp_first()
RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  NEW.recorded_at := GREATEST(clock_timestamp(), now());
  NEW.check_no := 1;
  IF NEW.status = 'healthy' AND NEW.checked_at <= NEW.recorded_at AND NEW.is_probe IS NULL AND NEW.cause IS NULL THEN
    -- Most checks.
    NEW.status_since := NEW.checked_at;
    NEW.last_healthy_at := NEW.checked_at;
    NEW.consecutive_failures := 0;
    RETURN NEW;
  END IF;
  IF (NEW.status IN ('healthy', 'degraded', 'unhealthy', 'unknown') AND NEW.checked_at <= NEW.recorded_at) IS NOT TRUE THEN
    NEW.checked_at := integration_health_private.time_of_check(NEW.status, NEW.checked_at, NEW.recorded_at);
  END IF;
  NEW.status_since := NEW.checked_at;
  NEW.last_healthy_at := CASE WHEN NEW.status = 'healthy' THEN NEW.checked_at END;
  NEW.consecutive_failures := CASE WHEN NEW.status = 'unhealthy' THEN 1 ELSE 0 END;
  NEW.is_probe := NULL;
  IF NEW.status = 'healthy' THEN
    NEW.cause := NULL;
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION integration_health_private.stamp_first() IS
  'Trigger function of integration_health_status, before a row is inserted that is not a restored one: stamps the '
  'columns that the extension maintains. Errors: as time_of_check.';

-- Not part of the stamp, because that runs for every check.
CREATE FUNCTION integration_health_private.derive_cause()
RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.cause := CASE WHEN NEW.http_status IN (401, 403, 407) THEN 'auth' WHEN NEW.http_status = 429 THEN 'rate_limited'
                    WHEN NEW.http_status < 500 THEN 'configuration' WHEN NEW.http_status < 600 THEN 'server' END;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION integration_health_private.derive_cause() IS
  'Trigger function of integration_health_status, before a row is written whose check failed with an HTTP status of 400 or '
  'more, and gives no cause: sets the one that the status tells (RFC 9110, section 15).';

CREATE FUNCTION integration_health_private.keep_check_no()
RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.check_no := OLD.check_no;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION integration_health_private.keep_check_no() IS
  'Trigger function of integration_health_status, before an update that would change check_no: restores it, before '
  'mark_column adds its marks.';

-- PL/pgSQL does not see which columns a statement sets, but a trigger on a column does. Marks are even, so that a
-- marked check_no never equals the next one.
CREATE FUNCTION integration_health_private.mark_column()
RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.check_no := NEW.check_no + TG_ARGV[0]::bigint;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION integration_health_private.mark_column() IS
  'Trigger function of integration_health_status, before an update that sets a column to the value that it already '
  'has: adds its argument to check_no, for integration_health_status_trigger to read.';

-- @integration_health_status_trigger
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  marks bigint;
  constrained pg_catalog.record;
  is_met boolean;
BEGIN
  -- This runs for every check, so it has few statements, and all that is rare is behind one condition. Only the triggers of
  -- the extension have arguments: that of an update that does not set http_status has one, the other has two.
  IF TG_NARGS = 0 OR TG_NARGS = 1 AND TG_ARGV[0] <> 'rest' THEN
    IF TG_RELID <> '@extschema@.integration_health_status'::regclass
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS i
                        WHERE i.inhrelid = TG_RELID AND i.inhparent = '@extschema@.integration_health_status'::regclass) THEN
      RAISE EXCEPTION USING ERRCODE = '42809', MESSAGE = format('table "%s" has no health history', TG_TABLE_NAME);
    END IF;
    RAISE EXCEPTION USING ERRCODE = '39P01',
      MESSAGE = 'function "integration_health_status_trigger" was called for an event that it does not support',
      HINT = 'Only CREATE EXTENSION attaches it.';
  END IF;
  IF NEW.latency_ms = OLD.latency_ms OR NEW.error = OLD.error OR NEW.retry_after = OLD.retry_after
     OR NEW.cause = OLD.cause OR NEW.checked_at = OLD.checked_at OR TG_NARGS = 1
     OR NEW.org_id IS DISTINCT FROM OLD.org_id OR NEW.integration_type IS DISTINCT FROM OLD.integration_type THEN
    IF NEW.org_id IS DISTINCT FROM OLD.org_id OR NEW.integration_type IS DISTINCT FROM OLD.integration_type THEN
      PERFORM integration_health_private.refuse_key_change(
        TG_TABLE_NAME, CASE WHEN NEW.org_id IS DISTINCT FROM OLD.org_id THEN 'org_id' ELSE 'integration_type' END);
    END IF;
    marks := NEW.check_no - OLD.check_no;
    IF TG_NARGS = 1 AND marks = 0
       AND (NEW.status, NEW.checked_at, NEW.latency_ms, NEW.http_status, NEW.error, NEW.retry_after, NEW.cause)
           IS NOT DISTINCT FROM
           (OLD.status, OLD.checked_at, OLD.latency_ms, OLD.http_status, OLD.error, OLD.retry_after, OLD.cause) THEN
      -- The statement sets no column of a check, so it does not record one.
      NEW.recorded_at := OLD.recorded_at;
      NEW.status_since := OLD.status_since;
      NEW.last_healthy_at := OLD.last_healthy_at;
      NEW.consecutive_failures := OLD.consecutive_failures;
      RETURN NEW;
    END IF;
    -- A check is a whole: a column that the statement does not set must not keep the last check's value.
    IF NEW.latency_ms = OLD.latency_ms AND marks & 2 = 0 THEN
      NEW.latency_ms := NULL;
    END IF;
    IF NEW.error = OLD.error AND marks & 4 = 0 THEN
      NEW.error := NULL;
    END IF;
    IF NEW.retry_after = OLD.retry_after AND marks & 8 = 0 THEN
      NEW.retry_after := NULL;
    END IF;
    IF NEW.cause = OLD.cause AND marks & 64 = 0 THEN
      NEW.cause := NULL;
    END IF;
    IF TG_NARGS = 1 AND NEW.http_status = OLD.http_status THEN
      NEW.http_status := NULL;
    END IF;
    IF NEW.checked_at = OLD.checked_at AND marks & 16 = 0 THEN
      NEW.checked_at := now();
    END IF;
  END IF;

  NEW.recorded_at := GREATEST(clock_timestamp(), now());
  NEW.check_no := OLD.check_no + 1;
  IF NEW.status = 'healthy' AND OLD.status = 'healthy' AND NEW.checked_at >= OLD.checked_at AND NEW.checked_at <= NEW.recorded_at
     AND NEW.status_since = OLD.status_since AND OLD.consecutive_failures = 0 AND NEW.consecutive_failures = 0
     AND NEW.is_probe IS NULL AND NEW.cause IS NULL THEN
    -- Most checks.
    NEW.last_healthy_at := NEW.checked_at;
    RETURN NEW;
  END IF;

  IF (NEW.status IN ('healthy', 'degraded', 'unhealthy', 'unknown') AND NEW.checked_at <= NEW.recorded_at) IS NOT TRUE THEN
    NEW.checked_at := integration_health_private.time_of_check(NEW.status, NEW.checked_at, NEW.recorded_at);
  END IF;
  IF NEW.status = 'healthy' THEN
    NEW.cause := NULL;
  END IF;
  -- A restored row may lie in the future; it makes no check late whose time is now() or later.
  IF NEW.checked_at < OLD.checked_at AND (OLD.checked_at <= NEW.recorded_at OR NEW.checked_at < now()) THEN
    -- A late check will not be stored in the row, so the constraints are checked here.
    FOR constrained IN
      SELECT k.conname AS name, pg_get_expr(k.conbin, k.conrelid) AS expression
        FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = TG_RELID AND k.contype = 'c' ORDER BY k.conname
    LOOP
      EXECUTE format('SELECT %s FROM (SELECT ($1).*) AS late', constrained.expression) INTO is_met USING NEW;
      IF NOT is_met THEN
        RAISE EXCEPTION USING ERRCODE = '23514', TABLE = TG_TABLE_NAME, CONSTRAINT = constrained.name,
          MESSAGE = format('new row for relation "%s" violates check constraint "%s"', TG_TABLE_NAME, constrained.name);
      END IF;
    END LOOP;
    -- Tells store_late to run.
    NEW.status_since := NULL;
    RETURN NEW;
  END IF;

  NEW.last_healthy_at := CASE NEW.status WHEN 'healthy' THEN NEW.checked_at ELSE OLD.last_healthy_at END;
  NEW.status_since := CASE NEW.status WHEN OLD.status THEN OLD.status_since ELSE NEW.checked_at END;
  NEW.consecutive_failures := CASE NEW.status WHEN 'unhealthy' THEN LEAST(OLD.consecutive_failures, 2147483646) + 1
                                              WHEN 'unknown' THEN OLD.consecutive_failures ELSE 0 END;
  NEW.is_probe := NULL;
  RETURN NEW;
END
$$;

-- @status_triggers
CREATE FUNCTION integration_health_private.store_late()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  later name;
  written bigint;
BEGIN
  -- A later trigger with the bits for row level (1), BEFORE (2) and UPDATE (16) in its type could still drop the row.
  SELECT g.tgname INTO later FROM pg_trigger AS g
   WHERE g.tgrelid = TG_RELID AND NOT g.tgisinternal AND g.tgenabled <> 'D' AND g.tgtype & 19 = 19
     AND g.tgname > TG_NAME ORDER BY g.tgname LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION USING ERRCODE = '55000',
      MESSAGE = format('trigger "%s" of table "%s" would run after the one that records checks', later, TG_TABLE_NAME),
      HINT = format('Rename it so that it sorts before "%s".', TG_NAME);
  END IF;
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_health_history'::regclass]);
  INSERT INTO @extschema@.integration_health_history AS h
         (org_id, integration_type, slot, check_no, status, latency_ms, http_status, error, checked_at, is_late, cause)
  VALUES (NEW.org_id, NEW.integration_type, NEW.check_no % 96, NEW.check_no, NEW.status, NEW.latency_ms, NEW.http_status,
          NEW.error, NEW.checked_at, true, NEW.cause)
  ON CONFLICT (org_id, integration_type, slot) DO UPDATE
     SET check_no = EXCLUDED.check_no, status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms,
         http_status = EXCLUDED.http_status, error = EXCLUDED.error, checked_at = EXCLUDED.checked_at, is_late = true,
         cause = EXCLUDED.cause;
  GET DIAGNOSTICS written = ROW_COUNT;
  IF written <> 1 THEN
    PERFORM integration_health_private.refuse_intrusion('integration_health_history');
  END IF;
  OLD.check_no := NEW.check_no;
  OLD.recorded_at := NEW.recorded_at;
  RETURN OLD;
END
$$;
COMMENT ON FUNCTION integration_health_private.store_late() IS
  'Trigger function of integration_health_status, before an update by a check that is older than the last: writes the '
  'check into the history, and leaves all but check_no and recorded_at as it was. Errors: 55000 when a trigger or '
  'rule of the site is in the way.';

CREATE FUNCTION integration_health_private.has_check(org_id uuid, integration_type text, check_no bigint)
RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM @extschema@.integration_health_status AS s
     WHERE s.org_id = has_check.org_id AND s.integration_type = has_check.integration_type AND s.check_no >= has_check.check_no);
END
$$;
COMMENT ON FUNCTION integration_health_private.has_check(uuid, text, bigint) IS
  'Returns whether a pair exists and has recorded its check number check_no.';

-- One plan serves statements of one row as well as of thousands, so it must use the index in any case.
CREATE FUNCTION integration_health_private.copy_checks()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET enable_hashjoin = off SET enable_mergejoin = off SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- Whether this transaction has deleted pairs, perhaps in a trigger of the site that ran after the check.
  forgets boolean := COALESCE(current_setting('integration_health_private.forgets_pairs', true), '') = 'on';
  checks bigint;
  has_intruders boolean;
  written bigint;
BEGIN
  SELECT count(*), (SELECT c.relhastriggers OR c.relhasrules
                           OR c.relkind = 'p' AND EXISTS (SELECT FROM integration_health_private.partitions_of(c.oid) AS o (part)
                                                            JOIN pg_class AS p ON p.oid = o.part
                                                           WHERE p.relhastriggers OR p.relhasrules)
                      FROM pg_class AS c
                     WHERE c.oid = '@extschema@.integration_health_history'::regclass)
    INTO checks, has_intruders FROM new_rows AS n WHERE n.recorded_at >= now();
  IF checks = 0 THEN
    RETURN NULL;
  ELSIF has_intruders THEN
    PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_health_history'::regclass]);
  END IF;

  -- The slots of most checks exist. A late check is in its slot already, and so is one whose row was written again in
  -- this transaction without recording a check.
  UPDATE @extschema@.integration_health_history AS h
     SET check_no = n.check_no, status = n.status, latency_ms = n.latency_ms, http_status = n.http_status, error = n.error,
         checked_at = n.checked_at, is_late = NULL, cause = n.cause
    FROM new_rows AS n
   WHERE n.recorded_at >= now() AND h.org_id = n.org_id AND h.integration_type = n.integration_type
     AND h.slot = (n.check_no % 96)::smallint AND h.check_no < n.check_no
     AND (NOT forgets OR integration_health_private.has_check(n.org_id, n.integration_type, n.check_no));
  GET DIAGNOSTICS written = ROW_COUNT;
  IF written = checks THEN
    RETURN NULL;
  END IF;
  INSERT INTO @extschema@.integration_health_history
         (org_id, integration_type, slot, check_no, status, latency_ms, http_status, error, checked_at, cause)
  SELECT n.org_id, n.integration_type, n.check_no % 96, n.check_no, n.status, n.latency_ms, n.http_status, n.error,
         n.checked_at, n.cause
    FROM new_rows AS n
   WHERE n.recorded_at >= now()
     AND (NOT forgets OR integration_health_private.has_check(n.org_id, n.integration_type, n.check_no))
      ON CONFLICT (org_id, integration_type, slot) DO NOTHING;
  IF EXISTS (SELECT FROM new_rows AS n
              WHERE n.recorded_at >= now()
                AND NOT EXISTS (SELECT FROM @extschema@.integration_health_history AS h
                                 WHERE h.org_id = n.org_id AND h.integration_type = n.integration_type
                                   AND h.slot = (n.check_no % 96)::smallint AND h.check_no >= n.check_no)
                AND (NOT forgets OR integration_health_private.has_check(n.org_id, n.integration_type, n.check_no))) THEN
    PERFORM integration_health_private.refuse_intrusion('integration_health_history');
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.copy_checks() IS
  'Trigger function of integration_health_status, after a statement that updates it: copies the checks of the '
  'statement into the history. Errors: 55000 when a trigger or rule of the site is in the way.';

CREATE FUNCTION integration_health_private.apply_first_check()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  written bigint;
BEGIN
  DELETE FROM integration_health_private.restored_rows AS r
   WHERE r.org_id = NEW.org_id AND r.integration_type = NEW.integration_type AND r.recorded_at = NEW.recorded_at;
  IF FOUND THEN
    RETURN NULL;
  END IF;
  -- A pair that a trigger of the site has already deleted leaves no history; its DELETE has counted it out.
  IF NOT integration_health_private.has_check(NEW.org_id, NEW.integration_type, 1) THEN
    PERFORM integration_health_private.count_change(NEW.integration_type, NULL, NEW.status);
    RETURN NULL;
  END IF;
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_health_history'::regclass]);
  INSERT INTO @extschema@.integration_health_history AS h
         (org_id, integration_type, slot, check_no, status, latency_ms, http_status, error, checked_at, cause)
  VALUES (NEW.org_id, NEW.integration_type, 1, 1, NEW.status, NEW.latency_ms, NEW.http_status, NEW.error, NEW.checked_at,
          NEW.cause)
  ON CONFLICT (org_id, integration_type, slot) DO UPDATE
     SET check_no = EXCLUDED.check_no, status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms,
         http_status = EXCLUDED.http_status, error = EXCLUDED.error, checked_at = EXCLUDED.checked_at, is_late = NULL,
         cause = EXCLUDED.cause;
  GET DIAGNOSTICS written = ROW_COUNT;
  IF written <> 1 THEN
    PERFORM integration_health_private.refuse_intrusion('integration_health_history');
  END IF;
  PERFORM integration_health_private.follow_checks(
    ARRAY[NEW.org_id], ARRAY[NEW.integration_type], '{NULL}', ARRAY[NEW.status], '{0}', ARRAY[NEW.consecutive_failures],
    ARRAY[NEW.checked_at], '{1}', ARRAY[NEW.http_status], ARRAY[NEW.cause]);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.apply_first_check() IS
  'Trigger function of integration_health_status, after the first check of a pair: copies it into the history, then '
  'calls follow_checks. Errors: 55000 when a trigger or rule of the site is in the way.';

CREATE FUNCTION integration_health_private.apply_change()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- A pair that a trigger of the site has already deleted, and maybe recorded anew, leaves no transition; its DELETE has
  -- counted it out.
  IF current_setting('integration_health_private.forgets_pairs', true) = 'on'
     AND NOT integration_health_private.has_check(NEW.org_id, NEW.integration_type, NEW.check_no) THEN
    IF NEW.status <> OLD.status THEN
      PERFORM integration_health_private.count_change(NEW.integration_type, OLD.status, NEW.status);
    END IF;
    RETURN NULL;
  END IF;
  IF integration_health_private.utc_day(OLD.checked_at) < integration_health_private.utc_day(NEW.checked_at) THEN
    PERFORM integration_health_private.close_day(NEW.org_id, NEW.integration_type, OLD.checked_at);
  END IF;
  IF NEW.status <> OLD.status OR NEW.consecutive_failures <> OLD.consecutive_failures THEN
    PERFORM integration_health_private.follow_checks(
      ARRAY[NEW.org_id], ARRAY[NEW.integration_type], ARRAY[OLD.status], ARRAY[NEW.status],
      ARRAY[OLD.consecutive_failures], ARRAY[NEW.consecutive_failures], ARRAY[NEW.checked_at], ARRAY[NEW.check_no],
      ARRAY[NEW.http_status], ARRAY[NEW.cause]);
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.apply_change() IS
  'Trigger function of integration_health_status, after a check that changed the status or the number of failures in '
  'a row, or is the first of a UTC day: calls close_day and follow_checks. Errors: 55000 as these.';

CREATE TRIGGER zz_integration_health_restore
  BEFORE INSERT ON @extschema@.integration_health_status
  FOR EACH ROW WHEN (NEW.check_no IS NOT NULL OR NEW.recorded_at IS NOT NULL)
  EXECUTE FUNCTION integration_health_private.restore_row();
COMMENT ON TRIGGER zz_integration_health_restore ON @extschema@.integration_health_status IS
  'Makes sure that the type of a restored row exists.';
CREATE TRIGGER zz_integration_health_keep
  BEFORE UPDATE ON @extschema@.integration_health_status
  FOR EACH ROW WHEN (NEW.check_no IS DISTINCT FROM OLD.check_no)
  EXECUTE FUNCTION integration_health_private.keep_check_no();
COMMENT ON TRIGGER zz_integration_health_keep ON @extschema@.integration_health_status IS
  'Restores check_no, which only the extension may set.';
-- @since 1.1
CREATE TRIGGER zz_integration_health_mark_cause
  BEFORE UPDATE OF cause ON @extschema@.integration_health_status
  FOR EACH ROW WHEN (NEW.cause = OLD.cause)
  EXECUTE FUNCTION integration_health_private.mark_column('64');
-- @end
COMMENT ON TRIGGER zz_integration_health_mark_cause ON @extschema@.integration_health_status IS
  'Notes that cause is set to the value that it has.';
CREATE TRIGGER zz_integration_health_mark_checked_at
  BEFORE UPDATE OF checked_at ON @extschema@.integration_health_status
  FOR EACH ROW WHEN (NEW.checked_at = OLD.checked_at)
  EXECUTE FUNCTION integration_health_private.mark_column('16');
COMMENT ON TRIGGER zz_integration_health_mark_checked_at ON @extschema@.integration_health_status IS
  'Notes that checked_at is set to the value that it has.';
CREATE TRIGGER zz_integration_health_mark_error
  BEFORE UPDATE OF error ON @extschema@.integration_health_status
  FOR EACH ROW WHEN (NEW.error = OLD.error)
  EXECUTE FUNCTION integration_health_private.mark_column('4');
COMMENT ON TRIGGER zz_integration_health_mark_error ON @extschema@.integration_health_status IS
  'Notes that error is set to the value that it has.';
CREATE TRIGGER zz_integration_health_mark_latency_ms
  BEFORE UPDATE OF latency_ms ON @extschema@.integration_health_status
  FOR EACH ROW WHEN (NEW.latency_ms = OLD.latency_ms)
  EXECUTE FUNCTION integration_health_private.mark_column('2');
COMMENT ON TRIGGER zz_integration_health_mark_latency_ms ON @extschema@.integration_health_status IS
  'Notes that latency_ms is set to the value that it has.';
CREATE TRIGGER zz_integration_health_mark_retry_after
  BEFORE UPDATE OF retry_after ON @extschema@.integration_health_status
  FOR EACH ROW WHEN (NEW.retry_after = OLD.retry_after)
  EXECUTE FUNCTION integration_health_private.mark_column('8');
COMMENT ON TRIGGER zz_integration_health_mark_retry_after ON @extschema@.integration_health_status IS
  'Notes that retry_after is set to the value that it has.';
CREATE TRIGGER zz_integration_health_mark_status
  BEFORE UPDATE OF status, latency_ms, error, retry_after, cause ON @extschema@.integration_health_status
  FOR EACH ROW WHEN (NEW.checked_at = OLD.checked_at AND NEW.status = OLD.status)
  EXECUTE FUNCTION integration_health_private.mark_column('32');
COMMENT ON TRIGGER zz_integration_health_mark_status ON @extschema@.integration_health_status IS
  'Notes that a statement records a check although it may change no value.';
CREATE TRIGGER zz_integration_health_stamp_first
  BEFORE INSERT ON @extschema@.integration_health_status
  FOR EACH ROW WHEN (NEW.check_no IS NULL AND NEW.recorded_at IS NULL)
  EXECUTE FUNCTION integration_health_private.stamp_first();
COMMENT ON TRIGGER zz_integration_health_stamp_first ON @extschema@.integration_health_status IS
  'Stamps the columns that the extension maintains in the first check of a pair.';
CREATE TRIGGER zz_integration_health_stamp
  BEFORE UPDATE OF http_status ON @extschema@.integration_health_status
  FOR EACH ROW EXECUTE FUNCTION @extschema@.integration_health_status_trigger('sets', 'http_status');
COMMENT ON TRIGGER zz_integration_health_stamp ON @extschema@.integration_health_status IS
  'Stamps the columns that the extension maintains.';
CREATE TRIGGER zz_integration_health_stamp_rest
  BEFORE UPDATE ON @extschema@.integration_health_status
  FOR EACH ROW WHEN (NEW.check_no <> OLD.check_no + 1)
  EXECUTE FUNCTION @extschema@.integration_health_status_trigger('rest');
COMMENT ON TRIGGER zz_integration_health_stamp_rest ON @extschema@.integration_health_status IS
  'Stamps an update that does not set http_status.';
-- @since 1.1
CREATE TRIGGER zz_integration_health_stamp_why
  BEFORE INSERT OR UPDATE ON @extschema@.integration_health_status
  FOR EACH ROW WHEN (NEW.http_status >= 400 AND NEW.cause IS NULL AND NEW.status <> 'healthy')
  EXECUTE FUNCTION integration_health_private.derive_cause();
-- @end
COMMENT ON TRIGGER zz_integration_health_stamp_why ON @extschema@.integration_health_status IS
  'Sets the cause that the HTTP status tells.';
CREATE TRIGGER zz_integration_health_store_late
  BEFORE UPDATE ON @extschema@.integration_health_status
  FOR EACH ROW WHEN (NEW.status_since IS NULL)
  EXECUTE FUNCTION integration_health_private.store_late();
COMMENT ON TRIGGER zz_integration_health_store_late ON @extschema@.integration_health_status IS
  'Writes a late check into the history, and leaves the row as it was.';

CREATE TRIGGER zz_integration_health_first
  AFTER INSERT ON @extschema@.integration_health_status
  FOR EACH ROW WHEN (NEW.check_no = 1 AND NEW.recorded_at >= pg_catalog.now())
  EXECUTE FUNCTION integration_health_private.apply_first_check();
COMMENT ON TRIGGER zz_integration_health_first ON @extschema@.integration_health_status IS
  'Copies the first check of a pair into the history, and counts the pair.';
CREATE TRIGGER zz_integration_health_change
  AFTER UPDATE ON @extschema@.integration_health_status
  FOR EACH ROW WHEN (NEW.status <> OLD.status OR NEW.consecutive_failures <> OLD.consecutive_failures
                     OR NEW.checked_at >= pg_catalog.date_bin('24:00:00', OLD.checked_at, '2000-01-01 00:00:00+00')
                                       + interval '24:00:00')
  EXECUTE FUNCTION integration_health_private.apply_change();
COMMENT ON TRIGGER zz_integration_health_change ON @extschema@.integration_health_status IS
  'Applies what follows from a check that changed the status of a pair or its number of failures, or began a day.';
CREATE TRIGGER zz_integration_health_history
  AFTER UPDATE ON @extschema@.integration_health_status REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION integration_health_private.copy_checks();
COMMENT ON TRIGGER zz_integration_health_history ON @extschema@.integration_health_status IS
  'Copies the checks of a statement into the history.';

-- @follow_triggers
-- What follows from a check is applied by its row's trigger.

-- @append_count
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  appended @extschema@.integration_health_counts;
BEGIN
  PERFORM integration_health_private.require_own_triggers(
    VARIADIC ARRAY['@extschema@.integration_health_counts'::regclass]);
  INSERT INTO @extschema@.integration_health_counts AS c (integration_type, status, delta)
  VALUES (append_count.integration_type, append_count.status, append_count.delta) RETURNING c.* INTO appended;
  IF NOT FOUND THEN
    PERFORM integration_health_private.refuse_intrusion('integration_health_counts');
  END IF;
  RETURN appended;
END
$$;

-- @delete_ring
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  left_over @extschema@.integration_health_history;
BEGIN
  PERFORM integration_health_private.require_own_triggers(
    VARIADIC ARRAY['@extschema@.integration_health_history'::regclass]);
  DELETE FROM @extschema@.integration_health_history AS h
   WHERE h.org_id = delete_ring.org_id AND h.integration_type = delete_ring.integration_type;
  SELECT h.* INTO left_over FROM @extschema@.integration_health_history AS h
   WHERE h.org_id = delete_ring.org_id AND h.integration_type = delete_ring.integration_type LIMIT 1;
  RETURN left_over;
END
$$;
