/* SPDX-License-Identifier: BSD-3-Clause */
/* crew.c - the same work on many things, by as many threads as there are processors */
#include "crew.h"

#include "cpu.h"

#include <pthread.h>
#include <stdatomic.h>

#define HANDS_MAX 64

struct crew {
    atomic_uint_fast64_t next;
    uint64_t count;
    void (*work)(void *opaque, uint64_t index);
    void *opaque;
};

static void *hand_main(void *opaque)
{
    struct crew *crew = opaque;
    uint64_t index;

    while ((index = atomic_fetch_add_explicit(&crew->next, 1, memory_order_relaxed)) < crew->count)
        crew->work(crew->opaque, index);
    return NULL;
}

void crew_run(uint64_t count, void (*work)(void *opaque, uint64_t index), void *opaque)
{
    struct crew crew = { .count = count, .work = work, .opaque = opaque };
    pthread_t hands[HANDS_MAX];
    int wanted = cpu_count() - 1, hired = 0;

    while (hired < wanted && hired < HANDS_MAX && (uint64_t)hired + 1 < count &&
           pthread_create(&hands[hired], NULL, hand_main, &crew) == 0)
        hired++;
    hand_main(&crew);
    while (hired > 0)
        pthread_join(hands[--hired], NULL);
}
