-- integration_health 1.1, the trusted edition, assembled by make from sql/src and sql/engine: one migration for
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

CREATE SCHEMA integration_health_private;
COMMENT ON SCHEMA integration_health_private IS
  'Internals of the extension integration_health. Nothing in it is for applications.';

CREATE FUNCTION integration_health_private.version()
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT '1.1'::text;
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
    SELECT c.relname, c.relhasrules, c.relhastriggers INTO name, has_rules, has_triggers
      FROM pg_class AS c WHERE c.oid = written;
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
  ELSIF fired_on <> integration_health_private.relation(table_name) THEN
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

CREATE FUNCTION integration_health_private.has_type(of_type text)
RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT EXISTS (SELECT FROM public.integration_types t WHERE t.integration_type = has_type.of_type);
END;
COMMENT ON FUNCTION integration_health_private.has_type(text) IS 'Returns whether there is a type of that name.';

CREATE FUNCTION integration_health_private.type_names()
RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT pg_catalog.string_agg(t.integration_type, ', ' ORDER BY t.integration_type) FROM public.integration_types t;
END;
COMMENT ON FUNCTION integration_health_private.type_names() IS
  'Returns the names of all types, which are not secret; null when there are none.';

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
  -- Runs with the caller's rights, so it refers to the table that fired it and to nothing else of the extension.
  IF TG_NARGS <> 0 THEN
    RAISE EXCEPTION USING ERRCODE = '39P01', MESSAGE = 'function "integration_types_trigger" takes no trigger arguments';
  ELSIF TG_TABLE_NAME <> 'integration_types'
     OR NOT EXISTS (SELECT FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid JOIN pg_class AS c ON c.oid = g.tgrelid
                     WHERE g.tgrelid = TG_RELID AND g.tgname = TG_NAME AND p.pronamespace = c.relnamespace) THEN
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
  PRIMARY KEY (org_id, integration_type, slot),
  CONSTRAINT slot_is_check_no_mod_96 CHECK (slot = check_no % 96::bigint AND check_no >= 1::bigint)
) WITH (fillfactor = 50);
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

-- Runs for the first check of a pair, and for any other INSERT before it takes ON CONFLICT.
CREATE FUNCTION integration_health_private.stamp_first()
RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.recorded_at := GREATEST(clock_timestamp(), now());
  IF (NEW.status IN ('healthy', 'degraded', 'unhealthy', 'unknown') AND NEW.checked_at <= NEW.recorded_at) IS NOT TRUE THEN
    NEW.checked_at := integration_health_private.time_of_check(NEW.status, NEW.checked_at, NEW.recorded_at);
  END IF;
  NEW.check_no := 1;
  NEW.status_since := NEW.checked_at;
  NEW.last_healthy_at := CASE WHEN NEW.status = 'healthy' THEN NEW.checked_at END;
  NEW.consecutive_failures := CASE WHEN NEW.status = 'unhealthy' THEN 1 ELSE 0 END;
  NEW.is_probe := NULL;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION integration_health_private.stamp_first() IS
  'Trigger function of integration_health_status, before a row is inserted that is not a restored one: stamps the '
  'columns that the extension maintains. Errors: as time_of_check.';

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
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  marks bigint;
  constrained record;
  is_met boolean;
