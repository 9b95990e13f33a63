/* SPDX-License-Identifier: BSD-3-Clause */
/* file.h - the channel over a file that has positions */
#ifndef CHANNELS_FILE_H
#define CHANNELS_FILE_H

#include "channel.h"

/* A channel over an open regular file or block device, from the descriptor's position on; @fd: taken on success. */
struct ferry_channel *file_channel(int fd, enum ferry_direction directions, const char *label, struct ferry_error *err);

#endif
