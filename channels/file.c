/* SPDX-License-Identifier: BSD-3-Clause */
/* file.c - the channel over a file that has positions
 *
 * The stream keeps positions of its own and every transfer is positional, so that stream and positional transfers do
 * not disturb each other.  With `direct` a second descriptor, opened O_DIRECT, carries what is aligned:
 *
 *     position 65536    [ 64 K aligned | 4 K aligned | 100 bytes | 8 K aligned ]
 *                       `------- O_DIRECT ----------'`------ page cache ------'  (the position is odd from there on)
 *
 * The kernel keeps both views the same: a direct transfer first writes back, and a direct write then drops, the cached
 * pages that it touches.  Two transfers at once that share a page are the caller's mistake either way.
 */
#include "file.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

typedef ssize_t transfer_fn(int fd, const struct iovec *iov, int count, off_t position);

struct file_channel {
    struct ferry_channel base;
    int fd;
    int direct_fd;           /* -1: none */
    atomic_bool use_direct;  /* cleared when the file system refuses after all */
    pthread_mutex_t turn;    /* whoever writes into the page cache */
    bool keep_position;      /* the descriptor was lent with its position: hand it on */
    uint64_t read_position;  /* the reader's */
    uint64_t write_position; /* the writer's */
};

static struct file_channel *file_of(struct ferry_channel *chan)
{
    return (struct file_channel *)chan;
}

static bool is_aligned(const struct iovec *iov)
{
    return ((uintptr_t)iov->iov_base | iov->iov_len) % FILE_DIRECT_ALIGN == 0 && iov->iov_len > 0;
}

/* How many leading elements go the same way, and which: 0 when not even the first can go direct. */
static int direct_run(const struct iovec *iov, int count, uint64_t position)
{
    int run = 0;

    if (position % FILE_DIRECT_ALIGN)
        return 0;
    while (run < count && is_aligned(&iov[run]))
        run++;
    return run;
}

/* How many elements to send through the page cache until one could go direct again. */
static int cached_run(const struct iovec *iov, int count, uint64_t position)
{
    int run = 0;

    do
        position += iov[run++].iov_len;
    while (run < count && direct_run(iov + run, 1, position) == 0);
    return run;
}

static ssize_t transfer(int fd, transfer_fn *fn, const struct iovec *iov, int count, uint64_t position)
{
    ssize_t done;

    do
        done = fn(fd, iov, count, (off_t)position);
    while (done < 0 && errno == EINTR);
    return done < 0 ? -errno : done;
}

int file_direct_fd(struct ferry_channel *chan, const void *memory, size_t bytes, uint64_t position)
{
    const struct iovec iov = { (void *)(uintptr_t)memory, bytes };

    if (!file_is(chan) || !atomic_load(&file_of(chan)->use_direct) || direct_run(&iov, 1, position) == 0)
        return -1;
    return file_of(chan)->direct_fd;
}

void file_refuse_direct(struct ferry_channel *chan)
{
    if (atomic_exchange(&file_of(chan)->use_direct, false))
        log_info(LOG_CHANNEL, "%s: the file system refuses O_DIRECT, going on without", chan->label);
}

/* The kernel lets one at a time write into a file's pages and has the others spin; on a busy machine it is better that
 * they sleep (measured on tmpfs: a quarter less processor time for two threads). */
static ssize_t transfer_cached(struct file_channel *file, transfer_fn *fn, const struct iovec *iov, int count,
                               uint64_t position)
{
    ssize_t done;

    if (fn != pwritev)
        return transfer(file->fd, fn, iov, count, position);
    pthread_mutex_lock(&file->turn);
    done = transfer(file->fd, fn, iov, count, position);
    pthread_mutex_unlock(&file->turn);
    return done;
}

/* One part of a transfer, by the way that suits it. */
static ssize_t transfer_some(struct file_channel *file, transfer_fn *fn, const struct iovec *iov, int count,
                             uint64_t position, struct ferry_error *err)
{
    struct iovec head = iov[0];
    ssize_t done = -EINVAL;
    int run;

    if (atomic_load(&file->use_direct)) {
        run = direct_run(iov, count, position);
        /* A long element whose end is odd: its whole blocks. */
        head.iov_len -= head.iov_len % FILE_DIRECT_ALIGN;
        if (run == 0 && direct_run(&head, 1, position))
            done = transfer(file->direct_fd, fn, &head, 1, position);
        else if (run > 0)
            done = transfer(file->direct_fd, fn, iov, run, position);
        else
            done = transfer_cached(file, fn, iov, cached_run(iov, count, position), position);
        if (done == -EINVAL)
            file_refuse_direct(&file->base);
    }
    if (done == -EINVAL)
        done = transfer_cached(file, fn, iov, count, position);
    return done < 0 ? channel_errno(file->base.label, (int)done, err) : done;
}

static ssize_t file_preadv(struct ferry_channel *chan, const struct iovec *iov, int count, uint64_t position,
                           struct ferry_error *err)
{
    return transfer_some(file_of(chan), preadv, iov, count, position, err);
}

static ssize_t file_pwritev(struct ferry_channel *chan, const struct iovec *iov, int count, uint64_t position,
                            struct ferry_error *err)
{
    return transfer_some(file_of(chan), pwritev, iov, count, position, err);
}

static ssize_t file_readv(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    ssize_t done = file_preadv(chan, iov, count, file_of(chan)->read_position, err);

    if (done > 0)
        file_of(chan)->read_position += (uint64_t)done;
    return done;
}

