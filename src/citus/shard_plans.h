/*
 * shard_plans.h
 *	  Statements that name tables of Citus, run on the shards that are on this node.
 */
#ifndef IH_SHARD_PLANS_H
#define IH_SHARD_PLANS_H

#include "postgres.h"

extern void DefineShardSetting(void);
extern Oid	CurrentShard(void);
extern int	EnterShard(Oid relid);
extern void LeaveShard(int level);
extern void RefuseReferenceTable(Oid relid);

#endif /* IH_SHARD_PLANS_H */
