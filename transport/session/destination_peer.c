/* SPDX-License-Identifier: BSD-3-Clause */
/* destination_peer.c - what the destination says to its source, beside loading what comes */
#include "destination_peer.h"

#include "capabilities.h"
#include "clock.h"
#include "deadline.h"
#include "error_wire.h"
#include "gather.h"
#include "guest_manifest.h"
#include "hello.h"
#include "log.h"
#include "takeover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_NS (2 * NS_PER_SEC) /* for the source to read why we failed, before the connection goes */

/* ---- liveness: all on its thread ------------------------------------------------------------------------------- */

/* What is loaded or checked here takes as long as it takes: silence counts while something is waited for. */
static int64_t heard_ns(void *opaque)
{
    struct destination_peer *peer = opaque;
    int64_t main_ns = reader_waits_since_ns(peer->reader), pages_ns = destination_pages_wait_since_ns(peer->pages);

    return main_ns < pages_ns ? main_ns : pages_ns;
}

static void beat(void *opaque, uint64_t count)
{
    struct destination_peer *peer = opaque;

    (void)!return_path_counter(peer->path, RETURN_PATH_HEARTBEAT, count, NULL);
}

static void suspect(void *opaque, int64_t silent_ns)
{
    struct destination_peer *peer = opaque;

    session_stats_lock(peer->session)->peer.silent_ns = silent_ns;
    session_stats_unlock(peer->session);
}

static void lost(void *opaque, struct ferry_error *err)
{
    struct destination_peer *peer = opaque;

    ferry_error_prefix(err, "%s", ferry_channel_label(peer->session->chan));
    session_stats_lock(peer->session);
    peer->lost = *err;
    session_stats_unlock(peer->session);
    session_shut_down(peer->session, FERRY_READ_WRITE);
}

static const struct liveness_ops liveness_ops = { heard_ns, beat, suspect, lost };

/* ---- opening --------------------------------------------------------------------------------------------------- */

/* Who comes in through the door. */
static int collect(struct ferry_session *session, struct gather *gather, struct gather_result *result,
                   struct ferry_error *err)
{
    bool preempt = session->door.listener && session->options.postcopy_preempt != PREEMPT_OFF;
    struct ferry_channel *first = NULL;
    int ret = session_collect_with(session, gather, err);

    if (ret == 0 && preempt) {
        first = session_accept(session, session->door.timeout_ms, err);
        ret = first ? 0 : err->errnum;
    }
    if (ret == 0)
        ret = gather_run(gather, preempt ? NULL : session->door.listener, first ? first : session->chan, result, err);
    ferry_channel_unref(first);
    session_collect_with(session, NULL, NULL);
    if (ret < 0 || (!preempt && session->options.postcopy_retry_ns == 0)) {
        ferry_listener_free(session->door.listener);
        session->door.listener = NULL;
    }
    if (ret == 0 && !session->chan)
        ret = session_come_in(session, result->main, err);
    else if (ret == 0 && result->main != session->chan)
        session_adopt(session, ferry_channel_ref(result->main));
    return ret;
}

static int admit(void *opaque, const struct hello *main, struct ferry_error *err)
{
    return takeover_begin(opaque, main, err);
}

/* As many page channels as the source likes, unless our options say how many; and one for requested pages. */
static unsigned most_connections(const struct ferry_session *session)
{
    uint64_t channels = session->options.channels;

    if (!session->door.listener)
        return 1;
    return 2 + (channels == 0 || channels == OPTION_AUTO ? HELLO_MAX_PAGES : (unsigned)channels);
}

/* The first bytes, and with a hello the whole set-up; has a deadline where somebody is at the other end. */
static int learn_dialect(struct destination_peer *peer, struct gather_result *result, struct ferry_error *err)
{
    struct ferry_session *session = peer->session;
    struct gather_terms terms = gather_terms_of(&session->options, most_connections(session));
    struct gather *gather;
    int ret = -ENOMEM;

    terms.admit = admit;
    terms.opaque = peer;
    terms.secure = secure_is_on(&session->secure) ? &session->secure : NULL;
    if (!session->chan)
        terms.wait_ns = session->door.timeout_ms < 0 ? -1 : session->door.timeout_ms * NS_PER_MS;
    else if (ferry_channel_answers(session->chan))
        terms.wait_ns = (int64_t)session->options.setup_timeout_ns;
    gather = gather_new(&terms, peer->dog, err);
    if (gather)
        ret = collect(session, gather, result, err);
    gather_free(gather);
    peer->ferry = ret == 0 && result->kind == HELLO_KIND_FERRY;
    return ret;
}

