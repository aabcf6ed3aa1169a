/*
 * own_triggers.h
 *	  Keeps other roles' triggers and rules from running with the rights of a table's owner.
 */
#ifndef IH_OWN_TRIGGERS_H
#define IH_OWN_TRIGGERS_H

#include "base/settings.h"

#include "utils/relcache.h"

extern void RequireOwnTriggers(Relation rel, Oid writer);

#endif /* IH_OWN_TRIGGERS_H */
