/*
 * claims.c
 *	  Reads request.jwt.claims: the caller's organisations, for row-level security, and its role in
 *	  the application.  Whoever can run SQL can set the claims too: they bind those behind PostgREST.
 */
#include "base/settings.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/uuid.h"

#include "claims/claim_rules.h"
#include "base/relations.h"

PG_FUNCTION_INFO_V1(integration_health_org_ids);
PG_FUNCTION_INFO_V1(integration_health_can_read);
PG_FUNCTION_INFO_V1(require_claims);
PG_FUNCTION_INFO_V1(require_admin_role);

/* Bytes of an error's message that are kept as the detail of another. */
#define DETAIL_MAX_BYTES 100

/* Why something could not be read; message is NULL where it could. */
typedef struct Problem
{
	const char *message;
	const char *detail;
} Problem;

/* What a text says under certain settings, and these; all in one memory context. */
typedef struct Claims
{
	MemoryContext context;
	const char	 *text;
	const char	 *org_claims;
	const char	 *role_claims;
	const char	 *admin_role;
	Problem		  org_problem;
	int			  norgs; /* 0 when there is a problem: one bad organisation, and none counts */
	pg_uuid_t	 *orgs;
	Problem		  role_problem;
	bool		  is_admin;
} Claims;

/* A document, and the first problem of the claims that were looked up in it. */
typedef struct Document
{
	JsonbContainer *root;
	Problem			problem;
} Document;

/* The claims that were read last: one text, replaced as soon as the setting has another. */
static Claims *cached_claims = NULL;

/*
 * ReadInput calls an input function that is pure; what is wrong with the text, be it its value
 * (class 22) or its size or depth (class 54), makes a problem that says message.  Other errors
 * stay as they are.  Returns whether *result is set.
 */
static bool
ReadInput(PGFunction input, const char *text, const char *message, Datum *result,
		  Problem *problem)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool is_read = false;

	PG_TRY();
	{
		*result = DirectFunctionCall1(input, CStringGetDatum(text));
		is_read = true;
	}
	PG_CATCH();
	{
		ErrorData *error;
		int		   category;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		if (category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		FlushErrorState();
		problem->message = message;
		problem->detail =
			pnstrdup(error->message,
					 pg_mbcliplen(error->message, strlen(error->message), DETAIL_MAX_BYTES));
	}
	PG_END_TRY();
	return is_read;
}

/*
 * ReadDocument returns the JSON object in text, NULL where there is none, or a problem.
 */
static JsonbContainer *
ReadDocument(const char *text, Problem *problem)
{
	Datum  read;
	Jsonb *claims;

	if (text[0] == '\0' ||
		!ReadInput(jsonb_in, text, "request.jwt.claims is not valid JSON", &read, problem))
		return NULL;

	claims = DatumGetJsonbP(read);
	if (!JB_ROOT_IS_OBJECT(claims))
	{
		problem->message = "request.jwt.claims is not a JSON object";
		return NULL;
	}
	return &claims->root;
}

/*
 * ClaimString returns a JSON string as a C string; NULL and a problem for any other value.
 */
static const char *
ClaimString(const JsonbValue *value, const ClaimPath *path, Problem *problem)
{
	if (value->type == jbvString)
		return pnstrdup(value->val.string.val, value->val.string.len);

	problem->message = psprintf(
		"claim \"%s\" in request.jwt.claims is neither a string nor an array of strings",
		path->keys[path->nkeys - 1]);
	return NULL;
}

/*
 * LookUpClaim is the ClaimLookup for a Document.  A claim that is null is not there; one that
 * cannot be read is there without values, and the document has a problem.
 */
static bool
LookUpClaim(void *document, const ClaimPath *path, ClaimValues *found)
{
	Document	   *claims = document;
	JsonbContainer *container = claims->root;
	JsonbValue	   *value;
	bool			is_array;
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

	is_array = value->type == jbvBinary && JsonContainerIsArray(container);
	found->nvalues = is_array ? (int) JsonContainerSize(container) : 1;
	found->values = palloc(sizeof(char *) * Max(found->nvalues, 1));
	for (int i = 0; i < found->nvalues; i++)
	{
		if (is_array)
			value = getIthJsonbValueFromContainer(container, i);
		found->values[i] = ClaimString(value, path, &claims->problem);
		if (found->values[i] == NULL)
			found->nvalues = 0;
	}
	return true;
}

/*
 * ReadOrgs reads the organisations that a document names.  The first that is no UUID makes a
 * problem, and there are none then.
 */
