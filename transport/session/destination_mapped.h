/* SPDX-License-Identifier: BSD-3-Clause */
/* destination_mapped.h - a session whose pages lie at fixed places of a file (option mapped-ram), as it is loaded
 *
 *      agree (the configuration says so) | entry per block of START | load: all of it
 *
 * Used by the session's thread alone.
 */
#ifndef SESSION_DESTINATION_MAPPED_H
#define SESSION_DESTINATION_MAPPED_H

#include "mapped_load.h"
#include "section.h"
#include "session.h"

struct destination_mapped {
    struct ferry_session *session; /* NULL: off */
    struct mapped_loader *loader;
    bool at_work, loaded;
};

/* Does what the file says fit the options?  Other capabilities are refused, too.  @mapped is zero. */
int destination_mapped_agree(struct destination_mapped *mapped, struct ferry_session *session, struct placer *placer,
                             const struct section_configuration *config, struct ferry_error *err);
bool destination_mapped_is_on(const struct destination_mapped *mapped);

/* See mapped_loader_entry(). */
int destination_mapped_entry(struct destination_mapped *mapped, struct ferry_reader *reader,
                             const struct ram_block *block);

/* Every body of memory has been read up to its footer: after the first, which lists the blocks, load their pages.  For
 * at most @ns; -ETIMEDOUT: call again.  Nothing to do: 0. */
int destination_mapped_load(struct destination_mapped *mapped, int64_t ns, struct ferry_error *err);

/* Zeroes where it is off. */
void destination_mapped_figures(const struct destination_mapped *mapped, struct mapped_figures *figures);

void destination_mapped_close(struct destination_mapped *mapped);

#endif
