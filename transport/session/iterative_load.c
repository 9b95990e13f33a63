/* SPDX-License-Identifier: BSD-3-Clause */
/* iterative_load.c - iterative devices at the destination: each section goes to its device, and each must come to END
 */
#include "iterative_load.h"

#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int iterative_load_begin(struct iterative_loader *loader, struct ferry_guest *guest, struct section_table *sections,
                         struct ferry_error *err)
{
    const struct iterative_list *list = &guest->iterative;

    *loader = (struct iterative_loader){ .guest = guest, .sections = sections, .lock = PTHREAD_RWLOCK_INITIALIZER };
    loader->arrivals = calloc(list->count ? list->count : 1, sizeof(*loader->arrivals));
    if (!loader->arrivals)
        return ferry_error_set(err, -ENOMEM, "no memory for the iterative devices");
    for (; loader->count < list->count; loader->count++) {
        struct iterative_arrival *arrival = &loader->arrivals[loader->count];

        arrival->loader = loader;
        arrival->device = list->devices[loader->count];
    }
    for (unsigned i = 0; i < loader->count; i++) {
        const struct iterative_device *device = loader->arrivals[i].device;
        int ret;

        if (!device->ops->load.setup)
            continue;
        loader->arrivals[i].set_up = true;
        ret = device->ops->load.setup(device->opaque, err);
        if (ret < 0) {
            ferry_error_prefix(err, "device '%s' %" PRIu32, device->idstr, device->instance_id);
            return ret;
        }
    }
    return 0;
}

void iterative_load_end(struct iterative_loader *loader)
{
    if (!loader->arrivals)
        return;
    pthread_rwlock_wrlock(&loader->lock);
    for (unsigned i = 0; i < loader->count; i++) {
        const struct iterative_device *device = loader->arrivals[i].device;

        if (loader->arrivals[i].set_up && device->ops->load.cleanup)
            device->ops->load.cleanup(device->opaque);
    }
    free(loader->arrivals);
    loader->arrivals = NULL;
    loader->count = 0;
    pthread_rwlock_unlock(&loader->lock);
}

/* Called with the lock held. */
static int load_state(struct iterative_arrival *arrival, const struct section_item *item)
{
    const struct iterative_device *device = arrival->device;
    struct iterative_loader *loader = arrival->loader;
    struct ferry_reader *reader = loader->sections->reader;
    uint64_t began = ferry_reader_offset(reader);
    struct ferry_error why = { 0 };
    int ret = device->ops->load.state(device->opaque, reader, arrival->version, &why);

    loader->bytes += ferry_reader_offset(reader) - began;
    /* A load that ignored a failing getter has loaded nonsense. */
    if (ret == 0)
        ret = ferry_reader_status(reader, &why);
    if (ret == 0 || rules_pass_over(&loader->guest->rules, device->idstr, device->instance_id, reader, item, &why))
        return 0;
    if (why.code == FERRY_E_NONE || why.code == ferry_code_of_errnum(why.errnum))
        ferry_error_code(&why, FERRY_E_DEVICE_REFUSED);
    ferry_error_object(&why, "%s", device->idstr);
    ferry_error_prefix(&why, "device '%s' %" PRIu32, device->idstr, device->instance_id);
    return reader_fail_why(reader, ret, &why);
}

/* A section_load_fn: the body of one section of one device. */
static int load_body(void *opaque, const struct section_item *item)
{
    struct iterative_arrival *arrival = opaque;
    int ret;

    pthread_rwlock_wrlock(&arrival->loader->lock);
    ret = load_state(arrival, item);
    arrival->open = ret == 0 && item->type != SECTION_END;
    pthread_rwlock_unlock(&arrival->loader->lock);
    return ret;
}

/* Called with the lock held. */
static int take_part(struct iterative_loader *loader, const struct packet *packet, const uint8_t *data, size_t bytes,
                     struct ferry_error *err)
{
    const struct ferry_iterative_ops *ops;

