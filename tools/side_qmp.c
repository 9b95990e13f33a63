/* SPDX-License-Identifier: BSD-3-Clause */
/* side_qmp.c - one side of a migration, told what to do by QMP (option --qmp) */
#include "side_qmp.h"

#include "qmp_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct side_qmp {
    struct qmp_server *server;
    struct qmp_control *control; /* NULL until there is a guest */
    bool deferred;
};

int side_qmp_open(const struct args *args, struct side_qmp **qmp, struct ferry_error *err)
{
    const char *address = args_value(args, "qmp");

    if (!address)
        return 0;
    *qmp = calloc(1, sizeof(**qmp));
    if (!*qmp)
        return ferry_error_set(err, -ENOMEM, "no memory for QMP");
    (*qmp)->server = qmp_server_new(address, err);
    return (*qmp)->server ? 0 : -EINVAL;
}

void side_qmp_free(struct side_qmp *qmp)
{
    if (!qmp)
        return;
    qmp_server_free(qmp->server);
    qmp_control_free(qmp->control);
    free(qmp);
}

bool side_qmp_deferred(const struct side *side)
{
    return side->qmp && side->qmp->deferred;
}

int side_qmp_check(struct side *side, struct ferry_error *err)
{
    if (side->uri && *side->uri)
        return 0;
    if (side->qmp) {
        side->qmp->deferred = true;
        return 0;
    }
    ferry_error_set(err, -EINVAL, "the URI is missing");
    ferry_error_hint(err, "with --qmp it may come from there");
    return -EINVAL;
}

int side_qmp_start(struct side *side, struct ferry_error *err)
{
    struct qmp_terms terms = {
        .is_source = !strcmp(side->report.side, "source"),
        .deferred = side_qmp_deferred(side),
        .options = args_options(side->args),
        .post = qmp_server_post,
    };
    int ret;

    if (!side->qmp)
        return 0;
    terms.insecure = !terms.is_source && args_value(side->args, "insecure");
    terms.guest = bench_guest_ferry(side->guest);
    terms.opaque = side->qmp->server;
    side->qmp->control = qmp_control_new(&terms, err);
    if (!side->qmp->control)
        return -ENOMEM;
    ret = ferry_guest_add_notifier(terms.guest, qmp_control_notice, side->qmp->control, err);
    return ret < 0 ? ret : qmp_server_start(side->qmp->server, side->qmp->control, err);
}

static int wait_work(void *opaque)
{
    struct side *side = opaque;

    return qmp_control_wait(side->qmp->control);
}

static void wait_interrupt(void *opaque)
{
    struct side *side = opaque;

    qmp_control_quit(side->qmp->control);
}

/* What a migration that came to nothing left behind. */
static void forget(struct side *side)
{
    ferry_session_free(side->session);
    side->session = NULL;
    side->made = (struct side_made){ 0 };
    side->report = (struct report){ .side = side->report.side };
}

const char *side_qmp_wait(struct side *side)
{
    static const struct await_ops ops = { .work = wait_work, .interrupt = wait_interrupt };
    struct ferry_error err = { 0 };

    if (await_run(side->await, &ops, side, &err) < 0)
        return NULL;
    forget(side);
    return qmp_control_take(side->qmp->control, args_options_to_change(side->args), &side->listener);
}

static struct qmp_control *control_of(const struct side *side)
{
    return side->qmp ? side->qmp->control : NULL;
}

void side_qmp_begin(struct side *side)
{
    qmp_control_begin(control_of(side));
}

void side_qmp_attach(struct side *side)
{
    qmp_control_attach(control_of(side), side->session);
}

void side_qmp_detach(struct side *side, const struct ferry_error *err)
{
    qmp_control_detach(control_of(side), &side->report.stats, err);
}

bool side_qmp_await_resume(struct side *side)
{
    return control_of(side) && qmp_control_await_resume(control_of(side));
}

void side_qmp_give_up(struct side *side)
{
    if (control_of(side))
        qmp_control_give_up(control_of(side));
}

void side_qmp_leave(struct side *side)
{
    if (!side->qmp)
        return;
    qmp_server_free(side->qmp->server);
    side->qmp->server = NULL;
}

bool side_qmp_quits(const struct side *side)
{
    return control_of(side) && qmp_control_quits(control_of(side));
}

void side_qmp_stopped(struct side *side)
{
    if (control_of(side))
        qmp_control_stopped(control_of(side));
}
