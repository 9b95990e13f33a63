/* SPDX-License-Identifier: BSD-3-Clause */
/* hot.h - pages that are written all the time, and wait for the end
 *
 *      window       |    1    |    2    |    3    |      rounds, the short ones counted together
 *      page 10      |  w      | w    w  |    w    |      written in both of the last two: hot
 *      page 11      |  w      |         |    w    |      not hot
 *
 * What is held back is in no dirty bitmap, so that nobody takes it; it is there still, and pages of it that were
 * written again were not sent in vain.  Used by the migration thread alone, while nobody takes.
 */
#ifndef MEMORY_HOT_H
#define MEMORY_HOT_H

#include "dirty.h"
#include "ram_map.h"

#include <ferry/error.h>

struct hot_pages;

/* Nothing is hot.  NULL with @err set. */
struct hot_pages *hot_new(const struct ram_map *map, struct ferry_error *err);
void hot_free(struct hot_pages *hot);

/* Block @block: its pages that were held back are in @dirty again, and those of @written were written. */
void hot_written(struct hot_pages *hot, unsigned block, const struct dirty_map *written, struct dirty_map *dirty);

/* A window is over: which are hot? */
void hot_judge(struct hot_pages *hot);

/* The switch is near: what has not been written since the last hot_judge() waits no more. */
void hot_cool(struct hot_pages *hot);

/* How many pages of @dirty, one for each block, are hot. */
uint64_t hot_count(const struct hot_pages *hot, const struct dirty_map *dirty);

/* Take them out.  Returns how many. */
uint64_t hot_hold(struct hot_pages *hot, struct dirty_map *dirty);

/* Sendings that waiting has spared so far, in pages. */
uint64_t hot_saved(const struct hot_pages *hot);

#endif
