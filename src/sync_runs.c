/*
 * sync_runs.c
 *	  The ledger of scheduled syncs.  The primary key, organisation, type and period, lets one worker
 *	  run a period; the number of the attempt keeps one that was given up from reporting later.
 */
#include "integration_health.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#include "notify.h"
#include "owner_query.h"
#include "periods.h"
#include "relations.h"

PG_FUNCTION_INFO_V1(ih_claim_sync);
PG_FUNCTION_INFO_V1(ih_finish_sync);
PG_FUNCTION_INFO_V1(ih_sync_is_late);

/* A worker's clock may be that much ahead of the database's. */
#define FUTURE_TOLERANCE MICROS_PER_MINUTE

/* How often a claim tries anew, whose row was taken by a cleanup each time: never twice in life. */
#define MAX_TRIES 10

/* The columns of the result of claim_sync_run, but the last. */
#define RUN_COLUMNS                                                               \
	"r.org_id, r.integration_type, r.scheduled_for, r.attempt,"                   \
	" r.outcome::@schema@.integration_sync_outcome, r.started_at, r.finished_at," \
	" r.lease_until, r.drift, r.cold_start, r.error, r.idempotency_key"

#define RUN_TYPES                                                                              \
	{                                                                                          \
		UUIDOID, TEXTOID, TIMESTAMPTZOID, INT4OID, InvalidOid, TIMESTAMPTZOID, TIMESTAMPTZOID, \
			TIMESTAMPTZOID, INTERVALOID, BOOLOID, TEXTOID, TEXTOID                             \
	}

enum
{
	RUN_ATTEMPT = 4,
	RUN_OUTCOME = 5,
	RUN_FINISHED_AT = 7,
	RUN_LEASE_UNTIL = 8,
	RUN_CLAIMED = 13
};

static OwnerQuery find_schedule = {
	.text = "SELECT s.every, s.anchor, s.time_zone, s.enabled, s.max_attempts, s.retry_backoff,"
			"       s.pruned_until"
			"  FROM @schema@.integration_sync_schedules AS s"
			" WHERE s.org_id OPERATOR(pg_catalog.=) $1"
			"   AND s.integration_type OPERATOR(pg_catalog.=) $2",
	.nargs = 2,
	.argtypes = { UUIDOID, TEXTOID },
	.resulttypes = { INTERVALOID, TIMESTAMPTZOID, TEXTOID, BOOLOID, INT4OID, INTERVALOID,
					 TIMESTAMPTZOID },
	.sees_latest = true,
};

enum
{
	SCHEDULE_EVERY = 1,
	SCHEDULE_ANCHOR = 2,
	SCHEDULE_TIME_ZONE = 3,
	SCHEDULE_ENABLED = 4,
	SCHEDULE_MAX_ATTEMPTS = 5,
	SCHEDULE_RETRY_BACKOFF = 6,
	SCHEDULE_PRUNED_UNTIL = 7
};

static OwnerQuery first_attempt = {
	.text = "INSERT INTO @schema@.integration_sync_runs AS r (org_id, integration_type,"
			"   scheduled_for, attempt, outcome, started_at, lease_until, cold_start)"
			" VALUES ($1, $2, $3, 1, 'running', $4, $5, $6)"
			" ON CONFLICT (org_id, integration_type, scheduled_for) DO NOTHING"
			" RETURNING " RUN_COLUMNS,
	.nargs = 6,
	.argtypes = { UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID },
	.resulttypes = RUN_TYPES,
	.sees_latest = true,
};

static OwnerQuery lock_run = {
	.text = "SELECT " RUN_COLUMNS " FROM @schema@.integration_sync_runs AS r"
			" WHERE r.org_id OPERATOR(pg_catalog.=) $1"
			"   AND r.integration_type OPERATOR(pg_catalog.=) $2"
			"   AND r.scheduled_for OPERATOR(pg_catalog.=) $3 FOR UPDATE",
	.nargs = 3,
	.argtypes = { UUIDOID, TEXTOID, TIMESTAMPTZOID },
	.resulttypes = RUN_TYPES,
	.sees_latest = true,
};

