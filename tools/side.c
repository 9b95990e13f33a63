/* SPDX-License-Identifier: BSD-3-Clause */
/* side.c - what `ferry send` and `ferry recv` have in common: one side of one migration */
#include "side.h"

#include "clock.h"
#include "help.h"
#include "lease.h"
#include "service.h"
#include "side_qmp.h"
#include "summary.h"

#include <errno.h>
#include <fcntl.h>
#include <ferry/log.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEAT_PATIENCE_NS (2 * NS_PER_SEC)

const struct args_row side_rows[] = {
    { "other-journal", "FILE", "settle an undecided end by this journal" },
    { "json", "FILE", "write the report as JSON; - for stdout" },
    { "events", "N", "write a line of JSON for each event to descriptor N" },
    { "metrics", "ADDRESS", "figures for Prometheus, by HTTP on tcp:127.0.0.1:PORT" },
    { "qmp", "ADDRESS", "take commands by QMP, on unix:PATH or fd:N" },
    { "quiet", NULL, "no words but errors" },
    { "log", "LEVEL", "tell the story: warn, info, debug or trace" },
    { "verbose", NULL, "the same as --log debug" },
    { "log-format", "text|json", "words, or a line of JSON each, on stderr [text]" },
    { NULL },
};

static int set_up_lines(struct side *side, struct ferry_error *err)
{
    const char *format = args_value(side->args, "log-format");
    bool is_json = format && !strcmp(format, "json");

    if (format && !is_json && strcmp(format, "text"))
        return ferry_error_set(err, -EINVAL, "--log-format: '%s' is neither text nor json", format);
    side->lines = lines_new(is_json);
    return side->lines ? 0 : ferry_error_set(err, -ENOMEM, "no memory for a log");
}

static int set_up_log(const struct args *args, struct lines *lines, struct ferry_error *err)
{
    static const char *const levels[] = { "warn", "info", "debug", "trace" };
    const char *wanted = args_value(args, "log");
    int level = 0;

    if (!wanted)
        wanted = args_value(args, "verbose") ? "debug" : "warn";
    while (level < 4 && strcmp(wanted, levels[level]))
        level++;
    if (level == 4)
        return ferry_error_set(err, -EINVAL, "--log: '%s' is not one of warn, info, debug, trace", wanted);
    ferry_log_set(lines_log, lines, (enum ferry_log_level)(FERRY_LOG_WARN + level));
    return 0;
}

static int open_events(struct side *side, struct ferry_error *err)
{
    uint64_t fd;
    int ret = args_uint(side->args, "events", INT_MAX, 0, &fd, err);

    if (ret < 0 || !args_value(side->args, "events"))
        return ret;
    if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
        return ferry_error_set(err, -EINVAL, "--events: descriptor %d is not open", (int)fd);
    side->to.events = fdopen((int)fd, "w");
    return side->to.events ? 0 : ferry_error_set(err, -EINVAL, "--events: %s", strerror(errno));
}

static int check_figures(const struct side *side, struct ferry_error *err)
{
    uint64_t ns;
    int ret = args_time(side->args, "figures-every", 0, &ns, err);

    if (ret == 0 && args_value(side->args, "figures-every") && ns < NS_PER_MS)
        return ferry_error_set(err, -EINVAL, "--figures-every: less than 1 ms would measure nothing but itself");
    return ret;
}

static int open_json(struct side *side, struct ferry_error *err)
{
    const char *path = args_value(side->args, "json");

    if (!path)
        return 0;
    side->to.json = !strcmp(path, "-") ? stdout : fopen(path, "we");
    return side->to.json ? 0 : ferry_error_set(err, -EINVAL, "--json: %s: %s", path, strerror(errno));
}

static int open_metrics(struct side *side, struct ferry_error *err)
{
    const char *uri = args_value(side->args, "metrics");

    if (!uri)
        return 0;
    side->metrics = metrics_new(side->report.side);
    if (!side->metrics)
        return ferry_error_set(err, -ENOMEM, "--metrics: no memory");
    side->http = metrics_http_open(uri, args_value(side->args, "insecure") != NULL, side->metrics, err);
    if (!side->http) {
        ferry_error_prefix(err, "--metrics");
        return err->errnum;
    }
    side_tell(side, "metrics", json_pack("{s:s}", "address", metrics_http_address(side->http)));
    return 0;
}