static ssize_t file_writev(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    ssize_t done = file_pwritev(chan, iov, count, file_of(chan)->write_position, err);

    if (done > 0)
        file_of(chan)->write_position += (uint64_t)done;
    return done;
}

static uint64_t file_tell(struct ferry_channel *chan, enum ferry_direction way)
{
    return way == FERRY_WRITE ? file_of(chan)->write_position : file_of(chan)->read_position;
}

static void file_seek(struct ferry_channel *chan, enum ferry_direction way, uint64_t position)
{
    if (way == FERRY_WRITE)
        file_of(chan)->write_position = position;
    else
        file_of(chan)->read_position = position;
}

static int file_size(struct ferry_channel *chan, uint64_t *bytes, struct ferry_error *err)
{
    off_t end = lseek(file_of(chan)->fd, 0, SEEK_END);

    if (end < 0)
        return channel_errno(chan->label, -errno, err);
    *bytes = (uint64_t)end;
    return 0;
}

/* Some file systems (NFS, quotas) keep an error back until a descriptor is closed: close a second one and look. */
static int file_finish(struct ferry_channel *chan, struct ferry_error *err)
{
    int copy;

    if (!(chan->directions & FERRY_WRITE))
        return 0;
    copy = fcntl(file_of(chan)->fd, F_DUPFD_CLOEXEC, 3);
    if (copy >= 0 && close(copy) == 0)
        return 0;
    return errno == EINTR ? 0 : channel_errno(chan->label, -errno, err);
}

static void file_close(struct ferry_channel *chan)
{
    struct file_channel *file = file_of(chan);

    /* Who shares an inherited descriptor goes on where this channel stopped, as after read(2) and write(2). */
    if (file->keep_position)
        lseek(file->fd, (off_t)(chan->directions & FERRY_WRITE ? file->write_position : file->read_position), SEEK_SET);
    if (file->fd >= 0)
        close(file->fd);
    if (file->direct_fd >= 0)
        close(file->direct_fd);
    pthread_mutex_destroy(&file->turn);
}

static const struct channel_ops file_ops = {
    .readv = file_readv,
    .writev = file_writev,
    .preadv = file_preadv,
    .pwritev = file_pwritev,
    .tell = file_tell,
    .seek = file_seek,
    .size = file_size,
    .finish = file_finish,
    .close = file_close,
};

bool file_is(const struct ferry_channel *chan)
{
    return chan->ops == &file_ops;
}

static struct file_channel *file_new(enum ferry_direction directions, const char *label, struct ferry_error *err)
{
    struct file_channel *file = channel_new(sizeof(*file), &file_ops, directions, label, err);

    if (!file)
        return NULL;
    file->fd = file->direct_fd = -1;
    atomic_init(&file->use_direct, false);
    pthread_mutex_init(&file->turn, NULL);
    return file;
}

struct ferry_channel *file_channel(int fd, enum ferry_direction directions, const char *label, struct ferry_error *err)
{
    struct file_channel *file;
    off_t position = lseek(fd, 0, SEEK_CUR);

    if (position < 0) {
        channel_errno(label, -errno, err);
        return NULL;
    }
    file = file_new(directions, label, err);
    if (!file)
        return NULL;
    file->fd = fd;
    file->keep_position = true;
    file->read_position = file->write_position = (uint64_t)position;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return &file->base;
}

static void open_direct(struct file_channel *file, const char *path, int flags)
{
    file->direct_fd = open(path, flags | O_DIRECT);
    if (file->direct_fd < 0)
        log_info(LOG_CHANNEL, "%s: no O_DIRECT here (errno %d), going on without", file->base.label, errno);
    atomic_store(&file->use_direct, file->direct_fd >= 0);
}

/* Only a file without positions (a fifo, a terminal) is refused; what can be cut off, is. */
static int open_at(struct file_channel *file, const char *path, int flags, uint64_t offset)
{
    file->fd = open(path, flags & O_WRONLY ? flags | O_CREAT : flags, 0600);
    if (file->fd < 0 || lseek(file->fd, 0, SEEK_CUR) < 0)
        return -errno;
    if (flags & O_WRONLY && ftruncate(file->fd, (off_t)offset) < 0 && errno != EINVAL)
        return -errno;
    return 0;
}

struct ferry_channel *ferry_channel_open_file(const char *path, enum ferry_direction direction, uint64_t offset,
                                              bool direct, struct ferry_error *err)
{
    int flags = (direction == FERRY_WRITE ? O_WRONLY : O_RDONLY) | O_CLOEXEC;
    struct file_channel *file;
    char *label;
    int ret;

    if ((direction != FERRY_READ && direction != FERRY_WRITE) || offset > INT64_MAX) {
        ferry_error_set(err, -EINVAL, "file:%s: %s", path,
                        offset > INT64_MAX ? "offset out of reach" : "read or write");
        return NULL;
    }
    if (asprintf(&label, "file:%s", path) < 0) {
        channel_errno("file", -ENOMEM, err);
        return NULL;
    }
    file = file_new(direction, label, err);
    free(label);
    if (!file)
        return NULL;
    ret = open_at(file, path, flags, offset);
    if (ret < 0) {
        channel_errno(file->base.label, ret, err);
        ferry_channel_unref(&file->base);
        return NULL;
    }
    file->read_position = file->write_position = offset;
    if (direct)
        open_direct(file, path, flags);
    return &file->base;
}
