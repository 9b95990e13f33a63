/* SPDX-License-Identifier: BSD-3-Clause */
/* model.c - a device's copy of what its embedder said of its model */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const schemes[] = { "https://", "urn:", "pci://", "vfio://", "tag:" };

const char *ferry_model_id_lint(const char *id)
{
    for (const char *c = id; *c; c++)
        if (*c <= ' ' || *c == '\x7f')
            return "there are spaces or control characters in it, which nobody sees in a message";
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (strncmp(id, schemes[i], strlen(schemes[i])) == 0)
            return id[strlen(schemes[i])] ? NULL : "there is nothing behind the scheme";
    return strstr(id, "://") ? "its scheme is not one of https, urn, pci, vfio, tag"
                             : "it is no URI, so another vendor may use the same id for something else";
}

static int check_setting(const struct ferry_model *model, const struct ferry_setting *setting, struct ferry_error *err)
{
    size_t bytes = strlen(setting->name);

    if (bytes == 0 || bytes > FERRY_SETTING_NAME_MAX)
        return ferry_error_set(err, -EINVAL, "model '%s': a setting's name has 1 to %d bytes", model->id,
                               FERRY_SETTING_NAME_MAX);
    if (!setting->value || strlen(setting->value) > FERRY_SETTING_VALUE_MAX)
        return ferry_error_set(err, -EINVAL, "model '%s': the value of '%s' has 0 to %d bytes", model->id,
                               setting->name, FERRY_SETTING_VALUE_MAX);
    for (const struct ferry_setting *s = model->settings; s < setting; s++)
        if (strcmp(s->name, setting->name) == 0)
            return ferry_error_set(err, -EINVAL, "model '%s': the setting '%s' is there twice", model->id,
                                   setting->name);
    return 0;
}

/* *count: of its settings. */
static int check_model(const struct ferry_model *model, size_t *count, struct ferry_error *err)
{
    int ret;

    *count = 0;
    if (!model->id || !*model->id || strlen(model->id) > FERRY_MODEL_ID_MAX)
        return ferry_error_set(err, -EINVAL, "a model's id has 1 to %d bytes", FERRY_MODEL_ID_MAX);
    for (const struct ferry_setting *s = model->settings; s && s->name; s++) {
        if (++*count > FERRY_SETTINGS_MAX)
            return ferry_error_set(err, -EINVAL, "model '%s' has more than %d settings", model->id, FERRY_SETTINGS_MAX);
        ret = check_setting(model, s, err);
        if (ret < 0)
            return ret;
    }
    return 0;
}

struct ferry_model *model_copy(const struct ferry_model *model, struct ferry_error *err)
{
    struct ferry_model *copy = NULL;
    struct ferry_setting *settings = NULL;
    size_t count;

    if (check_model(model, &count, err) < 0)
        return NULL;
    copy = calloc(1, sizeof(*copy));
    settings = calloc(count + 1, sizeof(*settings));
    if (!copy || !settings) {
        free(settings);
        goto fail;
    }
    copy->settings = settings;
    copy->id = strdup(model->id);
    if (!copy->id)
        goto fail;
    for (size_t i = 0; i < count; i++) {
        settings[i].name = strdup(model->settings[i].name);
        settings[i].value = settings[i].name ? strdup(model->settings[i].value) : NULL;
        if (!settings[i].value)
            goto fail;
    }
    return copy;
fail:
    model_free(copy);
    ferry_error_set(err, -ENOMEM, "no memory for the model '%s'", model->id);
    return NULL;
}

void model_free(struct ferry_model *model)
{
    if (!model)
        return;
    for (const struct ferry_setting *s = model->settings; s && s->name; s++) {
        free((char *)s->name);
        free((char *)s->value);
    }
    free((struct ferry_setting *)model->settings);
    free((char *)model->id);
    free(model);
}
