/*
 * claim_rules.c
 *	  Splits lists of claim paths, and matches the values found at them.
 *	  Pure functions: the caller supplies the function that looks a path up.
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
 * SplitPath reads one path from *at and moves *at behind the path and the comma after it.  It
 * returns NULL, or what is wrong with the path as a sentence.
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

		/* Users can edit their own user_metadata, so no permission may depend on it. */
		if (strcmp(key, "user_metadata") == 0 || strcmp(key, "raw_user_meta_data") == 0)
			return "Users can edit user_metadata themselves.";

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
 * ClaimPathsProblem returns NULL, or what is wrong with a list of paths as a sentence.
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
 * NextClaimPath takes the next path off a list that ClaimPathsProblem accepts; false at its
 * end.
 */
bool
NextClaimPath(const char **paths, ClaimPath *path)
{
	return **paths != '\0' && SplitPath(paths, path) == NULL;
}

/*
 * FirstClaim fetches the values at the first path at which the document has a claim; false if
 * there is none.
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
 * AnyClaimNames tells whether the claim at any of the paths is, or contains, exactly the string
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
