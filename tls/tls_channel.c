/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_channel.c - the channel that encrypts another: how it comes to be, and what can be asked of it
 *
 *      tls_handshake: OpenSSL agrees on secrets   ->   record: one direction each   ->   tls_reader, tls_writer
 */
#include "tls_channel_parts.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tls_channel_count(_Atomic(uint64_t) *figure, uint64_t more)
{
    atomic_fetch_add_explicit(figure, more, memory_order_relaxed);
}

int tls_channel_repeat(const struct ferry_error *error, struct ferry_error *err)
{
    if (err)
        *err = *error;
    return error->errnum;
}

/* What the inner channel or the records said, said of this channel. */
int tls_channel_stop(struct tls_channel *tls, struct ferry_error *error, struct ferry_error *err)
{
    const char *inner = tls->base.inner->label;
    size_t bytes = strlen(inner);

    if (!strncmp(error->text, inner, bytes) && !strncmp(error->text + bytes, ": ", 2))
        memmove(error->text, error->text + bytes + 2, strlen(error->text + bytes + 2) + 1);
    ferry_error_prefix(error, "%s", tls->base.label);
    ferry_error_object(error, "%s", tls->base.label);
    return tls_channel_repeat(error, err);
}

static void tls_close(struct ferry_channel *chan)
{
    struct tls_channel *tls = (struct tls_channel *)chan;

    if (tls->registered)
        binding_table_remove(&tls->creds->table, tls->binding);
    binding_unref(tls->binding);
    record_stop(&tls->writer.half);
    record_stop(&tls->reader.half);
    free(tls->writer.out);
    free(tls->reader.in.data);
    if (tls->reader.spare)
        OPENSSL_cleanse(tls->reader.spare, RECORD_BODY_MAX);
    free(tls->reader.spare);
    pthread_mutex_destroy(&tls->reader.inside);
    tls_credentials_unref(tls->creds);
}

#define TLS_OPS(says)                                                                                           \
    {                                                                                                           \
        .readv = tls_reader_readv, .writev = tls_writer_writev, .answers = (says), .finish = tls_writer_finish, \
        .expect = tls_reader_expect, .close = tls_close,                                                        \
    }

static const struct channel_ops tls_ops = TLS_OPS(false);
static const struct channel_ops tls_answering_ops = TLS_OPS(true);

static struct tls_channel *make(struct ferry_channel *inner, struct tls_credentials *creds, struct ferry_error *err)
{
    struct tls_channel *tls;
    char label[256];

    snprintf(label, sizeof(label), "tls(%s)", inner->label);
    tls = channel_new(sizeof(*tls), ferry_channel_answers(inner) ? &tls_answering_ops : &tls_ops, FERRY_READ_WRITE,
                      label, err);
    if (!tls)
        return NULL;
    pthread_mutex_init(&tls->reader.inside, NULL);
    tls->creds = tls_credentials_ref(creds);
    tls->writer.out = malloc(OUT_BYTES);
    tls->reader.in.data = malloc(IN_BYTES);
    tls->reader.in.room = IN_BYTES;
    tls->reader.spare = malloc(RECORD_BODY_MAX);
    if (tls->writer.out && tls->reader.in.data && tls->reader.spare)
        return tls;
    channel_errno(label, -ENOMEM, err);
    ferry_channel_unref(&tls->base);
    return NULL;
}

/* Take over from OpenSSL.  TLS 1.2 counts Finished as the first record under these keys. */
static int start(struct tls_channel *tls, const struct tls_agreed *agreed, struct ferry_error *err)
{
    const struct tls_credentials *creds = tls->creds;
    uint64_t first = agreed->sends.old ? 1 : 0;
    int ret = record_start(&tls->writer.half, &agreed->sends, true, first, err);

    if (ret == 0)
        ret = record_start(&tls->reader.half, &agreed->receives, false, first, err);
    tls->proof = agreed->proof;
    memcpy(tls->peer, agreed->peer, sizeof(tls->peer));
    tls->writer.update_bytes = creds->update_bytes;
    if (ret == 0 && tls->binding && creds->side == TLS_SERVER && agreed->proof != TLS_PROOF_SESSION) {
        binding_table_add(&tls->creds->table, tls->binding);
        tls->registered = true;
    }
    return ret;
}

struct ferry_channel *tls_channel_new(struct ferry_channel *inner, struct tls_credentials *creds, const char *host,
                                      struct ferry_error *err)
{
    struct tls_channel *tls;
    struct tls_agreed agreed;
    int ret;

    if (ferry_channel_directions(inner) != FERRY_READ_WRITE) {
        ferry_error_set_code(err, FERRY_E_ONE_WAY_CHANNEL, -ENOTSUP, "%s: TLS needs a way there and a way back",
                             inner->label);
        return NULL;
    }
    tls = make(inner, creds, err);
    if (!tls)
        return NULL;
    ret = tls_handshake(inner, creds, host, &tls->reader.in, &agreed, err);
    tls->binding = agreed.binding;
    if (ret == 0)
        ret = start(tls, &agreed, err);
    OPENSSL_cleanse(&agreed, sizeof(agreed));
    if (ret < 0) {
        ferry_channel_unref(&tls->base);
        return NULL;
    }
    tls->base.inner = inner;
    return &tls->base;
}

/* --- about it ----------------------------------------------------------------------------------------------------- */

bool tls_channel_is(const struct ferry_channel *chan)
{
    return chan->ops == &tls_ops || chan->ops == &tls_answering_ops;
}

struct tls_credentials *tls_channel_bound(struct ferry_channel *main, struct ferry_error *err)
{
    struct tls_channel *tls = (struct tls_channel *)main;
    struct tls_credentials *creds;

    if (!tls->binding) {
        ferry_error_set(err, -ENOTSUP, "%s: TLS 1.2 has no keys for further connections", main->label);
        return NULL;
    }
    creds = credentials_bound(tls->creds, tls->binding);
    if (!creds)
        channel_errno(main->label, -ENOMEM, err);
    return creds;
}

bool tls_channel_is_of(const struct ferry_channel *page, const struct ferry_channel *main)
{
    const struct tls_channel *one = (const struct tls_channel *)page, *other = (const struct tls_channel *)main;

    return one->proof == TLS_PROOF_SESSION && one->binding && one->binding == other->binding;
}

void tls_channel_forgive_end(struct ferry_channel *chan)
{
    tls_reader_forgive_end((struct tls_channel *)chan);
}

void tls_channel_facts(const struct ferry_channel *chan, struct tls_facts *facts)
{
    const struct tls_channel *tls = (const struct tls_channel *)chan;

    *facts = (struct tls_facts){
        .version = tls->writer.half.secret.old ? "1.2" : "1.3",
        .cipher = tls->writer.half.secret.suite->name,
        .proof = tls->proof,
        .sent_bytes = atomic_load(&tls->sent_bytes),
        .sent_records = atomic_load(&tls->sent_records),
        .received_bytes = atomic_load(&tls->received_bytes),
        .received_records = atomic_load(&tls->received_records),
        .key_updates = atomic_load(&tls->key_updates),
    };
    memcpy(facts->peer, tls->peer, sizeof(facts->peer));
}
