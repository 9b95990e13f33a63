/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_manifest.c - the four moments of a manifest, as bytes in memory */
#include "guest_manifest.h"

#include "log.h"
#include <errno.h>
#include <stdlib.h>

struct manifest *guest_manifest(const struct ferry_guest *guest, enum manifest_side side, struct ferry_error *err)
{
    const struct manifest_of of = {
        .side = side,
        .machine = guest->machine,
        .ram = &guest->ram,
        .devices = guest->devices,
        .profile = guest->profile,
    };
    struct manifest *manifest = manifest_build(&of, err);

    for (unsigned i = 0; manifest && i < guest->iterative.count; i++) {
        const struct iterative_device *device = guest->iterative.devices[i];
        const struct manifest_iterative info = {
            .idstr = device->idstr,
            .instance_id = device->instance_id,
            .version = device->version,
            .optional = device->ops->needed != NULL,
            .in_use = side == MANIFEST_SOURCE ? iterative_device_needed(device) : !device->ops->needed,
            .model = device->model,
        };

        if (manifest_add_iterative(manifest, &info, err) < 0) {
            manifest_free(manifest);
            return NULL;
        }
    }
    return manifest;
}

uint8_t *guest_manifest_offer(struct ferry_guest *guest, size_t *bytes, struct ferry_error *err)
{
    struct manifest *manifest;
    uint8_t *data = NULL;

    device_list_choose_none(guest->devices);
    manifest = guest_manifest(guest, MANIFEST_SOURCE, err);
    if (manifest)
        data = manifest_encode(manifest, bytes, err);
    manifest_free(manifest);
    return data;
}

/* What came of the comparison. */
struct comparison {
    struct reasons reasons, warnings;
    struct manifest_choices choices;
};

static int compare(struct ferry_guest *guest, const uint8_t *data, size_t bytes, struct comparison *c,
                   struct ferry_error *err)
{
    struct manifest *remote = manifest_decode(data, bytes, err);
    struct manifest *local = remote ? guest_manifest(guest, MANIFEST_DESTINATION, err) : NULL;
    int ret = -EPROTO;

    if (local)
        ret = manifest_compare(local, remote, guest->ops->provide_block != NULL, &c->reasons, &c->warnings, &c->choices,
                               err);
    manifest_free(local);
    manifest_free(remote);
    return ret;
}

int guest_manifest_answer(struct ferry_guest *guest, const uint8_t *data, size_t bytes, size_t agreed_most,
                          size_t refused_most, struct guest_answer *answer, struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    struct comparison c = { 0 };
    int ret = compare(guest, data, bytes, &c, &why);

    *answer = (struct guest_answer){ 0 };
    for (unsigned i = 0; i < c.warnings.count; i++)
        log_warn(LOG_SESSION, "%s", c.warnings.rows[i].text);
    if (ret == 0)
        ret = reasons_error(&c.reasons, &why);
    if (ret == 0) {
        answer->payload = manifest_choices_encode(&c.choices, agreed_most, &answer->bytes, &why);
        answer->agreed = answer->payload != NULL;
        ret = answer->agreed ? 0 : why.errnum;
    }
    if (ret < 0) {
        ret = why.errnum;
        if (c.reasons.count + c.reasons.dropped == 0)
            reasons_add(&c.reasons, why.code, "%s", why.text);
        answer->payload = reasons_encode(&c.reasons, refused_most, &answer->bytes, NULL);
        if (err)
            *err = why;
    }
    reasons_clear(&c.reasons);
    reasons_clear(&c.warnings);
    manifest_choices_clear(&c.choices);
    return ret;
}

int guest_manifest_agreed(struct ferry_guest *guest, const uint8_t *payload, size_t bytes, struct ferry_error *err)
{
    return manifest_take_choices(payload, bytes, guest->devices, guest->profile, err);
}

int guest_manifest_refused(const uint8_t *payload, size_t bytes, struct ferry_error *err)
{
    struct reasons reasons = { 0 };
    int ret = reasons_decode(payload, bytes, &reasons, err);

    if (ret == 0)
        ret = reasons_error(&reasons, err);
    reasons_clear(&reasons);
    if (err) {
        err->side = FERRY_SIDE_DESTINATION;
        err->from_peer = true;
    }
    return ret;
}
