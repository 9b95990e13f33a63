/* SPDX-License-Identifier: BSD-3-Clause */
/* clock.c - CLOCK_MONOTONIC in nanoseconds */
#include "clock.h"

#include <errno.h>
#include <limits.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

int64_t clock_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t clock_cpu_ns(void)
{
    return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

struct timespec clock_timespec(int64_t when_ns)
{
    return (struct timespec){ .tv_sec = when_ns / NS_PER_SEC, .tv_nsec = when_ns % NS_PER_SEC };
}

void clock_sleep_until_ns(int64_t when_ns)
{
    struct timespec ts = clock_timespec(when_ns);

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
        continue;
}

int64_t clock_deadline_ns(int timeout_ms)
{
    return timeout_ms < 0 ? -1 : clock_now_ns() + timeout_ms * NS_PER_MS;
}

int clock_left_ms(int64_t deadline_ns)
{
    int64_t left;

    if (deadline_ns < 0)
        return -1;
    left = deadline_ns - clock_now_ns();
    if (left <= 0)
        return 0;
    left = (left + NS_PER_MS - 1) / NS_PER_MS;
    return left > INT_MAX ? INT_MAX : (int)left;
}
