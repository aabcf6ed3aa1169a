/*
 * restored.c
 *	  A row that brings check_no and recorded_at along is stored as it stands.  The AFTER trigger
 *	  knows most of them by a recorded_at before the transaction; the few others, put back by the
 *	  transaction that recorded them, are remembered here until its end.
 */
#include "restored.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

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
