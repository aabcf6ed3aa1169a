/*
 * sync_schedules.c
 *	  The trigger of integration_sync_schedules: when a plan changes, it notes since when the new one
 *	  holds, so that the periods before are not reported as missed, and which period comes first.
 */
#include "integration_health.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "periods.h"
#include "relations.h"
#include "trigger.h"
#include "types.h"

PG_FUNCTION_INFO_V1(ih_schedules_trigger);

/* What a site says of a schedule that decides its periods, or whether it has any. */
static const struct
{
	const char *name;
	Oid			type;
} plan_columns[] = { { "every", INTERVALOID },
					 { "anchor", TIMESTAMPTZOID },
					 { "time_zone", TEXTOID },
					 { "enabled", BOOLOID } };

#define PLAN_COLUMNS lengthof(plan_columns)

/* What the extension keeps of it. */
static const char *const kept_columns[] = { "planned_since", "due_at", "warm_up_for" };

#define KEPT_COLUMNS lengthof(kept_columns)

/*
 * PlanColumn returns a column of a schedule by its place in plan_columns.
 */
static NullableDatum
PlanColumn(Relation rel, HeapTuple row, int column)
{
	AttrNumber attnum = FindColumn(rel, plan_columns[column].name, plan_columns[column].type);
	NullableDatum result;

	result.value = heap_getattr(row, attnum, RelationGetDescr(rel), &result.isnull);
	return result;
}

/*
 * IsSamePlan tells whether two versions of a schedule have the same periods.
 */
static bool
IsSamePlan(Relation rel, HeapTuple old, HeapTuple new)
{
	for (size_t i = 0; i < PLAN_COLUMNS; i++)
	{
		NullableDatum before = PlanColumn(rel, old, i);
		NullableDatum after = PlanColumn(rel, new, i);
		int16		  length;
		bool		  by_value;

		get_typlenbyval(plan_columns[i].type, &length, &by_value);
		if (before.isnull != after.isnull ||
			(!before.isnull && !datum_image_eq(before.value, after.value, by_value, length)))
			return false;
	}
	return true;
}

/*
 * FirstPeriodOf returns the first period of a schedule that is not before a time; infinity when
 * there is none, or when the constraints of the table will refuse the plan.
 */
static TimestampTz
FirstPeriodOf(Relation rel, HeapTuple row, TimestampTz since)
{
	NullableDatum every = PlanColumn(rel, row, 0);
	NullableDatum anchor = PlanColumn(rel, row, 1);
	NullableDatum time_zone = PlanColumn(rel, row, 2);
	SyncPlan	  plan;
	int64		  period;

	if (every.isnull || anchor.isnull || time_zone.isnull ||
		!ReadPlan(DatumGetIntervalP(every.value), DatumGetTimestampTz(anchor.value),
				  DatumGetTextPP(time_zone.value), &plan) ||
		!NextPeriod(&plan, since - 1, &period))
		return DT_NOEND;
	return period;
}

/*
 * RequireTimeZone raises 23514 when somebody sets a time zone that there is not.  It is no constraint:
 * the zone of a row that is restored, or as it was, may have left the system's list.
 */
static void
RequireTimeZone(Relation rel, HeapTuple row)
{
	NullableDatum time_zone = PlanColumn(rel, row, 2);

	if (!time_zone.isnull && !IsKnownTimeZone(DatumGetTextPP(time_zone.value)))
		ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
						errmsg("unknown time zone \"%s\"",
							   Echo(text_to_cstring(DatumGetTextPP(time_zone.value)))),
						errhint("Use a name as pg_timezone_names has it."), errtable(rel)));
}

/*
 * StampPlan returns a row whose plan holds from now on.  23514 as RequireTimeZone.
 */
static HeapTuple
StampPlan(Relation rel, HeapTuple row)
{
	TimestampTz now = GetCurrentTimestamp();
	Datum		values[KEPT_COLUMNS];
	bool		nulls[KEPT_COLUMNS] = { false };
	int			columns[KEPT_COLUMNS];

	RequireTimeZone(rel, row);
	values[0] = TimestampTzGetDatum(now);
	values[1] = values[2] = TimestampTzGetDatum(FirstPeriodOf(rel, row, now));
	for (size_t i = 0; i < KEPT_COLUMNS; i++)
		columns[i] = FindColumn(rel, kept_columns[i], TIMESTAMPTZOID);
	return heap_modify_tuple_by_cols(row, RelationGetDescr(rel), KEPT_COLUMNS, columns, values,
									 nulls);
}

/*
 * ih_schedules_trigger is integration_sync_schedules_trigger(), BEFORE INSERT OR UPDATE for each
 * row.  An inserted row that brings planned_since along is a restored one.
 */
Datum
ih_schedules_trigger(PG_FUNCTION_ARGS)
{
	const char	*name = "integration_sync_schedules_trigger";
	TriggerData *trigdata = RequireTrigger(fcinfo, name);
	Relation	 rel = trigdata->tg_relation;
	HeapTuple	 row = trigdata->tg_trigtuple;
	Oid			 schema = SchemaOfFunction(fcinfo);
	Datum		 type;
	bool		 isnull;

	if (RelationGetRelid(rel) != ExtensionTable(schema, SCHEDULES_TABLE))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" does not hold schedules", RelationGetRelationName(rel))));
	if (!TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		RefuseTriggerEvent(name);

	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		/* Under another key its periods could be run again. */
		RequireSameKey(rel, row, trigdata->tg_newtuple, FindColumn(rel, "org_id", UUIDOID),
					   FindColumn(rel, "integration_type", TEXTOID));
		return PointerGetDatum(IsSamePlan(rel, row, trigdata->tg_newtuple)
								   ? trigdata->tg_newtuple
								   : StampPlan(rel, trigdata->tg_newtuple));
	}

	heap_getattr(row, FindColumn(rel, "planned_since", TIMESTAMPTZOID), RelationGetDescr(rel),
				 &isnull);
	if (isnull)
		return PointerGetDatum(StampPlan(rel, row));

	type = heap_getattr(row, FindColumn(rel, "integration_type", TEXTOID),
						RelationGetDescr(rel), &isnull);
	if (!isnull)
		HoldPlaceForType(schema, type);
	return PointerGetDatum(row);
}
