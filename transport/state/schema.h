/* SPDX-License-Identifier: BSD-3-Clause */
/* schema.h - what a description puts on the wire, as a flat list: for comparing two builds, and for reading
 *
 *     part "nic"            mac        buffer 6
 *                           queue[]    struct, up to 8, counted
 *                           queue[].head  uint32
 *     part "nic/rss" in ""  key        buffer 40            a subsection
 *
 * A struct that is there once has no entry: its members stand where they are on the wire.  What has no bytes (checks)
 * has no entry either.  Within structs nothing says a version on the wire, so their fields are those of the version in
 * which they are saved or loaded; a part's own fields say from which version on they exist.
 */
#ifndef STATE_SCHEMA_H
#define STATE_SCHEMA_H

#include "arena.h"
#include <ferry/profile.h>
#include <ferry/state.h>

#define SCHEMA_PATH_MAX   1024
#define SCHEMA_FIELDS_MAX 65536 /* of one part */
#define SCHEMA_PARTS_MAX  1024  /* of one description */

/* The numbers are on the wire. */
enum schema_field_flags {
    SCHEMA_FIELD_EQUAL = 1,       /* must equal what is there */
    SCHEMA_FIELD_AT_MOST = 2,     /* must be 0 to what is there */
    SCHEMA_FIELD_CONDITIONAL = 4, /* the device's state decides whether it exists */
    SCHEMA_FIELD_NULLABLE = 8,    /* elements may be NULL */
};

enum schema_part_flags {
    SCHEMA_PART_OPTIONAL = 1, /* sent only when needed */
    SCHEMA_PART_IN_USE = 2,   /* needed now; known for those of the device itself only */
    SCHEMA_PART_OPAQUE = 4,   /* without a description: nobody knows its fields */
};

struct schema_field {
    struct schema_field *next;
    const char *path;
    const char *type; /* of a custom encoding, or of a struct; else "" */
    enum ferry_kind kind;
    enum ferry_count_kind count_kind;
    uint32_t flags;
    uint32_t version; /* of the part, from which on it exists */
    uint64_t factor;  /* of what counts */
    uint64_t most;    /* elements, bytes of a buffer, bits of a bitmap: as many, or at most */
};

struct schema_part {
    struct schema_part *next;
    const char *name;   /* of the description */
    const char *where;  /* path of the struct that it is a subsection of; "": of the device */
    uint32_t version;   /* saved; the newest that can be loaded */
    uint32_t described; /* the oldest that the fields can load */
    uint32_t minimum;   /* the oldest that can be loaded at all */
    uint32_t flags;
    struct schema_field *fields;
};

/**
 * schema_of() - the parts of a description: its body, then the subsections
 * @profile: of whoever saves; NULL: none, or for loading
 * @object: the device, to be asked which subsections it needs; NULL: nobody is asked
 *
 * All memory is @arena's.  NULL with @err set.
 */
struct schema_part *schema_of(struct arena *arena, const struct ferry_state_desc *desc,
                              const struct ferry_profile *profile, void *object, struct ferry_error *err);

#endif
