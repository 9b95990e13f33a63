/* SPDX-License-Identifier: BSD-3-Clause */
/* values.c - values of a device by path, for converters
 *
 *     regs[3].mode           object -> member "regs" -> element 3 -> member "mode"
 *     spec.size.max          the longest member name that fits is taken: "spec.size" may be one name
 */
#include "values.h"

#include "tree.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a path leads.  Without a value: where a new one would go. */
struct place {
    json_t *holder;   /* borrowed */
    const char *name; /* of a member of holder; borrowed from it or from the path */
    size_t index;     /* where holder is an array */
    json_t *value;    /* borrowed; NULL: none yet */
};

static const char *longest_member(json_t *object, const char *path)
{
    const char *best = NULL, *key;
    size_t best_bytes = 0;
    json_t *value;

    json_object_foreach (object, key, value) {
        size_t bytes = strlen(key);

        if (bytes > best_bytes && strncmp(path, key, bytes) == 0 && strchr(".[", path[bytes])) {
            best = key; /* strchr() finds the end of the path, too */
            best_bytes = bytes;
        }
    }
    return best;
}

/* One step down from place->holder; *path is set behind it. */
static int take_step(struct place *place, const char **path)
{
    char *end;

    if (json_is_array(place->holder)) {
        if ((*path)[0] != '[' || (*path)[1] < '0' || (*path)[1] > '9')
            return -ENOENT;
        place->index = strtoul(*path + 1, &end, 10);
        if (*end != ']' || place->index > json_array_size(place->holder))
            return -ENOENT;
        place->value = json_array_get(place->holder, place->index);
        *path = end + 1;
        return 0;
    }
    if (!json_is_object(place->holder))
        return -ENOENT;
    place->name = longest_member(place->holder, *path);
    place->value = place->name ? json_object_get(place->holder, place->name) : NULL;
    if (!place->name)
        place->name = *path; /* a new one */
    *path += strlen(place->name);
    return 0;
}

static int find_place(const struct ferry_values *values, const char *path, struct place *place, struct ferry_error *err)
{
    const char *rest = path;

    *place = (struct place){ .holder = values->root };
    while (*rest) {
        if (take_step(place, &rest) < 0 || (!place->value && *rest))
            break;
        if (*rest == '.')
            rest++;
        else if (*rest && *rest != '[')
            break;
        if (!*rest)
            return 0;
        place->holder = place->value;
    }
    return ferry_error_set(err, -ENOENT, "no place '%s' among the values", path);
}

static int find_value(const struct ferry_values *values, const char *path, struct place *place, struct ferry_error *err)
{
    int ret = find_place(values, path, place, err);

    return ret < 0 || place->value ? ret : ferry_error_set(err, -ENOENT, "no value '%s'", path);
}

