/* SPDX-License-Identifier: BSD-3-Clause */
/* tracker.c - all trackers of a guest as one
 *
 * Starts go block by block and tracker by tracker; `started` counts them in that order, the failed one included, so
 * that stopping after a failure at any point stops exactly what was begun.
 *
 *     block 0: tracker 0, tracker 1    block 1: tracker 0, tracker 1    ...
 *     started:        1          2                     3          4
 */
#include "tracker.h"

#include "bits.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tracker_kind {
    int (*make)(struct tracker *tracker, struct ferry_error *err);
    void (*free)(struct tracker *tracker);
};

/* Ours, best first. */
static const struct tracker_kind kinds[] = {
    { tracker_uffd_async_new, tracker_uffd_async_free },
    { tracker_uffd_sync_new, tracker_uffd_sync_free },
};

#define KINDS_COUNT (sizeof(kinds) / sizeof(kinds[0]))

struct tracker_set {
    const struct ram_map *map; /* borrowed */
    struct tracker *trackers;  /* owned array */
    unsigned count;
    const struct tracker_kind *own; /* what trackers[0] is to be freed with; NULL: the embedder's */
    unsigned blocks;                /* watched: the first so many of the map */
    unsigned started;
    char *name;        /* owned */
    uint64_t *scratch; /* owned; what one tracker reports of one block */
    size_t scratch_words;
};

static void tracker_set_stop(struct tracker_set *set)
{
    while (set->started) {
        unsigned at = --set->started;
        struct tracker *tracker = &set->trackers[at % set->count];

        tracker->ops->stop(tracker->opaque, &set->map->blocks[at / set->count]->info);
    }
}

static int tracker_set_start(struct tracker_set *set, struct ferry_error *err)
{
    for (unsigned b = 0; b < set->blocks; b++) {
        for (unsigned t = 0; t < set->count; t++) {
            struct tracker *tracker = &set->trackers[t];
            int rc;

            set->started++;
            rc = tracker->ops->start(tracker->opaque, &set->map->blocks[b]->info, err);
            if (rc < 0) {
                ferry_error_prefix(err, "%s", tracker->ops->name);
                ferry_error_object(err, "%s", set->map->blocks[b]->info.name);
                if (rc != -ENOMEM)
                    ferry_error_code(err, FERRY_E_NO_DIRTY_TRACKING);
                return rc;
            }
        }
    }
    return 0;
}

/* Make and start one of ours; leaves nothing behind if it cannot. */
static int tracker_set_try(struct tracker_set *set, const struct tracker_kind *kind, struct ferry_error *err)
{
    int rc = kind->make(&set->trackers[0], err);

    if (rc < 0)
        return rc;
    rc = tracker_set_start(set, err);
    if (rc == 0) {
        set->own = kind;
        return 0;
    }
    tracker_set_stop(set);
    kind->free(&set->trackers[0]);
    return rc;
}

static int tracker_set_choose(struct tracker_set *set, struct ferry_error *err)
{
    struct ferry_error first = { 0 }, second = { 0 };

    set->count = 1;
    if (tracker_set_try(set, &kinds[0], &first) == 0)
        return 0;
    log_info(LOG_MEMORY, "asynchronous dirty tracking cannot be had: %s", ferry_error_text(&first));
    if (tracker_set_try(set, &kinds[1], &second) == 0)
        return 0;
    ferry_error_set(err, second.errnum, "dirty pages cannot be tracked: %.200s; %.200s", ferry_error_text(&first),
                    ferry_error_text(&second));
    if (second.errnum != -ENOMEM)
        ferry_error_code(err, FERRY_E_NO_DIRTY_TRACKING);
    if (second.hint[0])
        ferry_error_hint(err, "%s", second.hint);
    return second.errnum;
}

static int tracker_set_make_name(struct tracker_set *set)
{
    size_t room = 1;

    for (unsigned t = 0; t < set->count; t++)
        room += strlen(set->trackers[t].ops->name) + 1;
    set->name = calloc(1, room);
    if (!set->name)
        return -ENOMEM;
    for (unsigned t = 0; t < set->count; t++) {
        if (t)
            strcat(set->name, "+");
        strcat(set->name, set->trackers[t].ops->name);
    }
    return 0;
}

static int tracker_set_make_scratch(struct tracker_set *set)
{
    for (unsigned b = 0; b < set->blocks; b++) {
        size_t words = bits_words(set->map->blocks[b]->pages);

        if (words > set->scratch_words)
            set->scratch_words = words;
    }
    set->scratch = calloc(set->scratch_words ? set->scratch_words : 1, sizeof(*set->scratch));
    return set->scratch ? 0 : -ENOMEM;
}

struct tracker_set *tracker_set_new(const struct ram_map *map, const struct tracker *trackers, unsigned count,
                                    struct ferry_error *err)
{
    struct tracker_set *set = calloc(1, sizeof(*set));

    if (!set)
        goto no_memory;
    set->map = map;
    set->blocks = map->count;
    set->trackers = calloc(count ? count : 1, sizeof(*set->trackers));
    if (!set->trackers || tracker_set_make_scratch(set) < 0)
        goto no_memory;
    if (count) {
        memcpy(set->trackers, trackers, count * sizeof(*trackers));
        set->count = count;
        if (tracker_set_start(set, err) < 0)
            goto fail;
    } else if (tracker_set_choose(set, err) < 0) {
        goto fail;
    }
    if (tracker_set_make_name(set) < 0)
        goto no_memory;
    log_debug(LOG_MEMORY, "dirty pages are tracked by %s", set->name);
    return set;

no_memory:
    ferry_error_set(err, -ENOMEM, "no memory to track dirty pages");
fail:
    tracker_set_free(set);
    return NULL;
}

const char *tracker_set_name(const struct tracker_set *set)
{
    return set->name;
}

int tracker_set_sync(struct tracker_set *set, const struct ram_block *block, struct dirty_map *dirty, uint64_t *changed,
                     struct ferry_error *err)
{
    size_t words = bits_words(block->pages);

    if (block->index >= set->blocks || dirty->pages != block->pages)
        return ferry_error_set(err, -EINVAL, "block '%s' is not watched", block->info.name);
    memset(set->scratch, 0, words * sizeof(*set->scratch));
    for (unsigned t = 0; t < set->count; t++) {
        struct tracker *tracker = &set->trackers[t];
        int rc = tracker->ops->sync(tracker->opaque, &block->info, set->scratch, err);

        if (rc < 0) {
            ferry_error_prefix(err, "%s", tracker->ops->name);
            ferry_error_object(err, "%s", block->info.name);
            ferry_error_code(err, FERRY_E_DIRTY_TRACKING_FAILED);
            return rc;
        }
    }
    *changed = dirty_or(dirty, set->scratch);
    return 0;
}

void tracker_set_free(struct tracker_set *set)
{
    if (!set)
        return;
    if (set->trackers)
        tracker_set_stop(set);
    if (set->own)
        set->own->free(&set->trackers[0]);
    free(set->trackers);
    free(set->scratch);
    free(set->name);
    free(set);
}
