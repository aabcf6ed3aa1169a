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
  created_at       timestamptz NOT NULL,
  PRIMARY KEY (integration_type),
  CONSTRAINT integration_type_is_an_identifier
    CHECK (integration_type ~ '^[a-z][a-z0-9_]{0,62}$'),
  CONSTRAINT display_name_is_not_empty CHECK (display_name <> ''),
  CONSTRAINT check_interval_is_at_least_15_minutes CHECK (check_interval >= interval '15 minutes'),
  CONSTRAINT check_interval_is_at_most_366_days CHECK (check_interval <= interval '366 days'),
  CONSTRAINT max_backoff_is_at_least_check_interval CHECK (max_backoff >= check_interval),
  CONSTRAINT max_backoff_is_at_most_366_days CHECK (max_backoff <= interval '366 days')
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
  'active: probed every check_interval; passive: never probed.';
COMMENT ON COLUMN @extschema@.integration_types.passive_since IS
  'When the type went passive; null in active mode.';
COMMENT ON COLUMN @extschema@.integration_types.passive_reason IS
  'Why the type went passive; null in active mode.';
COMMENT ON COLUMN @extschema@.integration_types.passive_until IS
  'The external system asked not to be probed before (Retry-After), at most max_backoff; null when it did not. Claims wait for it in active mode, too.';
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

INSERT INTO @extschema@.integration_types (integration_type, display_name)
VALUES ('xledger', 'Xledger'), ('dynamics', 'Microsoft Dynamics 365');

ALTER TABLE @extschema@.integration_types ENABLE ROW LEVEL SECURITY;

CREATE POLICY integration_types_read ON @extschema@.integration_types
  FOR SELECT USING (true);
COMMENT ON POLICY integration_types_read ON @extschema@.integration_types IS
  'Types are no secret between organisations.';
