/* SPDX-License-Identifier: BSD-3-Clause */
/* tracker_test.c - every tracker of ours reports every changed page, and no page that was only read */
#include "bits.h"
#include "clock.h"
#include "populated.h"
#include "tracker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define CHUNK_PAGES UINT64_C(512) /* of a huge page */
#define CHUNK_BYTES (CHUNK_PAGES * FERRY_PAGE_BYTES)

struct kind {
    const char *name;
    int (*make)(struct tracker *tracker, struct ferry_error *err);
    void (*free)(struct tracker *tracker);
    bool keeps_huge; /* a first touch may still make a huge page, and is reported for all of it */
};

static const struct kind kinds[] = {
    { "uffd-async", tracker_uffd_async_new, tracker_uffd_async_free, true },
    { "uffd-sync", tracker_uffd_sync_new, tracker_uffd_sync_free, false },
};

struct watch {
    const struct kind *kind;
    struct tracker tracker;
    struct ferry_error err;
    struct ferry_block block;
    volatile uint8_t *page0;
    uint64_t pages;
    uint64_t *bitmap;
    void *mapping;
    size_t mapping_bytes;
};

enum memory_kind { MEMORY_SMALL, MEMORY_HUGE, MEMORY_SHARED };

static void watch_open(struct watch *watch, const struct kind *kind, uint64_t chunks, enum memory_kind memory)
{
    int fd = -1;
    int flags = memory == MEMORY_SHARED ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

    memset(watch, 0, sizeof(*watch));
    watch->kind = kind;
    if (kind->make(&watch->tracker, &watch->err) < 0) {
        print_message("%s\n", watch->err.text);
        skip();
    }
    watch->mapping_bytes = (chunks + 1) * CHUNK_BYTES;
    if (memory == MEMORY_SHARED) {
        fd = memfd_create("tracker-test", MFD_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t)watch->mapping_bytes), 0);
    }
    watch->mapping = mmap(NULL, watch->mapping_bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    assert_ptr_not_equal(watch->mapping, MAP_FAILED);
    if (fd >= 0)
        close(fd);
    watch->page0 = (uint8_t *)(((uintptr_t)watch->mapping + CHUNK_BYTES - 1) & ~(CHUNK_BYTES - 1));
    watch->pages = chunks * CHUNK_PAGES;
    watch->block = (struct ferry_block){
        .name = "ram",
        .host = (void *)watch->page0,
        .length = chunks * CHUNK_BYTES,
        .page_size = FERRY_PAGE_BYTES,
        .flags = memory == MEMORY_SHARED ? 0 : FERRY_BLOCK_PRIVATE,
    };
    madvise(watch->block.host, watch->block.length, memory == MEMORY_HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    watch->bitmap = calloc(bits_words(watch->pages), sizeof(uint64_t));
    assert_non_null(watch->bitmap);
}

static void watch_start(struct watch *watch)
{
    int rc = watch->tracker.ops->start(watch->tracker.opaque, &watch->block, &watch->err);

    if (rc < 0)
        print_message("%s\n", watch->err.text);
    assert_int_equal(rc, 0);
}

static void watch_sync(struct watch *watch)
{
    memset(watch->bitmap, 0, bits_words(watch->pages) * sizeof(uint64_t));
    assert_int_equal(watch->tracker.ops->sync(watch->tracker.opaque, &watch->block, watch->bitmap, &watch->err), 0);
}

static void watch_close(struct watch *watch)
{
    watch->tracker.ops->stop(watch->tracker.opaque, &watch->block);
    watch->kind->free(&watch->tracker);
    munmap(watch->mapping, watch->mapping_bytes);
    free(watch->bitmap);
}

static bool reported(const struct watch *watch, uint64_t page)
{
    return watch->bitmap[page / 64] >> (page % 64) & 1;
}

static uint64_t reported_count(const struct watch *watch)
{
    uint64_t count = 0;

    for (size_t i = 0; i < bits_words(watch->pages); i++)
        count += (uint64_t)__builtin_popcountll(watch->bitmap[i]);
    return count;
}

static void touch(struct watch *watch, uint64_t page)
{
    watch->page0[page * FERRY_PAGE_BYTES + 100]++;
}

static uint8_t look(struct watch *watch, uint64_t page)
{
    return watch->page0[page * FERRY_PAGE_BYTES + 200];
}

/* Exactly these pages, ended by UINT64_MAX, are in the next report. */
static void expect_report(struct watch *watch, const uint64_t *pages)
{
    uint64_t count = 0;

    watch_sync(watch);
    for (; pages[count] != UINT64_MAX; count++) {
        if (!reported(watch, pages[count]))
            fail_msg("page %llu is not reported", (unsigned long long)pages[count]);
    }
    assert_int_equal(reported_count(watch), count);
}

#define PAGES(...)  ((const uint64_t[]){ __VA_ARGS__, UINT64_MAX })
#define NO_PAGES    ((const uint64_t[]){ UINT64_MAX })
#define UNTOUCHED_A (3 * CHUNK_PAGES)
#define UNTOUCHED_B (4 * CHUNK_PAGES + 5)
#define ONLY_READ   (2 * CHUNK_PAGES + 7)

static void first_writes_to_small_pages_are_reported_exactly(void **state)
{
    struct watch watch;

    watch_open(&watch, *state, 8, MEMORY_SMALL);
    touch(&watch, 0);
    touch(&watch, 1);
    touch(&watch, 63);
    touch(&watch, 700);
    look(&watch, ONLY_READ);
    watch_start(&watch);
    expect_report(&watch, NO_PAGES);

    touch(&watch, 1);
    touch(&watch, 63);
    touch(&watch, 64); /* beside pages that are there, itself never touched */
    touch(&watch, ONLY_READ);
    touch(&watch, UNTOUCHED_A);
    touch(&watch, watch.pages - 1);
    expect_report(&watch, PAGES(1, 63, 64, ONLY_READ, UNTOUCHED_A, watch.pages - 1));
    expect_report(&watch, NO_PAGES);

    /* Touched for the first time between two syncs, and again; and pages reported before. */
    touch(&watch, UNTOUCHED_B);
    touch(&watch, UNTOUCHED_B);
    touch(&watch, ONLY_READ);
    touch(&watch, 0);
    expect_report(&watch, PAGES(UNTOUCHED_B, ONLY_READ, 0));
    touch(&watch, UNTOUCHED_B);
    touch(&watch, UNTOUCHED_A);
    expect_report(&watch, PAGES(UNTOUCHED_A, UNTOUCHED_B));
    watch_close(&watch);
}

static void writes_into_huge_pages_are_reported_by_the_page(void **state)
{
    struct watch watch;

    watch_open(&watch, *state, 8, MEMORY_HUGE);
    touch(&watch, 0);
    touch(&watch, CHUNK_PAGES);
    look(&watch, ONLY_READ);
    watch_start(&watch);
    expect_report(&watch, NO_PAGES);
    touch(&watch, 3);
    touch(&watch, CHUNK_PAGES);
    touch(&watch, CHUNK_PAGES + 511);
    expect_report(&watch, PAGES(3, CHUNK_PAGES, CHUNK_PAGES + 511));

    touch(&watch, UNTOUCHED_B);
    touch(&watch, ONLY_READ);
    watch_sync(&watch);
    assert_true(reported(&watch, UNTOUCHED_B));
    assert_true(reported(&watch, ONLY_READ));
    for (uint64_t page = 0; page < watch.pages; page++) {
        bool near = page / CHUNK_PAGES == UNTOUCHED_B / CHUNK_PAGES || page / CHUNK_PAGES == ONLY_READ / CHUNK_PAGES;

        if (page != UNTOUCHED_B && page != ONLY_READ && (!near || !watch.kind->keeps_huge))
            assert_false(reported(&watch, page));
    }
    touch(&watch, UNTOUCHED_B + 1);
    touch(&watch, ONLY_READ);
    touch(&watch, ONLY_READ + 1);
    expect_report(&watch, PAGES(UNTOUCHED_B + 1, ONLY_READ, ONLY_READ + 1));
    watch_close(&watch);
}

static void reading_is_not_reported(void **state)
{
    for (int memory = MEMORY_SMALL; memory <= MEMORY_SHARED; memory++) {
        struct watch watch;
        uint64_t sum = 0;

        watch_open(&watch, *state, 8, memory);
        touch(&watch, 0);
        touch(&watch, CHUNK_PAGES);
        look(&watch, ONLY_READ);
        watch_start(&watch);
        for (uint64_t page = 0; page < watch.pages; page += 37)
            sum += look(&watch, page);
        assert_int_equal(sum, 0);
        expect_report(&watch, NO_PAGES);
        for (uint64_t page = 0; page < watch.pages; page += 23)
            sum += look(&watch, page);
        assert_int_equal(sum, 0);
        expect_report(&watch, NO_PAGES);
        /* What was only read is watched all the same. */
        touch(&watch, 0);
        touch(&watch, ONLY_READ);
        watch_sync(&watch);
        assert_true(reported(&watch, 0));
        assert_true(reported(&watch, ONLY_READ));
        watch_close(&watch);
    }
}

static void shared_memory_is_watched_by_the_page(void **state)
{
    struct watch watch;

    watch_open(&watch, *state, 8, MEMORY_SHARED);
    touch(&watch, 0);
    touch(&watch, 9);
    /* There, but this mapping does not know it yet. */
    touch(&watch, 700);
    assert_int_equal(madvise((uint8_t *)watch.block.host + 512 * FERRY_PAGE_BYTES, CHUNK_BYTES, MADV_DONTNEED), 0);
    watch_start(&watch);
    expect_report(&watch, NO_PAGES);
    touch(&watch, 9);
    touch(&watch, 700);
    touch(&watch, UNTOUCHED_A);
    expect_report(&watch, PAGES(9, 700, UNTOUCHED_A));
    look(&watch, UNTOUCHED_B);
    touch(&watch, 700);
    expect_report(&watch, PAGES(700));
    watch_close(&watch);
}

static void writes_by_the_kernel_are_reported(void **state)
{
    struct watch watch;
    int fd;

    watch_open(&watch, *state, 8, MEMORY_SMALL);
    fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    touch(&watch, 5);
    watch_start(&watch);
    assert_int_equal(read(fd, (uint8_t *)watch.block.host + 5 * FERRY_PAGE_BYTES, 64), 64);
    assert_int_equal(read(fd, (uint8_t *)watch.block.host + UNTOUCHED_A * FERRY_PAGE_BYTES - 32, 64), 64);
    expect_report(&watch, PAGES(5, UNTOUCHED_A - 1, UNTOUCHED_A));
    close(fd);
    watch_close(&watch);
}

static void after_stop_memory_is_plain_and_can_be_watched_anew(void **state)
{
    struct watch watch;

    watch_open(&watch, *state, 4, MEMORY_SMALL);
    touch(&watch, 2);
    watch_start(&watch);
    touch(&watch, 2);
    watch.tracker.ops->stop(watch.tracker.opaque, &watch.block);
    for (uint64_t page = 0; page < watch.pages; page++)
        touch(&watch, page);
    assert_int_equal(watch.tracker.ops->sync(watch.tracker.opaque, &watch.block, watch.bitmap, &watch.err), -EINVAL);
    watch_start(&watch);
    expect_report(&watch, NO_PAGES);
    touch(&watch, 2);
    touch(&watch, 3);
    expect_report(&watch, PAGES(2, 3));
    watch_close(&watch);
}

static void memory_that_is_watched_already_is_refused_and_left_watched(void **state)
{
    struct watch watch;
    struct tracker second;
    struct ferry_error err = { 0 };

    watch_open(&watch, *state, 2, MEMORY_SMALL);
    watch_start(&watch);
    assert_int_equal(watch.kind->make(&second, NULL), 0);
    assert_int_equal(second.ops->start(second.opaque, &watch.block, &err), -EBUSY);
    assert_non_null(strstr(err.text, "'ram'"));
    second.ops->stop(second.opaque, &watch.block);
    watch.kind->free(&second);
    touch(&watch, 4);
    expect_report(&watch, PAGES(4));
    watch_close(&watch);
}

static uint64_t page_table_kib(void)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");

    assert_non_null(status);
    while (fgets(line, sizeof(line), status)) {
        if (sscanf(line, "VmPTE: %llu", &kib) == 1)
            break;
    }
    fclose(status);
    return kib;
}

