/* SPDX-License-Identifier: BSD-3-Clause */
/* model.h - which hardware interface a device has, and how this one is set up
 *
 * A device's state means something only to a device of the same model, set up in the same way.  Both ends say both
 * before the first page; what differs is a reason to refuse.  Finding a compatible pair is management's task, not the
 * stream's: one model is never turned into another.
 *
 *     static const struct ferry_setting settings[] = { { "queues", "4" }, { "mac", "52:54:00:12:34:56" }, { 0 } };
 *     static const struct ferry_model model = { "https://example.org/devices/virtio-net", settings };
 */
#ifndef FERRY_MODEL_H
#define FERRY_MODEL_H

#include <ferry/api.h>
#include <ferry/error.h>

FERRY_BEGIN_DECLS

#define FERRY_MODEL_ID_MAX      1024
#define FERRY_SETTINGS_MAX      256
#define FERRY_SETTING_NAME_MAX  255
#define FERRY_SETTING_VALUE_MAX 4096

struct ferry_setting {
    const char *name;  /* 1 to 255 bytes, each once; NULL ends the table */
    const char *value; /* 0 to 4096 bytes, compared byte for byte */
};

struct ferry_model {
    /* 1 to 1024 bytes, compared byte for byte and never resolved.  A URI under a domain of one's own is unique:
     * https://..., urn:..., pci://..., vfio://... */
    const char *id;
    const struct ferry_setting *settings; /* in any order; NULL: none */
};

/* What is unwise about a model id, as a sentence that lives for ever; NULL: nothing.  It works all the same. */
FERRY_API const char *ferry_model_id_lint(const char *id);

FERRY_END_DECLS

#endif
