/* SPDX-License-Identifier: BSD-3-Clause */
/* manifest_compare.c - can the source's guest move into ours?  Every reason why not, at once */
#include "manifest.h"

#include "manifest_device.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- blocks --------------------------------------------------------------------------------------------------------
 */

static const struct manifest_block *find_block(const struct manifest *manifest, const char *name)
{
    for (const struct manifest_block *b = manifest->blocks; b; b = b->next)
        if (strcmp(b->name, name) == 0)
            return b;
    return NULL;
}

static void compare_block(const struct manifest_block *here, const struct manifest_block *there,
                          struct reasons *reasons)
{
    if (here->length != there->length)
        reasons_add(reasons, FERRY_E_BLOCK_LENGTH, "block '%s': %" PRIu64 " bytes at the source, %" PRIu64 " here",
                    here->name, there->length, here->length);
    if (here->page_size != there->page_size)
        reasons_add(reasons, FERRY_E_PAGE_SIZE,
                    "block '%s': backed with pages of %" PRIu32 " bytes at the source, of %" PRIu32 " here", here->name,
                    there->page_size, here->page_size);
}

static void compare_blocks(const struct manifest *local, const struct manifest *remote, bool provides,
                           struct reasons *reasons)
{
    for (const struct manifest_block *there = remote->blocks; there; there = there->next) {
        const struct manifest_block *here = find_block(local, there->name);

        if (here)
            compare_block(here, there, reasons);
        else if (!provides)
            reasons_add(reasons, FERRY_E_UNKNOWN_BLOCK, "block '%s': %" PRIu64 " bytes at the source, missing here",
                        there->name, there->length);
    }
    for (const struct manifest_block *here = local->blocks; here; here = here->next)
        if (!find_block(remote, here->name))
            reasons_add(reasons, FERRY_E_UNKNOWN_BLOCK, "block '%s': %" PRIu64 " bytes here, missing at the source",
                        here->name, here->length);
}

/* ---- devices -------------------------------------------------------------------------------------------------------
 */

static bool is_same(const struct manifest_device *here, const struct manifest_device *there)
{
    return strcmp(here->idstr, there->idstr) == 0 &&
           (here->instance_id == there->instance_id ||
            (here->alias_id != MANIFEST_NO_ALIAS && here->alias_id == there->instance_id));
}

static const struct manifest_device *find_local(const struct manifest *local, const struct manifest_device *there)
{
    for (const struct manifest_device *here = local->devices; here; here = here->next)
        if (is_same(here, there))
            return here;
    return NULL;
}

static int choose(struct manifest_choices *choices, uint32_t index, uint32_t version, struct ferry_error *err)
{
    struct manifest_choice *rows = realloc(choices->rows, (choices->count + 1) * sizeof(*rows));

    if (!rows)
        return ferry_error_set(err, -ENOMEM, "no memory to choose the devices' versions");
    choices->rows = rows;
    rows[choices->count++] = (struct manifest_choice){ index, version };
    return 0;
}

static void unknown_device(const struct manifest_device *there, struct reasons *reasons, struct reasons *warnings)
{
    if (there->flags & MANIFEST_DEVICE_IN_USE)
        reasons_add(reasons, FERRY_E_UNKNOWN_DEVICE, "device '%s' %" PRIu32 ": not known here", there->idstr,
                    there->instance_id);
    else if (warnings)
        reasons_add(warnings, FERRY_E_UNKNOWN_DEVICE,
                    "device '%s' %" PRIu32 ": not known here; refused if the source comes to need it", there->idstr,
                    there->instance_id);
}

/* What the source sends, device by device. */
static int compare_sent(const struct manifest *local, const struct manifest *remote, struct reasons *reasons,
                        struct reasons *warnings, struct manifest_choices *choices, struct ferry_error *err)
{
    uint32_t index = 0;

    for (const struct manifest_device *there = remote->devices; there; there = there->next, index++) {
        const struct manifest_device *here = find_local(local, there);
        const struct manifest_form *form;
        int ret;

        if (!here) {
            unknown_device(there, reasons, warnings);
            continue;
        }
        form = manifest_compare_device(here, there, reasons, warnings);
        if (!form || form == there->forms)
            continue;
        ret = choose(choices, index, form->parts->version, err);
        if (ret < 0)
            return ret;
    }
    return 0;
}

/* What must come for each of ours. */
static void compare_awaited(const struct manifest *local, const struct manifest *remote, struct reasons *reasons)
{
    for (const struct manifest_device *here = local->devices; here; here = here->next) {
        bool awaited = !(here->flags & MANIFEST_DEVICE_OPTIONAL), comes = false;
        unsigned times = 0;

        for (const struct manifest_device *there = remote->devices; there; there = there->next) {
            if (!is_same(here, there))
                continue;
            times++;
            comes = comes || (there->flags & MANIFEST_DEVICE_IN_USE);
        }
        if (times > 1)
            reasons_add(reasons, FERRY_E_UNKNOWN_DEVICE, "device '%s' %" PRIu32 ": the source has it %u times",
                        here->idstr, here->instance_id, times);
        else if (awaited && times == 0)
            reasons_add(reasons, FERRY_E_DEVICE_MISSING, "device '%s' %" PRIu32 ": here, but not at the source",
                        here->idstr, here->instance_id);
        else if (awaited && !comes)
            reasons_add(reasons, FERRY_E_DEVICE_MISSING,
                        "device '%s' %" PRIu32 ": its state must come, and the source does not send it now",
                        here->idstr, here->instance_id);
    }
}

int manifest_compare(const struct manifest *local, const struct manifest *remote, bool provides_blocks,
                     struct reasons *reasons, struct reasons *warnings, struct manifest_choices *choices,
                     struct ferry_error *err)
{
    int ret;

    if (*remote->machine && strcmp(local->machine, remote->machine) != 0)
        reasons_add(reasons, FERRY_E_MACHINE_MISMATCH, "machine '%s' at the source, '%s' here", remote->machine,
                    local->machine);
    if (local->page_bytes != remote->page_bytes)
        reasons_add(reasons, FERRY_E_PAGE_SIZE, "pages of %" PRIu32 " bytes at the source, of %" PRIu32 " here",
                    remote->page_bytes, local->page_bytes);
    compare_blocks(local, remote, provides_blocks, reasons);
    ret = compare_sent(local, remote, reasons, warnings, choices, err);
    compare_awaited(local, remote, reasons);
    if (ret < 0)
        manifest_choices_clear(choices);
    return ret;
}
