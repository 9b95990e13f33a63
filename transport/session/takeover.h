/* SPDX-License-Identifier: BSD-3-Clause */
/* takeover.h - the destination gets the right to run, or gives it up; with a note before each step that allows another
 *
 *      PREPARE ... all loaded    ready: noted, said    COMMIT    committed: noted    the guest starts    running
 *                                      '--- lost: undecided ---'                    '-- cannot: aborted, DECLINED
 *
 * The order is docs/switchover.md's.
 */
#ifndef SESSION_TAKEOVER_H
#define SESSION_TAKEOVER_H

#include "destination_peer.h"

/* The main connection's hello is about to be answered: the session begins here.  As gather_terms.admit says. */
int takeover_begin(struct destination_peer *peer, const struct hello *main, struct ferry_error *err);

/* A PREPARE has come.  Returns the reader's error. */
int takeover_prepare(struct destination_peer *peer, const struct section_item *item);

/**
 * takeover() - everything is loaded and checked: get the right to run, and start the guest
 *
 * 0: it runs here.  -EOWNERDEAD: it may not be started here, unless the source's journal says so; nothing was given up.
 * Any other error: it does not run here; takeover_give_up() is due.
 */
int takeover(struct destination_peer *peer, struct ferry_error *err);

/* This guest is never started here: noted first, then said.  Fails when it could not be noted, and says nothing then.
 */
int takeover_give_up(struct destination_peer *peer);

#endif
