/* SPDX-License-Identifier: BSD-3-Clause */
/* mapped_ram.c - a file in which every page of guest memory has its own fixed place: the format
 *
 *      header   be32 version | be64 page size | be64 bitmap_offset | be64 pages_offset
 *               version 2:  | be32 bytes | { be16 kind, be16 0, be32 bytes, payload } ...
 *
 * Offsets are absolute positions of the file, also where the stream does not begin at its front.
 */
#include "mapped_ram.h"

#include "bytes.h"

#include <endian.h>
#include <errno.h>
#include <ferry/memory.h>
#include <inttypes.h>
#include <string.h>

#define PAGES_ALIGN          (UINT64_C(1) << 20)
#define EXTENSION_HEAD_BYTES 8u
#define SUMS_PAYLOAD_BYTES   8u

uint64_t mapped_bitmap_bytes(uint64_t pages)
{
    return (pages + 63) / 64 * 8;
}

uint64_t mapped_sums_bytes(uint64_t pages)
{
    return pages * MAPPED_SUM_BYTES;
}

/* ---- header, out ----------------------------------------------------------------------------------------------- */

static size_t header_bytes(bool sums)
{
    return MAPPED_HEAD_BYTES + (sums ? 4 + EXTENSION_HEAD_BYTES + SUMS_PAYLOAD_BYTES : 0);
}

struct mapped_place mapped_place_at(uint64_t position, uint64_t pages, bool sums)
{
    struct mapped_place place = { .version = sums ? MAPPED_VERSION_EXTENDED : MAPPED_VERSION_PLAIN };
    uint64_t end;

    place.bitmap_offset = position + header_bytes(sums);
    end = place.bitmap_offset + mapped_bitmap_bytes(pages);
    if (sums) {
        place.sums_offset = end;
        end += mapped_sums_bytes(pages);
    }
    place.pages_offset = (end + PAGES_ALIGN - 1) / PAGES_ALIGN * PAGES_ALIGN;
    return place;
}

size_t mapped_header_encode(const struct mapped_place *place, uint8_t to[MAPPED_HEADER_MAX_BYTES])
{
    store_be32(to, place->version);
    store_be64(to + 4, FERRY_PAGE_BYTES);
    store_be64(to + 12, place->bitmap_offset);
    store_be64(to + 20, place->pages_offset);
    if (place->version == MAPPED_VERSION_PLAIN)
        return MAPPED_HEAD_BYTES;
    to += MAPPED_HEAD_BYTES;
    store_be32(to, EXTENSION_HEAD_BYTES + SUMS_PAYLOAD_BYTES);
    store_be16(to + 4, MAPPED_SUMS);
    store_be16(to + 6, 0);
    store_be32(to + 8, SUMS_PAYLOAD_BYTES);
    store_be64(to + 12, place->sums_offset);
    return header_bytes(true);
}

/* ---- header, back ---------------------------------------------------------------------------------------------- */

int mapped_head_decode(const uint8_t from[MAPPED_HEAD_BYTES], struct mapped_place *place, struct ferry_error *err)
{
    uint64_t page_bytes = load_be64(from + 4);

    memset(place, 0, sizeof(*place));
    place->version = load_be32(from);
    place->bitmap_offset = load_be64(from + 12);
    place->pages_offset = load_be64(from + 20);
    if (place->version != MAPPED_VERSION_PLAIN && place->version != MAPPED_VERSION_EXTENDED)
        return ferry_error_set_code(err, FERRY_E_STREAM_VERSION, -EPROTO,
                                    "a mapped-ram header of version %" PRIu32 ", only %u and %u are understood",
                                    place->version, MAPPED_VERSION_PLAIN, MAPPED_VERSION_EXTENDED);
    if (page_bytes != FERRY_PAGE_BYTES)
        return ferry_error_set_code(err, FERRY_E_PAGE_SIZE, -EPROTO,
                                    "a mapped-ram file with pages of %" PRIu64 " bytes, only %d are understood",
                                    page_bytes, FERRY_PAGE_BYTES);
    return 0;
}

static int unknown_extension(unsigned kind, struct ferry_error *err)
{
    const char *name = kind == MAPPED_COMPRESSION ? "compression" : kind == MAPPED_ENCRYPTION ? "encryption" : NULL;

    if (name)
        return ferry_error_set_code(err, FERRY_E_UNKNOWN_CAPABILITY, -ENOTSUP,
                                    "the mapped-ram file uses %s, which is not in this release", name);
    return ferry_error_set_code(err, FERRY_E_UNKNOWN_CAPABILITY, -ENOTSUP,
                                "the mapped-ram file uses extension %u, which is not known here", kind);
}

