/*
 * siblings.c
 *	  Finds the partitions of the extension's tables.  These are partitioned by a hash of org_id,
 *	  all of them alike, or not at all.  No other code decides which table holds a row.
 */
#include "base/siblings.h"

#include "access/table.h"
#include "catalog/partition.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"

/*
 * LogicalTable returns the table that statements name: the one that rel is a partition of, or
 * rel itself.
 */
Oid
LogicalTable(Relation rel)
{
	return rel->rd_rel->relispartition ? get_partition_parent(RelationGetRelid(rel), true)
									   : RelationGetRelid(rel);
}

/*
 * IsHashOfOneColumn tells whether a partitioned table is partitioned as the extension does it.
 */
static bool
IsHashOfOneColumn(PartitionKey key)
{
	return key->strategy == PARTITION_STRATEGY_HASH && key->partnatts == 1;
}

/*
 * SameBounds tells whether two tables are partitioned by a hash of one column into the same
 * partitions, so that those with the same place in the descriptors hold the same keys.
 */
static bool
SameBounds(Relation one, PartitionDesc parts, Relation other, PartitionDesc other_parts)
{
	PartitionKey key = RelationGetPartitionKey(one);
	PartitionKey other_key = RelationGetPartitionKey(other);

	return IsHashOfOneColumn(key) && IsHashOfOneColumn(other_key) &&
		   key->partopfamily[0] == other_key->partopfamily[0] && parts->nparts > 0 &&
		   parts->nparts == other_parts->nparts &&
		   partition_bounds_equal(key->partnatts, key->parttyplen, key->parttypbyval,
								  parts->boundinfo, other_parts->boundinfo);
}

/*
 * RefuseUnlike raises 55000: the partitions of two tables do not correspond.
 */
static void
RefuseUnlike(Oid other, Oid logical)
{
	Relation rel = table_open(other, AccessShareLock);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" is not partitioned like table \"%s\"",
					RelationGetRelationName(rel), get_rel_name(logical)),
			 errdetail("A partition of one must have its counterpart in the other, with the "
					   "same modulus and remainder."),
			 errhint("Attach what was detached, or restore the partitions that the "
					 "extension created."),
			 errtable(rel)));
}

/*
 * PartitionLike returns the partition of other that holds the same keys as this partition of
 * logical.  55000 if the two are not partitioned alike.
 */
static Oid
PartitionLike(Oid partition, Oid logical, Oid other)
{
	Relation	  rel = table_open(logical, AccessShareLock);
	Relation	  other_rel = table_open(other, AccessShareLock);
	PartitionDesc parts = RelationGetPartitionDesc(rel, true);
	Oid			  sibling = InvalidOid;

	if (other_rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		PartitionDesc other_parts = RelationGetPartitionDesc(other_rel, true);
		int nalike = SameBounds(rel, parts, other_rel, other_parts) ? parts->nparts : 0;

		for (int i = 0; i < nalike; i++)
		{
			if (parts->oids[i] == partition)
				sibling = other_parts->oids[i];
		}
	}
	if (!OidIsValid(sibling))
		RefuseUnlike(other, logical);
	table_close(other_rel, AccessShareLock);
	table_close(rel, AccessShareLock);
	return sibling;
}

/*
 * SiblingOf returns the table that holds, of the rows of other, those whose organisations have
 * their rows of logical in rel: other itself, unless rel is a partition.  Errors as for
 * PartitionLike.
 */
Oid
SiblingOf(Relation rel, Oid logical, Oid other)
{
	if (RelationGetRelid(rel) != logical)
		return PartitionLike(RelationGetRelid(rel), logical, other);
	if ((get_rel_relkind(other) == RELKIND_PARTITIONED_TABLE) !=
		(rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE))
		RefuseUnlike(other, logical);
	return other;
}

/*
 * PartOfRow returns the table that holds the row of rel with this org_id: the partition, or rel
 * itself if it has none.  Invalid if there is no such partition, hence no such row.
 */
Oid
PartOfRow(Relation rel, Datum org_id)
{
	PartitionKey  key;
	PartitionDesc parts;
	bool		  isnull = false;
	uint64		  hash;
	int			  index;

	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return RelationGetRelid(rel);
	key = RelationGetPartitionKey(rel);
	parts = RelationGetPartitionDesc(rel, true);
	if (!IsHashOfOneColumn(key))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("table \"%s\" is not partitioned by a hash of org_id",
							   RelationGetRelationName(rel)),
						errtable(rel)));
	if (parts->nparts == 0)
		return InvalidOid;
	hash = compute_partition_hash_value(key->partnatts, key->partsupfunc, key->partcollation,
										&org_id, &isnull);
	index = parts->boundinfo->indexes[hash % parts->boundinfo->nindexes];
	return index < 0 ? InvalidOid : parts->oids[index];
}
