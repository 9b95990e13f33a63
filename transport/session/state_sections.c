/* SPDX-License-Identifier: BSD-3-Clause */
/* state_sections.c - the devices of a guest as sections of the stream, out and back */
#include "state_sections.h"

#include "json.h"
#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

int state_sections_size(struct ferry_guest *guest, uint64_t *bytes, struct ferry_error *err)
{
    int ret = device_list_migratable(guest->devices, err);

    *bytes = 0;
    for (struct device *d = device_first(guest->devices); ret == 0 && d; d = device_next(d)) {
        int64_t size = device_needed(d) ? device_size(d, guest->profile, err) : 0;

        if (size < 0)
            return (int)size;
        *bytes += (uint64_t)size;
    }
    return ret;
}

static int save_device(struct ferry_guest *guest, struct ferry_writer *writer, const struct device *device, uint32_t id,
                       json_t *described, struct ferry_error *err)
{
    int ret;

    section_put_first(writer, SECTION_FULL, id, device->idstr, device->instance_id,
                      device_version(device, guest->profile));
    ret = device_save_body(writer, device, guest->profile, described, err);
    section_put_footer(writer, id);
    return ret;
}

static int put_description(struct ferry_guest *guest, struct ferry_writer *writer, json_t *described,
                           struct ferry_error *err)
{
    json_t *configuration = vmdesc_configuration(guest->machine, err);
    char *text = NULL;
    size_t bytes;

    if (configuration)
        text = vmdesc_document(FERRY_PAGE_BYTES, configuration, described, &bytes, err);
    json_decref(configuration);
    if (!text)
        return -ENOMEM;
    section_put_vmdesc(writer, text, (uint32_t)bytes);
    free(text);
    return 0;
}

static int save_devices(struct ferry_guest *guest, struct ferry_writer *writer, uint32_t first_id, json_t *described,
                        uint64_t *bytes, struct ferry_error *err)
{
    uint64_t began = ferry_writer_offset(writer);
    int ret = described ? 0 : ferry_error_set(err, -ENOMEM, "no memory to describe the devices");

    for (struct device *d = device_first(guest->devices); ret == 0 && d; d = device_next(d))
        if (device_needed(d))
            ret = save_device(guest, writer, d, first_id + d->number, described, err);
    *bytes = ferry_writer_offset(writer) - began;
    return ret;
}

int state_sections_put(struct ferry_guest *guest, struct ferry_writer *writer, uint32_t first_id, uint64_t *bytes,
                       struct ferry_error *err)
{
    json_t *described = json_array();
    int ret = save_devices(guest, writer, first_id, described, bytes, err);

    json_decref(described);
    return ret;
}

int state_sections_save(struct ferry_guest *guest, struct ferry_writer *writer, uint32_t first_id, uint64_t *bytes,
                        struct ferry_error *err)
{
    json_t *described = json_array();
    int ret = save_devices(guest, writer, first_id, described, bytes, err);

    if (ret == 0) {
        section_put_eof(writer);
        ret = put_description(guest, writer, described, err);
    }
    json_decref(described);
    return ret;
}

void state_arrivals_clear(struct state_arrivals *arrivals)
{
    free(arrivals->arrived);
    arrivals->arrived = NULL;
    arrivals->count = 0;
}

/* Note that @device has got its state; twice is an error. */
static int note_arrival(struct state_arrivals *arrivals, struct ferry_reader *reader, const struct device *device)
{
    if (device->number >= arrivals->count) {
        uint32_t count = (device->number + 64) & ~UINT32_C(63);
        bool *grown = realloc(arrivals->arrived, count * sizeof(*grown));

        if (!grown)
            return ferry_reader_fail(reader, -ENOMEM, "no memory");
        for (uint32_t i = arrivals->count; i < count; i++)
            grown[i] = false;
        arrivals->arrived = grown;
        arrivals->count = count;
    }
    if (arrivals->arrived[device->number])
        return ferry_reader_fail(reader, -EPROTO, "device '%s' instance %" PRIu32 " comes twice", device->idstr,
                                 device->instance_id);
    arrivals->arrived[device->number] = true;
    return 0;
}

/* Apply what was parsed, or nothing where it was refused.  A device may go on without what its post_load refuses. */
static int commit(struct ferry_guest *guest, const struct device *device, struct state_staged *staged,
                  struct ferry_error *err)
{
    int ret = device_commit(device, staged, err);

    return ret < 0 && rules_impair(&guest->rules, device->idstr, device->instance_id, err) ? 0 : ret;
}

int state_sections_load(struct ferry_guest *guest, struct ferry_reader *reader, const struct section_item *item,
                        struct state_arrivals *arrivals, struct ferry_error *err)
{
    const struct device *device = device_find(guest->devices, item->idstr, item->instance_id);
    struct state_staged *staged = NULL;
    struct ferry_error why = { 0 };
    int ret;

    if (device)
        ret = note_arrival(arrivals, reader, device);
    else
        ret = reader_fail_code(reader, FERRY_E_UNKNOWN_DEVICE, item->idstr, -ENOENT,
                               "device '%s' instance %" PRIu32 " does not exist here", item->idstr, item->instance_id);
    if (ret < 0) {
        ferry_reader_status(reader, err);
        return ret;
    }
    ret = device_parse_body(device, item->version_id, reader, &staged, &why);
    if (ret < 0 && rules_pass_over(&guest->rules, device->idstr, device->instance_id, reader, item, &why))
        ret = 0;
    if (ret == 0 && section_get_footer(reader, item) < 0)
        ret = ferry_reader_status(reader, &why);
    if (ret == 0)
        ret = commit(guest, device, staged, &why);
    state_staged_free(staged);
    if (ret < 0 && err)
        *err = why;
    return ret;
}

static bool may_be_absent(const struct device *device)
{
    return device->desc && device->desc->hooks.needed;
}

static int absent(const struct device *device, struct ferry_error *err)
{
    ferry_error_set_code(err, FERRY_E_DEVICE_MISSING, -EPROTO,
                         "the stream ended, but no state came for device '%s' instance %" PRIu32, device->idstr,
                         device->instance_id);
    ferry_error_object(err, "%s", device->idstr);
    return -EPROTO;
}

int state_sections_complete(struct ferry_guest *guest, const struct state_arrivals *arrivals, struct ferry_error *err)
{
    for (struct device *d = device_first(guest->devices); d; d = device_next(d))
        if (!may_be_absent(d) && (d->number >= arrivals->count || !arrivals->arrived[d->number]))
            return absent(d, err);
    return 0;
}
