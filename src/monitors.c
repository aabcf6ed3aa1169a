/*
 * monitors.c
 *	  Which pairs are checked when.  A claim hands out pairs that are due and moves them on in the
 *	  same statement; how long a failing pair has to wait is decided when it would be due, by what
 *	  its status row says then.
 */
#include "integration_health.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "owner_query.h"
#include "periods.h"
#include "relations.h"
#include "trigger.h"
#include "types.h"

PG_FUNCTION_INFO_V1(ih_monitor_first_due);
PG_FUNCTION_INFO_V1(ih_monitor_ready_at);
PG_FUNCTION_INFO_V1(ih_monitors_trigger);
PG_FUNCTION_INFO_V1(ih_claim_checks);

#define DEFAULT_CHECK_INTERVAL (15 * MICROS_PER_MINUTE)

/* The types that may be probed, the one whose pair is overdue most first: none starves another. */
static OwnerQuery types_due = {
	.text =
		"SELECT d.integration_type FROM ("
		"  SELECT t.integration_type, (SELECT m.due_at FROM @schema@.integration_monitors AS m"
		"           WHERE m.integration_type OPERATOR(pg_catalog.=) t.integration_type"
		"             AND m.enabled AND m.due_at OPERATOR(pg_catalog.<=) $1"
		"           ORDER BY m.due_at LIMIT 1) AS due_at"
		"    FROM @schema@.integration_types AS t"
		"   WHERE t.monitoring_mode OPERATOR(pg_catalog.=)"
		"         'active'::@schema@.integration_monitoring_mode"
		"     AND COALESCE(t.passive_until, '-infinity') OPERATOR(pg_catalog.<=) $1) AS d"
		" WHERE d.due_at IS NOT NULL ORDER BY d.due_at, d.integration_type",
	.nargs = 1,
	.argtypes = { TIMESTAMPTZOID },
	.resulttypes = { TEXTOID },
	.sees_latest = true,
};

/*
 * Pairs of type $1 that are due at $2, at most $3 of them, and not those that another claim holds.
 * One that is not ready, because it has failed, is looked at again when it is, or after an interval,
 * for it may have recovered by then.  The last column tells which are handed out.
 */
static OwnerQuery claim = {
	.text =
		"UPDATE @schema@.integration_monitors AS m"
		"   SET (claimed_at, due_at) = ("
		"     SELECT CASE WHEN r.ready_at OPERATOR(pg_catalog.<=) $2 THEN $2 ELSE m.claimed_at END,"
		"            CASE WHEN r.ready_at OPERATOR(pg_catalog.<=) $2"
		"                 THEN @schema@.integration_monitor_ready_at(m.org_id, m.integration_type, $2,"
		"                        r.check_interval, r.max_backoff, 0)"
		"                 ELSE LEAST(r.ready_at, $2 OPERATOR(pg_catalog.+) r.check_interval) END"
		"       FROM (SELECT t.check_interval, t.max_backoff,"
		"                    @schema@.integration_monitor_ready_at(m.org_id, m.integration_type,"
		"                      m.claimed_at, t.check_interval, t.max_backoff, COALESCE("
		"                        (SELECT s.consecutive_failures"
		"                           FROM @schema@.integration_health_status AS s"
		"                          WHERE s.org_id OPERATOR(pg_catalog.=) m.org_id"
		"                            AND s.integration_type OPERATOR(pg_catalog.=)"
		"                                m.integration_type), 0)) AS ready_at"
		"               FROM @schema@.integration_types AS t"
		"              WHERE t.integration_type OPERATOR(pg_catalog.=) m.integration_type"
		"             OFFSET 0) AS r)"
		" WHERE m.ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
		"   SELECT d.ctid FROM @schema@.integration_monitors AS d"
		"    WHERE d.integration_type OPERATOR(pg_catalog.=) $1 AND d.enabled"
		"      AND d.due_at OPERATOR(pg_catalog.<=) $2"
		"    ORDER BY d.due_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED))"
		" RETURNING m.org_id, m.integration_type, m.due_at,"
		"   (SELECT t.check_interval FROM @schema@.integration_types AS t"
		"     WHERE t.integration_type OPERATOR(pg_catalog.=) m.integration_type),"
		"   m.claimed_at OPERATOR(pg_catalog.=) $2",
	.nargs = 3,
	.argtypes = { TEXTOID, TIMESTAMPTZOID, INT4OID },
	.resulttypes = { UUIDOID, TEXTOID, TIMESTAMPTZOID, INTERVALOID, BOOLOID },
	.sees_latest = true,
};

