/*
 * claims.h
 *	  Who the caller is, by the JWT claims that PostgREST puts into request.jwt.claims.
 */
#ifndef IH_CLAIMS_H
#define IH_CLAIMS_H

#include "integration_health.h"

extern void RequireAdminRole(void);

#endif /* IH_CLAIMS_H */
