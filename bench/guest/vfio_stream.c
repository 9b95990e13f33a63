/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_stream.c - how the device's memory and state cross: what its iterative sections hold
 *
 *      START   | SETUP: be64 bytes of memory, be64 seed, be64 bytes per second that it writes |
 *      PART    | INITIAL: be32 offset, bytes | ... | PAGE: be32 number, 4096 bytes | ...
 *      END     | PAGE | ... | STATE: be64 length, 16 bytes XXH3-128, model id | BLOB: bytes | ...
 *
 *      pieces on page channels    be32 number, 4096 bytes | ...      pages that are dirty when it stands still
 *
 * Each piece of a section is a chunk (ferry/iterative.h) whose first byte says what it is; numbers are never reused.
 * The blob is the device's own business; nobody looks into it before its digest is right, and nothing in it is believed
 * then.
 *
 *      blob    be64 random  be64 writes  be32 generation of each page, memory then DMA
 */
#include "bytes.h"
#include "vfio_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum vfio_piece {
    PIECE_SETUP = 1,
    PIECE_INITIAL = 2,
    PIECE_PAGE = 3,
    PIECE_STATE = 4,
    PIECE_BLOB = 5,
};

#define PAGE_CHUNK   (1 + 4 + FERRY_PAGE_BYTES)
#define BLOB_PIECE   (32u << 10)
#define CHUNK_ROOM   (1 + BLOB_PIECE)
#define INITIAL_STEP 4096u
#define PART_PAGE    (4 + FERRY_PAGE_BYTES)
#define PART_PAGES   (FERRY_PART_MAX / PART_PAGE)

/* ---- source ------------------------------------------------------------------------------------------------------ */

static uint64_t blob_bytes(const struct vfio_sim *sim)
{
    return 16 + (sim->memory.pages + sim->dma.pages) * 4;
}

static bool sim_needed(void *opaque)
{
    return ((struct vfio_sim *)opaque)->memory.pages > 0;
}

static int save_setup(void *opaque, struct ferry_writer *writer, struct ferry_error *err)
{
    struct vfio_sim *sim = opaque;
    uint8_t chunk[25] = { PIECE_SETUP };

    pthread_mutex_lock(&sim->lock);
    vfio_area_set_all_dirty(&sim->memory);
    sim->initial_sent = 0;
    store_be64(chunk + 1, sim->memory.map.bytes);
    store_be64(chunk + 9, sim->config.seed);
    store_be64(chunk + 17, sim->config.bytes_per_sec);
    pthread_mutex_unlock(&sim->lock);
    ferry_put_chunk(writer, chunk, sizeof(chunk));
    ferry_put_chunk_end(writer);
    return 0;
}

static bool has_postcopy(void *opaque)
{
    return ((struct vfio_sim *)opaque)->config.postcopy;
}

static void save_pending(void *opaque, enum ferry_pending_how how, struct ferry_pending *pending)
{
    struct vfio_sim *sim = opaque;
    uint64_t pages, initial;

    pthread_mutex_lock(&sim->lock);
    pages = sim->memory.dirty_pages * (4 + PAGE_CHUNK);
    initial = VFIO_INITIAL_BYTES - sim->initial_sent;
    pending->precopy_bytes = initial + blob_bytes(sim) + (sim->config.postcopy ? 0 : pages);
    pending->postcopy_bytes = sim->config.postcopy ? pages : 0;
    pthread_mutex_unlock(&sim->lock);
}

/* What every device of the model has: it follows from the offset. */
static void initial_bytes(uint32_t offset, uint8_t *to, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(content_hash((offset + i) / 64) >> ((offset + i) % 8 * 8));
}

static void put_initial(struct vfio_sim *sim, struct ferry_writer *writer)
{
    uint8_t chunk[5 + INITIAL_STEP] = { PIECE_INITIAL };

    store_be32(chunk + 1, sim->initial_sent);
    initial_bytes(sim->initial_sent, chunk + 5, INITIAL_STEP);
    ferry_put_chunk(writer, chunk, sizeof(chunk));
    sim->initial_sent += INITIAL_STEP;
}