static void
ReadOrgs(JsonbContainer *root, Claims *claims)
{
	Document	document = { .root = root };
	ClaimValues found;
	bool		is_there = FirstClaim(claims->org_claims, LookUpClaim, &document, &found);

	claims->org_problem = document.problem;
	if (!is_there || document.problem.message != NULL)
		return;

	claims->orgs =
		MemoryContextAllocHuge(claims->context, sizeof(pg_uuid_t) * Max(found.nvalues, 1));
	for (int i = 0; i < found.nvalues; i++)
	{
		Datum org;

		if (!ReadInput(uuid_in, found.values[i],
					   "an organisation in request.jwt.claims is not a UUID", &org,
					   &claims->org_problem))
			return;
		claims->orgs[i] = *DatumGetUUIDP(org);
	}
	claims->norgs = found.nvalues;
}

/*
 * ReadRole tells whether a document names the admin's role, or what cannot be read on the way.
 */
static void
ReadRole(JsonbContainer *root, Claims *claims)
{
	Document document = { .root = root };

	claims->is_admin =
		AnyClaimNames(claims->role_claims, LookUpClaim, &document, claims->admin_role);
	claims->role_problem = document.problem;
}

/*
 * KeepProblem copies the texts of a problem into the current memory context.
 */
static void
KeepProblem(Problem *problem)
{
	if (problem->message != NULL)
		problem->message = pstrdup(problem->message);
	if (problem->detail != NULL)
		problem->detail = pstrdup(problem->detail);
}

/*
 * ReadClaims reads a text under the present settings, in a context below the current one, where
 * only the result is left.
 */
static Claims *
ReadClaims(const char *text)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "integration_health claims", ALLOCSET_SMALL_SIZES);
	MemoryContext scratch = AllocSetContextCreate(context, "integration_health claims as read",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Claims		 *claims = palloc0(sizeof(Claims));
	Problem		  problem = { NULL, NULL };
	JsonbContainer *root;

	claims->context = context;
	claims->text = pstrdup(text);
	claims->org_claims = pstrdup(ih_org_claims);
	claims->role_claims = pstrdup(ih_role_claims);
	claims->admin_role = pstrdup(ih_admin_role);

	MemoryContextSwitchTo(scratch);
	root = ReadDocument(text, &problem);
	claims->org_problem = claims->role_problem = problem;
	if (root != NULL)
	{
		ReadOrgs(root, claims);
		ReadRole(root, claims);
	}
	MemoryContextSwitchTo(context);
	KeepProblem(&claims->org_problem);
	KeepProblem(&claims->role_problem);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	return claims;
}

/*
 * CallerClaims returns what request.jwt.claims says, and does not raise when it cannot be read.
 * The text is read once, as long as it and the settings stay the same, byte by byte: the time that
 * a query takes then does not depend on it.  The result belongs to the cache and is good until the
 * next call.
 */
static const Claims *
CallerClaims(void)
{
	const char *text = GetConfigOption("request.jwt.claims", true, false);
	Claims	   *claims = cached_claims;

	if (text == NULL)
		text = "";
	if (claims != NULL && strcmp(claims->text, text) == 0 &&
		strcmp(claims->org_claims, ih_org_claims) == 0 &&
		strcmp(claims->role_claims, ih_role_claims) == 0 &&
		strcmp(claims->admin_role, ih_admin_role) == 0)
		return claims;

	claims = ReadClaims(text);
	MemoryContextSetParent(claims->context, TopMemoryContext);
	if (cached_claims != NULL)
		MemoryContextDelete(cached_claims->context);
	cached_claims = claims;
	return claims;
}

/*
 * Require raises a problem as 22023; nothing happens where there is none.
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
 * ClaimsOfAdmin returns claims that name the admin's role at the first place that is looked at.
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
 * integration_health_org_ids(), the array that the policies compare org_id with.  It
 * does not raise: the planner may ask a row something that the caller learns from before it asks
 * this, so that an error here would tell of rows that are there.
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
 * integration_health_can_read(org_id): the claims name the organisation, or the
 * policies do not apply to the caller.  22023, before anything else, when they cannot be read.
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
 * require_claims() raises 22023 for claims that cannot be read.
 */
Datum
require_claims(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	Require(&CallerClaims()->org_problem);
	PG_RETURN_VOID();
}

/*
 * require_admin_role() raises 42501 unless the claims name the role that may see all organisations,
 * 22023 when they cannot be read.
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
