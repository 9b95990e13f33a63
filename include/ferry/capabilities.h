/* SPDX-License-Identifier: BSD-3-Clause */
/* capabilities.h - what the two ends of a migration may agree to
 *
 * Two sets: of the protocol (what the wire can say) and of the devices (what device models can do).  Each end offers;
 * what both offer is agreed, and an end that says nothing offers nothing.  Bits are frozen (docs/protocol.md).
 */
#ifndef FERRY_CAPABILITIES_H
#define FERRY_CAPABILITIES_H

#include <ferry/api.h>
#include <ferry/error.h>
#include <ferry/options.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FERRY_BEGIN_DECLS

enum ferry_capability_set {
    FERRY_PROTOCOL_CAPABILITIES,
    FERRY_DEVICE_CAPABILITIES,
};

struct ferry_capability_info {
    const char *name; /* "error-text"; no name is in both sets */
    const char *help;
    uint64_t bit;   /* on the wire */
    bool supported; /* this release can do it; one that is not is only known by name */
    bool on;        /* offered unless switched off */
};

/* The i-th capability of a set; false behind the last. */
FERRY_API bool ferry_capabilities_query(enum ferry_capability_set set, unsigned index,
                                        struct ferry_capability_info *info);

/**
 * ferry_capabilities_set() - offer one, or do not
 * @name: of either set
 * @value: "on" or "off"
 *
 * -ENOENT for a name that is not known, -ENOTSUP for "on" where this release does not support it.
 */
FERRY_API int ferry_capabilities_set(struct ferry_options *options, const char *name, const char *value,
                                     struct ferry_error *err) FERRY_CHECK;

/* Is it offered? */
FERRY_API int ferry_capabilities_get(const struct ferry_options *options, const char *name, bool *on,
                                     struct ferry_error *err) FERRY_CHECK;

FERRY_END_DECLS

#endif
