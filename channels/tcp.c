/* SPDX-License-Identifier: BSD-3-Clause */
/* tcp.c - names and addresses of TCP
 *
 * A name may stand for several addresses.  Connecting tries them in turn, so the name service is not asked for only
 * those families that this host has (AI_ADDRCONFIG drops ::1 and 127.0.0.1 on a host with nothing but loopback): an
 * address of a family that is missing fails at once and costs nothing.  Listening takes them all.
 */
#include "tcp.h"

#include "channel.h"
#include "socket.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How often to look for a port that is free on all addresses. */
#define PORT_TRIES 16

static int name_error(const struct uri *uri, int code, struct ferry_error *err)
{
    char text[128];

    if (code == EAI_SYSTEM)
        return channel_errno(uri->text, -errno, err);
    if (code == EAI_MEMORY)
        return channel_errno(uri->text, -ENOMEM, err);
    snprintf(text, sizeof(text), "%s", gai_strerror(code));
    text[0] = (char)tolower((unsigned char)text[0]);
    return ferry_error_set(err, -EADDRNOTAVAIL, "%s: %s", uri->text, text);
}

static bool is_listed(const struct address *list, int count, const struct addrinfo *info)
{
    for (int i = 0; i < count; i++)
        if (list[i].bytes == info->ai_addrlen && !memcmp(&list[i].storage, info->ai_addr, info->ai_addrlen))
            return true;
    return false;
}

int tcp_resolve(const struct uri *uri, struct address *list, int room, struct ferry_error *err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    char port[16];
    int count = 0, code;

    hints.ai_family = !uri->ipv6 ? AF_INET : !uri->ipv4 ? AF_INET6 : AF_UNSPEC;
    snprintf(port, sizeof(port), "%u", uri->port);
    code = getaddrinfo(uri->name[0] ? uri->name : NULL, port, &hints, &found);
    if (code)
        return name_error(uri, code, err);
    for (const struct addrinfo *info = found; info && count < room; info = info->ai_next) {
        if (info->ai_addrlen > sizeof(list[count].storage) || is_listed(list, count, info))
            continue;
        memset(&list[count], 0, sizeof(list[count]));
        memcpy(&list[count].storage, info->ai_addr, info->ai_addrlen);
        list[count++].bytes = info->ai_addrlen;
    }
    freeaddrinfo(found);
    return count ? count : name_error(uri, EAI_NONAME, err);
}

static void set_port(struct address *address, in_port_t port)
{
    if (address->storage.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&address->storage)->sin6_port = port;
    else
        ((struct sockaddr_in *)&address->storage)->sin_port = port;
}

static in_port_t port_of(int fd)
{
    struct address self;

    if (address_of_self(fd, &self) < 0)
        return 0;
    return self.storage.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&self.storage)->sin6_port
                                              : ((struct sockaddr_in *)&self.storage)->sin_port;
}

/* A family that this host does not have is no reason not to listen on the other. */
static bool is_absent(int errnum)
{
    return errnum == -EADDRNOTAVAIL || errnum == -EAFNOSUPPORT;
}

/* Listens on all of @list; the first that takes a free port decides it for the others. */
static int listen_all(struct address *list, int addresses, bool dual_stack, int *sockets)
{
    int count = 0, absent = 0, ret;

    for (int i = 0; i < addresses; i++) {
        if (count > 0)
            set_port(&list[i], port_of(sockets[0]));
        ret = socket_listen(&list[i], dual_stack);
        if (ret >= 0) {
            sockets[count++] = ret;
        } else if (is_absent(ret)) {
            absent = ret;
        } else {
            while (count > 0)
                close(sockets[--count]);
            return ret;
        }
    }
    return count ? count : absent;
}

static int listen_anywhere(const struct uri *uri, int *sockets)
{
    struct address any = { .bytes = sizeof(struct sockaddr_in6) };
    int ret = -EAFNOSUPPORT;

    if (uri->ipv6) {
        any.storage.ss_family = AF_INET6;
        set_port(&any, htons((uint16_t)uri->port));
        ret = listen_all(&any, 1, uri->ipv4, sockets);
    }
    if (is_absent(ret) && uri->ipv4) {
        memset(&any, 0, sizeof(any));
        any.bytes = sizeof(struct sockaddr_in);
        any.storage.ss_family = AF_INET;
        set_port(&any, htons((uint16_t)uri->port));
        ret = listen_all(&any, 1, false, sockets);
    }
    return ret;
}

int tcp_listen(const struct uri *uri, int *sockets, int room, struct ferry_error *err)
{
    struct address list[8];
    int count, ret = -EADDRINUSE;

    if (!uri->name[0]) {
        ret = listen_anywhere(uri, sockets);
        return ret < 0 ? channel_errno(uri->text, ret, err) : ret;
    }
    count = tcp_resolve(uri, list, room < 8 ? room : 8, err);
    if (count < 0)
        return count;
    for (int i = 0; ret == -EADDRINUSE && i < (uri->port ? 1 : PORT_TRIES); i++) {
        for (int a = 0; a < count; a++)
            set_port(&list[a], htons((uint16_t)uri->port));
        ret = listen_all(list, count, false, sockets);
    }
    return ret < 0 ? channel_errno(uri->text, ret, err) : ret;
}
