/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_agent.c - the other end of a benchmark: does on its host what the bench asks for, a line of JSON each */
#include "bench_agent.h"

#include "bench_ceiling.h"
#include "bench_child.h"
#include "bench_key.h"
#include "bench_matrix.h"
#include "clock.h"

#include <errno.h>
#include <ferry/options.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#define DURATION_MAX (10 * NS_PER_SEC)
#define RUN_ON       "--run-on=20ms"

struct agent {
    int fd;             /* of the bench */
    const char *listen; /* borrowed */
    bool gone;          /* the bench is */
    unsigned sockets;   /* made so far: names of unix sockets must differ */
    struct json_lines lines;
    struct bench_child child;
    struct bench_key key; /* of the child */
};

static void tell(struct agent *agent, json_t *event)
{
    if (json_lines_send(agent->fd, event) < 0)
        agent->gone = true;
}

static void refuse(struct agent *agent, const struct ferry_error *err)
{
    tell(agent, json_pack("{s:s, s:s}", "event", "refused", "text", ferry_error_text(err)));
}

/* Where the next one comes: what was asked for, or a name that nobody has. */
static void place(struct agent *agent, const json_t *request, char *to, size_t room)
{
    const char *via = json_string_value(json_object_get(request, "via"));

    if (via && !strcmp(via, "unix"))
        snprintf(to, room, "unix:@ferry-bench-%d-%u", (int)getpid(), agent->sockets++);
    else
        snprintf(to, room, "%s", agent->listen);
}

/* Nothing that the bench did not let through itself, and nothing that names something of this host. */
static int check_settings(const json_t *settings, struct ferry_error *err)
{
    struct ferry_options *options = ferry_options_new();
    const char *key, *text;
    json_t *value;
    int ret = options ? 0 : -ENOMEM;

    json_object_foreach ((json_t *)(uintptr_t)settings, key, value) {
        text = json_string_value(value);
        if (ret < 0 || matrix_key(key) == MATRIX_GUEST || matrix_key(key) == MATRIX_OWN)
            continue;
        if (!text || matrix_key(key) != MATRIX_OPTION)
            ret = ferry_error_set(err, -EINVAL, "'%.64s' cannot be set from another host", key);
        else
            ret = ferry_options_set(options, key, text, err);
    }
    ferry_options_free(options);
    return ret;
}

static int start_child(struct agent *agent, const json_t *request, struct ferry_error *err)
{
    const json_t *settings = json_object_get(request, "settings");
    const char *guest = json_string_value(json_object_get(request, "guest"));
    const char *key = json_string_value(json_object_get(request, "key"));
    /* Whether other machines may come was settled when they could reach the agent. */
    const char *const more[] = { RUN_ON, key ? NULL : "--insecure", NULL };
    char uri[256];
    int ret = 0;

    if (agent->child.process.pid > 0)
        return ferry_error_set(err, -EBUSY, "a guest is being received already");
    if (!guest || (strcmp(guest, "pattern") && strcmp(guest, "kvm")))
        return ferry_error_set(err, -EINVAL, "no kind of guest that is received here");
    ret = check_settings(settings, err);
    if (ret == 0 && key)
        ret = bench_key_take(&agent->key, key, err);
    if (ret < 0)
        return ret;
    place(agent, request, uri, sizeof(uri));
    return bench_child_start(&agent->child, "recv", uri, guest, settings, key ? agent->key.path : NULL, more, err);
}

static void end_child(struct agent *agent)
{
    bench_child_close(&agent->child);
    bench_key_remove(&agent->key);
}

static void receive(struct agent *agent, const json_t *request)
{
    struct ferry_error err = { 0 };
    int ret = start_child(agent, request, &err);

    if (ret < 0) {
        if (ret != -EBUSY)
            end_child(agent);
        refuse(agent, &err);
    }
}

