-- ---------------------------------------------------------------------------------------------
-- Health: the latest status of each pair, its history, and the counts. In tables that are written at every check, the
-- columns that most checks change stand together at the end, because WAL holds the range from the first changed byte to
-- the last. The constraints of the status table alone say what a check may contain; late checks must satisfy them, too.
-- Trigger names sort last, so that the triggers see a row as a site's own BEFORE triggers have left it.
-- ---------------------------------------------------------------------------------------------

CREATE TABLE @extschema@.integration_health_status (
  org_id               uuid NOT NULL,
  integration_type     text COLLATE pg_catalog."C" NOT NULL,
  status               @extschema@.integration_health_state NOT NULL,
  http_status          integer,
  error                text,
  retry_after          integer,
  is_probe             boolean,
  status_since         timestamptz NOT NULL,
  consecutive_failures integer NOT NULL,
  latency_ms           integer,
  checked_at           timestamptz NOT NULL DEFAULT pg_catalog.now(),
  last_healthy_at      timestamptz,
  recorded_at          timestamptz NOT NULL,
  check_no             bigint NOT NULL,
  cause                @extschema@.integration_failure_cause,
  PRIMARY KEY (org_id, integration_type),
  FOREIGN KEY (integration_type) REFERENCES @extschema@.integration_types (integration_type),
  CONSTRAINT latency_ms_is_not_negative CHECK (latency_ms >= 0),
  CONSTRAINT http_status_is_between_100_and_599 CHECK (http_status >= 100 AND http_status <= 599),
  CONSTRAINT error_is_at_most_2000_characters CHECK (pg_catalog.length(error) <= 2000),
  CONSTRAINT retry_after_is_at_most_a_year CHECK (retry_after >= 0 AND retry_after <= 31536000),
  CONSTRAINT checked_at_is_finite CHECK (pg_catalog.isfinite(checked_at)),
  CONSTRAINT consecutive_failures_is_not_negative CHECK (consecutive_failures >= 0),
  CONSTRAINT check_no_is_positive CHECK (check_no >= 1::bigint)
) WITH (fillfactor = 50);
SELECT integration_health_private.partition_table('@extschema@.integration_health_status');
-- A check that finds a healthy pair healthy changes neither status nor status_since, so it stays a HOT update.
CREATE INDEX integration_health_status_problems ON @extschema@.integration_health_status
  (status, status_since, org_id, integration_type) WHERE status <> 'healthy'::@extschema@.integration_health_state;
COMMENT ON INDEX @extschema@.integration_health_status_problems IS 'Serves get_global_health_problems.';
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
COMMENT ON COLUMN @extschema@.integration_health_status.retry_after IS
  'Seconds, 0 to 31536000, for which the external system asked to be left alone (Retry-After, RFC 9110); null when it '
  'did not.';
COMMENT ON COLUMN @extschema@.integration_health_status.is_probe IS
  'True from the time the pair is handed out to probe its passive type until it is checked; otherwise null. '
  'Maintained by claims and the trigger.';
COMMENT ON COLUMN @extschema@.integration_health_status.checked_at IS
  'When the check was made. Defaults to now(), also in an UPDATE that does not set it.';
COMMENT ON COLUMN @extschema@.integration_health_status.status_since IS
  'checked_at of the first check since which the status has not changed. Maintained by the trigger.';
COMMENT ON COLUMN @extschema@.integration_health_status.last_healthy_at IS
  'checked_at of the last healthy check; null when there was none. Maintained by the trigger.';
COMMENT ON COLUMN @extschema@.integration_health_status.consecutive_failures IS
  'Number of failures in a row: unhealthy adds one, healthy and degraded reset it to 0, unknown leaves it as it is. '
  'Maintained by the trigger.';
COMMENT ON COLUMN @extschema@.integration_health_status.check_no IS
  'Number of the check among those recorded for the pair, from 1, without gaps. Maintained by the trigger.';
COMMENT ON COLUMN @extschema@.integration_health_status.recorded_at IS
  'When the check was recorded. Maintained by the trigger.';
