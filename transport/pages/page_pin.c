/* SPDX-License-Identifier: BSD-3-Clause */
/* page_pin.c - a thread that moves pages stays on a processor near them */
#include "page_pin.h"

#include "log.h"

#include <sched.h>
#include <string.h>
#ifdef HAVE_NUMA
#include <numa.h>
#include <numaif.h>

#define PROBES 64 /* pages to be asked where they are */

/* The node of the first page found that is anywhere; -1: unknown.  Asking makes no page present. */
static int node_of(const struct ram_block *block)
{
    void *at[PROBES];
    int status[PROBES];

    for (unsigned i = 0; i < PROBES; i++)
        at[i] = block->host + (block->pages / PROBES * i << FERRY_PAGE_SHIFT);
    if (move_pages(0, PROBES, at, NULL, status, 0) != 0)
        return -1;
    for (unsigned i = 0; i < PROBES; i++) {
        if (status[i] >= 0)
            return status[i];
    }
    return -1;
}

/* Of @allowed, those on @node. */
static void keep_near(cpu_set_t *allowed, int node)
{
    struct bitmask *cpus = numa_allocate_cpumask();
    cpu_set_t near;

    CPU_ZERO(&near);
    if (numa_node_to_cpus(node, cpus) == 0) {
        for (unsigned cpu = 0; cpu < CPU_SETSIZE && cpu < cpus->size; cpu++) {
            if (numa_bitmask_isbitset(cpus, cpu) && CPU_ISSET(cpu, allowed))
                CPU_SET(cpu, &near);
        }
    }
    numa_free_cpumask(cpus);
    if (CPU_COUNT(&near) > 0)
        *allowed = near;
}

/* Of @allowed, those near the first block. */
static void keep_near_memory(cpu_set_t *allowed, const struct ram_map *map)
{
    int node = map->count > 0 && numa_available() >= 0 ? node_of(map->blocks[0]) : -1;

    if (node >= 0)
        keep_near(allowed, node);
}
#else
static void keep_near_memory(cpu_set_t *allowed, const struct ram_map *map)
{
}
#endif

static int nth_cpu(const cpu_set_t *set, unsigned n)
{
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, set) && n-- == 0)
            return cpu;
    }
    return -1;
}

int page_pin(pthread_t thread, const struct ram_map *map, unsigned index)
{
    cpu_set_t set, one;
    int cpu, ret;

    if (sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) == 0)
        return -1;
    keep_near_memory(&set, map);
    cpu = nth_cpu(&set, index % (unsigned)CPU_COUNT(&set));
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ret = pthread_setaffinity_np(thread, sizeof(one), &one);
    if (ret) {
        log_info(LOG_MEMORY, "a page channel's thread is not pinned to processor %d: %s", cpu, strerror(ret));
        return -1;
    }
    return cpu;
}
