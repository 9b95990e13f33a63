/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_child.h - one side of one migration as a process of this program, and what it said on its way out */
#ifndef TOOLS_BENCH_CHILD_H
#define TOOLS_BENCH_CHILD_H

#include "process.h"

#define CHILD_WORDS_BYTES 512

struct bench_child {
    struct process process;
    int words_fd; /* a file without a name, for its stderr; -1: none */
};

/* Nothing runs yet; bench_child_close() is legal from here on. */
void bench_child_init(struct bench_child *child);

/**
 * bench_child_start() - `ferry VERB URI --guest GUEST ...` with the settings of a row
 * @settings: of these, what are options of a migration
 * @key: of tls-creds; NULL: not encrypted
 * @more: further words, ended by NULL; at most three
 */
int bench_child_start(struct bench_child *child, const char *verb, const char *uri, const char *guest,
                      const json_t *settings, const char *key, const char *const more[], struct ferry_error *err);

/* The first line of what it wrote to stderr.  Returns @to. */
char *bench_child_words(const struct bench_child *child, char to[CHILD_WORDS_BYTES]);

/* Kills what still runs, waits, frees. */
void bench_child_close(struct bench_child *child);

#endif