/* One dirty page, copied whole while the device does not write it; false: none is dirty. */
static bool put_page(struct vfio_sim *sim, struct ferry_writer *writer)
{
    uint8_t chunk[PAGE_CHUNK] = { PIECE_PAGE };
    uint64_t page;
    bool taken;

    pthread_mutex_lock(&sim->lock);
    taken = vfio_area_take(&sim->memory, &page);
    if (taken)
        memcpy(chunk + 5, sim->memory.map.host + page * FERRY_PAGE_BYTES, FERRY_PAGE_BYTES);
    pthread_mutex_unlock(&sim->lock);
    if (!taken)
        return false;
    store_be32(chunk + 1, (uint32_t)page);
    ferry_put_chunk(writer, chunk, sizeof(chunk));
    return true;
}

static int save_iterate(void *opaque, struct ferry_writer *writer, uint64_t budget_bytes, struct ferry_error *err)
{
    struct vfio_sim *sim = opaque;
    uint64_t until = ferry_writer_offset(writer) + budget_bytes;
    bool more = !sim->config.still;

    while (sim->initial_sent < VFIO_INITIAL_BYTES && ferry_writer_offset(writer) < until)
        put_initial(sim, writer);
    while (more && ferry_writer_offset(writer) < until)
        more = put_page(sim, writer);
    ferry_put_chunk_end(writer);
    return more;
}

/* The device stands still. */
static void fill_blob(struct vfio_sim *sim, uint8_t *blob)
{
    const struct vfio_area *areas[] = { &sim->memory, &sim->dma };

    store_be64(blob, sim->random);
    store_be64(blob + 8, sim->writes);
    blob += 16;
    for (int a = 0; a < 2; a++)
        for (uint64_t page = 0; page < areas[a]->pages; page++, blob += 4)
            store_be32(blob, areas[a]->generations[page]);
}

static void put_blob(struct ferry_writer *writer, const uint8_t *blob, uint64_t bytes)
{
    uint8_t state[1 + 8 + 16 + sizeof(VFIO_MODEL) - 1] = { PIECE_STATE };
    uint8_t chunk[CHUNK_ROOM] = { PIECE_BLOB };
    XXH128_canonical_t digest;

    XXH128_canonicalFromHash(&digest, XXH3_128bits(blob, bytes));
    store_be64(state + 1, bytes);
    memcpy(state + 9, digest.digest, sizeof(digest.digest));
    memcpy(state + 25, VFIO_MODEL, sizeof(VFIO_MODEL) - 1);
    ferry_put_chunk(writer, state, sizeof(state));
    while (bytes > 0) {
        size_t part = bytes < BLOB_PIECE ? bytes : BLOB_PIECE;

        memcpy(chunk + 1, blob, part);
        ferry_put_chunk(writer, chunk, 1 + part);
        blob += part;
        bytes -= part;
    }
}

/* Who gets a page has it alone, and nothing writes it any more. */
static ssize_t take_part(void *opaque, void *to, struct ferry_error *err)
{
    struct vfio_sim *sim = opaque;
    uint64_t page[PART_PAGES];
    unsigned count = 0;
    uint8_t *at = to;

    pthread_mutex_lock(&sim->lock);
    while (count < PART_PAGES && vfio_area_take(&sim->memory, &page[count]))
        count++;
    pthread_mutex_unlock(&sim->lock);
    for (unsigned i = 0; i < count; i++, at += PART_PAGE) {
        store_be32(at, (uint32_t)page[i]);
        memcpy(at + 4, sim->memory.map.host + page[i] * FERRY_PAGE_BYTES, FERRY_PAGE_BYTES);
    }
    return count * PART_PAGE;
}

static int save_complete(void *opaque, struct ferry_writer *writer, struct ferry_error *err)
{
    struct vfio_sim *sim = opaque;
    uint8_t *blob;

    while (sim->initial_sent < VFIO_INITIAL_BYTES)
        put_initial(sim, writer);
    while (put_page(sim, writer))
        ;
    blob = malloc(blob_bytes(sim));
    if (!blob)
        return ferry_error_set(err, -ENOMEM, "no memory for its state");
    pthread_mutex_lock(&sim->lock);
    fill_blob(sim, blob);
    pthread_mutex_unlock(&sim->lock);
    put_blob(writer, blob, blob_bytes(sim));
    ferry_put_chunk_end(writer);
    free(blob);
    return 0;
}

static int save_resume(void *opaque, struct ferry_error *err)
{
    struct vfio_sim *sim = opaque;

    pthread_mutex_lock(&sim->lock);
    vfio_area_set_all_dirty(&sim->memory);
    pthread_mutex_unlock(&sim->lock);
    return 0;
}

