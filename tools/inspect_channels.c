/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_channels.c - the page channels beside a main stream, a thread each */
#include "inspect_channels.h"

#include "clock.h"
#include "inspect_channels_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* When the first mark is read, the source has connected every page channel and sent a SYNC on each; but they may still
 * be on their way.  So it is waited until none has come for a while, and longer where one is known to be missing. */
#define GRACE_NS    (250 * NS_PER_MS)
#define PATIENCE_NS (3 * NS_PER_SEC)

/* ---- whoever connects -------------------------------------------------------------------------------------------- */

int inspect_channels_add(struct inspect_channels *set, struct ferry_channel *chan, struct ferry_error *err)
{
    struct connection *connection = connection_new(set, chan);
    int ret = connection ? 0 : -ENOMEM;

    pthread_mutex_lock(&set->lock);
    if (ret == 0 && (set->count > REPORT_CHANNELS_MAX || set->stopping))
        ret = -E2BIG;
    if (ret == 0)
        connection->index = set->count;
    if (ret == 0)
        ret = -pthread_create(&connection->thread, NULL, connection_run, connection);
    if (ret == 0) {
        set->connections[set->count++] = connection;
        set->arrivals++;
    }
    pthread_mutex_unlock(&set->lock);
    if (ret < 0) {
        connection_free(connection);
        return ferry_error_set(err, ret, "%s: %s", ferry_channel_label(chan),
                               ret == -E2BIG ? "too many connections" : strerror(-ret));
    }
    return 0;
}

static void *accept_run(void *opaque)
{
    struct inspect_channels *set = opaque;
    struct ferry_error why = { 0 };
    struct ferry_channel *chan;

    while ((chan = ferry_listener_accept(set->listener, FERRY_NO_DEADLINE, &why))) {
        /* What there is no room for is hung up on. */
        (void)inspect_channels_add(set, chan, NULL);
        ferry_channel_unref(chan);
    }
    pthread_mutex_lock(&set->lock);
    set->error = why;
    pthread_cond_broadcast(&set->changed);
    pthread_mutex_unlock(&set->lock);
    return NULL;
}

/* Nobody is there, or will be, who could be the main stream. */
static bool hopeless(const struct inspect_channels *set)
{
    for (unsigned i = 0; i < set->count; i++)
        if (set->connections[i]->stage == ARRIVING)
            return false;
    return set->error.errnum != 0;
}

/* Where one connection is all that can come, what was wrong with it says more than that there is no other. */
static const struct ferry_error *why_nobody(const struct inspect_channels *set)
{
    const struct ferry_error *last = set->count > 0 ? &set->connections[set->count - 1]->error : NULL;

    return last && last->errnum ? last : &set->error;
}

struct ferry_reader *inspect_channels_accept(struct inspect_channels *set, struct ferry_listener *listener,
                                             const struct secure *secure, struct ferry_error *err)
{
    struct ferry_reader *reader = NULL;
    int ret;

    set->listener = listener;
    set->secure = secure;
    ret = -pthread_create(&set->accepter, NULL, accept_run, set);
    if (ret < 0) {
        set->listener = NULL;
        ferry_error_set(err, ret, "%s: %s", ferry_listener_address(listener), strerror(-ret));
        return NULL;
    }
    pthread_mutex_lock(&set->lock);
    while (!set->main && !hopeless(set))
        pthread_cond_wait(&set->changed, &set->lock);
    if (set->main)
        reader = set->main->reader;
    else if (err)
        *err = *why_nobody(set);
    pthread_mutex_unlock(&set->lock);
    return reader;
}

/* ---- marks ----------------------------------------------------------------------------------------------------- */

/* Is it one to be reckoned with?  Where anybody can connect, who does not greet like a page channel is a stranger. */
static bool counts(const struct connection *connection)
{
    if (connection->stage == IS_MAIN || connection->stage == RESUMES || connection->urgent)
        return false;
    return !connection->set->listener || (connection->stage >= READING && connection->report.channel >= 0);
}

