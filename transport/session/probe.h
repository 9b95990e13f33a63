/* SPDX-License-Identifier: BSD-3-Clause */
/* probe.h - connections that only ask how fast the way is, and are no part of a session
 *
 *      source                                           destination, while it waits for a source
 *      HELLO, role probe                          -->
 *                                                 <--   ANSWER: what would be agreed
 *      ECHO                                       -->   the same bytes back
 *      DATA DATA DATA ... ECHO                    -->   read past; then the echo says that all of it came
 *
 * A message: be32 kind, be32 length, so many bytes.
 */
#ifndef SESSION_PROBE_H
#define SESSION_PROBE_H

#include <ferry/channel.h>
#include <ferry/options.h>
#include <stdint.h>

#define PROBE_DATA_MAX    (1u << 20)
#define PROBE_ECHO_MAX    64
#define PROBE_CHANNELS    16
#define PROBE_STEPS       6
#define PROBE_PATIENCE_NS INT64_C(60000000000) /* for one probe, at the destination */

enum probe_kind {
    PROBE_ECHO = 1,
    PROBE_DATA = 2,
};

/* The destination's half, until the other end closes (0) or does not keep to the rules.  Blocks. */
int probe_serve(struct ferry_channel *chan, struct ferry_error *err);

struct probe_step {
    unsigned channels;
    double bytes_per_sec; /* all of them together */
};

struct probe_result {
    uint64_t protocol, device; /* capabilities that would be agreed */
    double round_trip_sec;
    struct probe_step step[PROBE_STEPS]; /* one channel, two, four, ... */
    unsigned steps;
};

/* The source's half: over 1 to @most channels (PROBE_CHANNELS at most), authenticated and encrypted as a migration with
 * these options would be. */
int probe_link(const char *uri, const struct ferry_options *options, unsigned most, struct probe_result *result,
               struct ferry_error *err);

#endif
