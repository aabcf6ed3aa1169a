/*
 * estimate.c
 *	  Keeps what the planner knows of other organisations' rows from a caller under row-level
 *	  security: PostgREST's count=planned shows its estimates, which the statistics of all rows make.
 */
#include "base/settings.h"

#include "nodes/supportnodes.h"

PG_FUNCTION_INFO_V1(integration_health_uncounted);
PG_FUNCTION_INFO_V1(integration_health_uncounted_support);

/*
 * integration_health_uncounted(org_id): true, for every row.
 */
Datum
integration_health_uncounted(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_BOOL(true);
}

/*
 * integration_health_uncounted_support tells the planner that integration_health_uncounted leaves nothing, so that it estimates
 * one row, whatever the table holds.
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
