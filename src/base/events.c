/*
 * events.c
 *	  Events on the channel integration_health.  They are collected until commit, not passed to
 *	  NOTIFY at once, because PREPARE TRANSACTION fails after NOTIFY.  A rollback drops them.
 */
#include "postgres.h"

#include "commands/async.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/settings.h"
#include "base/subtransactions.h"

PG_FUNCTION_INFO_V1(send_event);

#define CHANNEL "integration_health"

/* An event to be sent at commit. */
typedef struct Event
{
	Noted noted;
	char  json[FLEXIBLE_ARRAY_MEMBER];
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
 * FollowSubtransaction is the subtransaction callback.
 */
static void
FollowSubtransaction(SubXactEvent event, SubTransactionId subid, SubTransactionId parent,
					 void *arg)
{
	(void) arg;
	events = EndSubtransactionOf(events, event, subid, parent);
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
	event->noted.subid = GetCurrentSubTransactionId();
	strcpy(event->json, json);
	events = lappend(events, event);
	MemoryContextSwitchTo(caller);
	PG_RETURN_VOID();
}
