/* SPDX-License-Identifier: BSD-3-Clause */
/* peer_version.c - what a QEMU at the other end does with page channels, by the version of its machine */
#include "peer_version.h"

#include <stdio.h>
#include <string.h>

enum peer_version_choice peer_version_of(uint64_t choice, const char *machine)
{
    const char *dash = strrchr(machine, '-');
    unsigned major, minor;
    int used = 0;

    if (choice != PEER_VERSION_AUTO)
        return (enum peer_version_choice)choice;
    if (!dash || sscanf(dash + 1, "%4u.%4u%n", &major, &minor, &used) != 2 || dash[1 + used] != '\0')
        return PEER_VERSION_9_0;
    if (major < 8 || (major == 8 && minor == 0))
        return PEER_VERSION_7_2;
    return major == 8 ? PEER_VERSION_8_1 : PEER_VERSION_9_0;
}
