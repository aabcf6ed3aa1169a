/*
 * schedule_rules.h
 *	  When something is due: checks of a pair, and the periods of a scheduled sync; and who may run
 *	  one.  Plain values in, plain values out; nothing here touches the backend.
 *
 * Times and lengths are microseconds; times count from 2000-01-01 00:00 UTC.
 */
#ifndef IH_SCHEDULE_RULES_H
#define IH_SCHEDULE_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MICROS_PER_SECOND INT64_C(1000000)
#define MICROS_PER_MINUTE (60 * MICROS_PER_SECOND)
#define MICROS_PER_DAY (86400 * MICROS_PER_SECOND)

/* Times beyond are no times: they leave room for any sum of two of them. */
#define FARTHEST_TIME (INT64_MAX / 4)

/* Room for FormatUtc's longest result, with its zero byte. */
#define UTC_TEXT_BYTES 40

/* The longest lease of a run. */
#define MAX_LEASE MICROS_PER_DAY

/* The longest wait before a failed run is tried again, unless its schedule has a longer one. */
#define MAX_RETRY_WAIT (60 * MICROS_PER_MINUTE)

/* The wait for a check varies by one part in so many. */
#define JITTER_SHARE 10

/* An interval, in the three parts that PostgreSQL keeps of it. */
typedef struct Span
{
	int32_t months;
	int32_t days;
	int64_t micros;
} Span;

/* The offset of a time zone at a time: microseconds that its clocks are ahead of UTC. */
typedef int64_t (*ZoneOffset)(void *zone, int64_t at);

/*
 * A schedule.  every is valid by EveryIsValid.  Days and months are counted on the clocks of the
 * zone, anything shorter in elapsed time.
 */
typedef struct SyncPlan
{
	Span	   every;
	int64_t	   anchor;
	ZoneOffset offset;
	void	  *zone;
} SyncPlan;

/* The labels of the SQL type integration_sync_outcome, in its order. */
typedef enum SyncOutcome
{
	SYNC_RUNNING,
	SYNC_SUCCEEDED,
	SYNC_FAILED
} SyncOutcome;

/* What decides whether a run may be claimed once more, as far as it is the run's. */
typedef struct RunState
{
	SyncOutcome outcome;
	int32_t		attempt;
	int64_t		finished_at; /* where it failed */
	int64_t		lease_until; /* while it runs */
} RunState;

/* And as far as it is the schedule's. */
typedef struct RetryRules
{
	int32_t max_attempts;
	int64_t retry_backoff;
} RetryRules;

/* What becomes of a report that a run has ended. */
typedef enum FinishVerdict
{
	FINISH_STORE,	 /* the run ends now */
	FINISH_REPEATED, /* it has ended, just so */
	FINISH_STALE,	 /* another attempt has taken its place */
	FINISH_CONTRARY	 /* it has ended with the other outcome */
} FinishVerdict;

extern int64_t SpanMicros(Span span);

extern uint64_t PairHash(const unsigned char *org_id, const char *type, size_t type_bytes);
extern uint64_t MomentHash(uint64_t pair_hash, int64_t at);
extern int64_t	FirstDue(int64_t now, int64_t check_interval, uint64_t hash);
extern int64_t	Backoff(int64_t check_interval, int64_t max_backoff, int32_t failures);
extern bool		WaitsAnew(int32_t failures_before, int32_t failures);
extern int64_t	WaitForCheck(int64_t check_interval, int64_t max_backoff, int32_t failures,
							 uint64_t hash);
extern int64_t	CheckReadyAt(int64_t claimed_at, int64_t check_interval, int64_t max_backoff,
							 int32_t failures, uint64_t pair_hash);

extern bool	   EveryIsValid(Span every);
extern bool	   PeriodAt(const SyncPlan *plan, int64_t n, int64_t *at);
extern int64_t LastPeriod(const SyncPlan *plan, int64_t at);
extern bool	   NextPeriod(const SyncPlan *plan, int64_t after, int64_t *at);
extern int64_t NearestPeriod(const SyncPlan *plan, int64_t at);

extern int64_t		 Drift(int64_t scheduled_for, int64_t started_at);
extern int64_t		 TimeAfter(int64_t at, int64_t length);
extern int64_t		 RetryAt(int64_t finished_at, int64_t retry_backoff, int32_t attempts);
extern bool			 MayClaim(const RunState *run, const RetryRules *rules, int64_t now);
extern FinishVerdict JudgeFinish(SyncOutcome stored, int32_t stored_attempt,
								 SyncOutcome reported, int32_t reported_attempt);

extern void FormatUtc(char *text, int64_t at);

#endif /* IH_SCHEDULE_RULES_H */
