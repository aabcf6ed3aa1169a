/*
 * latest_row.h
 *	  The latest version of single rows, independent of the transaction's snapshot.
 */
#ifndef IH_LATEST_ROW_H
#define IH_LATEST_ROW_H

#include "postgres.h"

#define MAX_KEY_COLUMNS 3

/* Whether to lock the row, and whether to wait for another transaction that has locked it. */
typedef enum LatestRowLock
{
	LATEST_ROW_READ,
	LATEST_ROW_WAIT,
	LATEST_ROW_SKIP
} LatestRowLock;

extern bool FindLatestRow(Oid relid, int nkeys, const Datum *key, LatestRowLock lock,
						  Datum *row);

#endif /* IH_LATEST_ROW_H */
