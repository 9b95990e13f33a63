/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_ram.c - the guest's memory as it comes: counted, and kept where it is wanted
 *
 * A placer in front of the direct one: it counts, then passes on.  Where nothing is kept every page is read to the same
 * scratch page, so that looking at a stream of any size takes no memory to speak of.
 */
#include "inspect_ram.h"

#include "inspect_mapped.h"
#include "zero.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEEN_PAGES_MAX (UINT64_C(1) << 28) /* of a block of 1 TiB; which pages of a larger one came is not counted */

static struct inspect_ram *ram_of(struct placer *placer)
{
    return (struct inspect_ram *)placer;
}

/* ---- counting -------------------------------------------------------------------------------------------------- */

static void note_seen(struct inspect_ram_block *block, uint64_t page, uint64_t count)
{
    for (uint64_t i = page; block->seen && i < page + count; i++)
        block->seen[i / 64] |= UINT64_C(1) << (i % 64);
}

/* Of the main stream.  Pages come cyclically, block by block: a step back is the begin of another pass over them. */
static void note_place(struct inspect_ram *ram, struct inspect_ram_block *block, uint64_t page, uint64_t count)
{
    unsigned index = block->block.index;

    if (ram->passes == 0 || index < ram->last_block || (index == ram->last_block && page < ram->last_page))
        ram->passes++;
    ram->last_block = index;
    ram->last_page = page + count;
    note_seen(block, page, count);
}

static uint8_t *ram_prepare(struct placer *placer, const struct ram_block *block, uint64_t page, uint64_t count,
                            uint64_t *got)
{
    struct inspect_ram *ram = ram_of(placer);

    if (ram->direct)
        return ram->direct->ops->prepare(ram->direct, block, page, count, got);
    *got = 1;
    return ram->scratch;
}

static int ram_commit(struct placer *placer, const struct ram_block *block, uint64_t page, uint64_t count,
                      struct ferry_error *err)
{
    struct inspect_ram *ram = ram_of(placer);
    struct inspect_ram_block *counted = (struct inspect_ram_block *)block;

    pthread_mutex_lock(&ram->lock);
    counted->normal += count;
    note_place(ram, counted, page, count);
    pthread_mutex_unlock(&ram->lock);
    return ram->direct ? ram->direct->ops->commit(ram->direct, block, page, count, err) : 0;
}

static int ram_zero(struct placer *placer, const struct ram_block *block, uint64_t page, uint64_t count,
                    struct ferry_error *err)
{
    struct inspect_ram *ram = ram_of(placer);
    struct inspect_ram_block *counted = (struct inspect_ram_block *)block;

    pthread_mutex_lock(&ram->lock);
    counted->zero += count;
    note_place(ram, counted, page, count);
    pthread_mutex_unlock(&ram->lock);
    return ram->direct ? ram->direct->ops->zero(ram->direct, block, page, count, err) : 0;
}

static bool ram_untouched(struct placer *placer, const struct ram_block *block, uint64_t page)
{
    struct inspect_ram *ram = ram_of(placer);

    return ram->direct && placer_untouched(ram->direct, block, page);
}

static const struct placer_ops ram_ops = {
    .prepare = ram_prepare,
    .commit = ram_commit,
    .zero = ram_zero,
    .untouched = ram_untouched,
};

/* ---- pages of page channels ------------------------------------------------------------------------------------- */

static void put_pages(struct placer *direct, const struct ram_block *block, const struct packet_run *run,
                      const uint8_t *data)
{
    uint64_t got;

    for (uint64_t done = 0; done < run->count; done += got) {
        uint8_t *to = direct->ops->prepare(direct, block, run->first + done, run->count - done, &got);

        memcpy(to, data + (done << FERRY_PAGE_SHIFT), got << FERRY_PAGE_SHIFT);
    }
}

