/*
 * citus_catalog.c
 *	  Reads the catalogs of Citus, without linking to it, and by the names of their columns, as
 *	  Citus has dropped some:
 *
 *	  pg_dist_partition: logicalrelid regclass, partmethod "char", colocationid integer,
 *	  repmodel "char"
 *	  pg_dist_shard: logicalrelid regclass, shardid bigint, shardminvalue text, shardmaxvalue text
 */
#include "citus/citus_catalog.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/twophase.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#define TABLE_CATALOG "pg_dist_partition"
#define TABLE_INDEX "pg_dist_partition_logical_relid_index"
#define SHARD_CATALOG "pg_dist_shard"
#define SHARD_INDEX_BY_TABLE "pg_dist_shard_logical_relid_index"
#define SHARD_INDEX_BY_ID "pg_dist_shard_shardid_index"

/* A scan of a catalog by one column. */
typedef struct CatalogScan
{
	Relation	catalog;
	SysScanDesc scan;
} CatalogScan;

/*
 * Catalog returns a catalog of Citus or an index of one; InvalidOid if the database does not have
 * the extension citus.
 */
static Oid
Catalog(const char *name)
{
	return get_relname_relid(name, PG_CATALOG_NAMESPACE);
}

/*
 * ColumnNumber returns the number of a column of a catalog; 55000 if there is none of this name.
 */
static AttrNumber
ColumnNumber(Relation catalog, const char *name)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(catalog), name);

	if (attnum == InvalidAttrNumber)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("catalog \"%s\" of Citus has no column \"%s\"",
							   RelationGetRelationName(catalog), name),
						errhint("This version of integration_health does not know this version "
								"of Citus.")));
	return attnum;
}

/*
 * Column returns a column of a row of a catalog.
 */
static NullableDatum
Column(HeapTuple tuple, Relation catalog, const char *name)
{
	NullableDatum column;

	column.value = heap_getattr(tuple, ColumnNumber(catalog, name), RelationGetDescr(catalog),
								&column.isnull);
	return column;
}

/*
 * BoundOf returns a bound as text, or NULL.
 */
static char *
BoundOf(HeapTuple tuple, Relation catalog, const char *name)
{
	NullableDatum bound = Column(tuple, catalog, name);

	return bound.isnull ? NULL : TextDatumGetCString(bound.value);
}

/*
 * ReadShard reads a row of pg_dist_shard; false if its bounds are not those of a hash.
 */
static bool
ReadShard(HeapTuple tuple, Relation catalog, ShardRow *shard)
{
	shard->table = DatumGetObjectId(Column(tuple, catalog, "logicalrelid").value);
	shard->id = DatumGetInt64(Column(tuple, catalog, "shardid").value);
	return ParseShardBounds(BoundOf(tuple, catalog, "shardminvalue"),
							BoundOf(tuple, catalog, "shardmaxvalue"), &shard->bounds);
}

/*
 * BeginScan begins a scan of a catalog for a value of a column; false if the database does not
 * have the extension citus.
 */
static bool
BeginScan(CatalogScan *scan, const char *catalog, const char *index, const char *column,
		  RegProcedure equals, Datum value)
{
	Oid			relid = Catalog(catalog);
	ScanKeyData key;

	if (!OidIsValid(relid))
		return false;
	scan->catalog = table_open(relid, AccessShareLock);
	ScanKeyInit(&key, ColumnNumber(scan->catalog, column), BTEqualStrategyNumber, equals,
				value);
	scan->scan = systable_beginscan(scan->catalog, Catalog(index), true, NULL, 1, &key);
	return true;
}

static void
EndScan(CatalogScan *scan)
{
	systable_endscan(scan->scan);
	table_close(scan->catalog, AccessShareLock);
}

/*
 * FindCitusTable finds what Citus knows about a table; false if that is not a table of Citus.
 */
bool
FindCitusTable(Oid table, CitusTableRow *row)
{
	CatalogScan scan;
	HeapTuple	tuple;
	bool		found;

	if (!BeginScan(&scan, TABLE_CATALOG, TABLE_INDEX, "logicalrelid", F_OIDEQ,
				   ObjectIdGetDatum(table)))
		return false;
	tuple = systable_getnext(scan.scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		row->method = DatumGetChar(Column(tuple, scan.catalog, "partmethod").value);
		row->model = DatumGetChar(Column(tuple, scan.catalog, "repmodel").value);
		row->colocation = DatumGetInt32(Column(tuple, scan.catalog, "colocationid").value);
	}
	EndScan(&scan);
	return found;
}

/*
 * FindShardById finds the shard with this id.
 */
bool
FindShardById(int64 id, ShardRow *shard)
{
	CatalogScan scan;
	HeapTuple	tuple;
	bool		found;

	if (!BeginScan(&scan, SHARD_CATALOG, SHARD_INDEX_BY_ID, "shardid", F_INT8EQ,
				   Int64GetDatum(id)))
		return false;
	tuple = systable_getnext(scan.scan);
	found = HeapTupleIsValid(tuple) && ReadShard(tuple, scan.catalog, shard);
	EndScan(&scan);
	return found;
}

/*
 * AwaitShards waits for prepared transactions that may register shards.  Citus commits a split on
 * one node after the other, so that another node may know the new shards before this one.
 */
void
AwaitShards(void)
{
	LOCKTAG				  tag;
	VirtualTransactionId *writer;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, Catalog(SHARD_CATALOG));
	for (writer = GetLockConflicts(&tag, ShareLock, NULL); VirtualTransactionIdIsValid(*writer);
		 writer++)
	{
		bool have_more;

		if (VirtualTransactionIdIsRecoveredPreparedXact(*writer) ||
			TransactionIdIsValid(TwoPhaseGetXidByVirtualXID(*writer, &have_more)))
			VirtualXactLock(*writer, true);
	}
}

/*
 * FindShardOf finds the shard of a table with these bounds.
 */
bool
FindShardOf(Oid table, const ShardBounds *bounds, ShardRow *shard)
{
	CatalogScan scan;
	HeapTuple	tuple;
	bool		found = false;

	if (!BeginScan(&scan, SHARD_CATALOG, SHARD_INDEX_BY_TABLE, "logicalrelid", F_OIDEQ,
				   ObjectIdGetDatum(table)))
		return false;
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan.scan)))
		found = ReadShard(tuple, scan.catalog, shard) && HasSameBounds(&shard->bounds, bounds);
	EndScan(&scan);
	return found;
}

/*
 * RelationOfShard returns the relation on this node that is a shard; InvalidOid if there is none.
 */
Oid
RelationOfShard(const ShardRow *shard)
{
	const char *table = get_rel_name(shard->table);
	Oid			relid;

	if (table == NULL)
		return InvalidOid;
	relid = get_relname_relid(psprintf("%s_" INT64_FORMAT, table, shard->id),
							  get_rel_namespace(shard->table));
	return OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_RELATION ? relid : InvalidOid;
}
