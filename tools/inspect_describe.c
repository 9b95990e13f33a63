/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_describe.c - which section the description speaks of, and where */
#include "inspect_walk.h"

#include <inttypes.h>
#include <string.h>

/* They stand in the order of their sections, so mostly it is the next one. */
const struct desc *inspect_find_device(struct inspect_walk *walk, const char *name, uint32_t instance)
{
    const struct desc *devices = desc_member(walk->report->description.root, "devices");
    const struct desc *at = walk->next_device;
    bool again = false;

    if (!devices || devices->kind != DESC_ARRAY)
        return NULL;
    while (walk->steps_left > 0 && (at || !again)) {
        const struct desc *id = desc_member(at, "instance_id");
        uint64_t steps = at && at->kind == DESC_OBJECT ? (uint64_t)at->number + 1 : 1;

        walk->steps_left -= steps < walk->steps_left ? steps : walk->steps_left;
        if (id && id->kind == DESC_INTEGER && (uint32_t)id->number == instance &&
            !strcmp(desc_text(at, "name", ""), name)) {
            walk->next_device = at->next;
            return at;
        }
        again = again || !at;
        at = at ? at->next : devices->first;
    }
    return NULL;
}

void inspect_describe(struct inspect_walk *walk)
{
    for (unsigned i = 0; i < walk->report->sections.count; i++) {
        struct report_section *section = &walk->report->sections.section[i];
        struct desc_body body;
        char name[300];

        if (section->device || section->sized != SIZED_BY_FOOTER || section->type != SECTION_FULL)
            continue;
        section->device = inspect_find_device(walk, section->name, section->instance);
        body = desc_body_of(section->device);
        if (section->device && desc_body_bytes(&body) == section->bytes)
            section->sized = SIZED_BY_DESCRIPTION;
        else if (walk->report->description.root)
            inspect_note(walk->report,
                         "'%s': %" PRIu64 " bytes up to its footer; the description %s, its fields are "
                         "not shown",
                         inspect_text(name, sizeof(name), section->name), section->bytes,
                         section->device ? "says otherwise" : "does not speak of it");
    }
}
