/* SPDX-License-Identifier: BSD-3-Clause */
/* manifest_device.c - can one device of the source become this one of ours? */
#include "manifest_device.h"

#include "schema_compare.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- configuration -------------------------------------------------------------------------------------------------
 */

static const struct manifest_setting *find_setting(const struct manifest_device *device, const char *name)
{
    for (const struct manifest_setting *s = device->settings; s; s = s->next)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

static void compare_settings(const struct manifest_device *here, const struct manifest_device *there,
                             struct reasons *reasons)
{
    for (const struct manifest_setting *s = there->settings; s; s = s->next) {
        const struct manifest_setting *ours = find_setting(here, s->name);

        if (!ours)
            reasons_add(reasons, FERRY_E_DEVICE_CONFIGURATION,
                        "device '%s' %" PRIu32 ": '%s' is '%.100s' at the source, not set here", there->idstr,
                        there->instance_id, s->name, s->value);
        else if (strcmp(ours->value, s->value) != 0)
            reasons_add(reasons, FERRY_E_DEVICE_CONFIGURATION,
                        "device '%s' %" PRIu32 ": '%s' is '%.100s' at the source, '%.100s' here", there->idstr,
                        there->instance_id, s->name, s->value, ours->value);
    }
    for (const struct manifest_setting *s = here->settings; s; s = s->next)
        if (!find_setting(there, s->name))
            reasons_add(reasons, FERRY_E_DEVICE_CONFIGURATION,
                        "device '%s' %" PRIu32 ": '%s' is not set at the source, '%.100s' here", there->idstr,
                        there->instance_id, s->name, s->value);
}

/* ---- fields --------------------------------------------------------------------------------------------------------
 */

/* Counts what stands against a form. */
static void count_finding(void *opaque, const struct schema_finding *finding)
{
    unsigned *against = opaque;

    *against += finding->verdict == SCHEMA_INCOMPATIBLE;
}

struct telling {
    const struct manifest_device *there;
    struct reasons *reasons, *warnings;
    unsigned named_reasons, named_warnings; /* of each, the fields beyond the first few are only counted */
};

static void tell_finding(void *opaque, const struct schema_finding *finding)
{
    struct telling *telling = opaque;
    bool against = finding->verdict == SCHEMA_INCOMPATIBLE;
    unsigned *named = against ? &telling->named_reasons : &telling->named_warnings;
    struct reasons *to = against ? telling->reasons : telling->warnings;
    char field[300] = "", part[300] = "";

    if ((!against && finding->verdict != SCHEMA_COMPATIBLE) || !to || (*named)++ >= MANIFEST_FIELDS_NAMED)
        return;
    if (*finding->path)
        snprintf(field, sizeof(field), ": field '%.200s'", finding->path);
    if (strchr(finding->part, '/'))
        snprintf(part, sizeof(part), ": %s", finding->part);
    reasons_add(to, FERRY_E_DEVICE_VERSION, "device '%s' %" PRIu32 "%s%s: %.200s", telling->there->idstr,
                telling->there->instance_id, part, field, finding->why);
}

static void tell_rest(const struct manifest_device *there, unsigned named, struct reasons *to)
{
    if (to && named > MANIFEST_FIELDS_NAMED)
        reasons_add(to, FERRY_E_DEVICE_VERSION, "device '%s' %" PRIu32 ": fields: and %u more", there->idstr,
                    there->instance_id, named - MANIFEST_FIELDS_NAMED);
}

static void tell(const struct manifest_device *there, const struct manifest_form *from, const struct manifest_form *to,
                 struct reasons *reasons, struct reasons *warnings)
{
    struct telling telling = { .there = there, .reasons = reasons, .warnings = warnings };

    schema_compare(from->parts, to->parts, tell_finding, &telling);
    tell_rest(there, telling.named_reasons, reasons);
    tell_rest(there, telling.named_warnings, warnings);
}

/* ---- versions ------------------------------------------------------------------------------------------------------
 */

const struct manifest_form *manifest_who_loads(const struct manifest_device *here, uint32_t version)
{
    for (const struct manifest_form *form = here->forms; form; form = form->next)
        if (version <= form->parts->version && version >= form->parts->minimum)
            return form;
    return NULL;
}

static void tell_version(const struct manifest_device *here, const struct manifest_device *there,
                         struct reasons *reasons)
{
    const struct schema_part *sent = there->forms->parts, *ours = here->forms->parts;
    bool newer = sent->version > ours->version;

    reasons_add(reasons, FERRY_E_DEVICE_VERSION,
                "device '%s' %" PRIu32 ": version %" PRIu32 " at the source, which is too %s: %" PRIu32 " to %" PRIu32
                " can be loaded here",
                there->idstr, there->instance_id, sent->version, newer ? "new" : "old", ours->minimum, ours->version);
}

static const struct manifest_form *choose_form(const struct manifest_device *here, const struct manifest_device *there,
                                               struct reasons *reasons, struct reasons *warnings)
{
    const struct manifest_form *nearest = NULL, *to;

    for (const struct manifest_form *from = there->forms; from; from = from->next) {
        unsigned against = 0;

        to = manifest_who_loads(here, from->parts->version);
        if (!to)
            continue;
        schema_compare(from->parts, to->parts, count_finding, &against);
        if (against == 0) {
            tell(there, from, to, reasons, warnings);
            return from;
        }
        if (!nearest)
            nearest = from;
    }
    if (nearest)
        tell(there, nearest, manifest_who_loads(here, nearest->parts->version), reasons, warnings);
    else
        tell_version(here, there, reasons);
    return NULL;
}

const struct manifest_form *manifest_compare_device(const struct manifest_device *here,
                                                    const struct manifest_device *there, struct reasons *reasons,
                                                    struct reasons *warnings)
{
    if (strcmp(here->model, there->model) != 0) {
        /* What else differs follows from that. */
        reasons_add(reasons, FERRY_E_DEVICE_CONFIGURATION,
                    "device '%s' %" PRIu32 ": model '%.120s' at the source, '%.120s' here", there->idstr,
                    there->instance_id, there->model, here->model);
        return NULL;
    }
    compare_settings(here, there, reasons);
    if ((here->flags ^ there->flags) & MANIFEST_DEVICE_ITERATIVE) {
        bool there_rounds = there->flags & MANIFEST_DEVICE_ITERATIVE;

        reasons_add(reasons, FERRY_E_DEVICE_VERSION, "device '%s' %" PRIu32 ": moves %s at the source, %s here",
                    there->idstr, there->instance_id, there_rounds ? "in rounds" : "at once",
                    there_rounds ? "at once" : "in rounds");
        return NULL;
    }
    return choose_form(here, there, reasons, warnings);
}
