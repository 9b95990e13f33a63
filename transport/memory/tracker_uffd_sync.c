/* SPDX-License-Identifier: BSD-3-Clause */
/* tracker_uffd_sync.c - dirty pages by write-protection that a thread resolves
 *
 * For kernels before 6.7.  The first write to a protected page stops its writer until the fault thread has noted the
 * page and lifted the protection.  Private memory that was never touched cannot be protected without making page
 * tables for all of it, so missing pages are faults as well: a write gets an unprotected page and is noted, a read
 * gets a protected page of zeros and is not.  Shared memory and hugetlbfs are protected whole, by markers (5.19).
 *
 * Why no write is lost.  The rule, true whenever the lock is free:
 *
 *     a page that can be written without a fault has its bit set
 *
 * The fault thread sets the bit and lifts the protection under the lock; sync takes bits and protects under the lock.
 * A write that needed no fault found the page unprotected, so either its bit is still set (the next report has it), or
 * sync had taken the bit and not yet protected again: then this report has it, and the page is read after sync returns,
 * when the write is in it.  Without the lock a sync could fall between "bit set" and "protection lifted" and leave a
 * page that is writable and not noted.
 *
 * Because of the rule, protecting a page too many is harmless, and sync protects from the first to the last set bit of
 * a word in one call.
 */
#include "bits.h"
#include "tracker.h"
#include "userfault.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MESSAGES_AT_ONCE 16

struct sync_block {
    struct sync_block *next;
    struct ferry_block info; /* a copy; the name is not used */
    bool registered;
    _Atomic(uint64_t) dirty[]; /* set and cleared under the lock; looked at without */
};

struct uffd_sync {
    int uffd;
    int stop_fd;
    bool shared; /* the kernel can protect shared memory */
    pthread_t thread;
    pthread_mutex_t lock; /* guards the rule above, broken, and changes to blocks */
    struct sync_block *blocks;
    int broken; /* negative errno once a fault could not be resolved */
};

static const _Alignas(FERRY_PAGE_BYTES) uint8_t zero_page[FERRY_PAGE_BYTES];

static bool sync_needs_markers(const struct ferry_block *block)
{
    return !(block->flags & FERRY_BLOCK_PRIVATE) || block->page_size > FERRY_PAGE_BYTES;
}

static struct sync_block **sync_find(struct uffd_sync *sync, const struct ferry_block *info)
{
    struct sync_block **at = &sync->blocks;

    while (*at && (*at)->info.host != info->host)
        at = &(*at)->next;
    return at;
}

static struct sync_block *sync_find_address(struct uffd_sync *sync, uint64_t address)
{
    for (struct sync_block *block = sync->blocks; block; block = block->next) {
        if (address - (uintptr_t)block->info.host < block->info.length)
            return block;
    }
    return NULL;
}

/* Set the bits of the backing page at @start.  Call with the lock held. */
static void sync_note(struct sync_block *block, uint64_t start)
{
    uint64_t at = (start - (uintptr_t)block->info.host) >> FERRY_PAGE_SHIFT;
    uint64_t end = at + (block->info.page_size >> FERRY_PAGE_SHIFT);

    while (at < end) {
        _Atomic(uint64_t) *word = &block->dirty[at / 64];

        atomic_fetch_or(word, bits_mask(&at, end));
    }
}

