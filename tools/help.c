/* SPDX-License-Identifier: BSD-3-Clause */
/* help.c - what `ferry --help` and `ferry COMMAND --help` print, made from the tables
 *
 *     |  --max-bandwidth RATE      bytes that all channels together may send: 600MiB/s,
 *     |                            5Gbit/s, unlimited
 *     0                            HELP_COLUMN                                        WIDTH
 */
#include "help.h"

#include "exit.h"

#include <string.h>

#define WIDTH       80
#define CELL_WIDTH  38 /* of two beside each other */
#define HELP_COLUMN 28

const struct help_status help_statuses[] = {
    { EXIT_DONE, "done and verified" },
    { EXIT_FAILED, "failed or cancelled; the guest is still at the source" },
    { EXIT_USAGE, "wrong usage" },
    { EXIT_MISMATCH, "arrived, but verification failed" },
    { EXIT_UNCERTAIN, "uncertain at which end the guest runs, or its memory is at both" },
    { 0, NULL },
};

/* @text from HELP_COLUMN on, broken between words; the cursor stands in @column. */
static void print_wrapped(FILE *to, int column, const char *text)
{
    while (*text) {
        size_t bytes = strlen(text), room = WIDTH - HELP_COLUMN;

        if (bytes > room) {
            bytes = room;
            while (bytes > 0 && text[bytes] != ' ')
                bytes--;
            if (bytes == 0)
                bytes = strcspn(text, " ");
        }
        fprintf(to, "%*s%.*s\n", column < HELP_COLUMN ? HELP_COLUMN - column : 1, "", (int)bytes, text);
        text += bytes;
        text += strspn(text, " ");
        column = 0;
    }
}

static void print_row(FILE *to, const char *name, const char *form, const char *help)
{
    print_wrapped(to, fprintf(to, "  --%s%s%s", name, form ? " " : "", form ? form : ""), help);
}

static void print_rows(FILE *to, const struct args_row *rows)
{
    for (const struct args_row *row = rows; row && row->name; row++)
        print_row(to, row->name, row->form, row->help);
}

/* Their names alone: `ferry options` says the rest. */
static void print_settings(FILE *to, const struct args_command *command)
{
    struct ferry_option_info info;
    int column = 0;

    fprintf(to, "\nOptions of the migration (`ferry options` explains them):\n");
    for (unsigned i = 0; ferry_option_info(i, &info); i++) {
        int wanted = (int)strlen(info.name) + 4;

        if (!args_has_setting(command, info.name))
            continue;
        if (column + wanted > WIDTH)
            column = fprintf(to, "\n") - 1;
        column += fprintf(to, "  --%s", info.name);
    }
    fprintf(to, "\n");
}

void help_settings(FILE *to)
{
    struct ferry_option_info info;
    char help[256];

    fprintf(to, "Options of a migration, for send, recv and demo:\n");
    for (unsigned i = 0; ferry_option_info(i, &info); i++) {
        bool is_choice = strchr(info.form, '|') != NULL;

        snprintf(help, sizeof(help), "%s%s%s [%s]%s", info.help, is_choice ? ": " : "", is_choice ? info.form : "",
                 info.default_value, info.live ? "; may be changed while a migration runs" : "");
        print_row(to, info.name, is_choice ? "WHICH" : info.form, help);
    }
}

void help_command(FILE *to, const struct args_command *command)
{
    fprintf(to, "ferry %s - %s\n\nUsage: ferry %s", command->name, command->summary, command->name);
    if (command->positional)
        fprintf(to, command->may_omit ? " [%s]" : " %s", command->positional);
    if (command->more)
        fprintf(to, " [%s...]", command->more);
    fprintf(to, " [OPTION...]\n");
    if (command->about)
        fprintf(to, "\n%s", command->about);
    if (command->rows->name || command->common)
        fprintf(to, "\nOptions:\n");
    print_rows(to, command->rows);
    print_rows(to, command->common);
    if (command->session)
        print_settings(to, command);
    fprintf(to, "\nExamples:\n%s", command->examples);
}

void help_program(FILE *to, const struct command *commands)
{
    fprintf(to, "ferry - move running virtual machines\n\nUsage: ferry COMMAND [OPTION...]\n\nCommands:\n");
    for (const struct command *c = commands; c->name; c++)
        fprintf(to, "  %-10s %s\n", c->name, c->what);
    fprintf(to, "\n"
                "  ferry COMMAND --help   its options, with examples\n"
                "  ferry --version\n"
                "\n"
                "Start with `ferry demo`: it moves a busy guest between two processes of this\n"
                "host.\n"
                "\n"
                "Exit status:\n");
    for (const struct help_status *row = help_statuses; row->text; row++)
        fprintf(to, "  %d  %s\n", row->status, row->text);
}

int help_usage(const struct args_command *command, const struct ferry_error *err)
{
    fprintf(stderr, "ferry %s: %s\n", command->name, ferry_error_text(err));
    if (err->hint[0])
        fprintf(stderr, "hint: %s\n", err->hint);
    fprintf(stderr, "try 'ferry %s --help'\n", command->name);
    return EXIT_USAGE;
}
