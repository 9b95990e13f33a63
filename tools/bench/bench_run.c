/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_run.c - one run of one row: ceilings of the link, then a migration, and what came of it */
#include "bench_run.h"

#include "bench_ceiling.h"
#include "bench_child.h"
#include "bench_matrix.h"
#include "bench_predict.h"
#include "bench_results.h"
#include "bench_series.h"
#include "clock.h"
#include "exit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS     (3 * NS_PER_SEC) /* for one side to see that the other is gone */
#define FIGURES_EVERY   "--figures-every=20ms"
#define STREAMS_OF_AUTO 4

struct run {
    struct bench_setup *setup;
    const json_t *settings;
    bench_run_watch *watch;
    void *opaque;
    struct bench_child source;
    struct bench_series series;
    json_t *source_report, *destination_report, *plan;
    bool source_started, destination_ended, peer_lost, timed_out;
    int destination_status;
    char destination_words[CHILD_WORDS_BYTES];
    double ceiling;      /* bytes per second; 0 or NAN: not measured */
    int64_t deadline_ns; /* when to push */
    unsigned pushes;
    struct ferry_error err; /* of what is no side's */
};

static const char *setting(const json_t *settings, const char *key, const char *fallback)
{
    const char *value = json_string_value(json_object_get(settings, key));

    return value ? value : fallback;
}

static bool is_encrypted(const json_t *settings)
{
    return !strcmp(setting(settings, "tls", "off"), "on");
}

/* How many connections carry pages. */
static unsigned streams_of(const json_t *settings)
{
    const char *channels = setting(settings, "channels", "0");
    unsigned long count = !strcmp(channels, "auto") ? STREAMS_OF_AUTO : strtoul(channels, NULL, 10);

    return count == 0 ? 1 : count > CEILING_STREAMS_MAX ? CEILING_STREAMS_MAX : (unsigned)count;
}

static int add_streams(struct bench_setup *setup, const json_t *settings, json_t *to, const char *name,
                       unsigned streams, struct ferry_error *err)
{
    double rate = 0;
    int ret = bench_peer_ceiling(&setup->peer, setting(settings, "via", "tcp"), streams, setup->ceiling_ns, &rate, err);

    if (ret == 0)
        json_object_set_new(to, name, json_real(rate));
    return ret;
}

/* {"one": bytes/s, "streams": bytes/s, "count": N, "cipher": bytes/s, "cipher-name": "..", "before", "after"} */
static int measure_ceilings(struct bench_setup *setup, const json_t *settings, json_t *to, struct ferry_error *err)
{
    unsigned streams = streams_of(settings);
    const char *name;
    double rate;
    int ret;

    if (setup->ceiling_ns == 0)
        return 0;
    ret = add_streams(setup, settings, to, "one", 1, err);
    if (ret == 0 && streams > 1)
        ret = add_streams(setup, settings, to, "streams", streams, err);
    else if (ret == 0)
        json_object_set(to, "streams", json_object_get(to, "one"));
    if (ret < 0)
        return ret;
    json_object_set(to, "before", json_object_get(to, "streams"));
    json_object_set_new(to, "count", json_integer(streams));
    if (!is_encrypted(settings))
        return 0;
    ret = ceiling_cipher(&rate, &name, err);
    if (ret < 0)
        return ret;
    json_object_set_new(to, "cipher", json_real(rate));
    return json_object_set_new(to, "cipher-name", json_string(name));
}

/* Once more behind the migration: somebody else may have used the link, or the machine, while it was measured before.
 */
static void measure_after(struct run *run, json_t *ceiling)
{
    const json_t *before = json_object_get(ceiling, "before");
    struct ferry_error err = { 0 };

    if (!before || run->peer_lost)
        return;
    if (add_streams(run->setup, run->settings, ceiling, "after", streams_of(run->settings), &err) < 0)
        run->peer_lost = true;
    else if (json_number_value(json_object_get(ceiling, "after")) > json_number_value(before))
        json_object_set(ceiling, "streams", json_object_get(ceiling, "after"));
}

static void start_source(struct run *run, const char *address)
{
    const char *key = is_encrypted(run->settings) ? run->setup->key.path : NULL;
    char guest[512], plan[64], link[64];
    const char *more[] = { FIGURES_EVERY, NULL, NULL, NULL };

    if (run->source_started)
        return;
    run->source_started = true;
    matrix_guest(run->settings, guest, sizeof(guest));
    snprintf(plan, sizeof(plan), "--plan-first=%lldns", (long long)run->setup->plan_ns);
    snprintf(link, sizeof(link), "--plan-link=%.0f", run->ceiling);
    more[1] = run->setup->plan_ns > 0 ? plan : NULL;
    more[2] = run->setup->plan_ns > 0 && run->ceiling >= 1 ? link : NULL;
    if (bench_child_start(&run->source, "send", address, guest, run->settings, key, more, &run->err) < 0)
        run->deadline_ns = clock_now_ns();
}

