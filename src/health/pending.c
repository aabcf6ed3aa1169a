/*
 * pending.c
 *	  Keeps the checks from which something follows until the end of the statement that records
 *	  them, and then has SQL apply them together: thousands of pairs may fail at once.
 */
#include "health/pending.h"

#include "access/xact.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "base/compat.h"

PG_FUNCTION_INFO_V1(apply_pending_checks);

/* This many are applied at once, even in the middle of a statement. */
#define MAX_PENDING_CHECKS 1000

/* The columns of the checks, and what is needed to copy their values. */
typedef struct PendingColumn
{
	Oid	  type;
	int16 length;
	bool  byval;
	char  align;
	Datum values[MAX_PENDING_CHECKS];
	bool  nulls[MAX_PENDING_CHECKS];
} PendingColumn;

/*
 * Whether there are any: the setting integration_health_private.pending, which the trigger that
 * calls apply_pending_checks reads.
 */
bool ih_pending = false;

/* The checks and their subtransactions, in a child of TopTransactionContext; mostly NULL. */
static MemoryContext	 context = NULL;
static PendingColumn	*columns = NULL;
static SubTransactionId *subids = NULL;
static int				 nchecks = 0;

static void
Forget(void)
{
	context = NULL;
	columns = NULL;
	subids = NULL;
	nchecks = 0;
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
	if ((event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) && nchecks > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("checks were recorded, but what follows from them was not applied"),
				 errhint("Enable all triggers of table \"integration_health_status\".")));
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		Forget();
}

/*
 * EndSubtransaction is the subtransaction callback: it hands the checks of a subtransaction to
 * its parent at commit and drops them at abort.  They are the last ones, since a parent adds
 * none while its subtransaction runs.
 */
static void
EndSubtransaction(SubXactEvent event, SubTransactionId subid, SubTransactionId parent,
				  void *arg)
{
	(void) arg;
	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (int i = nchecks - 1; i >= 0 && subids[i] == subid; i--)
	{
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			subids[i] = parent;
		else
			nchecks--;
	}
	ih_pending = nchecks > 0;
}

/*
 * Apply calls follow_checks with the checks, which are pending no longer.
 */
static void
Apply(void)
{
	PrivateArgument arguments[PENDING_COLUMNS];
	MemoryContext	applied = context;

	if (nchecks == 0)
		return;
	for (int i = 0; i < PENDING_COLUMNS; i++)
	{
		PendingColumn *column = &columns[i];
		int			   lower_bound = 1;
		ArrayType	  *array =
			construct_md_array(column->values, column->nulls, 1, &nchecks, &lower_bound,
							   column->type, column->length, column->byval, column->align);

		arguments[i].type = get_array_type(column->type);
		arguments[i].value = (NullableDatum){ PointerGetDatum(array), false };
	}
	Forget();
	MemoryContextDelete(applied);
	CallPrivate("follow_checks", lengthof(arguments), arguments);
}

/*
 * Allocate makes room for checks with columns of these types.
 */
static void
Allocate(const PrivateArgument *check)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(EndTransaction, NULL);
		RegisterSubXactCallback(EndSubtransaction, NULL);
		registered = true;
	}
	context =
		AllocSetContextCreate(TopTransactionContext, "pending checks", ALLOCSET_DEFAULT_SIZES);
	columns = MemoryContextAlloc(context, sizeof(PendingColumn) * PENDING_COLUMNS);
	subids = MemoryContextAlloc(context, sizeof(SubTransactionId) * MAX_PENDING_CHECKS);
	for (int i = 0; i < PENDING_COLUMNS; i++)
	{
		columns[i].type = check[i].type;
		get_typlenbyvalalign(check[i].type, &columns[i].length, &columns[i].byval,
							 &columns[i].align);
	}
}

/*
 * IsPending tells whether a check of the same pair is pending.  Only a statement that another
 * one runs, as in a trigger of a site, can add a second.
 */
static bool
IsPending(const PrivateArgument *check)
{
	for (int i = 0; i < nchecks; i++)
	{
		if (memcmp(DatumGetPointer(columns[0].values[i]), DatumGetPointer(check[0].value.value),
				   UUID_LEN) == 0 &&
			datum_image_eq(columns[1].values[i], check[1].value.value, columns[1].byval,
						   columns[1].length))
			return true;
	}
	return false;
}

/*
 * AddPendingCheck adds a check to those that the end of the statement applies.
 */
void
AddPendingCheck(const PrivateArgument check[PENDING_COLUMNS])
{
	MemoryContext caller;

	if (nchecks == MAX_PENDING_CHECKS || IsPending(check))
		Apply();
	if (context == NULL)
		Allocate(check);
	caller = MemoryContextSwitchTo(context);
	for (int i = 0; i < PENDING_COLUMNS; i++)
	{
		const NullableDatum *value = &check[i].value;
		PendingColumn		*column = &columns[i];

		column->nulls[nchecks] = value->isnull;
		column->values[nchecks] =
			value->isnull ? (Datum) 0 : datumCopy(value->value, column->byval, column->length);
	}
	MemoryContextSwitchTo(caller);
	subids[nchecks++] = GetCurrentSubTransactionId();
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
	PG_RETURN_VOID();
}
