/* SPDX-License-Identifier: BSD-3-Clause */
/* writers.c - the threads that write guest memory, at a pace and in a pattern */
#include "writers.h"

#include "clock.h"
#include "pace.h"
#include "replay.h"

#include <errno.h>
#include <ferry/memory.h>
#include <stdlib.h>
#include <string.h>

struct writer {
    pthread_t thread;
    struct writers *writers; /* borrowed */
    uint64_t random;         /* state of a generator */
    uint32_t place;          /* sequential: the region it is at, in regions->writable */
    unsigned left;           /* sequential: how many pages there are to be written before it moves on */
};

struct writers {
    struct regions *regions; /* borrowed */
    struct gate *gate;       /* borrowed */
    struct touches *touches; /* borrowed */
    uint64_t bytes_per_sec;  /* of each thread */
    uint64_t burst_ns;       /* 0: all the time */
    uint64_t pause_ns;
    struct replay replay; /* trace NULL: none */
    uint32_t *seen;       /* pages that were written at the source, where there is no trace of it; owned */
    uint64_t seen_count;
    uint32_t places;        /* how many of regions->writable are written to ... */
    uint32_t share_percent; /* ... by so many of a hundred writes; the others go elsewhere */
    bool sequential;
    atomic_uint_fast64_t pages;
    atomic_uint throttle; /* percent of their time that they do not work */
    unsigned running;
    struct writer writer[];
};

static uint64_t draw(struct writer *writer, uint64_t below)
{
    writer->random ^= writer->random << 13;
    writer->random ^= writer->random >> 7;
    writer->random ^= writer->random << 17;
    return (writer->random >> 11) % below;
}

/* Among the hot ones, or, for so many of a hundred writes, among the others. */
static uint32_t draw_place(struct writer *writer)
{
    const struct writers *writers = writer->writers;
    uint32_t others = writers->regions->writable_count - writers->places;

    if (others == 0 || writers->share_percent == 100 || draw(writer, 100) < writers->share_percent)
        return (uint32_t)draw(writer, writers->places);
    return writers->places + (uint32_t)draw(writer, others);
}

static uint32_t next_region(struct writer *writer)
{
    const struct writers *writers = writer->writers;
    const struct regions *regions = writers->regions;

    if (!writers->sequential)
        return regions->writable[draw_place(writer)];
    if (writer->left == 0) {
        writer->place = (writer->place + 1) % writers->places;
        writer->left = regions->region[regions->writable[writer->place]].data_pages;
    }
    writer->left--;
    return regions->writable[writer->place];
}

/* Throttled, a paced writer has a slower pace, and one without rests after what it has written since @began_ns. */
static void rest(const struct writers *writers, struct pace *pace, int64_t began_ns)
{
    unsigned percent = atomic_load_explicit(&writers->throttle, memory_order_relaxed);
    int64_t now = clock_now_ns();

    if (writers->bytes_per_sec != PACE_UNLIMITED)
        pace->bytes_per_sec = writers->bytes_per_sec * (100 - percent) / 100;
    else if (percent > 0)
        gate_sleep_until(writers->gate, now + (now - began_ns) * percent / (100 - percent));
}

static void write_one(struct writer *writer)
{
    struct writers *writers = writer->writers;
    uint32_t place = writers->seen ? writers->seen[draw(writer, writers->seen_count)]
                                   : next_region(writer); /* a page, or a region */
    int64_t began_ns = clock_now_ns();

    if (writers->seen)
        regions_write_page(writers->regions, place);
    else
        regions_write(writers->regions, place);
    touches_note(writers->touches, clock_now_ns() - began_ns);
    atomic_fetch_add_explicit(&writers->pages, 1, memory_order_relaxed);
}

static void write_while_open(struct writer *writer)
{
    struct writers *writers = writer->writers;
    struct pace pace;

    pace_start(&pace, writers->bytes_per_sec, clock_now_ns());
    pace_in_bursts(&pace, writers->burst_ns, writers->pause_ns);
    while (gate_is_open(writers->gate)) {
        int64_t began_ns = clock_now_ns();
        uint64_t due = pace_due(&pace, began_ns);

        for (; due > 0 && gate_is_open(writers->gate); due--)
            write_one(writer);
        rest(writers, &pace, began_ns);
        if (writers->bytes_per_sec != PACE_UNLIMITED || writers->burst_ns > 0)
            gate_sleep_until(writers->gate, pace_next_ns(&pace, clock_now_ns()));
    }
}

