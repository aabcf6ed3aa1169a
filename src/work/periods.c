/*
 * periods.c
 *	  SQL functions for schedules: whether one is valid, and what periods it has.
 */
#include "work/periods.h"

#include "funcapi.h"
#include "nodes/pg_list.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/settings.h"

PG_FUNCTION_INFO_V1(integration_sync_every_is_valid);
PG_FUNCTION_INFO_V1(integration_sync_time_zone_is_valid);
PG_FUNCTION_INFO_V1(usable_time_zone);
PG_FUNCTION_INFO_V1(integration_sync_periods);
PG_FUNCTION_INFO_V1(integration_sync_last_period);
PG_FUNCTION_INFO_V1(integration_sync_next_period);
PG_FUNCTION_INFO_V1(integration_sync_is_late);

#define DIGITS "0123456789"

/* The most periods that one call returns: no caller needs more, and none may ask for all. */
#define MAX_PERIODS 100000

#define SECONDS_TO_EPOCH ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (pg_time_t) SECS_PER_DAY)

/*
 * SpanOf converts an interval to a Span.
 */
Span
SpanOf(const Interval *interval)
{
	Span span;

	span.months = interval->month;
	span.days = interval->day;
	span.micros = interval->time;
	return span;
}

/*
 * IsListedWithDigit tells whether name, which has a digit in it, is the name of a time zone.
 * pg_tzset would also take such a name as a POSIX rule ("CET-1", "+02") and cache that for
 * ever, so the names with digits are listed once in a session.  There are few ("Etc/GMT+1",
 * "EST5EDT").
 */
static bool
IsListedWithDigit(const char *name)
{
	static List *names = NIL;
	ListCell	*cell;

	if (names == NIL)
	{
		pg_tzenum	 *zones = pg_tzenumerate_start();
		MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
		pg_tz		 *zone;

		while ((zone = pg_tzenumerate_next(zones)) != NULL)
		{
			if (strpbrk(pg_get_timezone_name(zone), DIGITS) != NULL)
				names = lappend(names, pstrdup(pg_get_timezone_name(zone)));
		}
		MemoryContextSwitchTo(caller);
		pg_tzenumerate_end(zones);
	}
	foreach (cell, names)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	}
	return false;
}

/*
 * FindTimeZone returns the time zone with exactly this name, or NULL.  pg_tzset ignores case,
 * so the spelling is compared afterwards; a name without a digit cannot be a rule.  Reports ask
 * for the same zone again and again, so the last one is remembered; the server never frees a
 * zone.
 */
static pg_tz *
FindTimeZone(text *name)
{
	static pg_tz *found = NULL;
	char		  given[TZ_STRLEN_MAX + 1];
	pg_tz		 *zone;

	if (VARSIZE_ANY_EXHDR(name) == 0 || VARSIZE_ANY_EXHDR(name) > TZ_STRLEN_MAX)
		return NULL;
	text_to_cstring_buffer(name, given, sizeof(given));
	if (found != NULL && strcmp(pg_get_timezone_name(found), given) == 0)
		return found;
	if (strpbrk(given, DIGITS) != NULL && !IsListedWithDigit(given))
		return NULL;
	zone = pg_tzset(given);
	if (zone == NULL || !pg_tz_acceptable(zone) ||
		strcmp(pg_get_timezone_name(zone), given) != 0)
		return NULL;
	found = zone;
	return zone;
}

/*
 * OffsetOfZone is the ZoneOffset for a pg_tz.
 */
static int64
OffsetOfZone(void *zone, int64 at)
{
	pg_time_t	  seconds = at / USECS_PER_SEC - (at % USECS_PER_SEC < 0 ? 1 : 0);
	struct pg_tm *local;

	seconds += SECONDS_TO_EPOCH;
	local = pg_localtime(&seconds, zone);
	return local == NULL ? 0 : local->tm_gmtoff * USECS_PER_SEC;
}

/*
 * ReadPlan converts a schedule to a SyncPlan; false if its interval, anchor or time zone is not
 * valid.
 */
bool
ReadPlan(const Interval *every, TimestampTz anchor, text *time_zone, SyncPlan *plan)
{
	plan->every = SpanOf(every);
	plan->anchor = anchor;
	plan->offset = OffsetOfZone;
	plan->zone = FindTimeZone(time_zone);
	return EveryIsValid(plan->every) && !TIMESTAMP_NOT_FINITE(anchor) && plan->zone != NULL;
}

/*
 * PlanOf is ReadPlan, but raises 22023, which names the part that is not valid.
 */
SyncPlan
PlanOf(const Interval *every, TimestampTz anchor, text *time_zone)
{
	SyncPlan plan;

	if (ReadPlan(every, anchor, time_zone, &plan))
		return plan;
	if (!EveryIsValid(plan.every))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid interval for a schedule"),
			 errhint("Use days and months, or a time of at least one minute, but not both.")));
	if (TIMESTAMP_NOT_FINITE(anchor))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the anchor of a schedule must be finite")));
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown time zone \"%s\"", Echo(text_to_cstring(time_zone))),
					errhint("Use a name from pg_timezone_names, spelled as it is there.")));
	return plan; /* not reached */
}

