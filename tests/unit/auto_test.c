/* SPDX-License-Identifier: BSD-3-Clause */
/* auto_test.c - the chooser is as fast as the best of what it may choose, on every link and content, and notices change
 *
 *      thread   encode | write, and wait while the queue is full | encode ...
 *      queue    ##########....   4 MiB, emptied by the link
 *
 * Costs and ratios are those of a processor of 2023 on the guest's contents, give or take a tenth, batch by batch.
 */
#include "auto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BATCH_BYTES (512u << 10)
#define LARGE_BYTES (2u << 20) /* of a batch that goes raw, after one that did because it is best */
#define QUEUE_BYTES 4e6
#define GUEST_BYTES (UINT64_C(2) << 30)
#define SECOND_NS   1e9
#define COPY_NS     0.15     /* a byte into the queue ... */
#define PIECE_BYTES 131072.0 /* ... which takes so many at a time */
#define COUNT(of)   (sizeof(of) / sizeof((of)[0]))

#define GBIT      0.119 /* bytes per ns */
#define UNLIMITED 4.4

struct cost {
    double ns, ratio;
};

struct content {
    const char *name;
    unsigned looks; /* 0 words, 1 some of both, 2 random */
    struct cost of[AUTO_WAYS];
};

enum { RANDOM, TEXT, MIXED, SPARSE, CONTENTS };
static const struct content contents[CONTENTS] = {
    { "random", 2, { { 0, 1 }, { 0.3, 1 }, { 0.15, 1 }, { 0.45, 1 }, { 0.6, 1 }, { 1.5, 1 } } },
    { "text", 0, { { 0, 1 }, { 0.3, 1 }, { 2.8, 0.71 }, { 3.3, 0.45 }, { 4.6, 0.43 }, { 13, 0.40 } } },
    { "mixed", 1, { { 0, 1 }, { 0.3, 1 }, { 1.5, 0.86 }, { 1.9, 0.73 }, { 2.7, 0.72 }, { 7, 0.70 } } },
    { "sparse", 0, { { 0, 1 }, { 0.3, 1 }, { 0.5, 0.11 }, { 0.7, 0.06 }, { 0.9, 0.06 }, { 3, 0.05 } } },
};

struct model {
    double rate; /* of the link */
    double queue_bytes;
    double strain; /* the clock runs so much faster than the processor for us; 0: it does not */
    double queued, now;
    bool large; /* the next batch is */
    unsigned seed;
    uint64_t sent, by_way[AUTO_WAYS];
};

static double jitter(struct model *model)
{
    return 0.9 + (double)(rand_r(&model->seed) % 1000) / 5000;
}

static void pass(struct model *model, double ns)
{
    model->now += ns;
    model->queued -= model->rate * ns;
    if (model->queued < 0)
        model->queued = 0;
}

/* Returns how long it took to encode. */
static double encode(struct model *model, const struct content *content, enum auto_way way, unsigned bytes)
{
    double ns = content->of[way].ns * bytes * jitter(model) * (model->strain > 0 ? model->strain : 1);

    pass(model, ns);
    model->by_way[way] += bytes;
    model->sent += bytes;
    return ns;
}

/* Returns how long the write took. */
static double put(struct model *model, double bytes)
{
    double began = model->now;

    for (double left = bytes; left > 0; left -= PIECE_BYTES) {
        double piece = left < PIECE_BYTES ? left : PIECE_BYTES;

        pass(model, piece * COPY_NS * jitter(model));
        model->queued += piece;
        if (model->queued > model->queue_bytes)
            pass(model, (model->queued - model->queue_bytes) / model->rate);
    }
    return model->now - began;
}

static enum auto_way step(struct model *model, struct auto_chooser *chooser, const struct content *content,
                          enum auto_past past)
{
    unsigned kind = content->looks * AUTO_PASTS + past;
    double began = model->now, ratio, encode_ns, write_ns;
    unsigned bytes = model->large ? LARGE_BYTES : BATCH_BYTES;
    enum auto_way way = auto_next(chooser, kind);

