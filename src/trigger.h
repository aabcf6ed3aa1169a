/*
 * trigger.h
 *	  What the extension's trigger functions check before they look at anything else.
 */
#ifndef IH_TRIGGER_H
#define IH_TRIGGER_H

#include "integration_health.h"

#include "commands/trigger.h"

extern TriggerData *RequireTrigger(FunctionCallInfo fcinfo, const char *function);
extern void			RefuseTriggerEvent(const char *function);
extern void RequireSameKey(Relation rel, HeapTuple old, HeapTuple new, AttrNumber org_id,
						   AttrNumber integration_type);

#endif /* IH_TRIGGER_H */
