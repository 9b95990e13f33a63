/* SPDX-License-Identifier: BSD-3-Clause */
/* destination_advise.c - what a destination does before the guest moves: can it be done here, and what is to be dropped
 */
#include "bytes.h"
#include "destination_parts.h"
#include "guest_parts.h"
#include "placer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ADVISE_BYTES  16
#define DISCARD_RANGE 16 /* bytes of one */

int destination_out_of_order(const struct destination *destination, const char *what, struct ferry_error *err)
{
    return ferry_error_set_code(err, FERRY_E_POSTCOPY_ORDER, -EPROTO, "%s: %s has no place in state '%s'",
                                ferry_channel_label(destination->session->chan), what,
                                postcopy_state_name(destination->postcopy.state));
}

int destination_enter(struct destination *destination, enum postcopy_state to, const char *what,
                      struct ferry_error *err)
{
    struct destination_postcopy *postcopy = &destination->postcopy;

    if (!postcopy_state_allowed(postcopy->state, to))
        return destination_out_of_order(destination, what, err);
    postcopy->state = to;
    destination_note_progress(destination);
    return 0;
}

/* ---- advise ------------------------------------------------------------------------------------------------------ */

/* A page of this guest is missing: on the fault thread, or when all that is waited for is asked for again. */
static int ask(void *opaque, const struct ram_block *block, uint64_t page, uint64_t count)
{
    struct destination *destination = opaque;
    struct destination_postcopy *postcopy = &destination->postcopy;
    struct ferry_error mute;
    int ret;

    pthread_mutex_lock(&postcopy->asks);
    ret = return_path_request(destination->peer.path, block == postcopy->last ? NULL : block->info.name,
                              page << FERRY_PAGE_SHIFT, (uint32_t)(count << FERRY_PAGE_SHIFT), &mute);
    postcopy->last = block;
    pthread_mutex_unlock(&postcopy->asks);
    return ret;
}

static const struct postcopy_ram_ops ram_ops = { .request = ask };

/* Once the blocks are known, which is not yet so at ADVISE where the stream's list makes them. */
int destination_prepare(struct destination *destination, struct ferry_error *err)
{
    struct destination_postcopy *postcopy = &destination->postcopy;

    if (postcopy->ram)
        return 0;
    postcopy->ram =
        postcopy_ram_new(&destination->guest->ram, &ram_ops, destination, destination->guest->userfault_fd, err);
    if (!postcopy->ram)
        return err->errnum ? err->errnum : -ENOTSUP;
    destination->guest->userfault_fd = -1;
    return 0;
}

/* Before the first page: what this kernel will not do is said now. */
static int preflight(struct destination *destination, struct ferry_error *err)
{
    struct postcopy_ram *probe;

    if (destination->guest->ram.count > 0)
        return destination_prepare(destination, err);
    if (destination->guest->userfault_fd >= 0)
        return 0; /* it can be tried but once */
    probe = postcopy_ram_new(&destination->guest->ram, &ram_ops, destination, -1, err);
    postcopy_ram_free(probe);
    return probe ? 0 : err->errnum ? err->errnum : -ENOTSUP;
}

/* Is this the memory that the source speaks of, and can it be done here? */
static int advise(struct destination *destination, const struct section_item *item, struct ferry_error *err)
{
    const struct ram_map *map = &destination->guest->ram;
    uint8_t payload[ADVISE_BYTES];
    uint64_t sizes = 0;
    int ret;

    if (item->bytes != ADVISE_BYTES)
        return ferry_error_set(err, -EPROTO, "command postcopy-advise with %u bytes instead of %d", item->bytes,
                               ADVISE_BYTES);
    if (ferry_get_bytes(destination->reader, payload, sizeof(payload)) < 0)
        return ferry_reader_status(destination->reader, err);
    if (!destination->peer.path)
        return ferry_error_set_code(err, FERRY_E_POSTCOPY_ORDER, -EPROTO,
                                    "%s: postcopy without a return path to ask for pages on",
                                    ferry_channel_label(destination->session->chan));
    for (unsigned i = 0; i < map->count; i++)
        sizes |= map->blocks[i]->info.page_size;
    if (load_be64(payload + 8) != FERRY_PAGE_BYTES || (sizes & ~load_be64(payload)))
        return ferry_error_set(err, -EINVAL,
                               "the source's memory has page sizes 0x%" PRIx64 " (of %" PRIu64
                               " bytes each), this one 0x%" PRIx64,
                               load_be64(payload), load_be64(payload + 8), sizes);
    ret = destination_enter(destination, POSTCOPY_ADVISE, "postcopy-advise", err);
    return ret == 0 ? preflight(destination, err) : ret;
}

