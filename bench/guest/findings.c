/* SPDX-License-Identifier: BSD-3-Clause */
/* findings.c - what was found wrong with guest memory: counts, and a sentence about the first page */
#include "findings.h"

#include <inttypes.h>
#include <stdio.h>

int findings_init(struct findings *findings)
{
    findings->mismatched = 0;
    findings->lost_writes = 0;
    findings->first[0] = '\0';
    return -pthread_mutex_init(&findings->lock, NULL);
}

void findings_destroy(struct findings *findings)
{
    pthread_mutex_destroy(&findings->lock);
}

void findings_note(struct findings *findings, enum content_state state, const char *block, uint64_t page,
                   const char *what)
{
    pthread_mutex_lock(&findings->lock);
    if (findings->first[0] == '\0')
        snprintf(findings->first, sizeof(findings->first), "%s: page %" PRIu64 " %s", block, page, what);
    if (state == CONTENT_STALE)
        findings->lost_writes++;
    else
        findings->mismatched++;
    pthread_mutex_unlock(&findings->lock);
}
