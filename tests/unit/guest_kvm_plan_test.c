/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_kvm_plan_test.c - what every page of a kvm guest must hold follows from how many lines its vCPUs wrote */
#include "kvm_plan.h"

#include "kvm_program.h"

#include <ferry/memory.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct kvm_plan make_plan(const char *keys)
{
    struct ferry_error err = { 0 };
    struct guest_spec spec;
    struct kvm_plan plan = { 0 };

    if (spec_parse(keys, &spec, &err) < 0 || kvm_plan_make(&plan, &spec, &err) < 0)
        fail_msg("%s: %s", keys, err.text);
    return plan;
}

/* What the program does, step by step. */
struct model {
    uint64_t *generation; /* of each page */
    uint64_t page;        /* that is being written; UINT64_MAX: none */
};

static void model_run(struct model *model, const struct kvm_share *share, uint64_t lines)
{
    uint64_t position = 0;

    for (uint64_t step = 0; step < lines / 64; step++) {
        model->generation[share->first + (position * share->spread >> 16)]++;
        position += share->stride;
        if (position >= share->written)
            position -= share->written;
    }
    model->page = share->first + (position * share->spread >> 16);
}

static void compare(const struct kvm_plan *plan, const uint64_t *lines)
{
    struct model model = { .generation = calloc(plan->pages, sizeof(uint64_t)) };
    uint64_t begun = 0;

    assert_non_null(model.generation);
    for (unsigned i = 0; i < plan->cpus; i++) {
        struct kvm_page_due due;

        model_run(&model, &plan->share[i], lines[i]);
        due = kvm_plan_due(plan, model.page, lines);
        assert_int_equal(due.kind, KVM_PAGE_IS_DATA);
        assert_true(due.begun);
        assert_int_equal(due.lines, lines[i] % 64);
    }
    for (uint64_t page = plan->data; page < plan->pages; page++) {
        struct kvm_page_due due = kvm_plan_due(plan, page, lines);

        assert_int_equal(due.generation, model.generation[page]);
        assert_true(due.kind == KVM_PAGE_IS_DATA || model.generation[page] == 0);
        begun += due.begun;
    }
    assert_int_equal(begun, plan->cpus);
    free(model.generation);
}

static void generations_are_those_of_the_program(void **state)
{
    static const char *const keys[] = {
        "size=1MiB",
        "size=1MiB,threads=3",
        "size=1300KiB,threads=2,zero=30%",
        "size=700KiB,zero=99%",
        "size=1MiB,hot=1%",
        "size=2MiB,hot=33%,zero=50%,threads=5",
        "size=1MiB,pattern=sequential",
        "size=28KiB",
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct kvm_plan plan = make_plan(keys[i]);
        uint64_t lines[SPEC_THREADS_MAX];

        for (uint64_t step = 0; step < 9; step++) {
            for (unsigned cpu = 0; cpu < plan.cpus; cpu++)
                lines[cpu] = step * step * 1117 + cpu * 77;
            compare(&plan, lines);
        }
    }
}

static void shares_are_apart_and_zero_pages_are_as_many_as_asked_for(void **state)
{
    struct kvm_plan plan = make_plan("size=40MiB,zero=30%,threads=3");
    uint64_t lines[SPEC_THREADS_MAX] = { 0 }, zero = 0, next = plan.data;

    for (unsigned i = 0; i < plan.cpus; i++) {
        assert_int_equal(plan.share[i].first, next);
        next += plan.share[i].pages;
    }
    assert_int_equal(next, plan.pages);
    for (uint64_t page = plan.data; page < plan.pages; page++)
        zero += kvm_plan_due(&plan, page, lines).kind == KVM_PAGE_IS_ZERO;
    assert_in_range(zero * 1000 / (plan.pages - plan.data), 299, 301);
}

/* Walks the tables as a CPU does. */
static uint64_t translate(const uint8_t *ram, const struct kvm_plan *plan, uint64_t address)
{
    uint64_t table = kvm_plan_tables(plan), entry = 0;

    for (int shift = 39; shift >= 21; shift -= 9) {
        memcpy(&entry, ram + table + (address >> shift & 511) * 8, 8);
        assert_int_equal(entry & 0x27, 0x27);
        table = entry & ~UINT64_C(0xfff);
    }
    assert_true(entry & 0x80);
    return (entry & ~UINT64_C(0x1fffff)) + (address & 0x1fffff);
}

