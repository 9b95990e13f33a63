/* SPDX-License-Identifier: BSD-3-Clause */
/* destination_listen.h - the listen thread: reads the main stream on while the package is loaded and the guest runs
 *
 *      start   a placer of postcopy for each who receives; the thread
 *      join    the stream has ended, well or not
 *      finish  the other connections have come to their ends, too
 *      stop    after a failure: it has ended, whatever it was about
 *      cause   loading failed before the guest was started: the thread ends, nobody waits for a page any more
 *
 * Used by the load thread.
 */
#ifndef SESSION_DESTINATION_LISTEN_H
#define SESSION_DESTINATION_LISTEN_H

#include "destination_parts.h"

int destination_listen_start(struct destination *destination, struct ferry_error *err);

/* Wait until it has ended; 0, or what ended it. */
int destination_listen_join(struct destination *destination, struct ferry_error *err);

/* The qemu dialect's connection for requested pages is there: a thread reads it. */
int destination_listen_preempt(struct destination *destination, struct ferry_error *err);

/* Postcopy goes on: reads the main stream on this thread, until it ends. */
int destination_listen_on(struct destination *destination, struct ferry_error *err);

int destination_listen_finish(struct destination *destination, struct ferry_error *err);

/* Harmless where there is none. */
void destination_listen_stop(struct destination *destination);

/* Returns @ret, or the listen thread's error in its place where that came first. */
int destination_listen_cause(struct destination *destination, int ret, struct ferry_error *err);

#endif
