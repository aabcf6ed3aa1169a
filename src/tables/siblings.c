/*
 * siblings.c
 *	  Finds the partitions of the extension's tables, and their shards of Citus.  The tables are
 *	  partitioned or distributed by a hash of org_id, all of them alike, or not at all.  No other
 *	  code decides which table holds a row.
 */
#include "tables/siblings.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "citus/shard_plans.h"
#include "citus/shards.h"

PG_FUNCTION_INFO_V1(logical_table);

/*
 * LogicalTable returns the table that statements name: the one that rel is a partition or a shard
 * of, or rel itself.
 */
Oid
LogicalTable(Relation rel)
{
	Oid table;

	if (rel->rd_rel->relispartition)
		return get_partition_parent(RelationGetRelid(rel), true);
	table = TableOfShard(RelationGetRelid(rel));
	return OidIsValid(table) ? table : RelationGetRelid(rel);
}

/*
 * logical_table(part oid) returns the LogicalTable of a relation.  42P01 if there is none with
 * this OID.
 */
Datum
logical_table(PG_FUNCTION_ARGS)
{
	Oid		 relid = PG_GETARG_OID(0);
	Relation rel = try_relation_open(relid, AccessShareLock);
	Oid		 table;

	if (rel == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	table = LogicalTable(rel);
	relation_close(rel, AccessShareLock);
	PG_RETURN_OID(table);
}

/*
 * IsPartOf tells whether rel is a partition or a shard of logical, which is its LogicalTable.
 */
static bool
IsPartOf(Relation rel, Oid logical)
{
	return RelationGetRelid(rel) != logical;
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
 * RefuseUndistributed raises 55000: the rows of one table are in shards, and those of the other,
 * which go with them, are not.
 */
static void
RefuseUndistributed(Oid table, Oid like)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" has no shard that is co-located with table \"%s\"",
					get_rel_name(table), get_rel_name(like)),
			 errhint("Distribute all tables of the extension by org_id, co-located with each "
					 "other.")));
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
 * ShardLike returns the shard of other that is co-located with a shard of logical.  55000 if there
 * is none on this node.
 */
static Oid
ShardLike(Relation shard, Oid logical, Oid other)
{
	Oid sibling = LocalShard(RelationGetRelid(shard), other);

	if (!OidIsValid(sibling) || IsReferenceTable(other))
		RefuseUndistributed(other, logical);
	return sibling;
}

/*
 * SiblingOf returns the table that holds, of the rows of other, those whose organisations have
 * their rows of logical in rel: other itself, unless rel is a partition or a shard.  Errors as for
 * PartitionLike and ShardLike.
 */
Oid
SiblingOf(Relation rel, Oid logical, Oid other)
{
	if (IsPartOf(rel, logical) && rel->rd_rel->relispartition)
		return PartitionLike(RelationGetRelid(rel), logical, other);
	if (IsPartOf(rel, logical))
		return ShardLike(rel, logical, other);
	if (IsDistributedTable(other))
		RefuseUndistributed(logical, other);
	if ((get_rel_relkind(other) == RELKIND_PARTITIONED_TABLE) !=
		(rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE))
		RefuseUnlike(other, logical);
	return other;
}

/*
 * ShardOfRow returns the shard on this node that holds the row of a distributed table with this
 * org_id.  0A000 outside of a shard, or if the row is in a shard that does not go with the current
 * one.
 */
static Oid
ShardOfRow(Relation rel, Datum org_id)
{
	Oid shard = InvalidOid;

	if (OidIsValid(CurrentShard()) && HoldsKey(CurrentShard(), org_id))
		shard = LocalShard(CurrentShard(), RelationGetRelid(rel));
	if (!OidIsValid(shard))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the row of distributed table \"%s\" is in another shard",
						RelationGetRelationName(rel)),
				 errhint("Have the shard of this org_id run the function."), errtable(rel)));
	return shard;
}

/*
 * CopyOfTable returns the copy of a reference table on this node.  55000 if there is none.
 */
static Oid
CopyOfTable(Relation rel)
{
	Oid copy = CopyOfReferenceTable(RelationGetRelid(rel));

	if (!OidIsValid(copy))
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("reference table \"%s\" has no copy on this node",
					RelationGetRelationName(rel)),
			 errhint(
				 "Add this node to the metadata of Citus, or call replicate_reference_tables()."),
			 errtable(rel)));
	return copy;
}

/*
 * PartOfRow returns the table that holds the row of rel with this org_id: the partition or shard,
 * or rel itself if it has none.  Invalid if there is no such partition, hence no such row.  Errors
 * as for ShardOfRow and CopyOfTable.
 */
Oid
PartOfRow(Relation rel, Datum org_id)
{
	PartitionKey  key;
	PartitionDesc parts;
	bool		  isnull = false;
	uint64		  hash;
	int			  index;

	if (IsDistributedTable(RelationGetRelid(rel)))
		return ShardOfRow(rel, org_id);
	if (IsReferenceTable(RelationGetRelid(rel)))
		return CopyOfTable(rel);
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
