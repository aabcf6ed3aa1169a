/*
 * row_statement.h
 *	  Statements on the extension's own tables that run with the latest snapshot.
 */
#ifndef IH_ROW_STATEMENT_H
#define IH_ROW_STATEMENT_H

#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"

#define MAX_STATEMENT_ARGUMENTS 6

/*
 * A statement on a table, and the plan that the session keeps for it.  In the text, %1$s stands
 * for the table and %2$s for a list of "column = n.column".  In argtypes, ANYELEMENTOID stands
 * for the row type of the table and ANYENUMOID for integration_health_state.  depth counts the
 * calls that are running it.
 */
typedef struct RowStatement
{
	const char *text;
	int			nargs;
	Oid			argtypes[MAX_STATEMENT_ARGUMENTS];
	Oid			relid;
	SPIPlanPtr	plan;
	int			depth;
} RowStatement;

extern uint64 RunAsOwner(RowStatement *statement, Oid relid, Datum *values);

extern Oid	 TableOfResult(FunctionCallInfo fcinfo);
extern Datum OneRow(FunctionCallInfo fcinfo, RowStatement *statement);
extern Datum StoredRow(FunctionCallInfo fcinfo, RowStatement *statement);

#endif /* IH_ROW_STATEMENT_H */
