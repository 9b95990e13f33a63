/* SPDX-License-Identifier: BSD-3-Clause */
/* source_postcopy.c - what a source needs beside precopy so that the guest may go before its memory */
#include "source_postcopy.h"

#include "bytes.h"
#include "clock.h"
#include "dial.h"
#include "ram_section.h"
#include "section.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ADVISE_BYTES 16

int source_postcopy_wanted(struct source_postcopy *postcopy, struct ferry_session *session, bool mapped,
                           struct ferry_error *err)
{
    const struct ferry_options *options = &session->options;
    const char *label = ferry_channel_label(session->chan);

    memset(postcopy, 0, sizeof(*postcopy));
    postcopy->session = session;
    postcopy->on = options->postcopy != POSTCOPY_OFF;
    if (!postcopy->on)
        return 0;
    if (mapped)
        return ferry_error_set_code(err, FERRY_E_BAD_OPTION, -EINVAL,
                                    "%s: postcopy needs a destination that runs, and this is a file", label);
    if (!ferry_channel_answers(session->chan))
        return ferry_error_set_code(err, FERRY_E_BAD_OPTION, -EINVAL,
                                    "%s: postcopy needs a destination that can ask, and nobody can answer here", label);
    return 0;
}

bool source_postcopy_wants_connection(const struct source_postcopy *postcopy, bool ferry)
{
    const struct ferry_session *session = postcopy->session;

    return postcopy->on && session->uri && (ferry || session->options.postcopy_preempt != PREEMPT_OFF);
}

int source_postcopy_dial(struct source_postcopy *postcopy, const struct hello *main, struct watchdog *dog,
                         struct ferry_error *err)
{
    struct ferry_session *session = postcopy->session;
    struct secure secure = { 0 };
    struct dial_terms terms = {
        .uri = session->uri, .options = &session->options, .main = main, .dog = dog, .secure = &secure
    };
    struct hello_answer answer;
    struct hello hello;
    int ret = 0;

    if (main) {
        ret = dial_another(main, HELLO_URGENT, 0, &hello, err);
        if (ret == 0)
            ret = secure_bind(&secure, &session->secure, session->chan, err);
        if (ret == 0)
            postcopy->chan = dial_connect(&terms, &hello, &answer, err);
        secure_close(&secure);
    } else {
        terms.secure = &session->secure;
        postcopy->chan = dial_bare(&terms, err);
    }
    if (postcopy->chan)
        session_add_channel(session, postcopy->chan);
    return ret < 0 ? ret : postcopy->chan ? 0 : -ENOTCONN;
}

bool source_postcopy_due(const struct source_postcopy *postcopy, uint64_t rounds, unsigned hopeless)
{
    const struct ferry_session *session = postcopy->session;
    const struct ferry_options *options;

    if (!postcopy->on)
        return false;
    options = &session->options;
    if (atomic_load(&session->postcopy_asked))
        return true;
    if (options->postcopy_after_rounds > 0 && rounds >= options->postcopy_after_rounds)
        return true;
    if (options->postcopy_after_ns > 0 && clock_now_ns() - session->started_ns >= (int64_t)options->postcopy_after_ns)
        return true;
    return options->postcopy == POSTCOPY_AUTO && hopeless > 0;
}

void source_postcopy_put_advise(const struct source_postcopy *postcopy, const struct ram_map *map,
                                struct ferry_writer *writer)
{
    uint8_t payload[ADVISE_BYTES];
    uint64_t sizes = 0;

    if (!postcopy->on)
        return;
    for (unsigned i = 0; i < map->count; i++)
        sizes |= map->blocks[i]->info.page_size;
    store_be64(payload, sizes);
    store_be64(payload + 8, FERRY_PAGE_BYTES);
    section_put_command(writer, COMMAND_POSTCOPY_ADVISE, payload, sizeof(payload));
}

/* The destination asks: on the link's thread. */
static int asked(void *opaque, const char *name, uint64_t start, uint32_t length, struct ferry_error *err)
{
    struct source_postcopy *postcopy = opaque;

    if (name)
        postcopy->last = ram_map_find(postcopy->map, name);
    if (!postcopy->last)
        return ferry_error_set_code(err, FERRY_E_BAD_RETURN_MESSAGE, -EPROTO,
                                    "the destination asks for pages of %s%s%s", name ? "block '" : "no block",
                                    name ? name : "", name ? "', which is not there" : "");
    return page_requests_push(postcopy->requests, postcopy->last, start, length, err);
}

/* What the destination has of a block: on the link's thread. */
static int heard(void *opaque, const char *block, struct ferry_reader *reader, struct ferry_error *err)
{
    struct source_postcopy *postcopy = opaque;
    const struct ram_block *at = ram_map_find(postcopy->map, block);
    uint64_t *words;

    if (!at || postcopy->received[at->index])
        return ferry_error_set_code(err, FERRY_E_BAD_RETURN_MESSAGE, -EPROTO, "return path: a bitmap of block '%s', %s",
                                    block, at ? "twice" : "which is not there");
    words = malloc(return_path_bitmap_bytes(at->pages) + sizeof(*words));
    if (!words)
        return ferry_error_set(err, -ENOMEM, "block '%s': no memory for what the destination has of it", block);
    if (return_path_get_bitmap(reader, at->pages, words) < 0) {
        free(words);
        return ferry_reader_status(reader, err);
    }
    postcopy->received[at->index] = words;
    return 0;
}

