-- integration_health 1.2, the trusted edition, assembled by make from sql/src and sql/engine: one migration for
-- supabase/migrations, or for psql. It needs neither an extension nor a superuser: its owner is a role that may create
-- schemas in the database and objects in the schema of the API, and that has BYPASSRLS, like postgres on Supabase.

-- ---------------------------------------------------------------------------------------------
-- Types, the private schema, and helpers that several parts share
-- ---------------------------------------------------------------------------------------------

CREATE TYPE public.integration_health_state AS ENUM ('healthy', 'degraded', 'unhealthy', 'unknown');
COMMENT ON TYPE public.integration_health_state IS
  'Result of a health check: healthy, degraded (works, but slowly or only in part), unhealthy, unknown (could not be '
  'determined).';

CREATE TYPE public.integration_monitoring_mode AS ENUM ('active', 'passive');
COMMENT ON TYPE public.integration_monitoring_mode IS
  'active: the monitor checks the external system regularly; passive: the system is left alone except for single '
  'probes, and scheduled syncs are recorded as checks.';

CREATE TYPE public.integration_sync_outcome AS ENUM ('running', 'succeeded', 'failed');
COMMENT ON TYPE public.integration_sync_outcome IS 'State of one run of a scheduled sync.';

CREATE TYPE public.integration_failure_cause AS ENUM (
  'auth', 'rate_limited', 'configuration', 'server', 'timeout', 'dns', 'connect', 'tls', 'other');
COMMENT ON TYPE public.integration_failure_cause IS
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
  SELECT '1.2'::text;
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

CREATE TABLE integration_health_private.settings (
  is_only     boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  org_claims  text,
  role_claims text,
  admin_role  text CONSTRAINT admin_role_is_not_empty CHECK (admin_role <> ''),
  max_drift   interval CONSTRAINT max_drift_is_at_most_a_day CHECK (max_drift >= interval '0' AND max_drift <= interval '1 day'),
  notify      boolean,
  CONSTRAINT org_claims_are_paths
    CHECK (org_claims ~ '^\s*[^.,\s]{1,63}(\.[^.,\s]{1,63}){0,3}\s*(,\s*[^.,\s]{1,63}(\.[^.,\s]{1,63}){0,3}\s*)*$'),
  CONSTRAINT role_claims_are_paths
    CHECK (role_claims ~ '^\s*[^.,\s]{1,63}(\.[^.,\s]{1,63}){0,3}\s*(,\s*[^.,\s]{1,63}(\.[^.,\s]{1,63}){0,3}\s*)*$'),
  CONSTRAINT claims_are_not_what_users_edit
    CHECK (pg_catalog.concat_ws(',', org_claims, role_claims) !~ '(^|[.,\s])(user_metadata|raw_user_meta_data)([.,\s]|$)')
);
COMMENT ON TABLE integration_health_private.settings IS
  'The settings, in one row at most; a null, or a missing row, stands for the defaults. For the owner.';
COMMENT ON COLUMN integration_health_private.settings.is_only IS 'Key: always true, so that there is at most one row.';
COMMENT ON COLUMN integration_health_private.settings.org_claims IS
  'Paths in request.jwt.claims that name the caller''s organisations, separated by commas; only the first that exists '
  'counts. Default: app_metadata.org_id, org_id.';
COMMENT ON COLUMN integration_health_private.settings.role_claims IS
  'Paths in request.jwt.claims that name the caller''s roles in the application, separated by commas; all of them '
  'count. Default: app_metadata.role, user_role, role.';
COMMENT ON COLUMN integration_health_private.settings.admin_role IS
  'Application role that may see all organisations together. Default: global_admin.';
COMMENT ON COLUMN integration_health_private.settings.max_drift IS
  'How long after its time a sync may start before it counts as late, 0 to 1 day. Default: 5 minutes.';
COMMENT ON COLUMN integration_health_private.settings.notify IS
  'Whether events are sent with NOTIFY on the channel integration_health. Default: true.';
ALTER TABLE integration_health_private.settings ENABLE ROW LEVEL SECURITY;

CREATE FUNCTION integration_health_private.setting(
  OUT org_claims text, OUT role_claims text, OUT admin_role text, OUT max_drift interval, OUT notify boolean)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT COALESCE(s.org_claims, 'app_metadata.org_id, org_id'),
         COALESCE(s.role_claims, 'app_metadata.role, user_role, role'),
         COALESCE(s.admin_role, 'global_admin'),
         COALESCE(s.max_drift, interval '5 minutes'),
         COALESCE(s.notify, true)
    FROM (VALUES (true)) AS always (is_only)
    LEFT JOIN integration_health_private.settings s ON s.is_only = always.is_only;
END;
COMMENT ON FUNCTION integration_health_private.setting() IS
  'Returns the settings, with the default of each that is not set.';

-- These two settings restrict nobody, so a session may set its own values, as in the C edition.
CREATE FUNCTION integration_health_private.max_drift()
RETURNS interval
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN COALESCE(NULLIF(current_setting('integration_health.max_drift', true), '')::interval,
                  (SELECT s.max_drift FROM integration_health_private.setting() AS s));
END
$$;
COMMENT ON FUNCTION integration_health_private.max_drift() IS
  'Returns how long after its time a sync may start before it counts as late: integration_health.max_drift if the '
  'session has set it, otherwise the value in the settings. Errors: 22007 when the session''s value is not an '
  'interval.';

CREATE FUNCTION integration_health_private.sends_events()
RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN COALESCE(NULLIF(current_setting('integration_health.notify', true), '')::boolean,
                  (SELECT s.notify FROM integration_health_private.setting() AS s));
END
$$;
COMMENT ON FUNCTION integration_health_private.sends_events() IS
  'Returns whether events are sent: integration_health.notify if the session has set it, otherwise the value in the '
  'settings. Errors: 22P02 when the session''s value is not a boolean.';

CREATE FUNCTION integration_health_private.require_own_triggers(VARIADIC tables regclass[])
RETURNS void
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  written regclass;
  name text;
  kind "char";
  has_rules boolean;
  has_triggers boolean;
  intruder record;
BEGIN
  FOREACH written IN ARRAY tables LOOP
    IF written IS NULL THEN
      RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'a table must not be null';
    END IF;
    -- From here to the end of the transaction nobody can attach a rule or a trigger.
    EXECUTE format('LOCK TABLE ONLY %s IN ROW EXCLUSIVE MODE', written);
    SELECT c.relname, c.relkind, c.relhasrules, c.relhastriggers INTO name, kind, has_rules, has_triggers
      FROM pg_class AS c WHERE c.oid = written;
    IF kind = 'p' THEN
      PERFORM integration_health_private.require_own_triggers(
        VARIADIC ARRAY(SELECT integration_health_private.partitions_of(written)));
    END IF;
    IF has_rules AND EXISTS (SELECT FROM pg_rewrite AS r WHERE r.ev_class = written) THEN
      RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = format('table "%s" has a rule', name),
        DETAIL = 'A rule would run with the rights of the table''s owner.', HINT = 'Drop the rule.', TABLE = name;
    END IF;
    IF has_triggers THEN
      SELECT g.tgname AS trigger, o.rolname AS owner INTO intruder
        FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid JOIN pg_roles AS o ON o.oid = p.proowner
       WHERE g.tgrelid = written AND NOT g.tgisinternal AND g.tgenabled <> 'D'
         AND o.rolname <> current_user AND NOT o.rolsuper
         AND NOT (p.prosecdef AND p.proowner = (SELECT c.relowner FROM pg_class AS c WHERE c.oid = written))
       ORDER BY g.tgname LIMIT 1;
      IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '55000',
          MESSAGE = format('trigger "%s" of table "%s" would run with the rights of the table''s owner', intruder.trigger, name),
          DETAIL = format('Its function belongs to role "%s", but the table is written as role "%s".',
                          intruder.owner, current_user),
          HINT = 'Drop the trigger, or give its function to the owner of the table.', TABLE = name;
      END IF;
    END IF;
    PERFORM integration_health_private.require_all_rows(written);
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_own_triggers(regclass[]) IS
  'Locks the tables in ROW EXCLUSIVE mode; a SECURITY DEFINER function calls it before it writes them. Errors: 55000 '
  'when a table has a rule, when its row-level security binds the current user, or when it has an enabled trigger '
  'whose function belongs to neither the current user nor a superuser, unless the function is in C, or is SECURITY '
  'DEFINER and belongs to the table''s owner.';

CREATE FUNCTION integration_health_private.require_all_rows(VARIADIC tables regclass[])
RETURNS void
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  read regclass;
BEGIN
  FOREACH read IN ARRAY tables LOOP
    IF read IS NULL THEN
      RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'a table must not be null';
    END IF;
    IF row_security_active(read) THEN
      RAISE EXCEPTION USING ERRCODE = '55000',
        MESSAGE = format('row-level security of table "%s" applies to role "%s"',
                         (SELECT c.relname FROM pg_class AS c WHERE c.oid = read), current_user),
        HINT = 'Give the role BYPASSRLS, or ALTER TABLE ... NO FORCE ROW LEVEL SECURITY.';
    END IF;
  END LOOP;
END
$$;
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
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF integration_health_private.sends_events() THEN
    PERFORM pg_notify('integration_health', event);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.send_event(text) IS
  'Sends an event, a JSON object, on the channel integration_health at commit, unless integration_health.notify is '
  'off. Any role that can log in may listen, so an event contains no error texts and nothing longer than a URL.';

-- ---------------------------------------------------------------------------------------------
-- Partitions: on a big server, the tables of what is kept about pairs are partitioned by a hash of org_id, all of them into
-- the same partitions. These are in this schema, and nobody but their owner has a right on them, since statements name the
-- tables. Each table is created plain, and partitioned before anything refers to it.
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.partitions_of(of_table regclass)
RETURNS SETOF regclass
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT i.inhrelid::regclass FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
   WHERE i.inhparent = of_table AND c.relispartition
   ORDER BY i.inhrelid;
END;
COMMENT ON FUNCTION integration_health_private.partitions_of(regclass) IS
  'Returns the partitions of a table; none when it is not partitioned.';

CREATE FUNCTION integration_health_private.logical_table(part oid)
RETURNS regclass
LANGUAGE sql STABLE STRICT
BEGIN ATOMIC
  SELECT COALESCE((SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
                    WHERE i.inhrelid = part AND c.relispartition), part)::regclass;
END;
COMMENT ON FUNCTION integration_health_private.logical_table(oid) IS
  'Returns the table that statements name when they mean this one: its parent, if it is a partition, or the table that Citus '
  'has distributed, if it is a shard of that, or itself.';


CREATE FUNCTION integration_health_private.partitions()
RETURNS SETOF regclass
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT c.oid::regclass FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = 'integration_health_private' AND c.relispartition AND c.relkind = 'r';
END;
COMMENT ON FUNCTION integration_health_private.partitions() IS 'Returns the partitions of all tables.';

CREATE FUNCTION integration_health_private.wanted_partitions()
RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wanted text := COALESCE(NULLIF(current_setting('integration_health.partitions', true), ''), '0');
BEGIN
  IF wanted !~ '^[0-9]{1,4}$' OR wanted::integer > 1024 THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'integration_health.partitions must be between 0 and 1024',
      HINT = 'Choose 32 for some ten million pairs, and 0 for plain tables.';
  END IF;
  RETURN wanted::integer;
END
$$;
COMMENT ON FUNCTION integration_health_private.wanted_partitions() IS
  'Returns the setting integration_health.partitions; 0, for none, when it is not set. Errors: 22023 when it is not a number '
  'from 0 to 1024.';

CREATE FUNCTION integration_health_private.partition_table(created regclass)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  table_name name;
  table_schema name;
  options text;
  keys text[];
  key text;
  partitions integer;
  part text;
BEGIN
  SELECT c.relname, n.nspname, COALESCE('WITH (' || array_to_string(c.reloptions, ', ') || ')', '')
    INTO table_name, table_schema, options
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = created;
  IF table_name = 'integration_health_status' THEN
    partitions := integration_health_private.wanted_partitions();
  ELSE
    SELECT count(*) INTO partitions
      FROM integration_health_private.partitions_of(format('%I.integration_health_status', table_schema)::regclass);
  END IF;
  IF partitions = 0 THEN
    RETURN;
  END IF;

  keys := ARRAY(SELECT format('ADD CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)) FROM pg_constraint AS k
                 WHERE k.conrelid = created AND k.contype IN ('p', 'f') ORDER BY k.contype DESC);
  EXECUTE format('ALTER TABLE %s RENAME TO %I', created, table_name || '_plain');
  EXECUTE format('CREATE TABLE %I.%I (LIKE %s INCLUDING ALL EXCLUDING INDEXES) PARTITION BY HASH (org_id)',
                 table_schema, table_name, created);
  EXECUTE format('DROP TABLE %s', created);
  FOREACH key IN ARRAY keys LOOP
    EXECUTE format('ALTER TABLE %I.%I %s', table_schema, table_name, key);
  END LOOP;
  FOR remainder IN 0 .. partitions - 1 LOOP
    part := format('integration_health_private.%I', table_name || '_p' || remainder);
    EXECUTE format('CREATE TABLE %s PARTITION OF %I.%I FOR VALUES WITH (MODULUS %s, REMAINDER %s) %s',
                   part, table_schema, table_name, partitions, remainder, options);
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', part);
    EXECUTE format('COMMENT ON TABLE %s IS %L', part, 'A partition of ' || table_name || '.');
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.partition_table(regclass) IS
  'Replaces a table that has just been created, and has rows of pairs, by a partitioned one, if integration_health_status is '
  'partitioned, or is the table and is to be. Errors: 22023 as wanted_partitions.';

-- Rows have the same triggers in a partition as in the table, but a statement that names a partition has only that one's.
CREATE FUNCTION integration_health_private.complete_partitions()
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  missing record;
BEGIN
  FOR missing IN
    SELECT g.oid, g.tgrelid::regclass AS of_table, p AS part
      FROM integration_health_private.objects() AS o (object)
      JOIN pg_trigger AS g ON g.tgrelid = to_regclass(substring(o.object, '^TABLE (.*)'))
     CROSS JOIN integration_health_private.partitions_of(g.tgrelid) AS p
     -- The bits for row level (1) and TRUNCATE (32).
     WHERE g.tgtype & 33 = 0 AND NOT EXISTS (SELECT FROM pg_trigger AS x WHERE x.tgrelid = p AND x.tgname = g.tgname)
  LOOP
    EXECUTE replace(pg_get_triggerdef(missing.oid), format(' ON %s ', missing.of_table), format(' ON %s ', missing.part));
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.complete_partitions() IS
  'Gives partitions the triggers for statements that their tables have.';

-- ---------------------------------------------------------------------------------------------
-- Access: the claims of the caller, for row-level security
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.read_claims(OUT claims jsonb, OUT problem text, OUT detail text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  given text := current_setting('request.jwt.claims', true);
BEGIN
  IF given IS NULL OR given = '' THEN
    RETURN;
  END IF;
  claims := given;
  IF jsonb_typeof(claims) <> 'object' THEN
    claims := NULL;
    problem := 'request.jwt.claims is not a JSON object';
  END IF;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
  problem := 'request.jwt.claims is not valid JSON';
  detail := "left"(SQLERRM, 100);
END
$$;
COMMENT ON FUNCTION integration_health_private.read_claims() IS
  'Returns the JSON object in request.jwt.claims, null when there is none; problem and detail say why it cannot be '
  'read.';

CREATE FUNCTION integration_health_private.claim_paths(paths text)
RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT pg_catalog.regexp_split_to_table(pg_catalog.btrim(paths, E' \t\n\r'), '\s*,\s*');
END;
COMMENT ON FUNCTION integration_health_private.claim_paths(text) IS 'Returns the paths in a setting, in order.';

CREATE FUNCTION integration_health_private.claim_at(
  claims jsonb, path text, OUT is_there boolean, OUT strings text[], OUT problem text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  value jsonb := claims;
  key text;
BEGIN
  is_there := false;
  FOREACH key IN ARRAY string_to_array(path, '.') LOOP
    IF jsonb_typeof(value) <> 'object' THEN
      RETURN;
    END IF;
    value := value -> key;
    IF value IS NULL OR jsonb_typeof(value) = 'null' THEN
      RETURN;
    END IF;
  END LOOP;
  is_there := true;
  IF jsonb_typeof(value) = 'string' THEN
    strings := ARRAY[value #>> '{}'];
  ELSIF jsonb_typeof(value) = 'array'
        AND NOT EXISTS (SELECT FROM jsonb_array_elements(value) AS e WHERE jsonb_typeof(e) <> 'string') THEN
    strings := ARRAY(SELECT jsonb_array_elements_text(value));
  ELSE
    problem := format('claim "%s" in request.jwt.claims is neither a string nor an array of strings', key);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.claim_at(jsonb, text) IS
  'Returns the strings in the claim at a path of keys. is_there is false for a claim that is null; problem is set for '
  'one that is neither a string nor an array of strings.';

CREATE FUNCTION integration_health_private.claimed_orgs(OUT orgs uuid[], OUT problem text, OUT detail text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  document record;
  claim record;
  path text;
BEGIN
  orgs := '{}';
  SELECT * INTO document FROM integration_health_private.read_claims();
  problem := document.problem;
  detail := document.detail;
  IF document.claims IS NULL THEN
    RETURN;
  END IF;
  FOR path IN SELECT integration_health_private.claim_paths(s.org_claims) FROM integration_health_private.setting() AS s LOOP
    SELECT * INTO claim FROM integration_health_private.claim_at(document.claims, path);
    IF claim.is_there THEN
      problem := claim.problem;
      IF problem IS NULL THEN
        orgs := claim.strings::uuid[];
      END IF;
      RETURN;
    END IF;
  END LOOP;
EXCEPTION WHEN data_exception THEN
  problem := 'an organisation in request.jwt.claims is not a UUID';
  detail := "left"(SQLERRM, 100);
END
$$;
COMMENT ON FUNCTION integration_health_private.claimed_orgs() IS
  'Returns the organisations that request.jwt.claims names; none when there is a problem.';

CREATE FUNCTION public.integration_health_org_ids()
RETURNS uuid[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT c.orgs FROM integration_health_private.claimed_orgs() AS c);
END
$$;
COMMENT ON FUNCTION public.integration_health_org_ids() IS
  'Returns the organisations that the claims in request.jwt.claims name: the value of the first path in '
  'integration_health.org_claims that exists, a string or an array of strings. Empty without claims, and when they '
  'cannot be read or a value is not a UUID: policies call this function, and an error would reveal which rows exist.';

CREATE FUNCTION integration_health_private.raise_problem(problem text, detail text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF problem IS NOT NULL AND detail IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = problem, DETAIL = detail;
  ELSIF problem IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = problem;
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.raise_problem(text, text) IS
  'Raises a problem as an error, if there is one. Errors: 22023, with the problem as its message.';

CREATE FUNCTION public.integration_health_can_read(org_id uuid)
RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  caller record;
BEGIN
  SELECT * INTO caller FROM integration_health_private.claimed_orgs();
  PERFORM integration_health_private.raise_problem(caller.problem, caller.detail);
  RETURN org_id IS NOT NULL
         AND (NOT row_security_active('public.integration_health_status') OR org_id = ANY (caller.orgs));
END
$$;
COMMENT ON FUNCTION public.integration_health_can_read(uuid) IS
  'Returns whether the caller may see the organisation org_id: the claims name it, or row-level security does not '
  'apply to the caller. False for null. Errors: 22023 when request.jwt.claims cannot be read, for any caller.';


CREATE FUNCTION public.integration_health_uncounted(org_id uuid)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  -- The planner expects each of these conditions to hold for one row in 200, whatever the column contains.
  SELECT pg_catalog.uuid_cmp(org_id, org_id) = 0 AND -pg_catalog.uuid_cmp(org_id, org_id) = 0
         AND pg_catalog.abs(pg_catalog.uuid_cmp(org_id, org_id)) = 0 AND pg_catalog.uuid_cmp(org_id, org_id) * 2 = 0;
END;
COMMENT ON FUNCTION public.integration_health_uncounted(uuid) IS
  'Returns true. The policies call it so that the planner''s estimates reveal nothing about rows that the caller may '
  'not see.';

CREATE FUNCTION integration_health_private.require_claims()
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.raise_problem(c.problem, c.detail)
     FROM integration_health_private.claimed_orgs() AS c;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_claims() IS
  'Checks the claims before a report reads anything. Errors: 22023 when request.jwt.claims cannot be read: it is not '
  'a JSON object, is nested too deeply, or names an organisation that is not a UUID.';

CREATE FUNCTION integration_health_private.require_admin_role()
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  document record;
  claim record;
  setting record;
  path text;
  example text;
  key text;
  is_admin boolean := false;
BEGIN
  SELECT * INTO document FROM integration_health_private.read_claims();
  SELECT * INTO setting FROM integration_health_private.setting();
  IF document.claims IS NOT NULL THEN
    -- A claim that cannot be read is an error if it comes before the one that names the role; later ones are not read.
    FOR path IN SELECT integration_health_private.claim_paths(setting.role_claims) LOOP
      SELECT * INTO claim FROM integration_health_private.claim_at(document.claims, path);
      document.problem := COALESCE(claim.problem, document.problem);
      is_admin := COALESCE(setting.admin_role = ANY (claim.strings), false);
      EXIT WHEN is_admin;
    END LOOP;
  END IF;
  PERFORM integration_health_private.raise_problem(document.problem, document.detail);
  IF NOT is_admin THEN
    example := to_json(setting.admin_role);
    FOR key IN SELECT k FROM integration_health_private.claim_paths(setting.role_claims) WITH ORDINALITY AS p (path, place),
                             unnest(string_to_array(p.path, '.')) WITH ORDINALITY AS u (k, depth)
                WHERE p.place = 1 ORDER BY u.depth DESC LOOP
      example := '{' || to_json(key) || ':' || example || '}';
    END LOOP;
    RAISE EXCEPTION USING ERRCODE = '42501',
      MESSAGE = format('permission denied: role %s is required', setting.admin_role),
      HINT = format('A claim in request.jwt.claims must name it: %s. '
                    'In psql: SELECT set_config(''request.jwt.claims'', %L, false).',
                    setting.role_claims, example);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_admin_role() IS
  'Checks that the caller is a global admin, before a report on all organisations reads anything. Errors: 42501 '
  'unless a claim at one of the paths in integration_health.role_claims names integration_health.admin_role, 22023 '
  'when request.jwt.claims cannot be read.';

CREATE FUNCTION integration_health_private.readable_since(hours integer)
RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_claims();
  RETURN integration_health_private.window_start(hours);
END
$$;
COMMENT ON FUNCTION integration_health_private.readable_since(integer) IS
  'Calls require_claims, then window_start: for reports that read with the rights of their caller. Errors: 22023 for '
  'malformed claims, or when hours is null or outside 1 to 720.';

CREATE FUNCTION integration_health_private.readable_since_days(days integer)
RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_claims();
  RETURN integration_health_private.days_start(days);
END
$$;
COMMENT ON FUNCTION integration_health_private.readable_since_days(integer) IS
  'Calls require_claims, then days_start: for reports that read with the rights of their caller. Errors: 22023 for '
  'malformed claims, or when days is null or outside 1 to 90.';

CREATE FUNCTION integration_health_private.claimed_subject()
RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_claims();
  RETURN "left"(NULLIF(current_setting('request.jwt.claims', true), '')::json ->> 'sub', 200);
EXCEPTION WHEN untranslatable_character THEN
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.claimed_subject() IS
  'Returns sub of the claims of the caller (RFC 7519, section 4.1.2), at most 200 characters of it; null when there is '
  'none, or PostgreSQL cannot hold it. Errors: 22023 as require_claims.';

-- ---------------------------------------------------------------------------------------------
-- Kept samples: figures of the metrics that cannot be read at each scrape in a time that does not grow with the number of
-- pairs. The watch measures them, and each job notes when it was last done.
-- ---------------------------------------------------------------------------------------------

-- Not dumped: the next run of the jobs measures again.
CREATE TABLE integration_health_private.kept_samples (
  metric text COLLATE pg_catalog."C" NOT NULL,
  labels jsonb NOT NULL,
  value  double precision NOT NULL,
  PRIMARY KEY (metric, labels)
) WITH (fillfactor = 50);
ALTER TABLE integration_health_private.kept_samples ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE integration_health_private.kept_samples IS
  'Samples that get_health_metric_samples returns as they are. Written by the jobs of the extension.';
COMMENT ON COLUMN integration_health_private.kept_samples.metric IS 'Name of the metric.';
COMMENT ON COLUMN integration_health_private.kept_samples.labels IS 'Its labels, an object of strings.';
COMMENT ON COLUMN integration_health_private.kept_samples.value IS 'The value when it was last measured.';

-- A job that is run in two sessions at once waits for nobody: one of them notes it. Above READ COMMITTED a row that another
-- run has changed would cause a serialization failure.
CREATE FUNCTION integration_health_private.note_job(job_name text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  name CONSTANT text := 'integration_health_job_last_success_timestamp_seconds';
  label CONSTANT jsonb := jsonb_build_object('job_name', job_name);
  moment CONSTANT double precision := extract(epoch FROM clock_timestamp());
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RETURN false;
  END IF;
  PERFORM integration_health_private.require_own_triggers('integration_health_private.kept_samples');
  PERFORM FROM integration_health_private.kept_samples AS k
    WHERE k.metric = name AND k.labels = label FOR UPDATE SKIP LOCKED;
  IF FOUND THEN
    UPDATE integration_health_private.kept_samples AS k SET value = moment WHERE k.metric = name AND k.labels = label;
    RETURN true;
  END IF;
  -- It is locked, or not there yet. An INSERT waits for who has locked the row, or is inserting it in a first run.
  IF EXISTS (SELECT FROM integration_health_private.kept_samples AS k WHERE k.metric = name AND k.labels = label)
     OR NOT pg_try_advisory_xact_lock('integration_health_private.kept_samples'::regclass::oid::bigint) THEN
    RETURN false;
  END IF;
  INSERT INTO integration_health_private.kept_samples AS k (metric, labels, value) VALUES (name, label, moment)
      ON CONFLICT (metric, labels) DO NOTHING;
  RETURN FOUND;
END
$$;
COMMENT ON FUNCTION integration_health_private.note_job(text) IS
  'Notes that the work of a job is done, if the transaction commits, and returns true; false, and nothing is noted, when '
  'another transaction is doing the same work, or above READ COMMITTED. Errors: 55000 as require_own_triggers.';

-- ---------------------------------------------------------------------------------------------
-- Catalogue: the kinds of external system
-- ---------------------------------------------------------------------------------------------

CREATE TABLE public.integration_types (
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  display_name     text NOT NULL,
  check_interval   interval NOT NULL DEFAULT '15 minutes',
  max_backoff      interval NOT NULL DEFAULT '24 hours',
  monitoring_mode  public.integration_monitoring_mode NOT NULL DEFAULT 'active',
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
COMMENT ON TABLE public.integration_types IS
  'The kinds of external system. Seeded with xledger and dynamics; sites add and edit rows.';
COMMENT ON COLUMN public.integration_types.integration_type IS
  'Key: a lower-case identifier of at most 63 characters.';
COMMENT ON COLUMN public.integration_types.display_name IS 'Name to show to people.';
COMMENT ON COLUMN public.integration_types.check_interval IS
  'Time between two checks of a pair in active mode; 15 minutes to 366 days.';
COMMENT ON COLUMN public.integration_types.max_backoff IS
  'Longest wait between two checks of a failing pair, or before a rate-limited type is probed; check_interval to 366 '
  'days.';
COMMENT ON COLUMN public.integration_types.monitoring_mode IS
  'active: pairs are checked every check_interval; passive: one pair is probed after passive_until, and none while '
  'that is null.';
COMMENT ON COLUMN public.integration_types.passive_since IS
  'When the type went passive; null in active mode.';
COMMENT ON COLUMN public.integration_types.passive_reason IS
  'Why the type went passive; null in active mode.';
COMMENT ON COLUMN public.integration_types.passive_until IS
  'When a passive type is probed next: after the time that the external system asked for (Retry-After), at most '
  'max_backoff; if it asked for none, after check_interval, doubled with each probe. Null: never. Claims wait for '
  'this time in active mode, too.';
COMMENT ON COLUMN public.integration_types.probes IS
  'Number of probes handed out since the type went passive. Maintained by claims.';
COMMENT ON COLUMN public.integration_types.planned_since IS
  'When the type last became active again, or its intervals were shortened; null if neither has happened. No check is '
  'expected before this time. Maintained by a trigger.';
COMMENT ON COLUMN public.integration_types.created_at IS
  'When the row was created. Filled by a trigger: a row inserted with a value is a restored one, and replaces the '
  'seed of the same key.';
COMMENT ON COLUMN public.integration_types.failure_threshold IS
  'Number of failures in a row, 1 to 20, that make an incident of a pair; 1 is enough for cause auth.';
COMMENT ON COLUMN public.integration_types.success_threshold IS
  'Number of healthy or degraded checks in a row, 1 to 20, that resolve an incident of a pair.';

CREATE FUNCTION integration_health_private.has_type(of_type text)
RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT EXISTS (SELECT FROM public.integration_types t WHERE t.integration_type = has_type.of_type);
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
  SELECT pg_catalog.string_agg(t.integration_type, ', ' ORDER BY t.integration_type) FROM public.integration_types t;
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
  INSERT INTO public.integration_types (integration_type, display_name, created_at)
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

CREATE FUNCTION public.integration_types_trigger()
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
COMMENT ON FUNCTION public.integration_types_trigger() IS
  'Trigger function of integration_types, before an insert: stamps created_at. A row that already has it is a '
  'restored one, and replaces the seed of its key. Errors: 39P01 when not called by its trigger, 42809 when called '
  'for another table, 42501 when the caller may not replace that row.';

CREATE TRIGGER zz_integration_types_stamp
  BEFORE INSERT ON public.integration_types
  FOR EACH ROW EXECUTE FUNCTION public.integration_types_trigger();
COMMENT ON TRIGGER zz_integration_types_stamp ON public.integration_types IS
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
  BEFORE UPDATE ON public.integration_types
  FOR EACH ROW EXECUTE FUNCTION integration_health_private.plan_type();
COMMENT ON TRIGGER zz_integration_types_plan ON public.integration_types IS
  'Keeps planned_since, probes and the passive_ columns consistent with the mode and the intervals.';

INSERT INTO public.integration_types (integration_type, display_name)
VALUES ('xledger', 'Xledger'), ('dynamics', 'Microsoft Dynamics 365');

ALTER TABLE public.integration_types ENABLE ROW LEVEL SECURITY;

CREATE POLICY integration_types_read ON public.integration_types
  FOR SELECT USING (true);
COMMENT ON POLICY integration_types_read ON public.integration_types IS
  'Types are not secret: every organisation may see them.';

-- The engine's access to rows of types: in the C edition always the latest version, whatever the isolation level.
CREATE FUNCTION integration_health_private.latest_type(integration_type text)
RETURNS public.integration_types
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  type public.integration_types;
BEGIN
  SELECT t.* INTO type FROM public.integration_types AS t WHERE t.integration_type = latest_type.integration_type;
  RETURN type;
END
$$;
COMMENT ON FUNCTION integration_health_private.latest_type(text) IS
  'Returns the row of a type as committed now; null when there is none.';

CREATE FUNCTION integration_health_private.lock_type(integration_type text, skip_locked boolean)
RETURNS public.integration_types
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  type public.integration_types;
BEGIN
  IF skip_locked THEN
    SELECT t.* INTO type FROM public.integration_types AS t
     WHERE t.integration_type = lock_type.integration_type FOR NO KEY UPDATE SKIP LOCKED;
  ELSE
    SELECT t.* INTO type FROM public.integration_types AS t
     WHERE t.integration_type = lock_type.integration_type FOR NO KEY UPDATE;
  END IF;
  RETURN type;
END
$$;
COMMENT ON FUNCTION integration_health_private.lock_type(text, boolean) IS
  'Locks the row of a type and returns it; null when there is none or, with skip_locked, when somebody else has '
  'locked it.';

CREATE FUNCTION integration_health_private.store_type(type public.integration_types)
RETURNS public.integration_types
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  stored public.integration_types;
BEGIN
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_types'::regclass]);
  UPDATE public.integration_types AS t
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
COMMENT ON FUNCTION integration_health_private.store_type(public.integration_types) IS
  'Writes monitoring_mode, the passive_ columns and probes of a type, whose row must be locked, and returns the row '
  'as stored. Errors: 55000 as require_own_triggers, or when a rule or trigger of the site kept the row from being '
  'written.';

-- ---------------------------------------------------------------------------------------------
-- Health: the latest status of each pair, its history, and the counts. In tables that are written at every check, the
-- columns that most checks change stand together at the end, because WAL holds the range from the first changed byte to
-- the last. The constraints of the status table alone say what a check may contain; late checks must satisfy them, too.
-- Trigger names sort last, so that the triggers see a row as a site's own BEFORE triggers have left it.
-- ---------------------------------------------------------------------------------------------

CREATE TABLE public.integration_health_status (
  org_id               uuid NOT NULL,
  integration_type     text COLLATE pg_catalog."C" NOT NULL,
  status               public.integration_health_state NOT NULL,
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
  cause                public.integration_failure_cause,
  PRIMARY KEY (org_id, integration_type),
  FOREIGN KEY (integration_type) REFERENCES public.integration_types (integration_type),
  CONSTRAINT latency_ms_is_not_negative CHECK (latency_ms >= 0),
  CONSTRAINT http_status_is_between_100_and_599 CHECK (http_status >= 100 AND http_status <= 599),
  CONSTRAINT error_is_at_most_2000_characters CHECK (pg_catalog.length(error) <= 2000),
  CONSTRAINT retry_after_is_at_most_a_year CHECK (retry_after >= 0 AND retry_after <= 31536000),
  CONSTRAINT checked_at_is_finite CHECK (pg_catalog.isfinite(checked_at)),
  CONSTRAINT consecutive_failures_is_not_negative CHECK (consecutive_failures >= 0),
  CONSTRAINT check_no_is_positive CHECK (check_no >= 1::bigint)
) WITH (fillfactor = 50);
SELECT integration_health_private.partition_table('public.integration_health_status');
-- A check that finds a healthy pair healthy changes neither status nor status_since, so it stays a HOT update.
CREATE INDEX integration_health_status_problems ON public.integration_health_status
  (status, status_since, org_id, integration_type) WHERE status <> 'healthy'::public.integration_health_state;
COMMENT ON INDEX public.integration_health_status_problems IS 'Serves get_global_health_problems.';
COMMENT ON TABLE public.integration_health_status IS
  'The latest status of each (org_id, integration_type). Writing a row records a check.';
COMMENT ON COLUMN public.integration_health_status.org_id IS
  'Organisation. Never changes.';
COMMENT ON COLUMN public.integration_health_status.integration_type IS
  'External system, a row of integration_types. Never changes.';
COMMENT ON COLUMN public.integration_health_status.status IS 'Result of the check.';
COMMENT ON COLUMN public.integration_health_status.latency_ms IS
  'Response time in milliseconds, 0 or more; null when there was no response.';
COMMENT ON COLUMN public.integration_health_status.http_status IS
  'HTTP status code, 100 to 599; null when there was no HTTP response.';
COMMENT ON COLUMN public.integration_health_status.error IS
  'What went wrong, at most 2000 characters; null when nothing did.';
COMMENT ON COLUMN public.integration_health_status.retry_after IS
  'Seconds, 0 to 31536000, for which the external system asked to be left alone (Retry-After, RFC 9110); null when it '
  'did not.';
COMMENT ON COLUMN public.integration_health_status.is_probe IS
  'True from the time the pair is handed out to probe its passive type until it is checked; otherwise null. '
  'Maintained by claims and the trigger.';
COMMENT ON COLUMN public.integration_health_status.checked_at IS
  'When the check was made. Defaults to now(), also in an UPDATE that does not set it.';
COMMENT ON COLUMN public.integration_health_status.status_since IS
  'checked_at of the first check since which the status has not changed. Maintained by the trigger.';
COMMENT ON COLUMN public.integration_health_status.last_healthy_at IS
  'checked_at of the last healthy check; null when there was none. Maintained by the trigger.';
COMMENT ON COLUMN public.integration_health_status.consecutive_failures IS
  'Number of failures in a row: unhealthy adds one, healthy and degraded reset it to 0, unknown leaves it as it is. '
  'Maintained by the trigger.';
COMMENT ON COLUMN public.integration_health_status.check_no IS
  'Number of the check among those recorded for the pair, from 1, without gaps. Maintained by the trigger.';
COMMENT ON COLUMN public.integration_health_status.recorded_at IS
  'When the check was recorded. Maintained by the trigger.';
COMMENT ON COLUMN public.integration_health_status.cause IS
  'Why the check failed. If it is not given, the trigger derives it from http_status; null when that does not tell, and '
  'for a healthy check.';

CREATE TABLE public.integration_health_history (
  org_id           uuid NOT NULL,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  slot             smallint NOT NULL,
  status           public.integration_health_state NOT NULL,
  http_status      integer,
  error            text,
  latency_ms       integer,
  checked_at       timestamptz NOT NULL,
  check_no         bigint NOT NULL,
  is_late          boolean,
  cause            public.integration_failure_cause,
  PRIMARY KEY (org_id, integration_type, slot),
  CONSTRAINT slot_is_check_no_mod_96 CHECK (slot = check_no % 96::bigint AND check_no >= 1::bigint)
) WITH (fillfactor = 50);
SELECT integration_health_private.partition_table('public.integration_health_history');
-- checked_at is not part of this index: no index contains a column that changes with every check.
CREATE INDEX integration_health_history_late ON public.integration_health_history (org_id) WHERE is_late;
COMMENT ON INDEX public.integration_health_history_late IS
  'Late checks are older than their slots suggest, so the cleanup looks for them separately.';
COMMENT ON TABLE public.integration_health_history IS
  'The last 96 checks of each (org_id, integration_type): a ring of slots, written only by the trigger of '
  'integration_health_status and by the cleanup.';
COMMENT ON COLUMN public.integration_health_history.org_id IS 'Organisation.';
COMMENT ON COLUMN public.integration_health_history.integration_type IS 'External system.';
COMMENT ON COLUMN public.integration_health_history.slot IS
  'Place in the ring, check_no modulo 96.';
COMMENT ON COLUMN public.integration_health_history.check_no IS
  'Number of the check: check_no in integration_health_status when it was recorded.';
COMMENT ON COLUMN public.integration_health_history.is_late IS
  'True when a newer check had been recorded before this one; otherwise null.';
COMMENT ON COLUMN public.integration_health_history.status IS 'Result of the check.';
COMMENT ON COLUMN public.integration_health_history.latency_ms IS
  'Response time in milliseconds; null when there was no response.';
COMMENT ON COLUMN public.integration_health_history.http_status IS
  'HTTP status code; null when there was no HTTP response.';
COMMENT ON COLUMN public.integration_health_history.error IS 'What went wrong.';
COMMENT ON COLUMN public.integration_health_history.checked_at IS 'When the check was made.';
COMMENT ON COLUMN public.integration_health_history.cause IS 'Why the check failed; null when that is not known.';

CREATE TABLE public.integration_health_counts (
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  status           public.integration_health_state NOT NULL,
  delta            bigint NOT NULL
);
-- The table has no key: where all tables are published, folding the counts requires a replica identity.
ALTER TABLE public.integration_health_counts REPLICA IDENTITY FULL;
COMMENT ON TABLE public.integration_health_counts IS
  'Internal. Changes in the number of pairs by type and status: the sum of delta is the number of rows of '
  'integration_health_status.';
COMMENT ON COLUMN public.integration_health_counts.integration_type IS 'External system.';
COMMENT ON COLUMN public.integration_health_counts.status IS 'Status that is counted.';
COMMENT ON COLUMN public.integration_health_counts.delta IS
  'Number of pairs that entered this status, less those that left it.';

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
  status public.integration_health_state, checked_at timestamptz, recorded_at timestamptz)
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
  public.integration_health_state, timestamptz, timestamptz) IS
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

CREATE FUNCTION public.integration_health_status_trigger()
RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  marks bigint;
  constrained pg_catalog.record;
  is_met boolean;
BEGIN
  -- This runs for every check, so it has few statements, and all that is rare is behind one condition. Only the triggers of
  -- the extension have arguments: that of an update that does not set http_status has one, the other has two.
  IF TG_NARGS = 0 OR TG_NARGS = 1 AND TG_ARGV[0] <> 'rest' THEN
    IF TG_RELID <> 'public.integration_health_status'::regclass
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS i
                        WHERE i.inhrelid = TG_RELID AND i.inhparent = 'public.integration_health_status'::regclass) THEN
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
COMMENT ON FUNCTION public.integration_health_status_trigger() IS
  'Trigger function of integration_health_status: stamps the columns that it maintains, copies each check into the '
  'history, and keeps the counts. Errors: 39P01 when not called by its trigger, 42809 when called for another table, '
  '22023 when a key is changed, 23502 when status or checked_at is null, 42703 or 42804 when the table was altered, '
  '55000 when the check could not be copied.';

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
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_health_history'::regclass]);
  INSERT INTO public.integration_health_history AS h
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
    SELECT FROM public.integration_health_status AS s
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
                     WHERE c.oid = 'public.integration_health_history'::regclass)
    INTO checks, has_intruders FROM new_rows AS n WHERE n.recorded_at >= now();
  IF checks = 0 THEN
    RETURN NULL;
  ELSIF has_intruders THEN
    PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_health_history'::regclass]);
  END IF;

  -- The slots of most checks exist. A late check is in its slot already, and so is one whose row was written again in
  -- this transaction without recording a check.
  UPDATE public.integration_health_history AS h
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
  INSERT INTO public.integration_health_history
         (org_id, integration_type, slot, check_no, status, latency_ms, http_status, error, checked_at, cause)
  SELECT n.org_id, n.integration_type, n.check_no % 96, n.check_no, n.status, n.latency_ms, n.http_status, n.error,
         n.checked_at, n.cause
    FROM new_rows AS n
   WHERE n.recorded_at >= now()
     AND (NOT forgets OR integration_health_private.has_check(n.org_id, n.integration_type, n.check_no))
      ON CONFLICT (org_id, integration_type, slot) DO NOTHING;
  IF EXISTS (SELECT FROM new_rows AS n
              WHERE n.recorded_at >= now()
                AND NOT EXISTS (SELECT FROM public.integration_health_history AS h
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
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_health_history'::regclass]);
  INSERT INTO public.integration_health_history AS h
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
  BEFORE INSERT ON public.integration_health_status
  FOR EACH ROW WHEN (NEW.check_no IS NOT NULL OR NEW.recorded_at IS NOT NULL)
  EXECUTE FUNCTION integration_health_private.restore_row();
COMMENT ON TRIGGER zz_integration_health_restore ON public.integration_health_status IS
  'Makes sure that the type of a restored row exists.';
CREATE TRIGGER zz_integration_health_keep
  BEFORE UPDATE ON public.integration_health_status
  FOR EACH ROW WHEN (NEW.check_no IS DISTINCT FROM OLD.check_no)
  EXECUTE FUNCTION integration_health_private.keep_check_no();
COMMENT ON TRIGGER zz_integration_health_keep ON public.integration_health_status IS
  'Restores check_no, which only the extension may set.';
CREATE TRIGGER zz_integration_health_mark_cause
  BEFORE UPDATE OF cause ON public.integration_health_status
  FOR EACH ROW WHEN (NEW.cause = OLD.cause)
  EXECUTE FUNCTION integration_health_private.mark_column('64');
COMMENT ON TRIGGER zz_integration_health_mark_cause ON public.integration_health_status IS
  'Notes that cause is set to the value that it has.';
CREATE TRIGGER zz_integration_health_mark_checked_at
  BEFORE UPDATE OF checked_at ON public.integration_health_status
  FOR EACH ROW WHEN (NEW.checked_at = OLD.checked_at)
  EXECUTE FUNCTION integration_health_private.mark_column('16');
COMMENT ON TRIGGER zz_integration_health_mark_checked_at ON public.integration_health_status IS
  'Notes that checked_at is set to the value that it has.';
CREATE TRIGGER zz_integration_health_mark_error
  BEFORE UPDATE OF error ON public.integration_health_status
  FOR EACH ROW WHEN (NEW.error = OLD.error)
  EXECUTE FUNCTION integration_health_private.mark_column('4');
COMMENT ON TRIGGER zz_integration_health_mark_error ON public.integration_health_status IS
  'Notes that error is set to the value that it has.';
CREATE TRIGGER zz_integration_health_mark_latency_ms
  BEFORE UPDATE OF latency_ms ON public.integration_health_status
  FOR EACH ROW WHEN (NEW.latency_ms = OLD.latency_ms)
  EXECUTE FUNCTION integration_health_private.mark_column('2');
COMMENT ON TRIGGER zz_integration_health_mark_latency_ms ON public.integration_health_status IS
  'Notes that latency_ms is set to the value that it has.';
CREATE TRIGGER zz_integration_health_mark_retry_after
  BEFORE UPDATE OF retry_after ON public.integration_health_status
  FOR EACH ROW WHEN (NEW.retry_after = OLD.retry_after)
  EXECUTE FUNCTION integration_health_private.mark_column('8');
COMMENT ON TRIGGER zz_integration_health_mark_retry_after ON public.integration_health_status IS
  'Notes that retry_after is set to the value that it has.';
CREATE TRIGGER zz_integration_health_mark_status
  BEFORE UPDATE OF status, latency_ms, error, retry_after, cause ON public.integration_health_status
  FOR EACH ROW WHEN (NEW.checked_at = OLD.checked_at AND NEW.status = OLD.status)
  EXECUTE FUNCTION integration_health_private.mark_column('32');
COMMENT ON TRIGGER zz_integration_health_mark_status ON public.integration_health_status IS
  'Notes that a statement records a check although it may change no value.';
CREATE TRIGGER zz_integration_health_stamp_first
  BEFORE INSERT ON public.integration_health_status
  FOR EACH ROW WHEN (NEW.check_no IS NULL AND NEW.recorded_at IS NULL)
  EXECUTE FUNCTION integration_health_private.stamp_first();
COMMENT ON TRIGGER zz_integration_health_stamp_first ON public.integration_health_status IS
  'Stamps the columns that the extension maintains in the first check of a pair.';
CREATE TRIGGER zz_integration_health_stamp
  BEFORE UPDATE OF http_status ON public.integration_health_status
  FOR EACH ROW EXECUTE FUNCTION public.integration_health_status_trigger('sets', 'http_status');
COMMENT ON TRIGGER zz_integration_health_stamp ON public.integration_health_status IS
  'Stamps the columns that the extension maintains.';
CREATE TRIGGER zz_integration_health_stamp_rest
  BEFORE UPDATE ON public.integration_health_status
  FOR EACH ROW WHEN (NEW.check_no <> OLD.check_no + 1)
  EXECUTE FUNCTION public.integration_health_status_trigger('rest');
COMMENT ON TRIGGER zz_integration_health_stamp_rest ON public.integration_health_status IS
  'Stamps an update that does not set http_status.';
CREATE TRIGGER zz_integration_health_stamp_why
  BEFORE INSERT OR UPDATE ON public.integration_health_status
  FOR EACH ROW WHEN (NEW.http_status >= 400 AND NEW.cause IS NULL AND NEW.status <> 'healthy')
  EXECUTE FUNCTION integration_health_private.derive_cause();
COMMENT ON TRIGGER zz_integration_health_stamp_why ON public.integration_health_status IS
  'Sets the cause that the HTTP status tells.';
CREATE TRIGGER zz_integration_health_store_late
  BEFORE UPDATE ON public.integration_health_status
  FOR EACH ROW WHEN (NEW.status_since IS NULL)
  EXECUTE FUNCTION integration_health_private.store_late();
COMMENT ON TRIGGER zz_integration_health_store_late ON public.integration_health_status IS
  'Writes a late check into the history, and leaves the row as it was.';

CREATE TRIGGER zz_integration_health_first
  AFTER INSERT ON public.integration_health_status
  FOR EACH ROW WHEN (NEW.check_no = 1 AND NEW.recorded_at >= pg_catalog.now())
  EXECUTE FUNCTION integration_health_private.apply_first_check();
COMMENT ON TRIGGER zz_integration_health_first ON public.integration_health_status IS
  'Copies the first check of a pair into the history, and counts the pair.';
CREATE TRIGGER zz_integration_health_change
  AFTER UPDATE ON public.integration_health_status
  FOR EACH ROW WHEN (NEW.status <> OLD.status OR NEW.consecutive_failures <> OLD.consecutive_failures
                     OR NEW.checked_at >= pg_catalog.date_bin('24:00:00', OLD.checked_at, '2000-01-01 00:00:00+00')
                                       + interval '24:00:00')
  EXECUTE FUNCTION integration_health_private.apply_change();
COMMENT ON TRIGGER zz_integration_health_change ON public.integration_health_status IS
  'Applies what follows from a check that changed the status of a pair or its number of failures, or began a day.';
CREATE TRIGGER zz_integration_health_history
  AFTER UPDATE ON public.integration_health_status REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION integration_health_private.copy_checks();
COMMENT ON TRIGGER zz_integration_health_history ON public.integration_health_status IS
  'Copies the checks of a statement into the history.';

-- What follows from a check is applied by its row's trigger.

CREATE FUNCTION integration_health_private.delete_ring(org_id uuid, integration_type text)
RETURNS public.integration_health_history
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  left_over public.integration_health_history;
BEGIN
  PERFORM integration_health_private.require_own_triggers(
    VARIADIC ARRAY['public.integration_health_history'::regclass]);
  DELETE FROM public.integration_health_history AS h
   WHERE h.org_id = delete_ring.org_id AND h.integration_type = delete_ring.integration_type;
  SELECT h.* INTO left_over FROM public.integration_health_history AS h
   WHERE h.org_id = delete_ring.org_id AND h.integration_type = delete_ring.integration_type LIMIT 1;
  RETURN left_over;
END
$$;
COMMENT ON FUNCTION integration_health_private.delete_ring(uuid, text) IS
  'Deletes the history of a pair, and returns a row that is left; null when none is. Errors: 55000 as '
  'require_own_triggers.';

CREATE FUNCTION integration_health_private.forget_pair()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET jit = off SET search_path = pg_catalog, pg_temp AS $$
BEGIN
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
  AFTER DELETE ON public.integration_health_status
  FOR EACH ROW EXECUTE FUNCTION integration_health_private.forget_pair();
COMMENT ON TRIGGER zz_integration_health_forget ON public.integration_health_status IS
  'Deletes what is kept about a deleted pair, and counts it out.';

CREATE TRIGGER zz_integration_health_truncate
  AFTER TRUNCATE ON public.integration_health_status
  FOR EACH STATEMENT EXECUTE FUNCTION integration_health_private.forget_all_pairs();
COMMENT ON TRIGGER zz_integration_health_truncate ON public.integration_health_status IS
  'Empties the tables of what is kept about pairs along with the table.';

CREATE FUNCTION public.integration_health_mode_trigger()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  was_probe boolean := false;
BEGIN
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
COMMENT ON FUNCTION public.integration_health_mode_trigger() IS
  'Trigger function of integration_health_status: puts a type into passive mode after a check with HTTP status 429, '
  'and back into active mode after an answered probe. Errors: 39P01 when not called by its trigger, 42809 when called '
  'for another table, 55000 when a trigger of the site on integration_types prevents the change of mode.';

-- The triggers run at commit, when the transaction no longer waits for the status rows of others. They ignore late
-- checks, which leave these columns as they were, checks that are reported again unchanged, and restored rows, which
-- were recorded before this transaction.
CREATE CONSTRAINT TRIGGER zz_integration_health_first_mode
  AFTER INSERT ON public.integration_health_status
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.http_status = 429 AND NEW.check_no = 1 AND NEW.recorded_at >= pg_catalog.now())
  EXECUTE FUNCTION public.integration_health_mode_trigger();
COMMENT ON TRIGGER zz_integration_health_first_mode ON public.integration_health_status IS
  'Puts the type of a pair into passive mode when its first check was rate limited.';

CREATE CONSTRAINT TRIGGER zz_integration_health_mode
  AFTER UPDATE ON public.integration_health_status
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.http_status = 429
        AND (OLD.http_status, OLD.checked_at, OLD.retry_after)
            IS DISTINCT FROM (NEW.http_status, NEW.checked_at, NEW.retry_after)
        OR OLD.is_probe AND NEW.is_probe IS NULL)
  EXECUTE FUNCTION public.integration_health_mode_trigger();
COMMENT ON TRIGGER zz_integration_health_mode ON public.integration_health_status IS
  'Puts the type of a pair into passive mode when a check was rate limited, and back when its probe was answered.';

ALTER TABLE public.integration_health_status ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.integration_health_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.integration_health_counts ENABLE ROW LEVEL SECURITY;

-- The sub-select makes the planner evaluate the claims once per query, not once per row.
CREATE POLICY integration_health_status_read ON public.integration_health_status
  FOR SELECT USING (org_id = ANY ((SELECT public.integration_health_org_ids())::uuid[])
                    AND public.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_health_status_read ON public.integration_health_status IS
  'Callers see the organisations that their claims name.';

CREATE POLICY integration_health_history_read ON public.integration_health_history
  FOR SELECT USING (org_id = ANY ((SELECT public.integration_health_org_ids())::uuid[])
                    AND public.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_health_history_read ON public.integration_health_history IS
  'Callers see the organisations that their claims name.';

-- ---------------------------------------------------------------------------------------------
-- Transitions: the log of changes of the status. The transitions of a pair chain without a gap, and the last one leads to
-- the status that the pair has. The first of a pair has no from_status.
-- ---------------------------------------------------------------------------------------------

CREATE TABLE public.integration_health_transitions (
  org_id           uuid NOT NULL,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  check_no         bigint NOT NULL,
  at               timestamptz NOT NULL,
  from_status      public.integration_health_state,
  to_status        public.integration_health_state NOT NULL,
  cause            public.integration_failure_cause,
  PRIMARY KEY (org_id, integration_type, check_no),
  CONSTRAINT status_changes CHECK (from_status IS DISTINCT FROM to_status),
  CONSTRAINT at_is_finite CHECK (pg_catalog.isfinite(at)),
  CONSTRAINT check_no_is_positive CHECK (check_no >= 1::bigint)
);
SELECT integration_health_private.partition_table('public.integration_health_transitions');
CREATE INDEX integration_health_transitions_time ON public.integration_health_transitions (at);
ALTER TABLE public.integration_health_transitions ENABLE ROW LEVEL SECURITY;
CREATE POLICY integration_health_transitions_read ON public.integration_health_transitions
  FOR SELECT USING (org_id = ANY ((SELECT public.integration_health_org_ids())::uuid[])
                    AND public.integration_health_uncounted(org_id));
CREATE VIEW integration_health_private.transitions WITH (security_invoker = true) AS
  SELECT t.org_id, t.integration_type, t.check_no, t.at, t.from_status, t.to_status, t.cause
    FROM public.integration_health_transitions t;
COMMENT ON TABLE public.integration_health_transitions IS
  'Changes of the status of each (org_id, integration_type), for 90 days: appended when a check has another status than '
  'the one before, and by nobody else.';
COMMENT ON COLUMN public.integration_health_transitions.org_id IS 'Organisation.';
COMMENT ON COLUMN public.integration_health_transitions.integration_type IS 'External system.';
COMMENT ON COLUMN public.integration_health_transitions.check_no IS 'Number of the check that changed the status.';
COMMENT ON COLUMN public.integration_health_transitions.at IS 'When that check was made: status_since from then on.';
COMMENT ON COLUMN public.integration_health_transitions.from_status IS
  'Status before; null for the first check of a pair, and where an update to version 1.1 did not know it.';
COMMENT ON COLUMN public.integration_health_transitions.to_status IS 'Status from then on.';
COMMENT ON COLUMN public.integration_health_transitions.cause IS
  'Cause that the check gave; null when it gave none, and for healthy.';
COMMENT ON INDEX public.integration_health_transitions_time IS
  'Serves reports on all organisations, and the cleanup.';
COMMENT ON POLICY integration_health_transitions_read ON public.integration_health_transitions IS
  'Callers see the organisations that their claims name.';

COMMENT ON VIEW integration_health_private.transitions IS 'integration_health_transitions, for PL/pgSQL (see names.sql).';

CREATE FUNCTION integration_health_private.append_transitions(
  org_ids uuid[], integration_types text[], check_nos bigint[], at timestamptz[], was public.integration_health_state[],
  is_now public.integration_health_state[], causes public.integration_failure_cause[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  written bigint;
BEGIN
  PERFORM integration_health_private.require_own_triggers(
    integration_health_private.relation('integration_health_transitions'));
  -- A transition is there already if a trigger of the site has written the row that is being written, which PostgreSQL is
  -- about to refuse (27000).
  INSERT INTO integration_health_private.transitions AS t (
    org_id, integration_type, check_no, at, from_status, to_status, cause)
  SELECT c.* FROM unnest($1, $2, $3, $4, $5, $6, $7) AS c (org_id, integration_type, check_no, at, was, is_now, cause)
   WHERE c.was IS DISTINCT FROM c.is_now
      ON CONFLICT (org_id, integration_type, check_no) DO NOTHING;
  GET DIAGNOSTICS written = ROW_COUNT;
  IF written < cardinality(check_nos)
     AND EXISTS (SELECT FROM unnest($1, $2, $3, $5, $6) AS c (org_id, integration_type, check_no, was, is_now)
                  WHERE c.was IS DISTINCT FROM c.is_now
                    AND NOT EXISTS (SELECT FROM integration_health_private.transitions AS t
                                     WHERE t.org_id = c.org_id AND t.integration_type = c.integration_type
                                       AND t.check_no = c.check_no)) THEN
    PERFORM integration_health_private.refuse_intrusion('integration_health_transitions');
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.append_transitions(
  uuid[], text[], bigint[], timestamptz[], public.integration_health_state[], public.integration_health_state[],
  public.integration_failure_cause[]) IS
  'Appends the transitions among these checks. Errors: 55000 as require_own_triggers, or when a rule or trigger of the site '
  'kept a row from being written.';

-- What is left tells the status at any later time: the first transition that is left has it in from_status, and where none
-- is left the pair has had its status since.
CREATE FUNCTION integration_health_private.expire_transitions(cutoff timestamptz, max_rows bigint)
RETURNS bigint
LANGUAGE sql VOLATILE SET enable_hashjoin = off SET enable_mergejoin = off
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(
    VARIADIC ARRAY['public.integration_health_transitions'::regclass]);
  WITH old AS MATERIALIZED (
    SELECT x.org_id, x.integration_type, x.check_no FROM public.integration_health_transitions x
     WHERE x.at < expire_transitions.cutoff
     ORDER BY x.at LIMIT expire_transitions.max_rows FOR UPDATE SKIP LOCKED
  ), gone AS (
    DELETE FROM public.integration_health_transitions t USING old o
     WHERE t.org_id = o.org_id AND t.integration_type = o.integration_type AND t.check_no = o.check_no
    RETURNING 1
  )
  SELECT pg_catalog.count(*) FROM gone;
END;
COMMENT ON FUNCTION integration_health_private.expire_transitions(timestamptz, bigint) IS
  'Deletes at most max_rows transitions of before cutoff, and returns how many. Errors: 55000 as require_own_triggers.';


-- ---------------------------------------------------------------------------------------------
-- Days: latencies of each pair and UTC day, kept longer than the ring keeps the checks
-- ---------------------------------------------------------------------------------------------

CREATE TABLE public.integration_health_days (
  org_id           uuid NOT NULL,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  slot             smallint NOT NULL,
  day              date NOT NULL,
  checks           integer NOT NULL,
  p50_ms           integer,
  p95_ms           integer,
  max_ms           integer,
  PRIMARY KEY (org_id, integration_type, slot),
  CONSTRAINT slot_is_day_mod_90 CHECK (slot = ((day - '2000-01-01'::date) % 90 + 90) % 90),
  CONSTRAINT checks_is_positive CHECK (checks >= 1)
);
SELECT integration_health_private.partition_table('public.integration_health_days');
ALTER TABLE public.integration_health_days ENABLE ROW LEVEL SECURITY;
CREATE POLICY integration_health_days_read ON public.integration_health_days
  FOR SELECT USING (org_id = ANY ((SELECT public.integration_health_org_ids())::uuid[])
                    AND public.integration_health_uncounted(org_id));
CREATE VIEW integration_health_private.days WITH (security_invoker = true) AS
  SELECT d.org_id, d.integration_type, d.slot, d.day, d.checks, d.p50_ms, d.p95_ms, d.max_ms
    FROM public.integration_health_days d;
COMMENT ON TABLE public.integration_health_days IS
  'Number of checks and their latencies, of each (org_id, integration_type) and UTC day: a ring of 90 days, each written '
  'by the first check of a later day.';
COMMENT ON COLUMN public.integration_health_days.org_id IS 'Organisation.';
COMMENT ON COLUMN public.integration_health_days.integration_type IS 'External system.';
COMMENT ON COLUMN public.integration_health_days.slot IS 'Place in the ring: days since 2000-01-01, modulo 90.';
COMMENT ON COLUMN public.integration_health_days.day IS 'Day in UTC.';
COMMENT ON COLUMN public.integration_health_days.checks IS
  'Number of checks made on that day, of the last 96 before the day was closed.';
COMMENT ON COLUMN public.integration_health_days.p50_ms IS
  'Median latency in milliseconds, of the checks that were healthy or degraded; null when none of them had one.';
COMMENT ON COLUMN public.integration_health_days.p95_ms IS '95th percentile of the same latencies.';
COMMENT ON COLUMN public.integration_health_days.max_ms IS 'Highest of the same latencies.';
COMMENT ON POLICY integration_health_days_read ON public.integration_health_days IS
  'Callers see the organisations that their claims name.';
COMMENT ON VIEW integration_health_private.days IS 'integration_health_days, for PL/pgSQL (see names.sql).';

CREATE FUNCTION integration_health_private.day_of_ring(org_id uuid, integration_type text, day date)
RETURNS TABLE (checks integer, p50_ms integer, p95_ms integer, max_ms integer)
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
  SELECT pg_catalog.count(*)::integer,
         pg_catalog.percentile_disc(0.5) WITHIN GROUP (ORDER BY h.latency_ms) FILTER (WHERE h.status <= 'degraded'),
         pg_catalog.percentile_disc(0.95) WITHIN GROUP (ORDER BY h.latency_ms) FILTER (WHERE h.status <= 'degraded'),
         pg_catalog.max(h.latency_ms) FILTER (WHERE h.status <= 'degraded')
    FROM public.integration_health_history h
   WHERE h.org_id = day_of_ring.org_id AND h.integration_type = day_of_ring.integration_type
     AND integration_health_private.utc_day(h.checked_at) = day_of_ring.day;
END;
COMMENT ON FUNCTION integration_health_private.day_of_ring(uuid, text, date) IS
  'Returns what the history tells about a day of a pair. A failed check has no latency that counts: it may be a time-out, '
  'or an error that came fast.';

CREATE FUNCTION integration_health_private.close_day(org_id uuid, integration_type text, at timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  this_day date := integration_health_private.utc_day(at);
BEGIN
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_health_days'));
  INSERT INTO integration_health_private.days AS d (org_id, integration_type, slot, day, checks, p50_ms, p95_ms, max_ms)
  SELECT $1, $2, (((this_day - '2000-01-01'::date) % 90) + 90) % 90, this_day, r.checks, r.p50_ms, r.p95_ms, r.max_ms
    FROM integration_health_private.day_of_ring($1, $2, this_day) AS r
   WHERE r.checks > 0
      ON CONFLICT (org_id, integration_type, slot) DO UPDATE
     SET day = EXCLUDED.day, checks = EXCLUDED.checks, p50_ms = EXCLUDED.p50_ms, p95_ms = EXCLUDED.p95_ms,
         max_ms = EXCLUDED.max_ms
   WHERE d.day < EXCLUDED.day;
END
$$;
COMMENT ON FUNCTION integration_health_private.close_day(uuid, text, timestamptz) IS
  'Called by the engine before the first check of a UTC day is in the ring, with the time of the check before: writes the '
  'day of that check, unless it is written already. Errors: 55000 as require_own_triggers.';

-- ---------------------------------------------------------------------------------------------
-- Maintenance: planned windows. Their time does not count into the uptime, and no alert of a pair is sent during them;
-- checks go on, and what is still broken at the end alerts then.
-- ---------------------------------------------------------------------------------------------

CREATE TABLE public.integration_maintenance (
  maintenance_id   uuid NOT NULL,
  org_id           uuid,
  integration_type text COLLATE pg_catalog."C",
  starts_at        timestamptz NOT NULL,
  ends_at          timestamptz NOT NULL,
  reason           text NOT NULL,
  created_by       text,
  created_at       timestamptz NOT NULL,
  PRIMARY KEY (maintenance_id),
  CONSTRAINT ends_at_is_after_starts_at CHECK (ends_at > starts_at),
  CONSTRAINT maintenance_is_at_most_366_days
    CHECK (CASE WHEN pg_catalog.isfinite(starts_at) AND pg_catalog.isfinite(ends_at)
                THEN ends_at - starts_at <= interval '366 days' ELSE false END),
  CONSTRAINT reason_is_1_to_200_characters CHECK (reason <> '' AND pg_catalog.length(reason) <= 200)
);
CREATE INDEX integration_maintenance_time ON public.integration_maintenance (ends_at);
ALTER TABLE public.integration_maintenance ENABLE ROW LEVEL SECURITY;
CREATE POLICY integration_maintenance_read ON public.integration_maintenance
  FOR SELECT USING (org_id IS NULL
                    OR org_id = ANY ((SELECT public.integration_health_org_ids())::uuid[])
                    AND public.integration_health_uncounted(org_id));
CREATE VIEW integration_health_private.maintenance WITH (security_invoker = true) AS
  SELECT m.maintenance_id, m.org_id, m.integration_type, m.starts_at, m.ends_at, m.reason, m.created_by, m.created_at
    FROM public.integration_maintenance m;
COMMENT ON TABLE public.integration_maintenance IS
  'Planned maintenance, written by set_maintenance and end_maintenance.';
COMMENT ON COLUMN public.integration_maintenance.maintenance_id IS 'Key.';
COMMENT ON COLUMN public.integration_maintenance.org_id IS 'Organisation; null: all of them.';
COMMENT ON COLUMN public.integration_maintenance.integration_type IS 'External system; null: all of them.';
COMMENT ON COLUMN public.integration_maintenance.starts_at IS 'When it begins.';
COMMENT ON COLUMN public.integration_maintenance.ends_at IS 'When it ends: the first moment after it.';
COMMENT ON COLUMN public.integration_maintenance.reason IS
  'Why, in 1 to 200 characters. Organisations that it concerns may read it.';
COMMENT ON COLUMN public.integration_maintenance.created_by IS
  'sub of the claims of whoever made it; null when they have none.';
COMMENT ON COLUMN public.integration_maintenance.created_at IS 'When it was made.';
COMMENT ON INDEX public.integration_maintenance_time IS 'Finds what is planned from some time on.';
COMMENT ON POLICY integration_maintenance_read ON public.integration_maintenance IS
  'Callers see what concerns all organisations, or one that their claims name.';
COMMENT ON VIEW integration_health_private.maintenance IS 'integration_maintenance, for PL/pgSQL (see names.sql).';

CREATE FUNCTION integration_health_private.planned_time(of_org uuid, of_type text, since timestamptz, until timestamptz)
RETURNS tstzmultirange
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT COALESCE(pg_catalog.range_agg(pg_catalog.tstzrange(m.starts_at, m.ends_at)), '{}'::tstzmultirange)
         * pg_catalog.tstzmultirange(pg_catalog.tstzrange(since, until))
    FROM public.integration_maintenance m
   WHERE m.ends_at > since AND m.starts_at < until AND (m.org_id IS NULL OR m.org_id = of_org)
     AND (m.integration_type IS NULL OR m.integration_type = of_type);
END;
COMMENT ON FUNCTION integration_health_private.planned_time(uuid, text, timestamptz, timestamptz) IS
  'Returns when between since and until a pair was under maintenance; of_org null: when all pairs of the type were.';

CREATE FUNCTION integration_health_private.add_maintenance(
  of_org uuid, of_type text, starts_at timestamptz, ends_at timestamptz, reason text)
RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  id uuid := gen_random_uuid();
BEGIN
  PERFORM integration_health_private.require_arguments(
    '{starts_at,ends_at,reason}', ARRAY[starts_at IS NULL, ends_at IS NULL, reason IS NULL]);
  IF of_type IS NOT NULL THEN
    PERFORM integration_health_private.require_type(of_type);
  END IF;
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_maintenance'));
  INSERT INTO integration_health_private.maintenance (
    maintenance_id, org_id, integration_type, starts_at, ends_at, reason, created_by, created_at)
  VALUES (id, of_org, of_type, $3, $4, $5, integration_health_private.claimed_subject(), now());
  RETURN id;
END
$$;
COMMENT ON FUNCTION integration_health_private.add_maintenance(uuid, text, timestamptz, timestamptz, text) IS
  'Does the work of set_maintenance, for callers who may.';

CREATE FUNCTION integration_health_private.add_maintenance_as_admin(
  of_org uuid, of_type text, starts_at timestamptz, ends_at timestamptz, reason text)
RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  RETURN integration_health_private.add_maintenance(of_org, of_type, starts_at, ends_at, reason);
END
$$;
COMMENT ON FUNCTION integration_health_private.add_maintenance_as_admin(uuid, text, timestamptz, timestamptz, text) IS
  'Calls add_maintenance for global admins. Errors: as require_admin_role.';

CREATE FUNCTION public.set_maintenance(
  org_id uuid, integration_type text, starts_at timestamptz, ends_at timestamptz, reason text)
RETURNS uuid
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF has_function_privilege(
       'integration_health_private.add_maintenance(uuid, text, timestamptz, timestamptz, text)', 'EXECUTE') THEN
    RETURN integration_health_private.add_maintenance(org_id, integration_type, starts_at, ends_at, reason);
  END IF;
  RETURN integration_health_private.add_maintenance_as_admin(org_id, integration_type, starts_at, ends_at, reason);
END
$$;
COMMENT ON FUNCTION public.set_maintenance(uuid, text, timestamptz, timestamptz, text) IS
  'Plans maintenance of a pair or, where org_id or integration_type is null, of all pairs of the other, or of all; from '
  'starts_at to before ends_at, which may lie in the past. Returns its maintenance_id. That time counts as planned, not '
  'as up or down, and alerts of incidents wait for its end. For the writer and global admins. Errors: 22023 when '
  'starts_at, ends_at or reason is null, or there is no such type; 23514 when ends_at is not after starts_at, the window '
  'is longer than 366 days, or reason is empty or longer than 200 characters; 42501 for readers without the admin role.';

CREATE FUNCTION integration_health_private.cut_maintenance(id uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
BEGIN
  PERFORM integration_health_private.require_arguments('{maintenance_id}', ARRAY[id IS NULL]);
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_maintenance'));
  DELETE FROM integration_health_private.maintenance AS m WHERE m.maintenance_id = id AND m.starts_at >= moment;
  IF FOUND THEN
    RETURN true;
  END IF;
  UPDATE integration_health_private.maintenance AS m SET ends_at = moment
   WHERE m.maintenance_id = id AND m.ends_at > moment;
  IF FOUND THEN
    RETURN true;
  END IF;
  IF NOT EXISTS (SELECT FROM integration_health_private.maintenance AS m WHERE m.maintenance_id = id) THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'there is no such maintenance',
      HINT = 'get_maintenance() lists what is planned.';
  END IF;
  RETURN false;
END
$$;
COMMENT ON FUNCTION integration_health_private.cut_maintenance(uuid) IS
  'Does the work of end_maintenance, for callers who may.';

CREATE FUNCTION integration_health_private.cut_maintenance_as_admin(id uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  RETURN integration_health_private.cut_maintenance(id);
END
$$;
COMMENT ON FUNCTION integration_health_private.cut_maintenance_as_admin(uuid) IS
  'Calls cut_maintenance for global admins. Errors: as require_admin_role.';

CREATE FUNCTION public.end_maintenance(maintenance_id uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF has_function_privilege('integration_health_private.cut_maintenance(uuid)', 'EXECUTE') THEN
    RETURN integration_health_private.cut_maintenance(maintenance_id);
  END IF;
  RETURN integration_health_private.cut_maintenance_as_admin(maintenance_id);
END
$$;
COMMENT ON FUNCTION public.end_maintenance(uuid) IS
  'Ends maintenance now; one that has not begun is cancelled as if it had never been planned. Returns true, or false when '
  'it had ended already. For the writer and global admins. Errors: 22023 when maintenance_id is null or there is no such '
  'maintenance, 42501 for readers without the admin role.';

CREATE FUNCTION integration_health_private.maintenance_of(of_org uuid, since timestamptz)
RETURNS TABLE (
  maintenance_id uuid, integration_type text, all_organisations boolean, starts_at timestamptz, ends_at timestamptz,
  is_active boolean, reason text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT m.maintenance_id, m.integration_type, m.org_id IS NULL, m.starts_at, m.ends_at,
         m.starts_at <= pg_catalog.now() AND m.ends_at > pg_catalog.now(), m.reason
    FROM public.integration_maintenance m
   WHERE m.ends_at > maintenance_of.since AND (m.org_id IS NULL OR m.org_id = maintenance_of.of_org)
     AND public.integration_health_can_read(maintenance_of.of_org)
   ORDER BY m.starts_at DESC, m.maintenance_id;
END;
COMMENT ON FUNCTION integration_health_private.maintenance_of(uuid, timestamptz) IS 'Runs the query of get_maintenance.';

CREATE FUNCTION public.get_maintenance(org_id uuid, days integer DEFAULT 30)
RETURNS TABLE (
  maintenance_id uuid, integration_type text, all_organisations boolean, starts_at timestamptz, ends_at timestamptz,
  is_active boolean, reason text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  since timestamptz := integration_health_private.readable_since_days(days);
BEGIN
  RETURN QUERY SELECT * FROM integration_health_private.maintenance_of(get_maintenance.org_id, since);
END
$$;
COMMENT ON FUNCTION public.get_maintenance(uuid, integer) IS
  'Returns the maintenance that concerns an organisation: what is planned, what is going on (is_active), and what ended '
  'within the last days (1 to 90), latest first. integration_type is null when it concerns all types. No rows for a '
  'caller who may not see the organisation. Errors: 22023 when days is null or outside 1 to 90, or for malformed claims.';

CREATE FUNCTION integration_health_private.global_maintenance(since timestamptz)
RETURNS TABLE (
  maintenance_id uuid, org_id uuid, integration_type text, starts_at timestamptz, ends_at timestamptz, is_active boolean,
  reason text, created_by text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT m.maintenance_id, m.org_id, m.integration_type, m.starts_at, m.ends_at,
         m.starts_at <= pg_catalog.now() AND m.ends_at > pg_catalog.now(), m.reason, m.created_by
    FROM public.integration_maintenance m
   WHERE m.ends_at > global_maintenance.since
   ORDER BY m.starts_at DESC, m.maintenance_id;
END;
COMMENT ON FUNCTION integration_health_private.global_maintenance(timestamptz) IS
  'Runs the query of get_global_maintenance.';

CREATE FUNCTION public.get_global_maintenance(days integer DEFAULT 30)
RETURNS TABLE (
  maintenance_id uuid, org_id uuid, integration_type text, starts_at timestamptz, ends_at timestamptz, is_active boolean,
  reason text, created_by text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  since timestamptz;
BEGIN
  PERFORM integration_health_private.require_admin_role();
  since := integration_health_private.days_start(days);
  PERFORM integration_health_private.require_all_rows(integration_health_private.relation('integration_maintenance'));
  RETURN QUERY SELECT * FROM integration_health_private.global_maintenance(since);
END
$$;
COMMENT ON FUNCTION public.get_global_maintenance(integer) IS
  'Returns all maintenance, as get_maintenance; org_id is null when it concerns all organisations. Errors: 42501 as '
  'get_global_health_summary, 22023 when days is null or outside 1 to 90, or for malformed claims, 55000 when row-level '
  'security applies to the owner of the function.';

-- ---------------------------------------------------------------------------------------------
-- Alerts: an outbox of what somebody must be told. A row is written in the transaction of its cause, once per cause, handed
-- out to one worker at a time until one reports that it was delivered, and given up after the eighth attempt.
-- ---------------------------------------------------------------------------------------------

CREATE TABLE public.integration_alerts (
  alert_id         uuid NOT NULL,
  kind             text NOT NULL,
  org_id           uuid,
  integration_type text COLLATE pg_catalog."C",
  incident_id      uuid,
  payload          jsonb NOT NULL,
  created_at       timestamptz NOT NULL,
  due_at           timestamptz NOT NULL,
  attempt          integer NOT NULL,
  claimed_at       timestamptz,
  lease_until      timestamptz,
  delivered_at     timestamptz,
  died_at          timestamptz,
  error            text,
  PRIMARY KEY (alert_id),
  CONSTRAINT kind_is_known CHECK (kind IN (
    'incident_opened', 'incident_reminded', 'incident_resolved', 'sync_late', 'sync_missed', 'type_passive', 'type_active',
    'monitor_silent', 'credential_expires')),
  CONSTRAINT attempt_is_not_negative CHECK (attempt >= 0)
) WITH (fillfactor = 70);
CREATE INDEX integration_alerts_due ON public.integration_alerts (due_at) WHERE delivered_at IS NULL AND died_at IS NULL;
CREATE INDEX integration_alerts_dead ON public.integration_alerts (died_at) WHERE died_at IS NOT NULL;
CREATE INDEX integration_alerts_incident ON public.integration_alerts (incident_id);
CREATE INDEX integration_alerts_pair ON public.integration_alerts (org_id, integration_type);
CREATE INDEX integration_alerts_created ON public.integration_alerts (created_at);
ALTER TABLE public.integration_alerts ENABLE ROW LEVEL SECURITY;
CREATE VIEW integration_health_private.alerts WITH (security_invoker = true) AS
  SELECT a.alert_id, a.kind, a.org_id, a.integration_type, a.incident_id, a.payload, a.created_at, a.due_at, a.attempt,
         a.claimed_at, a.lease_until, a.delivered_at, a.died_at, a.error
    FROM public.integration_alerts a;
COMMENT ON TABLE public.integration_alerts IS
  'What somebody must be told, and whether it was delivered. Written by the extension, and read by the writer.';
COMMENT ON COLUMN public.integration_alerts.alert_id IS
  'Key, derived from the cause of the alert, so that a cause makes one alert. The same for every attempt.';
COMMENT ON COLUMN public.integration_alerts.kind IS 'What has happened: see docs/alerts.md.';
COMMENT ON COLUMN public.integration_alerts.org_id IS 'Organisation; null for an alert of a type, or of all.';
COMMENT ON COLUMN public.integration_alerts.integration_type IS 'External system; null for an alert of all.';
COMMENT ON COLUMN public.integration_alerts.incident_id IS 'Incident that the alert is about; null when it is about none.';
COMMENT ON COLUMN public.integration_alerts.payload IS 'The message, a JSON object.';
COMMENT ON COLUMN public.integration_alerts.created_at IS 'When the cause happened.';
COMMENT ON COLUMN public.integration_alerts.due_at IS
  'When the alert may be handed out next; infinity while it waits for an earlier alert of the same incident.';
COMMENT ON COLUMN public.integration_alerts.attempt IS 'How often it was handed out.';
COMMENT ON COLUMN public.integration_alerts.claimed_at IS 'When it was last handed out; null if it never was.';
COMMENT ON COLUMN public.integration_alerts.lease_until IS
  'Until when a worker has it to deliver; null when none has, or it has reported.';
COMMENT ON COLUMN public.integration_alerts.delivered_at IS 'When delivery was reported; null if it was not.';
COMMENT ON COLUMN public.integration_alerts.died_at IS 'When it was given up; null if it was not.';
COMMENT ON COLUMN public.integration_alerts.error IS 'What the last failed attempt reported.';
COMMENT ON INDEX public.integration_alerts_due IS 'Serves claim_alerts.';
COMMENT ON INDEX public.integration_alerts_dead IS 'Serves get_alert_backlog.';
COMMENT ON INDEX public.integration_alerts_incident IS 'Finds the alerts of an incident.';
COMMENT ON INDEX public.integration_alerts_pair IS 'Finds the alerts of a pair.';
COMMENT ON INDEX public.integration_alerts_created IS 'Serves the cleanup.';
COMMENT ON VIEW integration_health_private.alerts IS 'integration_alerts, for PL/pgSQL (see names.sql).';

CREATE FUNCTION integration_health_private.alert_id(cause text)
RETURNS uuid
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN substr(encode(sha256(convert_to(cause, 'UTF8')), 'hex'), 1, 32)::uuid;
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_id(text) IS
  'Returns the key of the alert that a cause makes: the first 128 bits of its SHA-256.';

CREATE FUNCTION integration_health_private.alert_payload(
  kind text, id uuid, created_at timestamptz, org_id uuid, integration_type text, display_name text, facts jsonb)
RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN jsonb_build_object(
    'kind', kind, 'alert_id', id, 'created_at', integration_health_private.utc_text(created_at), 'org_id', org_id,
    'integration_type', integration_type, 'display_name', display_name) || facts;
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_payload(text, uuid, timestamptz, uuid, text, text, jsonb) IS
  'Returns what an alert says.';

CREATE FUNCTION integration_health_private.enqueue_alert(
  kind text, cause text, org_id uuid, integration_type text, facts jsonb)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  id uuid := integration_health_private.alert_id($1 || ':' || $2);
  moment timestamptz := clock_timestamp();
BEGIN
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_alerts'));
  INSERT INTO integration_health_private.alerts AS a (
    alert_id, kind, org_id, integration_type, payload, created_at, due_at, attempt)
  VALUES (id, $1, $3, $4,
          integration_health_private.alert_payload($1, id, moment, $3, $4, integration_health_private.display_name($4), $5),
          moment, moment, 0)
      ON CONFLICT DO NOTHING;
  RETURN FOUND;
END
$$;
COMMENT ON FUNCTION integration_health_private.enqueue_alert(text, text, uuid, text, jsonb) IS
  'Writes the alert of a kind that a cause makes, unless it is there, and returns whether it was not. Errors: 55000 as '
  'require_own_triggers.';

CREATE FUNCTION integration_health_private.wait_after(attempt integer)
RETURNS interval
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT ('{5 seconds,5 minutes,30 minutes,2 hours,5 hours,10 hours,10 hours}'::interval[])[attempt];
END;
COMMENT ON FUNCTION integration_health_private.wait_after(integer) IS
  'Returns how long an alert waits after that attempt has failed; null: it is given up.';

CREATE FUNCTION integration_health_private.release_alert(incident_id uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE integration_health_private.alerts AS a SET due_at = clock_timestamp()
   WHERE a.incident_id = $1 AND NOT isfinite(a.due_at) AND COALESCE(a.delivered_at, a.died_at) IS NULL
     AND NOT EXISTS (SELECT FROM integration_health_private.alerts AS e
                      WHERE e.incident_id = $1 AND isfinite(e.due_at) AND COALESCE(e.delivered_at, e.died_at) IS NULL);
END
$$;
COMMENT ON FUNCTION integration_health_private.release_alert(uuid) IS
  'Lets the alert be handed out that waited for earlier ones of the same incident, if none of them is left.';

CREATE FUNCTION integration_health_private.alert_lease(lease interval)
RETURNS interval
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  length interval := interval '1 microsecond' * integration_health_private.micros(lease);
BEGIN
  IF length IS NULL OR length < interval '1 second' OR length > interval '1 day' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'lease must be between 1 second and 1 day',
      HINT = 'Leave the argument out for 1 minute.';
  END IF;
  RETURN length;
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_lease(interval) IS
  'Returns how long a worker has an alert, as a time span. Errors: 22023 when that is null or not 1 second to 1 day.';

CREATE FUNCTION integration_health_private.lease_alerts(max_rows integer, lease interval)
RETURNS TABLE (alert_id uuid, kind text, org_id uuid, integration_type text, attempt integer, payload jsonb)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET enable_seqscan = off SET jit = off SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  moment timestamptz;
  length interval;
  alert record;
BEGIN
  PERFORM integration_health_private.require_max_rows(max_rows);
  length := integration_health_private.alert_lease(lease);
  -- Also where no job runs, the alerts of a type's pairs give way to one alert of the type.
  PERFORM integration_health_private.watch_types();
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_alerts'));
  moment := clock_timestamp();
  FOR alert IN
    WITH picked AS MATERIALIZED (
      SELECT p.alert_id, p.attempt > 0 AND integration_health_private.wait_after(p.attempt) IS NULL AS is_used_up
        FROM integration_health_private.alerts AS p
       WHERE p.delivered_at IS NULL AND p.died_at IS NULL AND p.due_at <= moment
       ORDER BY p.due_at LIMIT max_rows FOR UPDATE SKIP LOCKED
    )
    UPDATE integration_health_private.alerts AS a
       SET attempt = CASE WHEN p.is_used_up THEN a.attempt ELSE a.attempt + 1 END,
           claimed_at = CASE WHEN p.is_used_up THEN a.claimed_at ELSE moment END,
           due_at = moment + length,
           lease_until = CASE WHEN NOT p.is_used_up THEN moment + length END,
           died_at = CASE WHEN p.is_used_up THEN moment END,
           error = CASE WHEN p.is_used_up THEN 'the worker of the last attempt reported nothing' ELSE a.error END
      FROM picked AS p WHERE a.alert_id = p.alert_id
    RETURNING a.alert_id, a.kind, a.org_id, a.integration_type, a.incident_id, a.attempt, a.payload, a.died_at
  LOOP
    IF alert.died_at IS NOT NULL THEN
      PERFORM integration_health_private.release_alert(alert.incident_id);
    ELSE
      alert_id := alert.alert_id;
      kind := alert.kind;
      org_id := alert.org_id;
      integration_type := alert.integration_type;
      attempt := alert.attempt;
      payload := alert.payload;
      RETURN NEXT;
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.lease_alerts(integer, interval) IS 'Does the work of claim_alerts.';

CREATE FUNCTION public.claim_alerts(max_rows integer DEFAULT 100, lease interval DEFAULT '1 minute')
RETURNS TABLE (alert_id uuid, kind text, org_id uuid, integration_type text, attempt integer, payload jsonb)
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT l.alert_id, l.kind, l.org_id, l.integration_type, l.attempt, l.payload
    FROM integration_health_private.lease_alerts(claim_alerts.max_rows, claim_alerts.lease) AS l;
END;
COMMENT ON FUNCTION public.claim_alerts(integer, interval) IS
  'Hands out at most max_rows alerts that are due, each to one caller, who delivers it and reports by finish_alert. What is '
  'not reported within lease (1 second to 1 day) is handed out again, so an alert may be delivered twice, with the same '
  'alert_id. The alert that a pair has an incident waits for 60 seconds, in case its whole type fails. Errors: 22023 when '
  'max_rows is null or below 1, or lease is null or out of range; 55000 when somebody else has a trigger or rule on the '
  'tables.';

CREATE FUNCTION integration_health_private.end_lease(id uuid, of_attempt integer, is_delivered boolean, message text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET enable_seqscan = off SET jit = off SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  about uuid;
  is_over boolean;
BEGIN
  PERFORM integration_health_private.require_arguments(
    '{alert_id,attempt,delivered}', ARRAY[id IS NULL, of_attempt IS NULL, is_delivered IS NULL]);
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_alerts'));
  -- A delivery counts whoever made it, a failure only if nobody else has taken over.
  UPDATE integration_health_private.alerts AS a
     SET lease_until = NULL, delivered_at = CASE WHEN is_delivered THEN moment END,
         died_at = CASE WHEN NOT is_delivered AND integration_health_private.wait_after(a.attempt) IS NULL THEN moment END,
         due_at = CASE WHEN is_delivered THEN a.due_at
                       ELSE COALESCE(moment + integration_health_private.wait_after(a.attempt), a.due_at) END,
         error = CASE WHEN is_delivered THEN NULL ELSE "left"(COALESCE(message, 'no reason was given'), 2000) END
   WHERE a.alert_id = id AND a.delivered_at IS NULL AND a.claimed_at IS NOT NULL
     AND (is_delivered OR a.died_at IS NULL AND a.attempt = of_attempt)
  RETURNING a.incident_id, a.delivered_at IS NOT NULL OR a.died_at IS NOT NULL INTO about, is_over;
  IF is_over THEN
    PERFORM integration_health_private.release_alert(about);
  END IF;
  RETURN is_over IS NOT NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.end_lease(uuid, integer, boolean, text) IS 'Does the work of finish_alert.';

CREATE FUNCTION public.finish_alert(alert_id uuid, attempt integer, delivered boolean, error text DEFAULT NULL)
RETURNS boolean
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.end_lease($1, $2, $3, $4);
END;
COMMENT ON FUNCTION public.finish_alert(uuid, integer, boolean, text) IS
  'Reports whether an alert was delivered, by the attempt that claim_alerts handed out, and returns true. If it was not, '
  'error says why (the first 2000 characters are kept), and the alert is handed out again after 5 seconds, 5 minutes, 30 '
  'minutes, 2, 5, 10 and 10 hours; then it is given up, and get_alert_backlog shows it. Returns false, and changes nothing, '
  'when the alert was delivered before or no longer exists, or a failure is reported of an attempt that is not the last. '
  'Errors: 22023 when alert_id, attempt or delivered is null, 55000 when somebody else has a trigger or rule on the tables.';

CREATE FUNCTION integration_health_private.revive_alert(id uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_arguments('{alert_id}', ARRAY[id IS NULL]);
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_alerts'));
  UPDATE integration_health_private.alerts AS a SET died_at = NULL, due_at = clock_timestamp(), attempt = 0
   WHERE a.alert_id = id AND a.died_at IS NOT NULL AND a.delivered_at IS NULL;
  RETURN FOUND;
END
$$;
COMMENT ON FUNCTION integration_health_private.revive_alert(uuid) IS 'Does the work of retry_alert, for callers who may.';

CREATE FUNCTION integration_health_private.revive_alert_as_admin(id uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  RETURN integration_health_private.revive_alert(id);
END
$$;
COMMENT ON FUNCTION integration_health_private.revive_alert_as_admin(uuid) IS
  'Calls revive_alert for global admins. Errors: as require_admin_role.';

CREATE FUNCTION public.retry_alert(alert_id uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF has_function_privilege('integration_health_private.revive_alert(uuid)', 'EXECUTE') THEN
    RETURN integration_health_private.revive_alert(alert_id);
  END IF;
  RETURN integration_health_private.revive_alert_as_admin(alert_id);
END
$$;
COMMENT ON FUNCTION public.retry_alert(uuid) IS
  'Lets an alert that was given up be handed out again, with all its attempts, and returns true; false when it was not given '
  'up. For the writer and global admins. Errors: 22023 when alert_id is null, 42501 for readers without the admin role.';

CREATE FUNCTION integration_health_private.alert_backlog(max_rows integer)
RETURNS TABLE (
  alert_id uuid, kind text, org_id uuid, integration_type text, state text, created_at timestamptz, due_at timestamptz,
  attempt integer, error text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT b.alert_id, b.kind, b.org_id, b.integration_type, b.state, b.created_at, b.due_at, b.attempt, b.error
    FROM ((SELECT d.alert_id, d.kind, d.org_id, d.integration_type, 'dead'::text AS state, d.created_at,
                  NULL::timestamptz AS due_at, d.attempt, d.error, 1 AS rank
             FROM public.integration_alerts d
            WHERE d.died_at IS NOT NULL AND d.delivered_at IS NULL ORDER BY d.died_at LIMIT alert_backlog.max_rows)
          UNION ALL
          (SELECT w.alert_id, w.kind, w.org_id, w.integration_type,
                  CASE WHEN w.due_at = 'infinity' THEN 'held'
                       WHEN w.lease_until > pg_catalog.now() THEN 'claimed'
                       ELSE 'waiting' END,
                  w.created_at, NULLIF(w.due_at, 'infinity'), w.attempt, w.error, 2
             FROM public.integration_alerts w
            WHERE w.delivered_at IS NULL AND w.died_at IS NULL ORDER BY w.due_at LIMIT alert_backlog.max_rows)) b
   ORDER BY b.rank, b.due_at NULLS LAST, b.created_at, b.alert_id LIMIT alert_backlog.max_rows;
END;
COMMENT ON FUNCTION integration_health_private.alert_backlog(integer) IS 'Runs the query of get_alert_backlog.';

CREATE FUNCTION integration_health_private.alert_backlog_for_writer(max_rows integer)
RETURNS TABLE (
  alert_id uuid, kind text, org_id uuid, integration_type text, state text, created_at timestamptz, due_at timestamptz,
  attempt integer, error text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_max_rows(max_rows);
  PERFORM integration_health_private.require_all_rows(integration_health_private.relation('integration_alerts'));
  RETURN QUERY SELECT * FROM integration_health_private.alert_backlog(max_rows);
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_backlog_for_writer(integer) IS
  'Does the work of get_alert_backlog, for callers who may see all of it.';

CREATE FUNCTION integration_health_private.alert_backlog_for_admin(max_rows integer)
RETURNS TABLE (
  alert_id uuid, kind text, org_id uuid, integration_type text, state text, created_at timestamptz, due_at timestamptz,
  attempt integer, error text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  RETURN QUERY SELECT * FROM integration_health_private.alert_backlog_for_writer(max_rows);
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_backlog_for_admin(integer) IS
  'Calls alert_backlog_for_writer for global admins. Errors: as require_admin_role.';

CREATE FUNCTION public.get_alert_backlog(max_rows integer DEFAULT 100)
RETURNS TABLE (
  alert_id uuid, kind text, org_id uuid, integration_type text, state text, created_at timestamptz, due_at timestamptz,
  attempt integer, error text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF has_function_privilege('integration_health_private.alert_backlog_for_writer(integer)', 'EXECUTE') THEN
    RETURN QUERY SELECT * FROM integration_health_private.alert_backlog_for_writer(max_rows);
  ELSE
    RETURN QUERY SELECT * FROM integration_health_private.alert_backlog_for_admin(max_rows);
  END IF;
END
$$;
COMMENT ON FUNCTION public.get_alert_backlog(integer) IS
  'Returns at most max_rows alerts that are not delivered: first those that are dead, given up after the eighth attempt, '
  'then the others by due_at. state is dead, waiting (for its time, or for somebody to claim it), claimed (a worker is '
  'delivering it), or held (an earlier alert of the same incident comes first); error is what the last failed attempt '
  'reported. For the writer and global admins. Errors: 42501 for readers without the admin role, 22023 when max_rows is '
  'null or below 1, or for malformed claims, 55000 when row-level security applies to the owner of the function.';

-- ---------------------------------------------------------------------------------------------
-- Incidents: confirmed outages of a pair, or of most pairs of a type. A single failure of a pair is none. At most one
-- incident of a pair, and one of a type, is open.
-- ---------------------------------------------------------------------------------------------

-- A session plans the statements of failing checks when there is no incident yet, and may keep the plans while 100,000 pairs
-- fail. Of an empty table all plans cost the same, so no index but the two that begin with org_id may serve to find the open
-- incident of a pair. The same is true of the alerts of an incident.
CREATE TABLE public.integration_incidents (
  incident_id      uuid NOT NULL,
  org_id           uuid,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  cause            public.integration_failure_cause,
  started_at       timestamptz NOT NULL,
  confirmed_at     timestamptz NOT NULL,
  resolved_at      timestamptz,
  failures         integer NOT NULL,
  alerted_at       timestamptz,
  acknowledged_at  timestamptz,
  acknowledged_by  text,
  note             text,
  PRIMARY KEY (incident_id),
  CONSTRAINT confirmed_at_is_not_before_started_at CHECK (confirmed_at >= started_at),
  CONSTRAINT failures_is_not_negative CHECK (failures >= 0),
  CONSTRAINT note_is_at_most_2000_characters CHECK (pg_catalog.length(note) <= 2000)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX integration_incidents_open ON public.integration_incidents (org_id, integration_type)
  WHERE resolved_at IS NULL AND org_id IS NOT NULL;
CREATE UNIQUE INDEX integration_incidents_open_of_type ON public.integration_incidents (integration_type)
  WHERE resolved_at IS NULL AND org_id IS NULL;
CREATE INDEX integration_incidents_pair ON public.integration_incidents (org_id, integration_type, started_at);
CREATE INDEX integration_incidents_resolved ON public.integration_incidents (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX integration_incidents_unalerted ON public.integration_incidents (started_at)
  WHERE resolved_at IS NULL AND alerted_at IS NULL;
CREATE INDEX integration_incidents_alerted ON public.integration_incidents (alerted_at)
  WHERE resolved_at IS NULL AND acknowledged_at IS NULL;
ALTER TABLE public.integration_incidents ENABLE ROW LEVEL SECURITY;
CREATE POLICY integration_incidents_read ON public.integration_incidents
  FOR SELECT USING (org_id = ANY ((SELECT public.integration_health_org_ids())::uuid[])
                    AND public.integration_health_uncounted(org_id));
CREATE VIEW integration_health_private.incidents WITH (security_invoker = true) AS
  SELECT i.incident_id, i.org_id, i.integration_type, i.cause, i.started_at, i.confirmed_at, i.resolved_at, i.failures,
         i.alerted_at, i.acknowledged_at, i.acknowledged_by, i.note
    FROM public.integration_incidents i;
COMMENT ON TABLE public.integration_incidents IS
  'Confirmed outages of pairs and types. Written by the extension.';
COMMENT ON COLUMN public.integration_incidents.incident_id IS 'Key.';
COMMENT ON COLUMN public.integration_incidents.org_id IS 'Organisation; null for an incident of the type.';
COMMENT ON COLUMN public.integration_incidents.integration_type IS 'External system.';
COMMENT ON COLUMN public.integration_incidents.cause IS
  'Cause that the first failing check with one gave; null when none gave any.';
COMMENT ON COLUMN public.integration_incidents.started_at IS 'When the first failing check was made.';
COMMENT ON COLUMN public.integration_incidents.confirmed_at IS
  'When the check was made that reached failure_threshold; of a type, when the watch found it.';
COMMENT ON COLUMN public.integration_incidents.resolved_at IS
  'When the check was made that reached success_threshold; null while the incident is open.';
COMMENT ON COLUMN public.integration_incidents.failures IS
  'Number of failing checks; of a type, the highest number of failing pairs.';
COMMENT ON COLUMN public.integration_incidents.alerted_at IS
  'When an alert was last made; null while there is none, because of maintenance or an incident of the type.';
COMMENT ON COLUMN public.integration_incidents.acknowledged_at IS 'When somebody took it on; null if nobody has.';
COMMENT ON COLUMN public.integration_incidents.acknowledged_by IS 'Who did: sub of the claims; null when they have none.';
COMMENT ON COLUMN public.integration_incidents.note IS 'What they noted, at most 2000 characters.';
COMMENT ON INDEX public.integration_incidents_open IS 'At most one incident of a pair is open.';
COMMENT ON INDEX public.integration_incidents_open_of_type IS 'At most one incident of a type is open.';
COMMENT ON INDEX public.integration_incidents_pair IS 'Serves get_org_incidents.';
COMMENT ON INDEX public.integration_incidents_resolved IS 'Serves the reports on all organisations, and the cleanup.';
COMMENT ON INDEX public.integration_incidents_unalerted IS 'Finds the open incidents that nobody was told of.';
COMMENT ON INDEX public.integration_incidents_alerted IS 'Finds the open incidents to remind of.';
COMMENT ON POLICY integration_incidents_read ON public.integration_incidents IS
  'Callers see the organisations that their claims name.';
COMMENT ON VIEW integration_health_private.incidents IS 'integration_incidents, for PL/pgSQL (see names.sql).';

CREATE FUNCTION integration_health_private.send_incident(incident integration_health_private.incidents, happened text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.send_change(format(
    '{"event": "incident", "what": "%s", "incident_id": "%s", "org_id": %s, "integration_type": %s, "started_at": "%s"}',
    happened, incident.incident_id, COALESCE(to_json(incident.org_id)::text, 'null'), to_json(incident.integration_type),
    integration_health_private.utc_text(incident.started_at)));
END
$$;
COMMENT ON FUNCTION integration_health_private.send_incident(integration_health_private.incidents, text) IS
  'Sends the event that an incident was opened, acknowledged or resolved.';

CREATE FUNCTION integration_health_private.alert_incidents(
  incidents integration_health_private.incidents[], kind text, occasion text, due_at timestamptz)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  moment timestamptz := clock_timestamp();
  display_name text := integration_health_private.display_name(incidents[1].integration_type);
  written bigint;
BEGIN
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_alerts'));
  INSERT INTO integration_health_private.alerts AS a (
    alert_id, kind, org_id, integration_type, incident_id, payload, created_at, due_at, attempt)
  SELECT e.alert_id, $2, i.org_id, i.integration_type, i.incident_id,
         integration_health_private.alert_payload(
           $2, e.alert_id, moment, i.org_id, i.integration_type, display_name,
           jsonb_build_object(
             'incident_id', i.incident_id, 'cause', i.cause, 'failures', i.failures,
             'started_at', integration_health_private.utc_text(i.started_at),
             'confirmed_at', integration_health_private.utc_text(i.confirmed_at),
             'resolved_at', integration_health_private.utc_text(i.resolved_at))),
         moment, $4, 0
    FROM unnest($1) AS i
   CROSS JOIN LATERAL integration_health_private.alert_id($2 || ':' || i.incident_id::text || $3) AS e (alert_id)
      ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS written = ROW_COUNT;
  RETURN written;
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_incidents(
  integration_health_private.incidents[], text, text, timestamptz) IS
  'Writes the alerts of incidents of one type, one of each for each occasion, and returns how many were not there yet. '
  'Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.failing_types()
RETURNS text[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN ARRAY(SELECT i.integration_type FROM integration_health_private.incidents AS i
                WHERE i.org_id IS NULL AND i.resolved_at IS NULL);
END
$$;
COMMENT ON FUNCTION integration_health_private.failing_types() IS 'Returns the types that have an open incident.';

-- Whatever tells of an incident waits for these to end; the watch then tells of what is still open.
CREATE FUNCTION integration_health_private.muted(org_ids uuid[], of_type text)
RETURNS uuid[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  type_fails boolean := of_type = ANY (integration_health_private.failing_types());
BEGIN
  RETURN ARRAY(
    SELECT o.org_id FROM unnest(org_ids) AS o (org_id)
     WHERE EXISTS (SELECT FROM integration_health_private.maintenance AS m
                    WHERE m.ends_at > moment AND m.starts_at <= moment AND (m.org_id IS NULL OR m.org_id = o.org_id)
                      AND (m.integration_type IS NULL OR m.integration_type = of_type))
        OR o.org_id IS NOT NULL AND type_fails);
END
$$;
COMMENT ON FUNCTION integration_health_private.muted(uuid[], text) IS
  'Returns those of the organisations of whose incidents of a type no alert is made now: all pairs of the type or those of '
  'the organisation are under maintenance, or the type has an incident. Null stands for the incident of the type.';

CREATE FUNCTION integration_health_private.alert_opened(incidents integration_health_private.incidents[])
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN integration_health_private.alert_incidents(
    incidents, 'incident_opened', '',
    clock_timestamp() + CASE WHEN incidents[1].org_id IS NULL THEN interval '0' ELSE interval '60 seconds' END);
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_opened(integration_health_private.incidents[]) IS
  'Writes the alerts that incidents of pairs of one type, or one of a type, were opened. Those of pairs are not handed out '
  'for 60 seconds, in which it may turn out that all of the type fail. Errors: as alert_incidents.';

CREATE FUNCTION integration_health_private.first_failure(of_org uuid, of_type text)
RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (
    SELECT t.at FROM integration_health_private.transitions AS t
     WHERE t.org_id = of_org AND t.integration_type = of_type AND t.to_status = 'unhealthy'
       AND t.check_no > COALESCE((
             SELECT g.check_no FROM integration_health_private.transitions AS g
              WHERE g.org_id = of_org AND g.integration_type = of_type AND g.to_status <= 'degraded'
              ORDER BY g.check_no DESC LIMIT 1), 0)
     ORDER BY t.check_no LIMIT 1);
END
$$;
COMMENT ON FUNCTION integration_health_private.first_failure(uuid, text) IS
  'Returns when the first of the failures in a row of a pair was; checks that were unknown may lie between them.';

CREATE FUNCTION integration_health_private.open_incidents(
  type public.integration_types, org_ids uuid[], failures integer[], checked_at timestamptz[],
  causes public.integration_failure_cause[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  mutes uuid[];
  opened integration_health_private.incidents[];
  told integration_health_private.incidents[];
  written bigint;
BEGIN
  mutes := integration_health_private.muted(org_ids, type.integration_type);
  opened := ARRAY(
    SELECT ROW(gen_random_uuid(), f.org_id, type.integration_type, f.cause,
               LEAST(CASE WHEN f.failures > 1
                          THEN integration_health_private.first_failure(f.org_id, type.integration_type) END, f.checked_at),
               f.checked_at, NULL, f.failures, CASE WHEN f.org_id = ANY (mutes) THEN NULL ELSE moment END, NULL, NULL,
               NULL)::integration_health_private.incidents
      FROM unnest($2, $3, $4, $5) AS f (org_id, failures, checked_at, cause)
        -- A credential that was refused once is refused again.
     WHERE f.failures >= CASE f.cause WHEN 'auth' THEN 1 ELSE type.failure_threshold END
       AND (SELECT i.incident_id FROM integration_health_private.incidents AS i
             WHERE i.org_id = f.org_id AND i.integration_type = type.integration_type AND i.resolved_at IS NULL
             LIMIT 1) IS NULL);
  IF cardinality(opened) = 0 THEN
    RETURN;
  END IF;
  INSERT INTO integration_health_private.incidents SELECT o.* FROM unnest(opened) AS o;
  GET DIAGNOSTICS written = ROW_COUNT;
  IF written < cardinality(opened) THEN
    PERFORM integration_health_private.refuse_intrusion('integration_incidents');
  END IF;
  told := ARRAY(SELECT o FROM unnest(opened) AS o WHERE o.alerted_at IS NOT NULL);
  IF cardinality(told) > 0 THEN
    PERFORM integration_health_private.alert_opened(told);
  END IF;
  PERFORM integration_health_private.send_incident(o, 'opened') FROM unnest(opened) AS o;
END
$$;
COMMENT ON FUNCTION integration_health_private.open_incidents(
  public.integration_types, uuid[], integer[], timestamptz[], public.integration_failure_cause[]) IS
  'Opens an incident of each pair of a type whose failures in a row have reached failure_threshold, 1 for cause auth, and '
  'that has none open, and writes the alert of each unless it is muted. Errors: as follow_failures.';

CREATE FUNCTION integration_health_private.follow_failures(
  org_ids uuid[], integration_types text[], failures integer[], checked_at timestamptz[],
  causes public.integration_failure_cause[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  found_one record;
BEGIN
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_incidents'));
  -- By LATERAL and LIMIT, here and below, because a join could be planned to begin with the incidents while there are none.
  FOR found_one IN
    SELECT o.incident_id, f.cause
      FROM unnest($1, $2, $5) AS f (org_id, integration_type, cause)
     CROSS JOIN LATERAL (SELECT i.incident_id FROM integration_health_private.incidents AS i
                          WHERE i.org_id = f.org_id AND i.integration_type = f.integration_type AND i.resolved_at IS NULL
                          LIMIT 1) AS o
  LOOP
    UPDATE integration_health_private.incidents AS i
       SET failures = i.failures + 1, cause = COALESCE(i.cause, found_one.cause)
     WHERE i.incident_id = found_one.incident_id AND i.resolved_at IS NULL;
  END LOOP;
  PERFORM integration_health_private.open_incidents(
            integration_health_private.latest_type(f.integration_type), f.org_ids, f.failures, f.checked_at, f.causes)
     FROM (SELECT n.integration_type, array_agg(n.org_id) AS org_ids, array_agg(n.failures) AS failures,
                  array_agg(n.checked_at) AS checked_at, array_agg(n.cause) AS causes
             FROM unnest($1, $2, $3, $4, $5) AS n (org_id, integration_type, failures, checked_at, cause)
            GROUP BY n.integration_type) AS f;
END
$$;
COMMENT ON FUNCTION integration_health_private.follow_failures(
  uuid[], text[], integer[], timestamptz[], public.integration_failure_cause[]) IS
  'Called after failing checks that left their pairs with that many failures in a row: counts each in the open incident of '
  'the pair, or calls open_incidents. Errors: 55000 when a trigger or rule of the site is in the way.';

CREATE FUNCTION integration_health_private.resolve_incident(
  incident integration_health_private.incidents, resolved_at timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  is_told boolean;
BEGIN
  UPDATE integration_health_private.incidents AS i SET resolved_at = GREATEST($2, i.confirmed_at)
   WHERE i.incident_id = incident.incident_id AND i.resolved_at IS NULL
  RETURNING i.* INTO incident;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  PERFORM integration_health_private.send_incident(incident, 'resolved');
  IF incident.alerted_at IS NULL THEN
    RETURN;
  END IF;
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_alerts'));
  -- What no worker has seen yet has become pointless. Waits for a claim that is handing it out.
  DELETE FROM integration_health_private.alerts AS a WHERE a.incident_id = incident.incident_id AND a.claimed_at IS NULL;
  -- Writes the rows, although they stay as they are: a report of one in another session, which releases the alert that is
  -- written below, is waited for or waits.
  WITH handed_out AS (
    UPDATE integration_health_private.alerts AS a SET due_at = a.due_at WHERE a.incident_id = incident.incident_id
    RETURNING a.delivered_at IS NULL AND a.died_at IS NULL AS is_under_way
  )
  SELECT bool_or(h.is_under_way) INTO is_told FROM handed_out AS h;
  IF is_told IS NOT NULL THEN
    PERFORM integration_health_private.alert_incidents(
      ARRAY[incident], 'incident_resolved', '', CASE WHEN is_told THEN 'infinity' ELSE clock_timestamp() END);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.resolve_incident(integration_health_private.incidents, timestamptz) IS
  'Resolves an open incident, and writes the alert of it if anybody was told that it was opened: an alert that no worker has '
  'seen is withdrawn instead, and one that is being delivered comes first. Errors: as alert_incidents.';

CREATE FUNCTION integration_health_private.follow_recoveries(
  org_ids uuid[], integration_types text[], checked_at timestamptz[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  recovered record;
BEGIN
  FOR recovered IN
    SELECT o.incident, r.checked_at
      FROM unnest($1, $2, $3) AS r (org_id, integration_type, checked_at)
     CROSS JOIN LATERAL (SELECT i AS incident FROM integration_health_private.incidents AS i
                          WHERE i.org_id = r.org_id AND i.integration_type = r.integration_type AND i.resolved_at IS NULL
                          LIMIT 1) AS o
     WHERE (integration_health_private.latest_type(r.integration_type)).success_threshold = 1
  LOOP
    PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_incidents'));
    PERFORM integration_health_private.resolve_incident(recovered.incident, recovered.checked_at);
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.follow_recoveries(uuid[], text[], timestamptz[]) IS
  'Called after checks that ended a series of failures: resolves the incidents of their pairs where one such check is enough '
  'for the type; elsewhere the watch does, when there were enough. Errors: 55000 when a trigger or rule of the site is in '
  'the way.';

CREATE FUNCTION integration_health_private.acknowledge_any(id uuid, message text)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  incident integration_health_private.incidents;
BEGIN
  PERFORM integration_health_private.require_arguments('{incident_id}', ARRAY[id IS NULL]);
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_incidents'));
  UPDATE integration_health_private.incidents AS i
     SET acknowledged_at = clock_timestamp(), acknowledged_by = integration_health_private.claimed_subject(), note = message
   WHERE i.incident_id = id
  RETURNING i.* INTO incident;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'there is no such incident',
      HINT = 'get_org_incidents() lists the incidents of an organisation.';
  END IF;
  PERFORM integration_health_private.send_incident(incident, 'acknowledged');
  RETURN incident.acknowledged_at;
END
$$;
COMMENT ON FUNCTION integration_health_private.acknowledge_any(uuid, text) IS
  'Does the work of acknowledge_incident, for callers who may.';

CREATE FUNCTION integration_health_private.acknowledge_own(id uuid, message text)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_claims();
  IF NOT EXISTS (SELECT FROM integration_health_private.incidents AS i
                  WHERE i.incident_id = id AND i.org_id = ANY (integration_health_private.org_ids())) THEN
    PERFORM integration_health_private.require_admin_role();
  END IF;
  RETURN integration_health_private.acknowledge_any(id, message);
END
$$;
COMMENT ON FUNCTION integration_health_private.acknowledge_own(uuid, text) IS
  'Calls acknowledge_any for members of the organisation that has the incident, and for global admins. Errors: 42501 for '
  'others, whether there is such an incident or not.';

CREATE FUNCTION public.acknowledge_incident(incident_id uuid, note text DEFAULT NULL)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF has_function_privilege('integration_health_private.acknowledge_any(uuid, text)', 'EXECUTE') THEN
    RETURN integration_health_private.acknowledge_any(incident_id, note);
  END IF;
  RETURN integration_health_private.acknowledge_own(incident_id, note);
END
$$;
COMMENT ON FUNCTION public.acknowledge_incident(uuid, text) IS
  'Says that the caller has taken on an incident, with a note of at most 2000 characters, and returns when: nobody is '
  'reminded of it any more. Later calls replace who, when and the note. For members of the organisation, global admins and '
  'the writer. Errors: 42501 for others, whether there is such an incident or not; 22023 when incident_id is null, there is '
  'no such incident, or the claims are malformed; 23514 when the note is too long; 55000 when somebody else has a trigger '
  'or rule on the tables.';

CREATE FUNCTION integration_health_private.org_incidents(org_id uuid, since timestamptz)
RETURNS TABLE (
  incident_id uuid, integration_type text, display_name text, cause public.integration_failure_cause,
  started_at timestamptz, confirmed_at timestamptz, resolved_at timestamptz, failures integer, acknowledged_at timestamptz,
  acknowledged_by text, note text)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT i.incident_id, i.integration_type, t.display_name, i.cause, i.started_at, i.confirmed_at, i.resolved_at, i.failures,
         i.acknowledged_at, i.acknowledged_by, i.note
    FROM public.integration_incidents i
    JOIN public.integration_types t ON t.integration_type = i.integration_type
   WHERE i.org_id = org_incidents.org_id AND (i.resolved_at IS NULL OR i.resolved_at > org_incidents.since)
   ORDER BY i.resolved_at IS NOT NULL, i.started_at DESC, i.incident_id;
END;
COMMENT ON FUNCTION integration_health_private.org_incidents(uuid, timestamptz) IS 'Runs the query of get_org_incidents.';

CREATE FUNCTION public.get_org_incidents(org_id uuid, days integer DEFAULT 30)
RETURNS TABLE (
  incident_id uuid, integration_type text, display_name text, cause public.integration_failure_cause,
  started_at timestamptz, confirmed_at timestamptz, resolved_at timestamptz, failures integer, acknowledged_at timestamptz,
  acknowledged_by text, note text)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  since timestamptz := integration_health_private.readable_since_days(days);
BEGIN
  RETURN QUERY SELECT * FROM integration_health_private.org_incidents(get_org_incidents.org_id, since);
END
$$;
COMMENT ON FUNCTION public.get_org_incidents(uuid, integer) IS
  'Returns the incidents of an organisation that are open (resolved_at is null) or were resolved within the last days (1 to '
  '90), the open ones first, then the latest. No rows for a caller who may not see the organisation. Errors: 22023 when days '
  'is null or outside 1 to 90, or for malformed claims.';

CREATE FUNCTION integration_health_private.global_incidents(since timestamptz, max_rows integer)
RETURNS TABLE (
  incident_id uuid, org_id uuid, integration_type text, display_name text, cause public.integration_failure_cause,
  started_at timestamptz, confirmed_at timestamptz, resolved_at timestamptz, failures integer, acknowledged_at timestamptz,
  acknowledged_by text, note text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT i.incident_id, i.org_id, i.integration_type, t.display_name, i.cause, i.started_at, i.confirmed_at, i.resolved_at,
         i.failures, i.acknowledged_at, i.acknowledged_by, i.note
    FROM public.integration_incidents i
    JOIN public.integration_types t ON t.integration_type = i.integration_type
   WHERE i.resolved_at IS NULL OR i.resolved_at > global_incidents.since
   ORDER BY i.resolved_at IS NOT NULL, i.org_id IS NOT NULL, i.started_at DESC, i.incident_id
   LIMIT global_incidents.max_rows;
END;
COMMENT ON FUNCTION integration_health_private.global_incidents(timestamptz, integer) IS
  'Runs the query of get_global_incidents.';

CREATE FUNCTION public.get_global_incidents(days integer DEFAULT 30, max_rows integer DEFAULT 100)
RETURNS TABLE (
  incident_id uuid, org_id uuid, integration_type text, display_name text, cause public.integration_failure_cause,
  started_at timestamptz, confirmed_at timestamptz, resolved_at timestamptz, failures integer, acknowledged_at timestamptz,
  acknowledged_by text, note text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  since timestamptz;
BEGIN
  PERFORM integration_health_private.require_admin_role();
  since := integration_health_private.days_start(days);
  PERFORM integration_health_private.require_max_rows(max_rows);
  PERFORM integration_health_private.require_all_rows(integration_health_private.relation('integration_incidents'));
  RETURN QUERY SELECT * FROM integration_health_private.global_incidents(since, max_rows);
END
$$;
COMMENT ON FUNCTION public.get_global_incidents(integer, integer) IS
  'Returns at most max_rows incidents of all organisations that are open or were resolved within the last days (1 to 90): the '
  'open ones first, of these the types'' own (org_id is null), then the latest. Errors: 42501 as get_global_health_summary, '
  '22023 when days is null or outside 1 to 90, max_rows is null or below 1, or for malformed claims, 55000 when row-level '
  'security applies to the owner of the function.';

-- ---------------------------------------------------------------------------------------------
-- Active monitoring: when each pair is checked
-- ---------------------------------------------------------------------------------------------

-- Each claim changes due_at, the column by which claims find pairs, so these rows are updated often, and never as HOT
-- updates. The failures come from the status table, which claims only read, except to mark a probe.
CREATE TABLE public.integration_monitors (
  org_id           uuid NOT NULL,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  enabled          boolean NOT NULL DEFAULT true,
  due_at           timestamptz NOT NULL,
  claimed_at       timestamptz,
  planned_since    timestamptz,
  credential_expires_at timestamptz,
  PRIMARY KEY (org_id, integration_type),
  FOREIGN KEY (integration_type) REFERENCES public.integration_types (integration_type)
) WITH (fillfactor = 70);
SELECT integration_health_private.partition_table('public.integration_monitors');
CREATE INDEX integration_monitors_credential ON public.integration_monitors (credential_expires_at)
  WHERE credential_expires_at IS NOT NULL;
CREATE INDEX integration_monitors_due ON public.integration_monitors
  (integration_type, due_at) WHERE enabled;
COMMENT ON TABLE public.integration_monitors IS
  'The pairs to be checked, which claim_due_health_checks hands out.';
COMMENT ON COLUMN public.integration_monitors.org_id IS 'Organisation.';
COMMENT ON COLUMN public.integration_monitors.integration_type IS 'External system.';
COMMENT ON COLUMN public.integration_monitors.enabled IS 'Whether the pair is handed out.';
COMMENT ON COLUMN public.integration_monitors.due_at IS
  'When the pair may be handed out next. Filled by a trigger; changed by claims, and by checks that fail or end a '
  'series of failures.';
COMMENT ON COLUMN public.integration_monitors.claimed_at IS
  'When the pair was last handed out; null if it never was. Maintained by claims.';
COMMENT ON COLUMN public.integration_monitors.planned_since IS
  'When the monitor was last enabled again; null if it never was. No check is expected before this time. Maintained '
  'by a trigger.';
COMMENT ON COLUMN public.integration_monitors.credential_expires_at IS
  'When the credential of the pair expires; null when that is not known. Alerts say so 14, 7 and 1 days before.';
COMMENT ON INDEX public.integration_monitors_credential IS 'Finds the credentials that expire soon.';
COMMENT ON INDEX public.integration_monitors_due IS
  'Serves claim_due_health_checks. Begins with the type, so that a claim does not have to skip the pairs of passive '
  'types one by one.';

CREATE FUNCTION integration_health_private.share_of(length bigint, org_id uuid, integration_type text, seed bigint)
RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT (pg_catalog.uuid_hash_extended(org_id, pg_catalog.hashtextextended(integration_type COLLATE pg_catalog."C", seed))
          & 9223372036854775807) % (length + 1);
END;
COMMENT ON FUNCTION integration_health_private.share_of(bigint, uuid, text, bigint) IS
  'Returns a part of length, 0 to length: always the same for a given pair and seed, and different for different '
  'pairs.';

CREATE FUNCTION public.integration_monitor_first_due(
  org_id uuid, integration_type text, check_interval interval, since timestamptz)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT since + interval '1 microsecond' * integration_health_private.share_of(
           GREATEST(integration_health_private.micros(check_interval) - 1, 0), org_id, integration_type, 0);
END;
COMMENT ON FUNCTION public.integration_monitor_first_due(uuid, text, interval, timestamptz) IS
  'Internal. Returns a time within check_interval after since, always the same for a given pair, and different for '
  'different pairs.';

CREATE FUNCTION public.integration_monitor_ready_at(
  org_id uuid, integration_type text, claimed_at timestamptz, check_interval interval,
  max_backoff interval, failures integer)
RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  shortest bigint := integration_health_private.micros(check_interval);
  limit_of_wait bigint := integration_health_private.micros(max_backoff);
  wait bigint;
  longest bigint;
BEGIN
  IF org_id IS NULL OR integration_type IS NULL OR shortest IS NULL OR limit_of_wait IS NULL OR failures IS NULL THEN
    RETURN NULL;
  ELSIF claimed_at IS NULL OR NOT isfinite(claimed_at) THEN
    RETURN COALESCE(claimed_at, '-infinity');
  END IF;
  wait := integration_health_private.micros(integration_health_private.backoff(check_interval, max_backoff, failures));
  longest := CASE WHEN wait > limit_of_wait - wait / 10 THEN limit_of_wait ELSE wait + wait / 10 END;
  shortest := GREATEST(longest - wait / 10, shortest);
  RETURN claimed_at + interval '1 microsecond' * (
    shortest + CASE WHEN longest > shortest
                    THEN integration_health_private.share_of(longest - shortest, org_id, integration_type,
                                                             (extract(epoch FROM claimed_at) * 1000000)::bigint)
                    ELSE 0 END);
END
$$;
COMMENT ON FUNCTION public.integration_monitor_ready_at(uuid, text, timestamptz, interval, interval, integer) IS
  'Internal. Returns when a pair that was handed out at claimed_at may be handed out again after that many '
  'consecutive failures: after check_interval * 2^(failures - 1), at most max_backoff, with up to a tenth of jitter, '
  'and never less than check_interval. -infinity when claimed_at is null.';

CREATE FUNCTION integration_health_private.backoff(
  check_interval interval, max_backoff interval, failures integer)
RETURNS interval
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT interval '1 microsecond' * GREATEST(
    integration_health_private.micros(check_interval)::float8,
    LEAST(integration_health_private.micros(check_interval) * pg_catalog.power(2, LEAST(GREATEST(failures - 1, 0), 60)),
          integration_health_private.micros(max_backoff)::float8));
END;
COMMENT ON FUNCTION integration_health_private.backoff(interval, interval, integer) IS
  'Returns the wait after that many consecutive failures: check_interval * 2^(failures - 1), at least check_interval, '
  'at most max_backoff.';

CREATE FUNCTION integration_health_private.refuse_null_interval()
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = '55000',
    MESSAGE = 'column "check_interval" or "max_backoff" of table "integration_types" is null',
    HINT = 'Set a value, and restore the NOT NULL constraint of the column.';
END
$$;
COMMENT ON FUNCTION integration_health_private.refuse_null_interval() IS
  'Refuses a type with a null interval, after a site has altered integration_types: nothing tells when a pair is due. '
  'Errors: 55000, always.';

CREATE FUNCTION integration_health_private.first_due_of(org_id uuid, integration_type text)
RETURNS timestamptz
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT GREATEST(
           public.integration_monitor_first_due(
             first_due_of.org_id, first_due_of.integration_type, COALESCE(t.check_interval, interval '15 minutes'), w.now),
           CASE WHEN s.checked_at IS NOT NULL
                THEN LEAST(s.checked_at, w.now)
                     + interval '1 microsecond' * integration_health_private.micros(t.check_interval) END)
    FROM (SELECT pg_catalog.clock_timestamp() OFFSET 0) AS w (now)
    LEFT JOIN public.integration_types t ON t.integration_type = first_due_of.integration_type
    LEFT JOIN public.integration_health_status s
      ON s.org_id = first_due_of.org_id AND s.integration_type = t.integration_type
   WHERE CASE WHEN t.integration_type IS NOT NULL AND t.check_interval IS NULL
              THEN integration_health_private.refuse_null_interval() IS NOT NULL ELSE true END;
END;
COMMENT ON FUNCTION integration_health_private.first_due_of(uuid, text) IS
  'Returns when a new or re-enabled monitor of a pair is due: within the check_interval of its type, and not before '
  'one has passed since the last recorded check. Errors: 55000 as refuse_null_interval.';

CREATE FUNCTION public.integration_monitors_trigger()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_trigger(
    'integration_monitors_trigger', 'integration_monitors', 'monitors', TG_RELID, TG_NARGS,
    TG_WHEN = 'BEFORE' AND TG_LEVEL = 'ROW' AND TG_OP <> 'DELETE');
  IF TG_OP = 'UPDATE' THEN
    -- No check was expected while the monitor was disabled. Many may be enabled at once, so those that have become due
    -- meanwhile are spread.
    NEW.planned_since := clock_timestamp();
    IF NEW.due_at <= NEW.planned_since THEN
      NEW.due_at := integration_health_private.first_due_of(NEW.org_id, NEW.integration_type);
    END IF;
  ELSIF NEW.org_id IS NULL OR NEW.integration_type IS NULL THEN
    NULL;
  ELSIF NEW.due_at IS NOT NULL THEN
    PERFORM integration_health_private.hold_type(NEW.integration_type);
  ELSE
    NEW.due_at := integration_health_private.first_due_of(NEW.org_id, NEW.integration_type);
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION public.integration_monitors_trigger() IS
  'Trigger function of integration_monitors: spreads the first checks of new and re-enabled pairs over the interval '
  'of their type. Errors: 39P01 when not called by its trigger, 42809 when called for another table, 55000 as '
  'first_due_of.';

CREATE TRIGGER zz_integration_monitors_stamp
  BEFORE INSERT ON public.integration_monitors
  FOR EACH ROW EXECUTE FUNCTION public.integration_monitors_trigger();
COMMENT ON TRIGGER zz_integration_monitors_stamp ON public.integration_monitors IS
  'Sets when a new pair is due; a row inserted with due_at is a restored one.';
CREATE TRIGGER zz_integration_monitors_enable
  BEFORE UPDATE ON public.integration_monitors
  FOR EACH ROW WHEN (NEW.enabled AND NOT OLD.enabled)
  EXECUTE FUNCTION public.integration_monitors_trigger();
COMMENT ON TRIGGER zz_integration_monitors_enable ON public.integration_monitors IS
  'Sets since when a re-enabled pair is checked again, and when it is due.';

-- Under another key, a pair would be handed out again within its interval.
CREATE TRIGGER zz_integration_monitors_key
  BEFORE UPDATE ON public.integration_monitors
  FOR EACH ROW WHEN ((NEW.org_id, NEW.integration_type) IS DISTINCT FROM (OLD.org_id, OLD.integration_type))
  EXECUTE FUNCTION integration_health_private.refuse_new_key();
COMMENT ON TRIGGER zz_integration_monitors_key ON public.integration_monitors IS 'Refuses a change of the key.';

ALTER TABLE public.integration_monitors ENABLE ROW LEVEL SECURITY;

CREATE POLICY integration_monitors_read ON public.integration_monitors
  FOR SELECT USING (org_id = ANY ((SELECT public.integration_health_org_ids())::uuid[])
                    AND public.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_monitors_read ON public.integration_monitors IS
  'Callers see the organisations that their claims name.';

-- A single expression, so that it is inlined: reports and jobs evaluate it for up to a million pairs.
CREATE FUNCTION integration_health_private.stale_at(
  checked_at timestamptz, failures integer,
  monitoring_mode public.integration_monitoring_mode, check_interval interval, max_backoff interval,
  type_since timestamptz, enabled boolean, claimed_at timestamptz, due_at timestamptz, enabled_since timestamptz)
RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT CASE WHEN monitoring_mode = 'active' AND enabled IS NOT FALSE THEN
    LEAST(GREATEST(GREATEST(checked_at, type_since, enabled_since)
                   + CASE WHEN enabled THEN integration_health_private.backoff(check_interval, max_backoff, failures)
                          ELSE check_interval END,
                   CASE WHEN claimed_at <= checked_at OR claimed_at IS NULL THEN due_at END),
          GREATEST(checked_at, type_since, enabled_since)
          + 2 * CASE WHEN enabled THEN integration_health_private.backoff(check_interval, max_backoff, failures)
                     ELSE check_interval END)
    + CASE WHEN enabled THEN integration_health_private.backoff(check_interval, max_backoff, failures)
           ELSE check_interval END
  END;
END;
COMMENT ON FUNCTION integration_health_private.stale_at(
  timestamptz, integer, public.integration_monitoring_mode, interval, interval, timestamptz, boolean,
  timestamptz, timestamptz, timestamptz) IS
  'Returns the time after which a pair that was last checked at checked_at, and has that many consecutive failures, '
  'is stale. A check is expected within check_interval, or within the backoff if a monitor waits for that, or when '
  'the monitor is due if that is later; the pair is stale when as much time again has passed. Nothing is expected '
  'before type_since (planned_since or passive_until of the type) or enabled_since (planned_since of the monitor). '
  'Null when nothing is expected: the type is passive, or the monitor disabled. enabled is null when the pair has no '
  'monitor.';

-- due_at depends on the intervals of the type, and is computed again when they change. Monitors that somebody has
-- locked are skipped, not waited for: a claim in flight may want the row of the type next.
CREATE FUNCTION integration_health_private.plan_monitors(integration_type text)
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_monitors'::regclass]);
  UPDATE public.integration_monitors m
     SET due_at = n.due_at
    FROM (SELECT o.org_id, o.integration_type, CASE
                   WHEN r.ready_at > pg_catalog.now() THEN r.ready_at
                   ELSE LEAST(o.due_at, public.integration_monitor_first_due(
                          o.org_id, o.integration_type, t.check_interval, pg_catalog.now())) END AS due_at
            FROM public.integration_monitors o
            JOIN public.integration_types t ON t.integration_type = o.integration_type
            LEFT JOIN public.integration_health_status s
              ON s.org_id = o.org_id AND s.integration_type = o.integration_type
           CROSS JOIN LATERAL public.integration_monitor_ready_at(
                   o.org_id, o.integration_type, o.claimed_at, t.check_interval, t.max_backoff,
                   COALESCE(s.consecutive_failures, 0)) AS r (ready_at)
           WHERE o.integration_type = plan_monitors.integration_type AND o.due_at > pg_catalog.now()
             FOR NO KEY UPDATE OF o SKIP LOCKED) n
   WHERE m.org_id = n.org_id AND m.integration_type = n.integration_type AND m.due_at <> n.due_at;
END;
COMMENT ON FUNCTION integration_health_private.plan_monitors(text) IS
  'Computes due_at again for those pairs of a type that are not due yet. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.plan_monitors_of_type()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF (NEW.check_interval, NEW.max_backoff) IS DISTINCT FROM (OLD.check_interval, OLD.max_backoff)
     AND NEW.created_at = OLD.created_at THEN
    PERFORM integration_health_private.plan_monitors(NEW.integration_type);
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.plan_monitors_of_type() IS
  'Trigger function of integration_types, after an update: computes due_at again for the pairs of a type whose '
  'intervals have changed. Ignores restored rows. Errors: 55000 as plan_monitors.';

CREATE TRIGGER zz_integration_types_plan_monitors
  AFTER UPDATE ON public.integration_types
  FOR EACH ROW EXECUTE FUNCTION integration_health_private.plan_monitors_of_type();
COMMENT ON TRIGGER zz_integration_types_plan_monitors ON public.integration_types IS
  'Computes due_at again for the pairs of a type whose intervals have changed.';

CREATE FUNCTION public.set_monitor(
  org_id uuid, integration_type text, enabled boolean DEFAULT NULL)
RETURNS public.integration_monitors
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO public.integration_monitors AS m (org_id, integration_type, enabled)
  VALUES (set_monitor.org_id, set_monitor.integration_type, COALESCE(set_monitor.enabled, true))
  ON CONFLICT (org_id, integration_type) DO UPDATE
     SET enabled = COALESCE(set_monitor.enabled, m.enabled)
  RETURNING m;
END;
COMMENT ON FUNCTION public.set_monitor(uuid, text, boolean) IS
  'Sets whether the pair is to be checked, and returns its row. If enabled is null or omitted, it stays as it is; it '
  'is true for a new pair. A new pair is due within the check_interval of its type. Errors: 23502 when org_id or '
  'integration_type is null, 23503 for an unknown integration_type, 42501 when the caller is not a writer.';

-- The engine's access to rows of monitors: in the C edition always the latest version, whatever the isolation level.
-- Rows are locked so that nobody else hands them out.
CREATE FUNCTION integration_health_private.latest_monitor(org_id uuid, integration_type text)
RETURNS public.integration_monitors
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  monitor public.integration_monitors;
BEGIN
  SELECT m.* INTO monitor FROM public.integration_monitors AS m
   WHERE m.org_id = latest_monitor.org_id AND m.integration_type = latest_monitor.integration_type;
  RETURN monitor;
END
$$;
COMMENT ON FUNCTION integration_health_private.latest_monitor(uuid, text) IS
  'Returns the monitor of a pair as committed now; null when there is none.';

CREATE FUNCTION integration_health_private.lock_monitor(org_id uuid, integration_type text)
RETURNS public.integration_monitors
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  monitor public.integration_monitors;
BEGIN
  SELECT m.* INTO monitor FROM public.integration_monitors AS m
   WHERE m.org_id = lock_monitor.org_id AND m.integration_type = lock_monitor.integration_type
     FOR NO KEY UPDATE SKIP LOCKED;
  RETURN monitor;
END
$$;
COMMENT ON FUNCTION integration_health_private.lock_monitor(uuid, text) IS
  'Locks the monitor of a pair and returns it; null when there is none, or when somebody else has locked it.';

CREATE FUNCTION integration_health_private.lock_due_monitors(of_type text, moment timestamptz, max_rows bigint)
RETURNS SETOF public.integration_monitors
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY
  SELECT m.* FROM public.integration_monitors AS m
   WHERE m.integration_type = of_type AND m.enabled AND m.due_at <= moment
   ORDER BY m.due_at LIMIT max_rows FOR NO KEY UPDATE SKIP LOCKED;
END
$$;
COMMENT ON FUNCTION integration_health_private.lock_due_monitors(text, timestamptz, bigint) IS
  'Locks and returns at most max_rows enabled monitors of a type that are due at moment, the longest overdue first, '
  'and skips those that somebody else has locked.';

-- One plan serves one row as well as thousands, so it must use the primary key in any case.
CREATE FUNCTION integration_health_private.store_monitors(
  of_type text, org_ids uuid[], claimed_at timestamptz[], due_at timestamptz[])
RETURNS SETOF public.integration_monitors
LANGUAGE plpgsql VOLATILE STRICT
SET enable_hashjoin = off SET enable_mergejoin = off SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_monitors'::regclass]);
  -- LIMIT keeps the planner from joining the other way round, which would read the whole table: that is what it does with
  -- statistics from when the table was empty.
  RETURN QUERY
  UPDATE public.integration_monitors AS m SET claimed_at = n.claimed_at, due_at = n.due_at
    FROM unnest(org_ids, store_monitors.claimed_at, store_monitors.due_at) AS n (org_id, claimed_at, due_at)
   CROSS JOIN LATERAL (SELECT x.tableoid, x.ctid FROM public.integration_monitors AS x
                        WHERE x.org_id = n.org_id AND x.integration_type = of_type LIMIT 1) AS p (part, place)
   WHERE m.tableoid = p.part AND m.ctid = p.place
  RETURNING m.*;
END
$$;
COMMENT ON FUNCTION integration_health_private.store_monitors(text, uuid[], timestamptz[], timestamptz[]) IS
  'Writes claimed_at and due_at of monitors of a type, which must be locked, and returns their rows. Errors: 55000 as '
  'require_own_triggers.';

CREATE FUNCTION integration_health_private.mark_probe(org_id uuid, integration_type text)
RETURNS public.integration_health_status
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  marked public.integration_health_status;
BEGIN
  PERFORM FROM public.integration_health_status AS s
    WHERE s.org_id = mark_probe.org_id AND s.integration_type = mark_probe.integration_type FOR NO KEY UPDATE SKIP LOCKED;
  IF FOUND THEN
    PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_health_status'::regclass]);
    UPDATE public.integration_health_status AS s SET is_probe = true
     WHERE s.org_id = mark_probe.org_id AND s.integration_type = mark_probe.integration_type
    RETURNING s.* INTO marked;
  END IF;
  RETURN marked;
END
$$;
COMMENT ON FUNCTION integration_health_private.mark_probe(uuid, text) IS
  'Notes in the status row of a pair that its next check answers a probe, and returns the row; null when there is '
  'none, or when somebody else has locked it. Errors: 55000 as require_own_triggers.';

-- ---------------------------------------------------------------------------------------------
-- What follows from checks. The engine calls follow_checks for the few checks from which something follows, as many at once
-- as it can, and count_change when a pair is deleted.
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.append_count(
  integration_type text, status public.integration_health_state, delta bigint)
RETURNS public.integration_health_counts
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  appended public.integration_health_counts;
BEGIN
  PERFORM integration_health_private.require_own_triggers(
    VARIADIC ARRAY['public.integration_health_counts'::regclass]);
  INSERT INTO public.integration_health_counts AS c (integration_type, status, delta)
  VALUES (append_count.integration_type, append_count.status, append_count.delta) RETURNING c.* INTO appended;
  IF NOT FOUND THEN
    PERFORM integration_health_private.refuse_intrusion('integration_health_counts');
  END IF;
  RETURN appended;
END
$$;
COMMENT ON FUNCTION integration_health_private.append_count(text, public.integration_health_state, bigint) IS
  'Adds delta to the number of pairs of a type that have a status, and returns the appended row. Errors: 55000 as '
  'require_own_triggers, or when a rule or trigger of the site kept the row from being written.';

CREATE FUNCTION integration_health_private.fold_counts()
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_health_counts'::regclass]);
  -- Only sums with more than one row are folded. Rows that another fold has locked are left to it.
  WITH crowded AS MATERIALIZED (
    SELECT c.integration_type, c.status FROM public.integration_health_counts c
     GROUP BY c.integration_type, c.status HAVING pg_catalog.count(*) > 1
  ), gone AS (
    DELETE FROM public.integration_health_counts d
     WHERE d.ctid = ANY (ARRAY(
       SELECT c.ctid FROM public.integration_health_counts c
         JOIN crowded k ON c.integration_type = k.integration_type AND c.status = k.status
          FOR UPDATE OF c SKIP LOCKED))
    RETURNING d.integration_type, d.status, d.delta
  ), kept AS (
    INSERT INTO public.integration_health_counts (integration_type, status, delta)
    SELECT g.integration_type, g.status, pg_catalog.sum(g.delta)::bigint FROM gone g
     GROUP BY g.integration_type, g.status HAVING pg_catalog.sum(g.delta) <> 0
  )
  SELECT pg_catalog.count(*) FROM gone;
END;
COMMENT ON FUNCTION integration_health_private.fold_counts() IS
  'Does the work of integration_health_compact. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION public.integration_health_compact()
RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT integration_health_private.note_job('integration_health_counts');
  SELECT integration_health_private.fold_counts();
END;
COMMENT ON FUNCTION public.integration_health_compact() IS
  'Folds the rows of integration_health_counts into one per type and status, and returns how many rows it replaced. '
  'Blocks no writer, and changes no count. Errors: 55000 when somebody else has a trigger or rule on the table.';

CREATE FUNCTION integration_health_private.count_pairs(
  integration_type text, was public.integration_health_state, is_now public.integration_health_state, pairs bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF was IS NOT NULL THEN
    PERFORM integration_health_private.append_count(integration_type, was, -pairs);
  END IF;
  IF is_now IS NOT NULL THEN
    PERFORM integration_health_private.append_count(integration_type, is_now, pairs);
  END IF;
  -- Keeps the table small where no job runs. Not above READ COMMITTED, where a row that another fold has deleted would
  -- cause a serialization failure.
  IF random() < 0.001 AND current_setting('transaction_isolation') = 'read committed' THEN
    PERFORM integration_health_private.fold_counts();
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.count_pairs(
  text, public.integration_health_state, public.integration_health_state, bigint) IS
  'Counts pairs that changed from one status to another; was is null for new pairs, is_now for deleted ones. Folds the '
  'counts once in a thousand calls. Errors: 55000 when a trigger or rule of the site is in the way.';

CREATE FUNCTION integration_health_private.count_change(
  integration_type text, was public.integration_health_state, is_now public.integration_health_state)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.count_pairs($1, $2, $3, 1);
END
$$;
COMMENT ON FUNCTION integration_health_private.count_change(
  text, public.integration_health_state, public.integration_health_state) IS
  'Calls count_pairs for a single pair. Errors: as count_pairs.';

CREATE FUNCTION integration_health_private.send_change(event text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  sent integer;
BEGIN
  -- Events take memory: after 10000 of them, a transaction sends one overflow event instead of the rest.
  sent := COALESCE(NULLIF(current_setting('integration_health_private.changes_sent', true), ''), '0')::integer;
  IF sent < 10000 THEN
    PERFORM integration_health_private.send_event(event);
  ELSIF sent = 10000 THEN
    PERFORM integration_health_private.send_event('{"event": "overflow"}');
  ELSE
    RETURN;
  END IF;
  PERFORM set_config('integration_health_private.changes_sent', (sent + 1)::text, true);
END
$$;
COMMENT ON FUNCTION integration_health_private.send_change(text) IS
  'Sends an event of which a transaction may have very many.';

CREATE FUNCTION integration_health_private.send_transitions(
  org_ids uuid[], integration_types text[], was public.integration_health_state[],
  is_now public.integration_health_state[], checked_at timestamptz[], check_nos bigint[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.send_change(format(
            '{"event": "status", "org_id": "%s", "integration_type": %s, "from": %s, "to": "%s", "checked_at": "%s", '
            '"check_no": %s}',
            c.org_id, to_json(c.integration_type), COALESCE(to_json(c.was)::text, 'null'), c.is_now,
            integration_health_private.utc_text(c.checked_at), c.check_no))
     FROM unnest($1, $2, $3, $4, $5, $6) AS c (org_id, integration_type, was, is_now, checked_at, check_no)
    WHERE c.was IS DISTINCT FROM c.is_now;
END
$$;
COMMENT ON FUNCTION integration_health_private.send_transitions(
  uuid[], text[], public.integration_health_state[], public.integration_health_state[], timestamptz[], bigint[]) IS
  'Sends the events of the transitions among these checks.';

CREATE FUNCTION integration_health_private.move_monitors(org_ids uuid[], integration_types text[], failures integer[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Does not wait for a claim that has locked a monitor: it is handing the pair out, or has read the failures itself.
  PERFORM integration_health_private.store_monitors(
            n.integration_type, array_agg(n.org_id), array_agg(n.claimed_at),
            array_agg(CASE WHEN n.failures > 0 THEN GREATEST(n.due_at, n.ready_at) ELSE LEAST(n.due_at, n.ready_at) END))
     FROM (SELECT (l.monitor).org_id, (l.monitor).integration_type, (l.monitor).claimed_at, (l.monitor).due_at, l.failures,
                  integration_health_private.ready_at(
                    (l.monitor).org_id, (l.monitor).integration_type, LEAST((l.monitor).claimed_at, clock_timestamp()),
                    (l.type).check_interval, (l.type).max_backoff, l.failures) AS ready_at
             FROM (SELECT integration_health_private.lock_monitor(c.org_id, c.integration_type) AS monitor,
                          integration_health_private.latest_type(c.integration_type) AS type, c.failures
                     FROM unnest($1, $2, $3) AS c (org_id, integration_type, failures) OFFSET 0) AS l
            WHERE (l.monitor).claimed_at IS NOT NULL OFFSET 0) AS n
    GROUP BY n.integration_type;
END
$$;
COMMENT ON FUNCTION integration_health_private.move_monitors(uuid[], text[], integer[]) IS
  'Sets due_at of the monitors of different pairs after checks that left the pairs with that many failures in a row. Errors: '
  '55000 as store_monitors.';

CREATE FUNCTION integration_health_private.forget_changes(org_id uuid, integration_type text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_own_triggers(
    integration_health_private.relation('integration_health_transitions'),
    integration_health_private.relation('integration_health_days'),
    integration_health_private.relation('integration_incidents'),
    integration_health_private.relation('integration_alerts'));
  DELETE FROM integration_health_private.transitions AS t WHERE t.org_id = $1 AND t.integration_type = $2;
  DELETE FROM integration_health_private.days AS d WHERE d.org_id = $1 AND d.integration_type = $2;
  DELETE FROM integration_health_private.incidents AS i WHERE i.org_id = $1 AND i.integration_type = $2;
  DELETE FROM integration_health_private.alerts AS a WHERE a.org_id = $1 AND a.integration_type = $2;
END
$$;
COMMENT ON FUNCTION integration_health_private.forget_changes(uuid, text) IS
  'Deletes the transitions, days, incidents and alerts of a pair. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.follow_checks(
  org_ids uuid[], integration_types text[], was public.integration_health_state[],
  is_now public.integration_health_state[], failures_before integer[], failures integer[], checked_at timestamptz[],
  check_nos bigint[], http_statuses integer[], causes public.integration_failure_cause[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET enable_seqscan = off SET jit = off SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF was IS DISTINCT FROM is_now THEN
    PERFORM integration_health_private.append_transitions($1, $2, $8, $7, $3, $4, $10);
    PERFORM integration_health_private.count_pairs(c.integration_type, c.was, c.is_now, count(*))
       FROM unnest($2, $3, $4) AS c (integration_type, was, is_now)
      WHERE c.was IS DISTINCT FROM c.is_now
      GROUP BY c.integration_type, c.was, c.is_now;
    PERFORM integration_health_private.send_transitions($1, $2, $3, $4, $7, $8);
  END IF;

  IF failures <> failures_before THEN
    PERFORM integration_health_private.follow_failures(
              array_agg(c.org_id), array_agg(c.integration_type), array_agg(c.failures), array_agg(c.checked_at),
              array_agg(c.cause))
       FROM unnest($1, $2, $5, $6, $7, $10) AS c (org_id, integration_type, failures_before, failures, checked_at, cause)
      WHERE c.failures > c.failures_before
     HAVING count(*) > 0;
    PERFORM integration_health_private.follow_recoveries(
              array_agg(c.org_id), array_agg(c.integration_type), array_agg(c.checked_at))
       FROM unnest($1, $2, $5, $6, $7) AS c (org_id, integration_type, failures_before, failures, checked_at)
      WHERE c.failures < c.failures_before
     HAVING count(*) > 0;
    -- After one failure a pair waits no longer than after none; after a second one it does.
    PERFORM integration_health_private.move_monitors(
              array_agg(c.org_id), array_agg(c.integration_type), array_agg(c.failures))
       FROM unnest($1, $2, $3, $5, $6) AS c (org_id, integration_type, was, failures_before, failures)
      WHERE c.was IS NOT NULL AND c.failures_before <> c.failures AND (c.failures_before > 1 OR c.failures > 1)
     HAVING count(*) > 0;
  END IF;

  IF array_position(was, NULL) IS NOT NULL THEN
    -- Not left to commit, as it is for later checks, because a deferred trigger would have to fire for every new row.
    PERFORM integration_health_private.end_passive_mode(
              integration_health_private.latest_type(f.integration_type), f.org_ids, false)
       FROM (SELECT c.integration_type, array_agg(c.org_id) AS org_ids
               FROM unnest($1, $2, $3, $9) AS c (org_id, integration_type, was, http_status)
              WHERE c.was IS NULL AND c.http_status IS DISTINCT FROM 429
              GROUP BY c.integration_type) AS f;
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.follow_checks(
  uuid[], text[], public.integration_health_state[], public.integration_health_state[], integer[], integer[],
  timestamptz[], bigint[], integer[], public.integration_failure_cause[]) IS
  'Called by the engine after checks of different pairs that are the first of their pair, or changed the status or the number '
  'of failures in a row: appends the transitions, counts and reports them, opens and resolves incidents, moves monitors, and '
  'ends the passive mode of a type if the first check of a pair answers its probe. An element of was is null for the first '
  'check of a pair. Errors: 55000 when a trigger or rule of the site is in the way.';

-- What a session calls that loaded the library of version 1.0 before the extension was updated, however far.
CREATE FUNCTION integration_health_private.follow_change(
  org_id uuid, integration_type text, was public.integration_health_state, is_now public.integration_health_state,
  failures_before integer, failures integer, checked_at timestamptz, check_no bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.follow_checks(
    ARRAY[$1], ARRAY[$2], ARRAY[$3], ARRAY[$4], ARRAY[$5], ARRAY[$6], ARRAY[$7], ARRAY[$8], '{NULL}', '{NULL}');
END
$$;
COMMENT ON FUNCTION integration_health_private.follow_change(
  uuid, text, public.integration_health_state, public.integration_health_state, integer, integer,
  timestamptz, bigint) IS
  'Calls follow_checks for the engine of version 1.0, which knows neither days nor causes. Errors: as follow_checks.';

CREATE FUNCTION integration_health_private.follow_first_check(
  org_id uuid, integration_type text, status public.integration_health_state, http_status integer, checked_at timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.follow_checks(
    ARRAY[$1], ARRAY[$2], '{NULL}', ARRAY[$3], '{0}', ARRAY[CASE $3::text WHEN 'unhealthy' THEN 1 ELSE 0 END], ARRAY[$5],
    '{1}', ARRAY[$4], '{NULL}');
END
$$;
COMMENT ON FUNCTION integration_health_private.follow_first_check(
  uuid, text, public.integration_health_state, integer, timestamptz) IS
  'Calls follow_checks for the engine of version 1.0, after the first check of a pair. Errors: as follow_checks.';

-- ---------------------------------------------------------------------------------------------
-- Passive mode: a rate-limited type is left alone, and becomes active again by itself
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.lock_mode(integration_type text, may_wait boolean)
RETURNS public.integration_types
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  waits boolean := may_wait AND COALESCE(current_setting('integration_health_private.holds_mode', true), '') <> 'on';
BEGIN
  -- A transaction that holds such a lock waits for no other, so that two transactions which find several types limited,
  -- in different orders, do not deadlock. What is skipped here, the next rate-limited check does.
  IF waits THEN
    PERFORM set_config('integration_health_private.holds_mode', 'on', true);
  END IF;
  RETURN integration_health_private.lock_type(integration_type, NOT waits);
END
$$;
COMMENT ON FUNCTION integration_health_private.lock_mode(text, boolean) IS
  'Locks the row of a type, to change its mode, and returns it. Does not wait if may_wait is false, or if the '
  'transaction has locked a type for this before: null when somebody else has locked the row.';

CREATE FUNCTION integration_health_private.alert_mode(kind text, of_type text, passive_since timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.enqueue_alert(
    kind, of_type || ':' || COALESCE(integration_health_private.utc_text(passive_since), ''), NULL, of_type,
    jsonb_build_object('passive_since', integration_health_private.utc_text(passive_since)));
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_mode(text, text, timestamptz) IS
  'Writes the alert that a type, passive since then, has gone passive or is active again. Errors: as enqueue_alert.';

CREATE FUNCTION integration_health_private.apply_rate_limit(
  type public.integration_types, asked_until timestamptz, by_probe boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  waits_until timestamptz;
BEGIN
  -- Decided before the lock, so that most rate-limited checks need not wait for it, and again under it.
  FOR pass IN 1 .. 2 LOOP
    waits_until := CASE WHEN asked_until IS NOT NULL THEN LEAST(asked_until, moment + type.max_backoff) END;
    IF type.integration_type IS NULL
       OR (type.monitoring_mode = 'active'
           OR by_probe AND type.passive_until <> waits_until
           OR COALESCE(type.passive_until, '-infinity') < waits_until) IS NOT TRUE THEN
      RETURN;
    ELSIF pass = 1 THEN
      type := integration_health_private.lock_mode(type.integration_type, true);
    END IF;
  END LOOP;

  IF type.monitoring_mode <> 'active' THEN
    type.passive_until := waits_until;
    PERFORM integration_health_private.store_type(type);
    RETURN;
  END IF;
  type.monitoring_mode := 'passive';
  type.passive_since := moment;
  -- Readers of all organisations see the reason, so it names none of them.
  type.passive_reason := 'HTTP 429';
  type.probes := 0;
  type.passive_until := GREATEST(COALESCE(waits_until, moment + type.check_interval),
                                 CASE WHEN type.passive_until > moment THEN type.passive_until END);
  type := integration_health_private.store_type(type);
  PERFORM integration_health_private.send_event(format(
    '{"event": "passive", "integration_type": %s, "since": "%s", "until": %s}',
    to_json(type.integration_type), integration_health_private.utc_text(moment),
    COALESCE(to_json(integration_health_private.utc_text(type.passive_until))::text, 'null')));
  PERFORM integration_health_private.alert_mode('type_passive', type.integration_type, type.passive_since);
END
$$;
COMMENT ON FUNCTION integration_health_private.apply_rate_limit(
  public.integration_types, timestamptz, boolean) IS
  'Puts a type into passive mode. If it is passive already, a later asked_until, or that of a probe, replaces '
  'passive_until. asked_until is null when the external system gave no time. Errors: 55000 as store_type.';

-- The overdue pairs would otherwise all be checked at once. Their number is limited, because this is done on behalf of
-- a single check.
CREATE FUNCTION integration_health_private.spread_due_monitors(
  of_type text, check_interval interval, moment timestamptz)
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT pg_catalog.count(*) FROM (
      SELECT pg_catalog.array_agg(m.org_id) AS org_ids, pg_catalog.array_agg(m.claimed_at) AS claimed_at,
             pg_catalog.array_agg(public.integration_monitor_first_due(
               m.org_id, m.integration_type, spread_due_monitors.check_interval, spread_due_monitors.moment)) AS due_at
        FROM integration_health_private.lock_due_monitors(
               spread_due_monitors.of_type, spread_due_monitors.moment, 10000) m) d
   CROSS JOIN LATERAL integration_health_private.store_monitors(
           spread_due_monitors.of_type, d.org_ids, d.claimed_at, d.due_at) s;
END;
COMMENT ON FUNCTION integration_health_private.spread_due_monitors(text, interval, timestamptz) IS
  'Spreads the pairs of a type that are due at moment, at most 10000 of them, over the check_interval after it, and '
  'returns how many. Errors: 55000 as store_monitors.';

CREATE FUNCTION integration_health_private.resume_type(type public.integration_types)
RETURNS public.integration_types
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  was_active boolean := type.monitoring_mode = 'active';
  since timestamptz := type.passive_since;
  moment timestamptz := clock_timestamp();
BEGIN
  PERFORM integration_health_private.guard('integration_monitors');
  type.monitoring_mode := 'active';
  type.passive_until := NULL;
  type := integration_health_private.store_type(type);
  IF NOT was_active THEN
    PERFORM integration_health_private.spread_due_monitors(type.integration_type, type.check_interval, moment);
    PERFORM integration_health_private.send_event(
      format('{"event": "active", "integration_type": %s}', to_json(type.integration_type)));
    PERFORM integration_health_private.alert_mode('type_active', type.integration_type, since);
  END IF;
  RETURN type;
END
$$;
COMMENT ON FUNCTION integration_health_private.resume_type(public.integration_types) IS
  'Puts a type, whose row must be locked, into active mode, spreads its overdue pairs over the next check_interval if '
  'it was passive, and returns its row. Errors: 55000 as store_type and store_monitors.';

CREATE FUNCTION integration_health_private.has_probe(type public.integration_types, org_ids uuid[])
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF type.monitoring_mode <> 'active' THEN
    RETURN EXISTS (
      SELECT FROM unnest(org_ids) AS o (org_id)
       WHERE (integration_health_private.latest_monitor(o.org_id, type.integration_type)).claimed_at >= type.passive_since);
  END IF;
  RETURN false;
END
$$;
COMMENT ON FUNCTION integration_health_private.has_probe(public.integration_types, uuid[]) IS
  'Returns whether the pair of one of the organisations is a probe of the type: the type is passive, and the pair has been '
  'handed out since it went passive.';

CREATE FUNCTION integration_health_private.end_passive_mode(
  type public.integration_types, org_ids uuid[], may_wait boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF integration_health_private.has_probe(type, org_ids) THEN
    -- Checked again under the lock.
    type := integration_health_private.lock_mode(type.integration_type, may_wait);
    IF integration_health_private.has_probe(type, org_ids) THEN
      PERFORM integration_health_private.resume_type(type);
    END IF;
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.end_passive_mode(public.integration_types, uuid[], boolean) IS
  'Puts a type into active mode when the pair of one of the organisations is its probe, which has been answered. Leaves that '
  'to the next probe when somebody else has locked the type and may_wait is false. Errors: 55000 as resume_type.';

CREATE FUNCTION integration_health_private.resume_monitoring(of_type text, OUT type public.integration_types)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_arguments('{integration_type}', ARRAY[of_type IS NULL]);
  type := integration_health_private.lock_type(of_type, false);
  IF type.integration_type IS NULL THEN
    PERFORM integration_health_private.refuse_type(of_type);
  END IF;
  type := integration_health_private.resume_type(type);
END
$$;
COMMENT ON FUNCTION integration_health_private.resume_monitoring(text) IS 'Does the work of resume_active_monitoring.';

CREATE FUNCTION public.resume_active_monitoring(integration_type text)
RETURNS public.integration_types
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.resume_monitoring(resume_active_monitoring.integration_type);
END;
COMMENT ON FUNCTION public.resume_active_monitoring(text) IS
  'Puts a type back into active mode, whatever its passive_until, which is cleared, and returns its row. Overdue '
  'pairs, at most 10000 of them, are spread over the next check_interval. Errors: 22023 when there is no such type, '
  '55000 when somebody else has a trigger or rule on the tables.';

-- ---------------------------------------------------------------------------------------------
-- Leases of checks: hands each due pair to one monitor, and to no other until the pair is due again
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.has_waited(
  passive_until timestamptz, max_backoff interval, moment timestamptz)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT COALESCE(passive_until, '-infinity') <= moment
      OR pg_catalog.isfinite(passive_until)
         AND passive_until > moment + interval '1 microsecond' * integration_health_private.micros(max_backoff);
END;
COMMENT ON FUNCTION integration_health_private.has_waited(timestamptz, interval, timestamptz) IS
  'Returns whether the time for which a type asked to be left alone is over at moment. A time further ahead than '
  'max_backoff was set while the clock was wrong, and counts as over.';

CREATE FUNCTION integration_health_private.heal_monitors(moment timestamptz, max_rows integer)
RETURNS void
LANGUAGE sql VOLATILE SET enable_hashjoin = off SET enable_mergejoin = off
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_monitors'::regclass]);
  WITH ahead AS MATERIALIZED (
    SELECT d.org_id, t.integration_type, t.check_interval
      FROM public.integration_types t
     CROSS JOIN LATERAL (
           SELECT x.org_id FROM public.integration_monitors x
            WHERE x.integration_type = t.integration_type AND x.enabled
              AND x.due_at > heal_monitors.moment + t.max_backoff + t.max_backoff
            LIMIT heal_monitors.max_rows FOR NO KEY UPDATE SKIP LOCKED) AS d
  )
  UPDATE public.integration_monitors m
     SET claimed_at = CASE WHEN m.claimed_at > heal_monitors.moment THEN heal_monitors.moment ELSE m.claimed_at END,
         due_at = public.integration_monitor_first_due(m.org_id, m.integration_type, a.check_interval, heal_monitors.moment)
    FROM ahead a
   WHERE m.org_id = a.org_id AND m.integration_type = a.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.heal_monitors(timestamptz, integer) IS
  'Computes due_at again for at most max_rows pairs of each type that are due more than twice max_backoff after '
  'moment: only a clock that was ahead can have set that. Errors: 55000 as require_own_triggers.';

-- A single expression, so that it is inlined. A pair that was handed out before, and has since been due for more than
-- two intervals because nobody asked for work, is spread over the interval after the next: otherwise all such pairs
-- would stay due together from now on.
CREATE FUNCTION integration_health_private.next_lease(
  org_id uuid, integration_type text, claimed_at timestamptz, due_at timestamptz, failures integer, check_interval interval,
  max_backoff interval, moment timestamptz)
RETURNS TABLE (new_claimed_at timestamptz, new_due_at timestamptz)
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
  SELECT CASE WHEN r.ready_at <= moment THEN moment ELSE claimed_at END,
         CASE WHEN r.ready_at > moment THEN r.ready_at
              WHEN claimed_at < due_at AND due_at < moment - check_interval - check_interval
              THEN public.integration_monitor_first_due(org_id, integration_type, check_interval, r.next_due_at)
              ELSE r.next_due_at END
    FROM (SELECT public.integration_monitor_ready_at(
                   org_id, integration_type, CASE WHEN claimed_at > moment THEN moment ELSE claimed_at END,
                   check_interval, max_backoff, failures) AS ready_at,
                 public.integration_monitor_ready_at(
                   org_id, integration_type, moment, check_interval, max_backoff, 0) AS next_due_at) AS r;
END;
COMMENT ON FUNCTION integration_health_private.next_lease(
  uuid, text, timestamptz, timestamptz, integer, interval, interval, timestamptz) IS
  'Returns the new claimed_at and due_at of a pair that is due at moment and has that many failures in a row: handed '
  'out or, where its backoff has not ended, with claimed_at unchanged.';

CREATE FUNCTION integration_health_private.move_due_monitors(
  of_type text, check_interval interval, max_backoff interval, moment timestamptz, max_rows bigint)
RETURNS TABLE (org_id uuid, claimed_at timestamptz, due_at timestamptz)
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT s.org_id, s.claimed_at, s.due_at FROM (
      SELECT pg_catalog.array_agg(m.org_id) AS org_ids, pg_catalog.array_agg(n.new_claimed_at) AS claimed_at,
             pg_catalog.array_agg(n.new_due_at) AS due_at
        FROM integration_health_private.lock_due_monitors(
               move_due_monitors.of_type, move_due_monitors.moment, move_due_monitors.max_rows) m
        LEFT JOIN public.integration_health_status h ON h.org_id = m.org_id AND h.integration_type = m.integration_type
       CROSS JOIN LATERAL integration_health_private.next_lease(
               m.org_id, m.integration_type, m.claimed_at, m.due_at, COALESCE(h.consecutive_failures, 0),
               move_due_monitors.check_interval, move_due_monitors.max_backoff, move_due_monitors.moment) n) d
   CROSS JOIN LATERAL integration_health_private.store_monitors(
           move_due_monitors.of_type, d.org_ids, d.claimed_at, d.due_at) s;
END;
COMMENT ON FUNCTION integration_health_private.move_due_monitors(text, interval, interval, timestamptz, bigint) IS
  'Applies next_lease to at most max_rows pairs of a type that are due at moment, and returns the rows as stored. '
  'Errors: 55000 as store_monitors.';

CREATE FUNCTION integration_health_private.lease_pairs(
  type public.integration_types, moment timestamptz, wanted bigint)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  -- How many pairs the claim may pass over that are due but still in backoff.
  may_pass_by bigint := 16 + 3 * wanted;
  leased bigint := 0;
  asked_for bigint;
  moved bigint;
  monitor record;
BEGIN
  WHILE leased < wanted AND may_pass_by > 0 LOOP
    asked_for := wanted - leased;
    moved := 0;
    FOR monitor IN SELECT m.* FROM integration_health_private.move_due_monitors(
      type.integration_type, type.check_interval, type.max_backoff, moment, asked_for) AS m
    LOOP
      moved := moved + 1;
      IF monitor.due_at IS NULL OR monitor.due_at <= moment THEN
        PERFORM integration_health_private.refuse_intrusion('integration_monitors');
      END IF;
      IF monitor.claimed_at = moment THEN
        leased := leased + 1;
        org_id := monitor.org_id;
        integration_type := type.integration_type;
        due_at := monitor.due_at;
        check_interval := type.check_interval;
        RETURN NEXT;
      ELSE
        may_pass_by := may_pass_by - 1;
      END IF;
    END LOOP;
    EXIT WHEN moved < asked_for;
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.lease_pairs(public.integration_types, timestamptz, bigint) IS
  'Hands out at most wanted pairs of a type that are due at moment, and skips those that somebody else is handing '
  'out; pairs in backoff wait until that ends. Errors: 55000 when something on the table keeps a pair due that was '
  'moved on.';

CREATE FUNCTION integration_health_private.lease_probe(type public.integration_types, moment timestamptz)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  -- Waits for no lock: whoever has locked the type, or the status of the pair, is about to change it.
  type := integration_health_private.lock_type(type.integration_type, true);
  IF type.integration_type IS NULL OR type.monitoring_mode <> 'passive'
     OR NOT integration_health_private.has_waited(type.passive_until, type.max_backoff, moment) THEN
    RETURN;
  END IF;
  SELECT * INTO org_id, integration_type, due_at, check_interval
    FROM integration_health_private.lease_pairs(type, moment, 1) AS c;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  -- The next probe waits twice as long as this one did, whether this one is not answered or is rate limited again.
  type.passive_until := moment + integration_health_private.backoff(
    type.check_interval, type.max_backoff, COALESCE(LEAST(type.probes, 1000), 0) + 2);
  type.probes := type.probes + 1;
  PERFORM integration_health_private.store_type(type);
  PERFORM integration_health_private.mark_probe(org_id, type.integration_type);
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION integration_health_private.lease_probe(public.integration_types, timestamptz) IS
  'Hands out one pair of a passive type that has waited long enough, as its probe. Errors: 55000 as lease_pairs and '
  'store_type.';

-- The type whose pair is longest overdue comes first, so that no type starves another.
CREATE FUNCTION integration_health_private.due_types(moment timestamptz)
RETURNS SETOF text
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT d.integration_type FROM public.integration_types d
   CROSS JOIN LATERAL (SELECT (
           SELECT m.due_at FROM public.integration_monitors m
            WHERE m.integration_type = d.integration_type AND m.enabled AND m.due_at <= due_types.moment
            ORDER BY m.due_at LIMIT 1) OFFSET 0) AS o (due_at)
   WHERE (d.monitoring_mode = 'active' OR d.passive_until IS NOT NULL)
     AND integration_health_private.has_waited(d.passive_until, d.max_backoff, due_types.moment)
     AND o.due_at IS NOT NULL
   ORDER BY o.due_at, d.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.due_types(timestamptz) IS
  'Returns the types of which a pair may be handed out at moment; for a passive type, that pair is its probe.';

CREATE FUNCTION integration_health_private.lease_of_type(
  type public.integration_types, moment timestamptz, wanted bigint)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF type.check_interval IS NULL OR type.max_backoff IS NULL THEN
    PERFORM integration_health_private.refuse_null_interval();
  ELSIF type.monitoring_mode = 'passive' THEN
    RETURN QUERY SELECT * FROM integration_health_private.lease_probe(type, moment);
  ELSE
    RETURN QUERY SELECT * FROM integration_health_private.lease_pairs(type, moment, wanted);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.lease_of_type(public.integration_types, timestamptz, bigint) IS
  'Calls lease_probe for a passive type, lease_pairs for an active one. Errors: 55000 as these, or as '
  'refuse_null_interval.';

-- When all monitors are due, the planner would rather read and sort them all, so sequential scans are off. The penalty
-- for those would in turn trigger JIT compilation, so that is off, too.
CREATE FUNCTION integration_health_private.lease_checks(max_rows integer)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_custom_plan SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  moment timestamptz := clock_timestamp();
  wanted bigint := max_rows;
  leased bigint;
  of_type text;
BEGIN
  PERFORM integration_health_private.require_max_rows(max_rows);
  PERFORM integration_health_private.heal_monitors(moment, max_rows);
  FOR of_type IN SELECT t FROM integration_health_private.due_types(moment) AS t LOOP
    EXIT WHEN wanted <= 0;
    RETURN QUERY SELECT * FROM integration_health_private.lease_of_type(
      integration_health_private.latest_type(of_type), moment, wanted);
    GET DIAGNOSTICS leased = ROW_COUNT;
    wanted := wanted - leased;
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.lease_checks(integer) IS 'Does the work of claim_due_health_checks.';

CREATE FUNCTION public.claim_due_health_checks(max_rows integer DEFAULT 100)
RETURNS TABLE (
  org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT l.org_id, l.integration_type, l.due_at, l.check_interval
    FROM integration_health_private.lease_checks(claim_due_health_checks.max_rows) AS l;
END;
COMMENT ON FUNCTION public.claim_due_health_checks(integer) IS
  'Hands out at most max_rows due pairs of active types, each to one caller, and not again before its check_interval '
  'has passed. due_at is when the pair is due next, unless its check fails: then it waits check_interval * '
  '2^(failures - 1), at most max_backoff. Of a passive type whose passive_until has passed, one pair is handed out as '
  'a probe; the type becomes active again when that pair is checked and was not rate limited. Errors: 22023 when '
  'max_rows is null or below 1, 55000 when somebody else has a trigger or rule on the tables.';

-- ---------------------------------------------------------------------------------------------
-- Recording of checks
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION public.record_health_check(
  org_id uuid, integration_type text, status public.integration_health_state,
  latency_ms integer DEFAULT NULL, http_status integer DEFAULT NULL, error text DEFAULT NULL,
  checked_at timestamptz DEFAULT pg_catalog.now(), retry_after integer DEFAULT NULL,
  cause public.integration_failure_cause DEFAULT NULL)
RETURNS public.integration_health_status
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO public.integration_health_status AS s
         (org_id, integration_type, status, latency_ms, http_status, error, retry_after,
          checked_at, cause)
  VALUES (record_health_check.org_id, record_health_check.integration_type,
          record_health_check.status, record_health_check.latency_ms,
          record_health_check.http_status, record_health_check.error,
          record_health_check.retry_after,
          COALESCE(record_health_check.checked_at, pg_catalog.now()), record_health_check.cause)
  ON CONFLICT (org_id, integration_type) DO UPDATE
     SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms,
         http_status = EXCLUDED.http_status, error = EXCLUDED.error,
         retry_after = EXCLUDED.retry_after, checked_at = EXCLUDED.checked_at, cause = EXCLUDED.cause
  RETURNING s;
END;
COMMENT ON FUNCTION public.record_health_check(
  uuid, text, public.integration_health_state, integer, integer, text, timestamptz, integer,
  public.integration_failure_cause) IS
  'Records one check and returns the status row of the pair. latency_ms is in milliseconds, http_status is 100 to '
  '599, error has at most 2000 characters, checked_at is now() when null and never later than the recording, '
  'retry_after is the number of seconds that an HTTP 429 asked for, cause says why a check failed where http_status '
  'does not. A check older than the current one goes into the '
  'history only. Errors: 23502 when org_id, integration_type or status is null, 23503 for an unknown '
  'integration_type, 23514 for a value out of range, 42501 when the caller is not a writer.';

-- Round n holds the n-th check by time of each pair, in byte order of the keys, so that two callers, or a caller and a
-- writer who sorts the same way, cannot deadlock.
CREATE FUNCTION integration_health_private.entry_rounds(checks jsonb)
RETURNS TABLE (
  org_ids uuid[], types text[], statuses public.integration_health_state[], latencies integer[], http_statuses integer[],
  errors text[], retries integer[], times timestamptz[],
  causes public.integration_failure_cause[])
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT pg_catalog.array_agg(o.org_id), pg_catalog.array_agg(o.integration_type), pg_catalog.array_agg(o.status),
         pg_catalog.array_agg(o.latency_ms), pg_catalog.array_agg(o.http_status), pg_catalog.array_agg(o.error),
         pg_catalog.array_agg(o.retry_after), pg_catalog.array_agg(o.checked_at), pg_catalog.array_agg(o.cause)
    FROM (SELECT e.org_id, e.integration_type, e.status, e.latency_ms, e.http_status, e.error, e.cause,
                 e.retry_after::integer AS retry_after, COALESCE(e.checked_at, pg_catalog.now()) AS checked_at,
                 pg_catalog.row_number() OVER (PARTITION BY e.org_id, e.integration_type
                                               ORDER BY COALESCE(e.checked_at, pg_catalog.now()), e.place) AS round
            FROM ROWS FROM (pg_catalog.jsonb_to_recordset(entry_rounds.checks) AS (
                   org_id uuid, integration_type text, status public.integration_health_state, latency_ms integer,
                   http_status integer, error text, retry_after numeric, checked_at timestamptz,
                   cause public.integration_failure_cause))
                 WITH ORDINALITY AS e (org_id, integration_type, status, latency_ms, http_status, error, retry_after,
                                       checked_at, cause, place)
           ORDER BY round, e.org_id, e.integration_type COLLATE pg_catalog."C") AS o
   GROUP BY o.round ORDER BY o.round;
END;
COMMENT ON FUNCTION integration_health_private.entry_rounds(jsonb) IS
  'Returns the entries of an array of checks, as one row for each set that can be recorded in a single statement. '
  'Errors: 22P02, 22003, 22007 or 22008 when a value is not one of its type.';

CREATE FUNCTION integration_health_private.record_round(
  org_ids uuid[], types text[], statuses public.integration_health_state[], latencies integer[], http_statuses integer[],
  errors text[], retries integer[], times timestamptz[],
  causes public.integration_failure_cause[])
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  WITH recorded AS (
    INSERT INTO public.integration_health_status AS s
           (org_id, integration_type, status, latency_ms, http_status, error, retry_after, checked_at, cause)
    SELECT * FROM ROWS FROM (
      pg_catalog.unnest(org_ids), pg_catalog.unnest(types), pg_catalog.unnest(statuses), pg_catalog.unnest(latencies),
      pg_catalog.unnest(http_statuses), pg_catalog.unnest(errors), pg_catalog.unnest(retries), pg_catalog.unnest(times),
      pg_catalog.unnest(causes))
    ON CONFLICT (org_id, integration_type) DO UPDATE
       SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms, http_status = EXCLUDED.http_status,
           error = EXCLUDED.error, retry_after = EXCLUDED.retry_after, checked_at = EXCLUDED.checked_at,
           cause = EXCLUDED.cause
    RETURNING 1
  )
  SELECT pg_catalog.count(*) FROM recorded;
END;
COMMENT ON FUNCTION integration_health_private.record_round(
  uuid[], text[], public.integration_health_state[], integer[], integer[], text[], integer[], timestamptz[],
  public.integration_failure_cause[]) IS
  'Records checks of different pairs with the caller''s rights, and returns how many. Errors: those of '
  'integration_health_status.';

CREATE FUNCTION integration_health_private.record_entries(checks jsonb)
RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  r record;
  recorded integer := 0;
BEGIN
  FOR r IN SELECT * FROM integration_health_private.entry_rounds(checks) LOOP
    recorded := recorded + integration_health_private.record_round(
      r.org_ids, r.types, r.statuses, r.latencies, r.http_statuses, r.errors, r.retries, r.times,
      r.causes);
  END LOOP;
  RETURN recorded;
END
$$;
COMMENT ON FUNCTION integration_health_private.record_entries(jsonb) IS
  'Records the entries of an array with the caller''s rights, and returns how many. Errors: those of the tables and '
  'their types.';

CREATE FUNCTION integration_health_private.clip_values(message text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT "left"(pg_catalog.string_agg(integration_health_private.echo(p.part), '"' ORDER BY p.place), 1000)
    FROM pg_catalog.string_to_table(message, '"') WITH ORDINALITY AS p (part, place);
END;
COMMENT ON FUNCTION integration_health_private.clip_values(text) IS
  'Returns a message of the server with at most 100 characters of anything that it quotes, and 1000 in all.';

CREATE FUNCTION integration_health_private.refuse_entry(place bigint, problem text, detail text, choices text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  message text := format('checks[%s]: %s', place, problem);
  hint text := concat_ws(' ', choices, 'Nothing was recorded. Correct the entry and send all of them again.');
BEGIN
  IF detail <> '' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = message, DETAIL = detail, HINT = hint;
  END IF;
  RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = message, HINT = hint;
END
$$;
COMMENT ON FUNCTION integration_health_private.refuse_entry(bigint, text, text, text) IS
  'Refuses the entry at place, counted from 0, and says what is wrong with it; choices, unless it is null, is a '
  'sentence that says what would be right. Errors: 22023, always.';

CREATE FUNCTION integration_health_private.require_known_keys(checks jsonb)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  keys constant text[] := '{org_id,integration_type,status,latency_ms,http_status,error,checked_at,retry_after,cause}';
  bad record;
BEGIN
  IF checks IS NULL OR jsonb_typeof(checks) <> 'array' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'checks must be a JSON array of objects';
  END IF;
  -- Otherwise a misspelt key would be ignored silently, and a cast would round retry_after or read it from a string.
  SELECT e.place - 1 AS place, e.entry,
         CASE WHEN jsonb_typeof(e.entry) = 'object'
              THEN (SELECT k FROM jsonb_object_keys(e.entry) AS k WHERE k <> ALL (keys) LIMIT 1)
         END AS key
    INTO bad
    FROM jsonb_array_elements(checks) WITH ORDINALITY AS e (entry, place)
   WHERE CASE WHEN jsonb_typeof(e.entry) <> 'object' THEN true
              WHEN e.entry - keys <> '{}' THEN true
              WHEN COALESCE(e.entry -> 'retry_after', 'null') = 'null' THEN false
              WHEN jsonb_typeof(e.entry -> 'retry_after') <> 'number' THEN true
              ELSE (e.entry ->> 'retry_after')::numeric NOT BETWEEN 0 AND 31536000
                   OR (e.entry ->> 'retry_after')::numeric % 1 <> 0 END
   ORDER BY e.place LIMIT 1;
  IF FOUND THEN
    PERFORM integration_health_private.refuse_entry(
      bad.place,
      CASE WHEN jsonb_typeof(bad.entry) <> 'object' THEN 'the entry is not a JSON object'
           WHEN bad.key IS NOT NULL THEN format('unknown key "%s"', integration_health_private.echo(bad.key))
           ELSE 'retry_after is not a whole number of seconds from 0 to 31536000' END, NULL, NULL);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_known_keys(jsonb) IS
  'Checks the shape of an array of checks. Errors: 22023 when it is not an array, or an entry is not an object, has '
  'an unknown key, or has a retry_after that is not a whole number of seconds from 0 to 31536000.';

CREATE FUNCTION integration_health_private.blame_entry(checks jsonb)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  entry jsonb;
  place bigint;
  code text;
  problem text;
  detail text;
BEGIN
  FOR entry, place IN SELECT e.entry, e.place - 1
                        FROM jsonb_array_elements(checks) WITH ORDINALITY AS e (entry, place) ORDER BY e.place LOOP
    PERFORM integration_health_private.record_entries(jsonb_build_array(entry));
  END LOOP;
  -- Rolls all of them back.
  RAISE EXCEPTION USING ERRCODE = 'IH001';
EXCEPTION
  WHEN data_exception OR integrity_constraint_violation THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, problem = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    -- Under this search_path the server qualifies the name of the type.
    problem := regexp_replace(problem, '(enum )\S+\.(integration_)', '\1\2');
    PERFORM integration_health_private.refuse_entry(
      place, integration_health_private.clip_values(problem), integration_health_private.clip_values(detail),
      CASE WHEN code = '23503' THEN
             format('The types are %s.', NULLIF(integration_health_private.echo(integration_health_private.type_names()), ''))
           WHEN code = '22P02' AND strpos(problem, 'integration_health_state') > 0
           THEN 'Use healthy, degraded, unhealthy or unknown.'
           WHEN code = '22P02' AND strpos(problem, 'integration_failure_cause') > 0
           THEN 'Use auth, rate_limited, configuration, server, timeout, dns, connect, tls or other, or leave it out.' END);
  WHEN SQLSTATE 'IH001' THEN
    NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.blame_entry(jsonb) IS
  'Records the entries of an array one by one, and rolls them back. Errors: 22023, naming the first entry that fails, '
  'and what is wrong with it.';

CREATE FUNCTION public.record_health_checks(checks jsonb)
RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_known_keys(checks);
  BEGIN
    RETURN integration_health_private.record_entries(checks);
  EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
    PERFORM integration_health_private.blame_entry(checks);
    -- Every entry can be recorded alone, but not all of them together.
    RAISE;
  END;
END
$$;
COMMENT ON FUNCTION public.record_health_checks(jsonb) IS
  'Records an array of objects with the keys org_id, integration_type and status and, optionally, latency_ms, '
  'http_status, error, cause, checked_at (as in record_health_check) and, for http_status 429, retry_after (the whole '
  'seconds that the external system asked for), all or none, and returns how many. Checks of one pair are recorded in '
  'the order of checked_at. Errors: 22023 with the position (from 0) of the first bad entry and what is wrong with '
  'it; 42501 when the caller is not a writer.';

-- ---------------------------------------------------------------------------------------------
-- Schedules of syncs, and their periods
-- ---------------------------------------------------------------------------------------------

CREATE TABLE integration_health_private.time_zones (
  name text COLLATE pg_catalog."C" PRIMARY KEY
);
COMMENT ON TABLE integration_health_private.time_zones IS
  'The names in pg_timezone_names, kept for reports on many schedules because that view takes a tenth of a second to '
  'read.';
COMMENT ON COLUMN integration_health_private.time_zones.name IS 'Name of a time zone.';
ALTER TABLE integration_health_private.time_zones ENABLE ROW LEVEL SECURITY;

CREATE FUNCTION integration_health_private.refresh_time_zones()
RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  DELETE FROM integration_health_private.time_zones z
   WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_timezone_names n WHERE n.name = z.name);
  INSERT INTO integration_health_private.time_zones (name)
  SELECT n.name FROM pg_catalog.pg_timezone_names n ON CONFLICT DO NOTHING;
END;
COMMENT ON FUNCTION integration_health_private.refresh_time_zones() IS
  'Reads the names of the time zones again. For the owner, after an update of the server''s time zones that has '
  'removed one.';
SELECT integration_health_private.refresh_time_zones();

CREATE FUNCTION integration_health_private.instant(at timestamptz)
RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE WHEN at = 'infinity' THEN 2305843009213693951
              WHEN at = '-infinity' THEN -2305843009213693951
              ELSE LEAST((extract(epoch FROM at) - 946684800) * 1000000, 2305843009213693951)::bigint END;
END;
COMMENT ON FUNCTION integration_health_private.instant(timestamptz) IS
  'Returns a time in microseconds since 2000-01-01 00:00 UTC; for one that is too far away, the farthest that counts '
  'as a time.';

CREATE FUNCTION integration_health_private.time_of(instant bigint)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  -- Days and seconds separately, because a floating-point number holds the microseconds of only 285 years.
  SELECT pg_catalog.timezone('UTC', timestamp '2000-01-01'
           + pg_catalog.make_interval(days => (instant / 86400000000)::integer,
                                      secs => (instant % 86400000000)::float8 / 1000000));
END;
COMMENT ON FUNCTION integration_health_private.time_of(bigint) IS
  'Returns the time at an instant: the inverse of instant().';

CREATE FUNCTION public.integration_sync_every_is_valid(every interval)
RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE WHEN e.months < 0 OR e.days < 0 OR e.micros < 0 THEN false
              WHEN e.months = 0 AND e.days = 0 THEN e.micros BETWEEN 60000000 AND 3660 * 86400000000
              ELSE e.micros = 0 AND e.months <= 120 AND e.days <= 3660 END
    FROM (SELECT extract(year FROM every) * 12 + extract(month FROM every) AS months,
                 extract(day FROM every) AS days,
                 extract(hour FROM every) * 3600000000 + extract(minute FROM every) * 60000000
                   + extract(microseconds FROM every) AS micros) AS e;
END;
COMMENT ON FUNCTION public.integration_sync_every_is_valid(interval) IS
  'Returns whether a schedule may have the interval every: days and months (at most 3660 and 120), or a time from 1 '
  'minute to 3660 days, but not both.';

CREATE FUNCTION public.integration_sync_time_zone_is_valid(time_zone text)
RETURNS boolean
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN EXISTS (SELECT FROM integration_health_private.time_zones AS z WHERE z.name = time_zone)
         OR EXISTS (SELECT FROM pg_timezone_names AS n WHERE n.name = time_zone);
END
$$;
COMMENT ON FUNCTION public.integration_sync_time_zone_is_valid(text) IS
  'Returns whether time_zone is the name of a time zone, spelt as in pg_timezone_names.';

CREATE FUNCTION public.integration_sync_key(
  org_id uuid, integration_type text, scheduled_for timestamptz)
RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN org_id::text || ':' || integration_type || ':' || integration_health_private.utc_text(scheduled_for);
END
$$;
COMMENT ON FUNCTION public.integration_sync_key(uuid, text, timestamptz) IS
  'Returns the idempotency key of a period: org_id:integration_type:period, with the period in UTC as ISO 8601.';

CREATE TABLE public.integration_sync_schedules (
  org_id           uuid NOT NULL,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  every            interval NOT NULL,
  anchor           timestamptz NOT NULL,
  time_zone        text NOT NULL DEFAULT 'UTC',
  enabled          boolean NOT NULL DEFAULT true,
  warm_up_url      text,
  max_attempts     integer NOT NULL DEFAULT 5,
  retry_backoff    interval NOT NULL DEFAULT '1 minute',
  planned_since    timestamptz NOT NULL,
  due_at           timestamptz NOT NULL,
  warm_up_for      timestamptz NOT NULL,
  pruned_until     timestamptz,
  PRIMARY KEY (org_id, integration_type),
  FOREIGN KEY (integration_type) REFERENCES public.integration_types (integration_type),
  CONSTRAINT every_is_days_and_months_or_a_time_of_at_least_1_minute
    CHECK (public.integration_sync_every_is_valid(every)),
  CONSTRAINT anchor_is_finite CHECK (pg_catalog.isfinite(anchor)),
  CONSTRAINT max_attempts_is_between_1_and_100 CHECK (max_attempts >= 1 AND max_attempts <= 100),
  CONSTRAINT retry_backoff_is_at_most_a_day
    CHECK (retry_backoff >= interval '0' AND retry_backoff <= interval '1 day'),
  CONSTRAINT warm_up_url_is_http
    CHECK (warm_up_url ~ '^https?://[!-~]+$' AND pg_catalog.length(warm_up_url) <= 2000)
) WITH (fillfactor = 70);
SELECT integration_health_private.partition_table('public.integration_sync_schedules');
CREATE INDEX integration_sync_schedules_due ON public.integration_sync_schedules (due_at)
  WHERE enabled;
CREATE INDEX integration_sync_schedules_warm_up ON public.integration_sync_schedules
  (warm_up_for) WHERE enabled AND warm_up_url IS NOT NULL;
COMMENT ON INDEX public.integration_sync_schedules_due IS 'Serves get_due_syncs.';
COMMENT ON INDEX public.integration_sync_schedules_warm_up IS 'Serves dispatch_sync_warm_ups.';
COMMENT ON TABLE public.integration_sync_schedules IS
  'When the sync of each (org_id, integration_type) is to run: at anchor, and from then on at intervals of every.';
COMMENT ON COLUMN public.integration_sync_schedules.org_id IS 'Organisation.';
COMMENT ON COLUMN public.integration_sync_schedules.integration_type IS 'External system.';
COMMENT ON COLUMN public.integration_sync_schedules.every IS
  'Time between two periods: days and months, counted on the clocks of time_zone, or an elapsed time of 1 minute or '
  'more.';
COMMENT ON COLUMN public.integration_sync_schedules.anchor IS 'The first period.';
COMMENT ON COLUMN public.integration_sync_schedules.time_zone IS
  'Where days and months are counted: a name from pg_timezone_names. Looked up by a trigger when somebody sets it, '
  'but not in a restored row: a schedule whose time zone this system does not have is skipped with a warning.';
COMMENT ON COLUMN public.integration_sync_schedules.enabled IS
  'Whether periods may be claimed, and count as missed when nobody runs them.';
COMMENT ON COLUMN public.integration_sync_schedules.warm_up_url IS
  'URL to POST to shortly before each period, to wake the worker; http or https, at most 2000 ASCII characters, no '
  'secrets. Null: no warm-up.';
COMMENT ON COLUMN public.integration_sync_schedules.max_attempts IS
  'How often a period may be claimed before it is given up, 1 to 100.';
COMMENT ON COLUMN public.integration_sync_schedules.retry_backoff IS
  'How long a period waits after its first attempt failed, 0 to 1 day; doubled with each further attempt, up to an '
  'hour, or up to retry_backoff if that is longer.';
COMMENT ON COLUMN public.integration_sync_schedules.planned_since IS
  'When every, anchor, time_zone or enabled last changed. Maintained by a trigger; earlier plans are in sync_plans.';
COMMENT ON COLUMN public.integration_sync_schedules.due_at IS
  'When a period can be claimed next: the first period of the current plan, or the first after the last one that '
  'succeeded or was given up, or the time when the last one that failed may be tried again; infinity: none. '
  'Maintained by a trigger and finish_sync_run.';
COMMENT ON COLUMN public.integration_sync_schedules.warm_up_for IS
  'The next period to send a warm-up for. Maintained by a trigger and dispatch_sync_warm_ups.';
COMMENT ON COLUMN public.integration_sync_schedules.pruned_until IS
  'Runs up to this period have been deleted, so these periods can no longer be claimed. Maintained by '
  'integration_health_cleanup.';

CREATE FUNCTION public.integration_sync_schedules_trigger()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_trigger(
    'integration_sync_schedules_trigger', 'integration_sync_schedules', 'schedules', TG_RELID, TG_NARGS,
    TG_WHEN = 'BEFORE' AND TG_LEVEL = 'ROW' AND TG_OP <> 'DELETE');
  IF TG_OP = 'INSERT' AND NEW.planned_since IS NOT NULL THEN
    IF NEW.integration_type IS NOT NULL THEN
      PERFORM integration_health_private.hold_type(NEW.integration_type);
    END IF;
    RETURN NEW;
  END IF;

  -- Not a constraint, because the zone of a restored or unchanged row may no longer be in the system's list.
  IF NOT integration_health_private.is_time_zone(NEW.time_zone) THEN
    RAISE EXCEPTION USING ERRCODE = '23514', TABLE = TG_TABLE_NAME,
      MESSAGE = format('unknown time zone "%s"', integration_health_private.echo(NEW.time_zone)),
      HINT = 'Use a name from pg_timezone_names, spelled as it is there.';
  END IF;
  NEW.planned_since := clock_timestamp();
  NEW.due_at := 'infinity';
  -- A plan that the constraints of the table will refuse has no periods.
  IF integration_health_private.is_every(NEW.every) AND isfinite(NEW.anchor) AND NEW.time_zone IS NOT NULL THEN
    NEW.due_at := COALESCE(integration_health_private.next_period(
      NEW.every, NEW.anchor, NEW.time_zone, NEW.planned_since - interval '1 microsecond'), 'infinity');
  END IF;
  NEW.warm_up_for := NEW.due_at;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION public.integration_sync_schedules_trigger() IS
  'Trigger function of integration_sync_schedules: stamps planned_since and the first period when the plan changes. '
  'Errors: 39P01 when not called by its trigger, 42809 when called for another table, 23514 for an unknown time zone.';

CREATE TRIGGER zz_integration_sync_schedules_stamp
  BEFORE INSERT ON public.integration_sync_schedules
  FOR EACH ROW EXECUTE FUNCTION public.integration_sync_schedules_trigger();
COMMENT ON TRIGGER zz_integration_sync_schedules_stamp ON public.integration_sync_schedules IS
  'Sets since when the plan of a new schedule applies; a row inserted with planned_since is a restored one.';
-- Compared as text, because the intervals 1 day and 24 hours are equal, but their periods are not.
CREATE TRIGGER zz_integration_sync_schedules_replan
  BEFORE UPDATE ON public.integration_sync_schedules
  FOR EACH ROW WHEN ((NEW.every::text, NEW.anchor, NEW.time_zone, NEW.enabled)
                     IS DISTINCT FROM (OLD.every::text, OLD.anchor, OLD.time_zone, OLD.enabled))
  EXECUTE FUNCTION public.integration_sync_schedules_trigger();
COMMENT ON TRIGGER zz_integration_sync_schedules_replan ON public.integration_sync_schedules IS
  'Sets since when a changed plan applies.';

CREATE TABLE integration_health_private.sync_plans (
  org_id           uuid NOT NULL,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  every            interval NOT NULL,
  anchor           timestamptz NOT NULL,
  time_zone        text NOT NULL,
  since            timestamptz NOT NULL,
  until            timestamptz NOT NULL,
  PRIMARY KEY (org_id, integration_type, until)
);
COMMENT ON TABLE integration_health_private.sync_plans IS
  'What enabled schedules were before they were changed or disabled: periods of those plans may be missed as well.';
COMMENT ON COLUMN integration_health_private.sync_plans.org_id IS 'Organisation.';
COMMENT ON COLUMN integration_health_private.sync_plans.integration_type IS 'External system.';
COMMENT ON COLUMN integration_health_private.sync_plans.every IS 'As in integration_sync_schedules.';
COMMENT ON COLUMN integration_health_private.sync_plans.anchor IS 'As in integration_sync_schedules.';
COMMENT ON COLUMN integration_health_private.sync_plans.time_zone IS 'As in integration_sync_schedules.';
COMMENT ON COLUMN integration_health_private.sync_plans.since IS 'When the plan took effect.';
COMMENT ON COLUMN integration_health_private.sync_plans.until IS 'When the plan ceased to apply (exclusive).';

-- Plans are kept for as long as get_missed_syncs can look back: 720 hours.
CREATE FUNCTION integration_health_private.keep_plan(
  org_id uuid, integration_type text, every interval, anchor timestamptz, time_zone text, since timestamptz,
  until timestamptz)
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['integration_health_private.sync_plans'::regclass]);
  DELETE FROM integration_health_private.sync_plans p
   WHERE p.org_id = keep_plan.org_id AND p.integration_type = keep_plan.integration_type
     AND p.until < pg_catalog.now() - interval '720 hours';
  INSERT INTO integration_health_private.sync_plans (org_id, integration_type, every, anchor, time_zone, since, until)
  VALUES (keep_plan.org_id, keep_plan.integration_type, keep_plan.every, keep_plan.anchor, keep_plan.time_zone,
          keep_plan.since, keep_plan.until)
  ON CONFLICT DO NOTHING;
END;
COMMENT ON FUNCTION integration_health_private.keep_plan(
  uuid, text, interval, timestamptz, text, timestamptz, timestamptz) IS
  'Stores the plan that a schedule had from since to until, and deletes those that ended before the longest window of '
  'a report. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.forget_plans(org_id uuid, integration_type text)
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['integration_health_private.sync_plans'::regclass]);
  DELETE FROM integration_health_private.sync_plans p
   WHERE forget_plans.org_id IS NULL
      OR p.org_id = forget_plans.org_id AND p.integration_type = forget_plans.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.forget_plans(uuid, text) IS
  'Deletes the stored plans of a deleted schedule, or all of them if org_id is null. Errors: 55000 as '
  'require_own_triggers.';

CREATE FUNCTION integration_health_private.keep_plans()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM integration_health_private.forget_plans(NULL, NULL);
  ELSIF TG_OP = 'DELETE' THEN
    PERFORM integration_health_private.forget_plans(OLD.org_id, OLD.integration_type);
  ELSIF OLD.enabled AND NEW.planned_since > OLD.planned_since THEN
    PERFORM integration_health_private.keep_plan(OLD.org_id, OLD.integration_type, OLD.every, OLD.anchor,
      OLD.time_zone, OLD.planned_since, NEW.planned_since);
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.keep_plans() IS
  'Trigger function of integration_sync_schedules, after a change: stores the previous plan, for as long as the '
  'schedule exists. Errors: 55000 as require_own_triggers.';

CREATE TRIGGER zz_integration_sync_schedules_plans
  AFTER UPDATE OR DELETE ON public.integration_sync_schedules
  FOR EACH ROW EXECUTE FUNCTION integration_health_private.keep_plans();
COMMENT ON TRIGGER zz_integration_sync_schedules_plans ON public.integration_sync_schedules IS
  'Stores the previous plan, for as long as the schedule exists.';
CREATE TRIGGER zz_integration_sync_schedules_truncate
  AFTER TRUNCATE ON public.integration_sync_schedules
  FOR EACH STATEMENT EXECUTE FUNCTION integration_health_private.keep_plans();
COMMENT ON TRIGGER zz_integration_sync_schedules_truncate ON public.integration_sync_schedules IS
  'Deletes all stored plans along with the schedules.';

-- Under another key, periods that have been run could be run again.
CREATE TRIGGER zz_integration_sync_schedules_key
  BEFORE UPDATE ON public.integration_sync_schedules
  FOR EACH ROW WHEN ((NEW.org_id, NEW.integration_type) IS DISTINCT FROM (OLD.org_id, OLD.integration_type))
  EXECUTE FUNCTION integration_health_private.refuse_new_key();
COMMENT ON TRIGGER zz_integration_sync_schedules_key ON public.integration_sync_schedules IS
  'Refuses a change of the key.';

ALTER TABLE public.integration_sync_schedules ENABLE ROW LEVEL SECURITY;
ALTER TABLE integration_health_private.sync_plans ENABLE ROW LEVEL SECURITY;

CREATE POLICY integration_sync_schedules_read ON public.integration_sync_schedules
  FOR SELECT USING (org_id = ANY ((SELECT public.integration_health_org_ids())::uuid[])
                    AND public.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_sync_schedules_read ON public.integration_sync_schedules IS
  'Callers see the organisations that their claims name.';

CREATE POLICY sync_plans_read ON integration_health_private.sync_plans
  FOR SELECT USING (org_id = ANY ((SELECT public.integration_health_org_ids())::uuid[])
                    AND public.integration_health_uncounted(org_id));
COMMENT ON POLICY sync_plans_read ON integration_health_private.sync_plans IS
  'Callers see the organisations that their claims name.';

CREATE FUNCTION integration_health_private.keep_time_zone()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO integration_health_private.time_zones (name)
  SELECT n.name FROM pg_timezone_names AS n
   WHERE n.name = NEW.time_zone
     AND NOT EXISTS (SELECT FROM integration_health_private.time_zones AS z WHERE z.name = NEW.time_zone)
      ON CONFLICT DO NOTHING;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.keep_time_zone() IS
  'Trigger function of integration_sync_schedules, after a time zone is set: stores its name, for reports on many '
  'schedules.';
CREATE TRIGGER zz_integration_sync_schedules_zone
  AFTER INSERT OR UPDATE OF time_zone ON public.integration_sync_schedules
  FOR EACH ROW EXECUTE FUNCTION integration_health_private.keep_time_zone();
COMMENT ON TRIGGER zz_integration_sync_schedules_zone ON public.integration_sync_schedules IS
  'Stores the name of the time zone.';

CREATE FUNCTION integration_health_private.usable_time_zone(
  org_id uuid, integration_type text, every interval, anchor timestamptz, time_zone text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF public.integration_sync_every_is_valid(every) AND isfinite(anchor)
     AND EXISTS (SELECT FROM integration_health_private.time_zones AS z WHERE z.name = time_zone) THEN
    RETURN time_zone;
  END IF;
  RAISE WARNING USING
    MESSAGE = format('the schedule of organisation %s and type "%s" has no periods',
                     COALESCE(org_id::text, 'null'), COALESCE(integration_health_private.echo(integration_type), '')),
    DETAIL = format('It is left out because its interval, anchor or time zone "%s" is not valid.',
                    COALESCE(integration_health_private.echo(time_zone), '')),
    HINT = 'Correct it with set_sync_schedule.';
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.usable_time_zone(uuid, text, interval, timestamptz, text) IS
  'Returns time_zone if the schedule has periods; otherwise null, with a WARNING that names the schedule, so that a '
  'schedule that no longer has any does not keep a job or report from the others.';

CREATE FUNCTION integration_health_private.zone_offset(zone text, at timestamp)
RETURNS interval
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT pg_catalog.timezone(zone, pg_catalog.timezone('UTC', at)) - at;
END;
COMMENT ON FUNCTION integration_health_private.zone_offset(text, timestamp) IS
  'Returns how far the clocks of a time zone are ahead of UTC at a time in UTC.';

CREATE FUNCTION integration_health_private.period_at(every interval, anchor timestamptz, zone text, n bigint)
RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  farthest constant numeric := 2305843009213693951;
  months integer := extract(year FROM every) * 12 + extract(month FROM every);
  days integer := extract(day FROM every);
  distance numeric;
  local timestamp;
  before interval;
  after interval;
BEGIN
  IF months = 0 AND days = 0 THEN
    distance := n * integration_health_private.micros(every)::numeric;
  ELSE
    distance := n::numeric * (months * 2629746000000 + days * 86400000000);
  END IF;
  IF n < 0 OR distance > farthest OR integration_health_private.instant(anchor) > farthest - distance THEN
    RETURN NULL;
  ELSIF n = 0 THEN
    RETURN anchor;
  ELSIF months = 0 AND days = 0 THEN
    RETURN integration_health_private.time_of(integration_health_private.instant(anchor) + distance::bigint);
  END IF;

  -- Where the clocks are put back and show local twice, the first of the two times counts. Where they are put forward
  -- and skip local, the time is later by as much as they are put forward.
  local := timezone(zone, anchor) + make_interval(months => (n * months)::integer, days => (n * days)::integer);
  before := integration_health_private.zone_offset(zone, local - interval '1 day');
  after := integration_health_private.zone_offset(zone, local + interval '1 day');
  IF integration_health_private.zone_offset(zone, local - before) = before
     OR integration_health_private.zone_offset(zone, local - after) <> after THEN
    RETURN timezone('UTC', local - before);
  END IF;
  RETURN timezone('UTC', local - after);
END
$$;
COMMENT ON FUNCTION integration_health_private.period_at(interval, timestamptz, text, bigint) IS
  'Returns period number n, 0 or more, of a valid schedule; null when it is too far away. Period 0 is the anchor; a '
  'later period is never before an earlier one.';

CREATE FUNCTION integration_health_private.last_period_no(
  every interval, anchor timestamptz, zone text, at timestamptz)
RETURNS bigint
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  months integer := extract(year FROM every) * 12 + extract(month FROM every);
  days integer := extract(day FROM every);
  passed bigint := integration_health_private.instant(at) - integration_health_private.instant(anchor);
  latest timestamptz;
  n bigint;
BEGIN
  IF passed < 0 OR integration_health_private.period_at(every, anchor, zone, 0) IS NULL THEN
    RETURN -1;
  ELSIF months = 0 AND days = 0 THEN
    RETURN passed / integration_health_private.micros(every);
  END IF;
  latest := integration_health_private.time_of(integration_health_private.instant(at));
  -- Uses the average length of a month, so it is off by a few periods at most.
  n := passed / (months * 2629746000000 + days * 86400000000);
  WHILE n > 0 AND COALESCE(integration_health_private.period_at(every, anchor, zone, n) > latest, true) LOOP
    n := n - 1;
  END LOOP;
  WHILE integration_health_private.period_at(every, anchor, zone, n + 1) <= latest LOOP
    n := n + 1;
  END LOOP;
  RETURN n;
END
$$;
COMMENT ON FUNCTION integration_health_private.last_period_no(interval, timestamptz, text, timestamptz) IS
  'Returns the number of the last period of a valid schedule that is not after at; -1 when there is none.';

CREATE FUNCTION integration_health_private.require_plan(every interval, anchor timestamptz, time_zone text)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT public.integration_sync_every_is_valid(every) THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'invalid interval for a schedule',
      HINT = 'Use days and months, or a time of at least one minute, but not both.';
  ELSIF NOT isfinite(anchor) THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'the anchor of a schedule must be finite';
  ELSIF NOT public.integration_sync_time_zone_is_valid(time_zone) THEN
    RAISE EXCEPTION USING ERRCODE = '22023',
      MESSAGE = format('unknown time zone "%s"', integration_health_private.echo(time_zone)),
      HINT = 'Use a name from pg_timezone_names, spelled as it is there.';
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_plan(interval, timestamptz, text) IS
  'Checks the interval, anchor and time zone of a schedule. Errors: 22023 when one of them is not valid.';

CREATE FUNCTION public.integration_sync_periods(
  every interval, anchor timestamptz, time_zone text, since timestamptz, until timestamptz)
RETURNS SETOF timestamptz
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE ROWS 10 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  n bigint;
  period timestamptz;
  last timestamptz := '-infinity';
  found_so_far integer := 0;
BEGIN
  PERFORM integration_health_private.require_plan(every, anchor, time_zone);
  n := integration_health_private.last_period_no(every, anchor, time_zone, since - interval '1 microsecond') + 1;
  LOOP
    period := integration_health_private.period_at(every, anchor, time_zone, n);
    EXIT WHEN period IS NULL OR period > until;
    -- Two periods fall on the same time where a zone has skipped a day.
    IF period <> last THEN
      IF found_so_far >= 100000 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'there are more than 100000 periods',
          HINT = 'Ask for a shorter time range.';
      END IF;
      found_so_far := found_so_far + 1;
      last := period;
      RETURN NEXT period;
    END IF;
    n := n + 1;
  END LOOP;
END
$$;
COMMENT ON FUNCTION public.integration_sync_periods(interval, timestamptz, text, timestamptz, timestamptz) IS
  'Returns the periods of a schedule from since to until, both included, in order. Errors: 22023 when the schedule is '
  'not valid, or there are more than 100000 periods.';

CREATE FUNCTION public.integration_sync_last_period(
  every interval, anchor timestamptz, time_zone text, at timestamptz)
RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_plan(every, anchor, time_zone);
  RETURN integration_health_private.period_at(
    every, anchor, time_zone, integration_health_private.last_period_no(every, anchor, time_zone, at));
END
$$;
COMMENT ON FUNCTION public.integration_sync_last_period(interval, timestamptz, text, timestamptz) IS
  'Returns the last period of a schedule that is not after at; null before its anchor. Errors: 22023 when the '
  'schedule is not valid.';

CREATE FUNCTION public.integration_sync_next_period(
  every interval, anchor timestamptz, time_zone text, after timestamptz)
RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_plan(every, anchor, time_zone);
  RETURN integration_health_private.period_at(
    every, anchor, time_zone, integration_health_private.last_period_no(every, anchor, time_zone, after) + 1);
END
$$;
COMMENT ON FUNCTION public.integration_sync_next_period(interval, timestamptz, text, timestamptz) IS
  'Returns the first period of a schedule that is after the time after; null when it is too far away. Errors: 22023 '
  'when the schedule is not valid.';

CREATE FUNCTION public.integration_sync_is_late(drift interval)
RETURNS boolean
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN drift > integration_health_private.max_drift();
END
$$;
COMMENT ON FUNCTION public.integration_sync_is_late(interval) IS
  'Returns whether drift is longer than integration_health.max_drift.';

CREATE FUNCTION public.set_sync_schedule(
  org_id uuid, integration_type text, every interval, anchor timestamptz,
  time_zone text DEFAULT 'UTC', enabled boolean DEFAULT NULL, warm_up_url text DEFAULT NULL,
  max_attempts integer DEFAULT NULL, retry_backoff interval DEFAULT NULL)
RETURNS public.integration_sync_schedules
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO public.integration_sync_schedules AS s
         (org_id, integration_type, every, anchor, time_zone, enabled, warm_up_url, max_attempts, retry_backoff)
  VALUES (set_sync_schedule.org_id, set_sync_schedule.integration_type, set_sync_schedule.every,
          set_sync_schedule.anchor, set_sync_schedule.time_zone, COALESCE(set_sync_schedule.enabled, true),
          set_sync_schedule.warm_up_url, COALESCE(set_sync_schedule.max_attempts, 5),
          COALESCE(set_sync_schedule.retry_backoff, interval '1 minute'))
  ON CONFLICT (org_id, integration_type) DO UPDATE
     SET every = EXCLUDED.every, anchor = EXCLUDED.anchor, time_zone = EXCLUDED.time_zone,
         enabled = COALESCE(set_sync_schedule.enabled, s.enabled), warm_up_url = EXCLUDED.warm_up_url,
         max_attempts = COALESCE(set_sync_schedule.max_attempts, s.max_attempts),
         retry_backoff = COALESCE(set_sync_schedule.retry_backoff, s.retry_backoff)
  RETURNING s;
END;
COMMENT ON FUNCTION public.set_sync_schedule(
  uuid, text, interval, timestamptz, text, boolean, text, integer, interval) IS
  'Creates or changes the schedule of a pair, and returns its row: periods at anchor and from then on at intervals of '
  'every, with days and months counted in time_zone. enabled, max_attempts and retry_backoff stay as they are if they '
  'are null or omitted; a new schedule has true, 5 and 1 minute. Errors: 23502 when an argument other than those and '
  'warm_up_url is null, 23503 for an unknown integration_type, 23514 when an argument is not allowed, 42501 when the '
  'caller is not a writer.';

-- The engine's access to rows of schedules: in the C edition always the latest version, whatever the isolation level.
CREATE FUNCTION integration_health_private.latest_schedule(org_id uuid, integration_type text)
RETURNS public.integration_sync_schedules
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  schedule public.integration_sync_schedules;
BEGIN
  SELECT s.* INTO schedule FROM public.integration_sync_schedules AS s
   WHERE s.org_id = latest_schedule.org_id AND s.integration_type = latest_schedule.integration_type;
  RETURN schedule;
END
$$;
COMMENT ON FUNCTION integration_health_private.latest_schedule(uuid, text) IS
  'Returns the schedule of a pair as committed now; null when there is none.';

CREATE FUNCTION integration_health_private.lock_schedule(org_id uuid, integration_type text)
RETURNS public.integration_sync_schedules
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  schedule public.integration_sync_schedules;
BEGIN
  SELECT s.* INTO schedule FROM public.integration_sync_schedules AS s
   WHERE s.org_id = lock_schedule.org_id AND s.integration_type = lock_schedule.integration_type
     FOR NO KEY UPDATE;
  RETURN schedule;
END
$$;
COMMENT ON FUNCTION integration_health_private.lock_schedule(uuid, text) IS
  'Locks the schedule of a pair and returns it; null when there is none. Waits for whoever has locked it.';

CREATE FUNCTION integration_health_private.store_schedule(schedule public.integration_sync_schedules)
RETURNS public.integration_sync_schedules
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  stored public.integration_sync_schedules;
BEGIN
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_sync_schedules'::regclass]);
  UPDATE public.integration_sync_schedules AS s SET due_at = schedule.due_at
   WHERE s.org_id = schedule.org_id AND s.integration_type = schedule.integration_type
  RETURNING s.* INTO stored;
  IF NOT FOUND THEN
    PERFORM integration_health_private.refuse_intrusion('integration_sync_schedules');
  END IF;
  RETURN stored;
END
$$;
COMMENT ON FUNCTION integration_health_private.store_schedule(public.integration_sync_schedules) IS
  'Writes a schedule, whose row must be locked, and returns the row as stored. Errors: 55000 as require_own_triggers, '
  'or when a rule or trigger of the site kept the row from being written.';

-- ---------------------------------------------------------------------------------------------
-- The ledger of sync runs: who runs which period, and how it ended
-- ---------------------------------------------------------------------------------------------

-- No foreign key, because the ledger outlives schedules. No column that changes is indexed.
CREATE TABLE public.integration_sync_runs (
  org_id           uuid NOT NULL,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  scheduled_for    timestamptz NOT NULL,
  attempt          integer NOT NULL,
  outcome          public.integration_sync_outcome NOT NULL,
  started_at       timestamptz NOT NULL,
  finished_at      timestamptz,
  lease_until      timestamptz,
  drift            interval GENERATED ALWAYS AS (started_at - scheduled_for) STORED,
  cold_start       boolean NOT NULL,
  error            text,
  idempotency_key  text GENERATED ALWAYS AS
    (public.integration_sync_key(org_id, integration_type, scheduled_for)) STORED,
  PRIMARY KEY (org_id, integration_type, scheduled_for),
  CONSTRAINT attempt_is_positive CHECK (attempt >= 1),
  CONSTRAINT error_is_at_most_2000_characters CHECK (pg_catalog.length(error) <= 2000),
  CONSTRAINT running_has_a_lease_and_the_others_an_end
    CHECK (CASE WHEN outcome = 'running'::public.integration_sync_outcome
                THEN lease_until IS NOT NULL AND finished_at IS NULL
                ELSE lease_until IS NULL AND finished_at IS NOT NULL END)
) WITH (fillfactor = 70);
SELECT integration_health_private.partition_table('public.integration_sync_runs');
CREATE INDEX integration_sync_runs_time ON public.integration_sync_runs (scheduled_for);
COMMENT ON TABLE public.integration_sync_runs IS
  'The ledger of scheduled syncs: one row for each period that somebody ran, written only by claim_sync_run and '
  'finish_sync_run, and deleted by the cleanup and forget_organisation.';
COMMENT ON COLUMN public.integration_sync_runs.org_id IS 'Organisation.';
COMMENT ON COLUMN public.integration_sync_runs.integration_type IS 'External system.';
COMMENT ON COLUMN public.integration_sync_runs.scheduled_for IS 'The period: a time of the schedule.';
COMMENT ON COLUMN public.integration_sync_runs.attempt IS
  'Number of the current attempt: how often the period has been claimed. Reports of an earlier attempt are refused.';
COMMENT ON COLUMN public.integration_sync_runs.outcome IS
  'running until the current attempt ends, then succeeded or failed.';
COMMENT ON COLUMN public.integration_sync_runs.started_at IS
  'When the current attempt was claimed.';
COMMENT ON COLUMN public.integration_sync_runs.finished_at IS
  'When the current attempt ended; null while it runs.';
COMMENT ON COLUMN public.integration_sync_runs.lease_until IS
  'When somebody else may claim the run if it has not ended by then; null once it has.';
COMMENT ON COLUMN public.integration_sync_runs.drift IS
  'How long after its time the current attempt was claimed; negative if before.';
COMMENT ON COLUMN public.integration_sync_runs.cold_start IS
  'Whether the worker had to be started for the current attempt.';
COMMENT ON COLUMN public.integration_sync_runs.error IS
  'What went wrong, at most 2000 characters; null when nothing did.';
COMMENT ON COLUMN public.integration_sync_runs.idempotency_key IS
  'Key for the external system, the same for all attempts: org_id:integration_type:period.';
COMMENT ON INDEX public.integration_sync_runs_time IS 'Serves the cleanup, and reports on a window of time.';

ALTER TABLE public.integration_sync_runs ENABLE ROW LEVEL SECURITY;

CREATE POLICY integration_sync_runs_read ON public.integration_sync_runs
  FOR SELECT USING (org_id = ANY ((SELECT public.integration_health_org_ids())::uuid[])
                    AND public.integration_health_uncounted(org_id));
COMMENT ON POLICY integration_sync_runs_read ON public.integration_sync_runs IS
  'Callers see the organisations that their claims name.';

CREATE FUNCTION integration_health_private.retry_at(finished_at timestamptz, retry_backoff interval, attempts integer)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT finished_at + integration_health_private.backoff(retry_backoff, GREATEST(retry_backoff, interval '1 hour'), attempts);
END;
COMMENT ON FUNCTION integration_health_private.retry_at(timestamptz, interval, integer) IS
  'Returns when a run that failed at finished_at may be claimed again, after that many attempts: after retry_backoff, '
  'doubled with each further attempt, up to an hour, or up to retry_backoff if that is longer.';

-- A time that only a clock which was ahead can have set counts as past.
CREATE FUNCTION integration_health_private.may_lease(
  outcome public.integration_sync_outcome, attempt integer, finished_at timestamptz, lease_until timestamptz,
  max_attempts integer, retry_backoff interval, moment timestamptz)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT attempt < max_attempts
     AND CASE outcome
           WHEN 'failed' THEN finished_at > moment
                              OR integration_health_private.retry_at(finished_at, retry_backoff, attempt) <= moment
           WHEN 'running' THEN lease_until < moment OR lease_until > moment + interval '24 hours'
           ELSE false END;
END;
COMMENT ON FUNCTION integration_health_private.may_lease(
  public.integration_sync_outcome, integer, timestamptz, timestamptz, integer, interval, timestamptz) IS
  'Returns whether a run may be claimed once more at moment: attempts are left, and either it failed and has waited, '
  'or its lease ran out before it ended.';

CREATE FUNCTION integration_health_private.require_period(
  schedule public.integration_sync_schedules, scheduled_for timestamptz)
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  nearest timestamptz := COALESCE(
    integration_health_private.last_period(schedule.every, schedule.anchor, schedule.time_zone, scheduled_for), schedule.anchor);
  later timestamptz;
BEGIN
  IF nearest <> scheduled_for THEN
    IF nearest < scheduled_for AND isfinite(scheduled_for) THEN
      later := integration_health_private.next_period(schedule.every, schedule.anchor, schedule.time_zone, scheduled_for);
      nearest := CASE WHEN later - scheduled_for < scheduled_for - nearest THEN later ELSE nearest END;
    END IF;
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'scheduled_for is not a period of the schedule',
      HINT = format('The nearest period is %s.', integration_health_private.utc_text(nearest));
  ELSIF scheduled_for > clock_timestamp() + interval '1 minute' THEN
    -- The clock of a worker may be that much ahead of the database's.
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'scheduled_for is in the future',
      HINT = format('Claim it when it is %s.', integration_health_private.utc_text(scheduled_for));
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_period(public.integration_sync_schedules, timestamptz) IS
  'Checks that a period may be claimed. Errors: 22023 when the schedule has no such period, or it lies more than a '
  'minute ahead.';

CREATE FUNCTION integration_health_private.alert_run(run public.integration_sync_runs, kind text, facts jsonb)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.enqueue_alert(
    kind, integration_health_private.sync_key(run.org_id, run.integration_type, run.scheduled_for), run.org_id,
    run.integration_type,
    jsonb_build_object('scheduled_for', integration_health_private.utc_text(run.scheduled_for), 'attempt', run.attempt)
    || facts);
END
$$;
COMMENT ON FUNCTION integration_health_private.alert_run(public.integration_sync_runs, text, jsonb) IS
  'Writes an alert of a period of a schedule, once. Errors: as enqueue_alert.';

CREATE FUNCTION integration_health_private.report_drift(run public.integration_sync_runs)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  seconds bigint := trunc(extract(epoch FROM run.started_at) - extract(epoch FROM run.scheduled_for));
BEGIN
  IF integration_health_private.is_late(run.drift) THEN
    RAISE WARNING USING MESSAGE = format('a sync of type "%s" starts late', run.integration_type),
      DETAIL = format('It was scheduled for %s, %s seconds ago.',
                      integration_health_private.utc_text(run.scheduled_for), seconds);
    PERFORM integration_health_private.send_event(format(
      '{"event": "drift", "org_id": "%s", "integration_type": %s, "scheduled_for": "%s", "attempt": %s, '
      '"drift_seconds": %s, "cold_start": %s}',
      run.org_id, to_json(run.integration_type), integration_health_private.utc_text(run.scheduled_for), run.attempt, seconds,
      to_json(run.cold_start)));
    PERFORM integration_health_private.alert_run(
      run, 'sync_late', jsonb_build_object('drift_seconds', seconds, 'cold_start', run.cold_start));
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.report_drift(public.integration_sync_runs) IS
  'Warns of a run that starts later than integration_health.max_drift allows, sends an event, and writes an alert.';

CREATE FUNCTION integration_health_private.require_whole(schedule public.integration_sync_schedules)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  missing text := CASE WHEN schedule.enabled IS NULL THEN 'enabled' WHEN schedule.every IS NULL THEN 'every'
                       WHEN schedule.anchor IS NULL THEN 'anchor' WHEN schedule.time_zone IS NULL THEN 'time_zone'
                       WHEN schedule.max_attempts IS NULL THEN 'max_attempts'
                       WHEN schedule.retry_backoff IS NULL THEN 'retry_backoff' END;
BEGIN
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '23502',
      MESSAGE = format('column "%s" of a row of table "integration_sync_schedules" is null', missing);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_whole(public.integration_sync_schedules) IS
  'Checks that no column of a schedule is null, since a site may have replaced it. Errors: 23502 when one is.';

-- The engine's access to rows of runs: in the C edition always the latest version, whatever the isolation level.
CREATE FUNCTION integration_health_private.insert_run(
  org_id uuid, integration_type text, scheduled_for timestamptz, started_at timestamptz, lease_until timestamptz,
  cold_start boolean)
RETURNS public.integration_sync_runs
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  stored public.integration_sync_runs;
BEGIN
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_sync_runs'::regclass]);
  INSERT INTO public.integration_sync_runs AS r
         (org_id, integration_type, scheduled_for, attempt, outcome, started_at, lease_until, cold_start)
  VALUES (org_id, integration_type, scheduled_for, 1, 'running', started_at, lease_until, cold_start)
  ON CONFLICT ON CONSTRAINT integration_sync_runs_pkey DO NOTHING
  RETURNING r.* INTO stored;
  RETURN stored;
END
$$;
COMMENT ON FUNCTION integration_health_private.insert_run(
  uuid, text, timestamptz, timestamptz, timestamptz, boolean) IS
  'Inserts the first attempt of a period and returns its run; null when the period has a run. Waits for whoever is '
  'inserting it. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.lock_run(org_id uuid, integration_type text, scheduled_for timestamptz)
RETURNS public.integration_sync_runs
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  run public.integration_sync_runs;
BEGIN
  SELECT r.* INTO run FROM public.integration_sync_runs AS r
   WHERE r.org_id = lock_run.org_id AND r.integration_type = lock_run.integration_type
     AND r.scheduled_for = lock_run.scheduled_for
     FOR NO KEY UPDATE;
  RETURN run;
END
$$;
COMMENT ON FUNCTION integration_health_private.lock_run(uuid, text, timestamptz) IS
  'Locks the run of a period and returns it; null when there is none. Waits for whoever has locked it.';

CREATE FUNCTION integration_health_private.store_run(run public.integration_sync_runs)
RETURNS public.integration_sync_runs
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  stored public.integration_sync_runs;
BEGIN
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_sync_runs'::regclass]);
  UPDATE public.integration_sync_runs AS r
     SET attempt = run.attempt, outcome = run.outcome, started_at = run.started_at, finished_at = run.finished_at,
         lease_until = run.lease_until, cold_start = run.cold_start, error = run.error
   WHERE r.org_id = run.org_id AND r.integration_type = run.integration_type AND r.scheduled_for = run.scheduled_for
  RETURNING r.* INTO stored;
  IF NOT FOUND THEN
    PERFORM integration_health_private.refuse_intrusion('integration_sync_runs');
  END IF;
  RETURN stored;
END
$$;
COMMENT ON FUNCTION integration_health_private.store_run(public.integration_sync_runs) IS
  'Writes a run, whose row must be locked, and returns the row as stored. Errors: 55000 as require_own_triggers, or '
  'when a rule or trigger of the site kept the row from being written.';

-- claim_sync_run is an SQL function that calls these: its arguments and results share names, which PL/pgSQL does not
-- allow.
CREATE FUNCTION integration_health_private.lease_period(
  schedule public.integration_sync_schedules, uuid, text, timestamptz, boolean, interval)
RETURNS TABLE (run public.integration_sync_runs, claimed boolean)
LANGUAGE plpgsql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz;
  length interval := interval '1 microsecond' * integration_health_private.micros($6);
BEGIN
  IF schedule.org_id IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023',
      MESSAGE = format('no sync is scheduled for this organisation and type "%s"', integration_health_private.echo($3)),
      HINT = 'Make a schedule with set_sync_schedule.';
  END IF;
  PERFORM integration_health_private.require_whole(schedule);
  IF NOT schedule.enabled THEN
    RAISE EXCEPTION USING ERRCODE = '55000',
      MESSAGE = format('the schedule of this organisation and type "%s" is disabled', $3),
      HINT = 'Set enabled in its row of integration_sync_schedules.';
  END IF;
  PERFORM integration_health_private.require_period(schedule, $4);

  -- Repeated only if a cleanup deletes the row in between, which in practice never happens twice.
  FOR try IN 1 .. 10 LOOP
    moment := clock_timestamp();
    run := integration_health_private.insert_run($2, $3, $4, moment, moment + length, $5);
    claimed := run.attempt IS NOT NULL;
    EXIT WHEN claimed;

    run := integration_health_private.lock_run($2, $3, $4);
    CONTINUE WHEN run.attempt IS NULL;
    -- Taking the lock may have meant waiting.
    moment := clock_timestamp();
    claimed := integration_health_private.may_lease(
      run.outcome, run.attempt, run.finished_at, run.lease_until, schedule.max_attempts, schedule.retry_backoff, moment);
    IF claimed THEN
      run.attempt := run.attempt + 1;
      run.outcome := 'running';
      run.started_at := moment;
      run.finished_at := NULL;
      run.lease_until := moment + length;
      run.cold_start := $5;
      run.error := NULL;
      run := integration_health_private.store_run(run);
    END IF;
    EXIT;
  END LOOP;
  IF run.attempt IS NULL THEN
    PERFORM integration_health_private.refuse_intrusion('integration_sync_runs');
  END IF;

  IF claimed THEN
    -- Read after the run was inserted, so that a cleanup that ended meanwhile is seen.
    schedule := integration_health_private.latest_schedule($2, $3);
    IF run.attempt = 1 AND $4 <= schedule.pruned_until THEN
      RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'scheduled_for is too long ago',
        DETAIL = format('The runs up to %s are deleted, so it may have been run.',
                        integration_health_private.utc_text(schedule.pruned_until)),
        HINT = 'Claim a later period.';
    END IF;
    PERFORM integration_health_private.report_drift(run);
  END IF;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION integration_health_private.lease_period(
  public.integration_sync_schedules, uuid, text, timestamptz, boolean, interval) IS
  'Does the work of claim_sync_run for valid arguments and the schedule that they name.';

CREATE FUNCTION integration_health_private.lease_run(uuid, text, timestamptz, boolean, interval)
RETURNS TABLE (run public.integration_sync_runs, claimed boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_arguments(
    '{org_id,integration_type,scheduled_for,cold_start,lease}',
    ARRAY[$1 IS NULL, $2 IS NULL, $3 IS NULL, $4 IS NULL, $5 IS NULL]);
  IF $5 < interval '1 second' OR $5 > interval '1 day' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'lease must be between 1 second and 1 day',
      HINT = 'Leave the argument out for 10 minutes.';
  END IF;
  RETURN QUERY SELECT * FROM integration_health_private.lease_period(
    integration_health_private.latest_schedule($1, $2), $1, $2, $3, $4, $5);
END
$$;
COMMENT ON FUNCTION integration_health_private.lease_run(uuid, text, timestamptz, boolean, interval) IS
  'Does the work of claim_sync_run.';

-- From now on no period up to this one is due or, if it failed, not before its wait is over. A schedule that has moved
-- on, or whose time zone no longer exists, is left as it is.
CREATE FUNCTION integration_health_private.move_schedule(
  schedule public.integration_sync_schedules, run public.integration_sync_runs)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  zone text;
  next_period timestamptz;
BEGIN
  IF schedule.org_id IS NULL THEN
    RETURN;
  END IF;
  zone := integration_health_private.usable_time_zone(
    schedule.org_id, schedule.integration_type, schedule.every, schedule.anchor, schedule.time_zone);
  next_period := COALESCE(
    integration_health_private.next_period(schedule.every, schedule.anchor, zone, run.scheduled_for), 'infinity');
  IF zone IS NOT NULL AND schedule.due_at < next_period THEN
    schedule.due_at := next_period;
    IF run.outcome = 'failed' AND run.attempt < schedule.max_attempts THEN
      schedule.due_at := LEAST(next_period, integration_health_private.retry_at(
        run.finished_at, schedule.retry_backoff, run.attempt));
    END IF;
    PERFORM integration_health_private.store_schedule(schedule);
  END IF;
  IF run.outcome = 'failed' AND run.attempt >= schedule.max_attempts THEN
    PERFORM integration_health_private.alert_run(run, 'sync_missed', '{"missed": 1, "given_up": true}');
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.move_schedule(
  public.integration_sync_schedules, public.integration_sync_runs) IS
  'Sets when a schedule, whose row must be locked, can be claimed next, after a run of it has ended, and writes an alert if '
  'that was the last attempt and failed. Errors: 55000 as store_schedule and enqueue_alert.';

-- In passive mode the end of a sync counts as a check; in active mode it does not.
CREATE FUNCTION integration_health_private.record_end(
  org_id uuid, integration_type text, outcome public.integration_sync_outcome, error text)
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT public.record_health_check(
           record_end.org_id, t.integration_type,
           CASE WHEN record_end.outcome = 'failed' THEN 'unhealthy' ELSE 'healthy' END::public.integration_health_state,
           error => record_end.error)
    FROM public.integration_types t
   WHERE t.integration_type = record_end.integration_type AND t.monitoring_mode = 'passive';
END;
COMMENT ON FUNCTION integration_health_private.record_end(uuid, text, public.integration_sync_outcome, text) IS
  'Records the end of a run as a check if its type is in passive mode. Errors: those of record_health_check.';

CREATE FUNCTION integration_health_private.finish_run(
  uuid, text, timestamptz, integer, public.integration_sync_outcome, text, OUT run public.integration_sync_runs)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_arguments(
    '{org_id,integration_type,scheduled_for,attempt,outcome}', ARRAY[$1 IS NULL, $2 IS NULL, $3 IS NULL, $4 IS NULL, $5 IS NULL]);
  IF $5::text NOT IN ('running', 'succeeded', 'failed') THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'outcome is not one that the extension knows',
      HINT = 'Use succeeded or failed.';
  ELSIF $5 = 'running' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'a run cannot end as running', HINT = 'Use succeeded or failed.';
  END IF;
  run := integration_health_private.lock_run($1, $2, $3);
  IF run.attempt IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'nobody has claimed this sync run', HINT = 'Claim it with claim_sync_run.';
  ELSIF run.attempt <> $4 THEN
    RAISE EXCEPTION USING ERRCODE = '55000',
      MESSAGE = format('attempt %s of this sync run is not the current one, which is %s', $4, run.attempt),
      HINT = 'Another worker has claimed the run since: discard this result.';
  ELSIF run.outcome = $5 THEN
    -- The report is repeated. That the lease ran out does not matter as long as nobody else has claimed the run.
    RETURN;
  ELSIF run.outcome <> 'running' THEN
    RAISE EXCEPTION USING ERRCODE = '55000',
      MESSAGE = format('attempt %s of this sync run has already ended as %s', $4, run.outcome),
      HINT = 'The first report stands; a failed run can be claimed again.';
  END IF;

  run.outcome := $5;
  run.finished_at := clock_timestamp();
  run.lease_until := NULL;
  run.error := $6;
  run := integration_health_private.store_run(run);
  PERFORM integration_health_private.move_schedule(
    integration_health_private.lock_schedule(run.org_id, run.integration_type), run);

  PERFORM integration_health_private.guard('integration_health_status');
  PERFORM integration_health_private.record_end(run.org_id, run.integration_type, run.outcome, run.error);
END
$$;
COMMENT ON FUNCTION integration_health_private.finish_run(
  uuid, text, timestamptz, integer, public.integration_sync_outcome, text) IS 'Does the work of finish_sync_run.';

CREATE FUNCTION public.claim_sync_run(
  org_id uuid, integration_type text, scheduled_for timestamptz,
  cold_start boolean DEFAULT false, lease interval DEFAULT '10 minutes',
  OUT org_id uuid, OUT integration_type text, OUT scheduled_for timestamptz, OUT attempt integer,
  OUT outcome public.integration_sync_outcome, OUT started_at timestamptz,
  OUT finished_at timestamptz, OUT lease_until timestamptz, OUT drift interval,
  OUT cold_start boolean, OUT error text, OUT idempotency_key text, OUT claimed boolean)
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT (l.run).org_id, (l.run).integration_type, (l.run).scheduled_for, (l.run).attempt, (l.run).outcome,
         (l.run).started_at, (l.run).finished_at, (l.run).lease_until, (l.run).drift, (l.run).cold_start,
         (l.run).error, (l.run).idempotency_key, l.claimed
    FROM integration_health_private.lease_run($1, $2, $3, $4, $5) AS l;
END;
COMMENT ON FUNCTION public.claim_sync_run(uuid, text, timestamptz, boolean, interval) IS
  'Claims a period of a schedule and returns its run; claimed is true for the one caller who is to run it now, until '
  'lease (1 second to 1 day) has passed. A run that failed and whose retry_backoff has passed, or whose lease ran '
  'out, can be claimed again, max_attempts times in all; one that succeeded never. Warns when the run starts later '
  'than integration_health.max_drift. Errors: 22023 when an argument is null or out of range, there is no schedule, '
  'or scheduled_for is not a period of it, lies more than a minute ahead, or is older than the ledger; 55000 when the '
  'schedule is disabled, or somebody else has a trigger or rule on the tables.';

CREATE FUNCTION public.finish_sync_run(
  org_id uuid, integration_type text, scheduled_for timestamptz, attempt integer,
  outcome public.integration_sync_outcome, error text DEFAULT NULL)
RETURNS public.integration_sync_runs
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.finish_run($1, $2, $3, $4, $5, $6);
END;
COMMENT ON FUNCTION public.finish_sync_run(
  uuid, text, timestamptz, integer, public.integration_sync_outcome, text) IS
  'Ends an attempt as succeeded or failed and returns its run; repeating the same report changes nothing. If the type '
  'is in passive mode, the end is also recorded as a check, healthy or unhealthy. Errors: 22023 when an argument '
  'other than error is null, nobody has claimed the run, or outcome is running; 23514 when error has more than 2000 '
  'characters; 55000 when another attempt has taken over, this one has ended with the other outcome, or '
  'somebody else has a trigger or rule on the tables.';

-- ---------------------------------------------------------------------------------------------
-- Names. A PL/pgSQL body stores the names of objects, a body of standard SQL refers to the objects themselves. PL/pgSQL
-- therefore reaches the schema of the API through these functions, so that ALTER SCHEMA ... RENAME breaks nothing. Tables
-- that it reads and writes have a view in this schema, with the rights of whoever uses it, beside the table itself: a
-- statement on it is planned once a session, but an SQL function, which could name the table, at every call.
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.relation(name text)
RETURNS regclass
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT CASE relation.name
           WHEN 'integration_types' THEN 'public.integration_types'::regclass
           WHEN 'integration_health_status' THEN 'public.integration_health_status'::regclass
           WHEN 'integration_health_history' THEN 'public.integration_health_history'::regclass
           WHEN 'integration_health_counts' THEN 'public.integration_health_counts'::regclass
           WHEN 'integration_health_transitions' THEN 'public.integration_health_transitions'::regclass
           WHEN 'integration_health_days' THEN 'public.integration_health_days'::regclass
           WHEN 'integration_incidents' THEN 'public.integration_incidents'::regclass
           WHEN 'integration_maintenance' THEN 'public.integration_maintenance'::regclass
           WHEN 'integration_alerts' THEN 'public.integration_alerts'::regclass
           WHEN 'integration_monitors' THEN 'public.integration_monitors'::regclass
           WHEN 'integration_sync_schedules' THEN 'public.integration_sync_schedules'::regclass
           WHEN 'integration_sync_runs' THEN 'public.integration_sync_runs'::regclass
         END;
END;
COMMENT ON FUNCTION integration_health_private.relation(text) IS
  'Returns the table of the extension that was created under a name.';

CREATE FUNCTION integration_health_private.guard(VARIADIC names text[])
RETURNS void
LANGUAGE sql VOLATILE STRICT
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY(
    SELECT integration_health_private.relation(n) FROM pg_catalog.unnest(guard.names) AS n));
END;
COMMENT ON FUNCTION integration_health_private.guard(text[]) IS 'Calls require_own_triggers for tables given by name.';

CREATE FUNCTION integration_health_private.ready_at(
  org_id uuid, integration_type text, claimed_at timestamptz, check_interval interval, max_backoff interval,
  failures integer)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT public.integration_monitor_ready_at($1, $2, $3, $4, $5, $6);
END;
COMMENT ON FUNCTION integration_health_private.ready_at(uuid, text, timestamptz, interval, interval, integer) IS
  'Calls integration_monitor_ready_at.';

CREATE FUNCTION integration_health_private.last_period(
  every interval, anchor timestamptz, time_zone text, at timestamptz)
RETURNS timestamptz
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT public.integration_sync_last_period($1, $2, $3, $4);
END;
COMMENT ON FUNCTION integration_health_private.last_period(interval, timestamptz, text, timestamptz) IS
  'Calls integration_sync_last_period.';

CREATE FUNCTION integration_health_private.next_period(
  every interval, anchor timestamptz, time_zone text, after timestamptz)
RETURNS timestamptz
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT public.integration_sync_next_period($1, $2, $3, $4);
END;
COMMENT ON FUNCTION integration_health_private.next_period(interval, timestamptz, text, timestamptz) IS
  'Calls integration_sync_next_period.';

CREATE FUNCTION integration_health_private.is_late(drift interval)
RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT public.integration_sync_is_late($1);
END;
COMMENT ON FUNCTION integration_health_private.is_late(interval) IS 'Calls integration_sync_is_late.';

CREATE FUNCTION integration_health_private.is_every(every interval)
RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT public.integration_sync_every_is_valid($1);
END;
COMMENT ON FUNCTION integration_health_private.is_every(interval) IS 'Calls integration_sync_every_is_valid.';

CREATE FUNCTION integration_health_private.is_time_zone(time_zone text)
RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT public.integration_sync_time_zone_is_valid($1);
END;
COMMENT ON FUNCTION integration_health_private.is_time_zone(text) IS 'Calls integration_sync_time_zone_is_valid.';

CREATE FUNCTION integration_health_private.sync_key(org_id uuid, integration_type text, scheduled_for timestamptz)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT public.integration_sync_key($1, $2, $3);
END;
COMMENT ON FUNCTION integration_health_private.sync_key(uuid, text, timestamptz) IS 'Calls integration_sync_key.';

CREATE FUNCTION integration_health_private.org_ids()
RETURNS uuid[]
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT public.integration_health_org_ids();
END;
COMMENT ON FUNCTION integration_health_private.org_ids() IS 'Calls integration_health_org_ids.';

-- ---------------------------------------------------------------------------------------------
-- Warm-ups: the worker of a sync is woken once, shortly before its time. The result of the call is not a health check.
-- ---------------------------------------------------------------------------------------------

-- A schedule whose period passed without a call, because no job ran, is moved on to the next period.
CREATE FUNCTION integration_health_private.move_warm_ups(moment timestamptz, horizon timestamptz)
RETURNS TABLE (org_id uuid, integration_type text, scheduled_for timestamptz, warm_up_url text)
LANGUAGE sql VOLATILE SET enable_hashjoin = off SET enable_mergejoin = off
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_sync_schedules'::regclass]);
  WITH due AS MATERIALIZED (
    SELECT d.org_id, d.integration_type,
           CASE WHEN d.warm_up_for > move_warm_ups.moment THEN d.warm_up_for
                ELSE public.integration_sync_next_period(d.every, d.anchor, d.time_zone, move_warm_ups.moment) END AS period
      FROM public.integration_sync_schedules d
     WHERE d.enabled AND d.warm_up_url IS NOT NULL AND d.warm_up_for <= move_warm_ups.horizon
       AND CASE WHEN d.warm_up_for <= move_warm_ups.horizon
                THEN integration_health_private.usable_time_zone(
                       d.org_id, d.integration_type, d.every, d.anchor, d.time_zone) IS NOT NULL END
       FOR NO KEY UPDATE SKIP LOCKED
  ), moved AS (
    UPDATE public.integration_sync_schedules s
       SET warm_up_for = COALESCE(CASE WHEN d.period <= move_warm_ups.horizon
                                       THEN public.integration_sync_next_period(s.every, s.anchor, s.time_zone, d.period)
                                       ELSE d.period END, 'infinity')
      FROM due d WHERE s.org_id = d.org_id AND s.integration_type = d.integration_type
    RETURNING s.org_id, s.integration_type, d.period, s.warm_up_url
  )
  SELECT m.org_id, m.integration_type, m.period, m.warm_up_url FROM moved m WHERE m.period <= move_warm_ups.horizon;
END;
COMMENT ON FUNCTION integration_health_private.move_warm_ups(timestamptz, timestamptz) IS
  'Returns the schedules with a period after moment, and not after horizon, for which the worker has not been called, '
  'and notes that it has. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.take_warm_ups(moment timestamptz, horizon timestamptz)
RETURNS TABLE (org_id uuid, integration_type text, scheduled_for timestamptz, warm_up_url text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT integration_health_private.note_job('integration_health_warm_up');
  SELECT * FROM integration_health_private.move_warm_ups(take_warm_ups.moment, take_warm_ups.horizon);
END;
COMMENT ON FUNCTION integration_health_private.take_warm_ups(timestamptz, timestamptz) IS
  'Calls move_warm_ups, with the rights of the owner, and notes that the job was done. Errors: as move_warm_ups.';

CREATE FUNCTION integration_health_private.has_http_post()
RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT COALESCE(has_schema_privilege(to_regnamespace('net'), 'USAGE'), false) THEN
    RETURN false;
  END IF;
  -- A look-alike that somebody else has made does not count.
  RETURN EXISTS (
    SELECT FROM pg_proc AS p JOIN pg_roles AS o ON o.oid = p.proowner
     WHERE p.oid = to_regprocedure('net.http_post(text, jsonb, jsonb, jsonb, integer)')
       AND p.prorettype = 'bigint'::regtype AND NOT p.proretset AND o.rolsuper AND has_function_privilege(p.oid, 'EXECUTE'));
END
$$;
COMMENT ON FUNCTION integration_health_private.has_http_post() IS
  'Returns whether pg_net is available to the caller: net.http_post with its arguments and result, owned by a '
  'superuser.';

CREATE FUNCTION public.dispatch_sync_warm_ups(ahead interval DEFAULT '1 minute')
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  has_http_post boolean := integration_health_private.has_http_post();
  called bigint := 0;
  warm_up record;
  body text;
BEGIN
  IF ahead IS NULL OR ahead < interval '1 second' OR ahead > interval '1 day' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'ahead must be between 1 second and 1 day',
      HINT = 'Leave the argument out for 1 minute.';
  END IF;
  FOR warm_up IN
    SELECT * FROM integration_health_private.take_warm_ups(
      moment, moment + interval '1 microsecond' * integration_health_private.micros(ahead))
  LOOP
    body := format('{"event": "warm_up", "org_id": "%s", "integration_type": %s, "scheduled_for": "%s"', warm_up.org_id,
                   to_json(warm_up.integration_type), integration_health_private.utc_text(warm_up.scheduled_for));
    IF NOT has_http_post THEN
      PERFORM integration_health_private.send_event(format('%s, "url": %s}', body, to_json(warm_up.warm_up_url)));
      called := called + 1;
    ELSE
      BEGIN
        -- The timeout is 10 seconds, because the worker may have to start first.
        EXECUTE 'SELECT net.http_post($1, $2, ''{}'', ''{"Content-Type": "application/json"}'', 10000)'
          USING warm_up.warm_up_url, (body || '}')::jsonb;
        called := called + 1;
      EXCEPTION WHEN OTHERS THEN
        -- The other workers are still called.
        RAISE WARNING USING MESSAGE = 'a worker could not be called for its warm-up',
          DETAIL = format('%s}: %s', body, SQLERRM), HINT = 'Correct warm_up_url in integration_sync_schedules.';
      END;
    END IF;
  END LOOP;
  RETURN called;
END
$$;
COMMENT ON FUNCTION public.dispatch_sync_warm_ups(interval) IS
  'Calls the warm_up_url of each schedule with a period within ahead (1 second to 1 day), once per period, and '
  'returns how many. Uses net.http_post of pg_net if the caller may, otherwise an event on the channel '
  'integration_health. Warns of a URL that pg_net refuses. Errors: 22023 when ahead is null or out of range, '
  '55000 when somebody else has a trigger or rule on the tables.';

-- ---------------------------------------------------------------------------------------------
-- Reports on syncs: which are due, late or missed, and which started cold
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.require_all_syncs()
RETURNS void
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT integration_health_private.require_all_rows(VARIADIC ARRAY[
    'public.integration_sync_schedules'::regclass, 'public.integration_sync_runs'::regclass,
    'integration_health_private.sync_plans'::regclass]);
END;
COMMENT ON FUNCTION integration_health_private.require_all_syncs() IS
  'Calls require_all_rows for schedules, plans and runs.';

-- The schedules whose last period can be claimed; earlier periods do not count.
CREATE FUNCTION integration_health_private.due_periods(max_rows integer)
RETURNS TABLE (
  org_id uuid, integration_type text, scheduled_for timestamptz, attempts integer,
  idempotency_key text, due_at timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT s.org_id, s.integration_type, p.scheduled_for,
         COALESCE((SELECT r.attempt FROM public.integration_sync_runs r
                    WHERE r.org_id = s.org_id AND r.integration_type = s.integration_type
                      AND r.scheduled_for = p.scheduled_for), 0),
         public.integration_sync_key(s.org_id, s.integration_type, p.scheduled_for), s.due_at
    FROM public.integration_sync_schedules s
   CROSS JOIN LATERAL public.integration_sync_last_period(
           s.every, s.anchor, integration_health_private.usable_time_zone(
             s.org_id, s.integration_type, s.every, s.anchor, s.time_zone), pg_catalog.now()) AS p (scheduled_for)
   WHERE s.enabled AND s.due_at <= pg_catalog.now() AND p.scheduled_for IS NOT NULL
     AND NOT EXISTS (
         SELECT FROM public.integration_sync_runs r
          WHERE r.org_id = s.org_id AND r.integration_type = s.integration_type AND r.scheduled_for = p.scheduled_for
            AND NOT integration_health_private.may_lease(
                  r.outcome, r.attempt, r.finished_at, r.lease_until, s.max_attempts, s.retry_backoff, pg_catalog.now()))
   ORDER BY s.due_at LIMIT due_periods.max_rows;
END;
COMMENT ON FUNCTION integration_health_private.due_periods(integer) IS
  'Runs the query of get_due_syncs; due_at is since when a period can be claimed.';

-- As in lease_checks, the index is used however many schedules are due.
CREATE FUNCTION public.get_due_syncs(max_rows integer DEFAULT 1000)
RETURNS TABLE (
  org_id uuid, integration_type text, scheduled_for timestamptz, attempts integer,
  idempotency_key text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET jit = off SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  PERFORM integration_health_private.require_max_rows(get_due_syncs.max_rows);
  PERFORM integration_health_private.require_all_syncs();
  RETURN QUERY
    SELECT d.org_id, d.integration_type, d.scheduled_for, d.attempts, d.idempotency_key
      FROM integration_health_private.due_periods(get_due_syncs.max_rows) AS d;
END
$$;
COMMENT ON FUNCTION public.get_due_syncs(integer) IS
  'For sync workers: returns at most max_rows periods that can be claimed, of each enabled schedule only the last '
  'one: nobody has run it, or its last attempt failed and its wait is over, or the lease of that attempt ran out, and '
  'it has not been given up. Those claimable longest come first; attempts is how many there were. Errors: 22023 when '
  'max_rows is null or below 1, 55000 when row-level security applies to the owner of the function.';

CREATE FUNCTION integration_health_private.sync_drift(org_id uuid, since timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, started_at timestamptz,
  drift interval, attempt integer, outcome public.integration_sync_outcome,
  cold_start boolean)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT r.integration_type, t.display_name, r.scheduled_for, r.started_at, r.drift,
         r.attempt, r.outcome, r.cold_start
    FROM public.integration_sync_runs r
    JOIN public.integration_types t ON t.integration_type = r.integration_type
   WHERE r.org_id = sync_drift.org_id AND r.scheduled_for >= sync_drift.since
     AND public.integration_sync_is_late(r.drift)
   ORDER BY r.scheduled_for DESC, r.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.sync_drift(uuid, timestamptz) IS
  'Runs the query of get_sync_drift, for periods since a time.';

CREATE FUNCTION public.get_sync_drift(org_id uuid, hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, started_at timestamptz,
  drift interval, attempt integer, outcome public.integration_sync_outcome,
  cold_start boolean)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- First, whatever the query comes to.
  since timestamptz := integration_health_private.readable_since(hours);
BEGIN
  RETURN QUERY SELECT * FROM integration_health_private.sync_drift(get_sync_drift.org_id, since);
END
$$;
COMMENT ON FUNCTION public.get_sync_drift(uuid, integer) IS
  'Returns the runs for periods of the last hours (1 to 720) that started later than integration_health.max_drift, '
  'newest first. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 '
  'to 720, or for malformed claims.';

-- Defines "missed" for every report. Organisations are selected by a range, so that one plan serves one of them as well
-- as all.
CREATE FUNCTION integration_health_private.missed_syncs(of_org uuid, since timestamptz)
RETURNS TABLE (
  org_id uuid, integration_type text, scheduled_for timestamptz, attempts integer, given_up boolean)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT d.org_id, d.integration_type, d.scheduled_for, COALESCE(r.attempt, 0),
         COALESCE(r.attempt >= d.max_attempts, false)
    FROM (SELECT p.org_id, p.integration_type, p.max_attempts,
                 public.integration_sync_periods(
                   p.every, p.anchor, integration_health_private.usable_time_zone(
                     p.org_id, p.integration_type, p.every, p.anchor, p.time_zone),
                   GREATEST(missed_syncs.since, p.since), p.until) AS scheduled_for
            FROM (SELECT s.org_id, s.integration_type, s.every, s.anchor, s.time_zone,
                         GREATEST(s.planned_since, s.pruned_until + interval '1 microsecond') AS since,
                         pg_catalog.now() AS until, s.max_attempts
                    FROM public.integration_sync_schedules s
                   WHERE s.enabled
                     AND s.org_id >= COALESCE(missed_syncs.of_org, '00000000-0000-0000-0000-000000000000')
                     AND s.org_id <= COALESCE(missed_syncs.of_org, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                   UNION ALL
                  SELECT c.org_id, c.integration_type, c.every, c.anchor, c.time_zone,
                         GREATEST(c.since, s.pruned_until + interval '1 microsecond'),
                         c.until - interval '1 microsecond', s.max_attempts
                    FROM integration_health_private.sync_plans c
                    JOIN public.integration_sync_schedules s
                      ON s.org_id = c.org_id AND s.integration_type = c.integration_type
                   WHERE c.until > missed_syncs.since
                     AND c.org_id >= COALESCE(missed_syncs.of_org, '00000000-0000-0000-0000-000000000000')
                     AND c.org_id <= COALESCE(missed_syncs.of_org, 'ffffffff-ffff-ffff-ffff-ffffffffffff')) p) d
    LEFT JOIN public.integration_sync_runs r
      ON r.org_id = d.org_id AND r.integration_type = d.integration_type
     AND r.scheduled_for = d.scheduled_for AND r.scheduled_for >= missed_syncs.since
   WHERE public.integration_sync_is_late(pg_catalog.now() - d.scheduled_for)
     AND CASE r.outcome WHEN 'succeeded' THEN false
                        WHEN 'running' THEN r.lease_until < pg_catalog.now()
                        WHEN 'failed' THEN r.attempt >= d.max_attempts
                        ELSE true END;
END;
COMMENT ON FUNCTION integration_health_private.missed_syncs(uuid, timestamptz) IS
  'Returns the periods since a time, of one organisation, or of all when of_org is null, that are later than '
  'integration_health.max_drift and that nobody ran, whose lease ran out before an end was reported, or that failed '
  'max_attempts times. Leaves out periods whose runs the cleanup has deleted.';

CREATE FUNCTION integration_health_private.missed_syncs_of(org_id uuid, since timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, overdue interval,
  attempts integer, given_up boolean)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT m.integration_type, t.display_name, m.scheduled_for,
         pg_catalog.now() - m.scheduled_for AS overdue, m.attempts, m.given_up
    FROM integration_health_private.missed_syncs(missed_syncs_of.org_id, missed_syncs_of.since) m
    JOIN public.integration_types t ON t.integration_type = m.integration_type
   WHERE missed_syncs_of.org_id IS NOT NULL
   ORDER BY m.scheduled_for DESC, m.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.missed_syncs_of(uuid, timestamptz) IS
  'Runs the query of get_missed_syncs, for periods since a time.';

CREATE FUNCTION public.get_missed_syncs(org_id uuid, hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, overdue interval,
  attempts integer, given_up boolean)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- First, whatever the query comes to.
  since timestamptz := integration_health_private.readable_since(hours);
BEGIN
  RETURN QUERY SELECT * FROM integration_health_private.missed_syncs_of(get_missed_syncs.org_id, since);
END
$$;
COMMENT ON FUNCTION public.get_missed_syncs(uuid, integer) IS
  'Returns the periods of the last hours (1 to 720) that nobody ran (attempts 0), whose lease ran out before an end '
  'was reported, or that failed max_attempts times, newest first; overdue is the time since the period, given_up '
  'whether no attempt is left. A period counts once it is later than integration_health.max_drift, by the schedule as '
  'it was then, and as far back as the cleanup has left the ledger. No rows for a caller who may not see the '
  'organisation. Errors: 22023 when hours is null or outside 1 to 720, or for malformed claims.';

CREATE FUNCTION integration_health_private.cold_starts(org_id uuid, since timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, started_at timestamptz,
  drift interval, attempt integer, outcome public.integration_sync_outcome)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT r.integration_type, t.display_name, r.scheduled_for, r.started_at, r.drift,
         r.attempt, r.outcome
    FROM public.integration_sync_runs r
    JOIN public.integration_types t ON t.integration_type = r.integration_type
   WHERE r.org_id = cold_starts.org_id AND r.scheduled_for >= cold_starts.since
     AND r.cold_start
   ORDER BY r.scheduled_for DESC, r.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.cold_starts(uuid, timestamptz) IS
  'Runs the query of get_cold_starts, for periods since a time.';

CREATE FUNCTION public.get_cold_starts(org_id uuid, hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, started_at timestamptz,
  drift interval, attempt integer, outcome public.integration_sync_outcome)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- First, whatever the query comes to.
  since timestamptz := integration_health_private.readable_since(hours);
BEGIN
  RETURN QUERY SELECT * FROM integration_health_private.cold_starts(get_cold_starts.org_id, since);
END
$$;
COMMENT ON FUNCTION public.get_cold_starts(uuid, integer) IS
  'Returns the runs for periods of the last hours (1 to 720) whose worker had to be started first, newest first. No '
  'rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 to 720, or for '
  'malformed claims.';

CREATE FUNCTION integration_health_private.global_sync_summary(since timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, schedules bigint, succeeded bigint, failed bigint,
  running bigint, late bigint, missed bigint, cold_starts bigint, max_drift interval, given_up bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
  WITH run AS (
    SELECT r.integration_type,
           pg_catalog.count(*) FILTER (WHERE r.outcome = 'succeeded') AS succeeded,
           pg_catalog.count(*) FILTER (WHERE r.outcome = 'failed') AS failed,
           pg_catalog.count(*) FILTER (WHERE r.outcome = 'running') AS running,
           pg_catalog.count(*) FILTER (WHERE public.integration_sync_is_late(r.drift)) AS late,
           pg_catalog.count(*) FILTER (WHERE r.cold_start) AS cold_starts,
           pg_catalog.max(r.drift) AS max_drift
      FROM public.integration_sync_runs r
     WHERE r.scheduled_for >= global_sync_summary.since GROUP BY r.integration_type
  ), plan AS (
    SELECT s.integration_type, pg_catalog.count(*) AS schedules
      FROM public.integration_sync_schedules s WHERE s.enabled GROUP BY s.integration_type
  ), missing AS (
    SELECT m.integration_type, pg_catalog.count(*) AS missed,
           pg_catalog.count(*) FILTER (WHERE m.given_up) AS given_up
      FROM integration_health_private.missed_syncs(NULL, global_sync_summary.since) m
     GROUP BY m.integration_type
  )
  SELECT t.integration_type, t.display_name, COALESCE(p.schedules, 0), COALESCE(r.succeeded, 0),
         COALESCE(r.failed, 0), COALESCE(r.running, 0), COALESCE(r.late, 0), COALESCE(m.missed, 0),
         COALESCE(r.cold_starts, 0), r.max_drift, COALESCE(m.given_up, 0)
    FROM public.integration_types t
    LEFT JOIN run r ON r.integration_type = t.integration_type
    LEFT JOIN plan p ON p.integration_type = t.integration_type
    LEFT JOIN missing m ON m.integration_type = t.integration_type
   ORDER BY t.display_name, t.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.global_sync_summary(timestamptz) IS
  'Runs the query of get_global_sync_summary.';

CREATE FUNCTION public.get_global_sync_summary(hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, schedules bigint, succeeded bigint, failed bigint,
  running bigint, late bigint, missed bigint, cold_starts bigint, max_drift interval, given_up bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off ROWS 10 AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  PERFORM integration_health_private.require_all_syncs();
  RETURN QUERY SELECT * FROM integration_health_private.global_sync_summary(
    integration_health_private.window_start(get_global_sync_summary.hours));
END
$$;
COMMENT ON FUNCTION public.get_global_sync_summary(integer) IS
  'Returns for every integration type, by display name, the number of enabled schedules of all organisations and, for '
  'the periods of the last hours (1 to 720), how many runs succeeded, failed, are running, started late or cold, how '
  'many periods were missed (as in get_missed_syncs), the longest drift, and how many missed periods have no attempt '
  'left. Errors: 42501 as get_global_health_summary, 22023 when hours is null or outside 1 to 720, or for malformed '
  'claims, 55000 when row-level security applies to the owner of the function.';

-- ---------------------------------------------------------------------------------------------
-- Reports on health: of one organisation, and of all for global admins
-- ---------------------------------------------------------------------------------------------

-- The queries are parsed at creation, so that they survive a renamed schema. The functions that applications call raise
-- errors first, and then run them.

CREATE FUNCTION integration_health_private.org_health_status(org_id uuid)
RETURNS TABLE (
  integration_type text, display_name text, status public.integration_health_state,
  latency_ms integer, http_status integer, error text, checked_at timestamptz,
  status_since timestamptz, last_healthy_at timestamptz, consecutive_failures integer,
  is_stale boolean, monitoring_mode public.integration_monitoring_mode,
  cause public.integration_failure_cause)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT t.integration_type, t.display_name,
         COALESCE(s.status, 'unknown'::public.integration_health_state),
         s.latency_ms, s.http_status, s.error, s.checked_at, s.status_since, s.last_healthy_at,
         COALESCE(s.consecutive_failures, 0),
         CASE WHEN s.checked_at IS NOT NULL THEN
           COALESCE(integration_health_private.stale_at(
             s.checked_at, s.consecutive_failures, t.monitoring_mode, t.check_interval, t.max_backoff,
             GREATEST(t.planned_since, t.passive_until), m.enabled, m.claimed_at, m.due_at, m.planned_since)
             < pg_catalog.now(), false)
         END,
         t.monitoring_mode, s.cause
    FROM public.integration_types t
    LEFT JOIN public.integration_health_status s
      ON s.integration_type = t.integration_type AND s.org_id = org_health_status.org_id
    LEFT JOIN public.integration_monitors m
      ON m.integration_type = t.integration_type AND m.org_id = org_health_status.org_id
   WHERE public.integration_health_can_read(org_health_status.org_id)
   ORDER BY t.display_name, t.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.org_health_status(uuid) IS 'Runs the query of get_org_health_status.';

CREATE FUNCTION public.get_org_health_status(org_id uuid)
RETURNS TABLE (
  integration_type text, display_name text, status public.integration_health_state,
  latency_ms integer, http_status integer, error text, checked_at timestamptz,
  status_since timestamptz, last_healthy_at timestamptz, consecutive_failures integer,
  is_stale boolean, monitoring_mode public.integration_monitoring_mode,
  cause public.integration_failure_cause)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_claims();
  RETURN QUERY SELECT * FROM integration_health_private.org_health_status(get_org_health_status.org_id);
END
$$;
COMMENT ON FUNCTION public.get_org_health_status(uuid) IS
  'Returns the health of the organisation org_id: one row for every integration type, by display name. status is '
  'unknown for a pair never checked, latency_ms is in milliseconds, and is_stale is true when no check came in twice '
  'the time in which one was expected: the check_interval, or the backoff that the monitor of a failing pair waits '
  '(null when never checked, false when no check is expected). No rows for a caller who may not see the organisation. '
  'Errors: 22023 for malformed claims.';

-- The function in FROM is evaluated before the history is read, so that wrong hours are an error even where there are
-- no rows.
CREATE FUNCTION integration_health_private.health_trend(
  org_id uuid, integration_type text, hours integer DEFAULT 24)
RETURNS TABLE (
  checked_at timestamptz, status public.integration_health_state, latency_ms integer,
  http_status integer, error text, check_no bigint, cause public.integration_failure_cause)
LANGUAGE sql STABLE ROWS 96
BEGIN ATOMIC
  SELECT h.checked_at, h.status, h.latency_ms, h.http_status, h.error, h.check_no, h.cause
    FROM integration_health_private.window_start(health_trend.hours) AS s (trend_start)
   CROSS JOIN LATERAL (
         SELECT r.checked_at, r.status, r.latency_ms, r.http_status, r.error, r.check_no, r.cause
           FROM public.integration_health_history r
          WHERE r.org_id = health_trend.org_id
            AND r.integration_type = health_trend.integration_type
            AND r.checked_at >= s.trend_start
          ORDER BY r.checked_at DESC, r.check_no DESC
          LIMIT 96) h
   ORDER BY h.checked_at DESC, h.check_no DESC;
END;
COMMENT ON FUNCTION integration_health_private.health_trend(uuid, text, integer) IS
  'Runs the query of get_health_trend. Errors: 22023 when hours is null or outside 1 to 720.';

CREATE FUNCTION public.get_health_trend(
  org_id uuid, integration_type text, hours integer DEFAULT 24)
RETURNS TABLE (
  checked_at timestamptz, status public.integration_health_state, latency_ms integer,
  http_status integer, error text, check_no bigint, cause public.integration_failure_cause)
LANGUAGE plpgsql STABLE ROWS 96 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- First, whatever the query comes to.
  PERFORM integration_health_private.readable_since(hours);
  RETURN QUERY SELECT * FROM integration_health_private.health_trend(
    get_health_trend.org_id, get_health_trend.integration_type, get_health_trend.hours);
END
$$;
COMMENT ON FUNCTION public.get_health_trend(uuid, text, integer) IS
  'Returns the checks of (org_id, integration_type) within the last hours (1 to 720), newest first, at most 96; '
  'latency_ms is in milliseconds. No rows for a caller who may not see the organisation. Errors: 22023 when hours is '
  'null or outside 1 to 720, or for malformed claims.';

-- ---------------------------------------------------------------------------------------------
-- Reports on all organisations, for global admins
-- ---------------------------------------------------------------------------------------------

-- The deltas are summed before the join, in a single pass, whatever the number of types.
CREATE FUNCTION integration_health_private.global_health_summary()
RETURNS TABLE (
  integration_type text, display_name text,
  monitoring_mode public.integration_monitoring_mode,
  total bigint, healthy bigint, degraded bigint, unhealthy bigint, unknown bigint,
  healthy_pct numeric)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  WITH counted AS (
    SELECT c.integration_type,
           pg_catalog.sum(c.delta)::bigint AS total,
           COALESCE(pg_catalog.sum(c.delta) FILTER (WHERE c.status = 'healthy'), 0)::bigint AS healthy,
           COALESCE(pg_catalog.sum(c.delta) FILTER (WHERE c.status = 'degraded'), 0)::bigint AS degraded,
           COALESCE(pg_catalog.sum(c.delta) FILTER (WHERE c.status = 'unhealthy'), 0)::bigint AS unhealthy,
           COALESCE(pg_catalog.sum(c.delta) FILTER (WHERE c.status = 'unknown'), 0)::bigint AS unknown
      FROM public.integration_health_counts c GROUP BY c.integration_type
  )
  SELECT t.integration_type, t.display_name, t.monitoring_mode, COALESCE(c.total, 0), COALESCE(c.healthy, 0),
         COALESCE(c.degraded, 0), COALESCE(c.unhealthy, 0), COALESCE(c.unknown, 0),
         integration_health_private.percentage(c.healthy::numeric, c.total::numeric)
    FROM public.integration_types t
    LEFT JOIN counted c ON c.integration_type = t.integration_type
   ORDER BY t.display_name, t.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.global_health_summary() IS
  'Runs the query of get_global_health_summary.';

CREATE FUNCTION integration_health_private.require_all_pairs()
RETURNS void
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT integration_health_private.require_all_rows(VARIADIC ARRAY[
    'public.integration_health_status'::regclass, 'public.integration_health_counts'::regclass]);
END;
COMMENT ON FUNCTION integration_health_private.require_all_pairs() IS
  'Calls require_all_rows for the status table and the counts.';

CREATE FUNCTION public.get_global_health_summary()
RETURNS TABLE (
  integration_type text, display_name text,
  monitoring_mode public.integration_monitoring_mode,
  total bigint, healthy bigint, degraded bigint, unhealthy bigint, unknown bigint,
  healthy_pct numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 10 AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  PERFORM integration_health_private.require_all_pairs();
  RETURN QUERY SELECT * FROM integration_health_private.global_health_summary();
END
$$;
COMMENT ON FUNCTION public.get_global_health_summary() IS
  'Returns for every integration type, by display name, the number of organisations in each status, and the '
  'percentage that is healthy (rounded down to two decimals, null when there are none). Errors: 42501 unless a claim '
  'at one of the paths in integration_health.role_claims names integration_health.admin_role, 22023 for malformed '
  'claims, 55000 when row-level security applies to the owner of the function.';

-- The index yields the longest-lasting problems of each status, so that they need not all be sorted.
CREATE FUNCTION integration_health_private.global_health_problems(max_rows integer)
RETURNS TABLE (
  org_id uuid, integration_type text, display_name text,
  status public.integration_health_state, latency_ms integer, http_status integer,
  error text, checked_at timestamptz, status_since timestamptz, last_healthy_at timestamptz,
  consecutive_failures integer, cause public.integration_failure_cause)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT s.org_id, s.integration_type, t.display_name, s.status, s.latency_ms, s.http_status, s.error, s.checked_at,
         s.status_since, s.last_healthy_at, s.consecutive_failures, s.cause
    FROM (VALUES (1, 'unhealthy'::public.integration_health_state), (2, 'degraded'), (3, 'unknown')) AS k (rank, status)
   CROSS JOIN LATERAL (
         SELECT p.org_id, p.integration_type, p.status, p.latency_ms, p.http_status, p.error, p.checked_at,
                p.status_since, p.last_healthy_at, p.consecutive_failures, p.cause
           FROM public.integration_health_status p
          WHERE p.status = k.status AND p.status <> 'healthy'
          ORDER BY p.status_since, p.org_id, p.integration_type LIMIT global_health_problems.max_rows) s
    JOIN public.integration_types t ON t.integration_type = s.integration_type
   ORDER BY k.rank, s.status_since, s.org_id, s.integration_type
   LIMIT global_health_problems.max_rows;
END;
COMMENT ON FUNCTION integration_health_private.global_health_problems(integer) IS
  'Runs the query of get_global_health_problems.';

CREATE FUNCTION public.get_global_health_problems(max_rows integer DEFAULT 100)
RETURNS TABLE (
  org_id uuid, integration_type text, display_name text,
  status public.integration_health_state, latency_ms integer, http_status integer,
  error text, checked_at timestamptz, status_since timestamptz, last_healthy_at timestamptz,
  consecutive_failures integer, cause public.integration_failure_cause)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  PERFORM integration_health_private.require_max_rows(get_global_health_problems.max_rows);
  PERFORM integration_health_private.require_all_pairs();
  RETURN QUERY SELECT * FROM integration_health_private.global_health_problems(get_global_health_problems.max_rows);
END
$$;
COMMENT ON FUNCTION public.get_global_health_problems(integer) IS
  'Returns at most max_rows pairs that are not healthy: unhealthy before degraded before unknown, the longest-lasting '
  'first. Errors: 42501 and 55000 as get_global_health_summary, 22023 when max_rows is null or below 1, or for '
  'malformed claims.';

-- ---------------------------------------------------------------------------------------------
-- Uptime and latency. Uptime is a share of time, not of checks: failing pairs are checked more rarely. What counts:
--   - A status holds from the check that found it to the check that finds another one; late checks change nothing. A span
--     of silence has the last status until mark_stale_health records unknown.
--   - healthy and degraded are up, unhealthy is down. unknown is neither, nor is the time before a pair's first check.
--   - Maintenance is neither, whatever the status in it.
--   - uptime_pct is up / (up + down), coverage_pct is (up + down) / (the window without maintenance); both are rounded
--     down, and null where there is no such time.
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.seconds(times tstzmultirange)
RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT COALESCE(pg_catalog.sum(extract(epoch FROM pg_catalog.upper(r) - pg_catalog.lower(r))), 0)
    FROM pg_catalog.unnest(times) AS r;
END;
COMMENT ON FUNCTION integration_health_private.seconds(tstzmultirange) IS 'Returns how long certain times are, in seconds.';

-- Each transition ends a span of the status before it, and the last one begins that of the present status. Where the cleanup
-- has deleted the older transitions, the first that is left knows the status before it.
CREATE FUNCTION integration_health_private.status_spans(of_org uuid, of_type text, times tstzmultirange)
RETURNS TABLE (status public.integration_health_state, span tstzrange)
LANGUAGE sql STABLE ROWS 20
BEGIN ATOMIC
  SELECT c.status, p.span
    FROM (SELECT e.status,
                 pg_catalog.tstzrange(
                   pg_catalog.lag(e.ends_at, 1, pg_catalog.lower(times)) OVER (ORDER BY e.check_no), e.ends_at) AS span
            FROM (SELECT t.from_status AS status, LEAST(t.at, pg_catalog.upper(times)) AS ends_at, t.check_no
                    FROM public.integration_health_transitions t
                   WHERE t.org_id = of_org AND t.integration_type = of_type AND t.at > pg_catalog.lower(times)
                  UNION ALL
                  SELECT s.status, pg_catalog.upper(times), NULL
                    FROM public.integration_health_status s
                   WHERE s.org_id = of_org AND s.integration_type = of_type) e) c
   CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.tstzmultirange(c.span) * times) AS p (span)
   WHERE c.status IS NOT NULL;
END;
COMMENT ON FUNCTION integration_health_private.status_spans(uuid, text, tstzmultirange) IS
  'Returns when, of certain times, a pair had which status: spans that do not overlap, in no order. None before the first '
  'check of the pair, and none for a pair that is not there.';

CREATE FUNCTION integration_health_private.incident_times(since timestamptz, until timestamptz)
RETURNS TABLE (org_id uuid, integration_type text, took interval)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT i.org_id, i.integration_type, CASE WHEN i.resolved_at <= until THEN i.resolved_at - i.started_at END
    FROM public.integration_incidents i
   WHERE i.started_at < until AND (i.resolved_at IS NULL OR i.resolved_at > since);
END;
COMMENT ON FUNCTION integration_health_private.incident_times(timestamptz, timestamptz) IS
  'Returns the incidents of pairs and types (org_id is null) that started, or were open, between since and until, and how '
  'long those took that were resolved by then.';

-- planned_time is costly: OFFSET 0 keeps the planner from calling it wherever its result is used.
CREATE FUNCTION integration_health_private.org_uptime(of_org uuid, since timestamptz, until timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, uptime_pct numeric, coverage_pct numeric, healthy_s bigint, degraded_s bigint,
  unhealthy_s bigint, unknown_s bigint, planned_s bigint, incidents bigint, mttr interval)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT t.integration_type, t.display_name,
         integration_health_private.percentage(u.healthy + u.degraded, u.healthy + u.degraded + u.unhealthy),
         integration_health_private.percentage(u.healthy + u.degraded + u.unhealthy, u.counted),
         pg_catalog.floor(u.healthy)::bigint, pg_catalog.floor(u.degraded)::bigint, pg_catalog.floor(u.unhealthy)::bigint,
         pg_catalog.floor(u.unknown)::bigint, pg_catalog.floor(extract(epoch FROM until - since) - u.counted)::bigint,
         i.incidents, i.mttr
    FROM public.integration_types t
   CROSS JOIN LATERAL (
         SELECT pg_catalog.tstzmultirange(pg_catalog.tstzrange(since, until))
                - integration_health_private.planned_time(of_org, t.integration_type, since, until) OFFSET 0) AS c (times)
   CROSS JOIN LATERAL (
         SELECT COALESCE(pg_catalog.sum(s.seconds) FILTER (WHERE s.status = 'healthy'), 0) AS healthy,
                COALESCE(pg_catalog.sum(s.seconds) FILTER (WHERE s.status = 'degraded'), 0) AS degraded,
                COALESCE(pg_catalog.sum(s.seconds) FILTER (WHERE s.status = 'unhealthy'), 0) AS unhealthy,
                COALESCE(pg_catalog.sum(s.seconds) FILTER (WHERE s.status = 'unknown'), 0) AS unknown,
                integration_health_private.seconds(c.times) AS counted
           FROM (SELECT r.status, extract(epoch FROM pg_catalog.upper(r.span) - pg_catalog.lower(r.span)) AS seconds
                   FROM integration_health_private.status_spans(of_org, t.integration_type, c.times) r) s) u
   CROSS JOIN LATERAL (
         SELECT pg_catalog.count(*) AS incidents, pg_catalog.avg(x.took) AS mttr
           FROM integration_health_private.incident_times(since, until) x
          WHERE x.org_id = of_org AND x.integration_type = t.integration_type) i
   WHERE public.integration_health_can_read(of_org)
   ORDER BY t.display_name, t.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.org_uptime(uuid, timestamptz, timestamptz) IS
  'Runs the query of get_org_uptime, for the time from since to before until.';

CREATE FUNCTION public.get_org_uptime(org_id uuid, days integer DEFAULT 30)
RETURNS TABLE (
  integration_type text, display_name text, uptime_pct numeric, coverage_pct numeric, healthy_s bigint, degraded_s bigint,
  unhealthy_s bigint, unknown_s bigint, planned_s bigint, incidents bigint, mttr interval)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  since timestamptz := integration_health_private.readable_since_days(days);
BEGIN
  RETURN QUERY SELECT * FROM integration_health_private.org_uptime(get_org_uptime.org_id, since, now());
END
$$;
COMMENT ON FUNCTION public.get_org_uptime(uuid, integer) IS
  'Returns how available the integrations of an organisation were within the last days (1 to 90) of 24 hours: one row for '
  'every integration type, by display name. A status holds until a check finds another one. uptime_pct is the share of '
  'healthy and degraded in the time that was healthy, degraded or unhealthy; coverage_pct is the share of that time in the '
  'window without maintenance. Both are rounded down to two decimals, and null where there is no such time. The seconds in '
  'each status (healthy_s, degraded_s, unhealthy_s, unknown_s) are without maintenance, whose seconds are planned_s; the time '
  'before the first check is in none of them. incidents is the number of those that started, or were open, in the window, '
  'mttr the mean time from start to end of those that were resolved in it, null when none was. No rows for a caller who may '
  'not see the organisation. Errors: 22023 when days is null or outside 1 to 90, or for malformed claims.';

CREATE FUNCTION integration_health_private.require_time_zone(time_zone text)
RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF integration_health_private.is_time_zone(time_zone) IS NOT TRUE THEN
    RAISE EXCEPTION USING ERRCODE = '22023',
      MESSAGE = format('unknown time zone "%s"', integration_health_private.echo(time_zone)),
      HINT = 'Use a name from pg_timezone_names, spelled as it is there.';
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_time_zone(text) IS
  'Checks an argument time_zone. Errors: 22023 when it is null or no name of a time zone.';

CREATE FUNCTION integration_health_private.uptime_days(
  of_org uuid, of_type text, day_count integer, time_zone text, until timestamptz)
RETURNS TABLE (day date, uptime_pct numeric, coverage_pct numeric, worst public.integration_health_state)
LANGUAGE sql STABLE ROWS 90
BEGIN ATOMIC
  WITH calendar AS (
    SELECT d.day, pg_catalog.tstzrange(pg_catalog.timezone(time_zone, d.day::timestamp),
                                       LEAST(pg_catalog.timezone(time_zone, (d.day + 1)::timestamp), until)) AS span
      FROM (SELECT pg_catalog.timezone(time_zone, until)::date - n AS day
              FROM pg_catalog.generate_series(0, day_count - 1) AS n) d
  ), counted AS MATERIALIZED (
    SELECT pg_catalog.tstzmultirange(pg_catalog.tstzrange(c.since, until))
           - integration_health_private.planned_time(of_org, of_type, c.since, until) AS times
      FROM (SELECT pg_catalog.min(pg_catalog.lower(d.span)) FROM calendar d) AS c (since)
  ), spans AS MATERIALIZED (
    SELECT s.status, s.span
      FROM counted c
     CROSS JOIN LATERAL integration_health_private.status_spans(of_org, of_type, c.times) s
  )
  SELECT d.day, integration_health_private.percentage(u.up, u.known),
         integration_health_private.percentage(
           u.known, integration_health_private.seconds(c.times * pg_catalog.tstzmultirange(d.span))),
         u.worst
    FROM public.integration_types t
   CROSS JOIN counted c
   CROSS JOIN calendar d
   CROSS JOIN LATERAL (
         SELECT COALESCE(pg_catalog.sum(x.seconds) FILTER (WHERE x.status <= 'degraded'), 0) AS up,
                COALESCE(pg_catalog.sum(x.seconds) FILTER (WHERE x.status <> 'unknown'), 0) AS known,
                ('{unhealthy,degraded,unknown,healthy}'::public.integration_health_state[])[
                  pg_catalog.min(pg_catalog.array_position(
                    '{unhealthy,degraded,unknown,healthy}'::public.integration_health_state[], x.status))] AS worst
           FROM (SELECT s.status,
                        extract(epoch FROM pg_catalog.upper(s.span * d.span) - pg_catalog.lower(s.span * d.span)) AS seconds
                   FROM spans s WHERE s.span && d.span) x) u
   WHERE t.integration_type = of_type AND public.integration_health_can_read(of_org)
   ORDER BY d.day;
END;
COMMENT ON FUNCTION integration_health_private.uptime_days(uuid, text, integer, text, timestamptz) IS
  'Runs the query of get_uptime_days, for the days up to the one that until is in.';

CREATE FUNCTION public.get_uptime_days(
  org_id uuid, integration_type text, days integer DEFAULT 90, time_zone text DEFAULT 'UTC')
RETURNS TABLE (day date, uptime_pct numeric, coverage_pct numeric, worst public.integration_health_state)
LANGUAGE plpgsql STABLE ROWS 90 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.readable_since_days(days);
  PERFORM integration_health_private.require_time_zone(time_zone);
  RETURN QUERY SELECT * FROM integration_health_private.uptime_days(
    get_uptime_days.org_id, get_uptime_days.integration_type, days, time_zone, now());
END
$$;
COMMENT ON FUNCTION public.get_uptime_days(uuid, text, integer, text) IS
  'Returns how available a pair was on each of the last days (1 to 90) of the calendar of time_zone, a name of '
  'pg_timezone_names: one row a day, the oldest first, today so far the last. uptime_pct and coverage_pct are those of '
  'get_org_uptime, of one day; uptime_pct is null, never 100, for a day without data. worst is the worst status that the pair '
  'had outside maintenance: unhealthy, degraded, unknown, healthy, in this order; null without data. No rows for a caller who '
  'may not see the organisation, or for a type that is not there. Errors: 22023 when days is null or outside 1 to 90, for an '
  'unknown time_zone, or for malformed claims.';

-- The pairs that had no transition in the window are not read. Had no pair changed, each would have been in its present
-- status all the time; a transition at some time moves what has passed of the window until then from the status after it to
-- the status before it, or to none, if there was none. The clock by which that is told stands still during maintenance of all
-- pairs of the type. Maintenance of single organisations is taken out pair by pair.
CREATE FUNCTION integration_health_private.uptime_sums(since timestamptz, until timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, healthy numeric, degraded numeric, unhealthy numeric, unknown numeric,
  planned numeric, incidents bigint, resolved bigint, took interval, pairs numeric)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  WITH counted AS MATERIALIZED (
    SELECT t.integration_type, t.display_name, extract(epoch FROM until - since) AS window_s,
           pg_catalog.tstzmultirange(pg_catalog.tstzrange(since, until))
           - integration_health_private.planned_time(NULL, t.integration_type, since, until) AS times
      FROM public.integration_types t
  ), clock AS (
    SELECT c.integration_type, pg_catalog.lower(r) AS starts_at, pg_catalog.upper(r) AS ends_at,
           COALESCE(pg_catalog.lead(pg_catalog.lower(r)) OVER w, 'infinity') AS next_at,
           COALESCE(pg_catalog.sum(extract(epoch FROM pg_catalog.upper(r) - pg_catalog.lower(r)))
                      OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS passed
      FROM counted c
     CROSS JOIN LATERAL pg_catalog.unnest(c.times) AS r
    WINDOW w AS (PARTITION BY c.integration_type ORDER BY pg_catalog.lower(r))
  ), moved AS MATERIALIZED (
    SELECT c.integration_type, x.from_status, x.to_status,
           pg_catalog.count(*) * c.passed + extract(epoch FROM pg_catalog.sum(LEAST(x.at, c.ends_at) - c.starts_at)) AS seconds
      FROM public.integration_health_transitions x
      JOIN clock c ON c.integration_type = x.integration_type AND x.at > c.starts_at AND x.at <= c.next_at
     WHERE x.at > since
     GROUP BY c.integration_type, c.passed, x.from_status, x.to_status
  ), present AS (
    SELECT n.integration_type, n.status, pg_catalog.sum(n.delta) AS pairs
      FROM public.integration_health_counts n GROUP BY n.integration_type, n.status
  ), own AS MATERIALIZED (
    SELECT o.org_id, o.integration_type, o.planned * c.times AS planned
      FROM (SELECT s.org_id, s.integration_type,
                   pg_catalog.range_agg(pg_catalog.tstzrange(m.starts_at, m.ends_at)) AS planned
              FROM public.integration_maintenance m
              JOIN public.integration_health_status s
                ON s.org_id = m.org_id AND (m.integration_type IS NULL OR m.integration_type = s.integration_type)
             WHERE m.ends_at > since AND m.starts_at < until
             GROUP BY s.org_id, s.integration_type) o
      JOIN counted c ON c.integration_type = o.integration_type
  ), part AS (
    SELECT p.integration_type, p.status, p.pairs, p.pairs * integration_health_private.seconds(c.times) AS seconds,
           p.pairs * (c.window_s - integration_health_private.seconds(c.times)) AS planned
      FROM present p
      JOIN counted c ON c.integration_type = p.integration_type
    UNION ALL
    SELECT m.integration_type, m.from_status, 0, m.seconds, 0 FROM moved m
    UNION ALL
    SELECT m.integration_type, m.to_status, 0, - m.seconds, 0 FROM moved m
    UNION ALL
    SELECT o.integration_type, s.status, 0, - extract(epoch FROM pg_catalog.upper(s.span) - pg_catalog.lower(s.span)), 0
      FROM own o
     CROSS JOIN LATERAL integration_health_private.status_spans(o.org_id, o.integration_type, o.planned) s
    UNION ALL
    SELECT o.integration_type, NULL, 0, 0, integration_health_private.seconds(o.planned) FROM own o
  ), incidents AS (
    SELECT x.integration_type, pg_catalog.count(*) AS incidents, pg_catalog.count(x.took) AS resolved,
           pg_catalog.sum(x.took) AS took
      FROM integration_health_private.incident_times(since, until) x
     WHERE x.org_id IS NOT NULL GROUP BY x.integration_type
  )
  SELECT c.integration_type, c.display_name,
         COALESCE(pg_catalog.sum(p.seconds) FILTER (WHERE p.status = 'healthy'), 0),
         COALESCE(pg_catalog.sum(p.seconds) FILTER (WHERE p.status = 'degraded'), 0),
         COALESCE(pg_catalog.sum(p.seconds) FILTER (WHERE p.status = 'unhealthy'), 0),
         COALESCE(pg_catalog.sum(p.seconds) FILTER (WHERE p.status = 'unknown'), 0),
         COALESCE(pg_catalog.sum(p.planned), 0), COALESCE(i.incidents, 0), COALESCE(i.resolved, 0), i.took,
         COALESCE(pg_catalog.sum(p.pairs), 0)
    FROM counted c
    LEFT JOIN part p ON p.integration_type = c.integration_type
    LEFT JOIN incidents i ON i.integration_type = c.integration_type
   GROUP BY c.integration_type, c.display_name, i.incidents, i.resolved, i.took;
END;
COMMENT ON FUNCTION integration_health_private.uptime_sums(timestamptz, timestamptz) IS
  'Returns what get_global_uptime reports as sums, exact and in seconds, for the time from since to before until: of the pairs '
  'of each type, and of the incidents of pairs and those of them that were resolved.';

CREATE FUNCTION integration_health_private.global_uptime(since timestamptz, until timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, uptime_pct numeric, coverage_pct numeric, healthy_s bigint, degraded_s bigint,
  unhealthy_s bigint, unknown_s bigint, planned_s bigint, incidents bigint, mttr interval, pairs bigint)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT u.integration_type, u.display_name,
         integration_health_private.percentage(u.healthy + u.degraded, u.healthy + u.degraded + u.unhealthy),
         integration_health_private.percentage(
           u.healthy + u.degraded + u.unhealthy, u.pairs * extract(epoch FROM until - since) - u.planned),
         pg_catalog.floor(u.healthy)::bigint, pg_catalog.floor(u.degraded)::bigint, pg_catalog.floor(u.unhealthy)::bigint,
         pg_catalog.floor(u.unknown)::bigint, pg_catalog.floor(u.planned)::bigint, u.incidents,
         u.took / NULLIF(u.resolved, 0), u.pairs::bigint
    FROM integration_health_private.uptime_sums(since, until) u
   ORDER BY u.display_name, u.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.global_uptime(timestamptz, timestamptz) IS
  'Runs the query of get_global_uptime, for the time from since to before until.';

-- Compilation would take as long as the query.
CREATE FUNCTION public.get_global_uptime(days integer DEFAULT 30)
RETURNS TABLE (
  integration_type text, display_name text, uptime_pct numeric, coverage_pct numeric, healthy_s bigint, degraded_s bigint,
  unhealthy_s bigint, unknown_s bigint, planned_s bigint, incidents bigint, mttr interval, pairs bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off ROWS 10 AS $$
DECLARE
  since timestamptz;
BEGIN
  PERFORM integration_health_private.require_admin_role();
  since := integration_health_private.days_start(days);
  PERFORM integration_health_private.require_all_rows(
    integration_health_private.relation('integration_health_status'),
    integration_health_private.relation('integration_health_counts'),
    integration_health_private.relation('integration_health_transitions'),
    integration_health_private.relation('integration_incidents'),
    integration_health_private.relation('integration_maintenance'));
  RETURN QUERY SELECT * FROM integration_health_private.global_uptime(since, now());
END
$$;
COMMENT ON FUNCTION public.get_global_uptime(integer) IS
  'Returns for every integration type, by display name, how available it was for all organisations within the last days (1 '
  'to 90): the columns of get_org_uptime, as sums over the pairs of the type that are there now (pairs), seconds of pairs; the '
  'percentages are of these sums. incidents and mttr are of the incidents of pairs. Its cost grows with the transitions in '
  'the window, not with the pairs that had none. Errors: 42501 as get_global_health_summary, 22023 when days is null or '
  'outside 1 to 90, or for malformed claims, 55000 when row-level security applies to the owner of the function.';

CREATE FUNCTION integration_health_private.latency_days(of_org uuid, of_type text, day_count integer)
RETURNS TABLE (day date, checks integer, p50_ms integer, p95_ms integer, max_ms integer)
LANGUAGE sql STABLE ROWS 90
BEGIN ATOMIC
  WITH known AS (
    SELECT d.day, d.checks, d.p50_ms, d.p95_ms, d.max_ms
      FROM public.integration_health_days d
     WHERE d.org_id = of_org AND d.integration_type = of_type
    UNION ALL
    -- The day of the last check is not closed.
    SELECT o.day, r.checks, r.p50_ms, r.p95_ms, r.max_ms
      FROM (SELECT integration_health_private.utc_day(s.checked_at) AS day
              FROM public.integration_health_status s
             WHERE s.org_id = of_org AND s.integration_type = of_type) o
     CROSS JOIN LATERAL integration_health_private.day_of_ring(of_org, of_type, o.day) r
     WHERE r.checks > 0
  )
  SELECT c.day, k.checks, k.p50_ms, k.p95_ms, k.max_ms
    FROM public.integration_types t
   CROSS JOIN (SELECT integration_health_private.utc_day(pg_catalog.now()) - n
                 FROM pg_catalog.generate_series(0, day_count - 1) AS n) AS c (day)
    LEFT JOIN known k ON k.day = c.day
   WHERE t.integration_type = of_type AND public.integration_health_can_read(of_org)
   ORDER BY c.day;
END;
COMMENT ON FUNCTION integration_health_private.latency_days(uuid, text, integer) IS 'Runs the query of get_latency_days.';

CREATE FUNCTION public.get_latency_days(org_id uuid, integration_type text, days integer DEFAULT 90)
RETURNS TABLE (day date, checks integer, p50_ms integer, p95_ms integer, max_ms integer)
LANGUAGE plpgsql STABLE ROWS 90 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.readable_since_days(days);
  RETURN QUERY SELECT * FROM integration_health_private.latency_days(
    get_latency_days.org_id, get_latency_days.integration_type, days);
END
$$;
COMMENT ON FUNCTION public.get_latency_days(uuid, text, integer) IS
  'Returns how fast a pair answered on each of the last days (1 to 90) in UTC: one row a day, the oldest first, today so far '
  'the last; checks is the number of checks made on that day (of the last 96), and p50_ms, p95_ms and max_ms are the median, '
  'the 95th percentile and the highest latency in milliseconds of those that were healthy or degraded. Null where nothing is '
  'known. No rows for a caller who may not see the organisation, or for a type that is not there. Errors: 22023 when days is '
  'null or outside 1 to 90, or for malformed claims.';

-- ---------------------------------------------------------------------------------------------
-- What a page about one organisation shows, in one request each: the reports on its integrations, put together
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.org_overview(of_org uuid, time_zone text)
RETURNS TABLE (
  integration_type text, display_name text, status public.integration_health_state,
  latency_ms integer, http_status integer, error text, checked_at timestamptz,
  status_since timestamptz, last_healthy_at timestamptz, consecutive_failures integer,
  is_stale boolean, monitoring_mode public.integration_monitoring_mode,
  cause public.integration_failure_cause, uptime jsonb, uptime_days jsonb, latency_days jsonb, checks jsonb)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT h.integration_type, h.display_name, h.status, h.latency_ms, h.http_status, h.error, h.checked_at, h.status_since,
         h.last_healthy_at, h.consecutive_failures, h.is_stale, h.monitoring_mode, h.cause,
         w.uptime, d.days, l.days, COALESCE(c.checks, '[]')
    FROM integration_health_private.org_health_status(of_org) h
    JOIN (SELECT u.integration_type,
                 pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                   'days', n.days, 'uptime_pct', u.uptime_pct, 'coverage_pct', u.coverage_pct) ORDER BY n.days) AS uptime
            FROM pg_catalog.unnest('{1,7,30,90}'::integer[]) AS n (days)
           CROSS JOIN LATERAL integration_health_private.org_uptime(
                   of_org, integration_health_private.days_start(n.days), pg_catalog.now()) u
           GROUP BY u.integration_type) w ON w.integration_type = h.integration_type
   CROSS JOIN LATERAL (
         SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                  'day', r.day, 'uptime_pct', r.uptime_pct, 'coverage_pct', r.coverage_pct, 'worst', r.worst) ORDER BY r.day)
           FROM integration_health_private.uptime_days(of_org, h.integration_type, 90, time_zone, pg_catalog.now()) r) AS d (days)
   CROSS JOIN LATERAL (
         SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                  'day', r.day, 'checks', r.checks, 'p50_ms', r.p50_ms, 'p95_ms', r.p95_ms, 'max_ms', r.max_ms) ORDER BY r.day)
           FROM integration_health_private.latency_days(of_org, h.integration_type, 90) r) AS l (days)
   CROSS JOIN LATERAL (
         SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                  'checked_at', r.checked_at, 'status', r.status, 'latency_ms', r.latency_ms, 'http_status', r.http_status,
                  'error', r.error, 'check_no', r.check_no, 'cause', r.cause) ORDER BY r.checked_at, r.check_no)
           FROM integration_health_private.health_trend(of_org, h.integration_type) r) AS c (checks)
   ORDER BY h.display_name, h.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.org_overview(uuid, text) IS 'Runs the query of get_org_overview.';

CREATE FUNCTION public.get_org_overview(org_id uuid, time_zone text DEFAULT 'UTC')
RETURNS TABLE (
  integration_type text, display_name text, status public.integration_health_state,
  latency_ms integer, http_status integer, error text, checked_at timestamptz,
  status_since timestamptz, last_healthy_at timestamptz, consecutive_failures integer,
  is_stale boolean, monitoring_mode public.integration_monitoring_mode,
  cause public.integration_failure_cause, uptime jsonb, uptime_days jsonb, latency_days jsonb, checks jsonb)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_claims();
  PERFORM integration_health_private.require_time_zone(time_zone);
  RETURN QUERY SELECT * FROM integration_health_private.org_overview(get_org_overview.org_id, time_zone);
END
$$;
COMMENT ON FUNCTION public.get_org_overview(uuid, text) IS
  'Returns all that a page about the organisation org_id shows of its integrations: the rows of get_org_health_status, and of '
  'each integration, as arrays of JSON objects: uptime, with the days (1, 7, 30 and 90), uptime_pct and coverage_pct of '
  'get_org_uptime; uptime_days, the rows of get_uptime_days for 90 days in time_zone, a name of pg_timezone_names; '
  'latency_days, the rows of get_latency_days for 90 days in UTC; and checks, the rows of get_health_trend for 24 hours, but '
  'the oldest first. No rows for a caller who may not see the organisation. Errors: 22023 for an unknown time_zone or '
  'malformed claims.';

CREATE FUNCTION integration_health_private.org_syncs(of_org uuid, since timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, every interval, enabled boolean, next_at timestamptz,
  last_scheduled_for timestamptz, last_started_at timestamptz, last_finished_at timestamptz,
  last_outcome public.integration_sync_outcome, last_error text, late bigint, missed bigint, cold_starts bigint)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT s.integration_type, t.display_name, s.every, s.enabled,
         CASE WHEN s.enabled THEN public.integration_sync_next_period(
           s.every, s.anchor, integration_health_private.usable_time_zone(
             s.org_id, s.integration_type, s.every, s.anchor, s.time_zone), pg_catalog.now()) END,
         l.scheduled_for, l.started_at, l.finished_at, l.outcome, l.error, c.late, COALESCE(m.missed, 0), c.cold_starts
    FROM public.integration_sync_schedules s
    JOIN public.integration_types t ON t.integration_type = s.integration_type
    LEFT JOIN LATERAL (
         SELECT r.scheduled_for, r.started_at, r.finished_at, r.outcome, r.error
           FROM public.integration_sync_runs r
          WHERE r.org_id = of_org AND r.integration_type = s.integration_type
          ORDER BY r.scheduled_for DESC LIMIT 1) l ON true
   CROSS JOIN LATERAL (
         SELECT pg_catalog.count(*) FILTER (WHERE public.integration_sync_is_late(r.drift)) AS late,
                pg_catalog.count(*) FILTER (WHERE r.cold_start) AS cold_starts
           FROM public.integration_sync_runs r
          WHERE r.org_id = of_org AND r.integration_type = s.integration_type AND r.scheduled_for >= since) c
    LEFT JOIN (SELECT x.integration_type, pg_catalog.count(*) AS missed
                 FROM integration_health_private.missed_syncs(of_org, since) x
                WHERE of_org IS NOT NULL
                GROUP BY x.integration_type) m ON m.integration_type = s.integration_type
   WHERE s.org_id = of_org
   ORDER BY t.display_name, t.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.org_syncs(uuid, timestamptz) IS
  'Runs the query of get_org_syncs, for periods since a time.';

CREATE FUNCTION public.get_org_syncs(org_id uuid, hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, every interval, enabled boolean, next_at timestamptz,
  last_scheduled_for timestamptz, last_started_at timestamptz, last_finished_at timestamptz,
  last_outcome public.integration_sync_outcome, last_error text, late bigint, missed bigint, cold_starts bigint)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- First, whatever the query comes to.
  since timestamptz := integration_health_private.readable_since(hours);
BEGIN
  RETURN QUERY SELECT * FROM integration_health_private.org_syncs(get_org_syncs.org_id, since);
END
$$;
COMMENT ON FUNCTION public.get_org_syncs(uuid, integer) IS
  'Returns the schedules of the organisation org_id, by display name: next_at, the next period, null where the schedule is '
  'not enabled; the last period that somebody ran, with when it started and finished, its outcome and error, null where there '
  'was none; and of the periods of the last hours (1 to 720) how many get_sync_drift, get_missed_syncs and get_cold_starts '
  'list: late, missed and cold_starts. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null '
  'or outside 1 to 720, or for malformed claims.';

-- ---------------------------------------------------------------------------------------------
-- The watch, a job of every minute: finds what no check tells of
-- ---------------------------------------------------------------------------------------------

-- A type fails when at least 10 of its pairs do, and a fifth of them; less than half of that ends it. Failures that are not
-- confirmed count, since the checks of a type are spread over its check_interval: when the first pair has failed twice, most
-- of the others have failed once.
CREATE FUNCTION integration_health_private.failing_limit(pairs numeric)
RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT GREATEST(10, 0.2 * pairs);
END;
COMMENT ON FUNCTION integration_health_private.failing_limit(numeric) IS
  'Returns from how many failing pairs on a type of so many fails.';

CREATE FUNCTION integration_health_private.type_failures()
RETURNS TABLE (integration_type text, failing bigint, fails boolean, recovered boolean, incident_id uuid)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT t.integration_type, c.failing, c.failing >= integration_health_private.failing_limit(c.total),
         c.failing < integration_health_private.failing_limit(c.total) / 2, i.incident_id
    FROM public.integration_types t
    LEFT JOIN (SELECT d.integration_type, pg_catalog.sum(d.delta)::bigint AS total,
                      COALESCE(pg_catalog.sum(d.delta) FILTER (WHERE d.status = 'unhealthy'), 0)::bigint AS failing
                 FROM public.integration_health_counts d GROUP BY d.integration_type) AS n
      ON n.integration_type = t.integration_type
   CROSS JOIN LATERAL (SELECT COALESCE(n.total, 0), COALESCE(n.failing, 0)) AS c (total, failing)
    LEFT JOIN public.integration_incidents i
      ON i.integration_type = t.integration_type AND i.org_id IS NULL AND i.resolved_at IS NULL
   WHERE i.incident_id IS NOT NULL OR c.failing >= integration_health_private.failing_limit(c.total)
   ORDER BY t.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.type_failures() IS
  'Returns the types of which so many pairs fail that it is an incident of the type, and those that have one (incident_id), '
  'in byte order, so that two who open incidents of types cannot deadlock.';

CREATE FUNCTION integration_health_private.is_muted(incident integration_health_private.incidents)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN cardinality(integration_health_private.muted(ARRAY[incident.org_id], incident.integration_type)) > 0;
END
$$;
COMMENT ON FUNCTION integration_health_private.is_muted(integration_health_private.incidents) IS
  'Returns whether no alert is made of an incident now.';

CREATE FUNCTION integration_health_private.tell_of(incident integration_health_private.incidents)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF integration_health_private.is_muted(incident) THEN
    RETURN 0;
  END IF;
  UPDATE integration_health_private.incidents AS i SET alerted_at = clock_timestamp()
   WHERE i.incident_id = incident.incident_id;
  RETURN integration_health_private.alert_opened(ARRAY[incident]);
END
$$;
COMMENT ON FUNCTION integration_health_private.tell_of(integration_health_private.incidents) IS
  'Writes the alert of an open incident, whose row must be locked, unless it is muted, and returns how many it wrote. Errors: '
  'as alert_incidents.';

CREATE FUNCTION integration_health_private.open_type_incident(of_type text, failing bigint)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  incident integration_health_private.incidents;
BEGIN
  -- The first of its pairs that has a confirmed incident; without one, a single bad round of checks is none.
  SELECT i.* INTO incident FROM integration_health_private.incidents AS i
   WHERE i.integration_type = of_type AND i.org_id IS NOT NULL AND i.resolved_at IS NULL
   ORDER BY i.started_at LIMIT 1;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  INSERT INTO integration_health_private.incidents (
    incident_id, org_id, integration_type, cause, started_at, confirmed_at, failures)
  VALUES (gen_random_uuid(), NULL, of_type, incident.cause, incident.started_at,
          GREATEST(clock_timestamp(), incident.started_at), failing)
      ON CONFLICT DO NOTHING
  RETURNING * INTO incident;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  PERFORM integration_health_private.send_incident(incident, 'opened');
  RETURN integration_health_private.tell_of(incident);
END
$$;
COMMENT ON FUNCTION integration_health_private.open_type_incident(text, bigint) IS
  'Opens an incident of a type of which so many pairs fail, unless it has one or none of its pairs has, and returns the '
  'number of alerts written. Errors: as alert_incidents.';

CREATE FUNCTION integration_health_private.withdraw_alerts(of_type text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Incidents are locked before alerts, here as in a check that resolves one.
  WITH picked AS MATERIALIZED (
    SELECT i.incident_id FROM integration_health_private.incidents AS i
     WHERE i.integration_type = of_type AND i.org_id IS NOT NULL AND i.resolved_at IS NULL AND i.alerted_at IS NOT NULL
       AND EXISTS (SELECT FROM integration_health_private.alerts AS a
                    WHERE a.incident_id = i.incident_id AND a.kind = 'incident_opened' AND a.claimed_at IS NULL)
       FOR UPDATE SKIP LOCKED
  ), gone AS (
    DELETE FROM integration_health_private.alerts AS a USING picked AS p
     WHERE a.incident_id = p.incident_id AND a.kind = 'incident_opened' AND a.claimed_at IS NULL
    RETURNING a.incident_id
  )
  UPDATE integration_health_private.incidents AS i SET alerted_at = NULL FROM gone AS g WHERE i.incident_id = g.incident_id;
END
$$;
COMMENT ON FUNCTION integration_health_private.withdraw_alerts(text) IS
  'Withdraws the alerts of incidents of a type''s pairs that nobody has claimed yet.';

CREATE FUNCTION integration_health_private.watch_types()
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  type record;
  incident integration_health_private.incidents;
  alerts bigint := 0;
BEGIN
  FOR type IN SELECT f.* FROM integration_health_private.type_failures() AS f LOOP
    PERFORM integration_health_private.guard('integration_incidents', 'integration_alerts');
    IF type.incident_id IS NULL THEN
      alerts := alerts + integration_health_private.open_type_incident(type.integration_type, type.failing);
      PERFORM integration_health_private.withdraw_alerts(type.integration_type);
      CONTINUE;
    END IF;
    SELECT i.* INTO incident FROM integration_health_private.incidents AS i
     WHERE i.incident_id = type.incident_id AND i.resolved_at IS NULL FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      CONTINUE;
    ELSIF type.recovered THEN
      PERFORM integration_health_private.resolve_incident(incident, clock_timestamp());
      CONTINUE;
    ELSIF type.failing > incident.failures THEN
      UPDATE integration_health_private.incidents AS i SET failures = type.failing WHERE i.incident_id = incident.incident_id;
    END IF;
    PERFORM integration_health_private.withdraw_alerts(type.integration_type);
  END LOOP;
  RETURN alerts;
END
$$;
COMMENT ON FUNCTION integration_health_private.watch_types() IS
  'Opens and resolves the incidents of types, and withdraws the alerts of pairs whose type has one; returns the number of '
  'alerts written. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.tell_of_open(max_rows integer)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  incident integration_health_private.incidents;
  failing_types text[] := integration_health_private.failing_types();
  alerts bigint := 0;
BEGIN
  -- What was muted and is no longer.
  FOR incident IN
    SELECT i.* FROM integration_health_private.incidents AS i
     WHERE i.resolved_at IS NULL AND i.alerted_at IS NULL
       AND (i.org_id IS NULL OR i.integration_type <> ALL (failing_types))
     ORDER BY i.started_at LIMIT max_rows FOR UPDATE OF i SKIP LOCKED
  LOOP
    alerts := alerts + integration_health_private.tell_of(incident);
  END LOOP;
  FOR incident IN
    SELECT i.* FROM integration_health_private.incidents AS i
     WHERE i.resolved_at IS NULL AND i.acknowledged_at IS NULL AND i.alerted_at < clock_timestamp() - interval '24 hours'
     ORDER BY i.alerted_at LIMIT max_rows FOR UPDATE SKIP LOCKED
  LOOP
    IF NOT integration_health_private.is_muted(incident) THEN
      alerts := alerts + integration_health_private.alert_incidents(
        ARRAY[incident], 'incident_reminded', ':' || integration_health_private.utc_text(incident.alerted_at),
        clock_timestamp());
      UPDATE integration_health_private.incidents AS i SET alerted_at = clock_timestamp()
       WHERE i.incident_id = incident.incident_id;
    END IF;
  END LOOP;
  RETURN alerts;
END
$$;
COMMENT ON FUNCTION integration_health_private.tell_of_open(integer) IS
  'Writes the alerts of open incidents that were muted and no longer are, and every 24 hours a reminder of those that nobody '
  'has acknowledged, at most max_rows of each, and returns how many. Errors: as alert_incidents.';

-- Late checks are not in a row with the others, and unknown ones neither count nor break the row.
CREATE FUNCTION integration_health_private.recovered_incidents()
RETURNS TABLE (incident_id uuid, recovered_at timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT i.incident_id, g.checked_at
    FROM public.integration_incidents i
    JOIN public.integration_types t ON t.integration_type = i.integration_type
    JOIN public.integration_health_status s ON s.org_id = i.org_id AND s.integration_type = i.integration_type
   CROSS JOIN LATERAL (
         SELECT h.checked_at
           FROM public.integration_health_history h
          WHERE h.org_id = i.org_id AND h.integration_type = i.integration_type AND h.is_late IS NULL AND h.status <= 'degraded'
            AND h.check_no > COALESCE((
                  SELECT pg_catalog.max(f.check_no) FROM public.integration_health_history f
                   WHERE f.org_id = i.org_id AND f.integration_type = i.integration_type AND f.is_late IS NULL
                     AND f.status = 'unhealthy'), 0)
          ORDER BY h.check_no LIMIT 1 OFFSET t.success_threshold - 1) g
   WHERE i.resolved_at IS NULL AND i.org_id IS NOT NULL AND s.consecutive_failures = 0;
END;
COMMENT ON FUNCTION integration_health_private.recovered_incidents() IS
  'Returns the open incidents of pairs that have had success_threshold healthy or degraded checks since their last failure, '
  'and when the last of these was made.';

CREATE FUNCTION integration_health_private.resolve_recovered()
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  found_one record;
  incident integration_health_private.incidents;
BEGIN
  FOR found_one IN SELECT r.* FROM integration_health_private.recovered_incidents() AS r LOOP
    SELECT i.* INTO incident FROM integration_health_private.incidents AS i
     WHERE i.incident_id = found_one.incident_id AND i.resolved_at IS NULL FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
      PERFORM integration_health_private.resolve_incident(incident, found_one.recovered_at);
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.resolve_recovered() IS
  'Resolves what recovered_incidents returns. Errors: as resolve_incident.';

CREATE FUNCTION integration_health_private.oldest_due()
RETURNS TABLE (integration_type text, check_interval interval, due_at timestamptz)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT t.integration_type, t.check_interval, (
         SELECT GREATEST(m.due_at, '2000-01-01 00:00:00+00'::timestamptz) FROM public.integration_monitors m
          WHERE m.integration_type = t.integration_type AND m.enabled ORDER BY m.due_at LIMIT 1)
    FROM public.integration_types t
   WHERE t.monitoring_mode = 'active'
     AND integration_health_private.has_waited(t.passive_until, t.max_backoff, pg_catalog.now());
END;
COMMENT ON FUNCTION integration_health_private.oldest_due() IS
  'Returns for each type that is checked when the pair is due that is claimed next (from 2000 on); null when the type has no '
  'enabled monitor.';

CREATE FUNCTION integration_health_private.silent_since()
RETURNS TABLE (since timestamptz, types jsonb)
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
  SELECT pg_catalog.min(d.due_at), pg_catalog.jsonb_agg(d.integration_type ORDER BY d.integration_type)
    FROM integration_health_private.oldest_due() d
   WHERE d.due_at < pg_catalog.now() - d.check_interval;
END;
COMMENT ON FUNCTION integration_health_private.silent_since() IS
  'Returns since when a pair is due that nobody has claimed for a check_interval (from 2000 on), and the types of such '
  'pairs; null when there is none. The longest due are claimed first, so nobody claims any, or not enough.';

CREATE FUNCTION integration_health_private.watch_monitor()
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  silent record;
BEGIN
  SELECT * INTO silent FROM integration_health_private.silent_since();
  IF silent.since IS NULL THEN
    RETURN 0;
  END IF;
  RETURN integration_health_private.enqueue_alert(
    'monitor_silent', integration_health_private.utc_text(silent.since), NULL, NULL,
    jsonb_build_object('since', integration_health_private.utc_text(silent.since), 'types', silent.types))::integer;
END
$$;
COMMENT ON FUNCTION integration_health_private.watch_monitor() IS
  'Writes an alert when the health monitor has claimed nothing for a check_interval, and returns the number of alerts '
  'written. Errors: as enqueue_alert.';

CREATE FUNCTION integration_health_private.credential_cause(
  org_id uuid, integration_type text, expires_at timestamptz, days integer)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT pg_catalog.format('%s:%s:%s:%s', org_id, integration_type, integration_health_private.utc_text(expires_at), days);
END;
COMMENT ON FUNCTION integration_health_private.credential_cause(uuid, text, timestamptz, integer) IS
  'Returns what tells the alert that a credential of a pair expires within so many days from every other.';

CREATE FUNCTION integration_health_private.expiring_credentials(max_rows integer)
RETURNS TABLE (org_id uuid, integration_type text, expires_at timestamptz, days integer)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT m.org_id, m.integration_type, m.credential_expires_at, b.days
    FROM public.integration_monitors m
   CROSS JOIN LATERAL (
         SELECT CASE WHEN m.credential_expires_at <= pg_catalog.now() + interval '24 hours' THEN 1
                     WHEN m.credential_expires_at <= pg_catalog.now() + interval '168 hours' THEN 7 ELSE 14 END) AS b (days)
   WHERE m.credential_expires_at > pg_catalog.now() AND m.credential_expires_at <= pg_catalog.now() + interval '336 hours'
     AND NOT EXISTS (
         SELECT FROM public.integration_alerts a
          WHERE a.alert_id = integration_health_private.alert_id('credential_expires:'
                || integration_health_private.credential_cause(m.org_id, m.integration_type, m.credential_expires_at, b.days)))
   ORDER BY m.credential_expires_at LIMIT expiring_credentials.max_rows;
END;
COMMENT ON FUNCTION integration_health_private.expiring_credentials(integer) IS
  'Returns at most max_rows pairs whose credential expires within 14, 7 or 1 days and of which no alert says so.';

CREATE FUNCTION integration_health_private.watch_credentials(max_rows integer)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  credential record;
  alerts bigint := 0;
BEGIN
  FOR credential IN SELECT e.* FROM integration_health_private.expiring_credentials(max_rows) AS e LOOP
    alerts := alerts + integration_health_private.enqueue_alert(
      'credential_expires', integration_health_private.credential_cause(
        credential.org_id, credential.integration_type, credential.expires_at, credential.days),
      credential.org_id, credential.integration_type,
      jsonb_build_object('expires_at', integration_health_private.utc_text(credential.expires_at),
                         'within_days', credential.days))::integer;
  END LOOP;
  RETURN alerts;
END
$$;
COMMENT ON FUNCTION integration_health_private.watch_credentials(integer) IS
  'Writes the alerts of credentials that expire soon, at most max_rows, and returns how many. Errors: as enqueue_alert.';

-- due_at stays where it is until a period ends, so a schedule that nobody runs makes one alert, however many periods it
-- misses. One that has been given up is told of when its last attempt ends.
CREATE FUNCTION integration_health_private.unrun_schedules(max_rows integer)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, scheduled_for timestamptz, missed bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT s.org_id, s.integration_type, s.due_at, n.scheduled_for, n.missed
    FROM (SELECT c.org_id, c.integration_type, c.due_at
            FROM public.integration_sync_schedules c
           WHERE c.enabled AND c.due_at <= pg_catalog.now()
             AND public.integration_sync_is_late(pg_catalog.now() - c.due_at)
             AND NOT EXISTS (
                 SELECT FROM public.integration_alerts a
                  WHERE a.alert_id = integration_health_private.alert_id('sync_missed:'
                        || public.integration_sync_key(c.org_id, c.integration_type, c.due_at)))
           ORDER BY c.due_at DESC LIMIT unrun_schedules.max_rows) s
   CROSS JOIN LATERAL (
         SELECT pg_catalog.min(m.scheduled_for), pg_catalog.count(*)
           FROM integration_health_private.missed_syncs(
                  s.org_id, GREATEST(s.due_at, pg_catalog.now() - interval '24 hours')) m
          WHERE m.integration_type = s.integration_type) AS n (scheduled_for, missed)
   WHERE n.missed > 0;
END;
COMMENT ON FUNCTION integration_health_private.unrun_schedules(integer) IS
  'Returns at most max_rows schedules that have missed periods within 24 hours, the first of these and their number, and of '
  'which no alert says so.';

CREATE FUNCTION integration_health_private.watch_syncs(max_rows integer)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  schedule record;
  alerts bigint := 0;
BEGIN
  FOR schedule IN
    SELECT u.*, count(*) OVER (PARTITION BY u.integration_type) AS schedules
      FROM integration_health_private.unrun_schedules(max_rows) AS u
  LOOP
    -- When no worker runs, one alert of the type an hour says so.
    alerts := alerts + CASE WHEN schedule.schedules < 20 THEN
      integration_health_private.enqueue_alert(
        'sync_missed',
        integration_health_private.sync_key(schedule.org_id, schedule.integration_type, schedule.due_at),
        schedule.org_id, schedule.integration_type,
        jsonb_build_object('scheduled_for', integration_health_private.utc_text(schedule.scheduled_for),
                           'missed', schedule.missed))
    ELSE
      integration_health_private.enqueue_alert(
        'sync_missed',
        schedule.integration_type || ':' || integration_health_private.utc_text(date_trunc('hour', now(), 'UTC')),
        NULL, schedule.integration_type,
        jsonb_build_object('schedules', schedule.schedules))
    END::integer;
  END LOOP;
  RETURN alerts;
END
$$;
COMMENT ON FUNCTION integration_health_private.watch_syncs(integer) IS
  'Writes the alerts of schedules that have missed periods, at most max_rows, and returns how many: one of each, or, when '
  'there are 20 or more of a type, one of the type. Errors: as enqueue_alert.';

CREATE FUNCTION public.integration_health_watch(max_rows integer DEFAULT 1000)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET enable_seqscan = off SET jit = off SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  alerts bigint;
BEGIN
  PERFORM integration_health_private.require_max_rows(max_rows);
  PERFORM integration_health_private.guard('integration_incidents', 'integration_alerts');
  PERFORM integration_health_private.resolve_recovered();
  alerts := integration_health_private.watch_types()
            + integration_health_private.tell_of_open(max_rows)
            + integration_health_private.watch_monitor()
            + integration_health_private.watch_credentials(max_rows)
            + integration_health_private.watch_syncs(max_rows);
  IF integration_health_private.note_job('integration_health_watch') THEN
    PERFORM integration_health_private.keep_samples();
  END IF;
  RETURN alerts;
END
$$;
COMMENT ON FUNCTION public.integration_health_watch(integer) IS
  'For a job of every minute: opens and resolves the incidents of types, resolves incidents of pairs whose '
  'success_threshold is above 1, and writes the alerts that no check makes, at most max_rows of each kind: of open incidents '
  'whose maintenance has ended, reminders, a silent monitor, credentials that expire soon, and missed syncs. Measures what '
  'get_health_metrics reports of incidents, alerts and syncs. Returns how many alerts it wrote. Errors: 22023 when max_rows '
  'is null or below 1, 55000 when somebody else has a trigger or rule on the tables.';

-- ---------------------------------------------------------------------------------------------
-- Jobs
-- ---------------------------------------------------------------------------------------------

-- The oldest check of a pair is in the slot that is overwritten next, or in slot 1 of a ring that is not full yet. If
-- it is young enough, so are all the others, except late ones, which have an index of their own, and no other row is
-- read. Rows that a writer is overwriting are about to become younger, so they are skipped. Rows are deleted by their keys,
-- here and below, because ctid is not unique among partitions; nested loops keep that from reading the whole table.
CREATE FUNCTION integration_health_private.delete_history(cutoff timestamptz, max_rows bigint)
RETURNS bigint
LANGUAGE sql VOLATILE SET enable_hashjoin = off SET enable_mergejoin = off SET enable_partitionwise_join = on
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_health_history'::regclass]);
  SELECT integration_health_private.require_all_rows(VARIADIC ARRAY['public.integration_health_status'::regclass]);
  WITH old AS MATERIALIZED (
    SELECT s.org_id, s.integration_type, o.slot
      FROM public.integration_health_status s
      LEFT JOIN public.integration_health_history f
        ON f.org_id = s.org_id AND f.integration_type = s.integration_type
       AND f.slot = CASE WHEN s.check_no >= 96 THEN ((s.check_no + 1) % 96)::smallint ELSE 1::smallint END
     CROSS JOIN LATERAL pg_catalog.unnest(ARRAY(
       SELECT x.slot FROM public.integration_health_history x
        WHERE x.org_id = s.org_id AND x.integration_type = s.integration_type
          AND x.checked_at < delete_history.cutoff
          FOR UPDATE SKIP LOCKED)) AS o (slot)
     WHERE COALESCE(f.checked_at < delete_history.cutoff, true)
    UNION ALL
    SELECT l.org_id, l.integration_type, l.slot FROM (
      SELECT y.org_id, y.integration_type, y.slot FROM public.integration_health_history y
       WHERE y.is_late AND y.checked_at < delete_history.cutoff
         FOR UPDATE SKIP LOCKED) l
    LIMIT delete_history.max_rows
  ), gone AS (
    DELETE FROM public.integration_health_history h USING old o
     WHERE h.org_id = o.org_id AND h.integration_type = o.integration_type AND h.slot = o.slot
    RETURNING 1
  )
  SELECT pg_catalog.count(*) FROM gone;
END;
COMMENT ON FUNCTION integration_health_private.delete_history(timestamptz, bigint) IS
  'Deletes at most max_rows rows of history with a checked_at before cutoff, and returns how many. Errors: 55000 as '
  'require_own_triggers and require_all_rows.';

-- Deletes runs that have ended, or that nobody will end. pruned_until remembers them, since the ledger can no longer
-- tell that such a period has been run.
CREATE FUNCTION integration_health_private.delete_runs(cutoff timestamptz, max_rows bigint)
RETURNS bigint
LANGUAGE sql VOLATILE SET enable_hashjoin = off SET enable_mergejoin = off
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY[
    'public.integration_sync_runs'::regclass, 'public.integration_sync_schedules'::regclass]);
  WITH old AS MATERIALIZED (
    SELECT o.org_id, o.integration_type, o.scheduled_for FROM public.integration_sync_runs o
     WHERE o.scheduled_for < delete_runs.cutoff AND COALESCE(o.finished_at, o.lease_until) < delete_runs.cutoff
     LIMIT delete_runs.max_rows FOR UPDATE SKIP LOCKED
  ), gone AS (
    DELETE FROM public.integration_sync_runs r USING old o
     WHERE r.org_id = o.org_id AND r.integration_type = o.integration_type AND r.scheduled_for = o.scheduled_for
    RETURNING r.org_id, r.integration_type, r.scheduled_for
  ), newest AS MATERIALIZED (
    SELECT g.org_id, g.integration_type, pg_catalog.max(g.scheduled_for) AS scheduled_for
      FROM gone g GROUP BY g.org_id, g.integration_type ORDER BY g.org_id, g.integration_type
  ), remembered AS (
    UPDATE public.integration_sync_schedules s
       SET pruned_until = GREATEST(s.pruned_until, n.scheduled_for)
      FROM newest n WHERE s.org_id = n.org_id AND s.integration_type = n.integration_type
  )
  SELECT pg_catalog.count(*) FROM gone;
END;
COMMENT ON FUNCTION integration_health_private.delete_runs(timestamptz, bigint) IS
  'Deletes at most max_rows sync runs whose period and end lie before cutoff, and returns how many. Errors: 55000 as '
  'require_own_triggers.';

CREATE FUNCTION integration_health_private.expire_incidents(cutoff timestamptz, max_rows bigint)
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY[
    'public.integration_incidents'::regclass, 'public.integration_alerts'::regclass]);
  WITH incidents AS (
    DELETE FROM public.integration_incidents i
     WHERE i.ctid = ANY (ARRAY(
       SELECT x.ctid FROM public.integration_incidents x WHERE x.resolved_at < expire_incidents.cutoff
        ORDER BY x.resolved_at LIMIT expire_incidents.max_rows FOR UPDATE SKIP LOCKED))
    RETURNING 1
  ), alerts AS (
    DELETE FROM public.integration_alerts a
     WHERE a.ctid = ANY (ARRAY(
       SELECT x.ctid FROM public.integration_alerts x
        WHERE x.created_at < expire_incidents.cutoff
          AND NOT EXISTS (SELECT FROM public.integration_incidents i
                           WHERE i.incident_id = x.incident_id AND i.resolved_at IS NULL)
        ORDER BY x.created_at LIMIT expire_incidents.max_rows FOR UPDATE SKIP LOCKED))
    RETURNING 1
  )
  SELECT (SELECT pg_catalog.count(*) FROM incidents) + (SELECT pg_catalog.count(*) FROM alerts);
END;
COMMENT ON FUNCTION integration_health_private.expire_incidents(timestamptz, bigint) IS
  'Deletes incidents that were resolved, and alerts, delivered or not, of no open incident that were made, before cutoff; of '
  'each at most max_rows. Returns how many. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.expire_maintenance(cutoff timestamptz)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  deleted bigint;
BEGIN
  PERFORM integration_health_private.guard('integration_maintenance');
  DELETE FROM integration_health_private.maintenance AS m WHERE m.ends_at < cutoff;
  GET DIAGNOSTICS deleted = ROW_COUNT;
  RETURN deleted;
END
$$;
COMMENT ON FUNCTION integration_health_private.expire_maintenance(timestamptz) IS
  'Deletes maintenance that ended before cutoff, and returns how many. Errors: 55000 as require_own_triggers.';

-- A clock that was ahead for a moment leaves times that the rules cannot produce, and that nothing would ever correct.
-- claim_due_health_checks corrects the monitors that it hands out, this function the rest. No wait of a run is longer
-- than a day, and dispatch_sync_warm_ups looks no further ahead.
CREATE FUNCTION integration_health_private.heal_types()
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_types'::regclass]);
  UPDATE public.integration_types t SET planned_since = pg_catalog.now()
   WHERE t.planned_since > pg_catalog.now() + interval '1 day';
END;
COMMENT ON FUNCTION integration_health_private.heal_types() IS
  'Replaces what a clock that was ahead has left in planned_since of types. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.heal_times()
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY[
    'public.integration_monitors'::regclass, 'public.integration_sync_schedules'::regclass]);
  UPDATE public.integration_monitors m SET planned_since = pg_catalog.now()
   WHERE m.planned_since > pg_catalog.clock_timestamp() + interval '1 day';
  UPDATE public.integration_sync_schedules s
     SET planned_since = LEAST(s.planned_since, n.now), due_at = LEAST(s.due_at, n.next),
         warm_up_for = LEAST(s.warm_up_for, n.next)
    FROM (SELECT o.org_id, o.integration_type, w.now,
                 public.integration_sync_next_period(o.every, o.anchor, z.time_zone, w.now) AS next,
                 public.integration_sync_next_period(o.every, o.anchor, z.time_zone, w.now + interval '1 day') AS farthest
            FROM (SELECT pg_catalog.clock_timestamp() OFFSET 0) AS w (now)
            JOIN public.integration_sync_schedules o
              ON GREATEST(o.planned_since, o.due_at, o.warm_up_for) > w.now + interval '1 day'
           CROSS JOIN LATERAL integration_health_private.usable_time_zone(
                   o.org_id, o.integration_type, o.every, o.anchor, o.time_zone) AS z (time_zone)
           WHERE o.enabled
             FOR NO KEY UPDATE OF o SKIP LOCKED) n
   WHERE s.org_id = n.org_id AND s.integration_type = n.integration_type
     AND (s.planned_since > n.now + interval '1 day' OR s.due_at > n.farthest OR s.warm_up_for > n.farthest);
END;
COMMENT ON FUNCTION integration_health_private.heal_times() IS
  'Replaces what a clock that was ahead has left in planned_since of monitors and schedules, and in due_at and '
  'warm_up_for of schedules. Errors: 55000 as require_own_triggers.';

-- Keeps at least 24 hours: an interval that compares as a day or more may be shorter in the calendar, like
-- '-1 month 31 days', or '1 day' across a change of the clocks.
CREATE FUNCTION public.integration_health_cleanup(
  retention interval DEFAULT '30 days', max_rows integer DEFAULT 50000)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  cutoff timestamptz;
  older timestamptz;
  deleted bigint;
BEGIN
  IF retention IS NULL OR retention < interval '1 day' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'retention must be at least one day',
      HINT = 'Pass ''1 day'' or more, or leave the argument out for 30 days.';
  END IF;
  PERFORM integration_health_private.require_max_rows(max_rows);
  cutoff := LEAST(now() - retention, now() - interval '24 hours');
  older := LEAST(cutoff, now() - interval '90 days');
  deleted := integration_health_private.delete_history(cutoff, max_rows);
  IF deleted < max_rows THEN
    deleted := deleted + integration_health_private.delete_runs(cutoff, max_rows - deleted);
  END IF;
  IF deleted < max_rows THEN
    deleted := deleted + integration_health_private.expire_transitions(older, max_rows - deleted);
  END IF;
  IF deleted < max_rows THEN
    deleted := deleted + integration_health_private.expire_incidents(older, max_rows - deleted)
               + integration_health_private.expire_maintenance(older);
  END IF;
  PERFORM integration_health_private.heal_types();
  PERFORM integration_health_private.heal_times();
  PERFORM integration_health_private.note_job('integration_health_cleanup');
  RETURN deleted;
END
$$;
COMMENT ON FUNCTION public.integration_health_cleanup(interval, integer) IS
  'Deletes at most max_rows rows and returns how many: history whose checked_at, and sync runs whose period and end, '
  'are longer ago than retention (a day or more); and transitions, resolved incidents, ended maintenance, and alerts of '
  'no open incident, that are longer ago than retention and 90 days. Rows that a writer has locked wait for the next run. '
  'Also corrects what a clock that was ahead has left. Errors: 22023 '
  'when retention is null or shorter than a day, or max_rows is null or below 1, 55000 when somebody else has a '
  'trigger or rule on the tables.';

-- A pair that was checked within two of the shortest intervals cannot be stale, which settles the question for most
-- pairs. A monitor that waits longer than the rules say, because the clock was ahead, or because the check that ended a
-- series of failures found it locked, becomes due at once. SKIP LOCKED keeps the job out of the way of the monitors.
CREATE FUNCTION integration_health_private.mark_stale(max_rows integer)
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY[
    'public.integration_health_status'::regclass, 'public.integration_monitors'::regclass]);
  WITH stale AS MATERIALIZED (
    SELECT s.org_id, s.integration_type, s.checked_at, s.consecutive_failures
      FROM public.integration_health_status s
      JOIN public.integration_types t ON t.integration_type = s.integration_type
      LEFT JOIN LATERAL (
        SELECT o.enabled, o.claimed_at, o.due_at, o.planned_since
          FROM public.integration_monitors o
         WHERE o.org_id = s.org_id AND o.integration_type = s.integration_type
         LIMIT 1) m ON true
     WHERE s.checked_at < (SELECT pg_catalog.max(pg_catalog.now() - (a.check_interval + a.check_interval))
                             FROM public.integration_types a WHERE a.monitoring_mode = 'active')
       AND s.status <> 'unknown'
       AND integration_health_private.stale_at(
             s.checked_at, s.consecutive_failures, t.monitoring_mode, t.check_interval, t.max_backoff,
             GREATEST(t.planned_since, t.passive_until), m.enabled, m.claimed_at, m.due_at, m.planned_since)
           < pg_catalog.now()
     LIMIT mark_stale.max_rows FOR UPDATE OF s SKIP LOCKED
  ), late AS MATERIALIZED (
    SELECT o.org_id, o.integration_type
      FROM stale x
      JOIN public.integration_monitors o ON o.org_id = x.org_id AND o.integration_type = x.integration_type
      JOIN public.integration_types t ON t.integration_type = x.integration_type
     WHERE o.due_at > GREATEST(pg_catalog.now(), public.integration_monitor_ready_at(
             o.org_id, o.integration_type,
             CASE WHEN o.claimed_at > pg_catalog.now() THEN pg_catalog.now() ELSE o.claimed_at END,
             t.check_interval, t.max_backoff, x.consecutive_failures))
       FOR NO KEY UPDATE OF o SKIP LOCKED
  ), moved AS (
    UPDATE public.integration_monitors m
       SET due_at = pg_catalog.now(),
           claimed_at = CASE WHEN m.claimed_at > pg_catalog.now() THEN pg_catalog.now() ELSE m.claimed_at END
      FROM late l WHERE m.org_id = l.org_id AND m.integration_type = l.integration_type
  ), marked AS (
    UPDATE public.integration_health_status s
       SET status = 'unknown', latency_ms = NULL, http_status = NULL, checked_at = pg_catalog.now(),
           error = pg_catalog.format('no check since %s', pg_catalog.to_char(
             pg_catalog.timezone('UTC', x.checked_at), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
      FROM stale x WHERE s.org_id = x.org_id AND s.integration_type = x.integration_type
    RETURNING 1
  )
  SELECT pg_catalog.count(*) FROM marked;
END;
COMMENT ON FUNCTION integration_health_private.mark_stale(integer) IS
  'Does the work of mark_stale_health. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION public.mark_stale_health(max_rows integer DEFAULT 10000)
RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT integration_health_private.require_max_rows(mark_stale_health.max_rows);
  SELECT integration_health_private.note_job('integration_health_stale');
  SELECT integration_health_private.mark_stale(mark_stale_health.max_rows);
END;
COMMENT ON FUNCTION public.mark_stale_health(integer) IS
  'Records status unknown for at most max_rows pairs that are stale, and returns how many. A pair is stale when it '
  'was not checked in twice the time in which it should have been: the check_interval, or the backoff that the '
  'monitor of a failing pair waits. Pairs of passive types, or with disabled monitors, are not stale. Errors: 22023 '
  'when max_rows is null or below 1, 55000 when somebody else has a trigger or rule on the tables.';

-- The functions that the jobs call. Nobody else can create a function in this schema, so a look-alike in the schema of
-- the API, which may have defaults for further arguments, cannot make a call ambiguous.
CREATE FUNCTION integration_health_private.run_cleanup()
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT public.integration_health_cleanup();
END;
COMMENT ON FUNCTION integration_health_private.run_cleanup() IS 'Calls integration_health_cleanup() with its defaults.';

CREATE FUNCTION integration_health_private.run_counts()
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT public.integration_health_compact();
END;
COMMENT ON FUNCTION integration_health_private.run_counts() IS 'Calls integration_health_compact().';

CREATE FUNCTION integration_health_private.run_stale()
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT public.mark_stale_health();
END;
COMMENT ON FUNCTION integration_health_private.run_stale() IS 'Calls mark_stale_health() with its default.';

CREATE FUNCTION integration_health_private.run_warm_up()
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT public.dispatch_sync_warm_ups();
END;
COMMENT ON FUNCTION integration_health_private.run_warm_up() IS 'Calls dispatch_sync_warm_ups() with its default.';

CREATE FUNCTION integration_health_private.run_watch()
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT public.integration_health_watch();
END;
COMMENT ON FUNCTION integration_health_private.run_watch() IS 'Calls integration_health_watch() with its default.';

-- The only list of the jobs.
CREATE FUNCTION integration_health_private.jobs()
RETURNS TABLE (number integer, job_name text, command text)
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
  VALUES (1, 'integration_health_cleanup', 'SELECT integration_health_private.cleanup_job()'),
         (2, 'integration_health_counts', 'SELECT integration_health_private.run_counts()'),
         (3, 'integration_health_stale', 'SELECT integration_health_private.run_stale()'),
         (4, 'integration_health_warm_up', 'SELECT integration_health_private.run_warm_up()'),
         (5, 'integration_health_watch', 'SELECT integration_health_private.run_watch()');
END;
COMMENT ON FUNCTION integration_health_private.jobs() IS
  'Returns the jobs of the extension, in the order of the arguments of schedule_integration_health_jobs.';

-- A table of the same name that is not pg_cron's own may belong to anybody, and run that role's code.
CREATE FUNCTION integration_health_private.has_cron()
RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT pg_catalog.count(*) = 2
    FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
     AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'e'
    JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relname IN ('job', 'job_run_details') AND c.relkind = 'r'
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'cron'
   WHERE e.extname = 'pg_cron';
END;
COMMENT ON FUNCTION integration_health_private.has_cron() IS
  'Returns whether pg_cron is in this database, and cron.job and cron.job_run_details are its tables.';

CREATE FUNCTION integration_health_private.cleanup_job()
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF integration_health_private.has_cron()
     AND pg_catalog.has_table_privilege('cron.job_run_details', 'SELECT')
     AND pg_catalog.has_table_privilege('cron.job_run_details', 'DELETE') THEN
    EXECUTE 'DELETE FROM cron.job_run_details AS d USING cron.job AS j, integration_health_private.jobs() AS k
              WHERE j.jobid = d.jobid AND j.jobname = k.job_name AND j.database = pg_catalog.current_database()
                AND d.end_time < pg_catalog.now() - interval ''7 days''';
  END IF;
  RETURN integration_health_private.run_cleanup();
END
$$;
COMMENT ON FUNCTION integration_health_private.cleanup_job() IS
  'Calls integration_health_cleanup() with its defaults, after deleting what pg_cron noted of runs of these jobs that '
  'ended more than 7 days ago.';

CREATE FUNCTION integration_health_private.health_jobs()
RETURNS TABLE (
  job_name text, schedule text, owner text, active boolean, last_started_at timestamptz, last_status text,
  last_message text, problem text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 5 AS $$
BEGIN
  IF NOT integration_health_private.has_cron() THEN
    RETURN QUERY SELECT k.job_name, NULL::text, NULL::text, NULL::boolean, NULL::timestamptz, NULL::text, NULL::text,
                        'pg_cron is not installed in this database'
                   FROM integration_health_private.jobs() AS k ORDER BY k.number;
    RETURN;
  END IF;
  RETURN QUERY EXECUTE $query$
    SELECT k.job_name, j.schedule::text, j.username::text, j.active, r.start_time, r.status::text, r.return_message::text,
           CASE WHEN j.jobid IS NULL THEN 'not scheduled'
                WHEN NOT j.active THEN 'switched off'
                WHEN count(*) OVER (PARTITION BY k.job_name) > 1 THEN 'scheduled by more than one role'
                WHEN r.status = 'failed' THEN 'the last run failed' END
      FROM integration_health_private.jobs() AS k
      LEFT JOIN cron.job AS j ON j.jobname = k.job_name AND j.database = current_database()
      LEFT JOIN LATERAL (SELECT d.start_time, d.status, d.return_message FROM cron.job_run_details AS d
                          WHERE d.jobid = j.jobid ORDER BY d.runid DESC LIMIT 1) AS r ON true
     ORDER BY k.number, j.username $query$;
END
$$;
COMMENT ON FUNCTION integration_health_private.health_jobs() IS
  'Runs the query of get_health_jobs, for callers who may see all of it.';

CREATE FUNCTION integration_health_private.health_jobs_for_admin()
RETURNS TABLE (
  job_name text, schedule text, owner text, active boolean, last_started_at timestamptz, last_status text,
  last_message text, problem text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 5 AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  RETURN QUERY SELECT * FROM integration_health_private.health_jobs();
END
$$;
COMMENT ON FUNCTION integration_health_private.health_jobs_for_admin() IS
  'Calls health_jobs for global admins. Errors: as require_admin_role.';

CREATE FUNCTION public.get_health_jobs()
RETURNS TABLE (
  job_name text, schedule text, owner text, active boolean, last_started_at timestamptz, last_status text,
  last_message text, problem text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp ROWS 5 AS $$
BEGIN
  IF pg_catalog.has_function_privilege('integration_health_private.health_jobs()', 'EXECUTE') THEN
    RETURN QUERY SELECT * FROM integration_health_private.health_jobs();
  ELSE
    RETURN QUERY SELECT * FROM integration_health_private.health_jobs_for_admin();
  END IF;
END
$$;
COMMENT ON FUNCTION public.get_health_jobs() IS
  'Returns for each pg_cron job of the extension its schedule, the role it runs as, whether it is active, and when '
  'its last run began, how that ended and what it said; problem says in words what is wrong, and is null when nothing '
  'is. A job that is not scheduled has a row, too. For the writer, the owner and global admins. Errors: 42501 as '
  'get_global_health_summary for readers without the admin role, 22023 for malformed claims.';

CREATE FUNCTION public.schedule_integration_health_jobs(
  cleanup_schedule text DEFAULT '17 3 * * *', counts_schedule text DEFAULT '* * * * *',
  stale_schedule text DEFAULT '*/5 * * * *', warm_up_schedule text DEFAULT NULL, watch_schedule text DEFAULT '* * * * *')
RETURNS TABLE (job_id bigint, job_name text, schedule text, command text)
LANGUAGE plpgsql VOLATILE ROWS 5 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  schedules text[] := ARRAY[cleanup_schedule, counts_schedule, stale_schedule, warm_up_schedule, watch_schedule];
  owner text;
  failed record;
  job record;
BEGIN
  IF NOT integration_health_private.has_cron() THEN
    RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'pg_cron is not installed in this database',
      HINT = 'Add pg_cron to shared_preload_libraries, set cron.database_name to this database, restart, '
             'and run CREATE EXTENSION pg_cron.';
  END IF;
  -- pg_cron knows seconds since version 1.5.
  IF warm_up_schedule IS NULL THEN
    schedules[4] := (
      SELECT CASE WHEN pg_catalog.string_to_array(pg_catalog.substring(e.extversion, '^[0-9]+[.][0-9]+'), '.')::int[]
                       >= '{1,5}' THEN '30 seconds' ELSE '* * * * *' END
        FROM pg_catalog.pg_extension AS e WHERE e.extname = 'pg_cron');
  END IF;
  IF pg_catalog.array_position(schedules, NULL) IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'a schedule must not be null',
      HINT = 'Leave the argument out for its default.';
  END IF;

  -- If two roles had these jobs, everything would be done twice.
  FOR owner IN SELECT DISTINCT h.owner FROM integration_health_private.health_jobs() AS h
                WHERE h.owner <> current_user::text LOOP
    IF NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user) THEN
      RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = pg_catalog.format('role %s has scheduled the jobs', owner),
        HINT = 'Let that role, or a superuser, call unschedule_integration_health_jobs() first.';
    END IF;
    EXECUTE 'SELECT cron.unschedule(j.jobid) FROM cron.job AS j
               JOIN integration_health_private.jobs() AS k ON k.job_name = j.jobname
              WHERE j.database = pg_catalog.current_database() AND j.username = $1' USING owner;
  END LOOP;

  FOR job IN SELECT k.number, k.job_name, k.command FROM integration_health_private.jobs() AS k ORDER BY k.number LOOP
    job_name := job.job_name;
    schedule := schedules[job.number];
    command := job.command;
    EXECUTE 'SELECT cron.schedule($1, $2, $3)' INTO job_id USING job_name, schedule, command;
    RETURN NEXT;
  END LOOP;

  SELECT h.job_name, h.last_message INTO failed FROM integration_health_private.health_jobs() AS h
   WHERE h.last_status = 'failed' LIMIT 1;
  IF FOUND THEN
    RAISE WARNING USING ERRCODE = '55000', MESSAGE = pg_catalog.format('the last run of job %s failed', failed.job_name),
      DETAIL = COALESCE(failed.last_message, ''),
      HINT = 'Where pg_cron cannot connect, set cron.use_background_workers = on, or let it in by pg_hba.conf or a '
             'password file. get_health_jobs() shows later runs.';
  END IF;
END
$$;
COMMENT ON FUNCTION public.schedule_integration_health_jobs(text, text, text, text, text) IS
  'Registers the pg_cron jobs of the extension, or changes their schedules (crontab syntax), for the caller, who must '
  'be a role that can log in and is a member of the writer or the owner. Returns the jobs. A superuser takes over the '
  'jobs of another role. warm_up_schedule null: every 30 seconds if pg_cron knows seconds (1.5), otherwise every '
  'minute. Warns when the last run of one of them failed. Errors: 0A000 when pg_cron is not in this database, 22023 '
  'when another schedule is null, 55000 when another role has scheduled them; pg_cron''s own errors for a schedule '
  'that it cannot read.';

CREATE FUNCTION public.unschedule_integration_health_jobs()
RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  removed integer := 0;
BEGIN
  IF integration_health_private.has_cron() THEN
    EXECUTE 'SELECT pg_catalog.count(cron.unschedule(j.jobid)) FROM cron.job AS j
               JOIN integration_health_private.jobs() AS k ON k.job_name = j.jobname
              WHERE j.database = pg_catalog.current_database()
                AND (j.username = current_user
                     OR (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user))' INTO removed;
  END IF;
  RETURN removed;
END
$$;
COMMENT ON FUNCTION public.unschedule_integration_health_jobs() IS
  'Removes the pg_cron jobs of the extension that the caller has scheduled, or those of all roles if it is a '
  'superuser, and returns how many there were: 0 when pg_cron is not in this database.';

-- Deletion of an organisation
CREATE FUNCTION integration_health_private.forget_rows(org_id uuid)
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY[
    'public.integration_health_status'::regclass, 'public.integration_monitors'::regclass,
    'public.integration_sync_schedules'::regclass, 'public.integration_sync_runs'::regclass,
    'public.integration_alerts'::regclass]);
  WITH locked AS MATERIALIZED (
    SELECT s.integration_type FROM public.integration_health_status s
     WHERE s.org_id = forget_rows.org_id ORDER BY s.integration_type FOR UPDATE
  ), status AS (
    DELETE FROM public.integration_health_status s USING locked l
     WHERE s.org_id = forget_rows.org_id AND s.integration_type = l.integration_type RETURNING 1
  ), monitors AS (
    DELETE FROM public.integration_monitors m WHERE m.org_id = forget_rows.org_id RETURNING 1
  ), schedules AS (
    DELETE FROM public.integration_sync_schedules s WHERE s.org_id = forget_rows.org_id RETURNING 1
  ), runs AS (
    DELETE FROM public.integration_sync_runs r WHERE r.org_id = forget_rows.org_id RETURNING 1
  ), alerts AS (
    DELETE FROM public.integration_alerts a WHERE a.org_id = forget_rows.org_id
  )
  SELECT (SELECT pg_catalog.count(*) FROM status) + (SELECT pg_catalog.count(*) FROM monitors)
         + (SELECT pg_catalog.count(*) FROM schedules) + (SELECT pg_catalog.count(*) FROM runs);
END;
COMMENT ON FUNCTION integration_health_private.forget_rows(uuid) IS
  'Deletes what is stored about the pairs of an organisation, and returns what forget_organisation does. Errors: 55000 as '
  'require_own_triggers.';

CREATE FUNCTION public.forget_organisation(org_id uuid)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF forget_organisation.org_id IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'org_id must not be null',
      HINT = 'Pass the organisation to forget.';
  END IF;
  PERFORM integration_health_private.guard('integration_maintenance');
  DELETE FROM integration_health_private.maintenance AS m WHERE m.org_id = forget_organisation.org_id;
  RETURN integration_health_private.forget_rows(forget_organisation.org_id);
END
$$;
COMMENT ON FUNCTION public.forget_organisation(uuid) IS
  'Deletes all that is stored about an organisation: status, history and what follows from them, monitors, schedules and '
  'the ledger of its syncs, maintenance and alerts. Returns the number of status rows, monitors, schedules and runs '
  'deleted. Checks that are recorded later '
  'start anew. Errors: 22023 when org_id is null, 55000 when somebody else has a trigger or rule on the tables.';

-- ---------------------------------------------------------------------------------------------
-- Metrics, for a monitoring system: by type, never by organisation. A scrape reads a few rows of each type; what would take
-- longer the watch measures, and keeps (samples.sql).
-- ---------------------------------------------------------------------------------------------

-- PostgREST answers with the media type that the name of a function's result gives (media type handlers, version 12).
CREATE DOMAIN public."application/openmetrics-text" AS text;
COMMENT ON DOMAIN public."application/openmetrics-text" IS
  'A text in the exposition format of OpenMetrics, and its media type.';

CREATE FUNCTION integration_health_private.edition()
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT 'trusted'::text;
END;
COMMENT ON FUNCTION integration_health_private.edition() IS 'The edition that is installed: c or trusted.';

CREATE FUNCTION integration_health_private.measured_incidents()
RETURNS TABLE (metric text, labels jsonb, value double precision)
LANGUAGE sql STABLE ROWS 20
BEGIN ATOMIC
  SELECT 'integration_health_incidents_open',
         pg_catalog.jsonb_build_object(
           'integration_type', i.integration_type, 'scope', CASE WHEN i.org_id IS NULL THEN 'type' ELSE 'pair' END,
           'cause', COALESCE(i.cause::text, 'unknown')),
         pg_catalog.count(*)::double precision
    FROM public.integration_incidents i
   WHERE i.resolved_at IS NULL
   GROUP BY i.integration_type, i.org_id IS NULL, i.cause;
END;
COMMENT ON FUNCTION integration_health_private.measured_incidents() IS
  'Returns how many incidents are open, by type, scope and cause. Reads all open incidents.';

CREATE FUNCTION integration_health_private.measured_alerts()
RETURNS TABLE (metric text, labels jsonb, value double precision)
LANGUAGE sql STABLE ROWS 3
BEGIN ATOMIC
  WITH pending AS MATERIALIZED (
    SELECT pg_catalog.count(*) AS alerts, pg_catalog.min(a.created_at) AS oldest
      FROM public.integration_alerts a WHERE a.delivered_at IS NULL AND a.died_at IS NULL
  )
  SELECT 'integration_health_alerts', '{"state": "pending"}'::jsonb, p.alerts::double precision FROM pending p
  UNION ALL
  SELECT 'integration_health_alerts', '{"state": "dead"}', (
         SELECT pg_catalog.count(*) FROM public.integration_alerts d
          WHERE d.died_at IS NOT NULL AND d.delivered_at IS NULL)
  UNION ALL
  SELECT 'integration_health_alert_oldest_pending_timestamp_seconds', '{}',
         COALESCE(extract(epoch FROM p.oldest)::double precision, 0)
    FROM pending p;
END;
COMMENT ON FUNCTION integration_health_private.measured_alerts() IS
  'Returns how many alerts are not delivered, and since when the oldest of those that may still be is waiting (0: there is '
  'none). Reads all of them.';

-- A period that a worker has begun late, and is running, is no longer overdue. No wait after a failed attempt, which due_at
-- includes, is longer than a day.
CREATE FUNCTION integration_health_private.overdue_syncs()
RETURNS TABLE (integration_type text, overdue bigint)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT s.integration_type, pg_catalog.count(*)
    FROM public.integration_sync_schedules s
   WHERE s.enabled AND s.due_at <= pg_catalog.now() AND public.integration_sync_is_late(pg_catalog.now() - s.due_at)
     AND NOT EXISTS (
         SELECT FROM public.integration_sync_runs r
          WHERE r.org_id = s.org_id AND r.integration_type = s.integration_type AND r.outcome = 'running'
            AND r.lease_until >= pg_catalog.now() AND r.scheduled_for >= s.due_at - interval '1 day')
   GROUP BY s.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.overdue_syncs() IS
  'Returns how many enabled schedules of a type have been due for longer than integration_health.max_drift while nobody runs '
  'a period of them. Reads those that are due.';

CREATE FUNCTION integration_health_private.measured_syncs()
RETURNS TABLE (metric text, labels jsonb, value double precision)
LANGUAGE sql STABLE ROWS 40
BEGIN ATOMIC
  SELECT m.metric, pg_catalog.jsonb_build_object('integration_type', s.integration_type), m.value
    FROM integration_health_private.global_sync_summary(pg_catalog.now() - interval '1 hour') s
    LEFT JOIN integration_health_private.overdue_syncs() o ON o.integration_type = s.integration_type
   CROSS JOIN LATERAL (
         VALUES ('integration_health_syncs_overdue', COALESCE(o.overdue, 0)::double precision),
                ('integration_health_syncs_missed', s.missed::double precision),
                ('integration_health_syncs_late', s.late::double precision),
                ('integration_health_sync_drift_max_seconds',
                 GREATEST(0, COALESCE(extract(epoch FROM s.max_drift), 0))::double precision)) AS m (metric, value);
END;
COMMENT ON FUNCTION integration_health_private.measured_syncs() IS
  'Returns the figures of syncs, of periods within the last hour but for the overdue ones, for each type. Reads all enabled '
  'schedules.';

CREATE FUNCTION integration_health_private.forget_samples()
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  DELETE FROM integration_health_private.kept_samples k
   WHERE k.labels ? 'integration_type'
     AND NOT EXISTS (SELECT FROM public.integration_types t WHERE t.integration_type = k.labels ->> 'integration_type');
END;
COMMENT ON FUNCTION integration_health_private.forget_samples() IS 'Deletes the samples of types that no longer exist.';

-- The syncs take a time that grows with the schedules, so they are measured at most a fiftieth of the time. Unlike the rest of
-- the watch, this reads whole tables.
CREATE FUNCTION integration_health_private.keep_samples()
RETURNS void
LANGUAGE plpgsql VOLATILE SET enable_seqscan = on SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  started double precision := extract(epoch FROM clock_timestamp());
  samples integration_health_private.kept_samples[];
  of_syncs integration_health_private.kept_samples[];
BEGIN
  samples := ARRAY(
    SELECT ROW(m.metric, m.labels, m.value)::integration_health_private.kept_samples
      FROM (SELECT i.* FROM integration_health_private.measured_incidents() AS i
            UNION ALL
            SELECT a.* FROM integration_health_private.measured_alerts() AS a
            UNION ALL
            -- What there was, and is no longer.
            SELECT k.metric, k.labels, 0 FROM integration_health_private.kept_samples AS k
             WHERE k.metric = 'integration_health_incidents_open') AS m);
  IF started >= COALESCE((
       SELECT at.value + 50 * took.value
         FROM integration_health_private.kept_samples AS at, integration_health_private.kept_samples AS took
        WHERE at.metric = 'integration_health_syncs_measured_timestamp_seconds'
          AND took.metric = 'integration_health_syncs_measured_duration_seconds'), 0) THEN
    started := extract(epoch FROM clock_timestamp());
    of_syncs := ARRAY(
      SELECT ROW(m.metric, m.labels, m.value)::integration_health_private.kept_samples
        FROM integration_health_private.measured_syncs() AS m);
    samples := samples || of_syncs
      || ROW('integration_health_syncs_measured_timestamp_seconds', '{}', started)::integration_health_private.kept_samples
      || ROW('integration_health_syncs_measured_duration_seconds', '{}',
             extract(epoch FROM clock_timestamp()) - started)::integration_health_private.kept_samples;
  END IF;
  INSERT INTO integration_health_private.kept_samples AS k (metric, labels, value)
  SELECT s.metric, s.labels, max(s.value) FROM unnest(samples) AS s GROUP BY s.metric, s.labels
      ON CONFLICT (metric, labels) DO UPDATE SET value = EXCLUDED.value WHERE k.value <> EXCLUDED.value;
  PERFORM integration_health_private.forget_samples();
END
$$;
COMMENT ON FUNCTION integration_health_private.keep_samples() IS
  'Measures incidents and alerts, and syncs unless they were measured a moment ago, and keeps the samples. For the session '
  'that note_job has let through.';

-- The only list of the metrics.
CREATE FUNCTION integration_health_private.metrics()
RETURNS TABLE (number integer, metric text, kind text, unit text, help text)
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
  VALUES
  (1, 'integration_health_build_info', 'info', NULL, 'Version and edition of integration_health.'),
  (2, 'integration_health_samples_timestamp_seconds', 'gauge', 'seconds',
   'When the samples were read, by the clock of the database; an exporter may go on repeating old ones.'),
  (3, 'integration_health_pairs', 'gauge', NULL, 'Pairs of an organisation and the type by their latest status.'),
  (4, 'integration_health_type_passive', 'gauge', NULL, 'Whether the type is in passive mode: its pairs are not checked.'),
  (5, 'integration_health_type_resume_timestamp_seconds', 'gauge', 'seconds',
   'When a passive type is probed next; absent where nothing ends passive mode but a call.'),
  (6, 'integration_health_type_check_interval_seconds', 'gauge', 'seconds', 'How often each pair of the type is checked.'),
  (7, 'integration_health_check_oldest_due_age_seconds', 'gauge', 'seconds',
   'How long the check has been due that is claimed next; 0 when none is due, absent while no pair of the type is checked.'),
  (8, 'integration_health_incidents_open', 'gauge', NULL,
   'Open incidents by scope, a pair or the whole type, and cause. Measured by the watch.'),
  (9, 'integration_health_syncs_overdue', 'gauge', NULL,
   'Schedules that have been due for longer than max_drift, and that nobody runs. Measured by the watch.'),
  (10, 'integration_health_syncs_missed', 'gauge', NULL,
   'Missed periods of syncs among those of the last hour. Measured by the watch.'),
  (11, 'integration_health_syncs_late', 'gauge', NULL,
   'Runs that started later than max_drift, of periods of the last hour. Measured by the watch.'),
  (12, 'integration_health_sync_drift_max_seconds', 'gauge', 'seconds',
   'How late the latest run started, of periods of the last hour. Measured by the watch.'),
  (13, 'integration_health_syncs_measured_timestamp_seconds', 'gauge', 'seconds', 'When the watch last measured the syncs.'),
  (14, 'integration_health_syncs_measured_duration_seconds', 'gauge', 'seconds', 'How long that took.'),
  (15, 'integration_health_alerts', 'gauge', NULL,
   'Alerts that are not delivered: pending ones, and dead ones, which have been given up. Measured by the watch.'),
  (16, 'integration_health_alert_oldest_pending_age_seconds', 'gauge', 'seconds',
   'Age of the oldest pending alert; 0 when there is none. Measured by the watch.'),
  (17, 'integration_health_job_last_success_timestamp_seconds', 'gauge', 'seconds',
   'When the work of a job was last done, whoever called its function; absent where it never was.');
END;
COMMENT ON FUNCTION integration_health_private.metrics() IS
  'Returns the metrics in the order in which they are reported, with type, unit and help as OpenMetrics defines them.';

CREATE FUNCTION integration_health_private.read_samples()
RETURNS TABLE (metric text, labels jsonb, value double precision)
LANGUAGE sql STABLE ROWS 100
BEGIN ATOMIC
  SELECT 'integration_health_build_info',
         pg_catalog.jsonb_build_object('version', integration_health_private.version(),
                                       'edition', integration_health_private.edition()), 1::double precision
  UNION ALL
  SELECT 'integration_health_samples_timestamp_seconds', '{}', extract(epoch FROM pg_catalog.now())::double precision
  UNION ALL
  SELECT 'integration_health_pairs',
         pg_catalog.jsonb_build_object('integration_type', s.integration_type, 'status', c.status), c.pairs
    FROM integration_health_private.global_health_summary() s
   CROSS JOIN LATERAL (VALUES ('healthy', s.healthy), ('degraded', s.degraded), ('unhealthy', s.unhealthy),
                              ('unknown', s.unknown)) AS c (status, pairs)
  UNION ALL
  SELECT m.metric, pg_catalog.jsonb_build_object('integration_type', t.integration_type), m.value
    FROM public.integration_types t
   CROSS JOIN LATERAL (
         VALUES ('integration_health_type_passive', (t.monitoring_mode = 'passive')::integer::double precision),
                ('integration_health_type_resume_timestamp_seconds',
                 CASE WHEN t.monitoring_mode = 'passive' AND pg_catalog.isfinite(t.passive_until)
                      THEN extract(epoch FROM t.passive_until)::double precision END),
                ('integration_health_type_check_interval_seconds',
                 (integration_health_private.micros(t.check_interval) * 0.000001)::double precision)) AS m (metric, value)
   WHERE m.value IS NOT NULL
  UNION ALL
  SELECT 'integration_health_check_oldest_due_age_seconds',
         pg_catalog.jsonb_build_object('integration_type', d.integration_type),
         GREATEST(0, extract(epoch FROM pg_catalog.now() - d.due_at))::double precision
    FROM integration_health_private.oldest_due() d WHERE d.due_at IS NOT NULL
  UNION ALL
  SELECT CASE k.metric WHEN 'integration_health_alert_oldest_pending_timestamp_seconds'
                       THEN 'integration_health_alert_oldest_pending_age_seconds' ELSE k.metric END,
         k.labels,
         CASE k.metric WHEN 'integration_health_alert_oldest_pending_timestamp_seconds'
                       THEN CASE WHEN k.value > 0 THEN GREATEST(0, extract(epoch FROM pg_catalog.now()) - k.value) ELSE 0 END
                       ELSE k.value END
    FROM integration_health_private.kept_samples k;
END;
COMMENT ON FUNCTION integration_health_private.read_samples() IS 'Reads the samples of all metrics, in no order.';

CREATE FUNCTION integration_health_private.health_samples()
RETURNS TABLE (metric text, kind text, unit text, help text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET jit = off SET search_path = pg_catalog, pg_temp ROWS 100 AS $$
BEGIN
  PERFORM integration_health_private.require_all_pairs();
  PERFORM integration_health_private.require_all_rows(
    integration_health_private.relation('integration_types'), integration_health_private.relation('integration_monitors'),
    'integration_health_private.kept_samples');
  RETURN QUERY
    SELECT m.metric, m.kind, m.unit, m.help, s.labels, s.value
      FROM integration_health_private.metrics() AS m
      JOIN integration_health_private.read_samples() AS s ON s.metric = m.metric
     ORDER BY m.number, s.labels::text COLLATE "C";
END
$$;
COMMENT ON FUNCTION integration_health_private.health_samples() IS
  'Runs the query of get_health_metric_samples, for callers who may see all of it. Errors: 55000 as require_all_rows.';

CREATE FUNCTION integration_health_private.health_samples_for_admin()
RETURNS TABLE (metric text, kind text, unit text, help text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 100 AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  RETURN QUERY SELECT * FROM integration_health_private.health_samples();
END
$$;
COMMENT ON FUNCTION integration_health_private.health_samples_for_admin() IS
  'Calls health_samples for global admins. Errors: as require_admin_role.';

CREATE FUNCTION public.get_health_metric_samples()
RETURNS TABLE (metric text, kind text, unit text, help text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp ROWS 100 AS $$
BEGIN
  IF has_function_privilege('integration_health_private.health_samples()', 'EXECUTE') THEN
    RETURN QUERY SELECT * FROM integration_health_private.health_samples();
  ELSE
    RETURN QUERY SELECT * FROM integration_health_private.health_samples_for_admin();
  END IF;
END
$$;
COMMENT ON FUNCTION public.get_health_metric_samples() IS
  'Returns the metrics of all organisations together, by type, one row for each sample: the name of the metric, its kind '
  '(gauge or info), unit and help as OpenMetrics defines them, its labels, an object of strings, and the value. Reads a few '
  'rows of each type; what the watch measures is as old as its last run, and absent before the first. For the writer, '
  'global admins, and roles that grant_integration_health_metrics has let. Errors: 42501 as get_global_health_summary for '
  'others, 22023 for malformed claims, 55000 when row-level security applies to the owner of the function.';

CREATE FUNCTION public.get_health_metrics()
RETURNS public."application/openmetrics-text"
LANGUAGE sql STABLE
BEGIN ATOMIC
  -- The labels are identifiers, or as harmless: JSON differs from OpenMetrics in the quotes of names and in blanks alone.
  WITH family AS (
    SELECT pg_catalog.min(s.place) AS place, s.kind, s.unit, s.help,
           CASE s.kind WHEN 'info' THEN pg_catalog.regexp_replace(s.metric, '_info$', '') ELSE s.metric END AS name,
           pg_catalog.string_agg(
             s.metric || pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
               s.labels::text, '": "', '="'), '", "', '",'), '{"', '{'), '{}', '') || ' ' || s.value || E'\n',
             '' ORDER BY s.place) AS samples
      FROM public.get_health_metric_samples() WITH ORDINALITY AS s (metric, kind, unit, help, labels, value, place)
     GROUP BY s.metric, s.kind, s.unit, s.help
  )
  SELECT (pg_catalog.string_agg(
           '# TYPE ' || f.name || ' ' || f.kind || E'\n' || COALESCE('# UNIT ' || f.name || ' ' || f.unit || E'\n', '')
           || '# HELP ' || f.name || ' ' || f.help || E'\n' || f.samples, '' ORDER BY f.place)
         || E'# EOF\n')::public."application/openmetrics-text"
    FROM family f;
END;
COMMENT ON FUNCTION public.get_health_metrics() IS
  'Returns what get_health_metric_samples does as a text in the exposition format of OpenMetrics 1.0, for Prometheus: '
  'PostgREST 12 and later answers GET /rpc/get_health_metrics with it where the scraper accepts application/openmetrics-text. '
  'Errors: as get_health_metric_samples.';

-- ---------------------------------------------------------------------------------------------
-- Rights
-- ---------------------------------------------------------------------------------------------

-- The only list of the rights that the extension grants. A reader gets SELECT on the columns that a table has when it
-- is granted, not on the table: ctid and xmin would reveal other organisations' rows. A writer needs UPDATE on the keys
-- for an upsert that sets them. Nobody gets REFERENCES, which reveals rows behind row-level security, or TRIGGER, which
-- runs code with the rights of others.
CREATE FUNCTION integration_health_private.rights()
RETURNS TABLE (reader boolean, writer boolean, privileges text, object text)
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
  VALUES
  -- what authenticated reads
  (true, false, 'SELECT', 'TABLE %1$s.integration_types'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_health_status'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_health_history'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_health_transitions'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_health_days'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_incidents'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_maintenance'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_monitors'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_sync_schedules'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_sync_runs'),
  (true, false, 'SELECT', 'TABLE integration_health_private.sync_plans'),
  -- what service_role reads and writes
  (false, true, 'SELECT, INSERT, UPDATE, DELETE', 'TABLE %1$s.integration_types'),
  (false, true, 'SELECT, DELETE', 'TABLE %1$s.integration_health_status'),
  (false, true, 'INSERT (org_id, integration_type, status, latency_ms, http_status, error, retry_after, checked_at, '
                'cause), '
                'UPDATE (org_id, integration_type, status, latency_ms, http_status, error, retry_after, checked_at, cause)',
   'TABLE %1$s.integration_health_status'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_health_history'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_health_transitions'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_health_days'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_incidents'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_maintenance'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_alerts'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_health_counts'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_sync_runs'),
  (false, true, 'SELECT', 'TABLE integration_health_private.sync_plans'),
  (false, true, 'SELECT, DELETE', 'TABLE %1$s.integration_monitors'),
  (false, true, 'INSERT (org_id, integration_type, enabled, credential_expires_at), '
                'UPDATE (org_id, integration_type, enabled, credential_expires_at)',
   'TABLE %1$s.integration_monitors'),
  (false, true, 'SELECT, DELETE', 'TABLE %1$s.integration_sync_schedules'),
  (false, true, 'INSERT (org_id, integration_type, every, anchor, time_zone, enabled, warm_up_url, max_attempts, retry_backoff), '
                'UPDATE (org_id, integration_type, every, anchor, time_zone, enabled, warm_up_url, max_attempts, retry_backoff)',
   'TABLE %1$s.integration_sync_schedules'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.claimed_orgs()'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.raise_problem(text, text)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.setting()'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.max_drift()'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.sends_events()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.refuse_key_change(text, text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.time_of_check(%1$s.integration_health_state, '
                          'timestamptz, timestamptz)'),
  -- what both call
  (true, true, 'USAGE', 'SCHEMA integration_health_private'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.require_claims()'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.window_start(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.readable_since(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.org_health_status(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.health_trend(uuid, text, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.usable_time_zone(uuid, text, interval, timestamptz, text)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.missed_syncs(uuid, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.sync_drift(uuid, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.missed_syncs_of(uuid, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.cold_starts(uuid, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.backoff(interval, interval, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.stale_at(timestamptz, integer, '
                          '%1$s.integration_monitoring_mode, interval, interval, timestamptz, boolean, timestamptz, '
                          'timestamptz, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.days_start(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.readable_since_days(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.maintenance_of(uuid, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.planned_time(uuid, text, timestamptz, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.percentage(numeric, numeric)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.seconds(tstzmultirange)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.status_spans(uuid, text, tstzmultirange)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.incident_times(timestamptz, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.org_uptime(uuid, timestamptz, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.require_time_zone(text)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.uptime_days(uuid, text, integer, text, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.utc_day(timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.day_of_ring(uuid, text, date)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.latency_days(uuid, text, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.org_incidents(uuid, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.org_overview(uuid, text)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.org_syncs(uuid, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_org_ids()'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_can_read(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_uncounted(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_org_health_status(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_health_trend(uuid, text, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_global_health_summary()'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_global_health_problems(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.add_maintenance_as_admin(uuid, text, timestamptz, '
                          'timestamptz, text)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.cut_maintenance_as_admin(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.acknowledge_own(uuid, text)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.revive_alert_as_admin(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.alert_backlog_for_admin(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_org_uptime(uuid, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_uptime_days(uuid, text, integer, text)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_global_uptime(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_latency_days(uuid, text, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_org_incidents(uuid, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_org_overview(uuid, text)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_org_syncs(uuid, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_global_incidents(integer, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.acknowledge_incident(uuid, text)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.set_maintenance(uuid, text, timestamptz, timestamptz, text)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.end_maintenance(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_maintenance(uuid, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_global_maintenance(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_alert_backlog(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.retry_alert(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_sync_is_late(interval)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_sync_key(uuid, text, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_sync_periods(interval, timestamptz, text, timestamptz, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_sync_last_period(interval, timestamptz, text, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_sync_next_period(interval, timestamptz, text, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_sync_drift(uuid, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_missed_syncs(uuid, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_cold_starts(uuid, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_global_sync_summary(integer)'),
  -- what service_role calls
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.micros(interval)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.utc_text(timestamptz)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.send_event(text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.echo(text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.entry_rounds(jsonb)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.type_names()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.record_round(uuid[], text[], '
                           '%1$s.integration_health_state[], integer[], integer[], text[], integer[], timestamptz[], '
                           '%1$s.integration_failure_cause[])'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.record_entries(jsonb)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.require_known_keys(jsonb)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.refuse_entry(bigint, text, text, text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.clip_values(text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.blame_entry(jsonb)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.take_warm_ups(timestamptz, timestamptz)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.has_http_post()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.lease_checks(integer)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.resume_monitoring(text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.lease_run(uuid, text, timestamptz, boolean, interval)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.finish_run(uuid, text, timestamptz, integer, '
                           '%1$s.integration_sync_outcome, text)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.record_health_check(uuid, text, %1$s.integration_health_state, '
                           'integer, integer, text, timestamptz, integer, %1$s.integration_failure_cause)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.record_health_checks(jsonb)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_cleanup(interval, integer)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.mark_stale_health(integer)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_compact()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.add_maintenance(uuid, text, timestamptz, timestamptz, text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.cut_maintenance(uuid)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.acknowledge_any(uuid, text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.lease_alerts(integer, interval)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.end_lease(uuid, integer, boolean, text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.revive_alert(uuid)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.alert_backlog_for_writer(integer)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.claim_alerts(integer, interval)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.finish_alert(uuid, integer, boolean, text)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_watch(integer)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.run_watch()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.run_cleanup()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.run_counts()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.run_stale()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.run_warm_up()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.cleanup_job()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.jobs()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.has_cron()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.health_jobs()'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.health_jobs_for_admin()'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_health_jobs()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.health_samples()'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.health_samples_for_admin()'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_health_metric_samples()'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_health_metrics()'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.forget_organisation(uuid)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.schedule_integration_health_jobs(text, text, text, text, text)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.unschedule_integration_health_jobs()'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.set_monitor(uuid, text, boolean)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.claim_due_health_checks(integer)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.resume_active_monitoring(text)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.integration_sync_every_is_valid(interval)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.integration_sync_time_zone_is_valid(text)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.set_sync_schedule(uuid, text, interval, timestamptz, text, boolean, text, '
                           'integer, interval)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.get_due_syncs(integer)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.claim_sync_run(uuid, text, timestamptz, boolean, interval)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.finish_sync_run(uuid, text, timestamptz, integer, '
                           '%1$s.integration_sync_outcome, text)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.dispatch_sync_warm_ups(interval)');
END;
COMMENT ON FUNCTION integration_health_private.rights() IS
  'Returns the rights that grant_integration_health grants: whether to the reader, whether to the writer, the '
  'privileges, and the object as GRANT names it, with %1$s for the schema of the extension.';

CREATE FUNCTION integration_health_private.schema_name()
RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT c.relnamespace::pg_catalog.regnamespace::text FROM pg_catalog.pg_class c
   WHERE c.oid = 'public.integration_types'::pg_catalog.regclass;
END;
COMMENT ON FUNCTION integration_health_private.schema_name() IS
  'Returns the schema of what applications call and read, quoted as SQL requires.';

CREATE FUNCTION integration_health_private.objects()
RETURNS SETOF text
LANGUAGE sql STABLE
BEGIN ATOMIC
  VALUES ('SCHEMA integration_health_private'),
         ('FUNCTION integration_health_private.version()'),
         ('FUNCTION integration_health_private.window_start(integer)'),
         ('FUNCTION integration_health_private.days_start(integer)'),
         ('TABLE integration_health_private.settings'),
         ('FUNCTION integration_health_private.setting()'),
         ('FUNCTION integration_health_private.max_drift()'),
         ('FUNCTION integration_health_private.sends_events()'),
         ('FUNCTION integration_health_private.require_own_triggers(regclass[])'),
         ('FUNCTION integration_health_private.require_all_rows(regclass[])'),
         ('FUNCTION integration_health_private.require_max_rows(integer)'),
         ('FUNCTION integration_health_private.micros(interval)'),
         ('FUNCTION integration_health_private.percentage(numeric, numeric)'),
         ('FUNCTION integration_health_private.echo(text)'),
         ('FUNCTION integration_health_private.utc_text(timestamptz)'),
         ('FUNCTION integration_health_private.utc_day(timestamptz)'),
         ('FUNCTION integration_health_private.refuse_intrusion(text)'),
         ('FUNCTION integration_health_private.refuse_key_change(text, text)'),
         ('FUNCTION integration_health_private.refuse_new_key()'),
         ('FUNCTION integration_health_private.require_trigger(text, text, text, oid, integer, boolean)'),
         ('FUNCTION integration_health_private.require_arguments(text[], boolean[])'),
         ('FUNCTION integration_health_private.send_event(text)'),
         ('FUNCTION integration_health_private.partitions_of(regclass)'),
         ('FUNCTION integration_health_private.logical_table(oid)'),
         ('FUNCTION integration_health_private.partitions()'),
         ('FUNCTION integration_health_private.wanted_partitions()'),
         ('FUNCTION integration_health_private.partition_table(regclass)'),
         ('FUNCTION integration_health_private.complete_partitions()'),
         ('FUNCTION integration_health_private.read_claims()'),
         ('FUNCTION integration_health_private.claim_paths(text)'),
         ('FUNCTION integration_health_private.claim_at(jsonb, text)'),
         ('FUNCTION integration_health_private.claimed_orgs()'),
         ('FUNCTION public.integration_health_org_ids()'),
         ('FUNCTION integration_health_private.raise_problem(text, text)'),
         ('FUNCTION public.integration_health_can_read(uuid)'),
         ('FUNCTION public.integration_health_uncounted(uuid)'),
         ('FUNCTION integration_health_private.require_claims()'),
         ('FUNCTION integration_health_private.require_admin_role()'),
         ('FUNCTION integration_health_private.readable_since(integer)'),
         ('FUNCTION integration_health_private.readable_since_days(integer)'),
         ('FUNCTION integration_health_private.claimed_subject()'),
         ('TABLE integration_health_private.kept_samples'),
         ('FUNCTION integration_health_private.note_job(text)'),
         ('TABLE public.integration_types'),
         ('FUNCTION integration_health_private.has_type(text)'),
         ('FUNCTION integration_health_private.refuse_type(text)'),
         ('FUNCTION integration_health_private.require_type(text)'),
         ('FUNCTION integration_health_private.type_names()'),
         ('FUNCTION integration_health_private.display_name(text)'),
         ('FUNCTION integration_health_private.hold_place(text)'),
         ('FUNCTION integration_health_private.hold_type(text)'),
         ('FUNCTION public.integration_types_trigger()'),
         ('FUNCTION integration_health_private.plan_type()'),
         ('FUNCTION integration_health_private.latest_type(text)'),
         ('FUNCTION integration_health_private.lock_type(text, boolean)'),
         ('FUNCTION integration_health_private.store_type(public.integration_types)'),
         ('TABLE public.integration_health_status'),
         ('TABLE public.integration_health_history'),
         ('TABLE public.integration_health_counts'),
         ('TABLE integration_health_private.restored_rows'),
         ('FUNCTION integration_health_private.restore_row()'),
         ('FUNCTION integration_health_private.time_of_check(public.integration_health_state, timestamptz, timestamptz)'),
         ('FUNCTION integration_health_private.stamp_first()'),
         ('FUNCTION integration_health_private.derive_cause()'),
         ('FUNCTION integration_health_private.keep_check_no()'),
         ('FUNCTION integration_health_private.mark_column()'),
         ('FUNCTION public.integration_health_status_trigger()'),
         ('FUNCTION integration_health_private.store_late()'),
         ('FUNCTION integration_health_private.has_check(uuid, text, bigint)'),
         ('FUNCTION integration_health_private.copy_checks()'),
         ('FUNCTION integration_health_private.apply_first_check()'),
         ('FUNCTION integration_health_private.apply_change()'),
         ('FUNCTION integration_health_private.delete_ring(uuid, text)'),
         ('FUNCTION integration_health_private.forget_pair()'),
         ('FUNCTION integration_health_private.forget_all_pairs()'),
         ('FUNCTION public.integration_health_mode_trigger()'),
         ('TABLE public.integration_health_transitions'),
         ('TABLE integration_health_private.transitions'),
         ('FUNCTION integration_health_private.append_transitions(uuid[], text[], bigint[], timestamptz[], public.integration_health_state[], public.integration_health_state[], public.integration_failure_cause[])'),
         ('FUNCTION integration_health_private.expire_transitions(timestamptz, bigint)'),
         ('TABLE public.integration_health_days'),
         ('TABLE integration_health_private.days'),
         ('FUNCTION integration_health_private.day_of_ring(uuid, text, date)'),
         ('FUNCTION integration_health_private.close_day(uuid, text, timestamptz)'),
         ('TABLE public.integration_maintenance'),
         ('TABLE integration_health_private.maintenance'),
         ('FUNCTION integration_health_private.planned_time(uuid, text, timestamptz, timestamptz)'),
         ('FUNCTION integration_health_private.add_maintenance(uuid, text, timestamptz, timestamptz, text)'),
         ('FUNCTION integration_health_private.add_maintenance_as_admin(uuid, text, timestamptz, timestamptz, text)'),
         ('FUNCTION public.set_maintenance(uuid, text, timestamptz, timestamptz, text)'),
         ('FUNCTION integration_health_private.cut_maintenance(uuid)'),
         ('FUNCTION integration_health_private.cut_maintenance_as_admin(uuid)'),
         ('FUNCTION public.end_maintenance(uuid)'),
         ('FUNCTION integration_health_private.maintenance_of(uuid, timestamptz)'),
         ('FUNCTION public.get_maintenance(uuid, integer)'),
         ('FUNCTION integration_health_private.global_maintenance(timestamptz)'),
         ('FUNCTION public.get_global_maintenance(integer)'),
         ('TABLE public.integration_alerts'),
         ('TABLE integration_health_private.alerts'),
         ('FUNCTION integration_health_private.alert_id(text)'),
         ('FUNCTION integration_health_private.alert_payload(text, uuid, timestamptz, uuid, text, text, jsonb)'),
         ('FUNCTION integration_health_private.enqueue_alert(text, text, uuid, text, jsonb)'),
         ('FUNCTION integration_health_private.wait_after(integer)'),
         ('FUNCTION integration_health_private.release_alert(uuid)'),
         ('FUNCTION integration_health_private.alert_lease(interval)'),
         ('FUNCTION integration_health_private.lease_alerts(integer, interval)'),
         ('FUNCTION public.claim_alerts(integer, interval)'),
         ('FUNCTION integration_health_private.end_lease(uuid, integer, boolean, text)'),
         ('FUNCTION public.finish_alert(uuid, integer, boolean, text)'),
         ('FUNCTION integration_health_private.revive_alert(uuid)'),
         ('FUNCTION integration_health_private.revive_alert_as_admin(uuid)'),
         ('FUNCTION public.retry_alert(uuid)'),
         ('FUNCTION integration_health_private.alert_backlog(integer)'),
         ('FUNCTION integration_health_private.alert_backlog_for_writer(integer)'),
         ('FUNCTION integration_health_private.alert_backlog_for_admin(integer)'),
         ('FUNCTION public.get_alert_backlog(integer)'),
         ('TABLE public.integration_incidents'),
         ('TABLE integration_health_private.incidents'),
         ('FUNCTION integration_health_private.send_incident(integration_health_private.incidents, text)'),
         ('FUNCTION integration_health_private.alert_incidents(integration_health_private.incidents[], text, text, timestamptz)'),
         ('FUNCTION integration_health_private.failing_types()'),
         ('FUNCTION integration_health_private.muted(uuid[], text)'),
         ('FUNCTION integration_health_private.alert_opened(integration_health_private.incidents[])'),
         ('FUNCTION integration_health_private.first_failure(uuid, text)'),
         ('FUNCTION integration_health_private.open_incidents(public.integration_types, uuid[], integer[], timestamptz[], public.integration_failure_cause[])'),
         ('FUNCTION integration_health_private.follow_failures(uuid[], text[], integer[], timestamptz[], public.integration_failure_cause[])'),
         ('FUNCTION integration_health_private.resolve_incident(integration_health_private.incidents, timestamptz)'),
         ('FUNCTION integration_health_private.follow_recoveries(uuid[], text[], timestamptz[])'),
         ('FUNCTION integration_health_private.acknowledge_any(uuid, text)'),
         ('FUNCTION integration_health_private.acknowledge_own(uuid, text)'),
         ('FUNCTION public.acknowledge_incident(uuid, text)'),
         ('FUNCTION integration_health_private.org_incidents(uuid, timestamptz)'),
         ('FUNCTION public.get_org_incidents(uuid, integer)'),
         ('FUNCTION integration_health_private.global_incidents(timestamptz, integer)'),
         ('FUNCTION public.get_global_incidents(integer, integer)'),
         ('TABLE public.integration_monitors'),
         ('FUNCTION integration_health_private.share_of(bigint, uuid, text, bigint)'),
         ('FUNCTION public.integration_monitor_first_due(uuid, text, interval, timestamptz)'),
         ('FUNCTION public.integration_monitor_ready_at(uuid, text, timestamptz, interval, interval, integer)'),
         ('FUNCTION integration_health_private.backoff(interval, interval, integer)'),
         ('FUNCTION integration_health_private.refuse_null_interval()'),
         ('FUNCTION integration_health_private.first_due_of(uuid, text)'),
         ('FUNCTION public.integration_monitors_trigger()'),
         ('FUNCTION integration_health_private.stale_at(timestamptz, integer, public.integration_monitoring_mode, interval, interval, timestamptz, boolean, timestamptz, timestamptz, timestamptz)'),
         ('FUNCTION integration_health_private.plan_monitors(text)'),
         ('FUNCTION integration_health_private.plan_monitors_of_type()'),
         ('FUNCTION public.set_monitor(uuid, text, boolean)'),
         ('FUNCTION integration_health_private.latest_monitor(uuid, text)'),
         ('FUNCTION integration_health_private.lock_monitor(uuid, text)'),
         ('FUNCTION integration_health_private.lock_due_monitors(text, timestamptz, bigint)'),
         ('FUNCTION integration_health_private.store_monitors(text, uuid[], timestamptz[], timestamptz[])'),
         ('FUNCTION integration_health_private.mark_probe(uuid, text)'),
         ('FUNCTION integration_health_private.append_count(text, public.integration_health_state, bigint)'),
         ('FUNCTION integration_health_private.fold_counts()'),
         ('FUNCTION public.integration_health_compact()'),
         ('FUNCTION integration_health_private.count_pairs(text, public.integration_health_state, public.integration_health_state, bigint)'),
         ('FUNCTION integration_health_private.count_change(text, public.integration_health_state, public.integration_health_state)'),
         ('FUNCTION integration_health_private.send_change(text)'),
         ('FUNCTION integration_health_private.send_transitions(uuid[], text[], public.integration_health_state[], public.integration_health_state[], timestamptz[], bigint[])'),
         ('FUNCTION integration_health_private.move_monitors(uuid[], text[], integer[])'),
         ('FUNCTION integration_health_private.forget_changes(uuid, text)'),
         ('FUNCTION integration_health_private.follow_checks(uuid[], text[], public.integration_health_state[], public.integration_health_state[], integer[], integer[], timestamptz[], bigint[], integer[], public.integration_failure_cause[])'),
         ('FUNCTION integration_health_private.follow_change(uuid, text, public.integration_health_state, public.integration_health_state, integer, integer, timestamptz, bigint)'),
         ('FUNCTION integration_health_private.follow_first_check(uuid, text, public.integration_health_state, integer, timestamptz)'),
         ('FUNCTION integration_health_private.lock_mode(text, boolean)'),
         ('FUNCTION integration_health_private.alert_mode(text, text, timestamptz)'),
         ('FUNCTION integration_health_private.apply_rate_limit(public.integration_types, timestamptz, boolean)'),
         ('FUNCTION integration_health_private.spread_due_monitors(text, interval, timestamptz)'),
         ('FUNCTION integration_health_private.resume_type(public.integration_types)'),
         ('FUNCTION integration_health_private.has_probe(public.integration_types, uuid[])'),
         ('FUNCTION integration_health_private.end_passive_mode(public.integration_types, uuid[], boolean)'),
         ('FUNCTION integration_health_private.resume_monitoring(text)'),
         ('FUNCTION public.resume_active_monitoring(text)'),
         ('FUNCTION integration_health_private.has_waited(timestamptz, interval, timestamptz)'),
         ('FUNCTION integration_health_private.heal_monitors(timestamptz, integer)'),
         ('FUNCTION integration_health_private.next_lease(uuid, text, timestamptz, timestamptz, integer, interval, interval, timestamptz)'),
         ('FUNCTION integration_health_private.move_due_monitors(text, interval, interval, timestamptz, bigint)'),
         ('FUNCTION integration_health_private.lease_pairs(public.integration_types, timestamptz, bigint)'),
         ('FUNCTION integration_health_private.lease_probe(public.integration_types, timestamptz)'),
         ('FUNCTION integration_health_private.due_types(timestamptz)'),
         ('FUNCTION integration_health_private.lease_of_type(public.integration_types, timestamptz, bigint)'),
         ('FUNCTION integration_health_private.lease_checks(integer)'),
         ('FUNCTION public.claim_due_health_checks(integer)'),
         ('FUNCTION public.record_health_check(uuid, text, public.integration_health_state, integer, integer, text, timestamptz, integer, public.integration_failure_cause)'),
         ('FUNCTION integration_health_private.entry_rounds(jsonb)'),
         ('FUNCTION integration_health_private.record_round(uuid[], text[], public.integration_health_state[], integer[], integer[], text[], integer[], timestamptz[], public.integration_failure_cause[])'),
         ('FUNCTION integration_health_private.record_entries(jsonb)'),
         ('FUNCTION integration_health_private.clip_values(text)'),
         ('FUNCTION integration_health_private.refuse_entry(bigint, text, text, text)'),
         ('FUNCTION integration_health_private.require_known_keys(jsonb)'),
         ('FUNCTION integration_health_private.blame_entry(jsonb)'),
         ('FUNCTION public.record_health_checks(jsonb)'),
         ('TABLE integration_health_private.time_zones'),
         ('FUNCTION integration_health_private.refresh_time_zones()'),
         ('FUNCTION integration_health_private.instant(timestamptz)'),
         ('FUNCTION integration_health_private.time_of(bigint)'),
         ('FUNCTION public.integration_sync_every_is_valid(interval)'),
         ('FUNCTION public.integration_sync_time_zone_is_valid(text)'),
         ('FUNCTION public.integration_sync_key(uuid, text, timestamptz)'),
         ('TABLE public.integration_sync_schedules'),
         ('FUNCTION public.integration_sync_schedules_trigger()'),
         ('TABLE integration_health_private.sync_plans'),
         ('FUNCTION integration_health_private.keep_plan(uuid, text, interval, timestamptz, text, timestamptz, timestamptz)'),
         ('FUNCTION integration_health_private.forget_plans(uuid, text)'),
         ('FUNCTION integration_health_private.keep_plans()'),
         ('FUNCTION integration_health_private.keep_time_zone()'),
         ('FUNCTION integration_health_private.usable_time_zone(uuid, text, interval, timestamptz, text)'),
         ('FUNCTION integration_health_private.zone_offset(text, timestamp)'),
         ('FUNCTION integration_health_private.period_at(interval, timestamptz, text, bigint)'),
         ('FUNCTION integration_health_private.last_period_no(interval, timestamptz, text, timestamptz)'),
         ('FUNCTION integration_health_private.require_plan(interval, timestamptz, text)'),
         ('FUNCTION public.integration_sync_periods(interval, timestamptz, text, timestamptz, timestamptz)'),
         ('FUNCTION public.integration_sync_last_period(interval, timestamptz, text, timestamptz)'),
         ('FUNCTION public.integration_sync_next_period(interval, timestamptz, text, timestamptz)'),
         ('FUNCTION public.integration_sync_is_late(interval)'),
         ('FUNCTION public.set_sync_schedule(uuid, text, interval, timestamptz, text, boolean, text, integer, interval)'),
         ('FUNCTION integration_health_private.latest_schedule(uuid, text)'),
         ('FUNCTION integration_health_private.lock_schedule(uuid, text)'),
         ('FUNCTION integration_health_private.store_schedule(public.integration_sync_schedules)'),
         ('TABLE public.integration_sync_runs'),
         ('FUNCTION integration_health_private.retry_at(timestamptz, interval, integer)'),
         ('FUNCTION integration_health_private.may_lease(public.integration_sync_outcome, integer, timestamptz, timestamptz, integer, interval, timestamptz)'),
         ('FUNCTION integration_health_private.require_period(public.integration_sync_schedules, timestamptz)'),
         ('FUNCTION integration_health_private.alert_run(public.integration_sync_runs, text, jsonb)'),
         ('FUNCTION integration_health_private.report_drift(public.integration_sync_runs)'),
         ('FUNCTION integration_health_private.require_whole(public.integration_sync_schedules)'),
         ('FUNCTION integration_health_private.insert_run(uuid, text, timestamptz, timestamptz, timestamptz, boolean)'),
         ('FUNCTION integration_health_private.lock_run(uuid, text, timestamptz)'),
         ('FUNCTION integration_health_private.store_run(public.integration_sync_runs)'),
         ('FUNCTION integration_health_private.lease_period(public.integration_sync_schedules, uuid, text, timestamptz, boolean, interval)'),
         ('FUNCTION integration_health_private.lease_run(uuid, text, timestamptz, boolean, interval)'),
         ('FUNCTION integration_health_private.move_schedule(public.integration_sync_schedules, public.integration_sync_runs)'),
         ('FUNCTION integration_health_private.record_end(uuid, text, public.integration_sync_outcome, text)'),
         ('FUNCTION integration_health_private.finish_run(uuid, text, timestamptz, integer, public.integration_sync_outcome, text)'),
         ('FUNCTION public.claim_sync_run(uuid, text, timestamptz, boolean, interval)'),
         ('FUNCTION public.finish_sync_run(uuid, text, timestamptz, integer, public.integration_sync_outcome, text)'),
         ('FUNCTION integration_health_private.relation(text)'),
         ('FUNCTION integration_health_private.guard(text[])'),
         ('FUNCTION integration_health_private.ready_at(uuid, text, timestamptz, interval, interval, integer)'),
         ('FUNCTION integration_health_private.last_period(interval, timestamptz, text, timestamptz)'),
         ('FUNCTION integration_health_private.next_period(interval, timestamptz, text, timestamptz)'),
         ('FUNCTION integration_health_private.is_late(interval)'),
         ('FUNCTION integration_health_private.is_every(interval)'),
         ('FUNCTION integration_health_private.is_time_zone(text)'),
         ('FUNCTION integration_health_private.sync_key(uuid, text, timestamptz)'),
         ('FUNCTION integration_health_private.org_ids()'),
         ('FUNCTION integration_health_private.move_warm_ups(timestamptz, timestamptz)'),
         ('FUNCTION integration_health_private.take_warm_ups(timestamptz, timestamptz)'),
         ('FUNCTION integration_health_private.has_http_post()'),
         ('FUNCTION public.dispatch_sync_warm_ups(interval)'),
         ('FUNCTION integration_health_private.require_all_syncs()'),
         ('FUNCTION integration_health_private.due_periods(integer)'),
         ('FUNCTION public.get_due_syncs(integer)'),
         ('FUNCTION integration_health_private.sync_drift(uuid, timestamptz)'),
         ('FUNCTION public.get_sync_drift(uuid, integer)'),
         ('FUNCTION integration_health_private.missed_syncs(uuid, timestamptz)'),
         ('FUNCTION integration_health_private.missed_syncs_of(uuid, timestamptz)'),
         ('FUNCTION public.get_missed_syncs(uuid, integer)'),
         ('FUNCTION integration_health_private.cold_starts(uuid, timestamptz)'),
         ('FUNCTION public.get_cold_starts(uuid, integer)'),
         ('FUNCTION integration_health_private.global_sync_summary(timestamptz)'),
         ('FUNCTION public.get_global_sync_summary(integer)'),
         ('FUNCTION integration_health_private.org_health_status(uuid)'),
         ('FUNCTION public.get_org_health_status(uuid)'),
         ('FUNCTION integration_health_private.health_trend(uuid, text, integer)'),
         ('FUNCTION public.get_health_trend(uuid, text, integer)'),
         ('FUNCTION integration_health_private.global_health_summary()'),
         ('FUNCTION integration_health_private.require_all_pairs()'),
         ('FUNCTION public.get_global_health_summary()'),
         ('FUNCTION integration_health_private.global_health_problems(integer)'),
         ('FUNCTION public.get_global_health_problems(integer)'),
         ('FUNCTION integration_health_private.seconds(tstzmultirange)'),
         ('FUNCTION integration_health_private.status_spans(uuid, text, tstzmultirange)'),
         ('FUNCTION integration_health_private.incident_times(timestamptz, timestamptz)'),
         ('FUNCTION integration_health_private.org_uptime(uuid, timestamptz, timestamptz)'),
         ('FUNCTION public.get_org_uptime(uuid, integer)'),
         ('FUNCTION integration_health_private.require_time_zone(text)'),
         ('FUNCTION integration_health_private.uptime_days(uuid, text, integer, text, timestamptz)'),
         ('FUNCTION public.get_uptime_days(uuid, text, integer, text)'),
         ('FUNCTION integration_health_private.uptime_sums(timestamptz, timestamptz)'),
         ('FUNCTION integration_health_private.global_uptime(timestamptz, timestamptz)'),
         ('FUNCTION public.get_global_uptime(integer)'),
         ('FUNCTION integration_health_private.latency_days(uuid, text, integer)'),
         ('FUNCTION public.get_latency_days(uuid, text, integer)'),
         ('FUNCTION integration_health_private.org_overview(uuid, text)'),
         ('FUNCTION public.get_org_overview(uuid, text)'),
         ('FUNCTION integration_health_private.org_syncs(uuid, timestamptz)'),
         ('FUNCTION public.get_org_syncs(uuid, integer)'),
         ('FUNCTION integration_health_private.failing_limit(numeric)'),
         ('FUNCTION integration_health_private.type_failures()'),
         ('FUNCTION integration_health_private.is_muted(integration_health_private.incidents)'),
         ('FUNCTION integration_health_private.tell_of(integration_health_private.incidents)'),
         ('FUNCTION integration_health_private.open_type_incident(text, bigint)'),
         ('FUNCTION integration_health_private.withdraw_alerts(text)'),
         ('FUNCTION integration_health_private.watch_types()'),
         ('FUNCTION integration_health_private.tell_of_open(integer)'),
         ('FUNCTION integration_health_private.recovered_incidents()'),
         ('FUNCTION integration_health_private.resolve_recovered()'),
         ('FUNCTION integration_health_private.oldest_due()'),
         ('FUNCTION integration_health_private.silent_since()'),
         ('FUNCTION integration_health_private.watch_monitor()'),
         ('FUNCTION integration_health_private.credential_cause(uuid, text, timestamptz, integer)'),
         ('FUNCTION integration_health_private.expiring_credentials(integer)'),
         ('FUNCTION integration_health_private.watch_credentials(integer)'),
         ('FUNCTION integration_health_private.unrun_schedules(integer)'),
         ('FUNCTION integration_health_private.watch_syncs(integer)'),
         ('FUNCTION public.integration_health_watch(integer)'),
         ('FUNCTION integration_health_private.delete_history(timestamptz, bigint)'),
         ('FUNCTION integration_health_private.delete_runs(timestamptz, bigint)'),
         ('FUNCTION integration_health_private.expire_incidents(timestamptz, bigint)'),
         ('FUNCTION integration_health_private.expire_maintenance(timestamptz)'),
         ('FUNCTION integration_health_private.heal_types()'),
         ('FUNCTION integration_health_private.heal_times()'),
         ('FUNCTION public.integration_health_cleanup(interval, integer)'),
         ('FUNCTION integration_health_private.mark_stale(integer)'),
         ('FUNCTION public.mark_stale_health(integer)'),
         ('FUNCTION integration_health_private.run_cleanup()'),
         ('FUNCTION integration_health_private.run_counts()'),
         ('FUNCTION integration_health_private.run_stale()'),
         ('FUNCTION integration_health_private.run_warm_up()'),
         ('FUNCTION integration_health_private.run_watch()'),
         ('FUNCTION integration_health_private.jobs()'),
         ('FUNCTION integration_health_private.has_cron()'),
         ('FUNCTION integration_health_private.cleanup_job()'),
         ('FUNCTION integration_health_private.health_jobs()'),
         ('FUNCTION integration_health_private.health_jobs_for_admin()'),
         ('FUNCTION public.get_health_jobs()'),
         ('FUNCTION public.schedule_integration_health_jobs(text, text, text, text, text)'),
         ('FUNCTION public.unschedule_integration_health_jobs()'),
         ('FUNCTION integration_health_private.forget_rows(uuid)'),
         ('FUNCTION public.forget_organisation(uuid)'),
         ('FUNCTION integration_health_private.edition()'),
         ('FUNCTION integration_health_private.measured_incidents()'),
         ('FUNCTION integration_health_private.measured_alerts()'),
         ('FUNCTION integration_health_private.overdue_syncs()'),
         ('FUNCTION integration_health_private.measured_syncs()'),
         ('FUNCTION integration_health_private.forget_samples()'),
         ('FUNCTION integration_health_private.keep_samples()'),
         ('FUNCTION integration_health_private.metrics()'),
         ('FUNCTION integration_health_private.read_samples()'),
         ('FUNCTION integration_health_private.health_samples()'),
         ('FUNCTION integration_health_private.health_samples_for_admin()'),
         ('FUNCTION public.get_health_metric_samples()'),
         ('FUNCTION public.get_health_metrics()'),
         ('FUNCTION integration_health_private.rights()'),
         ('FUNCTION integration_health_private.schema_name()'),
         ('FUNCTION integration_health_private.objects()'),
         ('FUNCTION integration_health_private.oid_of(text)'),
         ('FUNCTION integration_health_private.parts()'),
         ('FUNCTION integration_health_private.grant_rights(regrole, boolean, text[])'),
         ('FUNCTION integration_health_private.close_tables(oid[])'),
         ('FUNCTION integration_health_private.holders()'),
         ('FUNCTION public.grant_integration_health(regrole, regrole)'),
         ('FUNCTION public.grant_integration_health_metrics(regrole)'),
         ('FUNCTION integration_health_private.grant_new_rights(text[], regrole[], regrole[])')
  UNION ALL
  SELECT 'TABLE ' || o.identity
    FROM integration_health_private.partitions() AS p (part)
   CROSS JOIN LATERAL pg_catalog.pg_identify_object('pg_catalog.pg_class'::regclass, p.part, 0) AS o;
END;
COMMENT ON FUNCTION integration_health_private.objects() IS
  'Returns the schema, tables, views and functions of integration_health, as GRANT names them.';

CREATE FUNCTION integration_health_private.oid_of(object text)
RETURNS oid
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT CASE pg_catalog.split_part(object, ' ', 1)
           WHEN 'TABLE' THEN pg_catalog.to_regclass(pg_catalog.substr(object, 7))::oid
           WHEN 'SCHEMA' THEN pg_catalog.to_regnamespace(pg_catalog.substr(object, 8))::oid
           WHEN 'FUNCTION' THEN pg_catalog.to_regprocedure(pg_catalog.substr(object, 10))::oid END;
END;
COMMENT ON FUNCTION integration_health_private.oid_of(text) IS
  'Returns the OID of a schema, table or function as GRANT names it; null when there is none.';

CREATE FUNCTION integration_health_private.parts()
RETURNS SETOF text
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT integration_health_private.oid_of(o.object)::text FROM integration_health_private.objects() AS o (object)
  UNION ALL
  SELECT pg_catalog.concat_ws(' ', a.attrelid, a.attname)
    FROM integration_health_private.objects() AS o (object)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = integration_health_private.oid_of(o.object)
   WHERE o.object ~ '^TABLE ' AND a.attnum > 0 AND NOT a.attisdropped;
END;
COMMENT ON FUNCTION integration_health_private.parts() IS
  'Returns what rights can be granted on: the OIDs of the objects of the extension, and for each column of a table its '
  'OID and name.';

CREATE FUNCTION integration_health_private.grant_rights(grantee regrole, to_reader boolean, known text[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  unknown text[] := ARRAY(SELECT integration_health_private.parts() EXCEPT SELECT unnest(known));
  command text;
BEGIN
  FOR command IN
    SELECT format('GRANT %s ON %s TO %s',
             CASE WHEN to_reader AND r.privileges = 'SELECT' THEN (
               SELECT format('SELECT (%s)', string_agg(quote_ident(substring(u, ' (.*)')), ', '))
                 FROM unnest(unknown) AS u WHERE u ^@ (i.object || ' '))
             ELSE r.privileges END, o.object, grantee)
      FROM integration_health_private.rights() AS r
     CROSS JOIN format(r.object, integration_health_private.schema_name()) AS o (object)
     CROSS JOIN LATERAL (SELECT integration_health_private.oid_of(o.object)::text) AS i (object)
     WHERE CASE WHEN to_reader THEN r.reader ELSE r.writer END
       AND EXISTS (SELECT FROM unnest(unknown) AS u WHERE split_part(u, ' ', 1) = i.object)
  LOOP
    EXECUTE command;
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.grant_rights(regrole, boolean, text[]) IS
  'Grants a role the rights of the reader, or of the writer, on all parts of the extension but those that are known: '
  'its rights on them stay as they are.';

-- Default privileges may give other roles (on Supabase: postgres) all rights on new tables. A trigger of such a role
-- would run with the owner's rights, and no other role may write what the extension maintains by itself.
CREATE FUNCTION integration_health_private.close_tables(objects oid[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  command text;
BEGIN
  FOR command IN
    SELECT format('REVOKE %s ON TABLE %s FROM %s', a.privilege_type, c.oid::regclass,
             CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
      FROM pg_class AS c, aclexplode(c.relacl) AS a
     WHERE c.oid = ANY (objects) AND c.relkind IN ('r', 'p', 'v') AND a.grantee <> c.relowner
       AND (a.privilege_type IN ('TRIGGER', 'REFERENCES', 'TRUNCATE')
            OR a.privilege_type <> 'SELECT'
               AND (c.relname IN ('integration_health_history', 'integration_health_transitions', 'integration_health_days',
                                 'integration_health_counts', 'integration_incidents', 'integration_maintenance',
                                 'integration_alerts', 'integration_sync_runs')
                    OR c.relnamespace = 'integration_health_private'::regnamespace))
  LOOP
    EXECUTE command;
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.close_tables(oid[]) IS
  'Leaves TRIGGER, REFERENCES and TRUNCATE on some of the tables to their owner, and with them all rights to write what '
  'the extension maintains by itself.';

-- By functions that no update has dropped: one that is created again is nobody's until holders() has told whose it is.
CREATE FUNCTION integration_health_private.holders()
RETURNS TABLE (role regrole, is_reader boolean)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT a.grantee::pg_catalog.regrole, pg_catalog.bool_and(w.is_reader)
    FROM (VALUES ('FUNCTION %s.get_org_health_status(uuid)', true), ('FUNCTION %s.record_health_checks(jsonb)', false))
           AS w (object, is_reader)
    JOIN pg_catalog.pg_proc p
      ON p.oid = integration_health_private.oid_of(pg_catalog.format(w.object, integration_health_private.schema_name()))
   CROSS JOIN LATERAL pg_catalog.aclexplode(p.proacl) AS a
   WHERE a.grantee <> p.proowner AND a.grantee <> 0
   GROUP BY a.grantee;
END;
COMMENT ON FUNCTION integration_health_private.holders() IS
  'Returns the readers and the writers: who may call get_global_health_summary, and record_health_checks.';

CREATE FUNCTION public.grant_integration_health(reader regrole, writer regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  missing oid;
  foreign_table text;
  revokes text[];
  roles text;
  command text;
BEGIN
  SELECT r INTO missing FROM pg_catalog.unnest(ARRAY[reader, writer]::oid[]) AS r
   WHERE r IS NOT NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS a WHERE a.oid = r) LIMIT 1;
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '42704', MESSAGE = pg_catalog.format('role with OID %s does not exist', missing),
      HINT = 'Give the name of a role, or NULL for none.';
  END IF;
  IF EXISTS (SELECT FROM pg_catalog.pg_roles AS a WHERE a.oid = writer AND NOT a.rolbypassrls AND NOT a.rolsuper) THEN
    RAISE WARNING USING ERRCODE = '55000',
      MESSAGE = pg_catalog.format('role %s is subject to row-level security and will not be able to record checks', writer),
      HINT = pg_catalog.format('ALTER ROLE %s BYPASSRLS, or make a policy for it.', writer);
  END IF;

  IF NOT pg_catalog.has_schema_privilege('integration_health_private', 'USAGE') THEN
    RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'must be owner of table integration_types';
  END IF;
  SELECT c.relname INTO foreign_table
    FROM integration_health_private.objects() AS o (object)
    JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(pg_catalog.substring(o.object, '^TABLE (.*)'))
   WHERE NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')
   ORDER BY c.oid LIMIT 1;
  IF foreign_table IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = pg_catalog.format('must be owner of table %s', foreign_table);
  END IF;

  roles := pg_catalog.concat_ws(', ', 'PUBLIC', pg_catalog.to_regrole('anon')::text, reader::text, writer::text);
  SELECT pg_catalog.array_agg(pg_catalog.format('REVOKE ALL ON %s FROM %s', o.object, roles)) INTO revokes
    FROM integration_health_private.objects() AS o (object);
  FOREACH command IN ARRAY revokes LOOP
    EXECUTE command;
  END LOOP;
  IF reader IS NOT NULL THEN
    PERFORM integration_health_private.grant_rights(reader, true, '{}');
  END IF;
  IF writer IS NOT NULL THEN
    PERFORM integration_health_private.grant_rights(writer, false, '{}');
  END IF;
END
$$;
COMMENT ON FUNCTION public.grant_integration_health(regrole, regrole) IS
  'Revokes all rights on the extension''s tables and functions from PUBLIC, anon, reader and writer, then grants '
  'reader what authenticated has on Supabase, and writer what service_role has. A reader may SELECT the columns that '
  'the tables have now: call the function again after adding one. Either role may be null. For the owner of the '
  'extension. Warns when the writer lacks BYPASSRLS, because row-level security will keep it from recording. Errors: '
  '42704 when a role does not exist, 42501 when the caller does not own the extension''s tables.';

-- What a scraper needs of the rights of the writer.
CREATE FUNCTION public.grant_integration_health_metrics(scraper regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  command text;
BEGIN
  PERFORM integration_health_private.require_arguments('{scraper}', ARRAY[scraper IS NULL]);
  IF NOT EXISTS (SELECT FROM pg_roles AS a WHERE a.oid = scraper) THEN
    RAISE EXCEPTION USING ERRCODE = '42704', MESSAGE = format('role with OID %s does not exist', scraper::oid),
      HINT = 'Give the name of a role.';
  END IF;
  FOR command IN
    SELECT format('GRANT %s ON %s TO %s', r.privileges, format(r.object, integration_health_private.schema_name()), scraper)
      FROM integration_health_private.rights() AS r
     WHERE r.writer AND r.object IN (
             'SCHEMA integration_health_private', 'FUNCTION integration_health_private.health_samples()',
             'FUNCTION %1$s.get_health_metric_samples()', 'FUNCTION %1$s.get_health_metrics()')
  LOOP
    EXECUTE command;
  END LOOP;
END
$$;
COMMENT ON FUNCTION public.grant_integration_health_metrics(regrole) IS
  'Lets a role call get_health_metrics and get_health_metric_samples, and nothing else of the extension: for a monitoring '
  'system. REVOKE, or DROP OWNED BY, takes it back. For the owner of the extension. Errors: 22023 when scraper is null, 42704 '
  'when the role does not exist, 42501 when the caller does not own the functions.';

CREATE FUNCTION integration_health_private.grant_new_rights(known text[], readers regrole[], writers regrole[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  added oid[] := ARRAY(SELECT p FROM integration_health_private.parts() AS p WHERE p !~ ' ' EXCEPT SELECT unnest(known));
  roles text;
  added_object text;
  holder regrole;
BEGIN
  SELECT concat_ws(', ', 'PUBLIC', to_regrole('anon')::text, string_agg(h::text, ', ')) INTO roles
    FROM unnest(readers || writers) AS h;
  FOR added_object IN
    SELECT o.object FROM integration_health_private.objects() AS o (object)
     WHERE integration_health_private.oid_of(o.object) = ANY (added)
  LOOP
    EXECUTE format('REVOKE ALL ON %s FROM %s', added_object, roles);
  END LOOP;
  FOREACH holder IN ARRAY readers LOOP
    PERFORM integration_health_private.grant_rights(holder, true, known);
  END LOOP;
  FOREACH holder IN ARRAY writers LOOP
    PERFORM integration_health_private.grant_rights(holder, false, known);
  END LOOP;
  PERFORM integration_health_private.close_tables(added);
END
$$;
COMMENT ON FUNCTION integration_health_private.grant_new_rights(text[], regrole[], regrole[]) IS
  'Ends an update: gives readers and writers their rights on what it has added. known are the parts, readers and writers '
  'the roles, of before it, since it may have replaced the functions that tell the roles.';

SELECT integration_health_private.complete_partitions();

SELECT public.grant_integration_health(
  pg_catalog.to_regrole('authenticated'), pg_catalog.to_regrole('service_role'));

SELECT integration_health_private.close_tables(ARRAY(
  SELECT integration_health_private.oid_of(o.object) FROM integration_health_private.objects() AS o (object)));
