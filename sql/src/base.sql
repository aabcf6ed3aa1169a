-- ---------------------------------------------------------------------------------------------
-- Types, the private schema, and helpers that several parts share
-- ---------------------------------------------------------------------------------------------

CREATE TYPE @extschema@.integration_health_state AS ENUM ('healthy', 'degraded', 'unhealthy', 'unknown');
COMMENT ON TYPE @extschema@.integration_health_state IS
  'Result of a health check: healthy, degraded (works, but slowly or only in part), unhealthy, unknown (could not be '
  'determined).';

CREATE TYPE @extschema@.integration_monitoring_mode AS ENUM ('active', 'passive');
COMMENT ON TYPE @extschema@.integration_monitoring_mode IS
  'active: the monitor checks the external system regularly; passive: the system is left alone except for single '
  'probes, and scheduled syncs are recorded as checks.';

CREATE TYPE @extschema@.integration_sync_outcome AS ENUM ('running', 'succeeded', 'failed');
COMMENT ON TYPE @extschema@.integration_sync_outcome IS 'State of one run of a scheduled sync.';

-- @since 1.1
CREATE TYPE @extschema@.integration_failure_cause AS ENUM (
  'auth', 'rate_limited', 'configuration', 'server', 'timeout', 'dns', 'connect', 'tls', 'other');
-- @end
COMMENT ON TYPE @extschema@.integration_failure_cause IS
  'Why a check failed. By HTTP status: auth (401, 403, 407), rate_limited (429), configuration (other 4xx), server '
  '(5xx). Without a response: dns (the name was not resolved), connect (no connection), tls (no secure one), timeout. '
  'And other.';

CREATE SCHEMA integration_health_private;
COMMENT ON SCHEMA integration_health_private IS
  'Internals of the extension integration_health. Nothing in it is for applications.';

CREATE FUNCTION integration_health_private.version()
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT '@version@'::text;
END;
COMMENT ON FUNCTION integration_health_private.version() IS 'The version of integration_health that is installed.';

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
  'Returns the time that lies hours before now(). Errors: 22023 when hours is null or outside 1 to 720.';

CREATE FUNCTION integration_health_private.days_start(days integer)
RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF days IS NULL OR days NOT BETWEEN 1 AND 90 THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'days must be between 1 and 90',
      HINT = 'Leave the argument out for its default.';
  END IF;
  RETURN now() - make_interval(hours => 24 * days);
END
$$;
COMMENT ON FUNCTION integration_health_private.days_start(integer) IS
  'Returns the time that lies days of 24 hours before now(). Errors: 22023 when days is null or outside 1 to 90.';

CREATE FUNCTION integration_health_private.require_own_triggers(VARIADIC tables regclass[])
RETURNS void
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'require_own_triggers';
COMMENT ON FUNCTION integration_health_private.require_own_triggers(regclass[]) IS
  'Locks the tables in ROW EXCLUSIVE mode; a SECURITY DEFINER function calls it before it writes them. Errors: 55000 '
  'when a table has a rule, when its row-level security binds the current user, or when it has an enabled trigger '
  'whose function belongs to neither the current user nor a superuser, unless the function is in C, or is SECURITY '
  'DEFINER and belongs to the table''s owner.';

CREATE FUNCTION integration_health_private.require_all_rows(VARIADIC tables regclass[])
RETURNS void
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'require_all_rows';
COMMENT ON FUNCTION integration_health_private.require_all_rows(regclass[]) IS
  'Checks that the current user sees all rows of the tables; a SECURITY DEFINER function calls it before it reads the '
  'rows of all organisations. Errors: 55000 when row-level security of one of the tables binds the current user.';

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
  'Checks an argument max_rows. Errors: 22023 when it is null or below 1.';

CREATE FUNCTION integration_health_private.micros(length interval)
RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT (((extract(year FROM length) * 12 + extract(month FROM length)) * 30 + extract(day FROM length)) * 86400000000
          + extract(hour FROM length) * 3600000000 + extract(minute FROM length) * 60000000
          + extract(microseconds FROM length))::bigint;
END;
COMMENT ON FUNCTION integration_health_private.micros(interval) IS
  'Returns the length of an interval in microseconds, with days of 24 hours and months of 30 days, as PostgreSQL '
  'compares intervals. Errors: 22003 when it is longer than 292,000 years.';

CREATE FUNCTION integration_health_private.percentage(part numeric, whole numeric)
RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT CASE WHEN whole > 0 THEN pg_catalog.div(10000 * part, whole) * 0.01 END;
END;
COMMENT ON FUNCTION integration_health_private.percentage(numeric, numeric) IS
  'Returns which percentage of the whole a part is, rounded down to two decimals; null when the whole is 0 or null.';

