/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_run.h - one run of one row: ceilings of the link, then a migration, and what came of it
 *
 *      bench ---- ceiling, one stream; N streams; the cipher ---------------- other end
 *        '- ferry send --plan-first ------ a prediction ---- ferry recv ---.
 *        '- ferry send ------------------- a migration -------- ferry recv ---'
 *
 * {"settings", "status", "started", "seconds", "ceiling", "progress_history", "rounds", "source", "destination",
 * "plan" (as `ferry plan --json` has it), "prediction", "error"}
 */
#ifndef TOOLS_BENCH_RUN_H
#define TOOLS_BENCH_RUN_H

#include "await.h"
#include "bench_key.h"
#include "bench_peer.h"

struct bench_setup {
    const char *uri;     /* of the other end; NULL: on this host */
    int64_t ceiling_ns;  /* how long each bare stream runs; 0: not at all */
    int64_t plan_ns;     /* how long the guest is looked at before it goes, to predict how it will; 0: not */
    int64_t limit_ns;    /* how long a migration may take */
    struct await *await; /* hears signals; borrowed */
    struct bench_peer peer;
    struct bench_key key;
    char key_text[BENCH_KEY_BYTES];
};

/* Who is told how a migration goes; called for each event of the source. */
typedef void bench_run_watch(void *opaque, const json_t *figures);

/**
 * bench_run() - run a row once
 * @settings: of the row
 *
 * Returns what came of it, also of a migration that failed (a new object); NULL with -EINTR when a signal came (then
 * nothing is known), or when the other end cannot be reached.
 */
json_t *bench_run(struct bench_setup *setup, const json_t *settings, bench_run_watch *watch, void *opaque,
                  struct ferry_error *err);

#endif
