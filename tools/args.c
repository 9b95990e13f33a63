/* SPDX-License-Identifier: BSD-3-Clause */
/* args.c - the command line of one command, by a table of its options */
#include "args.h"

#include "clock.h"
#include "units.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char more[] = ""; /* the name of what is no option */

struct given {
    const char *name; /* the table's, or `more` */
    const char *value;
    bool setting; /* of the migration */
};

struct args {
    const struct args_command *command;
    struct ferry_options *options;
    const char *positional;
    bool help;
    unsigned count;
    struct given given[]; /* room for every word of the command line */
};

/* What the tables say of a name. */
struct known {
    const char *name, *form;
    bool setting;
};

static bool same(const char *name, const char *text, size_t bytes)
{
    return strlen(name) == bytes && !memcmp(name, text, bytes);
}

static bool look_up_row(const struct args_row *rows, const char *text, size_t bytes, struct known *known)
{
    for (const struct args_row *row = rows; row && row->name; row++) {
        if (same(row->name, text, bytes)) {
            *known = (struct known){ row->name, row->form, false };
            return true;
        }
    }
    return false;
}

bool args_has_setting(const struct args_command *command, const char *name)
{
    return command->session && (!command->settings || !strncmp(name, command->settings, strlen(command->settings)));
}

static bool look_up(const struct args_command *command, const char *text, size_t bytes, struct known *known)
{
    struct ferry_option_info info;

    if (look_up_row(command->rows, text, bytes, known) || look_up_row(command->common, text, bytes, known))
        return true;
    for (unsigned i = 0; command->session && ferry_option_info(i, &info); i++) {
        if (args_has_setting(command, info.name) && same(info.name, text, bytes)) {
            *known = (struct known){ info.name, info.form, true };
            return true;
        }
    }
    return false;
}

/* --postcopy, with nothing behind it, is --postcopy on. */
static bool may_stand_alone(const char *form)
{
    return !strncmp(form, "off|on|", 7);
}

/* One --NAME, perhaps with the word behind it.  Returns how many words it was. */
static int take_option(struct args *args, int left, char **argv, struct ferry_error *err)
{
    const char *text = argv[0] + 2;
    size_t bytes = strcspn(text, "=");
    const char *value = text[bytes] ? text + bytes + 1 : NULL;
    struct known known;
    int used = 1, ret = 0;

    if (!look_up(args->command, text, bytes, &known))
        return ferry_error_set(err, -EINVAL, "unknown option '--%.*s'", (int)bytes, text);
    if (!known.form && value)
        return ferry_error_set(err, -EINVAL, "--%s takes no value", known.name);
    if (known.form && !value && may_stand_alone(known.form) && (left < 2 || !strncmp(argv[1], "--", 2))) {
        value = "on";
    } else if (known.form && !value) {
        if (left < 2)
            return ferry_error_set(err, -EINVAL, "--%s needs a value: --%s %s", known.name, known.name, known.form);
        value = argv[1];
        used = 2;
    }
    if (known.setting)
        ret = ferry_options_set(args->options, known.name, value, err);
    if (ret < 0)
        return ret;
    args->given[args->count++] = (struct given){ known.name, value ? value : "", known.setting };
    return used;
}

static int take_positional(struct args *args, const char *word, struct ferry_error *err)
{
    const char *takes = args->command->positional;

    if (word[0] == '-' && word[1] != '\0')
        return ferry_error_set(err, -EINVAL, "unknown option '%s'", word);
    if (!takes)
        return ferry_error_set(err, -EINVAL, "'%s' is one word too many: only options are taken", word);
    if (args->positional && !args->command->more)
        return ferry_error_set(err, -EINVAL, "'%s' is one word too many: the %s is '%s'", word, takes,
                               args->positional);
    if (args->positional)
        args->given[args->count++] = (struct given){ more, word, false };
    else
        args->positional = word;
    return 1;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return true;
    return false;
}

static int take_all(struct args *args, int argc, char **argv, struct ferry_error *err)
{
    bool only_words = false;
    int used;

    for (int i = 1; i < argc; i += used) {
        if (!only_words && !strcmp(argv[i], "--")) {
            only_words = true;
            used = 1;
        } else if (!only_words && !strncmp(argv[i], "--", 2)) {
            used = take_option(args, argc - i, argv + i, err);
        } else {
            used = take_positional(args, argv[i], err);
        }
        if (used < 0)
            return used;
    }
    if (args->command->positional && !args->positional && !args->command->may_omit)
        return ferry_error_set(err, -EINVAL, "the %s is missing", args->command->positional);
    return 0;
}

