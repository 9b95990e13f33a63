/* SPDX-License-Identifier: BSD-3-Clause */
/* throttle.c - how much a guest may be held back, and for how long */
#include "throttle.h"

static void pass(struct throttle *throttle, int64_t now_ns)
{
    uint64_t passed = now_ns > throttle->since_ns ? (uint64_t)(now_ns - throttle->since_ns) : 0;

    if (throttle->now > 0)
        throttle->held_ns += passed;
    if (throttle->now > throttle->bearable)
        throttle->above_ns += passed;
    throttle->since_ns = now_ns;
}

unsigned throttle_look(struct throttle *throttle, int64_t now_ns)
{
    bool spent;

    pass(throttle, now_ns);
    spent = throttle->peak_ns > 0 && throttle->above_ns >= throttle->peak_ns;
    throttle->now = spent && throttle->wanted > throttle->bearable ? throttle->bearable : throttle->wanted;
    return throttle->now;
}

unsigned throttle_want(struct throttle *throttle, unsigned percent, int64_t now_ns)
{
    pass(throttle, now_ns);
    throttle->wanted = percent;
    return throttle_look(throttle, now_ns);
}
