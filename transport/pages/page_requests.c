/* SPDX-License-Identifier: BSD-3-Clause */
/* page_requests.c - the pages that the destination waits for, and what is worth sending along with them
 *
 *      asked   one bit per host page: it was asked for       (so what is asked for again is known)
 *      ring    runs of host pages, in the order in which they were asked for; most of each are new
 *      near    one window per stream of requests, served from the last one that was asked for on
 *
 * What finds the ring full has its bits not set: asked for once more it is new.  Memory is bounded whatever is asked
 * for, and so is time: each page is new once, and what a run has beside new ones is bounded by these.
 */
#include "page_requests.h"

#include "bits.h"
#include "clock.h"
#include "prefetch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RING_ENTRIES   4096
#define RUN_SHARE      4 /* at least every fourth page of a run is new */
#define PREFETCH_PAGES 4 /* in one batch: so much is in front of a request that comes meanwhile */

struct wanted {
    const struct ram_block *block;
    uint64_t page, count; /* host pages; page is in 4 KiB */
};

struct page_requests {
    struct page_walk *walk; /* borrowed */

    /* Of whoever calls page_requests_next(). */
    struct walk_claim claim; /* of a host page that is larger than a batch */
    struct prefetch prefetch;
    struct walk_near near[PREFETCH_STREAMS];
    unsigned recent; /* the stream of the last request */

    pthread_mutex_t lock;              /* a leaf; guards all below */
    pthread_cond_t some;               /* to whoever waits in page_requests_next() */
    uint64_t *asked[FERRY_BLOCKS_MAX]; /* owned */
    struct wanted *ring;               /* owned */
    unsigned first, count;
    bool unfinished; /* the claim or a window has something left */
    bool closed;
    struct page_requests_figures figures;
};

static uint64_t host_pages_of(const struct ram_block *block)
{
    return block->pages / walk_host_pages(block);
}

static void init_condition(struct page_requests *requests)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&requests->some, &attr);
    pthread_condattr_destroy(&attr);
}

struct page_requests *page_requests_new(struct page_walk *walk, unsigned prefetch_pages, struct ferry_error *err)
{
    struct page_requests *requests = calloc(1, sizeof(*requests));
    bool whole = requests != NULL;

    if (whole) {
        requests->walk = walk;
        pthread_mutex_init(&requests->lock, NULL);
        init_condition(requests);
        prefetch_init(&requests->prefetch,
                      prefetch_pages < PAGE_REQUESTS_PREFETCH_MAX ? prefetch_pages : PAGE_REQUESTS_PREFETCH_MAX);
        requests->ring = calloc(RING_ENTRIES, sizeof(*requests->ring));
        whole = requests->ring != NULL;
    }
    for (unsigned i = 0; whole && i < walk->map->count; i++) {
        requests->asked[i] = calloc(bits_words(host_pages_of(walk->map->blocks[i])), sizeof(*requests->asked[i]));
        whole = requests->asked[i] != NULL;
    }
    if (whole)
        return requests;
    ferry_error_set(err, -ENOMEM, "no memory for requested pages");
    page_requests_free(requests);
    return NULL;
}

void page_requests_free(struct page_requests *requests)
{
    if (!requests)
        return;
    for (unsigned i = 0; i < FERRY_BLOCKS_MAX; i++)
        free(requests->asked[i]);
    free(requests->ring);
    pthread_cond_destroy(&requests->some);
    pthread_mutex_destroy(&requests->lock);
    free(requests);
}

/* ---- in -------------------------------------------------------------------------------------------------------- */

static int check_range(const struct ram_block *block, uint64_t start, uint64_t length, struct ferry_error *err)
{
    const struct ferry_block *info = &block->info;

    if (start % info->page_size || length % info->page_size || length == 0)
        ferry_error_set_code(err, FERRY_E_BAD_RETURN_MESSAGE, -EPROTO,
                             "a request for %" PRIu64 " bytes from %" PRIu64
                             " on of block '%s', whose pages have %" PRIu32 " bytes",
                             length, start, info->name, info->page_size);
    else if (start >= info->length || length > info->length - start)
        ferry_error_set_code(err, FERRY_E_BAD_RETURN_MESSAGE, -EPROTO,
                             "a request for %" PRIu64 " bytes from %" PRIu64 " on of block '%s', which has %" PRIu64,
                             length, start, info->name, info->length);
    else
        return 0;
    ferry_error_object(err, "%s", info->name);
    return -EPROTO;
}

