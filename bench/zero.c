/* SPDX-License-Identifier: BSD-3-Clause */
/* zero.c - how fast is a page known to be zero, beside how fast memory can be read at all?
 *
 *      zeros    every byte is read:            rate of the test | rate of a loop that ORs everything together
 *      random   the first bytes tell:          ns per page      | ns per page of reading one word of each
 *
 * Both out of memory that no cache holds, and out of a piece that the second-level cache does.
 */
#include "zero.h"
#include "mapping.h"
#include "measure.h"

#include "clock.h"

#include <errno.h>
#include <string.h>

#define PAGE_BYTES   4096u
#define CACHED_BYTES (256u << 10)

static uint64_t size = UINT64_C(256) << 20, runs = 5;

/* Without such registers the compiler makes several of one. */
typedef uint64_t wide __attribute__((vector_size(32), may_alias));

#define READ_ALL                                              \
    wide a = { 0 }, b = a, c = a, d = a;                      \
    for (const wide *at = data; bytes >= 256; bytes -= 256) { \
        a |= at[0] | at[4];                                   \
        b |= at[1] | at[5];                                   \
        c |= at[2] | at[6];                                   \
        d |= at[3] | at[7];                                   \
        at += 8;                                              \
    }                                                         \
    a |= b | c | d;                                           \
    return a[0] | a[1] | a[2] | a[3];

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t read_avx2(const void *data, uint64_t bytes)
{
    READ_ALL
}
#endif

static uint64_t read_plain(const void *data, uint64_t bytes)
{
    READ_ALL
}

static uint64_t read_all(const void *data, uint64_t bytes)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return read_avx2(data, bytes);
#endif
    return read_plain(data, bytes);
}

/* @total bytes in all, by going over @bytes again and again.  Returns the time; *zeros: pages that are. */
static int64_t time_test(const struct zero_impl *impl, const uint8_t *data, uint64_t bytes, uint64_t total,
                         uint64_t *zeros)
{
    int64_t began = clock_now_ns();

    *zeros = 0;
    for (uint64_t round = 0; round < total / bytes; round++)
        for (uint64_t at = 0; at < bytes; at += PAGE_BYTES)
            *zeros += impl->test(data + at, PAGE_BYTES);
    return clock_now_ns() - began;
}

static int64_t time_read(const uint8_t *data, uint64_t bytes, uint64_t total)
{
    int64_t began = clock_now_ns();
    volatile uint64_t sink = 0;

    for (uint64_t round = 0; round < total / bytes; round++)
        sink = read_all(data, bytes);
    (void)sink;
    return clock_now_ns() - began;
}

static int64_t time_look(const uint8_t *data, uint64_t bytes, uint64_t total)
{
    int64_t began = clock_now_ns();
    volatile uint64_t sink;
    uint64_t sum = 0;

    for (uint64_t round = 0; round < total / bytes; round++)
        for (uint64_t at = 0; at < bytes; at += PAGE_BYTES)
            sum |= *(const volatile uint64_t *)(const volatile void *)(data + at);
    sink = sum;
    (void)sink;
    return clock_now_ns() - began;
}

static int zeros(json_t *results, const struct zero_impl *impl, const uint8_t *data, uint64_t bytes,
                 struct ferry_error *err)
{
    struct pairs pairs = { 0 };
    uint64_t found;
    json_t *row;

    for (uint64_t i = 0; i < runs; i++) {
        double ours = measure_rate(size, time_test(impl, data, bytes, size, &found));

        if (found != size / PAGE_BYTES)
            return ferry_error_set(err, -EIO, "%s: a page of zeros was not found", impl->name);
        pairs_add(&pairs, ours, measure_rate(size, time_read(data, bytes, size)));
    }
    row = pairs_json(&pairs, "rate");
    json_object_set_new(row, "implementation", json_string(impl->name));
    json_object_set_new(row, "content", json_string("zeros"));
    json_object_set_new(row, "bytes", json_integer((json_int_t)bytes));
    return json_array_append_new(results, row) == 0 ? 0 : -ENOMEM;
}

static int random_pages(json_t *results, const struct zero_impl *impl, const uint8_t *data, struct ferry_error *err)
{
    double pages = (double)(size / PAGE_BYTES);
    struct pairs pairs = { 0 };
    uint64_t found;
    json_t *row;

    for (uint64_t i = 0; i < runs; i++) {
        double ours = (double)time_test(impl, data, size, size, &found) / pages;

        if (found != 0)
            return ferry_error_set(err, -EIO, "%s: a page with content was taken for zeros", impl->name);
        pairs_add(&pairs, ours, (double)time_look(data, size, size) / pages);
    }
    row = pairs_json(&pairs, "ns");
    json_object_set_new(row, "implementation", json_string(impl->name));
    json_object_set_new(row, "content", json_string("random"));
    json_object_set_new(row, "bytes", json_integer((json_int_t)size));
    return json_array_append_new(results, row) == 0 ? 0 : -ENOMEM;
}

static int run(json_t *results, struct ferry_error *err)
{
    struct mapping memory = { 0 };
    int ret;

    size -= size % CACHED_BYTES;
    ret = mapping_map(&memory, size, MAPPING_HUGE, err);
    if (ret < 0)
        return ret;
    memset(memory.host, 0, size);
    for (size_t i = 0; ret == 0 && i < zero_impls_count; i++) {
        if (!zero_impls[i].usable())
            continue;
        ret = zeros(results, &zero_impls[i], memory.host, size, err);
        if (ret == 0)
            ret = zeros(results, &zero_impls[i], memory.host, CACHED_BYTES, err);
    }
    memset(memory.host, 0x5a, size);
    for (size_t i = 0; ret == 0 && i < zero_impls_count; i++)
        if (zero_impls[i].usable())
            ret = random_pages(results, &zero_impls[i], memory.host, err);
    mapping_unmap(&memory);
    return ret;
}

static const struct measure_option options[] = {
    { "size", MEASURE_SIZE, &size, CACHED_BYTES, UINT64_C(1) << 40, "memory that is gone over" },
    { "runs", MEASURE_COUNT, &runs, 1, MEASURE_RUNS_MAX, "of which the median is taken" },
    { NULL },
};

static const struct measure zero = {
    .name = "zero",
    .about = "How fast is a page known to be zero, by each implementation that this processor has?\n"
             "Content zeros: `rate` in bytes per second; `limit` is a loop that only reads the same\n"
             "bytes. Content random: `ns` for each page; `limit` reads one word of each page.\n",
    .options = options,
    .run = run,
};

int main(int argc, char **argv)
{
    return measure_main(&zero, argc, argv);
}