static void forget_received(struct source_postcopy *postcopy)
{
    for (unsigned i = 0; i < FERRY_BLOCKS_MAX; i++) {
        free(postcopy->received[i]);
        postcopy->received[i] = NULL;
    }
}

void source_postcopy_part(struct source_postcopy *postcopy)
{
    struct page_figures urgent;

    if (postcopy->urgent)
        page_urgent_stop(postcopy->urgent);
    source_postcopy_figures(postcopy, &urgent);
    postcopy->before = urgent;
    page_urgent_free(postcopy->urgent);
    ferry_channel_unref(postcopy->chan);
    postcopy->urgent = NULL;
    postcopy->chan = NULL;
    postcopy->last = NULL;
    page_requests_reset(postcopy->requests);
    forget_received(postcopy);
}

void source_postcopy_hear(struct source_postcopy *postcopy, struct link *link)
{
    struct link_server server = { .request = asked, .bitmap = heard, .opaque = postcopy };

    link_serve(link, &server);
}

int source_postcopy_serve_again(struct source_postcopy *postcopy, struct link *link,
                                const struct page_urgent_terms *terms, struct ferry_error *err)
{
    if (!postcopy->chan)
        return 0;
    postcopy->urgent = page_urgent_new(postcopy->requests, postcopy->chan, terms, err);
    return postcopy->urgent ? 0 : -EAGAIN;
}

int source_postcopy_serve(struct source_postcopy *postcopy, struct page_walk *walk, struct link *link,
                          const struct page_urgent_terms *terms, struct ferry_error *err)
{
    struct link_server server = { .request = asked, .opaque = postcopy };

    postcopy->map = walk->map;
    postcopy->switched_ns = clock_now_ns();
    postcopy->requests = page_requests_new(walk, (unsigned)postcopy->session->options.postcopy_prefetch, err);
    if (!postcopy->requests)
        return -ENOMEM;
    if (postcopy->chan) {
        postcopy->urgent = page_urgent_new(postcopy->requests, postcopy->chan, terms, err);
        if (!postcopy->urgent)
            return -EAGAIN;
    }
    link_serve(link, &server);
    return 0;
}

unsigned source_postcopy_put_requested(struct source_postcopy *postcopy, struct precopy *precopy)
{
    enum page_requests_kind kind = PAGE_REQUESTS_URGENT;
    struct page_batch batch;
    unsigned count = 0;

    while (!postcopy->urgent && kind == PAGE_REQUESTS_URGENT) {
        batch.limit = BATCH_PAGES;
        kind = page_requests_next(postcopy->requests, &batch, 0);
        if (kind != PAGE_REQUESTS_URGENT && kind != PAGE_REQUESTS_PREFETCH)
            break;
        precopy_put(precopy, &batch);
        count++;
    }
    return count;
}

int source_postcopy_status(struct source_postcopy *postcopy, struct ferry_error *err)
{
    return postcopy->urgent ? page_urgent_status(postcopy->urgent, err) : 0;
}

int source_postcopy_drain(struct source_postcopy *postcopy, struct link *link, struct ferry_error *err)
{
    int ret = source_postcopy_status(postcopy, err);

    while (ret == 0 && postcopy->urgent && page_requests_waiting(postcopy->requests)) {
        clock_sleep_until_ns(clock_now_ns() + NS_PER_MS);
        ret = source_postcopy_status(postcopy, err);
        if (ret == 0)
            ret = link_status(link, err);
    }
    return ret;
}

int source_postcopy_finish(struct source_postcopy *postcopy, struct ferry_error *err)
{
    if (postcopy->urgent)
        return page_urgent_finish(postcopy->urgent, err);
    return 0;
}

void source_postcopy_figures(const struct source_postcopy *postcopy, struct page_figures *figures)
{
    memset(figures, 0, sizeof(*figures));
    if (postcopy->urgent)
        page_urgent_figures(postcopy->urgent, figures);
    figures->bytes += postcopy->before.bytes;
    figures->content_pages += postcopy->before.content_pages;
    figures->zero_pages += postcopy->before.zero_pages;
}

void source_postcopy_stats(const struct source_postcopy *postcopy, struct ferry_stats *stats)
{
    struct page_requests_figures figures;

    if (!postcopy->requests)
        return;
    page_requests_figures(postcopy->requests, &figures);
    stats->postcopy.requests = figures.requests;
    stats->postcopy.repeated = figures.repeated;
    stats->postcopy.already_sent = figures.already_sent;
    stats->postcopy.requested_pages = figures.pages;
    stats->postcopy.prefetched_pages = figures.prefetched;
    stats->postcopy.prefetch_hits = figures.prefetch_hits;
    stats->postcopy.time_ns = clock_now_ns() - postcopy->switched_ns;
}

int source_postcopy_broken(struct ferry_error *err)
{
    ferry_error_prefix(err, "the guest is at the destination, and some of its memory is still here");
    ferry_error_code(err, FERRY_E_POSTCOPY_INTERRUPTED);
    err->errnum = -ENOTRECOVERABLE;
    return -ENOTRECOVERABLE;
}

void source_postcopy_close(struct source_postcopy *postcopy)
{
    page_urgent_free(postcopy->urgent);
    page_requests_free(postcopy->requests);
    forget_received(postcopy);
    ferry_channel_unref(postcopy->chan);
    memset(postcopy, 0, sizeof(*postcopy));
}
