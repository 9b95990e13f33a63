/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_channel.h - the channel that encrypts another
 *
 *     ferry_channel_writev(tls(tcp:...)) -> full records sealed out of the caller's memory -> one write of many records
 *     ferry_channel_readv(tls(tcp:...))  -> one read of many records -> opened into the caller's memory
 *
 * OpenSSL shakes hands; from then on record.c seals and opens.  A reader and a writer may be inside at once, on two
 * threads, and share no lock.  There is no way to an unencrypted channel from here.
 *
 * What a channel promises (ferry/channel.h) holds, and in addition:
 *  - what writev has returned for, was handed to the inner channel; nothing waits for more;
 *  - finish sends close_notify: an end without it is an error, the stream was cut off (see tls_channel_forgive_end());
 *  - a read that fails may have written zeros anywhere into the caller's memory, never what was not authenticated.
 *
 * The connections of one session shake hands in full only once.  The main one's handshake gives both ends a key that
 * nobody else has (RFC 8446, 7.5), and the others prove themselves by it:
 *
 *     client                                           server
 *     main = tls_channel_new(.., creds, ..)            main = tls_channel_new(.., creds, ..)    full, remembers the key
 *     bound = tls_channel_bound(main)
 *     page = tls_channel_new(.., bound, ..)            page = tls_channel_new(.., creds, ..)    by that key
 *                                                      tls_channel_is_of(page, main): true
 */
#ifndef TLS_CHANNEL_H
#define TLS_CHANNEL_H

#include "credentials.h"

#include <ferry/channel.h>

enum tls_proof {
    TLS_PROOF_CERTIFICATE, /* full handshake */
    TLS_PROOF_PSK,         /* full handshake, by a key of the file */
    TLS_PROOF_SESSION,     /* abbreviated, by the key of the main connection */
};

/* For the report. */
struct tls_facts {
    const char *version;               /* "1.3" */
    const char *cipher;                /* "aes-256-gcm" */
    enum tls_proof proof;              /* how the handshake was done */
    bool kernel;                       /* the kernel seals and opens */
    char peer[128];                    /* subject of its certificate, or its PSK identity; empty: it has shown none */
    uint64_t sent_bytes, sent_records; /* what the writer gave, and in how many records it left */
    uint64_t received_bytes, received_records; /* likewise */
    uint64_t key_updates;                      /* both directions */
};

/**
 * tls_channel_new() - shake hands over a channel
 * @inner: of any kind that carries bytes both ways; taken on success (on failure the caller drops it)
 * @creds: borrowed; what is needed later is referred to
 * @host: client: the host that was connected to, checked against the certificate unless the credentials say which name
 *        to check; NULL: there is none (unix:, fd:, exec:), which x509 then refuses.  Server: NULL
 *
 * Blocks for as long as the peer takes: for a deadline, or to cancel, ferry_channel_shutdown(inner) from any thread.
 *
 * Returns a channel with one reference; or NULL with @err set, which names what was refused and by whom.  An alert has
 * been sent.  Towards the other end a TLS 1.3 client may find itself refused only by its first read: that read says
 * why.
 */
struct ferry_channel *tls_channel_new(struct ferry_channel *inner, struct tls_credentials *creds, const char *host,
                                      struct ferry_error *err);

/* Whether @chan is one of these; all below is for such channels only. */
bool tls_channel_is(const struct ferry_channel *chan);

/**
 * tls_channel_bound() - client credentials for further connections of the session of @main
 *
 * Good for as long as the server's main channel lives.  Returns them with one reference, or NULL with @err set (TLS 1.2
 * has no such keys: use the main connection's credentials again).
 */
struct tls_credentials *tls_channel_bound(struct ferry_channel *main, struct ferry_error *err);

/* Server: has @page been proven to be of the session of @main? */
bool tls_channel_is_of(const struct ferry_channel *page, const struct ferry_channel *main);

/* The inner channel's end counts as an end even without close_notify: QEMU never says goodbye on its main connection,
 * whose stream says itself whether it is complete.  Reader's thread. */
void tls_channel_forgive_end(struct ferry_channel *chan);

/* Thread: any. */
void tls_channel_facts(const struct ferry_channel *chan, struct tls_facts *facts);

#endif
