/* SPDX-License-Identifier: BSD-3-Clause */
/* process.c - another process of this program, and the lines of JSON it sends here */
#include "process.h"

#include "exit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 64
#define CANNOT_RUN    127

void process_init(struct process *process)
{
    *process = (struct process){ .fd = -1, .words = -1 };
}

/* In the child, between fork() and the new program. */
static void become(const char *const argv[], pid_t parent, int events, int words)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it was gone before it could be tied to us */
        _exit(CANNOT_RUN);
    setpgid(0, 0); /* the terminal's ^C is the parent's: it says who is told first */
    if (words >= 0)
        dup2(words, STDERR_FILENO);
    if (fcntl(events, F_SETFD, 0) == 0)
        execv("/proc/self/exe", (char *const *)argv);
    _exit(CANNOT_RUN);
}

int process_start(struct process *process, const char *const argv[], struct ferry_error *err)
{
    const char *all[ARGUMENTS_MAX + 3];
    pid_t parent = getpid();
    char number[16];
    int count = 0, fds[2];

    while (argv[count] && count < ARGUMENTS_MAX) {
        all[count] = argv[count];
        count++;
    }
    if (argv[count])
        return ferry_error_set(err, -ENOMEM, "no room for a process and its arguments");
    if (pipe2(fds, O_CLOEXEC) < 0)
        return ferry_error_set(err, -errno, "no pipe to a process: %s", strerror(errno));
    snprintf(number, sizeof(number), "%d", fds[1]);
    all[count] = "--events";
    all[count + 1] = number;
    all[count + 2] = NULL;
    process->pid = fork();
    if (process->pid == 0)
        become(all, parent, fds[1], process->words);
    close(fds[1]);
    if (process->pid < 0) {
        process->pid = 0;
        close(fds[0]);
        return ferry_error_set(err, -errno, "no process: %s", strerror(errno));
    }
    process->fd = fds[0];
    return 0;
}

static void reap(struct process *process)
{
    int status;

    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    process->exit_status = WIFEXITED(status) && WEXITSTATUS(status) != CANNOT_RUN ? WEXITSTATUS(status) : EXIT_FAILED;
    process->ended = true;
    process->pid = 0;
    close(process->fd);
    process->fd = -1;
}

struct heard {
    struct process *process;
    void (*event)(void *opaque, struct process *process, json_t *object);
    void *opaque;
};

static void hear(void *opaque, json_t *object)
{
    const struct heard *heard = opaque;

    heard->event(heard->opaque, heard->process, object);
}

void process_read(struct process *process, void (*event)(void *opaque, struct process *process, json_t *object),
                  void *opaque)
{
    struct heard heard = { process, event, opaque };
    ssize_t got = json_lines_read(&process->lines, process->fd, hear, &heard);

    if (got <= 0 && got != -EAGAIN)
        reap(process);
}

void process_signal(const struct process *process, int number)
{
    if (process->pid > 0)
        kill(process->pid, number);
}

void process_close(struct process *process)
{
    if (process->pid > 0) {
        process_signal(process, SIGKILL);
        reap(process);
    }
    json_lines_clear(&process->lines);
    process_init(process);
}
