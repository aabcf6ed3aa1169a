/*
 * subtransactions.c
 *	  Lists of what a transaction has noted, which follow its subtransactions.
 */
#include "base/subtransactions.h"

/*
 * EndSubtransactionOf hands the entries of a subtransaction to its parent at commit and drops
 * them at abort; a subtransaction callback calls it and keeps the list that it returns.  They
 * are the last in the list, since a parent adds none while its subtransaction runs.
 */
List *
EndSubtransactionOf(List *noted, SubXactEvent event, SubTransactionId subid,
					SubTransactionId parent)
{
	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return noted;
	for (int i = list_length(noted) - 1; i >= 0; i--)
	{
		Noted *entry = list_nth(noted, i);

		if (entry->subid != subid)
			break;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			entry->subid = parent;
		else
			noted = list_delete_last(noted);
	}
	return noted;
}
