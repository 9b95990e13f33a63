/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_return_path.c - what a destination sent back, from a file: messages, bitmaps, and which page answered which
 *
 *      messages   pong  pong  req-pages-id  req-pages  req-pages  pong  shut
 *      requests                     |____________|__________|          sorted by block and place, once blocks are known
 */
#include "inspect_return_path.h"

#include "reader.h"
#include "return_path.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BITMAP_END     UINT64_C(0x0123456789abcdef)
#define SAME_PLACE_MAX 16 /* requests for one place that are answered; a destination asks once */

/* Room for one more of @bytes each, at most @most. */
static int make_room(void **array, unsigned count, unsigned *room, unsigned most, size_t bytes)
{
    unsigned more = *room ? *room * 2 : 16;
    void *grown;

    if (count == most)
        return -E2BIG;
    if (count < *room)
        return 0;
    grown = realloc(*array, more * bytes);
    if (!grown)
        return -ENOMEM;
    *array = grown;
    *room = more;
    return 0;
}

static int no_room(struct ferry_reader *reader, int ret, const char *what)
{
    return ferry_reader_fail(reader, ret, ret == -E2BIG ? "too many %s" : "no memory for another of the %s", what);
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static int add_name(struct report_return *back, const char *name)
{
    int ret;

    for (unsigned i = 0; i < back->name_count; i++)
        if (!strcmp(back->names[i], name))
            return (int)i;
    ret = make_room((void **)&back->names, back->name_count, &back->name_room, FERRY_BLOCKS_MAX, sizeof(char *));
    if (ret < 0)
        return ret;
    back->names[back->name_count] = strdup(name);
    return back->names[back->name_count] ? (int)back->name_count++ : -ENOMEM;
}

/* The bytes of a bitmap, which are there only when they came: a length alone takes no memory. */
static int get_bits(struct ferry_reader *reader, struct return_bitmap *bitmap, uint64_t bytes)
{
    uint64_t room = 0;

    while (bitmap->bytes < bytes) {
        uint64_t more = room ? room * 2 : 64u << 10;
        uint8_t *grown;
        int ret;

        room = more < bytes ? more : bytes;
        grown = realloc(bitmap->bits, room);
        if (!grown)
            return no_room(reader, -ENOMEM, "bitmaps");
        bitmap->bits = grown;
        ret = ferry_get_bytes(reader, grown + bitmap->bytes, room - bitmap->bytes);
        if (ret < 0)
            return ret;
        bitmap->bytes = room;
    }
    return 0;
}

static int get_bitmap(struct report_return *back, struct ferry_reader *reader)
{
    struct return_bitmap *bitmap;
    uint64_t bytes, end;
    int ret = ferry_get_be64(reader, &bytes);

    if (ret < 0)
        return ret;
    if (bytes == 0 || bytes % 8 || bytes > RETURN_BITMAP_MAX || bytes > RETURN_BITMAPS_BYTES - back->bitmap_bytes)
        return reader_fail_code(reader, FERRY_E_BAD_RETURN_MESSAGE, NULL, -EPROTO,
                                "return path: a bitmap of %" PRIu64 " bytes: words of 8 and at most %" PRIu64
                                " are taken, %" PRIu64 " in all",
                                bytes, RETURN_BITMAP_MAX, RETURN_BITMAPS_BYTES);
    ret = make_room((void **)&back->bitmaps, back->bitmap_count, &back->bitmap_room, FERRY_BLOCKS_MAX,
                    sizeof(*back->bitmaps));
    if (ret < 0)
        return no_room(reader, ret, "bitmaps");
    bitmap = &back->bitmaps[back->bitmap_count++];
    *bitmap = (struct return_bitmap){ .message = back->count - 1 };
    ret = get_bits(reader, bitmap, bytes);
    back->bitmap_bytes += bitmap->bytes;
    if (ret == 0)
        ret = ferry_get_be64(reader, &end);
    if (ret == 0 && end != BITMAP_END)
        ret = reader_fail_code(reader, FERRY_E_BAD_RETURN_MESSAGE, NULL, -EPROTO,
                               "return path: a bitmap that ends with 0x%016" PRIx64, end);
    return ret;
}

/* What only the messages before it tell: of which block REQ_PAGES speaks. */
static int name_block(struct report_return *back, struct ferry_reader *reader, const struct return_path_message *from,
                      int *last, struct return_message *to)
{
    switch (from->type) {
    case RETURN_PATH_REQ_PAGES_ID:
    case RETURN_PATH_RECV_BITMAP:
        to->name = add_name(back, from->block);
        if (to->name < 0)
            return no_room(reader, to->name, "names of blocks");
        if (from->type == RETURN_PATH_REQ_PAGES_ID)
            *last = to->name;
        return 0;
    case RETURN_PATH_REQ_PAGES:
        if (*last < 0)
            return reader_fail_code(reader, FERRY_E_BAD_RETURN_MESSAGE, NULL, -EPROTO,
                                    "return path: req-pages, but no req-pages-id came before that names a block");
        to->name = *last;
        return 0;
    default:
        return 0;
    }
}

static int get_message(struct report_return *back, struct ferry_reader *reader, struct return_path_message *from,
                       int *last)
{
    struct return_message to = { .offset = ferry_reader_offset(reader), .name = -1 };
    int ret = return_path_get(reader, from);

    if (ret < 0)
        return ret;
    to.type = from->type;
    to.value = from->value;
    to.start = from->counter;
    to.length = from->length;
    if (from->type == RETURN_PATH_RESUME_ACK && from->value != 1)
        return reader_fail_code(reader, FERRY_E_BAD_RETURN_MESSAGE, NULL, -EPROTO,
                                "return path: resume-ack with %" PRIu32 " instead of 1", from->value);
    ret = name_block(back, reader, from, last, &to);
    if (ret < 0)
        return ret;
    ret = make_room((void **)&back->messages, back->count, &back->room, RETURN_MESSAGES_MAX, sizeof(to));
    if (ret < 0)
        return no_room(reader, ret, "messages");
    back->messages[back->count++] = to;
    return from->type == RETURN_PATH_RECV_BITMAP ? get_bitmap(back, reader) : 0;
}

static int read_all(struct report_return *back, struct ferry_reader *reader)
{
    struct return_path_message *from = calloc(1, sizeof(*from));
    int last = -1, ret;

    if (!from)
        return ferry_reader_fail(reader, -ENOMEM, "no memory for messages");
    do
        ret = reader_at_end(reader);
    while (ret == 0 && (ret = get_message(back, reader, from, &last)) == 0);
    free(from);
    return ret < 0 ? ret : 0;
}

static void return_free(struct report_return *back)
{
    if (!back)
        return;
    for (unsigned i = 0; i < back->name_count; i++)
        free(back->names[i]);
    for (unsigned i = 0; i < back->bitmap_count; i++)
        free(back->bitmaps[i].bits);
    free(back->names);
    free(back->bitmaps);
    free(back->messages);
    free(back->requests);
    free(back->label);
    free(back);
}

void returns_clear(struct report_returns *returns)
{
    for (unsigned i = 0; i < returns->count; i++)
        return_free(returns->all[i]);
    returns->count = 0;
}

int returns_add(struct report_returns *returns, struct ferry_channel *chan, struct ferry_error *err)
{
    struct report_return *back;
    struct ferry_reader *reader;

    if (returns->count == RETURNS_MAX)
        return ferry_error_set(err, -E2BIG, "more than %d return paths", RETURNS_MAX);
    back = calloc(1, sizeof(*back));
    reader = back ? ferry_reader_new(chan, NULL) : NULL;
    if (reader)
        back->label = strdup(ferry_channel_label(chan));
    if (!reader || !back->label) {
        ferry_reader_free(reader);
        return_free(back);
        return ferry_error_set(err, -ENOMEM, "no memory for a return path");
    }
    if (read_all(back, reader) < 0)
        ferry_reader_status(reader, &back->error);
    back->bytes = ferry_reader_offset(reader);
    ferry_reader_free(reader);
    returns->all[returns->count++] = back;
    return back->error.errnum == -ENOMEM ? ferry_error_set(err, -ENOMEM, "%s", ferry_error_text(&back->error)) : 0;
}

const struct return_bitmap *returns_bitmap(const struct report_returns *returns, unsigned index, const char *block)
{
    const struct report_return *back = index < returns->count ? returns->all[index] : NULL;

    for (unsigned i = 0; back && i < back->bitmap_count; i++)
        if (!strcmp(back->names[back->messages[back->bitmaps[i].message].name], block))
            return &back->bitmaps[i];
    return NULL;
}

/* ---- requests -------------------------------------------------------------------------------------------------- */

static bool is_request(const struct return_message *message)
{
    return message->type == RETURN_PATH_REQ_PAGES_ID || message->type == RETURN_PATH_REQ_PAGES;
}

/* The request lies in its block, or the fault is told. */
static bool fits(struct report_return *back, struct return_message *message, struct ram_block *const *blocks,
                 unsigned count)
{
    const char *name = back->names[message->name];
    const struct ferry_block *info;
    unsigned i = 0;

    while (i < count && strcmp(blocks[i]->info.name, name))
        i++;
    info = i < count ? &blocks[i]->info : NULL;
    message->block = i;
    if (info && message->length > 0 && message->start % info->page_size == 0 &&
        message->length % info->page_size == 0 && message->start < info->length &&
        message->length <= info->length - message->start)
        return true;
    if (back->error.errnum)
        return false;
    if (info)
        ferry_error_set_code(&back->error, FERRY_E_BAD_RETURN_MESSAGE, -EPROTO,
                             "%s: byte %" PRIu64 ": return path: a request for %" PRIu32 " bytes at 0x%" PRIx64
                             " of block '%s': whole pages of %u bytes in its %" PRIu64 " bytes are possible",
                             back->label, message->offset, message->length, message->start, name,
                             (unsigned)info->page_size, (uint64_t)info->length);
    else
        ferry_error_set_code(&back->error, FERRY_E_BAD_RETURN_MESSAGE, -EPROTO,
                             "%s: byte %" PRIu64
                             ": return path: a request for block '%s', which is not in the block list",
                             back->label, message->offset, name);
    ferry_error_offset(&back->error, message->offset);
    return false;
}

static int by_place(const void *a, const void *b, void *opaque)
{
    const struct return_message *messages = opaque;
    const struct return_message *x = &messages[*(const unsigned *)a], *y = &messages[*(const unsigned *)b];

    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

int returns_sort(struct report_returns *returns, struct ram_block *const *blocks, unsigned count,
                 struct ferry_error *err)
{
    for (unsigned r = 0; r < returns->count; r++) {
        struct report_return *back = returns->all[r];

        if (back->requests)
            continue;
        back->requests = calloc(back->count + 1, sizeof(back->requests[0]));
        if (!back->requests)
            return ferry_error_set(err, -ENOMEM, "no memory for requests");
        for (unsigned i = 0; i < back->count; i++)
            if (is_request(&back->messages[i]) && fits(back, &back->messages[i], blocks, count))
                back->requests[back->request_count++] = i;
        qsort_r(back->requests, back->request_count, sizeof(back->requests[0]), by_place, back->messages);
    }
    return 0;
}

/* How many requests begin at that place or before it. */
static unsigned up_to(const struct report_return *back, unsigned block, uint64_t at)
{
    unsigned low = 0, high = back->request_count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        const struct return_message *message = &back->messages[back->requests[middle]];

        if (message->block < block || (message->block == block && message->start <= at))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool returns_came(struct report_returns *returns, unsigned breaks, unsigned block, uint64_t page, unsigned wire,
                  uint64_t offset, uint64_t order)
{
    uint64_t at = page << FERRY_PAGE_SHIFT;
    bool asked = false;

    for (unsigned r = 0; r < returns->count && r <= breaks; r++) {
        struct report_return *back = returns->all[r];

        unsigned last = back->requests ? up_to(back, block, at) : 0;

        for (unsigned i = last; i-- > 0 && last - i <= SAME_PLACE_MAX;) {
            struct return_message *message = &back->messages[back->requests[i]];

            if (message->block != block || at - message->start >= message->length)
                break;
            asked = true;
            message->came++;
            if (message->order > 0)
                continue;
            message->wire = wire;
            message->answered = offset;
            message->order = order;
        }
    }
    return asked;
}
