/* SPDX-License-Identifier: BSD-3-Clause */
/* page_parts.c - pieces of devices' state on page channels: a checksum in front of each */
#include "page_parts.h"

#include "bytes.h"

#include <errno.h>
#include <inttypes.h>

uint32_t page_part_seal(uint8_t *payload, size_t bytes)
{
    store_be32(payload, packet_sum(payload + PAGE_PART_HEAD_BYTES, bytes));
    return (uint32_t)(PAGE_PART_HEAD_BYTES + bytes);
}

int page_part_check(const struct packet *packet, struct ferry_error *err)
{
    if (packet->payload_bytes > PAGE_PART_HEAD_BYTES && packet->payload_bytes <= PAGE_PART_MAX_BYTES)
        return 0;
    return ferry_error_set(
        err, -EPROTO, "device '%s' %" PRIu32 ": a piece of state of %" PRIu32 " bytes, %u to %u are possible",
        packet->device, packet->instance, packet->payload_bytes, PAGE_PART_HEAD_BYTES + 1, PAGE_PART_MAX_BYTES);
}

int page_part_open(const struct page_parts_sink *sink, const struct packet *packet, const uint8_t *payload,
                   struct ferry_error *err)
{
    size_t bytes = packet->payload_bytes - PAGE_PART_HEAD_BYTES;

    if (packet_sum(payload + PAGE_PART_HEAD_BYTES, bytes) == load_be32(payload))
        return sink->put(sink->opaque, packet, payload + PAGE_PART_HEAD_BYTES, bytes, err);
    ferry_error_set_code(err, FERRY_E_STREAM_BROKEN, -EBADMSG,
                         "device '%s' %" PRIu32 ": a piece of its state was damaged on its way: its checksum is wrong",
                         packet->device, packet->instance);
    ferry_error_object(err, "%s", packet->device);
    return -EBADMSG;
}
