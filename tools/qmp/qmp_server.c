/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_server.c - the QMP socket: one thread that meets, hears and answers all clients */
#include "qmp_server.h"

#include "clock.h"
#include "qmp_commands.h"
#include "qmp_door.h"
#include "qmp_link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SHARE        50 /* of a processor: one part of so many */
#define BURST_NS     (20 * NS_PER_MS)
#define MODESTY      1000
#define EVENTS_MAX   1024 /* not yet told; more are let fall */
#define ACCEPTS_MAX  16   /* in one turn */
#define FAREWELL_NS  (500 * NS_PER_MS)
#define POLLED_FIRST 2 /* wake, door; then the clients */

struct qmp_server {
    struct qmp_door *door;
    struct qmp_control *control; /* borrowed while the thread runs */
    pthread_t thread;
    bool runs;
    int wake; /* eventfd */
    pthread_mutex_t lock;
    json_t *events; /* guarded by lock: posted, not yet told */
    bool stop;      /* guarded by lock */
    /* the thread's own */
    struct qmp_link *links[QMP_CLIENTS_MAX];
    unsigned count, turn;
    int64_t credit_ns, credit_at_ns; /* processor time that may be used */
};

struct qmp_server *qmp_server_new(const char *address, struct ferry_error *err)
{
    struct qmp_server *server = calloc(1, sizeof(*server));

    if (!server) {
        ferry_error_set(err, -ENOMEM, "no memory for QMP");
        return NULL;
    }
    pthread_mutex_init(&server->lock, NULL);
    server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->events = json_array();
    if (server->wake < 0 || !server->events)
        ferry_error_set(err, -ENOMEM, "no descriptor or memory for QMP");
    else
        server->door = qmp_door_open(address, err);
    if (server->door)
        return server;
    qmp_server_free(server);
    return NULL;
}

void qmp_server_post(void *opaque, json_t *event)
{
    struct qmp_server *server = opaque;

    pthread_mutex_lock(&server->lock);
    if (json_array_size(server->events) < EVENTS_MAX)
        json_array_append_new(server->events, event);
    else
        json_decref(event);
    pthread_mutex_unlock(&server->lock);
    eventfd_write(server->wake, 1);
}

/* Posted events, to everyone who has agreed.  Returns false when it is to end. */
static bool tell_events(struct qmp_server *server)
{
    json_t *fresh = json_array(), *events, *event;
    eventfd_t woken;
    size_t i;
    bool stop;

    eventfd_read(server->wake, &woken);
    pthread_mutex_lock(&server->lock);
    events = server->events;
    stop = server->stop;
    if (fresh)
        server->events = fresh;
    pthread_mutex_unlock(&server->lock);
    json_array_foreach (events, i, event) {
        for (unsigned j = 0; j < server->count; j++)
            if (server->links[j]->agreed)
                qmp_link_put(server->links[j], event);
    }
    if (fresh)
        json_decref(events);
    return !stop;
}

static void drop(struct qmp_server *server, unsigned at)
{
    qmp_link_free(server->links[at]);
    memmove(server->links + at, server->links + at + 1, (--server->count - at) * sizeof(server->links[0]));
}

static bool make_place(struct qmp_server *server)
{
    for (unsigned i = 0; server->count == QMP_CLIENTS_MAX && i < server->count; i++)
        if (!server->links[i]->agreed)
            drop(server, i);
    return server->count < QMP_CLIENTS_MAX;
}

static void meet(struct qmp_server *server)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int fd = qmp_door_accept(server->door);
        struct qmp_link *link;
        json_t *greeting;

        if (fd < 0)
            return;
        link = make_place(server) ? qmp_link_new(fd) : NULL;
        if (!link) {
            close(fd);
            return;
        }
        greeting = qmp_commands_greeting();
        qmp_link_put(link, greeting);
        json_decref(greeting);
        qmp_link_write(link);
        server->links[server->count++] = link;
    }
}

static void answer(void *opaque, struct qmp_link *link, const json_t *value, const char *why)
{
    struct qmp_server *server = opaque;
    struct qmp_agreed agreed = { link->agreed, link->oob };
    json_t *reply = qmp_commands_answer(server->control, &agreed, value, why);

    link->agreed = agreed.agreed;
    link->oob = agreed.oob;
    qmp_link_put(link, reply);
    json_decref(reply);
}

static int64_t thread_cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

/* What has been earned since, less what was used. */
static void charge(struct qmp_server *server, int64_t *used_ns)
{
    int64_t now_ns = clock_now_ns(), cpu_ns = thread_cpu_ns();

    server->credit_ns += (now_ns - server->credit_at_ns) / SHARE - (cpu_ns - *used_ns);
    server->credit_at_ns = now_ns;
    *used_ns = cpu_ns;
    if (server->credit_ns > BURST_NS)
        server->credit_ns = BURST_NS;
}

static bool has_unread(const struct qmp_link *link)
{
    return link->unread_at < link->unread_bytes && qmp_link_listens(link);
}

/* One turn; who used much waits behind those who did not, for MODESTY times as long. */
static void give_turn(struct qmp_server *server, struct qmp_link *link, short ready)
{
    int64_t from_ns = thread_cpu_ns();

    if ((ready & (POLLERR | POLLHUP)) && !qmp_link_listens(link))
        link->broken = true;
    if (link->broken || (!ready && !has_unread(link)))
        return;
    if (qmp_link_listens(link))
        qmp_link_read(link, answer, server);
    qmp_link_write(link);
    link->modest_from_ns = clock_now_ns() + MODESTY * (thread_cpu_ns() - from_ns);
}