int inspect_ram_put(struct inspect_ram *ram, const struct ram_block *block, const struct packet_run *run,
                    const uint8_t *data, struct ferry_error *err)
{
    struct inspect_ram_block *counted = (struct inspect_ram_block *)block;
    struct placer *direct = ram->direct;
    int ret = 0;

    pthread_mutex_lock(&ram->lock);
    *(data ? &counted->normal : &counted->zero) += run->count;
    *(data ? &ram->normal : &ram->zero) += run->count;
    note_seen(counted, run->first, run->count);
    if (direct && data) {
        put_pages(direct, block, run, data);
        ret = direct->ops->commit(direct, block, run->first, run->count, err);
    } else if (direct) {
        ret = direct->ops->zero(direct, block, run->first, run->count, err);
    }
    pthread_mutex_unlock(&ram->lock);
    return ret;
}

/* ---- blocks ---------------------------------------------------------------------------------------------------- */

static void block_free(struct inspect_ram_block *block)
{
    if (!block)
        return;
    if (block->block.host)
        munmap(block->block.host, block->block.info.length);
    free((char *)block->block.info.name);
    free(block->seen);
    free(block);
}

static struct inspect_ram_block *block_new(struct inspect_ram *ram, const char *name, uint64_t length,
                                           struct ferry_error *err)
{
    struct inspect_ram_block *block = calloc(1, sizeof(*block));
    uint64_t pages = length >> FERRY_PAGE_SHIFT;
    void *host;

    if (!block)
        goto fail;
    block->block.info = (struct ferry_block){
        .name = strdup(name),
        .length = length,
        .page_size = FERRY_PAGE_BYTES,
        .flags = FERRY_BLOCK_PRIVATE | FERRY_BLOCK_FRESH,
    };
    block->block.pages = pages;
    block->block.index = ram->count;
    if (!block->block.info.name)
        goto fail;
    if (pages <= SEEN_PAGES_MAX)
        block->seen = calloc((pages + 63) / 64, sizeof(uint64_t));
    if (ram->direct) {
        host = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (host == MAP_FAILED)
            goto fail;
        block->block.host = block->block.info.host = host;
    }
    return block;

fail:
    ferry_error_set(err, -ENOMEM, "block '%s': no memory for %" PRIu64 " bytes", name, length);
    block_free(block);
    return NULL;
}

static int announce(void *opaque, const char *name, uint64_t length, struct ram_block **block, struct ferry_error *err)
{
    struct inspect_ram *ram = opaque;
    struct inspect_ram_block *made;

    if (ram->direct && length > ram->max_bytes - ram->total_bytes)
        return ferry_error_set(
            err, -E2BIG, "block '%s' of %" PRIu64 " bytes: RAM in all is above the limit (--max-ram)", name, length);
    if (!ram->blocks)
        ram->blocks = calloc(FERRY_BLOCKS_MAX, sizeof(struct inspect_ram_block *));
    if (!ram->blocks)
        return ferry_error_set(err, -ENOMEM, "no memory for the block list");
    made = block_new(ram, name, length, err);
    if (!made)
        return -ENOMEM;
    ram->blocks[ram->count++] = made;
    ram->total_bytes += length;
    *block = &made->block;
    return 0;
}

static int mark(void *opaque, struct ferry_error *err)
{
    struct inspect_ram *ram = opaque;

    return ram->mark ? ram->mark(ram->opaque, err) : 0;
}

static int huge(void *opaque, struct ram_block *block, uint32_t page_bytes, struct ferry_error *err)
{
    if (block->info.length % page_bytes)
        return ferry_error_set(err, -EPROTO, "block '%s' of %" PRIu64 " bytes, in pages of %" PRIu32, block->info.name,
                               (uint64_t)block->info.length, page_bytes);
    block->info.page_size = page_bytes;
    return 0;
}

static const struct ram_loader_ops loader_ops = { .announce = announce, .mark = mark, .huge = huge };

