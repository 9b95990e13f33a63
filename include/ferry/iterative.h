/* SPDX-License-Identifier: BSD-3-Clause */
/* iterative.h - devices with so much state that it is sent in rounds, like memory, while the guest still runs
 *
 *      source                                                                 destination
 *      save.setup              START  what both sides need to know            load.setup (before the first byte)
 *      save.pending, .iterate  PART   in turns with memory and the others     load.state, once per section
 *      -- the guest stands still --
 *      save.complete_precopy   END    all the rest                            load.state
 *      save.cleanup                                                           load.cleanup
 *
 * A section's body has no length in the stream: a handler reads exactly what its counterpart has put, and the footer
 * that follows tells whether it did.  Chunks (below) make that easy.  A device may have described state besides
 * (ferry_guest_add_device()): it is sent after the END sections, and names need not differ from those here.
 *
 * Threads: all calls but those of pieces (take_part, part) come from the session's own thread, one at a time.  They may
 * not re-enter the session, and should return within some 10 ms, as a cancel waits for them.
 */
#ifndef FERRY_ITERATIVE_H
#define FERRY_ITERATIVE_H

#include <ferry/api.h>
#include <ferry/error.h>
#include <ferry/stream.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

FERRY_BEGIN_DECLS

struct ferry_guest;

/* What a device has still to send, in bytes; both together are what a switch now would move. */
struct ferry_pending {
    uint64_t precopy_bytes;  /* before the guest may run at the destination */
    uint64_t postcopy_bytes; /* may follow once it runs there; 0 without save.has_postcopy */
};

enum ferry_pending_how {
    FERRY_PENDING_ESTIMATE, /* cheap: by what is known; asked before every turn */
    FERRY_PENDING_EXACT,    /* ask the device; once per round */
};

/**
 * struct ferry_iterative_save_ops - the source's side
 *
 * Returns are 0 or a negative errno with the sentence in @err, and any failure ends the migration.  What goes wrong
 * with @writer need not be looked at.
 *
 * @setup: put the body of START; the device is watched for changes from here on
 * @pending: fill in *@pending, which is zero
 * @iterate: put the body of one PART: about @budget_bytes, then return 1 when there is more at hand, else 0.  The
 *        budget is the device's share of the channel; an item that does not fit it may still be put whole.
 * @complete_precopy: the guest stands still and notifiers have been told (ferry/notify.h): put the body of END,
 *        everything that is left
 * @has_postcopy: whether the device can go on sending after the guest runs at the destination; NULL: it cannot
 * @complete_postcopy: the guest runs at the destination: put the body of END.  What must be there before it runs is
 *        described state, whose pre_save comes before.  Only called by a migration that goes over to postcopy.
 * @resume: a lost connection was replaced in postcopy: what the destination never confirmed is pending again
 * @cleanup: the migration is over, well or not; called once for each successful or failed @setup
 * @take_part: the guest stands still, and some of what @complete_precopy would put may go over page channels instead,
 *        on several threads at once: copy the next piece to @to, which has room for FERRY_PART_MAX bytes.  Returns how
 *        many bytes it has, 0 when nothing of that kind is left.  Pieces arrive in any order, and all of them before
 *        END, which says the rest.  Only where both sides have capability `device-parts`; who has it in a version has
 *        load.part in that version, too.  NULL: all goes by @complete_precopy.  Thread: several of the session's.
 */
struct ferry_iterative_save_ops {
    int (*setup)(void *opaque, struct ferry_writer *writer, struct ferry_error *err);
    void (*pending)(void *opaque, enum ferry_pending_how how, struct ferry_pending *pending);
    int (*iterate)(void *opaque, struct ferry_writer *writer, uint64_t budget_bytes, struct ferry_error *err);
    int (*complete_precopy)(void *opaque, struct ferry_writer *writer, struct ferry_error *err);
    bool (*has_postcopy)(void *opaque);
    int (*complete_postcopy)(void *opaque, struct ferry_writer *writer, struct ferry_error *err);
    int (*resume)(void *opaque, struct ferry_error *err);
    void (*cleanup)(void *opaque); /* may be NULL */
    ssize_t (*take_part)(void *opaque, void *to, struct ferry_error *err);
};

