/* SPDX-License-Identifier: BSD-3-Clause */
/* packet_v1.c - the packet of QEMU's page channels (multifd)
 *
 *      head    magic version flags                                               12 bytes
 *      rest    counts, payload's length, number, name of the block, offsets    1332 bytes, however few pages
 *              or, flag DEVICE: name, instance, payload's length                264 bytes
 *
 * Old senders (up to 8.2) leave in a packet without pages whatever was there before, put the sync on a packet with
 * pages, and send packets that say nothing.  Where fields lie: docs/protocol.md.
 */
#include "packet.h"

#include "bytes.h"
#include "packet_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define MAGIC         UINT32_C(0x11223344)
#define VERSION       1
#define PAGES         128 /* in a packet */
#define NAME_BYTES    256
#define HEAD_BYTES    12
#define PAGES_BYTES   1344 /* of the header */
#define DEVICE_BYTES  276
#define PAYLOAD_BYTES (1u << 20)

enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_FLAGS = 8,
    AT_ROOM = 12,
    AT_CONTENT = 16,
    AT_PAYLOAD = 20,
    AT_NUMBER = 24,
    AT_ZERO = 32,
    AT_NAME = 64,
    AT_OFFSETS = 320,
    /* of a device */
    AT_DEVICE = 12,
    AT_INSTANCE = 268,
    AT_DEVICE_PAYLOAD = 272,
};

enum {
    FLAG_SYNC = 0x01,
    FLAG_ZLIB = 0x02,
    FLAG_ZSTD = 0x04,
    FLAG_DEVICE = 0x40,
    CODECS = 0x3e, /* the bits that say which */
};

_Static_assert(PAGES <= BATCH_PAGES_MAX, "a packet's pages fit into its runs");
_Static_assert(PAGES_BYTES - HEAD_BYTES <= PACKET_REST_MAX, "the rest fits into what readers have for it");
_Static_assert(PAYLOAD_BYTES <= PACKET_PAYLOAD_MAX, "the payload, too");

/* ---- out ------------------------------------------------------------------------------------------------------- */

static uint32_t flags_of(const struct packet *packet)
{
    uint32_t flags = packet->sync ? FLAG_SYNC : 0;

    if (packet->codec == CODEC_ZLIB)
        flags |= FLAG_ZLIB;
    else if (packet->codec == CODEC_ZSTD)
        flags |= FLAG_ZSTD;
    return flags;
}

static void put_head(uint8_t *to, size_t bytes, uint32_t flags)
{
    memset(to, 0, bytes);
    store_be32(to + AT_MAGIC, MAGIC);
    store_be32(to + AT_VERSION, VERSION);
    store_be32(to + AT_FLAGS, flags);
}

static void put_pages(uint8_t *to, const struct packet *packet)
{
    uint8_t *offset = to + AT_OFFSETS;

    put_head(to, PAGES_BYTES, flags_of(packet));
    store_be32(to + AT_ROOM, PAGES);
    store_be32(to + AT_CONTENT, (uint32_t)packet->content_pages);
    store_be32(to + AT_PAYLOAD, packet->payload_bytes);
    store_be64(to + AT_NUMBER, packet->sequence);
    store_be32(to + AT_ZERO, (uint32_t)packet->zero_pages);
    memcpy(to + AT_NAME, packet->block->info.name, strlen(packet->block->info.name));
    for (unsigned i = 0; i < packet->runs; i++)
        for (uint64_t page = 0; page < packet->run[i].count; page++, offset += 8)
            store_be64(offset, (packet->run[i].first + page) << FERRY_PAGE_SHIFT);
}

static size_t v1_encode(const struct packet *packet, uint8_t *to)
{
    switch (packet->kind) {
    case PACKET_PAGES:
        put_pages(to, packet);
        return PAGES_BYTES;
    case PACKET_SYNC:
        put_head(to, PAGES_BYTES, FLAG_SYNC);
        store_be64(to + AT_NUMBER, packet->sequence);
        return PAGES_BYTES;
    case PACKET_DEVICE:
        put_head(to, DEVICE_BYTES, FLAG_DEVICE);
        memcpy(to + AT_DEVICE, packet->device, strlen(packet->device));
        store_be32(to + AT_INSTANCE, packet->instance);
        store_be32(to + AT_DEVICE_PAYLOAD, packet->payload_bytes);
        return DEVICE_BYTES;
    default:
        return 0;
    }
}

/* ---- back ------------------------------------------------------------------------------------------------------ */

