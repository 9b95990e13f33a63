/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_end.c - what only the whole stream can tell: has all memory come, are all channels at their ends, was each
 * ping answered? */
#include "inspect_walk.h"

#include "return_path.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What only the whole stream can tell. */
static int judge(struct inspect_walk *walk)
{
    const struct ram_counts *counts = &walk->ram->loader.counts;
    uint64_t missing = 0;

    if (walk->ram_section < 0)
        return ferry_reader_fail(walk->reader, -EPROTO, "the stream carries no memory: there is no section 'ram'");
    if (!walk->ram_ended)
        inspect_note(walk->report, "section 'ram' has no end: a background snapshot");
    for (unsigned i = 0; i < walk->ram->count; i++)
        missing += walk->ram->blocks[i]->missing;
    if (postcopy_listens(walk->postcopy)) {
        int ret = inspect_follow_judge(walk);

        if (ret < 0)
            return ret;
    } else if (walk->report->connection_count == 0 &&
               (counts->flushes > 0 || (missing > 0 && counts->normal + counts->xbzrle == 0))) {
        return ferry_reader_fail(walk->reader, -ENOTSUP,
                                 "memory travelled over further connections (multifd), which were not given: the main "
                                 "one alone is shown");
    }
    if (missing > 0)
        inspect_note(walk->report,
                     "%" PRIu64 " pages never came: memory that is shared or that the guest had given "
                     "back, or a stream that is not whole",
                     missing);
    return 0;
}

/* The page channels' ends, and what their failure means: their own fault is told rather than what it did to the main
 * stream, but a main stream that ends too early mostly takes them along.  Returns whether it was told. */
static bool end_channels(struct inspect_walk *walk, int *ret)
{
    struct inspect_channels *channels = walk->options->channels;
    struct ferry_error why = { 0 };
    int failed;

    if (!channels)
        return false;
    failed = inspect_channels_finish(channels, *ret == 0 && !walk->back, walk->report, &why);
    if (failed == 0)
        return false;
    if (*ret < 0 && !walk->channel_failed && failed == -EPIPE) {
        inspect_note(walk->report, "and: %s", ferry_error_text(&why));
        return false;
    }
    walk->report->error = why;
    *ret = failed;
    return true;
}

/* ---- what came back -------------------------------------------------------------------------------------------- */

/* The next pong there from *at on; NULL: there is none. */
static const struct return_message *next_pong(const struct report_return *back, unsigned *at)
{
    while (*at < back->count && back->messages[*at].type != RETURN_PATH_PONG)
        ++*at;
    return *at < back->count ? &back->messages[(*at)++] : NULL;
}

/* Pings are answered in their order. */
static void judge_pings(struct inspect_report *report, unsigned main)
{
    const struct report_return *back = report->returns.all[main];
    unsigned at = 0;

    for (unsigned i = 0; i < report->items.count; i++) {
        const struct report_item *item = &report->items.item[i];
        const struct return_message *pong;

        if (item->main != main || item->type != SECTION_COMMAND || item->command != COMMAND_PING || !item->words)
            continue;
        pong = next_pong(back, &at);
        if (pong && pong->value == strtoul(item->words, NULL, 10))
            continue;
        inspect_note(report, pong ? "ping %s is answered by pong %" PRIu32 : "ping %s is not answered", item->words,
                     pong ? pong->value : 0);
        return;
    }
}

/* Returns an error that is told there. */
static const struct ferry_error *judge_returns(struct inspect_report *report)
{
    unsigned mains = report->items.main + 1;

    if (report->returns.count > mains)
        inspect_note(report, "%u return paths for %u main connections", report->returns.count, mains);
    for (unsigned i = 0; i < report->returns.count; i++) {
        if (report->returns.all[i]->error.errnum)
            return &report->returns.all[i]->error;
        if (i < mains)
            judge_pings(report, i);
    }
    return NULL;
}

/* ---- all of it ------------------------------------------------------------------------------------------------- */

int inspect_end(struct inspect_walk *walk, int ret)
{
    bool told = end_channels(walk, &ret);
    const struct ferry_error *back = NULL;

    inspect_ram_count_missing(walk->ram);
    if (ret == 0)
        ret = judge(walk);
    if (ret == 0)
        back = judge_returns(walk->report);
    if (back) {
        walk->report->error = *back;
        return back->errnum;
    }
    if (ret < 0 && !told && ferry_reader_status(walk->live, &walk->report->error) == 0 &&
        ferry_reader_status(walk->reader, &walk->report->error) == 0)
        ferry_error_set(&walk->report->error, ret, "stopped: %s", strerror(-ret));
    return ret;
}
