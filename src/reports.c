/*
 * reports.c
 *	  The reports over all organisations, for global admins and sync workers, and the time window of
 *	  the reports of one.  An admin's role is checked before anything is read; what is read, is read
 *	  as the owner.
 */
#include "integration_health.h"

#include "access/tupdesc.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "claims.h"
#include "owner_query.h"
#include "relations.h"

PG_FUNCTION_INFO_V1(ih_trend_start);
PG_FUNCTION_INFO_V1(ih_global_summary);
PG_FUNCTION_INFO_V1(ih_global_problems);
PG_FUNCTION_INFO_V1(ih_due_syncs);

#define MAX_TREND_HOURS 720

/* The sums are taken before the join: one pass over the counts, whatever the number of types. */
static OwnerQuery summary = {
	.text =
		"WITH counted AS ("
		"  SELECT c.integration_type, c.status, pg_catalog.sum(c.delta)::pg_catalog.int8 AS pairs"
		"    FROM @schema@.integration_health_counts AS c GROUP BY c.integration_type, c.status"
		" ), spread AS ("
		"  SELECT t.integration_type, t.display_name,"
		"         t.monitoring_mode::@schema@.integration_monitoring_mode,"
		"         COALESCE(pg_catalog.sum(n.pairs), 0)::pg_catalog.int8 AS total,"
		"         COALESCE(pg_catalog.sum(n.pairs) FILTER (WHERE n.status OPERATOR(pg_catalog.=)"
		"           'healthy'::@schema@.integration_health_state), 0)::pg_catalog.int8 AS healthy,"
		"         COALESCE(pg_catalog.sum(n.pairs) FILTER (WHERE n.status OPERATOR(pg_catalog.=)"
		"           'degraded'::@schema@.integration_health_state), 0)::pg_catalog.int8 AS degraded,"
		"         COALESCE(pg_catalog.sum(n.pairs) FILTER (WHERE n.status OPERATOR(pg_catalog.=)"
		"           'unhealthy'::@schema@.integration_health_state), 0)::pg_catalog.int8 AS unhealthy,"
		"         COALESCE(pg_catalog.sum(n.pairs) FILTER (WHERE n.status OPERATOR(pg_catalog.=)"
		"           'unknown'::@schema@.integration_health_state), 0)::pg_catalog.int8 AS unknown"
		"    FROM @schema@.integration_types AS t"
		"    LEFT JOIN counted AS n"
		"      ON n.integration_type OPERATOR(pg_catalog.=) t.integration_type"
		"   GROUP BY t.integration_type, t.display_name, t.monitoring_mode"
		" ) SELECT s.*, CASE WHEN s.total OPERATOR(pg_catalog.>) 0 THEN pg_catalog.trunc("
		"       100::pg_catalog.numeric OPERATOR(pg_catalog.*) s.healthy::pg_catalog.numeric"
		"       OPERATOR(pg_catalog./) s.total::pg_catalog.numeric, 2) END"
		"   FROM spread AS s ORDER BY s.display_name, s.integration_type",
	.resulttypes = { TEXTOID, TEXTOID, InvalidOid, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID,
					 NUMERICOID },
};

/* The longest-lasting problems of one state, by the index; not all of them are sorted. */
#define PROBLEMS(state, rank)                                                                \
	"(SELECT " rank " AS rank, s.* FROM @schema@.integration_health_status AS s"             \
	"  WHERE s.status OPERATOR(pg_catalog.=) '" state "'::@schema@.integration_health_state" \
	"  ORDER BY s.status_since, s.org_id, s.integration_type LIMIT $1)"

static OwnerQuery problems = {
	.text =
		"SELECT s.org_id, s.integration_type, t.display_name,"
		"       s.status::@schema@.integration_health_state, s.latency_ms,"
		"       s.http_status, s.error, s.checked_at, s.status_since, s.last_healthy_at,"
		"       s.consecutive_failures"
		"  FROM (" PROBLEMS("unhealthy", "1") " UNION ALL " PROBLEMS(
			"degraded",
			"2") "        UNION ALL " PROBLEMS("unknown",
											   "3") ") AS s"
													"  JOIN @schema@.integration_types AS t"
													"    ON t.integration_type OPERATOR(pg_catalog.=) s.integration_type"
													" ORDER BY s.rank, s.status_since, s.org_id, s.integration_type"
													" LIMIT $1",
	.nargs = 1,
	.argtypes = { INT4OID },
	.resulttypes = { UUIDOID, TEXTOID, TEXTOID, InvalidOid, INT4OID, INT4OID, TEXTOID,
					 TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID },
};

