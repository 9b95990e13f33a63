/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_agent.h - the other end of a benchmark: does on its host what the bench asks for, a line of JSON each
 *
 *      bench                                                          agent
 *                                                        <--  {"event": "hello", "version": .., "hardware": {..}}
 *      {"do": "receive", "guest": "pattern", "settings": {..}}  -->   ferry recv ... in a process of its own
 *                                                        <--  {"event": "listening", "address": ..}, figures, report
 *                                                        <--  {"event": "ended", "status": N, "words": ".."}
 *      {"do": "ceiling", "streams": N, "duration-ns": N}        -->
 *                                                        <--  {"event": "listening", "address": ..}
 *                                                        <--  {"event": "ceiling", "bytes-per-second": ..}
 *      {"do": "stop"}                                           -->   what runs is cancelled
 *                                                        <--  {"event": "refused", "text": ".."}    to any of them
 *
 * Whoever may connect can make it receive a synthetic guest, with settings that name nothing of this host, and nothing
 * else.  A guest takes memory: an agent is for hosts that are there to be measured.
 */
#ifndef TOOLS_BENCH_AGENT_H
#define TOOLS_BENCH_AGENT_H

#include <ferry/channel.h>
#include <ferry/error.h>
#include <jansson.h>

#define AGENT_VERSION 1

/**
 * agent_serve() - one bench, until it hangs up
 * @fd: connected to it; borrowed
 * @listen: where guests and bare streams shall come: "tcp:192.0.2.7:0", a port being chosen each time
 */
void agent_serve(int fd, const char *listen);

/**
 * agent_listen() - one bench after another; others meanwhile are told that it is busy
 * @stop_fd: ends it when it becomes readable
 */
int agent_listen(struct ferry_listener *listener, int stop_fd, struct ferry_error *err);

/* Of this host, with guestperf's names: {"cpus": N, "mem": MiB, ...}. */
json_t *agent_hardware(void);

#endif
