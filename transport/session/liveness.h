/* SPDX-License-Identifier: BSD-3-Clause */
/* liveness.h - is the other side still there?
 *
 *      heard ............ suspect ............... lost
 *        0                   1 s                   10 s        (settable)
 *
 * A thread beats for this side and watches when the other was last heard.  Suspect is only shown; lost ends the
 * session: far sooner than TCP would.  However long this side is patient, it beats four times a second: the other may
 * not be.
 */
#ifndef SESSION_LIVENESS_H
#define SESSION_LIVENESS_H

#include <ferry/error.h>
#include <stdint.h>

struct liveness_ops {
    int64_t (*heard_ns)(void *opaque);                /* when, by clock_now_ns(); who does not listen hears nothing, so
                                                       * now as long as nobody waits for the other side */
    void (*beat)(void *opaque, uint64_t count);       /* say that we are here; may do nothing */
    void (*suspect)(void *opaque, int64_t silent_ns); /* each time it looks while the other is suspect; 0: not more */
    void (*lost)(void *opaque, struct ferry_error *err); /* once, with the reason; then neither beats nor looks again */
};

struct liveness;

/* Starts the thread; all calls of @ops come from it.  NULL with @err set. */
struct liveness *liveness_new(const struct liveness_ops *ops, void *opaque, uint64_t suspect_ns, uint64_t lost_ns,
                              struct ferry_error *err);

/* Stops and joins it.  NULL is legal. */
void liveness_free(struct liveness *liveness);

#endif
