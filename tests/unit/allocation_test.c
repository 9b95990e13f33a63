/* SPDX-License-Identifier: BSD-3-Clause */
/* allocation_test.c - a save and a load in which each allocation fails in turn: an error every time, and no leak */
#include "failmalloc.h"

#include <ferry/blocker.h>
#include <ferry/iterative.h>
#include <ferry/notify.h>
#include <ferry/rules.h>
#include <ferry/session.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#define PATIENCE_MS 10000
#define BYTES       (16 * FERRY_PAGE_BYTES)

struct machine {
    uint8_t *ram;
    uint32_t count;
    uint32_t *values; /* allocated by a load */
    bool running;
};

static const struct ferry_field fields[] = { FERRY_U32(count, struct machine),
                                             FERRY_ALLOC_VARRAY(values, struct machine, count, 100, U32), FERRY_END };
static const struct ferry_state_desc desc = {
    .name = "device",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct machine),
    .fields = fields,
};

static int stop(void *opaque, struct ferry_error *err)
{
    ((struct machine *)opaque)->running = false;
    return 0;
}

static int start(void *opaque, struct ferry_error *err)
{
    ((struct machine *)opaque)->running = true;
    return 0;
}

static const struct ferry_guest_ops ops = { .stop = stop, .start = start };

/* An iterative device of a few bytes. */
static int put_setup(void *opaque, struct ferry_writer *writer, struct ferry_error *err)
{
    ferry_put_chunk_end(writer);
    return 0;
}

static void pending(void *opaque, enum ferry_pending_how how, struct ferry_pending *out)
{
    out->precopy_bytes = 8;
}

static int put_all(void *opaque, struct ferry_writer *writer, struct ferry_error *err)
{
    ferry_put_chunk(writer, "contents", 8);
    ferry_put_chunk_end(writer);
    return 0;
}

static int put_some(void *opaque, struct ferry_writer *writer, uint64_t budget_bytes, struct ferry_error *err)
{
    return put_all(opaque, writer, err);
}

static int get_all(void *opaque, struct ferry_reader *reader, uint32_t version, struct ferry_error *err)
{
    return ferry_skip_chunks(reader);
}

static const struct ferry_iterative_ops iterative = {
    .save = { .setup = put_setup, .pending = pending, .iterate = put_some, .complete_precopy = put_all },
    .load = { .state = get_all },
};

static int heard(void *opaque, const struct ferry_notice *notice, struct ferry_error *err)
{
    return 0;
}

/* All that a guest may have besides: 0 or the error. */
static int add_more(struct ferry_guest *guest, struct ferry_error *err)
{
    const struct ferry_device_rules rules = { 0 };
    int token = ferry_guest_block_migration(guest, "for a moment", err);

    if (token < 0)
        return token;
    ferry_guest_unblock_migration(guest, token);
    if (ferry_guest_add_iterative(guest, "table", FERRY_INSTANCE_NEXT, 1, &iterative, NULL, err) < 0)
        return -1;
    if (ferry_guest_set_rules(guest, "table", 0, &rules, NULL, err) < 0)
        return -1;
    return ferry_guest_add_notifier(guest, heard, NULL, err);
}

static struct ferry_guest *make_guest(struct machine *machine, struct ferry_error *err)
{
    struct ferry_block ram = {
        .name = "ram", .host = machine->ram, .length = BYTES, .page_size = 4096, .flags = FERRY_BLOCK_PRIVATE
    };
    struct ferry_guest *guest = ferry_guest_new("tiny", &ops, machine, err);

    if (guest && (ferry_guest_add_block(guest, &ram, err) < 0 ||
                  ferry_guest_add_device(guest, &desc, machine, NULL, FERRY_INSTANCE_NEXT, err) < 0 ||
                  add_more(guest, err) < 0)) {
        ferry_guest_free(guest);
        guest = NULL;
    }
    return guest;
}

typedef struct ferry_session *start_fn(struct ferry_guest *guest, struct ferry_channel *chan,
                                       const struct ferry_options *options, struct ferry_error *err);

