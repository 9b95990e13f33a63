/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_regions_test.c - one count per region tells what every page must hold, and every page that does not is found */
#include "regions.h"

#include <ferry/memory.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Two whole regions and a piece of a third. */
#define PAGES   600
#define REGIONS 3
#define BYTES   ((size_t)PAGES * FERRY_PAGE_BYTES)

struct memory {
    struct guest_spec spec;
    uint8_t *ram;
    uint64_t writes[REGIONS];
    struct regions *regions;
};

static void memory_open(struct memory *memory, bool trusted)
{
    memory->regions = regions_new(&memory->spec, memory->ram, memory->writes, trusted, NULL);
    assert_non_null(memory->regions);
    assert_int_equal(memory->regions->count, REGIONS);
}

/* Filled, with some writes done. */
static void setup_memory(struct memory *memory, const char *text)
{
    char all[200] = "size=2400KiB,";

    memset(memory, 0, sizeof(*memory));
    strcat(all, text);
    assert_int_equal(spec_parse(all, &memory->spec, NULL), 0);
    assert_int_equal(memory->spec.size_bytes, BYTES);
    memory->ram = aligned_alloc(FERRY_PAGE_BYTES, BYTES);
    assert_non_null(memory->ram);
    memset(memory->ram, 0xaa, BYTES);
    memory_open(memory, true);
    regions_fill(memory->regions);
    for (unsigned i = 0; i < 1000; i++)
        regions_write(memory->regions, memory->regions->writable[content_hash(i) % memory->regions->writable_count]);
}

/* As a destination would: the same memory and counts, but nothing is believed. */
static void reopen(struct memory *memory)
{
    regions_free(memory->regions);
    memory_open(memory, false);
}

static void memory_close(struct memory *memory)
{
    regions_free(memory->regions);
    free(memory->ram);
}

static uint8_t *page_at(struct memory *memory, uint64_t page)
{
    return memory->ram + page * FERRY_PAGE_BYTES;
}

static void expect(struct memory *memory, uint64_t mismatched, uint64_t lost, const char *first)
{
    const struct findings *findings = &memory->regions->findings;

    regions_check(memory->regions);
    assert_int_equal(findings->mismatched, mismatched);
    assert_int_equal(findings->lost_writes, lost);
    assert_non_null(strstr(findings->first, first));
}

static void what_was_written_passes(void **state)
{
    static const char *const texts[] = { "content=random", "content=text,zero=30%", "content=mixed,zero=99%" };
    struct memory memory;

    for (size_t i = 0; i < 3; i++) {
        setup_memory(&memory, texts[i]);
        expect(&memory, 0, 0, "");
        assert_int_equal(memory.writes[0] + memory.writes[1] + memory.writes[2], 1000);
        reopen(&memory);
        expect(&memory, 0, 0, "");
        memory_close(&memory);
    }
}

static void memory_of_zeros_has_nothing_to_write(void **state)
{
    struct memory memory = { .ram = aligned_alloc(FERRY_PAGE_BYTES, BYTES) };

    assert_non_null(memory.ram);
    assert_int_equal(spec_parse("size=2400KiB,zero=100%", &memory.spec, NULL), 0);
    memory_open(&memory, true);
    regions_fill(memory.regions);
    assert_int_equal(memory.regions->writable_count, 0);
    expect(&memory, 0, 0, "");
    memory_close(&memory);
}

static void generations_follow_from_the_count(void **state)
{
    struct memory memory;
    unsigned data;

    setup_memory(&memory, "zero=30%");
    memset(memory.writes, 0, sizeof(memory.writes));
    reopen(&memory);
    regions_fill(memory.regions);
    data = memory.regions->region[1].data_pages;
    for (unsigned i = 0; i < 2 * data + 1; i++)
        regions_write(memory.regions, 1);
    /* The first data page of the region was written three times, its last one twice. */
    for (unsigned i = 0, seen = 0; i < REGION_PAGES; i++) {
        if (content_is_zero(&memory.regions->content, REGION_PAGES + i))
            continue;
        assert_int_equal(content_check(&memory.regions->content, page_at(&memory, REGION_PAGES + i), REGION_PAGES + i,
                                       seen++ == 0 ? 3 : 2),
                         CONTENT_GOOD);
    }
    memory_close(&memory);
}

