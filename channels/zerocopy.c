/* SPDX-License-Identifier: BSD-3-Clause */
/* zerocopy.c - what a socket sends straight out of the sender's memory (MSG_ZEROCOPY), and when that is done */
#include "zerocopy.h"

#include "log.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define WORTH_BYTES   (16u * 1024) /* below, pinning pages and hearing of it costs more than a copy */
#define TELLING_SENDS 8 /* so many copies in a row, and never anything else: the kernel will not avoid them */

int zero_copy_init(struct zero_copy *zc, int fd, bool by_ring)
{
    int one = 1, type = 0, domain = 0;
    socklen_t bytes = sizeof(type);

    memset(zc, 0, sizeof(*zc));
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) < 0 || type != SOCK_STREAM)
        return -EOPNOTSUPP;
    bytes = sizeof(domain);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) < 0 || (domain != AF_INET && domain != AF_INET6))
        return -EOPNOTSUPP;
    if (!by_ring && setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)) < 0)
        return -errno;
    zc->fd = fd;
    zc->by_ring = by_ring;
    zc->figures.state = FERRY_ZERO_COPY_ON;
    pthread_mutex_init(&zc->lock, NULL);
    return 0;
}

void zero_copy_clear(struct zero_copy *zc)
{
    pthread_mutex_destroy(&zc->lock);
}

bool zero_copy_wanted(struct zero_copy *zc, size_t bytes)
{
    bool wanted;

    pthread_mutex_lock(&zc->lock);
    wanted = bytes >= WORTH_BYTES && zc->figures.state == FERRY_ZERO_COPY_ON;
    pthread_mutex_unlock(&zc->lock);
    return wanted;
}

void zero_copy_switch(struct zero_copy *zc, bool on)
{
    pthread_mutex_lock(&zc->lock);
    zc->figures.state = on ? FERRY_ZERO_COPY_ON : FERRY_ZERO_COPY_OFF;
    pthread_mutex_unlock(&zc->lock);
}

void zero_copy_sent(struct zero_copy *zc, size_t bytes)
{
    pthread_mutex_lock(&zc->lock);
    zc->sent++;
    zc->figures.lent_bytes += bytes;
    pthread_mutex_unlock(&zc->lock);
}

/* Called with the lock held. */
static void count_done(struct zero_copy *zc, uint32_t count, bool copied)
{
    zc->done += count;
    if (copied)
        zc->figures.copied_sends += count;
    else
        zc->figures.avoided_sends += count;
    if (zc->figures.state == FERRY_ZERO_COPY_ON && zc->figures.avoided_sends == 0 &&
        zc->figures.copied_sends >= TELLING_SENDS)
        zc->figures.state = FERRY_ZERO_COPY_COPIES;
}

/* One notice of the kernel's, of the sends that it names.  Called with the lock held. */
static void note(struct zero_copy *zc, const struct sock_extended_err *notice)
{
    count_done(zc, notice->ee_data - notice->ee_info + 1, notice->ee_code & SO_EE_CODE_ZEROCOPY_COPIED);
}

static void tell_copies(void)
{
    log_info(LOG_CHANNEL, "the kernel copies all the same, as it does on loopback: sending without zero copy");
}

void zero_copy_noted(struct zero_copy *zc, bool copied)
{
    bool gave_up;

    pthread_mutex_lock(&zc->lock);
    gave_up = zc->figures.state == FERRY_ZERO_COPY_ON;
    count_done(zc, 1, copied);
    gave_up &= zc->figures.state == FERRY_ZERO_COPY_COPIES;
    pthread_mutex_unlock(&zc->lock);
    if (gave_up)
        tell_copies();
}

/* False: nothing (more) there. */
static bool take_notice(struct zero_copy *zc)
{
    union {
        struct cmsghdr head;
        uint8_t bytes[CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in6))];
    } control;
    struct msghdr msg = { .msg_control = &control, .msg_controllen = sizeof(control) };

    if (recvmsg(zc->fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return errno == EINTR;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&msg); part; part = CMSG_NXTHDR(&msg, part)) {
        struct sock_extended_err notice;

        if (!(part->cmsg_level == SOL_IP && part->cmsg_type == IP_RECVERR) &&
            !(part->cmsg_level == SOL_IPV6 && part->cmsg_type == IPV6_RECVERR))
            continue;
        memcpy(&notice, CMSG_DATA(part), sizeof(notice));
        if (notice.ee_origin == SO_EE_ORIGIN_ZEROCOPY && notice.ee_errno == 0)
            note(zc, &notice);
    }
    return true;
}

uint64_t zero_copy_reap(struct zero_copy *zc)
{
    enum ferry_zero_copy_state before;
    bool gave_up;
    uint64_t left;

    pthread_mutex_lock(&zc->lock);
    before = zc->figures.state;
    while (!zc->by_ring && (zc->sent > zc->done || before == FERRY_ZERO_COPY_ON) && take_notice(zc))
        ;
    gave_up = before == FERRY_ZERO_COPY_ON && zc->figures.state == FERRY_ZERO_COPY_COPIES;
    left = zc->sent > zc->done ? zc->sent - zc->done : 0;
    pthread_mutex_unlock(&zc->lock);
    if (gave_up)
        tell_copies();
    return left;
}

void zero_copy_figures(struct zero_copy *zc, struct ferry_zero_copy_figures *figures)
{
    pthread_mutex_lock(&zc->lock);
    *figures = zc->figures;
    pthread_mutex_unlock(&zc->lock);
}
