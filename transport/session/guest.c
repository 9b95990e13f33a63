/* SPDX-License-Identifier: BSD-3-Clause */
/* guest.c - what an embedder hands over: memory, devices, and how to stop and start */
#include "guest_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ferry_guest *ferry_guest_new(const char *machine, const struct ferry_guest_ops *ops, void *opaque,
                                    struct ferry_error *err)
{
    struct ferry_guest *guest;
    size_t bytes = strlen(machine);

    if (bytes == 0 || bytes >= sizeof(guest->machine)) {
        ferry_error_set(err, -EINVAL, "a machine name of %zu bytes: 1 to 255 are possible", bytes);
        return NULL;
    }
    guest = calloc(1, sizeof(*guest));
    if (!guest)
        goto fail;
    memcpy(guest->machine, machine, bytes + 1);
    guest->ops = ops;
    guest->userfault_fd = -1;
    guest->opaque = opaque;
    ram_map_init(&guest->ram);
    blockers_init(&guest->blockers);
    guest->devices = device_list_new();
    if (!guest->devices)
        goto fail;
    return guest;
fail:
    ferry_error_set(err, -ENOMEM, "no memory for a guest");
    ferry_guest_free(guest);
    return NULL;
}

void ferry_guest_free(struct ferry_guest *guest)
{
    if (!guest)
        return;
    blockers_clear(&guest->blockers);
    rules_clear(&guest->rules);
    iterative_list_clear(&guest->iterative);
    device_list_free(guest->devices);
    ram_map_clear(&guest->ram);
    if (guest->userfault_fd >= 0)
        close(guest->userfault_fd);
    free(guest);
}

int ferry_guest_add_block(struct ferry_guest *guest, const struct ferry_block *block, struct ferry_error *err)
{
    return ram_map_add(&guest->ram, block, err);
}

unsigned ferry_guest_blocks(const struct ferry_guest *guest)
{
    return guest->ram.count;
}

const struct ferry_block *ferry_guest_block(const struct ferry_guest *guest, unsigned index)
{
    return index < guest->ram.count ? &guest->ram.blocks[index]->info : NULL;
}

int ferry_guest_add_device(struct ferry_guest *guest, const struct ferry_state_desc *desc, void *device,
                           const char *idstr, int instance_id, struct ferry_error *err)
{
    struct ferry_error unnamed;

    if (!err)
        err = &unnamed;
    return device_add(guest->devices, desc, device, idstr, instance_id, DEVICE_NO_ALIAS, err) ? 0 : err->errnum;
}

int ferry_guest_add_legacy_device(struct ferry_guest *guest, const char *idstr, int instance_id,
                                  const struct ferry_legacy_ops *ops, void *device, struct ferry_error *err)
{
    struct ferry_error unnamed;

    if (!err)
        err = &unnamed;
    return device_add_legacy(guest->devices, idstr, instance_id, ops, device, err) ? 0 : err->errnum;
}

static int set_iterative_model(struct iterative_device *device, const struct ferry_model *model,
                               struct ferry_error *err)
{
    struct ferry_error why;
    struct ferry_model *copy = model_copy(model, &why);

    if (!copy) {
        if (err)
            *err = why;
        return why.errnum;
    }
    model_free(device->model);
    device->model = copy;
    return 0;
}

int ferry_guest_set_model(struct ferry_guest *guest, const char *idstr, unsigned instance_id,
                          const struct ferry_model *model, struct ferry_error *err)
{
    struct iterative_device *iterative = iterative_list_find(&guest->iterative, idstr, instance_id);
    struct device *device = device_find(guest->devices, idstr, instance_id);

    if (iterative)
        return set_iterative_model(iterative, model, err);
    if (!device)
        return ferry_error_set(err, -ENOENT, "there is no device '%s' %u to be of a model", idstr, instance_id);
    return device_set_model(device, model, err);
}

int ferry_guest_add_converter(struct ferry_guest *guest, const struct ferry_converter *converter,
                              struct ferry_error *err)
{
    return device_list_add_converter(guest->devices, converter, err);
}

void ferry_guest_give_userfault(struct ferry_guest *guest, int fd)
{
    if (guest->userfault_fd >= 0)
        close(guest->userfault_fd);
    guest->userfault_fd = fd;
}

void ferry_guest_set_profile(struct ferry_guest *guest, const struct ferry_profile *profile)
{
    guest->profile = profile;
}

static int add_tracker(struct guest_trackers *trackers, const struct ferry_tracker_ops *ops, void *opaque,
                       struct ferry_error *err)
{
    if (trackers->count == GUEST_TRACKERS_MAX)
        return ferry_error_set(err, -ENOSPC, "a guest can have at most %d trackers", GUEST_TRACKERS_MAX);
    trackers->tracker[trackers->count++] = (struct tracker){ .ops = ops, .opaque = opaque };
    return 0;
}

int ferry_guest_add_tracker(struct ferry_guest *guest, const struct ferry_tracker_ops *ops, void *opaque,
                            struct ferry_error *err)
{
    return add_tracker(&guest->trackers, ops, opaque, err);
}

int ferry_guest_add_device_tracker(struct ferry_guest *guest, const struct ferry_tracker_ops *ops, void *opaque,
                                   struct ferry_error *err)
{
    return add_tracker(&guest->device_trackers, ops, opaque, err);
}

int guest_stop(struct ferry_guest *guest, struct ferry_error *err)
{
    int ret = guest->ops->stop(guest->opaque, err);

    if (ret < 0) {
        ferry_error_prefix(err, "stopping the guest");
        ferry_error_code(err, FERRY_E_GUEST_NOT_STOPPED);
    }
    return ret;
}

int guest_start(struct ferry_guest *guest, struct ferry_error *err)
{
    int ret = guest->ops->start(guest->opaque, err);

    if (ret < 0) {
        ferry_error_prefix(err, "starting the guest");
        ferry_error_code(err, FERRY_E_GUEST_NOT_STARTED);
    }
    return ret;
}

/* Add a block that the embedder makes for the stream. */
static int provide_block(struct ferry_guest *guest, const char *name, uint64_t length, struct ferry_error *err)
{
    struct ferry_block info = { .name = name, .length = length, .page_size = FERRY_PAGE_BYTES };
    int ret = guest->ops->provide_block(guest->opaque, name, length, &info, err);

    if (ret < 0)
        return ret;
    info.name = name;
    if (info.length != length)
        return ferry_error_set(err, -EINVAL, "block '%s': %" PRIu64 " bytes were provided where %" PRIu64 " are needed",
                               name, info.length, length);
    return ram_map_add(&guest->ram, &info, err);
}

int guest_announced_block(struct ferry_guest *guest, const char *name, uint64_t length, struct ram_block **block,
                          struct ferry_error *err)
{
    int ret = 0;

    *block = ram_map_find(&guest->ram, name);
    if (!*block && guest->ops->provide_block) {
        ret = provide_block(guest, name, length, err);
        if (ret < 0)
            return ret;
        *block = ram_map_find(&guest->ram, name);
    }
    if (!*block)
        ret = ferry_error_set_code(err, FERRY_E_UNKNOWN_BLOCK, -ENOENT,
                                   "block '%s' of %" PRIu64 " bytes is not known here", name, length);
    else if ((*block)->info.length != length)
        ret = ferry_error_set_code(err, FERRY_E_BLOCK_LENGTH, -EINVAL,
                                   "block '%s' has %" PRIu64 " bytes at the source and %" PRIu64 " bytes here", name,
                                   length, (*block)->info.length);
    if (ret < 0)
        ferry_error_object(err, "%s", name);
    return ret;
}
