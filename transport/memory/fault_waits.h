/* SPDX-License-Identifier: BSD-3-Clause */
/* fault_waits.h - which threads wait for which pages, since when, and how long they did
 *
 * A thread waits for one page at a time.  The fault thread adds, whoever installs a page takes away: with the lock for
 * a few loads and stores, never across a system call.  That no wait is forgotten is a matter of order:
 *
 *      fault thread   add the wait, then look whether the page is there
 *      placer         make the page received, then look who waits
 *
 * At least one of the two sees the other.
 */
#ifndef MEMORY_FAULT_WAITS_H
#define MEMORY_FAULT_WAITS_H

#include "latency.h"
#include "postcopy_ram.h"
#include <pthread.h>

struct fault_place {
    const struct ram_block *block;
    uint64_t page;
};

struct fault_wait {
    struct fault_place at; /* block NULL: does not wait */
    int64_t since_ns;
    struct postcopy_thread thread;
};

struct fault_waits {
    atomic_uint blocked;  /* how many wait; changed under the lock, looked at without */
    pthread_mutex_t lock; /* guards all below */
    unsigned count;
    struct fault_wait wait[POSTCOPY_THREADS_MAX];
    struct latency latency;
    int64_t all_since_ns; /* since when all wait; 0: not all */
    uint64_t all_ns;
};

void fault_waits_init(struct fault_waits *waits);
void fault_waits_clear(struct fault_waits *waits);

/* @tid waits for @page of @block since @now_ns.  Of a thread that has no place any more nothing is noted. */
void fault_waits_add(struct fault_waits *waits, pid_t tid, const struct ram_block *block, uint64_t page,
                     int64_t now_ns);

/* These pages are there: who waited for them does no more. */
void fault_waits_done(struct fault_waits *waits, const struct ram_block *block, uint64_t page, uint64_t count);

/* The pages that somebody waits for now, some perhaps twice.  Returns how many. */
unsigned fault_waits_places(struct fault_waits *waits, struct fault_place places[POSTCOPY_THREADS_MAX]);

/* Fills in what is about threads and times. */
void fault_waits_figures(struct fault_waits *waits, struct postcopy_figures *figures);

#endif
