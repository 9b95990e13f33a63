/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_stream.h - read a stream as its destination would, only to know it */
#ifndef TOOLS_INSPECT_STREAM_H
#define TOOLS_INSPECT_STREAM_H

#include "inspect_channels.h"
#include "inspect_ram.h"
#include "inspect_report.h"

#include <ferry/channel.h>

struct inspect_options {
    bool verbose; /* every PART an item of its own */
    bool answer;  /* where the stream opens a return path, use it: a live source waits there for the end */
    void (*progress)(void *opaque, uint64_t bytes); /* now and then; may be NULL */
    void *opaque;
    struct inspect_channels *channels; /* borrowed: pages may come over these, too; NULL: over none */
};

/**
 * inspect_stream() - read a stream to its end
 * @reader: of its channel, not read from yet; taken
 * @ram: initialised; counts, and keeps what it was told to keep
 * @report: filled in, also when the stream is broken
 *
 * Prints nothing.  Returns 0 when the stream is whole and clean, else report->error.errnum.
 */
int inspect_stream(struct ferry_reader *reader, const struct inspect_options *options, struct inspect_ram *ram,
                   struct inspect_report *report);

#endif
