/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_postcopy.h - a migration whose guest moves first and whose memory follows, as inspect saw it
 *
 *      main      ADVISE  memory ...  DISCARD  PACKAGED { LISTEN devices RUN }  memory ... EOF
 *                NONE -> ADVISED ->  DISCARDING ------>  LISTENING  RUNNING -------------> ENDED
 *      urgent    ....................................................  memory that was asked for
 *      resumed                     (main broke)   RECV_BITMAP ... RESUME  memory ... EOF
 *                                                  RECOVERING -> RUNNING -------------> ENDED
 *
 * What was discarded is awaited.  After the switch each page comes once, in whole host pages; after a break those come
 * again that the destination's bitmap does not hold.
 */
#ifndef TOOLS_INSPECT_POSTCOPY_H
#define TOOLS_INSPECT_POSTCOPY_H

#include "inspect_ram.h"
#include "inspect_return_path.h"

#include <ferry/stream.h>

#define POSTCOPY_PAGES_MAX (UINT64_C(1) << 28) /* of all blocks; how often pages of more memory come is not counted */
#define POSTCOPY_WIRES_MAX 64 /* connections with memory after the switch; each break takes one or two */

enum postcopy_phase {
    POSTCOPY_NONE,
    POSTCOPY_ADVISED,
    POSTCOPY_DISCARDING,
    POSTCOPY_LISTENING,
    POSTCOPY_RUNNING,
    POSTCOPY_RECOVERING,
    POSTCOPY_ENDED,
};

enum postcopy_wire_kind { WIRE_MAIN, WIRE_URGENT, WIRE_RESUMED };

/* A connection that carries memory after the switch. */
struct postcopy_wire {
    char *label; /* owned */
    enum postcopy_wire_kind kind;
    uint64_t bytes;        /* of all of it */
    uint64_t normal, zero; /* pages after the switch */
    bool broke;            /* it ends in the middle */
    /* RESUMED: what the destination's bitmaps said, where they are known */
    unsigned bitmaps;
    uint64_t received;
    uint64_t lost;    /* had come to us, but had not been received: come again */
    uint64_t claimed; /* said to have been received, but never came to us */
};

/* What is known of a block's pages, a bit each.  NULL: not counted. */
struct postcopy_block {
    uint64_t *awaited; /* discarded, and not come since */
    uint64_t *after;   /* came after the switch, and shall not again */
    uint64_t *earlier; /* came before the last break, and may again */
    unsigned answered; /* the break after which its bitmap came back last */
};

struct inspect_postcopy {
    pthread_mutex_t lock;           /* guards what pages change; ram->lock is taken under it */
    struct inspect_ram *ram;        /* borrowed */
    struct report_returns *returns; /* borrowed: who asked for which page */
    enum postcopy_phase phase;
    uint64_t page_sizes;                  /* of all blocks, or-ed; 0: no memory follows, bitmaps only */
    uint64_t commands, ranges, discarded; /* discarded: pages */
    uint64_t swept;                       /* likewise, each as often as it was */
    uint64_t package_offset, package_bytes;
    unsigned devices;
    struct postcopy_block *blocks; /* owned; one for each of ram's; NULL: nothing was discarded, nothing followed */
    unsigned count;
    struct postcopy_wire wire[POSTCOPY_WIRES_MAX];
    unsigned wires, breaks;
    uint64_t pages;       /* that came after the switch */
    uint64_t asked;       /* of these, pages that had been asked for */
    uint64_t duplicates;  /* a second time; not put in place again */
    uint64_t unannounced; /* never discarded, and there already; likewise */
    uint64_t again;       /* after a break */
    uint64_t awaited;     /* still, at the end */
    struct {              /* the first of duplicates and unannounced */
        unsigned wire;
        uint64_t offset, page;
        const char *block; /* borrowed of ram; NULL: none */
    } first;
};

/* Both borrowed.  NULL: no memory. */
struct inspect_postcopy *postcopy_new(struct inspect_ram *ram, struct report_returns *returns);
void postcopy_free(struct inspect_postcopy *postcopy);

/* Has the switch been made?  NULL is legal: no. */
bool postcopy_listens(const struct inspect_postcopy *postcopy);

/* ---- inspect_postcopy.c ---- */

/* @pages of @block from @first on are to come again. */
int postcopy_discard(struct inspect_postcopy *postcopy, const struct ram_block *block, uint64_t first, uint64_t pages,
                     struct ferry_error *err);

/* The guest's memory follows from now on. */
int postcopy_listen(struct inspect_postcopy *postcopy, struct ferry_error *err);

/* One more connection; its index, or a negative errno.  Thread: any. */
int postcopy_add_wire(struct inspect_postcopy *postcopy, const char *label, enum postcopy_wire_kind kind,
                      struct ferry_error *err);

/* A page has come by @wire, with its record at @offset.  @data: its content; NULL: it is zero.  Thread: any. */
int postcopy_came(struct inspect_postcopy *postcopy, unsigned wire, uint64_t offset, const struct ram_block *block,
                  uint64_t page, const uint8_t *data, struct ferry_error *err);

/* These pages did not come after all: the connection broke in the middle of a huge page.  Thread: any. */
void postcopy_forget(struct inspect_postcopy *postcopy, const struct ram_block *block, uint64_t first, uint64_t pages);

/* The connections broke, and @wire takes over. */
void postcopy_broke(struct inspect_postcopy *postcopy);

/* The destination answers @wire which pages of @block it has received. */
int postcopy_received(struct inspect_postcopy *postcopy, unsigned wire, const struct ram_block *block,
                      const struct return_bitmap *bitmap, struct ferry_error *err);

/* Counts what is awaited; returns it. */
uint64_t postcopy_still_awaited(struct inspect_postcopy *postcopy);

/* ---- inspect_postcopy_pages.c ---- */

/* A channel of records, and what it remembers from one to the next. */
struct postcopy_records {
    struct ferry_reader *reader; /* borrowed */
    unsigned wire;
    const struct ram_block *last; /* for CONTINUE */
    const struct ram_block *host; /* of the host page that is not whole yet */
    uint64_t first, next, left;   /* its first page, the next that must come, and how many; left 0: none */
};

/* Records up to the EOS.  0 or the reader's error. */
int postcopy_get_body(struct inspect_postcopy *postcopy, struct postcopy_records *records) FERRY_CHECK;

/* A connection of nothing but records: up to an EOS, or its end between two of them.  @to_end: behind an EOS, too, it
 * must end; a live source keeps it open until it is answered. */
int postcopy_get_urgent(struct inspect_postcopy *postcopy, struct postcopy_records *records, bool to_end) FERRY_CHECK;

/* It broke: what was not whole is forgotten. */
void postcopy_drop_part(struct inspect_postcopy *postcopy, struct postcopy_records *records);

/* ---- inspect_postcopy_print.c, inspect_postcopy_json.c: see there ---- */

#endif
