/* SPDX-License-Identifier: BSD-3-Clause */
/* channel_contract.c - what every kind of channel must satisfy */
#include "channel_contract.h"

#include "channel_ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STREAM_BYTES (4 * 1024 * 1024 + 4321)
#define CHUNK_BYTES  (300 * 1024)
#define MANY         (IOV_MAX * 2 + 77)

static const struct channel_kind *kind_of(void **state)
{
    return *state;
}

/* --- a writer on a thread of its own ------------------------------------------------------------------------------ */

struct worker {
    pthread_t thread;
    struct ferry_channel *chan;
    struct ferry_error err;
    ssize_t result;
    atomic_int tid;
};

static void *write_stream(void *opaque)
{
    struct worker *worker = opaque;
    uint8_t *chunk = malloc(CHUNK_BYTES);
    unsigned seed = 1;

    for (size_t done = 0; chunk && worker->result == 0 && done < STREAM_BYTES;) {
        size_t bytes = 1 + (size_t)rand_r(&seed) % (done % 3 ? 700 : CHUNK_BYTES);
        struct iovec iov[3] = { { chunk, 0 } };

        bytes = bytes > STREAM_BYTES - done ? STREAM_BYTES - done : bytes;
        ends_fill(chunk, bytes, done);
        iov[0] = (struct iovec){ chunk, bytes / 3 };
        iov[1] = (struct iovec){ chunk, 0 };
        iov[2] = (struct iovec){ chunk + bytes / 3, bytes - bytes / 3 };
        worker->result = ferry_channel_writev_all(worker->chan, iov, 3, &worker->err);
        done += bytes;
    }
    if (worker->result == 0)
        worker->result = ferry_channel_finish(worker->chan, &worker->err);
    free(chunk);
    return NULL;
}

static void read_stream(struct ferry_channel *chan)
{
    uint8_t *chunk = ends_must_alloc(CHUNK_BYTES);
    struct ferry_error err = { 0 };
    unsigned seed = 2;
    size_t done = 0;

    for (;;) {
        size_t want = 1 + (size_t)rand_r(&seed) % (done % 2 ? 3000 : CHUNK_BYTES);
        struct iovec iov[3] = { { chunk, want / 2 }, { chunk, 0 }, { chunk + want / 2, want - want / 2 } };
        ssize_t got = ferry_channel_readv(chan, iov, 3, &err);

        if (got < 0)
            fail_msg("%s", err.text);
        if (got == 0)
            break;
        assert_true((size_t)got <= want);
        ends_assert_filled(chunk, (size_t)got, done);
        done += (size_t)got;
    }
    assert_int_equal(done, STREAM_BYTES);
    free(chunk);
}

static void start(struct worker *worker, void *(*fn)(void *), struct ferry_channel *chan)
{
    *worker = (struct worker){ .chan = chan };
    assert_int_equal(pthread_create(&worker->thread, NULL, fn, worker), 0);
}

/* --- the properties ----------------------------------------------------------------------------------------------- */

static void carries_every_byte_in_order(void **state)
{
    const struct channel_kind *kind = kind_of(state);
    struct ferry_channel *pair[2];
    struct worker writer;

    ends_make(kind, pair);
    start(&writer, write_stream, pair[0]);
    if (!pair[1])
        pthread_join(writer.thread, NULL);
    read_stream(ends_reader_of(kind, pair));
    if (kind->traits & CHANNEL_LIVE)
        pthread_join(writer.thread, NULL);
    if (writer.result < 0)
        fail_msg("%s", writer.err.text);
    ends_assert_at_end(pair[1]);
    ends_drop(pair);
}

struct gather {
    struct worker worker;
    struct iovec iov[MANY];
};

static void *write_gathered(void *opaque)
{
    struct gather *gather = opaque;

    gather->worker.result = ferry_channel_writev_all(gather->worker.chan, gather->iov, MANY, &gather->worker.err);
    return NULL;
}

