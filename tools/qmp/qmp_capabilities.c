/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_capabilities.c - the table of QEMU's migration capabilities, and what of ours each stands for */
#include "qmp_settings.h"

#include <errno.h>
#include <ferry/capabilities.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct row {
    const char *name;
    const char *option; /* NULL: of the other kinds below, or always off */
    const char *on, *off;
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct row rows[] = {
    { "xbzrle", "compress", "xbzrle", "none" },
    { "rdma-pin-all" },
    { "auto-converge" },
    { "zero-blocks" },
    { "events" },
    { "postcopy-ram", "postcopy", "on", "off" },
    { "x-colo" },
    { "release-ram" },
    { "return-path", "return-path", "on", "off" },
    { "pause-before-switchover", "pause-before-switchover", "on", "off" },
    { "multifd" },
    { "dirty-bitmaps" },
    { "postcopy-blocktime" },
    { "late-block-activate" },
    { "x-ignore-shared" },
    { "validate-uuid" },
    { "background-snapshot" },
    { "zero-copy-send", "zero-copy-send", "on", "off" },
    { "postcopy-preempt", "postcopy-preempt", "on", "off" },
    { "switchover-ack" },
    { "dirty-limit" },
    { "mapped-ram", "mapped-ram", "on", "off" },
};

static const struct row *find(const char *name)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

static bool is(const struct row *row, const char *name)
{
    return !strcmp(row->name, name);
}

static bool state_of(const struct qmp_settings *settings, const struct row *row)
{
    char text[64];
    bool on;

    if (is(row, "events"))
        return settings->events;
    if (is(row, "multifd"))
        return ferry_options_get(settings->options, "channels", text, sizeof(text), NULL) == 0 && strcmp(text, "0");
    if (is(row, "switchover-ack"))
        return ferry_capabilities_get(settings->options, row->name, &on, NULL) == 0 && on;
    if (!row->option || ferry_options_get(settings->options, row->option, text, sizeof(text), NULL) < 0)
        return false;
    return is(row, "postcopy-ram") ? strcmp(text, row->off) != 0 : !strcmp(text, row->on);
}

json_t *qmp_capabilities_json(const struct qmp_settings *settings)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < COUNT(rows); i++)
        json_array_append_new(
            list, json_pack("{s:s, s:b}", "capability", rows[i].name, "state", (int)state_of(settings, &rows[i])));
    return list;
}

static int set_multifd(struct qmp_settings *settings, bool on, struct ferry_error *err)
{
    char text[32] = "0";

    if (on == state_of(settings, find("multifd")))
        return 0;
    if (on)
        snprintf(text, sizeof(text), "%" PRIu64, settings->channels ? settings->channels : QMP_CHANNELS_DEFAULT);
    return settings->ops->set(settings->opaque, "channels", text, err);
}

static int set_one(struct qmp_settings *settings, const struct row *row, bool on, struct ferry_error *err)
{
    if (is(row, "events")) {
        settings->events = on;
        return 0;
    }
    if (is(row, "multifd"))
        return set_multifd(settings, on, err);
    if (is(row, "switchover-ack"))
        return ferry_capabilities_set(settings->options, row->name, on ? "on" : "off", err);
    if (row->option && on != state_of(settings, row))
        return settings->ops->set(settings->opaque, row->option, on ? row->on : row->off, err);
    return 0;
}

int qmp_capabilities_set(struct qmp_settings *settings, const json_t *list, struct ferry_error *err)
{
    const json_t *item;
    size_t i;
    int ret = 0;

    if (settings->ops->runs(settings->opaque))
        return ferry_error_set(err, -EBUSY, "There's a migration process in progress");
    json_array_foreach (list, i, item) {
        const char *name = json_string_value(json_object_get(item, "capability"));
        const struct row *row = find(name);
        bool is_ours = row && (is(row, "events") || is(row, "multifd") || is(row, "switchover-ack") || row->option);

        if (!row)
            return ferry_error_set(err, -ENOENT, "Parameter 'capability' does not accept value '%s'", name);
        if (json_is_true(json_object_get(item, "state")) && !is_ours)
            return ferry_error_set(err, -ENOTSUP, "Capability '%s' is not in this release of Ferry", name);
    }
    json_array_foreach (list, i, item) {
        if (ret == 0)
            ret = set_one(settings, find(json_string_value(json_object_get(item, "capability"))),
                          json_is_true(json_object_get(item, "state")), err);
    }
    return ret;
}

void qmp_settings_init(struct qmp_settings *settings, struct ferry_options *options, const struct qmp_option_ops *ops,
                       void *opaque)
{
    *settings =
        (struct qmp_settings){ .options = options, .ops = ops, .opaque = opaque, .zlib_level = -1, .zstd_level = -1 };
}