/* The dialect is known: the reader, and in the ferry dialect the way back. */
static int open_streams(struct destination_peer *peer, const struct gather_result *result, struct ferry_error *err)
{
    struct ferry_session *session = peer->session;

    peer->reader = ferry_reader_new(session->chan, err);
    if (!peer->reader)
        return -ENOMEM;
    if (!peer->ferry) {
        if (*session->options.journal)
            return ferry_error_set_code(err, FERRY_E_JOURNAL, -EINVAL,
                                        "%s: a plain stream, in which there is nothing to keep a journal of",
                                        ferry_channel_label(session->chan));
        session_note_peer(session, "qemu", 0, 0);
        session_make_id(session);
        secure_forgive_end(session->chan);
        reader_preload(peer->reader, result->first, sizeof(result->first));
        return 0;
    }
    session_at(session, "answered");
    memcpy(peer->nonce, result->agreed.nonce, sizeof(peer->nonce));
    session_note_peer(session, "ferry", result->agreed.protocol, result->agreed.device);
    memcpy(peer->id, result->hello.session, sizeof(peer->id));
    session_note_id(session, result->hello.session);
    peer->path = return_path_open(peer->reader, err);
    if (!peer->path)
        return -ENOTSUP;
    ferry_channel_set_patience(session->chan, (unsigned)(session->options.lost_after_ns / NS_PER_MS));
    return 0;
}

int destination_peer_watch(struct destination_peer *peer, struct ferry_error *err)
{
    const struct ferry_options *options = &peer->session->options;

    if (!peer->ferry)
        return 0;
    peer->liveness = liveness_new(&liveness_ops, peer, options->suspect_after_ns, options->lost_after_ns, err);
    return peer->liveness ? 0 : -EAGAIN;
}

int destination_peer_open(struct destination_peer *peer, struct ferry_session *session, struct destination_pages *pages,
                          struct ferry_error *err)
{
    struct gather_result result = { 0 };
    int ret;

    memset(peer, 0, sizeof(*peer));
    peer->session = session;
    ret = secure_open(&session->secure, &session->options, FERRY_SIDE_DESTINATION, err);
    if (ret < 0)
        return ret;
    peer->dog = watchdog_new(err);
    if (!peer->dog)
        return -EAGAIN;
    ret = learn_dialect(peer, &result, err);
    if (ret == 0)
        ret = open_streams(peer, &result, err);
    if (ret == 0) {
        destination_pages_take(pages, session, peer->dog, &result);
        peer->pages = pages;
        ret = destination_peer_watch(peer, err);
    }
    gather_result_clear(&result); /* references to the session's own channel */
    return ret;
}

void destination_peer_part(struct destination_peer *peer)
{
    liveness_free(peer->liveness);
    peer->liveness = NULL;
    session_stats_lock(peer->session);
    memset(&peer->lost, 0, sizeof(peer->lost));
    session_stats_unlock(peer->session);
}

void destination_peer_close(struct destination_peer *peer)
{
    liveness_free(peer->liveness);
    return_path_free(peer->path);
    ferry_reader_free(peer->reader);
    watchdog_free(peer->dog);
}

int destination_peer_open_path(struct destination_peer *peer)
{
    struct ferry_error err = { 0 };

    if (!peer->path)
        peer->path = return_path_open(peer->reader, &err);
    return peer->path ? 0 : reader_fail_why(peer->reader, -ENOTSUP, &err);
}

int destination_peer_ping(struct destination_peer *peer, uint32_t cookie)
{
    struct ferry_error err = { 0 };
    int ret;

    if (!peer->path)
        return ferry_reader_fail(peer->reader, -EPROTO, "a ping without a return path to answer on");
    ret = return_path_pong(peer->path, cookie, &err);
    return ret < 0 ? reader_fail_why(peer->reader, ret, &err) : 0;
}

void destination_peer_ack(struct destination_peer *peer)
{
    struct ferry_stats *stats = session_stats_lock(peer->session);
    bool agreed = stats->peer.device & CAPABILITY_SWITCHOVER_ACK;
    struct ferry_error mute;

    session_stats_unlock(peer->session);
    if (agreed && peer->path)
        (void)!return_path_send(peer->path, RETURN_PATH_SWITCHOVER_ACK, NULL, 0, &mute);
}

/* ---- items ----------------------------------------------------------------------------------------------------- */

/* The source gives up and says why. */
static int get_error(struct destination_peer *peer, const struct section_item *item, struct ferry_error *err)
{
    uint8_t payload[RETURN_PATH_FERRY_MAX];
    int ret;

    if (item->ferry_bytes > sizeof(payload))
        return ferry_reader_fail(peer->reader, -EPROTO, "an error of %" PRIu32 " bytes", item->ferry_bytes);
    ret = ferry_get_bytes(peer->reader, payload, item->ferry_bytes);
    if (ret < 0)
        return ret;
    if (error_decode(payload, item->ferry_bytes, err) < 0)
        ferry_error_set(err, -EREMOTEIO, "the source failed and cannot say why");
    return err->errnum ? err->errnum : -EREMOTEIO;
}

