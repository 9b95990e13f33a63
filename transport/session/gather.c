/* SPDX-License-Identifier: BSD-3-Clause */
/* gather.c - the destination collects the connections of one session
 *
 * The caller's thread accepts; each connection has a slot and a thread of its own (gather_slots.c) until its hello is
 * answered, so that a silent stranger keeps nobody waiting.  When all slots are taken, the one that has been silent for
 * longest is shown out: a source says its hello at once.  Everybody who changes something wakes the caller's thread,
 * which alone decides that it is over.
 */
#include "gather.h"

#include "clock.h"
#include "gather_parts.h"
#include "handshake.h"
#include "listener.h"
#include "wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct gather_terms gather_terms_of(const struct ferry_options *options, unsigned max_connections)
{
    return (struct gather_terms){
        .roster = { .protocol_capabilities = options->protocol_capabilities,
                    .device_capabilities = options->device_capabilities,
                    .max_connections = max_connections },
        .plain_pages = options->channels == OPTION_AUTO ? 0 : (unsigned)options->channels,
        .wait_ns = -1,
        .setup_ns = (int64_t)options->setup_timeout_ns,
    };
}

/* Main has not come for them in time. */
static void expire_waiting(struct gather *gather)
{
    struct hello_refusal refusal;
    struct waiting late;
    bool more;

    for (;;) {
        pthread_mutex_lock(&gather->lock);
        more = waiting_take(&gather->waiting, gather->end.over ? INT64_MAX : clock_now_ns(), &late);
        if (gather->end.over)
            hello_refusal_set(&refusal, HELLO_CLOSED, "no session is being set up here any more");
        else
            hello_refusal_set(&refusal, HELLO_TOO_LATE, "the main connection of this session has not come");
        pthread_mutex_unlock(&gather->lock);
        if (!more)
            return;
        gather_refuse(gather, late.chan, &refusal, false);
        ferry_channel_unref(late.chan);
    }
}

static int missing_error(const struct gather *gather, struct ferry_error *err)
{
    const struct roster *roster = &gather->roster;
    char missing[160];

    return ferry_error_set_code(err, FERRY_E_OUT_OF_TIME, -ETIMEDOUT,
                                "%s: %u of %u connections came within the time for the set-up; missing: %s",
                                ferry_channel_label(roster->main), roster->came, roster->hello.connections,
                                roster_missing(roster, missing, sizeof(missing)));
}

/* With the lock held: why there is nothing to wait for, or 1.  @idle: nobody is being spoken to. */
static int outcome(struct gather *gather, bool idle, struct ferry_error *err)
{
    bool late = gather->deadline_ns >= 0 && clock_now_ns() >= gather->deadline_ns;

    if (atomic_load(&gather->cancelled))
        return ferry_error_set(err, -ECANCELED, "the migration was cancelled");
    if (roster_complete(&gather->roster) ||
        (gather->plain.chan && gather->plain.pages_count == gather->terms.plain_pages))
        return 0;
    if (gather->plain.chan && late)
        return ferry_error_set_code(err, FERRY_E_OUT_OF_TIME, -ETIMEDOUT,
                                    "%s: a plain stream, but only %u of its %u page connections came in time",
                                    ferry_channel_label(gather->plain.chan), gather->plain.pages_count,
                                    gather->terms.plain_pages);
    if (!gather->end.failed && gather->roster.named && (late || (idle && gather->exhausted)))
        return missing_error(gather, err);
    if (gather->end.failed || (idle && gather->exhausted && gather->waiting.count == 0)) {
        if (err)
            *err = gather->end.why;
        return gather->end.why.errnum;
    }
    if (late)
        return ferry_error_set_code(err, FERRY_E_NOBODY_CONNECTED, -ETIMEDOUT, "no source has come in time");
    return 1;
}

/* Until when nothing needs to be looked at, unless somebody wakes us. */
static int left_ms(struct gather *gather)
{
    int64_t until_ns, waiting_ns;

    pthread_mutex_lock(&gather->lock);
    until_ns = gather->deadline_ns;
    waiting_ns = waiting_until_ns(&gather->waiting);
    pthread_mutex_unlock(&gather->lock);
    if (waiting_ns >= 0 && (until_ns < 0 || waiting_ns < until_ns))
        until_ns = waiting_ns;
    return clock_left_ms(until_ns);
}

/* Wait for a connection, a change or a deadline.  Returns 1, or what the listener said. */
static int await(struct gather *gather, struct ferry_listener *listener, bool full, struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    struct ferry_channel *chan;

    if (gather->exhausted || full) {
        (void)!wait_fd(-1, 0, gather->wake, left_ms(gather));
        return 1;
    }
    chan = listener_accept(listener, left_ms(gather), gather->wake, &why);
    if (chan)
        gather_slot_start(gather, chan);
    else if (why.errnum == -ENOENT)
        gather->exhausted = true;
    else if (why.errnum != -EINTR && why.errnum != -ETIMEDOUT)
        return ferry_error_set_code(err, why.code, why.errnum, "%s", why.text);
    return 1;
}

