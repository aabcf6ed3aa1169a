/*
 * schedule_rules.h
 *	  The rules for when something is due: the checks of a pair, and the periods of a scheduled
 *	  sync.  They take and return plain values and use nothing of the backend.
 *
 * Times and lengths are in microseconds; times count from 2000-01-01 00:00 UTC.
 */
#ifndef IH_SCHEDULE_RULES_H
#define IH_SCHEDULE_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MICROS_PER_SECOND INT64_C(1000000)
#define MICROS_PER_MINUTE (60 * MICROS_PER_SECOND)
#define MICROS_PER_DAY (86400 * MICROS_PER_SECOND)

/* The limit of times in either direction; the sum of any two within it does not overflow. */
#define FARTHEST_TIME (INT64_MAX / 4)

/* The wait for a check varies by up to one part in this many. */
#define JITTER_SHARE 10

/* An interval, in the three parts in which PostgreSQL stores it. */
typedef struct Span
{
	int32_t months;
	int32_t days;
	int64_t micros;
} Span;

/* Returns how many microseconds the clocks of a time zone are ahead of UTC at a time. */
typedef int64_t (*ZoneOffset)(void *zone, int64_t at);

/*
 * A schedule.  every is valid by EveryIsValid.  Days and months are counted on the clocks of
 * the zone, shorter intervals in elapsed time.
 */
typedef struct SyncPlan
{
	Span	   every;
	int64_t	   anchor;
	ZoneOffset offset;
	void	  *zone;
} SyncPlan;

extern int64_t SpanMicros(Span span);

extern uint64_t PairHash(const unsigned char *org_id, const char *type, size_t type_bytes);
extern uint64_t MomentHash(uint64_t pair_hash, int64_t at);
extern int64_t	FirstDue(int64_t now, int64_t check_interval, uint64_t hash);
extern int64_t	Backoff(int64_t check_interval, int64_t max_backoff, int32_t failures);
extern int64_t	WaitForCheck(int64_t check_interval, int64_t max_backoff, int32_t failures,
							 uint64_t hash);
extern int64_t	CheckReadyAt(int64_t claimed_at, int64_t check_interval, int64_t max_backoff,
							 int32_t failures, uint64_t pair_hash);

extern bool	   EveryIsValid(Span every);
extern bool	   PeriodAt(const SyncPlan *plan, int64_t n, int64_t *at);
extern int64_t LastPeriod(const SyncPlan *plan, int64_t at);
extern bool	   NextPeriod(const SyncPlan *plan, int64_t after, int64_t *at);

#endif /* IH_SCHEDULE_RULES_H */
