/* SPDX-License-Identifier: BSD-3-Clause */
/* destination_pages.c - the page channels of a session, as its destination uses them */
#include "destination_pages.h"

#include "channel_stats.h"
#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_NS (300 * NS_PER_MS) /* less than a source waits for ours */

void destination_pages_take(struct destination_pages *pages, struct ferry_session *session, struct watchdog *dog,
                            struct gather_result *result)
{
    memset(pages, 0, sizeof(*pages));
    pthread_mutex_init(&pages->lock, NULL);
    pages->session = session;
    pages->dog = dog;
    pages->format = result->kind == HELLO_KIND_FERRY ? &packet_v2 : &packet_v1;
    pages->count = result->pages_count;
    memcpy(pages->chans, result->pages, pages->count * sizeof(pages->chans[0]));
    result->pages_count = 0;
}

/* From a page channel's thread: the load thread may be waiting for the main stream.  A source whose own end of a
 * channel broke says so there before it closes the others, so it is listened to a little longer. */
static void failed(void *opaque)
{
    struct destination_pages *pages = opaque;
    struct ferry_channel *chan = pages->session->chan;

    pthread_mutex_lock(&pages->lock);
    if (pages->heard)
        ; /* the load thread has ended by itself */
    else if (pages->format == &packet_v2)
        deadline_begin(&pages->word, pages->dog, chan, FERRY_READ, clock_now_ns() + WORD_NS);
    else
        ferry_channel_shutdown(chan, FERRY_READ);
    pthread_mutex_unlock(&pages->lock);
}

static void stop_listening(struct destination_pages *pages)
{
    pthread_mutex_lock(&pages->lock);
    if (!pages->heard)
        (void)!deadline_end(&pages->word, 0, "", NULL);
    pages->heard = true;
    pthread_mutex_unlock(&pages->lock);
}

/* v2 numbers blocks as the source's list has them, which need not be the order they were made in here. */
static int begin(struct destination_pages *pages, const struct ram_loader *loader, struct ferry_error *err)
{
    struct ferry_session *session = pages->session;
    const struct ferry_options *options = &session->options;
    struct page_receivers_events events = { failed, pages };
    struct page_terms terms = {
        .format = pages->format,
        .batch_pages = pages->format->batch_pages,
        .codec = pages->format == &packet_v2 ? CODEC_AUTO : (enum codec_id)options->compress,
        .pin = options->pin_threads,
    };

    if (pages->receivers)
        return 0;
    pages->announced = (struct ram_map){ .blocks = loader->blocks, .count = loader->count };
    pages->receivers =
        page_receivers_new(&pages->announced, loader->placer, pages->chans, pages->count, &terms, &events, err);
    return pages->receivers ? 0 : err && err->errnum ? err->errnum : -ENOMEM;
}

static int mark(struct destination_pages *pages, const struct ram_loader *loader, struct ferry_error *err)
{
    int ret = begin(pages, loader, err);

    if (ret == 0)
        ret = page_receivers_sync(pages->receivers, err);
    if (pages->format == &packet_v2 && (ret == -EPIPE || ret == -ECONNRESET))
        return 0; /* the source's word may be next; destination_pages_finish() fails in any case */
    return ret;
}

int destination_pages_record(struct destination_pages *pages, const struct ram_loader *loader, struct ferry_error *err)
{
    if (pages->count == 0)
        return 0;
    if (!pages->marks_known)
        pages->marks_are_records = true;
    pages->marks_known = true;
    return pages->marks_are_records ? mark(pages, loader, err) : 0;
}

int destination_pages_section_end(struct destination_pages *pages, const struct ram_loader *loader,
                                  struct ferry_error *err)
{
    if (pages->count == 0)
        return 0;
    pages->marks_known = true;
    return pages->marks_are_records ? 0 : mark(pages, loader, err);
}

int destination_pages_finish(struct destination_pages *pages, struct ferry_error *err)
{
    return pages->receivers ? page_receivers_finish(pages->receivers, err) : 0;
}

void destination_pages_cause(struct destination_pages *pages, struct ferry_error *err)
{
    struct ferry_error why;

    stop_listening(pages);
    if (err && err->from_peer)
        return;
    if (pages->receivers && page_receivers_status(pages->receivers, &why) < 0 && err)
        *err = why;
}

void destination_pages_total(const struct destination_pages *pages, struct page_figures *total)
{
    memset(total, 0, sizeof(*total));
    for (unsigned i = 0; pages->receivers && i < pages->count; i++) {
        struct page_figures one;

        page_receivers_figures(pages->receivers, i, &one);
        total->bytes += one.bytes;
        total->content_pages += one.content_pages;
        total->zero_pages += one.zero_pages;
    }
}

void destination_pages_note(const struct destination_pages *pages, uint64_t main_bytes)
{
    struct ferry_session *session = pages->session;
    struct ferry_channel_stats *stats = calloc(1 + pages->count, sizeof(*stats));
    unsigned count = 1;

    if (!stats)
        return;
    channel_stats_main(&stats[0], session->chan, main_bytes);
    for (unsigned i = 0; pages->receivers && i < pages->count; i++) {
        struct page_figures one;

        page_receivers_figures(pages->receivers, i, &one);
        channel_stats_pages(&stats[count++], pages->chans[i], &one);
    }
    session_note_channels(session, stats, count);
    free(stats);
}

void destination_pages_close(struct destination_pages *pages)
{
    page_receivers_free(pages->receivers);
    stop_listening(pages);
    for (unsigned i = 0; i < pages->count; i++)
        ferry_channel_unref(pages->chans[i]);
    pages->receivers = NULL;
    pages->count = 0;
}
