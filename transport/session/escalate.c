/* SPDX-License-Identifier: BSD-3-Clause */
/* escalate.c - does what helps a migration converge, in the order of option `escalate`, and keeps account of it */
#include "escalate.h"

#include "clock.h"
#include "guest_parts.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *ferry_step_outcome_name(enum ferry_step_outcome outcome)
{
    static const char *const names[] = { "open", "kept", "undone", "impossible" };

    return outcome <= FERRY_STEP_IMPOSSIBLE ? names[outcome] : "none";
}

/* What QEMU calls auto-converge and dirty-limit is a ladder that begins with throttling. */
static void throttle_first(struct ladder *ladder)
{
    for (unsigned i = 0; i < ladder->count; i++)
        if (ladder->rung[i] == RUNG_THROTTLE)
            return;
    memmove(ladder->rung + 1, ladder->rung, ladder->count * sizeof(ladder->rung[0]));
    ladder->rung[0] = RUNG_THROTTLE;
    ladder->count++;
}

void escalate_begin(struct escalate *escalate, struct ferry_session *session, struct source_pages *pages)
{
    const struct ferry_options *options = &session->options;

    escalate->session = session;
    escalate->pages = pages;
    (void)!ladder_parse(options->escalate, &escalate->ladder, NULL); /* checked when it was set */
    if (options->auto_converge || options->dirty_limit)
        throttle_first(&escalate->ladder);
    escalate->ladder.terms = (struct ladder_throttle){
        .initial = (unsigned)options->cpu_throttle_initial,
        .increment = (unsigned)options->cpu_throttle_increment,
        .most = (unsigned)options->max_cpu_throttle,
        .target_bytes_per_sec = options->dirty_limit ? options->vcpu_dirty_limit : 0,
    };
    escalate->throttle.bearable = (unsigned)options->throttle_bearable;
    escalate->throttle.peak_ns = options->throttle_peak_ns;
}

/* ---- account --------------------------------------------------------------------------------------------------- */

static struct ferry_step *last_step(struct ferry_escalation_stats *stats)
{
    return stats->count > 0 && stats->count <= FERRY_STEPS_SHOWN ? &stats->step[stats->count - 1] : NULL;
}

static void note_step(struct escalate *escalate, const struct ladder_move *move, const struct ferry_step_rates *rates,
                      unsigned value, const char *impossible)
{
    struct ferry_stats *stats = session_stats_lock(escalate->session);
    struct ferry_step *step;

    stats->escalation.count++;
    step = last_step(&stats->escalation);
    if (step) {
        *step = (struct ferry_step){
            .value = value,
            .at_ns = clock_now_ns() - escalate->session->started_ns,
            .round = stats->ram.rounds,
            .before = *rates,
            .outcome = impossible ? FERRY_STEP_IMPOSSIBLE : FERRY_STEP_OPEN,
        };
        snprintf(step->what, sizeof(step->what), "%s", ladder_rung_name(move->rung));
        snprintf(step->note, sizeof(step->note), "%.120s", impossible ? impossible : "");
    }
    session_stats_unlock(escalate->session);
    log_info(LOG_PRECOPY, "escalate: %s %u%s%s", ladder_rung_name(move->rung), value,
             impossible ? ", impossible: " : "", impossible ? impossible : "");
}

/* The round under the last step is over. */
static void close_step(struct escalate *escalate, const struct ferry_step_rates *rates, bool kept)
{
    struct ferry_stats *stats = session_stats_lock(escalate->session);
    struct ferry_step *step = last_step(&stats->escalation);

    if (step && step->outcome == FERRY_STEP_OPEN) {
        step->after = *rates;
        step->outcome = kept ? FERRY_STEP_KEPT : FERRY_STEP_UNDONE;
    }
    session_stats_unlock(escalate->session);
}

/* ---- throttling ------------------------------------------------------------------------------------------------ */

/* By so much from now on; what the guest says to that. */
static int tell_guest(struct escalate *escalate, unsigned percent, struct ferry_error *err)
{
    const struct ferry_guest *guest = escalate->session->guest;
    int ret = 0;

    if (percent == escalate->told)
        return 0;
    if (!guest->ops->throttle)
        return ferry_error_set(err, -ENOTSUP, "this guest cannot be held back");
    ret = guest->ops->throttle(guest->opaque, percent, err);
    if (ret == 0)
        escalate->told = percent;
    return ret;
}

static void note_throttle(struct escalate *escalate)
{
    struct ferry_stats *stats = session_stats_lock(escalate->session);

    stats->escalation.throttle_percent = escalate->told;
    stats->escalation.throttled_ns = (int64_t)escalate->throttle.held_ns;
    session_stats_unlock(escalate->session);
}

