/*
 * shard_rules.c
 *	  libFuzzer target: what is read as a shard's name, bound or setting is written as it was.
 */
#include "fuzz.h"

#include <inttypes.h>

#include "citus/shard_rules.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t		len = strnlen((const char *) data, size);
	char	   *text = malloc(len + 1);
	char	   *again = malloc(len + 64);
	int			table_length;
	int64_t		id;
	ShardBounds bounds;
	uint32_t	shard;

	/* The copy lets ASan see a read past the end of the text. */
	memcpy(text, data, len);
	text[len] = '\0';
	if (ParseShardName(text, &table_length, &id))
	{
		HOLDS(table_length > 0 && (size_t) table_length < len && id > 0);
		sprintf(again, "%.*s_%" PRId64, table_length, text, id);
		HOLDS(strcmp(again, text) == 0);
	}
	if (ParseShardBounds(text, text, &bounds))
	{
		HOLDS(bounds.has_bounds && IsWithinBounds(&bounds, bounds.min));
		HOLDS(bounds.min == INT32_MIN || !IsWithinBounds(&bounds, bounds.min - 1));
		HOLDS(bounds.max == INT32_MAX || !IsWithinBounds(&bounds, bounds.max + 1));
		sprintf(again, "%" PRId32, bounds.max);
		HOLDS(strcmp(again, text) == 0);
	}
	if (ParseShardSetting(text, &shard) && len > 0)
	{
		sprintf(again, "%" PRIu32, shard);
		HOLDS(shard != 0 && strcmp(again, text) == 0);
	}
	free(again);
	free(text);
	return 0;
}
