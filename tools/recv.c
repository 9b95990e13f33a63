/* SPDX-License-Identifier: BSD-3-Clause */
/* recv.c - `ferry recv`: receive a guest, check every page of it, let it run on */
#include "clock.h"
#include "commands.h"
#include "exposed.h"
#include "listener.h"
#include "serve.h"
#include "service.h"
#include "side_qmp.h"
#include "units.h"
#include "uri.h"

#include <errno.h>
#include <stdio.h>

static const struct args_row rows[] = {
    { "guest", "KIND", "what kind of guest comes: pattern, kvm (needed)" },
    { "run-on", "TIME", "let it run for so long and check it again [1s]" },
    { "timeout", "TIME", "how long to wait for a (next) source [for ever]" },
    { "serve", NULL, "one migration after another, each a line of --json" },
    { "insecure", NULL, "listen where other machines can connect, unencrypted" },
    { NULL },
};

const struct args_command recv_form = {
    .name = "recv",
    .positional = "URI",
    .summary = "receive a guest, check every page of it, run it",
    .about = "  URI   tcp:HOST:PORT (0: a free port)  unix:PATH  unix:@NAME  vsock:CID:PORT\n"
             "        fd:N  exec:COMMAND  file:PATH[,offset=N]\n"
             "        without it: the socket of a service manager (LISTEN_FDS)\n",
    .examples = "  ferry recv tcp:127.0.0.1:4444 --guest pattern\n"
                "  ferry recv tcp::4444 --guest pattern --tls-creds keys.psk --serve\n"
                "  ferry recv exec:'zcat guest.gz' --guest pattern\n",
    .rows = rows,
    .common = side_rows,
    .may_omit = true,
    .session = true,
};

static int make_guest(void *opaque)
{
    struct side *side = opaque;

    side->made.guest = bench_guest_incoming(args_value(side->args, "guest"), &side->made.err);
    return side->made.guest ? 0 : side->made.err.errnum;
}

/* How long, once check_usage() has passed. */
static uint64_t time_given(const struct side *side, const char *name, uint64_t fallback)
{
    uint64_t ns;

    return args_time(side->args, name, fallback, &ns, NULL) < 0 ? fallback : ns;
}

static int verify(void *opaque)
{
    struct side *side = opaque;
    uint64_t run_on_ns = time_given(side, "run-on", NS_PER_SEC);

    return bench_guest_verify(side->guest, run_on_ns, &side->made.verify, &side->made.err);
}

/* Where to listen: what was given, or the socket that a service manager has opened. */
static int find_uri(struct side *side, struct ferry_error *err)
{
    side->uri = args_positional(side->args);
    if (!side->uri)
        side->uri = service_uri(err);
    if (!side->uri)
        return -EINVAL;
    return side_qmp_check(side, err);
}

static int check_usage(const struct side *side, struct ferry_error *err)
{
    struct uri uri;
    uint64_t ns;

    if (!args_needed(side->args, "guest", err) || args_time(side->args, "run-on", 0, &ns, err) < 0 ||
        args_time(side->args, "timeout", 0, &ns, err) < 0)
        return -EINVAL;
    if (side->qmp && args_value(side->args, "serve"))
        return ferry_error_set(err, -EINVAL, "--serve makes a guest for each migration; --qmp is about one");
    if (side_qmp_deferred(side))
        return 0;
    if (uri_parse(side->uri, &uri, err) < 0)
        return -EINVAL;
    uri_clear(&uri);
    return 0;
}

static void announce(struct side *side)
{
    const char *address = ferry_listener_address(side->listener);

    if (side->listener->count > 0)
        side_say(side, "listening on %s", address);
    service_ready();
    side_tell(side, "listening", json_pack("{s:s}", "address", address));
}

/* EXIT_DONE: the guest runs here. */
static enum exit_status receive(struct side *side, struct ferry_error *err)
{
    int timeout_ms = FERRY_NO_DEADLINE;

    if (args_value(side->args, "timeout"))
        timeout_ms = args_ms(time_given(side, "timeout", 0));
    side->session = ferry_destination_listen(bench_guest_ferry(side->guest), side->listener, timeout_ms,
                                             args_options(side->args), err);
    if (!side->session)
        return side_failed(side, "setup", err);
    side->listener = NULL; /* the session's now */
    return side_migrate(side, err) < 0 ? side_failed(side, NULL, err) : EXIT_DONE;
}

