/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_sim.c - a device like those behind VFIO: memory of its own, DMA into the guest's, state that only it understands
 */
#include "vfio_sim.h"

#include "clock.h"
#include "pace.h"
#include "vfio_parts.h"

#include <errno.h>
#include <ferry/notify.h>
#include <ferry/rules.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- running ----------------------------------------------------------------------------------------------------- */

static bool is_running(const struct vfio_sim *sim)
{
    return sim->state == VFIO_RUNNING || sim->state == VFIO_PRE_COPY;
}

static uint64_t draw(struct vfio_sim *sim, uint64_t below)
{
    sim->random ^= sim->random << 13;
    sim->random ^= sim->random >> 7;
    sim->random ^= sim->random << 17;
    return (sim->random >> 11) % below;
}

/* One page, mostly of its own memory. */
static void write_one(struct vfio_sim *sim)
{
    struct vfio_area *area = draw(sim, 8) == 0 && vfio_pci_is_master(&sim->pci) ? &sim->dma : &sim->memory;

    if (area->pages > 0)
        vfio_area_write(area, draw(sim, area->pages));
    sim->writes++;
}

/* Called with the lock held, which it drops while it waits. */
static void write_while_running(struct vfio_sim *sim)
{
    struct pace pace;

    pace_start(&pace, sim->config.bytes_per_sec, clock_now_ns());
    while (is_running(sim) && !sim->quit) {
        struct timespec until;

        for (uint64_t due = pace_due(&pace, clock_now_ns()); due > 0; due--)
            write_one(sim);
        until = clock_timespec(pace_next_ns(&pace, clock_now_ns()));
        pthread_cond_timedwait(&sim->changed, &sim->lock, &until);
    }
}

static void *device_main(void *opaque)
{
    struct vfio_sim *sim = opaque;

    pthread_mutex_lock(&sim->lock);
    while (!sim->quit) {
        if (is_running(sim))
            write_while_running(sim);
        else
            pthread_cond_wait(&sim->changed, &sim->lock);
    }
    pthread_mutex_unlock(&sim->lock);
    return NULL;
}

/* Called with the lock held.  A device in its error state stays there. */
static int move_to(struct vfio_sim *sim, enum vfio_state to, struct ferry_error *err)
{
    int ret = sim->state == VFIO_ERROR ? 0 : vfio_state_move(&sim->state, to, err);

    pthread_cond_broadcast(&sim->changed);
    return ret;
}

void vfio_sim_run(struct vfio_sim *sim, bool run)
{
    bool saving;

    pthread_mutex_lock(&sim->lock);
    saving = sim->state == VFIO_PRE_COPY || sim->state == VFIO_STOP_COPY;
    sim->guest_runs = run;
    if (sim->memory.pages == 0)
        ; /* there is none */
    else if (run)
        move_to(sim, VFIO_RUNNING, NULL);
    else
        move_to(sim, saving ? VFIO_STOP_COPY : VFIO_STOPPED, NULL);
    pthread_mutex_unlock(&sim->lock);
}

/* What the migration wants, as a state of ours. */
static enum vfio_state wanted(const struct vfio_sim *sim, const struct ferry_notice *notice)
{
    switch (notice->device) {
    case FERRY_DEVICE_RUNNING:
        return sim->guest_runs ? VFIO_RUNNING : VFIO_STOPPED;
    case FERRY_DEVICE_RUNNING | FERRY_DEVICE_SAVING:
        return sim->guest_runs ? VFIO_PRE_COPY : VFIO_STOPPED;
    case FERRY_DEVICE_SAVING:
        return VFIO_STOP_COPY;
    case FERRY_DEVICE_RESUMING:
        return VFIO_RESUMING;
    default:
        return VFIO_STOPPED;
    }
}

static int noticed(void *opaque, const struct ferry_notice *notice, struct ferry_error *err)
{
    struct vfio_sim *sim = opaque;
    int ret;

    pthread_mutex_lock(&sim->lock);
    ret = move_to(sim, wanted(sim, notice), err);
    pthread_mutex_unlock(&sim->lock);
    return ret;
}

