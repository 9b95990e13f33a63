/* SPDX-License-Identifier: BSD-3-Clause */
/* handover.c - the source gives the right to run away */
#include "handover.h"

#include "clock.h"
#include "error_wire.h"
#include "hello.h"
#include "log.h"
#include "section.h"

#include <errno.h>
#include <string.h>

int handover_begin(struct source_peer *peer, const uint8_t session_id[JOURNAL_ID_BYTES], struct ferry_error *err)
{
    struct ferry_session *session = peer->session;

    return notes_begin(&session->notes, &session->options, JOURNAL_SOURCE, session_id, err);
}

int handover_choose(struct source_peer *peer, struct ferry_error *err)
{
    struct ferry_session *session = peer->session;
    uint8_t random[HELLO_ID_BYTES];
    int ret;

    if (!peer->ferry)
        return 0;
    ret = hello_random(random, err);
    if (ret < 0)
        return ret;
    memcpy(peer->token, peer->nonce, RETURN_PATH_NONCE_BYTES);
    memcpy(peer->token + RETURN_PATH_NONCE_BYTES, random, RETURN_PATH_TOKEN_BYTES - RETURN_PATH_NONCE_BYTES);
    ret = notes_add(&session->notes, JOURNAL_PREPARED, peer->token, err);
    if (ret < 0)
        return ret;
    link_expect_token(peer->link, peer->token);
    return 0;
}

void handover_prepare(struct source_peer *peer)
{
    if (peer->ferry)
        section_put_ferry(peer->writer, FERRY_ITEM_PREPARE, peer->token, sizeof(peer->token));
}

int handover_uncertain(struct source_peer *peer, const char *what, struct ferry_error *err)
{
    ferry_error_prefix(err, "%s", what);
    ferry_error_code(err, FERRY_E_UNCERTAIN);
    ferry_error_hint(err, "look whether the guest runs at the destination before starting it here");
    log_warn(LOG_SESSION, "%s: it is uncertain who runs the guest", ferry_channel_label(peer->session->chan));
    err->errnum = -EOWNERDEAD;
    return -EOWNERDEAD;
}

/* The destination has noted that it will never start this guest. */
static int take_back(struct source_peer *peer, struct ferry_error *err)
{
    struct ferry_session *session = peer->session;

    session_at(session, "declined-heard");
    if (notes_add(&session->notes, JOURNAL_ABORTED, NULL, err) < 0)
        return handover_uncertain(peer, "the destination gave the guest back, but that could not be noted", err);
    peer->declined = true;
    return ferry_error_set_code(err, FERRY_E_GUEST_NOT_STARTED, -ECONNABORTED,
                                "%s: the destination gave the guest back before it ran there",
                                ferry_channel_label(session->chan));
}

/* Only the destination's word ends this. */
static int hear_outcome(struct source_peer *peer, struct ferry_error *err)
{
    struct ferry_session *session = peer->session;
    int64_t until_ns = clock_now_ns() + (int64_t)session->options.lost_after_ns;
    struct ferry_error why = { 0 };
    int ret;

    peer->committed = true;
    ret = source_peer_wait(peer, LINK_RUNNING | LINK_DECLINED, until_ns, err);
    if (ret < 0)
        return handover_uncertain(peer, "the right to run was given away, but no word came that the guest runs", err);
    if (link_wait(peer->link, LINK_RUNNING, 0, &why) < 0)
        return take_back(peer, err);
    session_note_step(session, SESSION_RUNNING);
    if (notes_add(&session->notes, JOURNAL_DONE, NULL, &why) < 0)
        log_warn(LOG_SESSION, "the guest runs at the destination, but that could not be noted: %s", why.text);
    return 0;
}

/* Somebody may read that the right to run is given away, but it must not be: will the destination give up? */
static int call_off(struct source_peer *peer, struct ferry_error *err)
{
    uint8_t payload[RETURN_PATH_FERRY_MAX];
    struct ferry_error cause = *err, why;
    int ret;

    section_put_ferry(peer->writer, FERRY_ITEM_ERROR, payload, (uint32_t)error_encode(err, payload, sizeof(payload)));
    if (ferry_writer_flush(peer->writer, &why) < 0)
        return handover_uncertain(peer, "the right to run may be given away", err);
    ret = hear_outcome(peer, err);
    if (peer->declined)
        *err = cause;
    return ret;
}

int handover(struct source_peer *peer, struct ferry_error *err)
{
    struct ferry_session *session = peer->session;
    struct link_figures figures;
    int ret = source_peer_wait(peer, LINK_READY, FERRY_NO_DEADLINE, err);

    if (ret < 0)
        return ret;
    ret = link_status(peer->link, err); /* it may have gone since */
    if (ret == 0)
        ret = session_commit(session, err);
    if (ret < 0)
        return ret;
    link_figures(peer->link, &figures);
    session->load_ns = figures.ready_ns;
    session_note_step(session, SESSION_READY);
    ret = notes_add(&session->notes, JOURNAL_COMMITTED, peer->token, err);
    if (ret < 0)
        return notes_doubtful(&session->notes) ? call_off(peer, err) : ret;
    section_put_ferry(peer->writer, FERRY_ITEM_COMMIT, peer->token, sizeof(peer->token));
    if (ferry_writer_flush(peer->writer, err) == 0)
        session_at(session, "commit-sent");
    return hear_outcome(peer, err);
}

void handover_failed(struct source_peer *peer)
{
    struct ferry_session *session = peer->session;
    struct ferry_error why = { 0 };

    if (notes_abort(&session->notes, &why) < 0)
        log_warn(LOG_SESSION, "the guest goes on here, but that could not be noted: %s", why.text);
}
