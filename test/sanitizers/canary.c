/*
 * canary.c
 *	  Faults on purpose, to prove that a sanitizer that reports nothing would report something.
 *	  It is never part of the extension.
 */
#include "postgres.h"

#include "fmgr.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(canary);

/*
 * canary reads the byte behind a chunk: of malloc, which ASan guards, or (true) of palloc, which
 * valgrind does in a server built with USE_VALGRIND.
 */
Datum
canary(PG_FUNCTION_ARGS)
{
	bool		   of_palloc = PG_GETARG_BOOL(0);
	volatile char *chunk = of_palloc ? palloc(13) : malloc(13);

	PG_RETURN_BOOL(chunk[13] == 'x');
}