/* ---- destination ------------------------------------------------------------------------------------------------- */

static int get_setup(struct vfio_sim *sim, const uint8_t *data, size_t bytes, struct ferry_error *err)
{
    uint64_t memory;

    if (bytes != 24)
        return ferry_error_set(err, -EPROTO, "a set-up of %zu bytes instead of 24", bytes);
    memory = load_be64(data);
    if (sim->memory.pages > 0)
        return ferry_error_set(err, -EEXIST, "there is a device already");
    if (memory == 0 || memory > VFIO_MEMORY_MAX || memory % FERRY_PAGE_BYTES)
        return ferry_error_set(err, -EINVAL, "a device cannot have %" PRIu64 " bytes of memory", memory);
    if (load_be64(data + 16) > VFIO_RATE_MAX)
        return ferry_error_set(err, -EINVAL, "a device cannot write %" PRIu64 " bytes per second",
                               load_be64(data + 16));
    sim->config.bytes_per_sec = load_be64(data + 16);
    return vfio_sim_equip(sim, memory, load_be64(data + 8), err);
}

static int get_initial(struct vfio_sim *sim, const uint8_t *data, size_t bytes, struct ferry_error *err)
{
    uint8_t expected[INITIAL_STEP];

    if (bytes != 4 + INITIAL_STEP || load_be32(data) != sim->arrival.initial_bytes ||
        sim->arrival.initial_bytes >= VFIO_INITIAL_BYTES)
        return ferry_error_set(err, -EPROTO, "initial data of %zu bytes where %" PRIu32 " of %u are there", bytes,
                               sim->arrival.initial_bytes, VFIO_INITIAL_BYTES);
    initial_bytes(sim->arrival.initial_bytes, expected, INITIAL_STEP);
    if (memcmp(expected, data + 4, INITIAL_STEP))
        return ferry_error_set(err, -EINVAL, "the initial data is that of another model");
    sim->arrival.initial_bytes += INITIAL_STEP;
    return 0;
}

static int get_page(struct vfio_sim *sim, const uint8_t *data, size_t bytes, struct ferry_error *err)
{
    uint64_t page = bytes == PAGE_CHUNK - 1 ? load_be32(data) : UINT64_MAX;

    if (page >= sim->memory.pages)
        return ferry_error_set(err, -EPROTO, "a page that is not one of %" PRIu64, sim->memory.pages);
    memcpy(sim->memory.map.host + page * FERRY_PAGE_BYTES, data + 4, FERRY_PAGE_BYTES);
    return 0;
}

static int get_state(struct vfio_sim *sim, const uint8_t *data, size_t bytes, struct ferry_error *err)
{
    struct vfio_arrival *arrival = &sim->arrival;
    uint64_t length;

    if (bytes < 24 || arrival->blob || sim->memory.pages == 0)
        return ferry_error_set(err, -EPROTO, "state where none can be");
    if (bytes - 24 != sizeof(VFIO_MODEL) - 1 || memcmp(data + 24, VFIO_MODEL, bytes - 24))
        return ferry_error_set(err, -EINVAL, "the state is that of another model than " VFIO_MODEL);
    length = load_be64(data);
    if (length != blob_bytes(sim))
        return ferry_error_set(err, -EINVAL, "a state of %" PRIu64 " bytes instead of %" PRIu64, length,
                               blob_bytes(sim));
    arrival->blob = malloc(length);
    if (!arrival->blob)
        return ferry_error_set(err, -ENOMEM, "no memory for its state");
    arrival->blob_bytes = length;
    memcpy(arrival->digest, data + 8, sizeof(arrival->digest));
    return 0;
}

/* The last piece is there, and right. */
static void take_blob(struct vfio_sim *sim)
{
    struct vfio_area *areas[] = { &sim->memory, &sim->dma };
    const uint8_t *at = sim->arrival.blob + 16;

    sim->random = load_be64(sim->arrival.blob) | 1;
    sim->writes = load_be64(sim->arrival.blob + 8);
    for (int a = 0; a < 2; a++)
        for (uint64_t page = 0; page < areas[a]->pages; page++, at += 4)
            areas[a]->generations[page] = load_be32(at);
    sim->arrival.loaded = true;
}

