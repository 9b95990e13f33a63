/* SPDX-License-Identifier: BSD-3-Clause */
/* channel_stats.c - what is told of each connection of a session */
#include "channel_stats.h"

#include <ferry/zero_copy.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void fill(struct ferry_channel_stats *stats, const struct ferry_channel *chan, const char *role, uint64_t bytes)
{
    memset(stats, 0, sizeof(*stats));
    snprintf(stats->address, sizeof(stats->address), "%s", ferry_channel_label(chan));
    snprintf(stats->role, sizeof(stats->role), "%s", role);
    stats->bytes = bytes;
    stats->cpu = -1;
    secure_facts(chan, stats);
}

void channel_stats_codecs(struct ferry_channel_stats *stats, const struct page_figures *figures)
{
    size_t used = 0;

    for (unsigned i = 0; i < CODEC_COUNT && figures->content_pages > 0; i++) {
        if (figures->codec_pages[i] == 0 || used >= sizeof(stats->codecs))
            continue;
        used +=
            (size_t)snprintf(stats->codecs + used, sizeof(stats->codecs) - used, "%s%s %" PRIu64 "%%", used ? ", " : "",
                             codec_name((enum codec_id)i), figures->codec_pages[i] * 100 / figures->content_pages);
    }
}

void channel_stats_main(struct ferry_channel_stats *stats, const struct ferry_channel *chan, uint64_t bytes)
{
    fill(stats, chan, "main", bytes);
}

void channel_stats_urgent(struct ferry_channel_stats *stats, const struct ferry_channel *chan,
                          const struct page_figures *figures)
{
    fill(stats, chan, "urgent", figures->bytes);
}

void channel_stats_pages(struct ferry_channel_stats *stats, const struct ferry_channel *chan,
                         const struct page_figures *figures)
{
    fill(stats, chan, "pages", figures->bytes);
    stats->cpu = figures->cpu;
    channel_stats_codecs(stats, figures);
}

void channel_stats_zero_copy(struct ferry_channel_stats *stats, const struct ferry_channel *chan)
{
    struct ferry_zero_copy_figures figures;

    ferry_channel_zero_copy(chan, &figures);
    snprintf(stats->zero_copy, sizeof(stats->zero_copy), "%s", ferry_zero_copy_name(figures.state));
}
