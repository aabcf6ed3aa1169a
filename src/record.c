/*
 * record.c
 *	  record_health_checks: many checks in one call, with the caller's own rights.
 *	  What makes a check valid is said by the tables' constraints alone.  The whole array is tried
 *	  at once; only if that fails are the entries tried one by one, to name the bad one.
 */
#include "integration_health.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "owner_query.h"
#include "relations.h"
#include "subtransaction.h"

PG_FUNCTION_INFO_V1(ih_record_health_checks);

static const char *const check_keys[] = { "org_id",		"integration_type", "status",
										  "latency_ms", "http_status",		"error",
										  "checked_at", "retry_after" };

/* A year: no system asks for more, and a time in it can be told. */
#define MAX_RETRY_AFTER 31536000

/*
 * The entries of an array, typed, with the round in which each is recorded: the n-th check of its
 * pair by time goes in round n.  Within a round they have the order of the keys, as bytes, so that
 * two callers, or one and a writer who sorts, cannot deadlock.
 */
static const char read_entries[] =
	"SELECT e.org_id, e.integration_type, e.status, e.latency_ms, e.http_status, e.error,"
	"       e.retry_after::pg_catalog.int4 AS retry_after, COALESCE(e.checked_at, pg_catalog.now()) AS checked_at,"
	"       pg_catalog.row_number() OVER (PARTITION BY e.org_id, e.integration_type"
	"         ORDER BY COALESCE(e.checked_at, pg_catalog.now()), e.place) AS round"
	"  FROM ROWS FROM (pg_catalog.jsonb_to_recordset($1) AS ("
	"         org_id pg_catalog.uuid, integration_type pg_catalog.text,"
	"         status %1$s.integration_health_state, latency_ms pg_catalog.int4,"
	"         http_status pg_catalog.int4, error pg_catalog.text, retry_after pg_catalog.numeric,"
	"         checked_at pg_catalog.timestamptz))"
	"       WITH ORDINALITY AS e (org_id, integration_type, status, latency_ms, http_status,"
	"                             error, retry_after, checked_at, place)"
	" ORDER BY round, e.org_id, e.integration_type COLLATE pg_catalog.\"C\"";

#define ENTRY_COLUMNS 8
#define ENTRY_ROUND (ENTRY_COLUMNS + 1)

/* Records the entries of one round, an array for each column. */
static const char record_round[] =
	"INSERT INTO %1$s.integration_health_status AS s"
	"       (org_id, integration_type, status, latency_ms, http_status, error, retry_after,"
	"        checked_at)"
	" SELECT * FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2),"
	"   pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5),"
	"   pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8))"
	" ON CONFLICT (org_id, integration_type) DO UPDATE"
	"    SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms,"
	"        http_status = EXCLUDED.http_status, error = EXCLUDED.error,"
	"        retry_after = EXCLUDED.retry_after, checked_at = EXCLUDED.checked_at";

/* The queries of a call, for its schema. */
typedef struct Queries
{
	char *read_entries;
	char *record_round;
} Queries;

/* An array of checks that is to be recorded, and how many of them were. */
typedef struct Batch
{
	const Queries *queries;
	Datum		   checks;
	int64		   recorded;
} Batch;

/*
 * RoundOf returns the round of an entry.
 */
static int64
RoundOf(const SPITupleTable *entries, uint64 i)
{
	bool isnull;

	return DatumGetInt64(
		SPI_getbinval(entries->vals[i], entries->tupdesc, ENTRY_ROUND, &isnull));
}

/*
 * ColumnArray returns a column of the entries from first to end as an array.
 */
static Datum
ColumnArray(const SPITupleTable *entries, uint64 first, uint64 end, int column)
{
	Form_pg_attribute att = TupleDescAttr(entries->tupdesc, column - 1);
	int				  nvalues = (int) (end - first);
	int				  lower_bound = 1;
	Datum			 *values = palloc(sizeof(Datum) * nvalues);
	bool			 *nulls = palloc(sizeof(bool) * nvalues);

	for (int i = 0; i < nvalues; i++)
		values[i] =
			SPI_getbinval(entries->vals[first + i], entries->tupdesc, column, &nulls[i]);
	return PointerGetDatum(construct_md_array(values, nulls, 1, &nvalues, &lower_bound,
											  att->atttypid, att->attlen, att->attbyval,
											  att->attalign));
}

/*
 * Record records a Batch: it reads all of it once, and each round hands on only its own entries.
 */
