/* SPDX-License-Identifier: BSD-3-Clause */
/* owner.h - who may run the guest, by what the two journals say */
#ifndef SESSION_OWNER_H
#define SESSION_OWNER_H

#include "journal.h"

enum owner {
    OWNER_UNDECIDED,   /* what is there does not tell */
    OWNER_SOURCE,      /* the source may run the guest, the destination never will */
    OWNER_DESTINATION, /* the destination may run the guest, the source never will */
};

struct owner_decision {
    enum owner owner;
    const char *why;   /* one clause; static */
    const char *check; /* undecided: what would decide it; static; else NULL */
};

/**
 * owner_decide() - who may run the guest
 * @source, @destination: what their journals say; NULL, or step NOTHING: there is none, or it tells nothing
 *
 * A journal in_use is one that may go on: a side that decides by its own, which it holds, clears that.
 * With one of them NULL it is what the other side may do by itself.  Pure: no I/O, no clock.  Sound also with an old
 * copy of the other side's journal, as long as one's own is not a copy: steps that the other side acts on are final.
 */
struct owner_decision owner_decide(const struct journal_state *source, const struct journal_state *destination);

/**
 * owner_next() - what a side is to note now that it has been shown the other's journal
 * @mine: of the side that decides, which holds its journal
 * @other: the other side's, or a copy; NULL: it is not there
 *
 * Returns a step that follows @mine's last, and what it allows then: ABORTED at the source and COMMITTED at the
 * destination start the guest.  JOURNAL_NOTHING: @mine is as it must be, or @other does not tell.
 */
enum journal_step owner_next(const struct journal_state *mine, const struct journal_state *other);

/* "the source", "the destination", "nobody knows". */
const char *owner_name(enum owner owner);

#endif