BEGIN
  -- This runs for every check, so it has few statements, and all that is rare is behind one condition.
  IF TG_RELID <> 'public.integration_health_status'::regclass
     OR TG_WHEN <> 'BEFORE' OR TG_LEVEL <> 'ROW' OR TG_OP <> 'UPDATE' THEN
    IF TG_RELID <> 'public.integration_health_status'::regclass THEN
      RAISE EXCEPTION USING ERRCODE = '42809', MESSAGE = format('table "%s" has no health history', TG_TABLE_NAME);
    END IF;
    RAISE EXCEPTION USING ERRCODE = '39P01',
      MESSAGE = 'function "integration_health_status_trigger" was called for an event that it does not support',
      HINT = 'Only CREATE EXTENSION attaches it.';
  END IF;
  IF NEW.org_id IS DISTINCT FROM OLD.org_id OR NEW.integration_type IS DISTINCT FROM OLD.integration_type THEN
    PERFORM integration_health_private.refuse_key_change(
      TG_TABLE_NAME, CASE WHEN NEW.org_id IS DISTINCT FROM OLD.org_id THEN 'org_id' ELSE 'integration_type' END);
  END IF;

  IF NEW.latency_ms = OLD.latency_ms OR NEW.error = OLD.error OR NEW.retry_after = OLD.retry_after
     OR NEW.checked_at = OLD.checked_at OR TG_NARGS = 0 THEN
    marks := NEW.check_no - OLD.check_no;
    IF TG_NARGS = 0 AND marks = 0
       AND (NEW.status, NEW.checked_at, NEW.latency_ms, NEW.http_status, NEW.error, NEW.retry_after)
           IS NOT DISTINCT FROM
           (OLD.status, OLD.checked_at, OLD.latency_ms, OLD.http_status, OLD.error, OLD.retry_after) THEN
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
    IF TG_NARGS = 0 AND NEW.http_status = OLD.http_status THEN
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
     AND NEW.is_probe IS NULL THEN
    -- Most checks.
    NEW.last_healthy_at := NEW.checked_at;
    RETURN NEW;
  END IF;

  IF (NEW.status IN ('healthy', 'degraded', 'unhealthy', 'unknown') AND NEW.checked_at <= NEW.recorded_at) IS NOT TRUE THEN
    NEW.checked_at := integration_health_private.time_of_check(NEW.status, NEW.checked_at, NEW.recorded_at);
  END IF;
  -- A restored row may lie in the future; it makes no check late whose time is now() or later.
  IF NEW.checked_at < OLD.checked_at AND (OLD.checked_at <= NEW.recorded_at OR NEW.checked_at < now()) THEN
    -- A late check will not be stored in the row, so the constraints are checked here.
    FOR constrained IN
      SELECT k.conname AS name, pg_get_expr(k.conbin, k.conrelid) AS expression
        FROM pg_constraint AS k WHERE k.conrelid = TG_RELID AND k.contype = 'c' ORDER BY k.conname
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
         (org_id, integration_type, slot, check_no, status, latency_ms, http_status, error, checked_at, is_late)
  VALUES (NEW.org_id, NEW.integration_type, NEW.check_no % 96, NEW.check_no, NEW.status, NEW.latency_ms, NEW.http_status,
          NEW.error, NEW.checked_at, true)
  ON CONFLICT (org_id, integration_type, slot) DO UPDATE
     SET check_no = EXCLUDED.check_no, status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms,
         http_status = EXCLUDED.http_status, error = EXCLUDED.error, checked_at = EXCLUDED.checked_at, is_late = true;
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
  SELECT count(*), (SELECT c.relhastriggers OR c.relhasrules FROM pg_class AS c
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
         checked_at = n.checked_at, is_late = NULL
    FROM new_rows AS n
   WHERE n.recorded_at >= now() AND h.org_id = n.org_id AND h.integration_type = n.integration_type
     AND h.slot = (n.check_no % 96)::smallint AND h.check_no < n.check_no
     AND (NOT forgets OR integration_health_private.has_check(n.org_id, n.integration_type, n.check_no));
  GET DIAGNOSTICS written = ROW_COUNT;
  IF written = checks THEN
    RETURN NULL;
  END IF;
  INSERT INTO public.integration_health_history
         (org_id, integration_type, slot, check_no, status, latency_ms, http_status, error, checked_at)
  SELECT n.org_id, n.integration_type, n.check_no % 96, n.check_no, n.status, n.latency_ms, n.http_status, n.error, n.checked_at
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
         (org_id, integration_type, slot, check_no, status, latency_ms, http_status, error, checked_at)
  VALUES (NEW.org_id, NEW.integration_type, 1, 1, NEW.status, NEW.latency_ms, NEW.http_status, NEW.error, NEW.checked_at)
  ON CONFLICT (org_id, integration_type, slot) DO UPDATE
     SET check_no = EXCLUDED.check_no, status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms,
         http_status = EXCLUDED.http_status, error = EXCLUDED.error, checked_at = EXCLUDED.checked_at, is_late = NULL;
  GET DIAGNOSTICS written = ROW_COUNT;
  IF written <> 1 THEN
    PERFORM integration_health_private.refuse_intrusion('integration_health_history');
  END IF;
  PERFORM integration_health_private.follow_first_check(
    NEW.org_id, NEW.integration_type, NEW.status, NEW.http_status, NEW.checked_at);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.apply_first_check() IS
  'Trigger function of integration_health_status, after the first check of a pair: copies it into the history, then '
  'calls follow_first_check. Errors: 55000 when a trigger or rule of the site is in the way.';

CREATE FUNCTION integration_health_private.apply_change()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.follow_change(
    NEW.org_id, NEW.integration_type, OLD.status, NEW.status, OLD.consecutive_failures, NEW.consecutive_failures,
    NEW.checked_at, NEW.check_no);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.apply_change() IS
  'Trigger function of integration_health_status, after a check that changed the status or the number of failures in '
  'a row: calls follow_change. Errors: 55000 as follow_change.';

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
  BEFORE UPDATE OF status, latency_ms, error, retry_after ON public.integration_health_status
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
  FOR EACH ROW EXECUTE FUNCTION public.integration_health_status_trigger('sets http_status');
COMMENT ON TRIGGER zz_integration_health_stamp ON public.integration_health_status IS
  'Stamps the columns that the extension maintains.';
CREATE TRIGGER zz_integration_health_stamp_rest
  BEFORE UPDATE ON public.integration_health_status
  FOR EACH ROW WHEN (NEW.check_no <> OLD.check_no + 1)
  EXECUTE FUNCTION public.integration_health_status_trigger();
COMMENT ON TRIGGER zz_integration_health_stamp_rest ON public.integration_health_status IS
  'Stamps an update that does not set http_status.';
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
  FOR EACH ROW WHEN (NEW.status <> OLD.status OR NEW.consecutive_failures <> OLD.consecutive_failures)
  EXECUTE FUNCTION integration_health_private.apply_change();
COMMENT ON TRIGGER zz_integration_health_change ON public.integration_health_status IS
  'Counts the change, sends the event and moves the monitor of a pair whose status or number of failures has changed.';
CREATE TRIGGER zz_integration_health_history
  AFTER UPDATE ON public.integration_health_status REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION integration_health_private.copy_checks();
COMMENT ON TRIGGER zz_integration_health_history ON public.integration_health_status IS
  'Copies the checks of a statement into the history.';

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
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM set_config('integration_health_private.forgets_pairs', 'on', true);
  IF (integration_health_private.delete_ring(OLD.org_id, OLD.integration_type)).check_no IS NOT NULL THEN
    -- A later pair with the same key would find that row in its history.
    PERFORM integration_health_private.refuse_intrusion('integration_health_history');
  END IF;
  PERFORM integration_health_private.count_change(OLD.integration_type, OLD.status, NULL);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.forget_pair() IS
  'Trigger function of integration_health_status, after a row is deleted: deletes its history and counts the pair '
  'out. Errors: 55000 when a trigger or rule of the site is in the way.';

CREATE FUNCTION integration_health_private.forget_all_pairs()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY '{integration_health_history,integration_health_counts}'::text[] LOOP
    -- A table that the same TRUNCATE names is empty by now, and cannot be truncated again.
    IF pg_relation_size(integration_health_private.relation(name)) > 0 THEN
      PERFORM integration_health_private.guard(name);
      EXECUTE format('TRUNCATE ONLY %s', integration_health_private.relation(name));
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.forget_all_pairs() IS
  'Trigger function of integration_health_status, after TRUNCATE: empties the history and the counts. Errors: 55000 '
  'as require_own_triggers.';

CREATE TRIGGER zz_integration_health_forget
  AFTER DELETE ON public.integration_health_status
  FOR EACH ROW EXECUTE FUNCTION integration_health_private.forget_pair();
COMMENT ON TRIGGER zz_integration_health_forget ON public.integration_health_status IS
  'Deletes the history of a deleted pair, and counts the pair out.';

CREATE TRIGGER zz_integration_health_truncate
  AFTER TRUNCATE ON public.integration_health_status
  FOR EACH STATEMENT EXECUTE FUNCTION integration_health_private.forget_all_pairs();
COMMENT ON TRIGGER zz_integration_health_truncate ON public.integration_health_status IS
  'Empties the history and the counts along with the table.';

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
      integration_health_private.latest_type(NEW.integration_type), NEW.org_id, true);
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
  PRIMARY KEY (org_id, integration_type),
  FOREIGN KEY (integration_type) REFERENCES public.integration_types (integration_type)
) WITH (fillfactor = 70);
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
  RETURN QUERY
  UPDATE public.integration_monitors AS m SET claimed_at = n.claimed_at, due_at = n.due_at
    FROM unnest(org_ids, store_monitors.claimed_at, store_monitors.due_at) AS n (org_id, claimed_at, due_at)
   WHERE m.org_id = n.org_id AND m.integration_type = of_type
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
-- Consequences of changes. The engine calls these functions when a check changes the status of a pair or its number of
-- consecutive failures, and when a pair is created or deleted.
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
  SELECT integration_health_private.fold_counts();
