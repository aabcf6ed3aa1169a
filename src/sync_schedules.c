/*
 * sync_schedules.c
 *	  The trigger of integration_sync_schedules: it remembers since when a plan holds, so that the
 *	  periods before it are not reported as missed.
 */
#include "integration_health.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "relations.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(ih_schedules_trigger);

/*
 * IsSamePlan tells whether two versions of a schedule have the same periods.
 */
static bool
IsSamePlan(Relation rel, HeapTuple old, HeapTuple new)
{
	static const struct
	{
		const char *name;
		Oid			type;
	} parts[] = { { "every", INTERVALOID },
				  { "anchor", TIMESTAMPTZOID },
				  { "time_zone", TEXTOID },
				  { "enabled", BOOLOID } };
	TupleDesc desc = RelationGetDescr(rel);

	for (size_t i = 0; i < lengthof(parts); i++)
	{
		AttrNumber		  attnum = FindColumn(rel, parts[i].name, parts[i].type);
		Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);
		bool			  nulls[2];
		Datum			  before = heap_getattr(old, attnum, desc, &nulls[0]);
		Datum			  after = heap_getattr(new, attnum, desc, &nulls[1]);

		if (nulls[0] != nulls[1] ||
			(!nulls[0] && !datum_image_eq(before, after, att->attbyval, att->attlen)))
			return false;
	}
	return true;
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
	int			 columns[2];
	Datum		 values[2];
	bool		 nulls[2];

	if (RelationGetRelid(rel) != ExtensionTable(SchemaOfFunction(fcinfo), SCHEDULES_TABLE))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" does not hold schedules", RelationGetRelationName(rel))));
	if (!TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		RefuseTriggerEvent(name);

	columns[0] = FindColumn(rel, "planned_since", TIMESTAMPTZOID);
	columns[1] = FindColumn(rel, "warmed_up_for", TIMESTAMPTZOID);
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
	{
		heap_getattr(row, columns[0], RelationGetDescr(rel), &nulls[0]);
		if (!nulls[0])
			return PointerGetDatum(row);
	}
	else
	{
		row = trigdata->tg_newtuple;
		if (IsSamePlan(rel, trigdata->tg_trigtuple, row))
			return PointerGetDatum(row);
	}

	values[0] = TimestampTzGetDatum(GetCurrentTimestamp());
	nulls[0] = false;
	values[1] = (Datum) 0;
	nulls[1] = true;
	return PointerGetDatum(
		heap_modify_tuple_by_cols(row, RelationGetDescr(rel), 2, columns, values, nulls));
}
