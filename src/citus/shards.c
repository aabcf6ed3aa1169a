/*
 * shards.c
 *	  Finds the shards that are on this node.  What it has learned of a relation it keeps until that
 *	  changes: Citus invalidates a table whenever its shards do.
 */
#include "citus/shards.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "base/relation_cache.h"
#include "citus/citus_catalog.h"
#include "citus/shard_rules.h"

/* More tables than the extension has; a shard with more neighbours looks for them again. */
#define MAX_NEIGHBOURS 16

typedef enum CitusKind
{
	NOT_LEARNED,
	NOT_OF_CITUS,
	DISTRIBUTED_TABLE,
	REFERENCE_TABLE,
	SHARD
} CitusKind;

/* The shard of another table that holds the same keys, and the stamp of what told it. */
typedef struct Neighbour
{
	Oid	   table;
	uint64 stamp;
	Oid	   shard;
} Neighbour;

/*
 * What the session knows about a relation.  table is that of a shard, itself for other relations;
 * copy is that of a reference table on this node.  Neighbours are of shards only.
 */
typedef struct CitusRelation
{
	CachedRelation cached;
	CitusKind	   kind;
	uint64		   stamp;
	Oid			   table;
	int32		   colocation;
	Oid			   copy;
	ShardBounds	   bounds;
	int			   nneighbours;
	Neighbour	   neighbours[MAX_NEIGHBOURS];
} CitusRelation;

static RelationCache relations = { .name = "relations of Citus",
								   .entry_size = sizeof(CitusRelation) };

/* Whether this server has loaded Citus.  Without it, nothing else here is reached. */
static bool has_citus = false;

/*
 * ComesLater tells whether the server is about to load Citus after this library.
 */
static bool
ComesLater(void)
{
	List	 *libraries;
	ListCell *cell;

	if (!process_shared_preload_libraries_in_progress ||
		!SplitDirectoriesString(pstrdup(shared_preload_libraries_string), ',', &libraries))
		return false;
	foreach (cell, libraries)
	{
		const char *path = lfirst(cell);
		const char *name = last_dir_separator(path);

		if (strcmp(name == NULL ? path : name + 1, "citus") == 0)
			return true;
	}
	return false;
}

/*
 * LookForCitus notes whether Citus is loaded, when this library is: it can be loaded by
 * shared_preload_libraries only.  A setting of Citus tells it; without Citus, it may be there as
 * a placeholder that a configuration file has made.  55000 if Citus would come later.
 */
void
LookForCitus(void)
{
	static const char *const setting = "citus.shard_count";

	has_citus = GetConfigOption(setting, true, false) != NULL &&
				(GetConfigOptionFlags(setting, true) & GUC_CUSTOM_PLACEHOLDER) == 0;
	if (!has_citus && ComesLater())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("integration_health must be loaded after Citus"),
						errhint("Place citus before integration_health in "
								"shared_preload_libraries, or leave integration_health out.")));
}

/*
 * HasCitus tells whether LookForCitus has found it.
 */
bool
HasCitus(void)
{
	return has_citus;
}

/*
 * LearnTable fills in the entry of a table that Citus distributes, or keeps on all nodes; false
 * for other relations.
 */
static bool
LearnTable(CitusRelation *entry)
{
	static const ShardBounds none = { .has_bounds = false };
	CitusTableRow			 table;
	ShardRow				 shard;

	if (!FindCitusTable(entry->table, &table))
		return false;
	entry->colocation = table.colocation;
	if (table.method == DISTRIBUTED_BY_HASH)
		entry->kind = DISTRIBUTED_TABLE;
	else if (table.method == NOT_DISTRIBUTED && table.model == ON_ALL_NODES)
		entry->kind = REFERENCE_TABLE;
	else
		return false;

	/* Where there is no copy yet, Citus invalidates the table when it adds one. */
	if (entry->kind == REFERENCE_TABLE && FindShardOf(entry->table, &none, &shard))
		entry->cached.sources[1] = entry->copy = RelationOfShard(&shard);
	return true;
}

static CitusRelation *CitusRelationOf(Oid relid);

/*
 * LearnShard fills in the entry of a shard; false for other relations, even if their names end
 * in digits.  Sets *may_become if one may be a shard that Citus has made but not registered yet.
 */
static bool
LearnShard(CitusRelation *entry, bool *may_become)
{
	HeapTuple	  tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(entry->cached.relid));
	Form_pg_class form;
	NameData	  name;
	Oid			  schema;
	int			  length;
	int64		  id;
	ShardRow	  shard;
	const char	 *table;

	*may_become = false;
	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_class) GETSTRUCT(tuple);
	name = form->relname;
	schema = form->relnamespace;
	*may_become =
		form->relkind == RELKIND_RELATION && ParseShardName(NameStr(name), &length, &id);
	ReleaseSysCache(tuple);
	if (!*may_become)
		return false;
	if (!FindShardById(id, &shard))
	{
		AwaitShards();
		if (!FindShardById(id, &shard))
			return false;
	}
	table = get_rel_name(shard.table);
	if (table == NULL || get_rel_namespace(shard.table) != schema ||
		strlen(table) != (size_t) length || strncmp(table, NameStr(name), length) != 0)
		return false;
	entry->cached.sources[1] = entry->table = shard.table;
	entry->bounds = shard.bounds;
	entry->colocation = CitusRelationOf(shard.table)->colocation;
	entry->kind = SHARD;
	return true;
}

