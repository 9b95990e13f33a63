/* SPDX-License-Identifier: BSD-3-Clause */
/* lines.h - what is told on stderr: words for people, or a line of JSON each for whoever collects logs
 *
 *     {"time": "2026-11-21T15:04:05.678Z", "level": "info", "topic": "ferry", "migration": 1,
 *      "session": "0123...", "message": "the guest runs here; checking every page of it"}
 *
 * `migration` counts those of this process; `session` is there once both ends have agreed, the same at both.
 */
#ifndef TOOLS_LINES_H
#define TOOLS_LINES_H

#include <ferry/error.h>
#include <ferry/log.h>
#include <jansson.h>
#include <stdbool.h>

struct lines;

/* NULL when out of memory. */
struct lines *lines_new(bool is_json);

/* NULL is legal. */
void lines_free(struct lines *lines);

bool lines_is_json(const struct lines *lines);

/* What is told from now on is of this session.  Thread, for all here: any. */
void lines_of(struct lines *lines, const char *session_id);

/* The next migration begins. */
void lines_next(struct lines *lines);

/**
 * lines_put() - one line
 * @level: "error", "warn", "info", ...
 * @more: further members of the object, for JSON alone; taken, may be NULL
 *
 * Words are printed as they are; with a topic of the library's, "ferry: TOPIC: MESSAGE".
 */
void lines_put(struct lines *lines, const char *level, const char *topic, const char *message, json_t *more);

/* For ferry_log_set(); @opaque: the struct lines. */
void lines_log(void *opaque, enum ferry_log_level level, const char *topic, const char *line);

#endif
