/* SPDX-License-Identifier: BSD-3-Clause */
/* capabilities.c - the table of capabilities: name, bit and whether this release has it */
#include "capabilities.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct ferry_capability_info protocol[] = {
    { "packet-v2", "page packets with sequence number, round, codec and checksum", CAPABILITY_PACKET_V2, true, true },
    { "ack", "the destination says how far each connection's pages have come", CAPABILITY_ACK, false, false },
    { "sized-sections", "a section says its length, so an unknown one can be refused by name",
      CAPABILITY_SIZED_SECTIONS, false, false },
    { "switchover-commit", "the guest starts at the destination only when both have said so",
      CAPABILITY_SWITCHOVER_COMMIT, true, true },
    { "error-text", "the first error crosses the wire, so that both ends report the same", CAPABILITY_ERROR_TEXT, true,
      true },
    { "heartbeat", "a silent peer is noticed long before TCP would", CAPABILITY_HEARTBEAT, true, true },
    { "large-batch", "page batches of more than 128 pages", CAPABILITY_LARGE_BATCH, true, true },
    { "postcopy", "the guest may run at the destination before all of its memory is there", CAPABILITY_POSTCOPY, true,
      true },
    { "postcopy-resume", "a postcopy that was interrupted goes on over new connections", CAPABILITY_POSTCOPY_RESUME,
      true, true },
};

static const struct ferry_capability_info device[] = {
    { "iterative", "devices that send state while the guest runs", CAPABILITY_ITERATIVE, true, true },
    { "switchover-ack", "the switch waits until devices have loaded what they need before it",
      CAPABILITY_SWITCHOVER_ACK, true, true },
    { "postcopy-state", "devices that send state after the switch", CAPABILITY_POSTCOPY_STATE, true, true },
    { "device-parts", "pieces of devices' state travel on page channels at the switch", CAPABILITY_DEVICE_PARTS, true,
      true },
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

bool ferry_capabilities_query(enum ferry_capability_set set, unsigned index, struct ferry_capability_info *info)
{
    const struct ferry_capability_info *table = set == FERRY_PROTOCOL_CAPABILITIES ? protocol : device;

    if (index >= (set == FERRY_PROTOCOL_CAPABILITIES ? COUNT(protocol) : COUNT(device)))
        return false;
    *info = table[index];
    return true;
}

uint64_t capabilities_default(enum ferry_capability_set set)
{
    struct ferry_capability_info info;
    uint64_t bits = 0;

    for (unsigned i = 0; ferry_capabilities_query(set, i, &info); i++)
        bits |= info.on ? info.bit : 0;
    return bits;
}

int capabilities_find(const char *name, enum ferry_capability_set *set, struct ferry_capability_info *info,
                      struct ferry_error *err)
{
    static const enum ferry_capability_set sets[] = { FERRY_PROTOCOL_CAPABILITIES, FERRY_DEVICE_CAPABILITIES };

    for (size_t s = 0; s < COUNT(sets); s++) {
        for (unsigned i = 0; ferry_capabilities_query(sets[s], i, info); i++) {
            if (!strcmp(info->name, name)) {
                *set = sets[s];
                return 0;
            }
        }
    }
    return ferry_error_set(err, -ENOENT, "there is no capability '%s'", name);
}

/* Its name, or "bit N", in @spare. */
static const char *name_of(enum ferry_capability_set set, unsigned place, char spare[16])
{
    struct ferry_capability_info info;

    for (unsigned i = 0; ferry_capabilities_query(set, i, &info); i++)
        if (info.bit == UINT64_C(1) << place)
            return info.name;
    snprintf(spare, 16, "bit %u", place);
    return spare;
}

char *capabilities_names(enum ferry_capability_set set, uint64_t bits, char *to, size_t room)
{
    size_t used = 0;
    char spare[16];

    snprintf(to, room, "%s", bits ? "" : "none");
    for (unsigned place = 0; place < 64; place++) {
        const char *name;

        if (!(bits >> place & 1))
            continue;
        name = name_of(set, place, spare);
        if (used + strlen(name) + 2 >= room)
            break;
        used += (size_t)snprintf(to + used, room - used, "%s%s", used ? ", " : "", name);
    }
    return to;
}
