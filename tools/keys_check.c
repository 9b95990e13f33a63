/* SPDX-License-Identifier: BSD-3-Clause */
/* keys_check.c - `ferry keys check`: what is wrong with keys and certificates, before a migration finds out */
#include "keys_check.h"

#include "check_keys.h"
#include "exit.h"
#include "help.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct args_row rows[] = {
    { "host", "NAME", "the server's certificate must have this name or address; may be given several times" },
    { "json", "FILE", "write the findings as JSON; - for stdout" },
    { NULL },
};

const struct args_command keys_check_form = {
    .name = "keys check",
    .positional = "PATH",
    .summary = "what is wrong with keys and certificates, before it matters",
    .about = "  PATH  a folder of certificates or keys, or a file of keys\n"
             "Everything that is wrong is said, file by file, with what to do about it.\n"
             "Exit status: 0 all is well; 1 it is not, or will soon not be.\n",
    .examples = "  ferry keys check /etc/pki/qemu --host host-b.example.com --host 192.0.2.7\n"
                "  ferry keys check keys.psk\n"
                "  ferry keys check /etc/pki/qemu --json - | jq .files[].problems\n",
    .rows = rows,
};

const char **keys_words(const struct args *args, const char *name, unsigned *count)
{
    const char **words, *word;

    *count = 0;
    while (args_each(args, name, *count))
        ++*count;
    words = calloc(*count + 1, sizeof(*words));
    for (unsigned i = 0; words && (word = args_each(args, name, i)); i++)
        words[i] = word;
    return words;
}

/* --- for people --------------------------------------------------------------------------------------------------- */

static void print_file(FILE *to, const struct check_file *file)
{
    if (file->count == 0 && file->about[0])
        fprintf(to, "%s: good: %s\n", file->path, file->about);
    else if (file->count == 0 && strcmp(file->kind, "folder"))
        fprintf(to, "%s: good\n", file->path);
    for (unsigned i = 0; i < file->count; i++) {
        const struct check_problem *problem = &file->problems[i];

        fprintf(to, "%s: %s\n", file->path, problem->text);
        /* What is the same for several lines is said once, behind them. */
        if (i + 1 == file->count || file->problems[i + 1].defect != problem->defect)
            fprintf(to, "  hint: %s\n", check_defect_hint(problem->defect));
    }
    if (file->dropped)
        fprintf(to, "%s: and %u more\n", file->path, file->dropped);
}

static void print_report(FILE *to, const struct check_report *report)
{
    for (unsigned i = 0; i < report->count; i++)
        print_file(to, &report->files[i]);
    if (report->problems)
        fprintf(to, "%u %s\n", report->problems, report->problems == 1 ? "problem" : "problems");
    else if (report->source || report->destination)
        fprintf(to, "all is well, for %s\n",
                !report->destination ? "a source"
                : !report->source    ? "a destination"
                                     : "a source and a destination");
    else
        fprintf(to, "all is well, for an authority alone\n");
}

/* --- for programs ------------------------------------------------------------------------------------------------- */

static json_t *file_json(const struct check_file *file)
{
    json_t *problems = json_array();

    for (unsigned i = 0; i < file->count; i++)
        json_array_append_new(
            problems, json_pack("{s:s, s:s, s:s}", "defect", check_defect_name(file->problems[i].defect), "text",
                                file->problems[i].text, "hint", check_defect_hint(file->problems[i].defect)));
    return json_pack("{s:s, s:s, s:s, s:o, s:I}", "path", file->path, "kind", file->kind, "about", file->about,
                     "problems", problems, "more", (json_int_t)file->dropped);
}

static json_t *report_of(const struct check_report *report)
{
    json_t *files = json_array();

    for (unsigned i = 0; i < report->count; i++)
        json_array_append_new(files, file_json(&report->files[i]));
    return json_pack("{s:s, s:b, s:b, s:b, s:I, s:o}", "version", FERRY_VERSION, "good", report->problems == 0,
                     "source", report->source, "destination", report->destination, "problems",
                     (json_int_t)report->problems, "files", files);
}

static int write_json(const char *path, const struct check_report *report, struct ferry_error *err)
{
    FILE *to = !strcmp(path, "-") ? stdout : fopen(path, "we");
    json_t *object = report_of(report);
    int ret;

    if (!to)
        ret = ferry_error_set(err, -errno, "--json: %s: %s", path, strerror(errno));
    else
        ret = report_write(to, object, true, err);
    if (to && to != stdout && fclose(to) == EOF && ret == 0)
        ret = ferry_error_set(err, -errno, "--json: %s: %s", path, strerror(errno));
    json_decref(object);
    return ret;
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static enum exit_status check(const struct args *args)
{
    const char *json = args_value(args, "json");
    struct ferry_error err = { 0 };
    unsigned host_count;
    const char **hosts = keys_words(args, "host", &host_count);
    struct check_report *report = hosts ? check_keys(args_positional(args), hosts, host_count, &err) : NULL;
    enum exit_status status = EXIT_FAILED;

    if (!hosts)
        ferry_error_set(&err, -ENOMEM, "no memory for the command line");
    if (report) {
        print_report(json && !strcmp(json, "-") ? stderr : stdout, report);
        if (!json || write_json(json, report, &err) == 0)
            status = report->problems ? EXIT_FAILED : EXIT_DONE;
    }
    if (err.errnum)
        fprintf(stderr, "ferry keys check: %s\n", ferry_error_text(&err));
    free(report);
    free(hosts);
    return status;
}

int keys_check_main(int argc, char **argv)
{
    struct ferry_error err = { 0 };
    struct args *args = args_parse(&keys_check_form, argc, argv, &err);
    enum exit_status status = EXIT_DONE;

    if (!args)
        return help_usage(&keys_check_form, &err);
    if (args_help(args))
        help_command(stdout, &keys_check_form);
    else
        status = check(args);
    args_free(args);
    return status;
}
