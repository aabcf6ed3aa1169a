/*
 * claim_rules.h
 *	  Rules for finding and matching claims.  A path of keys ("app_metadata.role") says where a
 *	  claim is; a setting holds a list of paths, separated by commas.
 */
#ifndef IH_CLAIM_RULES_H
#define IH_CLAIM_RULES_H

#include <stdbool.h>
#include <stddef.h>

#define CLAIM_PATH_MAX_KEYS 4
#define CLAIM_KEY_MAX_BYTES 64

typedef struct ClaimPath
{
	int	 nkeys;
	char keys[CLAIM_PATH_MAX_KEYS][CLAIM_KEY_MAX_BYTES];
} ClaimPath;

/* The strings that a claim holds: one for a string, each element for an array. */
typedef struct ClaimValues
{
	int			 nvalues;
	const char **values;
} ClaimValues;

/* Looks up the claim at a path of a document and sets *found; false if there is none. */
typedef bool (*ClaimLookup)(void *document, const ClaimPath *path, ClaimValues *found);

extern const char *ClaimPathsProblem(const char *paths);
extern bool		   NextClaimPath(const char **paths, ClaimPath *path);
extern bool		   FirstClaim(const char *paths, ClaimLookup lookup, void *document,
							  ClaimValues *found);
extern bool		   AnyClaimNames(const char *paths, ClaimLookup lookup, void *document,
								 const char *wanted);

#endif /* IH_CLAIM_RULES_H */
