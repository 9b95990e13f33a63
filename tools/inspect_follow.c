/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_follow.c - memory that follows the guest: sections after the switch, urgent connections, breaks
 *
 *      main      ... PART PART PA|         it ends in the middle: a break, where another connection goes on
 *      resumed                      RECV_BITMAP ... RESUME PART ... END EOF
 */
#include "inspect_walk.h"

#include "reader.h"

#include <errno.h>
#include <inttypes.h>

int inspect_follow_body(struct inspect_walk *walk)
{
    if (walk->in_package)
        return ferry_reader_fail(walk->reader, -EPROTO, "memory inside of the package");
    if (walk->postcopy->phase != POSTCOPY_RUNNING)
        return ferry_reader_fail(walk->reader, -EPROTO, "memory before the command postcopy-resume");
    return postcopy_get_body(walk->postcopy, &walk->records);
}

int inspect_follow_eof(struct inspect_walk *walk)
{
    if (walk->in_package)
        return ferry_reader_fail(walk->reader, -EPROTO, "the end of the stream inside of the package");
    if (walk->postcopy->phase != POSTCOPY_RUNNING)
        return ferry_reader_fail(walk->reader, -EPROTO, "the end before the command postcopy-resume");
    walk->postcopy->phase = POSTCOPY_ENDED;
    return inspect_nothing_follows(walk);
}

/* Did the connection end where it may go on elsewhere? */
static bool broke(const struct inspect_walk *walk)
{
    struct ferry_error why = { 0 };

    if (walk->in_package || walk->postcopy->phase < POSTCOPY_RUNNING || walk->postcopy->phase == POSTCOPY_ENDED)
        return false;
    ferry_reader_status(walk->live, &why);
    return why.code == FERRY_E_STREAM_ENDED || why.code == FERRY_E_CONNECTION_LOST;
}

static int take_over(struct inspect_walk *walk, struct ferry_reader *reader)
{
    struct inspect_postcopy *postcopy = walk->postcopy;
    const char *label = ferry_channel_label(reader_channel(reader));
    struct ferry_error why = { 0 };
    int wire;

    postcopy_drop_part(postcopy, &walk->records);
    postcopy_broke(postcopy);
    if (!walk->live_bytes)
        walk->live_bytes = ferry_reader_offset(walk->live);
    ferry_reader_free(walk->live);
    walk->live = walk->reader = reader;
    wire = postcopy_add_wire(postcopy, label, WIRE_RESUMED, &why);
    if (wire < 0)
        return reader_fail_why(reader, wire, &why);
    walk->records = (struct postcopy_records){ .reader = reader, .wire = (unsigned)wire };
    walk->report->items.main++;
    postcopy->phase = POSTCOPY_RECOVERING;
    return inspect_items(walk);
}

int inspect_follow(struct inspect_walk *walk, int ret)
{
    struct inspect_postcopy *postcopy = walk->postcopy;

    while (postcopy_listens(postcopy)) {
        struct postcopy_wire *wire = &postcopy->wire[walk->records.wire];
        bool goes_on = ret < 0 && broke(walk);
        struct ferry_reader *next;

        wire->bytes = ferry_reader_offset(walk->live);
        wire->broke = goes_on;
        if (!walk->options->channels)
            break;
        inspect_channels_urgent(walk->options->channels, goes_on);
        next = goes_on ? inspect_channels_resumed(walk->options->channels) : NULL;
        if (!next)
            break;
        ret = take_over(walk, next);
    }
    if (postcopy_listens(postcopy) && ret < 0 && broke(walk))
        inspect_note(walk->report, "the guest runs at the destination, and the rest of its memory has not followed: a "
                                   "connection that takes over would come next");
    return ret;
}

/* ---- the end --------------------------------------------------------------------------------------------------- */

static void judge_order(struct inspect_walk *walk)
{
    const struct inspect_postcopy *postcopy = walk->postcopy;
    char name[300], label[FERRY_ERROR_TEXT_BYTES];

    if (!postcopy->first.block)
        return;
    inspect_note(walk->report,
                 "%" PRIu64 " pages came twice after the switch, %" PRIu64 " though they had come before and were not "
                 "discarded: first '%s' page %" PRIu64 ", %s byte %" PRIu64,
                 postcopy->duplicates, postcopy->unannounced, inspect_text(name, sizeof(name), postcopy->first.block),
                 postcopy->first.page, inspect_text(label, sizeof(label), postcopy->wire[postcopy->first.wire].label),
                 postcopy->first.offset);
}

int inspect_follow_judge(struct inspect_walk *walk)
{
    struct inspect_postcopy *postcopy = walk->postcopy;
    uint64_t awaited = postcopy_still_awaited(postcopy);

    judge_order(walk);
    for (unsigned i = 0; i < postcopy->wires; i++)
        if (postcopy->wire[i].claimed > 0)
            inspect_note(walk->report, "%" PRIu64 " pages had been received, say the bitmaps, but never came here",
                         postcopy->wire[i].claimed);
    if (awaited == 0)
        return 0;
    return ferry_reader_fail(walk->reader, -ENOTSUP,
                             "the end, but %" PRIu64
                             " pages are awaited still: they travelled over a further connection "
                             "(urgent pages), which was not given, or the stream is not whole",
                             awaited);
}
