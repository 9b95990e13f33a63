/* SPDX-License-Identifier: BSD-3-Clause */
/* departure.c - what the source asks and tells its devices while the guest leaves, step by step */
#include "departure.h"

#include "capabilities.h"
#include "clock.h"
#include "guest_parts.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>

#define ASK_AGAIN_NS (5 * NS_PER_MS) /* after "not yet", at the least */

int departure_allowed(struct ferry_guest *guest, struct ferry_error *err)
{
    return blockers_check(&guest->blockers, err);
}

static int tell(const struct departure *departure, enum ferry_migration_state state, struct ferry_error *err)
{
    return notify_step(&departure->session->guest->notifiers, FERRY_SIDE_SOURCE, state, err);
}

/* Capabilities of devices that both sides have. */
static uint64_t agreed(struct ferry_session *session)
{
    uint64_t capabilities = session_stats_lock(session)->peer.device;

    session_stats_unlock(session);
    return capabilities;
}

int departure_begin(struct departure *departure, struct ferry_session *session, struct ferry_writer *writer,
                    struct ferry_error *err)
{
    int ret = blockers_claim(&session->guest->blockers, err);

    if (ret < 0)
        return ret;
    departure->session = session;
    departure->ack_wanted = agreed(session) & CAPABILITY_SWITCHOVER_ACK;
    ret = tell(departure, FERRY_MIGRATION_NONE, err);
    if (ret == 0)
        ret = tell(departure, FERRY_MIGRATION_SETUP, err);
    if (ret == 0)
        ret = iterative_begin(&departure->iterative, &session->guest->iterative, writer, err);
    return ret;
}

int departure_setup(struct departure *departure, uint32_t first_id, struct ferry_error *err)
{
    departure->next_id = first_id + departure->iterative.count;
    return iterative_setup(&departure->iterative, first_id, err);
}

uint32_t departure_next_id(const struct departure *departure)
{
    return departure->next_id;
}

int departure_active(struct departure *departure, struct ferry_error *err)
{
    return tell(departure, FERRY_MIGRATION_ACTIVE, err);
}

int departure_some(struct departure *departure, bool *more, struct ferry_error *err)
{
    return iterative_some(&departure->iterative, more, err);
}

uint64_t departure_pending(struct departure *departure)
{
    return iterative_pending(&departure->iterative);
}

/* Some milliseconds, or until somebody cancels. */
static int wait_a_little(struct ferry_session *session, struct ferry_error *err)
{
    struct timespec until = clock_timespec(clock_now_ns() + ASK_AGAIN_NS);
    bool cancelled;
    int ret = 0;

    pthread_mutex_lock(&session->lock);
    while (!session->progress.cancel && ret == 0)
        ret = pthread_cond_timedwait(&session->changed, &session->lock, &until);
    cancelled = session->progress.cancel;
    pthread_mutex_unlock(&session->lock);
    return cancelled ? ferry_error_set(err, -ECANCELED, "the migration was cancelled") : 0;
}

/* A device says "not yet" because of @why: 0 to ask again later, 1 to switch all the same, or the end. */
static int not_yet(struct departure *departure, const struct ferry_error *why, struct ferry_error *err)
{
    const struct ferry_options *options = &departure->session->options;
    int64_t now = clock_now_ns();

    if (!departure->not_yet_since_ns) {
        departure->not_yet_since_ns = now;
        log_info(LOG_SESSION, "not yet: %s", why->text);
    }
    if ((uint64_t)(now - departure->not_yet_since_ns) < options->not_yet_limit_ns)
        return 0;
    if (options->not_yet_policy == NOT_YET_FORCE) {
        log_warn(LOG_SESSION, "switching all the same after %" PRIu64 " ms of \"not yet\": %s",
                 options->not_yet_limit_ns / NS_PER_MS, why->text);
        return 1;
    }
    ferry_error_set_code(err, FERRY_E_DEVICE_NOT_READY, -ETIMEDOUT,
                         "after %" PRIu64 " ms still not ready to be moved: %.400s",
                         options->not_yet_limit_ns / NS_PER_MS, why->text);
    ferry_error_hint(err, "raise not-yet-limit, or let not-yet-policy be force");
    return -ETIMEDOUT;
}

int departure_may_switch(struct departure *departure, bool acked, bool *now, struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    int ret = 0;

    *now = acked || !departure->ack_wanted;
    if (*now) {
        ret = rules_may_switch(&departure->session->guest->rules, &why);
        if (ret == -EAGAIN) {
            ret = not_yet(departure, &why, err);
            *now = ret == 1;
        } else if (ret < 0 && err) {
            *err = why;
        }
    }
    if (ret < 0)
        return ret;
    return *now ? tell(departure, FERRY_MIGRATION_PRE_SWITCHOVER, err) : wait_a_little(departure->session, err);
}

int departure_paused(struct departure *departure, struct ferry_error *err)
{
    return notify_paused(&departure->session->guest->notifiers, err);
}

int departure_stopped(struct departure *departure, struct ferry_error *err)
{
    return tell(departure, FERRY_MIGRATION_DEVICE, err);
}

const struct page_parts_source *departure_parts(struct departure *departure)
{
    return agreed(departure->session) & CAPABILITY_DEVICE_PARTS ? iterative_parts(&departure->iterative) : NULL;
}

int departure_complete(struct departure *departure, struct ferry_error *err)
{
    return iterative_complete(&departure->iterative, err);
}

int departure_complete_before(struct departure *departure, struct ferry_error *err)
{
    return iterative_complete_before(&departure->iterative, err);
}

int departure_complete_postcopy(struct departure *departure, struct ferry_error *err)
{
    return iterative_complete_postcopy(&departure->iterative, err);
}

int departure_resume(struct departure *departure, struct ferry_error *err)
{
    return iterative_resume(&departure->iterative, err);
}

void departure_stats(const struct departure *departure, struct ferry_stats *stats)
{
    stats->wire.iterative_bytes = departure->iterative.bytes + atomic_load(&departure->iterative.parts_bytes);
}

void departure_end(struct departure *departure, int ret, bool guest_runs)
{
    if (!departure->session)
        return;
    iterative_end(&departure->iterative);
    notify_end(&departure->session->guest->notifiers, FERRY_SIDE_SOURCE, ret == 0, guest_runs);
    blockers_release(&departure->session->guest->blockers);
    departure->session = NULL;
}
