/* SPDX-License-Identifier: BSD-3-Clause */
/* destination_resume.c - a postcopy that was interrupted goes on over new connections: the destination's half
 *
 *      part       all connections are let go, their threads end; memory, guest and fault thread stay as they are
 *      sleep      until there is a listener and a reason (session_pause.c); who touches what misses waits
 *      accept     ferry: the session's own source, by its name, the token of the switch, and the key of its first main
 *                 connection; everybody else is refused.  qemu: whoever begins as a QEMU does then
 *      answer     RECV_BITMAP block: what has come of it ...  POSTCOPY_RESUME: RESUME_ACK, and all requests once more
 *
 * A host page that had come in part is forgotten, and comes again.  From POSTCOPY_RESUME on the load thread reads what
 * the listen thread has read before.
 */
#include "capabilities.h"
#include "clock.h"
#include "deadline.h"
#include "destination_listen.h"
#include "destination_parts.h"
#include "gather.h"
#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define QEMU_FIRST_BYTES 3 /* what a QEMU begins with: a command, RECV_BITMAP */

static const uint8_t qemu_first[QEMU_FIRST_BYTES] = { SECTION_COMMAND, 0, COMMAND_RECV_BITMAP };

static bool may_resume(struct destination *destination)
{
    uint64_t protocol = session_stats_lock(destination->session)->peer.protocol;

    session_stats_unlock(destination->session);
    return !destination->peer.ferry || (protocol & CAPABILITY_POSTCOPY_RESUME);
}

/* What was received in part is forgotten with its placer. */
static void drop_views(struct destination *destination)
{
    struct destination_postcopy *postcopy = &destination->postcopy;
    struct page_figures total = { 0 };

    if (postcopy->receiver)
        records_receiver_stop(postcopy->receiver);
    destination_postcopy_total(postcopy, &total);
    postcopy->before = total;
    records_receiver_free(postcopy->receiver);
    placer_free(postcopy->preempt_view);
    ferry_channel_unref(postcopy->preempt);
    placer_free(postcopy->view);
    postcopy->receiver = NULL;
    postcopy->preempt_view = postcopy->view = NULL;
    postcopy->preempt = NULL;
}

static void part(struct destination *destination, struct ferry_error *err)
{
    session_pause(destination->session, err);
    destination_peer_part(&destination->peer);
    destination_listen_stop(destination);
    destination_pages_part(&destination->pages);
    drop_views(destination);
    destination_note_progress(destination);
}

/* ---- accept ------------------------------------------------------------------------------------------------------ */

static struct ferry_channel *accept_ferry(struct destination *destination, struct ferry_error *err)
{
    struct ferry_session *session = destination->session;
    struct roster_return returns;
    struct gather_terms terms = gather_terms_of(&session->options, 1);
    struct gather_result result = { 0 };
    struct ferry_channel *chan = NULL;
    struct gather *gather;
    int ret = -ENOMEM;

    memcpy(returns.session, destination->peer.id, sizeof(returns.session));
    memcpy(returns.token, destination->peer.token, sizeof(returns.token));
    terms.roster.returns = &returns;
    terms.secure = secure_is_on(&session->secure) ? &session->secure : NULL;
    terms.born = session->born;
    terms.wait_ns = session->door.timeout_ms < 0 ? -1 : session->door.timeout_ms * NS_PER_MS;
    gather = gather_new(&terms, destination->peer.dog, err);
    if (gather)
        ret = session_collect_with(session, gather, err);
    if (ret == 0)
        ret = gather_run(gather, session->door.listener, NULL, &result, err);
    (void)!session_collect_with(session, NULL, NULL);
    gather_free(gather);
    if (ret == 0)
        chan = ferry_channel_ref(result.main);
    gather_result_clear(&result);
    return chan;
}

/* The first bytes stay unread: they are seen, and given back to who reads them in earnest. */
static bool begins_as_qemu(struct destination *destination, struct ferry_channel *chan, uint8_t first[QEMU_FIRST_BYTES],
                           struct ferry_error *err)
{
    struct deadline deadline = { 0 };
    int ret;

    deadline_begin(&deadline, destination->peer.dog, chan, FERRY_READ,
                   clock_now_ns() + (int64_t)destination->session->options.setup_timeout_ns);
    ret = ferry_channel_read_all(chan, first, QEMU_FIRST_BYTES, err);
    ret = deadline_end(&deadline, ret, "nothing came on it", err);
    if (ret == 0 && memcmp(first, qemu_first, QEMU_FIRST_BYTES))
        ret = ferry_error_set_code(err, FERRY_E_FOREIGN_CONNECTION, -EPROTO,
                                   "%s: a postcopy that was interrupted waits here, and this is not its source",
                                   ferry_channel_label(chan));
    return ret == 0;
}

