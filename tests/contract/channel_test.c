/* SPDX-License-Identifier: BSD-3-Clause */
/* channel_test.c - every kind of channel keeps the contract */
#include "channel_contract.h"
#include "tls_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static int say(const struct ferry_error *err)
{
    fprintf(stderr, "%s\n", ferry_error_text(err));
    return -1;
}

static int connected(const char *uri, struct ferry_channel *pair[2])
{
    struct ferry_error err = { 0 };
    struct ferry_listener *listener = ferry_listener_open(uri, &err);

    if (!listener)
        return say(&err);
    pair[0] = ferry_channel_connect(ferry_listener_address(listener), 2000, &err);
    if (pair[0])
        pair[1] = ferry_listener_accept(listener, 2000, &err);
    ferry_listener_free(listener);
    return pair[0] && pair[1] ? 0 : say(&err);
}

static int make_tcp4(struct ferry_channel *pair[2])
{
    return connected("tcp:127.0.0.1:0", pair);
}

static int make_tcp6(struct ferry_channel *pair[2])
{
    return connected("tcp:[::1]:0", pair);
}

static int make_unix(struct ferry_channel *pair[2])
{
    char uri[160];

    snprintf(uri, sizeof(uri), "unix:%s", path_of("socket"));
    return connected(uri, pair);
}

static int make_abstract(struct ferry_channel *pair[2])
{
    char uri[160];

    snprintf(uri, sizeof(uri), "unix:@ferry-contract-%d", (int)getpid());
    return connected(uri, pair);
}

static int make_vsock(struct ferry_channel *pair[2])
{
    return connected("vsock:1:0", pair);
}

static int make_socketpair(struct ferry_channel *pair[2])
{
    struct ferry_error err = { 0 };

    return ferry_channel_pair(pair, &err) < 0 ? say(&err) : 0;
}

static int from_fds(int reader, int writer, struct ferry_channel *pair[2])
{
    struct ferry_error err = { 0 };

    pair[0] = ferry_channel_from_fd(writer, NULL, &err);
    pair[1] = ferry_channel_from_fd(reader, NULL, &err);
    return pair[0] && pair[1] ? 0 : say(&err);
}

static int make_pipe(struct ferry_channel *pair[2])
{
    int ends[2];

    return pipe(ends) < 0 ? -errno : from_fds(ends[0], ends[1], pair);
}

/* One end of a socket pair travels over another channel first. */
static int make_passed(struct ferry_channel *pair[2])
{
    struct ferry_channel *carrier[2];
    struct ferry_error err = { 0 };
    int ends[2], passed = -1;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    if (ferry_channel_pair(carrier, &err) < 0)
        return say(&err);
    if (ferry_channel_send_fd(carrier[0], ends[1], &err) == 0)
        passed = ferry_channel_receive_fd(carrier[1], &err);
    ferry_channel_unref(carrier[0]);
    ferry_channel_unref(carrier[1]);
    close(ends[1]);
    return passed < 0 ? say(&err) : from_fds(passed, ends[0], pair);
}

static int make_echo(struct ferry_channel *pair[2])
{
    struct ferry_error err = { 0 };

    pair[0] = ferry_channel_connect("exec:exec cat", 0, &err);
    if (!pair[0])
        return say(&err);
    pair[1] = ferry_channel_ref(pair[0]);
    return 0;
}

/* Two children, each one way, with a fifo between them. */
static int make_one_way(struct ferry_channel *pair[2])
{
    char path[128];
    const char *const to[] = { "/bin/sh", "-c", "exec cat >\"$0\"", path, NULL };
    const char *const from[] = { "cat", path, NULL };
    struct ferry_error err = { 0 };

    snprintf(path, sizeof(path), "%s", path_of("fifo"));
    if (mkfifo(path, 0600) < 0 && errno != EEXIST)
        return -errno;
    pair[0] = ferry_channel_exec(to, FERRY_WRITE, &err);
    pair[1] = ferry_channel_exec(from, FERRY_READ, &err);
    return pair[0] && pair[1] ? 0 : say(&err);
}

/* The main connection of a session, shaken hands over @inner. */
static int encrypted(int (*make)(struct ferry_channel *pair[2]), const struct tls_terms *terms,
                     struct ferry_channel *pair[2])
{
    struct tls_credentials *client = fixture_credentials(TLS_CLIENT, terms);
    struct tls_credentials *server = fixture_credentials(TLS_SERVER, terms);
    struct ferry_channel *inner[2] = { NULL, NULL };
    struct fixture_pair ends = { 0 };

    if (make(inner) == 0)
        fixture_shake(&ends, inner, client, FIXTURE_HOST, server);
    tls_credentials_unref(client);
    tls_credentials_unref(server);
    pair[0] = ends.client;
    pair[1] = ends.server;
    return pair[0] && pair[1] ? 0 : say(pair[0] ? &ends.server_error : &ends.client_error);
}

