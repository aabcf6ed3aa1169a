/*
 * owner_query.c
 *	  Runs saved SPI plans as the owner of a table, free of the caller's rights, row-level security
 *	  and search_path.  Every name and operator in the queries is qualified.
 */
#include "owner_query.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "own_triggers.h"
#include "relations.h"

/*
 * Replace returns a text with a placeholder in it replaced, in the current context.
 */
static char *
Replace(const char *text, const char *placeholder, const char *value)
{
	StringInfoData result;
	const char	  *found;

	initStringInfo(&result);
	while ((found = strstr(text, placeholder)) != NULL)
	{
		appendBinaryStringInfo(&result, text, found - text);
		appendStringInfoString(&result, value);
		text = found + strlen(placeholder);
	}
	appendStringInfoString(&result, text);
	return result.data;
}

/*
 * Assignments returns what @assignments@ stands for.  Generated columns take none.
 */
static const char *
Assignments(Oid relid)
{
	Relation	   rel = table_open(relid, AccessShareLock);
	TupleDesc	   desc = RelationGetDescr(rel);
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		const char		 *name = quote_identifier(NameStr(att->attname));

		if (!att->attisdropped && att->attgenerated == '\0')
			appendStringInfo(&list, "%s%s = EXCLUDED.%s", list.len > 0 ? ", " : "", name, name);
	}
	table_close(rel, NoLock);
	return list.data;
}

/*
 * QualifiedText returns the text of a query for a table, with its placeholders replaced.
 */
static char *
QualifiedText(const char *text, Oid relid)
{
	text = Replace(text, "@schema@",
				   quote_identifier(get_namespace_name(get_rel_namespace(relid))));
	return Replace(text, "@assignments@", Assignments(relid));
}

/*
 * RequireResult raises 42804 when a column of the result of a plan is not of the type that the query
 * says: a site has altered it.
 */
static void
RequireResult(const OwnerQuery *query, SPIPlanPtr plan)
{
	List	 *sources = SPI_plan_get_plan_sources(plan);
	TupleDesc desc =
		sources == NIL ? NULL : ((CachedPlanSource *) linitial(sources))->resultDesc;

	for (int i = 0; desc != NULL && i < Min(desc->natts, OWNER_QUERY_MAX_RESULTS); i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (OidIsValid(query->resulttypes[i]) && column->atttypid != query->resulttypes[i])
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("column \"%s\" is of type %s", NameStr(column->attname),
								   format_type_be(column->atttypid)),
							errdetail("Extension integration_health needs type %s.",
									  format_type_be(query->resulttypes[i]))));
	}
}

/*
 * Prepare makes the plan of a query for a table and keeps it for the session.
 */
static void
Prepare(OwnerQuery *query, Oid relid)
{
	Oid		   schema = get_rel_namespace(relid);
	Oid		   argtypes[OWNER_QUERY_MAX_ARGS];
	char	  *text = QualifiedText(query->text, relid);
	SPIPlanPtr plan;

	if (query->plan != NULL)
	{
		SPI_freeplan(query->plan);
		query->plan = NULL;
	}
	for (int i = 0; i < query->nargs; i++)
	{
		argtypes[i] = query->argtypes[i];
		if (argtypes[i] == InvalidOid)
			argtypes[i] = StateType(schema);
		else if (argtypes[i] == RECORDOID)
			argtypes[i] = get_rel_type_id(relid);
	}

	plan = SPI_prepare(text, query->nargs, argtypes);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare returned %s for %s", SPI_result_code_string(SPI_result), text);
	RequireResult(query, plan);
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	query->plan = plan;
	query->relid = relid;
}

/*
 * OwnerOf returns the role that owns a table.
 */
static Oid
OwnerOf(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid		  owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * IsSelect tells a query that only reads, or locks rows, from one that writes.
 */
static bool
IsSelect(const OwnerQuery *query)
{
	return strncmp(query->text, "SELECT", strlen("SELECT")) == 0;
}

/*
 * RunOwnerQuery runs a query as the owner of table relid and returns the number of rows processed.
 * The caller is connected to SPI and finds the result in SPI_tuptable.  A query that is not
 * read_only and no SELECT writes relid and no other table; 55000 as RequireOwnTriggers.
 */
uint64
RunOwnerQuery(OwnerQuery *query, Oid relid, Datum *values, const char *nulls, bool read_only)
{
	Oid save_userid;
	int save_sec_context;
	int result;

	if (!read_only && !IsSelect(query))
	{
		Relation rel = table_open(relid, RowExclusiveLock);

		RequireOwnTriggers(rel, rel->rd_rel->relowner);
		table_close(rel, NoLock);
	}

	/*
	 * A saved plan keeps the row-level security decision that it was prepared under, so the owner
	 * and the flags are the same for both.  An error restores them with the (sub)transaction.
	 */
	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(OwnerOf(relid), save_sec_context | SECURITY_LOCAL_USERID_CHANGE |
											   SECURITY_NOFORCE_RLS);

	/* An invalid plan is made anew, not only analysed anew: the schema may have a new name. */
	if (query->plan == NULL || query->relid != relid || !SPI_plan_is_valid(query->plan))
		Prepare(query, relid);
	if (query->sees_latest && IsolationUsesXactSnapshot())
		result = SPI_execute_snapshot(query->plan, values, nulls, GetLatestSnapshot(),
									  InvalidSnapshot, read_only, true, 0);
	else
		result = SPI_execute_plan(query->plan, values, nulls, read_only, 0);
	SetUserIdAndSecContext(save_userid, save_sec_context);

	if (result < 0)
		elog(ERROR, "SPI_execute_plan returned %s", SPI_result_code_string(result));
	return SPI_processed;
}

/*
 * RunOwnerCommand runs a command that writes, in a connection of its own, and returns the number of
 * rows that it wrote.
 */
int64
RunOwnerCommand(OwnerQuery *query, Oid relid, Datum *values, const char *nulls)
{
	uint64 written;

	SPI_connect();
	written = RunOwnerQuery(query, relid, values, nulls, false);
	SPI_finish();
	return (int64) written;
}

/*
 * RunOwnerCount runs a query whose single row is a number, in a connection of its own, and returns
 * that.
 */
int64
RunOwnerCount(OwnerQuery *query, Oid relid, Datum *values)
{
	bool  isnull;
	int64 count;

	SPI_connect();
	RunOwnerQuery(query, relid, values, NULL, false);
	count =
		DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return count;
}

/*
 * RefuseIntrusion raises 55000: something that a site has attached to a table kept a query from
 * doing its work.  The plan is dropped, for one that a rule has emptied names no table, and nothing
 * would ever invalidate it.
 */
void
RefuseIntrusion(OwnerQuery *query, const char *table)
{
	query->relid = InvalidOid;
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("table \"%s\" did not take what a check brings", table),
					errhint("Look for a rule on the table, or a trigger that returns NULL.")));
}

/*
 * TruncateAsOwner runs a TRUNCATE of table relid unless the table is empty: it may be named in the
 * very command whose trigger brought us here, and cannot be truncated twice over then.
 */
void
TruncateAsOwner(OwnerQuery *truncate, Oid relid)
{
	Relation rel = table_open(relid, AccessExclusiveLock);
	bool	 is_empty = RelationGetNumberOfBlocks(rel) == 0;

	table_close(rel, NoLock);
	if (!is_empty)
		RunOwnerCommand(truncate, relid, NULL, NULL);
}
