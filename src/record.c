/*
 * record.c
 *	  record_health_checks: many checks in one call, with the caller's own rights.
 *	  What makes a check valid is said by the tables' constraints alone.  The whole array is tried
 *	  at once; only if that fails are the entries tried one by one, to name the bad one.
 */
#include "integration_health.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "passive.h"
#include "subtransaction.h"

PG_FUNCTION_INFO_V1(ih_record_health_checks);

static const char *const check_keys[] = { "org_id",		"integration_type", "status",
										  "latency_ms", "http_status",		"error",
										  "checked_at", "retry_after" };

/* A year: no system asks for more, and a time in it can be told. */
#define MAX_RETRY_AFTER 31536000

/*
 * One statement records the checks that are number $2 of their pair by time, in the order of the
 * keys, so that two callers cannot deadlock.
 */
static const char record_round[] =
	"WITH entry AS MATERIALIZED ("
	"  SELECT e.org_id, e.integration_type, e.status, e.latency_ms, e.http_status, e.error,"
	"         COALESCE(e.checked_at, pg_catalog.now()) AS checked_at,"
	"         pg_catalog.row_number() OVER (PARTITION BY e.org_id, e.integration_type"
	"           ORDER BY COALESCE(e.checked_at, pg_catalog.now()), e.place) AS round"
	"    FROM ROWS FROM (pg_catalog.jsonb_to_recordset($1) AS ("
	"           org_id pg_catalog.uuid, integration_type pg_catalog.text,"
	"           status %1$s.integration_health_state, latency_ms pg_catalog.int4,"
	"           http_status pg_catalog.int4, error pg_catalog.text,"
	"           checked_at pg_catalog.timestamptz))"
	"         WITH ORDINALITY AS e (org_id, integration_type, status, latency_ms, http_status,"
	"                               error, checked_at, place)"
	"), recorded AS ("
	"  INSERT INTO %1$s.integration_health_status AS s"
	"         (org_id, integration_type, status, latency_ms, http_status, error, checked_at)"
	"  SELECT org_id, integration_type, status, latency_ms, http_status, error, checked_at"
	"    FROM entry WHERE round OPERATOR(pg_catalog.=) $2"
	"   ORDER BY org_id, integration_type"
	"  ON CONFLICT (org_id, integration_type) DO UPDATE"
	"     SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms,"
	"         http_status = EXCLUDED.http_status, error = EXCLUDED.error,"
	"         checked_at = EXCLUDED.checked_at"
	"  RETURNING s.org_id"
	") SELECT (SELECT pg_catalog.count(*) FROM recorded), (SELECT pg_catalog.max(round) FROM entry)";

/* Until when each type of the rate limited checks asked to be left alone. */
static const char ask_for_retry[] =
	"SELECT e.integration_type, pg_catalog.max(LEAST(e.checked_at, pg_catalog.now())"
	"         OPERATOR(pg_catalog.+)"
	"         pg_catalog.make_interval(secs => e.retry_after::pg_catalog.float8))"
	"  FROM pg_catalog.jsonb_to_recordset($1) AS e (integration_type pg_catalog.text,"
	"         http_status pg_catalog.int4, checked_at pg_catalog.timestamptz,"
	"         retry_after pg_catalog.numeric)"
	" WHERE e.http_status OPERATOR(pg_catalog.=) 429 AND e.retry_after IS NOT NULL"
	" GROUP BY e.integration_type";

/* An array of checks that is to be recorded, and how many of them were. */
typedef struct Batch
{
	const char *query;
	Datum		checks;
	int64		recorded;
} Batch;

/*
 * Record records a Batch.
 */
static void
Record(void *arg)
{
	Batch	  *batch = arg;
	Oid		   argtypes[2] = { JSONBOID, INT8OID };
	SPIPlanPtr plan;
	int64	   rounds = 1;

	batch->recorded = 0;
	SPI_connect();
	plan = SPI_prepare(batch->query, 2, argtypes);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare returned %s", SPI_result_code_string(SPI_result));
	for (int64 round = 1; round <= rounds; round++)
	{
		Datum	  values[2] = { batch->checks, Int64GetDatum(round) };
		bool	  isnull;
		HeapTuple counted;

		if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_SELECT)
			elog(ERROR, "SPI_execute_plan returned %s", SPI_result_code_string(SPI_result));
		counted = SPI_tuptable->vals[0];
		batch->recorded +=
			DatumGetInt64(SPI_getbinval(counted, SPI_tuptable->tupdesc, 1, &isnull));
		if (round == 1)
		{
			Datum most = SPI_getbinval(counted, SPI_tuptable->tupdesc, 2, &isnull);

			rounds = isnull ? 0 : DatumGetInt64(most);
		}
		SPI_freetuptable(SPI_tuptable);
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
 * ReportBadEntry raises the 22023 of a bad entry; place counts from 0, as JSON does.
 */
static void
ReportBadEntry(int place, const char *problem, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("checks[%d]: %s", place, problem),
			 detail != NULL ? errdetail_internal("%s", detail) : 0,
			 errhint("Nothing was recorded. Correct the entry and send all of them again.")));
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
 * misspelt one would otherwise be lost in silence.  It tells whether one has retry_after, which no
 * table has and is checked here.
 */
