/* SPDX-License-Identifier: BSD-3-Clause */
/* source_pages.c - the page channels of a session, as its source uses them */
#include "source_pages.h"

#include "capabilities.h"
#include "channel.h"
#include "channel_stats.h"
#include "clock.h"
#include "cpu.h"
#include "dial.h"
#include "guest_parts.h"
#include "log.h"
#include "peer_version.h"
#include "source_peer.h"

#include <errno.h>
#include <ferry/zero_copy.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Page channels to connect, where it is left to us: how many of them are used is found out (widen.h). */
#define AUTO_LEAST 2
#define AUTO_MOST  8

/* What a window must hold to say something about how fast pages go. */
#define WINDOW_NS    (150 * NS_PER_MS)
#define WINDOW_BYTES (UINT64_C(1) << 20)

static uint64_t agreed_protocol(struct ferry_session *session)
{
    uint64_t protocol = session_stats_lock(session)->peer.protocol;

    session_stats_unlock(session);
    return protocol;
}

/* What pages are to go through now. */
static enum codec_id codec_now(struct ferry_session *session)
{
    uint64_t compress = atomic_load(&session->compress);

    return compress == COMPRESS_AUTO ? CODEC_AUTO : (enum codec_id)compress;
}

static uint64_t auto_count(void)
{
    uint64_t processors = (uint64_t)cpu_count();

    return processors < AUTO_LEAST ? AUTO_LEAST : processors > AUTO_MOST ? AUTO_MOST : processors;
}

/* What goes without page channels in the qemu dialect. */
static bool wants_deltas(const struct ferry_session *session)
{
    uint64_t channels = session->options.channels;

    return codec_now((struct ferry_session *)session) == CODEC_XBZRLE && (channels == 0 || channels == OPTION_AUTO) &&
           !source_peer_speaks_ferry(session);
}

int source_pages_wanted(struct source_pages *pages, struct ferry_session *session, struct ferry_error *err)
{
    const struct ferry_options *options = &session->options;
    uint64_t wanted = options->channels;
    bool raw = codec_now(session) == CODEC_NONE;

    memset(pages, 0, sizeof(*pages));
    pages->session = session;
    if (options->mapped_ram == MAPPED_RAM_ON)
        session_fix_compress(session, "pages in their places in a file go as they are");
    if (options->mapped_ram == MAPPED_RAM_ON)
        return 0; /* pages have their places in a file; `channels` is how many threads write them */
    pages->deltas = wants_deltas(session);
    if (pages->deltas) {
        session_fix_compress(session, "on the main connection pages go as differences from the beginning or never");
        return 0;
    }
    if (wanted == OPTION_AUTO)
        wanted = session->uri ? auto_count() : 0;
    if (wanted == 0 && !raw && session->uri)
        wanted = 1; /* codecs live on page channels */
    if (wanted > 0 && !session->uri)
        return ferry_error_set_code(err, FERRY_E_BAD_OPTION, -EINVAL,
                                    "%s: page channels need an address that can be connected to several times",
                                    ferry_channel_label(session->chan));
    if (!raw && wanted == 0)
        return ferry_error_set_code(err, FERRY_E_BAD_OPTION, -EINVAL,
                                    "%s: compression needs page channels, and they need an address that can be "
                                    "connected to several times",
                                    ferry_channel_label(session->chan));
    pages->count = (unsigned)wanted;
    if (wanted == 0)
        session_fix_compress(session, "pages are compressed on page channels, and there are none");
    return 0;
}

