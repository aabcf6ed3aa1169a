/*
 * latest_row.h
 *	  Single rows as they are now, whatever snapshot the transaction keeps.
 */
#ifndef IH_LATEST_ROW_H
#define IH_LATEST_ROW_H

#include "postgres.h"

#define MAX_KEY_COLUMNS 3

/* Whether the row is locked against other writers, and whether those are waited for. */
typedef enum LatestRowLock
{
	LATEST_ROW_READ,
	LATEST_ROW_WAIT,
	LATEST_ROW_SKIP
} LatestRowLock;

extern bool FindLatestRow(Oid relid, int nkeys, const Datum *key, LatestRowLock lock,
						  Datum *row);

#endif /* IH_LATEST_ROW_H */
