/* SPDX-License-Identifier: BSD-3-Clause */
/* regions.c - which generation every page has, in eight bytes per megabyte */
#include "regions.h"

#include "crew.h"

#include <errno.h>
#include <ferry/memory.h>
#include <sched.h>
#include <stdlib.h>

uint32_t regions_count(uint64_t ram_bytes)
{
    return (uint32_t)((ram_bytes / FERRY_PAGE_BYTES + REGION_PAGES - 1) / REGION_PAGES);
}

static bool bit_test(const uint64_t *words, unsigned bit)
{
    return words[bit / 64] >> (bit % 64) & 1;
}

static void bit_set(uint64_t *words, unsigned bit)
{
    words[bit / 64] |= UINT64_C(1) << (bit % 64);
}

/* The first data page from @from on, round the end; there is one. */
static unsigned next_data_page(const struct region *region, unsigned from)
{
    while (!bit_test(region->data, from % REGION_PAGES))
        from++;
    return from % REGION_PAGES;
}

static unsigned region_pages(const struct regions *regions, uint64_t index)
{
    uint64_t rest = regions->pages - index * REGION_PAGES;

    return rest < REGION_PAGES ? (unsigned)rest : REGION_PAGES;
}

static void region_lock(struct region *region)
{
    while (atomic_exchange_explicit(&region->locked, true, memory_order_acquire))
        sched_yield();
}

static void region_unlock(struct region *region)
{
    atomic_store_explicit(&region->locked, false, memory_order_release);
}

static uint64_t generation(uint64_t writes, unsigned data_pages, unsigned position)
{
    return writes / data_pages + (position < writes % data_pages);
}

/* Without zero pages nothing needs to be asked of any page. */
static void shape_full_region(struct regions *regions, uint64_t index)
{
    struct region *region = &regions->region[index];
    unsigned pages = region_pages(regions, index);

    for (unsigned i = 0; i < pages / 64; i++)
        region->data[i] = UINT64_MAX;
    if (pages % 64)
        region->data[pages / 64] = (UINT64_C(1) << pages % 64) - 1;
    region->data_pages = (uint16_t)pages;
    region->next = (uint16_t)(regions->writes[index] % pages);
}

static void shape_region(void *opaque, uint64_t index)
{
    struct regions *regions = opaque;
    struct region *region = &regions->region[index];
    unsigned pages = region_pages(regions, index), skip;

    for (unsigned i = 0; i < pages; i++) {
        if (content_is_zero(&regions->content, index * REGION_PAGES + i))
            continue;
        bit_set(region->data, i);
        region->data_pages++;
    }
    if (region->data_pages == 0)
        return;
    skip = (unsigned)(regions->writes[index] % region->data_pages);
    region->next = (uint16_t)next_data_page(region, 0);
    while (skip-- > 0)
        region->next = (uint16_t)next_data_page(region, region->next + 1u);
}

struct regions *regions_new(const struct guest_spec *spec, void *ram, uint64_t *writes, bool trusted,
                            struct ferry_error *err)
{
    struct regions *regions = calloc(1, sizeof(*regions));

    if (!regions || findings_init(&regions->findings) < 0) {
        free(regions);
        ferry_error_set(err, -ENOMEM, "out of memory for the guest's regions");
        return NULL;
    }
    content_init(&regions->content, spec);
    regions->ram = ram;
    regions->pages = spec->size_bytes / FERRY_PAGE_BYTES;
    regions->writes = writes;
    regions->count = regions_count(spec->size_bytes);
    regions->region = calloc(regions->count, sizeof(*regions->region));
    regions->writable = calloc(regions->count, sizeof(*regions->writable));
    if (!regions->region || !regions->writable) {
        ferry_error_set(err, -ENOMEM, "out of memory for the guest's %u regions", regions->count);
        regions_free(regions);
        return NULL;
    }
    /* At a destination the guest stands still now: who hires hands waits for them, too. */
    if (spec->zero_percent > 0)
        crew_run(regions->count, shape_region, regions);
    else
        for (uint32_t i = 0; i < regions->count; i++)
            shape_full_region(regions, i);
    for (uint32_t i = 0; i < regions->count; i++) {
        regions->region[i].trusted = trusted;
        if (regions->region[i].data_pages > 0)
            regions->writable[regions->writable_count++] = i;
    }
    return regions;
}

void regions_free(struct regions *regions)
{
    if (!regions)
        return;
    findings_destroy(&regions->findings);
    free(regions->region);
    free(regions->writable);
    free(regions);
}

/* Calls @visit for all pages of a region, with what they should hold. */
static void each_page(struct regions *regions, uint64_t index,
                      void (*visit)(struct regions *regions, uint64_t page, uint64_t generation))
{
    const struct region *region = &regions->region[index];
    unsigned pages = region_pages(regions, index), position = 0;

    for (unsigned i = 0; i < pages; i++) {
        uint64_t due = 0;

        if (bit_test(region->data, i))
            due = generation(regions->writes[index], region->data_pages, position++) +
                  (regions->own ? regions->own[index * REGION_PAGES + i] : 0);
        visit(regions, index * REGION_PAGES + i, due);
    }
}

static void fill_page(struct regions *regions, uint64_t page, uint64_t due)
{
    content_write(&regions->content, regions->ram + page * FERRY_PAGE_BYTES, page, due);
}

static void fill_region(void *opaque, uint64_t index)
{
    each_page(opaque, index, fill_page);
}

void regions_fill(struct regions *regions)
{
    crew_run(regions->count, fill_region, regions);
}

/* With the region's lock held.  A bad page is counted once. */
static void check_page(struct regions *regions, uint64_t page, uint64_t due)
{
    struct region *region = &regions->region[page / REGION_PAGES];
    const uint8_t *at = regions->ram + page * FERRY_PAGE_BYTES;
    enum content_state state = content_check(&regions->content, at, page, due);
    char what[192];

    if (state == CONTENT_GOOD || bit_test(region->bad, page % REGION_PAGES))
        return;
    bit_set(region->bad, page % REGION_PAGES);
    content_describe(&regions->content, at, page, due, what, sizeof(what));
    findings_note(&regions->findings, state, "pattern.ram", page, what);
}

static void check_region(void *opaque, uint64_t index)
{
    struct regions *regions = opaque;
    struct region *region = &regions->region[index];

    region_lock(region);
    each_page(regions, index, check_page);
    region->trusted = true;
    region_unlock(region);
}

void regions_check(struct regions *regions)
{
    crew_run(regions->count, check_region, regions);
}

void regions_write(struct regions *regions, uint32_t index)
{
    struct region *region = &regions->region[index];
    uint64_t page, before;

    region_lock(region);
    page = (uint64_t)index * REGION_PAGES + region->next;
    before = regions->writes[index] / region->data_pages;
    if (!region->trusted)
        check_page(regions, page, before);
    content_write(&regions->content, regions->ram + page * FERRY_PAGE_BYTES, page, before + 1);
    regions->writes[index]++;
    region->next = (uint16_t)next_data_page(region, region->next + 1u);
    region_unlock(region);
}

void regions_write_page(struct regions *regions, uint64_t page)
{
    struct region *region = &regions->region[page / REGION_PAGES];

    region_lock(region);
    if (!region->trusted)
        check_page(regions, page, regions->own[page]);
    content_write(&regions->content, regions->ram + page * FERRY_PAGE_BYTES, page, ++regions->own[page]);
    region_unlock(region);
}