static OwnerQuery next_attempt = {
	.text = "UPDATE @schema@.integration_sync_runs AS r"
			"   SET attempt = r.attempt OPERATOR(pg_catalog.+) 1, outcome = 'running',"
			"       started_at = $4, finished_at = NULL, lease_until = $5, cold_start = $6,"
			"       error = NULL"
			" WHERE r.org_id OPERATOR(pg_catalog.=) $1"
			"   AND r.integration_type OPERATOR(pg_catalog.=) $2"
			"   AND r.scheduled_for OPERATOR(pg_catalog.=) $3"
			" RETURNING " RUN_COLUMNS,
	.nargs = 6,
	.argtypes = { UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID },
	.resulttypes = RUN_TYPES,
	.sees_latest = true,
};

static OwnerQuery end_run = {
	.text = "UPDATE @schema@.integration_sync_runs AS r"
			"   SET outcome = $4::@schema@.integration_sync_outcome, finished_at = $5,"
			"       lease_until = NULL, error = $6"
			" WHERE r.org_id OPERATOR(pg_catalog.=) $1"
			"   AND r.integration_type OPERATOR(pg_catalog.=) $2"
			"   AND r.scheduled_for OPERATOR(pg_catalog.=) $3",
	.nargs = 6,
	.argtypes = { UUIDOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID, TEXTOID },
	.sees_latest = true,
};

/*
 * No period up to $3 is due any more, or, where that failed, not before $4; a schedule that has moved
 * on, or whose time zone is gone, stays as it is.
 */
static OwnerQuery move_on = {
	.text = "UPDATE @schema@.integration_sync_schedules AS s"
			"   SET due_at = LEAST($4, COALESCE(n.next, 'infinity'))"
			"  FROM @schema@.integration_sync_schedules AS o"
			" CROSS JOIN LATERAL integration_health_private.usable_time_zone("
			"         o.org_id, o.integration_type, o.every, o.anchor, o.time_zone) AS z (zone)"
			" CROSS JOIN LATERAL @schema@.integration_sync_next_period("
			"         o.every, o.anchor, z.zone, $3) AS n (next)"
			" WHERE o.org_id OPERATOR(pg_catalog.=) $1"
			"   AND o.integration_type OPERATOR(pg_catalog.=) $2"
			"   AND s.org_id OPERATOR(pg_catalog.=) o.org_id"
			"   AND s.integration_type OPERATOR(pg_catalog.=) o.integration_type"
			"   AND z.zone IS NOT NULL"
			"   AND s.due_at OPERATOR(pg_catalog.<) COALESCE(n.next, 'infinity')",
	.nargs = 4,
	.argtypes = { UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID },
	.sees_latest = true,
};

static OwnerQuery whole_run = {
	.text = "SELECT r FROM @schema@.integration_sync_runs AS r"
			" WHERE r.org_id OPERATOR(pg_catalog.=) $1"
			"   AND r.integration_type OPERATOR(pg_catalog.=) $2"
			"   AND r.scheduled_for OPERATOR(pg_catalog.=) $3",
	.nargs = 3,
	.argtypes = { UUIDOID, TEXTOID, TIMESTAMPTZOID },
	.sees_latest = true,
};

/* In passive mode the end of a sync is a check like any other; in active mode it is none. */
static OwnerQuery record_health = {
	.text = "INSERT INTO @schema@.integration_health_status AS s"
			"   (org_id, integration_type, status, error, checked_at)"
			" SELECT $1, t.integration_type, $3::@schema@.integration_health_state, $4, $5"
			"   FROM @schema@.integration_types AS t"
			"  WHERE t.integration_type OPERATOR(pg_catalog.=) $2"
			"    AND t.monitoring_mode OPERATOR(pg_catalog.=)"
			"        'passive'::@schema@.integration_monitoring_mode"
			" ON CONFLICT (org_id, integration_type) DO UPDATE"
			"    SET status = EXCLUDED.status, latency_ms = NULL, http_status = NULL,"
			"        error = EXCLUDED.error, checked_at = EXCLUDED.checked_at",
	.nargs = 5,
	.argtypes = { UUIDOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID },
	.sees_latest = true,
};

