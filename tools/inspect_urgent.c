/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_urgent.c - connections of postcopy: urgent ones, which say nothing of themselves, and those that take over
 *
 *      files, in the order in which they were connected:
 *
 *          main   urgent | resumed   urgent | resumed ...
 *                 after main, before what takes over
 *
 *      made to us: urgent ones are read as they come, once the guest has moved
 */
#include "inspect_channels_parts.h"

#include "clock.h"
#include "inspect_postcopy.h"
#include "section.h"

#include <errno.h>
#include <limits.h>

#define LOOK_NS     (20 * NS_PER_MS)
#define PATIENCE_NS (3 * NS_PER_SEC)

/* ---- each one's thread ----------------------------------------------------------------------------------------- */

bool resumed_begins(const uint8_t *first, ssize_t have)
{
    return have > 0 && first[0] == SECTION_COMMAND;
}

/* A record begins with an offset, and none is so large that its first byte is not 0.  There may be no record at all. */
bool urgent_begins(const uint8_t *first, ssize_t have)
{
    return have == 0 || (have > 0 && first[0] == 0);
}

int urgent_run(struct connection *connection)
{
    struct inspect_channels *set = connection->set;
    struct postcopy_records records = { .reader = connection->reader };
    struct inspect_postcopy *postcopy;
    struct ferry_error why = { 0 };
    bool go_on;
    int ret;

    pthread_mutex_lock(&set->lock);
    while (!set->stopping && connection->index >= set->urgent_until)
        pthread_cond_wait(&set->changed, &set->lock);
    go_on = !set->stopping;
    postcopy = set->postcopy;
    connection->stage = READING;
    pthread_mutex_unlock(&set->lock);
    if (!postcopy)
        return 0;
    ret = postcopy_add_wire(postcopy, ferry_channel_label(connection->chan), WIRE_URGENT, &why);
    if (ret < 0)
        return ferry_reader_fail(connection->reader, ret, "%s", ferry_error_text(&why));
    records.wire = (unsigned)ret;
    ret = go_on ? postcopy_get_urgent(postcopy, &records, !set->listener) : 0;
    postcopy_drop_part(postcopy, &records);
    pthread_mutex_lock(&postcopy->lock);
    postcopy->wire[records.wire].bytes = ferry_reader_offset(connection->reader);
    postcopy->wire[records.wire].broke = ret < 0;
    pthread_mutex_unlock(&postcopy->lock);
    return ret;
}

int not_wanted(const struct connection *connection, bool whole, struct ferry_error *err)
{
    const struct inspect_channels *set = connection->set;
    const char *label = ferry_channel_label(connection->chan);

    if (connection->urgent && connection->error.errnum) {
        *err = connection->error;
        return err->errnum;
    }
    if (set->listener || !whole)
        return 0;
    if (connection->urgent && connection->index >= set->urgent_until)
        return ferry_error_set(
            err, -EPROTO, "%s: it does not begin as a page channel does; no urgent pages belong to the stream", label);
    if (connection->stage == RESUMES)
        return ferry_error_set(err, -EPROTO, "%s: it takes over after a break, but nothing broke", label);
    return 0;
}

/* ---- who reads the main connection ----------------------------------------------------------------------------- */

void inspect_channels_follow(struct inspect_channels *set, struct inspect_postcopy *postcopy)
{
    pthread_mutex_lock(&set->lock);
    set->postcopy = postcopy;
    if (set->listener)
        set->urgent_until = UINT_MAX;
    pthread_cond_broadcast(&set->changed);
    pthread_mutex_unlock(&set->lock);
}

/* The connection at @index, once it has said what it is; NULL behind the last. */
static struct connection *settled(struct inspect_channels *set, unsigned index)
{
    struct connection *connection = index < set->count ? set->connections[index] : NULL;

    while (connection && connection->stage == ARRIVING)
        pthread_cond_wait(&set->changed, &set->lock);
    return connection;
}

static void read_files(struct inspect_channels *set, bool broke)
{
    struct connection *connection;

    for (; (connection = settled(set, set->followed)) && connection->stage != RESUMES; set->followed++) {
        if (!connection->urgent)
            continue;
        set->urgent_until = set->followed + 1;
        pthread_cond_broadcast(&set->changed);
        while (connection->stage != ENDED)
            pthread_cond_wait(&set->changed, &set->lock);
        /* All break together. */
        if (broke && connection->error.code == FERRY_E_STREAM_ENDED)
            connection->error = (struct ferry_error){ 0 };
    }
}

static bool some_read(const struct inspect_channels *set)
{
    for (unsigned i = 0; i < set->count; i++)
        if (set->connections[i]->urgent && set->connections[i]->stage != ENDED)
            return true;
    return false;
}

/* The main connection's end says nothing of what is still on its way on another. */
static void read_rest(struct inspect_channels *set)
{
    int64_t until = clock_now_ns() + PATIENCE_NS;

    while (some_read(set) && postcopy_still_awaited(set->postcopy) > 0 && clock_now_ns() < until) {
        struct timespec when = clock_timespec(clock_now_ns() + LOOK_NS);

        pthread_cond_timedwait(&set->changed, &set->lock, &when);
    }
}

void inspect_channels_urgent(struct inspect_channels *set, bool broke)
{
    pthread_mutex_lock(&set->lock);
    if (!set->listener)
        read_files(set, broke);
    else if (!broke)
        read_rest(set);
    pthread_mutex_unlock(&set->lock);
}

struct ferry_reader *inspect_channels_resumed(struct inspect_channels *set)
{
    struct ferry_reader *reader = NULL;
    struct connection *connection;

    pthread_mutex_lock(&set->lock);
    connection = set->listener ? NULL : settled(set, set->followed);
    if (connection && connection->stage == RESUMES) {
        reader = connection->reader;
        connection->stage = IS_MAIN;
        set->followed++;
    }
    pthread_mutex_unlock(&set->lock);
    return reader;
}
