/*
 * check_rules.c
 *	  Slot arithmetic, streaks of equal statuses, late checks.
 *	  Pure functions: the cmocka tests link this file as it is.
 */
#include "health/check_rules.h"

#define MICROSECONDS_PER_DAY (INT64_C(86400) * 1000000)

/*
 * HistorySlot returns the slot of the ring, 0 to 95, for check number check_no (1 or more).
 */
int16_t
HistorySlot(int64_t check_no)
{
	return (int16_t) (check_no % HISTORY_SLOTS);
}

/*
 * TimeOfCheck returns when a check was made: at checked_at, but not later than it was recorded,
 * so that a clock that is ahead cannot make all later checks of the pair late.
 */
int64_t
TimeOfCheck(int64_t checked_at, int64_t recorded_at)
{
	return checked_at < recorded_at ? checked_at : recorded_at;
}

/*
 * CheckIsLate tells whether a check made at checked_at is older than the current one.  A check
 * with the same time is not late: it replaces the current one.
 */
bool
CheckIsLate(const PairState *current, int64_t checked_at)
{
	return checked_at < current->checked_at;
}

/*
 * DayOf returns the number of the UTC day of a time.
 */
static int64_t
DayOf(int64_t at)
{
	return at / MICROSECONDS_PER_DAY - (at % MICROSECONDS_PER_DAY < 0);
}

/*
 * BeginsDay tells whether a check made at checked_at is the first of a UTC day, if the one
 * before it was made at before.
 */
bool
BeginsDay(int64_t before, int64_t checked_at)
{
	return DayOf(before) < DayOf(checked_at);
}

/*
 * HttpStatusTells sets *cause to the cause of a failed check that an HTTP status code tells (RFC
 * 9110, section 15); false if it tells none.
 */
bool
HttpStatusTells(int32_t http_status, HttpCause *cause)
{
	if (http_status < 400 || http_status > 599)
		return false;
	if (http_status == 401 || http_status == 403 || http_status == 407)
		*cause = CAUSE_AUTH;
	else if (http_status == 429)
		*cause = CAUSE_RATE_LIMITED;
	else
		*cause = http_status < 500 ? CAUSE_CONFIGURATION : CAUSE_SERVER;
	return true;
}

/*
 * FirstCheck returns the state of a pair after its first check.
 */
PairState
FirstCheck(HealthState status, int64_t checked_at)
{
	PairState first;

	first.status = status;
	first.checked_at = checked_at;
	first.status_since = checked_at;
	first.ever_healthy = (status == HEALTH_HEALTHY);
	first.last_healthy_at = first.ever_healthy ? checked_at : 0;
	first.consecutive_failures = (status == HEALTH_UNHEALTHY) ? 1 : 0;
	first.check_no = 1;
	return first;
}

/*
 * NextCheck returns the state of a pair after one more check.  A late check only increments
 * check_no.
 */
PairState
NextCheck(const PairState *current, HealthState status, int64_t checked_at)
{
	PairState next = *current;

	next.check_no = current->check_no + 1;
	if (CheckIsLate(current, checked_at))
		return next;

	next.status = status;
	next.checked_at = checked_at;
	if (status != current->status)
		next.status_since = checked_at;

	switch (status)
	{
		case HEALTH_HEALTHY:
			next.ever_healthy = true;
			next.last_healthy_at = checked_at;
			next.consecutive_failures = 0;
			break;
		case HEALTH_DEGRADED:
			next.consecutive_failures = 0;
			break;
		case HEALTH_UNHEALTHY:
			if (next.consecutive_failures < INT32_MAX)
				next.consecutive_failures++;
			break;
		case HEALTH_UNKNOWN:
			break;
	}
	return next;
}