    assert_true(past != AUTO_FIRST || way != AUTO_DELTA);
    model->large = way == AUTO_RAW && auto_is_raw(chooser);
    if (bytes == LARGE_BYTES)
        way = AUTO_RAW;
    ratio = content->of[way].ratio;
    encode_ns = encode(model, content, way, bytes);
    auto_encoded(chooser, kind, way, bytes, (size_t)(bytes * ratio),
                 (int64_t)(encode_ns / (model->strain > 0 ? model->strain : 1)), (int64_t)encode_ns);
    write_ns = put(model, bytes * ratio);
    auto_written(chooser, (size_t)(bytes * ratio), (int64_t)write_ns, (int64_t)(model->now - began));
    return way;
}

/* ---- as fast as the best --------------------------------------------------------------------------------------- */

/* Two contents take turns, every 8 MiB. */
static const struct content *turn(const unsigned *parts, uint64_t sent)
{
    return &contents[parts[sent / (16 * BATCH_BYTES) % 2]];
}

static double best_time(double rate, double queue_bytes, const unsigned *parts)
{
    static const enum auto_way pure[] = { AUTO_RAW, AUTO_LZ4, AUTO_ZSTD };
    double best = 0;

    for (unsigned i = 0; i < COUNT(pure); i++) {
        struct model model = { .rate = rate, .queue_bytes = queue_bytes, .seed = 1 };

        for (uint64_t sent = 0; sent < GUEST_BYTES; sent += BATCH_BYTES) {
            encode(&model, turn(parts, sent), pure[i], BATCH_BYTES);
            put(&model, BATCH_BYTES * turn(parts, sent)->of[pure[i]].ratio);
        }
        if (best == 0 || model.now < best)
            best = model.now;
    }
    return best;
}

/* How much longer than the best it takes. */
static double loss(double rate, double queue_bytes, const unsigned *parts)
{
    struct model model = { .rate = rate, .queue_bytes = queue_bytes, .seed = 2 };
    struct auto_chooser chooser;

    auto_init(&chooser, 1, 2);
    while (model.sent < GUEST_BYTES)
        step(&model, &chooser, turn(parts, model.sent), AUTO_FIRST);
    return model.now / best_time(rate, queue_bytes, parts) - 1;
}

static const double rates[] = { GBIT / 10, GBIT, 2.5 * GBIT, 4 * GBIT, 10 * GBIT, 25 * GBIT, UNLIMITED, 8 };

static void it_is_never_much_slower_than_the_best(void **state)
{
    static const struct {
        double bytes, loss;
    } queues[] = { { 1e6, 0.02 }, { QUEUE_BYTES, 0.02 }, { 12e6, 0.02 }, { 0.3e6, 0.1 } /* less than a batch */ };

    for (unsigned r = 0; r < COUNT(rates); r++) {
        for (unsigned i = 0; i < CONTENTS * COUNT(queues); i++) {
            unsigned parts[2] = { i % CONTENTS, i % CONTENTS };
            double lost = loss(rates[r], queues[i / CONTENTS].bytes, parts);

            if (lost > queues[i / CONTENTS].loss)
                fail_msg("%s at %.1f Gbit/s, a queue of %.1f MB: %.1f %% slower", contents[parts[0]].name,
                         rates[r] / GBIT, queues[i / CONTENTS].bytes / 1e6, lost * 100);
        }
    }
}

/* How much a queue evens out cannot be known from outside. */
static void contents_may_take_turns(void **state)
{
    static const unsigned parts[][2] = { { RANDOM, TEXT }, { TEXT, MIXED }, { RANDOM, SPARSE } };

    for (unsigned r = 0; r < COUNT(rates); r++) {
        for (unsigned p = 0; p < COUNT(parts); p++) {
            double lost = loss(rates[r], QUEUE_BYTES, parts[p]);

            if (lost > 0.05)
                fail_msg("%s and %s at %.1f Gbit/s: %.1f %% slower", contents[parts[p][0]].name,
                         contents[parts[p][1]].name, rates[r] / GBIT, lost * 100);
        }
    }
}

