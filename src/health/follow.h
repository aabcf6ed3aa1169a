/*
 * follow.h
 *	  What follows from a check.
 */
#ifndef IH_FOLLOW_H
#define IH_FOLLOW_H

#include "postgres.h"

#include "health/status_row.h"

extern void FollowFirstCheck(const StatusTriggerContext *context, const StatusRow *row,
							 const PairState *first);
extern void FollowCheck(const StatusTriggerContext *context, const StatusRow *row,
						const PairState *before, const PairState *after);

#endif /* IH_FOLLOW_H */