CREATE FUNCTION integration_health_private.echo(value text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE WHEN pg_catalog.length(value) > 100 THEN "left"(value, 100) || '...' ELSE value END;
END;
COMMENT ON FUNCTION integration_health_private.echo(text) IS
  'Returns as much of a value sent by a caller as an error may repeat: its first 100 characters.';

-- In PL/pgSQL, because it is called for every event: an SQL function that cannot be inlined is planned at every call.
CREATE FUNCTION integration_health_private.utc_text(at timestamptz)
RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  utc timestamp := timezone('UTC', LEAST(at, '75068-04-15 18:40:13.693951 UTC'));
  year integer := extract(year FROM utc);
BEGIN
  RETURN CASE WHEN year > 0 THEN lpad(year::text, GREATEST(4, length(year::text)), '0')
              -- ISO 8601 calls the year before 1 the year 0; extract() returns -1 for it.
              WHEN year >= -1 THEN '0000'
              ELSE '-' || lpad((-1 - year)::text, GREATEST(3, length((-1 - year)::text)), '0') END
         || to_char(utc, '-MM-DD"T"HH24:MI:SS')
         || CASE WHEN extract(microseconds FROM utc) % 1000000 <> 0 THEN to_char(utc, '.US') ELSE '' END || 'Z';
END
$$;
COMMENT ON FUNCTION integration_health_private.utc_text(timestamptz) IS
  'Returns a time in UTC as ISO 8601, with a fraction of a second only where there is one.';

CREATE FUNCTION integration_health_private.utc_day(at timestamptz)
RETURNS date
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT pg_catalog.timezone('UTC', at)::date;
END;
COMMENT ON FUNCTION integration_health_private.utc_day(timestamptz) IS 'Returns the day of a time in UTC.';

CREATE FUNCTION integration_health_private.refuse_intrusion(table_name text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = '55000',
    MESSAGE = format('table "%s" did not accept a row that the extension wrote', table_name),
    HINT = 'Look for a trigger on the table that returns NULL.';
END
$$;
COMMENT ON FUNCTION integration_health_private.refuse_intrusion(text) IS
  'Refuses to go on after a rule or trigger that a site has attached to the table kept a statement from doing its '
  'work. Errors: 55000, always.';

CREATE FUNCTION integration_health_private.refuse_key_change(table_name text, column_name text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = '22023', TABLE = COALESCE(table_name, ''), COLUMN = COALESCE(column_name, ''),
    MESSAGE = format('column "%s" of table "%s" cannot be changed', column_name, table_name),
    HINT = 'Delete the row and insert another.';
END
$$;
COMMENT ON FUNCTION integration_health_private.refuse_key_change(text, text) IS
  'Raises 22023, always: a column of the key of a status row, monitor or schedule was to be changed.';

CREATE FUNCTION integration_health_private.refuse_new_key()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.refuse_key_change(
    TG_TABLE_NAME, CASE WHEN NEW.org_id IS DISTINCT FROM OLD.org_id THEN 'org_id' ELSE 'integration_type' END);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.refuse_new_key() IS
  'Trigger function of monitors and schedules, before an update that changes the key: refuses it. Errors: 22023, '
  'always.';

CREATE FUNCTION integration_health_private.require_trigger(
  function_name text, table_name text, holds text, fired_on oid, argument_count integer, is_supported boolean)
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF argument_count <> 0 THEN
    RAISE EXCEPTION USING ERRCODE = '39P01', MESSAGE = format('function "%s" takes no trigger arguments', function_name);
  ELSIF integration_health_private.logical_table(fired_on) <> integration_health_private.relation(table_name) THEN
    RAISE EXCEPTION USING ERRCODE = '42809',
      MESSAGE = format('table "%s" does not hold %s', (SELECT c.relname FROM pg_class AS c WHERE c.oid = fired_on), holds);
  ELSIF NOT is_supported THEN
    RAISE EXCEPTION USING ERRCODE = '39P01',
      MESSAGE = format('function "%s" was called for an event that it does not support', function_name),
      HINT = 'Only CREATE EXTENSION attaches it.';
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_trigger(text, text, text, oid, integer, boolean) IS
  'Guards a SECURITY DEFINER trigger function of the API: raises 39P01 when its trigger has arguments, or fires for an '
  'event that it does not support, and 42809 when it is on another table than table_name, which holds what the error '
  'says.';

CREATE FUNCTION integration_health_private.require_arguments(names text[], are_null boolean[])
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF array_position(are_null, true) IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023',
      MESSAGE = format('%s must not be null', names[array_position(are_null, true)]);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_arguments(text[], boolean[]) IS
  'Checks that none of the named arguments is null. Errors: 22023, naming the first one that is.';

CREATE FUNCTION integration_health_private.send_event(event text)
RETURNS void
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'send_event';
COMMENT ON FUNCTION integration_health_private.send_event(text) IS
  'Sends an event, a JSON object, on the channel integration_health at commit, unless integration_health.notify is '
  'off. Any role that can log in may listen, so an event contains no error texts and nothing longer than a URL.';
