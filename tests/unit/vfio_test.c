/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_test.c - the simulated device: its states, its logs, what it refuses, and that it crosses whole */
#include "guest.h"
#include "vfio_parts.h"

#include <ferry/session.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static void states_follow_the_table(void **state)
{
    /* columns and rows: stopped running pre-copy stop-copy resuming error; d: directly, s: by way of stopped */
    /* to: stopped running pre-copy stop-copy resuming error; d: directly, s: by way of stopped */
    static const char *const reach[] = {
        "dd.ddd", /* stopped */
        "dddssd", /* running: by stopped to stop-copy and resuming */
        ".ddd.d", /* pre-copy: out by running or stop-copy alone */
        "ds.dsd", /* stop-copy */
        "ds.sdd", /* resuming */
        "ds.ssd", /* error */
    };

    for (int from = VFIO_STOPPED; from <= VFIO_ERROR; from++) {
        for (int to = VFIO_STOPPED; to <= VFIO_ERROR; to++) {
            enum vfio_state now = (enum vfio_state)from;
            char expected = reach[from][to];
            int ret = vfio_state_move(&now, (enum vfio_state)to, NULL);

            if (vfio_state_allowed((enum vfio_state)from, (enum vfio_state)to) != (expected == 'd') ||
                (ret == 0) != (expected != '.') || now != (enum vfio_state)(ret == 0 ? to : from))
                fail_msg("from %s to %s", vfio_state_name((enum vfio_state)from), vfio_state_name((enum vfio_state)to));
        }
    }
}

/* What is taken or reported is clean, and what is written then is dirty again. */
static void an_area_knows_what_was_written(void **state)
{
    struct findings findings = { 0 };
    struct vfio_area area = { 0 };
    uint64_t bitmap[2] = { 0 }, page;

    assert_int_equal(findings_init(&findings), 0);
    assert_int_equal(vfio_area_make(&area, "area", 70 * 4096, 5, &findings, NULL), 0);
    assert_false(vfio_area_take(&area, &page));
    vfio_area_fill(&area);
    assert_int_equal(vfio_area_report(&area, bitmap), 70);
    assert_true(bitmap[0] == UINT64_MAX && bitmap[1] == 63);
    vfio_area_write(&area, 69);
    vfio_area_write(&area, 3);
    vfio_area_write(&area, 3);
    assert_int_equal(area.dirty_pages, 2);
    assert_true(vfio_area_take(&area, &page));
    assert_true(page == 3);
    vfio_area_write(&area, 3);
    assert_true(vfio_area_take(&area, &page));
    assert_true(page == 69);
    assert_true(vfio_area_take(&area, &page));
    assert_true(page == 3);
    assert_false(vfio_area_take(&area, &page));
    for (page = 0; page < 70; page++)
        assert_true(vfio_area_check(&area, page));
    area.generations[4]++;
    assert_false(vfio_area_check(&area, 4));
    assert_int_equal(findings.lost_writes, 1);
    area.map.host[5 * 4096 + 100] ^= 1;
    area.trusted[5] = 0;
    vfio_area_write(&area, 5);
    assert_int_equal(findings.mismatched, 1);
    assert_true(vfio_area_check(&area, 5));
    vfio_area_clear(&area);
    findings_destroy(&findings);
}

struct wire {
    struct ferry_channel *chan;
    struct ferry_writer *writer;
    struct findings findings;
    struct vfio_sim *from, *to;
};

static void wire_open(struct wire *wire, bool postcopy)
{
    const struct vfio_sim_config config = { .memory_bytes = MIB, .seed = 9, .postcopy = postcopy }, none = { 0 };

    memset(wire, 0, sizeof(*wire));
    assert_int_equal(findings_init(&wire->findings), 0);
    wire->from = vfio_sim_new(&config, &wire->findings, NULL);
    wire->to = vfio_sim_new(&none, &wire->findings, NULL);
    wire->chan = ferry_channel_buffer_writer(8 << 20, NULL);
    wire->writer = ferry_writer_new(wire->chan, NULL);
    assert_true(wire->from && wire->to && wire->writer);
    pthread_mutex_lock(&wire->to->lock);
    wire->to->state = VFIO_RESUMING;
    pthread_mutex_unlock(&wire->to->lock);
}

static void wire_close(struct wire *wire)
{
    vfio_sim_ops.load.cleanup(wire->to);
    vfio_sim_free(wire->from);
    vfio_sim_free(wire->to);
    ferry_writer_free(wire->writer);
    ferry_channel_unref(wire->chan);
    findings_destroy(&wire->findings);
}

