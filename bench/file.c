/* SPDX-License-Identifier: BSD-3-Clause */
/* file.c - how fast is a guest saved to a mapped-ram file and loaded from it, beside what the file can take at all?
 *
 *      run   bare write | bare read | save | load        all in turns, in one process, of as many bytes
 *
 * The bare limit is pwrite and pread of 1 MiB pieces at the same places by as many threads, out of and into memory of
 * the same kind.
 */
#include "clock.h"
#include "cpu.h"
#include "guest.h"
#include "mapping.h"
#include "measure.h"

#include <ferry/session.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES (1u << 20)
#define THREADS_MAX 64

static struct bench {
    uint64_t bytes, threads, runs;
    const char *path;
    bool direct;
    struct mapping memory; /* what the bare limit writes */
    struct bench_guest *guest;
    struct pairs save, load; /* bytes per second */
    char manner[32];
} bench = { .bytes = UINT64_C(512) << 20, .runs = 3 };

/* ---- the bare limit -------------------------------------------------------------------------------------------- */

struct bare {
    uint8_t *memory;
    int fd;
    bool writing;
    atomic_uint_fast64_t next;
    atomic_int error;
};

static void *bare_thread(void *opaque)
{
    struct bare *bare = opaque;
    uint64_t at;

    while ((at = atomic_fetch_add(&bare->next, PIECE_BYTES)) < bench.bytes) {
        ssize_t done = bare->writing ? pwrite(bare->fd, bare->memory + at, PIECE_BYTES, (off_t)at)
                                     : pread(bare->fd, bare->memory + at, PIECE_BYTES, (off_t)at);

        if (done != PIECE_BYTES)
            atomic_store(&bare->error, done < 0 ? errno : EIO);
    }
    return NULL;
}

