/* SPDX-License-Identifier: BSD-3-Clause */
/* state_load_test.c - a load that fails leaves the device as it was, and says which field was wrong and why
 *
 * Hostile bytes: every prefix, every single flipped bit, counts out of bounds, lists without an end.
 */
#include "state_fixture.h"

#include <errno.h>
#include <ferry/channel.h>
#include <ferry/stream.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Loading @hex must fail, with all of @sentence in the error, and leave @bytes at @device alone. */
static void assert_refused(const struct ferry_state_desc *desc, void *device, size_t bytes, uint32_t version,
                           const char *hex, const char *sentence)
{
    struct fixture_bytes wire;
    struct ferry_error err = { 0 };
    uint8_t before[512];

    assert_true(bytes <= sizeof(before));
    memcpy(before, device, bytes);
    fixture_from_hex(hex, &wire);
    assert_true(fixture_load(desc, device, version, wire.data, wire.count, &err) < 0);
    if (!strstr(err.text, sentence))
        fail_msg("'%s' is not in '%s'", sentence, err.text);
    assert_memory_equal(device, before, bytes);
}

static void assert_loads(const struct ferry_state_desc *desc, void *device, uint32_t version, const char *hex)
{
    struct fixture_bytes wire;
    struct ferry_error err = { 0 };

    fixture_from_hex(hex, &wire);
    fixture_load(desc, device, version, wire.data, wire.count, &err);
    assert_string_equal(ferry_error_text(&err), "no error");
}

/* ---- values that must fit the local ones ------------------------------------------------------------------------- */

struct reg {
    uint8_t mode;
    int32_t irqs;
};

struct cpu {
    struct reg regs[4];
    uint16_t id;
    uint32_t tsc_khz;
};

static const struct ferry_field reg_fields[] = {
    FERRY_U8_EQUAL(mode, struct reg),
    FERRY_I32_LE(irqs, struct reg),
    FERRY_END,
};
static const struct ferry_state_desc reg_desc = { .name = "reg", .size = sizeof(struct reg), .fields = reg_fields };
static const struct ferry_field cpu_fields[] = {
    FERRY_U16(id, struct cpu),
    FERRY_STRUCT_ARRAY(regs, struct cpu, 4, reg_desc, struct reg),
    FERRY_END,
};

static bool never(void *opaque)
{
    return false;
}

static const struct ferry_field tsc_fields[] = {
    FERRY_U32(tsc_khz, struct cpu),
    FERRY_END,
};
static const struct ferry_state_desc tsc_desc = {
    .name = "cpu/tsc_khz", .version_id = 2, .minimum_version_id = 1, .fields = tsc_fields, .hooks = { .needed = never }
};
static const struct ferry_state_desc *const cpu_subsections[] = { &tsc_desc, NULL };
static const struct ferry_state_desc cpu_desc = { .name = "cpu",
                                                  .version_id = 12,
                                                  .minimum_version_id = 11,
                                                  .size = sizeof(struct cpu),
                                                  .fields = cpu_fields,
                                                  .subsections = cpu_subsections };
#define CPU_BODY "0001 05 00000002 05 00000002 05 00000002 05 00000002"

static void equal_and_at_most_are_checked(void **state)
{
    struct cpu cpu = { .regs = { { 5, 2 }, { 5, 2 }, { 5, 2 }, { 5, 2 } }, .id = 9 };

    assert_refused(&cpu_desc, &cpu, sizeof(cpu), 12, "0001 05 00000002 05 00000002 05 00000002 07 00000002",
                   "cpu: field 'regs[3].mode': 7 is not the local 5");
    assert_refused(&cpu_desc, &cpu, sizeof(cpu), 12, "0001 05 00000002 05 00000003 05 00000002 05 00000002",
                   "cpu: field 'regs[1].irqs': 3 is not within 0 to the local 2");
    assert_refused(&cpu_desc, &cpu, sizeof(cpu), 12, "0001 05 ffffffff 05 00000002 05 00000002 05 00000002",
                   "cpu: field 'regs[0].irqs': -1 is not within 0 to the local 2");
    assert_loads(&cpu_desc, &cpu, 12, "0001 05 00000000 05 00000001 05 00000002 05 00000002");
    assert_int_equal(cpu.regs[0].irqs, 0);
    assert_int_equal(cpu.regs[1].irqs, 1);
    assert_int_equal(cpu.id, 1);
}

