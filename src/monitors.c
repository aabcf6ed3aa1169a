/*
 * monitors.c
 *	  Which pairs are checked when.  A claim hands out pairs that are due and moves them on in the
 *	  same statement.  A check that fails moves its pair on further, by the backoff; one that ends a
 *	  row of failures pulls it forward again.
 */
#include "monitors.h"

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
#include "row_lock.h"
#include "trigger.h"
#include "types.h"

PG_FUNCTION_INFO_V1(ih_backoff);
PG_FUNCTION_INFO_V1(ih_monitor_first_due);
PG_FUNCTION_INFO_V1(ih_monitor_ready_at);
PG_FUNCTION_INFO_V1(ih_monitors_trigger);
PG_FUNCTION_INFO_V1(ih_claim_checks);

#define DEFAULT_CHECK_INTERVAL (15 * MICROS_PER_MINUTE)

/*
 * A claim passes by at most so many pairs that are due and may not be handed out, and so many more for
 * each that it is asked for.
 */
#define MAX_PASSED_BY 16
#define MAX_PASSED_BY_EACH 3

/*
 * The type may be probed: the time that it asked for has passed.  One that is farther away than any
 * that is ever set was set while the clock was wrong.
 */
#define HAS_WAITED                                                       \
	"(COALESCE(t.passive_until, '-infinity') OPERATOR(pg_catalog.<=) $1" \
	" OR pg_catalog.isfinite(t.passive_until)"                           \
	"    AND t.passive_until OPERATOR(pg_catalog.>) ($1 OPERATOR(pg_catalog.+) t.max_backoff))"

/*
 * The types of which a pair may be handed out, the one whose pair is overdue most first: none starves
 * another.  Of a passive one, where something will end that, it is the probe.
 */
static OwnerQuery types_due = {
	.text =
		"SELECT d.integration_type, d.is_passive, d.has_rules FROM ("
		"  SELECT t.integration_type, t.check_interval IS NOT NULL AND t.max_backoff IS NOT NULL"
		"         AS has_rules, t.monitoring_mode OPERATOR(pg_catalog.=)"
		"         'passive'::@schema@.integration_monitoring_mode AS is_passive,"
		"         (SELECT m.due_at FROM @schema@.integration_monitors AS m"
		"           WHERE m.integration_type OPERATOR(pg_catalog.=) t.integration_type"
		"             AND m.enabled AND m.due_at OPERATOR(pg_catalog.<=) $1"
		"           ORDER BY m.due_at LIMIT 1) AS due_at"
		"    FROM @schema@.integration_types AS t"
		"   WHERE (t.monitoring_mode OPERATOR(pg_catalog.=)"
		"          'active'::@schema@.integration_monitoring_mode OR t.passive_until IS NOT NULL)"
		"     AND " HAS_WAITED ") AS d"
		" WHERE d.due_at IS NOT NULL ORDER BY d.due_at, d.integration_type",
	.nargs = 1,
	.argtypes = { TIMESTAMPTZOID },
	.resulttypes = { TEXTOID, BOOLOID, BOOLOID },
	.sees_latest = true,
};

/*
 * A clock that was ahead for a moment leaves due_at, and claimed_at, where none can lie that was made
 * by the rules: $2 such pairs of each type are due at a time within their interval instead.
 */
static OwnerQuery heal = {
	.text =
		"UPDATE @schema@.integration_monitors AS m"
		"   SET claimed_at = CASE WHEN m.claimed_at OPERATOR(pg_catalog.>) $1 THEN $1"
		"                         ELSE m.claimed_at END,"
		"       due_at = @schema@.integration_monitor_first_due("
		"         m.org_id, m.integration_type, t.check_interval, $1)"
		"  FROM @schema@.integration_types AS t"
		" WHERE t.integration_type OPERATOR(pg_catalog.=) m.integration_type"
		"   AND m.ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
		"     SELECT d.place FROM @schema@.integration_types AS l CROSS JOIN LATERAL ("
		"       SELECT x.ctid AS place FROM @schema@.integration_monitors AS x"
		"        WHERE x.integration_type OPERATOR(pg_catalog.=) l.integration_type AND x.enabled"
		"          AND x.due_at OPERATOR(pg_catalog.>)"
		"              ($1 OPERATOR(pg_catalog.+) l.max_backoff OPERATOR(pg_catalog.+) l.max_backoff)"
		"        LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED) AS d))",
	.nargs = 2,
	.argtypes = { TIMESTAMPTZOID, INT4OID },
	.sees_latest = true,
};

