/*
 * warm_up.c
 *	  Wakes the worker of a sync shortly before its time, once: through pg_net where it is there, else
 *	  by an event to a listener.  What becomes of the call is nobody's health.
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

PG_FUNCTION_INFO_V1(ih_dispatch_warm_ups);

/* A job that is called every minute must find each period in time. */
#define MAX_AHEAD MICROS_PER_DAY

/* Schedules with a period after $1, at $2 at the latest, whose worker was not called for it. */
static OwnerQuery take_due = {
	.text =
		"UPDATE @schema@.integration_sync_schedules AS s"
		"   SET warmed_up_for = @schema@.integration_sync_next_period("
		"         s.every, s.anchor, s.time_zone, $1)"
		" WHERE s.ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
		"   SELECT d.ctid FROM @schema@.integration_sync_schedules AS d"
		"    WHERE d.enabled AND d.warm_up_url IS NOT NULL"
		"      AND @schema@.integration_sync_next_period(d.every, d.anchor, d.time_zone, $1)"
		"          OPERATOR(pg_catalog.<=) $2"
		"      AND d.warmed_up_for IS DISTINCT FROM"
		"          @schema@.integration_sync_next_period(d.every, d.anchor, d.time_zone, $1)"
		"      FOR NO KEY UPDATE SKIP LOCKED))"
		" RETURNING s.org_id, s.integration_type, s.warmed_up_for, s.warm_up_url",
	.nargs = 2,
	.argtypes = { TIMESTAMPTZOID, TIMESTAMPTZOID },
};

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
 * Post calls net.http_post with the caller's rights.
 */
static void
Post(Oid http_post, Datum url, const char *body)
{
	OidFunctionCall5(http_post, url, DirectFunctionCall1(jsonb_in, CStringGetDatum(body)),
					 DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")),
					 DirectFunctionCall1(
						 jsonb_in, CStringGetDatum("{\"Content-Type\": \"application/json\"}")),
					 Int32GetDatum(10000));
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

	if (ahead < MICROS_PER_SECOND || ahead > MAX_AHEAD)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("ahead must be between 1 second and 1 day"),
						errhint("Leave the argument out for 1 minute.")));
	values[0] = TimestampTzGetDatum(now);
	values[1] = TimestampTzGetDatum(LeaseEnd(now, ahead));

	SPI_connect();
	nrows = RunOwnerQuery(&take_due, schedules, values, NULL, false);
	taken = SPI_tuptable;
	for (uint64 i = 0; i < nrows; i++)
	{
		Datum		   columns[4];
		bool		   nulls[4];
		StringInfoData json;

		heap_deform_tuple(taken->vals[i], taken->tupdesc, columns, nulls);
		BeginEvent(&json, "warm_up");
		AddEventPair(&json, columns[0], columns[1]);
		AddEventText(&json, "scheduled_for", UtcText(DatumGetTimestampTz(columns[2])));
		if (OidIsValid(http_post))
		{
			appendStringInfoChar(&json, '}');
			Post(http_post, columns[3], json.data);
			continue;
		}
		AddEventText(&json, "url", TextDatumGetCString(columns[3]));
		SendEvent(&json);
	}
	SPI_finish();
	PG_RETURN_INT64((int64) nrows);
}
