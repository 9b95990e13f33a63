/* SPDX-License-Identifier: BSD-3-Clause */
/* exposed.h - whether somebody on another machine could connect */
#ifndef TOOLS_EXPOSED_H
#define TOOLS_EXPOSED_H

#include <ferry/channel.h>

/* -EACCES, with a hint, when @listener can be reached from outside of this host. */
int exposed_refuse(const struct ferry_listener *listener, struct ferry_error *err);

#endif