static void writes_more_elements_than_the_kernel_takes(void **state)
{
    const struct channel_kind *kind = kind_of(state);
    struct gather *gather = calloc(1, sizeof(*gather));
    uint8_t *data = ends_must_alloc(MANY * 7), *back = ends_must_alloc(MANY * 7);
    struct ferry_channel *pair[2];
    size_t bytes = 0;

    assert_non_null(gather);
    ends_make(kind, pair);
    ends_fill(data, MANY * 7, 0);
    /* The middle is a stretch of nothing but empty elements, longer than one call takes. */
    for (int i = 0; i < MANY; i++) {
        size_t length = i > 300 && i < 300 + IOV_MAX + 20 ? 0 : (size_t)i % 8 % 7;

        gather->iov[i] = (struct iovec){ data + bytes, length };
        bytes += length;
    }
    gather->worker.chan = pair[0];
    assert_int_equal(pthread_create(&gather->worker.thread, NULL, write_gathered, gather), 0);
    if (!pair[1])
        pthread_join(gather->worker.thread, NULL);
    ends_read_whole(ends_reader_of(kind, pair), back, bytes);
    if (kind->traits & CHANNEL_LIVE)
        pthread_join(gather->worker.thread, NULL);
    assert_int_equal(gather->worker.result, 0);
    assert_memory_equal(data, back, bytes);
    ends_drop(pair);
    free(gather);
    free(data);
    free(back);
}

static void reads_into_more_elements_than_the_kernel_takes(void **state)
{
    const struct channel_kind *kind = kind_of(state);
    struct iovec *iov = calloc(MANY, sizeof(*iov));
    struct ferry_channel *pair[2];
    struct ferry_error err = { 0 };
    char word[5];

    assert_non_null(iov);
    ends_make(kind, pair);
    ends_write_whole(pair[0], "ferry", 5);
    iov[MANY - 1] = (struct iovec){ word, 1 };
    assert_int_equal(ferry_channel_readv(ends_reader_of(kind, pair), iov, MANY, &err), 1);
    assert_int_equal(word[0], 'f');
    for (int i = 0; i < MANY; i++)
        iov[i] = (struct iovec){ word, 0 };
    ends_assert_error(pair[1], &err, ferry_channel_readv(pair[1], iov, MANY, &err), -EINVAL);
    if (pair[0] != pair[1] || kind->traits & CHANNEL_LIVE)
        assert_int_equal(kind->traits & CHANNEL_LIVE ? ferry_channel_writev(pair[0], iov, MANY, &err) : 0, 0);
    ends_drop(pair);
    free(iov);
}

static void ends_after_finish(void **state)
{
    const struct channel_kind *kind = kind_of(state);
    struct ferry_channel *pair[2];
    struct ferry_error err = { 0 };
    char word[6] = "";

    ends_make(kind, pair);
    ends_write_whole(pair[0], "ferry", 5);
    ends_finish(pair[0]);
    ends_read_whole(ends_reader_of(kind, pair), word, 5);
    assert_string_equal(word, "ferry");
    ends_assert_at_end(pair[1]);
    ends_assert_error(pair[0], &err, ends_write_some(pair[0], "x", 1, &err), -EPIPE);
    ends_finish(pair[0]);
    ends_drop(pair);
}

static void says_how_many_bytes_are_missing(void **state)
{
    const struct channel_kind *kind = kind_of(state);
    struct ferry_channel *pair[2];
    struct ferry_error err = { 0 };
    char word[1000];

    ends_make(kind, pair);
    ends_write_whole(pair[0], "ferry", 5);
    ends_finish(pair[0]);
    ends_reader_of(kind, pair);
    ends_assert_error(pair[1], &err, ferry_channel_read_all(pair[1], word, 1000, &err), -EPIPE);
    assert_non_null(strstr(err.text, "995 of 1000 bytes"));
    ends_drop(pair);
}

