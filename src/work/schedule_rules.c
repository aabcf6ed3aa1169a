/*
 * schedule_rules.c
 *	  Waits between checks, and periods of schedules.
 *	  Pure functions: the cmocka tests link this file as it is.
 */
#include "work/schedule_rules.h"

#include <stdio.h>

/* Days from 0000-03-01 to 2000-01-01, and the average month: 1/12 of 365.2425 days. */
#define DAYS_TO_EPOCH 730425
#define MICROS_PER_MONTH (INT64_C(2629746) * MICROS_PER_SECOND)

/* The longest intervals that a schedule may have. */
#define MAX_EVERY_MONTHS 120
#define MAX_EVERY_DAYS 3660

static int64_t
FloorDiv(int64_t a, int64_t b)
{
	return a / b - (a % b < 0 ? 1 : 0);
}

/*
 * Limited returns at, or the nearest time within FARTHEST_TIME.
 */
static int64_t
Limited(int64_t at)
{
	if (at > FARTHEST_TIME)
		return FARTHEST_TIME;
	return at < -FARTHEST_TIME ? -FARTHEST_TIME : at;
}

/*
 * SpanMicros returns the length of an interval in microseconds, with days of 24 hours and
 * months of 30 days, as PostgreSQL compares intervals; at most FARTHEST_TIME either way.
 */
int64_t
SpanMicros(Span span)
{
	int64_t days = (int64_t) span.months * 30 + span.days;
	int64_t result;

	if (__builtin_mul_overflow(days, MICROS_PER_DAY, &result) ||
		__builtin_add_overflow(result, span.micros, &result))
		return days > 0 || (days == 0 && span.micros > 0) ? FARTHEST_TIME : -FARTHEST_TIME;
	return Limited(result);
}

/*
 * Mix returns a hash in which each bit of the input affects each bit of the output.
 */
static uint64_t
Mix(uint64_t hash)
{
	hash ^= hash >> 32;
	hash *= UINT64_C(0x9e3779b97f4a7c15);
	hash ^= hash >> 29;
	hash *= UINT64_C(0xd6e8feb86659fd93);
	return hash ^ (hash >> 32);
}

/*
 * PairHash returns a number that must stay the same for a pair for ever; org_id has 16 bytes.
 */
uint64_t
PairHash(const unsigned char *org_id, const char *type, size_t type_bytes)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < 16; i++)
		hash = Mix(hash + org_id[i] + 1);
	for (size_t i = 0; i < type_bytes; i++)
		hash = Mix(hash + (unsigned char) type[i] + 1);
	return hash;
}

/*
 * MomentHash returns a hash of a pair and a time.
 */
uint64_t
MomentHash(uint64_t pair_hash, int64_t at)
{
	return Mix(pair_hash ^ Mix((uint64_t) at));
}

/*
 * Share maps a hash to a number from 0 to length, both included; length is 0 or more.
 */
static int64_t
Share(int64_t length, uint64_t hash)
{
	return (int64_t) (hash % ((uint64_t) length + 1));
}

/*
 * FirstDue returns when a new pair is first due: within check_interval, spread evenly by the
 * hash.
 */
int64_t
FirstDue(int64_t now, int64_t check_interval, uint64_t hash)
{
	return Limited(Limited(now) + (check_interval > 0 ? Share(check_interval - 1, hash) : 0));
}

/*
 * Backoff returns the wait after this many failures in a row: check_interval, doubled for each
 * failure after the first, but at most max_backoff and never less than check_interval.
 */
int64_t
Backoff(int64_t check_interval, int64_t max_backoff, int32_t failures)
{
	int64_t wait = check_interval;

	for (int32_t k = 1; k < failures && wait > 0 && wait < max_backoff; k++)
		wait = wait > max_backoff / 2 ? max_backoff : wait * 2;
	return wait;
}

/*
 * WaitForCheck is Backoff with jitter: up to a tenth more if max_backoff allows it, or else up
 * to a tenth less, but never less than check_interval nor more than max_backoff.
 */
int64_t
WaitForCheck(int64_t check_interval, int64_t max_backoff, int32_t failures, uint64_t hash)
{
	int64_t wait = Backoff(check_interval, max_backoff, failures);
	int64_t jitter = wait / JITTER_SHARE;
	int64_t longest = wait > max_backoff - jitter ? max_backoff : wait + jitter;
	int64_t shortest = longest - jitter;

	if (shortest < check_interval)
		shortest = check_interval;
	return longest > shortest ? shortest + Share(longest - shortest, hash) : shortest;
}

/*
 * CheckReadyAt returns when a pair that was handed out at claimed_at may be handed out again.
 * The result depends on the arguments only, not on when it is asked for.
 */
int64_t
CheckReadyAt(int64_t claimed_at, int64_t check_interval, int64_t max_backoff, int32_t failures,
			 uint64_t pair_hash)
{
	return Limited(Limited(claimed_at) + WaitForCheck(check_interval, max_backoff, failures,
													  MomentHash(pair_hash, claimed_at)));
}

/*
 * DaysBeforeYear returns the number of days from 0000-03-01 to March 1 of a year.  Years are
 * counted from March, so that a leap day is the last day of its year.
 */
static int64_t
DaysBeforeYear(int64_t year)
{
	return 365 * year + FloorDiv(year, 4) - FloorDiv(year, 100) + FloorDiv(year, 400);
}

/*
 * DayOfDate returns the number of days from 2000-01-01 to a date; month is 1 to 12.
 */
