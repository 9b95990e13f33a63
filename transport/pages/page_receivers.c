/* SPDX-License-Identifier: BSD-3-Clause */
/* page_receivers.c - the threads of the destination's page channels, and where they wait for each other
 *
 *      thread 0    packet packet SYNC .............. packet packet SYNC ....
 *      thread 1    packet packet packet packet SYNC. packet SYNC ...........
 *      load thread       page_receivers_sync() ....^ all have come: turn++
 *
 * The threads change to the placers of postcopy in the same way, at a sync of their own.
 */
#include "page_receivers.h"

#include "page_pin.h"
#include "page_receiver.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum receiver_state {
    RECEIVER_READS,
    RECEIVER_AT_SYNC,
    RECEIVER_AT_END,
};

struct receiver_thread {
    struct page_receivers *all;
    pthread_t thread;
    bool started;
    enum receiver_state state; /* guarded by all->lock */
    uint32_t round;            /* likewise: of the sync it has come to */
    struct page_receiver receiver;
};

struct page_receivers {
    const struct ram_map *map; /* borrowed */
    struct page_receivers_events events;
    struct page_suspects *suspects; /* owned */
    bool has_end;
    unsigned count;

    /* Leaves: nothing is locked under either of the two, each receiver's own and this. */
    pthread_mutex_t lock;
    pthread_cond_t go, changed; /* to the threads; to the load thread */
    /* Guarded by lock. */
    unsigned at_sync, at_end; /* how many threads are */
    uint64_t turn;            /* syncs that are over */
    bool finished;            /* what comes now is of no interest */
    struct ferry_error error; /* the first; errnum 0: none */

    struct receiver_thread threads[];
};

/* The first error stops everybody.  Returns true when it was this one. */
static bool receivers_fail(struct page_receivers *receivers, const struct ferry_error *why)
{
    bool first;

    pthread_mutex_lock(&receivers->lock);
    first = receivers->error.errnum == 0 && !receivers->finished;
    if (first)
        receivers->error = *why;
    pthread_cond_broadcast(&receivers->go);
    pthread_cond_broadcast(&receivers->changed);
    pthread_mutex_unlock(&receivers->lock);
    for (unsigned i = 0; first && i < receivers->count; i++)
        ferry_channel_shutdown(receivers->threads[i].receiver.chan, FERRY_READ_WRITE);
    return first;
}

/* Called with the lock held. */
static int receivers_error(const struct page_receivers *receivers, struct ferry_error *err)
{
    if (receivers->error.errnum && err)
        *err = receivers->error;
    return receivers->error.errnum;
}

int page_receivers_status(struct page_receivers *receivers, struct ferry_error *err)
{
    int ret;

    pthread_mutex_lock(&receivers->lock);
    ret = receivers_error(receivers, err);
    pthread_mutex_unlock(&receivers->lock);
    return ret;
}

/* ---- the threads ----------------------------------------------------------------------------------------------- */

/* False when something has failed meanwhile. */
static bool wait_at_sync(struct receiver_thread *thread)
{
    struct page_receivers *receivers = thread->all;
    uint64_t turn;
    bool go;

    pthread_mutex_lock(&receivers->lock);
    turn = receivers->turn;
    thread->state = RECEIVER_AT_SYNC;
    thread->round = thread->receiver.round;
    receivers->at_sync++;
    if (receivers->at_sync + receivers->at_end == receivers->count)
        pthread_cond_signal(&receivers->changed);
    while (turn == receivers->turn && receivers->error.errnum == 0 && !receivers->finished)
        pthread_cond_wait(&receivers->go, &receivers->lock);
    go = turn != receivers->turn;
    pthread_mutex_unlock(&receivers->lock);
    return go;
}

static void note_end(struct receiver_thread *thread)
{
    struct page_receivers *receivers = thread->all;

    pthread_mutex_lock(&receivers->lock);
    thread->state = RECEIVER_AT_END;
    receivers->at_end++;
    if (receivers->at_sync + receivers->at_end == receivers->count)
        pthread_cond_signal(&receivers->changed);
    pthread_mutex_unlock(&receivers->lock);
}

static int receive_all(struct receiver_thread *thread, struct ferry_error *err)
{
    int kind;

    do {
        kind = page_receiver_next(&thread->receiver, err);
        if (kind == PACKET_SYNC && !wait_at_sync(thread))
            return 0;
    } while (kind >= 0 && kind != PACKET_END);
    if (kind < 0)
        return kind;
    note_end(thread);
    return thread->all->has_end ? page_receiver_drain(&thread->receiver, err) : 0;
}

static void *receiver_main(void *opaque)
{
    struct receiver_thread *thread = opaque;
    struct page_receivers *receivers = thread->all;
    struct ferry_error err = { 0 };

    if (receive_all(thread, &err) == 0)
        return NULL;
    ferry_error_prefix(&err, "page channel %u", (unsigned)(thread - receivers->threads));
    if (receivers_fail(receivers, &err) && receivers->events.failed)
        receivers->events.failed(receivers->events.opaque);
    return NULL;
}

