/*
 * ring_write.c
 *	  Writes a check into its slot through the table and index access methods, as the table's
 *	  owner.
 */
#include "health/ring.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/relations.h"
#include "health/check_rules.h"
#include "health/ring_target.h"

/* After so many misses in a row, a subtransaction goes straight to the index. */
#define MAX_MISSES 4

/*
 * SetFresh fills target->fresh with a check.  Columns that the site has added get the value
 * that they have in a new row, since those of the row to be overwritten belong to another
 * check.
 */
static void
SetFresh(const RingTarget *target, const RingEntry *entry)
{
	Datum *values = target->fresh->tts_values;
	bool  *nulls = target->fresh->tts_isnull;

	ExecClearTuple(target->fresh);
	memset(nulls, true, sizeof(bool) * target->fresh->tts_tupleDescriptor->natts);
#define SET(column, datum, isnull) \
	(values[target->attnum[column] - 1] = (datum), nulls[target->attnum[column] - 1] = (isnull))
	SET(RING_ORG_ID, entry->org_id, false);
	SET(RING_INTEGRATION_TYPE, entry->integration_type, false);
	SET(RING_SLOT, Int16GetDatum(HistorySlot(entry->check_no)), false);
	SET(RING_CHECK_NO, Int64GetDatum(entry->check_no), false);
	SET(RING_STATUS, ObjectIdGetDatum(entry->status), false);
	SET(RING_LATENCY_MS, entry->latency_ms.value, entry->latency_ms.isnull);
	SET(RING_HTTP_STATUS, entry->http_status.value, entry->http_status.isnull);
	SET(RING_ERROR, entry->error.value, entry->error.isnull);
	SET(RING_CHECKED_AT, TimestampTzGetDatum(entry->checked_at), false);
	SET(RING_IS_LATE, BoolGetDatum(true), !entry->is_late);
	if (target->attnum[RING_CAUSE] != InvalidAttrNumber)
		SET(RING_CAUSE, entry->cause.value, entry->cause.isnull);
#undef SET
	for (int i = 0; i < target->ndefaults; i++)
	{
		int column = target->defaults[i].attnum - 1;

		values[column] = ExecEvalExpr(target->defaults[i].value,
									  GetPerTupleExprContext(target->estate), &nulls[column]);
	}
	ExecStoreVirtualTuple(target->fresh);
	if (target->fresh->tts_tupleDescriptor->constr != NULL &&
		target->fresh->tts_tupleDescriptor->constr->has_generated_stored)
		ExecComputeStoredGenerated(target->result_rel, target->estate, target->fresh,
								   CMD_INSERT);
}

/*
 * HoldsKey tells whether target->stored has the key of the check, byte for byte.  A key that is
 * equal but differs in its bytes is left to the index.
 */
static bool
HoldsKey(const RingTarget *target)
{
	for (int i = 0; i < RING_KEY_COLUMNS; i++)
	{
		AttrNumber		  attnum = target->attnum[i];
		Form_pg_attribute att = TupleDescAttr(target->stored->tts_tupleDescriptor, attnum - 1);
		bool			  isnull;
		Datum			  value = slot_getattr(target->stored, attnum, &isnull);

		if (isnull || !datum_image_eq(value, target->fresh->tts_values[attnum - 1],
									  att->attbyval, att->attlen))
			return false;
	}
	return true;
}

/*
 * FetchAt fetches the row to which an index entry for root would point.  If that has the key of
 * the check, it sets *place to its location and returns true.
 */
static bool
FetchAt(Relation rel, const RingTarget *target, ItemPointerData root, ItemPointer place)
{
	IndexFetchTableData *fetch = table_index_fetch_begin(rel);
	bool				 again = false;
	bool				 found;

	found = table_index_fetch_tuple(fetch, &root, SnapshotSelf, target->stored, &again, NULL) &&
			HoldsKey(target);
	if (found)
		*place = target->stored->tts_tid;
	ExecClearTuple(target->stored);
	table_index_fetch_end(fetch);
	return found;
}

