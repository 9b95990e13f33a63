/* SPDX-License-Identifier: BSD-3-Clause */
/* args_test.c - a command line is taken apart by its table, and what does not fit it is refused in a sentence */
#include "args.h"
#include "exit.h"
#include "help.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 16

static const struct args_row rows[] = {
    { "guest", "SPEC", "what to move" },
    { "quiet", NULL, "no words" },
    { "wait", "TIME", "how long" },
    { NULL },
};

static const struct args_row common[] = { { "json", "FILE", "the report" }, { NULL } };

static const struct args_command move = {
    .name = "move",
    .positional = "URI",
    .summary = "move it",
    .examples = "  ferry move x\n",
    .rows = rows,
    .common = common,
    .session = true,
};

static const struct args_command bare = { .name = "bare", .summary = "nothing", .examples = "", .rows = rows };

/* @words: "a b c", cut at blanks. */
static struct args *parse(const struct args_command *command, const char *words, struct ferry_error *err)
{
    static char copy[512];
    char *argv[WORDS_MAX] = { (char *)command->name };
    char *save;
    int argc = 1;

    assert_true(strlen(words) < sizeof(copy));
    strcpy(copy, words);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    return args_parse(command, argc, argv, err);
}

static void refused(const struct args_command *command, const char *words, const char *sentence)
{
    struct ferry_error err = { 0 };

    assert_null(parse(command, words, &err));
    assert_int_equal(err.errnum, -EINVAL);
    assert_non_null(strstr(err.text, sentence));
}

static void both_forms_of_a_value(void **state)
{
    struct args *args = parse(&move, "tcp:h:1 --guest pattern:size=1GiB --json=-", NULL);

    assert_non_null(args);
    assert_string_equal(args_positional(args), "tcp:h:1");
    assert_string_equal(args_value(args, "guest"), "pattern:size=1GiB");
    assert_string_equal(args_value(args, "json"), "-");
    assert_null(args_value(args, "quiet"));
    assert_false(args_help(args));
    args_free(args);
}

static void options_before_and_behind_the_word(void **state)
{
    struct args *args = parse(&move, "--quiet --json - tcp:h:1 --guest a --guest b", NULL);

    assert_non_null(args);
    assert_string_equal(args_positional(args), "tcp:h:1");
    assert_string_equal(args_value(args, "quiet"), "");
    assert_string_equal(args_value(args, "json"), "-");
    assert_string_equal(args_value(args, "guest"), "b");
    args_free(args);
}

static void two_dashes_end_the_options(void **state)
{
    struct args *args = parse(&move, "--quiet -- fd:3", NULL);

    assert_non_null(args);
    assert_string_equal(args_positional(args), "fd:3");
    args_free(args);
}

static void further_words_where_they_are_taken(void **state)
{
    static const struct args_command look = {
        .name = "look", .positional = "MAIN", .more = "CONN", .summary = "look at it", .examples = "", .rows = rows
    };
    struct args *args = parse(&look, "a --quiet b --guest g c", NULL);

    assert_non_null(args);
    assert_string_equal(args_positional(args), "a");
    assert_string_equal(args_more(args, 0), "b");
    assert_string_equal(args_more(args, 1), "c");
    assert_null(args_more(args, 2));
    assert_string_equal(args_value(args, "guest"), "g");
    assert_non_null(args_value(args, "quiet"));
    args_free(args);
}

static void settings_of_the_migration(void **state)
{
    struct args *args = parse(&move, "u --max-bandwidth 600MiB/s --quiet --downtime-limit=50ms", NULL);
    const char *name, *value;
    char text[64];

    assert_non_null(args);
    assert_int_equal(ferry_options_get(args_options(args), "max-bandwidth", text, sizeof(text), NULL), 0);
    assert_string_equal(text, "629145600");
    assert_int_equal(args_option_ms(args, "downtime-limit"), 50);
    assert_false(args_encrypts(args));
    assert_true(args_setting(args, 0, &name, &value));
    assert_string_equal(name, "max-bandwidth");
    assert_string_equal(value, "600MiB/s");
    assert_true(args_setting(args, 1, &name, &value));
    assert_string_equal(name, "downtime-limit");
    assert_false(args_setting(args, 2, &name, &value));
    args_free(args);
}