/* Put a page of zeros where there is none, and wake who waits for it. */
static int sync_fill(int uffd, uint64_t start, uint64_t mode)
{
    struct uffdio_copy copy = { .dst = start, .src = (uintptr_t)zero_page, .len = FERRY_PAGE_BYTES, .mode = mode };

    while (ioctl(uffd, UFFDIO_COPY, &copy) < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    return 0;
}

/* A write to a page, there or missing, was stopped.  Call with the lock held. */
static int sync_let_write(struct uffd_sync *sync, struct sync_block *block, uint64_t start, bool missing)
{
    int rc = -EEXIST;

    sync_note(block, start);
    if (missing)
        rc = sync_fill(sync->uffd, start, 0);
    if (rc == -EEXIST)
        rc = userfault_protect(sync->uffd, start, block->info.page_size, 0);
    return rc;
}

static void sync_resolve(struct uffd_sync *sync, uint64_t address, uint64_t flags)
{
    bool missing = !(flags & UFFD_PAGEFAULT_FLAG_WP);
    struct sync_block *block;
    uint64_t start;
    int rc;

    pthread_mutex_lock(&sync->lock);
    block = sync_find_address(sync, address);
    start = address & ~((uint64_t)(block ? block->info.page_size : FERRY_PAGE_BYTES) - 1);
    if (!block)
        rc = -ENOENT;
    else if (missing && !(flags & UFFD_PAGEFAULT_FLAG_WRITE))
        rc = sync_fill(sync->uffd, start, UFFDIO_COPY_MODE_WP);
    else
        rc = sync_let_write(sync, block, start, missing);
    if (rc == -EEXIST || rc == -ENOENT) {
        /* Resolved meanwhile, or no longer ours: let the writer see for itself. */
        userfault_wake(sync->uffd, start, FERRY_PAGE_BYTES);
    } else if (rc < 0) {
        /* The guest must go on: give up watching, and say so at the next sync. */
        sync->broken = rc;
        userfault_unregister(sync->uffd, &block->info);
    }
    pthread_mutex_unlock(&sync->lock);
}

static void *sync_fault_thread(void *opaque)
{
    struct uffd_sync *sync = opaque;
    struct pollfd polled[] = { { .fd = sync->uffd, .events = POLLIN }, { .fd = sync->stop_fd, .events = POLLIN } };
    struct uffd_msg messages[MESSAGES_AT_ONCE];

    for (;;) {
        ssize_t got;

        if (poll(polled, 2, -1) < 0)
            continue;
        if (polled[1].revents)
            return NULL;
        got = read(sync->uffd, messages, sizeof(messages));
        for (ssize_t i = 0; i < got / (ssize_t)sizeof(messages[0]); i++) {
            if (messages[i].event == UFFD_EVENT_PAGEFAULT)
                sync_resolve(sync, messages[i].arg.pagefault.address, messages[i].arg.pagefault.flags);
        }
    }
}

static int sync_start(void *opaque, const struct ferry_block *info, struct ferry_error *err)
{
    struct uffd_sync *sync = opaque;
    bool markers = sync_needs_markers(info);
    size_t words = bits_words(info->length >> FERRY_PAGE_SHIFT);
    uint64_t mode = UFFDIO_REGISTER_MODE_WP | (markers ? 0 : UFFDIO_REGISTER_MODE_MISSING);
    uint64_t ioctls = UINT64_C(1) << _UFFDIO_WRITEPROTECT | (markers ? 0 : UINT64_C(1) << _UFFDIO_COPY);
    struct sync_block *block;
    int rc;

    if (markers && !sync->shared)
        return ferry_error_set(err, -ENOTSUP, "block '%s': this kernel cannot write-protect shared memory (Linux 5.19)",
                               info->name);
    block = calloc(1, sizeof(*block) + words * sizeof(block->dirty[0]));
    if (!block)
        return ferry_error_set(err, -ENOMEM, "block '%s': no memory to watch it", info->name);
    block->info = *info;
    pthread_mutex_lock(&sync->lock);
    block->next = sync->blocks;
    sync->blocks = block;
    pthread_mutex_unlock(&sync->lock);

    rc = userfault_register(sync->uffd, info, mode, ioctls, err);
    if (rc < 0)
        return rc;
    block->registered = true;
    /* Without the lock: a fault that is resolved meanwhile has its bit set, protected again or not. */
    rc = userfault_protect(sync->uffd, (uintptr_t)info->host, info->length, UFFDIO_WRITEPROTECT_MODE_WP);
    return rc < 0 ? ferry_error_set(err, rc, "block '%s': cannot be write-protected", info->name) : 0;
}

/* Take the bits of one word and protect what they stood for. */
static int sync_take_word(struct uffd_sync *sync, struct sync_block *block, size_t word, uint64_t *bits)
{
    uint64_t host = (uintptr_t)block->info.host;
    uint64_t backing = block->info.page_size;
    uint64_t start, end;
    int rc;

    pthread_mutex_lock(&sync->lock);
    *bits = atomic_exchange(&block->dirty[word], 0);
    start = host + ((word * 64 + (unsigned)__builtin_ctzll(*bits)) << FERRY_PAGE_SHIFT);
    end = host + ((word * 64 + 64 - (unsigned)__builtin_clzll(*bits)) << FERRY_PAGE_SHIFT);
    start &= ~(backing - 1);
    end = (end + backing - 1) & ~(backing - 1);
    rc = sync->broken;
    if (rc == 0)
        rc = userfault_protect(sync->uffd, start, end - start, UFFDIO_WRITEPROTECT_MODE_WP);
    if (rc < 0)
        atomic_fetch_or(&block->dirty[word], *bits);
    pthread_mutex_unlock(&sync->lock);
    return rc;
}

static int sync_sync(void *opaque, const struct ferry_block *info, uint64_t *bitmap, struct ferry_error *err)
{
    struct uffd_sync *sync = opaque;
    struct sync_block *block = *sync_find(sync, info);
    size_t words;
    int rc;

    if (!block)
        return ferry_error_set(err, -EINVAL, "block '%s' is not watched", info->name);
    words = bits_words(info->length >> FERRY_PAGE_SHIFT);
    for (size_t word = 0; word < words; word++) {
        uint64_t bits = 0;

        if (!atomic_load(&block->dirty[word]))
            continue;
        rc = sync_take_word(sync, block, word, &bits);
        if (rc < 0)
            return ferry_error_set(err, rc, "block '%s': write-protection failed: %s", info->name, strerror(-rc));
        bitmap[word] |= bits;
    }
    pthread_mutex_lock(&sync->lock);
    rc = sync->broken;
    pthread_mutex_unlock(&sync->lock);
    return rc < 0 ? ferry_error_set(err, rc, "a write fault could not be resolved: %s", strerror(-rc)) : 0;
}

static void sync_stop(void *opaque, const struct ferry_block *info)
{
    struct uffd_sync *sync = opaque;
    struct sync_block **at = sync_find(sync, info);
    struct sync_block *block = *at;

    if (!block)
        return;
    /* First let go of the memory, then forget it: a fault that arrives between finds its block. */
    if (block->registered)
        userfault_unregister(sync->uffd, &block->info);
    pthread_mutex_lock(&sync->lock);
    *at = block->next;
    pthread_mutex_unlock(&sync->lock);
    free(block);
}

static const struct ferry_tracker_ops sync_ops = {
    .name = "uffd-sync",
    .start = sync_start,
    .sync = sync_sync,
    .stop = sync_stop,
};

static int sync_open(struct uffd_sync *sync, struct ferry_error *err)
{
    sync->shared = true;
    sync->uffd =
        userfault_open(USERFAULT_KERNEL_TOO, UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM, err);
    if (sync->uffd != -ENOTSUP)
        return sync->uffd;
    sync->shared = false;
    sync->uffd = userfault_open(USERFAULT_KERNEL_TOO, UFFD_FEATURE_PAGEFAULT_FLAG_WP, err);
    return sync->uffd;
}

int tracker_uffd_sync_new(struct tracker *tracker, struct ferry_error *err)
{
    struct uffd_sync *sync = calloc(1, sizeof(*sync));
    int rc;

    if (!sync)
        return ferry_error_set(err, -ENOMEM, "no memory for a tracker");
    pthread_mutex_init(&sync->lock, NULL);
    sync->stop_fd = -1;
    rc = sync_open(sync, err);
    if (rc < 0)
        goto fail;
    sync->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (sync->stop_fd < 0) {
        rc = ferry_error_set(err, -errno, "eventfd: %s", strerror(errno));
        goto fail;
    }
    rc = -pthread_create(&sync->thread, NULL, sync_fault_thread, sync);
    if (rc < 0) {
        ferry_error_set(err, rc, "no thread to resolve faults: %s", strerror(-rc));
        goto fail;
    }
    *tracker = (struct tracker){ &sync_ops, sync };
    return 0;

fail:
    if (sync->stop_fd >= 0)
        close(sync->stop_fd);
    if (sync->uffd >= 0)
        close(sync->uffd);
    pthread_mutex_destroy(&sync->lock);
    free(sync);
    *tracker = (struct tracker){ 0 };
    return rc;
}

void tracker_uffd_sync_free(struct tracker *tracker)
{
    struct uffd_sync *sync = tracker->opaque;
    uint64_t one = 1;

    if (!sync)
        return;
    /* What is still watched goes free first, so that nobody waits for the thread that ends now. */
    while (sync->blocks)
        sync_stop(sync, &sync->blocks->info);
    while (write(sync->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    pthread_join(sync->thread, NULL);
    close(sync->stop_fd);
    close(sync->uffd);
    pthread_mutex_destroy(&sync->lock);
    free(sync);
    *tracker = (struct tracker){ 0 };
}