/* What the plain dialect has.  It announces nothing, so nothing is chosen for the other end. */
static int check_plain(struct source_pages *pages, struct ferry_session *session, struct ferry_error *err)
{
    session_fix_compress(session, "in the qemu dialect both ends are told before");
    if (session->options.channels == OPTION_AUTO && codec_now(session) == CODEC_NONE)
        pages->count = 0;
    else if (session->options.channels == OPTION_AUTO)
        return ferry_error_set_code(err, FERRY_E_BAD_OPTION, -EINVAL,
                                    "in the qemu dialect both ends must be told how many page channels there are");
    if (session->options.postcopy != POSTCOPY_OFF && pages->count > 0)
        return ferry_error_set_code(err, FERRY_E_BAD_OPTION, -EINVAL,
                                    "the qemu dialect has no page channels in postcopy: leave out one of the two");
    if (atomic_load(&session->compress) > COMPRESS_ZSTD)
        return ferry_error_set_code(err, FERRY_E_BAD_OPTION, -EINVAL,
                                    "the qemu dialect has none, zlib and zstd on page channels, and xbzrle without "
                                    "them (channels=0)");
    return 0;
}

/* As the QEMU of that machine does it. */
static int use_version(struct source_pages *pages, struct ferry_error *err)
{
    const struct ferry_session *session = pages->session;
    enum peer_version_choice version = peer_version_of(session->options.peer_version, session->guest->machine);

    pages->ends_are_marks = version < PEER_VERSION_8_1;
    if (version >= PEER_VERSION_9_0)
        return 0;
    pages->zeros = page_zeros_new(&session->guest->ram);
    return pages->zeros ? 0 : ferry_error_set(err, -ENOMEM, "no memory to note zero pages");
}

int source_pages_dial(struct source_pages *pages, const struct hello *main, struct watchdog *dog,
                      struct ferry_error *err)
{
    struct ferry_session *session = pages->session;
    struct secure secure = { 0 };
    struct dial_terms terms = {
        .uri = session->uri, .options = &session->options, .main = main, .dog = dog, .secure = &secure
    };
    int ret;

    if (pages->count == 0)
        return 0;
    ret = main ? 0 : check_plain(pages, session, err);
    if (ret < 0 || pages->count == 0)
        return ret;
    ret = main ? 0 : use_version(pages, err);
    if (ret < 0)
        return ret;
    if (main && !(agreed_protocol(session) & CAPABILITY_PACKET_V2))
        return ferry_error_set(err, -ENOTSUP, "%s: the destination has no page channels",
                               ferry_channel_label(session->chan));
    pages->chans = calloc(pages->count, sizeof(*pages->chans));
    if (!pages->chans)
        return ferry_error_set(err, -ENOMEM, "no memory for %u page channels", pages->count);
    ret = main ? secure_bind(&secure, &session->secure, session->chan, err) : 0;
    terms.secure = main ? &secure : &session->secure;
    if (ret == 0)
        ret = dial_pages(&terms, pages->count, pages->chans, err);
    for (unsigned i = 0; ret == 0 && i < pages->count; i++)
        session_add_channel(session, pages->chans[i]);
    secure_close(&secure);
    return ret;
}

/* A channel that has none says so and goes on. */
static void lend_memory(struct source_pages *pages)
{
    uint64_t choice = pages->session->options.zero_copy_send;
    struct ferry_error why;

    for (unsigned i = 0; choice != ZERO_COPY_OFF && i < pages->count; i++) {
        /* Memory is not registered: that would touch all of it, and trackers would take it for written. */
        int ret = choice == ZERO_COPY_URING ? ferry_channel_set_zero_copy_ring(pages->chans[i], NULL, 0, &why)
                                            : ferry_channel_set_zero_copy(pages->chans[i], true, &why);

        if (ret < 0)
            log_info(LOG_SESSION, "%s", why.text);
    }
}

/* 0 is a level of some, and to the codecs the default. */
static int level_of(uint64_t option)
{
    if (option == OPTION_AUTO)
        return 0;
    return option == 0 ? CODEC_LEVEL_ZERO : (int)option;
}

