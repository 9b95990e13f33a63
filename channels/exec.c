/* SPDX-License-Identifier: BSD-3-Clause */
/* exec.c - the channel to a child process
 *
 * A layer over the pipe channel that holds our ends of the child's stdin and stdout; what it adds is the child's end:
 *
 *     write --> [pipe] --> stdin  child  stdout --> [pipe] --> read 0? then the exit status decides: end or error
 *
 * The child is never left behind: close shuts the pipes, waits a moment, asks (SIGTERM), insists (SIGKILL).
 */
#include "exec.h"

#include "clock.h"
#include "log.h"
#include "pipe.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define LABEL_BYTES     72
#define END_PATIENCE_MS 1000  /* for the child to exit once its stdout ended; it may go on without one */
#define CAUSE_WAIT_MS   200   /* for its status, when writing to it failed */
#define FLUSH_WAIT_MS   10000 /* at close, when all was written in good order: `gzip > file` needs its time */
#define GRACE_WAIT_MS   500   /* at close otherwise, and after SIGTERM */
#define NO_PIDFD_MS     10    /* how often to look, on a kernel without pidfd */

struct exec_channel {
    struct ferry_channel base; /* inner: the pipes */
    pid_t pid;                 /* 0: never started */
    int pidfd;                 /* -1: none */
    pthread_mutex_t lock;      /* guards ended and status: reader and writer may both wait for the end */
    bool ended;
    int status; /* of waitpid() */
};

static struct exec_channel *exec_of(struct ferry_channel *chan)
{
    return (struct exec_channel *)chan;
}

/* Has it ended?  Reaps it when it has. */
static bool has_ended(struct exec_channel *exec)
{
    bool ended;
    pid_t pid;

    pthread_mutex_lock(&exec->lock);
    if (!exec->ended) {
        do
            pid = waitpid(exec->pid, &exec->status, WNOHANG);
        while (pid < 0 && errno == EINTR);
        if (pid < 0) {
            log_warn(LOG_CHANNEL, "%s: its exit status was taken by someone else", exec->base.label);
            exec->status = 0;
        }
        exec->ended = pid != 0;
    }
    ended = exec->ended;
    pthread_mutex_unlock(&exec->lock);
    return ended;
}

/* Returns 1 when the child has ended, 0 after the timeout, -ESHUTDOWN when @way of the channel was shut down (0: do not
 * look). */
static int wait_end(struct exec_channel *exec, int way, int timeout_ms)
{
    int64_t deadline_ns = clock_deadline_ns(timeout_ms);

    while (!has_ended(exec)) {
        int left = clock_left_ms(deadline_ns);
        int ret;

        if (left == 0)
            return 0;
        if (exec->pidfd < 0 && (left < 0 || left > NO_PIDFD_MS))
            left = NO_PIDFD_MS;
        ret = way ? pipe_wait(exec->base.inner, exec->pidfd, (enum ferry_direction)way, left)
                  : wait_fd(exec->pidfd, POLLIN, -1, left);
        if (ret < 0)
            return ret;
    }
    return 1;
}

/* The status in words, unless it is 0. */
static int check_status(struct exec_channel *exec, struct ferry_error *err)
{
    const char *label = exec->base.label;
    int status = exec->status;

    if (WIFSIGNALED(status))
        return ferry_error_set_code(err, FERRY_E_COMMAND_FAILED, -EIO, "%s: child was killed by signal %d (%s)", label,
                                    WTERMSIG(status), sigdescr_np(WTERMSIG(status)));
    if (WEXITSTATUS(status) == 0)
        return 0;
    ferry_error_set_code(err, FERRY_E_COMMAND_FAILED, -EIO, "%s: child ended with status %d", label,
                         WEXITSTATUS(status));
    if (WEXITSTATUS(status) == 127)
        ferry_error_hint(err, "127 is the shell's way to say: no such command");
    return -EIO;
}