static void tables_map_all_memory_one_to_one(void **state)
{
    static const char *const keys[] = { "size=28KiB", "size=1GiB", "size=5GiB,threads=2", "size=600GiB" };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct kvm_plan plan = make_plan(keys[i]);
        uint8_t *ram = malloc(plan.data * FERRY_PAGE_BYTES);
        uint64_t end = plan.pages * FERRY_PAGE_BYTES, step = end / 1000 + 4097;

        assert_non_null(ram);
        for (uint64_t page = 0; page < plan.data; page++)
            kvm_plan_fixed_page(&plan, page, ram + page * FERRY_PAGE_BYTES);
        for (uint64_t address = 0; address < end; address += step)
            assert_int_equal(translate(ram, &plan, address), address);
        assert_int_equal(translate(ram, &plan, end - 1), end - 1);
        free(ram);
    }
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const struct {
        const char *keys, *text;
    } cases[] = {
        { "content=text", "content: the pages of a kvm guest are random" },
        { "untouched=1GiB", "untouched: a kvm guest has one block" },
        { "size=24KiB", "size: a kvm guest with 1 vCPUs needs at least 28.00 KiB" },
        { "size=28KiB,threads=2", "size: a kvm guest with 2 vCPUs needs at least" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ferry_error err = { 0 };
        struct guest_spec spec;
        struct kvm_plan plan;

        assert_int_equal(spec_parse(cases[i].keys, &spec, NULL), 0);
        assert_true(kvm_plan_make(&plan, &spec, &err) < 0);
        if (strncmp(err.text, cases[i].text, strlen(cases[i].text)))
            fail_msg("%s: %s", cases[i].keys, err.text);
    }
}

/* ---- content ----------------------------------------------------------------------------------------------------- */

struct page {
    _Alignas(64) uint8_t bytes[FERRY_PAGE_BYTES];
};

static void a_page_is_known_by_its_content(void **state)
{
    struct kvm_content content, other;
    struct page page;

    kvm_content_init(&content, 7);
    kvm_content_init(&other, 8);
    kvm_content_write(&content, &page, 100, 5);
    assert_int_equal(kvm_content_check(&content, &page, 100, 5), CONTENT_GOOD);
    assert_int_equal(kvm_content_check(&content, &page, 100, 6), CONTENT_STALE);
    assert_int_equal(kvm_content_check(&content, &page, 100, 4), CONTENT_DAMAGED);
    assert_int_equal(kvm_content_check(&content, &page, 101, 5), CONTENT_DAMAGED);
    assert_int_equal(kvm_content_check(&other, &page, 100, 5), CONTENT_DAMAGED);
    for (unsigned bit = 0; bit < FERRY_PAGE_BYTES * 8; bit += 61) {
        page.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(kvm_content_check(&content, &page, 100, 5), CONTENT_DAMAGED);
        page.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void a_page_is_checked_to_the_word_while_it_is_written(void **state)
{
    struct kvm_content content;
    struct page old_page, new_page, page;

    kvm_content_init(&content, 1);
    kvm_content_write(&content, &old_page, 9, 3);
    kvm_content_write(&content, &new_page, 9, 4);
    for (unsigned words = 0; words <= FERRY_PAGE_BYTES / 8; words++) {
        unsigned lines = words / 8;

        page = old_page;
        memcpy(&page, &new_page, words * 8);
        if (lines < 64)
            assert_int_equal(kvm_content_check_half(&content, &page, 9, 3, lines), CONTENT_GOOD);
        if (lines > 0) /* the last line may be whole and not yet counted */
            assert_int_equal(kvm_content_check_half(&content, &page, 9, 3, lines - 1) == CONTENT_GOOD, words % 8 == 0);
        if (lines < 63)
            assert_int_not_equal(kvm_content_check_half(&content, &page, 9, 3, lines + 1), CONTENT_GOOD);
    }
    assert_int_equal(kvm_content_check_half(&content, &old_page, 9, 3, 10), CONTENT_STALE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generations_are_those_of_the_program),
        cmocka_unit_test(shares_are_apart_and_zero_pages_are_as_many_as_asked_for),
        cmocka_unit_test(tables_map_all_memory_one_to_one),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(a_page_is_known_by_its_content),
        cmocka_unit_test(a_page_is_checked_to_the_word_while_it_is_written),
    };

    return cmocka_run_group_tests_name("guest_kvm_plan", tests, NULL, NULL);
}