#define CLAIM_DUE_AT 2
#define CLAIM_COLUMNS 4

static OwnerQuery about_pair = {
	.text = "SELECT t.check_interval, s.checked_at FROM @schema@.integration_types AS t"
			"  LEFT JOIN @schema@.integration_health_status AS s"
			"    ON s.org_id OPERATOR(pg_catalog.=) $1"
			"   AND s.integration_type OPERATOR(pg_catalog.=) t.integration_type"
			" WHERE t.integration_type OPERATOR(pg_catalog.=) $2",
	.nargs = 2,
	.argtypes = { UUIDOID, TEXTOID },
	.resulttypes = { INTERVALOID, TIMESTAMPTZOID },
};

static uint64
HashOfPair(Datum org_id, Datum integration_type)
{
	text *type = DatumGetTextPP(integration_type);

	return PairHash(DatumGetUUIDP(org_id)->data, VARDATA_ANY(type), VARSIZE_ANY_EXHDR(type));
}

/*
 * ih_monitor_first_due is integration_monitor_first_due(org_id, integration_type, check_interval,
 * since).
 */
Datum
ih_monitor_first_due(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(FirstDue(PG_GETARG_TIMESTAMPTZ(3),
								   SpanMicros(SpanOf(PG_GETARG_INTERVAL_P(2))),
								   HashOfPair(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1))));
}

/*
 * ih_monitor_ready_at is integration_monitor_ready_at(org_id, integration_type, claimed_at,
 * check_interval, max_backoff, failures).  A pair that was never handed out is ready.
 */
Datum
ih_monitor_ready_at(PG_FUNCTION_ARGS)
{
	for (int i = 0; i < PG_NARGS(); i++)
	{
		if (PG_ARGISNULL(i) && i != 2)
			PG_RETURN_NULL();
	}
	if (PG_ARGISNULL(2))
		PG_RETURN_TIMESTAMPTZ(DT_NOBEGIN);
	PG_RETURN_TIMESTAMPTZ(
		CheckReadyAt(PG_GETARG_TIMESTAMPTZ(2), SpanMicros(SpanOf(PG_GETARG_INTERVAL_P(3))),
					 SpanMicros(SpanOf(PG_GETARG_INTERVAL_P(4))), PG_GETARG_INT32(5),
					 HashOfPair(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1))));
}

/*
 * FirstDueOf returns when a new monitor of a pair is due: within the interval of its type, and not
 * before an interval has passed since the last check that was recorded.
 */
static TimestampTz
FirstDueOf(Oid schema, Datum org_id, Datum integration_type)
{
	Datum		values[2] = { org_id, integration_type };
	TimestampTz now = GetCurrentTimestamp();
	int64		interval = DEFAULT_CHECK_INTERVAL;
	TimestampTz due;
	TimestampTz not_before = DT_NOBEGIN;

	SPI_connect();
	if (RunOwnerQuery(&about_pair, ExtensionTable(schema, STATUS_TABLE), values, NULL, false) ==
		1)
	{
		bool  isnull;
		Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

		interval = SpanMicros(SpanOf(DatumGetIntervalP(value)));
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull);
		if (!isnull)
			not_before = TimeAfter(Min(DatumGetTimestampTz(value), now), interval);
	}
	SPI_finish();
	due = FirstDue(now, interval, HashOfPair(org_id, integration_type));
	return Max(due, not_before);
}

/*
 * ih_monitors_trigger is integration_monitors_trigger(), BEFORE INSERT OR UPDATE for each row.  An
 * inserted row that brings due_at along is a restored one.
 */
