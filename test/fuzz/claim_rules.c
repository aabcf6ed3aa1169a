/*
 * claim_rules.c
 *	  libFuzzer target: a list of claim paths, and a document to look them up in.  The input is
 *	  the list up to the first zero byte; the rest determines what the document has at each
 *	  path.
 */
#include "fuzz.h"

#include "claims/claim_rules.h"

#define MAX_LOOKUPS 4096

/* A document: the bytes that determine what is at each path, in the order of the look-ups. */
typedef struct Document
{
	Bytes		in;
	int			lookups;
	bool		named; /* whether a look-up so far has found the wanted string */
	ClaimValues found; /* what the last successful look-up found */
	const char *values[4];
} Document;

static const char *const known_values[] = {
	"", "global_admin", "global_admin ", "Global_admin", "global", "editor"
};

static bool
LookUp(void *document, const ClaimPath *path, ClaimValues *found)
{
	Document *doc = document;
	int		  choice = (int) TakeInt(&doc->in, 1) & 7;

	HOLDS(++doc->lookups <= MAX_LOOKUPS);
	HOLDS(path->nkeys >= 1 && path->nkeys <= CLAIM_PATH_MAX_KEYS);
	for (int i = 0; i < path->nkeys; i++)
	{
		HOLDS(memchr(path->keys[i], '\0', CLAIM_KEY_MAX_BYTES) != NULL);
		HOLDS(path->keys[i][0] != '\0');
		HOLDS(strpbrk(path->keys[i], "., \t\n\r") == NULL);
		HOLDS(strcmp(path->keys[i], "user_metadata") != 0);
		HOLDS(strcmp(path->keys[i], "raw_user_meta_data") != 0);
	}
	if (choice > 4)
		return false;
	found->nvalues = choice;
	found->values = doc->values;
	for (int i = 0; i < choice; i++)
	{
		doc->values[i] = known_values[(uint8_t) TakeInt(&doc->in, 1) % 6];
		doc->named = doc->named || strcmp(doc->values[i], "global_admin") == 0;
	}
	doc->found = *found;
	return true;
}

/* AppendPath appends a path to a list of paths and returns the new length. */
static size_t
AppendPath(char *text, size_t len, const ClaimPath *path)
{
	if (len > 0)
		text[len++] = ',';
	for (int i = 0; i < path->nkeys; i++)
	{
		size_t keylen = strlen(path->keys[i]);

		if (i > 0)
			text[len++] = '.';
		memcpy(text + len, path->keys[i], keylen);
		len += keylen;
	}
	text[len] = '\0';
	return len;
}

/* RejoinedIsTheSame joins the paths of an accepted list and splits them again: none may change. */
static void
RejoinedIsTheSame(const char *list)
{
	char	   *joined = malloc(strlen(list) + 1);
	size_t		len = 0;
	const char *at = list;
	const char *again;
	ClaimPath	path;
	ClaimPath	second;

	while (NextClaimPath(&at, &path))
		len = AppendPath(joined, len, &path);
	HOLDS(*at == '\0');
	HOLDS(len > 0 && len <= strlen(list));
	HOLDS(ClaimPathsProblem(joined) == NULL);
	at = list;
	again = joined;
	while (NextClaimPath(&at, &path))
	{
		HOLDS(NextClaimPath(&again, &second));
		HOLDS(path.nkeys == second.nkeys);
		for (int i = 0; i < path.nkeys; i++)
			HOLDS(strcmp(path.keys[i], second.keys[i]) == 0);
	}
	HOLDS(!NextClaimPath(&again, &second));
	free(joined);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t		len = strnlen((const char *) data, size);
	char	   *list = malloc(len + 1);
	Bytes		rest = { data + len, size - len };
	const char *problem;

	/* The copy lets ASan see a read past the end of the list. */
	memcpy(list, data, len);
	list[len] = '\0';
	problem = ClaimPathsProblem(list);
	if (problem != NULL)
	{
		/* It must be a sentence, for errdetail. */
		HOLDS(problem[0] >= 'A' && problem[0] <= 'Z' && problem[strlen(problem) - 1] == '.');
	}
	else
	{
		Document	document = { .in = rest };
		ClaimValues found;
		bool		is_there;

		RejoinedIsTheSame(list);

		is_there = FirstClaim(list, LookUp, &document, &found);
		HOLDS(document.lookups >= 1);
		if (is_there)
			HOLDS(found.nvalues == document.found.nvalues &&
				  found.values == document.found.values);

		document = (Document){ .in = rest };
		HOLDS(AnyClaimNames(list, LookUp, &document, "global_admin") == document.named);
	}
	free(list);
	return 0;
}
