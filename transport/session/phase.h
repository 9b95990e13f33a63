/* SPDX-License-Identifier: BSD-3-Clause */
/* phase.h - which phase may follow which */
#ifndef SESSION_PHASE_H
#define SESSION_PHASE_H

#include <ferry/session.h>
#include <stdbool.h>

bool phase_allowed(enum ferry_phase from, enum ferry_phase to);

#endif