/* ---- the log of what it writes to guest memory ------------------------------------------------------------------- */

static int tracker_start(void *opaque, const struct ferry_block *block, struct ferry_error *err)
{
    return 0; /* it keeps its log all the time */
}

static int tracker_sync(void *opaque, const struct ferry_block *block, uint64_t *bitmap, struct ferry_error *err)
{
    struct vfio_sim *sim = opaque;

    pthread_mutex_lock(&sim->lock);
    if (block->host == sim->dma.map.host)
        vfio_area_report(&sim->dma, bitmap);
    pthread_mutex_unlock(&sim->lock);
    return 0;
}

static void tracker_stop(void *opaque, const struct ferry_block *block)
{
}

const struct ferry_tracker_ops vfio_sim_tracker_ops = {
    .name = "vfio-sim",
    .start = tracker_start,
    .sync = tracker_sync,
    .stop = tracker_stop,
};

/* ---- what a guest is told of it ---------------------------------------------------------------------------------- */

/* A device that came must be complete, and hold what it should where one looks. */
static int self_check(void *opaque, struct ferry_error *err)
{
    struct vfio_sim *sim = opaque;
    int ret = 0;

    pthread_mutex_lock(&sim->lock);
    if (sim->memory.pages > 0 && !sim->arrival.loaded)
        ret = ferry_error_set(err, -EIO, "its memory came, but not its state");
    else if (sim->memory.pages > 0 && (!vfio_area_check(&sim->memory, 0) || !vfio_area_check(&sim->dma, 0)))
        ret = ferry_error_set(err, -EIO, "its first pages are not what its state says");
    pthread_mutex_unlock(&sim->lock);
    return ret;
}

static const struct ferry_device_rules rules = { .self_check = self_check };

static int add_block(struct vfio_sim *sim, struct ferry_guest *guest, struct ferry_error *err)
{
    struct ferry_block block = {
        .name = VFIO_DMA_NAME,
        .host = sim->dma.map.host,
        .length = sim->dma.map.bytes,
        .page_size = FERRY_PAGE_BYTES,
        .flags = FERRY_BLOCK_PRIVATE,
    };

    return block.host ? ferry_guest_add_block(guest, &block, err) : 0;
}

int vfio_sim_add_to(struct vfio_sim *sim, struct ferry_guest *guest, struct ferry_error *err)
{
    int ret = add_block(sim, guest, err);

    if (ret == 0)
        ret = ferry_guest_add_iterative(guest, VFIO_NAME, 0, 1, &vfio_sim_ops, sim, err);
    if (ret == 0)
        ret = ferry_guest_add_device(guest, &vfio_pci_desc, &sim->pci, NULL, 0, err);
    if (ret == 0)
        ret = ferry_guest_set_rules(guest, VFIO_NAME, 0, &rules, sim, err);
    if (ret == 0)
        ret = ferry_guest_add_notifier(guest, noticed, sim, err);
    if (ret == 0)
        ret = ferry_guest_add_device_tracker(guest, &vfio_sim_tracker_ops, sim, err);
    return ret;
}

int vfio_sim_provide(struct vfio_sim *sim, uint64_t length, struct ferry_block *block, struct ferry_error *err)
{
    int ret;

    if (length != VFIO_DMA_BYTES)
        return ferry_error_set(err, -EINVAL, "block '%s' of %" PRIu64 " bytes instead of %" PRIu64, VFIO_DMA_NAME,
                               length, VFIO_DMA_BYTES);
    pthread_mutex_lock(&sim->lock);
    if (sim->dma.map.host)
        ret = ferry_error_set(err, -EEXIST, "block '%s' is there already", VFIO_DMA_NAME);
    else
        ret = vfio_area_make(&sim->dma, VFIO_DMA_NAME, VFIO_DMA_BYTES, 0, sim->findings, err);
    if (ret == 0) {
        block->host = sim->dma.map.host;
        block->length = sim->dma.map.bytes;
        block->page_size = FERRY_PAGE_BYTES;
        block->flags = FERRY_BLOCK_PRIVATE | FERRY_BLOCK_FRESH;
    }
    pthread_mutex_unlock(&sim->lock);
    return ret;
}

