/* SPDX-License-Identifier: BSD-3-Clause */
/* return_path.h - messages from destination to source
 *
 *      be16 type | be16 length | payload
 *
 * Types below 0x4600 are QEMU's; the others belong to the ferry dialect.  Several threads of the destination send, the
 * source has one that reads.  Opened by the command OPEN_RETURN_PATH, in the ferry dialect by the answered hello;
 * before that the destination stays silent.
 */
#ifndef STREAM_RETURN_PATH_H
#define STREAM_RETURN_PATH_H

#include <ferry/stream.h>

enum return_path_type {
    RETURN_PATH_SHUT = 1,           /* be32: 0 all is loaded, else it failed */
    RETURN_PATH_PONG = 2,           /* be32: the cookie of the PING */
    RETURN_PATH_REQ_PAGES_ID = 3,   /* be64 start, be32 length, cstr8 block */
    RETURN_PATH_REQ_PAGES = 4,      /* be64 start, be32 length */
    RETURN_PATH_RECV_BITMAP = 5,    /* cstr8 block; the bitmap follows outside */
    RETURN_PATH_RESUME_ACK = 6,     /* be32 1 */
    RETURN_PATH_SWITCHOVER_ACK = 7, /* nothing */
    RETURN_PATH_AGREED =
        0x4601, /* the manifest fits, if devices are sent in the versions named here (state/manifest.h) */
    RETURN_PATH_REFUSED = 0x4602,   /* be16 count, then each reason: be16 length, text */
    RETURN_PATH_READY = 0x4603,     /* token, be64 ns from the last byte before it to ready */
    RETURN_PATH_RUNNING = 0x4604,   /* token, be64 ns from COMMIT to running */
    RETURN_PATH_WATERMARK = 0x4605, /* be64 bytes of the main stream that were loaded */
    RETURN_PATH_HEARTBEAT = 0x4606, /* be64 counter */
    RETURN_PATH_ERROR = 0x4607,     /* an encoded error: the destination gives up, and why */
    RETURN_PATH_DECLINED = 0x4608,  /* token: the destination has noted that it will never start this guest */
};

#define RETURN_PATH_TOKEN_BYTES 16
#define RETURN_PATH_NONCE_BYTES 8     /* of these, the first of the destination's nonce */
#define RETURN_PATH_FERRY_MAX   60000 /* bytes of payload in one of our messages */

/* ---- destination: sending -------------------------------------------------------------------------------------- */

struct return_path;

/* The way back of what @reader reads; NULL with @err set, -ENOTSUP where its channel has none. */
struct return_path *return_path_open(struct ferry_reader *reader, struct ferry_error *err);
void return_path_free(struct return_path *path);

/* Each sends one message whole and at once, whoever else is sending.  Returns 0 or the writer's error.  Thread: any. */
int return_path_send(struct return_path *path, enum return_path_type type, const void *payload, size_t bytes,
                     struct ferry_error *err);
int return_path_pong(struct return_path *path, uint32_t cookie, struct ferry_error *err);
int return_path_shut(struct return_path *path, uint32_t status, struct ferry_error *err);
int return_path_counter(struct return_path *path, enum return_path_type type, uint64_t value, struct ferry_error *err);
int return_path_token(struct return_path *path, enum return_path_type type,
                      const uint8_t token[RETURN_PATH_TOKEN_BYTES], uint64_t ns, struct ferry_error *err);
int return_path_declined(struct return_path *path, const uint8_t token[RETURN_PATH_TOKEN_BYTES],
                         struct ferry_error *err);

/**
 * return_path_bitmap() - which pages of a block have come
 * @words: one bit per page, bit i % 64 of word i / 64; those behind the last are passed over
 */
int return_path_bitmap(struct return_path *path, const char *block, const uint64_t *words, uint64_t pages,
                       struct ferry_error *err);

/* What is sent from now on goes back on @chan; what another connection's end has failed is forgotten.  Thread: any. */
void return_path_redirect(struct return_path *path, struct ferry_channel *chan);

/* ferry_channel_finish(), behind what others are sending. */
int return_path_finish(struct return_path *path, struct ferry_error *err);

/**
 * return_path_request() - the guest waits for these bytes of a block
 * @block: NULL: the one of the last request that was sent with a name
 * @start, @length: whole host pages
 */
int return_path_request(struct return_path *path, const char *block, uint64_t start, uint32_t length,
                        struct ferry_error *err);

/* ---- source: receiving ----------------------------------------------------------------------------------------- */

struct return_path_message {
    uint16_t type;
    uint16_t bytes;
    uint32_t value;                         /* SHUT PONG RESUME_ACK */
    uint64_t counter;                       /* READY RUNNING WATERMARK HEARTBEAT; REQ_PAGES: start */
    uint32_t length;                        /* REQ_PAGES */
    uint8_t token[RETURN_PATH_TOKEN_BYTES]; /* READY RUNNING DECLINED */
    char block[256];                        /* REQ_PAGES_ID RECV_BITMAP */
    uint8_t payload[RETURN_PATH_FERRY_MAX]; /* REFUSED ERROR: undecoded */
};

/* The next message, checked against its bounds.  Returns 0 or the reader's error. */
int return_path_get(struct ferry_reader *reader, struct return_path_message *message) FERRY_CHECK;

/* Behind RECV_BITMAP: so many bytes for @pages, between their length and an end mark. */
size_t return_path_bitmap_bytes(uint64_t pages);

/* The bitmap behind a RECV_BITMAP about a block of @pages, into as many words as it needs; bits behind the last page
 * are clear.  Returns 0 or the reader's error. */
int return_path_get_bitmap(struct ferry_reader *reader, uint64_t pages, uint64_t *words) FERRY_CHECK;

const char *return_path_type_name(uint16_t type);

#endif
