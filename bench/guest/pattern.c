/* SPDX-License-Identifier: BSD-3-Clause */
/* pattern.c - the pattern guest: threads of this process that write pages which say what they are
 *
 *      block "pattern.ram"        regions of self-describing pages (regions.h), written by writers.h
 *      block "pattern.untouched"  memory that nobody ever touches
 *      device "vfio-sim"         where asked for: memory of its own, and "vfio.dma", which it writes (vfio_sim.h)
 *      device "pattern"           what the pages must hold, and when the heart last beat (pattern_state.h)
 *
 * At the destination the blocks come with the stream, and with the state everything else.  All threads exist before the
 * guest is started for the first time, so that a start cannot fail for want of one.
 */
#include "clock.h"
#include "guest_ops.h"
#include "mapping.h"
#include "pattern_state.h"
#include "toucher.h"
#include "trace.h"
#include "untouched.h"
#include "vfio_sim.h"
#include "writers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RAM_NAME       "pattern.ram"
#define UNTOUCHED_NAME "pattern.untouched"
#define MACHINE        "ferry-pattern"

#define DEVICE_BYTES_PER_SEC (UINT64_C(8) << 20) /* what a simulated device writes */

struct pattern {
    struct bench_guest base;
    pthread_mutex_t lock; /* guards the rest, but not what the threads do while the gate is open */
    struct ferry_guest *ferry;
    struct pattern_state state;
    struct mapping ram;
    struct mapping untouched;
    struct gate gate;
    struct touches touches;
    struct regions *regions; /* this and the writers: NULL until the state is there */
    struct writers *writers;
    struct trace *trace;     /* that is replayed; NULL: none */
    struct toucher *toucher; /* NULL: none, also where the guest only writes */
    struct heart *heart;
    struct vfio_sim *vfio; /* at a destination: always, until the stream tells */
    struct findings device_findings;
    int64_t running_since_ns; /* 0: stands still */
    int64_t ran_ns;           /* before that */
};

static struct pattern *of_base(struct bench_guest *base)
{
    return (struct pattern *)base;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static int pattern_start(struct pattern *p, struct ferry_error *err)
{
    int ret = 0;

    pthread_mutex_lock(&p->lock);
    if (!p->writers) {
        ret = ferry_error_set(err, -EPROTO, "the stream brought no state for the pattern guest: it cannot run");
    } else if (!p->running_since_ns) {
        p->running_since_ns = clock_now_ns();
        heart_start(p->heart);
        if (p->vfio)
            vfio_sim_run(p->vfio, true);
        gate_open(&p->gate);
    }
    pthread_mutex_unlock(&p->lock);
    return ret;
}

static void pattern_stop(struct pattern *p)
{
    pthread_mutex_lock(&p->lock);
    if (p->running_since_ns) {
        gate_close(&p->gate);
        if (p->vfio)
            vfio_sim_run(p->vfio, false);
        p->ran_ns += clock_now_ns() - p->running_since_ns;
        p->running_since_ns = 0;
    }
    pthread_mutex_unlock(&p->lock);
}

/* ---- what the ferry_guest and the device ask --------------------------------------------------------------------- */

static int asked_to_stop(void *opaque, struct ferry_error *err)
{
    pattern_stop(opaque);
    return 0;
}

static int asked_to_start(void *opaque, struct ferry_error *err)
{
    return pattern_start(opaque, err);
}

static int map_announced(struct pattern *p, const char *name, uint64_t length, struct mapping **mapping,
                         struct ferry_error *err)
{
    bool is_ram = !strcmp(name, RAM_NAME);

    if (!is_ram && strcmp(name, UNTOUCHED_NAME) != 0)
        return ferry_error_set(err, -ENOENT, "a pattern guest has no block '%s'", name);
    *mapping = is_ram ? &p->ram : &p->untouched;
    if ((*mapping)->host)
        return ferry_error_set(err, -EEXIST, "block '%s' is there already, with another length", name);
    if (length == 0 || length % FERRY_PAGE_BYTES || length > (is_ram ? SPEC_SIZE_MAX : SPEC_UNTOUCHED_MAX))
        return ferry_error_set(err, -EINVAL, "block '%s' cannot have %" PRIu64 " bytes", name, length);
    return mapping_map(*mapping, length, MAPPING_LAZY | MAPPING_HUGE, err);
}

static int asked_for_block(void *opaque, const char *name, uint64_t length, struct ferry_block *block,
                           struct ferry_error *err)
{
    struct pattern *p = opaque;
    struct mapping *mapping = NULL;
    int ret;

