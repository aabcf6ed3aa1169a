/*
 * types.c
 *	  Restoring of integration_types.  CREATE EXTENSION has seeded the table before a restore fills
 *	  it, and a parallel one fills it at any time: a restored row, known by its created_at, replaces
 *	  what holds its key, and a restored status row whose type is still to come holds a place for it.
 */
#include "types.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

#include "owner_query.h"
#include "relations.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(ih_types_trigger);

/* A row of the same created_at is the row itself, read and written back. */
static OwnerQuery is_itself = {
	.text = "SELECT 1 FROM @schema@.integration_types AS t"
			" WHERE t.integration_type OPERATOR(pg_catalog.=) $1"
			" AND t.created_at OPERATOR(pg_catalog.=) $2",
	.nargs = 2,
	.argtypes = { TEXTOID, TIMESTAMPTZOID },
};

static OwnerQuery replace_type = {
	.text = "INSERT INTO @schema@.integration_types AS t SELECT ($1).*"
			" ON CONFLICT (integration_type) DO UPDATE"
			" SET @assignments@",
	.nargs = 1,
	.argtypes = { RECORDOID },
};

static OwnerQuery look_for_type = {
	.text = "SELECT 1 FROM @schema@.integration_types AS t"
			" WHERE t.integration_type OPERATOR(pg_catalog.=) $1",
	.nargs = 1,
	.argtypes = { TEXTOID },
};

static OwnerQuery hold_place = {
	.text =
		"INSERT INTO @schema@.integration_types (integration_type, display_name, created_at)"
		" VALUES ($1, $1, '-infinity') ON CONFLICT DO NOTHING",
	.nargs = 1,
	.argtypes = { TEXTOID },
};

/* True while this file writes to the table itself: its trigger lets those rows pass. */
static bool is_writing = false;

/*
 * Write runs a query that inserts into the table, past the trigger.
 */
static void
Write(OwnerQuery *query, Oid types, Datum *values)
{
	is_writing = true;
	PG_TRY();
	{
		RunOwnerCommand(query, types, values, NULL);
	}
	PG_FINALLY();
	{
		is_writing = false;
	}
	PG_END_TRY();
}

/*
 * IsKnown tells whether this subtransaction has seen a type before, and from now on it has.
 */
static bool
IsKnown(const char *name)
{
	static LocalTransactionId transaction = InvalidLocalTransactionId;
	static SubTransactionId	  subtransaction = InvalidSubTransactionId;
	static char				  known[16][NAMEDATALEN];
	static int				  nknown = 0;

	if (transaction != MyLocalTransaction() || subtransaction != GetCurrentSubTransactionId())
		nknown = 0;
	transaction = MyLocalTransaction();
	subtransaction = GetCurrentSubTransactionId();

	for (int i = 0; i < nknown; i++)
	{
		if (strcmp(known[i], name) == 0)
			return true;
	}
	if (nknown == lengthof(known))
		nknown = 0;
	strlcpy(known[nknown++], name, NAMEDATALEN);
	return false;
}

/*
 * HoldPlaceForType makes sure that the type of a restored status row is there: the foreign key asks
 * for it, and pg_restore with several jobs may bring it later.  To make the place it locks the table
 * against other writers, so that it does not wait for one that waits for it.
 */
void
HoldPlaceForType(Oid schema, Datum integration_type)
{
	Oid types;

	if (IsKnown(TextDatumGetCString(integration_type)))
		return;
	types = ExtensionTable(schema, TYPES_TABLE);
	if (RunOwnerCommand(&look_for_type, types, &integration_type, NULL) == 0)
	{
		LockRelationOid(types, ShareRowExclusiveLock);
		Write(&hold_place, types, &integration_type);
	}
}

/*
 * MayReplace tells whether the caller may update any row of the table, so that a row of it may be
 * replaced on its behalf.
 */
static bool
MayReplace(Relation rel)
{
	return pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), ACL_UPDATE) == ACLCHECK_OK &&
		   check_enable_rls(RelationGetRelid(rel), InvalidOid, true) != RLS_ENABLED;
}

/*
 * RequireNoRow raises 42501 when the table has a row of a type, which only its replacement could
 * make room for.
 */
static void
RequireNoRow(Relation rel, Datum integration_type)
{
	if (RunOwnerCommand(&look_for_type, RelationGetRelid(rel), &integration_type, NULL) != 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to replace a row of table \"%s\"",
					RelationGetRelationName(rel)),
			 errdetail(
				 "A row that brings created_at along is a restored one and replaces another."),
			 errhint("Leave created_at out.")));
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

	created_at = FindColumn(rel, "created_at", TIMESTAMPTZOID);
	values[0] = heap_getattr(row, FindColumn(rel, "integration_type", TEXTOID),
							 RelationGetDescr(rel), &nulls[0]);
	values[1] = heap_getattr(row, created_at, RelationGetDescr(rel), &nulls[1]);
	if (nulls[1])
	{
		values[1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
		nulls[1] = false;
		return PointerGetDatum(heap_modify_tuple_by_cols(row, RelationGetDescr(rel), 1,
														 &created_at, &values[1], &nulls[1]));
	}
	if (is_writing || nulls[0] ||
		RunOwnerCommand(&is_itself, RelationGetRelid(rel), values, NULL) != 0)
		return PointerGetDatum(row);

	if (!MayReplace(rel))
	{
		RequireNoRow(rel, values[0]);
		return PointerGetDatum(row);
	}
	values[0] = heap_copy_tuple_as_datum(row, RelationGetDescr(rel));
	Write(&replace_type, RelationGetRelid(rel), values);
	return PointerGetDatum(NULL);
}
