/* SPDX-License-Identifier: BSD-3-Clause */
/* plan.c - `ferry plan`: what a migration would be like, and whether to begin it */
#include "commands.h"
#include "exit.h"
#include "help.h"
#include "plan_live.h"
#include "plan_report.h"
#include "plan_words.h"
#include "report.h"
#include "units.h"

#include <errno.h>
#include <string.h>

static const struct args_row rows[] = {
    { "guest", "SPEC", "the guest that would be moved; it runs here, and stays" },
    { "simulate", "WORDS", "no connection and no guest: a link and a guest in words" },
    { "for", "TIME", "how long to look at what the guest writes [1s]" },
    { "mode", "WHICH", "how to look: dirty-bitmap (a tracker), page-sampling [dirty-bitmap]" },
    { "json", "FILE", "write the plan as JSON; - for stdout" },
    { NULL },
};

const struct args_command plan_form = {
    .name = "plan",
    .positional = "URI",
    .more = "WORDS",
    .summary = "predict a migration: rounds, total time, blackout, bytes; go, or what would change a no",
    .about = "  URI    where a `ferry recv` listens, which goes on listening\n"
             "  WORDS  link=RATE rtt=TIME guest=SIZE dirty=RATE pattern=uniform|sequential hot=PERCENT\n"
             "         hot-share=PERCENT zero=PERCENT devices=SIZE channels=N per-channel=RATE\n"
             "         ratio=PERCENT cpu-per-mib=TIME, separated by commas or spaces\n"
             "Ends with status 0 for a go, 1 for a no.\n",
    .examples = "  ferry plan tcp:192.0.2.7:4444 --guest pattern:size=4GiB,dirty=200MiB/s\n"
                "  ferry plan --simulate link=100Gbit/s,rtt=200us guest=12TiB,dirty=5GiB/s channels=16\n",
    .rows = rows,
    .may_omit = true,
    .session = true,
};

static int from_words(const struct args *args, struct sim_terms *terms, struct ferry_error *err)
{
    struct plan_words words;
    int ret;

    plan_words_init(&words);
    ret = plan_words_parse(&words, args_value(args, "simulate"), err);
    if (ret == 0 && args_positional(args))
        ret = plan_words_parse(&words, args_positional(args), err);
    for (unsigned i = 0; ret == 0 && args_more(args, i); i++)
        ret = plan_words_parse(&words, args_more(args, i), err);
    return ret == 0 ? plan_words_terms(&words, terms, err) : ret;
}

static int write_json(const char *path, json_t *object, struct ferry_error *err)
{
    FILE *to = !strcmp(path, "-") ? stdout : fopen(path, "we");
    int ret;

    if (!to)
        return ferry_error_set(err, -errno, "%s: %s", path, strerror(errno));
    ret = report_write(to, object, true, err);
    if (to != stdout && fclose(to) == EOF && ret == 0)
        ret = ferry_error_set(err, -errno, "%s: %s", path, strerror(errno));
    return ret;
}

static enum exit_status tell(const struct args *args, struct plan_report *report)
{
    const char *path = args_value(args, "json");
    struct ferry_error err = { 0 };
    json_t *object;
    int ret = 0;

    plan_report_make(report);
    if (!path || strcmp(path, "-") != 0)
        plan_report_print(stdout, report);
    if (path) {
        object = plan_report_json(report);
        ret = write_json(path, object, &err);
        json_decref(object);
    }
    if (ret < 0)
        fprintf(stderr, "ferry plan: %s\n", err.text);
    return ret == 0 && plan_report_go(report) ? EXIT_DONE : EXIT_FAILED;
}

static enum exit_status run(const struct args *args)
{
    struct plan_report report = { 0 };
    struct ferry_error err = { 0 };
    enum exit_status status;
    int ret;

    if (args_value(args, "simulate")) {
        ret = from_words(args, &report.terms, &err);
        if (ret < 0)
            return (enum exit_status)help_usage(&plan_form, &err);
    } else if (!args_positional(args) || !args_value(args, "guest")) {
        ferry_error_set(&err, -EINVAL, "a plan needs a URI and --guest, or --simulate");
        return (enum exit_status)help_usage(&plan_form, &err);
    } else {
        ret = plan_live(args, &report, &err);
        if (ret < 0) {
            fprintf(stderr, "ferry plan: %s\n", err.text);
            if (err.hint[0])
                fprintf(stderr, "hint: %s\n", err.hint);
            return ret == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
        }
    }
    plan_add_settings(args_options(args), &report.terms);
    status = tell(args, &report);
    json_decref(report.measured);
    return status;
}

int plan_main(int argc, char **argv)
{
    struct ferry_error err = { 0 };
    struct args *args = args_parse(&plan_form, argc, argv, &err);
    enum exit_status status = EXIT_DONE;

    if (!args)
        return help_usage(&plan_form, &err);
    if (args_help(args))
        help_command(stdout, &plan_form);
    else
        status = run(args);
    args_free(args);
    return status;
}
