/*
 * row_statement.h
 *	  Statements on the extension's own tables that see what is committed now.
 */
#ifndef IH_ROW_STATEMENT_H
#define IH_ROW_STATEMENT_H

#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"

#define MAX_STATEMENT_ARGUMENTS 6

/*
 * A statement on a table, and the plan that the session keeps for it.  In the text %1$s stands for the
 * table, %2$s for "column = n.column" of each of its columns.  ANYELEMENTOID in argtypes stands for a
 * row of the table, ANYENUMOID for integration_health_state.  depth is how often it is running just now.
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