/* Schedules that have a period to be claimed; of each, the last period counts. */
static OwnerQuery due_syncs = {
	.text =
		"SELECT s.org_id, s.integration_type, p.scheduled_for, COALESCE(("
		"         SELECT r.attempt FROM @schema@.integration_sync_runs AS r"
		"          WHERE r.org_id OPERATOR(pg_catalog.=) s.org_id"
		"            AND r.integration_type OPERATOR(pg_catalog.=) s.integration_type"
		"            AND r.scheduled_for OPERATOR(pg_catalog.=) p.scheduled_for), 0),"
		"       @schema@.integration_sync_key(s.org_id, s.integration_type, p.scheduled_for)"
		"  FROM @schema@.integration_sync_schedules AS s"
		" CROSS JOIN LATERAL @schema@.integration_sync_last_period("
		"         s.every, s.anchor, integration_health_private.usable_time_zone(s.org_id,"
		"           s.integration_type, s.every, s.anchor, s.time_zone), pg_catalog.now())"
		"       AS p (scheduled_for)"
		" WHERE s.enabled AND s.due_at OPERATOR(pg_catalog.<=) pg_catalog.now()"
		"   AND p.scheduled_for IS NOT NULL AND NOT EXISTS ("
		"         SELECT FROM @schema@.integration_sync_runs AS r"
		"          WHERE r.org_id OPERATOR(pg_catalog.=) s.org_id"
		"            AND r.integration_type OPERATOR(pg_catalog.=) s.integration_type"
		"            AND r.scheduled_for OPERATOR(pg_catalog.=) p.scheduled_for"
		"            AND (r.outcome OPERATOR(pg_catalog.=)"
		"                 'succeeded'::@schema@.integration_sync_outcome"
		"                 OR r.attempt OPERATOR(pg_catalog.>=) s.max_attempts"
		"                 OR (r.outcome OPERATOR(pg_catalog.=)"
		"                     'running'::@schema@.integration_sync_outcome"
		"                     AND r.lease_until OPERATOR(pg_catalog.>=) pg_catalog.now()"
		"                     AND r.lease_until OPERATOR(pg_catalog.<=) (pg_catalog.now()"
		"                         OPERATOR(pg_catalog.+) '1 day'::pg_catalog.interval))))"
		" ORDER BY s.due_at LIMIT $1",
	.nargs = 1,
	.argtypes = { INT4OID },
	.resulttypes = { UUIDOID, TEXTOID, TIMESTAMPTZOID, INT4OID, TEXTOID },
};

/*
 * ReturnOwnerQuery makes the rows of a query, run as the owner of the status table, the result of
 * a set-returning function.
 */
static void
ReturnOwnerQuery(FunctionCallInfo fcinfo, OwnerQuery *query, Datum *values)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	uint64		   nrows;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	nrows = RunOwnerQuery(query, ExtensionTable(SchemaOfFunction(fcinfo), STATUS_TABLE), values,
						  NULL, true);
	Assert(SPI_tuptable->tupdesc->natts == rsinfo->setDesc->natts);
	for (uint64 i = 0; i < nrows; i++)
		tuplestore_puttuple(rsinfo->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
}

/*
 * HoursAgo returns the time that lies as many hours ago as argument argno says; 22023 when it is
 * null or out of range.
 */
static TimestampTz
HoursAgo(FunctionCallInfo fcinfo, int argno)
{
	if (PG_ARGISNULL(argno) || PG_GETARG_INT32(argno) < 1 ||
		PG_GETARG_INT32(argno) > MAX_TREND_HOURS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("hours must be between 1 and %d", MAX_TREND_HOURS),
						errhint("Leave the argument out for the last 24 hours.")));
	return GetCurrentTransactionStartTimestamp() - PG_GETARG_INT32(argno) * USECS_PER_HOUR;
}

/*
 * ih_trend_start is integration_health_trend_start(hours).
 */
Datum
ih_trend_start(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(HoursAgo(fcinfo, 0));
}

/*
 * ih_global_summary is get_global_health_summary().
 */
Datum
ih_global_summary(PG_FUNCTION_ARGS)
{
	RequireAdminRole();
	ReturnOwnerQuery(fcinfo, &summary, NULL);
	return (Datum) 0;
}

/*
 * ih_global_problems is get_global_health_problems(max_rows).
 */
Datum
ih_global_problems(PG_FUNCTION_ARGS)
{
	Datum values[1];

	RequireAdminRole();
	values[0] = Int32GetDatum(MaxRowsArgument(fcinfo, 0));
	ReturnOwnerQuery(fcinfo, &problems, values);
	return (Datum) 0;
}

/*
 * ih_due_syncs is get_due_syncs(max_rows).
 */
Datum
ih_due_syncs(PG_FUNCTION_ARGS)
{
	Datum values[1];

	values[0] = Int32GetDatum(MaxRowsArgument(fcinfo, 0));
	ReturnOwnerQuery(fcinfo, &due_syncs, values);
	return (Datum) 0;
}
