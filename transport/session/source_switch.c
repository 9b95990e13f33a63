/* SPDX-License-Identifier: BSD-3-Clause */
/* source_switch.c - the guest moves now, its memory follows
 *
 *      precopy    hold the walk | SYNC, mark | the destination catches up
 *                 stop | last sync | SYNC | DISCARD what is dirty | PACKAGED { LISTEN, devices }
 *      hand over  ferry: READY <- | COMMIT -> | RUNNING <-         qemu: { ... RUN } and it is gone
 *      postcopy   requested pages and background, each page once | END ram | END devices | EOF | SHUT <-
 *
 * Requested pages are served from before the package goes: a device may touch memory while it is loaded.  Until the
 * right to run was given away any failure leaves the guest here.
 */
#include "bytes.h"
#include "clock.h"
#include "ram_section.h"
#include "source_parts.h"
#include "state_sections.h"
#include "writer.h"

#include <errno.h>
#include <string.h>

#define PACKAGE_MAX    (64u << 20) /* of device state */
#define DISCARD_RANGES 12          /* in one command, as QEMU has it */
#define PING_LAST      3           /* the cookie in QEMU's package */

/* ---- before ------------------------------------------------------------------------------------------------------ */

/* What page channels have taken is handed over; nothing more is taken. */
static int quiet(struct source *source, struct ferry_error *err)
{
    bool more;
    int ret;

    walk_hold(&source->precopy.walk, true);
    ret = source_send_section(source, SECTION_PART, &more, err);
    while (ret == 0 && more)
        ret = source_send_section(source, SECTION_PART, &more, err);
    walk_hold(&source->precopy.walk, false);
    return ret == 0 ? source_peer_catch_up(&source->peer, err) : ret;
}

/* What devices have to send, a turn of each; their first data may be what they wait for. */
static int send_devices(struct source *source, struct ferry_error *err)
{
    bool more = false;
    int ret = departure_some(&source->departure, &more, err);

    if (ret == 0 && !more)
        (void)departure_pending(&source->departure);
    if (ret == 0)
        ret = source_peer_look(&source->peer, err);
    return ret == 0 ? ferry_writer_flush(source->writer, err) : ret;
}

/* Devices may say "not yet". */
static int await_devices(struct source *source, struct ferry_error *err)
{
    bool now = false;
    int ret = 0;

    while (ret == 0) {
        source_peer_lend(&source->peer);
        ret = departure_may_switch(&source->departure, source_peer_acked(&source->peer), &now, err);
        source_peer_claim(&source->peer);
        if (ret < 0 || now)
            break;
        ret = send_devices(source, err);
    }
    return ret;
}

/* ---- discard ----------------------------------------------------------------------------------------------------- */

struct discards {
    struct ferry_writer *writer;
    const struct ram_block *block;
    unsigned ranges;
    uint8_t payload[3 + FERRY_BLOCK_NAME_MAX + 16 * DISCARD_RANGES];
};

static void put_discards(struct discards *discards)
{
    const char *name;
    size_t bytes;

    if (discards->ranges == 0)
        return;
    name = discards->block->info.name;
    bytes = 3 + strlen(name) + 16 * (size_t)discards->ranges;
    section_put_command(discards->writer, COMMAND_POSTCOPY_RAM_DISCARD, discards->payload, (uint16_t)bytes);
    discards->ranges = 0;
}

/* A walk_run_fn. */
static int add_discard(void *opaque, const struct ram_block *block, uint64_t first, uint64_t count)
{
    struct discards *discards = opaque;
    size_t name = strlen(block->info.name);
    uint8_t *at = discards->payload;

    if (block != discards->block || discards->ranges == DISCARD_RANGES)
        put_discards(discards);
    discards->block = block;
    at[0] = 0;
    at[1] = (uint8_t)name;
    memcpy(at + 2, block->info.name, name);
    at[2 + name] = 0;
    at += 3 + name + 16 * (size_t)discards->ranges++;
    store_be64(at, first << FERRY_PAGE_SHIFT);
    store_be64(at + 8, count << FERRY_PAGE_SHIFT);
    return 0;
}

static void discard(struct source *source)
{
    struct discards discards = { .writer = source->writer };

    walk_each_dirty_run(&source->precopy.walk, add_discard, &discards);
    put_discards(&discards);
}

