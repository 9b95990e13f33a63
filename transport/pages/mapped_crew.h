/* SPDX-License-Identifier: BSD-3-Clause */
/* mapped_crew.h - threads that write or read the fixed places of a file, each with a queue of its own
 *
 *      begin --> every thread runs the job until that finds nothing more to do --> its queue is drained --> wait: 0
 *
 * All but mapped_crew_stopped() and _manner() belong to one thread, the session's.
 */
#ifndef PAGES_MAPPED_CREW_H
#define PAGES_MAPPED_CREW_H

#include "file_queue.h"

#include <stdint.h>

struct mapped_crew;

/* Take work and put transfers into @queue until none is left, or mapped_crew_stopped().  Thread: each of the crew. */
typedef int mapped_job(void *opaque, struct file_queue *queue, struct ferry_error *err);

/* @count threads, which wait.  @chan: a reference is taken.  NULL with @err set. */
struct mapped_crew *mapped_crew_new(struct ferry_channel *chan, enum ferry_direction way, unsigned count, bool ring,
                                    mapped_job *job, void *opaque, struct ferry_error *err);

/* Only when nobody is at work. */
void mapped_crew_begin(struct mapped_crew *crew);

/* 0: all is done, down to the last transfer; -ETIMEDOUT: not yet; or the first error of any. */
int mapped_crew_wait(struct mapped_crew *crew, int64_t timeout_ns, struct ferry_error *err);

/* A job should end: somebody failed, or the crew is being freed. */
bool mapped_crew_stopped(struct mapped_crew *crew);

unsigned mapped_crew_count(const struct mapped_crew *crew);

/* See file_queue_manner(). */
const char *mapped_crew_manner(struct mapped_crew *crew);

/* Stops and joins.  NULL is legal. */
void mapped_crew_free(struct mapped_crew *crew);

#endif
