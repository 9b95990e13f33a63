/* SPDX-License-Identifier: BSD-3-Clause */
/* profile.c - saving for a destination that is older than we are */
#include "profile.h"

#include "fields.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int profile_version(const struct ferry_profile *profile, const struct ferry_state_desc *desc)
{
    if (profile && profile->versions)
        for (const struct ferry_profile_version *v = profile->versions; v->desc; v++)
            if (strcmp(v->desc, desc->name) == 0)
                return v->version;
    return desc->version_id;
}

static const struct ferry_property *profile_find(const struct ferry_state_desc *desc, const char *name)
{
    for (const struct ferry_property *p = desc->properties; p && p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

static int profile_parse(const struct ferry_property *property, const char *text, uint64_t *bits)
{
    bool is_bool = property->kind == FERRY_KIND_BOOL;
    char *end;

    if (is_bool && (strcmp(text, "on") == 0 || strcmp(text, "off") == 0)) {
        *bits = text[1] == 'n';
        return 0;
    }
    if (is_bool || kind_is_signed(property->kind) || text[0] < '0' || text[0] > '9')
        return -EINVAL;
    errno = 0;
    *bits = strtoull(text, &end, 0);
    if (errno || *end)
        return -EINVAL;
    return kind_bytes(property->kind) < 8 && *bits >> (8 * kind_bytes(property->kind)) ? -ERANGE : 0;
}

static int profile_check(const struct ferry_profile *profile, const struct ferry_profile_value *value,
                         const struct ferry_state_desc *desc, const struct ferry_property **property, uint64_t *bits,
                         struct ferry_error *err)
{
    *property = profile_find(desc, value->property);
    if (!*property)
        return ferry_error_set(err, -EINVAL, "profile '%s': '%s' has no property '%s'", profile->name, desc->name,
                               value->property);
    if (!kind_is_scalar((*property)->kind) || profile_parse(*property, value->value, bits) < 0)
        return ferry_error_set(err, -EINVAL, "profile '%s': '%s' is no value for %s.%s", profile->name, value->value,
                               desc->name, value->property);
    return 0;
}

int ferry_profile_apply(const struct ferry_profile *profile, const struct ferry_state_desc *desc, void *opaque,
                        struct ferry_error *err)
{
    const struct ferry_property *property;
    uint64_t bits = 0;

    if (!profile || !profile->values)
        return 0;
    for (int apply = 0; apply < 2; apply++) { /* all are checked before any is set */
        for (const struct ferry_profile_value *v = profile->values; v->desc; v++) {
            int rc;

            if (strcmp(v->desc, desc->name) != 0)
                continue;
            rc = profile_check(profile, v, desc, &property, &bits, err);
            if (rc < 0)
                return rc;
            if (apply)
                scalar_store(property->kind, (uint8_t *)opaque + property->offset, bits);
        }
    }
    return 0;
}
