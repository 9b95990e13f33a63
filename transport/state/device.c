/* SPDX-License-Identifier: BSD-3-Clause */
/* device.c - the devices of a guest: who is saved, in which order, under which name */
#include "device.h"

#include "fields.h"
#include "json.h"
#include "profile.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct device_list {
    TAILQ_HEAD(, device) devices; /* in the order of saving */
    uint32_t next_number;
    struct convert_list converters;
};

struct device_list *device_list_new(void)
{
    struct device_list *list = calloc(1, sizeof(*list));

    if (!list)
        return NULL;
    TAILQ_INIT(&list->devices);
    return list;
}

void device_list_free(struct device_list *list)
{
    struct device *device;

    if (!list)
        return;
    while ((device = TAILQ_FIRST(&list->devices)) != NULL) {
        TAILQ_REMOVE(&list->devices, device, link);
        model_free(device->model);
        free(device);
    }
    convert_list_clear(&list->converters);
    free(list);
}

static int device_priority(const struct device *device)
{
    return device->desc ? device->desc->priority : 0;
}

static void device_insert(struct device_list *list, struct device *device)
{
    struct device *before;

    TAILQ_FOREACH (before, &list->devices, link) {
        if (device_priority(before) < device_priority(device)) {
            TAILQ_INSERT_BEFORE(before, device, link);
            return;
        }
    }
    TAILQ_INSERT_TAIL(&list->devices, device, link);
}

/* The instance id asked for, or the first that is free for @idstr. */
static int device_choose_instance(const struct device_list *list, const char *idstr, int wanted, uint32_t *instance_id,
                                  struct ferry_error *err)
{
    uint32_t id = wanted == FERRY_INSTANCE_NEXT ? 0 : (uint32_t)wanted;

    if (wanted == FERRY_INSTANCE_NEXT)
        while (device_find(list, idstr, id))
            id++;
    else if (device_find(list, idstr, id))
        return ferry_error_set(err, -EEXIST, "there is a device '%s' %" PRIu32 " already", idstr, id);
    *instance_id = id;
    return 0;
}

/* Adds a copy of @model, whose name and instance are still to be set. */
static struct device *device_register(struct device_list *list, const struct device *model, const char *idstr,
                                      int instance_id, struct ferry_error *err)
{
    struct device *device;
    uint32_t chosen = 0;

    if (!idstr || !*idstr || strlen(idstr) >= sizeof(device->idstr)) {
        ferry_error_set(err, -EINVAL, "a device's name must have 1 to 255 bytes");
        return NULL;
    }
    if (device_choose_instance(list, idstr, instance_id, &chosen, err) < 0)
        return NULL;
    device = malloc(sizeof(*device));
    if (!device) {
        ferry_error_set(err, -ENOMEM, "out of memory");
        return NULL;
    }
    *device = *model;
    strcpy(device->idstr, idstr);
    device->instance_id = chosen;
    device->number = list->next_number++;
    device->list = list;
    device_insert(list, device);
    return device;
}

struct device *device_add(struct device_list *list, const struct ferry_state_desc *desc, void *opaque,
                          const char *idstr, int instance_id, int alias_id, struct ferry_error *err)
{
    struct device model = { .alias_id = alias_id, .desc = desc, .opaque = opaque };

    if (fields_validate(desc, err) < 0)
        return NULL;
    return device_register(list, &model, idstr ? idstr : desc->name, instance_id, err);
}

struct device *device_add_legacy(struct device_list *list, const char *idstr, int instance_id,
                                 const struct ferry_legacy_ops *ops, void *opaque, struct ferry_error *err)
{
    struct device model = { .alias_id = DEVICE_NO_ALIAS, .legacy = *ops, .opaque = opaque };

    return device_register(list, &model, idstr, instance_id, err);
}

int device_set_model(struct device *device, const struct ferry_model *model, struct ferry_error *err)
{
    struct ferry_error unnamed;
    struct ferry_model *copy = model_copy(model, err ? err : &unnamed);

    if (!copy)
        return err ? err->errnum : unnamed.errnum;
    model_free(device->model);
    device->model = copy;
    return 0;
}

