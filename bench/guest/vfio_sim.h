/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_sim.h - a device like those behind VFIO: memory of its own, DMA into the guest's, state that only it understands
 *
 *      iterative device "vfio-sim"     its memory, page by page, by its own dirty log; then an opaque blob
 *      described device "vfio-sim/pci" its configuration space
 *      block "vfio.dma"                guest memory that it writes, with a tracker of its own
 *
 * A thread writes both memories while the device runs (vfio_state.h).  Notices of the migration and the guest's start
 * and stop move it from state to state.
 */
#ifndef BENCH_VFIO_SIM_H
#define BENCH_VFIO_SIM_H

#include "findings.h"
#include "vfio_state.h"

#include <ferry/guest.h>
#include <ferry/iterative.h>

#define VFIO_NAME       "vfio-sim"
#define VFIO_DMA_NAME   "vfio.dma"
#define VFIO_DMA_BYTES  (UINT64_C(1) << 20)
#define VFIO_MEMORY_MAX (UINT64_C(1) << 30)
#define VFIO_RATE_MAX   (UINT64_C(1) << 30)

/* What the handlers put and take; see vfio_stream.c. */
#define VFIO_MODEL         "https://example.org/devices/vfio-sim"
#define VFIO_INITIAL_BYTES (64u << 10)

struct vfio_sim;

struct vfio_sim_config {
    uint64_t memory_bytes;  /* 0: comes with the stream */
    uint64_t bytes_per_sec; /* that it writes, of both memories together, at most VFIO_RATE_MAX; 0: none */
    uint64_t seed;
    bool postcopy; /* it says that it can go on after the switch */
    bool still;    /* its memory can be read only while it stands still */
};

struct vfio_sim_figures {
    uint64_t memory_bytes; /* of its own; 0: there is no device */
    uint64_t writes;       /* pages, in its whole life */
    enum vfio_state state;
    bool loaded; /* its state came from elsewhere */
};

/**
 * vfio_sim_new() - a device, not running
 * @findings: borrowed; bad pages are noted there
 */
struct vfio_sim *vfio_sim_new(const struct vfio_sim_config *config, struct findings *findings, struct ferry_error *err);

/* No session may be using it any more.  NULL is legal. */
void vfio_sim_free(struct vfio_sim *sim);

/* Everything that is to be known of it; @guest and @sim live as long as each other. */
int vfio_sim_add_to(struct vfio_sim *sim, struct ferry_guest *guest, struct ferry_error *err);

/* The stream announces VFIO_DMA_NAME. */
int vfio_sim_provide(struct vfio_sim *sim, uint64_t length, struct ferry_block *block, struct ferry_error *err);

/* The guest starts or stops.  A device that is not there is no error. */
void vfio_sim_run(struct vfio_sim *sim, bool run);

/* Check every page of both memories.  It must stand still. */
void vfio_sim_check(struct vfio_sim *sim);

/* Thread: any. */
void vfio_sim_figures(struct vfio_sim *sim, struct vfio_sim_figures *out);

/* For tests: what vfio_sim_add_to() adds. */
extern const struct ferry_iterative_ops vfio_sim_ops;
extern const struct ferry_tracker_ops vfio_sim_tracker_ops;

#endif
