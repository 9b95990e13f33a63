/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect.h - `ferry inspect`: what is in a migration stream, and where it is broken */
#ifndef TOOLS_INSPECT_H
#define TOOLS_INSPECT_H

/* Returns an enum exit_status: EXIT_DONE for a stream that is whole and clean. */
int inspect_main(int argc, char **argv);

#endif