const char *device_model_id(const struct device *device)
{
    if (device->model)
        return device->model->id;
    return device->desc ? device->desc->name : device->idstr;
}

int device_list_add_converter(struct device_list *list, const struct ferry_converter *converter,
                              struct ferry_error *err)
{
    return convert_list_add(&list->converters, converter, err);
}

const struct convert_list *device_list_converters(const struct device_list *list)
{
    return &list->converters;
}

void device_list_choose_none(struct device_list *list)
{
    struct device *device;

    TAILQ_FOREACH (device, &list->devices, link)
        device->save_as = NULL;
}

int device_list_choose(struct device_list *list, uint32_t index, uint32_t version, const struct ferry_profile *profile,
                       struct ferry_error *err)
{
    struct device *device = TAILQ_FIRST(&list->devices);

    for (uint32_t i = 0; device && i < index; i++)
        device = TAILQ_NEXT(device, link);
    if (!device)
        return ferry_error_set(err, -EINVAL, "a version was chosen for device %" PRIu32 ", which does not exist",
                               index);
    device->save_as = NULL;
    if (device_version(device, profile) == version)
        return 0;
    device->save_as = device->desc ? convert_find_save(&list->converters, device->desc->name, version) : NULL;
    if (!device->save_as)
        return ferry_error_set(err, -EINVAL, "device '%s' %" PRIu32 " cannot be saved as version %" PRIu32,
                               device->idstr, device->instance_id, version);
    return 0;
}

struct device *device_find(const struct device_list *list, const char *idstr, uint32_t instance_id)
{
    struct device *device;

    TAILQ_FOREACH (device, &list->devices, link) {
        if (strcmp(device->idstr, idstr) == 0 &&
            (device->instance_id == instance_id ||
             (device->alias_id != DEVICE_NO_ALIAS && (uint32_t)device->alias_id == instance_id)))
            return device;
    }
    return NULL;
}

struct device *device_first(const struct device_list *list)
{
    return TAILQ_FIRST(&list->devices);
}

struct device *device_next(const struct device *device)
{
    return TAILQ_NEXT(device, link);
}

bool device_needed(const struct device *device)
{
    return !device->desc || !device->desc->hooks.needed || device->desc->hooks.needed(device->opaque);
}

uint32_t device_version(const struct device *device, const struct ferry_profile *profile)
{
    if (device->save_as)
        return (uint32_t)device->save_as->other->version_id;
    return (uint32_t)(device->desc ? profile_version(profile, device->desc) : device->legacy.version_id);
}

int device_list_migratable(const struct device_list *list, struct ferry_error *err)
{
    struct device *device;

    TAILQ_FOREACH (device, &list->devices, link) {
        if (device->desc && device->desc->unmigratable)
            return ferry_error_set_code(err, FERRY_E_DEVICE_UNMIGRATABLE, -ENOTSUP,
                                        "device '%s' %" PRIu32 " cannot be migrated: %s", device->idstr,
                                        device->instance_id, device->desc->unmigratable);
    }
    return 0;
}

/* What is known better than that a device failed: its bytes did not come or go, memory is short, or it said so itself.
 */
static bool says_enough(const struct ferry_error *err)
{
    switch (err->code) {
    case FERRY_E_STREAM_ENDED:
    case FERRY_E_OUT_OF_MEMORY:
    case FERRY_E_CANCELLED:
    case FERRY_E_SHUT_DOWN:
        return true;
    default:
        return err->code < FERRY_E_NOT_A_STREAM || err->code != ferry_code_of_errnum(err->errnum);
    }
}

static int device_failed(const struct device *device, enum ferry_code code, int rc, struct ferry_error *err)
{
    if (rc >= 0 || !err)
        return rc;
    if (!says_enough(err))
        ferry_error_code(err, code);
    ferry_error_prefix(err, "device '%s' %" PRIu32, device->idstr, device->instance_id);
    ferry_error_object(err, "%s", device->idstr);
    return rc;
}

