/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_record.c - `ferry bench --record-dirty`: which pages a process, or a guest of ours, writes when
 *
 *      a guest      made and started here; the trackers of a migration are asked at each interval
 *      a process    record_target.h
 */
#include "bench_record.h"

#include "clock.h"
#include "guest.h"
#include "options.h"
#include "precopy.h"
#include "record_target.h"
#include "units.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* When the next look is due, or the end.  False: it is over, by a signal or because @pidfd's process has ended. */
static bool wait_until(const struct record_terms *terms, int pidfd, int64_t when_ns)
{
    struct pollfd fds[] = { { .fd = await_fd(terms->await), .events = POLLIN }, { .fd = pidfd, .events = POLLIN } };
    int64_t left_ns;

    while ((left_ns = when_ns - clock_now_ns()) > 0) {
        struct timespec wait = { left_ns / NS_PER_SEC, left_ns % NS_PER_SEC };

        if (ppoll(fds, 2, &wait, NULL) > 0)
            break;
    }
    if (fds[0].revents)
        await_take(terms->await);
    return !fds[0].revents && !fds[1].revents;
}

/* Calls @look at the end of each interval. */
static int look_often(const struct record_terms *terms, int pidfd, int (*look)(void *opaque, struct ferry_error *err),
                      void *opaque, struct ferry_error *err)
{
    int64_t began_ns = clock_now_ns(), end_ns = began_ns + terms->for_ns, next_ns = began_ns + terms->every_ns;
    bool goes_on = true;
    int ret = 0;

    while (ret == 0 && goes_on && next_ns <= end_ns) {
        goes_on = wait_until(terms, pidfd, next_ns);
        if (goes_on)
            ret = look(opaque, err);
        next_ns += terms->every_ns;
        if (next_ns < clock_now_ns()) /* one look takes longer than an interval */
            next_ns = clock_now_ns();
    }
    return ret;
}

static void say(const struct record_terms *terms, const char *what, uint64_t pages, const char *how)
{
    char size[32], time[32];

    if (terms->quiet)
        return;
    fprintf(stderr, "recording %s: %s, for %s; %s\n", what,
            units_format_size(size, sizeof(size), pages * FERRY_PAGE_BYTES),
            units_format_time(time, sizeof(time), (uint64_t)terms->for_ns), how);
}

static void tell(const struct record_terms *terms, const struct dirty_trace_figures *figures, int64_t began_ns)
{
    double seconds = (double)(clock_now_ns() - began_ns) / NS_PER_SEC;
    char rate[32];

    printf("%llu intervals, %llu pages written: %s\ntrace: %s\n", (unsigned long long)figures->intervals,
           (unsigned long long)figures->pages,
           units_format_rate(rate, sizeof(rate), (double)figures->pages * FERRY_PAGE_BYTES / seconds), terms->path);
}

/* ---- a guest ----------------------------------------------------------------------------------------------------- */

static int look_at_guest(void *opaque, struct ferry_error *err)
{
    uint64_t changed;

    return precopy_sync(opaque, &changed, err);
}

static int record_guest(const struct record_terms *terms, struct ferry_error *err)
{
    struct bench_guest *guest = bench_guest_new(terms->what, err);
    struct dirty_trace_figures figures = { 0 };
    int64_t began_ns = clock_now_ns();
    struct precopy precopy;
    int ret, end;

    if (!guest)
        return err->errnum;
    ret = precopy_begin(&precopy, bench_guest_ferry(guest), TRACKER_AUTO, NULL, err);
    if (ret == 0)
        ret = bench_guest_start(guest, err);
    if (ret == 0)
        ret = walk_record(&precopy.walk, terms->path, tracker_set_name(precopy.trackers), err);
    if (ret == 0) {
        say(terms, terms->what, walk_pending(&precopy.walk), tracker_set_name(precopy.trackers));
        began_ns = clock_now_ns();
        ret = look_often(terms, -1, look_at_guest, &precopy, err);
        end = dirty_trace_close(precopy.walk.trace, &figures, ret == 0 ? err : NULL);
        precopy.walk.trace = NULL;
        ret = ret < 0 ? ret : end;
    }
    precopy_end(&precopy);
    bench_guest_free(guest);
    if (ret == 0)
        tell(terms, &figures, began_ns);
    return ret;
}

/* ---- a process --------------------------------------------------------------------------------------------------- */

