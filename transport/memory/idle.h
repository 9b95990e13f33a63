/* SPDX-License-Identifier: BSD-3-Clause */
/* idle.h - wait until a processor has nothing else to do
 *
 *      worker (as everybody else)    idle_wait ........... works .... idle_wait ...
 *      thread of SCHED_IDLE                    gets to run
 *
 * Work that only pays where a processor is idle is not done by the thread of SCHED_IDLE itself: where none is idle, it
 * may stand still for seconds in the middle of it, with whatever lock of the kernel or the C library it holds.  Memory
 * is populated under the address space's lock, and then everybody who maps memory or starts a thread would wait, too.
 */
#ifndef MEMORY_IDLE_H
#define MEMORY_IDLE_H

#include <ferry/error.h>

struct idle;

/* NULL with @err when there is no thread to be had. */
struct idle *idle_new(struct ferry_error *err);

/* Returns when a processor had nothing else to do, or idle_end() was called.  Thread: one at a time. */
void idle_wait(struct idle *idle);

/* Ends waiting, now and later.  Thread: any. */
void idle_end(struct idle *idle);

/* After idle_end(), when nobody waits any more.  The thread is not waited for.  NULL is legal. */
void idle_free(struct idle *idle);

#endif