END;
COMMENT ON FUNCTION public.integration_health_compact() IS
  'Folds the rows of integration_health_counts into one per type and status, and returns how many rows it replaced. '
  'Blocks no writer, and changes no count. Errors: 55000 when somebody else has a trigger or rule on the table.';

CREATE FUNCTION integration_health_private.count_change(
  integration_type text, was public.integration_health_state, is_now public.integration_health_state)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF was IS NOT NULL THEN
    PERFORM integration_health_private.append_count(integration_type, was, -1);
  END IF;
  IF is_now IS NOT NULL THEN
    PERFORM integration_health_private.append_count(integration_type, is_now, 1);
  END IF;
  -- Keeps the table small where no job runs. Not above READ COMMITTED, where a row that another fold has deleted would
  -- cause a serialization failure.
  IF random() < 0.001 AND current_setting('transaction_isolation') = 'read committed' THEN
    PERFORM integration_health_private.fold_counts();
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.count_change(
  text, public.integration_health_state, public.integration_health_state) IS
  'Counts a pair that changed from one status to another; was is null for a new pair, is_now for a deleted one. Folds '
  'the counts after one change in a thousand. Errors: 55000 when a trigger or rule of the site is in the way.';

CREATE FUNCTION integration_health_private.send_transition(
  org_id uuid, integration_type text, was public.integration_health_state, is_now public.integration_health_state,
  checked_at timestamptz, check_no bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  sent integer;
BEGIN
  -- Events take memory: after 10000 of them, a transaction sends one overflow event instead of the rest.
  sent := COALESCE(NULLIF(current_setting('integration_health_private.transitions_sent', true), ''), '0')::integer;
  IF sent < 10000 THEN
    PERFORM integration_health_private.send_event(format(
      '{"event": "status", "org_id": "%s", "integration_type": %s, "from": %s, "to": "%s", "checked_at": "%s", "check_no": %s}',
      org_id, to_json(integration_type), COALESCE(to_json(was)::text, 'null'), is_now,
      integration_health_private.utc_text(checked_at), check_no));
  ELSIF sent = 10000 THEN
    PERFORM integration_health_private.send_event('{"event": "overflow"}');
  ELSE
    RETURN;
  END IF;
  PERFORM set_config('integration_health_private.transitions_sent', (sent + 1)::text, true);
END
$$;
COMMENT ON FUNCTION integration_health_private.send_transition(
  uuid, text, public.integration_health_state, public.integration_health_state, timestamptz, bigint) IS
  'Sends the event of a pair that changed from one status to another; was is null for its first check.';

CREATE FUNCTION integration_health_private.move_monitor(
  monitor public.integration_monitors, type public.integration_types, failures integer)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  ready_at timestamptz;
BEGIN
  IF monitor.claimed_at IS NOT NULL THEN
    ready_at := integration_health_private.ready_at(
      monitor.org_id, monitor.integration_type, LEAST(monitor.claimed_at, clock_timestamp()), type.check_interval,
      type.max_backoff, failures);
    PERFORM integration_health_private.store_monitors(
      monitor.integration_type, ARRAY[monitor.org_id], ARRAY[monitor.claimed_at],
      ARRAY[CASE WHEN failures > 0 THEN GREATEST(monitor.due_at, ready_at) ELSE LEAST(monitor.due_at, ready_at) END]);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.move_monitor(
  public.integration_monitors, public.integration_types, integer) IS
  'Sets due_at of a monitor, whose row must be locked, after a check that left its pair with that many failures in a '
  'row. Errors: 55000 as store_monitors.';

CREATE FUNCTION integration_health_private.follow_change(
  org_id uuid, integration_type text, was public.integration_health_state, is_now public.integration_health_state,
  failures_before integer, failures integer, checked_at timestamptz, check_no bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF was <> is_now THEN
    PERFORM integration_health_private.count_change(integration_type, was, is_now);
    PERFORM integration_health_private.send_transition(org_id, integration_type, was, is_now, checked_at, check_no);
  END IF;
  -- After one failure a pair waits no longer than after none; after a second one it does.
  IF failures_before <> failures AND (failures_before > 1 OR failures > 1) THEN
    -- Does not wait for a claim that has locked the monitor: it is handing the pair out, or has read the failures
    -- itself.
    PERFORM integration_health_private.move_monitor(
      integration_health_private.lock_monitor(org_id, integration_type),
      integration_health_private.latest_type(integration_type), failures);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.follow_change(
  uuid, text, public.integration_health_state, public.integration_health_state, integer, integer,
  timestamptz, bigint) IS
  'Called by the engine after a check that changed the status of a pair, or its number of failures in a row: counts '
  'the change, sends the event, and moves the monitor. Errors: 55000 when a trigger or rule of the site is in the '
  'way.';

CREATE FUNCTION integration_health_private.follow_first_check(
  org_id uuid, integration_type text, status public.integration_health_state, http_status integer, checked_at timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.count_change(integration_type, NULL, status);
  PERFORM integration_health_private.send_transition(org_id, integration_type, NULL, status, checked_at, 1);
  IF http_status IS DISTINCT FROM 429 THEN
    PERFORM integration_health_private.end_passive_mode(integration_health_private.latest_type(integration_type), org_id, false);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.follow_first_check(
  uuid, text, public.integration_health_state, integer, timestamptz) IS
  'Called by the engine after the first check of a pair: counts the pair, sends the event, and ends the passive mode '
  'of its type if the check answers the probe. The last is not left to commit, as it is for later checks, because a '
  'deferred trigger would have to fire for every new row. Errors: 55000 when a trigger or rule of the site is in the '
  'way.';

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
  END IF;
  RETURN type;
END
$$;
COMMENT ON FUNCTION integration_health_private.resume_type(public.integration_types) IS
  'Puts a type, whose row must be locked, into active mode, spreads its overdue pairs over the next check_interval if '
  'it was passive, and returns its row. Errors: 55000 as store_type and store_monitors.';

CREATE FUNCTION integration_health_private.is_probe(type public.integration_types, org_id uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN COALESCE(
    type.monitoring_mode <> 'active'
    AND (integration_health_private.latest_monitor(org_id, type.integration_type)).claimed_at >= type.passive_since, false);
END
$$;
COMMENT ON FUNCTION integration_health_private.is_probe(public.integration_types, uuid) IS
  'Returns whether the pair of an organisation is the probe of its type: the type is passive, and the pair has been '
  'handed out since it went passive.';

CREATE FUNCTION integration_health_private.end_passive_mode(
  type public.integration_types, org_id uuid, may_wait boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF integration_health_private.is_probe(type, org_id) THEN
    -- Checked again under the lock.
    type := integration_health_private.lock_mode(type.integration_type, may_wait);
    IF integration_health_private.is_probe(type, org_id) THEN
      PERFORM integration_health_private.resume_type(type);
    END IF;
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.end_passive_mode(public.integration_types, uuid, boolean) IS
  'Puts a type into active mode when the pair of an organisation is its probe, which has been answered. Leaves that '
  'to the next probe when somebody else has locked the type and may_wait is false. Errors: 55000 as resume_type.';

CREATE FUNCTION integration_health_private.resume_monitoring(of_type text, OUT type public.integration_types)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_arguments('{integration_type}', ARRAY[of_type IS NULL]);
  type := integration_health_private.lock_type(of_type, false);
  IF type.integration_type IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023',
      MESSAGE = format('there is no integration type "%s"', integration_health_private.echo(of_type)),
      HINT = 'The types are the rows of integration_types.';
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
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_monitors'::regclass]);
  UPDATE public.integration_monitors m
     SET claimed_at = CASE WHEN m.claimed_at > heal_monitors.moment THEN heal_monitors.moment ELSE m.claimed_at END,
         due_at = public.integration_monitor_first_due(m.org_id, m.integration_type, t.check_interval, heal_monitors.moment)
    FROM public.integration_types t
   WHERE t.integration_type = m.integration_type
     AND m.ctid = ANY (ARRAY(
       SELECT d.place FROM public.integration_types l CROSS JOIN LATERAL (
         SELECT x.ctid AS place FROM public.integration_monitors x
          WHERE x.integration_type = l.integration_type AND x.enabled
            AND x.due_at > heal_monitors.moment + l.max_backoff + l.max_backoff
          LIMIT heal_monitors.max_rows FOR NO KEY UPDATE SKIP LOCKED) AS d));
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
  checked_at timestamptz DEFAULT pg_catalog.now(), retry_after integer DEFAULT NULL)
RETURNS public.integration_health_status
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO public.integration_health_status AS s
         (org_id, integration_type, status, latency_ms, http_status, error, retry_after,
          checked_at)
  VALUES (record_health_check.org_id, record_health_check.integration_type,
          record_health_check.status, record_health_check.latency_ms,
          record_health_check.http_status, record_health_check.error,
          record_health_check.retry_after,
          COALESCE(record_health_check.checked_at, pg_catalog.now()))
  ON CONFLICT (org_id, integration_type) DO UPDATE
     SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms,
         http_status = EXCLUDED.http_status, error = EXCLUDED.error,
         retry_after = EXCLUDED.retry_after, checked_at = EXCLUDED.checked_at
  RETURNING s;
END;
COMMENT ON FUNCTION public.record_health_check(
  uuid, text, public.integration_health_state, integer, integer, text, timestamptz, integer) IS
  'Records one check and returns the status row of the pair. latency_ms is in milliseconds, http_status is 100 to '
  '599, error has at most 2000 characters, checked_at is now() when null and never later than the recording, '
  'retry_after is the number of seconds that an HTTP 429 asked for. A check older than the current one goes into the '
  'history only. Errors: 23502 when org_id, integration_type or status is null, 23503 for an unknown '
  'integration_type, 23514 for a value out of range, 42501 when the caller is not a writer.';

-- Round n holds the n-th check by time of each pair, in byte order of the keys, so that two callers, or a caller and a
-- writer who sorts the same way, cannot deadlock.
CREATE FUNCTION integration_health_private.entry_rounds(checks jsonb)
RETURNS TABLE (
  org_ids uuid[], types text[], statuses public.integration_health_state[], latencies integer[], http_statuses integer[],
  errors text[], retries integer[], times timestamptz[])
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT pg_catalog.array_agg(o.org_id), pg_catalog.array_agg(o.integration_type), pg_catalog.array_agg(o.status),
         pg_catalog.array_agg(o.latency_ms), pg_catalog.array_agg(o.http_status), pg_catalog.array_agg(o.error),
         pg_catalog.array_agg(o.retry_after), pg_catalog.array_agg(o.checked_at)
    FROM (SELECT e.org_id, e.integration_type, e.status, e.latency_ms, e.http_status, e.error,
                 e.retry_after::integer AS retry_after, COALESCE(e.checked_at, pg_catalog.now()) AS checked_at,
                 pg_catalog.row_number() OVER (PARTITION BY e.org_id, e.integration_type
                                               ORDER BY COALESCE(e.checked_at, pg_catalog.now()), e.place) AS round
            FROM ROWS FROM (pg_catalog.jsonb_to_recordset(entry_rounds.checks) AS (
                   org_id uuid, integration_type text, status public.integration_health_state, latency_ms integer,
                   http_status integer, error text, retry_after numeric, checked_at timestamptz))
                 WITH ORDINALITY AS e (org_id, integration_type, status, latency_ms, http_status, error, retry_after,
                                       checked_at, place)
           ORDER BY round, e.org_id, e.integration_type COLLATE pg_catalog."C") AS o
   GROUP BY o.round ORDER BY o.round;
END;
COMMENT ON FUNCTION integration_health_private.entry_rounds(jsonb) IS
  'Returns the entries of an array of checks, as one row for each set that can be recorded in a single statement. '
  'Errors: 22P02, 22003, 22007 or 22008 when a value is not one of its type.';

CREATE FUNCTION integration_health_private.record_round(
  org_ids uuid[], types text[], statuses public.integration_health_state[], latencies integer[], http_statuses integer[],
  errors text[], retries integer[], times timestamptz[])
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  WITH recorded AS (
    INSERT INTO public.integration_health_status AS s
           (org_id, integration_type, status, latency_ms, http_status, error, retry_after, checked_at)
    SELECT * FROM ROWS FROM (
      pg_catalog.unnest(org_ids), pg_catalog.unnest(types), pg_catalog.unnest(statuses), pg_catalog.unnest(latencies),
      pg_catalog.unnest(http_statuses), pg_catalog.unnest(errors), pg_catalog.unnest(retries), pg_catalog.unnest(times))
    ON CONFLICT (org_id, integration_type) DO UPDATE
       SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms, http_status = EXCLUDED.http_status,
           error = EXCLUDED.error, retry_after = EXCLUDED.retry_after, checked_at = EXCLUDED.checked_at
    RETURNING 1
  )
  SELECT pg_catalog.count(*) FROM recorded;
END;
COMMENT ON FUNCTION integration_health_private.record_round(
  uuid[], text[], public.integration_health_state[], integer[], integer[], text[], integer[], timestamptz[]) IS
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
      r.org_ids, r.types, r.statuses, r.latencies, r.http_statuses, r.errors, r.retries, r.times);
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
  keys constant text[] := '{org_id,integration_type,status,latency_ms,http_status,error,checked_at,retry_after}';
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
    problem := regexp_replace(problem, '(enum )\S+\.(integration_health_state)', '\1\2');
    PERFORM integration_health_private.refuse_entry(
      place, integration_health_private.clip_values(problem), integration_health_private.clip_values(detail),
      CASE WHEN code = '23503' THEN
             format('The types are %s.', NULLIF(integration_health_private.echo(integration_health_private.type_names()), ''))
           WHEN code = '22P02' AND strpos(problem, 'integration_health_state') > 0
           THEN 'Use healthy, degraded, unhealthy or unknown.' END);
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
  'http_status, error, checked_at (as in record_health_check) and, for http_status 429, retry_after (the whole '
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
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.report_drift(public.integration_sync_runs) IS
  'Warns of a run that starts later than integration_health.max_drift allows, and sends an event.';

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
END
$$;
COMMENT ON FUNCTION integration_health_private.move_schedule(
  public.integration_sync_schedules, public.integration_sync_runs) IS
  'Sets when a schedule, whose row must be locked, can be claimed next, after a run of it has ended. Errors: 55000 as '
  'store_schedule.';

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
-- therefore reaches the schema of the API through these functions, so that ALTER SCHEMA ... RENAME breaks nothing.
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

-- ---------------------------------------------------------------------------------------------
-- Warm-ups: the worker of a sync is woken once, shortly before its time. The result of the call is not a health check.
-- ---------------------------------------------------------------------------------------------

-- A schedule whose period passed without a call, because no job ran, is moved on to the next period.
CREATE FUNCTION integration_health_private.take_warm_ups(moment timestamptz, horizon timestamptz)
RETURNS TABLE (org_id uuid, integration_type text, scheduled_for timestamptz, warm_up_url text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_sync_schedules'::regclass]);
  WITH due AS MATERIALIZED (
    SELECT d.ctid AS place,
           CASE WHEN d.warm_up_for > take_warm_ups.moment THEN d.warm_up_for
                ELSE public.integration_sync_next_period(d.every, d.anchor, d.time_zone, take_warm_ups.moment) END AS period
      FROM public.integration_sync_schedules d
     WHERE d.enabled AND d.warm_up_url IS NOT NULL AND d.warm_up_for <= take_warm_ups.horizon
       AND CASE WHEN d.warm_up_for <= take_warm_ups.horizon
                THEN integration_health_private.usable_time_zone(
                       d.org_id, d.integration_type, d.every, d.anchor, d.time_zone) IS NOT NULL END
       FOR NO KEY UPDATE SKIP LOCKED
  ), moved AS (
    UPDATE public.integration_sync_schedules s
       SET warm_up_for = COALESCE(CASE WHEN d.period <= take_warm_ups.horizon
                                       THEN public.integration_sync_next_period(s.every, s.anchor, s.time_zone, d.period)
                                       ELSE d.period END, 'infinity')
      FROM due d WHERE s.ctid = d.place
    RETURNING s.org_id, s.integration_type, d.period, s.warm_up_url
  )
  SELECT m.org_id, m.integration_type, m.period, m.warm_up_url FROM moved m WHERE m.period <= take_warm_ups.horizon;
END;
COMMENT ON FUNCTION integration_health_private.take_warm_ups(timestamptz, timestamptz) IS
  'Returns the schedules with a period after moment, and not after horizon, for which the worker has not been called, '
  'and notes that it has. Errors: 55000 as require_own_triggers.';

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
CREATE FUNCTION integration_health_private.due_syncs(max_rows integer)
RETURNS TABLE (
  org_id uuid, integration_type text, scheduled_for timestamptz, attempts integer,
  idempotency_key text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT s.org_id, s.integration_type, p.scheduled_for,
         COALESCE((SELECT r.attempt FROM public.integration_sync_runs r
                    WHERE r.org_id = s.org_id AND r.integration_type = s.integration_type
                      AND r.scheduled_for = p.scheduled_for), 0),
         public.integration_sync_key(s.org_id, s.integration_type, p.scheduled_for)
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
   ORDER BY s.due_at LIMIT due_syncs.max_rows;
END;
COMMENT ON FUNCTION integration_health_private.due_syncs(integer) IS 'Runs the query of get_due_syncs.';

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
  RETURN QUERY SELECT * FROM integration_health_private.due_syncs(get_due_syncs.max_rows);
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
  is_stale boolean, monitoring_mode public.integration_monitoring_mode)
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
         t.monitoring_mode
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
  is_stale boolean, monitoring_mode public.integration_monitoring_mode)
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
  http_status integer, error text, check_no bigint)
LANGUAGE sql STABLE ROWS 96
BEGIN ATOMIC
  SELECT h.checked_at, h.status, h.latency_ms, h.http_status, h.error, h.check_no
    FROM integration_health_private.window_start(health_trend.hours) AS s (trend_start)
   CROSS JOIN LATERAL (
         SELECT r.checked_at, r.status, r.latency_ms, r.http_status, r.error, r.check_no
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
  http_status integer, error text, check_no bigint)
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
         CASE WHEN c.total > 0 THEN pg_catalog.trunc(100 * c.healthy::numeric / c.total::numeric, 2) END
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
  consecutive_failures integer)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT s.org_id, s.integration_type, t.display_name, s.status, s.latency_ms, s.http_status, s.error, s.checked_at,
         s.status_since, s.last_healthy_at, s.consecutive_failures
    FROM (VALUES (1, 'unhealthy'::public.integration_health_state), (2, 'degraded'), (3, 'unknown')) AS k (rank, status)
   CROSS JOIN LATERAL (
         SELECT p.org_id, p.integration_type, p.status, p.latency_ms, p.http_status, p.error, p.checked_at,
                p.status_since, p.last_healthy_at, p.consecutive_failures
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
  consecutive_failures integer)
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
-- Jobs
-- ---------------------------------------------------------------------------------------------

-- The oldest check of a pair is in the slot that is overwritten next, or in slot 1 of a ring that is not full yet. If
-- it is young enough, so are all the others, except late ones, which have an index of their own, and no other row is
-- read. Rows that a writer is overwriting are about to become younger, so they are skipped.
CREATE FUNCTION integration_health_private.delete_history(cutoff timestamptz, max_rows bigint)
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['public.integration_health_history'::regclass]);
  SELECT integration_health_private.require_all_rows(VARIADIC ARRAY['public.integration_health_status'::regclass]);
  WITH gone AS (
    DELETE FROM public.integration_health_history h
     WHERE h.ctid = ANY (ARRAY(
       SELECT o.place
         FROM public.integration_health_status s
        CROSS JOIN LATERAL pg_catalog.unnest(ARRAY(
          SELECT x.ctid FROM public.integration_health_history x
           WHERE x.org_id = s.org_id AND x.integration_type = s.integration_type
             AND x.checked_at < delete_history.cutoff
             FOR UPDATE SKIP LOCKED)) AS o (place)
        WHERE COALESCE((
          SELECT f.checked_at < delete_history.cutoff
            FROM public.integration_health_history f
           WHERE f.org_id = s.org_id AND f.integration_type = s.integration_type
             AND f.slot = CASE WHEN s.check_no >= 96 THEN ((s.check_no + 1) % 96)::smallint ELSE 1::smallint END), true)
       UNION ALL
       SELECT l.place FROM (
         SELECT y.ctid AS place FROM public.integration_health_history y
          WHERE y.is_late AND y.checked_at < delete_history.cutoff
            FOR UPDATE SKIP LOCKED) l
       LIMIT delete_history.max_rows))
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
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY[
    'public.integration_sync_runs'::regclass, 'public.integration_sync_schedules'::regclass]);
  WITH gone AS (
    DELETE FROM public.integration_sync_runs r
     WHERE r.ctid = ANY (ARRAY(
       SELECT o.ctid FROM public.integration_sync_runs o
        WHERE o.scheduled_for < delete_runs.cutoff AND COALESCE(o.finished_at, o.lease_until) < delete_runs.cutoff
        LIMIT delete_runs.max_rows FOR UPDATE SKIP LOCKED))
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

-- A clock that was ahead for a moment leaves times that the rules cannot produce, and that nothing would ever correct.
-- claim_due_health_checks corrects the monitors that it hands out, this function the rest. No wait of a run is longer
-- than a day, and dispatch_sync_warm_ups looks no further ahead.
CREATE FUNCTION integration_health_private.heal_times()
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY[
    'public.integration_types'::regclass, 'public.integration_monitors'::regclass,
    'public.integration_sync_schedules'::regclass]);
  UPDATE public.integration_types t SET planned_since = pg_catalog.now()
   WHERE t.planned_since > pg_catalog.clock_timestamp() + interval '1 day';
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
  'Replaces what a clock that was ahead has left in planned_since of types, monitors and schedules, and in due_at and '
  'warm_up_for of schedules. Errors: 55000 as require_own_triggers.';

