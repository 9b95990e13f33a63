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

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_NS (2 * NS_PER_SEC) /* for the source to read why we failed, before the connection goes */

/* ---- liveness: all on its thread ------------------------------------------------------------------------------- */

static int64_t heard_ns(void *opaque)
{
    return reader_heard_ns(((struct destination_peer *)opaque)->reader);
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
    ferry_channel_shutdown(peer->session->chan, FERRY_READ_WRITE);
}

static const struct liveness_ops liveness_ops = { heard_ns, beat, suspect, lost };

/* ---- opening --------------------------------------------------------------------------------------------------- */

/* The first bytes, and with a hello the whole set-up; has a deadline where somebody is at the other end. */
static int learn_dialect(struct destination_peer *peer, struct gather_result *result, struct ferry_error *err)
{
    struct ferry_session *session = peer->session;
    struct gather_terms terms = gather_terms_of(&session->options, 1);
    struct gather *gather;
    int ret = -ENOMEM;

    if (ferry_channel_answers(session->chan))
        terms.wait_ns = (int64_t)session->options.setup_timeout_ns;
    gather = gather_new(&terms, peer->dog, err);
    if (gather)
        ret = gather_run(gather, NULL, session->chan, result, err);
    gather_free(gather);
    peer->ferry = ret == 0 && result->kind == HELLO_KIND_FERRY;
    return ret;
}

/* The dialect is known: the reader, and in the ferry dialect the way back and who watches. */
static int open_streams(struct destination_peer *peer, const struct gather_result *result, struct ferry_error *err)
{
    struct ferry_session *session = peer->session;

    peer->reader = ferry_reader_new(session->chan, err);
    if (!peer->reader)
        return -ENOMEM;
    if (!peer->ferry) {
        session_note_peer(session, "qemu", 0, 0);
        reader_preload(peer->reader, result->first, sizeof(result->first));
        return 0;
    }
    session_note_peer(session, "ferry", result->agreed.protocol, result->agreed.device);
    peer->path = return_path_open(peer->reader, err);
    if (!peer->path)
        return -ENOTSUP;
    ferry_channel_set_patience(session->chan, (unsigned)(session->options.lost_after_ns / NS_PER_MS));
    peer->liveness =
        liveness_new(&liveness_ops, peer, session->options.suspect_after_ns, session->options.lost_after_ns, err);
    return peer->liveness ? 0 : -EAGAIN;
}

int destination_peer_open(struct destination_peer *peer, struct ferry_session *session, struct ferry_error *err)
{
    struct gather_result result = { 0 };
    int ret;

    memset(peer, 0, sizeof(*peer));
    peer->session = session;
    peer->dog = watchdog_new(err);
    if (!peer->dog)
        return -EAGAIN;
    ret = learn_dialect(peer, &result, err);
    if (ret == 0)
        ret = open_streams(peer, &result, err);
    gather_result_clear(&result); /* references to the session's own channel */
    return ret;
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

static int get_token(struct destination_peer *peer, const struct section_item *item, uint8_t *token)
{
    if (item->ferry_bytes != RETURN_PATH_TOKEN_BYTES)
        return ferry_reader_fail(peer->reader, -EPROTO, "a token of %" PRIu32 " bytes", item->ferry_bytes);
    return ferry_get_bytes(peer->reader, token, RETURN_PATH_TOKEN_BYTES);
}

static int get_prepare(struct destination_peer *peer, const struct section_item *item)
{
    if (peer->prepared_ns)
        return ferry_reader_fail(peer->reader, -EPROTO, "the switch is prepared twice");
    peer->prepared_ns = clock_now_ns();
    return get_token(peer, item, peer->token);
}

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
        ret = get_prepare(peer, item);
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

/* ---- the switch ------------------------------------------------------------------------------------------------ */

/* The next COMMIT must carry the token of the PREPARE; until it comes, the guest is the source's. */
static int wait_commit(struct destination_peer *peer, struct ferry_error *err)
{
    uint8_t token[RETURN_PATH_TOKEN_BYTES];
    struct section_item item;
    int ret;

    for (;;) {
        ret = section_get_item(peer->reader, &item);
        if (ret < 0)
            return ferry_reader_status(peer->reader, err);
        if (item.type != SECTION_FERRY) {
            ferry_reader_fail(peer->reader, -EPROTO, "%s where the right to run must come",
                              section_type_name(item.type));
            return ferry_reader_status(peer->reader, err);
        }
        if (item.ferry_kind == FERRY_ITEM_COMMIT)
            break;
        ret = destination_peer_item(peer, &item, err);
        if (ret < 0)
            return ret;
    }
    ret = get_token(peer, &item, token);
    if (ret < 0)
        return ferry_reader_status(peer->reader, err);
    if (memcmp(token, peer->token, sizeof(token)) != 0)
        return ferry_error_set_code(err, FERRY_E_BAD_TOKEN, -EPROTO,
                                    "the right to run came with another migration's token");
    return 0;
}

static int run_guest(struct destination_peer *peer, struct ferry_error *err)
{
    int ret = session_commit(peer->session, err);

    return ret == 0 ? guest_start(peer->session->guest, err) : ret;
}

static int take_over_ferry(struct destination_peer *peer, struct ferry_error *err)
{
    int64_t committed;
    int ret;

    if (!peer->prepared_ns)
        return ferry_error_set(err, -EPROTO, "the stream ended without preparing the switch");
    ret = return_path_token(peer->path, RETURN_PATH_READY, peer->token, (uint64_t)(clock_now_ns() - peer->prepared_ns),
                            err);
    if (ret == 0) {
        ret = wait_commit(peer, err);
        if (ret < 0 && !err->from_peer)
            ferry_error_code(err, FERRY_E_UNDECIDED);
    }
    committed = clock_now_ns();
    if (ret == 0)
        ret = run_guest(peer, err);
    if (ret < 0)
        return ret;
    if (return_path_token(peer->path, RETURN_PATH_RUNNING, peer->token, (uint64_t)(clock_now_ns() - committed), NULL) <
        0)
        log_warn(LOG_SESSION, "the guest runs, but the source could not be told");
    return 0;
}

int destination_peer_take_over(struct destination_peer *peer, struct ferry_error *err)
{
    int ret;

    if (peer->ferry)
        return take_over_ferry(peer, err);
    ret = run_guest(peer, err);
    if (ret == 0 && peer->path && return_path_shut(peer->path, 0, NULL) < 0)
        log_warn(LOG_SESSION, "the guest runs, but the source could not be told");
    return ret;
}

/* ---- failure --------------------------------------------------------------------------------------------------- */

/* Closing with bytes unread would reset the connection, and the source might never read our reason. */
static void drain(struct destination_peer *peer)
{
    struct deadline deadline = { 0 };
    int ret = 0;

    if (ferry_channel_finish(peer->session->chan, NULL) < 0)
        return;
    deadline_begin(&deadline, peer->dog, peer->session->chan, FERRY_READ, clock_now_ns() + DRAIN_NS);
    while (ret == 0)
        ret = reader_drop(peer->reader);
    deadline_end(&deadline, ret, "the source goes on sending", NULL);
}

void destination_peer_failed(struct destination_peer *peer, struct ferry_error *err)
{
    uint8_t payload[RETURN_PATH_FERRY_MAX];
    struct ferry_error ended;

    if (!peer->path || !err)
        return;
    session_stats_lock(peer->session);
    ended = peer->lost;
    session_stats_unlock(peer->session);
    if (ended.errnum) {
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
