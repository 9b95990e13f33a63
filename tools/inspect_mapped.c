/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_mapped.c - memory at fixed places of a file (mapped-ram), for inspect
 *
 * One thread reads: what counts the pages (inspect_ram.c) is made for one.
 */
#include "inspect_mapped.h"

#include "mapped_load.h"
#include "reader.h"

#include <errno.h>

#define LOOK_NS INT64_C(1000000000)

static int mapped_entry(void *opaque, struct ferry_reader *reader, const struct ram_block *block)
{
    struct inspect_ram *ram = opaque;

    return mapped_loader_entry(ram->mapped, reader, block);
}

int inspect_mapped_begin(struct inspect_ram *ram, struct ferry_reader *reader)
{
    const struct mapped_terms terms = { .threads = 1, .ring = true };
    struct ferry_error why = { .errnum = -ENOMEM };

    ram->mapped = mapped_loader_new(&ram->placer, reader_channel(reader), &terms, &why);
    if (!ram->mapped) {
        ferry_error_prefix(&why, "mapped-ram");
        return reader_fail_why(reader, why.errnum, &why);
    }
    ram->loader.mapped = mapped_entry;
    return 0;
}

int inspect_mapped_load(struct inspect_ram *ram, struct ferry_reader *reader)
{
    struct mapped_figures figures;
    struct ferry_error why = { 0 };
    int ret;

    if (!ram->mapped || ram->mapped_loaded)
        return 0;
    ram->mapped_loaded = true;
    mapped_loader_begin(ram->mapped);
    do
        ret = mapped_loader_wait(ram->mapped, LOOK_NS, &why);
    while (ret == -ETIMEDOUT);
    if (ret < 0)
        return reader_fail_why(reader, ret, &why);
    mapped_loader_figures(ram->mapped, &figures);
    ram->loader.counts.normal += figures.content_pages;
    ram->loader.counts.zero += figures.zero_pages;
    return 0;
}

void inspect_mapped_clear(struct inspect_ram *ram)
{
    mapped_loader_free(ram->mapped);
    ram->mapped = NULL;
}