static struct ferry_channel *accept_qemu(struct destination *destination, uint8_t first[QEMU_FIRST_BYTES],
                                         struct ferry_error *err)
{
    struct ferry_session *session = destination->session;
    int64_t setup_ns = (int64_t)session->options.setup_timeout_ns;
    struct ferry_channel *chan, *wrapped;

    while ((chan = session_accept(session, session->door.timeout_ms, err)) != NULL) {
        session_add_channel(session, chan);
        wrapped = secure_wrap(&session->secure, chan, NULL, destination->peer.dog, clock_now_ns() + setup_ns, err);
        if (wrapped && begins_as_qemu(destination, wrapped, first, err)) {
            secure_forgive_end(wrapped);
            return wrapped;
        }
        ferry_channel_shutdown(chan, FERRY_READ_WRITE);
        ferry_channel_unref(wrapped ? wrapped : chan);
        session_drop_channels(session);
    }
    return NULL;
}

static int accept_again(struct destination *destination, struct ferry_error *err)
{
    struct ferry_session *session = destination->session;
    uint8_t first[QEMU_FIRST_BYTES];
    bool ferry = destination->peer.ferry;
    struct ferry_channel *chan;

    if (!session->door.listener)
        return ferry_error_set(err, -ENOTCONN, "nobody can come in: there is no listener");
    chan = ferry ? accept_ferry(destination, err) : accept_qemu(destination, first, err);
    if (!chan)
        return err->errnum ? err->errnum : -ENOTCONN;
    session_replace(session, chan);
    reader_redirect(destination->reader, chan);
    if (!ferry)
        reader_preload(destination->reader, first, sizeof(first));
    pthread_mutex_lock(&destination->postcopy.asks);
    destination->postcopy.last = NULL;
    return_path_redirect(destination->peer.path, chan);
    pthread_mutex_unlock(&destination->postcopy.asks);
    return 0;
}

/* ---- answer ------------------------------------------------------------------------------------------------------ */

static int open_view(struct destination *destination, struct ferry_error *err)
{
    struct destination_postcopy *postcopy = &destination->postcopy;

    postcopy->view = postcopy_ram_placer(postcopy->ram, err);
    if (!postcopy->view)
        return -ENOMEM;
    ram_loader_begin_again(&destination->ram, postcopy->view);
    destination_ram_reopen(destination);
    return 0;
}

/* RECV_BITMAP: cstr8 block. */
static int answer_bitmap(struct destination *destination, const struct section_item *item, struct ferry_error *err)
{
    char name[FERRY_BLOCK_NAME_MAX + 1];
    const _Atomic(uint64_t) *received;
    const struct ram_block *block;
    uint64_t *words;
    size_t count;
    int ret;

    if (ferry_get_cstr8(destination->reader, name) < 0)
        return ferry_reader_status(destination->reader, err);
    block = ram_map_find(&destination->guest->ram, name);
    if (!block || item->bytes != 1 + strlen(name))
        return ferry_error_set(err, -EPROTO, "recv-bitmap in %u bytes, of block '%s', %s", item->bytes, name,
                               block ? "which takes more or less" : "which is not there");
    received = postcopy_ram_received(destination->postcopy.ram, block);
    count = return_path_bitmap_bytes(block->pages) / sizeof(*words);
    words = malloc((count + 1) * sizeof(*words));
    if (!words)
        return ferry_error_set(err, -ENOMEM, "block '%s': no memory to say what has come of it", name);
    for (size_t i = 0; i < count; i++)
        words[i] = received[i];
    ret = return_path_bitmap(destination->peer.path, name, words, block->pages, err);
    free(words);
    return ret;
}

/* 1: that was the last. */
static int answer_command(struct destination *destination, const struct section_item *item, struct ferry_error *err)
{
    uint32_t cookie;
    int ret;

    switch (item->command) {
    case COMMAND_RECV_BITMAP:
        return answer_bitmap(destination, item, err);
    case COMMAND_POSTCOPY_RESUME:
        return item->bytes == 0 ? 1 : ferry_error_set(err, -EPROTO, "postcopy-resume with %u bytes", item->bytes);
    case COMMAND_PING:
        if (item->bytes != sizeof(cookie))
            return ferry_error_set(err, -EPROTO, "ping with %u bytes", item->bytes);
        ret = ferry_get_be32(destination->reader, &cookie);
        return ret < 0 ? ferry_reader_status(destination->reader, err)
                       : return_path_pong(destination->peer.path, cookie, err);
    default:
        return ferry_error_set_code(err, FERRY_E_POSTCOPY_ORDER, -EPROTO, "command %s before postcopy-resume",
                                    section_command_name(item->command));
    }
}

