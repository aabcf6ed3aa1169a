/*
 * ring_target.h
 *	  What it takes to write to the history table past the executor.
 */
#ifndef IH_RING_TARGET_H
#define IH_RING_TARGET_H

#include "postgres.h"

#include "access/skey.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "utils/relcache.h"

#include "base/relation_cache.h"

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
	RING_IS_LATE,
	RING_CAUSE
} RingColumn;

#define RING_COLUMNS (RING_CAUSE + 1)
#define RING_KEY_COLUMNS (RING_SLOT + 1)

/* A column that the site has added, and its default. */
typedef struct RingDefault
{
	AttrNumber attnum;
	ExprState *value;
} RingDefault;

/*
 * The root of the row that this subtransaction overwrote last: the line pointer that the index
 * points to, which a HOT update leaves as it is.  In a statement of many rows, the row for the
 * next check is likely to be right behind it.
 */
typedef struct RingNeighbour
{
	TransactionId	 transaction;
	SubTransactionId subid;
	ItemPointerData	 root;
	int				 misses;
} RingNeighbour;

/*
 * What the session keeps for the history table, or a partition of it.  RING_CAUSE has no number
 * where checks have no cause.  The target owns context, in which everything else is allocated.
 */
typedef struct RingTarget
{
	CachedRelation	cached;
	Oid				primary_key;
	AttrNumber		attnum[RING_COLUMNS];
	ScanKeyData		key[RING_KEY_COLUMNS];
	RingDefault	   *defaults;
	int				ndefaults;
	EState		   *estate;
	ResultRelInfo  *result_rel;
	TupleTableSlot *stored;
	TupleTableSlot *fresh;
	RingNeighbour	neighbour;
	MemoryContext	context;
} RingTarget;

extern RingTarget *RingTargetOf(Relation rel);

#endif /* IH_RING_TARGET_H */