static void every_setting_is_an_option(void **state)
{
    struct ferry_option_info info;
    struct args *args;
    char words[256];
    unsigned count = 0;

    while (ferry_option_info(count, &info)) {
        snprintf(words, sizeof(words), "u --%s=%s", info.name, info.default_value);
        args = parse(&move, words, NULL);
        assert_non_null(args);
        assert_string_equal(args_value(args, info.name), info.default_value);
        args_free(args);
        count++;
    }
    assert_true(count >= 4);
}

static void numbers_and_times(void **state)
{
    struct args *args = parse(&move, "u --wait 1.5s --json 12", NULL);
    struct ferry_error err = { 0 };
    uint64_t value;

    assert_non_null(args);
    assert_int_equal(args_time(args, "wait", 7, &value, &err), 0);
    assert_int_equal(value, UINT64_C(1500000000));
    assert_int_equal(args_time(args, "guest", 7, &value, &err), 0);
    assert_int_equal(value, 7);
    assert_int_equal(args_uint(args, "json", 20, 0, &value, &err), 0);
    assert_int_equal(value, 12);
    assert_true(args_uint(args, "json", 11, 0, &value, &err) < 0);
    assert_non_null(strstr(err.text, "--json"));
    assert_int_equal(args_ms(1), 1);
    assert_int_equal(args_ms(UINT64_MAX), INT_MAX);
    args_free(args);
}

static void what_is_refused(void **state)
{
    refused(&move, "", "the URI is missing");
    refused(&move, "u --frobnicate", "unknown option '--frobnicate'");
    refused(&move, "u --frobnicate=7", "unknown option '--frobnicate'");
    refused(&move, "u -x", "unknown option '-x'");
    refused(&move, "u v", "one word too many");
    refused(&move, "u --guest", "--guest needs a value: --guest SPEC");
    refused(&move, "u --quiet=yes", "--quiet takes no value");
    refused(&move, "u --gues x", "unknown option '--gues'");
    refused(&move, "u --max-bandwidth 1.5", "needs a unit");
    refused(&move, "u --max-bandwidth 0", "unlimited");
    refused(&move, "u --tracker magic", "magic");
    refused(&bare, "u", "only options are taken");
    refused(&bare, "--max-bandwidth 1MiB/s", "unknown option");
}

static void a_needed_option(void **state)
{
    struct args *args = parse(&move, "u", NULL);
    struct ferry_error err = { 0 };

    assert_non_null(args);
    assert_null(args_needed(args, "guest", &err));
    assert_string_equal(err.text, "--guest SPEC is missing");
    assert_int_equal(err.errnum, -EINVAL);
    args_free(args);
}

static void help_is_heard_whatever_else_is_wrong(void **state)
{
    struct args *args = parse(&move, "--frobnicate --help", NULL);

    assert_non_null(args);
    assert_true(args_help(args));
    args_free(args);
    args = parse(&move, "-h", NULL);
    assert_true(args_help(args));
    args_free(args);
}

static bool has_word(const char *text, const char *word)
{
    while ((text = strstr(text, word))) {
        text += strlen(word);
        if (*text == ' ' || *text == '\n')
            return true;
    }
    return false;
}

static void help_names_everything_and_fits(void **state)
{
    struct ferry_option_info info;
    char *text = NULL, *save, name[64];
    size_t bytes;
    FILE *to = open_memstream(&text, &bytes);

    assert_non_null(to);
    help_command(to, &move);
    fclose(to);
    assert_non_null(strstr(text, "Usage: ferry move URI"));
    assert_non_null(strstr(text, "--guest SPEC"));
    assert_non_null(strstr(text, "--json FILE"));
    assert_non_null(strstr(text, "ferry move x"));
    for (unsigned i = 0; ferry_option_info(i, &info); i++) {
        snprintf(name, sizeof(name), "--%s", info.name);
        assert_true(has_word(text, name));
    }
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        assert_true(strlen(line) <= 80);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_of_a_value),
        cmocka_unit_test(options_before_and_behind_the_word),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(further_words_where_they_are_taken),
        cmocka_unit_test(settings_of_the_migration),
        cmocka_unit_test(every_setting_is_an_option),
        cmocka_unit_test(numbers_and_times),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(a_needed_option),
        cmocka_unit_test(help_is_heard_whatever_else_is_wrong),
        cmocka_unit_test(help_names_everything_and_fits),
    };

    return cmocka_run_group_tests_name("args", tests, NULL, NULL);
}
