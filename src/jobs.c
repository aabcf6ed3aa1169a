/*
 * jobs.c
 *	  The work that pg_cron does: deletion of what is too old, the extension's own act, run as the
 *	  owner of the tables.
 */
#include "integration_health.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "own_triggers.h"
#include "owner_query.h"
#include "relations.h"

PG_FUNCTION_INFO_V1(ih_cleanup);

/*
 * CUTOFF is the time before which rows are too old.  It is never less than 24 hours ago: an interval
 * that counts as a day or more may be shorter by the calendar, like '-1 month 31 days', or '1 day'
 * over a change of the clocks.
 */
#define CUTOFF                                          \
	"LEAST(pg_catalog.now() OPERATOR(pg_catalog.-) $1," \
	" pg_catalog.now() OPERATOR(pg_catalog.-) '24 hours'::pg_catalog.interval)"

/*
 * The oldest check of a pair is in the slot that is overwritten next, or in slot 1 of a ring that is not
 * full yet: where that is young enough, all of them are, but for late ones, which have an index of their
 * own, and no other row is read.  Rows that a writer is overwriting just now are younger in a moment:
 * they are skipped.
 */
static OwnerQuery delete_old = {
	.text = "DELETE FROM @schema@.integration_health_history AS h"
			" WHERE h.ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
			"   SELECT o.place FROM @schema@.integration_health_status AS s"
			"    CROSS JOIN LATERAL pg_catalog.unnest(ARRAY("
			"      SELECT x.ctid FROM @schema@.integration_health_history AS x"
			"       WHERE x.org_id OPERATOR(pg_catalog.=) s.org_id"
			"         AND x.integration_type OPERATOR(pg_catalog.=) s.integration_type"
			"         AND x.checked_at OPERATOR(pg_catalog.<) " CUTOFF
			"         FOR UPDATE SKIP LOCKED)) AS o (place)"
			"    WHERE COALESCE(("
			"      SELECT f.checked_at OPERATOR(pg_catalog.<) " CUTOFF
			"        FROM @schema@.integration_health_history AS f"
			"       WHERE f.org_id OPERATOR(pg_catalog.=) s.org_id"
			"         AND f.integration_type OPERATOR(pg_catalog.=) s.integration_type"
			"         AND f.slot OPERATOR(pg_catalog.=) CASE"
			"               WHEN s.check_no OPERATOR(pg_catalog.>=) 96::pg_catalog.int8 THEN"
			"                 ((s.check_no OPERATOR(pg_catalog.+) 1::pg_catalog.int8)"
			"                  OPERATOR(pg_catalog.%) 96::pg_catalog.int8)::pg_catalog.int2"
			"               ELSE 1::pg_catalog.int2 END), true)"
			"   UNION ALL SELECT l.place FROM ("
			"     SELECT y.ctid AS place FROM @schema@.integration_health_history AS y"
			"      WHERE y.is_late AND y.checked_at OPERATOR(pg_catalog.<) " CUTOFF
			"        FOR UPDATE SKIP LOCKED) AS l"
			"    LIMIT $2))",
	.nargs = 2,
	.argtypes = { INTERVALOID, INT4OID },
};

/*
 * Runs that have ended, or that nobody will end.  What is deleted is remembered: the ledger could not
 * tell any more that such a period has been run.
 */
static OwnerQuery delete_old_runs = {
	.text =
		"WITH gone AS ("
		"  DELETE FROM @schema@.integration_sync_runs AS r"
		"   WHERE r.ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
		"     SELECT o.ctid FROM @schema@.integration_sync_runs AS o"
		"      WHERE o.scheduled_for OPERATOR(pg_catalog.<) " CUTOFF
		"        AND COALESCE(o.finished_at, o.lease_until) OPERATOR(pg_catalog.<) " CUTOFF
		"      LIMIT $2 FOR UPDATE SKIP LOCKED))"
		"  RETURNING r.org_id, r.integration_type, r.scheduled_for"
		" ), last AS MATERIALIZED ("
		"  SELECT g.org_id, g.integration_type, pg_catalog.max(g.scheduled_for) AS scheduled_for"
		"    FROM gone AS g GROUP BY g.org_id, g.integration_type"
		"   ORDER BY g.org_id, g.integration_type"
		" ), remembered AS ("
		"  UPDATE @schema@.integration_sync_schedules AS s"
		"     SET pruned_until = GREATEST(s.pruned_until, l.scheduled_for)"
		"    FROM last AS l"
		"   WHERE s.org_id OPERATOR(pg_catalog.=) l.org_id"
		"     AND s.integration_type OPERATOR(pg_catalog.=) l.integration_type"
		" ) SELECT pg_catalog.count(*) FROM gone",
	.nargs = 2,
	.argtypes = { INTERVALOID, INT4OID },
};

/*
 * ih_cleanup is integration_health_cleanup(retention, max_rows).
 */
Datum
ih_cleanup(PG_FUNCTION_ARGS)
{
	static const Interval shortest = { .day = 1 };
	Oid					  schema = SchemaOfFunction(fcinfo);
	int32				  max_rows;
	int64				  deleted;
	Datum				  values[2];

	if (PG_ARGISNULL(0) || DatumGetInt32(DirectFunctionCall2(interval_cmp, PG_GETARG_DATUM(0),
															 IntervalPGetDatum(&shortest))) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("retention must be at least one day"),
				 errhint("Pass '1 day' or more, or leave the argument out for 30 days.")));
	values[0] = PG_GETARG_DATUM(0);
	max_rows = MaxRowsArgument(fcinfo, 1);
	values[1] = Int32GetDatum(max_rows);
	deleted = RunOwnerCommand(&delete_old, ExtensionTable(schema, HISTORY_TABLE), values, NULL);
	if (deleted < max_rows)
	{
		/* This writes the schedules, too. */
		Relation schedules =
			table_open(ExtensionTable(schema, SCHEDULES_TABLE), RowExclusiveLock);

		RequireOwnTriggers(schedules, schedules->rd_rel->relowner);
		table_close(schedules, NoLock);
		values[1] = Int32GetDatum((int32) (max_rows - deleted));
		deleted += RunOwnerCount(&delete_old_runs, ExtensionTable(schema, RUNS_TABLE), values);
	}
	PG_RETURN_INT64(deleted);
}
