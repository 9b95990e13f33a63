/* SPDX-License-Identifier: BSD-3-Clause */
/* probe.c - connections that only ask how fast the way is, and are no part of a session */
#include "probe.h"

#include "bytes.h"
#include "clock.h"
#include "dial.h"
#include "hello.h"
#include "options.h"
#include "secure.h"
#include "watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 8
#define ECHOES     16
#define PUSH_NS    (400 * NS_PER_MS) /* how long a number of channels is tried */
#define PUSH_BYTES (256u << 10)

/* ---- the destination -------------------------------------------------------------------------------------------- */

static int read_past(struct ferry_channel *chan, uint8_t *room, uint32_t length, struct ferry_error *err)
{
    return length > 0 ? ferry_channel_read_all(chan, room, length, err) : 0;
}

static int echo(struct ferry_channel *chan, const uint8_t head[HEAD_BYTES], uint32_t length, struct ferry_error *err)
{
    uint8_t answer[HEAD_BYTES + PROBE_ECHO_MAX];
    struct iovec iov = { answer, HEAD_BYTES + length };
    int ret;

    memcpy(answer, head, HEAD_BYTES);
    ret = read_past(chan, answer + HEAD_BYTES, length, err);
    return ret < 0 ? ret : ferry_channel_writev_all(chan, &iov, 1, err);
}

/* One message.  -EPIPE: the other end has closed. */
static int serve_one(struct ferry_channel *chan, uint8_t *room, struct ferry_error *err)
{
    uint8_t head[HEAD_BYTES];
    uint32_t kind, length;
    int ret = ferry_channel_read_all(chan, head, sizeof(head), err);

    if (ret < 0)
        return ret;
    kind = load_be32(head);
    length = load_be32(head + 4);
    if (kind == PROBE_ECHO && length <= PROBE_ECHO_MAX)
        return echo(chan, head, length, err);
    if (kind == PROBE_DATA && length <= PROBE_DATA_MAX)
        return read_past(chan, room, length, err);
    return ferry_error_set(err, -EPROTO, "%s: a probe's message of kind %u with %u bytes", ferry_channel_label(chan),
                           kind, length);
}

int probe_serve(struct ferry_channel *chan, struct ferry_error *err)
{
    uint8_t *room = malloc(PROBE_DATA_MAX);
    int ret = room ? 0 : ferry_error_set(err, -ENOMEM, "no memory for a probe");

    while (ret == 0)
        ret = serve_one(chan, room, err);
    free(room);
    return ret == -EPIPE || ret == -ECONNRESET ? 0 : ret;
}

/* ---- the source ------------------------------------------------------------------------------------------------- */

struct probe {
    struct secure secure;
    struct watchdog *dog;
    struct ferry_channel *chan[PROBE_CHANNELS];
    unsigned count;
};

static int put(struct ferry_channel *chan, enum probe_kind kind, uint8_t *room, uint32_t length,
               struct ferry_error *err)
{
    struct iovec iov = { room, HEAD_BYTES + length };

    store_be32(room, kind);
    store_be32(room + 4, length);
    return ferry_channel_writev_all(chan, &iov, 1, err);
}

static int echo_back(struct ferry_channel *chan, struct ferry_error *err)
{
    uint8_t out[HEAD_BYTES + 8] = { 0 }, in[HEAD_BYTES + 8];
    int ret = put(chan, PROBE_ECHO, out, 8, err);

    if (ret == 0)
        ret = ferry_channel_read_all(chan, in, sizeof(in), err);
    if (ret == 0 && memcmp(in, out, sizeof(in)) != 0)
        ret = ferry_error_set(err, -EPROTO, "%s: an echo that is none", ferry_channel_label(chan));
    return ret;
}

static int connect_all(struct probe *probe, const char *uri, const struct ferry_options *options, unsigned most,
                       struct probe_result *result, struct ferry_error *err)
{
    struct dial_terms terms = { .uri = uri, .options = options, .dog = probe->dog, .secure = &probe->secure };
    struct hello_answer answer = { 0 };
    struct hello hello;
    int ret = dial_introduce(options, 1, &hello, err);

