/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_packets.c - one page channel of a QEMU: its packets, read and applied one by one
 *
 * Pages go through memory of the channel's own: they are needed whole, and where nothing is kept there is no other.
 */
#include "inspect_packets.h"

#include "codec.h"
#include "packet.h"
#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define PAYLOAD_BYTES (1u << 20) /* the most that v1 has */
#define PAGES_BYTES   (BATCH_PAGES * FERRY_PAGE_BYTES)

struct inspect_packets {
    struct ferry_reader *reader;           /* borrowed */
    struct report_connection *report;      /* borrowed */
    uint64_t offset;                       /* of the packet */
    struct decoder *decoders[CODEC_COUNT]; /* owned; made when the first packet of theirs comes */
    struct packet packet;
    uint8_t header[PACKET_HEAD_MAX + PACKET_REST_MAX];
    uint8_t pages[PAGES_BYTES];
    uint8_t payload[PAYLOAD_BYTES];
};

struct inspect_packets *inspect_packets_new(struct ferry_reader *reader, struct report_connection *report)
{
    struct inspect_packets *packets = calloc(1, sizeof(*packets));

    if (!packets)
        return NULL;
    packets->reader = reader;
    packets->report = report;
    return packets;
}

void inspect_packets_free(struct inspect_packets *packets)
{
    if (!packets)
        return;
    for (unsigned i = 0; i < CODEC_COUNT; i++)
        decoder_free(packets->decoders[i]);
    free(packets);
}

/* What is wrong with the packet, and where it begins: a reader has read past that. */
static int refuse(struct inspect_packets *packets, int errnum, struct ferry_error *why)
{
    ferry_error_prefix(why, "the packet at byte %" PRIu64, packets->offset);
    return reader_fail_why(packets->reader, errnum, why);
}

int inspect_packets_greeting(struct inspect_packets *packets)
{
    uint8_t greeting[PACKET_V1_GREETING_BYTES];
    struct ferry_error why = { 0 };
    unsigned channel;
    int ret = ferry_get_bytes(packets->reader, greeting, sizeof(greeting));

    if (ret < 0)
        return ret;
    ret = packet_v1_get_greeting(greeting, NULL, &channel, &why);
    if (ret < 0)
        return reader_fail_why(packets->reader, ret, &why);
    packets->report->channel = (int)channel;
    return 0;
}

/* A stream lives as long as its channel. */
static struct decoder *decoder_of(struct inspect_packets *packets, struct ferry_error *why)
{
    struct codec_terms terms = {
        .id = packets->packet.codec,
        .framing = CODEC_STREAM,
        .pages_max = BATCH_PAGES,
        .page_bytes = FERRY_PAGE_BYTES,
    };
    struct decoder **decoder = &packets->decoders[packets->packet.codec];

    if (!*decoder)
        *decoder = decoder_new(&terms, why);
    return *decoder;
}

/* The packet's pages, as they are in the guest, into packets->pages. */
static int get_content(struct inspect_packets *packets)
{
    const struct packet *packet = &packets->packet;
    unsigned count = (unsigned)packet->content_pages;
    uint8_t *page[BATCH_PAGES];
    struct codec_pages pages = { .page = page, .count = count, .page_bytes = FERRY_PAGE_BYTES };
    struct ferry_error why = { 0 };
    struct decoder *decoder;
    int ret;

    if (packet->codec == CODEC_NONE)
        return ferry_get_bytes(packets->reader, packets->pages, (size_t)count << FERRY_PAGE_SHIFT);
    ret = ferry_get_bytes(packets->reader, packets->payload, packet->payload_bytes);
    if (ret < 0)
        return ret;
    for (unsigned i = 0; i < count; i++)
        page[i] = packets->pages + ((size_t)i << FERRY_PAGE_SHIFT);
    decoder = decoder_of(packets, &why);
    ret = decoder ? decoder_decode(decoder, packets->payload, packet->payload_bytes, &pages, &why) : why.errnum;
    return ret < 0 ? refuse(packets, ret, &why) : 0;
}

static int take_pages(struct inspect_packets *packets, struct inspect_ram *ram)
{
    const struct packet *packet = &packets->packet;
    const uint8_t *at = packets->pages;
    struct ferry_error why = { 0 };
    int ret = packet->content_pages > 0 ? get_content(packets) : 0;

    for (unsigned i = 0; ret == 0 && i < packet->runs; i++) {
        bool content = i < packet->content_runs;

        ret = inspect_ram_put(ram, packet->block, &packet->run[i], content ? at : NULL, &why);
        if (ret < 0)
            return refuse(packets, ret, &why);
        at += content ? packet->run[i].count << FERRY_PAGE_SHIFT : 0;
    }
    packets->report->normal += packet->content_pages;
    packets->report->zero += packet->zero_pages;
    packets->report->pages[packet->codec] += packet->content_pages;
    return ret;
}

static int get_header(struct inspect_packets *packets, const struct ram_map *map)
{
    const struct packet_format *format = &packet_v1;
    struct ferry_error why = { 0 };
    size_t rest;
    int ret = ferry_get_bytes(packets->reader, packets->header, format->head_bytes);

    if (ret < 0)
        return ret;
    ret = format->decode_head(&packets->packet, packets->header, &rest, &why);
    if (ret < 0)
        return refuse(packets, ret, &why);
    ret = ferry_get_bytes(packets->reader, packets->header + format->head_bytes, rest);
    if (ret < 0)
        return ret;
    ret = format->decode(&packets->packet, map, packets->header, &why);
    return ret < 0 ? refuse(packets, ret, &why) : 0;
}

int inspect_packets_next(struct inspect_packets *packets, const struct ram_map *map, struct inspect_ram *ram)
{
    const struct packet *packet = &packets->packet;
    int ret = reader_at_end(packets->reader);

    if (ret != 0)
        return ret < 0 ? ret : CAME_END;
    packets->offset = ferry_reader_offset(packets->reader);
    ret = get_header(packets, map);
    if (ret == 0 && packet->kind == PACKET_PAGES)
        ret = take_pages(packets, ram);
    else if (ret == 0 && packet->kind == PACKET_DEVICE)
        ret = ferry_reader_skip(packets->reader, packet->payload_bytes);
    packets->report->bytes = ferry_reader_offset(packets->reader);
    if (ret < 0)
        return ret;
    packets->report->packets++;
    if (packet->kind == PACKET_DEVICE)
        packets->report->device_bytes += packet->payload_bytes;
    return packet->kind == PACKET_SYNC || packet->sync ? CAME_SYNC : CAME_PAGES;
}
