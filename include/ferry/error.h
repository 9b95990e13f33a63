/* SPDX-License-Identifier: BSD-3-Clause */
/* error.h - why something failed, as a number and a sentence
 *
 * One convention everywhere: a function that can fail returns 0 (or a count) or a negative errno, and takes, last, a
 * `struct ferry_error *err` which may be NULL.  On failure it holds the sentence; on success it is untouched.
 * Who detects, describes; who calls, decides.  A ferry_error is plain memory of the caller's: nothing to free.
 */
#ifndef FERRY_ERROR_H
#define FERRY_ERROR_H

#include <ferry/api.h>
#include <stdarg.h>

FERRY_BEGIN_DECLS

#define FERRY_ERROR_TEXT_BYTES 512
#define FERRY_ERROR_HINT_BYTES 192

struct ferry_error {
    int errnum;                        /* negative errno; 0: nothing went wrong */
    char text[FERRY_ERROR_TEXT_BYTES]; /* what failed and where: "tcp:192.0.2.7:4444: connection refused" */
    char hint[FERRY_ERROR_HINT_BYTES]; /* what a person may do about it, or empty */
};

/**
 * ferry_error_set() - describe a failure
 * @err: filled in, its earlier content replaced; NULL is legal
 * @errnum: negative errno
 *
 * Returns @errnum, so that the failing line is one line: `return ferry_error_set(err, -EPROTO, "...", ...);`
 * Thread: any.
 */
FERRY_API int ferry_error_set(struct ferry_error *err, int errnum, const char *format, ...) FERRY_PRINTF(3, 4);

/* The same for a va_list. */
FERRY_API int ferry_error_vset(struct ferry_error *err, int errnum, const char *format, va_list args)
    FERRY_PRINTF(3, 0);

/* Put "PREFIX: " in front of the sentence.  Returns err's errnum (or 0 for NULL). */
FERRY_API int ferry_error_prefix(struct ferry_error *err, const char *format, ...) FERRY_PRINTF(2, 3);

/* Say what a person may do about it. */
FERRY_API void ferry_error_hint(struct ferry_error *err, const char *format, ...) FERRY_PRINTF(2, 3);

/* The sentence; "no error" where there is none. */
FERRY_API const char *ferry_error_text(const struct ferry_error *err);

FERRY_END_DECLS

#endif
