/* SPDX-License-Identifier: BSD-3-Clause */
/* channel.c - what all kinds of channel share: dispatch, references, transfers of everything */
#include "channel.h"

#include "iov.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From here on a read knows that waking up once is worth a system call. */
#define EXPECT_MIN_BYTES (32 * 1024)

void *channel_new(size_t bytes, const struct channel_ops *ops, enum ferry_direction directions, const char *label,
                  struct ferry_error *err)
{
    struct ferry_channel *chan = calloc(1, bytes);
    char *copy = strdup(label);

    if (!chan || !copy) {
        free(chan);
        free(copy);
        channel_errno(label, -ENOMEM, err);
        return NULL;
    }
    chan->ops = ops;
    chan->label = copy;
    chan->directions = directions;
    atomic_init(&chan->refs, 1);
    atomic_init(&chan->stopped, 0);
    atomic_init(&chan->finished, false);
    return chan;
}

int channel_errno(const char *label, int errnum, struct ferry_error *err)
{
    const char *text = strerrordesc_np(-errnum);
    char small[128];

    if (text)
        snprintf(small, sizeof(small), "%s", text);
    else
        snprintf(small, sizeof(small), "error %d", -errnum);
    if (islower((unsigned char)small[1]) || small[1] == ' ')
        small[0] = (char)tolower((unsigned char)small[0]);
    ferry_error_set(err, errnum, "%s: %s", label, small);
    ferry_error_object(err, "%s", label);
    return errnum;
}

struct ferry_channel *ferry_channel_ref(struct ferry_channel *chan)
{
    atomic_fetch_add_explicit(&chan->refs, 1, memory_order_relaxed);
    return chan;
}

