/* SPDX-License-Identifier: BSD-3-Clause */
/* prefault_test.c - memory is ready ahead of data that arrives in order, and stays empty where none arrives */
#include "clock.h"
#include "prefault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define CHUNK_PAGES UINT64_C(512)
#define CHUNK_BYTES (CHUNK_PAGES * FERRY_PAGE_BYTES)
#define CHUNKS      80
#define PATIENCE_NS (100 * NS_PER_SEC)

#define AHEAD_CHUNKS (PREFAULT_AHEAD_BYTES / CHUNK_BYTES)

struct memory {
    void *mapping;
    struct ram_block block;
};

static void memory_open(struct memory *memory, unsigned index)
{
    uint8_t *host;

    memory->mapping = mmap(NULL, (CHUNKS + 1) * CHUNK_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(memory->mapping, MAP_FAILED);
    host = (uint8_t *)(((uintptr_t)memory->mapping + CHUNK_BYTES - 1) & ~(CHUNK_BYTES - 1));
    memory->block = (struct ram_block){
        .info = { "ram", host, CHUNKS * CHUNK_BYTES, FERRY_PAGE_BYTES, FERRY_BLOCK_PRIVATE },
        .host = host,
        .pages = CHUNKS * CHUNK_PAGES,
        .index = index,
    };
}

static void memory_close(struct memory *memory)
{
    munmap(memory->mapping, (CHUNKS + 1) * CHUNK_BYTES);
}

static bool chunk_is_ready(const struct memory *memory, uint64_t chunk)
{
    unsigned char present[CHUNK_PAGES];

    assert_int_equal(mincore(memory->block.host + chunk * CHUNK_BYTES, CHUNK_BYTES, present), 0);
    for (uint64_t page = 0; page < CHUNK_PAGES; page++) {
        if (!(present[page] & 1))
            return false;
    }
    return true;
}

static bool becomes_ready(const struct memory *memory, uint64_t chunk, int64_t patience_ns)
{
    int64_t deadline = clock_now_ns() + patience_ns;

    while (!chunk_is_ready(memory, chunk)) {
        if (clock_now_ns() > deadline)
            return false;
        clock_sleep_until_ns(clock_now_ns() + NS_PER_MS); /* the helper runs while a processor is idle */
    }
    return true;
}

/* Data of @pages pages arrives in pieces; nothing is written, so whatever is populated the helper populated. */
static void arrive(struct prefault *prefault, const struct memory *memory, uint64_t page, uint64_t pages)
{
    for (uint64_t end = page + pages; page < end; page += 64)
        prefault_arrived(prefault, &memory->block, page, 64);
}

/* Let data arrive until the helper is as far ahead as it may be.  It looks when it gets to run, and the way widens with
 * each look: so wait a little longer at each chunk, and long when it should be wide by then: while processors are busy
 * the helper hardly runs.  Returns the chunk that data is in. */
static uint64_t arrive_until_ahead(struct prefault *prefault, const struct memory *memory)
{
    for (uint64_t chunk = 0;; chunk++) {
        int64_t patience_ns = chunk < CHUNKS / 8 ? (int64_t)(chunk + 1) * 20 * NS_PER_MS : NS_PER_SEC;

        assert_true(chunk + AHEAD_CHUNKS < CHUNKS);
        arrive(prefault, memory, chunk * CHUNK_PAGES, CHUNK_PAGES);
        if (becomes_ready(memory, chunk + AHEAD_CHUNKS, patience_ns))
            return chunk;
    }
}

static void memory_ahead_of_dense_data_becomes_ready(void **state)
{
    struct prefault *prefault = prefault_new(NULL);
    struct memory memory;
    uint64_t here;

    assert_non_null(prefault);
    memory_open(&memory, 0);
    here = arrive_until_ahead(prefault, &memory);
    prefault_free(prefault);
    for (uint64_t chunk = here + 1; chunk < CHUNKS; chunk++)
        assert_int_equal(chunk_is_ready(&memory, chunk), chunk <= here + AHEAD_CHUNKS);
    memory_close(&memory);
}

static void thin_data_populates_nothing_ahead(void **state)
{
    struct prefault *prefault = prefault_new(NULL);
    struct memory memory, other;

    assert_non_null(prefault);
    memory_open(&memory, 0);
    memory_open(&other, 1);
    for (uint64_t chunk = 0; chunk < CHUNKS; chunk++)
        prefault_arrived(prefault, &memory.block, chunk * CHUNK_PAGES, 16);
    /* Once it is ahead here, it is long done there. */
    arrive_until_ahead(prefault, &other);
    prefault_free(prefault);
    for (uint64_t chunk = 0; chunk < CHUNKS; chunk++)
        assert_false(chunk_is_ready(&memory, chunk));
    memory_close(&memory);
    memory_close(&other);
}

static bool page_is_there(const struct memory *memory, uint64_t page)
{
    unsigned char present;

    assert_int_equal(mincore(memory->block.host + page * FERRY_PAGE_BYTES, FERRY_PAGE_BYTES, &present), 0);
    return present & 1;
}

static void the_end_of_a_block_is_the_end(void **state)
{
    struct prefault *prefault = prefault_new(NULL);
    struct memory memory;
    int64_t deadline = clock_now_ns() + PATIENCE_NS;
    uint64_t chunk = 0;

    assert_non_null(prefault);
    memory_open(&memory, 0);
    memory.block.info.length = 20 * CHUNK_BYTES + 5 * FERRY_PAGE_BYTES;
    memory.block.pages = 20 * CHUNK_PAGES + 5;
    madvise(memory.block.host, CHUNKS * CHUNK_BYTES, MADV_NOHUGEPAGE);
    /* Not small pages: no huge ones are asked for, and memory comes by the page. */
    memory.block.info.page_size = 2 * FERRY_PAGE_BYTES;
    while (!page_is_there(&memory, memory.block.pages - 1) && clock_now_ns() < deadline) {
        /* Back and forth: at the start of each round the helper begins anew. */
        arrive(prefault, &memory, chunk * CHUNK_PAGES, CHUNK_PAGES);
        chunk = (chunk + 1) % 20;
        clock_sleep_until_ns(clock_now_ns() + 5 * NS_PER_MS);
    }
    prefault_free(prefault);
    assert_true(page_is_there(&memory, memory.block.pages - 1));
    assert_false(page_is_there(&memory, memory.block.pages));
    memory_close(&memory);
}

static void no_data_means_no_memory(void **state)
{
    struct prefault *prefault = prefault_new(NULL);

    assert_non_null(prefault);
    prefault_free(prefault);
    prefault_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_ahead_of_dense_data_becomes_ready),
        cmocka_unit_test(thin_data_populates_nothing_ahead),
        cmocka_unit_test(the_end_of_a_block_is_the_end),
        cmocka_unit_test(no_data_means_no_memory),
    };
    struct ferry_error err = { 0 };
    struct prefault *prefault = prefault_new(&err);

    if (!prefault) {
        printf("%s\n", err.text);
        return 77;
    }
    prefault_free(prefault);
    return cmocka_run_group_tests_name("prefault", tests, NULL, NULL);
}
