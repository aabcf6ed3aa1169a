/*
 * status_trigger.c
 *	  The trigger of integration_health_status.  Before a row is written, it stamps the columns
 *	  that the extension keeps.  It copies an update to the history ring before the row is
 *	  written, and the first check of a pair after its row was inserted.  What follows from a
 *	  check is done in SQL.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/private_call.h"
#include "citus/shard_plans.h"
#include "health/follow.h"
#include "health/restored.h"
#include "health/ring.h"
#include "health/status_row.h"

PG_FUNCTION_INFO_V1(integration_health_status_trigger);

/*
 * RequireTrigger returns the trigger data of a call; 39P01 if the function was not called as a
 * trigger, or the trigger has arguments.
 */
static TriggerData *
RequireTrigger(FunctionCallInfo fcinfo, const char *function)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function \"%s\" was not called by trigger manager", function)));
	if (((TriggerData *) fcinfo->context)->tg_trigger->tgnargs != 0)
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function \"%s\" takes no trigger arguments", function)));
	return (TriggerData *) fcinfo->context;
}

/*
 * RefuseTriggerEvent raises 39P01 for an event, timing or level that the extension's own triggers
 * do not have.
 */
static void
RefuseTriggerEvent(const char *function)
{
	ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
					errmsg("function \"%s\" was called for an event that it does not support",
						   function),
					errhint("Only CREATE EXTENSION attaches it.")));
}

/*
 * RequireSameKey raises 22023 when an update changes the key of a row.
 */
static void
RequireSameKey(const StatusTriggerContext *context, const StatusRow *old, const StatusRow *new)
{
	static const StatusColumn key[] = { COL_ORG_ID, COL_INTEGRATION_TYPE };

	for (size_t i = 0; i < lengthof(key); i++)
	{
		AttrNumber		  attnum = context->layout->attnum[key[i]];
		Form_pg_attribute att = TupleDescAttr(context->desc, attnum - 1);
		NullableDatum	  before = StatusColumnOf(context, old, key[i]);
		NullableDatum	  after = StatusColumnOf(context, new, key[i]);

		if (before.isnull != after.isnull ||
			(!before.isnull &&
			 !datum_image_eq(before.value, after.value, att->attbyval, att->attlen)))
		{
			PrivateArgument arguments[] = {
				{ TEXTOID,
				  { CStringGetTextDatum(RelationGetRelationName(context->data->tg_relation)),
					false } },
				{ TEXTOID, { CStringGetTextDatum(NameStr(att->attname)), false } }
			};

			CallPrivate("refuse_key_change", lengthof(arguments), arguments);
		}
	}
}

/*
 * Stamp returns the current time for recorded_at.  It is never before the start of the
 * transaction and always later than the stamps that the transaction made before, so that
 * recorded_at tells the rows that a transaction recorded from those that it restored.
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
 * SetCause sets the cause of a check in a row: none if it is healthy and, unless it is given,
 * what the HTTP status tells.
 */
static void
SetCause(const StatusTriggerContext *context, StatusRow *row, HealthState status)
{
	NullableDatum cause = StatusColumnOf(context, row, COL_CAUSE);
	NullableDatum http_status = StatusColumnOf(context, row, COL_HTTP_STATUS);
	HttpCause	  told;

	if (status == HEALTH_HEALTHY)
		cause.isnull = true;
	else if (cause.isnull && !http_status.isnull && context->layout->has_causes &&
			 HttpStatusTells(DatumGetInt32(http_status.value), &told))
	{
		cause.value = ObjectIdGetDatum(context->layout->cause_label[told]);
		cause.isnull = false;
	}
	SetStatusColumn(context, row, COL_CAUSE, cause.value, cause.isnull);
}

/*
 * CopyToHistory writes the check in row to the ring, with this number and time.
 */
static void
CopyToHistory(const StatusTriggerContext *context, const StatusRow *row, int64 check_no,
			  TimestampTz checked_at, bool is_late)
{
	RingEntry entry;

	entry.org_id = RequiredStatusColumn(context, row, COL_ORG_ID);
	entry.integration_type = RequiredStatusColumn(context, row, COL_INTEGRATION_TYPE);
	entry.check_no = check_no;
	entry.status = DatumGetObjectId(RequiredStatusColumn(context, row, COL_STATUS));
	entry.latency_ms = StatusColumnOf(context, row, COL_LATENCY_MS);
	entry.http_status = StatusColumnOf(context, row, COL_HTTP_STATUS);
	entry.error = StatusColumnOf(context, row, COL_ERROR);
	entry.cause = StatusColumnOf(context, row, COL_CAUSE);
	entry.checked_at = checked_at;
	entry.is_late = is_late;
	RingWrite(context->layout->history, &entry);
}

