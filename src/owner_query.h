/*
 * owner_query.h
 *	  Queries that are the extension's own act, whoever caused them.
 */
#ifndef IH_OWNER_QUERY_H
#define IH_OWNER_QUERY_H

#include "integration_health.h"

#include "executor/spi.h"

#define OWNER_QUERY_MAX_ARGS 9
#define OWNER_QUERY_MAX_RESULTS 12

/*
 * A query, and the plan that the session keeps for it.  In the text @schema@ stands for the schema
 * of the table, @assignments@ for "column = EXCLUDED.column" of each of its columns; in argtypes
 * InvalidOid stands for integration_health_state and RECORDOID for a row of the table.  resulttypes
 * are those that the columns of its result must have, as far as they are read or returned in C;
 * InvalidOid, or none, is not looked at.  A query that sees_latest looks at what is committed now,
 * also in a transaction that otherwise keeps the snapshot it began with.
 */
typedef struct OwnerQuery
{
	const char *text;
	int			nargs;
	Oid			argtypes[OWNER_QUERY_MAX_ARGS];
	Oid			resulttypes[OWNER_QUERY_MAX_RESULTS];
	bool		sees_latest;
	Oid			relid;
	SPIPlanPtr	plan;
} OwnerQuery;

extern uint64 RunOwnerQuery(OwnerQuery *query, Oid relid, Datum *values, const char *nulls,
							bool read_only);
extern int64  RunOwnerCommand(OwnerQuery *query, Oid relid, Datum *values, const char *nulls);
extern int64  RunOwnerCount(OwnerQuery *query, Oid relid, Datum *values);

extern void TruncateAsOwner(OwnerQuery *truncate, Oid relid);

extern void RefuseIntrusion(OwnerQuery *query, const char *table);

#endif /* IH_OWNER_QUERY_H */
