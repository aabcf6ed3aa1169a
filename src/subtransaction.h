/*
 * subtransaction.h
 *	  Work that may fail without failing its caller.
 */
#ifndef IH_SUBTRANSACTION_H
#define IH_SUBTRANSACTION_H

#include "integration_health.h"

extern ErrorData *TryInSubtransaction(void (*act)(void *arg), void *arg, bool keep);

#endif /* IH_SUBTRANSACTION_H */
