/* SPDX-License-Identifier: BSD-3-Clause */
/* destination.c - the receiving side: reads sections until the end, then lets the guest run
 *
 * Nothing here believes the stream: a section must be known by name and version, a body must end at its footer, memory
 * must have come to its END and every device must have got its state before the guest is started.  On any failure the
 * guest is not started and the process lives.
 */
#include "capabilities.h"
#include "clock.h"
#include "destination_listen.h"
#include "destination_parts.h"
#include "guest_parts.h"
#include "listener.h"
#include "log.h"
#include "options.h"
#include "placer.h"
#include "reader.h"
#include "session.h"
#include "source_mapped.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PROGRESS_NS (50 * NS_PER_MS) /* how often it is told while threads load */

static int announce(void *opaque, const char *name, uint64_t length, struct ram_block **block, struct ferry_error *err)
{
    struct destination *destination = opaque;

    return guest_announced_block(destination->guest, name, length, block, err);
}

static int mapped_entry(void *opaque, struct ferry_reader *reader, const struct ram_block *block)
{
    struct destination *destination = opaque;

    return destination_mapped_entry(&destination->mapped, reader, block);
}

static int mark(void *opaque, struct ferry_error *err)
{
    struct destination *destination = opaque;

    return destination_pages_record(&destination->pages, &destination->ram, err);
}

static const struct ram_loader_ops loader_ops = { .announce = announce, .mark = mark };

void destination_note_progress(struct destination *destination)
{
    struct mapped_figures mapped;
    struct page_figures channels;
    struct ferry_stats *stats;

    destination_mapped_figures(&destination->mapped, &mapped);
    destination_pages_total(&destination->pages, &channels);
    destination_postcopy_total(&destination->postcopy, &channels);
    stats = session_stats_lock(destination->session);
    stats->ram.total_bytes = destination->guest->ram.total_bytes;
    stats->ram.normal_pages = destination->ram.counts.normal + channels.content_pages + mapped.content_pages;
    stats->ram.zero_pages = destination->ram.counts.zero + channels.zero_pages + mapped.zero_pages;
    stats->wire.bytes = ferry_reader_offset(destination->reader) - mapped.jumped + mapped.bytes + channels.bytes;
    if (destination_mapped_is_on(&destination->mapped))
        mapped_stats(&mapped, stats);
    landing_stats(&destination->landing, stats);
    session_stats_unlock(destination->session);
    destination_pages_note(&destination->pages, ferry_reader_offset(destination->reader));
    destination_postcopy_note(&destination->postcopy, destination->session);
}

/* The first bytes: is it a stream, of this machine, with capabilities we have? */
static int load_prologue(struct destination *destination, struct ferry_error *err)
{
    struct ferry_reader *reader = destination->reader;
    struct section_configuration config;
    int ret = section_get_header(reader);

    if (ret == 0)
        ret = section_get_configuration(reader, &config);
    if (ret < 0)
        return ferry_reader_status(reader, err);
    if (strcmp(config.machine, destination->guest->machine))
        return ferry_error_set_code(
            err, FERRY_E_MACHINE_MISMATCH, -EINVAL, "%s: the source is a machine '%s', this is a '%s'",
            ferry_channel_label(destination->session->chan), config.machine, destination->guest->machine);
    ret = destination_mapped_agree(&destination->mapped, destination->session, destination->placer, &config, err);
    if (destination_mapped_is_on(&destination->mapped))
        destination->ram.mapped = mapped_entry;
    return ret;
}

/* A section_load_fn. */
static int load_ram(void *opaque, const struct section_item *item)
{
    struct destination *destination = opaque;
    struct ferry_error why = { 0 };
    int ret = ram_get_body(&destination->ram, destination->reader);

    if (ret == 0) {
        do
            destination_note_progress(destination);
        while ((ret = destination_mapped_load(&destination->mapped, PROGRESS_NS, &why)) == -ETIMEDOUT);
        if (ret == 0)
            ret = destination_pages_section_end(&destination->pages, &destination->ram, &why);
        if (ret == 0 && item->type == SECTION_END)
            ret = destination_pages_finish(&destination->pages, &why);
        if (ret < 0)
            ret = reader_fail_why(destination->reader, ret, &why);
    }
    destination_note_progress(destination);
    return ret;
}

static int load_first(struct destination *destination, const struct section_item *item)
{
    if (strcmp(item->idstr, RAM_SECTION_NAME) || item->instance_id != 0)
        return landing_start(&destination->landing, item);
    if (item->version_id != RAM_SECTION_VERSION)
        return ferry_reader_fail(destination->reader, -EPROTO, "memory in version %" PRIu32 ", only %d is understood",
                                 item->version_id, RAM_SECTION_VERSION);
    if (destination->ram_started)
        return ferry_reader_fail(destination->reader, -EPROTO, "memory starts twice");
    destination->ram_started = true;
    return section_table_start(&destination->landing.sections, item, load_ram, destination);
}

