/*
 * settings.c
 *	  The settings of the extension, and what errors may repeat of a value.
 */
#include "base/settings.h"

#include "mb/pg_wchar.h"

char *ih_org_claims;
char *ih_role_claims;
char *ih_admin_role;
bool  ih_notify;
int	  ih_max_drift;

/*
 * Echo returns what an error may repeat of a value that a caller has sent: its first characters.
 */
const char *
Echo(const char *value)
{
	int bytes = strlen(value);
	int clipped = pg_mbcharcliplen(value, bytes, ECHO_CHARACTERS);

	return clipped == bytes ? value : psprintf("%.*s...", clipped, value);
}
