/* SPDX-License-Identifier: BSD-3-Clause */
/* packet_fixture.h - packets made, sent over memory, and looked at */
#ifndef UNIT_PACKET_FIXTURE_H
#define UNIT_PACKET_FIXTURE_H

#include "bytes.h"
#include "packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HEADER_MAX (PACKET_HEAD_MAX + PACKET_REST_MAX)

/* Blocks: pc.ram of 64 TiB, pc.rom of 32 pages.  Nothing here looks into a page. */
extern uint8_t memory[32 * FERRY_PAGE_BYTES];
extern struct ram_block first, second;

/* What goes out, what came back, and the bytes in between. */
extern struct packet out, back;
extern uint8_t header[HEADER_MAX];

/* Pages "3 4 5|9" of a block into @out: content, then zero; uncompressed. */
void make(const struct ram_block *block, const char *pages);

/* The header at @from, of which there are @bytes, into @back. */
int decode(const struct packet_format *format, const uint8_t *from, size_t bytes, struct ferry_error *err);

/* @out over the wire and back; returns the length of the header. */
size_t cross(const struct packet_format *format);

/* The header is refused with a sentence that says @why. */
void assert_refused(const struct packet_format *format, size_t bytes, const char *why);

/* One value in a header that is wrong, and what is said of it; NULL: it is right after all. */
struct wrong {
    unsigned at;
    uint64_t value;
    unsigned bytes;
    const char *why;
};

void put_wrong(const struct wrong *wrong);

#endif
