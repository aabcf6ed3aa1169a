/*
 * settings.h
 *	  The settings of the extension, and what errors may repeat of a value.
 */
#ifndef IH_SETTINGS_H
#define IH_SETTINGS_H

#include "base/compat.h"

/* Paths as claim_rules.h describes them. */
extern char *ih_org_claims;
extern char *ih_role_claims;
extern char *ih_admin_role;
extern bool	 ih_notify;
extern int	 ih_max_drift; /* seconds */

#define ECHO_CHARACTERS 100

extern const char *Echo(const char *value);

#endif /* IH_SETTINGS_H */
