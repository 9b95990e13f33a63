/* SPDX-License-Identifier: BSD-3-Clause */
/* touches.c - how long the guest's own touches of its memory took, by its own clock */
#include "touches.h"

int touches_init(struct touches *touches)
{
    return -pthread_mutex_init(&touches->lock, NULL);
}

void touches_destroy(struct touches *touches)
{
    pthread_mutex_destroy(&touches->lock);
}

void touches_note(struct touches *touches, int64_t ns)
{
    if (ns < TOUCHES_MIN_NS)
        return;
    pthread_mutex_lock(&touches->lock);
    if (!touches->over)
        latency_add(&touches->latency, ns);
    pthread_mutex_unlock(&touches->lock);
}

void touches_end(struct touches *touches)
{
    pthread_mutex_lock(&touches->lock);
    touches->over = true;
    pthread_mutex_unlock(&touches->lock);
}

void touches_summary(struct touches *touches, struct ferry_latency *summary)
{
    pthread_mutex_lock(&touches->lock);
    latency_summary(&touches->latency, summary);
    pthread_mutex_unlock(&touches->lock);
}
