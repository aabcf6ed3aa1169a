/*
 * schedule_rules.c
 *	  libFuzzer target: any schedule in any zone, and any wait, keeps the contract.
 */
#include "fuzz.h"

#include "work/schedule_rules.h"

#define NEAR (FARTHEST_TIME / 2)
#define MAX_OFFSET (12 * 60 * MICROS_PER_MINUTE)

/* A zone whose clocks change twice, each time by at most a day, as real clocks have. */
typedef struct Zone
{
	int64_t from[2];
	int64_t offset[3];
} Zone;

static int64_t
OffsetIn(void *zone, int64_t at)
{
	const Zone *z = zone;

	return z->offset[at < z->from[0] ? 0 : at < z->from[1] ? 1 : 2];
}

/* AnyTime takes a time: half of them within 68 years of the epoch, the others anywhere. */
static int64_t
AnyTime(Bytes *in)
{
	return TakeInt(in, 1) & 1 ? TakeInt(in, 8) >> (TakeInt(in, 1) & 7)
							  : TakeInt(in, 4) * 1000 * 1000;
}

static Zone
AnyZone(Bytes *in)
{
	Zone zone;

	for (int i = 0; i < 3; i++)
		zone.offset[i] =
			TakeInt(in, 1) * (MAX_OFFSET / 128) / MICROS_PER_SECOND * MICROS_PER_SECOND;
	zone.from[0] = TakeInt(in, 4) * MICROS_PER_SECOND;
	/* If the clocks changed twice within three days, no rule could convert every local time. */
	zone.from[1] =
		zone.from[0] + 3 * MICROS_PER_DAY + (TakeInt(in, 4) & INT32_MAX) * MICROS_PER_SECOND;
	return zone;
}

static Span
AnySpan(Bytes *in)
{
	Span span = { 0, 0, 0 };
	int	 kind = (int) (TakeInt(in, 1) & 7);

	if (kind == 0 || kind == 7)
		span.micros = kind == 0 ? TakeInt(in, 5) : TakeInt(in, 8);
	if (kind == 1 || kind == 3 || kind == 7)
		span.days = (int32_t) TakeInt(in, kind == 7 ? 4 : 1);
	if (kind == 2 || kind == 3 || kind == 7)
		span.months = (int32_t) TakeInt(in, kind == 7 ? 4 : 1);
	if (kind == 4)
		span.micros = (TakeInt(in, 2) & 0x7fff) * MICROS_PER_MINUTE;
	return span;
}

/* Periods are in order, none is left out, and the rules agree with each other about them. */
static void
CheckPlan(Bytes *in)
{
	Zone	 zone = AnyZone(in);
	SyncPlan plan = { AnySpan(in), AnyTime(in), OffsetIn, &zone };
	int64_t	 at = AnyTime(in);
	int64_t	 n;
	int64_t	 period;
	int64_t	 next;

	if (!EveryIsValid(plan.every))
		return;
	/* Farther away there may be no period, and nothing more is promised. */
	if (plan.anchor < -NEAR || plan.anchor > NEAR || at < -NEAR || at > NEAR)
	{
		if (PeriodAt(&plan, LastPeriod(&plan, at), &period))
			HOLDS(period >= plan.anchor);
		return;
	}
	n = LastPeriod(&plan, at);
	HOLDS(n >= -1);
	if (n >= 0)
	{
		HOLDS(PeriodAt(&plan, n, &period));
		HOLDS(period <= at);
		HOLDS(n > 0 || period == plan.anchor);
		/* The last period at its own time is itself, or a later one at the same time. */
		HOLDS(LastPeriod(&plan, period) >= n);
		HOLDS(PeriodAt(&plan, LastPeriod(&plan, period), &next) && next == period);
	}
	else
		HOLDS(at < plan.anchor);

	if (NextPeriod(&plan, at, &next))
	{
		HOLDS(next > at);
		HOLDS(n < 0 || next >= period);
		/* Periods counted in elapsed time are that far apart, whatever the clocks do. */
		if (n >= 0 && plan.every.micros > 0)
			HOLDS(next - period == plan.every.micros);
		if (n >= 0 && plan.every.micros == 0)
		{
			int64_t shown = period + OffsetIn(&zone, period);
			int64_t wanted = plan.anchor + OffsetIn(&zone, plan.anchor);
			int64_t off = (shown - wanted) % MICROS_PER_DAY;

			/* Days and months keep the local time, except where the clocks skip it. */
			HOLDS(off == 0 || zone.offset[0] != zone.offset[1] ||
				  zone.offset[1] != zone.offset[2]);
		}
	}
}

static void
CheckWait(Bytes *in)
{
	int64_t	 interval = 15 * MICROS_PER_MINUTE + (TakeInt(in, 7) & ((INT64_C(1) << 50) - 1));
	int64_t	 limit = interval + (TakeInt(in, 8) & ((INT64_C(1) << 60) - 1));
	int32_t	 failures = (int32_t) TakeInt(in, 4);
	uint64_t hash = (uint64_t) TakeInt(in, 8);
	int64_t	 at = AnyTime(in);
	int64_t	 wait = Backoff(interval, limit, failures);
	int64_t	 jittered = WaitForCheck(interval, limit, failures, hash);
	int64_t	 ready = CheckReadyAt(at, interval, limit, failures, hash);

	HOLDS(wait >= interval && wait <= limit);
	HOLDS(failures > 1 || wait == interval);
	if (failures > 1 && failures < INT32_MAX)
	{
		int64_t before = Backoff(interval, limit, failures - 1);

		HOLDS(wait == limit || wait == 2 * before);
		HOLDS(Backoff(interval, limit, failures + 1) >= wait);
	}
	HOLDS(jittered >= interval && jittered <= limit);
	HOLDS(jittered >= wait - wait / JITTER_SHARE && jittered <= wait + wait / JITTER_SHARE);
	HOLDS(ready == CheckReadyAt(at, interval, limit, failures, hash));
	if (at > -FARTHEST_TIME && at < FARTHEST_TIME - limit && limit < FARTHEST_TIME)
		HOLDS(ready - at >= interval && ready - at <= limit);
	HOLDS(FirstDue(0, interval, hash) >= 0 && FirstDue(0, interval, hash) < interval);
}

static void
CheckSpan(Bytes *in)
{
	Span span = AnySpan(in);

	HOLDS(SpanMicros(span) >= -FARTHEST_TIME && SpanMicros(span) <= FARTHEST_TIME);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bytes in = { data, size };

	while (in.left > 0)
	{
		switch (TakeInt(&in, 1) & 7)
		{
			case 0:
				CheckWait(&in);
				break;
			case 1:
				CheckSpan(&in);
				break;
			default:
				CheckPlan(&in);
		}
	}
	return 0;
}
