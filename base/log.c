/* SPDX-License-Identifier: BSD-3-Clause */
/* log.c - lines for the embedder's log callback; free when nobody listens */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

/* Set once, before the first session; the one piece of process-wide state in Ferry. */
static struct {
    void (*fn)(void *opaque, enum ferry_log_level level, const char *topic, const char *line);
    void *opaque;
    enum ferry_log_level max;
} sink;

static const char *const topic_names[] = {
    [LOG_CHANNEL] = "channel", [LOG_STREAM] = "stream",   [LOG_STATE] = "state",
    [LOG_MEMORY] = "memory",   [LOG_PRECOPY] = "precopy", [LOG_SESSION] = "session",
};

void ferry_log_set(void (*fn)(void *opaque, enum ferry_log_level level, const char *topic, const char *line),
                   void *opaque, enum ferry_log_level max)
{
    sink.fn = fn;
    sink.opaque = opaque;
    sink.max = max;
}

bool log_enabled(enum ferry_log_level level)
{
    return sink.fn && level <= sink.max;
}

void log_write(enum ferry_log_level level, enum log_topic topic, const char *format, ...)
{
    char line[512];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    sink.fn(sink.opaque, level, topic_names[topic], line);
}
