/* SPDX-License-Identifier: BSD-3-Clause */
/* ram_section.c - guest memory in the main stream: records, out and back */
#include "ram_section.h"

#include "bytes.h"
#include "ram_run.h"
#include "reader.h"
#include "writer.h"
#include "xbzrle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FLAGS_MASK        (FERRY_PAGE_BYTES - 1)
#define XBZRLE_ENCODING   1
#define ZERO_RECORD_BYTES 9 /* of a page in the same block as the one before */

_Static_assert(BATCH_PAGES *ZERO_RECORD_BYTES <= WRITER_RESERVE_BYTES, "a batch of zero pages is put in one piece");

/* ---- the block list -------------------------------------------------------------------------------------------- */

void ram_put_blocks(struct ferry_writer *writer, const struct ram_map *map)
{
    ferry_put_be64(writer, map->total_bytes | RAM_MEM_SIZE);
    for (unsigned i = 0; i < map->count; i++) {
        ferry_put_cstr8(writer, map->blocks[i]->info.name);
        ferry_put_be64(writer, map->blocks[i]->info.length);
    }
}

/* *bytes stays 0 where the entry has none. */
static int get_huge_size(struct ram_loader *loader, struct ferry_reader *reader, uint32_t *bytes)
{
    const uint8_t *next;
    uint64_t value;
    ssize_t have = loader->huge_sizes ? ferry_reader_peek(reader, sizeof(value), &next) : 0;

    if (have < (ssize_t)sizeof(value))
        return have < 0 ? (int)have : 0;
    value = load_be64(next);
    if (value <= FERRY_PAGE_BYTES || value > UINT32_MAX || (value & (value - 1)) || !(value & loader->huge_sizes))
        return 0;
    *bytes = (uint32_t)value;
    return ferry_reader_skip(reader, sizeof(value));
}

static int get_block(struct ram_loader *loader, struct ferry_reader *reader, uint64_t left, uint64_t *length)
{
    char name[256];
    struct ferry_error err = { 0 };
    struct ram_block *block;
    uint32_t huge = 0;
    uint64_t gpa;
    int ret = ferry_get_cstr8(reader, name);

    if (ret == 0)
        ret = ferry_get_be64(reader, length);
    if (ret == 0)
        ret = get_huge_size(loader, reader, &huge);
    if (ret == 0 && loader->has_gpa)
        ret = ferry_get_be64(reader, &gpa);
    if (ret < 0)
        return ret;
    if (*length == 0 || *length % FERRY_PAGE_BYTES || *length > left)
        return reader_fail_code(reader, FERRY_E_STREAM_BROKEN, name, -EPROTO,
                                "block '%s' of %" PRIu64 " bytes: whole pages and at most the %" PRIu64
                                " bytes that the list still has are possible",
                                name, *length, left);
    for (unsigned i = 0; i < loader->count; i++)
        if (!strcmp(loader->blocks[i]->info.name, name))
            return reader_fail_code(reader, FERRY_E_STREAM_BROKEN, name, -EPROTO,
                                    "block '%s' stands twice in the block list", name);
    ret = loader->ops->announce(loader->opaque, name, *length, &block, &err);
    if (ret == 0 && huge > 0)
        ret = loader->ops->huge ? loader->ops->huge(loader->opaque, block, huge, &err) : -ENOTSUP;
    if (ret < 0)
        return reader_fail_why(reader, ret, &err);
    loader->blocks[loader->count++] = block;
    return loader->mapped ? loader->mapped(loader->opaque, reader, block) : 0;
}

static int get_blocks(struct ram_loader *loader, struct ferry_reader *reader, uint64_t total)
{
    if (loader->blocks)
        return ferry_reader_fail(reader, -EPROTO, "a second block list");
    if (total > FERRY_RAM_BYTES_MAX)
        return reader_fail_code(reader, FERRY_E_MEMORY_LIMIT, NULL, -EPROTO,
                                "%" PRIu64 " bytes of RAM, at most %" PRIu64 " are taken", total, FERRY_RAM_BYTES_MAX);
    loader->blocks = calloc(FERRY_BLOCKS_MAX, sizeof(loader->blocks[0]));
    if (!loader->blocks)
        return ferry_reader_fail(reader, -ENOMEM, "no memory for the block list");
    while (total > 0) {
        uint64_t length;
        int ret;

        if (loader->count == FERRY_BLOCKS_MAX)
            return reader_fail_code(reader, FERRY_E_MEMORY_LIMIT, NULL, -EPROTO, "more than %d blocks",
                                    FERRY_BLOCKS_MAX);
        ret = get_block(loader, reader, total, &length);
        if (ret < 0)
            return ret;
        total -= length;
    }
    return 0;
}

/* ---- records, out ---------------------------------------------------------------------------------------------- */

