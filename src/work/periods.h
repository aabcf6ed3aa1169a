/*
 * periods.h
 *	  Converts schedules in SQL's types for the rules in schedule_rules.h.
 */
#ifndef IH_PERIODS_H
#define IH_PERIODS_H

#include "base/settings.h"

#include "datatype/timestamp.h"

#include "work/schedule_rules.h"

extern Span		SpanOf(const Interval *interval);
extern bool		ReadPlan(const Interval *every, TimestampTz anchor, text *time_zone,
						 SyncPlan *plan);
extern SyncPlan PlanOf(const Interval *every, TimestampTz anchor, text *time_zone);

#endif /* IH_PERIODS_H */
