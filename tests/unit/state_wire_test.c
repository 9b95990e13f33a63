/* SPDX-License-Identifier: BSD-3-Clause */
/* state_wire_test.c - each encoding is QEMU's to the byte, and what is saved loads back to the same */
#include "state_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct element {
    TAILQ_ENTRY(element) link;
    bool on;
    uint8_t number;
};

struct small {
    int16_t i16;
    int32_t *pointers[3];
    int32_t bits_count;
    uint64_t *bits;
    TAILQ_HEAD(, element) list;
};

static const struct ferry_field element_fields[] = {
    FERRY_BOOL(on, struct element),
    FERRY_U8(number, struct element),
    FERRY_END,
};
static const struct ferry_state_desc element_desc = { .name = "element",
                                                      .size = sizeof(struct element),
                                                      .fields = element_fields };

static const struct ferry_field list_fields[] = {
    FERRY_TAILQ(list, struct small, element_desc, struct element, link, 10),
    FERRY_END,
};
static const struct ferry_state_desc list_desc = { .name = "d", .size = sizeof(struct small), .fields = list_fields };

static void a_list_is_marked_elements_and_an_end(void **state)
{
    struct element first = { .on = true, .number = 5 }, second = { .number = 6 };
    struct small small = { 0 }, empty = { 0 };

    TAILQ_INIT(&small.list);
    TAILQ_INIT(&empty.list);
    TAILQ_INSERT_TAIL(&small.list, &first, link);
    TAILQ_INSERT_TAIL(&small.list, &second, link);
    fixture_assert_bytes(&list_desc, &small, "01 01 05  01 00 06  00");
    fixture_assert_bytes(&list_desc, &empty, "00");
}

static void a_null_among_pointers_is_a_mark(void **state)
{
    static const struct ferry_field fields[] = {
        FERRY_ARRAY_OF_POINTERS(pointers, struct small, 3, I32),
        FERRY_END,
    };
    static const struct ferry_state_desc desc = { .name = "d", .size = sizeof(struct small), .fields = fields };
    int32_t seven = 7, nine = 9;
    struct small small = { .pointers = { &seven, NULL, &nine } };

    fixture_assert_bytes(&desc, &small, "00000007 30 00000009");
}

static void integers_are_big_endian(void **state)
{
    static const struct ferry_field fields[] = {
        FERRY_I16(i16, struct small),
        FERRY_END,
    };
    static const struct ferry_state_desc desc = { .name = "d", .size = sizeof(struct small), .fields = fields };
    struct small small = { .i16 = -512 };

    fixture_assert_bytes(&desc, &small, "fe00");
}

static void a_bitmap_is_whole_words(void **state)
{
    static const struct ferry_field fields[] = {
        FERRY_BITMAP(bits, struct small, bits_count, 128),
        FERRY_END,
    };
    static const struct ferry_state_desc desc = { .name = "d", .size = sizeof(struct small), .fields = fields };
    uint64_t words[2] = { 1, 2 };
    struct small small = { .bits_count = 16, .bits = words };

    fixture_assert_bytes(&desc, &small, "0000000000000001");
    small.bits_count = 65;
    fixture_assert_bytes(&desc, &small, "0000000000000001 0000000000000002");
}

static void a_tree_is_a_count_and_marked_nodes(void **state)
{
    const struct ferry_field *tree = zoo_desc.fields;
    struct ferry_field fields[2] = { { 0 }, FERRY_END };
    struct ferry_state_desc desc = { .name = "d", .size = sizeof(struct zoo), .fields = fields };
    struct zoo_node node = { .key = 0x10, .value = 3 };
    struct zoo zoo = { .tree = &node };

    while (tree->kind != FERRY_KIND_TREE)
        tree++;
    fields[0] = *tree;
    fixture_assert_bytes(&desc, &zoo, "00000001 01 0000000000000010 00000003 00");
}

struct timer_state {
    int64_t cpu_ticks_offset;
    int64_t cpu_clock_offset;
};

static void timer_is_as_qemu_writes_it(void **state)
{
    static const struct ferry_field fields[] = {
        FERRY_I64(cpu_ticks_offset, struct timer_state),
        FERRY_UNUSED(8),
        FERRY_I64_V(cpu_clock_offset, struct timer_state, 2),
        FERRY_END,
    };
    static const struct ferry_state_desc desc = {
        .name = "timer", .version_id = 2, .minimum_version_id = 1, .size = sizeof(struct timer_state), .fields = fields
    };
    struct timer_state timer = { 0x0102030405060708, -2 }, loaded = { 0 };
    struct fixture_bytes bytes;

    fixture_assert_bytes(&desc, &timer, "0102030405060708 0000000000000000 fffffffffffffffe");
    /* A version 1 has no second value: it stays. */
    loaded.cpu_clock_offset = 99;
    fixture_from_hex("0102030405060708 1111111111111111", &bytes);
    assert_int_equal(fixture_load(&desc, &loaded, 1, bytes.data, bytes.count, NULL), 0);
    assert_int_equal(loaded.cpu_ticks_offset, timer.cpu_ticks_offset);
    assert_int_equal(loaded.cpu_clock_offset, 99);
}

