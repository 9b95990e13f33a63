/* SPDX-License-Identifier: BSD-3-Clause */
/* serve.c - `ferry recv --serve`: one migration after another, on the same sockets
 *
 *     sockets --- listener_again ---> session --- report --.
 *        ^                                                 |
 *        '------------- a new guest <----------------------'
 *
 * A session closes its listener as soon as its source has come, so each gets one of its own.  Sources that come later
 * wait in the kernel's queue, and give up after their own setup-timeout.
 *
 * A guest whose memory stopped coming in the middle of postcopy cannot be put away: its threads wait for pages.  It is
 * the last one, and goes with the process.
 */
#include "serve.h"

#include "await.h"
#include "listener.h"
#include "service.h"

#include <errno.h>
#include <poll.h>

#define RETRY_MS 1000 /* after something here failed, not in a migration */

/* Whatever is short (memory, descriptors, a journal that is held) may be there again later. */
static void pause_a_little(struct side *side)
{
    struct pollfd fd = { .fd = await_fd(side->await), .events = POLLIN };

    if (poll(&fd, 1, RETRY_MS) > 0)
        await_take(side->await);
}

static bool somebody_came(const struct side *side)
{
    return side->report.stats.peer.dialect[0] != '\0';
}

static bool is_to_end(const struct side *side)
{
    return await_signal(side->await) || side->report.error.code == FERRY_E_NOBODY_CONNECTED;
}

static bool is_stuck(const struct side *side)
{
    return side->report.stats.phase == FERRY_PHASE_POSTCOPY_PAUSED;
}

/* Returns false when the service is to end. */
static bool serve_one(struct side *side, const struct serve_ops *ops, const struct ferry_listener *sockets,
                      unsigned done)
{
    struct ferry_error err = { 0 };
    char title[384] = "";

    service_status("waiting on %s, %u done", ferry_listener_address(sockets), done);
    if (!side->guest && side_make_guest(side, ops->make_guest, &err) < 0) {
        side_failed(side, "guest", &err);
    } else {
        side->listener = listener_again(sockets, &err);
        if (side->listener)
            ops->receive(side, title, sizeof(title));
        else
            side_failed(side, "listen", &err);
    }
    if (somebody_came(side) || !is_to_end(side))
        side_report(side, title[0] ? title : NULL);
    if (!somebody_came(side) && !is_to_end(side))
        pause_a_little(side);
    return !is_to_end(side) && !is_stuck(side);
}

enum exit_status serve(struct side *side, const struct serve_ops *ops)
{
    struct ferry_listener *sockets = side->listener;
    unsigned done = 0;

    side->listener = NULL;
    side->to.many = true;
    while (serve_one(side, ops, sockets, done)) {
        side_next(side);
        side_tell(side, "next", json_pack("{s:i}", "done", (int)++done));
    }
    service_stopping();
    ferry_listener_free(sockets);
    if (is_stuck(side)) {
        side_say(side, "the guest that is here waits for memory that does not come, and none can be taken beside it");
        return side_close(side, EXIT_UNCERTAIN);
    }
    side_say(side, "%s", await_signal(side->await) ? "told to end" : "nobody comes any more");
    return side_close(side, EXIT_DONE);
}
