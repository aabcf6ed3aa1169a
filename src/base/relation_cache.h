/*
 * relation_cache.h
 *	  What the session has learned about relations, kept until they change.
 */
#ifndef IH_RELATION_CACHE_H
#define IH_RELATION_CACHE_H

#include "postgres.h"

#include "utils/hsearch.h"

#define MAX_SOURCES 4

/*
 * How each entry of a cache begins.  sources are the relations that it was learned from: the
 * callback clears is_valid when one of them changes, even while the entry is in use.
 */
typedef struct CachedRelation
{
	Oid	 relid;
	bool is_valid;
	Oid	 sources[MAX_SOURCES];
} CachedRelation;

/* A cache, which is static.  The rest is filled in at its first use. */
typedef struct RelationCache
{
	const char			 *name;
	Size				  entry_size;
	HTAB				 *entries;
	CachedRelation		 *last;
	struct RelationCache *next;
} RelationCache;

extern void *RelationEntry(RelationCache *cache, Oid relid);

#endif /* IH_RELATION_CACHE_H */
