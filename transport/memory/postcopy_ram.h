/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_ram.h - the destination's memory while the guest runs and its pages are still to come
 *
 *      new       ADVISE: can it be done here at all?           nothing is changed yet
 *      discard   pages that the source has newer ones of       dropped, and missing from now on
 *      listen    faults are ours: a missing page is requested
 *      placer    what arrives is installed, each page at once and whole
 *      finish    nothing is missing: the memory is the kernel's again
 *
 * Every page counts as received until it is discarded: what precopy brought, and what it left untouched because it was
 * zero.  A touch of a received page that is not there gets a page of zeros at once; a touch of a missing one asks for
 * it with `request` and waits until a placer has installed it.  A guest never sees half a page, nor an old one.
 *
 * Pages are counted in 4096 bytes.  A *host page* is what the block is backed with (4096, 2 MiB, 1 GiB): it is dropped,
 * requested and installed whole.
 */
#ifndef MEMORY_POSTCOPY_RAM_H
#define MEMORY_POSTCOPY_RAM_H

#include "placer.h"
#include <ferry/latency.h>
#include <stdatomic.h>
#include <sys/types.h>

#define POSTCOPY_THREADS_MAX 256 /* that figures can tell apart */

struct postcopy_ram;

struct postcopy_ram_ops {
    /* A thread waits for @count pages of @block from @page on, which are one host page; asked for once, however many
     * touch it.  Called by the fault thread, with no lock held: all other faults wait meanwhile, so it writes one small
     * message and returns.  A negative errno: it could not be asked for; it is tried again at the next touch of that
     * page and by postcopy_ram_ask_again(). */
    int (*request)(void *opaque, const struct ram_block *block, uint64_t page, uint64_t count);
};

/**
 * postcopy_ram_new() - prepare for postcopy, or say exactly why it cannot be had here
 * @map: borrowed until free; its blocks are complete and mapped, and stay so
 * @ops, @opaque: borrowed until free
 * @fd: a fresh userfaultfd for faults of kernel and user mode (no UFFDIO_API was done), taken on success; -1 to open
 * one
 *
 * Opens a userfaultfd, by the system call or by /dev/userfaultfd, and tries each block with it.  Memory is not changed.
 * NULL with code `postcopy-unsupported`: what is missing (permission, sysctl, seccomp, a kernel's feature, a block that
 * is locked or of a kind that cannot), with a hint.
 */
struct postcopy_ram *postcopy_ram_new(const struct ram_map *map, const struct postcopy_ram_ops *ops, void *opaque,
                                      int fd, struct ferry_error *err);

/**
 * postcopy_ram_discard() - drop what is in some pages: newer ones will come
 * @block: of the map
 * @first, @count: any numbers from the peer; refused (-EPROTO) unless they are whole host pages of the block
 *
 * Legal until listen.  No thread may use these pages meanwhile, and precopy's placer must be freed before: its helper
 * that makes memory ready ahead (prefault) would put zeros where a page is missing.  The same page twice is legal. From
 * the first call on the kernel makes no huge pages out of small ones here.
 */
int postcopy_ram_discard(struct postcopy_ram *ram, const struct ram_block *block, uint64_t first, uint64_t count,
                         struct ferry_error *err);

/**
 * postcopy_ram_listen() - from the return of this call on every touch of a missing page is answered
 *
 * Registers all blocks and starts the fault thread.  Once.  After a failure only free is legal.
 */
int postcopy_ram_listen(struct postcopy_ram *ram, struct ferry_error *err);

/**
 * postcopy_ram_placer() - where one thread puts the pages that it receives
 *
 * One for each receiving thread: each page channel, the main connection, the urgent one.  Any time after new; pages may
 * come through it after listen.  Free it with placer_free(), before postcopy_ram_free(); what it holds of a host page
 * that did not arrive whole is forgotten, and the page stays missing.
 *
 * prepare() hands out memory of this placer, at most BATCH_PAGES_MAX pages before the first commit() or zero(); the
 * first prepare() behind one of those forgets what was prepared and not committed.  The memory does NOT hold what the
 * page held, so a delta (xbzrle) is illegal: refuse it before.  commit() and zero() install, and wake who waits:
 *
 *   -EPROTO  before listen; a page that was never discarded (the source has no newer one); not prepared; in a block of
 *            huge pages, pieces that do not make whole host pages: a piece twice, or another host page before this one
 *            is complete.  (Pieces of neighbouring host pages may mix as within one packet, which has its zero pages
 *            behind the others.)
 *   -ENOMEM, -ENOSPC, ...  the kernel did not take the page; code `page-not-placed`
 *
 * A page that has arrived already is not overwritten; it is counted as a duplicate, and that is no error.
 * untouched() says that a page has not arrived yet: guessing at more is harmless here.
 */
