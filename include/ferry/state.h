/* SPDX-License-Identifier: BSD-3-Clause */
/* state.h - a device's state, described as data
 *
 * A description says which members of a device's struct cross the wire, in which encoding and in which versions:
 *
 *     static const struct ferry_field timer_fields[] = {
 *         FERRY_I64(cpu_ticks_offset, struct timer_state),
 *         FERRY_UNUSED(8),
 *         FERRY_I64_V(cpu_clock_offset, struct timer_state, 2),
 *         FERRY_END,
 *     };
 *     static const struct ferry_state_desc timer_desc = {
 *         .name = "timer", .version_id = 2, .minimum_version_id = 1, .size = sizeof(struct timer_state),
 *         .fields = timer_fields,
 *     };
 *
 * The bytes are QEMU's: the encodings of the fields that exist, in order, then the subsections that are needed; nothing
 * is tagged, aligned or padded.  field.h has the macros; they check at compile time that the member is of the type
 * that the field says.
 *
 * A load has two phases.  All bytes are parsed into a copy of the struct, together with copies of whatever the
 * description reaches through pointers, and every check is made there.  Only then is the device changed:
 *
 *     parse (on the copy)    pre_load, fields, subsections, check      any failure: the device is as it was
 *     commit (the device)    described members are copied; lists and allocated arrays are exchanged
 *                            post_load of every description that was loaded, the nested ones first
 *
 * Hence: a predicate, pre_load and check see the copy; only post_load may touch what is outside the struct (memory
 * layout, timers, wires to other devices).  Between parse and commit nobody else may change the device.
 */
#ifndef FERRY_STATE_H
#define FERRY_STATE_H

#include <ferry/api.h>
#include <ferry/error.h>
#include <ferry/stream.h>
#include <ferry/visit.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FERRY_BEGIN_DECLS

struct ferry_field;
struct ferry_profile;
struct ferry_property;

/* An instance id for those who do not care: the first that is free. */
#define FERRY_INSTANCE_NEXT (-1)

/**
 * struct ferry_legacy_ops - a device without a description: a plain pair of functions
 *
 * Their bytes are their own business, and what they load goes straight into the device: such a load has no two phases,
 * so load must check every value before it uses it.
 */
struct ferry_legacy_ops {
    int version_id;
    int minimum_version_id;
    void (*save)(struct ferry_writer *writer, void *opaque);
    int (*load)(struct ferry_reader *reader, void *opaque, int version, struct ferry_error *err);
};

/* All optional.  @opaque is the struct the description is about; 0 or a negative errno with the sentence in @err. */
struct ferry_state_hooks {
    int (*pre_save)(void *opaque, struct ferry_error *err);
    int (*post_save)(void *opaque, struct ferry_error *err); /* always called once pre_save has succeeded */
    int (*pre_load)(void *copy, struct ferry_error *err);    /* may set defaults, of described members only */
    int (*check)(const void *copy, int version, struct ferry_error *err); /* refuse values before they are applied */
    int (*post_load)(void *opaque, int version, struct ferry_error *err); /* a failure ends the migration */

    /* Whether to save this description (a section or a subsection) at all; absent: always. */
    bool (*needed)(void *opaque);

    /* Reads a body of minimum_version_id_old <= version < minimum_version_id, into described members of the copy. */
    int (*load_old)(struct ferry_reader *reader, void *copy, int version, struct ferry_error *err);
};

struct ferry_state_desc {
    const char *name;                 /* of a subsection: the parent's name, "/", something */
    int version_id;                   /* what a save writes */
    int minimum_version_id;           /* the oldest that the fields can load */
    int minimum_version_id_old;       /* the oldest that hooks.load_old can load; unused without it */
    int priority;                     /* sections of higher priority are saved first */
    size_t size;                      /* bytes of the struct; of a subsection: of the parent's struct */
    const struct ferry_field *fields; /* ends with FERRY_END */
    const struct ferry_state_desc *const *subsections; /* ends with NULL, at most 64; NULL: none */
    struct ferry_state_hooks hooks;
    const struct ferry_property *properties; /* what a profile may set, see profile.h; ends with FERRY_PROPERTY_END */
    const char *unmigratable;                /* why the device cannot be migrated; NULL: it can */
};

/* ---- fields: filled in by the macros of field.h ---------------------------------------------------------------- */

enum ferry_kind {
    FERRY_KIND_END,
    FERRY_KIND_U8,
    FERRY_KIND_U16,
    FERRY_KIND_U32,
    FERRY_KIND_U64,
    FERRY_KIND_I8,
    FERRY_KIND_I16,
    FERRY_KIND_I32,
    FERRY_KIND_I64,
    FERRY_KIND_BOOL,    /* one byte; any but 0 loads as true */
    FERRY_KIND_FLOAT64, /* the 64 bits of a double */
    FERRY_KIND_TIMER,   /* when it expires in ns of its clock; -1: not armed */
    FERRY_KIND_BUFFER,  /* raw bytes, size x count of them */
    FERRY_KIND_UNUSED,  /* zero bytes on save, anything on load */
    FERRY_KIND_BITMAP,  /* count bits in uint64_t words, bit i in word i / 64 */
    FERRY_KIND_STRUCT,  /* another description's body */
    FERRY_KIND_VSTRUCT, /* the same at a fixed version */
    FERRY_KIND_CUSTOM,
    FERRY_KIND_LIST,
    FERRY_KIND_TREE,
    FERRY_KIND_TMP,      /* a temporary struct, made from the device before a save and unpacked by its post_load */
    FERRY_KIND_VALIDATE, /* no bytes: a predicate that must hold on save and load */
};

