/*
 * ring.c
 *	  Writes to the history table.  A check overwrites the slot of the one 96 before it: that is
 *	  the pruning.  The row lock on the status row keeps the writers of one pair apart.
 */
#include "ring.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "check_rules.h"
#include "owner_query.h"
#include "relations.h"
#include "ring_direct.h"

static OwnerQuery write_slot = {
	.text =
		"INSERT INTO @schema@.integration_health_history AS h"
		" (org_id, integration_type, slot, check_no, status, latency_ms, http_status, error,"
		"  checked_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
		" ON CONFLICT (org_id, integration_type, slot) DO UPDATE"
		" SET check_no = EXCLUDED.check_no, status = EXCLUDED.status,"
		"     latency_ms = EXCLUDED.latency_ms, http_status = EXCLUDED.http_status,"
		"     error = EXCLUDED.error, checked_at = EXCLUDED.checked_at",
	.nargs = 9,
	.argtypes = { UUIDOID, TEXTOID, INT2OID, INT8OID, InvalidOid, INT4OID, INT4OID, TEXTOID,
				  TIMESTAMPTZOID },
};

static OwnerQuery forget_pair = {
	.text = "DELETE FROM @schema@.integration_health_history AS h"
			" WHERE h.org_id OPERATOR(pg_catalog.=) $1"
			" AND h.integration_type OPERATOR(pg_catalog.=) $2",
	.nargs = 2,
	.argtypes = { UUIDOID, TEXTOID },
};

static OwnerQuery look_for_pair = {
	.text = "SELECT 1 FROM @schema@.integration_health_history AS h"
			" WHERE h.org_id OPERATOR(pg_catalog.=) $1"
			" AND h.integration_type OPERATOR(pg_catalog.=) $2 LIMIT 1",
	.nargs = 2,
	.argtypes = { UUIDOID, TEXTOID },
};

static OwnerQuery forget_all = {
	.text = "TRUNCATE ONLY @schema@.integration_health_history",
};

/*
 * WriteByQuery is RingWrite for a table that a site has changed: its triggers, defaults and rules
 * count.  55000 when one of them kept the row away.
 */
static void
WriteByQuery(Oid history, const RingEntry *entry)
{
	Datum values[9] = {
		entry->org_id,
		entry->integration_type,
		Int16GetDatum(HistorySlot(entry->check_no)),
		Int64GetDatum(entry->check_no),
		ObjectIdGetDatum(entry->status),
		entry->latency_ms.value,
		entry->http_status.value,
		entry->error.value,
		TimestampTzGetDatum(entry->checked_at),
	};
	char nulls[10] = "         ";

	nulls[5] = entry->latency_ms.isnull ? 'n' : ' ';
	nulls[6] = entry->http_status.isnull ? 'n' : ' ';
	nulls[7] = entry->error.isnull ? 'n' : ' ';

	if (RunOwnerCommand(&write_slot, history, values, nulls) != 1)
		RefuseIntrusion(&write_slot, HISTORY_TABLE);
}

/*
 * RingWrite puts a check into its slot of the history table, over the one that was there.  The
 * caller holds the row lock on the pair's status row.
 */
void
RingWrite(Oid history, const RingEntry *entry)
{
	if (!RingWriteDirect(history, entry))
		WriteByQuery(history, entry);
}

/*
 * RingForgetPair removes the history of a pair that is gone; 55000 when a trigger of the site's
 * keeps some of it, which a pair of the same key would find later.
 */
void
RingForgetPair(Oid history, Datum org_id, Datum integration_type)
{
	Datum values[2] = { org_id, integration_type };

	RunOwnerCommand(&forget_pair, history, values, NULL);
	if (RunOwnerCommand(&look_for_pair, history, values, NULL) != 0)
		RefuseIntrusion(&forget_pair, HISTORY_TABLE);
}

/*
 * RingForgetAll empties the history; it takes an ACCESS EXCLUSIVE lock, as TRUNCATE does.
 */
void
RingForgetAll(Oid history)
{
	TruncateAsOwner(&forget_all, history);
}