static int v1_decode_head(struct packet *packet, const uint8_t *head, size_t *rest, struct ferry_error *err)
{
    uint32_t flags = load_be32(head + AT_FLAGS);

    if (load_be32(head + AT_MAGIC) != MAGIC)
        return ferry_error_set(err, -EPROTO, "a packet begins with 0x%08" PRIx32, load_be32(head + AT_MAGIC));
    if (load_be32(head + AT_VERSION) != VERSION)
        return ferry_error_set(err, -EPROTO, "a packet of version %" PRIu32 ", only %d is known",
                               load_be32(head + AT_VERSION), VERSION);
    if (flags & FLAG_DEVICE ? flags != FLAG_DEVICE : flags & ~(uint32_t)(FLAG_SYNC | CODECS))
        return ferry_error_set(err, -EPROTO, "a packet with flags 0x%" PRIx32, flags);
    *rest = (flags & FLAG_DEVICE ? DEVICE_BYTES : PAGES_BYTES) - HEAD_BYTES;
    return 0;
}

static int get_codec(struct packet *packet, uint32_t flags, struct ferry_error *err)
{
    switch (flags & CODECS) {
    case 0:
        packet->codec = CODEC_NONE;
        return 0;
    case FLAG_ZLIB:
        packet->codec = CODEC_ZLIB;
        return 0;
    case FLAG_ZSTD:
        packet->codec = CODEC_ZSTD;
        return 0;
    default:
        return ferry_error_set_code(err, FERRY_E_UNKNOWN_COMMAND, -ENOTSUP,
                                    "a packet compressed by method 0x%" PRIx32 ", only zlib and zstd are understood",
                                    flags & CODECS);
    }
}

/* Those from @at on, as runs. */
static int get_offsets(struct packet *packet, const uint8_t *at, unsigned count, struct ferry_error *err)
{
    uint64_t pages[PAGES];

    for (unsigned i = 0; i < count; i++) {
        uint64_t offset = load_be64(at + 8 * i);

        if (offset % FERRY_PAGE_BYTES || offset >> FERRY_PAGE_SHIFT >= packet->block->pages)
            return ferry_error_set(err, -EPROTO, "offset 0x%" PRIx64 " is that of none of the %" PRIu64 " pages",
                                   offset, packet->block->pages);
        pages[i] = offset >> FERRY_PAGE_SHIFT;
    }
    packet_add_pages(packet, pages, count);
    return 0;
}

static int get_runs(struct packet *packet, const uint8_t *header, struct ferry_error *err)
{
    unsigned content = (unsigned)packet->content_pages, zero = (unsigned)packet->zero_pages;
    int ret = get_offsets(packet, header + AT_OFFSETS, content, err);

    packet->content_runs = packet->runs;
    if (ret == 0)
        ret = get_offsets(packet, header + AT_OFFSETS + 8 * content, zero, err);
    if (ret == 0 && !packet_runs_apart(packet))
        ret = ferry_error_set(err, -EPROTO, "a page stands twice in a packet");
    if (ret < 0) {
        ferry_error_prefix(err, "block '%s'", packet->block->info.name);
        ferry_error_object(err, "%s", packet->block->info.name);
        ferry_error_code(err, FERRY_E_BAD_PAGE_RECORD);
    }
    return ret;
}

static int get_payload(struct packet *packet, uint32_t bytes, struct ferry_error *err)
{
    uint32_t raw = (uint32_t)packet->content_pages << FERRY_PAGE_SHIFT;

    packet->payload_bytes = packet->content_pages > 0 ? bytes : 0;
    if (packet->content_pages == 0)
        return 0;
    if (packet->codec == CODEC_NONE ? bytes != raw : bytes == 0 || bytes > PAYLOAD_BYTES)
        return ferry_error_set(err, -EPROTO, "%" PRIu32 " bytes of payload for %" PRIu64 " pages%s", bytes,
                               packet->content_pages, packet->codec == CODEC_NONE ? "" : ", compressed");
    return 0;
}

/* A packet with pages; the counts were checked. */
static int get_pages(struct packet *packet, const struct ram_map *map, const uint8_t *header, struct ferry_error *err)
{
    const char *name = (const char *)header + AT_NAME;
    int ret = get_codec(packet, load_be32(header + AT_FLAGS), err);

    if (ret < 0)
        return ret;
    if (!memchr(name, '\0', NAME_BYTES))
        return ferry_error_set(err, -EPROTO, "the name of a block has no end");
    packet->block = ram_map_find(map, name);
    if (!packet->block) {
        ferry_error_set_code(err, FERRY_E_BAD_PAGE_RECORD, -EPROTO,
                             "pages of block '%s', which is not in the block list", name);
        ferry_error_object(err, "%s", name);
        return -EPROTO;
    }
    ret = get_payload(packet, load_be32(header + AT_PAYLOAD), err);
    return ret < 0 ? ret : get_runs(packet, header, err);
}

