/* SPDX-License-Identifier: BSD-3-Clause */
/* report_peer.c - the parts of the report about the two sides: what they agreed to, and where the downtime went */
#include "report_peer.h"

#include <ferry/capabilities.h>

static double ms(int64_t ns)
{
    return (double)(ns / 1000) / 1000;
}

static void add_names(json_t *names, enum ferry_capability_set set, uint64_t bits)
{
    struct ferry_capability_info info;

    for (unsigned i = 0; ferry_capabilities_query(set, i, &info); i++)
        if (bits & info.bit)
            json_array_append_new(names, json_string(info.name));
}

json_t *report_peer_json(const struct ferry_peer_stats *peer)
{
    json_t *names = json_array();

    if (!names)
        return NULL;
    add_names(names, FERRY_PROTOCOL_CAPABILITIES, peer->protocol);
    add_names(names, FERRY_DEVICE_CAPABILITIES, peer->device);
    return json_pack("{s:s, s:o, s:f, s:f}", "dialect", peer->dialect, "capabilities", names, "round-trip",
                     ms(peer->round_trip_ns), "silent", ms(peer->silent_ns));
}

json_t *report_downtime_json(const struct ferry_downtime_stats *downtime)
{
    json_t *parts =
        json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "stop", ms(downtime->stop_ns), "pages", ms(downtime->pages_ns),
                  "devices", ms(downtime->devices_ns), "transfer", ms(downtime->transfer_ns), "load",
                  ms(downtime->load_ns), "start", ms(downtime->start_ns));

    if (parts && downtime->paused_ns > 0)
        json_object_set_new(parts, "paused", json_real(ms(downtime->paused_ns)));
    return parts;
}
