/*
 * ring_write.c
 *	  Writes a check into its slot by the table and index access methods, as the owner of the table.
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

/* Misses in a row after which a subtransaction looks into the index at once. */
#define MAX_MISSES 4

/*
 * Where the row lies that a subtransaction overwrote last: what the index points to, which an update
 * leaves in its place.  The next check of a statement of many rows is likely to be beside it.
 */
static struct
{
	TransactionId	 transaction;
	SubTransactionId subid;
	ItemPointerData	 root;
	int				 misses;
} neighbour;

/*
 * SetFresh puts a check into the slot that is to be written, with what the columns of the site have
 * for a new row: the one that is overwritten was another check's.
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
 * HoldsKey tells whether the row just fetched has the key of the check.  One whose key is equal but
 * not the same to the byte is left to the index.
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
 * FetchAt looks at the row whose index entry points to root.  If it is the one in the slot of the
 * check, it returns true and its place.
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
 * ForgetOtherNeighbour forgets what another subtransaction has set: only the lock of its own keeps
 * others from truncating the table.
 */
static void
ForgetOtherNeighbour(void)
{
	TransactionId	 transaction = GetTopTransactionId();
	SubTransactionId subid = GetCurrentSubTransactionId();

	if (neighbour.transaction == transaction && neighbour.subid == subid)
		return;
	neighbour.transaction = transaction;
	neighbour.subid = subid;
	neighbour.misses = 0;
	ItemPointerSetInvalid(&neighbour.root);
}

/*
 * HasNeighbour tells whether neighbour.root can be looked at: not where the transaction itself has given
 * the table a new file, for it would be no place in that.
 */
static bool
HasNeighbour(Relation rel)
{
	return ItemPointerIsValid(&neighbour.root) && neighbour.misses < MAX_MISSES &&
		   rel->rd_createSubid == InvalidSubTransactionId &&
		   FirstNewFile(rel) == InvalidSubTransactionId;
}

/*
 * FindBeside looks for the row of the check right behind the one that was overwritten last: statements
 * of many rows wrote them in one order, and so they lie.  It returns false where it is not there, and
 * gives up after a few misses in a row.
 */
static bool
FindBeside(Relation rel, const RingTarget *target, ItemPointer place)
{
	ItemPointerData next;

	ForgetOtherNeighbour();
	if (!HasNeighbour(rel))
		return false;
	ItemPointerSet(&next, ItemPointerGetBlockNumber(&neighbour.root),
				   ItemPointerGetOffsetNumber(&neighbour.root) + 1);
	if (!FetchAt(rel, target, next, place))
	{
		ItemPointerSet(&next, ItemPointerGetBlockNumber(&next) + 1, FirstOffsetNumber);
		if (ItemPointerGetBlockNumber(&next) >= RelationGetNumberOfBlocks(rel) ||
			!FetchAt(rel, target, next, place))
		{
			neighbour.misses++;
			return false;
		}
	}
	neighbour.root = next;
	neighbour.misses = 0;
	return true;
}

/*
 * FindStored returns the place of the row that is in the slot of the check now; false when there is
 * none.
 *
 * The row lock on the status row is held, so the only other writer can be the cleanup.  SnapshotSelf
 * shows what is committed by now, whatever the isolation level, and what this transaction wrote; a
 * row that the cleanup is just deleting is still shown, and the update waits for it.  The primary key
 * is unique: a row that is shown and has the key is the row.
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
			neighbour.root = entry;
		}
	}

	/* The slot outlives an error, so it must not hold a buffer across anything that can raise one. */
	ExecClearTuple(target->stored);
	index_endscan(scan);
	index_close(index, NoLock);
	return found;
}

/*
 * InsertIndexEntries makes the index entries of the row just written.  Expressions and predicates of
 * indexes are compiled each time and live as long as their EState: it has one of its own.
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
 * Overwrite updates the row at place to target->fresh; false when that is not the latest version any
 * more, or gone.
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
 * Put puts the check that target->fresh holds into its slot.
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
 * RingWrite puts a check into its slot of the history table, over the one that was there, with the
 * rights of the table's owner.  The caller holds the row lock on the pair's status row.  55000 when
 * the table was altered so that this cannot be done, or when a constraint, an index or a column of
 * the table records a check itself: it would take the place of the one that is being written.
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
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" cannot take a check while it takes another",
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

	/* A later write of the same command, to the same slot, must find this one older than itself. */
	CommandCounterIncrement();
}
