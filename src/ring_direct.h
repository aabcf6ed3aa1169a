/*
 * ring_direct.h
 *	  The short way into the history table, past the planner.
 */
#ifndef IH_RING_DIRECT_H
#define IH_RING_DIRECT_H

#include "ring.h"

extern bool RingWriteDirect(Oid history, const RingEntry *entry);

#endif /* IH_RING_DIRECT_H */
