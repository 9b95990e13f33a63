/* SPDX-License-Identifier: BSD-3-Clause */
/* source_peer.c - what the source and its destination say to each other, beside memory and devices */
#include "source_peer.h"

#include "bytes.h"
#include "capabilities.h"
#include "clock.h"
#include "dial.h"
#include "error_wire.h"
#include "guest_manifest.h"
#include "handover.h"
#include "hello.h"
#include "log.h"
#include "section.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAUSE_WAIT_NS NS_PER_SEC      /* for the destination's reason, once the channel has broken */
#define MEANWHILE_NS  (NS_PER_MS / 2) /* how soon what is to be seen to meanwhile is */
#define PING_EVERY_NS NS_PER_SEC

/* ---- liveness: all on its thread ------------------------------------------------------------------------------- */

static int64_t heard_ns(void *opaque)
{
    struct source_peer *peer = opaque;
    struct link_figures figures;

    link_figures(peer->link, &figures);
    return figures.heard_ns;
}

static void beat(void *opaque, uint64_t count)
{
    struct source_peer *peer = opaque;
    uint8_t payload[8];

    if (pthread_mutex_trylock(&peer->stream_lock) != 0)
        return; /* the stream itself is what the destination hears */
    store_be64(payload, count);
    section_put_ferry(peer->writer, FERRY_ITEM_HEARTBEAT, payload, sizeof(payload));
    (void)!ferry_writer_flush(peer->writer, NULL);
    pthread_mutex_unlock(&peer->stream_lock);
}

static void suspect(void *opaque, int64_t silent_ns)
{
    struct source_peer *peer = opaque;

    session_stats_lock(peer->session)->peer.silent_ns = silent_ns;
    session_stats_unlock(peer->session);
}

static void lost(void *opaque, struct ferry_error *err)
{
    struct source_peer *peer = opaque;

    ferry_error_prefix(err, "%s", ferry_channel_label(peer->session->chan));
    link_break(peer->link, err);
    session_shut_down(peer->session, FERRY_WRITE);
}

static const struct liveness_ops liveness_ops = { heard_ns, beat, suspect, lost };

/* ---- opening --------------------------------------------------------------------------------------------------- */

bool source_peer_speaks_ferry(const struct ferry_session *session)
{
    uint64_t peer = session->options.peer;

    return peer == PEER_FERRY || (peer == PEER_AUTO && ferry_channel_answers(session->chan));
}

static int choose_dialect(struct source_peer *peer, struct ferry_error *err)
{
    struct ferry_channel *chan = peer->session->chan;

    peer->ferry = source_peer_speaks_ferry(peer->session);
    if (peer->ferry && ferry_channel_directions(chan) != FERRY_READ_WRITE)
        return ferry_error_set(err, -EINVAL, "%s: nobody can answer here, so only the qemu dialect is possible",
                               ferry_channel_label(chan));
    return 0;
}

/* The connection for requested pages, too. */
static int dial_postcopy(struct source_peer *peer, const struct hello *hello, uint64_t agreed,
                         struct source_postcopy *postcopy, struct ferry_error *err)
{
    if (!postcopy->on)
        return 0;
    if (!(agreed & CAPABILITY_POSTCOPY))
        return ferry_error_set_code(err, FERRY_E_POSTCOPY_UNSUPPORTED, -ENOTSUP,
                                    "%s: the destination does not know postcopy",
                                    ferry_channel_label(peer->session->chan));
    return source_postcopy_wants_connection(postcopy, true) ? source_postcopy_dial(postcopy, hello, peer->dog, err) : 0;
}

static int say_hello(struct source_peer *peer, struct source_pages *pages, struct source_postcopy *postcopy,
                     struct ferry_error *err)
{
    unsigned urgent = source_postcopy_wants_connection(postcopy, true) ? 1 : 0;
    struct ferry_session *session = peer->session;
    struct hello_answer answer;
    struct hello hello;
    int ret = dial_introduce(&session->options, 1 + pages->count + urgent, &hello, err);

