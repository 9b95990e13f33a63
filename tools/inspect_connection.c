/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_connection.c - one connection beside a main stream: what it is, and its packets up to each mark */
#include "inspect_channels_parts.h"

#include "hello.h"
#include "inspect_packets.h"
#include "secure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Hands are shaken first, where that was asked for.  Who does not say goodbye is forgiven: no QEMU does on its main
 * connection, and old ones on none. */
static int open_reader(struct connection *connection)
{
    struct inspect_channels *set = connection->set;
    struct ferry_error why = { 0 };
    struct ferry_channel *chan = secure_wrap(set->secure, connection->chan, NULL, NULL, -1, &why);
    char *label = chan ? strdup(ferry_channel_label(chan)) : NULL;

    if (label) {
        secure_forgive_end(chan);
        free(connection->report.label);
        connection->report.label = label;
        connection->reader = ferry_reader_new(chan, &why);
    } else if (chan) {
        ferry_error_set(&why, -ENOMEM, "no memory for a connection");
    }
    pthread_mutex_lock(&set->lock);
    connection->chan = chan ? chan : connection->chan;
    connection->error = why;
    pthread_mutex_unlock(&set->lock);
    return connection->reader ? 0 : -1;
}

/* It is the main stream, or may be another one; or it is urgent. */
static int settle(struct connection *connection, enum stage stage)
{
    connection->stage = stage;
    connection->urgent = stage == WAITING;
    pthread_cond_broadcast(&connection->set->changed);
    return 1;
}

/* A page channel?  Or the main stream, where one is wanted: 1; then the reader is not ours any more.  What is neither
 * may be a broken main stream, but only where nobody else can come; or it belongs to postcopy, and may have
 * said nothing all the time. */
static int look(struct connection *connection)
{
    struct inspect_channels *set = connection->set;
    const uint8_t *first;
    ssize_t have = ferry_reader_peek(connection->reader, HELLO_PEEK_BYTES, &first);
    enum hello_kind kind = have == HELLO_PEEK_BYTES ? hello_detect(first) : HELLO_KIND_UNKNOWN;
    int settled = 0;

    if (kind == HELLO_KIND_QEMU_PAGES)
        return 0;
    pthread_mutex_lock(&set->lock);
    while (kind != HELLO_KIND_QEMU && set->listener && !set->main && !set->error.errnum && !set->stopping)
        pthread_cond_wait(&set->changed, &set->lock);
    if (set->listener && !set->main && !set->stopping) {
        set->main = connection;
        settled = settle(connection, IS_MAIN);
    } else if (resumed_begins(first, have)) {
        settled = settle(connection, RESUMES);
    } else if (urgent_begins(first, have) || (set->stopping && set->postcopy && have < 0)) {
        settled = settle(connection, WAITING);
    }
    pthread_mutex_unlock(&set->lock);
    if (settled)
        return 1;
    return ferry_reader_fail(connection->reader, -EPROTO, "it does not begin as a page channel does");
}

/* It has said who it is: no two may say the same. */
static int arrive(struct connection *connection)
{
    struct inspect_channels *set = connection->set;
    int channel = connection->report.channel;
    bool twice = false;

    pthread_mutex_lock(&set->lock);
    for (unsigned i = 0; i < set->count; i++) {
        const struct connection *other = set->connections[i];

        twice |= other->stage >= READING && other->report.channel == channel;
    }
    connection->stage = READING;
    set->arrivals++;
    pthread_cond_broadcast(&set->changed);
    pthread_mutex_unlock(&set->lock);
    return twice ? ferry_reader_fail(connection->reader, -EPROTO, "a second page channel %d", channel) : 0;
}

/* Wait until it is time to go on; false: there is nothing more to be done. */
static bool pass(struct connection *connection, bool is_sync)
{
    struct inspect_channels *set = connection->set;
    bool go_on;

    pthread_mutex_lock(&set->lock);
    connection->syncs += is_sync;
    pthread_cond_broadcast(&set->changed);
    while (!set->stopping && (!set->begun || connection->syncs > set->released))
        pthread_cond_wait(&set->changed, &set->lock);
    go_on = !set->stopping;
    pthread_mutex_unlock(&set->lock);
    return go_on;
}

static int read_packets(struct connection *connection)
{
    struct inspect_channels *set = connection->set;
    struct inspect_packets *packets = inspect_packets_new(connection->reader, &connection->report);
    int ret;

    if (!packets)
        return ferry_reader_fail(connection->reader, -ENOMEM, "no memory for packets");
    ret = inspect_packets_greeting(packets);
    if (ret == 0)
        ret = arrive(connection);
    if (ret == 0 && pass(connection, false)) {
        do
            ret = inspect_packets_next(packets, &set->map, set->ram);
        while (ret == CAME_PAGES || (ret == CAME_SYNC && pass(connection, true)));
    }
    inspect_packets_free(packets);
    return ret < 0 ? ret : 0;
}

void *connection_run(void *opaque)
{
    struct connection *connection = opaque;
    struct inspect_channels *set = connection->set;
    int ret = open_reader(connection);

    if (ret == 0)
        ret = look(connection);
    if (ret > 0 && !connection->urgent)
        return NULL;
    if (ret > 0)
        ret = urgent_run(connection);
    else if (ret == 0)
        ret = read_packets(connection);
    /* A source that still sends must not wait for ever. */
    if (ret < 0)
        ferry_channel_shutdown(connection->chan, FERRY_READ_WRITE);
    pthread_mutex_lock(&set->lock);
    if (ret < 0 && !set->stopping && connection->reader)
        ferry_reader_status(connection->reader, &connection->error);
    connection->report.syncs = connection->syncs;
    connection->stage = ENDED;
    pthread_cond_broadcast(&set->changed);
    pthread_mutex_unlock(&set->lock);
    return NULL;
}

void connection_free(struct connection *connection)
{
    if (!connection)
        return;
    if (connection->stage != IS_MAIN)
        ferry_reader_free(connection->reader);
    ferry_channel_unref(connection->chan);
    free(connection->report.label);
    free(connection);
}

struct connection *connection_new(struct inspect_channels *set, struct ferry_channel *chan)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (!connection)
        return NULL;
    connection->set = set;
    connection->chan = ferry_channel_ref(chan);
    connection->report.label = strdup(ferry_channel_label(chan));
    connection->report.channel = -1;
    if (connection->report.label)
        return connection;
    connection_free(connection);
    return NULL;
}