/* ---- the package ------------------------------------------------------------------------------------------------- */

static int fill_package(struct source *source, struct ferry_writer *package, struct ferry_error *err)
{
    uint8_t cookie[4];
    int ret;

    section_put_command(package, COMMAND_POSTCOPY_LISTEN, NULL, 0);
    ret = state_sections_put(source->guest, package, departure_next_id(&source->departure), &source->device_bytes, err);
    if (ret < 0)
        return ret;
    if (!source->peer.ferry) {
        store_be32(cookie, PING_LAST);
        section_put_command(package, COMMAND_PING, cookie, sizeof(cookie));
        section_put_command(package, COMMAND_POSTCOPY_RUN, NULL, 0);
    }
    return ferry_writer_flush(package, err);
}

static int put_package(struct source *source, struct ferry_error *err)
{
    struct ferry_channel *chan = ferry_channel_buffer_writer(PACKAGE_MAX, err);
    struct ferry_writer *package = chan ? ferry_writer_new(chan, err) : NULL;
    uint8_t length[4];
    const void *data;
    size_t bytes;
    int ret = package ? fill_package(source, package, err) : -ENOMEM;

    if (ret == 0) {
        data = ferry_channel_buffer_data(chan, &bytes);
        store_be32(length, (uint32_t)bytes);
        section_put_command(source->writer, COMMAND_PACKAGED, length, sizeof(length));
        ferry_put_bytes(source->writer, data, bytes);
    }
    ferry_writer_free(package);
    ferry_channel_unref(chan);
    return ret;
}

/* ---- the switch -------------------------------------------------------------------------------------------------- */

/* Who answers requests is there before anybody can ask. */
static int serve(struct source *source, struct ferry_error *err)
{
    struct page_urgent_terms terms = { .limit = source->session->limit };

    source_pages_urgent_terms(&source->pages, &terms);
    terms.end_with_eos = !source->peer.ferry && source->session->options.postcopy_preempt == PREEMPT_EARLY;
    if (!source->peer.ferry)
        terms.format = NULL;
    return source_postcopy_serve(&source->postcopy, &source->precopy.walk, source->peer.link, &terms, err);
}

/* While the destination loads, or is asked for its word: the migration thread answers where nobody else does. */
static int meanwhile(void *opaque, struct ferry_error *err)
{
    struct source *source = opaque;
    int ret;

    if (source->pages.count > 0) {
        ret = source_pages_status(&source->pages, err);
        if (ret < 0)
            return ret;
    }
    if (source->postcopy.urgent || !page_requests_waiting(source->postcopy.requests))
        return source_postcopy_status(&source->postcopy, err);
    section_put_next(source->writer, SECTION_PART, SOURCE_RAM_SECTION_ID);
    source_postcopy_put_requested(&source->postcopy, &source->precopy);
    ram_put_eos(source->writer);
    section_put_footer(source->writer, SOURCE_RAM_SECTION_ID);
    return ferry_writer_flush(source->writer, err);
}

/* The guest stands still; all is put that the destination needs before it may run. */
static int put_switch(struct source *source, struct ferry_error *err)
{
    struct page_walk *walk = &source->precopy.walk;
    uint64_t changed;
    int ret = precopy_sync(&source->precopy, &changed, err);

    if (ret == 0 && source->precopy.normal + source->precopy.zero + source->precopy.channel_bytes == 0)
        ret = walk_look_untouched(walk, err);
    if (ret < 0)
        return ret;
    walk_begin_postcopy(walk);
    ret = departure_complete_before(&source->departure, err);
    if (ret == 0)
        ret = source_pages_sync(&source->pages, err);
    if (ret < 0)
        return ret;
    discard(source);
    session_note_step(source->session, SESSION_PAGES_PUT);
    precopy_drop_deltas(&source->precopy);
    ret = serve(source, err);
    return ret == 0 ? put_package(source, err) : ret;
}

/* 0: the guest is the destination's.  Else as source_peer_hand_over(). */
static int let_go(struct source *source, struct ferry_error *err)
{
    int ret = source_stop(source, err);

    if (ret == 0) {
        source_peer_prepare(&source->peer);
        ret = put_switch(source, err);
    }
    if (ret < 0)
        return ret;
    session_limit_postcopy(source->session);
    source_pages_begin_postcopy(&source->pages);
    source->peer.meanwhile = meanwhile;
    source->peer.meanwhile_opaque = source;
    return source_peer_let_go(&source->peer, err);
}

