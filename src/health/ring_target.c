/*
 * ring_target.c
 *	  Keeps for the session what it takes to write to the history table.  Constraints, indexes,
 *	  column defaults and generated columns that a site has added are honoured; a table with
 *	  triggers, foreign keys, rules or another access method is refused.
 */
#include "health/ring_target.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "rewrite/rewriteHandler.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "base/relations.h"
#include "tables/siblings.h"

static const OwnColumn ring_columns[RING_COLUMNS] = {
	[RING_ORG_ID] = { .name = "org_id", .type = UUIDOID },
	[RING_INTEGRATION_TYPE] = { .name = "integration_type", .type = TEXTOID },
	[RING_SLOT] = { .name = "slot", .type = INT2OID },
	[RING_CHECK_NO] = { .name = "check_no", .type = INT8OID },
	[RING_STATUS] = { .name = "status", .own_type = STATE_TYPE },
	[RING_LATENCY_MS] = { .name = "latency_ms", .type = INT4OID },
	[RING_HTTP_STATUS] = { .name = "http_status", .type = INT4OID },
	[RING_ERROR] = { .name = "error", .type = TEXTOID },
	[RING_CHECKED_AT] = { .name = "checked_at", .type = TIMESTAMPTZOID },
	[RING_IS_LATE] = { .name = "is_late", .type = BOOLOID },
	[RING_CAUSE] = { .name = "cause", .own_type = CAUSE_TYPE },
};

static const RegProcedure key_equals[RING_KEY_COLUMNS] = { F_UUID_EQ, F_TEXTEQ, F_INT2EQ };

static RelationCache targets = { .name = "history tables", .entry_size = sizeof(RingTarget) };

/*
 * RefuseTable raises 55000 for a history table that has something only the executor would
 * honour; name is NULL if that has no name.
 */
static void
RefuseTable(Relation rel, const char *has, const char *name)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		 errmsg("table \"%s\" has %s%s%s%s", RelationGetRelationName(rel), has,
				name == NULL ? "" : " \"", name == NULL ? "" : name, name == NULL ? "" : "\""),
		 errdetail(
			 "Checks are written to this table past the executor, so this would not be honored."),
		 errhint("Undo this, or make it on \"%s\".", STATUS_TABLE), errtable(rel)));
}

/*
 * RequireNothingAttached raises 55000, by RefuseTable, if a table has rules or triggers.
 */
static void
RequireNothingAttached(Relation rel)
{
	const TriggerDesc *triggers = rel->trigdesc;

	if (rel->rd_rules != NULL && rel->rd_rules->numLocks > 0)
		RefuseTable(rel, "a rule", NULL);
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (trigger->tgenabled == TRIGGER_DISABLED)
			continue;
		if (trigger->tgisinternal && OidIsValid(trigger->tgconstraint))
			RefuseTable(rel, "constraint", get_constraint_name(trigger->tgconstraint));
		RefuseTable(rel, "trigger", trigger->tgname);
	}
}

/*
 * RequirePlainTable raises 55000, by RefuseTable, for everything that only the executor would
 * honour, be it of the table or of the one, logical, that it is a partition or shard of.
 */
