/* SPDX-License-Identifier: BSD-3-Clause */
/* sniff.h - what the first bytes of a connection are */
#ifndef TLS_SNIFF_H
#define TLS_SNIFF_H

#include <stdbool.h>
#include <stddef.h>

#define TLS_SNIFF_BYTES 4

/* Does TLS begin with these?  For a port without TLS that wants to say what came.  @bytes: from TLS_SNIFF_BYTES on. */
bool tls_sniff_is_tls(const void *first, size_t bytes);

/* What else they may be, for a sentence: "a plain migration stream".  Never NULL. */
const char *tls_sniff_name(const void *first, size_t bytes);

#endif
