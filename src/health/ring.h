/*
 * ring.h
 *	  The history ring: the last 96 checks of each pair.  A check overwrites the slot of the one 96
 *	  before it: that is the pruning.  The row lock on the status row keeps the writers of one pair
 *	  apart.
 */
#ifndef IH_RING_H
#define IH_RING_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* A check as it goes into the ring.  Datums are the caller's. */
typedef struct RingEntry
{
	Datum		  org_id;
	Datum		  integration_type;
	int64		  check_no;
	Oid			  status;
	NullableDatum latency_ms;
	NullableDatum http_status;
	NullableDatum error;
	TimestampTz	  checked_at;
	bool		  is_late;
} RingEntry;

extern void RingWrite(Oid history, const RingEntry *entry);

#endif /* IH_RING_H */