    if (ret < 0)
        return ret;
    memcpy(peer->id, hello.session, sizeof(peer->id));
    session_note_id(session, hello.session);
    ret = handover_begin(peer, hello.session, err);
    if (ret == 0)
        ret = dial_greet(session->chan, &hello, peer->dog, (int64_t)session->options.setup_timeout_ns, &answer, err);
    if (ret < 0)
        return ret;
    session_at(session, "answered");
    memcpy(peer->nonce, answer.nonce, sizeof(peer->nonce));
    session_note_peer(session, "ferry", answer.protocol, answer.device);
    ret = source_pages_dial(pages, &hello, peer->dog, err);
    return ret == 0 ? dial_postcopy(peer, &hello, answer.protocol, postcopy, err) : ret;
}

/* The thread that listens, and in the ferry dialect the one that watches. */
int source_peer_listen(struct source_peer *peer, struct ferry_error *err)
{
    struct ferry_session *session = peer->session;

    peer->link = link_new(session->chan, err);
    if (!peer->link)
        return -ENOMEM;
    if (!peer->ferry)
        return 0;
    ferry_channel_set_patience(session->chan, (unsigned)(session->options.lost_after_ns / NS_PER_MS));
    peer->liveness =
        liveness_new(&liveness_ops, peer, session->options.suspect_after_ns, session->options.lost_after_ns, err);
    return peer->liveness ? 0 : -EAGAIN;
}

int source_peer_open(struct source_peer *peer, struct ferry_session *session, struct ferry_writer *writer,
                     struct source_pages *pages, struct source_postcopy *postcopy, struct ferry_error *err)
{
    int ret;

    memset(peer, 0, sizeof(*peer));
    pthread_mutex_init(&peer->stream_lock, NULL);
    pthread_mutex_lock(&peer->stream_lock);
    peer->session = session;
    session->is_source = true;
    peer->writer = writer;
    ret = choose_dialect(peer, err);
    if (ret < 0)
        return ret;
    peer->dog = watchdog_new(err);
    if (!peer->dog)
        return -EAGAIN;
    if (!peer->ferry) {
        if (*session->options.journal)
            return ferry_error_set_code(err, FERRY_E_JOURNAL, -EINVAL,
                                        "%s: the qemu dialect has no answer that a journal could keep",
                                        ferry_channel_label(session->chan));
        session_note_peer(session, "qemu", 0, 0);
        session_make_id(session);
        ret = source_pages_dial(pages, NULL, peer->dog, err);
        if (ret == 0 && postcopy->on && session->options.postcopy_preempt == PREEMPT_EARLY)
            ret = source_postcopy_dial(postcopy, NULL, peer->dog, err);
        if (ret < 0)
            return ret;
        if (postcopy->on && !session->options.return_path)
            return ferry_error_set_code(err, FERRY_E_BAD_OPTION, -EINVAL, "postcopy needs a return path");
        return ferry_channel_answers(session->chan) && session->options.return_path ? source_peer_listen(peer, err) : 0;
    }
    ret = say_hello(peer, pages, postcopy, err);
    return ret == 0 ? source_peer_listen(peer, err) : ret;
}

void source_peer_part(struct source_peer *peer)
{
    liveness_free(peer->liveness);
    link_free(peer->link);
    peer->liveness = NULL;
    peer->link = NULL;
}

void source_peer_close(struct source_peer *peer)
{
    if (!peer->session)
        return; /* never opened */
    source_peer_part(peer);
    watchdog_free(peer->dog);
    pthread_mutex_unlock(&peer->stream_lock);
    pthread_mutex_destroy(&peer->stream_lock);
}

/* ---- talking --------------------------------------------------------------------------------------------------- */

static void ping(struct source_peer *peer)
{
    uint8_t cookie[4];

    store_be32(cookie, ++peer->pings);
    section_put_command(peer->writer, COMMAND_PING, cookie, sizeof(cookie));
    link_pinged(peer->link, peer->pings);
}

