/* SPDX-License-Identifier: BSD-3-Clause */
/* deadline.c - a transfer that must be done by a certain time
 *
 * No kind of channel has timed transfers, and none needs them: shutting it down is what wakes every one of them.
 */
#include "deadline.h"

#include <errno.h>
#include <stddef.h>

static void missed(void *opaque)
{
    struct deadline *deadline = opaque;

    ferry_channel_shutdown(deadline->chan, deadline->how);
}

void deadline_begin(struct deadline *deadline, struct watchdog *dog, struct ferry_channel *chan,
                    enum ferry_direction how, int64_t when_ns)
{
    deadline->dog = when_ns < 0 ? NULL : dog;
    deadline->chan = chan;
    deadline->how = how;
    if (deadline->dog)
        watchdog_set(dog, &deadline->watch, when_ns, missed, deadline);
}

int deadline_end(struct deadline *deadline, int ret, const char *text, struct ferry_error *err)
{
    if (!deadline->dog || !watchdog_clear(deadline->dog, &deadline->watch))
        return ret;
    return ferry_error_set(err, -ETIMEDOUT, "%s: %s", ferry_channel_label(deadline->chan), text);
}
