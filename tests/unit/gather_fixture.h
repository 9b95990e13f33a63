/* SPDX-License-Identifier: BSD-3-Clause */
/* gather_fixture.h - a destination that gathers on a thread of its own, and whoever connects to it */
#ifndef TESTS_GATHER_FIXTURE_H
#define TESTS_GATHER_FIXTURE_H

#include "dial.h"
#include "gather.h"

#include <pthread.h>

#define ALL 5 /* connections of a usual session: main and pages 0 to 3 */

/* What all tests of an executable share. */
struct gather_scene {
    struct watchdog *dog;
    struct ferry_options *options;
    struct ferry_listener *listener;
    char uri[100];
};

extern struct gather_scene scene;

int gather_set_up(void **state);
int gather_tear_down(void **state);

/* One destination. */
struct party {
    struct gather *gather;
    struct ferry_listener *listener;
    struct ferry_channel *first;
    struct gather_result result;
    struct ferry_error err;
    pthread_t thread;
    int ret;
};

void party_begin_with(struct party *party, const struct gather_terms *terms, struct ferry_listener *from,
                      struct ferry_channel *first);
void party_begin(struct party *party);
int party_end(struct party *party);
void party_clear(struct party *party);

/* Somebody connects, and perhaps says something. */
struct ferry_channel *connected(void);
struct ferry_channel *connected_saying(const void *data, size_t bytes);
struct ferry_channel *connected_with(const struct hello *hello);

/* The hellos of a session of ALL connections. */
void introduce(struct hello hellos[ALL]);

void assert_agreed(struct ferry_channel *chan, const struct hello *hello);

/* It is refused with this code, and hung up on; drops it. */
void assert_refused(struct ferry_channel *chan, enum hello_code code, const char *text);

/* What is written at one end comes out at the other. */
void assert_joined(struct ferry_channel *from, struct ferry_channel *to);

#endif