static int answer_ping(struct destination *destination)
{
    uint32_t cookie;
    int ret = ferry_get_be32(destination->reader, &cookie);

    return ret == 0 ? destination_peer_ping(&destination->peer, cookie) : ret;
}

static bool is_postcopy(const struct section_item *item)
{
    return (item->command >= COMMAND_POSTCOPY_ADVISE && item->command <= COMMAND_PACKAGED) ||
           item->command == COMMAND_POSTCOPY_RESUME || item->command == COMMAND_RECV_BITMAP;
}

static int load_command(struct destination *destination, const struct section_item *item, struct ferry_error *err)
{
    struct ferry_reader *reader = destination->reader;
    uint16_t expected = item->command == COMMAND_PING ? sizeof(uint32_t) : 0;

    if (is_postcopy(item))
        return destination_postcopy_command(destination, item, err);
    switch (item->command) {
    case COMMAND_OPEN_RETURN_PATH:
    case COMMAND_PING:
    case COMMAND_SWITCHOVER_START:
        break;
    default:
        return reader_fail_code(reader, FERRY_E_UNKNOWN_COMMAND, NULL, -ENOTSUP, "command %u (%s) is not understood",
                                item->command, section_command_name(item->command));
    }
    if (item->bytes != expected)
        return ferry_reader_fail(reader, -EPROTO, "command %s with %u bytes instead of %u",
                                 section_command_name(item->command), item->bytes, expected);
    if (item->command == COMMAND_OPEN_RETURN_PATH)
        return destination_peer_open_path(&destination->peer);
    return item->command == COMMAND_PING ? answer_ping(destination) : 0;
}

static bool is_package(const struct section_item *item)
{
    return item->type == SECTION_COMMAND && item->command == COMMAND_PACKAGED;
}

/* 1: what follows is the package of a postcopy. */
static int load_items(struct destination *destination, struct ferry_error *err)
{
    struct section_item item;
    int ret;

    do {
        ret = section_get_item(destination->reader, &item);
        if (ret < 0)
            break;
        switch (item.type) {
        case SECTION_START:
            ret = load_first(destination, &item);
            break;
        case SECTION_PART:
        case SECTION_END:
            ret = landing_next(&destination->landing, &item);
            if (ret == 0 && landing_ack_due(&destination->landing))
                destination_peer_ack(&destination->peer);
            break;
        case SECTION_FULL:
            ret = state_sections_load(destination->guest, destination->reader, &item, &destination->arrivals, err);
            if (ret < 0)
                return ret;
            break;
        case SECTION_COMMAND:
            ret = load_command(destination, &item, err);
            if (ret < 0 && ferry_reader_status(destination->reader, NULL) == 0)
                return ret;
            break;
        case SECTION_FERRY:
            ret = destination_peer_item(&destination->peer, &item, err);
            if (ret < 0)
                return ret;
            break;
        default:
            break;
        }
    } while (ret == 0 && item.type != SECTION_EOF && !is_package(&item));
    return ret < 0 ? ferry_reader_status(destination->reader, err) : is_package(&item);
}

bool destination_ram_ended(const struct destination *destination)
{
    return section_table_ended(&destination->landing.sections, load_ram, destination);
}

void destination_ram_reopen(struct destination *destination)
{
    section_table_reopen(&destination->landing.sections, load_ram, destination);
}

/* The end: nothing may be missing.  The description that follows is for people and is read past. */
static int load_end(struct destination *destination, struct ferry_error *err)
{
    uint32_t bytes;
    int ret;

    if (!destination_ram_ended(destination))
        return ferry_error_set_code(err, FERRY_E_MEMORY_INCOMPLETE, -EPROTO,
                                    "%s: the stream ended, but memory did not come to its end",
                                    ferry_channel_label(destination->session->chan));
    ret = section_get_vmdesc(destination->reader, &bytes);
    if (ret == 0)
        ret = ferry_reader_skip(destination->reader, bytes);
    if (ret < 0)
        return ferry_reader_status(destination->reader, err);
    ret = state_sections_complete(destination->guest, &destination->arrivals, err);
    return ret == 0 ? landing_complete(&destination->landing, err) : ret;
}

