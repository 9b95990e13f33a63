/* SPDX-License-Identifier: BSD-3-Clause */
/* handshake.c - the destination's half of one connection's hello, with deadlines */
#include "handshake.h"

#include "clock.h"
#include "deadline.h"
#include "log.h"
#include "secure.h"

#include <errno.h>
#include <string.h>

#define DRAIN_BYTES (64 * 1024)

/* A deadline shuts down reading only, so that the refusal still gets out. */
static int read_first(struct ferry_channel *chan, struct watchdog *dog, int64_t until_ns, struct handshake *got,
                      struct ferry_error *err)
{
    struct deadline deadline = { 0 };
    int ret;

    deadline_begin(&deadline, dog, chan, FERRY_READ, until_ns);
    ret = ferry_channel_read_all(chan, got->first, HELLO_PEEK_BYTES, err);
    return deadline_end(&deadline, ret, "nothing came in time", err);
}

static int read_rest(struct ferry_channel *chan, struct watchdog *dog, int64_t until_ns, struct handshake *got,
                     struct ferry_error *err)
{
    struct deadline deadline = { 0 };
    int ret;

    deadline_begin(&deadline, dog, chan, FERRY_READ, until_ns);
    if (got->kind == HELLO_KIND_FERRY) {
        ret = hello_receive(chan, got->first, &got->hello, err);
    } else {
        memcpy(got->greeting, got->first, HELLO_PEEK_BYTES);
        ret = ferry_channel_read_all(chan, got->greeting + HELLO_PEEK_BYTES,
                                     PACKET_V1_GREETING_BYTES - HELLO_PEEK_BYTES, err);
    }
    return deadline_end(&deadline, ret, "the hello did not come whole in time", err);
}

static int unknown(const struct ferry_channel *chan, const uint8_t first[HELLO_PEEK_BYTES], struct ferry_error *err)
{
    int ret = secure_wanted(chan, first, err);

    return ret < 0 ? ret : hello_unknown(ferry_channel_label(chan), first, err);
}

int handshake_read(struct ferry_channel *chan, struct watchdog *dog, const struct handshake_terms *terms,
                   struct handshake *got, struct hello_refusal *refusal)
{
    struct ferry_error *why = &refusal->why;
    int ret;

    memset(got, 0, sizeof(*got));
    memset(refusal, 0, sizeof(*refusal));
    ret = read_first(chan, dog, terms->first_ns, got, why);
    if (ret == 0) {
        got->kind = hello_detect(got->first);
        if (got->kind == HELLO_KIND_FERRY || (got->kind == HELLO_KIND_QEMU_PAGES && terms->plain_pages))
            ret = read_rest(chan, dog, clock_now_ns() + terms->rest_ns, got, why);
        else if (got->kind != HELLO_KIND_QEMU)
            ret = unknown(chan, got->first, why);
    }
    if (ret == -ETIMEDOUT)
        refusal->code = HELLO_TOO_LATE;
    else if (ret == -EPROTO)
        refusal->code = got->kind == HELLO_KIND_FERRY ? HELLO_MALFORMED : HELLO_FOREIGN;
    return ret;
}

int handshake_agree(struct ferry_channel *chan, struct watchdog *dog, struct hello_answer *answer,
                    struct ferry_error *err)
{
    struct deadline deadline = { 0 };
    int ret = hello_random(answer->nonce, err);

    if (ret < 0)
        return ret;
    deadline_begin(&deadline, dog, chan, FERRY_READ_WRITE, clock_now_ns() + HANDSHAKE_WRITE_NS);
    ret = hello_agree(chan, answer, err);
    return deadline_end(&deadline, ret, "the source does not take the answer to its hello", err);
}

/* Until the peer hangs up. */
static void drain(struct ferry_channel *chan)
{
    uint8_t unwanted[1024];
    struct iovec iov = { unwanted, sizeof(unwanted) };
    size_t bytes = 0;
    ssize_t done;

    do {
        done = ferry_channel_readv(chan, &iov, 1, NULL);
        bytes += done > 0 ? (size_t)done : 0;
    } while (done > 0 && bytes < DRAIN_BYTES);
}

void handshake_refuse(struct ferry_channel *chan, struct watchdog *dog, const struct hello_refusal *refusal,
                      bool unread)
{
    struct deadline deadline = { 0 };
    int ret;

    log_info(LOG_SESSION, "%s: refused: %s", ferry_channel_label(chan), refusal->why.text);
    deadline_begin(&deadline, dog, chan, FERRY_READ_WRITE, clock_now_ns() + HANDSHAKE_WRITE_NS);
    ret = hello_refuse(chan, refusal, NULL);
    if (ret == 0)
        ret = ferry_channel_finish(chan, NULL);
    if (ret == 0 && unread)
        drain(chan);
    deadline_end(&deadline, ret, "does not take its refusal", NULL);
    ferry_channel_shutdown(chan, FERRY_READ_WRITE);
}
