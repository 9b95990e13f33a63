/* SPDX-License-Identifier: BSD-3-Clause */
/* printable.h - text that cannot speak to a terminal */
#ifndef BASE_PRINTABLE_H
#define BASE_PRINTABLE_H

#include <stddef.h>

/**
 * printable() - copy text, up to a NUL, leaving nothing but well-formed UTF-8 that shows
 * @room: of @to, at least 1; what does not fit is left out, by whole characters
 * @from: @bytes of anything; may be @to itself
 *
 * Each byte of what is malformed, each control character and each mark that turns the direction of writing becomes '?';
 * a tab or newline becomes a space.  The result ends with NUL.  Returns its length.
 */
size_t printable(char *to, size_t room, const char *from, size_t bytes);

#endif
