/* SPDX-License-Identifier: BSD-3-Clause */
/* handshake.h - the destination's half of one connection's hello, with deadlines */
#ifndef SESSION_HANDSHAKE_H
#define SESSION_HANDSHAKE_H

#include "hello.h"
#include "packet.h"
#include "watchdog.h"

/* How long a peer may take to let an answer through, or to hang up after a refusal. */
#define HANDSHAKE_WRITE_NS INT64_C(1000000000)

struct handshake {
    enum hello_kind kind;
    uint8_t first[HELLO_PEEK_BYTES];
    struct hello hello;                         /* of HELLO_KIND_FERRY */
    uint8_t greeting[PACKET_V1_GREETING_BYTES]; /* of HELLO_KIND_QEMU_PAGES */
};

struct handshake_terms {
    int64_t first_ns; /* until when the first bytes must be there, and */
    int64_t rest_ns;  /* how long the rest may then take at most */
    bool plain_pages; /* a page connection of a QEMU is welcome */
};

/**
 * handshake_read() - who is it?
 *
 * Returns 0 with *got.  -EPROTO: refusal is filled in, for what is not a hello nor a plain stream or not by the rules;
 * -ETIMEDOUT: likewise, it took too long.  Another error: the peer has gone, nobody is there to be refused; @chan was
 * shut down for reading: -ESHUTDOWN.  In every case refusal->why has the sentence.
 */
int handshake_read(struct ferry_channel *chan, struct watchdog *dog, const struct handshake_terms *terms,
                   struct handshake *got, struct hello_refusal *refusal);

/* Agree, within HANDSHAKE_WRITE_NS.  The nonce is made here, and set in *@answer before it is sent. */
int handshake_agree(struct ferry_channel *chan, struct watchdog *dog, struct hello_answer *answer,
                    struct ferry_error *err);

/**
 * handshake_refuse() - tell the peer why not, and hang up
 * @unread: it may have sent more than was read: then wait for its end, at most HANDSHAKE_WRITE_NS, because a socket
 * that is closed with bytes unread takes the refusal with it
 */
void handshake_refuse(struct ferry_channel *chan, struct watchdog *dog, const struct hello_refusal *refusal,
                      bool unread);

#endif