static void expecting_never_loses_the_tail(void **state)
{
    const struct channel_kind *kind = kind_of(state);
    const size_t bytes = 20 * 1024 + 7;
    uint8_t *data = ends_must_alloc(bytes);
    struct ferry_channel *pair[2];
    struct ferry_error err = { 0 };

    ends_make(kind, pair);
    ends_fill(data, bytes, 0);
    ends_write_whole(pair[0], data, bytes);
    memset(data, 0, bytes);
    ends_reader_of(kind, pair);
    /* Far more than will ever come: wrong, and still no more than a short delay. */
    for (size_t done = 0; done < bytes;) {
        ssize_t got;

        ferry_channel_expect(pair[1], 1 << 30);
        got = ends_read_some(pair[1], data + done, done < 5000 ? 100 : bytes - done, &err);
        assert_true(got > 0);
        done += (size_t)got;
    }
    ends_assert_filled(data, bytes, 0);
    ferry_channel_expect(pair[1], 1 << 30);
    ends_finish(pair[0]);
    ends_assert_at_end(pair[1]);
    ends_drop(pair);
    free(data);
}

static void *read_byte(void *opaque)
{
    struct worker *worker = opaque;
    char byte;

    atomic_store(&worker->tid, gettid());
    worker->result = ends_read_some(worker->chan, &byte, 1, &worker->err);
    return NULL;
}

static void *write_until_error(void *opaque)
{
    struct worker *worker = opaque;
    uint8_t *chunk = calloc(1, CHUNK_BYTES);

    atomic_store(&worker->tid, gettid());
    do
        worker->result = chunk ? ends_write_some(worker->chan, chunk, CHUNK_BYTES, &worker->err) : -ENOMEM;
    while (worker->result >= 0);
    free(chunk);
    return NULL;
}

/* Returns once the worker sleeps in the kernel, several times in a row. */
static void await_sleep(struct worker *worker)
{
    int asleep = 0;

    while (asleep < 5) {
        char path[64], line[128] = "";
        FILE *stat;

        nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
        snprintf(path, sizeof(path), "/proc/self/task/%d/stat", atomic_load(&worker->tid));
        stat = fopen(path, "r");
        asleep = stat && fgets(line, sizeof(line), stat) && strstr(line, ") S ") ? asleep + 1 : 0;
        if (stat)
            fclose(stat);
    }
}

static void shutdown_wakes_a_blocked_reader(void **state)
{
    struct ferry_channel *pair[2];
    struct ferry_error err = { 0 };
    struct worker reader;
    char byte;

    ends_make(kind_of(state), pair);
    start(&reader, read_byte, pair[1]);
    await_sleep(&reader);
    ferry_channel_shutdown(pair[1], FERRY_READ);
    pthread_join(reader.thread, NULL);
    ends_assert_error(pair[1], &reader.err, reader.result, -ESHUTDOWN);
    ends_assert_error(pair[1], &err, ends_read_some(pair[1], &byte, 1, &err), -ESHUTDOWN);
    ends_drop(pair);
}

static void shutdown_wakes_a_blocked_writer(void **state)
{
    struct ferry_channel *pair[2];
    struct ferry_error err = { 0 };
    struct worker writer;

    ends_make(kind_of(state), pair);
    start(&writer, write_until_error, pair[0]);
    await_sleep(&writer);
    ferry_channel_shutdown(pair[0], FERRY_READ_WRITE);
    pthread_join(writer.thread, NULL);
    ends_assert_error(pair[0], &writer.err, writer.result, -ESHUTDOWN);
    ends_assert_error(pair[0], &err, ferry_channel_finish(pair[0], &err), -ESHUTDOWN);
    ends_drop(pair);
}

static void shutdown_of_one_direction_leaves_the_other(void **state)
{
    struct ferry_channel *pair[2];
    struct ferry_error err = { 0 };
    struct worker reader;
    char byte;

    ends_make(kind_of(state), pair);
    start(&reader, read_byte, pair[1]);
    await_sleep(&reader);
    ferry_channel_shutdown(pair[1], FERRY_WRITE);
    ends_assert_error(pair[1], &err, ends_write_some(pair[1], "x", 1, &err), -ESHUTDOWN);
    ends_write_whole(pair[0], "x", 1);
    pthread_join(reader.thread, NULL);
    assert_int_equal(reader.result, 1);
    ends_finish(pair[0]);
    assert_int_equal(ends_read_some(pair[1], &byte, 1, &err), 0);
    ends_drop(pair);
}

