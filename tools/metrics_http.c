/* SPDX-License-Identifier: BSD-3-Clause */
/* metrics_http.c - figures for whoever asks by HTTP: GET /metrics
 *
 * libmicrohttpd speaks HTTP; one thread of it serves a few connections, and drops who is silent or says too much.  Who
 * comes when all places are taken gets the place of the one that has been without an answer for the longest time:
 * however many trickle their requests, they keep nobody out.
 */
#include "metrics_http.h"

#include <errno.h>

#ifdef HAVE_MICROHTTPD

#include "clock.h"
#include "exposed.h"
#include "listener.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PLACES           16
#define CONNECTIONS_MAX  (2 * PLACES) /* of those, half may be given up and not yet closed */
#define PATIENCE_SECONDS 10
#define CONNECTION_BYTES (32 * 1024)

struct visitor {
    bool is_here, given_up;
    int fd;
    int64_t since_ns; /* when it came, or had its last answer */
};

/* One listening socket; its visitors are its daemon's thread's own. */
struct counter {
    struct MHD_Daemon *daemon;
    struct visitor visitor[CONNECTIONS_MAX];
};

struct metrics_http {
    struct metrics *metrics;
    struct ferry_listener *listener; /* keeps the address, and the name of a unix socket */
    struct counter counter[LISTENER_MAX_SOCKETS];
};

/* One that waits, or trickles its request, makes place: its socket ends, which the daemon will see. */
static void make_place(struct counter *counter)
{
    struct visitor *oldest = NULL;
    unsigned count = 0;

    for (struct visitor *visitor = counter->visitor; visitor < counter->visitor + CONNECTIONS_MAX; visitor++) {
        if (!visitor->is_here || visitor->given_up)
            continue;
        count++;
        if (!oldest || visitor->since_ns < oldest->since_ns)
            oldest = visitor;
    }
    if (count < PLACES)
        return;
    oldest->given_up = true;
    shutdown(oldest->fd, SHUT_RDWR);
}

static void come(struct counter *counter, struct MHD_Connection *connection, void **context)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    make_place(counter);
    for (unsigned i = 0; info && i < CONNECTIONS_MAX; i++) {
        struct visitor *visitor = &counter->visitor[i];

        if (visitor->is_here)
            continue;
        *visitor = (struct visitor){ .is_here = true, .fd = info->connect_fd, .since_ns = clock_now_ns() };
        *context = visitor;
        return;
    }
}

static void come_or_go(void *opaque, struct MHD_Connection *connection, void **context,
                       enum MHD_ConnectionNotificationCode what)
{
    struct visitor *visitor = *context;

    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        come(opaque, connection, context);
    else if (visitor)
        visitor->is_here = false;
}

static void answered(void *opaque, struct MHD_Connection *connection, void **context,
                     enum MHD_RequestTerminationCode how)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct visitor *visitor = info ? info->socket_context : NULL;

    if (visitor && how == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        visitor->since_ns = clock_now_ns();
}

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status, char *text, bool is_ours)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, is_ours ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    enum MHD_Result ret;

    if (!response) {
        if (is_ours)
            free(text);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                            is_ours ? "text/plain; version=0.0.4; charset=utf-8" : "text/plain; charset=utf-8");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    ret = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return ret;
}

static enum MHD_Result answer(void *opaque, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_bytes, void **context)
{
    static char not_found[] = "try /metrics\n", not_allowed[] = "only GET and HEAD\n", shortage[] = "no memory\n";
    const struct metrics_http *http = opaque;
    char *text;

    if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
        return respond(connection, MHD_HTTP_METHOD_NOT_ALLOWED, not_allowed, false);
    if (strcmp(url, "/metrics"))
        return respond(connection, MHD_HTTP_NOT_FOUND, not_found, false);
    text = metrics_text(http->metrics);
    if (!text)
        return respond(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, shortage, false);
    return respond(connection, MHD_HTTP_OK, text, true);
}

/* The daemon closes its socket, so it gets one of its own. */
static struct MHD_Daemon *start(struct metrics_http *http, struct counter *counter, int listening)
{
    int fd = fcntl(listening, F_DUPFD_CLOEXEC, 0);
    struct MHD_Daemon *daemon;

    if (fd < 0)
        return NULL;
    daemon = MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD, 0, NULL, NULL, answer, http, MHD_OPTION_LISTEN_SOCKET, fd,
                              MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                              (unsigned)PATIENCE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
                              MHD_OPTION_NOTIFY_CONNECTION, come_or_go, counter, MHD_OPTION_NOTIFY_COMPLETED, answered,
                              counter, MHD_OPTION_END);
    if (!daemon)
        close(fd);
    return daemon;
}

static int open_all(struct metrics_http *http, const char *uri, bool is_open, struct ferry_error *err)
{
    http->listener = ferry_listener_open(uri, err);
    if (!http->listener)
        return err->errnum;
    if (!listener_gives_many(http->listener))
        return ferry_error_set(err, -EINVAL, "%s: nobody can connect there; tcp: or unix: is needed", uri);
    if (!is_open && exposed_refuse(http->listener, err) < 0) {
        ferry_error_hint(err, "listen on 127.0.0.1, or give --insecure if everyone who can connect may read figures");
        return -EACCES;
    }
    for (int i = 0; i < http->listener->count; i++) {
        http->counter[i].daemon = start(http, &http->counter[i], http->listener->sockets[i]);
        if (!http->counter[i].daemon)
            return ferry_error_set(err, -EAGAIN, "%s: no thread or descriptor to answer with", uri);
    }
    return 0;
}

struct metrics_http *metrics_http_open(const char *uri, bool is_open, struct metrics *metrics, struct ferry_error *err)
{
    struct metrics_http *http = calloc(1, sizeof(*http));

    if (!http) {
        ferry_error_set(err, -ENOMEM, "%s: no memory", uri);
        return NULL;
    }
    http->metrics = metrics;
    if (open_all(http, uri, is_open, err) == 0)
        return http;
    metrics_http_close(http);
    return NULL;
}

const char *metrics_http_address(const struct metrics_http *http)
{
    return ferry_listener_address(http->listener);
}

void metrics_http_close(struct metrics_http *http)
{
    if (!http)
        return;
    for (int i = 0; i < LISTENER_MAX_SOCKETS; i++)
        if (http->counter[i].daemon)
            MHD_stop_daemon(http->counter[i].daemon);
    ferry_listener_free(http->listener);
    free(http);
}

#else

struct metrics_http *metrics_http_open(const char *uri, bool is_open, struct metrics *metrics, struct ferry_error *err)
{
    ferry_error_set(err, -EINVAL, "%s: this ferry was built without libmicrohttpd", uri);
    return NULL;
}

const char *metrics_http_address(const struct metrics_http *http)
{
    return "";
}

void metrics_http_close(struct metrics_http *http)
{
}

#endif
