/* SPDX-License-Identifier: BSD-3-Clause */
/* iterative.h - iterative devices at the source: START, turns in rounds, END
 *
 *      begin   one setup after the other, in the order of the list
 *      setup   | START a | START b |
 *      round   | PART ram | PART a | PART b | PART ram | PART a | PART b | ...      a turn each
 *      complete| END ram | END a | END b |
 *
 * A turn may take as much of the channel as memory's turn before it took.  In one round a device sends at most what
 * was pending when the round began, so that one that changes faster than the channel carries does not keep the round
 * from ending.  Used by the source's thread alone.
 */
#ifndef SESSION_ITERATIVE_H
#define SESSION_ITERATIVE_H

#include "iterative_list.h"
#include "page_parts.h"

#include <stdatomic.h>

struct iterative_turn {
    struct iterative_device *device; /* borrowed */
    uint32_t id;                     /* of its section */
    uint64_t left_bytes;             /* that it may still send in this round */
    bool set_up, ended;
};

struct iterative {
    struct ferry_writer *writer;  /* borrowed */
    struct iterative_turn *turns; /* of the devices that are needed; owned */
    unsigned count;
    uint64_t bytes;                   /* in bodies, so far */
    uint64_t turns_at;                /* the writer's offset when the last turns were over */
    atomic_uint part_of;              /* whose pieces are being taken: of the turns, by number */
    atomic_uint_fast64_t parts_bytes; /* taken so far */
    struct page_parts_source parts;
};

/* Zero is a legal state with nothing in it.  On failure call iterative_end() all the same. */
int iterative_begin(struct iterative *iterative, const struct iterative_list *list, struct ferry_writer *writer,
                    struct ferry_error *err);
void iterative_end(struct iterative *iterative);

/* START sections, with ids from @first_id on.  Does not flush, nor does any other of these. */
int iterative_setup(struct iterative *iterative, uint32_t first_id, struct ferry_error *err);

/* One turn for each device that has something to send in this round.  *more becomes true where there is more to come
 * in this round, and is left alone otherwise. */
int iterative_some(struct iterative *iterative, bool *more, struct ferry_error *err);

/* Ask all devices, exactly: what a switch now would have to move.  A new round begins. */
uint64_t iterative_pending(struct iterative *iterative);

/* The guest stands still: what of all devices' state may go in pieces, before their END.  NULL: nothing.  Valid until
 * iterative_end(). */
const struct page_parts_source *iterative_parts(struct iterative *iterative);

/* The guest stands still: END of each device. */
int iterative_complete(struct iterative *iterative, struct ferry_error *err);

/* The same for a switch to postcopy: END of the devices that cannot go on afterwards; then, once the guest runs at
 * the destination, END of the others. */
int iterative_complete_before(struct iterative *iterative, struct ferry_error *err);
int iterative_complete_postcopy(struct iterative *iterative, struct ferry_error *err);

/* A lost connection was replaced in postcopy. */
int iterative_resume(struct iterative *iterative, struct ferry_error *err);

#endif
