/* SPDX-License-Identifier: BSD-3-Clause */
/* secure.h - what the connections of a session are wrapped in: nothing, or TLS
 *
 * The one place, with secure.c, where a session meets tls/.  What was asked for is what is done: a connection that
 * cannot be encrypted is no connection.
 */
#ifndef SESSION_SECURE_H
#define SESSION_SECURE_H

#include "hello.h"
#include "options.h"
#include "watchdog.h"

#include <ferry/channel.h>
#include <ferry/session.h>

struct tls_credentials;

struct secure {
    struct tls_credentials *creds; /* a reference; NULL: nothing is encrypted */
};

/* Read the credentials that the options name.  Nothing to do without. */
int secure_open(struct secure *secure, const struct ferry_options *options, enum ferry_side side,
                struct ferry_error *err);

/* The credentials of further connections of a session, made from those of its main one. */
int secure_bind(struct secure *secure, const struct secure *from, struct ferry_channel *main, struct ferry_error *err);

/* A zeroed one is legal. */
void secure_close(struct secure *secure);

bool secure_is_on(const struct secure *secure);

/**
 * secure_wrap() - shake hands over @chan, where that was asked for
 * @secure: NULL: nothing is encrypted
 * @chan: taken on success; on failure it is the caller's as before, shut down when it took too long
 * @uri: what was connected to, for the name to check; NULL at a destination
 * @until_ns: by clock_now_ns(); negative: no matter how long
 *
 * Returns the channel to use: @chan itself where nothing is encrypted; or NULL with @err set.
 */
struct ferry_channel *secure_wrap(const struct secure *secure, struct ferry_channel *chan, const char *uri,
                                  struct watchdog *dog, int64_t until_ns, struct ferry_error *err);

/* Is @chan, a further connection of the ferry dialect, proven to be of the session of @main?  In TLS 1.3 by the key
 * that only the two ends of @main have, in TLS 1.2 by being of the same name.  Where nothing is encrypted it need not
 * be. */
bool secure_belongs(const struct ferry_channel *chan, const struct ferry_channel *main);

/* What came over @chan, in the clear, begins with @first: does the other end want TLS?  0, or -EPROTO and a sentence.
 */
int secure_wanted(const struct ferry_channel *chan, const uint8_t first[HELLO_PEEK_BYTES], struct ferry_error *err);

/* The plain dialect: the other end never says goodbye on its main connection. */
void secure_forgive_end(struct ferry_channel *chan);

/* Version, cipher and handshake of @chan, where it is encrypted. */
void secure_facts(const struct ferry_channel *chan, struct ferry_channel_stats *stats);

#endif
