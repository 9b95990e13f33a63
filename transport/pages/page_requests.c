/* SPDX-License-Identifier: BSD-3-Clause */
/* page_requests.c - the pages that the destination waits for */
#include "page_requests.h"

#include <errno.h>
#include <string.h>

struct page_requests *page_requests_new(struct page_walk *walk, unsigned prefetch_pages, struct ferry_error *err)
{
    ferry_error_set(err, -ENOTSUP, "no page requests yet");
    return NULL;
}

void page_requests_free(struct page_requests *requests)
{
}

int page_requests_push(struct page_requests *requests, const struct ram_block *block, uint64_t start, uint64_t length,
                       struct ferry_error *err)
{
    return -ENOTSUP;
}

enum page_requests_kind page_requests_next(struct page_requests *requests, struct page_batch *batch, int64_t timeout_ns)
{
    return PAGE_REQUESTS_CLOSED;
}

bool page_requests_waiting(struct page_requests *requests)
{
    return false;
}

void page_requests_close(struct page_requests *requests)
{
}

void page_requests_reset(struct page_requests *requests)
{
}

void page_requests_figures(struct page_requests *requests, struct page_requests_figures *figures)
{
    memset(figures, 0, sizeof(*figures));
}
