/* SPDX-License-Identifier: BSD-3-Clause */
/* manifest_device.h - can one device of the source become this one of ours? */
#ifndef STATE_MANIFEST_DEVICE_H
#define STATE_MANIFEST_DEVICE_H

#include "manifest.h"

/* So many fields of a device are named one by one. */
#define MANIFEST_FIELDS_NAMED 3

/**
 * manifest_compare_device() - model, configuration, versions, fields
 * @warnings: or NULL
 *
 * Returns the form of @there that ours can load, the first if it can; NULL: none, and @reasons says why.  (A device
 * whose configuration differs may have a form all the same.)
 */
const struct manifest_form *manifest_compare_device(const struct manifest_device *here,
                                                    const struct manifest_device *there, struct reasons *reasons,
                                                    struct reasons *warnings);

/* The form of ours that loads @version: the description's own, or else a converter's; NULL: none does. */
const struct manifest_form *manifest_who_loads(const struct manifest_device *here, uint32_t version);

#endif
