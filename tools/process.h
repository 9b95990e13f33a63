/* SPDX-License-Identifier: BSD-3-Clause */
/* process.h - another process of this program, and the lines of JSON it sends here
 *
 *      parent   <-- events: a pipe, one object in a line --   child: ferry COMMAND ... --events N
 *               --- signals -------------------------------->
 *
 * The child dies with its parent, whatever ends that.
 */
#ifndef TOOLS_PROCESS_H
#define TOOLS_PROCESS_H

#include "json_lines.h"

#include <ferry/error.h>
#include <stdbool.h>
#include <sys/types.h>

struct process {
    pid_t pid; /* 0: not running */
    int fd;    /* of its events; -1: none */
    bool ended;
    int exit_status; /* once ended; that of a killed one is EXIT_FAILED */
    int words;       /* where its stderr goes, borrowed; -1: to ours */
    struct json_lines lines;
};

/* Nothing runs yet; process_close() is legal from here on. */
void process_init(struct process *process);

/**
 * process_start() - run this program again
 * @argv: its arguments, NULL-terminated, argv[0] being its name; `--events N` is put behind them
 */
int process_start(struct process *process, const char *const argv[], struct ferry_error *err);

/**
 * process_read() - take what it has sent, when its descriptor is readable
 * @event: called for each object, borrowed
 *
 * At the end of its events the process is waited for.
 */
void process_read(struct process *process, void (*event)(void *opaque, struct process *process, json_t *object),
                  void *opaque);

/* Harmless when it does not run. */
void process_signal(const struct process *process, int number);

/* Kills what still runs, waits, frees. */
void process_close(struct process *process);

#endif
