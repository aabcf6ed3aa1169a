/*
 * relations.h
 *	  The extension's own tables and types, by their schema, and their columns, by name.
 */
#ifndef IH_RELATIONS_H
#define IH_RELATIONS_H

#include "postgres.h"

#include "access/attnum.h"
#include "utils/relcache.h"

#define STATUS_TABLE "integration_health_status"
#define HISTORY_TABLE "integration_health_history"
#define STATE_TYPE "integration_health_state"

extern Oid		  SchemaOfFunction(Oid function);
extern Oid		  ExtensionTable(Oid schema, const char *name);
extern Oid		  StateType(Oid schema);
extern AttrNumber FindColumn(Relation table, const char *name, Oid type);

#endif /* IH_RELATIONS_H */
