/*
 * claims.h
 *	  What the claims of the caller say.
 */
#ifndef IH_CLAIMS_H
#define IH_CLAIMS_H

#include "postgres.h"

#include "utils/uuid.h"

/* Why something could not be read; message is NULL if it could. */
typedef struct Problem
{
	const char *message;
	const char *detail;
} Problem;

/* Claims, and the text and settings that they were read from; all allocated in context. */
typedef struct Claims
{
	MemoryContext context;
	const char	 *text;
	const char	 *org_claims;
	const char	 *role_claims;
	const char	 *admin_role;
	Problem		  org_problem;
	int			  norgs; /* 0 if org_problem is set: one bad organisation invalidates all */
	pg_uuid_t	 *orgs;
	Problem		  role_problem;
	bool		  is_admin;
} Claims;

extern const Claims *CallerClaims(void);

#endif /* IH_CLAIMS_H */
