/* SPDX-License-Identifier: BSD-3-Clause */
/* section_table.h - who reads the body of a section that goes on: by the id that its START has given it
 *
 *      START id 0 "ram"   -> added: id 0, memory          PART id 0 -> memory
 *      START id 1 "gpu"   -> added: id 1, device "gpu"    END  id 1 -> device "gpu", ended: nothing follows
 *
 * Used by the destination's session thread alone.
 */
#ifndef SESSION_SECTION_TABLE_H
#define SESSION_SECTION_TABLE_H

#include "section.h"

/* Read the body of one section, up to its footer.  0 or the reader's error. */
typedef int section_load_fn(void *opaque, const struct section_item *item);

struct section_entry {
    uint32_t id;
    bool ended;
    section_load_fn *load;
    void *opaque;
};

struct section_table {
    struct ferry_reader *reader;   /* borrowed */
    struct section_entry *entries; /* owned */
    unsigned count;
};

void section_table_init(struct section_table *table, struct ferry_reader *reader);
void section_table_clear(struct section_table *table);

/**
 * section_table_start() - a START: its body and footer are read, and what goes on under its id finds @load
 *
 * Whoever calls has made sure that nothing can start twice, which bounds the table.  0 or the reader's error.
 */
int section_table_start(struct section_table *table, const struct section_item *item, section_load_fn *load,
                        void *opaque) FERRY_CHECK;

/* A PART or END, body and footer.  An id that was never started, or has ended, is the reader's error. */
int section_table_next(struct section_table *table, const struct section_item *item) FERRY_CHECK;

/* What has ended may go on: its end was not the last that is said of it. */
void section_table_reopen(struct section_table *table, section_load_fn *load, const void *opaque);

/* Whether @load and @opaque have come to their END. */
bool section_table_ended(const struct section_table *table, section_load_fn *load, const void *opaque);

#endif