static int get_device(struct packet *packet, const uint8_t *header, struct ferry_error *err)
{
    const char *name = (const char *)header + AT_DEVICE;

    packet_reset(packet, PACKET_DEVICE);
    packet->instance = load_be32(header + AT_INSTANCE);
    packet->payload_bytes = load_be32(header + AT_DEVICE_PAYLOAD);
    if (!memchr(name, '\0', NAME_BYTES) || name[0] == '\0')
        return ferry_error_set(err, -EPROTO, "device state under a name that is empty or has no end");
    if (packet->payload_bytes == 0 || packet->payload_bytes > PACKET_DEVICE_MAX)
        return ferry_error_set(err, -EPROTO, "device '%s': a packet with %" PRIu32 " bytes of state, at most %u", name,
                               packet->payload_bytes, PACKET_DEVICE_MAX);
    memcpy(packet->device, name, NAME_BYTES);
    return 0;
}

static int v1_decode(struct packet *packet, const struct ram_map *map, const uint8_t *header, struct ferry_error *err)
{
    uint32_t room = load_be32(header + AT_ROOM), flags = load_be32(header + AT_FLAGS);
    uint32_t content = load_be32(header + AT_CONTENT), zero = load_be32(header + AT_ZERO);
    size_t rest;
    int ret = v1_decode_head(packet, header, &rest, err);

    if (ret < 0)
        return ret;
    if (flags & FLAG_DEVICE)
        return get_device(packet, header, err);
    if (room > PAGES || content > room || zero > room - content)
        return ferry_error_set(err, -EPROTO,
                               "a packet with %" PRIu32 " pages and %" PRIu32 " zero ones, in room for %" PRIu32
                               ", at most %d",
                               content, zero, room, PAGES);
    packet_reset(packet, PACKET_PAGES);
    packet->sequence = load_be64(header + AT_NUMBER);
    packet->content_pages = content;
    packet->zero_pages = zero;
    packet->sync = flags & FLAG_SYNC;
    if (content + zero > 0)
        return get_pages(packet, map, header, err);
    packet->kind = packet->sync ? PACKET_SYNC : PACKET_NOTHING;
    packet->sync = false;
    return 0;
}

const struct packet_format packet_v1 = {
    .name = "v1",
    .head_bytes = HEAD_BYTES,
    .batch_pages = PAGES,
    .encode = v1_encode,
    .decode_head = v1_decode_head,
    .decode = v1_decode,
};

/* ---- the greeting ---------------------------------------------------------------------------------------------- */

enum {
    AT_UUID = 8,
    AT_CHANNEL = 24,
    UUID_BYTES = 16,
};

void packet_v1_put_greeting(uint8_t to[PACKET_V1_GREETING_BYTES], const uint8_t uuid[16], unsigned channel)
{
    memset(to, 0, PACKET_V1_GREETING_BYTES);
    store_be32(to + AT_MAGIC, MAGIC);
    store_be32(to + AT_VERSION, VERSION);
    memcpy(to + AT_UUID, uuid, UUID_BYTES);
    to[AT_CHANNEL] = (uint8_t)channel;
}

int packet_v1_get_greeting(const uint8_t from[PACKET_V1_GREETING_BYTES], const uint8_t uuid[16], unsigned *channel,
                           struct ferry_error *err)
{
    if (load_be32(from + AT_MAGIC) != MAGIC)
        return ferry_error_set_code(err, FERRY_E_NOT_A_STREAM, -EPROTO,
                                    "the connection begins with 0x%08" PRIx32 ", no page channel does",
                                    load_be32(from + AT_MAGIC));
    if (load_be32(from + AT_VERSION) != VERSION)
        return ferry_error_set_code(err, FERRY_E_STREAM_VERSION, -EPROTO,
                                    "a page channel of version %" PRIu32 ", only %d is known",
                                    load_be32(from + AT_VERSION), VERSION);
    if (uuid && memcmp(from + AT_UUID, uuid, UUID_BYTES) != 0)
        return ferry_error_set_code(err, FERRY_E_FOREIGN_CONNECTION, -EACCES,
                                    "a page channel of a guest with another UUID");
    *channel = from[AT_CHANNEL];
    return 0;
}
