/* SPDX-License-Identifier: BSD-3-Clause */
/* args.h - the command line of one command, by a table of its options
 *
 *     ferry send tcp:192.0.2.7:4444 --guest pattern:size=1GiB --json=-
 *                URI                --NAME VALUE              --NAME=VALUE
 *
 * The settings of a migration (ferry/options.h) are options of every command that asks for them.
 */
#ifndef TOOLS_ARGS_H
#define TOOLS_ARGS_H

#include <ferry/error.h>
#include <ferry/options.h>
#include <stdbool.h>
#include <stdint.h>

struct args_row {
    const char *name; /* without its dashes; NULL ends a table */
    const char *form; /* "SIZE"; NULL: a switch, without a value */
    const char *help;
};

struct args_command {
    const char *name;       /* "send" */
    const char *positional; /* "URI"; NULL: none is taken */
    const char *more;       /* what further words are: "CONN"; NULL: none are taken */
    const char *summary;    /* one sentence */
    const char *about;      /* what else one must know, in whole lines; NULL: nothing */
    const char *examples;   /* whole lines */
    const struct args_row *rows;
    const struct args_row *common; /* more rows, which several commands have; NULL: none */
    bool may_omit;                 /* the positional */
    bool session;                  /* the settings of a migration are options, too */
    const char *settings;          /* only those whose names begin so; NULL: all */
};

struct args;

/**
 * args_parse() - take a command line apart
 * @command: borrowed
 * @argv: argv[0] is the command's name; borrowed: the values point into it
 *
 * Returns NULL with @err set (-EINVAL for what a person wrote, -ENOMEM).  With --help nothing else is checked.
 */
struct args *args_parse(const struct args_command *command, int argc, char **argv, struct ferry_error *err);

/* NULL is legal. */
void args_free(struct args *args);

const struct args_command *args_command(const struct args *args);

bool args_help(const struct args *args);

const char *args_positional(const struct args *args);

/* The i-th word behind the positional; NULL behind the last. */
const char *args_more(const struct args *args, unsigned index);

/* What was given for @name, the last time; NULL when it was not.  A switch that was given is "". */
const char *args_value(const struct args *args, const char *name);

/* The same, refusing its absence. */
const char *args_needed(const struct args *args, const char *name, struct ferry_error *err);

/* What was given for @name the @index-th time, from 0 on; NULL behind the last. */
const char *args_each(const struct args *args, const char *name, unsigned index);

/* A whole number, or @fallback when it was not given. */
int args_uint(const struct args *args, const char *name, uint64_t max, uint64_t fallback, uint64_t *value,
              struct ferry_error *err);

/* A time in ns, or @fallback when it was not given. */
int args_time(const struct args *args, const char *name, uint64_t fallback, uint64_t *ns, struct ferry_error *err);

/* The settings of the migration; @args's own. */
/* Do the options ask for TLS? */
bool args_encrypts(const struct args *args);

const struct ferry_options *args_options(const struct args *args);

/* The same, to be changed before they are used. */
struct ferry_options *args_options_to_change(struct args *args);

/* Rounded up; what is too long for an int is INT_MAX. */
int args_ms(uint64_t ns);

/* A setting that is a time, likewise. */
int args_option_ms(const struct args *args, const char *name);

/* Is this setting of a migration an option of the command? */
bool args_has_setting(const struct args_command *command, const char *name);

/* The i-th setting of the migration that was given, to pass it on; false behind the last. */
bool args_setting(const struct args *args, unsigned index, const char **name, const char **value);

#endif
