/*
 * passive.c
 *	  The switch of an integration type to passive mode, and back.  A check that was rate limited
 *	  switches its type when its transaction commits, by a deferred trigger: the lock on the type is
 *	  short.  A type leaves passive mode by itself when a check answers that was handed out as a probe.
 */
#include "passive.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "notify.h"
#include "owner_query.h"
#include "relations.h"
#include "row_lock.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(ih_mode_trigger);

PG_FUNCTION_INFO_V1(ih_resume_monitoring);

/* Pairs that are spread over an interval at once when their type is active again. */
#define MAX_SPREAD "10000"

/* Until when a system asked, at $3, not to be probed: $2, but no longer than any pair would wait. */
#define ASKED_FOR \
	"CASE WHEN $2 IS NOT NULL THEN LEAST($2, $3 OPERATOR(pg_catalog.+) t.max_backoff) END"

#define IS_ACTIVE \
	"t.monitoring_mode OPERATOR(pg_catalog.=) 'active'::@schema@.integration_monitoring_mode"

/*
 * Whether a rate limit changes anything about type $1: it is active, or was asked for a longer wait,
 * $2 at $3, or, where the check is a probe, $4, for another one.
 */
static OwnerQuery needs_change = {
	.text =
		"SELECT " IS_ACTIVE " FROM @schema@.integration_types AS t"
		" WHERE t.integration_type OPERATOR(pg_catalog.=) $1"
		"   AND (" IS_ACTIVE
		"        OR $4 AND t.passive_until OPERATOR(pg_catalog.<>) " ASKED_FOR
		"        OR COALESCE(t.passive_until, '-infinity') OPERATOR(pg_catalog.<) " ASKED_FOR
		"       )",
	.nargs = 4,
	.argtypes = { TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID },
	.resulttypes = { BOOLOID },
	.sees_latest = true,
};

/* Readers of all organisations see the reason: it names none. */
static OwnerQuery switch_to_passive = {
	.text =
		"UPDATE @schema@.integration_types AS t"
		"   SET monitoring_mode = 'passive', passive_since = $3, passive_reason = 'HTTP 429',"
		"       probes = 0,"
		"       passive_until = GREATEST("
		"         COALESCE(" ASKED_FOR ", $3 OPERATOR(pg_catalog.+) t.check_interval),"
		"         CASE WHEN t.passive_until OPERATOR(pg_catalog.>) $3 THEN t.passive_until END)"
		" WHERE t.integration_type OPERATOR(pg_catalog.=) $1"
		" RETURNING t.passive_until",
	.nargs = 3,
	.argtypes = { TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID },
	.resulttypes = { TIMESTAMPTZOID },
	.sees_latest = true,
};

static OwnerQuery wait_as_asked = {
	.text = "UPDATE @schema@.integration_types AS t SET passive_until = " ASKED_FOR
			" WHERE t.integration_type OPERATOR(pg_catalog.=) $1",
	.nargs = 3,
	.argtypes = { TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID },
	.sees_latest = true,
};

/* Whether pair $1 of type $2 was handed out since the type is passive: as a probe, that is. */
static OwnerQuery is_probe = {
	.text = "SELECT 1 FROM @schema@.integration_types AS t"
			"  JOIN @schema@.integration_monitors AS m"
			"    ON m.integration_type OPERATOR(pg_catalog.=) t.integration_type"
			" WHERE t.integration_type OPERATOR(pg_catalog.=) $2 AND NOT (" IS_ACTIVE ")"
			"   AND m.org_id OPERATOR(pg_catalog.=) $1"
			"   AND m.claimed_at OPERATOR(pg_catalog.>=) t.passive_since",
	.nargs = 2,
	.argtypes = { UUIDOID, TEXTOID },
	.sees_latest = true,
};

static OwnerQuery resume = {
	.text = "UPDATE @schema@.integration_types AS t"
			"   SET monitoring_mode = 'active', passive_until = NULL"
			" WHERE t.integration_type OPERATOR(pg_catalog.=) $1"
			" RETURNING t",
	.nargs = 1,
	.argtypes = { TEXTOID },
	.sees_latest = true,
};

static OwnerQuery mode_of = {
	.text = "SELECT " IS_ACTIVE " FROM @schema@.integration_types AS t"
			" WHERE t.integration_type OPERATOR(pg_catalog.=) $1",
	.nargs = 1,
	.argtypes = { TEXTOID },
	.resulttypes = { BOOLOID },
	.sees_latest = true,
};

/*
 * All of them are overdue: they would be checked at once.  Those that a claim in flight holds are not
 * waited for: its transaction may be about to switch the type, and wait for us.  So many at most, for
 * it is done on behalf of a check.
 */
