/*
 * private_call.h
 *	  Calls the extension's SQL functions from C.
 */
#ifndef IH_PRIVATE_CALL_H
#define IH_PRIVATE_CALL_H

#include "postgres.h"

#define MAX_PRIVATE_ARGUMENTS 10

/* An argument of a function: its type and its value. */
typedef struct PrivateArgument
{
	Oid			  type;
	NullableDatum value;
} PrivateArgument;

extern void CallPrivate(const char *function, int narguments, const PrivateArgument *arguments);

#endif /* IH_PRIVATE_CALL_H */
