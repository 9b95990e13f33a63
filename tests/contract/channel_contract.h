/* SPDX-License-Identifier: BSD-3-Clause */
/* channel_contract.h - what every kind of channel must satisfy
 *
 * A kind says how to make two ends, pair[0] written and pair[1] read; every property is then a test of its own, named
 * "KIND: PROPERTY".  A property that a kind cannot have (a buffer never blocks) is left out by its traits.
 */
#ifndef TESTS_CHANNEL_CONTRACT_H
#define TESTS_CHANNEL_CONTRACT_H

#include <ferry/channel.h>

/* Fills both; the test drops them.  Returns 0 or a negative errno. */
typedef int channel_pair_make(struct ferry_channel *pair[2]);

/* For kinds that are written first and read afterwards: the reader of what @writer holds. */
typedef struct ferry_channel *channel_reader_make(struct ferry_channel *writer);

enum channel_trait {
    CHANNEL_LIVE = 1,       /* both ends at once; a reader waits for the writer and the other way round */
    CHANNEL_DUPLEX = 2,     /* both ends read and write, each direction on its own */
    CHANNEL_POSITIONS = 4,  /* has positional transfers */
    CHANNEL_PASSES_FDS = 8, /* can pass descriptors */
};

struct channel_kind {
    const char *name;
    channel_pair_make *make;     /* without CHANNEL_LIVE: pair[1] stays NULL */
    channel_reader_make *reader; /* without CHANNEL_LIVE only */
    unsigned traits;
};

/* Runs everything for all kinds, as one cmocka group; returns what main shall return. */
int channel_contract_run(const char *group, const struct channel_kind *kinds, int count);

#endif