static int decode_sums(const uint8_t *payload, size_t bytes, struct mapped_place *place, struct ferry_error *err)
{
    if (bytes != SUMS_PAYLOAD_BYTES || place->sums_offset != 0 || load_be64(payload) == 0)
        return ferry_error_set_code(err, FERRY_E_STREAM_BROKEN, -EPROTO,
                                    "the mapped-ram extension for checksums is not well formed");
    place->sums_offset = load_be64(payload);
    return 0;
}

int mapped_extensions_decode(const uint8_t *from, size_t bytes, struct mapped_place *place, struct ferry_error *err)
{
    while (bytes > 0) {
        uint32_t kind, payload;
        int ret = 0;

        if (bytes < EXTENSION_HEAD_BYTES || load_be32(from + 4) > bytes - EXTENSION_HEAD_BYTES)
            return ferry_error_set_code(err, FERRY_E_STREAM_BROKEN, -EPROTO,
                                        "a mapped-ram extension that is longer than the header it stands in");
        kind = load_be16(from);
        payload = load_be32(from + 4);
        if (kind == MAPPED_SUMS)
            ret = decode_sums(from + EXTENSION_HEAD_BYTES, payload, place, err);
        else if (kind < MAPPED_EXTENSION_OPTIONAL)
            ret = unknown_extension(kind, err);
        if (ret < 0)
            return ret;
        from += EXTENSION_HEAD_BYTES + payload;
        bytes -= EXTENSION_HEAD_BYTES + payload;
    }
    return 0;
}

/* [@at, @at + @bytes) begins at or behind *end and ends within @limit; *end moves behind it. */
static int check_region(const char *what, uint64_t at, uint64_t bytes, uint64_t limit, uint64_t *end,
                        struct ferry_error *err)
{
    if (at < *end)
        return ferry_error_set_code(err, FERRY_E_STREAM_BROKEN, -EPROTO,
                                    "the %s of a mapped-ram block lies at byte %" PRIu64 ", where only %" PRIu64
                                    " and above are free",
                                    what, at, *end);
    if (at > limit || bytes > limit - at)
        return ferry_error_set_code(err, FERRY_E_STREAM_ENDED, -EPROTO,
                                    "the %s of a mapped-ram block needs %" PRIu64 " bytes from byte %" PRIu64
                                    " on, but the file has %" PRIu64 " bytes",
                                    what, bytes, at, limit);
    *end = at + bytes;
    return 0;
}

int mapped_place_check(const struct mapped_place *place, uint64_t pages, uint64_t header_end, uint64_t file_bytes,
                       struct ferry_error *err)
{
    uint64_t end = header_end;
    int ret;

    if (pages > FERRY_RAM_BYTES_MAX >> FERRY_PAGE_SHIFT)
        return ferry_error_set_code(err, FERRY_E_MEMORY_LIMIT, -EPROTO, "a mapped-ram block of %" PRIu64 " pages",
                                    pages);
    if (place->pages_offset % FERRY_PAGE_BYTES)
        return ferry_error_set_code(err, FERRY_E_STREAM_BROKEN, -EPROTO,
                                    "the pages of a mapped-ram block lie at byte %" PRIu64 ", which is not a multiple "
                                    "of %d",
                                    place->pages_offset, FERRY_PAGE_BYTES);
    ret = check_region("bitmap", place->bitmap_offset, mapped_bitmap_bytes(pages), file_bytes, &end, err);
    if (ret == 0 && place->sums_offset)
        ret = check_region("checksums", place->sums_offset, mapped_sums_bytes(pages), file_bytes, &end, err);
    if (ret == 0)
        ret = check_region("memory", place->pages_offset, pages << FERRY_PAGE_SHIFT, file_bytes, &end, err);
    return ret;
}

/* ---- bitmap ---------------------------------------------------------------------------------------------------- */

void mapped_bitmap_encode(const uint64_t *words, uint64_t pages, uint64_t *to)
{
    for (uint64_t i = 0; i < (pages + 63) / 64; i++)
        to[i] = htole64(words[i]);
}

int mapped_bitmap_decode(const uint64_t *from, uint64_t pages, uint64_t *words, struct ferry_error *err)
{
    uint64_t count = (pages + 63) / 64;

    for (uint64_t i = 0; i < count; i++)
        words[i] = le64toh(from[i]);
    if (pages % 64 && words[count - 1] >> (pages % 64))
        return ferry_error_set_code(err, FERRY_E_STREAM_BROKEN, -EPROTO,
                                    "the bitmap of a mapped-ram block speaks of pages behind its last one, which is "
                                    "number %" PRIu64,
                                    pages - 1);
    return 0;
}
