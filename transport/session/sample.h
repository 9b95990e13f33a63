/* SPDX-License-Identifier: BSD-3-Clause */
/* sample.h - what a guest that stays where it is holds and writes, looked at for a second
 *
 *      dirty-bitmap    the trackers that a migration would have: every page, at the cost of tracking
 *      page-sampling   some pages are copied and compared later: costs next to nothing, and says less
 */
#ifndef SESSION_SAMPLE_H
#define SESSION_SAMPLE_H

#include "dirtying.h"
#include "options.h"

#include <ferry/guest.h>

#define SAMPLE_POINTS 8

enum sample_mode {
    SAMPLE_DIRTY_BITMAP,
    SAMPLE_PAGES,
};

struct sample_result {
    double bytes;      /* of memory in all */
    double zero_bytes; /* of it, zeros, as far as some pages tell */
    struct dirtying_sample point[SAMPLE_POINTS];
    unsigned points;
    double seconds;             /* looked at */
    double dirty_bytes_per_sec; /* over all of it */
};

/* Look for @seconds, while the guest runs.  Blocks for so long. */
int sample_guest(struct ferry_guest *guest, const struct ferry_options *options, enum sample_mode mode, double seconds,
                 struct sample_result *result, struct ferry_error *err);

/* How a codec does on this memory. */
struct sample_codec {
    double ratio;        /* bytes of payload for one of memory */
    double sec_per_byte; /* of memory, for one thread */
};

/* What `compress` of @options would do to some of the pages with content.  A ratio of 1 in no time: they go as they
 * are. */
int sample_codec(struct ferry_guest *guest, const struct ferry_options *options, struct sample_codec *result,
                 struct ferry_error *err);

#endif