static void put_record(struct ferry_writer *writer, const struct ram_block **last, const struct ram_block *block,
                       uint64_t page, enum ram_flag flag)
{
    uint64_t word = (page << FERRY_PAGE_SHIFT) | flag;

    if (*last == block) {
        ferry_put_be64(writer, word | RAM_CONTINUE);
        return;
    }
    ferry_put_be64(writer, word);
    ferry_put_cstr8(writer, block->info.name);
    *last = block;
}

/* Neighbouring zero pages, at most a batch: after the first, their records differ in nothing but the offset. */
static void put_zeros(struct ferry_writer *writer, const struct ram_block **last, const struct ram_block *block,
                      uint64_t page, unsigned count)
{
    uint64_t word = (page << FERRY_PAGE_SHIFT) | RAM_ZERO | RAM_CONTINUE;
    uint8_t *record;

    put_record(writer, last, block, page, RAM_ZERO);
    ferry_put_u8(writer, 0);
    if (count == 1)
        return;
    record = writer_reserve(writer, (count - 1) * ZERO_RECORD_BYTES);
    for (unsigned i = 1; i < count; i++, record += ZERO_RECORD_BYTES) {
        word += FERRY_PAGE_BYTES;
        store_be64(record, word);
        record[8] = 0;
    }
}

/* Both parts of the batch ascend; so do the records, since the reader bets on pages that follow each other. */
void ram_put_batch(struct ferry_writer *writer, const struct ram_block **last, const struct page_batch *batch)
{
    const uint64_t *pages = batch->pages;
    unsigned normal = 0, zero = batch->normal;

    while (normal < batch->normal || zero < batch->count) {
        unsigned run = 1;

        if (zero == batch->count || (normal < batch->normal && pages[normal] < pages[zero])) {
            put_record(writer, last, batch->block, pages[normal], RAM_PAGE);
            ferry_put_ref(writer, batch->block->host + (pages[normal++] << FERRY_PAGE_SHIFT), FERRY_PAGE_BYTES);
            continue;
        }
        while (zero + run < batch->count && pages[zero + run] == pages[zero] + run)
            run++;
        put_zeros(writer, last, batch->block, pages[zero], run);
        zero += run;
    }
}

void ram_put_zeros(struct ferry_writer *writer, const struct ram_block **last, const struct ram_block *block,
                   uint64_t first, uint64_t count)
{
    while (count > 0) {
        unsigned part = count < BATCH_PAGES ? (unsigned)count : BATCH_PAGES;

        put_zeros(writer, last, block, first, part);
        first += part;
        count -= part;
    }
}

void ram_put_copy(struct ferry_writer *writer, const struct ram_block **last, const struct ram_block *block,
                  uint64_t page, const uint8_t *content)
{
    put_record(writer, last, block, page, RAM_PAGE);
    ferry_put_bytes(writer, content, FERRY_PAGE_BYTES);
}

void ram_put_delta(struct ferry_writer *writer, const struct ram_block **last, const struct ram_block *block,
                   uint64_t page, const uint8_t *delta, unsigned bytes)
{
    put_record(writer, last, block, page, RAM_XBZRLE);
    ferry_put_u8(writer, XBZRLE_ENCODING);
    ferry_put_be16(writer, (uint16_t)bytes);
    ferry_put_bytes(writer, delta, bytes);
}

void ram_put_mark(struct ferry_writer *writer)
{
    ferry_put_be64(writer, RAM_MULTIFD_FLUSH);
}

void ram_put_eos(struct ferry_writer *writer)
{
    ferry_put_be64(writer, RAM_EOS);
}

/* ---- records, back --------------------------------------------------------------------------------------------- */

void ram_loader_init(struct ram_loader *loader, const struct ram_loader_ops *ops, void *opaque, struct placer *placer)
{
    memset(loader, 0, sizeof(*loader));
    loader->ops = ops;
    loader->opaque = opaque;
    loader->placer = placer;
    loader->window = 1;
}

void ram_loader_clear(struct ram_loader *loader)
{
    free(loader->blocks);
    loader->blocks = NULL;
    loader->count = 0;
}

/* The block that a page record speaks of. */
static int get_record_block(struct ram_loader *loader, struct ferry_reader *reader, uint64_t word)
{
    char name[256];
    int ret;

    if (word & RAM_CONTINUE) {
        if (!loader->last)
            return reader_fail_code(reader, FERRY_E_BAD_PAGE_RECORD, NULL, -EPROTO,
                                    "a page continues a block, but none came before");
        return 0;
    }
    ret = ferry_get_cstr8(reader, name);
    if (ret < 0)
        return ret;
    for (unsigned i = 0; i < loader->count; i++) {
        if (!strcmp(loader->blocks[i]->info.name, name)) {
            loader->last = loader->blocks[i];
            return 0;
        }
    }
    return reader_fail_code(reader, FERRY_E_BAD_PAGE_RECORD, name, -EPROTO,
                            "a page of block '%s', which is not in the block list", name);
}

