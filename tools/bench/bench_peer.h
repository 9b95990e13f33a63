/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_peer.h - the other end of a benchmark, as the bench sees it: a `ferry bench --serve`, or a process of its own
 */
#ifndef TOOLS_BENCH_PEER_H
#define TOOLS_BENCH_PEER_H

#include "json_lines.h"

#include <ferry/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct bench_peer {
    int fd;         /* -1: there is none */
    pid_t child;    /* --local: the agent; 0: none */
    json_t *hello;  /* what it said first */
    json_t *answer; /* of bench_peer_ask(): the last event that is no news of a migration */
    char *refusal;  /* why not; NULL: it was not refused */
    struct json_lines lines;
};

/* Nothing there yet; bench_peer_close() is legal from here on. */
void bench_peer_init(struct bench_peer *peer);

/**
 * bench_peer_open() - reach the other end, and hear its hello
 * @uri: tcp: or unix: of a `ferry bench --serve`; NULL: an agent of our own, on this host
 *
 * -EPROTO: who answers there is no such thing.
 */
int bench_peer_open(struct bench_peer *peer, const char *uri, struct ferry_error *err);

/* Send a request; takes it. */
int bench_peer_send(struct bench_peer *peer, json_t *request, struct ferry_error *err);

/* Send a request and wait for @event: borrowed from @peer until the next call.  NULL with @err set. */
const json_t *bench_peer_ask(struct bench_peer *peer, json_t *request, const char *event, struct ferry_error *err);

/* Wait for one more @event. */
const json_t *bench_peer_wait(struct bench_peer *peer, const char *event, struct ferry_error *err);

/* The speed of bare streams to there, in bytes per second. */
int bench_peer_ceiling(struct bench_peer *peer, const char *via, unsigned streams, int64_t duration_ns, double *rate,
                       struct ferry_error *err);

void bench_peer_close(struct bench_peer *peer);

#endif