/*
 * CitusRelationOf returns what the session knows about a relation, after learning it if it has
 * to.  An invalidation that arrives meanwhile leaves the entry to be learned again.
 */
static CitusRelation *
CitusRelationOf(Oid relid)
{
	static uint64  stamps = 0;
	CitusRelation *entry = RelationEntry(&relations, relid);
	bool		   may_become;

	if (entry->cached.is_valid && entry->kind != NOT_LEARNED)
		return entry;
	entry->kind = NOT_LEARNED;
	entry->stamp = ++stamps;
	entry->table = relid;
	entry->colocation = 0;
	entry->copy = InvalidOid;
	entry->nneighbours = 0;
	memset(entry->cached.sources, 0, sizeof(entry->cached.sources));
	entry->cached.sources[0] = relid;
	entry->cached.is_valid = true;
	if (!LearnTable(entry) && !LearnShard(entry, &may_become))
	{
		entry->kind = NOT_OF_CITUS;
		if (may_become)
			entry->cached.is_valid = false;
	}
	return entry;
}

/*
 * TableOfShard returns the table that a relation is a shard of, or InvalidOid; the copies of a
 * reference table are its shards.
 */
Oid
TableOfShard(Oid relid)
{
	const CitusRelation *relation;

	if (!has_citus || relid < FirstNormalObjectId)
		return InvalidOid;
	relation = CitusRelationOf(relid);
	return relation->kind == SHARD ? relation->table : InvalidOid;
}

/*
 * IsReferenceTable tells whether Citus keeps a copy of a table on each node.
 */
bool
IsReferenceTable(Oid relid)
{
	return has_citus && relid >= FirstNormalObjectId &&
		   CitusRelationOf(relid)->kind == REFERENCE_TABLE;
}

/*
 * CopyOfReferenceTable returns the copy of a reference table on this node; InvalidOid if it has
 * none.
 */
Oid
CopyOfReferenceTable(Oid relid)
{
	return CitusRelationOf(relid)->copy;
}

/*
 * IsDistributedTable tells whether the rows of a table are in shards by a hash.
 */
bool
IsDistributedTable(Oid relid)
{
	return has_citus && relid >= FirstNormalObjectId &&
		   CitusRelationOf(relid)->kind == DISTRIBUTED_TABLE;
}

/*
 * RefuseToGuess raises 55000: a statement would find or leave rows in the wrong table.
 */
static void
RefuseToGuess(Oid table, Oid shard)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" has no shard on this node that is co-located with \"%s\"",
					get_rel_name(table), get_rel_name(shard)),
			 errhint("Distribute all tables of the extension by org_id, co-located with each "
					 "other, and types and maintenance as reference tables.")));
}

/*
 * FindNeighbour returns the shard of a table that holds the keys of a shard of another one, with
 * which it is co-located.  Errors as for RefuseToGuess.
 */
static Oid
FindNeighbour(CitusRelation *shard, const CitusRelation *table)
{
	Neighbour found = { .table = table->cached.relid, .stamp = table->stamp };
	ShardRow  row;
	int		  place;

	for (place = 0; place < shard->nneighbours; place++)
	{
		if (shard->neighbours[place].table != found.table)
			continue;
		if (shard->neighbours[place].stamp == found.stamp)
			return shard->neighbours[place].shard;
		break;
	}
	if (FindShardOf(found.table, &shard->bounds, &row))
		found.shard = RelationOfShard(&row);
	if (!OidIsValid(found.shard))
		RefuseToGuess(found.table, shard->cached.relid);
	if (place == MAX_NEIGHBOURS)
		place = shard->nneighbours = 0;
	shard->neighbours[place] = found;
	if (place == shard->nneighbours)
		shard->nneighbours++;
	return found.shard;
}

/*
 * LocalShard returns the relation on this node that holds, of the rows of table, those that go
 * with a shard: the co-located shard, or the copy of a reference table.  InvalidOid if table is
 * not of Citus, or distributed otherwise; 55000 if it should have such a shard but has not, or if
 * shard is none.
 */
Oid
LocalShard(Oid shard, Oid table)
{
	CitusRelation		*from;
	const CitusRelation *to;

	if (!has_citus || table < FirstNormalObjectId)
		return InvalidOid;
	to = CitusRelationOf(table);
	if (to->kind != REFERENCE_TABLE && to->kind != DISTRIBUTED_TABLE)
		return InvalidOid;
	from = CitusRelationOf(shard);
	if (from->kind != SHARD)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("relation with OID %u is not a shard on this node", shard),
						errhint("The shard may have been moved. Repeat the transaction.")));
	if (to->kind == DISTRIBUTED_TABLE)
		return from->colocation == to->colocation ? FindNeighbour(from, to) : InvalidOid;
	if (!OidIsValid(to->copy))
		RefuseToGuess(table, shard);
	return to->copy;
}

/*
 * HoldsKey tells whether a shard holds the rows of this organisation, by the hash that Citus
 * takes of a uuid: PostgreSQL's.
 */
bool
HoldsKey(Oid shard, Datum org_id)
{
	const CitusRelation *relation = CitusRelationOf(shard);
	uint32				 hash = DatumGetUInt32(DirectFunctionCall1(uuid_hash, org_id));

	return relation->kind == SHARD && IsWithinBounds(&relation->bounds, (int32) hash);
}
