/* SPDX-License-Identifier: BSD-3-Clause */
/* exit.h - what the exit status of the program says */
#ifndef TOOLS_EXIT_H
#define TOOLS_EXIT_H

enum exit_status {
    EXIT_DONE = 0,      /* done, and verified where something was to be verified */
    EXIT_FAILED = 1,    /* failed or cancelled; the guest is still at the source */
    EXIT_USAGE = 2,     /* the command line cannot be done */
    EXIT_MISMATCH = 3,  /* the guest arrived, but not as it left */
    EXIT_UNCERTAIN = 4, /* nobody here can know at which end the guest runs */
};

#endif