static void terms_of(const struct source_pages *pages, struct page_terms *terms)
{
    struct ferry_session *session = pages->session;
    const struct ferry_options *options = &session->options;
    uint64_t agreed = agreed_protocol(session);

    *terms = (struct page_terms){
        .format = agreed & CAPABILITY_PACKET_V2 ? &packet_v2 : &packet_v1,
        .batch_pages = (unsigned)options->batch_pages,
        .codec = codec_now(session),
        .level = level_of(options->compress_level),
        .sums = options->page_sums == SUMS_ON || (options->page_sums == SUMS_AUTO && !secure_is_on(&session->secure)),
        .pin = options->pin_threads,
        .limit = session->limit,
        .zeros = pages->zeros,
    };
    if (!(agreed & CAPABILITY_LARGE_BATCH) && terms->batch_pages > BATCH_PAGES)
        terms->batch_pages = BATCH_PAGES;
}

int source_pages_open(struct source_pages *pages, struct page_walk *walk, struct ferry_error *err)
{
    struct page_terms terms;

    if (pages->count == 0)
        return 0;
    terms_of(pages, &terms);
    lend_memory(pages);
    pages->senders = page_senders_new(walk, pages->chans, pages->count, &terms, err);
    if (!pages->senders)
        return err && err->errnum ? err->errnum : -ENOMEM;
    widen_init(&pages->widen, pages->count);
    if (pages->session->options.channels == OPTION_AUTO)
        page_senders_use(pages->senders, pages->widen.used);
    return 0;
}

/* For @ns more the channels in use were at work.  Bytes of the guest: those on the wire say little about a codec. */
static void look_wider(struct source_pages *pages, int64_t ns)
{
    struct page_figures total;
    uint64_t bytes;

    pages->window_ns += ns;
    if (pages->session->options.channels != OPTION_AUTO || pages->widen.settled || pages->window_ns < WINDOW_NS)
        return;
    source_pages_total(pages, &total);
    bytes = (total.content_pages - pages->window_pages) << FERRY_PAGE_SHIFT;
    if (bytes < WINDOW_BYTES)
        return;
    page_senders_use(pages->senders,
                     widen_told(&pages->widen, (uint64_t)((double)bytes * NS_PER_SEC / (double)pages->window_ns)));
    log_debug(LOG_SESSION, "%" PRIu64 " MiB of pages in %" PRId64 " ms: %u of %u page channels from now on",
              bytes >> 20, pages->window_ns / NS_PER_MS, pages->widen.used, pages->count);
    pages->window_ns = 0;
    pages->window_pages = total.content_pages;
}

/* *more: the time is over.  A channel that failed may have timed out as well, and says why. */
static int await_senders(const struct source_pages *pages, int64_t ns, bool *more, struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    int ret = page_senders_wait(pages->senders, ns, &why);

    *more = ret < 0 && why.errnum == 0;
    if (ret == 0 || *more)
        return 0;
    if (err)
        *err = why;
    return ret;
}

int source_pages_work(struct source_pages *pages, int64_t ns, bool *more, struct ferry_error *err)
{
    int64_t began_ns = clock_now_ns();
    int ret;

    *more = false;
    if (!pages->senders)
        return 0;
    ret = page_senders_set_codec(pages->senders, codec_now(pages->session), err);
    if (ret < 0)
        return ret;
    if (!pages->at_work)
        page_senders_begin(pages->senders, pages->round);
    pages->at_work = true;
    ret = await_senders(pages, ns, more, err);
    pages->at_work = *more;
    look_wider(pages, clock_now_ns() - began_ns);
    return ret;
}

void source_pages_carry(struct source_pages *pages, const struct page_parts_source *parts)
{
    if (pages->senders)
        page_senders_carry(pages->senders, parts);
}

int source_pages_sync(struct source_pages *pages, struct ferry_error *err)
{
    pages->round++;
    return pages->senders ? page_senders_sync(pages->senders, err) : 0;
}

