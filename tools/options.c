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

int options_main(int argc, char **argv)
{
    bool help = argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"));

    if (argc > 1 && !help) {
        fprintf(stderr, "ferry options: unknown word '%s'\ntry 'ferry options --help'\n", argv[1]);
        return EXIT_USAGE;
    }
    if (help) {
        printf("ferry options - what can be set for a migration\n\nUsage: ferry options\n\n"
               "Examples:\n  ferry options\n  ferry send tcp:192.0.2.7:4444 --guest pattern --max-bandwidth 1Gbit/s\n");
        return EXIT_DONE;
    }
    help_settings(stdout);
    printf("\nCapabilities, agreed by both ends:\n");
    print_capabilities(FERRY_PROTOCOL_CAPABILITIES);
    print_capabilities(FERRY_DEVICE_CAPABILITIES);
    return EXIT_DONE;
}
