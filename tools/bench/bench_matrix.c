/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_matrix.c - what is to be measured: axes, their values, and the rows that they make */
#include "bench_matrix.h"

#include "spec.h"

#include <errno.h>
#include <ferry/options.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Our own keys and what they can be. */
static const struct {
    const char *key, *values[3];
} own[] = {
    { "guest", { "pattern", "kvm" } },
    { "tls", { "off", "on" } },
    { "via", { "tcp", "unix" } },
};
#define OWN (sizeof(own) / sizeof(own[0]))

/* Files and names of one host: the other end would not take them from a stranger, and the bench has its own. */
static const char *const secrets[] = { "journal",      "lease",     "dirty-trace", "tls-creds",
                                       "tls-hostname", "tls-authz", "tls-identity" };

static bool is_option(const char *key)
{
    struct ferry_option_info info;

    for (unsigned i = 0; ferry_option_info(i, &info); i++)
        if (!strcmp(info.name, key))
            return true;
    return false;
}

enum matrix_key matrix_key(const char *key)
{
    for (size_t i = 0; i < OWN; i++)
        if (!strcmp(own[i].key, key))
            return MATRIX_OWN;
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
        if (!strcmp(secrets[i], key))
            return MATRIX_SECRET;
    if (spec_has_key(key))
        return MATRIX_GUEST;
    return is_option(key) ? MATRIX_OPTION : MATRIX_UNKNOWN;
}

static int add_axis(json_t *axes, const char *key, json_t *values, struct ferry_error *err)
{
    if (json_object_get(axes, key)) {
        json_decref(values);
        return ferry_error_set(err, -EINVAL, "'%s' is given twice: write %s=V1,V2", key, key);
    }
    if (json_object_set_new(axes, key, values) < 0)
        return ferry_error_set(err, -ENOMEM, "no memory for the matrix");
    return 0;
}

int matrix_add(json_t *axes, const char *text, struct ferry_error *err)
{
    char copy[1024], *value, *rest;
    json_t *values;

    if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
        return ferry_error_set(err, -EINVAL, "an axis in more than %zu bytes", sizeof(copy) - 1);
    rest = strchr(copy, '=');
    if (!rest || rest == copy || !rest[1])
        return ferry_error_set(err, -EINVAL, "'%s' is no axis: write KEY=VALUE or KEY=V1,V2", text);
    *rest++ = '\0';
    values = json_array();
    while (values && (value = strsep(&rest, ",")))
        json_array_append_new(values, json_string(value));
    return add_axis(axes, copy, values, err);
}

/* A value as the command line would have it. */
static json_t *as_text(const json_t *value)
{
    char number[32];

    if (json_is_string(value))
        return json_string(json_string_value(value));
    if (json_is_boolean(value))
        return json_string(json_is_true(value) ? "on" : "off");
    if (!json_is_integer(value))
        return NULL;
    snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
    return json_string(number);
}

static int read_axis(json_t *axes, const char *key, const json_t *given, struct ferry_error *err)
{
    size_t count = json_is_array(given) ? json_array_size(given) : 1;
    json_t *values = json_array();

    for (size_t i = 0; i < count; i++) {
        json_t *text = as_text(json_is_array(given) ? json_array_get(given, i) : given);

        if (!text) {
            json_decref(values);
            return ferry_error_set(err, -EINVAL, "'%s': a value is a text, a whole number, true or false", key);
        }
        json_array_append_new(values, text);
    }
    return add_axis(axes, key, values, err);
}

int matrix_read(json_t *axes, const char *path, struct ferry_error *err)
{
    json_error_t why;
    json_t *file = json_load_file(path, JSON_REJECT_DUPLICATES, &why), *given;
    const char *key;
    int ret = 0;

    if (!json_is_object(file)) {
        json_decref(file);
        return file ? ferry_error_set(err, -EINVAL, "%s: it should be an object of KEY: [VALUE, ...]", path)
                    : ferry_error_set(err, -EINVAL, "%s: line %d: %s", path, why.line, why.text);
    }
    json_object_foreach (file, key, given)
        if (ret == 0)
            ret = read_axis(axes, key, given, err);
    json_decref(file);
    if (ret < 0)
        ferry_error_prefix(err, "%s", path);
    return ret;
}

static int check_own(const char *key, const char *value, bool local, struct ferry_error *err)
{
    size_t i = 0;

    while (strcmp(own[i].key, key))
        i++;
    if (strcmp(value, own[i].values[0]) && strcmp(value, own[i].values[1]))
        return ferry_error_set(err, -EINVAL, "%s: '%s' is neither %s nor %s", key, value, own[i].values[0],
                               own[i].values[1]);
    if (!strcmp(key, "via") && !local)
        return ferry_error_set(err, -EINVAL, "via says what lies between two processes of one host: only with --local");
    return 0;
}

