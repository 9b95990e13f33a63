/* SPDX-License-Identifier: BSD-3-Clause */
/* destination_listen.c - the listen thread: reads the main stream on while the package is loaded and the guest runs */
#include "destination_listen.h"

#include "clock.h"
#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* ---- the thread -------------------------------------------------------------------------------------------------- */

/* The right to run has come: the load thread waits for it. */
static int note_commit(struct destination *destination, const struct section_item *item)
{
    struct destination_postcopy *postcopy = &destination->postcopy;
    uint8_t token[RETURN_PATH_TOKEN_BYTES];
    int ret;

    if (item->ferry_bytes != sizeof(token))
        return ferry_reader_fail(destination->reader, -EPROTO, "a token of %" PRIu32 " bytes", item->ferry_bytes);
    ret = ferry_get_bytes(destination->reader, token, sizeof(token));
    if (ret < 0)
        return ret;
    pthread_mutex_lock(&postcopy->lock);
    if (postcopy->committed)
        ret = -EEXIST;
    memcpy(postcopy->token, token, sizeof(token));
    postcopy->committed = true;
    pthread_cond_broadcast(&postcopy->changed);
    pthread_mutex_unlock(&postcopy->lock);
    return ret < 0 ? ferry_reader_fail(destination->reader, -EPROTO, "the right to run comes twice") : 0;
}

static int listen_command(struct destination *destination, const struct section_item *item)
{
    struct ferry_reader *reader = destination->reader;
    uint32_t cookie;
    int ret;

    if (item->command != COMMAND_PING || item->bytes != sizeof(cookie))
        return reader_fail_code(reader, FERRY_E_POSTCOPY_ORDER, NULL, -EPROTO, "command %s has no place in postcopy",
                                section_command_name(item->command));
    ret = ferry_get_be32(reader, &cookie);
    return ret == 0 ? destination_peer_ping(&destination->peer, cookie) : ret;
}

/* What prepares the switch has come before it: the load thread has read it. */
static int listen_ferry(struct destination *destination, const struct section_item *item, struct ferry_error *err)
{
    int ret;

    switch (item->ferry_kind) {
    case FERRY_ITEM_COMMIT:
        ret = note_commit(destination, item);
        break;
    case FERRY_ITEM_HEARTBEAT:
    case FERRY_ITEM_ERROR:
        return destination_peer_item(&destination->peer, item, err);
    default:
        ret = reader_fail_code(destination->reader, FERRY_E_POSTCOPY_ORDER, NULL, -EPROTO,
                               "item %u has no place in postcopy", item->ferry_kind);
        break;
    }
    return ret < 0 ? ferry_reader_status(destination->reader, err) : 0;
}

/* 1: the end. */
static int listen_item(struct destination *destination, struct ferry_error *err)
{
    struct section_item item;
    int ret = section_get_item(destination->reader, &item);

    if (ret < 0)
        return ferry_reader_status(destination->reader, err);
    switch (item.type) {
    case SECTION_PART:
    case SECTION_END:
        ret = landing_next(&destination->landing, &item);
        break;
    case SECTION_COMMAND:
        ret = listen_command(destination, &item);
        break;
    case SECTION_FERRY:
        return listen_ferry(destination, &item, err);
    case SECTION_EOF:
        return 1;
    default:
        ret = reader_fail_code(destination->reader, FERRY_E_POSTCOPY_ORDER, NULL, -EPROTO,
                               "%s has no place in postcopy", section_type_name(item.type));
        break;
    }
    return ret < 0 ? ferry_reader_status(destination->reader, err) : 0;
}

static void *listen_main(void *opaque)
{
    struct destination *destination = opaque;
    struct destination_postcopy *postcopy = &destination->postcopy;
    struct ferry_error why = { 0 };
    bool started;
    int ret;

    do
        ret = listen_item(destination, &why);
    while (ret == 0);
    pthread_mutex_lock(&postcopy->lock);
    postcopy->over = true;
    postcopy->ret = ret < 0 ? ret : 0;
    postcopy->why = why;
    started = postcopy->started || postcopy->committed;
    pthread_cond_broadcast(&postcopy->changed);
    pthread_mutex_unlock(&postcopy->lock);
    if (ret < 0 && !started)
        postcopy_ram_abandon(postcopy->ram); /* the load thread may be waiting for a page */
    return NULL;
}

/* ---- for the load thread ----------------------------------------------------------------------------------------- */

/* In place of reading the main stream: see destination_peer.h. */
static int await_commit(void *opaque, uint8_t token[RETURN_PATH_TOKEN_BYTES], struct ferry_error *err)
{
    struct destination_postcopy *postcopy = &((struct destination *)opaque)->postcopy;
    int ret = 0;

    pthread_mutex_lock(&postcopy->lock);
    while (!postcopy->committed && !postcopy->over)
        pthread_cond_wait(&postcopy->changed, &postcopy->lock);
    if (postcopy->committed) {
        memcpy(token, postcopy->token, RETURN_PATH_TOKEN_BYTES);
    } else {
        ret = postcopy->ret < 0 ? postcopy->ret : -EPROTO;
        if (postcopy->ret < 0)
            *err = postcopy->why;
        else
            ferry_error_set(err, ret, "the stream ended before the right to run came");
    }
    pthread_mutex_unlock(&postcopy->lock);
    return ret;
}

