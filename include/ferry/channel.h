/* SPDX-License-Identifier: BSD-3-Clause */
/* channel.h - bytes in, bytes out
 *
 * A channel carries bytes over a tcp, unix or vsock socket, an inherited descriptor, a child process, a file or
 * memory.  All kinds keep one contract:
 *
 *  - One reader and one writer may be inside a channel at once, on two threads.
 *  - Calls block until they can do something; ferry_channel_shutdown() wakes them from any thread.
 *  - SIGPIPE is never raised.  Every error names the channel: "tcp:192.0.2.7:4444: connection refused".
 *  - Reading returns 0 at the end of the stream (the peer half-closed, the child ended well, the file ended).
 */
#ifndef FERRY_CHANNEL_H
#define FERRY_CHANNEL_H

#include <ferry/api.h>
#include <ferry/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

FERRY_BEGIN_DECLS

struct ferry_channel;
struct ferry_listener;

enum ferry_direction {
    FERRY_READ = 1,
    FERRY_WRITE = 2,
    FERRY_READ_WRITE = 3,
};

#define FERRY_NO_DEADLINE (-1)

/**
 * ferry_channel_connect() - open the sending end of a URI
 * @uri: `tcp:host:port[,ipv4=on|off][,ipv6=on|off]`, `unix:path` (`unix:@name`: abstract), `vsock:cid:port`, `fd:N`,
 *       `exec:command` (run by /bin/sh; its stdin is written, its stdout read), `file:path[,offset=N][,direct=on]`
 *       (created 0600, cut off at the offset, written from there)
 * @timeout_ms: how long to try, refused connections being tried again until then; 0: one try; FERRY_NO_DEADLINE
 *
 * Returns a channel with one reference (the caller's), or NULL with @err set.
 */
FERRY_API struct ferry_channel *ferry_channel_connect(const char *uri, int timeout_ms, struct ferry_error *err);

/**
 * ferry_channel_from_fd() - a channel over a descriptor: socket, pipe, file or character device
 * @fd: taken on success (closed with the channel); its open mode says which directions work
 * @label: for messages; NULL: "fd:N"
 */
FERRY_API struct ferry_channel *ferry_channel_from_fd(int fd, const char *label, struct ferry_error *err);

/**
 * ferry_channel_exec() - a channel to a child process, run without a shell
 * @argv: NULL-terminated; argv[0] is looked up in PATH
 * @direction: FERRY_WRITE: to its stdin, FERRY_READ: from its stdout, FERRY_READ_WRITE: both
 *
 * A child that ends other than with status 0 makes the read at its end, or ferry_channel_finish(), fail with that
 * status in the sentence.  Closing the channel gives the child a moment to end, then kills it.
 */
FERRY_API struct ferry_channel *ferry_channel_exec(const char *const argv[], enum ferry_direction direction,
                                                   struct ferry_error *err);

/**
 * ferry_channel_open_file() - a channel over a file, from @offset on
 * @direction: FERRY_READ, or FERRY_WRITE (created 0600 and cut off at @offset)
 * @direct: use O_DIRECT for those transfers whose address, length and offset are aligned; the rest goes the usual way
 */
FERRY_API struct ferry_channel *ferry_channel_open_file(const char *path, enum ferry_direction direction,
                                                        uint64_t offset, bool direct, struct ferry_error *err);

/**
 * ferry_channel_buffer_reader() - a channel that reads from memory
 * @data: borrowed for the life of the channel
 */
FERRY_API struct ferry_channel *ferry_channel_buffer_reader(const void *data, size_t bytes, struct ferry_error *err);

/**
 * ferry_channel_buffer_writer() - a channel that collects what is written
 * @limit: how many bytes it may grow to; beyond, writing fails with -ENOSPC
 */
FERRY_API struct ferry_channel *ferry_channel_buffer_writer(size_t limit, struct ferry_error *err);

/* What a buffer writer has collected so far; valid until the next write or the last unref. */
FERRY_API const void *ferry_channel_buffer_data(const struct ferry_channel *chan, size_t *bytes);

/* Two ends of a socket pair. */
FERRY_API int ferry_channel_pair(struct ferry_channel *pair[2], struct ferry_error *err) FERRY_CHECK;

FERRY_API struct ferry_channel *ferry_channel_ref(struct ferry_channel *chan);

/* Drops a reference; the last one closes.  NULL is legal. */
FERRY_API void ferry_channel_unref(struct ferry_channel *chan);

/* The name used in messages: "tcp:192.0.2.7:4444".  Lives as long as the channel. */
FERRY_API const char *ferry_channel_label(const struct ferry_channel *chan);

/* Which directions can carry data at all. */
FERRY_API enum ferry_direction ferry_channel_directions(const struct ferry_channel *chan);

/* Whether somebody at the other end can be expected to answer: a connected socket, and what is layered over one.  A
 * child process has two directions, too, but most only read. */
FERRY_API bool ferry_channel_answers(const struct ferry_channel *chan);

/**
 * ferry_channel_set_patience() - give up on a peer that acknowledges nothing for so long
 *
 * TCP only (TCP_USER_TIMEOUT), elsewhere nothing happens: transfers then fail with -ETIMEDOUT, not after the minutes
 * that the kernel would take.
 */
