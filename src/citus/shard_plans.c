/*
 * shard_plans.c
 *	  While the setting integration_health_private.shard names a shard, statements that name the
 *	  tables of Citus that are co-located with it, or reference tables, are planned for the
 *	  shards on this node, before Citus sees them.  So the extension's SQL runs on a shard as it
 *	  does on a plain server.  Outside of a shard, and without Citus, nothing is done.
 */
#include "citus/shard_plans.h"

#include "access/relation.h"
#include "access/table.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/planner.h"
#include "optimizer/prep.h"
#include "parser/parsetree.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "citus/shard_columns.h"
#include "citus/shard_rules.h"
#include "citus/shards.h"

PG_FUNCTION_INFO_V1(enter_shard);

#define SHARD_SETTING "integration_health_private.shard"

/* What plans with tables depend on: a function that nobody else changes, since it does not exist. */
#define CHANGE_OF_SHARD GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(InvalidOid))

/* The setting's text, and the shard that it names: InvalidOid outside of shards. */
static char *shard_setting = NULL;
static Oid	 current = InvalidOid;

static planner_hook_type previous = NULL;

/*
 * What the inlining of functions has told: what invalidates the plan, and whether it holds for the
 * current role only.
 */
typedef struct Swap
{
	ParamListInfo params;
	List		 *invalidations;
	bool		  depends_on_role;
} Swap;

/*
 * CurrentShard returns the shard that statements are planned for, or InvalidOid.
 */
Oid
CurrentShard(void)
{
	return current;
}

/*
 * RefuseReferenceTable raises 0A000 for a reference table, inside a shard: a write or lock would
 * reach the copy on this node only.
 */
void
RefuseReferenceTable(Oid relid)
{
	if (OidIsValid(current) && IsReferenceTable(relid))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("reference table \"%s\" cannot be written or locked from a shard",
						get_rel_name(relid)),
				 errhint("Change it on the coordinator, by a statement of its own.")));
}

/*
 * InlineFunctions replaces SQL functions in FROM by their queries where the planner would do so
 * later, when the tables in them could no longer be swapped.
 */
static void
InlineFunctions(Query *query, Swap *swap)
{
	PlannerGlobal *glob = makeNode(PlannerGlobal);
	PlannerInfo	  *root = makeNode(PlannerInfo);

	glob->boundParams = swap->params;
	root->parse = query;
	root->glob = glob;
	root->query_level = 1;
	root->planner_cxt = CurrentMemoryContext;
	root->wt_param_id = -1;
	preprocess_function_rtes(root);
	swap->invalidations = list_concat(swap->invalidations, glob->invalItems);
	swap->depends_on_role = swap->depends_on_role || glob->dependsOnRole;
}

/*
 * HasFunctions tells whether there are functions in a query's FROM.
 */
static bool
HasFunctions(const Query *query)
{
	ListCell *cell;

	foreach (cell, query->rtable)
	{
		if (lfirst_node(RangeTblEntry, cell)->rtekind == RTE_FUNCTION)
			return true;
	}
	return false;
}

/*
 * SwapRelation replaces a table in a query, of whose relations it has this index, by a shard,
 * which it locks as the table is.  0A000 as for RefuseReferenceTable; 55000 if the shard has gone
 * meanwhile; otherwise errors as for RenumberColumns.
 */
static void
SwapRelation(Query *query, int index, Oid shard)
{
	RangeTblEntry *rte = rt_fetch(index, query->rtable);
	Relation	   table;
	Relation	   shard_rel;
	ColumnRights  *rights;

	if (rte->rellockmode > AccessShareLock || query->resultRelation == index ||
		get_parse_rowmark(query, index) != NULL)
		RefuseReferenceTable(rte->relid);
	shard_rel = try_relation_open(shard, rte->rellockmode);
	if (shard_rel == NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("a shard of table \"%s\" has been moved meanwhile",
							   get_rel_name(rte->relid)),
						errhint("Repeat the transaction.")));
	table = table_open(rte->relid, NoLock);
	RenumberColumns(query, index, table, shard_rel);
	rte = rt_fetch(index, query->rtable);
	rights = ColumnRightsOf(query, rte);
	if (rights != NULL)
		rights->relid = shard;
	rte->relid = shard;
	table_close(table, NoLock);
	relation_close(shard_rel, NoLock);
}

/*
 * SwapRelations replaces the tables in a query by the shards that go with the current one.  Errors
 * as for LocalShard and SwapRelation.
 */
static void
SwapRelations(Query *query)
{
	for (int index = 1; index <= list_length(query->rtable); index++)
	{
		const RangeTblEntry *rte = rt_fetch(index, query->rtable);
		Oid shard = rte->rtekind == RTE_RELATION ? LocalShard(current, rte->relid) : InvalidOid;

		if (OidIsValid(shard))
			SwapRelation(query, index, shard);
	}
}

