/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_area.c - memory that a device writes: pages that say what they are, how often each was written, which changed */
#include "vfio_area.h"

#include <errno.h>
#include <ferry/memory.h>
#include <stdlib.h>
#include <string.h>

static uint64_t words(uint64_t pages)
{
    return (pages + 63) / 64;
}

int vfio_area_make(struct vfio_area *area, const char *name, uint64_t bytes, uint64_t seed, struct findings *findings,
                   struct ferry_error *err)
{
    const struct guest_spec spec = { .seed = seed, .content = SPEC_RANDOM };
    int ret = mapping_map(&area->map, bytes, 0, err);

    if (ret < 0)
        return ret;
    area->name = name;
    area->pages = bytes / FERRY_PAGE_BYTES;
    area->findings = findings;
    content_init(&area->content, &spec);
    area->generations = calloc(area->pages, sizeof(*area->generations));
    area->dirty = calloc(words(area->pages), sizeof(*area->dirty));
    area->trusted = calloc(area->pages, 1);
    if (!area->generations || !area->dirty || !area->trusted)
        return ferry_error_set(err, -ENOMEM, "out of memory for a device's %s", name);
    return 0;
}

void vfio_area_clear(struct vfio_area *area)
{
    mapping_unmap(&area->map);
    free(area->generations);
    free(area->dirty);
    free(area->trusted);
    memset(area, 0, sizeof(*area));
}

static uint8_t *address(const struct vfio_area *area, uint64_t page)
{
    return area->map.host + page * FERRY_PAGE_BYTES;
}

static void set_dirty(struct vfio_area *area, uint64_t page)
{
    uint64_t bit = UINT64_C(1) << (page % 64);

    if (!(area->dirty[page / 64] & bit))
        area->dirty_pages++;
    area->dirty[page / 64] |= bit;
}

void vfio_area_set_all_dirty(struct vfio_area *area)
{
    for (uint64_t page = 0; page < area->pages; page++)
        set_dirty(area, page);
}

void vfio_area_fill(struct vfio_area *area)
{
    for (uint64_t page = 0; page < area->pages; page++)
        content_write(&area->content, address(area, page), page, area->generations[page]);
    memset(area->trusted, 1, area->pages);
    vfio_area_set_all_dirty(area);
}

void vfio_area_write(struct vfio_area *area, uint64_t page)
{
    if (!area->trusted[page])
        vfio_area_check(area, page);
    area->trusted[page] = 1;
    area->generations[page]++;
    content_write(&area->content, address(area, page), page, area->generations[page]);
    set_dirty(area, page);
}

bool vfio_area_take(struct vfio_area *area, uint64_t *page)
{
    while (area->dirty_pages > 0) {
        uint64_t at = area->next, bit = UINT64_C(1) << (at % 64);

        if (at % 64 == 0 && !area->dirty[at / 64]) {
            area->next = at + 64 < area->pages ? at + 64 : 0;
            continue;
        }
        area->next = at + 1 < area->pages ? at + 1 : 0;
        if (!(area->dirty[at / 64] & bit))
            continue;
        area->dirty[at / 64] &= ~bit;
        area->dirty_pages--;
        *page = at;
        return true;
    }
    return false;
}

uint64_t vfio_area_report(struct vfio_area *area, uint64_t *bitmap)
{
    uint64_t pages = area->dirty_pages;

    for (uint64_t i = 0; i < words(area->pages); i++) {
        bitmap[i] |= area->dirty[i];
        area->dirty[i] = 0;
    }
    area->dirty_pages = 0;
    return pages;
}

bool vfio_area_check(struct vfio_area *area, uint64_t page)
{
    const uint8_t *at = address(area, page);
    enum content_state state = content_check(&area->content, at, page, area->generations[page]);
    char what[FINDINGS_TEXT_BYTES];

    if (state == CONTENT_GOOD)
        return true;
    findings_note(area->findings, state, area->name, page,
                  content_describe(&area->content, at, page, area->generations[page], what, sizeof(what)));
    return false;
}
