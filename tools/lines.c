/* SPDX-License-Identifier: BSD-3-Clause */
/* lines.c - what is told on stderr: words for people, or a line of JSON each for whoever collects logs */
#include "lines.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct lines {
    bool is_json;
    pthread_mutex_t lock; /* guards what follows */
    char session[33];
    unsigned migration;
};

struct lines *lines_new(bool is_json)
{
    struct lines *lines = calloc(1, sizeof(*lines));

    if (!lines)
        return NULL;
    lines->is_json = is_json;
    lines->migration = 1;
    pthread_mutex_init(&lines->lock, NULL);
    return lines;
}

void lines_free(struct lines *lines)
{
    if (!lines)
        return;
    pthread_mutex_destroy(&lines->lock);
    free(lines);
}

bool lines_is_json(const struct lines *lines)
{
    return lines->is_json;
}

void lines_of(struct lines *lines, const char *session_id)
{
    pthread_mutex_lock(&lines->lock);
    snprintf(lines->session, sizeof(lines->session), "%s", session_id);
    pthread_mutex_unlock(&lines->lock);
}

void lines_next(struct lines *lines)
{
    pthread_mutex_lock(&lines->lock);
    lines->migration++;
    lines->session[0] = '\0';
    pthread_mutex_unlock(&lines->lock);
}

static void format_time(char *to, size_t room)
{
    char seconds[32];
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(to, room, "%s.%03dZ", seconds, (int)(now.tv_nsec / 1000000));
}

static json_t *object_of(struct lines *lines, const char *level, const char *topic, const char *message)
{
    char time[48];
    json_t *object;

    format_time(time, sizeof(time));
    object = json_pack("{s:s, s:s, s:s}", "time", time, "level", level, "topic", topic);
    if (!object)
        return NULL;
    pthread_mutex_lock(&lines->lock);
    json_object_set_new(object, "migration", json_integer(lines->migration));
    if (lines->session[0])
        json_object_set_new(object, "session", json_string(lines->session));
    pthread_mutex_unlock(&lines->lock);
    json_object_set_new(object, "message", json_string(message));
    return object;
}

/* One write: lines of several threads, and of two processes, do not mix. */
static void put_object(const json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)), *line = NULL;

    if (text && asprintf(&line, "%s\n", text) >= 0)
        fputs(line, stderr);
    free(line);
    free(text);
}

void lines_put(struct lines *lines, const char *level, const char *topic, const char *message, json_t *more)
{
    json_t *object;

    if (lines->is_json) {
        object = object_of(lines, level, topic, message);
        if (object && more)
            json_object_update(object, more);
        if (object)
            put_object(object);
        json_decref(object);
    } else if (!strcmp(topic, "ferry")) {
        fprintf(stderr, "%s\n", message);
    } else {
        fprintf(stderr, "ferry: %s: %s\n", topic, message);
    }
    json_decref(more);
}

void lines_log(void *opaque, enum ferry_log_level level, const char *topic, const char *line)
{
    static const char *const names[] = { "error", "warn", "info", "debug", "trace" };

    lines_put(opaque, names[level], topic, line, NULL);
}
