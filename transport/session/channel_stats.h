/* SPDX-License-Identifier: BSD-3-Clause */
/* channel_stats.h - what is told of each connection of a session */
#ifndef SESSION_CHANNEL_STATS_H
#define SESSION_CHANNEL_STATS_H

#include "page_senders.h"
#include "session.h"

void channel_stats_main(struct ferry_channel_stats *stats, const struct ferry_channel *chan, uint64_t bytes);
void channel_stats_pages(struct ferry_channel_stats *stats, const struct ferry_channel *chan,
                         const struct page_figures *figures);
/* Of a connection for requested pages. */
void channel_stats_urgent(struct ferry_channel_stats *stats, const struct ferry_channel *chan,
                          const struct page_figures *figures);

/* What its pages went through, by share. */
void channel_stats_codecs(struct ferry_channel_stats *stats, const struct page_figures *figures);

/* What became of zero copy, where it was asked for. */
void channel_stats_zero_copy(struct ferry_channel_stats *stats, const struct ferry_channel *chan);

#endif