-- Keeps at least 24 hours: an interval that compares as a day or more may be shorter in the calendar, like
-- '-1 month 31 days', or '1 day' across a change of the clocks.
CREATE FUNCTION public.integration_health_cleanup(
  retention interval DEFAULT '30 days', max_rows integer DEFAULT 50000)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  cutoff timestamptz;
  deleted bigint;
BEGIN
  IF retention IS NULL OR retention < interval '1 day' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'retention must be at least one day',
      HINT = 'Pass ''1 day'' or more, or leave the argument out for 30 days.';
  END IF;
  PERFORM integration_health_private.require_max_rows(max_rows);
  cutoff := LEAST(now() - retention, now() - interval '24 hours');
  deleted := integration_health_private.delete_history(cutoff, max_rows);
  IF deleted < max_rows THEN
    deleted := deleted + integration_health_private.delete_runs(cutoff, max_rows - deleted);
  END IF;
  PERFORM integration_health_private.heal_times();
  RETURN deleted;
END
$$;
COMMENT ON FUNCTION public.integration_health_cleanup(interval, integer) IS
  'Deletes at most max_rows rows and returns how many: history whose checked_at, and sync runs whose period and end, '
  'are longer ago than retention (a day or more). Rows that a writer has locked wait for the next run. Also corrects '
  'what a clock that was ahead has left. Errors: 22023 when retention is null or shorter than a day, or max_rows is '
  'null or below 1, 55000 when somebody else has a trigger or rule on the tables.';

