/*
 * restored.c
 *	  A row that brings check_no and recorded_at along is restored: it is stored as it is.  The
 *	  AFTER trigger skips most of these rows because recorded_at is before the transaction.  The
 *	  few others, put back by the transaction that recorded them, are remembered here until its
 *	  end.
 */
#include "health/restored.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/compat.h"
#include "base/private_call.h"

/* recorded_at is unique among the checks of a transaction; the pair is an extra safeguard. */
typedef struct RestoredRow
{
	TimestampTz recorded_at;
	pg_uuid_t	org_id;
	uint32		type_hash;
	uint32		unused;
} RestoredRow;

/* Allocated in TopTransactionContext; NULL in most transactions. */
static HTAB *restored_rows = NULL;

static void
ForgetRestored(void *arg)
{
	(void) arg;
	restored_rows = NULL;
}

static RestoredRow
KeyOf(Datum org_id, Datum integration_type, TimestampTz recorded_at)
{
	text	   *type = DatumGetTextPP(integration_type);
	RestoredRow row = { .recorded_at = recorded_at, .org_id = *DatumGetUUIDP(org_id) };

	row.type_hash =
		hash_bytes((const unsigned char *) VARDATA_ANY(type), VARSIZE_ANY_EXHDR(type));
	return row;
}

/*
 * RememberRestored remembers a restored row, unless its recorded_at is before this transaction,
 * which already tells it from the rows that the transaction records.
 */
void
RememberRestored(Datum org_id, Datum integration_type, TimestampTz recorded_at)
{
	RestoredRow key;

	if (recorded_at < GetCurrentTransactionStartTimestamp())
		return;
	if (restored_rows == NULL)
	{
		MemoryContextCallback *callback =
			MemoryContextAlloc(TopTransactionContext, sizeof(MemoryContextCallback));
		HASHCTL control = { .keysize = sizeof(RestoredRow),
							.entrysize = sizeof(RestoredRow),
							.hcxt = TopTransactionContext };

		callback->func = ForgetRestored;
		callback->arg = NULL;
		restored_rows = hash_create("restored status rows", 64, &control,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		MemoryContextRegisterResetCallback(TopTransactionContext, callback);
	}
	key = KeyOf(org_id, integration_type, recorded_at);
	hash_search(restored_rows, &key, HASH_ENTER, NULL);
}

/*
 * WasRestored tells whether RememberRestored has remembered a row, and forgets it.
 */
bool
WasRestored(Datum org_id, Datum integration_type, TimestampTz recorded_at)
{
	RestoredRow key;
	bool		found;

	if (restored_rows == NULL)
		return false;
	key = KeyOf(org_id, integration_type, recorded_at);
	hash_search(restored_rows, &key, HASH_REMOVE, &found);
	return found;
}

/*
 * RememberHeld notes that this subtransaction holds a type.  False if that is noted already;
 * after 16 types it starts over and may wrongly return true, which costs one more call.
 */
static bool
RememberHeld(const char *name)
{
	static LocalTransactionId transaction = InvalidLocalTransactionId;
	static SubTransactionId	  subtransaction = InvalidSubTransactionId;
	static char				  held[16][NAMEDATALEN];
	static int				  nheld = 0;

	if (transaction != MyLocalTransaction() || subtransaction != GetCurrentSubTransactionId())
		nheld = 0;
	transaction = MyLocalTransaction();
	subtransaction = GetCurrentSubTransactionId();

	for (int i = 0; i < nheld; i++)
	{
		if (strcmp(held[i], name) == 0)
			return false;
	}
	if (nheld == lengthof(held))
		nheld = 0;
	strlcpy(held[nheld++], name, NAMEDATALEN);
	return true;
}

/*
 * HoldType makes sure that the type of a restored row exists: the foreign key requires it, and
 * pg_restore with several jobs may restore the type later.
 */
void
HoldType(Datum integration_type)
{
	PrivateArgument argument = { TEXTOID, { integration_type, false } };

	if (RememberHeld(TextDatumGetCString(integration_type)))
		CallPrivate("hold_type", 1, &argument);
}