struct args *args_parse(const struct args_command *command, int argc, char **argv, struct ferry_error *err)
{
    struct args *args = calloc(1, sizeof(*args) + (size_t)argc * sizeof(args->given[0]));

    if (!args)
        goto fail;
    args->command = command;
    args->options = ferry_options_new();
    if (!args->options)
        goto fail;
    args->help = asks_for_help(argc, argv);
    if (!args->help && take_all(args, argc, argv, err) < 0) {
        args_free(args);
        return NULL;
    }
    return args;
fail:
    ferry_error_set(err, -ENOMEM, "no memory for the command line");
    args_free(args);
    return NULL;
}

void args_free(struct args *args)
{
    if (!args)
        return;
    ferry_options_free(args->options);
    free(args);
}

const struct args_command *args_command(const struct args *args)
{
    return args->command;
}

bool args_help(const struct args *args)
{
    return args->help;
}

const char *args_positional(const struct args *args)
{
    return args->positional;
}

const char *args_more(const struct args *args, unsigned index)
{
    for (unsigned i = 0; i < args->count; i++)
        if (args->given[i].name == more && index-- == 0)
            return args->given[i].value;
    return NULL;
}

const char *args_value(const struct args *args, const char *name)
{
    for (unsigned i = args->count; i-- > 0;)
        if (!strcmp(args->given[i].name, name))
            return args->given[i].value;
    return NULL;
}

const char *args_needed(const struct args *args, const char *name, struct ferry_error *err)
{
    const char *value = args_value(args, name);
    struct known known;

    if (!value && look_up(args->command, name, strlen(name), &known))
        ferry_error_set(err, -EINVAL, "--%s %s is missing", name, known.form ? known.form : "");
    return value;
}

const char *args_each(const struct args *args, const char *name, unsigned index)
{
    for (unsigned i = 0; i < args->count; i++)
        if (!strcmp(args->given[i].name, name) && index-- == 0)
            return args->given[i].value;
    return NULL;
}

int args_uint(const struct args *args, const char *name, uint64_t max, uint64_t fallback, uint64_t *value,
              struct ferry_error *err)
{
    const char *text = args_value(args, name);
    int ret = 0;

    *value = fallback;
    if (text)
        ret = units_parse_uint(text, 0, max, value, err);
    if (ret < 0)
        ferry_error_prefix(err, "--%s", name);
    return ret;
}

int args_time(const struct args *args, const char *name, uint64_t fallback, uint64_t *ns, struct ferry_error *err)
{
    const char *text = args_value(args, name);
    int ret = 0;

    *ns = fallback;
    if (text)
        ret = units_parse_time(text, ns, err);
    if (ret < 0)
        ferry_error_prefix(err, "--%s", name);
    return ret;
}

bool args_encrypts(const struct args *args)
{
    char creds[4096];

    return ferry_options_get(args->options, "tls-creds", creds, sizeof(creds), NULL) == 0 && creds[0];
}

const struct ferry_options *args_options(const struct args *args)
{
    return args->options;
}

struct ferry_options *args_options_to_change(struct args *args)
{
    return args->options;
}

int args_ms(uint64_t ns)
{
    uint64_t ms = ns / NS_PER_MS + (ns % NS_PER_MS != 0);

    return ms > INT_MAX ? INT_MAX : (int)ms;
}

int args_option_ms(const struct args *args, const char *name)
{
    char text[64];
    uint64_t ns;

    if (ferry_options_get(args->options, name, text, sizeof(text), NULL) < 0 || units_parse_time(text, &ns, NULL) < 0)
        return 0;
    return args_ms(ns);
}

bool args_setting(const struct args *args, unsigned index, const char **name, const char **value)
{
    for (unsigned i = 0; i < args->count; i++) {
        if (!args->given[i].setting || index-- > 0)
            continue;
        *name = args->given[i].name;
        *value = args->given[i].value;
        return true;
    }
    return false;
}
