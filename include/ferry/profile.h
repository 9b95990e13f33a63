/* SPDX-License-Identifier: BSD-3-Clause */
/* profile.h - saving for a destination that is older than we are
 *
 * A new piece of state must not reach a destination that does not know it.  The recipe:
 *
 *  (a) a property of the device says whether the new piece is in use, on by default;
 *  (b) a profile, one per older release that one still migrates to, switches it off;
 *  (c) a small function answers "is it in use": the property and, where there is one, the guest's choice;
 *  (d) a subsection holds the state, and that function is its needed();
 *  (e) pre_load sets what the state is when the subsection does not come.
 *
 * Both ends start their devices with the same profile, that of the older one.
 */
#ifndef FERRY_PROFILE_H
#define FERRY_PROFILE_H

#include <ferry/state.h>

FERRY_BEGIN_DECLS

/* A member that a profile may set: bool (on, off) or an unsigned integer. */
struct ferry_property {
    const char *name; /* NULL ends the table */
    enum ferry_kind kind;
    size_t offset;
};

#define FERRY_PROPERTY(text, member, type, K)                                                     \
    {                                                                                             \
        .name = (text), .kind = FERRY_KIND_##K, .offset = FERRY_OFFSET(type, member, FERRY_C_##K) \
    }
#define FERRY_PROPERTY_END \
    {                      \
        .name = NULL       \
    }

struct ferry_profile_value {
    const char *desc; /* the description's name; NULL ends the table */
    const char *property;
    const char *value; /* "on", "off", "4096", "0x1000" */
};

/* Save this description, wherever it occurs, as an older version of itself. */
struct ferry_profile_version {
    const char *desc; /* NULL ends the table */
    int version;
};

struct ferry_profile {
    const char *name;
    const struct ferry_profile_value *values;     /* NULL: none */
    const struct ferry_profile_version *versions; /* NULL: none */
};

/**
 * ferry_profile_apply() - set the properties that @profile has for a device
 * @profile: NULL is legal and sets nothing
 *
 * Call it once, before the device is used.  A property that the description does not have, or a value that does not
 * fit, is -EINVAL, and the device is unchanged.
 */
FERRY_API int ferry_profile_apply(const struct ferry_profile *profile, const struct ferry_state_desc *desc,
                                  void *opaque, struct ferry_error *err) FERRY_CHECK;

FERRY_END_DECLS

#endif
