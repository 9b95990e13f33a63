/* SPDX-License-Identifier: BSD-3-Clause */
/* keys.h - keys made from secrets, as TLS 1.3 and TLS 1.2 make them */
#ifndef TLS_KEYS_H
#define TLS_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* HKDF-Expand-Label(secret, label, "", bytes), RFC 8446, 7.1.  -EIO where the library fails. */
int keys_expand(bool sha384, const uint8_t *secret, size_t secret_bytes, const char *label, uint8_t *to, size_t bytes);

/* The key block of TLS 1.2, RFC 5246, 6.3: PRF(master, "key expansion", server_random + client_random). */
int keys_block(bool sha384, const uint8_t *master, size_t master_bytes, const uint8_t randoms[64], uint8_t *to,
               size_t bytes);

#endif
