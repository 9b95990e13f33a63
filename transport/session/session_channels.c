/* SPDX-License-Identifier: BSD-3-Clause */
/* session_channels.c - all connections of a session, so that nobody stays inside one of them when it is to end */
#include "session.h"

#include <errno.h>

void session_add_channel(struct ferry_session *session, struct ferry_channel *chan)
{
    struct session_others *others = &session->others;

    pthread_mutex_lock(&session->lock);
    if (others->shut)
        ferry_channel_shutdown(chan, FERRY_READ_WRITE);
    if (others->count < HELLO_ALL_MAX)
        others->chan[others->count++] = ferry_channel_ref(chan);
    pthread_mutex_unlock(&session->lock);
}

void session_drop_channels(struct ferry_session *session)
{
    struct session_others *others = &session->others;

    pthread_mutex_lock(&session->lock);
    while (others->count > 0)
        ferry_channel_unref(others->chan[--others->count]);
    pthread_mutex_unlock(&session->lock);
}

/* The main one first: what it says counts.  Once there is one, it stays. */
void session_shut_down(struct ferry_session *session, enum ferry_direction how)
{
    struct session_others *others = &session->others;

    pthread_mutex_lock(&session->lock);
    if (session->chan)
        ferry_channel_shutdown(session->chan, how);
    others->shut = true;
    for (unsigned i = 0; i < others->count; i++)
        ferry_channel_shutdown(others->chan[i], FERRY_READ_WRITE);
    pthread_mutex_unlock(&session->lock);
}

/* A cancel stops the listener for good, while it is there to be stopped. */
static int await_at_door(struct ferry_session *session, bool awaited, struct ferry_error *err)
{
    bool cancelled;

    pthread_mutex_lock(&session->lock);
    session->door.awaited = awaited;
    cancelled = session_called_off(session);
    pthread_mutex_unlock(&session->lock);
    return cancelled ? ferry_error_set(err, -ECANCELED, "the migration was cancelled") : 0;
}

struct ferry_channel *session_accept(struct ferry_session *session, int timeout_ms, struct ferry_error *err)
{
    struct ferry_channel *chan = NULL;

    if (await_at_door(session, true, err) == 0)
        chan = ferry_listener_accept(session->door.listener, timeout_ms, err);
    if (await_at_door(session, false, err) == 0)
        return chan;
    ferry_channel_unref(chan);
    return NULL;
}
