/* SPDX-License-Identifier: BSD-3-Clause */
/* auto_link.c - how fast a link is, told by how long writes to it take */
#include "auto_link.h"

#define WINDOW_NS    INT64_C(10000000)
#define STALE_NS     INT64_C(400000000)
#define ASK_BYTES    (UINT64_C(64) << 20) /* more than a queue holds: nobody will wait */
#define SURE_BYTES   (16u << 10)          /* fewer say nothing about copying */
#define COPY_NS_MOST 1.0                  /* encrypting and copying a byte takes no longer */
#define AMISS_WEIGHT 15                   /* of time in which waiting was expected */
#define WAITED_SHARE 20                   /* of a window: less is chance */

static void window_begin(struct auto_link *link)
{
    link->bytes = 0;
    link->ns = 0;
    link->waited_ns = 0;
    link->amiss_ns = 0;
}

static void window_end(struct auto_link *link)
{
    double rate = (double)link->bytes / (double)link->ns;

    if (link->waited_ns > link->ns / WAITED_SHARE) {
        link->rate += link->rate > 0 ? (rate - link->rate) / 2 : rate;
        link->quiet_ns = 0;
    } else {
        link->quiet_ns += link->ns + link->amiss_ns * AMISS_WEIGHT;
        if (rate > link->rate)
            link->rate = rate;
    }
    window_begin(link);
}

/* The queue was full before this write, so its rate is the link's.  Else the windows would take long to forget what
 * went into the queue. */
static void answered(struct auto_link *link, double rate)
{
    if (rate > link->rate * 2 || rate < link->rate / 2)
        link->rate = rate;
    link->asking = false;
    link->quiet_ns = 0;
    window_begin(link);
}

void auto_link_told(struct auto_link *link, size_t bytes, int64_t write_ns, int64_t whole_ns, bool expected)
{
    bool waited_before = link->waits;
    double each, waited_ns;

    if (bytes == 0 || whole_ns <= 0)
        return;
    each = (double)write_ns / (double)bytes;
    if (bytes >= SURE_BYTES && (link->copy_ns == 0 || each < link->copy_ns))
        link->copy_ns = each < COPY_NS_MOST ? each : COPY_NS_MOST; /* a queue may be so small that all writes wait */
    waited_ns = (double)write_ns - 2 * link->copy_ns * (double)bytes;
    link->waits = waited_ns > (double)write_ns / 2;
    link->bytes += bytes;
    link->ns += whole_ns;
    link->amiss_ns += expected ? whole_ns : 0;
    if (waited_ns > 0)
        link->waited_ns += (int64_t)waited_ns;
    if (link->asking && link->waits && waited_before)
        answered(link, (double)bytes / (double)whole_ns);
    else if (link->asking && link->bytes >= ASK_BYTES)
        answered(link, (double)link->bytes / (double)link->ns);
    else if (!link->asking && link->ns >= WINDOW_NS)
        window_end(link);
}

bool auto_link_is_stale(const struct auto_link *link)
{
    return !link->asking && link->quiet_ns >= STALE_NS;
}

void auto_link_ask(struct auto_link *link)
{
    link->asking = true;
    link->waits = false;
    window_begin(link);
}