/* Place the zero pages that were collected: they come one record a page, but mostly in long runs. */
static int place_zeros(struct ram_loader *loader, struct ferry_reader *reader)
{
    struct ferry_error err = { 0 };
    uint64_t pages = loader->zero_pages;
    int ret;

    if (pages == 0)
        return 0;
    loader->zero_pages = 0;
    loader->counts.zero += pages;
    ret = loader->placer->ops->zero(loader->placer, loader->zero_block, loader->zero_first, pages, &err);
    return ret < 0 ? reader_fail_why(reader, ret, &err) : 0;
}

/* The records that are buffered already, as long as they say that the next page of the run is zero, too. */
static int more_zeros(struct ram_loader *loader, struct ferry_reader *reader)
{
    uint64_t page = loader->zero_first + loader->zero_pages;
    uint64_t word = (page << FERRY_PAGE_SHIFT) | RAM_ZERO | RAM_CONTINUE;
    const uint8_t *record;
    size_t bytes = reader_buffered(reader, &record), used = 0;

    while (bytes - used >= ZERO_RECORD_BYTES && page < loader->zero_block->pages && load_be64(record + used) == word &&
           record[used + 8] == 0) {
        used += ZERO_RECORD_BYTES;
        word += FERRY_PAGE_BYTES;
        page++;
    }
    loader->zero_pages = page - loader->zero_first;
    return ferry_reader_skip(reader, used);
}

static int get_zero(struct ram_loader *loader, struct ferry_reader *reader, uint64_t page)
{
    uint8_t fill;
    int ret = ferry_get_u8(reader, &fill);

    if (ret < 0)
        return ret;
    if (fill != 0)
        return reader_fail_code(reader, FERRY_E_BAD_PAGE_RECORD, loader->last->info.name, -EPROTO,
                                "block '%s' page %" PRIu64 ": a zero page filled with 0x%02x", loader->last->info.name,
                                page, fill);
    if (loader->zero_pages == 0 || loader->zero_block != loader->last ||
        loader->zero_first + loader->zero_pages != page) {
        ret = place_zeros(loader, reader);
        loader->zero_block = loader->last;
        loader->zero_first = page;
    }
    loader->zero_pages++;
    if (ret == 0)
        ret = more_zeros(loader, reader);
    /* In postcopy somebody may wait for them, and nobody knows when the next record comes. */
    return ret == 0 && loader->postcopy ? place_zeros(loader, reader) : ret;
}

/* The page as its difference from what lies there, which is what the source sent last. */
static int get_xbzrle(struct ram_loader *loader, struct ferry_reader *reader, uint64_t page)
{
    const struct placer_ops *ops = loader->placer->ops;
    uint8_t encoding, delta[FERRY_PAGE_BYTES], *place;
    struct ferry_error err = { 0 };
    uint64_t granted;
    uint16_t bytes;
    int ret = ferry_get_u8(reader, &encoding);

    if (ret == 0)
        ret = ferry_get_be16(reader, &bytes);
    if (ret < 0)
        return ret;
    if (encoding != XBZRLE_ENCODING || bytes == 0 || bytes > sizeof(delta))
        return reader_fail_code(reader, FERRY_E_BAD_PAGE_RECORD, loader->last->info.name, -EPROTO,
                                "block '%s' page %" PRIu64 ": a delta of kind %u with %u bytes",
                                loader->last->info.name, page, encoding, bytes);
    ret = ferry_get_bytes(reader, delta, bytes);
    if (ret < 0)
        return ret;
    place = ops->prepare(loader->placer, loader->last, page, 1, &granted);
    ret = xbzrle_decode(delta, bytes, place, FERRY_PAGE_BYTES, &err);
    if (ret < 0) {
        ferry_error_prefix(&err, "block '%s' page %" PRIu64, loader->last->info.name, page);
        ferry_error_object(&err, "%s", loader->last->info.name);
        ferry_error_code(&err, FERRY_E_BAD_PAGE_RECORD);
    } else {
        ret = ops->commit(loader->placer, loader->last, page, 1, &err);
    }
    if (ret < 0)
        return reader_fail_why(reader, ret, &err);
    loader->counts.xbzrle++;
    return 0;
}