static int check_value(const char *key, const char *value, bool local, struct ferry_error *err)
{
    struct ferry_options *options;
    int ret;

    switch (matrix_key(key)) {
    case MATRIX_OWN:
        return check_own(key, value, local, err);
    case MATRIX_GUEST:
        return 0; /* with the rest of its row */
    case MATRIX_SECRET:
        return ferry_error_set(err, -EINVAL, "'%s' names something of one host and is no axis%s", key,
                               strncmp(key, "tls-", 4) ? "" : ": tls=on encrypts with a key made for the occasion");
    case MATRIX_UNKNOWN:
        return ferry_error_set(err, -EINVAL,
                               "'%s' is no axis: it is neither guest, tls, via, a key of a guest nor an option", key);
    case MATRIX_OPTION:
        break;
    }
    options = ferry_options_new();
    ret = options ? ferry_options_set(options, key, value, err) : -ENOMEM;
    ferry_options_free(options);
    return ret;
}

static int check_guest(const json_t *settings, struct ferry_error *err)
{
    const char *kind = json_string_value(json_object_get(settings, "guest"));
    struct guest_spec spec;
    char text[512];

    matrix_guest(settings, text, sizeof(text));
    if (spec_parse(strchr(text, ':') + 1, &spec, err) < 0)
        return -EINVAL;
    if (kind && !strcmp(kind, "kvm") && spec.vfio_bytes > 0)
        return ferry_error_set(err, -EINVAL, "%s: a kvm guest has no simulated device", text);
    return 0;
}

static int check_rows(const json_t *axes, struct ferry_error *err)
{
    size_t rows = matrix_rows(axes);
    int ret = 0;

    if (rows == 0 || rows > MATRIX_ROWS_MAX)
        return ferry_error_set(err, -EINVAL, "%zu rows: from 1 to %d can be run", rows, MATRIX_ROWS_MAX);
    for (size_t i = 0; ret == 0 && i < rows; i++) {
        json_t *settings = matrix_row(axes, i);

        ret = settings ? check_guest(settings, err) : -ENOMEM;
        json_decref(settings);
    }
    return ret;
}

int matrix_check(const json_t *axes, bool local, struct ferry_error *err)
{
    const char *key;
    json_t *values, *value;
    size_t i;

    json_object_foreach ((json_t *)(uintptr_t)axes, key, values)
        json_array_foreach (values, i, value) {
            const char *text = json_string_value(value);
            int ret = text ? check_value(key, text, local, err)
                           : ferry_error_set(err, -EINVAL, "'%s' has a value that is no text", key);

            if (ret < 0)
                return ret;
        }
    return check_rows(axes, err);
}

size_t matrix_rows(const json_t *axes)
{
    const char *key;
    json_t *values;
    size_t rows = 1;

    json_object_foreach ((json_t *)(uintptr_t)axes, key, values)
        if (rows <= MATRIX_ROWS_MAX)
            rows *= json_array_size(values);
    return rows;
}

json_t *matrix_row(const json_t *axes, size_t row)
{
    json_t *settings = json_object(), *values;
    size_t each = matrix_rows(axes);
    const char *key;

    json_object_foreach ((json_t *)(uintptr_t)axes, key, values) {
        each /= json_array_size(values);
        json_object_set(settings, key, json_array_get(values, row / each));
        row %= each;
    }
    return settings;
}

char *matrix_guest(const json_t *settings, char *to, size_t room)
{
    const char *kind = json_string_value(json_object_get(settings, "guest")), *key;
    size_t used = (size_t)snprintf(to, room, "%s:", kind ? kind : "pattern");
    bool first = true;
    json_t *value;

    json_object_foreach ((json_t *)(uintptr_t)settings, key, value) {
        if (matrix_key(key) != MATRIX_GUEST || used >= room)
            continue;
        used += (size_t)snprintf(to + used, room - used, "%s%s=%s", first ? "" : ",", key, json_string_value(value));
        first = false;
    }
    return to;
}

char *matrix_label(const json_t *axes, const json_t *settings, char *to, size_t room)
{
    bool all = matrix_rows(axes) == 1;
    size_t used = 0;
    const char *key;
    json_t *value;

    to[0] = '\0';
    json_object_foreach ((json_t *)(uintptr_t)settings, key, value) {
        if ((!all && json_array_size(json_object_get(axes, key)) < 2) || used >= room)
            continue;
        used += (size_t)snprintf(to + used, room - used, "%s%s=%s", used ? " " : "", key, json_string_value(value));
    }
    return to;
}

static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

void matrix_order(size_t rows, uint64_t seed, size_t *order)
{
    uint64_t state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;

    for (size_t i = 0; i < rows; i++)
        order[i] = i;
    for (size_t i = rows; i > 1; i--) {
        size_t other = draw(&state) % i, kept = order[i - 1];

        order[i - 1] = order[other];
        order[other] = kept;
    }
}
