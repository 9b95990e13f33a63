/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_ceiling.c - what could be done at most: the same link with nothing around it, and the cipher by itself */
#include "bench_ceiling.h"

#include "clock.h"
#include "record.h"
#include "suite.h"
#include "watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_BYTES  (UINT64_C(64) << 20) /* of all streams together */
#define PIECE_BYTES   (256 << 10)
#define PATIENCE_MS   5000 /* to connect, and behind the duration: a host may vanish without a word */
#define CEILING_SLOTS 40   /* the duration in so many parts; what comes later is not counted */
#define FIRST_SLOT    8
#define LAST_SLOT     36
#define CIPHER_BYTES  (UINT64_C(16) << 20)
#define CIPHER_PIECE  (UINT64_C(1) << 20)
#define CIPHER_NS     (40 * NS_PER_MS)
#define SECRET_BYTES  32
#define SECRET_SHA384 48

struct stream {
    struct ferry_channel *chan; /* owned */
    uint8_t *memory;            /* of the crew */
    size_t bytes;
    int64_t duration_ns;
    struct crew *crew;            /* borrowed */
    uint64_t slot[CEILING_SLOTS]; /* destination: what came when */
    int result;
    struct ferry_error err;
    pthread_t thread;
};

struct crew {
    uint8_t *memory;
    atomic_int_fast64_t began_ns; /* destination: when the first byte came; 0: not yet */
    unsigned count, running;
    struct stream stream[CEILING_STREAMS_MAX];
};

static void *push_main(void *opaque)
{
    struct stream *stream = opaque;
    int64_t until_ns = clock_now_ns() + stream->duration_ns;
    size_t at = 0;

    do {
        struct iovec iov = { stream->memory + at, PIECE_BYTES };

        stream->result = ferry_channel_writev_all(stream->chan, &iov, 1, &stream->err);
        at = (at + PIECE_BYTES) % stream->bytes;
    } while (stream->result == 0 && clock_now_ns() < until_ns);
    if (stream->result == 0)
        stream->result = ferry_channel_finish(stream->chan, &stream->err);
    return NULL;
}

/* The slots of all streams begin with the first byte of any. */
static void count(struct stream *stream, size_t bytes)
{
    int64_t now_ns = clock_now_ns(), began_ns = 0, slot;

    if (atomic_compare_exchange_strong(&stream->crew->began_ns, &began_ns, now_ns))
        began_ns = now_ns;
    slot = (now_ns - began_ns) * CEILING_SLOTS / stream->duration_ns;
    if (slot >= 0 && slot < CEILING_SLOTS)
        stream->slot[slot] += bytes;
}

static void *pull_main(void *opaque)
{
    struct stream *stream = opaque;
    ssize_t got = 1;
    size_t at = 0;

    while (got > 0) {
        struct iovec iov = { stream->memory + at, PIECE_BYTES };

        got = ferry_channel_readv(stream->chan, &iov, 1, &stream->err);
        if (got > 0)
            count(stream, (size_t)got);
        at = (at + PIECE_BYTES) % stream->bytes;
    }
    stream->result = (int)got;
    return NULL;
}

static void crew_free(struct crew *crew)
{
    if (!crew)
        return;
    for (unsigned i = 0; i < crew->count; i++)
        ferry_channel_unref(crew->stream[i].chan);
    free(crew->memory);
    free(crew);
}

static struct crew *crew_new(unsigned streams, int64_t duration_ns, struct ferry_error *err)
{
    struct crew *crew = streams > 0 && streams <= CEILING_STREAMS_MAX ? calloc(1, sizeof(*crew)) : NULL;

    if (crew)
        crew->memory = malloc(MEMORY_BYTES);
    if (!crew || !crew->memory) {
        crew_free(crew);
        ferry_error_set(err, -ENOMEM, "no memory for %u streams", streams);
        return NULL;
    }
    for (uint64_t i = 0; i < MEMORY_BYTES / sizeof(uint64_t); i++)
        ((uint64_t *)(void *)crew->memory)[i] = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    crew->count = streams;
    for (unsigned i = 0; i < streams; i++) {
        crew->stream[i].bytes = MEMORY_BYTES / streams / PIECE_BYTES * PIECE_BYTES;
        crew->stream[i].memory = crew->memory + i * crew->stream[i].bytes;
        crew->stream[i].duration_ns = duration_ns;
        crew->stream[i].crew = crew;
    }
    return crew;
}

static int crew_start(struct crew *crew, void *(*body)(void *), struct ferry_error *err)
{
    int ret = 0;

    while (ret == 0 && crew->running < crew->count) {
        ret = -pthread_create(&crew->stream[crew->running].thread, NULL, body, &crew->stream[crew->running]);
        crew->running += ret == 0;
    }
    return ret < 0 ? ferry_error_set(err, ret, "no thread for a stream: %s", strerror(-ret)) : 0;
}

/* Waits for all; the first failure counts. */
static int crew_join(struct crew *crew, struct ferry_error *err)
{
    int ret = 0;

    while (crew->running > 0) {
        struct stream *stream = &crew->stream[--crew->running];

        pthread_join(stream->thread, NULL);
        if (stream->result < 0) {
            ret = stream->result;
            if (err)
                *err = stream->err;
        }
    }
    return ret;
}

static void crew_stop(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++)
        if (crew->stream[i].chan)
            ferry_channel_shutdown(crew->stream[i].chan, FERRY_READ_WRITE);
}

static void bark(void *opaque)
{
    crew_stop(opaque);
}

