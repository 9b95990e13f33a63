/* SPDX-License-Identifier: BSD-3-Clause */
/* ladder.c - what to try next when a migration does not converge
 *
 *      verdict    rung                          dirty rate after it
 *      cannot     channels                      as before: the next rung
 *      cannot     throttle 20 %                 lower: kept
 *      cannot     throttle 30 %                 as before: undone, and the next try goes further
 *      cannot     throttle 50 %                 lower: kept
 *      cannot     ... until `most` brings nothing, then the next rung
 */
#include "ladder.h"

#include <errno.h>
#include <string.h>

#define STALLED_ROUNDS 2 /* in a row are as bad as one that cannot converge */

static const char *const names[RUNGS] = {
    [RUNG_CHANNELS] = "channels", [RUNG_COMPRESS] = "compress", [RUNG_THROTTLE] = "throttle",
    [RUNG_POSTCOPY] = "postcopy", [RUNG_GIVE_UP] = "give-up",
};

const char *ladder_rung_name(enum ladder_rung rung)
{
    return rung < RUNGS ? names[rung] : "none";
}

static enum ladder_rung rung_named(const char *word, size_t bytes)
{
    unsigned rung = 0;

    while (rung < RUNGS && (strlen(names[rung]) != bytes || strncmp(names[rung], word, bytes) != 0))
        rung++;
    return (enum ladder_rung)rung;
}

static bool has(const struct ladder *ladder, enum ladder_rung rung)
{
    for (unsigned i = 0; i < ladder->count; i++)
        if (ladder->rung[i] == rung)
            return true;
    return false;
}

int ladder_parse(const char *text, struct ladder *ladder, struct ferry_error *err)
{
    struct ladder parsed = { 0 };

    for (const char *word = text; *text; word += strcspn(word, ",") + 1) {
        size_t bytes = strcspn(word, ",");
        enum ladder_rung rung = rung_named(word, bytes);

        if (rung == RUNGS)
            return ferry_error_set(err, -EINVAL, "'%.*s' is not one of channels, compress, throttle, postcopy, give-up",
                                   (int)bytes, word);
        if (has(&parsed, rung))
            return ferry_error_set(err, -EINVAL, "'%s' comes twice", names[rung]);
        parsed.rung[parsed.count++] = rung;
        if (word[bytes] == '\0')
            break;
    }
    *ladder = parsed;
    return 0;
}

bool ladder_judge(struct ladder *ladder, const struct ferry_step_rates *rates)
{
    if (ladder->trying == ladder->percent)
        return true;
    if (rates->dirty < ladder->before.dirty - ladder->before.dirty / 20) {
        ladder->percent = ladder->trying;
        ladder->stride = ladder->terms.increment;
        ladder->exhausted = ladder->percent >= ladder->terms.most;
        return true;
    }
    ladder->exhausted = ladder->trying >= ladder->terms.most;
    ladder->trying = ladder->percent;
    ladder->stride *= 2;
    return false;
}

/* By how much the guest would have to be held back to write no more than the target. */
static unsigned percent_for(const struct ladder *ladder, const struct ferry_step_rates *rates)
{
    uint64_t target = ladder->terms.target_bytes_per_sec;
    double unthrottled = (double)rates->dirty * 100 / (100 - ladder->percent);

    if (unthrottled <= (double)target)
        return ladder->percent;
    return (unsigned)(100 - 100 * (double)target / unthrottled + 0.5);
}

static unsigned next_percent(struct ladder *ladder, const struct ferry_step_rates *rates)
{
    unsigned wanted;

    if (ladder->stride == 0)
        ladder->stride = ladder->terms.initial;
    wanted = ladder->percent + ladder->stride;
    if (ladder->terms.target_bytes_per_sec > 0 && percent_for(ladder, rates) > wanted)
        wanted = percent_for(ladder, rates);
    return wanted < ladder->terms.most ? wanted : ladder->terms.most;
}

static struct ladder_move climb(struct ladder *ladder, const struct ferry_step_rates *rates)
{
    struct ladder_move move = { .rung = RUNGS };

    if (ladder->at < ladder->count && ladder->rung[ladder->at] == RUNG_THROTTLE && ladder->exhausted)
        ladder->at++;
    if (ladder->at == ladder->count)
        return move;
    move.rung = ladder->rung[ladder->at];
    if (move.rung == RUNG_THROTTLE) {
        move.percent = next_percent(ladder, rates);
        ladder->trying = move.percent;
        ladder->before = *rates;
    } else {
        ladder->at++;
    }
    return move;
}

struct ladder_move ladder_next(struct ladder *ladder, enum ferry_verdict verdict, const struct ferry_step_rates *rates)
{
    ladder->stalled = verdict == FERRY_VERDICT_STALLED ? ladder->stalled + 1 : 0;
    if (verdict != FERRY_VERDICT_CANNOT && ladder->stalled < STALLED_ROUNDS)
        return (struct ladder_move){ .rung = RUNGS };
    ladder->stalled = 0;
    return climb(ladder, rates);
}

struct ladder_move ladder_instead(struct ladder *ladder, const struct ladder_move *impossible,
                                  const struct ferry_step_rates *rates)
{
    if (impossible->rung == RUNG_THROTTLE) {
        ladder->trying = ladder->percent;
        ladder->exhausted = true;
    }
    return climb(ladder, rates);
}