static void versions_are_checked(void **state)
{
    struct cpu cpu = { .regs = { { 5, 2 }, { 5, 2 }, { 5, 2 }, { 5, 2 } } };

    assert_refused(&cpu_desc, &cpu, sizeof(cpu), 13, CPU_BODY, "cpu: version 13 is newer than the local 12");
    assert_refused(&cpu_desc, &cpu, sizeof(cpu), 10, CPU_BODY, "cpu: version 10 is older than the oldest");
    assert_refused(&cpu_desc, &cpu, sizeof(cpu), 0x80000000, CPU_BODY, "cpu: version 2147483648");
    assert_loads(&cpu_desc, &cpu, 11, CPU_BODY);
}

/* ---- subsections ------------------------------------------------------------------------------------------------- */

#define TSC "05 0b 6370752f7473635f6b687a"

static void subsections_come_in_any_number_but_only_known_ones(void **state)
{
    struct cpu cpu = { .regs = { { 5, 2 }, { 5, 2 }, { 5, 2 }, { 5, 2 } }, .tsc_khz = 1 };

    assert_loads(&cpu_desc, &cpu, 12, CPU_BODY);
    assert_int_equal(cpu.tsc_khz, 1);
    assert_loads(&cpu_desc, &cpu, 12, CPU_BODY TSC "00000001 00000042");
    assert_int_equal(cpu.tsc_khz, 0x42);
    assert_refused(&cpu_desc, &cpu, sizeof(cpu), 12, CPU_BODY TSC "00000003 00000042",
                   "cpu/tsc_khz: version 3 is newer than the local 2");
    assert_refused(&cpu_desc, &cpu, sizeof(cpu), 12, CPU_BODY TSC "00000000 00000042",
                   "cpu/tsc_khz: version 0 is older than the oldest");
    assert_refused(&cpu_desc, &cpu, sizeof(cpu), 12, CPU_BODY TSC "ffffffff 00000042", "cpu/tsc_khz: version");
    assert_refused(&cpu_desc, &cpu, sizeof(cpu), 12, CPU_BODY "05 06 6370752f6d6d 00000001",
                   "the subsection 'cpu/mm' is not known here");
    assert_refused(&cpu_desc, &cpu, sizeof(cpu), 12, CPU_BODY TSC "00000001 00000042" TSC "00000001 00000043",
                   "the subsection 'cpu/tsc_khz' comes twice");
    assert_refused(&cpu_desc, &cpu, sizeof(cpu), 12, CPU_BODY TSC "00000001 0000", "cpu/tsc_khz: field 'tsc_khz'");
}

/* How many bytes of @hex the body takes, when what follows it does not look like one of its subsections. */
static uint64_t bytes_taken(const struct ferry_state_desc *desc, void *device, const char *hex)
{
    struct fixture_bytes wire;
    struct ferry_channel *channel;
    struct ferry_reader *reader;
    struct state_staged *staged;
    uint64_t taken;

    fixture_from_hex(hex, &wire);
    channel = ferry_channel_buffer_reader(wire.data, wire.count, NULL);
    reader = ferry_reader_new(channel, NULL);
    staged = state_parse(desc, device, 12, reader, NULL);
    assert_non_null(staged);
    taken = ferry_reader_offset(reader);
    state_staged_free(staged);
    ferry_reader_free(reader);
    ferry_channel_unref(channel);
    return taken;
}

static void what_does_not_look_like_a_subsection_is_left_alone(void **state)
{
    struct cpu cpu = { .regs = { { 5, 2 }, { 5, 2 }, { 5, 2 }, { 5, 2 } } };

    assert_int_equal(bytes_taken(&cpu_desc, &cpu, CPU_BODY), 22);
    assert_int_equal(bytes_taken(&cpu_desc, &cpu, CPU_BODY "7e 00000001"), 22);
    assert_int_equal(bytes_taken(&cpu_desc, &cpu, CPU_BODY "05"), 22);
    assert_int_equal(bytes_taken(&cpu_desc, &cpu, CPU_BODY "05 03 637075"), 22);      /* not longer than "cpu" */
    assert_int_equal(bytes_taken(&cpu_desc, &cpu, CPU_BODY "05 04 6370782f 00"), 22); /* "cpx/" */
    assert_int_equal(bytes_taken(&cpu_desc, &cpu, CPU_BODY "05 0b 6370752f74"), 22);  /* too few bytes follow */
    assert_int_equal(bytes_taken(&cpu_desc, &cpu, CPU_BODY TSC "00000001 00000042 05 01"), 22 + 13 + 8);
}