static int set_up(struct side *side, struct ferry_error *err)
{
    int ret = set_up_lines(side, err);

    if (ret == 0)
        ret = set_up_log(side->args, side->lines, err);
    if (ret == 0)
        ret = open_events(side, err);
    if (ret == 0)
        ret = open_json(side, err);
    if (ret == 0)
        ret = check_figures(side, err);
    if (ret < 0)
        return ret;
    side->steps = steps_new(args_options_to_change(side->args), side->report.side, err);
    if (err->errnum)
        return err->errnum;
    side->await = await_new(err);
    if (!side->await)
        return -ENOMEM;
    ret = open_metrics(side, err); /* its thread leaves signals to await */
    if (ret == 0)
        ret = side_qmp_open(side->args, &side->qmp, err);
    if (ret < 0)
        return ret;
    side->to.quiet = args_value(side->args, "quiet") != NULL;
    if (!side->to.quiet && !args_value(side->args, "log") && !args_value(side->args, "verbose") &&
        !lines_is_json(side->lines))
        side->to.progress = progress_new();
    return 0;
}

static void side_free(struct side *side)
{
    ferry_session_free(side->session); /* what is told at its end is told to clients, too */
    side_qmp_free(side->qmp);
    ferry_listener_free(side->listener);
    bench_guest_free(side->guest);
    if (side->to.json && side->to.json != stdout)
        fclose(side->to.json);
    if (side->to.events)
        fclose(side->to.events);
    progress_free(side->to.progress);
    await_free(side->await);
    steps_free(side->steps);
    metrics_http_close(side->http);
    metrics_free(side->metrics);
    if (side->lines)
        ferry_log_set(NULL, NULL, FERRY_LOG_WARN);
    lines_free(side->lines);
    args_free(side->args);
    free(side);
}

struct side *side_new(const struct args_command *command, const char *name, int argc, char **argv,
                      enum exit_status *status)
{
    struct ferry_error err = { 0 };
    struct side *side = calloc(1, sizeof(*side));

    if (!side) {
        fprintf(stderr, "ferry %s: no memory\n", command->name);
        *status = EXIT_FAILED;
        return NULL;
    }
    side->report.side = name;
    side->args = args_parse(command, argc, argv, &err);
    if (!side->args) {
        *status = help_usage(command, &err);
    } else if (args_help(side->args)) {
        help_command(stdout, command);
        *status = EXIT_DONE;
    } else if (set_up(side, &err) < 0) {
        *status = help_usage(command, &err);
    } else {
        return side;
    }
    side_free(side);
    return NULL;
}

bool side_is_usage(const struct ferry_error *err)
{
    return err->errnum == -EINVAL || err->errnum == -ERANGE;
}

enum exit_status side_usage(struct side *side, const struct ferry_error *err)
{
    int status = help_usage(args_command(side->args), err);

    side_free(side);
    return (enum exit_status)status;
}

void side_say(struct side *side, const char *format, ...)
{
    char text[1024];
    va_list args;

    if (side->to.quiet)
        return;
    progress_clear(side->to.progress);
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    lines_put(side->lines, "info", "ferry", text, NULL);
}

void side_tell(struct side *side, const char *name, json_t *event)
{
    if (side->to.events && event && json_object_set_new(event, "event", json_string(name)) == 0)
        report_write(side->to.events, event, false, NULL);
    json_decref(event);
}

int side_run(struct side *side, int (*work)(void *side), void (*interrupt)(void *side), struct ferry_error *err)
{
    const struct await_ops ops = { .work = work, .interrupt = interrupt };
    int ret = await_run(side->await, &ops, side, err);

    if (ret == -EINTR)
        side->left_behind = true;
    else if (ret < 0 && side->made.err.errnum)
        *err = side->made.err;
    return ret;
}

