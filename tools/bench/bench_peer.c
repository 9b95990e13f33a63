/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_peer.c - the other end of a benchmark, as the bench sees it */
#include "bench_peer.h"

#include "bench_agent.h"
#include "bench_ceiling.h"
#include "clock.h"
#include "socket.h"
#include "tcp.h"
#include "unix.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONNECT_NS    (5 * NS_PER_SEC)
#define ANSWER_NS     (20 * NS_PER_SEC)
#define BUSY_NS       (15 * NS_PER_SEC)
#define ADDRESSES_MAX 8

void bench_peer_init(struct bench_peer *peer)
{
    *peer = (struct bench_peer){ .fd = -1 };
}

static int connect_tcp(const struct uri *uri, struct ferry_error *err)
{
    struct address list[ADDRESSES_MAX];
    int count = tcp_resolve(uri, list, ADDRESSES_MAX, err), fd = -ENOENT;

    if (count < 0)
        return count;
    for (int i = 0; fd < 0 && i < count; i++)
        fd = socket_connect(&list[i], clock_now_ns() + CONNECT_NS);
    return fd;
}

static int connect_to(const char *text, struct ferry_error *err)
{
    struct address address;
    struct uri uri;
    int fd = uri_parse(text, &uri, err);

    if (fd < 0)
        return fd;
    if (uri.kind == URI_TCP) {
        fd = connect_tcp(&uri, err);
    } else if (uri.kind == URI_UNIX) {
        unix_address(&uri, &address);
        fd = socket_connect(&address, clock_now_ns() + CONNECT_NS);
    } else {
        fd = ferry_error_set(err, -EINVAL, "%s: a bench is served over tcp: or unix:", text);
    }
    uri_clear(&uri);
    if (fd < 0 && err->errnum == 0)
        ferry_error_set(err, fd, "%s: %s; is `ferry bench --serve` running there?", text, strerror(-fd));
    return fd;
}

static int start_agent(struct bench_peer *peer, struct ferry_error *err)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return ferry_error_set(err, -errno, "no pair of sockets: %s", strerror(errno));
    peer->child = fork();
    if (peer->child == 0) {
        close(pair[0]);
        setpgid(0, 0); /* the terminal's ^C is the bench's */
        agent_serve(pair[1], "tcp:127.0.0.1:0");
        _exit(0);
    }
    close(pair[1]);
    peer->fd = pair[0];
    if (peer->child > 0)
        return 0;
    peer->child = 0;
    return ferry_error_set(err, -errno, "no process for the other end: %s", strerror(errno));
}

static int open_once(struct bench_peer *peer, const char *uri, struct ferry_error *err)
{
    int ret = 0;

    err->errnum = 0;
    if (uri)
        ret = peer->fd = connect_to(uri, err);
    else
        ret = start_agent(peer, err);
    if (ret >= 0 && !bench_peer_wait(peer, "hello", err))
        ret = err->errnum;
    if (ret >= 0) {
        peer->hello = json_incref(peer->answer);
        if (json_integer_value(json_object_get(peer->hello, "agent")) != AGENT_VERSION)
            ret = ferry_error_set(err, -EPROTO, "%s speaks another version than this bench: install the same there",
                                  uri ? uri : "the other end");
    }
    if (ret < 0) {
        peer->fd = peer->fd < 0 ? -1 : peer->fd;
        bench_peer_close(peer);
    }
    return ret < 0 ? ret : 0;
}

int bench_peer_open(struct bench_peer *peer, const char *uri, struct ferry_error *err)
{
    int64_t deadline_ns = clock_now_ns() + BUSY_NS;
    int ret = open_once(peer, uri, err);

    /* A bench that was killed may still be served for a moment. */
    while (ret == -EREMOTEIO && clock_now_ns() < deadline_ns) {
        clock_sleep_until_ns(clock_now_ns() + NS_PER_SEC / 2);
        ret = open_once(peer, uri, err);
    }
    return ret;
}