/*
 * RequireArguments raises 22023 for the first of the named arguments that is null.
 */
static void
RequireArguments(FunctionCallInfo fcinfo, const char *const *names)
{
	for (int i = 0; names[i] != NULL; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("%s must not be null", names[i])));
	}
}

/*
 * OutcomeOf returns what an outcome stands for; 22023 for a label that a site added.
 */
static SyncOutcome
OutcomeOf(Datum outcome)
{
	static const char *const labels[] = { "running", "succeeded", "failed" };
	char					*label = DatumGetCString(OidFunctionCall1(F_ENUM_OUT, outcome));

	for (size_t i = 0; i < lengthof(labels); i++)
	{
		if (strcmp(label, labels[i]) == 0)
			return (SyncOutcome) i;
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("outcome is none that the extension knows"),
					errhint("Use succeeded or failed.")));
	return SYNC_RUNNING; /* not reached */
}

/*
 * FoundColumn returns a column of the first row of the last query.
 */
static Datum
FoundColumn(int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, isnull);
}

/*
 * StoredColumn is FoundColumn of a row of a table; 23502 when the column, which a site may have
 * replaced, is null.
 */
static Datum
StoredColumn(const char *table, int column)
{
	bool  isnull;
	Datum value = FoundColumn(column, &isnull);

	if (isnull)
		ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
						errmsg("column \"%s\" of a row of table \"%s\" is null",
							   SPI_fname(SPI_tuptable->tupdesc, column), table)));
	return value;
}

/*
 * RulesFound returns the rules of the schedule that the last query has found.
 */
static RetryRules
RulesFound(void)
{
	RetryRules rules;

	rules.max_attempts = DatumGetInt32(StoredColumn(SCHEDULES_TABLE, SCHEDULE_MAX_ATTEMPTS));
	rules.retry_backoff = SpanMicros(
		SpanOf(DatumGetIntervalP(StoredColumn(SCHEDULES_TABLE, SCHEDULE_RETRY_BACKOFF))));
	return rules;
}

/*
 * RequirePeriod returns the rules by which a period may be tried.  It raises an error unless it may be
 * run now: 22023 when there is no schedule, or it has no such period, or that is still to come; 55000
 * when the schedule is switched off.
 */
static RetryRules
RequirePeriod(Oid schedules, Datum *key, TimestampTz now)
{
	TimestampTz scheduled_for = DatumGetTimestampTz(key[2]);
	SyncPlan	plan;
	int64		nearest;

	if (RunOwnerQuery(&find_schedule, schedules, key, NULL, false) == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("no sync is scheduled for this organisation and type \"%s\"",
							   Echo(TextDatumGetCString(key[1]))),
						errhint("Make a schedule with set_sync_schedule.")));
	if (!DatumGetBool(StoredColumn(SCHEDULES_TABLE, SCHEDULE_ENABLED)))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the schedule of this organisation and type \"%s\" is disabled",
							   TextDatumGetCString(key[1])),
						errhint("Set enabled in its row of %s.", SCHEDULES_TABLE)));

	plan = PlanOf(DatumGetIntervalP(StoredColumn(SCHEDULES_TABLE, SCHEDULE_EVERY)),
				  DatumGetTimestampTz(StoredColumn(SCHEDULES_TABLE, SCHEDULE_ANCHOR)),
				  DatumGetTextPP(StoredColumn(SCHEDULES_TABLE, SCHEDULE_TIME_ZONE)));
	nearest = NearestPeriod(&plan, scheduled_for);
	if (nearest != scheduled_for)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("scheduled_for is not a period of the schedule"),
						errhint("The nearest period is %s.", UtcText(nearest))));
	if (Drift(scheduled_for, now) < -FUTURE_TOLERANCE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("scheduled_for is still to come"),
						errhint("Claim it when it is %s.", UtcText(scheduled_for))));
	return RulesFound();
}

