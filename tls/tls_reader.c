/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_reader.c - the reader's half of an encrypted channel
 *
 * One read fills `in` with many records; each is opened into the caller's memory.
 *
 *      in  |  used  | record | record | part of one |    room    |
 *          0        start                           end
 *
 * A record that the caller has no room for goes to `spare` and is given out from there.
 */
#include "tls_channel_parts.h"

#include "bytes.h"
#include "iov.h"
#include "verdict.h"

#include <errno.h>
#include <string.h>

#define EXPECT_MIN_BYTES (32 * 1024) /* from here on it is worth telling the inner channel */
#define EMPTY_MAX        64          /* records in a row without data: more is a peer that keeps us busy */

static int refuse(struct tls_reader *reader, enum ferry_code code, const char *text, const char *more)
{
    return ferry_error_set_code(&reader->error, code, ferry_code_info(code)->errnum, "%s%s", text, more);
}

static int take_alert(struct tls_reader *reader, const uint8_t *alert, size_t bytes)
{
    if (bytes != 2)
        return refuse(reader, FERRY_E_TLS_BROKEN, "the other end sent an alert that is not well formed", "");
    if (alert[1] == 0) {
        reader->ended = true;
        return 0;
    }
    if (alert[1] == 90) /* user_canceled: close_notify follows */
        return 0;
    return refuse(reader, FERRY_E_TLS_REFUSED, "the other end ", verdict_alert(alert[1]));
}

static int take_key_update(struct tls_channel *tls, const uint8_t *message, size_t bytes)
{
    struct tls_reader *reader = &tls->reader;

    if (bytes != 5 || load_be32(message) != (KEY_UPDATE << 24 | 1) || message[4] > 1)
        return refuse(reader, FERRY_E_TLS_BROKEN, "the other end changes its keys in a way that cannot be", "");
    if (message[4])
        atomic_store(&tls->answer_keys, true);
    tls_channel_count(&tls->key_updates, 1);
    return record_next_keys(&reader->half, &reader->error);
}

/* Of a handshake that is over, only new keys and (to a client) tickets may come; tickets are dropped. */
static int take_handshake(struct tls_channel *tls, const uint8_t *message, size_t bytes)
{
    struct tls_reader *reader = &tls->reader;

    while (bytes > 0) {
        size_t part = reader->skip < bytes ? reader->skip : bytes;

        reader->skip -= part;
        message += part;
        bytes -= part;
        if (bytes == 0)
            return 0;
        if (reader->half.secret.old)
            return refuse(reader, FERRY_E_TLS_REFUSED,
                          "the other end wants to renegotiate in the middle of the stream, which is not done", "");
        if (message[0] == KEY_UPDATE)
            return take_key_update(tls, message, bytes);
        if (message[0] != NEW_SESSION_TICKET || tls->creds->side == TLS_SERVER || bytes < 4)
            return refuse(reader, FERRY_E_TLS_REFUSED,
                          "the other end goes on with the handshake in the middle of the stream, which is not done",
                          "");
        reader->skip = 4 + (load_be32(message) & 0xffffff);
    }
    return 0;
}

/* A whole record is in front of `in`. */
static int take_record(struct tls_channel *tls, size_t bytes, struct record_place *to, size_t *room)
{
    struct tls_reader *reader = &tls->reader;
    struct record_opened opened;
    int ret = record_open(&reader->half, reader->in.data + reader->in.start, bytes, to, *room, reader->spare, &opened,
                          &reader->error);

    if (ret < 0)
        return ret;
    reader->in.start += bytes;
    reader->empty = opened.placed + opened.spare > 0 && opened.type == RECORD_DATA ? 0 : reader->empty + 1;
    if (reader->empty > EMPTY_MAX)
        return refuse(reader, FERRY_E_TLS_BROKEN, "the other end sends records without data, one after the other", "");
    tls_channel_count(&tls->received_records, opened.type == RECORD_DATA);
    if (opened.type == RECORD_ALERT)
        return take_alert(reader, reader->spare, opened.spare);
    if (opened.type == RECORD_HANDSHAKE)
        return take_handshake(tls, reader->spare, opened.spare);
    if (opened.type != RECORD_DATA || reader->skip)
        return refuse(reader, FERRY_E_TLS_BROKEN, "the other end sent a record of a kind that cannot come here", "");
    *room -= opened.placed;
    reader->spare_start = 0;
    reader->spare_end = opened.spare;
    return 0;
}

static void take_spare(struct tls_reader *reader, struct record_place *to, size_t *room)
{
    size_t bytes = record_copy(to, reader->spare + reader->spare_start, reader->spare_end - reader->spare_start);

    reader->spare_start += bytes;
    *room -= bytes;
}

/* How long the record in front of `in` is: 1 and *bytes where it is there as a whole, 0 where not. */
static int next_record(struct tls_reader *reader, size_t *bytes)
{
    const struct tls_input *in = &reader->in;
    ssize_t length;

    if (in->end - in->start < RECORD_HEAD)
        return 0;
    length = record_length(&reader->half, in->data + in->start, &reader->error);
    *bytes = length > 0 ? (size_t)length : 0;
    return length < 0 ? (int)length : in->end - in->start >= *bytes;
}