int bench_peer_send(struct bench_peer *peer, json_t *request, struct ferry_error *err)
{
    int ret = json_lines_send(peer->fd, request);

    return ret < 0 ? ferry_error_set(err, ret, "the other end of the bench is gone: %s", strerror(-ret)) : 0;
}

static void on_answer(void *opaque, json_t *object)
{
    struct bench_peer *peer = opaque;
    const char *event = json_string_value(json_object_get(object, "event"));
    const char *text = json_string_value(json_object_get(object, "text"));

    if (event && !strcmp(event, "refused")) {
        free(peer->refusal);
        peer->refusal = strdup(text ? text : "refused");
    }
    json_decref(peer->answer);
    peer->answer = json_incref(object);
}

/* Has the answer come, or a refusal? */
static int judge(const struct bench_peer *peer, const char *event, struct ferry_error *err)
{
    const char *came = json_string_value(json_object_get(peer->answer, "event"));

    if (peer->refusal)
        return ferry_error_set(err, -EREMOTEIO, "the other end: %s", peer->refusal);
    return came && !strcmp(came, event) ? 1 : 0;
}

const json_t *bench_peer_wait(struct bench_peer *peer, const char *event, struct ferry_error *err)
{
    int64_t deadline_ns = clock_now_ns() + ANSWER_NS;
    int ret = 0;

    json_decref(peer->answer);
    peer->answer = NULL;
    free(peer->refusal);
    peer->refusal = NULL;
    while (ret == 0) {
        struct pollfd fd = { .fd = peer->fd, .events = POLLIN };
        int64_t left_ns = deadline_ns - clock_now_ns();
        ssize_t got = -EAGAIN;

        if (left_ns <= 0)
            ret = ferry_error_set(err, -ETIMEDOUT,
                                  "the other end of the bench says nothing: is it `ferry bench "
                                  "--serve`?");
        else if (poll(&fd, 1, (int)(left_ns / NS_PER_MS) + 1) > 0)
            got = json_lines_read(&peer->lines, peer->fd, on_answer, peer);
        if (got <= 0 && got != -EAGAIN)
            ret = ferry_error_set(err, -EPIPE, "the other end of the bench has hung up");
        else if (ret == 0)
            ret = judge(peer, event, err);
    }
    return ret > 0 ? peer->answer : NULL;
}

const json_t *bench_peer_ask(struct bench_peer *peer, json_t *request, const char *event, struct ferry_error *err)
{
    return bench_peer_send(peer, request, err) < 0 ? NULL : bench_peer_wait(peer, event, err);
}

int bench_peer_ceiling(struct bench_peer *peer, const char *via, unsigned streams, int64_t duration_ns, double *rate,
                       struct ferry_error *err)
{
    const json_t *answer = bench_peer_ask(peer,
                                          json_pack("{s:s, s:i, s:I, s:s}", "do", "ceiling", "streams", (int)streams,
                                                    "duration-ns", (json_int_t)duration_ns, "via", via),
                                          "listening", err);
    const char *address = json_string_value(json_object_get(answer, "address"));
    char uri[256];

    if (!answer)
        return err->errnum;
    snprintf(uri, sizeof(uri), "%s", address ? address : "");
    if (ceiling_push(uri, streams, duration_ns, err) < 0)
        return err->errnum;
    answer = bench_peer_wait(peer, "ceiling", err);
    *rate = json_real_value(json_object_get(answer, "bytes-per-second"));
    return answer ? 0 : err->errnum;
}

void bench_peer_close(struct bench_peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    if (peer->child > 0)
        waitpid(peer->child, NULL, 0); /* it ends by the hang-up, and takes its guest along */
    json_decref(peer->hello);
    json_decref(peer->answer);
    free(peer->refusal);
    json_lines_clear(&peer->lines);
    bench_peer_init(peer);
}
