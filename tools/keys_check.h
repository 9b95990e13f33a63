/* SPDX-License-Identifier: BSD-3-Clause */
/* keys_check.h - `ferry keys check`: what is wrong with keys and certificates, before a migration finds out */
#ifndef TOOLS_KEYS_CHECK_H
#define TOOLS_KEYS_CHECK_H

#include "args.h"

/* argv[0] is the word "check".  Returns an enum exit_status. */
int keys_check_main(int argc, char **argv);

/* All that was given for @name; the caller's to free(), NULL: no memory. */
const char **keys_words(const struct args *args, const char *name, unsigned *count);

#endif
