/* SPDX-License-Identifier: BSD-3-Clause */
/* link.c - the source's ear: a thread that reads the return path */
#include "link.h"

#include "clock.h"
#include "error_wire.h"
#include "guest_manifest.h"
#include "log.h"
#include "secure.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct link {
    struct ferry_channel *chan;
    struct ferry_reader *reader; /* the thread's own */
    struct return_path_message message;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    unsigned events; /* of enum link_event, so far */
    struct link_figures figures;
    struct ferry_error error;
    uint8_t token[RETURN_PATH_TOKEN_BYTES];
    bool has_token;            /* before, READY, RUNNING and DECLINED answer nothing */
    struct link_server server; /* request NULL: this is not a postcopy */
    unsigned bitmaps;          /* that have come */
    uint32_t ping_cookie, ponged;
    int64_t ping_ns; /* 0: none is out */
    uint8_t *agreed; /* owned; payload of AGREED, fixed once the event is there */
    size_t agreed_bytes;
};

/* Called with the lock held. */
static void break_locked(struct link *link, const struct ferry_error *why)
{
    if (!link->error.errnum)
        link->error = *why;
    pthread_cond_broadcast(&link->changed);
    ferry_channel_shutdown(link->chan, FERRY_WRITE);
}

void link_break(struct link *link, const struct ferry_error *why)
{
    pthread_mutex_lock(&link->lock);
    break_locked(link, why);
    pthread_mutex_unlock(&link->lock);
}

/* Called with the lock held.  @figure: where its time goes; NULL: it has none. */
static void note_token(struct link *link, const struct return_path_message *message, enum link_event event,
                       uint64_t *figure)
{
    struct ferry_error why;

    if (!link->has_token || memcmp(message->token, link->token, sizeof(link->token)) != 0) {
        ferry_error_set_code(&why, FERRY_E_BAD_TOKEN, -EPROTO,
                             "the destination answers %s with another migration's token",
                             return_path_type_name(message->type));
        break_locked(link, &why);
        return;
    }
    if (figure)
        *figure = message->counter;
    link->events |= event;
}

/* Called with the lock held. */
static void note_agreed(struct link *link, const struct return_path_message *message)
{
    struct ferry_error why;

    if (link->events & LINK_AGREED) {
        ferry_error_set(&why, -EPROTO, "the destination agrees twice");
        break_locked(link, &why);
        return;
    }
    link->agreed = malloc(message->bytes ? message->bytes : 1);
    if (!link->agreed) {
        ferry_error_set(&why, -ENOMEM, "no memory for what the destination agrees to");
        break_locked(link, &why);
        return;
    }
    memcpy(link->agreed, message->payload, message->bytes);
    link->agreed_bytes = message->bytes;
    link->events |= LINK_AGREED;
}

/* Called with the lock held. */
static void note_pong(struct link *link, uint32_t cookie, int64_t now)
{
    link->ponged = cookie;
    if (!link->ping_ns || cookie != link->ping_cookie)
        return;
    if (!link->figures.round_trip_ns || now - link->ping_ns < link->figures.round_trip_ns)
        link->figures.round_trip_ns = now - link->ping_ns;
    link->ping_ns = 0;
}

/* Called with the lock held. */
static void note_request(struct link *link, const struct return_path_message *message)
{
    const char *block = message->type == RETURN_PATH_REQ_PAGES_ID ? message->block : NULL;
    struct ferry_error why = { .errnum = -EPROTO };

    if (!link->server.request)
        ferry_error_set_code(&why, FERRY_E_BAD_RETURN_MESSAGE, -EPROTO, "return path: %s, but this is not a postcopy",
                             return_path_type_name(message->type));
    else if (link->server.request(link->server.opaque, block, message->counter, message->length, &why) == 0)
        return;
    break_locked(link, &why);
}

/* Called with the lock held. */
static void note_resumed(struct link *link, uint32_t value)
{
    struct ferry_error why;

    if (link->server.bitmap && value == 1) {
        link->events |= LINK_RESUMED;
        return;
    }
    ferry_error_set_code(&why, FERRY_E_BAD_RETURN_MESSAGE, -EPROTO, "return path: resume-ack %u has no place here",
                         value);
    break_locked(link, &why);
}

