/* SPDX-License-Identifier: BSD-3-Clause */
/* demo.c - `ferry demo`: a source and a destination as two processes of this host, and one report of both
 *
 *      demo --+-- ferry recv tcp:127.0.0.1:0 --- listening on port P ---.
 *             '-- ferry send tcp:127.0.0.1:P <--------------------------'
 *
 * A signal goes to the source, which cancels; the destination then sees the stream end.  One side that failed does not
 * leave the other waiting: it is told to end, first politely.  A second signal ends both at once.
 */
#include "await.h"
#include "clock.h"
#include "commands.h"
#include "demo_keys.h"
#include "exit.h"
#include "help.h"
#include "process.h"
#include "progress.h"
#include "report.h"
#include "summary.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTINGS_MAX  32
#define SETTING_BYTES 128
#define PATIENCE_NS   (3 * NS_PER_SEC) /* for a side to see by itself that the other is gone */
#define DEFAULT_GUEST "pattern:size=1GiB,dirty=100MiB/s"
#define CHANNELS      "--channels=2" /* unless told otherwise */

static const struct args_row rows[] = {
    { "guest", "SPEC", "the guest to move [" DEFAULT_GUEST "]" },
    { "via", "tcp|unix", "what kind of socket lies between the two [tcp]" },
    { "run-on", "TIME", "let the guest run for so long and check it again [1s]" },
    { "insecure", NULL, "do not encrypt; otherwise by a key made for the occasion" },
    { "json", "FILE", "write the report of both sides as JSON; - for stdout" },
    { "quiet", NULL, "no words but the report and errors" },
    { NULL },
};

const struct args_command demo_form = {
    .name = "demo",
    .summary = "move a busy guest between two processes of this host",
    .about = "  SPEC  pattern:size=1GiB,dirty=200MiB/s,hot=25%,zero=30%,content=random\n"
             "        kvm:size=1GiB,dirty=50MiB/s,threads=2,dirty-log=bitmap|ring|uffd\n",
    .examples = "  ferry demo\n"
                "  ferry demo --guest pattern:size=256MiB,dirty=1GiB/s,zero=50%\n"
                "  ferry demo --guest pattern:size=1GiB,dirty=2GiB/s --postcopy\n"
                "  ferry demo --max-bandwidth 2Gbit/s --downtime-limit 50ms --json demo.json\n",
    .rows = rows,
    .session = true,
};

/* One of the two. */
struct party {
    struct process process;
    json_t *report;
    bool moving; /* has shown figures */
};

struct demo {
    struct args *args;
    struct await *await;
    struct progress *progress;
    FILE *json; /* NULL: nobody wants it */
    struct party source, destination;
    char address[256];
    struct demo_keys keys;
    char settings[SETTINGS_MAX][SETTING_BYTES]; /* "--NAME=VALUE", passed on to both */
    int64_t hurry_ns;                           /* when to push the one that is left; 0: no reason to */
    int push;                                   /* the signal to do it with */
};

static int start(struct demo *demo, struct party *party, const char *verb, const char *uri, const char *guest,
                 struct ferry_error *err)
{
    const char *argv[SETTINGS_MAX + 16] = { "ferry", verb, uri, "--guest", guest, "--quiet" };
    const char *run_on = args_value(demo->args, "run-on"), *journal = args_value(demo->args, "journal");
    bool is_source = party == &demo->source;
    char own_journal[SETTING_BYTES + 16]; /* each side has its own */
    int count = 6;

    if (!is_source && run_on) {
        argv[count++] = "--run-on";
        argv[count++] = run_on;
    }
    for (unsigned i = 0; i < SETTINGS_MAX && demo->settings[i][0]; i++)
        argv[count++] = demo->settings[i];
    if (journal && *journal) {
        snprintf(own_journal, sizeof(own_journal), "--journal=%s.%s", journal, is_source ? "source" : "destination");
        argv[count++] = own_journal;
    }
    return process_start(&party->process, argv, err);
}

static void say(struct demo *demo, const char *format, const char *detail)
{
    if (args_value(demo->args, "quiet"))
        return;
    progress_clear(demo->progress);
    fprintf(stderr, format, detail);
    fputc('\n', stderr);
}

static const char *guest_of(const struct demo *demo)
{
    const char *guest = args_value(demo->args, "guest");

    return guest ? guest : DEFAULT_GUEST;
}

/* The kind alone: what the guest is like comes with the stream. */
static void guest_kind(const struct demo *demo, char *to, size_t room)
{
    const char *guest = guest_of(demo);

    snprintf(to, room, "%.*s", (int)strcspn(guest, ":"), guest);
}

