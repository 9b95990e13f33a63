/* SPDX-License-Identifier: BSD-3-Clause */
/* waiting.c - connections that said hello before their main connection did */
#include "waiting.h"

#include <string.h>

bool waiting_add(struct waiting_list *list, struct ferry_channel *chan, const struct hello *hello, int64_t until_ns)
{
    if (list->count == WAITING_MAX)
        return false;
    list->entries[list->count++] =
        (struct waiting){ .chan = ferry_channel_ref(chan), .hello = *hello, .until_ns = until_ns };
    return true;
}

bool waiting_take(struct waiting_list *list, int64_t now_ns, struct waiting *taken)
{
    if (list->count == 0 || list->entries[0].until_ns > now_ns)
        return false;
    *taken = list->entries[0];
    list->count--;
    memmove(list->entries, list->entries + 1, list->count * sizeof(list->entries[0]));
    return true;
}

int64_t waiting_until_ns(const struct waiting_list *list)
{
    return list->count ? list->entries[0].until_ns : -1;
}
