/* SPDX-License-Identifier: BSD-3-Clause */
/* ferry.c - the program: finds the command and runs it */
#include "commands.h"
#include "exit.h"
#include "help.h"

#include <string.h>

const struct command commands[] = {
    { "demo", "move a busy guest between two processes of this host, and report", demo_main, { &demo_form } },
    { "send", "move a running guest to a destination", send_main, { &send_form } },
    { "recv", "receive a guest, check every page of it, run it", recv_main, { &recv_form } },
    { "bench", "measure migrations beside what the link can carry", bench_main, { &bench_form } },
    { "ctl", "speak to a running side by QMP: ask, steer, watch", ctl_main, { &ctl_form } },
    { "plan", "predict a migration, without one: go, or why not", plan_main, { &plan_form } },
    { "inspect", "what is in a migration stream, and where it is broken", inspect_main, { &inspect_form } },
    { "keys",
      "make keys and certificates for TLS, and check those that are there",
      keys_main,
      { &keys_psk_form, &keys_x509_form, &keys_check_form } },
    { "recover", "which side may run the guest after a migration was cut off", recover_main, { &recover_form } },
    { "explain", "what an error means, and what to do about it", explain_main, { &explain_form } },
    { "schema", "what devices put on the wire, and whether two builds of them fit", schema_main, { &schema_form } },
    { "options", "what can be set for a migration", options_main, { &options_form } },
    { "help", "this, or the manual", help_main, { &help_form } },
    { NULL },
};

static int refuse(const char *what, const char *word)
{
    fprintf(stderr, "ferry: unknown %s '%s'\ntry 'ferry --help'\n", what, word);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;

    if (!word) {
        help_program(stderr, commands);
        return EXIT_USAGE;
    }
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
        help_program(stdout, commands);
        return EXIT_DONE;
    }
    if (!strcmp(word, "--version")) {
        printf("ferry %s\n", FERRY_VERSION);
        return EXIT_DONE;
    }
    for (const struct command *c = commands; c->name; c++)
        if (!strcmp(word, c->name))
            return c->main(argc - 1, argv + 1);
    return refuse(word[0] == '-' ? "option" : "command", word);
}