static int wrong_type(const char *path, const char *wanted, struct ferry_error *err)
{
    return ferry_error_set(err, -EINVAL, "the value '%s' is not %s", path, wanted);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

bool ferry_values_has(const struct ferry_values *values, const char *path)
{
    struct place place;

    return find_value(values, path, &place, NULL) == 0;
}

int64_t ferry_values_count(const struct ferry_values *values, const char *path, struct ferry_error *err)
{
    struct place place;
    int ret = find_value(values, path, &place, err);

    if (ret < 0)
        return ret;
    return json_is_array(place.value) ? (int64_t)json_array_size(place.value) : wrong_type(path, "an array", err);
}

int ferry_values_get_u64(const struct ferry_values *values, const char *path, uint64_t *value, struct ferry_error *err)
{
    struct place place;
    int ret = find_value(values, path, &place, err);
    const char *text;
    char *end;

    if (ret < 0)
        return ret;
    text = json_string_value(place.value); /* how the tree has what is beyond INT64_MAX */
    if (text) {
        errno = 0;
        *value = strtoull(text, &end, 10);
        return text[0] < '0' || text[0] > '9' || *end || errno ? wrong_type(path, "a number", err) : 0;
    }
    if (!json_is_integer(place.value))
        return wrong_type(path, "a whole number", err);
    if (json_integer_value(place.value) < 0)
        return ferry_error_set(err, -ERANGE, "the value '%s' is negative", path);
    *value = (uint64_t)json_integer_value(place.value);
    return 0;
}

int ferry_values_get_i64(const struct ferry_values *values, const char *path, int64_t *value, struct ferry_error *err)
{
    struct place place;
    int ret = find_value(values, path, &place, err);

    if (ret < 0)
        return ret;
    if (json_is_string(place.value)) {
        uint64_t big;

        ret = ferry_values_get_u64(values, path, &big, err);
        return ret < 0 ? ret : ferry_error_set(err, -ERANGE, "the value '%s', %" PRIu64 ", is too large", path, big);
    }
    if (!json_is_integer(place.value))
        return wrong_type(path, "a whole number", err);
    *value = json_integer_value(place.value);
    return 0;
}

int ferry_values_get_bool(const struct ferry_values *values, const char *path, bool *value, struct ferry_error *err)
{
    struct place place;
    int ret = find_value(values, path, &place, err);

    if (ret < 0)
        return ret;
    if (!json_is_boolean(place.value))
        return wrong_type(path, "true or false", err);
    *value = json_is_true(place.value);
    return 0;
}

int ferry_values_get_bytes(const struct ferry_values *values, const char *path, void *to, size_t bytes,
                           struct ferry_error *err)
{
    struct place place;
    int ret = find_value(values, path, &place, err);
    uint8_t *data = NULL;
    size_t there = 0;

    if (ret < 0)
        return ret;
    data = tree_to_bytes(place.value, &there);
    if (!data)
        return wrong_type(path, "a buffer", err);
    if (there == bytes)
        memcpy(to, data, bytes);
    else
        ret =
            ferry_error_set(err, -ERANGE, "the value '%s' has %zu bytes where %zu were asked for", path, there, bytes);
    free(data);
    return ret;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* Takes @value, whatever comes of it; NULL: there was no memory for it. */
static int put_value(struct ferry_values *values, const char *path, json_t *value, struct ferry_error *err)
{
    struct place place;
    int ret;

    if (!value)
        return ferry_error_set(err, -ENOMEM, "no memory for the value '%s'", path);
    ret = find_place(values, path, &place, err);
    if (ret < 0) {
        json_decref(value);
        return ret;
    }
    if (json_is_object(place.holder))
        ret = json_object_set_new(place.holder, place.name, value);
    else if (place.value)
        ret = json_array_set_new(place.holder, place.index, value);
    else
        ret = json_array_append_new(place.holder, value);
    return ret < 0 ? ferry_error_set(err, -ENOMEM, "no memory for the value '%s'", path) : 0;
}

int ferry_values_set_u64(struct ferry_values *values, const char *path, uint64_t value, struct ferry_error *err)
{
    char text[24];

    if (value <= INT64_MAX)
        return put_value(values, path, json_integer((json_int_t)value), err);
    snprintf(text, sizeof(text), "%" PRIu64, value);
    return put_value(values, path, json_string(text), err);
}

int ferry_values_set_i64(struct ferry_values *values, const char *path, int64_t value, struct ferry_error *err)
{
    return put_value(values, path, json_integer(value), err);
}

int ferry_values_set_bool(struct ferry_values *values, const char *path, bool value, struct ferry_error *err)
{
    return put_value(values, path, json_boolean(value), err);
}

int ferry_values_set_bytes(struct ferry_values *values, const char *path, const void *from, size_t bytes,
                           struct ferry_error *err)
{
    return put_value(values, path, tree_from_bytes(from, bytes), err);
}

int ferry_values_set_array(struct ferry_values *values, const char *path, struct ferry_error *err)
{
    return put_value(values, path, json_array(), err);
}

int ferry_values_set_struct(struct ferry_values *values, const char *path, struct ferry_error *err)
{
    return put_value(values, path, json_object(), err);
}

int ferry_values_move(struct ferry_values *values, const char *from, const char *to, struct ferry_error *err)
{
    struct place place;
    int ret = find_value(values, from, &place, err);
    json_t *value;

    if (ret < 0)
        return ret;
    value = json_incref(place.value);
    ret = ferry_values_remove(values, from, err);
    if (ret < 0) {
        json_decref(value);
        return ret;
    }
    return put_value(values, to, value, err);
}

int ferry_values_remove(struct ferry_values *values, const char *path, struct ferry_error *err)
{
    struct place place;
    int ret = find_value(values, path, &place, err);

    if (ret < 0)
        return ret;
    if (json_is_object(place.holder))
        json_object_del(place.holder, place.name);
    else
        json_array_remove(place.holder, place.index);
    return 0;
}