/* ---- change ---------------------------------------------------------------------------------------------------- */

/* For so long, and what part of it went each way. */
static void go_on(struct model *model, struct auto_chooser *chooser, const struct content *content, enum auto_past past,
                  double ns, double share[AUTO_WAYS])
{
    double until = model->now + ns, batches = 0;

    memset(share, 0, AUTO_WAYS * sizeof(share[0]));
    for (; model->now < until; batches++)
        share[step(model, chooser, content, past)]++;
    for (unsigned way = 0; way < AUTO_WAYS; way++)
        share[way] /= batches;
}

static void change_is_noticed_within_a_second(void **state)
{
    static const struct {
        double rate, then_rate;
        unsigned content, then_content;
        enum auto_way way, then_way;
    } table[] = {
        { GBIT, 10 * GBIT, TEXT, TEXT, AUTO_ZSTD, AUTO_RAW },
        { 10 * GBIT, GBIT, TEXT, TEXT, AUTO_RAW, AUTO_ZSTD },
        { UNLIMITED, GBIT, TEXT, TEXT, AUTO_RAW, AUTO_ZSTD },
        { GBIT, UNLIMITED, TEXT, TEXT, AUTO_ZSTD, AUTO_RAW },
        { 2.5 * GBIT, GBIT, TEXT, TEXT, AUTO_LZ4, AUTO_ZSTD },
        { 4 * GBIT, 10 * GBIT, SPARSE, SPARSE, AUTO_LZ4, AUTO_LZ4 },
        { GBIT, GBIT, TEXT, RANDOM, AUTO_ZSTD, AUTO_RAW },
        { GBIT, GBIT, RANDOM, TEXT, AUTO_RAW, AUTO_ZSTD },
        { 4 * GBIT, 4 * GBIT, TEXT, SPARSE, AUTO_RAW, AUTO_LZ4 }, /* they look alike */
        { 4 * GBIT, 4 * GBIT, SPARSE, TEXT, AUTO_LZ4, AUTO_RAW },
        { UNLIMITED, UNLIMITED, MIXED, RANDOM, AUTO_RAW, AUTO_RAW },
    };

    for (unsigned i = 0; i < COUNT(table); i++) {
        struct model model = { .rate = table[i].rate, .queue_bytes = QUEUE_BYTES, .seed = 3 };
        double share[AUTO_WAYS];
        struct auto_chooser chooser;

        auto_init(&chooser, 1, 2);
        go_on(&model, &chooser, &contents[table[i].content], AUTO_FIRST, 2 * SECOND_NS, share);
        go_on(&model, &chooser, &contents[table[i].content], AUTO_FIRST, SECOND_NS, share);
        if (share[table[i].way] < 0.8)
            fail_msg("row %u, before: %.2f", i, share[table[i].way]);
        model.rate = table[i].then_rate;
        go_on(&model, &chooser, &contents[table[i].then_content], AUTO_FIRST, SECOND_NS, share);
        go_on(&model, &chooser, &contents[table[i].then_content], AUTO_FIRST, SECOND_NS / 4, share);
        if (share[table[i].then_way] < 0.8)
            fail_msg("row %u, after: %.2f", i, share[table[i].then_way]);
    }
}

/* A thread that does not run for a while looks like a link that is slow. */
static void a_pause_does_not_matter_for_long(void **state)
{
    struct model model = { .rate = UNLIMITED, .queue_bytes = QUEUE_BYTES, .seed = 4 };
    double share[AUTO_WAYS];
    struct auto_chooser chooser;

    auto_init(&chooser, 1, 2);
    go_on(&model, &chooser, &contents[TEXT], AUTO_FIRST, SECOND_NS, share);
    for (unsigned i = 0; i < 5; i++) {
        auto_written(&chooser, BATCH_BYTES, 300000000, 300000000);
        go_on(&model, &chooser, &contents[TEXT], AUTO_FIRST, SECOND_NS / 10, share);
    }
    go_on(&model, &chooser, &contents[TEXT], AUTO_FIRST, SECOND_NS / 4, share);
    assert_true(share[AUTO_RAW] > 0.8);
}

