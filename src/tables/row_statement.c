/*
 * row_statement.c
 *	  Runs statements on the extension's own tables as the owner of the table, and with the
 *	  latest snapshot under any isolation level.
 */
#include "tables/row_statement.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/private_call.h"
#include "base/relations.h"
#include "tables/own_triggers.h"

/*
 * Assignments returns the text that replaces %2$s.  It leaves out generated and GENERATED
 * ALWAYS AS IDENTITY columns, which cannot be assigned, and key columns: to assign these would
 * lock the row against foreign keys that refer to it.
 */
static char *
Assignments(Relation rel)
{
	TupleDesc	   desc = RelationGetDescr(rel);
	Bitmapset	  *keys = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY);
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		const char		 *name = quote_identifier(NameStr(att->attname));

		if (!att->attisdropped && att->attgenerated == '\0' &&
			att->attidentity != ATTRIBUTE_IDENTITY_ALWAYS &&
			!bms_is_member(att->attnum - FirstLowInvalidHeapAttributeNumber, keys))
			appendStringInfo(&list, "%s%s = n.%s", list.len > 0 ? ", " : "", name, name);
	}
	return list.data;
}

/*
 * Prepare plans a statement for a table and keeps the plan for the session, in place of the
 * last one.
 */
static void
Prepare(RowStatement *statement, Relation rel)
{
	Oid		   argtypes[lengthof(statement->argtypes)];
	char	  *table = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
												  RelationGetRelationName(rel));
	SPIPlanPtr plan;

	if (statement->plan != NULL)
		SPI_freeplan(statement->plan);
	statement->plan = NULL;
	for (int i = 0; i < statement->nargs; i++)
	{
		argtypes[i] = statement->argtypes[i];
		if (argtypes[i] == ANYELEMENTOID)
			argtypes[i] = rel->rd_rel->reltype;
		else if (argtypes[i] == ANYENUMOID)
			argtypes[i] = ExtensionType(RelationGetNamespace(rel), STATE_TYPE);
	}
	plan = SPI_prepare(psprintf(statement->text, table, Assignments(rel)), statement->nargs,
					   argtypes);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare returned %s", SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	statement->plan = plan;
	statement->relid = RelationGetRelid(rel);
}

/*
 * RunAsOwner runs a statement as the owner of its table and returns the number of rows, which
 * the caller, connected to SPI, finds in SPI_tuptable.  It locks the table in ROW EXCLUSIVE
 * mode until the end of the transaction.  55000 as for RequireOwnTriggers.
 */
uint64
RunAsOwner(RowStatement *statement, Oid relid, Datum *values)
{
	Relation rel = table_open(relid, RowExclusiveLock);
	Oid		 save_userid;
	int		 save_sec_context;
	int		 result;

	RequireOwnTriggers(rel, rel->rd_rel->relowner);

	/*
	 * A saved plan keeps the row-level security decision that it was prepared under, so the
	 * user and the flags must be the same when it is prepared and when it runs.  After an
	 * error, the abort of the (sub)transaction restores them.  An invalid plan is prepared
	 * anew, with a new text, since the table may have a new name or new columns; but not while
	 * it is running, when a trigger has called this function again, because that would free it.
	 */
	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(rel->rd_rel->relowner, save_sec_context |
													  SECURITY_LOCAL_USERID_CHANGE |
													  SECURITY_NOFORCE_RLS);
	if (statement->depth == 0 && (statement->plan == NULL || statement->relid != relid ||
								  !SPI_plan_is_valid(statement->plan)))
		Prepare(statement, rel);
	statement->depth++;
	PG_TRY();
	{
		result = IsolationUsesXactSnapshot()
					 ? SPI_execute_snapshot(statement->plan, values, NULL, GetLatestSnapshot(),
											InvalidSnapshot, false, true, 0)
					 : SPI_execute_plan(statement->plan, values, NULL, false, 0);
	}
	PG_FINALLY();
	{
		statement->depth--;
	}
	PG_END_TRY();
	SetUserIdAndSecContext(save_userid, save_sec_context);
	table_close(rel, NoLock);
	if (result < 0)
		elog(ERROR, "SPI_execute_plan returned %s", SPI_result_code_string(result));
	return SPI_processed;
}

/*
 * TableOfResult returns the table whose row type the running function returns.
 */
Oid
TableOfResult(FunctionCallInfo fcinfo)
{
	return get_typ_typrelid(get_func_rettype(fcinfo->flinfo->fn_oid));
}

/*
 * OneRow runs a statement on the table whose row type the running function returns, with that
 * function's arguments.  Returns the resulting row in the caller's memory context; sets
 * fcinfo->isnull if there is none.
 */
Datum
OneRow(FunctionCallInfo fcinfo, RowStatement *statement)
{
	Datum values[MAX_STATEMENT_ARGUMENTS];
	Datum row = (Datum) 0;

	for (int i = 0; i < statement->nargs; i++)
		values[i] = PG_GETARG_DATUM(i);
	SPI_connect();
	if (RunAsOwner(statement, TableOfResult(fcinfo), values) == 1)
	{
		row = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &fcinfo->isnull);
		row = SPI_datumTransfer(row, false, -1);
	}
	else
		fcinfo->isnull = true;
	SPI_finish();
	return row;
}

/*
 * StoredRow is OneRow for a write that must return a row; 55000 if it does not, because
 * something that a site has attached to the table kept the row from being written.
 */
Datum
StoredRow(FunctionCallInfo fcinfo, RowStatement *statement)
{
	Datum row = OneRow(fcinfo, statement);

	if (fcinfo->isnull)
	{
		char		   *table = get_rel_name(TableOfResult(fcinfo));
		PrivateArgument argument = { TEXTOID, { CStringGetTextDatum(table), false } };

		CallPrivate("refuse_intrusion", 1, &argument);
	}
	return row;
}
