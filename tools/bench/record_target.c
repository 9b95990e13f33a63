/* SPDX-License-Identifier: BSD-3-Clause */
/* record_target.c - another process whose writes are recorded: its writable memory, area by area */
#include "record_target.h"

#include <errno.h>
#include <fcntl.h>
#include <ferry/memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AREAS_MAX 65536

static void take_name(const char *path, char to[64])
{
    const char *last = strrchr(path, '/');

    snprintf(to, 64, "%.63s", !*path ? "anonymous" : last && last[1] ? last + 1 : path);
    to[strcspn(to, "\n")] = '\0';
}

static int add_area(struct record_target *target, const struct record_area *area)
{
    struct record_area *more;

    if (target->count == AREAS_MAX || area->pages > DIRTY_TRACE_PAGES_MAX - target->pages) {
        target->left_out++;
        return 0;
    }
    more = reallocarray(target->area, target->count + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    target->area = more;
    more[target->count] = *area;
    more[target->count++].base = target->pages;
    target->pages += area->pages;
    return 0;
}

/* One line: "7f0c8000-7f0d0000 rw-p 00000000 00:00 0    [heap]". */
static int take_line(struct record_target *target, const char *line)
{
    unsigned long start, end;
    int path = 0;
    char may[5];
    struct record_area area = { 0 };

    if (sscanf(line, "%lx-%lx %4s %*x %*s %*u %n", &start, &end, may, &path) < 3 || end <= start)
        return 0;
    if (may[0] != 'r' || may[1] != 'w' || !strncmp(line + path, "[v", 2))
        return 0;
    area.start = start;
    area.pages = (end - start) / FERRY_PAGE_BYTES;
    area.shared = may[3] == 's';
    take_name(line + path, area.name);
    return add_area(target, &area);
}

static int read_maps(struct record_target *target, struct ferry_error *err)
{
    char path[64], *line = NULL;
    size_t room = 0;
    FILE *maps;
    int ret = 0;

    snprintf(path, sizeof(path), "/proc/%d/maps", (int)target->pid);
    maps = fopen(path, "re");
    if (!maps)
        return ferry_error_set(err, -errno, "%s: %s", path, strerror(errno));
    while (ret == 0 && getline(&line, &room, maps) > 0)
        ret = take_line(target, line);
    free(line);
    fclose(maps);
    if (ret < 0)
        return ferry_error_set(err, ret, "no memory for what process %d has", (int)target->pid);
    if (target->count == 0)
        return ferry_error_set(err, -ENOENT, "process %d has no memory that it could write", (int)target->pid);
    return 0;
}

int record_target_open(struct record_target *target, pid_t pid, struct ferry_error *err)
{
    char path[64];

    *target = (struct record_target){ .pid = pid, .pidfd = -1, .pagemap = -1, .uffd = -1 };
    target->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (target->pidfd < 0)
        return ferry_error_set(err, -errno, "process %d: %s", (int)pid, strerror(errno));
    snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
    target->pagemap = open(path, O_RDONLY | O_CLOEXEC);
    if (target->pagemap < 0)
        return ferry_error_set(err, -errno, "%s: %s: it belongs to somebody else", path, strerror(errno));
    return read_maps(target, err);
}

void record_target_close(struct record_target *target)
{
    for (unsigned i = 0; i < target->count; i++)
        free(target->area[i].sums);
    free(target->area);
    if (target->uffd >= 0)
        close(target->uffd); /* the kernel stops noting */
    if (target->pagemap >= 0)
        close(target->pagemap);
    if (target->pidfd >= 0)
        close(target->pidfd);
    *target = (struct record_target){ .pidfd = -1, .pagemap = -1, .uffd = -1 };
}
