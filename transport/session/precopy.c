/* SPDX-License-Identifier: BSD-3-Clause */
/* precopy.c - rounds over the dirty memory of a running guest
 *
 * In the first round every page is sent once, and the pages that were never touched are sent as zero unread.  That list
 * is made after the trackers have started, so that a page touched after it was made is found by the next sync.
 */
#include "precopy.h"

#include "clock.h"
#include "log.h"
#include "options.h"
#include "ram_section.h"
#include "writer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define TELLING_BYTES (4u << 20) /* a shorter round says nothing about the channel's rate */

/* One of ours, by name. */
static int make_own(struct precopy *precopy, uint64_t choice, struct ferry_error *err)
{
    bool sync = choice == TRACKER_UFFD_SYNC;
    struct tracker made;
    int ret = sync ? tracker_uffd_sync_new(&made, err) : tracker_uffd_async_new(&made, err);

    if (ret < 0)
        return ret;
    precopy->own = made;
    precopy->own_free = sync ? tracker_uffd_sync_free : tracker_uffd_async_free;
    return 0;
}

/* @first (or none) and all of the devices' trackers. */
static int watch_with(struct precopy *precopy, const struct ferry_guest *guest, const struct tracker *first,
                      unsigned count, struct ferry_error *err)
{
    struct tracker all[2 * GUEST_TRACKERS_MAX + 1] = { 0 };
    struct ferry_error why = { .errnum = -EIO };
    unsigned extra = count > 0 ? guest->device_trackers.count : 0;

    for (unsigned i = 0; i < count; i++)
        all[i] = first[i];
    for (unsigned i = 0; i < extra; i++)
        all[count + i] = guest->device_trackers.tracker[i];
    precopy->trackers = tracker_set_new(precopy->walk.map, all, count + extra, &why);
    if (precopy->trackers)
        return 0;
    if (err)
        *err = why;
    return why.errnum;
}

static int watch_own(struct precopy *precopy, const struct ferry_guest *guest, uint64_t choice, struct ferry_error *err)
{
    int ret = make_own(precopy, choice, err);

    return ret < 0 ? ret : watch_with(precopy, guest, &precopy->own, 1, err);
}

static void drop_own(struct precopy *precopy)
{
    if (precopy->own.ops)
        precopy->own_free(&precopy->own);
    precopy->own.ops = NULL;
}

/* The embedder's trackers; without any, ours: the one asked for, or the best.  Those of devices come on top. */
static int watch(struct precopy *precopy, struct ferry_guest *guest, uint64_t choice, struct ferry_error *err)
{
    if (guest->trackers.count > 0)
        return watch_with(precopy, guest, guest->trackers.tracker, guest->trackers.count, err);
    if (choice != TRACKER_AUTO)
        return watch_own(precopy, guest, choice, err);
    if (guest->device_trackers.count == 0)
        return watch_with(precopy, guest, NULL, 0, err);
    if (watch_own(precopy, guest, TRACKER_UFFD_ASYNC, err) == 0)
        return 0;
    drop_own(precopy);
    return watch_own(precopy, guest, TRACKER_UFFD_SYNC, err);
}

int precopy_begin(struct precopy *precopy, struct ferry_guest *guest, uint64_t tracker_choice,
                  struct ferry_writer *writer, struct ferry_error *err)
{
    int ret;

    memset(precopy, 0, sizeof(*precopy));
    precopy->writer = writer;
    ret = walk_init(&precopy->walk, &guest->ram, err);
    if (ret == 0)
        ret = watch(precopy, guest, tracker_choice, err);
    if (ret == 0)
        ret = walk_look_untouched(&precopy->walk, err);
    precopy->round.began_ns = clock_now_ns();
    precopy->round.began_bytes = writer ? writer_flushed(writer) : 0;
    return ret;
}

void precopy_end(struct precopy *precopy)
{
    tracker_set_free(precopy->trackers);
    precopy_drop_deltas(precopy);
    drop_own(precopy);
    walk_clear(&precopy->walk);
    memset(precopy, 0, sizeof(*precopy));
}

int precopy_use_deltas(struct precopy *precopy, struct ferry_error *err)
{
    precopy->deltas = ram_deltas_new(precopy->walk.map);
    return precopy->deltas ? 0 : ferry_error_set(err, -ENOMEM, "no memory for differences of pages");
}

void precopy_drop_deltas(struct precopy *precopy)
{
    ram_deltas_free(precopy->deltas);
    precopy->deltas = NULL;
}

void precopy_figures(const struct precopy *precopy, struct page_figures *figures)
{
    memset(figures, 0, sizeof(*figures));
    figures->content_pages = precopy->normal;
    figures->zero_pages = precopy->zero;
    figures->codec_pages[CODEC_XBZRLE] = precopy->delta_pages;
    figures->codec_pages[CODEC_NONE] = precopy->normal - precopy->delta_pages;
}