static void fails_once_shut_down(void **state)
{
    const struct channel_kind *kind = kind_of(state);
    struct ferry_channel *pair[2];
    struct ferry_error err = { 0 };
    char byte;

    ends_make(kind, pair);
    ends_write_whole(pair[0], "ferry", 5);
    ends_reader_of(kind, pair);
    ferry_channel_shutdown(pair[0], FERRY_READ_WRITE);
    ferry_channel_shutdown(pair[1], FERRY_READ_WRITE);
    ends_assert_error(pair[0], &err, ends_write_some(pair[0], "x", 1, &err), -ESHUTDOWN);
    ends_assert_error(pair[1], &err, ends_read_some(pair[1], &byte, 1, &err), -ESHUTDOWN);
    ends_assert_error(pair[1], &err, ferry_channel_read_all(pair[1], &byte, 1, &err), -ESHUTDOWN);
    ends_drop(pair);
}

static void a_vanished_reader_is_an_error_not_a_signal(void **state)
{
    struct ferry_channel *pair[2];
    struct ferry_error err = { 0 };
    char chunk[4096] = "";
    ssize_t ret = 0;
    sigset_t pending;

    ends_make(kind_of(state), pair);
    if (pair[0] == pair[1]) /* an echo has no other end to drop */
        ferry_channel_shutdown(pair[1], FERRY_READ_WRITE);
    ferry_channel_unref(pair[1]);
    for (int i = 0; i < 100000 && ret >= 0; i++)
        ret = ends_write_some(pair[0], chunk, sizeof(chunk), &err);
    assert_true(ret < 0);
    ends_assert_error(pair[0], &err, ret, (int)ret);
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGPIPE));
    ferry_channel_unref(pair[0]);
}

static void half_closing_leaves_the_way_back(void **state)
{
    struct ferry_channel *pair[2];
    char word[6] = "";

    ends_make(kind_of(state), pair);
    ends_finish(pair[0]);
    ends_assert_at_end(pair[1]);
    ends_write_whole(pair[1], "ferry", 5);
    ends_finish(pair[1]);
    ends_read_whole(pair[0], word, 5);
    assert_string_equal(word, "ferry");
    ends_assert_at_end(pair[0]);
    ends_drop(pair);
}

static void refuses_what_it_cannot_do(void **state)
{
    const struct channel_kind *kind = kind_of(state);
    struct ferry_channel *pair[2];
    struct ferry_error err = { 0 };
    char byte = 0;
    struct iovec iov = { &byte, 1 };

    ends_make(kind, pair);
    ends_write_whole(pair[0], "x", 1);
    ends_reader_of(kind, pair);
    if (!(ferry_channel_directions(pair[0]) & FERRY_READ))
        ends_assert_error(pair[0], &err, ends_read_some(pair[0], &byte, 1, &err), -ENOTSUP);
    if (!(ferry_channel_directions(pair[1]) & FERRY_WRITE))
        ends_assert_error(pair[1], &err, ends_write_some(pair[1], &byte, 1, &err), -ENOTSUP);
    assert_true(ferry_channel_directions(pair[0]) & FERRY_WRITE);
    assert_true(ferry_channel_directions(pair[1]) & FERRY_READ);
    if (!(kind->traits & CHANNEL_POSITIONS)) {
        ends_assert_error(pair[1], &err, ferry_channel_preadv(pair[1], &iov, 1, 0, &err), -ENOTSUP);
        ends_assert_error(pair[0], &err, ferry_channel_pwritev(pair[0], &iov, 1, 0, &err), -ENOTSUP);
    }
    if (!(kind->traits & CHANNEL_PASSES_FDS)) {
        ends_assert_error(pair[1], &err, ferry_channel_receive_fd(pair[1], &err), -ENOTSUP);
        ends_assert_error(pair[0], &err, ferry_channel_send_fd(pair[0], 0, &err), -ENOTSUP);
    }
    ends_drop(pair);
}

