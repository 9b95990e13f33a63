/* SPDX-License-Identifier: BSD-3-Clause */
/* page_urgent.c - requested pages on a channel of their own: a thread that sends whatever is asked for
 *
 *      request --> | header page | flush      packets: one host page each, or a few neighbours
 *              --> | be64 page   | flush      records: each says where its page belongs
 *
 * Each packet is flushed as soon as it is put: what comes next may be asked for in a second.
 */
#include "page_urgent.h"

#include "channel.h"
#include "log.h"
#include "packet_parts.h"
#include "ram_section.h"
#include "ratelimit.h"
#include "writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct page_urgent {
    struct page_requests *requests; /* borrowed */
    struct ferry_channel *chan;     /* a reference */
    struct page_urgent_terms terms;
    pthread_t thread;
    bool started, joined; /* of the migration thread */

    /* Of the thread, and once that was joined of the migration thread. */
    struct ferry_writer *writer; /* owned */
    uint64_t sequence;
    const struct ram_block *last; /* of the records */
    struct page_batch batch;
    struct packet packet;
    uint8_t header[PACKET_HEAD_MAX + PACKET_REST_MAX];

    pthread_mutex_t lock; /* a leaf; guards all below */
    struct page_figures figures;
    struct ferry_error error; /* the first; errnum 0: none */
};

static void fail(struct page_urgent *urgent, const struct ferry_error *why)
{
    pthread_mutex_lock(&urgent->lock);
    if (urgent->error.errnum == 0)
        urgent->error = *why;
    pthread_mutex_unlock(&urgent->lock);
}

int page_urgent_status(struct page_urgent *urgent, struct ferry_error *err)
{
    int ret;

    pthread_mutex_lock(&urgent->lock);
    ret = urgent->error.errnum;
    if (ret && err)
        *err = urgent->error;
    pthread_mutex_unlock(&urgent->lock);
    return ret;
}

static void count(struct page_urgent *urgent, uint64_t content, uint64_t zero)
{
    struct page_figures *figures = &urgent->figures;

    pthread_mutex_lock(&urgent->lock);
    figures->bytes = ferry_writer_offset(urgent->writer);
    figures->packets++;
    figures->content_pages += content;
    figures->zero_pages += zero;
    figures->codec_pages[CODEC_NONE] += content;
    figures->codec_bytes[CODEC_NONE] += content << FERRY_PAGE_SHIFT;
    pthread_mutex_unlock(&urgent->lock);
}

static int flush(struct page_urgent *urgent, uint64_t before, struct ferry_error *err)
{
    int ret = ferry_writer_flush(urgent->writer, err);

    if (ret < 0 && err && !err->object[0])
        ferry_error_object(err, "%s", ferry_channel_label(urgent->chan));
    if (urgent->terms.limit)
        ratelimit_charge(urgent->terms.limit, ferry_writer_offset(urgent->writer) - before);
    return ret;
}

static void put_header(struct page_urgent *urgent)
{
    struct packet *packet = &urgent->packet;

    packet->sequence = urgent->sequence++;
    packet->round = urgent->terms.round;
    ferry_put_bytes(urgent->writer, urgent->header, urgent->terms.format->encode(packet, urgent->header));
}

static void put_packet(struct page_urgent *urgent)
{
    struct packet *packet = &urgent->packet;
    struct iovec pieces[BATCH_PAGES_MAX];
    int pieces_count;

    packet_from_batch(packet, &urgent->batch);
    if (urgent->terms.sums && packet->content_pages > 0)
        packet_sum_pages(packet);
    pieces_count = packet_pieces(packet, pieces, BATCH_PAGES_MAX);
    packet->payload_bytes = (uint32_t)packet->content_pages << FERRY_PAGE_SHIFT;
    put_header(urgent);
    for (int i = 0; i < pieces_count; i++)
        ferry_put_ref(urgent->writer, pieces[i].iov_base, pieces[i].iov_len);
}

static int send_batch(struct page_urgent *urgent, struct ferry_error *err)
{
    uint64_t before = ferry_writer_offset(urgent->writer);
    int ret;

    if (urgent->terms.format)
        put_packet(urgent);
    else
        ram_put_batch(urgent->writer, &urgent->last, &urgent->batch);
    ret = flush(urgent, before, err);
    count(urgent, urgent->batch.normal, urgent->batch.count - urgent->batch.normal);
    return ret;
}