int inspect_ram_init(struct inspect_ram *ram, bool keep, uint64_t max_bytes, struct ferry_error *err)
{
    memset(ram, 0, sizeof(*ram));
    pthread_mutex_init(&ram->lock, NULL);
    ram->placer.ops = &ram_ops;
    ram->max_bytes = max_bytes;
    ram_map_init(&ram->map);
    ram_loader_init(&ram->loader, &loader_ops, ram, &ram->placer);
    if (keep) {
        ram->direct = placer_direct_new(&ram->map, false, err);
        return ram->direct ? 0 : -ENOMEM;
    }
    ram->scratch = malloc(FERRY_PAGE_BYTES);
    return ram->scratch ? 0 : ferry_error_set(err, -ENOMEM, "no memory for a page");
}

void inspect_ram_clear(struct inspect_ram *ram)
{
    inspect_mapped_clear(ram);
    ram_loader_clear(&ram->loader);
    placer_free(ram->direct);
    for (unsigned i = 0; i < ram->count; i++)
        block_free(ram->blocks[i]);
    free(ram->blocks);
    free(ram->scratch);
    pthread_mutex_destroy(&ram->lock);
    memset(ram, 0, sizeof(*ram));
}

void inspect_ram_count_missing(struct inspect_ram *ram)
{
    for (unsigned i = 0; i < ram->count; i++) {
        struct inspect_ram_block *block = ram->blocks[i];
        uint64_t came = 0;

        for (uint64_t word = 0; block->seen && word < (block->block.pages + 63) / 64; word++)
            came += (unsigned)__builtin_popcountll(block->seen[word]);
        block->missing = block->seen ? block->block.pages - came : 0;
    }
}

const struct inspect_ram_block *inspect_ram_find(const struct inspect_ram *ram, const char *name)
{
    const struct inspect_ram_block *found = NULL;

    for (unsigned i = 0; i < ram->count; i++) {
        const struct inspect_ram_block *block = ram->blocks[i];

        if (name ? !strcmp(block->block.info.name, name) : !found || block->block.pages > found->block.pages)
            found = block;
    }
    return found;
}

/* ---- saving ---------------------------------------------------------------------------------------------------- */

/* A page that never came is empty, too: a guess of the loader may have left something there. */
static bool page_empty(const struct inspect_ram_block *block, uint64_t page)
{
    if (block->seen && !(block->seen[page / 64] >> (page % 64) & 1))
        return true;
    return zero_test(block->block.host + (page << FERRY_PAGE_SHIFT), FERRY_PAGE_BYTES);
}

/* How many pages from @page on hold something, at most a good write's worth. */
static uint64_t run_pages(const struct inspect_ram_block *block, uint64_t page)
{
    uint64_t count = 0;

    while (count < 1024 && page + count < block->block.pages && !page_empty(block, page + count))
        count++;
    return count;
}

static int write_all(int fd, const uint8_t *data, size_t bytes, uint64_t position)
{
    while (bytes > 0) {
        ssize_t done = pwrite(fd, data, bytes, (off_t)position);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? -errno : -EIO;
        data += done;
        bytes -= (size_t)done;
        position += (uint64_t)done;
    }
    return 0;
}

static int write_pages(int fd, const struct inspect_ram_block *block)
{
    uint64_t page = 0;
    int ret = ftruncate(fd, (off_t)block->block.info.length) < 0 ? -errno : 0;

    while (ret == 0 && page < block->block.pages) {
        uint64_t count = run_pages(block, page);

        if (count > 0)
            ret = write_all(fd, block->block.host + (page << FERRY_PAGE_SHIFT), (size_t)count << FERRY_PAGE_SHIFT,
                            page << FERRY_PAGE_SHIFT);
        page += count > 0 ? count : 1;
    }
    return ret;
}

int inspect_ram_save(const struct inspect_ram_block *block, int fd, const char *path, struct ferry_error *err)
{
    int ret = write_pages(fd, block);

    return ret < 0 ? ferry_error_set(err, ret, "%s: %s", path, strerror(-ret)) : 0;
}