static void await_end(void *opaque)
{
    struct destination *destination = opaque;

    if (destination->postcopy.listens)
        pthread_join(destination->postcopy.thread, NULL);
    destination->postcopy.listens = false;
}

/* From a thread of another connection: the main stream may say why. */
static void preempt_failed(void *opaque)
{
    struct destination *destination = opaque;

    ferry_channel_shutdown(destination->session->chan, FERRY_READ);
}

int destination_listen_preempt(struct destination *destination, struct ferry_error *err)
{
    struct destination_postcopy *postcopy = &destination->postcopy;
    struct records_receiver_events events = { preempt_failed, destination };

    postcopy->preempt_view = postcopy_ram_placer(postcopy->ram, err);
    if (postcopy->preempt_view)
        postcopy->receiver =
            records_receiver_new(&destination->ram, postcopy->preempt_view, postcopy->preempt, &events, err);
    return postcopy->receiver ? 0 : -EAGAIN;
}

static int open_views(struct destination *destination, struct ferry_error *err)
{
    struct destination_postcopy *postcopy = &destination->postcopy;

    postcopy->view = postcopy_ram_placer(postcopy->ram, err);
    if (!postcopy->view)
        return -ENOMEM;
    ram_loader_begin_postcopy(&destination->ram, postcopy->view);
    if (!postcopy->preempt)
        return destination_pages_listen(&destination->pages, &destination->ram, postcopy->ram, err);
    return destination_listen_preempt(destination, err);
}

int destination_listen_start(struct destination *destination, struct ferry_error *err)
{
    struct destination_postcopy *postcopy = &destination->postcopy;
    int ret = open_views(destination, err);

    if (ret < 0)
        return ret;
    ret = -pthread_create(&postcopy->thread, NULL, listen_main, destination);
    if (ret < 0)
        return ferry_error_set(err, ret, "no thread to read the stream on: %s", strerror(-ret));
    postcopy->listens = true;
    destination->peer.listener = (struct destination_listener){ await_commit, await_end, destination };
    return 0;
}

int destination_listen_join(struct destination *destination, struct ferry_error *err)
{
    struct destination_postcopy *postcopy = &destination->postcopy;

    await_end(destination);
    destination->peer.listener = (struct destination_listener){ 0 };
    if (postcopy->ret < 0)
        *err = postcopy->why;
    return postcopy->ret;
}

int destination_listen_on(struct destination *destination, struct ferry_error *err)
{
    int ret;

    do
        ret = listen_item(destination, err);
    while (ret == 0);
    return ret < 0 ? ret : 0;
}

/* What was asked for may come behind the end of the main stream, and nobody says on its connection that it was the
 * last: so it is waited for until nothing misses, and as long as something comes. */
static void await_requested(struct destination *destination)
{
    struct destination_postcopy *postcopy = &destination->postcopy;
    int64_t patience_ns = (int64_t)destination->session->options.lost_after_ns, until_ns = clock_now_ns() + patience_ns;
    struct page_figures before = { 0 }, now;

    while (postcopy_ram_missing(postcopy->ram) > 0 && records_receiver_status(postcopy->receiver, NULL) == 0 &&
           clock_now_ns() < until_ns) {
        clock_sleep_until_ns(clock_now_ns() + NS_PER_MS);
        records_receiver_figures(postcopy->receiver, &now);
        if (now.bytes > before.bytes)
            until_ns = clock_now_ns() + patience_ns;
        before = now;
    }
}

int destination_listen_finish(struct destination *destination, struct ferry_error *err)
{
    struct destination_postcopy *postcopy = &destination->postcopy;
    bool early = destination->session->options.postcopy_preempt == PREEMPT_EARLY;
    int ret = destination_pages_finish_urgent(&destination->pages, err);

    if (ret < 0 || !postcopy->receiver)
        return ret;
    if (!early)
        await_requested(destination);
    return records_receiver_finish(postcopy->receiver, early, err);
}

int destination_listen_cause(struct destination *destination, int ret, struct ferry_error *err)
{
    struct destination_postcopy *postcopy = &destination->postcopy;

    pthread_mutex_lock(&postcopy->lock);
    if (postcopy->over && postcopy->ret < 0 && ret != -EOWNERDEAD) {
        *err = postcopy->why;
        ret = postcopy->ret;
    }
    pthread_mutex_unlock(&postcopy->lock);
    return ret;
}

void destination_listen_stop(struct destination *destination)
{
    if (!destination->postcopy.listens)
        return;
    ferry_channel_shutdown(destination->session->chan, FERRY_READ);
    await_end(destination);
}