static int64_t
DayOfDate(int64_t year, int month, int day)
{
	int months_since_march = (month + 9) % 12;

	return DaysBeforeYear(month <= 2 ? year - 1 : year) + (153 * months_since_march + 2) / 5 +
		   day - 1 - DAYS_TO_EPOCH;
}

/*
 * DateOfDay is the inverse of DayOfDate.
 */
static void
DateOfDay(int64_t day_number, int64_t *year, int *month, int *day)
{
	int64_t day_count = day_number + DAYS_TO_EPOCH;
	int64_t march_year = FloorDiv(day_count * 400, 146097);
	int		day_of_year;
	int		months_since_march;

	/* At the start or end of a year, the quotient may be one off. */
	while (DaysBeforeYear(march_year) > day_count)
		march_year--;
	while (DaysBeforeYear(march_year + 1) <= day_count)
		march_year++;

	day_of_year = (int) (day_count - DaysBeforeYear(march_year));
	months_since_march = (5 * day_of_year + 2) / 153;
	*day = day_of_year - (153 * months_since_march + 2) / 5 + 1;
	*month = months_since_march < 10 ? months_since_march + 3 : months_since_march - 9;
	*year = march_year + (*month <= 2 ? 1 : 0);
}

/*
 * AddMonths returns the same day of the month that many months later, or the last day of that
 * month if it has no such day.
 */
static int64_t
AddMonths(int64_t day_number, int64_t months)
{
	int64_t year;
	int64_t month_count;
	int		month;
	int		day;
	int		last;

	DateOfDay(day_number, &year, &month, &day);
	month_count = year * 12 + month - 1 + months;
	year = FloorDiv(month_count, 12);
	month = (int) (month_count - year * 12) + 1;
	last = (int) (DayOfDate(month == 12 ? year + 1 : year, month % 12 + 1, 1) -
				  DayOfDate(year, month, 1));
	return DayOfDate(year, month, day < last ? day : last);
}

/*
 * UtcOfLocal returns the time at which the clocks of a zone show local.  If there are two,
 * because the clocks are put back, it is the first.  If there is none, because the clocks are
 * put forward past it, the result is later by as much as they are put forward.
 */
static int64_t
UtcOfLocal(const SyncPlan *plan, int64_t local)
{
	int64_t before = plan->offset(plan->zone, local - MICROS_PER_DAY);
	int64_t after = plan->offset(plan->zone, local + MICROS_PER_DAY);

	if (plan->offset(plan->zone, local - before) == before ||
		plan->offset(plan->zone, local - after) != after)
		return local - before;
	return local - after;
}

/*
 * EveryIsValid tells whether a schedule may have this interval: days and months, or else a time
 * of a minute or more.
 */
bool
EveryIsValid(Span every)
{
	if (every.months < 0 || every.days < 0 || every.micros < 0)
		return false;
	if (every.months == 0 && every.days == 0)
		return every.micros >= MICROS_PER_MINUTE &&
			   every.micros <= MAX_EVERY_DAYS * MICROS_PER_DAY;
	return every.micros == 0 && every.months <= MAX_EVERY_MONTHS &&
		   every.days <= MAX_EVERY_DAYS;
}

static bool
IsOnCalendar(const SyncPlan *plan)
{
	return plan->every.micros == 0;
}

/*
 * PeriodAt sets *at to the time of period number n of a schedule; false if n is negative or the
 * time is beyond FARTHEST_TIME.  Period 0 is the anchor.  No period is before one with a lower
 * number.
 */
bool
PeriodAt(const SyncPlan *plan, int64_t n, int64_t *at)
{
	int64_t distance;
	int64_t local;
	int64_t day;

	if (__builtin_mul_overflow(n,
							   IsOnCalendar(plan) ? plan->every.months * MICROS_PER_MONTH +
														plan->every.days * MICROS_PER_DAY
												  : plan->every.micros,
							   &distance) ||
		n < 0 || distance > FARTHEST_TIME || plan->anchor > FARTHEST_TIME - distance ||
		plan->anchor < -FARTHEST_TIME)
		return false;

	*at = plan->anchor + distance;
	if (!IsOnCalendar(plan) || n == 0)
		return true;

	local = plan->anchor + plan->offset(plan->zone, plan->anchor);
	day = FloorDiv(local, MICROS_PER_DAY);
	local -= day * MICROS_PER_DAY;
	day = AddMonths(day, n * plan->every.months) + n * plan->every.days;
	*at = UtcOfLocal(plan, day * MICROS_PER_DAY + local);
	return true;
}

/*
 * LastPeriod returns the number of the last period that is not after a time, or -1 if there is
 * none.
 */
int64_t
LastPeriod(const SyncPlan *plan, int64_t at)
{
	int64_t n;
	int64_t period;

	at = Limited(at);
	if (at < plan->anchor || !PeriodAt(plan, 0, &period))
		return -1;
	if (!IsOnCalendar(plan))
		return (at - plan->anchor) / plan->every.micros;

	/* Based on the average length of a month, this is off by a few periods at most. */
	n = (at - plan->anchor) /
		(plan->every.months * MICROS_PER_MONTH + plan->every.days * MICROS_PER_DAY);
	while (n > 0 && (!PeriodAt(plan, n, &period) || period > at))
		n--;
	while (PeriodAt(plan, n + 1, &period) && period <= at)
		n++;
	return n;
}

/*
 * NextPeriod sets *at to the first period after a time; false as for PeriodAt.
 */
bool
NextPeriod(const SyncPlan *plan, int64_t after, int64_t *at)
{
	return PeriodAt(plan, LastPeriod(plan, after) + 1, at);
}
