/* SPDX-License-Identifier: BSD-3-Clause */
/* destination_postcopy.c - the guest runs here while its memory follows: the package, the switch, the end */
#include "bytes.h"
#include "clock.h"
#include "destination_listen.h"
#include "destination_parts.h"
#include "guest_parts.h"
#include "listener.h"
#include "log.h"
#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PACKAGE_MAX (64u << 20) /* of device state */

/* ---- the package ------------------------------------------------------------------------------------------------- */

/* Read whole before anything in it is believed. */
static int read_package(struct destination *destination, uint8_t **data, uint32_t *bytes, struct ferry_error *err)
{
    int ret = ferry_get_be32(destination->reader, bytes);

    *data = NULL;
    if (ret == 0 && *bytes > PACKAGE_MAX)
        return ferry_error_set(err, -EPROTO, "a package of %" PRIu32 " bytes; at most %u are taken", *bytes,
                               PACKAGE_MAX);
    if (ret == 0) {
        *data = malloc(*bytes ? *bytes : 1);
        if (!*data)
            return ferry_error_set(err, -ENOMEM, "no memory for a package of %" PRIu32 " bytes", *bytes);
        ret = ferry_get_bytes(destination->reader, *data, *bytes);
    }
    return ret < 0 ? ferry_reader_status(destination->reader, err) : 0;
}

/* Where somebody may come once more. */
static void close_door(struct ferry_session *session)
{
    if (session->options.postcopy_retry_ns > 0)
        return;
    ferry_listener_free(session->door.listener);
    session->door.listener = NULL;
}

int destination_let_preempt_in(struct destination *destination, struct ferry_error *err)
{
    struct ferry_session *session = destination->session;
    int64_t timeout_ns = (int64_t)session->options.setup_timeout_ns;
    struct ferry_channel *chan, *wrapped;

    if (!session->door.listener || destination->peer.ferry)
        return 0;
    chan = session_accept(session, (int)(timeout_ns / NS_PER_MS), err);
    if (!chan) {
        ferry_error_prefix(err, "no preempt connection came");
        return err->errnum;
    }
    wrapped = secure_wrap(&session->secure, chan, NULL, destination->peer.dog, clock_now_ns() + timeout_ns, err);
    if (!wrapped) {
        ferry_channel_unref(chan);
        return err->errnum ? err->errnum : -EPROTO;
    }
    destination->postcopy.preempt = wrapped;
    session_add_channel(session, wrapped);
    return 0;
}

/* The source's own connection for requested pages comes now at the latest. */
static int listen_now(struct destination *destination, struct ferry_error *err)
{
    bool preempt = destination->session->options.postcopy_preempt != PREEMPT_OFF;
    int ret = preempt ? destination_let_preempt_in(destination, err) : 0;

    if (ret == 0 && preempt)
        close_door(destination->session);
    if (ret == 0)
        ret = destination_enter(destination, POSTCOPY_LISTEN, "postcopy-listen", err);
    if (ret == 0)
        ret = destination_prepare(destination, err);
    if (ret == 0)
        ret = destination_pages_still(&destination->pages, err);
    if (ret < 0)
        return ret;
    placer_direct_still(destination->placer);
    ret = postcopy_ram_listen(destination->postcopy.ram, err);
    return ret == 0 ? destination_listen_start(destination, err) : ret;
}

static int package_command(struct destination *destination, struct ferry_reader *reader,
                           const struct section_item *item, bool *run, struct ferry_error *err)
{
    uint32_t cookie;
    int ret;

    if (item->bytes != (item->command == COMMAND_PING ? 4 : 0))
        return ferry_error_set(err, -EPROTO, "command %s with %u bytes", section_command_name(item->command),
                               item->bytes);
    switch (item->command) {
    case COMMAND_POSTCOPY_LISTEN:
        return listen_now(destination, err);
    case COMMAND_PING:
        ret = ferry_get_be32(reader, &cookie);
        return ret < 0 ? ferry_reader_status(reader, err) : return_path_pong(destination->peer.path, cookie, err);
    case COMMAND_POSTCOPY_RUN:
        *run = true;
        return destination->peer.ferry ? destination_out_of_order(destination, "postcopy-run", err) : 0;
    default:
        return destination_out_of_order(destination, section_command_name(item->command), err);
    }
}

static int package_item(struct destination *destination, struct ferry_reader *reader, bool *run,
                        struct ferry_error *err)
{
    struct section_item item;
    int ret = section_get_item(reader, &item);

