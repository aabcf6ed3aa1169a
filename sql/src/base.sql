-- ---------------------------------------------------------------------------------------------
-- Types, the schema of what is no API, and the check of an argument that several reports have
-- ---------------------------------------------------------------------------------------------

CREATE TYPE @extschema@.integration_health_state AS ENUM ('healthy', 'degraded', 'unhealthy', 'unknown');
COMMENT ON TYPE @extschema@.integration_health_state IS
  'Result of a health check: healthy, degraded (works, but slowly or in part), unhealthy, unknown (nobody could tell).';

CREATE TYPE @extschema@.integration_monitoring_mode AS ENUM ('active', 'passive');
COMMENT ON TYPE @extschema@.integration_monitoring_mode IS
  'active: the monitor probes the external system; passive: it does not, only scheduled syncs tell.';

CREATE TYPE @extschema@.integration_sync_outcome AS ENUM ('running', 'succeeded', 'failed');
COMMENT ON TYPE @extschema@.integration_sync_outcome IS
  'State of one run of a scheduled sync.';

CREATE SCHEMA integration_health_private;
COMMENT ON SCHEMA integration_health_private IS
  'What extension integration_health keeps to itself. Nothing in it is for applications.';

CREATE FUNCTION integration_health_private.window_start(hours integer)
RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF hours IS NULL OR hours NOT BETWEEN 1 AND 720 THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'hours must be between 1 and 720',
      HINT = 'Leave the argument out for the last 24 hours.';
  END IF;
  RETURN now() - make_interval(hours => hours);
END
$$;
COMMENT ON FUNCTION integration_health_private.window_start(integer) IS
  'The time that lies hours before now(). Errors: 22023 hours is null or outside 1 to 720.';

CREATE FUNCTION integration_health_private.require_own_triggers(VARIADIC tables regclass[])
RETURNS void
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'require_own_triggers';
COMMENT ON FUNCTION integration_health_private.require_own_triggers(regclass[]) IS
  'Locks the tables in ROW EXCLUSIVE mode. To be called by a SECURITY DEFINER function before it writes them. Errors: 55000 one of them has a rule, or an enabled trigger whose function belongs to neither the present user nor a superuser, or row-level security that binds the present user.';

CREATE FUNCTION integration_health_private.require_all_rows(VARIADIC tables regclass[])
RETURNS void
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'require_all_rows';
COMMENT ON FUNCTION integration_health_private.require_all_rows(regclass[]) IS
  'To be called by a SECURITY DEFINER function before it reads the rows of all organisations. Errors: 55000 row-level security of one of the tables binds the present user.';

CREATE FUNCTION integration_health_private.require_max_rows(max_rows integer)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF max_rows IS NULL OR max_rows < 1 THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'max_rows must be at least 1',
      HINT = 'Leave the argument out for its default.';
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_max_rows(integer) IS
  'Errors: 22023 max_rows is null or below 1.';
