/*
 * grant.c
 *	  Who may do what.  The one list of rights that the extension hands out, used by the extension
 *	  script for Supabase's roles and by grant_integration_health for a site's own.
 */
#include "integration_health.h"

#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "catalog/dependency.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "relations.h"

PG_FUNCTION_INFO_V1(ih_grant);

/* What the reports call with the caller's rights. */
#define PRIVATE_SCHEMA "USAGE ON SCHEMA integration_health_private"

#define READER_FUNCTIONS                                                         \
	"EXECUTE ON FUNCTION %1$s.integration_health_org_ids(),"                     \
	" %1$s.integration_health_can_read(pg_catalog.uuid),"                        \
	" %1$s.integration_health_uncounted(pg_catalog.uuid),"                       \
	" %1$s.integration_health_trend_start(pg_catalog.int4),"                     \
	" %1$s.get_org_health_status(pg_catalog.uuid),"                              \
	" %1$s.get_health_trend(pg_catalog.uuid, pg_catalog.text, pg_catalog.int4)," \
	" %1$s.get_global_health_summary(),"                                         \
	" %1$s.get_global_health_problems(pg_catalog.int4),"                         \
	" %1$s.integration_sync_is_late(pg_catalog.\"interval\"),"                   \
	" %1$s.integration_sync_key(pg_catalog.uuid, pg_catalog.text,"               \
	"   pg_catalog.timestamptz),"                                                \
	" %1$s.integration_sync_periods(pg_catalog.\"interval\","                    \
	"   pg_catalog.timestamptz, pg_catalog.text, pg_catalog.timestamptz,"        \
	"   pg_catalog.timestamptz),"                                                \
	" %1$s.integration_sync_last_period(pg_catalog.\"interval\","                \
	"   pg_catalog.timestamptz, pg_catalog.text, pg_catalog.timestamptz),"       \
	" %1$s.integration_sync_next_period(pg_catalog.\"interval\","                \
	"   pg_catalog.timestamptz, pg_catalog.text, pg_catalog.timestamptz),"       \
	" %1$s.get_sync_drift(pg_catalog.uuid, pg_catalog.int4),"                    \
	" %1$s.get_missed_syncs(pg_catalog.uuid, pg_catalog.int4),"                  \
	" %1$s.get_cold_starts(pg_catalog.uuid, pg_catalog.int4),"                   \
	" %1$s.get_global_sync_summary(pg_catalog.int4),"                            \
	" integration_health_private.require_claims()"

/* What authenticated may do. */
static const char *const reader_rights[] = {
	"SELECT ON %1$s.integration_types, %1$s.integration_health_status,"
	" %1$s.integration_health_history, %1$s.integration_monitors,"
	" %1$s.integration_sync_schedules, %1$s.integration_sync_runs",
	READER_FUNCTIONS, PRIVATE_SCHEMA, NULL
};

/*
 * What service_role may do.  An upsert that sets its keys needs UPDATE on them.  Nobody gets
 * REFERENCES, which tells of rows behind row-level security, or TRIGGER, which runs as others.
 */
static const char *const writer_rights[] = {
	"SELECT, INSERT, UPDATE, DELETE ON %1$s.integration_types",
	"SELECT, DELETE ON %1$s.integration_health_status",
	"INSERT (org_id, integration_type, status, latency_ms, http_status, error, retry_after,"
	"   checked_at),"
	" UPDATE (org_id, integration_type, status, latency_ms, http_status, error, retry_after,"
	"   checked_at)"
	" ON %1$s.integration_health_status",
	"SELECT ON %1$s.integration_health_history, %1$s.integration_health_counts,"
	" %1$s.integration_sync_runs",
	"SELECT, DELETE ON %1$s.integration_monitors, %1$s.integration_sync_schedules",
	"INSERT (org_id, integration_type, enabled), UPDATE (org_id, integration_type, enabled)"
	" ON %1$s.integration_monitors",
	"INSERT (org_id, integration_type, every, anchor, time_zone, enabled, warm_up_url),"
	" UPDATE (org_id, integration_type, every, anchor, time_zone, enabled, warm_up_url)"
	" ON %1$s.integration_sync_schedules",
	READER_FUNCTIONS,
	PRIVATE_SCHEMA,
	"EXECUTE ON FUNCTION"
	" %1$s.record_health_check(pg_catalog.uuid, pg_catalog.text,"
	"   %1$s.integration_health_state, pg_catalog.int4, pg_catalog.int4, pg_catalog.text,"
	"   pg_catalog.timestamptz),"
	" %1$s.record_health_checks(pg_catalog.jsonb),"
	" %1$s.integration_health_cleanup(pg_catalog.\"interval\", pg_catalog.int4),"
	" %1$s.mark_stale_health(pg_catalog.int4),"
	" %1$s.integration_health_compact(),"
	" %1$s.schedule_integration_health_jobs(pg_catalog.text, pg_catalog.text,"
	"   pg_catalog.text, pg_catalog.text),"
	" %1$s.unschedule_integration_health_jobs(),"
	" %1$s.set_monitor(pg_catalog.uuid, pg_catalog.text, pg_catalog.bool),"
	" %1$s.claim_due_health_checks(pg_catalog.int4),"
	" %1$s.resume_active_monitoring(pg_catalog.text),"
	" %1$s.integration_sync_every_is_valid(pg_catalog.\"interval\"),"
	" %1$s.integration_sync_time_zone_is_valid(pg_catalog.text),"
	" %1$s.set_sync_schedule(pg_catalog.uuid, pg_catalog.text, pg_catalog.\"interval\","
	"   pg_catalog.timestamptz, pg_catalog.text, pg_catalog.bool, pg_catalog.text),"
	" %1$s.get_due_syncs(pg_catalog.int4),"
	" %1$s.claim_sync_run(pg_catalog.uuid, pg_catalog.text, pg_catalog.timestamptz,"
	"   pg_catalog.bool, pg_catalog.\"interval\"),"
	" %1$s.finish_sync_run(pg_catalog.uuid, pg_catalog.text, pg_catalog.timestamptz,"
	"   pg_catalog.int4, %1$s.integration_sync_outcome, pg_catalog.text),"
	" %1$s.dispatch_sync_warm_ups(pg_catalog.\"interval\")",
	NULL
};

