/* SPDX-License-Identifier: BSD-3-Clause */
/* blockers.h - the reasons why a guest cannot be migrated now */
#ifndef SESSION_BLOCKERS_H
#define SESSION_BLOCKERS_H

#include <ferry/blocker.h>
#include <pthread.h>

struct blocker {
    int token;
    char *reason; /* owned */
};

struct blockers {
    pthread_mutex_t lock;    /* guards the rest */
    struct blocker *reasons; /* owned */
    unsigned count;
    unsigned leaving; /* migrations under way */
    int last_token;
};

void blockers_init(struct blockers *blockers);
void blockers_clear(struct blockers *blockers);

/* 0, or -EPERM with all reasons.  Thread: any, as with the others. */
int blockers_check(struct blockers *blockers, struct ferry_error *err);

/* The same, and from now until blockers_release() nobody can add a reason. */
int blockers_claim(struct blockers *blockers, struct ferry_error *err);
void blockers_release(struct blockers *blockers);

#endif
