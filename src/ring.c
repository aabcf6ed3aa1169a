/*
 * ring.c
 *	  Removes history with the pair, or the table, that it belongs to.
 */
#include "ring.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "owner_query.h"
#include "relations.h"

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