/* ---- deltas ---------------------------------------------------------------------------------------------------- */

static void deltas_are_made_known_where_it_costs_nothing_and_used_where_they_pay(void **state)
{
    struct model model = { .rate = GBIT, .queue_bytes = QUEUE_BYTES, .seed = 5 };
    struct content little = contents[RANDOM];
    double share[AUTO_WAYS];
    struct auto_chooser chooser;
    unsigned text = 0 * AUTO_PASTS;

    little.of[AUTO_DELTA] = (struct cost){ 0.5, 0.03 };
    auto_init(&chooser, 1, 2);
    go_on(&model, &chooser, &contents[RANDOM], AUTO_FIRST, SECOND_NS, share);
    assert_true(share[AUTO_DELTA] == 0);
    go_on(&model, &chooser, &contents[RANDOM], AUTO_AGAIN, SECOND_NS, share);
    assert_true(share[AUTO_DELTA] > 0.5);
    go_on(&model, &chooser, &little, AUTO_KNOWN, SECOND_NS, share);
    assert_true(share[AUTO_DELTA] > 0.9);
    go_on(&model, &chooser, &contents[RANDOM], AUTO_KNOWN, SECOND_NS, share);
    go_on(&model, &chooser, &contents[RANDOM], AUTO_KNOWN, SECOND_NS, share);
    assert_true(share[AUTO_DELTA] < 0.1);
    go_on(&model, &chooser, &contents[TEXT], AUTO_AGAIN, SECOND_NS, share);
    assert_false(auto_learns(&chooser, text + AUTO_FIRST));
    model.rate = GBIT / 4;
    go_on(&model, &chooser, &contents[TEXT], AUTO_AGAIN, SECOND_NS, share);
    go_on(&model, &chooser, &contents[TEXT], AUTO_AGAIN, SECOND_NS, share);
    assert_true(share[AUTO_DELTA] == 0 && auto_learns(&chooser, text + AUTO_AGAIN));

    model.rate = UNLIMITED;
    go_on(&model, &chooser, &contents[RANDOM], AUTO_AGAIN, SECOND_NS, share);
    go_on(&model, &chooser, &contents[RANDOM], AUTO_AGAIN, SECOND_NS, share);
    assert_true(share[AUTO_DELTA] == 0);
    go_on(&model, &chooser, &contents[TEXT], AUTO_AGAIN, SECOND_NS, share);
    assert_false(auto_learns(&chooser, text + AUTO_AGAIN));
}

/* ---------------------------------------------------------------------------------------------------------------- */

static void a_crowd_makes_codecs_dear(void **state)
{
    for (unsigned channels = 1; channels <= 8; channels += 7) {
        struct model model = { .rate = 2.5 * GBIT, .queue_bytes = QUEUE_BYTES, .seed = 6 };
        double share[AUTO_WAYS];
        struct auto_chooser chooser;

        auto_init(&chooser, channels, 2);
        go_on(&model, &chooser, &contents[TEXT], AUTO_FIRST, SECOND_NS, share);
        go_on(&model, &chooser, &contents[TEXT], AUTO_FIRST, SECOND_NS, share);
        assert_true(share[channels == 1 ? AUTO_LZ4 : AUTO_RAW] > 0.8);
    }
}

