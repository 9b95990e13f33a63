/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_ram.c - the destination's memory while the guest runs and its pages are still to come
 *
 *      source --> page channels, main, urgent --> a placer each --> postcopy_install --> guest memory
 *         ^                                       (staging)                                 | touch of a missing page
 *         '-------- return path <------ request <------ fault_thread <------ userfaultfd <--'
 *
 * Here is its life; what a page goes through is in postcopy_parts.h.
 */
#include "postcopy_parts.h"

#include "bits.h"
#include "log.h"
#include "userfault.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- made -------------------------------------------------------------------------------------------------------- */

static int make_block(struct postcopy_block *at, const struct ram_block *block, struct ferry_error *err)
{
    size_t words = bits_words(block->pages);

    at->block = block;
    at->host_pages = block->info.page_size >> FERRY_PAGE_SHIFT;
    at->received = calloc(4 * words, sizeof(at->received[0]));
    if (!at->received)
        return ferry_error_set(err, -ENOMEM, "block '%s': no memory to note which pages are missing", block->info.name);
    at->claimed = at->received + words;
    at->discarded = at->claimed + words;
    at->requested = at->discarded + words;
    atomic_bits_set(at->received, 0, words * 64);
    atomic_bits_set(at->claimed, 0, words * 64);
    return 0;
}

static int make_blocks(struct postcopy_ram *ram, struct ferry_error *err)
{
    int ret = 0;

    ram->count = ram->map->count;
    ram->blocks = calloc(ram->count ? ram->count : 1, sizeof(ram->blocks[0]));
    if (!ram->blocks)
        return ferry_error_set(err, -ENOMEM, "no memory to note which pages are missing");
    for (unsigned i = 0; ret == 0 && i < ram->count; i++)
        ret = make_block(&ram->blocks[i], ram->map->blocks[i], err);
    return ret;
}

/* Copies of huge pages of zeros come from memory that reads as zero and costs nothing. */
static int make_zeros(struct postcopy_ram *ram, struct ferry_error *err)
{
    for (unsigned i = 0; i < ram->count; i++) {
        uint64_t bytes = ram->blocks[i].block->info.page_size;

        if (bytes > FERRY_PAGE_BYTES && bytes > ram->zeros_bytes)
            ram->zeros_bytes = bytes;
    }
    if (ram->zeros_bytes == 0)
        return 0;
    ram->zeros = mmap(NULL, ram->zeros_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ram->zeros != MAP_FAILED)
        return 0;
    ram->zeros = NULL;
    return ferry_error_set(err, -errno, "no memory for a page of zeros: %s", strerror(errno));
}

