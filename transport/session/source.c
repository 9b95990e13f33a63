/* SPDX-License-Identifier: BSD-3-Clause */
/* source.c - the sending side: setup, rounds while the guest runs, and the switch
 *
 *      header  configuration | START ram: block list | PART ram ... PART ram | END ram | devices | EOF description
 *      '---------------- setup ---------------------' '------ active ------' '---------- device ----------------'
 *                                     the guest runs  ------------------------|  stands still
 *
 * Iterative devices have sections of their own between those of memory; what they and others are asked and told on the
 * way is departure.c's.  What the two sides say to each other around this is source_peer.c's.  The guest is the
 * source's until the right to run was given away (ferry dialect) or the last flush has succeeded (qemu dialect):
 * whatever fails before, it is started again here.
 */
#include "clock.h"
#include "log.h"
#include "ram_section.h"
#include "session.h"
#include "source_parts.h"
#include "state_sections.h"
#include "uri.h"
#include "writer.h"

#include <errno.h>
#include <string.h>

/* Who are you, and will you take this guest?  Only then does anything begin here. */
static int source_introduce(struct source *source, struct ferry_error *err)
{
    int ret = source_mapped_wanted(&source->mapped, source->session, err);

    if (ret == 0)
        ret = source_pages_wanted(&source->pages, source->session, err);
    if (ret == 0)
        ret = source_postcopy_wanted(&source->postcopy, source->session, source_mapped_is_on(&source->mapped), err);
    if (ret == 0)
        ret = source_peer_open(&source->peer, source->session, source->writer, &source->pages, &source->postcopy, err);
    if (ret == 0)
        ret = state_sections_size(source->guest, &source->device_bytes, err);
    if (ret < 0)
        return ret;
    section_put_header(source->writer);
    section_put_configuration(source->writer, source->guest->machine);
    if (source_mapped_is_on(&source->mapped))
        source_mapped_announce(&source->mapped, source->writer);
    ret = source_peer_agree(&source->peer, err);
    if (ret < 0 || !source->postcopy.on)
        return ret;
    source_postcopy_put_advise(&source->postcopy, &source->guest->ram, source->writer);
    return source_peer_catch_up(&source->peer, err); /* it says so now if it cannot do that */
}

int source_put_section_end(struct source *source, struct ferry_error *err)
{
    int ret = 0;

    if (source->pages.count > 0) {
        ret = source_pages_sync(&source->pages, err);
        if (!source->pages.ends_are_marks)
            ram_put_mark(source->writer);
    }
    ram_put_eos(source->writer);
    section_put_footer(source->writer, SOURCE_RAM_SECTION_ID);
    return ret;
}

static int source_setup(struct source *source, struct ferry_error *err)
{
    struct ferry_session *session = source->session;
    struct ferry_writer *writer = source->writer;
    struct ferry_stats *stats;
    int ret = source_introduce(source, err);

    if (ret == 0)
        ret = departure_begin(&source->departure, session, writer, err);
    if (ret == 0)
        ret = precopy_begin(&source->precopy, source->guest, session->options.tracker, writer, err);
    if (ret == 0)
        ret = session->options.hot_pages == HOT_PAGES_LAST ? walk_watch_hot(&source->precopy.walk, err) : 0;
    if (ret == 0 && session->options.dirty_trace[0])
        ret = walk_record(&source->precopy.walk, session->options.dirty_trace,
                          tracker_set_name(source->precopy.trackers), err);
    if (ret == 0)
        ret = source_pages_open(&source->pages, &source->precopy.walk, err);
    if (ret == 0 && source->pages.deltas)
        ret = precopy_use_deltas(&source->precopy, err);
    if (ret < 0)
        return ret;
    escalate_begin(&source->escalate, session, &source->pages);
    section_put_first(writer, SECTION_START, SOURCE_RAM_SECTION_ID, RAM_SECTION_NAME, 0, RAM_SECTION_VERSION);
    if (source_mapped_is_on(&source->mapped))
        ret = source_mapped_put_blocks(&source->mapped, &source->precopy.walk, writer, err);
    else
        ram_put_blocks(writer, &source->guest->ram);
    if (ret < 0)
        return ret;
    ret = source_put_section_end(source, err);
    if (ret == 0)
        ret = departure_setup(&source->departure, SOURCE_RAM_SECTION_ID + 1, err);
    if (ret == 0)
        ret = ferry_writer_flush(writer, err);
    stats = session_stats_lock(session);
    stats->time.setup_ns = clock_now_ns() - session->started_ns;
    stats->ram.total_bytes = source->guest->ram.total_bytes;
    strncpy(stats->tracker, tracker_set_name(source->precopy.trackers), sizeof(stats->tracker) - 1);
    session_stats_unlock(session);
    return ret;
}

