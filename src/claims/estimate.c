/*
 * estimate.c
 *	  Keeps the planner's estimates from revealing other organisations' rows to a caller under
 *	  row-level security.  They derive from statistics on all rows, and PostgREST shows them
 *	  with count=planned.
 */
#include "base/settings.h"

#include "nodes/supportnodes.h"

PG_FUNCTION_INFO_V1(integration_health_uncounted);
PG_FUNCTION_INFO_V1(integration_health_uncounted_support);

/*
 * integration_health_uncounted(org_id uuid) returns true.
 */
Datum
integration_health_uncounted(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_BOOL(true);
}

/*
 * integration_health_uncounted_support tells the planner that integration_health_uncounted lets
 * no row pass, so that it estimates one row, whatever the table holds.
 */
Datum
integration_health_uncounted_support(PG_FUNCTION_ARGS)
{
	Node *request = (Node *) PG_GETARG_POINTER(0);

	if (!IsA(request, SupportRequestSelectivity))
		PG_RETURN_POINTER(NULL);
	((SupportRequestSelectivity *) request)->selectivity = 0.0;
	PG_RETURN_POINTER(request);
}