static int64_t patience_ns(const struct inspect_channels *set, bool expected)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (set->connections[i]->stage == ARRIVING)
            return PATIENCE_NS;
        expected = expected && !counts(set->connections[i]);
    }
    return expected ? PATIENCE_NS : GRACE_NS;
}

/* @expected: there is at least one. */
static void wait_for_late(struct inspect_channels *set, bool expected)
{
    int64_t since = clock_now_ns();
    unsigned seen = set->arrivals;

    while (set->error.errnum == 0) {
        int64_t until = since + patience_ns(set, expected);
        struct timespec when = clock_timespec(until);

        if (clock_now_ns() >= until)
            return;
        pthread_cond_timedwait(&set->changed, &set->lock, &when);
        if (set->arrivals != seen)
            since = clock_now_ns();
        seen = set->arrivals;
    }
}

static void begin(struct inspect_channels *set, bool expected)
{
    if (set->begun)
        return;
    if (set->listener)
        wait_for_late(set, expected);
    set->map = (struct ram_map){ .blocks = set->ram->loader.blocks, .count = set->ram->loader.count };
    set->begun = true;
    pthread_cond_broadcast(&set->changed);
}

/* All have come to their SYNC of that number, or will come nowhere any more. */
static bool all_at(const struct inspect_channels *set, uint64_t sync)
{
    for (unsigned i = 0; i < set->count; i++) {
        const struct connection *connection = set->connections[i];

        if (counts(connection) && connection->stage != ENDED && connection->syncs < sync)
            return false;
    }
    return true;
}

/* What is wrong with the connection when the main stream is at its mark of that number? */
static int verdict(const struct connection *connection, uint64_t sync, struct ferry_error *err)
{
    if (!counts(connection))
        return 0;
    if (connection->error.errnum) {
        *err = connection->error;
        return err->errnum;
    }
    if (connection->stage == ENDED && connection->syncs < sync)
        return ferry_error_set(
            err, -EPIPE, "%s: the page channel ends with %" PRIu64 " SYNCs, the main stream has %" PRIu64 " marks",
            connection->report.label, connection->syncs, sync);
    return 0;
}

int inspect_channels_mark(struct inspect_channels *set, bool is_record, struct ferry_error *err)
{
    uint64_t sync;
    int ret = 0;

    pthread_mutex_lock(&set->lock);
    begin(set, is_record);
    sync = set->released + 1;
    while (!all_at(set, sync))
        pthread_cond_wait(&set->changed, &set->lock);
    for (unsigned i = 0; ret == 0 && i < set->count; i++)
        ret = verdict(set->connections[i], sync, err);
    if (ret == 0)
        set->released = sync;
    pthread_cond_broadcast(&set->changed);
    pthread_mutex_unlock(&set->lock);
    return ret;
}

/* ---- the end --------------------------------------------------------------------------------------------------- */

/* All are at their end, or at a SYNC that no mark will come for. */
static bool all_done(const struct inspect_channels *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        const struct connection *connection = set->connections[i];

        if (counts(connection) && connection->stage != ENDED && connection->syncs <= set->released)
            return false;
    }
    return true;
}

static void stop(struct inspect_channels *set)
{
    pthread_mutex_lock(&set->lock);
    set->stopping = true;
    pthread_cond_broadcast(&set->changed);
    pthread_mutex_unlock(&set->lock);
    if (set->listener) {
        ferry_listener_stop(set->listener);
        pthread_join(set->accepter, NULL);
    }
    for (unsigned i = 0; i < set->count; i++) {
        struct connection *connection = set->connections[i];
        struct ferry_channel *chan;

        pthread_mutex_lock(&set->lock);
        chan = connection->stage == IS_MAIN ? NULL : connection->chan;
        pthread_mutex_unlock(&set->lock);
        if (chan)
            ferry_channel_shutdown(chan, FERRY_READ);
        pthread_join(connection->thread, NULL);
    }
}

