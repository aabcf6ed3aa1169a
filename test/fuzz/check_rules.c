/*
 * check_rules.c
 *	  libFuzzer target: any sequence of checks of a pair, from any state, keeps the contract.
 */
#include "fuzz.h"

#include "health/check_rules.h"

/* AnyState takes a state as a site may have restored it, limited only by the constraints. */
static PairState
AnyState(Bytes *in)
{
	PairState pair;

	pair.status = (HealthState) (TakeInt(in, 1) & 3);
	pair.checked_at = TakeInt(in, 8);
	pair.status_since = TakeInt(in, 8);
	pair.ever_healthy = TakeInt(in, 1) & 1;
	pair.last_healthy_at = pair.ever_healthy ? TakeInt(in, 8) : 0;
	pair.consecutive_failures = (int32_t) (TakeInt(in, 4) & INT32_MAX);
	pair.check_no = TakeInt(in, 8) & (INT64_MAX >> 1);
	if (pair.check_no < 1)
		pair.check_no = 1;
	return pair;
}

static bool
SameButNumber(const PairState *a, const PairState *b)
{
	return a->status == b->status && a->checked_at == b->checked_at &&
		   a->status_since == b->status_since && a->ever_healthy == b->ever_healthy &&
		   a->last_healthy_at == b->last_healthy_at &&
		   a->consecutive_failures == b->consecutive_failures;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bytes	  in = { data, size };
	bool	  restored = TakeInt(&in, 1) & 1;
	PairState pair;

	if (restored)
		pair = AnyState(&in);
	else
	{
		HealthState status = (HealthState) (TakeInt(&in, 1) & 3);
		int64_t		at = TakeInt(&in, 8);

		pair = FirstCheck(status, at);
		HOLDS(pair.check_no == 1);
		HOLDS(pair.status == status && pair.checked_at == at && pair.status_since == at);
		HOLDS(pair.consecutive_failures == (status == HEALTH_UNHEALTHY));
		HOLDS(pair.ever_healthy == (status == HEALTH_HEALTHY));
	}

	while (in.left > 0)
	{
		HealthState status = (HealthState) (TakeInt(&in, 1) & 3);
		int			width = (int) (TakeInt(&in, 1) & 7) + 1;
		int64_t		near = TakeInt(&in, width);
		int64_t		at;
		PairState	before = pair;

		/* Seven of eight times are relative to the current one, the others arbitrary. */
		if (width == 8 || __builtin_add_overflow(pair.checked_at, near, &at))
			at = near;
		pair = NextCheck(&before, status, at);

		HOLDS(pair.check_no == before.check_no + 1);
		HOLDS(HistorySlot(pair.check_no) >= 0 && HistorySlot(pair.check_no) < HISTORY_SLOTS);
		HOLDS(HistorySlot(pair.check_no) == (HistorySlot(before.check_no) + 1) % HISTORY_SLOTS);
		HOLDS(CheckIsLate(&before, at) == (at < before.checked_at));
		if (CheckIsLate(&before, at))
		{
			HOLDS(SameButNumber(&pair, &before));
			continue;
		}

		HOLDS(pair.status == status && pair.checked_at == at);
		HOLDS(pair.status_since == (status == before.status ? before.status_since : at));
		HOLDS(pair.consecutive_failures >= 0);
		HOLDS(pair.ever_healthy == (before.ever_healthy || status == HEALTH_HEALTHY));
		if (status == HEALTH_HEALTHY)
			HOLDS(pair.last_healthy_at == at);
		else
			HOLDS(pair.last_healthy_at == before.last_healthy_at);
		if (status == HEALTH_UNHEALTHY)
			HOLDS(pair.consecutive_failures ==
				  before.consecutive_failures + (before.consecutive_failures < INT32_MAX));
		else if (status == HEALTH_UNKNOWN)
			HOLDS(pair.consecutive_failures == before.consecutive_failures);
		else
			HOLDS(pair.consecutive_failures == 0);
	}
	return 0;
}
