/*
 * counts.h
 *	  The number of pairs by integration type and status, kept as a sum of changes.
 */
#ifndef IH_COUNTS_H
#define IH_COUNTS_H

#include "integration_health.h"

extern void CountChange(Oid schema, Datum integration_type, Oid from, Oid to);
extern void CountForgetAll(Oid schema);

#endif /* IH_COUNTS_H */
