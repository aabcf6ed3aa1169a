/*
 * settings.c
 *	  The settings of the extension, and Echo for values in error messages.
 */
#include "base/settings.h"

#include "mb/pg_wchar.h"

char *ih_org_claims;
char *ih_role_claims;
char *ih_admin_role;
bool  ih_notify;
int	  ih_max_drift;
char *ih_partitions;

/*
 * Echo returns the part of a caller's value that an error may repeat: its first 100 characters,
 * and "..." if there are more.
 */
const char *
Echo(const char *value)
{
	int bytes = strlen(value);
	int clipped = pg_mbcharcliplen(value, bytes, ECHO_CHARACTERS);

	return clipped == bytes ? value : psprintf("%.*s...", clipped, value);
}
