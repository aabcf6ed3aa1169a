/*
 * trigger.c
 *	  The trigger of integration_health_status.  Before a row is written it stamps the columns that
 *	  the extension keeps; it copies every check to the history ring and keeps the counts.
 */
#include "trigger.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "check_rules.h"
#include "counts.h"
#include "monitors.h"
#include "notify.h"
#include "passive.h"
#include "relations.h"
#include "restored.h"
#include "ring.h"
#include "schedule_rules.h"
#include "types.h"

PG_FUNCTION_INFO_V1(ih_status_trigger);

/* What one call of the trigger works on. */
typedef struct Firing
{
	TriggerData		   *data;
	TupleDesc			desc;
	const StatusLayout *layout;
} Firing;

/* A status row, taken apart. */
typedef struct Row
{
	HeapTuple tuple;
	Datum	 *values;
	bool	 *nulls;
} Row;

/*
 * RequireTrigger returns the trigger data of a call; 39P01 when it is no trigger call or has
 * arguments.
 */
TriggerData *
RequireTrigger(FunctionCallInfo fcinfo, const char *function)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function \"%s\" was not called by a trigger", function)));
	if (((TriggerData *) fcinfo->context)->tg_trigger->tgnargs != 0)
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function \"%s\" takes no trigger arguments", function)));
	return (TriggerData *) fcinfo->context;
}

/*
 * RefuseTriggerEvent raises 39P01 for an event, timing or level that the extension's own triggers
 * do not have.
 */
void
RefuseTriggerEvent(const char *function)
{
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("function \"%s\" was called for an event it does not serve", function),
			 errhint("It is attached by CREATE EXTENSION, and by nobody else.")));
}

/*
 * RequireSameKey raises 22023 when an update changes the key of a row, which the numbers of two
 * columns name.
 */
void
RequireSameKey(Relation rel, HeapTuple old, HeapTuple new, AttrNumber org_id,
			   AttrNumber integration_type)
{
	AttrNumber key[] = { org_id, integration_type };

	for (size_t i = 0; i < lengthof(key); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), key[i] - 1);
		bool			  was_null;
		bool			  is_null;
		Datum			  before = heap_getattr(old, key[i], RelationGetDescr(rel), &was_null);
		Datum			  after = heap_getattr(new, key[i], RelationGetDescr(rel), &is_null);

		if (was_null != is_null ||
			(!is_null && !datum_image_eq(before, after, att->attbyval, att->attlen)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("column \"%s\" of a row of table \"%s\" cannot change",
							NameStr(att->attname), RelationGetRelationName(rel)),
					 errhint("Delete the row and insert another."), errtablecol(rel, key[i])));
	}
}

/*
 * Stamp returns the present time for recorded_at: not before the start of the transaction, and
 * later than any other stamp of it, so that it tells the rows that a transaction recorded from
 * those that it restored.
 */
static TimestampTz
Stamp(void)
{
	static TimestampTz transaction_start = 0;
	static TimestampTz last = 0;
	TimestampTz		   stamp = GetCurrentTimestamp();

	if (transaction_start != GetCurrentTransactionStartTimestamp())
	{
		transaction_start = GetCurrentTransactionStartTimestamp();
		last = transaction_start - 1;
	}
	if (stamp <= last)
		stamp = last + 1;
	last = stamp;
	return stamp;
}

/*
 * TakeApart returns the row in a tuple.
 */
static Row
TakeApart(const Firing *firing, HeapTuple tuple)
{
	Row row;

	row.tuple = tuple;
	row.values = palloc(sizeof(Datum) * firing->desc->natts);
	row.nulls = palloc(sizeof(bool) * firing->desc->natts);
	heap_deform_tuple(tuple, firing->desc, row.values, row.nulls);
	return row;
}

/*
 * Column returns the value of a column of a row.
 */
static NullableDatum
Column(const Firing *firing, const Row *row, StatusColumn column)
{
	int			  i = firing->layout->attnum[column] - 1;
	NullableDatum result;

	result.value = row->values[i];
	result.isnull = row->nulls[i];
	return result;
}

/*
 * RequiredColumn is Column for one that may not be null; 23502 names it.
 */
static Datum
RequiredColumn(const Firing *firing, const Row *row, StatusColumn column)
{
	AttrNumber attnum = firing->layout->attnum[column];

	if (row->nulls[attnum - 1])
		ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
						errmsg("null value in column \"%s\" of table \"%s\"",
							   NameStr(TupleDescAttr(firing->desc, attnum - 1)->attname),
							   RelationGetRelationName(firing->data->tg_relation)),
						errtablecol(firing->data->tg_relation, attnum)));
	return row->values[attnum - 1];
}

