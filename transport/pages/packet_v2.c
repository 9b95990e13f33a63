/* SPDX-License-Identifier: BSD-3-Clause */
/* packet_v2.c - the packet of the ferry dialect
 *
 *      head    magic version kind codec flags round payload sequence ... crc                36 bytes
 *      rest    PAGES: runs, 8 bytes each: first page << 24 | count - 1
 *                     checksums, 4 bytes per page with content, where FLAG_SUMS says so
 *              DEVICE: the name
 *
 * A packet is as large as what it says: 44 bytes for pages that are neighbours, or for 64 GiB of zeros.  The checksum
 * of the header is always there.  Numbers on the wire stand here, in codec.h and in docs/protocol.md, and are never
 * used again.
 */
#include "packet.h"

#include "bytes.h"
#include "packet_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define MAGIC      UINT32_C(0x4652504b) /* "FRPK" */
#define VERSION    2
#define HEAD_BYTES 36
#define RUN_BYTES  8
#define SUM_BYTES  4
#define COUNT_BITS 24
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_KIND = 5,
    AT_CODEC = 6,
    AT_FLAGS = 7,
    AT_ROUND = 8,
    AT_PAYLOAD = 12,
    AT_SEQUENCE = 16,
    /* of pages */
    AT_BLOCK = 24,
    AT_CONTENT_PAGES = 26,
    AT_CONTENT_RUNS = 28,
    AT_ZERO_RUNS = 30,
    /* of a device */
    AT_INSTANCE = 24,
    AT_NAME_BYTES = 28,
    /* of all */
    AT_CRC = 32,
};

#define FLAG_SUMS 0x01