/* A nested description's fields may be followed by an outer field that begins with 05, or by an outer subsection. */
struct board {
    struct reg reg;
    uint8_t next[6];
    uint32_t late;
};

static const struct ferry_field board_fields[] = {
    FERRY_STRUCT(reg, struct board, reg_desc, struct reg),
    FERRY_BUFFER(next, struct board),
    FERRY_STRUCT(reg, struct board, reg_desc, struct reg),
    FERRY_END,
};
static const struct ferry_field board_late_fields[] = {
    FERRY_U32(late, struct board),
    FERRY_END,
};
static const struct ferry_state_desc board_late_desc = { .name = "board/late", .fields = board_late_fields };
static const struct ferry_state_desc *const board_subsections[] = { &board_late_desc, NULL };
static const struct ferry_state_desc board_desc = {
    .name = "board", .size = sizeof(struct board), .fields = board_fields, .subsections = board_subsections
};

static void a_nested_body_leaves_what_is_not_its_own(void **state)
{
    struct board board = { .reg = { 5, 2 } };

    assert_loads(&board_desc, &board, 0,
                 "05 00000002  05 04 61626364  05 00000001  05 0a 626f6172642f6c617465 00000000 00000017");
    assert_memory_equal(board.next, "\5\4abcd", 6);
    assert_int_equal(board.late, 0x17);
    assert_int_equal(board.reg.irqs, 1);
    /* The ambiguity that QEMU has, too: data which spells the name of the nested description. */
    assert_refused(&board_desc, &board, sizeof(board), 0, "05 00000001  05 04 7265672f  05 00000001",
                   "the subsection 'reg/' is not known here");
}

/* ---- old versions ------------------------------------------------------------------------------------------------ */

struct old {
    uint32_t a, b;
    int loads;
};

static int load_old(struct ferry_reader *reader, void *copy, int version, struct ferry_error *err)
{
    struct old *old = copy;
    uint16_t a;

    if (ferry_get_be16(reader, &a) < 0)
        return ferry_reader_status(reader, err);
    old->a = a;
    old->b = (uint32_t)version;
    return 0;
}

static int old_post_load(void *opaque, int version, struct ferry_error *err)
{
    struct old *old = opaque;

    if (old->a == 13)
        return ferry_error_set(err, -EINVAL, "13 brings bad luck");
    old->loads = version;
    return 0;
}

static const struct ferry_field old_fields[] = {
    FERRY_U32(a, struct old),
    FERRY_U32_V(b, struct old, 4),
    FERRY_END,
};
static const struct ferry_state_desc old_desc = {
    .name = "old",
    .version_id = 4,
    .minimum_version_id = 3,
    .minimum_version_id_old = 1,
    .size = sizeof(struct old),
    .fields = old_fields,
    .hooks = { .load_old = load_old, .post_load = old_post_load },
};

static void an_old_body_has_its_own_loader(void **state)
{
    struct old old = { 1, 2, 0 };

    assert_loads(&old_desc, &old, 2, "0007");
    assert_int_equal(old.a, 7);
    assert_int_equal(old.b, 2);
    assert_int_equal(old.loads, 2);
    assert_refused(&old_desc, &old, sizeof(old), 2, "00", "old");
    assert_refused(&old_desc, &old, sizeof(old), 0, "0007", "version 0 is older than the oldest that can be loaded, 1");
    assert_loads(&old_desc, &old, 3, "00000009");
    assert_int_equal(old.a, 9);
    assert_int_equal(old.b, 2);
}

static void a_failing_post_load_is_an_error(void **state)
{
    struct old old = { 0 };
    struct ferry_error err = { 0 };

    assert_int_equal(fixture_load(&old_desc, &old, 3, "\0\0\0\15", 4, &err), -EINVAL);
    assert_string_equal(err.text, "old: post_load: 13 brings bad luck");
}

/* ---- the zoo, hostile -------------------------------------------------------------------------------------------- */

static size_t find(const struct fixture_bytes *wire, const char *bytes, size_t count)
{
    const uint8_t *found = memmem(wire->data, wire->count, bytes, count);

    assert_non_null(found);
    return (size_t)(found - wire->data);
}

