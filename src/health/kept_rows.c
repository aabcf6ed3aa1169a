/*
 * kept_rows.c
 *	  Rows kept about pairs besides their status.  Counts are appended, never updated, so that
 *	  writers never wait for each other; the history of a pair is deleted along with the pair.
 */
#include "tables/row_statement.h"

#include "catalog/pg_type.h"

#include "base/compat.h"

PG_FUNCTION_INFO_V1(append_count);
PG_FUNCTION_INFO_V1(delete_ring);

static RowStatement one_count = {
	.text =
		"INSERT INTO %1$s AS c (integration_type, status, delta) VALUES ($1, $2, $3) RETURNING c",
	.nargs = 3,
	.argtypes = { TEXTOID, ANYENUMOID, INT8OID },
};

static RowStatement ring_of_pair = {
	.text = "DELETE FROM %1$s AS h WHERE h.org_id = $1 AND h.integration_type = $2",
	.nargs = 2,
	.argtypes = { UUIDOID, TEXTOID },
};

static RowStatement left_of_pair = {
	.text = "SELECT h FROM %1$s AS h WHERE h.org_id = $1 AND h.integration_type = $2 LIMIT 1",
	.nargs = 2,
	.argtypes = { UUIDOID, TEXTOID },
};

/*
 * append_count(integration_type text, status integration_health_state, delta bigint)
 */
Datum
append_count(PG_FUNCTION_ARGS)
{
	return StoredRow(fcinfo, &one_count);
}

/*
 * delete_ring(org_id uuid, integration_type text)
 */
Datum
delete_ring(PG_FUNCTION_ARGS)
{
	Datum pair[] = { PG_GETARG_DATUM(0), PG_GETARG_DATUM(1) };

	SPI_connect();
	RunAsOwner(&ring_of_pair, TableOfResult(fcinfo), pair);
	SPI_finish();
	return OneRow(fcinfo, &left_of_pair);
}
