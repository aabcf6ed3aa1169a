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
  failure_threshold integer NOT NULL DEFAULT 2,
  success_threshold integer NOT NULL DEFAULT 1,
  PRIMARY KEY (integration_type),
  CONSTRAINT integration_type_is_an_identifier
    CHECK (integration_type ~ '^[a-z][a-z0-9_]{0,62}$'),
  CONSTRAINT display_name_is_not_empty CHECK (display_name <> ''),
  CONSTRAINT check_interval_is_at_least_15_minutes CHECK (check_interval >= interval '15 minutes'),
  CONSTRAINT check_interval_is_at_most_366_days CHECK (check_interval <= interval '366 days'),
  CONSTRAINT max_backoff_is_at_least_check_interval CHECK (max_backoff >= check_interval),
  CONSTRAINT max_backoff_is_at_most_366_days CHECK (max_backoff <= interval '366 days'),
  CONSTRAINT probes_is_not_negative CHECK (probes >= 0),
  CONSTRAINT failure_threshold_is_between_1_and_20 CHECK (failure_threshold >= 1 AND failure_threshold <= 20),
  CONSTRAINT success_threshold_is_between_1_and_20 CHECK (success_threshold >= 1 AND success_threshold <= 20)
);
COMMENT ON TABLE @extschema@.integration_types IS
  'The kinds of external system. Seeded with xledger and dynamics; sites add and edit rows.';
COMMENT ON COLUMN @extschema@.integration_types.integration_type IS
  'Key: a lower-case identifier of at most 63 characters.';
COMMENT ON COLUMN @extschema@.integration_types.display_name IS 'Name to show to people.';
COMMENT ON COLUMN @extschema@.integration_types.check_interval IS
  'Time between two checks of a pair in active mode; 15 minutes to 366 days.';
COMMENT ON COLUMN @extschema@.integration_types.max_backoff IS
  'Longest wait between two checks of a failing pair, or before a rate-limited type is probed; check_interval to 366 '
  'days.';
COMMENT ON COLUMN @extschema@.integration_types.monitoring_mode IS
  'active: pairs are checked every check_interval; passive: one pair is probed after passive_until, and none while '
  'that is null.';
COMMENT ON COLUMN @extschema@.integration_types.passive_since IS
  'When the type went passive; null in active mode.';
COMMENT ON COLUMN @extschema@.integration_types.passive_reason IS
  'Why the type went passive; null in active mode.';
COMMENT ON COLUMN @extschema@.integration_types.passive_until IS
  'When a passive type is probed next: after the time that the external system asked for (Retry-After), at most '
  'max_backoff; if it asked for none, after check_interval, doubled with each probe. Null: never. Claims wait for '
  'this time in active mode, too.';
COMMENT ON COLUMN @extschema@.integration_types.probes IS
  'Number of probes handed out since the type went passive. Maintained by claims.';
COMMENT ON COLUMN @extschema@.integration_types.planned_since IS
  'When the type last became active again, or its intervals were shortened; null if neither has happened. No check is '
  'expected before this time. Maintained by a trigger.';
COMMENT ON COLUMN @extschema@.integration_types.created_at IS
  'When the row was created. Filled by a trigger: a row inserted with a value is a restored one, and replaces the '
  'seed of the same key.';
COMMENT ON COLUMN @extschema@.integration_types.failure_threshold IS
  'Number of failures in a row, 1 to 20, that make an incident of a pair; 1 is enough for cause auth.';
COMMENT ON COLUMN @extschema@.integration_types.success_threshold IS
  'Number of healthy or degraded checks in a row, 1 to 20, that resolve an incident of a pair.';

CREATE FUNCTION integration_health_private.has_type(of_type text)
RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT EXISTS (SELECT FROM @extschema@.integration_types t WHERE t.integration_type = has_type.of_type);
END;
COMMENT ON FUNCTION integration_health_private.has_type(text) IS 'Returns whether there is a type of that name.';

CREATE FUNCTION integration_health_private.refuse_type(of_type text)
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = '22023',
    MESSAGE = format('there is no integration type "%s"', integration_health_private.echo(of_type)),
    HINT = 'The types are the rows of integration_types.';
