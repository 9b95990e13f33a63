/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_tail.c - everything behind the end of RAM: kept in one piece, then cut by its description
 *
 *      FULL ... FULL ... FULL ... | 00 | 06 length { json }
 *                                        ^
 *      the end is known by the end of the channel, or by a description that is all there: a source that waits for
 *      our answer sends nothing more and does not close
 */
#include "inspect_walk.h"

#include "bytes.h"
#include "channel.h"
#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM      (256u << 10)
#define DESC_HEAD_BYTES 5  /* 06 and its length */
#define EMPTY_BYTES     11 /* a footer, 00, and 06 with the length 0 */
#define EXTRA_MAX       (16u << 20)

struct tail {
    uint8_t *data; /* owned */
    size_t bytes, room;
    size_t scanned; /* up to here there is no description but the one noted */
    size_t found;   /* where the last thing that looks like one begins; 0: none */
};

/* ---- keeping it ------------------------------------------------------------------------------------------------ */

static int tail_grow(struct inspect_walk *walk, struct tail *tail)
{
    size_t room = tail->room ? tail->room * 2 : FIRST_ROOM;
    uint8_t *data;

    if (tail->bytes < tail->room)
        return 0;
    if (room > REPORT_STATE_MAX)
        return ferry_reader_fail(walk->live, -E2BIG, "more than %" PRIu64 " bytes of device state", REPORT_STATE_MAX);
    data = realloc(tail->data, room);
    if (!data)
        return ferry_reader_fail(walk->live, -ENOMEM, "no memory for device state");
    tail->data = data;
    tail->room = room;
    return 0;
}

/* Look for `00 06 length {` in what is new.  The last one counts: JSON holds no byte 06. */
static void tail_look(struct tail *tail)
{
    for (; tail->scanned + DESC_HEAD_BYTES + 1 < tail->bytes; tail->scanned++) {
        const uint8_t *at = tail->data + tail->scanned;

        if (at[0] == SECTION_EOF && at[1] == SECTION_VMDESC && at[1 + DESC_HEAD_BYTES] == '{' &&
            load_be32(at + 2) <= SECTION_VMDESC_MAX)
            tail->found = tail->scanned + 1;
    }
}

static size_t tail_found_bytes(const struct tail *tail)
{
    return load_be32(tail->data + tail->found + 1);
}

/* The description that was found is all there. */
static bool tail_described(const struct tail *tail)
{
    size_t left;

    if (tail->found == 0)
        return false;
    left = tail->bytes - tail->found - DESC_HEAD_BYTES;
    return tail_found_bytes(tail) <= left &&
           tail->data[tail->found + DESC_HEAD_BYTES + tail_found_bytes(tail) - 1] == '}';
}

/* An empty description looks like little; it counts at the very end of what came, behind a footer. */
static bool tail_empty(const struct tail *tail)
{
    static const uint8_t empty[] = { SECTION_EOF, SECTION_VMDESC, 0, 0, 0, 0 };
    const uint8_t *end = tail->data + tail->bytes;

    return tail->bytes >= EMPTY_BYTES && end[-EMPTY_BYTES] == SECTION_FOOTER &&
           !memcmp(end - sizeof(empty), empty, sizeof(empty));
}

static int tail_read(struct inspect_walk *walk, struct tail *tail)
{
    for (;;) {
        struct iovec iov, *at = &iov;
        int count = 1, ret;
        ssize_t got;

        if (walk->back && (tail_described(tail) || tail_empty(tail)))
            return 0;
        ret = reader_at_end(walk->live);
        if (ret != 0)
            return ret < 0 ? ret : 0;
        ret = tail_grow(walk, tail);
        if (ret < 0)
            return ret;
        iov = (struct iovec){ tail->data + tail->bytes, tail->room - tail->bytes };
        got = reader_scatter(walk->live, &at, &count, 1, false);
        if (got < 0)
            return (int)got;
        tail->bytes += (size_t)got;
        tail_look(tail);
        if (walk->options->progress)
            walk->options->progress(walk->options->opaque, ferry_reader_offset(walk->live));
    }
}

/* ---- reading it again ------------------------------------------------------------------------------------------ */

/* A channel over the kept bytes that goes by the name of the one they came from. */
struct tail_channel {
    struct ferry_channel base;
    const uint8_t *data;
    size_t bytes;
};

static ssize_t tail_readv(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    struct tail_channel *tail = (struct tail_channel *)chan;
    size_t part = iov[0].iov_len < tail->bytes ? iov[0].iov_len : tail->bytes;

    if (part == 0)
        return 0;
    memcpy(iov[0].iov_base, tail->data, part);
    tail->data += part;
    tail->bytes -= part;
    return (ssize_t)part;
}

static const struct channel_ops tail_ops = { .readv = tail_readv };

struct ferry_reader *inspect_tail_reader(struct inspect_walk *walk)
{
    struct tail_channel *chan = channel_new(sizeof(*chan), &tail_ops, FERRY_READ, walk->report->label, NULL);
    struct ferry_reader *reader;

