/* SPDX-License-Identifier: BSD-3-Clause */
/* journal.h - one side's steps towards the right to run, on disk before what they allow
 *
 * The file and what each step allows: docs/switchover.md.  A journal belongs to one session and one side.  Its file
 * has all its bytes from the beginning, so that no later note can find the disk full.
 */
#ifndef SESSION_JOURNAL_H
#define SESSION_JOURNAL_H

#include <ferry/error.h>
#include <stdbool.h>
#include <stdint.h>

#define JOURNAL_ID_BYTES    16
#define JOURNAL_TOKEN_BYTES 16

/* On disk; never reused. */
enum journal_role {
    JOURNAL_SOURCE = 1,
    JOURNAL_DESTINATION = 2,
};

/* On disk, together with the role; never reused.  They only ever go up, and at each side an aborted is the end. */
enum journal_step {
    JOURNAL_NOTHING = 0, /* no session has begun here */
    JOURNAL_STARTED = 1,
    JOURNAL_PREPARED = 2,  /* source: a token is chosen; it has not committed */
    JOURNAL_READY = 2,     /* destination: has all that came before the token, checked */
    JOURNAL_COMMITTED = 3, /* source: never runs the guest by itself again; destination: may start it */
    JOURNAL_DONE = 4,      /* source: has heard that the guest runs at the destination */
    JOURNAL_RUNNING = 4,   /* destination: has started the guest */
    JOURNAL_ABORTED = 5,   /* source: keeps the guest; destination: will never start it */
    JOURNAL_STEPS
};

struct journal_state {
    enum journal_role role;
    enum journal_step step; /* the last one noted */
    uint8_t session[JOURNAL_ID_BYTES];
    uint8_t token[JOURNAL_TOKEN_BYTES];
    bool has_token; /* a step with a token was noted */
    bool torn;      /* a note behind @step was cut off: it never returned, and allowed nothing */
    bool in_use;    /* journal_read(): a living process holds the journal and may go on noting */
};

struct journal;

/**
 * journal_open() - begin the journal of a new session
 * @path: created with mode 0600, or a file that may be begun anew: empty, or the source's of another session that is
 *        finished.  A destination's is kept, as it alone can release a source that has committed; but one that gave up
 *        before it was ready may be begun anew.
 *
 * The journal is on disk, its name is, and it says "started", before this returns.  One process at a time has it.
 *
 * Returns NULL with @err: -EEXIST the file is of a session that it must be kept for, or of this very session;
 * -EBUSY another process has it; -EBADMSG it is no journal, or damaged; -EINVAL not a regular file; or as open(2) and
 * write(2) say.
 * Thread: any; a journal itself is used by one thread at a time.
 */
struct journal *journal_open(const char *path, enum journal_role role, const uint8_t session[JOURNAL_ID_BYTES],
                             struct ferry_error *err);

/**
 * journal_resume() - go on with the journal of a session that was cut off
 *
 * What it says last is made durable first, so that what is decided by it cannot be forgotten.
 *
 * Returns NULL with @err: -ENODATA nothing was ever noted; -EINVAL it is the other side's; else as journal_open().
 */
struct journal *journal_resume(const char *path, enum journal_role role, struct ferry_error *err);

/**
 * journal_note() - note the next step; it is durable when this returns 0
 * @token: JOURNAL_TOKEN_BYTES, for PREPARED or READY (where it is set) and COMMITTED (where it must be the same);
 *         else NULL
 *
 * Returns -EINVAL for a step that cannot follow the last, or another token; else, as write(2) and fdatasync(2) say, why
 * it failed.  Then journal_doubtful() tells whether the note may be there all the same.  What failed may be tried
 * again.
 */
int journal_note(struct journal *journal, enum journal_step step, const uint8_t *token, struct ferry_error *err);

/* The last note failed, but somebody may read it: until it has succeeded no other may be made in its place. */
bool journal_doubtful(const struct journal *journal);

/* What has been noted, durably; valid as long as @journal, and changed by notes. */
const struct journal_state *journal_state(const struct journal *journal);

/* Lets the file go and leaves it there.  NULL is legal. */
void journal_close(struct journal *journal);

/**
 * journal_read() - what a journal says, whoever it belongs to and whoever has it
 *
 * The bytes are as hostile as a peer's.  What is read was made durable first, as far as the system can tell.
 *
 * Returns -ENODATA where nothing was ever noted, -EBADMSG for what is no journal, or damaged; -EINVAL for what is not a
 * regular file; or as open(2) and read(2) say.  @out is set on 0 only.
 */
int journal_read(const char *path, struct journal_state *out, struct ferry_error *err);

/* "committed"; the words of docs/switchover.md. */
const char *journal_step_name(enum journal_role role, enum journal_step step);

#endif
