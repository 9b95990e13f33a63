/* SPDX-License-Identifier: BSD-3-Clause */
/* walk.c - goes through a described object, in order, and shows a visitor what is there
 *
 *     walk_section    one name in errors            device, subsection
 *       walk_body       versions, hooks             also nested structs, list elements
 *         walk_field      count, where it lies
 *           walk_element    one value               back to walk_body for structs
 */
#include "walk.h"

#include "fields.h"
#include "profile.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where we are, innermost first; lives on the stack of walk_field. */
struct walk_path {
    const struct walk_path *outer;
    const char *name;
    size_t index;
    bool array;
};

static void walk_print_path(const struct walk_path *path, char *to, size_t room)
{
    size_t used;

    if (path->outer)
        walk_print_path(path->outer, to, room);
    used = strlen(to);
    snprintf(to + used, room - used, path->array ? "%s%s[%zu]" : "%s%s", path->outer ? "." : "", path->name,
             path->index);
}

/* The innermost field that fails is the one to name. */
static void walk_note_failure(struct walk *walk)
{
    if (!walk->failed[0] && walk->path)
        walk_print_path(walk->path, walk->failed, sizeof(walk->failed));
}

static bool walk_loading(const struct walk *walk)
{
    return walk->visitor->ops->loading;
}

int walk_version(const struct walk *walk, const struct ferry_state_desc *desc)
{
    return walk_loading(walk) ? desc->version_id : profile_version(walk->profile, desc);
}

/* ---- one value --------------------------------------------------------------------------------------------------- */

/* "equal" and "at most": what comes is compared with what is there. */
static int walk_checked_scalar(struct walk *walk, const struct ferry_field *field, const char *name, void *value,
                               struct ferry_error *err)
{
    uint64_t here = scalar_load(field->kind, value), there;
    uint64_t raw = 0;
    int rc = walk->visitor->ops->scalar(walk->visitor, name, field->kind, &raw, err);

    if (rc < 0)
        return rc;
    there = scalar_load(field->kind, &raw);
    if ((field->flags & FERRY_FIELD_EQUAL) && there != here)
        return kind_is_signed(field->kind)
                   ? ferry_error_set(err, -EINVAL, "%" PRId64 " is not the local %" PRId64, (int64_t)there,
                                     (int64_t)here)
                   : ferry_error_set(err, -EINVAL, "%" PRIu64 " is not the local %" PRIu64, there, here);
    if ((field->flags & FERRY_FIELD_AT_MOST) && ((int64_t)there < 0 || (int64_t)there > (int64_t)here))
        return ferry_error_set(err, -EINVAL, "%" PRId64 " is not within 0 to the local %" PRId64, (int64_t)there,
                               (int64_t)here);
    scalar_store(field->kind, value, there);
    return 0;
}

static int walk_custom(struct walk *walk, const struct ferry_field *field, const char *name, void *value,
                       struct ferry_error *err)
{
    const struct ferry_custom *custom = field->of.custom;
    int rc;

    if (!custom->visit)
        return walk->visitor->ops->custom(walk->visitor, name, custom, value, field->size, err);
    rc = visitor_begin_struct(walk->visitor, name, NULL, 0, err);
    if (rc == 0)
        rc = custom->visit(walk->visitor, value, field->size, err);
    return rc < 0 ? rc : visitor_end_struct(walk->visitor, err);
}

/* @units: of a buffer, an unused gap or a bitmap: bytes or bits */
static int walk_element(struct walk *walk, const struct ferry_field *field, const char *name,
                        struct walk_object element, size_t units, struct ferry_error *err)
{
    struct ferry_visitor *visitor = walk->visitor;

    switch (field->kind) {
    case FERRY_KIND_BUFFER:
        return visitor->ops->bytes(visitor, name, element.at, units, err);
    case FERRY_KIND_UNUSED:
        return visitor->ops->unused(visitor, units, err);
    case FERRY_KIND_BITMAP:
        return visitor->ops->bitmap(visitor, name, (uint64_t *)(void *)element.at, units, err);
    case FERRY_KIND_STRUCT:
        return walk_body(walk, name, field->of.desc, element, walk_version(walk, field->of.desc), err);
    case FERRY_KIND_VSTRUCT:
        return walk_body(walk, name, field->of.desc, element, field->struct_version, err);
    case FERRY_KIND_CUSTOM:
        return walk_custom(walk, field, name, element.at, err);
    case FERRY_KIND_TMP:
        return walk_tmp(walk, field, name, element, err); /* its offset is 0: the element is the parent */
    case FERRY_KIND_LIST:
        return walk_list(walk, field->of.list, element, err);
    case FERRY_KIND_TREE:
        return walk_tree(walk, field->of.tree, element, err);
    default:
        if (walk_loading(walk) && (field->flags & (FERRY_FIELD_EQUAL | FERRY_FIELD_AT_MOST)))
            return walk_checked_scalar(walk, field, name, element.at, err);
        return visitor->ops->scalar(visitor, name, field->kind, element.at, err);
    }
}

