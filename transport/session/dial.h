/* SPDX-License-Identifier: BSD-3-Clause */
/* dial.h - the source opens the connections of its session
 *
 *      dial_introduce()  ->  dial_greet(main)  ->  for each other: dial_another(), dial_connect()
 */
#ifndef SESSION_DIAL_H
#define SESSION_DIAL_H

#include "hello.h"
#include "options.h"
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

/**
 * dial_connect() - a new connection that the destination has agreed to
 *
 * Tries for `connect-timeout`, greets within `setup-timeout`.  Returns the channel, the caller's; or NULL.
 */
struct ferry_channel *dial_connect(const char *uri, const struct ferry_options *options, const struct hello *hello,
                                   struct watchdog *dog, struct hello_answer *answer, struct ferry_error *err);

#endif