-- A pair that was checked within two of the shortest intervals cannot be stale, which settles the question for most
-- pairs. A monitor that waits longer than the rules say, because the clock was ahead, or because the check that ended a
-- series of failures found it locked, becomes due at once. SKIP LOCKED keeps the job out of the way of the monitors.
CREATE FUNCTION public.mark_stale_health(max_rows integer DEFAULT 10000)
RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT integration_health_private.require_max_rows(mark_stale_health.max_rows);
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
     LIMIT mark_stale_health.max_rows FOR UPDATE OF s SKIP LOCKED
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

-- The only list of the jobs.
CREATE FUNCTION integration_health_private.jobs()
RETURNS TABLE (number integer, job_name text, command text)
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
  VALUES (1, 'integration_health_cleanup', 'SELECT integration_health_private.cleanup_job()'),
         (2, 'integration_health_counts', 'SELECT integration_health_private.run_counts()'),
         (3, 'integration_health_stale', 'SELECT integration_health_private.run_stale()'),
         (4, 'integration_health_warm_up', 'SELECT integration_health_private.run_warm_up()');
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
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 4 AS $$
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
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 4 AS $$
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
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp ROWS 4 AS $$
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
  stale_schedule text DEFAULT '*/5 * * * *', warm_up_schedule text DEFAULT NULL)
