/* SPDX-License-Identifier: BSD-3-Clause */
/* auto.h - which codec the next batch goes through, by what codecs cost here and what the link carries
 *
 *      auto_look --> auto_next --> the caller encodes: auto_encoded --> and writes: auto_written
 *
 * A byte of the guest takes t(way) = max(cost, ratio / rate): the thread encodes while the link empties the queue in
 * front of it, and whichever takes longer counts.  Ratio is payload by pages, rate is of this channel.  The way with
 * the least t is taken; one batch now and then goes another way, so that it is known what that would cost.
 *
 * Figures in, a choice out: reads no clock, does no I/O.  One per page channel; belongs to its thread.
 */
#ifndef COMPRESS_AUTO_H
#define COMPRESS_AUTO_H

#include "auto_link.h"
#include "codec.h"

/* From the cheapest to the most thorough. */
enum auto_way {
    AUTO_RAW,
    AUTO_DELTA,
    AUTO_LZ4,
    AUTO_ZSTD,
    AUTO_ZSTD_MORE,
    AUTO_ZSTD_MOST,
    AUTO_WAYS,
};

enum codec_id auto_codec(enum auto_way way);
int auto_level(enum auto_way way);

/* What a batch looks like: batches that look alike share their figures. */
enum auto_past {
    AUTO_FIRST, /* of these pages nothing was sent before */
    AUTO_AGAIN, /* something was, but it is not known any more: a delta would be the whole page */
    AUTO_KNOWN, /* the encoder of deltas knows most of them (encoder_knows) */
    AUTO_PASTS,
};
#define AUTO_CONTENTS 3 /* how much of it looks random: hardly any, some, nearly all */
#define AUTO_KINDS    (AUTO_CONTENTS * AUTO_PASTS)

struct auto_figure {
    double cost_ns; /* of a byte of the guest */
    double ratio;
    int64_t when_ns; /* 0: never */
};

struct auto_chooser {
    double crowd;             /* threads that encode by processor, at least 1 */
    double strain;            /* time by the clock for each of the processor, of late */
    int64_t now_ns;           /* all time that was told */
    double spare_ns;          /* what finding out may still cost */
    double share[AUTO_KINDS]; /* of the batches of late */
    enum auto_way best;       /* for the last batch that was asked about */
    bool waits;               /* by what is known, the link will be waited for */
    struct auto_figure figure[AUTO_KINDS][AUTO_WAYS];
    struct auto_link link;
};

/* @channels: threads that do the same at the same time; @processors: free for them. */
void auto_init(struct auto_chooser *chooser, unsigned channels, unsigned processors);

/* The kind of a batch.  Looks at a few bytes of a few pages. */
unsigned auto_look(const struct codec_pages *pages, enum auto_past past);

/* Which way the next batch goes.  AUTO_DELTA only for batches that are AUTO_AGAIN or AUTO_KNOWN. */
enum auto_way auto_next(struct auto_chooser *chooser, unsigned kind);

/* Is raw best for all that came of late, on a link so fast that what a packet costs matters?  On others batches should
 * stay small: the content of the next one may be another. */
bool auto_is_raw(const struct auto_chooser *chooser);

/* Should the encoder of deltas learn the pages of a batch that went by lz4 or zstd (encoder_learn)?  It costs next to
 * nothing where the link is what is waited for. */
bool auto_learns(const struct auto_chooser *chooser, unsigned kind);

/**
 * auto_encoded() - what a batch took
 * @way: it went; AUTO_RAW need not be told
 * @payload_bytes: where encoder_encode() said that it does not pay: @bytes
 * @cpu_ns: of this thread
 * @clock_ns: more than that where others want the processor, too
 */
void auto_encoded(struct auto_chooser *chooser, unsigned kind, enum auto_way way, size_t bytes, size_t payload_bytes,
                  int64_t cpu_ns, int64_t clock_ns);

/**
 * auto_written() - what the channel has taken
 * @write_ns: inside of the write, also blocked in it
 * @whole_ns: by the clock, since the last auto_written(); without the time in which there was nothing to send
 */
void auto_written(struct auto_chooser *chooser, size_t bytes, int64_t write_ns, int64_t whole_ns);

#endif
