/*
 * counts.c
 *	  Appends +1 and -1 to integration_health_counts, and folds them.  Nothing is updated in
 *	  place, so writers never wait for each other, and a rollback takes its own changes back.
 */
#include "counts.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "owner_query.h"
#include "relations.h"

PG_FUNCTION_INFO_V1(ih_compact);

static OwnerQuery append_delta = {
	.text = "INSERT INTO @schema@.integration_health_counts (integration_type, status, delta)"
			" VALUES ($1, $2, $3)",
	.nargs = 3,
	.argtypes = { TEXTOID, InvalidOid, INT8OID },
};

static OwnerQuery forget_counts = {
	.text = "TRUNCATE ONLY @schema@.integration_health_counts",
};

/* Only sums with more than one row are folded, and rows that another fold holds are left to it. */
static OwnerQuery fold = {
	.text =
		"WITH crowded AS MATERIALIZED ("
		"  SELECT integration_type, status FROM @schema@.integration_health_counts"
		"   GROUP BY integration_type, status HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1"
		" ), gone AS ("
		"  DELETE FROM @schema@.integration_health_counts AS d"
		"   WHERE d.ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
		"     SELECT c.ctid FROM @schema@.integration_health_counts AS c JOIN crowded AS k"
		"         ON c.integration_type OPERATOR(pg_catalog.=) k.integration_type"
		"        AND c.status OPERATOR(pg_catalog.=) k.status"
		"        FOR UPDATE OF c SKIP LOCKED))"
		"  RETURNING d.integration_type, d.status, d.delta"
		" ), kept AS ("
		"  INSERT INTO @schema@.integration_health_counts (integration_type, status, delta)"
		"  SELECT integration_type, status, pg_catalog.sum(delta)::pg_catalog.int8 FROM gone"
		"   GROUP BY integration_type, status"
		"  HAVING pg_catalog.sum(delta) OPERATOR(pg_catalog.<>) 0::pg_catalog.numeric"
		" ) SELECT pg_catalog.count(*) FROM gone",
};

/*
 * AppendDelta adds delta to the number of pairs of a type that have a status.
 */
static void
AppendDelta(Oid counts, Datum integration_type, Oid status, int64 delta)
{
	Datum values[3] = { integration_type, ObjectIdGetDatum(status), Int64GetDatum(delta) };

	if (RunOwnerCommand(&append_delta, counts, values, NULL) != 1)
		RefuseIntrusion(&append_delta, COUNTS_TABLE);
}

/*
 * MaybeFold folds after one change in about a thousand, so that the table stays small where no job
 * ever runs.  Once a transaction at the most: rows that a transaction has deleted itself still cost
 * it a look.  Not where a row that another fold took would be a serialization failure.
 */
static void
MaybeFold(Oid counts)
{
	static LocalTransactionId last_transaction = InvalidLocalTransactionId;

	if ((GetCurrentTimestamp() & 1023) != 0 || IsolationUsesXactSnapshot() ||
		last_transaction == MyLocalTransaction())
		return;
	last_transaction = MyLocalTransaction();
	RunOwnerCount(&fold, counts, NULL);
}

/*
 * CountChange counts a pair that went from one status to another; InvalidOid for a pair that
 * appears (from) or goes (to).
 */
void
CountChange(Oid schema, Datum integration_type, Oid from, Oid to)
{
	Oid counts = ExtensionTable(schema, COUNTS_TABLE);

	if (OidIsValid(from))
		AppendDelta(counts, integration_type, from, -1);
	if (OidIsValid(to))
		AppendDelta(counts, integration_type, to, 1);
	MaybeFold(counts);
}

/*
 * CountForgetAll empties the counts; it takes an ACCESS EXCLUSIVE lock, as TRUNCATE does.
 */
void
CountForgetAll(Oid schema)
{
	TruncateAsOwner(&forget_counts, ExtensionTable(schema, COUNTS_TABLE));
}

/*
 * ih_compact is integration_health_compact(): it folds the changes of each type and status into
 * one row and returns the number of rows that went.
 */
Datum
ih_compact(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(
		RunOwnerCount(&fold, ExtensionTable(SchemaOfFunction(fcinfo), COUNTS_TABLE), NULL));
}
