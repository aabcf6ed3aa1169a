/*
 * ring_write.c
 *	  Writes a check into its slot by the table and index access methods, as the owner of the table.
 *	  Constraints and indexes of a site are honoured, and the defaults and expressions of its columns;
 *	  a table with triggers, foreign keys, rules or another access method is refused.
 */
#include "ring.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "rewrite/rewriteHandler.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "check_rules.h"
#include "relations.h"

/* The columns of the history table. */
typedef enum RingColumn
{
	RING_ORG_ID,
	RING_INTEGRATION_TYPE,
	RING_SLOT,
	RING_CHECK_NO,
	RING_STATUS,
	RING_LATENCY_MS,
	RING_HTTP_STATUS,
	RING_ERROR,
	RING_CHECKED_AT,
	RING_IS_LATE
} RingColumn;

#define RING_COLUMNS (RING_IS_LATE + 1)
#define RING_KEY_COLUMNS (RING_SLOT + 1)

/* InvalidOid: the type integration_health_state. */
static const struct
{
	const char *name;
	Oid			type;
} ring_columns[RING_COLUMNS] = {
	[RING_ORG_ID] = { "org_id", UUIDOID },
	[RING_INTEGRATION_TYPE] = { "integration_type", TEXTOID },
	[RING_SLOT] = { "slot", INT2OID },
	[RING_CHECK_NO] = { "check_no", INT8OID },
	[RING_STATUS] = { "status", InvalidOid },
	[RING_LATENCY_MS] = { "latency_ms", INT4OID },
	[RING_HTTP_STATUS] = { "http_status", INT4OID },
	[RING_ERROR] = { "error", TEXTOID },
	[RING_CHECKED_AT] = { "checked_at", TIMESTAMPTZOID },
	[RING_IS_LATE] = { "is_late", BOOLOID },
};

static const RegProcedure key_equals[RING_KEY_COLUMNS] = { F_UUID_EQ, F_TEXTEQ, F_INT2EQ };

/* A column of the site that has a default. */
typedef struct RingDefault
{
	AttrNumber attnum;
	ExprState *value;
} RingDefault;

/*
 * What the session keeps for the table that it wrote to last.  relid is invalid when there is none,
 * or when the table has changed since.  It owns context, and everything else lives there.
 */
typedef struct RingTarget
{
	Oid				relid;
	Oid				primary_key;
	AttrNumber		attnum[RING_COLUMNS];
	ScanKeyData		key[RING_KEY_COLUMNS];
	RingDefault	   *defaults;
	int				ndefaults;
	EState		   *estate;
	ResultRelInfo  *result_rel;
	TupleTableSlot *stored;
	TupleTableSlot *fresh;
	MemoryContext	context;
} RingTarget;

static RingTarget target;

/* Misses in a row after which a subtransaction looks into the index at once. */
#define MAX_MISSES 4

/*
 * Where the row lies that a subtransaction overwrote last: what the index points to, which an update
 * leaves in its place.  It is a guess at what comes next, and no more.
 */
static struct
{
	TransactionId	 transaction;
	SubTransactionId subid;
	ItemPointerData	 root;
	int				 misses;
} neighbour;

/*
 * ForgetTarget is the relcache callback.  It frees nothing: a write may be under way.
 */
static void
ForgetTarget(Datum arg, Oid relid)
{
	(void) arg;
	if (relid == InvalidOid || relid == target.relid)
		target.relid = InvalidOid;
}

/*
 * RefuseTable raises 55000: the history was altered so that checks cannot be written past the executor.
 */
static void
RefuseTable(Relation rel, const char *has, const char *name)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		 errmsg("table \"%s\" has %s%s%s%s", RelationGetRelationName(rel), has,
				name == NULL ? "" : " \"", name == NULL ? "" : name, name == NULL ? "" : "\""),
		 errdetail(
			 "Checks are written to this table past the executor, which would not honour that."),
		 errhint("Take it back, or put it on \"%s\".", STATUS_TABLE), errtable(rel)));
}

