/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_parts.h - what is inside a vfio_sim, for its files */
#ifndef BENCH_VFIO_PARTS_H
#define BENCH_VFIO_PARTS_H

#include "vfio_area.h"
#include "vfio_pci.h"
#include "vfio_sim.h"

#include <pthread.h>

/* What arrives, until it is complete. */
struct vfio_arrival {
    uint32_t initial_bytes; /* so far */
    uint8_t *blob;          /* owned */
    uint64_t blob_bytes, blob_got;
    uint8_t digest[16];
    bool loaded;
};

struct vfio_sim {
    pthread_mutex_t lock; /* guards all that follows but config, pci and thread */
    pthread_cond_t changed;
    struct vfio_sim_config config;
    struct findings *findings; /* borrowed */
    struct vfio_pci pci;       /* changes only while the device stands still */
    enum vfio_state state;
    bool guest_runs, quit;
    uint64_t random, writes;
    struct vfio_area memory, dma;
    uint32_t initial_sent;
    struct vfio_arrival arrival;
    pthread_t thread;
};

/* With a memory of that size: everything that follows from it.  Called with the lock held. */
int vfio_sim_equip(struct vfio_sim *sim, uint64_t memory_bytes, uint64_t seed, struct ferry_error *err);

#endif
