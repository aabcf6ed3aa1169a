-- ---------------------------------------------------------------------------------------------
-- Catalogue: the kinds of external system
-- ---------------------------------------------------------------------------------------------

CREATE TABLE @extschema@.integration_types (
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  display_name     text NOT NULL,
  check_interval   interval NOT NULL DEFAULT '15 minutes',
  max_backoff      interval NOT NULL DEFAULT '24 hours',
  monitoring_mode  @extschema@.integration_monitoring_mode NOT NULL DEFAULT 'active',
  passive_since    timestamptz,
  passive_reason   text,
  passive_until    timestamptz,
  probes           integer NOT NULL DEFAULT 0,
  planned_since    timestamptz,
  created_at       timestamptz NOT NULL,
  PRIMARY KEY (integration_type),
  CONSTRAINT integration_type_is_an_identifier
    CHECK (integration_type ~ '^[a-z][a-z0-9_]{0,62}$'),
  CONSTRAINT display_name_is_not_empty CHECK (display_name <> ''),
  CONSTRAINT check_interval_is_at_least_15_minutes CHECK (check_interval >= interval '15 minutes'),
  CONSTRAINT check_interval_is_at_most_366_days CHECK (check_interval <= interval '366 days'),
  CONSTRAINT max_backoff_is_at_least_check_interval CHECK (max_backoff >= check_interval),
  CONSTRAINT max_backoff_is_at_most_366_days CHECK (max_backoff <= interval '366 days'),
  CONSTRAINT probes_is_not_negative CHECK (probes >= 0)
);
COMMENT ON TABLE @extschema@.integration_types IS
  'The kinds of external system. Seeded with xledger and dynamics; sites add and edit rows.';
COMMENT ON COLUMN @extschema@.integration_types.integration_type IS
  'Key: a lower-case identifier of at most 63 characters.';
COMMENT ON COLUMN @extschema@.integration_types.display_name IS 'Name to show to people.';
COMMENT ON COLUMN @extschema@.integration_types.check_interval IS
  'Time between two active checks of a pair; 15 minutes to 366 days.';
COMMENT ON COLUMN @extschema@.integration_types.max_backoff IS
  'Longest wait between two active checks of a failing pair, or before a rate limited type is probed; check_interval to 366 days.';
COMMENT ON COLUMN @extschema@.integration_types.monitoring_mode IS
  'active: probed every check_interval; passive: one pair is probed when passive_until has passed, and none where that is null.';
COMMENT ON COLUMN @extschema@.integration_types.passive_since IS
  'When the type went passive; null in active mode.';
COMMENT ON COLUMN @extschema@.integration_types.passive_reason IS
  'Why the type went passive; null in active mode.';
COMMENT ON COLUMN @extschema@.integration_types.passive_until IS
  'When a passive type is probed: as long as the external system asked for (Retry-After), at most max_backoff; where it did not, check_interval, doubled with each probe. Null: never. Claims wait for it in active mode, too.';
COMMENT ON COLUMN @extschema@.integration_types.probes IS
  'Probes handed out since the type went passive. Kept by claims.';
COMMENT ON COLUMN @extschema@.integration_types.planned_since IS
  'When the type became active again, or its intervals shorter; null when they never did. No check is missed before. Kept by a trigger.';
COMMENT ON COLUMN @extschema@.integration_types.created_at IS
  'When the row was made. Filled by a trigger: a row that brings it along is a restored one and replaces the seed of the same key.';

CREATE FUNCTION @extschema@.integration_types_trigger()
RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'ih_types_trigger';
COMMENT ON FUNCTION @extschema@.integration_types_trigger() IS
  'Trigger of integration_types: stamps created_at; a row that brings it along is restored and replaces the seed of its key. Errors: 39P01 not called by its trigger, 42809 another table.';

CREATE TRIGGER zz_integration_types_stamp
  BEFORE INSERT ON @extschema@.integration_types
  FOR EACH ROW EXECUTE FUNCTION @extschema@.integration_types_trigger();
COMMENT ON TRIGGER zz_integration_types_stamp ON @extschema@.integration_types IS
  'Stamps created_at; lets a restored row replace the seed of its key.';

-- What follows from a change of the mode or the intervals, whoever makes it. A restored row, with another created_at,
-- stays as it is.
CREATE FUNCTION integration_health_private.plan_type()
RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.created_at IS DISTINCT FROM OLD.created_at THEN
    RETURN NEW;
  END IF;
  IF NEW.monitoring_mode IS DISTINCT FROM OLD.monitoring_mode THEN
    IF NEW.monitoring_mode::text = 'active' THEN
      NEW.planned_since := pg_catalog.clock_timestamp();
      NEW.passive_since := NULL;
      NEW.passive_reason := NULL;
      NEW.probes := 0;
      IF NEW.passive_until IS NOT DISTINCT FROM OLD.passive_until THEN
        NEW.passive_until := NULL;
      END IF;
    ELSE
      NEW.passive_since := COALESCE(NEW.passive_since, pg_catalog.clock_timestamp());
    END IF;
  END IF;
  IF (NEW.check_interval, NEW.max_backoff) IS DISTINCT FROM (OLD.check_interval, OLD.max_backoff) THEN
    IF NEW.check_interval < OLD.check_interval OR NEW.max_backoff < OLD.max_backoff THEN
      NEW.planned_since := pg_catalog.clock_timestamp();
    END IF;
    IF pg_catalog.isfinite(NEW.passive_until) THEN
      NEW.passive_until := LEAST(NEW.passive_until, pg_catalog.clock_timestamp() + NEW.max_backoff);
    END IF;
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION integration_health_private.plan_type() IS
  'Trigger of integration_types, before an update: keeps planned_since, and what the columns passive_ say, in step with the mode and the intervals.';

CREATE TRIGGER zz_integration_types_plan
  BEFORE UPDATE ON @extschema@.integration_types
  FOR EACH ROW EXECUTE FUNCTION integration_health_private.plan_type();
COMMENT ON TRIGGER zz_integration_types_plan ON @extschema@.integration_types IS
  'Keeps planned_since, and what the columns passive_ say, in step with the mode and the intervals.';

INSERT INTO @extschema@.integration_types (integration_type, display_name)
VALUES ('xledger', 'Xledger'), ('dynamics', 'Microsoft Dynamics 365');

ALTER TABLE @extschema@.integration_types ENABLE ROW LEVEL SECURITY;

CREATE POLICY integration_types_read ON @extschema@.integration_types
  FOR SELECT USING (true);
COMMENT ON POLICY integration_types_read ON @extschema@.integration_types IS
  'Types are no secret between organisations.';
