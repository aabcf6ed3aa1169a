/*
 * passive.c
 *	  The switch of an integration type to passive mode, and back.  The checks of a transaction note
 *	  what they saw, and the types are switched just before it commits: its lock on a type is short.
 */
#include "passive.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "notes.h"
#include "notify.h"
#include "owner_query.h"
#include "relations.h"

PG_FUNCTION_INFO_V1(ih_resume_monitoring);

/* A type that was seen rate limited.  until is DT_NOBEGIN where no time was given. */
typedef struct RateLimit
{
	Note		note;
	Oid			types;
	char		name[NAMEDATALEN];
	TimestampTz until;
} RateLimit;

static OwnerQuery needs_change = {
	.text = "SELECT 1 FROM @schema@.integration_types AS t"
			" WHERE t.integration_type OPERATOR(pg_catalog.=) $1"
			"   AND (t.monitoring_mode OPERATOR(pg_catalog.=)"
			"        'active'::@schema@.integration_monitoring_mode"
			"        OR COALESCE(t.passive_until, '-infinity') OPERATOR(pg_catalog.<) $2)",
	.nargs = 2,
	.argtypes = { TEXTOID, TIMESTAMPTZOID },
	.sees_latest = true,
};

/* Until when a system asked, at $3, not to be probed: $2, but no longer than any pair would wait. */
#define ASKED_FOR \
	"CASE WHEN $2 IS NOT NULL THEN LEAST($2, $3 OPERATOR(pg_catalog.+) t.max_backoff) END"

/* Readers of all organisations see the reason: it names none. */
static OwnerQuery switch_to_passive = {
	.text =
		"UPDATE @schema@.integration_types AS t"
		"   SET monitoring_mode = 'passive', passive_since = $3, passive_reason = 'HTTP 429',"
		"       passive_until = GREATEST(" ASKED_FOR ","
		"                                CASE WHEN t.passive_until OPERATOR(pg_catalog.>) $3"
		"                                     THEN t.passive_until END)"
		" WHERE t.integration_type OPERATOR(pg_catalog.=) $1"
		"   AND t.monitoring_mode OPERATOR(pg_catalog.=)"
		"       'active'::@schema@.integration_monitoring_mode"
		" RETURNING t.passive_until",
	.nargs = 3,
	.argtypes = { TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID },
	.resulttypes = { TIMESTAMPTZOID },
	.sees_latest = true,
};

static OwnerQuery prolong = {
	.text = "UPDATE @schema@.integration_types AS t SET passive_until = " ASKED_FOR
			" WHERE t.integration_type OPERATOR(pg_catalog.=) $1"
			"   AND COALESCE(t.passive_until, '-infinity') OPERATOR(pg_catalog.<) " ASKED_FOR,
	.nargs = 3,
	.argtypes = { TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID },
	.sees_latest = true,
};

static OwnerQuery resume = {
	.text = "UPDATE @schema@.integration_types AS t"
			"   SET monitoring_mode = 'active', passive_since = NULL, passive_reason = NULL,"
			"       passive_until = NULL"
			" WHERE t.integration_type OPERATOR(pg_catalog.=) $1"
			" RETURNING t",
	.nargs = 2,
	.argtypes = { TEXTOID, TIMESTAMPTZOID },
	.sees_latest = true,
};

static OwnerQuery mode_of = {
	.text = "SELECT t.monitoring_mode OPERATOR(pg_catalog.=)"
			"       'passive'::@schema@.integration_monitoring_mode, t.passive_until"
			"  FROM @schema@.integration_types AS t"
			" WHERE t.integration_type OPERATOR(pg_catalog.=) $1",
	.nargs = 1,
	.argtypes = { TEXTOID },
	.resulttypes = { BOOLOID, TIMESTAMPTZOID },
	.sees_latest = true,
};

/*
 * All of them are overdue: they would be checked at once.  Those that a claim in flight holds are not
 * waited for: its transaction may be about to switch the type, and wait for us.
 */
static OwnerQuery spread_anew = {
	.text = "UPDATE @schema@.integration_monitors AS m"
			"   SET due_at = @schema@.integration_monitor_first_due("
			"         m.org_id, m.integration_type, t.check_interval,"
			"         $2)"
			"  FROM @schema@.integration_types AS t"
			" WHERE t.integration_type OPERATOR(pg_catalog.=) $1"
			"   AND m.ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
			"     SELECT d.ctid FROM @schema@.integration_monitors AS d"
			"      WHERE d.integration_type OPERATOR(pg_catalog.=) $1"
			"        AND d.due_at OPERATOR(pg_catalog.<=) $2"
			"        FOR NO KEY UPDATE OF d SKIP LOCKED))",
	.nargs = 2,
	.argtypes = { TEXTOID, TIMESTAMPTZOID },
	.sees_latest = true,
};

/*
 * LockMode lets one transaction at a time change the mode of a type.  The lock comes before the row
 * is looked at, so that two switches do not meet as writers of one row: at higher isolation levels
 * that would be a serialization failure.
 */
static void
LockMode(Oid types, const char *name)
{
	LockDatabaseObject(types, hash_bytes((const unsigned char *) name, strlen(name)), 0,
					   ExclusiveLock);
}