/* Loads bytes of zoo 2, changed at @offset, into zoo 1, which must refuse. */
static void assert_zoo_refuses(const struct fixture_bytes *good, size_t offset, const char *hex, const char *sentence)
{
    struct fixture_bytes wire = *good, patch;
    struct ferry_error err = { 0 };
    struct zoo *zoo = zoo_new(1);
    uint64_t before = zoo_fingerprint(zoo);

    fixture_from_hex(hex, &patch);
    memcpy(wire.data + offset, patch.data, patch.count);
    assert_true(fixture_load(&zoo_desc, zoo, 3, wire.data, wire.count, &err) < 0);
    if (!strstr(err.text, sentence))
        fail_msg("'%s' is not in '%s'", sentence, err.text);
    assert_true(zoo_fingerprint(zoo) == before);
    zoo_free(zoo);
}

static void counts_and_marks_are_bounded(void **state)
{
    struct zoo *zoo = zoo_new(2);
    struct fixture_bytes wire;
    size_t blob, sparse, owned, list, tree;

    assert_int_equal(fixture_save(&zoo_desc, zoo, NULL, NULL, &wire, NULL), 0);
    blob = find(&wire, "\0\4cccc", 6);
    sparse = blob + 6 + 4;
    owned = sparse + 1 + 4;
    list = owned + 4 + 4 + 4 + 16;
    tree = find(&wire, "\0\0\0\2\1\0\0\0\0\0\0\0\20", 13);
    assert_zoo_refuses(&wire, 1, "ff", "zoo: u8 may not be 255");
    assert_zoo_refuses(&wire, blob, "0011", "zoo: field 'blob': a count of 17 x 1, where at most 16 are allowed");
    assert_zoo_refuses(&wire, sparse, "31", "zoo: field 'sparse[1]': 0x31 where this pointer is NULL here");
    assert_zoo_refuses(&wire, owned, "00000065", "zoo: field 'owned': a count of 101");
    assert_zoo_refuses(&wire, owned, "ffffffff", "zoo: field 'owned': a count of 4294967295");
    assert_zoo_refuses(&wire, owned + 8, "ffffffff", "zoo: field 'bits': a count of -1");
    assert_zoo_refuses(&wire, owned + 8, "00000081", "zoo: field 'bits': a count of 129");
    assert_int_equal(wire.data[list], 1);
    assert_zoo_refuses(&wire, list + 5, "00000041", "zoo: field 'requests.data': a count of 65");
    assert_zoo_refuses(&wire, tree, "00000001", "zoo: field 'tree': more than the 1 nodes that were announced");
    assert_zoo_refuses(&wire, tree, "00000003", "zoo: field 'tree': 2 nodes, where 3 were announced");
    assert_zoo_refuses(&wire, tree, "ffffffff", "zoo: field 'tree': 4294967295 nodes, where at most 4");
    assert_zoo_refuses(&wire, tree + 4 + 13, "01 0000000000000010", "zoo: field 'tree': a key comes twice");
    zoo_free(zoo);
}

static void a_list_without_an_end_is_refused(void **state)
{
    struct fixture_bytes wire;
    struct zoo *zoo = zoo_new(2);
    struct zoo_note *note;

    /* More notes than are allowed at the other end. */
    for (unsigned i = 0; i < 3; i++) {
        note = calloc(1, sizeof(*note));
        LIST_INSERT_HEAD(&zoo->notes, note, link);
    }
    assert_int_equal(fixture_save(&zoo_desc, zoo, NULL, NULL, &wire, NULL), 0);
    assert_zoo_refuses(&wire, 0, "00", "zoo: field 'notes': more than the 4 elements that are allowed");
    zoo_free(zoo);
}

static void memory_has_a_ceiling(void **state)
{
    struct huge {
        uint32_t count;
        uint64_t *data;
    } huge = { 1, NULL };
    static const struct ferry_field fields[] = {
        FERRY_U32(count, struct huge),
        FERRY_ALLOC_VARRAY(data, struct huge, count, SIZE_MAX / 8, U64),
        FERRY_END,
    };
    static const struct ferry_state_desc desc = { .name = "huge", .size = sizeof(struct huge), .fields = fields };

    assert_refused(&desc, &huge, sizeof(huge), 0, "ffffffff 00", "more than 256 MiB of memory");
}

