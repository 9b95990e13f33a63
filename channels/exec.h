/* SPDX-License-Identifier: BSD-3-Clause */
/* exec.h - the channel to a child process */
#ifndef CHANNELS_EXEC_H
#define CHANNELS_EXEC_H

#include "channel.h"

/* A channel to a command line, run by /bin/sh, both directions. */
struct ferry_channel *exec_shell(const char *command, struct ferry_error *err);

#endif
