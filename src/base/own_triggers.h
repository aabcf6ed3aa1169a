/*
 * own_triggers.h
 *	  Nobody's code runs with the owner's rights but the extension's own.
 */
#ifndef IH_OWN_TRIGGERS_H
#define IH_OWN_TRIGGERS_H

#include "base/settings.h"

#include "utils/relcache.h"

extern void RequireOwnTriggers(Relation rel, Oid writer);

#endif /* IH_OWN_TRIGGERS_H */
