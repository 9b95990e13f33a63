/* SPDX-License-Identifier: BSD-3-Clause */
/* iterative_fixture.c - a machine with toy devices that send in rounds, and a migration of it in this process */
#include "iterative_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

/* ---- a toy ------------------------------------------------------------------------------------------------------- */

static void note(struct toy *toy, char letter)
{
    size_t used = strlen(toy->log);

    if (used + 1 < sizeof(toy->log))
        toy->log[used] = letter;
}

void toy_write(struct toy *toy, unsigned row, uint8_t value)
{
    pthread_mutex_lock(&toy->lock);
    memset(toy->rows[row], value, TOY_ROW);
    toy->dirty_rows += !toy->dirty[row];
    toy->dirty[row] = true;
    pthread_mutex_unlock(&toy->lock);
}

static bool toy_needed(void *opaque)
{
    return !((struct toy *)opaque)->unneeded;
}

static int save_setup(void *opaque, struct ferry_writer *writer, struct ferry_error *err)
{
    struct toy *toy = opaque;

    note(toy, 's');
    ferry_put_chunk_end(writer);
    return toy->fail_setup ? ferry_error_set(err, toy->fail_setup, "the toy does not want to") : 0;
}

static bool has_postcopy(void *opaque)
{
    return ((struct toy *)opaque)->postcopy;
}

static void save_pending(void *opaque, enum ferry_pending_how how, struct ferry_pending *pending)
{
    struct toy *toy = opaque;

    pthread_mutex_lock(&toy->lock);
    pending->precopy_bytes = (uint64_t)toy->dirty_rows * TOY_ROW;
    pthread_mutex_unlock(&toy->lock);
}

/* Dirty rows until @budget is used up; whether any is left. */
static bool put_rows(struct toy *toy, struct ferry_writer *writer, uint64_t budget)
{
    uint8_t chunk[2 + TOY_ROW];
    uint64_t put = 0;
    bool more;

    pthread_mutex_lock(&toy->lock);
    for (unsigned row = 0; row < TOY_ROWS && put < budget; row++) {
        if (!toy->dirty[row])
            continue;
        toy->dirty[row] = false;
        toy->dirty_rows--;
        chunk[0] = (uint8_t)(row >> 8);
        chunk[1] = (uint8_t)row;
        memcpy(chunk + 2, toy->rows[row], TOY_ROW);
        ferry_put_chunk(writer, chunk, sizeof(chunk));
        put += sizeof(chunk);
    }
    more = toy->dirty_rows > 0;
    pthread_mutex_unlock(&toy->lock);
    ferry_put_chunk_end(writer);
    return more;
}

static int save_iterate(void *opaque, struct ferry_writer *writer, uint64_t budget_bytes, struct ferry_error *err)
{
    struct toy *toy = opaque;

    note(toy, 'i');
    if (budget_bytes > toy->most_budget)
        toy->most_budget = budget_bytes;
    if (toy->fail_iterate)
        return ferry_error_set(err, toy->fail_iterate, "the toy is broken");
    return put_rows(toy, writer, budget_bytes);
}

static int save_complete(void *opaque, struct ferry_writer *writer, struct ferry_error *err)
{
    struct toy *toy = opaque;

    note(toy, 'c');
    put_rows(toy, writer, UINT64_MAX);
    return toy->fail_complete ? ferry_error_set(err, toy->fail_complete, "the toy fell apart") : 0;
}

static int save_complete_postcopy(void *opaque, struct ferry_writer *writer, struct ferry_error *err)
{
    note(opaque, 'p');
    put_rows(opaque, writer, UINT64_MAX);
    return 0;
}

static int save_resume(void *opaque, struct ferry_error *err)
{
    note(opaque, 'r');
    return 0;
}

static void save_cleanup(void *opaque)
{
    note(opaque, '.');
}

static int load_setup(void *opaque, struct ferry_error *err)
{
    note(opaque, 'S');
    return 0;
}

static int load_state(void *opaque, struct ferry_reader *reader, uint32_t version, struct ferry_error *err)
{
    struct toy *toy = opaque;
    uint8_t chunk[2 + TOY_ROW];
    ssize_t bytes;

    note(toy, 'L');
    while ((bytes = ferry_get_chunk(reader, chunk, sizeof(chunk))) > 0) {
        unsigned row = (unsigned)(chunk[0] << 8 | chunk[1]);

        if (bytes != sizeof(chunk) || row >= TOY_ROWS)
            return ferry_reader_fail(reader, -EPROTO, "a row that is none");
        memcpy(toy->rows[row], chunk + 2, TOY_ROW);
        toy->loaded_rows++;
    }
    if (bytes == 0 && toy->fail_load && toy->loaded_rows > 0)
        return ferry_error_set(err, toy->fail_load, "the toy does not like this");
    return bytes < 0 ? ferry_reader_status(reader, err) : 0;
}

