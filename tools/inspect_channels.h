/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_channels.h - the page channels beside a main stream, a thread each
 *
 *      main stream    blocks, mark ------------- mark ------------- mark, END
 *                              |                   |                  |
 *      channel 0      SYNC ----+-- pages ... SYNC -+- pages ... SYNC -+
 *      channel 1      SYNC ----+-- pages ... SYNC -+- pages ... SYNC -+
 *
 * Between two marks channels have no order, and no page comes twice; so a channel at its SYNC waits for the mark, and
 * the main stream at its mark for all channels.  How many there will be nobody says: where the source connects to us,
 * those count that are there when the first mark comes, and it has sent a SYNC on each before.
 */
#ifndef TOOLS_INSPECT_CHANNELS_H
#define TOOLS_INSPECT_CHANNELS_H

#include "inspect_ram.h"
#include "inspect_report.h"

#include <ferry/channel.h>

struct inspect_channels;
struct secure;

/* @ram: borrowed; its block list is used once the first mark comes. */
struct inspect_channels *inspect_channels_new(struct inspect_ram *ram, struct ferry_error *err);

/* Ends its threads.  NULL is legal. */
void inspect_channels_free(struct inspect_channels *channels);

/* One more; @chan: a reference is taken. */
int inspect_channels_add(struct inspect_channels *channels, struct ferry_channel *chan, struct ferry_error *err);

/**
 * inspect_channels_accept() - whoever connects from now on, until inspect_channels_finish()
 * @listener, @secure: borrowed until then; everybody shakes hands first where @secure is on
 *
 * Returns the reader of the main stream, which is the first connection that is no page channel; the caller's.  NULL
 * with
 * @err set when nobody can connect.
 */
struct ferry_reader *inspect_channels_accept(struct inspect_channels *channels, struct ferry_listener *listener,
                                             const struct secure *secure, struct ferry_error *err);

/* A mark in the main stream; a record of its own says that there are page channels, the end of a section does not.
 * Returns 0 or the error of a channel. */
int inspect_channels_mark(struct inspect_channels *channels, bool is_record, struct ferry_error *err);

/* ---- inspect_urgent.c: after a switch to postcopy ---- */

struct inspect_postcopy;

/* The guest has moved.  Where connections are made to us, urgent ones are read from now on.  @postcopy: borrowed until
 * inspect_channels_finish(). */
void inspect_channels_follow(struct inspect_channels *channels, struct inspect_postcopy *postcopy);

/* The main connection is at its end, or @broke: so are the urgent ones beside it.  They are read to the end, one after
 * the other; where connections are made to us, until all has come. */
void inspect_channels_urgent(struct inspect_channels *channels, bool broke);

/* The connection that takes over after a break, in the order of adding; the caller's.  NULL: there is none. */
struct ferry_reader *inspect_channels_resumed(struct inspect_channels *channels);

/**
 * inspect_channels_finish() - the main stream has ended, well or not
 * @wait: for the ends of the channels; else they are read no further
 *
 * Tells @report of each connection.  Returns 0, or the first error of a channel; the others become notes.
 */
int inspect_channels_finish(struct inspect_channels *channels, bool wait, struct inspect_report *report,
                            struct ferry_error *err);

#endif