    if (p->vfio && !strcmp(name, VFIO_DMA_NAME))
        return vfio_sim_provide(p->vfio, length, block, err);
    pthread_mutex_lock(&p->lock);
    ret = map_announced(p, name, length, &mapping, err);
    if (ret == 0) {
        block->host = mapping->host;
        block->length = mapping->bytes;
        block->page_size = FERRY_PAGE_BYTES;
        block->flags = FERRY_BLOCK_PRIVATE | FERRY_BLOCK_FRESH;
        p->state.ram_bytes = p->ram.bytes;
        p->state.untouched_bytes = p->untouched.bytes;
    }
    pthread_mutex_unlock(&p->lock);
    return ret;
}

static int asked_to_throttle(void *opaque, unsigned percent, struct ferry_error *err)
{
    struct pattern *p = opaque;

    pthread_mutex_lock(&p->lock);
    if (p->writers)
        writers_throttle(p->writers, percent);
    pthread_mutex_unlock(&p->lock);
    return 0;
}

static const struct ferry_guest_ops ferry_ops = {
    .stop = asked_to_stop,
    .start = asked_to_start,
    .provide_block = asked_for_block,
    .throttle = asked_to_throttle,
};

static void state_saving(void *opaque)
{
    struct pattern *p = opaque;

    heart_read(p->heart, &p->state.heart);
}

/* With the memory and the state there: everything that follows from them. */
static int make_parts(struct pattern *p, bool trusted, struct ferry_error *err)
{
    const struct toucher_terms terms = {
        .ram = p->ram.host,
        .bytes = p->ram.bytes,
        .bytes_per_sec = p->state.spec.reads_bytes_per_sec,
        .seed = content_hash(p->state.spec.seed),
        .gate = &p->gate,
        .touches = &p->touches,
    };

    p->regions = regions_new(&p->state.spec, p->ram.host, p->state.writes, trusted, err);
    if (!p->regions)
        return -ENOMEM;
    p->regions->own = p->state.own;
    p->writers = writers_new(&p->state.spec, p->regions, &p->gate, &p->touches, p->trace, err);
    if (!p->writers)
        return -EAGAIN;
    if (terms.bytes_per_sec > 0) {
        p->toucher = toucher_new(&terms, err);
        return p->toucher ? 0 : -EAGAIN;
    }
    return 0;
}

/* The device's own sections come before any other state. */
static uint64_t device_bytes(void *opaque)
{
    struct pattern *p = opaque;
    struct vfio_sim_figures figures = { 0 };

    if (p->vfio)
        vfio_sim_figures(p->vfio, &figures);
    return figures.memory_bytes;
}

static int state_loaded(void *opaque, struct ferry_error *err)
{
    struct pattern *p = opaque;
    int ret;

    pthread_mutex_lock(&p->lock);
    heart_resume(p->heart, &p->state.heart);
    ret = make_parts(p, false, err);
    pthread_mutex_unlock(&p->lock);
    return ret;
}

static const struct pattern_state_ops state_ops = {
    .saving = state_saving,
    .device_bytes = device_bytes,
    .loaded = state_loaded,
};

/* ---- making and freeing ------------------------------------------------------------------------------------------ */

static void pattern_free(struct bench_guest *base)
{
    struct pattern *p = of_base(base);

    pattern_stop(p);
    gate_quit(&p->gate);
    writers_free(p->writers);
    toucher_free(p->toucher);
    heart_free(p->heart);
    regions_free(p->regions);
    ferry_guest_free(p->ferry);
    vfio_sim_free(p->vfio);
    findings_destroy(&p->device_findings);
    mapping_unmap(&p->ram);
    mapping_unmap(&p->untouched);
    free(p->state.writes);
    free(p->state.own);
    trace_free(p->trace);
    gate_destroy(&p->gate);
    touches_destroy(&p->touches);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* What both ends have: a device, and a heart that does not beat yet. */
static struct pattern *make_common(struct ferry_error *err)
{
    struct pattern *p = calloc(1, sizeof(*p));

    if (!p || pthread_mutex_init(&p->lock, NULL) != 0)
        goto fail;
    if (findings_init(&p->device_findings) < 0) {
        pthread_mutex_destroy(&p->lock);
        goto fail;
    }
    if (gate_init(&p->gate) < 0) {
        findings_destroy(&p->device_findings);
        pthread_mutex_destroy(&p->lock);
        goto fail;
    }
    if (touches_init(&p->touches) < 0) {
        gate_destroy(&p->gate);
        findings_destroy(&p->device_findings);
        pthread_mutex_destroy(&p->lock);
        goto fail;
    }
    p->base.ops = &pattern_guest_ops;
    p->state.ops = &state_ops;
    p->state.opaque = p;
    p->ferry = ferry_guest_new(MACHINE, &ferry_ops, p, err);
    if (p->ferry && ferry_guest_add_device(p->ferry, &pattern_state_desc, &p->state, NULL, 0, err) == 0)
        p->heart = heart_new(&p->gate, err);
    if (p->heart)
        return p;
    pattern_free(&p->base);
    return NULL;
fail:
    free(p);
    ferry_error_set(err, -ENOMEM, "out of memory for a guest");
    return NULL;
}

static int add_block(struct pattern *p, const char *name, const struct mapping *mapping, struct ferry_error *err)
{
    const struct ferry_block block = {
        .name = name,
        .host = mapping->host,
        .length = mapping->bytes,
        .page_size = FERRY_PAGE_BYTES,
        .flags = FERRY_BLOCK_PRIVATE,
    };

    return ferry_guest_add_block(p->ferry, &block, err);
}

static int make_memory(struct pattern *p, struct ferry_error *err)
{
    const struct guest_spec *spec = &p->state.spec;
    int ret = mapping_map(&p->ram, spec->size_bytes, spec->huge ? MAPPING_HUGE : 0, err);

    if (ret == 0)
        ret = add_block(p, RAM_NAME, &p->ram, err);
    if (ret == 0 && spec->untouched_bytes > 0) {
        ret = mapping_map(&p->untouched, spec->untouched_bytes, MAPPING_LAZY | MAPPING_HUGE, err);
        if (ret == 0)
            ret = add_block(p, UNTOUCHED_NAME, &p->untouched, err);
    }
    if (ret < 0)
        return ret;
    p->state.ram_bytes = spec->size_bytes;
    p->state.untouched_bytes = spec->untouched_bytes;
    p->state.region_count = regions_count(spec->size_bytes);
    p->state.loaded = true;
    p->state.writes = calloc(p->state.region_count, sizeof(*p->state.writes));
    p->state.own_count = p->trace ? (uint32_t)(spec->size_bytes / FERRY_PAGE_BYTES) : 0;
    p->state.own = p->trace ? calloc(p->state.own_count, sizeof(*p->state.own)) : NULL;
    if (!p->state.writes || (p->trace && !p->state.own))
        return ferry_error_set(err, -ENOMEM, "out of memory for the guest's generations");
    return 0;
}

/* A device as the spec has it; at a destination one that waits for what comes. */
static int make_device(struct pattern *p, struct ferry_error *err)
{
    const struct guest_spec *spec = &p->state.spec;
    const struct vfio_sim_config config = { .memory_bytes = spec->vfio_bytes,
                                            .bytes_per_sec = spec->vfio_bytes ? DEVICE_BYTES_PER_SEC : 0,
                                            .seed = content_hash(spec->seed),
                                            .still = spec->vfio_still };

    p->vfio = vfio_sim_new(&config, &p->device_findings, err);
    return p->vfio ? vfio_sim_add_to(p->vfio, p->ferry, err) : -ENOMEM;
}

/* What is replayed says how much memory there is, unless that was said, and how much is written. */
static int take_trace(struct pattern *p, struct ferry_error *err)
{
    struct guest_spec *spec = &p->state.spec;

    if (spec->pattern != SPEC_TRACE)
        return 0;
    p->trace = trace_read(spec->trace, err);
    if (!p->trace)
        return -EINVAL;
    if (!spec->sized)
        spec->size_bytes = p->trace->pages * FERRY_PAGE_BYTES;
    if (p->trace->span > spec->size_bytes / FERRY_PAGE_BYTES)
        return ferry_error_set(err, -EINVAL, "%s: it writes %" PRIu64 " pages, and size has %" PRIu64, spec->trace,
                               p->trace->span, spec->size_bytes / FERRY_PAGE_BYTES);
    spec->dirty_bytes_per_sec = trace_bytes_per_sec(p->trace);
    return spec_check(spec, err);
}

static struct bench_guest *pattern_create(const char *keys, struct ferry_error *err)
{
    struct guest_spec spec;
    struct pattern *p;

    if (spec_parse(keys, &spec, err) < 0)
        return NULL;
    if (spec.dirty_log) {
        ferry_error_set(err, -EINVAL, "dirty-log: a pattern guest has no log of KVM's; a kvm guest has");
        return NULL;
    }
    p = make_common(err);
    if (!p)
        return NULL;
    p->state.spec = spec;
    if (spec.beats > 0)
        heart_set_period(p->heart, NS_PER_SEC / spec.beats);
    if (take_trace(p, err) < 0 || make_memory(p, err) < 0 || make_parts(p, true, err) < 0 ||
        (spec.vfio_bytes > 0 && make_device(p, err) < 0)) {
        pattern_free(&p->base);
        return NULL;
    }
    regions_fill(p->regions);
    return &p->base;
}

static struct bench_guest *pattern_incoming(struct ferry_error *err)
{
    struct pattern *p = make_common(err);

    if (p && make_device(p, err) < 0) {
        pattern_free(&p->base);
        p = NULL;
    }
    return p ? &p->base : NULL;
}

/* ---- the check --------------------------------------------------------------------------------------------------- */

/* What a device holds, and what it wrote to guest memory. */
static void verify_device(struct pattern *p, struct bench_verify *out)
{
    const struct findings *findings = &p->device_findings;
    uint64_t bytes = device_bytes(p);

    if (bytes == 0)
        return;
    vfio_sim_check(p->vfio);
    out->pages += (bytes + VFIO_DMA_BYTES) / FERRY_PAGE_BYTES;
    out->mismatched += findings->mismatched;
    out->lost_writes += findings->lost_writes;
    if (!out->first[0])
        memcpy(out->first, findings->first, sizeof(out->first));
}

static int pattern_verify(struct bench_guest *base, uint64_t run_on_ns, struct bench_verify *out,
                          struct ferry_error *err)
{
    struct pattern *p = of_base(base);
    struct findings *findings;
    bool there;
    int ret = 0;

    pthread_mutex_lock(&p->lock);
    there = p->writers;
    pthread_mutex_unlock(&p->lock);
    if (!there)
        return ferry_error_set(err, -EPROTO, "a guest without state cannot be checked");
    touches_end(&p->touches);
    regions_check(p->regions);
    if (run_on_ns > 0)
        clock_sleep_until_ns(clock_now_ns() + (int64_t)(run_on_ns < INT64_MAX / 2 ? run_on_ns : INT64_MAX / 2));
    pattern_stop(p);
    regions_check(p->regions);
    if (p->untouched.host)
        ret = untouched_check(&p->untouched, UNTOUCHED_NAME, &p->regions->findings, err);
    if (ret < 0)
        return ret;
    findings = &p->regions->findings;
    *out = (struct bench_verify){
        .pages = (p->ram.bytes + p->untouched.bytes) / FERRY_PAGE_BYTES,
        .mismatched = findings->mismatched,
        .lost_writes = findings->lost_writes,
    };
    memcpy(out->first, findings->first, sizeof(out->first));
    verify_device(p, out);
    return 0;
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static void pattern_figures(struct bench_guest *base, struct bench_figures *out)
{
    struct pattern *p = of_base(base);
    struct heart_record record;
    struct heart_blackout blackout;
    int64_t ran_ns;

    pthread_mutex_lock(&p->lock);
    heart_read(p->heart, &record);
    blackout = heart_blackout(p->heart);
    ran_ns = p->ran_ns + (p->running_since_ns ? clock_now_ns() - p->running_since_ns : 0);
    *out = (struct bench_figures){
        .ram_bytes = p->ram.bytes + p->untouched.bytes + (device_bytes(p) ? VFIO_DMA_BYTES : 0),
        .pages_written = p->writers ? writers_pages(p->writers) : 0,
        .beats = record.beats,
        .largest_gap_ns = record.largest_gap_ns,
        .blackout_ns = blackout.ns,
        .blackout_by_wall_clock = blackout.by_wall_clock,
    };
    pthread_mutex_unlock(&p->lock);
    touches_summary(&p->touches, &out->touches);
    if (ran_ns > 0)
        out->dirty_bytes_per_sec =
            (uint64_t)((double)out->pages_written * FERRY_PAGE_BYTES * NS_PER_SEC / (double)ran_ns);
}

static struct ferry_guest *pattern_ferry(struct bench_guest *base)
{
    return of_base(base)->ferry;
}

static int pattern_started(struct bench_guest *base, struct ferry_error *err)
{
    return pattern_start(of_base(base), err);
}

static int pattern_stopped(struct bench_guest *base, struct ferry_error *err)
{
    pattern_stop(of_base(base));
    return 0;
}

const struct bench_guest_ops pattern_guest_ops = {
    .kind = "pattern",
    .create = pattern_create,
    .incoming = pattern_incoming,
    .ferry = pattern_ferry,
    .start = pattern_started,
    .stop = pattern_stopped,
    .verify = pattern_verify,
    .figures = pattern_figures,
    .free = pattern_free,
};