/*
 * integration_sync_every_is_valid(every interval)
 */
Datum
integration_sync_every_is_valid(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(EveryIsValid(SpanOf(PG_GETARG_INTERVAL_P(0))));
}

/*
 * integration_sync_time_zone_is_valid(time_zone text)
 */
Datum
integration_sync_time_zone_is_valid(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(FindTimeZone(PG_GETARG_TEXT_PP(0)) != NULL);
}

/*
 * usable_time_zone(org_id uuid, integration_type text, every interval, anchor timestamptz,
 * time_zone text) returns time_zone if the schedule is valid, and null with a WARNING if it is
 * not.
 */
Datum
usable_time_zone(PG_FUNCTION_ARGS)
{
	SyncPlan plan;

	if (!PG_ARGISNULL(2) && !PG_ARGISNULL(3) && !PG_ARGISNULL(4) &&
		ReadPlan(PG_GETARG_INTERVAL_P(2), PG_GETARG_TIMESTAMPTZ(3), PG_GETARG_TEXT_PP(4),
				 &plan))
		PG_RETURN_DATUM(PG_GETARG_DATUM(4));
	ereport(
		WARNING,
		(errmsg("the schedule of organisation %s and type \"%s\" has no periods",
				PG_ARGISNULL(0)
					? "null"
					: DatumGetCString(DirectFunctionCall1(uuid_out, PG_GETARG_DATUM(0))),
				PG_ARGISNULL(1) ? "" : Echo(text_to_cstring(PG_GETARG_TEXT_PP(1)))),
		 errdetail(
			 "It is left out because its interval, anchor or time zone \"%s\" is not valid.",
			 PG_ARGISNULL(4) ? "" : Echo(text_to_cstring(PG_GETARG_TEXT_PP(4)))),
		 errhint("Correct it with set_sync_schedule.")));
	PG_RETURN_NULL();
}

static SyncPlan
PlanArgument(FunctionCallInfo fcinfo)
{
	return PlanOf(PG_GETARG_INTERVAL_P(0), PG_GETARG_TIMESTAMPTZ(1), PG_GETARG_TEXT_PP(2));
}

/* The state of a call of integration_sync_periods(). */
typedef struct PeriodWalk
{
	SyncPlan plan;
	int64	 n; /* the number of the next period */
	int64	 last;
	int64	 until;
} PeriodWalk;

/*
 * integration_sync_periods(every interval, anchor timestamptz, time_zone text, since
 * timestamptz, until timestamptz)
 */
Datum
integration_sync_periods(PG_FUNCTION_ARGS)
{
	FuncCallContext *call;
	PeriodWalk		*walk;
	int64			 period;

	if (SRF_IS_FIRSTCALL())
	{
		call = SRF_FIRSTCALL_INIT();
		walk = MemoryContextAlloc(call->multi_call_memory_ctx, sizeof(PeriodWalk));
		walk->plan = PlanArgument(fcinfo);
		walk->n =
			LastPeriod(&walk->plan, Max(PG_GETARG_TIMESTAMPTZ(3), -FARTHEST_TIME) - 1) + 1;
		walk->last = INT64CONST(-1) - FARTHEST_TIME;
		walk->until = PG_GETARG_TIMESTAMPTZ(4);
		call->user_fctx = walk;
	}
	call = SRF_PERCALL_SETUP();
	walk = call->user_fctx;
	while (PeriodAt(&walk->plan, walk->n, &period) && period <= walk->until)
	{
		walk->n++;

		/* Two periods fall on the same time if the zone has skipped a day. */
		if (period == walk->last)
			continue;
		walk->last = period;
		if (call->call_cntr >= MAX_PERIODS)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("there are more than %d periods", MAX_PERIODS),
							errhint("Ask for a shorter time range.")));
		SRF_RETURN_NEXT(call, TimestampTzGetDatum(period));
	}
	SRF_RETURN_DONE(call);
}

/*
 * integration_sync_last_period(every interval, anchor timestamptz, time_zone text, at
 * timestamptz)
 */
Datum
integration_sync_last_period(PG_FUNCTION_ARGS)
{
	SyncPlan plan = PlanArgument(fcinfo);
	int64	 period;

	if (!PeriodAt(&plan, LastPeriod(&plan, PG_GETARG_TIMESTAMPTZ(3)), &period))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(period);
}

/*
 * integration_sync_next_period(every interval, anchor timestamptz, time_zone text, after
 * timestamptz)
 */
Datum
integration_sync_next_period(PG_FUNCTION_ARGS)
{
	SyncPlan plan = PlanArgument(fcinfo);
	int64	 period;

	if (!NextPeriod(&plan, PG_GETARG_TIMESTAMPTZ(3), &period))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(period);
}

/*
 * integration_sync_is_late(drift interval)
 */
Datum
integration_sync_is_late(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(SpanMicros(SpanOf(PG_GETARG_INTERVAL_P(0))) > ih_max_drift * USECS_PER_SEC);
}
