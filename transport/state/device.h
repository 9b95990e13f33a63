/* SPDX-License-Identifier: BSD-3-Clause */
/* device.h - the devices of a guest: who is saved, in which order, under which name
 *
 * Order: priority, highest first; within one priority as they were added.  A destination finds a device by name and
 * instance id (or alias id: the instance id that an older source uses).  Framing (type byte, header, footer) is
 * transport/stream/section.h's; here are the bodies.
 */
#ifndef STATE_DEVICE_H
#define STATE_DEVICE_H

#include "convert.h"
#include "model.h"
#include "state.h"
#include <ferry/state.h>
#include <sys/queue.h>

#define DEVICE_NO_ALIAS (-1)

struct device {
    TAILQ_ENTRY(device) link;
    char idstr[256];
    uint32_t instance_id;
    int alias_id;    /* DEVICE_NO_ALIAS: none */
    uint32_t number; /* 0, 1, ... in the order of adding: a source's section id is its first id + this */
    const struct ferry_state_desc *desc; /* NULL: a legacy device; borrowed */
    struct ferry_legacy_ops legacy;
    void *opaque;                          /* borrowed */
    struct ferry_model *model;             /* owned; NULL: its name says what it is */
    const struct ferry_converter *save_as; /* the version that was chosen for this destination; NULL: our own */
    const struct device_list *list;        /* that it is in */
};

struct device_list;

/* NULL when out of memory. */
struct device_list *device_list_new(void);
void device_list_free(struct device_list *list);

/**
 * device_add() - a device with a description
 * @idstr: NULL: desc->name
 * @instance_id: FERRY_INSTANCE_NEXT: the first that is free for this name
 * @alias_id: or DEVICE_NO_ALIAS
 *
 * Returns the device, the list's; or NULL: the name is not 1 to 255 bytes, taken (-EEXIST), or the description cannot
 * work.
 */
struct device *device_add(struct device_list *list, const struct ferry_state_desc *desc, void *opaque,
                          const char *idstr, int instance_id, int alias_id, struct ferry_error *err);

/* A device with a plain pair of functions; @ops is copied.  A legacy load cannot be staged: see device_parse_body(). */
struct device *device_add_legacy(struct device_list *list, const char *idstr, int instance_id,
                                 const struct ferry_legacy_ops *ops, void *opaque, struct ferry_error *err);

/* Says what model the device is of; copied. */
int device_set_model(struct device *device, const struct ferry_model *model, struct ferry_error *err);

/* What its model is called: the model's id, or the description's name, or its own. */
const char *device_model_id(const struct device *device);

/* For every device with that description, in whatever order they come; borrowed. */
int device_list_add_converter(struct device_list *list, const struct ferry_converter *converter,
                              struct ferry_error *err);
const struct convert_list *device_list_converters(const struct device_list *list);

/**
 * device_list_choose() - which version of a device goes to this destination
 * @index: of the device, in the order of the list
 * @version: what it saves anyway, or what a converter can make of it; else -EINVAL
 *
 * Holds until device_list_choose_none(), which undoes all choices.
 */
int device_list_choose(struct device_list *list, uint32_t index, uint32_t version, const struct ferry_profile *profile,
                       struct ferry_error *err);
void device_list_choose_none(struct device_list *list);

struct device *device_find(const struct device_list *list, const char *idstr, uint32_t instance_id);
struct device *device_first(const struct device_list *list);
struct device *device_next(const struct device *device);

/* Whether its section is to be saved at all. */
bool device_needed(const struct device *device);

/* What the section's header says: its own version, that of the profile, or the one chosen. */
uint32_t device_version(const struct device *device, const struct ferry_profile *profile);

/* Bytes that device_save_body() would put now, or a negative errno; 0 for a legacy device, which would have to save. */
int64_t device_size(const struct device *device, const struct ferry_profile *profile, struct ferry_error *err);

/* Why a migration cannot even begin: the first device that is unmigratable; 0: none. */
int device_list_migratable(const struct device_list *list, struct ferry_error *err);

/**
 * device_save_body() - everything between header and footer
 * @profile: or NULL
 * @devices: a JSON array that gets the device's self-description appended; or NULL
 */
int device_save_body(struct ferry_writer *writer, const struct device *device, const struct ferry_profile *profile,
                     json_t *devices, struct ferry_error *err);

/**
 * device_parse_body() - read and check a body; the device is changed by device_commit() only
 * @version: the section header's; one that the description cannot load is read by a converter, if there is one
 * @staged: set on success, to be committed and freed; NULL for a legacy device, whose load has changed it already
 */
int device_parse_body(const struct device *device, uint32_t version, struct ferry_reader *reader,
                      struct state_staged **staged, struct ferry_error *err);

/* Once the footer was right.  @staged may be NULL; it must still be freed. */
int device_commit(const struct device *device, struct state_staged *staged, struct ferry_error *err);

#endif
