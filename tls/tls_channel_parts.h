/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_channel_parts.h - what an encrypted channel consists of: a reader's half, a writer's half, what both are told
 *
 * The two halves share nothing but `answer_keys`: what the other end asked the reader for, the writer does.
 */
#ifndef TLS_CHANNEL_PARTS_H
#define TLS_CHANNEL_PARTS_H

#include "channel.h"
#include "tls_handshake.h"

#include <pthread.h>

#define BATCH     32 /* records that leave together */
#define OUT_BYTES ((BATCH + 1) * (RECORD_CONTENT + RECORD_OVERHEAD))
#define IN_BYTES  (256 * 1024 + RECORD_HEAD + RECORD_BODY_MAX)

enum handshake_type {
    NEW_SESSION_TICKET = 4,
    KEY_UPDATE = 24,
};

struct tls_writer {
    struct record_half half;
    uint64_t since_update;    /* bytes under these keys */
    uint64_t update_bytes;    /* new keys from here on; 0: when the cipher wants them */
    struct ferry_error error; /* the first; the stream is broken from there */
    bool said_goodbye;
    uint8_t *out;
};

struct tls_reader {
    pthread_mutex_t inside; /* the reader's thread has it, and waits with it; others only try (hear_why) */
    struct record_half half;
    struct ferry_error error; /* as above */
    struct tls_input in;
    uint8_t *spare;
    size_t spare_start, spare_end;
    size_t expected; /* of the caller's hint */
    size_t skip;     /* bytes of a handshake message that is of no interest */
    unsigned empty;
    bool ended, forgives;
};

struct tls_channel {
    struct ferry_channel base;
    struct tls_credentials *creds;
    struct binding *binding; /* or NULL */
    bool registered;         /* ... in the credentials' table, by us */
    enum tls_proof proof;
    char peer[128];
    struct tls_writer writer;
    struct tls_reader reader;
    atomic_bool answer_keys;
    _Atomic(uint64_t) sent_bytes, sent_records, received_bytes, received_records, key_updates;
};

/* The first error of a half stays.  As that of the channel, not of the inner one or the record; returns its errnum. */
int tls_channel_stop(struct tls_channel *tls, struct ferry_error *error, struct ferry_error *err);
int tls_channel_repeat(const struct ferry_error *error, struct ferry_error *err);
void tls_channel_count(_Atomic(uint64_t) *figure, uint64_t more);

/* tls_reader.c */
ssize_t tls_reader_readv(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err);
void tls_reader_expect(struct ferry_channel *chan, size_t bytes);
void tls_reader_forgive_end(struct tls_channel *tls);

/**
 * tls_reader_hear_why() - the other end hung up on the writer: did it say why?
 *
 * It may have on the first bytes after the handshake: a TLS 1.3 client hears in this way that it is not let in.  Data
 * that came instead stays for the reader, and a reader that is inside hears it itself.  A connection that cannot be
 * written to any more has an end, so this does not wait.  @error is replaced where there is a better one.
 */
void tls_reader_hear_why(struct tls_channel *tls, struct ferry_error *error);

/* tls_writer.c */
ssize_t tls_writer_writev(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err);
int tls_writer_finish(struct ferry_channel *chan, struct ferry_error *err);

#endif
