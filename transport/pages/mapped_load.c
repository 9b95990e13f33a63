/* SPDX-License-Identifier: BSD-3-Clause */
/* mapped_load.c - guest memory from its fixed places in a file, by many threads
 *
 *      entry   |   share   |   share   |   share   | ..     taken in order, whoever is free
 *              '- 4096 pages: enough runs to keep a queue busy, few enough to divide small guests, too
 */
#include "mapped_load.h"

#include "bytes.h"
#include "channel.h"
#include "mapped_crew.h"
#include "mapped_ram.h"
#include "packet.h"
#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SHARE_PAGES UINT64_C(4096)

struct mapped_entry {
    const struct ram_block *block;
    struct mapped_place place;
    uint64_t *present; /* owned */
};

struct mapped_loader {
    struct placer *placer;        /* borrowed */
    struct ferry_channel *chan;   /* a reference */
    struct mapped_entry *entries; /* owned; fixed once the threads read */
    unsigned count;
    uint64_t jumped;
    struct mapped_crew *crew;
    atomic_uint_fast64_t content_pages, zero_pages;

    pthread_mutex_t lock; /* guards what follows, a leaf: which share is next */
    unsigned entry;
    uint64_t page;
};

/* Some pages of one entry, for one thread. */
struct mapped_share {
    const struct mapped_entry *entry;
    uint64_t first, end;
};

/* ---- the threads ----------------------------------------------------------------------------------------------- */

static bool take_share(struct mapped_loader *loader, struct mapped_share *share)
{
    bool is_some;

    pthread_mutex_lock(&loader->lock);
    is_some = loader->entry < loader->count;
    if (is_some) {
        uint64_t pages = loader->entries[loader->entry].block->pages;

        share->entry = &loader->entries[loader->entry];
        share->first = loader->page;
        share->end = pages - loader->page > SHARE_PAGES ? loader->page + SHARE_PAGES : pages;
        loader->page = share->end;
        if (share->end == pages) {
            loader->entry++;
            loader->page = 0;
        }
    }
    pthread_mutex_unlock(&loader->lock);
    return is_some;
}

static bool is_present(const struct mapped_entry *entry, uint64_t page)
{
    return entry->present[page / 64] >> (page % 64) & 1;
}

/* Where the run that begins at @page ends: all of it is in the file, or none of it. */
static uint64_t run_end(const struct mapped_share *share, uint64_t page)
{
    const uint64_t *words = share->entry->present;
    uint64_t flip = is_present(share->entry, page) ? UINT64_MAX : 0;

    while (page < share->end) {
        uint64_t differing = (words[page / 64] ^ flip) >> (page % 64);

        if (differing) {
            page += (uint64_t)__builtin_ctzll(differing);
            break;
        }
        page = (page / 64 + 1) * 64;
    }
    return page < share->end ? page : share->end;
}

/* All of it. */
static int read_at(struct mapped_loader *loader, void *to, size_t bytes, uint64_t position, struct ferry_error *err)
{
    struct iovec iov = { to, bytes };

    while (iov.iov_len > 0) {
        ssize_t done = ferry_channel_preadv(loader->chan, &iov, 1, position, err);

        if (done < 0)
            return (int)done;
        if (done == 0)
            return ferry_error_set_code(err, FERRY_E_STREAM_ENDED, -EPIPE, "%s: the file ends at byte %" PRIu64,
                                        ferry_channel_label(loader->chan), position);
        iov.iov_base = (uint8_t *)iov.iov_base + done;
        iov.iov_len -= (size_t)done;
        position += (uint64_t)done;
    }
    return 0;
}

static int read_run(struct mapped_loader *loader, struct file_queue *queue, const struct mapped_entry *entry,
                    uint64_t page, uint64_t end, struct ferry_error *err)
{
    int ret = 0;

    while (page < end && ret == 0) {
        uint64_t got;
        uint8_t *to = loader->placer->ops->prepare(loader->placer, entry->block, page, end - page, &got);

        ret = file_queue_put(queue, to, got << FERRY_PAGE_SHIFT, entry->place.pages_offset + (page << FERRY_PAGE_SHIFT),
                             err);
        page += got;
    }
    return ret;
}