/* Nobody is taken any more. */
static void close_down(struct gather *gather)
{
    gather_slots_close(gather);
    while (gather_slots_reap(gather) > 0)
        if (wait_fd(-1, 0, gather->wake, -1) == -ESHUTDOWN)
            eventfd_read(gather->wake, &(eventfd_t){ 0 });
    expire_waiting(gather);
}

/* No thread runs any more. */
static void hand_over(struct gather *gather, int ret, struct gather_result *result)
{
    struct roster *roster = &gather->roster;

    if (gather->plain.chan) {
        result->kind = HELLO_KIND_QEMU;
        result->main = gather->plain.chan;
        memcpy(result->first, gather->plain.first, HELLO_PEEK_BYTES);
        result->pages_count = ret == 0 ? gather->terms.plain_pages : 0;
        memcpy(result->pages, gather->plain.pages, result->pages_count * sizeof(result->pages[0]));
        memset(gather->plain.pages, 0, result->pages_count * sizeof(result->pages[0]));
        gather->plain.chan = NULL;
    } else if (roster->named && !gather->end.failed) {
        result->hello = roster->hello;
        result->agreed = roster->agreed;
        memcpy(result->agreed.nonce, gather->nonce, HELLO_ID_BYTES);
        result->main = ferry_channel_ref(roster->main);
        if (ret == 0 && roster->urgent)
            result->urgent = ferry_channel_ref(roster->urgent);
        while (ret == 0 && result->pages_count < HELLO_MAX_PAGES && roster->pages[result->pages_count]) {
            result->pages[result->pages_count] = ferry_channel_ref(roster->pages[result->pages_count]);
            result->pages_count++;
        }
    }
    for (unsigned i = 0; i < HELLO_MAX_PAGES; i++)
        ferry_channel_unref(gather->plain.pages[i]);
    roster_clear(roster);
}

int gather_run(struct gather *gather, struct ferry_listener *listener, struct ferry_channel *first,
               struct gather_result *result, struct ferry_error *err)
{
    int ret;

    memset(result, 0, sizeof(*result));
    gather->single = !listener || !listener_gives_many(listener);
    gather->exhausted = !listener;
    if (gather->single)
        gather->terms.plain_pages = 0; /* they could not come */
    gather->deadline_ns = gather->single || gather->terms.wait_ns < 0 ? -1 : clock_now_ns() + gather->terms.wait_ns;
    gather->patience_ns = gather->deadline_ns;
    if (first)
        gather_slot_start(gather, ferry_channel_ref(first));
    do {
        unsigned busy;

        eventfd_read(gather->wake, &(eventfd_t){ 0 });
        busy = gather_slots_reap(gather);
        if (busy == GATHER_SLOTS)
            gather_slots_evict(gather);
        expire_waiting(gather);
        pthread_mutex_lock(&gather->lock);
        ret = outcome(gather, busy == 0, err);
        pthread_mutex_unlock(&gather->lock);
        if (ret > 0)
            ret = await(gather, listener, busy == GATHER_SLOTS, err);
    } while (ret > 0);
    close_down(gather);
    hand_over(gather, ret, result);
    return ret;
}

void gather_cancel(struct gather *gather)
{
    atomic_store(&gather->cancelled, true);
    wait_wake(gather->wake);
}

struct gather *gather_new(const struct gather_terms *terms, struct watchdog *dog, struct ferry_error *err)
{
    struct gather *gather = calloc(1, sizeof(*gather));

    if (!gather) {
        ferry_error_set(err, -ENOMEM, "no memory for the connections of a session");
        return NULL;
    }
    pthread_mutex_init(&gather->lock, NULL);
    gather->terms = *terms;
    gather->dog = dog;
    roster_init(&gather->roster, &terms->roster);
    gather->wake = wait_wake_open();
    if (gather->wake >= 0)
        return gather;
    ferry_error_set(err, gather->wake, "cannot wait for the connections of a session");
    gather_free(gather);
    return NULL;
}

void gather_free(struct gather *gather)
{
    if (!gather)
        return;
    if (gather->wake >= 0)
        close(gather->wake);
    pthread_mutex_destroy(&gather->lock);
    free(gather);
}

void gather_result_clear(struct gather_result *result)
{
    ferry_channel_unref(result->main);
    ferry_channel_unref(result->urgent);
    for (unsigned i = 0; i < result->pages_count; i++)
        ferry_channel_unref(result->pages[i]);
    memset(result, 0, sizeof(*result));
}
