/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_alloc_test.c - each allocation of a look at a stream may fail: no crash, no leak, and a sentence or a result
 *
 * The linker sends this program's allocations here.  What they have handed out is counted, so that a leak fails the
 * test in every build.
 */
#include "inspect_fixture.h"

#include "inspect_json.h"
#include "inspect_print.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
char *__real_strdup(const char *text);
void __real_free(void *memory);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
char *__wrap_strdup(const char *text);
void __wrap_free(void *memory);

static long until_failure = -1; /* allocations that still succeed; -1: all do */
static bool has_failed;
static long alive;

static bool fails(void)
{
    if (until_failure < 0 || until_failure-- > 0)
        return false;
    until_failure = -1; /* only one fails */
    has_failed = true;
    return true;
}

static void *counted(void *memory)
{
    alive += memory != NULL;
    return memory;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : counted(__real_malloc(bytes));
}

void *__wrap_calloc(size_t items, size_t bytes)
{
    return fails() ? NULL : counted(__real_calloc(items, bytes));
}

void *__wrap_realloc(void *old, size_t bytes)
{
    void *memory;

    if (fails())
        return NULL;
    memory = __real_realloc(old, bytes);
    alive += memory && !old;
    return memory;
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : counted(__real_strdup(text));
}

void __wrap_free(void *memory)
{
    alive -= memory != NULL;
    __real_free(memory);
}

/* Everything that the command does with a stream.  Returns what came of it. */
static int look_once(const uint8_t *data, size_t bytes, bool keep, FILE *to)
{
    struct ferry_channel *chan = ferry_channel_buffer_reader(data, bytes, NULL);
    struct inspect_options options = { .answer = true };
    struct ferry_error err = { 0 };
    struct inspect_report report;
    struct inspect_ram ram;
    int ret = -ENOMEM;

    inspect_report_init(&report);
    if (inspect_ram_init(&ram, keep, 1 << 20, &err) < 0) {
        assert_true(err.text[0]);
    } else if (chan) {
        ret = inspect_stream(chan, &options, &ram, &report);
        assert_true(ret == 0 || report.error.text[0]);
        inspect_print(to, &report, &ram, true);
        if (inspect_json(to, &report, &ram) < 0)
            ret = -ENOMEM;
    }
    inspect_report_clear(&report);
    inspect_ram_clear(&ram);
    ferry_channel_unref(chan);
    return ret;
}

static void assert_survives(void (*put)(struct ferry_writer *to), bool keep)
{
    FILE *to = fopen("/dev/null", "w");
    struct made made;
    const uint8_t *data;
    size_t bytes;
    long n;

    made_begin(&made);
    put(made.to);
    data = made_finish(&made, &bytes);
    look_once(data, bytes, keep, to);
    for (n = 0;; n++) {
        long before = alive;
        int ret;

        has_failed = false;
        until_failure = n;
        ret = look_once(data, bytes, keep, to);
        until_failure = -1;
        assert_int_equal(alive, before);
        if (!has_failed) {
            assert_int_equal(ret, 0);
            break;
        }
    }
    assert_true(n > 50);
    made_drop(&made);
    fclose(to);
}

/* The device comes before the end of memory, so that it is sized as it comes. */
static void put_early(struct ferry_writer *to)
{
    put_prologue(to);
    put_ram_start(to);
    put_full(to, GOLDEN_BODY);
    put_pages(to);
    put_end(to, GOLDEN);
}

static void test_golden_survives(void **state)
{
    assert_survives(put_golden, true);
    assert_survives(put_golden, false);
}

static void test_early_devices_survive(void **state)
{
    assert_survives(put_early, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_survives),
        cmocka_unit_test(test_early_devices_survive),
    };

    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
    return cmocka_run_group_tests_name("inspect alloc", tests, NULL, NULL);
}
