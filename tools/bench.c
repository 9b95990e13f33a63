/* SPDX-License-Identifier: BSD-3-Clause */
/* bench.c - `ferry bench`: a matrix of settings, each measured again and again, beside what the link can carry
 *
 *      axes --> rows --> order: warm-up, then repetitions, each in an order of its own
 *                          '--> bench_run --> one line of JSON in the file --> table, page
 *
 * What is in the file is done.  A run that failed is in it; one that was interrupted is not, and --resume does it.
 */
#include "bench_agent.h"
#include "bench_bar.h"
#include "bench_matrix.h"
#include "bench_page.h"
#include "bench_record.h"
#include "bench_results.h"
#include "bench_run.h"
#include "bench_table.h"
#include "clock.h"
#include "commands.h"
#include "exit.h"
#include "exposed.h"
#include "help.h"
#include "units.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REPETITIONS_MAX 1000
#define LOST_MAX        3 /* runs in a row that could not even begin */
#define RUN_LIMIT_NS    (300 * NS_PER_SEC)
#define CEILING_NS      (300 * NS_PER_MS)
#define PLAN_NS         (500 * NS_PER_MS)
#define QUICK_PLAN_NS   (200 * NS_PER_MS)
#define PLAN_NS_MAX     (60 * NS_PER_SEC)
#define CEILING_NS_MAX  (5 * NS_PER_SEC)
#define QUICK_NS        (80 * NS_PER_SEC) /* then no run is begun any more */
#define QUICK_RUN_NS    (15 * NS_PER_SEC)

static const char *const usual[] = { "size=512MiB", "dirty=0,100MiB/s", "channels=0,2", "tls=off,on" };
static const char *const quick[] = { "size=128MiB", "dirty=0,50MiB/s", "channels=0,2", "tls=off,on" };

static const struct args_row rows[] = {
    { "local", NULL, "both ends on this host" },
    { "serve", "URI", "be the other end for a bench on another host" },
    { "matrix", "FILE", "more axes: an object of KEY: [VALUE, ...]" },
    { "repetitions", "N", "how often each row is run [3]" },
    { "warm-up", "N", "runs before that, which do not count [1]" },
    { "seed", "N", "of the order in which rows are run [1]" },
    { "ceiling", "TIME", "how long the bare link is measured beside each run; 0: not [300ms]" },
    { "plan", "TIME", "how long each guest is looked at before it goes, to predict how it will; 0: not [500ms]" },
    { "run-limit", "TIME", "how long one migration may take [300s]" },
    { "time-limit", "TIME", "begin no run after this [never]" },
    { "quick", NULL, "a small matrix, within two minutes" },
    { "json", "FILE", "where each run is written, in a line [ferry-bench-TIME.jsonl]" },
    { "html", "FILE", "the page with plots [beside it]" },
    { "resume", "FILE", "go on with what was interrupted" },
    { "report", "FILE", "table and page of what is in a file, measuring nothing" },
    { "record-dirty", "WHAT",
      "measure nothing, but note which pages a process (WHAT: its PID) or a guest writes when" },
    { "record-to", "FILE", "the dirty trace [ferry-dirty-TIME.trace]" },
    { "for", "TIME", "how long to record [10s]" },
    { "interval", "TIME", "of the trace [100ms]" },
    { "way", "WHICH", "of a process's writes: watch (by the kernel), compare (what it holds), auto [auto]" },
    { "insecure", NULL, "with --serve: listen where other machines can connect" },
    { "quiet", NULL, "no words but the table and errors" },
    { NULL },
};

const struct args_command bench_form = {
    .name = "bench",
    .positional = "URI",
    .more = "KEY=V1,V2",
    .summary = "measure migrations: a matrix of settings, beside what the link can carry",
    .about = "  URI   of a `ferry bench --serve URI` on the other host: tcp:HOST:PORT, unix:PATH\n"
             "  KEY   guest=pattern,kvm  tls=off,on  via=tcp,unix; a key of a guest: size, dirty,\n"
             "        pattern, hot, burst, pause, trace, zero, content, threads; any option of a\n"
             "        migration: channels, compress, max-bandwidth (`ferry options` has them all)\n",
    .examples = "  ferry bench --local --quick\n"
                "  ferry bench --serve tcp::4500 --insecure            # on the other host\n"
                "  ferry bench tcp:192.0.2.7:4500 size=4GiB channels=0,2,8 tls=off,on\n"
                "  ferry bench --resume ferry-bench-20260301-101500.jsonl\n"
                "  ferry bench --record-dirty 4711 --record-to vm.trace\n"
                "  ferry bench --local trace=vm.trace channels=0,2\n",
    .rows = rows,
    .may_omit = true,
};