static int get_blob(struct vfio_sim *sim, const uint8_t *data, size_t bytes, struct ferry_error *err)
{
    struct vfio_arrival *arrival = &sim->arrival;
    XXH128_canonical_t digest;

    if (bytes == 0 || bytes > arrival->blob_bytes - arrival->blob_got)
        return ferry_error_set(err, -EPROTO, "%zu bytes of state where %" PRIu64 " are missing", bytes,
                               arrival->blob_bytes - arrival->blob_got);
    memcpy(arrival->blob + arrival->blob_got, data, bytes);
    arrival->blob_got += bytes;
    if (arrival->blob_got < arrival->blob_bytes)
        return 0;
    XXH128_canonicalFromHash(&digest, XXH3_128bits(arrival->blob, arrival->blob_bytes));
    if (memcmp(digest.digest, arrival->digest, sizeof(arrival->digest)))
        return ferry_error_set(err, -EBADMSG, "the state is damaged: its digest is another");
    take_blob(sim);
    return 0;
}

static int get_piece(struct vfio_sim *sim, const uint8_t *chunk, size_t bytes, struct ferry_error *err)
{
    switch (chunk[0]) {
    case PIECE_SETUP:
        return get_setup(sim, chunk + 1, bytes - 1, err);
    case PIECE_INITIAL:
        return get_initial(sim, chunk + 1, bytes - 1, err);
    case PIECE_PAGE:
        return get_page(sim, chunk + 1, bytes - 1, err);
    case PIECE_STATE:
        return get_state(sim, chunk + 1, bytes - 1, err);
    case PIECE_BLOB:
        return get_blob(sim, chunk + 1, bytes - 1, err);
    default:
        return ferry_error_set(err, -EPROTO, "a piece of an unknown kind, %u", chunk[0]);
    }
}

static int load_state(void *opaque, struct ferry_reader *reader, uint32_t version, struct ferry_error *err)
{
    struct vfio_sim *sim = opaque;
    uint8_t chunk[CHUNK_ROOM];
    ssize_t bytes;
    int ret;

    while ((bytes = ferry_get_chunk(reader, chunk, sizeof(chunk))) > 0) {
        pthread_mutex_lock(&sim->lock);
        if (sim->state == VFIO_RESUMING)
            ret = get_piece(sim, chunk, (size_t)bytes, err);
        else
            ret = ferry_error_set(err, -EINVAL, "state comes while it is %s", vfio_state_name(sim->state));
        pthread_mutex_unlock(&sim->lock);
        if (ret < 0)
            return ferry_skip_chunks(reader) < 0 ? ferry_reader_status(reader, err) : ret;
    }
    return bytes < 0 ? ferry_reader_status(reader, err) : 0;
}

/* Its memory is made by START, and does not change before END. */
static int load_part(void *opaque, const void *data, size_t bytes, struct ferry_error *err)
{
    struct vfio_sim *sim = opaque;
    enum vfio_state now;
    int ret = 0;

    pthread_mutex_lock(&sim->lock);
    now = sim->state;
    pthread_mutex_unlock(&sim->lock);
    if (now != VFIO_RESUMING)
        return ferry_error_set(err, -EINVAL, "state comes while it is %s", vfio_state_name(now));
    if (bytes % PART_PAGE)
        return ferry_error_set(err, -EPROTO, "a piece of %zu bytes, which is no number of pages", bytes);
    for (const uint8_t *at = data; ret == 0 && bytes > 0; at += PART_PAGE, bytes -= PART_PAGE)
        ret = get_page(sim, at, PART_PAGE, err);
    return ret;
}

static bool switchover_ready(void *opaque)
{
    return ((struct vfio_sim *)opaque)->arrival.initial_bytes == VFIO_INITIAL_BYTES;
}

static void load_cleanup(void *opaque)
{
    struct vfio_sim *sim = opaque;

    free(sim->arrival.blob);
    sim->arrival.blob = NULL;
}

static int load_setup(void *opaque, struct ferry_error *err)
{
    return 0;
}

const struct ferry_iterative_ops vfio_sim_ops = {
    .needed = sim_needed,
    .save = { .setup = save_setup,
              .pending = save_pending,
              .iterate = save_iterate,
              .complete_precopy = save_complete,
              .has_postcopy = has_postcopy,
              .complete_postcopy = save_complete,
              .resume = save_resume,
              .take_part = take_part },
    .load = { .setup = load_setup,
              .state = load_state,
              .switchover_ready = switchover_ready,
              .cleanup = load_cleanup,
              .part = load_part },
};
