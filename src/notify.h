/*
 * notify.h
 *	  What the extension tells listeners of the channel integration_health.
 */
#ifndef IH_NOTIFY_H
#define IH_NOTIFY_H

#include "integration_health.h"

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

extern char *UtcText(TimestampTz at);

extern void BeginEvent(StringInfo json, const char *event);
extern void AddEventText(StringInfo json, const char *key, const char *value);
extern void AddEventPair(StringInfo json, Datum org_id, Datum integration_type);
extern void AddEventNumber(StringInfo json, const char *key, int64 value);
extern void EndEvent(StringInfo json);

extern void NotifyTransition(Datum org_id, Datum integration_type, const char *from,
							 const char *to, TimestampTz checked_at, int64 check_no);

#endif /* IH_NOTIFY_H */
