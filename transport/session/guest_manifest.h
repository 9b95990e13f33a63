/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_manifest.h - the four moments of a manifest, as bytes in memory (state/manifest.h)
 *
 *     source                          destination
 *     guest_manifest_offer   ------>  guest_manifest_answer
 *     guest_manifest_agreed  <-AGREED-'
 *     guest_manifest_refused <-REFUSED'
 */
#ifndef SESSION_GUEST_MANIFEST_H
#define SESSION_GUEST_MANIFEST_H

#include "guest_parts.h"
#include "manifest.h"

/* Of all that the guest has; NULL with @err set. */
struct manifest *guest_manifest(const struct ferry_guest *guest, enum manifest_side side, struct ferry_error *err);

/* Source: the payload of the item MANIFEST, to be freed.  Versions chosen for an earlier destination are forgotten. */
uint8_t *guest_manifest_offer(struct ferry_guest *guest, size_t *bytes, struct ferry_error *err);

/* What the destination says to it. */
struct guest_answer {
    bool agreed;      /* else refused */
    uint8_t *payload; /* of AGREED or REFUSED; to be freed */
    size_t bytes;
};

/**
 * guest_manifest_answer() - destination: does the source's guest fit this one?
 * @data: hostile bytes
 * @agreed_most, @refused_most: bytes that the payload of either answer may have
 *
 * Returns 0: agreed; a negative errno: refused, with all reasons in @err as well as they fit there, and in the payload,
 * if there was memory for it (else it is NULL).  What may be refused later is logged.
 */
int guest_manifest_answer(struct ferry_guest *guest, const uint8_t *data, size_t bytes, size_t agreed_most,
                          size_t refused_most, struct guest_answer *answer, struct ferry_error *err);

/* Source: AGREED came.  From here on each device is saved in the version that the destination has chosen. */
int guest_manifest_agreed(struct ferry_guest *guest, const uint8_t *payload, size_t bytes, struct ferry_error *err);

/* Source: REFUSED came.  Always a negative errno: all reasons as one error. */
int guest_manifest_refused(const uint8_t *payload, size_t bytes, struct ferry_error *err);

#endif