/*
 * RequireKept raises 22023 for a period that may have been run before: the cleanup has deleted what
 * the ledger knew of its time.  Looked at after the run was inserted, so that a cleanup that ended
 * meanwhile is seen.
 */
static void
RequireKept(Oid schedules, Datum *key)
{
	bool  isnull;
	Datum pruned_until;

	if (RunOwnerQuery(&find_schedule, schedules, key, NULL, false) == 0)
		return;
	pruned_until = FoundColumn(SCHEDULE_PRUNED_UNTIL, &isnull);
	if (!isnull && DatumGetTimestampTz(key[2]) <= DatumGetTimestampTz(pruned_until))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("scheduled_for is too long ago"),
						errdetail("The runs up to %s are deleted, so it may have been run.",
								  UtcText(DatumGetTimestampTz(pruned_until))),
						errhint("Claim a later period.")));
}

/*
 * ReportDrift warns of a run that starts later than integration_health.max_drift allows.
 */
static void
ReportDrift(Datum *key, int32 attempt, bool cold_start, TimestampTz now)
{
	int64		   drift = Drift(DatumGetTimestampTz(key[2]), now);
	StringInfoData json;

	if (drift <= ih_max_drift * USECS_PER_SEC)
		return;
	ereport(WARNING, (errmsg("a sync of type \"%s\" starts late", TextDatumGetCString(key[1])),
					  errdetail("It was scheduled for %s, " INT64_FORMAT " seconds ago.",
								UtcText(DatumGetTimestampTz(key[2])), drift / USECS_PER_SEC)));
	BeginEvent(&json, "drift");
	AddEventPair(&json, key[0], key[1]);
	AddEventText(&json, "scheduled_for", UtcText(DatumGetTimestampTz(key[2])));
	AddEventNumber(&json, "attempt", attempt);
	AddEventNumber(&json, "drift_seconds", drift / USECS_PER_SEC);
	appendStringInfo(&json, ", \"cold_start\": %s", cold_start ? "true" : "false");
	EndEvent(&json);
}

/*
 * RunFound returns the state of the run that the last query has found.
 */
static RunState
RunFound(void)
{
	RunState run = { 0 };
	bool	 isnull;

	run.outcome = OutcomeOf(StoredColumn(RUNS_TABLE, RUN_OUTCOME));
	run.attempt = DatumGetInt32(StoredColumn(RUNS_TABLE, RUN_ATTEMPT));
	run.finished_at = DatumGetTimestampTz(FoundColumn(RUN_FINISHED_AT, &isnull));
	run.lease_until = DatumGetTimestampTz(FoundColumn(RUN_LEASE_UNTIL, &isnull));
	return run;
}

/*
 * Claim makes the caller the one who runs a period, if nobody is or has been, and tells whether it
 * did.  The run, the caller's or the other's, is the result of the last query.  values are the key,
 * the time now, the end of the lease, and cold_start.  55000 when the table takes no run.
 */
static bool
Claim(Oid runs, Datum *values, int64 lease, const RetryRules *rules)
{
	for (int try = 0; try < MAX_TRIES; try++)
	{
		RunState	run;
		TimestampTz now = GetCurrentTimestamp();

		values[3] = TimestampTzGetDatum(now);
		values[4] = TimestampTzGetDatum(TimeAfter(now, lease));
		if (RunOwnerQuery(&first_attempt, runs, values, NULL, false) == 1)
			return true;

		/* A cleanup may have taken the row since, or its inserter may have rolled back. */
		if (RunOwnerQuery(&lock_run, runs, values, NULL, false) == 0)
			continue;
		run = RunFound();

		/* The lock may have been waited for. */
		now = GetCurrentTimestamp();
		if (!MayClaim(&run, rules, now))
			return false;
		values[3] = TimestampTzGetDatum(now);
		values[4] = TimestampTzGetDatum(TimeAfter(now, lease));
		if (RunOwnerQuery(&next_attempt, runs, values, NULL, false) != 1)
			RefuseIntrusion(&next_attempt, RUNS_TABLE);
		return true;
	}
	RefuseIntrusion(&first_attempt, RUNS_TABLE);
	return false; /* not reached */
}