    for (unsigned i = 0; i < loader->count; i++) {
        const struct iterative_arrival *arrival = &loader->arrivals[i];

        if (strcmp(arrival->device->idstr, packet->device) != 0 || arrival->device->instance_id != packet->instance)
            continue;
        ops = arrival->device->ops;
        if (!arrival->open || !ops->load.part)
            return ferry_error_set_code(err, FERRY_E_STREAM_BROKEN, -EPROTO, "a piece of its state, %s",
                                        ops->load.part ? "which is not on its way" : "which it takes in one alone");
        if (rules_is_impaired(&loader->guest->rules, packet->device, packet->instance))
            return 0;
        return ops->load.part(arrival->device->opaque, data, bytes, err);
    }
    return ferry_error_set_code(err, FERRY_E_UNKNOWN_SECTION, -ENOENT,
                                "a piece of its state, but it is not known here");
}

int iterative_load_part(struct iterative_loader *loader, const struct packet *packet, const uint8_t *data, size_t bytes,
                        struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    int ret;

    pthread_rwlock_rdlock(&loader->lock);
    ret = take_part(loader, packet, data, bytes, &why);
    pthread_rwlock_unlock(&loader->lock);
    atomic_fetch_add(&loader->parts_bytes, bytes);
    if (ret == 0)
        return 0;
    if (why.code == FERRY_E_NONE || why.code == ferry_code_of_errnum(why.errnum))
        ferry_error_code(&why, FERRY_E_DEVICE_REFUSED);
    ferry_error_object(&why, "%s", packet->device);
    ferry_error_prefix(&why, "device '%s' %" PRIu32, packet->device, packet->instance);
    if (err)
        *err = why;
    return ret;
}

static struct iterative_arrival *find(const struct iterative_loader *loader, const struct section_item *item)
{
    const struct iterative_device *device =
        iterative_list_find(&loader->guest->iterative, item->idstr, item->instance_id);

    for (unsigned i = 0; device && i < loader->count; i++)
        if (loader->arrivals[i].device == device)
            return &loader->arrivals[i];
    return NULL;
}

int iterative_load_start(struct iterative_loader *loader, const struct section_item *item)
{
    struct iterative_arrival *arrival = find(loader, item);
    struct ferry_reader *reader = loader->sections->reader;

    if (!arrival || !arrival->device->ops->load.state)
        return reader_fail_code(reader, FERRY_E_UNKNOWN_SECTION, item->idstr, -ENOENT,
                                "iterative section '%s' instance %" PRIu32 " is not known here", item->idstr,
                                item->instance_id);
    if (arrival->version)
        return ferry_reader_fail(reader, -EPROTO, "device '%s' %" PRIu32 " starts twice", item->idstr,
                                 item->instance_id);
    if (item->version_id == 0 || item->version_id > arrival->device->version)
        return reader_fail_code(reader, FERRY_E_DEVICE_VERSION, item->idstr, -EINVAL,
                                "device '%s' %" PRIu32 " in version %" PRIu32 ", 1 to %" PRIu32 " are understood",
                                item->idstr, item->instance_id, item->version_id, arrival->device->version);
    arrival->version = item->version_id;
    return section_table_start(loader->sections, item, load_body, arrival);
}

bool iterative_load_ready(const struct iterative_loader *loader)
{
    for (unsigned i = 0; i < loader->count; i++) {
        const struct iterative_arrival *arrival = &loader->arrivals[i];
        const struct ferry_iterative_ops *ops = arrival->device->ops;

        if (rules_is_impaired(&loader->guest->rules, arrival->device->idstr, arrival->device->instance_id))
            continue; /* nothing of it is waited for any more */
        if (!ops->load.switchover_ready || (arrival->version == 0 && ops->needed))
            continue; /* all that is needed has started before the first PART comes */
        if (!ops->load.switchover_ready(arrival->device->opaque))
            return false;
    }
    return true;
}

int iterative_load_complete(const struct iterative_loader *loader, struct ferry_error *err)
{
    for (unsigned i = 0; i < loader->count; i++) {
        const struct iterative_arrival *arrival = &loader->arrivals[i];
        const struct iterative_device *device = arrival->device;
        bool optional = device->ops->needed || !device->ops->load.state;

        if (arrival->version == 0 && optional)
            continue;
        if (!section_table_ended(loader->sections, load_body, arrival))
            return ferry_error_set(err, -EPROTO,
                                   "the stream ended, but device '%s' %" PRIu32 " did not come to its end",
                                   device->idstr, device->instance_id);
    }
    return 0;
}
