/* SPDX-License-Identifier: BSD-3-Clause */
/* roster.h - which connections a session has, which are missing, and who does not belong to it
 *
 *      nothing --main--> named --pages, urgent--> complete          (those that come before main have to wait)
 *
 * Decides, and does nothing else: no transfers, no locks, no clock.
 */
#ifndef SESSION_ROSTER_H
#define SESSION_ROSTER_H

#include "hello.h"

/* What this host is ready to agree to. */
struct roster_terms {
    uint64_t protocol_capabilities, device_capabilities;
    unsigned max_connections; /* of a session in all; up to HELLO_ALL_MAX */
    /* An interrupted session waits for its source, and for nobody else: what its hello must say; NULL: a new one. */
    const struct roster_return *returns;
};

struct roster_return {
    uint8_t session[HELLO_ID_BYTES];
    uint8_t token[HELLO_ID_BYTES]; /* of its switch, as the nonce */
};

/* A main connection, of a new session or of one that goes on. */
bool roster_is_main(const struct hello *hello);

struct roster {
    struct roster_terms terms;
    bool named;                 /* the main connection is there */
    struct hello hello;         /* what it said */
    struct hello_answer agreed; /* version and capabilities, for all connections; no nonce */
    unsigned came, answered;
    struct ferry_channel *main, *urgent, *pages[HELLO_MAX_PAGES]; /* references */
};

void roster_init(struct roster *roster, const struct roster_terms *terms);

/* Drops all connections. */
void roster_clear(struct roster *roster);

enum roster_verdict {
    ROSTER_TAKE,
    ROSTER_WAIT, /* it may belong here, but nobody has named the session yet */
    ROSTER_REFUSE,
};

/* What is to become of a connection that says @hello?  The refusal is filled in for ROSTER_REFUSE. */
enum roster_verdict roster_judge(const struct roster *roster, const struct hello *hello, struct hello_refusal *refusal);

/* Directly after ROSTER_TAKE: @chan has this place; a reference is taken.  A main connection names the session. */
void roster_take(struct roster *roster, const struct hello *hello, struct ferry_channel *chan);

/* The one that took this place can use it now; or has gone again. */
void roster_answered(struct roster *roster);
void roster_vacate(struct roster *roster, const struct hello *hello);

/* All that were announced are there and answered. */
bool roster_complete(const struct roster *roster);

/* "pages 1, pages 3", of a named session.  Returns @to. */
char *roster_missing(const struct roster *roster, char *to, size_t room);

#endif
