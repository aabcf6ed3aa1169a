/*
 * passive.h
 *	  Rate limits: what a check with HTTP status 429 does to its integration type.
 */
#ifndef IH_PASSIVE_H
#define IH_PASSIVE_H

#include "integration_health.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#define HTTP_TOO_MANY_REQUESTS 429

extern void SwitchRateLimitedTypes(List *limits);
extern void NoteRateLimit(Oid schema, Datum integration_type, TimestampTz until);

#endif /* IH_PASSIVE_H */
