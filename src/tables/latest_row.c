/*
 * latest_row.c
 *	  Reads or locks the latest version of a row.  Under REPEATABLE READ and SERIALIZABLE,
 *	  SELECT would return the version in the transaction's snapshot, and SELECT FOR UPDATE would
 *	  fail with 40001 if another transaction has changed the row since.
 */
#include "tables/latest_row.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "citus/shard_plans.h"
#include "tables/siblings.h"

/*
 * ScanKeys fills keys with the scan keys that find these values in a primary key, which is a
 * btree.
 */
static void
ScanKeys(Relation index, int nkeys, const Datum *key, ScanKeyData *keys)
{
	for (int i = 0; i < nkeys; i++)
	{
		Oid opcintype = index->rd_opcintype[i];
		Oid eq = get_opfamily_member(index->rd_opfamily[i], opcintype, opcintype,
									 BTEqualStrategyNumber);

		ScanKeyEntryInitialize(&keys[i], 0, i + 1, BTEqualStrategyNumber, InvalidOid,
							   index->rd_indcollation[i], get_opcode(eq), key[i]);
	}
}

/*
 * RowOf returns the row in a slot, which is of a partition or shard of table, as a composite value of the
 * row type of table.
 */
static Datum
RowOf(TupleTableSlot *slot, Relation table)
{
	TupleConversionMap *map =
		convert_tuples_by_name(slot->tts_tupleDescriptor, RelationGetDescr(table));
	HeapTuple tuple = ExecFetchSlotHeapTuple(slot, false, NULL);

	if (map != NULL)
		tuple = execute_attr_map_tuple(tuple, map);
	return heap_copy_tuple_as_datum(tuple, RelationGetDescr(table));
}

/*
 * FindLatestRow finds the row of a table that has these primary key values, the first of which
 * is org_id if the table is partitioned or distributed, and returns it in *row as a composite
 * value in the current memory context, unless row is NULL.  LATEST_ROW_WAIT and LATEST_ROW_SKIP lock the row
 * FOR NO KEY UPDATE, and the table and the partition in ROW SHARE mode, until the end of the
 * transaction.  Returns false if there is no such row or, with LATEST_ROW_SKIP, if another
 * transaction has locked it.  55000 if the table has no primary key of nkeys columns;
 * otherwise errors as for PartOfRow and, with a lock, RefuseReferenceTable.
 */
bool
FindLatestRow(Oid relid, int nkeys, const Datum *key, LatestRowLock lock, Datum *row)
{
	LOCKMODE		lockmode = lock == LATEST_ROW_READ ? AccessShareLock : RowShareLock;
	Relation		table = table_open(relid, lockmode);
	Oid				part = PartOfRow(table, key[0]);
	Relation		rel;
	Oid				primary_key;
	Relation		index;
	ScanKeyData		keys[MAX_KEY_COLUMNS];
	IndexScanDesc	scan;
	Snapshot		snapshot;
	TupleTableSlot *slot;
	bool			found;

	Assert(nkeys <= MAX_KEY_COLUMNS);
	if (lock != LATEST_ROW_READ)
		RefuseReferenceTable(relid);
	if (!OidIsValid(part))
	{
		table_close(table, NoLock);
		return false;
	}
	rel = part == relid ? table : table_open(part, lockmode);
	primary_key = PrimaryKeyIndex(rel);
	index = OidIsValid(primary_key) ? index_open(primary_key, AccessShareLock) : NULL;
	if (index == NULL || IndexRelationGetNumberOfKeyAttributes(index) != nkeys)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" does not have the primary key that the extension created",
						RelationGetRelationName(rel)),
				 errtable(rel)));
	ScanKeys(index, nkeys, key, keys);

	slot = table_slot_create(rel, NULL);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = BeginIndexScan(rel, index, snapshot, nkeys);
	index_rescan(scan, keys, nkeys, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	if (found && lock != LATEST_ROW_READ)
	{
		ItemPointerData place = slot->tts_tid;
		TM_FailureData	failure;

		found = table_tuple_lock(rel, &place, snapshot, slot, GetCurrentCommandId(false),
								 LockTupleNoKeyExclusive,
								 lock == LATEST_ROW_SKIP ? LockWaitSkip : LockWaitBlock,
								 TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure) == TM_Ok;
	}
	if (found && row != NULL)
		*row = rel == table ? ExecFetchSlotHeapTupleDatum(slot) : RowOf(slot, table);
	index_endscan(scan);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	if (rel != table)
		table_close(rel, NoLock);
	table_close(table, NoLock);
	return found;
}
