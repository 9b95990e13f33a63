/* SPDX-License-Identifier: BSD-3-Clause */
/* schema_compare.h - can what one build saves be loaded by another?  Field by field, both known by their schemas only
 */
#ifndef STATE_SCHEMA_COMPARE_H
#define STATE_SCHEMA_COMPARE_H

#include "schema.h"

enum schema_verdict {
    SCHEMA_SAME,
    SCHEMA_NEWER,        /* exists, on the side that has it, only from a newer version on */
    SCHEMA_COMPATIBLE,   /* differs, and loads; or may be refused in some states of the device */
    SCHEMA_INCOMPATIBLE, /* would be refused, or read as something else */
};

/* What was found out about one field (@path), or about a whole part (@path ""). */
struct schema_finding {
    enum schema_verdict verdict;
    const char *part;
    const char *path;
    const char *why; /* "uint32 at the source, uint64 here"; "" for SAME */
};

/* @finding and its texts are valid during the call. */
typedef void schema_judge(void *opaque, const struct schema_finding *finding);

/* After so many differences in one part no more are looked for. */
#define SCHEMA_DIFFERENCES_MAX 64

/**
 * schema_compare() - all parts of one device
 * @from: the source's
 * @to: ours; the first part of both is the body, and its version is one that @to can load
 */
void schema_compare(const struct schema_part *from, const struct schema_part *to, schema_judge *judge, void *opaque);

#endif