/*
 * RequirePlainTable raises 55000, by RefuseTable, for anything that only the executor would honour.
 */
static void
RequirePlainTable(Relation rel)
{
	const TriggerDesc *triggers = rel->trigdesc;

	if (rel->rd_rel->relkind != RELKIND_RELATION)
		RefuseTable(rel, "become no plain table", NULL);
	if (rel->rd_rel->relispartition)
		RefuseTable(rel, "become a partition", NULL);
	if (rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		RefuseTable(rel, "access method", get_am_name(rel->rd_rel->relam));
	if (rel->rd_rules != NULL && rel->rd_rules->numLocks > 0)
		RefuseTable(rel, "a rule", NULL);
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (trigger->tgenabled == TRIGGER_DISABLED)
			continue;
		if (trigger->tgisinternal && OidIsValid(trigger->tgconstraint))
			RefuseTable(rel, "constraint", get_constraint_name(trigger->tgconstraint));
		RefuseTable(rel, "trigger", trigger->tgname);
	}
}

/*
 * PrepareKey makes the scan keys for the primary key; 55000 unless it is a btree on the three key
 * columns in their order.
 */
static void
PrepareKey(Relation rel, RingTarget *made)
{
	Relation index;
	bool	 is_ours;

	made->primary_key = PrimaryKeyIndex(rel);
	if (!OidIsValid(made->primary_key))
		RefuseTable(rel, "lost its primary key", NULL);

	index = index_open(made->primary_key, AccessShareLock);
	is_ours = index->rd_rel->relam == BTREE_AM_OID &&
			  IndexRelationGetNumberOfKeyAttributes(index) == RING_KEY_COLUMNS;
	for (int i = 0; is_ours && i < RING_KEY_COLUMNS; i++)
	{
		is_ours = index->rd_index->indkey.values[i] == made->attnum[i];
		ScanKeyEntryInitialize(&made->key[i], 0, i + 1, BTEqualStrategyNumber, InvalidOid,
							   index->rd_indcollation[i], key_equals[i], (Datum) 0);
	}
	if (!is_ours)
		RefuseTable(rel, "another primary key", RelationGetRelationName(index));
	index_close(index, AccessShareLock);
}

/*
 * IsRingColumn tells a column of the extension's from one that the site has added.
 */
static bool
IsRingColumn(const RingTarget *made, AttrNumber attnum)
{
	for (int i = 0; i < RING_COLUMNS; i++)
	{
		if (made->attnum[i] == attnum)
			return true;
	}
	return false;
}

/*
 * PrepareDefaults compiles the defaults of the columns that the site has added.  Generated ones have
 * none: ExecComputeStoredGenerated sees to them.
 */
static void
PrepareDefaults(Relation rel, RingTarget *made)
{
	TupleDesc desc = RelationGetDescr(rel);

	made->defaults = palloc(sizeof(RingDefault) * desc->natts);
	for (AttrNumber attnum = 1; attnum <= desc->natts; attnum++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);
		Expr			 *value;

		if (att->attisdropped || att->attgenerated != '\0' || IsRingColumn(made, attnum))
			continue;
		value = (Expr *) build_column_default(rel, attnum);
		if (value == NULL)
			continue;
		made->defaults[made->ndefaults].attnum = attnum;
		made->defaults[made->ndefaults].value = ExecPrepareExpr(value, made->estate);
		made->ndefaults++;
	}
}

/*
 * PrepareTarget fills in target for a table that is open.  Errors as RequirePlainTable, PrepareKey and
 * FindColumn.
 */
