/* SPDX-License-Identifier: BSD-3-Clause */
/* explain.c - `ferry explain`: what a code of an error means, and what to do about it
 *
 * docs/errors.md is what --markdown prints.
 */
#include "args.h"
#include "commands.h"
#include "exit.h"
#include "help.h"

#include <ctype.h>
#include <errno.h>
#include <ferry/codes.h>
#include <stdio.h>
#include <string.h>

#define TERMINAL_COLUMNS 78
#define PAGE_COLUMNS     118
#define NAME_COLUMNS     21

static const struct args_row rows[] = {
    { "markdown", NULL, "all of them, as docs/errors.md" },
    { NULL },
};

const struct args_command explain_form = {
    .name = "explain",
    .positional = "CODE",
    .may_omit = true,
    .summary = "what an error means, and what to do about it",
    .about = "  CODE  its name or its number; without it: a list of all\n",
    .examples = "  ferry explain cannot-converge\n"
                "  ferry explain 101\n"
                "  ferry explain\n",
    .rows = rows,
};

/* @text in lines of at most @width columns, broken between words, each after @indent spaces. */
static void print_wrapped(const char *text, int width, int indent)
{
    int column = 0;

    while (*text) {
        int bytes = (int)strcspn(text, " ");

        if (column > 0 && column + 1 + bytes > width) {
            putchar('\n');
            column = 0;
        }
        if (column == 0)
            column = printf("%*s", indent, "");
        else
            column += printf(" ");
        column += printf("%.*s", bytes, text);
        text += bytes;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static bool begins_group(unsigned index)
{
    return index == 0 || ferry_code_at(index)->code / 100 != ferry_code_at(index - 1)->code / 100;
}

static void print_list(void)
{
    const struct ferry_code_info *info;

    for (unsigned i = 0; (info = ferry_code_at(i)); i++) {
        if (begins_group(i))
            printf("%s%s\n", i ? "\n" : "", ferry_code_group(info->code));
        printf("  %d  %-*s  %s\n", (int)info->code, NAME_COLUMNS, info->name, info->summary);
    }
}

static void print_one(const struct ferry_code_info *info)
{
    char advice[256];

    printf("%s (%d)\n\n", info->name, (int)info->code);
    snprintf(advice, sizeof(advice), "%s.", info->summary);
    advice[0] = (char)toupper((unsigned char)advice[0]);
    print_wrapped(advice, TERMINAL_COLUMNS, 2);
    putchar('\n');
    print_wrapped(info->explanation, TERMINAL_COLUMNS, 2);
    putchar('\n');
    snprintf(advice, sizeof(advice), "What to do: %s.", info->hint);
    print_wrapped(advice, TERMINAL_COLUMNS, 2);
}

static void print_section(const struct ferry_code_info *info)
{
    char line[256];

    printf("\n### %d %s\n\n", (int)info->code, info->name);
    snprintf(line, sizeof(line), "**%c%s.**", toupper((unsigned char)info->summary[0]), info->summary + 1);
    print_wrapped(line, PAGE_COLUMNS, 0);
    print_wrapped(info->explanation, PAGE_COLUMNS, 0);
    snprintf(line, sizeof(line), "*What to do:* %s.", info->hint);
    putchar('\n');
    print_wrapped(line, PAGE_COLUMNS, 0);
}

static void print_markdown(void)
{
    const struct ferry_code_info *info;

    printf("# Errors\n\n");
    print_wrapped(
        "What can go wrong, by number and by name. `ferry explain NAME` says the same in a terminal; a report "
        "has the name in `error.code` and the number in `error.number`, and the library has both in "
        "`ferry/codes.h`. Numbers and names never change and are never used again.",
        PAGE_COLUMNS, 0);
    putchar('\n');
    print_wrapped("This page is made from the table in `base/codes.c`: `ferry explain --markdown > docs/errors.md`.",
                  PAGE_COLUMNS, 0);
    for (unsigned i = 0; (info = ferry_code_at(i)); i++) {
        const char *group = ferry_code_group(info->code);

        if (begins_group(i))
            printf("\n## %c%s\n", toupper((unsigned char)group[0]), group + 1);
        print_section(info);
    }
}

static int explain(const struct args *args, struct ferry_error *err)
{
    const char *text = args_positional(args);
    const struct ferry_code_info *info = text ? ferry_code_find(text) : NULL;

    if (text && !info)
        return ferry_error_set(err, -EINVAL, "there is no error '%s'; 'ferry explain' lists them all", text);
    if (text && args_value(args, "markdown"))
        return ferry_error_set(err, -EINVAL, "--markdown prints all of them, not '%s' alone", text);
    if (info)
        print_one(info);
    else if (args_value(args, "markdown"))
        print_markdown();
    else
        print_list();
    return 0;
}

int explain_main(int argc, char **argv)
{
    struct ferry_error err = { 0 };
    struct args *args = args_parse(&explain_form, argc, argv, &err);
    int status = EXIT_DONE;

    if (!args)
        return help_usage(&explain_form, &err);
    if (args_help(args))
        help_command(stdout, &explain_form);
    else if (explain(args, &err) < 0)
        status = help_usage(&explain_form, &err);
    args_free(args);
    return fflush(stdout) == EOF ? EXIT_FAILED : status;
}
