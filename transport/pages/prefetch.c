/* SPDX-License-Identifier: BSD-3-Clause */
/* prefetch.c - which neighbours of a requested page the guest will want next */
#include "prefetch.h"

#include <stdlib.h>
#include <string.h>

#define START_MOST 8    /* pages */
#define SLACK      8    /* pages behind a window that still count as right behind: some had gone in the background */
#define REACH      1024 /* pages: so far apart two requests can be one stream with a stride */

void prefetch_init(struct prefetch *prefetch, unsigned most)
{
    memset(prefetch, 0, sizeof(*prefetch));
    prefetch->most = most;
    prefetch->start = most < START_MOST ? most : START_MOST;
}

/* Ahead of the last request, and not beyond what may follow the window. */
static bool lands(const struct prefetch_stream *stream, int64_t page)
{
    int64_t slack = (stream->window > SLACK ? stream->window : SLACK) * stream->stride;
    int64_t limit = stream->end + (llabs(stream->stride) == 1 ? slack : stream->stride);

    if (!stream->stride || (page - stream->last) % stream->stride)
        return false;
    return stream->stride > 0 ? page > stream->last && page <= limit : page < stream->last && page >= limit;
}

static struct prefetch_stream *find_hit(struct prefetch *prefetch, const struct ram_block *block, int64_t page)
{
    for (unsigned i = 0; i < PREFETCH_STREAMS; i++) {
        if (prefetch->stream[i].block == block && lands(&prefetch->stream[i], page))
            return &prefetch->stream[i];
    }
    return NULL;
}

/* One that is not proven and not far away: perhaps it goes another way than was guessed. */
static struct prefetch_stream *find_near(struct prefetch *prefetch, const struct ram_block *block, int64_t page)
{
    struct prefetch_stream *best = NULL;

    for (unsigned i = 0; i < PREFETCH_STREAMS; i++) {
        struct prefetch_stream *stream = &prefetch->stream[i];
        int64_t distance = llabs(page - stream->last);

        if (stream->block == block && !stream->proven && distance <= REACH &&
            (!best || distance < llabs(page - best->last)))
            best = stream;
    }
    return best;
}

static struct prefetch_stream *oldest(struct prefetch *prefetch)
{
    struct prefetch_stream *best = &prefetch->stream[0];

    for (unsigned i = 1; i < PREFETCH_STREAMS; i++) {
        if (prefetch->stream[i].heard < best->heard)
            best = &prefetch->stream[i];
    }
    return best;
}

static unsigned grown(unsigned window, unsigned most)
{
    window = window ? window * 2 : 2;
    return window < most ? window : most;
}

static void hit(struct prefetch *prefetch, struct prefetch_stream *stream)
{
    prefetch->hits++;
    prefetch->start = grown(prefetch->start, prefetch->most < START_MOST ? prefetch->most : START_MOST);
    stream->window = grown(stream->window, prefetch->most);
    stream->proven = true;
}

/* Not where it was expected.  The same step twice is a stride; a step back to the neighbour, a way back. */
static void look_again(struct prefetch *prefetch, struct prefetch_stream *stream, int64_t page)
{
    int64_t delta = page - stream->last;

    stream->end = page;
    if (delta == stream->delta && delta != 0) {
        stream->stride = delta;
        hit(prefetch, stream);
    } else {
        stream->stride = delta == -1 ? -1 : 1;
        stream->window = prefetch->start /= 2;
    }
    stream->delta = delta;
}

static struct prefetch_stream *begin(struct prefetch *prefetch, const struct ram_block *block, int64_t page)
{
    struct prefetch_stream *stream = oldest(prefetch);

    *stream = (struct prefetch_stream){
        .block = block,
        .last = page,
        .end = page,
        .stride = 1,
        .window = prefetch->start,
    };
    prefetch->start /= 2;
    return stream;
}

unsigned prefetch_request(struct prefetch *prefetch, const struct ram_block *block, uint64_t page,
                          struct walk_near *near)
{
    int64_t at = (int64_t)page, from;
    struct prefetch_stream *stream = find_hit(prefetch, block, at);

    if (stream) {
        hit(prefetch, stream);
        stream->delta = at - stream->last;
    } else if ((stream = find_near(prefetch, block, at)) != NULL) {
        look_again(prefetch, stream, at);
    } else {
        stream = begin(prefetch, block, at);
    }
    /* Within the window the rest of it is on its way, and the next one follows that. */
    from = at + stream->stride;
    if (stream->stride > 0 ? stream->end > from : stream->end < from)
        from = stream->end;
    stream->last = at;
    stream->end = from + (int64_t)stream->window * stream->stride;
    stream->heard = ++prefetch->now;
    prefetch->window = stream->window;
    *near = (struct walk_near){ block, (uint64_t)from, stream->stride, from < 0 ? 0 : stream->window };
    return (unsigned)(stream - prefetch->stream);
}
