/* SPDX-License-Identifier: BSD-3-Clause */
/* source_resume.c - a postcopy that was interrupted goes on over new connections: the source's half
 *
 *      part       all connections are let go; what they have carried counts on
 *      sleep      until somebody says where to go on, or it is time to try (session_pause.c)
 *      connect    [TLS, by the key of the first main connection] [hello: resume, session, token]     qemu: nothing
 *      agree      RECV_BITMAP block ... -->    <-- what has come of each
 *                 what has not come is dirty: what was on its way goes again, what was not yet sent goes first
 *                 POSTCOPY_RESUME -->          <-- RESUME_ACK, and requests for what is waited for
 *
 * All pages go on the main connection then, those that were requested first; in the qemu dialect these have a
 * connection of their own, where they had one.
 */
#include "capabilities.h"
#include "channel.h"
#include "clock.h"
#include "dial.h"
#include "ram_section.h"
#include "source_parts.h"
#include "writer.h"

#include <errno.h>
#include <string.h>

#define CONNECT_SLICE_NS NS_PER_SEC /* how long one that is called off may go on connecting */

static bool is_ferry(const struct source *source)
{
    return source->peer.ferry;
}

/* Both ends have agreed to it, or it is a QEMU. */
static bool may_resume(struct source *source)
{
    uint64_t protocol = session_stats_lock(source->session)->peer.protocol;

    session_stats_unlock(source->session);
    return !is_ferry(source) || (protocol & CAPABILITY_POSTCOPY_RESUME);
}

static void part(struct source *source, struct ferry_error *err)
{
    session_pause(source->session, err);
    source_peer_part(&source->peer);
    source_pages_part(&source->pages);
    source_postcopy_part(&source->postcopy);
}

/* ---- connect ----------------------------------------------------------------------------------------------------- */

static bool called_off(struct ferry_session *session)
{
    bool off;

    session_stats_lock(session);
    off = session_called_off(session);
    session_stats_unlock(session);
    return off;
}

/* In slices, so that it can be called off. */
static struct ferry_channel *connect_to(struct ferry_session *session, struct ferry_error *err)
{
    int64_t until_ns = clock_now_ns() + (int64_t)session->options.connect_timeout_ns, left_ns;
    struct ferry_channel *chan;

    do {
        left_ns = until_ns - clock_now_ns();
        left_ns = left_ns < 0 ? 0 : left_ns < CONNECT_SLICE_NS ? left_ns : CONNECT_SLICE_NS;
        chan = ferry_channel_connect(session->uri, (int)(left_ns / NS_PER_MS), err);
    } while (!chan && clock_now_ns() < until_ns && !called_off(session));
    return chan;
}

/* Who is called off meanwhile finds the connection shut down. */
static struct ferry_channel *connect_secure(struct source *source, struct ferry_error *err)
{
    struct ferry_session *session = source->session;
    int64_t setup_ns = (int64_t)session->options.setup_timeout_ns;
    struct secure bound = { 0 };
    struct ferry_channel *wrapped = NULL, *chan = connect_to(session, err);
    int ret = 0;

    if (!chan)
        return NULL;
    session_add_channel(session, chan);
    if (is_ferry(source))
        ret = secure_bind(&bound, &session->secure, session->born, err);
    if (ret == 0)
        wrapped = secure_wrap(is_ferry(source) ? &bound : &session->secure, chan, session->uri, source->peer.dog,
                              clock_now_ns() + setup_ns, err);
    secure_close(&bound);
    if (!wrapped)
        ferry_channel_unref(chan);
    return wrapped;
}

/* It is the same destination, and takes us for the same source. */
static int greet(struct source *source, struct ferry_channel *chan, struct ferry_error *err)
{
    struct ferry_session *session = source->session;
    struct hello_answer answer;
    struct hello hello;
    int ret = dial_introduce(&session->options, 1, &hello, err);

    if (ret < 0)
        return ret;
    hello.role = HELLO_RESUME;
    memcpy(hello.session, source->peer.id, sizeof(hello.session));
    memcpy(hello.nonce, source->peer.token, sizeof(hello.nonce));
    return dial_greet(chan, &hello, source->peer.dog, (int64_t)session->options.setup_timeout_ns, &answer, err);
}

static int connect_again(struct source *source, struct ferry_error *err)
{
    struct ferry_channel *chan = connect_secure(source, err);
    int ret = chan ? 0 : err->errnum ? err->errnum : -ENOTCONN;

    if (ret == 0 && is_ferry(source))
        ret = greet(source, chan, err);
    if (ret < 0) {
        ferry_channel_unref(chan);
        return ret;
    }
    session_replace(source->session, chan);
    channel_set_queue(chan, CHANNEL_QUEUE_BACKGROUND);
    writer_redirect(source->writer, chan);
    source->precopy.last = NULL;
    return source_peer_listen(&source->peer, err);
}

