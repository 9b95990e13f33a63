/* SPDX-License-Identifier: BSD-3-Clause */
/* log.h - the story of a migration, by topic
 *
 * Errors are returned, never logged.  What is logged goes to the embedder's callback; without one, nothing is logged
 * and nothing is formatted.
 */
#ifndef FERRY_LOG_H
#define FERRY_LOG_H

#include <ferry/api.h>

FERRY_BEGIN_DECLS

enum ferry_log_level {
    FERRY_LOG_WARN = 1,
    FERRY_LOG_INFO = 2,
    FERRY_LOG_DEBUG = 3,
    FERRY_LOG_TRACE = 4, /* once per page: very many lines */
};

/**
 * ferry_log_set() - where log lines go
 * @fn: called with a topic ("precopy", "channel", ...) and one line without newline; NULL switches logging off
 * @max: lines above this level are neither formatted nor passed
 *
 * Thread: call before the first session starts.  @fn is called from any thread, several at once, and may not call
 * back into Ferry.
 */
FERRY_API void ferry_log_set(void (*fn)(void *opaque, enum ferry_log_level level, const char *topic, const char *line),
                             void *opaque, enum ferry_log_level max);

FERRY_END_DECLS

#endif
