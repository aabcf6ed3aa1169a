/*
 * events.c
 *	  Events on the channel integration_health.  They are collected until commit, not passed to
 *	  NOTIFY at once, because PREPARE TRANSACTION fails after NOTIFY.  A rollback drops them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/settings.h"

PG_FUNCTION_INFO_V1(send_event);

#define CHANNEL "integration_health"

/* An event to be sent at commit, and the subtransaction that it belongs to. */
typedef struct Event
{
	SubTransactionId subid;
	char			 json[FLEXIBLE_ARRAY_MEMBER];
} Event;

/* The events of the transaction, oldest first, in TopTransactionContext; mostly NIL. */
static List *events = NIL;

/*
 * SendEvents is the transaction callback.  PostgreSQL delivers the events after the transaction
 * has committed, and equal ones only once.  A prepared transaction drops its events.
 */
static void
SendEvents(XactEvent event, void *arg)
{
	ListCell *cell;

	(void) arg;
	if (event == XACT_EVENT_PRE_COMMIT)
	{
		foreach (cell, events)
			Async_Notify(CHANNEL, ((Event *) lfirst(cell))->json);
	}
	events = NIL;
}

/*
 * FollowSubtransaction is the subtransaction callback: it hands the events of a subtransaction
 * to its parent at commit and drops them at abort.  They are the last in the list, since a
 * parent adds none while its subtransaction runs.
 */
static void
FollowSubtransaction(SubXactEvent event, SubTransactionId subid, SubTransactionId parent,
					 void *arg)
{
	(void) arg;
	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (int i = list_length(events) - 1; i >= 0; i--)
	{
		Event *noted = list_nth(events, i);

		if (noted->subid != subid)
			break;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			noted->subid = parent;
		else
			events = list_delete_last(events);
	}
}

/*
 * send_event(event text) queues an event to be sent at commit, unless integration_health.notify
 * is off.  An event too long for NOTIFY makes the commit fail with 22023.
 */
Datum
send_event(PG_FUNCTION_ARGS)
{
	static bool	  registered = false;
	char		 *json;
	Event		 *event;
	MemoryContext caller;

	if (!ih_notify)
		PG_RETURN_VOID();
	if (!registered)
	{
		RegisterXactCallback(SendEvents, NULL);
		RegisterSubXactCallback(FollowSubtransaction, NULL);
		registered = true;
	}
	json = text_to_cstring(PG_GETARG_TEXT_PP(0));
	caller = MemoryContextSwitchTo(TopTransactionContext);
	event = palloc(offsetof(Event, json) + strlen(json) + 1);
	event->subid = GetCurrentSubTransactionId();
	strcpy(event->json, json);
	events = lappend(events, event);
	MemoryContextSwitchTo(caller);
	PG_RETURN_VOID();
}
