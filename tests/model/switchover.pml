/* SPDX-License-Identifier: BSD-3-Clause */
/* switchover.pml - the right to run, as docs/switchover.md has it, with everything that may go wrong
 *
 *     source  <-- to_source, to_destination -->  destination        journals: what survives a kill -9
 *        ^                   ^                        ^
 *        kill            cut, replay                 kill           an operator carries copies of journals about,
 *                                                                   as old as it gets
 *
 * Every statement is a step at which either side may be killed.  A message may be lost, a connection cut, and whatever
 * was ever sent may come again.  A note in a journal may fail: it is surely not there, or it is in doubt: whoever reads
 * the file may see it, and may not see it any more after the next crash.  So who reads makes it durable first.
 *
 * Shown:  a guest never starts at one side while it runs at the other, nor ever again at the source once it has run at
 *         the destination (the disks have moved on);
 *         when both are up and have been shown each other's journal, it runs at exactly one.
 *
 * BUG_... makes a variant with one rule broken, in which one of the two must fail.  transport/session/owner_rows.h is
 * the decision, the very table that the program uses.
 */
#ifndef SESSIONS
#define SESSIONS 2
#endif
#define ACCEPTS 3
#define ROUNDS  (4 * SESSIONS)
#ifndef KILLS
#define KILLS 2
#endif
#ifndef CUTS
#define CUTS 1
#endif
#ifndef REPLAYS
#define REPLAYS 2
#endif
#ifndef COPIES
#define COPIES 2
#endif
#ifndef BAD_NOTES
#define BAD_NOTES 1
#endif

/* last steps */
#define NOTHING   0
#define STARTED   1
#define PREPARED  2
#define READY     2
#define COMMITTED 3
#define DONE      4
#define RUNNING   4
#define ABORTED   5

/* verdicts */
#define V_UNDECIDED     0
#define V_SOURCE        1
#define V_DESTINATION   2
#define V_CONTRADICTION 3

/* messages: kind, session, nonce; the last two are the token */
#define M_HELLO    0
#define M_PREPARE  1
#define M_COMMIT   2
#define M_ANSWER   0
#define M_READY    1
#define M_RUNNING  2
#define M_DECLINED 3

chan to_destination = [2] of { byte, byte, byte };
chan to_source = [2] of { byte, byte, byte };
bool source_connected, destination_connected;

/* what was ever sent, for replays: bit 4 * session + kind; a session prepares once, with one nonce */
short sent_to_destination, sent_to_source;
byte nonce_of[SESSIONS + 1];

typedef journal {
    byte step, session, nonce;
    byte before;                               /* the step is in doubt, and this was the one before */
    bool doubt;
}
/* On disk: the source's of its latest session, the destination's of each: what it says may be needed long after. */
journal source_journal, destination_journals[SESSIONS + 1];
byte latest;
#define destination_journal destination_journals[latest]
byte source_copy, source_copy_session, source_copy_nonce;      /* what an operator holds; NOTHING: no copy */
byte destination_copy, destination_copy_session, destination_copy_nonce;

bool source_runs = true, destination_runs, destination_ran;
chan kill_source = [0] of { bit };
chan kill_destination = [0] of { bit };
byte attempts, accepts, kills, cuts, replays, copies, bad_notes;
hidden byte verdict;                           /* of the decision just made */
hidden byte row;                               /* the row it came from; pan lists those that never were used */

#define OWNER_ROW(s, d, v, why) :: source_step == s && destination_step == d -> row = 10 * s + d; verdict = V_##v

/* Is this copy of a journal about what I have before me? */
#if defined(BUG_SESSION_UNCHECKED)
#define IS_OF(session, nonce, my_session, my_nonce) true
#elif defined(BUG_TOKEN_OF_COPY_UNCHECKED)
#define IS_OF(session, nonce, my_session, my_nonce) (session == my_session)
#else
#define IS_OF(session, nonce, my_session, my_nonce) (session == my_session && nonce == my_nonce)
#endif

