/* SPDX-License-Identifier: BSD-3-Clause */
/* profile.h - which version of a description a profile wants saved */
#ifndef STATE_PROFILE_H
#define STATE_PROFILE_H

#include <ferry/profile.h>

/* desc->version_id, or an older one.  @profile may be NULL. */
int profile_version(const struct ferry_profile *profile, const struct ferry_state_desc *desc);

#endif