static void every_cut_leaves_the_device_alone(void **state)
{
    struct zoo *from = zoo_new(3), *to = zoo_new(2);
    uint64_t before = zoo_fingerprint(to);
    struct fixture_bytes wire;

    assert_int_equal(fixture_save(&zoo_desc, from, NULL, NULL, &wire, NULL), 0);
    for (size_t cut = 0; cut < wire.count; cut++) {
        struct ferry_error err = { 0 };
        uint8_t *exact = malloc(cut ? cut : 1); /* so that a sanitizer sees the slightest reading beyond */
        int rc;

        memcpy(exact, wire.data, cut);
        rc = fixture_load(&zoo_desc, to, 3, exact, cut, &err);
        free(exact);
        if (rc == 0 && cut + 19 == wire.count) { /* before the subsection there is a whole body */
            zoo_free(to);
            to = zoo_new(2);
            before = zoo_fingerprint(to);
            continue;
        }
        assert_true(rc < 0);
        assert_true(err.text[0] && err.errnum < 0);
        assert_true(zoo_fingerprint(to) == before);
    }
    zoo_free(from);
    zoo_free(to);
}

static void every_flipped_bit_loads_whole_or_not_at_all(void **state)
{
    struct zoo *from = zoo_new(3), *to = zoo_new(2);
    uint64_t before = zoo_fingerprint(to);
    struct fixture_bytes wire, again;
    unsigned refused = 0, loaded = 0;

    assert_int_equal(fixture_save(&zoo_desc, from, NULL, NULL, &wire, NULL), 0);
    for (size_t bit = 0; bit < wire.count * 8; bit++) {
        struct fixture_bytes flipped = wire;

        flipped.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (fixture_load(&zoo_desc, to, 3, flipped.data, flipped.count, NULL) < 0) {
            assert_true(zoo_fingerprint(to) == before);
            refused++;
            continue;
        }
        /* What was loaded is a device that can be saved again. */
        assert_int_equal(fixture_save(&zoo_desc, to, NULL, NULL, &again, NULL), 0);
        loaded++;
        zoo_free(to);
        to = zoo_new(2);
        before = zoo_fingerprint(to);
    }
    assert_true(refused > 100);
    assert_true(loaded > 100);
    zoo_free(from);
    zoo_free(to);
}

static void what_is_parsed_is_applied_once_or_never(void **state)
{
    struct zoo *from = zoo_new(3), *to = zoo_new(2);
    uint64_t before = zoo_fingerprint(to);
    struct fixture_bytes wire;
    struct ferry_channel *channel;
    struct ferry_reader *reader;
    struct state_staged *staged;

    assert_int_equal(fixture_save(&zoo_desc, from, NULL, NULL, &wire, NULL), 0);
    for (int commit = 0; commit < 2; commit++) {
        channel = ferry_channel_buffer_reader(wire.data, wire.count, NULL);
        reader = ferry_reader_new(channel, NULL);
        staged = state_parse(&zoo_desc, to, 3, reader, NULL);
        assert_non_null(staged);
        assert_true(zoo_fingerprint(to) == before); /* parsed, not yet applied */
        if (commit) {
            assert_int_equal(state_commit(staged, NULL), 0);
            assert_int_equal(to->loads, 1);
            assert_int_equal(state_commit(staged, NULL), -EALREADY);
        }
        state_staged_free(staged);
        ferry_reader_free(reader);
        ferry_channel_unref(channel);
    }
    assert_true(zoo_fingerprint(to) != before);
    zoo_free(from);
    zoo_free(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_and_at_most_are_checked),
        cmocka_unit_test(versions_are_checked),
        cmocka_unit_test(subsections_come_in_any_number_but_only_known_ones),
        cmocka_unit_test(what_does_not_look_like_a_subsection_is_left_alone),
        cmocka_unit_test(a_nested_body_leaves_what_is_not_its_own),
        cmocka_unit_test(an_old_body_has_its_own_loader),
        cmocka_unit_test(a_failing_post_load_is_an_error),
        cmocka_unit_test(counts_and_marks_are_bounded),
        cmocka_unit_test(a_list_without_an_end_is_refused),
        cmocka_unit_test(memory_has_a_ceiling),
        cmocka_unit_test(every_cut_leaves_the_device_alone),
        cmocka_unit_test(every_flipped_bit_loads_whole_or_not_at_all),
        cmocka_unit_test(what_is_parsed_is_applied_once_or_never),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
