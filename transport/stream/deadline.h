/* SPDX-License-Identifier: BSD-3-Clause */
/* deadline.h - a transfer that must be done by a certain time
 *
 *      deadline_begin(&deadline, dog, chan, FERRY_READ, clock_deadline_ns(3000));
 *      ret = ferry_channel_read_all(chan, ...);
 *      ret = deadline_end(&deadline, ret, "no answer within 3 s", err);
 *
 * A channel that missed one is shut down in the directions named, for good.
 */
#ifndef STREAM_DEADLINE_H
#define STREAM_DEADLINE_H

#include "watchdog.h"

#include <ferry/channel.h>

/* Zeroed before its first use; one transfer at a time. */
struct deadline {
    struct watchdog *dog;       /* borrowed */
    struct ferry_channel *chan; /* borrowed until deadline_end() */
    enum ferry_direction how;
    struct watchdog_watch watch;
};

/* @when_ns: of clock_now_ns(); negative: there is none. */
void deadline_begin(struct deadline *deadline, struct watchdog *dog, struct ferry_channel *chan,
                    enum ferry_direction how, int64_t when_ns);

/**
 * deadline_end() - the transfer is over
 * @ret: how it ended
 * @text: the sentence for a deadline that was missed: "LABEL: TEXT"
 *
 * Returns @ret; or -ETIMEDOUT with @err replaced when the channel was shut down, even if the transfer had just managed.
 */
int deadline_end(struct deadline *deadline, int ret, const char *text, struct ferry_error *err);

#endif
