/*
 * module.c
 *	  Defines the settings when the library is loaded.
 */
#include "base/settings.h"

#include "utils/guc.h"

#include "citus/shard_plans.h"
#include "claims/claim_rules.h"
#include "health/pending.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/*
 * CheckClaimPaths is the check hook of the settings that hold claim paths.
 */
static bool
CheckClaimPaths(char **newval, void **extra, GucSource source)
{
	const char *problem = ClaimPathsProblem(*newval);

	(void) extra;
	(void) source;
	if (problem != NULL)
		GUC_check_errdetail("%s", problem);
	return problem == NULL;
}

/*
 * CheckAdminRole is the check hook of integration_health.admin_role.
 */
static bool
CheckAdminRole(char **newval, void **extra, GucSource source)
{
	(void) extra;
	(void) source;
	if ((*newval)[0] != '\0')
		return true;
	GUC_check_errdetail("The name of a role is not empty.");
	return false;
}

/*
 * _PG_init defines the settings.  Only a superuser can change those that decide who sees what.
 */
void
_PG_init(void)
{
	DefineCustomStringVariable(
		"integration_health.org_claims", "Claims that name the caller's organisations.",
		"Paths in request.jwt.claims, separated by commas; the first one present is used.",
		&ih_org_claims, "app_metadata.org_id, org_id", PGC_SUSET, 0, CheckClaimPaths, NULL,
		NULL);
	DefineCustomStringVariable(
		"integration_health.role_claims",
		"Claims that name the caller's roles in the application.",
		"Paths in request.jwt.claims, separated by commas; all of them are used.",
		&ih_role_claims, "app_metadata.role, user_role, role", PGC_SUSET, 0, CheckClaimPaths,
		NULL, NULL);
	DefineCustomStringVariable("integration_health.admin_role",
							   "Application role that may see all organisations together.",
							   NULL, &ih_admin_role, "global_admin", PGC_SUSET, 0,
							   CheckAdminRole, NULL, NULL);
	DefineCustomBoolVariable(
		"integration_health.notify",
		"Whether events are sent with NOTIFY on the channel integration_health.", NULL,
		&ih_notify, true, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"integration_health.max_drift",
		"How long after its time a sync may start before it counts as late.", NULL,
		&ih_max_drift, 300, 0, 86400, PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomStringVariable(
		"integration_health.partitions",
		"Number of partitions of the tables of pairs that CREATE EXTENSION makes.",
		"From 0, for plain tables, to 1024; CREATE EXTENSION refuses other values.",
		&ih_partitions, "0", PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable(
		"integration_health_private.pending",
		"Whether the running statement has recorded checks from which something follows.", NULL,
		&ih_pending, false, PGC_INTERNAL, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE, NULL, NULL,
		NULL);
	DefineShardSetting();
	MarkGUCPrefixReserved("integration_health");
}
