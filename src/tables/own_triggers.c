/*
 * own_triggers.c
 *	  Refuses a write that the extension makes as the owner of a table if the table has a rule,
 *	  or a trigger through which another role's code would run with the owner's rights.
 */
#include "tables/own_triggers.h"

#include "access/table.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "partitioning/partdesc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "citus/shard_plans.h"
#include "citus/shards.h"

PG_FUNCTION_INFO_V1(require_all_rows);
PG_FUNCTION_INFO_V1(require_own_triggers);

/*
 * MayRunIn tells whether a trigger function may run when role writer writes to rel: it belongs
 * to the writer or to a superuser, or it is in C, which only a superuser can create, or it is
 * SECURITY DEFINER and belongs to the table's owner.  Sets *owner to the function's owner.
 * 42883 if there is none.
 */
static bool
MayRunIn(Oid function, Relation rel, Oid writer, Oid *owner)
{
	HeapTuple	 tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	bool		 may_run;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("function with OID %u does not exist", function)));
	form = (Form_pg_proc) GETSTRUCT(tuple);
	*owner = form->proowner;
	may_run = *owner == writer || superuser_arg(*owner) || form->prolang == ClanguageId ||
			  (form->prosecdef && *owner == rel->rd_rel->relowner);
	ReleaseSysCache(tuple);
	return may_run;
}

/*
 * RequireNoIntruder raises 55000 if a table has a rule, or an enabled trigger whose function may
 * not run, by MayRunIn, when role writer writes to it.
 */
static void
RequireNoIntruder(Relation rel, Oid writer)
{
	const TriggerDesc *triggers = rel->trigdesc;

	if (rel->rd_rules != NULL && rel->rd_rules->numLocks > 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("table \"%s\" has a rule", RelationGetRelationName(rel)),
						errdetail("A rule would run with the rights of the table's owner."),
						errhint("Drop the rule."), errtable(rel)));

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];
		Oid			   function_owner;

		if (trigger->tgisinternal || trigger->tgenabled == TRIGGER_DISABLED)
			continue;
		if (!MayRunIn(trigger->tgfoid, rel, writer, &function_owner))
			ereport(
				ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg(
					 "trigger \"%s\" of table \"%s\" would run with the rights of the table's owner",
					 trigger->tgname, RelationGetRelationName(rel)),
				 errdetail(
					 "Its function belongs to role \"%s\", but the table is written as role \"%s\".",
					 GetUserNameFromId(function_owner, true), GetUserNameFromId(writer, true)),
				 errhint("Drop the trigger, or give its function to the owner of the table."),
				 errtable(rel)));
	}
}

/*
 * RequireNoIntruderIn calls RequireNoIntruder for a partition or shard, which it locks in ROW
 * EXCLUSIVE mode.
 */
static void
RequireNoIntruderIn(Oid part, Oid writer)
{
	Relation rel = table_open(part, RowExclusiveLock);

	RequireNoIntruder(rel, writer);
	table_close(rel, NoLock);
}

/*
 * RequireOwnTriggers calls RequireNoIntruder for a table and its partitions or, inside a shard of
 * Citus, the shard that is written to, which it locks in ROW EXCLUSIVE mode.  The caller holds
 * that lock on the table, or a stronger one, until the end of the transaction, so that nobody else
 * can add a trigger or rule.
 */
void
RequireOwnTriggers(Relation rel, Oid writer)
{
	PartitionDesc parts;
	Oid			  shard = InvalidOid;

	RequireNoIntruder(rel, writer);
	if (OidIsValid(CurrentShard()))
		shard = LocalShard(CurrentShard(), RelationGetRelid(rel));
	if (OidIsValid(shard))
		RequireNoIntruderIn(shard, writer);
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return;
	parts = RelationGetPartitionDesc(rel, true);
	for (int i = 0; i < parts->nparts; i++)
		RequireNoIntruderIn(parts->oids[i], writer);
}

/*
 * RequireAllRows raises 55000 if row-level security of a table applies to the current user.
 */
static void
RequireAllRows(Relation rel)
{
	if (check_enable_rls(RelationGetRelid(rel), InvalidOid, true) == RLS_ENABLED)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("row-level security of table \"%s\" applies to role \"%s\"",
					RelationGetRelationName(rel), GetUserNameFromId(GetUserId(), false)),
			 errhint(
				 "Give the role BYPASSRLS, or ALTER TABLE ... NO FORCE ROW LEVEL SECURITY."),
			 errtable(rel)));
}

/*
 * TablesArgument returns the OIDs in the first argument, an array of tables, in the current
 * memory context, and sets *ntables.  22004 if one of them is null.
 */
static Oid *
TablesArgument(FunctionCallInfo fcinfo, int *ntables)
{
	Datum *tables;
	bool  *nulls;
	Oid	  *relids;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT,
					  &tables, &nulls, ntables);
	relids = palloc(sizeof(Oid) * *ntables);
	for (int i = 0; i < *ntables; i++)
	{
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("a table must not be null")));
		relids[i] = DatumGetObjectId(tables[i]);
	}
	return relids;
}

/*
 * require_own_triggers(VARIADIC tables regclass[]) calls RequireOwnTriggers and RequireAllRows,
 * for SQL that is about to write to the tables as the current user.  It locks them in ROW
 * EXCLUSIVE mode until the end of the transaction.
 */
Datum
require_own_triggers(PG_FUNCTION_ARGS)
{
	int	 ntables;
	Oid *tables = TablesArgument(fcinfo, &ntables);

	for (int i = 0; i < ntables; i++)
	{
		Relation rel = table_open(tables[i], RowExclusiveLock);

		RequireOwnTriggers(rel, GetUserId());
		RequireAllRows(rel);
		table_close(rel, NoLock);
	}
	PG_RETURN_VOID();
}

/*
 * require_all_rows(VARIADIC tables regclass[]) calls RequireAllRows, for SQL that reads the
 * tables as the current user.
 */
Datum
require_all_rows(PG_FUNCTION_ARGS)
{
	int	 ntables;
	Oid *tables = TablesArgument(fcinfo, &ntables);

	for (int i = 0; i < ntables; i++)
	{
		Relation rel = table_open(tables[i], AccessShareLock);

		RequireAllRows(rel);
		table_close(rel, AccessShareLock);
	}
	PG_RETURN_VOID();
}