static int destination_load(struct destination *destination, struct ferry_error *err)
{
    struct ferry_session *session = destination->session;
    int ret = load_prologue(destination, err);

    if (ret == 0)
        ret = destination_peer_agree(&destination->peer, err);
    if (ret == 0)
        ret = session_enter(session, FERRY_PHASE_ACTIVE, err);
    if (ret == 0)
        ret = landing_active(&destination->landing, err);
    if (ret == 0)
        ret = load_items(destination, err);
    if (ret == 1)
        return destination_postcopy_run(destination, err);
    if (ret == 0)
        ret = session_enter(session, FERRY_PHASE_DEVICE, err);
    if (ret == 0)
        ret = load_end(destination, err);
    if (ret == 0)
        ret = destination_peer_take_over(&destination->peer, err);
    destination_note_progress(destination);
    return ret;
}

/* A page_parts_sink's. */
static int put_part(void *opaque, const struct packet *packet, const uint8_t *data, size_t bytes,
                    struct ferry_error *err)
{
    return iterative_load_part(opaque, packet, data, bytes, err);
}

/* Where both sides have agreed to it. */
static void take_parts(struct destination *destination)
{
    struct page_parts_sink sink = { put_part, &destination->landing.loader };
    uint64_t agreed = session_stats_lock(destination->session)->peer.device;

    session_stats_unlock(destination->session);
    if (agreed & CAPABILITY_DEVICE_PARTS)
        destination_pages_carry(&destination->pages, &sink);
}

static int destination_run(struct ferry_session *session, struct ferry_error *err)
{
    struct destination destination = { .session = session, .guest = session->guest };
    int ret;

    destination_postcopy_init(&destination.postcopy);
    session_fix_compress(session, "the source says for each packet what its pages went through");
    ret = destination_peer_open(&destination.peer, session, &destination.pages, err);
    destination.reader = destination.peer.reader;
    if (ret == 0) {
        destination.placer = placer_direct_new(&session->guest->ram, session->options.prefault, err);
        ret = destination.placer ? 0 : -ENOMEM;
    }
    if (ret == 0)
        ret = landing_begin(&destination.landing, session->guest, destination.reader, err);
    if (ret == 0) {
        take_parts(&destination);
        ram_loader_init(&destination.ram, &loader_ops, &destination, destination.placer);
        ret = destination_load(&destination, err);
    }
    if (ret < 0) {
        if (ret != -ENOTRECOVERABLE)
            destination_pages_cause(&destination.pages, err);
        session_error_where(session, FERRY_SIDE_DESTINATION, err);
        destination_peer_failed(&destination.peer, ret, err);
        destination_listen_stop(&destination);
        session_error_where(session, FERRY_SIDE_DESTINATION, err); /* the cause may have become another */
    }
    landing_end(&destination.landing, ret);
    state_arrivals_clear(&destination.arrivals);
    destination_mapped_close(&destination.mapped);
    session_drop_channels(session);
    destination_pages_close(&destination.pages);
    ram_loader_clear(&destination.ram);
    placer_free(destination.placer);
    destination_postcopy_close(&destination.postcopy, session, ret);
    destination_peer_close(&destination.peer);
    return session_result(ret, err);
}

struct ferry_session *ferry_destination_start(struct ferry_guest *guest, struct ferry_channel *chan,
                                              const struct ferry_options *options, struct ferry_error *err)
{
    if (!(ferry_channel_directions(chan) & FERRY_READ)) {
        ferry_error_set_code(err, FERRY_E_ONE_WAY_CHANNEL, -EINVAL, "%s: cannot be read, so nothing can be received",
                             ferry_channel_label(chan));
        return NULL;
    }
    return session_start(guest, chan, options, destination_run, err);
}

/* Nothing but this one connection can come, and it is there. */
static struct ferry_session *listen_for_one(struct ferry_guest *guest, struct ferry_listener *listener,
                                            const struct ferry_options *options, struct ferry_error *err)
{
    struct ferry_channel *chan = ferry_listener_accept(listener, 0, err);
    struct ferry_session *session;

    if (!chan)
        return NULL;
    session = ferry_destination_start(guest, chan, options, err);
    ferry_channel_unref(chan);
    if (session)
        ferry_listener_free(listener);
    return session;
}

struct ferry_session *ferry_destination_listen(struct ferry_guest *guest, struct ferry_listener *listener,
                                               int timeout_ms, const struct ferry_options *options,
                                               struct ferry_error *err)
{
    struct ferry_session *session;

    if (!listener_gives_many(listener))
        return listen_for_one(guest, listener, options, err);
    session = session_new(guest, NULL, options, destination_run, err);
    if (!session)
        return NULL;
    session->door.listener = listener;
    session->door.timeout_ms = timeout_ms;
    snprintf(session->progress.stats.channel, sizeof(session->progress.stats.channel), "%s",
             ferry_listener_address(listener));
    return session_go(session, err);
}
