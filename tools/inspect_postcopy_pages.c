/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_postcopy_pages.c - memory after the switch: records of whole host pages, one after the other
 *
 *      record   PAGE block a, 0x200000  PAGE +0x1000  PAGE +0x2000 ...  ZERO +0x1ff000 | PAGE block b ...
 *               <------------------- one host page of 2 MiB ----------------------->
 *
 * Read one by one, unlike in precopy: each one's place in the stream is told.
 */
#include "inspect_postcopy.h"

#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define FLAGS_MASK (FERRY_PAGE_BYTES - 1)

static int bad_record(struct postcopy_records *records, const char *block, const char *sentence)
{
    return reader_fail_code(records->reader, FERRY_E_BAD_PAGE_RECORD, block, -EPROTO, "after the switch: %s", sentence);
}

static int get_block(struct inspect_postcopy *postcopy, struct postcopy_records *records, uint64_t word)
{
    const struct ram_loader *loader = &postcopy->ram->loader;
    char name[256];
    int ret;

    if (word & RAM_CONTINUE)
        return records->last ? 0 : bad_record(records, NULL, "a page continues a block, but none came before");
    ret = ferry_get_cstr8(records->reader, name);
    if (ret < 0)
        return ret;
    for (unsigned i = 0; i < loader->count; i++) {
        if (!strcmp(loader->blocks[i]->info.name, name)) {
            records->last = loader->blocks[i];
            return 0;
        }
    }
    return reader_fail_code(records->reader, FERRY_E_BAD_PAGE_RECORD, name, -EPROTO,
                            "after the switch: a page of block '%s', which is not in the block list", name);
}

/* Pages of one host page come together and ascend. */
static int in_order(struct postcopy_records *records, uint64_t page)
{
    const struct ram_block *block = records->last;
    uint64_t host_pages = block->info.page_size >> FERRY_PAGE_SHIFT;

    if (page >= block->pages)
        return reader_fail_code(records->reader, FERRY_E_BAD_PAGE_RECORD, block->info.name, -EPROTO,
                                "after the switch: block '%s': page %" PRIu64 " of %" PRIu64, block->info.name, page,
                                block->pages);
    if (records->left == 0) {
        records->host = block;
        records->first = records->next = page - page % host_pages;
        records->left = host_pages;
    }
    if (block != records->host || page != records->next)
        return reader_fail_code(records->reader, FERRY_E_BAD_PAGE_RECORD, block->info.name, -EPROTO,
                                "after the switch: page %" PRIu64 " of block '%s', but page %" PRIu64
                                " of block '%s' must come first: huge pages come whole and in order",
                                page, block->info.name, records->next, records->host->info.name);
    records->next++;
    records->left--;
    return 0;
}

static int get_page(struct inspect_postcopy *postcopy, struct postcopy_records *records, uint64_t word, uint64_t offset)
{
    uint64_t page = word >> FERRY_PAGE_SHIFT;
    uint8_t data[FERRY_PAGE_BYTES];
    struct ferry_error why = { 0 };
    bool zero = word & RAM_ZERO;
    int ret = get_block(postcopy, records, word);

    if (ret == 0)
        ret = in_order(records, page);
    if (ret == 0)
        ret = ferry_get_bytes(records->reader, data, zero ? 1 : sizeof(data));
    if (ret == 0 && zero && data[0] != 0)
        ret = bad_record(records, records->last->info.name, "a zero page that is filled with something else");
    if (ret < 0)
        return ret;
    ret = postcopy_came(postcopy, records->wire, offset, records->last, page, zero ? NULL : data, &why);
    return ret < 0 ? reader_fail_why(records->reader, ret, &why) : 0;
}

/* 1: it was an EOS. */
static int get_record(struct inspect_postcopy *postcopy, struct postcopy_records *records)
{
    uint64_t offset = ferry_reader_offset(records->reader), word;
    int ret = ferry_get_be64(records->reader, &word);

    if (ret < 0)
        return ret;
    switch (word & FLAGS_MASK & ~(uint64_t)RAM_CONTINUE) {
    case RAM_PAGE:
    case RAM_ZERO:
        return get_page(postcopy, records, word, offset);
    case RAM_EOS:
        if (records->left > 0)
            return bad_record(records, records->host->info.name, "a section ends in the middle of a huge page");
        if (!(word & RAM_CONTINUE))
            return 1;
        break;
    default:
        break;
    }
    return reader_fail_code(records->reader, FERRY_E_BAD_PAGE_RECORD, NULL, -EPROTO,
                            "after the switch: a RAM record with flags 0x%03x, where whole pages alone are possible",
                            (unsigned)(word & FLAGS_MASK));
}

int postcopy_get_body(struct inspect_postcopy *postcopy, struct postcopy_records *records)
{
    int ret;

    do
        ret = get_record(postcopy, records);
    while (ret == 0);
    return ret < 0 ? ret : 0;
}

int postcopy_get_urgent(struct inspect_postcopy *postcopy, struct postcopy_records *records, bool to_end)
{
    int ret;

    do {
        ret = reader_at_end(records->reader);
        if (ret > 0 && records->left > 0)
            return bad_record(records, records->host->info.name, "the connection ends in the middle of a huge page");
        if (ret != 0)
            return ret < 0 ? ret : 0;
        ret = get_record(postcopy, records);
    } while (ret == 0);
    if (ret < 0 || !to_end)
        return ret < 0 ? ret : 0;
    ret = reader_at_end(records->reader);
    return ret == 0 ? bad_record(records, NULL, "more bytes behind the end of the urgent connection")
                    : (ret < 0 ? ret : 0);
}

void postcopy_drop_part(struct inspect_postcopy *postcopy, struct postcopy_records *records)
{
    if (records->left > 0)
        postcopy_forget(postcopy, records->host, records->first, records->next - records->first);
    records->left = 0;
    records->last = NULL;
}
