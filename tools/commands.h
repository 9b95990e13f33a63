/* SPDX-License-Identifier: BSD-3-Clause */
/* commands.h - the commands of the program: what runs them, and the tables that their help is made from
 *
 * Each main returns an enum exit_status; argv[0] is the command's name.
 */
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

#include "help.h"
#include "inspect.h"

int bench_main(int argc, char **argv);
int demo_main(int argc, char **argv);
int send_main(int argc, char **argv);
int recv_main(int argc, char **argv);
int ctl_main(int argc, char **argv);
int keys_main(int argc, char **argv);
int recover_main(int argc, char **argv);
int explain_main(int argc, char **argv);
int plan_main(int argc, char **argv);
int schema_main(int argc, char **argv);
int options_main(int argc, char **argv);
int help_main(int argc, char **argv);

extern const struct args_command demo_form, send_form, recv_form, ctl_form, inspect_form, keys_psk_form, keys_x509_form,
    keys_check_form, recover_form, explain_form, plan_form, schema_form, options_form, help_form, bench_form;

/* All of them; a row without a name ends it. */
extern const struct command commands[];

#endif
