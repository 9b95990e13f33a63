/* SPDX-License-Identifier: BSD-3-Clause */
/* handover.h - the source gives the right to run away, with a note before each step that allows another
 *
 *      prepared: noted   the guest stops   PREPARE ... all sent   READY   committed: noted   COMMIT   RUNNING   done
 *                                                                                               '---- DECLINED: aborted
 *
 * The order is docs/switchover.md's.
 */
#ifndef SESSION_HANDOVER_H
#define SESSION_HANDOVER_H

#include "source_peer.h"

/* The hello of a new session is about to be said. */
int handover_begin(struct source_peer *peer, const uint8_t session[JOURNAL_ID_BYTES], struct ferry_error *err);

/* The guest is about to be stopped: choose the token, and note it. */
int handover_choose(struct source_peer *peer, struct ferry_error *err);

/* The guest stands still: PREPARE. */
void handover_prepare(struct source_peer *peer);

/* As source_peer_hand_over(), once everything is flushed. */
int handover(struct source_peer *peer, struct ferry_error *err);

/* Describe in @err that it cannot be known who runs the guest, because of @what.  Returns -EOWNERDEAD. */
int handover_uncertain(struct source_peer *peer, const char *what, struct ferry_error *err);

/* The guest goes on here.  That this ends the session is noted, but need not be. */
void handover_failed(struct source_peer *peer);

#endif
