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
    pages->urgent = result->urgent;
    result->urgent = NULL;
    for (unsigned i = 0; i < pages->count; i++)
        session_add_channel(session, pages->chans[i]);
    if (pages->urgent)
        session_add_channel(session, pages->urgent);
}

void destination_pages_carry(struct destination_pages *pages, const struct page_parts_sink *sink)
{
    pages->parts = *sink;
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

static struct page_terms terms_of(const struct destination_pages *pages)
{
    const struct ferry_options *options = &pages->session->options;

    return (struct page_terms){
        .format = pages->format,
        .batch_pages = pages->format->batch_pages,
        .codec = pages->format == &packet_v2 ? CODEC_AUTO : (enum codec_id)options->compress,
        .pin = options->pin_threads,
        .parts = pages->parts.put ? &pages->parts : NULL,
    };
}

/* v2 numbers blocks as the source's list has them, which need not be the order they were made in here. */
static int begin(struct destination_pages *pages, const struct ram_loader *loader, struct ferry_error *err)
{
    struct page_receivers_events events = { failed, pages };
    struct page_terms terms = terms_of(pages);

    if (pages->receivers)
        return 0;
    pages->announced = (struct ram_map){ .blocks = loader->blocks, .count = loader->count };
    pages->receivers =
        page_receivers_new(&pages->announced, loader->placer, pages->chans, pages->count, &terms, &events, err);
    return pages->receivers ? 0 : err && err->errnum ? err->errnum : -ENOMEM;
}

/* While it waits for page channels the load thread does not read the main stream. */
static void note_wait(struct destination_pages *pages, bool waits)
{
    pthread_mutex_lock(&pages->lock);
    pages->waits_ns = waits ? clock_now_ns() : 0;
    pthread_mutex_unlock(&pages->lock);
}

int64_t destination_pages_wait_since_ns(struct destination_pages *pages)
{
    int64_t now_ns = clock_now_ns(), since_ns = now_ns;
    struct page_figures total;

    pthread_mutex_lock(&pages->lock);
    if (pages->waits_ns) {
        destination_pages_total(pages, &total);
        if (total.bytes > pages->came)
            pages->waits_ns = now_ns;
        pages->came = total.bytes;
        since_ns = pages->waits_ns;
    }
    pthread_mutex_unlock(&pages->lock);
    return since_ns;
}

static int finish(struct destination_pages *pages, struct page_receivers *receivers, struct ferry_error *err)
{
    int ret;

    note_wait(pages, true);
    ret = page_receivers_finish(receivers, err);
    note_wait(pages, false);
    return ret;
}

static int mark(struct destination_pages *pages, const struct ram_loader *loader, struct ferry_error *err)
{
    int ret = begin(pages, loader, err);

    if (ret < 0)
        return ret;
    note_wait(pages, true);
    ret = page_receivers_sync(pages->receivers, err);
    note_wait(pages, false);
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

int destination_pages_still(struct destination_pages *pages, struct ferry_error *err)
{
    int ret;

    if (!pages->receivers)
        return 0;
    note_wait(pages, true);
    ret = page_receivers_await_postcopy(pages->receivers, err);
    note_wait(pages, false);
    return ret;
}

void destination_pages_discard(struct destination_pages *pages, const struct ram_block *block, uint64_t first,
                               uint64_t count)
{
    if (pages->receivers)
        page_receivers_discard(pages->receivers, block, first, count);
}

/* Channels that are silent as long as nothing is asked for must not be taken for dead either. */
static int listen_urgent(struct destination_pages *pages, const struct ram_loader *loader, struct ferry_error *err)
{
    struct page_receivers_events events = { failed, pages };
    struct page_terms terms = terms_of(pages);

    if (!pages->urgent)
        return 0;
    if (!pages->receivers) /* else they read it */
        pages->announced = (struct ram_map){ .blocks = loader->blocks, .count = loader->count };
    pages->urgently = page_receivers_new_postcopy(&pages->announced, &pages->views[pages->count], &pages->urgent, 1,
                                                  &terms, &events, err);
    return pages->urgently ? 0 : err->errnum ? err->errnum : -ENOMEM;
}

int destination_pages_listen(struct destination_pages *pages, const struct ram_loader *loader, struct postcopy_ram *ram,
                             struct ferry_error *err)
{
    int ret;

    pages->views = calloc(pages->count + 1, sizeof(struct placer *));
    if (!pages->views)
        return ferry_error_set(err, -ENOMEM, "no memory for placers");
    for (unsigned i = 0; i < pages->count + (pages->urgent ? 1 : 0); i++) {
        pages->views[i] = postcopy_ram_placer(ram, err);
        if (!pages->views[i])
            return -ENOMEM;
    }
    ret = listen_urgent(pages, loader, err);
    if (ret < 0 || !pages->receivers)
        return ret;
    note_wait(pages, true);
    ret = page_receivers_begin_postcopy(pages->receivers, pages->views, err);
    note_wait(pages, false);
    return ret;
}

int destination_pages_finish_urgent(struct destination_pages *pages, struct ferry_error *err)
{
    return pages->urgently ? finish(pages, pages->urgently, err) : 0;
}

int destination_pages_finish(struct destination_pages *pages, struct ferry_error *err)
{
    return pages->receivers ? finish(pages, pages->receivers, err) : 0;
}

void destination_pages_cause(struct destination_pages *pages, struct ferry_error *err)
{
    struct ferry_error why;

    stop_listening(pages);
    if (err && err->from_peer)
        return;
    if (pages->receivers && page_receivers_status(pages->receivers, &why) < 0 && err)
        *err = why;
    else if (pages->urgently && page_receivers_status(pages->urgently, &why) < 0 && err)
        *err = why;
}

static void add(struct page_figures *total, struct page_receivers *receivers, unsigned channel)
{
    struct page_figures one;

    page_receivers_figures(receivers, channel, &one);
    total->bytes += one.bytes;
    total->content_pages += one.content_pages;
    total->zero_pages += one.zero_pages;
}

void destination_pages_total(const struct destination_pages *pages, struct page_figures *total)
{
    *total = (struct page_figures){ .bytes = pages->before.bytes,
                                    .content_pages = pages->before.content_pages,
                                    .zero_pages = pages->before.zero_pages };
    for (unsigned i = 0; pages->receivers && i < pages->count; i++)
        add(total, pages->receivers, i);
    if (pages->urgently)
        add(total, pages->urgently, 0);
}

void destination_pages_note(const struct destination_pages *pages, uint64_t main_bytes)
{
    struct ferry_session *session = pages->session;
    struct ferry_channel_stats *stats = calloc(2 + pages->count, sizeof(*stats));
    unsigned count = 1;

    if (!stats)
        return;
    channel_stats_main(&stats[0], session->chan, main_bytes);
    for (unsigned i = 0; pages->receivers && i < pages->count; i++) {
        struct page_figures one;

        page_receivers_figures(pages->receivers, i, &one);
        channel_stats_pages(&stats[count++], pages->chans[i], &one);
    }
    if (pages->urgently) {
        struct page_figures one;

        page_receivers_figures(pages->urgently, 0, &one);
        channel_stats_urgent(&stats[count++], pages->urgent, &one);
    }
    session_note_channels(session, stats, count);
    free(stats);
}

void destination_pages_close(struct destination_pages *pages)
{
    page_receivers_free(pages->receivers);
    page_receivers_free(pages->urgently);
    stop_listening(pages);
    for (unsigned i = 0; pages->views && i <= pages->count; i++)
        placer_free(pages->views[i]);
    free(pages->views);
    ferry_channel_unref(pages->urgent);
    for (unsigned i = 0; i < pages->count; i++)
        ferry_channel_unref(pages->chans[i]);
    pages->receivers = pages->urgently = NULL;
    pages->views = NULL;
    pages->urgent = NULL;
    pages->count = 0;
}

void destination_pages_part(struct destination_pages *pages)
{
    if (pages->receivers)
        page_receivers_stop(pages->receivers);
    if (pages->urgently)
        page_receivers_stop(pages->urgently);
    destination_pages_total(pages, &pages->before);
    destination_pages_close(pages);
}
