/*
 * claims.c
 *	  Reads request.jwt.claims: the caller's organisations, for row-level security, and its role in
 *	  the application.  Whoever can run SQL can set the claims too: they bind those behind PostgREST.
 */
#include "claims.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/rls.h"
#include "utils/uuid.h"

#include "claim_rules.h"
#include "relations.h"

PG_FUNCTION_INFO_V1(ih_org_ids);
PG_FUNCTION_INFO_V1(ih_can_read);
PG_FUNCTION_INFO_V1(require_claims);
PG_FUNCTION_INFO_V1(require_admin_role);

/*
 * ReadInput calls the input function of a type; what is wrong with the text becomes a 22023 that
 * says message, all other errors stay as they are.
 */
static Datum
ReadInput(PGFunction input, const char *text, const char *message)
{
	MemoryContext  caller = CurrentMemoryContext;
	volatile Datum result = (Datum) 0;

	PG_TRY();
	{
		result = DirectFunctionCall1(input, CStringGetDatum(text));
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", message),
						errdetail_internal("%s", error->message)));
	}
	PG_END_TRY();
	return result;
}

/*
 * CallerClaims returns the claims, NULL where there are none; 22023 when they are no JSON object.
 */
static JsonbContainer *
CallerClaims(void)
{
	const char *text = GetConfigOption("request.jwt.claims", true, false);
	Jsonb	   *claims;

	if (text == NULL || text[0] == '\0')
		return NULL;

	claims = DatumGetJsonbP(ReadInput(jsonb_in, text, "request.jwt.claims is not valid JSON"));
	if (!JB_ROOT_IS_OBJECT(claims))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("request.jwt.claims is not a JSON object")));
	return &claims->root;
}

/*
 * ClaimString returns a JSON string as a C string; 22023 for any other value.
 */
static const char *
ClaimString(const JsonbValue *value, const ClaimPath *path)
{
	if (value->type != jbvString)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg(
				 "claim \"%s\" in request.jwt.claims is neither a string nor an array of strings",
				 path->keys[path->nkeys - 1])));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/*
 * LookUpClaim is the ClaimLookup for a JsonbContainer.  A claim that is null is not there.
 */
static bool
LookUpClaim(void *document, const ClaimPath *path, ClaimValues *found)
{
	JsonbContainer *container = document;
	JsonbValue	   *value;
	int				depth = 0;

	do
	{
		if (!JsonContainerIsObject(container))
			return false;
		value = getKeyJsonValueFromContainer(container, path->keys[depth],
											 strlen(path->keys[depth]), NULL);
		if (value == NULL || value->type == jbvNull)
			return false;
		if (++depth < path->nkeys && value->type != jbvBinary)
			return false;
		if (value->type == jbvBinary)
			container = value->val.binary.data;
	} while (depth < path->nkeys);

	if (value->type == jbvBinary && JsonContainerIsArray(container))
	{
		found->nvalues = (int) JsonContainerSize(container);
		found->values = palloc(sizeof(char *) * Max(found->nvalues, 1));
		for (int i = 0; i < found->nvalues; i++)
			found->values[i] = ClaimString(getIthJsonbValueFromContainer(container, i), path);
	}
	else
	{
		found->nvalues = 1;
		found->values = palloc(sizeof(char *));
		found->values[0] = ClaimString(value, path);
	}
	return true;
}

/*
 * CallerOrgs returns the number of organisations that the claims name, and their ids in *orgs.
 */
static int
CallerOrgs(Datum **orgs)
{
	JsonbContainer *claims = CallerClaims();
	ClaimValues		found;

	*orgs = NULL;
	if (claims == NULL || !FirstClaim(ih_org_claims, LookUpClaim, claims, &found))
		return 0;

	*orgs = palloc(sizeof(Datum) * Max(found.nvalues, 1));
	for (int i = 0; i < found.nvalues; i++)
		(*orgs)[i] = ReadInput(uuid_in, found.values[i],
							   "an organisation in request.jwt.claims is not a UUID");
	return found.nvalues;
}

/*
 * RequireAdminRole raises 42501 unless the claims name the role that may see all organisations.
 */
void
RequireAdminRole(void)
{
	JsonbContainer *claims = CallerClaims();

	if (claims == NULL || !AnyClaimNames(ih_role_claims, LookUpClaim, claims, ih_admin_role))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied: role %s is required", ih_admin_role)));
}

/*
 * ih_org_ids is integration_health_org_ids(), the array that the policies compare org_id with.
 */
Datum
ih_org_ids(PG_FUNCTION_ARGS)
{
	Datum *orgs;
	int	   norgs = CallerOrgs(&orgs);

	(void) fcinfo;
	PG_RETURN_ARRAYTYPE_P(
		construct_array(orgs, norgs, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

/*
 * ih_can_read is integration_health_can_read(org_id): the claims name the organisation, or the
 * policies do not apply to the caller.
 */
Datum
ih_can_read(PG_FUNCTION_ARGS)
{
	Oid	   status = ExtensionTable(SchemaOfFunction(fcinfo), STATUS_TABLE);
	Datum *orgs;
	int	   norgs;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	if (check_enable_rls(status, InvalidOid, true) != RLS_ENABLED)
		PG_RETURN_BOOL(true);

	norgs = CallerOrgs(&orgs);
	for (int i = 0; i < norgs; i++)
	{
		if (memcmp(DatumGetUUIDP(orgs[i]), PG_GETARG_UUID_P(0), UUID_LEN) == 0)
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}

/*
 * require_claims() raises 22023 for claims that cannot be read.
 */
Datum
require_claims(PG_FUNCTION_ARGS)
{
	Datum *orgs;

	(void) fcinfo;
	CallerOrgs(&orgs);
	PG_RETURN_VOID();
}

/*
 * require_admin_role() is RequireAdminRole for SQL.
 */
Datum
require_admin_role(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	RequireAdminRole();
	PG_RETURN_VOID();
}
