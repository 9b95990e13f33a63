/* SPDX-License-Identifier: BSD-3-Clause */
/* iterative_list.c - the iterative devices of a guest, in the order in which they were added */
#include "guest_parts.h"
#include "model.h"
#include "ram_section.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void iterative_list_clear(struct iterative_list *list)
{
    while (list->count > 0) {
        struct iterative_device *device = list->devices[--list->count];

        model_free(device->model);
        free(device);
    }
}

struct iterative_device *iterative_list_find(const struct iterative_list *list, const char *idstr, uint32_t instance_id)
{
    for (unsigned i = 0; i < list->count; i++)
        if (!strcmp(list->devices[i]->idstr, idstr) && list->devices[i]->instance_id == instance_id)
            return list->devices[i];
    return NULL;
}

bool iterative_device_needed(const struct iterative_device *device)
{
    return !device->ops->needed || device->ops->needed(device->opaque);
}

/* What a side needs at all; a side that is left out has none of it. */
static int check_ops(const char *idstr, const struct ferry_iterative_ops *ops, struct ferry_error *err)
{
    const struct ferry_iterative_save_ops *save = &ops->save;

    if (save->setup && !(save->pending && save->iterate && save->complete_precopy))
        return ferry_error_set(err, -EINVAL, "device '%s' can be set up for sending, but not sent", idstr);
    if (save->has_postcopy && !save->complete_postcopy)
        return ferry_error_set(err, -EINVAL, "device '%s' says it can send after the switch, but not how", idstr);
    if (!save->setup && !ops->load.state)
        return ferry_error_set(err, -EINVAL, "device '%s' can be neither sent nor loaded", idstr);
    return 0;
}

/* The instance id asked for, or the first that is free. */
static int choose_instance(const struct iterative_list *list, const char *idstr, int wanted, uint32_t *instance_id,
                           struct ferry_error *err)
{
    uint32_t id = wanted == FERRY_INSTANCE_NEXT ? 0 : (uint32_t)wanted;

    if (wanted == FERRY_INSTANCE_NEXT)
        while (iterative_list_find(list, idstr, id))
            id++;
    else if (iterative_list_find(list, idstr, id))
        return ferry_error_set(err, -EEXIST, "there is an iterative device '%s' %" PRIu32 " already", idstr, id);
    *instance_id = id;
    return 0;
}

int ferry_guest_add_iterative(struct ferry_guest *guest, const char *idstr, int instance_id, uint32_t version,
                              const struct ferry_iterative_ops *ops, void *opaque, struct ferry_error *err)
{
    struct iterative_list *list = &guest->iterative;
    struct iterative_device *device;
    size_t bytes = strlen(idstr);
    uint32_t chosen = 0;
    int ret;

    if (bytes == 0 || bytes >= sizeof(device->idstr) || !strcmp(idstr, RAM_SECTION_NAME))
        return ferry_error_set(err, -EINVAL, "'%s' cannot be the name of an iterative device", idstr);
    if (version == 0)
        return ferry_error_set(err, -EINVAL, "device '%s': versions begin with 1", idstr);
    ret = check_ops(idstr, ops, err);
    if (ret == 0)
        ret = choose_instance(list, idstr, instance_id, &chosen, err);
    if (ret < 0)
        return ret;
    if (list->count == FERRY_ITERATIVE_MAX)
        return ferry_error_set(err, -ENOSPC, "a guest can have at most %d iterative devices", FERRY_ITERATIVE_MAX);
    device = malloc(sizeof(*device));
    if (!device)
        return ferry_error_set(err, -ENOMEM, "no memory for device '%s'", idstr);
    *device = (struct iterative_device){ .instance_id = chosen, .version = version, .ops = ops, .opaque = opaque };
    memcpy(device->idstr, idstr, bytes + 1);
    list->devices[list->count++] = device;
    return 0;
}