/*
 * SetColumn changes a column of a row that is taken apart.
 */
static void
SetColumn(const Firing *firing, Row *row, StatusColumn column, Datum value, bool isnull)
{
	int i = firing->layout->attnum[column] - 1;

	row->values[i] = value;
	row->nulls[i] = isnull;
}

static HealthState
StatusOf(const Firing *firing, const Row *row)
{
	return StateOfLabel(firing->layout,
						DatumGetObjectId(RequiredColumn(firing, row, COL_STATUS)));
}

/*
 * StateOf returns the state of a pair as a stored status row has it.
 */
static PairState
StateOf(const Firing *firing, const Row *row)
{
	NullableDatum last_healthy_at = Column(firing, row, COL_LAST_HEALTHY_AT);
	PairState	  state;

	state.status = StatusOf(firing, row);
	state.checked_at = DatumGetTimestampTz(RequiredColumn(firing, row, COL_CHECKED_AT));
	state.status_since = DatumGetTimestampTz(RequiredColumn(firing, row, COL_STATUS_SINCE));
	state.ever_healthy = !last_healthy_at.isnull;
	state.last_healthy_at = state.ever_healthy ? DatumGetTimestampTz(last_healthy_at.value) : 0;
	state.consecutive_failures =
		DatumGetInt32(RequiredColumn(firing, row, COL_CONSECUTIVE_FAILURES));
	state.check_no = DatumGetInt64(RequiredColumn(firing, row, COL_CHECK_NO));
	return state;
}

/*
 * StampedRow returns a row as a tuple, with the columns that the extension keeps set to state.
 */
static HeapTuple
StampedRow(const Firing *firing, Row *row, const PairState *state, TimestampTz recorded_at)
{
	SetColumn(firing, row, COL_CHECKED_AT, TimestampTzGetDatum(state->checked_at), false);
	SetColumn(firing, row, COL_STATUS_SINCE, TimestampTzGetDatum(state->status_since), false);
	SetColumn(firing, row, COL_LAST_HEALTHY_AT, TimestampTzGetDatum(state->last_healthy_at),
			  !state->ever_healthy);
	SetColumn(firing, row, COL_CONSECUTIVE_FAILURES, Int32GetDatum(state->consecutive_failures),
			  false);
	SetColumn(firing, row, COL_CHECK_NO, Int64GetDatum(state->check_no), false);
	SetColumn(firing, row, COL_RECORDED_AT, TimestampTzGetDatum(recorded_at), false);
	return heap_form_tuple(firing->desc, row->values, row->nulls);
}

/*
 * CheckedAt returns when the check in a row was made, by TimeOfCheck.  Infinity stays: the table's
 * constraint refuses it.
 */
static TimestampTz
CheckedAt(const Firing *firing, const Row *row, TimestampTz recorded_at)
{
	TimestampTz checked_at = DatumGetTimestampTz(RequiredColumn(firing, row, COL_CHECKED_AT));

	return TIMESTAMP_NOT_FINITE(checked_at) ? checked_at : TimeOfCheck(checked_at, recorded_at);
}

/*
 * CopyToHistory writes a check, the application's columns of row, into the ring.
 */
static void
CopyToHistory(const Firing *firing, const Row *row, int64 check_no, TimestampTz checked_at,
			  bool is_late)
{
	RingEntry entry;

	entry.org_id = RequiredColumn(firing, row, COL_ORG_ID);
	entry.integration_type = RequiredColumn(firing, row, COL_INTEGRATION_TYPE);
	entry.check_no = check_no;
	entry.status = DatumGetObjectId(RequiredColumn(firing, row, COL_STATUS));
	entry.latency_ms = Column(firing, row, COL_LATENCY_MS);
	entry.http_status = Column(firing, row, COL_HTTP_STATUS);
	entry.error = Column(firing, row, COL_ERROR);
	entry.checked_at = checked_at;
	entry.is_late = is_late;
	RingWrite(firing->layout->history, &entry);
}

/*
 * RequireLastPlace raises 55000 when a site's trigger would run after ours: it could change or
 * drop a row that the history has already.
 */