static int throttle_by(struct escalate *escalate, unsigned percent, struct ferry_error *err)
{
    int ret = tell_guest(escalate, throttle_want(&escalate->throttle, percent, clock_now_ns()), err);

    note_throttle(escalate);
    return ret;
}

void escalate_look(struct escalate *escalate)
{
    struct ferry_error why;

    if (escalate->told == 0)
        return;
    if (tell_guest(escalate, throttle_look(&escalate->throttle, clock_now_ns()), &why) < 0)
        log_warn(LOG_PRECOPY, "%s", why.text);
    note_throttle(escalate);
}

void escalate_end(struct escalate *escalate)
{
    struct ferry_error why;

    if (escalate->session && escalate->told > 0 && throttle_by(escalate, 0, &why) < 0)
        log_warn(LOG_PRECOPY, "the guest is held back still: %s", why.text);
}

/* ---- rungs: 0 and *value, or why not ----------------------------------------------------------------------------- */

static int use_all_channels(struct escalate *escalate, unsigned *value, struct ferry_error *err)
{
    unsigned more = source_pages_use_all(escalate->pages, value);

    return more > 0 ? 0 : ferry_error_set(err, -EALREADY, "all %u that are connected are in use", *value);
}

static int compress(struct escalate *escalate, struct ferry_error *err)
{
    struct ferry_session *session = escalate->session;

    if (atomic_load(&session->compress) != COMPRESS_NONE)
        return ferry_error_set(err, -EALREADY, "pages are compressed already");
    return ferry_session_set_option(session, "compress", "auto", err);
}

static int carry_out(struct escalate *escalate, const struct ladder_move *move, unsigned *value,
                     struct ferry_error *err)
{
    *value = 0;
    switch (move->rung) {
    case RUNG_CHANNELS:
        return use_all_channels(escalate, value, err);
    case RUNG_COMPRESS:
        return compress(escalate, err);
    case RUNG_THROTTLE:
        *value = move->percent;
        return throttle_by(escalate, move->percent, err);
    case RUNG_POSTCOPY:
        return ferry_session_start_postcopy(escalate->session, err);
    default:
        return 0;
    }
}

/* ---- after each round ------------------------------------------------------------------------------------------ */

static int give_up(const struct converge_figures *figures, const struct converge_decision *decision,
                   struct ferry_error *err)
{
    ferry_error_set_code(err, FERRY_E_CANNOT_CONVERGE, -ETIME,
                         "cannot converge: the guest writes %" PRIu64 " MiB/s and the channel carries %" PRIu64
                         " MiB/s; %" PRIu64 " MiB/s would be needed",
                         figures->dirty_bytes_per_sec >> 20, figures->bytes_per_sec >> 20,
                         decision->needed_bytes_per_sec >> 20);
    ferry_error_hint(err, "raise max-bandwidth or downtime-limit, or slow the guest down");
    return -ETIME;
}

/* Patience is at an end. */
static bool is_hopeless(struct escalate *escalate, enum ferry_verdict verdict)
{
    uint64_t patience = atomic_load(&escalate->session->give_up_after);

    escalate->hopeless = verdict == FERRY_VERDICT_CANNOT ? escalate->hopeless + 1 : 0;
    return patience > 0 && escalate->hopeless >= patience;
}

/* Down the list until something can be done.  True: the end. */
static bool climb(struct escalate *escalate, struct ladder_move move, const struct ferry_step_rates *rates)
{
    struct ferry_error why = { 0 };
    unsigned value;

    while (move.rung != RUNGS) {
        int ret = carry_out(escalate, &move, &value, &why);

        note_step(escalate, &move, rates, value, ret < 0 ? why.text : NULL);
        if (ret == 0)
            return move.rung == RUNG_GIVE_UP;
        move = ladder_instead(&escalate->ladder, &move, rates);
    }
    return false;
}

int escalate_round(struct escalate *escalate, const struct converge_figures *figures,
                   const struct converge_decision *decision, struct ferry_error *err)
{
    const struct ferry_step_rates rates = { figures->bytes_per_sec, figures->dirty_bytes_per_sec };
    bool kept = ladder_judge(&escalate->ladder, &rates);

    close_step(escalate, &rates, kept);
    if (!kept && throttle_by(escalate, escalate->ladder.percent, err) < 0)
        return err && err->errnum ? err->errnum : -EIO;
    if (is_hopeless(escalate, decision->verdict) ||
        climb(escalate, ladder_next(&escalate->ladder, decision->verdict, &rates), &rates))
        return give_up(figures, decision, err);
    return 0;
}
