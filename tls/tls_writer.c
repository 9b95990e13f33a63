/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_writer.c - the writer's half of an encrypted channel
 *
 * Up to BATCH records are sealed out of the caller's memory, one behind the other into `out`, and handed on in one
 * write.
 */
#include "tls_channel_parts.h"

#include <errno.h>

/* What was sealed into `out`.  Cut off in the middle of a record nothing can follow. */
static int hand_on(struct tls_channel *tls, size_t bytes)
{
    struct iovec iov = { tls->writer.out, bytes };
    struct ferry_error *error = &tls->writer.error;

    if (ferry_channel_writev_all(tls->base.inner, &iov, 1, error) == 0)
        return 0;
    tls_channel_stop(tls, error, NULL);
    tls_reader_hear_why(tls, error);
    return error->errnum;
}

static int put_key_update(struct tls_channel *tls, size_t *used)
{
    uint8_t message[5] = { KEY_UPDATE, 0, 0, 1, 0 };
    struct iovec iov = { message, sizeof(message) };
    struct record_place place = { &iov, 1, 0 };
    struct tls_writer *writer = &tls->writer;
    ssize_t bytes =
        record_seal(&writer->half, RECORD_HANDSHAKE, &place, sizeof(message), writer->out + *used, &writer->error);

    if (bytes < 0)
        return (int)bytes;
    *used += (size_t)bytes;
    writer->since_update = 0;
    tls_channel_count(&tls->key_updates, 1);
    return record_next_keys(&writer->half, &writer->error);
}

/* By bytes where somebody said so, by records where the cipher says so. */
static bool keys_are_worn(const struct tls_writer *writer)
{
    uint64_t records = writer->half.secret.suite->bear_records;

    return (writer->update_bytes && writer->since_update >= writer->update_bytes) ||
           (records && writer->half.sequence >= records);
}

static int seal_batch(struct tls_channel *tls, struct record_place *from, size_t bytes, size_t *used)
{
    struct tls_writer *writer = &tls->writer;

    *used = 0;
    if (!writer->half.secret.old && (atomic_exchange(&tls->answer_keys, false) || keys_are_worn(writer)))
        if (put_key_update(tls, used) < 0)
            return writer->error.errnum;
    writer->since_update += bytes;
    for (size_t done = 0; done < bytes;) {
        size_t part = bytes - done < RECORD_CONTENT ? bytes - done : RECORD_CONTENT;
        ssize_t record = record_seal(&writer->half, RECORD_DATA, from, part, writer->out + *used, &writer->error);

        if (record < 0)
            return (int)record;
        *used += (size_t)record;
        done += part;
        tls_channel_count(&tls->sent_records, 1);
    }
    return 0;
}

ssize_t tls_writer_writev(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    struct tls_channel *tls = (struct tls_channel *)chan;
    struct tls_writer *writer = &tls->writer;
    struct record_place from = { iov, count, 0 };
    size_t bytes = 0, used;

    if (writer->error.errnum)
        return tls_channel_repeat(&writer->error, err);
    for (int i = 0; i < count && bytes < BATCH * RECORD_CONTENT; i++)
        bytes += iov[i].iov_len < BATCH * RECORD_CONTENT - bytes ? iov[i].iov_len : BATCH * RECORD_CONTENT - bytes;
    if (seal_batch(tls, &from, bytes, &used) < 0)
        return tls_channel_stop(tls, &writer->error, err);
    if (hand_on(tls, used) < 0)
        return tls_channel_repeat(&writer->error, err);
    tls_channel_count(&tls->sent_bytes, bytes);
    return (ssize_t)bytes;
}

int tls_writer_finish(struct ferry_channel *chan, struct ferry_error *err)
{
    struct tls_channel *tls = (struct tls_channel *)chan;
    struct tls_writer *writer = &tls->writer;
    uint8_t goodbye[2] = { 1, 0 }; /* warning, close_notify */
    struct iovec iov = { goodbye, sizeof(goodbye) };
    struct record_place place = { &iov, 1, 0 };
    ssize_t bytes;

    if (writer->error.errnum)
        return tls_channel_repeat(&writer->error, err);
    if (!writer->said_goodbye) {
        writer->said_goodbye = true;
        bytes = record_seal(&writer->half, RECORD_ALERT, &place, sizeof(goodbye), writer->out, &writer->error);
        if (bytes < 0)
            return tls_channel_stop(tls, &writer->error, err);
        if (hand_on(tls, (size_t)bytes) < 0)
            return tls_channel_repeat(&writer->error, err);
    }
    if (ferry_channel_finish(chan->inner, &writer->error) < 0)
        return tls_channel_stop(tls, &writer->error, err);
    return 0;
}
