/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_walk.h - the walk along a stream, shared by the files that take a part in it
 *
 *      header configuration START(ram) PART ... END(ram) | FULL FULL ... EOF description
 *      <---------------- live: read once --------------> | <------ tail: all in memory --->
 *
 * No device section says how long it is; the description, which comes last, does.  So from the end of RAM on all is
 * kept in memory until it ends, and only then cut into sections (inspect_tail.c).  A device section that comes before
 * the end of RAM must be sized by looking for its footer (inspect_scan.c).
 */
#ifndef TOOLS_INSPECT_WALK_H
#define TOOLS_INSPECT_WALK_H

#include "inspect_stream.h"
#include "return_path.h"

/* Where page channels wait for each other (docs/protocol.md).  The first section of memory tells. */
enum walk_marks {
    MARKS_UNKNOWN,
    MARKS_ARE_RECORDS,
    MARKS_ARE_SECTION_ENDS, /* of QEMUs up to 8.0 */
};

struct inspect_walk {
    const struct inspect_options *options;
    struct inspect_report *report;
    struct inspect_ram *ram;
    struct ferry_reader *live;   /* owned; of the channel */
    struct ferry_reader *reader; /* where the next item comes from: live, or of the tail */
    struct return_path *back;    /* owned; the return path, once it is used */
    bool opened;                 /* the stream opened a return path */
    int ram_section;             /* its index in the report; -1: not yet */
    bool ram_ended;
    enum walk_marks marks;
    bool channel_failed;              /* at a mark */
    uint64_t tail_offset, tail_bytes; /* report->tail; no bytes: still live */
    const struct desc *next_device;   /* in the description: which is expected next */
    uint64_t steps_left;              /* of searching in it */
};

/* ---- inspect_stream.c ---- */

/* Items up to the end of the stream.  Returns 0 or the reader's error. */
int inspect_items(struct inspect_walk *walk) FERRY_CHECK;

/* ---- inspect_command.c ---- */

/* A COMMAND, whose head was read: check it, say it in words, answer it. */
int inspect_command(struct inspect_walk *walk, const struct section_item *head) FERRY_CHECK;

/* Tell the source how it ended, if it listens. */
void inspect_shut(struct inspect_walk *walk);

/* ---- inspect_tail.c ---- */

/* Keep everything to the end of the stream, and walk along that. */
int inspect_tail(struct inspect_walk *walk) FERRY_CHECK;

/* What follows the EOF item. */
int inspect_description(struct inspect_walk *walk) FERRY_CHECK;

/* ---- inspect_scan.c ---- */

/* The body of a section whose format is not known here; the footer is still to be read.  Sets section->bytes, and
 * keeps the body where @keep. */
int inspect_body(struct inspect_walk *walk, struct report_section *section, bool keep) FERRY_CHECK;

#endif