static OwnerQuery spread_anew = {
	.text = "UPDATE @schema@.integration_monitors AS m"
			"   SET due_at = @schema@.integration_monitor_first_due("
			"         m.org_id, m.integration_type, t.check_interval,"
			"         $2)"
			"  FROM @schema@.integration_types AS t"
			" WHERE t.integration_type OPERATOR(pg_catalog.=) $1"
			"   AND m.ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
			"     SELECT d.ctid FROM @schema@.integration_monitors AS d"
			"      WHERE d.integration_type OPERATOR(pg_catalog.=) $1 AND d.enabled"
			"        AND d.due_at OPERATOR(pg_catalog.<=) $2"
			"      ORDER BY d.due_at LIMIT " MAX_SPREAD " FOR NO KEY UPDATE OF d SKIP LOCKED))",
	.nargs = 2,
	.argtypes = { TEXTOID, TIMESTAMPTZOID },
	.sees_latest = true,
};

/*
 * LockType locks the row of a type, to change its mode.  A transaction that has locked one already
 * waits for no other, so that two that see several types limited, each in its order, do not deadlock:
 * it returns false for one that somebody else is changing, and leaves it to the next check that is
 * rate limited.
 */
static bool
LockType(Oid types, Datum integration_type)
{
	static TransactionId holder = InvalidTransactionId;
	TransactionId		 transaction = GetTopTransactionId();
	bool				 holds_one = holder == transaction;

	holder = transaction;
	return LockLatestRow(types, 1, &integration_type, holds_one ? LockWaitSkip : LockWaitBlock);
}

/*
 * IsTrue returns the boolean in the only column of the row that a query has found.
 */
static bool
IsTrue(void)
{
	bool  isnull;
	Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

	return !isnull && DatumGetBool(value);
}

/*
 * ApplyRateLimit puts a type into passive mode; where it is in it, a later until, or that of a probe,
 * replaces the present one.  until is DT_NOBEGIN where the system gave no time.  55000 when a trigger
 * of the site keeps the type as it is.
 */
static void
ApplyRateLimit(Oid types, Datum integration_type, TimestampTz until, bool by_probe)
{
	TimestampTz now = GetCurrentTimestamp();
	Datum values[4] = { integration_type, TimestampTzGetDatum(until), TimestampTzGetDatum(now),
						BoolGetDatum(by_probe) };
	const char *nulls = until == DT_NOBEGIN ? " n  " : NULL;
	OwnerQuery *change;

	SPI_connect();
	if (RunOwnerQuery(&needs_change, types, values, nulls, false) == 1)
	{
		if (LockType(types, integration_type) &&
			RunOwnerQuery(&needs_change, types, values, nulls, false) == 1)
		{
			change = IsTrue() ? &switch_to_passive : &wait_as_asked;
			if (RunOwnerQuery(change, types, values, nulls, false) != 1)
				RefuseIntrusion(change, TYPES_TABLE);
			if (change == &switch_to_passive)
			{
				StringInfoData json;
				bool		   isnull;
				Datum		   waits =
					SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

				BeginEvent(&json, "passive");
				AddEventText(&json, "integration_type", TextDatumGetCString(integration_type));
				AddEventText(&json, "since", UtcText(now));
				AddEventText(&json, "until",
							 isnull ? NULL : UtcText(DatumGetTimestampTz(waits)));
				EndEvent(&json);
			}
		}
	}
	SPI_finish();
}

/*
 * Resume puts a passive type, whose row is locked, into active mode, spreads its pairs over the next
 * check interval, and returns its row, in the caller's context.  The caller is connected to SPI.
 * 55000 when a trigger of the site keeps the type as it is.
 */
static Datum
Resume(Oid types, Datum integration_type, bool was_active)
{
	Datum		   values[2] = { integration_type, TimestampTzGetDatum(GetCurrentTimestamp()) };
	StringInfoData json;
	bool		   isnull;
	Datum		   row;

	if (RunOwnerQuery(&resume, types, values, NULL, false) != 1)
		RefuseIntrusion(&resume, TYPES_TABLE);
	row = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	row = SPI_datumTransfer(row, false, -1);
	if (!was_active)
	{
		RunOwnerQuery(&spread_anew, ExtensionTable(get_rel_namespace(types), MONITORS_TABLE),
					  values, NULL, false);
		BeginEvent(&json, "active");
		AddEventText(&json, "integration_type", TextDatumGetCString(integration_type));
		EndEvent(&json);
	}
	return row;
}

/*
 * IsProbe tells whether a pair is the probe of its type, which is passive.  The caller is connected
 * to SPI.
 */
static bool
IsProbe(Oid schema, Datum org_id, Datum integration_type)
{
	Datum values[2] = { org_id, integration_type };

	return RunOwnerQuery(&is_probe, ExtensionTable(schema, MONITORS_TABLE), values, NULL,
						 false) == 1;
}