/*
 * Pairs of type $1 that are due at $2, at most $3 of them, and not those that another claim holds.
 * One that is due and not ready, because it has failed, or was handed out, waits until it is.  Pairs
 * that were handed out before and have been due for two intervals since, for nobody claimed, would
 * from now on be due together: they are spread over the interval after the next.  The last column
 * tells which are handed out.
 */
static OwnerQuery claim = {
	.text =
		"UPDATE @schema@.integration_monitors AS m"
		"   SET (claimed_at, due_at) = ("
		"     SELECT CASE WHEN r.ready_at OPERATOR(pg_catalog.<=) $2 THEN $2 ELSE m.claimed_at END,"
		"            CASE WHEN r.ready_at OPERATOR(pg_catalog.>) $2 THEN r.ready_at"
		"                 WHEN m.claimed_at OPERATOR(pg_catalog.<) m.due_at"
		"                  AND m.due_at OPERATOR(pg_catalog.<) ($2 OPERATOR(pg_catalog.-)"
		"                      r.check_interval OPERATOR(pg_catalog.-) r.check_interval)"
		"                 THEN @schema@.integration_monitor_first_due(m.org_id, m.integration_type,"
		"                        r.check_interval, r.next_due_at)"
		"                 ELSE r.next_due_at END"
		"       FROM (SELECT t.check_interval,"
		"                    @schema@.integration_monitor_ready_at(m.org_id, m.integration_type, $2,"
		"                      t.check_interval, t.max_backoff, 0) AS next_due_at,"
		"                    @schema@.integration_monitor_ready_at(m.org_id, m.integration_type,"
		"                      CASE WHEN m.claimed_at OPERATOR(pg_catalog.>) $2 THEN $2"
		"                           ELSE m.claimed_at END, t.check_interval, t.max_backoff, COALESCE("
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

#define CLAIM_ORG_ID 0
#define CLAIM_DUE_AT 2
#define CLAIM_COLUMNS 4

/* The rules of a type that is locked, where it may still be probed. */
static OwnerQuery may_be_probed = {
	.text = "SELECT t.check_interval, t.max_backoff, t.probes"
			"  FROM @schema@.integration_types AS t"
			" WHERE t.integration_type OPERATOR(pg_catalog.=) $2"
			"   AND t.monitoring_mode OPERATOR(pg_catalog.=)"
			"       'passive'::@schema@.integration_monitoring_mode AND " HAS_WAITED,
	.nargs = 2,
	.argtypes = { TIMESTAMPTZOID, TEXTOID },
	.resulttypes = { INTERVALOID, INTERVALOID, INT4OID },
	.sees_latest = true,
};

/* The type whose probe is handed out waits for the answer. */
static OwnerQuery wait_for_probe = {
	.text = "UPDATE @schema@.integration_types AS t"
			"   SET probes = t.probes OPERATOR(pg_catalog.+) 1, passive_until = $2"
			" WHERE t.integration_type OPERATOR(pg_catalog.=) $1",
	.nargs = 2,
	.argtypes = { TEXTOID, TIMESTAMPTZOID },
	.sees_latest = true,
};

static OwnerQuery mark_probe = {
	.text = "UPDATE @schema@.integration_health_status AS s SET is_probe = true"
			" WHERE s.org_id OPERATOR(pg_catalog.=) $1"
			"   AND s.integration_type OPERATOR(pg_catalog.=) $2",
	.nargs = 2,
	.argtypes = { UUIDOID, TEXTOID },
	.sees_latest = true,
};

/* When pair ($1, $2) is due after a check that left it with $3 failures in a row; it is $4 now. */
static OwnerQuery move = {
	.text =
		"UPDATE @schema@.integration_monitors AS m"
		"   SET due_at = CASE WHEN $3 OPERATOR(pg_catalog.>) 0 THEN GREATEST(m.due_at, r.ready_at)"
		"                     ELSE LEAST(m.due_at, r.ready_at) END"
		"  FROM @schema@.integration_types AS t"
		" CROSS JOIN LATERAL (SELECT o.org_id, @schema@.integration_monitor_ready_at("
		"         o.org_id, o.integration_type, LEAST(o.claimed_at, $4), t.check_interval,"
		"         t.max_backoff, $3) AS ready_at"
		"    FROM @schema@.integration_monitors AS o"
		"   WHERE o.org_id OPERATOR(pg_catalog.=) $1"
		"     AND o.integration_type OPERATOR(pg_catalog.=) $2"
		"     AND o.claimed_at IS NOT NULL) AS r"
		" WHERE t.integration_type OPERATOR(pg_catalog.=) $2"
		"   AND m.org_id OPERATOR(pg_catalog.=) r.org_id"
		"   AND m.integration_type OPERATOR(pg_catalog.=) t.integration_type",
	.nargs = 4,
	.argtypes = { UUIDOID, TEXTOID, INT4OID, TIMESTAMPTZOID },
	.sees_latest = true,
};

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
 * ih_backoff is integration_health_private.backoff(check_interval, max_backoff, failures).
 */
Datum
ih_backoff(PG_FUNCTION_ARGS)
{
	Interval *result = palloc0(sizeof(Interval));

	result->time = Backoff(SpanMicros(SpanOf(PG_GETARG_INTERVAL_P(0))),
						   SpanMicros(SpanOf(PG_GETARG_INTERVAL_P(1))), PG_GETARG_INT32(2));
	PG_RETURN_INTERVAL_P(result);
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
 * RefuseNullInterval raises 55000: a site has altered the table of types, and nobody can tell when a
 * pair is due.
 */
static void
RefuseNullInterval(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("column \"check_interval\" or \"max_backoff\" of table \"%s\" is null",
					TYPES_TABLE),
			 errhint("Fill it, and set the column NOT NULL as it was created.")));
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

		if (isnull)
			RefuseNullInterval();
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
 * EnabledAnew returns the new row of an update.  Of one that enables a monitor, nothing was expected
 * while it was disabled; where it has become due meanwhile, it is due within an interval instead, for
 * many may be enabled together.
 */
static HeapTuple
EnabledAnew(Relation rel, Oid schema, HeapTuple old, HeapTuple new)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int			enabled = FindColumn(rel, "enabled", BOOLOID);
	int			due_at = FindColumn(rel, "due_at", TIMESTAMPTZOID);
	int			columns[] = { FindColumn(rel, "planned_since", TIMESTAMPTZOID), due_at };
	TimestampTz now = GetCurrentTimestamp();
	Datum		values[] = { TimestampTzGetDatum(now), (Datum) 0 };
	bool		nulls[] = { false, false };
	bool		isnull;

	if (DatumGetBool(heap_getattr(old, enabled, desc, &isnull)) ||
		!DatumGetBool(heap_getattr(new, enabled, desc, &isnull)))
		return new;
	values[1] = heap_getattr(new, due_at, desc, &nulls[1]);
	if (!nulls[1] && DatumGetTimestampTz(values[1]) <= now)
		values[1] = TimestampTzGetDatum(FirstDueOf(
			schema, heap_getattr(new, FindColumn(rel, "org_id", UUIDOID), desc, &isnull),
			heap_getattr(new, FindColumn(rel, "integration_type", TEXTOID), desc, &isnull)));
	return heap_modify_tuple_by_cols(new, desc, lengthof(columns), columns, values, nulls);
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
		return PointerGetDatum(EnabledAnew(rel, schema, row, trigdata->tg_newtuple));
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
 * ClaimOfType hands out at most wanted pairs of a type, puts them into result, and returns how many;
 * last, where it is not NULL, becomes the org_id of the last one.  It goes on until there are so many
 * or nothing is due any more, and passes by only so many others.  55000 when something keeps a pair
 * due that was moved on.
 */
static int64
ClaimOfType(Oid monitors, Datum integration_type, TimestampTz now, int64 wanted,
			ReturnSetInfo *result, Datum *last)
{
	int64 claimed = 0;
	int64 may_pass_by = MAX_PASSED_BY + MAX_PASSED_BY_EACH * wanted;

	while (claimed < wanted && may_pass_by > 0)
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
			{
				may_pass_by--;
				continue;
			}
			tuplestore_putvalues(result->setResult, result->setDesc, columns, nulls);
			if (last != NULL)
				*last = SPI_datumTransfer(columns[CLAIM_ORG_ID], false, UUID_LEN);
			claimed++;
		}
		SPI_freetuptable(SPI_tuptable);
		if (nrows < (uint64) limit)
			break;
	}
	return claimed;
}

