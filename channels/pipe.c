/* SPDX-License-Identifier: BSD-3-Clause */
/* pipe.c - the channel over one or two descriptors that are read and written: pipes, terminals, character devices
 *
 * A pipe cannot be shut down from another thread as a socket can: each direction has an eventfd beside its descriptor,
 * and whoever waits polls both.
 */
#include "pipe.h"

#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* What an unprivileged process may have by default (fs.pipe-max-size): 64 KiB would wake its reader 16 times as often.
 */
#define PIPE_BYTES (1024 * 1024)

struct pipe_end {
    int fd;
    int flags; /* as they were; -1: unchanged */
    int wake;  /* eventfd */
};

struct pipe_channel {
    struct ferry_channel base;
    struct pipe_end in;  /* the reader's */
    struct pipe_end out; /* the writer's */
};

static struct pipe_channel *pipe_of(struct ferry_channel *chan)
{
    return (struct pipe_channel *)chan;
}

static ssize_t pipe_readv(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    struct pipe_end *in = &pipe_of(chan)->in;

    for (;;) {
        ssize_t done = readv(in->fd, iov, count);
        int ret = done < 0 ? -errno : 0;

        if (done >= 0)
            return done;
        if (ret == -EAGAIN)
            ret = wait_fd(in->fd, POLLIN, in->wake, -1);
        if (ret < 0 && ret != -EINTR)
            return channel_errno(chan->label, ret, err);
    }
}

/* write(2) on a pipe has no MSG_NOSIGNAL.  The signal goes to the thread that writes: hold it back here, and when it
 * came, swallow it - but not one that the caller held back before. */
static ssize_t write_quietly(int fd, const struct iovec *iov, int count)
{
    sigset_t pipe_set, old, pending;
    bool was_pending = false;
    ssize_t done;
    int ret;

    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
    if (sigismember(&old, SIGPIPE)) {
        sigpending(&pending);
        was_pending = sigismember(&pending, SIGPIPE);
    }
    done = writev(fd, iov, count);
    ret = done < 0 ? -errno : 0;
    if (ret == -EPIPE && !was_pending)
        while (sigtimedwait(&pipe_set, NULL, &(struct timespec){ 0 }) < 0 && errno == EINTR)
            continue;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return ret < 0 ? ret : done;
}

static ssize_t pipe_writev(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    struct pipe_end *out = &pipe_of(chan)->out;

    for (;;) {
        ssize_t done = write_quietly(out->fd, iov, count);

        if (done >= 0)
            return done;
        if (done == -EAGAIN)
            done = wait_fd(out->fd, POLLOUT, out->wake, -1);
        if (done < 0 && done != -EINTR)
            return channel_errno(chan->label, (int)done, err);
    }
}

static void end_close(struct pipe_end *end, bool shared)
{
    if (end->fd < 0)
        return;
    if (end->flags >= 0)
        fcntl(end->fd, F_SETFL, end->flags);
    if (!shared)
        close(end->fd);
    end->fd = -1;
}

static int pipe_finish(struct ferry_channel *chan, struct ferry_error *err)
{
    struct pipe_channel *pipe = pipe_of(chan);

    (void)err;
    /* A terminal has no half to close. */
    if (pipe->out.fd != pipe->in.fd)
        end_close(&pipe->out, false);
    return 0;
}

static void pipe_shutdown(struct ferry_channel *chan, enum ferry_direction how)
{
    if (how & FERRY_READ)
        wait_wake(pipe_of(chan)->in.wake);
    if (how & FERRY_WRITE)
        wait_wake(pipe_of(chan)->out.wake);
}

static void pipe_close(struct ferry_channel *chan)
{
    struct pipe_channel *pipe = pipe_of(chan);

    end_close(&pipe->out, pipe->out.fd == pipe->in.fd);
    end_close(&pipe->in, false);
    if (pipe->in.wake >= 0)
        close(pipe->in.wake);
    if (pipe->out.wake >= 0)
        close(pipe->out.wake);
}

static const struct channel_ops pipe_ops = {
    .readv = pipe_readv,
    .writev = pipe_writev,
    .finish = pipe_finish,
    .shutdown = pipe_shutdown,
    .close = pipe_close,
};

static int end_open(struct pipe_end *end, int fd)
{
    int flags;

    if (fd < 0)
        return 0;
    end->wake = wait_wake_open();
    if (end->wake < 0)
        return end->wake;
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
        return -errno;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (fcntl(fd, F_GETPIPE_SZ) < PIPE_BYTES)
        (void)!fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
    end->fd = fd;
    if (!(flags & O_NONBLOCK))
        end->flags = flags;
    return 0;
}

/* On failure the descriptors are the caller's still: set back, but open. */
static void end_release(struct pipe_end *end)
{
    end_close(end, true);
}

struct ferry_channel *pipe_channel(int in, int out, const char *label, struct ferry_error *err)
{
    enum ferry_direction directions = (in >= 0 ? FERRY_READ : 0) | (out >= 0 ? FERRY_WRITE : 0);
    struct pipe_channel *pipe = channel_new(sizeof(*pipe), &pipe_ops, directions, label, err);
    int ret;

    if (!pipe)
        return NULL;
    pipe->in = pipe->out = (struct pipe_end){ .fd = -1, .flags = -1, .wake = -1 };
    ret = end_open(&pipe->in, in);
    if (ret == 0)
        ret = end_open(&pipe->out, out);
    if (ret == 0)
        return &pipe->base;
    channel_errno(label, ret, err);
    end_release(&pipe->out);
    end_release(&pipe->in);
    ferry_channel_unref(&pipe->base);
    return NULL;
}

int pipe_wait(struct ferry_channel *chan, int fd, enum ferry_direction way, int timeout_ms)
{
    struct pipe_channel *pipe = pipe_of(chan);

    return wait_fd(fd, POLLIN, way == FERRY_READ ? pipe->in.wake : pipe->out.wake, timeout_ms);
}
