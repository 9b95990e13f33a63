/* SPDX-License-Identifier: BSD-3-Clause */
/* digest.h - the visitor that hashes names, types and values: XXH3-128, the same on every host */
#ifndef STATE_DIGEST_H
#define STATE_DIGEST_H

#include "visitor.h"
#include <xxhash.h>

struct digest_visitor {
    struct ferry_visitor visitor;
    XXH3_state_t *hash; /* owned */
};

int digest_visitor_init(struct digest_visitor *digest, struct ferry_error *err);
void digest_visitor_result(const struct digest_visitor *digest, uint8_t to[16]);
void digest_visitor_release(struct digest_visitor *digest);

#endif