/* What this guest consists of goes out; what comes back says in which versions devices are to be sent, or why not. */
static int agree_on_manifest(struct source_peer *peer, struct ferry_error *err)
{
    struct ferry_session *session = peer->session;
    const uint8_t *payload;
    uint8_t *offer;
    size_t bytes;
    int ret;

    offer = guest_manifest_offer(session->guest, &bytes, err);
    if (!offer)
        return -ENOMEM;
    section_put_ferry(peer->writer, FERRY_ITEM_MANIFEST, offer, (uint32_t)bytes);
    free(offer);
    ret = ferry_writer_flush(peer->writer, err);
    if (ret < 0)
        return ret;
    source_peer_lend(peer);
    ret = link_wait(peer->link, LINK_AGREED, clock_now_ns() + (int64_t)session->options.setup_timeout_ns, err);
    source_peer_claim(peer);
    if (ret < 0)
        return ret;
    payload = link_agreed(peer->link, &bytes);
    return guest_manifest_agreed(session->guest, payload, bytes, err);
}

int source_peer_agree(struct source_peer *peer, struct ferry_error *err)
{
    int ret = 0;

    if (!peer->link)
        return 0;
    if (peer->ferry)
        ret = agree_on_manifest(peer, err);
    else
        section_put_command(peer->writer, COMMAND_OPEN_RETURN_PATH, NULL, 0);
    if (ret == 0)
        ping(peer);
    return ret;
}

int source_peer_look(struct source_peer *peer, struct ferry_error *err)
{
    struct link_figures figures;
    struct ferry_stats *stats;
    int ret;

    if (!peer->link)
        return 0;
    ret = link_status(peer->link, err);
    if (ret < 0)
        return ret;
    if (clock_now_ns() - peer->session->started_ns > (int64_t)peer->pings * PING_EVERY_NS)
        ping(peer);
    link_figures(peer->link, &figures);
    stats = session_stats_lock(peer->session);
    stats->peer.round_trip_ns = figures.round_trip_ns;
    stats->peer.loaded_bytes = figures.loaded_bytes;
    session_stats_unlock(peer->session);
    return 0;
}

int source_peer_status(struct source_peer *peer, struct ferry_error *err)
{
    return peer->link ? link_status(peer->link, err) : 0;
}

int source_peer_catch_up(struct source_peer *peer, struct ferry_error *err)
{
    int ret;

    if (!peer->link)
        return 0;
    ping(peer);
    ret = ferry_writer_flush(peer->writer, err);
    return ret == 0 ? link_wait_pong(peer->link, peer->pings, FERRY_NO_DEADLINE, err) : ret;
}

void source_peer_lend(struct source_peer *peer)
{
    pthread_mutex_unlock(&peer->stream_lock);
}

void source_peer_claim(struct source_peer *peer)
{
    pthread_mutex_lock(&peer->stream_lock);
}

bool source_peer_acked(const struct source_peer *peer)
{
    return peer->link && link_wait(peer->link, LINK_SWITCHOVER_ACK, 0, NULL) == 0;
}

int source_peer_about_to_stop(struct source_peer *peer, struct ferry_error *err)
{
    return handover_choose(peer, err);
}

void source_peer_prepare(struct source_peer *peer)
{
    handover_prepare(peer);
}

/* ---- the end --------------------------------------------------------------------------------------------------- */

/* The plain dialect: bytes that were taken are all one can know, unless a return path says more. */
static int finish_plain(struct source_peer *peer, struct ferry_error *err)
{
    struct ferry_session *session = peer->session;
    int ret;

    if (peer->link) {
        ret = link_wait(peer->link, LINK_SHUT, FERRY_NO_DEADLINE, err);
        session_commit(session, NULL);
        if (ret < 0 && ret != -EREMOTEIO)
            return handover_uncertain(peer, "everything was sent, but no word came that it was loaded", err);
        return ret;
    }
    if (session_commit(session, NULL) < 0)
        return 0; /* a cancel that came too late, and found the channel shut down */
    ret = ferry_channel_finish(session->chan, err);
    if (ret == 0)
        ret = ferry_channel_settle(session->chan, err);
    return ret == -ESHUTDOWN ? 0 : ret; /* nobody wants to know any more */
}