/*
 * WaitOfProbe returns how long a type waits for the answer of its next probe, and for the probe after
 * that where it is rate limited and says no time: twice as long as the last time.  0 when it is not to
 * be probed now.  The caller has locked the type.
 */
static int64
WaitOfProbe(Oid types, Datum integration_type, TimestampTz now)
{
	Datum values[2] = { TimestampTzGetDatum(now), integration_type };
	Datum columns[3];
	bool  nulls[3];

	if (RunOwnerQuery(&may_be_probed, types, values, NULL, false) == 0)
		return 0;
	heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, columns, nulls);
	if (nulls[0] || nulls[1])
		RefuseNullInterval();
	return Backoff(SpanMicros(SpanOf(DatumGetIntervalP(columns[0]))),
				   SpanMicros(SpanOf(DatumGetIntervalP(columns[1]))),
				   nulls[2] ? 2 : DatumGetInt32(columns[2]) + 2);
}

/*
 * ClaimProbe hands out one pair of a passive type, as its probe, and returns how many those are.
 * Nothing is waited for: who has locked the type, or the status of the pair, is about to change them.
 */
static int64
ClaimProbe(Oid schema, Datum integration_type, TimestampTz now, ReturnSetInfo *result)
{
	Oid	  types = ExtensionTable(schema, TYPES_TABLE);
	Oid	  status = ExtensionTable(schema, STATUS_TABLE);
	Datum waits[2] = { integration_type, (Datum) 0 };
	Datum key[2] = { (Datum) 0, integration_type };
	int64 wait;

	if (!LockLatestRow(types, 1, &integration_type, LockWaitSkip))
		return 0;
	wait = WaitOfProbe(types, integration_type, now);
	if (wait == 0 || ClaimOfType(ExtensionTable(schema, MONITORS_TABLE), integration_type, now,
								 1, result, &key[0]) == 0)
		return 0;
	waits[1] = TimestampTzGetDatum(TimeAfter(now, wait));
	if (RunOwnerQuery(&wait_for_probe, types, waits, NULL, false) != 1)
		RefuseIntrusion(&wait_for_probe, TYPES_TABLE);
	if (LockLatestRow(status, 2, key, LockWaitSkip))
		RunOwnerQuery(&mark_probe, status, key, NULL, false);
	return 1;
}

