/*
 * rows.c
 *	  Locks, reads and writes the latest versions of the rows that decide who gets work: types,
 *	  monitors, schedules and runs.  Under REPEATABLE READ and SERIALIZABLE, plain statements
 *	  would see them as they were when the transaction began, and fail with 40001 if another
 *	  transaction has changed them since.
 *
 * Only the extension's SECURITY DEFINER functions call these functions, with pg_catalog as
 * search_path.  They write as the owner of the table.
 */
#include "tables/row_statement.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "tables/latest_row.h"

PG_FUNCTION_INFO_V1(insert_run);
PG_FUNCTION_INFO_V1(latest_monitor);
PG_FUNCTION_INFO_V1(latest_schedule);
PG_FUNCTION_INFO_V1(latest_type);
PG_FUNCTION_INFO_V1(lock_due_monitors);
PG_FUNCTION_INFO_V1(lock_monitor);
PG_FUNCTION_INFO_V1(lock_run);
PG_FUNCTION_INFO_V1(lock_schedule);
PG_FUNCTION_INFO_V1(lock_type);
PG_FUNCTION_INFO_V1(mark_probe);
PG_FUNCTION_INFO_V1(store_monitors);
PG_FUNCTION_INFO_V1(store_run);
PG_FUNCTION_INFO_V1(store_schedule);
PG_FUNCTION_INFO_V1(store_type);

static RowStatement due_monitors = {
	.text = "SELECT m FROM %1$s AS m"
			" WHERE m.integration_type = $1 AND m.enabled AND m.due_at <= $2"
			" ORDER BY m.due_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED",
	.nargs = 3,
	.argtypes = { TEXTOID, TIMESTAMPTZOID, INT8OID },
};

/*
 * LIMIT keeps the planner from joining the other way round, which would read the whole table:
 * that is what it does with statistics from when the table was empty.
 */
static RowStatement new_times = {
	.text =
		"UPDATE %1$s AS m SET claimed_at = n.claimed_at, due_at = n.due_at"
		"  FROM unnest($2, $3, $4) AS n (org_id, claimed_at, due_at),"
		"       LATERAL (SELECT x.tableoid, x.ctid FROM %1$s AS x"
		"                 WHERE x.org_id = n.org_id AND x.integration_type = $1 LIMIT 1) AS p (part, place)"
		" WHERE m.tableoid = p.part AND m.ctid = p.place RETURNING m",
	.nargs = 4,
	.argtypes = { TEXTOID, UUIDARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID },
};

static RowStatement probe = {
	.text =
		"UPDATE %1$s AS s SET is_probe = true WHERE s.org_id = $1 AND s.integration_type = $2"
		" RETURNING s",
	.nargs = 2,
	.argtypes = { UUIDOID, TEXTOID },
};

static RowStatement first_attempt = {
	.text = "INSERT INTO %1$s AS r (org_id, integration_type, scheduled_for, attempt, outcome,"
			"   started_at, lease_until, cold_start)"
			" VALUES ($1, $2, $3, 1, 'running', $4, $5, $6)"
			" ON CONFLICT (org_id, integration_type, scheduled_for) DO NOTHING RETURNING r",
	.nargs = 6,
	.argtypes = { UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID },
};

static RowStatement whole_run = {
	.text = "UPDATE %1$s AS r SET %2$s FROM (SELECT ($1).*) AS n"
			" WHERE r.org_id = n.org_id AND r.integration_type = n.integration_type"
			"   AND r.scheduled_for = n.scheduled_for RETURNING r",
	.nargs = 1,
	.argtypes = { ANYELEMENTOID },
};

static RowStatement whole_schedule = {
	.text =
		"UPDATE %1$s AS s SET %2$s FROM (SELECT ($1).*) AS n"
		" WHERE s.org_id = n.org_id AND s.integration_type = n.integration_type RETURNING s",
	.nargs = 1,
	.argtypes = { ANYELEMENTOID },
};

static RowStatement whole_type = {
	.text = "UPDATE %1$s AS t SET %2$s FROM (SELECT ($1).*) AS n"
			" WHERE t.integration_type = n.integration_type RETURNING t",
	.nargs = 1,
	.argtypes = { ANYELEMENTOID },
};

/*
 * LatestRow returns the row whose primary key is in the first nkeys arguments of the running
 * function, or null if FindLatestRow returns false.
 */
static Datum
LatestRow(FunctionCallInfo fcinfo, int nkeys, LatestRowLock lock)
{
	Datum key[MAX_KEY_COLUMNS];
	Datum row;

	/* On a standby, the lock itself would fail with a less helpful error. */
	if (lock != LATEST_ROW_READ)
		PreventCommandIfReadOnly(get_func_name(fcinfo->flinfo->fn_oid));
	for (int i = 0; i < nkeys; i++)
		key[i] = PG_GETARG_DATUM(i);
	if (!FindLatestRow(TableOfResult(fcinfo), nkeys, key, lock, &row))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(row);
}