/*
 * ih_claim_sync is claim_sync_run(org_id, integration_type, scheduled_for, cold_start, lease).
 */
Datum
ih_claim_sync(PG_FUNCTION_ARGS)
{
	static const char *const names[] = { "org_id",		  "integration_type",
										 "scheduled_for", "cold_start",
										 "lease",		  NULL };
	Oid						 schema = SchemaOfFunction(fcinfo);
	Oid						 runs = ExtensionTable(schema, RUNS_TABLE);
	Oid						 schedules = ExtensionTable(schema, SCHEDULES_TABLE);
	Datum					 values[6];
	Datum					 columns[RUN_CLAIMED];
	bool					 nulls[RUN_CLAIMED];
	int64					 lease;
	RetryRules				 rules;
	bool					 claimed;
	TupleDesc				 desc;
	HeapTuple				 result;

	RequireArguments(fcinfo, names);
	lease = SpanMicros(SpanOf(PG_GETARG_INTERVAL_P(4)));
	if (lease < MICROS_PER_SECOND || lease > MAX_LEASE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("lease must be between 1 second and 1 day"),
						errhint("Leave the argument out for 10 minutes.")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	for (int i = 0; i < 3; i++)
		values[i] = PG_GETARG_DATUM(i);
	values[5] = PG_GETARG_DATUM(3);

	SPI_connect();
	rules = RequirePeriod(schedules, values, GetCurrentTimestamp());
	claimed = Claim(runs, values, lease, &rules);
	heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, columns, nulls);
	columns[RUN_CLAIMED - 1] = BoolGetDatum(claimed);
	nulls[RUN_CLAIMED - 1] = false;
	if (claimed)
	{
		int32 attempt = DatumGetInt32(columns[RUN_ATTEMPT - 1]);

		if (attempt == 1)
			RequireKept(schedules, values);
		ReportDrift(values, attempt, PG_GETARG_BOOL(3), DatumGetTimestampTz(values[3]));
	}
	result = SPI_copytuple(heap_form_tuple(desc, columns, nulls));
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(result));
}

/*
 * RequireCurrent raises 55000 for a report of an attempt that has been superseded, or that has
 * ended otherwise.
 */
static void
RequireCurrent(FinishVerdict verdict, int32 stored_attempt, int32 attempt, const char *stored)
{
	if (verdict == FINISH_STALE)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("attempt %d of this sync run is not the current one, which is %d",
						attempt, stored_attempt),
				 errhint("Somebody else has claimed the run since: drop this result.")));
	if (verdict == FINISH_CONTRARY)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("attempt %d of this sync run has already ended as %s", attempt, stored),
				 errhint("What has been reported stands; a failed run can be claimed again.")));
}

/*
 * RecordHealth records the end of a sync as a check, where the type is in passive mode: made now(), as
 * other checks of the same transaction are by default.
 */
static void
RecordHealth(Oid status, Datum *key, SyncOutcome outcome, Datum error, bool error_is_null)
{
	Datum values[5] = { key[0], key[1], (Datum) 0, error,
						TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()) };
	char  nulls[6] = "     ";

	values[2] = CStringGetTextDatum(outcome == SYNC_FAILED ? "unhealthy" : "healthy");
	nulls[3] = error_is_null ? 'n' : ' ';
	RunOwnerQuery(&record_health, status, values, nulls, false);
}

/*
 * MoveOn says when the schedule of a run that has ended can be claimed next.
 */
