/*
 * settings.h
 *	  The settings of the extension, and Echo for values in error messages.
 */
#ifndef IH_SETTINGS_H
#define IH_SETTINGS_H

#include "base/compat.h"

/* The first two are lists of claim paths, as described in claim_rules.h. */
extern char *ih_org_claims;
extern char *ih_role_claims;
extern char *ih_admin_role;
extern bool	 ih_notify;
extern int	 ih_max_drift; /* seconds */
extern char *ih_partitions;

#define ECHO_CHARACTERS 100

extern const char *Echo(const char *value);

#endif /* IH_SETTINGS_H */