/*
 * RequireLastPlace raises 55000 if a site's trigger would run after this one: it could change
 * or drop a row that is already in the history.
 */
static void
RequireLastPlace(const StatusTriggerContext *context, int16 event)
{
	TriggerDesc *all = context->data->tg_relation->trigdesc;

	for (int i = all->numtriggers - 1; i >= 0; i--)
	{
		const Trigger *other = &all->triggers[i];

		if (other->tgoid == context->data->tg_trigger->tgoid)
			return;
		if (TRIGGER_TYPE_MATCHES(other->tgtype, TRIGGER_TYPE_ROW, TRIGGER_TYPE_BEFORE, event) &&
			other->tgenabled != TRIGGER_DISABLED)
			ereport(
				ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg(
					 "trigger \"%s\" of table \"%s\" would run after the one that records checks",
					 other->tgname, RelationGetRelationName(context->data->tg_relation)),
				 errhint("Rename it so that it sorts before \"%s\".",
						 context->data->tg_trigger->tgname)));
	}
}

/*
 * StampInsert stamps a row that is about to be inserted, unless it is restored.  It copies
 * nothing yet, since the statement may still take ON CONFLICT DO UPDATE.  22023 if only one of
 * check_no and recorded_at is set.
 */
static HeapTuple
StampInsert(const StatusTriggerContext *context)
{
	StatusRow	  row = StatusRowOf(context, context->data->tg_trigtuple);
	NullableDatum check_no = StatusColumnOf(context, &row, COL_CHECK_NO);
	NullableDatum recorded_at = StatusColumnOf(context, &row, COL_RECORDED_AT);
	TimestampTz	  stamp;
	PairState	  first;

	RequireLastPlace(context, TRIGGER_TYPE_INSERT);
	if (check_no.isnull != recorded_at.isnull)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("check_no and recorded_at must be set together"),
						errdetail("A restored row has both; a new check has neither.")));
	if (!check_no.isnull)
	{
		HoldType(RequiredStatusColumn(context, &row, COL_INTEGRATION_TYPE));
		if (DatumGetInt64(check_no.value) == 1)
			RememberRestored(RequiredStatusColumn(context, &row, COL_ORG_ID),
							 RequiredStatusColumn(context, &row, COL_INTEGRATION_TYPE),
							 DatumGetTimestampTz(recorded_at.value));
		return row.tuple;
	}

	SetStatusColumn(context, &row, COL_IS_PROBE, (Datum) 0, true);
	stamp = Stamp();
	first = FirstCheck(StatusOf(context, &row), CheckedAt(context, &row, stamp));
	SetCause(context, &row, first.status);
	return StampedRow(context, &row, &first, stamp);
}

/*
 * IsGone tells whether the row that this transaction inserted at place was deleted since, as a
 * site's trigger that fires before this one may do.  No other transaction can see the row, so
 * whatever changed it was this transaction or a subtransaction that has been rolled back.
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
 * CopyInsert copies the first check of a pair to the history after its row was inserted.  A
 * restored row is left alone, as its history and counts are restored by themselves.  For a pair
 * that is gone again it only counts the insert, because the delete has been counted already.
 */
static void
CopyInsert(const StatusTriggerContext *context)
{
	StatusRow row = StatusRowOf(context, context->data->tg_trigtuple);
	Datum	  org_id = RequiredStatusColumn(context, &row, COL_ORG_ID);
	Datum	  integration_type = RequiredStatusColumn(context, &row, COL_INTEGRATION_TYPE);
	Datum	  status = RequiredStatusColumn(context, &row, COL_STATUS);
	PrivateArgument change[] = {
		{ TEXTOID, { integration_type, false } },
		{ context->layout->state_type, { (Datum) 0, true } },
		{ context->layout->state_type, { status, false } },
	};
	PairState first = PairStateOf(context, &row);

	if (WasRestored(org_id, integration_type,
					DatumGetTimestampTz(RequiredStatusColumn(context, &row, COL_RECORDED_AT))))
		return;
	if (IsGone(context->data->tg_relation, row.tuple->t_self))
	{
		int level = EnterShard(RelationGetRelid(context->data->tg_relation));

		CallPrivate("count_change", lengthof(change), change);
		LeaveShard(level);
		return;
	}
	FollowFirstCheck(context, &row, &first);
	CopyToHistory(context, &row, first.check_no, first.checked_at, false);
}

