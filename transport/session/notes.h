/* SPDX-License-Identifier: BSD-3-Clause */
/* notes.h - how far one side of a session is on its way to the right to run: in its journal, or else in memory
 *
 * Where no journal was asked for, the same steps are kept, and forgotten with the process.
 */
#ifndef SESSION_NOTES_H
#define SESSION_NOTES_H

#include "journal.h"
#include "options.h"

/* Zero: nothing has begun. */
struct notes {
    struct journal *journal;           /* owned; NULL: there is none, or it was let go */
    struct journal_state state;        /* what has been noted; in doubt where notes_doubtful() */
    const struct options_steps *steps; /* borrowed: who is told "note-ready" before a note, and "ready" after it */
};

/**
 * notes_begin() - note "started"
 * @options: where the journal is (nowhere: in memory), and who is told of steps; borrowed
 *
 * As journal_open(), but -EALREADY for this very session.  @err is needed.
 */
int notes_begin(struct notes *notes, const struct ferry_options *options, enum journal_role role,
                const uint8_t session[JOURNAL_ID_BYTES], struct ferry_error *err);

/* Note the next step, as journal_note().  What is in doubt has been made once more before this fails. */
int notes_add(struct notes *notes, enum journal_step step, const uint8_t *token, struct ferry_error *err);

/* The last note failed, but somebody may read it. */
bool notes_doubtful(const struct notes *notes);

/* Note "aborted", where a session has begun that has not come to its end.  0 where there is nothing to end, too. */
int notes_abort(struct notes *notes, struct ferry_error *err);

/* Nothing can follow. */
bool notes_ended(const struct notes *notes);

/* Let the journal go: another process may have it.  What was noted last is still known.  A zeroed one is legal. */
void notes_end(struct notes *notes);

#endif