void source_note_pages(struct source *source)
{
    struct mapped_figures mapped;
    struct page_figures channels, urgent;
    struct ferry_stats *stats;

    source_mapped_figures(&source->mapped, &mapped);
    source_pages_total(&source->pages, &channels);
    source_postcopy_figures(&source->postcopy, &urgent);
    channels.bytes += urgent.bytes;
    channels.content_pages += urgent.content_pages;
    channels.zero_pages += urgent.zero_pages;
    stats = session_stats_lock(source->session);
    stats->ram.remaining_bytes = walk_pending(&source->precopy.walk) * FERRY_PAGE_BYTES;
    stats->ram.normal_pages = source->precopy.normal + channels.content_pages + mapped.content_pages;
    stats->ram.zero_pages = source->precopy.zero + channels.zero_pages + mapped.zero_pages;
    stats->wire.bytes = writer_flushed(source->writer) + channels.bytes + mapped.bytes;
    source->precopy.channel_bytes = channels.bytes + mapped.bytes;
    source->precopy.channel_pages = channels.content_pages + mapped.content_pages;
    if (source_mapped_is_on(&source->mapped))
        mapped_stats(&mapped, stats);
    departure_stats(&source->departure, stats);
    precopy_hot_stats(&source->precopy, &stats->hot);
    source_postcopy_stats(&source->postcopy, stats);
    session_stats_unlock(source->session);
}

void source_note_channels(struct source *source)
{
    struct page_figures main, urgent;

    precopy_figures(&source->precopy, &main);
    main.bytes = writer_flushed(source->writer);
    source_postcopy_figures(&source->postcopy, &urgent);
    source_pages_note(&source->pages, &main, source->postcopy.urgent ? source->postcopy.chan : NULL, &urgent);
}

static void note_round(struct source *source, const struct converge_figures *figures,
                       const struct converge_decision *decision)
{
    struct ferry_stats *stats = session_stats_lock(source->session);

    stats->verdict = decision->verdict;
    stats->ram.rounds++;
    stats->ram.dirty_bytes_per_sec = figures->dirty_bytes_per_sec;
    stats->wire.bytes_per_sec = figures->bytes_per_sec;
    stats->wire.needed_bytes_per_sec = decision->needed_bytes_per_sec;
    stats->wire.bearable_dirty_bytes_per_sec = decision->bearable_bytes_per_sec;
    stats->time.expected_downtime_ns =
        decision->expected_downtime_ns == UINT64_MAX ? -1 : (int64_t)decision->expected_downtime_ns;
    session_stats_unlock(source->session);
}

/* Page channels do the work; once nothing is left, a section says so.  Meanwhile the main stream is for devices. */
static int send_over_channels(struct source *source, enum section_type type, bool *more, struct ferry_error *err)
{
    int ret;

    do {
        source_peer_lend(&source->peer);
        ret = source_pages_work(&source->pages, SOURCE_PART_NS, more, err);
        source_peer_claim(&source->peer);
        source_note_pages(source);
        if (ret == 0 && *more)
            ret = source_peer_look(&source->peer, err);
    } while (ret == 0 && *more && type == SECTION_END);
    if (ret < 0 || *more)
        return ret;
    section_put_next(source->writer, type, SOURCE_RAM_SECTION_ID);
    source_pages_put_zeros(&source->pages, source->writer, &source->precopy.last);
    return source_put_section_end(source, err);
}

int source_send_section(struct source *source, enum section_type type, bool *more, struct ferry_error *err)
{
    int64_t until = type == SECTION_PART ? clock_now_ns() + SOURCE_PART_NS : INT64_MAX;
    int ret;

    if (source->pages.count > 0)
        return send_over_channels(source, type, more, err);
    section_put_next(source->writer, type, SOURCE_RAM_SECTION_ID);
    do {
        if (source_mapped_is_on(&source->mapped)) {
            ret = source_mapped_work(&source->mapped, type, SOURCE_PART_NS, more, err);
        } else {
            *more = precopy_send_some(&source->precopy);
            ret = ferry_writer_status(source->writer, err);
        }
        source_note_pages(source);
    } while (ret == 0 && *more && clock_now_ns() < until);
    ram_put_eos(source->writer);
    section_put_footer(source->writer, SOURCE_RAM_SECTION_ID);
    return ret;
}

static bool postcopy_due(const struct source *source)
{
    return source_postcopy_due(&source->postcopy, source->precopy.round.count, source->escalate.hopeless);
}

/* Everything dirty goes out, then the trackers are asked: what do the figures say?  @arrives: not before the
 * destination has all of it.  1: broken off, to go on in another way. */
