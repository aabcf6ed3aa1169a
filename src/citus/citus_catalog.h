/*
 * citus_catalog.h
 *	  The catalogs in which Citus keeps its tables and their shards.
 */
#ifndef IH_CITUS_CATALOG_H
#define IH_CITUS_CATALOG_H

#include "postgres.h"

#include "citus/shard_rules.h"

/* What pg_dist_partition.partmethod and repmodel say of the tables that the extension's may be. */
#define DISTRIBUTED_BY_HASH 'h'
#define NOT_DISTRIBUTED 'n'
#define ON_ALL_NODES 't'

/* A row of pg_dist_partition. */
typedef struct CitusTableRow
{
	char  method;
	char  model;
	int32 colocation;
} CitusTableRow;

/* A row of pg_dist_shard. */
typedef struct ShardRow
{
	Oid			table;
	int64		id;
	ShardBounds bounds;
} ShardRow;

extern bool FindCitusTable(Oid table, CitusTableRow *row);
extern bool FindShardById(int64 id, ShardRow *shard);
extern void AwaitShards(void);
extern bool FindShardOf(Oid table, const ShardBounds *bounds, ShardRow *shard);
extern Oid	RelationOfShard(const ShardRow *shard);

#endif /* IH_CITUS_CATALOG_H */
