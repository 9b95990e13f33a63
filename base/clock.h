/* SPDX-License-Identifier: BSD-3-Clause */
/* clock.h - CLOCK_MONOTONIC in nanoseconds */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_SEC INT64_C(1000000000)
#define NS_PER_MS  INT64_C(1000000)
#define NS_PER_US  INT64_C(1000)

int64_t clock_now_ns(void);

/* CPU time used so far by the whole process. */
int64_t clock_cpu_ns(void);

/* Sleep until a point of clock_now_ns(). */
void clock_sleep_until_ns(int64_t when_ns);

/* The same point as a timespec, for condition variables made with CLOCK_MONOTONIC. */
struct timespec clock_timespec(int64_t when_ns);

/* A deadline in ms from now as poll(2) wants it: what is left of it, at least 0; -1 for "none" (deadline < 0). */
int64_t clock_deadline_ns(int timeout_ms);
int clock_left_ms(int64_t deadline_ns);

#endif
