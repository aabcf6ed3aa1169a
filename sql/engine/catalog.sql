-- The PL/pgSQL engine: restoring of integration_types.

-- @before ih_types_trigger
CREATE FUNCTION integration_health_private.hold_type(integration_type text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM @extschema@.integration_types AS t WHERE t.integration_type = hold_type.integration_type) THEN
    -- So that it does not wait for a writer who waits for it.
    LOCK TABLE ONLY @extschema@.integration_types IN SHARE ROW EXCLUSIVE MODE;
    PERFORM set_config('integration_health.writes_types', 'on', true);
    INSERT INTO @extschema@.integration_types (integration_type, display_name, created_at)
    VALUES (hold_type.integration_type, hold_type.integration_type, '-infinity') ON CONFLICT DO NOTHING;
    PERFORM set_config('integration_health.writes_types', '', true);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.hold_type(text) IS
  'Makes sure that the type of a restored row is there: the foreign key asks for it, and pg_restore with several jobs may bring it later. Locks integration_types in SHARE ROW EXCLUSIVE mode where it is not.';

-- @ih_types_trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_RELID <> '@extschema@.integration_types'::regclass THEN
    RAISE EXCEPTION USING ERRCODE = '42809', MESSAGE = format('table "%s" does not hold integration types', TG_TABLE_NAME);
  ELSIF TG_WHEN <> 'BEFORE' OR TG_LEVEL <> 'ROW' OR TG_OP <> 'INSERT' OR TG_NARGS <> 0 THEN
    RAISE EXCEPTION USING ERRCODE = '39P01',
      MESSAGE = 'function "integration_types_trigger" was called for an event it does not serve',
      HINT = 'It is attached by CREATE EXTENSION, and by nobody else.';
  END IF;
  IF NEW.created_at IS NULL THEN
    NEW.created_at := now();
    RETURN NEW;
  END IF;
  -- What this extension writes itself, and a row that was read and is written back, pass.
  IF NEW.integration_type IS NULL OR current_setting('integration_health.writes_types', true) = 'on'
     OR EXISTS (SELECT FROM @extschema@.integration_types AS t
                 WHERE t.integration_type = NEW.integration_type AND t.created_at = NEW.created_at) THEN
    RETURN NEW;
  END IF;
  IF NOT has_table_privilege('@extschema@.integration_types', 'UPDATE')
     OR row_security_active('@extschema@.integration_types') THEN
    IF EXISTS (SELECT FROM @extschema@.integration_types AS t WHERE t.integration_type = NEW.integration_type) THEN
      RAISE EXCEPTION USING ERRCODE = '42501',
        MESSAGE = format('permission denied to replace a row of table "%s"', TG_TABLE_NAME),
        DETAIL = 'A row that brings created_at along is a restored one and replaces another.',
        HINT = 'Leave created_at out.';
    END IF;
    RETURN NEW;
  END IF;

  -- With the caller's rights, and with the columns that a site has added.
  PERFORM set_config('integration_health.writes_types', 'on', true);
  EXECUTE (SELECT 'INSERT INTO @extschema@.integration_types AS t SELECT ($1).* ON CONFLICT (integration_type) DO UPDATE SET '
                  || string_agg(format('%1$I = EXCLUDED.%1$I', a.attname), ', ' ORDER BY a.attnum)
             FROM pg_attribute AS a
            WHERE a.attrelid = TG_RELID AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '')
    USING NEW;
  PERFORM set_config('integration_health.writes_types', '', true);
  RETURN NULL;
END
$$;
