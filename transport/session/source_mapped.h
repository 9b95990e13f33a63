/* SPDX-License-Identifier: BSD-3-Clause */
/* source_mapped.h - a session whose pages go to fixed places of a file (option mapped-ram), as its source does it
 *
 *      wanted | announce, put_blocks | send PART .. PART | send END: the last pages, then the bitmaps
 *
 * Where it is off, nothing but source_mapped_is_on() may be asked.  Used by the migration thread alone.
 */
#ifndef SESSION_SOURCE_MAPPED_H
#define SESSION_SOURCE_MAPPED_H

#include "mapped_save.h"
#include "section.h"
#include "session.h"

struct source_mapped {
    struct ferry_session *session; /* NULL: off */
    struct mapped_saver *saver;
    bool at_work;
};

/* Is it asked for, and is there a file?  @mapped is zero. */
int source_mapped_wanted(struct source_mapped *mapped, struct ferry_session *session, struct ferry_error *err);
bool source_mapped_is_on(const struct source_mapped *mapped);

/* Directly after the configuration. */
void source_mapped_announce(const struct source_mapped *mapped, struct ferry_writer *writer);

/* The block list, and threads.  @walk: borrowed. */
int source_mapped_put_blocks(struct source_mapped *mapped, struct page_walk *walk, struct ferry_writer *writer,
                             struct ferry_error *err);

/* Let the threads work, for at most @ns in a PART; END stays until all is done, and puts the bitmaps into the file.
 * *more: something is left. */
int source_mapped_work(struct source_mapped *mapped, enum section_type type, int64_t ns, bool *more,
                       struct ferry_error *err);

/* Zeroes where it is off. */
void source_mapped_figures(const struct source_mapped *mapped, struct mapped_figures *figures);

void source_mapped_close(struct source_mapped *mapped);

/* What both sides ask of their threads, by the options. */
struct mapped_terms mapped_terms_of(struct ferry_session *session);

/* Called between session_stats_lock() and session_stats_unlock(). */
void mapped_stats(const struct mapped_figures *figures, struct ferry_stats *stats);

#endif
