/*
 * compat.h
 *	  The differences between PostgreSQL 15 and 18 that matter to the code.
 */
#ifndef IH_COMPAT_H
#define IH_COMPAT_H

#include "postgres.h"

#include "access/tableam.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parse_relation.h"
#include "storage/proc.h"

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/*
 * From 16 on, the symbols of a library are hidden unless marked PGDLLEXPORT.  Before,
 * -fvisibility=hidden hides them, so that no other library's symbol of the same name replaces
 * ours.
 */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#undef PG_FUNCTION_INFO_V1
#define PG_FUNCTION_INFO_V1(funcname)                                               \
	extern PGDLLEXPORT Datum				  funcname(PG_FUNCTION_ARGS);           \
	extern PGDLLEXPORT const Pg_finfo_record *CppConcat(pg_finfo_, funcname)(void); \
	const Pg_finfo_record					 *CppConcat(pg_finfo_, funcname)(void)  \
	{                                                                               \
		static const Pg_finfo_record version = { 1 };                               \
		return &version;                                                            \
	}                                                                               \
	extern int no_such_variable
#endif

/* From 16 on, an update tells which indexes need entries: all, none, or summarizing ones. */
#if PG_VERSION_NUM < 160000
typedef bool UpdatedIndexes;
#define ALL_INDEXES true
#define InsertIndexTuples(rel, slot, estate, which) \
	((void) (which), ExecInsertIndexTuples(rel, slot, estate, false, false, NULL, NIL))
#else
typedef TU_UpdateIndexes  UpdatedIndexes;
#define ALL_INDEXES TU_All
#define InsertIndexTuples(rel, slot, estate, which) \
	ExecInsertIndexTuples(rel, slot, estate, false, false, NULL, NIL, (which) == TU_Summarizing)
#endif

/* 16 renamed the field that tells in which subtransaction a relation first got a new file. */
#if PG_VERSION_NUM < 160000
#define FirstNewFile(rel) ((rel)->rd_firstRelfilenodeSubid)
#else
#define FirstNewFile(rel) ((rel)->rd_firstRelfilelocatorSubid)
#endif

/* From 16 on, a query keeps the rights that its relations need apart from these. */
#if PG_VERSION_NUM < 160000
typedef RangeTblEntry ColumnRights;
#define ColumnRightsOf(query, rte) (rte)
#else
typedef RTEPermissionInfo ColumnRights;
#define ColumnRightsOf(query, rte) \
	((rte)->perminfoindex == 0 ? NULL : getRTEPermissionInfo((query)->rteperminfos, (rte)))
#endif

/* 16 added an argument for columns that one side does not have. */
#if PG_VERSION_NUM < 160000
#define BuildAttrMap(from, to) build_attrmap_by_name(from, to)
#else
#define BuildAttrMap(from, to) build_attrmap_by_name(from, to, false)
#endif

/* Before 16, a walker was declared with empty parentheses, which C23 takes for no arguments. */
#if PG_VERSION_NUM < 160000
#define TREE_WALKER(function) ((bool (*)(void))(void (*)(void))(function))
#else
#define TREE_WALKER(function) (function)
#endif

/* 17 moved the local transaction ID, which tells the transactions of a session apart. */
#if PG_VERSION_NUM < 170000
#define MyLocalTransaction() (MyProc->lxid)
#else
#define MyLocalTransaction() (MyProc->vxid.lxid)
#endif

/* 18 added arguments for counting index searches and for deferrable primary keys. */
#if PG_VERSION_NUM < 180000
#define BeginIndexScan(rel, index, snapshot, nkeys) \
	index_beginscan(rel, index, snapshot, nkeys, 0)
#define PrimaryKeyIndex(rel) RelationGetPrimaryKeyIndex(rel)
#else
#define BeginIndexScan(rel, index, snapshot, nkeys) \
	index_beginscan(rel, index, snapshot, NULL, nkeys, 0)
#define PrimaryKeyIndex(rel) RelationGetPrimaryKeyIndex(rel, false)
#endif

#endif /* IH_COMPAT_H */