/* Load @bodies bodies out of @data. */
static int load(struct wire *wire, const void *data, size_t bytes, int bodies, struct ferry_error *err)
{
    struct ferry_channel *chan = ferry_channel_buffer_reader(data, bytes, NULL);
    struct ferry_reader *reader = ferry_reader_new(chan, NULL);
    int ret = 0;

    while (ret == 0 && bodies-- > 0)
        ret = vfio_sim_ops.load.state(wire->to, reader, 1, err);
    ferry_reader_free(reader);
    ferry_channel_unref(chan);
    return ret;
}

/* The guest's memory is sent by whoever sends memory. */
static void carry_dma(struct wire *wire)
{
    memcpy(wire->to->dma.map.host, wire->from->dma.map.host, VFIO_DMA_BYTES);
}

/* Described state first, as it must be there before the guest runs; what iterates comes afterwards. */
static void in_postcopy_memory_follows_the_start(void **state)
{
    struct ferry_pending pending = { 0 };
    struct ferry_error err = { 0 };
    struct wire wire;
    const void *data;
    size_t bytes;

    wire_open(&wire, true);
    assert_true(vfio_sim_ops.save.has_postcopy(wire.from));
    assert_int_equal(vfio_sim_ops.save.setup(wire.from, wire.writer, NULL), 0);
    vfio_sim_ops.save.pending(wire.from, FERRY_PENDING_EXACT, &pending);
    assert_true(pending.postcopy_bytes >= MIB && pending.precopy_bytes < MIB / 4);
    assert_true(vfio_pci_desc.hooks.needed(&wire.from->pci));
    assert_int_equal(vfio_sim_ops.save.complete_postcopy(wire.from, wire.writer, NULL), 0);
    assert_int_equal(ferry_writer_flush(wire.writer, NULL), 0);
    data = ferry_channel_buffer_data(wire.chan, &bytes);
    if (load(&wire, data, bytes, 2, &err) < 0)
        fail_msg("%s", err.text);
    carry_dma(&wire);
    vfio_sim_check(wire.to);
    assert_int_equal(wire.findings.mismatched + wire.findings.lost_writes, 0);
    assert_true(vfio_sim_ops.load.switchover_ready(wire.to));
    memset(&pending, 0, sizeof(pending));
    vfio_sim_ops.save.pending(wire.from, FERRY_PENDING_EXACT, &pending);
    assert_int_equal(pending.postcopy_bytes, 0);
    assert_int_equal(vfio_sim_ops.save.resume(wire.from, NULL), 0);
    vfio_sim_ops.save.pending(wire.from, FERRY_PENDING_EXACT, &pending);
    assert_true(pending.postcopy_bytes >= MIB);
    wire_close(&wire);
}

static void initial_data_comes_first(void **state)
{
    struct wire wire;
    const void *data;
    size_t bytes;

    wire_open(&wire, false);
    assert_int_equal(vfio_sim_ops.save.setup(wire.from, wire.writer, NULL), 0);
    assert_int_equal(vfio_sim_ops.save.iterate(wire.from, wire.writer, VFIO_INITIAL_BYTES / 2, NULL), 1);
    assert_int_equal(vfio_sim_ops.save.iterate(wire.from, wire.writer, VFIO_INITIAL_BYTES, NULL), 1);
    assert_int_equal(ferry_writer_flush(wire.writer, NULL), 0);
    data = ferry_channel_buffer_data(wire.chan, &bytes);
    assert_int_equal(load(&wire, data, bytes, 2, NULL), 0);
    assert_false(vfio_sim_ops.load.switchover_ready(wire.to));
    wire_close(&wire);
    wire_open(&wire, false);
    assert_int_equal(vfio_sim_ops.save.setup(wire.from, wire.writer, NULL), 0);
    assert_int_equal(vfio_sim_ops.save.iterate(wire.from, wire.writer, 2 * VFIO_INITIAL_BYTES, NULL), 1);
    assert_int_equal(ferry_writer_flush(wire.writer, NULL), 0);
    data = ferry_channel_buffer_data(wire.chan, &bytes);
    assert_int_equal(load(&wire, data, bytes, 2, NULL), 0);
    assert_true(vfio_sim_ops.load.switchover_ready(wire.to));
    wire_close(&wire);
}

/* Where the last occurrence of @text begins. */
static size_t last_of(const uint8_t *data, size_t bytes, const char *text)
{
    size_t length = strlen(text), at = bytes - length;

    while (memcmp(data + at, text, length))
        at--;
    return at;
}