void source_pages_put_zeros(struct source_pages *pages, struct ferry_writer *writer, const struct ram_block **last)
{
    if (pages->zeros)
        page_zeros_put(pages->zeros, writer, last);
}

void source_pages_begin_postcopy(struct source_pages *pages)
{
    if (!pages->senders)
        return;
    for (unsigned i = 0; i < pages->count; i++)
        channel_set_queue(pages->chans[i], CHANNEL_QUEUE_BACKGROUND);
    page_senders_use(pages->senders, pages->count);
    page_senders_begin_postcopy(pages->senders, pages->round);
    pages->at_work = true;
}

void source_pages_urgent_terms(const struct source_pages *pages, struct page_urgent_terms *terms)
{
    struct page_terms ours;

    terms_of(pages, &ours);
    terms->format = ours.format;
    terms->batch_pages = ours.batch_pages;
    terms->sums = ours.sums;
    terms->round = pages->round;
}

int source_pages_status(const struct source_pages *pages, struct ferry_error *err)
{
    bool more;

    return pages->senders ? await_senders(pages, 0, &more, err) : 0;
}

int source_pages_finish(struct source_pages *pages, struct ferry_error *err)
{
    return pages->senders ? page_senders_finish(pages->senders, err) : 0;
}

unsigned source_pages_use_all(struct source_pages *pages, unsigned *used)
{
    unsigned before;

    *used = pages->count;
    if (!pages->senders || pages->session->options.channels != OPTION_AUTO)
        return 0;
    before = pages->widen.used;
    pages->widen.used = pages->count;
    pages->widen.settled = true;
    page_senders_use(pages->senders, pages->count);
    return pages->count - before;
}

void source_pages_total(const struct source_pages *pages, struct page_figures *total)
{
    *total = (struct page_figures){ .bytes = pages->before.bytes,
                                    .content_pages = pages->before.content_pages,
                                    .zero_pages = pages->before.zero_pages };
    for (unsigned i = 0; pages->senders && i < pages->count; i++) {
        struct page_figures one;

        page_senders_figures(pages->senders, i, &one);
        total->bytes += one.bytes;
        total->content_pages += one.content_pages;
        total->zero_pages += one.zero_pages;
    }
}

void source_pages_note(const struct source_pages *pages, const struct page_figures *main,
                       const struct ferry_channel *urgent, const struct page_figures *urgent_figures)
{
    struct ferry_session *session = pages->session;
    struct ferry_channel_stats *stats = calloc(2 + pages->count, sizeof(*stats));
    unsigned count = 1;

    if (!stats)
        return;
    channel_stats_main(&stats[0], session->chan, main->bytes);
    if (pages->deltas)
        channel_stats_codecs(&stats[0], main);
    for (unsigned i = 0; pages->senders && i < pages->count; i++) {
        struct page_figures one;

        page_senders_figures(pages->senders, i, &one);
        channel_stats_pages(&stats[count], pages->chans[i], &one);
        stats[count].unused = session->options.channels == OPTION_AUTO && i >= pages->widen.used;
        if (session->options.zero_copy_send)
            channel_stats_zero_copy(&stats[count], pages->chans[i]);
        count++;
    }
    if (urgent)
        channel_stats_urgent(&stats[count++], urgent, urgent_figures);
    session_note_channels(session, stats, count);
    free(stats);
}

void source_pages_close(struct source_pages *pages)
{
    page_senders_free(pages->senders);
    for (unsigned i = 0; pages->chans && i < pages->count; i++)
        ferry_channel_unref(pages->chans[i]);
    free(pages->chans);
    page_zeros_free(pages->zeros);
    pages->senders = NULL;
    pages->zeros = NULL;
    pages->chans = NULL;
}

void source_pages_part(struct source_pages *pages)
{
    if (pages->senders)
        page_senders_stop(pages->senders);
    source_pages_total(pages, &pages->before);
    source_pages_close(pages);
    pages->count = 0;
    pages->at_work = false;
}
