/* SPDX-License-Identifier: BSD-3-Clause */
/* moment.c - points of time that another host may have to compare with its own */
#include "moment.h"

#include "clock.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

uint64_t moment_boot(void)
{
    char id[64];
    ssize_t bytes = -1;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        bytes = read(fd, id, sizeof(id));
        close(fd);
    }
    return bytes > 0 ? XXH3_64bits(id, (size_t)bytes) : 0;
}

int64_t moment_wall_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

int64_t moment_elapsed_ns(int64_t ns, int64_t wall_ns, bool same_boot)
{
    int64_t elapsed = same_boot ? clock_now_ns() - ns : moment_wall_ns() - wall_ns;

    return elapsed > 0 ? elapsed : 0; /* wall clocks that disagree */
}