static void replay_while_open(struct writers *writers)
{
    uint64_t page;

    replay_go(&writers->replay, clock_now_ns());
    while (gate_is_open(writers->gate)) {
        replay_advance(&writers->replay, clock_now_ns(),
                       atomic_load_explicit(&writers->throttle, memory_order_relaxed));
        while (gate_is_open(writers->gate) && replay_next(&writers->replay, &page)) {
            int64_t began_ns = clock_now_ns();

            regions_write_page(writers->regions, page);
            touches_note(writers->touches, clock_now_ns() - began_ns);
            atomic_fetch_add_explicit(&writers->pages, 1, memory_order_relaxed);
        }
        gate_sleep_until(writers->gate, replay_next_ns(&writers->replay, clock_now_ns()));
    }
}

static void *writer_main(void *opaque)
{
    struct writer *writer = opaque;
    struct gate *gate = writer->writers->gate;

    while (gate_enter(gate)) {
        if (writer->writers->replay.trace)
            replay_while_open(writer->writers);
        else
            write_while_open(writer);
        gate_leave(gate);
    }
    return NULL;
}

static uint32_t count_places(const struct guest_spec *spec, const struct regions *regions)
{
    uint64_t all = regions->writable_count;

    return spec->pattern == SPEC_HOT ? (uint32_t)((all * spec->hot_percent + 99) / 100) : (uint32_t)all;
}

/* The pages that a trace has written before it was left behind. */
static int list_seen(struct writers *writers, const struct regions *regions, struct ferry_error *err)
{
    for (uint64_t page = 0; page < regions->pages; page++)
        writers->seen_count += regions->own[page] > 0;
    if (writers->seen_count == 0)
        return 0;
    writers->seen = calloc(writers->seen_count, sizeof(*writers->seen));
    if (!writers->seen)
        return ferry_error_set(err, -ENOMEM, "out of memory for the pages that were written");
    for (uint64_t page = 0, i = 0; page < regions->pages; page++)
        if (regions->own[page] > 0)
            writers->seen[i++] = (uint32_t)page;
    return 0;
}

static int set_terms(struct writers *writers, const struct guest_spec *spec, const struct trace *trace,
                     struct ferry_error *err)
{
    writers->sequential = spec->pattern == SPEC_SEQUENTIAL;
    writers->places = count_places(spec, writers->regions);
    writers->share_percent = spec->hot_share_percent;
    writers->bytes_per_sec = spec->dirty_bytes_per_sec;
    writers->burst_ns = spec->pattern == SPEC_BURSTS ? spec->burst_ns : 0;
    writers->pause_ns = spec->pause_ns;
    if (writers->bytes_per_sec != PACE_UNLIMITED)
        writers->bytes_per_sec = (writers->bytes_per_sec + spec->threads - 1) / spec->threads;
    if (spec->pattern != SPEC_TRACE)
        return 0;
    if (trace) {
        replay_start(&writers->replay, trace);
        return 0;
    }
    return list_seen(writers, writers->regions, err);
}

static bool never_writes(const struct writers *writers, const struct guest_spec *spec)
{
    return writers->bytes_per_sec == 0 || writers->places == 0 ||
           (spec->pattern == SPEC_TRACE && !writers->replay.trace && !writers->seen);
}

struct writers *writers_new(const struct guest_spec *spec, struct regions *regions, struct gate *gate,
                            struct touches *touches, const struct trace *trace, struct ferry_error *err)
{
    struct writers *writers = calloc(1, sizeof(*writers) + spec->threads * sizeof(writers->writer[0]));
    int ret;

    if (!writers) {
        ferry_error_set(err, -ENOMEM, "out of memory for the guest's writers");
        return NULL;
    }
    writers->regions = regions;
    writers->gate = gate;
    writers->touches = touches;
    if (set_terms(writers, spec, trace, err) < 0) {
        writers_free(writers);
        return NULL;
    }
    if (never_writes(writers, spec))
        return writers;
    for (unsigned i = 0; i < spec->threads; i++) {
        struct writer *writer = &writers->writer[i];

        writer->writers = writers;
        writer->random = content_hash(spec->seed ^ ((uint64_t)i << 32)) | 1;
        writer->place = (uint32_t)((uint64_t)writers->places * i / spec->threads);
        writer->left = regions->region[regions->writable[writer->place]].data_pages;
        ret = -pthread_create(&writer->thread, NULL, writer_main, writer);
        if (ret < 0) {
            ferry_error_set(err, ret, "cannot start writer %u of the guest: %s", i, strerror(-ret));
            gate_quit(gate);
            writers_free(writers);
            return NULL;
        }
        writers->running++;
    }
    return writers;
}

void writers_free(struct writers *writers)
{
    if (!writers)
        return;
    while (writers->running > 0)
        pthread_join(writers->writer[--writers->running].thread, NULL);
    free(writers->seen);
    free(writers);
}

uint64_t writers_pages(struct writers *writers)
{
    return atomic_load_explicit(&writers->pages, memory_order_relaxed);
}

void writers_throttle(struct writers *writers, unsigned percent)
{
    atomic_store_explicit(&writers->throttle, percent, memory_order_relaxed);
}
