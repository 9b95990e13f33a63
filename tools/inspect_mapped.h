/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_mapped.h - memory at fixed places of a file (mapped-ram), for inspect */
#ifndef TOOLS_INSPECT_MAPPED_H
#define TOOLS_INSPECT_MAPPED_H

#include "inspect_ram.h"

#include <ferry/stream.h>

/* The configuration says that it is such a file.  0 or the reader's error. */
int inspect_mapped_begin(struct inspect_ram *ram, struct ferry_reader *reader);

/* After the body that lists the blocks: count their pages, and load them where they are kept.  Later: nothing. */
int inspect_mapped_load(struct inspect_ram *ram, struct ferry_reader *reader);

void inspect_mapped_clear(struct inspect_ram *ram);

#endif
