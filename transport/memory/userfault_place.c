/* SPDX-License-Identifier: BSD-3-Clause */
/* userfault_place.c - installs pages in registered memory, in runs, and wakes who waits for them
 *
 * The kernel stops where a page is there already, where memory is short, and now and then for its own reasons.  Then it
 * says how many bytes it did (the call fails with EAGAIN), or why it did none.
 */
#include "userfault_place.h"

#include <errno.h>
#include <sys/ioctl.h>

/* What one call did: *part bytes.  Returns 0 to go on, or the negative errno of the page behind them. */
static int judge(int ret, int error, int64_t part, uint64_t *done)
{
    if (ret == 0 || part > 0) {
        *done += (uint64_t)part;
        return 0;
    }
    return error == EAGAIN || error == EINTR ? 0 : -error;
}

int userfault_copy(int fd, uint64_t to, const void *from, uint64_t bytes, uint64_t *done)
{
    int ret = 0;

    *done = 0;
    while (ret == 0 && *done < bytes) {
        struct uffdio_copy copy = { .dst = to + *done, .src = (uintptr_t)from + *done, .len = bytes - *done };

        ret = ioctl(fd, UFFDIO_COPY, &copy);
        ret = judge(ret, errno, copy.copy, done);
    }
    return ret;
}

int userfault_zero(int fd, uint64_t to, uint64_t bytes, uint64_t *done)
{
    int ret = 0;

    *done = 0;
    while (ret == 0 && *done < bytes) {
        struct uffdio_zeropage zero = { .range = { to + *done, bytes - *done } };

        ret = ioctl(fd, UFFDIO_ZEROPAGE, &zero);
        ret = judge(ret, errno, zero.zeropage, done);
    }
    return ret;
}

int userfault_continue(int fd, uint64_t to, uint64_t bytes, uint64_t *done)
{
    int ret = 0;

    *done = 0;
    while (ret == 0 && *done < bytes) {
        struct uffdio_continue show = { .range = { to + *done, bytes - *done } };

        ret = ioctl(fd, UFFDIO_CONTINUE, &show);
        ret = judge(ret, errno, show.mapped, done);
    }
    return ret;
}

int userfault_poison(int fd, uint64_t to, uint64_t bytes, uint64_t *done)
{
    int ret = 0;

    *done = 0;
    while (ret == 0 && *done < bytes) {
        struct uffdio_poison poison = { .range = { to + *done, bytes - *done } };

        ret = ioctl(fd, UFFDIO_POISON, &poison);
        ret = judge(ret, errno, poison.updated, done);
    }
    return ret;
}