int side_make_guest(struct side *side, int (*work)(void *side), struct ferry_error *err)
{
    int ret = side_run(side, work, NULL, err);

    if (ret == 0)
        side->guest = side->made.guest;
    return ret;
}

static int wait_work(void *opaque)
{
    struct side *side = opaque;
    int ret;

    do
        ret = ferry_session_wait(side->session, -1, &side->made.err);
    while (ret == -ENOTRECOVERABLE && side_qmp_await_resume(side));
    return ret;
}

static void wait_tick(void *opaque)
{
    struct side *side = opaque;
    struct progress_figures figures;
    struct ferry_stats stats;

    ferry_session_stats(side->session, &stats);
    if (stats.phase != side->shown_phase || strcmp(stats.id, side->shown_id)) {
        side->shown_phase = stats.phase;
        memcpy(side->shown_id, stats.id, sizeof(stats.id));
        lines_of(side->lines, stats.id);
        service_status("%s: %s", args_command(side->args)->name, ferry_phase_name(stats.phase));
    }
    metrics_note(side->metrics, &stats);
    progress_figures_from(&stats, !strcmp(side->report.side, "destination"), &figures);
    progress_show(side->to.progress, &figures);
    if (side->to.events)
        side_tell(side, "figures", report_stats_json(side->report.side, &stats));
}

static void wait_interrupt(void *opaque)
{
    struct side *side = opaque;

    side_say(side, "cancelling: %s", strsignal(await_signal(side->await)));
    side_qmp_give_up(side);
    ferry_session_cancel(side->session);
}

int side_migrate(struct side *side, struct ferry_error *err)
{
    struct await_ops ops = { .work = wait_work, .tick = wait_tick, .interrupt = wait_interrupt };
    uint64_t every_ns = 0;
    int ret = args_time(side->args, "figures-every", 0, &every_ns, err);

    ops.tick_ms = args_ms(every_ns);
    side_qmp_attach(side);
    if (ret == 0)
        ret = await_run(side->await, &ops, side, err);
    progress_clear(side->to.progress);
    if (ret == -EOWNERDEAD)
        ret = lease_wait(side, &side->made.err);
    ferry_session_stats(side->session, &side->report.stats);
    lines_of(side->lines, side->report.stats.id);
    metrics_note(side->metrics, &side->report.stats);
    side->report.channels_count = ferry_session_channels(side->session, side->report.channels, REPORT_CHANNELS_MAX);
    side->report.threads_count =
        ferry_session_postcopy_threads(side->session, side->report.threads, REPORT_THREADS_MAX);
    if (side->report.threads_count > REPORT_THREADS_MAX)
        side->report.threads_count = REPORT_THREADS_MAX;
    /* Whoever touches a page that is not here waits; to free the session would end that, and this process. */
    side->left_behind |=
        side->report.stats.phase == FERRY_PHASE_POSTCOPY_PAUSED && strcmp(side->report.side, "source") != 0;
    if (ret < 0 && side->made.err.errnum)
        *err = side->made.err;
    side_qmp_detach(side, ret < 0 ? err : NULL);
    return ret;
}

enum exit_status side_failed(struct side *side, const char *phase, const struct ferry_error *err)
{
    bool is_source = !strcmp(side->report.side, "source");

    side->report.error = *err;
    ferry_error_where(&side->report.error, is_source ? FERRY_SIDE_SOURCE : FERRY_SIDE_DESTINATION, phase);
    side->report.cancelled = await_signal(side->await) != 0 || side_qmp_quits(side);
    side_qmp_detach(side, err);
    return err->errnum == -EOWNERDEAD || err->errnum == -ENOTRECOVERABLE ? EXIT_UNCERTAIN : EXIT_FAILED;
}

