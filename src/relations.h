/*
 * relations.h
 *	  The extension's own tables, and where their columns are.
 */
#ifndef IH_RELATIONS_H
#define IH_RELATIONS_H

#include "integration_health.h"

#include "access/attnum.h"
#include "utils/relcache.h"

#include "check_rules.h"

#define TYPES_TABLE "integration_types"
#define STATUS_TABLE "integration_health_status"
#define HISTORY_TABLE "integration_health_history"
#define COUNTS_TABLE "integration_health_counts"
#define MONITORS_TABLE "integration_monitors"
#define SCHEDULES_TABLE "integration_sync_schedules"
#define RUNS_TABLE "integration_sync_runs"
#define STATE_TYPE "integration_health_state"

/* The columns of the status table that the trigger reads or writes. */
typedef enum StatusColumn
{
	COL_ORG_ID,
	COL_INTEGRATION_TYPE,
	COL_STATUS,
	COL_LATENCY_MS,
	COL_HTTP_STATUS,
	COL_ERROR,
	COL_RETRY_AFTER,
	COL_CHECKED_AT,
	COL_STATUS_SINCE,
	COL_LAST_HEALTHY_AT,
	COL_CONSECUTIVE_FAILURES,
	COL_CHECK_NO,
	COL_RECORDED_AT,
	COL_IS_PROBE
} StatusColumn;

#define STATUS_COLUMNS (COL_IS_PROBE + 1)

/*
 * What the trigger function of OID function needs to know of the status table relid: its history,
 * where it has its columns, and the OIDs of the labels of its status.
 */
typedef struct StatusLayout
{
	Oid		   function;
	Oid		   schema;
	Oid		   history;
	Oid		   relid;
	AttrNumber attnum[STATUS_COLUMNS];
	Oid		   label[HEALTH_STATES];
} StatusLayout;

extern Oid				   SchemaOfFunction(FunctionCallInfo fcinfo);
extern Oid				   ExtensionTable(Oid schema, const char *name);
extern Oid				   StateType(Oid schema);
extern AttrNumber		   FindColumn(Relation table, const char *name, Oid type);
extern const StatusLayout *StatusLayoutOf(Relation fired, Oid function);
extern const char		  *StateName(HealthState state);
extern HealthState		   StateOfLabel(const StatusLayout *layout, Oid label);

#endif /* IH_RELATIONS_H */
