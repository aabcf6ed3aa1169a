/*
 * notify.c
 *	  Events as small JSON objects on the channel integration_health, sent at commit, and not at all
 *	  for what is rolled back.  Whoever can log in may listen: there are no error texts in them, and
 *	  nothing that is longer than a URL.
 */
#include "notify.h"

#include "access/xact.h"
#include "commands/async.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "schedule_rules.h"

#define CHANNEL "integration_health"

/* A transaction with more of them sends one event instead of the rest: they take memory. */
#define MAX_TRANSITIONS 10000

/* An event that is to be sent.  json is NULL for one that stands for those that are left out. */
typedef struct Event
{
	SubTransactionId subid;
	char			*json;
} Event;

/* In the order of their making.  They live in the context of the top transaction; NIL in most. */
static List *events = NIL;

/*
 * SendEvents is the transaction callback.  PostgreSQL delivers the events when the transaction has
 * committed, and of several that are the same, one.  A transaction that is prepared sends none:
 * PREPARE TRANSACTION refuses those with a NOTIFY.
 */
static void
SendEvents(XactEvent event, void *arg)
{
	ListCell *cell;

	(void) arg;
	if (event == XACT_EVENT_PRE_COMMIT)
	{
		foreach (cell, events)
		{
			const char *json = ((Event *) lfirst(cell))->json;

			Async_Notify(CHANNEL, json != NULL ? json : "{\"event\": \"overflow\"}");
		}
	}
	events = NIL;
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
 * UtcText returns a time as ISO 8601 in UTC.
 */
char *
UtcText(TimestampTz at)
{
	char *text = palloc(UTC_TEXT_BYTES);

	FormatUtc(text, at);
	return text;
}

/*
 * BeginEvent starts the JSON object of an event.
 */
void
BeginEvent(StringInfo json, const char *event)
{
	initStringInfo(json);
	appendStringInfo(json, "{\"event\": \"%s\"", event);
}

/*
 * AddEventText adds a key with a string, or null.
 */
void
AddEventText(StringInfo json, const char *key, const char *value)
{
	appendStringInfo(json, ", \"%s\": ", key);
	if (value == NULL)
		appendStringInfoString(json, "null");
	else
		escape_json(json, value);
}

/*
 * AddEventPair adds the keys org_id and integration_type.
 */
void
AddEventPair(StringInfo json, Datum org_id, Datum integration_type)
{
	AddEventText(json, "org_id", DatumGetCString(DirectFunctionCall1(uuid_out, org_id)));
	AddEventText(json, "integration_type", TextDatumGetCString(integration_type));
}

/*
 * AddEventNumber adds a key with a number.
 */
void
AddEventNumber(StringInfo json, const char *key, int64 value)
{
	appendStringInfo(json, ", \"%s\": " INT64_FORMAT, key, value);
}

/*
 * NoteEvent leaves an event to be sent at commit; NULL stands for those that are left out.
 */
static void
NoteEvent(const char *json)
{
	static bool	  registered = false;
	MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);
	Event		 *event = palloc(sizeof(Event));

	if (!registered)
	{
		RegisterXactCallback(SendEvents, NULL);
		RegisterSubXactCallback(FollowSubtransaction, NULL);
		registered = true;
	}
	event->subid = GetCurrentSubTransactionId();
	event->json = json == NULL ? NULL : pstrdup(json);
	events = lappend(events, event);
	MemoryContextSwitchTo(caller);
}

/*
 * EndEvent ends the object and leaves it to be sent, unless integration_health.notify is off.
 */
void
EndEvent(StringInfo json)
{
	appendStringInfoChar(json, '}');
	if (ih_notify)
		NoteEvent(json->data);
}

/*
 * IsTooMany tells whether a transaction has told of so many transitions that the rest is left out,
 * and sees to it that this is told.
 */
static bool
IsTooMany(void)
{
	if (list_length(events) < MAX_TRANSITIONS)
		return false;
	if (((Event *) llast(events))->json != NULL)
		NoteEvent(NULL);
	return true;
}

/*
 * NotifyTransition tells that a pair went from one status to another; from NULL, with its first
 * check.  The caller holds the lock on its status row.
 */
void
NotifyTransition(Datum org_id, Datum integration_type, const char *from, const char *to,
				 TimestampTz checked_at, int64 check_no)
{
	StringInfoData json;

	if (!ih_notify || IsTooMany())
		return;
	BeginEvent(&json, "status");
	AddEventPair(&json, org_id, integration_type);
	AddEventText(&json, "from", from);
	AddEventText(&json, "to", to);
	AddEventText(&json, "checked_at", UtcText(checked_at));
	AddEventNumber(&json, "check_no", check_no);
	EndEvent(&json);
}