static void write_json(struct side *side, json_t *report)
{
    struct ferry_error err;
    int ret = report_write(side->to.json, report, !side->to.many, &err);

    if (!side->to.many) {
        if (side->to.json != stdout && fclose(side->to.json) == EOF && ret == 0)
            ret = ferry_error_set(&err, -errno, "the report could not be written: %s", strerror(errno));
        side->to.json = NULL;
    }
    if (ret < 0)
        lines_put(side->lines, "error", "ferry", err.text, NULL);
}

/* How it ended, in the log: whoever reads only that has everything. */
static void log_report(struct side *side, const json_t *report, const char *title)
{
    json_t *error = json_object_get(report, "error");

    if (error)
        lines_put(side->lines, "error", "ferry", json_string_value(json_object_get(error, "text")),
                  json_pack("{s:O}", "error", error));
    lines_put(side->lines, "info", "report", title ? title : json_string_value(json_object_get(report, "status")),
              json_pack("{s:O}", "report", report));
}

/* The same in words. */
static void print_report(struct side *side, const json_t *report, const char *title)
{
    bool is_source = !strcmp(side->report.side, "source");
    char who[32];

    snprintf(who, sizeof(who), "ferry %s", args_command(side->args)->name);
    summary_error(stderr, who, report);
    if (!side->to.quiet && side->report.guest_runs && is_source)
        side_say(side, "the guest goes on here");
    if (!side->to.quiet && title && side->to.json != stdout) {
        printf("%s\n", title);
        summary_print(stdout, is_source ? report : NULL, is_source ? NULL : report);
        fflush(stdout);
    }
}

/* The guest's beats are its heart's: when they go on, it lives. */
static void look_at_guest(struct side *side, bool is_source)
{
    bool is_completed = side->report.stats.phase == FERRY_PHASE_COMPLETED;
    bool is_split = side->report.stats.phase == FERRY_PHASE_POSTCOPY_PAUSED;
    bool is_handed_over = is_completed || is_split || side->report.stats.phase == FERRY_PHASE_UNCERTAIN;
    int64_t deadline = clock_now_ns() + BEAT_PATIENCE_NS;
    struct bench_figures before;

    if (!side->guest)
        return;
    bench_guest_figures(side->guest, &side->report.guest);
    side->report.guest_known = true;
    if (!is_source || is_handed_over) {
        side->report.guest_runs = !is_source && (is_completed || is_split);
        return;
    }
    before = side->report.guest;
    while (side->report.guest.beats == before.beats && clock_now_ns() < deadline) {
        clock_sleep_until_ns(clock_now_ns() + NS_PER_MS);
        bench_guest_figures(side->guest, &side->report.guest);
    }
    side->report.guest_runs = side->report.guest.beats != before.beats;
}

void side_report(struct side *side, const char *title)
{
    json_t *report;

    look_at_guest(side, !strcmp(side->report.side, "source"));
    progress_clear(side->to.progress);
    report = report_json(&side->report);
    metrics_ended(side->metrics, &side->report, json_string_value(json_object_get(report, "status")));
    if (lines_is_json(side->lines))
        log_report(side, report, title);
    else
        print_report(side, report, title);
    if (side->to.json)
        write_json(side, report);
    side_tell(side, "report", report);
}

void side_next(struct side *side)
{
    const char *name = side->report.side;

    ferry_session_free(side->session);
    ferry_listener_free(side->listener);
    bench_guest_free(side->guest);
    side->session = NULL;
    side->listener = NULL;
    side->guest = NULL;
    side->made = (struct side_made){ 0 };
    side->report = (struct report){ .side = name };
    side->shown_phase = FERRY_PHASE_NONE;
    side->shown_id[0] = '\0';
    lines_next(side->lines);
    if (side->to.progress) {
        progress_free(side->to.progress);
        side->to.progress = progress_new();
    }
}

enum exit_status side_close(struct side *side, enum exit_status status)
{
    static struct side *volatile kept; /* so that what is left behind is not taken for lost */

    if (side->left_behind) {
        side_qmp_leave(side);
        kept = side;
    }
    if (kept != side)
        side_free(side);
    return status;
}

enum exit_status side_end(struct side *side, enum exit_status status, const char *title)
{
    side_report(side, title);
    return side_close(side, status);
}
