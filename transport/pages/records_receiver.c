/* SPDX-License-Identifier: BSD-3-Clause */
/* records_receiver.c - a connection of bare RAM records: a thread that puts them in place */
#include "records_receiver.h"

#include "reader.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct records_receiver {
    struct records_receiver_events events;
    struct ferry_channel *chan;  /* a reference */
    struct ferry_reader *reader; /* owned; of the thread */
    struct ram_loader loader;    /* of the thread */
    pthread_t thread;
    bool started, joined;

    pthread_mutex_t lock; /* a leaf; guards all below */
    bool finished;        /* what comes now is of no interest */
    struct page_figures figures;
    struct ferry_error error; /* the first; errnum 0: none */
};

/* Returns true when it was the first, and of interest. */
static bool fail(struct records_receiver *receiver, const struct ferry_error *why)
{
    bool first;

    pthread_mutex_lock(&receiver->lock);
    first = receiver->error.errnum == 0 && !receiver->finished;
    if (first)
        receiver->error = *why;
    pthread_mutex_unlock(&receiver->lock);
    return first;
}

int records_receiver_status(struct records_receiver *receiver, struct ferry_error *err)
{
    int ret;

    pthread_mutex_lock(&receiver->lock);
    ret = receiver->error.errnum;
    if (ret && err)
        *err = receiver->error;
    pthread_mutex_unlock(&receiver->lock);
    return ret;
}

static void count(struct records_receiver *receiver)
{
    const struct ram_counts *counts = &receiver->loader.counts;

    pthread_mutex_lock(&receiver->lock);
    receiver->figures.bytes = ferry_reader_offset(receiver->reader);
    receiver->figures.content_pages = counts->normal;
    receiver->figures.zero_pages = counts->zero;
    pthread_mutex_unlock(&receiver->lock);
}

static void *receiver_main(void *opaque)
{
    struct records_receiver *receiver = opaque;
    struct ferry_error err = { 0 };
    int ret;

    do {
        ret = ram_get_next(&receiver->loader, receiver->reader);
        count(receiver);
    } while (ret > 0);
    if (ret == 0)
        return NULL;
    (void)ferry_reader_status(receiver->reader, &err);
    ferry_error_prefix(&err, "urgent channel");
    if (fail(receiver, &err) && receiver->events.failed)
        receiver->events.failed(receiver->events.opaque);
    return NULL;
}

struct records_receiver *records_receiver_new(const struct ram_loader *main, struct placer *view,
                                              struct ferry_channel *chan, const struct records_receiver_events *events,
                                              struct ferry_error *err)
{
    struct records_receiver *receiver = calloc(1, sizeof(*receiver));
    int ret;

    if (!receiver) {
        ferry_error_set(err, -ENOMEM, "no memory for the urgent channel");
        return NULL;
    }
    pthread_mutex_init(&receiver->lock, NULL);
    receiver->events = *events;
    receiver->chan = ferry_channel_ref(chan);
    receiver->figures.cpu = -1;
    receiver->reader = ferry_reader_new(chan, err);
    if (!receiver->reader || ram_loader_init_beside(&receiver->loader, main, view, err) < 0)
        goto fail;
    ret = -pthread_create(&receiver->thread, NULL, receiver_main, receiver);
    if (ret < 0) {
        ferry_error_set(err, ret, "no thread for the urgent channel: %s", strerror(-ret));
        goto fail;
    }
    receiver->started = true;
    return receiver;

fail:
    records_receiver_free(receiver);
    return NULL;
}

static void join(struct records_receiver *receiver)
{
    if (receiver->started && !receiver->joined)
        pthread_join(receiver->thread, NULL);
    receiver->joined = true;
}

int records_receiver_finish(struct records_receiver *receiver, bool await_end, struct ferry_error *err)
{
    if (!await_end) {
        pthread_mutex_lock(&receiver->lock);
        receiver->finished = true;
        pthread_mutex_unlock(&receiver->lock);
        ferry_channel_shutdown(receiver->chan, FERRY_READ);
    }
    join(receiver);
    return records_receiver_status(receiver, err);
}

void records_receiver_stop(struct records_receiver *receiver)
{
    struct ferry_error why;

    ferry_error_set(&why, -ESHUTDOWN, "the urgent channel was shut down");
    (void)fail(receiver, &why);
    ferry_channel_shutdown(receiver->chan, FERRY_READ_WRITE);
}

void records_receiver_figures(struct records_receiver *receiver, struct page_figures *figures)
{
    pthread_mutex_lock(&receiver->lock);
    *figures = receiver->figures;
    pthread_mutex_unlock(&receiver->lock);
}

void records_receiver_free(struct records_receiver *receiver)
{
    if (!receiver)
        return;
    if (receiver->started && !receiver->joined)
        records_receiver_stop(receiver);
    join(receiver);
    ram_loader_clear(&receiver->loader);
    ferry_reader_free(receiver->reader);
    ferry_channel_unref(receiver->chan);
    pthread_mutex_destroy(&receiver->lock);
    free(receiver);
}
