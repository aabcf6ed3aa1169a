/*
 * ring_target.h
 *	  The history table as the ring is written to it, past the executor.
 */
#ifndef IH_RING_TARGET_H
#define IH_RING_TARGET_H

#include "postgres.h"

#include "access/skey.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "utils/relcache.h"

/* The columns of the history table. */
typedef enum RingColumn
{
	RING_ORG_ID,
	RING_INTEGRATION_TYPE,
	RING_SLOT,
	RING_CHECK_NO,
	RING_STATUS,
	RING_LATENCY_MS,
	RING_HTTP_STATUS,
	RING_ERROR,
	RING_CHECKED_AT,
	RING_IS_LATE
} RingColumn;

#define RING_COLUMNS (RING_IS_LATE + 1)
#define RING_KEY_COLUMNS (RING_SLOT + 1)

/* A column of the site that has a default. */
typedef struct RingDefault
{
	AttrNumber attnum;
	ExprState *value;
} RingDefault;

/*
 * What the session keeps for the table that it wrote to last.  relid is invalid when there is none,
 * or when the table has changed since.  It owns context, and everything else lives there.
 */
typedef struct RingTarget
{
	Oid				relid;
	Oid				primary_key;
	AttrNumber		attnum[RING_COLUMNS];
	ScanKeyData		key[RING_KEY_COLUMNS];
	RingDefault	   *defaults;
	int				ndefaults;
	EState		   *estate;
	ResultRelInfo  *result_rel;
	TupleTableSlot *stored;
	TupleTableSlot *fresh;
	MemoryContext	context;
} RingTarget;

extern RingTarget *RingTargetOf(Relation rel);

#endif /* IH_RING_TARGET_H */
