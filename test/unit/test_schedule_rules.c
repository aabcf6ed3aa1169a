/*
 * test_schedule_rules.c
 *	  cmocka tests of the rules for schedules: waits, and periods across changes of clocks and
 *	  months.  The time zones are made up, so neither a server nor symbols of the backend are
 *	  needed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "work/schedule_rules.h"

#define MINUTE MICROS_PER_MINUTE
#define HOUR (60 * MINUTE)
#define DAY MICROS_PER_DAY

/* A zone whose clocks are put forward at one time and back at another. */
typedef struct Zone
{
	int64_t standard;
	int64_t forward_at;
	int64_t back_at;
	int64_t by;
} Zone;

static int64_t
OffsetIn(void *zone, int64_t at)
{
	const Zone *z = zone;

	return z->standard + (at >= z->forward_at && at < z->back_at ? z->by : 0);
}

static Zone utc = { 0, 0, 0, 0 };

static SyncPlan
Plan(int32_t months, int32_t days, int64_t micros, int64_t anchor, Zone *zone)
{
	SyncPlan plan = { { months, days, micros }, anchor, OffsetIn, zone };

	return plan;
}

/* Returns the time of period number n, which must exist. */
static int64_t
At(const SyncPlan *plan, int64_t n)
{
	int64_t at;

	assert_true(PeriodAt(plan, n, &at));
	return at;
}

static void
assert_utc(int64_t at, const char *expected)
{
	int64_t	  micros = ((at % MICROS_PER_SECOND) + MICROS_PER_SECOND) % MICROS_PER_SECOND;
	time_t	  seconds = (at - micros) / MICROS_PER_SECOND + 946684800;
	struct tm utc_time;
	char	  text[80];
	int		  length;

	gmtime_r(&seconds, &utc_time);
	length = snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d",
					  utc_time.tm_year + 1900, utc_time.tm_mon + 1, utc_time.tm_mday,
					  utc_time.tm_hour, utc_time.tm_min, utc_time.tm_sec);
	if (micros != 0)
		length += snprintf(text + length, sizeof(text) - length, ".%06d", (int) micros);
	snprintf(text + length, sizeof(text) - length, "Z");
	assert_string_equal(text, expected);
}

static void
backoff_doubles_up_to_the_limit(void **state)
{
	int64_t interval = 15 * MINUTE;
	int64_t limit = 24 * HOUR;

	(void) state;
	assert_int_equal(Backoff(interval, limit, -1), interval);
	assert_int_equal(Backoff(interval, limit, 0), interval);
	assert_int_equal(Backoff(interval, limit, 1), interval);
	assert_int_equal(Backoff(interval, limit, 2), 2 * interval);
	assert_int_equal(Backoff(interval, limit, 3), 4 * interval);
	assert_int_equal(Backoff(interval, limit, 7), 64 * interval);
	assert_int_equal(Backoff(interval, limit, 8), limit);
	assert_int_equal(Backoff(interval, limit, 1000), limit);
	assert_int_equal(Backoff(interval, limit, INT32_MAX), limit);
	assert_int_equal(Backoff(interval, interval, 1000), interval);
	assert_int_equal(Backoff(interval, interval + 1, 2), interval + 1);
	assert_int_equal(Backoff(FARTHEST_TIME, FARTHEST_TIME, INT32_MAX), FARTHEST_TIME);
	assert_int_equal(Backoff(1, FARTHEST_TIME, INT32_MAX), FARTHEST_TIME);
	assert_int_equal(Backoff(0, FARTHEST_TIME, INT32_MAX), 0);
	assert_int_equal(Backoff(-1, FARTHEST_TIME, INT32_MAX), -1);
	for (int k = 1; k < 100; k++)
		assert_true(Backoff(interval, limit, k) >= Backoff(interval, limit, k - 1));
}

