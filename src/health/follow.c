/*
 * follow.c
 *	  Calls the SQL that applies what follows from a check.  Most checks call nothing.
 */
#include "health/follow.h"

#include "catalog/pg_type.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/private_call.h"
#include "citus/shard_plans.h"
#include "health/pending.h"

/*
 * Follow has follow_checks apply what follows from a check at the end of the statement or, where
 * version 1.0 has not been updated yet, calls what it had in its place.  status_before is null for
 * the first check of a pair.
 */
static void
Follow(const StatusTriggerContext *context, const StatusRow *row, NullableDatum status_before,
	   int32 failures_before, const PairState *after)
{
	const StatusLayout *layout = context->layout;
	PrivateArgument		org_id = { UUIDOID,
								   { RequiredStatusColumn(context, row, COL_ORG_ID), false } };
	PrivateArgument		type = {
			TEXTOID, { RequiredStatusColumn(context, row, COL_INTEGRATION_TYPE), false }
	};
	PrivateArgument was = { layout->state_type, status_before };
	PrivateArgument is_now = { layout->state_type,
							   { ObjectIdGetDatum(layout->label[after->status]), false } };
	PrivateArgument failed_before = { INT4OID, { Int32GetDatum(failures_before), false } };
	PrivateArgument failed = { INT4OID, { Int32GetDatum(after->consecutive_failures), false } };
	PrivateArgument made = { TIMESTAMPTZOID,
							 { TimestampTzGetDatum(after->checked_at), false } };
	PrivateArgument number = { INT8OID, { Int64GetDatum(after->check_no), false } };
	PrivateArgument http_status = { INT4OID, StatusColumnOf(context, row, COL_HTTP_STATUS) };
	PrivateArgument cause = { layout->cause_type, StatusColumnOf(context, row, COL_CAUSE) };

	if (layout->has_causes)
	{
		PrivateArgument check[] = { org_id, type, was,	  is_now,	   failed_before,
									failed, made, number, http_status, cause };

		StaticAssertStmt(lengthof(check) == PENDING_COLUMNS,
						 "follow_checks has other arguments");
		AddPendingCheck(context->data, check);
	}
	else if (status_before.isnull)
	{
		PrivateArgument first[] = { org_id, type, is_now, http_status, made };

		CallPrivate("follow_first_check", lengthof(first), first);
	}
	else
	{
		PrivateArgument change[] = { org_id,		type,	was,  is_now,
									 failed_before, failed, made, number };

		CallPrivate("follow_change", lengthof(change), change);
	}
}

/*
 * FollowFirstCheck does what follows from the first check of a pair.
 */
void
FollowFirstCheck(const StatusTriggerContext *context, const StatusRow *row,
				 const PairState *first)
{
	NullableDatum none = { (Datum) 0, true };

	Follow(context, row, none, 0, first);
}

/*
 * FollowCheck does what follows from a check that changed the status of its pair or the number
 * of failures in a row.  It closes the day before at once, if the check begins one, because
 * the ring is about to lose a check of that day; version 1.0 knows no days.
 */
void
FollowCheck(const StatusTriggerContext *context, const StatusRow *row, const PairState *before,
			const PairState *after)
{
	const StatusLayout *layout = context->layout;
	NullableDatum status_before = { ObjectIdGetDatum(layout->label[before->status]), false };

	if (layout->has_causes && BeginsDay(before->checked_at, after->checked_at))
	{
		PrivateArgument day[] = {
			{ UUIDOID, { RequiredStatusColumn(context, row, COL_ORG_ID), false } },
			{ TEXTOID, { RequiredStatusColumn(context, row, COL_INTEGRATION_TYPE), false } },
			{ TIMESTAMPTZOID, { TimestampTzGetDatum(before->checked_at), false } },
		};

		int level = EnterShard(RelationGetRelid(context->data->tg_relation));

		CallPrivate("close_day", lengthof(day), day);
		LeaveShard(level);
	}
	if (after->status != before->status ||
		after->consecutive_failures != before->consecutive_failures)
		Follow(context, row, status_before, before->consecutive_failures, after);
}
