/*
 * shard_rules.c
 *	  How Citus names the shards of a table, <table>_<shard id>, and writes their bounds.
 */
#include "citus/shard_rules.h"

#include <stddef.h>
#include <string.h>

/* As many digits as always fit into an int64. */
#define MAX_DIGITS 18

/*
 * ParseNumber reads 1 to MAX_DIGITS digits, without a leading zero unless zero is all there is,
 * up to the end of the text.
 */
static bool
ParseNumber(const char *text, int64_t *number)
{
	size_t length = strlen(text);

	if (length < 1 || length > MAX_DIGITS || (text[0] == '0' && length > 1))
		return false;
	*number = 0;
	for (const char *digit = text; *digit != '\0'; digit++)
	{
		if (*digit < '0' || *digit > '9')
			return false;
		*number = *number * 10 + (*digit - '0');
	}
	return true;
}

/*
 * ParseShardName tells whether a relation may be a shard by its name, and sets the length of the
 * table's name in it, in bytes, and the shard's id.
 */
bool
ParseShardName(const char *name, int *table_length, int64_t *shard_id)
{
	const char *separator = strrchr(name, '_');

	if (separator == NULL || separator == name || !ParseNumber(separator + 1, shard_id) ||
		*shard_id == 0)
		return false;
	*table_length = (int) (separator - name);
	return true;
}

/*
 * ParseBound reads a hash: an int32 as PostgreSQL prints it.
 */
static bool
ParseBound(const char *text, int32_t *bound)
{
	bool	is_negative = text[0] == '-';
	int64_t number;

	if (!ParseNumber(is_negative ? text + 1 : text, &number) || (is_negative && number == 0))
		return false;
	if (is_negative)
		number = -number;
	if (number < INT32_MIN || number > INT32_MAX)
		return false;
	*bound = (int32_t) number;
	return true;
}

/*
 * ParseShardBounds reads the bounds of a shard, which are both NULL where it has none.  False if
 * they are not those of a hash.
 */
bool
ParseShardBounds(const char *min, const char *max, ShardBounds *bounds)
{
	bounds->has_bounds = min != NULL && max != NULL;
	bounds->min = bounds->max = 0;
	if (!bounds->has_bounds)
		return min == NULL && max == NULL;
	return ParseBound(min, &bounds->min) && ParseBound(max, &bounds->max) &&
		   bounds->min <= bounds->max;
}

/*
 * IsWithinBounds tells whether a shard holds the keys with this hash.
 */
bool
IsWithinBounds(const ShardBounds *bounds, int32_t hash)
{
	return !bounds->has_bounds || (bounds->min <= hash && hash <= bounds->max);
}

/*
 * HasSameBounds tells whether two shards hold the same keys.
 */
bool
HasSameBounds(const ShardBounds *a, const ShardBounds *b)
{
	return a->has_bounds == b->has_bounds && a->min == b->min && a->max == b->max;
}

/*
 * ParseShardSetting reads the OID of a shard; an empty text stands for none, which is 0.
 */
bool
ParseShardSetting(const char *value, uint32_t *shard)
{
	int64_t number = 0;

	if (value[0] != '\0' && (!ParseNumber(value, &number) || number < 1 || number > UINT32_MAX))
		return false;
	*shard = (uint32_t) number;
	return true;
}
