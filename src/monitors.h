/*
 * monitors.h
 *	  When a pair is due to be checked, as far as its checks decide.
 */
#ifndef IH_MONITORS_H
#define IH_MONITORS_H

#include "integration_health.h"

extern void MoveMonitor(Oid schema, Datum org_id, Datum integration_type, int32 failures);

#endif /* IH_MONITORS_H */