struct bench {
    struct args *args;
    struct bench_setup setup;
    struct bench_results results;
    struct bench_bar bar;
    char html[1100];
    int64_t limit_ns; /* of the whole; 0: none */
    int64_t began_ns;
    unsigned lost; /* runs in a row that could not begin */
    bool failed, mismatched, cut_short;
};

static bool is_axis(const char *word)
{
    return word[strcspn(word, "=:")] == '=';
}

static json_int_t asked(const struct bench *bench, const char *name)
{
    return json_integer_value(json_object_get(bench->results.header, name));
}

static int add_usual(json_t *axes, bool is_quick, struct ferry_error *err)
{
    const char *const *list = is_quick ? quick : usual;
    int ret = 0;

    for (int i = 0; ret == 0 && i < 4; i++) {
        bool is_said = json_object_get(axes, "trace") && i < 2; /* how large it is, and what it writes */
        char key[32];

        if (is_said)
            continue;

        snprintf(key, sizeof(key), "%.*s", (int)strcspn(list[i], "="), list[i]);
        if (!json_object_get(axes, key))
            ret = matrix_add(axes, list[i], err);
    }
    return ret;
}

/* Axes of the command line and of a file; those that nobody named have one usual value or more. */
static int take_axes(const struct bench *bench, json_t *axes, bool local, struct ferry_error *err)
{
    const char *word = args_positional(bench->args), *file = args_value(bench->args, "matrix");
    bool is_quick = args_value(bench->args, "quick"), any = file;
    int ret = 0;

    for (unsigned i = 0; ret == 0 && word; word = args_more(bench->args, i++)) {
        if (i == 0 && !is_axis(word))
            continue;
        ret = matrix_add(axes, word, err);
        any = true;
    }
    if (ret == 0 && file)
        ret = matrix_read(axes, file, err);
    if (ret == 0 && (!any || is_quick))
        ret = add_usual(axes, is_quick, err);
    if (ret == 0 && !json_object_get(axes, "size") && !json_object_get(axes, "trace"))
        ret = matrix_add(axes, "size=256MiB", err);
    return ret < 0 ? ret : matrix_check(axes, local, err);
}

static const char *uri_of(const struct bench *bench)
{
    const char *word = args_positional(bench->args);

    return word && !is_axis(word) ? word : NULL;
}

static json_t *header_of(const struct bench *bench, json_t *axes, struct ferry_error *err)
{
    bool is_quick = args_value(bench->args, "quick");
    uint64_t repetitions, warm_up, seed, ceiling_ns, plan_ns, run_ns;
    const char *uri = uri_of(bench);
    char when[32];
    time_t now = time(NULL);
    struct tm utc;

    if (args_uint(bench->args, "repetitions", REPETITIONS_MAX, is_quick ? 2 : 3, &repetitions, err) < 0 ||
        args_uint(bench->args, "warm-up", REPETITIONS_MAX, 1, &warm_up, err) < 0 ||
        args_uint(bench->args, "seed", INT64_MAX, 1, &seed, err) < 0 ||
        args_time(bench->args, "ceiling", is_quick ? CEILING_NS / 2 : CEILING_NS, &ceiling_ns, err) < 0 ||
        args_time(bench->args, "plan", is_quick ? QUICK_PLAN_NS : PLAN_NS, &plan_ns, err) < 0 ||
        args_time(bench->args, "run-limit", is_quick ? QUICK_RUN_NS : RUN_LIMIT_NS, &run_ns, err) < 0)
        return NULL;
    if (repetitions == 0 || run_ns < NS_PER_MS || ceiling_ns > CEILING_NS_MAX ||
        (ceiling_ns > 0 && ceiling_ns < 10 * NS_PER_MS) || plan_ns > PLAN_NS_MAX ||
        (plan_ns > 0 && plan_ns < 10 * NS_PER_MS)) {
        ferry_error_set(err, -EINVAL,
                        "--repetitions from 1, --run-limit from 1ms, --ceiling 0 or from 10ms to 5s, --plan 0 or from "
                        "10ms to 60s");
        return NULL;
    }
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    return json_pack("{s:i, s:s, s:s, s:s*, s:O, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "ferry-bench", RESULTS_VERSION,
                     "version", FERRY_VERSION, "started", when, "to", uri, "axes", axes, "repetitions",
                     (json_int_t)repetitions, "warm-up", (json_int_t)warm_up, "seed", (json_int_t)seed, "ceiling-ns",
                     (json_int_t)ceiling_ns, "plan-ns", (json_int_t)plan_ns, "run-limit-ns", (json_int_t)run_ns,
                     "hardware", agent_hardware());
}