/* Waits for all; not much longer than they were to take. */
static int crew_join_in_time(struct crew *crew, int64_t duration_ns, struct ferry_error *err)
{
    struct watchdog *dog = watchdog_new(err);
    struct watchdog_watch watch = { 0 };
    struct ferry_error why = { 0 };
    int ret;

    if (dog)
        watchdog_set(dog, &watch, clock_now_ns() + duration_ns + PATIENCE_MS * NS_PER_MS, bark, crew);
    else
        crew_stop(crew);
    ret = crew_join(crew, &why);
    if (dog && watchdog_clear(dog, &watch))
        ret = ferry_error_set(&why, -ETIMEDOUT, "a bare stream came to no end");
    watchdog_free(dog);
    if (ret < 0 && dog)
        *err = why;
    return dog ? ret : err->errnum;
}

/* All streams, from their start to their end. */
static int crew_run_through(struct crew *crew, void *(*body)(void *), int64_t duration_ns, struct ferry_error *err)
{
    int ret = crew_start(crew, body, err);

    if (ret == 0)
        return crew_join_in_time(crew, duration_ns, err);
    crew_stop(crew);
    (void)!crew_join(crew, NULL);
    return ret;
}

int ceiling_push(const char *uri, unsigned streams, int64_t duration_ns, struct ferry_error *err)
{
    struct crew *crew = crew_new(streams, duration_ns, err);
    int ret = crew ? 0 : -ENOMEM;

    for (unsigned i = 0; ret == 0 && i < streams; i++) {
        crew->stream[i].chan = ferry_channel_connect(uri, PATIENCE_MS, err);
        ret = crew->stream[i].chan ? 0 : err->errnum;
    }
    for (unsigned i = 0; ret == 0 && i < streams; i++)
        ferry_channel_set_patience(crew->stream[i].chan, PATIENCE_MS);
    if (ret == 0)
        ret = crew_run_through(crew, push_main, duration_ns, err);
    crew_free(crew);
    return ret;
}

/* What came in the middle of the time: at its ends streams start, and wait for one another. */
static int rate_of(const struct crew *crew, int64_t duration_ns, double *rate, struct ferry_error *err)
{
    uint64_t middle = 0, all = 0;

    for (unsigned i = 0; i < crew->count; i++) {
        for (unsigned slot = 0; slot < CEILING_SLOTS; slot++) {
            all += crew->stream[i].slot[slot];
            middle += slot >= FIRST_SLOT && slot < LAST_SLOT ? crew->stream[i].slot[slot] : 0;
        }
    }
    *rate = (double)middle * CEILING_SLOTS / (LAST_SLOT - FIRST_SLOT) * NS_PER_SEC / (double)duration_ns;
    if (middle == 0) /* the machine had no time for it; better than nothing */
        *rate = (double)all * NS_PER_SEC / (double)duration_ns;
    return all > 0 ? 0 : ferry_error_set(err, -EPIPE, "a bare stream was connected, but carried nothing");
}

int ceiling_pull(struct ferry_listener *listener, unsigned streams, int64_t duration_ns, double *rate,
                 struct ferry_error *err)
{
    struct crew *crew = crew_new(streams, duration_ns, err);
    int ret = crew ? 0 : -ENOMEM;

    for (unsigned i = 0; ret == 0 && i < streams; i++) {
        crew->stream[i].chan = ferry_listener_accept(listener, PATIENCE_MS, err);
        ret = crew->stream[i].chan ? 0 : err->errnum;
    }
    if (ret == 0)
        ret = crew_run_through(crew, pull_main, duration_ns, err);
    if (ret == 0)
        ret = rate_of(crew, duration_ns, rate, err);
    crew_free(crew);
    return ret;
}

/* One record after another until CIPHER_NS are over.  The fastest piece counts: the others were interrupted. */
static int seal(struct record_half *half, uint8_t *memory, double *rate, struct ferry_error *err)
{
    uint8_t out[RECORD_CONTENT + RECORD_OVERHEAD];
    int64_t began_ns = clock_now_ns(), piece_ns = began_ns, now_ns = began_ns;
    uint64_t done = 0;

    for (*rate = 0; now_ns - began_ns < CIPHER_NS || *rate == 0; done += RECORD_CONTENT) {
        struct iovec iov = { memory + done % CIPHER_BYTES, RECORD_CONTENT };
        struct record_place place = { .iov = &iov, .count = 1 };

        if (record_seal(half, RECORD_DATA, &place, RECORD_CONTENT, out, err) < 0)
            return -EIO;
        now_ns = clock_now_ns();
        if ((done + RECORD_CONTENT) % CIPHER_PIECE == 0) {
            double piece = (double)CIPHER_PIECE * NS_PER_SEC / (double)(now_ns - piece_ns);

            *rate = piece > *rate ? piece : *rate;
            piece_ns = now_ns;
        }
    }
    return 0;
}

int ceiling_cipher(double *rate, const char **name, struct ferry_error *err)
{
    struct record_half half = { 0 };
    struct record_secret secret = { .bytes = { 1 } };
    struct suite_order order;
    uint8_t *memory = malloc(CIPHER_BYTES);
    int ret;

    suite_measure(&order);
    suite_keep_sha256(&order);
    secret.suite = order.suites[0];
    secret.sha384 = secret.suite && secret.suite->sha384;
    secret.count = secret.sha384 ? SECRET_SHA384 : SECRET_BYTES;
    if (!memory || !secret.suite) {
        free(memory);
        return ferry_error_set(err, -ENOMEM, "no cipher to measure");
    }
    memset(memory, 0x5a, CIPHER_BYTES);
    ret = record_start(&half, &secret, true, 0, err);
    if (ret == 0)
        ret = seal(&half, memory, rate, err);
    record_stop(&half);
    free(memory);
    *name = secret.suite->name;
    return ret;
}