static void passes_a_descriptor(void **state)
{
    struct ferry_channel *pair[2];
    struct ferry_error err = { 0 };
    char word[6] = "";
    int ends[2], passed;

    ends_make(kind_of(state), pair);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(ferry_channel_send_fd(pair[0], ends[1], &err), 0);
    close(ends[1]);
    passed = ferry_channel_receive_fd(pair[1], &err);
    assert_true(passed >= 0);
    assert_true(fcntl(passed, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(passed, "ferry", 5), 5);
    assert_int_equal(read(ends[0], word, 5), 5);
    assert_string_equal(word, "ferry");
    close(passed);
    close(ends[0]);
    /* A byte that comes with none. */
    ends_write_whole(pair[0], "x", 1);
    ends_assert_error(pair[1], &err, ferry_channel_receive_fd(pair[1], &err), -EPROTO);
    ends_finish(pair[0]);
    ends_assert_error(pair[1], &err, ferry_channel_receive_fd(pair[1], &err), -EPIPE);
    ends_drop(pair);
}

static void lives_until_the_last_reference(void **state)
{
    const struct channel_kind *kind = kind_of(state);
    struct ferry_channel *pair[2];
    char word[6] = "";

    ends_make(kind, pair);
    assert_ptr_equal(ferry_channel_ref(pair[0]), pair[0]);
    ferry_channel_unref(pair[0]);
    ends_write_whole(pair[0], "ferry", 5);
    ends_read_whole(ends_reader_of(kind, pair), word, 5);
    assert_string_equal(word, "ferry");
    ends_drop(pair);
    ferry_channel_unref(NULL);
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

#define PROPERTY(fn, traits) \
    {                        \
#fn, fn, traits      \
    }

static const struct {
    const char *name;
    CMUnitTestFunction fn;
    unsigned traits; /* only for kinds that have all of them */
} properties[] = {
    PROPERTY(carries_every_byte_in_order, 0),
    PROPERTY(writes_more_elements_than_the_kernel_takes, 0),
    PROPERTY(reads_into_more_elements_than_the_kernel_takes, 0),
    PROPERTY(ends_after_finish, 0),
    PROPERTY(says_how_many_bytes_are_missing, 0),
    PROPERTY(expecting_never_loses_the_tail, 0),
    PROPERTY(shutdown_wakes_a_blocked_reader, CHANNEL_LIVE),
    PROPERTY(shutdown_wakes_a_blocked_writer, CHANNEL_LIVE),
    PROPERTY(shutdown_of_one_direction_leaves_the_other, CHANNEL_LIVE | CHANNEL_DUPLEX),
    PROPERTY(fails_once_shut_down, 0),
    PROPERTY(a_vanished_reader_is_an_error_not_a_signal, CHANNEL_LIVE),
    PROPERTY(half_closing_leaves_the_way_back, CHANNEL_LIVE | CHANNEL_DUPLEX),
    PROPERTY(refuses_what_it_cannot_do, 0),
    PROPERTY(passes_a_descriptor, CHANNEL_PASSES_FDS),
    PROPERTY(lives_until_the_last_reference, 0),
};

#define PROPERTIES (sizeof(properties) / sizeof(properties[0]))

int channel_contract_run(const char *group, const struct channel_kind *kinds, int count)
{
    struct CMUnitTest *tests = calloc((size_t)count * PROPERTIES, sizeof(*tests));
    char(*names)[128] = calloc((size_t)count * PROPERTIES, sizeof(*names));
    size_t used = 0;
    int ret = 1;

    for (int k = 0; tests && names && k < count; k++) {
        for (size_t p = 0; p < PROPERTIES; p++) {
            if ((kinds[k].traits & properties[p].traits) != properties[p].traits)
                continue;
            snprintf(names[used], sizeof(names[used]), "%s: %s", kinds[k].name, properties[p].name);
            tests[used].name = names[used];
            tests[used].test_func = properties[p].fn;
            tests[used].initial_state = (void *)(uintptr_t)&kinds[k];
            used++;
        }
    }
    if (used)
        ret = _cmocka_run_group_tests(group, tests, used, NULL, NULL);
    free(tests);
    free(names);
    return ret;
}