static void
jitter_stays_within_its_bounds(void **state)
{
	static const int64_t limits[] = { 15 * MINUTE, 16 * MINUTE, 24 * HOUR, FARTHEST_TIME };

	(void) state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
	{
		for (int32_t k = 0; k < 1000; k += k < 20 ? 1 : 97)
		{
			int64_t wait = Backoff(15 * MINUTE, limits[i], k);
			int64_t least = INT64_MAX;
			int64_t most = 0;

			for (uint64_t seed = 0; seed < 200; seed++)
			{
				int64_t jittered = WaitForCheck(15 * MINUTE, limits[i], k,
												MomentHash(seed, (int64_t) seed * DAY));

				assert_true(jittered >= 15 * MINUTE);
				assert_true(jittered <= limits[i]);
				assert_true(jittered >= wait - wait / JITTER_SHARE);
				assert_true(jittered <= wait + wait / JITTER_SHARE);
				least = jittered < least ? jittered : least;
				most = jittered > most ? jittered : most;
			}
			/* Where there is room, the jitter must spread over more than half of its range. */
			if (limits[i] > 16 * MINUTE)
				assert_true(most - least > wait / JITTER_SHARE / 2);
		}
	}
	assert_int_equal(WaitForCheck(FARTHEST_TIME, FARTHEST_TIME, INT32_MAX, UINT64_MAX),
					 FARTHEST_TIME);
}

static void
a_pair_is_ready_at_one_time(void **state)
{
	unsigned char org[16] = { 1 };
	uint64_t	  pair = PairHash(org, "xledger", 7);

	(void) state;
	assert_int_equal(CheckReadyAt(5 * DAY, HOUR, DAY, 3, pair),
					 CheckReadyAt(5 * DAY, HOUR, DAY, 3, pair));
	assert_true(CheckReadyAt(5 * DAY, HOUR, DAY, 0, pair) ==
				CheckReadyAt(5 * DAY, HOUR, DAY, 1, pair));
	assert_true(CheckReadyAt(INT64_MAX, HOUR, DAY, 3, pair) <= FARTHEST_TIME);
	assert_true(CheckReadyAt(INT64_MIN, HOUR, DAY, 3, pair) <= -FARTHEST_TIME + 2 * DAY);
}

static void
first_checks_are_spread_over_the_interval(void **state)
{
	int			  bucket[10] = { 0 };
	unsigned char org[16] = { 0 };

	(void) state;
	for (int i = 0; i < 10000; i++)
	{
		int64_t due;

		org[14] = (unsigned char) (i >> 8);
		org[15] = (unsigned char) i;
		due = FirstDue(DAY, 15 * MINUTE, PairHash(org, "xledger", 7));
		assert_true(due >= DAY && due < DAY + 15 * MINUTE);
		bucket[(due - DAY) / (15 * MINUTE / 10)]++;
	}
	for (int i = 0; i < 10; i++)
		assert_true(bucket[i] > 850 && bucket[i] < 1150);
	assert_int_not_equal(PairHash(org, "xledger", 7), PairHash(org, "dynamics", 8));
	assert_int_equal(FirstDue(INT64_MAX, DAY, 7), FARTHEST_TIME);
	assert_int_equal(FirstDue(0, 0, 7), 0);
}

static void
spans_are_as_long_as_intervals_compare(void **state)
{
	(void) state;
	assert_int_equal(SpanMicros((Span){ 0, 0, HOUR }), HOUR);
	assert_int_equal(SpanMicros((Span){ 1, 2, 3 }), 32 * DAY + 3);
	assert_int_equal(SpanMicros((Span){ -1, 30, 0 }), 0);
	assert_int_equal(SpanMicros((Span){ INT32_MAX, INT32_MAX, INT64_MAX }), FARTHEST_TIME);
	assert_int_equal(SpanMicros((Span){ INT32_MIN, INT32_MIN, INT64_MIN }), -FARTHEST_TIME);
	assert_int_equal(SpanMicros((Span){ 0, 0, INT64_MAX }), FARTHEST_TIME);
	assert_int_equal(SpanMicros((Span){ 0, 0, INT64_MIN }), -FARTHEST_TIME);
	assert_int_equal(SpanMicros((Span){ 0, 1, INT64_MAX }), FARTHEST_TIME);
}