static int make_tls_socketpair(struct ferry_channel *pair[2])
{
    return encrypted(make_socketpair, &(struct tls_terms){ .folder = folder }, pair);
}

static int make_tls_tcp(struct ferry_channel *pair[2])
{
    return encrypted(make_tcp4, &(struct tls_terms){ .psk = folder, .update_bytes = 1 << 20 }, pair);
}

/* TLS 1.2: what TLS 1.3 has no suite for. */
static int make_tls_old(struct ferry_channel *pair[2])
{
    struct tls_terms terms = { .psk = folder, .least = TLS_LEAST_1_2, .ciphers = "aes-256-gcm" };

    return encrypted(make_socketpair, &terms, pair);
}

static int make_file(struct ferry_channel *pair[2])
{
    struct ferry_error err = { 0 };

    pair[0] = ferry_channel_open_file(path_of("file"), FERRY_WRITE, 4096, false, &err);
    return pair[0] ? 0 : say(&err);
}

static struct ferry_channel *read_file(struct ferry_channel *writer)
{
    return ferry_channel_open_file(path_of("file"), FERRY_READ, 4096, false, NULL);
}

static int make_direct(struct ferry_channel *pair[2])
{
    struct ferry_error err = { 0 };

    pair[0] = ferry_channel_open_file(path_of("file"), FERRY_WRITE, 0, true, &err);
    return pair[0] ? 0 : say(&err);
}

static struct ferry_channel *read_direct(struct ferry_channel *writer)
{
    return ferry_channel_open_file(path_of("file"), FERRY_READ, 0, true, NULL);
}

static int make_file_fd(struct ferry_channel *pair[2])
{
    int fd = open(path_of("file"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    pair[0] = ferry_channel_from_fd(fd, NULL, NULL);
    return pair[0] ? 0 : -errno;
}

static struct ferry_channel *read_file_fd(struct ferry_channel *writer)
{
    return ferry_channel_from_fd(open(path_of("file"), O_RDONLY), NULL, NULL);
}

static int make_buffer(struct ferry_channel *pair[2])
{
    pair[0] = ferry_channel_buffer_writer(64 << 20, NULL);
    return pair[0] ? 0 : -ENOMEM;
}

static struct ferry_channel *read_buffer(struct ferry_channel *writer)
{
    size_t bytes;
    const void *data = ferry_channel_buffer_data(writer, &bytes);

    return ferry_channel_buffer_reader(data, bytes, NULL);
}

#define SOCKET      (CHANNEL_LIVE | CHANNEL_DUPLEX)
#define UNIX_SOCKET (SOCKET | CHANNEL_PASSES_FDS)

static const struct channel_kind kinds[] = {
    { "tcp v4", make_tcp4, NULL, SOCKET },
    { "unix", make_unix, NULL, UNIX_SOCKET },
    { "unix abstract", make_abstract, NULL, UNIX_SOCKET },
    { "socketpair", make_socketpair, NULL, UNIX_SOCKET },
    { "fd passed", make_passed, NULL, UNIX_SOCKET },
    { "tls over socketpair", make_tls_socketpair, NULL, SOCKET },
    { "tls over tcp", make_tls_tcp, NULL, SOCKET },
    { "tls 1.2", make_tls_old, NULL, SOCKET },
    { "pipe", make_pipe, NULL, CHANNEL_LIVE },
    { "exec cat", make_echo, NULL, CHANNEL_LIVE },
    { "exec one way", make_one_way, NULL, CHANNEL_LIVE },
    { "file", make_file, read_file, CHANNEL_POSITIONS },
    { "file direct", make_direct, read_direct, CHANNEL_POSITIONS },
    { "file fd", make_file_fd, read_file_fd, CHANNEL_POSITIONS },
    { "buffer", make_buffer, read_buffer, 0 },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Not every host has these; what is left out is said. */
static const struct channel_kind host_kinds[] = {
    { "tcp v6", make_tcp6, NULL, SOCKET },
    { "vsock", make_vsock, NULL, SOCKET },
};

static bool host_has(const struct channel_kind *kind)
{
    struct ferry_channel *pair[2] = { NULL, NULL };
    bool has = kind->make(pair) == 0;

    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
    if (!has)
        printf("%s: left out, this host cannot loop it back\n", kind->name);
    return has;
}

int main(void)
{
    struct channel_kind all[KINDS + 2];
    size_t count = KINDS;
    int ret;

    snprintf(folder, sizeof(folder), "/tmp/ferry-contract-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    fixture_fill(folder);
    memcpy(all, kinds, sizeof(kinds));
    for (size_t i = 0; i < 2; i++)
        if (host_has(&host_kinds[i]))
            all[count++] = host_kinds[i];
    ret = channel_contract_run("channel", all, (int)count);
    fixture_remove(folder);
    return ret;
}