/*
 * ManyRows runs a statement on the table whose row type the running function returns, with that
 * function's arguments, and returns the resulting rows as its set.
 */
static Datum
ManyRows(FunctionCallInfo fcinfo, RowStatement *statement)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		   values[MAX_STATEMENT_ARGUMENTS];
	uint64		   nrows;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < statement->nargs; i++)
		values[i] = PG_GETARG_DATUM(i);
	SPI_connect();
	nrows = RunAsOwner(statement, TableOfResult(fcinfo), values);
	for (uint64 i = 0; i < nrows; i++)
	{
		bool			isnull;
		HeapTupleHeader row = DatumGetHeapTupleHeader(
			SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		HeapTupleData tuple = { .t_len = HeapTupleHeaderGetDatumLength(row), .t_data = row };

		tuplestore_puttuple(rsinfo->setResult, &tuple);
	}
	SPI_finish();
	return (Datum) 0;
}

/*
 * latest_type(integration_type text)
 */
Datum
latest_type(PG_FUNCTION_ARGS)
{
	return LatestRow(fcinfo, 1, LATEST_ROW_READ);
}

/*
 * lock_type(integration_type text, skip_locked boolean)
 */
Datum
lock_type(PG_FUNCTION_ARGS)
{
	return LatestRow(fcinfo, 1, PG_GETARG_BOOL(1) ? LATEST_ROW_SKIP : LATEST_ROW_WAIT);
}

/*
 * store_type(type integration_types)
 */
Datum
store_type(PG_FUNCTION_ARGS)
{
	return StoredRow(fcinfo, &whole_type);
}

/*
 * latest_monitor(org_id uuid, integration_type text)
 */
Datum
latest_monitor(PG_FUNCTION_ARGS)
{
	return LatestRow(fcinfo, 2, LATEST_ROW_READ);
}

/*
 * lock_monitor(org_id uuid, integration_type text)
 */
Datum
lock_monitor(PG_FUNCTION_ARGS)
{
	return LatestRow(fcinfo, 2, LATEST_ROW_SKIP);
}

/*
 * lock_due_monitors(of_type text, moment timestamptz, max_rows bigint)
 */
Datum
lock_due_monitors(PG_FUNCTION_ARGS)
{
	return ManyRows(fcinfo, &due_monitors);
}

/*
 * store_monitors(of_type text, org_ids uuid[], claimed_at timestamptz[], due_at timestamptz[])
 */
Datum
store_monitors(PG_FUNCTION_ARGS)
{
	return ManyRows(fcinfo, &new_times);
}

/*
 * mark_probe(org_id uuid, integration_type text)
 */
Datum
mark_probe(PG_FUNCTION_ARGS)
{
	Datum key[] = { PG_GETARG_DATUM(0), PG_GETARG_DATUM(1) };

	if (!FindLatestRow(TableOfResult(fcinfo), lengthof(key), key, LATEST_ROW_SKIP, NULL))
		PG_RETURN_NULL();
	return OneRow(fcinfo, &probe);
}

/*
 * latest_schedule(org_id uuid, integration_type text)
 */
Datum
latest_schedule(PG_FUNCTION_ARGS)
{
	return LatestRow(fcinfo, 2, LATEST_ROW_READ);
}

/*
 * lock_schedule(org_id uuid, integration_type text)
 */
Datum
lock_schedule(PG_FUNCTION_ARGS)
{
	return LatestRow(fcinfo, 2, LATEST_ROW_WAIT);
}

/*
 * store_schedule(schedule integration_sync_schedules)
 */
Datum
store_schedule(PG_FUNCTION_ARGS)
{
	return StoredRow(fcinfo, &whole_schedule);
}

/*
 * insert_run(org_id uuid, integration_type text, scheduled_for timestamptz, started_at timestamptz,
 * lease_until timestamptz, cold_start boolean)
 */
Datum
insert_run(PG_FUNCTION_ARGS)
{
	return OneRow(fcinfo, &first_attempt);
}

/*
 * lock_run(org_id uuid, integration_type text, scheduled_for timestamptz)
 */
Datum
lock_run(PG_FUNCTION_ARGS)
{
	return LatestRow(fcinfo, 3, LATEST_ROW_WAIT);
}

/*
 * store_run(run integration_sync_runs)
 */
Datum
store_run(PG_FUNCTION_ARGS)
{
	return StoredRow(fcinfo, &whole_run);
}