void ferry_channel_unref(struct ferry_channel *chan)
{
    if (!chan || atomic_fetch_sub_explicit(&chan->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (chan->ops->close)
        chan->ops->close(chan);
    ferry_channel_unref(chan->inner);
    free(chan->label);
    free(chan);
}

const char *ferry_channel_label(const struct ferry_channel *chan)
{
    return chan->label;
}

enum ferry_direction ferry_channel_directions(const struct ferry_channel *chan)
{
    return chan->directions;
}

void channel_set_queue(struct ferry_channel *chan, enum channel_queue queue)
{
    while (chan && !chan->ops->set_queue)
        chan = chan->inner;
    if (chan)
        chan->ops->set_queue(chan, queue);
}

bool channel_is_stopped(struct ferry_channel *chan, enum ferry_direction way)
{
    return atomic_load(&chan->stopped) & way;
}

static int shut_down(struct ferry_channel *chan, struct ferry_error *err)
{
    return ferry_error_set(err, -ESHUTDOWN, "%s: was shut down", chan->label);
}

/* May a transfer begin?  @able: the kind has the operation; @what: for the sentence when it has not. */
static int check(struct ferry_channel *chan, enum ferry_direction way, bool able, const char *what,
                 struct ferry_error *err)
{
    if (!able || !(chan->directions & way))
        return ferry_error_set_code(err, FERRY_E_ONE_WAY_CHANNEL, -ENOTSUP, "%s: %s", chan->label, what);
    if (channel_is_stopped(chan, way))
        return shut_down(chan, err);
    if (way == FERRY_WRITE && atomic_load(&chan->finished))
        return ferry_error_set(err, -EPIPE, "%s: nothing can be written once finished", chan->label);
    return 0;
}

/* A kind that was woken by shutdown reports whatever the kernel told it; the caller is told why. */
static ssize_t settle(struct ferry_channel *chan, enum ferry_direction way, ssize_t done, struct ferry_error *err)
{
    return done < 0 && channel_is_stopped(chan, way) ? shut_down(chan, err) : done;
}

/* Skip empty elements, so that the IOV_MAX that the kernel takes at once are never all empty. */
static void trim(const struct iovec **iov, int *count)
{
    while (*count > 0 && (*iov)->iov_len == 0) {
        (*iov)++;
        (*count)--;
    }
    if (*count > IOV_MAX)
        *count = IOV_MAX;
}

static int nothing_to_read(struct ferry_channel *chan, struct ferry_error *err)
{
    return ferry_error_set(err, -EINVAL, "%s: a read of no bytes", chan->label);
}

ssize_t ferry_channel_readv(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    ssize_t done = check(chan, FERRY_READ, chan->ops->readv, "cannot be read from", err);

    if (done < 0)
        return done;
    trim(&iov, &count);
    if (count <= 0)
        return nothing_to_read(chan, err);
    done = chan->ops->readv(chan, iov, count, err);
    /* Shutting a socket down looks like the end of the stream to its reader. */
    return done == 0 && channel_is_stopped(chan, FERRY_READ) ? shut_down(chan, err)
                                                             : settle(chan, FERRY_READ, done, err);
}

ssize_t ferry_channel_writev(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    int ret = check(chan, FERRY_WRITE, chan->ops->writev, "cannot be written to", err);

    if (ret < 0)
        return ret;
    trim(&iov, &count);
    if (count <= 0)
        return 0;
    return settle(chan, FERRY_WRITE, chan->ops->writev(chan, iov, count, err), err);
}

ssize_t ferry_channel_writev_lent(struct ferry_channel *chan, const struct iovec *iov, int count,
                                  struct ferry_error *err)
{
    int ret = check(chan, FERRY_WRITE, chan->ops->writev, "cannot be written to", err);

    if (ret < 0)
        return ret;
    trim(&iov, &count);
    if (count <= 0)
        return 0;
    return settle(chan, FERRY_WRITE,
                  (chan->ops->writev_lent ? chan->ops->writev_lent : chan->ops->writev)(chan, iov, count, err), err);
}

int ferry_channel_sync(struct ferry_channel *chan, struct ferry_error *err)
{
    return chan->ops->sync ? (int)settle(chan, FERRY_WRITE, chan->ops->sync(chan, err), err) : 0;
}

int ferry_channel_set_zero_copy(struct ferry_channel *chan, bool on, struct ferry_error *err)
{
    if (chan->ops->set_zero_copy)
        return chan->ops->set_zero_copy(chan, on, err);
    return on ? ferry_error_set(err, -ENOTSUP, "%s: no zero copy on this kind of channel", chan->label) : 0;
}

int ferry_channel_set_zero_copy_ring(struct ferry_channel *chan, const struct iovec *memory, unsigned count,
                                     struct ferry_error *err)
{
    if (chan->ops->set_zero_copy_ring)
        return chan->ops->set_zero_copy_ring(chan, memory, count, err);
    return ferry_error_set(err, -ENOTSUP, "%s: no zero copy on this kind of channel", chan->label);
}

void ferry_channel_zero_copy(const struct ferry_channel *chan, struct ferry_zero_copy_figures *figures)
{
    memset(figures, 0, sizeof(*figures));
    if (chan->ops->zero_copy)
        chan->ops->zero_copy(chan, figures);
}

const char *ferry_zero_copy_name(enum ferry_zero_copy_state state)
{
    switch (state) {
    case FERRY_ZERO_COPY_OFF:
        return "off";
    case FERRY_ZERO_COPY_ON:
        return "on";
    case FERRY_ZERO_COPY_COPIES:
        return "the kernel copies";
    }
    return "unknown";
}

/* Is [position, position + bytes) within what off_t can say?  The sum of hostile lengths must not wrap either. */
static int check_position(struct ferry_channel *chan, const struct iovec *iov, int count, uint64_t position,
                          struct ferry_error *err)
{
    uint64_t left = position > INT64_MAX ? 0 : INT64_MAX - position;

    if (position > INT64_MAX)
        return ferry_error_set(err, -EFBIG, "%s: position %#jx is out of reach", chan->label, (uintmax_t)position);
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > left)
            return ferry_error_set(err, -EFBIG, "%s: position %#jx is out of reach", chan->label, (uintmax_t)position);
        left -= iov[i].iov_len;
    }
    return 0;
}

ssize_t ferry_channel_preadv(struct ferry_channel *chan, const struct iovec *iov, int count, uint64_t position,
                             struct ferry_error *err)
{
    int ret = check(chan, FERRY_READ, chan->ops->preadv, "cannot be read at a position", err);

    trim(&iov, &count);
    if (ret == 0)
        ret = check_position(chan, iov, count, position, err);
    if (ret < 0)
        return ret;
    if (count <= 0)
        return nothing_to_read(chan, err);
    return settle(chan, FERRY_READ, chan->ops->preadv(chan, iov, count, position, err), err);
}

ssize_t ferry_channel_pwritev(struct ferry_channel *chan, const struct iovec *iov, int count, uint64_t position,
                              struct ferry_error *err)
{
    int ret = check(chan, FERRY_WRITE, chan->ops->pwritev, "cannot be written at a position", err);

    trim(&iov, &count);
    if (ret == 0)
        ret = check_position(chan, iov, count, position, err);
    if (ret < 0 || count <= 0)
        return ret;
    return settle(chan, FERRY_WRITE, chan->ops->pwritev(chan, iov, count, position, err), err);
}

static int no_positions(struct ferry_channel *chan, struct ferry_error *err)
{
    return ferry_error_set(err, -ENOTSUP, "%s: only a file has positions", chan->label);
}

int channel_tell(struct ferry_channel *chan, enum ferry_direction way, uint64_t *position, struct ferry_error *err)
{
    if (!chan->ops->tell || !(chan->directions & way))
        return no_positions(chan, err);
    *position = chan->ops->tell(chan, way);
    return 0;
}

