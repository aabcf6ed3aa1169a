/*
 * status_layout.h
 *	  The numbers of the status table's columns.
 */
#ifndef IH_STATUS_LAYOUT_H
#define IH_STATUS_LAYOUT_H

#include "postgres.h"

#include "access/attnum.h"
#include "utils/relcache.h"

#include "base/relation_cache.h"
#include "health/check_rules.h"

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
	COL_IS_PROBE,
	COL_CAUSE
} StatusColumn;

#define STATUS_COLUMNS (COL_CAUSE + 1)

/*
 * What the trigger function needs to know about the status table, or one of its partitions: the
 * OIDs of the function, and of the table that keeps its history, the numbers of the columns, the
 * types of status and cause, and the OIDs of their labels.  Where checks have no cause, in
 * version 1.0, COL_CAUSE has no number, and cause_type and cause_label no meaning.
 */
typedef struct StatusLayout
{
	CachedRelation cached;
	Oid			   function;
	Oid			   history;
	AttrNumber	   attnum[STATUS_COLUMNS];
	Oid			   state_type;
	bool		   has_causes;
	Oid			   cause_type;
	Oid			   label[HEALTH_STATES];
	Oid			   cause_label[HTTP_CAUSES];
} StatusLayout;

extern const StatusLayout *StatusLayoutOf(Relation fired, Oid function);
extern HealthState		   StateOfLabel(const StatusLayout *layout, Oid label);

#endif /* IH_STATUS_LAYOUT_H */