/* Every run of the share: read what is present, or, @ready, hand it to the guest; zero the rest on the way. */
static int load_runs(struct mapped_loader *loader, struct file_queue *queue, const struct mapped_share *share,
                     bool ready, struct ferry_error *err)
{
    const struct mapped_entry *entry = share->entry;
    struct placer *placer = loader->placer;
    uint64_t end;
    int ret = 0;

    for (uint64_t page = share->first; ret == 0 && page < share->end; page = end) {
        bool present = is_present(entry, page);

        end = run_end(share, page);
        if (ready && present) {
            ret = placer->ops->commit(placer, entry->block, page, end - page, err);
            atomic_fetch_add_explicit(&loader->content_pages, end - page, memory_order_relaxed);
        } else if (ready) {
            ret = placer->ops->zero(placer, entry->block, page, end - page, err);
            atomic_fetch_add_explicit(&loader->zero_pages, end - page, memory_order_relaxed);
        } else if (present) {
            ret = read_run(loader, queue, entry, page, end, err);
        }
    }
    return ret;
}

/* Are the pages that were read those that were saved?  Where no memory is kept, nobody can tell. */
static int check_sums(struct mapped_loader *loader, const struct mapped_share *share, struct ferry_error *err)
{
    const struct mapped_entry *entry = share->entry;
    uint8_t sums[SHARE_PAGES * MAPPED_SUM_BYTES];
    int ret;

    if (!entry->place.sums_offset || !entry->block->host)
        return 0;
    ret = read_at(loader, sums, (share->end - share->first) * MAPPED_SUM_BYTES,
                  entry->place.sums_offset + share->first * MAPPED_SUM_BYTES, err);
    for (uint64_t page = share->first; ret == 0 && page < share->end; page++) {
        const uint8_t *at = entry->block->host + (page << FERRY_PAGE_SHIFT);

        if (!is_present(entry, page) ||
            packet_sum(at, FERRY_PAGE_BYTES) == load_be32(sums + (page - share->first) * MAPPED_SUM_BYTES))
            continue;
        ret =
            ferry_error_set_code(err, FERRY_E_STREAM_BROKEN, -EBADMSG,
                                 "%s: byte %" PRIu64 ": page %" PRIu64 " of block '%s' does not have its checksum",
                                 ferry_channel_label(loader->chan),
                                 entry->place.pages_offset + (page << FERRY_PAGE_SHIFT), page, entry->block->info.name);
        ferry_error_object(err, "%s", entry->block->info.name);
        ferry_error_hint(err, "the file was damaged after it was saved: load another copy of it");
    }
    return ret;
}

/* A mapped_job. */
static int load_some(void *opaque, struct file_queue *queue, struct ferry_error *err)
{
    struct mapped_loader *loader = opaque;
    struct mapped_share share;
    int ret = 0;

    while (ret == 0 && !mapped_crew_stopped(loader->crew) && take_share(loader, &share)) {
        ret = load_runs(loader, queue, &share, false, err);
        if (ret == 0)
            ret = file_queue_drain(queue, err);
        if (ret == 0)
            ret = check_sums(loader, &share, err);
        if (ret == 0)
            ret = load_runs(loader, queue, &share, true, err);
    }
    return ret;
}

/* ---- the session's thread -------------------------------------------------------------------------------------- */

struct mapped_loader *mapped_loader_new(struct placer *placer, struct ferry_channel *chan,
                                        const struct mapped_terms *terms, struct ferry_error *err)
{
    struct mapped_loader *loader = calloc(1, sizeof(*loader));

    if (!loader) {
        ferry_error_set(err, -ENOMEM, "%s: no memory to load it", ferry_channel_label(chan));
        return NULL;
    }
    loader->placer = placer;
    loader->chan = ferry_channel_ref(chan);
    pthread_mutex_init(&loader->lock, NULL);
    loader->crew = mapped_crew_new(chan, FERRY_READ, terms->threads, terms->ring, load_some, loader, err);
    if (loader->crew)
        return loader;
    mapped_loader_free(loader);
    return NULL;
}