int source_peer_hand_over(struct source_peer *peer, struct ferry_error *err)
{
    int ret = ferry_writer_flush(peer->writer, err);

    if (ret < 0)
        return ret;
    session_note_step(peer->session, SESSION_SENT);
    session_at(peer->session, "sent");
    return peer->ferry ? handover(peer, err) : finish_plain(peer, err);
}

/* The plain dialect: from here on it is QEMU's, whatever happens. */
static int let_go_plain(struct source_peer *peer, struct ferry_error *err)
{
    int ret = session_commit(peer->session, err);

    if (ret < 0)
        return ret;
    ret = ferry_writer_flush(peer->writer, err);
    if (ret < 0)
        return handover_uncertain(peer, "the guest was sent, but perhaps not all of it that must be there", err);
    session_note_step(peer->session, SESSION_SENT);
    return 0;
}

int source_peer_let_go(struct source_peer *peer, struct ferry_error *err)
{
    return peer->ferry ? source_peer_hand_over(peer, err) : let_go_plain(peer, err);
}

int source_peer_wait(struct source_peer *peer, unsigned events, int64_t deadline_ns, struct ferry_error *err)
{
    int ret, broken;

    if (!peer->meanwhile)
        return link_wait(peer->link, events, deadline_ns, err);
    for (;;) {
        source_peer_lend(peer);
        ret = link_wait(peer->link, events, clock_now_ns() + MEANWHILE_NS, err);
        source_peer_claim(peer);
        if (ret != -ETIMEDOUT)
            return ret;
        broken = link_status(peer->link, err); /* that the other side is silent for too long is -ETIMEDOUT, too */
        if (broken < 0 || (deadline_ns >= 0 && clock_now_ns() >= deadline_ns))
            return broken < 0 ? broken : ret;
        if (!peer->meanwhile || peer->meanwhile(peer->meanwhile_opaque, err) == 0)
            continue;
        if (!peer->committed)
            return err->errnum ? err->errnum : -EIO;
        peer->meanwhile = NULL; /* what has failed will be seen afterwards */
    }
}

int source_peer_await_shut(struct source_peer *peer, struct ferry_error *err)
{
    int ret;

    source_peer_lend(peer);
    ret = link_wait(peer->link, LINK_SHUT, FERRY_NO_DEADLINE, err);
    source_peer_claim(peer);
    return ret;
}

static bool channel_broke(const struct ferry_error *err)
{
    return err->errnum == -EPIPE || err->errnum == -ECONNRESET || err->errnum == -ESHUTDOWN;
}

/* The destination knows better why; not, where the guest is. */
static void take_cause(struct ferry_error *err, const struct ferry_error *why)
{
    bool broken = err->errnum == -ENOTRECOVERABLE;

    *err = *why;
    if (!broken)
        return;
    ferry_error_code(err, FERRY_E_POSTCOPY_INTERRUPTED);
    err->errnum = -ENOTRECOVERABLE;
}

void source_peer_failed(struct source_peer *peer, struct ferry_error *err)
{
    uint8_t payload[RETURN_PATH_FERRY_MAX];
    struct ferry_error why;
    size_t bytes;

    if (!peer->session)
        return;                                  /* never opened */
    if (!err || err->errnum != -ENOTRECOVERABLE) /* else it is not here any more */
        handover_failed(peer);
    if (!peer->link || !err)
        return;
    /* The destination sends its reason and then closes, so the reason may still be on its way. */
    if (channel_broke(err) || peer->declined)
        link_wait(peer->link, LINK_RUNNING, clock_now_ns() + CAUSE_WAIT_NS, NULL);
    if (link_status(peer->link, &why) < 0) {
        if (channel_broke(err) || why.from_peer)
            take_cause(err, &why);
        return;
    }
    if (!peer->ferry)
        return;
    bytes = error_encode(err, payload, sizeof(payload));
    section_put_ferry(peer->writer, FERRY_ITEM_ERROR, payload, (uint32_t)bytes);
    (void)!ferry_writer_flush(peer->writer, NULL);
    (void)!ferry_channel_finish(peer->session->chan, NULL);
}
