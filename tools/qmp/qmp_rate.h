/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_rate.h - the ways to learn how fast a guest writes its memory
 *
 *      page-sampling   pages chosen at random, a hash of each   ... calc-time ...   a hash of each again
 *      dirty-bitmap    a migration's trackers started           ... calc-time ...   asked once, and stopped
 *      dirty-ring      the same where KVM has a ring per vCPU, which tells who wrote, too
 */
#ifndef QMP_RATE_H
#define QMP_RATE_H

#include <ferry/guest.h>
#include <stdbool.h>
#include <stdint.h>

#define QMP_RATE_VCPUS 256 /* more are not told apart */

enum qmp_rate_mode {
    QMP_RATE_PAGE_SAMPLING,
    QMP_RATE_DIRTY_BITMAP,
    QMP_RATE_DIRTY_RING,
};

/* How long it is waited between the two looks: false when there is to be no second one. */
struct qmp_rate_pause {
    bool (*wait)(void *opaque);
    void *opaque;
};

struct qmp_rate_result {
    bool whole; /* there was a second look */
    double bytes_per_sec;
    unsigned vcpus; /* dirty-ring */
    double vcpu_bytes_per_sec[QMP_RATE_VCPUS];
};

/* "page-sampling", ...; negative: none of them. */
int qmp_rate_mode_of(const char *name);
const char *qmp_rate_mode_name(enum qmp_rate_mode mode);

/* As at QEMU: a VM with rings has no bitmaps, and one without rings has no rings. */
bool qmp_rate_possible(const struct ferry_guest *guest, enum qmp_rate_mode mode);

/* @sample_pages: looked at, in each GiB. */
int qmp_rate_by_pages(const struct ferry_guest *guest, int64_t sample_pages, const struct qmp_rate_pause *pause,
                      struct qmp_rate_result *result, struct ferry_error *err);

/* No session tracks @guest meanwhile. */
int qmp_rate_by_trackers(struct ferry_guest *guest, const struct qmp_rate_pause *pause, struct qmp_rate_result *result,
                         struct ferry_error *err);

#endif
