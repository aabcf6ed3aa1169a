/*
 * types.h
 *	  What a restored status row asks of integration_types.
 */
#ifndef IH_TYPES_H
#define IH_TYPES_H

#include "integration_health.h"

extern void HoldPlaceForType(Oid schema, Datum integration_type);

#endif /* IH_TYPES_H */
