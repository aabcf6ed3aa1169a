/*
 * status_layout.c
 *	  The numbers of the status table's columns, kept for the session until the table changes.
 */
#include "health/status_layout.h"

#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/relations.h"
#include "tables/siblings.h"

static const OwnColumn status_columns[STATUS_COLUMNS] = {
	[COL_ORG_ID] = { .name = "org_id", .type = UUIDOID },
	[COL_INTEGRATION_TYPE] = { .name = "integration_type", .type = TEXTOID },
	[COL_STATUS] = { .name = "status", .own_type = STATE_TYPE },
	[COL_LATENCY_MS] = { .name = "latency_ms", .type = INT4OID },
	[COL_HTTP_STATUS] = { .name = "http_status", .type = INT4OID },
	[COL_ERROR] = { .name = "error", .type = TEXTOID },
	[COL_RETRY_AFTER] = { .name = "retry_after", .type = INT4OID },
	[COL_CHECKED_AT] = { .name = "checked_at", .type = TIMESTAMPTZOID },
	[COL_STATUS_SINCE] = { .name = "status_since", .type = TIMESTAMPTZOID },
	[COL_LAST_HEALTHY_AT] = { .name = "last_healthy_at", .type = TIMESTAMPTZOID },
	[COL_CONSECUTIVE_FAILURES] = { .name = "consecutive_failures", .type = INT4OID },
	[COL_CHECK_NO] = { .name = "check_no", .type = INT8OID },
	[COL_RECORDED_AT] = { .name = "recorded_at", .type = TIMESTAMPTZOID },
	[COL_IS_PROBE] = { .name = "is_probe", .type = BOOLOID },
	[COL_CAUSE] = { .name = "cause", .own_type = CAUSE_TYPE },
};

static const char *const state_labels[HEALTH_STATES] = {
	[HEALTH_HEALTHY] = "healthy",
	[HEALTH_DEGRADED] = "degraded",
	[HEALTH_UNHEALTHY] = "unhealthy",
	[HEALTH_UNKNOWN] = "unknown",
};

static const char *const cause_labels[HTTP_CAUSES] = {
	[CAUSE_AUTH] = "auth",
	[CAUSE_RATE_LIMITED] = "rate_limited",
	[CAUSE_CONFIGURATION] = "configuration",
	[CAUSE_SERVER] = "server",
};

static RelationCache layouts = { .name = "status tables", .entry_size = sizeof(StatusLayout) };

/*
 * FindHistory finds the table that keeps the history of the table whose trigger fired, and notes
 * what it has looked at.  42809 if the trigger is not on the extension's own status table or a
 * partition of it; otherwise errors as for SiblingOf.
 */
static void
FindHistory(Relation fired, Oid schema, StatusLayout *layout)
{
	Oid logical = LogicalTable(fired);
	Oid history;

	if (logical != get_relname_relid(STATUS_TABLE, schema))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" has no health history", RelationGetRelationName(fired)),
				 errdetail("The trigger function works on the extension's own table %s only.",
						   STATUS_TABLE)));
	history = ExtensionTable(schema, HISTORY_TABLE);
	layout->history = SiblingOf(fired, logical, history);
	layout->cached.sources[0] = RelationGetRelid(fired);
	layout->cached.sources[1] = logical;
	layout->cached.sources[2] = history;
	layout->cached.sources[3] = layout->history;
}

/*
 * LabelOf returns the OID of a label of an enum type of this name; 42704 if it does not exist.
 */
static Oid
LabelOf(Oid type, const char *name, const char *label)
{
	Oid oid = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid, ObjectIdGetDatum(type),
							  CStringGetDatum(label));

	if (!OidIsValid(oid))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("type \"%s\" has no label \"%s\"", name, label)));
	return oid;
}

/*
 * StatusLayoutOf returns the layout of the status table, or partition of it, whose trigger fired,
 * from the cache if nothing has changed.  It may change with the next call.  Errors as for
 * FindHistory and FindColumns; 42704 if a type or one of its labels does not exist.
 */
const StatusLayout *
StatusLayoutOf(Relation fired, Oid function)
{
	StatusLayout *known = RelationEntry(&layouts, RelationGetRelid(fired));
	StatusLayout  layout;
	Oid			  schema;

	if (known->cached.is_valid && known->function == function)
		return known;
	schema = SchemaOfFunction(function);
	layout.cached = known->cached;
	layout.function = function;
	FindHistory(fired, schema, &layout);
	layout.state_type = ExtensionType(schema, STATE_TYPE);
	layout.has_causes = HasCauses(schema);
	layout.cause_type = layout.has_causes ? ExtensionType(schema, CAUSE_TYPE) : InvalidOid;
	layout.attnum[COL_CAUSE] = InvalidAttrNumber;
	FindColumns(fired, schema, status_columns, layout.has_causes ? STATUS_COLUMNS : COL_CAUSE,
				layout.attnum);
	for (int i = 0; i < HEALTH_STATES; i++)
		layout.label[i] = LabelOf(layout.state_type, STATE_TYPE, state_labels[i]);
	for (int i = 0; layout.has_causes && i < HTTP_CAUSES; i++)
		layout.cause_label[i] = LabelOf(layout.cause_type, CAUSE_TYPE, cause_labels[i]);
	layout.cached.is_valid = true;
	*known = layout;
	return known;
}

/*
 * StateOfLabel returns the state that an enum label stands for; 22023 for a label that a site
 * added.
 */
HealthState
StateOfLabel(const StatusLayout *layout, Oid label)
{
	for (int i = 0; i < HEALTH_STATES; i++)
	{
		if (layout->label[i] == label)
			return (HealthState) i;
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("status is not one that the extension knows"),
					errhint("Use healthy, degraded, unhealthy or unknown.")));
	return HEALTH_UNKNOWN; /* not reached */
}
