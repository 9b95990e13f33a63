/* SPDX-License-Identifier: BSD-3-Clause */
/* mapped_io_test.c - memory goes to fixed places of a file and comes back, whole, by any number of threads */
#include "mapped_load.h"
#include "mapped_ram.h"
#include "ram_section.h"
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define BLOCKS  3
#define WAIT_NS INT64_C(60000000000)
#define STREAM  0x1234u     /* what stands behind the block list */
#define HEAD    (8 + 5 + 8) /* where the first block's header stands: behind total, name and length */

static const uint64_t sizes[BLOCKS] = { 5000, 1, 700 }; /* pages; the first in several shares */
static char path[] = "./ferry-mapped-XXXXXX";

struct side {
    struct ram_map map;
    uint8_t *memory[BLOCKS];
};

static void side_open(struct side *side)
{
    ram_map_init(&side->map);
    for (unsigned i = 0; i < BLOCKS; i++) {
        char name[8];
        struct ferry_block block = { .name = name,
                                     .length = sizes[i] * FERRY_PAGE_BYTES,
                                     .page_size = FERRY_PAGE_BYTES,
                                     .flags = FERRY_BLOCK_PRIVATE | FERRY_BLOCK_FRESH };

        snprintf(name, sizeof(name), "ram%u", i);
        side->memory[i] = mmap(NULL, block.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(side->memory[i] != MAP_FAILED);
        block.host = side->memory[i];
        assert_int_equal(ram_map_add(&side->map, &block, NULL), 0);
    }
}

static void side_close(struct side *side)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        munmap(side->memory[i], sizes[i] * FERRY_PAGE_BYTES);
    ram_map_clear(&side->map);
}

static void assert_same(const struct side *one, const struct side *other)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        assert_memory_equal(one->memory[i], other->memory[i], sizes[i] * FERRY_PAGE_BYTES);
}

/* Runs of pages with content, runs of zero pages, and some between; @seed moves them. */
static bool has_content(uint64_t page, unsigned seed)
{
    return (page + seed) / 600 % 2 == 0 || (page * 7 + seed) % 5 == 0;
}

static void paint(struct side *side, unsigned block, uint64_t page, unsigned seed)
{
    uint8_t *at = side->memory[block] + page * FERRY_PAGE_BYTES;

    if (!has_content(page, seed)) {
        memset(at, 0, FERRY_PAGE_BYTES);
        return;
    }
    for (size_t i = 0; i < FERRY_PAGE_BYTES; i++)
        at[i] = (uint8_t)(page * 37 + i * 11 + i / 256 + seed + block + 1);
}

static struct ferry_channel *open_file(enum ferry_direction way, uint64_t offset, bool direct)
{
    struct ferry_error err = { 0 };
    struct ferry_channel *chan = ferry_channel_open_file(path, way, offset, direct, &err);

    if (!chan)
        fail_msg("%s", err.text);
    return chan;
}

struct save {
    struct side *side;
    struct page_walk walk;
    struct ferry_channel *chan;
    struct ferry_writer *writer;
    struct mapped_saver *saver;
};

static bool with_sums;

static void save_open(struct save *save, struct side *side, unsigned threads, uint64_t offset, bool direct)
{
    struct mapped_terms terms = { .threads = threads, .ring = true, .sums = with_sums };

    save->side = side;
    save->chan = open_file(FERRY_WRITE, offset, direct);
    assert_int_equal(walk_init(&save->walk, &side->map, NULL), 0);
    assert_int_equal(walk_look_untouched(&save->walk, NULL), 0);
    save->writer = ferry_writer_new(save->chan, NULL);
    save->saver = mapped_saver_new(&save->walk, save->chan, &terms, NULL);
    assert_non_null(save->saver);
    assert_int_equal(mapped_saver_put_blocks(save->saver, save->writer, NULL), 0);
    ram_put_eos(save->writer);
    ferry_put_be32(save->writer, STREAM);
    assert_int_equal(ferry_writer_flush(save->writer, NULL), 0);
}

static void save_round(struct save *save)
{
    mapped_saver_begin(save->saver);
    assert_int_equal(mapped_saver_wait(save->saver, WAIT_NS, NULL), 0);
    assert_int_equal(walk_pending(&save->walk), 0);
}

static void save_close(struct save *save)
{
    assert_int_equal(mapped_saver_seal(save->saver, NULL), 0);
    mapped_saver_free(save->saver);
    walk_clear(&save->walk);
    ferry_writer_free(save->writer);
    assert_int_equal(ferry_channel_finish(save->chan, NULL), 0);
    ferry_channel_unref(save->chan);
}

struct load {
    struct side *side;
    struct mapped_loader *loader;
};

static int announce(void *opaque, const char *name, uint64_t length, struct ram_block **block, struct ferry_error *err)
{
    struct load *load = opaque;

    *block = ram_map_find(&load->side->map, name);
    if (*block && (*block)->info.length == length)
        return 0;
    return ferry_error_set(err, -EINVAL, "block '%s' is another", name);
}

static int mapped(void *opaque, struct ferry_reader *reader, const struct ram_block *block)
{
    return mapped_loader_entry(((struct load *)opaque)->loader, reader, block);
}

