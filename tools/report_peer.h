/* SPDX-License-Identifier: BSD-3-Clause */
/* report_peer.h - the parts of the report about the two sides: what they agreed to, and where the downtime went */
#ifndef TOOLS_REPORT_PEER_H
#define TOOLS_REPORT_PEER_H

#include <ferry/session.h>
#include <jansson.h>

/* {"dialect", "capabilities": [...], "round-trip" (ms), "silent" (ms)}; NULL when out of memory. */
json_t *report_peer_json(const struct ferry_peer_stats *peer);

/* {"stop", "pages", "devices", "transfer", "load", "start"}: ms, they add up to the downtime. */
json_t *report_downtime_json(const struct ferry_downtime_stats *downtime);

#endif
