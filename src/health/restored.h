/*
 * restored.h
 *	  Restored rows that look as if this transaction had recorded them, and the types of
 *	  restored rows.
 */
#ifndef IH_RESTORED_H
#define IH_RESTORED_H

#include "postgres.h"

#include "datatype/timestamp.h"

extern void HoldType(Datum integration_type);
extern void RememberRestored(Datum org_id, Datum integration_type, TimestampTz recorded_at);
extern bool WasRestored(Datum org_id, Datum integration_type, TimestampTz recorded_at);

#endif /* IH_RESTORED_H */
