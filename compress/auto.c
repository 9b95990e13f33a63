/* SPDX-License-Identifier: BSD-3-Clause */
/* auto.c - which codec the next batch goes through, by what codecs cost here and what the link carries
 *
 *      t     raw  .......#                      a link so slow that all wait for it: the best ratio wins;
 *            lz4  ...#####                      so fast that none does: raw wins
 *            zstd ..######                      . ratio / rate    # cost
 *
 * A batch that goes another way than the best one costs time: a small share of all time may be spent so.
 *
 * Where kinds of batches take turns, one may wait for the processor and the other for the link.  If the queue between
 * them holds a turn, the larger of the two sums counts; if it holds nothing, the sum of the larger ones.  It holds
 * something: the mean of both is what is judged, over the kinds that came of late.
 */
#include "auto.h"

#include <float.h>
#include <string.h>

#define SPEND_SHARE 150
#define SPARE_NS    20e6  /* what may gather */
#define AGAIN_NS    150e6 /* before this, nothing has changed */
#define GAIN        0.99  /* a way that costs more must be so much faster */
#define SLACK       1.25  /* between what the link takes and the processor, to have time for something else */
#define LEARN_NS    0.3   /* copying a byte into the memory of deltas */
#define LEARN_SHARE 0.05  /* of the time, where the processor has none to spare */
#define STRAIN_MOST 16.0
#define STRAIN_STEP (1.0 / 8)
#define FEW_BYTES   (16u << 10)
#define LATE        (1.0 / 64) /* what one batch weighs among those of late */
#define HARDLY      0.02
#define FAST        0.45 /* bytes per ns: below, the link is what takes time, not packets */
#define SETTLED_NS  50e6 /* until then the rate may be that of an empty queue */

#define LOOK_PAGES  8
#define LOOK_BYTES  32
#define DENSE_BYTES 26 /* so many different ones among them: 30 of random bytes, 15 of words */

static const struct {
    enum codec_id codec;
    int level;
    double least_ns;          /* no machine is faster */
    enum auto_way no_cheaper; /* this one costs no more */
} ways[AUTO_WAYS] = {
    [AUTO_RAW] = { CODEC_NONE, 0, 0, AUTO_RAW },          [AUTO_DELTA] = { CODEC_XBZRLE, 0, 0.05, AUTO_RAW },
    [AUTO_LZ4] = { CODEC_LZ4, 1, 0.1, AUTO_RAW },         [AUTO_ZSTD] = { CODEC_ZSTD, 1, 0.3, AUTO_RAW },
    [AUTO_ZSTD_MORE] = { CODEC_ZSTD, 3, 0.3, AUTO_ZSTD }, [AUTO_ZSTD_MOST] = { CODEC_ZSTD, 6, 0.3, AUTO_ZSTD_MORE },
};

enum codec_id auto_codec(enum auto_way way)
{
    return ways[way].codec;
}

int auto_level(enum auto_way way)
{
    return ways[way].level;
}

void auto_init(struct auto_chooser *chooser, unsigned channels, unsigned processors)
{
    memset(chooser, 0, sizeof(*chooser));
    chooser->crowd = channels > processors && processors > 0 ? (double)channels / processors : 1;
    chooser->strain = 1;
}

/* ---- what a batch looks like ----------------------------------------------------------------------------------- */

static bool is_dense(const uint8_t *page, size_t page_bytes)
{
    const uint8_t *at = page + page_bytes / 2; /* past what stands at the beginning of structures */
    uint64_t seen[4] = { 0 };
    int different = 0;

    for (unsigned i = 0; i < LOOK_BYTES; i++)
        seen[at[i] / 64] |= UINT64_C(1) << at[i] % 64;
    for (unsigned i = 0; i < 4; i++)
        different += __builtin_popcountll(seen[i]);
    return different >= DENSE_BYTES;
}

unsigned auto_look(const struct codec_pages *pages, enum auto_past past)
{
    unsigned looks = pages->count < LOOK_PAGES ? pages->count : LOOK_PAGES, dense = 0, content;

    for (unsigned i = 0; i < looks; i++)
        dense += is_dense(pages->page[(uint64_t)i * pages->count / looks], pages->page_bytes);
    content = dense * LOOK_PAGES <= looks ? 0 : dense * LOOK_PAGES >= looks * (LOOK_PAGES - 1) ? 2 : 1;
    return content * AUTO_PASTS + past;
}

static enum auto_past past_of(unsigned kind)
{
    return (enum auto_past)(kind % AUTO_PASTS);
}

/* ---- what a byte would take ------------------------------------------------------------------------------------ */

