/* SPDX-License-Identifier: BSD-3-Clause */
/* metrics_http.c - figures for whoever asks by HTTP: GET /metrics
 *
 * libmicrohttpd speaks HTTP; one thread of it serves a few connections, and drops who is slow or says too much.
 */
#include "metrics_http.h"

#include <errno.h>

#ifdef HAVE_MICROHTTPD

#include "exposed.h"
#include "listener.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECTIONS_MAX  16
#define PATIENCE_SECONDS 10
#define CONNECTION_BYTES (32 * 1024)

struct metrics_http {
    struct metrics *metrics;
    struct ferry_listener *listener; /* keeps the address, and the name of a unix socket */
    struct MHD_Daemon *daemons[LISTENER_MAX_SOCKETS];
};

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
static struct MHD_Daemon *start(struct metrics_http *http, int listening)
{
    int fd = fcntl(listening, F_DUPFD_CLOEXEC, 0);
    struct MHD_Daemon *daemon;

    if (fd < 0)
        return NULL;
    daemon = MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD, 0, NULL, NULL, answer, http, MHD_OPTION_LISTEN_SOCKET, fd,
                              MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                              (unsigned)PATIENCE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
                              MHD_OPTION_END);
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
        http->daemons[i] = start(http, http->listener->sockets[i]);
        if (!http->daemons[i])
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
        if (http->daemons[i])
            MHD_stop_daemon(http->daemons[i]);
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