static const struct ram_loader_ops ops = { .announce = announce };

/* 0, or why not. */
static int load_all(struct side *side, unsigned threads, uint64_t offset, bool direct, struct mapped_figures *figures,
                    struct ferry_error *err)
{
    struct mapped_terms terms = { .threads = threads, .ring = true };
    struct ferry_channel *chan = open_file(FERRY_READ, offset, direct);
    struct ferry_reader *reader = ferry_reader_new(chan, NULL);
    struct placer *placer = placer_direct_new(&side->map, false, NULL);
    struct load load = { side, mapped_loader_new(placer, chan, &terms, NULL) };
    struct ram_loader ram;
    uint32_t mark;
    int ret;

    assert_non_null(load.loader);
    ram_loader_init(&ram, &ops, &load, placer);
    ram.mapped = mapped;
    ret = ram_get_body(&ram, reader);
    if (ret == 0)
        ret = ferry_get_be32(reader, &mark);
    if (ret < 0)
        ferry_reader_status(reader, err);
    else
        assert_int_equal(mark, STREAM);
    if (ret == 0) {
        mapped_loader_begin(load.loader);
        ret = mapped_loader_wait(load.loader, WAIT_NS, err);
    }
    mapped_loader_figures(load.loader, figures);
    ram_loader_clear(&ram);
    mapped_loader_free(load.loader);
    placer_free(placer);
    ferry_reader_free(reader);
    ferry_channel_unref(chan);
    return ret;
}

static void save_and_load(unsigned threads, uint64_t offset, bool direct)
{
    struct side source, destination;
    struct mapped_figures saved, loaded;
    struct ferry_error err = { 0 };
    struct save save;
    struct stat st;

    side_open(&source);
    side_open(&destination);
    for (unsigned block = 0; block < BLOCKS; block++)
        for (uint64_t page = 0; page < sizes[block]; page++)
            if (page < 4500) /* the rest was never touched */
                paint(&source, block, page, 0);
    save_open(&save, &source, threads, offset, direct);
    save_round(&save);
    mapped_saver_figures(save.saver, &saved);
    save_close(&save);
    assert_int_equal(stat(path, &st), 0);
    assert_in_range((uint64_t)st.st_blocks * 512, saved.bytes, saved.bytes + (64u << 10));
    if (load_all(&destination, threads, offset, direct, &loaded, &err) < 0)
        fail_msg("%s", err.text);
    assert_same(&source, &destination);
    assert_int_equal(saved.content_pages, loaded.content_pages);
    assert_int_equal(saved.zero_pages, loaded.zero_pages);
    assert_int_equal(saved.content_pages + saved.zero_pages, sizes[0] + sizes[1] + sizes[2]);
    side_close(&source);
    side_close(&destination);
}

static void memory_comes_back_whole(void **state)
{
    save_and_load(1, 0, false);
    save_and_load(4, 0, false);
    save_and_load(3, 12345, false);
}

static void memory_comes_back_whole_past_the_page_cache(void **state)
{
    save_and_load(1, 0, true);
    save_and_load(4, 4096, true);
    save_and_load(2, 777, true);
}

/* Rounds, each with pages that get, change and lose their content. */
static void a_page_that_changes_overwrites_itself(void **state)
{
    struct side source, destination;
    struct mapped_figures figures;
    struct ferry_error err = { 0 };
    struct save save;
    struct stat first, last;

    side_open(&source);
    side_open(&destination);
    for (uint64_t page = 0; page < sizes[0]; page++)
        paint(&source, 0, page, 0);
    save_open(&save, &source, 3, 0, false);
    save_round(&save);
    assert_int_equal(stat(path, &first), 0);
    for (unsigned round = 1; round < 5; round++) {
        for (uint64_t page = round; page < sizes[0]; page += 3) {
            paint(&source, 0, page, round * 601);
            dirty_set_range(&save.walk.dirty[0], page, 1);
            save.walk.pending_pages++;
        }
        save.walk.block = 0;
        save.walk.page = 0;
        save_round(&save);
    }
    save_close(&save);
    assert_int_equal(stat(path, &last), 0);
    assert_int_equal(first.st_size, last.st_size);
    /* Old copies of pages that are zero by now lie in the file: none of them may come back. */
    if (load_all(&destination, 3, 0, false, &figures, &err) < 0)
        fail_msg("%s", err.text);
    assert_same(&source, &destination);
    side_close(&source);
    side_close(&destination);
}

static void sums_cross_and_fit(void **state)
{
    with_sums = true;
    save_and_load(1, 0, false);
    save_and_load(4, 777, true);
    a_page_that_changes_overwrites_itself(state);
    with_sums = false;
}

/* ---- hostile files --------------------------------------------------------------------------------------------- */

static void make_good_file(struct side *source)
{
    struct save save;

    side_open(source);
    for (uint64_t page = 0; page < sizes[0]; page++)
        paint(source, 0, page, 0);
    save_open(&save, source, 2, 0, false);
    save_round(&save);
    save_close(&save);
}

