/* SPDX-License-Identifier: BSD-3-Clause */
/* state_fixture.h - bytes to and from a described device, and a device that has every encoding there is */
#ifndef TESTS_STATE_FIXTURE_H
#define TESTS_STATE_FIXTURE_H

#include "state.h"
#include <ferry/state.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define FIXTURE_ROOM 8192

struct fixture_bytes {
    size_t count;
    uint8_t data[FIXTURE_ROOM];
};

/* Both return 0 or a negative errno, and never fail a test themselves. */
int fixture_save(const struct ferry_state_desc *desc, void *opaque, const struct ferry_profile *profile, json_t *vmdesc,
                 struct fixture_bytes *to, struct ferry_error *err);
/* Parses; all bytes must be used up; commits. */
int fixture_load(const struct ferry_state_desc *desc, void *opaque, uint32_t version, const void *data, size_t bytes,
                 struct ferry_error *err);

/* "01 05 fe00" */
void fixture_from_hex(const char *hex, struct fixture_bytes *to);
/* What is saved must be exactly this. */
void fixture_assert_bytes(const struct ferry_state_desc *desc, void *opaque, const char *hex);

/* ---- a device with every encoding -------------------------------------------------------------------------------- */

struct zoo_pair {
    uint8_t kind;
    int16_t delta;
};

struct zoo_request {
    TAILQ_ENTRY(zoo_request) link;
    uint32_t tag;
    uint32_t data_bytes;
    uint8_t *data; /* allocated by a load */
};

struct zoo_note {
    LIST_ENTRY(zoo_note) link;
    uint16_t number;
};

struct zoo_node {
    uint64_t key;
    struct zoo_node *next;
    uint32_t value;
};

struct zoo_late {
    uint32_t mode;
    uint64_t since;
};

struct zoo {
    bool on;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    double real;
    int64_t timer;
    uint32_t model; /* equal on both sides */
    int32_t queues; /* at most the local value */
    char label[12];
    uint8_t ports[8]; /* 2 to 5 are saved */
    uint16_t array[3];
    uint32_t grid[2][2];
    uint16_t ring[8];
    uint8_t ring_used;
    struct zoo_pair one;
    struct zoo_pair many[2];
    struct zoo_pair few[4];
    uint32_t few_used;
    uint32_t *behind;
    struct zoo_late *late;
    uint8_t *blob; /* 16 bytes of room */
    uint16_t blob_used;
    int32_t *sparse[3]; /* the middle one is NULL */
    uint32_t owned_count;
    uint16_t *owned;
    int32_t bits_count;
    uint64_t *bits; /* 128 bits of room */
    TAILQ_HEAD(zoo_requests, zoo_request) requests;
    LIST_HEAD(zoo_notes, zoo_note) notes;
    struct zoo_node *tree;
    uint32_t seconds; /* on the wire as half that, by a temporary */
    uint32_t wide;    /* by a visiting encoding */
    uint32_t deep;    /* by a putting and getting one */
    uint32_t extra;   /* in a subsection, if not 0 */
    uint32_t spare;   /* in no description */
    unsigned loads;   /* how often post_load ran */
};

extern const struct ferry_state_desc zoo_desc;

/* NULL when out of memory.  @n makes devices that differ in every value that may differ. */
struct zoo *zoo_new(unsigned n);
void zoo_free(struct zoo *zoo);

/* Everything a load could have changed, pointers and what they point at, as one number. */
uint64_t zoo_fingerprint(const struct zoo *zoo);

#endif
