/* SPDX-License-Identifier: BSD-3-Clause */
/* manifest_choices.c - which version of a device the destination wants, where it is not the one sent by itself
 *
 *     AGREED   { be32 index of the device in the manifest | be32 version }*
 */
#include "manifest.h"

#include "bytes.h"
#include <errno.h>
#include <stdlib.h>

#define CHOICE_BYTES 8

void manifest_choices_clear(struct manifest_choices *choices)
{
    free(choices->rows);
    *choices = (struct manifest_choices){ 0 };
}

uint8_t *manifest_choices_encode(const struct manifest_choices *choices, size_t most, size_t *bytes,
                                 struct ferry_error *err)
{
    uint8_t *to = NULL;

    *bytes = (size_t)choices->count * CHOICE_BYTES;
    if (*bytes > most) {
        ferry_error_set(err, -E2BIG, "%u devices would have to be converted, at most %zu can be", choices->count,
                        most / CHOICE_BYTES);
        return NULL;
    }
    to = malloc(*bytes + 1);
    if (!to) {
        ferry_error_set(err, -ENOMEM, "no memory to choose the devices' versions");
        return NULL;
    }
    for (unsigned i = 0; i < choices->count; i++) {
        store_be32(to + (size_t)i * CHOICE_BYTES, choices->rows[i].index);
        store_be32(to + (size_t)i * CHOICE_BYTES + 4, choices->rows[i].version);
    }
    return to;
}

int manifest_take_choices(const uint8_t *data, size_t bytes, struct device_list *devices,
                          const struct ferry_profile *profile, struct ferry_error *err)
{
    int ret = 0;

    device_list_choose_none(devices);
    if (bytes % CHOICE_BYTES)
        return ferry_error_set_code(err, FERRY_E_BAD_RETURN_MESSAGE, -EPROTO, "a malformed agreement of %zu bytes",
                                    bytes);
    for (size_t at = 0; ret == 0 && at < bytes; at += CHOICE_BYTES)
        ret = device_list_choose(devices, load_be32(data + at), load_be32(data + at + 4), profile, err);
    if (ret < 0)
        device_list_choose_none(devices);
    return ret;
}
