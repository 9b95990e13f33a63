/* SPDX-License-Identifier: BSD-3-Clause */
/* findings.h - what was found wrong with guest memory: counts, and a sentence about the first page */
#ifndef BENCH_FINDINGS_H
#define BENCH_FINDINGS_H

#include "content.h"

#include <pthread.h>

#define FINDINGS_TEXT_BYTES 256

struct findings {
    pthread_mutex_t lock; /* guards the rest */
    uint64_t mismatched;
    uint64_t lost_writes;
    char first[FINDINGS_TEXT_BYTES];
};

/* 0 or a negative errno. */
int findings_init(struct findings *findings);
void findings_destroy(struct findings *findings);

/* Note one bad page.  @what: what is wrong with it.  Thread: any. */
void findings_note(struct findings *findings, enum content_state state, const char *block, uint64_t page,
                   const char *what);

#endif
