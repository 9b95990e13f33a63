/* SPDX-License-Identifier: BSD-3-Clause */
/* placer_assembly.c - host pages of huge size, put together from what one connection brings
 *
 *      came   1 1 1 1 1 0 0 0 ... 0      a piece twice is refused, so is a second host page that is far away
 *      slot   |#########           |     -- the last piece --> one UFFDIO_COPY of all of it
 *
 * The kernel installs huge pages whole or not at all (UFFDIO_COPY of less is EINVAL for hugetlbfs, 2 MiB and 1 GiB
 * alike), so a guest waits for the whole of it; docs/postcopy.md has the figures.
 *
 * A packet has its zero pages behind the others, so pieces of the host pages that one packet can reach may come in any
 * order: there is a slot for each of those, chosen by the host page's number.
 */
#include "placer_userfault.h"

#include "bits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static uint64_t host_bytes(const struct assembly *assembly)
{
    return assembly->host_pages << FERRY_PAGE_SHIFT;
}

void assembly_clear(struct assembly *assembly)
{
    for (unsigned i = 0; assembly->slot && i < assembly->slots; i++)
        free(assembly->slot[i].came);
    free(assembly->slot);
    if (assembly->memory)
        munmap(assembly->memory, assembly->slots * host_bytes(assembly));
    memset(assembly, 0, sizeof(*assembly));
}

static bool assembly_idle(const struct assembly *assembly)
{
    for (unsigned i = 0; i < assembly->slots; i++) {
        if (assembly->slot[i].block)
            return false;
    }
    return true;
}

/* Memory for host pages of this size. */
static bool assembly_fit(struct assembly *assembly, uint64_t host_pages)
{
    uint64_t bytes;
    void *memory;

    if (assembly->host_pages == host_pages)
        return true;
    if (!assembly_idle(assembly))
        return false;
    assembly_clear(assembly);
    assembly->slots = 2 + (unsigned)((BATCH_PAGES_MAX - 1) / host_pages);
    assembly->host_pages = host_pages;
    assembly->slot = calloc(assembly->slots, sizeof(assembly->slot[0]));
    bytes = assembly->slots * host_bytes(assembly);
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory != MAP_FAILED) {
        assembly->memory = memory;
        (void)madvise(memory, bytes, MADV_HUGEPAGE);
    }
    for (unsigned i = 0; assembly->slot && i < assembly->slots; i++)
        assembly->slot[i].came = calloc(bits_words(host_pages), sizeof(uint64_t));
    for (unsigned i = 0; i < assembly->slots; i++) {
        if (!assembly->slot || !assembly->slot[i].came || !assembly->memory) {
            assembly_clear(assembly);
            return false;
        }
    }
    return true;
}

static bool slot_is(const struct assembly_slot *slot, const struct postcopy_block *at, uint64_t number)
{
    return slot->block == at->block && slot->number == number;
}

/* The slot of a host page, its own already or free for it.  NULL: another one is not complete.  What was handed out for
 * others, and nothing of it came, makes way. */
static struct assembly_slot *slot_of(struct assembly *assembly, const struct postcopy_block *at, uint64_t number)
{
    for (unsigned i = 0; i < assembly->slots; i++) {
        struct assembly_slot *slot = &assembly->slot[i];
        uint64_t apart = slot->number > number ? slot->number - number : number - slot->number;

        if (!slot->block || (slot->block == at->block && apart < assembly->slots))
            continue;
        if (slot->pages > 0)
            return NULL;
        slot->block = NULL;
    }
    return &assembly->slot[number % assembly->slots];
}

static void slot_open(struct assembly_slot *slot, const struct assembly *assembly, const struct ram_block *block,
                      uint64_t number)
{
    if (slot->block)
        return;
    slot->block = block;
    slot->number = number;
    slot->pages = 0;
    slot->content = false;
    memset(slot->came, 0, bits_words(assembly->host_pages) * sizeof(slot->came[0]));
}

static bool came(const struct assembly_slot *slot, uint64_t piece)
{
    return slot->came[piece / 64] >> (piece % 64) & 1;
}

void assembly_forget(struct assembly *assembly)
{
    for (unsigned i = 0; i < assembly->slots; i++) {
        if (assembly->slot[i].pages == 0)
            assembly->slot[i].block = NULL;
    }
}