static void what_others_do_on_the_processor_counts(void **state)
{
    struct model model = { .rate = GBIT, .queue_bytes = QUEUE_BYTES, .seed = 6 };
    double share[AUTO_WAYS];
    struct auto_chooser chooser;

    auto_init(&chooser, 2, 2);
    go_on(&model, &chooser, &contents[TEXT], AUTO_FIRST, SECOND_NS, share);
    go_on(&model, &chooser, &contents[TEXT], AUTO_FIRST, SECOND_NS, share);
    assert_true(share[AUTO_ZSTD] > 0.8);
    model.strain = 2;
    go_on(&model, &chooser, &contents[TEXT], AUTO_FIRST, SECOND_NS, share);
    go_on(&model, &chooser, &contents[TEXT], AUTO_FIRST, SECOND_NS, share);
    assert_true(share[AUTO_LZ4] > 0.8);
    model.strain = 1;
    go_on(&model, &chooser, &contents[TEXT], AUTO_FIRST, SECOND_NS, share);
    go_on(&model, &chooser, &contents[TEXT], AUTO_FIRST, SECOND_NS, share);
    assert_true(share[AUTO_ZSTD] > 0.8);
}

static void before_anything_is_known_pages_go_raw(void **state)
{
    struct auto_chooser chooser;

    auto_init(&chooser, 1, 0);
    for (unsigned kind = 0; kind < AUTO_KINDS; kind++) {
        assert_int_equal(auto_next(&chooser, kind), AUTO_RAW);
        assert_false(auto_learns(&chooser, kind));
        assert_false(auto_is_raw(&chooser)); /* for want of a better one */
    }
    auto_written(&chooser, 0, 0, 0);
    assert_int_equal(auto_next(&chooser, 0), AUTO_RAW);
    assert_int_equal(auto_codec(AUTO_RAW), CODEC_NONE);
    assert_int_equal(auto_codec(AUTO_DELTA), CODEC_XBZRLE);
    assert_int_equal(auto_codec(AUTO_ZSTD), CODEC_ZSTD);
    assert_int_equal(auto_level(AUTO_ZSTD), 1);
}

static void a_batch_looks_like_what_it_holds(void **state)
{
    static uint8_t memory[16][4096];
    uint8_t *page[16];
    struct codec_pages pages = { page, NULL, 16, 4096 };
    unsigned seed = 7;

    for (unsigned i = 0; i < 16; i++) {
        page[i] = memory[i];
        for (unsigned j = 0; j < 4096; j++)
            memory[i][j] = (uint8_t) "a page of words, such as memory is full of "[(j + i) % 43];
    }
    assert_int_equal(auto_look(&pages, AUTO_KNOWN), 0 * AUTO_PASTS + AUTO_KNOWN);
    for (unsigned i = 0; i < 8; i++) {
        for (unsigned j = 0; j < 4096; j++)
            memory[i][j] = (uint8_t)rand_r(&seed);
    }
    assert_int_equal(auto_look(&pages, AUTO_FIRST), 1 * AUTO_PASTS + AUTO_FIRST);
    pages.count = 8;
    assert_int_equal(auto_look(&pages, AUTO_AGAIN), 2 * AUTO_PASTS + AUTO_AGAIN);
    for (pages.count = 1; pages.count < 8; pages.count++)
        assert_int_equal(auto_look(&pages, AUTO_FIRST), 2 * AUTO_PASTS + AUTO_FIRST);
    memset(memory, 0, sizeof(memory));
    assert_int_equal(auto_look(&pages, AUTO_FIRST), 0 * AUTO_PASTS + AUTO_FIRST);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_never_much_slower_than_the_best),
        cmocka_unit_test(contents_may_take_turns),
        cmocka_unit_test(change_is_noticed_within_a_second),
        cmocka_unit_test(a_pause_does_not_matter_for_long),
        cmocka_unit_test(deltas_are_made_known_where_it_costs_nothing_and_used_where_they_pay),
        cmocka_unit_test(a_crowd_makes_codecs_dear),
        cmocka_unit_test(what_others_do_on_the_processor_counts),
        cmocka_unit_test(before_anything_is_known_pages_go_raw),
        cmocka_unit_test(a_batch_looks_like_what_it_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