static void hurry(struct run *run, int64_t in_ns)
{
    int64_t when_ns = clock_now_ns() + in_ns;

    if (run->pushes == 0 && when_ns < run->deadline_ns)
        run->deadline_ns = when_ns;
}

static void keep(json_t **place, json_t *object)
{
    json_decref(*place);
    *place = json_incref(object);
}

static void on_source(void *opaque, struct process *process, json_t *object)
{
    const char *event = json_string_value(json_object_get(object, "event"));
    struct run *run = opaque;

    if (event && !strcmp(event, "plan"))
        keep(&run->plan, object);
    if (!event || (strcmp(event, "figures") && strcmp(event, "report")))
        return;
    bench_series_add(&run->series, object);
    if (run->watch)
        run->watch(run->opaque, object);
    if (!strcmp(event, "report"))
        keep(&run->source_report, object);
}

static void on_ended(struct run *run, const json_t *event)
{
    const char *words = json_string_value(json_object_get(event, "words"));

    run->destination_ended = true;
    run->destination_status = (int)json_integer_value(json_object_get(event, "status"));
    snprintf(run->destination_words, sizeof(run->destination_words), "%s", words ? words : "");
    if (run->destination_status != EXIT_DONE)
        hurry(run, run->source_started ? PATIENCE_NS : 0);
}

static void on_destination(void *opaque, json_t *object)
{
    const char *event = json_string_value(json_object_get(object, "event"));
    const char *text = json_string_value(json_object_get(object, "text"));
    const char *address = json_string_value(json_object_get(object, "address"));
    struct run *run = opaque;

    if (!event)
        return;
    if (!strcmp(event, "listening") && address) {
        start_source(run, address);
    } else if (!strcmp(event, "report")) {
        keep(&run->destination_report, object);
    } else if (!strcmp(event, "ended")) {
        on_ended(run, object);
    } else if (!strcmp(event, "refused")) {
        ferry_error_set(&run->err, -EREMOTEIO, "the other end: %s", text ? text : "refused");
        run->destination_ended = true;
        run->destination_status = EXIT_FAILED;
        hurry(run, 0);
    }
}

/* First politely. */
static void push(struct run *run)
{
    struct ferry_error err;

    if (run->pushes == 0 && !run->err.errnum && !run->source.process.ended && !run->destination_ended)
        run->timed_out = true;
    if (run->pushes < 2) {
        process_signal(&run->source.process, run->pushes == 0 ? SIGTERM : SIGKILL);
        if (!run->destination_ended)
            (void)bench_peer_send(&run->setup->peer, json_pack("{s:s}", "do", "stop"), &err);
    } else {
        run->peer_lost = true;
    }
    run->pushes++;
    run->deadline_ns = clock_now_ns() + PATIENCE_NS;
}

static bool is_over(const struct run *run)
{
    bool source = !run->source_started || run->source.process.ended || run->source.process.pid == 0;

    return run->peer_lost || (source && run->destination_ended);
}

static void read_peer(struct run *run)
{
    struct bench_peer *peer = &run->setup->peer;
    ssize_t got = json_lines_read(&peer->lines, peer->fd, on_destination, run);

    if (got > 0 || got == -EAGAIN)
        return;
    ferry_error_set(&run->err, -EPIPE, "the other end of the bench has hung up");
    run->peer_lost = true;
}

/* Until both sides have ended.  -EINTR: a signal came. */
static int wait_for_both(struct run *run)
{
    while (!is_over(run)) {
        struct pollfd fds[] = { { .fd = run->source.process.fd, .events = POLLIN },
                                { .fd = run->setup->peer.fd, .events = POLLIN },
                                { .fd = await_fd(run->setup->await), .events = POLLIN } };
        int64_t left_ns = run->deadline_ns - clock_now_ns();

        if (left_ns <= 0)
            push(run);
        if (poll(fds, 3, left_ns > 0 ? (int)(left_ns / NS_PER_MS) + 1 : 0) < 0)
            continue;
        if (fds[2].revents)
            await_take(run->setup->await);
        if (await_signal(run->setup->await))
            return -EINTR;
        if (fds[0].revents)
            process_read(&run->source.process, on_source, run);
        if (run->source.process.ended && run->source.process.exit_status != EXIT_DONE)
            hurry(run, PATIENCE_NS);
        if (fds[1].revents)
            read_peer(run);
    }
    return 0;
}

