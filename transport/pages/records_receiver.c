/* SPDX-License-Identifier: BSD-3-Clause */
/* records_receiver.c - a connection of bare RAM records */
#include "records_receiver.h"

#include <errno.h>
#include <string.h>

struct records_receiver *records_receiver_new(const struct ram_loader *main, struct placer *view,
                                              struct ferry_channel *chan, const struct records_receiver_events *events,
                                              struct ferry_error *err)
{
    ferry_error_set(err, -ENOTSUP, "no bare records yet");
    return NULL;
}

int records_receiver_finish(struct records_receiver *receiver, bool await_end, struct ferry_error *err)
{
    return 0;
}

int records_receiver_status(struct records_receiver *receiver, struct ferry_error *err)
{
    return 0;
}

void records_receiver_stop(struct records_receiver *receiver)
{
}

void records_receiver_figures(struct records_receiver *receiver, struct page_figures *figures)
{
    memset(figures, 0, sizeof(*figures));
}

void records_receiver_free(struct records_receiver *receiver)
{
}