enum ferry_field_flag {
    FERRY_FIELD_EQUAL = 1,        /* what comes must equal what is there */
    FERRY_FIELD_AT_MOST = 2,      /* what comes must be 0 to what is there */
    FERRY_FIELD_POINTER = 4,      /* the member points at the elements; their memory is there and stays */
    FERRY_FIELD_ALLOCATE = 8,     /* the same, but a load allocates them (malloc) and frees those that were there */
    FERRY_FIELD_OF_POINTERS = 16, /* each element is a pointer; NULL where it is NULL on the other side too */
};

enum ferry_count_kind {
    FERRY_COUNT_FIXED,
    FERRY_COUNT_U8,
    FERRY_COUNT_U16,
    FERRY_COUNT_U32,
    FERRY_COUNT_I32,
};

/* How many elements: `most` (fixed), or the value of a member that comes earlier, x factor, refused beyond `most`. */
struct ferry_count {
    enum ferry_count_kind kind;
    size_t offset; /* of the member that counts */
    size_t factor;
    size_t most;
};

struct ferry_field {
    const char *name; /* NULL ends the fields */
    enum ferry_kind kind;
    unsigned flags;                            /* of enum ferry_field_flag */
    int version;                               /* exists from this version of the description on */
    bool (*exists)(void *opaque, int version); /* if there is one, it alone decides */
    size_t offset;                             /* of the member */
    size_t size;                               /* bytes of one element in memory */
    struct ferry_count count;                  /* elements */
    int struct_version;                        /* of a VSTRUCT */
    union {
        const struct ferry_state_desc *desc;
        const struct ferry_custom *custom;
        const struct ferry_list *list;
        const struct ferry_tree *tree;
    } of;
};

/**
 * struct ferry_custom - an encoding of one's own
 *
 * Either @visit, which serves both directions and every visitor, or @put and @get.  They see one member, @size bytes;
 * on load it is the copy's, and get may compare with what is there before it overwrites it.
 */
struct ferry_custom {
    const char *type; /* its name in the stream's self-description */
    int (*visit)(struct ferry_visitor *visitor, void *value, size_t size, struct ferry_error *err);
    int (*put)(struct ferry_writer *writer, const void *value, size_t size, struct ferry_error *err);
    int (*get)(struct ferry_reader *reader, void *value, size_t size, struct ferry_error *err);
};

/**
 * struct ferry_list_ops - how to walk and build a linked list
 *
 * The member that the field names is the list's head.
 */
struct ferry_list_ops {
    const char *type; /* its name in the stream's self-description: "qtailq", "qlist" */
    void (*init)(const struct ferry_list *list, void *head);
    void *(*first)(const struct ferry_list *list, const void *head);
    void *(*next)(const struct ferry_list *list, const void *element);
    void (*insert)(const struct ferry_list *list, void *head, void *after, void *element); /* after NULL: in front */
    void (*remove)(const struct ferry_list *list, void *head, void *element);
};

/* A load allocates (calloc) the elements, desc->size bytes each. */
struct ferry_list {
    const struct ferry_list_ops *ops;
    const struct ferry_state_desc *desc; /* of one element */
    size_t link;                         /* offset of the link in an element */
    size_t most;                         /* refuse to load more elements than this */
    void (*free_element)(void *element); /* for those that a load replaces; NULL: free() */
};

/* <sys/queue.h>: TAILQ_HEAD and TAILQ_ENTRY; LIST_HEAD and LIST_ENTRY. */
FERRY_API extern const struct ferry_list_ops ferry_list_ops_tailq;
FERRY_API extern const struct ferry_list_ops ferry_list_ops_list;

/**
 * struct ferry_tree - an ordered map, saved as QEMU saves a GTree: in key order
 *
 * A node is one struct with the key and the value in it; @key and @value describe that struct.
 */
struct ferry_tree {
    const struct ferry_tree_ops *ops;
    const struct ferry_state_desc *key; /* NULL: the key is a uint64_t at @key_offset, encoded as be64 */
    size_t key_offset;
    const struct ferry_state_desc *value;
    size_t node_size;
    size_t most;
};

struct ferry_tree_ops {
    void (*init)(void *root); /* makes an empty tree, whatever @root held */
    void *(*first)(const void *root);
    void *(*next)(const void *root, const void *node);
    int (*insert)(void *root, void *node); /* takes @node (calloc'ed); may not allocate; -EEXIST: the key is there */
    void (*move)(void *to, void *from);    /* frees the nodes of @to, leaves @from empty; cannot fail */
};

FERRY_END_DECLS

#include <ferry/field.h>

#endif
