/* SPDX-License-Identifier: BSD-3-Clause */
/* owner.c - who may run the guest, by what the two journals say
 *
 *                     destination
 *     source          nothing  started  ready  committed  running  aborted      S  the source
 *       nothing          ?        S       ?        D         D        S         D  the destination
 *       started          S        S       x        x         x        S         ?  undecided: the other journal tells
 *       prepared         S        S       S        x         x        S         x  cannot be: a file is not what
 *       committed        ?        x       D        D         D        S            was written
 *       done             D        x       x        D         D        x
 *       aborted          S        S       S        x         x        S
 *
 * The steps alone decide nothing about journals of two sessions, or of two attempts at one (two tokens).
 */
#include "owner.h"

#include <string.h>

enum verdict { VERDICT_UNDECIDED, VERDICT_SOURCE, VERDICT_DESTINATION, VERDICT_CONTRADICTION };

struct row {
    enum verdict verdict;
    const char *why;
};

#define OWNER_ROW(source, destination, verdict, why) \
    [JOURNAL_##source][JOURNAL_##destination] = { VERDICT_##verdict, why },

static const struct row rows[JOURNAL_STEPS][JOURNAL_STEPS] = {
#include "owner_rows.h"
};

#define CHECK_FILES                                                                                               \
    "are these the two files of this session, and is either an old copy? Else look at both guests; keep stopped " \
    "what is stopped"

const char *owner_name(enum owner owner)
{
    static const char *const names[] = { "nobody knows", "the source", "the destination" };

    return names[owner];
}

static struct owner_decision undecided(const char *why, const char *check)
{
    return (struct owner_decision){ OWNER_UNDECIDED, why, check };
}

static const char *missing(enum journal_step source, enum journal_step destination)
{
    if (source == JOURNAL_NOTHING && destination == JOURNAL_NOTHING)
        return "is there a journal at either end? Without any, look at both guests";
    return source == JOURNAL_NOTHING ? "the source's journal" : "the destination's journal";
}

/* The other's word that ends this side's waiting must be about the same token. */
static const char *stranger(const struct journal_state *source, const struct journal_state *destination)
{
    if (source->role != JOURNAL_SOURCE || destination->role != JOURNAL_DESTINATION)
        return "these are not the journals of one source and one destination";
    if (memcmp(source->session, destination->session, JOURNAL_ID_BYTES))
        return "the journals are of two different sessions";
    if (source->has_token && destination->has_token && memcmp(source->token, destination->token, JOURNAL_TOKEN_BYTES))
        return "the journals hold two different tokens";
    if ((source->step == JOURNAL_COMMITTED || source->step == JOURNAL_DONE) && !destination->has_token)
        return "the source has committed to a token that the destination's journal does not have";
    return NULL;
}

/* A source that lives and has not committed may do so at any moment, unless its destination never takes it. */
static bool may_still_commit(const struct journal_state *source, const struct journal_state *destination)
{
    if (destination && destination->step == JOURNAL_ABORTED)
        return false;
    return (source && source->in_use) || (destination && destination->in_use && (!source || !source->step));
}

struct owner_decision owner_decide(const struct journal_state *source, const struct journal_state *destination)
{
    enum journal_step left = source ? source->step : JOURNAL_NOTHING;
    enum journal_step right = destination ? destination->step : JOURNAL_NOTHING;
    const char *why = left && right ? stranger(source, destination) : NULL;
    const struct row *row;

    if (left >= JOURNAL_STEPS || right >= JOURNAL_STEPS)
        return undecided("a journal holds a step that does not exist", CHECK_FILES);
    row = &rows[left][right];
    if (why)
        return undecided(why, CHECK_FILES);
    switch (row->verdict) {
    case VERDICT_SOURCE:
        if (may_still_commit(source, destination))
            return undecided("the session is alive and may go on", "that process; or end it, and ask again");
        return (struct owner_decision){ OWNER_SOURCE, row->why, NULL };
    case VERDICT_DESTINATION:
        return (struct owner_decision){ OWNER_DESTINATION, row->why, NULL };
    case VERDICT_UNDECIDED:
        return undecided(row->why, missing(left, right));
    case VERDICT_CONTRADICTION:
        break;
    }
    return undecided(row->why, CHECK_FILES);
}

enum journal_step owner_next(const struct journal_state *mine, const struct journal_state *other)
{
    bool is_source = mine->role == JOURNAL_SOURCE;
    struct journal_state held = *mine;
    enum owner owner;

    held.in_use = false;
    owner = is_source ? owner_decide(&held, other).owner : owner_decide(other, &held).owner;
    if (owner == OWNER_SOURCE && held.step != JOURNAL_NOTHING &&
        held.step < (is_source ? JOURNAL_DONE : JOURNAL_COMMITTED))
        return JOURNAL_ABORTED;
    if (owner == OWNER_DESTINATION && is_source && held.step == JOURNAL_COMMITTED && other->step == JOURNAL_RUNNING)
        return JOURNAL_DONE;
    if (owner == OWNER_DESTINATION && !is_source && held.step == JOURNAL_READY)
        return JOURNAL_COMMITTED;
    return JOURNAL_NOTHING;
}