/* The file to write to: the one that was named, or one that says when. */
static const char *json_path(const struct bench *bench, char *to, size_t room)
{
    const char *given = args_value(bench->args, "json");
    time_t now = time(NULL);
    struct tm here;

    if (given)
        return given;
    strftime(to, room, "ferry-bench-%Y%m%d-%H%M%S.jsonl", localtime_r(&now, &here));
    return to;
}

static void name_page(struct bench *bench)
{
    const char *given = args_value(bench->args, "html"), *path = bench->results.path;
    const char *dot = strrchr(path, '.');
    int stem = dot && !strchr(dot, '/') && dot != path ? (int)(dot - path) : (int)strlen(path);

    if (given)
        snprintf(bench->html, sizeof(bench->html), "%s", given);
    else
        snprintf(bench->html, sizeof(bench->html), "%.*s.html", stem, path);
}

static int begin_new(struct bench *bench, struct ferry_error *err)
{
    bool local = args_value(bench->args, "local");
    json_t *axes, *header = NULL;
    char path[64];
    int ret;

    if (local == (uri_of(bench) != NULL))
        return ferry_error_set(err, -EINVAL,
                               local ? "--local, or a URI of the other end, but not both"
                                     : "where is the other end?  A URI of a `ferry bench --serve`, or --local");
    axes = json_object();
    ret = axes ? take_axes(bench, axes, local, err) : -ENOMEM;
    if (ret == 0) {
        header = header_of(bench, axes, err);
        ret = header ? 0 : err->errnum;
    }
    json_decref(axes);
    bench->setup.uri = uri_of(bench);
    if (ret == 0)
        ret = bench_peer_open(&bench->setup.peer, bench->setup.uri, err);
    if (ret == 0 && !local)
        json_object_set(header, "other-hardware", json_object_get(bench->setup.peer.hello, "hardware"));
    if (ret < 0) {
        json_decref(header);
        return ret;
    }
    return bench_results_create(&bench->results, json_path(bench, path, sizeof(path)), header, err);
}

/* What was asked for then is asked for now. */
static int begin_again(struct bench *bench, const char *path, bool append, struct ferry_error *err)
{
    int ret = bench_results_open(&bench->results, path, append, err);
    const json_t *axes = json_object_get(bench->results.header, "axes");

    if (ret == 0 && args_positional(bench->args) && is_axis(args_positional(bench->args)))
        return ferry_error_set(err, -EINVAL, "%s says already what is measured: it takes no more axes", path);
    if (ret == 0 && (!json_is_object(axes) || asked(bench, "repetitions") < 1 ||
                     asked(bench, "repetitions") > REPETITIONS_MAX || asked(bench, "run-limit-ns") < NS_PER_MS))
        return ferry_error_set(err, -EINVAL, "%s: its first line asks for nothing", path);
    return ret < 0 ? ret : matrix_check(axes, true, err);
}

static void watch(void *opaque, const json_t *figures)
{
    bench_bar_show(opaque, figures);
}

/* A run that could not even begin is a row that failed, too. */
static json_t *lost(struct bench *bench, const json_t *settings, const struct ferry_error *err)
{
    bench->lost++;
    return json_pack("{s:O, s:s, s:s}", "settings", (json_t *)(uintptr_t)settings, "status", "failed", "error",
                     ferry_error_text(err));
}

static void say_result(struct bench *bench, const json_t *record)
{
    const char *error = json_string_value(json_object_get(record, "error"));
    char text[512], rate[32];

    if (error)
        snprintf(text, sizeof(text), "failed: %s", error);
    else
        snprintf(text, sizeof(text), "%s, downtime %.1f ms",
                 units_format_rate(rate, sizeof(rate), bench_metric(record, METRIC_RATE)),
                 bench_metric(record, METRIC_DOWNTIME));
    bench_bar_done(&bench->bar, text);
}

static void judge(struct bench *bench, const json_t *record)
{
    const json_t *verify = json_object_get(json_object_get(record, "destination"), "verify");

    bench->failed = bench->failed || json_object_get(record, "error");
    bench->mismatched = bench->mismatched || json_integer_value(json_object_get(verify, "mismatched")) > 0 ||
                        json_integer_value(json_object_get(verify, "lost-writes")) > 0;
}

