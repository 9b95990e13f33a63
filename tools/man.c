/* SPDX-License-Identifier: BSD-3-Clause */
/* man.c - pages of section 1 of the manual, made from the tables that --help is made from
 *
 * What is text in a table is text in roff only once its backslashes, hyphens and leading dots are told to be.
 */
#include "man.h"

#include "exit.h"

#include <ctype.h>
#include <string.h>

static void put_text(FILE *to, const char *text)
{
    bool begins = true;

    for (; *text; text++) {
        if (begins && (*text == '.' || *text == '\''))
            fputs("\\&", to);
        if (*text == '\\')
            fputs("\\e", to);
        else if (*text == '-')
            fputs("\\-", to);
        else
            fputc(*text, to);
        begins = *text == '\n';
    }
}

/* Lines that stand as they are, without their indent. */
static void put_lines(FILE *to, const char *lines)
{
    fputs(".EX\n", to);
    put_text(to, lines);
    fputs(".EE\n", to);
}

static void put_head(FILE *to, const char *name, const char *what)
{
    fputs(".\\\" SPDX-License-Identifier: BSD-3-Clause\n.\\\" Made by `ferry help --man`; do not edit.\n.TH ", to);
    for (const char *c = name; *c; c++)
        fputc(*c == ' ' ? '-' : toupper((unsigned char)*c), to);
    fprintf(to, " 1 " FERRY_DATE " \"ferry %s\" \"Ferry\"\n.SH NAME\n", FERRY_VERSION);
    put_text(to, name);
    fputs(" \\- ", to);
    put_text(to, what);
    fputc('\n', to);
}

/* .TP, the option, and what it does. */
static void put_option(FILE *to, const char *name, const char *form, const char *help)
{
    fputs(".TP\n\\fB\\-\\-", to);
    put_text(to, name);
    fputs("\\fR", to);
    if (form) {
        fputs(" \\fI", to);
        put_text(to, form);
        fputs("\\fR", to);
    }
    fputc('\n', to);
    put_text(to, help);
    fputc('\n', to);
}

static void put_rows(FILE *to, const struct args_row *rows)
{
    for (const struct args_row *row = rows; row && row->name; row++)
        put_option(to, row->name, row->form, row->help);
}

static void put_settings(FILE *to, const struct args_command *command)
{
    struct ferry_option_info info;
    char help[512];

    for (unsigned i = 0; ferry_option_info(i, &info); i++) {
        if (command && !args_has_setting(command, info.name))
            continue;
        snprintf(help, sizeof(help), "%s [%s]%s", info.help, info.default_value[0] ? info.default_value : "none",
                 info.live ? "; may be changed while a migration runs" : "");
        put_option(to, info.name, info.form, help);
    }
}

static void put_synopsis(FILE *to, const struct args_command *form)
{
    fputs(".B ferry ", to);
    put_text(to, form->name);
    fputc('\n', to);
    if (form->positional)
        fprintf(to, form->may_omit ? "[\\fI%s\\fR]\n" : "\\fI%s\\fR\n", form->positional);
    if (form->more)
        fprintf(to, "[\\fI%s\\fR...]\n", form->more);
    fputs("[\\fIOPTION\\fR...]\n", to);
}

static void put_statuses(FILE *to, bool is_migration)
{
    fputs(".SH EXIT STATUS\n", to);
    if (!is_migration) {
        fputs("0 done; 1 not, or not well; 2 wrong usage; others as in\n.BR ferry (1).\n", to);
        return;
    }
    for (const struct help_status *row = help_statuses; row->text; row++) {
        fprintf(to, ".TP\n.B %d\n", row->status);
        put_text(to, row->text);
        fputc('\n', to);
    }
}

/* Every page of this section but @but, and the library's. */
static void put_see_also(FILE *to, const struct command *commands, const struct command *but)
{
    fputs(".SH SEE ALSO\n", to);
    if (but)
        fputs(".BR ferry (1),\n", to);
    for (const struct command *c = commands; c->name; c++)
        if (c != but)
            fprintf(to, ".BR ferry\\-%s (1),\n", c->name);
    fputs(".BR ferry_session (3)\n", to);
}

/* A part of a page that has several forms stands under the form's name. */
static void put_form(FILE *to, const struct args_command *form, bool is_one_of_many)
{
    const char *heading = is_one_of_many ? ".SS" : ".SH";

    if (is_one_of_many) {
        fputs(".SH \"ferry ", to);
        put_text(to, form->name);
        fputs("\"\n", to);
    } else {
        fputs(".SH DESCRIPTION\n", to);
    }
    put_text(to, form->summary);
    fputs(".\n", to);
    if (form->about) {
        fputs(".PP\n", to);
        put_lines(to, form->about);
    }
    if (form->rows->name || form->common)
        fprintf(to, "%s %s\n", heading, is_one_of_many ? "Options" : "OPTIONS");
    put_rows(to, form->rows);
    put_rows(to, form->common);
    if (form->session) {
        fputs(".SH OPTIONS OF THE MIGRATION\nThe default stands in brackets.\n", to);
        put_settings(to, form);
    }
    fprintf(to, "%s %s\n", heading, is_one_of_many ? "Examples" : "EXAMPLES");
    put_lines(to, form->examples);
}

void man_command(FILE *to, const struct command *command, const struct command *commands)
{
    bool is_many = command->forms[0] && command->forms[1];
    char name[64];

    snprintf(name, sizeof(name), "ferry-%s", command->name);
    put_head(to, name, command->what);
    fputs(".SH SYNOPSIS\n", to);
    for (unsigned i = 0; i < COMMAND_FORMS && command->forms[i]; i++) {
        if (i > 0)
            fputs(".br\n", to);
        put_synopsis(to, command->forms[i]);
    }
    for (unsigned i = 0; i < COMMAND_FORMS && command->forms[i]; i++)
        put_form(to, command->forms[i], is_many);
    if (!strcmp(command->name, "options")) {
        fputs(".SH OPTIONS OF A MIGRATION\n"
              "For every command that moves or receives a guest, and for\n"
              ".BR ferry_options_set (3).\n"
              "The default stands in brackets.\n",
              to);
        put_settings(to, NULL);
    }
    put_statuses(to, command->forms[0] && command->forms[0]->session && !command->forms[0]->settings);
    put_see_also(to, commands, command);
}

void man_program(FILE *to, const struct command *commands)
{
    put_head(to, "ferry", "move running virtual machines");
    fputs(".SH SYNOPSIS\n.B ferry\n\\fICOMMAND\\fR\n[\\fIOPTION\\fR...]\n.br\n.B ferry \\-\\-version\n"
          ".SH DESCRIPTION\n"
          "Ferry moves a running guest from one process or host to another: its memory while it runs, then its\n"
          "devices' state, then the right to run.\n"
          "It brings guests of its own, so that a migration between two hosts can be tried and measured before there\n"
          "is anything to lose, and it reads what a QEMU sends.\n"
          ".PP\nStart with\n.BR \"ferry demo\" :\n"
          "it moves a busy guest between two processes of this host.\n"
          ".SH COMMANDS\n",
          to);
    for (const struct command *c = commands; c->name; c++) {
        fprintf(to, ".TP\n.BR ferry\\-%s (1)\n", c->name);
        put_text(to, c->what);
        fputc('\n', to);
    }
    put_statuses(to, true);
    put_see_also(to, commands, NULL);
}
