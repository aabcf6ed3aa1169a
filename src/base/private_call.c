/*
 * private_call.c
 *	  Calls the extension's SQL functions in the schema integration_health_private from C.
 */
#include "base/private_call.h"

#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#define PRIVATE_SCHEMA "integration_health_private"

/*
 * CallPrivate calls a function that returns void.  It does not check the right to EXECUTE; a
 * SECURITY DEFINER function runs as its owner.  42883 if there is no function with this name
 * and these types.
 */
void
CallPrivate(const char *function, int narguments, const PrivateArgument *arguments)
{
	Oid		 types[MAX_PRIVATE_ARGUMENTS];
	Oid		 oid;
	FmgrInfo flinfo;
	LOCAL_FCINFO(fcinfo, MAX_PRIVATE_ARGUMENTS);

	Assert(narguments <= MAX_PRIVATE_ARGUMENTS);
	InitFunctionCallInfoData(*fcinfo, &flinfo, narguments, InvalidOid, NULL, NULL);
	for (int i = 0; i < narguments; i++)
	{
		types[i] = arguments[i].type;
		fcinfo->args[i] = arguments[i].value;
	}
	oid = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(function),
						  PointerGetDatum(buildoidvector(types, narguments)),
						  ObjectIdGetDatum(get_namespace_oid(PRIVATE_SCHEMA, false)));
	if (!OidIsValid(oid))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("function \"%s\" of extension integration_health is missing",
							   function)));
	fmgr_info(oid, &flinfo);
	FunctionCallInvoke(fcinfo);
}
