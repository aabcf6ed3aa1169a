/*
 * notify.c
 *	  Events as small JSON objects on the channel integration_health, sent at commit, and not at all
 *	  for what is rolled back.  Whoever can log in may listen: there are no error texts in them, and
 *	  nothing that is longer than a URL.
 */
#include "notify.h"

#include "commands/async.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "notes.h"
#include "schedule_rules.h"

#define CHANNEL "integration_health"

/* A transaction with more of them sends one event instead of the rest: they take memory. */
#define MAX_TRANSITIONS 10000

/* An event that is to be sent.  json is NULL for one that stands for those that are left out. */
typedef struct Event
{
	Note  note;
	char *json;
} Event;

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
	Event *event = AddNote(NOTE_EVENT, sizeof(Event));

	if (json != NULL)
		event->json = MemoryContextStrdup(TopTransactionContext, json);
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
 * SendEvents sends the noted events; PostgreSQL delivers them when the transaction has committed, and
 * of several that are the same, one.
 */
void
SendEvents(List *events)
{
	ListCell *cell;

	foreach (cell, events)
	{
		const char *json = ((Event *) lfirst(cell))->json;

		Async_Notify(CHANNEL, json != NULL ? json : "{\"event\": \"overflow\"}");
	}
}

/*
 * IsTooMany tells whether a transaction has told of so many transitions that the rest is left out,
 * and sees to it that this is told.
 */
static bool
IsTooMany(void)
{
	List *events = Notes(NOTE_EVENT);

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
