/* SPDX-License-Identifier: BSD-3-Clause */
/* untouched.c - is memory that was never touched still zero? */
#include "untouched.h"

#include "dirty.h"
#include "populated.h"
#include "zero.h"

int untouched_check(const struct mapping *mapping, const char *name, struct findings *findings, struct ferry_error *err)
{
    struct ram_block block = {
        .info = { .name = name,
                  .host = mapping->host,
                  .length = mapping->bytes,
                  .page_size = FERRY_PAGE_BYTES,
                  .flags = FERRY_BLOCK_PRIVATE },
        .host = mapping->host,
        .pages = mapping->bytes / FERRY_PAGE_BYTES,
    };
    struct dirty_map touched;
    uint64_t first = 0, from = 0, run;
    int ret = dirty_init(&touched, block.pages);

    if (ret < 0)
        return ferry_error_set(err, ret, "out of memory to check the untouched memory");
    ret = populated_scan(&block, &touched, err);
    for (; ret == 0 && (run = dirty_next_run(&touched, from, UINT64_MAX, &first)) > 0; from = first + run)
        for (uint64_t i = first; i < first + run; i++)
            if (!zero_test(block.host + i * FERRY_PAGE_BYTES, FERRY_PAGE_BYTES))
                findings_note(findings, CONTENT_DAMAGED, name, i, "should be zero");
    dirty_clear_memory(&touched);
    return ret;
}