/*
 * SwapWalker calls SwapRelations for the queries in a node, those of sub-selects, WITH and
 * functions included.
 */
static bool
SwapWalker(Node *node, void *swap)
{
	Query *query;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, TREE_WALKER(SwapWalker), swap);
	query = (Query *) node;
	if (HasFunctions(query))
		InlineFunctions(query, swap);
	SwapRelations(query);
	return query_tree_walker(query, TREE_WALKER(SwapWalker), swap, 0);
}

/*
 * ReadsTables tells whether there is a table in a query, those of sub-selects and WITH included.
 */
static bool
ReadsTables(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
		return ((RangeTblEntry *) node)->rtekind == RTE_RELATION;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, TREE_WALKER(ReadsTables), context,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, TREE_WALKER(ReadsTables), context);
}

/*
 * ChangeOfShard returns what invalidates a plan that the session keeps when it is no longer for
 * the current shard.
 */
static PlanInvalItem *
ChangeOfShard(void)
{
	PlanInvalItem *item = makeNode(PlanInvalItem);

	item->cacheId = PROCOID;
	item->hashValue = CHANGE_OF_SHARD;
	return item;
}

/*
 * PlanOnShard is the planner hook.  The query is the caller's to scribble on, as for the planner
 * itself: what is planned again is copied before.
 */
static PlannedStmt *
PlanOnShard(Query *parse, const char *text, int options, ParamListInfo params)
{
	Swap		 swap = { .params = params };
	bool		 reads_tables = ReadsTables((Node *) parse, NULL);
	PlannedStmt *made;

	if (OidIsValid(current))
		(void) SwapWalker((Node *) parse, &swap);
	made = previous != NULL ? previous(parse, text, options, params)
							: standard_planner(parse, text, options, params);
	made->invalItems = list_concat(made->invalItems, swap.invalidations);
	made->dependsOnRole = made->dependsOnRole || swap.depends_on_role;
	if (reads_tables || made->relationOids != NIL)
		made->invalItems = lappend(made->invalItems, ChangeOfShard());
	return made;
}

/*
 * CheckShard is the check hook of the setting.
 */
static bool
CheckShard(char **newval, void **extra, GucSource source)
{
	uint32 shard;

	(void) extra;
	(void) source;
	if (ParseShardSetting(*newval, &shard))
		return true;
	GUC_check_errdetail("It is the OID of a shard, or empty.");
	return false;
}

/*
 * AssignShard is the assign hook of the setting.  The plans with tables that the session keeps are
 * for another shard, or for none.
 */
static void
AssignShard(const char *newval, void *extra)
{
	uint32 shard = InvalidOid;

	(void) extra;
	(void) ParseShardSetting(newval, &shard);
	if (shard == current)
		return;
	current = shard;
	CallSyscacheCallbacks(PROCOID, CHANGE_OF_SHARD);
}

/*
 * DefineShardSetting defines the setting and installs the planner hook, if the server has Citus.
 * Of the hooks, that of Citus comes after ours.  55000 as for LookForCitus.
 */
void
DefineShardSetting(void)
{
	LookForCitus();
	if (!HasCitus())
		return;
	DefineCustomStringVariable(SHARD_SETTING, "The shard that statements are planned for.",
							   "Functions of the extension set it until they return.",
							   &shard_setting, "", PGC_SUSET,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   CheckShard, AssignShard, NULL);
	previous = planner_hook;
	planner_hook = PlanOnShard;
}

/*
 * SetShard sets the setting until the end of the innermost function with a SET clause, or of the
 * (sub)transaction, or of the nest level that the caller has begun.
 */
static void
SetShard(Oid shard)
{
	char value[16];

	pg_snprintf(value, sizeof(value), "%u", shard);
	(void) set_config_option(SHARD_SETTING, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
}

/*
 * EnterShard has statements planned for a shard until LeaveShard is called with what it returns,
 * or the (sub)transaction is rolled back.  Does nothing if relid is not a shard, or the current one.
 */
int
EnterShard(Oid relid)
{
	int level;

	if (!HasCitus() || relid == current || !OidIsValid(TableOfShard(relid)))
		return 0;
	level = NewGUCNestLevel();
	SetShard(relid);
	return level;
}

/*
 * LeaveShard undoes EnterShard.
 */
void
LeaveShard(int level)
{
	if (level != 0)
		AtEOXact_GUC(true, level);
}

/*
 * enter_shard(part oid) has statements planned for a shard until the end of the innermost function
 * with a SET clause, and returns true; does nothing but return false if part is not a shard.  It
 * is for PL/pgSQL: an SQL function may plan all its statements before it runs the first.
 */
Datum
enter_shard(PG_FUNCTION_ARGS)
{
	Oid	 part = PG_GETARG_OID(0);
	bool is_shard = OidIsValid(TableOfShard(part));

	if (is_shard)
		SetShard(part);
	PG_RETURN_BOOL(is_shard);
}
