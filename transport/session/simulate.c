/* SPDX-License-Identifier: BSD-3-Clause */
/* simulate.c - what a migration would be like, without one
 *
 * For each part of memory two shares are kept: what is dirty, and what of it waits for the end.
 *
 *      round: send what is dirty and does not wait -> it took so long -> so much was written meanwhile -> converge
 */
#include "simulate.h"

#include "converge.h"

#include <math.h>
#include <string.h>

#define ROUNDS_MOST 1000
#define NS          1e9

struct part {
    double dirty, held; /* shares of its pages */
    double before, now; /* written in the window before, and in this one */
    double hot;
};

struct run {
    const struct sim_terms *terms;
    struct sim_result *result;
    struct part part[DIRTYING_PARTS];
    double rate; /* of memory */
    double window_sec;
    struct converge_figures figures;
    unsigned stalled;
    bool arrives; /* a round lasts until all of it has arrived: from when on the rest fits */
};

#define SETUP_SEC       20e-3 /* connections, threads */
#define SETUP_TRIPS     6     /* hello, manifest, page channels, the first ping */
#define SYNC_SEC        100e-6
#define SYNC_SEC_PER_TB 0.01   /* the dirty log of a terabyte */
#define SWITCH_SEC      0.8e-3 /* threads that stop and start, devices, the last check: 0.1 to 0.2 ms each */

void sim_costs(struct sim_terms *terms)
{
    double bytes = terms->guest.bytes + terms->guest.zero_bytes;

    terms->setup_sec = SETUP_SEC + SETUP_TRIPS * terms->link.round_trip_sec;
    terms->sync_sec = SYNC_SEC + SYNC_SEC_PER_TB * bytes / 1e12;
    terms->switch_sec = SWITCH_SEC;
}

static double rate_of(const struct sim_link *link)
{
    double rate = link->bytes_per_sec / link->ratio;
    double threads = link->channel_per_sec * (link->channels ? link->channels : 1);

    return threads > 0 && threads < rate ? threads : rate;
}

static uint64_t whole(double value)
{
    return value <= 0 ? 0 : value >= 1.8e19 ? UINT64_MAX : (uint64_t)value;
}

/* Bytes that are dirty; of them, those that do not wait. */
static double pending(const struct run *run, bool held_too)
{
    const struct dirtying *writes = &run->terms->guest.writes;
    double bytes = 0;

    for (unsigned i = 0; i < writes->count; i++)
        bytes += writes->part[i].bytes * (run->part[i].dirty - (held_too ? 0 : run->part[i].held));
    return bytes;
}

static void carry(struct run *run, double bytes, double sec)
{
    run->result->total_sec += sec;
    run->result->bytes += bytes * run->terms->link.ratio;
    run->result->cpu_sec += bytes * run->terms->link.cpu_sec_per_byte;
}

/* So long passes while everything that does not wait is sent. */
static double let_write(struct run *run, double sec)
{
    const struct dirtying *writes = &run->terms->guest.writes;
    double written = 0;

    for (unsigned i = 0; i < writes->count; i++) {
        struct part *part = &run->part[i];
        double share = dirtying_share(&writes->part[i], sec);

        written += share * writes->part[i].bytes;
        part->dirty = part->held + (1 - part->held) * share;
        part->now = 1 - (1 - part->now) * (1 - share);
    }
    return written;
}

/* The share that is written in both of two windows.  Who goes through its memory in order comes by again only after the
 * rest. */
static double in_both(const struct dirtying_part *part, double before, double now)
{
    return part->in_order ? fmax(0, before + now - 1) : before * now;
}

static void hold(struct run *run, enum ferry_verdict verdict)
{
    const struct dirtying *writes = &run->terms->guest.writes;
    bool over = run->window_sec >= run->terms->downtime_limit_sec;
    double hot = 0;

    for (unsigned i = 0; i < writes->count; i++) {
        struct part *part = &run->part[i];

        if (over) {
            part->hot = in_both(&writes->part[i], part->before, part->now);
            part->before = part->now;
            part->now = 0;
        } else if (verdict == FERRY_VERDICT_SWITCH) {
            part->hot *= part->now;
        }
        hot += writes->part[i].bytes * fmin(part->hot, part->dirty);
    }
    if (over)
        run->window_sec = 0;
    over = run->terms->hot_last && converge_hold(&run->figures, whole(hot));
    for (unsigned i = 0; i < writes->count; i++)
        run->part[i].held = over ? fmin(run->part[i].hot, run->part[i].dirty) : 0;
}

static struct converge_decision judge(struct run *run, double sec, double written)
{
    struct converge_figures *f = &run->figures;
    struct converge_decision decision;

