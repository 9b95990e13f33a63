/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_walk.h - the walk along a stream, shared by the files that take a part in it
 *
 *      header configuration START(ram) PART ... END(ram) | FULL FULL ... EOF description
 *      <---------------- live: read once --------------> | <------ tail: all in memory --->
 *
 * No device section says how long it is; the description, which comes last, does.  So from the end of RAM on all is
 * kept in memory until it ends, and only then cut into sections (inspect_tail.c).  A device section that comes before
 * the end of RAM must be sized by looking for its footer (inspect_scan.c).
 *
 * Where the migration switches to postcopy, the package takes the tail's place, and after it all is live again:
 *
 *      ... PART DISCARD PACKAGED | LISTEN FULL FULL ... RUN | PART ... END EOF        (inspect_package.c,
 *      <-------- live --------> | <---- tail: in memory --> | <---- live ---->        inspect_follow.c)
 */
#ifndef TOOLS_INSPECT_WALK_H
#define TOOLS_INSPECT_WALK_H

#include "inspect_postcopy.h"
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
    bool channel_failed;               /* at a mark */
    uint64_t tail_offset, tail_bytes;  /* report->tail; no bytes: still live */
    const struct desc *next_device;    /* in the description: which is expected next */
    uint64_t steps_left;               /* of searching in it */
    struct inspect_postcopy *postcopy; /* the report's; NULL: it was not advised */
    struct postcopy_records records;   /* of the main connection, after the switch */
    bool package_follows, in_package;
    uint64_t live_bytes; /* of the first connection, once another one has taken over */
};

/* ---- inspect_stream.c ---- */

/* Items up to the end of the stream.  Returns 0 or the reader's error. */
int inspect_items(struct inspect_walk *walk) FERRY_CHECK;

/* ---- inspect_end.c ---- */

/* Nothing more is read, which ended with @ret: what only the whole stream can tell.  Returns what came of all. */
int inspect_end(struct inspect_walk *walk, int ret);

/* ---- inspect_describe.c ---- */

#define DESCRIBE_STEPS_MAX (UINT64_C(16) << 20) /* of looking for devices in a description; normally one each */

/* The description of a device, or NULL. */
const struct desc *inspect_find_device(struct inspect_walk *walk, const char *name, uint32_t instance);

/* Sections that came before their description did. */
void inspect_describe(struct inspect_walk *walk);

/* ---- inspect_command.c ---- */

struct inspect_payload {
    uint16_t command;
    uint16_t bytes;
    uint8_t data[UINT16_MAX];
};

/* Words for one command; -EPROTO and such through the reader. */
typedef int inspect_command_read(struct inspect_walk *walk, const struct inspect_payload *payload, char *words,
                                 size_t room);

/* A COMMAND, whose head was read: check it, say it in words, answer it. */
int inspect_command(struct inspect_walk *walk, const struct section_item *head) FERRY_CHECK;

/* ---- inspect_postcopy_commands.c ---- */

inspect_command_read inspect_advise, inspect_discard, inspect_packaged, inspect_listen, inspect_run_guest,
    inspect_recv_bitmap, inspect_resume;

/* ---- inspect_package.c ---- */

/* What the command PACKAGED announced. */
int inspect_package(struct inspect_walk *walk) FERRY_CHECK;

/* ---- inspect_follow.c ---- */

/* The body of a "ram" section after the switch. */
int inspect_follow_body(struct inspect_walk *walk) FERRY_CHECK;

/* The end of a stream that has switched. */
int inspect_follow_eof(struct inspect_walk *walk) FERRY_CHECK;

/* The main connection was read to its end, with @ret: urgent ones too, and those that take over.  Returns @ret, or what
 * came of the last one. */
int inspect_follow(struct inspect_walk *walk, int ret);

/* Has all come? */
int inspect_follow_judge(struct inspect_walk *walk);

/* Tell the source how it ended, if it listens. */
void inspect_shut(struct inspect_walk *walk);

/* ---- inspect_tail.c ---- */

/* Keep everything to the end of the stream, and walk along that. */
int inspect_tail(struct inspect_walk *walk) FERRY_CHECK;

/* What follows the EOF item. */
int inspect_description(struct inspect_walk *walk) FERRY_CHECK;

/* Nothing may. */
int inspect_nothing_follows(struct inspect_walk *walk) FERRY_CHECK;

/* A reader over report->tail; NULL: no memory. */
struct ferry_reader *inspect_tail_reader(struct inspect_walk *walk);

/* ---- inspect_scan.c ---- */

/* The body of a section whose format is not known here; the footer is still to be read.  Sets section->bytes, and
 * keeps the body where @keep. */
int inspect_body(struct inspect_walk *walk, struct report_section *section, bool keep) FERRY_CHECK;

#endif
