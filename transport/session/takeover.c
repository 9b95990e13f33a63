/* SPDX-License-Identifier: BSD-3-Clause */
/* takeover.c - the destination gets the right to run, or gives it up */
#include "takeover.h"

#include "clock.h"
#include "guest_parts.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

int takeover_begin(struct destination_peer *peer, const struct hello *main, struct ferry_error *err)
{
    struct ferry_session *session = peer->session;

    return notes_begin(&session->notes, &session->options, JOURNAL_DESTINATION, main->session, err);
}

static int get_token(struct destination_peer *peer, const struct section_item *item, uint8_t *token)
{
    if (item->ferry_bytes != RETURN_PATH_TOKEN_BYTES)
        return ferry_reader_fail(peer->reader, -EPROTO, "a token of %" PRIu32 " bytes", item->ferry_bytes);
    return ferry_get_bytes(peer->reader, token, RETURN_PATH_TOKEN_BYTES);
}

int takeover_prepare(struct destination_peer *peer, const struct section_item *item)
{
    uint8_t token[RETURN_PATH_TOKEN_BYTES];
    int ret;

    if (peer->prepared)
        return ferry_reader_fail(peer->reader, -EPROTO, "the switch is prepared twice");
    ret = get_token(peer, item, token);
    if (ret < 0)
        return ret;
    if (memcmp(token, peer->nonce, RETURN_PATH_NONCE_BYTES) != 0)
        return reader_fail_code(peer->reader, FERRY_E_BAD_TOKEN, NULL, -EPROTO,
                                "the switch was prepared for another connection than this one");
    memcpy(peer->token, token, sizeof(token));
    peer->prepared = true;
    session_at(peer->session, "prepare-heard");
    return 0;
}

static int read_commit(struct destination_peer *peer, uint8_t *token, struct ferry_error *err)
{
    struct section_item item;
    int ret;

    for (;;) {
        ret = destination_peer_get_item(peer, &item, "the right to run", err);
        if (ret < 0)
            return ret;
        if (item.ferry_kind == FERRY_ITEM_COMMIT)
            break;
        ret = destination_peer_item(peer, &item, err);
        if (ret < 0)
            return ret;
    }
    return get_token(peer, &item, token) < 0 ? ferry_reader_status(peer->reader, err) : 0;
}

/* The next COMMIT must carry the token of the PREPARE; until it comes, the guest is the source's. */
static int wait_commit(struct destination_peer *peer, struct ferry_error *err)
{
    uint8_t token[RETURN_PATH_TOKEN_BYTES];
    int ret;

    if (peer->listener.await_commit)
        ret = peer->listener.await_commit(peer->listener.opaque, token, err);
    else
        ret = read_commit(peer, token, err);
    if (ret < 0)
        return ret;
    if (memcmp(token, peer->token, sizeof(token)) != 0)
        return ferry_error_set_code(err, FERRY_E_BAD_TOKEN, -EPROTO,
                                    "the right to run came with another migration's token");
    return 0;
}

/* In postcopy some of its memory is at the source only. */
static bool is_incomplete(const struct destination_peer *peer)
{
    return peer->listener.await_commit != NULL;
}

/* The source may have committed, and only somebody who knows decides this. */
static int undecided(struct destination_peer *peer, struct ferry_error *err)
{
    peer->session->left.incomplete = is_incomplete(peer);
    ferry_error_code(err, FERRY_E_UNDECIDED);
    err->errnum = -EOWNERDEAD;
    return -EOWNERDEAD;
}

/* All is here: say so, and wait for the right to run. */
static int get_ready(struct destination_peer *peer, struct ferry_error *err)
{
    struct ferry_session *session = peer->session;
    int ret;

    ret = notes_add(&session->notes, JOURNAL_READY, peer->token, err);
    if (ret < 0)
        return ret;
    session_cancel_reading(session);
    ret = return_path_token(peer->path, RETURN_PATH_READY, peer->token,
                            (uint64_t)(clock_now_ns() - reader_heard_ns(peer->reader)), err);
    if (ret == 0) {
        session_at(session, "ready-sent");
        ret = wait_commit(peer, err);
    }
    /* Was it told to give up?  What is not whole here can go on at the source only, whoever has the right to run it. */
    return ret < 0 && !err->from_peer && !session_cancelled(session) && !is_incomplete(peer) ? undecided(peer, err)
                                                                                             : ret;
}

/* The right to run has come. */
static int run_guest(struct destination_peer *peer, struct ferry_error *err)
{
    struct ferry_session *session = peer->session;
    int ret;

    ret = session_commit(session, err);
    if (ret == 0)
        ret = notes_add(&session->notes, JOURNAL_COMMITTED, peer->token, err);
    if (ret < 0)
        return ret;
    ret = guest_start(session->guest, err);
    if (ret == 0)
        session_at(session, "guest-started");
    return ret;
}

int takeover(struct destination_peer *peer, struct ferry_error *err)
{
    struct ferry_session *session = peer->session;
    struct ferry_error why = { 0 };
    int64_t committed;
    int ret;

    if (!peer->prepared)
        return ferry_error_set(err, -EPROTO, "the stream ended without preparing the switch");
    ret = get_ready(peer, err);
    committed = clock_now_ns();
    if (ret == 0)
        ret = run_guest(peer, err);
    if (ret < 0)
        return ret != -EOWNERDEAD && takeover_give_up(peer) < 0 ? undecided(peer, err) : ret;
    if (return_path_token(peer->path, RETURN_PATH_RUNNING, peer->token, (uint64_t)(clock_now_ns() - committed), NULL) <
        0)
        log_warn(LOG_SESSION, "the guest runs, but the source could not be told");
    if (notes_add(&session->notes, JOURNAL_RUNNING, NULL, &why) < 0)
        log_warn(LOG_SESSION, "the guest runs, but that could not be noted: %s", why.text);
    return 0;
}

int takeover_give_up(struct destination_peer *peer)
{
    struct ferry_session *session = peer->session;
    struct ferry_error why = { 0 };
    int ret;

    if (session->notes.state.step == JOURNAL_NOTHING ||
        (notes_ended(&session->notes) && !notes_doubtful(&session->notes)))
        return 0;
    ret = notes_abort(&session->notes, &why);
    if (ret < 0) {
        log_warn(LOG_SESSION, "the guest will not be started, but that could not be noted: %s", why.text);
        return ret;
    }
    if (peer->prepared)
        (void)!return_path_declined(peer->path, peer->token, NULL);
    session_at(session, "declined-sent");
    return 0;
}
