-- The PL/pgSQL engine: settings, events, and the guards of what the extension writes as the owner.

-- @before require_own_triggers
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


-- @require_own_triggers
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

-- @require_all_rows
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

-- @send_event
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF integration_health_private.sends_events() THEN
    PERFORM pg_notify('integration_health', event);
  END IF;
END
$$;

-- @edition
CREATE FUNCTION integration_health_private.edition()
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT 'trusted'::text;
END;

-- @logical_table
LANGUAGE sql STABLE STRICT
BEGIN ATOMIC
  SELECT COALESCE((SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
                    WHERE i.inhrelid = part AND c.relispartition), part)::regclass;
END;

-- @shard