/**
 * struct ferry_iterative_load_ops - the destination's side
 *
 * @setup: make ready for state, before the stream's first byte; may be NULL
 * @state: read the body of one section, START, PART or END alike, to its end, and check every value before it is used:
 *        the peer is not to be believed.  @version is what START said, 1 to the registered one.  A failure ends the
 *        migration unless the device's rules say otherwise (ferry/rules.h); then, too, the body must be read to
 *        its end.
 * @switchover_ready: whether the initial data, without which a switch would take long, is there.  The source is told
 *        when all devices that have this function say true.  Asked after each of the device's sections.
 * @cleanup: the migration is over, well or not; called once for each successful or failed @setup; may be NULL
 * @part: a piece that take_part has made, 1 to FERRY_PART_MAX bytes, of a device that has had its START and not its
 * END; the peer is not to be believed here, either.  A failure ends the migration.  NULL: none may come.  Thread:
 *        several of the session's at once, but never while @state runs.
 */
struct ferry_iterative_load_ops {
    int (*setup)(void *opaque, struct ferry_error *err);
    int (*state)(void *opaque, struct ferry_reader *reader, uint32_t version, struct ferry_error *err);
    bool (*switchover_ready)(void *opaque);
    void (*cleanup)(void *opaque);
    int (*part)(void *opaque, const void *data, size_t bytes, struct ferry_error *err);
};

/**
 * struct ferry_iterative_ops - both sides; a device that only ever leaves or arrives may leave the other one empty
 *
 * @needed: whether there is anything to send at all, asked once before START; NULL: always.  At a destination a device
 *        that has this function may stay without state, any other must come to its END.
 */
struct ferry_iterative_ops {
    bool (*needed)(void *opaque);
    struct ferry_iterative_save_ops save;
    struct ferry_iterative_load_ops load;
};

/* How many iterative devices a guest can have. */
#define FERRY_ITERATIVE_MAX 64

/* The most that one piece of state on a page channel may hold: save.take_part, load.part. */
#define FERRY_PART_MAX (256u << 10)

/**
 * ferry_guest_add_iterative() - a device that sends its state in rounds
 * @idstr: its name in the stream, 1 to 255 bytes; "ram" is memory's
 * @instance_id: which one of several with that name; FERRY_INSTANCE_NEXT: the next free one
 * @version: what a save announces, and the newest that a load takes; at least 1
 * @ops: borrowed until the guest is freed, as is @opaque
 *
 * Devices take turns, start and end in the order in which they were added.
 * Returns 0, -EINVAL (the name, the version, a function that must be there), -EEXIST or -ENOSPC.
 */
FERRY_API int ferry_guest_add_iterative(struct ferry_guest *guest, const char *idstr, int instance_id, uint32_t version,
                                        const struct ferry_iterative_ops *ops, void *opaque,
                                        struct ferry_error *err) FERRY_CHECK;

/* ---- chunks: a body that knows its end ---- */

/* The most that one chunk may hold; what claims to be longer is refused. */
#define FERRY_CHUNK_MAX (1u << 20)

/* be32 length, then so many bytes: 1 to FERRY_CHUNK_MAX, anything else is the writer's error.  Copied. */
FERRY_API void ferry_put_chunk(struct ferry_writer *writer, const void *data, size_t bytes);

/* A length of 0: no chunk follows. */
FERRY_API void ferry_put_chunk_end(struct ferry_writer *writer);

/**
 * ferry_get_chunk() - the next chunk, whole
 * @to, @room: where it goes; a chunk that is longer than @room, or than FERRY_CHUNK_MAX, is the reader's error
 *
 * Returns its length, 0 at the end of the chunks, or the reader's error.
 */
FERRY_API ssize_t ferry_get_chunk(struct ferry_reader *reader, void *to, size_t room) FERRY_CHECK;

/* Read past the chunks that are left, up to and with their end. */
FERRY_API int ferry_skip_chunks(struct ferry_reader *reader) FERRY_CHECK;

FERRY_END_DECLS

#endif
