/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_return_path.h - what a destination sent back, from a file: messages, bitmaps, and which page answered which
 */
#ifndef TOOLS_INSPECT_RETURN_PATH_H
#define TOOLS_INSPECT_RETURN_PATH_H

#include "ram_map.h"

#include <ferry/channel.h>
#include <stdbool.h>
#include <stdint.h>

#define RETURNS_MAX          64
#define RETURN_MESSAGES_MAX  (1u << 20)
#define RETURN_BITMAP_MAX    (UINT64_C(32) << 20)  /* bytes: of a block of 1 TiB */
#define RETURN_BITMAPS_BYTES (UINT64_C(256) << 20) /* of all together */

struct return_message {
    uint16_t type;
    uint64_t offset;
    uint32_t value;    /* PONG SHUT RESUME_ACK */
    int name;          /* requests and RECV_BITMAP: index of the block's name; else -1 */
    uint64_t start;    /* requests: bytes */
    uint32_t length;   /* requests: bytes */
    unsigned block;    /* requests: index of the block, once it is known */
    uint64_t came;     /* pages of it that came */
    unsigned wire;     /* by which connection the first of them did */
    uint64_t answered; /* at its byte */
    uint64_t order;    /* as which page after the switch, from 1 on; 0: not */
};

struct return_bitmap {
    unsigned message; /* its index */
    uint64_t bytes;
    uint8_t *bits; /* owned */
};

/* All that came back on one connection. */
struct report_return {
    char *label; /* owned */
    uint64_t bytes;
    struct return_message *messages; /* owned */
    unsigned count, room;
    char **names; /* owned: blocks that it speaks of */
    unsigned name_count, name_room;
    struct return_bitmap *bitmaps; /* owned */
    unsigned bitmap_count, bitmap_room;
    uint64_t bitmap_bytes;
    unsigned *requests; /* owned: indexes of requests, by block and start; NULL: not sorted */
    unsigned request_count;
    struct ferry_error error; /* why it was read no further */
};

struct report_returns {
    struct report_return *all[RETURNS_MAX]; /* owned */
    unsigned count;
};

void returns_clear(struct report_returns *returns);

/**
 * returns_add() - read what came back on the next main connection
 * @chan: borrowed; read to its end
 *
 * What is wrong with the bytes is kept in ->error.  0, or -ENOMEM, -E2BIG.
 */
int returns_add(struct report_returns *returns, struct ferry_channel *chan, struct ferry_error *err);

/* The blocks are known: requests must lie in them.  -ENOMEM, or 0: what does not fit is in ->error of its file. */
int returns_sort(struct report_returns *returns, struct ram_block *const *blocks, unsigned count,
                 struct ferry_error *err);

/* A page came by connection @wire, @breaks breaks after the switch.  Returns whether somebody had asked for it. */
bool returns_came(struct report_returns *returns, unsigned breaks, unsigned block, uint64_t page, unsigned wire,
                  uint64_t offset, uint64_t order);

/* The bitmap of that block, which came back on the @index-th connection; NULL: there is none. */
const struct return_bitmap *returns_bitmap(const struct report_returns *returns, unsigned index, const char *block);

#endif
