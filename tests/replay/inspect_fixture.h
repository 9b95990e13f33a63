/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_fixture.h - streams made by hand, and a look at them
 *
 * The golden one: two blocks, one device with a subsection; what it holds is told in docs/protocol.md.
 */
#ifndef REPLAY_INSPECT_FIXTURE_H
#define REPLAY_INSPECT_FIXTURE_H

#include "inspect_stream.h"
#include "section.h"

#include <ferry/stream.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DEV "{\"name\": \"dev\", \"instance_id\": 0, \"vmsd_name\": \"dev\", \"version\": 1, \"fields\": ["
#define GOLDEN                                                                                                         \
    "{\"page_size\": 4096, \"devices\": [" DEV "{\"name\": \"a\", \"type\": \"uint32\", \"size\": 4}], "               \
    "\"subsections\": [{\"vmsd_name\": \"dev/x\", \"version\": 1, \"fields\": [{\"name\": \"b\", \"type\": \"bool\", " \
    "\"size\": 1}]}]}]}"

#define GOLDEN_BODY "0000002a05056465762f780000000101"

/* A stream that is being made, in memory. */
struct made {
    struct ferry_channel *chan;
    struct ferry_writer *to;
};

void made_begin(struct made *made);
/* What was put so far; valid until made_drop(). */
const uint8_t *made_finish(struct made *made, size_t *bytes);
void made_drop(struct made *made);

/* The parts of a stream, in their order. */
void put_hex(struct ferry_writer *to, const char *hex);
void put_prologue(struct ferry_writer *to);
void put_return_path(struct ferry_writer *to);
void put_ram_start(struct ferry_writer *to);
void put_pages(struct ferry_writer *to);
void put_xbzrle(struct ferry_writer *to);
void put_ram_end(struct ferry_writer *to);
void put_full(struct ferry_writer *to, const char *body);
/* NULL: without a description. */
void put_end(struct ferry_writer *to, const char *json);

/* A whole one. */
void put_golden(struct ferry_writer *to);
/* A whole one with one device of this body, its fields so described. */
void put_device(struct ferry_writer *to, const char *body, const char *fields);

/* The parts of one that switches to postcopy: pages r 1 and s 0 follow the guest. */
void put_precopy(struct ferry_writer *to);
void put_discards(struct ferry_writer *to);
void put_package(struct ferry_writer *to);
void put_following(struct ferry_writer *to, const char *hex, uint8_t fill);
void put_followed(struct ferry_writer *to);
void put_postcopy(struct ferry_writer *to);

/* What inspect made of a stream. */
struct seen {
    struct inspect_ram ram;
    struct inspect_report report;
    int result;
    char *words; /* owned */
    char *json;
};

/* Each fails the test when it takes long, or fails without a sentence. */
void look_at_channel(struct seen *seen, struct ferry_channel *chan, bool answer);
void look(struct seen *seen, const uint8_t *data, size_t bytes);
/* Drops @made, too. */
void look_at_made(struct seen *seen, struct made *made);
void look_away(struct seen *seen);

void assert_says(const char *words, const char *part);

#endif