static int make_descriptor(struct postcopy_ram *ram, int fd, struct ferry_error *err)
{
    uint64_t features = UFFD_FEATURE_THREAD_ID;
    int ret;

    for (unsigned i = 0; i < ram->count; i++) {
        if (ram->blocks[i].host_pages > 1)
            features |= UFFD_FEATURE_MISSING_HUGETLBFS;
        if (ram->blocks[i].file || ram->blocks[i].shared)
            features |= UFFD_FEATURE_MISSING_SHMEM;
        if (postcopy_over_file(&ram->blocks[i]))
            features |= UFFD_FEATURE_MINOR_SHMEM;
    }
    if (fd < 0) {
        ret = ram->fd = userfault_open(USERFAULT_KERNEL_TOO, features, err);
    } else {
        ret = userfault_agree(fd, features, err);
        if (ret == 0) {
            ram->fd = fd;
            (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        }
    }
    return ret < 0 ? ferry_error_code(err, FERRY_E_POSTCOPY_UNSUPPORTED), ret : 0;
}

static void ram_release(struct postcopy_ram *ram)
{
    for (unsigned i = 0; ram->blocks && i < ram->count; i++)
        free(ram->blocks[i].received);
    free(ram->blocks);
    if (ram->zeros)
        munmap(ram->zeros, ram->zeros_bytes);
    fault_waits_clear(&ram->waits);
    free(ram);
}

struct postcopy_ram *postcopy_ram_new(const struct ram_map *map, const struct postcopy_ram_ops *ops, void *opaque,
                                      int fd, struct ferry_error *err)
{
    struct postcopy_ram *ram = calloc(1, sizeof(*ram));
    int ret;

    if (!ram) {
        ferry_error_set(err, -ENOMEM, "no memory for postcopy");
        return NULL;
    }
    ram->map = map;
    ram->ops = ops;
    ram->opaque = opaque;
    ram->fd = ram->stop_fd = -1;
    fault_waits_init(&ram->waits);
    ret = make_blocks(ram, err);
    if (ret == 0)
        ret = make_zeros(ram, err);
    if (ret == 0)
        ret = postcopy_look(ram, err);
    if (ret == 0)
        ret = make_descriptor(ram, fd, err);
    if (ret == 0)
        ret = postcopy_try(ram, err);
    if (ret == 0)
        return ram;
    if (ram->fd >= 0 && ram->fd != fd)
        close(ram->fd);
    ram_release(ram);
    return NULL;
}

/* ---- used -------------------------------------------------------------------------------------------------------- */

int postcopy_ram_discard(struct postcopy_ram *ram, const struct ram_block *block, uint64_t first, uint64_t count,
                         struct ferry_error *err)
{
    struct postcopy_block *at = &ram->blocks[block->index];
    uint64_t became;
    int ret;

    if (first > block->pages || count > block->pages - first || first % at->host_pages || count % at->host_pages)
        ret = ferry_error_set_code(err, FERRY_E_BAD_PAGE_RECORD, -EPROTO,
                                   "block '%s': %" PRIu64 " pages from %" PRIu64
                                   " are to be dropped, which are not whole pages of it",
                                   block->info.name, count, first);
    else if (atomic_load(&ram->state) != POSTCOPY_ADVISED)
        ret = ferry_error_set_code(err, FERRY_E_BAD_PAGE_RECORD, -EPROTO,
                                   "block '%s': pages are to be dropped while the guest may use them already",
                                   block->info.name);
    else
        ret = 0;
    if (ret == 0 && count > 0) {
        if (!at->watched)
            postcopy_huge_off(at);
        at->watched = true;
        ret = postcopy_drop(at, first, count, err);
    }
    if (ret < 0) {
        ferry_error_object(err, "%s", block->info.name);
        return ret;
    }
    atomic_bits_set(at->discarded, first, count);
    atomic_bits_clear(at->claimed, first, count);
    became = atomic_bits_clear(at->received, first, count);
    atomic_fetch_add(&ram->counts.discarded, became);
    atomic_fetch_add(&ram->counts.missing, became);
    return 0;
}

int postcopy_ram_listen(struct postcopy_ram *ram, struct ferry_error *err)
{
    int ret = 0;

    if (atomic_load(&ram->state) != POSTCOPY_ADVISED)
        return ferry_error_set(err, -EPROTO, "the destination listens already");
    for (unsigned i = 0; ret == 0 && i < ram->count; i++) {
        struct postcopy_block *at = &ram->blocks[i];

        if (!at->watched)
            continue;
        ret = userfault_register(ram->fd, &at->block->info, postcopy_mode(at), UINT64_C(1) << _UFFDIO_COPY, err);
        at->registered = ret == 0;
    }
    if (ret == 0)
        ret = fault_thread_start(ram, err);
    if (ret < 0) {
        ferry_error_code(err, FERRY_E_POSTCOPY_UNSUPPORTED);
        return ret;
    }
    atomic_store(&ram->state, POSTCOPY_LISTENING);
    return 0;
}

uint64_t postcopy_ram_missing(struct postcopy_ram *ram)
{
    return atomic_load(&ram->counts.missing);
}

const _Atomic(uint64_t) *postcopy_ram_received(struct postcopy_ram *ram, const struct ram_block *block)
{
    return ram->blocks[block->index].received;
}

int postcopy_ram_ask_again(struct postcopy_ram *ram)
{
    struct fault_place places[POSTCOPY_THREADS_MAX];
    unsigned count;
    int asked = 0, ret;

    for (unsigned i = 0; i < ram->count; i++)
        atomic_bits_clear(ram->blocks[i].requested, 0, ram->blocks[i].block->pages);
    count = fault_waits_places(&ram->waits, places);
    for (unsigned i = 0; i < count; i++) {
        struct postcopy_block *at = &ram->blocks[places[i].block->index];

        if (atomic_bits_test(at->received, places[i].page) || atomic_bits_test(at->requested, places[i].page))
            continue;
        ret = fault_request(ram, at, places[i].page);
        if (ret < 0)
            return ret;
        asked++;
    }
    return asked;
}

void postcopy_ram_figures(struct postcopy_ram *ram, struct postcopy_figures *figures)
{
    struct postcopy_counts *counts = &ram->counts;

    memset(figures, 0, sizeof(*figures));
    fault_waits_figures(&ram->waits, figures);
    figures->missing = atomic_load(&counts->missing);
    figures->discarded = atomic_load(&counts->discarded);
    figures->received = figures->discarded - figures->missing;
    figures->requested = atomic_load(&counts->requested);
    figures->repeated = atomic_load(&counts->repeated);
    figures->unasked = atomic_load(&counts->unasked);
    figures->local = atomic_load(&counts->local);
    figures->duplicates = atomic_load(&counts->duplicates);
    figures->copied_bytes = atomic_load(&counts->copied_bytes);
    figures->zeroed_bytes = atomic_load(&counts->zeroed_bytes);
}

/* ---- ended ------------------------------------------------------------------------------------------------------- */

static void let_go(struct postcopy_ram *ram)
{
    for (unsigned i = 0; i < ram->count; i++) {
        struct postcopy_block *at = &ram->blocks[i];

        if (at->registered)
            userfault_unregister(ram->fd, &at->block->info);
        at->registered = false;
        if (at->watched)
            postcopy_huge_back(at);
    }
    fault_thread_stop(ram);
    if (ram->fd >= 0)
        close(ram->fd);
    ram->fd = -1;
}

static int incomplete(struct postcopy_ram *ram, struct ferry_error *err)
{
    uint64_t missing = postcopy_ram_missing(ram);

    for (unsigned i = 0; i < ram->count; i++) {
        const struct postcopy_block *at = &ram->blocks[i];
        uint64_t first = atomic_bits_run(at->received, 0, at->block->pages, true);

        if (first == at->block->pages)
            continue;
        ferry_error_set_code(err, FERRY_E_PAGES_MISSING, -EPROTO,
                             "%" PRIu64 " pages did not come, the first is page %" PRIu64 " of block '%s'", missing,
                             first, at->block->info.name);
        ferry_error_object(err, "%s", at->block->info.name);
        return -EPROTO;
    }
    return ferry_error_set(err, -EIO, "pages are missing, and none is");
}

int postcopy_ram_finish(struct postcopy_ram *ram, struct ferry_error *err)
{
    int broken = atomic_load(&ram->broken);

    if (atomic_load(&ram->state) == POSTCOPY_FINISHED)
        return 0;
    if (postcopy_ram_missing(ram) > 0)
        return incomplete(ram, err);
    if (broken < 0)
        return ferry_error_set_code(err, FERRY_E_PAGE_NOT_PLACED, broken,
                                    "the guest touched a page of zeros, and there was no memory for it: %s",
                                    strerror(-broken));
    let_go(ram);
    atomic_store(&ram->state, POSTCOPY_FINISHED);
    return 0;
}

/* Returns false where the kernel cannot: then the descriptor must outlive us. */
static bool poison_missing(struct postcopy_ram *ram)
{
    bool all = true;

    for (unsigned i = 0; i < ram->count; i++) {
        struct postcopy_block *at = &ram->blocks[i];
        int ret;

        if (!at->registered || atomic_bits_run(at->received, 0, at->block->pages, true) == at->block->pages)
            continue;
        ret = postcopy_poison(ram, at);
        if (ret < 0) {
            log_warn(LOG_MEMORY, "block '%s': missing pages cannot be poisoned (%s): who touches one waits for ever",
                     at->block->info.name, strerror(-ret));
            all = false;
        }
    }
    return all;
}

void postcopy_ram_free(struct postcopy_ram *ram)
{
    if (!ram)
        return;
    if (atomic_load(&ram->state) == POSTCOPY_LISTENING && postcopy_ram_missing(ram) > 0 && !poison_missing(ram)) {
        fault_thread_stop(ram);
        ram_release(ram); /* and ram->fd stays open */
        return;
    }
    let_go(ram);
    ram_release(ram);
}

static int ask_nobody(void *opaque, const struct ram_block *block, uint64_t page, uint64_t count)
{
    return -ENOTCONN;
}

static const struct postcopy_ram_ops nobody = { .request = ask_nobody };

/* What is touched while there is no fault thread waits in the kernel. */
void postcopy_ram_forsake(struct postcopy_ram *ram)
{
    bool runs = ram->thread_runs;
    struct ferry_error why;

    fault_thread_stop(ram);
    ram->ops = &nobody;
    ram->opaque = NULL;
    if (runs && fault_thread_start(ram, &why) < 0)
        log_warn(LOG_MEMORY, "who touches memory that was not populated waits for ever: %s", why.text);
}

void postcopy_ram_abandon(struct postcopy_ram *ram)
{
    atomic_store(&ram->state, POSTCOPY_ABANDONED);
    for (unsigned i = 0; i < ram->count; i++)
        if (ram->blocks[i].registered)
            userfault_unregister(ram->fd, &ram->blocks[i].block->info);
}
