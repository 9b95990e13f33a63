/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_packets.h - one page channel of a QEMU: its packets, read and applied one by one */
#ifndef TOOLS_INSPECT_PACKETS_H
#define TOOLS_INSPECT_PACKETS_H

#include "inspect_ram.h"
#include "inspect_report.h"

/* What came. */
enum inspect_came {
    CAME_PAGES, /* or anything else that is done with */
    CAME_SYNC,
    CAME_END,
};

struct inspect_packets;

/* @reader: borrowed; its greeting comes first.  @report: filled in as packets come. */
struct inspect_packets *inspect_packets_new(struct ferry_reader *reader, struct report_connection *report);

/* NULL is legal. */
void inspect_packets_free(struct inspect_packets *packets);

int inspect_packets_greeting(struct inspect_packets *packets) FERRY_CHECK;

/* The next packet, its pages to @ram.  Returns an enum inspect_came or the reader's error. */
int inspect_packets_next(struct inspect_packets *packets, const struct ram_map *map,
                         struct inspect_ram *ram) FERRY_CHECK;

#endif