/* Number 0 is invalid. */
static const enum packet_kind kinds[] = {
    [1] = PACKET_PAGES, [2] = PACKET_SYNC, [3] = PACKET_DEVICE, [4] = PACKET_END
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

_Static_assert(BATCH_PAGES_MAX *(RUN_BYTES + SUM_BYTES) <= PACKET_REST_MAX, "the rest fits");
_Static_assert(PACKET_RUN_PAGES - 1 == COUNT_MASK, "a run of the greatest length fits into its entry");
_Static_assert(FERRY_BLOCKS_MAX <= UINT16_MAX, "so does the number of a block");

/* Of all but the checksum itself. */
static uint32_t header_crc(const uint8_t *header, size_t rest)
{
    return packet_sum_more(packet_sum(header, AT_CRC), header + HEAD_BYTES, rest);
}

/* ---- out ------------------------------------------------------------------------------------------------------- */

static uint8_t wire_kind(enum packet_kind kind)
{
    uint8_t wire = 1;

    while (wire < KINDS - 1 && kinds[wire] != kind)
        wire++;
    return wire;
}

/* Returns the bytes of the rest. */
static size_t put_pages(uint8_t *to, const struct packet *packet)
{
    bool summed = packet->summed && packet->content_pages > 0;
    uint8_t *rest = to + HEAD_BYTES;

    to[AT_CODEC] = packet->content_pages > 0 ? (uint8_t)packet->codec : 0;
    to[AT_FLAGS] = summed ? FLAG_SUMS : 0;
    store_be16(to + AT_BLOCK, (uint16_t)packet->block->index);
    store_be16(to + AT_CONTENT_PAGES, (uint16_t)packet->content_pages);
    store_be16(to + AT_CONTENT_RUNS, (uint16_t)packet->content_runs);
    store_be16(to + AT_ZERO_RUNS, (uint16_t)(packet->runs - packet->content_runs));
    for (unsigned i = 0; i < packet->runs; i++, rest += RUN_BYTES)
        store_be64(rest, packet->run[i].first << COUNT_BITS | (packet->run[i].count - 1));
    for (unsigned i = 0; summed && i < packet->content_pages; i++, rest += SUM_BYTES)
        store_be32(rest, packet->sum[i]);
    return (size_t)(rest - to) - HEAD_BYTES;
}

static size_t put_device(uint8_t *to, const struct packet *packet)
{
    size_t name_bytes = strlen(packet->device);

    store_be32(to + AT_INSTANCE, packet->instance);
    store_be16(to + AT_NAME_BYTES, (uint16_t)name_bytes);
    memcpy(to + HEAD_BYTES, packet->device, name_bytes);
    return name_bytes;
}

static size_t v2_encode(const struct packet *packet, uint8_t *to)
{
    size_t rest = 0;

    memset(to, 0, HEAD_BYTES);
    store_be32(to + AT_MAGIC, MAGIC);
    to[AT_VERSION] = VERSION;
    to[AT_KIND] = wire_kind(packet->kind);
    store_be32(to + AT_ROUND, packet->round);
    store_be32(to + AT_PAYLOAD, packet->payload_bytes);
    store_be64(to + AT_SEQUENCE, packet->sequence);
    if (packet->kind == PACKET_PAGES)
        rest = put_pages(to, packet);
    else if (packet->kind == PACKET_DEVICE)
        rest = put_device(to, packet);
    store_be32(to + AT_CRC, header_crc(to, rest));
    return HEAD_BYTES + rest;
}

/* ---- back: how much there is ----------------------------------------------------------------------------------- */

static int pages_rest(const uint8_t *head, size_t *rest, struct ferry_error *err)
{
    unsigned pages = load_be16(head + AT_CONTENT_PAGES), content = load_be16(head + AT_CONTENT_RUNS);
    unsigned zero = load_be16(head + AT_ZERO_RUNS);

    if (pages > BATCH_PAGES_MAX || content > pages || content + zero > BATCH_PAGES_MAX || content + zero == 0)
        return ferry_error_set(err, -EPROTO, "a packet of %u pages in %u runs, and %u runs of zero pages", pages,
                               content, zero);
    if ((content == 0) != (pages == 0))
        return ferry_error_set(err, -EPROTO, "a packet of %u pages in %u runs", pages, content);
    *rest = (content + zero) * RUN_BYTES + (head[AT_FLAGS] & FLAG_SUMS ? pages * SUM_BYTES : 0);
    return 0;
}

static int v2_decode_head(struct packet *packet, const uint8_t *head, size_t *rest, struct ferry_error *err)
{
    unsigned kind = head[AT_KIND];

    if (load_be32(head + AT_MAGIC) != MAGIC)
        return ferry_error_set(err, -EPROTO, "a packet begins with 0x%08" PRIx32, load_be32(head + AT_MAGIC));
    if (head[AT_VERSION] != VERSION)
        return ferry_error_set(err, -EPROTO, "a packet of version %u, only %d is known", head[AT_VERSION], VERSION);
    if (kind == 0 || kind >= KINDS)
        return ferry_error_set(err, -EPROTO, "a packet of kind %u", kind);
    if (kinds[kind] == PACKET_PAGES)
        return pages_rest(head, rest, err);
    *rest = kinds[kind] == PACKET_DEVICE ? load_be16(head + AT_NAME_BYTES) : 0;
    if (*rest >= sizeof(packet->device))
        return ferry_error_set(err, -EPROTO, "a packet with a name of %zu bytes", *rest);
    return 0;
}

/* ---- back: what it is ------------------------------------------------------------------------------------------ */

static int get_codec(struct packet *packet, const uint8_t *header, struct ferry_error *err)
{
    uint64_t raw = packet->content_pages << FERRY_PAGE_SHIFT;
    bool fits;

    if (header[AT_CODEC] >= CODEC_COUNT)
        return ferry_error_set_code(err, FERRY_E_UNKNOWN_COMMAND, -ENOTSUP, "a packet of codec %u", header[AT_CODEC]);
    packet->codec = (enum codec_id)header[AT_CODEC];
    packet->summed = header[AT_FLAGS] & FLAG_SUMS;
    if (header[AT_FLAGS] & ~FLAG_SUMS || (packet->content_pages == 0 && (header[AT_CODEC] || packet->summed)))
        return ferry_error_set(err, -EPROTO, "a packet of %" PRIu64 " pages with codec %u and flags 0x%02x",
                               packet->content_pages, header[AT_CODEC], header[AT_FLAGS]);
    if (packet->codec == CODEC_NONE)
        fits = packet->payload_bytes == raw;
    else
        fits = packet->payload_bytes > 0 && packet->payload_bytes <= raw * 2;
    return fits ? 0
                : ferry_error_set(err, -EPROTO, "%" PRIu32 " bytes of payload for %" PRIu64 " pages%s",
                                  packet->payload_bytes, packet->content_pages,
                                  packet->codec == CODEC_NONE ? "" : ", compressed");
}

/* One of the two parts.  *pages: how many there are. */
static int get_runs(struct packet *packet, const uint8_t *from, unsigned count, uint64_t *pages,
                    struct ferry_error *err)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t word = load_be64(from + RUN_BYTES * i);
        struct packet_run run = { word >> COUNT_BITS, (word & COUNT_MASK) + 1 };

        if (run.first >= packet->block->pages || run.count > packet->block->pages - run.first)
            return ferry_error_set(err, -EPROTO, "%" PRIu64 " pages from %" PRIu64 " on, of %" PRIu64, run.count,
                                   run.first, packet->block->pages);
        packet->run[packet->runs++] = run;
        *pages += run.count;
    }
    return 0;
}

