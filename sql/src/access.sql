-- ---------------------------------------------------------------------------------------------
-- Access: the claims of the caller, for row-level security
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.integration_health_org_ids()
RETURNS uuid[]
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_health_org_ids';
COMMENT ON FUNCTION @extschema@.integration_health_org_ids() IS
  'Returns the organisations that the claims in request.jwt.claims name: the value of the first path in '
  'integration_health.org_claims that exists, a string or an array of strings. Empty without claims, and when they '
  'cannot be read or a value is not a UUID: policies call this function, and an error would reveal which rows exist.';

CREATE FUNCTION @extschema@.integration_health_can_read(org_id uuid)
RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_health_can_read';
COMMENT ON FUNCTION @extschema@.integration_health_can_read(uuid) IS
  'Returns whether the caller may see the organisation org_id: the claims name it, or row-level security does not '
  'apply to the caller. False for null. Errors: 22023 when request.jwt.claims cannot be read, for any caller.';

-- @engine uncounted_support
CREATE FUNCTION @extschema@.integration_health_uncounted_support(internal)
RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_health_uncounted_support';
COMMENT ON FUNCTION @extschema@.integration_health_uncounted_support(internal) IS
  'Planner support function of integration_health_uncounted.';
-- @end

CREATE FUNCTION @extschema@.integration_health_uncounted(org_id uuid)
RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 0.01 SUPPORT @extschema@.integration_health_uncounted_support
AS 'MODULE_PATHNAME', 'integration_health_uncounted';
COMMENT ON FUNCTION @extschema@.integration_health_uncounted(uuid) IS
  'Returns true. The policies call it so that the planner''s estimates reveal nothing about rows that the caller may '
  'not see.';

CREATE FUNCTION integration_health_private.require_claims()
RETURNS void
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'require_claims';
COMMENT ON FUNCTION integration_health_private.require_claims() IS
  'Checks the claims before a report reads anything. Errors: 22023 when request.jwt.claims cannot be read: it is not '
  'a JSON object, is nested too deeply, or names an organisation that is not a UUID.';

CREATE FUNCTION integration_health_private.require_admin_role()
RETURNS void
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'require_admin_role';
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
