/* SPDX-License-Identifier: BSD-3-Clause */
/* page_urgent.c - requested pages on a channel of their own */
#include "page_urgent.h"

#include <errno.h>
#include <string.h>

struct page_urgent *page_urgent_new(struct page_requests *requests, struct ferry_channel *chan,
                                    const struct page_urgent_terms *terms, struct ferry_error *err)
{
    ferry_error_set(err, -ENOTSUP, "no urgent channel yet");
    return NULL;
}

int page_urgent_status(struct page_urgent *urgent, struct ferry_error *err)
{
    return 0;
}

int page_urgent_finish(struct page_urgent *urgent, struct ferry_error *err)
{
    return 0;
}

void page_urgent_stop(struct page_urgent *urgent)
{
}

void page_urgent_figures(struct page_urgent *urgent, struct page_figures *figures)
{
    memset(figures, 0, sizeof(*figures));
}

void page_urgent_free(struct page_urgent *urgent)
{
}