/* ---- where the elements lie -------------------------------------------------------------------------------------- */

static void *pointer_at(const void *slot)
{
    void *pointer;

    memcpy(&pointer, slot, sizeof(pointer));
    return pointer;
}

/* Bytes of memory that @count elements take. */
static size_t walk_memory_bytes(const struct ferry_field *field, size_t count)
{
    if (field->kind == FERRY_KIND_BITMAP)
        return (count + 63) / 64 * sizeof(uint64_t);
    return count * field->size;
}

/* Through a pointer.  Loading: to a copy of what is behind it, to be copied back by the commit. */
static int walk_follow(struct walk *walk, const struct ferry_field *field, uint8_t *slot, size_t count,
                       struct walk_object *base, struct ferry_error *err)
{
    size_t bytes = walk_memory_bytes(field, count);
    void *target = pointer_at(slot), *at, *home;
    bool structs = field->kind == FERRY_KIND_STRUCT || field->kind == FERRY_KIND_VSTRUCT;
    int rc;

    if (!target && bytes)
        return ferry_error_set(err, -EINVAL, "the pointer is NULL, with %zu bytes to be behind it", bytes);
    *base = (struct walk_object){ target, target };
    if (!walk_loading(walk) || !bytes)
        return 0;
    rc = stage_shadow(walk->stage, target, bytes, &at, &home, err);
    if (rc < 0)
        return rc;
    memcpy(slot, &at, sizeof(at));
    *base = (struct walk_object){ at, home };
    return stage_step_copy(walk->stage, structs ? field->of.desc : NULL, at, home, structs ? count : bytes, err);
}

/* Through a pointer whose elements a load allocates. */
static int walk_allocate(struct walk *walk, const struct ferry_field *field, struct walk_object slot, size_t count,
                         struct walk_object *base, struct ferry_error *err)
{
    void *gift = NULL;

    if (!walk_loading(walk))
        return walk_follow(walk, field, slot.at, count, base, err);
    if (count) {
        gift = stage_gift(walk->stage, walk_memory_bytes(field, count), 1, err);
        if (!gift)
            return -ENOMEM;
    }
    memcpy(slot.at, &gift, sizeof(gift));
    *base = (struct walk_object){ gift, gift };
    return slot.at == slot.home ? 0 : stage_step_pointer(walk->stage, gift, slot.home, err);
}

/* How many elements from @from on are NULL, or not NULL, together. */
static size_t walk_run(const struct ferry_field *field, const uint8_t *slots, size_t from, size_t count)
{
    size_t end = from + 1;

    if (!(field->flags & FERRY_FIELD_OF_POINTERS))
        return count - from;
    while (end < count && !pointer_at(slots + end * sizeof(void *)) == !pointer_at(slots + from * sizeof(void *)))
        end++;
    return end - from;
}

static struct walk_object walk_at(struct walk_object base, size_t offset)
{
    /* Of nothing, not even the address is taken. */
    return offset ? (struct walk_object){ base.at + offset, base.home + offset } : base;
}

static int walk_one(struct walk *walk, const struct visit_field *shown, struct walk_object base, size_t index,
                    struct ferry_error *err)
{
    const struct ferry_field *field = shown->field;
    struct walk_object element = walk_at(base, index * field->size);
    /* An element of an array has no name of its own. */
    const char *name = shown->array ? NULL : shown->name;

    if (field->flags & FERRY_FIELD_OF_POINTERS) {
        uint8_t *slot = base.at + index * sizeof(void *);
        int rc;

        if (!pointer_at(slot))
            return walk->visitor->ops->null(walk->visitor, name, err);
        rc = walk_follow(walk, field, slot, 1, &element, err);
        if (rc < 0)
            return rc;
    }
    return walk_element(walk, field, name, element, shown->count, err);
}

