/*
 * row_lock.h
 *	  Locks on single rows, whatever snapshot the transaction keeps.
 */
#ifndef IH_ROW_LOCK_H
#define IH_ROW_LOCK_H

#include "integration_health.h"

#include "nodes/lockoptions.h"

extern bool LockLatestRow(Oid relid, int nkeys, const Datum *key, LockWaitPolicy wait);

#endif /* IH_ROW_LOCK_H */