COMMENT ON COLUMN @extschema@.integration_health_status.cause IS
  'Why the check failed. If it is not given, the trigger derives it from http_status; null when that does not tell, and '
  'for a healthy check.';

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
  is_late          boolean,
  cause            @extschema@.integration_failure_cause,
  PRIMARY KEY (org_id, integration_type, slot),
  CONSTRAINT slot_is_check_no_mod_96 CHECK (slot = check_no % 96::bigint AND check_no >= 1::bigint)
) WITH (fillfactor = 50);
SELECT integration_health_private.partition_table('@extschema@.integration_health_history');
-- checked_at is not part of this index: no index contains a column that changes with every check.
CREATE INDEX integration_health_history_late ON @extschema@.integration_health_history (org_id) WHERE is_late;
COMMENT ON INDEX @extschema@.integration_health_history_late IS
  'Late checks are older than their slots suggest, so the cleanup looks for them separately.';
COMMENT ON TABLE @extschema@.integration_health_history IS
  'The last 96 checks of each (org_id, integration_type): a ring of slots, written only by the trigger of '
  'integration_health_status and by the cleanup.';
COMMENT ON COLUMN @extschema@.integration_health_history.org_id IS 'Organisation.';
COMMENT ON COLUMN @extschema@.integration_health_history.integration_type IS 'External system.';
COMMENT ON COLUMN @extschema@.integration_health_history.slot IS
  'Place in the ring, check_no modulo 96.';
COMMENT ON COLUMN @extschema@.integration_health_history.check_no IS
  'Number of the check: check_no in integration_health_status when it was recorded.';
COMMENT ON COLUMN @extschema@.integration_health_history.is_late IS
  'True when a newer check had been recorded before this one; otherwise null.';
COMMENT ON COLUMN @extschema@.integration_health_history.status IS 'Result of the check.';
COMMENT ON COLUMN @extschema@.integration_health_history.latency_ms IS
  'Response time in milliseconds; null when there was no response.';
COMMENT ON COLUMN @extschema@.integration_health_history.http_status IS
  'HTTP status code; null when there was no HTTP response.';
COMMENT ON COLUMN @extschema@.integration_health_history.error IS 'What went wrong.';
COMMENT ON COLUMN @extschema@.integration_health_history.checked_at IS 'When the check was made.';
COMMENT ON COLUMN @extschema@.integration_health_history.cause IS 'Why the check failed; null when that is not known.';

CREATE TABLE @extschema@.integration_health_counts (
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  status           @extschema@.integration_health_state NOT NULL,
  delta            bigint NOT NULL
);
-- The table has no key: where all tables are published, folding the counts requires a replica identity.
ALTER TABLE @extschema@.integration_health_counts REPLICA IDENTITY FULL;
COMMENT ON TABLE @extschema@.integration_health_counts IS
  'Internal. Changes in the number of pairs by type and status: the sum of delta is the number of rows of '
  'integration_health_status.';
COMMENT ON COLUMN @extschema@.integration_health_counts.integration_type IS 'External system.';
COMMENT ON COLUMN @extschema@.integration_health_counts.status IS 'Status that is counted.';
COMMENT ON COLUMN @extschema@.integration_health_counts.delta IS
  'Number of pairs that entered this status, less those that left it.';

CREATE FUNCTION @extschema@.integration_health_status_trigger()
RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'integration_health_status_trigger';
COMMENT ON FUNCTION @extschema@.integration_health_status_trigger() IS
  'Trigger function of integration_health_status: stamps the columns that it maintains, copies each check into the '
  'history, and keeps the counts. Errors: 39P01 when not called by its trigger, 42809 when called for another table, '
  '22023 when a key is changed, 23502 when status or checked_at is null, 42703 or 42804 when the table was altered, '
  '55000 when the check could not be copied.';

-- @engine status_triggers
CREATE TRIGGER zz_integration_health_stamp
  BEFORE INSERT OR UPDATE ON @extschema@.integration_health_status
  FOR EACH ROW EXECUTE FUNCTION @extschema@.integration_health_status_trigger();
COMMENT ON TRIGGER zz_integration_health_stamp ON @extschema@.integration_health_status IS
  'Stamps the columns that the extension maintains, and copies an updated row into the history.';

CREATE TRIGGER zz_integration_health_first
  AFTER INSERT ON @extschema@.integration_health_status
  FOR EACH ROW WHEN (NEW.check_no = 1 AND NEW.recorded_at >= pg_catalog.now())
  EXECUTE FUNCTION @extschema@.integration_health_status_trigger();
