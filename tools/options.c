/* SPDX-License-Identifier: BSD-3-Clause */
/* options.c - `ferry options`: every option of a migration and every capability, from the library's own tables */
#include "commands.h"
#include "exit.h"
#include "help.h"

#include <ferry/capabilities.h>
#include <string.h>

static void print_capabilities(enum ferry_capability_set set)
{
    struct ferry_capability_info info;

    for (unsigned i = 0; ferry_capabilities_query(set, i, &info); i++)
        if (info.supported)
            printf("  %-25s %s [%s]\n", info.name, info.help, info.on ? "on" : "off");
}

static const struct args_row rows[] = {
    { NULL },
};

const struct args_command options_form = {
    .name = "options",
    .summary = "what can be set for a migration",
    .examples = "  ferry options\n"
                "  ferry send tcp:192.0.2.7:4444 --guest pattern --max-bandwidth 1Gbit/s\n",
    .rows = rows,
};

static void print_all(void)
{
    help_settings(stdout);
    printf("\nCapabilities, agreed by both ends:\n");
    print_capabilities(FERRY_PROTOCOL_CAPABILITIES);
    print_capabilities(FERRY_DEVICE_CAPABILITIES);
}

int options_main(int argc, char **argv)
{
    struct ferry_error err = { 0 };
    struct args *args = args_parse(&options_form, argc, argv, &err);

    if (!args)
        return help_usage(&options_form, &err);
    if (args_help(args))
        help_command(stdout, &options_form);
    else
        print_all();
    args_free(args);
    return EXIT_DONE;
}
