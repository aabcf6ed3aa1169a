/*
 * check_rules.h
 *	  The rules by which a check changes the state of its pair (org_id, integration_type).  They
 *	  take and return plain values and use nothing of the backend.
 */
#ifndef IH_CHECK_RULES_H
#define IH_CHECK_RULES_H

#include <stdbool.h>
#include <stdint.h>

/* Number of checks that the history keeps of each pair: a day's, at one every 15 minutes. */
#define HISTORY_SLOTS 96

/* The labels of the SQL type integration_health_state, in the same order. */
typedef enum HealthState
{
	HEALTH_HEALTHY,
	HEALTH_DEGRADED,
	HEALTH_UNHEALTHY,
	HEALTH_UNKNOWN
} HealthState;

#define HEALTH_STATES (HEALTH_UNKNOWN + 1)

/* The labels of the SQL type integration_failure_cause that an HTTP status can tell. */
typedef enum HttpCause
{
	CAUSE_AUTH,
	CAUSE_RATE_LIMITED,
	CAUSE_CONFIGURATION,
	CAUSE_SERVER
} HttpCause;

#define HTTP_CAUSES (CAUSE_SERVER + 1)

/*
 * What the extension keeps about a pair between two checks.  Times are microseconds since any
 * one epoch that is a midnight in UTC.  last_healthy_at is meaningful only if ever_healthy.
 */
typedef struct PairState
{
	HealthState status;
	int64_t		checked_at;
	int64_t		status_since;
	int64_t		last_healthy_at;
	bool		ever_healthy;
	int32_t		consecutive_failures;
	int64_t		check_no;
} PairState;

extern int16_t	 HistorySlot(int64_t check_no);
extern int64_t	 TimeOfCheck(int64_t checked_at, int64_t recorded_at);
extern bool		 CheckIsLate(const PairState *current, int64_t checked_at);
extern bool		 BeginsDay(int64_t before, int64_t checked_at);
extern bool		 HttpStatusTells(int32_t http_status, HttpCause *cause);
extern PairState FirstCheck(HealthState status, int64_t checked_at);
extern PairState NextCheck(const PairState *current, HealthState status, int64_t checked_at);

#endif /* IH_CHECK_RULES_H */
