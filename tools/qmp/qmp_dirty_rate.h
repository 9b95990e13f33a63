/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_dirty_rate.h - calc-dirty-rate and query-dirty-rate: one measurement at a time, on a thread of its own
 *
 * Used by the server's thread and, for qmp_dirty_rate_give_way(), the main one; never at once.
 */
#ifndef QMP_DIRTY_RATE_H
#define QMP_DIRTY_RATE_H

#include "qmp_rate.h"

#include <jansson.h>

#define QMP_SAMPLE_PAGES_DEFAULT 512 /* in each GiB */
#define QMP_SAMPLE_PAGES_MIN     128
#define QMP_SAMPLE_PAGES_MAX     16384

struct qmp_dirty_rate;

/* Of @guest's memory, which it borrows; NULL when out of memory. */
struct qmp_dirty_rate *qmp_dirty_rate_new(struct ferry_guest *guest);

/* Ends what is under way.  NULL is legal. */
void qmp_dirty_rate_free(struct qmp_dirty_rate *rate);

struct qmp_rate_request {
    int64_t time; /* in seconds, or in ms where in_ms */
    bool in_ms;
    enum qmp_rate_mode mode;
    int64_t sample_pages; /* page-sampling; 0: not said */
};

/* Returns 0, -EBUSY while one measurement is under way, -ERANGE, -EINVAL for what does not go together. */
int qmp_dirty_rate_start(struct qmp_dirty_rate *rate, const struct qmp_rate_request *request, struct ferry_error *err);

/* A session is about to track the guest: a measurement that does so is broken off. */
void qmp_dirty_rate_give_way(struct qmp_dirty_rate *rate);

/* query-dirty-rate's answer; NULL when out of memory. */
json_t *qmp_dirty_rate_json(struct qmp_dirty_rate *rate, bool in_ms);

#endif