static void
RequireLastPlace(const Firing *firing, int16 event)
{
	TriggerDesc *all = firing->data->tg_relation->trigdesc;

	for (int i = all->numtriggers - 1; i >= 0; i--)
	{
		const Trigger *other = &all->triggers[i];

		if (other->tgoid == firing->data->tg_trigger->tgoid)
			return;
		if (TRIGGER_TYPE_MATCHES(other->tgtype, TRIGGER_TYPE_ROW, TRIGGER_TYPE_BEFORE, event) &&
			other->tgenabled != TRIGGER_DISABLED)
			ereport(
				ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg(
					 "trigger \"%s\" of table \"%s\" would run after the one that records checks",
					 other->tgname, RelationGetRelationName(firing->data->tg_relation)),
				 errhint("Rename it so that it sorts before \"%s\".",
						 firing->data->tg_trigger->tgname)));
	}
}

/*
 * StampInsert stamps a row that is about to be inserted, unless it is a restored one.  Nothing is
 * copied yet: the row may still take the path of ON CONFLICT.
 */
static HeapTuple
StampInsert(const Firing *firing)
{
	Row			  row = TakeApart(firing, firing->data->tg_trigtuple);
	NullableDatum check_no = Column(firing, &row, COL_CHECK_NO);
	NullableDatum recorded_at = Column(firing, &row, COL_RECORDED_AT);
	TimestampTz	  stamp;
	PairState	  first;

	RequireLastPlace(firing, TRIGGER_TYPE_INSERT);
	if (check_no.isnull != recorded_at.isnull)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("check_no and recorded_at go together"),
				 errdetail("A row with both is a restored one; a new check has neither.")));
	if (!check_no.isnull)
	{
		HoldPlaceForType(firing->layout->schema,
						 RequiredColumn(firing, &row, COL_INTEGRATION_TYPE));
		if (DatumGetInt64(check_no.value) == 1)
			RememberRestored(RequiredColumn(firing, &row, COL_ORG_ID),
							 RequiredColumn(firing, &row, COL_INTEGRATION_TYPE),
							 DatumGetTimestampTz(recorded_at.value));
		return row.tuple;
	}

	SetColumn(firing, &row, COL_IS_PROBE, (Datum) 0, true);
	stamp = Stamp();
	first = FirstCheck(StatusOf(firing, &row), CheckedAt(firing, &row, stamp));
	return StampedRow(firing, &row, &first, stamp);
}

/*
 * IsGone tells whether the row that this transaction has inserted at place was deleted since, which a
 * trigger of the site's may do before ours.  Nobody else sees the row: what changed it is ours, or
 * rolled back.
 */
static bool
IsGone(Relation rel, ItemPointerData place)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	bool			is_gone = false;
	bool			is_latest = false;

	while (!is_latest && table_tuple_fetch_row_version(rel, &place, SnapshotAny, slot))
	{
		HeapTuple		tuple = ExecFetchSlotHeapTuple(slot, false, NULL);
		HeapTupleHeader header = tuple->t_data;

		is_latest = (header->t_infomask & HEAP_XMAX_INVALID) != 0 ||
					HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask) ||
					!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(header));
		if (!is_latest)
		{
			is_gone = is_latest = ItemPointerEquals(&header->t_ctid, &place);
			place = header->t_ctid;
		}
		ExecClearTuple(slot);
	}
	ExecDropSingleTupleTableSlot(slot);
	return is_gone;
}

/*
 * CopyInsert copies the first check of a pair, now that its row is there, and counts the pair;
 * restored rows came with their history and their counts.  A pair that is gone again leaves nothing:
 * what removed it has counted that.
 */
static void
CopyInsert(const Firing *firing)
{
	Row			row = TakeApart(firing, firing->data->tg_trigtuple);
	Datum		org_id = RequiredColumn(firing, &row, COL_ORG_ID);
	Datum		integration_type = RequiredColumn(firing, &row, COL_INTEGRATION_TYPE);
	TimestampTz recorded_at =
		DatumGetTimestampTz(RequiredColumn(firing, &row, COL_RECORDED_AT));
	TimestampTz	  checked_at;
	NullableDatum http_status;

	if (DatumGetInt64(RequiredColumn(firing, &row, COL_CHECK_NO)) != 1 ||
		recorded_at < GetCurrentTransactionStartTimestamp() ||
		WasRestored(org_id, integration_type, recorded_at))
		return;

	if (IsGone(firing->data->tg_relation, row.tuple->t_self))
	{
		CountChange(firing->layout->schema, integration_type, InvalidOid,
					DatumGetObjectId(RequiredColumn(firing, &row, COL_STATUS)));
		return;
	}
	checked_at = DatumGetTimestampTz(RequiredColumn(firing, &row, COL_CHECKED_AT));
	CopyToHistory(firing, &row, 1, checked_at, false);
	CountChange(firing->layout->schema, integration_type, InvalidOid,
				DatumGetObjectId(RequiredColumn(firing, &row, COL_STATUS)));
	NotifyTransition(org_id, integration_type, NULL, StateName(StatusOf(firing, &row)),
					 checked_at, 1);
	http_status = Column(firing, &row, COL_HTTP_STATUS);
	if (http_status.isnull || DatumGetInt32(http_status.value) != HTTP_TOO_MANY_REQUESTS)
		EndPassiveModeAtFirstCheck(firing->layout->schema, org_id, integration_type);
}