/*
 * RequireConstraints tests a late check against the constraints of the status table, since the
 * executor will not see it as a row of that table.  23514 or 23502 names the constraint or
 * column violated.
 */
static void
RequireConstraints(const StatusTriggerContext *context, HeapTuple late)
{
	EState		   *estate = CreateExecutorState();
	ResultRelInfo  *result_rel = makeNode(ResultRelInfo);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(context->desc, &TTSOpsHeapTuple);

	InitResultRelInfo(result_rel, context->data->tg_relation, 0, NULL, 0);
	ExecStoreHeapTuple(late, slot, false);
	if (context->desc->constr != NULL && context->desc->constr->has_generated_stored)
		ExecComputeStoredGenerated(result_rel, estate, slot, CMD_INSERT);
	ExecConstraints(result_rel, slot, estate);
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
}

/*
 * StampUpdate records one more check of a pair.  The row is already locked and OLD is its
 * latest version, so the check can be numbered and copied to the ring here.  A late check
 * leaves no other trace.
 */
static HeapTuple
StampUpdate(const StatusTriggerContext *context)
{
	StatusRow old = StatusRowOf(context, context->data->tg_trigtuple);
	StatusRow new = StatusRowOf(context, context->data->tg_newtuple);
	PairState	current = PairStateOf(context, &old);
	HealthState status;
	TimestampTz recorded_at;
	TimestampTz checked_at;
	PairState	next;
	bool		is_late;

	RequireLastPlace(context, TRIGGER_TYPE_UPDATE);
	RequireSameKey(context, &old, &new);
	if (!MakeWholeCheck(context, &old, &new))
		return KeptRow(context, &old, &new);

	recorded_at = Stamp();
	checked_at = CheckedAt(context, &new, recorded_at);
	status = StatusOf(context, &new);
	SetCause(context, &new, status);

	/* Even if the current check lies in the future, one made at now() or later is not late. */
	if (current.checked_at > recorded_at)
		current.checked_at = GetCurrentTransactionStartTimestamp();
	is_late = CheckIsLate(&current, checked_at);
	if (is_late)
		RequireConstraints(context, heap_form_tuple(context->desc, new.values, new.nulls));
	else
		SetStatusColumn(context, &new, COL_IS_PROBE, (Datum) 0, true);
	next = NextCheck(&current, status, checked_at);
	FollowCheck(context, &new, &current, &next);
	CopyToHistory(context, &new, next.check_no, checked_at, is_late);
	return StampedRow(context, is_late ? &old : &new, &next, recorded_at);
}

/*
 * integration_health_status_trigger() runs BEFORE INSERT OR UPDATE and AFTER INSERT, for each
 * row.
 */
Datum
integration_health_status_trigger(PG_FUNCTION_ARGS)
{
	const char			*name = "integration_health_status_trigger";
	StatusTriggerContext context;
	TriggerEvent		 event;
	HeapTuple			 result = NULL;

	context.data = RequireTrigger(fcinfo, name);
	context.desc = RelationGetDescr(context.data->tg_relation);
	context.layout = StatusLayoutOf(context.data->tg_relation, fcinfo->flinfo->fn_oid);
	event = context.data->tg_event;

	if (!TRIGGER_FIRED_FOR_ROW(event) || TRIGGER_FIRED_BY_DELETE(event))
		RefuseTriggerEvent(name);
	else if (TRIGGER_FIRED_BEFORE(event))
		result = TRIGGER_FIRED_BY_INSERT(event) ? StampInsert(&context) : StampUpdate(&context);
	else if (TRIGGER_FIRED_AFTER(event) && TRIGGER_FIRED_BY_INSERT(event))
		CopyInsert(&context);
	else
		RefuseTriggerEvent(name);
	return PointerGetDatum(result);
}
