/* SPDX-License-Identifier: BSD-3-Clause */
/* await.h - do one blocking thing after another, and still hear signals and the clock
 *
 *      main thread    --- poll: signal? done? 100 ms over? --- tick --- tick --- interrupt --- done
 *      another thread --------------------- work ----------------------------------------------'
 *
 * The first signal is told to the program, so that it can give up in good order.  After it signals have their usual
 * effect again: the second one kills, unless the program holds on to them.
 */
#ifndef TOOLS_AWAIT_H
#define TOOLS_AWAIT_H

#include <ferry/error.h>
#include <stdbool.h>

struct await;

/* Blocks SIGINT, SIGTERM, SIGHUP (those that are not ignored) and SIGPIPE in this thread and all it will start. */
struct await *await_new(struct ferry_error *err);

/* NULL is legal.  The signals stay blocked. */
void await_free(struct await *await);

/* Later signals, too, only come here: for a program that has something to put away, however often it is told to end. */
void await_hold(struct await *await);

/* The signal that came, or 0. */
int await_signal(const struct await *await);

/* A descriptor that is readable when a signal came, and what to do then: notes it for await_signal(). */
int await_fd(const struct await *await);
void await_take(struct await *await);

struct await_ops {
    int (*work)(void *opaque);       /* blocks; on a thread of its own */
    void (*tick)(void *opaque);      /* ten times a second, on the caller's thread; may be NULL */
    int tick_ms;                     /* how often instead; 0: so often */
    void (*interrupt)(void *opaque); /* a signal came: make work return soon, on the caller's thread */
};

/**
 * await_run() - run @ops->work until it returns
 *
 * Without an interrupt function, a signal makes this return -EINTR at once and leaves work behind on its thread, with
 * @opaque, which then must live as long as the process.  A signal that came earlier counts, too.  Work itself never
 * returns -EINTR.
 *
 * Returns what work returned, or why it could not be started, with @err set; work itself describes its errors.
 */
int await_run(struct await *await, const struct await_ops *ops, void *opaque, struct ferry_error *err);

#endif