RETURNS TABLE (job_id bigint, job_name text, schedule text, command text)
LANGUAGE plpgsql VOLATILE ROWS 4 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  schedules text[] := ARRAY[cleanup_schedule, counts_schedule, stale_schedule, warm_up_schedule];
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
COMMENT ON FUNCTION public.schedule_integration_health_jobs(text, text, text, text) IS
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
    'public.integration_sync_schedules'::regclass, 'public.integration_sync_runs'::regclass]);
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
  )
  SELECT (SELECT pg_catalog.count(*) FROM status) + (SELECT pg_catalog.count(*) FROM monitors)
         + (SELECT pg_catalog.count(*) FROM schedules) + (SELECT pg_catalog.count(*) FROM runs);
END;
COMMENT ON FUNCTION integration_health_private.forget_rows(uuid) IS 'Runs the statement of forget_organisation.';

CREATE FUNCTION public.forget_organisation(org_id uuid)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF forget_organisation.org_id IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'org_id must not be null',
      HINT = 'Pass the organisation to forget.';
  END IF;
  RETURN integration_health_private.forget_rows(forget_organisation.org_id);
END
$$;
COMMENT ON FUNCTION public.forget_organisation(uuid) IS
  'Deletes all that is stored about an organisation: status, history, counts, monitors, schedules and the ledger of '
  'its syncs. Returns the number of status rows, monitors, schedules and runs deleted. Checks that are recorded later '
  'start anew. Errors: 22023 when org_id is null, 55000 when somebody else has a trigger or rule on the tables.';

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
  (true, false, 'SELECT', 'TABLE %1$s.integration_monitors'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_sync_schedules'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_sync_runs'),
  (true, false, 'SELECT', 'TABLE integration_health_private.sync_plans'),
  -- what service_role reads and writes
  (false, true, 'SELECT, INSERT, UPDATE, DELETE', 'TABLE %1$s.integration_types'),
  (false, true, 'SELECT, DELETE', 'TABLE %1$s.integration_health_status'),
  (false, true, 'INSERT (org_id, integration_type, status, latency_ms, http_status, error, retry_after, checked_at), '
                'UPDATE (org_id, integration_type, status, latency_ms, http_status, error, retry_after, checked_at)',
   'TABLE %1$s.integration_health_status'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_health_history'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_health_counts'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_sync_runs'),
  (false, true, 'SELECT', 'TABLE integration_health_private.sync_plans'),
  (false, true, 'SELECT, DELETE', 'TABLE %1$s.integration_monitors'),
  (false, true, 'INSERT (org_id, integration_type, enabled), UPDATE (org_id, integration_type, enabled)',
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
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_org_ids()'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_can_read(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_uncounted(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_org_health_status(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_health_trend(uuid, text, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_global_health_summary()'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_global_health_problems(integer)'),
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
                           '%1$s.integration_health_state[], integer[], integer[], text[], integer[], timestamptz[])'),
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
                           'integer, integer, text, timestamptz, integer)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.record_health_checks(jsonb)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_cleanup(interval, integer)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.mark_stale_health(integer)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_compact()'),
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
  (false, true, 'EXECUTE', 'FUNCTION %1$s.forget_organisation(uuid)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.schedule_integration_health_jobs(text, text, text, text)'),
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
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
  VALUES ('SCHEMA integration_health_private'),
         ('FUNCTION integration_health_private.version()'),
         ('FUNCTION integration_health_private.window_start(integer)'),
         ('TABLE integration_health_private.settings'),
         ('FUNCTION integration_health_private.setting()'),
         ('FUNCTION integration_health_private.max_drift()'),
         ('FUNCTION integration_health_private.sends_events()'),
         ('FUNCTION integration_health_private.require_own_triggers(regclass[])'),
         ('FUNCTION integration_health_private.require_all_rows(regclass[])'),
         ('FUNCTION integration_health_private.require_max_rows(integer)'),
         ('FUNCTION integration_health_private.micros(interval)'),
         ('FUNCTION integration_health_private.echo(text)'),
         ('FUNCTION integration_health_private.utc_text(timestamptz)'),
         ('FUNCTION integration_health_private.refuse_intrusion(text)'),
         ('FUNCTION integration_health_private.refuse_key_change(text, text)'),
         ('FUNCTION integration_health_private.refuse_new_key()'),
         ('FUNCTION integration_health_private.require_trigger(text, text, text, oid, integer, boolean)'),
         ('FUNCTION integration_health_private.require_arguments(text[], boolean[])'),
         ('FUNCTION integration_health_private.send_event(text)'),
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
         ('TABLE public.integration_types'),
         ('FUNCTION integration_health_private.has_type(text)'),
         ('FUNCTION integration_health_private.type_names()'),
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
         ('FUNCTION integration_health_private.count_change(text, public.integration_health_state, public.integration_health_state)'),
         ('FUNCTION integration_health_private.send_transition(uuid, text, public.integration_health_state, public.integration_health_state, timestamptz, bigint)'),
         ('FUNCTION integration_health_private.move_monitor(public.integration_monitors, public.integration_types, integer)'),
         ('FUNCTION integration_health_private.follow_change(uuid, text, public.integration_health_state, public.integration_health_state, integer, integer, timestamptz, bigint)'),
         ('FUNCTION integration_health_private.follow_first_check(uuid, text, public.integration_health_state, integer, timestamptz)'),
         ('FUNCTION integration_health_private.lock_mode(text, boolean)'),
         ('FUNCTION integration_health_private.apply_rate_limit(public.integration_types, timestamptz, boolean)'),
         ('FUNCTION integration_health_private.spread_due_monitors(text, interval, timestamptz)'),
         ('FUNCTION integration_health_private.resume_type(public.integration_types)'),
         ('FUNCTION integration_health_private.is_probe(public.integration_types, uuid)'),
         ('FUNCTION integration_health_private.end_passive_mode(public.integration_types, uuid, boolean)'),
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
         ('FUNCTION public.record_health_check(uuid, text, public.integration_health_state, integer, integer, text, timestamptz, integer)'),
         ('FUNCTION integration_health_private.entry_rounds(jsonb)'),
         ('FUNCTION integration_health_private.record_round(uuid[], text[], public.integration_health_state[], integer[], integer[], text[], integer[], timestamptz[])'),
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
         ('FUNCTION integration_health_private.take_warm_ups(timestamptz, timestamptz)'),
         ('FUNCTION integration_health_private.has_http_post()'),
         ('FUNCTION public.dispatch_sync_warm_ups(interval)'),
         ('FUNCTION integration_health_private.require_all_syncs()'),
         ('FUNCTION integration_health_private.due_syncs(integer)'),
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
         ('FUNCTION integration_health_private.delete_history(timestamptz, bigint)'),
         ('FUNCTION integration_health_private.delete_runs(timestamptz, bigint)'),
         ('FUNCTION integration_health_private.heal_times()'),
         ('FUNCTION public.integration_health_cleanup(interval, integer)'),
         ('FUNCTION public.mark_stale_health(integer)'),
         ('FUNCTION integration_health_private.run_cleanup()'),
         ('FUNCTION integration_health_private.run_counts()'),
         ('FUNCTION integration_health_private.run_stale()'),
         ('FUNCTION integration_health_private.run_warm_up()'),
         ('FUNCTION integration_health_private.jobs()'),
         ('FUNCTION integration_health_private.has_cron()'),
         ('FUNCTION integration_health_private.cleanup_job()'),
         ('FUNCTION integration_health_private.health_jobs()'),
         ('FUNCTION integration_health_private.health_jobs_for_admin()'),
         ('FUNCTION public.get_health_jobs()'),
         ('FUNCTION public.schedule_integration_health_jobs(text, text, text, text)'),
         ('FUNCTION public.unschedule_integration_health_jobs()'),
         ('FUNCTION integration_health_private.forget_rows(uuid)'),
         ('FUNCTION public.forget_organisation(uuid)'),
         ('FUNCTION integration_health_private.rights()'),
         ('FUNCTION integration_health_private.schema_name()'),
         ('FUNCTION integration_health_private.objects()'),
         ('FUNCTION integration_health_private.oid_of(text)'),
         ('FUNCTION integration_health_private.parts()'),
         ('FUNCTION integration_health_private.grant_rights(regrole, boolean, text[])'),
         ('FUNCTION integration_health_private.close_tables(oid[])'),
         ('FUNCTION integration_health_private.holders()'),
         ('FUNCTION public.grant_integration_health(regrole, regrole)'),
         ('FUNCTION integration_health_private.grant_new_rights(text[])');
