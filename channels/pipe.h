/* SPDX-License-Identifier: BSD-3-Clause */
/* pipe.h - the channel over one or two descriptors that are read and written: pipes, terminals, character devices */
#ifndef CHANNELS_PIPE_H
#define CHANNELS_PIPE_H

#include "channel.h"

/**
 * pipe_channel() - read from one descriptor, write to another
 * @in, @out: taken on success; -1: that direction does not exist; both may be the same
 *
 * They are made non-blocking, which anyone who shares them sees, and set back at the end.
 */
struct ferry_channel *pipe_channel(int in, int out, const char *label, struct ferry_error *err);

/* Wait for another descriptor until it is readable or this pipe_channel() is shut down: as wait_fd(). */
int pipe_wait(struct ferry_channel *chan, int fd, enum ferry_direction way, int timeout_ms);

#endif