static int source_round(struct source *source, bool arrives, struct converge_decision *decision,
                        struct ferry_error *err)
{
    struct converge_figures figures;
    bool more;
    int ret;

    do {
        ret = source_send_section(source, SECTION_PART, &more, err);
        if (ret == 0)
            ret = departure_some(&source->departure, &more, err);
        if (ret == 0)
            ret = source_peer_look(&source->peer, err);
        escalate_look(&source->escalate);
        if (ret == 0 && more && postcopy_due(source))
            return 1;
    } while (ret == 0 && more);
    if (ret == 0)
        ret = arrives ? source_peer_catch_up(&source->peer, err) : ferry_writer_flush(source->writer, err);
    source->precopy.iterative_bytes = departure_pending(&source->departure);
    if (ret == 0)
        ret = precopy_end_round(&source->precopy, atomic_load(&source->session->downtime_limit_ns),
                                source->device_bytes, &figures, decision, err);
    if (ret < 0)
        return ret;
    source_note_pages(source);
    source_note_channels(source);
    note_round(source, &figures, decision);
    return escalate_round(&source->escalate, &figures, decision, err);
}

/* Rounds, until what is left is worth stopping the guest for.
 *
 *      put     |====|===|==|  dirty again: little                what was put stands in queues,
 *      arrives  |========|=======|=====| ......                  and would arrive while the guest stands still
 *
 * So once the rest fits, a round lasts until all of it has arrived: only then is it known how much the guest writes in
 * the time that the way takes, and nothing is in the way of the last pages.  1: it is time for postcopy. */
static int source_iterate(struct source *source, struct ferry_error *err)
{
    struct converge_decision decision;
    bool arrives = false, now = false;
    int ret;

    for (;;) {
        if (postcopy_due(source))
            return 1;
        ret = source_round(source, arrives, &decision, err);
        if (ret == 1)
            return 1;
        if (ret == 0 && decision.verdict == FERRY_VERDICT_SWITCH && arrives)
            ret = departure_may_switch(&source->departure, source_peer_acked(&source->peer), &now, err);
        if (ret < 0 || now)
            return ret;
        if (arrives || source->precopy.round.fitting == 0)
            continue;
        arrives = true;
        precopy_compare_anew(&source->precopy);
    }
}

/* The guest stands still: the last pages, then the devices, then the end. */
static int source_switch(struct source *source, struct ferry_error *err)
{
    struct ferry_session *session = source->session;
    struct ferry_stats *stats;
    uint64_t changed;
    bool more;
    int ret = source_stop(source, err);

    if (ret == 0)
        source_peer_prepare(&source->peer);
    if (ret == 0)
        ret = precopy_sync(&source->precopy, &changed, err);
    if (ret == 0)
        source_pages_carry(&source->pages, departure_parts(&source->departure));
    if (ret == 0)
        ret = source_send_section(source, SECTION_END, &more, err);
    if (ret == 0)
        ret = source_pages_finish(&source->pages, err);
    session_note_step(session, SESSION_PAGES_PUT);
    if (ret == 0)
        ret = departure_complete(&source->departure, err);
    if (ret == 0)
        ret = state_sections_save(source->guest, source->writer, departure_next_id(&source->departure),
                                  &source->device_bytes, err);
    if (ret == 0)
        ret = source_peer_hand_over(&source->peer, err);
    stats = session_stats_lock(session);
    stats->ram.rounds++;
    stats->wire.device_bytes = source->device_bytes;
    session_stats_unlock(session);
    source_note_pages(source);
    source_note_channels(source);
    return ret;
}

static int source_migrate(struct source *source, struct ferry_error *err)
{
    int ret = source_setup(source, err);

    if (ret == 0)
        ret = session_enter(source->session, FERRY_PHASE_ACTIVE, err);
    if (ret == 0)
        ret = departure_active(&source->departure, err);
    if (ret == 0)
        ret = source_iterate(source, err);
    if (ret == 1)
        return source_switch_postcopy(source, err);
    return ret == 0 ? source_switch(source, err) : ret;
}

/* What failed is undone here: the guest runs again before anything else is seen to. */
static void source_undo(struct source *source, struct ferry_error *err)
{
    struct ferry_error restart;

    if (source->stopped)
        session_at(source->session, "restarting");
    if (source->stopped && guest_start(source->guest, &restart) < 0)
        log_warn(LOG_SESSION, "the guest could not be started again: %s", restart.text);
    source_peer_failed(&source->peer, err);
}