    if (ret < 0)
        return ferry_reader_status(reader, err);
    if (item.type == SECTION_COMMAND)
        return package_command(destination, reader, &item, run, err);
    if (item.type != SECTION_FULL || destination->postcopy.state != POSTCOPY_LISTEN)
        return destination_out_of_order(destination, section_type_name(item.type), err);
    return state_sections_load(destination->guest, reader, &item, &destination->arrivals, err);
}

static int load_package(struct destination *destination, const uint8_t *data, uint32_t bytes, struct ferry_error *err)
{
    struct ferry_channel *chan = ferry_channel_buffer_reader(data, bytes, err);
    struct ferry_reader *reader = chan ? ferry_reader_new(chan, err) : NULL;
    bool run = false;
    int ret = reader ? 0 : -ENOMEM;

    while (ret == 0 && !run && ferry_reader_offset(reader) < bytes)
        ret = package_item(destination, reader, &run, err);
    if (ret == 0 && ferry_reader_offset(reader) < bytes)
        ret = ferry_error_set(err, -EPROTO, "something follows postcopy-run in the package");
    if (ret == 0 && !run && !destination->peer.ferry)
        ret = ferry_error_set(err, -EPROTO, "a package without postcopy-run");
    if (ret == 0 && destination->postcopy.state != POSTCOPY_LISTEN)
        ret = ferry_error_set(err, -EPROTO, "a package without postcopy-listen");
    ferry_reader_free(reader);
    ferry_channel_unref(chan);
    return ret;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* From here on what misses is waited for, whatever becomes of the stream.  Too late where that has failed already:
 * touches are answered no more, and the guest would go on with zeros. */
static int begin_running(struct destination_postcopy *postcopy, struct ferry_error *err)
{
    int ret;

    pthread_mutex_lock(&postcopy->lock);
    ret = postcopy->over ? postcopy->ret : 0;
    if (ret < 0)
        *err = postcopy->why;
    postcopy->started = ret == 0;
    pthread_mutex_unlock(&postcopy->lock);
    return ret;
}

/* In the plain dialect the end of the package is the right to run; SHUT comes when all memory is here. */
static int start_guest(struct destination *destination, struct ferry_error *err)
{
    int ret;

    if (destination->peer.ferry)
        return destination_peer_take_over(&destination->peer, err);
    ret = begin_running(&destination->postcopy, err);
    if (ret == 0)
        ret = session_commit(destination->session, err);
    return ret == 0 ? guest_start(destination->guest, err) : ret;
}

/* All is here that the guest cannot run without. */
static int take_over(struct destination *destination, struct ferry_error *err)
{
    int ret = state_sections_complete(destination->guest, &destination->arrivals, err);

    if (ret == 0)
        ret = landing_complete_before(&destination->landing, err);
    return ret == 0 ? start_guest(destination, err) : ret;
}

static int broken(struct ferry_error *err)
{
    ferry_error_prefix(err, "the guest runs here, and some of its memory is still at the source");
    ferry_error_code(err, FERRY_E_POSTCOPY_INTERRUPTED);
    err->errnum = -ENOTRECOVERABLE;
    return -ENOTRECOVERABLE;
}

/* The stream has ended: is everything here? */
static int complete(struct destination *destination, struct ferry_error *err)
{
    int ret = 0;

    if (!destination_ram_ended(destination))
        ret = ferry_error_set_code(err, FERRY_E_MEMORY_INCOMPLETE, -EPROTO,
                                   "the stream ended, but memory did not come to its end");
    if (ret == 0)
        ret = landing_complete_after(&destination->landing, err);
    if (ret == 0)
        ret = destination_listen_finish(destination, err);
    if (ret == 0)
        ret = postcopy_ram_finish(destination->postcopy.ram, err);
    return ret;
}

/* All memory has come. */
static void tell_source(struct destination *destination)
{
    destination->postcopy.state = POSTCOPY_END;
    if (return_path_shut(destination->peer.path, 0, NULL) < 0)
        log_warn(LOG_SESSION, "all memory is here, but the source could not be told");
}

/* Until all memory is here, however often that is interrupted. */
static int follow(struct destination *destination, struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    int ret = session_enter(destination->session, FERRY_PHASE_POSTCOPY_ACTIVE, &why);

    if (ret == 0)
        ret = destination_listen_join(destination, &why);
    for (;;) {
        if (ret == 0)
            ret = complete(destination, &why);
        if (ret == 0)
            tell_source(destination);
        destination_note_progress(destination);
        if (ret == 0)
            return 0;
        destination_pages_cause(&destination->pages, &why);
        (void)!destination_peer_lost(&destination->peer, &why);
        *err = why;
        broken(err);
        ret = destination_resume(destination, err);
        if (ret < 0)
            return ret;
        memset(&why, 0, sizeof(why));
        ret = destination_listen_on(destination, &why);
    }
}

int destination_postcopy_run(struct destination *destination, struct ferry_error *err)
{
    uint8_t *data;
    uint32_t bytes;
    int ret = session_enter(destination->session, FERRY_PHASE_DEVICE, err);

    if (ret < 0)
        return ret;
    ret = read_package(destination, &data, &bytes, err);
    if (ret == 0)
        ret = load_package(destination, data, bytes, err);
    free(data);
    if (ret == 0)
        ret = take_over(destination, err);
    if (ret < 0)
        return destination_listen_cause(destination, ret, err);
    destination->postcopy.state = POSTCOPY_RUNNING;
    return follow(destination, err);
}

/* ---- figures, the end -------------------------------------------------------------------------------------------- */

void destination_postcopy_init(struct destination_postcopy *postcopy)
{
    pthread_mutex_init(&postcopy->lock, NULL);
    pthread_mutex_init(&postcopy->asks, NULL);
    pthread_cond_init(&postcopy->changed, NULL);
}

static void note_threads(struct ferry_session *session, const struct postcopy_figures *figures)
{
    struct ferry_postcopy_thread threads[POSTCOPY_THREADS_MAX];

    for (unsigned i = 0; i < figures->threads; i++)
        threads[i] = (struct ferry_postcopy_thread){ figures->thread[i].tid, figures->thread[i].faults,
                                                     figures->thread[i].blocked_ns, figures->thread[i].max_ns };
    session_note_threads(session, threads, figures->threads);
}

void destination_postcopy_total(const struct destination_postcopy *postcopy, struct page_figures *total)
{
    struct page_figures figures;

    total->bytes += postcopy->before.bytes;
    total->content_pages += postcopy->before.content_pages;
    total->zero_pages += postcopy->before.zero_pages;
    if (!postcopy->receiver)
        return;
    records_receiver_figures(postcopy->receiver, &figures);
    total->bytes += figures.bytes;
    total->content_pages += figures.content_pages;
    total->zero_pages += figures.zero_pages;
}

void destination_postcopy_note(const struct destination_postcopy *postcopy, struct ferry_session *session)
{
    struct postcopy_figures figures = { 0 };
    struct ferry_postcopy_stats *to;

    if (postcopy->state == POSTCOPY_NONE)
        return;
    if (postcopy->ram) {
        postcopy_ram_figures(postcopy->ram, &figures);
        note_threads(session, &figures);
    }
    to = &session_stats_lock(session)->postcopy;
    strcpy(to->state, postcopy_state_name(postcopy->state));
    to->discarded_pages = figures.discarded;
    to->missing_pages = figures.missing;
    to->received_pages = figures.received;
    to->asked = figures.requested;
    to->duplicates = figures.duplicates;
    to->local = figures.local;
    to->latency = figures.latency;
    to->blocked_ns = figures.latency.total_ns;
    to->all_blocked_ns = figures.all_blocked_ns;
    to->threads = figures.threads;
    session_stats_unlock(session);
}

void destination_postcopy_close(struct destination_postcopy *postcopy, struct ferry_session *session, int ret)
{
    records_receiver_free(postcopy->receiver);
    placer_free(postcopy->preempt_view);
    placer_free(postcopy->view);
    ferry_channel_unref(postcopy->preempt);
    if (ret == -ENOTRECOVERABLE) {
        ferry_channel_shutdown(session->chan, FERRY_READ_WRITE); /* a request that is under way comes back */
        postcopy_ram_forsake(postcopy->ram);
        session->split_ram = postcopy->ram;
    } else {
        if (postcopy->ram && postcopy->state != POSTCOPY_END)
            postcopy_ram_abandon(postcopy->ram); /* nobody runs on it, and what misses harms nobody */
        postcopy_ram_free(postcopy->ram);
    }
    pthread_cond_destroy(&postcopy->changed);
    pthread_mutex_destroy(&postcopy->asks);
    pthread_mutex_destroy(&postcopy->lock);
}