static int run(start_fn *begin, struct machine *machine, struct ferry_channel *chan, struct ferry_error *err)
{
    struct ferry_guest *guest = make_guest(machine, err);
    struct ferry_session *session = guest ? begin(guest, chan, NULL, err) : NULL;
    int ret = session ? ferry_session_wait(session, FERRY_NO_DEADLINE, err) : err->errnum;

    ferry_session_free(session);
    ferry_guest_free(guest);
    return ret;
}

/* The thread of SCHED_IDLE that a load has may end after it, and frees what it was given. */
static void wait_for_alive(long count)
{
    for (int i = 0; i < PATIENCE_MS && failmalloc_alive() != count; i++)
        nanosleep(&(struct timespec){ .tv_nsec = 1000 * 1000 }, NULL);
}

/* Run with the n-th allocation failing, for n = 1, 2, ... until none failed.  Returns how many failures there were. */
static int fail_each(int (*once)(void *opaque, struct ferry_error *err), void *opaque)
{
    for (int n = 1;; n++) {
        struct ferry_error err = { 0 };
        long before = failmalloc_alive();
        int ret;

        failmalloc_arm(n - 1);
        ret = once(opaque, &err);
        if (!failmalloc_disarm()) {
            assert_int_equal(ret, 0);
            return n - 1;
        }
        wait_for_alive(before);
        if (failmalloc_alive() != before)
            fail_msg("allocation %d: %ld left over", n, failmalloc_alive() - before);
        if (ret < 0 && (!err.errnum || strlen(err.text) < 5))
            fail_msg("allocation %d: no sentence for error %d", n, ret);
    }
}

static struct machine source;
static uint32_t values[3] = { 1, 22, 333 };

static int save_once(void *opaque, struct ferry_error *err)
{
    struct ferry_channel *chan = ferry_channel_buffer_writer(1 << 20, err);
    int ret = chan ? run(ferry_source_start, &source, chan, err) : err->errnum;

    ferry_channel_unref(chan);
    if (ret < 0)
        assert_true(source.running);
    source.running = true;
    return ret;
}

struct recording {
    void *data;
    size_t bytes;
    bool loaded; /* once, with everything right */
};

static int load_once(void *opaque, struct ferry_error *err)
{
    struct recording *recording = opaque;
    struct machine machine = { 0 };
    struct ferry_channel *chan = ferry_channel_buffer_reader(recording->data, recording->bytes, err);
    int ret;

    machine.ram = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ret = chan ? run(ferry_destination_start, &machine, chan, err) : err->errnum;
    assert_int_equal(machine.running, ret == 0);
    if (ret == 0) {
        assert_memory_equal(machine.ram, source.ram, BYTES);
        assert_int_equal(machine.count, 3);
        assert_memory_equal(machine.values, values, sizeof(values));
        recording->loaded = true;
    }
    free(machine.values);
    ferry_channel_unref(chan);
    munmap(machine.ram, BYTES);
    return ret;
}

static void each_allocation_of_a_save_fails(void **state)
{
    assert_true(fail_each(save_once, NULL) > 10);
}

static void each_allocation_of_a_load_fails(void **state)
{
    struct recording recording = { 0 };
    struct ferry_channel *chan = ferry_channel_buffer_writer(1 << 20, NULL);
    struct ferry_error err;
    const void *data;

    assert_int_equal(run(ferry_source_start, &source, chan, &err), 0);
    source.running = true;
    data = ferry_channel_buffer_data(chan, &recording.bytes);
    recording.data = malloc(recording.bytes);
    memcpy(recording.data, data, recording.bytes);
    ferry_channel_unref(chan);
    assert_true(fail_each(load_once, &recording) > 10);
    assert_true(recording.loaded);
    free(recording.data);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_of_a_save_fails),
        cmocka_unit_test(each_allocation_of_a_load_fails),
    };

    failmalloc_take_json();
    source.ram = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    source.count = 3;
    source.values = values;
    source.running = true;
    memset(source.ram + 5000, 9, 3000);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