/* What comes behind such a message takes its time: the lock is not held. */
static void take_bitmap(struct link *link)
{
    struct ferry_error why = { .errnum = -EPROTO };
    struct link_server server;
    int ret;

    pthread_mutex_lock(&link->lock);
    server = link->server;
    pthread_mutex_unlock(&link->lock);
    if (server.bitmap)
        ret = server.bitmap(server.opaque, link->message.block, link->reader, &why);
    else
        ret = ferry_error_set_code(&why, FERRY_E_BAD_RETURN_MESSAGE, -EPROTO,
                                   "return path: recv-bitmap has no place here");
    pthread_mutex_lock(&link->lock);
    link->figures.heard_ns = clock_now_ns();
    if (ret < 0)
        break_locked(link, &why);
    else
        link->bitmaps++;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->lock);
}

/* Called with the lock held. */
static void note_message(struct link *link, const struct return_path_message *message)
{
    struct ferry_error why;
    int64_t now = clock_now_ns();

    link->figures.heard_ns = now;
    switch (message->type) {
    case RETURN_PATH_SHUT:
        if (message->value == 0)
            link->events |= LINK_SHUT;
        else if (ferry_error_set(&why, -EREMOTEIO, "the destination says that it failed (%u)", message->value))
            break_locked(link, &why);
        break;
    case RETURN_PATH_PONG:
        note_pong(link, message->value, now);
        break;
    case RETURN_PATH_AGREED:
        note_agreed(link, message);
        break;
    case RETURN_PATH_REFUSED:
        guest_manifest_refused(message->payload, message->bytes, &why);
        break_locked(link, &why);
        break;
    case RETURN_PATH_READY:
        note_token(link, message, LINK_READY, &link->figures.ready_ns);
        break;
    case RETURN_PATH_RUNNING:
        note_token(link, message, LINK_RUNNING, &link->figures.running_ns);
        break;
    case RETURN_PATH_DECLINED:
        note_token(link, message, LINK_DECLINED, NULL);
        break;
    case RETURN_PATH_WATERMARK:
        link->figures.loaded_bytes = message->counter;
        break;
    case RETURN_PATH_ERROR:
        if (error_decode(message->payload, message->bytes, &why) < 0)
            ferry_error_set(&why, -EREMOTEIO, "the destination failed and cannot say why");
        break_locked(link, &why);
        break;
    case RETURN_PATH_SWITCHOVER_ACK:
        link->events |= LINK_SWITCHOVER_ACK;
        break;
    case RETURN_PATH_RESUME_ACK:
        note_resumed(link, message->value);
        break;
    case RETURN_PATH_HEARTBEAT:
        break;
    case RETURN_PATH_REQ_PAGES_ID:
    case RETURN_PATH_REQ_PAGES:
        note_request(link, message);
        return; /* nobody waits for these */
    default:
        ferry_error_set_code(&why, FERRY_E_BAD_RETURN_MESSAGE, -EPROTO, "return path: %s has no place here",
                             return_path_type_name(message->type));
        break_locked(link, &why);
        break;
    }
    pthread_cond_broadcast(&link->changed);
}

static void *link_thread(void *opaque)
{
    struct link *link = opaque;
    const uint8_t *first;
    struct ferry_error why;

    if (ferry_reader_peek(link->reader, HELLO_PEEK_BYTES, &first) == HELLO_PEEK_BYTES &&
        secure_wanted(link->chan, first, &why) < 0) {
        link_break(link, &why);
        return NULL;
    }
    while (return_path_get(link->reader, &link->message) == 0) {
        if (link->message.type == RETURN_PATH_RECV_BITMAP) {
            take_bitmap(link);
            continue;
        }
        pthread_mutex_lock(&link->lock);
        note_message(link, &link->message);
        pthread_mutex_unlock(&link->lock);
    }
    ferry_reader_status(link->reader, &why);
    ferry_error_prefix(&why, "the destination cannot be heard any more");
    link_break(link, &why);
    return NULL;
}

static void destroy(struct link *link)
{
    pthread_cond_destroy(&link->changed);
    pthread_mutex_destroy(&link->lock);
    ferry_reader_free(link->reader);
    ferry_channel_unref(link->chan);
    free(link->agreed);
    free(link);
}