static int walk_elements(struct walk *walk, struct walk_path *path, const struct visit_field *shown,
                         struct walk_object base, struct ferry_error *err)
{
    const struct visitor_shape *shape = walk->visitor->ops->shape;
    size_t elements = field_is_whole(shown->field) ? 1 : shown->count, run_end = 0;
    int rc = shape ? shape->begin_field(walk->visitor, shown, err) : 0;

    for (size_t i = 0; rc == 0 && i < elements; i++) {
        struct visit_element element = { .index = i };

        path->index = i;
        if (shape && (i == run_end || !shown->alike)) {
            element.run = walk_run(shown->field, base.at, i, elements);
            run_end = i + element.run;
        }
        if (shape) {
            element.null = (shown->field->flags & FERRY_FIELD_OF_POINTERS) && !pointer_at(base.at + i * sizeof(void *));
            rc = shape->begin_element(walk->visitor, shown, &element, err);
        }
        if (rc == 0)
            rc = walk_one(walk, shown, base, i, err);
        if (rc == 0 && shape)
            rc = shape->end_element(walk->visitor, err);
    }
    if (rc == 0 && shape)
        rc = shape->end_field(walk->visitor, shown, err);
    return rc;
}

static int walk_field(struct walk *walk, const struct ferry_state_desc *desc, const struct ferry_field *field,
                      struct walk_object object, struct ferry_error *err)
{
    struct walk_path path = { .outer = walk->path, .name = field->name };
    struct walk_object base = { object.at + field->offset, object.home + field->offset };
    struct visit_field shown = { .field = field };
    int rc;

    walk->path = &path;
    rc = field_count(field, object.at, &shown.count, err);
    if (rc == 0 && (field->flags & FERRY_FIELD_ALLOCATE))
        rc = walk_allocate(walk, field, base, shown.count, &base, err);
    else if (rc == 0 && (field->flags & FERRY_FIELD_POINTER))
        rc = walk_follow(walk, field, base.at, shown.count, &base, err);
    if (rc == 0) {
        shown.array = !field_is_whole(field) && (shown.count != 1 || field->count.kind != FERRY_COUNT_FIXED);
        path.array = shown.array;
        if (walk->visitor->ops->shape) {
            field_unique_name(desc, field, shown.name, sizeof(shown.name));
            shown.alike = field_alike(field);
        }
        rc = walk_elements(walk, &path, &shown, base, err);
    }
    if (rc < 0)
        walk_note_failure(walk);
    walk->path = path.outer;
    return rc;
}

/* ---- bodies ------------------------------------------------------------------------------------------------------ */

