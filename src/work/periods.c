/*
 * periods.c
 *	  The periods of a schedule, for SQL: what may stand in a schedule, which periods there are, and
 *	  the key that stands for one.
 */
#include "work/periods.h"

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

/* No caller needs more at once, and none may ask for all until the end of time. */
#define MAX_PERIODS 100000

#define SECONDS_TO_EPOCH ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (pg_time_t) SECS_PER_DAY)

/*
 * SpanOf returns an interval as the rules have it.
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
 * IsListedWithDigit tells whether name, with a digit in it, is that of a time zone.  The server also
 * reads such a name as a rule ("CET-1", "+02"), and keeps what it has read for ever: so the names are
 * listed once a session.  They are few ("Etc/GMT+1", "EST5EDT").
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
 * FindTimeZone returns the time zone of that very name, NULL where there is none.  The server finds
 * names in any spelling; a name without a digit is no rule, so it is a zone's or nothing.  Reports ask
 * for the same one again and again, and a zone stays where it is.
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
 * OffsetOfZone is the ZoneOffset of a pg_tz.
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
 * ReadPlan reads a schedule as the rules have it; false where one of its parts is no valid one.
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
 * PlanOf is ReadPlan with an error, 22023, that says which part it is.
 */
SyncPlan
PlanOf(const Interval *every, TimestampTz anchor, text *time_zone)
{
	SyncPlan plan;

	if (ReadPlan(every, anchor, time_zone, &plan))
		return plan;
	if (!EveryIsValid(plan.every))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a schedule cannot have this interval"),
						errhint("Use days and months, or a time of a minute or more.")));
	if (TIMESTAMP_NOT_FINITE(anchor))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the anchor of a schedule must be finite")));
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown time zone \"%s\"", Echo(text_to_cstring(time_zone))),
					errhint("Use a name as pg_timezone_names has it.")));
	return plan; /* not reached */
}

/*
 * integration_sync_every_is_valid(every).
 */
Datum
integration_sync_every_is_valid(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(EveryIsValid(SpanOf(PG_GETARG_INTERVAL_P(0))));
}

/*
 * integration_sync_time_zone_is_valid(time_zone).
 */
Datum
integration_sync_time_zone_is_valid(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(FindTimeZone(PG_GETARG_TEXT_PP(0)) != NULL);
}

/*
 * IsKnownTimeZone tells whether a text is the name of a time zone.
 */
bool
IsKnownTimeZone(text *name)
{
	return FindTimeZone(name) != NULL;
}

/*
 * usable_time_zone is integration_health_private.usable_time_zone(org_id, integration_type, every,
 * anchor, time_zone).
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
		 errdetail("It is left out: its interval, its anchor or its time zone \"%s\" is none.",
				   PG_ARGISNULL(4) ? "" : Echo(text_to_cstring(PG_GETARG_TEXT_PP(4)))),
		 errhint("Correct it with set_sync_schedule.")));
	PG_RETURN_NULL();
}

static SyncPlan
PlanArgument(FunctionCallInfo fcinfo)
{
	return PlanOf(PG_GETARG_INTERVAL_P(0), PG_GETARG_TIMESTAMPTZ(1), PG_GETARG_TEXT_PP(2));
}

/* Where a call of integration_sync_periods() is. */
typedef struct PeriodWalk
{
	SyncPlan plan;
	int64	 n; /* the number of the next period */
	int64	 last;
	int64	 until;
} PeriodWalk;

/*
 * integration_sync_periods(every, anchor, time_zone, since, until).
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

		/* Two days are one where a zone has left one out. */
		if (period == walk->last)
			continue;
		walk->last = period;
		if (call->call_cntr >= MAX_PERIODS)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("there are more than %d periods", MAX_PERIODS),
							errhint("Ask for a shorter time.")));
		SRF_RETURN_NEXT(call, TimestampTzGetDatum(period));
	}
	SRF_RETURN_DONE(call);
}

/*
 * integration_sync_last_period(every, anchor, time_zone, at).
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
 * integration_sync_next_period(every, anchor, time_zone, after).
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