struct process_look {
    struct record_target target;
    const struct record_way *way;
    struct dirty_trace *trace;
    int64_t began_ns;
};

static int look_at_process(void *opaque, struct ferry_error *err)
{
    struct process_look *process = opaque;

    dirty_trace_until(process->trace, clock_now_ns() - process->began_ns);
    for (unsigned i = 0; i < process->target.count; i++)
        if (!process->target.area[i].gone)
            process->way->look(&process->target, &process->target.area[i], process->trace);
    return 0;
}

/* As asked for; auto: the kernel, else by comparing. */
static int choose_way(const struct record_terms *terms, struct process_look *process, struct ferry_error *err)
{
    bool is_auto = !strcmp(terms->way, "auto");
    int ret;

    process->way = strcmp(terms->way, "compare") ? &record_watch : &record_compare;
    ret = process->way->start(&process->target, err);
    if (ret == 0 || !is_auto)
        return ret;
    if (!terms->quiet)
        fprintf(stderr, "its writes cannot be noted by the kernel: %s\n", ferry_error_text(err));
    record_target_close(&process->target);
    process->way = &record_compare;
    err->errnum = 0;
    ret = record_target_open(&process->target, atoi(terms->what), err);
    return ret < 0 ? ret : process->way->start(&process->target, err);
}

static int create(const struct record_terms *terms, struct process_look *process, struct ferry_error *err)
{
    const struct record_target *target = &process->target;
    struct dirty_trace_block *blocks = calloc(target->count, sizeof(*blocks));

    if (!blocks)
        return ferry_error_set(err, -ENOMEM, "no memory for a dirty trace");
    for (unsigned i = 0; i < target->count; i++)
        blocks[i] = (struct dirty_trace_block){ target->area[i].name, target->area[i].pages };
    process->trace = dirty_trace_create(terms->path, process->way->name, blocks, target->count, err);
    free(blocks);
    return process->trace ? 0 : err->errnum;
}

/* Areas that were not seen, or not to the end, are told: what the trace has is not all. */
static void tell_unseen(const struct record_target *target)
{
    unsigned gone = target->left_out;

    for (unsigned i = 0; i < target->count; i++)
        gone += target->area[i].gone;
    if (gone > 0)
        printf("%u areas of its memory were not seen to the end: unmapped meanwhile, or not to be watched\n", gone);
}

static int record_process(const struct record_terms *terms, pid_t pid, struct ferry_error *err)
{
    struct process_look process = { 0 };
    struct dirty_trace_figures figures = { 0 };
    char what[64];
    int ret = record_target_open(&process.target, pid, err), end;

    snprintf(what, sizeof(what), "process %d", (int)pid);
    if (ret == 0)
        ret = choose_way(terms, &process, err);
    if (ret == 0)
        ret = create(terms, &process, err);
    if (ret == 0) {
        say(terms, what, process.target.pages, process.way->words);
        process.began_ns = clock_now_ns();
        ret = look_often(terms, process.target.pidfd, look_at_process, &process, err);
        end = dirty_trace_close(process.trace, &figures, ret == 0 ? err : NULL);
        ret = ret < 0 ? ret : end;
    }
    if (ret == 0) {
        printf("%s\n", process.way->words);
        tell(terms, &figures, process.began_ns);
        tell_unseen(&process.target);
    }
    record_target_close(&process.target);
    return ret;
}

int bench_record(const struct record_terms *terms, struct ferry_error *err)
{
    char *rest;
    long pid = strtol(terms->what, &rest, 10);

    if (strcmp(terms->way, "auto") != 0 && strcmp(terms->way, "watch") != 0 && strcmp(terms->way, "compare") != 0)
        return ferry_error_set(err, -EINVAL, "--way: '%s' is not one of auto, watch or compare", terms->way);
    if (terms->every_ns < NS_PER_MS || terms->for_ns < terms->every_ns)
        return ferry_error_set(err, -EINVAL, "--interval from 1ms, --for no less than that");
    if (access(terms->path, F_OK) == 0)
        return ferry_error_set(err, -EINVAL, "%s is there already: name another file", terms->path);
    if (*rest == '\0' && rest != terms->what)
        return pid > 0 && pid < INT32_MAX ? record_process(terms, (pid_t)pid, err)
                                          : ferry_error_set(err, -EINVAL, "%s is no process", terms->what);
    return record_guest(terms, err);
}