/* ---- discard ----------------------------------------------------------------------------------------------------- */

static int discard_range(struct destination *destination, const struct ram_block *block, const uint8_t *range,
                         struct ferry_error *err)
{
    uint64_t start = load_be64(range), length = load_be64(range + 8);
    uint64_t first = start >> FERRY_PAGE_SHIFT, count = length >> FERRY_PAGE_SHIFT;

    if (start % FERRY_PAGE_BYTES || length % FERRY_PAGE_BYTES || count == 0 || first >= block->pages ||
        count > block->pages - first)
        return ferry_error_set(err, -EPROTO,
                               "postcopy-ram-discard: 0x%" PRIx64 " bytes at 0x%" PRIx64
                               " are no pages of block '%s', which has 0x%" PRIx64,
                               length, start, block->info.name, block->info.length);
    destination_pages_discard(&destination->pages, block, first, count);
    return postcopy_ram_discard(destination->postcopy.ram, block, first, count, err);
}

/* u8 0 | cstr8 block | u8 0 | ranges */
static int discard_all(struct destination *destination, const uint8_t *payload, size_t bytes, struct ferry_error *err)
{
    char name[FERRY_BLOCK_NAME_MAX + 1];
    const struct ram_block *block;
    size_t length = bytes > 1 ? payload[1] : 0, at = 3 + length;
    int ret = 0;

    if (bytes < 3 || payload[0] != 0 || at + DISCARD_RANGE > bytes || (bytes - at) % DISCARD_RANGE ||
        payload[2 + length] != 0)
        return ferry_error_set(err, -EPROTO, "a malformed command postcopy-ram-discard of %zu bytes", bytes);
    memcpy(name, payload + 2, length);
    name[length] = 0;
    block = ram_map_find(&destination->guest->ram, name);
    if (!block)
        return ferry_error_set(err, -EPROTO, "postcopy-ram-discard: there is no block '%s'", name);
    for (; ret == 0 && at < bytes; at += DISCARD_RANGE)
        ret = discard_range(destination, block, payload + at, err);
    return ret;
}

static int discard(struct destination *destination, const struct section_item *item, struct ferry_error *err)
{
    uint8_t *payload;
    int ret = destination_enter(destination, POSTCOPY_DISCARD, "postcopy-ram-discard", err);

    if (ret == 0)
        ret = destination_prepare(destination, err);
    if (ret == 0)
        ret = destination_pages_still(&destination->pages, err);
    if (ret < 0)
        return ret;
    placer_direct_still(destination->placer);
    payload = malloc(item->bytes ? item->bytes : 1);
    if (!payload)
        return ferry_error_set(err, -ENOMEM, "no memory for a command of %u bytes", item->bytes);
    ret = ferry_get_bytes(destination->reader, payload, item->bytes);
    if (ret < 0)
        ferry_reader_status(destination->reader, err);
    else
        ret = discard_all(destination, payload, item->bytes, err);
    free(payload);
    return ret;
}

int destination_postcopy_command(struct destination *destination, const struct section_item *item,
                                 struct ferry_error *err)
{
    switch (item->command) {
    case COMMAND_POSTCOPY_ADVISE:
        return advise(destination, item, err);
    case COMMAND_POSTCOPY_RAM_DISCARD:
        return discard(destination, item, err);
    case COMMAND_PACKAGED:
        if (item->bytes != 4)
            return ferry_error_set(err, -EPROTO, "command packaged with %u bytes instead of 4", item->bytes);
        if (!postcopy_state_allowed(destination->postcopy.state, POSTCOPY_LISTEN))
            return destination_out_of_order(destination, "packaged", err);
        return 0;
    default:
        return destination_out_of_order(destination, section_command_name(item->command), err);
    }
}