static void
Record(void *arg)
{
	Batch		  *batch = arg;
	Oid			   jsonb_type = JSONBOID;
	Oid			   argtypes[ENTRY_COLUMNS];
	MemoryContext  round_context;
	SPITupleTable *entries;
	SPIPlanPtr	   plan;
	uint64		   nentries;
	uint64		   end;

	batch->recorded = 0;
	SPI_connect();
	if (SPI_execute_with_args(batch->queries->read_entries, 1, &jsonb_type, &batch->checks,
							  NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "the entries could not be read");
	nentries = SPI_processed;
	entries = SPI_tuptable;
	for (int i = 0; i < ENTRY_COLUMNS; i++)
		argtypes[i] = get_array_type(TupleDescAttr(entries->tupdesc, i)->atttypid);
	plan = SPI_prepare(batch->queries->record_round, ENTRY_COLUMNS, argtypes);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare returned %s", SPI_result_code_string(SPI_result));

	round_context = AllocSetContextCreate(CurrentMemoryContext, "round of health checks",
										  ALLOCSET_DEFAULT_SIZES);
	for (uint64 first = 0; first < nentries; first = end)
	{
		MemoryContext caller = MemoryContextSwitchTo(round_context);
		Datum		  values[ENTRY_COLUMNS];
		int64		  round = RoundOf(entries, first);

		CHECK_FOR_INTERRUPTS();
		for (end = first + 1; end < nentries && RoundOf(entries, end) == round; end++)
			;
		for (int i = 0; i < ENTRY_COLUMNS; i++)
			values[i] = ColumnArray(entries, first, end, i + 1);
		if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_INSERT)
			elog(ERROR, "SPI_execute_plan returned %s", SPI_result_code_string(SPI_result));
		batch->recorded += (int64) SPI_processed;
		MemoryContextSwitchTo(caller);
		MemoryContextReset(round_context);
	}
	SPI_finish();
}

/*
 * IsBadData tells an error in what the caller sent from all the others (rights, locks, resources).
 */
static bool
IsBadData(const ErrorData *error)
{
	int category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return category == ERRCODE_DATA_EXCEPTION ||
		   category == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION;
}

/*
 * ReportBadEntry raises the 22023 of a bad entry; place counts from 0, as JSON does.  choices, where it
 * is not NULL, is a sentence that says what would be right.
 */
static void
ReportBadEntry(int place, const char *problem, const char *detail, const char *choices)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("checks[%d]: %s", place, problem),
			 detail != NULL ? errdetail_internal("%s", detail) : 0,
			 errhint("%s%sNothing was recorded. Correct the entry and send all of them again.",
					 choices == NULL ? "" : choices, choices == NULL ? "" : " ")));
}

/*
 * ClipValues returns a message of the server's with no more than ECHO_CHARACTERS of anything that it
 * quotes; what a quote in a value makes of that is bounded, too.
 */
static const char *
ClipValues(const char *message)
{
	StringInfoData result;

	initStringInfo(&result);
	while (*message != '\0' && result.len < 10 * ECHO_CHARACTERS)
	{
		const char *end = strchr(message, '"');
		char	   *part = end == NULL ? pstrdup(message) : pnstrdup(message, end - message);

		appendStringInfoString(&result, Echo(part));
		if (end == NULL)
			break;
		appendStringInfoChar(&result, '"');
		message = end + 1;
	}
	return result.data;
}

/* Types are no secret. */
static OwnerQuery type_names = {
	.text = "SELECT pg_catalog.string_agg(t.integration_type, ', ' ORDER BY t.integration_type)"
			"  FROM @schema@.integration_types AS t",
	.resulttypes = { TEXTOID },
};

/*
 * KnownTypes returns a sentence that names the integration types, as far as it is not too long; NULL
 * where there are none.
 */
static const char *
KnownTypes(Oid schema)
{
	MemoryContext caller = CurrentMemoryContext;
	char		 *names;
	const char	 *sentence = NULL;

	SPI_connect();
	RunOwnerQuery(&type_names, ExtensionTable(schema, TYPES_TABLE), NULL, NULL, true);
	names = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (names != NULL)
		sentence = MemoryContextStrdup(caller, psprintf("The types are %s.", Echo(names)));
	SPI_finish();
	return sentence;
}

/*
 * Choices returns what would be right in place of what an error complains of; NULL where that is not
 * one of a few.
 */
static const char *
Choices(const ErrorData *error, Oid schema)
{
	if (error->sqlerrcode == ERRCODE_FOREIGN_KEY_VIOLATION)
		return KnownTypes(schema);
	if (error->sqlerrcode == ERRCODE_INVALID_TEXT_REPRESENTATION &&
		strstr(error->message, "integration_health_state") != NULL)
		return "Use healthy, degraded, unhealthy or unknown.";
	return NULL;
}

/*
 * IsRetryAfter tells whether a JSON value is a number of seconds, or null.
 */
static bool
IsRetryAfter(const JsonbValue *value)
{
	int64 seconds;

	if (value->type == jbvNull)
		return true;
	if (value->type != jbvNumeric ||
		!DatumGetBool(DirectFunctionCall2(
			numeric_eq, NumericGetDatum(value->val.numeric),
			DirectFunctionCall2(numeric_trunc, NumericGetDatum(value->val.numeric),
								Int32GetDatum(0)))))
		return false;
	if (DatumGetBool(DirectFunctionCall2(
			numeric_gt, NumericGetDatum(value->val.numeric),
			DirectFunctionCall1(int4_numeric, Int32GetDatum(MAX_RETRY_AFTER)))))
		return false;
	seconds =
		DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value->val.numeric)));
	return seconds >= 0;
}

