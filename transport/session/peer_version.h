/* SPDX-License-Identifier: BSD-3-Clause */
/* peer_version.h - what a QEMU at the other end does with page channels, by the version of its machine
 *
 *      machine         end of a round in the main stream   zero pages
 *      7.2 to 8.0      the end of every section            records in the main stream
 *      8.1, 8.2        a record of its own                 records in the main stream
 *      9.0 and later   a record of its own                 in packets
 */
#ifndef SESSION_PEER_VERSION_H
#define SESSION_PEER_VERSION_H

#include "options.h"

/* What @choice says, an enum peer_version_choice; AUTO: what follows from the name of the machine, "pc-i440fx-7.2".  A
 * name that ends in no version is that of a QEMU of today.  Never AUTO. */
enum peer_version_choice peer_version_of(uint64_t choice, const char *machine);

#endif