static void untouched_memory_costs_next_to_nothing(void **state)
{
    struct watch watch;
    struct ram_block block = { 0 };
    struct dirty_map populated;
    uint64_t tables;
    int64_t began, took;

    watch_open(&watch, *state, (UINT64_C(64) << 30) / CHUNK_BYTES, MEMORY_SMALL);
    touch(&watch, watch.pages / 2);
    block.info = watch.block;
    block.host = watch.block.host;
    block.pages = watch.pages;
    assert_int_equal(dirty_init(&populated, block.pages), 0);
    memset(watch.bitmap, 0, bits_words(watch.pages) * sizeof(uint64_t));
    tables = page_table_kib();

    began = clock_cpu_ns();
    watch_start(&watch);
    touch(&watch, watch.pages - 1);
    assert_int_equal(watch.tracker.ops->sync(watch.tracker.opaque, &watch.block, watch.bitmap, &watch.err), 0);
    assert_int_equal(populated_scan(&block, &populated, NULL), 0);
    took = clock_cpu_ns() - began;

    assert_int_equal(reported_count(&watch), 1);
    assert_int_equal(populated.count, 2);
    assert_true(dirty_test(&populated, watch.pages / 2));
    print_message("64 GiB untouched: start, sync and scan took %.3f ms of a processor\n", (double)took / NS_PER_MS);
    assert_true(page_table_kib() - tables < 1024);
    assert_true(took < 100 * NS_PER_MS); /* some ms; the rest is for sanitizers */
    dirty_clear_memory(&populated);
    watch_close(&watch);
}

