/* SPDX-License-Identifier: BSD-3-Clause */
/* dial.h - the source opens the connections of its session
 *
 *      dial_introduce()  ->  dial_greet(main)  ->  for each other: dial_another(), dial_connect()
 *                                              ->  dial_pages(): all page connections at once
 */
#ifndef SESSION_DIAL_H
#define SESSION_DIAL_H

#include "hello.h"
#include "options.h"
#include "secure.h"
#include "watchdog.h"

/* The hello of the main connection of a new session of @connections in all, with the capabilities of @options. */
int dial_introduce(const struct ferry_options *options, unsigned connections, struct hello *hello,
                   struct ferry_error *err);

/* The hello of another connection of the same session. */
int dial_another(const struct hello *main, enum hello_role role, unsigned index, struct hello *hello,
                 struct ferry_error *err);

/**
 * dial_greet() - say hello on a connection and wait for the answer
 * @dog: borrowed
 * @timeout_ns: for both together
 *
 * Errors are those of hello_receive_answer(), and -ETIMEDOUT, after which @chan is shut down.  To cancel:
 * ferry_channel_shutdown(), from any thread.
 */
int dial_greet(struct ferry_channel *chan, const struct hello *hello, struct watchdog *dog, int64_t timeout_ns,
               struct hello_answer *answer, struct ferry_error *err);

struct dial_terms {
    const char *uri;
    const struct ferry_options *options;
    const struct hello *main; /* what the main connection said; NULL: to a QEMU, which has greetings */
    struct watchdog *dog;
    const struct secure *secure;
};

/**
 * dial_connect() - a new connection that the destination has agreed to
 *
 * Tries for `connect-timeout`, shakes hands and greets within `setup-timeout`.  Returns the channel, the caller's; or
 * NULL.
 */
struct ferry_channel *dial_connect(const struct dial_terms *terms, const struct hello *hello,
                                   struct hello_answer *answer, struct ferry_error *err);

/* The same without hello: connected, and encrypted where that is asked for. */
struct ferry_channel *dial_bare(const struct dial_terms *terms, struct ferry_error *err);

/* Page connections 0 to @count - 1.  All of them and 0, or none and the error of the first that failed. */
int dial_pages(const struct dial_terms *terms, unsigned count, struct ferry_channel **chans, struct ferry_error *err);

#endif