/* ---- after ------------------------------------------------------------------------------------------------------- */

/* One PART section on the main connection; what is requested goes first. */
static bool send_part(struct source *source)
{
    int64_t until_ns = clock_now_ns() + SOURCE_PART_NS;
    bool more;

    section_put_next(source->writer, SECTION_PART, SOURCE_RAM_SECTION_ID);
    do {
        if (source_postcopy_put_requested(&source->postcopy, &source->precopy) > 0)
            (void)!ferry_writer_flush(source->writer, NULL); /* the writer remembers */
        more = precopy_send_some(&source->precopy);
    } while (more && clock_now_ns() < until_ns && ferry_writer_status(source->writer, NULL) == 0);
    ram_put_eos(source->writer);
    section_put_footer(source->writer, SOURCE_RAM_SECTION_ID);
    return more;
}

static int send_rest(struct source *source, struct ferry_error *err)
{
    bool more;
    int ret;

    do {
        if (source->pages.count > 0) {
            source_peer_lend(&source->peer);
            ret = source_pages_work(&source->pages, SOURCE_PART_NS, &more, err);
            source_peer_claim(&source->peer);
        } else {
            more = send_part(source);
            ret = ferry_writer_flush(source->writer, err);
        }
        source_note_pages(source);
        if (ret == 0)
            ret = source_postcopy_status(&source->postcopy, err);
        if (ret == 0)
            ret = source_peer_look(&source->peer, err);
    } while (ret == 0 && more);
    return ret;
}

/* What was asked for goes before the main stream ends: behind that a destination hears nothing of us there, and may let
 * its other connection go.  A QEMU takes the end of that for a failure as long as it has not let go, so to that it
 * comes only when all is over. */
static int end_urgent(struct source *source, struct ferry_error *err)
{
    bool last = !source->peer.ferry && source->session->options.postcopy_preempt != PREEMPT_EARLY;
    int ret;

    source_peer_lend(&source->peer);
    ret = last ? source_postcopy_drain(&source->postcopy, source->peer.link, err)
               : source_postcopy_finish(&source->postcopy, err);
    source_peer_claim(&source->peer);
    return ret;
}

/* Everything has gone: the ends of all that was begun, and the destination's word that it has it. */
static int end(struct source *source, struct ferry_error *err)
{
    int ret = end_urgent(source, err);

    if (ret == 0)
        ret = source_pages_finish(&source->pages, err);
    if (ret < 0)
        return ret;
    section_put_next(source->writer, SECTION_END, SOURCE_RAM_SECTION_ID);
    ram_put_eos(source->writer);
    section_put_footer(source->writer, SOURCE_RAM_SECTION_ID);
    ret = departure_complete_postcopy(&source->departure, err);
    if (ret < 0)
        return ret;
    section_put_eof(source->writer);
    ret = ferry_writer_flush(source->writer, err);
    return ret == 0 ? source_peer_await_shut(&source->peer, err) : ret;
}

/* Until all memory is there, however often that is interrupted. */
static int follow(struct source *source, struct ferry_error *err)
{
    int ret = session_enter(source->session, FERRY_PHASE_POSTCOPY_ACTIVE, err);

    for (;;) {
        if (ret == 0)
            ret = send_rest(source, err);
        if (ret == 0)
            ret = end(source, err);
        source_note_pages(source);
        source_note_channels(source);
        if (ret == 0)
            return 0;
        if (err->errnum == -ESHUTDOWN)
            (void)!link_status(source->peer.link, err); /* who shut it down has said why there */
        source_postcopy_broken(err);
        ret = source_resume(source, err);
        if (ret < 0)
            return ret;
    }
}

int source_switch_postcopy(struct source *source, struct ferry_error *err)
{
    int ret = quiet(source, err);

    if (ret == 0 && !source->peer.ferry && source->session->options.postcopy_preempt == PREEMPT_ON)
        ret = source_postcopy_dial(&source->postcopy, NULL, source->peer.dog, err);
    if (ret == 0)
        ret = await_devices(source, err);
    if (ret == 0)
        ret = let_go(source, err);
    return ret == 0 ? follow(source, err) : ret;
}