    hello.role = HELLO_PROBE;
    for (; ret == 0 && probe->count < most; probe->count++) {
        ret = hello_random(hello.nonce, err);
        if (ret == 0)
            probe->chan[probe->count] = dial_connect(&terms, &hello, &answer, err);
        if (!probe->chan[probe->count])
            return err && err->errnum ? err->errnum : -EIO;
    }
    result->protocol = answer.protocol;
    result->device = answer.device;
    return ret;
}

static int measure_trip(struct ferry_channel *chan, double *sec, struct ferry_error *err)
{
    int64_t best = INT64_MAX;
    int ret = 0;

    for (int i = 0; ret == 0 && i < ECHOES; i++) {
        int64_t began = clock_now_ns(), took;

        ret = echo_back(chan, err);
        took = clock_now_ns() - began;
        best = took < best ? took : best;
    }
    *sec = (double)best / NS_PER_SEC;
    return ret;
}

struct pusher {
    pthread_t thread;
    struct ferry_channel *chan;
    int64_t until_ns, ended_ns;
    uint64_t bytes;
    struct ferry_error err;
};

static void *push(void *opaque)
{
    struct pusher *pusher = opaque;
    uint8_t *room = calloc(1, HEAD_BYTES + PUSH_BYTES);
    int ret = room ? 0 : ferry_error_set(&pusher->err, -ENOMEM, "no memory for a probe");

    while (ret == 0 && clock_now_ns() < pusher->until_ns) {
        ret = put(pusher->chan, PROBE_DATA, room, PUSH_BYTES, &pusher->err);
        pusher->bytes += PUSH_BYTES;
    }
    if (ret == 0)
        (void)!echo_back(pusher->chan, &pusher->err);
    pusher->ended_ns = clock_now_ns();
    free(room);
    return NULL;
}

/* The first @count channels at once, until the last byte has come. */
static int measure_step(struct probe *probe, unsigned count, struct probe_step *step, struct ferry_error *err)
{
    struct pusher pushers[PROBE_CHANNELS] = { 0 };
    int64_t began = clock_now_ns(), ended = began;
    unsigned started = 0;
    double bytes = 0;
    int ret = 0;

    for (; ret == 0 && started < count; started += ret == 0) {
        pushers[started].chan = probe->chan[started];
        pushers[started].until_ns = began + PUSH_NS;
        ret = -pthread_create(&pushers[started].thread, NULL, push, &pushers[started]);
    }
    if (ret < 0)
        ferry_error_set(err, ret, "no thread for a probe: %s", strerror(-ret));
    for (unsigned i = 0; i < started; i++) {
        pthread_join(pushers[i].thread, NULL);
        if (ret == 0 && pushers[i].err.errnum) {
            ret = pushers[i].err.errnum;
            if (err)
                *err = pushers[i].err;
        }
        bytes += (double)pushers[i].bytes;
        ended = pushers[i].ended_ns > ended ? pushers[i].ended_ns : ended;
    }
    *step = (struct probe_step){ count, bytes * NS_PER_SEC / (double)(ended - began + 1) };
    return ret;
}

static void probe_close(struct probe *probe)
{
    for (unsigned i = 0; i < probe->count; i++) {
        ferry_channel_shutdown(probe->chan[i], FERRY_READ_WRITE);
        ferry_channel_unref(probe->chan[i]);
    }
    watchdog_free(probe->dog);
    secure_close(&probe->secure);
}

int probe_link(const char *uri, const struct ferry_options *options, unsigned most, struct probe_result *result,
               struct ferry_error *err)
{
    struct probe probe = { 0 };
    int ret = secure_open(&probe.secure, options, FERRY_SIDE_SOURCE, err);

    memset(result, 0, sizeof(*result));
    if (most < 1 || most > PROBE_CHANNELS)
        most = most < 1 ? 1 : PROBE_CHANNELS;
    if (ret == 0) {
        probe.dog = watchdog_new(err);
        ret = probe.dog ? connect_all(&probe, uri, options, most, result, err) : -EAGAIN;
    }
    if (ret == 0)
        ret = measure_trip(probe.chan[0], &result->round_trip_sec, err);
    for (unsigned count = 1; ret == 0 && result->steps < PROBE_STEPS; count = 2 * count < most ? 2 * count : most) {
        ret = measure_step(&probe, count, &result->step[result->steps++], err);
        if (count == most)
            break;
    }
    probe_close(&probe);
    return ret;
}
