/* SPDX-License-Identifier: BSD-3-Clause */
/* dial_pages.c - the source opens its page connections, all at once
 *
 *      thread 0: connect -> hello pages 0 -> answer       thread 1: connect -> hello pages 1 -> answer     ...
 *
 * What takes its time is waiting for the other end, so each has a thread while that lasts.  To a QEMU there is no hello
 * but a greeting, and no answer.
 */
#include "clock.h"
#include "deadline.h"
#include "dial.h"
#include "packet.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct dialling {
    const struct dial_terms *terms;
    unsigned index;
    pthread_t thread;
    bool started;
    struct ferry_channel *chan; /* what became of it: this, or */
    struct ferry_error err;     /* this */
};

/* QEMU's multifd: 64 bytes say which one it is. */
static int greet_plain(struct ferry_channel *chan, const struct dialling *dialling, struct ferry_error *err)
{
    static const uint8_t no_uuid[16];
    uint8_t greeting[PACKET_V1_GREETING_BYTES];
    struct iovec iov = { greeting, sizeof(greeting) };
    struct deadline deadline = { 0 };
    int ret;

    packet_v1_put_greeting(greeting, no_uuid, dialling->index);
    deadline_begin(&deadline, dialling->terms->dog, chan, FERRY_READ_WRITE,
                   clock_now_ns() + (int64_t)dialling->terms->options->setup_timeout_ns);
    ret = ferry_channel_writev_all(chan, &iov, 1, err);
    return deadline_end(&deadline, ret, "the destination does not take the greeting of a page connection", err);
}

static struct ferry_channel *dial_plain(struct dialling *dialling, struct ferry_error *err)
{
    struct ferry_channel *chan = dial_bare(dialling->terms, err);

    if (!chan || greet_plain(chan, dialling, err) == 0)
        return chan;
    ferry_channel_unref(chan);
    return NULL;
}

static void *dial_thread(void *opaque)
{
    struct dialling *dialling = opaque;
    const struct dial_terms *terms = dialling->terms;
    struct hello_answer answer;
    struct hello hello;

    if (!terms->main)
        dialling->chan = dial_plain(dialling, &dialling->err);
    else if (dial_another(terms->main, HELLO_PAGES, dialling->index, &hello, &dialling->err) == 0)
        dialling->chan = dial_connect(terms, &hello, &answer, &dialling->err);
    return NULL;
}

/* All of them, or none and the first error. */
static int collect(struct dialling *dialling, unsigned count, struct ferry_channel **chans, struct ferry_error *err)
{
    int ret = 0;

    for (unsigned i = 0; i < count; i++) {
        if (dialling[i].started)
            pthread_join(dialling[i].thread, NULL);
        chans[i] = dialling[i].chan;
        if (chans[i] || ret < 0)
            continue;
        ret = dialling[i].err.errnum;
        if (err)
            *err = dialling[i].err;
        ferry_error_prefix(err, "page connection %u", i);
    }
    for (unsigned i = 0; ret < 0 && i < count; i++) {
        ferry_channel_unref(chans[i]);
        chans[i] = NULL;
    }
    return ret;
}

int dial_pages(const struct dial_terms *terms, unsigned count, struct ferry_channel **chans, struct ferry_error *err)
{
    struct dialling *dialling = calloc(count ? count : 1, sizeof(*dialling));
    int ret;

    if (!dialling)
        return ferry_error_set(err, -ENOMEM, "no memory for %u page connections", count);
    for (unsigned i = 0; i < count; i++) {
        dialling[i].terms = terms;
        dialling[i].index = i;
        ret = pthread_create(&dialling[i].thread, NULL, dial_thread, &dialling[i]);
        dialling[i].started = ret == 0;
        if (ret)
            ferry_error_set(&dialling[i].err, -ret, "no thread to connect with");
    }
    ret = collect(dialling, count, chans, err);
    free(dialling);
    return ret;
}
