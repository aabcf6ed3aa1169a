/*
 * subtransactions.h
 *	  Lists of what a transaction has noted, which follow its subtransactions.
 */
#ifndef IH_SUBTRANSACTIONS_H
#define IH_SUBTRANSACTIONS_H

#include "postgres.h"

#include "access/xact.h"
#include "nodes/pg_list.h"

/* How each entry of such a list begins: the subtransaction that it belongs to. */
typedef struct Noted
{
	SubTransactionId subid;
} Noted;

extern List *EndSubtransactionOf(List *noted, SubXactEvent event, SubTransactionId subid,
								 SubTransactionId parent);

#endif /* IH_SUBTRANSACTIONS_H */