static int answer_all(struct destination *destination, struct ferry_error *err)
{
    struct section_item item;
    int ret;

    do {
        ret = section_get_item(destination->reader, &item);
        if (ret < 0)
            return ferry_reader_status(destination->reader, err);
        if (item.type == SECTION_COMMAND)
            ret = answer_command(destination, &item, err);
        else if (item.type == SECTION_FERRY &&
                 (item.ferry_kind == FERRY_ITEM_HEARTBEAT || item.ferry_kind == FERRY_ITEM_ERROR))
            ret = destination_peer_item(&destination->peer, &item, err);
        else
            ret = ferry_error_set_code(err, FERRY_E_POSTCOPY_ORDER, -EPROTO, "%s before postcopy-resume",
                                       section_type_name(item.type));
    } while (ret == 0);
    return ret < 0 ? ret : 0;
}

/* A QEMU's connection for requested pages. */
static int take_preempt(struct destination *destination, uint64_t when, struct ferry_error *err)
{
    if (destination->peer.ferry || destination->session->options.postcopy_preempt != when)
        return 0;
    return destination_let_preempt_in(destination, err);
}

static int acknowledge(struct destination *destination, struct ferry_error *err)
{
    static const uint8_t one[] = { 0, 0, 0, 1 };
    int ret = return_path_send(destination->peer.path, RETURN_PATH_RESUME_ACK, one, sizeof(one), err);

    if (ret == 0)
        ret = session_resumed(destination->session, err);
    if (ret < 0)
        return ret;
    ret = postcopy_ram_ask_again(destination->postcopy.ram);
    return ret < 0 ? ferry_error_set(err, ret, "what is waited for could not be asked for again") : 0;
}

/* ---- one attempt after another ----------------------------------------------------------------------------------- */

/* The listener stays where an interruption is to heal by itself. */
static void close_door(struct ferry_session *session, bool failed)
{
    bool stopped;

    session_stats_lock(session);
    stopped = failed && session_called_off(session);
    session_stats_unlock(session);
    if (session->options.postcopy_retry_ns > 0 && !stopped)
        return;
    ferry_listener_free(session->door.listener);
    session->door.listener = NULL;
}

static int attempt(struct destination *destination, struct ferry_error *err)
{
    struct ferry_session *session = destination->session;
    int ret = accept_again(destination, err);

    if (ret == 0)
        ret = session_enter(session, FERRY_PHASE_POSTCOPY_RECOVER, err);
    if (ret == 0)
        ret = destination_peer_watch(&destination->peer, err);
    if (ret == 0)
        ret = take_preempt(destination, PREEMPT_EARLY, err);
    if (ret == 0)
        ret = open_view(destination, err);
    if (ret == 0)
        ret = answer_all(destination, err);
    if (ret == 0)
        ret = take_preempt(destination, PREEMPT_ON, err);
    if (ret == 0 && destination->postcopy.preempt)
        ret = destination_listen_preempt(destination, err);
    if (ret == 0)
        ret = acknowledge(destination, err);
    close_door(session, ret < 0);
    return ret;
}

int destination_resume(struct destination *destination, struct ferry_error *err)
{
    struct ferry_session *session = destination->session;

    if (!may_resume(destination))
        return -ENOTRECOVERABLE;
    session_error_where(session, FERRY_SIDE_DESTINATION, err);
    if (destination->peer.ferry)
        destination_peer_failed(&destination->peer, -ENOTRECOVERABLE, err);
    session->split_ram = destination->postcopy.ram; /* as long as the session sleeps */
    part(destination, err);
    while (session_await_resume(session, session->door.listener != NULL) == 0) {
        struct ferry_error why = { 0 };

        if (attempt(destination, &why) == 0) {
            session->split_ram = NULL;
            return 0;
        }
        (void)!destination_peer_lost(&destination->peer, &why);
        ferry_error_prefix(&why, "postcopy could not go on");
        ferry_error_code(&why, FERRY_E_POSTCOPY_INTERRUPTED);
        session_error_where(session, FERRY_SIDE_DESTINATION, &why);
        *err = why;
        part(destination, err);
    }
    err->errnum = -ENOTRECOVERABLE;
    return -ENOTRECOVERABLE;
}
