/*
 * shard_columns.h
 *	  The numbers of columns in a query, where a shard has other ones than its table.
 */
#ifndef IH_SHARD_COLUMNS_H
#define IH_SHARD_COLUMNS_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "utils/relcache.h"

extern void RenumberColumns(Query *query, int index, Relation table, Relation shard);

#endif /* IH_SHARD_COLUMNS_H */
