/* SPDX-License-Identifier: BSD-3-Clause */
/* packet.h - a batch on the wire: what stands before the payload
 *
 *      | head: fixed | rest: runs, checksums | payload: pages, raw or through a codec |
 *
 * Two formats: v1 is QEMU's multifd packet (docs/protocol.md), v2 is what both ends of the ferry dialect agree on. Both
 * become the same struct, so nobody else asks which it was.  Encoding and decoding are pure: memory in, memory out.
 * All that is decoded is checked: runs lie in their block, nothing occurs twice within a packet's bounds, lengths fit.
 */
#ifndef PAGES_PACKET_H
#define PAGES_PACKET_H

#include "batch.h"
#include "codec.h"
#include "ram_map.h"

#include <ferry/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define PACKET_HEAD_MAX    64                  /* of any format */
#define PACKET_REST_MAX    16384               /* of any format */
#define PACKET_RUN_PAGES   (UINT64_C(1) << 24) /* the most in one run: 64 GiB */
#define PACKET_PAYLOAD_MAX (BATCH_PAGES_MAX * 4096u * 2)
#define PACKET_DEVICE_MAX  (64u << 20) /* of device state in one packet */

enum packet_kind {
    PACKET_PAGES,
    PACKET_SYNC,    /* everything before it belongs to one round, everything behind it to the next */
    PACKET_DEVICE,  /* payload is a piece of a device's state */
    PACKET_END,     /* v2: nothing more comes on this channel; v1 has no such thing */
    PACKET_NOTHING, /* v1 of old senders: to be passed over */
};

struct packet_run {
    uint64_t first; /* page of the block */
    uint64_t count;
};

struct packet {
    enum packet_kind kind;
    bool sync; /* v1 of old senders: a sync follows the pages of this very packet */
    enum codec_id codec;
    uint64_t sequence;                      /* v2: of this channel, from 0 on without gaps; v1: says nothing */
    uint32_t round;                         /* v2 */
    const struct ram_block *block;          /* of PAGES */
    unsigned runs, content_runs;            /* all; of these, first come those with content */
    struct packet_run run[BATCH_PAGES_MAX]; /* within each of the two parts v2 ascends */
    uint64_t content_pages, zero_pages;
    uint32_t payload_bytes;
    bool summed; /* v2: sum[] holds the CRC32C of each page with content, as it was before the codec */
    uint32_t sum[BATCH_PAGES_MAX];
    char device[256]; /* of DEVICE */
    uint32_t instance;
};

/* PAGES, from a batch that was split: runs made of its page numbers; codec, sums and payload are the caller's to set.
 */
void packet_from_batch(struct packet *packet, const struct page_batch *batch);

/* PAGES, all zero, for formats with zero_runs.  Returns how many of the @count pages from @first on fit; the rest is
 * for the next packet. */
uint64_t packet_from_zeros(struct packet *packet, const struct ram_block *block, uint64_t first, uint64_t count);

/* Where the pages with content lie: pieces of guest memory in payload order, neighbours as one.  Returns the count, at
 * most content_runs; @max is at least that. */
int packet_pieces(const struct packet *packet, struct iovec *pieces, int max);

/* Likewise, the address of each page with content.  Returns how many: content_pages. */
unsigned packet_addresses(const struct packet *packet, uint8_t **pages);

/* CRC32C, as in sum[] and in the header of v2.  @bytes is less than 2 GiB. */
uint32_t packet_sum(const void *data, size_t bytes);

/* The checksum of each page with content, as it lies in memory now. */
void packet_sum_pages(struct packet *packet);

struct packet_format {
    const char *name;
    size_t head_bytes;
    unsigned batch_pages; /* the most pages of a batch in one packet, zero ones included */
    bool zero_runs;       /* a zero run may be as long as its block: packet_from_zeros() */
    /* Head and rest.  Returns the bytes written, at most PACKET_HEAD_MAX + PACKET_REST_MAX. */
    size_t (*encode)(const struct packet *packet, uint8_t *to);
    /* *rest: how many bytes of header follow the head, at most PACKET_REST_MAX. */
    int (*decode_head)(struct packet *packet, const uint8_t *head, size_t *rest, struct ferry_error *err);
    /* The whole header at @header, head and rest.  @map: the blocks in the order in which the source announced them. */
    int (*decode)(struct packet *packet, const struct ram_map *map, const uint8_t *header, struct ferry_error *err);
};

extern const struct packet_format packet_v1, packet_v2;

/* What a v1 channel begins with, 64 bytes; in the ferry dialect the hello says it.  @uuid of the guest, all zero where
 * it has none, must be the same at both ends; to get, NULL: whatever it is.  @channel is 0 to 255; which ones are
 * expected is for the caller to say. */
#define PACKET_V1_GREETING_BYTES 64
void packet_v1_put_greeting(uint8_t to[PACKET_V1_GREETING_BYTES], const uint8_t uuid[16], unsigned channel);
int packet_v1_get_greeting(const uint8_t from[PACKET_V1_GREETING_BYTES], const uint8_t uuid[16], unsigned *channel,
                           struct ferry_error *err);

#endif
