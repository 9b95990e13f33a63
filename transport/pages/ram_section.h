/* SPDX-License-Identifier: BSD-3-Clause */
/* ram_section.h - guest memory in the main stream: the body of the "ram" sections
 *
 *      record = be64 (offset in the block | flags), then by flag:
 *
 *      MEM_SIZE   block list: name, length, ...        (once, in START)
 *      PAGE       [name] 4096 bytes
 *      ZERO       [name] one byte 0
 *      XBZRLE     [name] the page's difference from what is there (compress/xbzrle.h)
 *      EOS        nothing; ends the body
 *
 * [name] is there unless CONTINUE says "the same block as the page record before".  Layout: docs/protocol.md.
 */
#ifndef PAGES_RAM_SECTION_H
#define PAGES_RAM_SECTION_H

#include "batch.h"
#include "placer.h"
#include "ram_map.h"

#include <ferry/stream.h>
#include <stdbool.h>

#define RAM_SECTION_NAME    "ram"
#define RAM_SECTION_VERSION 4

enum ram_flag {
    RAM_ZERO = 0x002,
    RAM_MEM_SIZE = 0x004,
    RAM_PAGE = 0x008,
    RAM_EOS = 0x010,
    RAM_CONTINUE = 0x020,
    RAM_XBZRLE = 0x040,
    RAM_HOOK = 0x080,
    RAM_COMPRESS_PAGE = 0x100,
    RAM_MULTIFD_FLUSH = 0x200,
};

/* ---- source ---- */

void ram_put_blocks(struct ferry_writer *writer, const struct ram_map *map);

/**
 * ram_put_batch() - one record per page
 * @last: the block of the page record before on this channel, kept here between calls; starts as NULL
 *
 * Pages with content go out by reference: see ferry_put_ref().
 */
void ram_put_batch(struct ferry_writer *writer, const struct ram_block **last, const struct page_batch *batch);

/* Neighbouring zero pages. */
void ram_put_zeros(struct ferry_writer *writer, const struct ram_block **last, const struct ram_block *block,
                   uint64_t first, uint64_t count);

/* One page, as it is in @content; it is copied. */
void ram_put_copy(struct ferry_writer *writer, const struct ram_block **last, const struct ram_block *block,
                  uint64_t page, const uint8_t *content);

/* One page as its difference from what was sent last; it is copied.  @bytes: 1 to a page's. */
void ram_put_delta(struct ferry_writer *writer, const struct ram_block **last, const struct ram_block *block,
                   uint64_t page, const uint8_t *delta, unsigned bytes);

/* Everything that page channels carry before their SYNC belongs before this place. */
void ram_put_mark(struct ferry_writer *writer);

void ram_put_eos(struct ferry_writer *writer);

/* ---- destination ---- */

struct ram_loader_ops {
    /* The stream announces a block: say which one it is here, or refuse. */
    int (*announce)(void *opaque, const char *name, uint64_t length, struct ram_block **block, struct ferry_error *err);
    /* Pages before this place travelled over page channels, too: wait for them.  NULL: there are none. */
    int (*mark)(void *opaque, struct ferry_error *err);
    /* An entry of the block list says that the block is backed with pages of this size.  NULL: that is refused. */
    int (*huge)(void *opaque, struct ram_block *block, uint32_t page_bytes, struct ferry_error *err);
};

struct ram_counts {
    uint64_t normal;  /* pages that came with content */
    uint64_t zero;    /* pages that came as zero */
    uint64_t xbzrle;  /* pages that came as a difference */
    uint64_t guessed; /* of the normal ones: read into place before their record was seen */
    uint64_t flushes; /* marks that pages travelled over other connections, too */
};

struct ram_loader {
    const struct ram_loader_ops *ops;
    void *opaque;
    struct placer *placer;
    bool has_gpa; /* block entries carry a guest-physical address (capability x-ignore-shared) */
    /* Or-ed: which sizes of huge pages blocks have.  Where postcopy was advised their entries carry it, which is told
     * from what else may follow: a name begins with its length, and no flag is that large.  0: none does. */
    uint64_t huge_sizes;
    /* Capability mapped-ram: reads what stands behind the entry of @block, its pages, too; no page comes as a record
     * then.  0 or the reader's error.  NULL: off. */
    int (*mapped)(void *opaque, struct ferry_reader *reader, const struct ram_block *block);

    /* the loader's own */
    bool postcopy;
    bool bare;                 /* ram_get_next(): the stream may end between two records */
    struct ram_block **blocks; /* announced; owned array */
    unsigned count;
    const struct ram_block *last; /* for CONTINUE */
    const struct ram_block *zero_block;
    uint64_t zero_first, zero_pages; /* zero pages not yet placed: a run in zero_block */
    unsigned window;                 /* how many pages are guessed to follow */
    uint64_t next_page;              /* the page that would continue the run */
    struct ram_counts counts;
};

void ram_loader_init(struct ram_loader *loader, const struct ram_loader_ops *ops, void *opaque, struct placer *placer);
void ram_loader_clear(struct ram_loader *loader);

/**
 * ram_loader_begin_postcopy() - what comes from now on goes through @view
 *
 * Only PAGE, ZERO and EOS are legal then.  Neighbouring pages are committed as one run, as soon as the reader would
 * have to wait for more: none waits for one that comes later.  @view hands out staging memory (prepare may be called
 * for pages that are then not committed).  Between two bodies.
 */
void ram_loader_begin_postcopy(struct ram_loader *loader, struct placer *view);

/* Postcopy goes on over another connection: what was begun is forgotten, and @view is a new one. */
void ram_loader_begin_again(struct ram_loader *loader, struct placer *view);

/* Another loader that knows the blocks which were announced to @main so far, for records on another connection.  In
 * postcopy from the beginning. */
int ram_loader_init_beside(struct ram_loader *loader, const struct ram_loader *main, struct placer *view,
                           struct ferry_error *err);

/* Read one body, its EOS included, into place.  Returns 0 or the reader's error. */
int ram_get_body(struct ram_loader *loader, struct ferry_reader *reader) FERRY_CHECK;

/* Records without a body around them, one by one: the next, with those that continue its run and are there already.  1;
 * 0: it was EOS, or the stream has ended instead; or the reader's error. */
int ram_get_next(struct ram_loader *loader, struct ferry_reader *reader) FERRY_CHECK;

#endif