END
$$;
COMMENT ON FUNCTION integration_health_private.refuse_type(text) IS
  'Says that there is no type of that name. Errors: 22023, always.';

CREATE FUNCTION integration_health_private.require_type(of_type text)
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT integration_health_private.has_type(of_type) THEN
    PERFORM integration_health_private.refuse_type(of_type);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_type(text) IS
  'Checks that there is a type of that name. Errors: 22023 when there is none.';

CREATE FUNCTION integration_health_private.type_names()
RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT pg_catalog.string_agg(t.integration_type, ', ' ORDER BY t.integration_type) FROM @extschema@.integration_types t;
END;
COMMENT ON FUNCTION integration_health_private.type_names() IS
  'Returns the names of all types, which are not secret; null when there are none.';

CREATE FUNCTION integration_health_private.display_name(of_type text)
RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (integration_health_private.latest_type(of_type)).display_name;
END
$$;
COMMENT ON FUNCTION integration_health_private.display_name(text) IS
  'Returns the display name of a type; null when there is none.';

CREATE FUNCTION integration_health_private.hold_place(of_type text)
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO @extschema@.integration_types (integration_type, display_name, created_at)
  VALUES (hold_place.of_type, hold_place.of_type, '-infinity') ON CONFLICT DO NOTHING;
END;
COMMENT ON FUNCTION integration_health_private.hold_place(text) IS
  'Inserts a placeholder for a type, which the type''s row from a dump will replace.';

CREATE FUNCTION integration_health_private.hold_type(integration_type text)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT integration_health_private.has_type(integration_type) THEN
    -- Serialises the writers of types, so that this INSERT never waits for a writer who is waiting for it.
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', integration_health_private.relation('integration_types'));
    PERFORM set_config('integration_health_private.writes_types', 'on', true);
    PERFORM integration_health_private.hold_place(integration_type);
    PERFORM set_config('integration_health_private.writes_types', '', true);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.hold_type(text) IS
  'Makes sure that the type of a restored row exists: the foreign key requires it, but pg_restore with several jobs '
  'may restore it later. Locks integration_types in SHARE ROW EXCLUSIVE mode if it does not exist.';

CREATE FUNCTION @extschema@.integration_types_trigger()
RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  is_there boolean;
BEGIN
  -- Runs with the caller's rights, so it refers to the table that fired it, which may be a shard, and to nothing else of the
  -- extension.
  IF TG_NARGS <> 0 THEN
    RAISE EXCEPTION USING ERRCODE = '39P01', MESSAGE = 'function "integration_types_trigger" takes no trigger arguments';
  ELSIF TG_TABLE_NAME !~ '^integration_types(_[0-9]+)?$'
     OR NOT EXISTS (SELECT FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid
                     WHERE g.tgrelid = TG_RELID AND g.tgname = TG_NAME
                       AND p.pronamespace = quote_ident(TG_TABLE_SCHEMA)::regnamespace) THEN
    RAISE EXCEPTION USING ERRCODE = '42809', MESSAGE = format('table "%s" does not hold integration types', TG_TABLE_NAME);
  ELSIF TG_WHEN <> 'BEFORE' OR TG_LEVEL <> 'ROW' OR TG_OP <> 'INSERT' THEN
    RAISE EXCEPTION USING ERRCODE = '39P01',
      MESSAGE = 'function "integration_types_trigger" was called for an event that it does not support',
      HINT = 'Only CREATE EXTENSION attaches it.';
  END IF;
  IF NEW.created_at IS NULL THEN
    NEW.created_at := now();
    RETURN NEW;
  END IF;
  -- Accepts what the extension writes itself, and a row that a client has read and is writing back.
  IF NEW.integration_type IS NULL OR current_setting('integration_health_private.writes_types', true) = 'on' THEN
    RETURN NEW;
  END IF;
  EXECUTE format('SELECT EXISTS (SELECT FROM %s AS t WHERE t.integration_type = $1 AND t.created_at = $2)', TG_RELID::regclass)
     INTO is_there USING NEW.integration_type, NEW.created_at;
  IF is_there THEN
    RETURN NEW;
  END IF;
  IF NOT has_table_privilege(TG_RELID, 'UPDATE') OR row_security_active(TG_RELID) THEN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s AS t WHERE t.integration_type = $1)', TG_RELID::regclass)
       INTO is_there USING NEW.integration_type;
    IF is_there THEN
      RAISE EXCEPTION USING ERRCODE = '42501',
        MESSAGE = format('permission denied to replace a row of table "%s"', TG_TABLE_NAME),
        DETAIL = 'A row that brings created_at along is a restored one and replaces another.',
        HINT = 'Leave created_at out.';
    END IF;
    RETURN NEW;
  END IF;

  -- Includes the columns that a site has added.
  PERFORM set_config('integration_health_private.writes_types', 'on', true);
  EXECUTE (SELECT format('INSERT INTO %s AS t SELECT ($1).* ON CONFLICT (integration_type) DO UPDATE SET %s', TG_RELID::regclass,
                         string_agg(format('%1$I = EXCLUDED.%1$I', a.attname), ', ' ORDER BY a.attnum))
             FROM pg_attribute AS a
            WHERE a.attrelid = TG_RELID AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '')
    USING NEW;
  PERFORM set_config('integration_health_private.writes_types', '', true);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION @extschema@.integration_types_trigger() IS
  'Trigger function of integration_types, before an insert: stamps created_at. A row that already has it is a '
  'restored one, and replaces the seed of its key. Errors: 39P01 when not called by its trigger, 42809 when called '
  'for another table, 42501 when the caller may not replace that row.';

