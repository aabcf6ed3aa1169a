/*
 * notes.c
 *	  What a transaction notes, to act upon it just before it commits.  By then the checks hold the
 *	  locks of their pairs, and nothing is done for what is rolled back: a note goes with the
 *	  subtransaction that made it.
 */
#include "notes.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "notify.h"

/* In the order of their making.  They live in the context of the top transaction; NIL in most. */
static List *notes[NOTE_KINDS];

/*
 * ActBeforeCommit is the transaction callback.  A transaction that is prepared sends no events:
 * PREPARE TRANSACTION refuses those with a NOTIFY.
 */
static void
ActBeforeCommit(XactEvent event, void *arg)
{
	(void) arg;
	if (notes[NOTE_EVENT] != NIL && event == XACT_EVENT_PRE_COMMIT)
		SendEvents(notes[NOTE_EVENT]);
	memset(notes, 0, sizeof(notes));
}

/*
 * FollowSubtransaction is the subtransaction callback: what one noted goes to its parent, or away.
 * It stands at the end of the list, for the parent noted nothing while the subtransaction ran.
 */
static void
FollowSubtransaction(SubXactEvent event, SubTransactionId subid, SubTransactionId parent,
					 void *arg)
{
	(void) arg;
	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (int kind = 0; kind < NOTE_KINDS; kind++)
	{
		int count = list_length(notes[kind]);

		while (count > 0 && ((Note *) list_nth(notes[kind], count - 1))->subid == subid)
		{
			count--;
			if (event == SUBXACT_EVENT_COMMIT_SUB)
				((Note *) list_nth(notes[kind], count))->subid = parent;
			else
				notes[kind] = list_delete_last(notes[kind]);
		}
	}
}

/*
 * AddNote makes a note of size bytes, zeroed behind its head, for the present subtransaction.  What
 * it points to has to live in TopTransactionContext, as it does.
 */
void *
AddNote(NoteKind kind, Size size)
{
	static bool	  registered = false;
	MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);
	Note		 *note = palloc0(size);

	if (!registered)
	{
		RegisterXactCallback(ActBeforeCommit, NULL);
		RegisterSubXactCallback(FollowSubtransaction, NULL);
		registered = true;
	}
	note->subid = GetCurrentSubTransactionId();
	notes[kind] = lappend(notes[kind], note);
	MemoryContextSwitchTo(caller);
	return note;
}

/*
 * Notes returns the notes of a kind that are made so far.
 */
List *
Notes(NoteKind kind)
{
	return notes[kind];
}
