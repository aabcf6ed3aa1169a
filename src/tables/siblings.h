/*
 * siblings.h
 *	  The tables of the extension that may be partitioned or distributed by a hash of org_id, and
 *	  the partitions or shards that hold the rows of the same organisations.
 */
#ifndef IH_SIBLINGS_H
#define IH_SIBLINGS_H

#include "postgres.h"

#include "utils/relcache.h"

extern Oid LogicalTable(Relation rel);
extern Oid SiblingOf(Relation rel, Oid logical, Oid other);
extern Oid PartOfRow(Relation rel, Datum org_id);

#endif /* IH_SIBLINGS_H */
