/* SPDX-License-Identifier: BSD-3-Clause */
/* commands.h - the commands of the program; each returns an enum exit_status
 *
 * argv[0] is the command's name.
 */
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

#include "inspect.h"

int demo_main(int argc, char **argv);
int send_main(int argc, char **argv);
int recv_main(int argc, char **argv);
int keys_main(int argc, char **argv);
int recover_main(int argc, char **argv);
int explain_main(int argc, char **argv);
int schema_main(int argc, char **argv);
int options_main(int argc, char **argv);

#endif