static bool
RequireKnownKeys(JsonbContainer *array)
{
	bool has_retry_after = false;

	for (int place = 0; place < (int) JsonContainerSize(array); place++)
	{
		JsonbValue		  *entry = getIthJsonbValueFromContainer(array, place);
		JsonbIterator	  *it;
		JsonbValue		   key;
		JsonbValue		  *retry_after;
		JsonbIteratorToken token;

		if (entry->type != jbvBinary || !JsonContainerIsObject(entry->val.binary.data))
			ReportBadEntry(place, "the entry is not a JSON object", NULL);
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
										pnstrdup(key.val.string.val, key.val.string.len)),
							   NULL);
		}
		retry_after = getKeyJsonValueFromContainer(entry->val.binary.data, "retry_after",
												   strlen("retry_after"), NULL);
		if (retry_after == NULL)
			continue;
		if (!IsRetryAfter(retry_after))
			ReportBadEntry(place,
						   psprintf("retry_after is not a whole number of seconds from 0 to %d",
									MAX_RETRY_AFTER),
						   NULL);
		has_retry_after = true;
	}
	return has_retry_after;
}

/*
 * KeepRetryAfter notes, for each type that the checks found rate limited, until when to leave it
 * alone.
 */
static void
KeepRetryAfter(Datum checks)
{
	Oid argtypes[1] = { JSONBOID };

	SPI_connect();
	if (SPI_execute_with_args(ask_for_retry, 1, argtypes, &checks, NULL, true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "the times of retry could not be read");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool  isnull;
		Datum type = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		Datum until = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull);

		NoteRetryAfter(type, DatumGetTimestampTz(until));
	}
	SPI_finish();
}

/*
 * BlameEntry tries the entries one by one, undoing each, and raises the error of the first that
 * fails.  It returns when none does.
 */
static void
BlameEntry(const char *query, JsonbContainer *array)
{
	for (int place = 0; place < (int) JsonContainerSize(array); place++)
	{
		JsonbParseState *state = NULL;
		JsonbValue		*single;
		Batch			 batch;
		ErrorData		*error;

		CHECK_FOR_INTERRUPTS();
		pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
		pushJsonbValue(&state, WJB_ELEM, getIthJsonbValueFromContainer(array, place));
		single = pushJsonbValue(&state, WJB_END_ARRAY, NULL);

		batch.query = query;
		batch.checks = JsonbPGetDatum(JsonbValueToJsonb(single));
		error = TryInSubtransaction(Record, &batch, false);
		if (error != NULL && IsBadData(error))
			ReportBadEntry(place, error->message, error->detail);
		if (error != NULL)
			ReThrowError(error);
	}
}

/*
 * ih_record_health_checks is record_health_checks(checks).
 */
Datum
ih_record_health_checks(PG_FUNCTION_ARGS)
{
	Oid		   schema = get_func_namespace(fcinfo->flinfo->fn_oid);
	Jsonb	  *checks;
	Batch	   batch;
	ErrorData *error;
	bool	   has_retry_after;

	checks = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	if (checks == NULL || !JB_ROOT_IS_ARRAY(checks) || JB_ROOT_IS_SCALAR(checks))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("checks must be a JSON array of objects")));
	has_retry_after = RequireKnownKeys(&checks->root);

	batch.query = psprintf(record_round, quote_identifier(get_namespace_name(schema)));
	batch.checks = JsonbPGetDatum(checks);
	error = TryInSubtransaction(Record, &batch, true);
	if (error != NULL && IsBadData(error))
		BlameEntry(batch.query, &checks->root);
	if (error != NULL)
		ReThrowError(error);
	if (has_retry_after)
		KeepRetryAfter(batch.checks);
	PG_RETURN_INT32((int32) batch.recorded);
}