COMMENT ON TRIGGER zz_integration_health_first ON @extschema@.integration_health_status IS
  'Copies the first check of a pair into the history, and counts the pair.';

-- @end

-- @since 1.1
-- @engine follow_triggers
CREATE FUNCTION integration_health_private.apply_pending_checks()
RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'apply_pending_checks';
CREATE FUNCTION integration_health_private.follow_statement()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Off, too, in a session that has loaded the library of version 1.0.
  IF current_setting('integration_health_private.pending', true) = 'on' THEN
    PERFORM integration_health_private.apply_pending_checks();
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER zz_integration_health_follow
  AFTER UPDATE ON @extschema@.integration_health_status
  FOR EACH STATEMENT WHEN (pg_catalog.current_setting('integration_health_private.pending', true) = 'on')
  EXECUTE FUNCTION integration_health_private.follow_statement();
CREATE TRIGGER zz_integration_health_follow_first
  AFTER INSERT ON @extschema@.integration_health_status
  FOR EACH STATEMENT EXECUTE FUNCTION integration_health_private.follow_statement();
COMMENT ON FUNCTION integration_health_private.apply_pending_checks() IS
  'Calls follow_checks for the checks that the running statement has recorded. Errors: as follow_checks.';
COMMENT ON FUNCTION integration_health_private.follow_statement() IS
  'Trigger function of integration_health_status, after a statement: calls apply_pending_checks if anything follows from the '
  'checks that it recorded. Errors: as follow_checks.';
COMMENT ON TRIGGER zz_integration_health_follow ON @extschema@.integration_health_status IS
  'Applies what follows from the checks that a statement has recorded.';
COMMENT ON TRIGGER zz_integration_health_follow_first ON @extschema@.integration_health_status IS
  'Applies what follows from the first checks of pairs, whose triggers run only after the other trigger''s condition is tested.';
-- @end
-- @end

CREATE FUNCTION integration_health_private.delete_ring(org_id uuid, integration_type text)
RETURNS @extschema@.integration_health_history
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'delete_ring';
COMMENT ON FUNCTION integration_health_private.delete_ring(uuid, text) IS
  'Deletes the history of a pair, and returns a row that is left; null when none is. Errors: 55000 as '
  'require_own_triggers.';

CREATE FUNCTION integration_health_private.forget_pair()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET jit = off SET search_path = pg_catalog, pg_temp AS $$
BEGIN
-- @engine shard
  PERFORM integration_health_private.enter_shard(TG_RELID);
-- @end
  PERFORM set_config('integration_health_private.forgets_pairs', 'on', true);
  IF (integration_health_private.delete_ring(OLD.org_id, OLD.integration_type)).check_no IS NOT NULL THEN
    -- A later pair with the same key would find that row in its history.
    PERFORM integration_health_private.refuse_intrusion('integration_health_history');
  END IF;
  PERFORM integration_health_private.forget_changes(OLD.org_id, OLD.integration_type);
  PERFORM integration_health_private.count_change(OLD.integration_type, OLD.status, NULL);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.forget_pair() IS
  'Trigger function of integration_health_status, after a row is deleted: deletes what is kept about the pair, and counts '
  'it out. Errors: 55000 when a trigger or rule of the site is in the way.';

CREATE FUNCTION integration_health_private.forget_all_pairs()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  name text;
  of_table regclass;
  parts regclass[];
BEGIN
  FOREACH name IN ARRAY '{integration_health_history,integration_health_transitions,integration_health_days,'
                        'integration_incidents,integration_alerts,integration_health_counts}'::text[] LOOP
    -- A table that the same TRUNCATE names is empty by now, and cannot be truncated again.
    of_table := integration_health_private.relation(name);
    parts := ARRAY(SELECT integration_health_private.partitions_of(of_table));
    IF EXISTS (SELECT FROM unnest(of_table || parts) AS p WHERE pg_relation_size(p) > 0) THEN
      PERFORM integration_health_private.guard(name);
      EXECUTE format('TRUNCATE %s %s', CASE WHEN parts = '{}' THEN 'ONLY' ELSE '' END, of_table);
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.forget_all_pairs() IS
  'Trigger function of integration_health_status, after TRUNCATE: empties the tables of what is kept about pairs. Errors: 55000 '
  'as require_own_triggers.';