/* A count that came from elsewhere leads to the same next write. */
static void writing_goes_on_where_it_stopped(void **state)
{
    struct memory memory;

    setup_memory(&memory, "zero=30%");
    for (unsigned round = 0; round < 100; round++) {
        unsigned next[REGIONS];

        for (unsigned i = 0; i < REGIONS; i++) {
            regions_write(memory.regions, i);
            next[i] = memory.regions->region[i].next;
        }
        reopen(&memory);
        for (unsigned i = 0; i < REGIONS; i++)
            assert_int_equal(memory.regions->region[i].next, next[i]);
    }
    expect(&memory, 0, 0, "");
    memory_close(&memory);
}

static void every_kind_of_bad_page_is_found(void **state)
{
    struct memory memory;
    const struct content *content;
    uint64_t zero = 0;

    setup_memory(&memory, "zero=10%");
    reopen(&memory);
    content = &memory.regions->content;
    while (!content_is_zero(content, zero))
        zero++;
    page_at(&memory, zero)[4000] = 1;
    expect(&memory, 1, 0, "should be zero");
    page_at(&memory, 300)[77] ^= 4; /* counted once, however often it is seen */
    expect(&memory, 2, 0, "should be zero");
    expect(&memory, 2, 0, "should be zero");
    memset(page_at(&memory, 301), 0, FERRY_PAGE_BYTES);
    expect(&memory, 3 - content_is_zero(content, 301), 0, "");
    memory_close(&memory);
}

static void a_missing_write_is_a_lost_one(void **state)
{
    uint8_t before[FERRY_PAGE_BYTES];
    struct memory memory;
    unsigned page;

    setup_memory(&memory, "content=text");
    page = memory.regions->region[1].next;
    memcpy(before, page_at(&memory, REGION_PAGES + page), sizeof(before));
    regions_write(memory.regions, 1);
    memcpy(page_at(&memory, REGION_PAGES + page), before, sizeof(before));
    reopen(&memory);
    expect(&memory, 0, 1, "should hold generation");
    memory_close(&memory);
}

static void a_count_that_is_short_makes_pages_too_new(void **state)
{
    struct memory memory;

    setup_memory(&memory, "seed=3");
    memory.writes[2]--;
    reopen(&memory);
    expect(&memory, 1, 0, "pattern.ram: page ");
    memory_close(&memory);
}

static void a_bad_page_is_not_painted_over(void **state)
{
    struct memory memory;
    unsigned next;

    setup_memory(&memory, "seed=3");
    reopen(&memory);
    next = memory.regions->region[0].next;
    page_at(&memory, next)[99] ^= 1;
    regions_write(memory.regions, 0);
    assert_int_equal(memory.regions->findings.mismatched, 1);
    expect(&memory, 1, 0, "fails its checksum");
    /* From the check on, what is overwritten is not looked at: it is known to be good. */
    next = memory.regions->region[0].next;
    page_at(&memory, next)[99] ^= 1;
    regions_write(memory.regions, 0);
    expect(&memory, 1, 0, "fails its checksum");
    memory_close(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_passes),
        cmocka_unit_test(memory_of_zeros_has_nothing_to_write),
        cmocka_unit_test(generations_follow_from_the_count),
        cmocka_unit_test(writing_goes_on_where_it_stopped),
        cmocka_unit_test(every_kind_of_bad_page_is_found),
        cmocka_unit_test(a_missing_write_is_a_lost_one),
        cmocka_unit_test(a_count_that_is_short_makes_pages_too_new),
        cmocka_unit_test(a_bad_page_is_not_painted_over),
    };

    return cmocka_run_group_tests_name("guest_regions", tests, NULL, NULL);
}