static bool load_ready(void *opaque)
{
    struct toy *toy = opaque;

    return toy->loaded_rows >= toy->ready_rows;
}

static void load_cleanup(void *opaque)
{
    note(opaque, '!');
}

#define TOY_SAVE                                                                                                  \
    {                                                                                                             \
        .setup = save_setup, .pending = save_pending, .iterate = save_iterate, .complete_precopy = save_complete, \
        .has_postcopy = has_postcopy, .complete_postcopy = save_complete_postcopy, .resume = save_resume,         \
        .cleanup = save_cleanup                                                                                   \
    }
#define TOY_LOAD                                                                                          \
    {                                                                                                     \
        .setup = load_setup, .state = load_state, .switchover_ready = load_ready, .cleanup = load_cleanup \
    }

const struct ferry_iterative_ops toy_ops = { .save = TOY_SAVE, .load = TOY_LOAD };
const struct ferry_iterative_ops toy_maybe_ops = { .needed = toy_needed, .save = TOY_SAVE, .load = TOY_LOAD };

/* ---- a machine --------------------------------------------------------------------------------------------------- */

static void *cpu_run(void *opaque)
{
    struct machine *machine = opaque;

    for (; atomic_load(&machine->running); machine->steps++) {
        unsigned row = (unsigned)(machine->steps * 7919 % TOY_ROWS);

        for (int i = 0; i < 2; i++)
            if (machine->toy[i].every && machine->steps % machine->toy[i].every == 0)
                toy_write(&machine->toy[i], row, (uint8_t)(machine->steps >> 4));
        sched_yield();
    }
    return NULL;
}

int machine_start(void *opaque, struct ferry_error *err)
{
    struct machine *machine = opaque;

    machine->starts++;
    atomic_store(&machine->running, true);
    machine->started = pthread_create(&machine->cpu, NULL, cpu_run, machine) == 0;
    return machine->started ? 0 : ferry_error_set(err, -EAGAIN, "no thread");
}

int machine_stop(void *opaque, struct ferry_error *err)
{
    struct machine *machine = opaque;

    machine->stops++;
    atomic_store(&machine->running, false);
    if (machine->started)
        pthread_join(machine->cpu, NULL);
    machine->started = false;
    return 0;
}

static const struct ferry_guest_ops machine_ops = { .stop = machine_stop, .start = machine_start };

void machine_open(struct machine *machine)
{
    struct ferry_block block = {
        .name = "ram", .length = MACHINE_BYTES, .page_size = 4096, .flags = FERRY_BLOCK_PRIVATE
    };
    static const char *const names[] = { "fast", "slow" };

    memset(machine, 0, sizeof(*machine));
    block.host = mmap(NULL, MACHINE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(block.host != MAP_FAILED);
    machine->memory = block.host;
    machine->guest = ferry_guest_new("toys", &machine_ops, machine, NULL);
    assert_non_null(machine->guest);
    assert_int_equal(ferry_guest_add_block(machine->guest, &block, NULL), 0);
    for (int i = 0; i < 2; i++) {
        struct toy *toy = &machine->toy[i];

        pthread_mutex_init(&toy->lock, NULL);
        assert_int_equal(
            ferry_guest_add_iterative(machine->guest, names[i], 0, 3, i ? &toy_maybe_ops : &toy_ops, toy, NULL), 0);
        for (unsigned row = 0; row < TOY_ROWS; row++)
            toy_write(toy, row, (uint8_t)(row + (unsigned)i));
    }
}

void machine_close(struct machine *machine)
{
    if (machine->started)
        machine_stop(machine, NULL);
    ferry_guest_free(machine->guest);
    for (int i = 0; i < 2; i++)
        pthread_mutex_destroy(&machine->toy[i].lock);
    munmap(machine->memory, MACHINE_BYTES);
}

/* ---- a migration ------------------------------------------------------------------------------------------------- */

void move_begin(struct move *move, struct machine *here, struct machine *there, const struct ferry_options *options)
{
    memset(move, 0, sizeof(*move));
    assert_int_equal(ferry_channel_pair(move->pair, NULL), 0);
    move->destination = ferry_destination_start(there->guest, move->pair[1], options, NULL);
    move->source = ferry_source_start(here->guest, move->pair[0], options, &move->here);
    assert_non_null(move->destination);
    assert_non_null(move->source);
}

void move_end(struct move *move)
{
    if (ferry_session_wait(move->source, FERRY_NO_DEADLINE, &move->here) < 0)
        ferry_channel_shutdown(move->pair[0], FERRY_READ_WRITE);
    ferry_session_wait(move->destination, FERRY_NO_DEADLINE, &move->there);
}

void move_free(struct move *move)
{
    ferry_session_free(move->source);
    ferry_session_free(move->destination);
    ferry_channel_unref(move->pair[0]);
    ferry_channel_unref(move->pair[1]);
}
