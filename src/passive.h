/*
 * passive.h
 *	  Rate limits: how a type enters passive mode, and how it leaves it.
 */
#ifndef IH_PASSIVE_H
#define IH_PASSIVE_H

#include "integration_health.h"

#define HTTP_TOO_MANY_REQUESTS 429

extern void EndPassiveModeAtFirstCheck(Oid schema, Datum org_id, Datum integration_type);

#endif /* IH_PASSIVE_H */