static void poke(off_t at, uint8_t value)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_int_equal(pwrite(fd, &value, 1, at), 1);
    close(fd);
}

static void assert_refused(enum ferry_code code, const char *words)
{
    struct ferry_error err = { 0 };
    struct mapped_figures figures;
    struct side destination;

    side_open(&destination);
    assert_true(load_all(&destination, 2, 0, false, &figures, &err) < 0);
    assert_int_equal(err.code, code);
    if (!strstr(err.text, words))
        fail_msg("'%s' is not in: %s", words, err.text);
    side_close(&destination);
}

static void a_truncated_file_is_refused_at_its_header(void **state)
{
    struct side source;

    make_good_file(&source);
    assert_int_equal(truncate(path, 20 << 20), 0);
    assert_refused(FERRY_E_STREAM_ENDED, "but the file has 20971520 bytes");
    assert_int_equal(truncate(path, 30), 0);
    assert_refused(FERRY_E_STREAM_ENDED, "ends");
    side_close(&source);
}

static void a_damaged_header_is_refused_with_a_sentence(void **state)
{
    struct side source;

    make_good_file(&source);
    poke(HEAD + 3, 9);
    assert_refused(FERRY_E_STREAM_VERSION, "version 9");
    poke(HEAD + 3, 1);
    poke(HEAD + 11, 1);
    assert_refused(FERRY_E_PAGE_SIZE, "4097");
    poke(HEAD + 11, 0);
    poke(HEAD + 27, 1); /* pages_offset, no longer a multiple of a page */
    assert_refused(FERRY_E_STREAM_BROKEN, "not a multiple");
    poke(HEAD + 27, 0);
    poke(HEAD + 20, 0x7f); /* far outside */
    assert_refused(FERRY_E_STREAM_ENDED, "but the file has");
    poke(HEAD + 20, 0);
    poke(HEAD + 19, 0); /* the bitmap on top of the header */
    assert_refused(FERRY_E_STREAM_BROKEN, "above are free");
    side_close(&source);
}

static void a_bitmap_that_speaks_of_too_many_pages_is_refused(void **state)
{
    struct side source;

    make_good_file(&source);
    poke((off_t)(HEAD + MAPPED_HEAD_BYTES + mapped_bitmap_bytes(sizes[0]) - 1), 0x80);
    assert_refused(FERRY_E_STREAM_BROKEN, "behind its last one");
    side_close(&source);
}

static void a_page_without_its_checksum_is_refused(void **state)
{
    const uint64_t page = 601 * 5; /* has content */
    struct side source;

    assert_true(has_content(page, 0));
    with_sums = true;
    make_good_file(&source);
    with_sums = false;
    poke((off_t)((1 << 20) + page * FERRY_PAGE_BYTES + 99), 0xee);
    assert_refused(FERRY_E_STREAM_BROKEN, "byte 13357056: page 3005 of block 'ram0' does not have its checksum");
    side_close(&source);
}

static void what_is_no_file_is_refused(void **state)
{
    struct mapped_terms terms = { .threads = 1 };
    struct ferry_channel *chan = ferry_channel_buffer_writer(4096, NULL);
    struct ferry_error err = { 0 };
    struct page_walk walk;
    struct side source;

    side_open(&source);
    assert_int_equal(walk_init(&walk, &source.map, NULL), 0);
    assert_null(mapped_saver_new(&walk, chan, &terms, &err));
    assert_int_equal(err.errnum, -ENOTSUP);
    walk_clear(&walk);
    side_close(&source);
    ferry_channel_unref(chan);
}

static void a_channel_that_is_shut_down_ends_the_round(void **state)
{
    struct ferry_error err = { 0 };
    struct side source;
    struct save save;

    side_open(&source);
    paint(&source, 0, 0, 0);
    save_open(&save, &source, 2, 0, false);
    ferry_channel_shutdown(save.chan, FERRY_READ_WRITE);
    mapped_saver_begin(save.saver);
    assert_int_equal(mapped_saver_wait(save.saver, WAIT_NS, &err), -ESHUTDOWN);
    mapped_saver_free(save.saver);
    walk_clear(&save.walk);
    ferry_writer_free(save.writer);
    ferry_channel_unref(save.chan);
    side_close(&source);
}

static int make_path(void **state)
{
    int fd = mkstemp(path);

    if (fd >= 0)
        close(fd);
    return fd < 0 ? -1 : 0;
}

static int remove_path(void **state)
{
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_comes_back_whole),
        cmocka_unit_test(memory_comes_back_whole_past_the_page_cache),
        cmocka_unit_test(a_page_that_changes_overwrites_itself),
        cmocka_unit_test(a_truncated_file_is_refused_at_its_header),
        cmocka_unit_test(a_damaged_header_is_refused_with_a_sentence),
        cmocka_unit_test(a_bitmap_that_speaks_of_too_many_pages_is_refused),
        cmocka_unit_test(sums_cross_and_fit),
        cmocka_unit_test(a_page_without_its_checksum_is_refused),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(a_channel_that_is_shut_down_ends_the_round),
    };

    return cmocka_run_group_tests(tests, make_path, remove_path);
}