uint8_t *assembly_prepare(struct assembly *assembly, const struct postcopy_block *at, uint64_t page, uint64_t count,
                          uint64_t *got)
{
    uint64_t number = page / at->host_pages, piece = page % at->host_pages;
    struct assembly_slot *slot;

    *got = count < at->host_pages - piece ? count : at->host_pages - piece;
    slot = assembly_fit(assembly, at->host_pages) ? slot_of(assembly, at, number) : NULL;
    if (!slot)
        return NULL;
    slot_open(slot, assembly, at->block, number);
    for (uint64_t i = 0; i < *got; i++) {
        if (!came(slot, piece + i))
            continue;
        if (i == 0)
            return NULL;
        *got = i;
    }
    return assembly->memory + (number % assembly->slots) * host_bytes(assembly) + (piece << FERRY_PAGE_SHIFT);
}

bool assembly_has(const struct assembly *assembly, const struct postcopy_block *at, uint64_t page)
{
    for (unsigned i = 0; i < assembly->slots; i++) {
        const struct assembly_slot *slot = &assembly->slot[i];

        if (slot_is(slot, at, page / at->host_pages))
            return came(slot, page % at->host_pages);
    }
    return false;
}

/* The memory of a slot held another page before: where zeros came, there are none yet. */
static void write_zeros(const struct assembly_slot *slot, uint8_t *memory, uint64_t host_pages)
{
    for (uint64_t piece = 0; piece < host_pages; piece++) {
        if (came(slot, piece))
            memset(memory + (piece << FERRY_PAGE_SHIFT), 0, FERRY_PAGE_BYTES);
    }
}

static int refuse(const struct postcopy_block *at, uint64_t page, const char *why, struct ferry_error *err)
{
    ferry_error_set_code(err, FERRY_E_BAD_PAGE_RECORD, -EPROTO, "block '%s' page %" PRIu64 ": %s", at->block->info.name,
                         page, why);
    ferry_error_object(err, "%s", at->block->info.name);
    return -EPROTO;
}

static bool any_came(const struct assembly_slot *slot, uint64_t piece, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (came(slot, piece + i))
            return true;
    }
    return false;
}

/* Pieces of one host page. */
static int take_pieces(struct assembly *assembly, struct postcopy_ram *ram, struct postcopy_block *at, uint64_t page,
                       uint64_t count, bool zeros, struct ferry_error *err)
{
    uint64_t number = page / at->host_pages, piece = page % at->host_pages;
    struct assembly_slot *slot = slot_of(assembly, at, number);
    uint8_t *memory;
    int ret;

    if (!slot || (!zeros && !slot_is(slot, at, number)))
        return refuse(at, page, "it comes before another huge page is complete", err);
    slot_open(slot, assembly, at->block, number);
    if (any_came(slot, piece, count))
        return refuse(at, page, "a piece of a huge page comes twice", err);
    memory = assembly->memory + (number % assembly->slots) * host_bytes(assembly);
    if (!zeros && !slot->content)
        write_zeros(slot, memory, at->host_pages);
    slot->content |= !zeros;
    slot->pages += bits_set_range(slot->came, piece, count);
    if (zeros && slot->content)
        memset(memory + (piece << FERRY_PAGE_SHIFT), 0, count << FERRY_PAGE_SHIFT);
    if (slot->pages < at->host_pages)
        return 0;
    ret = postcopy_install(ram, at, page - piece, at->host_pages, slot->content ? memory : NULL, err);
    slot->block = NULL;
    return ret;
}

int assembly_commit(struct assembly *assembly, struct postcopy_ram *ram, struct postcopy_block *at, uint64_t page,
                    uint64_t count, bool zeros, struct ferry_error *err)
{
    int ret = 0;

    if (!assembly_fit(assembly, at->host_pages)) {
        if (!assembly_idle(assembly))
            return refuse(at, page, "it comes before another huge page is complete", err);
        return ferry_error_set_code(err, FERRY_E_PAGE_NOT_PLACED, -ENOMEM,
                                    "block '%s': no memory to put huge pages together", at->block->info.name);
    }
    while (ret == 0 && count > 0) {
        uint64_t left = at->host_pages - page % at->host_pages, now = count < left ? count : left;

        ret = take_pieces(assembly, ram, at, page, now, zeros, err);
        page += now;
        count -= now;
    }
    return ret;
}
