/*
 * integration_health.h
 *	  What the files of the extension share: settings, and what errors may repeat of a value.
 */
#ifndef INTEGRATION_HEALTH_H
#define INTEGRATION_HEALTH_H

#include "compat.h"

#include "fmgr.h"

/* Settings; paths as claim_rules.h describes them. */
extern char *ih_org_claims;
extern char *ih_role_claims;
extern char *ih_admin_role;
extern bool	 ih_notify;
extern int	 ih_max_drift; /* seconds */

#define ECHO_CHARACTERS 100

extern const char *Echo(const char *value);

#endif /* INTEGRATION_HEALTH_H */
