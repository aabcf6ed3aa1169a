/*
 * pending.h
 *	  Checks from which something follows, until the end of the statement that records them.
 */
#ifndef IH_PENDING_H
#define IH_PENDING_H

#include "postgres.h"

#include "commands/trigger.h"

#include "base/private_call.h"

/* The number of arguments of follow_checks. */
#define PENDING_COLUMNS 10

extern bool ih_pending;

extern void AddPendingCheck(const TriggerData	 *data,
							const PrivateArgument check[PENDING_COLUMNS]);

#endif /* IH_PENDING_H */