Datum
ih_monitors_trigger(PG_FUNCTION_ARGS)
{
	const char	*name = "integration_monitors_trigger";
	TriggerData *trigdata = RequireTrigger(fcinfo, name);
	Relation	 rel = trigdata->tg_relation;
	TupleDesc	 desc = RelationGetDescr(rel);
	HeapTuple	 row = trigdata->tg_trigtuple;
	Oid			 schema = SchemaOfFunction(fcinfo);
	int			 due_at;
	Datum		 key[2];
	Datum		 value;
	bool		 nulls[3];

	if (RelationGetRelid(rel) != ExtensionTable(schema, MONITORS_TABLE))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" does not hold monitors", RelationGetRelationName(rel))));
	if (!TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		RefuseTriggerEvent(name);

	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		/* Under another key it would be due at once, whatever was handed out. */
		RequireSameKey(rel, row, trigdata->tg_newtuple, FindColumn(rel, "org_id", UUIDOID),
					   FindColumn(rel, "integration_type", TEXTOID));
		return PointerGetDatum(trigdata->tg_newtuple);
	}

	due_at = FindColumn(rel, "due_at", TIMESTAMPTZOID);
	key[0] = heap_getattr(row, FindColumn(rel, "org_id", UUIDOID), desc, &nulls[0]);
	key[1] = heap_getattr(row, FindColumn(rel, "integration_type", TEXTOID), desc, &nulls[1]);
	heap_getattr(row, due_at, desc, &nulls[2]);
	if (nulls[0] || nulls[1])
		return PointerGetDatum(row);
	if (!nulls[2])
	{
		HoldPlaceForType(schema, key[1]);
		return PointerGetDatum(row);
	}

	value = TimestampTzGetDatum(FirstDueOf(schema, key[0], key[1]));
	nulls[2] = false;
	return PointerGetDatum(heap_modify_tuple_by_cols(row, desc, 1, &due_at, &value, &nulls[2]));
}

/*
 * ClaimOfType hands out at most wanted pairs of a type, puts them into result, and returns how many.
 * It goes on until there are so many or nothing is due any more: 55000 when something keeps a pair due
 * that was moved on.
 */
static int64
ClaimOfType(Oid monitors, Datum integration_type, TimestampTz now, int64 wanted,
			ReturnSetInfo *result)
{
	int64 claimed = 0;

	while (claimed < wanted)
	{
		int64  limit = wanted - claimed;
		Datum  values[3] = { integration_type, TimestampTzGetDatum(now), Int32GetDatum(limit) };
		uint64 nrows = RunOwnerQuery(&claim, monitors, values, NULL, false);

		for (uint64 i = 0; i < nrows; i++)
		{
			Datum columns[CLAIM_COLUMNS + 1];
			bool  nulls[CLAIM_COLUMNS + 1];

			heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, columns, nulls);
			if (nulls[CLAIM_DUE_AT] || DatumGetTimestampTz(columns[CLAIM_DUE_AT]) <= now)
				RefuseIntrusion(&claim, MONITORS_TABLE);
			if (nulls[CLAIM_COLUMNS] || !DatumGetBool(columns[CLAIM_COLUMNS]))
				continue;
			tuplestore_putvalues(result->setResult, result->setDesc, columns, nulls);
			claimed++;
		}
		SPI_freetuptable(SPI_tuptable);
		if (nrows < (uint64) limit)
			break;
	}
	return claimed;
}

/*
 * ih_claim_checks is claim_due_health_checks(max_rows).
 */
Datum
ih_claim_checks(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			   monitors = ExtensionTable(SchemaOfFunction(fcinfo), MONITORS_TABLE);
	int64		   wanted = MaxRowsArgument(fcinfo, 0);
	TimestampTz	   now = GetCurrentTimestamp();
	Datum		   values[1] = { TimestampTzGetDatum(now) };
	uint64		   ntypes;
	SPITupleTable *types;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	ntypes = RunOwnerQuery(&types_due, monitors, values, NULL, false);
	types = SPI_tuptable;
	for (uint64 i = 0; i < ntypes && wanted > 0; i++)
	{
		bool  isnull;
		Datum type = SPI_getbinval(types->vals[i], types->tupdesc, 1, &isnull);

		wanted -= ClaimOfType(monitors, type, now, wanted, rsinfo);
	}
	SPI_finish();
	return (Datum) 0;
}
