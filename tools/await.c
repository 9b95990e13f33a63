/* SPDX-License-Identifier: BSD-3-Clause */
/* await.c - do one blocking thing after another, and still hear signals and the clock */
#include "await.h"

#include "clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TICK_MS 100

struct await {
    int fd;
    int signal;
    bool held;
    sigset_t set;
};

/* Work left behind still needs this, so the last of the two users frees it. */
struct job {
    int (*work)(void *opaque);
    void *opaque;
    int result;
    int done; /* an eventfd */
    pthread_mutex_t lock;
    unsigned users; /* guarded by lock */
};

static bool is_ignored(int number)
{
    struct sigaction now;

    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

struct await *await_new(struct ferry_error *err)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    struct await *await = calloc(1, sizeof(*await));
    sigset_t pipe_set;

    if (!await) {
        ferry_error_set(err, -ENOMEM, "no memory to wait for signals");
        return NULL;
    }
    sigemptyset(&await->set);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (!is_ignored(numbers[i]))
            sigaddset(&await->set, numbers[i]);
    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE); /* a terminal that went away must not end a migration */
    pthread_sigmask(SIG_BLOCK, &pipe_set, NULL);
    pthread_sigmask(SIG_BLOCK, &await->set, NULL);
    await->fd = signalfd(-1, &await->set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (await->fd < 0) {
        ferry_error_set(err, -errno, "no descriptor to wait for signals: %s", strerror(errno));
        free(await);
        return NULL;
    }
    return await;
}

void await_free(struct await *await)
{
    if (!await)
        return;
    close(await->fd);
    free(await);
}

int await_signal(const struct await *await)
{
    return await->signal;
}

void await_hold(struct await *await)
{
    await->held = true;
}

int await_fd(const struct await *await)
{
    return await->fd;
}

void await_take(struct await *await)
{
    struct signalfd_siginfo info;

    if (read(await->fd, &info, sizeof(info)) != sizeof(info))
        return;
    await->signal = (int)info.ssi_signo;
    if (!await->held)
        pthread_sigmask(SIG_UNBLOCK, &await->set, NULL);
}

static void job_drop(struct job *job)
{
    unsigned left;

    pthread_mutex_lock(&job->lock);
    left = --job->users;
    pthread_mutex_unlock(&job->lock);
    if (left > 0)
        return;
    close(job->done);
    pthread_mutex_destroy(&job->lock);
    free(job);
}

static void *job_main(void *opaque)
{
    struct job *job = opaque;
    uint64_t one = 1;

    job->result = job->work(job->opaque);
    if (write(job->done, &one, sizeof(one)) != sizeof(one))
        job->result = -EIO; /* an eventfd takes its first 1 always */
    job_drop(job);
    return NULL;
}

static struct job *job_start(const struct await_ops *ops, void *opaque, pthread_t *thread, struct ferry_error *err)
{
    struct job *job = calloc(1, sizeof(*job));
    int ret = ENOMEM;

    if (!job)
        goto fail;
    *job = (struct job){ .work = ops->work, .opaque = opaque, .users = 2 };
    job->done = eventfd(0, EFD_CLOEXEC);
    if (job->done < 0) {
        ret = errno;
        goto fail;
    }
    pthread_mutex_init(&job->lock, NULL);
    ret = pthread_create(thread, NULL, job_main, job);
    if (ret == 0)
        return job;
    pthread_mutex_destroy(&job->lock);
    close(job->done);
fail:
    ferry_error_set(err, -ret, "no thread to wait with: %s", strerror(ret));
    free(job);
    return NULL;
}

/* Returns false when the work was left behind. */
static bool wait_for(struct await *await, const struct job *job, const struct await_ops *ops, void *opaque)
{
    struct pollfd fds[] = { { .fd = job->done, .events = POLLIN }, { .fd = await->fd, .events = POLLIN } };
    int64_t next_ns = clock_now_ns(), tick_ms = ops->tick_ms > 0 ? ops->tick_ms : TICK_MS;
    bool told = false;

    for (;;) {
        int64_t left_ns = next_ns - clock_now_ns();

        if (await->signal && !told) {
            if (!ops->interrupt)
                return false;
            ops->interrupt(opaque);
            told = true;
        }
        if (left_ns <= 0) {
            if (ops->tick)
                ops->tick(opaque);
            next_ns = clock_now_ns() + tick_ms * NS_PER_MS;
            left_ns = tick_ms * NS_PER_MS;
        }
        if (poll(fds, 2, (int)(left_ns / NS_PER_MS) + 1) < 0 && errno != EINTR)
            return true;
        if (fds[0].revents)
            return true;
        if (fds[1].revents)
            await_take(await);
        fds[0].revents = fds[1].revents = 0;
    }
}

int await_run(struct await *await, const struct await_ops *ops, void *opaque, struct ferry_error *err)
{
    pthread_t thread;
    struct job *job = job_start(ops, opaque, &thread, err);
    int result;

    if (!job)
        return err ? err->errnum : -EAGAIN;
    if (!wait_for(await, job, ops, opaque)) {
        pthread_detach(thread);
        job_drop(job);
        return ferry_error_set_code(err, FERRY_E_CANCELLED, -EINTR, "interrupted by %s", strsignal(await->signal));
    }
    pthread_join(thread, NULL);
    result = job->result;
    job_drop(job);
    return result;
}