void precopy_put(struct precopy *precopy, const struct page_batch *batch)
{
    if (precopy->deltas && precopy->round.count > 0) {
        ram_deltas_put_batch(precopy->deltas, precopy->writer, &precopy->last, batch);
        precopy->delta_pages = ram_deltas_count(precopy->deltas);
    } else {
        ram_put_batch(precopy->writer, &precopy->last, batch);
    }
    precopy->normal += batch->normal;
    precopy->zero += batch->count - batch->normal;
}

bool precopy_send_some(struct precopy *precopy)
{
    struct page_batch batch;

    batch.limit = BATCH_PAGES;
    if (!walk_take(&precopy->walk, NULL, &batch))
        return false;
    precopy_put(precopy, &batch);
    return true;
}

/* Pages that are written all the time wait, where that is of use.  Rounds shorter than the switch may last do not show
 * what is written within it, and are counted together. */
static void hold_hot(struct precopy *precopy, const struct converge_figures *figures, enum ferry_verdict verdict)
{
    struct page_walk *walk = &precopy->walk;

    precopy->held_pages = 0;
    if (!walk->hot)
        return;
    precopy->round.window_ns += figures->round_ns;
    if (precopy->round.window_ns >= figures->downtime_limit_ns) {
        hot_judge(walk->hot);
        precopy->round.window_ns = 0;
    } else if (verdict == FERRY_VERDICT_SWITCH) {
        hot_cool(walk->hot);
    }
    if (converge_hold(figures, hot_count(walk->hot, walk->dirty) * FERRY_PAGE_BYTES))
        precopy->held_pages = hot_hold(walk->hot, walk->dirty);
}

void precopy_hot_stats(const struct precopy *precopy, struct ferry_hot_stats *stats)
{
    stats->held_bytes = precopy->held_pages * FERRY_PAGE_BYTES;
    stats->saved_bytes = precopy->walk.hot ? hot_saved(precopy->walk.hot) * FERRY_PAGE_BYTES : 0;
}

int precopy_sync(struct precopy *precopy, uint64_t *changed, struct ferry_error *err)
{
    precopy->held_pages = 0;
    return walk_sync(&precopy->walk, precopy->trackers, changed, err);
}

static uint64_t per_sec(uint64_t bytes, int64_t ns)
{
    return ns > 0 ? (uint64_t)((double)bytes * NS_PER_SEC / (double)ns) : 0;
}

/* What the channels carried of memory in a round.  Compressed, it is more than its bytes on the wire. */
static uint64_t carried(const struct precopy *precopy, uint64_t wire_bytes)
{
    uint64_t pages = precopy->normal + precopy->channel_pages - precopy->round.began_pages;

    return pages * FERRY_PAGE_BYTES > wire_bytes ? pages * FERRY_PAGE_BYTES : wire_bytes;
}

void precopy_compare_anew(struct precopy *precopy)
{
    precopy->round.previous_pending_bytes = 0;
}

int precopy_end_round(struct precopy *precopy, uint64_t downtime_limit_ns, uint64_t device_bytes,
                      struct converge_figures *figures, struct converge_decision *decision, struct ferry_error *err)
{
    struct precopy_round *round = &precopy->round;
    uint64_t changed, bytes = writer_flushed(precopy->writer) + precopy->channel_bytes - round->began_bytes;
    int64_t now = clock_now_ns(), took = now - round->began_ns;
    int ret = precopy_sync(precopy, &changed, err);

    if (ret < 0)
        return ret;
    if (carried(precopy, bytes) >= TELLING_BYTES || round->bytes_per_sec == 0)
        round->bytes_per_sec = per_sec(carried(precopy, bytes), took);
    *figures = (struct converge_figures){
        .pending_bytes = walk_pending(&precopy->walk) * FERRY_PAGE_BYTES,
        .previous_pending_bytes = round->previous_pending_bytes,
        .bytes_per_sec = round->bytes_per_sec,
        .dirty_bytes_per_sec = per_sec(changed * FERRY_PAGE_BYTES, took),
        .downtime_limit_ns = downtime_limit_ns,
        .device_bytes = device_bytes,
        .iterative_bytes = precopy->iterative_bytes,
        .iterative_bytes_per_sec = per_sec(precopy->iterative_bytes, took),
        .fitting_rounds = round->fitting,
        .round_ns = (uint64_t)took,
        .previous_round_ns = round->previous_ns,
        .previous_dirty_bytes_per_sec = round->previous_dirty_bytes_per_sec,
    };
    *decision = converge_decide(figures);
    hold_hot(precopy, figures, decision->verdict);
    round->count++;
    round->fitting = decision->expected_downtime_ns <= downtime_limit_ns ? round->fitting + 1 : 0;
    round->previous_ns = figures->round_ns;
    round->previous_dirty_bytes_per_sec = figures->dirty_bytes_per_sec;
    round->began_pages = precopy->normal + precopy->channel_pages;
    round->previous_pending_bytes = figures->pending_bytes + figures->iterative_bytes;
    round->began_ns = now;
    round->began_bytes += bytes;
    log_debug(LOG_PRECOPY, "round over: %" PRIu64 " bytes at %" PRIu64 " B/s, %" PRIu64 " bytes dirty again, %s", bytes,
              figures->bytes_per_sec, figures->pending_bytes, ferry_verdict_name(decision->verdict));
    return 0;
}
