/*
 * check_times.c
 *	  SQL functions for when a pair is checked, by the rules in schedule_rules.c.
 */
#include "work/periods.h"

#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/compat.h"

PG_FUNCTION_INFO_V1(backoff);
PG_FUNCTION_INFO_V1(integration_monitor_first_due);
PG_FUNCTION_INFO_V1(integration_monitor_ready_at);

static uint64
HashOfPair(Datum org_id, Datum integration_type)
{
	text *type = DatumGetTextPP(integration_type);

	return PairHash(DatumGetUUIDP(org_id)->data, VARDATA_ANY(type), VARSIZE_ANY_EXHDR(type));
}

/*
 * backoff(check_interval interval, max_backoff interval, failures integer)
 */
Datum
backoff(PG_FUNCTION_ARGS)
{
	Interval *result = palloc0(sizeof(Interval));

	result->time = Backoff(SpanMicros(SpanOf(PG_GETARG_INTERVAL_P(0))),
						   SpanMicros(SpanOf(PG_GETARG_INTERVAL_P(1))), PG_GETARG_INT32(2));
	PG_RETURN_INTERVAL_P(result);
}

/*
 * integration_monitor_first_due(org_id uuid, integration_type text, check_interval interval,
 * since timestamptz)
 */
Datum
integration_monitor_first_due(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(FirstDue(PG_GETARG_TIMESTAMPTZ(3),
								   SpanMicros(SpanOf(PG_GETARG_INTERVAL_P(2))),
								   HashOfPair(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1))));
}

/*
 * integration_monitor_ready_at(org_id uuid, integration_type text, claimed_at timestamptz,
 * check_interval interval, max_backoff interval, failures integer) returns -infinity if
 * claimed_at is null, since the pair was never handed out, and null if another argument is
 * null.
 */
Datum
integration_monitor_ready_at(PG_FUNCTION_ARGS)
{
	for (int i = 0; i < PG_NARGS(); i++)
	{
		if (PG_ARGISNULL(i) && i != 2)
			PG_RETURN_NULL();
	}
	if (PG_ARGISNULL(2))
		PG_RETURN_TIMESTAMPTZ(DT_NOBEGIN);
	PG_RETURN_TIMESTAMPTZ(
		CheckReadyAt(PG_GETARG_TIMESTAMPTZ(2), SpanMicros(SpanOf(PG_GETARG_INTERVAL_P(3))),
					 SpanMicros(SpanOf(PG_GETARG_INTERVAL_P(4))), PG_GETARG_INT32(5),
					 HashOfPair(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1))));
}
