/* SPDX-License-Identifier: BSD-3-Clause */
/* report_channels.h - the part of the report about the connections */
#ifndef TOOLS_REPORT_CHANNELS_H
#define TOOLS_REPORT_CHANNELS_H

#include <ferry/session.h>
#include <jansson.h>
#include <stdio.h>

#define REPORT_CHANNELS_MAX 257

/* An array, one object each; NULL when out of memory. */
json_t *report_channels_json(const struct ferry_channel_stats *channels, unsigned count);

/* How many of them carry pages. */
unsigned report_channels_used(const struct ferry_channel_stats *channels, unsigned count);

/* In words: how many, what they carried, how they are encrypted. */
void report_channels_print(FILE *to, const json_t *channels);

#endif
