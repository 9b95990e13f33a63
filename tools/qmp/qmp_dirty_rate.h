/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_dirty_rate.h - how fast a guest writes its memory, by looking at some of its pages twice
 *
 *      calc-dirty-rate   pages chosen at random, a hash of each    ... calc-time ...    a hash of each again
 *
 * As QEMU's mode page-sampling: pages that changed, of those looked at, times the memory, by the time that lay between.
 * A page written twice counts once, so that a rate above all of memory in the time is not seen.
 */
#ifndef QMP_DIRTY_RATE_H
#define QMP_DIRTY_RATE_H

#include <ferry/guest.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define QMP_SAMPLE_PAGES_DEFAULT 512 /* in each GiB */
#define QMP_SAMPLE_PAGES_MIN     128
#define QMP_SAMPLE_PAGES_MAX     16384

struct qmp_dirty_rate;

/* Of @guest's memory, which it borrows; NULL when out of memory. */
struct qmp_dirty_rate *qmp_dirty_rate_new(const struct ferry_guest *guest);

/* Ends what is under way.  NULL is legal. */
void qmp_dirty_rate_free(struct qmp_dirty_rate *rate);

/**
 * qmp_dirty_rate_start() - measure, on a thread of its own
 * @time: in seconds, or in ms where @in_ms
 *
 * Returns 0, -EBUSY while one measurement is under way, -ERANGE.
 */
int qmp_dirty_rate_start(struct qmp_dirty_rate *rate, int64_t time, bool in_ms, int64_t sample_pages,
                         struct ferry_error *err);

/* query-dirty-rate's answer; NULL when out of memory. */
json_t *qmp_dirty_rate_json(struct qmp_dirty_rate *rate, bool in_ms);

#endif