struct writer {
    pthread_t thread;
    struct watch *watch;
    unsigned seed;
    atomic_bool *stop;
    atomic_ulong *writes;
};

static void *writer_main(void *opaque)
{
    struct writer *writer = opaque;
    uint64_t random = writer->seed;

    while (!atomic_load_explicit(writer->stop, memory_order_relaxed)) {
        uint64_t page;

        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        page = (random >> 33) % writer->watch->pages;
        /* Half of the writes go to few pages, so that many hit what is just being reported. */
        if (random >> 63)
            page %= 64;
        atomic_fetch_add((_Atomic(uint64_t) *)(writer->watch->page0 + page * FERRY_PAGE_BYTES), 1);
        atomic_fetch_add_explicit(writer->writes, 1, memory_order_relaxed);
    }
    return NULL;
}

static uint64_t content(const struct watch *watch, uint64_t page)
{
    return atomic_load((_Atomic(uint64_t) *)(watch->page0 + page * FERRY_PAGE_BYTES));
}

/* The copy that a destination would have: brought up to date with every report. */
static void apply_report(struct watch *watch, uint64_t *copy)
{
    watch_sync(watch);
    for (uint64_t page = 0; page < watch->pages; page++) {
        if (reported(watch, page))
            copy[page] = content(watch, page);
    }
}

