/* SPDX-License-Identifier: BSD-3-Clause */
/* page_parts.h - pieces of devices' state on page channels: who gives them, and who takes them
 *
 *      source        take --> thread 0 --> DEVICE packet --> channel 0        each thread until there is none left
 *                    take --> thread 1 --> DEVICE packet --> channel 1
 *      destination   channel i --> packet --> put                            in any order, all before the next sync
 *
 * Payload: be32 CRC32C of the bytes, then the bytes.
 */
#ifndef PAGES_PAGE_PARTS_H
#define PAGES_PAGE_PARTS_H

#include "packet.h"

#include <ferry/iterative.h>
#include <sys/types.h>

#define PAGE_PART_HEAD_BYTES 4u
#define PAGE_PART_MAX_BYTES  (PAGE_PART_HEAD_BYTES + FERRY_PART_MAX) /* of a payload */

/* Thread: any, several at once. */
struct page_parts_source {
    /* The next piece: @packet's device and instance, and at most FERRY_PART_MAX bytes at @to.  Returns how many; 0:
     * none is left; or a negative errno. */
    ssize_t (*take)(void *opaque, struct packet *packet, uint8_t *to, struct ferry_error *err);
    void *opaque;
};

/* Likewise. */
struct page_parts_sink {
    int (*put)(void *opaque, const struct packet *packet, const uint8_t *data, size_t bytes, struct ferry_error *err);
    void *opaque;
};

/* Make a payload of @bytes that lie behind its head.  Returns its bytes. */
uint32_t page_part_seal(uint8_t *payload, size_t bytes);

/* What came as @packet's payload.  Nothing of it is given on unless its checksum fits. */
int page_part_open(const struct page_parts_sink *sink, const struct packet *packet, const uint8_t *payload,
                   struct ferry_error *err);

/* Before it is read: may it be as long as it says? */
int page_part_check(const struct packet *packet, struct ferry_error *err);

#endif