static ssize_t exec_readv(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    struct exec_channel *exec = exec_of(chan);
    ssize_t done = ferry_channel_readv(chan->inner, iov, count, err);
    int ret;

    if (done != 0)
        return done;
    ret = wait_end(exec, FERRY_READ, END_PATIENCE_MS);
    if (ret < 0)
        return channel_errno(chan->label, ret, err);
    return ret == 1 ? check_status(exec, err) : 0;
}

static ssize_t exec_writev(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    struct exec_channel *exec = exec_of(chan);
    ssize_t done = ferry_channel_writev(chan->inner, iov, count, err);

    /* "broken pipe" is true but says nothing: why did it go? */
    if (done == -EPIPE && wait_end(exec, FERRY_WRITE, CAUSE_WAIT_MS) == 1) {
        if (check_status(exec, err) == 0)
            ferry_error_set_code(err, FERRY_E_COMMAND_FAILED, -EPIPE, "%s: child ended before it had read everything",
                                 chan->label);
        else if (err)
            err->errnum = -EPIPE;
    }
    return done;
}

static int exec_finish(struct ferry_channel *chan, struct ferry_error *err)
{
    struct exec_channel *exec = exec_of(chan);
    int ret = ferry_channel_finish(chan->inner, err);

    /* With a read direction, waiting here could wait for ever: the child may want to be read first. */
    if (ret < 0 || chan->directions != FERRY_WRITE)
        return ret;
    ret = wait_end(exec, FERRY_WRITE, -1);
    return ret < 0 ? channel_errno(chan->label, ret, err) : check_status(exec, err);
}

static int exec_settle(struct ferry_channel *chan, struct ferry_error *err)
{
    char dropped[4096];
    struct iovec iov = { dropped, sizeof(dropped) };
    ssize_t done = 0;

    if (chan->directions & FERRY_READ)
        do
            done = ferry_channel_readv(chan, &iov, 1, err);
        while (done > 0);
    return (int)done;
}

static void exec_close(struct ferry_channel *chan)
{
    struct exec_channel *exec = exec_of(chan);
    bool orderly = atomic_load(&chan->finished) && !atomic_load(&chan->stopped);

    ferry_channel_unref(chan->inner);
    chan->inner = NULL;
    if (exec->pid > 0 && wait_end(exec, 0, orderly ? FLUSH_WAIT_MS : GRACE_WAIT_MS) != 1) {
        kill(exec->pid, SIGTERM);
        if (wait_end(exec, 0, GRACE_WAIT_MS) != 1) {
            kill(exec->pid, SIGKILL);
            wait_end(exec, 0, -1);
        }
    }
    if (exec->pidfd >= 0)
        close(exec->pidfd);
    pthread_mutex_destroy(&exec->lock);
}

static const struct channel_ops exec_ops = {
    .readv = exec_readv,
    .writev = exec_writev,
    .finish = exec_finish,
    .settle = exec_settle,
    .close = exec_close,
};

/* The four ends of two pipes; -1: not there. */
struct ends {
    int in, out;             /* ours: read from the child, write to it */
    int child_in, child_out; /* the child's stdin and stdout */
};

/* All ends above 2, so that none is in the way when the child's 0 and 1 are put in place. */
static int open_pipe(int *read_end, int *write_end)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *read_end = fcntl(ends[0], F_DUPFD_CLOEXEC, 3);
    *write_end = fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
    close(ends[0]);
    close(ends[1]);
    return *read_end < 0 || *write_end < 0 ? -EMFILE : 0;
}

static int ends_open(struct ends *ends, enum ferry_direction direction)
{
    int ret = 0;

    *ends = (struct ends){ -1, -1, -1, -1 };
    if (direction & FERRY_READ)
        ret = open_pipe(&ends->in, &ends->child_out);
    if (ret == 0 && direction & FERRY_WRITE)
        ret = open_pipe(&ends->child_in, &ends->out);
    return ret;
}

static void close_both(int *one, int *other)
{
    if (*one >= 0)
        close(*one);
    if (*other >= 0)
        close(*other);
    *one = *other = -1;
}