END;
COMMENT ON FUNCTION integration_health_private.objects() IS
  'Returns the schema, tables and functions of integration_health, as GRANT names them.';

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
     WHERE c.oid = ANY (objects) AND c.relkind = 'r' AND a.grantee <> c.relowner
       AND (a.privilege_type IN ('TRIGGER', 'REFERENCES', 'TRUNCATE')
            OR a.privilege_type <> 'SELECT'
               AND (c.relname IN ('integration_health_history', 'integration_health_counts', 'integration_sync_runs')
                    OR c.relnamespace = 'integration_health_private'::regnamespace))
  LOOP
    EXECUTE command;
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.close_tables(oid[]) IS
  'Leaves TRIGGER, REFERENCES and TRUNCATE on some of the tables to their owner, and with them all rights to write what '
  'the extension maintains by itself.';

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
  'Returns the readers and the writers: who may call get_org_health_status, and record_health_checks.';

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

CREATE FUNCTION integration_health_private.grant_new_rights(known text[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  added oid[] := ARRAY(SELECT p FROM integration_health_private.parts() AS p WHERE p !~ ' ' EXCEPT SELECT unnest(known));
  roles text;
  added_object text;
  holder record;
BEGIN
  SELECT concat_ws(', ', 'PUBLIC', to_regrole('anon')::text, string_agg(h.role::text, ', ')) INTO roles
    FROM integration_health_private.holders() AS h;
  FOR added_object IN
    SELECT o.object FROM integration_health_private.objects() AS o (object)
     WHERE integration_health_private.oid_of(o.object) = ANY (added)
  LOOP
    EXECUTE format('REVOKE ALL ON %s FROM %s', added_object, roles);
  END LOOP;
  FOR holder IN SELECT h.role, h.is_reader FROM integration_health_private.holders() AS h LOOP
    PERFORM integration_health_private.grant_rights(holder.role, holder.is_reader, known);
  END LOOP;
  PERFORM integration_health_private.close_tables(added);
END
$$;
COMMENT ON FUNCTION integration_health_private.grant_new_rights(text[]) IS
  'Ends an update: gives readers and writers their rights on what it has added. known are the parts of before it.';

SELECT public.grant_integration_health(
  pg_catalog.to_regrole('authenticated'), pg_catalog.to_regrole('service_role'));

SELECT integration_health_private.close_tables(ARRAY(
  SELECT integration_health_private.oid_of(o.object) FROM integration_health_private.objects() AS o (object)));
