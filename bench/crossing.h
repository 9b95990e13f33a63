/* SPDX-License-Identifier: BSD-3-Clause */
/* crossing.h - memory goes from this process to another one, over sockets, in one of several ways
 *
 *      BARE      1 MiB writes ------------------------> SO_RCVLOWAT, 1 MiB reads        the limit
 *      SEALED    the same with OpenSSL's cipher between memory and buffer: no records, no handshake
 *      SECTION   walk, ram_put_batch, writer ---------> reader, ram loader, placer      one connection
 *      CHANNELS  page_senders ------------------------> page_receivers, placer          page channels
 *
 * What arrives lies in memory that was never touched, as at a destination; the pages that it gets were warm a moment
 * ago, since a host may take long to give back what it once took away.  The destination looks at some of the pages.
 */
#ifndef BENCH_CROSSING_H
#define BENCH_CROSSING_H

#include "mapping.h"
#include "page_senders.h"
#include "two.h"

#include <jansson.h>

#define CROSSING_STREAMS_MAX 64

enum crossing_way {
    CROSSING_BARE,
    CROSSING_SEALED,
    CROSSING_SECTION,
    CROSSING_CHANNELS,
};

struct crossing {
    enum crossing_way way;
    bool unix_sockets;       /* else tcp on the loopback device */
    unsigned streams;        /* 1 for CROSSING_SECTION */
    struct page_terms terms; /* for CROSSING_CHANNELS */
    const char *keys;        /* a folder of certificates; NULL: no TLS */
    const char *cipher;      /* as tls_terms has it; NULL: the fastest, but not for CROSSING_SEALED */
};

/* The memory to be sent, filled once: it is not given to children. */
struct cargo {
    struct mapping memory;
};

int cargo_load(struct cargo *cargo, uint64_t bytes, struct ferry_error *err);
void cargo_drop(struct cargo *cargo);

int crossing_run(const struct crossing *crossing, const struct cargo *cargo, struct two_took *took,
                 struct ferry_error *err);

/* CPU seconds of either side for each 10^9 bytes. */
struct crossing_cost {
    double source, destination;
};

struct crossing_cost crossing_cost(const struct cargo *cargo, const struct two_took *took);

/**
 * crossing_limit() - what sockets and a cipher together allow, in bytes per second, with nothing else to do here
 * @bare: what the same bytes over the same number of bare sockets cost
 * @seal_rate, @open_rate: of the cipher on one processor
 *
 * No side is faster than its streams, and both together are not faster than all processors.
 */
double crossing_limit(const struct crossing_cost *bare, double seal_rate, double open_rate, unsigned streams);

#endif
