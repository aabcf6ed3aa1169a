/*
 * shards.h
 *	  The shards of Citus that are on this node, found without linking to Citus.
 */
#ifndef IH_SHARDS_H
#define IH_SHARDS_H

#include "postgres.h"

extern void LookForCitus(void);
extern bool HasCitus(void);
extern Oid	TableOfShard(Oid relid);
extern bool IsReferenceTable(Oid relid);
extern bool IsDistributedTable(Oid relid);
extern Oid	CopyOfReferenceTable(Oid relid);
extern Oid	LocalShard(Oid shard, Oid table);
extern bool HoldsKey(Oid shard, Datum org_id);

#endif /* IH_SHARDS_H */