/* One run; @counts: it goes into the file. */
static int run_once(struct bench *bench, size_t row, size_t run, bool counts, struct ferry_error *err)
{
    const json_t *axes = json_object_get(bench->results.header, "axes");
    json_t *settings = matrix_row(axes, row), *record;
    char label[256];
    int ret = 0;

    matrix_label(axes, settings, label, sizeof(label));
    bench_bar_run(&bench->bar, counts ? label : "warm-up");
    record = bench_run(&bench->setup, settings, watch, &bench->bar, err);
    if (record)
        bench->lost = 0;
    else if (err->errnum == -EINTR)
        ret = -EINTR;
    else
        record = lost(bench, settings, err);
    if (record && counts) {
        judge(bench, record);
        ret = bench_results_add(&bench->results, row, run, json_incref(record), err);
        say_result(bench, record);
    }
    json_decref(record);
    json_decref(settings);
    if (ret == 0 && bench->lost >= LOST_MAX)
        ret = err->errnum;
    return ret;
}

static bool is_late(struct bench *bench)
{
    bench->cut_short = bench->limit_ns > 0 && clock_now_ns() - bench->began_ns > bench->limit_ns;
    return bench->cut_short;
}

static int run_repetition(struct bench *bench, size_t run, size_t *order, struct ferry_error *err)
{
    size_t count = matrix_rows(json_object_get(bench->results.header, "axes"));
    int ret = 0;

    matrix_order(count, (uint64_t)asked(bench, "seed") * REPETITIONS_MAX + run, order);
    for (size_t i = 0; ret == 0 && i < count; i++)
        if (!bench_results_has(&bench->results, order[i], run) && !is_late(bench))
            ret = run_once(bench, order[i], run, true, err);
    return ret;
}

static int run_all(struct bench *bench, struct ferry_error *err)
{
    size_t count = matrix_rows(json_object_get(bench->results.header, "axes"));
    size_t repetitions = (size_t)asked(bench, "repetitions"), done = json_array_size(bench->results.runs);
    size_t *order = calloc(count, sizeof(*order));
    int ret = order ? 0 : ferry_error_set(err, -ENOMEM, "no memory for %zu rows", count);

    bench->began_ns = clock_now_ns();
    bench_bar_start(&bench->bar, args_value(bench->args, "quiet"), count * repetitions, done);
    for (json_int_t i = 0; ret == 0 && done < count * repetitions && i < asked(bench, "warm-up"); i++)
        ret = run_once(bench, (size_t)i % count, 0, false, err);
    for (size_t run = 0; ret == 0 && run < repetitions; run++)
        ret = run_repetition(bench, run, order, err);
    bench_bar_clear(&bench->bar);
    free(order);
    return ret;
}

static enum exit_status report(struct bench *bench, int ret, const struct ferry_error *why)
{
    struct ferry_error err = { 0 };
    size_t total = matrix_rows(json_object_get(bench->results.header, "axes")) * (size_t)asked(bench, "repetitions");
    size_t done = json_array_size(bench->results.runs);

    bench_table(stdout, &bench->results);
    if (bench_page_write(bench->html, &bench->results, &err) < 0)
        fprintf(stderr, "ferry bench: %s\n", err.text);
    else if (!args_value(bench->args, "quiet"))
        fprintf(stderr, "plots: %s\nevery run: %s\n", bench->html, bench->results.path);
    if (ret < 0)
        fprintf(stderr, "ferry bench: %s\n", ferry_error_text(why));
    if (done < total)
        fprintf(stderr, "%zu of %zu runs are done%s: go on by `ferry bench --resume %s`\n", done, total,
                bench->cut_short ? ", and the time is over" : "", bench->results.path);
    if (bench->mismatched)
        return EXIT_MISMATCH;
    return ret < 0 || bench->failed || err.errnum ? EXIT_FAILED : EXIT_DONE;
}

static int set_up(struct bench *bench, struct ferry_error *err)
{
    uint64_t limit_ns;

    if (args_time(bench->args, "time-limit", args_value(bench->args, "quick") ? QUICK_NS : 0, &limit_ns, err) < 0)
        return -EINVAL;
    bench->limit_ns = (int64_t)limit_ns;
    bench->setup.uri = uri_of(bench) ? uri_of(bench) : json_string_value(json_object_get(bench->results.header, "to"));
    bench->setup.ceiling_ns = asked(bench, "ceiling-ns");
    bench->setup.plan_ns = asked(bench, "plan-ns");
    bench->setup.limit_ns = asked(bench, "run-limit-ns");
    return 0;
}

/* However often it is told to end: there may be a key to put away. */
static int take_signals(struct bench *bench, struct ferry_error *err)
{
    bench->setup.await = await_new(err);
    if (!bench->setup.await)
        return -ENOMEM;
    await_hold(bench->setup.await);
    return 0;
}

