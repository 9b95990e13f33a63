/* SPDX-License-Identifier: BSD-3-Clause */
/* manifest.h - what a guest consists of: said by the source before the first page, compared by the destination
 *
 *     source        manifest_build -> manifest_encode -> item MANIFEST ...
 *     destination   manifest_decode, manifest_build of its own guest, manifest_compare -> reasons, or choices
 *     source        ... AGREED: manifest_take_choices, so that each device saves what the destination can load
 *
 *     manifest
 *       block    name, length, page size
 *       device   name, instance, model, configuration
 *         form     one version of it; the first is saved unless another one is chosen
 *           part     its body, its subsections: versions, fields (schema.h)
 *
 * Memory in, memory out.
 */
#ifndef STATE_MANIFEST_H
#define STATE_MANIFEST_H

#include "device.h"
#include "ram_map.h"
#include "reasons.h"
#include "schema.h"

#define MANIFEST_BYTES_MAX   ((size_t)16 << 20)
#define MANIFEST_MEMORY_MAX  ((size_t)64 << 20) /* of a decoded one */
#define MANIFEST_DEVICES_MAX 4096
#define MANIFEST_FORMS_MAX   16
#define MANIFEST_NO_ALIAS    UINT32_MAX

/* The numbers are on the wire. */
enum manifest_block_flags {
    MANIFEST_BLOCK_PRIVATE = 1,
};

enum manifest_device_flags {
    MANIFEST_DEVICE_OPTIONAL = 1,  /* sent only when needed */
    MANIFEST_DEVICE_IN_USE = 2,    /* needed now */
    MANIFEST_DEVICE_LEGACY = 4,    /* a pair of functions: nobody knows its fields */
    MANIFEST_DEVICE_ITERATIVE = 8, /* moves in rounds, like memory */
};

struct manifest_block {
    struct manifest_block *next;
    const char *name;
    uint64_t length;
    uint32_t page_size; /* of the backing */
    uint32_t flags;
};

struct manifest_setting {
    struct manifest_setting *next;
    const char *name;
    const char *value;
};

struct manifest_form {
    struct manifest_form *next;
    struct schema_part *parts; /* the body first */
};

struct manifest_device {
    struct manifest_device *next;
    const char *idstr;
    const char *model;
    uint32_t instance_id;
    uint32_t alias_id; /* MANIFEST_NO_ALIAS: none */
    uint32_t flags;
    struct manifest_setting *settings;
    struct manifest_form *forms; /* at least one */
};

struct manifest {
    struct arena *arena; /* owned: everything below */
    const char *machine;
    uint32_t page_bytes; /* of the guest */
    struct manifest_block *blocks;
    struct manifest_device *devices;
};

enum manifest_side {
    MANIFEST_SOURCE,      /* devices are asked what they need now, the profile says what is saved, forms are what can be
                             saved */
    MANIFEST_DESTINATION, /* nobody is asked; forms are what can be loaded */
};

/* What to make it of; all borrowed. */
struct manifest_of {
    enum manifest_side side;
    const char *machine;
    const struct ram_map *ram;
    const struct device_list *devices;
    const struct ferry_profile *profile; /* of the source; may be NULL */
};

/* NULL with @err set. */
struct manifest *manifest_build(const struct manifest_of *of, struct ferry_error *err);

/* A device that moves in rounds: what manifest_build() cannot know.  Nothing is borrowed. */
struct manifest_iterative {
    const char *idstr;
    uint32_t instance_id;
    uint32_t version;                /* 1 to this one can be loaded */
    bool optional;                   /* sent only when needed */
    bool in_use;                     /* needed now */
    const struct ferry_model *model; /* NULL: idstr says what it is */
};

/* Appends it.  A failure leaves @manifest fit only to be freed. */
int manifest_add_iterative(struct manifest *manifest, const struct manifest_iterative *info, struct ferry_error *err);

/* NULL is legal. */
void manifest_free(struct manifest *manifest);

/* The payload of the item MANIFEST; to be freed.  -E2BIG beyond MANIFEST_BYTES_MAX. */
uint8_t *manifest_encode(const struct manifest *manifest, size_t *bytes, struct ferry_error *err);

/* Believes nothing: -EPROTO for what is malformed, -ENOMEM beyond the ceiling.  NULL with @err set. */
struct manifest *manifest_decode(const uint8_t *data, size_t bytes, struct ferry_error *err);

/* Device @index of a manifest is to be sent in this version. */
struct manifest_choice {
    uint32_t index;
    uint32_t version;
};

/* Only those that differ from what would be sent anyway; zero-initialise. */
struct manifest_choices {
    struct manifest_choice *rows; /* owned */
    unsigned count;
};

/**
 * manifest_compare() - can the source's guest move into ours?
 * @local: of MANIFEST_DESTINATION
 * @remote: the source's
 * @provides_blocks: a block that is missing here will be made when it is announced
 * @reasons: gets every reason why not
 * @warnings: gets what works now and may be refused later; NULL: nobody wants to know
 * @choices: gets what the source must be told of; cleared on failure
 *
 * A subsection or device that the destination does not know is a reason if the source needs it now, and a warning if it
 * does not: what may never happen must not stop what works.  Returns 0 whatever the reasons; -ENOMEM.
 */
int manifest_compare(const struct manifest *local, const struct manifest *remote, bool provides_blocks,
                     struct reasons *reasons, struct reasons *warnings, struct manifest_choices *choices,
                     struct ferry_error *err);

void manifest_choices_clear(struct manifest_choices *choices);

/**
 * manifest_choices_encode() - the payload of AGREED: nothing, or be32 index and be32 version of each choice
 *
 * *bytes may be 0; the memory is to be freed all the same.  -E2BIG beyond @most bytes.
 */
uint8_t *manifest_choices_encode(const struct manifest_choices *choices, size_t most, size_t *bytes,
                                 struct ferry_error *err);

/* At the source: AGREED's payload takes effect on @devices, with which the manifest was built; -EPROTO, -EINVAL. */
int manifest_take_choices(const uint8_t *data, size_t bytes, struct device_list *devices,
                          const struct ferry_profile *profile, struct ferry_error *err);

#endif
