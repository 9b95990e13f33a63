/* SPDX-License-Identifier: BSD-3-Clause */
/* steps.c - for tests: says each step of the switch, and stops this process at some of them */
#include "steps.h"

#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct steps {
    const char *side;    /* borrowed */
    const char *stop_at; /* the environment's; NULL: nowhere */
    int fd;              /* -1: nobody is told */
};

static bool is_listed(const char *list, const char *step)
{
    size_t bytes = strlen(step);

    for (; list; list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL)
        if (strcspn(list, ",") == bytes && !strncmp(list, step, bytes))
            return true;
    return false;
}

/* One write each: lines of two processes do not mix, and stand in the order in which they were taken. */
static void at_step(void *opaque, const char *step)
{
    const struct steps *steps = opaque;
    char line[64];
    int bytes = snprintf(line, sizeof(line), "%s %s\n", steps->side, step);

    if (steps->fd >= 0 && write(steps->fd, line, (size_t)bytes) != bytes)
        fprintf(stderr, "ferry: a step could not be told: %s", line);
    if (is_listed(steps->stop_at, step))
        raise(SIGSTOP); /* stops them all, and this thread before it returns; kill() might stop another first */
}

struct steps *steps_new(struct ferry_options *options, const char *side, struct ferry_error *err)
{
    const char *path = getenv("FERRY_STEPS"), *stop_at = getenv("FERRY_STOP_AT");
    struct steps *steps;

    if (!path && !stop_at)
        return NULL;
    steps = calloc(1, sizeof(*steps));
    if (!steps) {
        ferry_error_set(err, -ENOMEM, "no memory for the steps of the switch");
        return NULL;
    }
    *steps = (struct steps){ .side = side, .stop_at = stop_at, .fd = -1 };
    if (path)
        steps->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (path && steps->fd < 0) {
        ferry_error_set(err, -EINVAL, "FERRY_STEPS: %s: %s", path, strerror(errno));
        free(steps);
        return NULL;
    }
    options_set_steps(options, at_step, steps);
    return steps;
}

void steps_free(struct steps *steps)
{
    if (!steps)
        return;
    if (steps->fd >= 0)
        close(steps->fd);
    free(steps);
}
