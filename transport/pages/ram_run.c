/* SPDX-License-Identifier: BSD-3-Clause */
/* ram_run.c - pages of the main stream read straight into place, by guessing which ones follow
 *
 * The stream says for each page where it belongs only just before its content.  Reading header by header would cost a
 * system call a page, or a copy of everything.  But pages mostly come in runs, so the reader guesses that the next ones
 * follow and scatters one large read over headers and guest pages:
 *
 *      iov   | page n |hdr| page n+1 |hdr| page n+2 | ...        hdr must turn out to be  (n+1)<<12 | PAGE | CONTINUE
 *
 * Where a header turns out otherwise, what was read from it on is taken back (reader_unread) and read again the plain
 * way.  The guest pages it had been put into hold garbage then, so the guess goes only to pages that never received
 * anything (each of them is still to come, and a zero page clears what is there).  The window doubles while the guess
 * is right and halves when it is not; at 1 nothing is guessed.
 *
 * In postcopy pages are read into staging memory, so that a guess never harms.  But somebody may wait for a page: those
 * that have come whole are committed before the reader waits for more.
 */
#include "ram_run.h"

#include "bytes.h"
#include "reader.h"

#include <string.h>

#define WINDOW_MAX   64 /* pages: as much as can be taken back */
#define HEADER_BYTES 8

_Static_assert(WINDOW_MAX *(FERRY_PAGE_BYTES + HEADER_BYTES) <= READER_UNREAD_BYTES, "a window can be taken back");

/* One scatter: `count` pages from `first` on, each but the first of a run with its header before it. */
struct window {
    uint64_t first;
    unsigned count;
    bool header; /* the first page's header is still to come, too */
    bool prompt; /* what has come is not to wait for the rest */
    bool cut;    /* the rest had not come */
    int elements;
    uint8_t *place; /* of the first page */
    uint8_t headers[WINDOW_MAX][HEADER_BYTES];
    struct iovec iov[2 * WINDOW_MAX];
};

static void window_build(struct window *window)
{
    window->elements = 0;
    for (unsigned i = 0; i < window->count; i++) {
        if (i > 0 || window->header)
            window->iov[window->elements++] = (struct iovec){ window->headers[i], HEADER_BYTES };
        window->iov[window->elements++] =
            (struct iovec){ window->place + (size_t)i * FERRY_PAGE_BYTES, FERRY_PAGE_BYTES };
    }
}

/* Where in the window's bytes the i-th page's header begins. */
static size_t header_offset(const struct window *window, unsigned i)
{
    size_t offset = (size_t)i * (FERRY_PAGE_BYTES + HEADER_BYTES);

    return window->header || i == 0 ? offset : offset - HEADER_BYTES;
}

static size_t page_end(const struct window *window, unsigned i)
{
    size_t header = i > 0 || window->header ? HEADER_BYTES : 0;

    return header_offset(window, i) + header + FERRY_PAGE_BYTES;
}

static bool header_fits(const struct window *window, unsigned i)
{
    uint64_t expected = ((window->first + i) << FERRY_PAGE_SHIFT) | RAM_PAGE | RAM_CONTINUE;

    return load_be64(window->headers[i]) == expected;
}

/* How many pages from @page on may be guessed: they exist, and nothing was ever put there. */
static unsigned guessable(struct ram_loader *loader, uint64_t page, unsigned most)
{
    const struct ram_block *block = loader->last;
    unsigned count = 0;

    if (loader->postcopy && page < block->pages)
        return most < block->pages - page ? most : (unsigned)(block->pages - page);
    while (count < most && page + count < block->pages && placer_untouched(loader->placer, block, page + count))
        count++;
    return count;
}

/* Read the window.  Returns how many of its pages are in place; what does not belong to them was taken back. */
static int window_read(struct window *window, struct ferry_reader *reader)
{
    struct iovec left[2 * WINDOW_MAX], *iov = left;
    int elements = window->elements;
    size_t got = 0;
    unsigned done = 0;

    memcpy(left, window->iov, (size_t)elements * sizeof(left[0]));
    while (done < window->count) {
        bool known = done == 0 && !window->header;
        size_t header_end = header_offset(window, done) + (known ? 0 : HEADER_BYTES);
        size_t want = got >= header_end ? page_end(window, done) : header_end;

        ssize_t part;

        /* Judged as soon as it is there: behind a wrong guess there may be nothing more to wait for. */
        if (!known && got >= header_end && !header_fits(window, done)) {
            reader_unread(reader, window->iov, window->elements, header_offset(window, done), got);
            break;
        }
        if (got >= want) {
            done++;
            continue;
        }
        window->cut = window->prompt && done > 0;
        if (window->cut) {
            reader_unread(reader, window->iov, window->elements, page_end(window, done - 1), got);
            break;
        }
        part = reader_scatter(reader, &iov, &elements, want - got, window->count > 1 && !window->prompt);
        if (part < 0)
            return (int)part;
        got += (size_t)part;
    }
    return (int)done;
}

/* One page, nothing guessed. */
static int read_one(struct window *window, struct ferry_reader *reader)
{
    int ret = ferry_get_bytes(reader, window->place, FERRY_PAGE_BYTES);

    return ret < 0 ? ret : 1;
}

/* Choose how many pages to read at once, read them, and make them the guest's.  Returns how many there were. */
static int read_window(struct ram_loader *loader, struct ferry_reader *reader, struct window *window)
{
    const struct placer_ops *ops = loader->placer->ops;
    unsigned certain = window->header ? 0 : 1;
    struct ferry_error err = { 0 };
    uint64_t granted;
    int done, ret;

    window->count = certain + guessable(loader, window->first + certain, loader->window - certain);
    if (window->count == 0)
        return 0;
    window->place = ops->prepare(loader->placer, loader->last, window->first, window->count, &granted);
    if (granted < window->count)
        window->count = (unsigned)granted;
    if (window->count == 1 && certain) {
        done = read_one(window, reader);
    } else {
        window_build(window);
        done = window_read(window, reader);
    }
    if (done < 0)
        return done;
    if (done == 0) { /* what was guessed is something else: its place is forgotten */
        ret = ops->commit(loader->placer, loader->last, window->first, 0, &err);
        return ret < 0 ? reader_fail_why(reader, ret, &err) : 0;
    }
    loader->counts.normal += (unsigned)done;
    loader->counts.guessed += (unsigned)done - certain;
    ret = ops->commit(loader->placer, loader->last, window->first, (uint64_t)done, &err);
    return ret < 0 ? reader_fail_why(reader, ret, &err) : done;
}

int ram_get_run(struct ram_loader *loader, struct ferry_reader *reader, uint64_t page)
{
    struct window window;

    window.first = page; /* field by field: the arrays need no clearing */
    window.header = window.cut = false;
    window.prompt = loader->postcopy;
    if (loader->window == 1 && loader->next_page == page)
        loader->window = 2;
    for (;;) {
        int done = read_window(loader, reader, &window);

        if (done < 0)
            return done;
        window.first += (unsigned)done;
        loader->next_page = window.first;
        if (window.cut)
            return 0;
        if ((unsigned)done < window.count) {
            loader->window = loader->window > 1 ? loader->window / 2 : 1;
            return 0;
        }
        if (done == 0 || loader->window == 1)
            return 0;
        if (loader->window < WINDOW_MAX)
            loader->window *= 2;
        if (loader->bare) /* the stream may end here */
            return 0;
        window.header = true;
    }
}
