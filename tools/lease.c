/* SPDX-License-Identifier: BSD-3-Clause */
/* lease.c - the end of a migration left something to decide: the guest is kept, until it is decided or let go */
#include "lease.h"

#include "clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOOK_MS 100

struct lease {
    struct side *side;
    const char *journal; /* the other side's; NULL: nobody names one */
    int64_t until_ns;
    int let_go; /* an eventfd */
    struct ferry_error last;
};

/* A copy may be under way: whatever is wrong with it now, it is looked at again. */
static bool is_settled(struct lease *lease)
{
    struct ferry_error why = { 0 };

    if (!lease->journal || access(lease->journal, F_OK) < 0)
        return false;
    if (ferry_session_settle(lease->side->session, lease->journal, &why) == 0)
        return true;
    lease->last = why;
    return ferry_session_wait(lease->side->session, 0, NULL) != -EOWNERDEAD; /* decided, but the guest does not start */
}

/* 0: settled. */
static int wait_work(void *opaque)
{
    struct lease *lease = opaque;
    struct pollfd fd = { .fd = lease->let_go, .events = POLLIN };

    while (!is_settled(lease)) {
        int left_ms = clock_left_ms(lease->until_ns);

        if (left_ms == 0 || poll(&fd, 1, left_ms < LOOK_MS ? left_ms : LOOK_MS) > 0)
            return -EOWNERDEAD;
    }
    return 0;
}

static void wait_interrupt(void *opaque)
{
    struct lease *lease = opaque;

    side_say(lease->side, "letting go: %s", strsignal(await_signal(lease->side->await)));
    eventfd_write(lease->let_go, 1);
}

int lease_wait(struct side *side, struct ferry_error *err)
{
    static const struct await_ops ops = { .work = wait_work, .interrupt = wait_interrupt };
    int ms = args_option_ms(side->args, "lease");
    struct lease lease = { .side = side, .journal = args_value(side->args, "other-journal") };
    struct ferry_error why = { 0 };
    int ret;

    if (ms == 0)
        return -EOWNERDEAD;
    lease.let_go = eventfd(0, EFD_CLOEXEC);
    if (lease.let_go < 0)
        return -EOWNERDEAD;
    lease.until_ns = clock_deadline_ns(ms);
    side_say(side, "it is not decided who may run the guest, which is kept here, stopped, for %d s", ms / 1000);
    side_tell(side, "kept", json_pack("{s:i}", "lease", ms));
    ret = await_run(side->await, &ops, &lease, &why);
    close(lease.let_go);
    if (ret == 0) {
        *err = (struct ferry_error){ 0 };
        return ferry_session_wait(side->session, 0, err);
    }
    if (lease.last.errnum)
        side_say(side, "%s", ferry_error_text(&lease.last));
    ferry_session_release(side->session);
    return -EOWNERDEAD;
}
