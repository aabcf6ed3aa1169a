/*
 * ring.h
 *	  The history ring: the last 96 checks of each pair.  A check overwrites the slot of the
 *	  check 96 before it, and so prunes the history.  The row lock on the status row serialises
 *	  the writers of a pair.
 */
#ifndef IH_RING_H
#define IH_RING_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* A check to be written to the ring.  What the Datums point to belongs to the caller. */
typedef struct RingEntry
{
	Datum		  org_id;
	Datum		  integration_type;
	int64		  check_no;
	Oid			  status;
	NullableDatum latency_ms;
	NullableDatum http_status;
	NullableDatum error;
	NullableDatum cause;
	TimestampTz	  checked_at;
	bool		  is_late;
} RingEntry;

extern void RingWrite(Oid history, const RingEntry *entry);

#endif /* IH_RING_H */