/*
 * Switch puts a type into passive mode; where it is in it, a later until replaces the present one.
 */
static void
Switch(const RateLimit *limit)
{
	Datum		   values[3];
	char		   nulls[4] = "   ";
	Datum		   until;
	bool		   isnull;
	StringInfoData json;

	/* The transaction may have dropped the extension meanwhile. */
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(limit->types)))
		return;
	values[0] = CStringGetTextDatum(limit->name);
	values[1] = TimestampTzGetDatum(limit->until);
	values[2] = TimestampTzGetDatum(GetCurrentTimestamp());
	nulls[1] = limit->until == DT_NOBEGIN ? 'n' : ' ';
	if (RunOwnerCommand(&needs_change, limit->types, values, nulls) == 0)
		return;

	LockMode(limit->types, limit->name);
	SPI_connect();
	if (RunOwnerQuery(&switch_to_passive, limit->types, values, nulls, false) == 1)
	{
		until = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		BeginEvent(&json, "passive");
		AddEventText(&json, "integration_type", limit->name);
		AddEventText(&json, "since", UtcText(DatumGetTimestampTz(values[2])));
		AddEventText(&json, "until", isnull ? NULL : UtcText(DatumGetTimestampTz(until)));
		EndEvent(&json);
	}
	else
		RunOwnerQuery(&prolong, limit->types, values, nulls, false);
	SPI_finish();
}

/*
 * CompareRateLimits sorts by type; of one type, the longest wait comes first.
 */
static int
CompareRateLimits(const ListCell *a, const ListCell *b)
{
	const RateLimit *one = lfirst(a);
	const RateLimit *other = lfirst(b);
	int				 by_name = strcmp(one->name, other->name);

	if (by_name != 0 || one->until == other->until)
		return by_name;
	return one->until > other->until ? -1 : 1;
}

/*
 * SwitchRateLimitedTypes switches the types that were noted, in one order for all transactions, so
 * that those that switch several do not deadlock.
 */
void
SwitchRateLimitedTypes(List *limits)
{
	const char *last = "";
	ListCell   *cell;

	list_sort(limits, CompareRateLimits);
	PushActiveSnapshot(GetTransactionSnapshot());
	foreach (cell, limits)
	{
		const RateLimit *limit = lfirst(cell);

		if (strcmp(limit->name, last) != 0)
			Switch(limit);
		last = limit->name;
	}
	PopActiveSnapshot();
}

/*
 * NotedRateLimit returns what this subtransaction has noted of a type, NULL for nothing.
 */
static RateLimit *
NotedRateLimit(const char *name)
{
	List *limits = Notes(NOTE_RATE_LIMIT);

	for (int i = list_length(limits) - 1; i >= 0; i--)
	{
		RateLimit *limit = list_nth(limits, i);

		if (limit->note.subid != GetCurrentSubTransactionId())
			break;
		if (strcmp(limit->name, name) == 0)
			return limit;
	}
	return NULL;
}

/*
 * NoteRateLimit notes that a check of a type found it rate limited, and until when it asked not to be
 * probed; DT_NOBEGIN where it gave no time.
 */
void
NoteRateLimit(Oid schema, Datum integration_type, TimestampTz until)
{
	char	  *name = TextDatumGetCString(integration_type);
	RateLimit *limit = NotedRateLimit(name);

	if (limit == NULL)
	{
		limit = AddNote(NOTE_RATE_LIMIT, sizeof(RateLimit));
		limit->types = ExtensionTable(schema, TYPES_TABLE);
		strlcpy(limit->name, name, NAMEDATALEN);
		limit->until = DT_NOBEGIN;
	}
	limit->until = Max(limit->until, until);
	pfree(name);
}

/*
 * ih_resume_monitoring is resume_active_monitoring(integration_type).
 */
Datum
ih_resume_monitoring(PG_FUNCTION_ARGS)
{
	Oid			   schema = SchemaOfFunction(fcinfo);
	Oid			   types = ExtensionTable(schema, TYPES_TABLE);
	char		  *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Datum		   values[2];
	Datum		   result;
	bool		   was_passive;
	bool		   isnull;
	StringInfoData json;

	if (name == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("integration_type must not be null")));

	/* A standby would refuse the lock, with an error that tells less. */
	PreventCommandIfReadOnly("resume_active_monitoring()");
	LockMode(types, name);

	SPI_connect();
	values[0] = PG_GETARG_DATUM(0);
	values[1] = TimestampTzGetDatum(GetCurrentTimestamp());
	if (RunOwnerQuery(&mode_of, types, values, NULL, false) == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("there is no integration type \"%s\"", name),
						errhint("The types are the rows of %s.", TYPES_TABLE)));
	was_passive =
		DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));

	if (RunOwnerQuery(&resume, types, values, NULL, false) != 1)
		RefuseIntrusion(&resume, TYPES_TABLE);
	result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	result = SPI_datumTransfer(result, false, -1);
	if (was_passive)
	{
		RunOwnerQuery(&spread_anew, ExtensionTable(schema, MONITORS_TABLE), values, NULL,
					  false);
		BeginEvent(&json, "active");
		AddEventText(&json, "integration_type", name);
		EndEvent(&json);
	}
	SPI_finish();
	PG_RETURN_DATUM(result);
}