/* How much longer by the clock than of the processor. */
static double stretch_of(const struct auto_chooser *chooser)
{
    return chooser->strain > chooser->crowd ? chooser->strain : chooser->crowd;
}

static double cost_of(const struct auto_chooser *chooser, unsigned kind, enum auto_way way)
{
    const struct auto_figure *figure = &chooser->figure[kind][way];

    if (way == AUTO_RAW)
        return chooser->link.copy_ns;
    return figure->cost_ns * stretch_of(chooser) + chooser->link.copy_ns * figure->ratio;
}

static double link_time_of(const struct auto_chooser *chooser, unsigned kind, enum auto_way way)
{
    return (way == AUTO_RAW ? 1 : chooser->figure[kind][way].ratio) / chooser->link.rate;
}

static bool is_known(const struct auto_chooser *chooser, unsigned kind, enum auto_way way)
{
    return way == AUTO_RAW || chooser->figure[kind][way].when_ns > 0;
}

static double time_of(const struct auto_chooser *chooser, unsigned kind, enum auto_way way)
{
    double cost = cost_of(chooser, kind, way), link = link_time_of(chooser, kind, way);

    if (!is_known(chooser, kind, way))
        return DBL_MAX;
    return cost > link ? cost : link;
}

static bool is_legal(unsigned kind, enum auto_way way)
{
    return way != AUTO_DELTA || past_of(kind) == AUTO_KNOWN;
}

/* The cheaper ones are asked first, and win where the link decides and they are as short. */
static enum auto_way best_alone(const struct auto_chooser *chooser, unsigned kind)
{
    enum auto_way best = AUTO_RAW;

    for (enum auto_way way = AUTO_RAW + 1; way < AUTO_WAYS; way++) {
        if (is_legal(kind, way) && time_of(chooser, kind, way) < time_of(chooser, kind, best) * GAIN)
            best = way;
    }
    return best;
}

/* Of all kinds of late: each by the one way where that is known, else by its own best; AUTO_WAYS: each by its own. */
static double time_together(const struct auto_chooser *chooser, const enum auto_way *alone, enum auto_way one)
{
    double costs = 0, links = 0, larger = 0;

    for (unsigned kind = 0; kind < AUTO_KINDS; kind++) {
        bool can = one < AUTO_WAYS && is_legal(kind, one) && is_known(chooser, kind, one);
        enum auto_way way = can ? one : alone[kind];

        if (chooser->share[kind] < HARDLY)
            continue;
        costs += chooser->share[kind] * cost_of(chooser, kind, way);
        links += chooser->share[kind] * link_time_of(chooser, kind, way);
        larger += chooser->share[kind] * time_of(chooser, kind, way);
    }
    return (costs > links ? costs : links) + larger;
}

static enum auto_way best_of(const struct auto_chooser *chooser, unsigned kind)
{
    enum auto_way alone[AUTO_KINDS], best;
    double least;

    for (unsigned k = 0; k < AUTO_KINDS; k++)
        alone[k] = k == kind || chooser->share[k] >= HARDLY ? best_alone(chooser, k) : AUTO_RAW;
    best = alone[kind];
    if (chooser->share[kind] > 1 - HARDLY)
        return best;
    least = time_together(chooser, alone, AUTO_WAYS);
    for (enum auto_way way = AUTO_RAW; way < AUTO_WAYS; way++) {
        double together = time_together(chooser, alone, way);

        if (is_legal(kind, way) && is_known(chooser, kind, way) && together < least * GAIN) {
            least = together;
            best = way;
        }
    }
    return best;
}

/* Is the link what is waited for, so that the processor has time for @more_ns a byte? */
static bool has_time(const struct auto_chooser *chooser, unsigned kind, enum auto_way way, double more_ns)
{
    return (cost_of(chooser, kind, way) + more_ns * stretch_of(chooser)) * SLACK < link_time_of(chooser, kind, way);
}

/* ---- choosing -------------------------------------------------------------------------------------------------- */

/* Could @way be better than @best?  Its cost is at least that of the one below it. */
static bool is_promising(const struct auto_chooser *chooser, unsigned kind, enum auto_way way, enum auto_way best)
{
    enum auto_way below = ways[way].no_cheaper;
    double least = ways[way].least_ns * stretch_of(chooser);

    if (!is_legal(kind, way) || way == best || !is_known(chooser, kind, below))
        return false;
    if (below != AUTO_RAW && cost_of(chooser, kind, below) > least)
        least = cost_of(chooser, kind, below);
    return least < time_of(chooser, kind, best);
}

/* What was tried least recently, and may be worth it; AUTO_RAW: nothing. */
static enum auto_way worth_trying(const struct auto_chooser *chooser, unsigned kind, enum auto_way best)
{
    enum auto_way oldest = AUTO_RAW;