static int bare_run(bool writing, double *rate, struct ferry_error *err)
{
    struct mapping fresh = { 0 };
    struct bare bare = { .writing = writing };
    pthread_t threads[THREADS_MAX];
    uint64_t started = 0;
    int64_t began;
    int ret = writing ? 0 : mapping_map(&fresh, bench.bytes, MAPPING_HUGE, err);

    if (ret < 0)
        return ret;
    bare.memory = writing ? bench.memory.host : fresh.host;
    bare.fd =
        open(bench.path, (writing ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY) | (bench.direct ? O_DIRECT : 0), 0600);
    if (bare.fd < 0)
        atomic_store(&bare.error, errno);
    began = clock_now_ns();
    while (bare.fd >= 0 && started < bench.threads && pthread_create(&threads[started], NULL, bare_thread, &bare) == 0)
        started++;
    for (uint64_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    *rate = measure_rate(bench.bytes, clock_now_ns() - began);
    if (bare.fd >= 0)
        close(bare.fd);
    mapping_unmap(&fresh);
    ret = atomic_load(&bare.error);
    if (ret == 0 && started == 0)
        ret = EAGAIN;
    return ret ? ferry_error_set(err, -ret, "%s: %s", bench.path, strerror(ret)) : 0;
}

/* ---- ours ------------------------------------------------------------------------------------------------------ */

static struct ferry_options *make_options(struct ferry_error *err)
{
    struct ferry_options *options = ferry_options_new();
    char threads[24];

    snprintf(threads, sizeof(threads), "%" PRIu64, bench.threads);
    if (options && ferry_options_set(options, "mapped-ram", "on", err) == 0 &&
        ferry_options_set(options, "channels", threads, err) == 0)
        return options;
    ferry_options_free(options);
    return NULL;
}

/* From the start of the session to its end. */
static int migrate(struct bench_guest *guest, bool saving, double *rate, struct ferry_error *err)
{
    struct ferry_channel *chan =
        ferry_channel_open_file(bench.path, saving ? FERRY_WRITE : FERRY_READ, 0, bench.direct, err);
    struct ferry_options *options = chan ? make_options(err) : NULL;
    struct ferry_session *session = NULL;
    struct ferry_stats stats;
    int ret = -EIO;

    if (options && saving)
        session = ferry_source_start(bench_guest_ferry(guest), chan, options, err);
    else if (options)
        session = ferry_destination_start(bench_guest_ferry(guest), chan, options, err);
    if (session)
        ret = ferry_session_wait(session, -1, err);
    if (ret == 0) {
        ferry_session_stats(session, &stats);
        *rate = measure_rate(bench.bytes, stats.time.total_ns);
        snprintf(bench.manner, sizeof(bench.manner), "%s", stats.mapped.manner);
    }
    ferry_session_free(session);
    ferry_options_free(options);
    ferry_channel_unref(chan);
    return ret;
}

static int save(double *rate, struct ferry_error *err)
{
    int ret = bench_guest_start(bench.guest, err);

    return ret == 0 ? migrate(bench.guest, true, rate, err) : ret;
}

static int load(double *rate, struct ferry_error *err)
{
    struct bench_guest *guest = bench_guest_incoming("pattern", err);
    int ret = guest ? migrate(guest, false, rate, err) : -ENOMEM;

    if (ret == 0)
        ret = bench_guest_stop(guest, err);
    bench_guest_free(guest);
    return ret;
}

static int once(struct ferry_error *err)
{
    double bare_write = 0, bare_read = 0, saved = 0, loaded = 0;
    int ret = bare_run(true, &bare_write, err);

    if (ret == 0)
        ret = bare_run(false, &bare_read, err);
    if (ret == 0)
        ret = save(&saved, err);
    if (ret == 0)
        ret = load(&loaded, err);
    pairs_add(&bench.save, saved, bare_write);
    pairs_add(&bench.load, loaded, bare_read);
    return ret;
}

/* ---- what came of it ------------------------------------------------------------------------------------------- */

static int report(json_t *results, const char *way, const struct pairs *pairs)
{
    json_t *row = pairs_json(pairs, "rate");

    json_object_set_new(row, "way", json_string(way));
    json_object_set_new(row, "manner", json_string(bench.manner));
    return json_array_append_new(results, row) == 0 ? 0 : -ENOMEM;
}

static int prepare(struct ferry_error *err)
{
    char spec[64];
    int ret;

    if (bench.threads == 0)
        bench.threads = (uint64_t)cpu_count();
    bench.bytes -= bench.bytes % PIECE_BYTES;
    ret = mapping_map(&bench.memory, bench.bytes, MAPPING_HUGE, err);
    if (ret < 0)
        return ret;
    memset(bench.memory.host, 0x5a, bench.bytes);
    snprintf(spec, sizeof(spec), "pattern:size=%" PRIu64 ",dirty=0", bench.bytes);
    bench.guest = bench_guest_new(spec, err);
    return bench.guest ? 0 : -ENOMEM;
}

static int run(json_t *results, struct ferry_error *err)
{
    char own[64];
    int ret;

    snprintf(own, sizeof(own), "/dev/shm/ferry-bench-file-%d", (int)getpid());
    if (!bench.path)
        bench.path = own;
    ret = prepare(err);
    for (uint64_t i = 0; ret == 0 && i < bench.runs; i++)
        ret = once(err);
    (void)unlink(bench.path);
    if (bench.path == own)
        bench.path = NULL;
    if (ret == 0)
        ret = report(results, "save", &bench.save);
    if (ret == 0)
        ret = report(results, "load", &bench.load);
    bench_guest_free(bench.guest);
    mapping_unmap(&bench.memory);
    return ret;
}

static const struct measure_option options[] = {
    { "size", MEASURE_SIZE, &bench.bytes, PIECE_BYTES, UINT64_C(1) << 40, "of the guest" },
    { "path", MEASURE_TEXT, &bench.path, 0, 0, "the file, which is removed in the end; else one in /dev/shm" },
    { "threads", MEASURE_COUNT, &bench.threads, 0, THREADS_MAX, "of either; 0: one for each processor" },
    { "direct", MEASURE_SWITCH, &bench.direct, 0, 0, "past the page cache" },
    { "runs", MEASURE_COUNT, &bench.runs, 1, MEASURE_RUNS_MAX, "of which the median is taken" },
    { NULL },
};

static const struct measure file = {
    .name = "file",
    .about = "How fast is a guest saved to a mapped-ram file and loaded from it (`rate`, guest bytes\n"
             "per second)? `limit`: pwrite and pread of 1 MiB pieces at the same places by as many\n"
             "threads, out of and into memory of the same kind.\n",
    .options = options,
    .run = run,
};

int main(int argc, char **argv)
{
    return measure_main(&file, argc, argv);
}
