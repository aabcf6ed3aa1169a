/*
 * shard_rules.h
 *	  The names and bounds of the shards of Citus.  No server headers, so that the unit tests can
 *	  use them.
 */
#ifndef IH_SHARD_RULES_H
#define IH_SHARD_RULES_H

#include <stdbool.h>
#include <stdint.h>

/* The hashes of the keys that a shard holds, both ends included.  Reference tables have none. */
typedef struct ShardBounds
{
	bool	has_bounds;
	int32_t min;
	int32_t max;
} ShardBounds;

extern bool ParseShardName(const char *name, int *table_length, int64_t *shard_id);
extern bool ParseShardBounds(const char *min, const char *max, ShardBounds *bounds);
extern bool IsWithinBounds(const ShardBounds *bounds, int32_t hash);
extern bool HasSameBounds(const ShardBounds *a, const ShardBounds *b);
extern bool ParseShardSetting(const char *value, uint32_t *shard);

#endif /* IH_SHARD_RULES_H */
