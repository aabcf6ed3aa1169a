/*
 * claim_rules.c
 *	  Splitting of claim paths, and matching of the values found there.
 *	  Pure functions: where a claim is looked up is the caller's business.
 */
#include "claims/claim_rules.h"

#include <string.h>

static const char *
SkipBlanks(const char *at)
{
	while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')
		at++;
	return at;
}

/*
 * SplitPath reads one path from *at, leaves *at behind it and the comma that follows, and returns
 * what is wrong with it, or NULL.
 */
static const char *
SplitPath(const char **at, ClaimPath *path)
{
	const char *c = SkipBlanks(*at);

	path->nkeys = 0;
	for (;;)
	{
		size_t len = strcspn(c, "., \t\n\r");
		char  *key;

		if (len == 0)
			return "A key of a path is empty.";
		if (len >= CLAIM_KEY_MAX_BYTES)
			return "A key of a path is longer than 63 bytes.";
		if (path->nkeys == CLAIM_PATH_MAX_KEYS)
			return "A path has more than four keys.";

		key = path->keys[path->nkeys++];
		memcpy(key, c, len);
		key[len] = '\0';
		c += len;

		/* Users edit user_metadata themselves: nothing may be decided by it. */
		if (strcmp(key, "user_metadata") == 0 || strcmp(key, "raw_user_meta_data") == 0)
			return "Users edit user_metadata themselves.";

		if (*c != '.')
			break;
		c++;
	}

	c = SkipBlanks(c);
	if (*c != '\0' && *c != ',')
		return "Paths are separated by commas.";
	if (*c == ',' && *SkipBlanks(c + 1) == '\0')
		return "A path is empty.";
	*at = (*c == ',') ? c + 1 : c;
	return NULL;
}

/*
 * ClaimPathsProblem returns what is wrong with a list of paths, as a sentence, or NULL.
 */
const char *
ClaimPathsProblem(const char *paths)
{
	ClaimPath path;

	do
	{
		const char *problem = SplitPath(&paths, &path);

		if (problem != NULL)
			return problem;
	} while (*paths != '\0');
	return NULL;
}

/*
 * NextClaimPath takes the next path off a list that has no problem; false at its end.
 */
bool
NextClaimPath(const char **paths, ClaimPath *path)
{
	return **paths != '\0' && SplitPath(paths, path) == NULL;
}

/*
 * FirstClaim fetches the values at the first of the paths at which the document has a claim.
 */
bool
FirstClaim(const char *paths, ClaimLookup lookup, void *document, ClaimValues *found)
{
	ClaimPath path;

	while (NextClaimPath(&paths, &path))
	{
		if (lookup(document, &path, found))
			return true;
	}
	return false;
}

/*
 * AnyClaimNames tells whether a claim at any of the paths is, or contains, exactly the string
 * wanted.
 */
bool
AnyClaimNames(const char *paths, ClaimLookup lookup, void *document, const char *wanted)
{
	ClaimPath	path;
	ClaimValues found;

	while (NextClaimPath(&paths, &path))
	{
		if (!lookup(document, &path, &found))
			continue;
		for (int i = 0; i < found.nvalues; i++)
		{
			if (strcmp(found.values[i], wanted) == 0)
				return true;
		}
	}
	return false;
}