    f->previous_round_ns = f->round_ns;
    f->previous_dirty_bytes_per_sec = f->dirty_bytes_per_sec;
    f->previous_pending_bytes = f->pending_bytes;
    f->pending_bytes = whole(pending(run, true));
    f->round_ns = whole(sec * NS);
    f->dirty_bytes_per_sec = whole(written / sec);
    decision = converge_decide(f);
    f->fitting_rounds = decision.expected_downtime_ns <= f->downtime_limit_ns ? f->fitting_rounds + 1 : 0;
    run->window_sec += sec;
    hold(run, decision.verdict);
    return decision;
}

/* One round of so many bytes.  True: it is the last. */
static bool round_of(struct run *run, double bytes)
{
    const struct sim_terms *terms = run->terms;
    double sec = bytes / run->rate + terms->sync_sec + (run->arrives ? terms->link.round_trip_sec : 0);
    double written = let_write(run, sec);
    struct converge_decision decision = judge(run, sec, written);
    struct sim_result *result = run->result;

    carry(run, bytes, sec);
    result->rounds++;
    result->verdict = decision.verdict;
    result->needed_bytes_per_sec = (double)decision.needed_bytes_per_sec;
    result->bearable_bytes_per_sec = (double)decision.bearable_bytes_per_sec;
    run->stalled = decision.verdict == FERRY_VERDICT_STALLED ? run->stalled + 1 : 0;
    if (decision.verdict == FERRY_VERDICT_SWITCH && run->arrives)
        return true;
    if (!run->arrives && run->figures.fitting_rounds > 0) {
        run->arrives = true;
        run->figures.pending_bytes = 0; /* says nothing about the next */
    }
    return decision.verdict == FERRY_VERDICT_CANNOT || run->stalled == 2;
}

void simulate(const struct sim_terms *terms, struct sim_result *result)
{
    struct run run = { .terms = terms, .result = result, .rate = rate_of(&terms->link) };

    memset(result, 0, sizeof(*result));
    result->rate = run.rate;
    result->total_sec = terms->setup_sec;
    run.figures.bytes_per_sec = whole(run.rate);
    run.figures.downtime_limit_ns = whole(terms->downtime_limit_sec * NS);
    run.figures.device_bytes = whole(terms->guest.device_bytes);
    run.rate = fmax(run.rate, 1);
    for (bool last = round_of(&run, terms->guest.bytes); !last && result->rounds < ROUNDS_MOST;)
        last = round_of(&run, pending(&run, false));
    if (result->rounds == ROUNDS_MOST)
        result->verdict = FERRY_VERDICT_STALLED;
    result->rest_bytes = pending(&run, true) + terms->guest.device_bytes;
    result->blackout_sec =
        result->rest_bytes / run.rate + terms->switch_sec + terms->sync_sec + 1.5 * terms->link.round_trip_sec;
    carry(&run, result->rest_bytes, result->blackout_sec);
}

static void widen(struct sim_result *least, struct sim_result *most, const struct sim_result *other)
{
    least->rounds = other->rounds < least->rounds ? other->rounds : least->rounds;
    most->rounds = other->rounds > most->rounds ? other->rounds : most->rounds;
    least->total_sec = fmin(least->total_sec, other->total_sec);
    most->total_sec = fmax(most->total_sec, other->total_sec);
    least->blackout_sec = fmin(least->blackout_sec, other->blackout_sec);
    most->blackout_sec = fmax(most->blackout_sec, other->blackout_sec);
    least->bytes = fmin(least->bytes, other->bytes);
    most->bytes = fmax(most->bytes, other->bytes);
    least->cpu_sec = fmin(least->cpu_sec, other->cpu_sec);
    most->cpu_sec = fmax(most->cpu_sec, other->cpu_sec);
    least->rest_bytes = fmin(least->rest_bytes, other->rest_bytes);
    most->rest_bytes = fmax(most->rest_bytes, other->rest_bytes);
}

/* Links and guests that are better than known by @share; or, below 0, worse. */
static void shift(const struct sim_terms *terms, double share, struct sim_result *result)
{
    struct sim_terms other = *terms;

    other.link.bytes_per_sec *= 1 + share;
    other.link.channel_per_sec *= 1 + share;
    for (unsigned i = 0; i < terms->guest.writes.count; i++)
        other.guest.writes.part[i].bytes_per_sec *= 1 - share;
    simulate(&other, result);
}

void simulate_bounds(const struct sim_terms *terms, double share, struct sim_result *least, struct sim_result *most)
{
    struct sim_result better, worse, exact;

    shift(terms, share, &better);
    shift(terms, -share, &worse);
    simulate(terms, &exact);
    *least = better;
    *most = worse;
    widen(least, most, &better);
    widen(least, most, &worse);
    widen(least, most, &exact);
}