/* What is there already.  Stops when the caller's memory is full, the next record is not whole, or at the end. */
static int take_records(struct tls_channel *tls, struct record_place *to, size_t *room)
{
    struct tls_reader *reader = &tls->reader;
    int ret;

    take_spare(reader, to, room);
    while (*room > 0 && !reader->ended) {
        size_t bytes;

        ret = next_record(reader, &bytes);
        if (ret <= 0)
            return ret;
        ret = take_record(tls, bytes, to, room);
        if (ret < 0)
            return ret;
        take_spare(reader, to, room);
    }
    return 0;
}

/* Never more than the peer is certain to send: sealed bytes are more than plain ones. */
static void pass_hint(struct tls_channel *tls)
{
    struct tls_reader *reader = &tls->reader;
    size_t there = reader->in.end - reader->in.start;
    size_t more = reader->expected > there ? reader->expected - there : 0;

    ferry_channel_expect(tls->base.inner, more >= EXPECT_MIN_BYTES ? more : 0);
}

static int at_inner_end(struct tls_reader *reader)
{
    if (reader->in.end > reader->in.start)
        return refuse(reader, FERRY_E_STREAM_ENDED, "the encrypted stream was cut off in the middle of a record", "");
    if (!reader->forgives)
        return refuse(reader, FERRY_E_STREAM_ENDED,
                      "the encrypted stream ended without the other end's goodbye: it was cut off", "");
    reader->ended = true;
    return 0;
}

static int fill(struct tls_channel *tls)
{
    struct tls_reader *reader = &tls->reader;
    struct tls_input *in = &reader->in;
    struct iovec iov;
    ssize_t done;

    if (in->start > 0)
        memmove(in->data, in->data + in->start, in->end - in->start);
    in->end -= in->start;
    in->start = 0;
    pass_hint(tls);
    iov = (struct iovec){ in->data + in->end, in->room - in->end };
    done = ferry_channel_readv(tls->base.inner, &iov, 1, &reader->error);
    if (done < 0)
        return (int)done;
    in->end += (size_t)done;
    return done == 0 ? at_inner_end(reader) : 0;
}

ssize_t tls_reader_readv(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    struct tls_channel *tls = (struct tls_channel *)chan;
    struct tls_reader *reader = &tls->reader;
    struct record_place to = { iov, count, 0 };
    size_t room = iov_bytes(iov, count), all = room;
    int ret;

    pthread_mutex_lock(&reader->inside);
    if (reader->error.errnum) {
        ret = tls_channel_repeat(&reader->error, err);
        pthread_mutex_unlock(&reader->inside);
        return ret;
    }
    for (;;) {
        ret = take_records(tls, &to, &room);
        if (room < all || ret < 0 || reader->ended)
            break;
        ret = fill(tls);
        if (ret < 0)
            break;
    }
    /* What came before the error counts; the next read says what was wrong. */
    if (ret < 0)
        tls_channel_stop(tls, &reader->error, room < all ? NULL : err);
    reader->expected -= all - room < reader->expected ? all - room : reader->expected;
    pthread_mutex_unlock(&reader->inside);
    tls_channel_count(&tls->received_bytes, all - room);
    return room < all ? (ssize_t)(all - room) : ret;
}

void tls_reader_expect(struct ferry_channel *chan, size_t bytes)
{
    struct tls_reader *reader = &((struct tls_channel *)chan)->reader;
    size_t there;

    pthread_mutex_lock(&reader->inside);
    there = reader->spare_end - reader->spare_start;
    reader->expected = bytes > there ? bytes - there : 0;
    pthread_mutex_unlock(&reader->inside);
}

void tls_reader_forgive_end(struct tls_channel *tls)
{
    pthread_mutex_lock(&tls->reader.inside);
    tls->reader.forgives = true;
    pthread_mutex_unlock(&tls->reader.inside);
}

void tls_reader_hear_why(struct tls_channel *tls, struct ferry_error *error)
{
    struct tls_reader *reader = &tls->reader;
    struct record_place nowhere = { NULL, 0, 0 };
    int lost = error->errnum, ret;

    if ((lost != -EPIPE && lost != -ECONNRESET) || atomic_load(&tls->received_records) > 0 ||
        !ferry_channel_answers(&tls->base) || pthread_mutex_trylock(&reader->inside))
        return;
    ret = reader->error.errnum;
    while (ret == 0 && !reader->ended && reader->spare_start == reader->spare_end) {
        size_t bytes, room = 0;

        ret = next_record(reader, &bytes);
        if (ret > 0)
            ret = take_record(tls, bytes, &nowhere, &room);
        else if (ret == 0)
            ret = fill(tls);
        if (ret < 0)
            tls_channel_stop(tls, &reader->error, NULL);
    }
    if (reader->error.code == FERRY_E_TLS_REFUSED)
        *error = reader->error;
    pthread_mutex_unlock(&reader->inside);
}