CREATE TRIGGER zz_integration_health_forget
  AFTER DELETE ON @extschema@.integration_health_status
  FOR EACH ROW EXECUTE FUNCTION integration_health_private.forget_pair();
COMMENT ON TRIGGER zz_integration_health_forget ON @extschema@.integration_health_status IS
  'Deletes what is kept about a deleted pair, and counts it out.';

CREATE TRIGGER zz_integration_health_truncate
  AFTER TRUNCATE ON @extschema@.integration_health_status
  FOR EACH STATEMENT EXECUTE FUNCTION integration_health_private.forget_all_pairs();
COMMENT ON TRIGGER zz_integration_health_truncate ON @extschema@.integration_health_status IS
  'Empties the tables of what is kept about pairs along with the table.';

CREATE FUNCTION @extschema@.integration_health_mode_trigger()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  was_probe boolean := false;
BEGIN
-- @engine shard
  PERFORM integration_health_private.enter_shard(TG_RELID);
-- @end
  PERFORM integration_health_private.require_trigger(
    'integration_health_mode_trigger', 'integration_health_status', 'checks', TG_RELID, TG_NARGS,
    TG_WHEN = 'AFTER' AND TG_LEVEL = 'ROW' AND TG_OP <> 'DELETE');
  IF TG_OP = 'UPDATE' THEN
    was_probe := COALESCE(OLD.is_probe, false);
  END IF;
  IF NEW.http_status = 429 THEN
    PERFORM integration_health_private.apply_rate_limit(
      integration_health_private.latest_type(NEW.integration_type),
      NEW.checked_at + make_interval(secs => NEW.retry_after), was_probe);
  ELSIF was_probe THEN
    PERFORM integration_health_private.end_passive_mode(
      integration_health_private.latest_type(NEW.integration_type), ARRAY[NEW.org_id], true);
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION @extschema@.integration_health_mode_trigger() IS
  'Trigger function of integration_health_status: puts a type into passive mode after a check with HTTP status 429, '
  'and back into active mode after an answered probe. Errors: 39P01 when not called by its trigger, 42809 when called '
  'for another table, 55000 when a trigger of the site on integration_types prevents the change of mode.';

-- The triggers run at commit, when the transaction no longer waits for the status rows of others. They ignore late
-- checks, which leave these columns as they were, checks that are reported again unchanged, and restored rows, which
-- were recorded before this transaction.
CREATE CONSTRAINT TRIGGER zz_integration_health_first_mode
  AFTER INSERT ON @extschema@.integration_health_status
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.http_status = 429 AND NEW.check_no = 1 AND NEW.recorded_at >= pg_catalog.now())
  EXECUTE FUNCTION @extschema@.integration_health_mode_trigger();
COMMENT ON TRIGGER zz_integration_health_first_mode ON @extschema@.integration_health_status IS
  'Puts the type of a pair into passive mode when its first check was rate limited.';

CREATE CONSTRAINT TRIGGER zz_integration_health_mode
  AFTER UPDATE ON @extschema@.integration_health_status
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.http_status = 429
        AND (OLD.http_status, OLD.checked_at, OLD.retry_after)
            IS DISTINCT FROM (NEW.http_status, NEW.checked_at, NEW.retry_after)
        OR OLD.is_probe AND NEW.is_probe IS NULL)
  EXECUTE FUNCTION @extschema@.integration_health_mode_trigger();
COMMENT ON TRIGGER zz_integration_health_mode ON @extschema@.integration_health_status IS
  'Puts the type of a pair into passive mode when a check was rate limited, and back when its probe was answered.';

ALTER TABLE @extschema@.integration_health_status ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.integration_health_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.integration_health_counts ENABLE ROW LEVEL SECURITY;

-- The sub-select makes the planner evaluate the claims once per query, not once per row.
CREATE POLICY integration_health_status_read ON @extschema@.integration_health_status
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_health_status_read ON @extschema@.integration_health_status IS
  'Callers see the organisations that their claims name.';

CREATE POLICY integration_health_history_read ON @extschema@.integration_health_history
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_health_history_read ON @extschema@.integration_health_history IS
  'Callers see the organisations that their claims name.';