/*
 * ForgetOtherNeighbour forgets what another subtransaction has set: the lock that keeps others
 * from truncating the table may have been released with it.
 */
static void
ForgetOtherNeighbour(RingNeighbour *neighbour)
{
	TransactionId	 transaction = GetTopTransactionId();
	SubTransactionId subid = GetCurrentSubTransactionId();

	if (neighbour->transaction == transaction && neighbour->subid == subid)
		return;
	neighbour->transaction = transaction;
	neighbour->subid = subid;
	neighbour->misses = 0;
	ItemPointerSetInvalid(&neighbour->root);
}

/*
 * HasNeighbour tells whether to look beside neighbour->root: not after too many misses, and not
 * if this transaction has created the table or given it a new file, in which root may point
 * nowhere.
 */
static bool
HasNeighbour(Relation rel, const RingNeighbour *neighbour)
{
	return ItemPointerIsValid(&neighbour->root) && neighbour->misses < MAX_MISSES &&
		   rel->rd_createSubid == InvalidSubTransactionId &&
		   FirstNewFile(rel) == InvalidSubTransactionId;
}

/*
 * FindBeside looks for the row of the check right behind the row that was overwritten last,
 * where it is likely to be if earlier statements wrote the same pairs in the same order.
 * Returns false if it is not there or HasNeighbour says not to look.
 */
static bool
FindBeside(Relation rel, RingTarget *target, ItemPointer place)
{
	RingNeighbour  *neighbour = &target->neighbour;
	ItemPointerData next;

	ForgetOtherNeighbour(neighbour);
	if (!HasNeighbour(rel, neighbour))
		return false;
	ItemPointerSet(&next, ItemPointerGetBlockNumber(&neighbour->root),
				   ItemPointerGetOffsetNumber(&neighbour->root) + 1);
	if (!FetchAt(rel, target, next, place))
	{
		ItemPointerSet(&next, ItemPointerGetBlockNumber(&next) + 1, FirstOffsetNumber);
		if (ItemPointerGetBlockNumber(&next) >= RelationGetNumberOfBlocks(rel) ||
			!FetchAt(rel, target, next, place))
		{
			neighbour->misses++;
			return false;
		}
	}
	neighbour->root = next;
	neighbour->misses = 0;
	return true;
}

/*
 * FindStored sets *place to the location of the row that is now in the slot of the check; false
 * if there is none.
 *
 * The caller holds the row lock on the status row, so the only other writer can be the cleanup.
 * SnapshotSelf shows what is committed now, under any isolation level, and what this
 * transaction wrote.  It still shows a row that the cleanup is about to delete; the update then
 * waits for the cleanup.  The primary key is unique, so a visible row with the key is the row.
 */