/* Host pages, from @first up to @end. */
struct run {
    uint64_t first, end, fresh;
};

/* The first bit from @at on that is @set; @end where there is none before. */
static uint64_t next_bit(const uint64_t *words, uint64_t at, uint64_t end, bool set)
{
    while (at < end) {
        uint64_t word = at / 64, mask = bits_mask(&at, end);
        uint64_t found = (set ? words[word] : ~words[word]) & mask;

        if (found)
            return word * 64 + (uint64_t)__builtin_ctzll(found);
    }
    return end;
}

/* Called with the lock held. */
static void put_run(struct page_requests *requests, const struct ram_block *block, const struct run *run)
{
    if (run->fresh == 0)
        return;
    if (requests->count == RING_ENTRIES) {
        requests->figures.forgotten += run->fresh;
        return;
    }
    bits_set_range(requests->asked[block->index], run->first, run->end - run->first);
    requests->ring[(requests->first + requests->count++) % RING_ENTRIES] =
        (struct wanted){ block, run->first * walk_host_pages(block), run->end - run->first };
}

/* Called with the lock held.  Returns how many were not asked for before. */
static uint64_t put_all(struct page_requests *requests, const struct ram_block *block, uint64_t first, uint64_t end)
{
    const uint64_t *asked = requests->asked[block->index];
    struct run run = { 0 };
    uint64_t fresh = 0;

    while ((first = next_bit(asked, first, end, false)) < end) {
        uint64_t next = next_bit(asked, first, end, true), more = next - first;

        if (run.fresh == 0 || next - run.first > RUN_SHARE * (run.fresh + more)) {
            put_run(requests, block, &run);
            run = (struct run){ .first = first };
        }
        run.end = next;
        run.fresh += more;
        fresh += more;
        first = next;
    }
    put_run(requests, block, &run);
    return fresh;
}

int page_requests_push(struct page_requests *requests, const struct ram_block *block, uint64_t start, uint64_t length,
                       struct ferry_error *err)
{
    uint64_t host = start / block->info.page_size, count = length / block->info.page_size;
    int ret = check_range(block, start, length, err);

    if (ret < 0)
        return ret;
    pthread_mutex_lock(&requests->lock);
    requests->figures.requests += count;
    requests->figures.repeated += count - put_all(requests, block, host, host + count);
    pthread_cond_signal(&requests->some);
    pthread_mutex_unlock(&requests->lock);
    return 0;
}

void page_requests_close(struct page_requests *requests)
{
    pthread_mutex_lock(&requests->lock);
    requests->closed = true;
    pthread_cond_signal(&requests->some);
    pthread_mutex_unlock(&requests->lock);
}

void page_requests_reset(struct page_requests *requests)
{
    pthread_mutex_lock(&requests->lock);
    for (unsigned i = 0; i < requests->walk->map->count; i++)
        memset(requests->asked[i], 0,
               bits_words(host_pages_of(requests->walk->map->blocks[i])) * sizeof(*requests->asked[i]));
    memset(&requests->claim, 0, sizeof(requests->claim));
    memset(requests->near, 0, sizeof(requests->near));
    requests->count = 0;
    requests->unfinished = requests->closed = false;
    pthread_mutex_unlock(&requests->lock);
}

/* ---- out ------------------------------------------------------------------------------------------------------- */

/* The host page that was asked for first. */
static bool pop(struct page_requests *requests, const struct ram_block **block, uint64_t *page)
{
    struct wanted *wanted;
    bool some;

    pthread_mutex_lock(&requests->lock);
    some = requests->count > 0;
    if (some) {
        wanted = &requests->ring[requests->first];
        *block = wanted->block;
        *page = wanted->page;
        wanted->page += walk_host_pages(wanted->block);
        if (--wanted->count == 0) {
            requests->first = (requests->first + 1) % RING_ENTRIES;
            requests->count--;
        }
    }
    pthread_mutex_unlock(&requests->lock);
    return some;
}

