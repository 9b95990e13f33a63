/* SPDX-License-Identifier: BSD-3-Clause */
/* gather.h - the destination collects the connections of one session
 *
 *      listener --> one thread per connection reads its hello --> roster --> answered
 *                                                                  |   \---> waits for main
 *                                                                  '-------> refused, and hung up on
 *
 * Connections come in any order.  Who does not belong here (another session, a second one of the same place, no hello
 * at all, silence) is told so and costs the session nothing.
 */
#ifndef SESSION_GATHER_H
#define SESSION_GATHER_H

#include "hello.h"
#include "options.h"
#include "roster.h"
#include "secure.h"
#include "watchdog.h"

struct gather_terms {
    struct roster_terms roster;
    const struct secure *secure; /* borrowed; what connections are wrapped in before a word is read; NULL: nothing */
    /* roster.returns: a main connection must be proven to be of the session of this one, which is borrowed. */
    const struct ferry_channel *born;
    unsigned plain_pages; /* of a plain stream: how many page connections come with it */
    int64_t wait_ns;      /* how long to wait for a source; negative: for ever */
    int64_t setup_ns;     /* for one hello; for all connections once main is there; for main once pages are there */
    /* The main connection's hello is about to be answered; NULL: nobody cares.  What fails here is what the source is
     * refused with.  -EALREADY: this session was here before, so wait for another; else gather_run() fails with it.
     * Thread: one of its own, while gather_run() waits. */
    int (*admit)(void *opaque, const struct hello *main, struct ferry_error *err);
    void *opaque;
};

/* What the options say, waiting for ever.  @max_connections: 1 for a session that uses the main connection alone. */
struct gather_terms gather_terms_of(const struct ferry_options *options, unsigned max_connections);

/* What has come.  The references are the holder's. */
struct gather_result {
    enum hello_kind kind;            /* HELLO_KIND_FERRY, or HELLO_KIND_QEMU: a plain stream on `main` */
    uint8_t first[HELLO_PEEK_BYTES]; /* of a plain stream: read already, they belong in front (reader_preload()) */
    struct hello hello;              /* of the main connection */
    struct hello_answer agreed; /* version, capabilities, and the nonce that the main connection was answered with */
    struct ferry_channel *main, *urgent, *pages[HELLO_MAX_PAGES]; /* pages without gaps */
    unsigned pages_count;
};

/* Drops the references that are left. */
void gather_result_clear(struct gather_result *result);

struct gather;

/* @dog: borrowed.  NULL with @err set. */
struct gather *gather_new(const struct gather_terms *terms, struct watchdog *dog, struct ferry_error *err);

/* Not while gather_run() runs.  NULL is legal. */
void gather_free(struct gather *gather);

/**
 * gather_run() - collect the connections of one session; once
 * @listener: borrowed, and still usable afterwards; NULL: @first is all there is
 * @first: a connection that is there already, or NULL; borrowed
 *
 * Where no more than one connection can come (no listener, or one of fd:, exec: or file:), what is wrong with it is the
 * error, and terms.wait_ns holds for its first bytes.
 *
 * Returns 0 with *result; -ETIMEDOUT, naming what is missing; -ECANCELED; or what the listener said (-ESHUTDOWN once
 * stopped).  On failure, result->main may be there all the same, answered: for telling the source why.
 */
int gather_run(struct gather *gather, struct ferry_listener *listener, struct ferry_channel *first,
               struct gather_result *result, struct ferry_error *err);

/* gather_run() fails with -ECANCELED, now or as soon as it is called.  Takes no lock.  Thread: any, until
 * gather_free(). */
void gather_cancel(struct gather *gather);

#endif