/*
 * RequireConstraints holds a late result, which the executor will not see as a row of the status
 * table, against the constraints of that table; 23514 or 23502 names the one that it violates.
 */
static void
RequireConstraints(const Firing *firing, HeapTuple late)
{
	EState		   *estate = CreateExecutorState();
	ResultRelInfo  *result_rel = makeNode(ResultRelInfo);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(firing->desc, &TTSOpsHeapTuple);

	InitResultRelInfo(result_rel, firing->data->tg_relation, 0, NULL, 0);
	ExecStoreHeapTuple(late, slot, false);
	if (firing->desc->constr != NULL && firing->desc->constr->has_generated_stored)
		ExecComputeStoredGenerated(result_rel, estate, slot, CMD_INSERT);
	ExecConstraints(result_rel, slot, estate);
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
}

/*
 * IsSet tells whether an update sets a column: the statement names it, or a trigger of the site's
 * has changed it since.  MERGE names together what any of its actions sets.
 */
static bool
IsSet(const Firing *firing, const Row *old, const Row *new, StatusColumn column)
{
	int				  i = firing->layout->attnum[column] - 1;
	Form_pg_attribute att = TupleDescAttr(firing->desc, i);

	return bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber,
						 firing->data->tg_updatedcols) ||
		   old->nulls[i] != new->nulls[i] ||
		   (!old->nulls[i] &&
			!datum_image_eq(old->values[i], new->values[i], att->attbyval, att->attlen));
}

/*
 * MakeWhole makes a whole check of what an update sets: the status stays, a time that is not set is
 * now(), and any other column that is not set is null, not the last check's.  It returns false, and
 * changes nothing, where the update sets no column of a check.
 */
static bool
MakeWhole(const Firing *firing, const Row *old, Row *new)
{
	static const StatusColumn said[] = { COL_LATENCY_MS, COL_HTTP_STATUS, COL_ERROR,
										 COL_RETRY_AFTER };
	bool					  is_set[lengthof(said)];
	bool					  sets_time = IsSet(firing, old, new, COL_CHECKED_AT);
	bool					  is_check = sets_time || IsSet(firing, old, new, COL_STATUS);

	for (size_t i = 0; i < lengthof(said); i++)
	{
		is_set[i] = IsSet(firing, old, new, said[i]);
		is_check = is_check || is_set[i];
	}
	if (!is_check)
		return false;

	for (size_t i = 0; i < lengthof(said); i++)
	{
		if (!is_set[i])
			SetColumn(firing, new, said[i], (Datum) 0, true);
	}
	if (!sets_time)
		SetColumn(firing, new, COL_CHECKED_AT,
				  TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()), false);
	return true;
}

/*
 * KeptRow returns the new row of an update that is no check, with the columns that the extension
 * keeps as they were.
 */
static HeapTuple
KeptRow(const Firing *firing, const Row *old, Row *new)
{
	static const StatusColumn kept[] = { COL_STATUS_SINCE, COL_LAST_HEALTHY_AT,
										 COL_CONSECUTIVE_FAILURES, COL_CHECK_NO,
										 COL_RECORDED_AT };

	for (size_t i = 0; i < lengthof(kept); i++)
	{
		NullableDatum value = Column(firing, old, kept[i]);

		SetColumn(firing, new, kept[i], value.value, value.isnull);
	}
	return heap_form_tuple(firing->desc, new->values, new->nulls);
}

/*
 * StampUpdate records one more check of a pair.  The row is locked by now and OLD is its latest
 * version, so the check gets its number, and goes into the ring, here: a late one leaves no other
 * trace.
 */