/* Why a migration came to nothing, in one sentence; NULL: it did not. */
static const char *failure(const struct run *run, char *to, size_t room)
{
    const json_t *source = json_object_get(run->source_report, "error");
    const json_t *destination = json_object_get(run->destination_report, "error");
    const char *text = json_string_value(json_object_get(source, "text"));
    const char *there = json_string_value(json_object_get(destination, "text"));
    char words[CHILD_WORDS_BYTES];

    if (run->timed_out)
        snprintf(to, room, "it took longer than a run may take");
    else if (run->err.errnum)
        snprintf(to, room, "%s", run->err.text);
    else if (text)
        snprintf(to, room, "%s", text);
    else if (there)
        snprintf(to, room, "destination: %s", there);
    else if (run->source_started && run->source.process.exit_status != EXIT_DONE)
        snprintf(to, room, "%s", bench_child_words(&run->source, words));
    else if (run->destination_status != EXIT_DONE)
        snprintf(to, room, "%s", run->destination_words);
    else
        return NULL;
    return to;
}

static void add_report(json_t *record, const char *name, json_t *report)
{
    if (!report)
        return;
    json_object_del(report, "event");
    json_object_set(record, name, report);
}

static void fill(const struct run *run, json_t *record, int64_t began_ns)
{
    char why[1024];
    const char *text = failure(run, why, sizeof(why));

    json_object_set_new(record, "status", json_string(text ? "failed" : "completed"));
    if (text)
        json_object_set_new(record, "error", json_string(text));
    json_object_set_new(record, "seconds", json_real((double)(clock_now_ns() - began_ns) / NS_PER_SEC));
    json_object_set(record, "progress_history", run->series.history);
    json_object_set(record, "rounds", run->series.rounds);
    add_report(record, "source", run->source_report);
    add_report(record, "destination", run->destination_report);
    add_report(record, "plan", run->plan);
    bench_predict(record);
}

static int migrate(struct run *run, json_t *record)
{
    json_t *request =
        json_pack("{s:s, s:s, s:s, s:O}", "do", "receive", "guest", setting(run->settings, "guest", "pattern"), "via",
                  setting(run->settings, "via", "tcp"), "settings", (json_t *)(uintptr_t)run->settings);
    int64_t began_ns = clock_now_ns();
    int ret = 0;

    if (is_encrypted(run->settings))
        json_object_set_new(request, "key", json_string(run->setup->key_text));
    run->deadline_ns = began_ns + run->setup->limit_ns;
    if (bench_peer_send(&run->setup->peer, request, &run->err) < 0)
        run->peer_lost = true;
    else
        ret = wait_for_both(run);
    if (ret == 0)
        fill(run, record, began_ns);
    return ret;
}

static json_t *record_new(const json_t *settings)
{
    char when[32];
    time_t now = time(NULL);
    struct tm utc;

    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    return json_pack("{s:O, s:s, s:I}", "settings", (json_t *)(uintptr_t)settings, "started", when, "cpus",
                     (json_int_t)sysconf(_SC_NPROCESSORS_ONLN));
}

static int run_all(struct run *run, json_t *record, struct ferry_error *err)
{
    struct bench_setup *setup = run->setup;
    json_t *ceiling = json_object();
    int ret = 0;

    json_object_set_new(record, "ceiling", ceiling);
    if (is_encrypted(run->settings) && !setup->key.folder[0])
        ret = bench_key_make(&setup->key, setup->key_text, err);
    if (ret == 0)
        ret = measure_ceilings(setup, run->settings, ceiling, err);
    run->ceiling = bench_metric(record, METRIC_CEILING);
    if (ret == 0)
        ret = migrate(run, record);
    if (ret == 0)
        measure_after(run, ceiling);
    return ret;
}

json_t *bench_run(struct bench_setup *setup, const json_t *settings, bench_run_watch *watch, void *opaque,
                  struct ferry_error *err)
{
    struct run *run = calloc(1, sizeof(*run));
    json_t *record = record_new(settings);
    int ret = run && record ? 0 : -ENOMEM;

    if (ret == 0 && setup->peer.fd < 0)
        ret = bench_peer_open(&setup->peer, setup->uri, err);
    if (ret == 0) {
        *run = (struct run){ .setup = setup, .settings = settings, .watch = watch, .opaque = opaque };
        bench_child_init(&run->source);
        bench_series_start(&run->series);
        ret = run_all(run, record, err);
        if (ret < 0 || run->peer_lost)
            bench_peer_close(&setup->peer);
        bench_child_close(&run->source);
        bench_series_clear(&run->series);
        json_decref(run->source_report);
        json_decref(run->destination_report);
        json_decref(run->plan);
    }
    free(run);
    if (ret == 0)
        return record;
    json_decref(record);
    if (ret == -EINTR)
        ferry_error_set_code(err, FERRY_E_CANCELLED, ret, "interrupted by %s", strsignal(await_signal(setup->await)));
    return NULL;
}