static void on_listening(struct demo *demo, const char *address)
{
    struct ferry_error err;

    snprintf(demo->address, sizeof(demo->address), "%s", address ? address : "");
    say(demo, "the destination listens on %s", demo->address);
    if (await_signal(demo->await))
        return;
    if (start(demo, &demo->source, "send", demo->address, guest_of(demo), &err) < 0) {
        fprintf(stderr, "ferry demo: %s\n", err.text);
        process_signal(&demo->destination.process, SIGTERM);
    }
}

static void on_event(void *opaque, struct process *process, json_t *object)
{
    struct demo *demo = opaque;
    struct party *party = process == &demo->source.process ? &demo->source : &demo->destination;
    const char *event = json_string_value(json_object_get(object, "event"));
    struct progress_figures figures;

    if (!event)
        return;
    if (!strcmp(event, "listening")) {
        on_listening(demo, json_string_value(json_object_get(object, "address")));
    } else if (!strcmp(event, "figures")) {
        party->moving = true;
        report_figures(object, &figures);
        if (party == &demo->source)
            progress_show(demo->progress, &figures);
    } else if (!strcmp(event, "report")) {
        json_object_del(object, "event");
        party->report = json_incref(object);
    }
}

/* One side has ended badly: how long the other may go on. */
static void note_end(struct demo *demo, const struct party *ended, const struct party *other)
{
    if (!ended->process.ended || ended->process.exit_status == EXIT_DONE || other->process.pid == 0 || demo->hurry_ns)
        return;
    demo->hurry_ns = clock_now_ns() + (other->moving && ended->moving ? PATIENCE_NS : 0);
    demo->push = SIGTERM;
}

static void push(struct demo *demo)
{
    if (demo->hurry_ns == 0 || clock_now_ns() < demo->hurry_ns)
        return;
    process_signal(&demo->source.process, demo->push);
    process_signal(&demo->destination.process, demo->push);
    demo->push = SIGKILL;
    demo->hurry_ns = clock_now_ns() + PATIENCE_NS;
}

static void on_signal(struct demo *demo)
{
    bool has_source = demo->source.process.pid > 0, again = await_signal(demo->await);

    await_take(demo->await);
    if (again) {
        demo->hurry_ns = clock_now_ns();
        demo->push = SIGKILL;
    }
    if (!await_signal(demo->await) || demo->hurry_ns)
        return;
    say(demo, "cancelling: %s", strsignal(await_signal(demo->await)));
    process_signal(has_source ? &demo->source.process : &demo->destination.process, SIGTERM);
    demo->hurry_ns = clock_now_ns() + PATIENCE_NS;
    demo->push = SIGTERM;
}

/* Until both have ended. */
static void run(struct demo *demo)
{
    struct process *const processes[] = { &demo->source.process, &demo->destination.process };

    while (processes[0]->pid > 0 || processes[1]->pid > 0) {
        struct pollfd fds[] = { { .fd = processes[0]->fd, .events = POLLIN },
                                { .fd = processes[1]->fd, .events = POLLIN },
                                { .fd = await_fd(demo->await), .events = POLLIN } };
        int64_t left_ns = demo->hurry_ns - clock_now_ns();

        if (poll(fds, 3, demo->hurry_ns == 0 ? -1 : left_ns > 0 ? (int)(left_ns / NS_PER_MS) + 1 : 0) < 0)
            continue;
        if (fds[2].revents)
            on_signal(demo);
        for (int i = 0; i < 2; i++)
            if (fds[i].revents)
                process_read(processes[i], on_event, demo);
        note_end(demo, &demo->source, &demo->destination);
        note_end(demo, &demo->destination, &demo->source);
        push(demo);
    }
    progress_clear(demo->progress);
}

static enum exit_status status_of(const struct demo *demo)
{
    int source = demo->source.process.ended ? demo->source.process.exit_status : EXIT_FAILED;
    int destination = demo->destination.process.exit_status;

    /* Wrong usage is told by the one that saw it, and the other only lost its peer. */
    if (source == EXIT_USAGE || destination == EXIT_USAGE)
        return EXIT_USAGE;
    return (enum exit_status)(source > destination ? source : destination);
}

static const char *outcome(enum exit_status status)
{
    switch (status) {
    case EXIT_DONE:
        return "A running guest has moved";
    case EXIT_MISMATCH:
        return "A running guest has moved, but is not what it was,";
    default:
        return "A guest should have moved, but did not,";
    }
}

static enum exit_status report(struct demo *demo)
{
    enum exit_status status = status_of(demo);
    json_t *both = report_merge(demo->source.report, demo->destination.report);
    struct ferry_error err = { 0 };

    if (status == EXIT_USAGE)
        goto out;
    summary_error(stderr, "source", demo->source.report);
    summary_error(stderr, "destination", demo->destination.report);
    if (demo->json != stdout) {
        printf("%s between two processes of this host, over %s\n\n", outcome(status), demo->address);
        summary_print(stdout, demo->source.report, demo->destination.report);
    }
    if (demo->json && report_write(demo->json, both, true, &err) < 0)
        fprintf(stderr, "ferry demo: %s\n", err.text);
out:
    json_decref(both);
    return status;
}