static void
PrepareTarget(Relation rel)
{
	static bool	  registered = false;
	RingTarget	  made = { 0 };
	Oid			  state_type = StateType(RelationGetNamespace(rel));
	MemoryContext caller;
	TupleDesc	  desc;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(ForgetTarget, (Datum) 0);
		registered = true;
	}
	if (target.context != NULL)
		MemoryContextDelete(target.context);
	memset(&target, 0, sizeof(target));

	RequirePlainTable(rel);
	made.context = AllocSetContextCreate(CurrentMemoryContext, "integration_health ring",
										 ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(made.context);
	desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	for (int i = 0; i < RING_COLUMNS; i++)
		made.attnum[i] =
			FindColumn(rel, ring_columns[i].name,
					   OidIsValid(ring_columns[i].type) ? ring_columns[i].type : state_type);
	PrepareKey(rel, &made);
	CheckCmdReplicaIdentity(rel, CMD_UPDATE);
	made.estate = CreateExecutorState();
	made.result_rel = makeNode(ResultRelInfo);
	InitResultRelInfo(made.result_rel, rel, 0, NULL, 0);
	PrepareDefaults(rel, &made);
	made.stored = MakeSingleTupleTableSlot(desc, table_slot_callbacks(rel));
	made.fresh = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	MemoryContextSwitchTo(caller);

	/* From here on nothing fails: the context lives as long as the session wants it. */
	MemoryContextSetParent(made.context, CacheMemoryContext);
	made.relid = RelationGetRelid(rel);
	target = made;
}

/*
 * SetFresh puts a check into the slot that is to be written, with what the columns of the site have
 * for a new row: the one that is overwritten was another check's.
 */
static void
SetFresh(const RingEntry *entry)
{
	Datum *values = target.fresh->tts_values;
	bool  *nulls = target.fresh->tts_isnull;

	ExecClearTuple(target.fresh);
	memset(nulls, true, sizeof(bool) * target.fresh->tts_tupleDescriptor->natts);
#define SET(column, datum, isnull) \
	(values[target.attnum[column] - 1] = (datum), nulls[target.attnum[column] - 1] = (isnull))
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
	for (int i = 0; i < target.ndefaults; i++)
	{
		int column = target.defaults[i].attnum - 1;

		values[column] = ExecEvalExpr(target.defaults[i].value,
									  GetPerTupleExprContext(target.estate), &nulls[column]);
	}
	ExecStoreVirtualTuple(target.fresh);
	if (target.fresh->tts_tupleDescriptor->constr != NULL &&
		target.fresh->tts_tupleDescriptor->constr->has_generated_stored)
		ExecComputeStoredGenerated(target.result_rel, target.estate, target.fresh, CMD_INSERT);
}

/*
 * HoldsKey tells whether the row just fetched has the key of the check.  One whose key is equal but
 * not the same to the byte is left to the index.
 */