/* ---- making them ----------------------------------------------------------------------------------------------- */

static int start_thread(struct page_receivers *receivers, unsigned i, const struct page_terms *terms,
                        struct ferry_error *err)
{
    struct receiver_thread *thread = &receivers->threads[i];
    int ret = -pthread_create(&thread->thread, NULL, receiver_main, thread);

    if (ret < 0)
        return ferry_error_set(err, ret, "no thread for page channel %u: %s", i, strerror(-ret));
    thread->started = true;
    if (terms->pin) {
        int cpu = page_pin(thread->thread, receivers->map, i);

        pthread_mutex_lock(&thread->receiver.lock);
        thread->receiver.figures.cpu = cpu;
        pthread_mutex_unlock(&thread->receiver.lock);
    }
    return 0;
}

/* A struct placer of each, or one of all: then it is precopy. */
struct places {
    struct placer *all;
    struct placer *const *each;
};

static struct page_receivers *receivers_new(const struct ram_map *map, const struct places *places,
                                            struct ferry_channel *const *chans, unsigned count,
                                            const struct page_terms *terms, const struct page_receivers_events *events,
                                            struct ferry_error *err)
{
    struct page_receivers *receivers = calloc(1, sizeof(*receivers) + count * sizeof(receivers->threads[0]));
    struct page_suspects *suspects = page_suspects_new();

    if (!receivers || !suspects) {
        ferry_error_set(err, -ENOMEM, "no memory for %u page channels", count);
        page_suspects_free(suspects);
        free(receivers);
        return NULL;
    }
    receivers->map = map;
    receivers->events = *events;
    receivers->suspects = suspects;
    receivers->has_end = terms->format == &packet_v2;
    receivers->count = count;
    pthread_mutex_init(&receivers->lock, NULL);
    pthread_cond_init(&receivers->go, NULL);
    pthread_cond_init(&receivers->changed, NULL);
    for (unsigned i = 0; i < count; i++) {
        struct page_receiver *receiver = &receivers->threads[i].receiver;

        receivers->threads[i].all = receivers;
        page_receiver_init(receiver, chans[i], map, places->each ? places->each[i] : places->all, suspects, terms);
        receiver->once = places->each != NULL;
    }
    for (unsigned i = 0; i < count; i++) {
        if (start_thread(receivers, i, terms, err) < 0) {
            page_receivers_free(receivers);
            return NULL;
        }
    }
    return receivers;
}

struct page_receivers *page_receivers_new(const struct ram_map *map, struct placer *placer,
                                          struct ferry_channel *const *chans, unsigned count,
                                          const struct page_terms *terms, const struct page_receivers_events *events,
                                          struct ferry_error *err)
{
    const struct places places = { .all = placer };

    return receivers_new(map, &places, chans, count, terms, events, err);
}

struct page_receivers *page_receivers_new_postcopy(const struct ram_map *map, struct placer *const *views,
                                                   struct ferry_channel *const *chans, unsigned count,
                                                   const struct page_terms *terms,
                                                   const struct page_receivers_events *events, struct ferry_error *err)
{
    const struct places places = { .each = views };

    return receivers_new(map, &places, chans, count, terms, events, err);
}

/* ---- the load thread ------------------------------------------------------------------------------------------- */

static const char *label_of_first(const struct page_receivers *receivers, enum receiver_state state)
{
    unsigned i = 0;

    while (i < receivers->count - 1 && receivers->threads[i].state != state)
        i++;
    return ferry_channel_label(receivers->threads[i].receiver.chan);
}

/* All have come to the same place?  Called with the lock held. */
static int check_sync(const struct page_receivers *receivers, struct ferry_error *err)
{
    const char *label;

    if (receivers->at_end > 0) {
        label = label_of_first(receivers, RECEIVER_AT_END);
        ferry_error_set_code(err, FERRY_E_STREAM_ENDED, -EPIPE, "%s: this page channel ended where a sync was due",
                             label);
        ferry_error_object(err, "%s", label);
        return -EPIPE;
    }
    for (unsigned i = 1; i < receivers->count; i++) {
        const struct receiver_thread *one = &receivers->threads[0], *other = &receivers->threads[i];

        label = ferry_channel_label(other->receiver.chan);
        if (one->round == other->round)
            continue;
        ferry_error_set(err, -EPROTO, "%s: this page channel is in round %" PRIu32 ", and %s in round %" PRIu32, label,
                        other->round, ferry_channel_label(one->receiver.chan), one->round);
        ferry_error_object(err, "%s", label);
        return -EPROTO;
    }
    return 0;
}

/* Wait until nobody reads any more. */
static void await_all(struct page_receivers *receivers)
{
    while (receivers->at_sync + receivers->at_end < receivers->count && receivers->error.errnum == 0)
        pthread_cond_wait(&receivers->changed, &receivers->lock);
}

