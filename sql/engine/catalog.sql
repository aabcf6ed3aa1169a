-- The PL/pgSQL engine: rows of integration_types, as the transaction's snapshot shows them.

-- @lock_type
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  type @extschema@.integration_types;
BEGIN
  IF skip_locked THEN
    SELECT t.* INTO type FROM @extschema@.integration_types AS t
     WHERE t.integration_type = lock_type.integration_type FOR NO KEY UPDATE SKIP LOCKED;
  ELSE
    SELECT t.* INTO type FROM @extschema@.integration_types AS t
     WHERE t.integration_type = lock_type.integration_type FOR NO KEY UPDATE;
  END IF;
  RETURN type;
END
$$;

-- @store_type
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  stored @extschema@.integration_types;
BEGIN
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_types'::regclass]);
  UPDATE @extschema@.integration_types AS t
     SET monitoring_mode = type.monitoring_mode, passive_since = type.passive_since, passive_reason = type.passive_reason,
         passive_until = type.passive_until, probes = type.probes
   WHERE t.integration_type = type.integration_type
  RETURNING t.* INTO stored;
  IF NOT FOUND THEN
    PERFORM integration_health_private.refuse_intrusion('integration_types');
  END IF;
  RETURN stored;
END
$$;

-- @latest_type
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  type @extschema@.integration_types;
BEGIN
  SELECT t.* INTO type FROM @extschema@.integration_types AS t WHERE t.integration_type = latest_type.integration_type;
  RETURN type;
END
$$;
