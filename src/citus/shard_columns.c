/*
 * shard_columns.c
 *	  Citus leaves dropped columns out of the shards that it makes, as it does when it moves one.
 *	  So a shard may have the columns of its table under other numbers than the table, for which a
 *	  query was parsed.
 */
#include "citus/shard_columns.h"

#include "access/attmap.h"
#include "access/sysattr.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/rel.h"

#include "base/compat.h"

/*
 * HasSameColumns tells whether two relations have the same columns under the same numbers.
 */
static bool
HasSameColumns(TupleDesc a, TupleDesc b)
{
	if (a->natts != b->natts)
		return false;
	for (int i = 0; i < a->natts; i++)
	{
		Form_pg_attribute one = TupleDescAttr(a, i);
		Form_pg_attribute other = TupleDescAttr(b, i);

		if (one->attisdropped != other->attisdropped ||
			(!one->attisdropped &&
			 (one->atttypid != other->atttypid ||
			  strcmp(NameStr(one->attname), NameStr(other->attname)) != 0)))
			return false;
	}
	return true;
}

/*
 * ColumnsIn returns a set of columns under their new numbers; those below 1 stay as they are.
 */
static Bitmapset *
ColumnsIn(const Bitmapset *columns, const AttrMap *map)
{
	Bitmapset *renumbered = NULL;
	int		   member = -1;

	while ((member = bms_next_member(columns, member)) >= 0)
	{
		AttrNumber attnum = member + FirstLowInvalidHeapAttributeNumber;

		if (attnum > 0)
			attnum = map->attnums[attnum - 1];
		renumbered = bms_add_member(renumbered, attnum - FirstLowInvalidHeapAttributeNumber);
	}
	return renumbered;
}

static int
CompareNumbers(const ListCell *a, const ListCell *b)
{
	return lfirst_node(TargetEntry, a)->resno - lfirst_node(TargetEntry, b)->resno;
}

/*
 * RenumberTargets renumbers the columns that a list assigns, which the planner wants in order.
 */
static void
RenumberTargets(List *targets, const AttrMap *map)
{
	ListCell *cell;

	foreach (cell, targets)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);

		if (!target->resjunk)
			target->resno = map->attnums[target->resno - 1];
	}
	list_sort(targets, CompareNumbers);
}

/*
 * RenumberAssignments does this for all that a query assigns to its target.
 */
static void
RenumberAssignments(Query *query, const AttrMap *map)
{
	ListCell *cell;

	if (query->commandType == CMD_INSERT || query->commandType == CMD_UPDATE)
		RenumberTargets(query->targetList, map);
	if (query->onConflict != NULL)
		RenumberTargets(query->onConflict->onConflictSet, map);
	foreach (cell, query->mergeActionList)
		RenumberTargets(lfirst_node(MergeAction, cell)->targetList, map);
}

/*
 * RenumberColumns renumbers the columns of a table in a query, of whose relations it has this
 * index, for a shard of the table.  The query's lists of relations and rights may be others
 * afterwards.  42804 if a column of the table is not in the shard, or has another type there.
 */
void
RenumberColumns(Query *query, int index, Relation table, Relation shard)
{
	AttrMap		  *map;
	bool		   found_row;
	RangeTblEntry *rte;
	ColumnRights  *rights;

	if (HasSameColumns(RelationGetDescr(table), RelationGetDescr(shard)))
		return;
	map = BuildAttrMap(RelationGetDescr(shard), RelationGetDescr(table));
	*query = *castNode(Query, map_variable_attnos((Node *) query, index, 0, map,
												  shard->rd_rel->reltype, &found_row));
	if (query->resultRelation == index)
		RenumberAssignments(query, map);
	if (query->onConflict != NULL && query->onConflict->exclRelIndex == index)
		query->onConflict->exclRelTlist = BuildOnConflictExcludedTargetlist(shard, index);
	rte = rt_fetch(index, query->rtable);
	rights = ColumnRightsOf(query, rte);
	if (rights != NULL)
	{
		rights->selectedCols = ColumnsIn(rights->selectedCols, map);
		rights->insertedCols = ColumnsIn(rights->insertedCols, map);
		rights->updatedCols = ColumnsIn(rights->updatedCols, map);
	}
#if PG_VERSION_NUM < 160000
	rte->extraUpdatedCols = ColumnsIn(rte->extraUpdatedCols, map);
#endif
	free_attrmap(map);
}