    if (!chan)
        return NULL;
    chan->data = walk->report->tail;
    chan->bytes = (size_t)walk->tail_bytes;
    reader = ferry_reader_new(&chan->base, NULL);
    ferry_channel_unref(&chan->base);
    if (reader)
        reader_count_from(reader, walk->tail_offset);
    return reader;
}

/* Parse @bytes of JSON into the report. */
static int parse(struct inspect_walk *walk, const void *json, size_t bytes, struct ferry_error *err)
{
    char *text = malloc(bytes + 1);
    int ret;

    if (!text)
        return ferry_error_set(err, -ENOMEM, "no memory for the description");
    memcpy(text, json, bytes);
    ret = desc_parse(&walk->report->description, text, bytes, err);
    if (ret == 0) {
        const struct desc *devices = desc_member(walk->report->description.root, "devices");

        walk->next_device = devices && devices->kind == DESC_ARRAY ? devices->first : NULL;
    }
    return ret;
}

int inspect_tail(struct inspect_walk *walk)
{
    struct tail tail = { NULL, 0, 0, 0, 0 };
    int ret;

    walk->tail_offset = ferry_reader_offset(walk->live);
    ret = tail_read(walk, &tail);
    walk->report->tail = tail.data;
    walk->tail_bytes = tail.bytes;
    if (tail.bytes == 0)
        return ret < 0 ? ret : ferry_reader_fail(walk->live, -EPIPE, "the stream ends after its memory");
    if (tail_described(&tail)) {
        walk->report->description_offset = walk->tail_offset + tail.found;
        /* A fault in it is told when it is its turn. */
        (void)parse(walk, tail.data + tail.found + DESC_HEAD_BYTES, tail_found_bytes(&tail), NULL);
    }
    walk->reader = inspect_tail_reader(walk);
    if (!walk->reader) {
        walk->reader = walk->live;
        return ferry_reader_fail(walk->live, -ENOMEM, "no memory for a reader");
    }
    ret = inspect_items(walk);
    return ret < 0 ? ret : ferry_reader_status(walk->live, NULL);
}

/* ---- the description ------------------------------------------------------------------------------------------- */

/* Read and parse it where that has not been done. */
static int get_description(struct inspect_walk *walk, uint32_t bytes)
{
    struct ferry_error err = { 0 };
    size_t got = 0, room = 0;
    char *text = NULL;
    int ret = 0;

    while (ret == 0 && got < bytes) {
        char *grown;

        room = room ? room * 2 : 64u << 10;
        room = room < bytes ? room : bytes;
        grown = realloc(text, room);
        if (!grown) {
            ret = ferry_reader_fail(walk->reader, -ENOMEM, "no memory for the description");
            break;
        }
        text = grown;
        ret = ferry_get_bytes(walk->reader, text + got, room - got);
        got = room;
    }
    if (ret == 0) {
        ret = parse(walk, text, bytes, &err);
        if (ret < 0)
            ferry_reader_fail(walk->reader, ret, "%s", ferry_error_text(&err));
    }
    free(text);
    return ret;
}

/* Nothing may follow.  A live source keeps the channel open and is not waited for. */
int inspect_nothing_follows(struct inspect_walk *walk)
{
    uint64_t end = ferry_reader_offset(walk->reader), extra;
    int ret = 0;

    if (walk->back && walk->reader == walk->live)
        return 0;
    while (ferry_reader_offset(walk->reader) - end < EXTRA_MAX && (ret = reader_at_end(walk->reader)) == 0) {
        ret = ferry_reader_skip(walk->reader, 1);
        if (ret < 0)
            return ret;
    }
    if (ret < 0)
        return ret;
    extra = ferry_reader_offset(walk->reader) - end;
    if (extra > 0)
        return ferry_reader_fail(walk->reader, -EPROTO, "%s%" PRIu64 " bytes after the end, which was at byte %" PRIu64,
                                 extra == EXTRA_MAX ? "at least " : "", extra, end);
    return 0;
}

int inspect_description(struct inspect_walk *walk)
{
    uint64_t offset = ferry_reader_offset(walk->reader);
    struct report_item *item;
    uint32_t bytes;
    int ret = section_get_vmdesc(walk->reader, &bytes);

    if (ret < 0)
        return ret;
    if (ferry_reader_offset(walk->reader) > offset) {
        item = inspect_add_item(walk->report, SECTION_VMDESC, offset);
        if (!item)
            return ferry_reader_fail(walk->reader, -ENOMEM, "no memory for another item");
        if (bytes > 0 && walk->report->description.root && walk->report->description_offset == offset)
            ret = ferry_reader_skip(walk->reader, bytes);
        else if (bytes > 0)
            ret = get_description(walk, bytes);
        item->bytes = ferry_reader_offset(walk->reader) - offset;
        walk->report->description_offset = offset;
    }
    if (bytes == 0)
        inspect_note(walk->report,
                     "the stream has no description: sections are sized by looking for their footers, and "
                     "fields are not shown");
    return ret < 0 ? ret : inspect_nothing_follows(walk);
}