#ifdef LOOK
#define DECIDE_STEP atomic                     /* pan says which rows were never reached */
#else
#define DECIDE_STEP d_step
#endif
/* Who may run, by two last steps; used before anybody else moves. */
inline decide(source_step, destination_step)
{
    DECIDE_STEP {
        if
#include "owner_rows.h"
        fi
    }
}

inline cut()
{
    d_step {
        source_connected = false;
        destination_connected = false;
        do
        :: len(to_destination) > 0 -> to_destination?_, _, _
        :: len(to_source) > 0 -> to_source?_, _, _
        :: else -> break
        od;
        skip
    }
}

/* A message leaves, or is lost on the way. */
#define tell(to, connected, sent, kind, s, n)                                        \
    if                                                                               \
    :: d_step { connected && len(to) < 2 ->                                          \
           to!kind, s, n;                                                            \
           sent = sent | ((n == nonce_of[s]) << (4 * s + kind)) }                    \
    :: skip                                                                          \
    fi
#define tell_destination(kind, s, n) tell(to_destination, source_connected, sent_to_destination, kind, s, n)
#define tell_source(kind, s, n)      tell(to_source, destination_connected, sent_to_source, kind, s, n)

/* A note: it is durable, it is surely not there, or it is in doubt. */
#define WELL   0
#define ABSENT 1
#define DOUBT  2
inline note(where, what, how)
{
    if
    :: d_step { where.step = what; where.doubt = false; how = WELL }
    :: d_step { bad_notes < BAD_NOTES -> bad_notes++; how = ABSENT }
    :: d_step { bad_notes < BAD_NOTES -> bad_notes++; how = DOUBT;
           if
           :: !where.doubt -> where.before = where.step
           :: else
           fi;
           where.step = what; where.doubt = true }
    fi
}

/* A crash: what was in doubt is there, or is not. */
inline settle(where)
{
    if
    :: d_step { where.doubt -> where.step = where.before; where.before = 0; where.doubt = false }
    :: d_step { where.before = 0; where.doubt = false }
    fi
}

inline copy(from, to, to_session, to_nonce)
{
    d_step {
        from.doubt = false;
        from.before = 0;
        to = from.step;
        to_session = source_journal.session;
        to_nonce = from.nonce
    }
}

inline source_starts()
{
    d_step {
        assert(!destination_runs);
        assert(!destination_ran);
        source_runs = true;
    }
}

inline destination_starts()
{
    d_step {
        assert(!source_runs);
        destination_runs = true;
        destination_ran = true;
    }
}

