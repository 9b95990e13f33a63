/* SPDX-License-Identifier: BSD-3-Clause */
/* file.h - the channel over a file that has positions */
#ifndef CHANNELS_FILE_H
#define CHANNELS_FILE_H

#include "channel.h"

#include <stdbool.h>

/* A channel over an open regular file or block device, from the descriptor's position on; @fd: taken on success. */
struct ferry_channel *file_channel(int fd, enum ferry_direction directions, const char *label, struct ferry_error *err);

#define FILE_DIRECT_ALIGN 4096 /* of address, length and position: what every file system with O_DIRECT takes */

/* Is it one of these? */
bool file_is(const struct ferry_channel *chan);

/**
 * file_direct_fd() - the O_DIRECT descriptor, for transfers that are not the channel's own calls
 *
 * -1: this transfer cannot go direct, or the channel has no such descriptor.  It stays the channel's.
 */
int file_direct_fd(struct ferry_channel *chan, const void *memory, size_t bytes, uint64_t position);

/* The file system refuses O_DIRECT after all: none from here on.  Thread: any. */
void file_refuse_direct(struct ferry_channel *chan);

#endif
