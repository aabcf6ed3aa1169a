/*
 * row_lock.c
 *	  Locks the latest version of a row before it is looked at.  SELECT FOR UPDATE would fail with
 *	  40001 under REPEATABLE READ when somebody else has changed the row since the transaction began.
 */
#include "row_lock.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define MAX_KEY_COLUMNS 2

/*
 * LockLatestRow locks the row of a table whose primary key, a btree, has these values, against other
 * writers until the end of the transaction; the table is locked in ROW SHARE mode.  It returns false
 * when there is no such row, or, with LockWaitSkip, when somebody else has locked it.  55000 when
 * the table has no such primary key.
 */
bool
LockLatestRow(Oid relid, int nkeys, const Datum *key, LockWaitPolicy wait)
{
	Relation		rel = table_open(relid, RowShareLock);
	Oid				primary_key = PrimaryKeyIndex(rel);
	Relation		index;
	ScanKeyData		keys[MAX_KEY_COLUMNS];
	IndexScanDesc	scan;
	Snapshot		snapshot;
	TupleTableSlot *slot;
	bool			locked = false;

	Assert(nkeys <= MAX_KEY_COLUMNS);
	index = OidIsValid(primary_key) ? index_open(primary_key, AccessShareLock) : NULL;
	if (index == NULL || IndexRelationGetNumberOfKeyAttributes(index) != nkeys)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" lacks its primary key", RelationGetRelationName(rel)),
				 errtable(rel)));
	for (int i = 0; i < nkeys; i++)
	{
		Oid opcintype = index->rd_opcintype[i];
		Oid eq = get_opfamily_member(index->rd_opfamily[i], opcintype, opcintype,
									 BTEqualStrategyNumber);

		ScanKeyEntryInitialize(&keys[i], 0, i + 1, BTEqualStrategyNumber, InvalidOid,
							   index->rd_indcollation[i], get_opcode(eq), key[i]);
	}

	slot = table_slot_create(rel, NULL);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = BeginIndexScan(rel, index, snapshot, nkeys);
	index_rescan(scan, keys, nkeys, NULL, 0);
	if (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		ItemPointerData place = slot->tts_tid;
		TM_FailureData	failure;

		locked = table_tuple_lock(rel, &place, snapshot, slot, GetCurrentCommandId(false),
								  LockTupleNoKeyExclusive, wait,
								  TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure) == TM_Ok;
	}
	index_endscan(scan);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	table_close(rel, NoLock);
	return locked;
}
