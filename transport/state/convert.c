/* SPDX-License-Identifier: BSD-3-Clause */
/* convert.c - a device's body in another version of the device, by a converter of the embedder's */
#include "convert.h"

#include "convert_room.h"
#include "fields.h"
#include "values.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void convert_list_clear(struct convert_list *list)
{
    free(list->rows);
    *list = (struct convert_list){ 0 };
}

static bool covers(const struct ferry_converter *converter, const char *name, uint32_t version)
{
    const struct ferry_state_desc *other = converter->other;

    return strcmp(other->name, name) == 0 && version <= (uint32_t)other->version_id &&
           version >= (uint32_t)other->minimum_version_id;
}

static int check_new(const struct convert_list *list, const struct ferry_converter *converter, struct ferry_error *err)
{
    const struct ferry_state_desc *other = converter->other;
    int ret = fields_validate(other, err);

    if (ret == 0)
        ret = convert_room_check(other, err);
    if (ret < 0) {
        ferry_error_prefix(err, "the description of a converter");
        return ret;
    }
    if (!converter->from_other && !converter->to_other)
        return ferry_error_set(err, -EINVAL, "the converter for '%s' version %d converts nothing", other->name,
                               other->version_id);
    for (unsigned i = 0; i < list->count; i++) {
        const struct ferry_state_desc *there = list->rows[i]->other;

        if (strcmp(there->name, other->name) == 0 && there->minimum_version_id <= other->version_id &&
            other->minimum_version_id <= there->version_id)
            return ferry_error_set(err, -EEXIST, "there is a converter for '%s' version %d already", other->name,
                                   other->version_id);
    }
    return 0;
}

int convert_list_add(struct convert_list *list, const struct ferry_converter *converter, struct ferry_error *err)
{
    const struct ferry_converter **rows;
    int ret = check_new(list, converter, err);

    if (ret < 0)
        return ret;
    if (list->count == CONVERTERS_MAX)
        return ferry_error_set(err, -ENOSPC, "more than %d converters", CONVERTERS_MAX);
    rows = realloc(list->rows, (list->count + 1) * sizeof(*rows));
    if (!rows)
        return ferry_error_set(err, -ENOMEM, "no memory for another converter");
    list->rows = rows;
    rows[list->count++] = converter;
    return 0;
}

const struct ferry_converter *convert_find_load(const struct convert_list *list, const char *name, uint32_t version)
{
    for (unsigned i = 0; i < list->count; i++)
        if (list->rows[i]->from_other && covers(list->rows[i], name, version))
            return list->rows[i];
    return NULL;
}

const struct ferry_converter *convert_find_save(const struct convert_list *list, const char *name, uint32_t version)
{
    for (unsigned i = 0; i < list->count; i++)
        if (list->rows[i]->to_other && (uint32_t)list->rows[i]->other->version_id == version &&
            covers(list->rows[i], name, version))
            return list->rows[i];
    return NULL;
}

/* @values is shaped like the one version, and shall be like the other. */
static int convert_values(int (*convert)(struct ferry_values *values, struct ferry_error *err), json_t *tree, int from,
                          int to, struct ferry_error *err)
{
    struct ferry_values values = { .root = tree };
    int ret = convert(&values, err);

    if (ret < 0) {
        if (err && !err->errnum)
            ferry_error_set(err, ret, "failed without saying why");
        ferry_error_prefix(err, "converting version %d to %d", from, to);
    }
    return ret;
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

/* The values that come, in the shape of the newest version that @room's description has. */
static json_t *read_other(struct convert_room *room, uint32_t version, struct ferry_reader *reader,
                          struct ferry_error *err)
{
    struct state_staged *staged = state_parse(room->desc, room->object, version, reader, err);
    json_t *tree = NULL;

    if (staged && state_commit(staged, err) == 0)
        tree = state_to_tree(room->desc, room->object, NULL, err);
    state_staged_free(staged);
    return tree;
}

struct state_staged *convert_parse(const struct ferry_converter *converter, const struct ferry_state_desc *desc,
                                   void *opaque, uint32_t version, struct ferry_reader *reader, struct ferry_error *err)
{
    struct state_staged *staged = NULL;
    struct ferry_error why = { 0 };
    struct convert_room room;
    json_t *tree = NULL;

    if (convert_room_init(&room, converter->other, &why) == 0)
        tree = read_other(&room, version, reader, &why);
    if (tree && convert_values(converter->from_other, tree, (int)version, desc->version_id, &why) == 0)
        staged = state_from_tree(desc, opaque, desc->version_id, tree, &why);
    json_decref(tree);
    convert_room_release(&room);
    if (staged)
        return staged;
    if (ferry_reader_status(reader, NULL) == 0)
        ferry_reader_fail(reader, why.errnum, "%s", why.text);
    ferry_reader_status(reader, err);
    return NULL;
}

/* ---- saving ------------------------------------------------------------------------------------------------------ */

/* @room gets the device's state as the other version has it. */
static int fill_other(struct convert_room *room, const struct ferry_converter *converter,
                      const struct ferry_state_desc *desc, void *opaque, struct ferry_error *err)
{
    int to = converter->other->version_id, ret = convert_room_init(room, converter->other, err);
    json_t *tree = ret == 0 ? state_to_tree(desc, opaque, NULL, err) : NULL;
    struct state_staged *staged = NULL;

    if (tree && convert_values(converter->to_other, tree, desc->version_id, to, err) == 0)
        staged = state_from_tree(converter->other, room->object, to, tree, err);
    json_decref(tree);
    ret = staged ? state_commit(staged, err) : err->errnum;
    state_staged_free(staged);
    return ret;
}

int convert_save(struct ferry_writer *writer, const struct ferry_converter *converter,
                 const struct ferry_state_desc *desc, void *opaque, json_t *vmdesc, struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    struct convert_room room = { 0 };
    int ret = fill_other(&room, converter, desc, opaque, &why);

    if (ret == 0)
        (void)state_save(writer, converter->other, room.object, NULL, vmdesc, NULL);
    else
        ferry_writer_fail(writer, &why);
    convert_room_release(&room);
    return ferry_writer_status(writer, err);
}

int64_t convert_size(const struct ferry_converter *converter, const struct ferry_state_desc *desc, void *opaque,
                     struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    struct convert_room room = { 0 };
    int ret = fill_other(&room, converter, desc, opaque, &why);
    int64_t bytes = ret == 0 ? state_size(converter->other, room.object, NULL, &why) : ret;

    convert_room_release(&room);
    if (bytes < 0 && err)
        *err = why;
    return bytes;
}
