/* SPDX-License-Identifier: BSD-3-Clause */
/* error.h - why something failed: a code, a sentence, and where it was
 *
 * One convention everywhere: a function that can fail returns 0 (or a count) or a negative errno, and takes, last, a
 * `struct ferry_error *err` which may be NULL.  On failure it holds the sentence; on success it is untouched.
 * Who detects, describes; who calls, decides.  A ferry_error is plain memory of the caller's: nothing to free.
 *
 * The errno is for the program that calls; the code (ferry/codes.h) is the same on every system and crosses the wire,
 * so that both ends of a migration can report one cause.
 */
#ifndef FERRY_ERROR_H
#define FERRY_ERROR_H

#include <ferry/api.h>
#include <ferry/codes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

FERRY_BEGIN_DECLS

#define FERRY_ERROR_TEXT_BYTES   1024
#define FERRY_ERROR_HINT_BYTES   192
#define FERRY_ERROR_OBJECT_BYTES 64
#define FERRY_ERROR_PHASE_BYTES  24

/* At which end of the migration. */
enum ferry_side {
    FERRY_SIDE_UNKNOWN = 0,
    FERRY_SIDE_SOURCE = 1,
    FERRY_SIDE_DESTINATION = 2,
};

struct ferry_error {
    int errnum;                            /* negative errno; 0: nothing went wrong */
    enum ferry_code code;                  /* or a number that is not in the table, from a newer peer */
    enum ferry_side side;                  /* where it went wrong first */
    bool from_peer;                        /* the other end found it and told us */
    int64_t offset;                        /* byte of the stream; -1: unknown */
    char phase[FERRY_ERROR_PHASE_BYTES];   /* what was being done: "active", "connect"; empty: unknown */
    char object[FERRY_ERROR_OBJECT_BYTES]; /* block, device or channel, or empty */
    char text[FERRY_ERROR_TEXT_BYTES];     /* what failed and where: "tcp:192.0.2.7:4444: connection refused" */
    char hint[FERRY_ERROR_HINT_BYTES];     /* what a person may do about it, if that is more than the code says */
};

/**
 * ferry_error_set() - describe a failure
 * @err: filled in, its earlier content replaced; NULL is legal
 * @errnum: negative errno
 *
 * The code is the one that the errno stands for (ferry_code_of_errnum()).  The sentence is made fit for a terminal: it
 * may quote names that came from a peer.
 * Returns @errnum, so that the failing line is one line: `return ferry_error_set(err, -EPROTO, "...", ...);`
 * Thread: any.
 */
FERRY_API int ferry_error_set(struct ferry_error *err, int errnum, const char *format, ...) FERRY_PRINTF(3, 4);

/* The same for a va_list. */
FERRY_API int ferry_error_vset(struct ferry_error *err, int errnum, const char *format, va_list args)
    FERRY_PRINTF(3, 0);

/* The same with a code that says more than the errno. */
FERRY_API int ferry_error_set_code(struct ferry_error *err, enum ferry_code code, int errnum, const char *format, ...)
    FERRY_PRINTF(4, 5);

/* Say of an error that is described already which code it has.  Returns its errnum; for NULL, the errno of @code. */
FERRY_API int ferry_error_code(struct ferry_error *err, enum ferry_code code);

/* Say what it is about, instead of what was said before: a block, a device, a channel. */
FERRY_API void ferry_error_object(struct ferry_error *err, const char *format, ...) FERRY_PRINTF(2, 3);

/* Say at which byte of the stream. */
FERRY_API void ferry_error_offset(struct ferry_error *err, uint64_t offset);

/* Say at which end, and while doing what, where that is not said already.  @phase may be NULL. */
FERRY_API void ferry_error_where(struct ferry_error *err, enum ferry_side side, const char *phase);

/* Put "PREFIX: " in front of the sentence.  Returns err's errnum (or 0 for NULL). */
FERRY_API int ferry_error_prefix(struct ferry_error *err, const char *format, ...) FERRY_PRINTF(2, 3);

/* Say what a person may do about it, here better than the code's own hint. */
FERRY_API void ferry_error_hint(struct ferry_error *err, const char *format, ...) FERRY_PRINTF(2, 3);

/* The sentence; "no error" where there is none. */
FERRY_API const char *ferry_error_text(const struct ferry_error *err);

/* What a person may do: its own hint, or that of its code; "" where there is neither. */
FERRY_API const char *ferry_error_advice(const struct ferry_error *err);

/* "source", "destination", "unknown" */
FERRY_API const char *ferry_side_name(enum ferry_side side);

FERRY_END_DECLS

#endif
