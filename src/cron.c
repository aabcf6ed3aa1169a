/*
 * cron.c
 *	  Registers the extension's jobs with pg_cron, as the caller and when the caller asks: a job
 *	  made by the extension script would take a jobid that a restore of cron.job needs.
 */
#include "integration_health.h"

#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(ih_schedule_jobs);
PG_FUNCTION_INFO_V1(ih_unschedule_jobs);

/*
 * In the order of the arguments of schedule_integration_health_jobs.  The arguments are the defaults
 * of the functions, spelt out with their types: a call that left them out would be ambiguous, or
 * another function's, when the schema has a function of the same name with fewer arguments.  One that takes the same
 * arguments and more with defaults stays ambiguous: so does any for integration_health_compact.
 */
static const struct
{
	const char *name;
	const char *function;
	const char *arguments;
} jobs[] = {
	{ "integration_health_cleanup", "integration_health_cleanup",
	  "'30 days'::pg_catalog.interval, 50000::pg_catalog.int4" },
	{ "integration_health_counts", "integration_health_compact", "" },
	{ "integration_health_stale", "mark_stale_health", "10000::pg_catalog.int4" },
	{ "integration_health_warm_up", "dispatch_sync_warm_ups",
	  "'1 minute'::pg_catalog.interval" },
};

/* The job whose schedule depends on what pg_cron can do. */
#define WARM_UP_JOB 3

/*
 * RequireCron raises 0A000 where pg_cron is not in this database.
 */
static void
RequireCron(void)
{
	if (!OidIsValid(get_extension_oid("pg_cron", true)))
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("pg_cron is not installed in this database"),
			 errhint("Add pg_cron to shared_preload_libraries, set cron.database_name to this "
					 "database, restart, and run CREATE EXTENSION pg_cron.")));
}

/*
 * KnowsSeconds tells whether pg_cron runs jobs every so many seconds: 1.5 and later do.
 */
static bool
KnowsSeconds(void)
{
	bool result;

	SPI_connect();
	if (SPI_execute("SELECT 1 FROM pg_catalog.pg_extension AS e"
					" WHERE e.extname OPERATOR(pg_catalog.=) 'pg_cron'"
					"   AND pg_catalog.string_to_array(pg_catalog.substring(e.extversion,"
					"         '^[0-9]+[.][0-9]+'), '.')::pg_catalog.int4[]"
					"       OPERATOR(pg_catalog.>=) '{1,5}'::pg_catalog.int4[]",
					true, 1) != SPI_OK_SELECT)
		elog(ERROR, "the version of pg_cron could not be read");
	result = SPI_processed == 1;
	SPI_finish();
	return result;
}

/*
 * Schedule returns the schedule of a job, argument argno.  22023 when it is null, but for the job
 * that has one of its own then.
 */
static Datum
Schedule(FunctionCallInfo fcinfo, int argno)
{
	if (!PG_ARGISNULL(argno))
		return PG_GETARG_DATUM(argno);
	if (argno != WARM_UP_JOB)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a schedule must not be null"),
						errhint("Leave the argument out for its default.")));
	return CStringGetTextDatum(KnowsSeconds() ? "30 seconds" : "* * * * *");
}

/*
 * ih_schedule_jobs is schedule_integration_health_jobs(cleanup, counts, stale, warm_up).
 */
Datum
ih_schedule_jobs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char		  *schema = get_namespace_name(get_func_namespace(fcinfo->flinfo->fn_oid));
	Datum		   schedules[lengthof(jobs)];

	RequireCron();
	for (size_t i = 0; i < lengthof(jobs); i++)
		schedules[i] = Schedule(fcinfo, i);

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	for (size_t i = 0; i < lengthof(jobs); i++)
	{
		Oid	  argtypes[3] = { TEXTOID, TEXTOID, TEXTOID };
		char *command =
			psprintf("SELECT %s(%s)", quote_qualified_identifier(schema, jobs[i].function),
					 jobs[i].arguments);
		Datum values[4];
		bool  nulls[4] = { false };
		Datum job[3];

		job[0] = CStringGetTextDatum(jobs[i].name);
		job[1] = schedules[i];
		job[2] = CStringGetTextDatum(command);
		if (SPI_execute_with_args("SELECT cron.schedule($1, $2, $3)", 3, argtypes, job, NULL,
								  false, 1) != SPI_OK_SELECT)
			elog(ERROR, "cron.schedule failed");

		values[0] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &nulls[0]);
		values[1] = job[0];
		values[2] = job[1];
		values[3] = job[2];
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	SPI_finish();
	return (Datum) 0;
}

/*
 * ih_unschedule_jobs is unschedule_integration_health_jobs().
 */
Datum
ih_unschedule_jobs(PG_FUNCTION_ARGS)
{
	int64 removed = 0;

	(void) fcinfo;
	RequireCron();
	SPI_connect();
	for (size_t i = 0; i < lengthof(jobs); i++)
	{
		Oid	  argtypes[1] = { TEXTOID };
		Datum values[1] = { CStringGetTextDatum(jobs[i].name) };

		if (SPI_execute_with_args(
				"SELECT cron.unschedule(j.jobid) FROM cron.job AS j"
				" WHERE j.jobname::pg_catalog.text OPERATOR(pg_catalog.=) $1"
				" AND j.username::pg_catalog.text OPERATOR(pg_catalog.=) CURRENT_USER::pg_catalog.text"
				" AND j.database::pg_catalog.text OPERATOR(pg_catalog.=)"
				"     pg_catalog.current_database()::pg_catalog.text",
				1, argtypes, values, NULL, false, 0) != SPI_OK_SELECT)
			elog(ERROR, "cron.unschedule failed");
		removed += (int64) SPI_processed;
	}
	SPI_finish();
	PG_RETURN_INT32((int32) removed);
}