static bool
FindStored(Relation rel, RingTarget *target, ItemPointer place)
{
	Relation	  index;
	IndexScanDesc scan;
	ItemPointer	  root;
	bool		  found = false;

	if (FindBeside(rel, target, place))
		return true;

	index = index_open(target->primary_key, AccessShareLock);
	scan = BeginIndexScan(rel, index, SnapshotSelf, RING_KEY_COLUMNS);
	for (int i = 0; i < RING_KEY_COLUMNS; i++)
		target->key[i].sk_argument = target->fresh->tts_values[target->attnum[i] - 1];
	index_rescan(scan, target->key, RING_KEY_COLUMNS, NULL, 0);
	while (!found && (root = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
	{
		ItemPointerData entry = *root;

		found = index_fetch_heap(scan, target->stored);
		if (found)
		{
			*place = target->stored->tts_tid;
			target->neighbour.root = entry;
		}
	}

	/* The slot outlives an error, so it must not hold a buffer while anything can raise one. */
	ExecClearTuple(target->stored);
	index_endscan(scan);
	index_close(index, NoLock);
	return found;
}

/*
 * InsertIndexEntries makes the index entries of the row just written.  It uses an EState of its
 * own, because index expressions and predicates are compiled each time and live as long as
 * their EState.
 */
static void
InsertIndexEntries(Relation rel, const RingTarget *target, UpdatedIndexes which)
{
	EState		  *estate = CreateExecutorState();
	ResultRelInfo *result_rel = makeNode(ResultRelInfo);

	InitResultRelInfo(result_rel, rel, 0, NULL, 0);
	ExecOpenIndices(result_rel, false);
	InsertIndexTuples(result_rel, target->fresh, estate, which);
	ExecCloseIndices(result_rel);
	FreeExecutorState(estate);
}

/*
 * Overwrite updates the row version at place to target->fresh; false if another transaction has
 * updated or deleted that version.
 */
static bool
Overwrite(Relation rel, const RingTarget *target, ItemPointer place)
{
	TM_FailureData failure;
	LockTupleMode  lockmode;
	UpdatedIndexes updated;

	switch (table_tuple_update(rel, place, target->fresh, GetCurrentCommandId(true),
							   InvalidSnapshot, InvalidSnapshot, true, &failure, &lockmode,
							   &updated))
	{
		case TM_Ok:
			if (updated)
				InsertIndexEntries(rel, target, updated);
			return true;
		case TM_Updated:
		case TM_Deleted:
			return false;
		default:
			elog(ERROR, "unexpected result of an update of table \"%s\"",
				 RelationGetRelationName(rel));
	}
	return false;
}

/*
 * Put writes the check in target->fresh into its slot.
 */
static void
Put(Relation rel, RingTarget *target)
{
	ItemPointerData place;

	ExecConstraints(target->result_rel, target->fresh, target->estate);
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (!FindStored(rel, target, &place))
		{
			table_tuple_insert(rel, target->fresh, GetCurrentCommandId(true), 0, NULL);
			InsertIndexEntries(rel, target, ALL_INDEXES);
			return;
		}
		if (Overwrite(rel, target, &place))
			return;
	}
}

/*
 * RingWrite writes a check into its slot of the history table, in place of the check that was
 * there, with the rights of the table's owner.  The caller holds the row lock on the pair's
 * status row.  55000 if the table was altered so that this is impossible, or if a constraint,
 * index or column of the table records a check itself, which would overwrite the target that is
 * in use.
 */
void
RingWrite(Oid history, const RingEntry *entry)
{
	static bool	  is_writing = false;
	Relation	  rel = table_open(history, RowExclusiveLock);
	RingTarget	 *target;
	MemoryContext caller = CurrentMemoryContext;
	Oid			  save_userid;
	int			  save_sec_context;

	if (is_writing)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" cannot be written by a check while another check writes it",
					RelationGetRelationName(rel)),
			 errdetail("A constraint, an index or a column of the table records a check."),
			 errhint("Record checks elsewhere, such as in a trigger of the status table."),
			 errtable(rel)));
	target = RingTargetOf(rel);

	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	is_writing = true;
	PG_TRY();
	{
		SetUserIdAndSecContext(rel->rd_rel->relowner,
							   save_sec_context | SECURITY_LOCAL_USERID_CHANGE);
		MemoryContextSwitchTo(GetPerTupleMemoryContext(target->estate));
		SetFresh(target, entry);
		Put(rel, target);
		ExecClearTuple(target->fresh);
		MemoryContextSwitchTo(caller);
		ResetPerTupleExprContext(target->estate);
	}
	PG_FINALLY();
	{
		SetUserIdAndSecContext(save_userid, save_sec_context);
		is_writing = false;
	}
	PG_END_TRY();
	table_close(rel, NoLock);

	/* A later write to the same slot by this command must see it as an earlier command's. */
	CommandCounterIncrement();
}
