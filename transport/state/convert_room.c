/* SPDX-License-Identifier: BSD-3-Clause */
/* convert_room.c - memory for the struct of a description that no device has
 *
 * What a load allocates there (arrays, list elements, tree nodes) is freed as the next load of a device would free it.
 */
#include "convert_room.h"

#include "arena.h"
#include "fields.h"
#include "stage.h"
#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

/* What one such struct may need, with all that its pointers point at. */
#define ROOM_LIMIT_BYTES ((size_t)64 << 20)

/* The largest root that a tree may have. */
#define TREE_ROOT_BYTES 256

/* Stands before what a pointer points at. */
struct room_behind {
    alignas(max_align_t) size_t bytes;
};

static bool is_struct(const struct ferry_field *field)
{
    return field->kind == FERRY_KIND_STRUCT || field->kind == FERRY_KIND_VSTRUCT;
}

static int check_desc(const struct ferry_state_desc *desc, unsigned depth, struct ferry_error *err)
{
    for (const struct ferry_field *f = desc->fields; f->name; f++) {
        int ret = 0;

        if (f->flags & FERRY_FIELD_OF_POINTERS)
            ret = ferry_error_set(err, -ENOTSUP, "%s: field '%s': a converter cannot make an array of pointers",
                                  desc->name, f->name);
        else if ((f->flags & FERRY_FIELD_POINTER) && f->size && f->count.most > ROOM_LIMIT_BYTES / f->size)
            ret = ferry_error_set(err, -ENOTSUP, "%s: field '%s': more than a converter can make room for", desc->name,
                                  f->name);
        else if (f->kind == FERRY_KIND_TREE && f->size > TREE_ROOT_BYTES)
            ret = ferry_error_set(err, -ENOTSUP, "%s: field '%s': the root of a tree has more than %d bytes",
                                  desc->name, f->name, TREE_ROOT_BYTES);
        else if (is_struct(f) && depth < FIELDS_DEPTH)
            ret = check_desc(f->of.desc, depth + 1, err);
        if (ret < 0)
            return ret;
    }
    for (const struct ferry_state_desc *const *sub = desc->subsections; sub && *sub; sub++) {
        int ret = depth < FIELDS_DEPTH ? check_desc(*sub, depth + 1, err) : 0;

        if (ret < 0)
            return ret;
    }
    return 0;
}

int convert_room_check(const struct ferry_state_desc *desc, struct ferry_error *err)
{
    return check_desc(desc, 0, err);
}

static size_t room_bytes(const struct ferry_field *field)
{
    if (field->kind == FERRY_KIND_BITMAP)
        return (field->count.most + 63) / 64 * sizeof(uint64_t);
    return field->count.most * field->size;
}

/* Several fields may be about the same pointer: the largest says how much must be behind it. */
static uint8_t *make_behind(struct arena *arena, const struct ferry_field *field, uint8_t *member,
                            struct ferry_error *err)
{
    size_t bytes = room_bytes(field);
    struct room_behind *behind;
    uint8_t *target;

    memcpy(&target, member, sizeof(target));
    if (target && ((struct room_behind *)(void *)target)[-1].bytes >= bytes)
        return target;
    behind = arena_get(arena, sizeof(*behind) + bytes, err);
    if (!behind)
        return NULL;
    behind->bytes = bytes;
    target = (uint8_t *)(behind + 1);
    memcpy(member, &target, sizeof(target));
    return target;
}

static int make_desc(struct arena *arena, const struct ferry_state_desc *desc, uint8_t *object,
                     struct ferry_error *err);

static int make_field(struct arena *arena, const struct ferry_field *field, uint8_t *object, struct ferry_error *err)
{
    uint8_t *member = object + field->offset;

    if (field->kind == FERRY_KIND_LIST)
        field->of.list->ops->init(field->of.list, member);
    else if (field->kind == FERRY_KIND_TREE)
        field->of.tree->ops->init(member);
    if (field->flags & FERRY_FIELD_POINTER) {
        member = make_behind(arena, field, member, err);
        if (!member)
            return -ENOMEM;
    }
    if (!is_struct(field) || (field->flags & FERRY_FIELD_ALLOCATE))
        return 0;
    for (size_t i = 0; i < field->count.most; i++) {
        int ret = make_desc(arena, field->of.desc, member + i * field->size, err);

        if (ret < 0)
            return ret;
    }
    return 0;
}

static int make_desc(struct arena *arena, const struct ferry_state_desc *desc, uint8_t *object, struct ferry_error *err)
{
    int ret = 0;

    for (const struct ferry_field *f = desc->fields; ret == 0 && f->name; f++)
        ret = make_field(arena, f, object, err);
    for (const struct ferry_state_desc *const *sub = desc->subsections; ret == 0 && sub && *sub; sub++)
        ret = make_desc(arena, *sub, object, err);
    return ret;
}

int convert_room_init(struct convert_room *room, const struct ferry_state_desc *desc, struct ferry_error *err)
{
    int ret;

    *room = (struct convert_room){ .desc = desc, .arena = arena_new(ROOM_LIMIT_BYTES) };
    if (!room->arena)
        return ferry_error_set(err, -ENOMEM, "no memory to convert '%s'", desc->name);
    room->object = arena_get(room->arena, desc->size, err);
    ret = room->object ? make_desc(room->arena, desc, room->object, err) : -ENOMEM;
    if (ret < 0) { /* nothing was loaded, and not all lists can be walked */
        arena_free(room->arena);
        *room = (struct convert_room){ 0 };
    }
    return ret;
}

static void clear_desc(const struct ferry_state_desc *desc, uint8_t *object);

static void empty_tree(const struct ferry_tree *tree, void *root)
{
    alignas(max_align_t) uint8_t empty[TREE_ROOT_BYTES];

    tree->ops->init(empty);
    tree->ops->move(root, empty);
}

static void clear_field(const struct ferry_field *field, uint8_t *object)
{
    uint8_t *member = object + field->offset, *target = member;

    if (field->kind == FERRY_KIND_LIST)
        stage_empty_list(field->of.list, member);
    else if (field->kind == FERRY_KIND_TREE)
        empty_tree(field->of.tree, member);
    if (field->flags & (FERRY_FIELD_ALLOCATE | FERRY_FIELD_POINTER))
        memcpy(&target, member, sizeof(target));
    if (field->flags & FERRY_FIELD_ALLOCATE) {
        free(target);
        memset(member, 0, sizeof(void *));
        return;
    }
    for (size_t i = 0; is_struct(field) && i < field->count.most; i++)
        clear_desc(field->of.desc, target + i * field->size);
}

static void clear_desc(const struct ferry_state_desc *desc, uint8_t *object)
{
    for (const struct ferry_field *f = desc->fields; f->name; f++)
        clear_field(f, object);
    for (const struct ferry_state_desc *const *sub = desc->subsections; sub && *sub; sub++)
        clear_desc(*sub, object);
}

void convert_room_release(struct convert_room *room)
{
    if (room->object)
        clear_desc(room->desc, room->object);
    arena_free(room->arena);
    *room = (struct convert_room){ 0 };
}
