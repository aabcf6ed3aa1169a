/*
 * claims.c
 *	  Reads request.jwt.claims: the caller's organisations, and whether it has the admin role.
 */
#include "claims/claims.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "base/settings.h"
#include "claims/claim_rules.h"

/* How much of an error's message is kept as the detail of a problem. */
#define DETAIL_MAX_BYTES 100

/* A document, and the last problem with the claims that were looked up in it. */
typedef struct Document
{
	JsonbContainer *root;
	Problem			problem;
} Document;

/* The claims that were read last; replaced when their text or a setting has changed. */
static Claims *cached_claims = NULL;

/*
 * ReadInput calls an input function that has no side effects, since there is no subtransaction
 * to undo them.  An error of class 22 (data exception) or 54 (size or depth) becomes a problem
 * with this message; other errors are raised again.  Returns whether *result is set.
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
 * ReadDocument returns the JSON object in text.  It returns NULL if text is empty, and NULL
 * with a problem if text is anything else.
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
 * ClaimString returns a JSON string as a C string, or NULL with a problem for any other value.
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
 * LookUpClaim is the ClaimLookup for a Document.  A claim that is JSON null counts as absent.
 * One that cannot be read counts as present without values, and sets the problem of the
 * document.
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
 * ReadOrgs reads the organisations that a document names.  If one of them is no UUID, there is
 * a problem and no organisation.
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
 * ReadRole reads whether a document names the admin role.  A claim that cannot be read on the
 * way to it is a problem.
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
 * KeepProblem copies the strings of a problem into the current memory context.
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
 * ReadClaims reads the claims in text under the current settings.  The result is in a new child
 * of the current memory context.
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
 * CallerClaims returns what request.jwt.claims says; it does not raise if that cannot be read.
 * The text is read again only when a byte of it or of the settings has changed, so that the
 * time that a query takes reveals nothing about rows.  The result belongs to the cache and is
 * valid until the next call.
 */
const Claims *
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
