/*
 * relations.h
 *	  The extension's own tables and types, found by schema, and their columns, found by name.
 */
#ifndef IH_RELATIONS_H
#define IH_RELATIONS_H

#include "postgres.h"

#include "access/attnum.h"
#include "utils/relcache.h"

#define STATUS_TABLE "integration_health_status"
#define HISTORY_TABLE "integration_health_history"
#define STATE_TYPE "integration_health_state"
#define CAUSE_TYPE "integration_failure_cause"

/* A column as the extension created it: its type is a built-in one or, by name, the extension's. */
typedef struct OwnColumn
{
	const char *name;
	Oid			type;
	const char *own_type;
} OwnColumn;

extern Oid	SchemaOfFunction(Oid function);
extern Oid	ExtensionTable(Oid schema, const char *name);
extern Oid	ExtensionType(Oid schema, const char *name);
extern bool HasCauses(Oid schema);
extern void FindColumns(Relation table, Oid schema, const OwnColumn *columns, int ncolumns,
						AttrNumber *attnum);

#endif /* IH_RELATIONS_H */