/* Those who have agreed and used little lately, or all others, from where the last round ended.  False: enough. */
static bool hear_some(struct qmp_server *server, const struct pollfd *polled, unsigned count, bool modest)
{
    int64_t from_ns = thread_cpu_ns(), now_ns = clock_now_ns();

    for (unsigned i = 0; i < count; i++) {
        unsigned at = (server->turn + i) % count;
        struct qmp_link *link = server->links[at];

        if ((link->agreed && now_ns >= link->modest_from_ns) != modest)
            continue;
        if (thread_cpu_ns() - from_ns > BURST_NS / 4) {
            server->turn = at;
            return false;
        }
        give_turn(server, link, polled[at].revents);
    }
    return true;
}

/* A turn for each that is ready, while there is credit. */
static void hear(struct qmp_server *server, const struct pollfd *polled, unsigned count)
{
    if (hear_some(server, polled, count, true))
        hear_some(server, polled, count, false);
    for (unsigned i = server->count; i-- > 0;)
        if (server->links[i]->broken)
            drop(server, i);
}

/* Who is to be looked at, and for how long.  Without credit only the wake. */
static int wait_ms(const struct qmp_server *server, unsigned clients, int tick)
{
    if (server->credit_ns < 0) {
        int64_t ms = -server->credit_ns * SHARE / NS_PER_MS + 1;

        return tick >= 0 && ms > tick ? tick : (int)ms;
    }
    for (unsigned i = 0; i < clients; i++)
        if (has_unread(server->links[i]))
            return 0;
    return tick;
}

static unsigned prepare(struct qmp_server *server, struct pollfd *polled)
{
    polled[0] = (struct pollfd){ .fd = server->wake, .events = POLLIN };
    polled[1] = (struct pollfd){ .fd = qmp_door_fd(server->door), .events = POLLIN };
    for (unsigned i = 0; i < server->count; i++) {
        struct qmp_link *link = server->links[i];
        short events = (short)((qmp_link_listens(link) ? POLLIN : 0) | (qmp_link_talks(link) ? POLLOUT : 0));

        polled[POLLED_FIRST + i] = (struct pollfd){ .fd = link->fd, .events = events };
    }
    return server->count;
}

static void farewell(struct qmp_server *server)
{
    int64_t until_ns = clock_now_ns() + FAREWELL_NS;

    for (unsigned i = 0; i < server->count; i++)
        while (qmp_link_talks(server->links[i]) && !server->links[i]->broken && clock_now_ns() < until_ns) {
            struct pollfd fd = { .fd = server->links[i]->fd, .events = POLLOUT };

            if (poll(&fd, 1, (int)((until_ns - clock_now_ns()) / NS_PER_MS)) > 0)
                qmp_link_write(server->links[i]);
        }
}

static void *serve(void *opaque)
{
    struct qmp_server *server = opaque;
    struct pollfd polled[POLLED_FIRST + QMP_CLIENTS_MAX];
    int64_t used_ns;

    server->credit_ns = BURST_NS;
    server->credit_at_ns = clock_now_ns();
    used_ns = thread_cpu_ns();
    while (tell_events(server)) {
        unsigned clients = prepare(server, polled);
        int tick;

        charge(server, &used_ns); /* for all of a round: looking at many costs as much as answering them */
        tick = qmp_control_tick(server->control);
        used_ns = thread_cpu_ns(); /* no client's doing: else what they are due could go into that */
        if (poll(polled, server->credit_ns < 0 ? 1 : POLLED_FIRST + clients, wait_ms(server, clients, tick)) < 0)
            continue;
        charge(server, &used_ns);
        if (server->credit_ns >= 0) {
            hear(server, polled + POLLED_FIRST, clients);
            if (polled[1].revents)
                meet(server);
        }
    }
    farewell(server);
    return NULL;
}

int qmp_server_start(struct qmp_server *server, struct qmp_control *control, struct ferry_error *err)
{
    int fd = qmp_door_connected(server->door);
    int ret;

    server->control = control;
    if (fd >= 0) {
        server->links[0] = qmp_link_new(fd);
        if (!server->links[0])
            return ferry_error_set(err, -ENOMEM, "no memory for QMP");
        server->count = 1;
        json_t *greeting = qmp_commands_greeting();

        qmp_link_put(server->links[0], greeting);
        json_decref(greeting);
    }
    ret = -pthread_create(&server->thread, NULL, serve, server);
    server->runs = ret == 0;
    if (server->runs)
        pthread_setname_np(server->thread, "qmp"); /* so that its share can be looked at */
    return ret < 0 ? ferry_error_set(err, ret, "no thread for QMP: %s", strerror(-ret)) : 0;
}

void qmp_server_stop(struct qmp_server *server)
{
    if (!server || !server->runs)
        return;
    pthread_mutex_lock(&server->lock);
    server->stop = true;
    pthread_mutex_unlock(&server->lock);
    eventfd_write(server->wake, 1);
    pthread_join(server->thread, NULL);
    server->runs = false;
}

void qmp_server_free(struct qmp_server *server)
{
    if (!server)
        return;
    qmp_server_stop(server);
    while (server->count > 0)
        drop(server, server->count - 1);
    qmp_door_free(server->door);
    json_decref(server->events);
    if (server->wake >= 0)
        close(server->wake);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