/* ---- making and checking ----------------------------------------------------------------------------------------- */

int vfio_sim_equip(struct vfio_sim *sim, uint64_t memory_bytes, uint64_t seed, struct ferry_error *err)
{
    const struct guest_spec dma_spec = { .seed = content_hash(seed), .content = SPEC_RANDOM };
    int ret = vfio_area_make(&sim->memory, VFIO_NAME, memory_bytes, seed, sim->findings, err);

    if (ret == 0 && !sim->dma.map.host)
        ret = vfio_area_make(&sim->dma, VFIO_DMA_NAME, VFIO_DMA_BYTES, 0, sim->findings, err);
    if (ret < 0)
        return ret;
    content_init(&sim->dma.content, &dma_spec);
    sim->config.memory_bytes = memory_bytes;
    sim->config.seed = seed;
    sim->pci.present = true;
    return 0;
}

static int init_locks(struct vfio_sim *sim)
{
    pthread_condattr_t attr;
    int ret = pthread_mutex_init(&sim->lock, NULL);

    if (ret != 0)
        return -ret;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    ret = pthread_cond_init(&sim->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (ret != 0)
        pthread_mutex_destroy(&sim->lock);
    return -ret;
}

static void destroy(struct vfio_sim *sim)
{
    vfio_area_clear(&sim->memory);
    vfio_area_clear(&sim->dma);
    free(sim->arrival.blob);
    pthread_cond_destroy(&sim->changed);
    pthread_mutex_destroy(&sim->lock);
    free(sim);
}

struct vfio_sim *vfio_sim_new(const struct vfio_sim_config *config, struct findings *findings, struct ferry_error *err)
{
    struct vfio_sim *sim = calloc(1, sizeof(*sim));
    int ret = sim ? init_locks(sim) : -ENOMEM;

    if (ret < 0) {
        free(sim);
        ferry_error_set(err, ret, "out of memory for a device");
        return NULL;
    }
    sim->config = *config;
    sim->findings = findings;
    sim->random = content_hash(config->seed) | 1;
    vfio_pci_reset(&sim->pci, 0xfe000000);
    if (config->memory_bytes > 0) {
        if (vfio_sim_equip(sim, config->memory_bytes, config->seed, err) < 0)
            goto fail;
        vfio_area_fill(&sim->memory);
        vfio_area_fill(&sim->dma);
    }
    ret = -pthread_create(&sim->thread, NULL, device_main, sim);
    if (ret == 0)
        return sim;
    ferry_error_set(err, ret, "cannot start a device: %s", strerror(-ret));
fail:
    destroy(sim);
    return NULL;
}

void vfio_sim_free(struct vfio_sim *sim)
{
    if (!sim)
        return;
    pthread_mutex_lock(&sim->lock);
    sim->quit = true;
    pthread_cond_broadcast(&sim->changed);
    pthread_mutex_unlock(&sim->lock);
    pthread_join(sim->thread, NULL);
    destroy(sim);
}

void vfio_sim_check(struct vfio_sim *sim)
{
    pthread_mutex_lock(&sim->lock);
    for (uint64_t page = 0; page < sim->memory.pages; page++)
        vfio_area_check(&sim->memory, page);
    for (uint64_t page = 0; sim->memory.pages > 0 && page < sim->dma.pages; page++)
        vfio_area_check(&sim->dma, page);
    pthread_mutex_unlock(&sim->lock);
}

void vfio_sim_figures(struct vfio_sim *sim, struct vfio_sim_figures *out)
{
    pthread_mutex_lock(&sim->lock);
    *out = (struct vfio_sim_figures){
        .memory_bytes = sim->memory.map.bytes,
        .writes = sim->writes,
        .state = sim->state,
        .loaded = sim->arrival.loaded,
    };
    pthread_mutex_unlock(&sim->lock);
}