static int get_pages(struct packet *packet, const uint8_t *header, struct ferry_error *err)
{
    unsigned content = load_be16(header + AT_CONTENT_RUNS), zero = load_be16(header + AT_ZERO_RUNS);
    const uint8_t *at = header + HEAD_BYTES;
    int ret = get_runs(packet, at, content, &packet->content_pages, err);

    packet->content_runs = packet->runs;
    at += RUN_BYTES * content;
    if (ret == 0)
        ret = get_runs(packet, at, zero, &packet->zero_pages, err);
    if (ret < 0)
        return ret;
    if (packet->content_pages != load_be16(header + AT_CONTENT_PAGES))
        return ferry_error_set(err, -EPROTO, "runs of %" PRIu64 " pages in a packet of %u", packet->content_pages,
                               load_be16(header + AT_CONTENT_PAGES));
    if (!packet_ascends(packet))
        return ferry_error_set(err, -EPROTO, "the pages of a packet do not ascend");
    ret = get_codec(packet, header, err);
    if (ret < 0)
        return ret;
    at += RUN_BYTES * zero;
    for (unsigned i = 0; packet->summed && i < packet->content_pages; i++)
        packet->sum[i] = load_be32(at + SUM_BYTES * i);
    return 0;
}

static int get_block(struct packet *packet, const struct ram_map *map, const uint8_t *header, struct ferry_error *err)
{
    unsigned index = load_be16(header + AT_BLOCK);
    int ret;

    if (index >= map->count)
        return ferry_error_set_code(err, FERRY_E_BAD_PAGE_RECORD, -EPROTO, "pages of block %u of %u", index,
                                    map->count);
    packet->block = map->blocks[index];
    ret = get_pages(packet, header, err);
    if (ret == -EPROTO) {
        ferry_error_prefix(err, "block '%s'", packet->block->info.name);
        ferry_error_object(err, "%s", packet->block->info.name);
        ferry_error_code(err, FERRY_E_BAD_PAGE_RECORD);
    }
    return ret;
}

static int get_device(struct packet *packet, const uint8_t *header, size_t name_bytes, struct ferry_error *err)
{
    if (name_bytes == 0 || memchr(header + HEAD_BYTES, '\0', name_bytes) || header[AT_CODEC] || header[AT_FLAGS] ||
        load_be16(header + AT_NAME_BYTES + 2) != 0)
        return ferry_error_set(err, -EPROTO, "a malformed packet of device state");
    memcpy(packet->device, header + HEAD_BYTES, name_bytes);
    packet->device[name_bytes] = '\0';
    packet->instance = load_be32(header + AT_INSTANCE);
    if (packet->payload_bytes == 0 || packet->payload_bytes > PACKET_DEVICE_MAX)
        return ferry_error_set(err, -EPROTO, "device '%s': a packet with %" PRIu32 " bytes of state, at most %u",
                               packet->device, packet->payload_bytes, PACKET_DEVICE_MAX);
    return 0;
}

static int v2_decode(struct packet *packet, const struct ram_map *map, const uint8_t *header, struct ferry_error *err)
{
    size_t rest;
    int ret = v2_decode_head(packet, header, &rest, err);

    if (ret < 0)
        return ret;
    if (load_be32(header + AT_CRC) != header_crc(header, rest))
        return ferry_error_set(err, -EPROTO, "the header of a packet was damaged on its way: its checksum is wrong");
    packet_reset(packet, kinds[header[AT_KIND]]);
    packet->round = load_be32(header + AT_ROUND);
    packet->payload_bytes = load_be32(header + AT_PAYLOAD);
    packet->sequence = load_be64(header + AT_SEQUENCE);
    if (packet->kind == PACKET_PAGES)
        return get_block(packet, map, header, err);
    if (packet->kind == PACKET_DEVICE)
        return get_device(packet, header, rest, err);
    if (packet->payload_bytes || header[AT_CODEC] || header[AT_FLAGS] || load_be64(header + AT_BLOCK))
        return ferry_error_set(err, -EPROTO, "a packet without pages that says something about them");
    return 0;
}

const struct packet_format packet_v2 = {
    .name = "v2",
    .head_bytes = HEAD_BYTES,
    .batch_pages = BATCH_PAGES_MAX,
    .zero_runs = true,
    .encode = v2_encode,
    .decode_head = v2_decode_head,
    .decode = v2_decode,
};