struct placer *postcopy_ram_placer(struct postcopy_ram *ram, struct ferry_error *err);

/* How many pages have not arrived.  Thread: any, as for all below. */
uint64_t postcopy_ram_missing(struct postcopy_ram *ram);

/* One bit per page of @block: it arrived or was never missing (bit i % 64 of word i / 64; bits behind the last page are
 * set).  Pages of one host page change together.  Valid until free. */
const _Atomic(uint64_t) *postcopy_ram_received(struct postcopy_ram *ram, const struct ram_block *block);

/* After a new connection to the source: request again each page that a thread waits for now, and any other at its next
 * touch.  Calls `request` from this thread.  Returns how many were asked for, or the first failure. */
int postcopy_ram_ask_again(struct postcopy_ram *ram);

/* One thread that touched a missing page. */
struct postcopy_thread {
    pid_t tid;
    bool blocked;        /* now */
    uint64_t faults;     /* that were over */
    uint64_t blocked_ns; /* in all, of those */
    uint64_t max_ns;
};

struct postcopy_figures {
    uint64_t discarded; /* pages that were to come in all */
    uint64_t missing;   /* pages that did not yet */
    uint64_t received;  /* pages that did, duplicates not counted */

    uint64_t requested;  /* host pages that were asked for */
    uint64_t repeated;   /* touches of pages that had been asked for already */
    uint64_t unasked;    /* requests that failed */
    uint64_t local;      /* touches of received pages: answered here */
    uint64_t duplicates; /* pages that came again and were not used */

    uint64_t copied_bytes; /* installed with content */
    uint64_t zeroed_bytes; /* installed as zeros */

    /* From when the fault thread heard of the touch until the page was there, of touches of missing pages. */
    struct ferry_latency latency;
    uint64_t all_blocked_ns; /* how long all threads that ever touched a missing page were waiting at once */
    unsigned blocked;        /* threads that wait now */
    unsigned threads;        /* in `thread` */
    struct postcopy_thread thread[POSTCOPY_THREADS_MAX];
};

/* Large (10 KiB); also after finish. */
void postcopy_ram_figures(struct postcopy_ram *ram, struct postcopy_figures *figures);

/**
 * postcopy_ram_finish() - all has come
 *
 * -EPROTO, code `pages-missing`, where something has not (names the block, the first page and how many): then faults
 * are still answered, and this may be called again.  Otherwise the fault thread ends, and the memory is as any other.
 * No placer may be in use.
 */
int postcopy_ram_finish(struct postcopy_ram *ram, struct ferry_error *err);

/**
 * postcopy_ram_abandon() - the guest will never run on this memory: touches are no longer answered
 *
 * Who waits for a page goes on with zeros, as does who touches one from now on.  Only free is legal afterwards, which
 * then poisons nothing; what placers still bring is refused.  Thread: any, also while others wait for pages or install
 * them.
 */
void postcopy_ram_abandon(struct postcopy_ram *ram);

/**
 * postcopy_ram_forsake() - nobody can be asked for pages any more
 *
 * When this returns `request` is not running, and will not be called again: @opaque may go.  A request that is under
 * way must come back by itself.  Who touches a missing page waits until free; touches of received pages are answered as
 * ever.  The thread that called listen.
 */
void postcopy_ram_forsake(struct postcopy_ram *ram);

/**
 * postcopy_ram_free() - let go of it, finished or not; NULL is legal
 *
 * Pages that are missing after listen become poisoned: who touches one gets SIGBUS (a vCPU: KVM_RUN fails), also who
 * waits for one now, so that nobody ever reads zeros in place of what the source has.  Unmapping or dropping the memory
 * (MADV_DONTNEED) ends that.  A kernel before 6.6 cannot: there the userfaultfd stays open for good, and who touches
 * waits for ever.
 */
void postcopy_ram_free(struct postcopy_ram *ram);

#endif