/* A QEMU's connection for requested pages. */
static int connect_preempt(struct source *source, uint64_t when, struct ferry_error *err)
{
    if (is_ferry(source) || source->session->options.postcopy_preempt != when)
        return 0;
    return source_postcopy_dial(&source->postcopy, NULL, source->peer.dog, err);
}

/* ---- agree ------------------------------------------------------------------------------------------------------- */

static int await(struct source *source, unsigned event, struct ferry_error *err)
{
    int64_t until_ns = clock_now_ns() + (int64_t)source->session->options.setup_timeout_ns;
    unsigned blocks = source->guest->ram.count;
    int ret = ferry_writer_flush(source->writer, err);

    if (ret < 0)
        return ret;
    source_peer_lend(&source->peer);
    ret = event ? link_wait(source->peer.link, event, until_ns, err)
                : link_wait_bitmaps(source->peer.link, blocks, until_ns, err);
    source_peer_claim(&source->peer);
    return ret;
}

/* What has come, block by block? */
static int hear_bitmaps(struct source *source, struct ferry_error *err)
{
    const struct ram_map *map = &source->guest->ram;

    source_postcopy_hear(&source->postcopy, source->peer.link);
    for (unsigned i = 0; i < map->count; i++) {
        const char *name = map->blocks[i]->info.name;
        uint8_t payload[1 + FERRY_BLOCK_NAME_MAX];
        size_t bytes = strlen(name);

        payload[0] = (uint8_t)bytes;
        memcpy(payload + 1, name, bytes);
        section_put_command(source->writer, COMMAND_RECV_BITMAP, payload, (uint16_t)(1 + bytes));
    }
    return await(source, 0, err);
}

static void send_again(struct source *source)
{
    uint64_t again = walk_begin_again(&source->precopy.walk, source->postcopy.received);

    session_stats_lock(source->session)->postcopy.resent_pages += again;
    session_stats_unlock(source->session);
}

static int serve_again(struct source *source, struct ferry_error *err)
{
    struct page_urgent_terms terms = {
        .limit = source->session->limit,
        .end_with_eos = source->session->options.postcopy_preempt == PREEMPT_EARLY,
    };

    return source_postcopy_serve_again(&source->postcopy, source->peer.link, &terms, err);
}

static int agree(struct source *source, struct ferry_error *err)
{
    int ret = hear_bitmaps(source, err);

    if (ret < 0)
        return ret;
    send_again(source);
    ret = connect_preempt(source, PREEMPT_ON, err);
    if (ret == 0)
        ret = departure_resume(&source->departure, err);
    if (ret == 0)
        ret = serve_again(source, err);
    if (ret < 0)
        return ret;
    section_put_command(source->writer, COMMAND_POSTCOPY_RESUME, NULL, 0);
    return await(source, LINK_RESUMED, err);
}

/* ---- one attempt after another ----------------------------------------------------------------------------------- */

static int attempt(struct source *source, struct ferry_error *err)
{
    struct ferry_session *session = source->session;
    int ret = session_enter(session, FERRY_PHASE_POSTCOPY_RECOVER_SETUP, err);

    if (ret == 0)
        ret = connect_again(source, err);
    if (ret == 0)
        ret = session_enter(session, FERRY_PHASE_POSTCOPY_RECOVER, err);
    if (ret == 0)
        ret = connect_preempt(source, PREEMPT_EARLY, err);
    if (ret == 0)
        ret = agree(source, err);
    return ret == 0 ? session_resumed(session, err) : ret;
}

int source_resume(struct source *source, struct ferry_error *err)
{
    struct ferry_session *session = source->session;
    int ret;

    if (!may_resume(source))
        return -ENOTRECOVERABLE;
    source_peer_failed(&source->peer, err);
    session_error_where(session, FERRY_SIDE_SOURCE, err);
    part(source, err);
    while (session_await_resume(session, session->uri != NULL) == 0) {
        struct ferry_error why = { 0 };

        ret = attempt(source, &why);
        if (ret == 0)
            return 0;
        if (why.errnum == -ESHUTDOWN && source->peer.link)
            (void)!link_status(source->peer.link, &why);
        ferry_error_prefix(&why, "postcopy could not go on");
        ferry_error_code(&why, FERRY_E_POSTCOPY_INTERRUPTED);
        session_error_where(session, FERRY_SIDE_SOURCE, &why);
        *err = why;
        part(source, err);
    }
    err->errnum = -ENOTRECOVERABLE;
    return -ENOTRECOVERABLE;
}
