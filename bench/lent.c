/* SPDX-License-Identifier: BSD-3-Clause */
/* lent.c - what does it bring to send memory as it lies?
 *
 *      limit       plain sends of 512 KiB, which the kernel copies
 *      zerocopy    MSG_ZEROCOPY
 *      uring       io_uring's SEND_ZC; uring-registered: out of memory that was registered before
 *
 * Over TCP between two processes, on loopback or into another network namespace.  Each row says whether the kernel
 * really avoided the copy: where it does not, zero copy is given up after a few sends.
 */
#include "measure.h"
#include "two.h"

#include <errno.h>
#include <fcntl.h>
#include <ferry/zero_copy.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE_BYTES (512u << 10)
#define WAIT_MS     5000

enum way { PLAIN, ZEROCOPY, URING, REGISTERED };
static const char *const names[] = { "plain", "zerocopy", "uring", "uring-registered" };

static uint64_t size = UINT64_C(1) << 30, runs = 5;
static const char *address = "tcp:127.0.0.1:0", *netns;

struct lent {
    enum way way;
    uint8_t *memory; /* `size` bytes: at the source full, at the destination a piece of it is used again and again */
    struct ferry_listener *listener;
    struct ferry_channel *chan;
    struct ferry_zero_copy_figures figures;
};

static int lend(const struct lent *lent, struct ferry_error *err)
{
    struct iovec all = { lent->memory, size };

    if (lent->way == PLAIN)
        return 0;
    if (lent->way == ZEROCOPY)
        return ferry_channel_set_zero_copy(lent->chan, true, err);
    return ferry_channel_set_zero_copy_ring(lent->chan, &all, lent->way == REGISTERED, err);
}

static int connect_it(void *opaque, struct ferry_error *err)
{
    struct lent *lent = opaque;

    lent->chan = ferry_channel_connect(ferry_listener_address(lent->listener), WAIT_MS, err);
    return lent->chan ? lend(lent, err) : -ECONNREFUSED;
}

static int accept_it(void *opaque, struct ferry_error *err)
{
    struct lent *lent = opaque;

    lent->chan = ferry_listener_accept(lent->listener, WAIT_MS, err);
    return lent->chan ? 0 : -ECONNREFUSED;
}

static int send_all(void *opaque, struct ferry_error *err)
{
    struct lent *lent = opaque;
    int ret = 0;

    for (uint64_t at = 0; ret == 0 && at < size; at += PIECE_BYTES) {
        struct iovec iov = { lent->memory + at, PIECE_BYTES };

        ret = ferry_channel_writev_all_lent(lent->chan, &iov, 1, err);
    }
    return ret == 0 ? ferry_channel_sync(lent->chan, err) : ret;
}

static int read_all(void *opaque, struct ferry_error *err)
{
    struct lent *lent = opaque;
    int ret = 0;

    for (uint64_t at = 0; ret == 0 && at < size; at += PIECE_BYTES)
        ret = ferry_channel_read_all(lent->chan, lent->memory, PIECE_BYTES, err);
    return ret;
}

static int hang_up(void *opaque, struct ferry_error *err)
{
    struct lent *lent = opaque;

    ferry_channel_zero_copy(lent->chan, &lent->figures);
    ferry_channel_unref(lent->chan);
    return 0;
}

static int run_once(struct lent *lent, enum way way, struct two_took *took, struct ferry_error *err)
{
    static const struct two_side sides[2] = { { connect_it, send_all, hang_up }, { accept_it, read_all, hang_up } };

    lent->way = way;
    return two_run(sides, lent, took, err);
}

static int ask(struct lent *lent, enum way way, json_t *results, struct ferry_error *err)
{
    struct series cpu[2] = { 0 };
    struct pairs pairs = { 0 };
    json_t *row;

    for (uint64_t i = 0; i < runs; i++) {
        struct two_took plain, took;
        int ret = run_once(lent, PLAIN, &plain, err);

        if (ret == 0)
            ret = run_once(lent, way, &took, err);
        if (ret < 0)
            return ret;
        pairs_add(&pairs, measure_rate(size, took.ns), measure_rate(size, plain.ns));
        series_add(&cpu[0], (double)took.cpu_ns[0] / (double)size);
        series_add(&cpu[1], (double)plain.cpu_ns[0] / (double)size);
    }
    row = pairs_json(&pairs, "rate");
    json_object_set_new(row, "way", json_string(names[way]));
    json_object_set_new(row, "became", json_string(ferry_zero_copy_name(lent->figures.state)));
    json_object_set_new(row, "avoided", json_integer((json_int_t)lent->figures.avoided_sends));
    json_object_set_new(row, "copied", json_integer((json_int_t)lent->figures.copied_sends));
    json_object_set_new(row, "source_cpu_s_per_gb", json_real(series_median(&cpu[0])));
    json_object_set_new(row, "limit_source_cpu_s_per_gb", json_real(series_median(&cpu[1])));
    return json_array_append_new(results, row) == 0 ? 0 : -ENOMEM;
}

/* A socket stays in the namespace it was made in. */
static struct ferry_listener *listen_there(struct ferry_error *err)
{
    int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there;
    struct ferry_listener *listener = NULL;
    char path[256];

    snprintf(path, sizeof(path), "/run/netns/%s", netns);
    there = open(path, O_RDONLY | O_CLOEXEC);
    if (here < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0)
        ferry_error_set(err, -errno, "%s: %s", path, strerror(errno));
    else
        listener = ferry_listener_open(address, err);
    if (setns(here, CLONE_NEWNET) < 0 && listener)
        ferry_error_set(err, -errno, "the way back from %s: %s", path, strerror(errno));
    close(here);
    close(there);
    return listener;
}

static int run(json_t *results, struct ferry_error *err)
{
    struct lent lent = { 0 };
    int ret = 0;

    size -= size % PIECE_BYTES;
    lent.memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (lent.memory == MAP_FAILED)
        return ferry_error_set(err, -ENOMEM, "no memory");
    memset(lent.memory, 0x5a, size);
    lent.listener = netns ? listen_there(err) : ferry_listener_open(address, err);
    if (!lent.listener)
        ret = err->errnum;
    for (enum way way = ZEROCOPY; ret == 0 && way <= REGISTERED; way++)
        ret = ask(&lent, way, results, err);
    ferry_listener_free(lent.listener);
    munmap(lent.memory, size);
    return ret;
}

static const struct measure_option options[] = {
    { "size", MEASURE_SIZE, &size, PIECE_BYTES, UINT64_C(1) << 36, "memory that crosses" },
    { "address", MEASURE_TEXT, &address, 0, 0, "to listen on: tcp:HOST:PORT" },
    { "netns", MEASURE_TEXT, &netns, 0, 0, "network namespace to listen in, as `ip netns` names it" },
    { "runs", MEASURE_COUNT, &runs, 1, MEASURE_RUNS_MAX, "of which the median is taken" },
    { NULL },
};

static const struct measure lent_measure = {
    .name = "lent",
    .about = "What does it bring to send memory as it lies (`rate`, bytes per second)? `limit`: plain\n"
             "sends, which the kernel copies. `became` is what the channel made of it, `avoided` and\n"
             "`copied` are sends of which the kernel said so.\n",
    .options = options,
    .run = run,
};

int main(int argc, char **argv)
{
    return measure_main(&lent_measure, argc, argv);
}