/* What the two sides are told beside what was asked for: encrypted, over page channels. */
static int add_defaults(struct demo *demo, unsigned at, bool has_channels, struct ferry_error *err)
{
    if (at + 2 > SETTINGS_MAX)
        return ferry_error_set(err, -EINVAL, "too many options to pass on");
    if (!has_channels)
        snprintf(demo->settings[at++], SETTING_BYTES, CHANNELS);
    if (args_value(demo->args, "insecure") || args_encrypts(demo->args))
        return 0;
    if (demo_keys_make(&demo->keys, err) < 0)
        return -EINVAL;
    snprintf(demo->settings[at], SETTING_BYTES, "--tls-creds=%s", demo->keys.path);
    return 0;
}

static int take_settings(struct demo *demo, struct ferry_error *err)
{
    const char *name, *value;
    bool has_channels = false, has_postcopy = false, has_when = false;
    unsigned i;

    for (i = 0; args_setting(demo->args, i, &name, &value); i++) {
        has_channels = has_channels || !strcmp(name, "channels");
        has_postcopy = has_postcopy || (!strcmp(name, "postcopy") && !strcmp(value, "on"));
        has_when = has_when || !strncmp(name, "postcopy-after", 14);
        if (i >= SETTINGS_MAX || snprintf(demo->settings[i], SETTING_BYTES, "--%s=%s", name, value) >= SETTING_BYTES)
            return ferry_error_set(err, -EINVAL, "--%s %s: too much to pass on", name, value);
    }
    if (has_postcopy && !has_when && i < SETTINGS_MAX) /* nobody is there to say when */
        snprintf(demo->settings[i++], SETTING_BYTES, "--postcopy-after-rounds=1");
    return add_defaults(demo, i, has_channels, err);
}

static int set_up(struct demo *demo, struct ferry_error *err)
{
    const char *via = args_value(demo->args, "via");
    const char *path = args_value(demo->args, "json");
    uint64_t ns;

    if (via && strcmp(via, "tcp") && strcmp(via, "unix"))
        return ferry_error_set(err, -EINVAL, "--via: '%s' is neither tcp nor unix", via);
    if (args_time(demo->args, "run-on", 0, &ns, err) < 0)
        return -EINVAL;
    demo->await = await_new(err);
    if (!demo->await)
        return -ENOMEM;
    await_hold(demo->await); /* there is a key to put away */
    if (take_settings(demo, err) < 0)
        return -EINVAL;
    if (path)
        demo->json = !strcmp(path, "-") ? stdout : fopen(path, "we");
    if (path && !demo->json)
        return ferry_error_set(err, -EINVAL, "--json: %s: %s", path, strerror(errno));
    return 0;
}

static enum exit_status demonstrate(struct demo *demo)
{
    const char *via = args_value(demo->args, "via");
    struct ferry_error err = { 0 };
    char uri[64] = "tcp:127.0.0.1:0", kind[64];

    if (via && !strcmp(via, "unix"))
        snprintf(uri, sizeof(uri), "unix:@ferry-demo-%d", (int)getpid());
    if (!args_value(demo->args, "quiet"))
        demo->progress = progress_new();
    say(demo, "the guest: %s", guest_of(demo));
    guest_kind(demo, kind, sizeof(kind));
    if (start(demo, &demo->destination, "recv", uri, kind, &err) < 0) {
        fprintf(stderr, "ferry demo: %s\n", err.text);
        return EXIT_FAILED;
    }
    run(demo);
    return report(demo);
}

static void demo_free(struct demo *demo)
{
    process_close(&demo->source.process);
    process_close(&demo->destination.process);
    json_decref(demo->source.report);
    json_decref(demo->destination.report);
    progress_free(demo->progress);
    if (demo->json && demo->json != stdout)
        fclose(demo->json);
    await_free(demo->await);
    args_free(demo->args);
    demo_keys_remove(&demo->keys);
    free(demo);
}

int demo_main(int argc, char **argv)
{
    struct ferry_error err = { 0 };
    struct demo *demo = calloc(1, sizeof(*demo));
    enum exit_status status;

    if (!demo) {
        fprintf(stderr, "ferry demo: no memory\n");
        return EXIT_FAILED;
    }
    process_init(&demo->source.process);
    process_init(&demo->destination.process);
    demo->args = args_parse(&demo_form, argc, argv, &err);
    if (!demo->args) {
        status = help_usage(&demo_form, &err);
    } else if (args_help(demo->args)) {
        help_command(stdout, &demo_form);
        status = EXIT_DONE;
    } else if (set_up(demo, &err) < 0) {
        status = help_usage(&demo_form, &err);
    } else {
        status = demonstrate(demo);
    }
    demo_free(demo);
    return status;
}
