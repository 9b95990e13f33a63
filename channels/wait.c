/* SPDX-License-Identifier: BSD-3-Clause */
/* wait.c - wait for a descriptor, or to be woken */
#include "wait.h"

#include "clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

int wait_fd(int fd, short events, int wake_fd, int timeout_ms)
{
    struct pollfd polled[2] = { { .fd = fd, .events = events }, { .fd = wake_fd, .events = POLLIN } };
    int64_t deadline_ns = clock_deadline_ns(timeout_ms);
    int ready;

    do
        ready = poll(polled, 2, clock_left_ms(deadline_ns));
    while (ready < 0 && errno == EINTR);
    if (ready <= 0)
        return ready < 0 ? -errno : 0;
    if (polled[1].revents)
        return -ESHUTDOWN;
    return polled[0].revents & POLLNVAL ? -EBADF : 1;
}

int wait_wake_open(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    return fd < 0 ? -errno : fd;
}

void wait_wake(int wake_fd)
{
    if (wake_fd >= 0)
        (void)!eventfd_write(wake_fd, 1);
}
