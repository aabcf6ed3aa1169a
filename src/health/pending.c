/*
 * pending.c
 *	  Keeps the checks from which something follows until the end of the statement that records
 *	  them, and then has SQL apply them together: thousands of pairs may fail at once.
 */
#include "health/pending.h"

#include "fmgr.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "base/subtransactions.h"
#include "citus/shard_plans.h"

PG_FUNCTION_INFO_V1(apply_pending_checks);

/* This many are applied at once, even in the middle of a statement. */
#define MAX_PENDING_CHECKS 1000

/*
 * A check, the table whose trigger fired, and the statement that recorded it.  On a shard of Citus,
 * all checks of a statement are of that shard.  The memory context of its copy of the triggers,
 * the same for all partitions, tells a statement from those that are running, and the number of
 * statements that have ended tells it from the others.
 */
typedef struct PendingCheck
{
	Noted		  noted;
	Oid			  relid;
	MemoryContext statement;
	uint64		  nended;
	NullableDatum columns[PENDING_COLUMNS];
} PendingCheck;

/*
 * Whether there are any: the setting integration_health_private.pending, which the trigger that
 * calls apply_pending_checks reads.
 */
bool ih_pending = false;

/* The checks, oldest first, in a child of TopTransactionContext; mostly NIL. */
static MemoryContext context = NULL;
static List			*checks = NIL;
static Oid			 types[PENDING_COLUMNS];

static uint64 nended = 0;

static void
Forget(void)
{
	context = NULL;
	checks = NIL;
	ih_pending = false;
}

/*
 * EndTransaction is the transaction callback.  55000 if checks are left, because somebody has
 * disabled the trigger.
 */
static void
EndTransaction(XactEvent event, void *arg)
{
	(void) arg;
	if ((event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) && checks != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("checks were recorded, but what follows from them was not applied"),
				 errhint("Enable all triggers of table \"integration_health_status\".")));
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		Forget();
}

/*
 * EndSubtransaction is the subtransaction callback.
 */
static void
EndSubtransaction(SubXactEvent event, SubTransactionId subid, SubTransactionId parent,
				  void *arg)
{
	(void) arg;
	checks = EndSubtransactionOf(checks, event, subid, parent);
	ih_pending = checks != NIL;
}

/*
 * ApplyTogether calls follow_checks with n checks of different pairs, from the first on, inside
 * their shard if they have one.
 */
static void
ApplyTogether(const List *all, int first, int n)
{
	PrivateArgument arguments[PENDING_COLUMNS];
	Datum		   *values = palloc(n * sizeof(Datum));
	bool		   *nulls = palloc(n * sizeof(bool));
	int				lower_bound = 1;
	int				level;

	for (int i = 0; i < PENDING_COLUMNS; i++)
	{
		int16 length;
		bool  byval;
		char  align;

		for (int k = 0; k < n; k++)
		{
			const PendingCheck *check = list_nth(all, first + k);

			values[k] = check->columns[i].value;
			nulls[k] = check->columns[i].isnull;
		}
		get_typlenbyvalalign(types[i], &length, &byval, &align);
		arguments[i].type = get_array_type(types[i]);
		arguments[i].value.value = PointerGetDatum(construct_md_array(
			values, nulls, 1, &n, &lower_bound, types[i], length, byval, align));
		arguments[i].value.isnull = false;
	}
	level = EnterShard(((const PendingCheck *) list_nth(all, first))->relid);
	CallPrivate("follow_checks", lengthof(arguments), arguments);
	LeaveShard(level);
}

static bool
OfSameStatement(const PendingCheck *a, const PendingCheck *b)
{
	return a->statement == b->statement && a->nended == b->nended;
}

/*
 * Apply applies all checks, unless some are of an outer subtransaction: a statement of that one
 * is still running and will do it, since a rollback of this one must not undo what follows from
 * them.  A statement records one check of a pair at most; those of another one, which it has
 * run, are applied by themselves.
 */
static void
Apply(void)
{
	MemoryContext applied = context;
	const List	 *all = checks;
	int			  n = list_length(all);

	if (n == 0 || ((Noted *) linitial(all))->subid != GetCurrentSubTransactionId())
		return;
	Forget();
	for (int from = 0, to; from < n; from = to)
	{
		for (to = from + 1; to < n; to++)
		{
			if (!OfSameStatement(list_nth(all, from), list_nth(all, to)))
				break;
		}
		ApplyTogether(all, from, to - from);
	}
	MemoryContextDelete(applied);
}

/*
 * AddPendingCheck adds a check to those that the end of the statement applies; data is of the
 * trigger that has recorded it.
 */
void
AddPendingCheck(const TriggerData *data, const PrivateArgument check[PENDING_COLUMNS])
{
	static bool	  registered = false;
	MemoryContext caller;
	PendingCheck *added;

	if (!registered)
	{
		RegisterXactCallback(EndTransaction, NULL);
		RegisterSubXactCallback(EndSubtransaction, NULL);
		registered = true;
	}
	if (list_length(checks) >= MAX_PENDING_CHECKS)
		Apply();
	if (context == NULL)
		context = AllocSetContextCreate(TopTransactionContext, "pending checks",
										ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	added = palloc(sizeof(PendingCheck));
	added->noted.subid = GetCurrentSubTransactionId();
	added->relid = RelationGetRelid(data->tg_relation);
	added->statement = GetMemoryChunkContext(data->tg_trigger->tgname);
	added->nended = nended;
	for (int i = 0; i < PENDING_COLUMNS; i++)
	{
		int16 length;
		bool  byval;

		types[i] = check[i].type;
		added->columns[i] = check[i].value;
		get_typlenbyval(types[i], &length, &byval);
		if (!check[i].value.isnull)
			added->columns[i].value = datumCopy(check[i].value.value, byval, length);
	}
	checks = lappend(checks, added);
	MemoryContextSwitchTo(caller);
	ih_pending = true;
}

/*
 * apply_pending_checks() applies what follows from the checks that the statement has recorded.
 */
Datum
apply_pending_checks(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	Apply();
	nended++;
	PG_RETURN_VOID();
}