/* One good stream, then each thing that can be wrong with it. */
static void what_is_not_right_is_refused(void **state)
{
    static const struct {
        int from;         /* 0: the beginning, 1: the model's name, 2: the end of the blob */
        int offset;       /* of the byte that changes */
        uint8_t by;       /* what it is xored with; 0: nothing changes */
        const char *says; /* NULL: it loads */
    } rows[] = {
        { 0, 0, 0, NULL },
        { 0, 5, 1, "cannot have" },           /* memory of very many bytes */
        { 0, 12, 1, "cannot have" },          /* not of whole pages */
        { 0, 21, 0xff, "cannot write" },      /* a rate that is none */
        { 0, 4, 0x40, "unknown kind" },       /* no such piece */
        { 0, 41, 2, "initial data" },         /* out of order */
        { 0, 42, 1, "another model" },        /* other initial data */
        { 1, 3, 1, "that of another model" }, /* by name */
        { 1, -20, 1, "instead of" },          /* a length that does not fit */
        { 1, -3, 1, "its digest is another" },
        { 2, -6, 1, "its digest is another" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ferry_error err = { 0 };
        struct wire wire;
        uint8_t *copy;
        size_t bytes, at;
        int ret;

        wire_open(&wire, false);
        assert_int_equal(vfio_sim_ops.save.setup(wire.from, wire.writer, NULL), 0);
        assert_int_equal(vfio_sim_ops.save.complete_precopy(wire.from, wire.writer, NULL), 0);
        assert_int_equal(ferry_writer_flush(wire.writer, NULL), 0);
        ferry_channel_buffer_data(wire.chan, &bytes);
        copy = malloc(bytes);
        memcpy(copy, ferry_channel_buffer_data(wire.chan, &bytes), bytes);
        at = rows[i].from == 0 ? 0 : rows[i].from == 1 ? last_of(copy, bytes, VFIO_MODEL) : bytes;
        copy[at + (size_t)rows[i].offset] ^= rows[i].by;
        ret = load(&wire, copy, bytes, 2, &err);
        if ((ret == 0) != !rows[i].says || (ret < 0 && !strstr(err.text, rows[i].says)))
            fail_msg("row %zu: %d, %s", i, ret, err.text);
        assert_int_equal(wire.to->arrival.loaded, ret == 0);
        free(copy);
        wire_close(&wire);
    }
}

static void another_devices_configuration_is_refused(void **state)
{
    struct vfio_pci pci = { 0 };
    struct ferry_error err = { 0 };

    vfio_pci_reset(&pci, 0xfd000000);
    assert_int_equal(vfio_pci_desc.hooks.check(&pci, 1, NULL), 0);
    pci.config[VFIO_PCI_COMMAND] = 0;
    assert_int_equal(vfio_pci_desc.hooks.check(&pci, 1, NULL), 0);
    pci.config[2] ^= 1;
    assert_int_equal(vfio_pci_desc.hooks.check(&pci, 1, &err), -EINVAL);
    assert_non_null(strstr(err.text, "byte 0x02"));
}

/* Through real sessions, with and without a guest that writes. */
static void a_guest_takes_its_device_along(void **state)
{
    static const char *const texts[] = {
        "pattern:size=16MiB,dirty=20MiB/s,vfio=4MiB",
        "pattern:size=4MiB,vfio=8MiB",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct bench_guest *source = bench_guest_new(texts[i], NULL),
                           *destination = bench_guest_incoming("pattern", NULL);
        struct ferry_session *sending, *receiving;
        struct ferry_error err = { 0 };
        struct bench_verify verify;
        struct bench_figures figures;
        struct ferry_channel *pair[2];
        struct ferry_stats stats;

        assert_true(source && destination);
        assert_int_equal(bench_guest_start(source, NULL), 0);
        assert_int_equal(ferry_channel_pair(pair, NULL), 0);
        receiving = ferry_destination_start(bench_guest_ferry(destination), pair[1], NULL, NULL);
        sending = ferry_source_start(bench_guest_ferry(source), pair[0], NULL, NULL);
        if (ferry_session_wait(sending, FERRY_NO_DEADLINE, &err) < 0 ||
            ferry_session_wait(receiving, FERRY_NO_DEADLINE, &err) < 0 ||
            bench_guest_verify(destination, 20000000, &verify, &err) < 0)
            fail_msg("%s: %s", texts[i], ferry_error_text(&err));
        if (verify.mismatched || verify.lost_writes)
            fail_msg("%s: %s", texts[i], verify.first);
        bench_guest_figures(source, &figures);
        assert_int_equal(verify.pages * 4096, figures.ram_bytes + (i ? 8 : 4) * MIB);
        ferry_session_stats(sending, &stats);
        assert_true(stats.wire.iterative_bytes > (i ? 8 : 4) * MIB);
        assert_non_null(strstr(stats.tracker, "+vfio-sim"));
        ferry_session_free(sending);
        ferry_session_free(receiving);
        ferry_channel_unref(pair[0]);
        ferry_channel_unref(pair[1]);
        bench_guest_free(source);
        bench_guest_free(destination);
    }
}

/* ---- a guest of which nothing is known to be written but what the device says ---- */

static int silent_start(void *opaque, const struct ferry_block *block, struct ferry_error *err)
{
    return 0;
}

static int silent_sync(void *opaque, const struct ferry_block *block, uint64_t *bitmap, struct ferry_error *err)
{
    return 0;
}

static void silent_stop(void *opaque, const struct ferry_block *block)
{
}

static const struct ferry_tracker_ops silent = {
    .name = "silent", .start = silent_start, .sync = silent_sync, .stop = silent_stop
};

static int guest_stop(void *opaque, struct ferry_error *err)
{
    vfio_sim_run(opaque, false);
    return 0;
}

static int guest_start(void *opaque, struct ferry_error *err)
{
    vfio_sim_run(opaque, true);
    return 0;
}

static int guest_provide(void *opaque, const char *name, uint64_t length, struct ferry_block *block,
                         struct ferry_error *err)
{
    return vfio_sim_provide(opaque, length, block, err);
}

static const struct ferry_guest_ops guest_ops = { .stop = guest_stop,
                                                  .start = guest_start,
                                                  .provide_block = guest_provide };

static struct ferry_guest *guest_of(struct vfio_sim *sim)
{
    struct ferry_guest *guest = ferry_guest_new("device", &guest_ops, sim, NULL);

    assert_non_null(guest);
    assert_int_equal(ferry_guest_add_tracker(guest, &silent, NULL, NULL), 0);
    assert_int_equal(vfio_sim_add_to(sim, guest, NULL), 0);
    return guest;
}

static void what_it_writes_to_the_guest_is_in_its_own_log(void **state)
{
    const struct vfio_sim_config config = { .memory_bytes = MIB, .bytes_per_sec = 200 * MIB, .seed = 3 }, none = { 0 };
    struct ferry_options *options = ferry_options_new();
    struct findings findings = { 0 };
    struct vfio_sim *from, *to;
    struct ferry_guest *here, *there;
    struct ferry_session *sending, *receiving;
    struct vfio_sim_figures left, arrived;
    struct ferry_error err = { 0 };
    struct ferry_channel *pair[2];

    assert_int_equal(findings_init(&findings), 0);
    from = vfio_sim_new(&config, &findings, NULL);
    to = vfio_sim_new(&none, &findings, NULL);
    here = guest_of(from);
    there = guest_of(to);
    assert_int_equal(ferry_options_set(options, "max-bandwidth", "20MiB/s", NULL), 0);
    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    vfio_sim_run(from, true);
    receiving = ferry_destination_start(there, pair[1], options, NULL);
    sending = ferry_source_start(here, pair[0], options, NULL);
    if (ferry_session_wait(sending, FERRY_NO_DEADLINE, &err) < 0 ||
        ferry_session_wait(receiving, FERRY_NO_DEADLINE, &err) < 0)
        fail_msg("%s", ferry_error_text(&err));
    vfio_sim_figures(from, &left);
    vfio_sim_figures(to, &arrived);
    assert_true(left.state == VFIO_STOPPED && arrived.state == VFIO_RUNNING && arrived.loaded);
    assert_true(left.writes > 100 && arrived.writes >= left.writes);
    vfio_sim_run(to, false);
    vfio_sim_check(to);
    if (findings.mismatched + findings.lost_writes > 0)
        fail_msg("%s", findings.first);
    ferry_session_free(sending);
    ferry_session_free(receiving);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
    ferry_options_free(options);
    ferry_guest_free(here);
    ferry_guest_free(there);
    vfio_sim_free(from);
    vfio_sim_free(to);
    findings_destroy(&findings);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_follow_the_table),
        cmocka_unit_test(an_area_knows_what_was_written),
        cmocka_unit_test(in_postcopy_memory_follows_the_start),
        cmocka_unit_test(initial_data_comes_first),
        cmocka_unit_test(what_is_not_right_is_refused),
        cmocka_unit_test(another_devices_configuration_is_refused),
        cmocka_unit_test(a_guest_takes_its_device_along),
        cmocka_unit_test(what_it_writes_to_the_guest_is_in_its_own_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