/*
 * MaxRowsArgument returns argument argno, a number of rows; 22023 when it is null or below 1.
 */
static int32
MaxRowsArgument(FunctionCallInfo fcinfo, int argno)
{
	if (PG_ARGISNULL(argno) || PG_GETARG_INT32(argno) < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_rows must be at least 1"),
						errhint("Leave the argument out for its default.")));
	return PG_GETARG_INT32(argno);
}

/*
 * ih_claim_checks is claim_due_health_checks(max_rows).
 */
Datum
ih_claim_checks(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			   schema = SchemaOfFunction(fcinfo);
	Oid			   monitors = ExtensionTable(schema, MONITORS_TABLE);
	int64		   wanted = MaxRowsArgument(fcinfo, 0);
	TimestampTz	   now = GetCurrentTimestamp();
	Datum		   values[2] = { TimestampTzGetDatum(now), Int32GetDatum((int32) wanted) };
	uint64		   ntypes;
	SPITupleTable *types;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	RunOwnerQuery(&heal, monitors, values, NULL, false);
	ntypes = RunOwnerQuery(&types_due, monitors, values, NULL, false);
	types = SPI_tuptable;
	for (uint64 i = 0; i < ntypes && wanted > 0; i++)
	{
		bool  isnull;
		Datum type = SPI_getbinval(types->vals[i], types->tupdesc, 1, &isnull);
		bool  is_passive =
			DatumGetBool(SPI_getbinval(types->vals[i], types->tupdesc, 2, &isnull));

		if (!DatumGetBool(SPI_getbinval(types->vals[i], types->tupdesc, 3, &isnull)))
			RefuseNullInterval();
		if (is_passive)
			wanted -= ClaimProbe(schema, type, now, rsinfo);
		else
			wanted -= ClaimOfType(monitors, type, now, wanted, rsinfo, NULL);
	}
	SPI_finish();
	return (Datum) 0;
}

/*
 * MoveMonitor says when a pair is due that a check has left with so many failures in a row.  It does
 * not wait for a claim that holds the monitor: that hands the pair out, or has looked for itself.
 */
void
MoveMonitor(Oid schema, Datum org_id, Datum integration_type, int32 failures)
{
	Oid	  monitors = ExtensionTable(schema, MONITORS_TABLE);
	Datum values[4] = { org_id, integration_type, Int32GetDatum(failures),
						TimestampTzGetDatum(GetCurrentTimestamp()) };

	if (LockLatestRow(monitors, 2, values, LockWaitSkip))
		RunOwnerCommand(&move, monitors, values, NULL);
}
