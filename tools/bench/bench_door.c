/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_door.c - an agent that is reached over the network: one bench after another
 *
 *      listener -- accept --> a process of its own per bench: agent_serve()
 *                             the next one meanwhile: "busy"
 *
 * Guests come to the address that the bench itself has reached.
 */
#include "bench_agent.h"

#include "json_lines.h"
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* "tcp:ADDRESS:0" of this end of @fd; "tcp:127.0.0.1:0" where it has none. */
static void address_of(int fd, char *to, size_t room)
{
    struct sockaddr_storage storage = { 0 };
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&storage;
    struct sockaddr_in *in = (struct sockaddr_in *)&storage;
    socklen_t bytes = sizeof(storage);
    char text[INET6_ADDRSTRLEN] = "127.0.0.1";

    if (getsockname(fd, (struct sockaddr *)&storage, &bytes) < 0)
        storage.ss_family = AF_UNSPEC;
    if (storage.ss_family == AF_INET)
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
    else if (storage.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
        inet_ntop(AF_INET, &in6->sin6_addr.s6_addr32[3], text, sizeof(text));
    else if (storage.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
    snprintf(to, room, strchr(text, ':') ? "tcp:[%s]:0" : "tcp:%s:0", text);
}

/* A host that is gone without a word is noticed within a minute. */
static void keep_alive(int fd)
{
    int on = 1, idle = 20, every = 10, times = 4;

    (void)!setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)!setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)!setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
    (void)!setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
}

/* Who is served now. */
struct served {
    pid_t pid; /* 0: nobody */
    int fd;    /* to hang up */
};

static void serve(const struct ferry_listener *listener, int fd)
{
    char listen[128];

    for (int i = 0; i < listener->count; i++)
        close(listener->sockets[i]);
    keep_alive(fd);
    address_of(fd, listen, sizeof(listen));
    agent_serve(fd, listen);
    _exit(0);
}

static void forget(struct served *served)
{
    close(served->fd);
    *served = (struct served){ 0 };
}

static void take(const struct ferry_listener *listener, int listening, struct served *served)
{
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (served->pid > 0 && waitpid(served->pid, NULL, WNOHANG) == served->pid)
        forget(served);
    if (served->pid > 0) {
        json_lines_send(fd, json_pack("{s:s, s:s}", "event", "refused", "text", "busy with another bench"));
        close(fd);
        return;
    }
    served->fd = fd;
    served->pid = fork();
    if (served->pid == 0)
        serve(listener, fd);
    if (served->pid < 0)
        forget(served);
}

static void hang_up(struct served *served)
{
    if (served->pid <= 0)
        return;
    shutdown(served->fd, SHUT_RDWR);
    waitpid(served->pid, NULL, 0);
    forget(served);
}

int agent_listen(struct ferry_listener *listener, int stop_fd, struct ferry_error *err)
{
    struct pollfd fds[LISTENER_MAX_SOCKETS + 1];
    struct served served = { 0 };

    if (listener->count == 0)
        return ferry_error_set(err, -EINVAL, "%s: only where many can connect", ferry_listener_address(listener));
    for (int i = 0; i < listener->count; i++)
        fds[i] = (struct pollfd){ .fd = listener->sockets[i], .events = POLLIN };
    fds[listener->count] = (struct pollfd){ .fd = stop_fd, .events = POLLIN };
    while (!fds[listener->count].revents) {
        if (poll(fds, (nfds_t)listener->count + 1, -1) < 0)
            continue;
        for (int i = 0; i < listener->count; i++)
            if (fds[i].revents)
                take(listener, listener->sockets[i], &served);
    }
    hang_up(&served);
    return 0;
}