#define S source_journal.session
#define N source_journal.nonce
active proctype source()
{
    byte how;

again:
    {
        /* What may it do by itself? */
        atomic {
            decide(source_journal.step, NOTHING);
            if
            :: verdict == V_SOURCE -> goto keep
            :: verdict == V_DESTINATION -> goto gone
            :: verdict == V_UNDECIDED && source_journal.step == COMMITTED -> goto uncertain
            :: verdict == V_UNDECIDED && source_journal.step == NOTHING -> skip
            fi
        }
        source_starts();                       /* no session ever began */
        goto idle;

keep:   /* Before the commit: nothing need be durable, the note only ends the session. */
        note(source_journal, ABORTED, how);
        source_starts();
        cut();

idle:
        (attempts < SESSIONS && (source_journal.step == NOTHING || source_journal.step == ABORTED));
        atomic {                               /* a kill within is one behind, and the message lost */
            attempts++;
            source_journal.step = STARTED;
            source_journal.doubt = false;
            S = attempts;
            N = 0;
            source_connected = true;
            tell_destination(M_HELLO, S, 0)
        }
        do
        :: to_source?M_ANSWER, eval(S), N -> break
        :: to_source?_, _, _
        :: goto keep
        od;
        atomic {
            source_journal.step = PREPARED;
            nonce_of[S] = N;
            source_runs = false;
            tell_destination(M_PREPARE, S, N)
        }
        do
        :: to_source?M_READY, eval(S), eval(N) -> break
        :: to_source?M_DECLINED, eval(S), eval(N) -> goto keep
        :: to_source?_, _, _
        :: goto keep
        od;

#ifdef BUG_COMMIT_NOTED_LATE
        tell_destination(M_COMMIT, S, N);
#endif
commit:
        note(source_journal, COMMITTED, how);
        if
        :: how == ABSENT && source_journal.step == PREPARED -> goto keep
#ifdef BUG_RUN_AFTER_A_DOUBTFUL_COMMIT
        :: how == DOUBT -> goto keep
#else
        :: how != WELL && source_journal.step == COMMITTED -> goto uncertain   /* somebody may have read it already */
        :: how != WELL && source_journal.step == COMMITTED -> goto commit
#endif
        :: how == WELL
        fi;
        tell_destination(M_COMMIT, S, N);

uncertain:
        how = 0;
        do
        :: to_source?M_RUNNING, eval(S), eval(N) -> goto finish
        :: to_source?M_DECLINED, eval(S), eval(N) -> goto revert
        :: to_source?_, _, _
#ifdef BUG_DEADLINE_REVERTS
        :: goto revert
#endif
        :: atomic { destination_copy != NOTHING && IS_OF(destination_copy_session, destination_copy_nonce, S, N) ->
            decide(source_journal.step, destination_copy);
            if
            :: verdict == V_SOURCE -> goto revert
            :: verdict == V_DESTINATION && destination_copy == RUNNING -> goto finish
            :: else -> destination_copy = NOTHING         /* bring a newer one */
            fi }
        od;

revert:
        note(source_journal, ABORTED, how);
        if
        :: how != WELL -> goto uncertain
        :: else -> how = 0
        fi;
        source_starts();
        cut();
        goto idle;

finish:
        atomic { source_journal.step = DONE; source_journal.doubt = false };
gone:
        (false)
    } unless {
        atomic {
            kill_source?_;
            source_runs = false;
            how = 0;
            cut();
            settle(source_journal)
        }
    };
    goto again
}
#undef S
#undef N

#define S destination_journal.session
#define N destination_journal.nonce
active proctype destination()
{
    byte s, how;

again:
    {
        skip;
reread: /* What may it do by itself? */
        atomic {
            how = 0;
            destination_journal.doubt = false;
            decide(NOTHING, destination_journal.step);
            if
            :: verdict == V_DESTINATION -> goto start
            :: verdict == V_SOURCE -> goto give_up
            :: verdict == V_UNDECIDED && destination_journal.step == READY -> goto undecided
            :: verdict == V_UNDECIDED && destination_journal.step == NOTHING -> goto idle
            fi
        }

idle:
        do
        :: atomic { to_destination?M_HELLO, s, _ ->
            if
            :: accepts < ACCEPTS && destination_journals[s].step == NOTHING &&
                   (destination_journal.step == NOTHING || destination_journal.step == ABORTED) ->
                accepts++;
                latest = s;
                destination_connected = true;
                destination_journal.step = STARTED;
                destination_journal.doubt = false;
                S = s;
                N = accepts;                   /* never the same again, whatever was forgotten */
                s = 0;
                tell_source(M_ANSWER, S, N);
                break
            :: else -> s = 0
            fi }
        :: to_destination?M_PREPARE, _, _
        :: to_destination?M_COMMIT, _, _
        od;
        do
#ifdef BUG_NONCE_UNCHECKED
        :: to_destination?M_PREPARE, eval(S), N -> break
#else
        :: to_destination?M_PREPARE, eval(S), eval(N) -> break
#endif
        :: to_destination?_, _, _
        :: goto give_up
        od;

#ifdef BUG_READY_NOTED_LATE
        tell_source(M_READY, S, N);
#endif
        destination_journal.step = READY;      /* a note that fails is a reason to give up, which it may do anyway */
        tell_source(M_READY, S, N);
#ifdef BUG_START_AT_READY
        goto start;
#endif
        do
#ifdef BUG_TOKEN_UNCHECKED
        :: to_destination?M_COMMIT, _, _ -> break
#else
        :: to_destination?M_COMMIT, eval(S), eval(N) -> break
#endif
        :: to_destination?_, _, _
        :: goto give_up                        /* it was told to, while the connection stood */
        :: goto undecided                      /* cut, or the deadline is over */
        od;

accept:
#ifdef BUG_START_NOTED_LATE
        destination_starts();
#endif
        note(destination_journal, COMMITTED, how);
        if
        :: how != WELL -> goto reread
        :: how != WELL -> goto give_up
        :: else
        fi;
        if
        :: skip
#ifndef BUG_START_NOTED_LATE
        :: goto give_up                        /* the guest could not be started: not one instruction of it ran */
#endif
        fi;

start:
        destination_starts();
        tell_source(M_RUNNING, S, N);
        destination_journal.step = RUNNING;
        (false);

undecided:
        do
        :: atomic { source_copy != NOTHING && IS_OF(source_copy_session, source_copy_nonce, S, N) ->
            decide(source_copy, destination_journal.step);
            if
            :: verdict == V_DESTINATION -> goto accept
            :: verdict == V_SOURCE -> goto give_up
            :: else -> source_copy = NOTHING              /* bring a newer one */
            fi }
#ifndef PATIENT
        :: goto give_up                        /* nobody told it for too long */
#endif
        od;

give_up:
#ifdef BUG_DECLINED_NOT_NOTED
        tell_source(M_DECLINED, S, N);
#endif
        note(destination_journal, ABORTED, how);
        if
        :: how != WELL -> goto reread
        :: else
        fi;
        tell_source(M_DECLINED, S, N);
        destination_connected = false;
        goto idle
    } unless {
        atomic {
            kill_destination?_;
            destination_runs = false;
            how = 0;
            s = 0;
            cut();
#ifdef NO_DESTINATION_JOURNAL
            destination_journals[1].step = NOTHING;
            destination_journals[1].doubt = false;
            destination_journals[SESSIONS].step = NOTHING;
            destination_journals[SESSIONS].doubt = false;
            latest = 0
#else
            settle(destination_journal)
#endif
        }
    };
    goto again
}
#undef S
#undef N

