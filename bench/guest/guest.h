/* SPDX-License-Identifier: BSD-3-Clause */
/* guest.h - a synthetic machine of this process, to be migrated and then checked to the last page
 *
 *      source                                      destination
 *      bench_guest_new("pattern:size=1GiB")        bench_guest_incoming("pattern")
 *      bench_guest_start()                         ferry_destination_start(bench_guest_ferry())
 *      ferry_source_start(bench_guest_ferry())     ... which starts it in the end
 *                                                  bench_guest_verify()
 *
 * Unless it says otherwise, a function belongs to the thread that made the guest.
 */
#ifndef BENCH_GUEST_H
#define BENCH_GUEST_H

#include <ferry/error.h>
#include <ferry/guest.h>
#include <ferry/latency.h>
#include <stdbool.h>
#include <stdint.h>

struct bench_guest;

struct bench_verify {
    uint64_t pages;       /* that were checked */
    uint64_t mismatched;  /* of these, hold what they never should: damaged, torn, foreign, too new, or not zero */
    uint64_t lost_writes; /* of these, hold what they held some writes ago */
    char first[256];      /* a sentence about the first bad page; empty: there is none */
};

struct bench_figures {
    uint64_t ram_bytes;           /* of all blocks */
    uint64_t pages_written;       /* on this side */
    uint64_t dirty_bytes_per_sec; /* achieved, over the time it ran on this side */
    uint64_t beats;               /* of the guest's whole life */
    uint64_t largest_gap_ns;      /* between two beats on the same side */
    int64_t blackout_ns;          /* destination: from the last beat there to the first one here; -1: not yet */
    bool blackout_by_wall_clock;  /* the sides share no monotonic clock, so it is as good as their clocks agree */
    struct ferry_latency touches; /* of its memory, on this side and before a check, where they took long: touches.h */
};

/**
 * bench_guest_new() - a guest at the source: memory mapped and filled, not running
 * @text: KIND or KIND:KEY=VALUE,...; see spec.h for the keys
 */
struct bench_guest *bench_guest_new(const char *text, struct ferry_error *err);

/**
 * bench_guest_incoming() - a guest at the destination
 * @kind: the KIND alone: memory is mapped when the stream announces it, and what it should hold comes as device state
 */
struct bench_guest *bench_guest_incoming(const char *kind, struct ferry_error *err);

/* Borrowed; to hand to ferry_source_start() or ferry_destination_start(). */
struct ferry_guest *bench_guest_ferry(struct bench_guest *guest);

/**
 * bench_guest_start() - run; bench_guest_stop() - stand still
 *
 * The ferry_guest calls the same functions.  Starting what runs or stopping what stands is no error.  A guest at the
 * destination starts only after its state has arrived.  After stop no page and no device state changes.
 * Thread: any, one at a time for each guest (a lock sees to it).
 */
int bench_guest_start(struct bench_guest *guest, struct ferry_error *err);
int bench_guest_stop(struct bench_guest *guest, struct ferry_error *err);

/**
 * bench_guest_verify() - check every page, while the guest runs
 * @run_on_ns: then let it run for so long, stop it and check everything again
 *
 * A page that the guest overwrites before the check has come to it is checked by the guest first.  Returns 0 when the
 * check could be done, whatever it found; the guest is stopped then.  May be called once.
 */
int bench_guest_verify(struct bench_guest *guest, uint64_t run_on_ns, struct bench_verify *out,
                       struct ferry_error *err);

/* Thread: any. */
void bench_guest_figures(struct bench_guest *guest, struct bench_figures *out);

/* Stops it first.  NULL is legal.  No session may be using it any more. */
void bench_guest_free(struct bench_guest *guest);

#endif