/*
 * RequireKnownKeys raises 22023 for an entry that is no object or has a key that means nothing: a
 * misspelt one would otherwise be lost in silence; and for a retry_after that is no number: a cast
 * would round or read it.
 */
static void
RequireKnownKeys(JsonbContainer *array)
{
	for (int place = 0; place < (int) JsonContainerSize(array); place++)
	{
		JsonbValue		  *entry = getIthJsonbValueFromContainer(array, place);
		JsonbIterator	  *it;
		JsonbValue		   key;
		JsonbValue		  *retry_after;
		JsonbIteratorToken token;

		if (entry->type != jbvBinary || !JsonContainerIsObject(entry->val.binary.data))
			ReportBadEntry(place, "the entry is not a JSON object", NULL, NULL);
		it = JsonbIteratorInit(entry->val.binary.data);
		while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
		{
			bool known = false;

			if (token != WJB_KEY)
				continue;
			for (size_t i = 0; i < lengthof(check_keys) && !known; i++)
				known = strlen(check_keys[i]) == (size_t) key.val.string.len &&
						memcmp(check_keys[i], key.val.string.val, key.val.string.len) == 0;
			if (!known)
				ReportBadEntry(place,
							   psprintf("unknown key \"%s\"",
										Echo(pnstrdup(key.val.string.val, key.val.string.len))),
							   NULL, NULL);
		}
		retry_after = getKeyJsonValueFromContainer(entry->val.binary.data, "retry_after",
												   strlen("retry_after"), NULL);
		if (retry_after == NULL)
			continue;
		if (!IsRetryAfter(retry_after))
			ReportBadEntry(place,
						   psprintf("retry_after is not a whole number of seconds from 0 to %d",
									MAX_RETRY_AFTER),
						   NULL, NULL);
	}
}

/* An array whose entries are recorded one by one; place is the one that it is at. */
typedef struct Search
{
	const Queries  *queries;
	JsonbContainer *array;
	int				place;
} Search;

/*
 * RecordOneByOne records the entries of a Search in their order, until one of them fails.
 */
static void
RecordOneByOne(void *arg)
{
	Search		 *search = arg;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context =
		AllocSetContextCreate(caller, "search for a bad health check", ALLOCSET_DEFAULT_SIZES);

	for (search->place = 0; search->place < (int) JsonContainerSize(search->array);
		 search->place++)
	{
		JsonbParseState *state = NULL;
		JsonbValue		*single;
		Batch			 batch = { search->queries, 0, 0 };

		MemoryContextSwitchTo(context);
		pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
		pushJsonbValue(&state, WJB_ELEM,
					   getIthJsonbValueFromContainer(search->array, search->place));
		single = pushJsonbValue(&state, WJB_END_ARRAY, NULL);
		batch.checks = JsonbPGetDatum(JsonbValueToJsonb(single));
		Record(&batch);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
}

/*
 * BlameEntry records the entries one by one in a subtransaction, and raises the error of the first
 * that fails; it takes all of them back and returns when none does.
 */
static void
BlameEntry(const Queries *queries, Oid schema, JsonbContainer *array)
{
	Search	   search = { queries, array, 0 };
	ErrorData *error = TryInSubtransaction(RecordOneByOne, &search, false);

	if (error != NULL && IsBadData(error))
		ReportBadEntry(search.place, ClipValues(error->message),
					   error->detail == NULL ? NULL : ClipValues(error->detail),
					   Choices(error, schema));
	if (error != NULL)
		ReThrowError(error);
}

/*
 * ih_record_health_checks is record_health_checks(checks).
 */
Datum
ih_record_health_checks(PG_FUNCTION_ARGS)
{
	Oid			schema = get_func_namespace(fcinfo->flinfo->fn_oid);
	Jsonb	   *checks;
	Queries		queries;
	Batch		batch;
	ErrorData  *error;
	const char *quoted = quote_identifier(get_namespace_name(schema));

	checks = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	if (checks == NULL || !JB_ROOT_IS_ARRAY(checks) || JB_ROOT_IS_SCALAR(checks))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("checks must be a JSON array of objects")));
	RequireKnownKeys(&checks->root);

	queries.read_entries = psprintf(read_entries, quoted);
	queries.record_round = psprintf(record_round, quoted);
	batch.queries = &queries;
	batch.checks = JsonbPGetDatum(checks);
	error = TryInSubtransaction(Record, &batch, true);
	if (error != NULL && IsBadData(error))
		BlameEntry(&queries, schema, &checks->root);
	if (error != NULL)
		ReThrowError(error);
	PG_RETURN_INT32((int32) batch.recorded);
}