CREATE TRIGGER zz_integration_types_stamp
  BEFORE INSERT ON @extschema@.integration_types
  FOR EACH ROW EXECUTE FUNCTION @extschema@.integration_types_trigger();
COMMENT ON TRIGGER zz_integration_types_stamp ON @extschema@.integration_types IS
  'Stamps created_at, and lets a restored row replace the seed of its key.';

-- Applies what follows from a change of the mode or the intervals, whoever makes it. A restored row, recognised by a
-- different created_at, is left as it is.
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
  'Trigger function of integration_types, before an update: keeps planned_since, probes and the passive_ columns '
  'consistent with the mode and the intervals.';

CREATE TRIGGER zz_integration_types_plan
  BEFORE UPDATE ON @extschema@.integration_types
  FOR EACH ROW EXECUTE FUNCTION integration_health_private.plan_type();
COMMENT ON TRIGGER zz_integration_types_plan ON @extschema@.integration_types IS
  'Keeps planned_since, probes and the passive_ columns consistent with the mode and the intervals.';

INSERT INTO @extschema@.integration_types (integration_type, display_name)
VALUES ('xledger', 'Xledger'), ('dynamics', 'Microsoft Dynamics 365');

ALTER TABLE @extschema@.integration_types ENABLE ROW LEVEL SECURITY;

CREATE POLICY integration_types_read ON @extschema@.integration_types
  FOR SELECT USING (true);
COMMENT ON POLICY integration_types_read ON @extschema@.integration_types IS
  'Types are not secret: every organisation may see them.';

-- The engine's access to rows of types: in the C edition always the latest version, whatever the isolation level.
CREATE FUNCTION integration_health_private.latest_type(integration_type text)
RETURNS @extschema@.integration_types
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'latest_type';
COMMENT ON FUNCTION integration_health_private.latest_type(text) IS
  'Returns the row of a type as committed now; null when there is none.';

CREATE FUNCTION integration_health_private.lock_type(integration_type text, skip_locked boolean)
RETURNS @extschema@.integration_types
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lock_type';
COMMENT ON FUNCTION integration_health_private.lock_type(text, boolean) IS
  'Locks the row of a type and returns it; null when there is none or, with skip_locked, when somebody else has '
  'locked it.';

CREATE FUNCTION integration_health_private.store_type(type @extschema@.integration_types)
RETURNS @extschema@.integration_types
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'store_type';
COMMENT ON FUNCTION integration_health_private.store_type(@extschema@.integration_types) IS
  'Writes monitoring_mode, the passive_ columns and probes of a type, whose row must be locked, and returns the row '
  'as stored. Errors: 55000 as require_own_triggers, or when a rule or trigger of the site kept the row from being '
  'written.';