static int device_save_legacy(struct ferry_writer *writer, const struct device *device, json_t *vmdesc,
                              struct ferry_error *err)
{
    uint64_t start = ferry_writer_offset(writer);
    int rc;

    device->legacy.save(writer, device->opaque);
    rc = ferry_writer_status(writer, err);
    return rc < 0 || !vmdesc ? rc : vmdesc_legacy(vmdesc, ferry_writer_offset(writer) - start, err);
}

int device_save_body(struct ferry_writer *writer, const struct device *device, const struct ferry_profile *profile,
                     json_t *devices, struct ferry_error *err)
{
    json_t *vmdesc = devices ? vmdesc_device(device->idstr, device->instance_id, err) : NULL;
    int rc;

    if (devices && json_array_append_new(devices, vmdesc) < 0)
        return ferry_error_set(err, -ENOMEM, "device '%s': out of memory for its description", device->idstr);
    if (device->save_as)
        rc = convert_save(writer, device->save_as, device->desc, device->opaque, vmdesc, err);
    else if (device->desc)
        rc = state_save(writer, device->desc, device->opaque, profile, vmdesc, err);
    else
        rc = device_save_legacy(writer, device, vmdesc, err);
    return device_failed(device, FERRY_E_DEVICE_NOT_SAVED, rc, err);
}

static int device_load_legacy(const struct device *device, uint32_t version, struct ferry_reader *reader,
                              struct ferry_error *err)
{
    const struct ferry_legacy_ops *ops = &device->legacy;
    int rc;

    if (version > (uint32_t)ops->version_id || version < (uint32_t)ops->minimum_version_id)
        return ferry_error_set_code(err, FERRY_E_DEVICE_VERSION, -EINVAL, "version %" PRIu32 " is not one of %d to %d",
                                    version, ops->minimum_version_id, ops->version_id);
    rc = ops->load(reader, device->opaque, (int)version, err);
    /* A load that ignored a failing getter has loaded nonsense. */
    return rc < 0 ? rc : ferry_reader_status(reader, err);
}

/* Who reads @version: NULL: the description itself. */
static const struct ferry_converter *device_reads_by(const struct device *device, uint32_t version)
{
    const struct ferry_state_desc *desc = device->desc;
    int oldest = desc->hooks.load_old ? desc->minimum_version_id_old : desc->minimum_version_id;

    if (version <= (uint32_t)desc->version_id && version >= (uint32_t)oldest)
        return NULL;
    return convert_find_load(&device->list->converters, desc->name, version);
}

static struct state_staged *device_parse(const struct device *device, uint32_t version, struct ferry_reader *reader,
                                         struct ferry_error *err)
{
    const struct ferry_converter *converter = device_reads_by(device, version);

    if (converter)
        return convert_parse(converter, device->desc, device->opaque, version, reader, err);
    return state_parse(device->desc, device->opaque, version, reader, err);
}

int device_parse_body(const struct device *device, uint32_t version, struct ferry_reader *reader,
                      struct state_staged **staged, struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    int rc = 0;

    *staged = NULL;
    if (!device->desc) {
        rc = device_load_legacy(device, version, reader, &why);
    } else {
        *staged = device_parse(device, version, reader, &why);
        rc = *staged ? 0 : why.errnum;
    }
    device_failed(device, FERRY_E_DEVICE_REFUSED, rc, &why);
    if (rc < 0 && err)
        *err = why;
    return rc;
}

int64_t device_size(const struct device *device, const struct ferry_profile *profile, struct ferry_error *err)
{
    int64_t bytes = 0;

    if (device->save_as)
        bytes = convert_size(device->save_as, device->desc, device->opaque, err);
    else if (device->desc)
        bytes = state_size(device->desc, device->opaque, profile, err);
    if (bytes < 0)
        device_failed(device, FERRY_E_DEVICE_NOT_SAVED, (int)bytes, err);
    return bytes;
}

int device_commit(const struct device *device, struct state_staged *staged, struct ferry_error *err)
{
    return staged ? device_failed(device, FERRY_E_DEVICE_REFUSED, state_commit(staged, err), err) : 0;
}
