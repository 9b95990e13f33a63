/* SPDX-License-Identifier: BSD-3-Clause */
/* short_queue.c - a socket whose bytes wait nowhere for long: others on the same wire are urgent */
#include "short_queue.h"

#include "clock.h"
#include "log.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_NS       (5 * NS_PER_MS)
#define LOOKS_SLOW    8   /* so many more slow ones than others, and it is the wire */
#define QUEUE_US      130 /* of the wire's time, in one piece ... */
#define STARVED_US    520 /* ... and at most, while nobody comes to fill the queue in time */
#define MIN_RTT_MAX   500 /* us: beyond it the way is what takes time, and small buffers cost throughput */
#define RATE_MAX      (UINT64_C(400) * 1000000) /* faster ones are a processor's matter */
#define PIECE_MIN     (8u << 10)
#define SNDBUF_AS_WAS (192 << 10) /* what net.core.wmem_max allows everywhere; there is no way back to tuning */
#define ROOM_US       550         /* of what is acknowledged, on a fast wire */
#define ROOM_MIN      (96u << 10)

size_t short_queue_for(uint64_t rate, uint64_t min_rtt_us, unsigned queue_us)
{
    uint64_t piece = rate * (min_rtt_us / 2 + queue_us) / 1000000;

    if (rate == 0 || rate > RATE_MAX || min_rtt_us > MIN_RTT_MAX)
        return 0;
    return piece > PIECE_MIN ? (size_t)piece : PIECE_MIN;
}

size_t short_queue_room(uint64_t rate, uint64_t min_rtt_us, size_t most)
{
    /* The kernel doubles what it is asked for. */
    uint64_t room = rate > UINT64_MAX / (MIN_RTT_MAX + ROOM_US) ? UINT64_MAX : rate * (min_rtt_us + ROOM_US) / 2000000;

    /* A little less than it should be is well; a fraction would cost throughput. */
    if (rate == 0 || min_rtt_us > MIN_RTT_MAX || room / 2 > most)
        return 0;
    if (room > most)
        return most;
    return room > ROOM_MIN ? (size_t)room : ROOM_MIN;
}

static void bound_room(struct short_queue *queue, size_t room)
{
    size_t change = room > queue->room ? room - queue->room : queue->room - room;
    int bytes = (int)room;

    if (room == 0 || change <= queue->room / 8)
        return;
    if (setsockopt(queue->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) == 0)
        queue->room = room;
    log_debug(LOG_CHANNEL, "a fast wire, %llu bytes a second: room for %zu", (unsigned long long)queue->rate,
              queue->room);
}

static void bound(struct short_queue *queue, size_t piece)
{
    /* The kernel doubles it: room for two, and what it keeps beside them. */
    int bytes = (int)(piece ? piece : SNDBUF_AS_WAS);
    size_t change = piece > queue->piece ? piece - queue->piece : queue->piece - piece;

    if (change <= queue->piece / 8)
        return;
    queue->piece = setsockopt(queue->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) == 0 ? piece : 0;
    log_debug(LOG_CHANNEL, "a wire of %llu bytes a second: pieces of %zu", (unsigned long long)queue->rate,
              queue->piece);
}

/* TCP's own rate is of one round trip: on a fast wire it is high in spite of a processor that others use, too. */
static bool is_slow(struct short_queue *queue, uint64_t delivery_rate)
{
    if (delivery_rate < RATE_MAX)
        queue->slow_looks++;
    else
        queue->slow_looks -= queue->slow_looks > 1 ? 2 : queue->slow_looks;
    return queue->slow_looks >= LOOKS_SLOW;
}

/* The most that any time between two looks has carried, forgotten slowly: a sender that was kept from its work, by
 * others on its processor, says nothing about the wire.  Once little waits, TCP's own rate is that of a token
 * bucket's bursts. */
static void learn(struct short_queue *queue, uint64_t acked, int64_t now_ns)
{
    uint64_t took_ns = (uint64_t)(now_ns - queue->looked_ns);
    uint64_t rate = (acked - queue->acked) * NS_PER_MS / (took_ns / 1000 + 1);

    if (queue->looks++ > 0)
        queue->rate = rate > queue->rate ? rate : queue->rate - queue->rate / 128;
    if (rate < queue->rate / 4 * 3)
        queue->queue_us += queue->queue_us < STARVED_US ? queue->queue_us / 4 : 0;
    else if (queue->queue_us > QUEUE_US)
        queue->queue_us -= queue->queue_us / 32;
    queue->acked = acked;
    queue->looked_ns = now_ns;
}

static void look(struct short_queue *queue, int64_t now_ns)
{
    struct tcp_info info = { 0 };
    socklen_t bytes = sizeof(info);

    if (getsockopt(queue->fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) < 0) {
        queue->on = false;
        return;
    }
    learn(queue, info.tcpi_bytes_acked, now_ns);
    if (!queue->one_host && (queue->piece > 0 || is_slow(queue, info.tcpi_delivery_rate)))
        bound(queue, short_queue_for(queue->rate, info.tcpi_min_rtt, queue->queue_us));
    if (queue->piece == 0)
        bound_room(queue, short_queue_room(queue->rate, info.tcpi_min_rtt, queue->most));
    else
        queue->room = 0;
}

/* Both ends have one address. */
static bool is_one_host(int fd)
{
    struct sockaddr_storage here = { 0 }, there = { 0 };
    socklen_t here_bytes = sizeof(here), there_bytes = sizeof(there);

    if (getsockname(fd, (struct sockaddr *)&here, &here_bytes) < 0 ||
        getpeername(fd, (struct sockaddr *)&there, &there_bytes) < 0 || here.ss_family != there.ss_family)
        return false;
    if (here.ss_family == AF_INET)
        return ((struct sockaddr_in *)&here)->sin_addr.s_addr == ((struct sockaddr_in *)&there)->sin_addr.s_addr;
    return here.ss_family == AF_INET6 && !memcmp(&((struct sockaddr_in6 *)&here)->sin6_addr,
                                                 &((struct sockaddr_in6 *)&there)->sin6_addr, sizeof(struct in6_addr));
}

/* More is cut down without a word. */
static size_t most_room(void)
{
    int fd = open("/proc/sys/net/core/wmem_max", O_RDONLY | O_CLOEXEC);
    char text[24] = "";
    long most = 0;

    if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
        most = strtol(text, NULL, 10);
    if (fd >= 0)
        close(fd);
    return most > SNDBUF_AS_WAS && most <= INT_MAX ? (size_t)most : SNDBUF_AS_WAS;
}

void short_queue_switch(struct short_queue *queue, int fd, bool on)
{
    if (queue->on == on)
        return;
    *queue = (struct short_queue){ .fd = fd, .on = on, .queue_us = QUEUE_US, .looked_ns = clock_now_ns() };
    if (on) {
        queue->one_host = is_one_host(fd);
        queue->most = most_room();
    }
}

size_t short_queue_piece(struct short_queue *queue)
{
    int64_t now_ns;

    if (!queue->on)
        return 0;
    now_ns = clock_now_ns();
    if (now_ns - queue->looked_ns >= LOOK_NS)
        look(queue, now_ns);
    return queue->piece;
}
