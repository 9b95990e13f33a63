/* SPDX-License-Identifier: BSD-3-Clause */
/* hello.h - the first bytes of every connection of the ferry dialect, and the answer to them
 *
 *      source                                                            destination
 *      "FRHY" versions length | session nonce role index connections      hello_detect, hello_receive
 *                               capabilities options                 -->
 *                        <--  "FRHA" version code length | nonce capabilities options     hello_agree
 *                                                    or  | sentence hint                  hello_refuse
 *
 * Nothing follows a hello until it is answered.  Every number here is frozen; docs/protocol.md has them, too.
 */
#ifndef STREAM_HELLO_H
#define STREAM_HELLO_H

#include <ferry/channel.h>
#include <stddef.h>

#define HELLO_VERSION    1 /* the highest that this release speaks, and the lowest */
#define HELLO_ID_BYTES   16
#define HELLO_PEEK_BYTES 4  /* so many tell what a connection is */
#define HELLO_HEAD_BYTES 12 /* up to and with the length, in both directions */
#define HELLO_BYTES      64 /* without options */
#define HELLO_MAX_BYTES  (HELLO_HEAD_BYTES + 4096)
#define ANSWER_BYTES     44 /* that agrees, without options */
#define ANSWER_MAX_BYTES (HELLO_HEAD_BYTES + 8192)
#define HELLO_TEXT_BYTES 4096 /* of a sentence or a hint */
#define HELLO_MAX_PAGES  256  /* what the index can count */
#define HELLO_ALL_MAX    (HELLO_MAX_PAGES + 2)

enum hello_role {
    HELLO_MAIN = 1,
    HELLO_PAGES = 2,
    HELLO_URGENT = 3,
    HELLO_PROBE = 4,  /* of no session: asks how fast the way is */
    HELLO_RESUME = 5, /* the main connection of a session whose postcopy was interrupted; its nonce is the token */
};

/* "main", "pages", "urgent", "probe", "resume". */
const char *hello_role_name(enum hello_role role);

enum hello_code {
    HELLO_AGREED = 0,
    HELLO_MALFORMED = 1, /* a hello, but not by the rules */
    HELLO_NO_VERSION = 2,
    HELLO_BAD_ROLE = 3,
    HELLO_BAD_INDEX = 4,
    HELLO_DUPLICATE = 5, /* this role and index is there already */
    HELLO_STRAY = 6,     /* of another session than the one that is being set up */
    HELLO_TOO_MANY = 7,
    HELLO_FOREIGN = 8,    /* not a hello at all */
    HELLO_TOO_LATE = 9,   /* no hello, or no main connection, in time */
    HELLO_DISAGREES = 10, /* does not say the same as its main connection */
    HELLO_CLOSED = 11,    /* nothing is being set up here any more */
};

struct hello {
    uint16_t lowest, highest; /* versions */
    uint8_t session[HELLO_ID_BYTES];
    uint8_t nonce[HELLO_ID_BYTES];
    enum hello_role role;
    uint8_t index;        /* among those of the same role; 0 for main */
    uint16_t connections; /* of this session in all, with the main one */
    uint64_t protocol;    /* capabilities offered */
    uint64_t device;
};

struct hello_answer {
    uint16_t version;
    uint8_t nonce[HELLO_ID_BYTES];
    uint64_t protocol; /* capabilities agreed */
    uint64_t device;
};

struct hello_refusal {
    enum hello_code code;
    struct ferry_error why; /* text and hint cross the wire */
};

/* ---- bytes ---------------------------------------------------------------------------------------------------- */

/* Returns HELLO_BYTES. */
size_t hello_encode(const struct hello *hello, uint8_t out[HELLO_BYTES]);

/* @in must be one hello to the byte.  *hello is valid only on 0; -EPROTO says what is wrong.  An index or a number of
 * connections that this host does not like is not this function's business, nor is the version. */
int hello_decode(const uint8_t *in, size_t bytes, struct hello *hello, struct ferry_error *err);

/* Returns ANSWER_BYTES. */
size_t hello_encode_answer(const struct hello_answer *answer, uint8_t out[ANSWER_BYTES]);

/* Returns how many bytes it took. */
size_t hello_encode_refusal(const struct hello_refusal *refusal, uint8_t out[ANSWER_MAX_BYTES]);

/* The code is in refusal->code: HELLO_AGREED and *answer is valid, or another and refusal->why is.  -EPROTO: neither.
 */
int hello_decode_answer(const uint8_t *in, size_t bytes, struct hello_answer *answer, struct hello_refusal *refusal,
                        struct ferry_error *err);

enum hello_kind {
    HELLO_KIND_FERRY,
    HELLO_KIND_QEMU,       /* a plain stream: "QEVM" */
    HELLO_KIND_QEMU_PAGES, /* a multifd connection of a QEMU: 0x11223344 */
    HELLO_KIND_UNKNOWN,
};

enum hello_kind hello_detect(const uint8_t first[HELLO_PEEK_BYTES]);

bool hello_is_answer(const uint8_t first[HELLO_PEEK_BYTES]);

/* The sentence for a connection that is neither ferry nor a plain stream.  Returns -EPROTO. */
int hello_unknown(const char *label, const uint8_t first[HELLO_PEEK_BYTES], struct ferry_error *err);

/* Does the peer's range of versions meet ours?  The highest of both, or 0 with refusal filled in. */
uint16_t hello_choose_version(const struct hello *hello, struct hello_refusal *refusal);

/* Fill in a refusal.  Returns -EPROTO. */
int hello_refusal_set(struct hello_refusal *refusal, enum hello_code code, const char *format, ...) FERRY_PRINTF(3, 4);

/* HELLO_ID_BYTES from the kernel's random numbers. */
int hello_random(uint8_t to[HELLO_ID_BYTES], struct ferry_error *err);

/* ---- over a channel, which none of these reads past the last byte of its message -------------------------------- */

int hello_send(struct ferry_channel *chan, const struct hello *hello, struct ferry_error *err);

/* The rest of a hello whose @first bytes were read already.  -EPROTO: it is not by the rules. */
int hello_receive(struct ferry_channel *chan, const uint8_t first[HELLO_PEEK_BYTES], struct hello *hello,
                  struct ferry_error *err);

int hello_agree(struct ferry_channel *chan, const struct hello_answer *answer, struct ferry_error *err);
int hello_refuse(struct ferry_channel *chan, const struct hello_refusal *refusal, struct ferry_error *err);

/**
 * hello_receive_answer() - what the destination says to @hello
 * @first: set to its first bytes, whatever they are, for who can tell what they are instead; zeros: they did not come
 *
 * Returns 0 with *answer; -EPERM when it refuses, with its sentence and hint in @err; -EPROTO when the answer makes no
 * sense, agrees to what was not offered, or when the peer does not speak this dialect at all.
 */
int hello_receive_answer(struct ferry_channel *chan, const struct hello *hello, uint8_t first[HELLO_PEEK_BYTES],
                         struct hello_answer *answer, struct ferry_error *err);

#endif