static int get_manifest(struct destination_peer *peer, const struct section_item *item, struct ferry_error *err)
{
    struct guest_answer answer = { 0 };
    struct ferry_error mute;
    uint8_t *data;
    int ret;

    if (peer->agreed)
        return ferry_reader_fail(peer->reader, -EPROTO, "a second manifest");
    data = malloc(item->ferry_bytes ? item->ferry_bytes : 1);
    if (!data)
        return ferry_reader_fail(peer->reader, -ENOMEM, "no memory for a manifest of %" PRIu32 " bytes",
                                 item->ferry_bytes);
    ret = ferry_get_bytes(peer->reader, data, item->ferry_bytes);
    if (ret == 0) {
        ret = guest_manifest_answer(peer->session->guest, data, item->ferry_bytes, RETURN_PATH_FERRY_MAX,
                                    RETURN_PATH_FERRY_MAX, &answer, err);
        peer->agreed = answer.agreed;
        if (answer.payload)
            (void)!return_path_send(peer->path, answer.agreed ? RETURN_PATH_AGREED : RETURN_PATH_REFUSED,
                                    answer.payload, answer.bytes, &mute);
        free(answer.payload);
    }
    free(data);
    return ret;
}

int destination_peer_item(struct destination_peer *peer, const struct section_item *item, struct ferry_error *err)
{
    int ret;

    if (!peer->ferry) {
        ferry_reader_fail(peer->reader, -EPROTO, "an item of the ferry dialect, but no hello came");
        return ferry_reader_status(peer->reader, err);
    }
    switch (item->ferry_kind) {
    case FERRY_ITEM_MANIFEST:
        ret = get_manifest(peer, item, err);
        break;
    case FERRY_ITEM_PREPARE:
        ret = takeover_prepare(peer, item);
        break;
    case FERRY_ITEM_HEARTBEAT:
        ret = ferry_reader_skip(peer->reader, item->ferry_bytes);
        break;
    case FERRY_ITEM_ERROR:
        ret = get_error(peer, item, err);
        break;
    default:
        ret = ferry_reader_fail(peer->reader, -EPROTO, "item %u has no place here", item->ferry_kind);
        break;
    }
    ferry_reader_status(peer->reader, err);
    return ret;
}

int destination_peer_get_item(struct destination_peer *peer, struct section_item *item, const char *awaited,
                              struct ferry_error *err)
{
    int ret = section_get_item(peer->reader, item);

    if (ret == 0 && item->type != SECTION_FERRY)
        ret = ferry_reader_fail(peer->reader, -EPROTO, "%s where %s must come", section_type_name(item->type), awaited);
    return ret < 0 ? ferry_reader_status(peer->reader, err) : 0;
}

int destination_peer_agree(struct destination_peer *peer, struct ferry_error *err)
{
    struct section_item item;
    int ret = 0;

    while (ret == 0 && peer->ferry && !peer->agreed) {
        ret = destination_peer_get_item(peer, &item, "the manifest", err);
        if (ret == 0)
            ret = destination_peer_item(peer, &item, err);
    }
    return ret;
}

/* ---- the switch ------------------------------------------------------------------------------------------------ */

/* The plain dialect: nobody says more than that the stream has ended. */
static int run_plain(struct destination_peer *peer, struct ferry_error *err)
{
    int ret = session_commit(peer->session, err);

    if (ret == 0)
        ret = guest_start(peer->session->guest, err);
    if (ret == 0 && peer->path && return_path_shut(peer->path, 0, NULL) < 0)
        log_warn(LOG_SESSION, "the guest runs, but the source could not be told");
    return ret;
}

int destination_peer_take_over(struct destination_peer *peer, struct ferry_error *err)
{
    return peer->ferry ? takeover(peer, err) : run_plain(peer, err);
}

/* ---- failure --------------------------------------------------------------------------------------------------- */

/* Closing with bytes unread would reset the connection, and the source might never read our reason. */
static void drain(struct destination_peer *peer)
{
    struct deadline deadline = { 0 };
    int ret = 0;

    if (return_path_finish(peer->path, NULL) < 0)
        return;
    deadline_begin(&deadline, peer->dog, peer->session->chan, FERRY_READ, clock_now_ns() + DRAIN_NS);
    if (peer->listener.await_end)
        peer->listener.await_end(peer->listener.opaque);
    while (ret == 0)
        ret = reader_drop(peer->reader);
    deadline_end(&deadline, ret, "the source goes on sending", NULL);
}

bool destination_peer_lost(struct destination_peer *peer, struct ferry_error *err)
{
    bool lost;

    session_stats_lock(peer->session);
    lost = peer->lost.errnum != 0;
    if (lost)
        *err = peer->lost;
    session_stats_unlock(peer->session);
    return lost;
}

void destination_peer_failed(struct destination_peer *peer, int ret, struct ferry_error *err)
{
    uint8_t payload[RETURN_PATH_FERRY_MAX];
    struct ferry_error ended;

    if (ret != -EOWNERDEAD && ret != -ENOTRECOVERABLE)
        (void)!takeover_give_up(peer);
    if (!peer->path || !err)
        return;
    if (destination_peer_lost(peer, &ended)) {
        if (ret != -EOWNERDEAD && ret != -ENOTRECOVERABLE)
            *err = ended;
        return;
    }
    if (!peer->ferry) {
        (void)!return_path_shut(peer->path, 1, NULL);
        return;
    }
    if (err->from_peer)
        return;
    ferry_error_where(err, FERRY_SIDE_DESTINATION, NULL);
    (void)!return_path_send(peer->path, RETURN_PATH_ERROR, payload, error_encode(err, payload, sizeof(payload)), NULL);
    drain(peer);
}
