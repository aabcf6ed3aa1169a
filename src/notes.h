/*
 * notes.h
 *	  What a transaction notes, to act upon it just before it commits.
 */
#ifndef IH_NOTES_H
#define IH_NOTES_H

#include "integration_health.h"

#include "nodes/pg_list.h"

typedef enum NoteKind
{
	NOTE_EVENT /* notify.c */
} NoteKind;

#define NOTE_KINDS (NOTE_EVENT + 1)

/* How a note of either kind begins. */
typedef struct Note
{
	SubTransactionId subid;
} Note;

extern void *AddNote(NoteKind kind, Size size);
extern List *Notes(NoteKind kind);

#endif /* IH_NOTES_H */
