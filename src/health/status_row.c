/*
 * status_row.c
 *	  A row of the status table in the trigger: its columns by name, the state of the pair in
 *	  it, and the row that a check turns it into.
 */
#include "health/status_row.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/*
 * StatusRowOf deforms a tuple, which must outlive the result, in the current memory context.
 */
StatusRow
StatusRowOf(const StatusTriggerContext *context, HeapTuple tuple)
{
	StatusRow row;

	row.tuple = tuple;
	row.values = palloc(sizeof(Datum) * context->desc->natts);
	row.nulls = palloc(sizeof(bool) * context->desc->natts);
	heap_deform_tuple(tuple, context->desc, row.values, row.nulls);
	return row;
}

/*
 * StatusColumnOf returns the value of a column of a row; null for a column that the table does
 * not have.
 */
NullableDatum
StatusColumnOf(const StatusTriggerContext *context, const StatusRow *row, StatusColumn column)
{
	int			  i = context->layout->attnum[column] - 1;
	NullableDatum result = { (Datum) 0, true };

	if (i < 0)
		return result;
	result.value = row->values[i];
	result.isnull = row->nulls[i];
	return result;
}

/*
 * RequiredStatusColumn is StatusColumnOf for a column that must not be null; 23502 if it is.
 */
Datum
RequiredStatusColumn(const StatusTriggerContext *context, const StatusRow *row,
					 StatusColumn column)
{
	AttrNumber attnum = context->layout->attnum[column];

	if (row->nulls[attnum - 1])
		ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
						errmsg("null value in column \"%s\" of table \"%s\"",
							   NameStr(TupleDescAttr(context->desc, attnum - 1)->attname),
							   RelationGetRelationName(context->data->tg_relation)),
						errtablecol(context->data->tg_relation, attnum)));
	return row->values[attnum - 1];
}

/*
 * SetStatusColumn sets a column of a deformed row, if the table has it.
 */
void
SetStatusColumn(const StatusTriggerContext *context, StatusRow *row, StatusColumn column,
				Datum value, bool isnull)
{
	int i = context->layout->attnum[column] - 1;

	if (i < 0)
		return;
	row->values[i] = value;
	row->nulls[i] = isnull;
}

/*
 * StatusOf returns the status in a row; 23502 if it is null, 22023 for a label that a site
 * added.
 */
HealthState
StatusOf(const StatusTriggerContext *context, const StatusRow *row)
{
	return StateOfLabel(context->layout,
						DatumGetObjectId(RequiredStatusColumn(context, row, COL_STATUS)));
}

/*
 * PairStateOf returns the state of a pair that a stored status row holds.  Errors as for
 * RequiredStatusColumn and StatusOf.
 */
PairState
PairStateOf(const StatusTriggerContext *context, const StatusRow *row)
{
	NullableDatum last_healthy_at = StatusColumnOf(context, row, COL_LAST_HEALTHY_AT);
	PairState	  state;

	state.status = StatusOf(context, row);
	state.checked_at = DatumGetTimestampTz(RequiredStatusColumn(context, row, COL_CHECKED_AT));
	state.status_since =
		DatumGetTimestampTz(RequiredStatusColumn(context, row, COL_STATUS_SINCE));
	state.ever_healthy = !last_healthy_at.isnull;
	state.last_healthy_at = state.ever_healthy ? DatumGetTimestampTz(last_healthy_at.value) : 0;
	state.consecutive_failures =
		DatumGetInt32(RequiredStatusColumn(context, row, COL_CONSECUTIVE_FAILURES));
	state.check_no = DatumGetInt64(RequiredStatusColumn(context, row, COL_CHECK_NO));
	return state;
}

/*
 * StampedRow sets the columns that the extension keeps, by state, and returns the row as a new
 * tuple.
 */