static int tell(struct inspect_channels *set, struct inspect_report *report)
{
    report->connections = calloc(set->count + 1, sizeof(report->connections[0]));
    if (!report->connections)
        return -ENOMEM;
    for (unsigned i = 0; i < set->count; i++) {
        struct connection *connection = set->connections[i];

        if (!counts(connection))
            continue;
        report->connections[report->connection_count++] = connection->report;
        connection->report.label = NULL;
    }
    return 0;
}

/* A SYNC that no mark came for. */
static int one_too_many(const struct connection *connection, struct ferry_error *err)
{
    if (!counts(connection) || connection->syncs <= connection->set->released)
        return 0;
    return ferry_error_set(err, -EPROTO,
                           "%s: the page channel has a SYNC more than the %" PRIu64 " marks of the main stream",
                           connection->report.label, connection->set->released);
}

/* They are numbered without gaps. */
static int one_too_few(const struct inspect_channels *set, struct ferry_error *err)
{
    bool there[REPORT_CHANNELS_MAX] = { false };
    int channel, count = 0;

    for (unsigned i = 0; i < set->count; i++) {
        channel = set->connections[i]->report.channel;
        if (channel < 0)
            continue;
        there[channel] = true;
        count = channel >= count ? channel + 1 : count;
    }
    for (channel = 0; channel < count && there[channel];)
        channel++;
    return channel == count
               ? 0
               : ferry_error_set(err, -ENOENT, "page channel %d is missing: there is one with the number %d", channel,
                                 count - 1);
}

int inspect_channels_finish(struct inspect_channels *set, bool wait, struct inspect_report *report,
                            struct ferry_error *err)
{
    int ret = 0;

    pthread_mutex_lock(&set->lock);
    if (wait)
        begin(set, false);
    while (wait && !all_done(set))
        pthread_cond_wait(&set->changed, &set->lock);
    pthread_mutex_unlock(&set->lock);
    stop(set);
    for (unsigned i = 0; i < set->count; i++) {
        const struct connection *connection = set->connections[i];
        struct ferry_error why;
        int failed = verdict(connection, wait ? set->released : 0, &why);

        if (failed == 0 && wait)
            failed = one_too_many(connection, &why);
        if (failed == 0)
            failed = not_wanted(connection, wait, &why);
        if (!counts(connection) && !connection->urgent && connection->error.errnum)
            inspect_note(report, "not taken: %s", ferry_error_text(&connection->error));
        else if (failed < 0 && ret < 0)
            inspect_note(report, "and: %s", ferry_error_text(&why));
        else if (failed < 0)
            *err = why;
        ret = ret < 0 ? ret : failed;
    }
    if (ret == 0 && wait)
        ret = one_too_few(set, err);
    if (tell(set, report) < 0 && ret == 0)
        ret = ferry_error_set(err, -ENOMEM, "no memory for the list of connections");
    return ret;
}

struct inspect_channels *inspect_channels_new(struct inspect_ram *ram, struct ferry_error *err)
{
    struct inspect_channels *set = calloc(1, sizeof(*set));
    pthread_condattr_t attr;

    if (!set) {
        ferry_error_set(err, -ENOMEM, "no memory for page channels");
        return NULL;
    }
    set->ram = ram;
    pthread_mutex_init(&set->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&set->changed, &attr);
    pthread_condattr_destroy(&attr);
    return set;
}

void inspect_channels_free(struct inspect_channels *set)
{
    if (!set)
        return;
    if (!set->stopping)
        stop(set);
    for (unsigned i = 0; i < set->count; i++)
        connection_free(set->connections[i]);
    pthread_cond_destroy(&set->changed);
    pthread_mutex_destroy(&set->lock);
    free(set);
}
