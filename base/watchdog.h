/* SPDX-License-Identifier: BSD-3-Clause */
/* watchdog.h - something happens at a deadline unless it is called off
 *
 * One thread looks after any number of watches.  A watch is memory of the caller's, zeroed before its first use, so
 * that setting one cannot fail.
 */
#ifndef BASE_WATCHDOG_H
#define BASE_WATCHDOG_H

#include <ferry/error.h>
#include <stdbool.h>
#include <stdint.h>

struct watchdog;

struct watchdog_watch {
    struct watchdog_watch *next, *previous; /* while it is set */
    int64_t when_ns;
    void (*bark)(void *opaque);
    void *opaque;
    bool set, barked;
};

/* Starts the thread.  NULL with @err set. */
struct watchdog *watchdog_new(struct ferry_error *err);

/* Ends the thread; watches that are still set are forgotten.  NULL is legal. */
void watchdog_free(struct watchdog *dog);

/**
 * watchdog_set() - call @bark once at @when_ns of clock_now_ns(), unless told otherwise before
 * @watch: borrowed until watchdog_clear(); one that is set already gets the new time and function
 * @bark: runs on the watchdog's thread with its lock held: it must neither block nor call anything of this header
 *
 * Thread: any, but one at a time for the same watch.  A lock that @bark takes must not be held here or in
 * watchdog_clear().
 */
void watchdog_set(struct watchdog *dog, struct watchdog_watch *watch, int64_t when_ns, void (*bark)(void *opaque),
                  void *opaque);

/* When this returns, @bark neither runs nor will.  Returns whether it has run since the watch was last set. */
bool watchdog_clear(struct watchdog *dog, struct watchdog_watch *watch);

#endif
