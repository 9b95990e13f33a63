/* SPDX-License-Identifier: BSD-3-Clause */
/* mapped_ram.h - a file in which every page of guest memory has its own fixed place: the format
 *
 *      block list of the START section, one entry per block:
 *
 *      name length | header | bitmap | (sums) | hole up to 1 MiB | page 0 | page 1 | hole | page 3 ...   next entry
 *      '- stream -''- here ------------------'                   ^ pages_offset
 *
 * A page that is written again overwrites itself, so the file never holds more than the guest does.  A clear bit is a
 * zero page, whatever the file holds there.  Version 1 is QEMU's (capability mapped-ram), version 2 adds extensions;
 * docs/mapped-ram.md has the layout.  All here is memory in, memory out.
 */
#ifndef PAGES_MAPPED_RAM_H
#define PAGES_MAPPED_RAM_H

#include <ferry/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAPPED_RAM_CAPABILITY "mapped-ram" /* in CONFIGURATION */

#define MAPPED_HEAD_BYTES       28u   /* of every version */
#define MAPPED_HEADER_MAX_BYTES 128u  /* of what is encoded here */
#define MAPPED_EXTENSIONS_MAX   4096u /* of what is taken, its length field not counted */
#define MAPPED_SUM_BYTES        4u
#define MAPPED_VERSION_PLAIN    1u
#define MAPPED_VERSION_EXTENDED 2u

/* Kinds of extension; literal numbers, never reused. */
enum mapped_extension {
    MAPPED_SUMS = 1,        /* be64: where a be32 CRC32C for each page stands */
    MAPPED_COMPRESSION = 2, /* not in this release: refused by name */
    MAPPED_ENCRYPTION = 3,  /* likewise */
};

/* From here on a kind that is not known may be passed over. */
#define MAPPED_EXTENSION_OPTIONAL 0x8000u

/* Where a block lies in its file; absolute positions. */
struct mapped_place {
    uint32_t version;
    uint64_t bitmap_offset;
    uint64_t sums_offset; /* 0: none */
    uint64_t pages_offset;
};

/* Lay a block of @pages out whose header is to stand at @position. */
struct mapped_place mapped_place_at(uint64_t position, uint64_t pages, bool sums);

/* The header of @place, extensions included.  Returns its bytes, at most MAPPED_HEADER_MAX_BYTES. */
size_t mapped_header_encode(const struct mapped_place *place, uint8_t to[MAPPED_HEADER_MAX_BYTES]);

/* The fixed part.  place->version says whether a be32 length and that many bytes of extensions follow. */
int mapped_head_decode(const uint8_t from[MAPPED_HEAD_BYTES], struct mapped_place *place, struct ferry_error *err);
int mapped_extensions_decode(const uint8_t *from, size_t bytes, struct mapped_place *place, struct ferry_error *err);

/**
 * mapped_place_check() - is everything inside the file, behind its header, and nothing on top of another?
 * @header_end: where the header ends
 * @file_bytes: how large the file is
 */
int mapped_place_check(const struct mapped_place *place, uint64_t pages, uint64_t header_end, uint64_t file_bytes,
                       struct ferry_error *err);

/* Of a block of @pages. */
uint64_t mapped_bitmap_bytes(uint64_t pages);
uint64_t mapped_sums_bytes(uint64_t pages);

/* Bit i of the file's words is page i, in the little-endian order that x86 hosts write.  In place is legal. */
void mapped_bitmap_encode(const uint64_t *words, uint64_t pages, uint64_t *to);

/* Bits past the last page are refused. */
int mapped_bitmap_decode(const uint64_t *from, uint64_t pages, uint64_t *words, struct ferry_error *err);

#endif