/* With the lock held: no page that came so far is damaged. */
static int check_suspects(const struct page_receivers *receivers, struct ferry_error *err)
{
    const struct ram_block *block;
    uint64_t page, found = page_suspects_find(receivers->suspects, receivers->map, &block, &page);

    if (found == 0)
        return 0;
    ferry_error_set_code(err, FERRY_E_BAD_PAGE_RECORD, -EBADMSG,
                         "block '%s': page %" PRIu64 " was damaged on its way%s: its checksum is wrong",
                         block->info.name, page, found > 1 ? ", and others were" : "");
    ferry_error_object(err, "%s", block->info.name);
    return -EBADMSG;
}

/* Called with the lock held, when all have come to their sync. */
static void go_on(struct page_receivers *receivers, struct placer *const *views)
{
    for (unsigned i = 0; i < receivers->count; i++) {
        receivers->threads[i].state = RECEIVER_READS;
        if (views) {
            receivers->threads[i].receiver.placer = views[i];
            receivers->threads[i].receiver.once = true;
        }
    }
    receivers->at_sync = 0;
    receivers->turn++;
    pthread_cond_broadcast(&receivers->go);
}

/* What becomes of who has come to a sync. */
enum passing { PASS_ON, PASS_TO_VIEWS, PASS_NOT_YET };

/* @views: for PASS_TO_VIEWS. */
static int pass_sync(struct page_receivers *receivers, enum passing passing, struct placer *const *views,
                     struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    int ret;

    pthread_mutex_lock(&receivers->lock);
    await_all(receivers);
    ret = receivers_error(receivers, err);
    if (ret == 0)
        ret = check_sync(receivers, &why);
    if (ret == 0 && passing == PASS_TO_VIEWS)
        ret = check_suspects(receivers, &why);
    if (ret == 0 && passing != PASS_NOT_YET)
        go_on(receivers, views);
    pthread_mutex_unlock(&receivers->lock);
    if (!why.errnum)
        return ret;
    receivers_fail(receivers, &why);
    return page_receivers_status(receivers, err);
}

int page_receivers_sync(struct page_receivers *receivers, struct ferry_error *err)
{
    return pass_sync(receivers, PASS_ON, NULL, err);
}

int page_receivers_await_postcopy(struct page_receivers *receivers, struct ferry_error *err)
{
    return pass_sync(receivers, PASS_NOT_YET, NULL, err);
}

void page_receivers_discard(struct page_receivers *receivers, const struct ram_block *block, uint64_t first,
                            uint64_t count)
{
    page_suspects_clear(receivers->suspects, block, first, count);
}

int page_receivers_begin_postcopy(struct page_receivers *receivers, struct placer *const *views,
                                  struct ferry_error *err)
{
    return pass_sync(receivers, PASS_TO_VIEWS, views, err);
}

/* Called with the lock held. */
static int check_end(const struct page_receivers *receivers, struct ferry_error *err)
{
    if (receivers->at_sync > 0) {
        const char *label = label_of_first(receivers, RECEIVER_AT_SYNC);

        ferry_error_set(err, -EPROTO, "%s: this page channel has a sync of which the main stream does not know", label);
        ferry_error_object(err, "%s", label);
        return -EPROTO;
    }
    return check_suspects(receivers, err);
}

int page_receivers_finish(struct page_receivers *receivers, struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    int ret;

    pthread_mutex_lock(&receivers->lock);
    if (receivers->has_end)
        await_all(receivers);
    ret = receivers_error(receivers, err);
    if (ret == 0)
        ret = check_end(receivers, &why);
    if (ret == 0)
        receivers->finished = true;
    pthread_mutex_unlock(&receivers->lock);
    if (why.errnum) {
        receivers_fail(receivers, &why);
        return page_receivers_status(receivers, err);
    }
    for (unsigned i = 0; ret == 0 && !receivers->has_end && i < receivers->count; i++)
        ferry_channel_shutdown(receivers->threads[i].receiver.chan, FERRY_READ);
    return ret;
}

void page_receivers_stop(struct page_receivers *receivers)
{
    struct ferry_error why;

    ferry_error_set(&why, -ESHUTDOWN, "the page channels were shut down");
    receivers_fail(receivers, &why);
}

void page_receivers_figures(struct page_receivers *receivers, unsigned channel, struct page_figures *figures)
{
    page_receiver_figures(&receivers->threads[channel].receiver, figures);
}

void page_receivers_free(struct page_receivers *receivers)
{
    if (!receivers)
        return;
    page_receivers_stop(receivers);
    for (unsigned i = 0; i < receivers->count; i++)
        ferry_channel_shutdown(receivers->threads[i].receiver.chan, FERRY_READ_WRITE);
    for (unsigned i = 0; i < receivers->count; i++) {
        if (receivers->threads[i].started)
            pthread_join(receivers->threads[i].thread, NULL);
        page_receiver_clear(&receivers->threads[i].receiver);
    }
    page_suspects_free(receivers->suspects);
    pthread_cond_destroy(&receivers->go);
    pthread_cond_destroy(&receivers->changed);
    pthread_mutex_destroy(&receivers->lock);
    free(receivers);
}