/* What a child does not use of stdin is /dev/null, of stdout our stderr: its words are for people, not results. */
static int fill_actions(posix_spawn_file_actions_t *actions, const struct ends *ends)
{
    int ret = ends->child_in >= 0 ? posix_spawn_file_actions_adddup2(actions, ends->child_in, 0)
                                  : posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);

    if (ret == 0 && ends->child_out >= 0)
        ret = posix_spawn_file_actions_adddup2(actions, ends->child_out, 1);
    else if (ret == 0 && fcntl(2, F_GETFD) >= 0)
        ret = posix_spawn_file_actions_adddup2(actions, 2, 1);
    else if (ret == 0)
        ret = posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY, 0);
    return ret ? ret : posix_spawn_file_actions_addclosefrom_np(actions, 3);
}

/* The child starts as from a shell: no signal blocked, SIGPIPE deadly, nothing open above 2. */
static int spawn(pid_t *pid, const char *const argv[], const struct ends *ends)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, pipe_set;
    int ret;

    ret = posix_spawn_file_actions_init(&actions);
    if (ret)
        return -ret;
    ret = posix_spawnattr_init(&attr);
    if (ret) {
        posix_spawn_file_actions_destroy(&actions);
        return -ret;
    }
    sigemptyset(&none);
    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &pipe_set);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    ret = fill_actions(&actions, ends);
    if (ret == 0)
        ret = posix_spawnp(pid, argv[0], &actions, &attr, (char *const *)(uintptr_t)argv, environ);
    if (ret)
        *pid = 0;
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return -ret;
}

static struct ferry_channel *exec_new(const char *const argv[], enum ferry_direction direction, const char *label,
                                      struct ferry_error *err)
{
    struct exec_channel *exec = channel_new(sizeof(*exec), &exec_ops, direction, label, err);
    struct ends ends = { -1, -1, -1, -1 };
    int ret;

    if (!exec)
        return NULL;
    exec->pidfd = -1;
    pthread_mutex_init(&exec->lock, NULL);
    ret = ends_open(&ends, direction);
    if (ret < 0)
        goto fail;
    exec->base.inner = pipe_channel(ends.in, ends.out, label, err);
    if (!exec->base.inner)
        goto fail;
    ends.in = ends.out = -1;
    ret = spawn(&exec->pid, argv, &ends);
    if (ret < 0)
        goto fail;
    close_both(&ends.child_in, &ends.child_out);
    exec->pidfd = pidfd_open(exec->pid, 0);
    return &exec->base;

fail:
    if (ret < 0)
        channel_errno(label, ret, err);
    close_both(&ends.in, &ends.out);
    close_both(&ends.child_in, &ends.child_out);
    ferry_channel_unref(&exec->base);
    return NULL;
}

/* Appends as much of @word as there is room for; "..." ends what is cut off. */
static void label_add(char label[LABEL_BYTES], const char *before, const char *word)
{
    size_t used = strlen(label);

    if (used + 1 == LABEL_BYTES)
        return;
    if ((size_t)snprintf(label + used, LABEL_BYTES - used, "%s%s", before, word) >= LABEL_BYTES - used)
        memcpy(label + LABEL_BYTES - 4, "...", 4);
}

struct ferry_channel *ferry_channel_exec(const char *const argv[], enum ferry_direction direction,
                                         struct ferry_error *err)
{
    char label[LABEL_BYTES] = "exec";

    if (!argv[0] || !(direction & FERRY_READ_WRITE)) {
        ferry_error_set(err, -EINVAL, "exec: needs a command and a direction");
        return NULL;
    }
    for (int i = 0; argv[i]; i++)
        label_add(label, i == 0 ? ":" : " ", argv[i]);
    return exec_new(argv, direction, label, err);
}

struct ferry_channel *exec_shell(const char *command, struct ferry_error *err)
{
    const char *const argv[] = { "/bin/sh", "-c", command, NULL };
    char label[LABEL_BYTES] = "exec";

    label_add(label, ":", command);
    return exec_new(argv, FERRY_READ_WRITE, label, err);
}