/* Writers at work while reports are taken: @rounds of them, each once so many more writes have been made. */
static void no_write_is_lost_in(struct watch *watch, unsigned rounds, unsigned long writes_each)
{
    struct writer writers[3];
    atomic_bool stop = false;
    atomic_ulong writes = 0;
    uint64_t *copy = calloc(watch->pages, sizeof(*copy));

    assert_non_null(copy);
    for (uint64_t page = 0; page < watch->pages; page += 5)
        touch(watch, page);
    watch_start(watch);
    for (uint64_t page = 0; page < watch->pages; page++)
        copy[page] = content(watch, page);
    for (unsigned i = 0; i < 3; i++) {
        writers[i] = (struct writer){ .watch = watch, .seed = i + 1, .stop = &stop, .writes = &writes };
        assert_int_equal(pthread_create(&writers[i].thread, NULL, writer_main, &writers[i]), 0);
    }
    for (unsigned round = 1; round <= rounds; round++) {
        while (atomic_load(&writes) < writes_each * round)
            sched_yield();
        apply_report(watch, copy);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(writers[i].thread, NULL);
    apply_report(watch, copy);
    for (uint64_t page = 0; page < watch->pages; page++) {
        if (copy[page] != content(watch, page))
            fail_msg("page %llu: a write was lost", (unsigned long long)page);
    }
    expect_report(watch, NO_PAGES);
    free(copy);
}

static void no_write_is_lost_while_threads_hammer(void **state)
{
    for (int memory = MEMORY_SMALL; memory <= MEMORY_SHARED; memory++) {
        struct watch watch;

        watch_open(&watch, *state, 4, memory);
        no_write_is_lost_in(&watch, 30, 100);
        watch_close(&watch);
    }
}

/* All writers in one word of the bitmap, and reports one after the other. */
static void no_write_is_lost_where_reports_and_faults_meet(void **state)
{
    struct watch watch;

    watch_open(&watch, *state, 1, MEMORY_SMALL);
    watch.pages = 64;
    watch.block.length = watch.pages * FERRY_PAGE_BYTES;
    no_write_is_lost_in(&watch, 3000, 1);
    watch_close(&watch);
}

static const struct {
    const char *name;
    void (*run)(void **state);
} cases[] = {
    { "first writes to small pages are reported exactly", first_writes_to_small_pages_are_reported_exactly },
    { "writes into huge pages are reported by the page", writes_into_huge_pages_are_reported_by_the_page },
    { "reading is not reported", reading_is_not_reported },
    { "shared memory is watched by the page", shared_memory_is_watched_by_the_page },
    { "writes by the kernel are reported", writes_by_the_kernel_are_reported },
    { "after stop memory is plain and can be watched anew", after_stop_memory_is_plain_and_can_be_watched_anew },
    { "watched memory is refused", memory_that_is_watched_already_is_refused_and_left_watched },
    { "untouched memory costs next to nothing", untouched_memory_costs_next_to_nothing },
    { "no write is lost while threads hammer", no_write_is_lost_while_threads_hammer },
    { "no write is lost where reports and faults meet", no_write_is_lost_where_reports_and_faults_meet },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))
#define CASES (sizeof(cases) / sizeof(cases[0]))

int main(void)
{
    struct CMUnitTest tests[KINDS * CASES];
    char names[KINDS * CASES][96];
    struct tracker tracker;
    struct ferry_error err = { 0 };

    if (tracker_uffd_async_new(&tracker, &err) == 0) {
        tracker_uffd_async_free(&tracker);
    } else if (tracker_uffd_sync_new(&tracker, &err) == 0) {
        tracker_uffd_sync_free(&tracker);
    } else {
        printf("no tracker works here: %s\n", err.text);
        return 77;
    }
    memset(tests, 0, sizeof(tests));
    for (size_t i = 0; i < KINDS * CASES; i++) {
        snprintf(names[i], sizeof(names[i]), "%s: %s", kinds[i / CASES].name, cases[i % CASES].name);
        tests[i].name = names[i];
        tests[i].test_func = cases[i % CASES].run;
        tests[i].initial_state = (void *)&kinds[i / CASES];
    }
    return cmocka_run_group_tests_name("tracker", tests, NULL, NULL);
}
