/* SPDX-License-Identifier: BSD-3-Clause */
/* mapped_rewrite.c - a mapped-ram file, read by our loader and written by our saver: IN OUT [THREADS]
 *
 *      IN    header configuration | START ram: blocks, pages | PART .. END, devices, description
 *                                      | loaded, saved anew      | copied as it is
 *      OUT   header configuration | START ram: blocks, pages | PART .. END, devices, description
 *
 * So a QEMU may load memory as Ferry lays it out, with its own devices behind it.
 */
#include "mapped_load.h"
#include "mapped_ram.h"
#include "ram_section.h"
#include "reader.h"
#include "section.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define WAIT_NS INT64_C(60000000000)

struct rewrite {
    struct ferry_reader *reader;
    struct ferry_writer *writer;
    struct ferry_channel *in, *out;
    struct ram_map map;
    struct placer *placer;
    struct mapped_terms terms;
    struct mapped_loader *loader;
    struct section_item item;
};

/* A block as large as the stream says. */
static int announce(void *opaque, const char *name, uint64_t length, struct ram_block **block, struct ferry_error *err)
{
    struct rewrite *rewrite = opaque;
    struct ferry_block info = {
        .name = name, .length = length, .page_size = FERRY_PAGE_BYTES, .flags = FERRY_BLOCK_PRIVATE | FERRY_BLOCK_FRESH
    };
    int ret;

    info.host = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (info.host == MAP_FAILED)
        return ferry_error_set(err, -ENOMEM, "no memory for block '%s'", name);
    ret = ram_map_add(&rewrite->map, &info, err);
    *block = ram_map_find(&rewrite->map, name);
    return ret;
}

static int mapped(void *opaque, struct ferry_reader *reader, const struct ram_block *block)
{
    return mapped_loader_entry(((struct rewrite *)opaque)->loader, reader, block);
}

static int read_memory(struct rewrite *rewrite, struct ferry_error *err)
{
    static const struct ram_loader_ops ops = { .announce = announce };
    static const char *const names[] = { MAPPED_RAM_CAPABILITY };
    struct section_configuration config;
    struct ram_loader ram;
    int ret = section_get_header(rewrite->reader);

    if (ret == 0)
        ret = section_get_configuration(rewrite->reader, &config);
    if (ret == 0)
        ret = section_get_item(rewrite->reader, &rewrite->item);
    ram_loader_init(&ram, &ops, rewrite, rewrite->placer);
    ram.mapped = mapped;
    if (ret == 0)
        ret = ram_get_body(&ram, rewrite->reader);
    if (ret == 0)
        ret = section_get_footer(rewrite->reader, &rewrite->item);
    ram_loader_clear(&ram);
    if (ret < 0)
        return ferry_reader_status(rewrite->reader, err);
    section_put_header(rewrite->writer);
    section_put_configuration(rewrite->writer, config.machine);
    section_put_capabilities(rewrite->writer, names, 1);
    mapped_loader_begin(rewrite->loader);
    return mapped_loader_wait(rewrite->loader, WAIT_NS, err);
}

static int write_memory(struct rewrite *rewrite, struct ferry_error *err)
{
    struct mapped_saver *saver;
    struct page_walk walk;
    int ret = walk_init(&walk, &rewrite->map, err);

    if (ret < 0)
        return ret;
    section_put_first(rewrite->writer, SECTION_START, rewrite->item.id, rewrite->item.idstr, rewrite->item.instance_id,
                      rewrite->item.version_id);
    saver = mapped_saver_new(&walk, rewrite->out, &rewrite->terms, err);
    ret = saver ? mapped_saver_put_blocks(saver, rewrite->writer, err) : -ENOMEM;
    ram_put_eos(rewrite->writer);
    section_put_footer(rewrite->writer, rewrite->item.id);
    if (ret == 0) {
        mapped_saver_begin(saver);
        ret = mapped_saver_wait(saver, WAIT_NS, err);
    }
    if (ret == 0)
        ret = mapped_saver_seal(saver, err);
    mapped_saver_free(saver);
    walk_clear(&walk);
    return ret;
}

static int copy_rest(struct rewrite *rewrite, struct ferry_error *err)
{
    uint8_t byte;

    while (reader_at_end(rewrite->reader) == 0 && ferry_get_u8(rewrite->reader, &byte) == 0)
        ferry_put_u8(rewrite->writer, byte);
    return ferry_reader_status(rewrite->reader, err) < 0 ? -EPROTO : ferry_writer_flush(rewrite->writer, err);
}

int main(int argc, char **argv)
{
    struct rewrite rewrite = { .terms = { .threads = 2, .ring = true } };
    struct ferry_error err = { 0 };
    int ret = -EINVAL;

    if (argc < 3)
        return 2;
    if (argc > 3)
        rewrite.terms.threads = (unsigned)atoi(argv[3]);
    ram_map_init(&rewrite.map);
    rewrite.in = ferry_channel_open_file(argv[1], FERRY_READ, 0, false, &err);
    rewrite.out = ferry_channel_open_file(argv[2], FERRY_WRITE, 0, true, &err);
    if (rewrite.in && rewrite.out) {
        rewrite.reader = ferry_reader_new(rewrite.in, &err);
        rewrite.writer = ferry_writer_new(rewrite.out, &err);
        rewrite.placer = placer_direct_new(&rewrite.map, false, &err);
        rewrite.loader = mapped_loader_new(rewrite.placer, rewrite.in, &rewrite.terms, &err);
        ret = read_memory(&rewrite, &err);
    }
    if (ret == 0)
        ret = write_memory(&rewrite, &err);
    if (ret == 0)
        ret = copy_rest(&rewrite, &err);
    if (ret < 0)
        fprintf(stderr, "%s\n", ferry_error_text(&err));
    return ret < 0;
}