struct cpu_common {
    uint32_t halted;
    uint32_t interrupt_request;
};

static void cpu_common_is_as_qemu_writes_it(void **state)
{
    static const struct ferry_field fields[] = {
        FERRY_U32(halted, struct cpu_common),
        FERRY_U32(interrupt_request, struct cpu_common),
        FERRY_END,
    };
    static const struct ferry_state_desc desc = { .name = "cpu_common",
                                                  .version_id = 1,
                                                  .minimum_version_id = 1,
                                                  .size = sizeof(struct cpu_common),
                                                  .fields = fields };
    struct cpu_common cpu = { 1, 0x80 };

    fixture_assert_bytes(&desc, &cpu, "00000001 00000080");
}

struct global_state {
    uint32_t size;
    char runstate[32];
    uint8_t has_vm_was_suspended;
    uint8_t vm_was_suspended;
};

static void globalstate_is_as_qemu_writes_it(void **state)
{
    static const struct ferry_field fields[] = {
        FERRY_U32(size, struct global_state),
        FERRY_BUFFER(runstate, struct global_state),
        FERRY_U8(has_vm_was_suspended, struct global_state),
        FERRY_U8(vm_was_suspended, struct global_state),
        FERRY_UNUSED(66),
        FERRY_END,
    };
    static const struct ferry_state_desc desc = { .name = "globalstate",
                                                  .version_id = 1,
                                                  .minimum_version_id = 1,
                                                  .size = sizeof(struct global_state),
                                                  .fields = fields };
    struct global_state global = { .size = 8, .runstate = "running" }, loaded = { 0 };
    struct fixture_bytes bytes;

    assert_int_equal(fixture_save(&desc, &global, NULL, NULL, &bytes, NULL), 0);
    assert_int_equal(bytes.count, 104);
    assert_memory_equal(bytes.data, "\0\0\0\10running\0", 12);
    for (size_t i = 12; i < bytes.count; i++)
        assert_int_equal(bytes.data[i], 0);
    assert_int_equal(fixture_load(&desc, &loaded, 1, bytes.data, bytes.count, NULL), 0);
    assert_memory_equal(&loaded, &global, sizeof(global));
}

static void a_subsection_has_a_mark_a_name_and_a_version(void **state)
{
    struct zoo *zoo = zoo_new(2), *plain = zoo_new(1);
    struct fixture_bytes bytes, without;

    assert_int_equal(fixture_save(&zoo_desc, zoo, NULL, NULL, &bytes, NULL), 0);
    assert_memory_equal(bytes.data + bytes.count - 19, "\5\11zoo/extra\0\0\0\1\0\0\0\1", 19);
    assert_int_equal(fixture_save(&zoo_desc, plain, NULL, NULL, &without, NULL), 0);
    assert_null(memmem(without.data, without.count, "zoo/extra", 9));
    zoo_free(zoo);
    zoo_free(plain);
}

static void every_encoding_loads_what_was_saved(void **state)
{
    for (unsigned n = 0; n < 4; n++) {
        struct zoo *from = zoo_new(n), *to = zoo_new(3 - n);
        struct fixture_bytes bytes, again;
        struct ferry_error err = { 0 };

        assert_int_equal(fixture_save(&zoo_desc, from, NULL, NULL, &bytes, &err), 0);
        fixture_load(&zoo_desc, to, 3, bytes.data, bytes.count, &err);
        assert_string_equal(ferry_error_text(&err), "no error");
        assert_int_equal(fixture_save(&zoo_desc, to, NULL, NULL, &again, &err), 0);
        assert_int_equal(again.count, bytes.count);
        assert_memory_equal(again.data, bytes.data, bytes.count);
        assert_int_equal(to->seconds, from->seconds);
        assert_int_equal(to->extra, n ? from->extra : (uint32_t)-1);
        assert_int_equal(to->spare, 3 - n);
        assert_int_equal(to->ports[0], 3 - n);
        assert_int_equal(to->loads, 1);
        assert_ptr_equal(*(void **)to->requests.tqh_last, NULL);
        zoo_free(from);
        zoo_free(to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_marked_elements_and_an_end),
        cmocka_unit_test(a_null_among_pointers_is_a_mark),
        cmocka_unit_test(integers_are_big_endian),
        cmocka_unit_test(a_bitmap_is_whole_words),
        cmocka_unit_test(a_tree_is_a_count_and_marked_nodes),
        cmocka_unit_test(timer_is_as_qemu_writes_it),
        cmocka_unit_test(cpu_common_is_as_qemu_writes_it),
        cmocka_unit_test(globalstate_is_as_qemu_writes_it),
        cmocka_unit_test(a_subsection_has_a_mark_a_name_and_a_version),
        cmocka_unit_test(every_encoding_loads_what_was_saved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
