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

/* A column as the extension created it; InvalidOid stands for the type integration_health_state. */
typedef struct OwnColumn
{
	const char *name;
	Oid			type;
} OwnColumn;

extern Oid	SchemaOfFunction(Oid function);
extern Oid	ExtensionTable(Oid schema, const char *name);
extern Oid	StateType(Oid schema);
extern void FindColumns(Relation table, Oid state_type, const OwnColumn *columns, int ncolumns,
						AttrNumber *attnum);

#endif /* IH_RELATIONS_H */
