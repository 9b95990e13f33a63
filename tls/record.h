/* SPDX-License-Identifier: BSD-3-Clause */
/* record.h - one direction of TLS after the handshake: records sealed and opened in memory
 *
 *      TLS 1.3   | 23 3 3 length |                  sealed: content, its type, zeros | tag |      RFC 8446, 5.2
 *      TLS 1.2   | type 3 3 length | nonce (GCM) |  sealed: content                  | tag |      RFC 5288, 7905
 *
 * Content is taken from, and put into, as many pieces as the caller has.  Memory that is sealed may be written to at
 * the same time (a guest runs): the tag is of what was made of it, not of a second look.  No I/O here.
 */
#ifndef TLS_RECORD_H
#define TLS_RECORD_H

#include "suite.h"

#include <openssl/evp.h>
#include <sys/uio.h>

#define RECORD_CONTENT    16384 /* the most that one record carries */
#define RECORD_HEAD       5
#define RECORD_BODY_MAX   (RECORD_CONTENT + 256)
#define RECORD_OVERHEAD   (RECORD_HEAD + 8 + SUITE_TAG) /* at most, of the records that we make */
#define RECORD_SECRET_MAX 64

enum record_type {
    RECORD_CHANGE_CIPHER = 20,
    RECORD_ALERT = 21,
    RECORD_HANDSHAKE = 22,
    RECORD_DATA = 23,
};

/* What the keys of a direction are made of. */
struct record_secret {
    const struct suite *suite;
    bool old;                         /* TLS 1.2 */
    bool sha384;                      /* TLS 1.3: hash of the key schedule */
    uint8_t bytes[RECORD_SECRET_MAX]; /* TLS 1.3: the traffic secret; TLS 1.2: key and fixed part of the nonce */
    size_t count;
};

struct record_half {
    struct record_secret secret;
    EVP_CIPHER_CTX *ctx;
    uint64_t sequence;
    uint8_t nonce[SUITE_NONCE];
    bool seals;
};

/* Where in somebody's pieces of memory.  Copying the struct remembers a place. */
struct record_place {
    const struct iovec *iov;
    int count;
    size_t skip; /* of the first element */
};

/* What one opened record was. */
struct record_opened {
    enum record_type type;
    size_t placed; /* content that went to its place */
    size_t spare;  /* ... and that is in the spare room, in front */
};

/* @half: zeroed.  TLS 1.2: @sequence is 1 behind Finished. */
int record_start(struct record_half *half, const struct record_secret *secret, bool seals, uint64_t sequence,
                 struct ferry_error *err);
void record_stop(struct record_half *half);

/* The next keys, made from the last (RFC 8446, 7.2). */
int record_next_keys(struct record_half *half, struct ferry_error *err);

/**
 * record_seal() - one record
 * @bytes: of content, taken from @from, which moves on; at most RECORD_CONTENT
 * @out: room for @bytes + RECORD_OVERHEAD
 *
 * Returns the bytes of the record, or -EIO.
 */
ssize_t record_seal(struct record_half *half, enum record_type type, struct record_place *from, size_t bytes,
                    uint8_t *out, struct ferry_error *err);

/* How long the record is whose head is at @head; -EPROTO when none begins so. */
ssize_t record_length(const struct record_half *half, const uint8_t *head, struct ferry_error *err);

/**
 * record_open() - one record, whole
 * @record: with its head; @bytes as record_length() says
 * @to: where content shall go, at most @room bytes; moves on
 * @spare: RECORD_BODY_MAX bytes, for what does not fit, for small records, and for all that is not RECORD_DATA
 *
 * -EBADMSG: it is not authentic, or not well formed.  Then, and for what is not data, nothing but zeros is in @to.
 */
int record_open(struct record_half *half, const uint8_t *record, size_t bytes, struct record_place *to, size_t room,
                uint8_t *spare, struct record_opened *opened, struct ferry_error *err);

/* Out of @from, whose bytes are plain memory, into @to, which moves on; as much as fits.  Returns how much. */
size_t record_copy(struct record_place *to, const uint8_t *from, size_t bytes);

#endif
