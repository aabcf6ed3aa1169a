/*
 * access.c
 *	  Decides by the caller's claims who may see what, for policies and functions.  Claims bind
 *	  only callers that come through PostgREST: whoever can run SQL can also set the claims.
 */
#include "claims/claims.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/rls.h"

#include "base/compat.h"
#include "base/relations.h"
#include "claims/claim_rules.h"

PG_FUNCTION_INFO_V1(integration_health_org_ids);
PG_FUNCTION_INFO_V1(integration_health_can_read);
PG_FUNCTION_INFO_V1(require_claims);
PG_FUNCTION_INFO_V1(require_admin_role);

/*
 * Require raises 22023 if there is a problem.
 */
static void
Require(const Problem *problem)
{
	if (problem->message != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", problem->message),
				 problem->detail ? errdetail_internal("%s", problem->detail) : 0));
}

/*
 * ClaimsOfAdmin returns an example for a hint: claims that name the admin role at the first of
 * the paths in integration_health.role_claims.
 */
static const char *
ClaimsOfAdmin(const Claims *claims)
{
	const char	  *paths = claims->role_claims;
	ClaimPath	   path;
	StringInfoData json;

	initStringInfo(&json);
	if (!NextClaimPath(&paths, &path))
		return "{}";
	for (int i = 0; i < path.nkeys; i++)
	{
		appendStringInfoChar(&json, '{');
		escape_json(&json, path.keys[i]);
		appendStringInfoChar(&json, ':');
	}
	escape_json(&json, claims->admin_role);
	for (int i = 0; i < path.nkeys; i++)
		appendStringInfoChar(&json, '}');
	return json.data;
}

/*
 * integration_health_org_ids() returns the array that the policies compare org_id with.  It
 * never raises: the planner may evaluate a caller's own filter on a row before the policy, so
 * that an error in the policy would reveal whether any row matches the filter.
 */
Datum
integration_health_org_ids(PG_FUNCTION_ARGS)
{
	const Claims *claims = CallerClaims();
	Datum		 *orgs = palloc(sizeof(Datum) * Max(claims->norgs, 1));

	(void) fcinfo;
	for (int i = 0; i < claims->norgs; i++)
		orgs[i] = UUIDPGetDatum(&claims->orgs[i]);
	PG_RETURN_ARRAYTYPE_P(
		construct_array(orgs, claims->norgs, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

/*
 * integration_health_can_read(org_id uuid) returns whether the claims name the organisation or
 * the policies do not apply to the caller.  22023, before anything else, if the claims cannot
 * be read.
 */
Datum
integration_health_can_read(PG_FUNCTION_ARGS)
{
	const Claims *claims = CallerClaims();
	Oid			  status;

	Require(&claims->org_problem);
	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	status = ExtensionTable(SchemaOfFunction(fcinfo->flinfo->fn_oid), STATUS_TABLE);
	if (check_enable_rls(status, InvalidOid, true) != RLS_ENABLED)
		PG_RETURN_BOOL(true);

	for (int i = 0; i < claims->norgs; i++)
	{
		if (memcmp(&claims->orgs[i], PG_GETARG_UUID_P(0), UUID_LEN) == 0)
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}

/*
 * require_claims() raises 22023 if the claims cannot be read.
 */
Datum
require_claims(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	Require(&CallerClaims()->org_problem);
	PG_RETURN_VOID();
}

/*
 * require_admin_role() raises 42501 unless the claims name the role that may see all
 * organisations, and 22023 if they cannot be read.
 */
Datum
require_admin_role(PG_FUNCTION_ARGS)
{
	const Claims *claims = CallerClaims();

	(void) fcinfo;
	Require(&claims->role_problem);
	if (!claims->is_admin)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied: role %s is required", claims->admin_role),
				 errhint("A claim in request.jwt.claims must name it: %s. In psql: SELECT "
						 "set_config('request.jwt.claims', %s, false).",
						 claims->role_claims, quote_literal_cstr(ClaimsOfAdmin(claims)))));
	PG_RETURN_VOID();
}
