/* SPDX-License-Identifier: BSD-3-Clause */
/* record_target.h - another process whose writes are recorded: its writable memory, area by area
 *
 *      /proc/PID/maps   heap | memory of a guest | stack         as it is when the recording begins; what comes later
 *      pages            0 .. |  ..               | .. pages      is not seen, and what goes is given up
 *
 * Two ways to find what was written, each with the same three steps:
 *
 *      watch     a userfaultfd is made in the process, by one system call that it is made to do; from then on the
 * kernel notes each first write (Linux 6.7), and the process is left alone until the descriptor is closed compare   its
 * memory is read and compared with what it was, by sums: nothing is done to the process, but all it has in memory is
 * read each time, and a page that holds the same as before was not written
 */
#ifndef TOOLS_RECORD_TARGET_H
#define TOOLS_RECORD_TARGET_H

#include "dirty_trace.h"

#include <ferry/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct record_area {
    uint64_t start, pages; /* address; how many */
    uint64_t base;         /* the number of its first page */
    char name[64];
    bool shared;    /* between processes */
    bool gone;      /* unmapped, or not to be watched */
    uint64_t *sums; /* compare: of each page, 0 where there was none; owned */
};

struct record_target {
    pid_t pid;
    int pidfd;   /* readable when the process has ended */
    int pagemap; /* /proc/PID/pagemap */
    int uffd;    /* watch: that was made there; -1: none */
    struct record_area *area;
    unsigned count;
    uint64_t pages;    /* of all areas */
    unsigned left_out; /* areas that were more than a trace can be about */
};

/* What it looks like now.  A target of a failure may be closed. */
int record_target_open(struct record_target *target, pid_t pid, struct ferry_error *err);
void record_target_close(struct record_target *target);

struct record_way {
    const char *name;  /* in the trace */
    const char *words; /* for people */
    /* From here on what is written is found. */
    int (*start)(struct record_target *target, struct ferry_error *err);
    /* What was written in one area since the last time.  An area that cannot be looked at is gone. */
    void (*look)(struct record_target *target, struct record_area *area, struct dirty_trace *trace);
};

extern const struct record_way record_watch, record_compare;

/**
 * record_door() - a userfaultfd of another process, as a descriptor of this one
 *
 * The process stands still, does one system call (and closes what it got), and goes on with what it was doing.  It
 * is left alone where a seccomp filter might kill it for that.  Returns the descriptor or a negative errno.
 */
int record_door(const struct record_target *target, struct ferry_error *err);

#endif
