/* SPDX-License-Identifier: BSD-3-Clause */
/* fuzz_packet.c - any bytes as the headers of packets: refused, or exactly what they say
 *
 *      input   format, then headers one behind the other
 *
 * The checksum of a v2 header is made right first, or nothing would ever get past it.
 */
#include "fuzz.h"

#include "bytes.h"
#include "packet.h"

#include <stdlib.h>
#include <string.h>

#define V2_CRC  32
#define V2_HEAD 36

static struct ram_block ram = { .info = { .name = "pc.ram" }, .pages = UINT64_C(1) << 34 };
static struct ram_block rom = { .info = { .name = "pc.rom" }, .pages = 64, .index = 1 };
static struct ram_block *blocks[] = { &ram, &rom };
static const struct ram_map map = { .blocks = blocks, .count = 2 };

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void seal(uint8_t *header, size_t bytes)
{
    uint8_t covered[PACKET_HEAD_MAX + PACKET_REST_MAX];

    memcpy(covered, header, V2_CRC);
    memcpy(covered + V2_CRC, header + V2_HEAD, bytes - V2_HEAD);
    store_be32(header + V2_CRC, packet_sum(covered, bytes - (V2_HEAD - V2_CRC)));
}

static void check_pages(const struct packet *packet, const struct packet_format *format)
{
    uint64_t content = 0, zero = 0;

    must(packet->runs > 0 && packet->runs <= BATCH_PAGES_MAX && packet->content_runs <= packet->runs);
    for (unsigned i = 0; i < packet->runs; i++) {
        must(packet->run[i].count > 0 && packet->run[i].count <= packet->block->pages);
        must(packet->run[i].first <= packet->block->pages - packet->run[i].count);
        for (unsigned j = 0; j < i; j++)
            must(packet->run[i].first >= packet->run[j].first + packet->run[j].count ||
                 packet->run[j].first >= packet->run[i].first + packet->run[i].count);
        *(i < packet->content_runs ? &content : &zero) += packet->run[i].count;
    }
    must(content == packet->content_pages && zero == packet->zero_pages && content <= format->batch_pages);
    must((content == 0) == (packet->payload_bytes == 0) && packet->payload_bytes <= PACKET_PAYLOAD_MAX);
}

/* One header of @bytes.  Returns how many of them it was, 0 when it was refused. */
static size_t one(const struct packet_format *format, const uint8_t *from, size_t bytes)
{
    static struct packet packet;
    static uint8_t again[PACKET_HEAD_MAX + PACKET_REST_MAX];
    struct ferry_error err = { 0 };
    size_t rest = 0, whole;
    uint8_t *header;
    int ret;

    if (bytes < format->head_bytes)
        return 0;
    ret = format->decode_head(&packet, from, &rest, &err);
    must(ret == 0 || (ret == err.errnum && err.text[0]));
    if (ret < 0 || bytes < format->head_bytes + rest)
        return 0;
    must(rest <= PACKET_REST_MAX);
    whole = format->head_bytes + rest;
    header = malloc(whole); /* exactly, so that a sanitizer sees a step too far */
    must(header);
    memcpy(header, from, whole);
    if (format == &packet_v2)
        seal(header, whole);
    ret = format->decode(&packet, &map, header, &err);
    must(ret == 0 || (ret == err.errnum && err.text[0]));
    if (ret == 0 && packet.kind == PACKET_PAGES)
        check_pages(&packet, format);
    if (ret == 0 && packet.kind == PACKET_DEVICE)
        must(packet.payload_bytes > 0 && packet.payload_bytes <= PACKET_DEVICE_MAX && packet.device[0]);
    /* v2 says everything in one way. */
    if (ret == 0 && format == &packet_v2)
        must(format->encode(&packet, again) == whole && !memcmp(again, header, whole));
    free(header);
    return ret == 0 ? whole : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const struct packet_format *format = bytes > 0 && data[0] == 1 ? &packet_v1 : &packet_v2;

    for (size_t at = 1, used = 1; at < bytes && used > 0; at += used)
        used = one(format, data + at, bytes - at);
    return 0;
}