    for (enum auto_way way = AUTO_RAW + 1; chooser->spare_ns >= 0 && way < AUTO_WAYS; way++) {
        int64_t when_ns = chooser->figure[kind][way].when_ns;

        if (!is_promising(chooser, kind, way, best) || (when_ns > 0 && chooser->now_ns - when_ns < AGAIN_NS))
            continue;
        if (oldest == AUTO_RAW || when_ns < chooser->figure[kind][oldest].when_ns)
            oldest = way;
    }
    return oldest;
}

static void note_kind(struct auto_chooser *chooser, unsigned kind)
{
    for (unsigned k = 0; k < AUTO_KINDS; k++)
        chooser->share[k] *= 1 - LATE;
    chooser->share[kind] += LATE;
}

enum auto_way auto_next(struct auto_chooser *chooser, unsigned kind)
{
    struct auto_link *link = &chooser->link;
    enum auto_way best, other;

    note_kind(chooser, kind);
    chooser->best = AUTO_RAW;
    chooser->waits = false;
    if (link->rate == 0 || link->asking)
        return AUTO_RAW;
    best = best_of(chooser, kind);
    if (best != AUTO_RAW && auto_link_is_stale(link)) {
        auto_link_ask(link);
        return AUTO_RAW;
    }
    chooser->best = best;
    chooser->waits = has_time(chooser, kind, best, 0);
    other = worth_trying(chooser, kind, best);
    if (other != AUTO_RAW)
        return other;
    /* As long as raw, and the next time these pages are known. */
    if (best == AUTO_RAW && past_of(kind) == AUTO_AGAIN && has_time(chooser, kind, best, LEARN_NS))
        return AUTO_DELTA;
    return best;
}

bool auto_is_raw(const struct auto_chooser *chooser)
{
    if (chooser->link.rate < FAST || chooser->link.asking || chooser->now_ns < SETTLED_NS)
        return false;
    for (unsigned kind = 0; kind < AUTO_KINDS; kind++) {
        if (chooser->share[kind] >= HARDLY && best_alone(chooser, kind) != AUTO_RAW)
            return false;
    }
    return chooser->best == AUTO_RAW;
}

bool auto_learns(const struct auto_chooser *chooser, unsigned kind)
{
    if (past_of(kind) == AUTO_FIRST || chooser->link.rate == 0)
        return false;
    return has_time(chooser, kind, chooser->best, LEARN_NS) ||
           LEARN_NS * stretch_of(chooser) < time_of(chooser, kind, chooser->best) * LEARN_SHARE;
}

/* ---- what is told ---------------------------------------------------------------------------------------------- */

static void blend(double *figure, double value, bool first, bool in_use)
{
    *figure = first ? value : *figure + (value - *figure) / (in_use ? 4 : 2);
}

static void note_strain(struct auto_chooser *chooser, int64_t cpu_ns, int64_t clock_ns)
{
    double strain = cpu_ns > 0 ? (double)clock_ns / (double)cpu_ns : 1;

    if (strain > STRAIN_MOST)
        strain = STRAIN_MOST;
    chooser->strain += ((strain > 1 ? strain : 1) - chooser->strain) * STRAIN_STEP;
}

void auto_encoded(struct auto_chooser *chooser, unsigned kind, enum auto_way way, size_t bytes, size_t payload_bytes,
                  int64_t cpu_ns, int64_t clock_ns)
{
    struct auto_figure *figure = &chooser->figure[kind][way];
    double more_ns;

    if (way == AUTO_RAW || bytes < FEW_BYTES)
        return;
    note_strain(chooser, cpu_ns, clock_ns);
    blend(&figure->cost_ns, (double)cpu_ns / (double)bytes, figure->when_ns == 0, way == chooser->best);
    blend(&figure->ratio, (double)payload_bytes / (double)bytes, figure->when_ns == 0, way == chooser->best);
    figure->when_ns = chooser->now_ns > 0 ? chooser->now_ns : 1;
    if (way == chooser->best || chooser->link.rate == 0)
        return;
    more_ns = time_of(chooser, kind, way) - time_of(chooser, kind, chooser->best);
    if (more_ns > 0)
        chooser->spare_ns -= more_ns * (double)bytes;
}

void auto_written(struct auto_chooser *chooser, size_t bytes, int64_t write_ns, int64_t whole_ns)
{
    if (whole_ns <= 0)
        return;
    chooser->now_ns += whole_ns;
    chooser->spare_ns += (double)whole_ns / SPEND_SHARE;
    if (chooser->spare_ns > SPARE_NS)
        chooser->spare_ns = SPARE_NS;
    auto_link_told(&chooser->link, bytes, write_ns, whole_ns, chooser->waits);
}
