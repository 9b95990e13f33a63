/* SPDX-License-Identifier: BSD-3-Clause */
/* fault_thread.c - answers each touch of a page that is not there
 *
 *      touch -> kernel -> read() -> received?  yes -> zeros, at once
 *                                     | no
 *                                     '-> noted who waits -> asked for already? -> request
 *
 * It takes no lock but that of the waits.  Whatever it is told may be over when it looks: a wake then lets the thread
 * see for itself.
 */
#include "clock.h"
#include "postcopy_parts.h"
#include "userfault.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MESSAGES_AT_ONCE 32

static struct postcopy_block *find(struct postcopy_ram *ram, uint64_t address)
{
    for (unsigned i = 0; i < ram->count; i++) {
        struct postcopy_block *at = &ram->blocks[i];

        if (address - postcopy_address(at, 0) < at->block->info.length)
            return at;
    }
    return NULL;
}

int fault_request(struct postcopy_ram *ram, struct postcopy_block *at, uint64_t page)
{
    int ret;

    if (atomic_bits_set(at->requested, page, at->host_pages) == 0) {
        atomic_fetch_add_explicit(&ram->counts.repeated, 1, memory_order_relaxed);
        return 0;
    }
    atomic_fetch_add_explicit(&ram->counts.requested, 1, memory_order_relaxed);
    ret = ram->ops->request(ram->opaque, at->block, page, at->host_pages);
    if (ret < 0) {
        atomic_bits_clear(at->requested, page, at->host_pages);
        atomic_fetch_add_explicit(&ram->counts.unasked, 1, memory_order_relaxed);
    }
    return ret;
}

/* Received and not there: precopy wrote nothing because it was zero. */
static void answer_local(struct postcopy_ram *ram, struct postcopy_block *at, uint64_t page, bool minor)
{
    int ret = postcopy_fill(ram, at, page, minor);

    if (ret == 0) {
        atomic_fetch_add_explicit(&ram->counts.local, 1, memory_order_relaxed);
    } else if (ret == -EEXIST || ret == -ENOENT) {
        userfault_wake(ram->fd, postcopy_address(at, page), at->block->info.page_size);
    } else {
        atomic_store(&ram->broken, ret); /* who touched it waits: better than to go on with nothing */
    }
}

static void answer(struct postcopy_ram *ram, const struct uffd_msg *message, int64_t now_ns)
{
    struct postcopy_block *at = find(ram, message->arg.pagefault.address);
    uint64_t page;

    if (!at)
        return;
    page = (message->arg.pagefault.address - postcopy_address(at, 0)) >> FERRY_PAGE_SHIFT;
    page -= page % at->host_pages;
    if (atomic_bits_test(at->received, page)) {
        answer_local(ram, at, page, message->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_MINOR);
        return;
    }
    fault_waits_add(&ram->waits, (pid_t)message->arg.pagefault.feat.ptid, at->block, page, now_ns);
    if (atomic_bits_test(at->received, page)) {
        /* It came meanwhile, perhaps before the wait was there to be seen. */
        fault_waits_done(&ram->waits, at->block, page, at->host_pages);
        userfault_wake(ram->fd, postcopy_address(at, page), at->block->info.page_size);
        return;
    }
    (void)fault_request(ram, at, page); /* a failure is counted, and the next touch tries again */
}

static void *run(void *opaque)
{
    struct postcopy_ram *ram = opaque;
    struct pollfd polled[] = { { .fd = ram->fd, .events = POLLIN }, { .fd = ram->stop_fd, .events = POLLIN } };
    struct uffd_msg messages[MESSAGES_AT_ONCE];

    for (;;) {
        ssize_t got;
        int64_t now_ns;

        if (poll(polled, 2, -1) < 0)
            continue;
        if (polled[1].revents)
            return NULL;
        got = read(ram->fd, messages, sizeof(messages));
        now_ns = clock_now_ns();
        for (ssize_t i = 0; i < got / (ssize_t)sizeof(messages[0]); i++) {
            if (messages[i].event == UFFD_EVENT_PAGEFAULT)
                answer(ram, &messages[i], now_ns);
        }
    }
}

int fault_thread_start(struct postcopy_ram *ram, struct ferry_error *err)
{
    int ret;

    ram->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (ram->stop_fd < 0)
        return ferry_error_set(err, -errno, "eventfd: %s", strerror(errno));
    ret = -pthread_create(&ram->thread, NULL, run, ram);
    if (ret < 0)
        return ferry_error_set(err, ret, "no thread to answer faults: %s", strerror(-ret));
    ram->thread_runs = true;
    return 0;
}

void fault_thread_stop(struct postcopy_ram *ram)
{
    uint64_t one = 1;

    if (ram->thread_runs) {
        while (write(ram->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
            ;
        pthread_join(ram->thread, NULL);
        ram->thread_runs = false;
    }
    if (ram->stop_fd >= 0)
        close(ram->stop_fd);
    ram->stop_fd = -1;
}