static void
RequirePlainTable(Relation rel, Oid logical)
{
	Relation table = table_open(logical, AccessShareLock);

	if (rel->rd_rel->relkind != RELKIND_RELATION)
		RefuseTable(rel, "become something other than an ordinary table", NULL);
	if (strcmp(RelationGetRelationName(table), HISTORY_TABLE) != 0)
		RefuseTable(rel, "become a partition, or been detached", NULL);
	if (rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		RefuseTable(rel, "access method", get_am_name(rel->rd_rel->relam));
	/* What is attached to a table of Citus is attached to its shards, or is Citus's own. */
	if (RelationGetRelid(rel) == logical || rel->rd_rel->relispartition)
		RequireNothingAttached(table);
	RequireNothingAttached(rel);
	table_close(table, AccessShareLock);
}

/*
 * PrepareKey makes the scan keys for the primary key; 55000 unless that is a btree on the three
 * key columns in order.
 */
static void
PrepareKey(Relation rel, RingTarget *made)
{
	Relation index;
	bool	 is_ours;

	made->primary_key = PrimaryKeyIndex(rel);
	if (!OidIsValid(made->primary_key))
		RefuseTable(rel, "lost its primary key", NULL);

	index = index_open(made->primary_key, AccessShareLock);
	is_ours = index->rd_rel->relam == BTREE_AM_OID &&
			  IndexRelationGetNumberOfKeyAttributes(index) == RING_KEY_COLUMNS;
	for (int i = 0; is_ours && i < RING_KEY_COLUMNS; i++)
	{
		is_ours = index->rd_index->indkey.values[i] == made->attnum[i];
		ScanKeyEntryInitialize(&made->key[i], 0, i + 1, BTEqualStrategyNumber, InvalidOid,
							   index->rd_indcollation[i], key_equals[i], (Datum) 0);
	}
	if (!is_ours)
	{
		Relation table = table_open(LogicalTable(rel), AccessShareLock);

		RefuseTable(rel, "another primary key", get_rel_name(PrimaryKeyIndex(table)));
	}
	index_close(index, AccessShareLock);
}

/*
 * IsRingColumn tells whether a column is the extension's, not one that the site has added.
 */
static bool
IsRingColumn(const RingTarget *made, AttrNumber attnum)
{
	for (int i = 0; i < RING_COLUMNS; i++)
	{
		if (made->attnum[i] == attnum)
			return true;
	}
	return false;
}

/*
 * PrepareDefaults compiles the defaults of the columns that the site has added, except
 * generated ones, which ExecComputeStoredGenerated computes.
 */
static void
PrepareDefaults(Relation rel, RingTarget *made)
{
	TupleDesc desc = RelationGetDescr(rel);

	made->defaults = palloc(sizeof(RingDefault) * desc->natts);
	for (AttrNumber attnum = 1; attnum <= desc->natts; attnum++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);
		Expr			 *value;

		if (att->attisdropped || att->attgenerated != '\0' || IsRingColumn(made, attnum))
			continue;
		value = (Expr *) build_column_default(rel, attnum);
		if (value == NULL)
			continue;
		made->defaults[made->ndefaults].attnum = attnum;
		made->defaults[made->ndefaults].value = ExecPrepareExpr(value, made->estate);
		made->ndefaults++;
	}
}

/*
 * PrepareTarget fills in the target of an open table.  Errors as for RequirePlainTable,
 * PrepareKey, FindColumns and CheckCmdReplicaIdentity.
 */
static void
PrepareTarget(Relation rel, RingTarget *target)
{
	RingTarget	  made = { 0 };
	Oid			  logical = LogicalTable(rel);
	Oid			  schema = get_rel_namespace(logical);
	MemoryContext caller;
	TupleDesc	  desc;

	made.cached.relid = target->cached.relid;
	made.cached.sources[0] = target->cached.relid;
	made.cached.sources[1] = logical;
	if (target->context != NULL)
		MemoryContextDelete(target->context);
	*target = made;

	RequirePlainTable(rel, logical);
	made.context = AllocSetContextCreate(CurrentMemoryContext, "integration_health ring",
										 ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(made.context);
	desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	FindColumns(rel, schema, ring_columns, HasCauses(schema) ? RING_COLUMNS : RING_CAUSE,
				made.attnum);
	PrepareKey(rel, &made);
	CheckCmdReplicaIdentity(rel, CMD_UPDATE);
	made.estate = CreateExecutorState();
	made.result_rel = makeNode(ResultRelInfo);
	InitResultRelInfo(made.result_rel, rel, 0, NULL, 0);
	PrepareDefaults(rel, &made);
	made.stored = MakeSingleTupleTableSlot(desc, table_slot_callbacks(rel));
	made.fresh = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	MemoryContextSwitchTo(caller);

	/* Nothing below raises an error, so the context may last as long as the session. */
	MemoryContextSetParent(made.context, CacheMemoryContext);
	made.cached.is_valid = true;
	*target = made;
}

/*
 * RingTargetOf returns the target of an open table.  It is valid until the next call for that
 * table, and only while the table is open.  Errors as for PrepareTarget.
 */
RingTarget *
RingTargetOf(Relation rel)
{
	RingTarget *target = RelationEntry(&targets, RelationGetRelid(rel));

	if (!target->cached.is_valid)
		PrepareTarget(rel, target);
	target->result_rel->ri_RelationDesc = rel;
	return target;
}