static void
MoveOn(Oid schedules, Datum *key, SyncOutcome outcome, int32 attempt, TimestampTz finished_at)
{
	Datum values[4] = { key[0], key[1], key[2], TimestampTzGetDatum(DT_NOEND) };

	if (RunOwnerQuery(&find_schedule, schedules, key, NULL, false) == 0)
		return;
	if (outcome == SYNC_FAILED)
	{
		RetryRules rules = RulesFound();

		if (attempt < rules.max_attempts)
			values[3] = TimestampTzGetDatum(RetryAt(finished_at, rules.retry_backoff, attempt));
	}
	RunOwnerQuery(&move_on, schedules, values, NULL, false);
}

/*
 * ih_finish_sync is finish_sync_run(org_id, integration_type, scheduled_for, attempt, outcome,
 * error).
 */
Datum
ih_finish_sync(PG_FUNCTION_ARGS)
{
	static const char *const names[] = { "org_id",	"integration_type", "scheduled_for",
										 "attempt", "outcome",			NULL };
	Oid						 schema = SchemaOfFunction(fcinfo);
	Oid						 runs = ExtensionTable(schema, RUNS_TABLE);
	TimestampTz				 now;
	int32					 attempt;
	int32					 stored_attempt;
	SyncOutcome				 outcome;
	SyncOutcome				 stored;
	Datum					 stored_label;
	FinishVerdict			 verdict;
	Datum					 values[6];
	char					 nulls[7] = "      ";
	bool					 isnull;
	Datum					 result;

	RequireArguments(fcinfo, names);
	attempt = PG_GETARG_INT32(3);
	outcome = OutcomeOf(PG_GETARG_DATUM(4));
	if (outcome == SYNC_RUNNING)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a run does not end as running"), errhint("Use succeeded or failed.")));
	for (int i = 0; i < 3; i++)
		values[i] = PG_GETARG_DATUM(i);

	SPI_connect();
	if (RunOwnerQuery(&lock_run, runs, values, NULL, false) == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("nobody has claimed this sync run"),
						errhint("Claim it with claim_sync_run.")));
	stored_attempt = DatumGetInt32(StoredColumn(RUNS_TABLE, RUN_ATTEMPT));
	stored_label = StoredColumn(RUNS_TABLE, RUN_OUTCOME);
	stored = OutcomeOf(stored_label);
	verdict = JudgeFinish(stored, stored_attempt, outcome, attempt);
	RequireCurrent(verdict, stored_attempt, attempt,
				   DatumGetCString(OidFunctionCall1(F_ENUM_OUT, stored_label)));

	if (verdict == FINISH_STORE)
	{
		now = GetCurrentTimestamp();
		values[3] = CStringGetTextDatum(
			DatumGetCString(OidFunctionCall1(F_ENUM_OUT, PG_GETARG_DATUM(4))));
		values[4] = TimestampTzGetDatum(now);
		values[5] = PG_GETARG_DATUM(5);
		nulls[5] = PG_ARGISNULL(5) ? 'n' : ' ';
		if (RunOwnerQuery(&end_run, runs, values, nulls, false) != 1)
			RefuseIntrusion(&end_run, RUNS_TABLE);
		MoveOn(ExtensionTable(schema, SCHEDULES_TABLE), values, outcome, attempt, now);
		RecordHealth(ExtensionTable(schema, STATUS_TABLE), values, outcome, values[5],
					 PG_ARGISNULL(5));
	}
	if (RunOwnerQuery(&whole_run, runs, values, NULL, false) != 1)
		RefuseIntrusion(&whole_run, RUNS_TABLE);
	result = SPI_datumTransfer(FoundColumn(1, &isnull), false, -1);
	SPI_finish();
	PG_RETURN_DATUM(result);
}

/*
 * ih_sync_is_late is integration_sync_is_late(drift).
 */
Datum
ih_sync_is_late(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(SpanMicros(SpanOf(PG_GETARG_INTERVAL_P(0))) > ih_max_drift * USECS_PER_SEC);
}
