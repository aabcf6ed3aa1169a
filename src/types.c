/*
 * types.c
 *	  The trigger of integration_types.  CREATE EXTENSION seeds the table before a restore fills
 *	  it: a restored row, known by its created_at, replaces the seed of its key.
 */
#include "trigger.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "owner_query.h"
#include "relations.h"

PG_FUNCTION_INFO_V1(ih_types_trigger);

/* A row of the same created_at is no seed but the row itself, read and written back. */
static OwnerQuery remove_seed = {
	.text = "DELETE FROM @schema@.integration_types AS t"
			" WHERE t.integration_type OPERATOR(pg_catalog.=) $1"
			" AND t.created_at OPERATOR(pg_catalog.<>) $2",
	.nargs = 2,
	.argtypes = { TEXTOID, TIMESTAMPTZOID },
};

/*
 * ColumnNumber returns the number of a column of the table; 42703 when it is gone.
 */
static int
ColumnNumber(Relation rel, const char *name)
{
	int number = SPI_fnumber(RelationGetDescr(rel), name);

	if (number <= 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("table \"%s\" has no column \"%s\"",
							   RelationGetRelationName(rel), name),
						errtable(rel)));
	return number;
}

/*
 * ih_types_trigger is integration_types_trigger(), BEFORE INSERT for each row.
 */
Datum
ih_types_trigger(PG_FUNCTION_ARGS)
{
	const char	*name = "integration_types_trigger";
	TriggerData *trigdata = RequireTrigger(fcinfo, name);
	Relation	 rel = trigdata->tg_relation;
	TupleDesc	 desc = RelationGetDescr(rel);
	HeapTuple	 row = trigdata->tg_trigtuple;
	int			 created_at;
	Datum		 values[2];
	bool		 nulls[2];

	if (RelationGetRelid(rel) != ExtensionTable(SchemaOfFunction(fcinfo), TYPES_TABLE))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("table \"%s\" does not hold integration types",
							   RelationGetRelationName(rel))));
	if (!TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		RefuseTriggerEvent(name);

	created_at = ColumnNumber(rel, "created_at");
	values[0] = heap_getattr(row, ColumnNumber(rel, "integration_type"), desc, &nulls[0]);
	values[1] = heap_getattr(row, created_at, desc, &nulls[1]);
	if (nulls[1])
	{
		values[1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
		nulls[1] = false;
		row = heap_modify_tuple_by_cols(row, desc, 1, &created_at, &values[1], &nulls[1]);
	}
	else if (!nulls[0])
		RunOwnerCommand(&remove_seed, RelationGetRelid(rel), values, NULL);

	return PointerGetDatum(row);
}