static enum exit_status measure(struct bench *bench, struct ferry_error *err)
{
    const char *resume = args_value(bench->args, "resume"), *only = args_value(bench->args, "report");
    int ret = 0;

    if (!only && take_signals(bench, err) < 0) /* before anything is forked */
        ret = -ENOMEM;
    else if (resume && only)
        ret = ferry_error_set(err, -EINVAL, "--resume measures what is missing, --report nothing: one of them");
    else if (resume || only)
        ret = begin_again(bench, resume ? resume : only, resume, err);
    else
        ret = begin_new(bench, err);
    if (ret == 0)
        name_page(bench);
    if (ret == 0 && !only)
        ret = set_up(bench, err);
    if (ret == -EINVAL || ret == -ERANGE)
        return help_usage(&bench_form, err);
    if (ret < 0) {
        fprintf(stderr, "ferry bench: %s\n", ferry_error_text(err));
        return EXIT_FAILED;
    }
    if (!only)
        ret = run_all(bench, err);
    return report(bench, ret, err);
}

static enum exit_status record(struct bench *bench, struct ferry_error *err)
{
    const char *path = args_value(bench->args, "record-to"), *way = args_value(bench->args, "way");
    struct record_terms terms = { .what = args_value(bench->args, "record-dirty"), .way = way ? way : "auto" };
    uint64_t for_ns, every_ns;
    time_t now = time(NULL);
    struct tm here;
    char name[64];
    int ret = args_time(bench->args, "for", 10 * NS_PER_SEC, &for_ns, err);

    if (ret == 0)
        ret = args_time(bench->args, "interval", 100 * NS_PER_MS, &every_ns, err);
    if (ret == 0)
        ret = take_signals(bench, err);
    if (ret == 0) {
        strftime(name, sizeof(name), "ferry-dirty-%Y%m%d-%H%M%S.trace", localtime_r(&now, &here));
        terms.path = path ? path : name;
        terms.for_ns = (int64_t)for_ns;
        terms.every_ns = (int64_t)every_ns;
        terms.quiet = args_value(bench->args, "quiet");
        terms.await = bench->setup.await;
        ret = bench_record(&terms, err);
    }
    if (ret == -EINVAL || ret == -ERANGE)
        return help_usage(&bench_form, err);
    if (ret < 0)
        fprintf(stderr, "ferry bench: %s\n", ferry_error_text(err));
    return ret < 0 ? EXIT_FAILED : EXIT_DONE;
}

static enum exit_status serve(struct bench *bench, const char *uri, struct ferry_error *err)
{
    struct ferry_listener *listener = ferry_listener_open(uri, err);
    enum exit_status status = EXIT_DONE;
    struct await *await = NULL;

    if (!listener || (!args_value(bench->args, "insecure") && exposed_refuse(listener, err) < 0)) {
        status = help_usage(&bench_form, err);
    } else if (!(await = await_new(err))) {
        status = EXIT_FAILED;
    } else {
        if (!args_value(bench->args, "quiet"))
            fprintf(stderr, "listening on %s\n", ferry_listener_address(listener));
        if (agent_listen(listener, await_fd(await), err) < 0)
            status = EXIT_FAILED;
    }
    if (status == EXIT_FAILED)
        fprintf(stderr, "ferry bench: %s\n", ferry_error_text(err));
    await_free(await);
    ferry_listener_free(listener);
    return status;
}

static void bench_free(struct bench *bench)
{
    bench_peer_close(&bench->setup.peer);
    bench_key_remove(&bench->setup.key);
    await_free(bench->setup.await);
    bench_results_close(&bench->results);
    args_free(bench->args);
    free(bench);
}

int bench_main(int argc, char **argv)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct ferry_error err = { 0 };
    enum exit_status status;

    if (!bench) {
        fprintf(stderr, "ferry bench: no memory\n");
        return EXIT_FAILED;
    }
    bench_peer_init(&bench->setup.peer);
    bench->args = args_parse(&bench_form, argc, argv, &err);
    if (!bench->args) {
        status = help_usage(&bench_form, &err);
    } else if (args_help(bench->args)) {
        help_command(stdout, &bench_form);
        status = EXIT_DONE;
    } else if (args_value(bench->args, "serve")) {
        status = serve(bench, args_value(bench->args, "serve"), &err);
    } else if (args_value(bench->args, "record-dirty")) {
        status = record(bench, &err);
    } else {
        status = measure(bench, &err);
    }
    bench_free(bench);
    return status;
}