static int get_header(struct ferry_reader *reader, struct mapped_place *place)
{
    uint8_t head[MAPPED_HEAD_BYTES], extensions[MAPPED_EXTENSIONS_MAX];
    struct ferry_error err = { 0 };
    uint32_t bytes;
    int ret = ferry_get_bytes(reader, head, sizeof(head));

    if (ret < 0)
        return ret;
    ret = mapped_head_decode(head, place, &err);
    if (ret < 0)
        return reader_fail_why(reader, ret, &err);
    if (place->version == MAPPED_VERSION_PLAIN)
        return 0;
    ret = ferry_get_be32(reader, &bytes);
    if (ret == 0 && bytes > sizeof(extensions))
        return ferry_reader_fail(reader, -EPROTO, "mapped-ram extensions of %" PRIu32 " bytes, at most %zu are taken",
                                 bytes, sizeof(extensions));
    if (ret == 0)
        ret = ferry_get_bytes(reader, extensions, bytes);
    if (ret < 0)
        return ret;
    ret = mapped_extensions_decode(extensions, bytes, place, &err);
    return ret < 0 ? reader_fail_why(reader, ret, &err) : 0;
}

static int read_bitmap(struct mapped_loader *loader, struct mapped_entry *entry, struct ferry_error *err)
{
    uint64_t pages = entry->block->pages;
    int ret = read_at(loader, entry->present, mapped_bitmap_bytes(pages), entry->place.bitmap_offset, err);

    return ret == 0 ? mapped_bitmap_decode(entry->present, pages, entry->present, err) : ret;
}

/* Room for one more, as yet without a bitmap. */
static struct mapped_entry *add_entry(struct mapped_loader *loader, const struct ram_block *block)
{
    struct mapped_entry *entries = realloc(loader->entries, (loader->count + 1) * sizeof(*entries));
    struct mapped_entry *entry;

    if (!entries)
        return NULL;
    loader->entries = entries;
    entry = &entries[loader->count++];
    *entry = (struct mapped_entry){ .block = block };
    return entry;
}

static int load_entry(struct mapped_loader *loader, struct mapped_entry *entry, uint64_t header_end,
                      struct ferry_error *err)
{
    uint64_t file_bytes;
    int ret = channel_size(loader->chan, &file_bytes, err);

    if (ret == 0)
        ret = mapped_place_check(&entry->place, entry->block->pages, header_end, file_bytes, err);
    if (ret < 0)
        return ret;
    entry->present = malloc(mapped_bitmap_bytes(entry->block->pages));
    if (!entry->present)
        return ferry_error_set(err, -ENOMEM, "no memory for a bitmap");
    return read_bitmap(loader, entry, err);
}

int mapped_loader_entry(struct mapped_loader *loader, struct ferry_reader *reader, const struct ram_block *block)
{
    struct mapped_entry *entry = add_entry(loader, block);
    struct ferry_error err = { 0 };
    uint64_t position;
    int ret;

    if (!entry)
        return ferry_reader_fail(reader, -ENOMEM, "no memory for the places of its blocks");
    ret = get_header(reader, &entry->place);
    if (ret == 0)
        ret = reader_position(reader, &position);
    if (ret < 0)
        return ret;
    ret = load_entry(loader, entry, position, &err);
    if (ret < 0) {
        ferry_error_prefix(&err, "block '%s'", block->info.name);
        ferry_error_object(&err, "%s", block->info.name);
        return reader_fail_why(reader, ret, &err);
    }
    ret = reader_seek(reader, entry->place.pages_offset + block->info.length);
    if (ret == 0)
        loader->jumped += entry->place.pages_offset + block->info.length - position;
    return ret;
}

void mapped_loader_begin(struct mapped_loader *loader)
{
    mapped_crew_begin(loader->crew);
}

int mapped_loader_wait(struct mapped_loader *loader, int64_t timeout_ns, struct ferry_error *err)
{
    return mapped_crew_wait(loader->crew, timeout_ns, err);
}

void mapped_loader_figures(struct mapped_loader *loader, struct mapped_figures *figures)
{
    figures->content_pages = atomic_load(&loader->content_pages);
    figures->zero_pages = atomic_load(&loader->zero_pages);
    figures->jumped = loader->jumped;
    figures->bytes = figures->content_pages << FERRY_PAGE_SHIFT;
    figures->threads = mapped_crew_count(loader->crew);
    figures->manner = mapped_crew_manner(loader->crew);
}

void mapped_loader_free(struct mapped_loader *loader)
{
    if (!loader)
        return;
    mapped_crew_free(loader->crew);
    for (unsigned i = 0; i < loader->count; i++)
        free(loader->entries[i].present);
    free(loader->entries);
    ferry_channel_unref(loader->chan);
    pthread_mutex_destroy(&loader->lock);
    free(loader);
}
