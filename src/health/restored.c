/*
 * restored.c
 *	  A row that brings check_no and recorded_at along is stored as it stands.  The AFTER trigger
 *	  knows most of them by a recorded_at before the transaction; the few others, put back by the
 *	  transaction that recorded them, are remembered here until its end.
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

/* recorded_at differs for each check that a session records; the rest only makes it surer. */
typedef struct RestoredRow
{
	TimestampTz recorded_at;
	pg_uuid_t	org_id;
	uint32		type_hash;
	uint32		unused;
} RestoredRow;

/* Lives in the context of the top transaction; NULL in most. */
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
 * RememberRestored notes a restored row if its recorded_at does not tell it from one that this
 * transaction records.
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
 * WasRestored tells whether a row was noted by RememberRestored, and forgets it.
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
 * IsHeld tells whether this subtransaction has held a type before, and from now on it has.
 */
static bool
IsHeld(const char *name)
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
			return true;
	}
	if (nheld == lengthof(held))
		nheld = 0;
	strlcpy(held[nheld++], name, NAMEDATALEN);
	return false;
}

/*
 * HoldType makes sure that the type of a restored row is there: the foreign key asks for it, and
 * pg_restore with several jobs may bring it later.
 */
void
HoldType(Datum integration_type)
{
	PrivateArgument argument = { TEXTOID, { integration_type, false } };

	if (!IsHeld(TextDatumGetCString(integration_type)))
		CallPrivate("hold_type", 1, &argument);
}
