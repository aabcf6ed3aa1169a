-- ---------------------------------------------------------------------------------------------
-- Access: the claims of the caller, for row-level security
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.integration_health_org_ids()
RETURNS uuid[]
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_health_org_ids';
COMMENT ON FUNCTION @extschema@.integration_health_org_ids() IS
  'The organisations that the claims in request.jwt.claims name: the first of the paths in '
  'integration_health.org_claims that is there, a string or an array of strings. Empty without claims, and when they '
  'cannot be read or one of the values is no UUID: policies call it, and an error would tell of the rows that are '
  'there.';

CREATE FUNCTION @extschema@.integration_health_can_read(org_id uuid)
RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_health_can_read';
COMMENT ON FUNCTION @extschema@.integration_health_can_read(uuid) IS
  'Whether the caller may see the organisation org_id: its claims name it, or row-level security does not apply to '
  'the caller. Null: false. Errors: 22023 request.jwt.claims cannot be read, whoever asks.';

-- @engine uncounted_support
CREATE FUNCTION @extschema@.integration_health_uncounted_support(internal)
RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'integration_health_uncounted_support';
COMMENT ON FUNCTION @extschema@.integration_health_uncounted_support(internal) IS
  'Planner support of integration_health_uncounted.';
-- @end

CREATE FUNCTION @extschema@.integration_health_uncounted(org_id uuid)
RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 0.01 SUPPORT @extschema@.integration_health_uncounted_support
AS 'MODULE_PATHNAME', 'integration_health_uncounted';
COMMENT ON FUNCTION @extschema@.integration_health_uncounted(uuid) IS
  'True. Stands in the policies, so that the planner''s estimates tell nothing of rows that the caller may not see.';

CREATE FUNCTION integration_health_private.require_claims()
RETURNS void
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'require_claims';
COMMENT ON FUNCTION integration_health_private.require_claims() IS
  'What a report does first. Errors: 22023 request.jwt.claims cannot be read: no JSON object, nested too deep, or an '
  'organisation that is no UUID.';

CREATE FUNCTION integration_health_private.require_admin_role()
RETURNS void
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'require_admin_role';
COMMENT ON FUNCTION integration_health_private.require_admin_role() IS
  'What a report over all organisations does first. Errors: 42501 unless a claim at one of the paths in '
  'integration_health.role_claims names integration_health.admin_role, 22023 request.jwt.claims cannot be read.';
