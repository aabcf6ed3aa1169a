/*
 * relations.c
 *	  Finds the extension's own tables by the schema of its functions, never by search_path, and
 *	  their columns by name, never by number, as a site may have added or dropped columns.
 */
#include "base/relations.h"

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/*
 * SchemaOfFunction returns the schema of one of the extension's functions, in which its tables
 * are.
 */
Oid
SchemaOfFunction(Oid function)
{
	Oid schema = get_func_namespace(function);

	if (!OidIsValid(schema))
		elog(ERROR, "function %u has no schema", function);
	return schema;
}

/*
 * ExtensionTable returns the extension's table with this name; 42P01 if it does not exist.
 */
Oid
ExtensionTable(Oid schema, const char *name)
{
	Oid relid = get_relname_relid(name, schema);

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" of extension integration_health is missing", name)));
	return relid;
}

/*
 * TypeOfName returns the type with this name; InvalidOid if it does not exist.
 */
static Oid
TypeOfName(Oid schema, const char *name)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
						   ObjectIdGetDatum(schema));
}

/*
 * ExtensionType returns the extension's type with this name; 42704 if it does not exist.
 */
Oid
ExtensionType(Oid schema, const char *name)
{
	Oid type = TypeOfName(schema, name);

	if (!OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("type \"%s\" of extension integration_health is missing", name)));
	return type;
}

/*
 * HasCauses tells whether checks have a cause: not where version 1.0 has not been updated yet.
 */
bool
HasCauses(Oid schema)
{
	return OidIsValid(TypeOfName(schema, CAUSE_TYPE));
}

/*
 * FindColumn returns the number of a column of a table; 42703 if there is no such column, 42804
 * if it does not have the type that the extension created it with, 55000 if it is a generated
 * column.
 */
static AttrNumber
FindColumn(Relation table, const char *name, Oid type)
{
	TupleDesc desc = RelationGetDescr(table);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || strcmp(NameStr(att->attname), name) != 0)
			continue;
		if (att->atttypid != type)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of table \"%s\" is of type %s", name,
							RelationGetRelationName(table), format_type_be(att->atttypid)),
					 errdetail("Recording checks requires type %s.", format_type_be(type)),
					 errtablecol(table, att->attnum)));
		if (att->attgenerated != '\0')
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("column \"%s\" of table \"%s\" is generated", name,
							RelationGetRelationName(table)),
					 errdetail("Its value is made after the check was copied to the history."),
					 errtablecol(table, att->attnum)));
		return att->attnum;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("table \"%s\" has no column \"%s\"", RelationGetRelationName(table), name),
			 errhint("Recording checks requires the column as the extension created it."),
			 errtable(table)));
	return InvalidAttrNumber; /* not reached */
}

/*
 * FindColumns sets attnum to the numbers of ncolumns columns of a table; schema is that of the
 * extension's types.  Errors as for FindColumn.
 */
void
FindColumns(Relation table, Oid schema, const OwnColumn *columns, int ncolumns,
			AttrNumber *attnum)
{
	for (int i = 0; i < ncolumns; i++)
	{
		Oid type = columns[i].own_type == NULL ? columns[i].type
											   : ExtensionType(schema, columns[i].own_type);

		attnum[i] = FindColumn(table, columns[i].name, type);
	}
}
