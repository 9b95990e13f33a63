/* SPDX-License-Identifier: BSD-3-Clause */
/* plan_words.h - a link and a guest in words, for a migration that is only simulated
 *
 *      link=100Gbit/s,rtt=200us  guest=12TiB,dirty=5GiB/s,hot=5%,hot-share=90%  channels=16
 */
#ifndef TOOLS_PLAN_WORDS_H
#define TOOLS_PLAN_WORDS_H

#include "simulate.h"

#include <ferry/error.h>

/* What the words say. */
struct plan_words {
    uint64_t link_bytes_per_sec; /* 0: not said */
    uint64_t rtt_ns;
    uint64_t guest_bytes; /* 0: not said */
    uint64_t dirty_bytes_per_sec;
    uint64_t device_bytes;
    uint64_t per_channel_bytes_per_sec; /* 0: more than the link */
    uint64_t channels;
    uint64_t cpu_ns_per_mib;
    unsigned zero_percent, hot_percent, hot_share_percent, ratio_percent;
    bool in_order; /* pattern=sequential */
};

/* As if nothing was said. */
void plan_words_init(struct plan_words *words);

/* "key=value,key=value": adds to @words. */
int plan_words_parse(struct plan_words *words, const char *text, struct ferry_error *err);

/* What is to be simulated; the limit and hot pages are the caller's to set.  -EINVAL: something is missing. */
int plan_words_terms(const struct plan_words *words, struct sim_terms *terms, struct ferry_error *err);

#endif
