/* SPDX-License-Identifier: BSD-3-Clause */
/* options.h - the values behind the table of options */
#ifndef SESSION_OPTIONS_H
#define SESSION_OPTIONS_H

#include <ferry/options.h>
#include <stdint.h>

enum tracker_choice {
    TRACKER_AUTO,
    TRACKER_UFFD_ASYNC,
    TRACKER_UFFD_SYNC,
};

enum peer_choice {
    PEER_AUTO, /* ferry where somebody answers, else qemu */
    PEER_FERRY,
    PEER_QEMU,
};

enum not_yet_policy {
    NOT_YET_FAIL,
    NOT_YET_FORCE,
};

struct ferry_options {
    uint64_t max_bandwidth; /* bytes per second; UNITS_UNLIMITED */
    uint64_t downtime_limit_ns;
    uint64_t give_up_after; /* rounds; 0: never */
    uint64_t connect_timeout_ns;
    uint64_t setup_timeout_ns;
    uint64_t not_yet_limit_ns;
    uint64_t not_yet_policy; /* enum not_yet_policy */
    uint64_t prefault;       /* 0 or 1 */
    uint64_t tracker;        /* enum tracker_choice */
    uint64_t peer;           /* enum peer_choice */
    uint64_t return_path;    /* 0 or 1: in the qemu dialect, where somebody answers */
    uint64_t suspect_after_ns;
    uint64_t lost_after_ns;
    uint64_t protocol_capabilities; /* bits offered */
    uint64_t device_capabilities;
};

/* -ENOENT for an unknown name, -EPERM for one that is not live. */
int options_check_live(const char *name, struct ferry_error *err);

#endif
