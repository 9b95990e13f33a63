/* SPDX-License-Identifier: BSD-3-Clause */
/* file_queue.h - many positional transfers of a file under way at once
 *
 *      put | put | put ...          O_DIRECT: io_uring keeps `depth` of them going, the caller makes the next one ready
 *                                   page cache: each is done by the call itself; nothing is gained by handing it over
 *
 * One queue per thread; several queues on one channel are legal, as long as no two transfers touch the same bytes.
 */
#ifndef CHANNELS_FILE_QUEUE_H
#define CHANNELS_FILE_QUEUE_H

#include <ferry/channel.h>
#include <stdbool.h>

struct file_queue;

/**
 * file_queue_new() - a queue for transfers in one direction
 * @chan: a channel over a file; a reference is taken
 * @way: FERRY_READ or FERRY_WRITE
 * @ring: use io_uring where it helps and the system has it
 *
 * NULL with @err set: no file (-ENOTSUP), no memory.
 */
struct file_queue *file_queue_new(struct ferry_channel *chan, enum ferry_direction way, bool ring,
                                  struct ferry_error *err);

/**
 * file_queue_put() - transfer all of @memory, to or from @position
 * @memory: borrowed until file_queue_drain() returns
 *
 * May return before it is done.  0, or the first error of any transfer so far; a file that ends before is one.
 */
int file_queue_put(struct file_queue *queue, void *memory, size_t bytes, uint64_t position, struct ferry_error *err);

/* Wait for everything that was put.  0, or the first error of any transfer. */
int file_queue_drain(struct file_queue *queue, struct ferry_error *err);

/* How the bytes went: "page cache", "O_DIRECT", "O_DIRECT, io_uring"; settled by the first transfer. */
const char *file_queue_manner(const struct file_queue *queue);

/* Waits for what is under way.  NULL is legal. */
void file_queue_free(struct file_queue *queue);

#endif