/* One record about a page.  @flag is ZERO, PAGE or XBZRLE. */
static int get_page_record(struct ram_loader *loader, struct ferry_reader *reader, uint64_t word, unsigned flag)
{
    uint64_t page = word >> FERRY_PAGE_SHIFT;
    int ret;

    if (loader->mapped)
        return reader_fail_code(reader, FERRY_E_BAD_PAGE_RECORD, NULL, -EPROTO,
                                "a page record in a mapped-ram file, where pages have fixed places");
    ret = get_record_block(loader, reader, word);
    if (ret < 0)
        return ret;
    if (page >= loader->last->pages)
        return reader_fail_code(reader, FERRY_E_BAD_PAGE_RECORD, loader->last->info.name, -EPROTO,
                                "block '%s': page %" PRIu64 " of %" PRIu64, loader->last->info.name, page,
                                loader->last->pages);
    if (flag == RAM_ZERO)
        return get_zero(loader, reader, page);
    ret = place_zeros(loader, reader);
    if (ret < 0)
        return ret;
    return flag == RAM_XBZRLE ? get_xbzrle(loader, reader, page) : ram_get_run(loader, reader, page);
}

static int get_mark(struct ram_loader *loader, struct ferry_reader *reader)
{
    struct ferry_error why = { 0 };
    int ret = place_zeros(loader, reader);

    loader->counts.flushes++;
    if (ret < 0 || !loader->ops->mark)
        return ret;
    ret = loader->ops->mark(loader->opaque, &why);
    return ret < 0 ? reader_fail_why(reader, ret, &why) : 0;
}

/* Deltas need the old page, marks and lists belong to precopy. */
static int refuse_in_postcopy(struct ferry_reader *reader, unsigned flags)
{
    return reader_fail_code(reader, FERRY_E_BAD_PAGE_RECORD, NULL, -EPROTO,
                            "a RAM record with flags 0x%03x in postcopy, where only whole pages may come", flags);
}

/* One record.  0; 1: it was EOS; or the reader's error. */
static int get_record(struct ram_loader *loader, struct ferry_reader *reader)
{
    uint64_t word;
    unsigned flag;
    int ret = ferry_get_be64(reader, &word);

    if (ret < 0)
        return ret;
    flag = word & FLAGS_MASK & ~RAM_CONTINUE;
    if (!(flag & (RAM_ZERO | RAM_PAGE | RAM_XBZRLE | RAM_COMPRESS_PAGE)) && (word & RAM_CONTINUE))
        flag = FLAGS_MASK;
    if (loader->postcopy && flag != RAM_ZERO && flag != RAM_PAGE && flag != RAM_EOS)
        return refuse_in_postcopy(reader, word & FLAGS_MASK);
    switch (flag) {
    case RAM_ZERO:
    case RAM_PAGE:
    case RAM_XBZRLE:
        return get_page_record(loader, reader, word, flag);
    case RAM_MEM_SIZE:
        return get_blocks(loader, reader, word & ~(uint64_t)FLAGS_MASK);
    case RAM_MULTIFD_FLUSH:
        return get_mark(loader, reader);
    case RAM_EOS:
        ret = place_zeros(loader, reader);
        return ret < 0 ? ret : 1;
    case RAM_COMPRESS_PAGE:
        return reader_fail_code(reader, FERRY_E_UNKNOWN_COMMAND, NULL, -ENOTSUP,
                                "compressed pages in the main stream are not understood");
    default:
        return reader_fail_code(reader, FERRY_E_BAD_PAGE_RECORD, NULL, -EPROTO, "a RAM record with flags 0x%03x",
                                (unsigned)(word & FLAGS_MASK));
    }
}

int ram_get_body(struct ram_loader *loader, struct ferry_reader *reader)
{
    int ret;

    while ((ret = get_record(loader, reader)) == 0)
        ;
    return ret < 0 ? ret : 0;
}

int ram_get_next(struct ram_loader *loader, struct ferry_reader *reader)
{
    int ret = reader_at_end(reader);

    loader->bare = true;
    if (ret != 0)
        return ret < 0 ? ret : 0;
    ret = get_record(loader, reader);
    return ret < 0 ? ret : !ret;
}

/* ---- postcopy -------------------------------------------------------------------------------------------------- */

void ram_loader_begin_postcopy(struct ram_loader *loader, struct placer *view)
{
    loader->placer = view;
    loader->postcopy = true;
    loader->window = 1;
}

void ram_loader_begin_again(struct ram_loader *loader, struct placer *view)
{
    ram_loader_begin_postcopy(loader, view);
    loader->last = NULL;
    loader->zero_pages = 0;
    loader->next_page = 0;
}

int ram_loader_init_beside(struct ram_loader *loader, const struct ram_loader *main, struct placer *view,
                           struct ferry_error *err)
{
    ram_loader_init(loader, main->ops, main->opaque, view);
    loader->blocks = calloc(FERRY_BLOCKS_MAX, sizeof(loader->blocks[0]));
    if (!loader->blocks)
        return ferry_error_set(err, -ENOMEM, "no memory for the block list");
    memcpy(loader->blocks, main->blocks, main->count * sizeof(loader->blocks[0]));
    loader->count = main->count;
    ram_loader_begin_postcopy(loader, view);
    return 0;
}