static void *urgent_main(void *opaque)
{
    struct page_urgent *urgent = opaque;
    struct ferry_error err = { 0 };

    while (page_requests_next(urgent->requests, &urgent->batch, -1) != PAGE_REQUESTS_CLOSED) {
        if (send_batch(urgent, &err) == 0)
            continue;
        ferry_error_prefix(&err, "urgent channel");
        fail(urgent, &err);
        break;
    }
    return NULL;
}

struct page_urgent *page_urgent_new(struct page_requests *requests, struct ferry_channel *chan,
                                    const struct page_urgent_terms *terms, struct ferry_error *err)
{
    struct page_urgent *urgent = calloc(1, sizeof(*urgent));
    int ret;

    if (!urgent) {
        ferry_error_set(err, -ENOMEM, "no memory for the urgent channel");
        return NULL;
    }
    pthread_mutex_init(&urgent->lock, NULL);
    urgent->requests = requests;
    urgent->chan = ferry_channel_ref(chan);
    urgent->terms = *terms;
    urgent->figures.cpu = -1;
    urgent->batch.limit = terms->format ? terms->batch_pages : BATCH_PAGES;
    urgent->writer = ferry_writer_new(chan, err);
    if (!urgent->writer)
        goto fail;
    channel_set_queue(chan, CHANNEL_QUEUE_URGENT);
    ret = -pthread_create(&urgent->thread, NULL, urgent_main, urgent);
    if (ret < 0) {
        ferry_error_set(err, ret, "no thread for the urgent channel: %s", strerror(-ret));
        goto fail;
    }
    urgent->started = true;
    return urgent;

fail:
    page_urgent_free(urgent);
    return NULL;
}

static void join(struct page_urgent *urgent)
{
    page_requests_close(urgent->requests);
    if (urgent->started && !urgent->joined)
        pthread_join(urgent->thread, NULL);
    urgent->joined = true;
}

/* The last word of the channel. */
static int say_end(struct page_urgent *urgent, struct ferry_error *err)
{
    uint64_t before = ferry_writer_offset(urgent->writer);
    int ret = 0;

    if (urgent->terms.format) {
        packet_reset(&urgent->packet, PACKET_END);
        put_header(urgent);
    } else if (urgent->terms.end_with_eos) {
        ram_put_eos(urgent->writer);
    }
    if (ferry_writer_offset(urgent->writer) > before) {
        ret = flush(urgent, before, err);
        count(urgent, 0, 0);
    }
    return ret;
}

/* Who has read the last word may hang up before the goodbye comes: whether all has arrived is told on the return path.
 */
static void say_goodbye(struct page_urgent *urgent)
{
    if (ferry_channel_finish(urgent->chan, NULL) < 0)
        log_debug(LOG_CHANNEL, "%s: closed by the destination first", ferry_channel_label(urgent->chan));
}

int page_urgent_finish(struct page_urgent *urgent, struct ferry_error *err)
{
    struct ferry_error why = { 0 };

    join(urgent);
    if (page_urgent_status(urgent, NULL) == 0 && say_end(urgent, &why) < 0) {
        ferry_error_prefix(&why, "urgent channel");
        fail(urgent, &why);
    }
    if (page_urgent_status(urgent, NULL) == 0)
        say_goodbye(urgent);
    return page_urgent_status(urgent, err);
}

void page_urgent_stop(struct page_urgent *urgent)
{
    struct ferry_error why;

    ferry_error_set(&why, -ESHUTDOWN, "the urgent channel was shut down");
    fail(urgent, &why);
    page_requests_close(urgent->requests);
    ferry_channel_shutdown(urgent->chan, FERRY_READ_WRITE);
}

void page_urgent_figures(struct page_urgent *urgent, struct page_figures *figures)
{
    pthread_mutex_lock(&urgent->lock);
    *figures = urgent->figures;
    pthread_mutex_unlock(&urgent->lock);
}

void page_urgent_free(struct page_urgent *urgent)
{
    if (!urgent)
        return;
    if (urgent->started && !urgent->joined) {
        page_urgent_stop(urgent);
        join(urgent);
    }
    ferry_writer_free(urgent->writer);
    ferry_channel_unref(urgent->chan);
    pthread_mutex_destroy(&urgent->lock);
    free(urgent);
}