HeapTuple
StampedRow(const StatusTriggerContext *context, StatusRow *row, const PairState *state,
		   TimestampTz recorded_at)
{
	SetStatusColumn(context, row, COL_CHECKED_AT, TimestampTzGetDatum(state->checked_at),
					false);
	SetStatusColumn(context, row, COL_STATUS_SINCE, TimestampTzGetDatum(state->status_since),
					false);
	SetStatusColumn(context, row, COL_LAST_HEALTHY_AT,
					TimestampTzGetDatum(state->last_healthy_at), !state->ever_healthy);
	SetStatusColumn(context, row, COL_CONSECUTIVE_FAILURES,
					Int32GetDatum(state->consecutive_failures), false);
	SetStatusColumn(context, row, COL_CHECK_NO, Int64GetDatum(state->check_no), false);
	SetStatusColumn(context, row, COL_RECORDED_AT, TimestampTzGetDatum(recorded_at), false);
	return heap_form_tuple(context->desc, row->values, row->nulls);
}

/*
 * CheckedAt returns when the check in a row was made, by TimeOfCheck.  Infinity is left for the
 * table's constraint to refuse.
 */
TimestampTz
CheckedAt(const StatusTriggerContext *context, const StatusRow *row, TimestampTz recorded_at)
{
	TimestampTz checked_at =
		DatumGetTimestampTz(RequiredStatusColumn(context, row, COL_CHECKED_AT));

	return TIMESTAMP_NOT_FINITE(checked_at) ? checked_at : TimeOfCheck(checked_at, recorded_at);
}

/*
 * IsSetByStatement tells whether an update sets a column: the statement names it, or a trigger
 * of the site has changed it since.  For MERGE, tg_updatedcols has the columns that any of its
 * actions sets.
 */
static bool
IsSetByStatement(const StatusTriggerContext *context, const StatusRow *old,
				 const StatusRow *new, StatusColumn					   column)
{
	int				  i = context->layout->attnum[column] - 1;
	Form_pg_attribute att;

	if (i < 0)
		return false;
	att = TupleDescAttr(context->desc, i);
	return bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber,
						 context->data->tg_updatedcols) ||
		   old->nulls[i] != new->nulls[i] ||
		   (!old->nulls[i] &&
			!datum_image_eq(old->values[i], new->values[i], att->attbyval, att->attlen));
}

/*
 * MakeWholeCheck completes the check that an update makes: of the columns that it does not set,
 * status stays, checked_at becomes now(), and the others become null, so that nothing is left
 * of the last check.  Returns false, and changes nothing, if the update sets no column of a
 * check.
 */
bool
MakeWholeCheck(const StatusTriggerContext *context, const StatusRow *old, StatusRow *new)
{
	static const StatusColumn said[] = { COL_LATENCY_MS, COL_HTTP_STATUS, COL_ERROR,
										 COL_RETRY_AFTER, COL_CAUSE };
	bool					  is_set[lengthof(said)];
	bool					  sets_time = IsSetByStatement(context, old, new, COL_CHECKED_AT);
	bool is_check = sets_time || IsSetByStatement(context, old, new, COL_STATUS);

	for (size_t i = 0; i < lengthof(said); i++)
	{
		is_set[i] = IsSetByStatement(context, old, new, said[i]);
		is_check = is_check || is_set[i];
	}
	if (!is_check)
		return false;

	for (size_t i = 0; i < lengthof(said); i++)
	{
		if (!is_set[i])
			SetStatusColumn(context, new, said[i], (Datum) 0, true);
	}
	if (!sets_time)
		SetStatusColumn(context, new, COL_CHECKED_AT,
						TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()), false);
	return true;
}

/*
 * KeptRow returns the new row of an update that is not a check, as a tuple in which the columns
 * that the extension keeps are as before.
 */
HeapTuple
KeptRow(const StatusTriggerContext *context, const StatusRow *old, StatusRow *new)
{
	static const StatusColumn kept[] = { COL_STATUS_SINCE, COL_LAST_HEALTHY_AT,
										 COL_CONSECUTIVE_FAILURES, COL_CHECK_NO,
										 COL_RECORDED_AT };

	for (size_t i = 0; i < lengthof(kept); i++)
	{
		NullableDatum value = StatusColumnOf(context, old, kept[i]);

		SetStatusColumn(context, new, kept[i], value.value, value.isnull);
	}
	return heap_form_tuple(context->desc, new->values, new->nulls);
}