/*
 * EndPassiveMode puts a type into active mode when the pair is its probe, which was answered.
 */
static void
EndPassiveMode(Oid schema, Datum org_id, Datum integration_type)
{
	Oid types = ExtensionTable(schema, TYPES_TABLE);

	SPI_connect();
	if (IsProbe(schema, org_id, integration_type) && LockType(types, integration_type) &&
		IsProbe(schema, org_id, integration_type))
		Resume(types, integration_type, false);
	SPI_finish();
}

/*
 * EndPassiveModeAtFirstCheck is EndPassiveMode for the first check of a pair.  It does not wait for
 * its commit: a row that is new cannot ask for it without asking all.  So that its lock is in
 * nobody's way, it leaves the type to the next probe when somebody else has locked it.
 */
void
EndPassiveModeAtFirstCheck(Oid schema, Datum org_id, Datum integration_type)
{
	Oid	 types = ExtensionTable(schema, TYPES_TABLE);
	bool is_ours;

	SPI_connect();
	is_ours = IsProbe(schema, org_id, integration_type) &&
			  LockLatestRow(types, 1, &integration_type, LockWaitSkip) &&
			  IsProbe(schema, org_id, integration_type);
	if (is_ours)
		Resume(types, integration_type, false);
	SPI_finish();
}

/*
 * ih_mode_trigger is integration_health_mode_trigger(): deferred, after a check that was rate
 * limited, or that answers a probe.
 */
Datum
ih_mode_trigger(PG_FUNCTION_ARGS)
{
	const char	 *name = "integration_health_mode_trigger";
	TriggerData	 *trigdata = RequireTrigger(fcinfo, name);
	Relation	  rel = trigdata->tg_relation;
	TupleDesc	  desc = RelationGetDescr(rel);
	Oid			  schema = SchemaOfFunction(fcinfo);
	bool		  is_update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	HeapTuple	  row = is_update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	NullableDatum http_status;
	NullableDatum retry_after;
	NullableDatum was_probe = { .isnull = true };
	Datum		  integration_type;
	Datum		  checked_at;
	bool		  isnull;

	if (RelationGetRelid(rel) != ExtensionTable(schema, STATUS_TABLE))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" does not hold checks", RelationGetRelationName(rel))));
	if (!TRIGGER_FIRED_AFTER(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		RefuseTriggerEvent(name);

	integration_type =
		heap_getattr(row, FindColumn(rel, "integration_type", TEXTOID), desc, &isnull);
	http_status.value =
		heap_getattr(row, FindColumn(rel, "http_status", INT4OID), desc, &http_status.isnull);
	if (is_update)
		was_probe.value =
			heap_getattr(trigdata->tg_trigtuple, FindColumn(rel, "is_probe", BOOLOID), desc,
						 &was_probe.isnull);

	if (!http_status.isnull && DatumGetInt32(http_status.value) == HTTP_TOO_MANY_REQUESTS)
	{
		TimestampTz until = DT_NOBEGIN;

		checked_at =
			heap_getattr(row, FindColumn(rel, "checked_at", TIMESTAMPTZOID), desc, &isnull);
		retry_after.value = heap_getattr(row, FindColumn(rel, "retry_after", INT4OID), desc,
										 &retry_after.isnull);
		if (!retry_after.isnull)
			until = DatumGetTimestampTz(checked_at) +
					DatumGetInt32(retry_after.value) * USECS_PER_SEC;
		ApplyRateLimit(ExtensionTable(schema, TYPES_TABLE), integration_type, until,
					   !was_probe.isnull && DatumGetBool(was_probe.value));
	}
	else if (!was_probe.isnull && DatumGetBool(was_probe.value))
		EndPassiveMode(schema,
					   heap_getattr(row, FindColumn(rel, "org_id", UUIDOID), desc, &isnull),
					   integration_type);
	return PointerGetDatum(NULL);
}

/*
 * ih_resume_monitoring is resume_active_monitoring(integration_type).
 */
Datum
ih_resume_monitoring(PG_FUNCTION_ARGS)
{
	Oid	  types = ExtensionTable(SchemaOfFunction(fcinfo), TYPES_TABLE);
	Datum name;
	Datum result;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("integration_type must not be null")));
	name = PG_GETARG_DATUM(0);

	/* A standby would refuse the lock, with an error that tells less. */
	PreventCommandIfReadOnly("resume_active_monitoring()");
	LockLatestRow(types, 1, &name, LockWaitBlock);

	SPI_connect();
	if (RunOwnerQuery(&mode_of, types, &name, NULL, false) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no integration type \"%s\"", Echo(TextDatumGetCString(name))),
				 errhint("The types are the rows of %s.", TYPES_TABLE)));
	result = Resume(types, name, IsTrue());
	SPI_finish();
	PG_RETURN_DATUM(result);
}