int channel_seek(struct ferry_channel *chan, enum ferry_direction way, uint64_t position, struct ferry_error *err)
{
    int ret = check_position(chan, NULL, 0, position, err);

    if (!chan->ops->seek || !(chan->directions & way))
        return no_positions(chan, err);
    if (ret == 0)
        chan->ops->seek(chan, way, position);
    return ret;
}

int channel_size(struct ferry_channel *chan, uint64_t *bytes, struct ferry_error *err)
{
    return chan->ops->size ? chan->ops->size(chan, bytes, err) : no_positions(chan, err);
}

int ferry_channel_send_fd(struct ferry_channel *chan, int fd, struct ferry_error *err)
{
    int ret = check(chan, FERRY_WRITE, chan->ops->send_fd, "cannot pass descriptors", err);

    return ret < 0 ? ret : (int)settle(chan, FERRY_WRITE, chan->ops->send_fd(chan, fd, err), err);
}

int ferry_channel_receive_fd(struct ferry_channel *chan, struct ferry_error *err)
{
    int ret = check(chan, FERRY_READ, chan->ops->receive_fd, "cannot pass descriptors", err);

    return ret < 0 ? ret : (int)settle(chan, FERRY_READ, chan->ops->receive_fd(chan, err), err);
}

int ferry_channel_read_all(struct ferry_channel *chan, void *buf, size_t bytes, struct ferry_error *err)
{
    struct iovec iov = { buf, bytes };

    if (bytes >= EXPECT_MIN_BYTES)
        ferry_channel_expect(chan, bytes);
    while (iov.iov_len > 0) {
        ssize_t done = ferry_channel_readv(chan, &iov, 1, err);

        if (done < 0)
            return (int)done;
        if (done == 0)
            return ferry_error_set_code(err, FERRY_E_STREAM_ENDED, -EPIPE,
                                        "%s: the stream ended, %zu of %zu bytes are missing", chan->label, iov.iov_len,
                                        bytes);
        iov.iov_base = (uint8_t *)iov.iov_base + done;
        iov.iov_len -= (size_t)done;
    }
    return 0;
}

typedef ssize_t write_fn(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err);

static int write_all(struct ferry_channel *chan, write_fn *write, struct iovec *iov, int count, struct ferry_error *err)
{
    while (iov_consume(&iov, &count, 0), count > 0) {
        ssize_t done = write(chan, iov, count, err);

        if (done < 0)
            return (int)done;
        iov_consume(&iov, &count, (size_t)done);
    }
    return 0;
}

int ferry_channel_writev_all(struct ferry_channel *chan, struct iovec *iov, int count, struct ferry_error *err)
{
    return write_all(chan, ferry_channel_writev, iov, count, err);
}

int ferry_channel_writev_all_lent(struct ferry_channel *chan, struct iovec *iov, int count, struct ferry_error *err)
{
    return write_all(chan, ferry_channel_writev_lent, iov, count, err);
}

void ferry_channel_expect(struct ferry_channel *chan, size_t bytes)
{
    if (chan->ops->expect)
        chan->ops->expect(chan, bytes);
    else if (chan->inner)
        ferry_channel_expect(chan->inner, bytes);
}

void ferry_channel_set_patience(struct ferry_channel *chan, unsigned ms)
{
    if (chan->ops->set_patience)
        chan->ops->set_patience(chan, ms);
    else if (chan->inner)
        ferry_channel_set_patience(chan->inner, ms);
}

bool ferry_channel_answers(const struct ferry_channel *chan)
{
    return chan->ops->answers && chan->directions == FERRY_READ_WRITE;
}

int ferry_channel_finish(struct ferry_channel *chan, struct ferry_error *err)
{
    int ret = 0;

    if (channel_is_stopped(chan, FERRY_WRITE))
        return shut_down(chan, err);
    if (chan->directions & FERRY_WRITE)
        atomic_store(&chan->finished, true);
    if (chan->ops->finish)
        ret = chan->ops->finish(chan, err);
    else if (chan->inner)
        ret = ferry_channel_finish(chan->inner, err);
    return (int)settle(chan, FERRY_WRITE, ret, err);
}

int ferry_channel_settle(struct ferry_channel *chan, struct ferry_error *err)
{
    if (channel_is_stopped(chan, FERRY_READ))
        return shut_down(chan, err);
    if (chan->ops->settle)
        return (int)settle(chan, FERRY_READ, chan->ops->settle(chan, err), err);
    return chan->inner ? ferry_channel_settle(chan->inner, err) : 0;
}

void ferry_channel_shutdown(struct ferry_channel *chan, enum ferry_direction how)
{
    atomic_fetch_or(&chan->stopped, how);
    if (chan->ops->shutdown)
        chan->ops->shutdown(chan, how);
    else if (chan->inner)
        ferry_channel_shutdown(chan->inner, how);
}