struct link *link_new(struct ferry_channel *chan, struct ferry_error *err)
{
    struct link *link = calloc(1, sizeof(*link));
    pthread_condattr_t attr;

    if (!link) {
        ferry_error_set(err, -ENOMEM, "no memory for the return path");
        return NULL;
    }
    link->chan = ferry_channel_ref(chan);
    pthread_mutex_init(&link->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&link->changed, &attr);
    pthread_condattr_destroy(&attr);
    link->reader = ferry_reader_new(chan, err);
    if (!link->reader)
        goto fail;
    if (pthread_create(&link->thread, NULL, link_thread, link) == 0)
        return link;
    ferry_error_set(err, -EAGAIN, "no thread for the return path");
fail:
    destroy(link);
    return NULL;
}

void link_free(struct link *link)
{
    if (!link)
        return;
    ferry_channel_shutdown(link->chan, FERRY_READ);
    pthread_join(link->thread, NULL);
    destroy(link);
}

void link_expect_token(struct link *link, const uint8_t token[RETURN_PATH_TOKEN_BYTES])
{
    pthread_mutex_lock(&link->lock);
    memcpy(link->token, token, sizeof(link->token));
    link->has_token = true;
    pthread_mutex_unlock(&link->lock);
}

void link_serve(struct link *link, const struct link_server *server)
{
    pthread_mutex_lock(&link->lock);
    link->server = *server;
    pthread_mutex_unlock(&link->lock);
}

void link_pinged(struct link *link, uint32_t cookie)
{
    pthread_mutex_lock(&link->lock);
    link->ping_cookie = cookie;
    link->ping_ns = clock_now_ns();
    pthread_mutex_unlock(&link->lock);
}

/* Called with the lock held: wait for a message or the end.  0 to look again. */
static int wait_change(struct link *link, int64_t deadline_ns, struct ferry_error *err)
{
    struct timespec when = clock_timespec(deadline_ns);

    if (link->error.errnum) {
        if (err)
            *err = link->error;
        return link->error.errnum;
    }
    if (deadline_ns < 0) {
        pthread_cond_wait(&link->changed, &link->lock);
        return 0;
    }
    if (pthread_cond_timedwait(&link->changed, &link->lock, &when) == ETIMEDOUT)
        return ferry_error_set(err, -ETIMEDOUT, "%s: no answer came in time", ferry_channel_label(link->chan));
    return 0;
}

int link_wait(struct link *link, unsigned events, int64_t deadline_ns, struct ferry_error *err)
{
    int ret = 0;

    pthread_mutex_lock(&link->lock);
    while (ret == 0 && !(link->events & events))
        ret = wait_change(link, deadline_ns, err);
    pthread_mutex_unlock(&link->lock);
    return ret;
}

int link_wait_pong(struct link *link, uint32_t cookie, int64_t deadline_ns, struct ferry_error *err)
{
    int ret = 0;

    pthread_mutex_lock(&link->lock);
    while (ret == 0 && link->ponged < cookie)
        ret = wait_change(link, deadline_ns, err);
    pthread_mutex_unlock(&link->lock);
    return ret;
}

int link_wait_bitmaps(struct link *link, unsigned count, int64_t deadline_ns, struct ferry_error *err)
{
    int ret = 0;

    pthread_mutex_lock(&link->lock);
    while (ret == 0 && link->bitmaps < count)
        ret = wait_change(link, deadline_ns, err);
    pthread_mutex_unlock(&link->lock);
    return ret;
}

const uint8_t *link_agreed(const struct link *link, size_t *bytes)
{
    *bytes = link->agreed_bytes;
    return link->agreed;
}

int link_status(struct link *link, struct ferry_error *err)
{
    int ret;

    pthread_mutex_lock(&link->lock);
    ret = link->error.errnum;
    if (ret && err)
        *err = link->error;
    pthread_mutex_unlock(&link->lock);
    return ret;
}

void link_figures(struct link *link, struct link_figures *figures)
{
    pthread_mutex_lock(&link->lock);
    *figures = link->figures;
    pthread_mutex_unlock(&link->lock);
}