/* What was sent once comes again. */
#define again_of(to, sent, kind, s)                                                                              \
    :: d_step { replays < REPLAYS && (sent & (1 << (4 * s + kind))) && len(to) < 2 ->                            \
           replays++;                                                                                            \
           to!kind, s, nonce_of[s] }
#define again(to, sent, kind) again_of(to, sent, kind, 1) again_of(to, sent, kind, SESSIONS)

active proctype misfortune()
{
end:
    do
    :: atomic { kills < KILLS -> kill_source!0; kills++ }
    :: atomic { kills < KILLS -> kill_destination!0; kills++ }
    :: d_step { cuts < CUTS && (source_connected || destination_connected) -> cuts++; cut() }
    again(to_destination, sent_to_destination, M_HELLO)
    again(to_destination, sent_to_destination, M_PREPARE)
    again(to_destination, sent_to_destination, M_COMMIT)
    again(to_source, sent_to_source, M_READY)
    again(to_source, sent_to_source, M_RUNNING)
    again(to_source, sent_to_source, M_DECLINED)
    :: d_step { copies < COPIES && source_journal.step != NOTHING ->
           copies++;
           copy(source_journal, source_copy, source_copy_session, source_copy_nonce) }
    :: d_step { copies < COPIES && destination_journals[source_journal.session].step != NOTHING ->
           copies++;
           copy(destination_journals[source_journal.session], destination_copy, destination_copy_session,
                destination_copy_nonce) }
    od
}

/* Nothing can move any more: show each side the other's journal, until it changes nothing. */
active proctype recovery()
{
    byte times;

end:
    do
#ifdef LOOK
    :: atomic { times < 100 ->                 /* both journals at one moment, whatever moment this is */
           decide(source_journal.step, destination_journals[source_journal.session].step);
           assert(verdict != V_CONTRADICTION) }
#else
    :: timeout && times < ROUNDS ->
        times++;
        copy(source_journal, source_copy, source_copy_session, source_copy_nonce);
        copy(destination_journals[source_journal.session], destination_copy, destination_copy_session,
                destination_copy_nonce)
    :: timeout && times == ROUNDS ->
#ifndef NO_DESTINATION_JOURNAL
        assert(source_runs != destination_runs);
#endif
        times++
#endif
    od
}