/* The guest runs here.  Is it the one that left? */
static enum exit_status judge(struct side *side, struct ferry_error *err)
{
    const struct bench_verify *found = &side->report.verify;
    int ret;

    side_say(side, "the guest runs here; checking every page of it");
    ret = side_run(side, verify, NULL, err);
    side_qmp_stopped(side);
    if (ret == 0) {
        side->report.verify = side->made.verify;
        side->report.verified = true;
        if (found->mismatched == 0 && found->lost_writes == 0)
            return EXIT_DONE;
        ret = ferry_error_set_code(err, FERRY_E_VERIFICATION, -EBADMSG, "verification failed: %s", found->first);
    }
    side_failed(side, "verify", err);
    return EXIT_MISMATCH;
}

static void format_title(const struct side *side, enum exit_status status, char *to, size_t room)
{
    char run_on[32];

    units_format_time(run_on, sizeof(run_on), time_given(side, "run-on", NS_PER_SEC));
    snprintf(to, room, "received from %s%s%s", side->report.stats.channel,
             status == EXIT_DONE ? ", verified, and run on for " : ", but not as it left",
             status == EXIT_DONE ? run_on : "");
}

/* One migration into the guest that was made, over side->listener. */
static enum exit_status receive_one(struct side *side, char *title, size_t room)
{
    struct ferry_error err = { 0 };
    enum exit_status status = receive(side, &err);

    title[0] = '\0';
    if (status != EXIT_DONE)
        return status;
    status = judge(side, &err);
    format_title(side, status, title, room);
    return status;
}

/* Opens side->listener.  EXIT_DONE, or what to end with. */
static enum exit_status listen_at(struct side *side)
{
    struct ferry_error err = { 0 };

    side->listener = ferry_listener_open(side->uri, &err);
    if (!side->listener)
        return side_is_usage(&err) ? side_usage(side, &err) : side_end(side, side_failed(side, "listen", &err), NULL);
    if (!args_value(side->args, "insecure") && !args_encrypts(side->args) && exposed_refuse(side->listener, &err) < 0)
        return side_usage(side, &err);
    if (args_value(side->args, "serve") && !listener_gives_many(side->listener)) {
        ferry_error_set(&err, -EINVAL, "--serve: %s gives one connection only; tcp:, unix: or vsock: is needed",
                        side->uri);
        return side_usage(side, &err);
    }
    return EXIT_DONE;
}

/* A client says where to listen.  It is told how it went, and the report says so in the end. */
static enum exit_status receive_when_asked(struct side *side, char *title, size_t room)
{
    enum exit_status status = EXIT_DONE;

    side_say(side, "waiting for commands on %s", args_value(side->args, "qmp"));
    side_tell(side, "waiting", json_pack("{s:s}", "qmp", args_value(side->args, "qmp")));
    while (side_qmp_wait(side)) {
        announce(side);
        status = receive_one(side, title, room);
    }
    return status;
}

/* Under QMP's eyes, where there is --qmp. */
static enum exit_status receive_at_once(struct side *side, char *title, size_t room)
{
    side_qmp_begin(side);
    return receive_one(side, title, room);
}

int recv_main(int argc, char **argv)
{
    static const struct serve_ops ops = { .make_guest = make_guest, .receive = receive_one };
    struct ferry_error err = { 0 };
    enum exit_status status;
    struct side *side = side_new(&recv_form, "destination", argc, argv, &status);
    char title[384] = "";

    if (!side)
        return status;
    if (find_uri(side, &err) < 0 || check_usage(side, &err) < 0)
        return side_usage(side, &err);
    if (side_make_guest(side, make_guest, &err) < 0)
        return side_is_usage(&err) ? side_usage(side, &err) : side_end(side, side_failed(side, "guest", &err), NULL);
    status = side_qmp_deferred(side) ? EXIT_DONE : listen_at(side);
    if (status != EXIT_DONE)
        return status;
    if (side_qmp_start(side, &err) < 0)
        return side_end(side, side_failed(side, "setup", &err), NULL);
    if (side->listener)
        announce(side);
    if (args_value(side->args, "serve"))
        return serve(side, &ops);
    status = side_qmp_deferred(side) ? receive_when_asked(side, title, sizeof(title))
                                     : receive_at_once(side, title, sizeof(title));
    return side_end(side, status, title[0] ? title : NULL);
}
