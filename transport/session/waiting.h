/* SPDX-License-Identifier: BSD-3-Clause */
/* waiting.h - connections that said hello before their main connection did */
#ifndef SESSION_WAITING_H
#define SESSION_WAITING_H

#include "hello.h"

#define WAITING_MAX 32

struct waiting {
    struct ferry_channel *chan; /* a reference */
    struct hello hello;
    int64_t until_ns;
};

/* In the order in which they came, which is that of their deadlines.  Zeroed: empty.  No locks here. */
struct waiting_list {
    struct waiting entries[WAITING_MAX];
    unsigned count;
};

/* False when there is no room.  A reference of @chan is taken. */
bool waiting_add(struct waiting_list *list, struct ferry_channel *chan, const struct hello *hello, int64_t until_ns);

/* The first one, with its reference, if its time is up by @now_ns (INT64_MAX: in any case). */
bool waiting_take(struct waiting_list *list, int64_t now_ns, struct waiting *taken);

/* When the first one's time is up; negative: nobody waits. */
int64_t waiting_until_ns(const struct waiting_list *list);

#endif
