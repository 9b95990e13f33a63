/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_settings.h - QEMU's parameters and capabilities of a migration, each a row that names the option it stands for
 *
 *      {"downtime-limit": 250}  --- row: ms, option downtime-limit --->  ferry_options_set("downtime-limit", "250ms")
 *      {"mode": "normal"}       --- row: always so ------------------->  taken when it says just that, else refused
 */
#ifndef QMP_SETTINGS_H
#define QMP_SETTINGS_H

#include <ferry/options.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define QMP_CHANNELS_DEFAULT 2 /* QEMU's, as long as the option says auto */
#define QMP_LEVEL_DEFAULT    1

/* Where an option goes: into what the next migration begins with, and into the one that runs. */
struct qmp_option_ops {
    int (*set)(void *opaque, const char *name, const char *value, struct ferry_error *err);
    bool (*runs)(void *opaque); /* is there a migration? */
};

/* What QEMU keeps apart and one option of ours holds together. */
struct qmp_settings {
    struct ferry_options *options; /* borrowed */
    const struct qmp_option_ops *ops;
    void *opaque;
    bool events;       /* capability events */
    uint64_t channels; /* as set last; 0: never */
    int zlib_level;    /* as set last; -1: never */
    int zstd_level;
};

void qmp_settings_init(struct qmp_settings *settings, struct ferry_options *options, const struct qmp_option_ops *ops,
                       void *opaque);

/* What query-migrate-parameters and query-migrate-capabilities answer; NULL when out of memory. */
json_t *qmp_parameters_json(const struct qmp_settings *settings);
json_t *qmp_capabilities_json(const struct qmp_settings *settings);

/* All of them, or none and the first reason. */
int qmp_parameters_set(struct qmp_settings *settings, json_t *arguments, struct ferry_error *err);

/* @list: [{"capability": "events", "state": true}, ...]; its form was checked. */
int qmp_capabilities_set(struct qmp_settings *settings, const json_t *list, struct ferry_error *err);

#endif
