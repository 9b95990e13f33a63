/* SPDX-License-Identifier: BSD-3-Clause */
/* fuzz_mapped.c - any bytes as the block list of a mapped-ram file: refused, or every page is where the bytes say
 *
 *      file    | input ... | 4096: EOS, a pattern | 8192: EOS, a pattern | ...
 *
 * Whatever page the input makes the stream go on at, it finds the end of the body there.
 */
#include "fuzz.h"

#include "bytes.h"
#include "mapped_load.h"
#include "ram_section.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_PAGES  16
#define BLOCK_PAGES 4
#define WAIT_NS     INT64_C(60000000000)

static uint8_t file[FILE_PAGES * FERRY_PAGE_BYTES];
static _Alignas(4096) uint8_t memory[BLOCK_PAGES * FERRY_PAGE_BYTES];
static struct ram_block ram = { .info = { .name = "ram", .length = sizeof(memory), .flags = FERRY_BLOCK_FRESH },
                                .host = memory,
                                .pages = BLOCK_PAGES };
static struct ram_block *blocks[] = { &ram };
static const struct ram_map map = { .blocks = blocks, .count = 1 };
static struct mapped_loader *loader;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void make_file(const uint8_t *data, size_t bytes)
{
    memset(file, 0, FERRY_PAGE_BYTES);
    memcpy(file, data, bytes < FERRY_PAGE_BYTES ? bytes : FERRY_PAGE_BYTES);
    for (size_t page = 1; page < FILE_PAGES; page++) {
        memset(file + page * FERRY_PAGE_BYTES, (int)page, FERRY_PAGE_BYTES);
        store_be64(file + page * FERRY_PAGE_BYTES, RAM_EOS);
    }
}

static int announce(void *opaque, const char *name, uint64_t length, struct ram_block **block, struct ferry_error *err)
{
    *block = &ram;
    return length == sizeof(memory) && !strcmp(name, "ram") ? 0 : ferry_error_set(err, -2, "another block");
}

static int entry(void *opaque, struct ferry_reader *reader, const struct ram_block *block)
{
    return mapped_loader_entry(loader, reader, block);
}

/* Each page is zero, or a page of the file. */
static void check_memory(const struct mapped_figures *figures)
{
    uint64_t content = 0;

    for (size_t page = 0; page < BLOCK_PAGES; page++) {
        const uint8_t *at = memory + page * FERRY_PAGE_BYTES;
        size_t from = at[FERRY_PAGE_BYTES - 1];

        must(from < FILE_PAGES && memcmp(at + 8, at + 9, FERRY_PAGE_BYTES - 9) == 0);
        must(from == 0 || !memcmp(at, file + from * FERRY_PAGE_BYTES, FERRY_PAGE_BYTES));
        content += from > 0;
    }
    must(content == figures->content_pages && content + figures->zero_pages == BLOCK_PAGES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const struct ram_loader_ops ops = { .announce = announce };
    const struct mapped_terms terms = { .threads = 1, .ring = true };
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    struct ferry_error err = { 0 };
    struct mapped_figures figures;
    struct ferry_channel *chan;
    struct ferry_reader *reader;
    struct placer *placer;
    struct ram_loader body;
    int ret;

    make_file(data, bytes);
    memset(memory, 0, sizeof(memory));
    must(write(fd, file, sizeof(file)) == sizeof(file) && lseek(fd, 0, SEEK_SET) == 0);
    chan = ferry_channel_from_fd(fd, "fuzz", NULL);
    reader = ferry_reader_new(chan, NULL);
    placer = placer_direct_new(&map, false, NULL);
    loader = mapped_loader_new(placer, chan, &terms, NULL);
    ram_loader_init(&body, &ops, NULL, placer);
    body.mapped = entry;
    ret = ram_get_body(&body, reader);
    must(ret == 0 || ferry_reader_status(reader, &err) < 0);
    if (ret == 0 && body.count > 0) {
        mapped_loader_begin(loader);
        ret = mapped_loader_wait(loader, WAIT_NS, &err);
        mapped_loader_figures(loader, &figures);
        if (ret == 0)
            check_memory(&figures);
    }
    must(ret == 0 || err.text[0]);
    ram_loader_clear(&body);
    mapped_loader_free(loader);
    placer_free(placer);
    ferry_reader_free(reader);
    ferry_channel_unref(chan);
    return 0;
}