FERRY_API void ferry_channel_set_patience(struct ferry_channel *chan, unsigned ms);

/**
 * ferry_channel_readv() - read at least one byte
 *
 * Returns the bytes read, 0 at the end of the stream, -ESHUTDOWN after ferry_channel_shutdown(), or another negative
 * errno with @err set.
 */
FERRY_API ssize_t ferry_channel_readv(struct ferry_channel *chan, const struct iovec *iov, int count,
                                      struct ferry_error *err) FERRY_CHECK;

/* Read exactly @bytes; an end before that is -EPIPE and says how many bytes were missing. */
FERRY_API int ferry_channel_read_all(struct ferry_channel *chan, void *buf, size_t bytes,
                                     struct ferry_error *err) FERRY_CHECK;

/* Write at least one byte of @iov.  Returns the bytes written or a negative errno. */
FERRY_API ssize_t ferry_channel_writev(struct ferry_channel *chan, const struct iovec *iov, int count,
                                       struct ferry_error *err) FERRY_CHECK;

/* Write all of @iov, whose elements may be changed by the call; any count of elements. */
FERRY_API int ferry_channel_writev_all(struct ferry_channel *chan, struct iovec *iov, int count,
                                       struct ferry_error *err) FERRY_CHECK;

/**
 * ferry_channel_expect() - a hint: the next read wants at least this many bytes
 *
 * A socket then wakes its reader once for all of them (SO_RCVLOWAT, held well under the receive buffer).  A hint
 * never changes what a read returns, and must never exceed what the peer is certain to send.
 */
FERRY_API void ferry_channel_expect(struct ferry_channel *chan, size_t bytes);

/* Positional transfers, for files only (-ENOTSUP elsewhere); absolute positions, the stream's own position stays. */
FERRY_API ssize_t ferry_channel_preadv(struct ferry_channel *chan, const struct iovec *iov, int count,
                                       uint64_t position, struct ferry_error *err) FERRY_CHECK;
FERRY_API ssize_t ferry_channel_pwritev(struct ferry_channel *chan, const struct iovec *iov, int count,
                                        uint64_t position, struct ferry_error *err) FERRY_CHECK;

/* Pass a descriptor along with one byte (SCM_RIGHTS), on unix sockets only.  @fd is borrowed. */
FERRY_API int ferry_channel_send_fd(struct ferry_channel *chan, int fd, struct ferry_error *err) FERRY_CHECK;

/* Receive one: the descriptor (close-on-exec, the caller's) or a negative errno. */
FERRY_API int ferry_channel_receive_fd(struct ferry_channel *chan, struct ferry_error *err) FERRY_CHECK;

/**
 * ferry_channel_finish() - no more will be written: half-close, flush, learn what became of it
 *
 * The peer reads its end of the stream; this side can still read.  For exec without a read direction, waits for the
 * child and reports its exit status; for a file, reports what the kernel had kept back (fsync is not done).
 */
FERRY_API int ferry_channel_finish(struct ferry_channel *chan, struct ferry_error *err) FERRY_CHECK;

/**
 * ferry_channel_settle() - the conversation is over: learn how the other end took it
 *
 * For exec: reads what the child still says, drops it, waits for its end, and fails with its exit status where that is
 * not 0.  Other kinds have nothing more to say.  The reader's thread, after ferry_channel_finish().
 */
FERRY_API int ferry_channel_settle(struct ferry_channel *chan, struct ferry_error *err) FERRY_CHECK;

/**
 * ferry_channel_shutdown() - make every blocked and every later transfer fail with -ESHUTDOWN
 *
 * Thread: any, at any moment, even while another thread is inside a read or write on @chan.
 * Never blocks and cannot fail.  Memory goes away only with ferry_channel_unref().
 */
FERRY_API void ferry_channel_shutdown(struct ferry_channel *chan, enum ferry_direction how);

/**
 * ferry_listener_open() - open the receiving end of a URI
 * @uri: as for ferry_channel_connect(); `tcp:` port 0 takes a free port; `fd:`, `exec:` (its stdout is read) and
 *       `file:` (read) give one channel and are then exhausted
 */
FERRY_API struct ferry_listener *ferry_listener_open(const char *uri, struct ferry_error *err);

/* Where it listens, as a URI to connect to: "tcp:127.0.0.1:40123".  Lives as long as the listener. */
FERRY_API const char *ferry_listener_address(const struct ferry_listener *listener);

/**
 * ferry_listener_accept() - wait for a connection
 *
 * Returns a channel (the caller's), or NULL: -ETIMEDOUT after @timeout_ms, -ESHUTDOWN once stopped, -ENOENT when an
 * fd, exec or file listener has given its one channel.
 */
FERRY_API struct ferry_channel *ferry_listener_accept(struct ferry_listener *listener, int timeout_ms,
                                                      struct ferry_error *err);

/* Wakes everyone inside accept, now and later.  Thread: any. */
FERRY_API void ferry_listener_stop(struct ferry_listener *listener);

/* Closes; removes the unix socket's name.  NULL is legal. */
FERRY_API void ferry_listener_free(struct ferry_listener *listener);

FERRY_END_DECLS

#endif