static int pull(struct agent *agent, const json_t *request, double *rate, struct ferry_error *err)
{
    json_int_t streams = json_integer_value(json_object_get(request, "streams"));
    json_int_t duration_ns = json_integer_value(json_object_get(request, "duration-ns"));
    struct ferry_listener *listener;
    char uri[256];
    int ret;

    if (streams < 1 || streams > CEILING_STREAMS_MAX || duration_ns < NS_PER_MS || duration_ns > DURATION_MAX)
        return ferry_error_set(err, -EINVAL, "streams from 1 to %d, for 1 ms to 10 s", CEILING_STREAMS_MAX);
    place(agent, request, uri, sizeof(uri));
    listener = ferry_listener_open(uri, err);
    if (!listener)
        return err->errnum;
    tell(agent, json_pack("{s:s, s:s}", "event", "listening", "address", ferry_listener_address(listener)));
    ret = ceiling_pull(listener, (unsigned)streams, duration_ns, rate, err);
    ferry_listener_free(listener);
    return ret;
}

static void ceiling(struct agent *agent, const json_t *request)
{
    struct ferry_error err = { 0 };
    double rate = 0;

    if (pull(agent, request, &rate, &err) < 0)
        refuse(agent, &err);
    else
        tell(agent, json_pack("{s:s, s:f}", "event", "ceiling", "bytes-per-second", rate));
}

static void on_request(void *opaque, json_t *request)
{
    const char *what = json_string_value(json_object_get(request, "do"));
    struct agent *agent = opaque;
    struct ferry_error err;

    if (what && !strcmp(what, "receive")) {
        receive(agent, request);
    } else if (what && !strcmp(what, "ceiling")) {
        ceiling(agent, request);
    } else if (what && !strcmp(what, "stop")) {
        process_signal(&agent->child.process, SIGTERM);
    } else {
        ferry_error_set(&err, -ENOTSUP, "that is not done here: this is version %d", AGENT_VERSION);
        refuse(agent, &err);
    }
}

static void on_event(void *opaque, struct process *process, json_t *object)
{
    tell(opaque, json_incref(object));
}

static void read_child(struct agent *agent)
{
    char words[CHILD_WORDS_BYTES];
    json_t *text;

    process_read(&agent->child.process, on_event, agent);
    if (!agent->child.process.ended)
        return;
    bench_child_words(&agent->child, words);
    if (!(text = json_string(words))) /* no UTF-8 */
        text = json_string("");
    tell(agent,
         json_pack("{s:s, s:i, s:o}", "event", "ended", "status", agent->child.process.exit_status, "words", text));
    end_child(agent);
}

void agent_serve(int fd, const char *listen)
{
    struct agent agent = { .fd = fd, .listen = listen };

    bench_child_init(&agent.child);
    tell(&agent, json_pack("{s:s, s:s, s:i, s:o}", "event", "hello", "version", FERRY_VERSION, "agent", AGENT_VERSION,
                           "hardware", agent_hardware()));
    while (!agent.gone) {
        struct pollfd fds[] = { { .fd = fd, .events = POLLIN }, { .fd = agent.child.process.fd, .events = POLLIN } };

        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents)
            read_child(&agent);
        if (fds[0].revents) {
            ssize_t got = json_lines_read(&agent.lines, fd, on_request, &agent);

            agent.gone = agent.gone || (got <= 0 && got != -EAGAIN);
        }
    }
    end_child(&agent);
    json_lines_clear(&agent.lines);
}

json_t *agent_hardware(void)
{
    struct utsname name = { 0 };
    struct sysinfo info = { 0 };
    json_int_t mem;

    uname(&name);
    sysinfo(&info);
    mem = (json_int_t)((uint64_t)info.totalram * info.mem_unit >> 20);
    return json_pack("{s:I, s:I, s:s, s:s, s:s}", "cpus", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "mem", mem, "host",
                     name.nodename, "kernel", name.release, "machine", name.machine);
}