static int walk_fields(struct walk *walk, const struct ferry_state_desc *desc, struct walk_object object, int version,
                       struct ferry_error *err)
{
    for (const struct ferry_field *field = desc->fields; field->name; field++) {
        bool exists = field_exists(field, object.at, version);
        int rc = 0;

        if (field->kind == FERRY_KIND_VALIDATE && !exists)
            rc = ferry_error_set(err, -EINVAL, "this does not hold: %s", field->name);
        else if (field->kind != FERRY_KIND_VALIDATE && exists)
            rc = walk_field(walk, desc, field, object, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* A subsection is a section of its own in errors: "cpu: field 'x': cpu/tsc_khz: field 'khz': ..." */
static int walk_one_subsection(struct walk *walk, const struct ferry_state_desc *sub, struct walk_object object,
                               int version, struct ferry_error *err)
{
    const struct walk_path *path = walk->path;
    int rc;

    walk->path = NULL;
    rc = walk_section(walk, sub, object, version, err);
    walk->path = path;
    return rc < 0 ? rc : visitor_end_subsection(walk->visitor, err);
}

static int walk_save_subsections(struct walk *walk, const struct ferry_state_desc *desc, struct walk_object object,
                                 struct ferry_error *err)
{
    const struct ferry_state_desc *none = NULL;
    int version = 0;

    for (const struct ferry_state_desc *const *sub = desc->subsections; sub && *sub; sub++) {
        const struct ferry_state_desc *which = *sub;
        int rc;

        if (which->hooks.needed && !which->hooks.needed(object.at))
            continue;
        version = profile_version(walk->profile, which);
        rc = walk->visitor->ops->subsection(walk->visitor, desc, &which, &version, err);
        if (rc == 0)
            rc = walk_one_subsection(walk, which, object, version, err);
        if (rc < 0)
            return rc;
    }
    return walk->visitor->ops->subsection(walk->visitor, desc, &none, &version, err);
}

static int walk_load_subsections(struct walk *walk, const struct ferry_state_desc *desc, struct walk_object object,
                                 struct ferry_error *err)
{
    uint64_t seen = 0;

    for (;;) {
        const struct ferry_state_desc *sub;
        uint64_t bit;
        int version;
        int rc = walk->visitor->ops->subsection(walk->visitor, desc, &sub, &version, err);

        if (rc < 0 || !sub)
            return rc;
        bit = UINT64_C(1) << field_subsection_index(desc, sub);
        if (seen & bit)
            return ferry_error_set(err, -EPROTO, "the subsection '%s' comes twice", sub->name);
        seen |= bit;
        rc = walk_one_subsection(walk, sub, object, version, err);
        if (rc < 0)
            return rc;
    }
}

static int walk_save(struct walk *walk, const char *name, const struct ferry_state_desc *desc,
                     struct walk_object object, int version, struct ferry_error *err)
{
    const struct ferry_state_hooks *hooks = &desc->hooks;
    int rc = hooks->pre_save ? hooks->pre_save(object.at, err) : 0;

    if (rc < 0)
        return rc;
    rc = visitor_begin_struct(walk->visitor, name, desc, version, err);
    if (rc == 0)
        rc = walk_fields(walk, desc, object, version, err);
    if (rc == 0)
        rc = walk_save_subsections(walk, desc, object, err);
    if (rc == 0)
        rc = visitor_end_struct(walk->visitor, err);
    if (hooks->post_save) {
        /* The first failure is the one to tell. */
        int post = hooks->post_save(object.at, rc == 0 ? err : NULL);

        rc = rc == 0 && post < 0 ? post : rc;
    }
    return rc;
}

static int walk_load(struct walk *walk, const char *name, const struct ferry_state_desc *desc,
                     struct walk_object object, int version, struct ferry_error *err)
{
    const struct ferry_state_hooks *hooks = &desc->hooks;
    bool old = version < desc->minimum_version_id;
    int rc;

    if (version > desc->version_id)
        return ferry_error_set_code(err, FERRY_E_DEVICE_VERSION, -EINVAL, "version %d is newer than the local %d",
                                    version, desc->version_id);
    if (old && (!hooks->load_old || !walk->visitor->ops->old || version < desc->minimum_version_id_old))
        return ferry_error_set_code(err, FERRY_E_DEVICE_VERSION, -EINVAL,
                                    "version %d is older than the oldest that can be loaded, %d", version,
                                    hooks->load_old ? desc->minimum_version_id_old : desc->minimum_version_id);
    rc = hooks->pre_load ? hooks->pre_load(object.at, err) : 0;
    if (rc < 0)
        return rc;
    if (old) {
        rc = walk->visitor->ops->old(walk->visitor, desc, object.at, version, err);
    } else {
        rc = visitor_begin_struct(walk->visitor, name, desc, version, err);
        if (rc == 0)
            rc = walk_fields(walk, desc, object, version, err);
        if (rc == 0)
            rc = walk_load_subsections(walk, desc, object, err);
        if (rc == 0)
            rc = visitor_end_struct(walk->visitor, err);
    }
    if (rc == 0 && hooks->check)
        rc = hooks->check(object.at, version, err);
    return rc < 0 ? rc : stage_hook(walk->stage, desc, object.home, version, err);
}

int walk_body(struct walk *walk, const char *name, const struct ferry_state_desc *desc, struct walk_object object,
              int version, struct ferry_error *err)
{
    int rc;

    if (walk->depth == FIELDS_DEPTH)
        return ferry_error_set(err, -EPROTO, "more than %d descriptions within each other", FIELDS_DEPTH);
    walk->depth++;
    rc = walk_loading(walk) ? walk_load(walk, name, desc, object, version, err)
                            : walk_save(walk, name, desc, object, version, err);
    walk->depth--;
    if (rc < 0)
        walk_note_failure(walk);
    return rc;
}

int walk_section(struct walk *walk, const struct ferry_state_desc *desc, struct walk_object object, int version,
                 struct ferry_error *err)
{
    int rc = walk_body(walk, "fields", desc, object, version, err);

    if (rc == 0)
        return 0;
    if (err && !err->errnum)
        ferry_error_set(err, rc, "failed without saying why"); /* a hook that did not */
    if (walk->failed[0])
        ferry_error_prefix(err, "%s: field '%s'", desc->name, walk->failed);
    else
        ferry_error_prefix(err, "%s", desc->name);
    walk->failed[0] = '\0';
    return rc;
}
