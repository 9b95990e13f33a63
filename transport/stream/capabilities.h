/* SPDX-License-Identifier: BSD-3-Clause */
/* capabilities.h - capabilities as bits */
#ifndef STREAM_CAPABILITIES_H
#define STREAM_CAPABILITIES_H

#include <ferry/capabilities.h>

/* Of the protocol, as they stand in a hello. */
#define CAPABILITY_PACKET_V2         (UINT64_C(1) << 0)
#define CAPABILITY_ACK               (UINT64_C(1) << 1)
#define CAPABILITY_SIZED_SECTIONS    (UINT64_C(1) << 2)
#define CAPABILITY_SWITCHOVER_COMMIT (UINT64_C(1) << 3)
#define CAPABILITY_ERROR_TEXT        (UINT64_C(1) << 4)
#define CAPABILITY_HEARTBEAT         (UINT64_C(1) << 5)
#define CAPABILITY_LARGE_BATCH       (UINT64_C(1) << 6)
#define CAPABILITY_POSTCOPY          (UINT64_C(1) << 7)
#define CAPABILITY_POSTCOPY_RESUME   (UINT64_C(1) << 8)

/* Of the devices. */
#define CAPABILITY_ITERATIVE      (UINT64_C(1) << 0)
#define CAPABILITY_SWITCHOVER_ACK (UINT64_C(1) << 1)
#define CAPABILITY_POSTCOPY_STATE (UINT64_C(1) << 2)
#define CAPABILITY_DEVICE_PARTS   (UINT64_C(1) << 3)

/* What is offered unless somebody says otherwise. */
uint64_t capabilities_default(enum ferry_capability_set set);

/* Which one of which set.  -ENOENT. */
int capabilities_find(const char *name, enum ferry_capability_set *set, struct ferry_capability_info *info,
                      struct ferry_error *err);

/* "error-text, heartbeat"; "none" for no bits; "bit 17" for one without a name.  What does not fit is left out.
 * Returns @to. */
char *capabilities_names(enum ferry_capability_set set, uint64_t bits, char *to, size_t room);

#endif
