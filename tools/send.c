/* SPDX-License-Identifier: BSD-3-Clause */
/* send.c - `ferry send`: make a guest, run it, move it to a destination */
#include "commands.h"
#include "plan_live.h"
#include "service.h"
#include "side_qmp.h"
#include "units.h"
#include "uri.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct args_row rows[] = {
    { "guest", "SPEC", "the guest to move (needed)" },
    { "figures-every", "TIME", "how often an event tells how it goes [100ms]" },
    { "plan-first", "TIME", "predict it by what the guest writes in so long: an event of --events" },
    { "plan-link", "RATE", "for --plan-first: the link is known to carry no more" },
    { "insecure", NULL, "let other machines read --metrics" },
    { NULL },
};

const struct args_command send_form = {
    .name = "send",
    .positional = "URI",
    .summary = "move a running guest to a destination",
    .about = "  URI   tcp:HOST:PORT  unix:PATH  unix:@NAME  vsock:CID:PORT  fd:N  exec:COMMAND\n"
             "        file:PATH[,offset=N]\n"
             "  SPEC  pattern:size=1GiB,dirty=200MiB/s,hot=25%,zero=30%,content=random\n"
             "        kvm:size=1GiB,dirty=50MiB/s,threads=2,dirty-log=bitmap|ring|uffd\n",
    .examples = "  ferry send tcp:192.0.2.7:4444 --guest pattern:size=4GiB,dirty=200MiB/s\n"
                "  ferry send unix:/run/m.sock --guest pattern:size=1GiB --max-bandwidth 1Gbit/s\n"
                "  ferry send exec:'gzip > guest.gz' --guest pattern:size=64MiB,content=text\n",
    .rows = rows,
    .common = side_rows,
    .may_omit = true,
    .session = true,
};

static int make_guest(void *opaque)
{
    struct side *side = opaque;

    side->made.guest = bench_guest_new(args_value(side->args, "guest"), &side->made.err);
    return side->made.guest ? 0 : side->made.err.errnum;
}

static int make_session(void *opaque)
{
    struct side *side = opaque;

    side->made.session =
        ferry_source_connect(bench_guest_ferry(side->guest), side->uri, args_options(side->args), &side->made.err);
    return side->made.session ? 0 : side->made.err.errnum;
}

static bool is_to_pause(const struct side *side)
{
    char value[8];

    return ferry_options_get(args_options(side->args), "pause-before-switchover", value, sizeof(value), NULL) == 0 &&
           !strcmp(value, "on");
}

static int check_usage(struct side *side, struct ferry_error *err)
{
    struct uri uri;

    side->uri = args_positional(side->args);
    if (!args_needed(side->args, "guest", err) || side_qmp_check(side, err) < 0)
        return -EINVAL;
    if (!side->qmp && is_to_pause(side)) {
        ferry_error_set(err, -EINVAL, "--pause-before-switchover: nobody could say that the guest may go");
        ferry_error_hint(err, "with --qmp a client can, by migrate-continue");
        return -EINVAL;
    }
    if (side_qmp_deferred(side))
        return 0;
    if (uri_parse(side->uri, &uri, err) < 0)
        return -EINVAL;
    uri_clear(&uri);
    return 0;
}

static int plan_guest(void *opaque)
{
    struct side *side = opaque;
    struct plan_look look = { .guest = side->guest, .uri = side->uri, .options = args_options(side->args) };
    struct plan_report report = { 0 };
    const char *link = args_value(side->args, "plan-link");
    uint64_t most = UNITS_UNLIMITED;
    int ret = args_time(side->args, "plan-first", 0, &look.for_ns, &side->made.err);

    if (ret == 0 && link)
        ret = units_parse_rate(link, &most, &side->made.err);
    if (ret == 0)
        ret = plan_look(&look, &report, &side->made.err);
    if (ret < 0)
        return ret;
    if ((double)most < report.terms.link.bytes_per_sec)
        report.terms.link.bytes_per_sec = (double)most;
    plan_add_settings(look.options, &report.terms);
    plan_report_make(&report);
    side->made.plan = plan_report_json(&report);
    json_decref(report.measured);
    return 0;
}

/* What cannot be predicted may be done all the same. */
static int tell_plan(struct side *side, struct ferry_error *err)
{
    int ret = args_value(side->args, "plan-first") ? side_run(side, plan_guest, NULL, err) : 0;

    if (ret == -EINTR)
        return ret;
    if (ret < 0)
        side_tell(side, "plan", json_pack("{s:s}", "error", ferry_error_text(err)));
    else
        side_tell(side, "plan", side->made.plan);
    side->made.plan = NULL;
    side->made.err = (struct ferry_error){ 0 };
    return 0;
}

static enum exit_status send_guest(struct side *side)
{
    struct ferry_error err = { 0 };

    if (tell_plan(side, &err) < 0)
        return side_failed(side, "plan", &err);
    err = (struct ferry_error){ 0 };
    side_say(side, "connecting to %s", side->uri);
    side_tell(side, "connecting", json_pack("{s:s}", "address", side->uri));
    if (side_run(side, make_session, NULL, &err) < 0)
        return side_failed(side, "connect", &err);
    side->session = side->made.session;
    service_ready();
    return side_migrate(side, &err) < 0 ? side_failed(side, NULL, &err) : EXIT_DONE;
}

/* The guest runs; it leaves once, or as often as a client asks until it has left. */
static enum exit_status send_when_asked(struct side *side)
{
    enum exit_status status = EXIT_DONE;
    struct ferry_error err = { 0 };

    if (bench_guest_start(side->guest, &err) < 0 || side_qmp_start(side, &err) < 0)
        return side_failed(side, "guest", &err);
    if (!side_qmp_deferred(side)) {
        side_qmp_begin(side);
        return send_guest(side);
    }
    side_say(side, "waiting for commands on %s", args_value(side->args, "qmp"));
    side_tell(side, "waiting", json_pack("{s:s}", "qmp", args_value(side->args, "qmp")));
    while ((side->uri = side_qmp_wait(side)))
        status = send_guest(side);
    return status;
}

int send_main(int argc, char **argv)
{
    struct ferry_error err = { 0 };
    enum exit_status status;
    struct side *side = side_new(&send_form, "source", argc, argv, &status);
    char title[320];

    if (!side)
        return status;
    if (check_usage(side, &err) < 0)
        return side_usage(side, &err);
    side_say(side, "making the guest: %s", args_value(side->args, "guest"));
    if (side_make_guest(side, make_guest, &err) < 0) {
        if (side_is_usage(&err))
            return side_usage(side, &err);
        return side_end(side, side_failed(side, "guest", &err), NULL);
    }
    status = send_when_asked(side);
    snprintf(title, sizeof(title), "sent to %s", side->report.stats.channel);
    return side_end(side, status, status == EXIT_DONE && side->session ? title : NULL);
}
