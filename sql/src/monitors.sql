-- ---------------------------------------------------------------------------------------------
-- Active monitoring: which pairs are checked when
-- ---------------------------------------------------------------------------------------------

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

CREATE FUNCTION @extschema@.integration_monitors_trigger()
RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'ih_monitors_trigger';
COMMENT ON FUNCTION @extschema@.integration_monitors_trigger() IS
  'Trigger of integration_monitors: spreads the first check of a new pair over the interval of its type, keeps the key as it is. Errors: 39P01 not called by its trigger, 42809 another table, 22023 a key was changed.';

CREATE TRIGGER zz_integration_monitors_stamp
  BEFORE INSERT OR UPDATE ON @extschema@.integration_monitors
  FOR EACH ROW EXECUTE FUNCTION @extschema@.integration_monitors_trigger();
COMMENT ON TRIGGER zz_integration_monitors_stamp ON @extschema@.integration_monitors IS
  'Says when a new pair is due; a row that brings due_at along is a restored one. Keeps the key as it is.';

ALTER TABLE @extschema@.integration_monitors ENABLE ROW LEVEL SECURITY;

CREATE POLICY integration_monitors_read ON @extschema@.integration_monitors
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_monitors_read ON @extschema@.integration_monitors IS
  'A caller sees the organisations that its claims name.';

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
  'Puts a type back into active mode and returns its row; its pairs are due within the next check_interval, whatever passive_until said: that is cleared. Errors: 22023 no such type.';
