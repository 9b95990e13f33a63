/* SPDX-License-Identifier: BSD-3-Clause */
/* phase.c - which phase may follow which
 *
 *      none -> setup -> active -> device -> completed | uncertain -> completed | failed (it was settled)
 *                 \        \         \ '-> postcopy-active -> completed | postcopy-paused
 *                  '--------'---------'--> failed
 *                  '--------'---------'--> cancelling -> cancelled | failed | completed (it came too late)
 *
 *      postcopy-paused -> [postcopy-recover-setup] -> postcopy-recover -> postcopy-active | postcopy-paused
 *
 * Between active and device there is pre-switchover, where a word is waited for; it ends as active does.
 */
#include "phase.h"

#include <stddef.h>

#define TO(phase) (1u << (phase))
#define ENDS      (TO(FERRY_PHASE_FAILED) | TO(FERRY_PHASE_CANCELLING))

static const unsigned allowed[] = {
    [FERRY_PHASE_NONE] = TO(FERRY_PHASE_SETUP),
    [FERRY_PHASE_SETUP] = TO(FERRY_PHASE_ACTIVE) | ENDS,
    [FERRY_PHASE_ACTIVE] = TO(FERRY_PHASE_DEVICE) | TO(FERRY_PHASE_PRE_SWITCHOVER) | ENDS,
    [FERRY_PHASE_DEVICE] =
        TO(FERRY_PHASE_COMPLETED) | TO(FERRY_PHASE_UNCERTAIN) | TO(FERRY_PHASE_POSTCOPY_ACTIVE) | ENDS,
    [FERRY_PHASE_CANCELLING] =
        TO(FERRY_PHASE_CANCELLED) | TO(FERRY_PHASE_FAILED) | TO(FERRY_PHASE_COMPLETED) | TO(FERRY_PHASE_UNCERTAIN),
    [FERRY_PHASE_COMPLETED] = TO(FERRY_PHASE_FAILED), /* reverted, in the plain dialect */
    [FERRY_PHASE_CANCELLED] = 0,
    [FERRY_PHASE_FAILED] = 0,
    [FERRY_PHASE_UNCERTAIN] = TO(FERRY_PHASE_COMPLETED) | TO(FERRY_PHASE_FAILED),
    [FERRY_PHASE_POSTCOPY_ACTIVE] = TO(FERRY_PHASE_COMPLETED) | TO(FERRY_PHASE_POSTCOPY_PAUSED),
    [FERRY_PHASE_PRE_SWITCHOVER] = TO(FERRY_PHASE_DEVICE) | ENDS,
    [FERRY_PHASE_POSTCOPY_PAUSED] = TO(FERRY_PHASE_POSTCOPY_RECOVER_SETUP) | TO(FERRY_PHASE_POSTCOPY_RECOVER),
    [FERRY_PHASE_POSTCOPY_RECOVER_SETUP] = TO(FERRY_PHASE_POSTCOPY_RECOVER) | TO(FERRY_PHASE_POSTCOPY_PAUSED),
    [FERRY_PHASE_POSTCOPY_RECOVER] = TO(FERRY_PHASE_POSTCOPY_ACTIVE) | TO(FERRY_PHASE_POSTCOPY_PAUSED),
};

static const char *const names[] = {
    [FERRY_PHASE_NONE] = "none",
    [FERRY_PHASE_SETUP] = "setup",
    [FERRY_PHASE_ACTIVE] = "active",
    [FERRY_PHASE_DEVICE] = "device",
    [FERRY_PHASE_COMPLETED] = "completed",
    [FERRY_PHASE_CANCELLING] = "cancelling",
    [FERRY_PHASE_CANCELLED] = "cancelled",
    [FERRY_PHASE_FAILED] = "failed",
    [FERRY_PHASE_UNCERTAIN] = "uncertain",
    [FERRY_PHASE_POSTCOPY_ACTIVE] = "postcopy-active",
    [FERRY_PHASE_POSTCOPY_PAUSED] = "postcopy-paused",
    [FERRY_PHASE_PRE_SWITCHOVER] = "pre-switchover",
    [FERRY_PHASE_POSTCOPY_RECOVER_SETUP] = "postcopy-recover-setup",
    [FERRY_PHASE_POSTCOPY_RECOVER] = "postcopy-recover",
};

bool phase_allowed(enum ferry_phase from, enum ferry_phase to)
{
    return allowed[from] & TO(to);
}

const char *ferry_phase_name(enum ferry_phase phase)
{
    return (size_t)phase < sizeof(names) / sizeof(names[0]) ? names[phase] : "unknown";
}

const char *ferry_verdict_name(enum ferry_verdict verdict)
{
    switch (verdict) {
    case FERRY_VERDICT_CONVERGING:
        return "converging";
    case FERRY_VERDICT_SWITCH:
        return "switch-over";
    case FERRY_VERDICT_CANNOT:
        return "cannot-converge";
    case FERRY_VERDICT_STALLED:
        return "stalled";
    default:
        return "none";
    }
}
