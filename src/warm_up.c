/*
 * warm_up.c
 *	  Wakes the worker of a sync shortly before its time, once: through pg_net where it is there, else
 *	  by an event to a listener.  What becomes of the call is no health check.
 */
#include "integration_health.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "notify.h"
#include "owner_query.h"
#include "periods.h"
#include "relations.h"
#include "subtransaction.h"

PG_FUNCTION_INFO_V1(ih_dispatch_warm_ups);

/* A job that is called every minute must find each period in time. */
#define MAX_AHEAD MICROS_PER_DAY

/* How long pg_net waits for the worker, which may have to start first. */
#define HTTP_TIMEOUT_MS 10000

/*
 * Schedules with a period after $1, at $2 at the latest, whose worker was not called for it.  One
 * whose time has passed without a call, because no job ran, is moved on to the next.
 */
static OwnerQuery take_due = {
	.text =
		"WITH due AS MATERIALIZED ("
		"  SELECT d.ctid AS place, CASE WHEN d.warm_up_for OPERATOR(pg_catalog.>) $1"
		"                               THEN d.warm_up_for"
		"                               ELSE @schema@.integration_sync_next_period(d.every,"
		"                                      d.anchor, d.time_zone, $1) END AS period"
		"    FROM @schema@.integration_sync_schedules AS d"
		"   WHERE d.enabled AND d.warm_up_url IS NOT NULL"
		"     AND d.warm_up_for OPERATOR(pg_catalog.<=) $2"
		"     AND CASE WHEN d.warm_up_for OPERATOR(pg_catalog.<=) $2"
		"              THEN integration_health_private.usable_time_zone(d.org_id,"
		"                     d.integration_type, d.every, d.anchor, d.time_zone) IS NOT NULL END"
		"     FOR NO KEY UPDATE SKIP LOCKED"
		" ) UPDATE @schema@.integration_sync_schedules AS s"
		"   SET warm_up_for = COALESCE(CASE WHEN d.period OPERATOR(pg_catalog.<=) $2"
		"                                   THEN @schema@.integration_sync_next_period(s.every,"
		"                                          s.anchor, s.time_zone, d.period)"
		"                                   ELSE d.period END, 'infinity')"
		"  FROM due AS d"
		" WHERE s.ctid OPERATOR(pg_catalog.=) d.place"
		" RETURNING s.org_id, s.integration_type, d.period, s.warm_up_url,"
		"   d.period OPERATOR(pg_catalog.<=) $2",
	.nargs = 2,
	.argtypes = { TIMESTAMPTZOID, TIMESTAMPTZOID },
	.resulttypes = { UUIDOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, BOOLOID },
	.sees_latest = true,
};

#define TAKEN_COLUMNS 5

/* A call of net.http_post that is to be made. */
typedef struct Call
{
	Oid			http_post;
	Datum		url;
	const char *body;
} Call;

/*
 * HttpPost returns the function net.http_post of pg_net; InvalidOid where it is not there or not for
 * the caller.  It is known by its schema, arguments and result, and by an owner who is a superuser:
 * a look-alike that somebody else has made does not count.
 */
static Oid
HttpPost(void)
{
	Oid		  argtypes[5] = { TEXTOID, JSONBOID, JSONBOID, JSONBOID, INT4OID };
	Oid		  schema = get_namespace_oid("net", true);
	Oid		  function;
	Oid		  owner;
	HeapTuple tuple;

	if (!OidIsValid(schema) || !MaySee(schema))
		return InvalidOid;
	function = LookupFuncName(list_make2(makeString("net"), makeString("http_post")), 5,
							  argtypes, true);
	if (!OidIsValid(function) || get_func_rettype(function) != INT8OID || !MayCall(function))
		return InvalidOid;

	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return superuser_arg(owner) ? function : InvalidOid;
}

/*
 * Post makes a Call with the caller's rights.
 */
static void
Post(void *arg)
{
	const Call *call = arg;

	OidFunctionCall5(call->http_post, call->url,
					 DirectFunctionCall1(jsonb_in, CStringGetDatum(call->body)),
					 DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")),
					 DirectFunctionCall1(
						 jsonb_in, CStringGetDatum("{\"Content-Type\": \"application/json\"}")),
					 Int32GetDatum(HTTP_TIMEOUT_MS));
}

/*
 * WarmUp calls the worker of a schedule, a row of take_due, and tells whether that worked.  A URL that
 * pg_net refuses is warned of: the others are called all the same.
 */
static bool
WarmUp(Oid http_post, const Datum *columns)
{
	StringInfoData json;
	Call		   call;
	ErrorData	  *error;

	BeginEvent(&json, "warm_up");
	AddEventPair(&json, columns[0], columns[1]);
	AddEventText(&json, "scheduled_for", UtcText(DatumGetTimestampTz(columns[2])));
	if (!OidIsValid(http_post))
	{
		AddEventText(&json, "url", TextDatumGetCString(columns[3]));
		EndEvent(&json);
		return true;
	}

	appendStringInfoChar(&json, '}');
	call.http_post = http_post;
	call.url = columns[3];
	call.body = json.data;
	error = TryInSubtransaction(Post, &call, true);
	if (error == NULL)
		return true;
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	ereport(WARNING, (errmsg("a worker could not be called for its warm-up"),
					  errdetail_internal("%s: %s", json.data, error->message),
					  errhint("Correct warm_up_url in %s.", SCHEDULES_TABLE)));
	return false;
}

/*
 * ih_dispatch_warm_ups is dispatch_sync_warm_ups(ahead).
 */
Datum
ih_dispatch_warm_ups(PG_FUNCTION_ARGS)
{
	Oid			   schedules = ExtensionTable(SchemaOfFunction(fcinfo), SCHEDULES_TABLE);
	Oid			   http_post = HttpPost();
	TimestampTz	   now = GetCurrentTimestamp();
	int64		   ahead = PG_ARGISNULL(0) ? 0 : SpanMicros(SpanOf(PG_GETARG_INTERVAL_P(0)));
	Datum		   values[2];
	uint64		   nrows;
	SPITupleTable *taken;
	int64		   called = 0;

	if (ahead < MICROS_PER_SECOND || ahead > MAX_AHEAD)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("ahead must be between 1 second and 1 day"),
						errhint("Leave the argument out for 1 minute.")));
	values[0] = TimestampTzGetDatum(now);
	values[1] = TimestampTzGetDatum(TimeAfter(now, ahead));

	SPI_connect();
	nrows = RunOwnerQuery(&take_due, schedules, values, NULL, false);
	taken = SPI_tuptable;
	for (uint64 i = 0; i < nrows; i++)
	{
		Datum columns[TAKEN_COLUMNS];
		bool  nulls[TAKEN_COLUMNS];

		heap_deform_tuple(taken->vals[i], taken->tupdesc, columns, nulls);
		if (!nulls[TAKEN_COLUMNS - 1] && DatumGetBool(columns[TAKEN_COLUMNS - 1]) &&
			WarmUp(http_post, columns))
			called++;
	}
	SPI_finish();
	PG_RETURN_INT64(called);
}
