/* SPDX-License-Identifier: BSD-3-Clause */
/* log.h - lines for the embedder's log callback; free when nobody listens */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <ferry/log.h>
#include <stdbool.h>

enum log_topic {
    LOG_CHANNEL,
    LOG_STREAM,
    LOG_STATE,
    LOG_MEMORY,
    LOG_PRECOPY,
    LOG_SESSION,
};

bool log_enabled(enum ferry_log_level level);
void log_write(enum ferry_log_level level, enum log_topic topic, const char *format, ...) FERRY_PRINTF(3, 4);

#define log_at(level, topic, ...)                 \
    do {                                          \
        if (log_enabled(level))                   \
            log_write(level, topic, __VA_ARGS__); \
    } while (0)

#define log_warn(topic, ...)  log_at(FERRY_LOG_WARN, topic, __VA_ARGS__)
#define log_info(topic, ...)  log_at(FERRY_LOG_INFO, topic, __VA_ARGS__)
#define log_debug(topic, ...) log_at(FERRY_LOG_DEBUG, topic, __VA_ARGS__)

#endif