static void
intervals_of_schedules_are_checked(void **state)
{
	static const Span good[] = { { 0, 0, MINUTE },	  { 0, 1, 0 },		{ 1, 0, 0 },
								 { 1, 14, 0 },		  { 120, 3660, 0 }, { 0, 0, 36 * HOUR },
								 { 0, 0, 3660 * DAY } };
	static const Span bad[] = { { 0, 0, 0 },		 { 0, 0, MINUTE - 1 },
								{ 0, 0, -MINUTE },	 { -1, 0, 0 },
								{ 0, -1, 0 },		 { 1, -1, 0 },
								{ 0, 1, HOUR },		 { 1, 0, 1 },
								{ 121, 0, 0 },		 { 0, 3661, 0 },
								{ 0, 0, INT64_MAX }, { INT32_MAX, INT32_MAX, INT64_MAX },
								{ 0, 1, -1 } };

	(void) state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(EveryIsValid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(EveryIsValid(bad[i]));
}

static void
elapsed_time_is_counted_exactly(void **state)
{
	Zone	 zone = { HOUR, 10 * DAY, 200 * DAY, HOUR };
	SyncPlan plan = Plan(0, 0, DAY, 0, &zone);

	(void) state;
	for (int64_t n = 0; n < 400; n++)
		assert_int_equal(At(&plan, n), n * DAY);
	assert_int_equal(LastPeriod(&plan, -1), -1);
	assert_int_equal(LastPeriod(&plan, 0), 0);
	assert_int_equal(LastPeriod(&plan, DAY - 1), 0);
	assert_int_equal(LastPeriod(&plan, DAY), 1);
}

static void
days_keep_the_time_on_the_wall(void **state)
{
	/* 02:30 every day; clocks go from 02:00 to 03:00 on day 10, 03:00 to 02:00 on day 20. */
	Zone	 zone = { HOUR, 10 * DAY + HOUR, 20 * DAY + HOUR, HOUR };
	SyncPlan plan = Plan(0, 1, 0, 90 * MINUTE, &zone);

	(void) state;
	for (int64_t n = 0; n < 30; n++)
	{
		int64_t at = At(&plan, n);
		int64_t on_the_wall = (at + OffsetIn(&zone, at)) % DAY;

		/* A time that the clocks skip becomes later by as much as they jump. */
		assert_int_equal(on_the_wall, n == 10 ? 210 * MINUTE : 150 * MINUTE);
		assert_int_equal(LastPeriod(&plan, at), n);
		assert_int_equal(LastPeriod(&plan, at - 1), n - 1);
	}
	assert_int_equal(At(&plan, 9), 9 * DAY + 90 * MINUTE);
	assert_int_equal(At(&plan, 10), 10 * DAY + 90 * MINUTE);
	assert_int_equal(At(&plan, 11), 11 * DAY + 30 * MINUTE);
	/* Of two times at which the clocks show 02:30, the first is the period. */
	assert_int_equal(At(&plan, 20), 20 * DAY + 30 * MINUTE);
	assert_int_equal(At(&plan, 21), 21 * DAY + 90 * MINUTE);

	/* If the anchor is the second of them, it is still period 0. */
	plan.anchor = 20 * DAY + 90 * MINUTE;
	assert_int_equal(At(&plan, 0), plan.anchor);
	assert_int_equal(At(&plan, 1), 21 * DAY + 90 * MINUTE);
}

static void
a_day_that_a_zone_leaves_out_is_the_next(void **state)
{
	Zone	 zone = { -10 * HOUR, 30 * DAY + 10 * HOUR, INT64_MAX, 24 * HOUR };
	SyncPlan plan = Plan(0, 1, 0, 18 * HOUR, &zone);

	(void) state;
	assert_int_equal(At(&plan, 29), 29 * DAY + 18 * HOUR);
	assert_int_equal(At(&plan, 30), At(&plan, 31));
	assert_int_equal(LastPeriod(&plan, At(&plan, 30)), 31);
	for (int64_t n = 0; n < 60; n++)
		assert_true(At(&plan, n + 1) >= At(&plan, n));
}

static void
months_end_when_they_end(void **state)
{
	/* The anchor is 2000-01-31. */
	SyncPlan plan = Plan(1, 0, 0, 30 * DAY + 5, &utc);

	(void) state;
	assert_utc(At(&plan, 0), "2000-01-31T00:00:00.000005Z");
	assert_utc(At(&plan, 1), "2000-02-29T00:00:00.000005Z");
	assert_utc(At(&plan, 2), "2000-03-31T00:00:00.000005Z");
	assert_utc(At(&plan, 3), "2000-04-30T00:00:00.000005Z");
	assert_utc(At(&plan, 12), "2001-01-31T00:00:00.000005Z");
	assert_utc(At(&plan, 13), "2001-02-28T00:00:00.000005Z");
	assert_utc(At(&plan, 12 * 100 + 1), "2100-02-28T00:00:00.000005Z");
	assert_utc(At(&plan, 12 * 400 + 1), "2400-02-29T00:00:00.000005Z");
	plan.every.months = 48;
	plan.anchor = 59 * DAY;
	assert_utc(At(&plan, 0), "2000-02-29T00:00:00Z");
	assert_utc(At(&plan, 1), "2004-02-29T00:00:00Z");
	assert_utc(At(&plan, 25), "2100-02-28T00:00:00Z");
	assert_utc(At(&plan, 26), "2104-02-29T00:00:00Z");
}

static void
every_period_is_found_again(void **state)
{
	static const Span spans[] = { { 0, 0, MINUTE }, { 0, 0, 36 * HOUR }, { 0, 1, 0 },
								  { 0, 7, 0 },		{ 1, 0, 0 },		 { 1, 1, 0 },
								  { 12, 0, 0 },		{ 7, 100, 0 },		 { 120, 3660, 0 } };
	Zone			  zone = { -3 * HOUR, 1000 * DAY, 1200 * DAY, HOUR };

	(void) state;
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
	{
		for (int anchor = -200000; anchor < 200000; anchor += 39997)
		{
			SyncPlan plan = Plan(spans[i].months, spans[i].days, spans[i].micros,
								 anchor * DAY + 7 * HOUR, &zone);

			for (int64_t n = 0; n < 3000; n = n < 50 ? n + 1 : n * 2)
			{
				int64_t at = At(&plan, n);
				int64_t next;

				assert_int_equal(LastPeriod(&plan, at), n);
				assert_int_equal(LastPeriod(&plan, at - 1), n - 1);
				assert_true(NextPeriod(&plan, at - 1, &next) && next == at);
				assert_true(NextPeriod(&plan, at, &next) && next > at);
			}
		}
	}
}

static void
periods_beyond_all_times_are_none(void **state)
{
	SyncPlan plan = Plan(0, 0, MINUTE, 0, &utc);
	int64_t	 at;

	(void) state;
	assert_false(PeriodAt(&plan, -1, &at));
	assert_false(PeriodAt(&plan, INT64_MAX, &at));
	assert_false(PeriodAt(&plan, FARTHEST_TIME / MINUTE + 1, &at));
	assert_true(PeriodAt(&plan, FARTHEST_TIME / MINUTE, &at));
	assert_false(NextPeriod(&plan, INT64_MAX, &at));
	assert_true(NextPeriod(&plan, INT64_MIN, &at) && at == 0);
	assert_int_equal(LastPeriod(&plan, INT64_MIN), -1);

	plan = Plan(120, 0, 0, 0, &utc);
	assert_false(PeriodAt(&plan, INT64_MAX, &at));
	assert_false(PeriodAt(&plan, INT64_MAX / 120, &at));
	assert_true(LastPeriod(&plan, INT64_MAX) > 0);
	plan.anchor = INT64_MAX;
	assert_false(PeriodAt(&plan, 0, &at));
	assert_int_equal(LastPeriod(&plan, INT64_MAX), -1);
	plan.anchor = INT64_MIN;
	assert_false(PeriodAt(&plan, 0, &at));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(backoff_doubles_up_to_the_limit),
		cmocka_unit_test(jitter_stays_within_its_bounds),
		cmocka_unit_test(a_pair_is_ready_at_one_time),
		cmocka_unit_test(first_checks_are_spread_over_the_interval),
		cmocka_unit_test(spans_are_as_long_as_intervals_compare),
		cmocka_unit_test(intervals_of_schedules_are_checked),
		cmocka_unit_test(elapsed_time_is_counted_exactly),
		cmocka_unit_test(days_keep_the_time_on_the_wall),
		cmocka_unit_test(a_day_that_a_zone_leaves_out_is_the_next),
		cmocka_unit_test(months_end_when_they_end),
		cmocka_unit_test(every_period_is_found_again),
		cmocka_unit_test(periods_beyond_all_times_are_none),
	};

	return cmocka_run_group_tests_name("schedule rules", tests, NULL, NULL);
}
