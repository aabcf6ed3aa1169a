/*
 * relation_cache.c
 *	  Caches with an entry for each relation, behind one relcache callback: a backend has ten
 *	  slots for these, and other extensions want some.
 */
#include "base/relation_cache.h"

#include "utils/inval.h"
#include "utils/memutils.h"

static RelationCache *caches = NULL;

/*
 * ForgetRelation is the relcache callback.  It marks entries and frees nothing, since they may
 * be in use.
 */
static void
ForgetRelation(Datum arg, Oid relid)
{
	(void) arg;
	for (RelationCache *cache = caches; cache != NULL; cache = cache->next)
	{
		HASH_SEQ_STATUS status;
		CachedRelation *entry;

		hash_seq_init(&status, cache->entries);
		while ((entry = hash_seq_search(&status)) != NULL)
		{
			for (int i = 0; i < MAX_SOURCES; i++)
			{
				if (relid == InvalidOid || relid == entry->sources[i])
					entry->is_valid = false;
			}
		}
	}
}

/*
 * Register makes an empty cache, and registers the callback before the first one.
 */
static void
Register(RelationCache *cache)
{
	HASHCTL control = { .keysize = sizeof(Oid),
						.entrysize = cache->entry_size,
						.hcxt = CacheMemoryContext };

	cache->entries =
		hash_create(cache->name, 32, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	if (caches == NULL)
		CacheRegisterRelcacheCallback(ForgetRelation, (Datum) 0);
	cache->next = caches;
	caches = cache;
}

/*
 * RelationEntry returns the entry of a relation, which stays where it is for the session.  One
 * that is not valid is for the caller to fill in, is_valid last; a new one is all zero but for
 * relid.
 */
void *
RelationEntry(RelationCache *cache, Oid relid)
{
	bool found;

	if (cache->last != NULL && cache->last->relid == relid)
		return cache->last;
	if (cache->entries == NULL)
		Register(cache);
	cache->last = hash_search(cache->entries, &relid, HASH_ENTER, &found);
	if (!found)
		memset((char *) cache->last + sizeof(Oid), 0, cache->entry_size - sizeof(Oid));
	return cache->last;
}
