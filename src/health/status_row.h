/*
 * status_row.h
 *	  A row of the status table in the trigger.
 */
#ifndef IH_STATUS_ROW_H
#define IH_STATUS_ROW_H

#include "postgres.h"

#include "access/htup.h"
#include "commands/trigger.h"
#include "datatype/timestamp.h"

#include "health/check_rules.h"
#include "health/status_layout.h"

/* What one call of the trigger works on. */
typedef struct StatusTriggerContext
{
	TriggerData		   *data;
	TupleDesc			desc;
	const StatusLayout *layout;
} StatusTriggerContext;

/* A status row, deformed. */
typedef struct StatusRow
{
	HeapTuple tuple;
	Datum	 *values;
	bool	 *nulls;
} StatusRow;

extern StatusRow	 StatusRowOf(const StatusTriggerContext *context, HeapTuple tuple);
extern NullableDatum StatusColumnOf(const StatusTriggerContext *context, const StatusRow *row,
									StatusColumn column);
extern Datum RequiredStatusColumn(const StatusTriggerContext *context, const StatusRow *row,
								  StatusColumn column);
extern void	 SetStatusColumn(const StatusTriggerContext *context, StatusRow *row,
							 StatusColumn column, Datum value, bool isnull);
extern HealthState StatusOf(const StatusTriggerContext *context, const StatusRow *row);
extern PairState   PairStateOf(const StatusTriggerContext *context, const StatusRow *row);
extern TimestampTz CheckedAt(const StatusTriggerContext *context, const StatusRow *row,
							 TimestampTz recorded_at);
extern bool		   MakeWholeCheck(const StatusTriggerContext *context, const StatusRow *old,
								  StatusRow *new);
extern HeapTuple   StampedRow(const StatusTriggerContext *context, StatusRow *row,
							  const PairState *state, TimestampTz recorded_at);
extern HeapTuple   KeptRow(const StatusTriggerContext *context, const StatusRow *old,
						   StatusRow *new);

#endif /* IH_STATUS_ROW_H */
