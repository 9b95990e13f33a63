/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_install.c - pages that came, to where the guest sees them
 *
 *      claim a run  ->  UFFDIO_COPY, UFFDIO_ZEROPAGE: each page at once  ->  received  ->  who waited is noted
 *
 * Runs are as long as they came: one call for 512 KiB costs hardly more than one for 4 KiB.  But the kernel wakes only
 * at the end of a call, so while somebody waits, and it may be for a page of this very run, the calls are shorter.
 *
 * Shared memory gets copies, too.  A second mapping that is read into and then shown (UFFDIO_CONTINUE) would save them,
 * but who else maps the file would see pages half written; a copy is made before the page enters the file.
 */
#include "postcopy_parts.h"
#include "userfault_place.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define HURRIED_PAGES 16 /* in one call while somebody waits */
#define FILL_PAGES    16 /* zeros that a local fault brings at most */

static bool can(const struct postcopy_block *at, unsigned call)
{
    return at->ioctls >> call & 1;
}

/* @bytes of zeros at @to: by themselves or, in huge pages, as a copy. */
static int put_zeros(struct postcopy_ram *ram, const struct postcopy_block *at, uint64_t to, uint64_t bytes,
                     uint64_t *done)
{
    int ret = 0;

    if (can(at, _UFFDIO_ZEROPAGE))
        return userfault_zero(ram->fd, to, bytes, done);
    *done = 0;
    while (ret == 0 && *done < bytes) {
        uint64_t now = bytes - *done < ram->zeros_bytes ? bytes - *done : ram->zeros_bytes, part;

        ret = userfault_copy(ram->fd, to + *done, ram->zeros, now, &part);
        *done += part;
    }
    return ret;
}

static int not_taken(const struct postcopy_block *at, uint64_t page, int ret, struct ferry_error *err)
{
    const char *why = ret == -EEXIST   ? "something is there that the source did not send"
                      : ret == -ENOENT ? "its memory was mapped anew"
                      : ret == -ENOMEM ? "no memory (or no huge page) for it"
                                       : strerror(-ret);

    ferry_error_set_code(err, FERRY_E_PAGE_NOT_PLACED, ret, "block '%s' page %" PRIu64 ": %s", at->block->info.name,
                         page, why);
    ferry_error_object(err, "%s", at->block->info.name);
    return ret;
}

/* Install @count pages that this thread has claimed. */
static int install_claimed(struct postcopy_ram *ram, struct postcopy_block *at, uint64_t page, uint64_t count,
                           const uint8_t *from, struct ferry_error *err)
{
    _Atomic(uint64_t) *bytes = from ? &ram->counts.copied_bytes : &ram->counts.zeroed_bytes;
    int ret = 0;

    while (ret == 0 && count > 0) {
        uint64_t now = count, done;

        if (now > HURRIED_PAGES && at->host_pages < HURRIED_PAGES && atomic_load(&ram->waits.blocked) > 0)
            now = HURRIED_PAGES - HURRIED_PAGES % at->host_pages;
        ret = from ? userfault_copy(ram->fd, postcopy_address(at, page), from, now << FERRY_PAGE_SHIFT, &done)
                   : put_zeros(ram, at, postcopy_address(at, page), now << FERRY_PAGE_SHIFT, &done);
        now = done >> FERRY_PAGE_SHIFT;
        atomic_bits_set(at->received, page, now);
        atomic_fetch_sub(&ram->counts.missing, now);
        atomic_fetch_add_explicit(bytes, done, memory_order_relaxed);
        fault_waits_done(&ram->waits, at->block, page, now);
        page += now;
        count -= now;
        if (from)
            from += done;
    }
    if (ret == 0)
        return 0;
    atomic_bits_clear(at->claimed, page, count);
    return not_taken(at, page, ret, err);
}

int postcopy_install(struct postcopy_ram *ram, struct postcopy_block *at, uint64_t page, uint64_t count,
                     const uint8_t *from, struct ferry_error *err)
{
    int ret = 0;

    while (ret == 0 && count > 0) {
        uint64_t now = atomic_bits_take(at->claimed, page, count);

        if (now > 0) {
            ret = install_claimed(ram, at, page, now, from, err);
        } else {
            now = atomic_bits_run(at->claimed, page, count, true);
            if (atomic_bits_run(at->discarded, page, now, true) < now) {
                page += atomic_bits_run(at->discarded, page, now, true);
                ret = ferry_error_set_code(err, FERRY_E_BAD_PAGE_RECORD, -EPROTO,
                                           "block '%s' page %" PRIu64
                                           ": it came, but the source never said that what is there is old",
                                           at->block->info.name, page);
                ferry_error_object(err, "%s", at->block->info.name);
            }
            atomic_fetch_add_explicit(&ram->counts.duplicates, ret == 0 ? now : 0, memory_order_relaxed);
        }
        page += now;
        count -= now;
        if (from)
            from += now << FERRY_PAGE_SHIFT;
    }
    return ret;
}

int postcopy_fill(struct postcopy_ram *ram, struct postcopy_block *at, uint64_t page, bool minor)
{
    uint64_t count = at->host_pages, done;
    int ret;

    if (minor)
        return userfault_continue(ram->fd, postcopy_address(at, page), FERRY_PAGE_BYTES, &done);
    /* Zeros of private memory are all the same page.  In shared memory each takes one, and a file has its own. */
    if (at->host_pages == 1 && !at->shared && !at->file) {
        uint64_t most = FILL_PAGES - page % FILL_PAGES;

        if (most > at->block->pages - page)
            most = at->block->pages - page;
        count = atomic_bits_run(at->received, page, most, true);
    }
    ret = put_zeros(ram, at, postcopy_address(at, page), count << FERRY_PAGE_SHIFT, &done);
    return ret == -EEXIST && done > 0 ? 0 : ret;
}

int postcopy_poison(struct postcopy_ram *ram, struct postcopy_block *at)
{
    uint64_t page = 0, pages = at->block->pages;
    int ret = can(at, _UFFDIO_POISON) ? 0 : -ENOTSUP;

    while (ret == 0 && page < pages) {
        uint64_t count, done;

        page += atomic_bits_run(at->received, page, pages - page, true);
        count = atomic_bits_run(at->received, page, pages - page, false);
        ret = userfault_poison(ram->fd, postcopy_address(at, page), count << FERRY_PAGE_SHIFT, &done);
        page += done >> FERRY_PAGE_SHIFT;
        if (ret == -EEXIST) { /* nothing that can be told is there: it is the embedder's own doing */
            page += at->host_pages;
            ret = 0;
        }
    }
    return ret;
}