static HeapTuple
StampUpdate(const Firing *firing)
{
	Row old = TakeApart(firing, firing->data->tg_trigtuple);
	Row new = TakeApart(firing, firing->data->tg_newtuple);
	PairState	current = StateOf(firing, &old);
	HealthState status;
	TimestampTz recorded_at;
	TimestampTz checked_at;
	PairState	next;
	bool		is_late;

	RequireLastPlace(firing, TRIGGER_TYPE_UPDATE);
	RequireSameKey(firing->data->tg_relation, old.tuple, new.tuple,
				   firing->layout->attnum[COL_ORG_ID],
				   firing->layout->attnum[COL_INTEGRATION_TYPE]);
	if (!MakeWhole(firing, &old, &new))
		return KeptRow(firing, &old, &new);

	recorded_at = Stamp();
	checked_at = CheckedAt(firing, &new, recorded_at);
	status = StatusOf(firing, &new);

	/* A row of before may lie in the future; it makes no check late that is made now(). */
	if (current.checked_at > recorded_at)
		current.checked_at = GetCurrentTransactionStartTimestamp();
	is_late = CheckIsLate(&current, checked_at);
	if (is_late)
		RequireConstraints(firing, heap_form_tuple(firing->desc, new.values, new.nulls));
	else
		SetColumn(firing, &new, COL_IS_PROBE, (Datum) 0, true);
	next = NextCheck(&current, status, checked_at);
	CopyToHistory(firing, &new, next.check_no, checked_at, is_late);
	if (next.status != current.status)
	{
		Datum integration_type = RequiredColumn(firing, &new, COL_INTEGRATION_TYPE);

		CountChange(firing->layout->schema, integration_type,
					firing->layout->label[current.status], firing->layout->label[next.status]);
		NotifyTransition(RequiredColumn(firing, &new, COL_ORG_ID), integration_type,
						 StateName(current.status), StateName(next.status), checked_at,
						 next.check_no);
	}
	if (WaitsAnew(current.consecutive_failures, next.consecutive_failures))
		MoveMonitor(firing->layout->schema, RequiredColumn(firing, &new, COL_ORG_ID),
					RequiredColumn(firing, &new, COL_INTEGRATION_TYPE),
					next.consecutive_failures);
	return StampedRow(firing, is_late ? &old : &new, &next, recorded_at);
}

/*
 * ForgetPair removes what is kept of a pair whose status row was deleted.
 */
static void
ForgetPair(const Firing *firing)
{
	Row	  row = TakeApart(firing, firing->data->tg_trigtuple);
	Datum integration_type = RequiredColumn(firing, &row, COL_INTEGRATION_TYPE);

	RingForgetPair(firing->layout->history, RequiredColumn(firing, &row, COL_ORG_ID),
				   integration_type);
	CountChange(firing->layout->schema, integration_type,
				DatumGetObjectId(RequiredColumn(firing, &row, COL_STATUS)), InvalidOid);
}

/*
 * ih_status_trigger is integration_health_status_trigger(), for all triggers of the status table.
 */
Datum
ih_status_trigger(PG_FUNCTION_ARGS)
{
	const char	*name = "integration_health_status_trigger";
	Firing		 firing;
	TriggerEvent event;
	HeapTuple	 result = NULL;

	firing.data = RequireTrigger(fcinfo, name);
	firing.desc = RelationGetDescr(firing.data->tg_relation);
	firing.layout = StatusLayoutOf(firing.data->tg_relation, fcinfo->flinfo->fn_oid);
	event = firing.data->tg_event;

	if (TRIGGER_FIRED_FOR_ROW(event) && TRIGGER_FIRED_BEFORE(event))
	{
		if (TRIGGER_FIRED_BY_INSERT(event))
			result = StampInsert(&firing);
		else if (TRIGGER_FIRED_BY_UPDATE(event))
			result = StampUpdate(&firing);
		else
			RefuseTriggerEvent(name);
	}
	else if (TRIGGER_FIRED_FOR_ROW(event) && TRIGGER_FIRED_AFTER(event))
	{
		if (TRIGGER_FIRED_BY_INSERT(event))
			CopyInsert(&firing);
		else if (TRIGGER_FIRED_BY_DELETE(event))
			ForgetPair(&firing);
		else
			RefuseTriggerEvent(name);
	}
	else if (TRIGGER_FIRED_AFTER(event) && TRIGGER_FIRED_BY_TRUNCATE(event))
	{
		RingForgetAll(firing.layout->history);
		CountForgetAll(firing.layout->schema);
	}
	else
		RefuseTriggerEvent(name);

	return PointerGetDatum(result);
}