/*
 * Execute runs one GRANT or REVOKE with the caller's rights.
 */
static void
Execute(const char *command)
{
	if (SPI_execute(command, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "SPI_execute returned %s for %s", SPI_result_code_string(SPI_result),
			 command);
}

/*
 * RevokeAll takes every right on every table and function of the extension from a list of roles.
 * 42501, before anything is done, when the caller is not the owner of one of the tables.
 */
static void
RevokeAll(Oid extension, const char *roles)
{
	Oid			   argtypes[1] = { OIDOID };
	Datum		   values[1] = { ObjectIdGetDatum(extension) };
	uint64		   nmembers;
	SPITupleTable *members;

	if (SPI_execute_with_args(
			"SELECT o.type, o.identity, d.classid, d.objid"
			"  FROM pg_catalog.pg_depend AS d,"
			"       pg_catalog.pg_identify_object(d.classid, d.objid, 0) AS o"
			" WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass"
			"   AND d.refobjid OPERATOR(pg_catalog.=) $1"
			"   AND d.deptype OPERATOR(pg_catalog.=) 'e'"
			"   AND o.type OPERATOR(pg_catalog.=) ANY ('{schema,table,sequence,function}'::pg_catalog.text[])"
			" ORDER BY d.classid, d.objid",
			1, argtypes, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not list the members of extension %u", extension);
	nmembers = SPI_processed;
	members = SPI_tuptable;

	for (uint64 i = 0; i < nmembers; i++)
	{
		HeapTuple member = members->vals[i];
		bool	  isnull;
		Oid classid = DatumGetObjectId(SPI_getbinval(member, members->tupdesc, 3, &isnull));
		Oid objid = DatumGetObjectId(SPI_getbinval(member, members->tupdesc, 4, &isnull));

		if (classid == RelationRelationId && !IsRelationOwner(objid, GetUserId()))
			ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
							errmsg("must be owner of table %s", get_rel_name(objid))));
	}
	for (uint64 i = 0; i < nmembers; i++)
		Execute(psprintf("REVOKE ALL ON %s %s FROM %s",
						 SPI_getvalue(members->vals[i], members->tupdesc, 1),
						 SPI_getvalue(members->vals[i], members->tupdesc, 2), roles));
}

/*
 * RoleArgument returns the name of the role in argument argno, quoted; NULL when it is null, 42704
 * when there is no such role.
 */
static const char *
RoleArgument(FunctionCallInfo fcinfo, int argno)
{
	char *name;

	if (PG_ARGISNULL(argno))
		return NULL;
	name = GetUserNameFromId(PG_GETARG_OID(argno), true);
	if (name == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("role with OID %u does not exist", PG_GETARG_OID(argno)),
						errhint("Give the name of a role, or NULL for none.")));
	return quote_identifier(name);
}

/*
 * GrantAll grants a list of rights to a role.
 */
static void
GrantAll(const char *const *rights, const char *schema, const char *role)
{
	for (; *rights != NULL; rights++)
	{
		char *right = psprintf(*rights, schema);

		Execute(psprintf("GRANT %s TO %s", right, role));
	}
}

/*
 * ih_grant is grant_integration_health(reader, writer).
 */
Datum
ih_grant(PG_FUNCTION_ARGS)
{
	const char	  *schema = quote_identifier(get_namespace_name(SchemaOfFunction(fcinfo)));
	const char	  *reader = RoleArgument(fcinfo, 0);
	const char	  *writer = RoleArgument(fcinfo, 1);
	StringInfoData roles;

	if (writer != NULL && !has_bypassrls_privilege(PG_GETARG_OID(1)))
		ereport(
			WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg(
				 "role %s is subject to row-level security and will not be able to record checks",
				 writer),
			 errhint("ALTER ROLE %s BYPASSRLS, or make a policy for it.", writer)));

	initStringInfo(&roles);
	appendStringInfoString(&roles, "PUBLIC");
	if (OidIsValid(get_role_oid("anon", true)))
		appendStringInfoString(&roles, ", anon");
	if (reader != NULL)
		appendStringInfo(&roles, ", %s", reader);
	if (writer != NULL)
		appendStringInfo(&roles, ", %s", writer);

	SPI_connect();
	RevokeAll(getExtensionOfObject(ProcedureRelationId, fcinfo->flinfo->fn_oid), roles.data);
	if (reader != NULL)
		GrantAll(reader_rights, schema, reader);
	if (writer != NULL)
		GrantAll(writer_rights, schema, writer);
	SPI_finish();
	PG_RETURN_VOID();
}