/* Nothing is said in the clear, where that was asked for. */
static int source_secure(struct ferry_session *session, struct ferry_error *err)
{
    const char *uri = session->uri ? session->uri : ferry_channel_label(session->chan);
    int64_t until = clock_now_ns() + (int64_t)session->options.setup_timeout_ns;
    struct ferry_error why = { .errnum = -EAGAIN };
    struct ferry_channel *chan;
    struct watchdog *dog;
    int ret = secure_open(&session->secure, &session->options, FERRY_SIDE_SOURCE, err);

    if (ret < 0 || !secure_is_on(&session->secure))
        return ret;
    dog = watchdog_new(&why);
    chan = dog ? secure_wrap(&session->secure, ferry_channel_ref(session->chan), uri, dog, until, &why) : NULL;
    watchdog_free(dog);
    if (chan) {
        session_adopt(session, chan);
        return 0;
    }
    if (dog)
        ferry_channel_unref(session->chan);
    if (err)
        *err = why;
    return why.errnum;
}

static int source_run(struct ferry_session *session, struct ferry_error *err)
{
    struct source source = { .session = session, .guest = session->guest };
    int ret;

    ret = source_secure(session, err);
    if (ret < 0) {
        session_error_where(session, FERRY_SIDE_SOURCE, err);
        return session_result(ret, err);
    }
    source.writer = ferry_writer_new(session->chan, err);
    if (!source.writer)
        return -ENOMEM;
    writer_set_limit(source.writer, session->limit, RATELIMIT_URGENT);
    ret = source_migrate(&source, err);
    escalate_end(&source.escalate);
    if (ret < 0)
        session_error_where(session, FERRY_SIDE_SOURCE, err);
    if (ret == -ENOTRECOVERABLE)
        source_peer_failed(&source.peer, err);
    else if (ret < 0 && ret != -EOWNERDEAD)
        source_undo(&source, err);
    departure_end(&source.departure, ret, ret < 0 && ret != -EOWNERDEAD && ret != -ENOTRECOVERABLE);
    source_peer_close(&source.peer);
    source_mapped_close(&source.mapped);
    session_drop_channels(session);
    source_postcopy_close(&source.postcopy); /* after the link, which asks it */
    source_pages_close(&source.pages);
    precopy_end(&source.precopy);
    ferry_writer_free(source.writer);
    if (ret < 0)
        session_error_where(session, FERRY_SIDE_SOURCE, err); /* the cause may have become another */
    return session_result(ret, err);
}

static bool may_be_sent_over(struct ferry_guest *guest, struct ferry_channel *chan, struct ferry_error *err)
{
    if (ferry_channel_directions(chan) & FERRY_WRITE)
        return departure_allowed(guest, err) == 0;
    ferry_error_set_code(err, FERRY_E_ONE_WAY_CHANNEL, -EINVAL, "%s: cannot be written, so nothing can be sent",
                         ferry_channel_label(chan));
    return false;
}

struct ferry_session *ferry_source_start(struct ferry_guest *guest, struct ferry_channel *chan,
                                         const struct ferry_options *options, struct ferry_error *err)
{
    return may_be_sent_over(guest, chan, err) ? session_start(guest, chan, options, source_run, err) : NULL;
}

static bool is_for_many(const char *text)
{
    struct uri uri;
    bool many;

    if (uri_parse(text, &uri, NULL) < 0)
        return false;
    many = uri.kind == URI_TCP || uri.kind == URI_UNIX || uri.kind == URI_VSOCK;
    uri_clear(&uri);
    return many;
}

/* Takes the reference to @chan. */
static struct ferry_session *start_at(struct ferry_guest *guest, struct ferry_channel *chan, const char *uri,
                                      const struct ferry_options *options, struct ferry_error *err)
{
    struct ferry_session *session = NULL;

    if (may_be_sent_over(guest, chan, err))
        session = session_new(guest, chan, options, source_run, err);
    ferry_channel_unref(chan);
    if (!session)
        return NULL;
    if (is_for_many(uri))
        session->uri = strdup(uri);
    return session_go(session, err);
}

static uint64_t connect_timeout_ns(const struct ferry_options *options)
{
    struct ferry_options *defaults = options ? NULL : ferry_options_new();
    uint64_t ns = options ? options->connect_timeout_ns : defaults ? defaults->connect_timeout_ns : 0;

    ferry_options_free(defaults);
    return ns;
}

struct ferry_session *ferry_source_connect(struct ferry_guest *guest, const char *uri,
                                           const struct ferry_options *options, struct ferry_error *err)
{
    struct ferry_channel *chan = ferry_channel_connect(uri, (int)(connect_timeout_ns(options) / NS_PER_MS), err);

    return chan ? start_at(guest, chan, uri, options, err) : NULL;
}