static bool
HoldsKey(void)
{
	for (int i = 0; i < RING_KEY_COLUMNS; i++)
	{
		AttrNumber		  attnum = target.attnum[i];
		Form_pg_attribute att = TupleDescAttr(target.stored->tts_tupleDescriptor, attnum - 1);
		bool			  isnull;
		Datum			  value = slot_getattr(target.stored, attnum, &isnull);

		if (isnull || !datum_image_eq(value, target.fresh->tts_values[attnum - 1],
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
FetchAt(Relation rel, ItemPointerData root, ItemPointer place)
{
	IndexFetchTableData *fetch = table_index_fetch_begin(rel);
	bool				 again = false;
	bool				 found;

	found = table_index_fetch_tuple(fetch, &root, SnapshotSelf, target.stored, &again, NULL) &&
			HoldsKey();
	if (found)
		*place = target.stored->tts_tid;
	ExecClearTuple(target.stored);
	table_index_fetch_end(fetch);
	return found;
}

/*
 * HasNeighbour tells whether neighbour.root can be looked at.  It is forgotten with the subtransaction
 * that set it, whose lock keeps others from truncating the table, and where the transaction itself has
 * given the table a new file: it would be no place in that.
 */
static bool
HasNeighbour(Relation rel)
{
	TransactionId	 transaction = GetTopTransactionId();
	SubTransactionId subid = GetCurrentSubTransactionId();

	if (neighbour.transaction != transaction || neighbour.subid != subid)
	{
		neighbour.transaction = transaction;
		neighbour.subid = subid;
		neighbour.misses = 0;
		ItemPointerSetInvalid(&neighbour.root);
	}
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
FindBeside(Relation rel, ItemPointer place)
{
	ItemPointerData next;

	if (!HasNeighbour(rel))
		return false;
	ItemPointerSet(&next, ItemPointerGetBlockNumber(&neighbour.root),
				   ItemPointerGetOffsetNumber(&neighbour.root) + 1);
	if (!FetchAt(rel, next, place))
	{
		ItemPointerSet(&next, ItemPointerGetBlockNumber(&next) + 1, FirstOffsetNumber);
		if (ItemPointerGetBlockNumber(&next) >= RelationGetNumberOfBlocks(rel) ||
			!FetchAt(rel, next, place))
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
FindStored(Relation rel, ItemPointer place)
{
	Relation	  index;
	IndexScanDesc scan;
	ItemPointer	  root;
	bool		  found = false;

	if (FindBeside(rel, place))
		return true;

	index = index_open(target.primary_key, AccessShareLock);
	scan = BeginIndexScan(rel, index, SnapshotSelf, RING_KEY_COLUMNS);
	for (int i = 0; i < RING_KEY_COLUMNS; i++)
		target.key[i].sk_argument = target.fresh->tts_values[target.attnum[i] - 1];
	index_rescan(scan, target.key, RING_KEY_COLUMNS, NULL, 0);
	while (!found && (root = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
	{
		ItemPointerData entry = *root;

		found = index_fetch_heap(scan, target.stored);
		if (found)
		{
			*place = target.stored->tts_tid;
			neighbour.root = entry;
		}
	}

	/* The slot outlives an error, so it must not hold a buffer across anything that can raise one. */
	ExecClearTuple(target.stored);
	index_endscan(scan);
	index_close(index, NoLock);
	return found;
}

/*
 * InsertIndexEntries makes the index entries of the row just written.  Expressions and predicates of
 * indexes are compiled each time and live as long as their EState: it has one of its own.
 */
static void
InsertIndexEntries(Relation rel, UpdatedIndexes which)
{
	EState		  *estate = CreateExecutorState();
	ResultRelInfo *result_rel = makeNode(ResultRelInfo);

	InitResultRelInfo(result_rel, rel, 0, NULL, 0);
	ExecOpenIndices(result_rel, false);
	InsertIndexTuples(result_rel, target.fresh, estate, which);
	ExecCloseIndices(result_rel);
	FreeExecutorState(estate);
}

/*
 * Overwrite updates the row at place to target.fresh; false when that is not the latest version any
 * more, or gone.
 */
static bool
Overwrite(Relation rel, ItemPointer place)
{
	TM_FailureData failure;
	LockTupleMode  lockmode;
	UpdatedIndexes updated;

	switch (table_tuple_update(rel, place, target.fresh, GetCurrentCommandId(true),
							   InvalidSnapshot, InvalidSnapshot, true, &failure, &lockmode,
							   &updated))
	{
		case TM_Ok:
			if (updated)
				InsertIndexEntries(rel, updated);
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
 * Put puts the check that target.fresh holds into its slot.
 */
static void
Put(Relation rel)
{
	ItemPointerData place;

	ExecConstraints(target.result_rel, target.fresh, target.estate);
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (!FindStored(rel, &place))
		{
			table_tuple_insert(rel, target.fresh, GetCurrentCommandId(true), 0, NULL);
			InsertIndexEntries(rel, ALL_INDEXES);
			return;
		}
		if (Overwrite(rel, &place))
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
	if (target.relid != history)
		PrepareTarget(rel);

	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	is_writing = true;
	PG_TRY();
	{
		SetUserIdAndSecContext(rel->rd_rel->relowner,
							   save_sec_context | SECURITY_LOCAL_USERID_CHANGE);
		MemoryContextSwitchTo(GetPerTupleMemoryContext(target.estate));
		target.result_rel->ri_RelationDesc = rel;
		SetFresh(entry);
		Put(rel);
		ExecClearTuple(target.fresh);
		MemoryContextSwitchTo(caller);
		ResetPerTupleExprContext(target.estate);
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