/* What follows it? */
static void plan(struct page_requests *requests, const struct ram_block *block, uint64_t page)
{
    struct walk_near near;

    if (requests->prefetch.most == 0 || walk_host_pages(block) > 1)
        return;
    requests->recent = prefetch_request(&requests->prefetch, block, page, &near);
    requests->near[requests->recent] = near;
}

static bool take_urgent(struct page_requests *requests, struct page_batch *batch)
{
    const struct ram_block *block;
    uint64_t page, passed = 0;
    bool some = walk_take_rest(requests->walk, &requests->claim, batch);

    while (!some && pop(requests, &block, &page)) {
        some = walk_take_host_page(requests->walk, &requests->claim, block, page, batch);
        passed += !some;
        plan(requests, block, page);
        walk_jump(requests->walk, block, page);
    }
    pthread_mutex_lock(&requests->lock);
    requests->figures.already_sent += passed;
    requests->figures.pages += some ? batch->count : 0;
    requests->figures.prefetch_hits = requests->prefetch.hits;
    requests->figures.window = requests->prefetch.window;
    pthread_mutex_unlock(&requests->lock);
    return some;
}

static bool take_near(struct page_requests *requests, struct page_batch *batch)
{
    unsigned limit = batch->limit;
    bool some = false;

    batch->limit = limit < PREFETCH_PAGES ? limit : PREFETCH_PAGES;
    for (unsigned i = 0; !some && i < PREFETCH_STREAMS; i++) {
        struct walk_near *near = &requests->near[(requests->recent + i) % PREFETCH_STREAMS];

        some = near->count > 0 && walk_take_near(requests->walk, near, batch);
    }
    batch->limit = limit;
    return some;
}

/* Is there anything that could be handed out?  If not, wait.  False: not within the time. */
static enum page_requests_kind look(struct page_requests *requests, int64_t until_ns, bool *neighbours)
{
    struct timespec until = clock_timespec(until_ns);
    enum page_requests_kind kind = PAGE_REQUESTS_URGENT;
    int ret = 0;

    pthread_mutex_lock(&requests->lock);
    while (requests->count == 0 && !requests->unfinished && !requests->closed && ret == 0) {
        if (until_ns < 0)
            ret = -pthread_cond_wait(&requests->some, &requests->lock);
        else
            ret = -pthread_cond_timedwait(&requests->some, &requests->lock, &until);
    }
    if (requests->count == 0 && !requests->unfinished)
        kind = requests->closed ? PAGE_REQUESTS_CLOSED : PAGE_REQUESTS_NONE;
    *neighbours = !requests->closed;
    pthread_mutex_unlock(&requests->lock);
    return kind;
}

static void note_unfinished(struct page_requests *requests, bool unfinished)
{
    pthread_mutex_lock(&requests->lock);
    requests->unfinished = unfinished;
    pthread_mutex_unlock(&requests->lock);
}

enum page_requests_kind page_requests_next(struct page_requests *requests, struct page_batch *batch, int64_t timeout_ns)
{
    int64_t until_ns = timeout_ns < 0 ? -1 : clock_now_ns() + timeout_ns;

    for (;;) {
        bool neighbours;
        enum page_requests_kind kind = look(requests, until_ns, &neighbours);

        if (kind != PAGE_REQUESTS_URGENT)
            return kind;
        if (take_urgent(requests, batch)) {
            note_unfinished(requests, true);
            return PAGE_REQUESTS_URGENT;
        }
        if (neighbours && take_near(requests, batch)) {
            pthread_mutex_lock(&requests->lock);
            requests->figures.prefetched += batch->count;
            pthread_mutex_unlock(&requests->lock);
            return PAGE_REQUESTS_PREFETCH;
        }
        note_unfinished(requests, false);
    }
}

bool page_requests_waiting(struct page_requests *requests)
{
    bool some;

    pthread_mutex_lock(&requests->lock);
    some = requests->count > 0 || requests->unfinished;
    pthread_mutex_unlock(&requests->lock);
    return some;
}

void page_requests_figures(struct page_requests *requests, struct page_requests_figures *figures)
{
    pthread_mutex_lock(&requests->lock);
    *figures = requests->figures;
    pthread_mutex_unlock(&requests->lock);
}
